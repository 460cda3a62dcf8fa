"""20 metrics by 500 sites on 1 million episodes, beside a loop over the sites with one-group formulas; and Table 1
beside the package tableone (a peer only here: skipped where it is not installed).

Facts are built as frames, so that no reading is measured. Each figure is a median of ROUNDS, the loop runs once; the
ratios are those of processor seconds, as other work disturbs the clock.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from therapyeval import analysis, measures
from therapyeval.cohort import Cohort, Facts
from therapyeval.result import Source

N_EPISODES = int(os.environ.get("N_EPISODES", 1_000_000))
N_SITES, N_ROWS, N_COLUMNS, ROUNDS = 500, 100_000, 20, 3
MEANS = ("score_change:lefs", "baseline_score:lefs", "final_score:lefs", "rci:lefs", "gain_per_visit_mean:lefs",
         "visits_per_episode", "visits_per_week", "dose_minutes_per_week")
PROPORTIONS = ("mcid_rate:lefs", "mcid_worse:lefs", "paired_completion:lefs", "goals_met_rate", "self_discharge_rate",
               "closed_admin_share")
OTHERS = ("gain_per_visit:lefs", "gain_per_week:lefs", "visit_adherence", "episode_days", "treatment_days",
          "dropout_by_visit")
BUDGETS = {"all 20": "4 s", "loop": "15 x", "describe": "10 x"}


def run() -> list[str]:
    """Lines of two tables; raises where the loop gives other numbers."""
    cohort = make_cohort(N_EPISODES)
    every = [*MEANS, *PROPORTIONS, *OTHERS]
    mixed = _seconds(lambda: analysis.summarize(cohort, every, by="site_id"))
    apart_each = _seconds(lambda: [analysis.summarize(cohort, metric, by="site_id") for metric in every])
    plain = [*MEANS, *PROPORTIONS]
    fast = _seconds(lambda: analysis.summarize(cohort, plain, by="site_id"))
    slow, apart = _by_loop(cohort, plain)
    if not apart < 1e-10:
        raise AssertionError(f"the loop over groups differs by {apart:g}")
    return [f"| metrics of {N_EPISODES:,} episodes by {N_SITES} sites, with intervals | wall, s | processor, s | ratio "
            "| budget |",
            "|---|---|---|---|---|",
            f"| 20 metrics (8 means, 6 proportions, 3 ratios, 2 medians, 1 time) in one call | {mixed[0]:.2f} "
            f"| {mixed[1]:.2f} | 1 | {BUDGETS['all 20']} |",
            f"| the same 20 in a call each | {apart_each[0]:.2f} | {apart_each[1]:.2f} "
            f"| {apart_each[1] / mixed[1]:.1f} | – |",
            f"| the 14 means and proportions | {fast[0]:.2f} | {fast[1]:.2f} | 1 | – |",
            f"| the same in a loop over the sites (largest difference {apart:.0e}) | {slow[0]:.1f} | {slow[1]:.1f} "
            f"| {slow[1] / fast[1]:.0f} | {BUDGETS['loop']} |", "", *_describe_lines()]


def make_cohort(n: int) -> Cohort:
    """Facts of n episodes, about one in six of a patient seen before; a tenth without a final score."""
    random = np.random.default_rng(20260101)
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 900, n), unit="D")
    days = random.integers(7, 120, n)
    attended = random.integers(1, 25, n)
    episodes = pd.DataFrame({
        "episode": np.arange(n), "patient": random.integers(0, int(n * 0.85), n),
        "site_id": pd.Series([f"site_{code}" for code in range(N_SITES)], dtype="str").iloc[
            random.integers(0, N_SITES, n)].to_numpy(),
        "start_date": start, "end_date": start + pd.to_timedelta(days, unit="D"), "days": days.astype(float),
        "reason": pd.Series(["goals_met", "plateau", "self_discharge", "hospitalized"], dtype="str").iloc[
            random.choice(4, n, p=[0.5, 0.25, 0.2, 0.05])].to_numpy(),
        "closed_admin": random.random(n) < 0.05, "goals_met_pct": random.integers(0, 101, n).astype(float),
        "n_attended": attended.astype(float), "planned_visits": (attended + random.integers(0, 6, n)).astype(float),
        "minutes": attended * 45.0})
    episodes["discharge_date"] = episodes["end_date"]
    episodes["first_visit_date"] = episodes["start_date"]
    episodes["last_visit_date"] = episodes["end_date"] - pd.to_timedelta(random.integers(0, 7, n), unit="D")
    baseline = random.integers(10, 60, n).astype(float)
    final = np.where(random.random(n) < 0.1, np.nan, np.minimum(baseline + random.integers(-10, 35, n), 80))
    scores = pd.DataFrame({
        "episode": np.arange(n), "patient": episodes["patient"], "measure": pd.Series(["lefs"], dtype="str").iloc[
            np.zeros(n, dtype=int)].to_numpy(), "baseline": baseline, "final": final,
        "why_unpaired": pd.Series(["", "no_final"], dtype="str").iloc[np.isnan(final).astype(int)].to_numpy(),
        "missing_reason": "", "has_score": True, "is_primary": True, "is_assigned": True})
    facts = Facts(episodes, scores, pd.DataFrame({"received_date": pd.to_datetime([])}), measures.read(),
                  data_cut=pd.Timestamp("2026-12-31"))
    return Cohort(facts, Source("benchmark"))


def _seconds(ask: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and processor."""
    return tuple(statistics.median(column) for column in zip(*(_once(ask) for _ in range(ROUNDS)), strict=True))


