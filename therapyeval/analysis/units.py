"""Which units answer a question, and the group each belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.cohort import Cohort, Facts, attribute_values
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.registry import Call, Values
from therapyeval.period import Period, label_dates, spans

RULE_DATES = {"discharged": "end_date", "received": "received_date", "dated": "start_date"}
OWN_DATES = {"stays": "discharge_date", "responses": "date", "invitations": "invited_date", "clinician-days": "date",
             "weekly samples": "date"}  # where they differ from those of the rule
FIRST_DATES = {"episodes": "start_date", "referrals": "received_date", "authorizations": "start_date",
               "staff": "week"}
# The facts that a population is made of, and the table that they come from.
FACTS_OF = {"stays": ("stays", "admissions"), "responses": ("responses", "satisfaction"),
            "invitations": ("responses", "satisfaction"), "authorizations": ("authorizations", "authorizations"),
            "staff": ("staff_weeks", "staff_hours"), "clinicians": ("staff", "staff"),
            "clinician-days": ("availability", "availability"),
            "weekly samples": ("availability", "availability")}
NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Units:
    """The units in scope of one question, one array entry each; `keys` has one row per group.

    `value` is NaN where an eligible unit has no value; `reason` is "" where the unit is eligible; `row` is
    the position of the unit in its population's frame. The rest as in `Values`.
    """

    value: np.ndarray
    weight: np.ndarray | None
    event: np.ndarray | None
    reason: np.ndarray
    group: np.ndarray
    patient: np.ndarray
    row: np.ndarray
    keys: pd.DataFrame
    note: str = ""
    levels: tuple[str, ...] = ()
    horizon: float | None = None
    lacking: str = ""
    counted: Mapping[str, np.ndarray] = field(default_factory=dict)
    shared: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_groups(self) -> int:
        return len(self.keys)

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of each unit's group and patient together, and the group of each; shared by all metrics that ask
        of the same units."""
        if "pairs" not in self.shared:
            self.shared["pairs"] = stats.index_pairs(self.group, self.patient, self.n_groups)
        return self.shared["pairs"]

    @cached_property
    def eligible(self) -> np.ndarray:
        return self.reason == ""

    @cached_property
    def used(self) -> np.ndarray:
        return self.eligible & ~np.isnan(self.value)


@dataclass(frozen=True)
class _Grouping:
    """Groups and people of the units that a cohort rule selects; `shared` as in `Units`, `frame` kept so that no
    other frame can have its id."""

    frame: pd.DataFrame
    group: np.ndarray
    keys: pd.DataFrame
    patient: np.ndarray
    shared: dict = field(default_factory=dict)


def select_units(call: Call, cohort: Cohort, by: Sequence[str], period: Period | None,
                 every: str | None, known: dict | None = None) -> Units:
    """The metric's units, restricted to the period by the metric's own cohort rule, in groups.

    `known` keeps groupings for further metrics of the same question (cohort, groups, period).

    Raises
    ------
    NotEvaluableError
        Where the question needs a calendar that the data do not have, or a period that was not given.
    """
    facts = cohort.facts
    check_calendar(call, facts, period, every)
    if call.metric.per_span:
        asked = _asked_spans(call, facts, period, every)
        values = call.values(facts, spans=asked)
        frame = _frame(values, facts, call)
        rows = values.unit
        labels = np.array([span.label for span in asked], dtype=object)[values.span] if every else None
    else:
        values = call.values(facts)
        frame = _frame(values, facts, call)
        rows, labels = _rows_in_period(call, frame, period, every)
    for name in by:
        if name not in frame:
            attribute_values(facts, name)
            raise NotEvaluableError(f"{call.text} counts {call.population}, which have no {name}.")
    known = {} if known is None or call.metric.per_span else known
    key = id(frame), call.population, call.metric.cohort_rule
    if key not in known:
        known[key] = _grouping(frame, rows, labels, by)
    return _units(values, rows, known[key], spanned=call.metric.per_span)


def _grouping(frame: pd.DataFrame, rows: np.ndarray, labels: np.ndarray | None, by: Sequence[str]) -> _Grouping:
    owner = "patient" if "patient" in frame else "staff"
    taken = frame[[*by, *({owner} - set(by))]].iloc[rows]
    named = list(by)
    if labels is not None:
        taken, named = taken.assign(period=labels), [*by, "period"]
    group, keys = group_codes(taken, named)
    return _Grouping(frame, group, keys, taken[owner].to_numpy(dtype=np.int64))


