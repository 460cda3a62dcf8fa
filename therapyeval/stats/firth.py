"""Logistic regression that keeps finite estimates under separation and in small groups: Firth's penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.adjusted_models import check_binary
from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes, no_contrast, normal_contrast
from therapyeval.stats.inputs import check_codes, check_level, make_notes
from therapyeval.stats.maximum_likelihood import NO_CONVERGENCE, column_scale

if TYPE_CHECKING:
    import pandas as pd

    from therapyeval.stats.linear_model import Design

METHODS = {"profile": "Firth logistic regression, penalized profile likelihood",
           "wald": "Firth logistic regression, Wald limits"}
_STEPS, _CLOSE, _LONGEST = 500, 1e-10, 3.0


def firth_odds_ratio(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    limits: str = "profile",
    conf_level: float = 0.95,
) -> Contrast:
    """Adjusted odds ratios, a / b, by Firth's penalized likelihood, which removes most small-sample bias.

    It has an answer where one group has no (or only) successes. Limits and p come from the profile of the
    penalized likelihood. Those from standard errors ("wald") are misleading where a group has no (or only) successes:
    they are for `pool`, which needs standard errors. Covariates enter as in `adjusted_difference`.

    Parameters
    ----------
    outcome : array of 0 and 1 (or bool), without missing values; units independent
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    limits : "profile" or "wald"
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios of odds; df is NaN. A model that does not determine the ratio (a constant or collinear covariate,
        no more rows than coefficients), every unit with the same outcome, or no convergence give NaN and a note.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, an outcome is not 0 or 1, a covariate is a date, a pair
        compares a group with itself, the limits are unknown or conf_level lies outside (0, 1).

    Complexity: n * p^2 for each of some 200 Newton steps per pair.

    Source: Firth (1993), Biometrika 80:27-38; Heinze and Schemper (2002), Stat Med 21:2409-2419; as R logistf, and with
    "wald" R brglm2 (inverse of the information at the estimate).

    >>> import pandas as pd
    >>> better, arm = np.array([0, 0, 0, 1, 1, 1, 1, 1]), np.repeat([0, 1], 4)
    >>> ratio = firth_odds_ratio(better, arm, [(1, 0)], pd.DataFrame(index=range(8)))
    >>> ratio.estimate.round(3), ratio.low.round(3), ratio.high.round(1), ratio.p_value.round(4)
    (array([21.]), array([1.092]), array([3589.6]), array([0.0429]))
    """
    from therapyeval.stats import linear_model

    if limits not in METHODS:
        raise ValueError(f"limits is {limits!r}, but must be one of {', '.join(METHODS)}")
    outcome, level = check_binary(outcome), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    design = linear_model.make_design(group, covariates)
    problem = linear_model.why_not_estimable(design, "classical")
    if not problem and len(np.unique(outcome)) < 2:
        problem = "every unit has the same outcome"
    if problem:
        return no_contrast(len(a), METHODS[limits], problem)
    if limits == "wald":
        return _wald(design, outcome, a, b, level)
    rows = []
    for one, two in zip(a, b, strict=True):
        if not np.isin([one, two], design.groups).all():
            rows.append((np.nan,) * 4 + (NO_GROUP,))
            continue
        x = design.columns / column_scale(design.columns)
        first, second = np.searchsorted(design.groups, [one, two])
        x[:, second] = 1.0                        # b is the origin, so that a's coefficient is a - b
        rows.append(_profile_row(x, outcome, int(first), level))
    numbers = np.array([row[:4] for row in rows], dtype=float).reshape(-1, 4).T
    note = np.array([row[4] for row in rows] + [None], dtype=object)[:-1]
    return Contrast(*numbers, np.full(len(rows), np.nan), METHODS[limits], note)


def _wald(design: Design, y: np.ndarray, a: np.ndarray, b: np.ndarray, level: float) -> Contrast:
    """Odds ratios with limits from the inverse of the information at the penalized maximum."""
    from scipy.special import expit

    scale = column_scale(design.columns)
    x = design.columns / scale
    try:
        beta = _maximize(x, y, np.zeros(x.shape[1]), None)[1]
    except _NoMaximum:
        return no_contrast(len(a), METHODS["wald"], NO_CONVERGENCE)
    weight = expit(x @ beta) * expit(-(x @ beta))
    covariance = np.linalg.inv((x * weight[:, None]).T @ x)
    there = np.isin(a, design.groups) & np.isin(b, design.groups)
    one, two = (np.searchsorted(design.groups, np.where(there, code, design.groups[0])) for code in (a, b))
    error = np.sqrt(covariance[one, one] + covariance[two, two] - 2 * covariance[one, two])
    return normal_contrast(np.where(there, beta[one] - beta[two], np.nan), error, level, METHODS["wald"],
                           make_notes(len(a), (~there, NO_GROUP)), log=True, df_residual=float(len(y) - len(beta)))


def _profile_row(x: np.ndarray, y: np.ndarray, column: int, level: float) -> tuple:
    """Odds ratio of one column, its limits, p and note."""
    from scipy.optimize import brentq
    from scipy.special import chdtrc, chdtri

    try:
        best, beta = _maximize(x, y, np.zeros(x.shape[1]), None)
    except _NoMaximum:
        return (np.nan,) * 4 + (NO_CONVERGENCE,)
    critical, center = chdtri(1, 1 - level), beta[column]

    def excess(value: float) -> float:
        start = beta.copy()
        start[column] = value
        return 2 * (best - _maximize(x, y, start, column)[0]) - critical

    def limit(sign: int) -> float:
        reach = 1.0
        while excess(center + sign * reach) < 0:
            reach *= 2
        ends = sorted((center + sign * reach, center + sign * (reach / 2 if reach > 1 else 0)))
        return brentq(excess, *ends, xtol=1e-9)

    try:
        statistic = excess(0.0) + critical
        numbers = np.exp([center, limit(-1), limit(1)])
    except _NoMaximum:
        return (np.nan,) * 4 + (NO_CONVERGENCE,)
    return (*numbers, float(chdtrc(1, max(statistic, 0.0))), "")


class _NoMaximum(Exception):
    """Newton's method did not settle."""


