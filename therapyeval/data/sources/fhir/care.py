"""Patient, EpisodeOfCare and ServiceRequest."""

from __future__ import annotations

from collections.abc import Mapping

from therapyeval.data import schema
from therapyeval.data.sources.fhir.resources import ENTERED_IN_ERROR, Resources, codes_of, first, id_of, word
from therapyeval.data.sources.raw import Raw, from_rows

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
SEX = {"M": "male", "F": "female"}
PATIENT = ("patient_id", "birth_date", "birth_year", "sex", "race_ethnicity", "language", "zip3", "death_date")
EPISODE = ("episode_id", "patient_id", "discipline", "site_id", "start_date", "end_date", "discharge_date", "status",
           "referral_id", "lead_staff_id")
REFERRAL = ("referral_id", "patient_id", "received_date", "discipline", "status", "referring_id", "priority")
REFERRAL_STATUS = {"active": "open", "on-hold": "open", "completed": "converted", "revoked": "cancelled"}
NOT_SENT, NOT_THERAPY = "a draft", "a request for something else: its codes are not in `codes:`"
OTHER_CARE = "an episode of something else: its codes are not in `codes:`"


def patients(found: Mapping[str, Resources]) -> Raw:
    """One row per patient; a birth date without a day becomes a year."""
    source = found["Patient"]
    return from_rows(source.file, PATIENT, source.rows, source.aside)


def _patient(body: dict) -> dict:
    birth = body.get("birthDate") or ""
    extensions = {item.get("url"): item for item in body.get("extension") or ()}
    race = [part for part in extensions.get(RACE, {}).get("extension") or () if part.get("url") == "text"]
    address = first(body.get("address")) or {}
    spoken = sorted(body.get("communication") or (), key=lambda item: not item.get("preferred"))
    return {"patient_id": body["id"], "birth_date": birth if len(birth) == 10 else None,
            "birth_year": birth[:4] if len(birth) < 10 else None,
            "sex": SEX.get(extensions.get(BIRTH_SEX, {}).get("valueCode"), body.get("gender")),
            "race_ethnicity": (first(race) or {}).get("valueString"),
            "language": first(codes_of(*(item.get("language") for item in spoken))),
            "zip3": (address.get("postalCode") or "")[:3], "death_date": (body.get("deceasedDateTime") or "")[:10]}


def episodes(found: Mapping[str, Resources], codes: Mapping[str, str]) -> Raw:
    """One row per episode; it is discharged on the day it ends, where it is finished.

    Where `codes` names disciplines, an episode whose type stands for none of them is set aside.
    """
    source, rows, aside = found["EpisodeOfCare"], [], list(found["EpisodeOfCare"].aside)
    named = any(meaning in schema.DISCIPLINES for meaning in codes.values())
    for row in source.rows:
        discipline = word(row["codes"], codes, schema.DISCIPLINES)
        if named and row["codes"] and not discipline:
            aside.append((row["_row"], OTHER_CARE))
        else:
            rows.append(row | {"discipline": discipline})
    return from_rows(source.file, EPISODE, rows, aside)


def _episode(body: dict) -> dict:
    period, status = body.get("period") or {}, (body.get("status") or "").replace("-", "_")
    end = (period.get("end") or "")[:10]
    return {"episode_id": body["id"], "patient_id": id_of(body.get("patient")),
            "codes": codes_of(*body.get("type") or ()), "site_id": id_of(body.get("managingOrganization")),
            "start_date": (period.get("start") or "")[:10], "end_date": end,
            "discharge_date": end if status == "finished" else None, "status": status,
            "referral_id": id_of(first(body.get("referralRequest"))), "lead_staff_id": id_of(body.get("careManager"))}


def referrals(found: Mapping[str, Resources], codes: Mapping[str, str]) -> Raw:
    """Requests for therapy: those that an episode names, or whose code is a discipline in `codes`.

    FHIR does not say when a request was received: the day it was written is taken.
    """
    source, rows, aside = found["ServiceRequest"], [], list(found["ServiceRequest"].aside)
    named = {row["referral_id"]: row["codes"] for row in found["EpisodeOfCare"].rows if row["referral_id"]}
    for row in source.rows:
        status = REFERRAL_STATUS.get(row["status"])
        discipline = word([*row["codes"], *named.get(row["referral_id"], ())], codes, schema.DISCIPLINES)
        if row["status"] == "entered-in-error":
            aside.append((row["_row"], ENTERED_IN_ERROR))
        elif row["status"] == "draft":
            aside.append((row["_row"], NOT_SENT))
        elif not discipline and row["referral_id"] not in named:
            aside.append((row["_row"], NOT_THERAPY))
        else:
            rows.append(row | {"status": status, "discipline": discipline})
    return from_rows(source.file, REFERRAL, rows, aside)


def _request(body: dict) -> dict:
    return {"referral_id": body["id"], "patient_id": id_of(body.get("subject")), "status": body.get("status"),
            "received_date": (body.get("authoredOn") or "")[:10], "referring_id": id_of(body.get("requester")),
            "priority": body.get("priority"), "codes": codes_of(body.get("code"), *body.get("category") or ())}


FLATTEN = {"Patient": _patient, "EpisodeOfCare": _episode, "ServiceRequest": _request}
