"""The whole path on harbor_rehab against truth.json, which the generator computed without the package."""

import json
from pathlib import Path

import pytest
from conftest import row
from pytest import approx

import therapyeval as te

FOLDER = Path(__file__).resolve().parent.parent / "data_samples" / "harbor_rehab"
TRUTH = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))["realized"]
SCORES = TRUTH["scores"]["by_measure"]


def true(name):
    return TRUTH[name]["value"]


@pytest.fixture(scope="module")
def dataset():
    return te.read_dataset(FOLDER)


@pytest.fixture(scope="module")
def cohort(dataset):
    return dataset.cohort()


def test_appointments_are_counted_by_status_up_to_the_data_cut(cohort):
    statuses = true("appointments_by_status")
    shares = te.summarize(cohort, "no_show_share")
    assert row(shares)["numerator"] == statuses["no_show"]
    assert row(shares)["n_missing"] == statuses["booked"]
    assert row(te.summarize(cohort, "arrival_rate"))["estimate"] == approx(true("arrival_rate"), rel=1e-12)
    left_out = shares.exclusions.set_index("reason")["n"]
    assert left_out["rescheduled"] == statuses["rescheduled"]
    assert left_out["after the data cut"] == true("future_bookings")


def test_no_show_rate_overall_by_site_and_in_a_quarter(cohort):
    assert row(te.summarize(cohort, "no_show_rate"))["estimate"] == approx(true("no_show_rate"), rel=1e-12)
    by_site = te.summarize(cohort, "no_show_rate", by="site_id").frame.set_index("site_id")["estimate"].to_dict()
    assert by_site == approx(true("no_show_rate_by_site"), rel=1e-12)
    by_day = te.summarize(cohort, "no_show_rate", by="weekday").frame.set_index("weekday")["estimate"].to_dict()
    assert by_day == approx(true("no_show_rate_by_weekday"), rel=1e-12)
    quarter = row(te.summarize(cohort, "no_show_rate", period="2026Q3"))
    assert quarter["estimate"] == approx(true("no_show_rate_2026Q3"), rel=1e-12)


def test_appointments_without_an_episode_count_and_are_not_linked_to_its_attributes(cohort):
    frame = te.summarize(cohort, "no_show_share", by="discipline").frame.set_index("discipline")
    assert frame["n"].sum() == row(te.summarize(cohort, "no_show_share"))["n"]
    assert set(frame.index) == {"PT", "OT", "SLP", "not recorded"}
    pt = cohort.where(discipline="PT").flow.query("population == 'appointments'").iloc[0]
    assert pt["n_not_linked"] > 0
    assert pt["n_before"] == pt["n_kept"] + pt["n_other"] + pt["n_not_linked"]


def test_ends_of_care_fall_into_the_quarters_they_belong_to(cohort, dataset):
    frame = te.summarize(cohort, "episode_days", every="quarter").frame.query("statistic == 'median'")
    assert frame.set_index("period")["n"].to_dict() == true("ends_by_quarter")
    episodes = dataset.facts.episodes
    assert len(episodes) == true("merged_episodes")
    assert int(episodes["closed_admin"].sum()) == true("closed_admin")
    assert int(episodes["end_date"].isna().sum()) == true("census_at_cut")
    assert episodes["site_id"].value_counts().to_dict() == true("starts_by_site")
    ended = episodes[episodes["end_date"].notna() & ~episodes["closed_admin"]]
    reasons = {name: n for name, n in true("ends_by_reason").items() if name != "closed_admin"}
    assert ended["reason"].value_counts().to_dict() == reasons


def test_visits_goals_and_days(cohort):
    assert row(te.summarize(cohort, "visits_per_episode"), statistic="mean")["estimate"] == approx(
        true("visits_per_episode"), rel=1e-12)
    assert row(te.summarize(cohort, "goals_met_rate"))["estimate"] == approx(true("goals_met_rate"), rel=1e-12)
    assert row(te.summarize(cohort, "episode_days"), statistic="median")["estimate"] == true("median_episode_days")


def test_days_to_evaluation_censor_those_who_wait(cohort, dataset):
    assert row(te.summarize(cohort, "days_to_eval"), statistic="median")["estimate"] == true("days_to_eval_median")
    referrals = dataset.facts.referrals
    assert referrals.loc[referrals["evaluated"], "days"].median() == true("days_to_eval_median_of_evaluated")


@pytest.fixture(scope="module")
def discharged(cohort):
    """Everybody whose care has ended: the truth leaves the open episodes out."""
    return "2024-01-01..2026-09-30"


@pytest.mark.parametrize("measure", sorted(SCORES))
def test_pairs_change_and_responders_of_each_measure(cohort, discharged, measure):
    expected = SCORES[measure]
    completion = row(te.summarize(cohort, f"paired_completion:{measure}", period=discharged))
    assert (completion["n"], completion["numerator"]) == (expected["eligible"], expected["pairs"])
    change = te.summarize(cohort, f"score_change:{measure}", period=discharged)
    assert row(change, statistic="mean")["estimate"] == approx(expected["mean_change"], rel=1e-9)
    assert row(change, statistic="sd")["estimate"] == approx(expected["sd_change"], rel=1e-9)
    if expected["responders"] is not None:
        rate = row(te.summarize(cohort, f"mcid_rate:{measure}", period=discharged), estimand="missing_not_achieved")
        assert (rate["numerator"], rate["denominator"]) == (expected["responders"], expected["eligible"])


def test_paired_completion_on_any_measure(cohort, discharged):
    found = row(te.summarize(cohort, "paired_completion", period=discharged))
    assert (found["numerator"], found["denominator"]) == (
        TRUTH["scores"]["pairs_any_measure"], TRUTH["scores"]["eligible_any_measure"])


def test_census_identity_holds_for_the_discharge_rate(cohort):
    frame = te.summarize(cohort, "discharge_rate", every="quarter").frame
    open_next = (frame["denominator"] - frame["numerator"]).tolist()
    opened = cohort.facts.episodes["start_date"].dt.to_period("Q").astype("str").value_counts()
    for position in range(1, len(frame)):
        quarter = frame["period"].iloc[position]
        assert frame["denominator"].iloc[position] == open_next[position - 1] + opened[quarter]
