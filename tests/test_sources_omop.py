"""An OMOP 5.4 database, written by hand, becomes canonical tables; from files and from DuckDB alike."""

from __future__ import annotations

import io

import duckdb
import pandas as pd
import pytest

from therapyeval.data import read_dataset, sources
from therapyeval.data.sources.omop import canonical
from therapyeval.errors import DataError

CODES = {"PT care": "PT", "LEFS total": "lefs", "3005061": "tug", "NOSHOW": "no_show", "MCR": "medicare_ffs",
         "physio": "PT"}
MODEL = {
    "person": """
        person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,race_concept_id,location_id
        1,8532,1960,2,9,,8527,10
        2,8507,1971,,,,0,""",
    "location": "location_id,zip\n10,02139",
    "death": "person_id,death_date\n1,2026-05-01",
    "episode": """
        episode_id,person_id,episode_concept_id,episode_start_date,episode_end_date,episode_parent_id,episode_object_concept_id,episode_source_value
        100,1,32531,2026-01-05,2026-02-16,,0,PT care
        101,1,32531,2026-03-20,,100,0,PT care
        102,2,32533,2026-01-01,,,0,lung cancer""",
    "episode_event": """
        episode_id,event_id,episode_event_field_concept_id
        100,1000,1147070
        100,1001,1147070
        101,1003,1147127
        101,5002,1147138""",
    "visit_occurrence": """
        visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_datetime,provider_id,care_site_id,discharged_to_source_value
        1000,1,9202,2026-01-05,2026-01-05 09:30:00,2026-01-05 10:15:00,7,70,
        1001,1,722455,2026-02-16,2026-02-16 00:00:00,2026-02-16 00:00:00,7,70,01
        1002,1,9201,2026-02-20,2026-02-20 00:00:00,,,71,
        1003,1,581476,2026-03-20,,,7,70,""",
    "measurement": """
        measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number,provider_id,visit_occurrence_id,measurement_source_value
        5000,1,0,2026-01-05,40,7,1000,LEFS total
        5001,1,3005061,2026-02-16,14.5,,1001,
        5002,1,0,2026-03-21,55,,,LEFS total
        5003,1,3025315,2026-01-05,70,,,weight""",
    "observation": """
        observation_id,person_id,observation_concept_id,observation_date,observation_datetime,value_as_number,provider_id,visit_occurrence_id,observation_source_value
        9000,1,0,2026-01-12,2026-01-12 09:30:00,,7,,NOSHOW
        9001,1,0,2026-01-12,,,,,smoker
        9002,1,0,2026-02-16,,52,,1001,LEFS total""",
    "procedure_occurrence": """
        procedure_occurrence_id,person_id,procedure_date,quantity,visit_occurrence_id,procedure_source_value,modifier_source_value
        8000,1,2026-01-05,3,1000,97110,GP
        8001,1,2026-01-05,,1000,97161,GP
        8002,1,2026-02-16,1,1001,knee,
        8003,1,2026-02-16,1,1001,g0283,GP;KX
        8004,1,2026-02-16,2,,97110,""",
    "payer_plan_period": """
        person_id,payer_plan_period_start_date,payer_plan_period_end_date,payer_source_value
        1,2025-01-01,2025-12-31,OTHER
        1,2026-01-01,2026-12-31,MCR""",
    "provider": "provider_id,specialty_source_value,specialty_concept_id,care_site_id\n7,physio,0,70",
    "care_site": "care_site_id,care_site_name,place_of_service_source_value\n70,North,clinic\n71,Hospital,hospital",
}


def lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def as_files(folder):
    for name, text in MODEL.items():
        (folder / f"{name.upper()}.csv").write_text(lines(text))
    return folder, 2


def as_database(folder):
    with duckdb.connect(str(folder / "cdm.duckdb")) as connection:
        for name, text in MODEL.items():
            frame = pd.read_csv(io.StringIO(lines(text)), dtype={"zip": str, "discharged_to_source_value": str})  # noqa: F841
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    return folder / "cdm.duckdb", 1


@pytest.fixture(params=[as_files, as_database])
def place(request, tmp_path):
    """Where the database lies, and the number of a first row."""
    return request.param(tmp_path)


def rows(raw: sources.Raw, *columns: str) -> list[list]:
    return [[row[name] for name in columns] for row in raw.table.to_pylist()]


def test_patients_have_birth_sex_and_death(place):
    raw = canonical(place[0], CODES)["patients"]
    assert rows(raw, "patient_id", "birth_date", "birth_year", "sex", "race_ethnicity", "zip3", "death_date") == [
        ["1", "1960-02-09", "1960", "female", "White", "021", "2026-05-01"],
        ["2", None, "1971", "male", None, None, None]]


def test_episodes_of_declared_codes_have_site_disposition_and_the_payer_at_their_start(place):
    raw = canonical(place[0], CODES)["episodes"]
    assert rows(raw, "episode_id", "discipline", "start_date", "discharge_date", "status", "previous_episode_id",
                "site_id", "disposition", "payer_class") == [
        ["100", "PT", "2026-01-05", "2026-02-16", "finished", None, "70", "01", "medicare_ffs"],
        ["101", "PT", "2026-03-20", None, "active", "100", "70", None, "medicare_ffs"]]
    assert raw.aside == ((place[1] + 2, "an episode of something else: its codes are not in `codes:`"),)


