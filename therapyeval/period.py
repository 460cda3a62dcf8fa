"""Periods as users write them: 2026Q3, 2026-07, 2026, FY2026Q1, 2026-07-01..2026-09-30."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from therapyeval.errors import ParameterError

EVERY = ("week", "month", "quarter", "year")
FORMS = "2026Q3, 2026-07, 2026, FY2026Q1 or 2026-07-01..2026-09-30"
_PATTERN = re.compile(
    r"(?P<fiscal>FY)?(?P<year>\d{4})(?:Q(?P<quarter>[1-4])|-(?P<month>0[1-9]|1[0-2]))?$")


@dataclass(frozen=True)
class Period:
    """A span of calendar days; both `start` and `end` belong to it."""

    start: date
    end: date
    label: str


def earlier(period: Period, months: int) -> Period:
    """The same stretch of the calendar so many months before; a period of whole months keeps whole months.

    >>> earlier(parse_period("2026Q1"), 3).label, earlier(parse_period("2026-03"), 12).label
    ('2025Q4', '2025-03')
    """
    start = _moved(period.start, -months)
    if period.end == _month_end(period.end.year, period.end.month) and period.start.day == 1:
        ahead = (period.end.year - period.start.year) * 12 + period.end.month - period.start.month
        end = _month_end(start.year, start.month + ahead)
        return Period(start, end, _whole_label(start, ahead + 1))
    end = _moved(period.end, -months)
    return Period(start, end, f"{start}..{end}")


def n_months(period: Period) -> int:
    """How many calendar months a period touches."""
    return (period.end.year - period.start.year) * 12 + period.end.month - period.start.month + 1


def months_up_to(period: Period, months: int) -> Period:
    """The whole months that end with the period's last month.

    >>> months_up_to(parse_period("2026Q3"), 12).label
    '2025-10-01..2026-09-30'
    """
    start = _month_start(period.end.year, period.end.month - months + 1)
    return Period(start, period.end, f"{start}..{period.end}")


def _moved(day: date, months: int) -> date:
    first = _month_start(day.year, day.month + months)
    return first.replace(day=min(day.day, calendar.monthrange(first.year, first.month)[1]))


def _whole_label(start: date, months: int) -> str:
    if months == 3 and start.month % 3 == 1:
        return _label(start, "quarter")
    if months in (1, 12) and (months == 1 or start.month == 1):
        return _label(start, "month" if months == 1 else "year")
    return f"{start}..{_month_end(start.year, start.month + months - 1)}"


def parse_period(text: str | Period | None, *, fiscal_year_start: int = 1) -> Period | None:
    """Read a period; None stays None (no restriction).

    `fiscal_year_start` is the first month (1-12) of the fiscal year that `FY` counts from: FY2026 is the
    fiscal year that ends in 2026 (for a start in January, the calendar year).

    >>> parse_period("2026Q3")
    Period(start=datetime.date(2026, 7, 1), end=datetime.date(2026, 9, 30), label='2026Q3')
    """
    if text is None or isinstance(text, Period):
        return text
    text = str(text).strip()
    if ".." in text:
        return _range(text)
    match = _PATTERN.match(text)
    if not match or (match["fiscal"] and match["month"]):
        raise ParameterError(f"{text[:40]!r} is not a period. Write one as {FORMS}.")
    year, first, months = int(match["year"]), 1, 12
    if match["fiscal"] and fiscal_year_start > 1:
        year, first = year - 1, fiscal_year_start
    if match["quarter"]:
        first, months = first + 3 * (int(match["quarter"]) - 1), 3
    elif match["month"]:
        first, months = int(match["month"]), 1
    return Period(_month_start(year, first), _month_end(year, first + months - 1), text)


def _range(text: str) -> Period:
    try:
        start, end = (date.fromisoformat(part.strip()) for part in text.split(".."))
    except ValueError:
        raise ParameterError(f"{text[:40]!r} is not a period. Write one as {FORMS}.") from None
    if end < start:
        raise ParameterError(f"the period {text} ends before it starts.")
    return Period(start, end, f"{start}..{end}")


def _month_start(year: int, month: int) -> date:
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)     # months beyond 1-12 carry over


def _month_end(year: int, month: int) -> date:
    start = _month_start(year, month)
    return start.replace(day=calendar.monthrange(start.year, start.month)[1])


def check_every(every: str | None) -> str | None:
    """`every`, or an error that lists the choices."""
    if every is not None and every not in EVERY:
        raise ParameterError(f"every={every!r} is not known. Use one of {', '.join(EVERY)}.")
    return every


def label_dates(dates, every: str):
    """The label of the week, month, quarter or year that each date of a Series lies in (ISO weeks).

    >>> import pandas as pd
    >>> label_dates(pd.Series(pd.to_datetime(["2026-07-31", "2026-12-31"])), "quarter").tolist()
    ['2026Q3', '2026Q4']
    """
    if check_every(every) == "week":
        week = dates.dt.isocalendar()
        return week["year"].astype("str") + "-W" + week["week"].astype("str").str.zfill(2)
    if every == "quarter":
        return dates.dt.year.astype("str") + "Q" + dates.dt.quarter.astype("str")
    return dates.dt.strftime({"month": "%Y-%m", "year": "%Y"}[every])


def spans(start: date, end: date, every: str | None) -> list[Period]:
    """The weeks, months, quarters or years from start to end, cut to these; one span without `every`.

    >>> [span.label for span in spans(date(2026, 7, 15), date(2026, 9, 1), "month")]
    ['2026-07', '2026-08', '2026-09']
    """
    if check_every(every) is None:
        return [Period(start, end, f"{start}..{end}")]
    found, day = [], start
    while day <= end:
        last = min(_last_day(day, every), end)
        found.append(Period(day, last, _label(day, every)))
        day = last + timedelta(days=1)
    return found


def _last_day(day: date, every: str) -> date:
    if every == "week":
        return day + timedelta(days=7 - day.isoweekday())
    month = {"month": day.month, "quarter": day.month + (3 - day.month) % 3, "year": 12}[every]
    return _month_end(day.year, month)


def _label(day: date, every: str) -> str:
    if every == "week":
        return "{}-W{:02d}".format(*day.isocalendar()[:2])
    return {"month": f"{day:%Y-%m}", "quarter": f"{day.year}Q{(day.month + 2) // 3}", "year": f"{day.year}"}[every]
