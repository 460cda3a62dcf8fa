"""Differences of two groups, against R, published tables and cases worked out by hand."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, committed, reader, table
from reference_values import agree as agree_at

from therapyeval import stats

expected, agree = reader("stats"), partial(agree_at, rtol=EXACT)


# ---- Welch

def test_welch_agrees_with_r_on_days_in_therapy_by_prior_fitness():
    rows = committed("kutner")
    found = stats.welch(rows["y"], rows["group"].to_numpy(), [(1, 2), (1, 3), (3, 2)])
    agree(table(found), expected("welch.kutner"))
    assert found.method == "Welch t" and found.note.tolist() == ["", "", ""]


def test_welch_agrees_with_r_at_ninety_percent_on_stroke_recovery():
    rows = committed("stroke")
    group = pd.factorize(rows["Group"], sort=True)[0]
    found = stats.welch(rows["week8"] - rows["week1"], group, [(0, 1), (0, 2)], conf_level=0.90)
    agree(table(found), expected("welch.stroke_90"))


def test_welch_agrees_with_r_on_the_headache_trial(real_data):
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    rows = rows.dropna(subset="pk5")
    found = stats.welch(rows["pk5"], rows["group"].to_numpy(), [(0, 1)])
    agree(table(found), expected("welch.acupuncture"))
    assert found.df[0] == pytest.approx(266.59758, abs=5e-6)
    assert (found.low[0], found.high[0]) == pytest.approx((2.554923923, 9.638398928), abs=5e-10)
    assert found.p_value[0] == pytest.approx(0.0008069234, abs=5e-11)


def test_thin_groups_give_a_welch_difference_without_limits():
    values, group = np.array([1.0, 4, 6, 3, 3]), np.array([0, 1, 1, 3, 3])
    found = stats.welch(values, group, [(0, 1), (2, 1), (1, 7), (1, 3)])
    two = "needs two values in each group for an interval"
    assert found.note.tolist() == [two, "a group has no value", "a group has no value", ""]
    np.testing.assert_array_equal(found.estimate, [-4, np.nan, np.nan, 2])
    assert np.isnan(table(found)[:3, 1:]).all() and np.isfinite(table(found)[3]).all()


def test_two_constant_groups_give_no_p_value():
    found = stats.welch(np.array([0.1, 0.1, 0.1, 0.3, 0.3, 0.3]), np.repeat([0, 1], 3), [(0, 1)])
    assert found.note.tolist() == ["no variation within the groups: no interval"]
    assert np.isnan(found.p_value[0]) and found.estimate[0] == pytest.approx(-0.2)


# ---- risk difference

def test_risk_differences_agree_with_r():
    counts = expected("risk_difference", "counts").astype(int)
    n_pairs = len(counts)
    pairs = [(row, row + n_pairs) for row in range(n_pairs)]
    found = stats.risk_difference(np.r_[counts[:, 0], counts[:, 2]], np.r_[counts[:, 1], counts[:, 3]], pairs)
    agree(table(found)[:, :4], expected("risk_difference"))
    assert np.isnan(found.df).all()


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b", "low", "high"),
    [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (6, 7, 2, 7, 0.0582, 0.8062),
     (5, 56, 0, 29, -0.0381, 0.1926), (0, 10, 0, 20, -0.1611, 0.2775), (0, 10, 0, 10, -0.2775, 0.2775),
     (10, 10, 0, 20, 0.6791, 1.0), (10, 10, 0, 10, 0.6075, 1.0)],
)
def test_risk_differences_of_newcombe_1998_table_2_method_10(a, n_a, b, n_b, low, high):
    found = stats.risk_difference(np.array([a, b]), np.array([n_a, n_b]), [(0, 1)])
    assert (found.low[0].round(4), found.high[0].round(4)) == (low, high)


def test_responders_of_the_headache_trial():
    found = stats.risk_difference(np.array([87, 45]), np.array([161, 140]), [(0, 1)])
    assert round(100 * found.estimate[0]) == 22 and round(found.p_value[0], 4) == 0.0001
    assert found.p_value[0] == pytest.approx(0.0001344075775, abs=5e-14)          # chi-square, published


def test_the_reverse_difference_is_the_mirror_image():
    found = stats.risk_difference(np.array([5, 9]), np.array([20, 11]), [(0, 1), (1, 0)])
    agree(found.estimate[0], -found.estimate[1])
    agree((found.low[0], found.high[0]), (-found.high[1], -found.low[1]))
    agree(found.p_value[0], found.p_value[1])


def test_the_same_outcome_everywhere_gives_limits_but_no_p_value():
    found = stats.risk_difference(np.array([0, 0, 7, 9]), np.array([10, 12, 7, 9]), [(0, 1), (2, 3)])
    assert found.note.tolist() == ["no p-value: every unit has the same outcome"] * 2
    assert np.isnan(found.p_value).all() and np.isfinite(found.low).all()


def test_groups_without_units_give_no_risk_difference():
    found = stats.risk_difference(np.array([3, 0]), np.array([5, 0]), [(0, 1), (0, 6)])
    assert found.note.tolist() == ["a group has no value"] * 2 and np.isnan(table(found)).all()


# ---- bad input

@pytest.mark.parametrize("pairs", [[(0, 0)], [(0, -1)], [(0.0, 1.0)]])
def test_senseless_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match="pairs must be"):
        stats.welch(np.arange(4.0), np.array([0, 0, 1, 1]), pairs)


def test_no_pairs_give_no_rows():
    assert len(stats.welch(np.arange(4.0), np.array([0, 0, 1, 1]), []).estimate) == 0
    assert len(stats.risk_difference(np.array([1]), np.array([2]), []).estimate) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.welch(np.array([1.0, np.nan]), np.array([0, 1]), [(0, 1)]), "missing or infinite"),
        (lambda: stats.welch(np.ones(3), np.array([0, 1]), [(0, 1)]), "group has shape"),
        (lambda: stats.welch(np.ones(2), np.array([0, 1]), [(0, 1)], conf_level=1), "conf_level"),
        (lambda: stats.risk_difference(np.array([3]), np.array([2]), [(0, 1)]), "0 <= successes <= n"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
