"""Large samples: blocks, formats and vendors' shapes. All give the truth; rates come out as they were put in."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import row
from pytest import approx

import therapyeval as te
from therapyeval.data.synthetic import plan, write_sample

SIZE = {"n_sites": 40, "n_episodes": 5000}
WAYS = ("blocks", "csv", "scheduler", "warehouse", "redcap")
SIGN = {"odi": -1, "lefs": 1, "ndi": -1, "quickdash": -1, "berg": 1, "barthel_100": 1}     # primary measures
ALL_TIME = "2024-01-01..2026-09-30"


def blocks_of(n):
    """Samples are written in blocks of n episodes while this lasts."""
    patch = pytest.MonkeyPatch()
    patch.setattr(plan, "EPISODES_PER_BLOCK", n)
    return patch


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The same size as Parquet in five blocks, as CSV in one, and as exports of three vendors in two."""
    path = tmp_path_factory.mktemp("network")
    for name, n, file_format in (("blocks", 1000, "parquet"), ("csv", 20_000, "csv"), ("messy", 2500, "messy")):
        patch = blocks_of(n)
        write_sample(path / name, **SIZE, file_format=file_format)
        patch.undo()
    return path


@pytest.fixture(scope="module")
def tables(root):
    return {file.stem: pd.read_parquet(file) for file in (root / "blocks").glob("*.parquet")}


