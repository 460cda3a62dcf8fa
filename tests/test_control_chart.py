"""The XmR chart: limits against R, each rule on series in sight, and the way from facts to signals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import row
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

import therapyeval as te
from therapyeval.benchmark.control_chart import (
    RULE_SETS,
    RULES,
    Limits,
    chart_points,
    control_chart,
    directions,
    signals,
    xmr,
)
from therapyeval.disclosure import release
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.result import Result, Source, make_frame

REFERENCE = Path(__file__).parent / "reference" / "spc"
QICHARTS2 = json.loads((REFERENCE / "expected.json").read_text(encoding="utf-8"))
PLOT_THE_DOTS = json.loads((REFERENCE / "plot_the_dots.json").read_text(encoding="utf-8"))
HARBOR = Path(__file__).resolve().parent.parent / "data_samples" / "harbor_rehab"
TRUTH = json.loads((HARBOR / "truth.json").read_text(encoding="utf-8"))
ARRIVALS = [82, 80, 85, 79, 83, 81, 84, 80, 78, 82, 81, 83]
GAP = float("nan")
NINE = Limits(mean=0, lower=-9, upper=9, mean_range=3, n_points=12, n_missing=0, n_ranges=11, n_outlying=0)


def flagged(rule, values, limits=NINE):
    """Positions that a rule flags; by default the mean is 0, the limits -9 and 9, two thirds of the way 6."""
    return np.flatnonzero(signals(np.array(values, dtype=float), limits)[rule]).tolist()


def points(values, **cells):
    months = pd.period_range("2024-01", periods=len(values), freq="M").astype("str")
    rows = [{"period": month, "metric": "arrival_rate", "statistic": "ratio", "estimate": value, "n": 40,
             "n_people": 30, "unit": "percent", **cells} for month, value in zip(months, values, strict=True)]
    return Result(make_frame(pd.DataFrame(rows), ["period"]), "Arrival rate", Source("abc", "appointments"))


def limits_of(chart):
    return chart.limits.frame.set_index("statistic")["estimate"].to_dict()


def told(chart):
    return list(chart.signals.frame[["period", "level", "note"]].itertuples(index=False, name=None))


# ---- limits

def test_the_worked_example_has_limits_73_and_90():
    found = xmr(np.array(ARRIVALS))
    assert (found.mean, round(found.mean_range, 2)) == (81.5, 3.18)
    assert (round(found.lower, 1), round(found.upper, 1)) == (73.0, 90.0)
    assert (found.n_points, found.n_ranges, found.n_outlying) == (12, 11, 0)


@pytest.mark.parametrize(("case", "months"), [
    ("i", slice(0, 24)), ("i_freeze10", slice(0, 10)), ("i_part14", slice(0, 14)), ("i_part14", slice(14, 24))])
def test_limits_agree_with_qicharts2_under_its_own_constant(case, months):
    wait = pd.read_csv(REFERENCE / "monthly.csv")["wait"].to_numpy()
    found = xmr(wait[months], constant=RULE_SETS["qicharts2"])
    for name, value in (("cl", found.mean), ("lcl", found.lower), ("ucl", found.upper)):
        assert QICHARTS2[case][name][months] == approx([value] * len(wait[months]), abs=1e-6)


@pytest.mark.parametrize("case", ["i", "i_freeze10"])
def test_points_outside_limits_agree_with_qicharts2(case):
    wait = pd.read_csv(REFERENCE / "monthly.csv")["wait"].to_numpy()
    base = xmr(wait if case == "i" else wait[:10], constant=RULE_SETS["qicharts2"])
    assert signals(wait, base)["outside_limit"].tolist() == QICHARTS2[case]["signal_limits"]
    assert case == "i" or any(QICHARTS2[case]["signal_limits"])


@pytest.mark.parametrize("case", PLOT_THE_DOTS["cases"], ids=lambda case: case["call"])
def test_limits_agree_with_nhs_plot_the_dots_with_and_without_screening(case):
    values = np.array(PLOT_THE_DOTS["values"])
    for place, value in case["change"].items():
        values[int(place) - 1] = value
    found = xmr(values, screen_outliers=case["screen_outliers"])
    assert (found.mean, found.lower, found.upper) == approx((case["mean"], case["lpl"], case["upl"]), rel=1e-6)


def test_moving_ranges_of_3_267_times_their_mean_are_left_out_once():
    values = np.array([1.0, 2, 1, 2, 1, 2, 62, 61, 62, 61, 53, 52, 53])  # ranges: ten of 1, one of 8, one of 60
    found = xmr(values)  # 60 >= 3.267 * 6.5; then 8 >= 3.267 * 1.64 too, but that is not asked again
    assert (found.mean_range, found.n_ranges, found.n_outlying) == (approx(18 / 11), 11, 1)
    assert xmr(values, screen_outliers=False).mean_range == 6.5


def test_no_moving_range_is_taken_across_a_gap():
    found = xmr(np.array([1.0, 2, GAP, 50, 51, GAP, 3, 4]))
    assert (found.mean_range, found.n_ranges, found.n_points, found.n_missing) == (1.0, 3, 6, 2)
    assert found.mean == approx(111 / 6)


@pytest.mark.parametrize(("values", "why"), [
    ([], "no unit has a value"), ([GAP, GAP], "no unit has a value"),
    ([1, GAP, 2, GAP, 3], "no limits: no two periods in a row have a value"),
    ([0.1] * 13, "no limits: no moving range"),
    ([0] * 6 + [12] + [0] * 6, "no limits: no moving range")])
def test_without_a_moving_range_above_zero_there_are_no_limits_and_no_signals(values, why):
    found = xmr(np.array(values, dtype=float))
    assert np.isnan([found.lower, found.upper, found.mean_range]).all() and found.note.startswith(why)
    assert not any(flags.any() for flags in signals(np.array(values, dtype=float), found).values())


@pytest.mark.parametrize("values", [[1, float("inf")], [[1, 2], [3, 4]]])
def test_values_that_cannot_be_charted_are_refused(values):
    with pytest.raises(ValueError, match="finite"):
        xmr(np.array(values, dtype=float))


# ---- rules (mean 0, limits -9 and 9, two thirds of the way: 6)

def test_outside_is_strictly_beyond_either_limit():
    assert flagged("outside_limit", [9, 9.01, -9, -9.01, 0, GAP, 30]) == [1, 3, 6]


@pytest.mark.parametrize(("values", "expected"), [
    ([1] * 6, []),
    ([1] * 7, [0, 1, 2, 3, 4, 5, 6]),
    ([-1, 1, 2, 1, 2, 1, 2, 1, 5, -1], [1, 2, 3, 4, 5, 6, 7, 8]),
    ([-1] * 7 + [1] * 7, list(range(14))),
    ([1, 1, 1, 1, 0, 1, 1, 1, 1], []),
    ([1, 1, 1, 1, 1, 1, 0], []),
    ([0] * 8, []),
    ([1, 1, 1, GAP, 1, 1, 1, GAP, GAP, 1], [0, 1, 2, 4, 5, 6, 9]),
])
def test_shift_is_7_on_one_side_and_a_point_on_the_mean_ends_it(values, expected):
    assert flagged("shift", values) == expected


def test_a_point_on_the_mean_but_for_rounding_ends_a_shift():
    almost = 0.1 + 0.2
    assert almost > 0.3
    assert flagged("shift", [0.4] * 4 + [almost] + [0.4] * 4, Limits(0.3, 0, 0.6, 0.1, 9, 0, 8, 0)) == []


@pytest.mark.parametrize(("values", "expected"), [
    ([1, 2, 3, 4, 5, 6], []),
    ([1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6]),
    ([2, 7, 6, 5, 4, 3, 2, 1, 3], [1, 2, 3, 4, 5, 6, 7]),
    ([1, 2, 3, 3, 4, 5, 6, 7], []),
    ([-3, -2, -1, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]),
    ([1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1], list(range(13))),
    ([1, 2, 3, 4, GAP, 5, 6, 7], [0, 1, 2, 3, 5, 6, 7]),
    ([1, 2, 3, 4, 5, 4, 5, 6, 7, 8], []),
])
def test_trend_is_6_steps_one_way_and_a_tie_ends_it(values, expected):
    assert flagged("trend", values) == expected


@pytest.mark.parametrize(("values", "expected"), [
    ([7, 7, 1], [0, 1]),
    ([7, 1, 7], [0, 2]),
    ([1, -7, -8, -1], [1, 2]),
    ([7, -1, 7], []),
    ([7, 0, 7], []),
    ([7, -7, 1], []),
    ([6, 6, 1], []),
    ([7, 1, 1, 7], []),
    ([7, 7], []),
    ([7, 10, 1], []),
    ([7, 10, 7], [0, 2]),
    ([9, 9, 1], [0, 1]),
    ([7, GAP, 1, 7], [0, 3]),
    ([7, 1, 7, -1, 7, 7], [0, 2]),
])
def test_two_of_three_are_near_one_limit_not_outside_and_only_they_are_flagged(values, expected):
    assert flagged("two_of_three", values) == expected


def test_two_near_limits_on_opposite_sides_are_common_cause_as_in_plot_the_dots():
    """The series of NHSRplotthedots' own test for this."""
    values = [1, -1] * 7 + [5.5, -5.5]
    chart = chart_points(points(values), better="higher")
    assert not (chart.signals.frame["period"] >= "2025-03").any() and chart.variation == "common_cause"


