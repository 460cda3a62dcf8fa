"""The XmR chart: does a process vary as it always did, or has something changed?

Source: quarterly review requirements, section 5 (NHS Making Data Count; Nelson 1982 for the screening).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from numbers import Real

import numpy as np
import pandas as pd

from therapyeval.analysis import summarize
from therapyeval.cohort import Cohort
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.metrics.registry import TOLERANCE, Call, parse
from therapyeval.period import Period, parse_period, spans
from therapyeval.result import (
    AMOUNTS,
    COMPLETE_CASE,
    COUNTS,
    EXCLUSIONS,
    MISSING_NOT_ACHIEVED,
    NUMBERS,
    Result,
    make_frame,
    typed,
)

RULE_SETS = {"making_data_count": 2.66, "qicharts2": 3 / 1.128}
RULES = ("outside_limit", "shift", "trend", "two_of_three")
HEADLINE = {"mean": "mean", "proportion": "proportion", "ratio": "ratio", "median": "median", "time": "median"}
INTERVALS = ("week", "month")
GOOD_SIDE = {"higher": 1, "lower": -1, "neither": 0}
# Variants of kinds without a chart, and why.
UNCHARTED = {"count": "is a count without a spread of its own", "competing": "is a share by a number of visits",
             "per responder": "is a pair of numbers"}
MIN_POINTS = 12
RUN = 7
OUTLYING = 3.267
NEAR = 2 / 3
NONE = "none"
NO_DATA = "no unit has a value"


@dataclass(frozen=True)
class Limits:
    """Process limits. Without limits `lower`, `upper` and `mean_range` are NaN, and `note` says why.

    `n_points` values, `n_missing` without one; `n_ranges` moving ranges used, `n_outlying` left out.
    """

    mean: float
    lower: float
    upper: float
    mean_range: float
    n_points: int
    n_missing: int
    n_ranges: int
    n_outlying: int
    note: str = ""

    def without_limits(self, note: str) -> Limits:
        return replace(self, lower=np.nan, upper=np.nan, mean_range=np.nan, note=note)


@dataclass(frozen=True)
class ControlChart:
    """An XmR chart as named Results; limits, signals and words follow from `points` alone.

    Attributes
    ----------
    points : one row per period; a period without data has a NaN estimate
    limits : rows "mean", "mean_moving_range", "lower_limit", "upper_limit"; their units are periods
    signals : the row of each flagged point, once per rule: `level` is the rule, `note` is improvement,
        concern or neutral
    variation : what the last point says: common_cause, or improvement, concern or neutral with _high or
        _low; "none" without limits
    assurance : pass, fail, inconsistent; "none" without limits or target, or where neither direction is better
    """

    points: Result
    limits: Result
    signals: Result
    variation: str
    assurance: str
    better: str
    target: float | None = None
    rules: str = "making_data_count"
    screen_outliers: bool = True

    def with_points(self, points: Result) -> ControlChart:
        """The same chart of other points. A chart to be shown is made of the released points, so that its
        limits give no withheld point away: `chart.with_points(released)`."""
        return chart_points(points, better=self.better, target=self.target, rules=self.rules,
                            screen_outliers=self.screen_outliers)

    def to_text(self) -> str:
        return "\n\n".join([*(part.to_text() for part in (self.points, self.limits, self.signals)), self._words()])

    def _repr_html_(self) -> str:
        tables = [part._repr_html_() for part in (self.points, self.limits, self.signals)]
        return "".join([*tables, f"<p>{self._words()}</p>"])

    def _words(self) -> str:
        return f"Variation: {self.variation}. Assurance: {self.assurance}.".replace("_", " ")


def control_chart(cohort: Cohort, metric: str, *, every: str = "month", period: str | Period | None = None,
                  target: float | None = None, rules: str = "making_data_count",
                  screen_outliers: bool = True) -> ControlChart:
    """A metric over time with process limits, and the points that show special-cause variation.

    Parameters
    ----------
    metric : one name such as "no_show_rate"; responder rates count missing as not achieved
    every : month or week (quarters give too few points for any rule)
    period : the span of the chart; two to three years are best
    target : in the metric's unit (a proportion is 0-1); gives the assurance
    rules : "making_data_count" has limits at 2.66 mean moving ranges, "qicharts2" at 3/1.128; the four
        rules for signals are the same
    screen_outliers : leave moving ranges of at least 3.267 times their mean out, once

    Returns
    -------
    ControlChart
        With fewer than 12 points it has no limits and no signals. Nothing is clipped at 0 or 1.

    Raises
    ------
    UnknownNameError, ParameterError, NotEvaluableError
        As `summarize`; also for other intervals and rule sets, and a target that is no number of that unit.

    Source: quarterly review requirements, section 5.
    """
    call = parse(metric)
    if every not in INTERVALS:
        raise ParameterError(f"every={every!r}: a control chart plots months or weeks; quarters and years give too "
                             "few points. Use every='month', or summarize() for a table.")
    _check_metric(call)
    found = _headline(summarize(cohort, metric, period=period, every=every), call)
    return chart_points(_fill_gaps(found, every), better=call.better(cohort.facts), target=target, rules=rules,
                        screen_outliers=screen_outliers)


def chart_points(points: Result, *, better: str, target: float | None = None, rules: str = "making_data_count",
                 screen_outliers: bool = True) -> ControlChart:
    """The chart of points that exist already, in order of time and with a row for every period.

    Points without an estimate (no data, withheld) are skipped: they end no run, and no moving range is
    taken across them. The Results it makes carry the policy that the points were released under.

    Source: quarterly review requirements, section 5.
    """
    for kind, name, known in (("rule set", rules, RULE_SETS), ("better direction", better, GOOD_SIDE)):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    _check_target(target, next(iter(points.frame["unit"]), ""))
    if points.by != ["period"] or points.frame["period"].duplicated().any():
        raise ParameterError(f"a control chart needs one row for each period; {points.title!r} has other groups "
                             "or several rows. Narrow the cohort, and keep one statistic.")
    values = points.frame["estimate"].to_numpy(np.float64)
    limits = xmr(values, constant=RULE_SETS[rules], screen_outliers=screen_outliers)
    if limits.n_points < MIN_POINTS:
        limits = limits.without_limits(f"insufficient: fewer than {MIN_POINTS} points")
    flags = signals(values, limits)
    words = directions(values, limits, better)
    method = f"XmR, limits at mean ± {RULE_SETS[rules]:.5g} mean moving range" + (
        "; outlying moving ranges left out once (Nelson 1982)" if screen_outliers else "")
    return ControlChart(points, _limit_rows(points, limits, method), _signal_rows(points, flags, words),
                        _variation(values, limits, flags, words), _assurance(limits, target, better),
                        better, target, rules, screen_outliers)


def xmr(values: np.ndarray, *, constant: float = RULE_SETS["making_data_count"],
        screen_outliers: bool = True) -> Limits:
    """Limits of an individuals chart: mean ± constant × mean moving range; a NaN is a period without a value.

    Moving ranges of at least 3.267 times their mean are left out once. Where no moving range above 0 is left
    there are no limits: a band without width would flag every point.

    Source: Nelson (1982), J Qual Technol 14:172-173; quarterly review requirements, section 5.

    >>> found = xmr(np.array([82.0, 80, 85, 79, 83, 81, 84, 80, 78, 82, 81, 83]))
    >>> round(found.mean, 1), round(found.mean_range, 2), round(found.lower, 1), round(found.upper, 1)
    (81.5, 3.18, 73.0, 90.0)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or np.isinf(values).any():
        raise ValueError("xmr() needs one row of finite numbers, with NaN for a period without a value")
    n_points = int((~np.isnan(values)).sum())
    mean = float(np.nanmean(values)) if n_points else np.nan
    ranges = np.abs(np.diff(values))
    ranges = ranges[~np.isnan(ranges)]
    used = ranges[ranges < OUTLYING * ranges.mean()] if screen_outliers and len(ranges) else ranges
    width = float(used.mean()) if len(used) else 0.0
    found = Limits(mean, mean - constant * width, mean + constant * width, width, n_points, len(values) - n_points,
                   len(used), len(ranges) - len(used))
    if not n_points:
        return found.without_limits(NO_DATA)
    if not len(ranges):
        return found.without_limits("no limits: no two periods in a row have a value")
    if width <= _slack(values):
        return found.without_limits("no limits: no moving range above 0 is left, so the band would have no width")
    return found


