"""Answers of patients and events: metric definitions, section 7.1."""

import numpy as np
import pytest
from conftest import row
from test_metrics import printed

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError, ParameterError

EPISODES = """
    episode_id  patient_id  discipline  site_id  start_date  status
    e1          p1          PT          north    2026-07-01  active
    e2          p2          OT          south    2026-07-01  active"""
VISITS = """
    visit_id  patient_id  episode_id  scheduled_start  status    site_id
    v1        p1          e1          2026-07-01       attended  north
    v2        p1          e1          2026-08-01       attended  north
    v3        p2          e2          2026-08-02       attended  south
    v4        p2          e2          2026-08-03       no_show   south"""


def visits(n):
    return [{"visit_id": f"v{i}", "patient_id": f"p{i % 50}", "scheduled_start": "2026-08-03", "status": "attended"}
            for i in range(n)]


def events(*types):
    return [{"event_id": f"x{i}", "patient_id": f"p{i}", "date": "2026-08-03", "type": kind}
            for i, kind in enumerate(types)]


@pytest.mark.parametrize(("metric", "found", "n_visits", "wanted"), [
    ("complaint_rate", ["complaint"] * 3, 4000, (0.75, 0.15, 2.19)), ("complaint_rate", ["fall"], 4000, (0, 0, 0.92)),
    ("fall_rate", ["fall", "fall", "complaint"], 5000, (0.40, 0.05, 1.44)),
    ("adverse_event_rate", ["fall", "pain_flare", "compliment", "complaint"], 5000, (0.40, 0.05, 1.44))])
def test_rates_of_events_of_the_definitions(read_tables, metric, found, n_visits, wanted):
    cohort = read_tables(visits=visits(n_visits), events=events(*found)).cohort()
    result = row(summarize(cohort, metric))
    assert tuple(round(result[name], 2) for name in ("estimate", "conf_low", "conf_high")) == wanted
    assert (result["denominator"], result["n_people"], result["unit"]) == (n_visits, 50, "per 1 000 visits")


def test_events_by_group_and_month_have_the_attributes_of_their_episode(read_tables):
    dataset = read_tables(episodes=EPISODES, visits=VISITS, events="""
        event_id  patient_id  episode_id  date        type
        x1        p1          e1          2026-08-01  fall
        x2        -           e2          2026-08-02  fall
        x3        -           -           2026-09-09  fall
        x4        p2          e2          2026-10-01  fall""")
    assert dataset.facts.events[["date", "discipline"]].shape == (3, 2)
    assert dataset.facts.events["patient"].tolist()[:2] == dataset.facts.episodes["patient"].tolist()
    cohort = dataset.cohort()
    frame = summarize(cohort, "fall_rate", by="discipline").frame
    assert frame[["discipline", "numerator", "denominator"]].to_numpy().tolist() == [
        ["OT", 1, 1], ["PT", 1, 2], ["not recorded", 1, 0]]
    assert np.isnan(frame["estimate"].iloc[2]) and frame["note"].iloc[2] == "no exposure"
    months = summarize(cohort, "fall_rate", every="month").frame
    assert months[["period", "numerator", "denominator"]].to_numpy().tolist() == [
        ["2026-07", 0, 1], ["2026-08", 2, 2], ["2026-09", 1, 0]]
    assert row(summarize(cohort, "fall_rate", period="2026-08"))["numerator"] == 2
    narrowed = cohort.where(discipline="PT")
    step = narrowed.flow.query("population == 'events'").iloc[0]
    assert (step["n_kept"], step["n_other"], step["n_not_linked"]) == (1, 1, 1)
    assert row(summarize(narrowed, "fall_rate"))[["numerator", "denominator"]].tolist() == [1, 2]


def answers(scores=(), nps=(), silent=0, **more):
    rows = [{"score": score, "nps": None} for score in scores] + [{"score": None, "nps": points} for points in nps]
    rows += [{"score": None, "nps": None}] * silent
    return [{"response_id": f"r{i}", "patient_id": f"p{i}", "invited_date": "2026-08-01", **row, **more}
            for i, row in enumerate(rows)]


@pytest.fixture
def surveyed(read_tables):
    def build(rows):
        return read_tables(visits=visits(1), satisfaction=rows).cohort()
    return build


