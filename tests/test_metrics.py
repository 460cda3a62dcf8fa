"""Every metric on the toy cohort of the metric definitions, with the values printed there."""

import pytest
from conftest import row

from therapyeval import metrics
from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError

TOY_EPISODES = """
    episode  n_attended  planned_visits  days  reason
    e1       8           10              42    goals_met
    e2       6           12              35    plateau
    e3       5           8               35    medical_change
    e4       3           12              21    self_discharge
    e5       10          10              56    goals_met
    e6       7           8               42    goals_met"""
TOY_SCORES = """
    episode  measure  baseline  final
    e1       lefs     30        54
    e2       lefs     45        50
    e3       lefs     60        52
    e4       lefs     20        -
    e5       odi      48        22
    e6       odi      30        26"""


@pytest.fixture
def toy(cohort_from):
    return cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)


def printed(result, digits=1, **wanted):
    """Estimate and limits in percent where the unit is a proportion, rounded as the definitions print them."""
    found = row(result, **wanted)
    scale = 100 if found["unit"] == "proportion" else 1
    return tuple(round(scale * found[name], digits) for name in ("estimate", "conf_low", "conf_high"))


def test_scores_and_their_change(toy):
    assert row(summarize(toy, "baseline_score:lefs"), statistic="mean")["estimate"] == 38.75
    assert row(summarize(toy, "final_score:lefs"), statistic="mean")["estimate"] == 52.0
    change = summarize(toy, "score_change:lefs")
    assert printed(change, statistic="mean") == (7.0, -33.0, 47.0)
    assert round(row(change, statistic="sd")["estimate"], 1) == 16.1
    assert list(row(change, statistic="mean")[["n", "n_missing", "n_excluded", "n_people"]]) == [3, 1, 2, 3]
    assert row(summarize(toy, "score_change:odi"), statistic="mean")["estimate"] == 15


def test_score_change_is_positive_when_a_lower_is_better_score_falls(cohort_from):
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       tug      20.0      14.5
        e2       tug      18.0      -""")
    found = row(summarize(cohort, "score_change:tug"), statistic="mean")
    assert (found["estimate"], found["n"], found["n_missing"]) == (5.5, 1, 1)


@pytest.mark.parametrize(("metric", "complete", "not_achieved"), [
    ("mcid_rate", (40.0, 11.8, 76.9), (33.3, 9.7, 70.0)),
    ("mcid_rate:lefs", (33.3, 6.1, 79.2), (25.0, 4.6, 69.9)),
])
def test_mcid_rate_prints_both_missing_rules(toy, metric, complete, not_achieved):
    result = summarize(toy, metric)
    assert printed(result, estimand="complete_case") == complete
    assert printed(result, estimand="missing_not_achieved") == not_achieved


def test_mcid_rate_keeps_a_change_of_exactly_one_mcid(cohort_from):
    cohort = cohort_from(scores="""
        episode  measure     baseline  final
        e1       gait_speed  0.8       0.9""")
    assert row(summarize(cohort, "mcid_rate:gait_speed"), estimand="complete_case")["estimate"] == 1


def test_mcid_rate_at_an_overridden_threshold_says_so(toy):
    found = row(summarize(toy, "mcid_rate:lefs,threshold=5"), estimand="complete_case")
    assert (found["numerator"], found["denominator"]) == (2, 3)
    assert found["note"] == "threshold 5 points, given by the user"


def test_mcid_rate_warns_where_the_mcid_is_below_the_measurement_error_or_recalled(cohort_from):
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       lefs     30        54
        e2       tsk11    30        24""")
    lefs = row(summarize(cohort, "mcid_rate:lefs"), estimand="complete_case")["note"]
    assert "below the measurement error (MDC95 10.7)" in lefs
    assert "threshold not verified" in row(summarize(cohort, "mcid_rate:tsk11"), estimand="complete_case")["note"]


