"""Canonical tables of text to checked tables: types, quarantine, rows entered twice.

A bad value costs the value; only a row without a usable key, date or status goes to quarantine.
Source: metric definitions, section 9; data model, sections 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from types import MappingProxyType

import pandas as pd

from therapyeval.data import convert, schema
from therapyeval.data.mapping import Field, is_time_zone
from therapyeval.data.quality import MERGED, QUARANTINED, Ledger
from therapyeval.data.score_fields import ScoreField
from therapyeval.data.score_table import read_scores
from therapyeval.errors import DataError, did_you_mean
from therapyeval.formatting import first_few

SHOWN_FROM, SHOWN_LENGTH = 11, 24  # an unknown code is named when so many rows have it and it is no longer
WHAT = {"number": "a number", "date": "an ISO date (YYYY-MM-DD) from 1900 to 2099", "yes_no": "yes or no",
        "datetime": "an ISO date or time from 1900 to 2099"}


def check_table(name: str, raw: pd.DataFrame, attributes: MappingType[str, Field], measures: MappingType[str, object],
                ledger: Ledger, *, declared_timepoints: bool = False,
                scores: MappingType[str, ScoreField] = MappingProxyType({})) -> pd.DataFrame:
    """One table with typed columns, without the rows that nothing can use.

    Parameters
    ----------
    raw : text columns, `_file` and `_row`
    attributes : declared further columns of this table
    declared_timepoints : whether scores are paired by their labels, so that they need no date
    scores : what the mapping declares of units and scales (`Mapping.score_fields`)

    Returns
    -------
    DataFrame
        A datetime column `x` gives `x` (as written), `x_has_time` and `x_offset` (minutes). The index counts from 0.

    Raises
    ------
    DataError
        Where most dates of a column are not ISO dates, so that their format has to be declared; where the unit,
        scale or good end of a column of scores is open.
    """
    bad: dict[str, pd.Series] = {}
    has_scores = name == "assessments" and "score" in raw
    if has_scores:
        raw, unread = read_scores(raw, scores, measures, ledger)
    types = {column: schema.TABLES[name].columns[column] for column in raw if column in schema.TABLES[name].columns}
    if name == "assessments":
        types["measure_code"] = tuple(measures)
    types.update({column: _attribute_type(field) for column, field in attributes.items()})
    parts = [raw[["_file", "_row"]]]
    for column, kind in types.items():
        values, bad[column] = _converted(name, column, raw, kind)
        parts.append(values.rename(column) if isinstance(values, pd.Series) else values)
    frame = pd.concat(parts, axis=1)
    if has_scores:
        bad["score"] = unread
    needs = [column for column in schema.ROW_NEEDS[name] if not (declared_timepoints and column == "date")]
    keep = _quarantine(name, needs, raw, frame, bad, types, ledger)
    for column, mask in bad.items():
        _report_bad(name, column, raw[mask & keep], types[column], ledger)
    keep &= _once(name, raw, keep, ledger)
    return frame[keep].reset_index(drop=True)


def _attribute_type(field: Field) -> object:
    return field.type if field.values is None else tuple(word for word in dict.fromkeys(field.values.values()) if word)


def _converted(table: str, column: str, raw: pd.DataFrame, kind: object) -> tuple[pd.Series | pd.DataFrame, pd.Series]:
    text = raw[column]
    if isinstance(kind, tuple):
        return convert.to_code(text, kind)
    if kind in ("id", "text"):
        if column == "time_zone":
            values = text.where(text.map({zone: is_time_zone(zone) for zone in text.dropna().unique()}).eq(True))
            return values, text.notna() & values.isna()
        return text, pd.Series(False, index=text.index)
    if kind == "number":
        values, bad = convert.to_number(text)
        if column == "age":
            bad |= values.notna() & ~values.between(0, schema.MAX_AGE)
        return values.where(~bad), bad
    if kind == "yes_no":
        return convert.to_yes_no(text)
    values, bad = convert.to_date(text) if kind == "date" else convert.to_datetime(text)
    _refuse_undeclared_dates(table, column, raw, bad)
    if kind == "date":
        return values, bad
    return values.set_axis([column, f"{column}_has_time", f"{column}_offset"], axis=1), bad


def _refuse_undeclared_dates(table: str, column: str, raw: pd.DataFrame, bad: pd.Series) -> None:
    """Most texts of a column are no ISO dates: a format is missing, and is not guessed."""
    n_given = int(raw[column].notna().sum())
    if n_given and bad.sum() * 2 > n_given:
        rows = raw.loc[bad, "_row"].tolist()
        raise DataError(
            f"{raw.loc[bad, '_file'].iloc[0]}: {len(rows)} of {n_given} values of {column} ({table}) are not dates "
            f"such as 2026-07-31 (file rows {first_few(rows)}). Declare how they are written in a mapping: "
            f'`{{column: {raw[column].name}, format: "%m/%d/%Y"}}`.')


def _quarantine(name: str, needs: list[str], raw: pd.DataFrame, frame: pd.DataFrame, bad: dict[str, pd.Series],
                types: dict, ledger: Ledger) -> pd.Series:
    """Which rows have all they need; the others are counted under the first thing they lack."""
    keep = pd.Series(True, index=raw.index)
    for column in (column for column in needs if column in frame):
        for lost, reason, rule in ((bad[column], *_wrong(column, raw[bad[column] & keep], types[column])),
                                   (frame[column].isna(), f"no {column}", f"no {column}")):
            ledger.set_aside(QUARANTINED, name, raw[keep & lost], reason, rule=rule,
                             todo=_todo(name, column, types[column], raw))
            keep &= ~lost
    return keep


def _wrong(column: str, rows: pd.DataFrame, kind: object) -> tuple[str, str]:
    """Why these rows cannot be used: a reason without values, and one that names frequent codes."""
    if not isinstance(kind, tuple):
        reason = f"{column} is not {WHAT.get(kind, 'known')}"
        return reason, reason
    reason = f"unknown {column}"
    shown = [f"{code!r} ({n} rows)" for code, n in _frequent(rows[column]).items()]
    return reason, f"{reason}: {', '.join(shown)}" if shown else reason


def _frequent(text: pd.Series) -> dict[str, int]:
    """Codes that may be named: short, and seen in many rows."""
    return {code: n for code, n in text.value_counts().items() if n >= SHOWN_FROM and len(code) <= SHOWN_LENGTH}


def _todo(table: str, column: str, kind: object, raw: pd.DataFrame) -> str:
    if column == "measure_code":
        known = {code.casefold() for code in kind}
        unknown = [code for code in _frequent(raw[column]) if code.casefold() not in known]
        hint = did_you_mean(unknown[0], kind) if unknown else ""
        return f"Use a code that `therapyeval measures` lists, or add a measures.csv beside the data.{hint}"
    if isinstance(kind, tuple):
        return f"Use one of {', '.join(kind)}, or map the code under `values:` in mapping.yml."
    if kind in ("date", "datetime"):
        return "Write dates as YYYY-MM-DD, or declare their format in mapping.yml."
    return f"Every row of {table} needs {column}."


def _report_bad(name: str, column: str, rows: pd.DataFrame, kind: object, ledger: Ledger) -> None:
    if column == "age":
        what = f"age not between 0 and {schema.MAX_AGE}"
    elif isinstance(kind, tuple):
        what = _wrong(column, rows, kind)[1]
    else:
        what = f"{column} is not {WHAT.get(kind, 'known')}"
    ledger.problem("warning", name, rows, f"{what}; taken as missing, the row stays",
                   f"Correct the values, or map the codes under `values:`. Known: {', '.join(kind)}."
                   if isinstance(kind, tuple) and len(kind) <= 20 else "")


def _once(name: str, raw: pd.DataFrame, keep: pd.Series, ledger: Ledger) -> pd.Series:
    """The same row twice counts once; one key with different contents cannot be used.

    Assessments with one id and different contents are left to the same-day rule.
    """
    key = schema.TABLES[name].key
    content = [column for column in raw if column not in ("_file", "_row")]
    rows = raw[keep]
    twice = rows[rows.duplicated(key, keep=False)] if key in rows else rows
    if key == "assessment_id":
        twice = twice[twice[key].notna()]
    same = pd.Series(False, index=raw.index)
    same[twice.index[twice.duplicated(content)]] = True
    ledger.set_aside(MERGED, name, raw[same], "the same row twice")
    lost = pd.Series(False, index=raw.index)
    if key in rows and key != "assessment_id":
        rows = raw[keep & ~same]
        lost[rows.index[rows.duplicated(key, keep=False)]] = True
        ledger.set_aside(QUARANTINED, name, raw[lost], f"the same {key} with different contents",
                         todo="Export the table again with one row per key.")
    return ~(same | lost)
