"""Means of few people with strongly skewed values: the interval stands, and the note warns of it."""

import numpy as np
import pytest
import scipy.stats

from therapyeval import stats
from therapyeval.stats.skewness import LOPSIDED, central_moments

CEILING = np.array([80.0] * 7 + [60])        # mean 77.5; cubes (7 * 2.5^3 - 17.5^3) / 8 = -656.25
EVEN = np.array([70.0, 72, 74, 76, 78, 80, 71, 79])


def codes(*sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


def test_moments_are_those_worked_out_by_hand_and_by_scipy():
    found = central_moments(CEILING - 77.5, codes(8), 1)
    assert found.second == pytest.approx([43.75]) and found.third == pytest.approx([-656.25])
    assert found.third / found.second**1.5 == pytest.approx([scipy.stats.skew(CEILING)])


def test_a_mean_of_eight_people_at_the_ceiling_keeps_its_interval_and_says_that_it_may_be_too_narrow():
    found = stats.mean(np.r_[CEILING, EVEN], codes(8, 8), np.arange(16), 2)
    assert found.note.tolist() == [LOPSIDED, ""]
    assert np.isfinite([found.low, found.high]).all()


def test_many_people_are_enough_for_a_skewed_mean():
    """Skewness of one in eight at 60 is -2.27: 25 * 2.27^2 = 128.6 people are enough."""
    for times, note in ((16, LOPSIDED), (17, "")):
        values = np.tile(CEILING, times)
        assert stats.mean(values, codes(len(values)), np.arange(len(values)), 1).note.tolist() == [note]


def test_fewer_than_eight_people_do_not_show_skewness():
    assert stats.mean(CEILING[1:], codes(7), np.arange(7), 1).note.tolist() == [""]


def test_skewness_is_that_of_patients_not_of_their_visits():
    values = np.tile([80.0, 60], 8)                    # every patient the same two visits
    values[0] = 81
    by_patient = stats.mean(values, codes(16), np.repeat(np.arange(8), 2), 1)
    assert by_patient.note.tolist() == [LOPSIDED]      # one patient differs from seven
    assert stats.mean(values, codes(16), np.arange(16), 1).note.tolist() == [""]


def test_skewness_of_two_groups_of_one_size_cancels_in_welch_and_of_unlike_size_does_not():
    pairs = [(0, 1), (0, 2), (2, 0), (3, 1)]
    values = np.r_[CEILING, CEILING - 10, np.tile(CEILING, 8), EVEN]
    found = stats.welch(values, codes(8, 8, 64, 8), pairs)
    assert found.note.tolist() == ["", LOPSIDED, LOPSIDED, LOPSIDED]
    assert np.isfinite([found.low, found.high, found.p_value]).all()


def test_paired_differences_are_judged_by_their_own_skewness():
    before = np.r_[EVEN, EVEN]
    found = stats.paired(before + np.r_[CEILING, EVEN], before, codes(8, 8), 2)
    assert found.note.tolist() == [LOPSIDED, ""] and np.isfinite(found.p_value).all()


def test_a_percentile_interval_of_few_patients_says_that_it_is_too_narrow():
    rng = np.random.default_rng(4)
    change, sizes = rng.normal(5, 10, 68), (9, 10, 49)
    found = stats.standardized_mean(change, rng.normal(50, 10, 68), codes(*sizes), np.arange(68), 3)
    few = "fewer than 50 patients: the interval may be too narrow"
    assert found.note.tolist() == ["needs ten patients for an interval", few, few]
    assert np.isnan(found.low).tolist() == [True, False, False]
