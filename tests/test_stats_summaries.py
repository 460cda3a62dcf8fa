"""Descriptive numbers per group, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, agree, committed, reader

from therapyeval import stats

expected = reader("stats")


@pytest.mark.parametrize(("file", "value", "by"), [("lung", "time", "sex"), ("kutner", "y", "group")])
def test_quantiles_and_sd_agree_with_r(file, value, by):
    rows = committed(file)
    group = rows[by].to_numpy() - 1
    n_groups = group.max() + 1
    case = f"quantile.{file}"
    for column, p in enumerate(expected(case, "p")):
        found = stats.quantile(rows[value], group, n_groups, p)
        agree(found, expected(case)[:, column], rtol=EXACT)
    found = stats.sd(rows[value], group, n_groups)
    agree(found, expected(f"sd.{file}", "sd"), rtol=EXACT)


def test_sd_of_the_headache_trial_is_the_published_one(real_data):
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    rows = rows.dropna(subset="pk5")
    found = stats.sd(rows["pk5"], rows["group"].to_numpy(), 2)
    assert found.round(1).tolist() == [17.0, 13.7]


def test_visits_per_episode_of_the_toy_cohort_have_p90_9():
    visits, one = np.array([8.0, 6, 5, 3, 10, 7]), np.zeros(6, dtype=int)
    assert stats.quantile(visits, one, 1, 0.9).tolist() == [9.0]
    assert stats.quantile(visits, one, 1, 0.5).tolist() == [6.5]


def test_empty_and_single_groups():
    values, group = np.array([4.0, 7, 9]), np.array([2, 2, 0])
    wanted = [np.nan, np.nan, np.sqrt(4.5), np.nan]
    np.testing.assert_array_equal(stats.sd(values, group, 4), wanted)
    np.testing.assert_array_equal(stats.quantile(values, group, 4, 0.25), [9, np.nan, 4.75, np.nan])
    assert stats.counts(group, 4).tolist() == [1, 0, 2, 0]
    low, high = stats.extremes(values, group, 4)
    np.testing.assert_array_equal(low, [9, np.nan, 4, np.nan])
    np.testing.assert_array_equal(high, [9, np.nan, 7, np.nan])


def test_people_are_counted_once_in_a_group_and_again_in_another():
    patient, group = np.array([5, 5, 6, 5, 7]), np.array([0, 0, 0, 2, 2])
    assert stats.n_distinct(patient, group, 3).tolist() == [2, 0, 2]


def test_sd_of_values_far_from_zero_does_not_cancel():
    values = 1e9 + np.array([0.0, 1, 2])
    assert stats.sd(values, np.zeros(3, dtype=int), 1)[0] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match="p is"):
        stats.quantile(np.ones(2), np.zeros(2, dtype=int), 1, p)


def test_missing_values_are_refused():
    for call in (stats.sd, stats.extremes):
        with pytest.raises(ValueError, match="missing or infinite"):
            call(np.array([1.0, np.nan]), np.zeros(2, dtype=int), 1)
