"""Two groups shown to be alike, or one shown to be no worse, within bounds stated beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import Contrast, welch
from therapyeval.stats.critical_values import t_quantile
from therapyeval.stats.few import warns
from therapyeval.stats.score_risks import difference_score, pair_counts, score_risk_difference


@dataclass(frozen=True)
class Equivalence:
    """Differences a - b with limits of level 1 - 2 alpha, one entry per pair.

    ``shown`` where p is below alpha: then the limits lie within the bounds. ``note`` says why a number is NaN, or warns
    of numbers that stand.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    shown: np.ndarray
    method: str
    note: np.ndarray


def equivalent_means(
    values: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    bounds: tuple[float, float],
    *,
    alpha: float = 0.05,
) -> Equivalence:
    """Is the difference of two means, a - b, within the bounds? Two one-sided Welch t tests (TOST).

    With one bound infinite it is a test of non-inferiority: ``(-3, inf)`` asks whether a is at most 3 below b.
    p is the larger of the two one-sided p-values.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    bounds : (low, high) in the unit of the values, low < high; one may be infinite
    alpha : float, between 0 and 0.5

    Returns
    -------
    Equivalence
        Not shown is not the same as different. NaN and notes as in `welch`.

    Raises
    ------
    ValueError
        As `welch`, and where bounds or alpha are not as above.

    Source: Schuirmann (1987), J Pharmacokinet Biopharm 15:657-680.

    >>> days = np.array([29.0, 32, 28, 30, 33, 30, 29, 32, 31, 30])
    >>> found = equivalent_means(days, np.repeat([0, 1], 5), [(0, 1)], (-4, 4))
    >>> found.low.round(3), found.high.round(3), found.p_value.round(5), found.shown
    (array([-2.044]), array([2.044]), array([0.0043]), array([ True]))
    """
    _check(bounds, alpha)
    return equivalent(welch(values, group, pairs, conf_level=1 - 2 * alpha), bounds, alpha=alpha)


def equivalent(difference: Contrast, bounds: tuple[float, float], *, alpha: float = 0.05) -> Equivalence:
    """Are differences within the bounds? Two one-sided tests from their own limits, adjusted or clustered ones too.

    Parameters
    ----------
    difference : Contrast of level 1 - 2 alpha with t or normal limits around the estimate (not a ratio, not by score)
    bounds, alpha : as in `equivalent_means`

    Returns
    -------
    Equivalence
        NaN and notes as in the difference.

    Raises
    ------
    ValueError
        Where bounds or alpha are not as above.

    Source: Schuirmann (1987), J Pharmacokinet Biopharm 15:657-680.

    >>> days = np.array([29.0, 32, 28, 30, 33, 30, 29, 32, 31, 30])
    >>> difference = welch(days, np.repeat([0, 1], 5), [(0, 1)], conf_level=0.9)
    >>> equivalent(difference, (-4, 4)).p_value.round(5)
    array([0.0043])
    """
    low, high = _check(bounds, alpha)
    normal = np.isnan(difference.df) & ~np.isnan(difference.low)
    df = np.where(normal, np.inf, difference.df)
    error = (difference.high - difference.low) / 2 / t_quantile(df, 1 - 2 * alpha)
    one_sided = [_t_tail(sign * (difference.estimate - bound) / error, df) for bound, sign in ((low, 1), (high, -1))]
    return _equivalence(difference, one_sided, alpha, f"{difference.method}, two one-sided tests")


def equivalent_risks(
    successes: np.ndarray,
    n: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    bounds: tuple[float, float],
    *,
    alpha: float = 0.05,
) -> Equivalence:
    """Is the difference of two proportions, a - b, within the bounds? Two one-sided score tests.

    With one bound infinite it is a test of non-inferiority: ``(-0.1, inf)`` asks whether a is at most 10
    percentage points below b. The tests are Farrington and Manning's (Miettinen and Nurminen's variance).

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    bounds : (low, high) as differences of shares within -1..1, low < high; one may be infinite
    alpha : float, between 0 and 0.5

    Returns
    -------
    Equivalence
        Not shown is not the same as different. NaN and notes as in `score_risk_difference`.

    Raises
    ------
    ValueError
        As `score_risk_difference`, and where bounds or alpha are not as above.

    Source: Farrington and Manning (1990), Stat Med 9:1447-1454; Miettinen and Nurminen (1985).

    >>> found = equivalent_risks(np.array([83, 85]), np.array([100, 100]), [(0, 1)], (-0.15, np.inf))
    >>> found.low.round(4), found.p_value.round(4), found.shown
    (array([-0.1069]), array([0.0077]), array([ True]))
    """
    from scipy.special import ndtr

    low, high = _check(bounds, alpha)
    if max(abs(bound) for bound in bounds if np.isfinite(bound)) >= 1:
        raise ValueError(f"bounds are {bounds}, but differences of shares lie within -1 and 1")
    found = score_risk_difference(successes, n, pairs, conf_level=1 - 2 * alpha)
    counts, n_pairs = pair_counts(successes, n, pairs)
    one_sided = []
    for bound, sign in ((low, 1), (high, -1)):
        z = difference_score(counts, np.full(n_pairs, bound)) if np.isfinite(bound) else np.full(n_pairs, sign * np.inf)
        one_sided.append(np.where(np.isnan(found.estimate), np.nan, ndtr(-sign * z)))
    return _equivalence(found, one_sided, alpha, "Miettinen-Nurminen score, two one-sided tests")


def _equivalence(found, one_sided: list[np.ndarray], alpha: float, method: str) -> Equivalence:
    p_value = np.maximum(*one_sided)
    note = np.where(np.isnan(p_value) | warns(found.note), found.note, "").astype(object)
    return Equivalence(found.estimate, found.low, found.high, p_value, p_value < alpha, method, note)


def _t_tail(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """P(T > t)."""
    from scipy.special import stdtr

    return stdtr(df, -t)


def _check(bounds: tuple[float, float], alpha: float) -> tuple[float, float]:
    low, high = (float(bound) for bound in bounds)
    if not low < high or (np.isinf(low) and np.isinf(high)):
        raise ValueError(f"bounds are {bounds}, but must be (low, high) with at most one of them infinite")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}, but must lie between 0 and 0.5, such as 0.05")
    return low, high
