"""FHIR bulk exports: hand-written resources become canonical tables; every line is accounted for."""

from __future__ import annotations

import gzip
import json

import pytest

from therapyeval.data import read_dataset, sources
from therapyeval.data.sources.fhir import canonical
from therapyeval.errors import DataError

CODES = {"72100-1": "tug", "91251008": "PT", "local-lefs": "lefs"}


def ref(kind: str, number: str) -> dict:
    return {"reference": f"{kind}/{number}"}


def coded(*codes: str) -> dict:
    return {"coding": [{"code": code} for code in codes]}


PATIENTS = [
    {"resourceType": "Patient", "id": "007", "birthDate": "1960-02-29", "gender": "female",
     "name": [{"family": "Bond"}],
     "address": [{"postalCode": "02139", "line": ["1 Main St"]}], "deceasedDateTime": "2026-05-01T10:00:00Z",
     "communication": [{"language": coded("en")}, {"language": coded("es"), "preferred": True}]},
    {"resourceType": "Patient", "id": "p2", "birthDate": "1971-03", "gender": "male"},
]
EPISODES = [
    {"resourceType": "EpisodeOfCare", "id": "e1", "status": "finished", "patient": ref("Patient", "007"),
     "type": [coded("91251008")], "managingOrganization": ref("Organization", "north"),
     "referralRequest": [ref("ServiceRequest", "r1")], "period": {"start": "2026-01-05", "end": "2026-02-16"}},
    {"resourceType": "EpisodeOfCare", "id": "e2", "status": "active", "patient": {"reference": "urn:uuid:p2"},
     "type": [coded("91251008")], "period": {"start": "2026-01-12T08:00:00-05:00"}},
    {"resourceType": "EpisodeOfCare", "id": "e3", "status": "entered-in-error", "patient": ref("Patient", "p2"),
     "type": [coded("91251008")], "period": {"start": "2020-01-12"}},
    {"resourceType": "EpisodeOfCare", "id": "e4", "status": "active", "patient": ref("Patient", "p2"),
     "type": [coded("psychiatry")], "period": {"start": "2026-01-12"}},
]


def appointment(number: str, status: str, start: str, patient: str = "007", **more) -> dict:
    return {"resourceType": "Appointment", "id": number, "status": status, "start": start,
            "participant": [{"actor": ref("Location", "north")}, {"actor": ref("Patient", patient)},
                            {"actor": ref("Practitioner", "t1")}], **more}


def encounter(number: str, status: str, start: str, patient: str = "007", kind: str = "AMB", **more) -> dict:
    return {"resourceType": "Encounter", "id": number, "status": status, "class": {"code": kind},
            "subject": ref("Patient", patient), "period": {"start": start, "end": start[:11] + "11:00:00Z"}, **more}


def observation(number: str, code: str, value: float, when: str, status: str = "final", patient: str = "007",
                **more) -> dict:
    return {"resourceType": "Observation", "id": number, "status": status, "code": coded(code),
            "subject": ref("Patient", patient), "effectiveDateTime": when, "valueQuantity": {"value": value}, **more}


@pytest.fixture
def export(tmp_path):
    """Writes resources, one file per type."""
    def build(*resources: dict, name: str = "{}.ndjson"):
        for kind in dict.fromkeys(item["resourceType"] for item in resources):
            lines = [json.dumps(item, ensure_ascii=False) for item in resources if item["resourceType"] == kind]
            (tmp_path / name.format(kind)).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path
    return build


def rows(raw: sources.Raw, *columns: str) -> list[list]:
    return [[row[name] for name in columns] for row in raw.table.to_pylist()]


def test_patients_keep_what_is_analysed_and_nothing_that_names_them(export):
    raw = canonical(export(*PATIENTS))["patients"]
    assert rows(raw, "patient_id", "birth_date", "birth_year", "sex", "language", "zip3", "death_date", "_row") == [
        ["007", "1960-02-29", None, "female", "es", "021", "2026-05-01", 1],
        ["p2", None, "1971", "male", None, None, None, 2]]
    assert "Bond" not in str(raw.table.to_pylist()) and "Main St" not in str(raw.table.to_pylist())


