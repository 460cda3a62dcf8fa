"""interval="bootstrap" of what the engine counts: whole patients are drawn, as worked out here from the raw table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx
from scipy.stats import binom

import therapyeval as te
from therapyeval.errors import UnknownNameError

HARBOR = Path(__file__).resolve().parent.parent / "data_samples" / "harbor_rehab"
LIMITS = ["conf_low", "conf_high"]
RANDOM = np.random.default_rng(5)
N = 300
PATIENT = np.sort(RANDOM.integers(0, 24, N))
VISITS = pd.DataFrame({
    "visit_id": [f"v{i:03}" for i in range(N)], "patient_id": [f"p{code:02}" for code in PATIENT],
    "scheduled_start": np.where(np.arange(N) % 3 == 0, "2026-08-03", "2026-07-06"),
    "status": RANDOM.choice(["attended", "no_show", "late_cancel", "early_cancel"], N, p=[0.6, 0.2, 0.1, 0.1]),
    "site_id": np.where(RANDOM.random(N) < 0.4, "north", "south"),
    "mode": RANDOM.choice(["telehealth", "in_person", ""], N, p=[0.3, 0.6, 0.1])})
EVENTS = pd.DataFrame({"event_id": [f"x{i}" for i in range(14)],
                       "patient_id": [f"p{code:02}" for code in (1, 1, 1, 2, 2, 3, 5, 8, 9, 9, 13, 20)] + ["", ""],
                       "date": "2026-08-03", "type": "fall"})
DUE = VISITS["status"].isin(["attended", "no_show", "late_cancel"])
SEEN = VISITS["status"] == "attended"


def by_hand(top, bottom, patient):
    """Percentiles of 2000 resamples of whole patients, each drawn with the seed that the method states."""
    sums = pd.DataFrame({"top": top, "bottom": bottom}, dtype=float).groupby(np.asarray(patient)).sum()
    sums = sums[(sums["top"] > 0) | (sums["bottom"] > 0)]
    drawn = []
    for number in range(2000):
        chosen = np.floor(np.random.default_rng([20260101, number]).random(len(sums)) * len(sums))
        whole = sums.iloc[chosen.astype(int)].sum()
        drawn.append(whole["top"] / whole["bottom"])
    return tuple(np.quantile(drawn, [0.025, 0.975]))


@pytest.fixture
def cohort(read_tables):
    return read_tables(visits=VISITS.to_dict("records"), events=EVENTS.to_dict("records")).cohort()


def drawn(cohort, metric, **more):
    return te.summarize(cohort, metric, interval="bootstrap", **more)


def test_a_share_of_appointments_is_that_of_the_raw_table(cohort):
    found = row(drawn(cohort, "no_show_rate"))
    wanted = by_hand((VISITS["status"] == "no_show")[DUE], DUE[DUE], VISITS["patient_id"][DUE])
    assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12)
    assert found["method"] == "percentile bootstrap by patient, 2000 resamples, seed 20260101"
    assert found["estimate"] == row(te.summarize(cohort, "no_show_rate"))["estimate"]


def test_groups_and_months_are_those_of_the_raw_table(cohort):
    frame = drawn(cohort, "no_show_rate", by="site_id", every="month").frame.set_index(["site_id", "period"])
    assert len(frame) == 4
    month = VISITS["scheduled_start"].str[:7]
    for (site, period), found in frame.iterrows():
        rows = DUE & (VISITS["site_id"] == site) & (month == period)
        wanted = by_hand((VISITS["status"] == "no_show")[rows], rows[rows], VISITS["patient_id"][rows])
        assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12)


@pytest.mark.parametrize("by", [None, "site_id"])
def test_a_share_of_visits_with_a_value_leaves_the_unknown_out(cohort, by):
    known = SEEN & (VISITS["mode"] != "")
    for _, found in drawn(cohort, "telehealth_share", by=by).frame.iterrows():
        rows = known & (VISITS["site_id"] == found["site_id"]) if by else known
        wanted = by_hand((VISITS["mode"] == "telehealth")[rows], rows[rows], VISITS["patient_id"][rows])
        assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12)


def test_the_group_without_a_value_of_the_asked_attribute_keeps_its_note(cohort):
    plain, ours = (frame.set_index("mode") for frame in both(cohort, "telehealth_share", by="mode"))
    assert ours.loc["not recorded", "note"] == plain.loc["not recorded", "note"] != ""
    assert ours[LIMITS].isna().all(axis=None) and ours.loc["telehealth", "estimate"] == 1


def test_each_level_has_its_own_limits(read_tables):
    payer = ["medicaid", "commercial", "commercial", "self_pay"]
    episodes = [{"episode_id": f"e{i:02}", "patient_id": f"p{i:02}", "discipline": "PT", "site_id": "s",
                 "start_date": "2026-07-01", "status": "active", "payer_class": payer[i % 4]} for i in range(24)]
    visits = VISITS.assign(episode_id="e" + VISITS["patient_id"].str[1:])
    frame = drawn(read_tables(visits=visits.to_dict("records"), episodes=episodes).cohort(), "payer_mix").frame
    assert frame["level"].tolist() == ["commercial", "medicaid", "self_pay"]
    own = pd.Series(PATIENT % 4).map(dict(enumerate(payer)))
    for _, found in frame.iterrows():
        wanted = by_hand((own == found["level"])[SEEN], SEEN[SEEN], VISITS["patient_id"][SEEN])
        assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12)


def test_patients_are_drawn_and_not_appointments(read_tables):
    """One of 20 patients owns all 20 no-shows of 200 slots. Drawn k times, k binomial, the rate is k / 10."""
    rows = [{"visit_id": f"v{i}", "patient_id": f"p{i // 10}" if i < 180 else "p18" if i < 190 else "p19",
             "scheduled_start": "2026-08-03", "status": "no_show" if i >= 190 else "attended"} for i in range(200)]
    found = row(drawn(read_tables(visits=rows).cohort(), "no_show_rate"))
    low, high = binom.ppf([0.025, 0.975], 20, 1 / 20) / 20
    assert (found["estimate"], found["conf_low"], found["conf_high"]) == (0.05, low, high)
    assert binom.ppf(0.975, 200, 0.05) / 200 < 0.09 < found["conf_high"]     # appointments would have given this


def test_few_patients_have_no_limits_and_say_so(read_tables):
    rows = [{"visit_id": f"v{i}", "patient_id": f"p{i % 9}", "scheduled_start": "2026-08-03",
             "status": "no_show" if i % 4 == 0 else "attended"} for i in range(40)]
    found = row(drawn(read_tables(visits=rows).cohort(), "no_show_rate"))
    assert found[LIMITS].isna().all() and found["note"] == "needs ten patients for an interval"


def test_a_rate_of_events_draws_patients_with_their_visits_and_events(cohort):
    """An event of nobody known is a person without visits."""
    found = row(drawn(cohort, "fall_rate"))
    known = EVENTS["patient_id"].where(EVENTS["patient_id"] != "", [f"!{i:02}" for i in range(14)])
    owner = np.r_[known[::-1], VISITS["patient_id"][SEEN]]
    wanted = by_hand(np.r_[np.full(14, 1000.0), np.zeros(SEEN.sum())], np.r_[np.zeros(14), np.ones(SEEN.sum())], owner)
    assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12)
    assert found["estimate"] == approx(1000 * 14 / SEEN.sum())


def test_a_rate_without_any_event_claims_no_certainty(read_tables):
    visits = [{"visit_id": f"v{i}", "patient_id": f"p{i}", "scheduled_start": "2026-08-03", "status": "attended"}
              for i in range(30)]
    events = [{"event_id": "x", "patient_id": "p1", "date": "2026-08-03", "type": "complaint"}]
    found = row(drawn(read_tables(visits=visits, events=events).cohort(), "fall_rate"))
    assert found["estimate"] == 0 and found[LIMITS].isna().all() and "no variation" in found["note"].lower()


def test_falls_per_patient_day_draw_patients_with_their_days(read_tables):
    stays = [{"stay_id": f"s{i:02}", "patient_id": f"p{i:02}", "admit_date": "2026-07-01",
              "discharge_date": f"2026-07-{10 + i}", "discharge_status": "01", "setting": "irf", "site_id": "north"}
             for i in range(20)]
    falls = [{"event_id": f"x{i}", "patient_id": f"p{i % 6:02}", "date": "2026-07-05", "type": "fall",
              "site_id": "north"} for i in range(8)]
    visit = [{"visit_id": "v", "patient_id": "p00", "scheduled_start": "2026-08-03", "status": "attended"}]
    cohort = read_tables(visits=visit, admissions=stays, events=falls).cohort()
    wanted = by_hand(np.r_[np.full(8, 1000.0), np.zeros(20)], np.r_[np.zeros(8), 9.0 + np.arange(20)],
                     np.r_[np.arange(8) % 6, np.arange(20)])
    for by in (None, "site_id"):
        assert tuple(row(drawn(cohort, "fall_rate,per=patient_days", by=by))[LIMITS]) == approx(wanted, rel=1e-12)


def test_an_amount_leaves_visits_without_it_out(read_tables):
    units = pd.Series(np.where(np.arange(N) % 5 == 0, 0, 1 + np.arange(N) % 4), index=VISITS.index)
    charged = SEEN & (units > 0)
    charges = [{"charge_id": f"c{i}", "visit_id": VISITS["visit_id"][i], "cpt": "97110", "units": units[i]}
               for i in np.flatnonzero(charged)]
    found = row(drawn(read_tables(visits=VISITS.to_dict("records"), charges=charges).cohort(), "units_per_visit"))
    wanted = by_hand(units[charged], charged[charged], VISITS["patient_id"][charged])
    assert tuple(found[LIMITS]) == approx(wanted, rel=1e-12) and found["denominator"] == charged.sum()


@pytest.fixture(scope="module")
def harbor():
    return te.read_dataset(HARBOR).cohort()


def both(cohort, metric, **more):
    return [te.summarize(cohort, metric, interval=name, **more).frame for name in ("default", "bootstrap")]


def test_harbors_sites_are_near_their_usual_interval(harbor):
    plain, ours = both(harbor, "no_show_rate", by="site_id")
    same = [name for name in plain if name not in (*LIMITS, "method", "note")]
    pd.testing.assert_frame_equal(plain[same], ours[same])
    half = (plain["conf_high"] - plain["conf_low"]) / 2
    assert len(plain) > 1 and half.notna().all()
    for name in LIMITS:
        assert ((plain[name] - ours[name]).abs() / half).max() < 0.25


@pytest.mark.parametrize(("metric", "by"), [("staff_mix_assistant", "weekday"), ("payer_mix", "site_id"),
                                            ("payer_mix", "payer_class"), ("late_cancel_share", "lead_band")])
def test_groups_of_harbor_keep_their_estimates_inside_the_limits(harbor, metric, by):
    plain, ours = both(harbor, metric, by=by)
    pd.testing.assert_series_equal(plain["estimate"], ours["estimate"])
    drawn = ours[ours["conf_low"].notna()]
    assert drawn["estimate"].between(drawn["conf_low"], drawn["conf_high"]).all()
    flat = plain["conf_low"].isna() | (plain["n_people"] < 10) | (plain["numerator"] == 0)
    assert ours.loc[~flat, "conf_low"].notna().all() and (flat | ours["note"].eq("")).all()


def test_patients_are_no_group_to_ask_for(harbor):
    with pytest.raises(UnknownNameError, match="patient"):
        te.summarize(harbor, "no_show_rate", by="patient", interval="bootstrap")
