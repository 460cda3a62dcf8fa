"""missing= of compare, groups not randomized, clusters and times: against R, by hand, and under release."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx
from reference_values import CLOSED_FORM, SEARCHED, agree, committed, reader

import therapyeval as te
from therapyeval.errors import ParameterError

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
IN_R, PROPENSITY_IN_R, CLUSTERED_IN_R = reader("comparing"), reader("propensity"), reader("clustered")
NUMBERS = ["estimate", "conf_low", "conf_high", "p_value"]
ADJUST = ["baseline", "age", "sex", "migraine", "chronicity"]
CHANGE, FINAL = "score_change:headache_score", "final_score:headache_score"
RESPONDER = "pct_improved_rate:headache_score,p=0.35"


@cache
def cohort_of(folder, name):
    return te.read_dataset(folder, mapping=SAMPLES / name / "mapping.yml").cohort()


@pytest.fixture
def headache(real_data):
    def compare(metric=CHANGE, **options):
        cohort = cohort_of(real_data("acupuncture_headache"), "acupuncture_headache")
        return te.compare(cohort, metric, groups="arm", reference="usual", **options)
    return compare


def dropout(cohort_from, every=False):
    """The committed made-up trial on a scale that is better when low; ten visits more, so that nobody has too few."""
    rows = pd.read_csv(Path(__file__).parent / "reference" / "missing" / "dropout.csv")
    rows = rows if every else rows.drop_duplicates("patient")
    episodes = "episode patient arm n_attended\n" + "\n".join(
        f"e{i} p{one.patient} {'new' if one.arm else 'old'} {one.visits + 10}"
        for i, one in enumerate(rows.itertuples()))
    scores = "episode measure baseline final\n" + "\n".join(
        f"e{i} odi {one.baseline} {'-' if np.isnan(one.change) else one.baseline - one.change}"
        for i, one in enumerate(rows.itertuples()))
    return cohort_from(episodes=episodes, scores=scores)


def numbers(result, **wanted):
    return row(result, **wanted)[NUMBERS].astype(float).tolist()


# ---- missing values

def close_to_mice(found, tipping, case):
    """Both sides are random: four Monte-Carlo errors of their difference, for the estimate and its limits."""
    between, m = IN_R(case, "between"), IN_R(case, "m")
    error = float(np.sqrt(between / 50 + between / m))
    agree(found["estimate"], IN_R(case)[0], 0, 4 * error)
    agree(found[["conf_low", "conf_high"]].astype(float), IN_R(case)[1:3], 0, 6 * error)
    assert tipping["estimate"] == approx(float(IN_R(case, "tipping")), rel=0.15)


def test_imputed_headache_change_and_its_tipping_point_agree_with_mice(headache):
    result = headache(adjust=ADJUST, variance="classical", missing="impute")
    found, tipping = row(result, statistic="difference"), row(result, statistic="tipping_point")
    close_to_mice(found, tipping, "impute.headache")
    assert (found["estimand"], found["n"], found["n_missing"]) == ("imputed", 301, 100)
    assert "50 imputations, Rubin's rules; imputed from group, baseline, age" in found["method"]
    assert "seed 1" in found["method"] and "lower by that much" in tipping["note"]


def test_imputed_dropout_agrees_with_mice(cohort_from):
    result = te.compare(dropout(cohort_from), "score_change:odi", groups="arm", reference="old", adjust=["baseline"],
                        variance="classical", missing="impute")
    close_to_mice(row(result, statistic="difference", unit="percent"), row(result, statistic="tipping_point"),
                  "impute.dropout")


def test_weighted_differences_agree_with_r(headache, cohort_from):
    found = row(headache(adjust=ADJUST, missing="weight"), statistic="difference")
    agree(found[NUMBERS].astype(float), IN_R("weight.headache"))
    assert (found["estimand"], found["n"], found["n_missing"]) == ("weighted", 301, 100)
    trial = te.compare(dropout(cohort_from, every=True), "score_change:odi", groups="arm", reference="old",
                       adjust=["baseline"], missing="weight")
    agree(numbers(trial, statistic="difference", unit="percent"), IN_R("weight.dropout"))


def test_worst_and_best_case_of_headache_responders_by_hand(headache):
    worst = row(headache(RESPONDER, missing="worst"), statistic="risk_difference", estimand="worst_case")
    best = row(headache(RESPONDER, missing="best"), statistic="risk_difference", estimand="best_case")
    assert worst["estimate"] == approx(87 / 205 - (45 + 56) / 196)          # 87 of 161 and 45 of 140; 44 and 56 missing
    assert best["estimate"] == approx((87 + 44) / 205 - 45 / 196)
    assert worst["n_missing"] == best["n_missing"] == 100


def test_worst_case_of_a_change_knows_the_baselines(cohort_from):
    cohort = cohort_from(episodes="episode arm\n" + "\n".join(f"e{i} {'aaabbb'[i]}" for i in range(6)), scores="""
        episode measure baseline final
        e0      odi     50       40
        e1      odi     60       56
        e2      odi     30       -
        e3      odi     50       48
        e4      odi     60       54
        e5      odi     20       -""")
    found = row(te.compare(cohort, "score_change:odi", groups="arm", reference="b", missing="worst"),
                statistic="difference", unit="percent")
    assert found["estimate"] == approx((10 + 4 - 70) / 3 - (2 + 6 + 20) / 3)   # e2 ends at 100, e5 at 0


def test_worst_and_best_case_hold_the_complete_cases_of_back_pain_between_them(real_data):
    cohort = cohort_of(real_data("back_pain_prt"), "back_pain_prt")
    found = [te.compare(cohort, "score_change:pain_avg", groups="arm", reference="usual", missing=rule)
             for rule in ("worst", "complete", "best")]
    worst, known, best = (row(result, contrast="PRT - usual", statistic="difference", unit="points")
                          for result in found)
    assert worst["estimate"] < known["estimate"] < best["estimate"]
    assert worst["n_missing"] == known["n_missing"] > 0 and worst["n"] == known["n"]


def test_imputed_shares_have_pooled_ratios_beside_them(headache):
    result = headache(RESPONDER, missing="impute")
    risk, ratio, odds = (row(result, statistic=name, estimand="imputed")
                         for name in ("risk_difference", "risk_ratio", "odds_ratio"))
    assert "Rubin's rules" in ratio["method"] and "default for a proportion" in risk["method"]
    assert 1 < ratio["conf_low"] < ratio["estimate"] < odds["estimate"]
    assert row(result, statistic="number_needed", estimand="imputed")["estimate"] == approx(1 / risk["estimate"])
    assert row(result, statistic="risk_difference", estimand="missing_not_achieved")["n_missing"] == 0


def test_imputations_are_the_same_each_time(headache):
    assert headache(RESPONDER, missing="impute").frame.equals(headache(RESPONDER, missing="impute").frame)


def test_with_nothing_missing_every_rule_gives_the_plain_difference(cohort_from):
    rows = "\n".join(f"e{i} odi 80 {80 - i * 7 % 31}" for i in range(20))
    cohort = cohort_from(episodes="episode arm\n" + "\n".join(f"e{i} {'ab'[i % 2]}" for i in range(20)),
                         scores=f"episode measure baseline final\n{rows}")
    found = [row(te.compare(cohort, "score_change:odi", groups="arm", reference="b", missing=rule),
                 statistic="difference", unit="percent")["estimate"] for rule in
             ("complete", "impute", "weight", "worst", "best")]
    assert found == approx([found[0]] * 5)


@pytest.mark.parametrize(("metric", "options", "words"), [
    (CHANGE, {"missing": "guess"}, "Use one of complete, impute"),
    (CHANGE, {"missing": "impute", "model": "mann_whitney"}, "has none: it works on ranks. Models that can be pooled "
     "over imputations: welch"),
    (RESPONDER, {"missing": "impute", "model": "fisher"}, "its limits are exact. Models .*: logistic"),
    (CHANGE, {"missing": "impute", "model": "tukey"}, "hold for all pairs together"),
    (CHANGE, {"missing": "impute", "subgroups": "sex"}, "missing='complete' only"),
    (CHANGE, {"missing": "worst", "adjust": "age"}, "Leave adjust out"),
    (CHANGE, {"missing": "weight", "model": "welch"}, "has a model of its own"),
    (CHANGE, {"missing": "weight", "cluster": "sex"}, "Leave cluster out"),
    (CHANGE, {"model": "iptw"}, "needs covariates: name in adjust"),
    (CHANGE, {"model": "mixed"}, "needs units that belong together"),
])
def test_what_does_not_fit_says_why(headache, metric, options, words):
    with pytest.raises(ParameterError, match=words):
        headache(metric, **options)


@pytest.mark.parametrize("options", [{}, {"cluster": "arm"}])
def test_several_units_of_one_patient_are_not_imputed(cohort_from, options):
    with pytest.raises(ParameterError, match="takes patients as independent"):
        te.compare(dropout(cohort_from, every=True), "score_change:odi", groups="arm", missing="impute", **options)


def test_a_group_without_any_value_gives_a_note(cohort_from):
    cohort = cohort_from(episodes="episode arm\n" + "\n".join(f"e{i} {'ab'[i % 2]}" for i in range(8)),
                         scores="episode measure baseline final\n" + "\n".join(f"e{i} odi 80 -" for i in range(8)))
    for rule in ("impute", "weight"):
        found = row(te.compare(cohort, "score_change:odi", groups="arm", missing=rule), statistic="difference",
                    unit="percent")
        assert np.isnan(found["estimate"]) and found["note"] != ""


@pytest.mark.parametrize(("model", "statistic"), [("firth", "odds_ratio"), ("linear", "risk_difference")])
def test_imputed_shares_have_every_model_with_standard_errors(headache, model, statistic):
    found = row(headache(RESPONDER, missing="impute", model=model, adjust=["baseline"]), statistic=statistic,
                estimand="imputed")
    assert found["conf_low"] < found["estimate"] < found["conf_high"] and "Rubin's rules" in found["method"]


# ---- groups not randomized

def test_weights_matches_and_doubly_robust_differences_agree_with_r(headache):
    models = ("iptw", "iptw_att", "overlap", "aipw")
    found = [numbers(headache(FINAL, adjust=ADJUST, model=name), statistic="difference") for name in models]
    agree(found[:3], PROPENSITY_IN_R("weights.headache"))
    agree(found[3], PROPENSITY_IN_R("aipw.headache")[0])
    matched = headache(FINAL, adjust=ADJUST, model="matched")
    agree(numbers(matched, statistic="difference"), PROPENSITY_IN_R("match.headache")[0, :4])
    assert row(matched, statistic="check_effective_size")["estimate"] == 132            # pairs in R
    share = headache(RESPONDER, adjust=ADJUST, model="aipw")
    agree(numbers(share, statistic="risk_difference", estimand="complete_case"), PROPENSITY_IN_R("aipw.headache")[1])


def test_weighted_gains_of_stroke_agree_with_r():
    cohort = cohort_of(SAMPLES / "stroke_recovery", "stroke_recovery")
    result = te.compare(cohort, "score_change:barthel_100", groups="arm", reference="usual", adjust=["baseline"],
                        model="iptw")
    found = [numbers(result, contrast=f"{arm} - usual", statistic="difference", unit="points")
             for arm in ("new OT", "existing")]
    agree(found, PROPENSITY_IN_R("weights.stroke"))
    assert row(result, statistic="check_effective_size")["estimate"] < 8               # patients in a group


def test_checks_and_e_value_of_weights_agree_with_r(headache):
    result = headache(FINAL, adjust=ADJUST, model="iptw")
    balance = np.abs(PROPENSITY_IN_R("balance.headache")[:3, :2]).max(axis=0)           # pk1, age, sex lead
    assert row(result, statistic="check_overlap")["estimate"] == approx(balance[0], rel=CLOSED_FORM)
    assert row(result, statistic="check_balance")["estimate"] == approx(balance[1], rel=CLOSED_FORM)
    assert row(result, statistic="check_positivity")["estimate"] == 0
    effect, in_sds = row(result, statistic="difference"), row(result, statistic="e_value")
    sd = 1 / row(result, statistic="hedges_g")["estimate"] * effect["estimate"]
    ratio = np.exp(0.91 * abs(effect["estimate"] / sd))
    assert in_sds["estimate"] == approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=0.01)   # g is 0.3% below d
    assert 1 < in_sds["conf_low"] < in_sds["estimate"] and np.isnan(in_sds["conf_high"])


def test_a_weighted_comparison_has_a_balance_table_as_in_r(headache):
    frame = headache(FINAL, adjust=ADJUST, model="iptw").to_frame()
    rows = frame[frame["statistic"] == "smd"]
    wanted = PROPENSITY_IN_R("balance.headache")
    for name, place in ("baseline", 0), ("age", 1):
        agree(rows.loc[rows["level"] == name, "estimate"].abs(), np.abs(wanted[place, :2]))   # the headache score falls
    assert set(rows["method"]) == {"before weighting or matching", "after weighting or matching"}
    exact = headache(FINAL, adjust=ADJUST, model="overlap").to_frame()
    after = exact[(exact["statistic"] == "smd") & exact["method"].str.startswith("after")]
    assert after["estimate"].abs().max() < 1e-8 and len(after) == len(rows) / 2      # balances means exactly
    assert not (headache(FINAL, adjust=ADJUST).to_frame()["statistic"] == "smd").any()
    released = te.release([headache(FINAL, adjust=ADJUST, model="overlap")], "cms_11")[0].to_frame()
    assert released.loc[released["statistic"] == "smd", "estimate"].isna().all()  # shares of few follow from it


def test_groups_apart_have_no_weights_and_checks_say_so(cohort_from):
    scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {60 - i}" for i in range(12))
    episodes = "episode arm age\n" + "\n".join(f"e{i} {'ab'[i // 6]} {30 + i}" for i in range(12))
    for model in ("iptw", "matched", "aipw"):
        result = te.compare(cohort_from(episodes=episodes, scores=scores), "score_change:odi", groups="arm",
                            adjust=["age"], model=model)
        found = row(result, statistic="difference", unit="percent")
        assert np.isnan(found["estimate"]) and "with certainty" in found["note"]
        assert np.isnan(row(result, statistic="check_balance")["estimate"])


# ---- clusters

def clustered(cohort_from):
    rows = committed("clustered")
    episodes = "episode patient arm age payer\n" + "\n".join(
        f"e{i} p{one.patient} x{one.arm} {one.age} {one.payer}" for i, one in enumerate(rows.itertuples()))
    scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {one}" for i, one in enumerate(rows["score"]))
    return cohort_from(episodes=episodes, scores=scores)


def test_mixed_models_agree_with_r(headache, cohort_from):
    result = te.compare(clustered(cohort_from), "final_score:odi", groups="arm", reference="x0",
                        adjust=["age", "payer"], model="mixed")
    found = [numbers(result, contrast=f"{arm} - x0", statistic="difference", unit="percent")
             for arm in ("x1", "x2")]
    agree(found, CLUSTERED_IN_R("mixed.clustered_reml")[:2, :4], SEARCHED)
    icc = row(result, statistic="check_icc")["estimate"]
    agree(icc, CLUSTERED_IN_R("icc.clustered_after")[0, 0], SEARCHED)
    assert row(result, statistic="check_clusters")["estimate"] == committed("clustered")["patient"].nunique()
    practices = headache(FINAL, adjust=ADJUST, model="mixed", cluster="site_id", conf_level=0.9)
    wanted = -CLUSTERED_IN_R("mixed.acupuncture")[0, [0, 2, 1]]                          # 0 - 1 in R
    agree(numbers(practices, statistic="difference")[:3], wanted, SEARCHED)
    assert "variance between clusters is estimated as 0" in row(practices, statistic="difference")["method"]
    assert row(practices, statistic="check_icc")["estimate"] == approx(0, abs=1e-6)


def test_gee_agrees_with_r(headache):
    mean = headache(FINAL, adjust=["baseline", "age"], model="gee", cluster="site_id", conf_level=0.9)
    agree(numbers(mean, statistic="difference")[:3],
          -CLUSTERED_IN_R("gee.acupuncture_exchangeable", "mancl_derouen")[0, [0, 2, 1]], SEARCHED)
    share = headache(RESPONDER, adjust=["baseline", "age"], model="gee", cluster="site_id")
    agree(numbers(share, statistic="risk_difference", estimand="complete_case"),
          CLUSTERED_IN_R("gee.acupuncture_risks", "mancl_derouen")[0, :4], SEARCHED)
    agree(numbers(share, statistic="odds_ratio", estimand="complete_case")[:3],
          CLUSTERED_IN_R("gee.acupuncture_binomial", "mancl_derouen")[0, :3], SEARCHED)
    risk = row(share, statistic="risk_difference", estimand="complete_case")["estimate"]
    assert row(share, statistic="number_needed", estimand="complete_case")["estimate"] == approx(1 / risk)


@pytest.mark.parametrize(("variance", "rule"), [("CR1", "CR1 standard errors"), ("HC3", "CR2 standard errors")])
def test_the_variance_by_cluster_is_cr1_only_where_asked_for(headache, variance, rule):
    found = headache(FINAL, adjust=ADJUST, cluster="site_id", variance=variance)
    assert rule in row(found, statistic="difference")["method"]
    if variance == "CR1":
        agree(numbers(found, statistic="difference")[:3], -CLUSTERED_IN_R("cr1.acupuncture")[0, [0, 2, 1]])


def test_cr1_needs_clusters(headache):
    with pytest.raises(ParameterError, match="cluster goes with variance CR1 or CR2"):
        headache(FINAL, adjust=ADJUST, variance="CR1")


# ---- times

def waiting(cohort_from, case):
    rows = committed(case)
    event, late = (rows["seen"], rows["sex"] == 2) if case == "lung" else (rows["status"], rows["trt"] == 2)
    named = zip(rows["time"], event, late, rows["age"], strict=True)
    return cohort_from(referrals="referral received_date days evaluated arm age\n" + "\n".join(
        f"r{i} 2020-01-01 {time}.0 {seen} {'new' if one else 'old'} {age}.0"
        for i, (time, seen, one, age) in enumerate(named)))


@pytest.mark.parametrize(("case", "horizon"), [("lung", 730), ("veteran", 365)])
def test_times_agree_with_r(cohort_from, case, horizon):
    cohort = waiting(cohort_from, case)
    plain = row(te.compare(cohort, "days_to_eval", groups="arm", reference="old"), statistic="difference")
    agree(plain[NUMBERS].astype(float), IN_R(f"times.{case}", "rmst"))
    assert f"restricted means to {horizon}" in plain["method"] and "default for a time" in plain["method"]
    cox = te.compare(cohort, "days_to_eval", groups="arm", reference="old", model="cox")
    agree(numbers(cox, statistic="hazard_ratio"), IN_R(f"times.{case}", "cox"), SEARCHED)
    adjusted = te.compare(cohort, "days_to_eval", groups="arm", reference="old", adjust=["age"])
    agree(numbers(adjusted, statistic="hazard_ratio"), IN_R(f"times.{case}", "adjusted"), SEARCHED)
    check = row(adjusted, statistic="check_hazards")
    agree(check[["estimate", "p_value"]].astype(float), IN_R(f"times.{case}", "zph"), SEARCHED)


def test_times_without_an_event_say_so(cohort_from):
    rows = "\n".join(f"r{i} 2020-01-01 {10 + i}.0 no {'ab'[i % 2]}" for i in range(8))
    cohort = cohort_from(referrals=f"referral received_date days evaluated arm\n{rows}")
    for model, statistic in (("rmst", "difference"), ("cox", "hazard_ratio")):
        found = row(te.compare(cohort, "days_to_eval", groups="arm", model=model), statistic=statistic)
        assert np.isnan(found["conf_low"]) and found["note"] != ""


# ---- release

def released(cohort_from, n_missing, **options):
    rng = np.random.default_rng(3)
    arms = ["a"] * 60 + ["b"] * 60
    final = ["-" if i % 60 < n_missing else str(70 - rng.integers(0, 40)) for i in range(120)]
    episodes = "episode arm age\n" + "\n".join(f"e{i} {arm} {rng.integers(30, 70)}" for i, arm in enumerate(arms))
    scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {one}" for i, one in enumerate(final))
    result = te.compare(cohort_from(episodes=episodes, scores=scores), "score_change:odi", groups="arm", reference="b",
                        **options)
    return te.release([result], "cms_11")[0]


@pytest.mark.parametrize("rule", ["impute", "weight", "worst", "best"])
def test_released_rows_about_the_missing_fall_where_few_are_missing(cohort_from, rule):
    many = row(released(cohort_from, 20, missing=rule), statistic="difference", unit="percent")
    few = row(released(cohort_from, 4, missing=rule), statistic="difference", unit="percent")
    assert np.isfinite(many["estimate"]) and many["n_missing"] == 40
    assert np.isnan(few["estimate"]) and few["note"] == "withheld" and pd.isna(few["n_missing"])


def test_released_tipping_points_and_weighted_effects_stand_or_fall_as_other_contrasts(cohort_from):
    many, few = (released(cohort_from, n, missing="impute") for n in (20, 55))
    assert row(many, statistic="tipping_point")["note"] != "withheld"
    assert row(few, statistic="tipping_point")["note"] == "withheld"             # five people in each group
    weighted = released(cohort_from, 0, adjust=["age"], model="matched")
    assert np.isfinite(row(weighted, statistic="e_value")["estimate"])
    assert np.isfinite(row(weighted, statistic="check_balance")["estimate"])
    for check in ("check_positivity", "check_effective_size"):
        assert np.isnan(row(weighted, statistic=check)["estimate"])
    small = released(cohort_from, 55, adjust=["age"], model="iptw")
    assert row(small, statistic="difference", unit="percent")["note"] == "withheld"
    assert row(small, statistic="e_value")["note"] == row(small, statistic="check_balance")["note"] == "withheld"
