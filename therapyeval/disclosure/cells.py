"""All rows of a linked set of Results in one table, each with the address that ties it to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.disclosure.addresses import Address, find_families, make_address
from therapyeval.disclosure.policy import MIN_STAFF
from therapyeval.errors import ParameterError
from therapyeval.metrics import parse
from therapyeval.result import AMOUNTS, COUNTS, PEOPLE, Result

ROW, REASON = "row", "reason"
TEXT_KEYS = ("metric", "level", "contrast", "statistic", "estimand", "method")
NUMBER_KEYS = (*COUNTS, *AMOUNTS)
STAFF_UNITS = ("staff", "clinician-days")      # populations whose people are clinicians
BEHIND = tuple(f"people_{name}" for name in PEOPLE)


@dataclass(frozen=True)
class Cells:
    """The rows of all Results, in an order that does not depend on the order of the Results.

    Attributes
    ----------
    rows : DataFrame
        One row per row of a Result (`kind` "row") and per row of its exclusions (`kind` "reason", the count
        as numerator), with `result` and `place` to find it again, `address`, `population`, `measure`, the
        columns of the Result, the people behind it, `block`: rows of the same numbers, and `by_when` (see `Call`):
        those that an earlier row counts are among those of a later one. NaN where that says nothing.
    families : DataFrame (parent, split, child) of addresses
    """

    rows: pd.DataFrame
    families: pd.DataFrame


def collect(results: Sequence[Result]) -> Cells:
    """One table of all rows of a set of Results."""
    parts = [_rows(result, number) for number, result in enumerate(results) if len(result.frame)]
    parts += [_reasons(result, number) for number, result in enumerate(results) if len(result.exclusions)]
    if not parts:
        return Cells(pd.DataFrame(columns=["result", "kind", "place"]), find_families([]))
    rows = _without_staff(pd.concat(parts, ignore_index=True))
    places = sorted(set(rows["at"]), key=repr)
    rows["address"] = rows["at"].map({at: number for number, at in enumerate(places)})
    rows["population"] = _populations(rows)
    rows["measure"] = rows["metric"].str.extract(r":([^,]*)", expand=False).fillna("")
    rows["by_when"] = rows["metric"].map({metric: _by_when(metric) for metric in rows["metric"].unique()}).astype(float)
    order = ["address", "population", "kind", *TEXT_KEYS, *NUMBER_KEYS, "title", "result", "place"]
    rows = rows.drop(columns="at").sort_values(order, kind="stable", ignore_index=True)
    same_numbers = ["kind", "address", "population", "metric", "level", "contrast", "estimand", "n"]
    extreme = rows["statistic"].isin(["min", "max"])
    rows["block"] = rows.groupby([*(rows[name] for name in same_numbers), extreme], dropna=False, sort=False).ngroup()
    rows.loc[rows["contrast"] != "", "block"] = -1 - np.flatnonzero(rows["contrast"] != "")
    rows["block"] = pd.factorize(rows["block"])[0]
    return Cells(rows, find_families(places))


def _without_staff(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without any count of clinicians, whom the threshold does not protect; `few_staff` marks those about too
    few of them, and `staff` all (docs/decisions/003)."""
    named = rows["metric"].map({metric: _registered_population(metric) for metric in rows["metric"].unique()})
    units, clinicians = named.isin(STAFF_UNITS), named == "clinicians"
    people = rows["n_people"].where(units, rows["n"].where(clinicians))
    rows = rows.assign(staff=units, few_staff=people.between(1, MIN_STAFF - 1) & (rows["kind"] == ROW))
    counted = [*COUNTS, *AMOUNTS, *BEHIND]
    rows[counted] = rows[counted].mask(units)
    rows["n"] = rows["n"].mask(clinicians)
    return rows


def _rows(result: Result, number: int) -> pd.DataFrame:
    frame, people = result.frame, result.people
    found = _told(result, ROW, number, frame[result.by])
    found |= {name: frame[name].fillna("").astype(str).to_numpy() for name in TEXT_KEYS}
    found |= {name: _numbers(frame[name]) for name in NUMBER_KEYS}
    found |= {column: _numbers(people[name]) if people is not None and name in people else np.nan
              for name, column in zip(PEOPLE, BEHIND, strict=True)}
    return pd.DataFrame(found)


def _reasons(result: Result, number: int) -> pd.DataFrame:
    frame = result.exclusions
    found = _told(result, REASON, number, frame.drop(columns=["metric", "reason", "n", "n_people"]))
    found |= dict.fromkeys(TEXT_KEYS, "") | dict.fromkeys((*NUMBER_KEYS, *BEHIND), np.nan)
    found |= {"metric": frame["metric"].astype(str).to_numpy(), "level": frame["reason"].astype(str).to_numpy()}
    return pd.DataFrame(found | {"numerator": _numbers(frame["n"]), "n_people": _numbers(frame["n_people"])})


def _told(result: Result, kind: str, number: int, groups: pd.DataFrame) -> dict[str, object]:
    return {"kind": kind, "result": number, "place": range(len(groups)), "title": result.title,
            "at": _addresses(groups, result), "population_named": result.source.population}


def _numbers(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column).astype("Float64").to_numpy(np.float64, na_value=np.nan)


def _addresses(groups: pd.DataFrame, result: Result) -> list[Address]:
    source, names = result.source, list(groups.columns)
    values = list(zip(*(groups[name].astype(object) for name in names), strict=True)) if names else [()] * len(groups)
    known = {value: make_address(source.fingerprint, source.filters, source.period,
                                 dict(zip(names, value, strict=True))) for value in set(values)}
    return [known[value] for value in values]


def _populations(rows: pd.DataFrame) -> pd.Series:
    """A name per row for what is counted; populations in which every unit is a person count as one."""
    several = rows["population_named"].str.contains(",")
    registered = {metric: _registered_population(metric) for metric in rows.loc[several, "metric"].unique()}
    named = rows["metric"].map(registered).where(several, "").replace("", pd.NA).fillna(rows["population_named"])
    apart = (rows["n"] != rows["n_people"]) & rows["n"].notna() & rows["n_people"].notna()
    units_are_people = ~apart.groupby(named).transform("any")
    named = named.mask(units_are_people, "people")
    joined = dict(_join(named))
    return named.map(lambda name: joined.get(name, name))


def _by_when(metric: str) -> float:
    try:
        found = parse(metric).by_when
    except ParameterError:
        return np.nan
    return np.nan if found is None else found


def _registered_population(metric: str) -> str:
    try:
        return parse(metric).population
    except ParameterError:
        return ""


def _join(named: pd.Series) -> list[tuple[str, str]]:
    """Populations that a row names together ("episodes, referrals") cannot be told apart: one name for all."""
    groups: list[set[str]] = []
    for name in named.unique():
        names = set(name.split(", "))
        touching = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*touching)]
    joined = [(name, min(group)) for group in groups for name in group]
    return joined + [(name, dict(joined)[name.split(", ")[0]]) for name in named.unique() if ", " in name]
