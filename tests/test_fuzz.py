"""Damaged inputs of every kind: read with every row accounted for, or refused in words. Never a traceback or a hang.

`make study-fuzz` is the full size. A seed that fails is run again by `python tests/fuzz_worker.py SEED`.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest
from conftest import ROOT
from fuzz_worker import is_fault
from hypothesis import given, settings
from hypothesis import strategies as st

from therapyeval.data.sources import csv
from therapyeval.errors import DataError

WORKER = Path(__file__).parent / "fuzz_worker.py"
BATCH = 100  # cases of one process
TOLD_EVERY = 200  # cases after which the study says how far it is


def run_cases(seeds: list[int], workers: int = 2, tell: Callable[[dict], None] = lambda case: None) -> list[dict]:
    """What became of every seed, told one by one; a process that dies or hangs costs only the case that it was at."""
    batches = [seeds[start:start + BATCH] for start in range(0, len(seeds), BATCH)]
    with ThreadPoolExecutor(workers) as pool:
        return [case for cases in pool.map(lambda batch: _batch(batch, tell), batches) for case in cases]


def _batch(seeds: list[int], tell: Callable[[dict], None]) -> list[dict]:
    done: list[dict] = []
    while len(done) < len(seeds):
        words = [str(seed) for seed in seeds[len(done):]]
        with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
                [sys.executable, str(WORKER), *words], stdout=subprocess.PIPE, stderr=errors, text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)}) as ran:
            for case in map(json.loads, ran.stdout):
                done.append(case)
                tell(case)
            if len(done) < len(seeds):
                ran.wait()
                errors.seek(0)
                done.append({"seed": seeds[len(done)], "outcome": f"died ({ran.returncode}): {errors.read()[-2000:]}",
                             "seconds": 0.0})
                tell(done[-1])
    return done


def faults(cases: list[dict]) -> list[dict]:
    return [case for case in cases if is_fault(case)]


class Progress:
    """Prints how far a study is, and every fault as soon as it is found."""

    def __init__(self, n: int) -> None:
        self._n, self._done, self._faults, self._start = n, 0, 0, time.monotonic()
        self._lock = Lock()  # cases come from several threads

    def __call__(self, case: dict) -> None:
        with self._lock:
            self._done += 1
            if is_fault(case):
                self._faults += 1
                print(f"fault: {case}", flush=True)
            if self._done % TOLD_EVERY == 0 or self._done == self._n:
                minutes = (time.monotonic() - self._start) / 60
                print(f"{self._done:,} of {self._n:,} cases, {self._faults} faults, {minutes:.0f} minutes", flush=True)


def test_200_damaged_inputs_are_read_with_every_row_accounted_for_or_refused_in_words():
    cases = run_cases(list(range(200)))
    assert faults(cases) == []
    assert sum(case["outcome"] == "read" for case in cases) >= 40  # or nothing but refusals is tested


@pytest.mark.skipif(os.name == "nt", reason="Windows does not limit processor time")
def test_a_hang_is_told_by_processor_time_and_where_it_was_whatever_the_clock_says():
    held = "from fuzz_worker import limited, time\nwith limited(1):\n    "
    ran = [subprocess.run([sys.executable, "-c", held + body], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{WORKER.parent}"})
           for body in ("time.sleep(3)", "while True: pass")]
    assert ran[0].returncode == 0
    assert ran[1].returncode < 0
    assert 'File "<string>", line 3' in ran[1].stderr


def test_a_process_that_dies_costs_only_the_case_that_it_was_at(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("import sys\nfor seed in sys.argv[1:]:\n    if seed == '2': sys.exit('fell over')\n"
                      "    print(f'{{\"seed\": {seed}, \"outcome\": \"read\", \"seconds\": 0}}', flush=True)\n")
    monkeypatch.setattr("test_fuzz.WORKER", worker)
    cases = run_cases([1, 2, 3])
    assert [case["outcome"] for case in cases] == ["read", "died (1): fell over\n", "read"]
    assert faults(cases) == [cases[1]]


TEXTS = st.lists(st.text(alphabet=list(',;|\t"\n\r ab1é\x00\ufeff\u2028'), max_size=12), max_size=30).map("".join)


@settings(max_examples=300)
@given(text=TEXTS, encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]), extra=st.binary(max_size=4),
       is_packed=st.booleans())
def test_any_text_is_a_table_with_every_row_or_refused(text, encoding, extra, is_packed):
    content = text.encode(encoding, "replace") + extra
    try:
        raw = csv.read(gzip.compress(content) if is_packed else content, "any.csv")
    except DataError:
        return
    rows = [*raw.table["_row"].to_pylist(), *(row for row, _ in raw.aside)]
    assert sorted(rows) == list(range(2, len(rows) + 2))


@pytest.mark.study
def test_20_000_damaged_inputs():
    """The full size of the test above, with real data (80 minutes on two cores)."""
    cases = run_cases(list(range(20_000)), os.cpu_count() or 2, Progress(20_000))
    print(Counter(case["outcome"].split(" ")[0] for case in cases), max(case["seconds"] for case in cases))
    assert faults(cases) == []
