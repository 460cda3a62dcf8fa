"""What every source gives: the rows of one file, before anything is checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BLANK = "blank row"


@dataclass(frozen=True)
class Raw:
    """The rows of one file; exactly one of `table` and `parquet` is given.

    Attributes
    ----------
    file : base name, for messages
    table : pyarrow Table: columns of text (trimmed, empty = null) and `_row` (int64), the row as a spreadsheet counts
        (the header is row 1)
    parquet : a Parquet file that the engine scans itself, with its own types; its first row is row 2
    aside : (row, reason) of rows that are not in the table: BLANK, or why the row cannot be used
    """

    file: str
    table: object | None = None
    parquet: Path | None = None
    aside: tuple[tuple[int, str], ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows that can be used, without those set aside."""
        if self.table is not None:
            return self.table.num_rows
        import pyarrow.parquet

        return pyarrow.parquet.read_metadata(self.parquet).num_rows
