"""Stored facts when processes write at once or are killed: always a whole set, the old one or the new one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
import source_writers

from therapyeval.data import cache, read_dataset
from therapyeval.errors import DataError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows cannot fork")
LATEST = 0.4  # seconds after its start at which a writing process is killed; one set takes a tenth of that or more


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[Path]:
    """Two data folders with other facts, each with its facts beside it."""
    folders = []
    for discharged in ("2026-02-16", "2026-02-20"):
        folder = tmp_path_factory.mktemp("data")
        source_writers.write_csv(folder)
        path = folder / "episodes.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("2026-02-16", discharged), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cache, "FROM_BYTES", 1)
            read_dataset(folder)
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have all modules and no threads yet, so that a start takes no time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_cache_safety", "ibis", "pyarrow.parquet"])
    return context


def stored_in(folder: Path) -> tuple[cache.State, cache.Stored | None, bool]:
    """The state and the facts of a data folder that has one set."""
    state = next(iter(cache._manifests(folder / cache.NAME).values()))
    return state, *cache.load(folder, state, {})


def write(sources: list[Path], target: Path, started, times: int) -> None:
    """Store the facts of the folders one after another, again and again."""
    sets = [stored_in(source)[:2] for source in sources]
    started.set()
    for _ in range(times):
        for state, stored in sets:
            cache.store(target, state, stored)


def told(stored: cache.Stored) -> str:
    """All that was stored, as text."""
    frames = [frame for name in cache.FRAMES if (frame := getattr(stored.facts, name)) is not None]
    frames += [getattr(stored.quality, name) for name in cache.QUALITY]
    counted = stored.facts.appointments.counts((), numerator={"no_show"}, denominator={"attended", "no_show"})
    return json.dumps([frame.to_json(date_format="iso") for frame in (*frames, *counted)] + [stored.fingerprint])


def found(sets: list[Path], target: Path) -> list[str | None]:
    """What a reader finds of each set now; damage of any kind would be noted or raise."""
    results = []
    for folder in sets:
        stored, damaged = cache.load(target, stored_in(folder)[0], {})
        assert not damaged
        results.append(stored and told(stored))
    return results


def kill_at_random(sets: list[Path], target: Path, processes, moments: int, seed: int) -> int:
    """Kill writers at random moments; how many left an unfinished folder behind."""
    rng, expected = random.Random(seed), [told(stored_in(folder)[1]) for folder in sets]
    state, old, _ = stored_in(sets[0])
    cache.store(target, state, old)
    for moment in range(moments):
        started = processes.Event()
        writer = processes.Process(target=write, args=(sets, target, started, 1000))
        writer.start()
        assert started.wait(60)
        time.sleep(rng.uniform(0, LATEST))
        writer.kill()
        writer.join()
        first, second = found(sets, target)
        assert first == expected[0] and second in (None, expected[1]), f"seed {seed}, moment {moment}"
        if (moment + 1) % 50 == 0:
            print(f"{moment + 1} of {moments} writers killed", flush=True)
    return sum(not (path / cache.MANIFEST).is_file() for path in (target / cache.NAME).glob(f"{cache.NEW}*"))


def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new_facts(sets, processes, tmp_path):
    kill_at_random(sets, tmp_path, processes, moments=5, seed=1)


@pytest.mark.study
def test_300_killed_writers(sets, processes, tmp_path):
    """The full size of the test above."""
    unfinished = kill_at_random(sets, tmp_path, processes, moments=300, seed=2)
    print(f"300 writers killed, {unfinished} in the middle of a set; every reader found whole facts")
    assert unfinished > 30  # or no kill came while a set was written


def test_two_processes_that_write_at_once_leave_whole_facts(sets, processes, tmp_path):
    expected, starts = [told(stored_in(folder)[1]) for folder in sets], [processes.Event(), processes.Event()]
    writers = [processes.Process(target=write, args=(sets, tmp_path, started, 5)) for started in starts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for folder, facts in zip(sets, expected, strict=True):
            stored, _ = cache.load(tmp_path, stored_in(folder)[0], {})
            with suppress(DataError):  # the set may be cleared away while it is read, which is said in words
                assert stored is None or told(stored) == facts
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert found(sets, tmp_path) == expected
    assert len(cache._manifests(tmp_path / cache.NAME)) <= cache.KEPT + 1  # two may tidy up at the same moment


def test_files_and_their_folder_are_on_the_disk_before_the_set_gets_its_name(sets, tmp_path, monkeypatch):
    done, fsync, rename = [], os.fsync, os.rename
    monkeypatch.setattr(cache.os, "fsync", lambda file: (done.append(os.path.realpath(f"/proc/self/fd/{file}")),
                                                         fsync(file)))
    monkeypatch.setattr(cache.Path, "rename", lambda old, new: (done.append("named"), rename(old, new), new)[2])
    state, stored, _ = stored_in(sets[0])
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see which files are meant")
    cache.store(tmp_path, state, stored)
    entry = next(iter(cache._manifests(tmp_path / cache.NAME)))
    before = {Path(path).name for path in done[:done.index("named")]}
    assert before >= {path.name for path in entry.iterdir()}
    assert any(name.startswith(cache.NEW) for name in before)  # the folder itself
    assert Path(done[-1]) == (tmp_path / cache.NAME).resolve()


def test_a_kill_while_old_facts_are_cleared_away_leaves_no_part_of_them(sets, tmp_path, monkeypatch):
    rmtree = cache.shutil.rmtree

    def killed(folder, **options):
        if not (Path(folder) / cache.MANIFEST).is_file():  # the workspace of another test
            return rmtree(folder, **options)
        (Path(folder) / "episodes.parquet").unlink()
        raise KeyboardInterrupt

    (new, stored, _), (old, older, _) = (stored_in(folder) for folder in sets)
    for state, facts in ((old, older), *[(new, stored)] * (cache.KEPT - 1)):
        cache.store(tmp_path, state, facts)
    assert cache.load(tmp_path, old, {})[0] is not None
    monkeypatch.setattr(cache.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.store(tmp_path, new, stored)
    assert cache.load(tmp_path, old, {}) == (None, False)
    assert cache.load(tmp_path, new, {})[0] is not None


def test_facts_of_which_a_file_is_missing_are_made_again(sets, tmp_path):
    state, stored, _ = stored_in(sets[0])
    cache.store(tmp_path, state, stored)
    entry = next(iter(cache._manifests(tmp_path / cache.NAME)))
    (entry / "episodes.parquet").unlink()
    assert cache.load(tmp_path, state, {}) == (None, True)
    assert not entry.exists()
    assert cache._manifests(tmp_path / cache.NAME) == {}