def test_episodes_take_their_discipline_from_declared_codes(export):
    raw = canonical(export(*PATIENTS, *EPISODES), CODES)["episodes"]
    assert rows(raw, "episode_id", "patient_id", "discipline", "site_id", "start_date", "discharge_date", "status") == [
        ["e1", "007", "PT", "north", "2026-01-05", "2026-02-16", "finished"],
        ["e2", "p2", "PT", None, "2026-01-12", None, "active"],
        ["e3", "p2", "PT", None, "2020-01-12", None, "entered_in_error"]]
    assert raw.aside == ((4, "an episode of something else: its codes are not in `codes:`"),)


def test_an_encounter_brings_its_appointment_up_to_date(export):
    raw = canonical(export(
        *EPISODES,
        appointment("a1", "booked", "2026-01-05T09:00:00Z"),                      # 1: came, never updated
        appointment("a2", "noshow", "2026-01-07T09:00:00Z"),                      # 2
        appointment("a3", "cancelled", "2026-01-09T09:00:00Z", cancelationReason=coded("oth-weath")),  # 3
        appointment("a4", "entered-in-error", "2026-01-09T09:00:00Z"),            # 4
        appointment("a5", "proposed", "2026-01-20T09:00:00Z"),                    # 5
        appointment("a6", "booked", "2026-01-12T09:00:00Z"),                      # 6: encounter without a link
        appointment("a7", "booked", "2026-01-14T09:00:00Z"),                      # 7: encounter cancelled
        encounter("c1", "finished", "2026-01-05T09:05:00Z", appointment=[ref("Appointment", "a1")], kind="VR",
                  episodeOfCare=[ref("EpisodeOfCare", "e1")]),                    # 8
        encounter("c2", "finished", "2026-01-12T09:10:00Z"),                      # 9
        encounter("c3", "cancelled", "2026-01-14T09:00:00Z", appointment=[ref("Appointment", "a7")]),  # 10
        encounter("c4", "finished", "2026-02-02T09:00:00Z", patient="p2"),        # 11: a visit of its own
        encounter("a1", "finished", "2026-02-09T09:00:00Z"),                      # 12: id of an appointment
        encounter("c6", "finished", "2026-02-03T00:00:00Z", kind="IMP"),          # 13
        encounter("c7", "planned", "2026-02-03T00:00:00Z"),                       # 14
        encounter("c8", "finished", "2026-01-07T09:00:00Z", appointment=[ref("Appointment", "a2")]),   # 15
        encounter("c9", "entered-in-error", "2026-01-07T09:00:00Z"),              # 16
    ), CODES)["visits"]
    assert raw.file == "Appointment.ndjson, Encounter.ndjson"
    assert rows(raw, "_row", "visit_id", "status", "episode_id", "mode", "cancelled_by", "started_dt") == [
        [1, "a1", "attended", "e1", "telehealth", None, "2026-01-05T09:05:00Z"],
        [2, "a2", "no_show", "e1", None, None, None],
        [3, "a3", "cancelled", "e1", None, "weather", None],
        [6, "a6", "attended", "e1", "in_person", None, "2026-01-12T09:10:00Z"],
        [7, "a7", "cancelled", "e1", None, None, None],
        [11, "Encounter/c4", "attended", "e2", "in_person", None, "2026-02-02T09:00:00Z"],
        [12, "Encounter/a1", "attended", "e1", "in_person", None, "2026-02-09T09:00:00Z"]]
    assert [row for row, _ in raw.aside] == [4, 5, 8, 9, 10, 13, 14, 15, 16]
    why = dict(raw.aside)
    assert why[4] == why[16] == "entered in error"
    assert why[9].startswith("an encounter without a link")
    assert why[15].startswith("an encounter of an appointment that was missed")


def test_two_appointments_of_one_day_are_never_guessed_apart(export):
    raw = canonical(export(appointment("a1", "booked", "2026-01-05T09:00:00Z"),
                           appointment("a2", "booked", "2026-01-05T14:00:00Z"),
                           encounter("c1", "finished", "2026-01-05T14:00:00Z")))["visits"]
    assert rows(raw, "visit_id", "status") == [["a1", "booked"], ["a2", "booked"], ["Encounter/c1", "attended"]]


