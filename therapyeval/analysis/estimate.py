"""The one table that maps a metric's kind to its estimator, for all groups at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import Units
from therapyeval.result import AMOUNTS, COMPLETE_CASE, MISSING_NOT_ACHIEVED, PEOPLE

QUANTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75, "p90": 0.9}
NOTHING = "no unit has a value"
PEOPLE_OF = {name: f"_people_{name}" for name in PEOPLE}


@dataclass(frozen=True)
class Part:
    """One statistic for every group: arrays with one entry per group, and one per unit in `used` and `successes`.

    `unit` is set where it is not that of the metric, `people` where others than the units used are behind it.
    """

    statistic: str
    estimand: str
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str
    note: np.ndarray
    used: np.ndarray
    amounts: dict[str, np.ndarray] = field(default_factory=dict)
    successes: np.ndarray | None = None
    level: str = ""
    unit: str = ""
    people: np.ndarray | None = None


def estimate_mean(units: Units, conf_level: float) -> list[Part]:
    used = units.used
    interval = stats.mean(units.value[used], units.group[used], units.pairs[0][used], units.n_groups,
                          conf_level=conf_level)
    return [_part("mean", interval, used)]


def estimate_standardized(units: Units, conf_level: float) -> list[Part]:
    """Mean in units of the spread of `weight`, by bootstrap."""
    used = units.used
    interval = stats.standardized_mean(units.value[used], units.weight[used], units.group[used], units.patient[used],
                                       units.n_groups, conf_level=conf_level)
    return [_part("mean", interval, used)]


def estimate_proportion(units: Units, conf_level: float, rule: str = COMPLETE_CASE) -> list[Part]:
    """Shares of units with value 1; under `missing_not_achieved` those without a value count as 0.

    With levels, the share of each class.
    """
    used = units.used if rule == COMPLETE_CASE else units.eligible
    if units.levels:
        return [replace(_share(units, used, units.value == place, conf_level, rule), level=level)
                for place, level in enumerate(units.levels)]
    return [_share(units, used, units.value == 1, conf_level, rule)]


def estimate_ratio(units: Units, conf_level: float) -> list[Part]:
    used = units.used
    sums = stats.pair_sums(units.value[used], units.weight[used], units.group[used], units.pairs[0][used],
                           units.n_groups)
    return [_part("ratio", stats.ratio(sums, conf_level=conf_level), used,
                  {"numerator": sums.a, "denominator": sums.b})]


def estimate_count(units: Units, conf_level: float) -> list[Part]:
    """How many units there are; the level of confidence is not asked, as a count has no interval."""
    used = units.used
    n, nothing = _tally(used, units), np.full(units.n_groups, np.nan)
    note = np.full(units.n_groups, "a count: no interval", dtype=object)
    return [Part("count", COMPLETE_CASE, n.astype(float), nothing, nothing, "count", note, used, {"numerator": n},
                 successes=used)]


def estimate_growth(units: Units, conf_level: float) -> list[Part]:
    """Later units (value 1) divided by earlier ones (value 0), less 1."""
    used = units.used
    later, n = _tally(used & (units.value == 1), units), _tally(used, units)
    interval = stats.growth(later, n - later, conf_level=conf_level)
    part = _part("ratio", interval, used, {"numerator": later, "denominator": n})
    return [replace(part, successes=used & (units.value == 1))]


def estimate_per_responder(units: Units, conf_level: float) -> list[Part]:
    """Sum of values divided by the number of responders (weight 1), with their share beside it.

    The share has the same units, so that release shows or hides the two together.
    """
    ratio, share = estimate_ratio(units, conf_level)[0], _share(units, units.used, units.weight == 1, conf_level,
                                                                MISSING_NOT_ACHIEVED)
    return [replace(ratio, estimand=MISSING_NOT_ACHIEVED, successes=share.successes),
            replace(share, unit="proportion")]


def estimate_median(units: Units, conf_level: float) -> list[Part]:
    used = units.used
    return [_part("median", stats.median(units.value[used], units.group[used], units.n_groups,
                                         conf_level=conf_level), used)]


def estimate_time(units: Units, conf_level: float) -> list[Part]:
    """Kaplan-Meier median and 90th percentile, those without the event censored."""
    used = units.used
    return [_part(name, stats.time_quantile(units.value[used], units.event[used], units.group[used],
                                            units.n_groups, p=p, conf_level=conf_level), used)
            for name, p in (("median", 0.5), ("p90", 0.9))]


def estimate_competing(units: Units, conf_level: float) -> list[Part]:
    """Aalen-Johansen share with the event by the horizon; the numerator counts those seen to have it by then."""
    used = units.used
    interval = stats.cumulative_incidence(units.value[used], units.event[used], units.group[used], units.n_groups,
                                          horizon=units.horizon, conf_level=conf_level)
    seen = used & (units.event == 1) & (units.value <= units.horizon)
    part = _part("proportion", interval, used, {"numerator": _tally(seen, units), "denominator": _tally(used, units)})
    return [replace(part, successes=seen)]


def estimate_events(units: Units, conf_level: float) -> list[Part]:
    """Units with value 1 for each that was expected (the sum of their weights)."""
    used = units.used
    seen = used & (units.value == 1)
    expected = np.bincount(units.group[used], weights=units.weight[used], minlength=units.n_groups)
    interval = stats.event_rate(_tally(seen, units), expected, per=1, conf_level=conf_level)
    part = _part("ratio", interval, used, {"numerator": _tally(seen, units), "denominator": expected})
    return [replace(part, successes=seen)]


def estimate_per_fte(units: Units, conf_level: float) -> list[Part]:
    """Units without a weight for each full-time equivalent of those with one; the latter are counted as n.

    The people behind it are the patients. A state of one day: no level of confidence is asked.
    """
    clinicians = units.used & (units.weight > 0)
    care = units.used & (units.weight == 0)
    n = _tally(care, units)
    fte = np.bincount(units.group[clinicians], weights=units.weight[clinicians], minlength=units.n_groups)
    ratio = np.divide(n, fte, out=np.full(units.n_groups, np.nan), where=fte > 0)
    note = np.where(fte > 0, "a count: no interval", "no evaluating clinician").astype(object)
    nothing = np.full(units.n_groups, np.nan)
    return [Part("ratio", COMPLETE_CASE, ratio, nothing, nothing, "count", note, clinicians,
                 {"numerator": n, "denominator": fte}, people=care)]


ESTIMATORS: dict[tuple[str, str], Callable[[Units, float], list[Part]]] = {
    ("mean", ""): estimate_mean, ("mean", "bootstrap"): estimate_standardized,
    ("proportion", ""): estimate_proportion,
    ("ratio", ""): estimate_ratio, ("ratio", "count"): estimate_count, ("ratio", "exact binomial"): estimate_growth,
    ("ratio", "per responder"): estimate_per_responder, ("ratio", "exact Poisson"): estimate_events,
    ("ratio", "per FTE"): estimate_per_fte,
    ("median", ""): estimate_median,
    ("time", ""): estimate_time, ("time", "competing"): estimate_competing}


def estimate(kind: str, units: Units, *, variant: str = "", beside: tuple[str, ...] = (), two_rules: bool = False,
             conf_level: float = 0.95) -> list[Part]:
    """The statistics of a kind of metric, those printed beside it, and its second missing rule."""
    parts = ESTIMATORS[kind, variant](units, conf_level)
    if two_rules:
        parts += estimate_proportion(units, conf_level, MISSING_NOT_ACHIEVED)
    return parts + _counted(units) + ([] if kind == "time" else _beside(beside, units))


def to_rows(parts: list[Part], units: Units, **fixed: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a Result (one per group and part, group by group) and the people behind them."""
    return joined([columns_of(parts, units, **fixed)], units.keys)


