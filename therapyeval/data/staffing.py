"""Clinicians, their hours, and their calendars. Source: data model, section 1; metric definitions, section 2.1."""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import describing, looked_up, with_absent
from therapyeval.data.quality import LEFT_OUT, QUARANTINED, Ledger

WEEK = 7  # days
HELD = ("attended", "no_show", "late_cancel")  # statuses that held their slot
TIMES = ("scheduled_start", "scheduled_end")  # what the stored visits keep for the questions here


def staff_facts(rows, declared: list[str]) -> pd.DataFrame | None:
    """One row per clinician: staff, description, fte, hire_date, end_date; None without a table."""
    if rows is None:
        return None
    frame = with_absent(engine.fetch(rows.order_by("_at")), fte="float64", hire_date="datetime64[s]",
                        end_date="datetime64[s]", license_type="str")
    frame["license_type"] = frame["license_type"].str.strip().str.upper()
    names = ["staff", *describing(frame.columns, schema.DESCRIBE_STAFF, declared), "fte", "hire_date", "end_date"]
    return frame[names].astype({"staff": "int32"}).reset_index(drop=True)


def with_license(visits, staff):
    """Visits with the license type of who gave them, and `by_assistant`: 1 by an assistant, 0 by another licensed
    clinician, missing else."""
    import ibis

    if staff is None or not {"license_type", "staff"} <= set(staff.columns) or "staff" not in visits.columns:
        return visits
    visits = engine.looked_up(visits, staff, "staff", license_type="license_type")
    visits = visits.mutate(license_type=visits.license_type.strip().upper())
    kind = visits.license_type
    return visits.mutate(by_assistant=ibis.cases((kind.isin(schema.ASSISTANTS), 1.0),
                                                 (kind.isin(schema.EVALUATING), 0.0), else_=None))


def week_facts(rows, visits, staff: pd.DataFrame | None, cut: pd.Timestamp, ledger: Ledger) -> pd.DataFrame | None:
    """One row per clinician and week up to the data cut: staff, week (its first day), worked_hours, paid_hours,
    billable_minutes, and the attributes of the clinician; None without a table.

    Billable minutes are those of the attended, billable visits of the week, a group session once; where there is no
    such visit, or the minutes of one are not known, they are `patient_minutes`.
    """
    if rows is None:
        return None
    frame = _dated(rows, "week", "staff_hours", cut, ledger)
    frame = with_absent(frame, worked_hours="float64", paid_hours="float64", patient_minutes="float64")
    ledger.use("staff_hours", frame)
    found = _weekly(_minutes_by_day(visits, cut), frame)
    frame["billable_minutes"] = found.fillna(frame["patient_minutes"])
    frame = frame[["staff", "week", "worked_hours", "paid_hours", "billable_minutes"]]
    return _described(frame.astype({"staff": "int32", "week": "datetime64[s]"}), staff)


def availability_facts(rows, visits, staff: pd.DataFrame | None, cut: pd.Timestamp,
                       ledger: Ledger) -> pd.DataFrame | None:
    """One row per clinician and day, also after the data cut: staff, date, site_id, available_minutes,
    open_eval_slots, booked_minutes (up to the data cut; slots at the same time once); None without a table."""
    if rows is None:
        return None
    frame = _dated(rows, "date", "availability", None, ledger)
    frame = with_absent(frame, available_minutes="float64", open_eval_slots="float64")
    ledger.use("availability", frame)
    booked = _booked_by_day(visits, cut)
    frame = frame.merge(booked, "left", ["staff", "date"])
    past = frame["date"] <= cut
    frame["booked_minutes"] = frame["booked_minutes"].fillna(0.0).where(past & (len(booked) > 0))
    names = ["staff", "date", *describing(frame.columns, ("site_id",), ()), "available_minutes", "open_eval_slots",
             "booked_minutes"]
    return _described(frame[names].astype({"staff": "int32", "date": "datetime64[s]"}), staff)


