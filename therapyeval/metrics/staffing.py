"""Who gives the care, and how full their days are. Source: metric definitions, sections 2, 2.1 and 4."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data.schema import EVALUATING
from therapyeval.errors import NotEvaluableError
from therapyeval.metrics.attendance import ATTENDED
from therapyeval.metrics.caseload import active_census
from therapyeval.metrics.registry import Metric, Values, add, exclude, metric
from therapyeval.period import Period

THIRD = 3


@metric(label="Productivity", kind="ratio", unit="proportion", better="neither",
        population="staff", cohort_rule="dated")
def productivity(facts: Facts, spans: list[Period], min_hours: float = 40) -> Values:
    """Billable minutes divided by worked minutes of clinicians with at least 40 worked hours in the period
    (`min_hours`), each week counted where its first day lies. A group session counts once. Weeks without hours or
    minutes are not counted; a clinician without any other is missing.

    Source: metric definitions, section 2.
    """
    weeks = facts.staff_weeks
    people = weeks.drop_duplicates("staff").set_index("staff")
    found = []
    for number, span in enumerate(spans):
        inside = weeks[weeks["week"].between(pd.Timestamp(span.start), pd.Timestamp(span.end))]
        known = inside.dropna(subset=["billable_minutes", "worked_hours"])
        hours = inside.groupby("staff")["worked_hours"].sum().rename("hours")
        sums = known.groupby("staff")[["billable_minutes", "worked_hours"]].sum().reindex(hours.index)
        found.append(sums.assign(hours=hours, span=number))
    units = pd.concat(found or [weeks.iloc[:0].assign(hours=0.0, span=0).set_index("staff")])
    frame = people.reindex(units.index).drop(columns=["billable_minutes", "worked_hours"]).reset_index()
    units = units.reset_index()
    few = {f"fewer than {min_hours:g} worked hours": units["hours"] < min_hours}
    return Values(units["billable_minutes"] / 60, weight=units["worked_hours"], excluded=exclude(units.index, few),
                  unit=np.arange(len(units)), span=units["span"].to_numpy(np.int64), frame=frame)


@metric(label="Caseload per full-time clinician", kind="ratio", variant="per FTE", unit="episodes per FTE",
        better="neither", population="clinicians", cohort_rule="point_in_time")
def caseload_per_fte(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Episodes in active care at the end of day t (the last of the period by default; as the active census) divided by
    the full-time equivalents of the evaluating clinicians (PT, OT, SLP, clinical fellow) employed then. Assistants,
    aides and students are not counted.

    Source: metric definitions, section 2.1.
    """
    care, staff = active_census(facts, spans), facts.staff
    shared = [name for name in staff if name in facts.episodes]
    at = np.array([span.end for span in spans], dtype="datetime64[s]")
    hired, left = (staff[name].to_numpy("datetime64[s]")[:, None] for name in ("hire_date", "end_date"))
    evaluating = staff["license_type"].isin(EVALUATING).to_numpy()[:, None]
    row, span = np.nonzero(evaluating & (np.isnat(hired) | (hired <= at)) & (np.isnat(left) | (left >= at)))
    fte = staff["fte"].to_numpy(float)[row]
    episodes = facts.episodes.iloc[care.unit][["patient", *shared]]
    clinicians = staff.iloc[row][["staff", *shared]].rename(columns={"staff": "patient"})
    frame = pd.concat([episodes, clinicians], ignore_index=True)
    value = np.r_[np.ones(len(episodes)), np.where(np.isnan(fte), np.nan, 0.0)]
    return Values(pd.Series(value), weight=pd.Series(np.r_[np.zeros(len(episodes)), fte]),
                  unit=np.arange(len(frame)), span=np.r_[care.span, span], frame=frame)


@metric(label="Slots used", kind="ratio", unit="proportion", better="higher",
        population="clinician-days", cohort_rule="dated")