def test_visits_are_occurrences_and_the_missed_ones_observations(place):
    raw, first = canonical(place[0], CODES)["visits"], place[1]
    assert rows(raw, "visit_id", "episode_id", "status", "mode", "scheduled_start", "_row") == [
        ["1000", "100", "attended", "in_person", raw.table["scheduled_start"][0].as_py(), first],
        ["1001", "100", "attended", "telehealth", "2026-02-16", first + 1],
        ["1003", "101", "attended", "home", "2026-03-20", first + 3],  # no event names it: the only open episode
        ["observation/9000", "100", "no_show", None, raw.table["scheduled_start"][3].as_py(), first + 3 + first]]
    assert [text[:16].replace("T", " ") for text in raw.table["scheduled_start"].to_pylist()[::3]] == [
        "2026-01-05 09:30", "2026-01-12 09:30"]
    assert raw.aside == ((first + 2, "a hospital stay or emergency, no visit"),)


def test_scores_are_measurements_and_observations_of_declared_codes(place):
    raw = canonical(place[0], CODES)["assessments"]
    found = [[a, b, float(c), d, e] for a, b, c, d, e in rows(raw, "measure_code", "episode_id", "score", "date",
                                                              "assessment_id")]
    assert found == [["lefs", "100", 40, "2026-01-05", "measurement/5000"],
                     ["tug", "100", 14.5, "2026-02-16", "measurement/5001"],
                     ["lefs", "101", 55, "2026-03-21", "measurement/5002"],
                     ["lefs", "100", 52, "2026-02-16", "observation/9002"]]
    assert [why for _, why in raw.aside] == ["its code is not among the measures in `codes:`"] * 2


def test_a_column_in_capitals_and_in_small_letters_is_refused(tmp_path):                   # found by the fuzz study
    where, _ = as_files(tmp_path)
    path = where / "MEASUREMENT.csv"
    path.write_text(path.read_text().replace("provider_id", "VALUE_AS_NUMBER"))
    with pytest.raises(DataError, match="MEASUREMENT.csv has the column 'VALUE_AS_NUMBER' twice"):
        canonical(where, CODES)


def test_charges_are_procedures_with_a_cpt_code(place):
    raw = canonical(place[0], CODES)["charges"]
    assert [[a, b, float(c), d, e] for a, b, c, d, e in rows(raw, "visit_id", "cpt", "units", "modifiers",
                                                             "billed_date")] == [
        ["1000", "97110", 3, "GP", "2026-01-05"], ["1000", "97161", 1, "GP", "2026-01-05"],
        ["1001", "G0283", 1, "GP;KX", "2026-02-16"], [None, "97110", 2, None, "2026-02-16"]]
    assert raw.aside == ((place[1] + 2, "procedure_source_value is no CPT code"),)


def test_the_database_is_a_dataset_whose_rows_all_add_up(place, tmp_path):
    where, _ = place
    mapping = tmp_path / "codes.yml"
    mapping.write_text("version: 1\ncodes: {" + ", ".join(f'"{code}": {word}' for code, word in CODES.items()) + "}\n")
    assert sources.shape(where) == "omop"
    dataset = read_dataset(where, mapping=mapping)
    episodes = dataset.facts.episodes[["site_id", "n_attended", "n_no_show"]]
    assert episodes.to_numpy().tolist() == [["70", 2, 1], ["70", 1, 0]]
    scores = dataset.facts.scores.set_index(["episode", "measure"])
    assert scores.loc[(0, "lefs"), ["baseline", "final"]].tolist() == [40, 52]
    tables = dataset.quality.tables
    assert (tables["rows_in"] == tables[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)).all()
    assert set(tables["table"]) == {"patients", "episodes", "visits", "assessments", "charges", "staff", "sites"}
    charges = tables.set_index("table").loc["charges"]      # one names no visit, one has no CPT code
    assert charges[["rows_in", "in_facts", "quarantined", "left_out"]].tolist() == [5, 3, 1, 1]


def test_scores_of_a_visit_whose_rows_say_two_episodes_go_by_their_date(tmp_path):
    where, _ = as_files(tmp_path)
    visits = where / "VISIT_OCCURRENCE.csv"
    visits.write_text(visits.read_text() + "1001,1,722455,2026-03-22,2026-03-22 09:00:00,,7,70,\n"    # in both episodes
                      "1003,1,581476,2026-03-20,,,7,70,\n1003,2,581476,2026-03-20,,,7,70,\n")
    events = where / "EPISODE_EVENT.csv"
    events.write_text(events.read_text().replace("100,1001,1147070", "999,999,1147070"))
    raw = canonical(where, CODES)["assessments"]
    assert dict(zip(raw.table["assessment_id"].to_pylist(), raw.table["episode_id"].to_pylist(), strict=True)) == {
        "measurement/5000": "100", "measurement/5001": "100", "measurement/5002": "101", "observation/9002": "100"}
