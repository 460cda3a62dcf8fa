"""Rates of events per visit or patient-day: the engine counts the visits, and events are counted in the same groups."""

from __future__ import annotations

import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import check_calendar, not_recorded
from therapyeval.cohort import Cohort, Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.experience import VISITS
from therapyeval.metrics.registry import PATIENT_DAYS, Call
from therapyeval.period import Period, label_dates, spans
from therapyeval.result import COMPLETE_CASE, PEOPLE

PER = 1000  # visits or patient-days
PER_WHAT = (VISITS, PATIENT_DAYS)
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
    per = call.arguments.get("per", VISITS)
    if per not in PER_WHAT:
        raise ParameterError(f"{call.metric.name}: per={per[:40]!r} is not known. Use {' or '.join(PER_WHAT)}.")
    visits, left_out = (_patient_days if per == PATIENT_DAYS else _visits)(call, cohort, by, period, every)
    groups = [*by, "period"] if every else by
    events = _events(call, facts, by, period, every)
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


def event_sums(call: Call, cohort: Cohort, by: list[str], period: Period | None, every: str | None) -> pd.DataFrame:
    """What each patient adds to the rows of `count_events`: `by`, `period`, patient, a (events times PER) and b (visits
    or patient-days). An event of nobody known is a person of its own."""
    keys = [*by, *(["period"] if every else []), "patient"]
    if call.arguments.get("per", VISITS) == PATIENT_DAYS:
        exposure = _days(cohort, by, period, every).rename(columns={"n": "b"})
    else:
        numerator, denominator = call.metric.statuses
        exposure = cohort.facts.appointments.sums(cohort.conditions, numerator=numerator, denominator=denominator,
                                                  by=by, period=period, every=every)
        exposure[by] = not_recorded(exposure[by])
    events = _events(call, cohort.facts, by, period, every).assign(a=float(PER), b=0.0)
    exposure = exposure.assign(a=0.0).astype({"b": "float64"})
    return pd.concat([exposure, events]).groupby(keys, observed=True)[["a", "b"]].sum().reset_index()


def _visits(call: Call, cohort: Cohort, by: list[str], period: Period | None,
            every: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    numerator, denominator = call.metric.statuses
    visits, left_out = cohort.facts.appointments.counts(cohort.conditions, numerator=numerator, denominator=denominator,
                                                        by=by, period=period, every=every)
    visits[by], left_out[by] = not_recorded(visits[by]), not_recorded(left_out[by])
    return visits, left_out


def _patient_days(call: Call, cohort: Cohort, by: list[str], period: Period | None,
                  every: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Days of stays by group, as `_visits` does it."""
    for name in by:
        if name not in cohort.facts.stays:
            raise NotEvaluableError(f"{call.text}: the stays of these data have no {name}.")
    days = _days(cohort, by, period, every)
    groups = [*by, "period"] if every else by
    grouped = days.groupby(groups) if groups else days.groupby(lambda _: 0)
    found = grouped.agg(n=("n", "sum"), n_people=("patient", "nunique")).reset_index(drop=not groups)
    if not groups and found.empty:
        found = pd.DataFrame({"n": [0], "n_people": [0]})
    nothing = dict.fromkeys(("n_missing", "n_excluded", "people_missing", "people_excluded"), 0)
    return found.assign(**nothing), pd.DataFrame(columns=[*by, "reason", "n", "n_people"])


def _days(cohort: Cohort, by: list[str], period: Period | None, every: str | None) -> pd.DataFrame:
    """Days from admission to discharge (else to the data cut) of each stay inside each period."""
    facts = cohort.facts
    start, end = facts.stays["start_date"], facts.stays["discharge_date"].fillna(facts.data_cut)
    first = period.start if period or start.empty else start.min().date()
    asked = spans(first, period.end if period else facts.data_cut.date(), every) if period or len(start) else []
    parts = [pd.DataFrame({"patient": facts.stays["patient"], **not_recorded(facts.stays[by]), "period": span.label,
                           "n": (end.clip(upper=pd.Timestamp(span.end) + pd.Timedelta(days=1))
                                 - start.clip(lower=pd.Timestamp(span.start))).dt.days}) for span in asked]
    days = pd.concat(parts) if parts else pd.DataFrame(columns=["patient", *by, "period", "n"])
    return days[days["n"] > 0]


def _during_stays(facts: Facts) -> pd.DataFrame:
    """The events of patients on a day of one of their stays, discharge day included."""
    both = facts.events.reset_index().merge(facts.stays[["patient", "start_date", "discharge_date"]], on="patient")
    inside = (both["date"] >= both["start_date"]) & ~(both["date"] > both["discharge_date"])
    return facts.events.loc[both.loc[inside, "index"].unique()]


def _events(call: Call, facts: Facts, by: list[str], period: Period | None, every: str | None) -> pd.DataFrame:
    """The events of the metric's types in the period, with their groups; per patient-day, those during stays."""
    events = _during_stays(facts) if call.arguments.get("per", VISITS) == PATIENT_DAYS else facts.events
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
