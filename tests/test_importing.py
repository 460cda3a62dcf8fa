"""`therapyeval import`: a canonical folder that is whole or not there, with codes for ids and the rest set aside."""

from __future__ import annotations

import json
import os
import stat
import sys

import pandas as pd
import pyarrow.parquet
import pytest
from test_cli import complains

from therapyeval.data import importing, read_dataset, sources
from therapyeval.data.importing import import_dataset
from therapyeval.errors import DataError, UsageError

EPISODES = """case,chart,who,kind,start,end
C2,MRN-0099,Zed Zulu,PT,2026-01-05,2026-02-16
C1,MRN-0100,Amy Able,OT,2026-01-12,
C3,,No Chart,PT,2026-01-12,
"""
VISITS = """key,chart,case,day,state
1,MRN-0099,C2,2026-01-05,came
2,MRN-0099,C2,2026-02-16,came
3,MRN-0100,C1,2026-01-12,came
4,MRN-0100,C1,2026-01-19,vanished
"""
MAPPING = """version: 1
tables:
  - read: cases.csv
    episode: {id: case, patient_id: chart, discipline: kind, site_id: north, start_date: start, discharge_date: end}
  - read: visits.csv
    visit: {id: key, patient_id: chart, episode_id: case, scheduled_start: day,
            status: {column: state, values: {came: attended}}}
"""
SECRETS = ("MRN-0099", "MRN-0100", "Zulu", "Able", "C2", "C3")


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, text in (("cases.csv", EPISODES), ("visits.csv", VISITS), ("mapping.yml", MAPPING)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def frame(path):
    return pyarrow.parquet.ParquetFile(path).read().to_pandas()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_holds_canonical_tables_with_codes_types_and_the_source_row(raw, tmp_path):
    found = import_dataset(raw, tmp_path / "clinic")
    assert names(found.folder) == [".therapyeval", "episodes.parquet", "import.json", "mapping.yml", "quarantine",
                                   "visits.parquet"]
    episodes = pyarrow.parquet.ParquetFile(found.folder / "episodes.parquet").read()
    assert [str(kind) for kind in episodes.select(["start_date", "discipline", "source_row"]).schema.types] == [
        "date32[day]", "string", "int64"]
    assert episodes["episode_id"].to_pylist() == ["e2", "e1"]         # in the order of the file, numbered as C1 < C2
    assert episodes["patient_id"].to_pylist() == ["p1", "p2"]
    assert episodes["source_row"].to_pylist() == [2, 3]
    assert set(episodes["source_system"].to_pylist()) == {"cases.csv"}
    visits = frame(found.folder / "visits.parquet")
    assert visits["patient_id"].tolist() == ["p1", "p1", "p2"] and visits["status"].eq("attended").all()


def test_what_cannot_be_used_and_who_is_who_lie_in_quarantine(raw, tmp_path):
    found = import_dataset(raw, tmp_path / "clinic")
    aside = found.folder / "quarantine"
    rows = pd.read_csv(aside / "rows.csv")
    assert rows.to_numpy().tolist() == [["episodes", "cases.csv", 4, "no patient_id"],
                                        ["visits", "visits.csv", 5, "unknown status"]]
    crosswalk = frame(aside / "crosswalk_patient_id.parquet")
    assert crosswalk.to_numpy().tolist() == [["MRN-0099", "p1"], ["MRN-0100", "p2"]]
    for path in found.folder.iterdir():
        if path.is_file():
            assert not [word for word in SECRETS if word.encode() in path.read_bytes()], path.name
    read = b"".join(path.read_bytes() for path in (aside / "read").iterdir())
    assert b"Zulu" not in read and b"Able" not in read      # a column that the mapping does not use


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_quarantine_is_for_its_owner_only(raw, tmp_path):
    aside = import_dataset(raw, tmp_path / "clinic").folder / "quarantine"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [aside, *aside.rglob("*")]}
    assert modes == {0o700, 0o600}


def test_an_import_after_a_fix_reads_only_what_changed(raw, tmp_path, monkeypatch):
    first = import_dataset(raw, tmp_path / "clinic")
    assert first.read == ("cases.csv", "visits.csv") and first.unchanged == ()
    (raw / "cases.csv").write_text(EPISODES.replace("C3,,", "C3,MRN-0001,"), encoding="utf-8")
    read = sources.read
    monkeypatch.setattr(sources, "read", lambda place, **how: asked.append(place.name) or read(place, **how))
    asked = []
    again = import_dataset(raw, tmp_path / "clinic")
    assert (again.read, again.unchanged) == (("cases.csv",), ("visits.csv",))
    assert asked.count("visits.csv") == 0 and "cases.csv" in asked
    assert frame(again.folder / "visits.parquet")["patient_id"].tolist() == ["p2", "p2", "p3"]   # MRN-0001 comes first
    assert pd.read_csv(again.folder / "quarantine" / "rows.csv")["table"].tolist() == ["visits"]
    fresh = import_dataset(raw, tmp_path / "fresh")
    assert again.fingerprint == fresh.fingerprint != first.fingerprint
    assert again.tables == fresh.tables
    assert again.to_text().splitlines()[-4:-2] == ["Read: cases.csv.", "Unchanged, not read again: visits.csv."]


