"""The bootstrap of a mean difference: against R boot, every resample of tiny data, and index resampling."""

from collections import Counter
from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from reference_values import agree, committed, limits, reader
from scipy import stats as scipy_stats

from therapyeval import stats
from therapyeval.stats.bootstrap_means import INTERVALS, RESAMPLES, resampled_counts, resampled_means
from therapyeval.stats.few import PATIENTS, too_few

expected = reader("bootstrap")
SEEDS = 16


def agrees_with_boot(case, values, group, level, spread):
    """Limits, averaged over seeds, within four simulation errors of theirs (`spread`: of one limit of one seed)."""
    for row, interval in enumerate(INTERVALS):
        found = np.array([limits(stats.bootstrap_difference(values, group, [(1, 0)], interval=interval, seed=seed,
                                                            conf_level=level))[0] for seed in range(SEEDS)])
        agree(found[0, 0], expected(case, "first")[row, 0])
        for run in ("first", "second"):
            agree(found.mean(axis=0)[1:], expected(case, run)[row, 1:], rtol=0, atol=4 * spread / SEEDS**0.5)


def limit_error(values, group, level):
    """Simulation error of one limit, taken as normal: that of the quantile, sqrt(p (1 - p) / B) / density, and that
    of BCa's correction of bias, sqrt(0.25 / B) / density of the middle, which counts twice."""
    error = np.sqrt(sum(values[group == code].var() / (group == code).sum() for code in (0, 1)))
    p, normal = (1 - level) / 2, scipy_stats.norm
    quantile, bias = np.sqrt(p * (1 - p)) / normal.pdf(normal.ppf(p)), 2 * 0.5 / normal.pdf(0)
    return error * np.hypot(quantile, bias) / np.sqrt(RESAMPLES)


def test_headache_trial_agrees_with_boot(headache):
    values, group = headache["pk5"].to_numpy(), 1 - headache["group"].to_numpy()
    agrees_with_boot("acupuncture", values, group, 0.95, limit_error(values, group, 0.95))


def test_survival_times_of_lung_patients_agree_with_boot_at_level_90():
    rows = committed("lung")
    values, group = rows["time"].to_numpy(float), rows["sex"].to_numpy() - 1
    agrees_with_boot("lung_90", values, group, 0.9, limit_error(values, group, 0.9))


def test_counts_of_distinct_values_have_their_multinomial_probabilities():
    counts, generator = np.array([3, 2, 1]), np.random.default_rng(5)
    seen = Counter(map(tuple, resampled_counts(counts, 60_000, generator).tolist()))
    exact = {c: factorial(6) / prod(map(factorial, c)) * prod((counts / 6) ** np.array(c))
             for c in product(range(7), repeat=3) if sum(c) == 6}
    assert set(seen) <= set(exact) and sum(exact.values()) == pytest.approx(1)
    common = [c for c in exact if exact[c] * 60_000 >= 5]
    observed, wanted = ([*(f[c] for c in common), total - sum(f[c] for c in common)] for f, total in
                        ((seen, 60_000), ({c: 60_000 * p for c, p in exact.items()}, 60_000)))
    assert scipy_stats.chisquare(observed, wanted).pvalue > 0.001


def test_means_of_tiny_data_have_the_shares_of_all_resamples():
    values = np.repeat([0.0, 1, 5], [2, 2, 1])
    exact = Counter(round(sum(chosen) / 5, 9) for chosen in product(values, repeat=5))
    drawn = Counter(resampled_means(values, np.random.default_rng(1)).round(9).tolist())
    assert set(drawn) <= set(exact)
    for value, times in exact.items():
        share = times / 5**5
        assert drawn[value] / RESAMPLES == pytest.approx(share, abs=4.5 * np.sqrt(share * (1 - share) / RESAMPLES))


