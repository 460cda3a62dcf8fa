"""Files to tables: one module per kind of file. Text is read as text; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

from therapyeval.data.sources import csv, parquet, text
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError

ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet")


def read(path: Path, *, part: str | None = None, delimiter: str | None = None, encoding: str | None = None) -> Raw:
    """The rows of one file.

    Parameters
    ----------
    part : which of several tables in the file, where a file can hold several; CSV and Parquet files hold one
    delimiter, encoding : of a CSV; found out where not given

    Raises
    ------
    DataError
        Where the file is empty, not readable, or has columns without a name or with the same name.
    """
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError:
        raise unreadable(path.name) from None
    if not first:
        raise DataError(f"{path.name} is empty (0 bytes).")
    if part is not None:
        raise DataError(f"{path.name} holds one table, so it has no part {part[:40]!r}. Leave `part:` out.")
    if path.name.lower().endswith(".parquet"):
        return parquet.read(path)
    return csv.read(path.read_bytes(), path.name, delimiter=delimiter, encoding=encoding)


def as_text(raw: Raw) -> Raw:
    """The same rows, all as text in a table."""
    return raw if raw.table is not None else text.raw(parquet.as_text(raw.parquet), raw.file)


def unreadable(file: str) -> DataError:
    return DataError(f"{file} cannot be read. Is it open elsewhere, or without reading rights?")


def stem(path: Path) -> str:
    """The table name of a file: its name without endings, small letters."""
    name = path.name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name