def columns_of(parts: list[Part], units: Units, **fixed: object) -> dict[str, np.ndarray]:
    """The columns of `to_rows` as arrays, those of the people under PEOPLE_OF, and `_group`, the row of the keys.

    Whoever has many of these builds one table of them with `joined`, which costs far less than a table each.
    """
    known: dict[tuple, _Behind] = {}
    found: dict[str, list] = {}
    for part in parts:
        key = id(part.used), id(part.people)        # statistics of the same units share their counts
        if key not in known:
            known[key] = _behind(part, units)
        told = {"level": part.level} | fixed | ({"unit": part.unit} if part.unit else {})
        told |= {"statistic": part.statistic, "estimand": part.estimand, "method": part.method}
        told |= {"estimate": part.estimate, "conf_low": part.low, "conf_high": part.high,
                 "note": _notes(part, known[key].counts["n_missing"], units), **known[key].counts}
        told |= {name: part.amounts.get(name, np.nan) for name in AMOUNTS}
        told |= {PEOPLE_OF[name]: people for name, people in _people(part, known[key], units).items()}
        for name, values in told.items():
            found.setdefault(name, []).append(values)
    return {"_group": np.repeat(np.arange(units.n_groups), len(parts))} | {
        name: _by_group(values, units.n_groups) for name, values in found.items()}