def signals(values: np.ndarray, limits: Limits) -> dict[str, np.ndarray]:
    """For each of RULES, which values it flags; NaN is skipped and ends no run. Without limits, none.

    outside_limit: strictly beyond a limit. shift: 7 in a row strictly on one side of the mean. trend: 7 in a
    row, each strictly above (or below) the one before. two_of_three: of 3 in a row on one side of the mean at
    least 2 strictly beyond two thirds of the way to the limit and not outside it; these are flagged.

    Source: NHSRplotthedots, after NHS Making Data Count; quarterly review requirements, section 5.
    """
    values = np.asarray(values, dtype=np.float64)
    flags = {rule: np.zeros(len(values), dtype=bool) for rule in RULES}
    place = np.flatnonzero(~np.isnan(values))
    if np.isnan(limits.lower) or not len(place):
        return flags
    used, slack = values[place], _slack(values)
    side = _sign(used - limits.mean, slack)
    outside = (used > limits.upper + slack) | (used < limits.lower - slack)
    near = (np.abs(used - limits.mean) > NEAR * (limits.upper - limits.mean) + slack) & ~outside
    steps = _in_run(_sign(np.diff(used), slack), RUN - 1)
    trend = np.append(steps, False) | np.insert(steps, 0, False)
    for rule, flagged in zip(RULES, (outside, _in_run(side, RUN), trend, _two_of_three(side, near)), strict=True):
        flags[rule][place] = flagged
    return flags


