"""Rates of events per visit: the engine counts the visits, and events are counted in the same groups."""

from __future__ import annotations

import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import check_calendar, not_recorded
from therapyeval.cohort import Cohort
from therapyeval.errors import NotEvaluableError
from therapyeval.metrics.registry import Call
from therapyeval.period import Period, label_dates
from therapyeval.result import COMPLETE_CASE, PEOPLE

PER = 1000  # visits
SEEN = ["n_events", "n_hurt"]


def count_events(call: Call, cohort: Cohort, by: list[str], period: Period | None, every: str | None,
                 conf_level: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows of a Result, the people behind them, and what is left out, as `to_rows` and `exclusions` give them.

    Events without a value of a group's column are in the group "not recorded". Events and visits are narrowed by the
    same filters, each by its own columns.
    """
    facts = cohort.facts
    check_calendar(call, facts, period, every)
    for name in by:
        if name not in facts.events:
            raise NotEvaluableError(f"{call.text}: the events of these data have no {name}.")
    numerator, denominator = call.metric.statuses
    visits, left_out = facts.appointments.counts(cohort.conditions, numerator=numerator, denominator=denominator, by=by,
                                                 period=period, every=every)
    visits[by], left_out[by] = not_recorded(visits[by]), not_recorded(left_out[by])
    groups = [*by, "period"] if every else by
    events = _events(call, facts.events, by, period, every)
    if groups:
        counted = events.groupby(groups)["patient"].agg(n_events="size", n_hurt="nunique").reset_index()
        frame = visits.merge(counted, "outer", groups)
    else:
        frame = visits.assign(n_events=len(events), n_hurt=events["patient"].nunique())
    numbers = [name for name in frame if name not in groups]
    frame[numbers] = frame[numbers].fillna(0)
    frame[["n", "n_people", *SEEN]] = frame[["n", "n_people", *SEEN]].astype("int64")
    people = pd.DataFrame({"numerator": frame["n_hurt"], "complement": frame["n_people"],
                           "n_missing": frame["people_missing"], "n_excluded": frame["people_excluded"]})
    return _rows(frame, conf_level), people[list(PEOPLE)], left_out.assign(metric=call.text)


def _events(call: Call, events: pd.DataFrame, by: list[str], period: Period | None, every: str | None) -> pd.DataFrame:
    """The events of the metric's types in the period, with their groups."""
    events = events[events["type"].isin(call.metric.events)]
    if period is not None:
        events = events[events["date"].between(pd.Timestamp(period.start), pd.Timestamp(period.end))]
    found = pd.concat([events[["patient"]], not_recorded(events[by])], axis=1)
    return found.assign(period=label_dates(events["date"], every)) if every else found


def _rows(frame: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    interval = stats.event_rate(frame["n_events"].to_numpy(), frame["n"].to_numpy(float), per=PER,
                                conf_level=conf_level)
    return frame.assign(statistic="ratio", estimand=COMPLETE_CASE, estimate=interval.estimate, conf_low=interval.low,
                        conf_high=interval.high, method=interval.method, note=interval.note,
                        numerator=frame["n_events"], denominator=frame["n"])
