"""Metrics on appointments: the engine counts, by group and patient; here counts become rows of a Result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import check_calendar, not_recorded
from therapyeval.cohort import Cohort, Condition
from therapyeval.errors import NotEvaluableError
from therapyeval.metrics.registry import Call
from therapyeval.period import Period
from therapyeval.result import COMPLETE_CASE, PEOPLE

Rows = tuple[pd.DataFrame, pd.DataFrame]
NOTHING_FOR = {"units": "no billed units", "note_on_time": "no times of notes",
               "by_assistant": "no license types of the staff of their visits"}


def count_appointments(call: Call, cohort: Cohort, by: list[str], period: Period | None, every: str | None,
                       conf_level: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows of a Result, the people behind them, and what is left out, as `to_rows` and `exclusions` give them."""
    check_calendar(call, cohort.facts, period, every)
    if call.metric.amount and not cohort.facts.appointments.has(call.metric.amount):
        raise NotEvaluableError(f"{call.text}: these data have {NOTHING_FOR[call.metric.amount]}.")
    ask = _Question(cohort, call, by, period, every)
    counted, left_out = ask.counts()
    if call.metric.attribute:
        found = [_rows(part, "proportion" if call.metric.by_level else "ratio", conf_level).assign(level=level)
                 for level, part in _parts(ask, counted)]
        frame = pd.concat(found).sort_index(kind="stable").reset_index(drop=True)
    else:
        frame = _rows(counted, "ratio", conf_level)
    people = frame[[f"people_{name}" for name in ("numerator", "complement", "missing", "excluded")]]
    return frame, people.set_axis(list(PEOPLE), axis=1), left_out.assign(metric=call.text)


def appointment_sums(call: Call, cohort: Cohort, by: list[str], period: Period | None,
                     every: str | None) -> pd.DataFrame:
    """What each patient adds to the rows of `count_appointments`: `by`, `period`, `level` where there are values to
    ask about, patient, a and b."""
    ask = _Question(cohort, call, by, period, every)
    attribute, value = call.metric.attribute, call.metric.value
    found = ask.sums(*{attribute} - {"", *by})
    level = found[attribute].astype(str).where(found[attribute].notna()) if attribute else ""
    found[by] = not_recorded(found[by])         # before rows go, so that the groups are those of the counts
    if not attribute:
        return found
    found = found.assign(level=level).dropna(subset="level")
    levels = [value] if value else sorted(found["level"].unique())
    parts = [found.assign(a=found["b"].where(found["level"] == level, 0.0)).groupby(
        [*ask.groups, "patient"], observed=True)[["a", "b"]].sum().reset_index().assign(
            level=level if call.metric.by_level else "") for level in levels]
    return pd.concat(parts) if parts else found[[*ask.groups, "level", "patient", "a", "b"]]


def _rows(counted: pd.DataFrame, statistic: str, conf_level: float) -> pd.DataFrame:
    sums = stats.PairSums(*(counted[name].to_numpy(np.float64) for name in ("a", "b", "aa", "ab", "bb")),
                          counted["n_clusters"].to_numpy(np.int64))
    interval = stats.ratio(sums, conf_level=conf_level)
    return counted.assign(statistic=statistic, estimand=COMPLETE_CASE, estimate=interval.estimate,
                          conf_low=interval.low, conf_high=interval.high, method=interval.method,
                          note=interval.note, numerator=counted["a"], denominator=counted["b"])


@dataclass(frozen=True)
class _Question:
    """What is asked of the engine, but for the rows that one more condition keeps."""

    cohort: Cohort
    call: Call
    by: list[str]
    period: Period | None
    every: str | None

    @property
    def groups(self) -> list[str]:
        return [*self.by, "period"] if self.every else self.by

    def counts(self, *conditions: Condition) -> tuple[pd.DataFrame, pd.DataFrame]:
        counted, left_out = self.cohort.facts.appointments.counts(
            (*self.cohort.conditions, *conditions), by=self.by, **self._asked)
        counted[self.by], left_out[self.by] = not_recorded(counted[self.by]), not_recorded(left_out[self.by])
        return counted, left_out

    def without(self, attribute: str) -> pd.DataFrame:
        """Counts of the appointments that have no value of an attribute."""
        counted, _ = self.cohort.facts.appointments.counts(self.cohort.conditions, by=[*self.by, attribute],
                                                           **self._asked)
        counted = counted[counted[attribute].isna()]
        counted[self.by] = not_recorded(counted[self.by])
        return counted

    def sums(self, *further: str) -> pd.DataFrame:
        """Of each patient, in the groups and the values of further attributes."""
        return self.cohort.facts.appointments.sums(self.cohort.conditions, by=[*self.by, *further], **self._asked)

    @property
    def _asked(self) -> dict[str, object]:
        metric, (numerator, denominator) = self.call.metric, self.call.metric.statuses
        return {"numerator": numerator, "denominator": denominator, "period": self.period, "every": self.every,
                "amount": metric.amount, "reason": metric.reason, "known": metric.known}

    def aligned(self, values: Sequence[object], groups: pd.DataFrame) -> pd.DataFrame:
        """Counts of the appointments with these values of the metric's attribute, in the order of the groups."""
        zeros = pd.DataFrame(0, index=groups.index, columns=["b", "bb", "n_people"])
        if not len(values):
            return zeros
        found, _ = self.counts(Condition(self.call.metric.attribute, tuple(values)))
        if not self.groups:
            return found
        return groups[self.groups].merge(found, "left", self.groups).fillna(dict.fromkeys(_COUNTS, 0))


_COUNTS = ("b", "bb", "n_people")


def _parts(ask: _Question, counted: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """For each value asked about: its share among all appointments counted that have a value.

    With a and c the sums of a patient inside and outside, b = a + c; so sum(ab) = (sum(aa) + sum(bb) - sum(cc)) / 2,
    and three counts by the engine give what a ratio needs. Those without a value are missing.
    """
    metric, appointments = ask.call.metric, ask.cohort.facts.appointments
    if metric.attribute not in appointments.attributes:
        raise NotEvaluableError(f"{ask.call.text}: the appointments of these data have no {metric.attribute}.")
    values = list(appointments.values(metric.attribute))
    whole, without = ask.aligned(values, counted), _without(ask, counted)
    found = []
    for value in [metric.value] if metric.value else values or [""]:
        inside = ask.aligned([value], counted)
        outside = ask.aligned([other for other in values if other != value], counted)
        part = counted.assign(
            a=inside["b"], b=whole["b"], aa=inside["bb"], bb=whole["bb"],
            ab=(inside["bb"] + whole["bb"] - outside["bb"]) / 2, n_clusters=whole["n_people"], n=whole["b"],
            n_people=whole["n_people"], n_missing=counted["n_missing"] + counted["b"] - whole["b"],
            people_numerator=inside["n_people"], people_complement=outside["n_people"],
            people_missing=np.maximum(counted["people_missing"], without))
        found.append((str(value) if metric.by_level else "", part))
    return found


def _without(ask: _Question, groups: pd.DataFrame) -> np.ndarray:
    """Distinct patients with an appointment that has no value, per group."""
    attribute = ask.call.metric.attribute
    if attribute in ask.by:
        return np.where(groups[attribute] == "not recorded", groups["n_people"], 0)
    counted = ask.without(attribute)
    if not ask.groups:
        return np.full(len(groups), counted["n_people"].sum())
    return groups[ask.groups].merge(counted[[*ask.groups, "n_people"]], "left", ask.groups)["n_people"].fillna(0)
