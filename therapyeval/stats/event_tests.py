"""Tests that groups have the same course of events: log-rank, and Gray's where other ends compete."""

import numpy as np

from therapyeval.stats.competing_risks import EVENT, OTHER, check_causes
from therapyeval.stats.inputs import check_cluster
from therapyeval.stats.joint_test import JointTest, chi_square_test, no_test
from therapyeval.stats.survival import check_events

ONE_GROUP = "needs two groups with units"
NO_EVENT = "no event while two groups were at risk"


def log_rank(
    duration: np.ndarray, event: np.ndarray, group: np.ndarray, n_groups: int, *, strata: np.ndarray | None = None
) -> JointTest:
    """Test that all groups have the same hazard of the event, most powerful where hazards are proportional.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; days, visits or any other time
    event : array of bool (or 0/1): True where the event was seen at `duration`, False where censored then
    group : array of int, one code 0..n_groups-1 per unit; units independent
    n_groups : int
    strata : array, one label per unit, such as the site: groups are compared within strata only

    Returns
    -------
    JointTest
        Chi-square with one degree of freedom less than there are groups that could have had an event. NaN and
        a note where fewer than two could.

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, an event is not 0/1, a code lies outside
        0..n_groups-1 or a stratum is missing.

    Source: Mantel (1966), Cancer Chemother Rep 50:163-170; Peto and Peto (1972), J R Stat Soc A 135:185-207; as R
    ``survdiff``.

    >>> wait, seen = np.array([2.0, 5, 9, 14, 20, 3, 4, 4, 8, 12]), np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0])
    >>> test = log_rank(wait, seen, np.repeat([0, 1], 5), 2)
    >>> round(test.statistic, 4), test.df, round(test.p_value, 4)
    (1.057, 1.0, 0.3039)
    """
    duration, event, group = check_events(duration, event, group, n_groups)
    strata = np.zeros(len(duration)) if strata is None else strata
    stratum, n_strata = check_cluster(strata, len(duration))
    observed_less_expected, expected = np.zeros(n_groups), np.zeros(n_groups)
    variance = np.zeros((n_groups, n_groups))
    for code in range(n_strata):
        mine = stratum == code
        times, at_risk, counts = _table(duration[mine], event[mine].astype(int), group[mine], n_groups)
        events, everybody = counts[1].sum(axis=1), at_risk.sum(axis=1)
        share = at_risk / everybody[:, None]
        left = np.divide(everybody - events, everybody - 1, out=np.zeros(len(times)), where=everybody > 1)
        weight = events * left
        observed_less_expected += (counts[1] - events[:, None] * share).sum(axis=0)
        expected += events @ share
        variance += np.diag(weight @ share) - (share * weight[:, None]).T @ share
    method = "log-rank" if n_strata < 2 else f"log-rank in {n_strata} strata"
    return _quadratic(observed_less_expected, variance, expected > 0, group, method)


def gray_test(duration: np.ndarray, cause: np.ndarray, group: np.ndarray, n_groups: int) -> JointTest:
    """Test that all groups have the same cumulative incidence of the event, where other ends compete with it.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; visits, days or any other time
    cause : array of int, per unit: 0 censored, 1 the event, 2 another end
    group : array of int, one code 0..n_groups-1 per unit; units independent
    n_groups : int

    Returns
    -------
    JointTest
        Chi-square with one degree of freedom less than there are groups with units. NaN and a note where there
        are fewer than two, or no event.

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, a cause is not 0, 1 or 2, or a code lies outside
        0..n_groups-1.

    Source: Gray (1988), Ann Stat 16:1141-1154, with rho = 0; as R ``cmprsk::cuminc``.

    >>> wait, cause = np.array([2.0, 5, 9, 14, 20, 3, 4, 4, 8, 12]), np.array([1, 2, 0, 1, 0, 1, 1, 2, 1, 0])
    >>> test = gray_test(wait, cause, np.repeat([0, 1], 5), 2)
    >>> round(test.statistic, 4), test.df, round(test.p_value, 4)
    (1.0322, 1.0, 0.3096)
    """
    duration, cause, group = check_causes(duration, cause, group, n_groups)
    present, group = np.unique(group, return_inverse=True)
    score, variance = _gray_score(*_table(duration, cause, group, len(present)))
    return _quadratic(score, variance, np.ones(len(present), dtype=bool), group, "Gray's test")


