"""What would change a pilot's verdict: tipping points and progression criteria, against hand calculations."""

import math

import numpy as np
import pytest

from therapyeval import stats
from therapyeval.errors import DataError
from therapyeval.formatting import WITHHELD
from therapyeval.pilot.progression import Criterion, decision, progression
from therapyeval.pilot.protocol import read_protocol
from therapyeval.pilot.sensitivity import more_responders, shift_needed, tipping_points
from therapyeval.result import Result, Source, make_frame

PAIRS = {"new - usual": ("new", "usual")}


def table(rows):
    return Result(make_frame([{"arm": None, "n_excluded": 0, **row} for row in rows], ["arm"]), "t", Source("f" * 64),
                  policy="public")


def flow(n_with, n_lost, **steps):
    rows = [{"metric": "with_outcome:odi", "arm": "new", "n": n_with, "n_missing": n_lost},
            {"metric": "with_outcome:odi", "n": n_with, "n_missing": n_lost}]
    return table(rows + [{"metric": name, "n": n, "n_missing": 0} for name, n in steps.items()])


def effect(low, high):
    return table([{"metric": "score_change:odi", "contrast": "new - usual", "statistic": "difference",
                   "estimate": (low + high) / 2, "conf_low": low, "conf_high": high, "unit": "points"}])


def found(low, high, n_with=30, n_lost=10, mcid=10.0):
    rows = tipping_points(effect(low, high), flow(n_with, n_lost), None, PAIRS, {"odi": mcid}).frame
    return dict(zip(rows["level"], rows["estimate"], strict=True))


def test_shifting_the_missing_by_the_tipping_point_brings_the_mean_difference_to_it():
    rng = np.random.default_rng(1)
    observed, lost, other = rng.normal(8, 4, 30), 10, rng.normal(3, 4, 40)
    difference = observed.mean() - other.mean()
    delta = shift_needed(difference, 0.0, lost / 40)
    everybody = np.r_[observed, np.full(lost, observed.mean() + delta)]
    assert everybody.mean() - other.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("low", "high", "expected"), [
    (2, 6, {"interval reaches 0": -8, "interval reaches one MCID": 16}),      # 2 / 0.25, (10 - 6) / 0.25
    (12, 20, {"interval reaches 0": -48, "interval reaches one MCID": -8}),   # wholly beyond the MCID
    (-1, 4, {"interval excludes 0": 4, "interval reaches one MCID": 24}),
    (-6, -2, {"interval reaches 0": 8, "interval reaches one MCID": -16}),    # worse: the MCID the other way
    (-3, 12, {"interval excludes 0": 12}),
])
def test_the_limit_that_is_nearest_tips_first(low, high, expected):
    assert found(low, high) == pytest.approx(expected)


def test_nobody_missing_changes_nothing():
    assert tipping_points(effect(2, 6), flow(40, 0), None, PAIRS, {"odi": 10.0}) is None


def test_without_an_mcid_only_zero_can_be_reached():
    assert list(found(2, 6, mcid=None)) == ["interval reaches 0"]


def test_what_release_hid_stays_hidden():
    hidden = tipping_points(effect(2, 6), flow(30, None), None, PAIRS, {"odi": 10.0}).frame
    assert hidden["estimate"].isna().all() and hidden["note"].tolist() == [WITHHELD]
    assert hidden["n"].isna().all() and hidden["n_missing"].isna().all()


def responders(k_new, n_new, k_usual, n_usual):
    shared = {"metric": "mcid_rate:odi", "statistic": "proportion", "estimand": "missing_not_achieved"}
    return table([{**shared, "arm": "new", "numerator": k_new, "denominator": n_new},
                  {**shared, "arm": "usual", "numerator": k_usual, "denominator": n_usual}])


@pytest.mark.parametrize(("k", "n"), [((68, 47), (128, 117)), ((33, 10), (50, 51)), ((5, 33), (50, 50)),
                                      ((20, 0), (20, 20))])
