"""results.csv and results.xlsx: every number shown, as numbers; no cell that a spreadsheet would run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from therapyeval.formatting import WITHHELD, is_missing
from therapyeval.result import AMOUNTS, COUNTS, NUMBERS

if TYPE_CHECKING:
    import pandas as pd

HIDDEN = "<NA>"
LONGEST_TEXT = 32_767  # Excel's limit
COLUMN_HELP = {
    "section, table": "where the report shows the number",
    "metric": "what was measured; `therapyeval metrics NAME` prints its definition",
    "level": "the category, where there is one row for each",
    "contrast": "the two groups compared, first minus second",
    "statistic": "mean, sd, proportion, count, difference …; check_… are checks of a model",
    "estimand": "whose number it is, for example complete_case or missing_not_achieved",
    "estimate, conf_low, conf_high": "the number and its interval; proportions run from 0 to 1",
    "p_value": "only where the plan asks for it",
    "numerator, denominator": "for proportions, ratios and counts",
    "n, n_missing, n_excluded": "used; eligible without a value; left out by the metric's rule",
    "n_people": "distinct patients behind the row",
    "unit, method, note": "unit of the estimate, how it was made, and why a number is absent",
    HIDDEN: "withheld under the privacy policy; an empty cell means that the row has no such number",
}
# What an Excel, Calc or Sheets user can trigger by opening a file: text that begins so is read as a formula.
_FORMULA = re.compile(r"^[\s\x00-\x1f]*[=+\-@|%]|^[\t\r]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """The rows of a Result or a bundle; withheld cells are `<NA>`, text that would be a formula begins with `'`."""
    frame = _cells(frame)
    for name in _text_columns(frame):
        frame[name] = frame[name].map(_inert)
    frame.columns = [_inert(str(name)) for name in frame.columns]
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def write_xlsx(frame: pd.DataFrame, path: Path, *, about: list[tuple[str, str]], internal: bool) -> None:
    """A sheet with all rows and one that says what they are; both names say INTERNAL where they must."""
    from openpyxl import Workbook

    frame = _cells(frame)
    mark = " INTERNAL" if internal else ""
    book = Workbook()
    sheet = book.active
    sheet.title = f"Results{mark}"
    _put_row(sheet, [str(name) for name in frame.columns], bold=True)
    for row in frame.itertuples(index=False):
        _put_row(sheet, [_cell(value) for value in row])
    sheet.freeze_panes = "C2"
    sheet.auto_filter.ref = sheet.dimensions
    _fit(sheet, longest=44)
    notes = book.create_sheet(f"About{mark}")
    for label, text in [*about, ("", ""), ("Column", "Meaning"), *COLUMN_HELP.items()]:
        _put_row(notes, [_cell(label), _cell(text)], bold=label == "Column", wrap=True)
    _fit(notes, longest=90)
    book.save(path)


def withheld_rows(frame: pd.DataFrame) -> pd.Series:
    """True where release hid a number of the row: one part of its note, between `;`, says so."""
    return frame["note"].astype(str).str.split(";").map(lambda parts: WITHHELD in [part.strip() for part in parts])


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as objects, with the mark where release hid a number."""
    frame = frame.astype(object)
    hidden = withheld_rows(frame)
    for name in (*NUMBERS, *AMOUNTS, *COUNTS):
        empty = frame[name].isna()
        is_hidden = hidden & empty & ((name != "p_value") | (frame["contrast"] != ""))
        frame[name] = frame[name].mask(is_hidden, HIDDEN).where(is_hidden | ~empty, None)
    return frame


def _text_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in (*NUMBERS, *AMOUNTS, *COUNTS)]


def _inert(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub(" ", value)  # a lone carriage return is not quoted, and would begin a new row
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None


def _cell(value: object) -> object:
    if isinstance(value, str):  # before is_missing, to which "<NA>" is missing
        return _CONTROL.sub(" ", value)[:LONGEST_TEXT] or None
    if is_missing(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (int, float)) and abs(value) == float("inf"):
        return "not reached"
    return value if isinstance(value, (int, float)) else str(value)


def _put_row(sheet: object, values: list[object], *, bold: bool = False, wrap: bool = False) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font

    cells = []
    for value in values:
        cell = WriteOnlyCell(sheet, value=None)
        if isinstance(value, str):  # set as text: openpyxl would make "=1+1" a formula
            cell._value, cell.data_type = value, "s"
            cell.quotePrefix = bool(_FORMULA.match(value)) and value != HIDDEN
        else:
            cell.value = value
        if bold:
            cell.font = Font(bold=True)
        if wrap:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        cells.append(cell)
    sheet.append(cells)


def _fit(sheet: object, *, longest: int) -> None:
    from openpyxl.utils import get_column_letter

    for position, column in enumerate(sheet.iter_cols(values_only=True), start=1):
        width = max(len(_width(value)) for value in column)
        sheet.column_dimensions[get_column_letter(position)].width = min(max(width + 2, 8), longest)


def _width(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
