"""Change of sites that start a program, less the change of sites that do not: two-way fixed effects, event study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats import linear_model
from therapyeval.stats.cluster_robust import cr2
from therapyeval.stats.cluster_tests import cr2_joint
from therapyeval.stats.contrasts import Contrast, no_contrast, t_contrast
from therapyeval.stats.inputs import check_level, make_notes
from therapyeval.stats.joint_test import JointTest, no_test
from therapyeval.stats.panels import (
    NO_CONTROL_SITE,
    NO_PROGRAM_SITE,
    TWO_SITES,
    Panel,
    check_panel,
    only_start,
    within_sites,
)
from therapyeval.stats.wild_bootstrap import cluster_turns, turned_contrast

if TYPE_CHECKING:
    import pandas as pd

METHOD = "two-way fixed effects, CR2 by site, Satterthwaite df"
NOT_DETERMINED = "sites, periods and covariates together determine the program: no estimate"
EXACT = "the model fits without error: no interval"
ALIKE_SITES = "no variation between sites: no interval"
ONE_BEFORE = "needs two periods before the start"
_COLLINEAR, _ROUNDING = 1e-7, 1e-10


@dataclass(frozen=True)
class EventStudy:
    """Effects in each period but the last before the start, which is the reference; and the test of those before.

    ``since`` is the period less the start; ``effect`` has one entry for each.
    """

    since: np.ndarray
    effect: Contrast
    pre_trend: JointTest


def difference_in_differences(
    outcome: np.ndarray,
    site: np.ndarray,
    period: np.ndarray,
    start: np.ndarray,
    *,
    covariates: pd.DataFrame | None = None,
    conf_level: float = 0.95,
) -> Contrast:
    """Change of the sites with a program less the change of the others, with an effect for every site and period.

    Least squares of the outcome on sites, periods, covariates and the program. It estimates the program's effect
    if both groups of sites would have changed alike without it (parallel trends: see `event_study`), if nothing
    changed ahead of the start, and if the sites' patients stayed of the same kind.

    Parameters
    ----------
    outcome : array of float, without NaN; rows may be patients or the means of a site in a period
    site : array, one label per row; rows of a site may depend on each other
    period : array of float, such as the number of the quarter
    start : array of float, per row: the first period in which its site has the program, NaN for never. Sites must
        start together: with different starts use `group_time_effects`.
    covariates : DataFrame with one complete row per outcome; None for none
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        One entry, in the unit of the outcome, with t limits of Bell and McCaffrey's degrees of freedom, which are
        few where few sites start. Without sites in one group, or where the program is not determined, NaN; one
        site in a group, or sites that all changed alike, give the estimate without limits. The note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a site has several starts or sites start in different periods, a
        covariate does not fit or is a date, or conf_level lies outside (0, 1).

    Source: Angrist and Pischke (2009), Mostly Harmless Econometrics, section 5.2; Pustejovsky and Tipton (2018), J Bus
    Econ Stat 36:672-683; as R ``lm`` with ``clubSandwich``.

    >>> arrived = np.array([78.0, 86, 79, 86, 80, 82, 81, 84])           # percent, before and after, in four clinics
    >>> start = np.repeat([2, 2, np.nan, np.nan], 2)
    >>> points = difference_in_differences(arrived, np.repeat([1, 2, 3, 4], 2), np.tile([1, 2], 4), start)
    >>> points.estimate, points.low.round(2), points.high.round(2), points.df.round(2)
    (array([5.]), array([1.96]), array([8.04]), array([2.]))
    """
    panel, level = check_panel(outcome, site, period, start), check_level(conf_level)
    first = only_start(panel)
    treated = (panel.periods[panel.place] >= panel.start).astype(float)
    fit, problem = _fit(panel, first, treated[:, None], _covariate_columns(covariates, panel))
    if problem:
        return no_contrast(1, METHOD, problem)
    return _effects(fit, panel, level)


def wild_difference_in_differences(
    outcome: np.ndarray,
    site: np.ndarray,
    period: np.ndarray,
    start: np.ndarray,
    *,
    covariates: pd.DataFrame | None = None,
    weights: str = "rademacher",
    n_resamples: int = 9_999,
    seed: int = 0,
    conf_level: float = 0.95,
) -> Contrast:
    """`difference_in_differences` tested by the wild cluster bootstrap, for few sites.

    The effect asked about is imposed, the residuals of whole sites are turned, and the t statistic with clustered
    errors is compared to those of all such outcomes, as in `wild_cluster_difference`. Where one or two sites start the
    program it is as unreliable as every other method; CR2 then warns by its few degrees of freedom, this does not.

    Parameters
    ----------
    outcome, site, period, start, covariates, conf_level : as in `difference_in_differences`
    weights, n_resamples, seed : as in `wild_cluster_difference`

    Returns
    -------
    Contrast
        One entry, in the unit of the outcome; df is NaN. Notes as in `difference_in_differences`; where the p-value
        cannot come below 1 - conf_level there are no limits, and the note says so.

    Raises
    ------
    ValueError
        As `difference_in_differences`, and where the weights are unknown or n_resamples is below 1.

    Source: Cameron, Gelbach and Miller (2008), Rev Econ Stat 90:414-427; MacKinnon and Webb (2017), J Appl Econom
    32:233-254 (few sites with the program).

    >>> arrived = np.array([78.0, 86, 79, 86, 80, 82, 81, 84, 77, 85, 83, 87, 79, 80, 82, 82])
    >>> start = np.repeat([2, 2, np.nan, np.nan, 2, 2, np.nan, np.nan], 2)
    >>> points = wild_difference_in_differences(arrived, np.repeat(np.arange(8), 2), np.tile([1, 2], 8), start)
    >>> points.estimate, points.p_value, points.low.round(2), points.high.round(2)
    (array([5.25]), array([0.015625]), array([2.44]), array([7.75]))
    """
    panel, level = check_panel(outcome, site, period, start), check_level(conf_level)
    first = only_start(panel)
    treated = (panel.periods[panel.place] >= panel.start).astype(float)
    turns, how = cluster_turns(weights, panel.n_sites, n_resamples, seed)
    method = f"two-way fixed effects, wild cluster bootstrap by site, {how}"
    fit, problem = _fit(panel, first, treated[:, None], _covariate_columns(covariates, panel))
    if problem:
        return no_contrast(1, method, problem)
    estimate = fit.direction.T @ fit.effects
    return turned_contrast(fit.q, estimate, fit.residual, fit.direction, panel.site, turns, level, method,
                           _notes(fit, panel))


def event_study(
    outcome: np.ndarray, site: np.ndarray, period: np.ndarray, start: np.ndarray, *, conf_level: float = 0.95
) -> EventStudy:
    """Differences between sites with and without a program in each period, against the last one before the start.

    The effects before the start should be near 0: the joint test asks whether the groups' trends differed already
    then. A large p-value does not prove that they would have stayed parallel, least of all with few sites.

    Parameters
    ----------
    outcome, site, period, start, conf_level : as in `difference_in_differences`

    Returns
    -------
    EventStudy
        Effects in the unit of the outcome, limits pointwise. NaN with a note as in `difference_in_differences`;
        no test with fewer than two periods before the start or too few sites.

    Raises
    ------
    ValueError
        As `difference_in_differences`.

    Source: Angrist and Pischke (2009), section 5.2; Pustejovsky and Tipton (2018), J Bus Econ Stat 36:672-683 (joint
    test); as R ``lm`` with ``clubSandwich``.

    >>> arrived = np.array([77.0, 78, 86, 80, 79, 86, 81, 80, 82, 80, 82, 84])
    >>> start = np.repeat([3, 3, np.nan, np.nan], 3)
    >>> found = event_study(arrived, np.repeat([1, 2, 3, 4], 3), np.tile([1, 2, 3], 4), start)
    >>> found.since, found.effect.estimate.round(3), round(found.pre_trend.p_value, 3)
    (array([-2.,  0.]), array([0.5, 5.5]), 0.808)
    """
    panel, level = check_panel(outcome, site, period, start), check_level(conf_level)
    first = only_start(panel)
    before = panel.periods[panel.periods < first]
    shown = panel.periods[panel.periods != before[-1]] if len(before) else panel.periods
    ever = np.isfinite(panel.start)[:, None]
    columns = (ever & (panel.periods[panel.place][:, None] == shown)).astype(float)
    fit, problem = _fit(panel, first, columns, np.zeros((len(columns), 0)))
    since = shown - first
    if problem:
        return EventStudy(since, no_contrast(len(since), METHOD, problem), no_test(METHOD, problem))
    return EventStudy(since, _effects(fit, panel, level), _pre_trend(fit, panel, since < 0))


@dataclass(frozen=True)
class _Fit:
    """Least squares within sites; ``direction`` (p, k) leads from ``effects`` to the wanted coefficients."""

    q: np.ndarray
    effects: np.ndarray
    residual: np.ndarray
    direction: np.ndarray
    exact: bool


def _fit(panel: Panel, first: float, wanted: np.ndarray, others: np.ndarray) -> tuple[_Fit | None, str]:
    """The fit, or None and the reason why there is none."""
    problem = _why_not(panel, first)
    if problem:
        return None, problem
    dummies = np.eye(len(panel.periods))[panel.place][:, 1:]
    x = np.hstack([dummies, others, wanted])
    size, (n, p) = np.linalg.norm(x, axis=0), x.shape
    x, y = (within_sites(part, panel.site, panel.n_sites) for part in (x, panel.outcome[:, None]))
    length = np.linalg.norm(x, axis=0)
    if n - panel.n_sites < p or (length <= _COLLINEAR * size).any():
        return None, NOT_DETERMINED
    q, r = np.linalg.qr(x / length)
    if (np.abs(np.diag(r)) < _COLLINEAR).any():
        return None, NOT_DETERMINED
    effects = q.T @ y[:, 0]
    residual = y[:, 0] - q @ effects
    pick = np.eye(p)[:, p - wanted.shape[1] :]
    exact = np.abs(residual).max() <= _ROUNDING * max(np.abs(panel.outcome).max(), 1e-300)
    return _Fit(q, effects, residual, np.linalg.solve((r * length).T, pick), bool(exact)), ""


def _why_not(panel: Panel, first: float) -> str:
    if not len(panel.outcome):
        return "no unit has a value"
    if not (panel.periods < first).any() or not (panel.periods >= first).any():
        return NO_PROGRAM_SITE
    return "" if np.isinf(panel.start).any() else NO_CONTROL_SITE


def _effects(fit: _Fit, panel: Panel, level: float) -> Contrast:
    estimate = fit.direction.T @ fit.effects
    square, df = cr2(fit.q, fit.residual, fit.direction, panel.site)
    return t_contrast(estimate, np.sqrt(square), df, level, METHOD, _notes(fit, panel))


def _notes(fit: _Fit, panel: Panel) -> np.ndarray:
    """Why there are no limits, for each wanted coefficient."""
    n_wanted, with_program = fit.direction.shape[1], np.isfinite(panel.site_start).sum()
    lonely = np.full(n_wanted, min(with_program, panel.n_sites - with_program) < 2)
    weight, score = fit.q @ fit.direction, np.zeros((panel.n_sites, n_wanted))
    np.add.at(score, panel.site, weight * fit.residual[:, None])
    plain = np.linalg.norm(weight, axis=0) * np.sqrt(np.mean(fit.residual**2))
    alike = np.linalg.norm(score, axis=0) <= _COLLINEAR * plain
    return make_notes(n_wanted, (lonely, TWO_SITES), (np.full(n_wanted, fit.exact), EXACT), (alike, ALIKE_SITES))


def _pre_trend(fit: _Fit, panel: Panel, before: np.ndarray) -> JointTest:
    if not before.any():
        return no_test("pre-trend", ONE_BEFORE)
    if fit.exact:
        return no_test("pre-trend", EXACT)
    return cr2_joint(fit.q, fit.effects, fit.residual, fit.direction[:, before], panel.site)


def _covariate_columns(covariates: pd.DataFrame | None, panel: Panel) -> np.ndarray:
    if covariates is None:
        return np.zeros((len(panel.outcome), 0))
    design = linear_model.make_design(np.zeros(len(panel.outcome), dtype=np.int64), covariates)
    return design.columns[:, 1:]
