"""Estimators of which the other tests have one data set: a second one, or two real ones, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, agree, codes, committed, limits, reader, stroke, table
from reference_values import kutner as days

from therapyeval import stats

expected = reader("second_data")
RESPONDERS, FREE = (np.array([87, 45]), np.array([161, 140])), (np.array([33, 10]), np.array([50, 51]))
PAIR, BACK = [(0, 1)], [(1, 0)]
ONE = {"headache": RESPONDERS, "back_pain": FREE}


@pytest.fixture
def everybody(real_data):
    """The headache trial with those who have no score after twelve months."""
    return pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")


# ---- counts and rates

@pytest.mark.parametrize("data", ["kidney", "sicily"])
def test_rates_and_their_ratios_agree_with_r(data):
    events, exposure = expected(f"event_rate.{data}", "counts").T
    agree(limits(stats.event_rate(events, exposure, per=1)), expected(f"event_rate.{data}"))
    ratio = stats.rate_ratio(np.asarray(events), np.asarray(exposure), BACK)
    agree(table(ratio)[0, :4], expected(f"rate_ratio.{data}"))


def test_the_counts_are_those_of_the_data(real_data):
    kidney, sicily = committed("kidney"), pd.read_csv(real_data("sicily_its") / "sicily.csv")
    agree(kidney.groupby("sex")[["status", "time"]].sum(), expected("event_rate.kidney", "counts"))
    agree(sicily.groupby("smokban")[["aces", "stdpop"]].sum(), expected("event_rate.sicily", "counts"))


@pytest.mark.parametrize("data", ["sicily", "brain_injury"])
def test_growth_agrees_with_binom_test(data):
    later, earlier, *_ = np.asarray(expected(f"growth.{data}"))
    agree(limits(stats.growth(np.array([later]), np.array([earlier])))[0], expected(f"growth.{data}")[2:])


@pytest.mark.parametrize("data", ["headache", "back_pain"])
def test_numbers_needed_to_treat_agree_with_r(data):
    found = stats.number_needed(stats.risk_difference(*ONE[data], PAIR))
    agree(limits(found)[0], expected(f"number_needed.{data}"))


def test_smallest_expected_counts_agree_with_r():
    agree(stats.smallest_expected(*RESPONDERS), expected("smallest_expected.headache"))
    values, group = days()
    found = stats.smallest_expected(np.bincount(group, values > 32).astype(int), np.bincount(group))
    agree(found, expected("smallest_expected.kutner"))


# ---- equivalence and spread

def shown(found):
    return np.column_stack([found.estimate, found.low, found.high, found.p_value])[0]


def sex_of_lung(**options):
    rows = committed("lung")
    return stats.adjusted_difference(rows["time"], rows["sex"].to_numpy() - 1, BACK, rows[["age"]],
                                     variance="classical", **options)


def groups_of_headache(rows, **options):
    return stats.adjusted_difference(rows["pk5"], rows["group"].to_numpy(), BACK, rows[["pk1"]], variance="classical",
                                     **options)


def test_equivalence_of_adjusted_means_and_of_risks_agrees_with_r(headache):
    headache = groups_of_headache(headache, conf_level=0.9)
    agree(shown(stats.equivalent(headache, (-10, 10))), expected("equivalent.headache"))
    agree(shown(stats.equivalent(sex_of_lung(conf_level=0.9), (-150, 150))), expected("equivalent.lung"))
    agree(shown(stats.equivalent_risks(*FREE, PAIR, (-0.1, np.inf))), expected("equivalent_risks.back_pain"))


def test_pooled_standard_deviations_agree_with_r():
    agree(stats.pooled_sd(*days(), [(0, 2)])[0], expected("pooled_sd.kutner"))
    rows = committed("stroke")
    agree(stats.pooled_sd(rows["week8"].to_numpy(float), codes(rows["Group"]), [(0, 2)])[0],
          expected("pooled_sd.stroke"))


# ---- propensity scores

def check_weights(case, score):
    first = score.first
    found = [stats.propensity_weights(score, estimand)[score.rows] for estimand in ("ATE", "ATT", "overlap")]
    agree([[w[first].sum(), w[~first].sum()] for w in found], expected(case, "weights"))
    sizes = [[stats.effective_size(w[first]), stats.effective_size(w[~first])] for w in found]
    agree(sizes, expected(case, "size"))


def test_propensity_scores_their_weights_and_effective_sizes_agree_with_glm(headache):
    rows = committed("veteran")
    score = stats.propensity_score(rows["trt"].to_numpy() - 1, (1, 0), rows[["karno", "age", "celltype"]])
    agree(score.score, expected("propensity_score.veteran", "score"))
    check_weights("propensity_score.veteran", score)
    score = stats.propensity_score(headache["group"].to_numpy(), (1, 0),
                                   headache[["pk1", "age", "sex", "migraine", "chronicity"]])
    summary = [score.score.mean(), score.score.std(ddof=1), score.score.min(), score.score.max()]
    agree(summary, expected("propensity_score.headache", "score"))
    check_weights("propensity_score.headache", score)


# ---- E-values

@pytest.mark.parametrize("data", ["headache", "back_pain"])
def test_e_values_of_risk_ratios_agree_with_the_formula(data):
    wanted = expected(f"e_value.{data}")
    found = stats.e_value(*(np.array([number]) for number in wanted[:3]))
    agree([found.point[0], found.limit[0]], wanted[3:])


def test_e_values_of_differences_agree_with_the_formula(headache):
    for data, found in (("headache", groups_of_headache(headache)), ("lung", sex_of_lung())):
        wanted = expected(f"e_value_difference.{data}")
        agree([found.estimate[0], found.low[0], found.high[0]], wanted[:3])
        value = stats.e_value_difference(found.estimate, found.low, found.high, float(wanted[3]))
        agree([value.point[0], value.limit[0]], wanted[4:])


# ---- power

@pytest.mark.parametrize(("data", "n_a", "n_b", "difference"), [("headache", 161, 140, 4.6), ("stroke", 8, 8, 15)])
def test_power_of_means_agrees_with_r(data, n_a, n_b, difference):
    sd, n = float(expected(f"power_means.{data}")[0]), min(n_a, n_b)
    found = [stats.power_means(n_a, n_b, difference, sd), stats.detectable_difference(n, n, sd),
             stats.n_for_means(difference, sd)[0]]
    agree(found, expected(f"power_means.{data}")[1:])


@pytest.mark.parametrize(("data", "n"), [("headache", 60), ("back_pain", 20)])
def test_power_of_proportions_agrees_with_r(data, n):
    a, b = ONE[data][0] / ONE[data][1]
    found = [stats.power_proportions(n, n, a, b), stats.n_for_proportions(a, b)[0],
             stats.detectable_proportions(n, n, b)[1]]
    agree(found, expected(f"power_proportions.{data}"))


@pytest.mark.parametrize("data", ["headache", "lung"])
def test_design_effects_agree_with_kish(data):
    size, icc, cv, _ = np.asarray(expected(f"design_effect.{data}"))
    agree([stats.design_effect(size, icc, cv=cv)], expected(f"design_effect.{data}")[3:])


# ---- missing outcomes

def test_worst_and_best_cases_agree_with_r(everybody):
    ends = {"lowest": 0, "highest": 100}
    found = stats.extreme_cases(everybody["pk5"].to_numpy(), everybody["group"].to_numpy(), BACK, stats.welch, **ends)
    agree(np.vstack([table(one) for one in found]), expected("extreme_cases.headache"))
    rows = pd.read_csv(FOLDER / "imputation" / "stroke_holes.csv")
    found = stats.extreme_cases(rows["week8"].to_numpy(float), codes(rows["Group"]), [(0, 2)], stats.welch, **ends)
    agree(np.vstack([table(one) for one in found]), expected("extreme_cases.stroke"))


def test_weights_for_having_a_score_agree_with_r(everybody):
    arguments = (everybody["pk5"].to_numpy(), everybody[["group", "pk1", "age"]].to_numpy(float),
                 everybody["group"].to_numpy(), everybody["id"].to_numpy())
    agree(limits(stats.completion_weighted(*arguments, 2)), expected("completion_weighted.headache", "means"))
    found = stats.completion_weighted_difference(*arguments, BACK)
    agree(table(found)[0], expected("completion_weighted.headache", "difference"))


# ---- bootstrap: within 4.5 Monte-Carlo errors of both sides

def near(found, case, place=0):
    wanted, error = expected(case)[place], np.asarray(expected(case, "error")[place])
    agree(found.estimate[0], wanted[0])
    agree([found.low[0], found.high[0]], wanted[1:], rtol=0, atol=4.5 * error * np.sqrt(1 + 2000 / 20_000))


def test_bootstrap_limits_of_means_and_medians_agree_with_boot(headache):
    treated = headache[headache["group"] == 1]
    samples = {"headache": (treated["pk5"] - treated["pk1"]).to_numpy(), "lung": committed("lung")["time"].to_numpy()}
    for data, values in samples.items():
        group, person = np.zeros(len(values), dtype=int), np.arange(len(values))

        def mean(rows, codes, n, values=values):
            return np.bincount(codes, values[rows], n) / np.bincount(codes, minlength=n)

        def median(rows, codes, n, values=values):
            return stats.quantile(values[rows], codes, n, 0.5)
        for place, statistic in enumerate((mean, median)):
            found = stats.bootstrap_interval(statistic, group, person, 1)
            near(found, f"bootstrap_interval.{data}", place)


def test_standardized_means_agree_with_boot(headache):
    treated, change = headache[headache["group"] == 1], stroke()[0]
    samples = {"headache": (treated["pk5"] - treated["pk1"], treated["pk1"]),
               "stroke": (change, committed("stroke")["week1"])}
    for data, (values, spread) in samples.items():
        found = stats.standardized_mean(np.asarray(values), np.asarray(spread, float), np.zeros(len(values), dtype=int),
                                        np.arange(len(values)), 1)
        near(found, f"standardized_mean.{data}")
