"""Which fields have a value, in what share of the episodes or attended visits: in all, by group, month by month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.cohort import Cohort
from therapyeval.period import label_dates
from therapyeval.result import PEOPLE, Result, make_frame

# Made for every episode, or from another field, so never empty by fault of the data.
MADE = frozenset(("episode", "patient", "closed_admin", "n_merged", "end_date", "days", "arm", "first_visit_date",
                  "last_visit_date", "discharge_date", "age_band", "planned_source"))
MADE_OF_VISITS = frozenset(("weekday", "lead_band", "license_type"))
ENDED = frozenset(("reason", "disposition", "goals_met_pct"))  # expected of discharged episodes only
MONTHS = 24  # up to the data cut
NOT_RECORDED = "not recorded"
EPISODES, VISITS = "episodes", "attended visits"
TITLE = "Fields with a value"


def tables(cohort: Cohort, by: str | None) -> Iterator[tuple[str, Result]]:
    """Name and Result of each table: fields of episodes and of visits in all, then those with gaps by group and, of
    episodes, by the month in which care began."""
    fields = _names(cohort)
    whole = _episodes(cohort, fields, None)
    yield "fields", whole
    gaps = _with_gaps(whole)
    if by and gaps:
        yield f"fields by {by}", _episodes(cohort, gaps, by)
    if gaps and cohort.facts.has_calendar:
        yield "fields by month", _episodes(cohort, gaps, "period")
    if cohort.facts.appointments is not None:
        yield from _of_visits(cohort, by)


def _names(cohort: Cohort) -> list[str]:
    return [name for name in cohort.facts.episodes if name not in MADE and not name.startswith("n_")]


def _with_gaps(whole: Result) -> list[str]:
    """Fields that some units have and others lack."""
    frame = whole.frame
    return frame.loc[(frame["numerator"] > 0) & (frame["numerator"] < frame["denominator"]), "level"].tolist()


def _episodes(cohort: Cohort, fields: list[str], by: str | None) -> Result:
    """A row per field, or per field and group; episodes of no known group are a group of their own."""
    episodes = cohort.facts.episodes
    if by == "period":
        first = (cohort.facts.data_cut.to_period("M") - MONTHS + 1).start_time
        episodes = episodes[episodes["start_date"] >= first]
    labels = pd.Series("", index=episodes.index) if by is None else (
        label_dates(episodes["start_date"], "month") if by == "period"
        else episodes[by].astype("str").where(episodes[by].notna(), NOT_RECORDED))
    groups = _Groups(labels, episodes["patient"])
    ended = episodes["discharge_date"].notna().to_numpy()
    parts = [groups.counted(name, ended if name in ENDED else np.ones(len(ended), bool), _given(episodes[name]))
             for name in fields if name != by]
    counts = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["group", "field", *_COUNTED])
    return _result(cohort, counts, by, EPISODES)


def _given(column: pd.Series) -> np.ndarray:
    given = column.notna()
    if column.dtype.kind not in "bifM":
        given &= column.astype("str") != ""
    return given.to_numpy(bool)


class _Groups:
    """Units in groups, and the pairs of group and patient among them, found once for all fields."""

    def __init__(self, labels: pd.Series, patient: pd.Series) -> None:
        self.code, self.found = pd.factorize(labels, sort=True)
        person = pd.factorize(patient)[0]
        width = max(len(person), 1)
        pairs, self.pair = np.unique(self.code.astype("int64") * width + person, return_inverse=True)
        self.of_pair = pairs // width

    def units(self, which: np.ndarray) -> np.ndarray:
        """How many of these units each group has."""
        return np.bincount(self.code[which], minlength=len(self.found))

    def people(self, which: np.ndarray) -> np.ndarray:
        """How many distinct patients stand behind these units of each group."""
        seen = np.zeros(len(self.of_pair), dtype=bool)
        seen[self.pair[which]] = True
        return np.bincount(self.of_pair[seen], minlength=len(self.found))

    def counted(self, name: str, of: np.ndarray, given: np.ndarray) -> pd.DataFrame:
        """One field: the units it is expected of, those with a value, and the people behind both."""
        return pd.DataFrame({"group": self.found, "field": name, "n": self.units(of), "k": self.units(of & given),
                             "n_people": self.people(of), "with": self.people(of & given),
                             "without": self.people(of & ~given)})


def _of_visits(cohort: Cohort, by: str | None) -> Iterator[tuple[str, Result]]:
    """The same of attended visits: what a visit itself says, not its episode."""
    made = {*MADE_OF_VISITS, *cohort.facts.attributes}
    asked = cohort.facts.appointments
    names = [name for name in asked.attributes if name not in made]
    if not names:
        return
    whole = _result(cohort, asked.filled(names), None, VISITS)
    yield "visit fields", whole
    gaps = _with_gaps(whole)
    if by in asked.attributes and gaps:
        counts = asked.filled(gaps, by)
        yield f"visit fields by {by}", _result(cohort, counts.fillna({"group": NOT_RECORDED}), by, VISITS)


_COUNTED = ("n", "k", "n_people", "with", "without")


def _result(cohort: Cohort, counts: pd.DataFrame, by: str | None, population: str) -> Result:
    counts = counts[counts["n"] > 0].reset_index(drop=True)
    rows = pd.DataFrame({
        **({by: counts["group"]} if by else {}), "metric": counts["field"].astype("str") + "_filled",
        "level": counts["field"], "statistic": "proportion", "estimate": counts["k"] / counts["n"],
        "numerator": counts["k"], "denominator": counts["n"], "n": counts["n"], "n_missing": 0, "n_excluded": 0,
        "n_people": counts["n_people"], "unit": "proportion", "method": f"share of {population}"})
    people = pd.DataFrame({"numerator": counts["with"], "complement": counts["without"], "n_missing": 0,
                           "n_excluded": 0}, columns=list(PEOPLE))
    return Result(make_frame(rows, [by] if by else []), TITLE, replace(cohort.source, population=population),
                  people=people)
