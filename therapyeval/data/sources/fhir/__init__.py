"""FHIR R4 bulk exports (NDJSON) to canonical tables.

Read: Patient, EpisodeOfCare, Appointment, Encounter, ServiceRequest, Observation, QuestionnaireResponse. All other
resources stay unread. Row numbers are line numbers; where several files make one table, they run on through the files
in the order of the table's name. Source: HL7 FHIR R4; data model, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from therapyeval.data import schema
from therapyeval.data.sources.fhir import care, resources, scores, visits
from therapyeval.data.sources.linking import Spans
from therapyeval.data.sources.raw import Raw


def canonical(place: str | Path, codes: Mapping[str, str] | None = None) -> dict[str, Raw]:
    """Canonical tables of a folder of NDJSON files, or of one.

    Parameters
    ----------
    place : folder or file (.ndjson, .ndjson.gz)
    codes : what codes (LOINC of scores, types of episodes and requests) stand for: a measure or a discipline

    Raises
    ------
    DataError
        Where a file is empty or damaged, or holds no resource that is read.
    """
    codes = codes or {}
    found = resources.read(Path(place), care.FLATTEN | visits.FLATTEN | scores.FLATTEN)
    tables = {"patients": care.patients(found), "episodes": care.episodes(found, codes)}
    episodes = tables["episodes"].table.to_pylist()
    spans = Spans((row["patient_id"], row["episode_id"], row["start_date"], row["end_date"]) for row in episodes
                  if row["status"] not in schema.NEVER_COUNTED)
    tables["visits"], of_encounter = visits.visits(found, spans)
    tables["referrals"] = care.referrals(found, codes)
    tables["assessments"] = scores.assessments(found, codes, spans, of_encounter)
    return {name: raw for name, raw in tables.items() if raw.file}