def test_one_responder_fewer_than_the_tipping_point_is_not_enough(k, n):
    extra, worse = more_responders(k, n), int(k[0] / n[0] > k[1] / n[1])

    def interval(more):
        counted = np.array(k)
        counted[worse] += more
        difference = stats.risk_difference(counted, np.array(n), [(0, 1)])
        return difference.low[0], difference.high[0]

    low, high = interval(extra)
    assert low <= 0 <= high
    low, high = interval(extra - 1)
    assert low > 0 or high < 0


def test_responders_are_added_to_the_group_that_did_worse():
    rows = tipping_points(effect(2, 6), flow(40, 0), responders(68, 128, 47, 117), PAIRS, {"odi": 10.0}).frame
    assert rows[["arm", "unit", "n"]].values.tolist() == [["usual", "people", 117]]


def test_an_interval_that_holds_zero_needs_no_tipping_point():
    assert tipping_points(effect(2, 6), flow(40, 0), responders(5, 20, 5, 20), PAIRS, {"odi": None}) is None


def test_retention_41_of_50_is_green_and_no_part_of_its_interval_is_red():
    """Worked example of the pilot requirements, section 4: 82%, Wilson 69.2 to 90.2%."""
    rule = Criterion("retention", green=0.80, red=0.65)
    row = progression((rule,), flow(41, 9, allocated=50), "odi").frame.iloc[0]
    assert (row["numerator"], row["denominator"], row["level"]) == (41, 50, "green")
    assert [round(100 * row[name], 1) for name in ("estimate", "conf_low", "conf_high")] == [82.0, 69.2, 90.2]
    assert row["note"] == "no part of the interval is red"


def test_indicators_are_worked_out_from_the_flow():
    rules = tuple(Criterion(name, 0.5, 0.1) for name in ("eligibility", "consent", "retention"))
    rows = progression(rules, flow(60, 20, screened=200, not_eligible=80, allocated=80, declined=40), "odi").frame
    assert rows[["numerator", "denominator"]].values.tolist() == [[120, 200], [80, 120], [60, 80]]


@pytest.mark.parametrize("hidden", ["screened", "not_eligible"])
def test_an_indicator_with_a_hidden_count_is_withheld_and_decides_nothing(hidden):
    steps = {"screened": 200, "not_eligible": 80, hidden: None}
    row = progression((Criterion("eligibility", 0.5, 0.1),), flow(60, 20, **steps), "odi").frame.iloc[0]
    assert math.isnan(row["estimate"]) and row["note"] == WITHHELD and row["level"] == ""
    assert decision([row["level"]]) == "cannot be told"


PLAN = """version: 1
title: A pilot
design: {kind: parallel, randomized: no, period: PERIOD}
arms: {new: New, usual: Usual}
reference: usual
outcomes: [score_change:odi]
progression:
  RULE
"""


def plan(tmp_path, rule="retention: {green: 0.8, red: 0.65}", period="2026-01-05..2026-07-31"):
    path = tmp_path / "pilot.yml"
    path.write_text(PLAN.replace("RULE", rule).replace("PERIOD", period), encoding="utf-8")
    return path


def test_the_protocol_states_its_criteria(tmp_path):
    assert read_protocol(plan(tmp_path)).progression == (Criterion("retention", 0.8, 0.65),)


@pytest.mark.parametrize(("rule", "words"), [
    ("retention: {green: 0.5, red: 0.65}", "line 8: write `retention: {green"),
    ("retention: {green: 80%, red: 0.65}", "line 8: write `retention: {green"),
    ("retentoin: {green: 0.8, red: 0.65}", "Did you mean retention"),
])
def test_a_slip_in_a_criterion_names_its_line(tmp_path, rule, words):
    with pytest.raises(DataError, match="pilot.yml") as error:
        read_protocol(plan(tmp_path, rule))
    assert words in str(error.value)


def test_a_period_that_does_not_exist_names_its_line(tmp_path):
    with pytest.raises(DataError, match="pilot.yml, line 3"):
        read_protocol(plan(tmp_path, period="2026-13"))
