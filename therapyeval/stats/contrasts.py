"""Comparisons of groups: differences of means, of proportions and of adjusted means; and what all comparisons share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.critical_values import normal_quantile, t_p_value, t_quantile
from therapyeval.stats.few import warned
from therapyeval.stats.inputs import check_cluster, check_codes, check_level, check_values, make_notes
from therapyeval.stats.intervals import check_shares, proportion
from therapyeval.stats.skewness import LOPSIDED, central_moments, is_lopsided
from therapyeval.stats.summaries import means, n_distinct, sd
from therapyeval.stats.variances import CLUSTERED, VARIANCES

if TYPE_CHECKING:
    import pandas as pd

NO_GROUP = "a group has no value"
ALIKE = "no variation within the groups: no interval"


@dataclass(frozen=True)
class Contrast:
    """Differences a - b between groups, or ratios a / b where the function says so; one entry per pair (a, b).

    ``df`` is NaN where no t distribution is used. ``note`` is "" or says why a number is NaN, or warns of numbers that
    stand. The last two are for `pool`. ``scale`` is where the limits are the estimate -/+ t or z standard errors,
    "identity" or "log"; "" where they are made otherwise (ranks, exact, score, profile). ``df_residual`` is what the
    data leave beyond the coefficients where the limits have z; NaN where that is not known.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    df: np.ndarray
    method: str
    note: np.ndarray
    scale: str = ""
    df_residual: float = np.nan

    def part(self, rows: slice | Sequence[int]) -> Contrast:
        """The same of some of its pairs."""
        arrays = ("estimate", "low", "high", "p_value", "df", "note")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def as_ratios(self) -> Contrast:
        """Differences of logarithms as ratios."""
        with np.errstate(over="ignore"):         # a limit beyond 1e308 is infinite
            numbers = {name: np.exp(getattr(self, name)) for name in ("estimate", "low", "high")}
        return replace(self, **numbers, scale="log")


