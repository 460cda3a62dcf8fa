"""Planning a study with the program's own spread, shares and clustering: against R's power functions and by hand."""

from __future__ import annotations

from functools import cache
from math import ceil

import numpy as np
import pytest
from conftest import ROOT
from pytest import approx

import therapyeval as te
from therapyeval.analysis.sizes import CAUTIOUS
from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.result import STATISTICS

STROKE = "score_change:barthel_100"


@cache
def stroke():
    return te.read_dataset(ROOT / "data_samples" / "stroke_recovery").cohort()


def number(result, statistic, level=""):
    """The estimate of the one row."""
    frame = result.to_frame()
    found = frame.loc[(frame["statistic"] == statistic) & (frame["level"] == level), "estimate"]
    assert len(found) == 1, frame[["statistic", "level"]]
    return found.iloc[0]


def clustered(cohort_from, sites):
    """Episodes whose ODI fell by these points, in sites."""
    rows = [(site, fall) for site, falls in sites.items() for fall in falls]
    episodes = "episode site_id\n" + "\n".join(f"e{i} {site}" for i, (site, _) in enumerate(rows))
    scores = "episode measure baseline final\n" + "\n".join(f"e{i} odi 80 {80 - fall}"
                                                           for i, (_, fall) in enumerate(rows))
    return cohort_from(episodes=episodes, scores=scores)


def test_sizes_of_a_mean_are_those_of_r():
    """power.t.test(delta = 10, sd, power = 0.8, strict = TRUE): n 70.92 with the SD 21.1094 of 24 patients, and 94.58
    with its upper limit sd * sqrt(23 / qchisq(0.2, 23)); with 12 per group power 0.1988, detectable 25.264."""
    found = te.sample_size(stroke(), STROKE, difference=10, per_group=12)
    assert number(found, "sd") == approx(21.109402740437, rel=1e-12)
    assert number(found, "sd", CAUTIOUS) == approx(24.4200229970911, rel=1e-12)
    assert (number(found, "n_per_group"), number(found, "n_per_group", CAUTIOUS)) == (71, 95)
    assert number(found, "power") == approx(0.198790506259421, rel=1e-9)
    assert number(found, "detectable_difference") == approx(25.2639845531938, rel=1e-4)     # R stops its search early
    assert set(found.frame["statistic"]) <= set(STATISTICS)
    assert set(found.frame["n"]) == {24}


def test_sizes_of_a_share_are_those_of_r(cohort_from):
    """power.prop.test(p1 = 0.5, p2 = 0.65, power = 0.8, strict = TRUE): n 169.31."""
    cohort = clustered(cohort_from, {"a": [30, 30, 30, 0, 0, 0]})      # half of them reach the MCID of 10 points
    found = te.sample_size(cohort, "mcid_rate:odi", difference=0.15, per_group=100)
    assert number(found, "proportion") == 0.5 and number(found, "n_per_group") == 170
    assert number(found, "power") == approx(te.stats.power_proportions(100, 100, 0.5, 0.65))
    assert number(found, "detectable_difference") == approx(0.1932, abs=1e-4)       # stats: 0.6932 against 0.5
    assert number(found, "pilot_n_per_group", "for a stable share") == 60
    assert number(found, "pilot_n_per_group", "for a share within 0.10") == ceil(1.959964**2 * 0.25 / 0.01)
    assert number(found, "pilot_n_per_group", "9% of the main study") == ceil(0.09 * 170)


@pytest.mark.parametrize(("difference", "n"), [(25, 10), (10, 15), (4, 25), (1, 75)])
def test_pilots_by_the_size_of_the_effect(difference, n):
    """In SDs of 21.1: 1.18, 0.47, 0.19, 0.05."""
    found = te.sample_size(stroke(), STROKE, difference=difference)
    assert number(found, "pilot_n_per_group", "by the size of the effect") == n
    assert number(found, "pilot_n_per_group", "for a stable SD") == 35


