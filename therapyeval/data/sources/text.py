"""What all sources share: checked column names, trimmed text without control characters, row numbers.

Rows are numbered as a spreadsheet shows them.
"""

from __future__ import annotations

from collections.abc import Sequence

from therapyeval.errors import DataError

# What runs in a terminal, breaks a drawing or turns a line around: controls, line separators, direction marks
UNSEEN = r"[\p{Cc}\x{2028}\x{2029}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
MARK = "\ufffd"


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


def frame(table, skipped: Sequence[tuple[int, str]] = ()):
    """A pandas frame of text with `_row`, and the rows set aside. Control characters become MARK.

    Parameters
    ----------
    table : pyarrow Table, all columns string
    skipped : (row, reason) of rows that the parser could not use; `row` counts the header as row 1
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in table.columns:
        trimmed = pc.utf8_trim_whitespace(column)
        if pc.any(pc.match_substring_regex(trimmed, UNSEEN)).as_py():
            trimmed = pc.replace_substring_regex(trimmed, UNSEEN, MARK)
        columns.append(pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed))
    result = pa.table(columns, names=table.column_names).to_pandas()
    taken = {row for row, _ in skipped}
    numbers = np.arange(2, len(result) + len(taken) + 2)
    result["_row"] = numbers[~np.isin(numbers, list(taken))] if taken else numbers
    blank = result.drop(columns="_row").isna().all(axis=1)
    aside = sorted([*skipped, *((int(row), "blank row") for row in result.loc[blank, "_row"])])
    return result[~blank].reset_index(drop=True), aside
