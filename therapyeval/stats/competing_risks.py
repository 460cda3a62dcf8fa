"""Shares with an event by a horizon or over time, in many groups at once, where other ends compete with it."""

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.inputs import NO_VALUE, check_codes, check_level, check_values, make_notes
from therapyeval.stats.intervals import Interval

CENSORED, EVENT, OTHER = 0, 1, 2
METHOD = "Aalen-Johansen, log-log"
_ROUNDING = 1e-12


@dataclass(frozen=True)
class IncidenceCurve:
    """Cumulative incidence of the event, one entry per group and distinct time, in that order.

    ``estimate`` is the share with the event up to and including ``time``; before a group's first time it is 0.
    ``at_risk`` counts units followed until just before it, ``events`` and ``others`` those that ended at it, with the
    event or otherwise; who is neither there nor at risk later was censored. ``note`` has one entry per group.
    """

    group: np.ndarray
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    others: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str
    note: np.ndarray


def incidence_curve(
    duration: np.ndarray, cause: np.ndarray, group: np.ndarray, n_groups: int, *, conf_level: float = 0.95
) -> IncidenceCurve:
    """Aalen-Johansen curves of many groups at once, with pointwise limits.

    Parameters
    ----------
    duration, cause, group, n_groups, conf_level : as in `cumulative_incidence`

    Returns
    -------
    IncidenceCurve
        Shares from 0 to 1 with limits on the log-log scale, which are NaN where the share is 0 or 1. A group without
        units has no entry, and its note says so.

    Raises
    ------
    ValueError
        As `cumulative_incidence`.

    Source: as `cumulative_incidence`.

    >>> visits, cause = np.array([8.0, 6, 5, 3, 10, 7]), np.array([2, 1, 2, 1, 0, 2])
    >>> curve = incidence_curve(visits, cause, np.zeros(6, dtype=int), 1)
    >>> curve.time, curve.estimate.round(3)
    (array([ 3.,  5.,  6.,  7.,  8., 10.]), array([0.167, 0.167, 0.333, 0.333, 0.333, 0.333]))
    >>> curve.low[:1].round(3), curve.high[:1].round(3)
    (array([0.008]), array([0.517]))
    """
    duration, cause, group = check_causes(duration, cause, group, n_groups)
    z = normal_quantile(check_level(conf_level))
    steps = _incidence(duration, cause, group, n_groups)
    low, high = _bands(steps.share, steps.error, z)
    note = make_notes(n_groups, (np.bincount(group, minlength=n_groups) == 0, NO_VALUE))
    return IncidenceCurve(steps.group, steps.time, steps.at_risk, steps.events, steps.others, steps.share, low, high,
                          METHOD, note)


def cumulative_incidence(
    duration: np.ndarray,
    cause: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    *,
    horizon: float,
    conf_level: float = 0.95,
) -> Interval:
    """Aalen-Johansen shares with the event by a horizon (inclusive), in many groups at once.

    Other ends take a unit out of risk for good: it can no longer have the event. Units censored at a time are
    still at risk at that time. The variance is the infinitesimal jackknife, units taken as independent.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; visits, days or any other time
    cause : array of int, per unit: 0 censored, 1 the event, 2 another end
    group : array of int, one code 0..n_groups-1 per unit
    n_groups : int
    horizon : float, in the unit of `duration`
    conf_level : float, between 0 and 1

    Returns
    -------
    Interval
        Shares from 0 to 1 with limits on the log-log scale. An empty group gives NaN; a share of 0 or 1 has no
        limits. Where a group is followed for less than the horizon, the share at its last time is given and
        the note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, a cause is not 0, 1 or 2, a code lies outside
        0..n_groups-1 or conf_level outside (0, 1).

    Source: Aalen and Johansen (1978), Scand J Stat 5:141-150; as R ``survfit(Surv(time, factor(cause)) ~ 1,
    conf.type = "log-log")``.

    >>> visits, cause = np.array([8.0, 6, 5, 3, 10, 7]), np.array([2, 2, 2, 1, 2, 2])
    >>> share = cumulative_incidence(visits, cause, np.zeros(6, dtype=int), 1, horizon=3)
    >>> share.estimate.round(3), share.note.tolist()
    (array([0.167]), [''])
    """
    duration, cause, group = check_causes(duration, cause, group, n_groups)
    z = normal_quantile(check_level(conf_level))
    beyond = duration > horizon
    steps = _incidence(np.where(beyond, np.inf, duration), np.where(beyond, CENSORED, cause), group, n_groups)
    reached = np.flatnonzero(steps.time <= horizon)
    share, error = np.where(np.bincount(group, minlength=n_groups) > 0, 0.0, np.nan), np.zeros(n_groups)
    share[steps.group[reached]], error[steps.group[reached]] = steps.share[reached], steps.error[reached]    # the last
    low, high = _bands(share, error, z)
    end = np.full(n_groups, -np.inf)
    np.maximum.at(end, group, duration)
    unfinished = np.bincount(group, (cause == CENSORED) | beyond, n_groups) > 0
    note = make_notes(
        n_groups,
        (np.isnan(share), NO_VALUE),
        (np.isnan(low) & (share == 0), "no event by then: no interval"),
        (np.isnan(low), "no variation: no interval"),
        (unfinished & (end < horizon), "nobody is followed that long: the share at the last time"),
    )
    return Interval(share, low, high, METHOD, note)


