"""Files, workbooks and databases to canonical tables in the engine, before anything is checked."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from therapyeval.data import convert, engine, schema, sources
from therapyeval.data.mapping import Field, Mapping
from therapyeval.data.quality import LEFT_OUT, Ledger
from therapyeval.data.reshape import attributes_by_table, reshape, set_aside
from therapyeval.data.sources.raw import Raw
from therapyeval.data.sources.text import OURS
from therapyeval.errors import DataError, did_you_mean

MEASURES_NAME = "measures.csv"
KNOWN = (*schema.TABLES, *schema.LATER)


@dataclass(frozen=True)
class Given:
    """Canonical tables as they were read.

    Attributes
    ----------
    tables : Ibis tables by name, with `_at`, `_file` and `_row`
    attributes : declared further columns, by table
    text : names of the tables that hold text
    digests : SHA-256 of what has no file, by name
    """

    tables: dict[str, object]
    attributes: MappingType[str, MappingType[str, Field]]
    text: frozenset[str]
    digests: dict[str, str]


def read_mapped(connection, folder: Path, place: Path | str, spec: Mapping, ledger: Ledger,
                read: Callable[..., Raw] = sources.read) -> Given:
    """Tables that the mapping makes of the files; `read` gives the rows of one, as `sources.read` does."""
    parts: dict[str, list[pd.DataFrame]] = {}
    digests: dict[str, str] = {}
    alone = isinstance(place, Path) and place.is_file()
    if alone and len({entry.read for entry in spec.tables}) > 1:
        raise DataError(f"{spec.file} reads {len(spec.tables)} files: give their folder, not the file {place.name}.")
    for entry in spec.tables:
        path = place if alone or isinstance(place, str) else folder / entry.read
        if isinstance(path, Path) and not path.is_file():
            raise entry.where.fail("read", f"there is no file {entry.read} in the folder {folder.resolve().name}."
                                           f"{did_you_mean(entry.read, _names(folder))}")
        raw = read(path, **entry.reading).as_text()
        if not raw.n_rows:
            raise DataError(f"{raw.file} has a header but no rows.")
        if isinstance(path, str):
            digests[raw.file] = raw.digest()
        for name, frame in reshape(replace(entry, read=raw.file), raw, ledger).items():
            parts.setdefault(name, []).append(frame)
    tables = {}
    for name, frames in parts.items():
        rows = engine.as_arrow(_complete(name, pd.concat(frames, ignore_index=True), spec))
        tables[name] = engine.from_arrow(connection, f"{name}_given", engine.with_place(rows))
    return Given(tables, attributes_by_table(spec.tables), frozenset(tables), digests)


def _complete(name: str, rows: pd.DataFrame, spec: Mapping) -> pd.DataFrame:
    """Refuse a mapped table that nothing can be made of; scores that are paired by their labels need no date."""
    if name == "assessments" and spec.timepoint_rule == "declared" and "date" not in rows:
        rows["date"] = pd.Series(None, index=rows.index, dtype="str")
    needed = (*schema.ROW_NEEDS[name], *(["score"] if name == "assessments" else []))
    kind = next(kind for kind, table in schema.KINDS.items() if table == name)
    for column in needed:
        if column not in rows:
            entry = next(entry for entry in spec.tables if kind in entry.kinds)
            raise entry.where.fail(kind, f"`{kind}` needs `{column}:`, the column of {entry.read} that holds it.")
    return rows


def _canonical_raws(place: Path | str, spec: Mapping, ledger: Ledger, read: Callable[..., Raw]) -> dict[str, Raw]:
    """Every table named as in the data model, or made of a FHIR export or an OMOP database."""
    shape = sources.shape(place)
    if shape:
        return sources.standard(shape)(place, spec.codes)
    found: dict[str, Raw] = {}
    for name, item, part in sources.tables(place, KNOWN):
        if isinstance(item, Path) and item.name == MEASURES_NAME:
            continue
        if name not in KNOWN:
            ledger.remark("warning", name, sources.name(item), "not a table of the data model, not read."
                                                              f"{did_you_mean(name, KNOWN)}")
            continue
        if name in found:
            raise DataError(f"{name_of(place)} holds the table {name} twice (as CSV and as Parquet?). Keep one file.")
        found[name] = read(item, part=part)
    return found


def read_canonical(connection, place: Path | str, spec: Mapping, ledger: Ledger,
                   read: Callable[..., Raw] = sources.read) -> Given:
    """Tables that are named and shaped as in the data model; `read` gives the rows of one, as `sources.read` does."""
    found = _canonical_raws(place, spec, ledger, read)
    for name, raw in found.items():
        ledger.read(name, raw.file, raw.n_rows + len(raw.aside))
        set_aside(name, raw, ledger)
    if not {"episodes", "visits"} & set(found):
        raise DataError(f"{name_of(place)} is not a dataset: it holds no episodes or visits table "
                        "(episodes.csv, visits.parquet, …). Give a mapping to read files of other names.")
    tables = {name: engine.scan(connection, f"{name}_given", raw, ledger.file_number(raw.file))
              for name, raw in found.items()}
    for name in [name for name in tables if name in schema.LATER]:
        rows = engine.fetch(tables.pop(name).select("_file", "_row"))
        ledger.set_aside(LEFT_OUT, name, rows, "no fact is made from this table yet")
    _check_columns(tables, found, spec, ledger)
    tables, attributes = _declared(tables, spec)
    return Given(tables, attributes, frozenset(name for name in tables if found[name].table is not None),
                 {raw.file: raw.digest() for raw in found.values()} if isinstance(place, str) else {})


def _check_columns(tables: MappingType[str, object], found: MappingType[str, Raw], spec: Mapping,
                   ledger: Ledger) -> None:
    """Refuse tables without a needed column; point out columns that nobody declared."""
    for name, rows in tables.items():
        known, file, given = schema.TABLES[name].columns, found[name].file, _columns(rows)
        for column in schema.TABLES[name].needed:
            if column not in given:
                hint = did_you_mean(column, [item for item in given if item not in known])
                raise DataError(f"{file} has no column {column}, which the table {name} needs.{hint}")
        extra = [column for column in given if column not in known and column not in spec.attributes
                 and column not in ("source_system", "source_row", "loaded_at")]
        if extra and found[name].n_rows:
            ledger.remark("note", name, file, f"columns not read: {', '.join(sorted(extra)[:10])}",
                          "Declare them under `attributes:` in mapping.yml to filter and group by them.")


def _declared(tables: MappingType[str, object], spec: Mapping) -> tuple[dict[str, object], dict[str, dict[str, Field]]]:
    """The tables with the mapping's attributes under their names, and the attributes by table."""
    tables, found = dict(tables), {}
    for name, attribute in spec.attributes.items():
        column = attribute.columns[0]
        holders = [table for table, rows in tables.items() if column in _columns(rows)]
        if not holders:
            every = {item for rows in tables.values() for item in _columns(rows)}
            raise attribute.fail(f"no table has a column {column[:40]!r}.{did_you_mean(column, every)}")
        for table in holders:
            given = tables[table][column]
            if attribute.values is not None:
                given = convert.translated(convert.to_text(given), attribute.values)
            tables[table] = tables[table].mutate(**{name: given})
            found.setdefault(table, {})[name] = attribute
    return tables, found


def _columns(rows) -> list[str]:
    return [name for name in rows.columns if name not in OURS]


def _names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir() if item.is_file()]


def name_of(place: Path | str) -> str:
    """The base name of the data folder, or the name of a database on a server."""
    if isinstance(place, str):
        return sources.name(place)
    return (place if place.is_dir() else place.parent).resolve().name


def files_of(folder: Path, place: Path | str, spec: Mapping) -> list[Path]:
    """The files that are read; those that are missing are complained of when they are read."""
    if isinstance(place, str):
        return []
    if spec.tables:
        found = [place if place.is_file() else folder / entry.read for entry in spec.tables]
    elif sources.shape(place):
        found = sources.files(place)
    else:
        found = [item for name, item, _ in sources.tables(place, KNOWN) if name in KNOWN]
    return list(dict.fromkeys(path for path in found if path.is_file() and path.name != MEASURES_NAME))
