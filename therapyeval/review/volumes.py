"""Volumes: how many referrals, evaluations, attended visits and discharges. Counts, not metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.analysis import summarize
from therapyeval.cohort import Cohort
from therapyeval.period import Period, label_dates, spans
from therapyeval.result import PEOPLE, Result, make_frame

DATED = {"referrals received": ("referrals", "received_date"), "evaluations": ("episodes", "start_date"),
         "discharges": ("episodes", "end_date")}
# Who is counted, as release ties tables by it: metrics of a period are about the episodes that ended in it.
POPULATIONS = {"referrals received": "referrals", "evaluations": "episodes started", "discharges": "episodes"}
VISITS = "attended visits"


def count(cohort: Cohort, period: Period, every: str | None = None) -> list[Result]:
    """Units dated in the period, in all or for every month: a Result for each kind of unit.

    Referrals by the day received, evaluations by the start of care, discharges by its effective end, attended
    visits by their day.
    """
    source = replace(cohort.source, period=period.label)
    parts = {name: (POPULATIONS[name], *_dated(cohort, name, period, every)) for name in DATED}
    if cohort.facts.appointments is not None:
        parts[VISITS] = ("appointments", *_visits(cohort, period, every))
    return [Result(make_frame(rows, ["period"] if every else []), "Volumes", replace(source, population=population),
                   people=people.reindex(columns=list(PEOPLE))) for population, rows, people in parts.values()]


def _dated(cohort: Cohort, name: str, period: Period, every: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    population, column = DATED[name]
    frame = getattr(cohort.facts, population)
    inside = frame[frame[column].between(pd.Timestamp(period.start), pd.Timestamp(period.end))]
    labels = label_dates(inside[column], every) if every else pd.Series("", index=inside.index)
    counted = inside.groupby(labels.to_numpy())["patient"].agg(n="size", people="nunique")
    counted = _with_zeros(counted, period, every)
    rows, people = _rows(name, population, counted.index, counted["n"], counted["people"])
    if not frame[column].min() <= pd.Timestamp(period.end):
        rows = rows.assign(estimate=np.nan, numerator=pd.NA, note="before the data begin")
    return rows, people


def _visits(cohort: Cohort, period: Period, every: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Attended visits are the numerator of the arrival rate."""
    arrived = summarize(cohort, "arrival_rate", period=period, every=every)
    labels = arrived.frame["period"] if every else [""] * len(arrived.frame)
    counted = pd.DataFrame({"n": arrived.frame["numerator"].fillna(0).to_numpy(),
                            "people": arrived.people["numerator"].fillna(0).to_numpy()}, index=labels)
    counted = _with_zeros(counted, period, every)
    return _rows(VISITS, "appointments", counted.index, counted["n"], counted["people"])


def _with_zeros(counted: pd.DataFrame, period: Period, every: str | None) -> pd.DataFrame:
    """Also the months in which nothing happened, from the first one with a unit on."""
    labels = [span.label for span in spans(period.start, period.end, every)] if every else [""]
    first = labels.index(counted.index[0]) if len(counted) else len(labels) if every else 0
    return counted.reindex(labels[first:], fill_value=0)


def _rows(name: str, unit: str, labels: object, n: object, people: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    n, people = np.asarray(n, dtype=np.int64), np.asarray(people, dtype=np.int64)
    rows = pd.DataFrame({"period": np.asarray(labels, dtype=object), "metric": name, "statistic": "count",
                         "estimate": n, "numerator": n, "n": n, "n_missing": 0, "n_excluded": 0, "n_people": people,
                         "unit": unit, "method": "count"})
    return rows, pd.DataFrame({"numerator": people, "n_missing": 0, "n_excluded": 0})
