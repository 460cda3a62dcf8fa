"""`describe`: who the patients were (Table 1), with standardised differences between groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.contrast_rows import contrast_name
from therapyeval.analysis.estimate import PEOPLE_OF, columns_of, estimate, joined
from therapyeval.analysis.sample import reference_pairs
from therapyeval.analysis.units import Units, group_codes
from therapyeval.cohort import Cohort
from therapyeval.errors import UnknownNameError
from therapyeval.metrics.registry import parse
from therapyeval.period import Period, parse_period
from therapyeval.result import COMPLETE_CASE, Result, check_names, make_frame

SPREAD = ("sd", "median", "q1", "q3")
MAX_LEVELS = 30


def describe(cohort: Cohort, *, by: str | None = None, variables: Sequence[str] | None = None,
             reference: str | Sequence[str] | None = None, period: str | Period | None = None,
             conf_level: float = 0.95) -> Result:
    """Describe the episodes of a cohort: means and spread of numbers, counts and shares of categories.

    Parameters
    ----------
    by : attribute whose groups become the columns of Table 1; adds standardised differences
    variables : attributes and metric names such as "baseline_score:odi"; by default all attributes with at
        most 30 categories, and the baseline of every measure
    reference : group (or groups) for the standardised differences; default the first in order
    period : episodes that ended in it

    Returns
    -------
    Result
        `metric` is the variable, `level` the category. Missing values are counted in `n_missing` and never
        a category. Rows with statistic `smd` have the contrast and no group.

    Source: Austin 2009, Stat Med 28:3083 (standardised differences); Yang and Dalton 2012 (categories).
    """
    period = parse_period(period)
    facts = cohort.facts
    check_names([by] if by else [])
    rows = _rows_in(facts.episodes, period)
    frame = facts.episodes.iloc[rows]
    if by and by not in frame:
        raise UnknownNameError("attribute", by, facts.attributes)
    group, keys = group_codes(frame, [by] if by else [])
    pairs = reference_pairs(keys[by].tolist(), by, reference) if by and len(keys) > 1 else []
    found, units = [], _units(frame["patient"], group, keys)
    for name in variables if variables is not None else _default_variables(cohort, frame, by):
        column, unit = _column(cohort, name)
        column = column.iloc[rows]
        columns, difference = _describe_column(name, unit, column, units, conf_level)
        found.append(columns | {"contrast": np.full(len(columns["_group"]), "", dtype=object)})
        if pairs:
            smd = [difference(first, second) for first, second in pairs]
            found.append(_smd_columns(name, smd, column.notna().to_numpy(), units, pairs))
    table, people = joined(found, keys) if found else (pd.DataFrame(), None)
    source = replace(cohort.source, population="episodes", period=period.label if period else None)
    return Result(make_frame(table, [by] if by else []), "Who the patients were", source, conf_level, people=people)


def _rows_in(episodes: pd.DataFrame, period: Period | None) -> np.ndarray:
    if period is None:
        return np.arange(len(episodes))
    return np.flatnonzero(episodes["end_date"].between(pd.Timestamp(period.start), pd.Timestamp(period.end)))


def _default_variables(cohort: Cohort, frame: pd.DataFrame, by: str | None) -> list[str]:
    attributes = [name for name in cohort.facts.attributes if name != by
                  and (_is_number(frame[name]) or 1 < frame[name].nunique() <= MAX_LEVELS)]
    measured = cohort.facts.scores.loc[cohort.facts.scores["baseline"].notna(), "measure"].unique()
    return attributes + [f"baseline_score:{code}" for code in sorted(measured)]


def _column(cohort: Cohort, name: str) -> tuple[pd.Series, str]:
    if ":" in name:
        call = parse(name)
        values = call.values(cohort.facts)
        column = values.value.map(dict(enumerate(values.levels))) if values.levels else values.value
        return column, call.unit(cohort.facts)
    if name not in cohort.facts.episodes:
        raise UnknownNameError("variable", name, cohort.facts.attributes)
    return cohort.facts.episodes[name], ""


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _describe_column(name: str, unit: str, column: pd.Series, units: Units,
                     conf_level: float) -> tuple[dict[str, np.ndarray], Callable[[int, int], float]]:
    """Columns of the rows of a variable, level by level, and its standardised difference between two groups."""
    if _is_number(column):
        parts = estimate("mean", replace(units, value=column.to_numpy(np.float64, na_value=np.nan)), beside=SPREAD,
                         conf_level=conf_level)
        mean, sd = parts[0].estimate, parts[1].estimate
        return columns_of(parts, units, metric=name, unit=unit), lambda a, b: float(
            stats.smd_numeric(mean[[a]], sd[[a]], mean[[b]], sd[[b]])[0])
    code, levels = pd.factorize(column)
    order = sorted(range(len(levels)), key=lambda place: str(levels[place]))
    place = np.argsort(np.array([*order, len(levels)]))[code].astype(float)      # code -1, missing, is the last one
    parts = estimate("proportion", replace(units, value=np.where(code < 0, np.nan, place),
                                           levels=tuple(str(levels[i]) for i in order)), conf_level=conf_level)
    shares = np.array([part.estimate for part in parts]).reshape(len(parts), units.n_groups)
    found = columns_of(parts, units, metric=name, unit="proportion")
    by_level = np.arange(len(parts) * units.n_groups).reshape(units.n_groups, -1).T.ravel()
    return {key: column[by_level] for key, column in found.items()}, lambda a, b: np.nan if np.isnan(
        shares[:, [a, b]]).any() else stats.smd_categorical(shares[:, a], shares[:, b])


def _units(patient: pd.Series, group: np.ndarray, keys: pd.DataFrame) -> Units:
    """Everybody, without a value yet; all variables share who is in which group."""
    everybody, nothing = np.full(len(patient), "", dtype=object), np.full(len(patient), np.nan)
    return Units(nothing, None, None, everybody, group, patient.to_numpy(np.int64), np.arange(len(patient)), keys)


def _smd_columns(name: str, smd: list[float], known: np.ndarray, units: Units, pairs: list) -> dict[str, np.ndarray]:
    """A row per contrast, in no group; the people behind it are those of both groups."""
    names, found = units.keys.iloc[:, 0].tolist(), {}
    for value, (first, second) in zip(smd, pairs, strict=True):
        both = np.isin(units.group, (first, second))
        told = {"_group": -1, "metric": name, "level": "", "unit": "SD units", "statistic": "smd",
                "contrast": contrast_name(names[first], names[second]), "estimand": COMPLETE_CASE,
                "method": "standardised difference", "estimate": value if np.isfinite(value) else np.nan,
                "conf_low": np.nan, "conf_high": np.nan, "numerator": np.nan, "denominator": np.nan,
                "note": "" if np.isfinite(value) else "no spread in either group, or a group without values",
                "n": np.count_nonzero(both & known), "n_missing": np.count_nonzero(both & ~known), "n_excluded": 0,
                "n_people": _n_people(both & known, units)}
        told |= dict.fromkeys(PEOPLE_OF.values(), np.nan) | {
            PEOPLE_OF["n_missing"]: _n_people(both & ~known, units), PEOPLE_OF["n_excluded"]: 0}
        for key, said in told.items():
            found.setdefault(key, []).append(said)
    return {key: np.array(said, dtype=object if isinstance(said[0], str) else None) for key, said in found.items()}


def _n_people(mask: np.ndarray, units: Units) -> int:
    """Different patients among the units of a mask, whatever their group."""
    where = np.flatnonzero(mask)
    return int(stats.n_distinct(units.patient[where], np.zeros(len(where), dtype=np.int64), 1)[0])
