"""Whether a difference between groups is itself different between subgroups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.adjusted_models import check_binary
from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, no_contrast, normal_contrast, t_contrast
from therapyeval.stats.inputs import check_codes, check_level, check_values, make_notes
from therapyeval.stats.joint_test import JointTest, chi_square_test, f_test, no_test

if TYPE_CHECKING:
    import pandas as pd

EFFECTS = ("difference", "odds_ratio")


@dataclass(frozen=True)
class Subgroups:
    """The effect in each subgroup (one entry each), and the test that all are equal."""

    effects: Contrast
    interaction: JointTest


def subgroup_effects(
    outcome: np.ndarray,
    group: np.ndarray,
    pair: tuple[int, int],
    subgroup: np.ndarray,
    n_subgroups: int,
    covariates: pd.DataFrame,
    *,
    effect: str = "difference",
    conf_level: float = 0.95,
) -> Subgroups:
    """The effect of group a against b in each subgroup, and the interaction test: is it the same in all?

    One model holds a mean (or log odds) for each group within each subgroup, and the covariates. The
    interaction test decides whether subgroups differ; one significant and one not significant subgroup do not
    show that. It has little power in small groups.

    Parameters
    ----------
    outcome : array of float without NaN, or of 0 and 1 for odds ratios; units independent
    group : array of int, one code from 0 per row; rows of other groups than the pair are left out
    pair : (code_a, code_b)
    subgroup : array of int, one code 0..n_subgroups-1 per row
    n_subgroups : int
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    effect : "difference" (least squares, HC3 standard errors, t and F) or "odds_ratio" (logistic, Wald)
    conf_level : float, between 0 and 1

    Returns
    -------
    Subgroups
        A subgroup that lacks one of the groups is NaN and does not enter the interaction test. A model that is
        not determined, separated or does not converge gives NaN everywhere. Notes say so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is out of range, the pair or effect is not valid, a
        covariate is a date or conf_level lies outside (0, 1).

    Source: Assmann et al. (2000), Lancet 355:1064-1069 (why the interaction); Long and Ervin (2000), Am Stat
    54:217-224 (HC3).

    >>> import pandas as pd
    >>> gain = np.array([3.0, 5, 4, 8, 9, 7, 6, 5, 2, 4, 3, 3])
    >>> arm, severe = np.tile([0, 0, 1], 4), np.repeat([0, 1], 6)
    >>> found = subgroup_effects(gain, arm, (1, 0), severe, 2, pd.DataFrame(index=range(12)))
    >>> found.effects.estimate, round(found.interaction.p_value, 3)
    (array([-0.75, -2.  ]), 0.672)
    """
    from therapyeval.stats import linear_model

    if effect not in EFFECTS:
        raise ValueError(f"effect is {effect!r}, but must be one of {', '.join(EFFECTS)}")
    outcome = check_binary(outcome) if effect == "odds_ratio" else check_values(outcome, "outcome")
    level, (a, b) = check_level(conf_level), (int(code[0]) for code in check_pairs([pair]))
    group = check_codes(group, len(outcome), n_groups=max(int(np.max(group, initial=0)), a, b) + 1)
    subgroup = check_codes(subgroup, len(outcome), n_groups=n_subgroups)
    if len(covariates) != len(outcome):
        raise ValueError(f"covariates has {len(covariates)} rows, but there are {len(outcome)} outcomes")
    used = np.isin(group, (a, b))
    cell = 2 * subgroup[used] + (group[used] == a)
    design = linear_model.make_design(cell, covariates[used])
    own = np.arange(n_subgroups)
    there = np.isin(2 * own, cell) & np.isin(2 * own + 1, cell)
    weights = np.zeros((n_subgroups, design.columns.shape[1]))
    weights[own[there], np.searchsorted(design.groups, 2 * own[there] + 1)] = 1
    weights[own[there], np.searchsorted(design.groups, 2 * own[there])] = -1
    note = make_notes(n_subgroups, (~there, NO_GROUP))
    solve = _odds_ratios if effect == "odds_ratio" else _differences
    return solve(design, outcome[used], weights, note, level)


def _differences(design, outcome, weights, note, level) -> Subgroups:
    from therapyeval.stats import linear_model

    method = "least squares, HC3 standard errors"
    problem = linear_model.why_not_estimable(design, "HC3")
    if problem:
        return Subgroups(no_contrast(len(note), method + ", t", problem), no_test(method + ", F", problem))
    fit = linear_model.least_squares(design, outcome)
    n, p = fit.q.shape
    direction = np.linalg.solve(fit.r.T, weights.T)
    on_rows = (fit.q @ direction) * (fit.residual / (1 - (fit.q**2).sum(axis=1)))[:, None]
    estimate, covariance = direction.T @ fit.effects, on_rows.T @ on_rows
    error = np.sqrt(np.diag(covariance))
    exact = error <= fit.noise, "the model fits without error: no interval"
    note = make_notes(len(note), (note != "", NO_GROUP), exact)
    there, df = weights.any(axis=1), float(n - p)
    shown = np.where(there, estimate, np.nan)
    effects = t_contrast(shown, error, np.full(len(note), df), level, method + ", t", note)
    wald, df_effect = _wald(estimate[there], covariance[np.ix_(there, there)])
    if np.isnan(wald):
        return Subgroups(effects, no_test(method + ", F", _WHY))
    return Subgroups(effects, f_test(wald / df_effect, df_effect, df, method + ", F"))


def _odds_ratios(design, outcome, weights, note, level) -> Subgroups:
    from therapyeval.stats import linear_model
    from therapyeval.stats.maximum_likelihood import fit_logistic

    method = "logistic regression, Wald"
    problem = linear_model.why_not_estimable(design, "classical")
    fit = None if problem else fit_logistic(design.columns, outcome)
    problem = problem or fit.problem
    if problem:
        return Subgroups(no_contrast(len(note), method, problem), no_test(method, problem))
    estimate, covariance, there = weights @ fit.beta, weights @ fit.covariance @ weights.T, weights.any(axis=1)
    shown, error = np.where(there, estimate, np.nan), np.sqrt(np.maximum(np.diag(covariance), 0))
    effects = normal_contrast(shown, error, level, method, note, log=True)
    wald, df_effect = _wald(estimate[there], covariance[np.ix_(there, there)])
    if np.isnan(wald):
        return Subgroups(effects, no_test(method, _WHY))
    return Subgroups(effects, chi_square_test(wald, df_effect, method))


_WHY = "needs two subgroups with both groups and some variation"


def _wald(estimate: np.ndarray, covariance: np.ndarray) -> tuple[float, int]:
    """Wald statistic for all effects being equal, and its degrees of freedom; NaN for fewer than two effects."""
    df = len(estimate) - 1
    if df < 1:
        return np.nan, df
    gap = np.hstack([np.ones((df, 1)), -np.eye(df)])
    spread = gap @ covariance @ gap.T
    if np.linalg.matrix_rank(spread) < df:
        return np.nan, df
    return float(gap @ estimate @ np.linalg.solve(spread, gap @ estimate)), df