def _maximize(x: np.ndarray, y: np.ndarray, beta: np.ndarray, held: int | None) -> tuple[float, np.ndarray]:
    """Greatest penalized log likelihood, with one coefficient held where asked, and where it is."""
    from scipy.special import expit

    free = np.arange(x.shape[1]) != (-1 if held is None else held)
    value = _penalized(x, y, beta)
    for _ in range(_STEPS):
        share = expit(x @ beta)
        root = np.sqrt(share * expit(-(x @ beta)))
        q, r = np.linalg.qr(x * root[:, None])
        leverage = (q**2).sum(axis=1)
        score = x.T @ (y - share + leverage * (0.5 - share))
        step = np.zeros(len(beta))
        step[free] = np.linalg.solve((r.T @ r)[np.ix_(free, free)], score[free]) if free.any() else 0
        longest = np.abs(x @ step).max()
        if longest < _CLOSE:
            return _penalized(x, y, beta + step), beta + step
        step *= min(1.0, _LONGEST / longest)
        for _ in range(30):
            after = _penalized(x, y, beta + step)
            if after >= value - 1e-12 * abs(value):
                break
            step = step / 2
        beta, value = beta + step, after
    raise _NoMaximum


def _penalized(x: np.ndarray, y: np.ndarray, beta: np.ndarray) -> float:
    """Log likelihood plus half the log determinant of the information."""
    from scipy.special import expit

    eta = x @ beta
    weight = expit(eta) * expit(-eta)
    return float((y * eta - np.logaddexp(0, eta)).sum() + np.linalg.slogdet((x * weight[:, None]).T @ x)[1] / 2)
