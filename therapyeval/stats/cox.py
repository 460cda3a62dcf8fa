"""Hazard ratios by Cox's model, and the check that they stay the same over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats import linear_model
from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes, no_contrast, normal_contrast
from therapyeval.stats.inputs import check_cluster, check_level, make_notes
from therapyeval.stats.joint_test import JointTest, chi_square_test, no_test
from therapyeval.stats.partial_likelihood import fit_cox, score_residuals, trend_score
from therapyeval.stats.survival import check_events, survival_steps

if TYPE_CHECKING:
    import pandas as pd

TWO_CLUSTERS = "needs two clusters for an interval"
ALIKE_CLUSTERS = "no variation between clusters: no interval"
_SINGULAR, _ROUNDING = 1e12, 1e-7


@dataclass(frozen=True)
class HazardCheck:
    """Tests that hazards are proportional: of the groups, of each covariate by name, and of all together."""

    group: JointTest
    covariates: dict[str, JointTest]
    together: JointTest


def hazard_ratio(
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    strata: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    conf_level: float = 0.95,
) -> Contrast:
    """Ratios of hazards of the event, a / b, given the covariates, from one Cox model with Efron's ties.

    The model says that the ratio is the same at all times: see `proportional_hazards`, and give
    `restricted_mean_contrast` where it does not hold. Covariates enter as in `adjusted_difference`.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; days, visits or any other time
    event : array of bool (or 0/1): True where the event was seen at `duration`, False where censored then
    group : array of int, one code from 0 per unit
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per unit, in the same order; may have no columns
    strata : array, one label per unit, such as the site: each stratum has a hazard of its own, and groups are compared
        within strata only; None for a single one
    cluster : array, such as the patient of each row: standard errors are then the sandwich by cluster (too small
        below some 30 clusters); without it units are independent
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios with normal limits on the log scale; df is NaN. No event, a group without any, perfect prediction
        or a model that does not determine a ratio give NaN in all pairs, and the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a duration is negative, an event is not 0/1, a covariate is a
        date, a pair compares a group with itself or conf_level lies outside (0, 1).

    Complexity: n log n + n * p^2 for each of some five Newton steps.

    Source: Cox (1972), J R Stat Soc B 34:187-220; Efron (1977), J Am Stat Assoc 72:557-565; Lin and Wei (1989), J Am
    Stat Assoc 84:1074-1078 (sandwich); as R ``coxph``.

    >>> import pandas as pd
    >>> wait, seen = np.array([2.0, 5, 9, 14, 20, 3, 4, 4, 8, 12]), np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0])
    >>> ratio = hazard_ratio(wait, seen, np.repeat([0, 1], 5), [(1, 0)], pd.DataFrame(index=range(10)))
    >>> ratio.estimate.round(3), ratio.low.round(3), ratio.high.round(3)
    (array([2.464]), array([0.443]), array([13.692]))
    """
    a, b = check_pairs(pairs)
    duration, event, group = check_events(duration, event, group, n_codes(group, a, b))
    level = check_level(conf_level)
    codes, n_clusters = (None, np.inf) if cluster is None else check_cluster(cluster, len(duration))
    stratum = None if strata is None else check_cluster(strata, len(duration))[0]
    method = "Cox, Efron ties" + (", by strata" if strata is not None else "")
    method += ", sandwich standard errors by cluster" if cluster is not None else ""
    design = linear_model.make_design(group, covariates)
    problem = linear_model.why_not_estimable(design, "classical")
    fit = None if problem else fit_cox(duration, event, design.columns[:, 1:], stratum)
    if problem or fit.problem:
        return no_contrast(len(a), method, problem or fit.problem)
    covariance = fit.covariance
    if cluster is not None:
        influence = np.zeros((n_clusters, len(fit.beta)))
        np.add.at(influence, codes, score_residuals(fit, len(duration)) @ covariance)
        covariance = influence.T @ influence
    there = np.isin(a, design.groups) & np.isin(b, design.groups)
    gap = np.zeros((len(a), len(fit.beta) + 1))
    for sign, code in ((1, a), (-1, b)):
        gap[there, np.searchsorted(design.groups, code[there])] += sign
    gap = gap[:, 1:]                                          # the first group is the model's reference
    plain, error = (np.sqrt(np.einsum("ij,jk,ik->i", gap, matrix, gap)) for matrix in (fit.covariance, covariance))
    few, alike = np.full(len(a), n_clusters < 2), error <= _ROUNDING * plain
    note = make_notes(len(a), (~there, NO_GROUP), (few, TWO_CLUSTERS), (alike, ALIKE_CLUSTERS))
    return normal_contrast(np.where(there, gap @ fit.beta, np.nan), error, level, method, note, log=True,
                           df_residual=max(float(event.sum() - len(fit.beta)), 1.0))


def proportional_hazards(
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray,
    covariates: pd.DataFrame,
    *,
    strata: np.ndarray | None = None,
) -> HazardCheck:
    """Check of Cox's model: does the log hazard ratio of the groups or of a covariate change over time?

    Score tests for adding an interaction with 1 - S(t), S the Kaplan-Meier curve of all units just before t (the
    trend of scaled Schoenfeld residuals). Units are taken as independent. A small p-value says that one ratio
    does not describe the whole course; a large one, with few events, says little.

    Parameters
    ----------
    duration, event, group, covariates, strata : as in `hazard_ratio`

    Returns
    -------
    HazardCheck
        Chi-square tests. All NaN, with the reason, where the model itself gives no numbers.

    Raises
    ------
    ValueError
        As `hazard_ratio`.

    Source: Grambsch and Therneau (1994), Biometrika 81:515-526; as R ``cox.zph`` (survival 3).

    >>> import pandas as pd
    >>> wait, seen = np.array([2.0, 5, 9, 14, 20, 3, 4, 4, 8, 12]), np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0])
    >>> check = proportional_hazards(wait, seen, np.repeat([0, 1], 5), pd.DataFrame(index=range(10)))
    >>> round(check.group.statistic, 4), check.group.df, round(check.group.p_value, 4)
    (0.3812, 1.0, 0.5369)
    """
    duration, event, group = check_events(duration, event, group, n_codes(group, *check_pairs([])))
    method, names = "score test of proportional hazards", [str(name) for name in covariates.columns]
    design = linear_model.make_design(group, covariates)
    problem = linear_model.why_not_estimable(design, "classical")
    stratum = None if strata is None else check_cluster(strata, len(duration))[0]
    fit = None if problem else fit_cox(duration, event, design.columns[:, 1:], stratum)
    if problem or fit.problem:
        return _arranged([no_test(method, problem or fit.problem)] * (len(names) + 2), names)
    steps = survival_steps(duration, event, np.zeros(len(duration), dtype=np.int64), 1)
    before = np.r_[1.0, steps.survival[:-1]]
    score, information = trend_score(fit, lambda time: 1 - before[np.searchsorted(steps.time, time)])
    p, owner, tests = len(score), np.array(design.owner[1:]), []
    for tested in [owner == name for name in ["", *names]] + [np.ones(p, dtype=bool)]:
        kept = np.flatnonzero(np.r_[np.ones(p, dtype=bool), tested])
        tests.append(_score_test(score[tested], information[np.ix_(kept, kept)], method))
    return _arranged(tests, names)


def _score_test(score: np.ndarray, information: np.ndarray, method: str) -> JointTest:
    """Score test of the last coefficients, the others being at their maximum."""
    if not len(score):
        return no_test(method, "a single group: nothing to test")
    if np.linalg.cond(information) > _SINGULAR:
        return no_test(method, "too few events to tell a change over time")
    whole = np.r_[np.zeros(len(information) - len(score)), score]
    return chi_square_test(whole @ np.linalg.solve(information, whole), len(score), method)


def _arranged(tests: list[JointTest], names: list[str]) -> HazardCheck:
    return HazardCheck(tests[0], dict(zip(names, tests[1:-1], strict=True)), tests[-1])