def _dated(rows, day: str, table: str, cut: pd.Timestamp | None, ledger: Ledger) -> pd.DataFrame:
    """Rows up to the data cut, one for each clinician and day."""
    frame = engine.fetch(rows.order_by("_at"))
    later = frame[day] > cut if cut is not None else frame[day].isna()
    ledger.set_aside(LEFT_OUT, table, frame[later], "after the data cut")
    frame = frame[~later]
    again = frame.duplicated(["staff", day], keep=False)
    ledger.set_aside(QUARANTINED, table, frame[again], f"several rows for one clinician and {day}",
                     todo="Export the table again with one row for each.")
    return frame[~again].reset_index(drop=True)


def _described(frame: pd.DataFrame, staff: pd.DataFrame | None) -> pd.DataFrame:
    """With the attributes of the clinician; the row's own value counts."""
    if staff is None:
        return frame
    by_staff = staff.set_index("staff")
    names = [name for name in by_staff if name not in ("fte", "hire_date", "end_date")]
    found = {name: looked_up(frame["staff"], by_staff[name]) for name in names}
    return frame.assign(**{name: frame[name].fillna(values) if name in frame else values
                           for name, values in found.items()})


def _minutes_by_day(visits, cut: pd.Timestamp) -> pd.DataFrame:
    """staff, date, minutes of visits (a group session once), and how many visits have none."""
    if not {"staff", *TIMES} <= set(visits.columns):
        return pd.DataFrame({"staff": [], "date": [], "minutes": [], "unknown": []})
    seen = engine.with_absent(visits, visit_type="string")
    seen = seen.filter(seen.is_visit & seen.staff.notnull() & (seen.date <= cut.date()))
    seen = seen.mutate(group=(seen.visit_type.lower() == "group").fill_null(False))
    sessions = seen.group_by(["staff", "date", "scheduled_start", "group"]).aggregate(
        total=seen.minutes.sum(), most=seen.minutes.max(), unknown=seen.minutes.isnull().sum())
    return engine.fetch(sessions.group_by(["staff", "date"]).aggregate(
        minutes=sessions.group.ifelse(sessions.most, sessions.total).sum(), unknown=sessions.unknown.sum()))


def _weekly(days: pd.DataFrame, weeks: pd.DataFrame) -> pd.Series:
    """Minutes of the visits of each week; missing where there are none, or those of one are not known."""
    one = {"staff": "int32", "day": "datetime64[s]"}
    starts = weeks[["staff"]].assign(day=weeks["week"], row=weeks.index).astype(one).sort_values("day")
    days = days.rename(columns={"date": "day"}).astype(one).sort_values("day")
    found = pd.merge_asof(days, starts, on="day", by="staff", tolerance=pd.Timedelta(days=WEEK - 1)).dropna(
        subset="row")
    sums = found.groupby("row")[["minutes", "unknown"]].sum()
    return sums["minutes"].where(sums["unknown"] == 0).astype("float64").reindex(weeks.index)


def _booked_by_day(visits, cut: pd.Timestamp) -> pd.DataFrame:
    """staff, date, minutes of the slots that were held; what overlaps counts once."""
    import ibis

    if not {"staff", *TIMES} <= set(visits.columns):
        return pd.DataFrame({"staff": pd.Series(dtype="int32"), "date": pd.Series(dtype="datetime64[s]"),
                             "booked_minutes": pd.Series(dtype="float64")})
    held = visits.filter(visits.staff.notnull() & visits.status.isin(HELD) & (visits.date <= cut.date()))
    start = held.scheduled_start.epoch_seconds()
    end = ibis.coalesce(held.scheduled_end.epoch_seconds(), start + (60 * held.minutes).cast("int64"))
    held = held.select("staff", "date", start=start, end=end).filter(ibis._.end > ibis._.start)
    before = held.end.max().over(ibis.window(group_by=["staff", "date"], order_by=["start", "end"],
                                             preceding=(None, 1), following=None))
    held = held.mutate(seconds=(held.end - ibis.greatest(held.start, before.fill_null(held.start))).clip(lower=0))
    return engine.fetch(held.group_by(["staff", "date"]).aggregate(
        booked_minutes=held.seconds.sum().cast("float64") / 60)).astype({"staff": "int32"})
