"""Kaplan-Meier quantiles, against R survfit and against cases worked out by hand."""

import numpy as np
import pytest
from reference_values import EXACT, agree, committed, reader

from therapyeval import stats

expected = reader("stats")


def one_group(durations: list[float], seen: list[int], **options) -> tuple:
    rows = np.array(durations, dtype=float), np.array(seen), np.zeros(len(seen), int)
    found = stats.time_quantile(*rows, 1, **options)
    return found.estimate[0], found.low[0], found.high[0], found.note[0]


@pytest.mark.parametrize(
    ("case", "file", "event", "by", "levels", "conf_level"),
    [
        ("km.lung", "lung", "seen", "sex", [1, 2], 0.95),
        ("km.veteran", "veteran", "status", "celltype", ["squamous", "smallcell", "adeno", "large"], 0.95),
        ("km.veteran_90", "veteran", "status", "trt", [1, 2], 0.90),
        ("km.kidney", "kidney", "status", "disease", ["Other", "GN", "AN", "PKD"], 0.95),
    ],
)
def test_quantiles_and_limits_agree_with_r(case, file, event, by, levels, conf_level):
    rows = committed(file)
    group = rows[by].map({level: code for code, level in enumerate(levels)}).to_numpy()
    for column, p in enumerate(expected(case, "p")):
        found = stats.time_quantile(rows["time"], rows[event], group, len(levels), p=p, conf_level=conf_level)
        for name in ("estimate", "low", "high"):
            agree(getattr(found, name), expected(case, name)[:, column], rtol=EXACT)


@pytest.mark.parametrize(
    ("case", "durations", "seen"),
    [
        ("km.last_stretch", [2, 5, 9, 14], [1, 1, 0, 0]),
        ("km.uncensored", [2, 5, 9, 14], [1, 1, 1, 1]),
        ("km.waiting", [2, 5, 9, 14, 20], [1, 1, 1, 1, 0]),
    ],
)
def test_median_is_the_one_r_prints(case, durations, seen):
    found = one_group(durations, seen)
    agree(found[:3], expected(case, "row"), rtol=0)


def test_days_to_evaluation_of_the_metric_definitions():
    durations, seen = [2, 5, 9, 14, 20], [1, 1, 1, 1, 0]
    assert one_group(durations, seen)[:2] == (9, 2)
    assert one_group(durations, seen)[3] == "upper limit not reached"
    estimate, _, high, note = one_group(durations, seen, p=0.9)
    assert np.isnan(estimate) and np.isnan(high) and note == "not reached"


def test_without_censoring_the_median_is_the_ordinary_one():
    assert one_group([2, 5, 9, 14], [1, 1, 1, 1])[0] == 7
    assert one_group([2, 5, 9], [1, 1, 1])[0] == 5


def test_a_stretch_at_one_half_ends_at_the_next_event_not_at_a_censored_time():
    assert one_group([2, 5, 7, 9, 14], [1, 1, 1, 0, 1])[0] == 7            # S = .8 .6 .4
    assert one_group([2, 5, 9, 12], [1, 1, 0, 1])[0] == 8.5                # S = .75 .5, then 0 at 12


def test_units_censored_at_the_time_of_an_event_are_still_at_risk():
    assert np.isnan(one_group([5, 5, 5, 8], [1, 0, 0, 0])[0])  # S = .75: the censored two are among the four
    assert one_group([5, 5, 5, 8], [1, 1, 1, 0])[0] == 5  # S = .25


def test_events_all_at_one_time_have_no_limits():
    estimate, low, high, note = one_group([5, 5, 5], [1, 1, 1])
    assert estimate == 5 and np.isnan(low) and np.isnan(high)
    assert note == "limits not defined: the curve falls to zero in one step"


def test_groups_without_units_or_events_say_so():
    found = stats.time_quantile(np.array([3.0, 4, 0]), np.array([0, 0, 1]), np.array([0, 0, 2]), 3)
    assert found.note.tolist()[:2] == ["not reached", "no unit has a value"]
    np.testing.assert_array_equal(found.estimate, [np.nan, np.nan, 0])
    none = stats.time_quantile(np.array([]), np.array([]), np.array([], dtype=int), 2)
    assert none.note.tolist() == ["no unit has a value"] * 2


def test_a_group_with_many_events_is_not_changed_by_its_neighbors():
    generator = np.random.default_rng(5)
    duration, event = generator.integers(0, 60, 4000).astype(float), generator.random(4000) < 0.7
    group = generator.integers(0, 200, 4000)
    together = stats.time_quantile(duration, event, group, 200, p=0.25)
    for code in range(0, 200, 20):
        rows = group == code
        alone = stats.time_quantile(duration[rows], event[rows], np.zeros(rows.sum(), int), 1, p=0.25)
        for name in ("estimate", "low", "high"):
            np.testing.assert_array_equal(getattr(together, name)[code], getattr(alone, name)[0])


@pytest.mark.parametrize(
    ("durations", "seen", "options", "message"),
    [
        ([-1, 2], [1, 1], {}, "negative"),
        ([np.nan, 2], [1, 1], {}, "missing or infinite"),
        ([1, 2], [1, 2], {}, "True or False"),
        ([1, 2, 3], [1, 1], {}, "duration has 3"),
        ([1, 2], [1, 1], {"p": 0}, "p is"),
        ([1, 2], [1, 1], {"p": 1}, "p is"),
        ([1, 2], [1, 1], {"conf_level": 95}, "conf_level"),
    ],
)
def test_senseless_input_is_refused(durations, seen, options, message):
    with pytest.raises(ValueError, match=message):
        one_group(durations, seen, **options)
