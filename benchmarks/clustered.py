"""Comparisons of 20,000 rows in 200 clusters: CR2, a mixed model, GEE, the wild bootstrap. Medians of ROUNDS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from therapyeval import stats

N_ROWS, N_CLUSTERS, ROUNDS = 20_000, 200, 3
BUDGETS = {"CR2": "1 s", "random intercept": "3 s", "random intercept and slope": "3 s", "GEE, exchangeable": "3 s",
           "wild bootstrap, 9,999 resamples": "–"}


def run() -> list[str]:
    """Lines of a table."""
    random = np.random.default_rng(20261101)
    cluster = random.integers(0, N_CLUSTERS, N_ROWS)
    covariates = pd.DataFrame({"age": random.normal(60, 12, N_ROWS), "payer": random.choice(list("xyz"), N_ROWS)})
    outcome = random.normal(size=N_CLUSTERS)[cluster] + 0.02 * covariates["age"].to_numpy() + random.normal(size=N_ROWS)
    arguments = outcome, cluster % 2, [(1, 0)], covariates
    compared = {
        "CR2": lambda: stats.adjusted_difference(*arguments, variance="CR2", cluster=cluster),
        "random intercept": lambda: stats.mixed_difference(*arguments, cluster=cluster),
        "random intercept and slope": lambda: stats.mixed_difference(*arguments, cluster=cluster,
                                                                     slope=covariates["age"]),
        "GEE, exchangeable": lambda: stats.gee_contrast(*arguments, cluster=cluster),
        "wild bootstrap, 9,999 resamples": lambda: stats.wild_cluster_difference(*arguments, cluster=cluster),
    }
    lines = [f"| comparison of {N_ROWS:,} rows in {N_CLUSTERS} clusters | wall, s | processor, s | budget |",
             "|---|---|---|---|"]
    for name, compare in compared.items():
        wall, processor = _seconds(compare)
        lines.append(f"| {name} | {wall:.2f} | {processor:.2f} | {BUDGETS[name]} |")
    return lines


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Median wall and processor seconds, after one round to warm up."""
    work()
    found = []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return statistics.median(wall for wall, _ in found), statistics.median(processor for _, processor in found)
