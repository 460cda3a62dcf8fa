"""Damaged inputs of every kind: read with every row accounted for, or refused in words. Never a traceback or a hang.

`make study-fuzz` is the full size. A seed that fails is run again by `python tests/fuzz_worker.py SEED`.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT
from fuzz_worker import is_fault
from hypothesis import given, settings
from hypothesis import strategies as st

from therapyeval.data.sources import csv
from therapyeval.errors import DataError

WORKER = Path(__file__).parent / "fuzz_worker.py"
BATCH = 100  # cases of one process
SLOW = 10  # seconds of processor time that no case may take


def run_cases(seeds: list[int], workers: int = 2) -> list[dict]:
    """What became of every seed; a process that dies or hangs costs only the case that it was at."""
    batches = [seeds[start:start + BATCH] for start in range(0, len(seeds), BATCH)]
    with ThreadPoolExecutor(workers) as pool:
        return [case for cases in pool.map(_batch, batches) for case in cases]


def _batch(seeds: list[int]) -> list[dict]:
    done: list[dict] = []
    while len(done) < len(seeds):
        words = [str(seed) for seed in seeds[len(done):]]
        ran = subprocess.run([sys.executable, str(WORKER), *words], capture_output=True, text=True,
                             env=os.environ | {"PYTHONPATH": str(ROOT)})
        done += [case for case in map(json.loads, ran.stdout.splitlines()) if case["outcome"] != "begun"]
        if len(done) < len(seeds):
            done.append({"seed": seeds[len(done)], "outcome": f"died: {ran.stderr[-2000:]}", "seconds": 0.0})
    return done


def faults(cases: list[dict]) -> list[dict]:
    return [case for case in cases if is_fault(case["outcome"]) or case["seconds"] > SLOW]


def test_200_damaged_inputs_are_read_with_every_row_accounted_for_or_refused_in_words():
    cases = run_cases(list(range(200)))
    assert faults(cases) == []
    assert sum(case["outcome"] == "read" for case in cases) >= 40  # or nothing but refusals is tested


TEXTS = st.lists(st.text(alphabet=list(',;|\t"\n\r ab1é\x00\ufeff\u2028'), max_size=12), max_size=30).map("".join)


@settings(max_examples=300, deadline=None, derandomize=True)
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
    """The full size of the test above, with real data (about four hours on two cores)."""
    cases = run_cases(list(range(20_000)))
    print(Counter(case["outcome"].split(" ")[0] for case in cases), max(case["seconds"] for case in cases))
    assert faults(cases) == []
