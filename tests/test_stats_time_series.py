"""Interrupted time series, against R, the published numbers of Sicily and cases worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import FOLDER, SEARCHED, agree, committed, reader, table

from therapyeval import stats
from therapyeval.stats.interrupted import SHORT

expected = reader("series")
LEVEL, SEASON = {"impact": "level"}, {"season": 12, "harmonics": 2}
NEWEY = {"errors": "newey_west"}


def parts(found):
    """Trend, level, slope and effects, as R's rows."""
    return np.vstack([table(part)[:, :4] for part in (found.trend, found.level, found.slope, found.effect)])


def notes(found):
    return {note for part in (found.trend, found.level, found.slope, found.effect) for note in part.note}


@pytest.fixture
def sicily(real_data):
    rows = pd.read_csv(real_data("sicily_its") / "sicily.csv")
    return rows.assign(rate=rows["aces"] / rows["stdpop"] * 1e5)


@pytest.fixture
def england(real_data):
    """Yearly counts of England's talking therapies, one row per year."""
    rows = pd.read_csv(real_data("nhs_talking_therapies") / "measures_annual_total.csv")
    rows = rows[(rows["org_type"] == "England") & (rows["measure_statistic"] == "count")]
    wide = rows.pivot(index="reporting_period", columns="measure_name", values="value").astype(float)
    return wide.sort_index().reset_index(drop=True)


def ability(arm):
    rows = committed("stroke_long")
    return rows[rows["Group"] == arm].groupby("week")["ability"].mean().to_numpy()


# ---- against R

def test_means_agree_with_r(sicily, england):
    months, at = sicily["time"], [37, 43, 59]
    found = stats.interrupted_mean(sicily["rate"], months, 37, at=at, **NEWEY)
    agree(parts(found), expected("mean.sicily", "plain"))
    assert found.trend.method.endswith("Newey-West lag 3, t")                        # 4 (59 / 100)^(2/9) = 3.56
    assert found.effect.note.tolist() == [SHORT] * 3
    agree([found.dispersion, found.autocorrelation], expected("mean.sicily", "checks"))
    agree(found.fitted[[0, 36, 58]], expected("mean.sicily", "fitted"))
    agree(found.projection[[0, 36, 58]], expected("mean.sicily", "projection"))
    found = stats.interrupted_mean(sicily["rate"], months, 37, at=at, lag=3, **NEWEY, **SEASON)
    agree(parts(found), expected("mean.sicily", "season"))
    found = stats.interrupted_mean(sicily["rate"], months, 37, at=at, lag=0, conf_level=0.9, **NEWEY)
    agree(parts(found), expected("mean.sicily", "lag0"))
    share = 100 * england["recovery"] / england["finished_course_treatment"]
    found = stats.interrupted_mean(share, np.arange(8), 3, at=[3, 7], lag=1, **NEWEY)
    agree(parts(found), expected("mean.nhs", "plain"))


def test_means_of_a_small_trial_and_their_difference_to_a_control_agree_with_r():
    found = stats.interrupted_mean(ability("A"), np.arange(1, 9), 4, at=[6], lag=2, **NEWEY)
    agree(parts(found), expected("mean.stroke", "alone"))
    found = stats.interrupted_mean(ability("A"), np.arange(1, 9), 4, at=[6], lag=2, control=ability("C"), **NEWEY)
    agree(parts(found), expected("mean.stroke", "control"))


def test_means_with_errors_that_carry_over_agree_with_r(sicily):
    found = stats.interrupted_mean(sicily["rate"], sicily["time"], 37, at=[37, 43, 59], conf_level=0.9)
    assert found.trend.method == "segmented least squares, AR(1) errors by REML, t"
    agree(parts(found), expected("ar1.sicily"), SEARCHED)
    agree([found.dispersion, found.autocorrelation], expected("ar1.sicily", "checks"), SEARCHED)
    rows = pd.read_csv(FOLDER / "spc" / "monthly.csv")
    month = np.arange(1, len(rows) + 1)
    found = stats.interrupted_mean(rows["wait"] + 2 * np.sin((month - 13) / 3), month, 13, at=[19])
    agree(parts(found), expected("ar1.monthly"), SEARCHED)
    agree([found.dispersion, found.autocorrelation], expected("ar1.monthly", "checks"), SEARCHED)