@pytest.mark.parametrize("n_distinct", [2, 30, 150])
def test_counting_and_index_resampling_have_the_same_distribution(n_distinct):
    generator = np.random.default_rng(n_distinct)
    values = generator.integers(0, n_distinct, 1000) ** 2.0
    counted = resampled_means(values, np.random.default_rng(1))
    drawn = values[generator.integers(0, 1000, (RESAMPLES, 1000))].mean(axis=1)
    split = values + np.linspace(0, 1e-7, 1000)                       # all distinct: the other way of drawing
    assert scipy_stats.ks_2samp(counted, drawn).pvalue > 0.001
    assert scipy_stats.ks_2samp(resampled_means(split, np.random.default_rng(2)), drawn).pvalue > 0.001
    assert scipy_stats.ttest_ind(counted, drawn).pvalue > 0.001
    assert counted.var() == pytest.approx(values.var() / 1000, rel=0.06)      # 4 errors of a variance: sqrt(2 / B)


def test_a_p_value_is_where_the_interval_touches_0():
    generator = np.random.default_rng(3)
    values, group = np.r_[generator.exponential(4, 60), generator.exponential(5.5, 50)], np.repeat([1, 0], [60, 50])
    for interval in INTERVALS:
        p = stats.bootstrap_difference(values, group, [(1, 0)], interval=interval).p_value[0]
        touching = stats.bootstrap_difference(values, group, [(1, 0)], interval=interval, conf_level=1 - p)
        assert 0.01 < p < 0.5 and touching.high[0] == pytest.approx(0, abs=0.01)


def test_draws_do_not_depend_on_other_groups_or_on_the_order_of_rows_and_repeat_with_their_seed():
    generator = np.random.default_rng(7)
    values, group = generator.normal(5, 4, 400), generator.integers(0, 4, 400)
    together = stats.bootstrap_difference(values, group, [(0, 1), (1, 0), (3, 2)], seed=8)
    mine = np.flatnonzero(group < 2)[::-1]
    alone = stats.bootstrap_difference(values[mine], group[mine], [(0, 1)], seed=8)
    np.testing.assert_allclose(limits(alone)[0], limits(together)[0], rtol=1e-12)
    turned = [-together.estimate[1], -together.high[1], -together.low[1]]
    np.testing.assert_allclose(turned, limits(together)[0], rtol=1e-12)
    assert together.method == "percentile bootstrap of means, 10,000 resamples, seed 8"
    other = stats.bootstrap_difference(values, group, [(0, 1)], seed=9)
    assert other.low[0] != together.low[0]


def test_thin_empty_and_constant_groups_say_why():
    values = np.r_[np.arange(12.0), np.full(12, 3.0), np.full(12, 4.0), np.arange(9)]
    group = np.repeat([0, 1, 2, 3], [12, 12, 12, 9])
    found = stats.bootstrap_difference(values, group, [(0, 1), (2, 1), (0, 3), (0, 5)], interval="BCa")
    assert found.note.tolist() == [too_few("values in a group", PATIENTS),
                                   "no variation within the groups: no interval",
                                   "needs ten values in each group for an interval",
                                   "a group has no value"]
    assert found.estimate[:3].tolist() == [2.5, 1.0, 1.5] and np.isnan(found.estimate[3])
    assert np.isnan(limits(found)[1:, 1:]).all() and np.isnan(found.p_value[1:]).all()
    assert np.isfinite(limits(found)[0]).all() and found.low[0] < 2.5 < found.high[0]


def test_unknown_interval_and_negative_seed_are_refused():
    with pytest.raises(ValueError, match="interval is 'basic', but must be one of percentile, BCa"):
        stats.bootstrap_difference(np.arange(4.0), np.array([0, 0, 1, 1]), [(0, 1)], interval="basic")
    with pytest.raises(ValueError, match="seed is -1"):
        stats.bootstrap_difference(np.arange(4.0), np.array([0, 0, 1, 1]), [(0, 1)], seed=-1)
