"""Text to values, column by column: what cannot be read becomes missing and is pointed out, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from therapyeval.data import schema

NOT_A_DATE = "(not a date)"
_ISO = (r"^(?P<day>\d{4}-\d{2}-\d{2})"
        r"(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:[.,]\d+)?\s?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$")
YES_NO = {"yes": "yes", "y": "yes", "true": "yes", "t": "yes", "1": "yes",
          "no": "no", "n": "no", "false": "no", "f": "no", "0": "no"}


def to_number(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Numbers (float, NaN where missing), and which texts are not one. Infinity is not a number."""
    number = pd.to_numeric(text, errors="coerce").astype("float64")
    number = number.where(np.isfinite(number))
    return number, text.notna() & number.isna()


def to_code(text: pd.Series, codes: Collection[str]) -> tuple[pd.Series, pd.Series]:
    """Codes as the list writes them (capitals do not matter), and which texts are not on the list."""
    return to_code_by(text, {code.casefold(): code for code in codes})


def to_yes_no(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """ "yes" or "no", and which texts are neither."""
    return to_code_by(text, YES_NO)


def to_code_by(text: pd.Series, known: Mapping[str, str]) -> tuple[pd.Series, pd.Series]:
    """The code that each word stands for (capitals do not matter), and which words are not known."""
    code = _by_distinct(text, lambda words: [known.get(word.casefold()) for word in words], "str")
    return code, text.notna() & code.isna()


def to_date(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Calendar days (datetime64[s]) as written, and which texts are not an ISO date.

    Impossible days and placeholders outside 1900 to 2099 are not dates.
    """
    day = _days(_iso_parts(text)["day"])
    return day, text.notna() & day.isna()


def to_datetime(text: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Dates with or without a time of day, and which texts are neither.

    Returns
    -------
    DataFrame
        `wall` (datetime64[s], as written; midnight where there is no time), `has_time` (bool), `offset`
        (minutes east of Greenwich where the text says so, else NaN).
    """
    parts = _iso_parts(text)
    seconds = _by_distinct(parts["time"], lambda clocks: [_seconds(clock) for clock in clocks], "float64")
    has_time = parts["time"].notna() & (parts["time"] != "")
    day = _days(parts["day"]).where(seconds.notna() | ~has_time)
    wall = day + pd.to_timedelta(seconds.fillna(0).astype("int64"), unit="s")
    result = pd.DataFrame({"wall": wall.astype("datetime64[s]"), "has_time": has_time & day.notna(),
                           "offset": _offset(parts["zone"])}, index=text.index)
    return result, text.notna() & day.isna()


def _seconds(clock: str) -> float:
    """Seconds since midnight of HH:MM or HH:MM:SS; NaN for an impossible time."""
    if not clock:
        return np.nan
    hour, minute, second = (int(part) for part in f"{clock}:00"[:8].split(":"))
    return 3600.0 * hour + 60 * minute + second if hour < 24 and minute < 60 and second < 60 else np.nan


def _iso_parts(text: pd.Series) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.extract_regex(pa.array(text, pa.string()), pattern=_ISO)
    return pd.DataFrame({name: pc.struct_field(found, name).to_pandas().astype("str").to_numpy()
                         for name in ("day", "time", "zone")}, index=text.index, dtype="str")


def _days(text: pd.Series) -> pd.Series:
    """Days of texts YYYY-MM-DD."""
    def read(words: pd.Index) -> pd.Series:
        day = pd.Series(pd.to_datetime(words, format="%Y-%m-%d", errors="coerce")).astype("datetime64[s]")
        return day.where(day.between(schema.OLDEST, schema.NEWEST))

    return _by_distinct(text, read, "datetime64[s]")


def _offset(zone: pd.Series) -> pd.Series:
    """Minutes of texts such as Z, +02:00 or -0500."""
    def read(texts: pd.Index) -> list[float]:
        return [0.0 if text == "Z" else np.nan if not text else (-1.0 if text[0] == "-" else 1.0)
                * (60 * int(text[1:3]) + int(text[-2:])) for text in texts]

    return _by_distinct(zone, read, "float64")


def _by_distinct(text: pd.Series, read: Callable[[pd.Index], Sequence], dtype: str) -> pd.Series:
    """Each distinct text is read once; missing stays missing."""
    codes, distinct = pd.factorize(text)
    return pd.Series(read(pd.Index(distinct)), dtype=dtype).reindex(codes).set_axis(text.index)
