"""What all sources share: checked column names, trimmed text, row numbers as a spreadsheet shows them."""

from __future__ import annotations

from collections.abc import Sequence

from therapyeval.data.sources.raw import BLANK, Raw
from therapyeval.errors import DataError

OURS = ("_at", "_file", "_row")  # added to every table; columns of these names in a file are not read


def checked_names(names: Sequence[str], file: str) -> list[str]:
    """Column names without surrounding spaces.

    Raises
    ------
    DataError
        Where two columns have one name or there is no name at all.
    """
    names = [name.strip() for name in names]
    if not any(names):
        raise DataError(f"{file} has no header row: its first line must hold the column names.")
    names = [name or f"column_{position}" for position, name in enumerate(names, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file} has the column {twice[0][:40]!r} twice. Rename one of them.")
    return names


def raw(table, file: str, skipped: Sequence[tuple[int, str]] = ()) -> Raw:
    """Trimmed text with `_row`; blank rows are set aside.

    Parameters
    ----------
    table : pyarrow Table, all columns string
    skipped : (row, reason) of rows that the parser could not use; `row` counts the header as row 1
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns, blank = {}, pa.scalar(True)
    for name, column in zip(table.column_names, table.columns, strict=True):
        trimmed = pc.utf8_trim_whitespace(column)
        columns[name] = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
        blank = pc.and_(blank, pc.is_null(columns[name]))
    taken = np.array([row for row, _ in skipped], dtype="int64")
    numbers = np.arange(2, table.num_rows + len(taken) + 2)
    numbers = pa.array(numbers[~np.isin(numbers, taken)])
    result = pa.table({name: column for name, column in columns.items() if name not in OURS} | {"_row": numbers})
    if result.num_rows and pc.any(blank).as_py():
        skipped = [*skipped, *((row, BLANK) for row in result["_row"].filter(blank).to_pylist())]
        result = result.filter(pc.invert(blank))
    return Raw(file, table=result, aside=tuple(sorted(skipped)))