def joined(columns: list[dict[str, np.ndarray]], keys: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One table of several `columns_of`, one below the other, and the people behind it; `_group` -1 is no group."""
    whole = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    people = pd.DataFrame({name: whole.pop(column) for name, column in PEOPLE_OF.items()})
    rows = keys.reindex(whole.pop("_group")).reset_index(drop=True)
    return pd.concat([rows, pd.DataFrame(whole, index=rows.index)], axis=1), people


def _by_group(values: list, n_groups: int) -> np.ndarray:
    """What each part says of each group (or of all alike), in the order group, part."""
    if all(isinstance(value, str) for value in values):
        return np.tile(np.array(values, dtype=object), n_groups)
    return np.stack([np.broadcast_to(value, n_groups) for value in values]).T.ravel()


def exclusions(units: Units, metric: str) -> pd.DataFrame:
    """What the metric's rule left out of each group, by reason."""
    out = np.flatnonzero(~units.eligible)
    code, reasons = pd.factorize(pd.Series(units.reason[out], dtype=object), sort=True)
    size = max(len(reasons), 1)
    cell, n_cells = units.group[out] * size + code, units.n_groups * size
    n, n_people = stats.counts(cell, n_cells), stats.n_distinct(units.pairs[0][out], cell, n_cells)
    there = np.flatnonzero(n)
    counted = pd.DataFrame({"_group": there // size, "reason": reasons.take(there % size) if len(there) else [],
                            "n": n[there], "n_people": n_people[there]})
    keys = units.keys.iloc[counted["_group"]].reset_index(drop=True)
    return pd.concat([keys, counted[["reason", "n", "n_people"]].assign(metric=metric)], axis=1)[
        [*keys.columns, "metric", "reason", "n", "n_people"]]


def _share(units: Units, used: np.ndarray, achieved: np.ndarray, conf_level: float, rule: str) -> Part:
    """The share of the units used that achieved."""
    successes = used & achieved
    n, k = _tally(used, units), _tally(successes, units)
    part = _part("proportion", stats.proportion(k, n, conf_level=conf_level), used,
                 {"numerator": k, "denominator": n}, rule)
    return replace(part, successes=successes)


def _part(statistic: str, interval: stats.Interval, used: np.ndarray, amounts: dict | None = None,
          estimand: str = COMPLETE_CASE) -> Part:
    return Part(statistic, estimand, interval.estimate, interval.low, interval.high, interval.method,
                interval.note, used, amounts or {})


def _counted(units: Units) -> list[Part]:
    """How many of the units used are what the metric counts beside its estimate, in a row of their own."""
    nothing, note = np.full(units.n_groups, np.nan), np.full(units.n_groups, "a count: no interval", dtype=object)
    found = []
    for name, mask in units.counted.items():
        there = units.used & mask
        n = _tally(there, units)
        found.append(Part("count", COMPLETE_CASE, n.astype(float), nothing, nothing, "count", note, units.used,
                          {"numerator": n}, successes=there, level=name, unit="episodes"))
    return found


def _beside(names: tuple[str, ...], units: Units) -> list[Part]:
    """Spread and quantiles, which share one sort."""
    used, nothing = units.used, np.full(units.n_groups, np.nan)
    value, group = units.value[used], units.group[used]
    ordered = stats.sort_within(value, group, units.n_groups) if set(names) & set(QUANTILES) else ()
    parts = []
    for name in names:
        found = (stats.sd(value, group, units.n_groups) if name == "sd"
                 else stats.quantile_of_sorted(*ordered, QUANTILES[name]))
        too_few = "needs two values" if name == "sd" else NOTHING
        parts.append(Part(name, COMPLETE_CASE, found, nothing, nothing, "", np.where(np.isnan(found), too_few, ""),
                          used))
    return parts


def _notes(part: Part, n_missing: np.ndarray, units: Units) -> np.ndarray:
    """Why a number is missing, else what every reader must be told."""
    told = [units.note if text == "" else f"{text}; {units.note}" if units.note and not np.isnan(value) else text
            for text, value in zip(part.note, part.estimate, strict=True)]
    told = [units.lacking if text == NOTHING and units.lacking and missing else text
            for text, missing in zip(told, n_missing, strict=True)]
    return np.array(told, dtype=object)


def _tally(mask: np.ndarray, units: Units) -> np.ndarray:
    where = np.flatnonzero(mask)        # few rows, or none, cost nothing
    return np.bincount(units.group[where], minlength=units.n_groups)


def _distinct(mask: np.ndarray, units: Units) -> np.ndarray:
    """Different patients in each group among the units of a mask."""
    pair, group = units.pairs
    seen = np.zeros(len(group), dtype=bool)
    seen[pair[np.flatnonzero(mask)]] = True
    return np.bincount(group[seen], minlength=units.n_groups)


@dataclass(frozen=True)
class _Behind:
    """Units and people behind the statistics of one set of units, per group."""

    counts: dict[str, np.ndarray]
    n_missing: np.ndarray
    n_excluded: np.ndarray


def _behind(part: Part, units: Units) -> _Behind:
    lost, excluded = units.eligible & ~part.used, ~units.eligible
    counts = {"n": _tally(part.used, units),
              "n_missing": _tally(lost if part.people is None else units.eligible & ~units.used, units),
              "n_excluded": _tally(excluded, units),
              "n_people": _distinct(part.used if part.people is None else part.people, units)}
    return _Behind(counts, _distinct(lost, units), _distinct(excluded, units))


def _people(part: Part, behind: _Behind, units: Units) -> dict[str, object]:
    found = {"n_missing": behind.n_missing, "n_excluded": behind.n_excluded, "numerator": np.nan, "complement": np.nan}
    if part.successes is not None:
        found |= {"numerator": _distinct(part.successes, units),
                  "complement": _distinct(part.used & ~part.successes, units)}
    return {name: found[name] for name in PEOPLE}
