"""The synthetic sample: same seed same bytes, valid codes, planted counts as stated, effect recoverable."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from therapyeval.data.synthetic import write_sample
from therapyeval.errors import ParameterError

SHIPPED = Path(__file__).parent.parent / "data_samples" / "harbor_rehab"
MEASURES = Path(__file__).parent.parent / "therapyeval" / "measures" / "measures.csv"
SMALL = {"n_sites": 4, "n_episodes": 3000, "months": 12}

CODES = {   # data model, sections 1 and 4
    ("visits", "status"): "attended no_show late_cancel early_cancel clinic_cancel rescheduled booked "
                          "deleted entered_in_error",
    ("visits", "visit_type"): "evaluation treatment re-evaluation discharge group",
    ("visits", "mode"): "in_person telehealth phone home",
    ("episodes", "status"): "planned waitlist active onhold finished cancelled entered_in_error",
    ("episodes", "discipline"): "PT OT SLP",
    ("episodes", "acuity"): "acute subacute chronic",
    ("episodes", "case_type"): "new re-opened",
    ("episodes", "payer_class"): "medicare_ffs medicare_advantage medicaid commercial workers_comp auto "
                                 "tricare_va self_pay school_idea other unknown",
    ("episodes", "body_region"): "cervical thoracic lumbar_pelvis shoulder elbow_wrist_hand hip knee "
                                 "ankle_foot neuro vestibular_balance swallowing voice language_cognition "
                                 "general",
    ("referrals", "status"): "open scheduled converted declined cancelled expired",
    ("referrals", "source_type"): "physician self hospital school employer",
    ("discharges", "reason"): "goals_met plateau self_discharge lost_contact noncompliant medical_change "
                              "hospitalized surgery payer_ended authorization_exhausted moved transferred "
                              "evaluation_only deceased administrative other unknown",
    ("discharges", "ended_by"): "therapist patient payer administrative",
    ("assessments", "timepoint"): "initial interim discharge followup_90d",
    ("assessments", "respondent"): "self proxy clinician",
    ("assessments", "missing_reason"): "not_due refused unable not_done language",
    ("staff", "license_type"): "PT PTA OT OTA SLP CFY",
    ("enrollment", "arm"): "telerehab usual",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The full sample, written once."""
    path = tmp_path_factory.mktemp("harbor")
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def truth(folder):
    return json.loads((folder / "truth.json").read_text())


@pytest.fixture(scope="module")
def tables(folder):
    return {file.stem: pd.read_parquet(file) for file in folder.glob("*.parquet")}


def dates(column):
    return pd.to_datetime(column).astype("datetime64[ms]")


def good_visits(tables):
    """Visits with the planted faults set aside."""
    visits = tables["visits"].dropna(subset="visit_id").drop_duplicates()
    return visits[visits["status"] != "arrvd?"]


def test_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        write_sample(tmp_path / name, **SMALL)
    files = sorted(file.name for file in (tmp_path / "first").iterdir())
    assert len(files) == 13
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_another_seed_gives_other_data(tmp_path):
    first = write_sample(tmp_path / "first", **SMALL)
    second = write_sample(tmp_path / "second", seed=7, **SMALL)
    assert first["realized"] != second["realized"]


def test_the_shipped_sample_is_what_the_code_writes(folder):
    """Byte by byte; row by row where it was written with another version of pyarrow."""
    shipped, fresh = (json.loads((place / "truth.json").read_text()) for place in (SHIPPED, folder))
    pilots = [truth.pop("pilot")["adjusted_complete"]["value"] for truth in (shipped, fresh)]
    assert shipped == fresh and pilots[0] == pytest.approx(pilots[1])
    for file in folder.glob("*.parquet"):
        ours, theirs = pq.ParquetFile(SHIPPED / file.name), pq.ParquetFile(file)
        if ours.metadata.created_by == theirs.metadata.created_by:
            assert (SHIPPED / file.name).read_bytes() == file.read_bytes(), file.name
        assert ours.read().equals(theirs.read()), file.name
    for name in ("mapping.yml", "pilot.yml", "README.md"):
        assert (SHIPPED / name).read_text() == (folder / name).read_text()


