"""Difference-in-differences, event studies, staggered starts and stepped wedges, against R and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import FOLDER, SEARCHED, agree, committed, joint, reader, table

from therapyeval import stats
from therapyeval.stats.cluster_robust import cr2
from therapyeval.stats.cluster_tests import cr2_joint
from therapyeval.stats.few import SITES, too_few

expected = reader("panel")


def stroke(**starts):
    """Patients as sites: ability, patient, week, start by group (made up)."""
    rows = committed("stroke_long")
    return rows["ability"], rows["Subject"], rows["week"], rows["Group"].map(starts).astype(float)


@pytest.fixture
def providers(real_data):
    """Recovery percent by provider and year; providers with one value in each of eight years, numbered in order."""
    rows = pd.read_csv(real_data("nhs_talking_therapies") / "measures_annual_total.csv", dtype=str)
    wanted = {"org_type": "Provider", "measure_name": "recovery", "measure_statistic": "percentage"}
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    rows = rows.assign(percent=pd.to_numeric(rows["value"], errors="coerce"),
                       year=rows["reporting_period"].str[:4].astype(int))
    rows = rows.dropna(subset="percent")
    by_provider = rows.groupby("org_code")["year"]
    rows = rows[(by_provider.transform("size") == 8) & (by_provider.transform("nunique") == 8)]
    rows = rows.sort_values(["org_code", "year"])
    return rows.assign(number=pd.factorize(rows["org_code"])[0] + 1)


def columns(rows, starts):
    start = (rows["number"] % 4).map(starts).astype(float)
    return rows["percent"], rows["number"], rows["year"], start


def clinics():
    rows = pd.read_csv(FOLDER / "panel" / "clinics.csv")
    return rows["y"], rows["site"], rows["period"], rows["start"], rows[["age"]]


# ---- against R

def test_differences_in_differences_agree_with_r(providers):
    agree(table(stats.difference_in_differences(*stroke(A=4))), expected("did.stroke"))
    some = columns(providers[providers["number"] % 4 < 2], {1: 2020})
    agree(table(stats.difference_in_differences(*some, conf_level=0.9)), expected("did.nhs"))
    *rows, age = clinics()
    found = [table(stats.difference_in_differences(*rows))[0],
             table(stats.difference_in_differences(*rows, covariates=age))[0]]
    agree(found, expected("did.clinics"))


def check_event(found, case):
    wanted = expected(case)
    np.testing.assert_allclose(table(found.effect), wanted[:, 1:], rtol=1e-6, atol=1e-9)     # some effects are 0
    agree(joint(found.pre_trend), expected(case, "pre"))


def test_wild_bootstraps_of_few_sites_agree_with_r(providers):
    ability, patient, week, start = stroke(A=4)
    few = patient.isin([1, 2, 3, 4, 5, 9, 10, 11, 12, 13])
    found = stats.wild_difference_in_differences(ability[few], patient[few], week[few], start[few])
    assert found.method.endswith("all 1024 patterns of signs")
    agree(table(found)[0, :4], expected("wild.stroke"))
    rows = providers[providers["number"] % 4 < 2]
    rows = rows[rows["number"].isin(sorted(rows["number"].unique())[:10])]
    found = stats.wild_difference_in_differences(*columns(rows, {1: 2020}), conf_level=0.9)
    agree(table(found)[0, :4], expected("wild.nhs"))
    *rows, age = clinics()
    agree(table(stats.wild_difference_in_differences(*rows, covariates=age))[0, :4], expected("wild.clinics"))


def test_random_turns_of_many_sites_come_close_to_cr2():
    rows = stroke(A=4)
    wild = stats.wild_difference_in_differences(*rows, n_resamples=3_999, seed=5)
    plain = stats.difference_in_differences(*rows)
    assert "rademacher weights, 3999 resamples, seed 5" in wild.method and wild.estimate == plain.estimate
    assert wild.p_value[0] == pytest.approx(plain.p_value[0], abs=0.05)
    np.testing.assert_allclose((wild.high - wild.low) / (plain.high - plain.low), 1, atol=0.15)


def test_a_wild_bootstrap_that_determines_nothing_says_so():
    period, y = np.tile([1.0, 2, 3], 6), np.arange(18.0) % 7
    site = np.repeat(np.arange(6), 3)

    def wild(outcome, start, **options):
        return stats.wild_difference_in_differences(outcome, site, period, np.repeat(start, 3), **options)
    two = wild(y, [2, 2, 2, np.nan, np.nan, np.nan])
    assert np.isfinite(two.p_value[0]) and two.p_value[0] >= 2 / 64
    few = stats.wild_difference_in_differences(y[:12], site[:12], period[:12], np.repeat([2, 2, np.nan, np.nan], 3))
    assert few.note.tolist() == ["too few clusters for limits"] and np.isfinite(few.p_value[0])
    alone = wild(y, [2, np.nan, np.nan, np.nan, np.nan, np.nan])
    assert alone.note.tolist() == ["needs two sites in each group for an interval"] and np.isnan(alone.p_value[0])
    nobody = wild(y, [np.nan] * 6)
    assert np.isnan(nobody.estimate[0]) and nobody.note[0]
    exact = wild(1.0 * site + period, [2, 2, 2, np.nan, np.nan, np.nan])
    assert exact.note.tolist() == ["the model fits without error: no interval"] and np.isnan(exact.low[0])
    with pytest.raises(ValueError, match="weights is 'normal'"):
        wild(y, [2, 2, 2, np.nan, np.nan, np.nan], weights="normal")
    with pytest.raises(ValueError, match="2 different periods"):
        wild(y, [2, 3, 2, np.nan, np.nan, np.nan])


def test_sites_that_all_changed_alike_give_no_certainty():
    site, period, start = np.repeat(np.arange(6), 3), np.tile([1.0, 2, 3], 6), np.repeat([2, np.nan], 9)
    wiggle = np.tile([0, 1.0, -1], 6) * np.repeat([1, -2, 3, 1.5, -2.5, -1], 3)       # none of it moves the mean after
    outcome = site + 4 * (period >= start) + wiggle
    for found in (stats.difference_in_differences(outcome, site, period, start),
                  stats.wild_difference_in_differences(outcome, site, period, start)):
        assert found.estimate[0] == pytest.approx(4) and np.isnan([found.low[0], found.p_value[0]]).all()
        assert found.note.tolist() == ["no variation between sites: no interval"]


def test_event_studies_and_their_pre_trend_tests_agree_with_r(providers):
    found = stats.event_study(*stroke(A=4))
    assert found.since.tolist() == [-3, -2, 0, 1, 2, 3, 4]
    check_event(found, "event.stroke")
    check_event(stats.event_study(*columns(providers[providers["number"] % 4 < 2], {1: 2020})), "event.nhs")
    check_event(stats.event_study(*clinics()[:4]), "event.clinics")


def check_staggered(found, case):
    wanted = expected(case, "cells")
    some = found.effect.note != "no site left that has not started"
    agree(np.column_stack([found.start, found.period])[some], wanted[:, :2])
    np.testing.assert_allclose(table(found.effect)[some, :4], wanted[:, 2:], rtol=1e-6, atol=1e-9)
    wanted = expected(case, "since")
    known = np.isin(found.since, wanted[:, 0])
    np.testing.assert_allclose(table(found.by_since)[known, :4], wanted[:, 1:], rtol=1e-6, atol=1e-9)
    agree(table(found.overall)[:, :4], expected(case, "overall"))
    assert found.n_without_control == (~some).sum()


def test_group_time_effects_agree_with_r(providers):
    rows = columns(providers, {1: 2020, 2: 2022, 3: 2021})
    check_staggered(stats.group_time_effects(*rows), "staggered.nhs_never")
    check_staggered(stats.group_time_effects(*rows, control="not_yet"), "staggered.nhs_not_yet")
    rows = stroke(C=3, A=5)
    check_staggered(stats.group_time_effects(*rows), "staggered.stroke_never")
    started = ~np.isnan(rows[3])
    found = stats.group_time_effects(*(part[started] for part in rows), control="not_yet")
    check_staggered(found, "staggered.stroke_not_yet")
    assert found.n_without_control == 11 and "no start group" in found.by_since.note[-1]


# ---- worked out by hand, and identities

def test_the_worked_example_of_the_definitions():
    """Pilot sites arrive 78 -> 86, comparison sites 80 -> 82: (86 - 78) - (82 - 80) = 6 points."""
    arrival = np.array([78, 86, 80, 82.0])
    site, period, start = np.array(["p", "p", "c", "c"]), np.array([1, 2, 1, 2]), np.array([2, 2, np.nan, np.nan])
    found = stats.difference_in_differences(arrival, site, period, start)
    agree(found.estimate, [6.0])
    assert np.isnan(found.low[0]) and found.note[0]
    many = np.concatenate([arrival + wiggle for wiggle in (np.zeros(4), [1, 2, 0, 1], [-1, -2, 0, -1])])
    sites = np.repeat(np.arange(6), 2)
    found = stats.difference_in_differences(many, sites, np.tile(period, 3), np.tile(start, 3))
    agree(found.estimate, [6.0])
    assert found.note[0] == "" and found.low[0] < 6 < found.high[0]


def made_up(seed=5, n_sites=12):
    generator = np.random.default_rng(seed)
    site, period = np.repeat(np.arange(n_sites), 6), np.tile(np.arange(2010, 2016), n_sites)
    start = np.where(site < n_sites // 2, 2013.0, np.nan)
    return generator.normal(size=len(site)) + site + period % 7, site, period, start


def test_with_one_start_group_time_effects_are_those_of_the_event_study():
    rows = made_up()
    found, wanted = stats.group_time_effects(*rows), stats.event_study(*rows)
    agree(found.effect.estimate, wanted.effect.estimate)
    agree(found.by_since.estimate, wanted.effect.estimate)
    two = rows[2] >= 2012
    both = [part[two] for part in rows]
    agree(stats.group_time_effects(*both).overall.estimate, stats.difference_in_differences(*both).estimate)


def test_staggered_starts_with_growing_effects_are_recovered_where_two_way_effects_fail():
    site, period = np.repeat(np.arange(12), 8), np.tile(np.arange(1.0, 9), 12)
    start = np.choose(site % 3, [3.0, 5.0, np.nan])
    grown = np.where(period >= start, period - np.nan_to_num(start) + 1, 0)
    outcome = 3.0 * site + period**1.5 + grown
    for control in ("never", "not_yet"):
        found = stats.group_time_effects(outcome, site, period, start, control=control)
        after = found.since >= 0
        agree(found.by_since.estimate[after], found.since[after] + 1)
        agree(found.by_since.estimate[~after], np.zeros((~after).sum()))
    with pytest.raises(ValueError, match="start in 2 different periods"):
        stats.difference_in_differences(outcome, site, period, start)
    with pytest.raises(ValueError, match="group_time_effects"):
        stats.event_study(outcome, site, period, start)


def test_the_joint_test_of_one_function_is_the_t_test():
    generator = np.random.default_rng(3)
    q = np.linalg.qr(generator.normal(size=(30, 3)))[0]
    residual, cluster, direction = generator.normal(size=30), np.arange(30) // 4, np.array([[1.0], [2], [0]])
    effects = np.array([3.0, 1, 2])
    square, df = cr2(q, residual, direction, cluster)
    test = cr2_joint(q, effects, residual, direction, cluster)
    agree([test.statistic, test.df_error], [25 / square[0], df[0]])


def test_order_of_rows_and_levels_of_sites_do_not_matter():
    rows = made_up()
    mixed = np.random.default_rng(1).permutation(len(rows[0]))
    other = [part[mixed] for part in rows]
    shifted = [other[0] + 100.0 * (other[1] % 5), *other[1:]]
    for call in (stats.difference_in_differences, lambda *r: stats.event_study(*r).effect,
                 lambda *r: stats.group_time_effects(*r).effect, lambda *r: stats.group_time_effects(*r).overall):
        agree(table(call(*shifted)), table(call(*rows)))


# ---- degenerate and senseless input

def test_designs_without_a_comparison_say_so():
    outcome, site, period, start = made_up()
    never, all_start = np.full(len(site), np.nan), np.full(len(site), 2013.0)
    at_once, late = np.where(site < 6, 2010.0, np.nan), np.where(site < 6, 2020.0, np.nan)
    for starts, note in ((never, "no site starts"), (all_start, "no site without"), (at_once, "no site starts"),
                         (late, "no site starts")):
        found = stats.difference_in_differences(outcome, site, period, starts)
        assert np.isnan(table(found)).all() and note in found.note[0]
        study = stats.event_study(outcome, site, period, starts)
        assert np.isnan(table(study.effect)).all() and note in study.pre_trend.note
    lone = np.where(site == 0, 2013.0, np.nan)
    found = stats.difference_in_differences(outcome, site, period, lone)
    assert found.note.tolist() == ["needs two sites in each group for an interval"] and np.isfinite(found.estimate[0])
    staggered = stats.group_time_effects(outcome, site, period, lone)
    assert set(staggered.effect.note) == {"needs two sites in each group for an interval"}
    assert np.isnan(staggered.overall.low[0]) and np.isfinite(staggered.overall.estimate[0])
    none = stats.group_time_effects(outcome, site, period, all_start)
    assert set(none.effect.note) == {"no site left that has not started"} and none.n_without_control == 5
    assert none.overall.note.tolist() == ["no start group has a site to be compared with"]
    first = stats.group_time_effects(outcome, site, period, at_once)
    assert first.n_without_before == 6 and len(first.effect.estimate) == 0 and np.isnan(first.overall.estimate[0])


def test_outcomes_without_error_have_no_interval():
    _, site, period, start = made_up()
    outcome = 2.0 * site + period + 4 * (period >= start)
    found = stats.difference_in_differences(outcome, site, period, start)
    assert found.note.tolist() == ["the model fits without error: no interval"]
    agree(found.estimate, [4.0])
    assert stats.event_study(outcome, site, period, start).pre_trend.note == "the model fits without error: no interval"
    staggered = stats.group_time_effects(outcome, site, period, start)
    assert staggered.overall.note.tolist() == ["no variation between sites: no interval"]
    covariates = pd.DataFrame({"level": site * 1.5})
    found = stats.difference_in_differences(outcome, site, period, start, covariates=covariates)
    assert "determine the program" in found.note[0] and np.isnan(found.estimate[0])


def test_few_periods_or_sites_have_no_pre_trend_test():
    outcome, site, period, start = made_up()
    late = period >= 2012
    found = stats.event_study(outcome[late], site[late], period[late], start[late])
    assert found.pre_trend.note == "needs two periods before the start" and np.isfinite(found.effect.low).all()
    small = stats.event_study(*made_up(n_sites=4))
    assert small.pre_trend.note == "too few clusters for a joint test" or 0 <= small.pre_trend.p_value <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": np.nan}, "missing or infinite"),
        ({"site": None}, "missing values"),
        ({"period": np.inf}, "missing or infinite"),
        ({"start": 2012.0}, "more than one start"),
        ({"start": -np.inf}, "minus infinity"),
    ],
)
def test_senseless_panels_are_refused(change, message):
    parts = dict(zip(("outcome", "site", "period", "start"), map(list, made_up()), strict=True))
    for name, value in change.items():
        parts[name][0] = value
    for call in (stats.difference_in_differences, stats.event_study, stats.group_time_effects):
        with pytest.raises(ValueError, match=message):
            call(*(np.array(part) for part in parts.values()))


def test_panels_that_do_not_fit_are_refused():
    outcome, site, period, start = made_up()
    with pytest.raises(ValueError, match="one entry for each"):
        stats.event_study(outcome, site, period[:5], start)
    with pytest.raises(ValueError, match="1 sites lack a period"):
        stats.group_time_effects(outcome[1:], site[1:], period[1:], start[1:])
    with pytest.raises(ValueError, match="control is"):
        stats.group_time_effects(outcome, site, period, start, control="all")
    with pytest.raises(ValueError, match="conf_level"):
        stats.difference_in_differences(outcome, site, period, start, conf_level=2)


# ---- stepped wedge

def test_stepped_wedges_agree_with_r(providers):
    agree(table(stats.stepped_wedge(*stroke(C=3, A=5))), expected("wedge.stroke"), SEARCHED)
    rows = columns(providers, {1: 2020, 2: 2022, 3: 2021})
    agree(table(stats.stepped_wedge(*rows, conf_level=0.9)), expected("wedge.nhs"), SEARCHED)
    rows = pd.read_csv(FOLDER / "panel" / "clinics.csv")
    parts = rows["y"], rows["site"], rows["period"], 2 + (rows["site"] - 1) % 4
    found = [table(stats.stepped_wedge(*parts))[0], table(stats.stepped_wedge(*parts, covariates=rows[["age"]]))[0]]
    agree(found, expected("wedge.clinics"), SEARCHED)


def test_a_wedge_without_steps_says_so():
    outcome, site, period, _ = made_up()
    together = stats.stepped_wedge(outcome, site, period, np.full(len(site), 2013))
    assert np.isnan(table(together)).all() and "collinear" in together.note[0]
    never = stats.stepped_wedge(outcome, site, period, np.full(len(site), np.nan))
    assert np.isnan(table(never)).all() and never.note.tolist() == ["a group has no value"]
    with pytest.raises(ValueError, match="more than one start"):
        stats.stepped_wedge(outcome, site, period, period)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(-9, 9)), max_size=30),
       st.sets(st.integers(0, 5)), st.integers(0, 4))
def test_any_panel_gives_numbers_or_a_reason(rows, started, when):
    site, period, outcome = np.array(rows, dtype=float).reshape(-1, 3).T
    start = np.where(np.isin(site, list(started)), when, np.nan)
    study = stats.event_study(outcome, site, period, start)
    for found in (stats.difference_in_differences(outcome, site, period, start), study.effect):
        assert (np.isfinite(table(found)).all(axis=1) == (found.note == "")).all()
    wild = stats.wild_difference_in_differences(outcome, site, period, start)
    assert np.isfinite(table(wild)[0, :4]).all() if not wild.note[0] else np.isnan(wild.low[0])
    assert np.isnan(wild.p_value[0]) or 0 < wild.p_value[0] <= 1
    test = study.pre_trend
    assert np.isnan(test.p_value) if test.note else 0 <= test.p_value <= 1
    square = {(one, time): value for one, time, value in zip(site, period, outcome, strict=True)}
    whole = np.array([(one, time, square.get((one, time), 0)) for one in set(site) for time in set(period)])
    site, period, outcome = whole.reshape(-1, 3).T
    start = np.where(np.isin(site, list(started)), when + site % 2, np.nan)
    for control in ("never", "not_yet"):
        found = stats.group_time_effects(outcome, site, period, start, control=control)
        for part in (found.effect, found.by_since, found.overall):
            stands = np.isin(part.note.astype(str), ("", too_few("sites", SITES)))
            assert (np.isfinite(table(part)[:, :4]).all(axis=1) == stands).all()