@pytest.fixture(scope="module")
def truth(root):
    return json.loads((root / "blocks" / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=WAYS)
def read(root, request):
    """The dataset as the package reads it, and the truth."""
    if request.param in ("blocks", "csv"):
        folder, mapping, aside = root / request.param, None, root / request.param
    else:
        aside = root / "messy" / "truth"
        folder, mapping = root / "messy" / request.param, aside / f"{request.param}.yml"
    truth = json.loads((aside / "truth.json").read_text(encoding="utf-8"))
    return te.read_dataset(folder, mapping), truth["realized"]


def test_attendance_is_read_as_the_truth_says(read):
    cohort, truth = read[0].cohort(), {name: entry.get("value") for name, entry in read[1].items()}
    shares = te.summarize(cohort, "no_show_share")
    assert row(shares)["numerator"] == truth["appointments_by_status"]["no_show"]
    left_out = shares.exclusions.set_index("reason")["n"]
    assert left_out["after the data cut"] == truth["future_bookings"]
    assert row(te.summarize(cohort, "no_show_rate"))["estimate"] == approx(truth["no_show_rate"], rel=1e-12)
    for by in ("site_id", "weekday"):
        found = te.summarize(cohort, "no_show_rate", by=by).frame.set_index(by)["estimate"].to_dict()
        assert found == approx(truth[f"no_show_rate_by_{by.removesuffix('_id')}"], rel=1e-12)
    quarter = row(te.summarize(cohort, "no_show_rate", period="2026Q3"))
    assert quarter["estimate"] == approx(truth["no_show_rate_2026Q3"], rel=1e-12)
    assert row(te.summarize(cohort, "arrival_rate"))["estimate"] == approx(truth["arrival_rate"], rel=1e-12)


def test_ends_of_care_are_read_as_the_truth_says(read):
    dataset, truth = read[0], {name: entry.get("value") for name, entry in read[1].items()}
    episodes = dataset.facts.episodes
    assert len(episodes) == truth["merged_episodes"]
    assert int(episodes["closed_admin"].sum()) == truth["closed_admin"]
    assert int(episodes["end_date"].isna().sum()) == truth["census_at_cut"]
    assert episodes["site_id"].value_counts().to_dict() == truth["starts_by_site"]
    ends = te.summarize(dataset.cohort(), "episode_days", every="quarter").frame.query("statistic == 'median'")
    assert ends.set_index("period")["n"].to_dict() == truth["ends_by_quarter"]
    ended = episodes[episodes["end_date"].notna()]
    reason = ended["reason"].where(~ended["closed_admin"], "closed_admin")
    assert reason.value_counts().to_dict() == truth["ends_by_reason"]
    cohort = dataset.cohort()
    assert row(te.summarize(cohort, "episode_days"), statistic="median")["estimate"] == truth["median_episode_days"]
    assert row(te.summarize(cohort, "days_to_eval"), statistic="median")["estimate"] == truth["days_to_eval_median"]
    assert row(te.summarize(cohort, "goals_met_rate"))["estimate"] == approx(truth["goals_met_rate"], rel=1e-12)


def test_scores_are_read_as_the_truth_says(read):
    cohort, truth = read[0].cohort(), read[1]["scores"]
    for measure, expected in truth["by_measure"].items():
        completion = row(te.summarize(cohort, f"paired_completion:{measure}", period=ALL_TIME))
        assert (completion["n"], completion["numerator"]) == (expected["eligible"], expected["pairs"]), measure
        change = te.summarize(cohort, f"score_change:{measure}", period=ALL_TIME)
        assert row(change, statistic="mean")["estimate"] == approx(expected["mean_change"], rel=1e-9)
        assert row(change, statistic="sd")["estimate"] == approx(expected["sd_change"], rel=1e-9)
        if expected["responders"] is not None:
            rate = te.summarize(cohort, f"mcid_rate:{measure}", period=ALL_TIME)
            assert row(rate, estimand="missing_not_achieved")["numerator"] == expected["responders"]
    found = row(te.summarize(cohort, "paired_completion", period=ALL_TIME))
    assert (found["numerator"], found["denominator"]) == (truth["pairs_any_measure"], truth["eligible_any_measure"])


def test_nobody_is_in_two_blocks_and_nothing_points_across_them(root, tables):
    for name, key in (("patients", "patient_id"), ("referrals", "referral_id"), ("visits", "visit_id")):
        file = pq.ParquetFile(root / "blocks" / f"{name}.parquet")
        assert file.num_row_groups == 5
        seen = [set(file.read_row_group(i, [key])[key].drop_null().to_pylist()) for i in range(5)]
        assert sum(map(len, seen)) == len(set.union(*seen))
        assert {len(identifier) for identifier in set.union(*seen)} <= {len(min(seen[0])), len(min(seen[0])) + 1}
    episodes, visits = tables["episodes"], tables["visits"].dropna(subset="episode_id")
    owner = episodes.drop_duplicates("episode_id").set_index("episode_id")["patient_id"]
    assert (visits["episode_id"].map(owner) == visits["patient_id"]).all()
    assert set(episodes["patient_id"]) <= set(tables["patients"]["patient_id"])


def test_same_arguments_give_the_same_bytes_in_every_format(tmp_path):
    for file_format in ("parquet", "csv", "messy"):
        patch = blocks_of(500)
        for name in ("first", "second"):
            write_sample(tmp_path / file_format / name, n_sites=9, n_episodes=1000, file_format=file_format)
        patch.undo()
        first = tmp_path / file_format / "first"
        files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
        assert len(files) > 10
        for name in files:
            assert (first / name).read_bytes() == (tmp_path / file_format / "second" / name).read_bytes(), name


def test_parquet_and_csv_hold_the_same_rows(tmp_path):
    for file_format in ("parquet", "csv"):
        write_sample(tmp_path, n_sites=9, n_episodes=1000, file_format=file_format)
    for file in tmp_path.glob("*.parquet"):
        table = pd.read_parquet(file)
        again = pd.read_csv(file.with_suffix(".csv"), dtype=str, keep_default_na=False)
        assert list(again) == list(table) and len(again) == len(table)
        key = table.columns[0]
        assert again[key].tolist() == table[key].fillna("").tolist()


def test_the_vendors_do_not_show_the_truth(root):
    for name in WAYS[2:]:
        assert not list((root / "messy" / name).glob("*.yml")) + list((root / "messy" / name).glob("*.json"))
    words = pd.read_csv(root / "messy" / "scheduler" / "Appointments.csv", dtype=str)["Status"]
    assert {"Checked Out", "Arrived", "No Show", "DNA", "arrvd?"} <= set(words) and "attended" not in set(words)
    assert b"M\xe9tro" in (root / "messy" / "scheduler" / "Locations.csv").read_bytes()       # cp1252
    percent = pd.read_csv(root / "messy" / "warehouse" / "FLOWSHEET.txt", sep="|", dtype=str)["MEAS_VALUE"]
    assert percent.str.endswith("%", na=False).any() and not list((root / "messy" / "redcap").glob("visits*"))


def share_error(p, n, extra=0.0):
    """Standard error of a share; `extra`: its spread from site to site, in standard errors squared."""
    return np.sqrt(p * (1 - p) / n + extra)


def test_rates_come_out_as_they_were_set_within_three_standard_errors(truth):
    """Sites differ by 22% in no-shows, and people by 50%, in about 40 and 4,800 draws."""
    reached = {name: entry["reached"] for name, entry in truth["calibration"].items() if isinstance(entry, dict)}
    n = truth["realized"]["appointments_by_status"]["value"]
    due = n["attended"] + n["no_show"] + n["late_cancel"]
    error = share_error(0.10, due, (0.10 * 0.22) ** 2 / 40 + (0.10 * 0.5) ** 2 / 4800)
    assert abs(reached["no_show_rate"] - 0.10) < 3 * error + 0.003         # calibrated to the third decimal
    assert reached["duplicate_scores"] == approx(0.05, abs=0.002)          # counted, not drawn
    assert reached["never_discharged"] == approx(0.03, abs=3 * share_error(0.03, 5000))
    assert reached["referral_conversion"] == approx(0.77, abs=0.03)
    assert reached["goals_met_rate"] == approx(0.51, abs=3 * share_error(0.51, 4500))
    assert reached["arrival_rate"] == approx(0.79, abs=0.02)
    assert reached["visit_adherence"] == approx(0.70, abs=0.04)
    assert 0.58 <= reached["paired_completion"] <= 0.72
    assert truth["calibration"]["deaths"] > 0 and truth["calibration"]["transfers"] > 0


def test_weekdays_seasons_waits_versions_and_regions_are_in_the_data(tables, truth):
    rate = truth["realized"]["no_show_rate_by_weekday"]["value"]
    error = share_error(0.1, len(tables["visits"]) / 5)
    assert rate["Monday"] - rate["Wednesday"] == approx(0.10 * (1.20 - 0.90), abs=5 * error)   # two rates; diluted
    start = pd.to_datetime(tables["episodes"]["start_date"])
    by_month = start[start < "2026-07-01"].dt.month.value_counts()
    assert by_month[10] > by_month[12]
    referrals = tables["referrals"].merge(tables["episodes"].dropna(subset="referral_id"), on="referral_id")
    days = (pd.to_datetime(referrals["start_date"]) - pd.to_datetime(referrals["received_date"])).dt.days
    logs = np.log(days[days > 0])
    assert np.exp(logs.mean()) == approx(8.0, rel=0.15) and logs.std() == approx(0.75, rel=0.15)
    assert abs(((logs - logs.mean()) ** 3).mean() / logs.std() ** 3) < 0.5                # log-normal: no skew left
    assert set(tables["assessments"].query("measure_code == 'lefs'")["measure_version"]) == {"1", "2"}
    regions = tables["episodes"].groupby("patient_id")[["body_region", "discipline"]].nunique()
    expected = (0.05 + 0.08) / (1 - 0.186 + 0.004)      # second discipline or region / people with an episode
    assert (regions > 1).any(axis=1).mean() == approx(expected, abs=0.005)
    assert (pd.to_datetime(tables["sites"]["open_date"]).dt.year == 2015).all() and len(tables["sites"]) == 40


def test_scores_are_missing_more_often_where_patients_do_worse(tables):
    rows = tables["assessments"].dropna(subset=["score", "assessment_id"]).query("measure_code in @SIGN")
    wide = rows.drop_duplicates(["episode_id", "measure_code", "timepoint"]).pivot(
        index=["episode_id", "measure_code"], columns="timepoint", values="score").dropna(subset=["initial", "interim"])
    early_gain = (wide["interim"] - wide["initial"]) * wide.index.get_level_values("measure_code").map(SIGN)
    by_measure = early_gain.groupby("measure_code")
    standard = (early_gain - by_measure.transform("mean")) / by_measure.transform("std")
    parts = [standard[wide["discharge"].notna()], standard[wide["discharge"].isna()]]
    error = np.sqrt(sum(part.var() / len(part) for part in parts))
    assert parts[0].mean() - parts[1].mean() > 3 * error


@pytest.fixture(scope="module")
def rollout(tmp_path_factory):
    """Text reminders at two of sixteen sites, in six seeds."""
    folder = tmp_path_factory.mktemp("rollout")
    return [write_sample(folder, n_sites=16, n_episodes=4000, seed=seed) for seed in range(6)]


def test_the_difference_in_differences_recovers_the_effect_of_reminders(rollout):
    """Over six networks; three standard errors of their mean, from their own spread."""
    effects = np.array([truth["reminders"]["effect"]["value"] for truth in rollout])
    found = np.array([truth["reminders"]["difference_in_differences"]["value"] for truth in rollout])
    assert (effects < 0).all()
    error = (found - effects).std(ddof=1) / np.sqrt(len(found))
    assert abs((found - effects).mean()) < 3 * error


def test_reminders_prevent_the_share_of_no_shows_that_they_should(rollout):
    """Factor 0.6 on most no-shows; last ones of a dropout, and missed evaluations, know nothing of reminders."""
    ratios = [truth["reminders"]["rate_with"]["value"] / truth["reminders"]["rate_without"]["value"]
              for truth in rollout]
    assert all(0.6 < ratio < 0.75 for ratio in ratios)
    assert all(truth["put_in"]["no_show_change"]["site_id"] == ["east", "site_0011"] for truth in rollout)


def test_the_pilot_runs_at_a_quarter_of_the_sites(truth, tables, root):
    log = tables["enrollment"].merge(tables["episodes"], on="episode_id")
    assert log["site_id"].nunique() <= 10 and set(log["site_id"]) <= set(tables["sites"]["site_id"][:10])
    assert "sites: 10, period" in (root / "blocks" / "pilot.yml").read_text()
    complete = truth["pilot"]["adjusted_complete"]
    assert abs(complete["value"] - 3.0) < 4 * complete["standard_error"]      # 30 patients: HC3 is short there


def test_the_command_writes_what_is_asked_for(tmp_path, capsys):
    from therapyeval.cli import main
    words = ["--sites", "9", "--episodes", "1000", "--seed", "5"]
    assert main(["sample", str(tmp_path / "csv"), *words, "--format", "csv"]) == 0
    assert "therapyeval check" in capsys.readouterr().out and (tmp_path / "csv" / "visits.csv").is_file()
    assert json.loads((tmp_path / "csv" / "truth.json").read_text())["n_sites"] == 9
    assert main(["sample", str(tmp_path / "messy"), *words, "--messy"]) == 0
    assert "therapyeval map" in capsys.readouterr().out
    assert sorted(path.name for path in Path(tmp_path / "messy").iterdir()) == [
        "README.md", "redcap", "scheduler", "truth", "warehouse"]
    assert main(["sample", str(tmp_path / "x"), "--sites", "400"]) == 4
    assert "at least 40,000" in capsys.readouterr().err
    assert main(["sample", str(tmp_path / "x"), "--name", "stroke_recovery", "--messy"]) == 2