def welch(
    values: np.ndarray, group: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Differences of two means, a - b, by Welch's t, which does not assume equal spread.

    Simulated 95% limits hold from 8 people in a group on, also with skewed values or a ceiling, where the groups have
    about one size. Not for skewed values in groups of unlike size: with 10 and 40 people they hold 93%, and 90% where
    the small group also has twice the SD. The note says where the values show it: use `mann_whitney` or `permutation`.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the values. A group without values gives NaN; a group with one value, or two groups
        without any spread, give the difference without limits. The note says so, and where skewness is strong
        and the two groups do not cancel it.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is negative, a pair compares a group with itself or
        conf_level lies outside (0, 1).

    Source: Welch (1947), Biometrika 34:28-35.

    >>> days = np.array([29.0, 42, 38, 40, 43, 40, 30, 42, 26, 32, 21, 20, 23, 22])
    >>> fitness = np.repeat([0, 1], [8, 6])
    >>> below_above = welch(days, fitness, [(0, 1)])
    >>> below_above.estimate, below_above.low.round(3), below_above.df.round(2)
    (array([14.]), array([8.222]), array([11.88]))
    """
    values, level = check_values(values), check_level(conf_level)
    a, b = check_pairs(pairs)
    n_groups = n_codes(group, a, b)
    group = check_codes(group, len(values), n_groups=n_groups)
    n = np.bincount(group, minlength=n_groups)
    center, scale = means(values, group, n_groups), means(np.abs(values), group, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = sd(values, group, n_groups) ** 2 / n
        variance = square[a] + square[b]
        df = variance**2 / (square[a] ** 2 / (n[a] - 1) + square[b] ** 2 / (n[b] - 1))
        flat = np.sqrt(variance) <= 10 * np.finfo(float).eps * np.maximum(scale[a], scale[b])
    note = make_notes(
        len(a),
        ((n[a] == 0) | (n[b] == 0), NO_GROUP),
        ((n[a] == 1) | (n[b] == 1), "needs two values in each group for an interval"),
        (flat, ALIKE),
    )
    found = t_contrast(center[a] - center[b], np.sqrt(variance), df, level, "Welch t", note)
    moments = central_moments(values - center[group], group, n_groups)
    return warned(found, LOPSIDED, is_lopsided(moments.of(a), moments.of(b)))


def risk_difference(
    successes: np.ndarray, n: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Differences of two proportions, a - b, with Newcombe's hybrid score interval.

    The limits join the Wilson limits of the two groups (Newcombe's method 10, no continuity correction). They
    have no test that matches them exactly; the p-value is the score test's, Pearson's chi-square without
    correction, so in rare close calls it may disagree with the interval about zero. It is rough where a group
    has fewer than five expected successes or failures. Simulated limits hold 95% or more; the test rejects up to 6%.

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

    Source: Newcombe (1998), Stat Med 17:873-890; Pearson (1900), Phil Mag 50:157-175.

    >>> newcombe = risk_difference(np.array([56, 48]), np.array([70, 80]), [(0, 1)])
    >>> newcombe.estimate.round(4), newcombe.low.round(4), newcombe.high.round(4)
    (array([0.2]), array([0.0524]), array([0.3339]))
    """
    from scipy.special import chdtrc

    successes, n = check_shares(successes, n)
    a, b = check_pairs(pairs)
    beyond = np.zeros(max(int(max(a.max(initial=-1), b.max(initial=-1))) + 1 - len(n), 0))
    successes, n = np.r_[successes, beyond], np.r_[n, beyond]
    share = proportion(successes, n, conf_level=conf_level)
    p, low, high = share.estimate, share.low, share.high
    difference = p[a] - p[b]
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (successes[a] + successes[b]) / (n[a] + n[b])
        chi_square = difference**2 / (pooled * (1 - pooled) * (1 / n[a] + 1 / n[b]))
    same = (pooled == 0) | (pooled == 1)
    note = make_notes(
        len(a), ((n[a] == 0) | (n[b] == 0), NO_GROUP), (same, "no p-value: every unit has the same outcome")
    )
    return Contrast(
        estimate=difference,
        low=difference - np.hypot(p[a] - low[a], high[b] - p[b]),
        high=difference + np.hypot(high[a] - p[a], p[b] - low[b]),
        p_value=np.where(note == "", chdtrc(1, np.nan_to_num(chi_square)), np.nan),
        df=np.full(len(a), np.nan),
        method="Newcombe hybrid score; p from Pearson chi-square",
        note=note,
    )


def adjusted_difference(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    variance: str = "HC3",
    cluster: np.ndarray | None = None,
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of adjusted means, a - b, by least squares of the outcome on group and covariates.

    One model holds all groups. Numeric covariates enter as they are, others as one dummy per level (sorted,
    the first dropped). The t distribution has n - p degrees of freedom, with CR2 those of Bell and McCaffrey
    (Satterthwaite), as in R clubSandwich, with CR1 the number of clusters - 1. With fewer than some 40 clusters
    CR1's intervals are too narrow; it is here to compare with programs that have only that (Stata's default).
    Without covariates CR2 is the clustered difference of two means.

    Parameters
    ----------
    outcome : array of float, without NaN
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    variance : "classical" (equal spread), "HC2", "HC3" (any spread), "CR1" or "CR2" (clustered)
    cluster : array, one code per row; needed by CR1 and CR2, an error with any other variance
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the outcome. Never a number where the model does not determine it: a constant or
        collinear covariate, no more rows than coefficients, or (HC2, HC3) a row with leverage 1 give NaN in
        all pairs, and the note names the reason. CR1 and CR2 need two clusters in each group for an interval.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a covariate is a date, a pair compares a group with
        itself, the variance is unknown, or a cluster is missing or not asked for.

    Complexity: n * p^2 for the fit. CR2 adds one singular value decomposition per cluster (its rows x p),
    thousands at a time; no matrix is larger than n x p, 2048 x 2048 or 2048 x p x p.

    Source: MacKinnon and White (1985), J Econometrics 29:305-325 (HC2, HC3); Cameron and Miller (2015), J Hum
    Resour 50:317-372 (CR1); Bell and McCaffrey (2002),
    Survey Methodology 28:169-181, and Pustejovsky and Tipton (2018), J Bus Econ Stat 36:672-683 (CR2).

    >>> import pandas as pd
    >>> covariates = pd.DataFrame({"baseline": [10.0, 12, 14, 11, 13, 16, 12, 15]})
    >>> score, arm = np.array([20.0, 25, 27, 22, 20, 26, 20, 23]), np.repeat([1, 0], 4)
    >>> difference = adjusted_difference(score, arm, [(1, 0)], covariates)
    >>> difference.estimate.round(3), difference.low.round(3), difference.high.round(3)
    (array([4.91]), array([2.118]), array([7.702]))
    """
    from therapyeval.stats import linear_model

    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    cluster = _check_variance(variance, cluster, len(outcome))
    design = linear_model.make_design(group, covariates)
    method = f"least squares, {variance} standard errors{CLUSTERED.get(variance, '')}, t"
    absent = ~(np.isin(a, design.groups) & np.isin(b, design.groups))
    problem = linear_model.why_not_estimable(design, variance)
    if problem:
        blank = np.full(len(a), np.nan)
        return t_contrast(blank, blank, blank, level, method, make_notes(len(a), (blank != 0, problem)))
    fit = linear_model.least_squares(design, outcome)
    estimate, error, df = linear_model.differences(fit, design, a, b, variance, cluster)
    note = make_notes(
        len(a),
        (absent, NO_GROUP),
        (lonely(group, cluster, a, b), "needs two clusters in each group for an interval"),
        (error <= fit.noise, "the model fits without error: no interval"),
    )
    return t_contrast(estimate, error, df, level, method, note)


def check_pairs(pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The two group codes of each pair; ValueError unless they are two different codes from 0."""
    codes = np.asarray(list(pairs), dtype=np.int64 if len(pairs) == 0 else None).reshape(-1, 2)
    if codes.dtype.kind not in "iu" or (codes < 0).any() or (codes[:, 0] == codes[:, 1]).any():
        raise ValueError("pairs must be a list of (code_a, code_b) with two different codes from 0")
    return codes[:, 0], codes[:, 1]


def n_codes(group: np.ndarray, a: np.ndarray, b: np.ndarray) -> int:
    """How many codes to make room for: groups with rows, and groups that are only asked for."""
    return int(max(np.max(group, initial=-1), a.max(initial=-1), b.max(initial=-1))) + 1


def _check_variance(variance: str, cluster: np.ndarray | None, length: int) -> np.ndarray | None:
    """The clusters as codes from 0, or None; ValueError where variance and cluster do not fit."""
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}, but must be one of {', '.join(VARIANCES)}")
    if (variance in CLUSTERED) != (cluster is not None):
        raise ValueError(f"cluster goes with variance CR1 or CR2, and only with it, but variance is {variance!r}")
    return None if cluster is None else check_cluster(cluster, length)[0]