def test_answers_of_those_invited(surveyed):
    result = row(summarize(surveyed(answers(scores=[4] * 100, silent=150)), "survey_response_rate", period="2026-08"))
    assert (result["numerator"], result["denominator"], result["estimate"]) == (100, 250, 0.4)


def test_an_answer_after_the_data_cut_has_not_come(surveyed):
    rows = answers(scores=[4, 4])
    rows[0]["date"], rows[1]["date"] = "2026-10-01", "2026-09-30"
    cohort = surveyed(rows)
    assert row(summarize(cohort, "survey_response_rate"))[["numerator", "denominator"]].tolist() == [1, 2]
    assert row(summarize(cohort, "satisfaction_pct", period="2026-09"))["n_missing"] == 1  # no scale is known
    assert "score_max" in row(summarize(cohort, "satisfaction_pct"))["note"]


def test_share_of_the_best_answer_of_the_definitions(surveyed):
    cohort = surveyed(answers(scores=[5] * 55 + [4] * 45, silent=20, score_min=1, score_max=5))
    assert printed(summarize(cohort, "satisfaction_top_box")) == (55.0, 45.2, 64.4)
    percent = row(summarize(cohort, "satisfaction_pct"))
    assert percent["estimate"] == pytest.approx(0.55 * 100 + 0.45 * 75) and percent["n"] == 100


def test_net_promoter_score_of_the_definitions(surveyed):
    cohort = surveyed(answers(nps=[9] * 30 + [10] * 25 + [7, 8] * 15 + [6] * 10 + [0] * 5))
    assert printed(summarize(cohort, "nps")) == (40.0, 25.3, 54.7)


def test_a_recommendation_that_is_not_from_0_to_10_is_missing(read_tables):
    dataset = read_tables(visits=visits(1), satisfaction=answers(nps=[10, 11, 7.5]))
    assert "nps is not a whole number" in dataset.quality.problems["rule"].str.cat()
    found = row(summarize(dataset.cohort(), "nps"))
    assert (found["estimate"], found["n"]) == (100, 1)


def test_answers_without_a_patient_are_people_of_their_own(surveyed):
    rows = [{**row, "patient_id": None} for row in answers(scores=[4, 5, 5], score_min=1, score_max=5)]
    assert row(summarize(surveyed(rows), "satisfaction_top_box"))["n_people"] == 3


@pytest.mark.parametrize("metric", ["nps", "survey_response_rate", "fall_rate"])
def test_without_the_table_the_question_is_refused(read_tables, metric):
    with pytest.raises(NotEvaluableError, match="these data have no"):
        summarize(read_tables(visits=visits(2)).cohort(), metric)


def test_falls_per_1000_patient_days(read_tables):
    """Days: s1 06-25 to 07-05 is 10 (6 in June, 4 in July), s2 is 10. Two falls in stays, one outside."""
    dataset = read_tables(visits=visits(1), admissions="""
        stay_id  patient_id  admit_date  discharge_date  discharge_status  setting  site_id
        s1       p1          2026-06-25  2026-07-05      01                irf      north
        s2       p2          2026-07-10  2026-07-20      01                irf      south""", events="""
        event_id  patient_id  date        type  site_id
        x1        p1          2026-06-30  fall  north
        x2        p2          2026-07-20  fall  south
        x3        p2          2026-08-01  fall  south""")
    found = row(summarize(dataset.cohort(), "fall_rate,per=patient_days"))
    assert found[["numerator", "denominator", "n_people", "unit"]].tolist() == [2, 20, 2, "per 1 000 patient-days"]
    assert found["estimate"] == pytest.approx(100)
    months = summarize(dataset.cohort(), "fall_rate,per=patient_days", every="month", period="2026Q3").frame
    assert months[["period", "numerator", "denominator"]].to_numpy().tolist() == [["2026-07", 1, 14]]
    sites = summarize(dataset.cohort(), "fall_rate,per=patient_days", by="site_id").frame
    assert sites[["site_id", "numerator", "denominator"]].to_numpy().tolist() == [["north", 1, 10], ["south", 1, 10]]
    assert summarize(dataset.cohort(), "fall_rate,per=patient_days").source.population == "stays"
    with pytest.raises(ParameterError, match="Use visits or patient_days"):
        summarize(dataset.cohort(), "fall_rate,per=week")
