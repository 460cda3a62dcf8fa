"""What `missing=` of a comparison does about units without a value: impute, weight, or take the ends of the scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.effects import Scale
from therapyeval.analysis.filling import LABEL, Filled, covariates_of
from therapyeval.analysis.missing import FILLERS, METRICS, without_gaps
from therapyeval.analysis.models import SHARES, Fit, Model, pooling_models
from therapyeval.analysis.sample import (
    BEST,
    COMPLETE,
    IMPUTE,
    NOMINAL,
    ORDERED,
    WEIGHT,
    WORST,
    Sample,
    complete_sample,
    kind_of,
)
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.formatting import listed
from therapyeval.metrics.registry import Call
from therapyeval.result import BEST_CASE, WORST_CASE

RULES = (COMPLETE, IMPUTE, WEIGHT, WORST, BEST)
IN_CLASS = {WORST: "outside", BEST: "in"}
KINDS = ("mean", "proportion", NOMINAL, ORDERED)     # those that can be weighted, and that may have ends
WHY_NOT = {"median": "a median has no weighted difference and no ends", "ratio": "a ratio is one of two sums, and "
           "sums have no ends and no weighted mean", "time": "a time that is not over is censored, not missing"}


@dataclass(frozen=True)
class Answer:
    """A model and a sample under one rule for the missing; with what was filled and the estimator of one imputation."""

    model: Model
    sample: Sample
    filled: Filled | None = None
    single: Fit | None = None


def apply_rule(call: Call, cohort: Cohort, model: Model, sample: Sample, scale: Scale,
               fill: Callable[[], Filled]) -> Answer:
    """The model with its estimator changed as the sample's rule for the missing asks; `fill` imputes when called.

    Raises
    ------
    ParameterError
        Where the rule does not fit the metric, the model, its covariates or its clusters.
    """
    if sample.rule == COMPLETE:
        return Answer(model, sample)
    if sample.rule == IMPUTE:
        return _imputed(call, model, sample, fill)
    kind = kind_of(call)
    if kind not in KINDS:
        raise ParameterError(f"{call.text}: missing={sample.rule!r} is for means, proportions and classes: "
                             f"{WHY_NOT[kind]}. Use missing='impute' or missing='complete'.")
    if sample.rule == WEIGHT:
        return Answer(_weighted(call, cohort, model, sample), sample)
    return Answer(_extreme(call, cohort, model, sample, scale), sample)


def _imputed(call: Call, model: Model, sample: Sample, fill: Callable[[], Filled]) -> Answer:
    """The model fitted to each imputation and pooled by Rubin's rules."""
    if model.unpooled:
        raise ParameterError(f"{call.text}: Rubin's rules pool estimates with standard errors, and the model "
                             f"{model.name} has none: {model.unpooled}. Models that can be pooled over imputations: "
                             f"{listed(pooling_models(kind_of(call)))}.")
    filled, single = fill(), model.each or model.fit
    if filled.imputations is None:
        return Answer(_without_joint(model, model.fit, filled.told), sample)
    if filled.imputations.note:
        reason, none = filled.imputations.note.replace(LABEL, ""), replace(model, beside=())
        return Answer(_without_joint(none, lambda one: _nothing(one, reason), filled.told), sample)
    complete = replace(sample, completions=filled.completions(sample))
    return Answer(_without_joint(model, pooled(single), filled.told), complete, filled, single)


def pooled(fit: Fit) -> Fit:
    """The estimator over all imputations of a sample."""
    return lambda sample: stats.pool([fit(one) for one in sample.completions], conf_level=sample.conf_level).effect


def _without_joint(model: Model, fit: Fit, told: str) -> Model:
    """The model for one kind of gap: no test of all groups and no effect that needs the raw values of everybody."""
    beside = tuple(name for name in model.beside if name not in ("superiority", "e_value"))
    return replace(model, fit=lambda sample: _telling(fit(sample), told), joint=None, beside=beside)


def _telling(contrast: stats.Contrast, told: str) -> stats.Contrast:
    return replace(contrast, method=f"{contrast.method}; {told}")


def _nothing(sample: Sample, reason: str) -> stats.Contrast:
    blank = np.full(len(sample.pairs), np.nan)
    return stats.Contrast(blank, blank, blank, blank, blank, "multiple imputation",
                          np.full(len(sample.pairs), reason, dtype=object))