series = st.lists(st.one_of(st.integers(-11, 11), st.just(GAP)), max_size=40)


@given(series)
def test_the_rules_flag_what_their_definition_says(values):
    """The definitions once more, window by window."""
    used = [(place, value) for place, value in enumerate(values) if value == value]
    expected = {rule: set() for rule in RULES}
    for place, value in used:
        if abs(value) > 9:
            expected["outside_limit"].add(place)
    for first in range(len(used)):
        seven, three = used[first:first + 7], used[first:first + 3]
        steps = [after[1] - before[1] for before, after in zip(seven, seven[1:], strict=False)]
        for rule, of in (("shift", [value for _, value in seven]), ("trend", steps)):
            if len(seven) == 7 and (min(of) > 0 or max(of) < 0):
                expected[rule] |= {place for place, _ in seven}
        if len(three) == 3 and (min(v for _, v in three) > 0 or max(v for _, v in three) < 0):
            near = {place for place, value in three if 6 < abs(value) <= 9}
            expected["two_of_three"] |= near if len(near) >= 2 else set()
    assert {rule: set(flagged(rule, values)) for rule in RULES} == expected


long_series = st.lists(st.integers(-40, 40), min_size=12, max_size=40).map(np.array)


@given(long_series, st.integers(-30, 30), st.sampled_from([0.25, 2, 10]), st.booleans())
def test_a_series_moved_and_stretched_moves_and_stretches_its_limits(values, shift, scale, screen):
    one = xmr(values.astype(float), screen_outliers=screen)
    two = xmr(values * scale + shift, screen_outliers=screen)
    lines = np.array([one.mean, one.lower, one.upper]) * scale + shift
    np.testing.assert_allclose([two.mean, two.lower, two.upper], lines, rtol=1e-9, atol=1e-9)
    flags, same = signals(values, one), signals(values * scale + shift, two)
    assert all((flags[rule] == same[rule]).all() for rule in RULES)


