"""Change, responders, reliable change, floor and ceiling: the worked examples of the metric definitions, section 1."""

import numpy as np
import pytest
from conftest import row
from test_metrics import TOY_EPISODES, TOY_SCORES, printed

from therapyeval.analysis import compare, describe, summarize
from therapyeval.data.dataset import read_dataset
from therapyeval.errors import ParameterError


@pytest.fixture
def toy(cohort_from):
    return cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)


def share(result, **wanted):
    """Numerator and denominator of one row."""
    return tuple(row(result, **wanted)[["numerator", "denominator"]])


def levels(result):
    """Numerator per class."""
    return dict(zip(result.frame["level"], result.frame["numerator"], strict=True))


def test_cannot_respond_counts_baselines_within_one_mcid_of_the_best(toy, cohort_from):
    assert share(summarize(toy, "cannot_respond_share")) == (0, 6)
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       lefs     71        71
        e2       lefs     72        -
        e3       lefs     -         80
        e4       odi      10        0
        e5       odi      9         0
        e6       tug      0.5       0.4
        e7       promis_pf  70      71""")
    result = summarize(cohort, "cannot_respond_share")
    assert share(result) == (3, 6) and row(result)["n_missing"] == 1     # e2, e5, e6; T-scores have no end
    assert share(summarize(cohort, "cannot_respond_share:lefs,threshold=10")) == (2, 2)


def test_mcid_worse_needs_a_loss_of_one_mcid(toy):
    found = summarize(toy, "mcid_worse")
    assert share(found) == (0, 5) and printed(found) == (0, 0, 43.4)
    assert share(summarize(toy, "mcid_worse:lefs")) == (0, 3)
    override = row(summarize(toy, "mcid_worse:lefs,threshold=8"))
    assert (override["numerator"], override["note"]) == (1, "threshold 8 points, given by the user")


def test_mcid_or_30pct_takes_either_rule(toy, cohort_from):
    found = row(summarize(toy, "mcid_or_30pct:odi"))
    assert (found["numerator"], found["denominator"]) == (1, 2)
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       odi      60        50
        e2       odi      20        14
        e3       odi      20        15
        e4       odi      0         0
        e5       odi      40        -""")
    result = summarize(cohort, "mcid_or_30pct:odi")       # 10 points; 6 = 30% of 20; neither; left out; missing
    assert list(row(result)[["numerator", "denominator", "n_missing", "n_excluded"]]) == [2, 3, 1, 1]
    assert result.exclusions["reason"].tolist() == ["baseline score is 0"]


def test_reliable_change_index_of_the_toy_cohort(toy):
    lefs, odi = summarize(toy, "rci:lefs"), summarize(toy, "rci:odi")
    assert row(lefs)["estimate"] == pytest.approx(np.mean([24, 5, -8]) / (3.87 * np.sqrt(2)))
    assert row(odi)["estimate"] == pytest.approx(np.mean([4.07, 0.63]), abs=0.01)
    assert row(lefs)["note"] == "registered SEM 3.87 points"
    assert row(odi)["note"].startswith("SEM from the MDC90 4.51")
    for name, wanted in (("reliable_improvement_rate:lefs", (1, 3)), ("reliable_deterioration_rate:lefs", (0, 3)),
                         ("reliable_improvement_rate:odi", (1, 2)), ("reliable_deterioration_rate:odi", (0, 2))):
        assert share(summarize(toy, name)) == wanted


@pytest.mark.parametrize(("episode", "change", "index"), [("e1", 24, 4.39), ("e2", 5, 0.91), ("e3", -8, -1.46)])
def test_reliable_change_index_of_one_patient(cohort_from, episode, change, index):
    cohort = cohort_from(scores=f"episode measure baseline final\n{episode} lefs 30 {30 + change}")
    assert round(row(summarize(cohort, "rci:lefs"))["estimate"], 2) == index


def test_without_a_measurement_error_there_is_no_reliable_change_and_the_note_says_so(cohort_from):
    cohort = cohort_from(scores="episode measure baseline final\ne1 fois 3 5")
    for name in ("rci:fois", "reliable_improvement_rate:fois", "jt_class:fois"):
        frame = summarize(cohort, name).frame
        assert frame["estimate"].isna().all() and (frame["n_missing"] == 1).all()
        assert set(frame["note"]) == {"no measurement error is registered for this measure"}