def test_a_visit_without_a_link_belongs_to_an_episode_only_where_one_holds_its_day(export):
    second = EPISODES[1] | {"id": "e9", "period": {"start": "2026-03-01"}}
    raw = canonical(export(*EPISODES[:2], second,
                           encounter("c1", "finished", "2026-01-04T09:00:00Z"),              # a day before e1
                           encounter("c2", "finished", "2026-01-03T09:00:00Z"),              # two days before
                           encounter("c3", "finished", "2026-03-05T09:00:00Z", patient="p2"),  # in e2 and e9
                           ), CODES)["visits"]
    assert rows(raw, "episode_id") == [["e1"], [None], [None]]


def test_the_latest_version_of_a_score_counts_and_unknown_codes_are_counted(export):
    issued = "2026-01-05T1{}:00:00Z"
    raw = canonical(export(
        *EPISODES,
        observation("o1", "72100-1", 20, "2026-01-05", issued=issued.format(0)),                           # 1
        observation("o2", "72100-1", 21.5, "2026-01-05", status="corrected", issued=issued.format(2)),     # 2
        observation("o3", "72100-1", 99, "2026-01-05", status="entered-in-error", issued=issued.format(3)),  # 3
        observation("o4", "72100-1", 14, "2026-02-16"),                                                    # 4
        observation("o5", "72100-1", 14, "2026-02-16", status="cancelled"),                                # 5
        {k: v for k, v in observation("o6", "72100-1", 0, "2026-02-17").items() if k != "valueQuantity"}   # 6
        | {"dataAbsentReason": coded("asked-declined")},
        observation("o7", "panel", 0, "2026-01-06", component=[{"code": coded("local-lefs"), "valueInteger": 40}]),  # 7
        *(observation(f"x{number}", "8867-4", 70, "2026-01-06") for number in range(11)),                  # 8 to 18
        observation("y", "rare", 70, "2026-01-06"),                                                        # 19
    ), CODES)["assessments"]
    assert rows(raw, "_row", "measure_code", "score", "date", "missing_reason", "episode_id") == [
        [2, "tug", "21.5", "2026-01-05", None, "e1"], [4, "tug", "14", "2026-02-16", None, "e1"],
        [6, "tug", None, "2026-02-17", "refused", "e1"], [7, "lefs", "40", "2026-01-06", None, "e1"]]
    why = dict(raw.aside)
    assert why[1] == "an earlier version of the same score"
    assert why[3] == "entered in error" and why[5].startswith("not a result")
    assert {why[row] for row in range(8, 19)} == {"the code 8867-4 is not among the measures in `codes:`"}
    assert why[19] == "its code is not among the measures in `codes:`"  # a rare code is not named


def test_answers_of_a_questionnaire_give_scores_unless_an_observation_has_them(export):
    def response(number: str, status: str) -> dict:
        return {"resourceType": "QuestionnaireResponse", "id": number, "status": status,
                "authored": "2026-01-05T10:00:00Z", "questionnaire": "http://example.org/tug|2.0",
                "subject": ref("Patient", "007"), "source": ref("RelatedPerson", "r"),
                "item": [{"linkId": "group", "item": [{"linkId": "/72100-1", "answer": [{"valueDecimal": 20.5}]}]}]}

    raw = canonical(export(response("q1", "completed"), response("q2", "stopped"), response("q3", "amended"),
                           observation("o1", "72100-1", 12, "2026-01-05",
                                       derivedFrom=[ref("QuestionnaireResponse", "q3")])), CODES)["assessments"]
    assert rows(raw, "_row", "score", "measure_version", "respondent") == [[1, "12", None, None],
                                                                          [2, "20.5", "2.0", "proxy"]]
    assert dict(raw.aside) == {3: "not a result: registered, cancelled, unknown, in progress or stopped",
                               4: "the same score is there as an Observation"}


