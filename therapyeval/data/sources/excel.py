"""Excel workbooks (.xlsx, .xlsm): one sheet is one table. Cells are read as they show, hidden columns too.

Dates become ISO text, numbers show at most 15 digits, percentages and codes such as 00007 stay as they are shown.
Rows above the header, totals rows and blank rows are set aside with their reason. Formulas give their stored values.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Collection, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import BLANK, TITLE, TOTAL, Raw
from therapyeval.errors import DataError, TherapyevalError, did_you_mean
from therapyeval.formatting import first_few, plural

ENDINGS = (".xlsx", ".xlsm")
OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # OLE: Excel 97-2003, and the envelope of an encrypted workbook
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
HEADER_WITHIN = 50  # rows
TOTALS = re.compile(r"(grand |sub-? ?)?totals?\b.*|(sum|average|mean)\s*:?", re.IGNORECASE)
WITHOUT_VALUE = re.compile(rb'<c r="[A-Z]+(\d+)"[^>]*><f[^>]*?(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>')
MERGED = re.compile(rb'<mergeCell ref="([A-Z]+\d+:[A-Z]+\d+)"')


@dataclass(frozen=True)
class _Sheet:
    """Cells of a sheet: rows from the first on, padded to one width; merged areas as (column, row, column, row)."""

    cells: list[list[object]]
    merged: list[tuple[int, int, int, int]]


def parts(path: Path) -> tuple[str, ...]:
    """The sheets that hold anything."""
    with _opened(path) as book:
        return tuple(sheet.title for sheet in book.worksheets
                     if any(cell.value is not None for row in sheet.iter_rows() for cell in row))


def read(path: Path, sheet: str | None = None, *, serial_dates: Collection[str] = (),
         number_repeats: bool = False) -> Raw:
    """The rows of one sheet.

    Parameters
    ----------
    sheet : its name; may be left out where only one sheet holds anything
    serial_dates : columns whose numbers are days since 1900, or since 1904 where the workbook says so

    Raises
    ------
    DataError
        Where the workbook is open elsewhere, encrypted, of Excel 97-2003 or damaged; where the sheet is not there,
        has no header row, or has formulas that were never calculated.
    """
    with _opened(path) as book:
        title = _chosen(book, sheet, path)
        name = f"{path.name}, sheet {title}"
        found = _sheet(path, book, book[title], name)
        epoch = book.epoch
    return _raw(found, name, epoch, serial_dates, number_repeats)


@contextmanager
def _opened(path: Path):
    import openpyxl

    _refuse_others(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats and drop-down lists, which no cell depends on
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()
    except PermissionError:
        raise _open_elsewhere(path) from None
    except TherapyevalError:
        raise
    except Exception:  # a damaged part makes openpyxl fail with whatever error its code runs into
        raise DataError(f"{path.name} is not an Excel workbook, or a damaged one. "
                        "Open it in Excel and save it again as .xlsx.") from None


def _refuse_others(path: Path) -> None:
    if path.with_name(f"~${path.name}").exists():
        raise _open_elsewhere(path)
    try:
        with path.open("rb") as file:
            content = file.read(len(OLD_EXCEL))
        encrypted = content == OLD_EXCEL and ENCRYPTED in path.read_bytes()
    except OSError:
        raise _open_elsewhere(path) from None
    if encrypted:
        raise DataError(f"{path.name} is protected by a password. Open it in Excel, remove the password "
                        "(File, Info, Protect Workbook) and save it again in a safe place.")
    if content == OLD_EXCEL or path.suffix.lower() == ".xls":
        raise DataError(f"{path.name} is a workbook of Excel 97-2003 (.xls), which is not read. "
                        "Open it in Excel and save it as .xlsx.")
    if not content:
        raise DataError(f"{path.name} is empty (0 bytes).")


def _open_elsewhere(path: Path) -> DataError:
    return DataError(f"{path.name} is open in another program or may not be read. Close it there (in Excel) and try "
                     f"again. If nobody has it open, delete the file ~${path.name} beside it.")


def _chosen(book, sheet: str | None, path: Path) -> str:
    titles = [found.title for found in book.worksheets]
    if sheet in titles:
        return sheet
    if sheet is not None:
        same = [title for title in titles if title.casefold() == sheet.casefold()]
        if len(same) == 1:
            return same[0]
        raise DataError(f"{path.name} has no sheet {sheet[:40]!r}.{did_you_mean(sheet, titles)}")
    filled = parts(path)
    if len(filled) == 1:
        return filled[0]
    if not filled:
        raise DataError(f"{path.name} holds no cells with anything in them.")
    raise DataError(f"{path.name} has {len(filled)} sheets: {', '.join(filled[:12])}. "
                    "Say which one with `sheet:` in the mapping.")


def _sheet(path: Path, book, sheet, name: str) -> _Sheet:
    from openpyxl.utils import range_boundaries

    with zipfile.ZipFile(path) as archive:
        xml = archive.read(sheet._worksheet_path)  # openpyxl reads merged cells only by loading everything
    rows = sorted({int(row) for row in WITHOUT_VALUE.findall(xml)})
    if rows:
        raise DataError(f"{name}: formulas in {plural(len(rows), 'row')} (file rows {first_few(rows)}) have no stored "
                        "value. Open the workbook in Excel, save it, and try again.")
    sheet.reset_dimensions()  # some programs write a wrong size
    cells = [[_shown(cell) for cell in row] for row in sheet.iter_rows()]
    while cells and all(value is None for value in cells[-1]):
        cells.pop()
    width = max((len(row) for row in cells), default=0)
    cells = [row + [None] * (width - len(row)) for row in cells]
    merged = [range_boundaries(area.decode()) for area in MERGED.findall(xml)]
    return _Sheet(cells, [area for area in merged if area[1] <= len(cells) and area[0] <= width])


def _shown(cell) -> object:
    """Text as it shows; numbers without a format of their own and dates stay what they are; nothing is None."""
    value = cell.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        form = cell.number_format or ""
        if len(form) > 1 and set(form) == {"0"} and float(value).is_integer():
            return str(int(value)).zfill(len(form))
        return f"{text.plain_number(value * 100)}%" if form.endswith("%") else value
    if isinstance(value, str):
        return value.strip() or None
    return value


def _raw(sheet: _Sheet, name: str, epoch: datetime, serial_dates: Collection[str], number_repeats: bool) -> Raw:
    """The table below the header."""
    import pyarrow as pa

    top, bottom, names = _header(sheet, name)
    body = [list(row) for row in sheet.cells[bottom + 1:]]
    _fill_down(body, sheet, bottom + 1)
    used = [position for position, column in enumerate(names)
            if column or any(row[position] is not None for row in body)]
    columns = text.checked_names([names[position] for position in used], name, number_repeats=number_repeats)
    _refuse_unknown(serial_dates, columns, name)
    aside = [(number, TITLE if any(value is not None for value in row) else BLANK)
             for number, row in enumerate(sheet.cells[:top], start=1)]
    numbers, kept = [], []
    for number, row in enumerate(body, start=bottom + 2):
        cells = [row[position] for position in used]
        reason = _not_data(cells)
        if reason:
            aside.append((number, reason))
        else:
            numbers.append(number)
            kept.append(cells)
    data = {column: pa.array([_written(row[position], epoch if column in serial_dates else None) for row in kept],
                             pa.string()) for position, column in enumerate(columns) if column not in text.OURS}
    table = text.as_text(pa.table(data), name).append_column("_row", pa.array(numbers, pa.int64()))
    return Raw(name, table, aside=tuple(sorted(aside)))


def _refuse_unknown(serial_dates: Collection[str], columns: Sequence[str], name: str) -> None:
    for column in serial_dates:
        if column not in columns:
            raise DataError(f"{name} has no column {column[:40]!r}.{did_you_mean(column, columns)}")


def _header(sheet: _Sheet, name: str) -> tuple[int, int, list[str]]:
    """First and last row of the header (from 0) and the names.

    The header is the first row whose filled cells are all words and name more than half of the columns that are in
    use; a cell merged over several columns counts once. Where such a cell stands in the header, the row beneath
    belongs to it: "LEFS" over "pre" and "post" gives "LEFS pre" and "LEFS post". Where names repeat, and cells merged
    over several columns stand above them, so does the row above.
    """
    first = sheet.cells[:HEADER_WITHIN]
    width = max((sum(value is not None for value in row) for row in first), default=0)
    for top, row in enumerate(first):
        filled = [value for value in _spread(row, sheet, top) if value is not None]
        if not filled or not all(isinstance(value, str) for value in filled):
            continue
        last = top
        while _over(sheet, last) and last + 1 < len(sheet.cells):
            last += 1
        names, is_named = _joined(sheet, top, last), len(set(filled)) * 2 > width
        if top and len(_over(sheet, top - 1)) > 1 and not (is_named and len(set(names)) == len(names)):
            names, top = _joined(sheet, top - 1, last), top - 1
            is_named = len(set(names)) * 2 > width
        if is_named:
            return top, last, names
    raise DataError(f"{name} has no header row: no row among the first {HEADER_WITHIN} names the columns in words. "
                    "Write the column names into the row above the data.")


def _over(sheet: _Sheet, position: int) -> list[tuple[int, int, int, int]]:
    """The cells that begin in this row (from 0) and are merged over several columns."""
    return [area for area in sheet.merged if area[1] == position + 1 and area[2] > area[0]]


def _joined(sheet: _Sheet, top: int, last: int) -> list[str]:
    """The words of each column in these rows; what lies under a cell merged over several rows does not count."""
    parts: list[list[str]] = [[] for _ in sheet.cells[top]]
    for position in range(top, last + 1):
        under = {column for area in sheet.merged if area[1] <= position < area[3]
                 for column in range(area[0] - 1, area[2])}
        for column, value in enumerate(_spread(sheet.cells[position], sheet, position)):
            if value is not None and column not in under:
                parts[column].append(str(value))
    return [" ".join(words) for words in parts]


def _spread(row: list[object], sheet: _Sheet, position: int) -> list[object]:
    """A row in which a cell merged over several columns stands in each of them."""
    row = list(row)
    for left, top, right, _ in sheet.merged:
        if top == position + 1 and right > left:
            row[left - 1:right] = [row[left - 1]] * (min(right, len(row)) - left + 1)
    return row


def _fill_down(body: list[list[object]], sheet: _Sheet, start: int) -> None:
    """A cell merged over several rows of the table holds for each of them."""
    for left, top, right, bottom in sheet.merged:
        if left == right and bottom > top > start:
            for row in islice(body, top - start, bottom - start):
                row[left - 1] = body[top - 1 - start][left - 1]


def _not_data(cells: Sequence[object]) -> str | None:
    """Why a row is no row of the table: it is blank, or begins with a word such as "Total" and has gaps."""
    filled = [value for value in cells if value is not None]
    if not filled:
        return BLANK
    gaps = len(filled) < len(cells)
    return TOTAL if gaps and isinstance(filled[0], str) and TOTALS.fullmatch(filled[0]) else None


def _written(value: object, epoch: datetime | None) -> str | None:
    """A cell as text; numbers of a column of serial dates (`epoch` given) become dates."""
    if value is None:
        return None
    if epoch is not None:
        value = _from_serial(value, epoch)
    if isinstance(value, datetime):
        value = (value + timedelta(milliseconds=500)).replace(microsecond=0)  # Excel keeps days as fractions
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return text.plain_number(value) if isinstance(value, int | float) else str(value)


def _from_serial(value: object, epoch: datetime) -> object:
    """The day of a serial number; 60 of the 1900 system is 29 February 1900, a day that never was."""
    from openpyxl.utils.datetime import CALENDAR_MAC_1904, from_excel

    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    never = epoch != CALENDAR_MAC_1904 and 60 <= number < 61
    if never or not 0 <= number < 2958466:  # the last day of Excel is 31 December 9999
        return value
    found = from_excel(number, epoch)
    return datetime.combine(epoch.date(), found) if isinstance(found, time) else found