def test_standard_errors_of_the_two_scores_come_before_the_registered_one(tmp_path):
    scores = {"a": ("30,2026-01-05,initial,3", "40,2026-02-20,discharge,4"),
              "b": ("30,2026-01-05,initial,", "40,2026-02-20,discharge,4")}
    tables = {
        "episodes": ["episode_id,patient_id,discipline,site_id,start_date,status,discharge_date",
                     *(f"{e},p{e},PT,s,2026-01-05,finished,2026-03-05" for e in scores)],
        "visits": ["visit_id,patient_id,episode_id,scheduled_start,status",
                   *(f"{e}{day},p{e},{e},2026-01-{day:02d},attended" for e in scores for day in (5, 12, 19))],
        "assessments": ["assessment_id,patient_id,episode_id,measure_code,score,date,timepoint,se",
                        *(f"{e}{i},p{e},{e},lefs,{text}" for e, found in scores.items()
                          for i, text in enumerate(found))]}
    for name, lines in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "mapping.yml").write_text("version: 1\ndata_cut: 2026-06-30\ntimepoint_rule: declared\n")
    found = row(summarize(read_dataset(tmp_path).cohort(), "rci:lefs"))
    assert found["n"] == 2 and found["estimate"] == pytest.approx((10 / 5 + 10 / (3.87 * np.sqrt(2))) / 2)
    assert found["note"] == "standard errors of the two scores, else registered SEM 3.87 points"


JT = """
    episode  measure  baseline  final
    e1       lefs     30        54
    e2       lefs     45        50
    e3       lefs     60        52
    e7       lefs     30        64
    e8       lefs     50        30
    e9       lefs     61        80"""


def classes(cohort, metric):
    """The shares of the classes, without what is counted beside them."""
    result = summarize(cohort, metric)
    return result.where(result.frame["statistic"] == "proportion")


def test_classes_of_jacobson_and_truax_between_norms(cohort_from):
    cohort = cohort_from(scores=JT)
    result = classes(cohort, "jt_class:lefs,norms=40/14/72/8")       # c = (8*40 + 14*72) / 22 = 60.4
    assert levels(result) == {"recovered": 1, "improved": 2, "unchanged": 2, "deteriorated": 1}
    assert result.frame["estimate"].sum() == pytest.approx(1)
    assert result.frame["metric"].unique().tolist() == ["jt_class:lefs,norms=40/14/72/8"]
    assert result.frame["note"].str.startswith("cut-off 60.364; ").all()


def test_classes_where_lower_is_better(toy):
    result = classes(toy, "jt_class:odi,norms=42/14/10/8")           # c = 21.6: E5 ends at 22
    assert levels(result) == {"recovered": 0, "improved": 1, "unchanged": 1, "deteriorated": 0}
    assert levels(classes(toy, "jt_class:odi,cut=22"))["recovered"] == 1


def test_classes_without_norms_are_three(cohort_from):
    assert levels(summarize(cohort_from(scores=JT), "jt_class:lefs")) == {
        "improved": 3, "unchanged": 2, "deteriorated": 1}


@pytest.mark.parametrize("arguments", ["norms=40/14/72", "norms=a/b/c/d", "norms=40/0/72/8",
                                       "norms=40/14/72/8,cut=60"])
def test_norms_that_make_no_sense_are_refused(toy, arguments):
    with pytest.raises(ParameterError, match="norms=40/14/72/8"):
        summarize(toy, f"jt_class:lefs,{arguments}")