def _once(ask: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    ask()
    return time.perf_counter() - wall, time.process_time() - processor


def _by_loop(cohort: Cohort, metrics: list[str]) -> tuple[np.ndarray, float]:
    """Seconds (wall, processor) of a loop over metrics and sites with one-group formulas; its largest difference."""
    from therapyeval.analysis.units import select_units
    from therapyeval.metrics import parse

    apart, seconds = 0.0, np.zeros(2)
    for text in metrics:
        ours = analysis.summarize(cohort, text, by="site_id").frame
        ours = ours[(ours["estimand"] == "complete_case") & ours["statistic"].isin(["mean", "proportion"])]
        units = select_units(parse(text), cohort, ["site_id"], None, None)
        rows: list[tuple] = []
        seconds += _once(lambda units=units, rows=rows, one=_mean if text in MEANS else _share: rows.extend(
            one(*part) for part in _parts(units)))
        found = ours[["estimate", "conf_low", "conf_high"]].to_numpy()
        apart = max(apart, float(np.abs(found - np.array(rows)).max()))
    return seconds, apart


def _parts(units):
    """Values and patients of each site, as a loop takes them out."""
    for group in range(units.n_groups):
        inside = (units.group == group) & (units.reason == "") & ~np.isnan(units.value)
        yield units.value[inside], units.patient[inside]


def _mean(values: np.ndarray, patient: np.ndarray) -> tuple[float, float, float]:
    mean, n = values.mean(), len(values)
    sums = pd.Series(values - mean).groupby(patient).sum()
    error = np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / n
    half = t.ppf(0.975, len(sums) - 1) * error
    return mean, mean - half, mean + half


def _share(values: np.ndarray, patient: np.ndarray) -> tuple[float, float, float]:
    """Patients are taken as independent, as in ours."""
    n, k, z = len(values), values.sum(), norm.ppf(0.975)
    center, half = (k + z**2 / 2) / (n + z**2), z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return k / n, 0.0 if k == 0 else center - half, 1.0 if k == n else center + half


def _describe_lines() -> list[str]:
    cohort = make_cohort(N_ROWS)
    random = np.random.default_rng(1)
    numbers = {f"number_{i}": random.normal(size=N_ROWS) for i in range(N_COLUMNS // 2)}
    words = {f"word_{i}": pd.Series(["a", "b", "c", "d"], dtype="str").iloc[random.integers(0, 4, N_ROWS)].to_numpy()
             for i in range(N_COLUMNS // 2)}
    table = pd.DataFrame({**numbers, **words, "arm": np.where(random.random(N_ROWS) < 0.5, "new", "usual")})
    cohort.facts.episodes[list(table)] = table
    names = [*numbers, *words]
    own = _seconds(lambda: analysis.describe(cohort, by="arm", variables=names))
    lines = [f"| Table 1 of {N_ROWS:,} rows and {N_COLUMNS} columns in two groups, with SMDs | wall, s | processor, s "
             "| ratio | budget |", "|---|---|---|---|---|", f"| describe | {own[0]:.2f} | {own[1]:.2f} | 1 | – |"]
    try:
        from tableone import TableOne
    except ImportError:
        return [*lines, "| tableone | skipped: the package is not installed here | – | – | 10 x |"]
    peer = _seconds(lambda: TableOne(table, columns=names, categorical=list(words), groupby="arm", smd=True,
                                     pval=False))
    return [*lines, f"| tableone | {peer[0]:.2f} | {peer[1]:.2f} | {peer[1] / own[1]:.1f} | {BUDGETS['describe']} |"]