def check_calendar(call: Call, facts: Facts, period: Period | None, every: str | None) -> None:
    """Refuse a question about dates to data without dates or about days after the data cut, and one to appointments
    where there are none."""
    if not facts.has_calendar and (period or every or call.metric.per_span):
        raise NotEvaluableError(f"{call.text}: these data have occasions but no dates, so they cannot be cut by "
                                "period. Leave period and every out.")
    if period and facts.data_cut is not None and period.start > facts.data_cut.date():
        raise ParameterError(f"the period {period.label} begins after the data cut ({facts.data_cut.date()}): there is "
                             "nothing to count yet.")
    if call.metric.statuses and facts.appointments is None:
        raise NotEvaluableError(f"{call.text} needs appointments, and these data have no visits table.")
    if call.metric.events and facts.events is None:
        raise NotEvaluableError(f"{call.text} needs events, and these data have no events table.")
    name, table = FACTS_OF.get(call.population, ("episodes", ""))
    if getattr(facts, name) is None:
        raise NotEvaluableError(f"{call.text} counts {call.population}, and these data have no table {table}.")


def population_frame(facts: Facts, population: str) -> pd.DataFrame:
    """The facts that a population is made of, a row per unit unless a metric makes units of its own."""
    return facts.referrals if population == "referrals" else getattr(facts, FACTS_OF.get(population, ("episodes",))[0])


def _frame(values: Values, facts: Facts, call: Call) -> pd.DataFrame:
    return population_frame(facts, call.population) if values.frame is None else values.frame


def group_codes(frame: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """A code from 0 per row, and the groups' values in sorted order; a missing value is a group of its own."""
    if not names:
        return np.zeros(len(frame), dtype=np.int64), pd.DataFrame(index=range(1))
    named = not_recorded(frame[list(names)])
    grouped = named.groupby(list(names), sort=True, observed=True)
    return grouped.ngroup().to_numpy(), grouped.size().index.to_frame(index=False)


def not_recorded(groups: pd.DataFrame) -> pd.DataFrame:
    """Group columns in which a missing value is the group "not recorded": an empty one would mean all groups."""
    groups = groups.copy()
    for name in groups.columns[groups.isna().any()]:
        groups[name] = groups[name].astype(object).where(groups[name].notna(), NOT_RECORDED).astype(str)
    return groups


def _units(values: Values, rows: np.ndarray, grouping: _Grouping, spanned: bool) -> Units:
    def taken(series: pd.Series | None, dtype: type) -> np.ndarray | None:
        if series is None:
            return None
        array = series.to_numpy(dtype=dtype)
        return array if spanned or len(rows) == len(array) else array[rows]
    reason = taken(values.excluded, object)
    return Units(taken(values.value, np.float64), taken(values.weight, np.float64), taken(values.event, np.float64),
                 np.full(len(rows), "", dtype=object) if reason is None else reason, grouping.group,
                 grouping.patient, np.asarray(rows), grouping.keys, values.note, values.levels, values.horizon,
                 values.lacking,
                 {name: taken(mask, np.float64) == 1 for name, mask in values.counted.items()}, grouping.shared)


def _rows_in_period(call: Call, frame: pd.DataFrame, period: Period | None,
                    every: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions of the units that the cohort rule puts into the period, with their label where `every` asks."""
    if period is None and every is None:
        return np.arange(len(frame)), None
    dates = frame[OWN_DATES.get(call.population) or RULE_DATES[call.metric.cohort_rule]]
    inside = dates.notna()
    if period is not None:
        inside &= dates.between(pd.Timestamp(period.start), pd.Timestamp(period.end))
    rows = np.flatnonzero(inside)
    return rows, label_dates(dates.iloc[rows], every).to_numpy() if every else None


def _asked_spans(call: Call, facts: Facts, period: Period | None, every: str | None) -> list[Period]:
    day = call.arguments.get("t")
    if day is not None:
        if period is not None or every is not None:
            raise NotEvaluableError(f"{call.text} is about one day: leave period and every out, or t.")
        if pd.Timestamp(day) > facts.data_cut:
            raise NotEvaluableError(f"{call.text}: the data end on {facts.data_cut.date()}.")
        return [Period(day, day, str(day))]
    if period is None and every is None:
        what = "open in a period" if call.metric.cohort_rule == "dated" else "there on the last day of a period"
        raise NotEvaluableError(f"{call.text} is about the {call.population} {what}: give period= or every=.")
    frame = population_frame(facts, call.population)
    starts = frame[FIRST_DATES[call.population]].dropna() if call.population in FIRST_DATES else (
        facts.episodes["start_date"].dropna())
    if period is None and starts.empty:
        return []
    first = period.start if period else starts.min().date()
    last = period.end if period else facts.data_cut.date()
    return spans(first, last, every)
