"""What changed in the definitions since data were read before: rules, thresholds and lines of the mapping."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest
from test_quality_rules import EPISODES, VISITS

from therapyeval.data import cache, read_dataset
from therapyeval.data.dataset import remember_definitions
from therapyeval.data.definitions import FILE, Change, changes
from therapyeval.data.importing import import_dataset

MAPPING = """version: 1
tables:
  - read: care.csv
    episode: {id: Case, patient_id: Person, discipline: PT, site_id: Clinic, start_date: Start, discharge_date: End,
              status: {column: State, values: {Done: finished, Open: active}}}
  - read: slots.csv
    visit: {id: Slot, patient_id: Person, episode_id: Case, scheduled_start: Day,
            status: {column: Status, values: {Arrived: attended, Missed: no_show}}}
"""
CARE = "Case,Person,Clinic,Start,End,State\ne1,p1,north,2026-01-05,2026-02-16,Done\n"
SLOTS = "Slot,Person,Case,Day,Status\nv1,p1,e1,2026-01-05,Arrived\nv2,p1,e1,2026-02-16,Arrived\n"
MEASURES = "code,name,discipline,unit,minimum,maximum,direction,mcid,mcid_basis,paired\n"


@pytest.fixture
def raw(tmp_path):
    """A folder of two raw files with their mapping."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, text in (("care.csv", CARE), ("slots.csv", SLOTS), ("mapping.yml", MAPPING)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def seen(folder, **options):
    """The changes that a reading finds; then its definitions are kept."""
    dataset = read_dataset(folder, **options)
    remember_definitions(folder, dataset)
    return dataset.changes


def rewrite(folder, old, new):
    text = (folder / "mapping.yml").read_text(encoding="utf-8")
    assert old in text
    (folder / "mapping.yml").write_text(text.replace(old, new), encoding="utf-8")


def test_nothing_stored_is_not_the_same_as_nothing_changed(raw):
    assert seen(raw) is None
    again = seen(raw)
    assert again.items == () and again.since == "2026-02-16"


def test_a_rule_and_a_column_are_told_from_what_to_what_and_asking_again_says_the_same(raw):
    seen(raw)
    rewrite(raw, "version: 1\n", "version: 1\nstale_days: 90\n")
    rewrite(raw, "start_date: Start", "start_date: End")
    wanted = (Change("rules", ("stale_days",), "60", "90"),
              Change("mapping", ("care.csv", "episode", "start_date"), "Start", "End"))
    for _ in range(2):
        found = seen(raw)
        assert found.items == wanted and found.since == "2026-02-16"
    assert found.without_codes() == ["stale_days: from 60 to 90", "care.csv, episode, start_date: from Start to End"]


def test_a_rule_that_is_written_out_with_its_default_is_no_change(raw):
    seen(raw)
    rewrite(raw, "version: 1\n", "version: 1\nstale_days: 60\nnote: the same\ndata_cut: 2026-03-01\n")
    rewrite(raw, "start_date: Start", "start_date: {column: Start}")
    assert seen(raw).items == ()


def test_codes_are_told_on_the_screen_and_only_counted_elsewhere(raw):
    seen(raw)
    rewrite(raw, "Missed: no_show", "Missed: late_cancel, Gone home: no_show")
    name = ("slots.csv", "visit", "status", "values")
    found = seen(raw)
    assert found.items == (Change("mapping", (*name, "Missed"), "no_show", "late_cancel"),
                           Change("mapping", (*name, "Gone home"), "not set", "no_show"))
    assert found.without_codes() == ["slots.csv, visit, status: 2 lines of the mapping changed"]


def test_the_threshold_of_a_measure_is_told_where_the_data_had_it_both_times(tmp_path):
    def write(mcid, code):
        (tmp_path / "measures.csv").write_text(
            f"{MEASURES}walk,Walk,PT,points,0,80,higher_better,{mcid},anchor,yes\n", encoding="utf-8")
        (tmp_path / "assessments.csv").write_text(
            f"patient_id,episode_id,measure_code,score,date,timepoint\np1,e1,walk,40,2026-01-05,initial\n"
            f"p1,e1,{code},5,2026-01-05,initial\n", encoding="utf-8")

    for name, text in (("episodes", EPISODES), ("visits", VISITS)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    write(9, "nprs")
    seen(tmp_path)
    write(10.5, "tug")
    assert seen(tmp_path).items == (Change("thresholds", ("walk", "mcid"), "9", "10.5"),)


def test_going_back_is_a_change_too_and_a_damaged_file_is_as_none(raw):
    seen(raw)
    rewrite(raw, "version: 1\n", "version: 1\nmin_visits: 2\n")
    seen(raw)
    rewrite(raw, "min_visits: 2\n", "")
    read = read_dataset(raw)
    assert read.changes.items == (Change("rules", ("min_visits",), "2", "3"),)
    for text in ("", "[]", '{".": 3}', '{".": {"now": {"definitions": {}}, "before": null}}'):
        (raw / cache.NAME / FILE).write_text(text, encoding="utf-8")
        assert changes(raw, read.definitions) is None
    assert seen(raw) is None
    assert changes(raw, read.definitions).items == ()


def test_each_file_of_a_folder_has_definitions_of_its_own(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(EPISODES, encoding="utf-8")
        (tmp_path / f"{name}.yml").write_text(
            f"version: 1\ntables:\n  - read: {name}\n    episode: {{id: episode_id, patient_id: patient_id, "
            "discipline: discipline, site_id: site_id, start_date: start_date}\n", encoding="utf-8")
    assert seen(tmp_path / "a.csv", mapping=tmp_path / "a.csv.yml") is None
    assert seen(tmp_path / "b.csv", mapping=tmp_path / "b.csv.yml") is None
    assert seen(tmp_path / "a.csv", mapping=tmp_path / "a.csv.yml").items == ()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_what_is_stored_is_for_the_owner_only_and_nothing_is_left_beside_it(raw):
    seen(raw)
    folder = raw / cache.NAME
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE]
    told = json.dumps(json.loads((folder / FILE).read_text(encoding="utf-8")))
    assert "p1" not in told and "v1" not in told


def test_an_import_keeps_the_definitions_of_the_raw_data_over_the_folder_that_it_replaces(raw, tmp_path):
    out = tmp_path / "out"
    import_dataset(raw, out)
    first = read_dataset(out)
    assert first.changes.items == ()
    assert first.definitions["mapping"] == read_dataset(raw).definitions["mapping"]
    rewrite(raw, "Missed: no_show", "Missed: late_cancel")
    import_dataset(raw, out)
    change = Change("mapping", ("slots.csv", "visit", "status", "values", "Missed"), "no_show", "late_cancel")
    assert read_dataset(out).changes.items == seen(out).items == seen(out).items == (change,)
    shutil.rmtree(out / cache.NAME)
    assert read_dataset(out).changes is None
