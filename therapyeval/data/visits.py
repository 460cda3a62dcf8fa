"""What a visit row means: its calendar day, whether a cancellation was late, its lead time and minutes.

Source: data model, sections 3 to 5; metric definitions, sections 0 and 3.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import describing, linked, looked_up
from therapyeval.data.quality import LEFT_OUT, Ledger

STALE_BOOKINGS = 0.05  # metric definitions, section 3: warn above
ODD = {  # what may be odd about a visit, as a bit, and how it is told
    "_untimed": (1, "cancelled at an unknown time; taken as early",
                 "Give status_dt, or map the source's own labels to late_cancel and early_cancel."),
    "_backward": (2, "booked after its own day; lead time taken as missing", ""),
    "_unknown": (4, "unknown episode_id; the visit counts without an episode", ""),
    "_other": (8, "patient_id is not that of its episode; the visit counts without an episode", "")}
LATE_HOURS = 24
NOTE_HOURS = 48
AMOUNTS = ("units", "note_on_time")  # of a visit, beside its minutes
TIMES = ("scheduled_start", "status_dt")
DIAGNOSIS = "primary_dx"  # kept of a visit for the episodes derived from visits
CANCELS = ("late_cancel", "early_cancel", "cancelled")
BY_THE_CLINIC = ("clinic", "weather")


def described_visits(connection, visits, episodes, sites, charges, time_zone: str | None):
    """Checked visits with `date`, final `status`, `lead_days` (where there is a `booked_date`) and `minutes`.

    `date` is the day of `scheduled_start` in the time zone of the site (else `time_zone`, else as written).
    `_untimed` marks cancellations taken as early because nobody knows when, `_backward` those booked after their day.

    Parameters
    ----------
    visits, episodes, sites, charges : Ibis tables; all but visits may be None
    """
    import ibis

    sites = sites if _any_zone(sites) else None
    has_zone = bool(time_zone) or sites is not None
    if has_zone:
        visits = _with_zone(visits, episodes, sites, time_zone)
        visits = _with_local_time(connection, visits, "scheduled_start", "_here")
        visits = visits.mutate(date=visits["_here"].cast("date"))
    else:
        visits = visits.mutate(date=visits["scheduled_start"].cast("date"))
    visits = _with_status(connection, visits, has_zone)
    visits = _charged(visits, charges)
    visits = visits.mutate(minutes=_minutes(visits), _backward=ibis.literal(False))
    visits = _noted(billed(visits, charges))
    if "booked_date" in visits.columns:
        lead = visits["date"].delta(visits["booked_date"], unit="day").cast("float64")
        visits = visits.mutate(lead_days=(lead >= 0).ifelse(lead, None), _backward=(lead < 0).fill_null(False))
    return visits


def _any_zone(sites) -> bool:
    if sites is None or "time_zone" not in sites.columns:
        return False
    return bool(sites["time_zone"].count().to_pyarrow().as_py())


def _with_zone(visits, episodes, sites, time_zone: str | None):
    """With `_zone`, the time zone of each row's site, else of its episode's site where visits name none.

    `sites` is None where no site has a time zone.
    """
    import ibis

    zone = ibis.literal(time_zone) if time_zone else ibis.null("string")
    named = "site_id" in visits.columns
    has_episode = episodes is not None and "site_id" in episodes.columns and "episode_id" in visits.columns
    if sites is None or not (named or has_episode):
        return visits.mutate(_zone=zone)
    if named:
        visits = engine.looked_up(visits, sites, "site_id", _zone="time_zone")
    else:
        visits = engine.looked_up(visits, engine.looked_up(episodes, sites, "site_id", _its="time_zone"), "episode_id",
                                  _zone="_its")
    return visits.mutate(_zone=ibis.coalesce(visits["_zone"], zone))


def _with_status(connection, visits, has_zone: bool):
    """The final status: cancellations of patients are divided into late and early.

    Late: recorded less than 24 hours before the start (exactly 24 h is early) or after it, by instants. Without a
    time of day: on the same date or later. Without any record of when: the source's own label, else early.
    Cancelled by the clinic or for weather: `clinic_cancel`.
    """
    import ibis

    status, told = visits["status"], ibis.literal(False)
    cancel = status.isin(CANCELS)
    by_clinic = ibis.literal(False)
    if "cancelled_by" in visits.columns:
        by_clinic = (cancel & visits["cancelled_by"].lower().isin(BY_THE_CLINIC)).fill_null(False)
    if "status_dt" in visits.columns:
        told = cancel & ~by_clinic & visits["status_dt"].notnull()
        if has_zone:
            visits = engine.looked_up(visits, _zoned_late(connection, visits.filter(told)), "_at", _late="_late")
        else:
            visits = visits.mutate(_late=_is_late(visits, *(visits[column] - visits[f"{column}_offset"].as_interval("m")
                                                            for column in TIMES), visits["status_dt"]))
    else:
        visits = visits.mutate(_late=ibis.literal(False))
    untimed = ~by_clinic & ~told & (status == "cancelled")
    final = ibis.cases((by_clinic, "clinic_cancel"), (told & visits["_late"], "late_cancel"),
                       (told | untimed, "early_cancel"), else_=status)
    return visits.mutate(status=final, _untimed=untimed)


def _zoned_late(connection, rows):
    """Which of these cancellations were late, by the time zones of their sites, stored by `_at`."""
    names = [f"{column}{end}" for column in TIMES for end in ("", "_has_time", "_offset")]
    rows = engine.keep(connection, "cancellations", rows.select("_at", "_zone", "date", *names))
    rows = _with_instant(connection, rows, "scheduled_start", "_start")
    rows = _with_instant(connection, rows, "status_dt", "_told")
    rows = _with_local_time(connection, rows, "status_dt", "_told_here")
    late = _is_late(rows, rows["_start"], rows["_told"], rows["_told_here"])
    return engine.keep(connection, "cancellations_late", rows.select("_at", _late=late))


def _is_late(rows, start, told, told_here):
    """Late by instants (`start`, `told`) where they are known, else by the clock; by days without a time of day."""
    seconds = start.delta(told, unit="second")
    seconds = seconds.fill_null(rows["scheduled_start"].delta(rows["status_dt"], unit="second"))
    both_timed = rows["scheduled_start_has_time"] & rows["status_dt_has_time"]
    return both_timed.ifelse(seconds < LATE_HOURS * 3600, rows["date"] <= told_here.cast("date"))


def _with_local_time(connection, rows, column: str, name: str):
    """Wall-clock time at the site: what carries an offset is converted, everything else is local already."""
    wall, offset = rows[column], rows[f"{column}_offset"]
    rows = _with_shifted(connection, rows, wall - offset.as_interval("m"), offset.notnull(), from_utc, name)
    return rows.mutate(**{name: rows[name].fill_null(rows[column])})


def _with_instant(connection, rows, column: str, name: str):
    """Universal time; missing where neither the text nor the site says the zone."""
    rows = _with_shifted(connection, rows, rows[column], rows[f"{column}_offset"].isnull(), to_utc, name)
    told = rows[column] - rows[f"{column}_offset"].as_interval("m")
    return rows.mutate(**{name: told.fill_null(rows[name])})


def _with_shifted(connection, rows, moment, wanted, convert, name: str):
    """The moments of the wanted rows by the time zone of their row: each distinct one is converted once, in Python."""
    import ibis

    asked = rows.filter(wanted & moment.notnull() & rows["_zone"].notnull())
    asked = engine.fetch(asked.select("_zone", _moment=moment).distinct())
    if asked.empty:
        return rows.mutate(**{name: ibis.null("timestamp(6)")})
    parts = [part.assign(_shifted=convert(part["_moment"], zone).astype("datetime64[us]"))
             for zone, part in asked.groupby("_zone")]
    table = engine.from_arrow(connection, f"shifted{name}", engine.as_arrow(pd.concat(parts)))
    rows = rows.mutate(_moment=wanted.ifelse(moment, None))
    table = table.rename(_its_zone="_zone", _its_moment="_moment", **{name: "_shifted"})
    same = (rows["_zone"] == table["_its_zone"]) & (rows["_moment"] == table["_its_moment"])
    return rows.left_join(table, same).drop("_its_zone", "_its_moment", "_moment")


def from_utc(moments: pd.Series, zone: str) -> pd.Series:
    """Wall-clock times in a zone."""
    return moments.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)


def to_utc(walls: pd.Series, zone: str) -> pd.Series:
    """Universal time; of the hour that comes twice the one in standard time, a skipped hour ends when clocks do."""
    winter = np.zeros(len(walls), dtype=bool)
    zoned = walls.dt.tz_localize(zone, ambiguous=winter, nonexistent="shift_forward")
    return zoned.dt.tz_convert("UTC").dt.tz_localize(None)


def _charged(visits, charges):
    """With the minutes charged for each visit."""
    import ibis

    if charges is None or "minutes" not in charges.columns:
        return visits.mutate(_charged=ibis.null("float64"))
    sums = charges.group_by("visit_id").aggregate(minutes=charges["minutes"].sum())
    return engine.looked_up(visits, sums, "visit_id", _charged="minutes")


def billed(visits, charges):
    """With `units`, those billed for each visit: reversals net out; codes that begin with G or L, and charges of 0,
    are left out. Missing where no charge counts; without charges there is no such column."""
    import ibis

    if charges is None or "units" not in charges.columns:
        return visits
    rows = engine.with_absent(charges, cpt="string", amount="float64")
    left_out = rows.cpt.upper()[:1].isin(("G", "L")).fill_null(False) | (rows.amount == 0).fill_null(False)
    sums = rows.filter(rows.units.notnull() & ~left_out).group_by("visit_id").aggregate(units=ibis._.units.sum())
    return engine.looked_up(visits, sums, "visit_id", units="units")


def _noted(visits):
    """With `note_on_time`, 1 where the note was final within 48 hours of the end of the visit (else of its scheduled
    end, else of its start), 0 where not; missing where the note has no time."""
    import ibis

    if "note_finalized" not in visits.columns:
        return visits
    ends = [name for name in ("ended_dt", "scheduled_end", "scheduled_start") if name in visits.columns]
    seconds = ibis.coalesce(*(_seconds(visits, name, "note_finalized") for name in ends))
    on_time = (seconds <= NOTE_HOURS * 3600).cast("float64")
    return visits.mutate(note_on_time=visits["note_finalized_has_time"].ifelse(on_time, None))


def _seconds(visits, start: str, end: str):
    """Seconds between two times: by instants where both have an offset, else by the clock."""
    offsets = [visits[f"{name}_offset"].as_interval("m") for name in (start, end)]
    exact = (visits[end] - offsets[1]).delta(visits[start] - offsets[0], unit="second")
    return exact.fill_null(visits[end].delta(visits[start], unit="second"))


def _minutes(visits):
    """Minutes of each visit: charged, else given, else end - start, else as scheduled; missing where nobody says."""
    import ibis

    known = [visits["_charged"]]
    if "minutes" in visits.columns:
        known.append(visits["minutes"])
    for start, end in (("started_dt", "ended_dt"), ("scheduled_start", "scheduled_end")):
        if start in visits.columns and end in visits.columns:
            length = visits[end].delta(visits[start], unit="second") / 60
            known.append((length > 0).ifelse(length, None))
    return ibis.coalesce(*known).cast("float64")


def used_visits(connection, visits, episodes, declared: list[str], *, has_charges: bool,
                times: tuple[str, ...] = ()):
    """What facts need of the visits, stored: numbers, date, status, minutes, description, and what is odd (`_odd`).

    Parameters
    ----------
    visits : described, with the numbers of patients and staff; episodes : numbered, or None
    times : columns of times that are kept as well
    """
    import ibis

    visits = linked(visits, episodes)
    own = describing(visits.columns, (*schema.DESCRIBE_VISIT, "staff", "lead_days"), declared)
    given = engine.with_absent(visits, billable="string", visit_type="string")
    is_visit = (given["status"] == "attended") & (given["billable"] != "no").fill_null(True)
    is_evaluation = is_visit & (given["visit_type"].lower() == "evaluation").fill_null(False)
    odd = sum((given[name].ifelse(bit, 0) for name, (bit, *_) in ODD.items()), start=ibis.literal(0))
    names = ["_file", "_row", *(["visit_id"] if has_charges else []), "patient", "episode", "date", "status", "minutes"]
    given = given.mutate(**{name: is_visit.ifelse(given[name], None) for name in AMOUNTS if name in given.columns})
    names += [name for name in (*AMOUNTS, *times, DIAGNOSIS) if name in given.columns]
    return engine.keep(connection, "visits", given.select(
        *names, *own, is_visit=is_visit, is_evaluation=is_evaluation, _odd=odd.cast("int8")))


def with_units(facts: pd.DataFrame, visits, chains, cut: pd.Timestamp) -> pd.DataFrame:
    """Facts about episodes with the units billed for their visits; missing where no visit has a counted charge."""
    if "units" not in visits.columns:
        return facts
    seen = visits.filter(visits.is_visit & visits.units.notnull() & (visits.date <= cut.date()))
    seen = engine.looked_up(seen.select("episode", "units"), chains, "episode", merged="merged")
    sums = engine.fetch(seen.filter(seen.merged.notnull()).group_by("merged").aggregate(units=seen.units.sum()))
    return facts.assign(units=looked_up(facts["episode"], sums.set_index("merged")["units"].astype("float64")))


def visit_facts(visits, charges, cut: pd.Timestamp | None, ledger: Ledger):
    """The stored visits that count; the others are set aside, and what is odd is pointed out."""
    never = visits.status.isin(("deleted", "entered_in_error"))
    last = cut.date() if cut is not None else visits.date.max().to_pyarrow().as_py()
    past = (visits.date <= last) & ~never
    stale = past & (visits.status == "booked")
    flags = engine.fetch(visits.filter((visits["_odd"] > 0) | never | stale).select(
        "_file", "_row", "_odd", _never=never, _stale=stale).order_by("_file", "_row"))
    for bit, rule, todo in ODD.values():
        ledger.problem("warning", "visits", flags[flags["_odd"] & bit > 0], rule, todo)
    ledger.set_aside(LEFT_OUT, "visits", flags[flags["_never"]], "status deleted or entered_in_error")
    stale = flags[flags["_stale"]]
    n_past = int(past.sum().to_pyarrow().as_py() or 0)
    ledger.problem("warning" if len(stale) > STALE_BOOKINGS * n_past else "note", "visits", stale,
                   "still booked although the day is past; counted as missing", "Enter what became of them.")
    visits = visits.filter(~never)
    ledger.use_counts("visits", engine.by_file(visits))
    if charges is not None:
        known = charges.visit_id.isin(visits.visit_id)
        ledger.set_aside(LEFT_OUT, "charges", engine.fetch(charges.filter(~known).select("_at", "_file", "_row")
                                                           .order_by("_at")), "its visit is not in the facts")
        ledger.use_counts("charges", engine.by_file(charges.filter(known)))
    return visits
