"""Bootstrap intervals on request: the same estimates, with limits from resampled patients.

Of units in Python, and of what the engine counts, whose sums for each patient are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.estimate import QUANTILES, Part
from therapyeval.analysis.units import Units
from therapyeval.errors import ParameterError
from therapyeval.metrics.registry import Call
from therapyeval.stats.few import warns

DEFAULT, BOOTSTRAP = "default", "bootstrap"
INTERVALS = (DEFAULT, BOOTSTRAP)
WITHOUT = ("", "count", "bootstrap")      # methods, or variants, that have no interval or a bootstrap one already


def check_interval(interval: str) -> None:
    """Refuse an unknown kind of interval."""
    if interval not in INTERVALS:
        raise ParameterError(f"interval={str(interval)[:40]!r} is not known. Use one of {', '.join(INTERVALS)}.")


def bootstrapped(parts: list[Part], call: Call, units: Units, conf_level: float) -> list[Part]:
    """The parts with percentile limits by patient; parts without an interval, or with a bootstrap one, as they are.

    The numerator of a share stays as it is. Notes about the estimate stay, those about other limits go.
    """
    return [part if part.method in WITHOUT or call.metric.variant in WITHOUT[1:] else
            _with_limits(part, call, units, conf_level) for part in parts]


def counted_bootstrapped(rows: pd.DataFrame, sums: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Rows of ratios that the engine counted, with percentile limits by patient.

    Parameters
    ----------
    rows : of a Result, with a row for each group
    sums : the columns that tell the rows apart, then patient, a and b: what each patient adds above and below the
        line, in the units of the estimate
    """
    sums = sums[(sums["a"] != 0) | (sums["b"] != 0)]      # the others are behind no ratio
    keys = [name for name in sums if name not in ("patient", "a", "b")]
    group = sums.merge(rows[keys].assign(_row=range(len(rows))), "left", keys)["_row"] if keys else np.zeros(len(sums))
    interval = _of_ratios(*(sums[name].to_numpy() for name in ("a", "b")), np.asarray(group, dtype=np.int64),
                          sums["patient"].to_numpy(np.int64), len(rows), conf_level)
    old = [rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high", "note")]
    low, high, note = _limits(*old, interval)
    return rows.assign(conf_low=low, conf_high=high, method=interval.method, note=note)


def _with_limits(part: Part, call: Call, units: Units, conf_level: float) -> Part:
    if call.metric.kind in ("median", "time"):
        rows = np.flatnonzero(part.used)
        statistic = _of_units(part, call, units, rows)
        interval = stats.bootstrap_interval(statistic, units.group[rows], units.patient[rows], units.n_groups,
                                            conf_level=conf_level)
    else:
        interval = _of_sums(part, call, units, conf_level)
    low, high, note = _limits(part.estimate, part.low, part.high, part.note, interval)
    return replace(part, low=low, high=high, note=note,
                   method=f"{part.method.partition(',')[0]}; {interval.method}" if call.metric.kind == "time"
                   else interval.method)


def _limits(estimate: np.ndarray, low: np.ndarray, high: np.ndarray, note: np.ndarray,
            interval: stats.Interval) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The new limits, and the notes: those about the estimate stay, those about the old limits go."""
    gone = np.isnan(estimate)
    about_limits = np.isnan(low) | np.isnan(high) | warns(note)
    note = np.where(gone | ~about_limits, note, "")
    note = np.where((note == "") & ~gone, interval.note, note).astype(object)
    return np.where(gone, np.nan, interval.low), np.where(gone, np.nan, interval.high), note


def _of_units(part: Part, call: Call, units: Units, rows: np.ndarray) -> Callable:
    """Quantiles and times need every unit of a resample."""
    value, event = units.value[rows], None if units.event is None else units.event[rows]

    def quantile(chosen: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        return stats.quantile(value[chosen], codes, n, QUANTILES[part.statistic])

    def time(chosen: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        found = stats.time_quantile(value[chosen], event[chosen], codes, n, p=QUANTILES[part.statistic]).estimate
        return np.where(np.isnan(found) & (stats.counts(codes, n) > 0), np.inf, found)

    def share(chosen: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        return stats.cumulative_incidence(value[chosen], event[chosen], codes, n, horizon=units.horizon).estimate

    return quantile if call.metric.kind == "median" else share if call.metric.variant == "competing" else time


def _of_sums(part: Part, call: Call, units: Units, conf_level: float) -> stats.Interval:
    """Means, shares and ratios are sums divided by sums: those of each patient are enough."""
    above, below = _sums(part, call, units)
    pair, pair_group = units.pairs
    n_pairs = len(pair_group)
    used = np.flatnonzero(part.used)
    kept = np.flatnonzero(np.bincount(pair[used], minlength=n_pairs))
    a, b = (np.bincount(pair[used], sums[used], n_pairs)[kept] for sums in (above, below))
    patient = np.zeros(n_pairs, dtype=np.int64)
    patient[pair] = units.patient
    found = _of_ratios(a, b, pair_group[kept], patient[kept], units.n_groups, conf_level)
    less = 1.0 if call.metric.variant == "exact binomial" else 0.0     # growth is the ratio less 1
    return replace(found, low=found.low - less, high=found.high - less)


def _of_ratios(a: np.ndarray, b: np.ndarray, group: np.ndarray, patient: np.ndarray, n_groups: int,
               conf_level: float) -> stats.Interval:
    """Sums of a divided by sums of b, with one entry per group and patient."""
    def ratio(rows: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.bincount(codes, a[rows], n) / np.bincount(codes, b[rows], n)

    return stats.bootstrap_interval(ratio, group, patient, n_groups, conf_level=conf_level)


def _sums(part: Part, call: Call, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """What each unit adds above and below the line."""
    if part.statistic == "proportion":
        return part.successes.astype(float), part.used.astype(float)
    if part.statistic == "mean":
        return np.where(part.used, units.value, 0), part.used.astype(float)
    if call.metric.variant == "exact binomial":
        return part.successes.astype(float), (part.used & ~part.successes).astype(float)
    above = part.successes if call.metric.variant == "exact Poisson" else np.where(part.used, units.value, 0)
    return above.astype(float), np.where(part.used, units.weight, 0)
