"""Writes the workbooks of tests/exports; invented people without names. Run by hand when a shape changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from openpyxl import Workbook

HERE = Path(__file__).parent

OUTCOMES = {
    "January": [("1001", "North", "T1", "PT", "Knee", "Medicare", date(2026, 1, 5), date(2026, 2, 27), 40, 55, 6, 2,
                 "Goals Met"),
                ("1002", "North", "T1", "PT", "Low Back", "BCBS", date(2026, 1, 8), None, 35, None, 7, None, None)],
    "February": [("1003", "North", "T2", "PT", "Ankle", "Work Comp", date(2026, 2, 2), date(2026, 3, 20), 20, 48, 8, 3,
                  "Goals Met"),
                 ("1004", "North", "T2", "OT", "Hand", "Cash", date(2026, 2, 9), date(2026, 3, 2), None, None, 5, 5,
                  "Plateau"),
                 ("1005", "North", "T1", "PT", "Hip", "Aetna", date(2026, 2, 11), date(2026, 2, 25), 44, 42, 3, 4,
                  "Stopped Coming")],
    "March": [("1001", "North", "T1", "PT", "Neck", "Medicare", date(2026, 3, 16), None, None, None, 6, None, None)],
}
FIRST = ("A1", "01/31/1960", "K1", "PHYSICAL", "EAST", "KNE", "COM", "03/02/2026", "13-Apr-26", "GM")
SECOND = ("A2", "07/09/1971", "K2", "SPEECH", "WEST", None, "MCD", "03/03/2026", None, None)
APPOINTMENTS = [
    (*FIRST, "501", "03/02/2026 09:00", "R1", "EVAL", "SEEN", None),
    (*FIRST, "502", "03/09/2026 09:00", "R1", "TX", "NOSHOW", None),
    (*FIRST, "503", "04/13/2026 09:00", "R1", "TX", "KEPT", None),
    (*SECOND, "504", "03/03/2026 10:00", "R2", "EVAL", "KEPT", None),
    (*SECOND, "505", "03/10/2026 10:00", "R2", "TX", "CXPT", "03/10/2026 08:30"),
    (*SECOND, "506", "03/17/2026 10:00", "R2", "TX", "RESCH", "03/12/2026 10:00"),
    (*SECOND, "507", "03/19/2026 10:00", "R2", "TX", "KEPT", None),
]
CASE = ("Account", "DOB", "Case Number", "Discipline", "Location", "Body Region", "Payer", "Case Start",
        "Case Discharged", "DC Code")
APPOINTMENT = ("Number", "Start", "Resource", "Type", "Status", "Changed")


def outcomes() -> Workbook:
    """A tab for each month; "LEFS" and "NPRS" are merged over pre and post; a totals row at the end."""
    book = Workbook()
    book.remove(book.active)
    for month, rows in OUTCOMES.items():
        sheet = book.create_sheet(month)
        plain = ("MRN", "Clinic", "Therapist", "Discipline", "Body Part", "Insurance", "Eval Date", "DC Date")
        sheet.append((*plain, "LEFS", None, "NPRS", None, "DC Reason"))
        sheet.append((*[None] * len(plain), "pre", "post", "pre", "post", None))
        for column in (*range(1, len(plain) + 1), 13):
            sheet.merge_cells(start_row=1, end_row=2, start_column=column, end_column=column)
        sheet.merge_cells("I1:J1")
        sheet.merge_cells("K1:L1")
        for row in rows:
            sheet.append(row)
        sheet.append(("Total", len(rows)))
    return book


def appointments() -> Workbook:
    """A title, a header of two rows with "Appointment" merged over its columns, and every value as text."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Report"
    sheet.append(("Appointments by case, March to April 2026",))
    sheet.append((*CASE, "Appointment", *[None] * (len(APPOINTMENT) - 1)))
    sheet.append((*[None] * len(CASE), *APPOINTMENT))
    for column in range(1, len(CASE) + 1):
        sheet.merge_cells(start_row=2, end_row=3, start_column=column, end_column=column)
    sheet.merge_cells(start_row=2, end_row=2, start_column=len(CASE) + 1, end_column=len(CASE) + len(APPOINTMENT))
    for row in APPOINTMENTS:
        sheet.append(row)
    return book


if __name__ == "__main__":
    outcomes().save(HERE / "spreadsheet" / "outcomes.xlsx")
    appointments().save(HERE / "raintree" / "appointments.xlsx")