@pytest.mark.parametrize("sizes", [{"n_sites": 3}, {"n_sites": 400}, {"n_episodes": 100}, {"months": 6}, {"seed": -1},
                                   {"file_format": "xlsx"}])
def test_impossible_sizes_are_refused(tmp_path, sizes):
    with pytest.raises(ParameterError, match="a sample"):
        write_sample(tmp_path / "refused", **sizes)
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("sizes", [{"n_sites": 4, "n_episodes": 500, "months": 9},
                                   {"n_episodes": 2000, "months": 40}])
def test_smallest_and_longest_samples_are_written(tmp_path, sizes):
    assert write_sample(tmp_path, **sizes)["rows"]["episodes"] == sizes["n_episodes"] + 23


def test_size_and_counts(folder, tables, truth):
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5_000_000
    assert truth["rows"] == {name: len(tables[name]) for name in truth["rows"]}
    assert len(tables) == 9
    assert len(tables["visits"]) == pytest.approx(165_000, rel=0.03)
    assert len(tables["episodes"]) == 18_000 + 8 + 9 + 6


def test_everything_says_it_is_synthetic(folder, tables):
    assert tables["patients"]["patient_id"].str.startswith("SYN-").all()
    for name in ("README.md", "mapping.yml", "pilot.yml", "truth.json"):
        assert "synthetic" in (folder / name).read_text().lower()


def test_types_are_days_and_times_without_zone(folder):
    schema = pq.read_schema(folder / "visits.parquet")
    assert str(schema.field("scheduled_start").type) == "timestamp[ms]"
    assert str(schema.field("booked_date").type) == "date32[day]"


def test_duckdb_reads_the_same_rows(folder, truth):
    for name, count in truth["rows"].items():
        assert duckdb.sql(f"select count(*) from '{folder / name}.parquet'").fetchall() == [(count,)]


@pytest.mark.parametrize("table, column", CODES)
def test_codes_are_on_the_list(tables, table, column):
    found = set(tables[table][column].dropna()) - {"arrvd?"}
    assert found <= set(CODES[table, column].split())


def test_every_row_points_to_one_that_exists(tables):
    known = {name: set(tables[table][name].dropna()) for name, table in {
        "patient_id": "patients", "episode_id": "episodes", "site_id": "sites", "referral_id": "referrals",
    }.items()}
    known["staff_id"] = known["lead_staff_id"] = set(tables["staff"]["staff_id"])
    known["previous_episode_id"] = known["episode_id"]
    for table in tables.values():
        for column in known.keys() & set(table.columns):
            assert set(table[column].dropna()) <= known[column]


def test_visits_and_scores_belong_to_the_patient_of_their_episode(tables):
    owner = tables["episodes"].drop_duplicates("episode_id").set_index("episode_id")["patient_id"]
    for name in ("visits", "assessments"):
        rows = tables[name].dropna(subset="episode_id")
        assert (rows["episode_id"].map(owner) == rows["patient_id"]).all()


def test_scores_lie_in_range_and_on_steps_except_the_planted(tables, truth):
    registry = pd.read_csv(MEASURES).set_index("code")
    rows = tables["assessments"].dropna(subset=["score", "assessment_id"])
    rows = rows[rows["measure_code"] != "knee_score"]
    low, high = (registry.loc[rows["measure_code"], name].to_numpy(dtype=float) for name in ("min", "max"))
    assert ((rows["score"] < low) | (rows["score"] > high)).sum() == truth["planted"]["out_of_range"]["count"]
    valid = rows[rows["score"] <= high].groupby("measure_code")["score"]
    for code, step in {"odi": 2, "lefs": 1, "ndi": 1, "barthel_100": 5, "nprs": 1, "vhi10": 1}.items():
        assert (valid.get_group(code) % step == 0).all()
    tenths = valid.get_group("quickdash") * 11 / 25
    assert (tenths - tenths.round()).abs().max() < 0.023           # one decimal of 25/11 steps