def test_sicily_reproduces_the_published_rate_ratio(sicily, real_data):
    rows = sicily["aces"], sicily["stdpop"], sicily["time"], 37
    found = stats.interrupted_rate(*rows, at=[], variance="poisson", **LEVEL)
    agree(table(found.level)[0, :4], expected("rate.sicily", "level_only"))
    checks = json.loads((real_data("sicily_its") / "published.json").read_text())["checks"]
    printed = {check["id"]: check["published"] for check in checks}
    ratio = found.level
    shown = [f"{number[0]:.2f}" for number in (ratio.estimate, ratio.low, ratio.high)]
    assert shown == [printed["poisson.rr"], printed["poisson.rr.lower"], printed["poisson.rr.upper"]]
    assert f"{100 * (1 - ratio.estimate[0]):.0f}" == printed["pct.decrease"]


def test_rates_agree_with_r(sicily):
    rows = sicily["aces"], sicily["stdpop"], sicily["time"], 37
    at = [37, 43, 59]
    found = stats.interrupted_rate(*rows, at=at)
    agree(parts(found), expected("rate.sicily", "quasi"))
    agree([found.dispersion, found.autocorrelation], expected("rate.sicily", "checks"))
    agree(found.projection[[0, 36, 58]], expected("rate.sicily", "projection"))
    found = stats.interrupted_rate(*rows, at=at, variance="poisson", conf_level=0.9)
    agree(parts(found), expected("rate.sicily", "poisson"))
    agree(parts(stats.interrupted_rate(*rows, at=at, **SEASON)), expected("rate.sicily", "season"))
    found = stats.interrupted_rate(*rows, at=at, variance="newey_west", lag=3)
    agree(parts(found), expected("rate.sicily", "newey"))


def test_rates_of_few_years_and_against_a_control_agree_with_r(england):
    done = england["finished_course_treatment"]
    found = stats.interrupted_rate(england["deterioration"], done, np.arange(8), 3, at=[7])
    agree(parts(found), expected("rate.nhs", "quasi"))
    found = stats.interrupted_rate(england["deterioration"], done, np.arange(8), 3, at=[7],
                                   control=(england["recovery"], done))
    agree(parts(found), expected("rate.nhs", "control"))


def test_rates_of_made_up_months_agree_with_r():
    rows = pd.read_csv(FOLDER / "spc" / "monthly.csv")
    series = rows["noshow"], rows["scheduled"], np.arange(1, len(rows) + 1), 13
    agree(parts(stats.interrupted_rate(*series, at=[19])), expected("rate.monthly", "quasi"))
    found = stats.interrupted_rate(*series, at=[19], variance="newey_west", lag=2)
    agree(parts(found), expected("rate.monthly", "newey"))
    falls = rows["falls"], rows["visits"]
    found = stats.interrupted_rate(*series, at=[19], variance="newey_west", lag=2, control=falls)
    agree(parts(found), expected("rate.monthly_control", "newey"))


def test_a_level_for_each_month_of_the_year_agrees_with_r(sicily):
    options = {"at": [37, 43, 59], "season": 12, "seasonality": "dummies"}
    series = sicily["rate"], sicily["time"], 37
    agree(parts(stats.interrupted_mean(*series, lag=3, **NEWEY, **options)), expected("season.sicily", "newey"))
    agree(parts(stats.interrupted_mean(*series, **options)), expected("season.sicily", "ar1"), SEARCHED)
    found = stats.interrupted_rate(sicily["aces"], sicily["stdpop"], sicily["time"], 37, **options)
    agree(parts(found), expected("season.sicily", "quasi"))


def test_a_level_for_each_time_of_a_made_up_season_agrees_with_r():
    rows = pd.read_csv(FOLDER / "spc" / "monthly.csv")
    month, options = np.arange(1, len(rows) + 1), {"at": [19], "season": 6, "seasonality": "dummies"}
    found = stats.interrupted_mean(rows["wait"], month, 13, lag=2, **NEWEY, **options)
    agree(parts(found), expected("season.monthly", "newey"))
    found = stats.interrupted_rate(rows["noshow"], rows["scheduled"], month, 13, conf_level=0.9, **options)
    agree(parts(found), expected("season.monthly", "quasi"))


