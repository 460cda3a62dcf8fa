"""Files to tables of text: one module per kind of file. Every value is read as a string; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

from therapyeval.data.sources import csv, parquet
from therapyeval.errors import DataError

ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet")


def read(content: bytes, name: str, *, delimiter: str | None = None, encoding: str | None = None):
    """The rows of one file as text.

    Parameters
    ----------
    content : the bytes of the file
    name : its base name, for the ending and for messages
    delimiter, encoding : of a CSV; found out where not given

    Returns
    -------
    (DataFrame, list of (row, reason))
        Columns of text, surrounding spaces removed, empty cells missing; `_row` is the row as a spreadsheet
        counts it (the header is row 1). The second part names rows with too many or too few cells, and
        rows without any content (reason "blank row"): they are not in the frame.

    Raises
    ------
    DataError
        Where the file is empty, not readable, or has columns without a name or with the same name.
    """
    if not content:
        raise DataError(f"{name} is empty (0 bytes).")
    if name.lower().endswith(".parquet"):
        return parquet.read(content, name)
    return csv.read(content, name, delimiter=delimiter, encoding=encoding)


def stem(path: Path) -> str:
    """The table name of a file: its name without endings, small letters."""
    name = path.name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name
