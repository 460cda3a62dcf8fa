"""Workbooks as people keep them: titles, totals, merged headers, hidden columns, dates of two systems, formulas."""

from __future__ import annotations

import datetime
import zipfile

import openpyxl
import pytest
import source_writers as writers

from therapyeval.data import read_dataset, sources
from therapyeval.errors import DataError


@pytest.fixture
def workbook(tmp_path):
    """Saves one sheet of rows; `change` may alter it first."""
    def build(rows: list[list], change=lambda sheet: None, name: str = "clinic.xlsx"):
        book = openpyxl.Workbook()
        book.active.title = "March"
        for row in rows:
            book.active.append(row)
        change(book.active)
        book.save(tmp_path / name)
        return tmp_path / name
    return build


def cells(raw: sources.Raw) -> list[list]:
    return [list(row.values()) for row in raw.table.to_pylist()]


def test_titles_totals_and_blank_rows_are_set_aside_with_their_spreadsheet_row(workbook):
    raw = sources.read(workbook([
        ["North clinic, March", None, None], [None, None, None], ["id", "visits", "note"], ["007", 3, "Total hip"],
        [None, None, None], ["008", 4, None], ["Total", 7, None], ["Sum:", 7, None], ["Grand total", None, None]]))
    assert raw.file == "clinic.xlsx, sheet March"
    assert raw.table.column_names == ["id", "visits", "note", "_row"]
    assert cells(raw) == [["007", "3", "Total hip", 4], ["008", "4", None, 6]]
    assert raw.aside == ((1, "a row above the header"), (2, "blank row"), (5, "blank row"), (7, "a totals row"),
                         (8, "a totals row"), (9, "a totals row"))


def test_columns_called_as_ours_are_not_read(workbook):                                   # found by the fuzz study
    raw = sources.read(workbook([["id", "_row", "_file"], ["007", "first", "x"], ["008", "second", "y"]]))
    assert raw.table.to_pylist() == [{"id": "007", "_row": 2}, {"id": "008", "_row": 3}]


def test_a_site_that_is_called_total_rehab_stays_where_its_row_is_full(workbook):
    raw = sources.read(workbook([["site", "visits"], ["Total Rehab", 3], ["Sumner", None]]))
    assert cells(raw) == [["Total Rehab", "3", 2], ["Sumner", None, 3]]


def test_what_is_set_aside_is_left_out_and_counted_not_quarantined(workbook, tmp_path):
    path = workbook([["Report", None, None], ["episode_id", "start", "discipline"], ["e1", "2026-01-05", "PT"],
                     ["Total", 1, None]])
    (tmp_path / "mapping.yml").write_text(
        "version: 1\ntables:\n  - read: clinic.xlsx\n    sheet: march\n"
        "    episode: {id: episode_id, start_date: start, discipline: discipline}\n")
    dataset = read_dataset(path)
    row = dataset.quality.tables.iloc[0]
    assert row[["file", "rows_in", "in_facts", "quarantined", "left_out"]].tolist() == [
        "clinic.xlsx, sheet March", 3, 1, 0, 2]


def test_a_header_of_two_rows_with_merged_cells_gives_joined_names(workbook):
    def merge(sheet):
        for area in ("A1:D1", "A2:A3", "B2:C2"):
            sheet.merge_cells(area)

    raw = sources.read(workbook([["Outcomes 2026", None, None, None], ["id", "LEFS", None, "therapist"],
                                 [None, "pre", "post", None], ["007", 40, 55, "t1"]], merge))
    assert raw.table.column_names == ["id", "LEFS pre", "LEFS post", "therapist", "_row"]
    assert cells(raw) == [["007", "40", "55", "t1", 4]]


@pytest.mark.parametrize(("rows", "areas", "names", "start"), [
    # every column stands under a merged cell, and the names beneath repeat
    ([["LEFS", None, "NPRS", None], ["pre", "post", "pre", "post"], [40, 55, 6, 2]], ("A1:B1", "C1:D1"),
     ["LEFS pre", "LEFS post", "NPRS pre", "NPRS post"], 3),
    # the same under a title; names that do not repeat stay as they are
    ([["Outcomes", None, None, None], ["LEFS", None, "NPRS", None], ["pre", "post", "pre", "post"], [40, 55, 6, 2]],
     ("A1:D1", "A2:B2", "C2:D2"), ["LEFS pre", "LEFS post", "NPRS pre", "NPRS post"], 4),
    ([["Case", None, "Appointment", None], ["Number", "Clinic", "Start", "Status"], [1, "N", "9:00", "KEPT"]],
     ("A1:B1", "C1:D1"), ["Number", "Clinic", "Start", "Status"], 3),
    # three rows: a cell merged over rows and columns, and two levels of groups
    ([["id", "site", "staff", "LEFS", None], [None, None, None, "score", None], [None, None, None, "pre", "post"],
      ["7", "N", "T", 40, 55]], ("A1:A3", "B1:B3", "C1:C3", "D1:E1", "D2:E2"),
     ["id", "site", "staff", "LEFS score pre", "LEFS score post"], 4)])