def test_all_harmonics_of_a_short_season_are_its_dummies():
    month = np.arange(30.0)
    values = 5 + 0.2 * month + np.tile([3.0, -1, 0.5], 10) + np.sin(month**2)
    waves = stats.interrupted_mean(values, month, 15, at=[20], season=3, harmonics=1, **NEWEY)
    dummies = stats.interrupted_mean(values, month, 15, at=[20], season=3, seasonality="dummies", **NEWEY)
    agree(parts(dummies), parts(waves), 1e-9)
    agree(dummies.fitted, waves.fitted, 1e-9)


@pytest.mark.parametrize(("times", "options", "message"), [
    (np.arange(12.0), {"seasonality": "months"}, "seasonality is 'months'"),
    (np.arange(12.0), {"seasonality": "dummies"}, "needs a season"),
    (np.arange(12.0), {"seasonality": "dummies", "season": 3.5}, "a whole season"),
    (np.arange(12.0), {"seasonality": "dummies", "season": 1}, "a whole season"),
    (np.arange(12.0) / 2, {"seasonality": "dummies", "season": 3}, "whole numbers apart")])
def test_senseless_seasons_are_refused(times, options, message):
    with pytest.raises(ValueError, match=message):
        stats.interrupted_mean(np.arange(12.0), times, 3.0, at=[], **options)


def test_a_season_of_more_levels_than_the_series_bears_gives_no_number():
    found = stats.interrupted_mean(np.arange(14.0) ** 2, np.arange(14.0), 7, at=[9], season=12, seasonality="dummies")
    assert notes(found) == {"needs more times than coefficients (15)"} and np.isnan(parts(found)).all()


# ---- worked out by hand

def test_the_worked_example_of_the_definitions():
    """Pre slope -0.2 a month, level change -3.0, slope change -0.1: -3.6 points six months after T0."""
    month = np.arange(-12.0, 13)
    no_shows = 20 - 0.2 * month + (month >= 0) * (-3.0 - 0.1 * month)
    found = stats.interrupted_mean(no_shows, month, 0, at=[6])
    agree([found.trend.estimate[0], found.level.estimate[0], found.slope.estimate[0]], [-0.2, -3.0, -0.1])
    agree(found.effect.estimate, [-3.6])
    assert notes(found) == {"the model fits without error: no interval"} and np.isnan(found.effect.low[0])
    agree((found.fitted - found.projection)[month == 6], [-3.6])


def test_a_control_series_takes_out_what_both_share():
    month = np.arange(24.0)
    shared, noise = 5 * np.sin(month), np.tile([0.3, -0.1, -0.2], 8)
    series = 40 + shared + noise - 4.0 * (month >= 12)
    found = stats.interrupted_mean(series, month, 12, at=[20], control=shared, **LEVEL)
    alone = stats.interrupted_mean(series - shared, month, 12, at=[20], **LEVEL)
    agree(parts(found), parts(alone))
    assert found.slope.note.tolist() == ["the stated impact has no change of slope"]


def test_the_order_of_rows_and_the_unit_of_time_do_not_matter():
    rows = pd.read_csv(FOLDER / "spc" / "monthly.csv")
    month = np.arange(len(rows))
    wanted = parts(stats.interrupted_mean(rows["wait"], month, 12, at=[18], **SEASON))
    mixed = np.random.default_rng(2).permutation(len(rows))
    found = stats.interrupted_mean(rows["wait"].to_numpy()[mixed], month[mixed], 12, at=[18], **SEASON)
    agree(parts(found), wanted)
    found = stats.interrupted_mean(rows["wait"], month * 30, 360, at=[540], season=360, harmonics=2)
    agree(parts(found)[[1, 3]], wanted[[1, 3]])
    agree(found.slope.estimate * 30, wanted[2, 0])


# ---- degenerate and senseless input

