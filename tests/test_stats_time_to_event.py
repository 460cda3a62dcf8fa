"""Curves, tests and models of the time to an event, against R survival and cmprsk."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import FOLDER, agree, committed, joint, reader, table

from therapyeval import stats
from therapyeval.stats.few import FOLLOWED, too_few

expected = reader("events")
CELLS, DISEASES = ["squamous", "smallcell", "adeno", "large"], ["Other", "GN", "AN", "PKD"]
FEW = too_few("people in a group", FOLLOWED)
DEMO = np.array([2.0, 5, 9, 14, 20, 3, 4, 4, 8, 12]), np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0]), np.repeat([0, 1], 5)


def coded(rows, column, levels):
    return rows[column].map({level: code for code, level in enumerate(levels)}).to_numpy()


def lung():
    rows = committed("lung")
    return rows["time"], rows["seen"], rows["sex"].to_numpy() - 1


def veteran():
    rows = committed("veteran")
    return rows["time"], rows["status"], coded(rows, "celltype", CELLS)


def risks(name):
    return pd.read_csv(FOLDER / "risks" / f"{name}.csv")


# ---- Kaplan-Meier curves

def check_curve(found, wanted):
    numbers = found.group, found.time, found.at_risk, found.events, found.estimate, found.low, found.high
    agree(np.column_stack(numbers), wanted)


def test_curves_agree_with_r():
    kidney = committed("kidney")
    found = stats.survival_curve(kidney["time"], kidney["status"], kidney["sex"].to_numpy() - 1, 2)
    check_curve(found, expected("curve.kidney"))
    check_curve(stats.survival_curve(*veteran(), 4, conf_level=0.9), expected("curve.veteran"))
    check_curve(stats.survival_curve(*DEMO, 2), expected("docstrings", "curve"))


def test_a_curve_without_censoring_is_the_share_left():
    found = stats.survival_curve(np.array([3.0, 1, 2, 2]), np.ones(4), np.zeros(4, int), 2)
    np.testing.assert_array_equal(found.estimate, [0.75, 0.25, 0])
    assert np.isnan(found.low[-1]) and found.note.tolist() == ["", "no unit has a value"]
    early = stats.survival_curve(np.array([1.0, 2]), np.array([0, 1]), np.zeros(2, int), 1)
    assert early.estimate.tolist() == [1, 0] and np.isnan(early.high).all()


# ---- log-rank and Gray's test

def test_log_rank_agrees_with_r():
    rows = committed("lung")
    ecog = coded(rows, "ecog", ["grade 0", "grade 1", "grade 2"])
    found = [joint(stats.log_rank(*lung(), 2)), joint(stats.log_rank(*lung()[:2], ecog, 3, strata=rows["sex"]))]
    agree(found, expected("logrank.lung"))
    time, event, cell = veteran()
    arm = committed("veteran")["trt"].to_numpy() - 1
    found = [joint(stats.log_rank(time, event, cell, 4)), joint(stats.log_rank(time, event, arm, 2, strata=cell))]
    agree(found, expected("logrank.veteran"))


def test_gray_agrees_with_r():
    rows = risks("mgus2")
    sex = coded(rows, "sex", ["F", "M"])
    for column, group, n_groups in (("sex", sex, 2), ("third", rows["id"].to_numpy() % 3, 3)):
        for cause, wanted in zip((rows["cause"], swapped(rows["cause"])), expected("gray.mgus2", column), strict=True):
            agree(joint(stats.gray_test(rows["stop"], cause, group, n_groups)), wanted)
    rows = risks("visits")
    for cause, wanted in zip((rows["cause"], swapped(rows["cause"])), expected("gray.visits", "group"), strict=True):
        agree(joint(stats.gray_test(rows["visits"], cause, rows["clinic"].to_numpy(), 4)), wanted)


def swapped(cause):
    return cause.map({0: 0, 1: 2, 2: 1})


def test_tests_do_not_depend_on_the_order_of_groups_and_ignore_empty_ones():
    time, event, cell = veteran()
    wanted = joint(stats.log_rank(time, event, cell, 4))
    agree(joint(stats.log_rank(time, event, 3 - cell, 4)), wanted)
    agree(joint(stats.log_rank(time, event, cell * 2, 9)), wanted)
    rows = risks("mgus2")
    third = rows["id"].to_numpy() % 3
    wanted = joint(stats.gray_test(rows["stop"], rows["cause"], third, 3))
    agree(joint(stats.gray_test(rows["stop"], rows["cause"], 2 - third, 3)), wanted)
    agree(joint(stats.gray_test(rows["stop"], rows["cause"], third * 2, 6)), wanted)


def test_a_group_that_is_left_alone_is_compared_with_nobody():
    group = np.array([1, 1, 0, 0, 0, 0])
    early, late = np.array([0.0, 0, 1, 1, 2, 2]), np.array([0.0, 0, 1, 1, 9, 9])
    for test in (stats.log_rank, stats.gray_test):
        agree(joint(test(early, np.ones(6), group, 2)), joint(test(late, np.ones(6), group, 2)))
    alone = stats.gray_test(np.array([0.0, 0, 1, 2]), np.ones(4), np.array([1, 1, 0, 0]), 2)
    assert 0 <= alone.p_value <= 1


@pytest.mark.parametrize("test", [stats.log_rank, stats.gray_test])
def test_tests_without_groups_or_events_say_so(test):
    time, nobody, everybody = np.array([3.0, 4, 5, 6]), np.zeros(4, int), np.ones(4, int)
    assert test(time, everybody, nobody, 2).note == "needs two groups with units"
    assert test(time, nobody, np.array([0, 0, 1, 1]), 2).note == "no event while two groups were at risk"
    assert test(np.array([1.0, 1, 5, 6]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 2).note.startswith("no event")
    assert test(np.array([]), np.array([]), np.array([], int), 2).note == "needs two groups with units"
    assert np.isnan(test(time, nobody, everybody, 2).p_value)


# ---- restricted mean time

def limits(interval):
    return np.column_stack([interval.estimate, interval.low, interval.high])


def test_restricted_means_agree_with_r():
    agree(limits(stats.restricted_mean(*lung(), 2, horizon=365.25)), expected("rmst.lung", "means"))
    agree(limits(stats.restricted_mean(*veteran(), 4, horizon=150, conf_level=0.9)), expected("rmst.veteran", "means"))
    for effect in ("difference", "ratio"):
        found = stats.restricted_mean_contrast(*lung(), [(1, 0)], horizon=365.25, effect=effect)
        agree(table(found)[:, :4], expected("rmst.lung", effect))
        found = stats.restricted_mean_contrast(*veteran(), [(1, 0), (3, 2)], horizon=150, effect=effect, conf_level=0.9)
        agree(table(found)[:, :4], expected("rmst.veteran", effect))


def test_without_censoring_a_restricted_mean_is_the_mean_of_times_cut_at_the_horizon():
    time = np.array([2.0, 3, 8, 11, 30])
    found = stats.restricted_mean(time, np.ones(5), np.zeros(5, int), 1, horizon=10)
    cut = np.minimum(time, 10)
    agree(found.estimate, [cut.mean()])
    agree(found.high - found.estimate, [1.959963984540054 * cut.std() / np.sqrt(5)])


def test_restricted_means_that_are_not_determined_say_so():
    time, event = np.array([2.0, 3, 8, 4, 5, 9, 9, 9, 2, 7]), np.array([1, 0, 0, 1, 1, 0, 0, 0, 1, 1])
    group = np.array([0, 0, 0, 1, 1, 2, 2, 2, 4, 4])
    found = stats.restricted_mean(time, event, group, 5, horizon=8.5)
    short, flat = "not followed until the horizon", "no spread of times before the horizon: no interval"
    assert found.note.tolist() == [short, "", flat, "no unit has a value", ""]
    np.testing.assert_array_equal(np.isnan(found.estimate), [True, False, False, True, False])
    assert found.estimate[2] == 8.5 and np.isnan(found.low[2]) and found.estimate[1] == 4.5
    pairs = [(1, 4), (1, 0), (1, 2), (3, 1)]
    found = stats.restricted_mean_contrast(time, event, group, pairs, horizon=8.5)
    assert found.note.tolist() == [FEW, short, flat, "a group has no value"]
    assert np.isnan(found.p_value).tolist() == [False, True, True, True]
    zero = stats.restricted_mean_contrast(np.array([0.0, 0, 3, 5]), np.ones(4), np.array([0, 0, 1, 1]), [(1, 0)],
                                          horizon=2, effect="ratio")
    assert np.isnan(zero.estimate[0]) and zero.note[0]


# ---- Cox's model

def cox(time, event, group, pairs, covariates=None, **options):
    covariates = pd.DataFrame(index=range(len(time))) if covariates is None else covariates
    return stats.hazard_ratio(time, event, group, pairs, covariates, **options)


def check_hazards(found, wanted):
    tests = [found.group, *found.covariates.values(), found.together]
    agree([joint(test) for test in tests], wanted)


def test_hazard_ratios_agree_with_r():
    rows = committed("lung")
    agree(table(cox(*lung(), [(1, 0)], rows[["age", "ecog"]]))[:, :4], expected("cox.lung"))
    rows = committed("veteran")
    found = cox(*veteran(), [(1, 0), (3, 2), (0, 3)], rows[["karno", "age"]], conf_level=0.9)
    agree(table(found)[:, :4], expected("cox.veteran"))
    rows = committed("kidney")
    disease = coded(rows, "disease", DISEASES)
    agree(table(cox(rows["time"], rows["status"], disease, [(1, 0), (2, 0), (3, 0)]))[:, :4], expected("cox.kidney"))
    rows = risks("visits")
    found = cox(rows["visits"], rows["cause"] == 1, rows["clinic"].to_numpy(), [(1, 0), (2, 0), (3, 0)])
    agree(table(found)[:, :4], expected("cox.visits"))


def test_hazard_ratios_with_clusters_agree_with_r():
    rows = committed("lung")
    found = cox(*lung(), [(1, 0)], rows[["age", "ecog"]], cluster=rows["inst"])
    agree(table(found)[:, :4], expected("cox.lung", "robust"))
    rows = committed("kidney")
    found = cox(rows["time"], rows["status"], rows["sex"].to_numpy(), [(2, 1)], rows[["age"]], cluster=rows["id"])
    agree(table(found)[:, :4], expected("cox.kidney", "robust"))


def test_checks_of_proportional_hazards_agree_with_r():
    found = stats.proportional_hazards(*lung(), committed("lung")[["age", "ecog"]])
    check_hazards(found, expected("cox.lung", "zph"))
    found = stats.proportional_hazards(*veteran(), committed("veteran")[["karno", "age"]])
    check_hazards(found, expected("cox.veteran", "zph"))
    nothing = pd.DataFrame(index=range(101))
    rows = risks("visits")
    found = stats.proportional_hazards(rows["visits"], rows["cause"] == 1, rows["clinic"].to_numpy(), nothing)
    check_hazards(found, expected("cox.visits", "zph"))


def third():
    return (np.arange(101) + 1) % 3


def test_hazard_ratios_within_strata_agree_with_r():
    rows = committed("lung")
    found = cox(*lung(), [(1, 0)], rows[["age"]], strata=rows["ecog"])
    assert found.method == "Cox, Efron ties, by strata"
    agree(table(found)[:, :4], expected("strata.lung"))
    found = cox(*lung(), [(1, 0)], rows[["age"]], strata=rows["ecog"], cluster=rows["inst"], conf_level=0.9)
    agree(table(found)[:, :4], expected("strata.lung", "robust"))
    rows = committed("veteran")
    time, event, cell = veteran()
    found = cox(time, event, rows["trt"].to_numpy() - 1, [(1, 0)], rows[["karno"]], strata=cell)
    agree(table(found)[:, :4], expected("strata.veteran"))
    rows = risks("visits")
    found = cox(rows["visits"], rows["cause"] == 1, rows["clinic"].to_numpy(), [(1, 0), (2, 0), (3, 0)], strata=third())
    agree(table(found)[:, :4], expected("strata.visits"))


def test_checks_of_proportional_hazards_within_strata_agree_with_r():
    rows = committed("lung")
    found = stats.proportional_hazards(*lung(), rows[["age"]], strata=rows["ecog"])
    check_hazards(found, expected("strata.lung", "zph"))
    time, event, cell = veteran()
    rows = committed("veteran")
    found = stats.proportional_hazards(time, event, rows["trt"].to_numpy() - 1, rows[["karno"]], strata=cell)
    check_hazards(found, expected("strata.veteran", "zph"))


def test_strata_that_hold_one_group_each_say_nothing_about_a_ratio():
    rows = committed("veteran")
    time, event, cell = veteran()
    found = cox(time, event, cell, [(1, 0)], rows[["karno"]], strata=cell)
    assert np.isnan(table(found)).all() and "do not determine the model" in found.note[0]
    arm = rows["trt"].to_numpy() - 1
    one = cox(time, event, arm, [(1, 0)], strata=np.full(len(time), "all"))
    agree(table(one), table(cox(time, event, arm, [(1, 0)])))
    again = cox(np.r_[time, time], np.r_[event, event], np.r_[arm, arm], [(1, 0)], strata=np.repeat([1, 2], len(time)))
    agree(again.estimate, one.estimate)                  # the rows twice, in strata of their own: half the variance
    agree(np.log(again.high / again.low), np.log(one.high / one.low) / np.sqrt(2))
    with pytest.raises(ValueError, match="missing"):
        cox(time, event, arm, [(1, 0)], strata=np.where(cell == 1, np.nan, cell))


def test_a_hazard_ratio_does_not_depend_on_units_of_time_or_of_covariates_or_on_the_order_of_rows():
    time, event, group = veteran()
    covariates = committed("veteran")[["karno", "age"]]
    wanted = table(cox(time, event, group, [(1, 0)], covariates))
    agree(table(cox(time**2, event, group, [(1, 0)], covariates * 1e6 - 3e8)), wanted)
    agree(1 / table(cox(time, event, group, [(0, 1)], covariates))[:, [0, 2, 1]], wanted[:, :3])
    mixed = np.random.default_rng(1).permutation(len(time))
    found = cox(time[mixed], event[mixed], group[mixed], [(1, 0)], covariates.iloc[mixed], cluster=mixed)
    agree(table(found), table(cox(time, event, group, [(1, 0)], covariates, cluster=np.arange(len(time)))))


def test_cox_models_without_a_finite_estimate_say_so():
    time, event, group = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.ones(8), np.repeat([0, 1], 4)
    first = "groups or covariates determine who has the event first: no finite estimate"
    assert cox(time, event, group, [(1, 0)]).note.tolist() == [first]                       # all of group 0 come first
    assert cox(time, event * (group == 0), np.tile([0, 1], 4), [(1, 0)]).note.tolist() == [""]
    assert cox(time, np.tile([1, 0], 4), np.tile([0, 1], 4), [(1, 0)]).note.tolist() == [first]   # no event in group 1
    assert cox(time, event * 0, group, [(1, 0)]).note.tolist() == ["no unit had the event"]
    assert cox(time, event, group * 0, [(1, 0)]).note.tolist() == ["a group has no value"]
    late = cox(time, event * (time > 4), group, [(1, 0)])                 # group 0 has left before the first event
    assert np.isnan(late.estimate).all() and late.note[0]
    ordered = pd.DataFrame({"rank": -time})
    assert cox(time, event, np.tile([0, 1], 4), [(1, 0)], ordered).note.tolist() == [first]
    found = cox(time, event, np.tile([0, 1], 4), [(1, 0)], pd.DataFrame({"flat": np.ones(8)}))
    assert found.note.tolist() == ["covariate 'flat' is constant"] and np.isnan(table(found)).all()
    found = cox(time, event, np.tile([0, 1], 4), [(1, 0)], cluster=np.zeros(8))
    assert found.note.tolist() == ["needs two clusters for an interval"] and np.isnan(found.low[0])
    none = cox(np.array([]), np.array([]), np.array([], int), [(1, 0)])
    assert none.note.tolist() == ["no unit has a value"]


def test_a_model_without_numbers_has_no_check():
    time, group = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.repeat([0, 1], 4)
    found = stats.proportional_hazards(time, np.ones(8), group, pd.DataFrame({"age": [3, 5, 4, 8, 7, 4, 5, 1]}))
    assert "no finite estimate" in found.group.note and np.isnan(found.covariates["age"].p_value)
    one = stats.proportional_hazards(time, np.ones(8), group * 0, pd.DataFrame({"age": [3, 5, 4, 8, 7, 4, 5, 1]}))
    assert one.group.note == "a single group: nothing to test" and one.together.df == 1
    single = stats.proportional_hazards(time, time == 3, np.tile([0, 1], 4), pd.DataFrame(index=range(8)))
    assert np.isnan(single.group.p_value) and single.group.note


def test_senseless_times_are_refused():
    for call in (stats.survival_curve, stats.log_rank, lambda *rows: stats.restricted_mean(*rows, horizon=3)):
        with pytest.raises(ValueError, match="negative"):
            call(np.array([-1.0, 2]), np.ones(2), np.zeros(2, int), 1)
        with pytest.raises(ValueError, match="missing or infinite"):
            call(np.array([np.inf, 2]), np.ones(2), np.zeros(2, int), 1)
        with pytest.raises(ValueError, match="group codes"):
            call(np.array([1.0, 2]), np.ones(2), np.array([0, 3]), 1)
    with pytest.raises(ValueError, match="cause must be"):
        stats.gray_test(np.array([1.0, 2]), np.array([1, 3]), np.zeros(2, int), 1)
    with pytest.raises(ValueError, match="horizon"):
        stats.restricted_mean(*DEMO, 2, horizon=0)
    with pytest.raises(ValueError, match="effect"):
        stats.restricted_mean_contrast(*DEMO, [(1, 0)], horizon=5, effect="odds")
    with pytest.raises(ValueError, match="cluster"):
        stats.log_rank(*DEMO, 2, strata=np.zeros(3))
    with pytest.raises(ValueError, match="missing values"):
        cox(*DEMO, [(1, 0)], pd.DataFrame({"age": [np.nan] * 10}))
    with pytest.raises(ValueError, match="different codes"):
        cox(*DEMO, [(1, 1)])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 2), st.integers(-2, 2)), max_size=25))
def test_any_rows_give_numbers_or_a_reason(rows):
    time, cause, group, age = np.array(rows, dtype=float).reshape(-1, 4).T
    event, group = cause == 1, group.astype(int)
    for test in (stats.log_rank(time, event, group, 3), stats.gray_test(time, cause, group, 3)):
        assert (0 <= test.p_value <= 1 and test.statistic >= -1e-9) if not test.note else np.isnan(test.p_value)
    pairs = [(1, 0), (2, 1)]
    contrasts = [cox(time, event, group, pairs, pd.DataFrame({"age": age})),
                 cox(time, event, group, pairs, cluster=age), cox(time, event, group, pairs, strata=age)]
    contrasts += [stats.restricted_mean_contrast(time, event, group, pairs, horizon=4.5, effect=effect)
                  for effect in ("difference", "ratio")]
    for found in contrasts:
        numbers = table(found)[:, :4]
        assert (np.isfinite(numbers).all(axis=1) == np.isin(found.note.astype(str), ("", FEW))).all()
    check = stats.proportional_hazards(time, event, group, pd.DataFrame({"age": age}))
    for test in (check.group, check.covariates["age"], check.together):
        assert (0 <= test.p_value <= 1) if not test.note else np.isnan(test.p_value)