@given(long_series)
def test_a_series_upside_down_has_the_same_signals_and_the_opposite_meaning(values):
    up, down = xmr(values), xmr(-values)
    assert all((signals(values, up)[rule] == signals(-values, down)[rule]).all() for rule in RULES)
    assert (directions(values, up, "higher") == directions(-values, down, "lower")).all()


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(-40, 40), st.just(GAP)), min_size=12, max_size=40))
def test_signals_come_by_period_and_then_by_rule(values):
    order = [(period, RULES.index(rule)) for period, rule, _ in told(chart_points(points(values), better="lower"))]
    assert order == sorted(set(order))


# ---- words

RISING = [5, 3, 5, 3, 5, 3, 5, 3, 1, 2, 3, 4, 5, 6, 7]  # mean 4, mean range 1.79: limits -0.8 and 8.8


@pytest.mark.parametrize(("better", "words", "icon"), [
    ("higher", ["concern"] * 3 + ["neutral"] + ["improvement"] * 3, "improvement_high"),
    ("lower", ["improvement"] * 3 + ["neutral"] + ["concern"] * 3, "concern_high"),
    ("neither", ["neutral"] * 7, "neutral_high")])
def test_the_side_of_the_mean_says_improvement_or_concern_not_the_way_a_trend_goes(better, words, icon):
    chart = chart_points(points(RISING), better=better)
    assert limits_of(chart)["mean"] == 4
    trend = chart.signals.frame.query("level == 'trend'")
    assert trend["estimate"].tolist() == [1, 2, 3, 4, 5, 6, 7] and trend["note"].tolist() == words
    assert chart.variation == icon