def test_nothing_is_written_where_nothing_changed(raw, tmp_path):
    first = import_dataset(raw, tmp_path / "clinic")
    record = first.folder / "import.json"
    before = record.stat().st_mtime_ns
    os.utime(raw / "visits.csv")        # another time, the same content
    again = import_dataset(raw, tmp_path / "clinic")
    assert not again.is_written and record.stat().st_mtime_ns == before
    assert again.tables == first.tables and again.unchanged == ("cases.csv", "visits.csv")
    (raw / "mapping.yml").write_text(MAPPING.replace("north", "south"), encoding="utf-8")
    assert import_dataset(raw, tmp_path / "clinic").is_written
    assert set(read_dataset(tmp_path / "clinic").facts.episodes["site_id"]) == {"south"}


def test_damaged_rows_of_the_import_before_are_read_again(raw, tmp_path):
    import_dataset(raw, tmp_path / "clinic")
    for path in (tmp_path / "clinic" / "quarantine" / "read").iterdir():
        path.write_bytes(b"PAR1 not any more")
    (raw / "mapping.yml").write_text(MAPPING + "min_visits: 2\n", encoding="utf-8")
    assert import_dataset(raw, tmp_path / "clinic").read == ("cases.csv", "visits.csv")


@pytest.mark.parametrize("spoil", ["foreign", "file", "note", "edited", "raw", "above"])
def test_a_folder_of_somebody_else_is_never_overwritten(raw, tmp_path, spoil):
    out, words = tmp_path / "clinic", "no import wrote"
    if spoil == "foreign":
        out.mkdir()
        (out / "thesis.docx").write_text("years of work")
    elif spoil == "file":
        out.write_text("years of work")
    elif spoil in ("note", "edited"):
        import_dataset(raw, out)
        (raw / "visits.csv").write_text(VISITS.replace("vanished", "came"), encoding="utf-8")
        (out / ("thesis.docx" if spoil == "note" else "mapping.yml")).write_text("years of work")
        words = "no import wrote" if spoil == "note" else "changed by somebody"
    else:
        out, words = raw if spoil == "raw" else tmp_path, "holds the raw data"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=words):
        import_dataset(raw, out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("fault", ["unusable", "interrupted", "site"])
def test_a_failed_import_leaves_what_was_there_and_nothing_else(raw, tmp_path, monkeypatch, fault):
    import_dataset(raw, tmp_path / "clinic")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.parent != raw}
    if fault == "unusable":
        (raw / "visits.csv").write_text(VISITS.replace("came", "vanished"), encoding="utf-8")
    elif fault == "site":
        (raw / "mapping.yml").write_text(MAPPING.replace(" site_id: north,", ""), encoding="utf-8")
    else:
        (raw / "visits.csv").write_text(VISITS.replace("2026-02-16", "2026-02-17"), encoding="utf-8")
        monkeypatch.setattr(importing, "_check", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    error, words = {"unusable": (DataError, "not imported, because data are not usable"),
                    "interrupted": (KeyboardInterrupt, None),
                    "site": (DataError, "nothing says the site_id of episodes")}[fault]
    with pytest.raises(error, match=words):
        import_dataset(raw, tmp_path / "clinic")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.parent != raw}
    assert after == before


def test_the_record_holds_no_row_of_a_patient(raw, tmp_path):
    found = import_dataset(raw, tmp_path / "clinic")
    record = json.loads((found.folder / "import.json").read_text(encoding="utf-8"))
    assert set(record) == {"files", "version", "settings", "facts", "verdict", "tables", "written"}
    assert record["facts"] == found.fingerprint


def test_the_command_prints_a_line_per_table_and_its_code(run, raw, tmp_path):
    code, text, _ = run("import", raw, "--out", tmp_path / "clinic")
    assert code == 0
    assert text.splitlines()[:4] == [
        "Imported to clinic: data are usable with warnings.", "",
        "episodes (cases.csv): 3 rows, 2 in the facts, 1 in quarantine",
        "visits (visits.csv): 4 rows, 3 in the facts, 1 in quarantine"]
    assert run("check", tmp_path / "clinic")[0] == 0
    complains(run("import", raw, "--out", raw), 2, "holds the raw data")
    complains(run("import", tmp_path / "nowhere", "--out", tmp_path / "other"), 3, "no file or folder nowhere")
    assert run("import", raw)[0] == 2


@pytest.mark.parametrize("name", ["acupuncture_headache", "back_pain_prt", "appointments_noshow"])
def test_real_exports_give_the_same_facts_from_the_folder(real_data, sample, tmp_path, name):
    found = import_dataset(real_data(name), tmp_path / "out", sample(name) / "mapping.yml")     # checks itself
    wanted = read_dataset(real_data(name), sample(name) / "mapping.yml").facts
    pd.testing.assert_frame_equal(read_dataset(found.folder).facts.episodes, wanted.episodes)
