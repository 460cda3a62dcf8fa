"""interval="bootstrap": every kind of metric keeps its estimate, and its limits come from resampled patients."""

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx
from scipy.stats import binom

import therapyeval as te
from therapyeval import stats
from therapyeval.errors import ParameterError

RANDOM = np.random.default_rng(11)
N = 80
EPISODES = pd.DataFrame({"episode": [f"e{i}" for i in range(N)], "patient": [f"p{i // 2}" for i in range(N)],
                         "n_attended": RANDOM.integers(3, 20, N), "planned_visits": RANDOM.integers(10, 22, N),
                         "days": RANDOM.integers(10, 90, N),
                         "reason": RANDOM.choice(["goals_met", "self_discharge", "plateau"], N)})
SCORES = pd.DataFrame({"episode": EPISODES["episode"], "measure": "lefs", "baseline": RANDOM.integers(20, 50, N)})
SCORES["final"] = SCORES["baseline"] + RANDOM.integers(-5, 30, N)
KINDS = ("score_change:lefs", "mcid_rate:lefs", "disposition_mix", "gain_per_visit:lefs", "visit_adherence",
         "episode_days", "pct_possible:lefs", "dropout_by_visit,k=6", "effect_size:lefs",
         "cost_per_responder:lefs,cost_per_visit=100")


@pytest.fixture
def cohort(cohort_from):
    return cohort_from(episodes=EPISODES.to_string(index=False), scores=SCORES.to_string(index=False))


@pytest.mark.parametrize("metric", KINDS)
def test_only_the_limits_change_and_the_method_says_so(cohort, metric):
    plain, drawn = (te.summarize(cohort, metric, interval=interval).frame for interval in ("default", "bootstrap"))
    same = [name for name in plain if name not in ("conf_low", "conf_high", "method", "note")]
    pd.testing.assert_frame_equal(plain[same], drawn[same])
    limits = plain["conf_low"].notna()
    assert limits.any() and drawn.loc[limits, "method"].str.contains("bootstrap by patient, 2000 resamples, seed").all()
    assert (drawn.loc[limits, "conf_low"] <= drawn.loc[limits, "estimate"]).all()
    assert (drawn.loc[limits, "estimate"] <= drawn.loc[limits, "conf_high"]).all()
    width = [table.loc[limits, "conf_high"] - table.loc[limits, "conf_low"] for table in (plain, drawn)]
    assert (width[1] / width[0]).between(0.5, 2).all()


def test_a_mean_is_that_of_stats(cohort):
    change = (SCORES["final"] - SCORES["baseline"]).to_numpy(float)
    patient = pd.factorize(EPISODES["patient"])[0]
    wanted = stats.bootstrap_interval(lambda rows, codes, n: np.bincount(codes, change[rows], n) / np.bincount(
        codes, minlength=n), np.zeros(N, int), patient, 1)
    found = row(te.summarize(cohort, "score_change:lefs", interval="bootstrap"), statistic="mean")
    assert (found["conf_low"], found["conf_high"]) == (approx(wanted.low[0]), approx(wanted.high[0]))


def test_a_share_by_a_visit_without_censoring_is_binomial(cohort_from):
    lines = [f"e{i} {2 if i < 15 else 6} {'self_discharge' if i < 15 else 'goals_met'}" for i in range(60)]
    cohort = cohort_from(episodes="episode n_attended reason\n" + "\n".join(lines))
    found = row(te.summarize(cohort, "dropout_by_visit", interval="bootstrap"))
    low, high = binom.ppf([0.025, 0.975], 60, 0.25) / 60
    assert abs(found["conf_low"] - low) <= 1 / 60 and abs(found["conf_high"] - high) <= 1 / 60
    assert found["method"].startswith("Aalen-Johansen; percentile bootstrap")


def waits(cohort_from, seen):
    """40 referrals, of which the first `seen` were evaluated after 1, 2, … days; the others wait for 60 days."""
    rows = [f"r{i} 2026-06-01 {i + 1 if i < seen else 60} {'yes' if i < seen else 'no'} open" for i in range(40)]
    return cohort_from(episodes="episode\ne1", has_calendar=True,
                       referrals="referral received_date days evaluated status\n" + "\n".join(rows))


def test_waiting_times_that_are_not_reached_have_no_limit(cohort_from):
    never = row(te.summarize(waits(cohort_from, 12), "days_to_eval", interval="bootstrap"), statistic="median")
    assert np.isnan(never["estimate"]) and np.isnan(never["conf_high"]) and never["note"] == "not reached"
    half = row(te.summarize(waits(cohort_from, 22), "days_to_eval", interval="bootstrap"), statistic="median")
    assert half["note"] == "upper limit not reached" and 10 < half["conf_low"] < half["estimate"]


def test_waiting_times_of_all_have_the_limits_of_a_median(cohort_from):
    found = row(te.summarize(waits(cohort_from, 40), "days_to_eval", interval="bootstrap"), statistic="median")
    days = np.arange(1.0, 41)
    wanted = stats.bootstrap_interval(lambda rows, codes, n: stats.quantile(days[rows], codes, n, 0.5),
                                      np.zeros(40, int), np.arange(40), 1)
    assert (found["conf_low"], found["conf_high"]) == (approx(wanted.low[0]), approx(wanted.high[0]))


def test_counts_have_no_interval_and_keep_none(cohort_from):
    cohort = cohort_from(episodes="episode start_date\ne1 2026-08-01\ne2 2026-08-02", has_calendar=True)
    plain, drawn = (te.summarize(cohort, "census", period="2026Q3", interval=name) for name in ("default", "bootstrap"))
    pd.testing.assert_frame_equal(plain.frame, drawn.frame)


def test_groups_and_two_calls_give_the_same_limits(cohort):
    one = te.summarize(cohort, "score_change:lefs", by="reason", interval="bootstrap").frame
    pd.testing.assert_frame_equal(one, te.summarize(cohort, "score_change:lefs", by="reason",
                                                    interval="bootstrap").frame)


def test_an_unknown_interval_is_refused(cohort):
    with pytest.raises(ParameterError, match="interval='jackknife' is not known"):
        te.summarize(cohort, "episode_days", interval="jackknife")


def test_the_command_takes_it(run, sample):
    code, text, _ = run("summarize", sample("stroke_recovery"), "score_change:barthel_100", "--interval", "bootstrap")
    assert code == 0 and "2000 resamples, seed" in text