def test_a_header_all_of_merged_cells_gives_joined_names(workbook, rows, areas, names, start):
    raw = sources.read(workbook(rows, lambda sheet: [sheet.merge_cells(area) for area in areas]))
    assert raw.table.column_names == [*names, "_row"]
    assert raw.table["_row"].to_pylist() == [start]


def test_merged_header_cells_that_leave_names_repeated_are_refused(workbook):
    with pytest.raises(DataError, match="has the column 'LEFS post' twice"):
        sources.read(workbook([["id", "site", "LEFS", None, "LEFS", None], [None, None, "pre", "post", "pre", "post"],
                               ["7", "N", 40, 55, 6, 2]],
                              lambda sheet: [sheet.merge_cells(area) for area in ("A1:A2", "B1:B2", "C1:D1", "E1:F1")]))


def test_a_cell_merged_over_rows_holds_for_each_of_them(workbook):
    raw = sources.read(workbook([["id", "day"], ["007", "Mon"], [None, "Tue"], ["8", "Wed"]],
                                lambda sheet: sheet.merge_cells("A2:A3")))
    assert cells(raw) == [["007", "Mon", 2], ["007", "Tue", 3], ["8", "Wed", 4]]


def test_cells_are_read_as_they_show(workbook):
    def formats(sheet):
        sheet["A2"].number_format = "00000"
        sheet["B2"].number_format = "0%"

    raw = sources.read(workbook([
        ["mrn", "ndi", "day", "moment", "sum", "long", "flag", "clock"],
        [7, 0.28, datetime.date(2026, 1, 5), datetime.datetime(2026, 1, 5, 9, 30), 0.1 + 0.2, 123456789012345, True,
         datetime.time(9, 30)]], formats))
    assert cells(raw)[0][:-1] == ["00007", "28%", "2026-01-05", "2026-01-05T09:30:00", "0.3", "123456789012345", "true",
                                  "09:30:00"]


def test_hidden_columns_and_rows_are_read(workbook):
    def hide(sheet):
        sheet.column_dimensions["B"].hidden = True
        sheet.row_dimensions[3].hidden = True

    assert cells(sources.read(workbook([["id", "score"], ["a", 1], ["b", 2]], hide))) == [["a", "1", 2], ["b", "2", 3]]


@pytest.mark.parametrize(("is_1904", "number", "day"), [
    # Excel's own documentation: 5 July 1998 is 35981 in the 1900 system and 34519 in the 1904 system
    (False, 35981, "1998-07-05"), (True, 34519, "1998-07-05"), (False, 1, "1900-01-01"), (False, 59, "1900-02-28"),
    (False, 61, "1900-03-01"), (False, 60, "60"), (True, 0, "1904-01-01"), (False, 46027.5, "2026-01-05T12:00:00"),
    (False, "2026-01-05", "2026-01-05"), (False, "35981", "1998-07-05"), (False, -1, "-1")])
def test_serial_numbers_are_days_where_the_mapping_says_so(workbook, is_1904, number, day):
    def system(sheet):
        if is_1904:
            sheet.parent.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904

    path = workbook([["id", "visits", "day"], ["a", 35981, number]], system)
    assert cells(sources.read(path, serial_dates=["day"])) == [["a", "35981", day, 2]]


def test_a_mapping_declares_serial_dates_with_format_excel(workbook, tmp_path):
    path = workbook([["id", "day"], ["a", 46027], ["b", datetime.date(2026, 1, 6)]])
    entry = ("version: 1\ntables:\n  - read: {}\n    episode: {{id: id, discipline: PT, "
             "start_date: {{column: day, format: excel}}}}\n")
    (tmp_path / "mapping.yml").write_text(entry.format("clinic.xlsx"))
    days = read_dataset(path).facts.episodes["start_date"].astype(str).tolist()
    assert days == ["2026-01-05", "2026-01-06"]  # 46027 is 5 January 2026: 46023 is 1 January, as Excel shows it
    (tmp_path / "d.csv").write_text("id,day\na,46027\n")
    (tmp_path / "mapping.yml").write_text(entry.format("d.csv"))
    with pytest.raises(DataError, match="d.csv: `format: excel` is for workbooks"):
        read_dataset(tmp_path)


