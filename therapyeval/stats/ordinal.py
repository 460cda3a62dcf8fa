"""Ordered outcomes, such as grades or categories of discharge: the proportional odds model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes, no_contrast, normal_contrast
from therapyeval.stats.inputs import check_codes, check_level, check_values, make_notes
from therapyeval.stats.maximum_likelihood import (
    NO_CONVERGENCE,
    SEPARATED,
    barely_informed,
    column_scale,
    separates,
    shorten,
)

if TYPE_CHECKING:
    import pandas as pd

_STEPS, _CLOSE = 60, 1e-9
METHOD = "proportional odds model"


def proportional_odds(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    conf_level: float = 0.95,
) -> Contrast:
    """Common odds ratios of an ordered outcome, a against b: above 1, a has the higher outcomes.

    One odds ratio stands for every way to cut the outcome in two; it is the mean of those where they differ.
    Covariates enter as in `adjusted_difference`.

    Parameters
    ----------
    outcome : array of numbers whose order counts, not their distance, without NaN; units independent
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Odds ratios with Wald limits; df is NaN. Fewer than two levels, groups or covariates that separate the
        outcomes, or a model that does not converge or does not determine a difference, give NaN in all pairs,
        and the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a covariate is a date, a pair compares a group with itself
        or conf_level lies outside (0, 1).

    Complexity: n * (p + levels)^2 for each of some ten Newton steps.

    Source: McCullagh (1980), J R Stat Soc B 42:109-142; as R ``ordinal::clm``.

    >>> import pandas as pd
    >>> grade = np.array([1, 2, 2, 3, 3, 3, 1, 1, 2, 2, 1, 3])
    >>> ratio = proportional_odds(grade, np.repeat([1, 0], 6), [(1, 0)], pd.DataFrame(index=range(12)))
    >>> ratio.estimate.round(3), ratio.low.round(3), ratio.high.round(3)
    (array([5.]), array([0.52]), array([48.068]))
    """
    from therapyeval.stats import linear_model

    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    design = linear_model.make_design(group, covariates)
    levels, grade = np.unique(outcome, return_inverse=True)
    problem = linear_model.why_not_estimable(design, "classical")
    problem = problem or ("every unit has the same outcome" if len(levels) < 2 else "")
    if problem:
        return no_contrast(len(a), METHOD, problem)
    x = (design.columns / column_scale(design.columns))[:, 1:]             # the first group is the origin
    fit = fit_thresholds(x, grade, len(levels), np.ones(len(x)))
    if fit is None or barely_informed(fit[1]):
        apart = separates(_directions(*_bounds(x, grade, len(levels)), grade, len(levels)))
        if apart or fit is None or not (np.diag(fit[1]) > 0).all():
            return no_contrast(len(a), METHOD, SEPARATED if apart else NO_CONVERGENCE)
    there = np.isin(a, design.groups) & np.isin(b, design.groups)
    k, first = len(design.groups), len(levels) - 1
    own = slice(first, first + k - 1)
    one, two = (np.searchsorted(design.groups, np.where(there, code, design.groups[0])) for code in (a, b))
    gap = (np.eye(k)[one] - np.eye(k)[two])[:, 1:]
    estimate = np.where(there, gap @ fit[0][own], np.nan)
    error = np.sqrt(np.einsum("ij,jk,ik->i", gap, fit[1][own, own], gap))
    return normal_contrast(estimate, error, level, METHOD, make_notes(len(a), (~there, NO_GROUP)), log=True,
                           df_residual=float(len(outcome) - len(fit[0])))


def _bounds(x: np.ndarray, grade: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that give, times the parameters (thresholds, coefficients), the upper and lower end of each outcome."""
    steps = np.eye(n_levels - 1)
    none = np.zeros((1, n_levels - 1))
    return (
        np.hstack([np.vstack([steps, none])[grade], -x]),
        np.hstack([np.vstack([none, steps])[grade], -x]),
    )


def _directions(upper: np.ndarray, lower: np.ndarray, grade: np.ndarray, n_levels: int) -> np.ndarray:
    return np.vstack([upper[grade < n_levels - 1], -lower[grade > 0]])


def fit_thresholds(
    x: np.ndarray, grade: np.ndarray, n_levels: int, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Thresholds and coefficients, and their covariance; None where Newton's method does not settle.

    Parameters
    ----------
    x : array (n, p) without an intercept
    grade : array (n) of int, 0..n_levels-1, each of which occurs
    weight : array (n) of float, above 0
    """
    from scipy.special import logit

    upper, lower = _bounds(x, grade, n_levels)
    theta = np.zeros(upper.shape[1])
    below = np.cumsum(np.bincount(grade, weight, n_levels))[:-1] / weight.sum()
    theta[: n_levels - 1] = logit(below)
    value, gradient, information = _likelihood(theta, upper, lower, grade, n_levels, weight)
    for _ in range(_STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        moves = max(np.abs(upper @ step).max(), np.abs(lower @ step).max())
        if moves < _CLOSE:
            return theta + step, np.linalg.inv(information)
        step = shorten(step, moves)
        for _ in range(30):
            after = _likelihood(theta + step, upper, lower, grade, n_levels, weight)
            if after[0] >= value - 1e-10 * abs(value):
                break
            step = step / 2
        theta, (value, gradient, information) = theta + step, after
    return None


def _likelihood(
    theta: np.ndarray, upper: np.ndarray, lower: np.ndarray, grade: np.ndarray, n_levels: int, weight: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log likelihood, gradient and information; minus infinity where thresholds cross.

    With F the logistic distribution, P(l < Y <= u) = F(u) F(-l) (1 - exp(l - u)). Its logarithm and derivatives
    lose no digits, however far u and l lie from 0, so that separated outcomes never look settled.
    """
    from scipy.special import expit, log_expit

    u, v = np.where(grade == n_levels - 1, np.inf, upper @ theta), np.where(grade == 0, -np.inf, lower @ theta)
    width = u - v
    if (width <= 0).any():
        return -np.inf, np.zeros(len(theta)), np.eye(len(theta))
    with np.errstate(over="ignore"):
        odds = 1 / np.expm1(width)
    value = weight @ (log_expit(u) + log_expit(-v) + np.log(-np.expm1(-width)))
    gradient = upper.T @ (weight * (expit(-u) + odds)) - lower.T @ (weight * (expit(v) + odds))
    between = upper - lower
    bends = (upper, expit(u) * expit(-u)), (lower, expit(v) * expit(-v)), (between, odds * (1 + odds))
    return float(value), gradient, sum((rows * (weight * bend)[:, None]).T @ rows for rows, bend in bends)
