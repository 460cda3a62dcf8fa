"""Groups that were not randomized: weights, matches, doubly robust differences, balance, E-values; against R."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import agree, committed, reader, stroke, table

from therapyeval import stats
from therapyeval.stats.propensity import APART, FEW

expected = reader("propensity")
HEADACHE = ["pk1", "age", "sex", "migraine", "chronicity"]
CHILDREN, VETERAN = ["age", "female", "gcsicu"], ["karno", "age", "celltype"]
ESTIMANDS = ("ATE", "ATT", "overlap")
TRAFFIC, FALL, ABUSE = 2, 0, 1


@pytest.fixture
def children(real_data):
    """Children in intensive care; the mechanism of injury as a code."""
    rows = pd.read_csv(real_data("pedalfast_tbi") / "pedalfast.csv", low_memory=False).dropna(subset="gcsicu")
    codes = {"Traffic": TRAFFIC, "Fall": FALL, "Known or suspected abuse": ABUSE}
    return rows.assign(group=rows["injurymech"].map(codes).fillna(3).astype(int), good=(rows["hosplos"] <= 7) * 1)


def veteran():
    rows = committed("veteran")
    return rows.assign(group=rows["trt"] - 1, good=(rows["time"] > 100).astype(int))


def numbers(contrast):
    assert np.isin(contrast.note.astype(str), ("", FEW)).all() and np.isnan(contrast.df).all()
    return table(contrast)[:, :4]


def weighted(rows, outcome, names, pair, **options):
    found = [stats.weighted_difference(rows[outcome].to_numpy(), rows["group"].to_numpy(), [pair], rows[names],
                                       estimand=estimand, **options) for estimand in ESTIMANDS]
    return np.vstack([numbers(one) for one in found])


# ---- weights

def test_weighted_differences_agree_with_r(headache, children):
    headache["good"] = (headache["pk5"] <= 0.65 * headache["pk1"]).astype(int)
    agree(weighted(headache, "pk5", HEADACHE, (1, 0)), expected("weights.headache"))
    agree(weighted(headache, "good", HEADACHE, (1, 0), conf_level=0.9), expected("weights.headache_share"))
    agree(weighted(children, "hosplos", CHILDREN, (TRAFFIC, FALL)), expected("weights.traffic_fall"))
    agree(weighted(children, "hosplos", CHILDREN, (TRAFFIC, ABUSE)), expected("weights.traffic_abuse"))


def test_weighted_differences_of_committed_data_agree_with_r():
    rows = veteran()
    agree(weighted(rows, "time", VETERAN, (1, 0)), expected("weights.veteran"))
    agree(weighted(rows, "time", [], (1, 0)), np.repeat(expected("weights.plain"), 3, axis=0))
    gain, arm = stroke()
    found = stats.weighted_difference(gain, arm, [(0, 2), (1, 2)], committed("stroke")[["week1"]])
    agree(numbers(found), expected("weights.stroke"))


def test_overlap_weights_make_the_means_of_all_covariates_equal():
    rows = veteran()
    for name in ("karno", "age"):
        found = stats.weighted_difference(rows[name], rows["group"].to_numpy(), [(1, 0)], rows[VETERAN],
                                          estimand="overlap")
        assert abs(found.estimate[0]) < 1e-8


def test_with_one_yes_or_no_covariate_weights_standardize_by_hand():
    # a: 4 of 6 are old, b: 2 of 6. Means of the old 8 and 5, of the young 4 and 3.
    group = np.repeat([1, 0], 6)
    old = np.array([1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    outcome = np.array([7.0, 9, 8, 8, 3, 5, 4, 6, 2, 4, 3, 3])
    found = [stats.weighted_difference(outcome, group, [(1, 0)], pd.DataFrame({"old": old}), estimand=one).estimate[0]
             for one in ("ATE", "ATT")]
    agree(found, [(3 + 1) / 2, 3 * 4 / 6 + 1 * 2 / 6])       # half are old; of a two thirds are


def test_a_difference_the_other_way_round_has_the_other_sign():
    rows = veteran()
    one, two = (stats.weighted_difference(rows["time"], rows["group"].to_numpy(), [pair], rows[VETERAN])
                for pair in ((1, 0), (0, 1)))
    agree([-two.estimate, -two.high, two.p_value], [one.estimate, one.low, one.p_value])


# ---- doubly robust

def test_doubly_robust_differences_agree_with_r(headache, children):
    headache["good"] = (headache["pk5"] <= 0.65 * headache["pk1"]).astype(int)
    check_aipw(headache, "pk5", HEADACHE, (1, 0), "aipw.headache")
    check_aipw(children, "hosplos", CHILDREN, (TRAFFIC, FALL), "aipw.traffic_fall", conf_level=0.9)


def test_doubly_robust_differences_of_committed_data_agree_with_r():
    check_aipw(veteran(), "time", VETERAN, (1, 0), "aipw.veteran")


def check_aipw(rows, outcome, names, pair, case, **options):
    group = rows["group"].to_numpy()
    mean = stats.doubly_robust_difference(rows[outcome], group, [pair], rows[names], **options)
    share = stats.doubly_robust_difference(rows["good"], group, [pair], rows[names], is_share=True, **options)
    agree(np.vstack([numbers(mean), numbers(share)]), expected(case))


def test_without_covariates_doubly_robust_is_the_plain_difference():
    rows = veteran()
    for is_share, outcome in ((False, "time"), (True, "good")):
        found = stats.doubly_robust_difference(rows[outcome], rows["group"].to_numpy(), [(1, 0)], rows[[]],
                                               is_share=is_share)
        plain = rows.groupby("group")[outcome].agg(["mean", lambda y: y.var(ddof=0) / len(y)]).to_numpy()
        half = 1.959963984540054 * np.sqrt(plain[:, 1].sum())
        agree([found.estimate[0], found.high[0]], np.array([0, half]) + plain[1, 0] - plain[0, 0])


def test_an_outcome_that_is_linear_in_the_covariates_gives_its_effect_exactly():
    rows = veteran()
    outcome = 3 * rows["group"] + 0.2 * rows["karno"] - rows["age"]
    found = stats.doubly_robust_difference(outcome, rows["group"].to_numpy(), [(1, 0)], rows[VETERAN])
    agree(found.estimate, [3.0])


# ---- matches

def check_matches(rows, outcome, names, pair, case, **options):
    group, covariates = rows["group"].to_numpy(), rows[names] if isinstance(names, list) else names
    inside = np.flatnonzero(np.isin(group, pair))
    place = np.full(len(rows), -1)
    place[inside] = np.arange(1, len(inside) + 1)                # R numbers the rows of the two groups
    level = options.pop("conf_level", 0.95)
    for row, replace in enumerate((False, True)):
        found = stats.match_nearest(group, pair, covariates, replace=replace, **options)
        checksum = [len(found.first), found.n_unmatched, (place[found.first] * place[found.second]).sum(), found.width]
        agree(checksum, expected(case, "checksum")[row])
        difference = stats.matched_difference(rows[outcome].to_numpy(), group, [pair], covariates, replace=replace,
                                              conf_level=level, **options)
        agree(table(difference)[0], expected(case)[row])
        assert difference.note[0] == ""
    return stats.match_nearest(group, pair, covariates, **options)


def test_matches_and_their_differences_agree_with_matchit(headache, children):
    matches = check_matches(headache, "pk5", HEADACHE, (1, 0), "match.headache")
    found = stats.covariate_balance(headache["group"].to_numpy(), (1, 0), headache[HEADACHE], matches.weights)
    ratios = expected("match.headache", "ratios")
    agree(found.ratio_after, np.where(np.isin(HEADACHE, ["sex", "migraine"]), np.nan, ratios))
    means = expected("match.headache", "means")
    sds = headache.groupby("group")[HEADACHE].var().mean().to_numpy() ** 0.5
    agree(found.smd_after, (means[:, 0] - means[:, 1]) / sds)
    check_matches(children, "hosplos", CHILDREN, (TRAFFIC, FALL), "match.traffic_fall", caliper=0.05, conf_level=0.9)


def test_matches_of_committed_data_agree_with_matchit():
    rows = veteran()
    covariates = rows[VETERAN].assign(age=rows["age"] + (np.arange(len(rows)) + 1) / 1000)
    check_matches(rows, "time", covariates, (1, 0), "match.veteran", caliper=0.1)


def test_without_replacement_the_interval_is_that_of_the_paired_t_test():
    rows = veteran()
    matches = stats.match_nearest(rows["group"].to_numpy(), (1, 0), rows[VETERAN])
    y = rows["time"].to_numpy(dtype=float)
    one = np.zeros(len(matches.first), dtype=int)
    paired = stats.paired(y[matches.first], y[matches.second], one, 1)
    found = stats.matched_difference(y, rows["group"].to_numpy(), [(1, 0)], rows[VETERAN])
    agree([found.low, found.high, found.p_value], [paired.low, paired.high, paired.p_value])


def test_ties_go_to_the_unit_that_comes_first():
    group, age = np.array([0, 1, 0, 1, 0, 0, 0, 1]), np.array([50, 50, 50, 60, 60, 60, 70, 50])
    found = stats.match_nearest(group, (1, 0), pd.DataFrame({"age": age}))
    assert found.first.tolist() == [1, 3, 7] and found.second.tolist() == [0, 4, 2]
    again = stats.match_nearest(group, (1, 0), pd.DataFrame({"age": age}), replace=True)
    assert again.second.tolist() == [0, 4, 0]
    assert again.weights.tolist() == [2, 1, 0, 1, 1, 0, 0, 1]


def test_units_beyond_the_caliper_are_counted_and_left_out():
    group, age = np.array([1, 1, 0, 0, 0, 1, 0]), np.array([40, 90, 41, 39, 60, 62, 85])
    found = stats.match_nearest(group, (1, 0), pd.DataFrame({"age": age}), caliper=0.2)
    assert found.n_unmatched == 3 - len(found.first) > 0
    none = stats.matched_difference(np.arange(7.0), group, [(1, 0)], pd.DataFrame({"age": age}), caliper=1e-6)
    assert np.isnan(none.estimate[0]) and none.note[0] == "no unit has a match within the caliper"
    wide = stats.match_nearest(group, (1, 0), pd.DataFrame({"age": age}), caliper=np.inf)
    assert wide.n_unmatched == 0


# ---- balance and overlap

def test_balance_before_and_after_weights_agrees_with_r(headache):
    group, covariates = headache["group"].to_numpy(), headache[["pk1", "age", "sex", "f1"]]
    weights = stats.propensity_weights(stats.propensity_score(group, (1, 0), headache[HEADACHE]))
    check_balance(stats.covariate_balance(group, (1, 0), covariates, weights), "balance.headache")


def test_balance_of_categories_agrees_with_r():
    rows = veteran()
    weights = stats.propensity_weights(stats.propensity_score(rows["group"].to_numpy(), (1, 0), rows[VETERAN]), "ATT")
    found = stats.covariate_balance(rows["group"].to_numpy(), (1, 0), rows[VETERAN], weights)
    check_balance(found, "balance.veteran")
    assert found.variable.tolist() == ["karno", "age"] + ["celltype"] * 4
    assert found.level.tolist() == ["", "", "adeno", "large", "smallcell", "squamous"]


def test_rows_of_other_groups_bear_on_nothing(children):
    group, mine = children["group"].to_numpy(), np.isin(children["group"], (TRAFFIC, FALL))
    scores = stats.propensity_score(group, (TRAFFIC, FALL), children[CHILDREN])
    weights = stats.propensity_weights(scores, "overlap")
    assert (weights[~mine] == 0).all() and (weights[mine] > 0).all()
    found = stats.covariate_balance(group, (TRAFFIC, FALL), children[CHILDREN], weights)
    alone = stats.covariate_balance(group[mine], (TRAFFIC, FALL), children[CHILDREN][mine], weights[mine])
    agree(found.ratio_after, alone.ratio_after)
    assert np.abs(found.smd_after).max() < 1e-8          # overlap weights balance means exactly


def check_balance(found, case):
    agree(np.column_stack([found.smd_before, found.smd_after, found.ratio_before, found.ratio_after]), expected(case))


def test_overlap_and_effective_sizes_agree_with_r(children):
    scores = stats.propensity_score(children["group"].to_numpy(), (TRAFFIC, ABUSE), children[CHILDREN])
    check_overlap(stats.overlap_check(scores), "abuse")
    check_overlap(stats.overlap_check(scores, "ATT"), "abuse_att")
    rows = veteran()
    scores = stats.propensity_score(rows["group"].to_numpy(), (1, 0), rows[VETERAN])
    check_overlap(stats.overlap_check(scores), "veteran")


def check_overlap(found, name):
    agree(np.column_stack([found.n, found.n_effective, found.lowest, found.highest, found.share_outside,
                           found.share_heavy, found.largest_share]), expected("overlap", name))
    assert found.note == ""


def test_the_effective_size_is_that_of_equal_weights():
    assert stats.effective_size(np.full(7, 0.3)) == pytest.approx(7)
    assert stats.effective_size(np.array([0.0, 5, 0])) == 1
    assert np.isnan(stats.effective_size(np.zeros(3)))


# ---- E-values

def test_e_values_agree_with_the_formula_and_with_the_printed_ones():
    ratio = stats.e_value([3.9, 0.5, 1.2], [1.8, 0.3, 0.9], [8.7, 0.8, 1.6])
    wanted = expected("evalue", "ratio")
    agree(ratio.point[:2], wanted[[0, 2]])
    agree(ratio.limit, [wanted[1], wanted[3], 1.0])
    assert ratio.point[0].round(2) == 7.26 and ratio.limit[0].round(1) == 3.0       # VanderWeele and Ding (2017)
    difference = stats.e_value_difference([5.0, -5.0], [1.0, -9.0], [9.0, -1.0], 10.0)
    agree(difference.point, np.repeat(expected("evalue", "difference")[0], 2))
    agree(difference.limit, np.repeat(expected("evalue", "difference")[1], 2))


def test_an_e_value_solves_the_bounding_formula():
    # Ding and VanderWeele (2016): a confounder with both risk ratios E moves a ratio by E^2 / (2 E - 1) at most.
    ratio = np.array([1.0, 1.3, 3.9, 12.0])
    e = stats.e_value(ratio, ratio, ratio).point
    agree(e**2 / (2 * e - 1), ratio)


def test_e_values_without_a_number_say_so():
    found = stats.e_value([np.nan, 2.0], [np.nan, np.nan], [np.nan, np.nan])
    assert found.note.tolist() == ["no estimate", "no interval"] and np.isnan(found.limit).all()
    agree(found.point[1], 2 + np.sqrt(2))
    for wrong in (([0.0], [0.0], [1.0]), ([2.0], [3.0], [4.0]), ([2.0], [1.0, 1.0], [4.0])):
        with pytest.raises(ValueError):
            stats.e_value(*wrong)
    with pytest.raises(ValueError, match="sd"):
        stats.e_value_difference([1.0], [0.0], [2.0], 0.0)


# ---- degenerate input

ESTIMATORS = (stats.weighted_difference, stats.doubly_robust_difference, stats.matched_difference)


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_thin_data_give_nan_and_say_why(estimate):
    y, group = np.arange(12.0) ** 2, np.repeat([0, 1], 6)
    wave, few = np.tile([1.0, 2, 4, 3], 3), "" if estimate is stats.matched_difference else FEW
    for covariate, note in (
        (np.arange(12), APART),
        (np.ones(12), "covariate 'x' is constant"),
        (np.array(["only", *["other"] * 10, "only"]), few),
    ):
        found = estimate(y, group, [(1, 0)], pd.DataFrame({"x": covariate}))
        assert found.note[0] == note and np.isnan(found.estimate[0]) == (note not in ("", FEW))
    found = estimate(y, group, [(1, 0), (2, 0)], pd.DataFrame({"x": wave}))
    assert found.note.tolist() == [few, "a group has no value"]
    twice = estimate(y, group, [(1, 0)], pd.DataFrame({"x": wave, "double": 2 * wave}))
    assert "collinear" in twice.note[0] and np.isnan(twice.estimate[0])
    nobody = estimate(y[:0], group[:0], [(1, 0)], pd.DataFrame({"x": wave[:0]}))
    assert nobody.note[0] == "a group has no value"
    flat = estimate(np.ones(12), group, [(1, 0)], pd.DataFrame({"x": wave}))
    assert flat.estimate[0] == pytest.approx(0) and np.isnan(flat.low[0])
    assert flat.note[0] == "no variation within the groups: no interval"


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_impossible_input_is_refused(estimate):
    y, group, frame = np.arange(8.0), np.repeat([0, 1], 4), pd.DataFrame({"x": [1.0, 2, 4, 3] * 2})
    broken = frame.assign(x=[np.inf, *frame["x"][1:]])
    for wrong in ((np.r_[y[1:], np.nan], group, frame), (np.r_[y[1:], np.inf], group, frame), (y, group[:7], frame),
                  (y[:7], group[:7], frame), (y, group - 1, frame), (y, group, broken),
                  (y, group, frame.assign(x=pd.Timestamp("2026-01-01"))), (y, group, frame.assign(x=np.nan))):
        with pytest.raises(ValueError):
            estimate(wrong[0], wrong[1], [(1, 0)], wrong[2])
    for options in ({"conf_level": 1.0},):
        with pytest.raises(ValueError):
            estimate(y, group, [(1, 0)], frame, **options)
    with pytest.raises(ValueError):
        estimate(y, group, [(1, 1)], frame)


def test_unknown_options_are_refused():
    y, group, frame = np.arange(8.0), np.repeat([0, 1], 4), pd.DataFrame({"x": [1.0, 2, 4, 3] * 2})
    with pytest.raises(ValueError, match="estimand"):
        stats.weighted_difference(y, group, [(1, 0)], frame, estimand="ATC")
    with pytest.raises(ValueError, match="caliper"):
        stats.matched_difference(y, group, [(1, 0)], frame, caliper=0)
    with pytest.raises(ValueError, match="0 and 1"):
        stats.doubly_robust_difference(y, group, [(1, 0)], frame, is_share=True)
    with pytest.raises(ValueError, match="weight"):
        stats.covariate_balance(group, (1, 0), frame, np.full(8, -1.0))


def test_a_group_with_a_single_unit_has_no_interval():
    y, group = np.arange(9.0), np.array([1, *[0] * 8])
    frame = pd.DataFrame({"x": [3.0, 2, 4, 3, 1, 5, 2, 4, 3]})
    found = stats.weighted_difference(y, group, [(1, 0)], frame)
    assert np.isfinite(found.estimate[0]) and np.isnan(found.low[0])
    assert found.note[0] == "needs two values in each group for an interval"
    matched = stats.matched_difference(y, group, [(1, 0)], frame)
    assert np.isnan(matched.low[0]) and matched.note[0] == "needs two different partners for an interval"
    robust = stats.doubly_robust_difference(y, group, [(1, 0)], frame)
    assert np.isnan(robust.estimate[0]) and "more rows than coefficients in each group" in robust.note[0]


def test_a_covariate_that_does_not_vary_within_a_group_has_no_outcome_model():
    group, y = np.repeat([0, 1], 6), np.arange(12.0)
    frame = pd.DataFrame({"x": [1, 2, 4, 3, 2, 1, 3, 3, 3, 3, 3, 3.0]})
    found = stats.doubly_robust_difference(y, group, [(1, 0)], frame)
    assert np.isnan(found.estimate[0]) and found.note[0] == "a covariate is constant or collinear within a group"
    share = stats.doubly_robust_difference(np.r_[np.tile([0, 1], 3), np.ones(6)], group, [(1, 0)],
                                           frame.assign(x=[1, 2, 4, 3, 2, 1, 3, 2, 3, 1, 3, 4.0]), is_share=True)
    assert np.isnan(share.estimate[0]) and "separate the outcomes within a group" in share.note[0]


def test_scores_that_round_to_one_still_have_numbers():
    x = np.r_[np.linspace(-80, 80, 161), -1.0, 1.0, 2.0]
    group = (x > 0).astype(int)
    group[-3:] = [1, 0, 0]                                   # all others are apart
    frame = pd.DataFrame({"x": x})
    scores = stats.propensity_score(group, (1, 0), frame)
    assert scores.score.max() == 1 and scores.note == ""
    for estimand in ESTIMANDS:
        assert np.isfinite(stats.weighted_difference(x**2, group, [(1, 0)], frame, estimand=estimand).low[0])
    assert np.isfinite(stats.doubly_robust_difference(x**2, group, [(1, 0)], frame).low[0])


def test_scores_that_separate_have_no_overlap_and_say_why():
    scores = stats.propensity_score(np.repeat([0, 1], 6), (1, 0), pd.DataFrame({"x": np.arange(12)}))
    found = stats.overlap_check(scores)
    assert scores.note == found.note == APART and np.isnan(found.n_effective).all() and found.n.tolist() == [6, 6]


@settings(max_examples=60)
@given(st.data())
def test_any_numbers_give_an_estimate_within_the_data_or_a_reason(data):
    n = data.draw(st.integers(1, 25))
    group = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    y = np.array(data.draw(st.lists(st.sampled_from([0.0, 1, 2, -3, 1e6]), min_size=n, max_size=n)))
    x = pd.DataFrame({"x": data.draw(st.lists(st.sampled_from([0.0, 1, 2, 1e5]), min_size=n, max_size=n))})
    for estimand in ESTIMANDS:
        check_sane(stats.weighted_difference(y, group, [(1, 0)], x, estimand=estimand), y)
    check_sane(stats.matched_difference(y, group, [(1, 0)], x), y)
    found = stats.doubly_robust_difference(y, group, [(1, 0)], x)
    assert np.isfinite(found.low[0]) == (found.note[0] in ("", FEW))


def check_sane(found, y):
    assert np.isfinite(found.low[0]) == (found.note[0] in ("", FEW))
    assert np.isnan(found.estimate[0]) or abs(found.estimate[0]) <= np.ptp(y) * (1 + 1e-9)
