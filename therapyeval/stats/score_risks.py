"""Two risks compared by score intervals: difference, ratio, odds ratio and number needed to treat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs
from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.inputs import check_level, make_notes
from therapyeval.stats.intervals import check_shares

SAME = "every unit has the same outcome"
_REACH = 60.0  # logarithm of the largest ratio searched for
_TINY = 1e-300


@dataclass(frozen=True)
class NumberNeeded:
    """Numbers needed to treat, one entry per contrast: positive for benefit, negative for harm.

    Where ``through_infinity`` the interval is everything from ``low`` up to infinity, and from minus infinity
    up to ``high``: the data fit a benefit to one in ``low``, no effect, and a harm to one in ``-high``.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    through_infinity: np.ndarray


@dataclass(frozen=True)
class PairCounts:
    """Successes and sizes of the two groups of each pair."""

    x1: np.ndarray
    n1: np.ndarray
    x2: np.ndarray
    n2: np.ndarray


def score_risk_difference(
    successes: np.ndarray, n: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Differences of two proportions, a - b, with Miettinen and Nurminen's score interval.

    Limits are the differences that the score test does not refuse, so p and interval always agree. The
    test's variance is that of the most likely proportions with that difference, times N / (N - 1).

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Differences of shares, from -1 to 1; df is NaN. A group with n = 0, or a code beyond the arrays, gives
        NaN. Where all units of both groups have the same outcome only the p-value is NaN. The note says so.

    Raises
    ------
    ValueError
        Where lengths differ, not 0 <= successes <= n, a code is negative, a pair compares a group with itself
        or conf_level lies outside (0, 1).

    Source: Miettinen and Nurminen (1985), Stat Med 4:213-226.

    >>> score = score_risk_difference(np.array([56, 48]), np.array([70, 80]), [(0, 1)])
    >>> score.estimate.round(4), score.low.round(4), score.high.round(4)
    (array([0.2]), array([0.0528]), array([0.3382]))
    """
    counts, a = pair_counts(successes, n, pairs)
    z = normal_quantile(check_level(conf_level))
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = counts.x1 / counts.n1 - counts.x2 / counts.n2
    low = np.where(estimate == -1, -1.0, _root(difference_score, counts, z, -1.0, 1.0))
    high = np.where(estimate == 1, 1.0, _root(difference_score, counts, -z, -1.0, 1.0))
    method = "Miettinen-Nurminen score"
    return _contrast(counts, estimate, low, high, difference_score(counts, np.zeros(a)), method)


def risk_ratio(
    successes: np.ndarray, n: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Ratios of two proportions, a / b, with Miettinen and Nurminen's score interval, which allows zeros.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios, 0 or more; df is NaN. No success in a gives 0 with lower limit 0, none in b infinity with upper
        limit infinity, none in both NaN and a note, as does an empty group. Where all are successes only p is
        NaN.

    Raises
    ------
    ValueError
        As `score_risk_difference`.

    Source: Miettinen and Nurminen (1985), Stat Med 4:213-226; without N / (N - 1) it is Koopman (1984).

    >>> ratio = risk_ratio(np.array([36, 16]), np.array([40, 80]), [(0, 1)])
    >>> ratio.estimate, ratio.low.round(3), ratio.high.round(3)
    (array([4.5]), array([2.935]), array([7.166]))
    """
    counts, a = pair_counts(successes, n, pairs)
    z = normal_quantile(check_level(conf_level))
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = (counts.x1 / counts.n1) / (counts.x2 / counts.n2)
    low = np.where(counts.x1 == 0, 0.0, np.exp(_root(_ratio_score, counts, z, -_REACH, _REACH)))
    high = np.where(counts.x2 == 0, np.inf, np.exp(_root(_ratio_score, counts, -z, -_REACH, _REACH)))
    undefined = (counts.x1 == 0) & (counts.x2 == 0)
    method = "Miettinen-Nurminen score"
    return _contrast(counts, estimate, low, high, _ratio_score(counts, np.zeros(a)), method, undefined)


def odds_ratio(
    successes: np.ndarray, n: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Odds ratios, a / b, with Miettinen and Nurminen's score interval, which allows zeros.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios of odds, 0 or more; df is NaN. One empty cell gives 0 or infinity with that limit; the same
        outcome for every unit, or an empty group, NaN and a note.

    Raises
    ------
    ValueError
        As `score_risk_difference`.

    Source: Miettinen and Nurminen (1985), Stat Med 4:213-226; without N / (N - 1) it is Cornfield (1956).

    >>> ratio = odds_ratio(np.array([9, 3]), np.array([10, 10]), [(0, 1)])
    >>> ratio.estimate, ratio.low.round(3), ratio.high.round(3)
    (array([21.]), array([2.022]), array([189.622]))
    """
    counts, a = pair_counts(successes, n, pairs)
    z = normal_quantile(check_level(conf_level))
    won, lost = counts.x1 * (counts.n2 - counts.x2), counts.x2 * (counts.n1 - counts.x1)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = won / lost
    low = np.where(won == 0, 0.0, np.exp(_root(_odds_score, counts, z, -_REACH, _REACH)))
    high = np.where(lost == 0, np.inf, np.exp(_root(_odds_score, counts, -z, -_REACH, _REACH)))
    score = _odds_score(counts, np.zeros(a))
    return _contrast(counts, estimate, low, high, score, "Miettinen-Nurminen score", (won == 0) & (lost == 0))


def number_needed(difference: Contrast) -> NumberNeeded:
    """Numbers needed to treat, 1 / risk difference, whose interval goes through infinity where it must.

    Parameters
    ----------
    difference : Contrast of risks, a - b, where more of a is better (else change the sign first)

    Returns
    -------
    NumberNeeded
        1 / estimate, infinite for no difference; ``low`` = 1 / upper limit, ``high`` = 1 / lower limit of the
        difference. Where the difference's interval holds 0, ``low`` is a number needed for benefit, ``high``
        one for harm, and infinity lies between. NaN stays NaN.

    Source: Altman (1998), BMJ 317:1309-1312.

    >>> difference = score_risk_difference(np.array([12, 9]), np.array([40, 40]), [(0, 1)])
    >>> needed = number_needed(difference)
    >>> needed.estimate.round(1), needed.low.round(1), needed.high.round(1), needed.through_infinity
    (array([13.3]), array([3.8]), array([-8.3]), array([ True]))
    """
    with np.errstate(divide="ignore"):
        estimate, low, high = (1 / (np.abs(part) * np.where(part < 0, -1, 1)) for part in
                               (difference.estimate, difference.high, difference.low))
    with np.errstate(invalid="ignore"):
        through = (difference.low <= 0) & (difference.high >= 0)
    return NumberNeeded(estimate, low, np.where(np.isinf(high), -high, high), through)


def pair_counts(successes: np.ndarray, n: np.ndarray, pairs: Sequence[tuple[int, int]]) -> tuple[PairCounts, int]:
    """Counts of each pair (0 of 0 for codes beyond the arrays) and the number of pairs."""
    successes, n = check_shares(successes, n)
    a, b = check_pairs(pairs)
    beyond = np.zeros(max(int(max(a.max(initial=-1), b.max(initial=-1))) + 1 - len(n), 0))
    successes, n = np.r_[successes, beyond], np.r_[n, beyond]
    return PairCounts(successes[a], n[a], successes[b], n[b]), len(a)


def _contrast(counts, estimate, low, high, score, method, undefined=None) -> Contrast:
    """Estimates, limits and the p-value of the score for no difference; notes for what is undefined."""
    from scipy.special import ndtr

    total, size = counts.x1 + counts.x2, counts.n1 + counts.n2
    rules = [((counts.n1 == 0) | (counts.n2 == 0), NO_GROUP)]
    if undefined is not None:
        rules.append((undefined, f"{SAME}: no ratio"))
    blank = make_notes(len(total), *rules) != ""
    note = make_notes(len(total), *rules, ((total == 0) | (total == size), f"no p-value: {SAME}"))
    p_value = np.where(note == "", 2 * ndtr(-np.abs(np.where(note == "", score, 0.0))), np.nan)
    estimate, low, high = (np.where(blank, np.nan, part) for part in (estimate, low, high))
    return Contrast(estimate, low, high, p_value, np.full(len(total), np.nan), method, note)


def _root(score: Callable, counts: PairCounts, target: float, low: float, high: float) -> np.ndarray:
    """Where a score that falls from ``low`` to ``high`` crosses the target, by halving for all pairs at once."""
    left, right = np.full(len(counts.n1), low), np.full(len(counts.n1), high)
    for _ in range(64):
        middle = (left + right) / 2
        above = score(counts, middle) > target
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    return (left + right) / 2


def _scaled(gap: np.ndarray, variance: np.ndarray, counts: PairCounts) -> np.ndarray:
    n = counts.n1 + counts.n2
    with np.errstate(invalid="ignore", divide="ignore"):
        return gap / np.sqrt(np.maximum(variance, _TINY) * n / (n - 1))


def difference_score(counts: PairCounts, difference: np.ndarray) -> np.ndarray:
    """(observed - difference) / its standard error where the difference is true; the cubic's middle root."""
    x1, n1, x2, n2 = counts.x1, counts.n1, counts.x2, counts.n2
    n = n1 + n2
    with np.errstate(invalid="ignore", divide="ignore"):
        c2 = (n1 + 2 * n2) * difference - n - x1 - x2
        c1 = (n2 * difference - n - 2 * x2) * difference + x1 + x2
        c0 = x2 * difference * (1 - difference)
        q = (c2 / (3 * n)) ** 3 - c1 * c2 / (6 * n**2) + c0 / (2 * n)
        p = np.where(q >= 0, 1, -1) * np.sqrt(np.maximum((c2 / (3 * n)) ** 2 - c1 / (3 * n), 0))
        angle = (np.pi + np.arccos(np.clip(np.where(p == 0, 0, q / p**3), -1, 1))) / 3
        share2 = np.clip(2 * p * np.cos(angle) - c2 / (3 * n), 0, 1)
        share1 = np.clip(share2 + difference, 0, 1)
        variance = share1 * (1 - share1) / n1 + share2 * (1 - share2) / n2
        return _scaled(x1 / n1 - x2 / n2 - difference, variance, counts)


def _ratio_score(counts: PairCounts, log_ratio: np.ndarray) -> np.ndarray:
    x1, n1, x2, n2 = counts.x1, counts.n1, counts.x2, counts.n2
    ratio = np.exp(log_ratio)
    with np.errstate(invalid="ignore", divide="ignore"):
        b, c = ratio * n1 + x1 + n2 + ratio * x2, x1 + x2
        share2 = np.clip(2 * c / (b + np.sqrt(np.maximum(b * b - 4 * (n1 + n2) * ratio * c, 0))), 0, 1)
        share1 = np.clip(ratio * share2, 0, 1)
        variance = share1 * (1 - share1) / n1 + ratio**2 * share2 * (1 - share2) / n2
        return _scaled(x1 / n1 - ratio * x2 / n2, variance, counts)


def _odds_score(counts: PairCounts, log_ratio: np.ndarray) -> np.ndarray:
    x1, n1, x2, n2 = counts.x1, counts.n1, counts.x2, counts.n2
    ratio = np.exp(log_ratio)
    with np.errstate(invalid="ignore", divide="ignore"):
        b, c = n1 * ratio + n2 - (x1 + x2) * (ratio - 1), x1 + x2
        share2 = 2 * c / (b + np.sqrt(np.maximum(b * b + 4 * n2 * (ratio - 1) * c, 0)))
        share1 = share2 * ratio / (1 + share2 * (ratio - 1))
        information = 1 / (n1 * share1 * (1 - share1)) + 1 / (n2 * share2 * (1 - share2))
        return _scaled(x1 - n1 * share1, 1 / information, counts)
