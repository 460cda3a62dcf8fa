"""Canonical tables to facts: effective end, merging, pairs of scores, referrals. Worked out by hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from conftest import text_table

from therapyeval.data import read_dataset
from therapyeval.errors import DataError

CUT = "2026-06-30"


@pytest.fixture
def read(tmp_path):
    """Reads canonical tables in sight: columns aligned, `-` is missing; what is not given gets a plain default."""
    defaults = {
        "episodes": {"discipline": "PT", "site_id": "north", "body_region": "knee", "status": "active"},
        "visits": {"status": "attended", "visit_type": "treatment"},
        "assessments": {"measure_code": "lefs", "timepoint": "-"},
        "referrals": {"discipline": "PT", "status": "open"}, "enrollment": {"protocol": "pilot"}}

    def build(mapping: str = "", data_cut: str | None = CUT, **tables: str):
        for name, text in tables.items():
            frame = text_table(text).astype("object")
            for column, value in defaults.get(name, {}).items():
                if column not in frame:
                    frame[column] = None if value == "-" else value
            if name in ("episodes", "visits", "assessments", "referrals") and "patient_id" not in frame:
                frame["patient_id"] = "p1"
            for table, key in (("visits", "visit_id"), ("assessments", "assessment_id"), ("referrals", "referral_id")):
                if name == table and key not in frame:
                    frame[key] = [f"{table}{row}" for row in range(len(frame))]
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "mapping.yml").write_text("version: 1\n" + mapping, encoding="utf-8")
        return read_dataset(tmp_path, data_cut=data_cut)
    return build


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def counts(dataset, table: str) -> dict[str, int]:
    """rows_in, in_facts, quarantined, merged, left_out of a table."""
    row = dataset.quality.tables.set_index("table").loc[table]
    return {name: int(row[name]) for name in ("rows_in", "in_facts", "quarantined", "merged", "left_out")}


# --- effective end ------------------------------------------------------------------------------------------------

def test_the_end_is_the_discharge_else_the_last_visit_of_a_stale_episode_else_none(read):
    episodes = read(
        episodes="""
            episode_id  patient_id  start_date
            done        p1          2026-01-05
            stale       p2          2026-01-05
            recent      p3          2026-01-05
            booked      p4          2026-01-05
            never_seen  p5          2026-01-05""",
        discharges="""
            episode_id  discharge_date  reason      goals_met_pct
            done        2026-02-02      goals_met   90""",
        visits="""
            episode_id  patient_id  scheduled_start  status
            done        p1          2026-01-05       attended
            stale       p2          2026-05-01       attended
            stale       p2          2026-06-01       no_show
            recent      p3          2026-05-02       attended
            booked      p4          2026-03-01       attended
            booked      p4          2026-07-01       booked""").facts.episodes
    found = dict(zip(["booked", "done", "never_seen", "recent", "stale"],  # numbered in the order of their ids
                     episodes[["end_date", "closed_admin", "days"]].itertuples(index=False, name=None), strict=True))
    assert found["done"] == (day("2026-02-02"), False, 28.0)
    assert found["stale"] == (day("2026-05-01"), True, 116.0)  # 60 days before the cut: closed
    for name in ("recent", "booked", "never_seen"):  # 59 days; booked ahead; no visit at all
        assert pd.isna(found[name][0]) and found[name][1] is False and pd.isna(found[name][2])


def test_what_happens_after_the_data_cut_has_not_happened(read):
    dataset = read(
        episodes="""
            episode_id  start_date  body_region
            a           2026-06-01  knee
            b           2026-07-01  hip""",
        discharges="""
            episode_id  discharge_date  reason
            a           2026-07-10      goals_met""",
        visits="""
            episode_id  scheduled_start  status
            a           2026-06-01       attended
            a           2026-07-05       attended
            a           2026-07-06       booked""",
        assessments="""
            episode_id  date        score
            a           2026-06-01  30
            a           2026-07-05  60""")
    row = dataset.facts.episodes.iloc[0]
    assert pd.isna(row["end_date"]) and pd.isna(row["reason"])
    assert (row["n_attended"], row["n_booked"], row["last_visit_date"]) == (1, 1, day("2026-06-01"))
    assert counts(dataset, "episodes") == {"rows_in": 2, "in_facts": 1, "quarantined": 0, "merged": 0, "left_out": 1}
    assert counts(dataset, "assessments")["left_out"] == 1
    assert counts(dataset, "discharges")["left_out"] == 1
    assert dataset.facts.scores.loc[0, "why_unpaired"] == "no_final"


def test_the_data_cut_is_the_latest_attended_visit_discharge_or_assessment(read):
    tables = {"episodes": """
                  episode_id  start_date
                  a           2026-01-05""",
              "visits": """
                  episode_id  scheduled_start  status
                  a           2026-01-05       attended
                  a           2026-03-01       no_show
                  a           2026-04-01       booked"""}
    assert read(data_cut=None, **tables).data_cut == day("2026-01-05")
    assert read(data_cut=None, mapping="data_cut: 2026-02-01\n", **tables).data_cut == day("2026-02-01")
    assert read(data_cut="2026-03-15", mapping="data_cut: 2026-02-01\n", **tables).data_cut == day("2026-03-15")


# --- merging ------------------------------------------------------------------------------------------------------

def test_reopened_episodes_are_one_first_start_last_end_last_reason_all_visits(read):
    dataset = read(
        patients="""
            patient_id  birth_date
            p1          1956-01-06""",
        episodes="""
            episode_id  start_date  site_id  planned_visits
            e1          2026-01-05  north    8
            e2          2026-03-04  south    4
            e3          2026-04-30  south    4""",
        discharges="""
            episode_id  discharge_date  reason
            e1          2026-02-02      plateau
            e2          2026-03-31      hospitalized
            e3          2026-05-20      goals_met""",
        visits="""
            episode_id  scheduled_start
            e1          2026-01-05
            e2          2026-03-04
            e3          2026-05-11""",
        assessments="""
            episode_id  date        score
            e1          2026-01-05  30
            e3          2026-05-11  54""",
        enrollment="""
            patient_id  episode_id  arm
            p1          e2          usual""")
    # gaps 30 days (2 February to 4 March) and 30 days (31 March to 30 April): a chain of three
    row = dataset.facts.episodes.iloc[0]
    assert len(dataset.facts.episodes) == 1
    assert (row["start_date"], row["end_date"], row["reason"]) == (day("2026-01-05"), day("2026-05-20"), "goals_met")
    assert (row["n_attended"], row["n_merged"], row["planned_visits"], row["site_id"]) == (3, 2, 16, "north")
    assert (row["arm"], row["age"]) == ("usual", 69.0)  # one day before the 70th birthday
    assert dataset.facts.scores.loc[0, ["baseline", "final", "why_unpaired"]].tolist() == [30.0, 54.0, ""]
    assert counts(dataset, "episodes")["merged"] == 2


def test_a_gap_of_31_days_another_region_or_another_discipline_is_another_episode(read):
    episodes = read(
        episodes="""
            episode_id  start_date  discipline  body_region
            e1          2026-01-05  PT          knee
            e2          2026-03-05  PT          knee
            e3          2026-02-05  PT          hip
            e4          2026-02-05  OT          knee""",
        discharges="""
            episode_id  discharge_date  reason
            e1          2026-02-02      plateau""").facts.episodes
    assert len(episodes) == 4


def test_the_gap_that_merges_is_set_in_the_mapping(read):
    tables = {"episodes": """
                  episode_id  start_date  discharge_date
                  e1          2026-01-05  2026-02-02
                  e2          2026-02-03  2026-03-05"""}
    assert len(read(**tables).facts.episodes) == 1
    assert len(read(mapping="reopen_gap_days: 0\n", **tables).facts.episodes) == 2


def test_an_open_episode_takes_in_what_starts_beside_it_and_stays_open(read):
    episodes = read(
        episodes="""
            episode_id  start_date  discharge_date  reason
            e1          2026-05-01  -               -
            e2          2026-05-20  2026-06-01      goals_met""",
        visits="""
            episode_id  scheduled_start
            e1          2026-06-20""").facts.episodes
    assert len(episodes) == 1 and pd.isna(episodes.loc[0, "end_date"]) and pd.isna(episodes.loc[0, "reason"])


# --- rows that cannot be used -------------------------------------------------------------------------------------

def test_planned_waiting_cancelled_and_erroneous_episodes_are_left_out(read):
    dataset = read(episodes="""
        episode_id  patient_id  start_date  status
        a           p1          2026-01-05  planned
        b           p2          2026-01-05  waitlist
        c           p3          2026-01-05  cancelled
        d           p4          2026-01-05  entered_in_error
        e           p5          2026-01-05  onhold""")
    assert counts(dataset, "episodes") == {"rows_in": 5, "in_facts": 1, "quarantined": 0, "merged": 0, "left_out": 4}


def test_episodes_without_start_or_of_impossible_length_go_to_quarantine_with_their_row(read):
    dataset = read(
        episodes="""
            episode_id  patient_id  start_date  discharge_date
            seen        p1          -           -
            unseen      p2          -           -
            backward    p3          2026-02-01  2026-01-31
            long        p4          2024-01-01  2026-01-01
            just_long   p5          2024-01-02  2026-01-01""",
        visits="""
            episode_id  patient_id  scheduled_start  visit_type  status
            seen        p1          2026-01-02       treatment   attended
            seen        p1          2026-01-09       evaluation  attended
            unseen      p2          2026-01-09       evaluation  no_show""")
    assert dataset.quality.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [3, "no start_date"], [4, "ends before it starts"], [5, "longer than 730 days"]]
    found = dataset.facts.episodes.set_index("start_date")
    assert list(found.index) == [day("2024-01-02"), day("2026-01-09")]  # the first evaluation, not the first visit
    assert found.iloc[0]["days"] == 730.0


def test_a_bad_attribute_costs_the_attribute_and_a_bad_status_the_row(read):
    dataset = read(
        patients="""
            patient_id  birth_date  sex
            p1          1850-01-01  female
            p2          2030-01-01  male
            p3          1956-07-01  female
            -           1956-07-01  female""",
        episodes="""
            episode_id  patient_id  start_date  payer_class  status
            a           p1          2026-01-05  commercial   active
            b           p2          2026-01-05  gold_plan    active
            c           p3          2026-07-01  medicaid     active
            d           p3          2026-01-05  medicaid     actve
            -           p3          2026-01-05  medicaid     active""", data_cut="2026-12-31")
    episodes = dataset.facts.episodes
    assert episodes["age"].isna().tolist() == [True, True, False] and episodes.loc[2, "age"] == 70.0
    assert episodes["age_band"].isna().tolist() == [True, True, False] and episodes.loc[2, "age_band"] == "65-74"
    assert dataset.cohort(age_band="65-74").facts.episodes["episode"].tolist() == [episodes.loc[2, "episode"]]
    assert episodes["payer_class"].fillna("missing").tolist() == ["commercial", "missing", "medicaid"]
    assert dataset.quality.quarantine[["table", "row", "reason"]].to_numpy().tolist() == [
        ["episodes", 5, "unknown status"], ["episodes", 6, "no episode_id"], ["patients", 5, "no patient_id"]]
    assert counts(dataset, "patients") == {"rows_in": 4, "in_facts": 3, "quarantined": 1, "merged": 0, "left_out": 0}
    assert dataset.quality.verdict == "usable with warnings"


def test_an_unknown_status_is_named_only_when_many_rows_have_it_and_never_when_it_is_long(read):
    codes = ["arrvd"] * 11 + [f"Jane_called_{n}" for n in range(10)] + ["came_late_because_of_the_bus"] * 11
    rows = [f"v{n} 2026-01-05 {code}" for n, code in enumerate([*codes, *["attended"] * 40])]
    dataset = read(visits="\n".join(["visit_id scheduled_start status", *rows]))
    rule = dataset.quality.problems.iloc[0]
    assert rule["rule"] == "unknown status: 'arrvd' (11 rows)" and rule["count"] == 32
    assert "Use one of attended, no_show" in rule["todo"]
    everything = dataset.quality.to_text() + str(dataset.quality.to_dict())
    assert "Jane" not in everything and "bus" not in everything


def test_the_same_row_twice_counts_once_and_one_key_with_two_contents_not_at_all(read):
    dataset = read(visits="""
        visit_id  scheduled_start  status
        v1        2026-01-05       attended
        v1        2026-01-05       attended
        v2        2026-01-06       attended
        v2        2026-01-06       no_show
        v3        2026-01-07       attended""")
    assert counts(dataset, "visits") == {"rows_in": 5, "in_facts": 2, "quarantined": 2, "merged": 1, "left_out": 0}
    assert dataset.quality.quarantine["row"].tolist() == [4, 5]


def test_a_table_that_is_mostly_in_quarantine_is_not_usable(read):
    dataset = read(visits="""
        visit_id  scheduled_start  status
        v1        2026-01-05       attended
        v2        2026-01-06       x
        v3        2026-01-07       y""")
    assert dataset.quality.verdict == "not usable"
    told = json.loads(json.dumps(dataset.quality.to_dict()))
    assert told["tables"] == [{"table": "visits", "file": "visits.csv", "rows_in": 3, "in_facts": 1, "quarantined": 2,
                               "merged": 0, "left_out": 0}]
    assert dataset.quality.problems.iloc[0]["severity"] == "error"


def test_a_needed_column_that_is_absent_is_named_with_the_closest_one(read):
    with pytest.raises(DataError, match=r"visits.csv has no column scheduled_start, .* Did you mean sched_start\?"):
        read(visits="""
            visit_id  sched_start
            v1        2026-01-05""")


def test_tables_that_no_fact_uses_yet_and_files_of_other_names_are_pointed_out(read, tmp_path):
    (tmp_path / "visit.csv").write_text("visit_id\n1\n")
    dataset = read(
        episodes="""
            episode_id  start_date
            a           2026-01-05""",
        fidelity="""
            visit_id  component
            v1        a""")
    assert counts(dataset, "fidelity") == {"rows_in": 1, "in_facts": 0, "quarantined": 0, "merged": 0, "left_out": 1}
    problem = dataset.quality.problems.set_index("file").loc["visit.csv"]
    assert problem["rule"].startswith("not a table of the data model, not read. Did you mean visits")


# --- pairs of scores ----------------------------------------------------------------------------------------------

EPISODE = {"episodes": """
               episode_id  start_date  discharge_date  reason
               e           2026-01-10  2026-03-20      plateau""",
           "visits": """
               episode_id  scheduled_start
               e           2026-01-10
               e           2026-03-10"""}


def pair(read, assessments: str, **options) -> tuple:
    """baseline, final and why_unpaired of an episode from 10 January with the last visit on 10 March."""
    scores = read(**EPISODE, **options, assessments=assessments).facts.scores
    assert len(scores) == 1
    row = scores.iloc[0].astype("object").where(scores.iloc[0].notna(), None)
    return row["baseline"], row["final"], row["why_unpaired"]


@pytest.mark.parametrize(("rows", "expected"), [
    # windows, bounds inclusive
    ("e 2026-01-03 30 \n e 2026-02-24 50", (30, 50, "")),      # 7 days before the start, 14 before the last visit
    ("e 2026-01-17 30 \n e 2026-03-17 50", (30, 50, "")),      # 7 days after either
    ("e 2026-01-02 30 \n e 2026-03-10 50", (None, 50, "baseline_window")),
    ("e 2026-01-18 30 \n e 2026-03-10 50", (None, 50, "baseline_window")),
    ("e 2026-01-10 30 \n e 2026-02-23 50", (30, None, "final_window")),
    ("e 2026-01-10 30 \n e 2026-03-18 50", (30, None, "final_window")),
    ("e 2026-03-10 50", (None, 50, "no_baseline")),
    ("e 2026-01-10 30", (30, None, "no_final")),
    # nearest to the start, tie to the earlier; the last of the final ones
    ("e 2026-01-08 28 \n e 2026-01-11 31 \n e 2026-03-10 50", (31, 50, "")),
    ("e 2026-01-08 28 \n e 2026-01-12 32 \n e 2026-03-10 50", (28, 50, "")),
    ("e 2026-01-10 30 \n e 2026-03-01 48 \n e 2026-03-12 52", (30, 52, "")),
    # a score that cannot be one: LEFS runs from 0 to 80
    ("e 2026-01-10 81 \n e 2026-03-10 50", (None, 50, "out_of_range")),
    ("e 2026-01-10 30 \n e 2026-03-10 -1", (30, None, "out_of_range")),
    ("e 2026-01-10 81 \n e 2026-01-12 30 \n e 2026-03-10 50", (30, 50, "")),    # another valid one in the window
    ("e 2026-01-10 81", (None, None, "no_final")),                              # the first reason of the list counts
    # one day twice
    ("e 2026-01-10 30 \n e 2026-01-10 30 \n e 2026-03-10 50", (30, 50, "")),
    ("e 2026-01-10 30 \n e 2026-01-10 31 \n e 2026-03-10 50", (None, 50, "conflict")),
])
def test_the_pair_and_the_first_reason_why_there_is_none(read, rows, expected):
    assert pair(read, "episode_id date score\n" + rows) == expected


def test_a_label_says_what_a_score_outside_the_windows_was_meant_for(read):
    interim = "episode_id date score timepoint\n e 2026-01-10 30 initial\n e 2026-02-10 40 "
    assert pair(read, interim + "interim") == (30, None, "no_final")
    assert pair(read, interim + "discharge") == (30, None, "final_window")


def test_the_entry_finalised_last_replaces_the_others_of_its_day(read):
    rows = """
        episode_id  date        score  finalized_dt
        e           2026-01-10  30     2026-01-10T09:00:00
        e           2026-01-10  33     2026-01-10T09:20:00
        e           2026-01-10  31     -
        e           2026-03-10  50     2026-03-10T09:00:00"""
    assert pair(read, rows) == (33, 50, "")
    dataset = read(**EPISODE, assessments=rows)
    assert counts(dataset, "assessments") == {"rows_in": 4, "in_facts": 2, "quarantined": 0, "merged": 2, "left_out": 0}


@pytest.mark.parametrize(("column", "reason"), [
    ("measure_version", "version"), ("score_scale", "scale"), ("respondent", "respondent")])
def test_scores_of_another_version_scale_or_respondent_are_never_paired(read, column, reason):
    rows = f"episode_id date score {column}\n e 2026-01-10 30 one\n e 2026-03-10 50 "
    assert pair(read, rows + "one") == (30, 50, "")
    assert pair(read, rows + "two") == (30, 50, reason)
    assert pair(read, rows + "-") == (30, 50, reason)  # not known to be the same


def test_scores_less_than_a_week_apart_are_no_pair(read):
    short = {"episodes": """
                 episode_id  start_date  discharge_date
                 e           2026-01-10  2026-01-20""",
             "visits": """
                 episode_id  scheduled_start
                 e           2026-01-10
                 e           2026-01-17"""}
    def why(day):
        return read(**short, assessments=f"episode_id date score\n e 2026-01-10 30\n e {day} 50").facts.scores.loc[
            0, ["why_unpaired", "days_apart"]].tolist()
    assert why("2026-01-17") == ["", 7.0]
    assert why("2026-01-16")[0] == "too_close"


def test_an_open_episode_has_no_final_score(read):
    scores = read(
        episodes="""
            episode_id  start_date
            e           2026-05-10""",
        visits="""
            episode_id  scheduled_start
            e           2026-05-10
            e           2026-06-20""",
        assessments="""
            episode_id  date        score
            e           2026-05-10  30
            e           2026-06-20  50""").facts.scores
    assert pd.isna(scores.loc[0, "final"]) and scores.loc[0, "why_unpaired"] == "no_final"


@pytest.mark.parametrize(("rows", "interim"), [
    ("e 2026-05-10 30 a\ne 2026-05-20 35 a\ne 2026-05-25 38 a", 38),        # the last one, no window
    ("e 2026-05-10 30 a\ne 2026-05-16 35 a", None),                         # 6 days after the baseline: too close
    ("e 2026-05-10 30 a\ne 2026-05-20 35 a\ne 2026-05-25 38 b", 35),        # another version is not it
    ("e 2026-05-20 35 a\ne 2026-05-25 38 a", None),                         # no baseline
    ("e 2026-05-10 30 a\ne 2026-05-20 35 a\ne 2026-05-25 99 a", 35)])       # out of range
def test_the_interim_score_is_the_last_valid_one_after_the_baseline(read, rows, interim):
    scores = read(episodes="episode_id start_date\ne 2026-05-10", visits="episode_id scheduled_start\ne 2026-05-10",
                  assessments="episode_id date score measure_version\n" + rows).facts.scores
    found = scores.loc[0, "interim"]
    assert pd.isna(found) if interim is None else found == interim


def test_declared_interim_scores_are_those_called_so(read):
    scores = read(episodes="episode_id start_date\ne 2026-05-10", mapping="timepoint_rule: declared\n", assessments="""
        episode_id  date        score  timepoint
        e           2026-05-10  30     initial
        e           2026-05-11  33     interim
        e           2026-05-12  34     interim
        e           2026-06-20  50     discharge""").facts.scores
    assert scores.loc[0, ["baseline", "interim", "final"]].tolist() == [30, 34, 50]


def test_declared_timepoints_pair_whatever_the_dates(read):
    rows = """
        episode_id  date        score  timepoint
        e           2025-01-10  30     initial
        e           2026-02-10  40     interim
        e           2026-06-10  50     discharge"""
    assert pair(read, rows, mapping="timepoint_rule: declared\n") == (30, 50, "")
    assert pair(read, rows) == (None, None, "baseline_window")


def test_why_a_measure_was_not_taken_and_which_the_set_assigns(read):
    scores = read(**EPISODE, mapping="measure_set: [{discipline: PT, region: knee, measures: [lefs, nprs]}]\n",
                  assessments="""
        episode_id  date        score   missing_reason  measure_code
        e           2026-01-10  -       refused         lefs
        e           2026-01-12  unable  -               lefs
        e           2026-01-10  5       -               tug""").facts.scores.set_index("measure")
    assert scores["missing_reason"].to_dict() == {"lefs": "unable", "nprs": "", "tug": ""}
    assert scores["why_unpaired"].to_dict() == {"lefs": "no_baseline", "nprs": "no_baseline", "tug": "no_final"}
    assert scores["has_score"].to_dict() == {"lefs": False, "nprs": False, "tug": True}
    assert scores["is_primary"].to_dict() == {"lefs": True, "nprs": False, "tug": False}
    assert scores["is_assigned"].to_dict() == {"lefs": True, "nprs": True, "tug": False}


def test_without_a_set_the_primary_measure_is_the_paired_one_with_the_earliest_baseline(read):
    scores = read(**EPISODE, assessments="""
        episode_id  date        score  measure_code
        e           2026-01-09  5      nprs
        e           2026-01-10  30     lefs
        e           2026-03-10  50     lefs
        e           2026-01-10  40     odi
        e           2026-03-10  20     odi""").facts.scores.set_index("measure")
    assert scores["is_primary"].to_dict() == {"lefs": True, "nprs": False, "odi": False}


def test_scores_without_episode_id_follow_the_only_episode_of_their_patient(read):
    dataset = read(
        episodes="""
            episode_id  patient_id  start_date  body_region
            a           p1          2026-01-05  knee
            b           p2          2026-01-05  knee
            c           p2          2026-01-05  hip""",
        assessments="""
            patient_id  date        score
            p1          2026-01-05  30
            p2          2026-01-05  40
            p3          2026-01-05  50""")
    assert dataset.facts.scores["baseline"].tolist() == [30.0]
    assert counts(dataset, "assessments") == {"rows_in": 3, "in_facts": 1, "quarantined": 0, "merged": 0, "left_out": 2}


# --- referrals and enrollment -------------------------------------------------------------------------------------

def test_waiting_times_are_counted_to_the_evaluation_the_closing_or_the_data_cut(read):
    dataset = read(
        referrals="""
            referral_id  patient_id  received_date  status     closed_date  site_id
            seen         p1          2026-05-01     converted  -            -
            waiting      p2          2026-06-10     open       -            south
            declined     p3          2026-05-01     declined   2026-05-06   south
            no_date      p4          2026-05-01     expired    -            south
            same_day_2   p1          2026-05-01     open       -            south
            backward     p6          2026-05-20     converted  -            south
            too_late     p7          2026-07-01     open       -            south""",
        episodes="""
            episode_id  patient_id  start_date  referral_id
            a           p1          2026-05-10  seen
            b           p6          2026-05-10  backward""",
        visits="""
            episode_id  patient_id  scheduled_start  visit_type
            a           p1          2026-05-10       evaluation
            a           p1          2026-05-17       treatment
            b           p6          2026-05-10       evaluation""")
    found = dataset.facts.referrals.set_index("patient")
    assert found["days"].fillna(-1).tolist() == [9.0, 20.0, 5.0, -1.0]
    assert found["evaluated"].tolist() == [True, False, False, False]
    assert found["site_id"].tolist() == ["north", "south", "south", "south"]  # the episode's where its own is missing
    assert counts(dataset, "referrals") == {"rows_in": 7, "in_facts": 4, "quarantined": 1, "merged": 1, "left_out": 1}
    assert dataset.quality.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [7, "evaluated before it was received"]]


def test_the_list_of_a_pilot_keeps_those_never_allocated(read):
    dataset = read(
        episodes="""
            episode_id  patient_id  start_date  body_region
            a           p1          2026-01-05  knee
            b           p2          2026-01-05  knee
            c           p3          2026-01-05  knee
            d           p3          2026-01-05  hip""",
        enrollment="""
            patient_id  eligible  consent_date  arm    withdrawn_date
            p1          yes       2026-01-06    new    2026-02-01
            p2          no        -             -      -
            p3          yes       2026-01-06    usual  -""")
    listed = dataset.facts.enrollment
    assert listed["arm"].fillna("none").tolist() == ["new", "none", "usual"]
    assert listed["eligible"].tolist() == [True, False, True] and listed["consented"].tolist() == [True, False, True]
    assert listed["withdrawn"].tolist() == [True, False, False]
    assert listed["episode"].isna().tolist() == [False, False, True]  # two episodes: nobody knows which
    assert dataset.facts.episodes["arm"].fillna("none").tolist() == ["new", "none", "none", "none"]
    assert dataset.quality.verdict == "usable with warnings"


def test_an_episode_with_two_arms_is_in_none(read):
    dataset = read(
        episodes="""
            episode_id  patient_id  start_date
            a           p1          2026-01-05""",
        enrollment="""
            patient_id  episode_id  arm
            p1          a           new
            p1          a           usual""")
    assert dataset.facts.episodes["arm"].isna().all()
    assert counts(dataset, "enrollment")["quarantined"] == 2


def test_facts_hold_no_source_ids_and_numbers_are_small(read):
    facts = read(**EPISODE, assessments="""
        episode_id  date        score
        e           2026-01-10  30""").facts
    assert facts.episodes["episode"].dtype == "int32" and facts.episodes["patient"].dtype == "int32"
    for frame in (facts.episodes, facts.scores, facts.referrals):
        assert not [name for name in frame if name.endswith("_id") and name != "site_id"]


def test_a_cohort_carries_the_fingerprint_and_reads_its_file_again(read, tmp_path):
    dataset = read(**EPISODE)
    cohort = dataset.cohort(site_id="north")
    cohort.save(tmp_path / "cohort.yml")
    again = dataset.read_cohort(tmp_path / "cohort.yml")
    assert again.filters == {"site_id": ["north"]}
    assert again.source.fingerprint == dataset.fingerprint and again.source.data_cut == CUT
    assert again.source.versions["pandas"] == pd.__version__