def directions(values: np.ndarray, limits: Limits, better: str) -> np.ndarray:
    """improvement, concern or neutral: by the side of the mean each value lies on; on the mean it is neutral."""
    agreement = GOOD_SIDE[better] * _sign(values - limits.mean, _slack(values))
    return np.select([agreement > 0, agreement < 0], ["improvement", "concern"], "neutral")


def _slack(values: np.ndarray) -> float:
    """What binary arithmetic may add: a value that near to a line lies on it."""
    return TOLERANCE * float(np.nanmax(np.abs(values), initial=0.0))


def _sign(differences: np.ndarray, slack: float) -> np.ndarray:
    return np.where(np.abs(differences) <= slack, 0.0, np.sign(differences))


def _in_run(marks: np.ndarray, length: int) -> np.ndarray:
    """Which marks belong to a run of at least that many equal ones; a mark of 0 belongs to none."""
    run = np.cumsum(np.diff(marks, prepend=np.nan) != 0)
    return (marks != 0) & (np.bincount(run)[run] >= length)


def _two_of_three(side: np.ndarray, near: np.ndarray) -> np.ndarray:
    flagged = np.zeros(len(side), dtype=bool)
    for first in range(len(side) - 2):
        three = slice(first, first + 3)
        if abs(side[three].sum()) == 3 and near[three].sum() >= 2:
            flagged[three] = True
    return flagged & near


def _variation(values: np.ndarray, limits: Limits, flags: dict[str, np.ndarray], words: np.ndarray) -> str:
    """The word of the icon: what the last point with a value says."""
    if np.isnan(limits.lower):
        return NONE
    last = np.flatnonzero(~np.isnan(values))[-1]
    if not any(flagged[last] for flagged in flags.values()):
        return "common_cause"
    return f"{words[last]}_{'high' if values[last] >= limits.mean else 'low'}"


def _assurance(limits: Limits, target: float | None, better: str) -> str:
    """Whether the whole band lies strictly on the right side of the target, on the wrong side, or on both."""
    if target is None or better == "neither" or np.isnan(limits.lower):
        return NONE
    above, below = limits.lower > target, limits.upper < target
    if above or below:
        return "pass" if above == (better == "higher") else "fail"
    return "inconsistent"


