"""One process of the fuzz study: damages an input for each seed, reads it, and prints what became of it as JSON.

A process of its own, so that a hang or a crash inside a native library is seen. Usage: fuzz_worker.py SEED SEED …
"""

from __future__ import annotations

import faulthandler
import gzip
import json
import math
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import fuzz_formats as formats
import fuzz_mutations as mutations
from conftest import ROOT
from fuzz_inputs import INPUTS, AbsentError

from therapyeval.data import read_dataset
from therapyeval.data.draft import draft_mapping
from therapyeval.data.mapping_text import mapping_text
from therapyeval.errors import TherapyevalError

UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
SLOW = 10  # seconds of processor time that no case may take: the clock says nothing on a machine with other work
STANDS = 900  # seconds on the clock after which a case that uses no processor is taken to wait for ever
SMALL = ("kutner", "stroke", "foto", "raintree", "spreadsheet", "billing", "sicily_its", "small csv", "small workbook",
         "small sqlite", "small typed_parquet", "small duckdb", "small fhir")
MANY_TABLES = ("harbor gz", "harbor parquet", "webpt", "cerner", "epic", "small duckdb")   # take two seconds each
OFTEN, SELDOM = 3, 1


def damage(folder: Path, rng: random.Random) -> None:
    """Mutate one to three files of a folder, more often data than the mapping."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    data = [path for path in files if path.suffix != ".yml"]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        path = rng.choice(data) if rng.random() < 0.8 else rng.choice(files)
        _damage_file(path, rng)


def _damage_file(path: Path, rng: random.Random) -> None:
    content, is_packed = path.read_bytes(), path.suffix == ".gz"
    meant = rng.random() < 0.7  # else bytes
    if path.suffix in (".duckdb", ".db") and meant and content[:6] == b"SQLite" or path.suffix == ".duckdb" and meant:
        try:
            return formats.database(rng, path)
        except Exception:  # damaged already
            return None
    if is_packed and rng.random() < 0.9:
        with suppress(OSError, EOFError, zlib.error):
            content = gzip.decompress(content)
    known = {".yml": [formats.mapping], ".parquet": [formats.parquet_table], ".xlsx": [formats.workbook],
             ".ndjson": [formats.ndjson, *mutations.TEXT]}.get(
                 path.suffix, [mutations.text_table, mutations.text_table, *mutations.TEXT])
    try:
        new = rng.choice(known if meant else mutations.BYTES)(rng, content)
    except Exception:  # a second mutation may find a file that its first one damaged
        new = rng.choice(mutations.BYTES)(rng, content)
    path.write_bytes(gzip.compress(new, 1) if is_packed and content[:2] != b"\x1f\x8b" else new)
    return None


def outcome(seed: int, folder: Path) -> str:
    """ "read", "refused …" or "absent"; anything else is a fault."""
    rng = random.Random(seed)
    names = SMALL if seed < 1000 else sorted(INPUTS)
    name = rng.choices(names, [SELDOM if name in MANY_TABLES else OFTEN for name in names])[0]
    folder.mkdir()
    try:
        INPUTS[name](folder)
    except AbsentError:
        return "absent"
    damage(folder, rng)
    files = [path for path in folder.iterdir() if path.suffix != ".yml"]
    place = files[0] if len(files) == 1 and name.startswith("small") else folder
    try:
        if rng.random() < 0.15 or not (folder / "mapping.yml").exists() and "small" not in name:
            (folder / "mapping.yml").write_text(mapping_text(draft_mapping(place)), encoding="utf-8")
        return _checked(read_dataset(place).quality)
    except TherapyevalError as error:
        told = str(error)
        if not told or len(told) > 8000 or str(folder.parent) in told or UNSEEN.search(told):
            return f"bad message: {told[:300]!r}"
        return f"refused {type(error).__name__}: {told[:200]}"


def _checked(quality) -> str:
    """Whether every row is accounted for, and the report can be shown and stored."""
    tables = quality.tables
    lost = tables["rows_in"] != tables[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)
    if lost.any() or (tables[["in_facts", "quarantined", "merged", "left_out"]] < 0).any(axis=None):
        return f"rows are lost: {tables[lost].to_dict('records')}"
    quality.to_text().encode("utf-8")
    json.dumps(quality.to_dict())
    return "read"


def is_fault(case: dict) -> bool:
    found = case["outcome"]
    return case["seconds"] > SLOW or found not in ("absent", "read") and not found.startswith("refused ")


@contextmanager
def limited(seconds: int = SLOW):
    """The process ends, telling where it was, after so many seconds of processor time or STANDS by the clock."""
    faulthandler.dump_traceback_later(STANDS, exit=True)
    _limit_processor(math.ceil(time.process_time()) + seconds)
    yield
    _limit_processor(None)
    faulthandler.cancel_dump_traceback_later()


def _limit_processor(seconds: int | None) -> None:
    with suppress(ImportError):  # Windows has no such limit
        import resource

        faulthandler.register(signal.SIGXCPU, chain=True)  # tells, then ends the process
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (most if seconds is None else seconds, most))


def run(seed: int, folder: Path) -> dict:
    started = time.process_time()
    try:
        found = outcome(seed, folder)
    except Exception:
        found = _fault()
    shutil.rmtree(folder)
    return {"seed": seed, "outcome": found, "seconds": round(time.process_time() - started, 2)}


def _fault() -> str:
    """The last places in our code, and the error, of what must not happen."""
    kind, error, stack = sys.exc_info()
    ours = [frame for frame in traceback.extract_tb(stack) if "therapyeval/" in frame.filename]
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours[-3:])
    return f"traceback: {kind.__name__} at {places}: {str(error)[:300]}"


def main(seeds: list[int]) -> None:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="fetch_arrow_table", category=DeprecationWarning)
    with tempfile.TemporaryDirectory(prefix="fuzz") as home:
        for seed in seeds:
            with limited():
                case = run(seed, Path(home) / f"case{seed}")
            print(json.dumps(case), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    faulthandler.enable()
    main([int(word) for word in sys.argv[1:]])
