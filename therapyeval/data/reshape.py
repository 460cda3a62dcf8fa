"""Raw files to canonical tables, as the mapping says; every value is still text."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import pandas as pd

from therapyeval.data import quality, schema
from therapyeval.data.convert import NOT_A_DATE
from therapyeval.data.mapping import Entry, Field
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger
from therapyeval.data.sources.raw import BROKEN, Raw
from therapyeval.errors import DataError, did_you_mean


def reshape(entry: Entry, source: Raw, ledger: Ledger) -> dict[str, pd.DataFrame]:
    """The canonical tables that one file gives, with `_file` and `_row`.

    Parameters
    ----------
    source : the rows of the file
    ledger : counts the rows; rows of the file count for the table of the leading kind, other tables count
        the rows made for them

    Raises
    ------
    DataError
        Where the mapping names a column that the file does not have; with its line.
    """
    leading = schema.KINDS[entry.leading]
    ledger.read(leading, entry.read, source.n_rows + len(source.aside))
    set_aside(leading, source, ledger)
    raw = source.table.to_pandas().assign(_file=ledger.file_number(entry.read))
    _check_columns(entry, raw)
    raw = _without_missing(entry, raw, leading, ledger)
    raw = _kept(entry, raw, leading, ledger)
    timepoint = _resolve(entry.occasion, entry.read, raw) if entry.occasion else None
    first = _kind(entry, entry.leading, raw, None)
    scores = _assessments(entry, raw, first, timepoint)
    if timepoint is not None:
        raw, first = _one_per_episode(raw, first, timepoint, ledger)
    for name, field in entry.attributes.items():
        first[name] = _resolve(field, entry.read, raw)
    tables = {leading: first, **{schema.KINDS[kind]: _kind(entry, kind, raw, first)
                                 for kind in entry.kinds if kind != entry.leading}}
    if scores is not None:
        tables["assessments"] = scores
    for name, frame in tables.items():
        if name != leading:
            ledger.read(name, entry.read, len(frame))
    return tables


def set_aside(table: str, source: Raw, ledger: Ledger) -> None:
    """Count the rows that the source set aside: broken ones are in quarantine, the others left out by a rule."""
    file = ledger.file_number(source.file)
    for reason in dict.fromkeys(reason for _, reason in source.aside):
        fate = QUARANTINED if reason in BROKEN else LEFT_OUT
        ledger.set_aside(fate, table, quality.rows(file, [row for row, why in source.aside if why == reason]), reason)


def _check_columns(entry: Entry, raw: pd.DataFrame) -> None:
    known = _columns_of(raw)
    named = [(entry.where.block("keep"), column) for column in entry.keep]
    named += [(entry.where.block("missing_where"), column) for column in entry.missing_where]
    for block, column in named:
        if column not in known:
            raise block.fail(column, f"{entry.read} has no column {column[:40]!r}.{did_you_mean(column, known)}")
    for column, other in entry.missing_where.items():
        if other not in known:
            raise entry.where.block("missing_where").fail(
                column, f"{entry.read} has no column {other[:40]!r}.{did_you_mean(other, known)}")


def _columns_of(raw: pd.DataFrame) -> list[str]:
    return [name for name in raw.columns if name not in ("_file", "_row")]


def _without_missing(entry: Entry, raw: pd.DataFrame, table: str, ledger: Ledger) -> pd.DataFrame:
    """Codes for "no value" become missing, and so does a value beside a missing companion (counted)."""
    raw = raw.copy()
    if entry.missing - {""}:
        for name in _columns_of(raw):
            raw[name] = raw[name].mask(raw[name].isin(entry.missing))
    for column, other in entry.missing_where.items():
        gone = raw[other].isna() & raw[column].notna()
        ledger.problem("note", table, raw[gone], f"{column} taken as missing, because {other} is empty")
        raw[column] = raw[column].mask(gone)
    return raw


def _kept(entry: Entry, raw: pd.DataFrame, table: str, ledger: Ledger) -> pd.DataFrame:
    for column, values in entry.keep.items():
        keep = raw[column].notna() if values is None else raw[column].isin(values)
        rule = f"{column} present" if values is None else f"{column} one of {', '.join(values)}"
        ledger.set_aside(LEFT_OUT, table, raw[~keep], f"keep: {rule}")
        raw = raw[keep]
    if raw.empty:
        raise DataError(f"{entry.read}: no rows are left to read. Check `keep:` in {entry.where.file}.")
    return raw.reset_index(drop=True)


def _resolve(field: Field, file: str, raw: pd.DataFrame) -> pd.Series:
    """The values of one source, as text."""
    if field.constant is not None:
        return pd.Series(field.constant, index=raw.index, dtype="str")
    known = _columns_of(raw)
    for column in field.columns:
        if column not in known:
            hint = did_you_mean(column, known)
            plain = len(field.columns) == 1 and field.values is None and field.format is None
            if field.may_be_constant and plain and "Did you mean" not in hint:
                return pd.Series(column, index=raw.index, dtype="str")
            extra = " For one value in every row, write {constant: …}." if field.may_be_constant else ""
            raise field.fail(f"{file} has no column {column[:40]!r}.{hint}{extra}")
    text = raw[field.columns[0]]
    for column in field.columns[1:]:
        text = text + "-" + raw[column]
    if field.values is not None:
        text = translated(text, field.values)
    if field.format is not None:
        day = pd.to_datetime(text, format=field.format, errors="coerce")
        iso = day.dt.strftime("%Y-%m-%dT%H:%M:%S" if "%H" in field.format or "%I" in field.format else "%Y-%m-%d")
        text = iso.astype("str").where(day.notna(), NOT_A_DATE).where(text.notna())
    return text


def translated(text: pd.Series, values: MappingType[str, str]) -> pd.Series:
    """Codes in words; a code that is not listed stays as it is, one that stands for "" is missing."""
    words = text.map(values).astype("str").fillna(text)
    return words.mask(words == "")


def _kind(entry: Entry, kind: str, raw: pd.DataFrame, leading: pd.DataFrame | None) -> pd.DataFrame:
    """One canonical table; what it does not say of patient and episode follows the leading kind."""
    name = schema.KINDS[kind]
    table = schema.TABLES[name]
    frame = raw[["_file", "_row"]].copy()
    for column, field in entry.kinds[kind].items():
        frame[column] = _resolve(field, entry.read, raw)
    for column in ("patient_id", "episode_id"):
        if column in table.columns and column not in frame and leading is not None and column in leading:
            frame[column] = leading[column]
    if kind == "episode" and "episode_id" in frame and "patient_id" not in frame:
        frame["patient_id"] = frame["episode_id"]
    if kind == "episode" and "status" not in frame:
        frame["status"] = "finished"
    if table.key and table.key not in frame:
        if table.key in ("episode_id", "patient_id", "site_id", "staff_id"):
            raise entry.where.fail(kind, f"`{kind}` needs `id:`, the column (or columns) that tells its rows apart.")
        frame[table.key] = f"{entry.read}:" + frame["_row"].astype("str")
    return frame


def _one_per_episode(raw: pd.DataFrame, first: pd.DataFrame, timepoint: pd.Series,
                     ledger: Ledger) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of several occasions of an episode, the initial row (else the first) tells what it is."""
    later = (timepoint != schema.INITIAL).astype(int)
    order = first.assign(_later=later).sort_values(["_later", "_row"], kind="stable").index
    chosen = first.loc[order, "episode_id"].drop_duplicates().index.sort_values()
    ledger.set_aside(MERGED, "episodes", first.drop(chosen), "a further occasion of the same episode")
    return raw.loc[chosen].reset_index(drop=True), first.loc[chosen].reset_index(drop=True)


def _assessments(entry: Entry, raw: pd.DataFrame, first: pd.DataFrame,
                 timepoint: pd.Series | None) -> pd.DataFrame | None:
    """One row per score that is there."""
    if not entry.scores:
        return None
    parts = []
    date = _resolve(entry.occasion_date, entry.read, raw) if entry.occasion_date else None
    for by_timepoint in entry.scores.values():
        for point, field in by_timepoint.items():
            part = field.rows(first[["_file", "_row", "patient_id", "episode_id"]], raw, entry.read)
            part["timepoint"] = timepoint.reindex(part.index) if point is None else point  # part may have no rows
            part["date"] = pd.Series(None, index=part.index, dtype="str") if date is None else date.reindex(part.index)
            parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    frame["assessment_id"] = frame["measure_code"] + ":" + frame.index.astype("str")
    return frame


def attributes_by_table(entries: tuple[Entry, ...]) -> dict[str, MappingType[str, Field]]:
    """The attributes that a mapping declares, by the table that holds them."""
    found: dict[str, dict[str, Field]] = {}
    for entry in entries:
        found.setdefault(schema.KINDS[entry.leading], {}).update(entry.attributes)
    return found
