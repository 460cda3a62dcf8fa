"""What all sources of tables share: checked column names, values as text, row numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from therapyeval.data.sources.raw import BLANK, LINE_ENDS, MARK, Raw, cleaned
from therapyeval.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_LINE_ENDS = re.compile(LINE_ENDS)
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # as raw.UNSEEN
OURS = ("_at", "_file", "_row")  # added to every table; columns of these names in a file are not read


def checked_names(names: Sequence[str], file: str, *, number_repeats: bool = False) -> list[str]:
    """Column names in one line each, without surrounding spaces; a control character becomes MARK.

    Capitals make no difference in the engine, which would take the first of "id" and "ID" for both.

    Parameters
    ----------
    number_repeats : write the second column of one name as "name (2)" instead of refusing it

    Raises
    ------
    DataError
        Where two columns have one name, capitals aside, or there is no name at all.
    """
    names = [_UNSEEN.sub(MARK, _LINE_ENDS.sub(" ", name)).strip() for name in names]
    if not any(names):
        raise DataError(f"{file} has no header row: its first line must hold the column names.")
    names = [name or f"column_{position}" for position, name in enumerate(names, start=1)]
    if number_repeats:
        seen: Counter[str] = Counter()
        for position, name in enumerate(names):
            seen[name.casefold()] += 1
            names[position] = f"{name} ({seen[name.casefold()]})" if seen[name.casefold()] > 1 else name
    for said, alike in (("", names), (" (capitals make no difference)", [name.casefold() for name in names])):
        n_of = Counter(alike)
        twice = sorted(name for name, plain in zip(names, alike, strict=True) if n_of[plain] > 1)
        if twice:
            raise DataError(f"{file} has the column {twice[0][:40]!r} twice{said}. Rename one of them.")
    return names


def as_text(table: pa.Table, file: str) -> pa.Table:
    """Every plain type as text, `cleaned`: 7.0 is "7", dates are ISO dates.

    Raises
    ------
    DataError
        For lists and structures.
    """
    import pyarrow as pa

    columns = []
    for column in table.columns:
        try:
            words = column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(f"{file} has columns that are no plain values (lists, structures). "
                            "Export it flat.") from None
        columns.append(cleaned(words))
    return pa.table(columns, names=table.column_names)


def numbered(table: pa.Table, file: str, skipped: Sequence[tuple[int, str]] = (), first: int = 2) -> Raw:
    """The rows with `_row`, blank rows set aside.

    Parameters
    ----------
    table : text columns, as `as_text` gives them
    skipped : (row, reason) of rows that the parser could not use and that are not in the table
    first : number of the first row
    """
    import numpy as np
    import pyarrow as pa

    table = table.drop_columns([column for column in table.column_names if column in OURS])
    taken = {row for row, _ in skipped}
    numbers = np.arange(first, table.num_rows + len(taken) + first)
    numbers = numbers[~np.isin(numbers, list(taken))] if taken else numbers
    blank = blank_rows(table)
    aside = sorted([*skipped, *((int(row), BLANK) for row in numbers[blank])])
    table = table.append_column("_row", pa.array(numbers, pa.int64()))
    return Raw(file, table.filter(pa.array(~blank)) if blank.any() else table, aside=tuple(aside))


def blank_rows(table: pa.Table):
    """Which rows have no value at all (array of bool)."""
    import numpy as np

    blank = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if not blank.any():
            break
        blank &= column.is_null().to_numpy()
    return blank


def quoted(name: str) -> str:
    """The name of a table or column in SQL."""
    return '"' + name.replace('"', '""') + '"'


def plain_number(value: float) -> str:
    """A number as a spreadsheet shows it: at most 15 digits, whole numbers without a point.

    >>> plain_number(0.1 + 0.2), plain_number(7.0)
    ('0.3', '7')
    """
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
