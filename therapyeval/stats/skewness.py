"""Whether a few extreme values weigh so much in a mean that its t interval is too narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.few import NARROW

LOPSIDED = f"strongly skewed values of few people: {NARROW}"
NOT_THE_MEAN = "strongly skewed differences: the typical one is not the mean, which the interval may miss"
FEWEST, STRONG = 8, 1.0        # fewer values do not show their skewness; Bulmer (1979) calls 1 strong
LARGEST = 0.2                  # skewness of an estimate: Cochran (1977), section 2.15, n > 25 * skewness^2


@dataclass(frozen=True)
class Moments:
    """Number, variance and third central moment (divisor n) of the values of each group."""

    n: np.ndarray
    second: np.ndarray
    third: np.ndarray

    def of(self, codes: np.ndarray) -> Moments:
        return Moments(self.n[codes], self.second[codes], self.third[codes])


def central_moments(deviations: np.ndarray, group: np.ndarray, n_groups: int) -> Moments:
    """Moments of values given as deviations from the means of their groups."""
    n, squares = np.bincount(group, minlength=n_groups), deviations * deviations
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        second, third = (np.bincount(group, part, n_groups) / n for part in (squares, squares * deviations))
    return Moments(n, second, third)


def is_skewed(part: Moments) -> np.ndarray:
    """Where eight or more values show strong skewness, however many they are."""
    with np.errstate(invalid="ignore", over="ignore"):
        return (part.n >= FEWEST) & (np.abs(part.third) >= STRONG * part.second**1.5) & (part.second > 0)


def is_lopsided(a: Moments, b: Moments | None = None) -> np.ndarray:
    """Where the mean of a, or the difference of the means of a and b, is too skewed for a t interval.

    The values have to show strong skewness, and that of the estimate has to be above 0.2: for one mean, n is below
    25 * skewness^2 (adjusted for n, as few values show less than there is). Two groups are taken to have one shape: of
    one size and spread, their skewness cancels in the difference.

    >>> people, spread, third = np.array([50]), np.array([1.0]), np.array([2.0])
    >>> is_lopsided(Moments(people, spread, third)), is_lopsided(Moments(3 * people, spread, third))
    (array([ True]), array([False]))
    """
    if b is None:
        return is_skewed(a) & (_adjusted(a) ** 2 > a.n * LARGEST**2)
    size = a.n + b.n
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        shape = sum(part.n * np.where(part.second > 0, part.third / part.second**1.5, 0) for part in (a, b)) / size
        cubes = a.second**1.5 / a.n**2.0 - b.second**1.5 / b.n**2.0
        error = np.sqrt(a.second / a.n + b.second / b.n)
        return (size >= 2 * FEWEST) & (np.abs(shape) >= STRONG) & (np.abs(shape * cubes) > LARGEST * error**3)


def _adjusted(part: Moments) -> np.ndarray:
    """Skewness by Fisher and Pearson, adjusted for n; 0 where there is none."""
    n = np.maximum(part.n, 3.0)
    with np.errstate(invalid="ignore", over="ignore"):
        plain = np.divide(part.third, part.second**1.5, out=np.zeros(len(n)), where=part.second > 0)
    return np.sqrt(n * (n - 1)) / (n - 2) * plain
