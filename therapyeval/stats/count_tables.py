"""Tests of counts: independence, trend, paired answers, and one effect over several strata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from therapyeval.stats.contrasts import Contrast, check_pairs, no_contrast
from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.inputs import check_counts, check_level, check_values, make_notes
from therapyeval.stats.intervals import check_shares, proportion
from therapyeval.stats.joint_test import JointTest, chi_square_test, no_test

EFFECTS = ("odds_ratio", "risk_ratio", "risk_difference")
NO_STRATUM = "no stratum has both groups and both outcomes"


def chi_square(table: np.ndarray) -> JointTest:
    """Pearson's test that rows and columns of a table of counts are independent, without correction.

    Parameters
    ----------
    table : array of int (rows, columns); empty rows and columns are left out

    Returns
    -------
    JointTest
        Chi-square, rough where an expected count is below five (`fisher` is exact for two proportions). Fewer
        than two rows or columns with counts give NaN and a note.

    Raises
    ------
    ValueError
        Where the table has not two dimensions or a count is missing, negative or not whole.

    Source: Pearson (1900), Phil Mag 50:157-175; as R ``chisq.test(correct = FALSE)``.

    >>> test = chi_square(np.array([[12, 8, 5], [7, 9, 14]]))
    >>> round(test.statistic, 4), test.df, round(test.p_value, 4)
    (5.2264, 2.0, 0.0733)
    """
    table = np.asarray(table)
    if table.ndim != 2:
        raise ValueError(f"table must have two dimensions, not {table.ndim}")
    counts = check_counts(table.ravel(), "table").reshape(table.shape)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return no_test("Pearson chi-square", "needs two rows and two columns with counts")
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    df = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return chi_square_test(((counts - expected) ** 2 / expected).sum(), df, "Pearson chi-square")


def trend(successes: np.ndarray, n: np.ndarray, scores: np.ndarray) -> JointTest:
    """Cochran and Armitage's test that shares rise or fall with the scores of the groups.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group; units independent
    scores : array of float, the place of each group, such as its dose; 0, 1, 2 for steps alike

    Returns
    -------
    JointTest
        Chi-square with one degree of freedom. The same outcome for every unit, or one score only, give NaN and
        a note.

    Raises
    ------
    ValueError
        Where lengths differ, not 0 <= successes <= n or a score is missing.

    Source: Armitage (1955), Biometrics 11:375-386; as R ``prop.trend.test``.

    >>> test = trend(np.array([83, 90, 129, 70]), np.array([86, 93, 136, 82]), np.arange(4))
    >>> round(test.statistic, 4), round(test.p_value, 6)
    (8.2249, 0.004132)
    """
    successes, n = check_shares(successes, n)
    scores, method = check_values(scores, "scores"), "Cochran-Armitage trend"
    if len(scores) != len(n):
        raise ValueError(f"scores has {len(scores)} entries, but there are {len(n)} groups")
    total = n.sum()
    if total == 0 or successes.sum() in (0, total):
        return no_test(method, "every unit has the same outcome")
    share, center = successes.sum() / total, (n * scores).sum() / total
    spread = (n * (scores - center) ** 2).sum()
    if spread <= 1e-14 * (n * scores**2).sum():
        return no_test(method, "needs two groups with different scores")
    slope = ((scores - center) * (successes - n * share)).sum()
    return chi_square_test(slope**2 / (share * (1 - share) * spread), 1, method)


def mcnemar(
    first_only: np.ndarray, second_only: np.ndarray, *, exact: bool = True, conf_level: float = 0.95
) -> Contrast:
    """Paired yes/no answers: odds ratios of "yes" the first against the second time, by McNemar's test.

    Only units that changed count: the ratio is first_only / second_only. Given their number, first_only is
    binomial; ``exact`` takes Clopper and Pearson's interval and the binomial test, else Wilson's interval and
    McNemar's chi-square without correction. Either way p and interval agree.

    Parameters
    ----------
    first_only, second_only : arrays of int, one entry per comparison: units with yes only the first or only
        the second time
    exact : bool
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios, 0 or more, infinite where nobody said yes only the second time; df is NaN. Where nobody changed
        all is NaN, and the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a count is missing, negative or not whole or conf_level lies outside (0, 1).

    Source: McNemar (1947), Psychometrika 12:153-157; Agresti (2013), Categorical Data Analysis, section 11.1.

    >>> change = mcnemar(np.array([12]), np.array([4]))
    >>> change.estimate, change.low.round(3), change.high.round(2), change.p_value.round(4)
    (array([3.]), array([0.909]), array([12.76]), array([0.0768]))
    """
    from scipy.special import bdtr, betaincinv, chdtrc

    first, second = check_counts(first_only, "first_only"), check_counts(second_only, "second_only")
    level, n = check_level(conf_level), first + second
    if len(first) != len(second):
        raise ValueError(f"first_only has {len(first)} entries and second_only has {len(second)}")
    tail, some = (1 - level) / 2, np.maximum(n, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if exact:
            low = np.where(first == 0, 0.0, betaincinv(np.maximum(first, 1), second + 1, tail))
            high = np.where(second == 0, 1.0, betaincinv(first + 1, np.maximum(second, 1), 1 - tail))
            p_value = np.minimum(1, 2 * bdtr(np.minimum(first, second), some.astype(int), 0.5))
        else:
            share = proportion(first, n, conf_level=level)
            low, high, p_value = share.low, share.high, chdtrc(1, (first - second) ** 2 / some)
        numbers = first / second, low / (1 - low), high / (1 - high), p_value, np.full(len(n), np.nan)
    method = "McNemar, " + ("exact binomial, Clopper-Pearson" if exact else "chi-square, Wilson")
    note = make_notes(len(n), (n == 0, "no unit changed"))
    return Contrast(*(np.where(n == 0, np.nan, part) for part in numbers), method, note)


def mantel_haenszel(
    successes: np.ndarray,
    n: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    effect: str = "odds_ratio",
    conf_level: float = 0.95,
) -> Contrast:
    """One effect of group on a yes/no outcome over several strata, taken as the same in each.

    p is Cochran, Mantel and Haenszel's test without continuity correction, whatever the effect.

    Parameters
    ----------
    successes, n : arrays of int (strata, groups); units independent
    pairs : list of (code_a, code_b), columns of the arrays
    effect : "odds_ratio" or "risk_ratio" (a / b), or "risk_difference" (a - b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        df is NaN. Strata in which one group is empty add nothing. Where no stratum has both groups and both
        outcomes, or a ratio has nothing in its numerator or denominator, NaN and a note.

    Raises
    ------
    ValueError
        Where shapes differ or have not two dimensions, not 0 <= successes <= n, a pair is not two different
        columns, the effect is unknown or conf_level lies outside (0, 1).

    Source: Mantel and Haenszel (1959), J Natl Cancer Inst 22:719-748; variances of Robins, Breslow and Greenland
    (1986), Greenland and Robins (1985) and, for the difference, Sato (1989), Biometrics 45:1323-1324.

    >>> successes, n = np.array([[8, 3], [20, 9]]), np.array([[20, 22], [30, 28]])
    >>> common = mantel_haenszel(successes, n, [(0, 1)])
    >>> common.estimate.round(3), common.low.round(3), common.high.round(3)
    (array([4.222]), array([1.737]), array([10.265]))
    """
    if effect not in EFFECTS:
        raise ValueError(f"effect is {effect!r}, but must be one of {', '.join(EFFECTS)}")
    shape = np.shape(n)
    if len(shape) != 2 or np.shape(successes) != shape:
        raise ValueError("successes and n must have the same two dimensions: strata and groups")
    flat_successes, flat_n = check_shares(np.ravel(successes), np.ravel(n))
    successes, n = flat_successes.reshape(shape), flat_n.reshape(shape)
    a, b = check_pairs(pairs)
    if max(a.max(initial=-1), b.max(initial=-1)) >= shape[1]:
        raise ValueError(f"pairs name a group beyond the {shape[1]} columns")
    level, method = check_level(conf_level), f"Mantel-Haenszel {effect.replace('_', ' ')}"
    parts = [_one_pair(successes[:, [i, j]], n[:, [i, j]], effect, level, method) for i, j in zip(a, b, strict=True)]
    names = ("estimate", "low", "high", "p_value", "df", "note")
    joined = {name: np.array([getattr(part, name)[0] for part in parts]) for name in names}
    return Contrast(**{**joined, "note": joined["note"].astype(object)}, method=method)


def _one_pair(successes: np.ndarray, n: np.ndarray, effect: str, level: float, method: str) -> Contrast:
    both = (n > 0).all(axis=1)
    (x1, x2), (n1, n2) = successes[both].T, n[both].T
    total, size = x1 + x2, n1 + n2
    mixed = np.where(size > 1, n1 * n2 * total * (size - total) / (size**2 * np.maximum(size - 1, 1)), 0)
    if not mixed.sum() > 0:
        return no_contrast(1, method, NO_STRATUM)
    estimate, error = _EFFECT[effect](x1, n1, x2, n2, size)
    if not np.isfinite(estimate):
        return no_contrast(1, method, "a group has no unit with, or none without, the outcome: no ratio")
    is_ratio = effect != "risk_difference"
    z = normal_quantile(level) * error
    numbers = (np.exp(part) if is_ratio else part for part in (estimate, estimate - z, estimate + z))
    statistic = (x1 - n1 * total / size).sum() ** 2 / mixed.sum()
    p_value, none = chi_square_test(statistic, 1, "").p_value, np.array([np.nan])
    one = (np.array([part]) for part in (*numbers, p_value))
    return Contrast(*one, none, method, np.array([""], dtype=object))


def _log_odds(x1, n1, x2, n2, size) -> tuple[float, float]:
    r, s = x1 * (n2 - x2) / size, x2 * (n1 - x1) / size
    p, q = (x1 + n2 - x2) / size, (x2 + n1 - x1) / size
    with np.errstate(divide="ignore", invalid="ignore"):
        big_r, big_s = r.sum(), s.sum()
        variance = ((p * r).sum() / big_r**2 + (p * s + q * r).sum() / (big_r * big_s) + (q * s).sum() / big_s**2) / 2
        return np.log(big_r / big_s), np.sqrt(variance)


def _log_risk(x1, n1, x2, n2, size) -> tuple[float, float]:
    r, s = (x1 * n2 / size).sum(), (x2 * n1 / size).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = ((n1 * n2 * (x1 + x2) - x1 * x2 * size) / size**2).sum() / (r * s)
        return np.log(r / s), np.sqrt(variance)


def _risk_gap(x1, n1, x2, n2, size) -> tuple[float, float]:
    weight = (n1 * n2 / size).sum()
    gap = ((x1 * n2 - x2 * n1) / size).sum() / weight
    p = (n1**2 * x2 - n2**2 * x1 + n1 * n2 * (n2 - n1) / 2) / size**2
    q = (x1 * (n2 - x2) + x2 * (n1 - x1)) / (2 * size)
    return gap, np.sqrt(gap * p.sum() + q.sum()) / weight


_EFFECT = {"odds_ratio": _log_odds, "risk_ratio": _log_risk, "risk_difference": _risk_gap}
