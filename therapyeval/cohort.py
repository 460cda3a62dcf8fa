"""Facts, and named filters over them with the count kept at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.result import Source

# Facts that few data have, beside episodes, referrals and appointments: those that filters narrow, then those that
# belong to a row of them.
NARROWED = ("stays", "authorizations", "responses", "events", "staff", "staff_weeks", "availability")
FURTHER = (*NARROWED, "goals", "stay_scores", "authorization_visits")
EPISODE_FACTS = frozenset((
    "episode", "patient", "start_date", "end_date", "discharge_date", "first_visit_date", "last_visit_date", "days",
    "closed_admin", "reason", "disposition", "goals_met_pct", "planned_visits", "n_attended", "n_no_show",
    "n_late_cancel", "n_early_cancel", "n_clinic_cancel", "n_rescheduled", "n_booked", "minutes", "units", "n_merged",
    "cert_end", "cert_signed_date", "planned_source"))


@dataclass(frozen=True, repr=False)  # a notebook saves what it shows, and rows of patients are not for that
class Facts:
    """The tables that metrics see. `episode` and `patient` are small integers, never source ids.

    Attributes
    ----------
    episodes : one row per episode of care: attributes, dates, days, visit counts by status, reason, flags
    scores : one row per episode and measure: baseline, final, dates, `why_unpaired` ("" where paired)
    referrals : one row per referral, with the days waited and how the wait ended
    appointments : answers `counts(...)`; its rows stay in the engine
    measures : code -> Measure, local ones included
    enrollment : one row per person of a pilot's list, also those never allocated: patient, episode, arm,
        eligible, ineligible_reason, consented, allocated, withdrawn, withdrawn_reason; None without a pilot
    stays : inpatient stays; `stay_scores` their pairs of scores
    authorizations : one row each; `authorization_visits` the day of each visit that one of them paid for
    responses : one row per invitation to answer about the care, also those without an answer
    events : falls, complaints and the like; goals : goals of episodes with their levels
    staff : one row per clinician; `staff_weeks` hours and minutes, `availability` days of their calendars
    timepoint_rule : "window" or "declared"
    has_calendar : False for trials with occasions only; what needs dates then raises
    data_cut : nothing after this day is used
    min_visits : attended visits that make an episode eligible for outcome metrics
    allocated : analysed as allocated: everybody enrolled counts, also those never discharged
    """

    episodes: pd.DataFrame
    scores: pd.DataFrame
    referrals: pd.DataFrame
    measures: Mapping[str, object]
    enrollment: pd.DataFrame | None = None
    appointments: object | None = None
    stays: pd.DataFrame | None = None
    stay_scores: pd.DataFrame | None = None
    authorizations: pd.DataFrame | None = None
    authorization_visits: pd.DataFrame | None = None
    responses: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    goals: pd.DataFrame | None = None
    staff: pd.DataFrame | None = None
    staff_weeks: pd.DataFrame | None = None
    availability: pd.DataFrame | None = None
    timepoint_rule: str = "window"
    has_calendar: bool = True
    data_cut: pd.Timestamp | None = None
    min_visits: int = 3
    allocated: bool = False

    @property
    def attributes(self) -> list[str]:
        """Columns of `episodes` that describe the patient or the episode: filters, groups, covariates."""
        return [name for name in self.episodes if name not in EPISODE_FACTS]

    def measure(self, code: str):
        """The Measure of that code, or an error with the closest codes."""
        if code not in self.measures:
            raise UnknownNameError("measure", code, self.measures)
        return self.measures[code]


@dataclass(frozen=True)
class Condition:
    """One filter: any of `values`, or a number from `low` to `high` (inclusive; None is open)."""

    column: str
    values: tuple = ()
    low: float | None = None
    high: float | None = None

    def to_data(self) -> object:
        if self.values:
            return list(self.values)
        return "..".join("" if bound is None else f"{bound:g}" for bound in (self.low, self.high))

    def keeps(self, column: pd.Series) -> pd.Series:
        """Which rows it keeps (rows without a value: no)."""
        if self.values:
            return column.isin(self.values)
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return column.between(low, high).fillna(False).astype(bool)


@dataclass(frozen=True)
class Cohort:
    """A selection in every population at once. It holds no period: that is an argument of the question.

    `flow` has one row per filter and population: n_before, n_kept, n_other (another value) and
    n_not_linked (no value to compare, for example a missed first evaluation without an episode).
    """

    facts: Facts
    source: Source
    conditions: tuple[Condition, ...] = ()
    flow: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FLOW), repr=False)

    def where(self, **filters: object) -> Cohort:
        """This cohort narrowed by attributes: a value, a list of values, or a range such as "18..64".

        Raises
        ------
        UnknownNameError, ParameterError
            For an attribute or a value that the data do not have.
        """
        cohort = self
        for column, value in filters.items():
            cohort = cohort._narrow(_condition(cohort.facts, column, value))
        return cohort

    def as_allocated(self) -> Cohort:
        """Only the enrolled, analysed as allocated whatever became of them (intention to treat)."""
        if "arm" not in self.facts.episodes:
            raise ParameterError("these data have no enrollment table, so nobody is allocated to an arm.")
        arms = sorted(self.facts.episodes["arm"].dropna().unique())
        enrolled = self.where(arm=arms)
        return replace(enrolled, facts=replace(enrolled.facts, allocated=True))

    def save(self, path: str | Path) -> None:
        """Write the filters to a YAML file that `dataset.read_cohort(path)` reads again."""
        Path(path).write_text(yaml.safe_dump({"version": 1, "filters": self.filters}, sort_keys=False,
                                             allow_unicode=True), encoding="utf-8")

    @property
    def filters(self) -> dict[str, object]:
        """The filters as plain data."""
        return {condition.column: condition.to_data() for condition in self.conditions}

    def _narrow(self, condition: Condition) -> Cohort:
        facts, steps = self.facts, []
        episodes = _select(facts.episodes, condition, "episodes", steps)
        referrals = _select(facts.referrals, condition, "referrals", steps)
        scores = facts.scores[facts.scores["episode"].isin(episodes["episode"])]
        conditions = (*self.conditions, condition)
        if facts.appointments is not None:
            steps.append({"population": "appointments", **facts.appointments.flow(self.conditions, condition)})
        further = {name: _select(getattr(facts, name), condition, name.replace("_", " "), steps)
                   for name in NARROWED if getattr(facts, name) is not None}
        flow = pd.DataFrame(steps).assign(filter=f"{condition.column} = {condition.to_data()}")[FLOW]
        narrowed = replace(facts, episodes=episodes, referrals=referrals, scores=scores, **further)
        source = replace(self.source, filters={**self.filters, condition.column: condition.to_data()})
        return replace(self, facts=narrowed, source=source, conditions=conditions,
                       flow=pd.concat([self.flow, flow], ignore_index=True) if len(self.flow) else flow)


FLOW = ["filter", "population", "n_before", "n_kept", "n_other", "n_not_linked"]


def read_filters(path: str | Path) -> dict[str, object]:
    """The filters of a file that `Cohort.save` wrote."""
    data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not isinstance(data.get("filters"), dict):
        raise ParameterError(f"{Path(path).name} is not a cohort file: it needs `filters:`, "
                             "with one line per attribute.")
    return data["filters"]


def _select(frame: pd.DataFrame, condition: Condition, population: str, steps: list[dict]) -> pd.DataFrame:
    if condition.column in frame:
        known, kept = frame[condition.column].notna(), condition.keeps(frame[condition.column])
    else:
        known = kept = pd.Series(False, index=frame.index)
    steps.append({"population": population, "n_before": len(frame), "n_kept": int(kept.sum()),
                  "n_other": int((known & ~kept).sum()), "n_not_linked": int((~known).sum())})
    return frame[kept]


def _condition(facts: Facts, column: str, value: object) -> Condition:
    known = attribute_values(facts, column)
    if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
        if isinstance(value, str) and ".." in value:
            low, high = (_number(column, part) if part.strip() else None for part in value.split("..", 1))
            return Condition(column, low=low, high=high)
        values = value if isinstance(value, (list, tuple, set)) else [value]
        return Condition(column, tuple(_number(column, item) for item in values))
    values = tuple(_texts(value))
    texts = {str(item): item for item in known.dropna().unique()}
    unknown = [item for item in values if item not in texts]
    if unknown:
        raise UnknownNameError(f"value of {column}", unknown[0], texts)
    return Condition(column, tuple(texts[item] for item in values))


def attribute_values(facts: Facts, column: str) -> pd.Series:
    """All values of an attribute, from the first population that has it.

    Raises
    ------
    UnknownNameError
        Where no population has it.
    """
    frames = [facts.episodes, facts.referrals, *(getattr(facts, name) for name in NARROWED)]
    frames = [frame for frame in frames if frame is not None]
    for frame in frames[:2]:
        if column in frame:
            return frame[column]
    if facts.appointments is not None and column in facts.appointments.attributes:
        return facts.appointments.values(column)
    for frame in frames[2:]:
        if column in frame:
            return frame[column]
    extra = facts.appointments.attributes if facts.appointments is not None else ()
    raise UnknownNameError("attribute", column, {name for frame in frames for name in frame} | {*extra})


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, (list, tuple, set)) else [value]
    if not values:
        raise ParameterError("an empty list of values selects nothing; leave the filter out to select all.")
    return [str(item) for item in values]


def _number(column: str, text: object) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ParameterError(f"{column} is a number, but the filter has {str(text)[:40]!r}. "
                             "Write a number, a list of numbers or a range such as 18..64.") from None
