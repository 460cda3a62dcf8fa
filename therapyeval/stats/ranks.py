"""Differences of location by ranks: Mann-Whitney with Hodges-Lehmann shift, Wilcoxon signed rank."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes
from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.few import warned
from therapyeval.stats.inputs import check_codes, check_level, check_values
from therapyeval.stats.skewness import NOT_THE_MEAN, central_moments, is_skewed
from therapyeval.stats.summaries import means
from therapyeval.stats.two_groups import check_differences

EXACT_LIMIT = 100  # units: beyond, the normal approximation is good to three digits and the exact count slow
DIFFERENCES_LIMIT = 20_000_000
TIES = "tied values: no exact distribution, use exact=False or permutation()"
TOO_FEW = "too few values for an interval at this level"
TOO_MANY = f"more than {EXACT_LIMIT} units: use exact=False"


def mann_whitney(
    values: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    exact: bool = False,
    conf_level: float = 0.95,
) -> Contrast:
    """Shifts of location, a - b, by the Mann-Whitney (Wilcoxon rank sum) test with Hodges-Lehmann estimates.

    The estimate is the median of all differences between a value of a and one of b. Limits are those shifts
    that the test does not refuse. It is a shift only where both groups have the same shape; else read it as
    the typical difference between two units.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    exact : True for the exact distribution (no ties, 100 units at most), False for the normal approximation
        with corrections for ties and continuity
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the values; df is NaN. A group without values, ties with ``exact``, or too few values
        for the level give NaN (in the estimate, all but the estimate, or the limits), and the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is negative, a pair compares a group with itself,
        conf_level lies outside (0, 1), or a pair has more than 20 million differences.

    Complexity: n_a * n_b for each pair.

    Source: Mann and Whitney (1947), Ann Math Stat 18:50-60; Hodges and Lehmann (1963), Ann Math Stat
    34:598-611; Hollander and Wolfe (1999), section 4.3; as R ``wilcox.test(conf.int = TRUE)``, whose estimate
    under the normal approximation is a numeric root that lies beside the median of the differences.

    >>> days = np.array([29.0, 42, 38, 40, 43, 26, 32, 21, 20])
    >>> shift = mann_whitney(days, np.repeat([0, 1], [5, 4]), [(0, 1)], exact=True)
    >>> shift.estimate, shift.low, shift.high, shift.p_value.round(5)
    (array([15.]), array([3.]), array([22.]), array([0.03175]))
    """
    values, level = check_values(values), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(values), n_groups=n_codes(group, a, b))
    rows = [_shift(values[group == one], values[group == two], exact, level) for one, two in zip(a, b, strict=True)]
    return _rank_contrast(rows, "Mann-Whitney, Hodges-Lehmann", exact)


def signed_rank(
    first: np.ndarray,
    second: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    *,
    exact: bool = False,
    conf_level: float = 0.95,
) -> Contrast:
    """Typical differences first - second of the same units, in many groups at once, by Wilcoxon's signed rank.

    The estimate is the pseudomedian: the median of the means of all pairs of differences (each also with
    itself). Differences of zero are left out, as in R and in Wilcoxon's paper. It is about the mean only where the
    differences are symmetric: with 20 skewed ones (exponential) simulated 95% limits hold their mean in 87%. The note
    says where they show it.

    Parameters
    ----------
    first, second : arrays of float, without NaN; one entry per unit each, units independent
    group : array of int, one code 0..n_groups-1 per unit
    n_groups : int
    exact : True for the exact distribution (no zero, no ties, 100 units at most), False for the normal
        approximation with corrections for ties and continuity
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        One entry per group, in the unit of the values; df is NaN. A group without a difference other than
        zero gives NaN; ties or zeros with ``exact``, or too few values for the level, leave out numbers as in
        `mann_whitney`, and the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code lies outside 0..n_groups-1, conf_level outside
        (0, 1), or a group has more than 20 million pairs of differences.

    Source: Wilcoxon (1945), Biometrics Bull 1:80-83; Hollander and Wolfe (1999), section 3.3; as R
    ``wilcox.test(paired = TRUE, conf.int = TRUE)``.

    >>> gain = np.array([5.0, 2, 9, -1, 6, 12])
    >>> typical = signed_rank(gain, np.zeros(6), np.zeros(6, dtype=int), 1, exact=True)
    >>> typical.estimate, typical.low, typical.high, typical.p_value
    (array([5.5]), array([-1.]), array([12.]), array([0.0625]))
    """
    difference, level = check_differences(first, second), check_level(conf_level)
    group = check_codes(group, len(difference), n_groups=n_groups)
    rows = [_pseudomedian(difference[group == code], exact, level) for code in range(n_groups)]
    found = _rank_contrast(rows, "Wilcoxon signed rank, pseudomedian", exact)
    gaps = difference - means(difference, group, n_groups)[group]
    return warned(found, NOT_THE_MEAN, is_skewed(central_moments(gaps, group, n_groups)))


def _rank_contrast(rows: list[tuple], name: str, exact: bool) -> Contrast:
    """Rows of (estimate, low, high, p, note) as one Contrast."""
    numbers = np.array([row[:4] for row in rows], dtype=float).reshape(-1, 4).T
    note = np.array([row[4] for row in rows] + [None], dtype=object)[:-1]
    method = f"{name}, {'exact' if exact else 'normal approximation with ties and continuity correction'}"
    return Contrast(*numbers, np.full(len(rows), np.nan), method, note)


def _shift(x: np.ndarray, y: np.ndarray, exact: bool, level: float) -> tuple:
    m, n = len(x), len(y)
    if not m or not n:
        return (np.nan,) * 4 + (NO_GROUP,)
    steps = _sorted_differences(x, y)
    estimate, above, equal = float(np.median(steps)), (steps > 0).sum(), (steps == 0).sum()
    if exact:
        tied = len(np.unique(np.r_[x, y])) < m + n
        if tied or m + n > EXACT_LIMIT:
            return (estimate,) + (np.nan,) * 3 + (TIES if tied else TOO_MANY,)
        return _exact_row(estimate, steps, _rank_sum_shares(m, n), int(above), level)

    def variance(*parts: np.ndarray) -> float:
        counts = np.concatenate([np.unique(part, return_counts=True)[1] for part in parts])
        return m * n / 12 * ((m + n + 1) - (counts**3 - counts).sum() / ((m + n) * (m + n - 1)))

    score = above + equal / 2 - m * n / 2
    return _normal_row(estimate, steps, score, variance(np.r_[x, y]), variance(x, y), level)


def _pseudomedian(difference: np.ndarray, exact: bool, level: float) -> tuple:
    from scipy.stats import rankdata

    used = difference[difference != 0]
    n = len(used)
    if not n:
        return (np.nan,) * 4 + ("no unit has a difference other than zero",)
    if n > 6000:
        raise ValueError("signed_rank() takes at most 6000 units per group (20 million pairs of differences)")
    one, two = np.triu_indices(n)
    steps = np.sort((used[one] + used[two]) / 2)
    estimate, size = float(np.median(steps)), np.abs(used)
    if exact:
        tied = len(np.unique(size)) < n or n < len(difference)
        if tied or n > EXACT_LIMIT:
            note = "tied or zero differences: no exact distribution, use exact=False" if tied else TOO_MANY
            return (estimate,) + (np.nan,) * 3 + (note,)
        return _exact_row(estimate, steps, _signed_rank_shares(n), int((steps > 0).sum()), level)

    def variance(part: np.ndarray) -> float:
        counts = np.unique(part, return_counts=True)[1]
        return n * (n + 1) * (2 * n + 1) / 24 - (counts**3 - counts).sum() / 48

    score = rankdata(size)[used > 0].sum() - n * (n + 1) / 4
    return _normal_row(estimate, steps, score, variance(size), variance(used), level)


def _sorted_differences(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if len(x) * len(y) > DIFFERENCES_LIMIT:
        raise ValueError(f"mann_whitney() takes at most {DIFFERENCES_LIMIT:,} differences between two groups")
    return np.sort(np.subtract.outer(x, y), axis=None)


def _exact_row(estimate: float, steps: np.ndarray, shares: np.ndarray, score: int, level: float) -> tuple:
    """Limits are order statistics of the differences: at the quantile of the statistic, as R has them."""
    below = np.cumsum(shares)
    p_value = min(1.0, 2 * min(below[score], below[len(steps) - score]))     # the distribution is symmetric
    rank = int(np.searchsorted(below, (1 - level) / 2 * (1 - 1e-12)))
    if rank == 0:
        return estimate, np.nan, np.nan, p_value, TOO_FEW
    return estimate, steps[rank - 1], steps[-rank], p_value, ""


def _normal_row(
    estimate: float, steps: np.ndarray, score: float, variance: float, free_variance: float, level: float
) -> tuple:
    """Test and limits; away from the differences themselves only ties within a group change the spread."""
    from scipy.special import ndtr

    if variance <= 0 or free_variance <= 0:
        return estimate, np.nan, np.nan, np.nan, "every value is the same: no test"
    p_value = min(1.0, 2 * ndtr(-np.abs(score - np.sign(score) * 0.5) / np.sqrt(variance)))
    reach = normal_quantile(level) * np.sqrt(free_variance) + 0.5
    rank = max(ceil(len(steps) / 2 - reach - 1e-9), 1)
    return estimate, steps[rank - 1], steps[-rank], float(p_value), ""


def _rank_sum_shares(m: int, n: int) -> np.ndarray:
    """Probability of each value 0..m*n of the Mann-Whitney statistic."""
    table = [np.ones(1) for _ in range(n + 1)]
    for i in range(1, m + 1):
        row = [np.ones(1)]
        for j in range(1, n + 1):
            ways = np.zeros(i * j + 1)
            ways[j:] += table[j]
            ways[: i * (j - 1) + 1] += row[j - 1]
            row.append(ways)
        table = row
    return table[n] / comb(m + n, m)


def _signed_rank_shares(n: int) -> np.ndarray:
    """Probability of each value 0..n(n+1)/2 of the signed rank statistic."""
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = (np.r_[ways, np.zeros(rank)] + np.r_[np.zeros(rank), ways]) / 2
    return ways
