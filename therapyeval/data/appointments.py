"""Appointments: rows stay in the engine, which counts them by status, group and patient.

Source: metric definitions, section 3 (statuses, denominators) and section 0 (ratio, clustered by patient).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import pandas as pd

from therapyeval.cohort import Condition
from therapyeval.data import engine
from therapyeval.errors import UnknownNameError
from therapyeval.period import Period

AFTER_CUT = "after the data cut"
LEAD_BANDS = ("0 days", "1-7 days", "8-30 days", "over 30 days")
LABELS = {"week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
FIXED = ("patient", "episode", "date", "status", "minutes", "is_visit", "is_evaluation", "units", "note_on_time",
         "by_assistant")
PEOPLE = ("people_numerator", "people_complement", "people_missing", "people_excluded")
COUNTS = ("a", "b", "aa", "ab", "bb", "n_clusters", "n", "n_missing", "n_excluded", "n_people", *PEOPLE)


@dataclass(frozen=True)
class Appointments:
    """Answers about appointments; holds no rows in Python.

    Attributes
    ----------
    attributes : names that filters and groups may use: the appointment's own (`site_id`, `staff`, `mode`,
        `visit_type`, `weekday`, `lead_days`, `lead_band`, declared ones) and those of its episode. Where both have
        a name, the appointment's own value counts and the episode's fills its gaps.
    """

    attributes: tuple[str, ...]
    data_cut: pd.Timestamp
    _rows: Callable[[], object] = field(repr=False)

    @cached_property
    def _table(self):
        """The rows, an Ibis table: opened when somebody asks, since that loads the engine."""
        return self._rows()

    def values(self, name: str) -> pd.Series:
        """The distinct values of an attribute, sorted, without missing ones.

        Raises
        ------
        UnknownNameError
            For a name that is no attribute.
        """
        self._known([name])
        distinct = self._table.select(name).filter(self._table[name].notnull()).distinct().order_by(name)
        return engine.fetch(distinct)[name]

    def flow(self, conditions: Sequence[Condition], condition: Condition) -> dict[str, int]:
        """How many appointments one more filter keeps.

        Returns
        -------
        dict
            n_before, n_kept, n_other (another value), n_not_linked (no value, for example without an episode).
        """
        table = self._filtered(conditions)
        if condition.column not in self.attributes:
            n = int(table.count().to_pyarrow().as_py())
            return {"n_before": n, "n_kept": 0, "n_other": 0, "n_not_linked": n}
        known = table[condition.column].notnull()
        kept = _keeps(table, condition)
        row = engine.fetch(table.aggregate(n_before=table.count(), n_kept=kept.sum(), n_other=(known & ~kept).sum(),
                                           n_not_linked=(~known).sum())).fillna(0).iloc[0]
        return {name: int(row[name]) for name in ("n_before", "n_kept", "n_other", "n_not_linked")}

    def counts(self, conditions: Sequence[Condition], *, numerator: Iterable[str], denominator: Iterable[str],
               by: Sequence[str] = (), period: Period | None = None, every: str | None = None, amount: str = "",
               reason: str = "", known: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
        """Appointments with some statuses among those with others, by group, with sums over patients.

        Parameters
        ----------
        conditions : filters of the cohort; rows without a value of a filter's column are not counted
        numerator, denominator : statuses
        by : attributes; a missing value is a group of its own (NaN)
        period : only its days count (None: all days)
        amount, reason : a column whose sum is the numerator; appointments without it are left out for the reason
        known : a column without which they are missing instead
        every : None, or week, month, quarter, year: one row per period, labelled 2026-W31, 2026-07, 2026Q3, 2026

        Returns
        -------
        (DataFrame, DataFrame)
            First: `by`, `period` (with `every`), then COUNTS. a and b are sums of numerator and denominator, `aa`,
            `ab`, `bb` sums over patients of the products of their sums, `n` = b (0 where a group has only others),
            `n_missing` past appointments still booked, `n_excluded` with another status, people_* distinct
            patients behind each.
            Second: `by`, reason, n, n_people of what is excluded: a status, or "after the data cut" (these rows
            belong to no period of `every`).

        Raises
        ------
        UnknownNameError
            For a `by` that is no attribute.
        """
        table, by = self._asked(conditions, numerator=numerator, denominator=denominator, by=by, period=period,
                                amount=amount, reason=reason, known=known)
        return _by_group(*_grouped(table, by, every)), _exclusions(table, by)

    def sums(self, conditions: Sequence[Condition], *, every: str | None = None, **question: object) -> pd.DataFrame:
        """What `counts` sums over patients, to the same question: for each group and patient, a and b.

        Names no patient: they are numbered as in the facts. Whoever asks shows none of it.

        Returns
        -------
        DataFrame
            `by`, `period` (with `every`), patient, a, b; both are 0 for a patient who has none of the appointments
            counted.

        Raises
        ------
        UnknownNameError
            For a `by` that is no attribute.
        """
        rows, groups = _grouped(*self._asked(conditions, **question), every)
        found = engine.fetch(rows.group_by([*groups, "patient"]).aggregate(a=rows.top.sum(), b=rows.bottom.sum()))
        return found.astype({"a": "float64", "b": "float64"}).fillna({"a": 0.0, "b": 0.0})

    def _asked(self, conditions: Sequence[Condition], *, numerator: Iterable[str], denominator: Iterable[str],
               by: str | Sequence[str] = (), period: Period | None = None, amount: str = "", reason: str = "",
               known: str = ""):
        """The rows of a question with what each adds (top, bottom, missing, excluded), and its attributes."""
        import ibis

        by = [by] if isinstance(by, str) else list(by)
        self._known(by)
        table = self._filtered(conditions)
        if period is not None:
            table = table.filter(table.date.between(period.start, period.end))
        due = table.date <= self.data_cut.date()
        ours = due & table.status.isin(list(denominator))
        missing = due & (table.status == "booked") & ~ours
        why, top = ibis.ifelse(due, table.status, AFTER_CUT), ours & table.status.isin(list(numerator))
        if amount:
            lacks = ours & table[amount].isnull()
            unknown = lacks & table[known].isnull() if known else ibis.literal(False)
            why, ours, missing = ibis.ifelse(lacks, reason, why), ours & ~lacks, missing | unknown
            top = ours.ifelse(table[amount], 0.0)
        table = table.mutate(top=top, bottom=ours, missing=missing, excluded=~ours & ~missing, reason=why, due=due)
        return table, by

    def filled(self, names: Sequence[str], by: str | None = None) -> pd.DataFrame:
        """How many attended visits up to the data cut have a value of each attribute, in all or by another attribute.

        Returns
        -------
        DataFrame
            group ("" without `by`; missing where the visit has none), field, n visits, k of them with a value, and
            the distinct patients behind n (n_people), k (with) and the others (without).

        Raises
        ------
        UnknownNameError
            For a name that is no attribute.
        """
        import ibis

        self._known([*names, *([by] if by else [])])
        visits = self._table.filter(self._table.is_visit & (self._table.date <= self.data_cut.date()))
        visits = visits.mutate(group=visits[by].cast("string") if by else ibis.literal(""))
        counted = {f"{place}": visits[name].notnull().sum() for place, name in enumerate(names)}
        own = visits.group_by(["group", "patient"]).aggregate(n=visits.count(), **counted)
        sums = {"n": own.n.sum(), "n_people": own.count()}
        for place in counted:
            sums |= {f"k{place}": own[place].sum(), f"with{place}": (own[place] > 0).sum(),
                     f"without{place}": (own[place] < own.n).sum()}
        found = engine.fetch(own.group_by("group").aggregate(**sums).order_by("group"))
        return pd.concat([found[["group", "n", "n_people"]].assign(
            field=name, **{key: found[f"{key}{place}"] for key in ("k", "with", "without")})
            for place, name in enumerate(names)], ignore_index=True)

    def in_use(self, days: Sequence[date], window: int) -> pd.DataFrame:
        """episode and span (place of the day) where a visit was attended in the window of days up to a day, or any
        appointment lies in the window after it; after the data cut only bookings count."""
        import ibis

        found = [pd.DataFrame({"episode": [], "span": []}, dtype="int64")]
        for number, day in enumerate(days):
            away = self._table.date.delta(ibis.date(day), unit="day")
            seen = self._table.is_visit & away.between(-window, 0)
            ahead = away.between(1, window)
            real = (self._table.date <= self.data_cut.date()) | (self._table.status == "booked")
            rows = self._table.filter(self._table.episode.notnull() & real & (seen | ahead))
            rows = rows.select("episode").distinct()
            found.append(engine.fetch(rows).assign(span=number))
        return pd.concat(found, ignore_index=True).astype("int64")

    def has(self, column: str) -> bool:
        """Whether the rows have a column of an amount."""
        return column in self._table.columns

    def kept(self) -> Appointments:
        """The same, computed once and held in memory."""
        rows = engine.keep(self._table.get_backend(), "kept_appointments", self._table)
        return replace(self, _rows=lambda: rows)

    def write(self, path: Path) -> None:
        """Write the rows to a Parquet file; only the facts cache does."""
        engine.write(self._table, path)

    def rows_told(self, tell: Callable[[object], str]) -> str:
        """What `tell` says of the table of rows in the engine, such as a hash of them."""
        return tell(self._table)

    def _filtered(self, conditions: Sequence[Condition]):
        import ibis

        table = self._table
        for condition in conditions:
            known = condition.column in self.attributes
            table = table.filter(_keeps(table, condition) if known else ibis.literal(False))
        return table

    def _known(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.attributes:
                raise UnknownNameError("attribute", name, self.attributes)


def _keeps(table, condition: Condition):
    column = table[condition.column]
    if condition.values:
        return column.isin(list(condition.values)).fill_null(False)
    keep = column.notnull()
    if condition.low is not None:
        keep &= column >= condition.low
    if condition.high is not None:
        keep &= column <= condition.high
    return keep.fill_null(False)


def _label(date, every: str):
    if every == "quarter":
        return date.year().cast("string") + "Q" + date.quarter().cast("string")
    return date.strftime(LABELS[every])


def _grouped(table, by: list[str], every: str | None):
    """The rows and the names of their groups; with `every`, those up to the data cut with the period of each."""
    if not every:
        return table, by
    return table.filter(table.due).mutate(period=_label(table.date, every)), [*by, "period"]


def _by_group(rows, groups: list[str]) -> pd.DataFrame:
    """Sums within each patient first, then over patients."""
    patient = rows.group_by([*groups, "patient"]).aggregate(
        top=rows.top.sum(), bottom=rows.bottom.sum(), complement=(rows.bottom & ~rows.top.cast("boolean")).sum(),
        missing=rows.missing.sum(), excluded=rows.excluded.sum())
    a, b = patient.top.cast("float64"), patient.bottom.cast("float64")
    sums = {"a": patient.top.sum(), "b": patient.bottom.sum(),
            "aa": (a * a).sum(), "ab": (a * b).sum(), "bb": (b * b).sum(),
            "n_clusters": (patient.bottom > 0).sum(), "n": patient.bottom.sum(), "n_missing": patient.missing.sum(),
            "n_excluded": patient.excluded.sum(), "n_people": (patient.bottom > 0).sum(),
            "people_numerator": (patient.top > 0).sum(), "people_complement": (patient.complement > 0).sum(),
            "people_missing": (patient.missing > 0).sum(), "people_excluded": (patient.excluded > 0).sum()}
    grouped = patient.group_by(groups).aggregate(**sums).order_by(groups) if groups else patient.aggregate(**sums)
    frame = engine.fetch(grouped)
    whole = [name for name in COUNTS if name not in ("a", "aa", "ab", "bb")]
    frame[whole] = frame[whole].fillna(0).astype("int64")
    frame[["a", "aa", "ab", "bb"]] = frame[["a", "aa", "ab", "bb"]].astype("float64").fillna(0.0)
    return frame[[*groups, *COUNTS]]


def _exclusions(table, by: list[str]) -> pd.DataFrame:
    rows = table.filter(table.excluded)
    counted = rows.group_by([*by, "reason"]).aggregate(n=rows.count(), n_people=rows.patient.nunique())
    return engine.fetch(counted.order_by([*by, "reason"])).astype({"n": "int64", "n_people": "int64"})


def make_appointments(connection, visits, links, describe: list[str], data_cut: pd.Timestamp) -> Appointments:
    """The appointments with the attributes of their episodes, computed whenever somebody asks.

    Parameters
    ----------
    visits : Ibis table: FIXED (`episode` as in the source, or missing) and the appointment's own attributes
    links : Ibis table: of each source episode, the `merged` one of the facts and the columns of `describe`
    """
    import ibis

    table, names = visits, [name for name in visits.columns if name not in FIXED]
    if "lead_days" in names:
        lead = visits.lead_days
        band = ibis.cases((lead.isnull(), None), (lead == 0, LEAD_BANDS[0]), (lead <= 7, LEAD_BANDS[1]),
                          (lead <= 30, LEAD_BANDS[2]), else_=LEAD_BANDS[3])
        table, names = table.mutate(lead_band=band), [*names, "lead_band"]
    table, names = table.mutate(weekday=table.date.day_of_week.full_name()), [*names, "weekday"]
    shared = [name for name in describe if name in names]
    own = [name for name in describe if name not in names]
    table = engine.looked_up(table, links, "episode", _merged="merged", **{f"_{name}": name for name in shared},
                             **{name: name for name in own})
    table = table.mutate(episode=table["_merged"], **{name: ibis.coalesce(table[name], table[f"_{name}"])
                                                      for name in shared})
    table = table.drop("_merged", *(f"_{name}" for name in shared))
    rows = engine.view(connection, "appointments", table)
    return Appointments((*names, *own), data_cut, lambda: rows)