def slot_utilization(facts: Facts) -> Values:
    """Minutes of appointments that held their slot (attended, no-show, cancelled late; those at the same time once)
    divided by the minutes available, over days of clinicians. Above 100% days were overbooked. Interval by clinician.

    Source: metric definitions, section 2.1.
    """
    days = facts.availability
    days = days if facts.data_cut is None else days[days["date"] <= facts.data_cut]
    return Values(days["booked_minutes"].where(days["available_minutes"].notna()), weight=days["available_minutes"],
                  frame=days, lacking="the visits do not say who gave them from when to when")


@metric(label="Days to the third open evaluation slot", kind="median", unit="days", better="lower",
        population="weekly samples", cohort_rule="dated", beside=("p90",))
def third_next_available(facts: Facts) -> Values:
    """Median of weekly samples: days from each Monday up to the data cut to the third evaluation slot that is open
    from then on, at each site. Missing where the calendar ends before.

    Source: metric definitions, section 4.
    """
    slots = facts.availability.dropna(subset="open_eval_slots")
    if slots.empty and len(facts.availability):
        raise NotEvaluableError("third_next_available: the availability of these data has no open_eval_slots.")
    groups = ["site_id"] if "site_id" in slots else []
    parts = slots.groupby(groups, dropna=False) if groups else [((), slots)]
    none = slots.iloc[:0].assign(days=0.0, patient=0)[["date", "days", "patient", *groups]]
    found = [_samples(part, facts.data_cut).assign(patient=number, **dict(zip(groups, key, strict=True)))
             for number, (key, part) in enumerate(parts)]
    frame = pd.concat(found, ignore_index=True) if found else none
    return Values(frame["days"], frame=frame, lacking="the calendar ends before the third open slot")


def _samples(slots: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    """date (a Monday) and days to the third open slot from then on."""
    by_day = slots.groupby("date")["open_eval_slots"].sum()
    days, total = by_day.index.to_numpy("datetime64[D]"), np.cumsum(by_day.to_numpy())
    mondays = pd.date_range(days[0], min(days[-1], np.datetime64(cut, "D")), freq="W-MON").to_numpy("datetime64[D]")
    first = np.searchsorted(days, mondays)
    before = np.r_[0, total][first]
    third = np.searchsorted(total, before + THIRD)
    reached = third < len(days)
    waited = (days[np.minimum(third, len(days) - 1)] - mondays) / np.timedelta64(1, "D")
    return pd.DataFrame({"date": mondays.astype("datetime64[s]"), "days": np.where(reached, waited, np.nan)})


def visit_amount(name: str, *, label: str, unit: str, better: str, amount: str, reason: str, definition: str,
                 section: str, known: str = "") -> Metric:
    """Register the sum of an amount over attended visits divided by the visits that have one."""
    visits = frozenset((ATTENDED,))
    entry = Metric(name, label, "ratio", unit, better, "appointments", "dated",
                   f"{definition}\n\nSource: metric definitions, section {section}.", statuses=(visits, visits),
                   amount=amount, reason=reason, known=known)
    add(entry)
    return entry


units_per_visit = visit_amount(
    "units_per_visit", label="Billed units per visit", unit="units per visit", better="neither", section="2",
    amount="units", reason="no counted charge",
    definition="Billed units, timed and untimed, divided by the billable visits with a counted charge. Codes that "
               "begin with G or L and charges without an amount due are left out; reversals net out.")

note_within_48h = visit_amount(
    "note_within_48h", label="Note final within 48 hours", unit="proportion", better="higher", section="2.1",
    amount="note_on_time", reason="no time of the note",
    definition="Attended visits whose note was final within 48 hours of the end of the visit (else its scheduled end, "
               "else its start), divided by those with a time of the note.")

staff_mix_assistant = visit_amount(
    "staff_mix_assistant", label="Visits by assistants", unit="proportion", better="neither", section="2.1",
    amount="by_assistant", reason="not by a licensed clinician", known="license_type",
    definition="Attended visits by physical or occupational therapy assistants divided by those by any licensed "
               "clinician. Visits by an unknown clinician are missing.")
