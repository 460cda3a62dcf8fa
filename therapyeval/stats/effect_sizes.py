"""Differences without a unit: standardized differences of means, and how often one unit beats another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from therapyeval.stats.chi_quadrature import noncentral_t_cdf
from therapyeval.stats.contrasts import ALIKE, NO_GROUP, Contrast, check_pairs, n_codes
from therapyeval.stats.critical_values import normal_quantile, t_p_value
from therapyeval.stats.inputs import check_codes, check_level, check_values, make_notes
from therapyeval.stats.summaries import means, sd
from therapyeval.stats.two_groups import ROUNDING

KINDS = ("cohen_d", "hedges_g", "glass_delta")


def standardized_difference(
    values: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    kind: str = "hedges_g",
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of means, a - b, in standard deviations, with limits from the noncentral t.

    ``cohen_d`` divides by the pooled SD of the two groups, ``hedges_g`` also removes the bias of small groups
    (exact factor), ``glass_delta`` divides by the SD of b, the reference. Limits are exact for normal values
    of equal spread; for Glass's delta approximate.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    kind : "cohen_d", "hedges_g" or "glass_delta"
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In SDs; p and df are those of the t test that the limits belong to. A group without values, fewer than
        two values where a spread is needed, or no spread give NaN and a note.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is negative, a pair compares a group with itself, the
        kind is unknown or conf_level lies outside (0, 1).

    Source: Cohen (1988); Hedges (1981), J Educ Stat 6:107-128; Glass (1976); limits as in Steiger and Fouladi
    (1997) and R effectsize.

    >>> days = np.array([29.0, 42, 38, 40, 43, 40, 30, 42, 26, 32, 21, 20, 23, 22])
    >>> g = standardized_difference(days, np.repeat([0, 1], [8, 6]), [(0, 1)])
    >>> g.estimate.round(3), g.low.round(3), g.high.round(3)
    (array([2.586]), array([1.137]), array([3.984]))
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, but must be one of {', '.join(KINDS)}")
    values, level = check_values(values), check_level(conf_level)
    a, b = check_pairs(pairs)
    n_groups = n_codes(group, a, b)
    group = check_codes(group, len(values), n_groups=n_groups)
    n, center = np.bincount(group, minlength=n_groups), means(values, group, n_groups)
    scale, spread = means(np.abs(values), group, n_groups), sd(values, group, n_groups)
    unit, root, df = _standardizer(kind, n, spread, a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = unit <= ROUNDING * np.fmax(scale[a], scale[b])
        estimate = np.where(flat, np.nan, (center[a] - center[b]) / unit)
        usable = np.isfinite(root) & (df > 0)
        too_few = (df <= 1) if kind == "hedges_g" else ~usable
    note = make_notes(
        len(a),
        ((n[a] == 0) | (n[b] == 0), NO_GROUP),
        (flat, ALIKE.replace("interval", "standardized difference")),
        (~usable, "needs two values for a standard deviation"),
        (too_few, "needs four values in the two groups for Hedges' factor"),
    )
    estimate, df = np.where(note == "", estimate, np.nan), np.where(note == "", df, np.nan)
    t = estimate / root
    limits = np.array([_noncentral(*row, level) for row in zip(t, df, strict=True)]).reshape(-1, 2).T * root
    factor = _small_sample_factor(df) if kind == "hedges_g" else 1.0
    method = f"{kind.replace('_', ' ')}, noncentral t"
    return Contrast(estimate * factor, *(limits * factor), t_p_value(t, df), df, method, note)


def pooled_sd(values: np.ndarray, group: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The pooled SD of the two groups of each pair; NaN where they have fewer than three values.

    Parameters
    ----------
    values, group, pairs : as in `standardized_difference`

    Raises
    ------
    ValueError
        As `standardized_difference`.

    >>> pooled_sd(np.array([1.0, 3, 4, 8]), np.array([0, 0, 1, 1]), [(0, 1)]).round(3)
    array([2.236])
    """
    values = check_values(values)
    a, b = check_pairs(pairs)
    n_groups = n_codes(group, a, b)
    group = check_codes(group, len(values), n_groups=n_groups)
    n = np.bincount(group, minlength=n_groups)
    unit, _, df = _standardizer("hedges_g", n, sd(values, group, n_groups), a, b)
    return np.where((n[a] > 0) & (n[b] > 0) & (df > 0), unit, np.nan)


