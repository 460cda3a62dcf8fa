"""Reading 12 million visits of 1 million episodes: checks, roll-up and the second read, beside SQL written by hand.

Each way runs in a process of its own, so that its peak memory is its own. `N_EPISODES` sets the size (12 visits each);
8,333,334 makes 100 million visits, which the package reads within 4 GiB (the peak of resident memory that the kernel
counts for its process) and the peers not at all. All ways end with facts in Parquet and episodes in Python. The counts
of visits by episode, one part of the roll-up, also by pandas and polars.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

N_EPISODES = int(os.environ.get("N_EPISODES", 1_000_000))
BUDGETS = {"roll-up and writing": "1.25 x time, 1.2 x memory of SQL", "checks": "3 x roll-up",
           "second read": "1 s at 1 million episodes"}
ROUNDS, FOR_PEERS = 3, 2_000_000
BY_HAND = "SQL by hand"
LAST_DAY, CUT = "2026-06-30", "2026-07-01"
COUNTED = ("attended", "no_show", "late_cancel", "early_cancel", "rescheduled", "booked")


def run() -> list[str]:
    """Lines of a table: seconds of processor and wall clock, peak memory, and ratios to SQL by hand (medians)."""
    with tempfile.TemporaryDirectory() as folder:
        _in_a_process("make", folder)
        rounds = [_round(folder) for _ in range(ROUNDS if N_EPISODES <= FOR_PEERS else 1)]
    lines = [f"| intake of {N_EPISODES:,} episodes | wall, s | processor, s | peak memory, GB | wall to SQL by hand "
             "| processor to SQL by hand | memory to SQL by hand | budget |", "|---|---|---|---|---|---|---|---|"]
    for name in rounds[0]:
        figures = " | ".join(f"{median(found[name][place] for found in rounds):.1f}" for place in range(3))
        ratios = " | ".join(f"{median(found[name][place] / found[BY_HAND][place] for found in rounds):.2f}"
                            if BY_HAND in rounds[0] else "–" for place in range(3))
        lines.append(f"| {name} | {figures} | {ratios} | {BUDGETS.get(name, '–')} |")
    return lines if importlib.util.find_spec("polars") else [*lines, "", "polars is not installed: left out."]


def _round(folder: str) -> dict[str, list[float]]:
    """Every way once, without facts from the round before; beyond FOR_PEERS only the package has memory enough."""
    shutil.rmtree(Path(folder) / ".therapyeval", ignore_errors=True)
    if N_EPISODES > FOR_PEERS:
        return _in_a_process("first", folder) | _in_a_process("second", folder)
    found = _in_a_process("by_hand", folder) | _in_a_process("first", folder) | _in_a_process("second", folder)
    for name in ("pandas", "polars"):
        if importlib.util.find_spec(name):
            found |= _in_a_process(f"counts_by_{name}", folder)
    return found


def _in_a_process(step: str, folder: str) -> dict[str, list[float]]:
    shown = subprocess.run([sys.executable, "-W", "ignore", "-m", "benchmarks.intake", step, folder], check=True,
                           capture_output=True, text=True, cwd=Path(__file__).resolve().parent.parent)
    return json.loads(shown.stdout or "{}")


class Watch:
    """Seconds (wall, processor) and peak memory (GB) since the last mark."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}
        self._start = self._now()

    def mark(self, name: str) -> None:
        import resource

        now = self._now()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        self.found[name] = [now[0] - self._start[0], now[1] - self._start[1], peak]
        self._start = now

    @staticmethod
    def _now() -> tuple[float, float]:
        import time

        return time.perf_counter(), time.process_time()


def make(folder: Path) -> dict:
    """Canonical Parquet: visits, episodes, discharges."""
    import duckdb

    for name, query in _tables(N_EPISODES).items():
        duckdb.execute(f"COPY ({query}) TO '{folder / name}.parquet' (FORMAT parquet)")
    return {}


def by_hand(folder: Path) -> dict:
    """The same facts by SQL, written to Parquet, without any check."""
    import duckdb

    connection, watch = duckdb.connect(), Watch()
    script = (Path(__file__).parent / "intake.sql").read_text(encoding="utf-8").replace("FOLDER", str(folder))
    for statement in script.split(";")[:-1]:
        connection.execute(statement)
    connection.execute(f"COPY appointments TO '{folder / 'by_hand_appointments'}' (FORMAT parquet, COMPRESSION zstd)")
    connection.execute(f"COPY facts TO '{folder / 'by_hand_facts'}' (FORMAT parquet, COMPRESSION zstd)")
    connection.sql("SELECT * EXCLUDE (sources) FROM facts").to_arrow_table().to_pandas()
    watch.mark(BY_HAND)
    return watch.found


def first(folder: Path) -> dict:
    """The first read: checks, then roll-up."""
    from therapyeval.data import dataset

    watch = Watch()
    dataset.make_numbers = _marked(dataset.make_numbers, before=lambda: watch.mark("checks"))
    dataset.read_dataset(folder, data_cut=LAST_DAY)
    watch.mark("roll-up and writing")
    return watch.found


