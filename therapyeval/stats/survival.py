"""Time until an event in many groups at once, where some units were not followed until theirs."""

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.critical_values import normal_quantile
from therapyeval.stats.inputs import NO_VALUE, check_codes, check_level, check_values, make_notes
from therapyeval.stats.intervals import Interval

_TOLERANCE = np.sqrt(np.finfo(float).eps)  # as in R survival: survival this close to 1 - p equals it


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan-Meier curves, one entry per group and distinct time, in that order.

    ``estimate`` is the share still without the event just after ``time``; before a group's first time it is 1.
    ``at_risk`` counts units followed until just before it, ``events`` those with the event at it; units that
    are neither at risk later nor had the event were censored. ``note`` has one entry per group.
    """

    group: np.ndarray
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str
    note: np.ndarray


def survival_curve(
    duration: np.ndarray, event: np.ndarray, group: np.ndarray, n_groups: int, *, conf_level: float = 0.95
) -> SurvivalCurve:
    """Kaplan-Meier curves of many groups at once, with pointwise limits on the log-log scale.

    Units censored at a time are still at risk at that time.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; days, visits or any other time
    event : array of bool (or 0/1): True where the event was seen at `duration`, False where censored then
    group : array of int, one code 0..n_groups-1 per unit; units independent
    n_groups : int
    conf_level : float, between 0 and 1

    Returns
    -------
    SurvivalCurve
        Shares from 0 to 1. Limits are NaN where the share is 0 or 1. A group without units has no entry, and
        its note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, an event is not 0/1, a code lies outside
        0..n_groups-1 or conf_level outside (0, 1).

    Source: Kaplan and Meier (1958), J Am Stat Assoc 53:457-481, with Greenwood's variance; as R
    ``survfit(conf.type = "log-log")``.

    >>> curve = survival_curve(np.array([2.0, 5, 9, 14, 20]), np.array([1, 1, 0, 1, 0]), np.zeros(5, dtype=int), 1)
    >>> curve.time, curve.estimate.round(3), curve.low[:2].round(3), curve.high[:2].round(3)
    (array([ 2.,  5.,  9., 14., 20.]), array([0.8, 0.6, 0.6, 0.3, 0.3]), array([0.204, 0.126]), array([0.969, 0.882]))
    """
    duration, event, group = check_events(duration, event, group, n_groups)
    z = normal_quantile(check_level(conf_level))
    steps = survival_steps(duration, event, group, n_groups)
    low, high = _bands(steps.survival, steps.error, z)
    note = make_notes(n_groups, (np.bincount(group, minlength=n_groups) == 0, NO_VALUE))
    parts = steps.group, steps.time, steps.at_risk, steps.events, steps.survival
    return SurvivalCurve(*parts, low, high, "Kaplan-Meier, log-log", note)


def time_quantile(
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    *,
    p: float = 0.5,
    conf_level: float = 0.95,
) -> Interval:
    """Kaplan-Meier quantiles of many groups at once, with limits from log-log bands.

    The quantile is the smallest time at which survival S is below 1 - p. Where S equals 1 - p exactly, it
    is the midpoint between that time and the next drop; where no drop follows, the start of the stretch (as
    R prints a median; R's ``quantile()`` goes halfway to the last observation instead). Without censoring
    the median is the ordinary one. The same rule turns the lower and upper band of S into the limits. Equal
    durations must be exactly equal, as days are; units censored at a time are still at risk at that time.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN; days, visits or any other time
    event : array of bool (or 0/1): True where the event was seen at `duration`, False where censored then
    group : array of int, one code 0..n_groups-1 per unit
    n_groups : int
    p : float, between 0 and 1: 0.5 for the median, 0.9 for P90
    conf_level : float, between 0 and 1

    Returns
    -------
    Interval
        In the unit of `duration`. Never infinite: what is not reached is NaN, and the note says whether
        that is the estimate ("not reached") or only the upper limit ("upper limit not reached"). A lower
        limit is also NaN where the curve falls to zero in the step that crosses 1 - p: its bands are not
        defined there.

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, an event is not 0/1, a code lies outside
        0..n_groups-1, or p or conf_level outside (0, 1).

    Source: Kaplan and Meier (1958), J Am Stat Assoc 53:457-481; Brookmeyer and Crowley (1982), Biometrics
    38:29-41, on the log-log scale, as R ``survfit(conf.type = "log-log")``.

    >>> seen = np.array([True, True, True, True, False])
    >>> wait = time_quantile(np.array([2.0, 5, 9, 14, 20]), seen, np.zeros(5, dtype=int), 1)
    >>> wait.estimate, wait.low, wait.high, wait.note.tolist()
    (array([9.]), array([2.]), array([nan]), ['upper limit not reached'])
    """
    if not 0 < p < 1:
        raise ValueError(f"p is {p}, but must lie between 0 and 1")
    duration, event, group = check_events(duration, event, group, n_groups)
    z = normal_quantile(check_level(conf_level))
    steps = survival_steps(duration, event, group, n_groups)
    curves = steps.survival, *_bands(steps.survival, steps.error, z)
    estimate, low, high = (_first_below(curve, steps.time, steps.group, n_groups, 1 - p) for curve in curves)
    note = make_notes(
        n_groups,
        (np.bincount(group, minlength=n_groups) == 0, NO_VALUE),
        (np.isnan(estimate), "not reached"),
        (np.isnan(low), "limits not defined: the curve falls to zero in one step"),
        (np.isnan(high), "upper limit not reached"),
    )
    return Interval(estimate, low, high, "Kaplan-Meier, log-log", note)


def check_events(duration, event, group, n_groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows as float, bool and int arrays; ValueError where they make no sense."""
    duration, event = check_values(duration, "duration"), check_values(event, "event")
    if len(event) != len(duration):
        raise ValueError(f"duration has {len(duration)} units and event has {len(event)}")
    if (duration < 0).any():
        raise ValueError("duration holds negative times")
    if not np.isin(event, (0, 1)).all():
        raise ValueError("event must be True or False (1 or 0) for every unit")
    return duration, event == 1, check_codes(group, len(duration), n_groups=n_groups)


@dataclass(frozen=True)
class Steps:
    """Every distinct time of every group, by group and time; survival after it and the error of its log.

    ``greenwood`` is what the time adds to the variance of log survival; NaN where nobody is left.
    """

    group: np.ndarray
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    greenwood: np.ndarray
    error: np.ndarray


def survival_steps(duration, event, group, n_groups) -> Steps:
    """Kaplan-Meier curves of checked rows."""
    import pandas as pd

    order = np.lexsort((duration, group))
    duration, event, group = duration[order], event[order], group[order]
    new = np.r_[True, (np.diff(group) != 0) | (np.diff(duration) != 0)][: len(order)]
    start = np.flatnonzero(new)
    events = np.add.reduceat(event.astype(float), start) if len(start) else np.zeros(0)
    ends = np.cumsum(np.bincount(group, minlength=n_groups))
    at_risk = (ends[group[start]] - start).astype(float)
    left = at_risk - events
    step_group = group[start]
    greenwood = np.divide(events, at_risk * left, out=np.full(len(left), np.nan), where=left > 0)
    survival = pd.Series(left / at_risk).groupby(step_group).cumprod().to_numpy()
    variance = pd.Series(greenwood).groupby(step_group).cumsum().to_numpy()
    return Steps(step_group, duration[start], at_risk, events, survival, greenwood, np.sqrt(variance))


def _bands(survival: np.ndarray, error: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of survival on the log-log scale; NaN where it is 0 or 1."""
    inner = (survival > 0) & (survival < 1)
    log_survival = np.log(np.where(inner, survival, 0.5))
    half = z * error / log_survival
    low, high = (np.exp(-np.exp(np.log(-log_survival) + shift)) for shift in (-half, half))
    return np.where(inner, low, np.nan), np.where(inner, high, np.nan)


def _first_below(
    curve: np.ndarray, time: np.ndarray, step_group: np.ndarray, n_groups: int, level: float
) -> np.ndarray:
    """When each group's curve first falls below `level`, with the midpoint rule; NaN where never."""
    first = _first_step(curve < level + _TOLERANCE, step_group, n_groups)
    reached = first >= 0
    at_first = np.full(n_groups, np.nan)
    at_first[reached] = curve[first[reached]]
    following = _first_step(curve < at_first[step_group], step_group, n_groups)
    halfway = reached & (np.abs(at_first - level) < _TOLERANCE) & (following >= 0)
    result = np.full(n_groups, np.nan)
    result[reached] = time[first[reached]]
    result[halfway] = (result[halfway] + time[following[halfway]]) / 2
    return result


def _first_step(hit: np.ndarray, step_group: np.ndarray, n_groups: int) -> np.ndarray:
    """Position of the first step in each group where `hit` holds; -1 where there is none."""
    position = np.flatnonzero(hit)
    first = np.full(n_groups, -1, dtype=np.int64)
    first[step_group[position[::-1]]] = position[::-1]
    return first
