"""10,000 resamples of a difference of two means at n = 10,000, against scipy.stats.bootstrap. Medians of ROUNDS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from therapyeval import stats

N, RESAMPLES, ROUNDS = 10_000, 10_000, 3
BATCH = 200  # resamples at a time for scipy: all at once would need 400 MB for each group
BUDGETS = {11: "5 x", 51: "5 x", 200: "5 x", None: "1 x"}      # distinct values: how much faster than scipy as it comes


def run() -> list[str]:
    """Lines of a table: scipy as it comes, and with numpy's newer random numbers, which are quicker."""
    random = np.random.default_rng(20261122)
    group = np.repeat([0, 1], N // 2)
    lines = [f"| {RESAMPLES:,} resamples of a mean difference, n = {N:,} | wall, s | processor, s | scipy to it, wall "
             "| scipy to it, processor | budget | scipy with `rng=1` to it, wall | the same, processor |",
             "|---|---|---|---|---|---|---|---|"]
    for distinct, budget in BUDGETS.items():
        values = random.normal(50, 12, N) if distinct is None else random.integers(0, distinct, N).astype(float)
        ours, *peers = _rounds(lambda v=values: stats.bootstrap_difference(v, group, [(0, 1)]),
                               lambda v=values: _scipy(v, group), lambda v=values: _scipy(v, group, rng=1))
        plain, newer = (f"{wall / ours[0]:.1f} | {processor / ours[1]:.1f}" for wall, processor in peers)
        name = "all values differ" if distinct is None else f"{distinct} distinct values"
        lines.append(f"| {name} | {ours[0]:.2f} | {ours[1]:.2f} | {plain} | {budget} | {newer} |")
    return lines


def _scipy(values: np.ndarray, group: np.ndarray, **options: int) -> object:
    from scipy.stats import bootstrap

    return bootstrap((values[group == 0], values[group == 1]), lambda x, y, axis: x.mean(axis) - y.mean(axis),
                     n_resamples=RESAMPLES, batch=BATCH, method="percentile", **options)


def _rounds(*works: Callable[[], object]) -> list[tuple[float, float]]:
    """Median wall and processor seconds of each, rounds interleaved, after one round to warm up."""
    found = [[] for _ in works]
    for round_number in range(ROUNDS + 1):
        for times, work in zip(found, works, strict=True):
            wall, processor = time.perf_counter(), time.process_time()
            work()
            if round_number:
                times.append((time.perf_counter() - wall, time.process_time() - processor))
    return [(statistics.median(w for w, _ in times), statistics.median(p for _, p in times)) for times in found]