def test_planted_visit_and_episode_faults_recount(tables, truth):
    planted = {name: fault["count"] for name, fault in truth["planted"].items()}
    visits, episodes = tables["visits"], tables["episodes"]
    assert visits["visit_id"].isna().sum() == planted["visit_without_key"]
    assert (visits["status"] == "arrvd?").sum() == planted["unknown_status"]
    assert visits.dropna(subset="visit_id").duplicated().sum() == planted["duplicate_visit"]
    assert visits["visit_id"].dropna().duplicated().sum() == planted["duplicate_visit"]
    assert episodes["start_date"].isna().sum() == planted["episode_without_start"]
    assert episodes["episode_id"].duplicated().sum() == planted["duplicate_episode"]
    ends = tables["discharges"].merge(episodes.drop_duplicates("episode_id"), on="episode_id")
    assert (ends["discharge_date"] < ends["start_date"]).sum() == planted["discharge_before_start"]
    born = dates(tables["patients"]["birth_date"])
    assert (born < "1900-01-01").sum() == planted["born_1850"]
    assert (born > "2026-09-30").sum() == planted["born_after_cut"]


def test_planted_assessment_faults_recount(tables, truth):
    planted = {name: fault["count"] for name, fault in truth["planted"].items()}
    rows = tables["assessments"]
    assert rows["assessment_id"].isna().sum() == planted["assessment_without_key"]
    assert (rows["measure_code"] == "knee_score").sum() == planted["unknown_measure"]
    rows = rows.dropna(subset="assessment_id")
    rows = rows[rows["measure_code"] != "knee_score"]
    assert rows.duplicated().sum() == planted["duplicate_exact"]
    rows = rows.drop_duplicates()
    assert rows["assessment_id"].is_unique
    same_day = rows.dropna(subset="score").groupby(["episode_id", "measure_code", "date"])
    pairs = same_day.agg(n=("score", "size"), scores=("score", "nunique"), times=("finalized_dt", "nunique"))
    pairs = pairs[pairs["n"] == 2]
    assert ((pairs["scores"] == 2) & (pairs["times"] == 1)).sum() == planted["duplicate_conflict"]
    assert (pairs["times"] == 2).sum() == planted["duplicate_corrected"]
    total = sum(planted[f"duplicate_{kind}"] for kind in ("exact", "corrected", "conflict"))
    assert total / rows["score"].notna().sum() == pytest.approx(0.05, abs=0.005)


def test_late_cancels_are_recorded_within_24_hours_and_early_ones_before(tables):
    visits = good_visits(tables)
    ahead = visits["scheduled_start"] - visits["status_dt"]
    day = pd.Timedelta(hours=24)
    assert (ahead[visits["status"] == "late_cancel"].dropna() < day).all()
    assert (ahead[visits["status"] == "early_cancel"].dropna() >= day).all()
    changed = visits.dropna(subset="status_dt")
    assert (changed["status_dt"] >= dates(changed["booked_date"])).all()


def test_appointments_after_the_cut_are_booked_and_few_before_it_are(tables, truth):
    visits = good_visits(tables)
    future = visits["scheduled_start"] >= "2026-10-01"
    assert (visits.loc[future, "status"] == "booked").all()
    assert future.sum() == truth["realized"]["future_bookings"]["value"] > 1000
    stale = (visits.loc[~future, "status"] == "booked").mean()
    assert 0 < stale < 0.03
    assert dates(visits["booked_date"]).max() <= pd.Timestamp("2026-09-30")


def test_no_show_rates_recount(tables, truth):
    visits = good_visits(tables)
    due = visits[visits["status"].isin(["attended", "no_show", "late_cancel"])]
    missed = due["status"] == "no_show"
    realized = truth["realized"]
    assert missed.mean() == pytest.approx(realized["no_show_rate"]["value"])
    assert missed.mean() == pytest.approx(0.10, abs=0.01)
    by_site = missed.groupby(due["site_id"]).mean()
    assert by_site.to_dict() == pytest.approx(realized["no_show_rate_by_site"]["value"])
    assert by_site.idxmax() == "harbor" and by_site["harbor"] > 1.3 * missed.mean()
    weekday = missed.groupby(due["scheduled_start"].dt.day_of_week).mean()
    assert weekday.idxmax() == 0 and set(weekday.index) == {0, 1, 2, 3, 4}
    change = realized["no_show_rate_around_change"]["value"]
    assert change["after"] < 0.8 * change["before"]


