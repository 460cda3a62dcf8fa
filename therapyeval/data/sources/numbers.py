"""Numbers written with a decimal comma or thousands separators, where the mapping declares them. Never guessed."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

NOT_A_NUMBER = "(not a number)"
SPACES = " \u00a0\u202f"  # a space between thousands is often one that does not break


def rewritten(table: pa.Table, columns: Collection[str], decimal: str, thousands: str | None) -> pa.Table:
    """The table with the numbers of these columns written as 1234.5.

    A number with a sign in the wrong place, or with one that is not declared ("1.5" in a file with decimal commas),
    makes the cell "(not a number)": it is reported, never read as something else. Other words stay.

    Parameters
    ----------
    columns : those that hold numbers; others (ids, dates, codes) are not touched
    decimal, thousands : the signs; thousands None: there are none
    """
    import pyarrow as pa

    for name in set(columns) & set(table.column_names):
        cells = table[name].combine_chunks().dictionary_encode()
        words = pa.array([_rewritten(word, decimal, thousands) for word in cells.dictionary.to_pylist()], pa.string())
        table = table.set_column(table.column_names.index(name), name, words.take(cells.indices))
    return table


def _rewritten(cell: str, decimal: str, thousands: str | None) -> str:
    """One cell.

    >>> _rewritten("1.234,5 m", ",", "."), _rewritten("1.5", ",", None)
    ('1234.5 m', '(not a number)')
    """
    point, group = re.escape(decimal), f"[{SPACES}]" if thousands == " " else re.escape(thousands or "")
    whole = rf"\d{{1,3}}(?:{group}\d{{3}})+|\d+" if thousands else r"\d+"
    good = re.compile(rf"(?:{whole})(?:{point}\d+)?|{point}\d+")
    number = re.compile(rf"[.,]?\d(?:[.,'{SPACES if thousands == ' ' else ''}]*\d)*")
    if not all(good.fullmatch(found) for found in number.findall(cell)):
        return NOT_A_NUMBER
    plain = (lambda found: re.sub(group, "", found)) if thousands else str
    return number.sub(lambda found: plain(found[0]).replace(decimal, "."), cell)