def test_clusters_cost_units_by_hand(cohort_from):
    """Sites with falls 1, 3 and 5, 7 and 9, 11: mean squares 32 between and 2 within, so ICC (32 - 2) / (32 + 2) =
    15/17; two units per site: design effect 1 + 15/17. SD of the six values: sqrt(14)."""
    cohort = clustered(cohort_from, {"a": [1, 3], "b": [5, 7], "c": [9, 11]})
    found = te.sample_size(cohort, "score_change:odi", difference=5, cluster="site_id")
    assert number(found, "icc") == approx(15 / 17) and number(found, "design_effect") == approx(32 / 17)
    alone = te.sample_size(cohort, "score_change:odi", difference=5)
    n = number(found, "n_per_group")
    assert n == te.stats.n_for_means(5, np.sqrt(14), design_effect=32 / 17)[0] > number(alone, "n_per_group")
    assert number(found, "clusters_per_group") == ceil(n / 2)
    assert number(found, "pilot_n_per_group", "for a stable SD") == ceil(35 * 32 / 17)
    larger = te.sample_size(cohort, "score_change:odi", difference=5, cluster="site_id", per_cluster=20)
    assert number(larger, "design_effect") == approx(1 + 19 * 15 / 17)
    told = larger.to_frame().set_index("statistic")
    assert "fewer than 20 clusters" in told.loc["clusters_per_group", "note"].iloc[0]


def test_clusters_that_are_less_alike_than_chance_cost_nothing(cohort_from):
    cohort = clustered(cohort_from, {"a": [1, 11], "b": [3, 9], "c": [5, 7]})
    found = te.sample_size(cohort, "score_change:odi", difference=5, cluster="site_id")
    assert number(found, "icc") < 0 and number(found, "design_effect") == 1


def test_the_difference_is_one_mcid_unless_said_otherwise():
    cohort = te.read_dataset(ROOT / "data_samples" / "harbor_rehab").cohort(discipline="PT")
    found, twice = (te.sample_size(cohort, "score_change:lefs", cluster="site_id", **how)
                    for how in ({}, {"difference": "2 MCID"}))
    assert "difference 9" in found.to_frame().set_index("statistic").loc["n_per_group", "method"].iloc[0]
    assert number(found, "n_per_group") > number(twice, "n_per_group")


@pytest.mark.parametrize(("given", "message"), [
    ({"metric": "episode_days"}, "a mean or a proportion"),
    ({"metric": "mcid_rate:barthel_100"}, "give difference="),
    ({"metric": STROKE, "per_group": 1}, "per_group=1"),
    ({"metric": STROKE, "difference": -3}, "difference='-3'"),
    ({"metric": STROKE, "difference": 3, "power": 0.02}, "power=0.02"),
    ({"metric": STROKE, "difference": 3, "per_cluster": 5}, "without cluster")])
def test_questions_without_an_answer_are_refused(given, message):
    with pytest.raises(ParameterError, match=message):
        te.sample_size(stroke(), **given)
    with pytest.raises(UnknownNameError):
        te.sample_size(stroke(), STROKE, difference=3, cluster="nowhere")


@pytest.mark.parametrize("falls", [[5], [5, 5, 5]])
def test_data_that_tell_no_spread_give_no_size_and_a_note(cohort_from, falls):
    cohort = clustered(cohort_from, {"a": falls})
    found = te.sample_size(cohort, "score_change:odi", difference=5).to_frame().set_index("statistic")
    assert np.isnan(found.loc["n_per_group", "estimate"]) and found.loc["n_per_group", "note"] != ""


def test_released_sizes_hide_small_groups(cohort_from):
    cohort = clustered(cohort_from, {"a": [1, 3, 7], "b": [5, 7, 8]})
    released = te.release([te.sample_size(cohort, "score_change:odi", difference=5, cluster="site_id")], "cms_11")[0]
    assert released.to_frame()["estimate"].isna().all()