def counted_episodes(tables):
    """Episodes that metrics count, with the planted faults set aside."""
    episodes = tables["episodes"].drop_duplicates().dropna(subset="start_date")
    counted = episodes["status"].isin(["active", "finished"])
    return episodes[counted & ~episodes["episode_id"].str.endswith("D")]


def test_every_counted_episode_starts_with_an_attended_evaluation(tables):
    episodes = counted_episodes(tables)
    first = good_visits(tables).query("visit_type == 'evaluation' and status == 'attended'")
    day = first.set_index("episode_id")["scheduled_start"].dt.normalize()
    assert len(first) == len(episodes)
    assert (episodes["episode_id"].map(day) == dates(episodes["start_date"])).all()


def test_missed_first_evaluations_have_patient_and_site_but_no_episode(tables, truth):
    loose = good_visits(tables).query("episode_id.isna() and scheduled_start < '2026-10-01'")
    assert len(loose) == truth["realized"]["appointments_without_episode"]["value"] > 1000
    assert (loose["visit_type"] == "evaluation").all() and (loose["status"] != "attended").all()
    assert loose["patient_id"].isin(tables["referrals"]["patient_id"]).all()


def merged_by_gap(tables):
    """Episodes with closure and gap from dates alone, without a look at previous_episode_id."""
    cut = pd.Timestamp("2026-09-30")
    episodes = counted_episodes(tables)
    end = dates(tables["discharges"].set_index("episode_id")["discharge_date"])
    visits = good_visits(tables)
    attended = visits[visits["status"] == "attended"].groupby("episode_id")["scheduled_start"].max()
    booked = set(visits.loc[visits["scheduled_start"] > cut + pd.Timedelta(days=1), "episode_id"].dropna())
    episodes = episodes.assign(start=dates(episodes["start_date"]), end=episodes["episode_id"].map(end),
                               last=episodes["episode_id"].map(attended).dt.normalize())
    stale = (cut - episodes["last"]).dt.days >= 60
    closed = episodes["end"].isna() & stale & ~episodes["episode_id"].isin(booked)
    episodes["end"] = episodes["end"].where(~closed, episodes["last"])
    key = ["patient_id", "discipline", "body_region"]
    episodes = episodes.sort_values([*key, "start"])
    gap = (episodes["start"] - episodes.groupby(key)["end"].shift()).dt.days
    return episodes, closed, gap


def test_reopened_episodes_are_those_that_the_30_day_rule_merges(tables, truth):
    episodes, closed, gap = merged_by_gap(tables)
    assert ((gap <= 30) == episodes["previous_episode_id"].notna()).all()
    assert len(episodes) - (gap <= 30).sum() == truth["realized"]["merged_episodes"]["value"]
    assert closed.sum() == truth["realized"]["closed_admin"]["value"]
    assert closed.mean() == pytest.approx(0.03, abs=0.003)


def test_rates_lie_near_published_ones(truth):
    realized = {name: figure["value"] for name, figure in truth["realized"].items() if "value" in figure}
    assert realized["referral_conversion"] == pytest.approx(0.77, abs=0.03)
    assert realized["goals_met_rate"] == pytest.approx(0.51, abs=0.03)
    assert realized["arrival_rate"] == pytest.approx(0.79, abs=0.02)
    assert realized["visit_adherence"] == pytest.approx(0.70, abs=0.04)
    assert 0.60 <= truth["realized"]["scores"]["paired_completion"] <= 0.70


def test_scores_are_missing_more_often_where_patients_do_worse(tables):
    rows = tables["assessments"].dropna(subset="score").query("measure_code == 'odi'")
    wide = rows.drop_duplicates(["episode_id", "timepoint"]).pivot(
        index="episode_id", columns="timepoint", values="score")
    early_gain = (wide["initial"] - wide["interim"]).dropna()
    scored = wide["discharge"].notna().loc[early_gain.index]
    assert early_gain[scored].mean() > early_gain[~scored].mean() + 0.5