def lonely(group: np.ndarray, cluster: np.ndarray | None, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pairs in which one of the groups lies in a single cluster."""
    if cluster is None:
        return np.zeros(len(a), dtype=bool)
    n_clusters = n_distinct(cluster, group, n_codes(group, a, b))
    return (n_clusters[a] < 2) | (n_clusters[b] < 2)


def t_contrast(
    estimate: np.ndarray, error: np.ndarray, df: np.ndarray, level: float, method: str, note: np.ndarray, *,
    log: bool = False,
) -> Contrast:
    """Difference -/+ t * standard error; with ``log`` given as logarithms and returned as ratios.

    Limits, p and df are NaN in every pair that has a note.
    """
    clear = note == ""
    error, df = np.where(clear, error, np.nan), np.where(clear, df, np.nan)
    half = t_quantile(df, level) * error
    p_value = t_p_value(estimate / error, df)
    found = Contrast(estimate, estimate - half, estimate + half, p_value, df, method, note, "identity")
    return found.as_ratios() if log else found


def normal_contrast(
    estimate: np.ndarray, error: np.ndarray, level: float, method: str, note: np.ndarray, *, log: bool = False,
    df_residual: float = np.nan,
) -> Contrast:
    """Estimate -/+ z * standard error; with ``log`` given as logarithms and returned as ratios.

    Limits and p are NaN in every entry that has a note.
    """
    from scipy.special import ndtr

    error = np.where(note == "", error, np.nan)
    half = normal_quantile(level) * error
    p_value, df = 2 * ndtr(-np.abs(estimate / error)), np.full(len(estimate), np.nan)
    found = Contrast(estimate, estimate - half, estimate + half, p_value, df, method, note, "identity", df_residual)
    return found.as_ratios() if log else found


def no_contrast(length: int, method: str, reason: str) -> Contrast:
    """A contrast without any number, for the reason in its notes."""
    blank = (np.full(length, np.nan) for _ in range(5))
    return Contrast(*blank, method, np.full(length, reason, dtype=object))
