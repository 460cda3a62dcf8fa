"""Bootstrap intervals on request: the same estimates, with limits from resampled patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from therapyeval import stats
from therapyeval.analysis.estimate import QUANTILES, Part
from therapyeval.analysis.units import Units
from therapyeval.errors import ParameterError
from therapyeval.metrics.registry import Call

DEFAULT, BOOTSTRAP = "default", "bootstrap"
INTERVALS = (DEFAULT, BOOTSTRAP)
WITHOUT = ("", "count", "bootstrap")      # methods, or variants, that have no interval or a bootstrap one already


def check_interval(interval: str, calls: list[Call]) -> None:
    """Refuse an unknown kind of interval, and a bootstrap of what the engine counts."""
    if interval not in INTERVALS:
        raise ParameterError(f"interval={str(interval)[:40]!r} is not known. Use one of {', '.join(INTERVALS)}.")
    counted = [call.text for call in calls if interval == BOOTSTRAP and call.metric.statuses]
    if counted:
        raise ParameterError(f"{counted[0]} is counted by the engine, which cannot resample patients. Leave "
                             "interval=bootstrap out: its default interval is by patient, or exact for events.")


def bootstrapped(parts: list[Part], call: Call, units: Units, conf_level: float) -> list[Part]:
    """The parts with percentile limits by patient; parts without an interval, or with a bootstrap one, as they are.

    The numerator of a share stays as it is. Notes about the estimate stay, those about other limits go.
    """
    return [part if part.method in WITHOUT or call.metric.variant in WITHOUT[1:] else
            _with_limits(part, call, units, conf_level) for part in parts]


def _with_limits(part: Part, call: Call, units: Units, conf_level: float) -> Part:
    if call.metric.kind in ("median", "time"):
        rows = np.flatnonzero(part.used)
        statistic = _of_units(part, call, units, rows)
        interval = stats.bootstrap_interval(statistic, units.group[rows], units.patient[rows], units.n_groups,
                                            conf_level=conf_level)
    else:
        interval = _of_sums(part, call, units, conf_level)
    known = np.isnan(part.estimate) | ~(np.isnan(part.low) | np.isnan(part.high))
    note = np.where(known, part.note, "")
    note = np.where((note == "") & ~np.isnan(part.estimate), interval.note, note).astype(object)
    gone = np.isnan(part.estimate)
    return replace(part, low=np.where(gone, np.nan, interval.low), high=np.where(gone, np.nan, interval.high),
                   method=f"{part.method.partition(',')[0]}; {interval.method}" if call.metric.kind == "time"
                   else interval.method, note=note)


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

    def ratio(rows: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.bincount(codes, a[rows], n) / np.bincount(codes, b[rows], n)

    found = stats.bootstrap_interval(ratio, pair_group[kept], patient[kept], units.n_groups, conf_level=conf_level)
    less = 1.0 if call.metric.variant == "exact binomial" else 0.0     # growth is the ratio less 1
    return replace(found, low=found.low - less, high=found.high - less)


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