def test_pilot_numbers_and_flow(tables, truth):
    log, pilot = tables["enrollment"], truth["pilot"]
    assert len(log) == pilot["screened"] and log["eligible"].sum() == pilot["eligible"]
    assert log["ineligible_reason"].value_counts().to_dict() == pilot["ineligible"]
    assert log["arm"].value_counts().to_dict() == pilot["allocated"]
    assert 220 <= log["arm"].notna().sum() <= 280
    assert (log["eligible"] | log["arm"].isna()).all()
    order = ["screened_date", "approached_date", "consent_date", "allocated_date", "withdrawn_date"]
    for before, after in zip(order, order[1:], strict=False):
        both = log.dropna(subset=[before, after])
        assert (dates(both[before]) <= dates(both[after])).all()
    assert log["patient_id"].is_unique


def test_pilot_arms_differ_in_mode_and_in_who_is_in_them(tables):
    log = tables["enrollment"].dropna(subset="arm").set_index("episode_id")
    visits = good_visits(tables)
    visits = visits[visits["episode_id"].isin(log.index) & (visits["status"] == "attended")]
    at_distance = (visits["mode"] == "telehealth").groupby(visits["episode_id"].map(log["arm"])).mean()
    assert at_distance["telerehab"] > 0.6 and at_distance["usual"] < 0.05
    born = dates(tables["patients"].set_index("patient_id")["birth_date"])
    mean_birth = log["patient_id"].map(born).groupby(log["arm"]).mean()
    assert mean_birth["telerehab"] > mean_birth["usual"]


def test_true_effect_is_recovered_before_scores_go_missing(truth):
    pilot = truth["pilot"]
    complete = pilot["adjusted_complete"]
    assert pilot["effect"] == 3.0
    assert abs(complete["value"] - 3.0) < 3 * complete["standard_error"]
    assert pilot["mean_individual_effect"]["value"] == pytest.approx(3.0, abs=0.15)


def test_true_effect_is_recovered_over_many_pilots(tmp_path):
    found = [write_sample(tmp_path, seed=seed, n_episodes=6000, months=9, n_sites=4)["pilot"]
             for seed in range(8)]
    adjusted = np.array([pilot["adjusted_complete"]["value"] for pilot in found])
    raw = np.array([pilot["raw_difference_complete"]["value"] for pilot in found])
    error = np.sqrt(sum(pilot["adjusted_complete"]["standard_error"] ** 2 for pilot in found)) / len(found)
    assert abs(adjusted.mean() - 3.0) < 3 * error
    assert raw.mean() < adjusted.mean() - 0.5          # the choice of arm hides part of the effect


def test_observed_pilot_estimate_matches_plain_least_squares(tables, truth):
    """First and last scores paired here by their labels alone: nearly the pairs of the window rule."""
    log = tables["enrollment"].dropna(subset="arm")
    rows = tables["assessments"].dropna(subset="score").query("measure_code == 'odi'")
    rows = rows[rows["episode_id"].isin(log["episode_id"])]
    wide = rows.pivot(index="episode_id", columns="timepoint", values="score").add_prefix("score_")
    log = log.join(wide, on="episode_id").dropna(subset=["score_initial", "score_discharge"])
    patients = tables["patients"].set_index("patient_id")
    born = dates(log["patient_id"].map(patients["birth_date"]))
    age = (dates(log["screened_date"]) - born).dt.days / 365.25
    columns = [log["arm"] == "telerehab", log["score_initial"], age, np.ones(len(log))]
    change = (log["score_initial"] - log["score_discharge"]).to_numpy()
    estimate = np.linalg.lstsq(np.column_stack(columns).astype(float), change, rcond=None)[0][0]
    observed = truth["pilot"]["adjusted_observed"]
    assert abs(estimate - observed["value"]) < observed["standard_error"]
