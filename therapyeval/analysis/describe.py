"""`describe`: who the patients were (Table 1), with standardised differences between groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.contrast_rows import contrast_name
from therapyeval.analysis.estimate import Part, estimate, to_rows
from therapyeval.analysis.sample import reference_pairs
from therapyeval.analysis.units import Units, group_codes
from therapyeval.cohort import Cohort
from therapyeval.errors import UnknownNameError
from therapyeval.metrics.registry import parse
from therapyeval.period import Period, parse_period
from therapyeval.result import PEOPLE, Result, check_names, make_frame

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
        found += _describe_column(name, unit, column.iloc[rows], units, pairs, conf_level)
    table = pd.concat([rows for rows, _ in found], ignore_index=True) if found else pd.DataFrame()
    people = pd.concat([behind for _, behind in found], ignore_index=True) if found else None
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


def _describe_column(name: str, unit: str, column: pd.Series, units: Units, pairs: list,
                     conf_level: float) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    if _is_number(column):
        units = replace(units, value=column.to_numpy(np.float64, na_value=np.nan))
        parts = estimate("mean", units, beside=SPREAD, conf_level=conf_level)
        found = [to_rows(parts, units, metric=name, unit=unit)]
        mean, sd = parts[0].estimate, parts[1].estimate
        smd = [float(stats.smd_numeric(mean[[a]], sd[[a]], mean[[b]], sd[[b]])[0]) for a, b in pairs]
    else:
        found, shares = _describe_levels(name, column, units, conf_level)
        smd = [stats.smd_categorical(shares[a], shares[b]) if not np.isnan(shares[[a, b]]).any() else np.nan
               for a, b in pairs]
    return found + ([_smd_rows(name, smd, column, units, pairs)] if pairs else [])


def _describe_levels(name: str, column: pd.Series, units: Units,
                     conf_level: float) -> tuple[list[tuple[pd.DataFrame, pd.DataFrame]], np.ndarray]:
    """Rows per level, and the shares: one row per group, one column per level."""
    known = column.notna().to_numpy()
    levels = sorted(column[known].unique(), key=str)
    found, shares = [], np.full((units.n_groups, len(levels)), np.nan)
    for position, level in enumerate(levels):
        value = np.where(known, (column == level).to_numpy(dtype=float, na_value=0.0), np.nan)
        units = replace(units, value=value)
        parts: list[Part] = estimate("proportion", units, conf_level=conf_level)
        shares[:, position] = parts[0].estimate
        found.append(to_rows(parts, units, metric=name, unit="proportion", level=str(level)))
    return found, shares


def _units(patient: pd.Series, group: np.ndarray, keys: pd.DataFrame) -> Units:
    """Everybody, without a value yet; all variables share who is in which group."""
    everybody, nothing = np.full(len(patient), "", dtype=object), np.full(len(patient), np.nan)
    return Units(nothing, None, None, everybody, group, patient.to_numpy(np.int64), np.arange(len(patient)), keys)


def _smd_rows(name: str, smd: list[float], column: pd.Series, units: Units,
              pairs: list) -> tuple[pd.DataFrame, pd.DataFrame]:
    names, known, people, group = units.keys.iloc[:, 0].tolist(), column.notna().to_numpy(), units.patient, units.group
    rows, behind = [], []
    for value, (first, second) in zip(smd, pairs, strict=True):
        both = np.isin(group, (first, second))
        note = "" if np.isfinite(value) else "no spread in either group, or a group without values"
        rows.append({"metric": name, "contrast": contrast_name(names[first], names[second]), "statistic": "smd",
                     "estimand": "complete_case", "estimate": value if np.isfinite(value) else np.nan,
                     "n": int((both & known).sum()), "n_missing": int((both & ~known).sum()), "n_excluded": 0,
                     "n_people": len(np.unique(people[both & known])), "unit": "SD units", "note": note,
                     "method": "standardised difference"})
        behind.append({"n_missing": len(np.unique(people[both & ~known])), "n_excluded": 0})
    return pd.DataFrame(rows), pd.DataFrame(behind).reindex(columns=list(PEOPLE))
