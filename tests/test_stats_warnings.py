"""Where an interval stands but is too narrow, its note warns; where it holds, the note is silent.

How often each warning is right is in docs/validation.md (`Warned`); skewness is in test_stats_skewness.py.
"""

import numpy as np
import pandas as pd
import pytest

from therapyeval import stats
from therapyeval.stats.adjusted_models import RARE, VARIED
from therapyeval.stats.few import UNLIKE, rests_on_few_patients, too_few
from therapyeval.stats.interrupted import SHORT
from therapyeval.stats.propensity import FEW
from therapyeval.stats.skewness import LOPSIDED, NOT_THE_MEAN
from therapyeval.stats.spread import UNEVEN, UNEVEN_RANKS, spread_bias

EVEN, PLAIN = np.arange(-3.5, 4), pd.DataFrame(index=range(40))     # eight values with mean 0 and skewness 0


def codes(*sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


def stands(found):
    return np.isfinite([found.estimate, found.low, found.high, found.p_value]).all()


# ---- spread

def test_the_bias_of_two_groups_is_welchs_variance_by_students():
    """Box: (1 - 8/38) 4 + (1 - 30/38) 1 over (7 * 4 + 29 * 1) / 36; of equal sizes 1."""
    assert spread_bias(np.array([8, 30]), np.array([4.0, 1])) == pytest.approx((30 / 38 * 4 + 8 / 38) / (57 / 36))
    assert spread_bias(np.array([9, 9, 9]), np.array([4.0, 1, 25])) == pytest.approx(1)
    n, variance = np.array([8, 30]), np.array([4.0, 1])
    pooled = (7 * 4 + 29) / 36
    assert spread_bias(n, variance) == pytest.approx((4 / 8 + 1 / 30) / (pooled * (1 / 8 + 1 / 30)))


def test_student_warns_where_the_smaller_group_spreads_more_and_only_there():
    wide, many = 3 * EVEN, np.tile(EVEN, 4)
    for values, sizes, note in ((np.r_[wide, many], (8, 32), UNEVEN), (np.r_[EVEN, 3 * many], (8, 32), ""),
                                (np.r_[wide, EVEN], (8, 8), ""), (np.r_[EVEN, many], (8, 32), "")):
        found = stats.student(values, codes(*sizes), [(0, 1)])
        assert found.note.tolist() == [note] and stands(found)
    assert stats.welch(np.r_[wide, many], codes(8, 32), [(0, 1)]).note.tolist() == [""]


def test_tests_of_all_groups_that_pool_the_spread_warn_and_keep_their_numbers():
    group, uneven = codes(8, 16, 32), np.r_[4 * EVEN, np.tile(2 * EVEN, 2), np.tile(EVEN, 4)]
    even = np.r_[EVEN, np.tile(EVEN, 2), np.tile(EVEN, 4)]
    for test, note in ((stats.anova, UNEVEN), (stats.kruskal_wallis, UNEVEN_RANKS), (stats.welch_anova, "")):
        assert test(uneven, group).note == note and 0 <= test(uneven, group).p_value <= 1
        assert test(even, group).note == ""
    found = stats.tukey(uneven, group, [(0, 1), (1, 2)])
    assert found.note.tolist() == [UNEVEN] * 2 and stands(found)
    assert stats.games_howell(uneven, group, [(0, 1)]).note.tolist() == [""]


# ---- skewness of what is not a plain mean

def test_a_ratio_of_few_skewed_patients_warns_and_one_of_many_or_of_unknown_cubes_does_not():
    """With one visit each a ratio is a mean, and as skewed."""
    gain = np.array([80.0] * 7 + [60])
    for times, note in ((1, LOPSIDED), (17, "")):
        values, visits = np.tile(gain, times), np.ones(8 * times)
        sums = stats.pair_sums(values, visits, codes(8 * times), np.arange(8 * times), 1)
        found = stats.ratio(sums)
        assert found.note.tolist() == [note] and np.isfinite([found.low, found.high]).all()
        assert found.note.tolist() == stats.mean(values, codes(len(values)), np.arange(len(values)), 1).note.tolist()
    unknown = stats.PairSums(*(getattr(sums, name) for name in ("a", "b", "aa", "ab", "bb", "n_clusters")))
    assert stats.ratio(unknown).note.tolist() == [""]


def test_cubes_are_those_of_the_patients_sums():
    sums = stats.pair_sums(np.array([1.0, 2, 5]), np.array([1.0, 1, 2]), codes(3), np.array([7, 7, 9]), 1)
    assert sums.cubes.ravel().tolist() == [27 + 125, 9 * 2 + 25 * 2, 3 * 4 + 5 * 4, 8 + 8]


def test_the_signed_rank_of_skewed_differences_says_that_it_is_not_about_the_mean():
    late = np.array([0.5, 1, 1.5, 2, 2.5, 3, 4, 30])
    found = stats.signed_rank(np.r_[late, EVEN + 1], np.zeros(16), codes(8, 8), 2)
    assert found.note.tolist() == [NOT_THE_MEAN, ""] and stands(found)


# ---- too few

def test_few_patients_of_whom_some_have_many_values_are_warned_of():
    """Kish: 8 patients with 1, 1, 1, 1, 5, 5, 5, 5 values weigh as 24^2 / 104 = 5.5; with as many each as 8."""
    times = np.array([1, 1, 1, 1, 5, 5, 5, 5])
    assert rests_on_few_patients(np.r_[times, [3] * 8, [1] * 8], codes(8, 8, 8), 3).tolist() == [True, False, False]
    patient = np.repeat(np.arange(8), times)
    values = np.random.default_rng(3).normal(50, 10, 24)
    assert stats.mean(values, codes(24), patient, 1).note.tolist() == [UNLIKE]
    assert stats.mean(values, codes(24), np.arange(24) // 3, 1).note.tolist() == [""]


def test_percentile_intervals_of_few_warn():
    rng = np.random.default_rng(4)
    values = rng.normal(50, 10, 100)
    for n, note in ((49, "fewer than 50 values in a group: the interval may be too narrow"), (50, "")):
        found = stats.bootstrap_difference(values[:2 * n], codes(n, n), [(0, 1)])
        assert found.note.tolist() == [note] and stands(found)

    def mean(rows, group, n):
        return np.bincount(group, values[rows], n) / np.bincount(group, minlength=n)

    found = stats.bootstrap_interval(mean, codes(49, 51), np.arange(100), 2)
    assert found.note.tolist() == [too_few("patients", 50), ""] and np.isfinite(found.low).all()


def test_a_risk_difference_with_few_outcomes_for_each_coefficient_warns_and_ratios_do_not():
    """Two groups are two coefficients: 20 of the rarer outcome are enough."""
    for yes, note in ((19, RARE), (20, "")):
        outcome = (np.arange(200) % 100 < yes // 2 + yes % 2 * (np.arange(200) < 100)).astype(int)
        assert outcome.sum() == yes
        found = [stats.adjusted_risk(outcome, codes(100, 100), [(0, 1)], pd.DataFrame(index=range(200)), effect=effect)
                 for effect in ("risk_difference", "risk_ratio", "odds_ratio")]
        assert [one.note[0] for one in found] == [note, "", ""] and all(map(stands, found))


def test_rates_warn_of_counts_that_vary_more_than_poisson_and_of_few_people():
    group, exposure = codes(20, 20), np.ones(40)
    alike, unlike = np.tile([2, 3, 4, 3], 10), np.tile([0, 0, 1, 11], 10)
    found = [stats.adjusted_rate_ratio(events, exposure, group, [(0, 1)], PLAIN, family=family)
             for events, family in ((alike, "poisson"), (unlike, "poisson"), (unlike, "negative_binomial"))]
    assert [one.note[0] for one in found] == ["", VARIED, too_few("people", 100)] and all(map(stands, found))
    many = stats.adjusted_rate_ratio(np.tile(unlike, 3), np.ones(120), codes(60, 60), [(0, 1)],
                                     pd.DataFrame(index=range(120)))
    assert many.note.tolist() == [""]


def test_restricted_means_of_few_people_warn():
    rng = np.random.default_rng(5)
    for n, note in ((49, too_few("people in a group", 50)), (50, "")):
        found = stats.restricted_mean_contrast(rng.exponential(20, n + 60), np.ones(n + 60), codes(n, 60), [(0, 1)],
                                               horizon=30)
        assert found.note.tolist() == [note] and stands(found)


def test_propensity_weights_that_rest_on_few_rows_warn():
    rng = np.random.default_rng(6)
    for n, note in ((60, FEW), (400, "")):
        x = rng.normal(0, 1, n)
        group = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
        frame, outcome = pd.DataFrame({"x": x}), x + rng.normal(0, 1, n)
        for estimate in (stats.weighted_difference, stats.doubly_robust_difference):
            found = estimate(outcome, group, [(1, 0)], frame)
            assert found.note.tolist() == [note] and stands(found)


def test_few_sites_few_clusters_and_short_series_warn_and_the_estimates_stand():
    rng = np.random.default_rng(7)
    for n, note in ((28, too_few("sites", 30)), (30, "")):
        site, period = np.repeat(np.arange(n), 4), np.tile(np.arange(4.0), n)
        start = np.where(site % 2 == 0, 2.0, np.nan)
        found = stats.group_time_effects(rng.normal(0, 1, 4 * n), site, period, start)
        assert found.overall.note.tolist() == [note] and stands(found.overall)
    for n, note in ((4, too_few("clusters", 6)), (6, "")):
        cluster = np.repeat(np.arange(n), 10)
        found = stats.mixed_difference(rng.normal(0, 1, 10 * n) + cluster % 3, cluster % 2, [(0, 1)],
                                       pd.DataFrame(index=range(10 * n)), cluster=cluster)
        assert found.note.tolist() == [note] and stands(found)
    for n, errors, note in ((47, "ar1", SHORT), (48, "ar1", ""), (249, "newey_west", SHORT), (250, "newey_west", "")):
        found = stats.interrupted_mean(rng.normal(0, 1, n), np.arange(float(n)), 20, at=[20], errors=errors)
        assert found.level.note.tolist() == [note] and stands(found.level)
