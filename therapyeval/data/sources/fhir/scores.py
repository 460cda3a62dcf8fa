"""Observation and QuestionnaireResponse: scores, told apart by the codes that the mapping declares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from therapyeval.data import schema
from therapyeval.data.sources.fhir.resources import ENTERED_IN_ERROR, Resources, codes_of, first, id_of, reference
from therapyeval.data.sources.linking import SCORE_DAYS, Spans
from therapyeval.data.sources.raw import Raw, from_rows

ASSESSMENT = ("assessment_id", "patient_id", "episode_id", "measure_code", "measure_version", "score", "date",
              "finalized_dt", "timepoint", "respondent", "missing_reason", "rater_id")
USED = ("preliminary", "final", "amended", "corrected")
ANSWERED = ("completed", "amended")
MISSING = {"asked-declined": "refused", "not-performed": "not_done"}  # data-absent-reason
RESPONDENT = {"Patient": "self", "RelatedPerson": "proxy", "Practitioner": "clinician", "PractitionerRole": "clinician"}
SHOWN_FROM = 11  # an unknown code is named when so many rows have it

NOT_FINAL = "not a result: registered, cancelled, unknown, in progress or stopped"
EARLIER = "an earlier version of the same score"
AS_OBSERVATION = "the same score is there as an Observation"


def assessments(found: Mapping[str, Resources], codes: Mapping[str, str], spans: Spans,
                of_encounter: Mapping[str, str | None]) -> Raw:
    """One row per score whose code stands for a measure; of several versions the one issued last."""
    measures = {code: word for code, word in codes.items()
                if word not in (*schema.DISCIPLINES, *schema.VISIT_STATUSES_IN, *schema.PAYERS)}
    seen, answered = found["Observation"], found["QuestionnaireResponse"].after(found["Observation"].lines)
    aside = [*seen.aside, *answered.aside]
    rows = _scored(seen, measures, USED, aside)
    known = {(source, row["measure_code"]) for row in rows for source in row["derived_from"]}
    rows = _latest(rows, aside)
    for row in _scored(answered, measures, ANSWERED, aside):
        if (row["assessment_id"], row["measure_code"]) in known:
            aside.append((row["_row"], AS_OBSERVATION))
        else:
            rows.append(row)
    for row in rows:
        row["assessment_id"] = f"{row['kind']}/{row['assessment_id']}/{row['measure_code']}"
        row["episode_id"] = (of_encounter.get(row["encounter"])
                             or spans.episode(row["patient_id"], row["date"], SCORE_DAYS))
    file = ", ".join(filter(None, (seen.file, answered.file)))
    once = {number for row in rows for number in (row["_row"],)}
    return from_rows(file, ASSESSMENT, sorted(rows, key=lambda row: row["_row"]),
                     [(number, why) for number, why in dict(aside).items() if number not in once])


def _scored(source: Resources, measures: Mapping[str, str], used: Sequence[str], aside: list) -> list[dict]:
    """A row for each value of a resource whose code is known; the lines of all others are set aside."""
    counts = Counter(next(iter(row["values"]), "") for row in source.rows)
    rows = []
    for row in source.rows:
        mine = {measures[code]: value for code, value in row["values"].items() if code in measures}
        if row["status"] == "entered-in-error":
            aside.append((row["_row"], ENTERED_IN_ERROR))
        elif row["status"] not in used:
            aside.append((row["_row"], NOT_FINAL))
        elif not mine:
            code = next(iter(row["values"]), "")
            shown = f"the code {code}" if counts[code] >= SHOWN_FROM and code else "its code"
            aside.append((row["_row"], f"{shown} is not among the measures in `codes:`"))
        for code, (score, why) in mine.items() if row["status"] in used else ():
            rows.append(row | {"measure_code": code, "score": score, "missing_reason": why})
    return rows


def _latest(rows: list[dict], aside: list) -> list[dict]:
    """Of scores of one patient, measure, moment and side, those issued last; without `issued` all stay."""
    same: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        same[row["patient_id"], row["measure_code"], row["moment"], row["side"]].append(row)
    kept = []
    for versions in same.values():
        last = max((row["finalized_dt"] or "" for row in versions), key=_instant)
        for row in versions:
            if (row["finalized_dt"] or "") == last:
                kept.append(row)
            else:
                aside.append((row["_row"], EARLIER))
    return kept


def _instant(text: str) -> float:
    """Seconds of an ISO instant; before everything else where there is none."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return float("-inf")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _observation(body: dict) -> dict:
    moment = (body.get("effectiveDateTime") or body.get("effectiveInstant")
              or (body.get("effectivePeriod") or {}).get("start"))
    values = {code: _value(body) for code in codes_of(body.get("code"))}
    for part in body.get("component") or ():
        values |= {code: _value(part) for code in codes_of(part.get("code"))}
    return {"kind": "Observation", "assessment_id": body["id"], "patient_id": id_of(body.get("subject")),
            "encounter": id_of(body.get("encounter")), "status": body.get("status"), "moment": moment,
            "date": (moment or "")[:10], "finalized_dt": body.get("issued"), "values": values,
            "side": first(codes_of(body.get("bodySite"))), "rater_id": id_of(first(body.get("performer"))),
            "derived_from": [id_of(item) for item in body.get("derivedFrom") or ()]}


def _value(part: Mapping) -> tuple[str | None, str | None]:
    """The number of an Observation, a component or an answer, and the reason where there is none."""
    for key in ("valueQuantity", "valueInteger", "valueDecimal"):
        if key in part:
            value = part[key].get("value") if key == "valueQuantity" else part[key]
            return (None if value is None else str(value)), None
    return None, MISSING.get(first(codes_of(part.get("dataAbsentReason"))) or "")


def _response(body: dict) -> dict:
    version = (body.get("questionnaire") or "").partition("|")[2]
    moment = body.get("authored")
    return {"kind": "QuestionnaireResponse", "assessment_id": body["id"], "patient_id": id_of(body.get("subject")),
            "encounter": id_of(body.get("encounter")), "status": body.get("status"), "moment": moment,
            "date": (moment or "")[:10], "finalized_dt": moment, "values": dict(_answers(body.get("item") or ())),
            "side": None, "measure_version": version, "derived_from": [],
            "respondent": RESPONDENT.get(reference(body.get("source"))[0])}


def _answers(items: Sequence[Mapping]):
    """(code, value) of every answered item; a link id such as /72100-1 holds the LOINC code."""
    for item in items:
        answer = first(item.get("answer"))
        if answer:
            yield item.get("linkId", "").rsplit("/", 1)[-1], _value(answer)
        yield from _answers(item.get("item") or ())


FLATTEN = {"Observation": _observation, "QuestionnaireResponse": _response}
