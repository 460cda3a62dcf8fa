"""compare as a whole: which model answers, what is beside it, its checks, subgroups, margins; against published values
and R, and by hand."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx
from reference_values import reader

import therapyeval as te
from therapyeval.analysis.models import DEFAULTS, MODELS
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.result import ALL_GROUPS, CHECK, CHECK_WORDS, STATISTICS

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
MODELS_IN_R, GROUPS_IN_R = reader("models"), reader("groups")
NUMBERS = ["estimate", "conf_low", "conf_high", "p_value"]
FAR = {"rel": 1e-6}


@cache
def cohort_of(folder, name):
    return te.read_dataset(folder, mapping=SAMPLES / name / "mapping.yml").cohort()


@pytest.fixture
def trial(real_data):
    return lambda name: cohort_of(real_data(name), name)


def kutner():
    return cohort_of(SAMPLES / "kutner_rehab", "kutner_rehab")


def stroke():
    return cohort_of(SAMPLES / "stroke_recovery", "stroke_recovery")


def numbers(result, **wanted):
    return row(result, **wanted)[NUMBERS].astype(float).tolist()


def change(cohort_from, first, second):
    """Two groups, a and b, whose ODI fell by these points from 80 (b is the reference)."""
    falls = [*first, *second]
    episodes = "episode arm\n" + "\n".join(f"e{i} {'a' if i < len(first) else 'b'}" for i in range(len(falls)))
    scores = "episode measure baseline final\n" + "\n".join(
        f"e{i} odi 80 {'-' if fall is None else 80 - fall}" for i, fall in enumerate(falls))
    return cohort_from(episodes=episodes, scores=scores)


# ---- published values and R, through the whole path

def test_kutner_analysis_of_variance_means_and_tukey():
    result = te.compare(kutner(), "episode_days", groups="fitness", reference="average", model="student")
    f = row(result, statistic="f_ratio")
    assert f["contrast"] == ALL_GROUPS and round(f["estimate"], 2) == 16.96             # printed in the textbook
    assert f["note"].startswith("2 and 21 degrees of freedom") and f["p_value"] == approx(4.129e-05, rel=1e-3)
    assert row(result, contrast="below average - average", statistic="difference")["estimate"] == approx(38 - 32)
    assert row(result, contrast="above average - average", statistic="difference")["estimate"] == approx(24 - 32)
    together = te.compare(kutner(), "episode_days", groups="fitness", reference="average", model="tukey")
    below = GROUPS_IN_R("tukey", "kutner")[0]                                            # groups 1 (below) and 2
    assert numbers(together, contrast="below average - average", statistic="difference") == approx(below[:4], **FAR)
    assert row(together, statistic="f_ratio")["estimate"] == approx(f["estimate"])


def test_stroke_student_at_90_percent():
    result = te.compare(stroke(), "score_change:barthel_100", groups="arm", reference=["existing", "usual"],
                        model="student", conf_level=0.9)
    found = [numbers(result, contrast=f"new OT - {other}", statistic="difference", unit="points")
             for other in ("existing", "usual")]
    np.testing.assert_allclose(found, GROUPS_IN_R("student.stroke_90")[:, :4], rtol=1e-6)


def test_headache_ancova_as_published(trial):
    result = te.compare(trial("acupuncture_headache"), "score_change:headache_score", groups="arm", reference="usual",
                        adjust=["baseline", "age", "sex", "migraine", "chronicity"], variance="classical")
    found = row(result, statistic="difference")
    assert round(found["estimate"], 1) == 4.6 and round(found["conf_low"], 1) == 2.2 and found["p_value"] < 0.0005
    assert found["method"].startswith("ANCOVA on baseline, age") and "default for a mean with covariates" in (
        found["method"])
    spread = row(result, statistic="check_spread")
    assert spread["p_value"] < 0.001 and "use welch, games_howell or variance HC3" in spread["note"]


def test_headache_responders_standardized_over_the_trial(trial):
    result = te.compare(trial("acupuncture_headache"), "pct_improved_rate:headache_score,p=0.35", groups="arm",
                        reference="usual", adjust=["baseline", "age", "sex", "migraine", "chronicity"])
    wanted = MODELS_IN_R("risk.acupuncture")
    for statistic, expected in zip(("risk_difference", "risk_ratio", "odds_ratio"), wanted, strict=True):
        found = numbers(result, statistic=statistic, estimand="complete_case")
        assert found[:3] == approx(expected[:3], **FAR)
    assert numbers(result, statistic="risk_difference", estimand="complete_case")[3] == approx(wanted[0][3], **FAR)
    needed = row(result, statistic="number_needed", estimand="complete_case")
    assert needed["estimate"] == approx(1 / wanted[0][0], **FAR)
    assert (needed["conf_low"], needed["conf_high"]) == approx((1 / wanted[0][2], 1 / wanted[0][1]), **FAR)


def test_headache_responders_as_published(trial):
    result = te.compare(trial("acupuncture_headache"), "pct_improved_rate:headache_score,p=0.35", groups="arm",
                        reference="usual")
    found = row(result, statistic="risk_difference", estimand="complete_case")
    assert [round(100 * found[name]) for name in ("estimate", "conf_low", "conf_high")] == [22, 11, 32]
    # the paper prints 22% (11% to 33%) by another interval; Newcombe's upper limit is 32.2%
    assert round(found["p_value"], 4) == 0.0001


def test_headache_effect_in_subgroups_and_its_interaction(trial):
    result = te.compare(trial("acupuncture_headache"), "score_change:headache_score", groups="arm", reference="usual",
                        adjust=["baseline", "age"], subgroups="migraine")
    effects = -MODELS_IN_R("subgroup.acupuncture", "effects")[:, [0, 2, 1]]              # pk1 - pk5, so the other sign
    for level, wanted in zip(("no", "yes"), effects, strict=True):
        assert numbers(result, migraine=level, statistic="difference")[:3] == approx(list(wanted), **FAR)
    wanted = MODELS_IN_R("subgroup.acupuncture", "interaction")
    test = row(result, statistic="interaction")
    assert (test["estimate"], test["p_value"]) == approx((wanted[0], wanted[3]), **FAR)
    assert test["note"].startswith("1 and 295 degrees of freedom")
    assert {"no", "yes"} <= set(result.frame.query("arm == 'usual' and statistic == 'mean'")["migraine"])


def test_back_pain_hedges_g_of_the_change(trial):
    result = te.compare(trial("back_pain_prt"), "score_change:pain_avg", groups="arm", reference=["placebo", "usual"])
    for other, computed in (("placebo", 1.150510398757), ("usual", 1.77922177526)):     # R, in published.json
        found = row(result, contrast=f"PRT - {other}", statistic="hedges_g")
        # Hedges' factor is exact here and 1 - 3 / (4 df - 1) there; the paper (1.14, 1.74) had other baselines
        assert found["estimate"] == approx(computed, rel=1e-5)
        assert "1 SD = " in found["note"] and np.isnan(found["p_value"])
    in_points = row(result, contrast="PRT - usual", statistic="difference", unit="points")
    in_mcids = row(result, contrast="PRT - usual", statistic="difference", unit="MCID")
    assert in_points["estimate"] / in_mcids["estimate"] == approx(te.measures.get("pain_avg").mcid)


def test_stroke_firth_has_an_answer_under_separation():
    cohort = stroke()
    result = te.compare(cohort, "target_score_rate:barthel_100,cut=60", groups="arm", reference="usual",
                        adjust=["baseline"], model="firth")
    wanted = MODELS_IN_R("firth.stroke")
    assert numbers(result, contrast="new OT - usual", statistic="odds_ratio", estimand="complete_case") == approx(
        wanted[0].tolist(), rel=1e-4)


# ---- which model, and why

def test_the_default_model_says_why_and_a_named_one_does_not():
    unasked = row(te.compare(kutner(), "episode_days", groups="fitness", reference="average"),
                  contrast="below average - average", statistic="shift")
    assert unasked["method"].endswith("default for a median, one unit per patient")
    named = row(te.compare(kutner(), "episode_days", groups="fitness", reference="average", model="welch"),
                contrast="below average - average", statistic="difference")
    assert named["method"] == "Welch t"


def test_every_default_is_a_model_that_fits_its_kind_covariates_and_clusters():
    for (kind, adjusted, clustered), name in DEFAULTS.items():
        model = MODELS[name]
        assert kind in model.kinds and model.adjusts >= adjusted and model.clusters >= clustered


def alone(kind):
    """Models of a kind that need neither covariates nor clusters."""
    return [name for name, model in MODELS.items()
            if kind in model.kinds and not model.needs_covariates and not model.needs_clusters]


@pytest.mark.parametrize("name", alone("mean"))
def test_every_model_of_a_mean_gives_its_own_row(cohort_from, name):
    result = te.compare(change(cohort_from, [12, 9, 15, 11], [4, 6, 1, 8]), "score_change:odi", groups="arm",
                        reference="b", model=name)
    found = row(result, statistic=MODELS[name].statistic, unit="ranks" if name == "dunn" else "percent")
    assert found["estimate"] > 0 and set(result.frame["statistic"]) <= set(STATISTICS)
    shift = {"dunn": 4.0, "mann_whitney": 7.0}                      # ranks 5..8 against 1..4; median of 16 differences
    assert found["estimate"] == approx(shift.get(name, 11.75 - 4.75))


@pytest.mark.parametrize("name", alone("proportion"))
def test_every_model_of_a_share_gives_its_own_row(cohort_from, name):
    cohort = change(cohort_from, [20, 20, 20, 1, 20, 1], [20, 1, 1, 1, 20, 1])
    found = row(te.compare(cohort, "mcid_rate:odi", groups="arm", reference="b", model=name),
                statistic=MODELS[name].statistic, estimand="complete_case")
    assert np.isfinite(found[NUMBERS].astype(float)).all()
    if found["statistic"] == "risk_difference":
        assert found["estimate"] == approx(4 / 6 - 2 / 6)


def test_permutation_tries_all_exchanges_where_they_are_few(cohort_from):
    result = te.compare(change(cohort_from, [12, 9, 15, 11], [4, 6, 1, 8]), "score_change:odi", groups="arm",
                        reference="b", model="permutation")
    found = row(result, statistic="difference", unit="percent")
    assert "exact" in found["method"] and found["p_value"] == approx(2 / 70)      # no overlap: 2 of 8 choose 4


@pytest.mark.parametrize(("metric", "arguments", "error", "words"), [
    ("score_change:odi", {"model": "studnt"}, UnknownNameError, "Did you mean student"),
    ("score_change:odi", {"model": "logistic"}, ParameterError, "does not fit a mean. Models for a mean: welch, stud"),
    ("score_change:odi", {"model": "welch", "cluster": "arm"}, ParameterError, "several belong to one arm"),
    ("score_change:odi", {"margin": "wide"}, ParameterError, "write a number above 0"),
    ("score_change:odi", {"margin": -1}, ParameterError, "write a number above 0"),
    ("score_change:odi", {"margin": 5, "model": "mann_whitney"}, ParameterError, "Models with a margin: welch, stud"),
    ("mcid_rate:odi", {"margin": "1 MCID"}, ParameterError, "has no registered MCID"),
    ("mcid_rate:odi", {"margin": 10}, ParameterError, "difference of shares between 0 and 1"),
    ("score_change:odi", {"p_adjust": "bonferroni"}, ParameterError, "Use one of holm"),
    ("score_change:odi", {"p_adjust": "holm", "model": "tukey"}, ParameterError, "adjusted for several contrasts al"),
    ("score_change:odi", {"subgroups": "age"}, UnknownNameError, "age"),
    ("score_change:odi", {"subgroups": "arm"}, ParameterError, "names the groups already"),
    ("score_change:odi", {"adjust": "agee"}, UnknownNameError, "no covariate is called 'agee'"),
    ("score_change:odi", {"variance": "CR2"}, ParameterError, "cluster goes with variance"),
    ("effect_size:odi", {}, ParameterError, "cannot be compared yet"),
])
def test_what_cannot_be_asked_says_why_and_what_can(cohort_from, metric, arguments, error, words):
    cohort = change(cohort_from, [12, 9, 15, 11], [4, 6, 1, 8])
    arguments = {"adjust": ["arm"], **arguments} if "variance" in arguments else arguments
    with pytest.raises(error, match=words):
        te.compare(cohort, metric, groups="arm", **arguments)


def test_infinite_covariates_are_refused_with_their_number(cohort_from):
    cohort = change(cohort_from, [12, 9, 15], [4, 6, 1])
    cohort.facts.episodes["age"] = [40, 50, np.inf, 60, 45, np.nan]
    with pytest.raises(ParameterError, match="1 units have an infinite value or covariate"):
        te.compare(cohort, "score_change:odi", groups="arm", adjust=["age"])


# ---- effects beside

def test_effects_beside_a_difference_by_hand(cohort_from):
    result = te.compare(change(cohort_from, [12, 9, 15, 12], [4, 6, 1, 9]), "score_change:odi", groups="arm",
                        reference="b")
    # means 12 and 5, sums of squares 18 and 34
    g = row(result, statistic="hedges_g")["estimate"]
    assert g == approx(7 / np.sqrt(52 / 6) * 2 / (np.sqrt(3) * 1.3293403882), rel=1e-9)    # J = G(3) / (3^.5 G(2.5))
    assert row(result, statistic="superiority")["estimate"] == approx(15.5 / 16)          # 9 ties with 9
    assert row(result, statistic="difference", unit="MCID")["estimate"] == approx(7 / te.measures.get("odi").mcid)


def test_a_number_needed_goes_through_infinity_and_says_so(cohort_from):
    cohort = change(cohort_from, [20] * 6 + [1] * 4, [20] * 4 + [1] * 6)
    result = te.compare(cohort, "mcid_rate:odi", groups="arm", reference="b")
    needed, risk = (row(result, statistic=name, estimand="complete_case") for name in
                    ("number_needed", "risk_difference"))
    assert needed["estimate"] == approx(5) and risk["conf_low"] < 0 < risk["conf_high"]
    assert (needed["conf_low"], needed["conf_high"]) == approx((1 / risk["conf_high"], 1 / risk["conf_low"]))
    assert "through no effect" in needed["note"]


def test_equal_shares_have_an_infinite_number_needed_and_no_number(cohort_from):
    result = te.compare(change(cohort_from, [20, 1], [20, 1]), "mcid_rate:odi", groups="arm", reference="b")
    found = row(result, statistic="number_needed", estimand="complete_case")
    assert np.isnan(found["estimate"]) and "the number is infinite; interval" in found["note"]


def test_a_number_needed_is_positive_where_fewer_bad_ends_are_better(cohort_from):
    cohort = change(cohort_from, [20] * 8 + [-20] * 2, [20] * 4 + [-20] * 6)
    result = te.compare(cohort, "reliable_deterioration_rate:odi", groups="arm", reference="b")
    assert row(result, statistic="risk_difference", estimand="complete_case")["estimate"] == approx(0.2 - 0.6)
    assert row(result, statistic="number_needed", estimand="complete_case")["estimate"] == approx(2.5)


def test_ratios_of_clustered_shares_have_no_interval(cohort_from):
    episodes = "episode patient arm\n" + "\n".join(f"e{i} p{i // 2} {'a' if i < 8 else 'b'}" for i in range(16))
    scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {40 + 39 * (i % 3 == 0)}" for i in range(16))
    result = te.compare(cohort_from(episodes=episodes, scores=scores), "mcid_rate:odi", groups="arm", reference="b")
    found = row(result, statistic="risk_ratio", estimand="complete_case")
    assert np.isfinite(found["estimate"]) and np.isnan(found["conf_low"]) and "one patient belong together" in (
        found["note"])
    assert np.isfinite(row(result, statistic="number_needed", estimand="complete_case")["conf_low"])
    clusters = row(result, statistic="check_clusters", estimand="complete_case")
    assert clusters["estimate"] == 8 and clusters["note"].startswith("very few clusters")


@pytest.mark.parametrize(("ages", "size", "words"), [
    ([40, 50, 60, 41, 51, 61], 0.1, "overlap in all covariates, least in age"),          # SDs 10, means 50 and 51
    ([40, 50, 60, 50, 60, 70], 1.0, "lie apart in age"), ([40, 40, 40, 50, 50, 50], np.nan, "lie apart in age")])
def test_groups_that_differ_in_a_covariate_are_told(cohort_from, ages, size, words):
    cohort = change(cohort_from, [12, 9, 15], [4, 6, 1])
    cohort.facts.episodes["age"] = [float(age) for age in ages]
    result = te.compare(cohort, "score_change:odi", groups="arm", reference="b", adjust=["age"], variance="classical")
    check = row(result, statistic="check_overlap")
    assert check["estimate"] == approx(size, nan_ok=True) and words in check["note"]


# ---- ratios and classes

def test_rates_need_counts_and_take_exposure(cohort_from):
    attended = [2, 4, 1, 5, 9, 8, 6, 9]
    visits = "episode arm n_attended planned_visits end_date\n" + "\n".join(
        f"e{i} {'a' if i < 4 else 'b'} {n} {20 if i == 0 else 10} 2026-03-01" for i, n in enumerate(attended))
    cohort = cohort_from(episodes=visits, has_calendar=True)
    for model in ("rate_ratio", "poisson"):
        result = te.compare(cohort, "visit_adherence", groups="arm", reference="b", model=model)
        found = row(result, statistic="rate_ratio")
        assert found["estimate"] == approx((12 / 50) / (32 / 40)) and found["conf_high"] < 1
    # Pearson by hand: rates 0.24 and 0.8, means 4.8, 2.4 three times and 8 four times, 6 df
    spread = (2.8**2 / 4.8 + (1.6**2 + 1.4**2 + 2.6**2) / 2.4 + (1 + 0 + 4 + 1) / 8) / 6
    assert row(result, statistic="check_dispersion")["estimate"] == approx(spread)
    default = te.compare(cohort, "visit_adherence", groups="arm", reference="b")
    assert "negative binomial regression; default for a ratio" in row(default, statistic="rate_ratio")["method"]


def test_a_ratio_of_sums_that_are_no_counts_says_so(cohort_from):
    cohort = change(cohort_from, [12.5, 9, 15], [4, 6, 1])
    cohort.facts.episodes["n_attended"] = [4, 5, 6, 7, 8, 9]
    with pytest.raises(ParameterError, match="whole numbers that are not negative"):
        te.compare(cohort, "gain_per_visit:odi", groups="arm")


def test_classes_with_an_order_have_one_odds_ratio_above_1_for_better(cohort_from):
    cohort = change(cohort_from, [40, 35, 30, 2, 30, 1, 40, -30], [1, -30, 2, 30, -35, 0, 1, 40])
    result = te.compare(cohort, "jt_class:odi", groups="arm", reference="b")
    found = row(result, statistic="odds_ratio")
    assert found["estimate"] > 1 and "proportional odds" in found["method"]
    assert row(result, statistic="check_convergence")["estimate"] == 1


def test_classes_without_order_have_one_difference_per_class_and_a_test_of_all(cohort_from):
    reasons = ["goals_met"] * 6 + ["plateau"] * 2 + ["goals_met"] * 3 + ["plateau"] * 5
    cohort = cohort_from(has_calendar=True, episodes="episode arm reason end_date closed_admin\n" + "\n".join(
        f"e{i} {'a' if i < 8 else 'b'} {reason} 2026-03-01 False" for i, reason in enumerate(reasons)))
    cohort.facts.episodes["closed_admin"] = False
    result = te.compare(cohort, "disposition_mix", groups="arm", reference="b")
    assert row(result, level="goals_met", statistic="risk_difference")["estimate"] == approx(6 / 8 - 3 / 8)
    assert row(result, level="plateau", statistic="risk_difference")["estimate"] == approx(3 / 8 - 6 / 8)
    test = row(result, statistic="chi_square")              # 2 x 2: 16 (6 * 5 - 2 * 3)^2 / (8 * 8 * 9 * 7)
    assert test["estimate"] == approx(16 * (6 * 5 - 2 * 3) ** 2 / (8 * 8 * 9 * 7)) and test["contrast"] == ALL_GROUPS


# ---- several tests, margins

def test_p_values_of_all_contrasts_and_metrics_are_adjusted_together():
    arguments = {"groups": "arm", "reference": "usual", "model": "student"}
    metrics = ["score_change:barthel_100", "final_score:barthel_100"]
    plain = te.compare(stroke(), metrics, **arguments).frame
    holm = te.compare(stroke(), metrics, p_adjust="holm", **arguments).frame
    main = plain["p_value"].notna() & (plain["statistic"] == "difference")
    assert main.sum() == 4
    np.testing.assert_allclose(holm.loc[main, "p_value"], te.stats.adjust_p(plain.loc[main, "p_value"].to_numpy()))
    assert holm.loc[main, "method"].str.endswith("P adjusted for 4 tests (holm)").all()
    pd.testing.assert_series_equal(holm.loc[~main, "p_value"], plain.loc[~main, "p_value"])


def test_a_margin_is_met_exactly_where_the_interval_lies_within_it(cohort_from):
    cohort = change(cohort_from, [10, 11, 12, 9, 10], [10, 9, 11, 10, 12])
    low, high = (row(te.compare(cohort, "score_change:odi", groups="arm", reference="b"), statistic="difference",
                     unit="percent")[name] for name in ("conf_low", "conf_high"))
    for margin, equivalent in ((high + 0.01, True), (max(-low, high) - 0.01, False)):
        result = te.compare(cohort, "score_change:odi", groups="arm", reference="b", margin=margin)
        found = row(result, statistic="equivalence")
        assert (found["p_value"] < 0.025) == equivalent == found["note"].startswith("shown to be alike within")
        assert (found["conf_low"], found["conf_high"]) == approx((low, high))
    assert row(result, statistic="non_inferiority")["p_value"] <= found["p_value"]


def test_a_margin_in_mcids_is_one_in_points(cohort_from):
    cohort = change(cohort_from, [10, 11, 12, 9, 10], [10, 9, 11, 10, 12])
    p = [row(te.compare(cohort, "score_change:odi", groups="arm", reference="b", margin=margin),
             statistic="equivalence")["p_value"] for margin in ("0.5 MCID", te.measures.get("odi").mcid / 2)]
    assert p[0] == p[1]


# ---- thin and odd data: a number, or NaN and a reason, never an exception

@pytest.mark.parametrize(("first", "second"), [
    ([5, 5, 5], [5, 5, 5]), ([5, 5, 5], [9, 9, 9]), ([5], [9, 8, 7]), ([5], [9]), ([None, None], [9, 8, 7]),
    ([None], [None]), ([20, 20, 20], [1, 1, 1]), ([20, 20], [20, 20])])
@pytest.mark.parametrize("metric", ["score_change:odi", "mcid_rate:odi", "jt_class:odi"])
@pytest.mark.parametrize("adjust", [(), ("age",)])
def test_thin_data_give_a_number_or_a_reason(cohort_from, first, second, metric, adjust):
    cohort = change(cohort_from, first, second)
    episodes = cohort.facts.episodes
    episodes["age"] = np.arange(len(episodes)) % 3 + 40.0
    episodes["site"] = np.arange(len(episodes)) % 2
    fitting = [model for model in MODELS.values() if _kind(metric) in model.kinds and model.adjusts >= bool(adjust)]
    for model in [model for model in fitting if adjust or not model.needs_covariates]:
        result = te.compare(cohort, metric, groups="arm", reference="b", model=model.name, adjust=adjust,
                            cluster="site" if model.needs_clusters else None)
        several = result.frame[result.frame["contrast"] != ""]
        assert (several["estimate"].notna() | (several["note"] != "")).all()
        assert not (several["statistic"].str.startswith("check_") & (several["note"] == "")).any()


def _kind(metric):
    return {"score_change:odi": "mean", "mcid_rate:odi": "proportion"}.get(metric, "ordered")


def test_separated_outcomes_give_no_number_and_a_check_that_says_so(cohort_from):
    cohort = change(cohort_from, [20] * 6, [1] * 6)
    cohort.facts.episodes["age"] = np.arange(12.0)
    result = te.compare(cohort, "mcid_rate:odi", groups="arm", reference="b", adjust=["age"])
    found = row(result, statistic="risk_difference", estimand="complete_case")
    assert np.isnan(found["estimate"]) and "separate" in found["note"]
    check = row(result, statistic="check_convergence", estimand="complete_case")
    assert check["estimate"] == 0 and "separate" in check["note"]


def test_medians_of_patients_with_two_episodes_have_no_model_yet(cohort_from):
    cohort = cohort_from(episodes="episode patient arm\ne1 p1 a\ne2 p1 a\ne3 p2 b\ne4 p3 b")
    cohort.facts.episodes["days"] = [3.0, 4, 5, 6]
    with pytest.raises(NotEvaluableError, match="no model for a median, several units per patient yet"):
        te.compare(cohort, "episode_days", groups="arm")


def test_every_check_has_words():
    assert set(CHECK_WORDS) == {name for name in STATISTICS if name.startswith(CHECK)}


def test_the_guide_lists_every_model():
    guide = (SAMPLES.parent / "docs" / "compare.md").read_text(encoding="utf-8")
    assert [name for name in MODELS if f"`{name}`" not in guide] == []
    assert [name for name in DEFAULTS.values() if f"| `{name}` (default" not in guide] == []


# ---- how it reads, and what release does with it

def test_checks_stand_apart_from_the_estimates_in_plain_words():
    text = te.compare(stroke(), "score_change:barthel_100", groups="arm", reference="usual").to_text()
    estimates, checks = text.split("Checks of the model")
    assert "check_" not in text and "hedges_g" in estimates and "largest influence of one unit" in checks
    assert "about symmetric" in checks or "skewed" in checks


def test_a_released_comparison_hides_checks_with_a_small_group_and_the_influence_of_one_always(cohort_from):
    def released(n_first, n_second):
        rng = np.random.default_rng(5)
        cohort = change(cohort_from, rng.integers(0, 40, n_first), rng.integers(0, 40, n_second))
        return te.release([te.compare(cohort, "score_change:odi", groups="arm", reference="b")], "cms_11")[0]

    large, small = released(30, 40), released(8, 40)
    assert row(large, statistic="check_skewness")["note"] != "withheld"
    assert np.isfinite(row(large, statistic="check_skewness")["estimate"])
    assert np.isnan(row(large, statistic="check_influence")["estimate"])
    of_several = small.frame[small.frame["contrast"] != ""]
    assert of_several[["estimate", "conf_low", "p_value", "n"]].isna().all().all()
    assert of_several["note"].eq("withheld").all()


def test_a_released_test_of_all_groups_falls_with_any_of_them(cohort_from):
    def released(*sizes):
        arms = [arm for arm, n in zip("abc", sizes, strict=True) for _ in range(n)]
        episodes = "episode arm\n" + "\n".join(f"e{i} {arm}" for i, arm in enumerate(arms))
        scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {i * 7 % 31}" for i in range(len(arms)))
        result = te.compare(cohort_from(episodes=episodes, scores=scores), "score_change:odi", groups="arm")
        return row(te.release([result], "cms_11")[0], statistic="f_ratio")

    assert np.isfinite(released(20, 20, 20)["estimate"]) and np.isnan(released(20, 20, 5)["estimate"])


def test_released_subgroups_and_their_interaction_fall_with_a_small_subgroup(cohort_from):
    def released(n_few):
        sex = ["f"] * 60 + ["m"] * n_few
        episodes = "episode arm sex\n" + "\n".join(f"e{i} {'ab'[i % 2]} {name}" for i, name in enumerate(sex))
        scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {i * 7 % 31}" for i in range(len(sex)))
        result = te.compare(cohort_from(episodes=episodes, scores=scores), "score_change:odi", groups="arm",
                            reference="b", subgroups="sex")
        return te.release([result], "cms_11")[0]

    large, small = released(40), released(10)
    assert np.isfinite(row(large, statistic="interaction")["estimate"])
    assert np.isfinite(row(large, sex="m", statistic="difference")["estimate"])
    assert np.isnan(row(small, statistic="interaction")["estimate"])
    assert np.isnan(row(small, sex="m", statistic="difference")["estimate"])
