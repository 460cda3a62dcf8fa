"""Checks of models, adjusted effect sizes and equivalence of any difference, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, agree, committed, kutner, reader, stroke

from therapyeval import stats
from therapyeval.stats.checks import EXACT, LONELY

expected = reader("checks")


def no_covariates(values):
    return pd.DataFrame(index=range(len(values)))


def agrees(case, found):
    agree(found.skewness, expected(case, "skewness"))
    agree([found.normality.statistic, found.normality.p_value], expected(case, "normality"), 1e-4)   # R: 19 digits
    agree([found.spread.statistic, found.spread.df, found.spread.p_value], expected(case, "spread"))
    agree(found.influence, expected(case, "influence"))


def test_residual_checks_agree_with_r(headache):
    for case, (values, group) in (("kutner", kutner()), ("stroke", stroke())):
        agrees(f"residuals.{case}", stats.residual_checks(values, group, no_covariates(values)))
    baseline = committed("stroke")[["week1"]]
    agrees("residuals.stroke_ancova", stats.residual_checks(*stroke(), baseline))
    covariates = headache[["pk1", "age"]].assign(sex=headache["sex"].astype(str)).reset_index(drop=True)
    agrees("residuals.acupuncture_ancova",
           stats.residual_checks(headache["pk5"].to_numpy(), headache["group"].to_numpy(), covariates))


@pytest.mark.parametrize(("values", "group", "note"), [
    ([], [], "no unit has a value"), ([1.0, 2], [0, 1], "needs more rows than coefficients"),
    ([3.0, 3, 3, 3], [0, 0, 1, 1], EXACT), ([1.0, 1, 5, 5], [0, 0, 1, 1], EXACT)])
def test_residuals_that_say_nothing_are_no_number(values, group, note):
    found = stats.residual_checks(np.array(values), np.array(group, dtype=int), no_covariates(values))
    assert np.isnan([found.skewness, found.normality.p_value, found.spread.p_value, found.influence]).all()
    assert found.note == found.spread.note == note


def test_the_influence_of_a_group_of_one_has_no_bound():
    found = stats.residual_checks(np.array([1.0, 2, 4, 9]), np.array([0, 0, 0, 1]), no_covariates(range(4)))
    assert np.isnan(found.influence) and found.note == LONELY and np.isfinite(found.skewness)


def test_the_smallest_expected_count_agrees_with_r():
    agree(stats.smallest_expected(np.array([3, 9]), np.array([20, 25])), expected("expected.two", "smallest"))
    three = stats.smallest_expected(np.array([18, 9, 30, 0]), np.array([20, 12, 31, 0]))
    agree(three, expected("expected.three", "smallest"))
    assert np.isnan(stats.smallest_expected(np.array([0]), np.array([0])))


def test_dispersion_agrees_with_r(real_data):
    rows = pd.read_csv(FOLDER / "models" / "falls.csv")
    found = stats.dispersion(rows["falls"], rows["days"], rows["program"].to_numpy(), rows[["ward"]])
    agree(found, expected("dispersion.falls", "dispersion"))
    rows = pd.read_csv(real_data("pedalfast_tbi") / "pedalfast.csv", low_memory=False)
    cause = pd.factorize(rows["injurymech"])[0]
    found = stats.dispersion(rows["hosplos"], np.ones(len(rows)), cause, rows[["age"]])
    agree(found, expected("dispersion.pedalfast", "dispersion"))


def test_dispersion_without_a_model_is_no_number():
    assert np.isnan(stats.dispersion([0, 0, 3, 4], np.ones(4), np.array([0, 0, 1, 1]), no_covariates(range(4))))
    with pytest.raises(ValueError, match="exposure above 0"):
        stats.dispersion(np.array([1]), np.array([0.0]), np.array([0]), no_covariates([1]))


def test_adjusted_effect_sizes_agree_with_r(headache):
    group, pairs = headache["group"].to_numpy(), [(1, 0)]
    difference = stats.adjusted_difference(headache["pk5"], group, pairs, headache[["pk1"]], variance="classical")
    g = stats.standardize(difference, headache["pk5"].to_numpy(), group, pairs)
    agree([g.estimate[0], g.low[0], g.high[0]], expected("adjusted_g.acupuncture"))
    agree(stats.pooled_sd(headache["pk5"], group, pairs)[0], expected("adjusted_g.acupuncture", "sd"))
    values, group = stroke()
    two, baseline = group != 1, committed("stroke")[["week1"]]
    difference = stats.adjusted_difference(values[two], group[two], [(2, 0)], baseline[two], variance="classical")
    g = stats.standardize(difference, values[two], group[two], [(2, 0)])
    agree([g.estimate[0], g.low[0], g.high[0]], expected("adjusted_g.stroke"))


def test_an_unadjusted_difference_standardizes_to_hedges_g():
    values, group = kutner()
    pairs = [(0, 1), (0, 2), (3, 0)]
    g = stats.standardize(stats.student(values, group, pairs), values, group, pairs)
    np.testing.assert_allclose(g.estimate, stats.standardized_difference(values, group, pairs).estimate)
    assert g.note.tolist() == ["", "", "a group has no value"]


def test_a_difference_without_spread_has_no_standardized_one():
    values, group = np.array([1.0, 1, 5, 5]), np.array([0, 0, 1, 1])
    g = stats.standardize(stats.welch(values, group, [(1, 0)]), values, group, [(1, 0)])
    assert np.isnan(g.estimate[0]) and "no variation" in g.note[0]


def test_equivalence_from_the_limits_of_any_difference():
    values, group = kutner()
    by_means = stats.equivalent_means(values, group, [(0, 1)], (-8, 8), alpha=0.025)
    found = stats.equivalent(stats.welch(values, group, [(0, 1)]), (-8, 8), alpha=0.025)
    assert found.p_value == by_means.p_value and found.low == by_means.low
    # one-sided normal tests by hand: difference 0.10, SE 0.05, bounds +-0.2: z = 6 and 2, p = 0.0227501
    normal = stats.Contrast(*(np.array([x]) for x in (0.10, 0.10 - 1.959963985 * 0.05, 0.10 + 1.959963985 * 0.05,
                                                      0.0455, np.nan)), "by hand", np.array([""], dtype=object))
    found = stats.equivalent(normal, (-0.2, 0.2), alpha=0.025)
    assert found.p_value[0] == pytest.approx(0.0227501, abs=1e-7) and found.shown[0]