def _weighted(call: Call, cohort: Cohort, model: Model, sample: Sample) -> Model:
    """Complete cases weighted for being complete, whatever the model would have been."""
    if sample.asked.cluster is not None:
        raise ParameterError(f"{call.text}: missing='weight' counts units of one patient together and knows no other "
                             "clusters. Leave cluster out.")
    units = sample.units
    frame = covariates_of(call, cohort, sample, units.eligible)
    dates = list(frame.select_dtypes(["datetime", "timedelta"]))
    if dates:
        raise ParameterError(f"{call.text}: covariate {dates[0]} holds dates. Name a number of days instead.")
    names = list(frame)
    numbers = pd.get_dummies(frame, dtype=float, dummy_na=True).astype(float) if names else frame
    groups = np.eye(units.n_groups)[units.group[units.eligible]][:, 1:]
    design = np.column_stack([groups, without_gaps(numbers, units.used[units.eligible])])

    def fit(sample: Sample) -> stats.Contrast:
        values = np.where(units.used, sample.all_values, np.nan)[units.eligible]
        return stats.completion_weighted_difference(values, design, units.group[units.eligible],
                                                    units.patient[units.eligible], sample.pairs,
                                                    conf_level=sample.conf_level)
    told = f"weights for having a value on {listed(['group', *names])}"
    return Model("weight", model.kinds, "difference", lambda one: _telling(fit(one), told), title=("", ""),
                 beside=("mcid", "hedges_g", "number_needed"), adjusts=True, clusters=True, margin="limits")


def _extreme(call: Call, cohort: Cohort, model: Model, sample: Sample, scale: Scale) -> Model:
    """The least or the largest difference that the missing values could make."""
    if sample.asked.adjust or sample.cluster is not None:
        raise ParameterError(f"{call.text}: worst and best case hold for plain differences of independent units. Leave "
                             "adjust out, and compare patients with one episode each.")
    better = "higher" if sample.level or kind_of(call) == ORDERED else scale.better
    if better not in ("higher", "lower"):
        raise ParameterError(f"{call.text} has no better direction, so no worst or best case. Use missing='impute'.")
    lowest, highest = _ends(call, cohort, sample)
    place = int((sample.rule == BEST) == (better == "higher"))

    def fit(sample: Sample) -> stats.Contrast:
        units, eligible = sample.units, sample.units.eligible
        values = np.where(units.used, sample.all_values, np.nan)[eligible]
        return stats.extreme_cases(values, units.group[eligible], sample.pairs,
                                   lambda *plain: model.fit(complete_sample(sample, *plain)), lowest=lowest[eligible],
                                   highest=highest[eligible])[place]
    order = ("worst", "best") if sample.rule == WORST else ("best", "worst")
    told = (f"missing of the first group {IN_CLASS[order[0]]} the class, of the second {IN_CLASS[order[1]]} it"
            if sample.level else f"missing of the first group at their {order[0]}, of the second at their {order[1]}")
    beside = tuple(name for name in model.beside if name in ("mcid", "number_needed"))
    return replace(model, fit=lambda one: _telling(fit(one), told), joint=None, beside=beside, margin="")


def _ends(call: Call, cohort: Cohort, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value that each unit could have."""
    n = len(sample.units.row)
    if call.metric.name in METRICS:
        two = [FILLERS[rule](call, cohort.facts)[sample.units.row] for rule in (WORST_CASE, BEST_CASE)]
    elif kind_of(call) == ORDERED:                                    # turned, so that the best class is 0
        two = [np.full(n, 1.0 - len(sample.units.levels)), np.zeros(n)]
    elif kind_of(call) in SHARES:
        two = [np.zeros(n), np.ones(n)]
    else:
        raise ParameterError(f"{call.text} has no ends that a worst case could take. Use missing='impute'.")
    gaps = sample.units.eligible & ~sample.units.used
    if any(np.isnan(end[gaps]).any() for end in two):
        raise ParameterError(f"{call.text}: its scale has no registered ends, so no worst or best case. Use "
                             "missing='impute'.")
    return np.minimum(*two), np.maximum(*two)
