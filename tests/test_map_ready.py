"""Ready mappings: a made-up export in each vendor's shape comes in without edits; every count was made by hand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import row
from pytest import approx

import therapyeval as te
from therapyeval import measures
from therapyeval.cli import main
from therapyeval.data import read_dataset, ready
from therapyeval.data.coverage import check_coverage
from therapyeval.data.mapping import read_mapping

EXPORTS = Path(__file__).parent / "exports"


def read(name):
    return read_dataset(EXPORTS / name, mapping=ready.path_of(name))


def counts(dataset):
    """By table: rows read, in the facts, in quarantine, merged, left out."""
    columns = ["rows_in", "in_facts", "quarantined", "merged", "left_out"]
    return {table: tuple(values) for table, *values in dataset.quality.tables[["table", *columns]].to_numpy().tolist()}


def summed(dataset):
    """As `counts`, over all sheets of a workbook."""
    columns = ["rows_in", "in_facts", "quarantined", "merged", "left_out"]
    return {table: tuple(rows[columns].sum()) for table, rows in dataset.quality.tables.groupby("table")}


def ratio(dataset, metric):
    found = row(te.summarize(dataset.cohort(), metric), metric=metric)
    return int(found["numerator"]), int(found["denominator"])


def pairs(dataset):
    """Baseline and final score by measure, for measures of one episode."""
    scores = dataset.facts.scores.fillna({"baseline": -1, "final": -1})
    return {item.measure: (item.baseline, item.final) for item in scores.itertuples()}


def days_to_evaluation(dataset):
    return sorted(dataset.facts.referrals["days"].dropna())


@pytest.mark.parametrize("name", ready.names())
def test_every_ready_mapping_has_an_export_that_it_covers_and_says_which_columns_it_expects(name):
    coverage = check_coverage(EXPORTS / name, ready.path_of(name))
    assert coverage.is_usable and not coverage.not_read
    assert not [column for file in coverage.files for columns in file.kinds.values() for column in columns
                if column.unknown]
    head = ready.path_of(name).read_text(encoding="utf-8").split("version: 1")[0]
    assert "Written from public descriptions" in head
    listed = " ".join(re.sub(r"[#\s]+", " ", head).split())
    mapping = read_mapping(ready.path_of(name), measures.read())
    for entry in mapping.tables:
        assert entry.read in listed
        fields = [field for kind in entry.kinds.values() for field in kind.values()]
        fields += [field for points in entry.scores.values() for field in points.values()]
        for column in {column for field in [*fields, *entry.attributes.values()] for column in field.columns}:
            assert column in listed, column


def test_webpt_cases_scheduler_referrals_and_outcomes():
    dataset = read("webpt")
    assert counts(dataset) == {"episodes": (4, 4, 0, 0, 0), "visits": (15, 13, 1, 1, 0), "referrals": (3, 3, 0, 0, 0),
                               "assessments": (6, 5, 1, 0, 0)}
    # 7 attended, 2 no-shows (one of a patient without a case), 1 late: cancelled 2 hours before
    assert ratio(dataset, "no_show_rate") == (2, 10)
    assert pairs(dataset) == {"lefs": (40, 58), "quickdash": (50, 30), "modi": (36, -1)}
    assert days_to_evaluation(dataset) == [3, 8, 14]
    assert dataset.facts.episodes["n_attended"].tolist() == [3, 2, 2, 0]
    assert dataset.facts.episodes["reason"].fillna("").tolist() == ["goals_met", "", "lost_contact", ""]


def test_foto_low_back_only_because_each_body_part_has_a_scale_of_its_own():
    dataset = read("foto")
    assert counts(dataset) == {"episodes": (6, 4, 0, 0, 2), "patients": (4, 4, 0, 0, 0), "assessments": (7, 7, 0, 0, 0)}
    change = te.summarize(dataset.cohort(), "score_change:foto_fs_lumbar")
    mean = row(change, statistic="mean")  # +13, +3, -1; one episode is open
    assert (mean["estimate"], mean["n"], mean["n_missing"]) == (approx(5.0), 3, 1)
    rate = te.summarize(dataset.cohort(), "mcid_rate:foto_fs_lumbar")
    assert row(rate, estimand="complete_case")[["numerator", "denominator"]].tolist() == [1, 3]
    assert dataset.facts.episodes["predicted_fs"].tolist() == [60, 63, 58, 70]


def test_epic_encounters_referrals_and_flowsheet_rows_that_were_filed_again():
    dataset = read("epic")
    assert counts(dataset) == {"episodes": (4, 3, 0, 0, 1), "visits": (11, 11, 0, 0, 0), "referrals": (3, 3, 0, 0, 0),
                               "assessments": (7, 5, 0, 1, 1), "patients": (4, 4, 0, 0, 0)}
    # 6 attended, 1 no-show, 1 late; cancelled exactly 24 hours before is early
    assert ratio(dataset, "no_show_rate") == (1, 8)
    assert pairs(dataset) == {"lefs": (42, 58), "odi": (36, -1), "quickdash": (50, -1)}
    assert days_to_evaluation(dataset) == [8, 14]


def test_cerner_recurring_encounters_and_events_that_are_not_in_error():
    dataset = read("cerner")
    assert counts(dataset) == {"episodes": (3, 2, 0, 0, 1), "visits": (8, 8, 0, 0, 0), "assessments": (4, 3, 0, 0, 1)}
    # 4 attended, 1 no-show, 1 late by a second; one cancelled exactly 24 hours before is early, one was moved
    assert ratio(dataset, "no_show_rate") == (1, 6)
    assert pairs(dataset) == {"lefs": (35, 52), "nprs": (3, -1)}


def test_billing_lines_of_one_patient_day_and_provider_are_one_visit():
    dataset = read("billing")
    assert counts(dataset) == {"visits": (8, 4, 0, 3, 1), "charges": (7, 7, 0, 0, 0)}
    attended = te.summarize(dataset.cohort(), "arrival_rate", by="site_id").frame.set_index("site_id")
    assert attended["numerator"].to_dict() == {"North": 3, "South": 1}


def test_redcap_events_give_the_scores_and_a_repeating_instrument_the_visits():
    dataset = read("redcap")
    assert counts(dataset) == {  # 13 rows: 6 of events, 7 of the visit log
        "episodes": (13, 3, 0, 3, 7), "enrollment": (3, 3, 0, 0, 0), "patients": (3, 3, 0, 0, 0),
        "assessments": (10, 10, 0, 0, 0), "discharges": (13, 2, 0, 0, 11), "visits": (13, 6, 1, 0, 6)}
    assert ratio(dataset, "no_show_rate") == (1, 6)
    scores = dataset.facts.scores
    assert sorted(scores.loc[scores["measure"] == "lefs", ["baseline", "final"]].to_numpy().tolist()) == [
        [30, 52], [41, 47]]
    assert dataset.facts.episodes["reason"].fillna("").tolist() == ["goals_met", "plateau", ""]
    assert dataset.facts.episodes["arm"].tolist() == ["pilot", "usual", "pilot"]


def test_a_workbook_with_a_tab_for_each_month_and_scores_side_by_side():
    dataset = read("spreadsheet")
    assert summed(dataset) == {"episodes": (9, 6, 0, 0, 3), "assessments": (17, 17, 0, 0, 0)}  # 3 totals rows
    change = row(te.summarize(dataset.cohort(), "score_change:lefs"), statistic="mean")  # +15, +28, -2
    assert (change["estimate"], change["n"], change["n_missing"]) == (approx(41 / 3), 3, 1)


def test_raintree_one_row_for_each_appointment_gives_cases_patients_and_visits():
    dataset = read("raintree")
    assert counts(dataset) == {"episodes": (8, 2, 0, 5, 1), "visits": (7, 7, 0, 0, 0), "patients": (7, 2, 0, 5, 0)}
    # 4 attended, 1 no-show, 1 late; the moved one counts as neither
    assert ratio(dataset, "no_show_rate") == (1, 6)
    assert dataset.facts.episodes["discharge_date"].dt.strftime("%Y-%m-%d").fillna("").tolist() == ["2026-04-13", ""]


def test_ready_mappings_are_listed_and_used_by_name(capsys, tmp_path):
    assert main(["map", "--ready"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ready.names()
    copied = shutil.copytree(EXPORTS / "foto", tmp_path / "export")     # `check` remembers definitions beside the data
    assert main(["check", str(copied), "--mapping", "foto"]) == 0
    assert main(["map", str(copied), "--check", "--mapping", "foto"]) == 0


def test_a_file_of_the_same_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ready.found("foto") == str(ready.path_of("foto"))
    (tmp_path / "foto").write_text("version: 1")
    assert ready.found("foto") == "foto" and ready.found("other.yml") == "other.yml"
