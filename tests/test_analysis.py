"""summarize, compare and describe: the wiring between units, groups and estimators."""

import numpy as np
import pandas as pd
import pytest
from conftest import row
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from therapyeval import stats
from therapyeval.analysis import compare, describe, summarize
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.result import COLUMNS

TWO_ARMS = """
    episode  arm    age  sex
    e1       new    40   f
    e2       new    50   f
    e3       new    60   m
    e4       usual  45   m
    e5       usual  55   m
    e6       usual  65   -"""
SCORES = """
    episode  measure  baseline  final
    e1       odi      40        10
    e2       odi      50        30
    e3       odi      30        20
    e4       odi      44        40
    e5       odi      36        34
    e6       odi      52        -"""


@pytest.fixture
def arms(cohort_from):
    return cohort_from(episodes=TWO_ARMS, scores=SCORES)


def test_a_result_has_the_by_columns_first_and_then_always_the_same_columns(arms):
    frame = summarize(arms, ["score_change:odi", "mcid_rate:odi"], by=["arm", "sex"]).frame
    assert tuple(frame.columns) == ("arm", "sex", *COLUMNS)
    assert set(frame["sex"]) == {"f", "m", "not recorded"}
    assert frame["n"].dtype == "Int64" and frame["estimate"].dtype == np.float64


def test_groups_add_up_to_the_whole(arms):
    whole = row(summarize(arms, "mcid_rate:odi"), estimand="missing_not_achieved")
    parts = summarize(arms, "mcid_rate:odi", by="arm").frame.query("estimand == 'missing_not_achieved'")
    assert (parts["numerator"].sum(), parts["n"].sum()) == (whole["numerator"], whole["n"]) == (3, 6)


def test_a_group_without_a_value_is_kept_with_a_note(cohort_from):
    cohort = cohort_from(episodes="episode arm\ne1 new\ne2 usual", scores="""
        episode  measure  baseline  final
        e1       odi      40        10
        e2       odi      40        -""")
    found = row(summarize(cohort, "score_change:odi", by="arm"), arm="usual", statistic="mean")
    assert np.isnan(found["estimate"]) and found["note"] == "no unit has a value"
    assert (found["n"], found["n_missing"]) == (0, 1)


def test_a_patient_with_two_episodes_is_one_person(cohort_from):
    cohort = cohort_from(episodes="episode patient\ne1 p1\ne2 p1\ne3 p2", scores="""
        episode  measure  baseline  final
        e1       odi      40        10
        e2       odi      40        20
        e3       odi      40        30""")
    found = row(summarize(cohort, "score_change:odi"), statistic="mean")
    assert (found["n"], found["n_people"]) == (3, 2)
    # G/(G-1) * sum_g(sum_i(y - mean))^2 / n^2 with changes 30, 20 | 10: mean 20, group sums 10 and -10
    half_width = 12.706204736 * np.sqrt(2 / 1 * (10**2 + 10**2) / 9)
    assert found["conf_high"] == approx(20 + half_width, rel=1e-8)


def test_a_discharged_cohort_is_cut_by_the_end_of_care(cohort_from):
    cohort = cohort_from(episodes="""
        episode  start_date  end_date    n_attended
        e1       2026-05-01  2026-06-30  4
        e2       2026-05-01  2026-07-01  6
        e3       2026-08-01  2026-09-30  8
        e4       2026-08-01  -           2""", has_calendar=True)
    found = row(summarize(cohort, "visits_per_episode", period="2026Q3"), statistic="mean")
    assert (found["n"], found["estimate"]) == (2, 7)
    monthly = summarize(cohort, "visits_per_episode", every="month").frame.query("statistic == 'mean'")
    assert dict(zip(monthly["period"], monthly["n"], strict=True)) == {"2026-06": 1, "2026-07": 1, "2026-09": 1}
    assert row(summarize(cohort, "visits_per_episode"), statistic="mean")["n_missing"] == 1


def test_unadjusted_comparison_is_welch_on_the_units_with_a_value(arms):
    result = compare(arms, "score_change:odi", groups="arm", reference="usual")
    expected = stats.welch(np.array([30.0, 20, 10, 4, 2]), np.array([0, 0, 0, 1, 1]), [(0, 1)])
    found = row(result, contrast="new - usual", statistic="difference", unit="percent")
    assert (found["estimate"], found["conf_low"], found["p_value"]) == approx(
        (17, expected.low[0], expected.p_value[0]))
    assert pd.isna(found["arm"]) and (found["n"], found["n_missing"], found["n_people"]) == (5, 1, 5)
    assert [row(result, arm=name, statistic="mean")["estimate"] for name in ("new", "usual")] == [20, 3]