def test_referrals_are_requests_that_an_episode_names_or_a_declared_code(export):
    def request(number: str, code: str, status: str = "active") -> dict:
        return {"resourceType": "ServiceRequest", "id": number, "status": status, "code": coded(code),
                "subject": ref("Patient", "007"), "authoredOn": "2026-01-02T08:00:00Z"}

    raw = canonical(export(*EPISODES, request("r1", "unclear", "completed"), request("r2", "91251008"),
                           request("r3", "x-ray"), request("r4", "91251008", "entered-in-error")), CODES)["referrals"]
    assert rows(raw, "referral_id", "received_date", "discipline", "status") == [
        ["r1", "2026-01-02", "PT", "converted"], ["r2", "2026-01-02", "PT", "open"]]
    assert [row for row, _ in raw.aside] == [3, 4]


def test_files_in_parts_gzip_and_a_broken_line_keep_their_line_numbers(tmp_path):
    (tmp_path / "Patient.000.ndjson").write_text('{"resourceType": "Patient", "id": "a"}\n{"resourceType": "Pat\n')
    (tmp_path / "Patient.001.ndjson.gz").write_bytes(gzip.compress(b'\n{"resourceType": "Patient", "id": "b"}\n'))
    raw = canonical(tmp_path)["patients"]
    assert raw.file == "Patient.000.ndjson, Patient.001.ndjson.gz"
    assert rows(raw, "patient_id", "_row") == [["a", 1], ["b", 4]]
    assert raw.aside == ((2, "a line that is not one JSON resource"),)


@pytest.mark.parametrize("wrong", [{"id": 7}, {"status": ["active"]}, {"type": [coded(7)]},
                                   {"period": {"start": ["2026-01-12"]}}])
def test_a_number_or_a_list_in_place_of_a_text_breaks_its_line_only(tmp_path, wrong):      # found by the fuzz study
    lines = [PATIENTS[0], EPISODES[0], EPISODES[1] | wrong]
    (tmp_path / "all.ndjson").write_text("\n".join(map(json.dumps, lines)))
    tables = canonical(tmp_path, CODES)
    assert tables["episodes"].table["episode_id"].to_pylist() == ["e1"]
    assert tables["patients"].aside == ((3, "a line that is not one JSON resource"),)


def test_a_folder_of_resources_is_a_dataset_and_its_mapping_declares_the_codes(export):
    folder = export(*PATIENTS, *EPISODES, encounter("c1", "finished", "2026-01-05T09:05:00Z"),
                    encounter("c2", "finished", "2026-02-16T09:05:00Z"), observation("o1", "72100-1", 20, "2026-01-05"),
                    observation("o4", "72100-1", 14.5, "2026-02-16"))
    (folder / "mapping.yml").write_text('version: 1\ncodes: {"72100-1": tug, "91251008": PT}\n')
    assert sources.shape(folder) == "fhir"
    dataset = read_dataset(folder)
    episodes = dataset.facts.episodes
    assert episodes[["discipline", "n_attended", "sex"]].to_numpy().tolist() == [["PT", 2, "female"], ["PT", 0, "male"]]
    assert dataset.facts.scores[["baseline", "final"]].to_numpy().tolist() == [[20, 14.5]]
    assert dataset.quality.verdict.startswith("usable")
    tables = dataset.quality.tables
    assert (tables["rows_in"] == tables[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)).all()
    (folder / "mapping.yml").write_text("version: 1\ncodes: {72100-1: tugg}\n")
    with pytest.raises(DataError, match="mapping.yml, line 2: a code must stand for .* not 'tugg'. Did you mean tug"):
        read_dataset(folder)


def test_ndjson_without_resources_is_refused(tmp_path):
    (tmp_path / "other.ndjson").write_text('{"resourceType": "Device", "id": "1"}\n')
    with pytest.raises(DataError, match="holds none of the FHIR resources that are read: Patient"):
        read_dataset(tmp_path)
    (tmp_path / "other.ndjson").write_text('{"a": \n')
    with pytest.raises(DataError, match="other.ndjson: line 1 is not one JSON resource"):
        read_dataset(tmp_path)
