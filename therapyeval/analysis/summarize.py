"""`summarize`: metrics overall, by group and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from therapyeval.analysis.appointments import count_appointments
from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.events import count_events
from therapyeval.analysis.units import select_units
from therapyeval.cohort import Cohort
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, check_every, parse_period
from therapyeval.result import Result, check_names, make_frame


def summarize(cohort: Cohort, metric: str | Sequence[str], *, by: str | Sequence[str] | None = None,
              period: str | Period | None = None, every: str | None = None,
              conf_level: float = 0.95) -> Result:
    """Estimate one metric or several, for everybody or by group, in one period or for every one.

    Parameters
    ----------
    cohort : who is asked about
    metric : names such as "mcid_rate:lefs"; a list gives one table
    by : attributes to group by; a missing value is the group "not recorded"
    period : each metric applies it by its own cohort rule; None takes the cohort as it is
    every : week, month, quarter or year; adds the column `period`
    conf_level : of the intervals, 0-1

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
    known: dict = {}
    results = [_summarize(call, cohort, by, period, every, conf_level, known) for call in calls]
    title = "; ".join(dict.fromkeys(call.metric.label for call in calls))
    return results[0].concat(*results[1:], title=title) if len(results) > 1 else results[0]


def _summarize(call: Call, cohort: Cohort, by: list[str], period: Period | None, every: str | None,
               conf_level: float, known: dict) -> Result:
    fixed = {"metric": call.text, "unit": call.unit(cohort.facts)}
    if call.metric.events:
        frame, people, left_out = count_events(call, cohort, by, period, every, conf_level)
        frame = frame.assign(**fixed)
    elif call.metric.statuses:
        frame, people, left_out = count_appointments(call, cohort, by, period, every, conf_level)
        frame = frame.assign(**fixed)
    else:
        units = select_units(call, cohort, by, period, every, known)
        parts = estimate(call.metric.kind, units, variant=call.metric.variant, beside=call.metric.beside,
                         two_rules=call.metric.two_rules, conf_level=conf_level)
        frame, people = to_rows(parts, units, **fixed)
        left_out = exclusions(units, call.text)
    names = [*by, "period"] if every else by
    return Result(make_frame(frame, names), call.metric.label, answered(cohort, call, period), conf_level,
                  left_out, people)


def answered(cohort: Cohort, call: Call, period: Period | None):
    """The cohort's source with the question's population and period."""
    return replace(cohort.source, population=call.metric.population, period=period.label if period else None)