def standardize(
    difference: Contrast, values: np.ndarray, group: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> Contrast:
    """An adjusted difference in pooled SDs, with Hedges' factor; for the raw one see `standardized_difference`.

    The SD is that of the values within the groups, not of what the covariates leave over, so that effects of studies
    with different covariates compare. It is taken as known: limits are those of the difference, scaled.

    Parameters
    ----------
    difference : Contrast of the pairs, in the unit of the values
    values, group, pairs : as in `standardized_difference`

    Returns
    -------
    Contrast
        In SDs, with p and df of the difference. Fewer than four values in the two groups, or no spread, give NaN and
        a note; a NaN of the difference stays one.

    Raises
    ------
    ValueError
        As `standardized_difference`.

    Source: Hedges (1981), J Educ Stat 6:107-128; as R ``emmeans::eff_size(edf = Inf)`` times the factor.

    >>> from therapyeval.stats import welch
    >>> days = np.array([29.0, 42, 38, 40, 43, 40, 30, 42, 26, 32, 21, 20, 23, 22])
    >>> group, pairs = np.repeat([0, 1], [8, 6]), [(0, 1)]
    >>> g = standardize(welch(days, group, pairs), days, group, pairs)
    >>> g.estimate.round(3), g.low.round(3)
    (array([2.586]), array([1.519]))
    """
    spread = pooled_sd(values, group, pairs)
    a, b = check_pairs(pairs)
    n = np.bincount(group, minlength=n_codes(group, a, b))
    df = n[a] + n[b] - 2.0
    flat = ~(spread > ROUNDING * np.abs(np.r_[values, 0]).max())
    thin = make_notes(len(a), (df <= 1, "needs four values in the two groups for Hedges' factor"),
                      (flat, ALIKE.replace("interval", "standardized difference")))
    usable = thin == ""
    factor = np.full(len(a), np.nan)
    factor[usable] = _small_sample_factor(df[usable]) / spread[usable]
    numbers = {name: getattr(difference, name) * factor for name in ("estimate", "low", "high")}
    p_value, df = (np.where(usable, part, np.nan) for part in (difference.p_value, difference.df))
    note = np.where(difference.note == "", thin, difference.note).astype(object)
    method = "hedges g, pooled SD taken as known"
    return Contrast(**numbers, p_value=p_value, df=df, method=method, note=note)


def superiority(
    values: np.ndarray, group: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """How often a unit of a has the larger value than a unit of b; ties count one half.

    0.5 means no difference. The limits hold whatever the shape and spread of the groups: DeLong's variance, on
    the logit scale, so that they stay within 0..1. p tests 0.5 and agrees with the limits.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Shares from 0 to 1; df is NaN. A group without values gives NaN. A group with one value, or groups
        without any overlap (0 or 1, where the variance is 0), give the share without limits. The note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is negative, a pair compares a group with itself or
        conf_level lies outside (0, 1).

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845; Qin and Hotilovac (2008), Stat
    Methods Med Res 17:207-221 (the logit scale).

    >>> days = np.array([29.0, 42, 38, 40, 25, 26, 32, 21, 20, 23])
    >>> above = superiority(days, np.repeat([0, 1], [5, 5]), [(0, 1)])
    >>> above.estimate, above.low.round(3), above.high.round(3)
    (array([0.88]), array([0.473]), array([0.984]))
    """
    from scipy.special import expit, logit, ndtr

    values, level = check_values(values), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(values), n_groups=n_codes(group, a, b))
    rows = [_wins(values[group == one], values[group == two]) for one, two in zip(a, b, strict=True)]
    share, variance, fewest = np.array(rows, dtype=float).reshape(-1, 3).T
    note = make_notes(
        len(a),
        (fewest == 0, NO_GROUP),
        (fewest == 1, "needs two values in each group for an interval"),
        ((share == 0) | (share == 1), "the groups do not overlap: no interval"),
        (variance == 0, ALIKE),
    )
    clear = note == ""
    safe, error = np.where(clear, share, 0.5), np.sqrt(np.where(clear, variance, np.nan))
    error = error / (safe * (1 - safe))
    half = normal_quantile(level) * error
    low, high = expit(logit(safe) - half), expit(logit(safe) + half)
    p_value = 2 * ndtr(-np.abs(logit(safe) / error))
    return Contrast(share, low, high, p_value, np.full(len(a), np.nan), "DeLong variance, logit scale", note)


def rank_biserial(
    values: np.ndarray, group: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Rank-biserial correlations (Cliff's delta): the share of pairs that a wins minus the share it loses.

    It is ``2 * superiority - 1``, from -1 to 1, with 0 for no difference.

    Parameters
    ----------
    values, group, pairs, conf_level : as in `superiority`

    Returns
    -------
    Contrast
        From -1 to 1; limits, p and notes are those of `superiority`.

    Raises
    ------
    ValueError
        As `superiority`.

    Source: Cliff (1993), Psychol Bull 114:494-509; Kerby (2014), Compr Psychol 3:11.

    >>> days = np.array([29.0, 42, 38, 40, 25, 26, 32, 21, 20, 23])
    >>> rank_biserial(days, np.repeat([0, 1], [5, 5]), [(0, 1)]).estimate
    array([0.76])
    """
    share = superiority(values, group, pairs, conf_level=conf_level)
    numbers = {name: 2 * getattr(share, name) - 1 for name in ("estimate", "low", "high")}
    return replace(share, **numbers)


def _standardizer(
    kind: str, n: np.ndarray, spread: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The SD to divide by, what the quotient is divided by to give t, and the degrees of freedom."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "glass_delta":
            root = np.sqrt(1 / n[b] + spread[a] ** 2 / (n[a] * spread[b] ** 2))
            return spread[b], root, n[b] - 1.0
        squares = np.nan_to_num(spread) ** 2 * (n - 1)
        df = n[a] + n[b] - 2.0
        return np.sqrt((squares[a] + squares[b]) / df), np.sqrt(1 / n[a] + 1 / n[b]), df


def _small_sample_factor(df: np.ndarray) -> np.ndarray:
    """Hedges' J, exact."""
    from scipy.special import gammaln

    return np.exp(gammaln(df / 2) - np.log(df / 2) / 2 - gammaln((df - 1) / 2))


def _noncentral(t: float, df: float, level: float) -> tuple[float, float]:
    """The noncentralities for which t lies at the upper and at the lower tail."""
    from scipy.optimize import brentq

    if np.isnan(t) or np.isnan(df):
        return np.nan, np.nan
    tail, reach = (1 - level) / 2, 10 + 10 * abs(t)
    return tuple(
        brentq(lambda nc, p=p: noncentral_t_cdf(t, df, nc) - p, t - reach, t + reach, xtol=1e-12, rtol=1e-12)
        for p in (1 - tail, tail)
    )


def _wins(x: np.ndarray, y: np.ndarray) -> tuple[float, float, int]:
    """Share of pairs that x wins (ties one half), its DeLong variance, and the size of the smaller group."""
    fewest = min(len(x), len(y))
    if fewest == 0:
        return np.nan, np.nan, 0
    of_x, of_y = _places(x, y), 1 - _places(y, x)
    variance = np.nan if fewest == 1 else of_x.var(ddof=1) / len(x) + of_y.var(ddof=1) / len(y)
    return float(of_x.mean()), float(variance), fewest


def _places(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """For each x the share of y below it, ties one half."""
    ordered = np.sort(y)
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2 * len(y))
