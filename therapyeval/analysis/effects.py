"""Effects beside the main one of a comparison: in MCIDs, in SDs, as ratios, as numbers needed to treat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.sample import COMPLETE, Sample
from therapyeval.cohort import Facts
from therapyeval.metrics.registry import Call

CLUSTERED = "no interval: units of one {} belong together"
MCID = "MCID"
NUMBERS = ("estimate", "low", "high")
CONFOUNDER = ("risk ratio that an unmeasured confounder needs with both group and outcome to explain the effect away; "
              "conf_low: to bring the nearer limit to no effect (1: none is needed)")


@dataclass(frozen=True)
class Scale:
    """What is known of the metric: its unit, the MCID of its measure or None, the better direction."""

    unit: str
    mcid: float | None
    better: str


@dataclass(frozen=True)
class Effect:
    """One statistic for every pair of groups, with the method in words; `told` is a note per pair, "" where there is
    nothing to say."""

    statistic: str
    contrast: stats.Contrast
    unit: str
    told: tuple[str, ...]
    method: str


def beside(names: tuple[str, ...], sample: Sample, main: Effect, scale: Scale) -> list[Effect]:
    """The effects of those names that apply; their P values are left to the main effect, so that there is one test."""
    found = [EFFECTS[name](sample, main, scale) for name in names]
    blank = np.full(len(sample.pairs), np.nan)
    return [replace(effect, contrast=replace(effect.contrast, p_value=blank)) for effect in found if effect]


def _in_mcids(sample: Sample, main: Effect, scale: Scale) -> Effect | None:
    if not scale.mcid:
        return None
    numbers = {name: getattr(main.contrast, name) / scale.mcid for name in ("estimate", "low", "high")}
    return Effect(main.statistic, replace(main.contrast, **numbers), MCID, ("",) * len(sample.pairs), main.method)


def _hedges_g(sample: Sample, main: Effect, scale: Scale) -> Effect | None:
    """Of the raw difference with exact limits; of an adjusted or filled one scaled, with the SD taken as known."""
    if sample.is_share:
        return None
    if sample.asked.adjust or sample.cluster is not None or sample.rule != COMPLETE:
        found = stats.standardize(main.contrast, sample.value, sample.group, sample.pairs)
    else:
        found = stats.standardized_difference(sample.value, sample.group, sample.pairs, conf_level=sample.conf_level)
    spread = stats.pooled_sd(sample.value, sample.group, sample.pairs)
    told = tuple("" if np.isnan(one) else f"1 SD = {one:.4g} {scale.unit} (pooled within the two groups)"
                 for one in spread)
    return Effect("hedges_g", found, "SD", told, "H" + found.method[1:])


def _superiority(sample: Sample, main: Effect, scale: Scale) -> Effect:
    found = stats.superiority(sample.value, sample.group, sample.pairs, conf_level=sample.conf_level)
    return Effect("superiority", found, "proportion", ("",) * len(sample.pairs), found.method)


def _risk_ratio(sample: Sample, main: Effect, scale: Scale) -> Effect:
    return _of_risks("risk_ratio", sample)


def _odds_ratio(sample: Sample, main: Effect, scale: Scale) -> Effect:
    return _of_risks("odds_ratio", sample)


def _gee_odds_ratio(sample: Sample, main: Effect, scale: Scale) -> Effect | None:
    """That of the model whose standardized risks are the main effect."""
    if not sample.is_share:
        return None
    each = [stats.gee_contrast(one.value, one.group, one.pairs, one.covariates, cluster=one.cluster, family="binomial",
                               conf_level=one.conf_level) for one in sample.completions or (sample,)]
    found = stats.pool(each, conf_level=sample.conf_level).effect if sample.completions else each[0]
    return Effect("odds_ratio", found, "ratio", ("",) * len(sample.pairs), found.method)


def _of_risks(name: str, sample: Sample) -> Effect:
    if sample.completions:
        found = stats.pool([_adjusted(name, one) for one in sample.completions], conf_level=sample.conf_level).effect
    elif sample.cluster is None and sample.asked.adjust:
        found = _adjusted(name, sample)
    else:
        found = getattr(stats, name)(sample.successes, sample.n, sample.pairs, conf_level=sample.conf_level)
    if sample.cluster is not None:
        found = _without_limits(found, sample, raw=bool(sample.asked.adjust))
    return Effect(name, found, "ratio", ("",) * len(sample.pairs), found.method)


def _adjusted(name: str, sample: Sample) -> stats.Contrast:
    return stats.adjusted_risk(sample.value, sample.group, sample.pairs, sample.covariates, effect=name,
                               conf_level=sample.conf_level)


def _e_value(sample: Sample, main: Effect, scale: Scale) -> Effect:
    """How strong an unmeasured confounder would have to be: of the difference in SDs, or of the adjusted risk ratio."""
    if sample.is_share:
        ratio = _adjusted("risk_ratio", sample)
        parts = [stats.e_value(*(getattr(ratio, name)[[i]] for name in NUMBERS)) for i in range(len(sample.pairs))]
        method = "E-value of the risk ratio by logistic regression on the same covariates"
    else:
        spread = stats.pooled_sd(sample.value, sample.group, sample.pairs)
        parts = [stats.e_value_difference(*(getattr(main.contrast, name)[[i]] for name in NUMBERS), sd)
                 if sd > 0 else stats.e_value(*np.full((3, 1), np.nan)) for i, sd in enumerate(spread)]
        method = "E-value of the difference in SDs, as an approximate risk ratio"
    point, limit = (np.array([getattr(part, name)[0] for part in parts]) for name in ("point", "limit"))
    blank = np.full(len(point), np.nan)
    note = np.where(np.isnan(point), "no estimate", np.where(np.isnan(limit), "no interval", "")).astype(object)
    return Effect("e_value", stats.Contrast(point, limit, blank, blank, blank, method, note), "ratio",
                  (CONFOUNDER,) * len(point), method)


def _without_limits(found: stats.Contrast, sample: Sample, raw: bool) -> stats.Contrast:
    """The bare ratio where units belong together: limits for independent units would be too narrow."""
    blank = np.full(len(sample.pairs), np.nan)
    note = np.where(found.note == "", CLUSTERED.format(sample.clustered), found.note).astype(object)
    return replace(found, low=blank, high=blank, note=note, method="unadjusted" if raw else "ratio of the shares")


def _number_needed(sample: Sample, main: Effect, scale: Scale) -> Effect | None:
    """1 / risk difference, turned so that positive is benefit; its interval goes through infinity where it must."""
    if not sample.is_share or scale.better not in ("higher", "lower"):
        return None
    risk = main.contrast
    if scale.better == "lower":
        risk = replace(risk, estimate=-risk.estimate, low=-risk.high, high=-risk.low)
    needed = stats.number_needed(risk)
    told = [_honest(*row) for row in zip(needed.low, needed.high, needed.through_infinity, strict=True)]
    nobody = np.isinf(needed.estimate)
    infinite = [f"no difference: the number is infinite; {text}" for text in told]
    note = np.where(nobody & (risk.note == ""), infinite, risk.note).astype(object)
    estimate = np.where(nobody, np.nan, needed.estimate)
    found = replace(risk, estimate=estimate, low=needed.low, high=needed.high, note=note)
    return Effect("number_needed", found, "patients", tuple(told), "1 / risk difference")


def _honest(low: float, high: float, through: bool) -> str:
    if np.isnan(low) or np.isnan(high):
        return ""
    if through:
        return (f"interval: from {low:.1f} for one more to benefit, through no effect, to {-high:.1f} for one more "
                "harmed")
    return "for one more to benefit" if low > 0 else "for one more harmed"


EFFECTS: dict[str, Callable[[Sample, Effect, Scale], Effect | None]] = {
    "mcid": _in_mcids, "hedges_g": _hedges_g, "superiority": _superiority, "risk_ratio": _risk_ratio,
    "odds_ratio": _odds_ratio, "gee_odds_ratio": _gee_odds_ratio, "number_needed": _number_needed,
    "e_value": _e_value}


def make_scale(call: Call, facts: Facts) -> Scale:
    """Unit, MCID and direction of a metric; only scores of a measure have its MCID."""
    mcid = facts.measure(call.measure).mcid if call.measure and call.metric.unit == "scale points" else None
    return Scale(call.unit(facts), None if mcid is None or pd.isna(mcid) else float(mcid), call.better(facts))