def test_formulas_give_their_stored_values_and_without_one_the_workbook_is_refused(workbook, tmp_path):
    path = workbook([["id", "a", "sum"], ["x", 1, "=B2+1"]])
    with pytest.raises(DataError, match=r"clinic.xlsx, sheet March: formulas .* \(file rows 2\) have no stored value"):
        sources.read(path)
    stored = tmp_path / "stored.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stored, "w") as new:  # as Excel writes it after calculating
        for item in old.namelist():
            new.writestr(item, old.read(item).replace(b"<f>B2+1</f><v></v>", b"<f>B2+1</f><v>2</v>")
                         .replace(b"<f>B2+1</f><v />", b"<f>B2+1</f><v>2</v>")
                         .replace(b"<f>B2+1</f><v/>", b"<f>B2+1</f><v>2</v>"))
    assert cells(sources.read(stored)) == [["x", "1", "2", 2]]


def test_of_several_sheets_one_must_be_named_and_empty_ones_do_not_count(workbook):
    path = workbook([["id"], ["a"]], lambda sheet: sheet.parent.create_sheet("Sheet2"))
    assert sources.parts(path) == ("March",)
    assert cells(sources.read(path)) == [["a", 2]]
    path = workbook([["id"], ["a"]], lambda sheet: sheet.parent.create_sheet("April").append(["id"]))
    with pytest.raises(DataError, match="clinic.xlsx has 2 sheets: March, April. Say which one with `sheet:`"):
        sources.read(path)
    with pytest.raises(DataError, match="clinic.xlsx has no sheet 'Aprl'. Did you mean April?"):
        sources.read(path, part="Aprl")
    assert cells(sources.read(path, part="march")) == [["a", 2]]


def test_a_workbook_named_for_its_table_may_have_one_sheet_of_any_name(tmp_path):
    for name, table in writers.TABLES.items():
        book = openpyxl.Workbook()
        for row in table:
            book.active.append(row)
        book.save(tmp_path / f"{name}.xlsx")
    assert len(read_dataset(tmp_path).facts.episodes) == 3


OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(("name", "content", "message"), [
    ("old.xls", OLD + b"\0" * 600, r"old.xls is a workbook of Excel 97-2003 \(.xls\), which .*save it as .xlsx"),
    ("old.xlsx", OLD + b"\0" * 600, r"old.xlsx is a workbook of Excel 97-2003"),
    ("secret.xlsx", OLD + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "secret.xlsx is protected by a pass"),
    ("torn.xlsx", b"PK\x03\x04broken", "torn.xlsx is not an Excel workbook, or a damaged one"),
    ("none.xlsx", b"", "none.xlsx is empty"),
])
def test_files_that_are_no_workbook_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        sources.read(tmp_path / name)
    assert "\n" not in str(error.value) and str(tmp_path) not in str(error.value)


def test_a_workbook_open_elsewhere_says_so(workbook, tmp_path, monkeypatch):
    path = workbook([["id"], ["a"]])
    (tmp_path / "~$clinic.xlsx").write_bytes(b"lock")
    with pytest.raises(DataError, match=r"clinic.xlsx is open in another program .* delete the file ~\$clinic.xlsx"):
        sources.read(path)
    assert [item.name for item in sources.files(tmp_path)] == ["clinic.xlsx"]  # the lock file is no data
    (tmp_path / "~$clinic.xlsx").unlink()
    monkeypatch.setattr("pathlib.Path.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(DataError, match="clinic.xlsx is open in another program"):
        sources.read(path)


@pytest.mark.parametrize(("rows", "message"), [
    ([[1, 2, 3], [4, 5, 6]], "has no header row: no row among the first 50 names the columns in words"),
    ([["id", "ID ", "id"], ["a", "b", "c"]], "has no header row|has the column 'id' twice"),
    ([], "holds no cells"),
])
def test_a_sheet_without_a_header_is_refused(workbook, rows, message):
    with pytest.raises(DataError, match=message):
        sources.read(workbook(rows))


def test_options_of_text_files_are_refused_for_workbooks_and_sheets_for_text(workbook, tmp_path):
    with pytest.raises(DataError, match="clinic.xlsx: `delimiter`, `encoding`, `decimal` and `thousands` are for CSV"):
        sources.read(workbook([["id"], ["a"]]), decimal=",")
    (tmp_path / "d.csv").write_text("id\na\n")
    with pytest.raises(DataError, match="d.csv is one table: leave out `sheet:` and `table:`"):
        sources.read(tmp_path / "d.csv", part="March")
