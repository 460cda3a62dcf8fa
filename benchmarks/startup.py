"""What importing the package and asking the command for help cost above bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 15
COMMANDS = {
    "bare Python": ["-c", "pass"],
    "import therapyeval": ["-c", "import therapyeval"],
    "therapyeval --help": ["-m", "therapyeval", "--help"],
    "import pandas": ["-c", "import pandas"],
}
BUDGETS = {"import therapyeval": 0.25, "therapyeval --help": 0.30}


def run() -> list[str]:
    """Lines of a table: each command's median, above bare Python, and its budget. Rounds are interleaved."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(_seconds(arguments))
    bare = median(times["bare Python"])
    lines = ["| start-up | median, s | above bare Python, s | budget, s |", "|---|---|---|---|"]
    for name, measured in times.items():
        budget = f"{BUDGETS[name]:.2f}" if name in BUDGETS else "–"
        lines.append(f"| {name} | {median(measured):.3f} | {median(measured) - bare:.3f} | {budget} |")
    return lines


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