def second(folder: Path) -> dict:
    """The second read, from the stored facts."""
    from therapyeval.data import dataset

    watch = Watch()
    dataset.read_dataset(folder, data_cut=LAST_DAY)
    watch.mark("second read")
    return watch.found


def counts_by_pandas(folder: Path) -> dict:
    """First and last attended day, and visits by status, of each episode."""
    import pandas as pd

    watch = Watch()
    visits = pd.read_parquet(folder / "visits.parquet", columns=["episode_id", "scheduled_start", "status"])
    visits = visits[visits["scheduled_start"] < CUT]
    visits["scheduled_start"].where(visits["status"] == "attended").groupby(visits["episode_id"]).agg(["min", "max"])
    pd.crosstab(visits["episode_id"], visits["status"])
    watch.mark("counts of visits alone, pandas")
    return watch.found


def counts_by_polars(folder: Path) -> dict:
    """The same."""
    import polars as pl

    watch = Watch()
    visits = pl.scan_parquet(folder / "visits.parquet")
    visits = visits.filter(pl.col("scheduled_start") < pl.lit(CUT).str.to_datetime())
    days = pl.col("scheduled_start").filter(pl.col("status") == "attended")
    visits.group_by("episode_id").agg(
        days.min().alias("first"), days.max().alias("last"),
        *((pl.col("status") == status).sum().alias(status) for status in COUNTED)).collect()
    watch.mark("counts of visits alone, polars")
    return watch.found


def _marked(function, *, before):
    def marked(*arguments, **named):
        before()
        return function(*arguments, **named)

    return marked


def _tables(n: int) -> dict[str, str]:
    """Queries that make the tables: hashes in place of chance, so that every run reads the same."""
    patient = f"'P' || lpad((hash({{}}) % {int(n * 0.85)})::VARCHAR, 8, '0')"
    start = "DATE '2024-01-01' + (hash({} + 1) % 900)::INT"
    regions = "['knee', 'hip', 'shoulder', 'lumbar_pelvis']"
    status = ("CASE WHEN h % 100 < 80 THEN 'attended' WHEN h % 100 < 88 THEN 'no_show' "
              "WHEN h % 100 < 92 THEN 'late_cancel' WHEN h % 100 < 96 THEN 'early_cancel' ELSE 'rescheduled' END")
    return {
        "episodes": f"SELECT 'E' || lpad(i::VARCHAR, 8, '0') AS episode_id, {patient.format('i')} AS patient_id, "
                    "(['PT', 'OT', 'SLP'])[1 + (hash(i + 7) % 3)::INT] AS discipline, 'site_' || i % 400 AS site_id, "
                    f"({regions})[1 + (hash(i + 3) % 4)::INT] AS body_region, {start.format('i')} AS start_date, "
                    f"'active' AS status, 'commercial' AS payer_class, 8 + i % 8 AS planned_visits "
                    f"FROM range({n}) t(i)",
        "discharges": f"SELECT 'E' || lpad(i::VARCHAR, 8, '0') AS episode_id, {start.format('i')} + 30 + "
                      "(hash(i + 2) % 60)::INT AS discharge_date, (['goals_met', 'plateau', 'self_discharge'])"
                      f"[1 + (hash(i + 5) % 3)::INT] AS reason, 50 + i % 50 AS goals_met_pct FROM range({n}) t(i) "
                      "WHERE i % 8 <> 0",
        "visits": "WITH rows AS (SELECT i, i // 12 AS e, hash(i) AS h, "
                  f"({start.format('(i // 12)')} + ((i % 12) * 5)::INT)::TIMESTAMP + "
                  f"to_minutes(480 + 15 * (hash(i) % 36)::INT) AS starts FROM range({12 * n}) t(i)), "
                  f"known AS (SELECT *, {status} AS told FROM rows) "
                  f"SELECT 'V' || lpad(i::VARCHAR, 9, '0') AS visit_id, {patient.format('e')} AS patient_id, "
                  "'E' || lpad(e::VARCHAR, 8, '0') AS episode_id, starts AS scheduled_start, "
                  "starts + INTERVAL 45 MINUTE AS scheduled_end, CASE WHEN starts >= '2026-07-01' THEN 'booked' "
                  "ELSE told END AS status, "
                  "CASE WHEN told LIKE '%cancel' THEN starts - to_hours((h % 72)::INT) END AS status_dt, "
                  "starts::DATE - (h % 40)::INT AS booked_date, 'site_' || e % 400 AS site_id, "
                  "'T' || lpad((e % 4000)::VARCHAR, 5, '0') AS staff_id, "
                  "CASE WHEN h % 10 = 0 THEN 'telehealth' ELSE 'in_person' END AS mode, "
                  "CASE WHEN i % 12 = 0 THEN 'evaluation' ELSE 'treatment' END AS visit_type FROM known"}


if __name__ == "__main__":
    step = {function.__name__: function for function in (make, by_hand, first, second, counts_by_pandas,
                                                         counts_by_polars)}[sys.argv[1]]
    print(json.dumps(step(Path(sys.argv[2]))))
