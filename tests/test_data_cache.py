"""Facts kept on disk: the same as read anew, never half, never of other data, for their owner only."""

from __future__ import annotations

import gc
import os
import shutil
import stat

import pandas as pd
import pytest

from therapyeval.data import cache, dataset, engine, read_dataset
from therapyeval.data.fingerprint import facts_fingerprint


@pytest.fixture
def folder(tmp_path, sample, monkeypatch):
    """A copy of harbor_rehab that counts as large, and a home without a cache."""
    monkeypatch.setattr(cache, "FROM_BYTES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    shutil.copytree(sample("harbor_rehab"), tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def not_made(monkeypatch):
    """After this is called, making facts from the files fails."""
    def forbid():
        monkeypatch.setattr(dataset, "_made", lambda *arguments: pytest.fail("the facts were made again"))
    return forbid


def counted(data):
    return data.facts.appointments.counts((), numerator={"no_show"}, denominator={"attended", "no_show"},
                                          by=["site_id", "discipline"], every="month")[0]


def assert_same(one, other):
    for name in cache.FRAMES:
        found, wanted = getattr(one.facts, name), getattr(other.facts, name)
        assert found is wanted is None or pd.testing.assert_frame_equal(found, wanted) is None
    for name in ("tables", "problems", "quarantine"):
        pd.testing.assert_frame_equal(getattr(one.quality, name), getattr(other.quality, name))
    pd.testing.assert_frame_equal(counted(one), counted(other))
    assert (one.fingerprint, one.data_cut, one.quality.verdict) == (other.fingerprint, other.data_cut,
                                                                    other.quality.verdict)


def stored(folder):
    return sorted(path for path in (folder / cache.NAME).glob("[!.]*"))


def test_unchanged_data_are_read_only_once(folder, not_made):
    read_dataset(folder)
    not_made()
    again = read_dataset(folder)
    (folder / "visits.parquet").touch()  # another time, the same content
    assert read_dataset(folder).fingerprint == again.fingerprint
    assert len(stored(folder)) == 1


def test_facts_under_the_cache_equal_facts_without_one(folder, sample):
    read_dataset(folder)
    assert_same(read_dataset(folder), dataset_without_cache(sample("harbor_rehab")))


def dataset_without_cache(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "FROM_BYTES", 10**12)
        return read_dataset(path)


def test_other_data_another_cut_and_another_mapping_are_read_anew(folder):
    first = read_dataset(folder)
    assert read_dataset(folder, data_cut="2026-06-30").data_cut == pd.Timestamp("2026-06-30")
    sites = pd.read_parquet(folder / "sites.parquet")
    sites.assign(name="X").to_parquet(folder / "sites.parquet")
    assert read_dataset(folder).fingerprint != first.fingerprint
    (folder / "mapping.yml").write_text((folder / "mapping.yml").read_text() + "stale_days: 90\n")
    assert read_dataset(folder).facts.episodes["closed_admin"].sum() < first.facts.episodes["closed_admin"].sum()
    assert len(stored(folder)) == cache.KEPT


def test_facts_of_another_format_are_read_anew(folder, monkeypatch):
    first = read_dataset(folder)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    again = read_dataset(folder)
    assert len(stored(folder)) == 2 and again.fingerprint == first.fingerprint
    assert cache.DAMAGED not in set(again.quality.problems["rule"])


@pytest.mark.parametrize("file", ["episodes.parquet", "appointments.parquet", "manifest.json"])
def test_damaged_facts_are_made_again_and_that_is_noted(folder, file, sample):
    first = read_dataset(folder)
    path = stored(folder)[0] / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    again = read_dataset(folder)
    pd.testing.assert_frame_equal(again.facts.episodes, first.facts.episodes)
    noted = cache.DAMAGED in set(again.quality.problems["rule"])
    assert noted or file == "manifest.json"  # without its manifest nobody knows that it was there
    assert_same(read_dataset(folder), dataset_without_cache(sample("harbor_rehab")))


def test_a_stopped_run_leaves_nothing_that_is_read(folder, monkeypatch):
    monkeypatch.setattr(cache.os, "rename", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        read_dataset(folder)
    monkeypatch.undo()
    assert cache._manifests(folder / cache.NAME) == {}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_only_the_owner_may_read_what_is_stored(folder):
    read_dataset(folder)
    rights = {stat.S_IMODE(path.stat().st_mode) for path in (folder / cache.NAME).rglob("*") if path.is_file()}
    assert rights == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [folder / cache.NAME, *stored(folder)]} == {0o700}


def test_data_read_within_a_limit_of_memory_give_the_same_facts(folder, sample, monkeypatch):
    monkeypatch.setattr(dataset, "HUGE", 1)
    assert_same(read_dataset(folder), dataset_without_cache(sample("harbor_rehab")))


def test_rows_that_do_not_fit_into_memory_go_to_a_private_folder_and_are_removed(tmp_path):
    folder = cache.workspace(tmp_path)
    connection = engine.connect(folder)
    connection.con.execute("SET memory_limit = '60MB'; CREATE TABLE rows AS SELECT range AS i FROM range(20_000_000)")
    assert list(folder.iterdir())
    assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    del connection
    gc.collect()
    assert not folder.exists()


def test_nothing_of_the_work_stays_beside_the_facts(folder):
    data = read_dataset(folder)
    counted(data)
    del data
    gc.collect()
    assert not list((folder / cache.NAME).glob(".*"))


def test_small_data_are_not_stored(sample, tmp_path):
    shutil.copytree(sample("stroke_recovery"), tmp_path / "data")
    read_dataset(tmp_path / "data")
    assert not (tmp_path / "data" / cache.NAME).exists()


def test_facts_go_to_the_users_cache_where_the_data_folder_cannot_be_written(folder, tmp_path, monkeypatch, not_made):
    (folder / cache.NAME).write_text("a file is in the way")
    read_dataset(folder)
    not_made()
    read_dataset(folder)
    assert list((tmp_path / "home" / "therapyeval").iterdir())


def test_facts_of_a_huge_database_are_the_same_made_piece_by_piece(folder, monkeypatch):
    usual = read_dataset(folder)
    monkeypatch.setattr(dataset, "HUGE", 1)
    monkeypatch.setattr(engine, "PIECE", 1000)
    with monkeypatch.context() as anew:
        anew.setattr(cache, "load", lambda *place: (None, False))
        huge = read_dataset(folder)
    assert_same(huge, usual)
    assert_same(read_dataset(folder), usual)  # as the huge one was stored
    assert facts_fingerprint(huge.facts) == facts_fingerprint(usual.facts)
