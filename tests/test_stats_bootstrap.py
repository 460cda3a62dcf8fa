"""Percentile bootstrap by patient: where its distribution is known exactly, and against R boot."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, agree, limits, reader
from scipy.stats import binom

from therapyeval import stats
from therapyeval.stats.bootstrap import bootstrap_interval

expected = reader("risks")


def mean_of(values):
    values = np.asarray(values, dtype=float)

    def mean(rows, codes, n):
        with np.errstate(invalid="ignore"):
            return np.bincount(codes, values[rows], n) / np.bincount(codes, minlength=n)
    return mean


def median_of(values):
    values = np.asarray(values, dtype=float)
    return lambda rows, codes, n: stats.quantile(values[rows], codes, n, 0.5)


def one_group(n):
    return np.zeros(n, dtype=int)


def test_a_share_has_the_quantiles_of_a_binomial():
    """A resampled share of 40 with 14 yes is Binomial(40, 0.35) / 40."""
    yes = np.r_[np.ones(14), np.zeros(26)]
    found = bootstrap_interval(mean_of(yes), one_group(40), np.arange(40), 1)
    low, high = binom.ppf([0.025, 0.975], 40, 0.35) / 40
    assert found.estimate[0] == 0.35
    assert abs(found.low[0] - low) <= 1 / 40 and abs(found.high[0] - high) <= 1 / 40


def test_a_resampled_median_has_the_order_statistics_distribution():
    """P(median* <= x_(i)) of 21 values is the chance that 11 or more of 21 draws are among the first i (Efron 1979)."""
    values = np.arange(1.0, 22) ** 1.5
    found = bootstrap_interval(median_of(values), one_group(21), np.arange(21), 1)
    chance = np.array([binom.sf(10, 21, i / 21) for i in range(1, 22)])
    exact = [values[np.searchsorted(chance, p)] for p in (0.025, 0.975)]
    places = [np.flatnonzero(values == end)[0] for end in exact]
    for limit, place in zip((found.low[0], found.high[0]), places, strict=True):
        assert values[place - 1] <= limit <= values[place + 1]


def test_patients_who_come_twice_make_the_interval_no_narrower():
    """Each patient's value written twice: the resamples are the same, and so are the limits."""
    values = np.random.default_rng(3).normal(5, 2, 30)
    once = bootstrap_interval(mean_of(values), one_group(30), np.arange(30), 1)
    twice = bootstrap_interval(mean_of(np.r_[values, values]), one_group(60), np.r_[np.arange(30), np.arange(30)], 1)
    for name in ("estimate", "low", "high"):
        assert getattr(once, name)[0] == pytest.approx(getattr(twice, name)[0], rel=1e-12)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_limits_are_near_those_of_r_boot_with_many_resamples(place):
    rows, wanted = pd.read_csv(FOLDER / "risks" / "change.csv"), expected("bootstrap.plain")[place]
    d, x0 = rows["d"].to_numpy(float), rows["x0"].to_numpy(float)

    def ratio(rows, codes, n):
        return np.bincount(codes, d[rows], n) / np.bincount(codes, x0[rows], n)
    statistic = (mean_of(d), median_of(d), ratio)[place]
    found = bootstrap_interval(statistic, one_group(len(rows)), rows["patient"], 1)
    agree(found.estimate, wanted[:1], rtol=1e-12)
    agree(limits(found)[0, 1:], wanted[1:], rtol=0, atol=0.05 * float(wanted[2] - wanted[1]))     # both are simulated
    assert found.method == "percentile bootstrap by patient, 2000 resamples, seed 20260101"


def test_one_group_does_not_depend_on_others_nor_on_the_order_of_rows():
    generator = np.random.default_rng(7)
    values, group, patient = generator.normal(5, 4, 300), generator.integers(0, 5, 300), generator.integers(0, 90, 300)
    together = bootstrap_interval(mean_of(values), group, patient, 5)
    for code in range(5):
        rows = np.flatnonzero(group == code)[::-1]
        alone = bootstrap_interval(mean_of(values[rows]), one_group(len(rows)), patient[rows], 1)
        assert [alone.low[0], alone.high[0]] == pytest.approx([together.low[code], together.high[code]], rel=1e-9)


def test_many_units_are_drawn_a_resample_at_a_time_with_the_same_result(monkeypatch):
    values, group = np.random.default_rng(1).normal(size=60), np.repeat([0, 1, 2], 20)
    whole = bootstrap_interval(mean_of(values), group, np.arange(60) // 2, 3)
    monkeypatch.setattr("therapyeval.stats.bootstrap.AT_ONCE", 1)
    np.testing.assert_allclose(bootstrap_interval(mean_of(values), group, np.arange(60) // 2, 3).low, whole.low)


def test_thin_and_flat_groups_say_why():
    values = np.r_[np.arange(9.0), np.ones(12)]
    found = bootstrap_interval(mean_of(values), np.repeat([0, 2], [9, 12]), np.arange(21), 3)
    assert found.note.tolist() == ["needs ten patients for an interval", "no unit has a value",
                                   "no variation between patients: no interval"]
    assert np.isnan(found.low).all() and found.estimate.tolist()[::2] == [4.0, 1.0]


def test_what_is_not_reached_has_no_limit():
    """A median waiting time of 30 who mostly wait still: infinite in many resamples."""
    wait = np.r_[np.arange(16.0), np.full(14, np.inf)]
    found = bootstrap_interval(median_of(np.minimum(wait, 1e300)), one_group(30), np.arange(30), 1)
    assert found.note[0] == "upper limit not reached" and np.isnan(found.high[0]) and found.low[0] < 16
    never = bootstrap_interval(lambda rows, codes, n: np.full(n, np.inf), one_group(20), np.arange(20), 1)
    assert np.isnan(never.estimate[0]) and never.note[0].startswith("not reached")


def test_nothing_at_all_gives_no_value():
    found = bootstrap_interval(mean_of([]), np.array([], dtype=int), np.array([], dtype=int), 2)
    assert found.note.tolist() == ["no unit has a value"] * 2
    with pytest.raises(ValueError, match="conf_level"):
        bootstrap_interval(mean_of([1.0]), one_group(1), np.arange(1), 1, conf_level=1)
