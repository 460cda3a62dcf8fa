"""One pilot report by the command, and the same template by plain papermill and nbconvert."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data_samples"
ROUNDS = 3


def run() -> list[str]:
    """Lines of a table: median seconds of each way, interleaved, and their ratio."""
    times: dict[str, list[float]] = {"therapyeval report": [], "papermill + nbconvert": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            times["therapyeval report"].append(_seconds(_ours(Path(folder))))
            times["papermill + nbconvert"].append(_seconds(*_plain(Path(folder))))
    ours, plain = (median(measured) for measured in times.values())
    return ["| report of stroke_recovery | median, s | ratio |", "|---|---|---|",
            f"| therapyeval report | {ours:.1f} | {ours / plain:.2f} |",
            f"| papermill + nbconvert | {plain:.1f} | 1 |"]


def _ours(folder: Path) -> list[str]:
    sample = SAMPLES / "stroke_recovery"
    return [sys.executable, "-m", "therapyeval", "report", "pilot_study", "--data", str(sample),
            "-p", f"protocol={sample / 'pilot.yml'}", "--out", str(folder)]


def _plain(folder: Path) -> list[list[str]]:
    sample, made = SAMPLES / "stroke_recovery", str(folder / "plain.ipynb")
    return [[sys.executable, "-m", "papermill", str(ROOT / "templates" / "pilot_study.ipynb"), made,
             "-p", "data", str(sample), "-p", "protocol", str(sample / "pilot.yml")],
            [sys.executable, "-m", "nbconvert", "--to", "html", "--no-input", made]]


def _seconds(*commands: list[str]) -> float:
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - start
