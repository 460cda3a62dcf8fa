"""Appointment and Encounter: one visit per appointment, brought up to date by the encounter that became of it.

Appointments often stay `booked` after the patient came: an encounter that took place makes them attended. Encounters
without an appointment are visits of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from therapyeval.data.sources.fhir.resources import ENTERED_IN_ERROR, Resources, codes_of, first, id_of, reference
from therapyeval.data.sources.linking import VISIT_DAYS, Spans
from therapyeval.data.sources.raw import Raw, from_rows

VISIT = ("visit_id", "patient_id", "episode_id", "scheduled_start", "scheduled_end", "status", "status_dt",
         "cancel_reason", "cancelled_by", "mode", "staff_id", "site_id", "booked_date", "started_dt", "ended_dt")
STATUS = {"booked": "booked", "arrived": "attended", "checked-in": "attended", "fulfilled": "attended",
          "cancelled": "cancelled", "noshow": "no_show"}
NOT_YET = ("proposed", "pending", "waitlist")
TOOK_PLACE = ("arrived", "triaged", "in-progress", "onleave", "finished")
MODE = {"AMB": "in_person", "VR": "telehealth", "HH": "home"}
STAYS = ("IMP", "ACUTE", "NONAC", "SS", "OBSENC", "EMER", "PRENC")  # classes that are no outpatient visit
CANCELLED_ON = ("http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.cancellationDate",)
BY = {"pat": "patient", "prov": "clinic", "maint": "clinic", "oth-room": "clinic", "oth-weath": "weather"}

NOT_BOOKED = "proposed, pending or on a waiting list: no appointment yet"
STAY = "a hospital stay or emergency, no visit"
NO_CONTACT = "an encounter that did not take place"
JOINED = "an encounter, joined to its appointment"
BY_DAY = "an encounter without a link, joined to the only appointment of the patient on its day"
MISSED = "an encounter of an appointment that was missed or cancelled; the appointment's status is kept"
FURTHER = "a further encounter of one appointment"


def visits(found: Mapping[str, Resources], spans: Spans) -> tuple[Raw, dict[str, str | None]]:
    """The visits, and the episode of each encounter by its id."""
    booked, met = found["Appointment"], found["Encounter"]
    met = met.after(booked.lines)
    aside = [*booked.aside, *met.aside]
    rows = _appointments(booked, aside)
    linked = {row["appointment_id"] for row in met.rows if row["appointment_id"]}
    open_days = _by_day(row for row in rows.values() if row["visit_id"] not in linked
                        and row["status"] in ("booked", "attended"))
    free = [row for row in met.rows if row["appointment_id"] not in rows and _why_not(row) is None]
    free_days = _by_day(free)
    joined: set[str] = set()
    for row in met.rows:
        why = _why_not(row)
        day = (row["patient_id"], (row["started_dt"] or "")[:10])
        appointment = rows.get(row["appointment_id"])
        if appointment is not None:
            aside.append((row["_row"], _update(appointment, row, why, joined)))
        elif why:
            aside.append((row["_row"], why))
        elif len(free_days[day]) == 1 and len(open_days[day]) == 1:
            _update(open_days[day][0], row, None, joined)
            aside.append((row["_row"], BY_DAY))
        else:
            own = f"Encounter/{row['visit_id']}"  # an appointment may have the same id
            rows[own] = row | {"visit_id": own, "status": "attended", "scheduled_start": row["started_dt"],
                               "scheduled_end": row["ended_dt"]}
    def episode(row: Mapping, day: str) -> str | None:
        return row.get("episode_id") or spans.episode(row["patient_id"], row[day], VISIT_DAYS)

    for row in rows.values():
        row["episode_id"] = episode(row, "scheduled_start")
    of_encounter = {row["visit_id"]: episode(row, "started_dt") for row in met.rows}
    file = ", ".join(filter(None, (booked.file, met.file)))
    return from_rows(file, VISIT, sorted(rows.values(), key=lambda row: row["_row"]), aside), of_encounter


def _appointments(booked: Resources, aside: list[tuple[int, str]]) -> dict[str, dict]:
    rows = {}
    for row in booked.rows:
        if row["status"] == "entered-in-error":
            aside.append((row["_row"], ENTERED_IN_ERROR))
        elif row["status"] in NOT_YET:
            aside.append((row["_row"], NOT_BOOKED))
        else:
            rows[row["visit_id"]] = row | {"status": STATUS.get(row["status"], row["status"])}
    return rows


def _by_day(rows) -> dict[tuple, list[dict]]:
    found: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        start = row.get("scheduled_start") or row.get("started_dt")
        if row["patient_id"] and start:
            found[row["patient_id"], start[:10]].append(row)
    return found


def _why_not(encounter: Mapping) -> str | None:
    """Why an encounter is no attended visit."""
    if encounter["status"] == "entered-in-error":
        return ENTERED_IN_ERROR
    if encounter["class"] in STAYS:
        return STAY
    return None if encounter["status"] in TOOK_PLACE else NO_CONTACT


def _update(appointment: dict, encounter: Mapping, why: str | None, joined: set[str]) -> str:
    """Bring an appointment up to date; what became of the encounter."""
    if why == NO_CONTACT and encounter["status"] == "cancelled" and appointment["status"] == "booked":
        appointment["status"] = "cancelled"
        return JOINED
    if why:
        return why
    if appointment["status"] not in ("booked", "attended"):
        return MISSED
    if appointment["visit_id"] in joined:
        return FURTHER
    joined.add(appointment["visit_id"])
    appointment["status"] = "attended"
    for name in ("episode_id", "mode", "staff_id", "site_id", "started_dt", "ended_dt"):
        appointment[name] = appointment.get(name) or encounter[name]
    return JOINED


def _appointment(body: dict) -> dict:
    actors = [reference(item.get("actor")) for item in body.get("participant") or ()]
    reason = first(codes_of(body.get("cancelationReason")))
    told = body.get("cancellationDate") or next((item.get("valueDateTime") for item in body.get("extension") or ()
                                                 if item.get("url") in CANCELLED_ON), None)
    return {"visit_id": body["id"], "patient_id": _actor(actors, "Patient"), "scheduled_start": body.get("start"),
            "scheduled_end": body.get("end"), "status": body.get("status"), "status_dt": told, "cancel_reason": reason,
            "cancelled_by": BY.get(reason or "", BY.get((reason or "").split("-")[0])),
            "staff_id": _actor(actors, "Practitioner") or _actor(actors, "PractitionerRole"),
            "site_id": _actor(actors, "Location"), "booked_date": (body.get("created") or "")[:10]}


def _actor(actors: list[tuple], kind: str) -> str | None:
    return next((number for of_kind, number in actors if of_kind == kind), None)


def _encounter(body: dict) -> dict:
    period, kind = body.get("period") or {}, (body.get("class") or {}).get("code")
    place = first(body.get("location")) or {}
    seen_by = [reference(item.get("individual")) for item in body.get("participant") or ()]
    return {"visit_id": body["id"], "patient_id": id_of(body.get("subject")), "status": body.get("status"),
            "class": kind, "mode": MODE.get(kind), "started_dt": period.get("start"), "ended_dt": period.get("end"),
            "episode_id": id_of(first(body.get("episodeOfCare"))), "staff_id": _actor(seen_by, "Practitioner"),
            "appointment_id": id_of(first(body.get("appointment"))),
            "site_id": id_of(place.get("location")) or id_of(body.get("serviceProvider"))}


FLATTEN = {"Appointment": _appointment, "Encounter": _encounter}
