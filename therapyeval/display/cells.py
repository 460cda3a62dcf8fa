"""One number of a Result as a reader meets it: decimals that follow the data, words for what is not there.

Decimals. Percentages have none below 100 people, where one person moves them by more than a point, and one from
there on. Scores keep two significant digits of the half-width of their interval, at most two decimals, the same
in all rows of one outcome.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

from therapyeval import formatting
from therapyeval.formatting import NOTHING, WITHHELD, is_missing
from therapyeval.result import Result

Record = Mapping[str, object]
MANY = 100
MOST_DECIMALS = 2


def records(result: Result | None, **wanted: object) -> list[Record]:
    """Rows of a Result with these column values, as dicts; none where there is no Result.

    Values are compared as text; a missing one equals the empty text.
    """
    if result is None:
        return []
    columns = {name: result.frame[name].tolist() for name in result.frame}     # much faster than frame by frame
    places = range(len(result.frame))
    for name, value in wanted.items():
        text = text_of(value)
        places = [i for i in places if text_of(columns[name][i]) == text]
    return [{name: values[i] for name, values in columns.items()} for i in places]


def first(result: Result | None, **wanted: object) -> Record | None:
    """The first row with these column values, or None."""
    return next(iter(records(result, **wanted)), None)


def text_of(value: object) -> str:
    """A code as text: missing is empty, 1.0 is "1" (a column of codes with gaps turns into floats)."""
    if is_missing(value):
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def is_withheld(row: Record | None) -> bool:
    """True where release hid something in this row."""
    return row is not None and WITHHELD in str(row["note"])


def remark(row: Record) -> str:
    """The row's note without the word that release put there."""
    parts = (part.strip() for part in str(row["note"]).split(";"))
    return "; ".join(part for part in parts if part and part != WITHHELD)


def number(value: object, digits: int = 1) -> str:
    """A number with thousands separated and a typographic minus.

    >>> number(-1234.56), number(None)
    ('−1,234.6', '–')
    """
    return formatting.number(value, digits).replace("-", "−")


def percent(value: object, digits: int = 0) -> str:
    """A proportion 0-1 as a percentage."""
    return NOTHING if is_missing(value) else f"{number(100 * float(value), digits)}%"


def percent_digits(n: object) -> int:
    """Decimals of a percentage of n people.

    >>> percent_digits(9), percent_digits(161), percent_digits(None)
    (0, 1, 0)
    """
    return 0 if is_missing(n) or float(n) < MANY else 1


def decimals(half_width: object) -> int:
    """Decimals that keep two significant digits of a half-width.

    >>> decimals(0.38), decimals(3.2), decimals(45), decimals(0.001), decimals(None)
    (2, 1, 0, 2, 1)
    """
    if is_missing(half_width) or not 0 < float(half_width) < math.inf:
        return 1
    return min(max(1 - math.floor(math.log10(float(half_width))), 0), MOST_DECIMALS)


def score_digits(rows: Iterable[Record]) -> int:
    """Decimals for rows that are read together: from the median half-width of their intervals or, without
    intervals, of two standard errors."""
    rows = list(rows)
    widths = [(row["conf_high"] - row["conf_low"]) / 2 for row in rows if has_interval(row)]
    widths = widths or [2 * row["estimate"] / math.sqrt(row["n"]) for row in rows
                        if row["statistic"] == "sd" and not is_missing(row["estimate"]) and not is_missing(row["n"])
                        and row["n"] > 0]
    return decimals(median(widths) if widths else None)


def has_interval(row: Record) -> bool:
    """True where both limits are finite numbers."""
    return all(not is_missing(row[name]) and math.isfinite(row[name]) for name in ("conf_low", "conf_high"))


def count(row: Record | None, name: str = "n") -> str:
    """A count of a row: the number, "withheld", or a dash.

    >>> count({"n": 1234, "note": ""}), count({"n": None, "note": "withheld"}), count(None)
    ('1,234', 'withheld', '–')
    """
    if row is None:
        return NOTHING
    if is_missing(row[name]):
        return WITHHELD if is_withheld(row) else NOTHING
    return number(row[name], 0)


def span(low: object, high: object, digits: int) -> str:
    """Two limits as words.

    >>> span(1.1, 13.3, 1), span(-2, 0.5, 1)
    ('1.1 to 13.3', '−2.0 to 0.5')
    """
    return f"{number(low, digits)} to {number(high, digits)}"


def estimate(row: Record | None, digits: int) -> str:
    """An estimate with its interval in the row's own unit: "1.8 (1.2 to 2.3)", "withheld" or a dash."""
    if row is None or is_missing(row["estimate"]):
        return WITHHELD if is_withheld(row) else NOTHING
    value = number(row["estimate"], digits)
    return f"{value} ({span(row['conf_low'], row['conf_high'], digits)})" if _has_limits(row) else value


def share(row: Record | None, digits: int | None = None) -> str:
    """A proportion with its interval: "66% (52 to 78)"; also a difference of proportions, in points."""
    if row is None or is_missing(row["estimate"]):
        return WITHHELD if is_withheld(row) else NOTHING
    is_difference = row["statistic"] == "risk_difference"
    if digits is None:
        digits = percent_digits(_half(row["n"]) if is_difference else row["denominator"])
    value = number(100 * row["estimate"], digits) + ("" if is_difference else "%")
    if not _has_limits(row):
        return value
    return f"{value} ({span(100 * row['conf_low'], 100 * row['conf_high'], digits)})"


def of(row: Record | None) -> str:
    """Numerator of denominator: "33 of 50"; empty where either is not shown."""
    if row is None or is_missing(row["numerator"]) or is_missing(row["denominator"]):
        return ""
    return f"{number(row['numerator'], 0)} of {number(row['denominator'], 0)}"


def _has_limits(row: Record) -> bool:
    return not is_missing(row["conf_low"]) or not is_missing(row["conf_high"])


def _half(n: object) -> object:
    return None if is_missing(n) else n / 2
