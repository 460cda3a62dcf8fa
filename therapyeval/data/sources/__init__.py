"""Data to rows of text: one module per kind of source. Every value is read as text; nothing is guessed.

A place is the path of a file or folder, or the address of a database. A part is a sheet or a table of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from therapyeval.data.sources import csv, excel, numbers, parquet, redcap, sql
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
NDJSON = (".ndjson", ".ndjson.gz")
ENDINGS = (*TEXT, ".parquet", *excel.ENDINGS, *sql.FILE_ENDINGS, *NDJSON)
LISTED = tuple(ending for ending in ENDINGS if ending != ".txt")  # of a folder; a .txt beside the data is a note
NOT_DATA = ("~$", ".", "thumbs.db")  # lock files, hidden files, thumbnails
OMOP_TABLES = frozenset(("person", "visit_occurrence"))  # a place that holds both is a database of that model


def read(place: str | Path, *, part: str | None = None, delimiter: str | None = None, encoding: str | None = None,
         decimal: str | None = None, thousands: str | None = None, number_columns: Collection[str] = (),
         serial_dates: Collection[str] = (), layout: str | None = None, instrument: str | None = None) -> Raw:
    """The rows of one file, sheet or table as text.

    Parameters
    ----------
    place : path of a file, or address of a database
    part : sheet or table; may be left out where there is only one
    delimiter, encoding : of delimited text; found out where not given
    decimal, thousands : signs in the `number_columns` of delimited text, where they are not 1234.5
    serial_dates : columns of a workbook whose numbers are days
    layout, instrument : "redcap" arranges the rows of a REDCap export (see `redcap.arranged`)

    Raises
    ------
    DataError
        Where the place cannot be read, is empty, has columns without a name or with the same name, or an option
        does not fit this kind of source.
    """
    place = located(place)
    number_repeats = layout == "redcap"  # an export with labels repeats "Complete?"
    kind = _kind(place)
    if kind in ("text", "parquet") and _is_empty(place):
        raise DataError(f"{place.name} is empty (0 bytes).")
    _refuse_misplaced(name(place), kind, part, decimal or thousands or delimiter or encoding, serial_dates)
    if kind == "text":
        raw = csv.read(content(place), place.name, delimiter=delimiter, encoding=encoding,
                       number_repeats=number_repeats)
        if decimal or thousands:
            raw = replace(raw, table=numbers.rewritten(raw.table, number_columns, decimal or ".", thousands))
    elif kind == "workbook":
        raw = excel.read(place, part, serial_dates=serial_dates, number_repeats=number_repeats)
    else:
        raw = parquet.read(place) if kind == "parquet" else sql.read(place, part)
    return redcap.arranged(raw, instrument) if layout == "redcap" else raw


def parts(place: str | Path) -> tuple[str, ...]:
    """The sheets of a workbook or the tables of a database; ("",) for a file that is one table."""
    place = located(place)
    kind = _kind(place)
    if kind == "workbook":
        return excel.parts(place)
    return sql.parts(place) if kind == "database" else ("",)


def shape(place: str | Path) -> str | None:
    """ "fhir" for NDJSON, "omop" for tables of the OMOP common data model, None for anything else."""
    place = located(place)
    found = files(place)
    if any(path.name.lower().endswith(NDJSON) for path in found):
        return "fhir"
    if isinstance(place, Path) and not place.is_dir():
        found = [path for path in found if _kind(path) in ("workbook", "database")]
    named = {stem(path) for path in found}
    if isinstance(place, str) or (len(found) == 1 and _kind(found[0]) in ("workbook", "database")):
        named = {part.lower() for part in parts(place if isinstance(place, str) else found[0])}
    return "omop" if named >= OMOP_TABLES else None


def standard(shape: str) -> Callable[[str | Path, Mapping[str, str]], dict[str, Raw]]:
    """What makes canonical tables of a place of this `shape`: takes the place and the mapping's `codes`."""
    if shape == "fhir":
        from therapyeval.data.sources.fhir import canonical
    else:
        from therapyeval.data.sources.omop import canonical
    return canonical


def tables(place: str | Path, known: Collection[str]) -> list[tuple[str, str | Path, str | None]]:
    """(table name, place, part) of every table in a folder, file or database, in a fixed order.

    Parameters
    ----------
    known : table names; a workbook or database with one part may carry the name of its table itself
    """
    place = located(place)
    found = []
    for item in [place] if isinstance(place, str) else files(place):
        inner = parts(item)
        for part in inner:
            own = stem(item) if isinstance(item, Path) else ""
            use_own = not part or (len(inner) == 1 and part.lower() not in known and own in known)
            found.append((own if use_own else part.lower(), item, part or None))
    return sorted(found, key=lambda table: table[0])


def files(place: str | Path) -> list[Path]:
    """The data files of a folder, by name, or the file itself; none for an address."""
    if isinstance(place, str):
        return []
    if not place.is_dir():
        return [place]
    return sorted(item for item in place.iterdir()
                  if item.is_file() and item.name.lower().endswith(LISTED)
                  and not item.name.lower().startswith(NOT_DATA))


def located(place: str | Path) -> str | Path:
    """A path where it is one; addresses of database files are paths too."""
    if sql.is_url(place):
        return sql.path_of(place) or place
    return Path(place)


def name(place: str | Path) -> str:
    """What messages call a place: a base name, never a path or an address."""
    place = located(place)
    return sql.name(place) if isinstance(place, str) else place.name


def stem(path: Path) -> str:
    """The table name of a file: its name without endings, small letters."""
    lower = path.name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if lower.endswith(ending):
            return lower.removesuffix(ending)
    return lower


def content(path: Path) -> bytes:
    """The bytes of a file."""
    try:
        return path.read_bytes()
    except OSError:
        raise unreadable(path.name) from None


def _is_empty(path: Path) -> bool:
    """Whether a file has no content."""
    try:
        with path.open("rb") as file:
            return not file.read(1)
    except OSError:
        raise unreadable(path.name) from None


def unreadable(file: str) -> DataError:
    return DataError(f"{file} cannot be read. Is it open elsewhere, or without reading rights?")


def _kind(place: str | Path) -> str:
    if isinstance(place, str):
        return "database"
    lower = place.name.lower()
    if not place.is_file():
        raise DataError(f"there is no file {place.name}. Is the path right?")
    if lower.endswith((*excel.ENDINGS, ".xls")):
        return "workbook"
    if lower.endswith(sql.FILE_ENDINGS):
        return "database"
    if lower.endswith(".parquet"):
        return "parquet"
    if lower.endswith(NDJSON):
        raise DataError(f"{place.name} holds FHIR resources: give it, or its folder, without `tables:` in the mapping.")
    return "text"


def _refuse_misplaced(name: str, kind: str, part: str | None, of_text: str | None,
                      serial_dates: Collection[str]) -> None:
    """Options that this kind of source does not have."""
    if part and kind in ("text", "parquet"):
        raise DataError(f"{name} is one table: leave out `sheet:` and `table:` in the mapping.")
    if of_text and kind != "text":
        raise DataError(f"{name}: `delimiter`, `encoding`, `decimal` and `thousands` are for CSV and other text files. "
                        "Leave them out.")
    if serial_dates and kind != "workbook":
        raise DataError(f"{name}: `format: excel` is for workbooks (.xlsx). Declare how the dates are written, "
                        'such as `format: "%m/%d/%Y"`.')