def test_series_that_do_not_determine_the_model_say_so():
    month = np.arange(6.0)
    for change in (2, 4):
        short = stats.interrupted_mean(month**2, month, change, at=[5])
        assert notes(short) == {"needs three times before the change and three from it on"}
        assert np.isnan(parts(short)).all() and np.isnan(short.fitted).all()
    few = stats.interrupted_mean(month**2, month, 3, at=[5], **SEASON)
    assert notes(few) == {"needs more times than coefficients (8)"}
    flat = stats.interrupted_mean(np.full(6, 3.0), month, 3, at=[5])
    assert notes(flat) == {"the model fits without error: no interval"}
    never = stats.interrupted_rate(np.array([4, 2, 5, 0, 0, 0]), np.full(6, 50), month, 3, at=[5])
    assert notes(never) == {"no event before or after the change: no finite ratio"} and np.isnan(parts(never)).all()
    aliased = stats.interrupted_mean(np.arange(20.0) ** 2, 6 * np.arange(20.0), 60, at=[60], season=12, harmonics=1)
    assert notes(aliased) == {"the times do not determine trend, change and season"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": [1, 2, 2, 4, 5, 6]}, "occurs twice"),
        ({"time": [1, 2, 3]}, "time has 3"),
        ({"outcome": [1, 2, np.nan, 4, 5, 6]}, "missing or infinite"),
        ({"change": 1}, "before it"),
        ({"change": 9}, "before it"),
        ({"at": [3]}, "from the change"),
        ({"at": [7]}, "from the change"),
        ({"impact": "slope"}, "impact"),
        ({"season": 4}, "harmonics"),
        ({"lag": 6, **NEWEY}, "lag"),
        ({"lag": -1, **NEWEY}, "lag"),
        ({"errors": "arma"}, "errors"),
        ({"lag": 2}, "newey_west"),
        ({"control": [1, 2]}, "control has 2"),
        ({"conf_level": 95}, "conf_level"),
    ],
)
def test_senseless_series_are_refused(options, message):
    given_ = {"outcome": [3, 1, 2, 5, 4, 6], "time": [1, 2, 3, 4, 5, 6], "change": 4, "at": [5], **options}
    with pytest.raises(ValueError, match=message):
        stats.interrupted_mean(**{name: np.array(value, dtype=float) if name in ("outcome", "time") else value
                                  for name, value in given_.items()})


def test_senseless_rates_are_refused():
    month, ones = np.arange(8.0), np.ones(8)
    with pytest.raises(ValueError, match="exposure above 0"):
        stats.interrupted_rate(ones, ones * 0, month, 4, at=[4])
    with pytest.raises(ValueError, match="exposure above 0"):
        stats.interrupted_rate(ones, ones, month, 4, at=[4], control=(ones[:3], ones[:3]))
    with pytest.raises(ValueError, match="variance"):
        stats.interrupted_rate(ones, ones, month, 4, at=[4], variance="robust")
    with pytest.raises(ValueError, match="newey_west"):
        stats.interrupted_rate(ones, ones, month, 4, at=[4], lag=2)
    with pytest.raises(ValueError, match="whole numbers"):
        stats.interrupted_rate(ones / 2, ones, month, 4, at=[4])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), min_size=2, max_size=16), st.data())
def test_any_series_gives_numbers_or_a_reason(rows, data):
    events, exposure = np.array(rows, dtype=float).T
    time = np.arange(len(rows))
    change = data.draw(st.integers(1, len(rows) - 1))
    options = {"at": [change, len(rows) - 1], "impact": data.draw(st.sampled_from(["level", "level and slope"]))}
    variance = data.draw(st.sampled_from(["poisson", "quasi_poisson", "newey_west"]))
    for found in (stats.interrupted_mean(events, time, change, lag=1, **NEWEY, **options),
                  stats.interrupted_mean(events, time, change, **options),
                  stats.interrupted_rate(events, exposure, time, change, variance=variance, **options)):
        for part in (found.trend, found.level, found.slope, found.effect):
            numbers = np.column_stack([part.estimate, part.low, part.high, part.p_value])
            assert (~np.isnan(numbers).any(axis=1) == np.isin(part.note.astype(str), ("", SHORT))).all()
