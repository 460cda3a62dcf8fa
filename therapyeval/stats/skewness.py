"""Whether a few extreme values weigh so much in a mean that its t interval is too narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOPSIDED = "strongly skewed values of few people: the interval may be too narrow"
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
    with np.errstate(invalid="ignore", divide="ignore"):
        second, third = (np.bincount(group, part, n_groups) / n for part in (squares, squares * deviations))
    return Moments(n, second, third)


def is_lopsided(a: Moments, b: Moments | None = None) -> np.ndarray:
    """Where the mean of a, or the difference of the means of a and b, is too skewed for a t interval.

    A group has to show strong skewness, and that of the estimate has to be above 0.2: for one mean, n is below
    25 * skewness^2. Skewness of two groups of one size cancels in the difference.

    >>> people, spread, third = np.array([50]), np.array([1.0]), np.array([2.0])
    >>> is_lopsided(Moments(people, spread, third)), is_lopsided(Moments(3 * people, spread, third))
    (array([ True]), array([False]))
    """
    groups = [a] if b is None else [a, b]
    with np.errstate(invalid="ignore", divide="ignore"):
        strong = [(part.n >= FEWEST) & (np.abs(part.third) >= STRONG * part.second**1.5) & (part.second > 0)
                  for part in groups]
        third = sum(sign * part.third / part.n**2.0 for sign, part in zip((1, -1), groups, strict=False))
        return np.any(strong, axis=0) & (np.abs(third) > LARGEST * sum(part.second / part.n for part in groups) ** 1.5)