def test_share_of_the_possible_gain(toy, cohort_from):
    lefs = summarize(toy, "pct_possible:lefs")
    assert round(row(lefs, statistic="median")["estimate"], 1) == 14.3
    assert row(lefs, statistic="median")["note"] == "needs six values for an interval"
    one = {episode: 100 * change / room for episode, change, room in
           (("e1", 24, 50), ("e2", 5, 35), ("e3", -8, 20), ("e5", 26, 48), ("e6", 4, 30))}
    assert {name: round(value, 1) for name, value in one.items()} == {
        "e1": 48.0, "e2": 14.3, "e3": -40.0, "e5": 54.2, "e6": 13.3}
    assert row(summarize(toy, "pct_possible:odi"), statistic="median")["estimate"] == pytest.approx(
        (one["e5"] + one["e6"]) / 2)
    result = summarize(cohort_from(scores="episode measure baseline final\ne1 odi 0 10\ne2 odi 20 10"),
                       "pct_possible:odi")
    assert row(result, statistic="median")["estimate"] == 50
    assert result.exclusions[["reason", "n"]].to_numpy().tolist() == [["baseline at the best score", 1]]


def test_effect_size_and_standardized_response_mean(toy):
    effect, response = (row(summarize(toy, name)) for name in ("effect_size:lefs", "srm:lefs"))
    assert (round(effect["estimate"], 2), round(response["estimate"], 2)) == (0.47, 0.43)
    assert "seed 20260101" in effect["method"] and effect["note"] == "needs ten patients for an interval"


def test_floor_and_ceiling_at_either_timepoint(toy, cohort_from):
    assert share(summarize(toy, "floor_share:lefs")) == share(summarize(toy, "ceiling_share:lefs")) == (0, 4)
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       odi      100       0
        e2       odi      0         0
        e3       odi      50        -""")
    assert share(summarize(cohort, "floor_share:odi")) == (1, 3)
    assert share(summarize(cohort, "ceiling_share:odi")) == (1, 3)
    assert share(summarize(cohort, "ceiling_share:odi,timepoint=final")) == (2, 2)


@pytest.mark.parametrize(("text", "words"), [
    ("mcid_or_30pct:lefs", "only for nprs"), ("cannot_respond_share:fois", "no MCID is registered"),
    ("ceiling_share:promis_pf", "no best possible score"), ("floor_share:tug", "no worst possible score"),
    ("floor_share:lefs,timepoint=interim", "baseline, final"), ("pct_possible:promis_pf", "no best possible score")])
def test_a_measure_that_does_not_fit_is_refused(cohort_from, text, words):
    cohort = cohort_from(scores="""
        episode  measure    baseline  final
        e1       lefs       30        54
        e2       fois       3         5
        e3       promis_pf  40        45
        e4       tug        14        12""")
    with pytest.raises(ParameterError, match=words):
        summarize(cohort, text)


def test_a_mean_in_units_of_its_spread_is_not_compared(cohort_from):
    cohort = cohort_from(episodes="episode n_attended arm\ne1 5 a\ne2 5 a\ne3 5 b\ne7 5 b\ne8 5 b\ne9 5 a", scores=JT)
    with pytest.raises(ParameterError, match="cannot be compared yet"):
        compare(cohort, "effect_size:lefs", groups="arm")


def test_table_one_takes_classes_as_categories(cohort_from):
    found = describe(cohort_from(scores=JT), variables=["jt_class:lefs"]).frame
    assert found[["level", "numerator"]].to_numpy().tolist() == [["deteriorated", 1], ["improved", 3], ["unchanged", 2]]


def test_those_functional_at_baseline_are_counted_beside_the_classes(cohort_from):
    """Cut-off 60.4: e2 begins at 62 and cannot recover; the classes add up to 1 without it."""
    cohort = cohort_from(scores="episode measure baseline final\ne1 lefs 30 64\ne2 lefs 62 80\ne3 lefs 50 52\n"
                                "e4 lefs 70 -", episodes="episode n_attended\ne1 5\ne2 5\ne3 5\ne4 5")
    result = summarize(cohort, "jt_class:lefs,norms=40/14/72/8")
    found = row(result, level="functional_at_baseline")
    assert found[["statistic", "estimate", "numerator", "n", "unit"]].tolist() == ["count", 1, 1, 3, "episodes"]
    shares = result.frame[result.frame["statistic"] == "proportion"]
    assert shares["estimate"].sum() == pytest.approx(1) and shares["numerator"].tolist() == [1, 1, 1, 0]
    assert "count" not in summarize(cohort, "jt_class:lefs").frame["statistic"].tolist()