def test_pct_improved_and_target_rates(toy, cohort_from):
    improved = row(summarize(toy, "pct_improved_rate:odi"), estimand="complete_case")
    assert (improved["numerator"], improved["denominator"]) == (1, 2)
    reached = row(summarize(toy, "target_score_rate:odi,cut=22"), estimand="complete_case")
    assert (reached["numerator"], reached["denominator"]) == (1, 2)
    zero = cohort_from(scores="""
        episode  measure  baseline  final
        e1       odi      0         0
        e2       odi      40        20""")
    result = summarize(zero, "pct_improved_rate:odi")
    assert row(result, estimand="complete_case")["n_excluded"] == 1
    assert result.exclusions["reason"].tolist() == ["baseline score is 0"]


def test_paired_completion_with_and_without_a_measure(toy):
    assert printed(summarize(toy, "paired_completion")) == (83.3, 43.6, 97.0)
    found = row(summarize(toy, "paired_completion:lefs"))
    assert (found["numerator"], found["denominator"]) == (3, 4)


def test_visits_days_and_gain(toy):
    visits = summarize(toy, "visits_per_episode")
    assert [row(visits, statistic=name)["estimate"] for name in ("mean", "median", "p90")] == [6.5, 6.5, 9.0]
    assert printed(summarize(toy, "episode_days"), statistic="median") == (38.5, 21, 56)
    assert round(row(summarize(toy, "visits_per_week"))["estimate"], 2) == 1.16
    gain = summarize(toy, "gain_per_visit:lefs")
    assert printed(gain, digits=2) == (1.11, -4.55, 6.76)
    assert (row(gain)["numerator"], row(gain)["denominator"]) == (21, 19)


def test_visits_per_episode_leaves_out_episodes_without_any_visit(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended
        e1       4
        e2       0""")
    found = row(summarize(cohort, "visits_per_episode"), statistic="mean")
    assert (found["estimate"], found["n"], found["n_excluded"]) == (4, 1, 1)


def test_goals_met_rate_counts_the_reason_or_four_fifths_of_the_goals(toy, cohort_from):
    assert printed(summarize(toy, "goals_met_rate")) == (50.0, 18.8, 81.2)
    cohort = cohort_from(episodes="""
        episode  reason     goals_met_pct
        e1       plateau    80
        e2       plateau    79
        e3       deceased   100
        e4       goals_met  0""")
    found = row(summarize(cohort, "goals_met_rate"))
    assert (found["numerator"], found["denominator"], found["n_excluded"]) == (2, 3, 1)


def test_discharge_rate_balances_the_census(cohort_from):
    rows = [("2026-05-01", "2026-08-01")] * 70 + [("2026-05-01", "-")] * 50 + [("2026-07-15", "-")] * 80 \
        + [("2026-05-01", "2026-06-30")] * 9 + [("2026-10-01", "-")] * 4
    table = "episode start_date end_date\n" + "\n".join(f"e{i} {a} {b}" for i, (a, b) in enumerate(rows))
    cohort = cohort_from(episodes=table, has_calendar=True)
    result = summarize(cohort, "discharge_rate", period="2026Q3")
    assert printed(result) == (35.0, 28.7, 41.8)
    monthly = summarize(cohort, "discharge_rate", period="2026Q3", every="month").frame
    assert monthly["period"].tolist() == ["2026-07", "2026-08", "2026-09"]
    assert monthly["numerator"].tolist() == [0, 70, 0]
    assert monthly["denominator"].tolist() == [200, 200, 130]


def test_days_to_eval_censors_those_still_waiting(cohort_from):
    cohort = cohort_from(episodes="episode\ne1", referrals="""
        referral  received_date  days  evaluated
        r1        2026-07-01     2     yes
        r2        2026-07-02     5     yes
        r3        2026-07-03     9     yes
        r4        2026-07-04     14    yes
        r5        2026-07-05     20    no""", has_calendar=True)
    result = summarize(cohort, "days_to_eval", period="2026Q3")
    median = row(result, statistic="median")
    assert (median["estimate"], median["conf_low"]) == (9, 2)
    assert row(result, statistic="p90")["note"] == "not reached"
    assert summarize(cohort, "days_to_eval", period="2026Q2").frame["n"].tolist() == [0, 0]


def test_eligibility_leaves_out_deaths_short_care_and_patients_unable_to_answer(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended  reason
        e1       8           goals_met
        e2       8           deceased
        e3       2           goals_met
        e4       8           goals_met
        e5       8           goals_met""", scores="""
        episode  measure  baseline  final  missing_reason
        e1       odi      40        20     -
        e2       odi      40        20     -
        e3       odi      40        20     -
        e4       odi      40        -      unable
        e5       odi      40        -      refused""")
    result = summarize(cohort, "mcid_rate:odi")
    assert list(row(result, estimand="missing_not_achieved")[["numerator", "denominator", "n_excluded"]]) == [1, 2, 3]
    assert sorted(result.exclusions["reason"]) == ["deceased", "fewer than 3 visits", "missing: unable"]


