"""What a raw file looks like before anybody has mapped it: its columns, its distinct values, how its dates are written.

`read_raw` and `parts` are the only places where drafts and coverage meet the sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from therapyeval.data import sources
from therapyeval.data.sources import csv
from therapyeval.errors import DataError

NOT_DATA = ("measures.csv", "mapping.yml")
REDCAP = ("redcap_event_name", "redcap_repeat_instrument", "Repeat Instrument")  # only REDCap has such columns
START = 1 << 16  # bytes of a .txt that tell whether it is a table
TRIED = 5000  # distinct values that are looked at to find a format
MOST = 0.9  # share of distinct values that a format has to read
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?([.,]\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?")
_TIME = re.compile(r"[ T]+(\d{1,2}:\d{2}(:\d{2})?)(\s?[AaPp][Mm])?$")
_NUMERIC_DATES = ("%m{0}%d{0}%Y", "%d{0}%m{0}%Y", "%Y{0}%m{0}%d", "%m{0}%d{0}%y", "%d{0}%m{0}%y")
_FORMATS = (*(form.format(sign) for sign in "/-." for form in _NUMERIC_DATES), "%d-%b-%Y", "%d %b %Y", "%b %d, %Y",
            "%b %d %Y", "%d%b%Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%y", "%Y%m%d")


@dataclass(frozen=True)
class DateFormat:
    """How dates are written: "" for ISO; `doubt` says what is not sure, `is_open` that a person has to decide."""

    format: str = ""
    doubt: str = ""
    is_open: bool = False


def places(given: str | Path) -> list[str | Path]:
    """The files of a folder that may hold tables; a file or the address of a database alone.

    Raises
    ------
    DataError
        Where there is nothing to read, or the data are of a standard shape that needs no columns mapped.
    """
    place = sources.located(given)
    if isinstance(place, Path) and not place.exists():
        raise DataError(f"there is no file or folder {place.name}. Is the path right?")
    found = [place] if isinstance(place, str) else [file for file in (*sources.files(place), *_texts(place))
                                                    if file.name.lower() not in NOT_DATA]
    if not found:
        raise DataError(f"the folder {place.resolve().name} holds no data file ({', '.join(sources.LISTED)}).")
    if shape := sources.shape(place):
        raise DataError(f"{sources.name(place)} holds {shape.upper()} data: its columns are known and need no mapping. "
                        "`therapyeval check` reads it; `codes:` of a mapping tells what local codes mean.")
    return found


def _texts(folder: Path) -> list[Path]:
    """The .txt files of a folder that are tables: their first two lines have as many cells, and more than one."""
    texts = sorted(file for file in folder.glob("*.[tT][xX][tT]") if not file.name.lower().startswith(sources.NOT_DATA))
    return [file for file in texts if _has_cells(file)] if folder.is_dir() else []


def _has_cells(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            start = csv.decode(opened.read(START), file.name, None)
    except (OSError, DataError):
        return False
    lines = [line for line in start.splitlines() if line.strip()][:2]
    return len(lines) == 2 and any(lines[0].count(sign) == lines[1].count(sign) > 0 for sign in csv.DELIMITERS)


def parts(place: str | Path) -> list[str | None]:
    """The sheets of a workbook or tables of a database; [None] for a file that is one table."""
    return [part or None for part in sources.parts(place)]


def read_raw(place: str | Path, **reading: object) -> pd.DataFrame:
    """The rows of a file, sheet or table as text, with `_row` as a spreadsheet counts.

    Parameters
    ----------
    reading : what `sources.read` takes besides (part, delimiter, encoding, layout, …)

    Raises
    ------
    DataError
        Where the file cannot be read as a table.
    """
    return sources.read(place, **reading).to_pandas()


def arranged(place: str | Path, part: str | None = None) -> tuple[pd.DataFrame, str]:
    """The rows of a file, and "redcap" where it is an export of REDCap: then without its repeating instruments."""
    frame = read_raw(place, part=part)
    if not frame.columns.isin(REDCAP).any():
        return frame, ""
    return read_raw(place, part=part, layout="redcap"), "redcap"


def columns(frame: pd.DataFrame) -> list[str]:
    """The names of the raw columns."""
    return [name for name in frame if name not in ("_row", "_file")]


def date_format(text: pd.Series) -> DateFormat | None:
    """The one format in which the values of a column are dates; None where they are not dates.

    Nothing is guessed: two formats that read the same values are an open question.
    """
    values = pd.Series(text.dropna().unique()[:TRIED], dtype="str")
    if values.empty:
        return None
    if values.str.fullmatch(_ISO).mean() >= MOST:
        return DateFormat()
    days = values.str.replace(_TIME, "", regex=True)
    reads = {form: pd.to_datetime(days, format=form, errors="coerce").notna().mean() for form in _FORMATS}
    fitting = [form for form, share in reads.items() if share == 1] \
        or [form for form, share in reads.items() if share >= MOST]
    if not fitting:
        return DateFormat("excel", "numbers: days of a workbook?", is_open=True) if _are_serial(values) else None
    clock = _clock(values)
    if len(fitting) > 1:
        return DateFormat(fitting[0] + clock, f"{' or '.join(fitting)}? No day is above 12, so the values do not tell",
                          is_open=True)
    doubts = [f"{round(100 * (1 - reads[fitting[0]]))}% of the values are written otherwise"] \
        if reads[fitting[0]] < 1 else []
    doubts += ["years have two digits"] if fitting[0].endswith("%y") else []
    return DateFormat(fitting[0] + clock, "; ".join(doubts))


def _are_serial(values: pd.Series) -> bool:
    """Whether the values are day numbers of the years 1927 to 2064."""
    return bool((pd.to_numeric(values, errors="coerce").between(10000, 60000)).mean() >= MOST)


def _clock(values: pd.Series) -> str:
    """The format of the times of day, of most values."""
    times = values.str.extract(_TIME)
    if times[0].notna().mean() < 0.5:
        return ""
    seconds = ":%S" if times[1].notna().mean() > 0.5 else ""
    if times[2].notna().mean() < 0.5:
        return f" %H:%M{seconds}"
    space = " " if times[2].str.startswith(" ").mean() > 0.5 else ""
    return f" %I:%M{seconds}{space}%p"


def share_of_numbers(text: pd.Series) -> float:
    """The share of given values that are numbers; 0 where there is none."""
    given = text.dropna()
    return float(pd.to_numeric(given, errors="coerce").notna().mean()) if len(given) else 0.0