def test_a_comparison_clusters_by_patient_as_soon_as_one_has_two_units(cohort_from):
    cohort = cohort_from(episodes="""
        episode  patient  arm
        e1       p1       new
        e2       p1       new
        e3       p2       new
        e4       p3       usual
        e5       p4       usual
        e6       p5       usual""", scores=SCORES.replace(" -", " 30"))
    found = row(compare(cohort, "score_change:odi", groups="arm", reference="usual"), statistic="difference",
                unit="percent")
    assert "CR2" in found["method"] and "clustered by patient" in found["method"]
    rates = compare(cohort, "mcid_rate:odi", groups="arm", reference="usual").frame
    assert rates.query("statistic == 'risk_difference'")["method"].str.contains("CR2").all()


def test_responders_are_compared_under_both_missing_rules_with_newcombe(arms):
    result = compare(arms, "mcid_rate:odi", groups="arm", reference="usual")
    rates = result.frame.query("statistic == 'risk_difference'").set_index("estimand")
    assert rates["method"].str.contains("Newcombe").all()
    assert rates["estimate"].to_dict() == {"complete_case": 1.0, "missing_not_achieved": 1.0}
    assert rates["n"].to_dict() == {"complete_case": 5, "missing_not_achieved": 6}


def test_several_references_give_every_other_group_against_each(cohort_from):
    cohort = cohort_from(episodes="episode arm\ne1 a\ne2 a\ne3 b\ne4 b\ne5 c\ne6 c", scores=SCORES.replace(" -", " 30"))
    frame = compare(cohort, "score_change:odi", groups="arm", reference=["b", "c"]).frame
    main = frame.query("statistic == 'difference' and unit == 'percent'")
    assert main["contrast"].tolist() == ["a - b", "a - c"]


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"groups": "arms"}, UnknownNameError, "Did you mean arm"),
    ({"groups": "arm", "reference": "usal"}, UnknownNameError, "Did you mean usual"),
    ({"groups": "arm", "adjust": ["agee"]}, UnknownNameError, "Did you mean age"),
    ({"groups": "arm", "variance": "HC9"}, ParameterError, "Use one of HC3"),
    ({"groups": "arm", "missing": "mi"}, ParameterError, "Use one of complete"),
    ({"groups": "arm", "cluster": "sex"}, ParameterError, "have no sex"),
])
def test_a_comparison_that_cannot_be_made_says_why(cohort_from, arguments, error, words):
    cohort = cohort_from(episodes=TWO_ARMS, scores=SCORES.replace(" -", " 30"))
    with pytest.raises(error, match=words):
        compare(cohort, "score_change:odi", **arguments)


def test_a_comparison_needs_two_groups_and_a_metric_it_can_compare(arms):
    with pytest.raises(NotEvaluableError, match="at least two groups"):
        compare(arms.where(arm="new"), "score_change:odi", groups="arm")
    with pytest.raises(ParameterError, match="cannot be compared yet"):
        compare(arms, "no_show_rate", groups="arm")
    with pytest.raises(ParameterError, match="the model welch takes no covariates; leave adjust out"):
        compare(arms, "score_change:odi", groups="arm", adjust=["age"], model="welch")


def test_table_one_gives_numbers_categories_missing_and_standardised_differences(arms):
    result = describe(arms, by="arm", reference="usual", variables=["age", "sex", "baseline_score:odi"])
    assert row(result, metric="age", arm="new", statistic="mean")["estimate"] == 50
    assert row(result, metric="age", arm="new", statistic="sd")["estimate"] == 10
    women = row(result, metric="sex", level="f", arm="new")
    assert (women["numerator"], women["n"]) == (2, 3)
    assert row(result, metric="sex", level="m", arm="usual")["n_missing"] == 1
    # (50 - 55) / sqrt((10^2 + 10^2) / 2)
    assert row(result, metric="age", statistic="smd", contrast="new - usual")["estimate"] == -0.5
    assert row(result, metric="baseline_score:odi", arm="usual", statistic="mean")["estimate"] == 44


def test_a_standardised_difference_of_groups_without_overlap_is_not_a_number(cohort_from):
    cohort = cohort_from(episodes="episode arm site\ne1 a x\ne2 a x\ne3 b y\ne4 b y")
    found = row(describe(cohort, by="arm", variables=["site"]), statistic="smd")
    assert np.isnan(found["estimate"]) and "no spread" in found["note"]


def test_a_grouping_column_may_not_have_a_reserved_name(arms):
    with pytest.raises(ParameterError, match="columns of every Result"):
        summarize(arms, "mcid_rate:odi", by="estimate")


@given(order=st.permutations(range(6)))
def test_row_order_changes_nothing(order):
    frame = pd.DataFrame({"value": [30.0, 20, 10, 4, 2, 7], "group": [0, 0, 0, 1, 1, 1], "patient": range(6)})
    shuffled = frame.iloc[list(order)]
    one, other = (stats.mean(*(part[name].to_numpy() for name in ("value", "group", "patient")), 2)
                  for part in (frame, shuffled))
    assert one.high == approx(other.high)
