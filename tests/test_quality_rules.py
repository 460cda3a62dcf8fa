"""Rules of the data model: what each row that breaks one becomes, and how it is told. docs/quality.md lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from therapyeval.data import read_dataset

ROOT = Path(__file__).resolve().parent.parent
EPISODES = """episode_id,patient_id,discipline,site_id,start_date,discharge_date,status
e1,p1,PT,north,2026-01-05,2026-02-16,finished
e2,p2,OT,north,2026-01-12,2026-03-02,finished
"""
VISITS = """visit_id,patient_id,episode_id,scheduled_start,status
v1,p1,e1,2026-01-05,attended
v2,p1,e1,2026-02-16,attended
v3,p2,e2,2026-01-12,attended
v4,p2,e2,2026-03-02,attended
"""


@pytest.fixture
def read(tmp_path):
    """Reads the two tables, changed or with others beside them."""
    def reader(episodes=EPISODES, visits=VISITS, **tables):
        for name, text in {"episodes": episodes, "visits": visits, **tables}.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        return read_dataset(tmp_path)
    return reader


def told(dataset, rule):
    """(severity, table, count, rows) of the one problem whose rule begins with these words."""
    problems = dataset.quality.problems
    found = problems[problems["rule"].str.startswith(rule)]
    assert len(found) == 1, problems[["rule", "count"]]
    return tuple(found.iloc[0][["severity", "table", "count", "rows"]])


def silent(dataset, rule):
    return not dataset.quality.problems["rule"].str.startswith(rule).any()


def test_clean_data_break_no_rule(read):
    assert read().quality.problems.empty and read().quality.verdict == "usable"


@pytest.mark.parametrize(("day", "is_outside"), [
    ("2026-01-04", False), ("2026-01-03", True), ("2026-02-17", False), ("2026-02-18", True)])
def test_a_visit_may_lie_one_day_outside_its_episode(read, day, is_outside):
    found = read(visits=VISITS + f"v5,p1,e1,{day},attended\n")
    rule = "attended more than 1 day before the start or after the end"
    assert told(found, rule) == ("warning", "visits", 1, "6") if is_outside else silent(found, rule)
    assert found.facts.episodes["n_attended"].tolist() == [3, 2]          # it counts all the same


def test_a_missed_evaluation_before_the_start_is_no_visit_outside(read):
    assert silent(read(visits=VISITS + "v5,p1,e1,2025-12-20,no_show\n"), "attended more than")


@pytest.mark.parametrize(("day", "timepoint", "is_outside"), [
    ("2025-12-29", "initial", False), ("2025-12-28", "initial", True), ("2026-02-23", "discharge", False),
    ("2026-02-24", "discharge", True), ("2026-05-16", "followup_90d", False)])
def test_a_score_may_lie_seven_days_outside_its_episode(read, day, timepoint, is_outside):
    scores = f"patient_id,episode_id,measure_code,score,date,timepoint\np1,e1,tug,12,{day},{timepoint}\n"
    found, rule = read(assessments=scores), "dated more than 7 days before the start"
    assert told(found, rule) == ("note", "assessments", 1, "2") if is_outside else silent(found, rule)


@pytest.mark.parametrize(("times", "rule"), [
    (("2026-01-05T09:00", "2026-01-05T08:30", "", "", ""), "scheduled_end before scheduled_start"),
    (("2026-01-05T09:00", "", "", "2026-01-05T09:05", "2026-01-05T09:04"), "ended_dt before started_dt"),
    (("2026-01-05T09:00", "", "2026-01-05T09:10", "", "2026-01-05T09:04"), "ended_dt before arrived_dt"),
    (("2026-01-05T09:00Z", "2026-01-05T09:30+01:00", "", "", ""), "scheduled_end before scheduled_start")])
def test_times_of_a_visit_come_in_order(read, times, rule):
    head = "visit_id,patient_id,episode_id,status,scheduled_start,scheduled_end,arrived_dt,started_dt,ended_dt\n"
    found = read(visits=f"{head}v1,p1,e1,attended,{','.join(times)}\n"
                        "v2,p1,e1,attended,2026-01-07T09:00,2026-01-07T09:30,2026-01-07,2026-01-07T09:00,2026-01-07\n")
    assert told(found, rule) == ("warning", "visits", 1, "2")
    assert len(found.quality.problems) == 1         # a day without a time is not before a time of that day


@pytest.mark.parametrize(("table", "text", "rule"), [
    ("patients", "patient_id,birth_date,death_date\np1,1960-01-01,1950-01-01\np2,1960-01-01,\n",
     "death_date before birth_date"),
    ("referrals", "referral_id,patient_id,received_date,written_date\nr1,p1,2026-01-01,2026-01-02\n",
     "received_date before written_date"),
    ("referrals", "referral_id,patient_id,received_date,closed_date,status\nr1,p1,2026-01-01,2025-12-02,declined\n",
     "closed_date before received_date"),
    ("sites", "site_id,open_date,close_date\nnorth,2026-01-01,2025-01-01\n", "close_date before open_date"),
    ("staff", "staff_id,hire_date,end_date\ns1,2026-01-01,2025-01-01\n", "end_date before hire_date"),
    ("assessments", "patient_id,episode_id,measure_code,score,date,timepoint,items_answered,items_total\n"
                    "p1,e1,lefs,40,2026-01-05,initial,21,20\n", "items_answered is more than items_total")])
def test_dates_and_counts_come_in_order(read, table, text, rule):
    assert told(read(**{table: text}), rule) == ("warning", table, 1, "2")


def test_what_a_row_names_is_in_its_table(read):
    found = read(episodes=EPISODES.replace("status\n", "status,referral_id,previous_episode_id\n")
                 .replace("finished\n", "finished,r9,e0\n", 1).replace("finished\n", "finished,r1,e1\n", 1)
                 .replace("finished,r9,e0\ne2,p2,OT,north,2026-01-12,2026-03-02,finished\n",
                          "finished,r9,e0\ne2,p2,OT,north,2026-01-12,2026-03-02,finished,r1,e1\n"),
                 patients="patient_id,sex\np1,female\n", sites="site_id,name\nsouth,South\n",
                 referrals="referral_id,patient_id,received_date\nr1,p2,2026-01-01\n")
    assert told(found, "referral_id is not in the table referrals") == ("note", "episodes", 1, "2")
    assert told(found, "previous_episode_id is not in the table episodes") == ("note", "episodes", 1, "2")
    problems = found.quality.problems.set_index(["table", "rule"])["count"]
    counts = {table: n for (table, rule), n in problems.items() if rule.startswith("patient_id is not in")}
    assert counts == {"episodes": 1, "visits": 2, "referrals": 1}
    assert told(found, "site_id is not in the table sites") == ("note", "episodes", 2, "2, 3")
    assert len(found.facts.episodes) == 2


@pytest.mark.parametrize(("column", "value", "is_kept"), [
    ("goals_met_pct", "100", True), ("goals_met_pct", "100.5", False), ("goals_met_pct", "-1", False),
    ("planned_visits", "0", True), ("planned_visits", "-3", False)])
def test_an_impossible_number_is_missing_and_counted(read, column, value, is_kept):
    text = EPISODES.replace("status\n", f"status,{column}\n").replace("finished\n", f"finished,{value}\n")
    found = read(episodes=text)
    assert found.facts.episodes[column].notna().all() == is_kept
    assert silent(found, column) if is_kept else told(found, column) == ("warning", "episodes", 2, "2, 3")


def test_reversed_charges_net_out_and_are_noted(read):
    found = read(charges="charge_id,visit_id,units,minutes\nc1,v1,2,30\nc2,v1,-2,-30\nc3,v1,1,15\n")
    assert told(found, "negative units: a reversal") == ("note", "charges", 1, "3")
    visits = found.facts.appointments.rows_told(lambda rows: rows.to_pyarrow().to_pandas())
    assert sorted(visits["minutes"].dropna()) == [15]


def test_patients_who_look_the_same_are_noted_and_not_merged(read):
    people = ("patient_id,birth_date,sex,zip3\np1,1960-05-05,female,021\np2,1960-05-05,female,021\n"
              "p3,1960-05-05,male,021\n")
    found = read(patients=people)
    assert told(found, "the same birth date, sex and everything else") == ("note", "patients", 2, "2, 3")
    assert found.facts.episodes["patient"].nunique() == 2


def test_an_episode_nobody_discharged_is_closed_and_counted(read):
    late = VISITS + "v5,p2,e2,2026-06-01,attended\n"
    found = read(episodes=EPISODES.replace("2026-02-16,finished", ",active").replace("2026-03-02", "2026-06-01"),
                 visits=late)
    assert told(found, "no discharge") == ("note", "episodes", 1, "2")
    assert found.facts.episodes["closed_admin"].tolist() == [True, False]


def rules_of_the_page():
    text = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()
            if re.match(r"\| .* \| (error|warning|note)\b.* \|", line)]


def test_every_rule_that_the_sample_breaks_is_on_the_page():
    words = " ".join(re.sub(r"[^a-z]+", " ", row[0].lower()) for row in rules_of_the_page())
    found = read_dataset(ROOT / "data_samples" / "harbor_rehab").quality.problems
    for rule in found["rule"]:
        rule = re.sub(r"^\w+ (?=is not an ISO date)", "", rule)       # of any column
        first = re.sub(r"[^a-z]+", " ", re.split("[;:(]", rule)[0].lower()).strip()
        assert first in words, rule
    assert pd.Series([row[1].split(";")[0] for row in rules_of_the_page()]).isin(["error", "warning", "note"]).all()


SCORES = "patient_id,episode_id,measure_code,score,date,timepoint,measure_version,score_scale,respondent,mode\n"


@pytest.mark.parametrize(("ends", "severity", "rule"), [
    (("1", "raw", "self", "paper", "2", "raw", "self", "paper"), "warning", "several versions of one measure"),
    (("1", "raw", "self", "paper", "1", "T", "self", "paper"), "warning", "several scales of one measure"),
    (("1", "raw", "self", "paper", "1", "raw", "proxy", "paper"), "note", "several respondents of one measure"),
    (("1", "raw", "self", "paper", "1", "raw", "self", "tablet"), "note", "several modes of one measure")])
def test_scores_of_one_measure_in_an_episode_are_of_one_kind(read, ends, severity, rule):
    found = read(assessments=f"{SCORES}p1,e1,lefs,40,2026-01-05,initial,{','.join(ends[:4])}\n"
                             f"p1,e1,lefs,50,2026-02-16,discharge,{','.join(ends[4:])}\n"
                             f"p2,e2,lefs,50,2026-01-12,initial,{','.join(ends[4:])}\n"
                             f"p1,e1,tug,9,2026-02-16,discharge,{','.join(ends[4:])}\n")
    assert told(found, rule) == (severity, "assessments", 2, "2, 3")
    assert (found.quality.problems["table"] == "assessments").sum() == 1
    assert len(found.facts.scores) == 3


def test_one_measure_has_one_initial_and_one_discharge_score_in_an_episode(read):
    rows = [("e1", "2026-01-05", "initial"), ("e1", "2026-01-07", "initial"), ("e1", "2026-02-14", "Discharge"),
            ("e1", "2026-02-16", "discharge"), ("e1", "2026-01-26", "interim"), ("e2", "2026-01-12", "initial")]
    lines = [f"{'p1' if episode == 'e1' else 'p2'},{episode},lefs,4{place},{day},{label},,,,\n"
             for place, (episode, day, label) in enumerate(rows)]
    found = read(assessments=SCORES + "".join(lines))
    assert told(found, "labelled initial on several days") == ("note", "assessments", 2, "2, 3")
    assert told(found, "labelled discharge on several days") == ("note", "assessments", 2, "4, 5")
    assert found.facts.scores.loc[0, ["baseline", "final"]].tolist() == [40, 43]       # the window decides


def test_nobody_comes_after_the_death_of_the_patient(read):
    found = read(patients="patient_id,death_date\np1,2026-02-15\np2,2026-03-02\n",
                 visits=VISITS + "v5,p1,e1,2026-02-16,no_show\n",
                 assessments="patient_id,episode_id,measure_code,score,date,timepoint\n"
                             "p1,e1,lefs,40,2026-02-15,discharge\np1,e1,lefs,40,2026-02-16,discharge\n")
    assert told(found, "attended after the death") == ("warning", "visits", 1, "3")    # on the day itself it may be
    assert told(found, "dated after the death") == ("warning", "assessments", 1, "3")
    assert found.facts.episodes["n_attended"].tolist() == [2, 2]


def test_a_referral_and_the_episode_before_are_of_the_same_patient(read):
    episodes = EPISODES.replace("status\n", "status,referral_id,previous_episode_id\n")
    episodes = episodes.replace("finished\n", "finished,r2,\n", 1).replace("finished\n", "finished,r2,e1\n", 1)
    found = read(episodes=episodes, referrals="referral_id,patient_id,received_date,discipline\nr2,p2,2026-01-02,OT\n")
    assert told(found, "patient_id is not that of its referral") == ("warning", "episodes", 1, "2")
    assert told(found, "patient_id is not that of the episode before") == ("warning", "episodes", 1, "3")
    assert found.facts.referrals["days"].tolist() == [10]          # not 3: e1 is no evaluation of this referral


def test_events_and_answers_are_of_the_patient_of_their_episode(read):
    head = "response_id,patient_id,episode_id,score,score_min,score_max\n"
    found = read(satisfaction=f"{head}a,p1,e1,5,1,5\nb,p1,e2,6,1,5\nc,p1,e9,0,1,5\n",
                 events="event_id,patient_id,episode_id,visit_id,date,type\n"
                        "a,p2,e1,v1,2026-01-05,fall\nb,,e1,v9,2026-01-05,fall\n")
    tables = found.quality.problems.groupby("table")["rule"].apply(list)
    assert told(found, "score is not between score_min and score_max") == ("warning", "satisfaction", 2, "3, 4")
    assert told(found, "episode_id is not in the table episodes") == ("note", "satisfaction", 1, "4")
    assert told(found, "visit_id is not in the table visits") == ("note", "events", 1, "3")
    assert [sum(rule.startswith("patient_id is not that of its episode") for rule in tables[name])
            for name in ("events", "satisfaction")] == [1, 1]
    assert found.facts.responses["episode"].isna().tolist() == [False, True, True]
    assert found.facts.responses["score"].fillna(-1).tolist() == [5, -1, -1]
    assert found.facts.events["episode"].isna().tolist() == [True, False]


def test_an_arm_is_not_given_to_the_episode_of_another_patient(read):
    found = read(enrollment="patient_id,episode_id,arm\np1,e2,new\np2,e2,usual\n")
    assert told(found, "patient_id is not that of its episode") == ("warning", "enrollment", 1, "2")
    assert found.facts.episodes["arm"].fillna("").tolist() == ["", "usual"]
    assert found.quality.quarantine[["table", "row"]].to_numpy().tolist() == [["enrollment", 2]]


def test_two_dates_of_one_discharge_agree(read):
    found = read(discharges="episode_id,discharge_date,reason\ne1,2026-02-16,plateau\ne2,2026-03-03,plateau\n")
    assert told(found, "discharge_date is not that of the table discharges") == ("warning", "episodes", 1, "3")
    assert found.facts.episodes["days"].tolist() == [42, 50]


def test_stays_are_of_possible_length(read):
    found = read(admissions="stay_id,patient_id,admit_date,discharge_date,interruption_days,onset_date\n"
                            "s1,p1,2024-01-01,2025-12-31,731,2023-12-01\ns2,p1,2024-01-01,2026-01-01,0,\n"
                            "s3,p2,2026-01-01,2026-01-11,10,2026-01-02\n")
    assert told(found, "interruption_days is more than the days") == ("warning", "admissions", 1, "2")
    assert told(found, "admit_date before onset_date") == ("warning", "admissions", 1, "4")
    assert told(found, "longer than 730 days") == ("warning", "admissions", 1, "3")     # 731 days
    assert found.facts.stays["days"].tolist() == [730, 10]


def test_a_discharge_status_that_does_not_exist_is_missing(read):
    stays = "".join(f"s{row},p1,2026-01-01,2026-01-11,{status}\n" for row, status in enumerate(
        ("1", "06", "81", "67", "home", "", "95.0"), 2))
    found = read(admissions="stay_id,patient_id,admit_date,discharge_date,discharge_status\n" + stays)
    assert told(found, "discharge_status is no code of UB-04, field 17") == ("warning", "admissions", 2, "5, 6")
    assert found.facts.stays["discharge_status"].fillna("").tolist() == ["01", "06", "81", "", "", "", "95"]


def test_nobody_waits_longer_than_two_years(read):
    found = read(referrals="referral_id,patient_id,received_date,status,closed_date\n"
                           "r1,p3,2024-01-01,declined,2025-12-31\nr2,p4,2024-01-01,declined,2026-01-01\n"
                           "r3,p5,2023-01-01,open,\nr4,p6,2026-03-01,open,\n")
    assert told(found, "waited longer than 730 days") == ("warning", "referrals", 2, "3, 4")    # 731 days, and more
    assert found.facts.referrals["days"].tolist()[0] == 730
    assert found.quality.quarantine[["table", "row"]].to_numpy().tolist() == [["referrals", 3], ["referrals", 4]]
