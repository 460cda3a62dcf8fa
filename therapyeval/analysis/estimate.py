"""The one table that maps a metric's kind to its estimator, for all groups at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import Units
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, PEOPLE

QUANTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75, "p90": 0.9}
NOTHING = "no unit has a value"


@dataclass(frozen=True)
class Part:
    """One statistic for every group: arrays with one entry per group, and one per unit in `used` and `successes`.

    `unit` is set where it is not that of the metric.
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


def estimate_mean(units: Units, conf_level: float) -> list[Part]:
    used = units.used
    interval = stats.mean(units.value[used], units.group[used], units.patient[used], units.n_groups,
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
    sums = stats.pair_sums(units.value[used], units.weight[used], units.group[used], units.patient[used],
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


ESTIMATORS: dict[tuple[str, str], Callable[[Units, float], list[Part]]] = {
    ("mean", ""): estimate_mean, ("mean", "bootstrap"): estimate_standardized,
    ("proportion", ""): estimate_proportion,
    ("ratio", ""): estimate_ratio, ("ratio", "count"): estimate_count, ("ratio", "exact binomial"): estimate_growth,
    ("ratio", "per responder"): estimate_per_responder,
    ("median", ""): estimate_median,
    ("time", ""): estimate_time, ("time", "competing"): estimate_competing}


def estimate(kind: str, units: Units, *, variant: str = "", beside: tuple[str, ...] = (), two_rules: bool = False,
             conf_level: float = 0.95) -> list[Part]:
    """The statistics of a kind of metric, those printed beside it, and its second missing rule."""
    parts = ESTIMATORS[kind, variant](units, conf_level)
    if two_rules:
        parts += estimate_proportion(units, conf_level, MISSING_NOT_ACHIEVED)
    return parts + ([] if kind == "time" else [_beside(name, units) for name in beside])


def to_rows(parts: list[Part], units: Units, **fixed: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a Result (one per group and part, group by group) and the people behind them."""
    rows, people = [], []
    for order, part in enumerate(parts):
        counted = _counts(part, units)
        told = {"level": part.level} | fixed | ({"unit": part.unit} if part.unit else {})
        row = units.keys.assign(statistic=part.statistic, estimand=part.estimand, estimate=part.estimate,
                                conf_low=part.low, conf_high=part.high, method=part.method,
                                note=_notes(part, units), **part.amounts, **counted, **told)
        rows.append(row.assign(_group=np.arange(len(row)), _order=order))
        people.append(pd.DataFrame(_people(part, units), index=row.index))
    joined = pd.concat(rows, ignore_index=True)
    place = joined.sort_values(["_group", "_order"], kind="stable").index
    behind = pd.concat(people, ignore_index=True).loc[place].reset_index(drop=True)
    return joined.loc[place].drop(columns=["_group", "_order"]).reset_index(drop=True), behind


def exclusions(units: Units, metric: str) -> pd.DataFrame:
    """What the metric's rule left out of each group, by reason."""
    out = ~units.eligible
    found = pd.DataFrame({"_group": units.group[out], "reason": units.reason[out], "patient": units.patient[out]})
    counted = found.groupby(["_group", "reason"])["patient"].agg(n="size", n_people="nunique").reset_index()
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


def _beside(name: str, units: Units) -> Part:
    used = units.used
    value, group = units.value[used], units.group[used]
    found = (stats.sd(value, group, units.n_groups) if name == "sd"
             else stats.quantile(value, group, units.n_groups, QUANTILES[name]))
    nothing = np.full(units.n_groups, np.nan)
    too_few = "needs two values" if name == "sd" else NOTHING
    return Part(name, COMPLETE_CASE, found, nothing, nothing, "", np.where(np.isnan(found), too_few, ""), used)


def _notes(part: Part, units: Units) -> np.ndarray:
    """Why a number is missing, else what every reader must be told."""
    told = [units.note if text == "" else f"{text}; {units.note}" if units.note and not np.isnan(value) else text
            for text, value in zip(part.note, part.estimate, strict=True)]
    told = [units.lacking if text == NOTHING and units.lacking and missing else text
            for text, missing in zip(told, _tally(units.eligible & ~part.used, units), strict=True)]
    return np.array(told, dtype=object)


def _tally(mask: np.ndarray, units: Units) -> np.ndarray:
    return np.bincount(units.group[mask], minlength=units.n_groups)


def _distinct(mask: np.ndarray, units: Units) -> np.ndarray:
    return stats.n_distinct(units.patient[mask], units.group[mask], units.n_groups)


def _counts(part: Part, units: Units) -> dict[str, np.ndarray]:
    return {"n": _tally(part.used, units), "n_missing": _tally(units.eligible & ~part.used, units),
            "n_excluded": _tally(~units.eligible, units), "n_people": _distinct(part.used, units)}


def _people(part: Part, units: Units) -> dict[str, object]:
    found = {"n_missing": _distinct(units.eligible & ~part.used, units),
             "n_excluded": _distinct(~units.eligible, units), "numerator": pd.NA, "complement": pd.NA}
    if part.successes is not None:
        found |= {"numerator": _distinct(part.successes, units),
                  "complement": _distinct(part.used & ~part.successes, units)}
    return {name: found[name] for name in PEOPLE}
