"""Shares with an event by a horizon, in many groups at once, where other ends compete with it."""

import numpy as np

from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.inputs import NO_VALUE, check_codes, check_level, check_values, make_notes
from therapyeval.stats.intervals import Interval

CENSORED, EVENT, OTHER = 0, 1, 2


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
    share, error, end = _share_and_error(duration, cause, group, n_groups, horizon)
    inner = (share > 0) & (share < 1) & (error > 0)
    log_share = np.log(np.where(inner, share, 0.5))
    half = z * error / (np.where(inner, share, 0.5) * log_share)
    low, high = (np.where(inner, np.exp(-np.exp(np.log(-log_share) + shift)), np.nan) for shift in (-half, half))
    note = make_notes(
        n_groups,
        (np.isnan(share), NO_VALUE),
        (~inner & (share == 0), "no event by then: no interval"),
        (~inner & (share > 0), "no variation: no interval"),
        (end < horizon, "nobody is followed that long: the share at the last time"),
    )
    return Interval(share, low, high, "Aalen-Johansen, log-log", note)


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


def _share_and_error(duration, cause, group, n_groups, horizon) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share by the horizon, its standard error, and the last time at which somebody is still followed."""
    beyond = duration > horizon
    cause = np.where(beyond, CENSORED, cause)
    place, step_group, n_at_risk = _steps(np.where(beyond, np.inf, duration), group, n_groups)
    n_steps = len(step_group)
    counts = [np.bincount(place[cause == kind], minlength=n_steps) for kind in (CENSORED, EVENT, OTHER)]
    first = np.flatnonzero(np.r_[True, np.diff(step_group) != 0]) if n_steps else np.array([], dtype=np.int64)
    hazard, of_event = (counts[EVENT] + counts[OTHER]) / n_at_risk, counts[EVENT] / n_at_risk
    left = 1 - hazard
    before = _within(np.multiply, left, step_group, first, start=1.0)       # S just before each time
    share_at = _within(np.add, before * of_event, step_group, first)
    total = np.full(n_groups, np.nan)
    total[step_group[_last(step_group)]] = share_at[_last(step_group)]
    # What one unit's weight adds to the share: at its own event, and at every time it is at risk.
    still_to_come = np.divide(total[step_group] - share_at, n_at_risk * left, out=np.zeros(n_steps), where=left > 1e-12)
    at_risk = _within(np.add, before * of_event / n_at_risk - still_to_come * hazard, step_group, first)
    influence = (-at_risk, before / n_at_risk - still_to_come - at_risk, -still_to_come - at_risk)
    squares = sum(n * u**2 for n, u in zip(counts, influence, strict=True))
    variance = np.bincount(step_group, squares, minlength=n_groups)
    last = np.full(n_groups, -np.inf)
    np.maximum.at(last, group, duration)
    unfinished = np.bincount(group, cause == CENSORED, n_groups) > 0
    return total, np.sqrt(variance), np.where(unfinished, last, np.inf)


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


def _last(step_group: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.r_[np.diff(step_group) != 0, True][: len(step_group)])


def _within(operation, values, step_group, first, start=None) -> np.ndarray:
    """Running sums or products within each group; with `start`, those before each step."""
    import pandas as pd

    grouped = pd.Series(values).groupby(step_group)
    running = (grouped.cumsum() if operation is np.add else grouped.cumprod()).to_numpy()
    if start is None or not len(running):
        return running
    shifted = np.r_[start, running[:-1]]
    shifted[first] = start
    return shifted
