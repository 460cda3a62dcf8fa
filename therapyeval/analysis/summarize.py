"""`summarize`: metrics overall, by group and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from therapyeval.analysis.appointments import appointment_sums, count_appointments
from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.events import count_events, event_sums
from therapyeval.analysis.resample import BOOTSTRAP, DEFAULT, bootstrapped, check_interval, counted_bootstrapped
from therapyeval.analysis.units import select_units
from therapyeval.cohort import Cohort
from therapyeval.metrics.eligible import shared_scores
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, check_every, parse_period
from therapyeval.result import Result, check_names, make_frame


def summarize(cohort: Cohort, metric: str | Sequence[str], *, by: str | Sequence[str] | None = None,
              period: str | Period | None = None, every: str | None = None,
              conf_level: float = 0.95, interval: str = DEFAULT) -> Result:
    """Estimate one metric or several, for everybody or by group, in one period or for every one.

    Parameters
    ----------
    cohort : who is asked about
    metric : names such as "mcid_rate:lefs"; a list gives one table
    by : attributes to group by; a missing value is the group "not recorded"
    period : each metric applies it by its own cohort rule; None takes the cohort as it is
    every : week, month, quarter or year; adds the column `period`
    conf_level : of the intervals, 0-1
    interval : "default": that of each metric's kind; "bootstrap": percentiles of 2 000 resamples of patients, with a
        fixed seed that `method` states (counts have none)

    Returns
    -------
    Result
        A row per group and statistic. Eligible units without a value are counted in `n_missing`, those
        that a metric's rule leaves out in `n_excluded`, with reasons in `Result.exclusions`.

    Raises
    ------
    UnknownNameError, ParameterError, NotEvaluableError
        For unknown metrics, measures, attributes or periods, and for questions that the data cannot answer.
    """
    by = [by] if isinstance(by, str) else list(by or ())
    check_names(by)
    period, every = parse_period(period), check_every(every)
    calls = [parse(text) for text in ([metric] if isinstance(metric, str) else metric)]
    check_interval(interval)
    ask = _Ask(cohort, by, period, every, conf_level, interval)
    with shared_scores():
        found = [_answer(call, ask) for call in calls]
    frame, people, left_out = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    populations = ", ".join(dict.fromkeys(call.population for call in calls))
    return Result(make_frame(frame, [*by, "period"] if every else by),
                  "; ".join(dict.fromkeys(call.metric.label for call in calls)),
                  replace(answered(cohort, calls[0], period), population=populations), conf_level, left_out, people)


@dataclass(frozen=True)
class _Ask:
    """The question that is the same for all metrics; `known` keeps what they share."""

    cohort: Cohort
    by: list[str]
    period: Period | None
    every: str | None
    conf_level: float
    interval: str
    known: dict = field(default_factory=dict)


def _answer(call: Call, ask: _Ask) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows of one metric, the people behind them, and what its rule left out."""
    fixed = {"metric": call.text, "unit": call.unit(ask.cohort.facts)}
    if call.metric.statuses:
        count, sums = (count_events, event_sums) if call.metric.events else (count_appointments, appointment_sums)
        question = call, ask.cohort, ask.by, ask.period, ask.every
        frame, people, left_out = count(*question, ask.conf_level)
        if ask.interval == BOOTSTRAP:
            frame = counted_bootstrapped(frame, sums(*question), ask.conf_level)
        return frame.assign(**fixed), people, left_out
    units = select_units(call, ask.cohort, ask.by, ask.period, ask.every, ask.known)
    parts = estimate(call.metric.kind, units, variant=call.metric.variant, beside=call.metric.beside,
                     two_rules=call.metric.two_rules, conf_level=ask.conf_level)
    if ask.interval == BOOTSTRAP:
        parts = bootstrapped(parts, call, units, ask.conf_level)
    return *to_rows(parts, units, **fixed), exclusions(units, call.text)


def answered(cohort: Cohort, call: Call, period: Period | None):
    """The cohort's source with the question's population and period."""
    return replace(cohort.source, population=call.population, period=period.label if period else None)
