"""Intervals of many groups at once, against R and against the worked examples of the metric definitions."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, committed, limits, reader
from reference_values import agree as agree_at

from therapyeval import stats

expected, agree = reader("stats"), partial(agree_at, rtol=EXACT)


def codes(column: pd.Series) -> tuple[np.ndarray, int]:
    found, levels = pd.factorize(column, sort=True)
    return found, len(levels)


ONE = np.zeros(3, dtype=int)


# ---- mean

@pytest.mark.parametrize(
    ("file", "case", "value", "by", "cluster", "level"),
    [
        ("stroke_long", "mean.stroke_long", "ability", "Group", "Subject", 0.95),
        ("lung", "mean.lung", "time", "sex", "inst", 0.95),
    ],
)
def test_mean_agrees_with_r_for_clustered_rows(file, case, value, by, cluster, level):
    rows = committed(file)
    group, n_groups = codes(rows[by])
    found = stats.mean(rows[value], group, rows[cluster], n_groups, conf_level=level)
    agree(limits(found), expected(case))


def test_mean_agrees_with_r_at_ninety_percent_with_groups_in_their_own_order():
    rows = committed("kidney")
    group = rows["disease"].map({"Other": 0, "GN": 1, "AN": 2, "PKD": 3}).to_numpy()
    found = stats.mean(rows["time"], group, rows["id"], 4, conf_level=0.90)
    agree(limits(found), expected("mean.kidney_90"))


def test_mean_of_one_row_per_patient_is_the_ordinary_t_interval_of_r():
    stroke = committed("stroke")
    group, n_groups = codes(stroke["Group"])
    found = stats.mean(stroke["week8"] - stroke["week1"], group, stroke["Subject"], n_groups)
    agree(limits(found), expected("mean.stroke_change"))


def test_mean_agrees_with_r_on_the_headache_trial_by_practice(real_data):
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    rows = rows.dropna(subset="pk5")
    found = stats.mean(rows["pk5"], rows["group"].to_numpy(), rows["practice_id"], 2)
    agree(limits(found), expected("mean.acupuncture_practice"))


def test_mean_change_of_the_toy_cohort_is_7_from_minus_33_to_47():
    found = stats.mean(np.array([24.0, 5, -8]), ONE, np.array([1, 2, 3]), 1)
    assert limits(found).round(1).tolist() == [[7.0, -33.0, 47.0]]
    assert stats.sd(np.array([24.0, 5, -8]), ONE, 1).round(1).tolist() == [16.1]


def test_net_promoter_score_is_40_from_25_3_to_54_7():
    answers = np.repeat([100.0, 0, -100], [55, 30, 15])
    found = stats.mean(answers, np.zeros(100, dtype=int), np.arange(100), 1)
    assert limits(found).round(1).tolist() == [[40.0, 25.3, 54.7]]


def test_two_patients_are_needed_for_the_interval_of_a_mean():
    found = stats.mean(np.array([1.0, 3, 5, 9]), np.array([0, 0, 2, 2]), np.array([4, 4, 4, 5]), 3)
    assert found.note.tolist() == ["needs two patients for an interval", "no unit has a value", ""]
    np.testing.assert_array_equal(found.estimate, [2, np.nan, 7])
    np.testing.assert_array_equal(np.isnan(found.low), [True, True, False])
    np.testing.assert_array_equal(np.isnan(found.high), [True, True, False])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1])
def test_patients_that_do_not_differ_give_no_interval_instead_of_certainty(value):
    found = stats.mean(np.full(1000, value), np.zeros(1000, dtype=int), np.arange(1000), 1)
    assert found.note.tolist() == ["no variation between patients: no interval"]
    assert np.isnan(found.low[0]) and found.estimate[0] == pytest.approx(value, rel=1e-14)


def test_no_rows_at_all_give_empty_groups():
    none = np.array([], dtype=int)
    found = stats.mean(np.array([]), none, none, 2)
    assert found.note.tolist() == ["no unit has a value"] * 2 and np.isnan(found.estimate).all()
    assert len(stats.mean(np.array([]), none, none, 0).estimate) == 0


# ---- proportion

def test_proportions_agree_with_r_at_two_levels():
    k, n = expected("proportion", "k"), expected("proportion", "n")
    for level, name in ((0.95, "limits95"), (0.99, "limits99")):
        found = stats.proportion(k.astype(int), n.astype(int), conf_level=level)
        agree(limits(found)[:, 1:], expected("proportion", name))
        agree(found.estimate, k / n)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(2, 5, 11.8, 76.9), (2, 6, 9.7, 70.0), (1, 3, 6.1, 79.2), (1, 4, 4.6, 69.9), (0, 5, 0, 43.4),
     (0, 6, 0, 39.0), (3, 6, 18.8, 81.2), (1, 6, 3.0, 56.4), (4, 5, 37.6, 96.4), (70, 200, 28.7, 41.8),
     (15, 20, 53.1, 88.8),
     (5, 6, 43.6, 97.0), (55, 100, 45.2, 64.4), (3, 5, 23.1, 88.2), (3, 12, 8.9, 53.2), (2, 20, 2.8, 30.1)],
)
def test_proportions_of_the_metric_definitions(k, n, low, high):
    found = stats.proportion(np.array([k]), np.array([n]))
    assert (100 * limits(found)).round(1).tolist() == [[round(100 * k / n, 1), low, high]]


def test_the_limits_of_none_and_of_all_are_exactly_0_and_1():
    found = stats.proportion(np.array([0, 7, 0]), np.array([7, 7, 0]))
    assert found.low[0] == 0.0 and found.high[1] == 1.0
    assert np.isnan(limits(found)[2]).all() and found.note.tolist() == ["", "", "no unit has a value"]


# ---- ratio

@pytest.mark.parametrize(
    ("case", "file", "a", "b", "by", "cluster"),
    [
        ("ratio.kidney", "kidney", "status", "time", "sex", "id"),
        ("ratio.lung", "lung", "seen", "time", "sex", "inst"),
        ("ratio.clustered", "clustered", "score", "age", "arm", "patient"),
    ],
)
def test_ratios_agree_with_r_survey(case, file, a, b, by, cluster):
    rows = committed(file)
    group, n_groups = codes(rows[by])
    found = stats.ratio(stats.pair_sums(rows[a], rows[b], group, rows[cluster], n_groups))
    agree(limits(found), expected(case))


def test_gain_per_visit_of_the_toy_cohort_is_1_11():
    sums = stats.pair_sums(np.array([24.0, 5, -8]), np.array([8.0, 6, 5]), ONE, np.array([1, 2, 3]), 1)
    assert limits(stats.ratio(sums)).round(2).tolist() == [[1.11, -4.55, 6.76]]


def test_thin_ratios_say_why_they_have_no_interval():
    a, b = np.array([1.0, 2, 3, 0, 0, 1]), np.array([2.0, 2, 0, 5, 7, 3])
    group, patient = np.array([0, 0, 2, 3, 3, 4]), np.array([1, 1, 1, 1, 2, 3])
    found = stats.ratio(stats.pair_sums(a, b, group, patient, 5))
    assert found.note.tolist() == [
        "needs two patients for an interval",
        "no unit has a value",
        "the denominator is zero",
        "no variation between patients: no interval",
        "needs two patients for an interval",
    ]
    np.testing.assert_array_equal(found.estimate, [0.75, np.nan, np.nan, 0, 1 / 3])
    assert np.isnan(found.low).all() and np.isnan(found.high).all()


def test_patients_with_the_same_ratio_have_no_variation_even_after_rounding():
    b = np.arange(1.0, 40)
    found = stats.ratio(stats.pair_sums(b * 0.1, b * 0.3, np.zeros(39, dtype=int), np.arange(39), 1))
    assert found.note.tolist() == ["no variation between patients: no interval"]


# ---- event rate

def test_event_rates_agree_with_r_at_two_levels():
    events, exposure = expected("event_rate", "x").astype(int), expected("event_rate", "exposure")
    for level, name in ((0.95, "limits95"), (0.90, "limits90")):
        found = stats.event_rate(events, exposure, per=1.0, conf_level=level)
        agree(limits(found)[:, 1:], expected("event_rate", name))
        agree(found.estimate, events / exposure)


def test_complaint_and_fall_rates_of_the_metric_definitions():
    found = stats.event_rate(np.array([3, 0, 2]), np.array([4000, 4000, 5000]))
    assert limits(found).round(2).tolist() == [[0.75, 0.15, 2.19], [0.0, 0.0, 0.92], [0.4, 0.05, 1.44]]


def test_observed_to_expected_ratio_of_the_metric_definitions():
    found = stats.event_rate(np.array([2]), np.array([2.2]), per=1.0)
    assert limits(found).round(2).tolist() == [[0.91, 0.11, 3.28]]


def test_no_exposure_gives_no_rate():
    found = stats.event_rate(np.array([0, 1]), np.array([0.0, 0.0]))
    assert np.isnan(limits(found)).all() and found.note.tolist() == ["no exposure"] * 2


# ---- median

@pytest.mark.parametrize(
    ("case", "file", "value", "by"),
    [("median.lung", "lung", "time", "sex"), ("median.kutner", "kutner", "y", "group")],
)
def test_medians_agree_with_r(case, file, value, by):
    rows = committed(file)
    group, n_groups = codes(rows[by])
    agree(limits(stats.median(rows[value], group, n_groups)), expected(case))


def test_medians_agree_with_r_at_eighty_percent():
    rows = committed("veteran")
    group = rows["celltype"].map({"squamous": 0, "smallcell": 1, "adeno": 2, "large": 3}).to_numpy()
    agree(limits(stats.median(rows["age"], group, 4, conf_level=0.80)), expected("median.veteran_80"))


def test_episode_days_of_the_toy_cohort_are_38_5_from_21_to_56():
    found = stats.median(np.array([42.0, 35, 35, 21, 56, 42]), np.zeros(6, dtype=int), 1)
    assert limits(found).tolist() == [[38.5, 21, 56]]


@pytest.mark.parametrize(("level", "needed", "word"), [(0.95, 6, "six"), (0.99, 8, "eight"), (0.5, 2, "two")])
def test_a_median_needs_enough_values_for_its_level(level, needed, word):
    group = np.repeat([0, 1], [needed - 1, needed])
    found = stats.median(np.arange(2.0 * needed - 1), group, 3, conf_level=level)
    assert found.note.tolist() == [f"needs {word} values for an interval", "", "no unit has a value"]
    assert np.isnan(found.low[0]) and not np.isnan(found.low[1])


@pytest.mark.parametrize("n", range(1, 60))
@pytest.mark.parametrize("level", [0.5, 0.9375, 0.95, 0.99])
def test_median_ranks_are_the_narrowest_that_keep_the_level(n, level):
    from fractions import Fraction
    from math import comb

    alpha = 1 - Fraction(str(level))
    found = stats.median(np.arange(1.0, n + 1), np.zeros(n, dtype=int), 1, conf_level=level)
    tail = [Fraction(sum(comb(n, j) for j in range(rank)), 2**n) for rank in range(1, n // 2 + 1)]
    allowed = [rank for rank, share in enumerate(tail, start=1) if share <= alpha / 2]
    if allowed:
        assert (found.low[0], found.high[0]) == (max(allowed), n + 1 - max(allowed))
    else:
        assert np.isnan(found.low[0]) and np.isnan(found.high[0])


# ---- bad input

@pytest.mark.parametrize("level", [0, 1, 95, -0.5, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ValueError, match="conf_level"):
        stats.proportion(np.array([1]), np.array([2]), conf_level=level)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.mean(np.array([1.0, np.nan, 2]), ONE, ONE, 1), "missing or infinite"),
        (lambda: stats.mean(np.array([1.0, np.inf, 2]), ONE, ONE, 1), "missing or infinite"),
        (lambda: stats.mean(np.array([1.0, 2]), ONE, ONE, 1), "group has shape"),
        (lambda: stats.mean(np.ones(3), ONE, ONE[:2], 1), "cluster has shape"),
        (lambda: stats.mean(np.ones(3), ONE - 1, ONE, 1), "group codes must run"),
        (lambda: stats.mean(np.ones(3), ONE + 1, ONE, 1), "group codes must run"),
        (lambda: stats.mean(np.ones(3), ONE + 0.5, ONE, 1), "integer codes"),
        (lambda: stats.mean(np.ones(3), ONE, np.array([1, np.nan, 2]), 1), "cluster holds missing"),
        (lambda: stats.mean(np.ones((3, 1)), ONE, ONE, 1), "one dimension"),
        (lambda: stats.proportion(np.array([3]), np.array([2])), "0 <= successes <= n"),
        (lambda: stats.proportion(np.array([-1]), np.array([2])), "not negative"),
        (lambda: stats.proportion(np.array([0.5]), np.array([2])), "whole numbers"),
        (lambda: stats.proportion(np.array([1, 1]), np.array([2])), "successes has 2"),
        (lambda: stats.event_rate(np.array([1]), np.array([-2.0])), "event_rate"),
        (lambda: stats.event_rate(np.array([1]), np.array([2.0]), per=0), "event_rate"),
        (lambda: stats.event_rate(np.array([1]), np.array([2.0, 3])), "event_rate"),
        (lambda: stats.pair_sums(np.ones(3), np.ones(2), ONE, ONE, 1), "a has 3"),
        (lambda: stats.ratio(stats.PairSums(*[np.ones(2)] * 5, np.ones(1))), "one entry per group"),
        (lambda: stats.median(np.array([np.nan]), ONE[:1], 1), "missing or infinite"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_arguments_are_left_as_they_were():
    values, group, cluster = np.array([3.0, 1, 2, 2]), np.array([1, 0, 1, 0]), np.array([9, 8, 7, 6])
    before = values.copy(), group.copy(), cluster.copy()
    stats.mean(values, group, cluster, 2)
    stats.median(values, group, 2)
    stats.pair_sums(values, values, group, cluster, 2)
    stats.time_quantile(values, values > 1, group, 2)
    for now, then in zip((values, group, cluster), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_t_quantiles_agree_with_r():
    from therapyeval.stats.critical_values import t_quantile

    agree(t_quantile(expected("t_quantile", "df"), 0.95), expected("t_quantile", "t"))


def test_public_names_load_on_first_use_and_unknown_ones_are_refused():
    assert all(callable(getattr(stats, name)) for name in stats.__all__)
    assert set(stats.__all__) <= set(dir(stats))
    with pytest.raises(AttributeError, match="no attribute 'average'"):
        _ = stats.average


def test_importing_the_package_loads_no_heavy_library():
    import subprocess
    import sys

    code = ("import sys; from therapyeval.stats import intervals, survival, contrasts, balance\n"
            "print([name for name in ('scipy', 'statsmodels', 'pandas') if name in sys.modules])")
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
