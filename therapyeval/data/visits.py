"""What a visit row means: its calendar day, whether a cancellation was late, its lead time and minutes.

Source: data model, sections 3 to 5; metric definitions, sections 0 and 3.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.data.links import looked_up, with_absent
from therapyeval.data.quality import Ledger

LATE = pd.Timedelta(hours=24)
CANCELS = ("late_cancel", "early_cancel", "cancelled")
BY_THE_CLINIC = ("clinic", "weather")


def described_visits(visits: pd.DataFrame, sites: pd.DataFrame | None, charges: pd.DataFrame | None,
                     time_zone: str | None, ledger: Ledger) -> pd.DataFrame:
    """Checked visits with `date`, final `status`, `lead_days` and `minutes`.

    `date` is the day of `scheduled_start` in the time zone of the site (else `time_zone`, else as written).
    """
    zone = _zones(visits, sites, time_zone)
    frame = visits.assign(date=local_time(visits, "scheduled_start", zone).dt.normalize(),
                          status=late_rule(visits, zone, ledger), minutes=_minutes(visits, charges))
    if "booked_date" in frame:
        lead = (frame["date"] - frame["booked_date"]).dt.days.astype("float64")
        ledger.problem("warning", "visits", frame[lead < 0], "booked after its own day; lead time taken as missing")
        frame["lead_days"] = lead.where(lead >= 0)
    return frame


def _zones(visits: pd.DataFrame, sites: pd.DataFrame | None, time_zone: str | None) -> pd.Series:
    """The time zone of each row; missing where nobody says."""
    zone = with_absent(visits[[]], zone="str")["zone"]
    if sites is not None and "time_zone" in sites and "site_id" in visits:
        zone = looked_up(visits["site_id"], sites.set_index("site_id")["time_zone"])
    return zone.fillna(time_zone) if time_zone else zone


def local_time(frame: pd.DataFrame, column: str, zone: pd.Series) -> pd.Series:
    """Wall-clock time at the site: what carries an offset is converted, everything else is local already."""
    wall, offset = frame[column], frame[f"{column}_offset"]
    local = wall.copy()
    for name in zone[offset.notna()].dropna().unique():
        rows = (zone == name) & offset.notna()
        utc = wall[rows] - pd.to_timedelta(offset[rows], unit="min")
        local[rows] = utc.dt.tz_localize("UTC").dt.tz_convert(name).dt.tz_localize(None).astype("datetime64[s]")
    return local


def instant(frame: pd.DataFrame, column: str, zone: pd.Series) -> pd.Series:
    """Universal time; missing where neither the text nor the site says the zone."""
    wall, offset = frame[column], frame[f"{column}_offset"]
    moment = (wall - pd.to_timedelta(offset, unit="min")).astype("datetime64[s]")
    for name in zone[offset.isna()].dropna().unique():
        rows = (zone == name) & offset.isna() & wall.notna()
        winter = np.zeros(int(rows.sum()), dtype=bool)  # the hour that comes twice: standard time
        zoned = wall[rows].dt.tz_localize(name, ambiguous=winter, nonexistent="shift_forward")
        moment[rows] = zoned.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]")
    return moment


def late_rule(visits: pd.DataFrame, zone: pd.Series, ledger: Ledger) -> pd.Series:
    """The status of each visit, with patient cancellations divided into late and early.

    Late: recorded less than 24 hours before the start (exactly 24 h is early) or after it, by instants. Without a
    time of day: on the same date or later. Without any record of when: the source's own label, else early, counted.
    Cancelled by the clinic or for weather: `clinic_cancel`.
    """
    status = visits["status"].copy()
    cancel = status.isin(CANCELS)
    if "cancelled_by" in visits:
        by_clinic = cancel & visits["cancelled_by"].str.casefold().isin(BY_THE_CLINIC)
        status[by_clinic] = "clinic_cancel"
        cancel &= ~by_clinic
    known = cancel & visits["status_dt"].notna() if "status_dt" in visits else cancel & False
    if known.any():
        rows = visits[known]
        status[known] = np.where(_is_late(rows, zone[known]), "late_cancel", "early_cancel")
    unknown = cancel & ~known & (status == "cancelled")
    ledger.problem("warning", "visits", visits[unknown], "cancelled at an unknown time; taken as early",
                   "Give status_dt, or map the source's own labels to late_cancel and early_cancel.")
    return status.mask(unknown, "early_cancel")


def _is_late(rows: pd.DataFrame, zone: pd.Series) -> pd.Series:
    start, told = instant(rows, "scheduled_start", zone), instant(rows, "status_dt", zone)
    notice = (start - told).fillna(rows["scheduled_start"] - rows["status_dt"])
    days = local_time(rows, "scheduled_start", zone).dt.normalize() - local_time(rows, "status_dt", zone).dt.normalize()
    both_timed = rows["scheduled_start_has_time"] & rows["status_dt_has_time"]
    return (notice < LATE).where(both_timed, days <= pd.Timedelta(0))


def _minutes(visits: pd.DataFrame, charges: pd.DataFrame | None) -> pd.Series:
    """Minutes of each visit: charged, else given, else end - start, else as scheduled; NaN where nobody says."""
    minutes = pd.Series(np.nan, index=visits.index)
    if charges is not None and "minutes" in charges:
        charged = charges.groupby("visit_id")["minutes"].sum(min_count=1)
        minutes = looked_up(visits["visit_id"], charged)
    if "minutes" in visits:
        minutes = minutes.fillna(visits["minutes"])
    for start, end in (("started_dt", "ended_dt"), ("scheduled_start", "scheduled_end")):
        if start in visits and end in visits:
            length = (visits[end] - visits[start]).dt.total_seconds() / 60
            minutes = minutes.fillna(length.where(length > 0))
    return minutes
