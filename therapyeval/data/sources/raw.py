"""What every source gives: rows of text with their row numbers, and the rows set aside with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BLANK, CELLS = "blank row", "a row with too many or too few cells"
TITLE, TOTAL = "a row above the header", "a totals row"
NOT_JSON = "a line that is not one JSON resource"
BROKEN = frozenset((CELLS, NOT_JSON))  # rows that somebody has to repair; every other reason is a rule
# What runs in a terminal, breaks a drawing or turns a line around: controls, line separators, direction marks
UNSEEN = r"[\p{Cc}\x{2028}\x{2029}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
MARK = "\ufffd"
LINE_ENDS = r"[\t\n\r]+"     # a cell of several lines, or with a tab, is one line: names and codes have one


@dataclass(frozen=True)
class Raw:
    """The rows of one file, sheet or table.

    Attributes
    ----------
    file : what messages call it: a base name, with the sheet or table where there are several; no path, no address
    table : text columns (surrounding spaces removed, empty cells null) and `_row` (int64): the row as a spreadsheet
        counts it (the header is row 1), the line of an NDJSON file, or the position in a database table ordered by
        its columns from left to right; None where `parquet` is given
    parquet : a file that the engine scans itself, with its own types; `_row` is the position of a row + 2, text is
        still to be trimmed
    aside : (row, reason) of rows that are not in the table: `BROKEN` ones need repair, the others a rule leaves out
    """

    file: str
    table: pa.Table | None
    parquet: Path | None = None
    aside: tuple[tuple[int, str], ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows that can be used, without those set aside."""
        if self.table is not None:
            return self.table.num_rows
        from therapyeval.data.sources import parquet

        return parquet.n_rows(self.parquet)

    def as_text(self) -> Raw:
        """The same rows in a table of text; a Parquet file is loaded."""
        from therapyeval.data.sources import parquet

        return self if self.table is not None else parquet.loaded(self.parquet)

    def to_arrow(self) -> pa.Table:
        """The table; a Parquet file is loaded."""
        return self.as_text().table

    def to_pandas(self) -> pd.DataFrame:
        """The table as a frame of text with `_row`."""
        return self.to_arrow().to_pandas()

    def digest(self) -> str:
        """SHA-256 of the rows, for what has no bytes of its own (a table of a database)."""
        import pyarrow as pa

        sink = hashlib.sha256()
        with pa.ipc.new_stream(pa.PythonFile(_Hashing(sink), "w"), self.to_arrow().schema) as writer:
            writer.write_table(self.to_arrow(), max_chunksize=65536)
        return sink.hexdigest()


class _Hashing:
    """A file that only keeps the hash of what is written to it."""

    closed = False

    def __init__(self, sink: hashlib._Hash) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:
        self._sink.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def from_rows(file: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]],
              aside: Sequence[tuple[int, str]] = ()) -> Raw:
    """A Raw of rows made one by one: each has `_row` and some of the columns; the others are null."""
    import pyarrow as pa

    data = {name: cleaned(pa.array([row.get(name) or None for row in rows], pa.string())) for name in columns}
    data["_row"] = pa.array([row["_row"] for row in rows], pa.int64())
    return Raw(file, pa.table(data), aside=tuple(sorted(aside)))


def cleaned(words: pa.Array):
    """Texts as one line each, trimmed, empty ones null; a control character inside becomes MARK."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pc.utf8_trim_whitespace(words)
    if pc.any(pc.match_substring_regex(words, UNSEEN)).as_py():
        words = pc.replace_substring_regex(pc.replace_substring_regex(words, LINE_ENDS, " "), UNSEEN, MARK)
    return pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)
