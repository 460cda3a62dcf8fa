"""Straight lines over time of groups whose patients are seen repeatedly: where they start, how fast they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, lonely, n_codes, no_contrast
from therapyeval.stats.gee import ERRORS, fit_means, limited
from therapyeval.stats.inputs import check_cluster, check_codes, check_level, check_values, make_notes
from therapyeval.stats.linear_model import Design, make_design
from therapyeval.stats.mixed_models import check_rows, mixed_contrast

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class GroupLines:
    """Lines of groups: ``start`` and ``slope`` with one entry per code from 0, ``difference`` with one per pair.

    ``start`` is the mean at time 0 of units with average covariates, ``slope`` the change per unit of time (their
    p-values ask whether these are 0), ``difference`` slope a less slope b.
    """

    start: Contrast
    slope: Contrast
    difference: Contrast


def mixed_lines(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    cluster: np.ndarray,
    time: np.ndarray,
    random_slope: bool = True,
    likelihood: str = "REML",
    conf_level: float = 0.95,
) -> GroupLines:
    """Lines of groups over time, and how much more the outcome of group a changes per unit of time than that of b.

    A linear mixed model: each group has a mean at time 0 and a straight line, each cluster (a patient) departs
    from it by an own intercept and, with ``random_slope``, an own slope. Without it, rows far apart in time count
    as no less alike than neighbors, and intervals are too narrow wherever patients change at different speeds.

    Parameters
    ----------
    outcome, group, pairs, covariates, likelihood, conf_level : as in `mixed_difference`
    cluster : array, one code per row: whose repeated outcomes these are
    time : array of float, one per row, in any unit
    random_slope : bool

    Returns
    -------
    GroupLines
        In units of the outcome, slopes per unit of time; t with Satterthwaite's df; notes as in `mixed_difference`.
        A group seen at a single time gives NaN throughout.

    Raises
    ------
    ValueError
        As `mixed_difference`.

    Source: as `mixed_difference`.

    >>> import pandas as pd
    >>> week, who = np.tile([0.0, 1, 2], 4), np.repeat(np.arange(4), 3)
    >>> score = np.array([10.0, 15, 19, 20, 22, 27, 14, 15, 18, 9, 13, 13])
    >>> found = mixed_lines(score, who // 2, [(0, 1)], pd.DataFrame(index=range(12)), cluster=who, time=week)
    >>> found.start.estimate.round(3), found.slope.estimate.round(3)
    (array([14.833, 11.667]), array([4., 2.]))
    >>> found.difference.estimate.round(3), found.difference.df.round(2)
    (array([2.]), array([2.91]))
    """
    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    lines = _Lines.of(outcome, group, pairs, covariates, time)
    varying = np.column_stack([np.ones(len(outcome)), lines.time][: 1 + random_slope])
    whole = mixed_contrast(lines.design, outcome, cluster, varying, lines.weights, lines.note, likelihood, level)
    return lines.split(whole)


def gee_lines(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    cluster: np.ndarray,
    time: np.ndarray,
    correlation: str = "exchangeable",
    order: np.ndarray | None = None,
    error: str = "mancl_derouen",
    conf_level: float = 0.95,
) -> GroupLines:
    """Lines of groups over time as `mixed_lines`, by generalized estimating equations.

    Nothing is assumed about how patients depart from their group's line: the errors hold whatever the correlation
    within a cluster is, given enough clusters (see `gee_contrast`). Which rows are missing may depend on groups, time
    and covariates, but not on outcomes; `mixed_lines` allows that it depends on earlier outcomes.

    Parameters
    ----------
    outcome, group, pairs, covariates, cluster, correlation, order, error, conf_level : as in `gee_contrast`
    time : array of float, one per row, in any unit

    Returns
    -------
    GroupLines
        In units of the outcome, slopes per unit of time; limits, df and notes as in `gee_contrast`.

    Raises
    ------
    ValueError
        As `gee_contrast`.

    Source: as `gee_contrast`.

    >>> import pandas as pd
    >>> week, who = np.tile([0.0, 1, 2], 8), np.repeat(np.arange(8), 3)
    >>> score = np.array([10.0, 15, 19, 20, 22, 27, 14, 15, 18, 9, 13, 13, 11, 12, 19, 8, 9, 9, 12, 12, 14, 7, 8, 12])
    >>> found = gee_lines(score, who // 4, [(0, 1)], pd.DataFrame(index=range(24)), cluster=who, time=week)
    >>> found.difference.estimate.round(3), found.difference.low.round(3), found.difference.high.round(3)
    (array([1.]), array([-2.206]), array([4.206]))
    """
    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    lines = _Lines.of(outcome, group, pairs, covariates, time)
    cluster, n_clusters = check_cluster(cluster, len(outcome))
    beta, covariance, naive, problem = fit_means(lines.design, outcome, cluster, n_clusters, correlation, order, error)
    method = f"GEE, gaussian, {correlation} correlation, {ERRORS[error]}"
    if problem:
        return lines.split(no_contrast(len(lines.note), method, problem))
    estimate = np.where(lines.note == "", lines.weights.T @ beta + outcome.mean() * lines.level_share, np.nan)
    alone = lonely(np.asarray(group), cluster, *lines.codes)
    return lines.split(limited(estimate, lines.weights.T, covariance, naive, alone, n_clusters, error, level, method))


@dataclass(frozen=True)
class _Lines:
    """The design with an own slope for each group, and what is asked of its coefficients.

    ``weights`` has one column for each group's start, each group's slope and each pair; ``codes`` are the two groups
    of each (twice the same but for pairs), ``level_share`` says how much of the outcome's mean belongs to it.
    """

    design: Design
    time: np.ndarray
    weights: np.ndarray
    level_share: np.ndarray
    codes: tuple[np.ndarray, np.ndarray]
    note: np.ndarray
    n_groups: int

    @classmethod
    def of(cls, outcome, group, pairs, covariates, time) -> _Lines:
        time, (a, b) = check_rows(time, "time", len(outcome)), check_pairs(pairs)
        n_groups = n_codes(group, a, b)
        group, every = check_codes(group, len(outcome), n_groups=n_groups), np.arange(n_groups)
        plain, middle = make_design(group, covariates), time.sum() / max(len(time), 1)
        k = len(plain.groups)
        own = plain.columns[:, :k], plain.columns[:, :k] * (time - middle)[:, None]
        design = replace(plain, columns=np.hstack([*own, plain.columns[:, k:]]),
                         owner=plain.owner[:k] + ["time"] * k + plain.owner[k:],
                         constant=plain.constant + ["time"] * (len(np.unique(time)) == 1))
        dummy = (plain.groups[:, None] == every).astype(float)
        start, slope = np.zeros((2, design.columns.shape[1], n_groups))
        start[: 2 * k] = np.vstack([dummy, -middle * dummy])
        slope[k : 2 * k] = dummy
        first, second = np.r_[every, every, a], np.r_[every, every, b]
        note = make_notes(len(first), (~(np.isin(first, plain.groups) & np.isin(second, plain.groups)), NO_GROUP))
        weights = np.hstack([start, slope, slope[:, a] - slope[:, b]])
        return cls(design, time, weights, weights[:k].sum(axis=0), (first, second), note, n_groups)

    def split(self, whole: Contrast) -> GroupLines:
        cuts = slice(0, self.n_groups), slice(self.n_groups, 2 * self.n_groups), slice(2 * self.n_groups, None)
        return GroupLines(*(whole.part(cut) for cut in cuts))