def check_causes(duration, cause, group, n_groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows as float and int arrays; ValueError where they make no sense."""
    duration, cause = check_values(duration, "duration"), check_values(cause, "cause")
    if len(cause) != len(duration):
        raise ValueError(f"duration has {len(duration)} units and cause has {len(cause)}")
    if (duration < 0).any():
        raise ValueError("duration holds negative times")
    if not np.isin(cause, (CENSORED, EVENT, OTHER)).all():
        raise ValueError("cause must be 0 (censored), 1 (the event) or 2 (another end) for every unit")
    return duration, cause.astype(np.int64), check_codes(group, len(duration), n_groups=n_groups)


@dataclass(frozen=True)
class _Steps:
    """Every distinct time of every group, by group and time; the share with the event by then, and its error."""

    group: np.ndarray
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    others: np.ndarray
    share: np.ndarray
    error: np.ndarray


def _incidence(duration, cause, group, n_groups) -> _Steps:
    """The curves, with the infinitesimal jackknife: what one unit's weight adds to the share F(t).

    A unit that ends at step j adds a + b F(t) to the share at any later t, with a and b its own: sums of a^2, a b and
    b^2 over all that ended by t give the variance at every t at once. Who is still followed adds what a unit censored
    at t adds.
    """
    place, step_group, n_at_risk = _steps(duration, group, n_groups)
    n_steps = len(step_group)
    counts = [np.bincount(place[cause == kind], minlength=n_steps) for kind in (CENSORED, EVENT, OTHER)]
    first = np.flatnonzero(np.r_[True, np.diff(step_group) != 0]) if n_steps else np.array([], dtype=np.int64)
    hazard, of_event = (counts[EVENT] + counts[OTHER]) / n_at_risk, counts[EVENT] / n_at_risk
    left = 1 - hazard

    def running(*values):
        return _within(np.add, np.column_stack(values), step_group, first).T
    before = _within(np.multiply, left, step_group, first, start=1.0)       # S just before each time
    (share,) = running(before * of_event)
    share = np.where(share > 1 - _ROUNDING, 1.0, share)
    # At risk at step j, a unit loses its part of that step's events, and of what comes after: (F(t) - F_j) / (n left).
    later = np.divide(1.0, n_at_risk * left, out=np.zeros(n_steps), where=left > 1e-12)
    slope, flat = running(later * hazard, -before * of_event / n_at_risk - share * later * hazard)
    influence = ((flat, slope), (flat + before / n_at_risk + share * later, slope - later),
                 (flat + share * later, slope - later))
    square, cross, across = running(*(sum(n * a**i * b**(2 - i) for n, (a, b) in zip(counts, influence, strict=True))
                                      for i in (2, 1, 0)))
    remaining = n_at_risk - sum(counts)
    variance = square + 2 * share * cross + share**2 * across + remaining * (flat + slope * share) ** 2
    variance = np.where(variance > _ROUNDING * (square + across), variance, 0.0)
    time = np.empty(n_steps)
    time[place] = duration
    return _Steps(step_group, time, n_at_risk, counts[EVENT], counts[OTHER], share, np.sqrt(variance))


def _bands(share: np.ndarray, error: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits on the log-log scale; NaN where the share is 0 or 1 or has no error."""
    inner = (share > 0) & (share < 1) & (error > 0)
    log_share = np.log(np.where(inner, share, 0.5))
    half = z * error / (np.where(inner, share, 0.5) * log_share)
    low, high = (np.where(inner, np.exp(-np.exp(np.log(-log_share) + shift)), np.nan) for shift in (-half, half))
    return low, high


def _steps(duration, group, n_groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct times of every group: that of each unit, and the group and number at risk of each."""
    order = np.lexsort((duration, group))
    ordered, codes = duration[order], group[order]
    new = np.r_[True, (codes[1:] != codes[:-1]) | (ordered[1:] != ordered[:-1])][: len(order)]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    start = np.flatnonzero(new)
    ends = np.cumsum(np.bincount(group, minlength=n_groups))
    return place, codes[start], (ends[codes[start]] - start).astype(float)


def _within(operation, values, step_group, first, start=None) -> np.ndarray:
    """Running sums or products within each group; with `start`, those before each step."""
    import pandas as pd

    grouped = (pd.Series if values.ndim == 1 else pd.DataFrame)(values).groupby(step_group)
    running = (grouped.cumsum() if operation is np.add else grouped.cumprod()).to_numpy()
    if start is None or not len(running):
        return running
    shifted = np.r_[start, running[:-1]]
    shifted[first] = start
    return shifted
