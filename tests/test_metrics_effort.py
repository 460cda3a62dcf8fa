"""Visits, dose, caseload, price and billing units: metric definitions, sections 2 and 2.1."""

import numpy as np
import pytest
from conftest import row
from test_metrics import TOY_EPISODES, TOY_SCORES, printed

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.billing import timed_units


@pytest.fixture
def toy(cohort_from):
    return cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)


def test_gain_per_visit_of_each_and_per_week(toy):
    mean = row(summarize(toy, "gain_per_visit_mean:lefs"))
    assert mean["estimate"] == pytest.approx(np.mean([24 / 8, 5 / 6, -8 / 5])) and round(mean["estimate"], 2) == 0.74
    week = row(summarize(toy, "gain_per_week:lefs"))
    assert (week["numerator"], week["denominator"]) == (147, 112) and round(week["estimate"], 2) == 1.31


def test_gain_per_week_leaves_out_episodes_shorter_than_a_week(cohort_from):
    cohort = cohort_from(episodes="episode n_attended days\ne1 4 6\ne2 4 7",
                         scores="episode measure baseline final\ne1 lefs 10 30\ne2 lefs 10 20")
    result = summarize(cohort, "gain_per_week:lefs")
    assert row(result)["estimate"] == 10 and result.exclusions["reason"].tolist() == ["shorter than 7 days"]


def test_treatment_days_end_with_the_last_visit(cohort_from):
    cohort = cohort_from(episodes="""
        episode  start_date  last_visit_date  end_date
        e1       2026-07-01  2026-07-29       2026-08-31
        e2       2026-07-01  2026-07-01       2026-07-20
        e3       2026-07-01  2026-08-20       -""", has_calendar=True)
    found = row(summarize(cohort, "treatment_days"), statistic="median")
    assert (found["estimate"], found["n"], found["n_missing"]) == (14, 2, 1)


def test_dose_is_minutes_by_week_of_episodes_with_all_minutes_known(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended  days  minutes
        e1       8           42    360
        e2       2           3     90
        e3       3           21    -
        e4       1           0     45""")
    found = row(summarize(cohort, "dose_minutes_per_week"))
    assert (found["estimate"], found["n"], found["n_missing"], found["n_excluded"]) == ((60 + 90) / 2, 2, 1, 1)


def test_evaluation_only(toy, cohort_from):
    assert printed(summarize(toy, "eval_only_share")) == (0, 0, 39.0)
    found = row(summarize(cohort_from(episodes="episode n_attended\ne1 1\ne2 0\ne3 4"), "eval_only_share"))
    assert (found["numerator"], found["denominator"], found["n_excluded"]) == (1, 2, 1)


def test_census_balances(cohort_from):
    rows = [("2026-05-01", "2026-08-01")] * 70 + [("2026-05-01", "-")] * 50 + [("2026-07-15", "-")] * 80 \
        + [("2026-05-01", "2026-06-30")] * 9 + [("2026-10-01", "-")] * 4
    table = "episode start_date end_date\n" + "\n".join(f"e{i} {a} {b}" for i, (a, b) in enumerate(rows))
    cohort = cohort_from(episodes=table, has_calendar=True, data_cut="2026-10-31")
    before, after = (row(summarize(cohort, f"census,t={day}")) for day in ("2026-06-30", "2026-09-30"))
    assert (before["estimate"], after["estimate"]) == (120, 130)
    assert row(summarize(cohort, "census", period="2026Q3"))["numerator"] == 130
    monthly = summarize(cohort, "census", period="2026Q3", every="month").frame
    assert monthly["estimate"].tolist() == [200, 130, 130]
    assert set(monthly["note"]) == {"a count: no interval"}


@pytest.mark.parametrize(("options", "error", "words"), [
    ({}, NotEvaluableError, "give period="), ({"metric": "census,t=2026-11-01"}, NotEvaluableError, "the data end on"),
    ({"metric": "census,t=soon"}, ParameterError, "a date such as"),
    ({"metric": "census,t=2026-08-01", "period": "2026Q3"}, NotEvaluableError, "leave period and every out, or t")])
def test_a_census_needs_one_day(cohort_from, options, error, words):
    cohort = cohort_from(episodes="episode start_date\ne1 2026-05-01", has_calendar=True)
    with pytest.raises(error, match=words):
        summarize(cohort, **{"metric": "census", **options})


def test_cost_per_episode_and_per_responder(toy):
    episode = row(summarize(toy, "cost_per_episode,cost_per_visit=100"))
    assert (episode["estimate"], episode["note"]) == (650, "100 per visit, given by the user")
    responder = summarize(toy, "cost_per_responder,cost_per_visit=100")
    ratio = row(responder, statistic="ratio")
    assert (ratio["estimate"], ratio["numerator"], ratio["denominator"], ratio["n"]) == (1950, 3900, 2, 6)
    beside = row(responder, statistic="proportion")
    assert (beside["numerator"], beside["denominator"], beside["unit"]) == (2, 6, "proportion")


def test_cost_per_responder_without_any_responder_says_so(cohort_from):
    cohort = cohort_from(scores="episode measure baseline final\ne1 odi 40 39\ne2 odi 40 40",
                         episodes="episode n_attended\ne1 5\ne2 5")
    found = row(summarize(cohort, "cost_per_responder:odi,cost_per_visit=80"), statistic="ratio")
    assert np.isnan(found["estimate"]) and found["note"] == "the denominator is zero"


@pytest.mark.parametrize(("text", "error", "words"), [
    ("cost_per_episode", ParameterError, "needs one price"),
    ("cost_per_responder,cost_per_visit=1,cost_per_unit=2", ParameterError, "needs one price"),
    ("cost_per_episode,cost_per_unit=30", NotEvaluableError, "no billed units")])
def test_a_price_is_needed(toy, text, error, words):
    with pytest.raises(error, match=words):
        summarize(toy, text)


@pytest.mark.parametrize(("minutes", "rule", "units"), [
    ((33, 7), "medicare", (2, 1)), ((24, 23), "medicare", (2, 1)), ((18, 13, 10, 8), "medicare", (1, 1, 1, 0)),
    ((20, 20), "medicare", (2, 1)), ((7, 7, 7), "medicare", (1, 0, 0)), ((7,), "medicare", (0,)),
    ((8, 8, 8), "medicare", (1, 1, 0)), ((8, 8, 8), "ama", (1, 1, 1)), ((33, 7), "ama", (2, 0)), ((), "medicare", ()),
    ((0,), "ama", (0,))])
def test_timed_units_of_the_definitions(minutes, rule, units):
    codes = [f"9711{number}" for number in range(len(minutes))]
    assert timed_units(dict(zip(codes, minutes, strict=True)), rule) == dict(zip(codes, units, strict=True))


@pytest.mark.parametrize(("total", "units"), [(7, 0), (8, 1), (22, 1), (23, 2), (37, 2), (38, 3), (52, 3), (53, 4),
                                              (67, 4), (68, 5), (82, 5), (83, 6), (97, 6), (98, 7), (112, 7), (113, 8),
                                              (127, 8)])
def test_totals_of_the_eight_minute_rule(total, units):
    assert timed_units({"97110": total}) == {"97110": units}
    for split in range(0, total + 1, 7):
        assert sum(timed_units({"97110": split, "97140": total - split}).values()) == units


@pytest.mark.parametrize(("minutes", "rule"), [({"97110": 7.5}, "medicare"), ({"97110": -1}, "ama"),
                                               ({"97110": 8}, "other")])
def test_senseless_minutes_are_refused(minutes, rule):
    with pytest.raises(ParameterError):
        timed_units(minutes, rule)
