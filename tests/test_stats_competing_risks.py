"""Aalen-Johansen shares, exact ratios of counts and the patient bootstrap, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, FOLDER, agree, limits, reader

from therapyeval import stats

expected = reader("risks")


def committed(name):
    return pd.read_csv(FOLDER / "risks" / f"{name}.csv")


@pytest.mark.parametrize(
    ("case", "file", "time", "by", "levels", "horizons", "conf_level"),
    [
        ("aj.mgus2", "mgus2", "stop", "sex", ["F", "M"], [24, 120, 240], 0.95),
        ("aj.visits", "visits", "visits", "clinic", [0, 1, 2, 3], [3, 5, 8], 0.95),
        ("aj.visits_90", "visits", "visits", "clinic", [0, 1, 2, 3], [4], 0.90),
    ],
)
def test_competing_shares_and_limits_agree_with_r(case, file, time, by, levels, horizons, conf_level):
    rows = committed(file)
    group = rows[by].map({level: code for code, level in enumerate(levels)}).to_numpy()
    wanted = expected(case).reshape(len(levels), len(horizons), 4)
    for column, horizon in enumerate(horizons):
        found = stats.cumulative_incidence(rows[time], rows["cause"], group, len(levels), horizon=horizon,
                                           conf_level=conf_level)
        agree(limits(found), wanted[:, column, :3], rtol=EXACT)


@pytest.mark.parametrize(("case", "horizons"), [("aj.mgus2", [24, 120, 240]), ("aj.visits", [3, 5, 8])])
def test_competing_shares_agree_with_cmprsk(case, horizons):
    agree(expected(case)[:, 0], expected(case, "cuminc"), rtol=EXACT)


@pytest.mark.parametrize(("case", "file", "time", "by", "levels", "level"), [
    ("curve.mgus2", "mgus2", "stop", "sex", ["F", "M"], 0.95),
    ("curve.visits", "visits", "visits", "clinic", [0, 1, 2, 3], 0.90)])
def test_whole_curves_agree_with_r(case, file, time, by, levels, level):
    rows = committed(file)
    group = rows[by].map({level: code for code, level in enumerate(levels)}).to_numpy()
    curve = stats.incidence_curve(rows[time], rows["cause"], group, len(levels), conf_level=level)
    found = [curve.group, curve.time, curve.at_risk, curve.events, curve.others, curve.estimate, curve.low, curve.high]
    agree(np.column_stack(found), expected(case), rtol=EXACT)


def test_a_curve_without_censoring_is_the_share_so_far():
    found = stats.incidence_curve(np.array([3.0, 1, 2, 2]), np.array([1, 2, 1, 2]), np.zeros(4, int), 2)
    np.testing.assert_allclose(found.estimate, [0, 0.25, 0.5])
    assert found.note.tolist() == ["", "no unit has a value"] and np.isnan(found.low[0]) and found.low[1] > 0
    whole = stats.incidence_curve(np.array([1.0, 2]), np.array([1, 1]), np.zeros(2, int), 1)
    assert whole.estimate[-1] == 1 and np.isnan(whole.high[-1])
    none = stats.incidence_curve(np.array([]), np.array([]), np.array([], int), 1)
    assert len(none.time) == 0 and none.note.tolist() == ["no unit has a value"]


def test_a_share_of_one_is_one_however_it_adds_up():
    visits, every, one = np.repeat([1.0, 2, 3], [5, 3, 4]), np.ones(12), np.zeros(12, int)      # sums to 1 - 1e-16
    share = stats.cumulative_incidence(visits, every, one, 1, horizon=99)
    assert share.estimate[0] == 1 and share.note.tolist() == ["no variation: no interval"] and np.isnan(share.low[0])
    curve = stats.incidence_curve(visits, every, one, 1)
    assert np.isnan(curve.low[-1]) and np.isfinite(curve.low[:-1]).all()


def test_a_curve_passes_through_the_share_by_each_horizon():
    rows = committed("visits")
    clinic = rows["clinic"].to_numpy()
    curve = stats.incidence_curve(rows["visits"], rows["cause"], clinic, 4)
    for horizon in np.unique(rows["visits"]):
        share = stats.cumulative_incidence(rows["visits"], rows["cause"], clinic, 4, horizon=horizon)
        at = curve.time == horizon
        agree(limits(share)[curve.group[at]], np.column_stack([curve.estimate, curve.low, curve.high])[at], 1e-12)


def test_without_other_ends_or_censoring_the_share_is_the_plain_one_with_its_binomial_error():
    duration, cause = np.arange(1.0, 21), np.where(np.arange(20) < 6, 1, 2)
    found = stats.cumulative_incidence(duration, cause, np.zeros(20, int), 1, horizon=10)
    assert found.estimate[0] == pytest.approx(0.3)
    half = 1.959963984540054 * np.sqrt(0.3 * 0.7 / 20) / (0.3 * np.log(0.3))
    assert found.low[0] == pytest.approx(np.exp(-np.exp(np.log(-np.log(0.3)) - half)))


def test_ends_that_compete_and_open_units_are_not_the_same():
    duration, group = np.array([1.0, 2, 3, 4]), np.zeros(4, int)
    stopped = stats.cumulative_incidence(duration, np.array([2, 2, 1, 2]), group, 1, horizon=4).estimate[0]
    censored = stats.cumulative_incidence(duration, np.array([0, 0, 1, 2]), group, 1, horizon=4).estimate[0]
    assert (stopped, censored) == (pytest.approx(0.25), pytest.approx(0.5))


def test_thin_groups_of_competing_ends_say_why():
    found = stats.cumulative_incidence(np.array([2.0, 5, 1, 1, 2]), np.array([0, 2, 1, 0, 0]),
                                       np.array([0, 0, 1, 3, 3]), 4, horizon=3)
    assert found.note.tolist() == ["no event by then: no interval", "no variation: no interval",
                                   "no unit has a value", "no event by then: no interval"]
    late = stats.cumulative_incidence(np.array([1.0, 2, 2]), np.array([1, 0, 0]), np.zeros(3, int), 1, horizon=9)
    assert late.note.tolist() == ["nobody is followed that long: the share at the last time"]
    none = stats.cumulative_incidence(np.array([]), np.array([]), np.array([], int), 2, horizon=3)
    assert none.note.tolist() == ["no unit has a value"] * 2


@pytest.mark.parametrize(("durations", "causes", "message"), [
    ([-1, 2], [1, 1], "negative"), ([1, 2], [1, 3], "another end"), ([1, 2, 3], [1, 1], "duration has 3")])
def test_senseless_times_are_refused(durations, causes, message):
    with pytest.raises(ValueError, match=message):
        stats.cumulative_incidence(np.array(durations), np.array(causes), np.zeros(len(durations), int), 1, horizon=3)


def test_growth_agrees_with_binom_test():
    wanted = expected("growth")
    found = stats.growth(np.array([90, 3, 0]), np.array([75, 8, 5]))
    agree(limits(found), wanted[:3], rtol=EXACT)
    other = stats.growth(np.array([40]), np.array([2]), conf_level=0.90)
    agree(limits(other)[0], wanted[3], rtol=EXACT)


def test_growth_from_nothing_has_no_value():
    found = stats.growth(np.array([4, 0]), np.array([0, 0]))
    assert np.isnan([found.estimate, found.low, found.high]).all()
    assert found.note.tolist() == ["none in the earlier period", "no unit has a value"]


def test_bootstrap_limits_are_near_those_of_r_boot_with_many_resamples():
    rows, wanted = committed("change"), expected("bootstrap")
    group = np.zeros(len(rows), int)
    for spread, row in zip((rows["x0"], rows["d"]), wanted, strict=True):
        found = stats.standardized_mean(rows["d"], spread, group, rows["patient"], 1)
        agree(limits(found)[0, :1], row[:1], rtol=1e-12)
        agree(limits(found)[0, 1:], row[1:], rtol=0, atol=0.03)                # both are simulated
        assert "2000 resamples, seed 20260101" in found.method


def test_bootstrap_of_one_group_does_not_depend_on_others_or_on_the_order_of_rows():
    generator = np.random.default_rng(7)
    n = 300
    values, spread = generator.normal(5, 4, n), generator.normal(30, 9, n)
    group, patient = generator.integers(0, 5, n), generator.integers(0, 90, n)
    together = stats.standardized_mean(values, spread, group, patient, 5)
    for code in range(5):
        rows = np.flatnonzero(group == code)[::-1]
        alone = stats.standardized_mean(values[rows], spread[rows], np.zeros(len(rows), int), patient[rows], 1)
        for name in ("estimate", "low", "high"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[code], rel=1e-9)


def test_bootstrap_of_thin_groups_says_why():
    found = stats.standardized_mean(np.array([1.0, 2, 3, 5, 5, 9]), np.array([1.0, 4, 6, 2, 2, 3]),
                                    np.array([0, 0, 0, 2, 2, 3]), np.arange(6), 4)
    assert found.note.tolist() == ["needs ten patients for an interval", "no unit has a value", "no spread",
                                   "needs two units"]
    assert np.isnan(found.low).all() and np.isnan(found.estimate[1:]).all()