@pytest.mark.parametrize(("better", "icon"), [
    ("higher", "concern_low"), ("lower", "improvement_low"), ("neither", "neutral_low")])
def test_the_icon_is_about_the_last_point_with_a_value(better, icon):
    assert chart_points(points([*ARRIVALS, 60, GAP]), better=better).variation == icon
    assert chart_points(points([60, *ARRIVALS]), better=better).variation == "common_cause"


@pytest.mark.parametrize(("target", "higher", "lower"), [
    (70, "pass", "fail"), (95, "fail", "pass"), (80, "inconsistent", "inconsistent"), (None, "none", "none")])
def test_assurance_asks_whether_the_whole_band_is_on_one_side_of_the_target(target, higher, lower):
    for better, expected in (("higher", higher), ("lower", lower), ("neither", "none")):
        assert chart_points(points(ARRIVALS), better=better, target=target).assurance == expected


def test_a_target_on_a_limit_is_not_passed():
    upper = xmr(np.array(ARRIVALS)).upper
    assert chart_points(points(ARRIVALS), better="higher", target=upper).assurance == "inconsistent"


# ---- the bundle

def test_limits_are_results_whose_units_are_periods():
    chart = chart_points(points([*ARRIVALS[:6], GAP, *ARRIVALS[6:]]), better="higher")
    mean, width = row(chart.limits, statistic="mean"), row(chart.limits, statistic="mean_moving_range")
    assert (mean["estimate"], mean["n"], mean["n_missing"], mean["unit"]) == (81.5, 12, 1, "percent")
    assert (width["estimate"], width["n"], width["n_excluded"]) == (approx(3.2), 10, 0)
    assert row(chart.limits, statistic="lower_limit")["estimate"] == approx(81.5 - 2.66 * 3.2)
    assert chart.limits.source.population == "periods" and chart.limits.people is None
    assert "2.66" in mean["method"]
    assert limits_of(chart_points(points(ARRIVALS), better="higher", rules="qicharts2"))["upper_limit"] == approx(
        81.5 + 3 / 1.128 * 35 / 11)


def test_fewer_than_12_points_have_a_mean_but_no_limits_no_signals_and_no_icons():
    chart = chart_points(points([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, GAP]), better="higher", target=0)
    assert limits_of(chart) == approx({"mean": 6, "mean_moving_range": GAP, "lower_limit": GAP, "upper_limit": GAP},
                                      nan_ok=True)
    assert set(chart.limits.frame["note"]) == {"insufficient: fewer than 12 points"}
    assert chart.signals.frame.empty and (chart.variation, chart.assurance) == ("none", "none")
    assert "insufficient" in chart.to_text() and "insufficient" in chart._repr_html_()