def _check_target(target: float | None, unit: str) -> None:
    if target is None:
        return
    if isinstance(target, bool) or not isinstance(target, Real) or not np.isfinite(target):
        raise ParameterError(f"target={str(target)[:40]!r} is not a number.")
    if unit == "proportion" and not 0 <= target <= 1:
        raise ParameterError(f"target={target:g}: this metric is a proportion, 0 to 1. Write 0.75 for 75%.")


def _check_metric(call: Call) -> None:
    """Refuse what has no one number per period of the kind that a chart plots."""
    why = "has a row for each class" if call.metric.by_level else UNCHARTED.get(call.metric.variant)
    if why:
        raise NotEvaluableError(f"{call.text} {why}, so it has no control chart. Use "
                                f"summarize(…, every='month') for a table.")


def _headline(result: Result, call: Call) -> Result:
    """One row per period: the estimate of its kind, under the missing rule of headlines."""
    estimand = MISSING_NOT_ACHIEVED if call.metric.two_rules else COMPLETE_CASE
    frame = result.frame
    return result.where((frame["statistic"] == HEADLINE[call.metric.kind]) & (frame["estimand"] == estimand))


def _fill_gaps(points: Result, every: str) -> Result:
    """A row for every period from the first to the last; where nothing happened, counts are 0."""
    frame = points.frame
    if frame.empty:
        return points
    first, last = (_first_day(label) for label in (frame["period"].iloc[0], frame["period"].iloc[-1]))
    labels = [span.label for span in spans(first, last, every)]
    place = pd.Index(frame["period"]).get_indexer(labels)
    gap, rows = place < 0, np.maximum(place, 0)
    filled = frame.iloc[rows].reset_index(drop=True)
    filled["period"] = labels
    filled["note"] = filled["note"].mask(gap, NO_DATA)
    for name in (*NUMBERS, *AMOUNTS, *COUNTS):
        empty = np.nan if name in NUMBERS else 0
        filled[name] = filled[name].mask(gap & filled[name].notna().to_numpy(), empty)
    people = points.people
    if people is not None:
        people = people.iloc[rows].reset_index(drop=True)
        people = people.mask(people.notna() & gap[:, None], 0)
    return replace(points, frame=typed(filled), people=people)


def _first_day(label: str) -> date:
    year, is_week, number = label.partition("-W")
    return date.fromisocalendar(int(year), int(number), 1) if is_week else parse_period(label).start


def _limit_rows(points: Result, limits: Limits, method: str) -> Result:
    fixed = {name: next(iter(points.frame[name]), "") for name in ("metric", "estimand", "unit")}
    counts = {"n": limits.n_points, "n_missing": limits.n_missing}
    rows = [{"statistic": "mean", "estimate": limits.mean, **counts},
            {"statistic": "mean_moving_range", "estimate": limits.mean_range, "n": limits.n_ranges,
             "n_excluded": limits.n_outlying},
            {"statistic": "lower_limit", "estimate": limits.lower, **counts},
            {"statistic": "upper_limit", "estimate": limits.upper, **counts}]
    frame = make_frame([{**fixed, **row, "method": method, "note": limits.note} for row in rows])
    return replace(points, frame=frame, title=f"{points.title}: process limits", people=None,
                   source=replace(points.source, population="periods"), exclusions=pd.DataFrame(columns=EXCLUSIONS))


def _signal_rows(points: Result, flags: dict[str, np.ndarray], words: np.ndarray) -> Result:
    """Rows of flagged points, by period and then in the order of RULES."""
    place, rule = np.nonzero(np.column_stack([flags[name] for name in RULES]))
    frame = points.frame.iloc[place].reset_index(drop=True)
    frame = frame.assign(level=np.array(RULES)[rule], note=words[place])
    people = None if points.people is None else points.people.iloc[place].reset_index(drop=True)
    return replace(points, frame=typed(frame), title=f"{points.title}: signals", people=people,
                   exclusions=pd.DataFrame(columns=EXCLUSIONS))
