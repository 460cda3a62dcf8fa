"""Episodes derived from visits that name none, and what is merged: every row in sight, worked out by hand."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from conftest import text_table

from therapyeval.data import read_dataset
from therapyeval.data.importing import import_dataset

CUT = "2026-06-30"


@pytest.fixture
def read(tmp_path):
    """Reads canonical tables in sight: columns aligned, `-` is missing; patient p1, PT and attended unless said."""
    defaults = {"visits": {"patient_id": "p1", "status": "attended", "discipline": "PT"},
                "episodes": {"patient_id": "p1", "discipline": "PT", "site_id": "north", "status": "active"},
                "assessments": {"patient_id": "p1", "measure_code": "lefs", "timepoint": None}}

    def build(mapping: str = "", **tables: str):
        for name, text in tables.items():
            frame = text_table(text).astype("object")
            frame = frame.assign(**{key: value for key, value in defaults.get(name, {}).items() if key not in frame})
            if name == "visits":
                frame["visit_id"] = [f"v{row}" for row in range(len(frame))]
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "mapping.yml").write_text("version: 1\n" + mapping, encoding="utf-8")
        return read_dataset(tmp_path, data_cut=CUT)
    return build


def spans(dataset) -> list[tuple]:
    """patient, start, end and attended visits of each episode of the facts, as text."""
    facts = dataset.facts.episodes.sort_values(["patient", "start_date"])
    return [(row.patient, f"{row.start_date:%m-%d}", "open" if pd.isna(row.end_date) else f"{row.end_date:%m-%d}",
             row.n_attended) for row in facts.itertuples()]


def told(dataset) -> dict[str, tuple]:
    """Notes on derived and merged episodes and on visits without one: count and file rows by the first words."""
    problems = dataset.quality.problems
    return {f"{row.file}: {re.split('[:;,]', row.rule)[0]}": (row.count, row.rows)
            for row in problems.itertuples()}


def holds(dataset) -> dict[str, tuple]:
    """rows_in, in_facts, quarantined, merged, left_out by file; the first is the sum of the others."""
    tables = dataset.quality.tables
    assert (tables["rows_in"] == tables[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)).all()
    names = ["rows_in", "in_facts", "quarantined", "merged", "left_out"]
    return {row["file"]: tuple(row[names]) for _, row in tables.iterrows()}


DERIVED = "derived from visits"


@pytest.mark.parametrize(("gap", "expected"), [
    (30, [(0, "01-05", "02-06", 3), (0, "03-09", "03-09", 1)]),    # 30 days are one episode, 31 are two
    (60, [(0, "01-05", "03-09", 4)]),
    (0, [(0, "01-05", "01-05", 1), (0, "01-07", "01-07", 1), (0, "02-06", "02-06", 1), (0, "03-09", "03-09", 1)])])
def test_a_new_episode_begins_after_a_gap_between_attended_visits(read, gap, expected):
    found = read(mapping=f"reopen_gap_days: {gap}\n", visits="""
        scheduled_start  visit_type
        2026-01-05       evaluation
        2026-01-07       treatment
        2026-02-06       treatment
        2026-03-09       treatment""")
    assert spans(found) == expected
    assert holds(found) == {"visits.csv": (4, 4, 0, 0, 0), DERIVED: (len(expected), len(expected), 0, 0, 0)}


def test_every_patient_discipline_and_region_is_a_line_of_its_own(read):
    found = read(visits="""
        patient_id  scheduled_start  discipline  body_region  site_id
        p1          2026-01-05       PT          knee         north
        p1          2026-01-06       PT          hip          north
        p1          2026-01-07       OT          hip          north
        p1          2026-01-12       PT          knee         south
        p2          2026-01-12       PT          knee         south""")
    facts = found.facts.episodes
    assert facts[["patient", "discipline", "body_region", "site_id", "n_attended"]].to_numpy().tolist() == [
        [0, "OT", "hip", "north", 1], [0, "PT", "hip", "north", 1],
        [0, "PT", "knee", "north", 2],      # went on at another site: that where it began
        [1, "PT", "knee", "south", 1]]


def test_the_start_is_the_first_evaluation_and_without_one_the_first_visit_which_is_told(read):
    found = read(visits="""
        patient_id  scheduled_start  visit_type
        p1          2026-01-05       treatment
        p1          2026-01-07       evaluation
        p2          2026-01-12       treatment
        p2          2026-01-09       treatment""")
    assert spans(found) == [(0, "01-07", "01-07", 2), (1, "01-09", "01-12", 2)]
    assert told(found)[f"{DERIVED}: derived"] == (1, "5")
    assert told(found)[f"{DERIVED}: visits that name no episode"] == (2, "2, 5")


def test_an_evaluation_for_another_group_of_diagnoses_begins_an_episode(read):
    found = read(visits="""
        scheduled_start  visit_type  primary_dx
        2026-01-05       evaluation  M25.561
        2026-01-12       treatment   -
        2026-01-19       evaluation  M54.5
        2026-01-26       treatment   G35
        2026-02-02       evaluation  S83.511D
        2026-02-09       treatment   S83.511D""")
    # another code of one group begins none, nor does a treatment; both stay apart although 7 days lie between
    assert spans(found) == [(0, "01-05", "01-26", 4), (0, "02-02", "02-09", 2)]
    assert found.facts.episodes["primary_dx"].tolist() == ["M25.561", "S83.511D"]


def test_missed_and_booked_appointments_belong_to_the_episode_that_they_follow(read):
    found = read(visits="""
        scheduled_start  status
        2025-12-29       no_show
        2026-05-04       attended
        2026-05-04       clinic_cancel
        2026-05-11       no_show
        2026-06-04       no_show
        2026-07-02       booked""")
    row = found.facts.episodes.iloc[0]
    # a missed first evaluation has none; 4 June is 31 days after the last visit
    assert (row["n_attended"], row["n_no_show"], row["n_clinic_cancel"], row["n_booked"]) == (1, 1, 1, 0)
    assert len(found.facts.episodes) == 1
    frame, _ = found.facts.appointments.counts((), numerator={"no_show"}, denominator={"attended", "no_show"})
    assert frame.loc[0, ["a", "b"]].tolist() == [3, 4]          # attendance counts all of them


def test_a_booking_keeps_a_derived_episode_open(read):
    visits = """
        scheduled_start  status
        2026-06-02       attended
        2026-07-02       {}"""
    assert spans(read(visits=visits.format("booked"))) == [(0, "06-02", "open", 1)]
    late = "scheduled_start\n2026-05-01"
    assert spans(read(visits=late)) == [(0, "05-01", "05-01", 1)]      # 60 days before the data cut
    assert spans(read(visits=late.replace("01", "02"))) == [(0, "05-02", "open", 1)]


def test_what_was_not_attended_by_the_data_cut_or_was_not_billable_makes_no_episode(read):
    found = read(visits="""
        scheduled_start  status            billable
        2026-01-05       no_show           -
        2026-01-05       deleted           -
        2026-01-06       attended          no
        2026-07-02       attended          -""")
    assert len(found.facts.episodes) == 0 and DERIVED not in holds(found)


def test_the_discipline_is_that_of_the_clinician_or_the_only_one_of_the_patient(read):
    found = read(
        staff="""
            staff_id  discipline
            s1        OT
            s2        -""",
        visits="""
            patient_id  scheduled_start  staff_id  discipline  body_region
            p1          2026-01-05       s1        -           shoulder
            p1          2026-01-12       s2        -           -
            p2          2026-01-05       s1        -           -
            p2          2026-01-06       s2        PT          -
            p2          2026-01-12       s2        -           -
            p3          2026-01-12       s2        -           -""")
    facts = found.facts.episodes
    assert facts[["patient", "discipline", "n_attended"]].to_numpy().tolist() == [
        [0, "OT", 2], [1, "OT", 1], [1, "PT", 1]]
    assert facts["body_region"].fillna("none").tolist() == ["shoulder", "none", "none"]
    assert told(found)["visits.csv: attended and names no episode"] == (2, "6, 7")     # of p2 and p3: counts without
    assert holds(found)["visits.csv"] == (6, 6, 0, 0, 0)


def test_a_visit_in_one_of_several_regions_stays_without_an_episode(read):
    found = read(visits="""
        scheduled_start  body_region
        2026-01-05       knee
        2026-01-06       hip
        2026-01-12       -""")
    assert found.facts.episodes["n_attended"].tolist() == [1, 1]
    assert told(found)["visits.csv: attended and names no episode"] == (1, "4")


EPISODES = """
    episode_id  start_date  discharge_date  body_region  planned_visits  payer_class
    e1          2026-01-10  2026-02-10      knee         8               medicaid"""


def test_a_visit_on_a_day_that_one_episode_holds_belongs_to_it(read):
    found = read(episodes=EPISODES, visits="""
        episode_id  scheduled_start  discipline
        e1          2026-01-10       -
        -           2026-01-09       -
        -           2026-02-11       -
        -           2026-01-20       OT
        other       2026-01-21       -""")
    assert spans(found) == [(0, "01-10", "02-10", 3), (0, "01-20", "01-20", 1)]
    assert told(found)["visits.csv: attended and names no episode"] == (2, "3, 4")
    assert told(found)["visits.csv: unknown episode_id"] == (1, "6")
    assert holds(found) == {"episodes.csv": (1, 1, 0, 0, 0), "visits.csv": (5, 5, 0, 0, 0), DERIVED: (1, 1, 0, 0, 0)}


def test_derived_episodes_are_merged_like_others_and_the_source_describes_them(read):
    found = read(episodes=EPISODES, visits="""
        episode_id  scheduled_start  site_id
        e1          2026-01-10       north
        -           2026-01-05       north
        -           2026-03-12       north
        -           2026-04-12       south""")
    # 5 days before e1 and 30 after its end: one chain; 31 days later: another episode
    assert spans(found) == [(0, "01-05", "03-12", 3), (0, "04-12", "04-12", 1)]
    first = found.facts.episodes.sort_values("start_date").iloc[0]
    assert (first["payer_class"], first["planned_visits"], first["n_merged"]) == ("medicaid", 8, 2)
    assert holds(found) == {"episodes.csv": (1, 1, 0, 0, 0), "visits.csv": (4, 4, 0, 0, 0), DERIVED: (3, 1, 0, 2, 0)}
    assert told(found)[f"{DERIVED}: re-opened"] == (2, "3, 4")


def test_an_episode_that_goes_on_at_another_site_is_one_and_counted_as_a_transfer(read):
    found = read(episodes="""
        episode_id  start_date  discharge_date  site_id  reason
        e1          2026-01-05  2026-02-02      north    transferred
        e2          2026-01-28  2026-03-02      south    goals_met
        e3          2026-03-16  2026-03-30      north    plateau""")
    row = found.facts.episodes.iloc[0]
    assert (row["site_id"], row["reason"], row["n_merged"], row["days"]) == ("north", "plateau", 2, 84)
    assert told(found)["episodes.csv: transferred to another site"] == (1, "3")
    assert told(found)["episodes.csv: re-opened"] == (1, "4")
    assert holds(found) == {"episodes.csv": (3, 1, 0, 2, 0)}


def test_a_derived_episode_of_more_than_730_days_is_set_aside(read):
    days = pd.date_range("2024-01-01", "2026-04-20", freq="14D").strftime("%Y-%m-%d")
    found = read(visits="\n".join(["scheduled_start", *days]))
    assert len(found.facts.episodes) == 0 and holds(found)[DERIVED] == (1, 0, 1, 0, 0)
    assert holds(found)["visits.csv"] == (len(days), len(days), 0, 0, 0)


def test_scores_without_an_episode_follow_the_one_that_holds_their_day(read):
    found = read(
        visits="""
            scheduled_start  visit_type
            2026-01-12       evaluation
            2026-02-09       treatment
            2026-04-06       evaluation
            2026-05-01       treatment""",
        assessments="""
            date        score
            2026-01-05  30
            2026-02-16  45
            2026-02-17  46
            2026-04-06  20
            2026-05-01  38""")
    assert found.facts.scores[["baseline", "final", "why_unpaired"]].to_numpy().tolist() == [
        [30, 45, ""], [20, 38, ""]]
    assert holds(found)["assessments.csv"] == (5, 4, 0, 0, 1)           # 17 February is 8 days after the last visit


def test_an_import_of_visits_without_episodes_gives_the_same_facts(read, tmp_path):
    first = read(visits="""
        patient_id  scheduled_start  body_region  primary_dx
        p1          2026-01-05       knee         M25.561
        p1          2026-03-09       knee         M25.561
        p2          2026-01-12       hip          -""")
    import_dataset(tmp_path, tmp_path.parent / f"{tmp_path.name}_imported")        # refuses where the facts differ
    again = read_dataset(tmp_path.parent / f"{tmp_path.name}_imported", data_cut=CUT)
    assert spans(again) == spans(first) and holds(again)[DERIVED] == (3, 3, 0, 0, 0)