def test_limits_are_not_clipped_at_0_or_1():
    values = [0.02, 0.15, 0.01, 0.16, 0.02, 0.14, 0.01, 0.15, 0.02, 0.16, 0.01, 0.15]
    assert limits_of(chart_points(points(values), better="lower"))["lower_limit"] < 0


def test_points_withheld_at_release_are_skipped_and_cannot_be_worked_out_from_the_limits():
    raw = points([0.8, 0.9] * 8, n=200, n_people=150, denominator=200, unit="proportion")
    frame = raw.frame.assign(numerator=(raw.frame["estimate"] * 200).round().astype("Int64"))
    frame.loc[3, ["estimate", "numerator", "denominator", "n", "n_people"]] = [1 / 8, 1, 8, 8, 8]
    first = chart_points(Result(frame, raw.title, raw.source), better="higher")
    assert ("2024-04", "outside_limit", "concern") in told(first)
    released = te.release([first.points], "cms_11")[0]
    chart = first.with_points(released)
    shown = chart.points.frame["estimate"].dropna()
    assert 12 <= len(shown) < 16 and limits_of(chart)["mean"] == approx(shown.mean())
    assert "2024-04" not in set(chart.signals.frame["period"])
    assert {part.policy for part in (chart.points, chart.limits, chart.signals)} == {"cms_11"}


def test_bad_arguments_say_what_to_do(cohort_from):
    with pytest.raises(UnknownNameError, match="making_data_count"):
        chart_points(points(ARRIVALS), better="higher", rules="making_data")
    with pytest.raises(UnknownNameError, match="higher"):
        chart_points(points(ARRIVALS), better="high")
    with pytest.raises(ParameterError, match="0.75 for 75%"):
        chart_points(points(ARRIVALS, unit="proportion"), better="higher", target=75)
    for target in ("0.9", True, GAP):
        with pytest.raises(ParameterError, match="not a number"):
            chart_points(points(ARRIVALS), better="higher", target=target)
    twice = points(ARRIVALS).concat(points(ARRIVALS))
    with pytest.raises(ParameterError, match="one row for each period"):
        chart_points(twice, better="higher")
    for every in ("quarter", "year", None, "day"):
        with pytest.raises(ParameterError, match="months or weeks"):
            control_chart(cohort_from(episodes="episode\ne1"), "visits_per_episode", every=every)


# ---- from facts

def episodes_by_month(months, **columns):
    """Two episodes that end in each month; columns give a value per month."""
    rows = ["episode end_date start_date " + " ".join(columns)]
    for number, month in enumerate(months):
        cells = " ".join(str(values[number]) for values in columns.values())
        rows += [f"e{number}{part} {month}-{part} 2024-01-01 {cells}" for part in (10, 20)]
    return "\n".join(rows)


MONTHS = [f"2025-{month:02d}" for month in range(1, 13)] + ["2026-01", "2026-02"]


def test_a_month_without_data_is_a_row_with_counts_of_zero_and_is_skipped(cohort_from):
    months, visits = MONTHS[:4] + MONTHS[5:], [8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 10]
    cohort = cohort_from(episodes=episodes_by_month(months, n_attended=visits), has_calendar=True)
    chart = control_chart(cohort, "visits_per_episode")
    assert chart.points.frame["period"].tolist() == MONTHS
    assert set(chart.points.frame["statistic"]) == {"mean"}
    empty = row(chart.points, period="2025-05")
    assert np.isnan(empty["estimate"]) and np.isnan(empty["conf_low"]) and empty["note"] == "no unit has a value"
    assert (empty["n"], empty["n_missing"], empty["n_excluded"], empty["n_people"]) == (0, 0, 0, 0)
    assert chart.points.people.iloc[4].fillna(-1).tolist() == [-1, -1, 0, 0]
    assert row(chart.points, period="2025-06")["estimate"] == 8
    assert row(chart.limits, statistic="mean_moving_range")[["estimate", "n"]].tolist() == [1, 11]
    assert (chart.better, chart.variation) == ("neither", "common_cause")


