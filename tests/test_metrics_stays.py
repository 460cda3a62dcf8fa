"""Inpatient stays: metric definitions, sections 2, 5 and 6."""

import pytest
from conftest import row
from test_metrics import printed

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError

NO_VISITS = "visit_id patient_id scheduled_start status\nv p0 2026-01-01 attended"


def stay(number, status="01", admit="2026-07-01", discharge="2026-07-14", **more):
    return {"stay_id": f"s{number}", "patient_id": f"p{number}", "admit_date": admit, "discharge_date": discharge,
            "discharge_status": status, "setting": "irf", "planned": "", "site_id": "north", **more}


def score(number, date, value, **more):
    return {"patient_id": f"p{number}", "measure_code": "fim_total", "score": value, "date": date, "timepoint": "",
            "stay_id": "", **more}


def test_gain_per_day_of_the_definitions_with_and_without_interruptions(read_tables):
    dataset = read_tables(visits=NO_VISITS, admissions=[stay(1, interruption_days=3), stay(2, interruption_days=0)],
                          assessments=[score(1, "2026-07-01", 62), score(1, "2026-07-14", 88, stay_id="s1"),
                                       score(2, "2026-07-02", 50), score(2, "2026-07-09", 50 + 26)])
    cohort = dataset.cohort()
    assert row(summarize(cohort, "los_efficiency:fim_total"))["estimate"] == pytest.approx(2.0)  # 26 / 13, twice
    without = row(summarize(cohort, "los_efficiency:fim_total,interruptions=left_out"))
    assert without["estimate"] == pytest.approx((26 / 10 + 26 / 13) / 2)
    counted = dataset.quality.tables.set_index("table")
    assert counted.loc["assessments", ["rows_in", "in_facts"]].tolist() == [4, 4]
    assert counted.loc["admissions", ["rows_in", "in_facts"]].tolist() == [2, 2]


def test_change_during_the_stay_of_the_definitions_and_who_is_left_out(read_tables):
    stays = [stay(1), stay(2), stay(3, status="20"), stay(4, status="02"), stay(5, discharge="2026-07-03"), stay(6),
             stay(7), stay(8, discharge="")]
    pairs = {1: (18, 32), 2: (20, 30), 3: (20, 22), 4: (20, 21), 5: (20, 40), 6: (20, None)}
    scores = [score(number, date, value, measure_code="gg_selfcare") for number, pair in pairs.items()
              for date, value in zip(("2026-07-01", "2026-07-13"), pair, strict=True) if value]
    result = summarize(read_tables(visits=NO_VISITS, admissions=stays, assessments=scores).cohort(),
                       "inpatient_change:gg_selfcare")
    found = row(result, statistic="mean")
    assert (found["estimate"], found["n"], found["n_missing"]) == (12.0, 2, 1)
    assert dict(result.exclusions[["reason", "n"]].itertuples(index=False, name=None)) == {
        "died": 1, "acute transfer": 1, "shorter than 3 days": 1, "not measured with this instrument": 1,
        "still a patient": 1}


def test_discharge_to_the_community_of_the_definitions(read_tables):
    codes = ["01"] * 8 + ["6"] * 5 + ["81", "86"] + ["02", "03", "03", "62", "21"] + ["20", "07", "50", "30"]
    result = summarize(read_tables(visits=NO_VISITS, admissions=[
        stay(i, status) for i, status in enumerate(codes)]).cohort(), "discharge_to_community", period="2026Q3")
    assert printed(result) == (75.0, 53.1, 88.8)
    assert result.exclusions["n"].tolist() == [1, 1, 1, 1]


def test_back_in_acute_care_of_the_definitions(read_tables):
    """Days after discharge on 14 July: 1 and 30 count; 0 is a transfer, 31 too late, 10 was planned."""
    stays = [stay(i) for i in range(20)] + [stay(20, status="05"), stay(21, discharge="2026-09-01")]
    back = {0: "2026-07-15", 1: "2026-08-13", 2: "2026-07-14", 3: "2026-08-14"}
    stays += [stay(f"a{i}", admit=date, discharge="", patient_id=f"p{i}", setting="Acute", site_id="hospital")
              for i, date in back.items()]
    stays.append(stay("b", admit="2026-07-24", discharge="", patient_id="p4", setting="acute", planned="yes"))
    dataset = read_tables(visits=NO_VISITS, admissions=stays)
    result = summarize(dataset.cohort(site_id="north"), "readmit_30", period="2026Q3")
    assert printed(result) == (10.0, 2.8, 30.1)
    assert dict(result.exclusions[["reason", "n"]].itertuples(index=False, name=None)) == {
        "acute transfer": 1, "immature": 1}
    assert row(summarize(dataset.cohort(), "readmit_90"))[["n", "n_excluded"]].tolist() == [0, 22]
    assert dataset.quality.tables.set_index("table").loc["admissions", ["in_facts", "left_out"]].tolist() == [22, 5]


def test_without_acute_admissions_nobody_can_be_seen_to_come_back(read_tables):
    with pytest.raises(NotEvaluableError, match="setting = acute"):
        summarize(read_tables(visits=NO_VISITS, admissions=[stay(1)]).cohort(), "readmit_30")


def test_an_assessment_of_an_episode_outside_the_stay_stays_with_the_episode(read_tables):
    dataset = read_tables(
        episodes="episode_id patient_id discipline site_id start_date status discharge_date\n"
                 "e1 p1 PT north 2026-08-01 finished 2026-09-01",
        visits="visit_id patient_id episode_id scheduled_start status\nv1 p1 e1 2026-08-01 attended\n"
               "v2 p1 e1 2026-09-01 attended",
        admissions=[stay(1)], assessments=[score(1, "2026-07-02", 60), score(1, "2026-08-01", 90),
                                           score(1, "2026-09-01", 100)])
    assert dataset.facts.scores[["baseline", "final"]].to_numpy().tolist() == [[90, 100]]
    assert dataset.facts.stay_scores[["baseline", "why_unpaired"]].to_numpy().tolist() == [[60, "no_final"]]
    assert dataset.quality.tables.set_index("table").loc["assessments", ["rows_in", "in_facts"]].tolist() == [3, 3]