def test_an_allocated_cohort_keeps_everybody_who_was_allocated(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended  reason     arm
        e1       8           goals_met  new
        e2       1           deceased   new
        e3       8           goals_met  -""", scores="""
        episode  measure  baseline  final
        e1       odi      40        20
        e3       odi      40        20""").as_allocated()
    found = row(summarize(cohort, "mcid_rate:odi"), estimand="missing_not_achieved")
    assert (found["numerator"], found["denominator"], found["n_excluded"]) == (1, 2, 0)


def test_single_ratings_have_no_change(cohort_from):
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       pgic     -         6""")
    with pytest.raises(ParameterError, match="single rating without a baseline"):
        summarize(cohort, "score_change:pgic")
    assert row(summarize(cohort, "target_score_rate:pgic,cut=6"), estimand="complete_case")["estimate"] == 1


@pytest.mark.parametrize(("text", "error", "words"), [
    ("mcid_rat", UnknownNameError, "Did you mean mcid_rate"),
    ("mcid_rate:lef", UnknownNameError, "Did you mean lefs"),
    ("score_change", ParameterError, "needs measure"),
    ("target_score_rate:odi", ParameterError, "needs cut"),
    ("target_score_rate:odi,cut=low", ParameterError, "must be a number"),
    ("mcid_rate:odi,thresold=3", UnknownNameError, "Did you mean threshold"),
    ("mcid_rate:fois", ParameterError, "no MCID is registered"),
    ("pct_improved_rate:lefs", ParameterError, "not defined for lefs"),
    ("score_change:berg", NotEvaluableError, "Measured here: fois, lefs, odi"),
    ("discharge_rate", NotEvaluableError, "no dates"),
    ("no_show_rate", NotEvaluableError, "no visits table"),
])
def test_a_question_that_cannot_be_answered_says_why(cohort_from, text, error, words):
    cohort = cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES + "\n    e1       fois     3         5")
    with pytest.raises(error, match=words):
        summarize(cohort, text)


def test_every_registered_metric_has_a_definition_with_its_source():
    for name in metrics.names():
        assert "Source: metric definitions, section" in metrics.get(name).definition


def test_spelling_of_a_metric_is_the_same_everywhere():
    assert metrics.parse(" target_score_rate:pain_avg , cut=1 ").text == "target_score_rate:pain_avg,cut=1"
    assert metrics.parse("mcid_rate:abc,threshold=0.123456789").text == "mcid_rate:abc,threshold=0.123456789"


def test_pooled_responders_and_completion_have_the_same_patients_to_start_from(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended
        e1       8
        e2       8
        e3       8""", scores="""
        episode  measure  baseline  final  missing_reason
        e1       odi      40        20     -
        e2       odi      40        -      unable""")
    pooled = row(summarize(cohort, "mcid_rate"), estimand="missing_not_achieved")
    assert (pooled["numerator"], pooled["n"]) == (1, 3) and row(summarize(cohort, "paired_completion"))["n"] == 3
    assert row(summarize(cohort, "mcid_rate:odi"), estimand="missing_not_achieved")["n"] == 1