def test_weeks_across_a_new_year_are_filled_too(cohort_from):
    days = ["2025-12-22", "2025-12-29", "2026-01-12"]
    rows = "episode end_date start_date n_attended\n" + "\n".join(f"e{day} {day} 2025-11-01 5" for day in days)
    chart = control_chart(cohort_from(episodes=rows, has_calendar=True), "visits_per_episode", every="week")
    assert chart.points.frame["period"].tolist() == ["2025-W52", "2026-W01", "2026-W02", "2026-W03"]
    assert chart.points.frame["n"].tolist() == [1, 1, 0, 1]


def test_responder_rates_count_missing_as_not_achieved(cohort_from):
    scores = ["episode measure baseline final"]
    for number in range(len(MONTHS)):
        scores += [f"e{number}10 tug 20.0 10.0", f"e{number}20 tug 20.0 -"]
    cohort = cohort_from(episodes=episodes_by_month(MONTHS, n_attended=[9] * 14), scores="\n".join(scores),
                         has_calendar=True)
    chart = control_chart(cohort, "mcid_rate:tug,threshold=3")
    assert set(chart.points.frame["estimand"]) == {"missing_not_achieved"}
    assert chart.points.frame["estimate"].tolist() == [0.5] * 14
    assert row(chart.limits, statistic="lower_limit")["note"].startswith("no limits")


@pytest.mark.parametrize("metric", ["census", "wait_list", "dropout_by_visit", "cost_per_responder,cost_per_visit=9",
                                    "disposition_mix", "jt_class:lefs", "payer_mix", "active_census"])
def test_what_has_no_one_number_per_period_is_refused(cohort_from, metric):
    with pytest.raises(NotEvaluableError, match="no control chart"):
        control_chart(cohort_from(episodes=episodes_by_month(["2025-01"], n_attended=[9]), has_calendar=True), metric)


def test_a_cohort_without_any_unit_is_insufficient(cohort_from):
    rows = episodes_by_month(["2025-01"], n_attended=[9])
    chart = control_chart(cohort_from(episodes=rows, has_calendar=True), "visits_per_episode", period="2024")
    assert chart.points.frame.empty and chart.signals.frame.empty
    assert set(chart.limits.frame["note"]) == {"insufficient: fewer than 12 points"}


def test_text_reminders_at_east_show_as_improvement_and_nowhere_before():
    planted = TRUTH["put_in"]["no_show_change"]
    assert (planted["site_id"], planted["from"]) == ("east", "2026-02-02")
    dataset = te.read_dataset(HARBOR)
    chart = control_chart(dataset.cohort(site_id="east"), "no_show_rate", target=0.2)
    assert len(chart.points.frame) == 27 and chart.points.frame["estimate"].between(0, 1).all()
    improved = chart.signals.frame.query("note == 'improvement'")
    assert improved["period"].min() == "2026-02"
    shift = improved.query("level == 'shift'")["period"].tolist()
    assert shift == [f"2026-{month:02d}" for month in range(2, 10)]
    assert (chart.variation, chart.assurance) == ("improvement_low", "pass")
    before = control_chart(dataset.cohort(site_id="east"), "no_show_rate", period="2024-07-01..2026-01-31")
    assert before.signals.frame.empty and before.variation == "common_cause"


def test_limits_are_not_released_beside_their_points_because_the_mean_would_give_a_withheld_one_away():
    chart = chart_points(points(RISING), better="lower")
    with pytest.raises(ParameterError, match=r"chart\.with_points\(released\)"):
        release([chart.points, chart.limits], "cms_11")