def _table(duration, kind, group, n_groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times, the number at risk at each in each group, and counts (kind, time, group)."""
    times, place = np.unique(duration, return_inverse=True)
    counts = np.zeros((3, len(times), n_groups))
    np.add.at(counts, (kind, place, group), 1)
    at_risk = counts.sum(axis=0)[::-1].cumsum(axis=0)[::-1]
    return times, at_risk, counts


def _quadratic(score, variance, usable, group, method) -> JointTest:
    """score' variance^-1 score over the usable groups, the last left out since the scores add to zero."""
    kept = np.flatnonzero(usable)[:-1]
    if len(np.unique(group)) < 2:
        return no_test(method, ONE_GROUP)
    score, variance = score[kept], variance[np.ix_(kept, kept)]
    if not np.isfinite(variance).all():
        return no_test(method, "the joint incidence reaches 1 while two groups are at risk")
    if not len(kept) or np.linalg.matrix_rank(variance) < len(kept):
        return no_test(method, NO_EVENT)
    return chi_square_test(score @ np.linalg.solve(variance, score), len(kept), method)


def _gray_score(times, at_risk, counts) -> tuple[np.ndarray, np.ndarray]:
    """Gray's scores of the groups and their variance.

    In the paper's terms, with S the survival from all ends just before a time and F the incidence of the event:
    h = Y / S are the weights of the groups, whose sum takes the place of the number at risk.
    """
    n_groups = at_risk.shape[1]
    before, incidence, pooled = np.ones(n_groups), np.zeros(n_groups), 0.0
    score, variance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    drift = np.zeros((n_groups, n_groups))                # integral of the weights against the pooled hazard
    cross, spread = np.zeros((n_groups, n_groups)), np.zeros(n_groups)
    for y, d, other in zip(at_risk, counts[EVENT], counts[OTHER], strict=True):
        n_events = d.sum()
        here = y > 0
        rate = np.divide(1.0, y, out=np.zeros(n_groups), where=here)
        if n_events or other.any():
            h = np.divide(y, before, out=np.zeros(n_groups), where=here)
            total, at_stake = h.sum(), h * (1 - incidence)
            after = np.where(here, before * (y - d - other) * rate, before)
            pooled_after = pooled + n_events / total
            weights = np.diag(h) - np.outer(h, h) / total
            if n_events and here.sum() > 1:                # a group that is left alone is compared with nobody
                drift += weights * n_events / (total * (1 - pooled)) if pooled < 1 else np.nan
            score += d - n_events * at_stake / at_stake.sum()
            left = np.divide(1 - pooled_after, after, out=np.zeros(n_groups), where=after > 0)
            if n_events:
                factor = np.where(here & (after > 0), 1 - left, 1.0) * here
                several = here & (n_events > 1)
                shared = 1 - np.divide(n_events - 1, total * before - 1, out=np.zeros(n_groups), where=several)
                size = shared * before * n_events * rate / total
                push = weights - drift * factor
                variance += (push * size) @ push.T
                cross += push * factor * size
                spread += factor**2 * size
            if other.any():
                ties = 1 - np.divide(other - 1, y - 1, out=np.zeros(n_groups), where=other > 1)
                size = ties * before**2 * other * rate**2 * (after > 0)
                variance += (drift * left**2 * size) @ drift.T
                cross -= drift * left**2 * size
                spread += left**2 * size
            incidence, before, pooled = incidence + before * d * rate, after, pooled_after
    return score, variance + (drift * spread) @ drift.T + drift @ cross.T + cross @ drift.T
