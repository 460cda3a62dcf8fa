"""What `missing=` of a comparison does about units without a value: impute, weight, or take the ends of the scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.contrast_rows import Line, contrast_name
from therapyeval.analysis.effects import Effect, Scale
from therapyeval.analysis.missing import FILLERS, METRICS, foretelling, without_gaps
from therapyeval.analysis.models import SHARES, Fit, Model, pooling_models
from therapyeval.analysis.sample import BEST, COMPLETE, IMPUTE, WEIGHT, WORST, Sample, kind_of
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.formatting import listed
from therapyeval.metrics.registry import Call
from therapyeval.result import BEST_CASE, WORST_CASE

RULES = (COMPLETE, IMPUTE, WEIGHT, WORST, BEST)
KINDS = {IMPUTE: ("mean", "median", "proportion"), WEIGHT: ("mean", "proportion"), WORST: ("mean", "proportion"),
         BEST: ("mean", "proportion")}
M, ITERATIONS, SEED = 50, 10, 1      # so many for any share of missing: a number made from the share would tell it
SHIFTS = np.arange(-3.0, 4.0)     # of the imputed values, in SDs of the outcome
OUTCOME, GROUP = "outcome", "group"
LABEL = "compared: "                 # keeps these two apart from covariates of the same name


@dataclass(frozen=True)
class Answer:
    """A model and a sample under one rule for the missing; with imputations these and the estimator of one of them."""

    model: Model
    sample: Sample
    imputations: stats.Imputations | None = None
    single: Fit | None = None


def apply_rule(call: Call, cohort: Cohort, model: Model, sample: Sample, scale: Scale) -> Answer:
    """The model with its estimator changed as the sample's rule for the missing asks.

    Raises
    ------
    ParameterError
        Where the rule does not fit the metric, the model, its covariates or its clusters.
    """
    if sample.rule == COMPLETE:
        return Answer(model, sample)
    kind = kind_of(call)
    if kind not in KINDS[sample.rule]:
        raise ParameterError(f"{call.text} is a {kind}: missing={sample.rule!r} is for a {listed(KINDS[sample.rule])}. "
                             "Use missing='complete'.")
    if sample.rule == IMPUTE:
        return _imputed(call, cohort, model, sample)
    if sample.rule == WEIGHT:
        return Answer(_weighted(call, cohort, model, sample), sample)
    return Answer(_extreme(call, cohort, model, sample, scale), sample)


def tipping_lines(answer: Answer, main: Effect, scale: Scale) -> list[Line]:
    """How far the imputed values of each first group must move before the verdict changes; one row per pair."""
    imputed, sample = answer.imputations, answer.sample
    if imputed is None or sample.is_share:
        return []
    names, lines = sample.units.keys.iloc[:, 0].tolist(), []
    group, spread = sample.units.group[sample.units.eligible], float(np.std(sample.value)) if len(sample.value) else 0.0
    for first, second in sample.pairs:
        of_pair = replace(sample, pairs=[(first, second)], completions=())
        found = stats.tipping_point(imputed, group == first, LABEL + OUTCOME, _estimator(answer.single, of_pair),
                                    SHIFTS * spread, conf_level=sample.conf_level)
        side = "higher" if found.tipping > 0 else "lower"
        told = (f"missing values of {names[first]} would have to be {side} by that much than those of patients like "
                "them before the interval's verdict on 0 changes; clinicians must judge whether that is likely")
        note = found.note if np.isnan(found.tipping) else told
        if note.startswith("no shift"):
            note = "no shift of the imputed values by up to 3 SDs changes the interval's verdict on 0"
        lines.append(Line({"contrast": contrast_name(names[first], names[second]), "statistic": "tipping_point",
                           "estimate": found.tipping, "unit": scale.unit, "note": note,
                           "method": f"{main.method}; imputed values of {names[first]} shifted"},
                          np.isin(sample.units.group, (first, second))))
    return lines


def _imputed(call: Call, cohort: Cohort, model: Model, sample: Sample) -> Answer:
    """The model fitted to each imputation and pooled by Rubin's rules."""
    if not model.pools:
        raise ParameterError(f"{call.text}: intervals of the model {model.name} cannot be pooled over imputations. "
                             f"Models that can: {listed(pooling_models(kind_of(call)))}.")
    patient = sample.units.patient[sample.units.eligible]
    if sample.cluster is not None or len(np.unique(patient)) < len(patient):
        raise ParameterError(f"{call.text}: imputation takes units as independent, but several belong to one "
                             f"{sample.clustered or 'patient'}. Use missing='weight', or missing='complete'.")
    frame = _frame(call, cohort, sample)
    told = f"imputed from {listed([name.removeprefix(LABEL) for name in frame if name != LABEL + OUTCOME])}"
    if not frame.isna().any(axis=None):
        return Answer(_without_joint(model, model.fit, "nothing is missing"), sample)
    rounds = ITERATIONS if frame.isna().any().sum() > 1 else 1      # one column alone needs no rounds
    imputed = stats.impute(frame, m=M, iterations=rounds, seed=SEED)
    if imputed.note:
        reason = imputed.note.replace(LABEL, "")
        none = replace(model, beside=())
        return Answer(_without_joint(none, lambda one: _nothing(one, reason), told), sample)
    complete = replace(sample, completions=tuple(_of_frame(sample, one) for one in imputed.frames))
    return Answer(_without_joint(model, pooled(model.fit), f"{told}, seed {SEED}"), complete, imputed, model.fit)


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


def _frame(call: Call, cohort: Cohort, sample: Sample) -> pd.DataFrame:
    """A row per eligible unit: outcome, group, covariates, and what foretells who has a value (as `missing_panel`)."""
    units = sample.units
    own = sample.all_covariates[units.eligible].reset_index(drop=True)
    more = foretelling(call, cohort.facts).iloc[units.row[units.eligible]].reset_index(drop=True)
    outcome = np.where(units.used, sample.all_values, np.nan)[units.eligible]
    group = pd.Categorical(units.group[units.eligible].astype(str))
    found = pd.DataFrame({LABEL + OUTCOME: outcome, LABEL + GROUP: group})
    more = more[[name for name in more if name not in own and more[name].notna().any()]]
    return pd.concat([found, own, more], axis=1)


def _of_frame(sample: Sample, frame: pd.DataFrame) -> Sample:
    """The sample with one complete frame for its eligible units."""
    group = sample.units.group[sample.units.eligible]
    return _of_arrays(sample, frame[LABEL + OUTCOME].to_numpy(dtype=float), group, sample.pairs,
                      frame[list(sample.all_covariates)])


def _estimator(fit: Fit, sample: Sample) -> Callable[[pd.DataFrame], stats.Contrast]:
    """An estimator of one complete frame."""
    return lambda frame: fit(_of_frame(sample, frame))


def _weighted(call: Call, cohort: Cohort, model: Model, sample: Sample) -> Model:
    """Complete cases weighted for being complete, whatever the model would have been."""
    if sample.asked.cluster is not None:
        raise ParameterError(f"{call.text}: missing='weight' counts units of one patient together and knows no other "
                             "clusters. Leave cluster out.")
    units, frame = sample.units, _frame(call, cohort, sample).drop(columns=[LABEL + OUTCOME, LABEL + GROUP])
    dates = list(frame.select_dtypes(["datetime", "timedelta"]))
    if dates:
        raise ParameterError(f"{call.text}: covariate {dates[0]} holds dates. Name a number of days instead.")
    names, numbers = list(frame), pd.get_dummies(frame, dtype=float, dummy_na=True).astype(float)
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
    if scale.better not in ("higher", "lower"):
        raise ParameterError(f"{call.text} has no better direction, so no worst or best case. Use missing='impute'.")
    lowest, highest = _ends(call, cohort, sample)
    place = int((sample.rule == BEST) == (scale.better == "higher"))

    def fit(sample: Sample) -> stats.Contrast:
        units, eligible = sample.units, sample.units.eligible
        values = np.where(units.used, sample.all_values, np.nan)[eligible]
        return stats.extreme_cases(values, units.group[eligible], sample.pairs,
                                   lambda *plain: model.fit(_of_arrays(sample, *plain)), lowest=lowest[eligible],
                                   highest=highest[eligible])[place]
    order = ("worst", "best") if sample.rule == WORST else ("best", "worst")
    told = f"missing of the first group at their {order[0]}, of the second at their {order[1]}"
    beside = tuple(name for name in model.beside if name in ("mcid", "number_needed"))
    return replace(model, fit=lambda one: _telling(fit(one), told), joint=None, beside=beside, margin="")


def _ends(call: Call, cohort: Cohort, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value that each unit could have."""
    if call.metric.name in METRICS:
        two = [FILLERS[rule](call, cohort.facts)[sample.units.row] for rule in (WORST_CASE, BEST_CASE)]
    elif kind_of(call) in SHARES:
        two = [np.zeros(len(sample.units.row)), np.ones(len(sample.units.row))]
    else:
        raise ParameterError(f"{call.text} has no ends that a worst case could take. Use missing='impute'.")
    gaps = sample.units.eligible & ~sample.units.used
    if any(np.isnan(end[gaps]).any() for end in two):
        raise ParameterError(f"{call.text}: its scale has no registered ends, so no worst or best case. Use "
                             "missing='impute'.")
    return np.minimum(*two), np.maximum(*two)


def _of_arrays(sample: Sample, values: np.ndarray, group: np.ndarray, pairs: list[tuple[int, int]],
               covariates: pd.DataFrame | None = None) -> Sample:
    """A sample of independent units that all have a value."""
    n = len(values)
    units = replace(sample.units, value=values, group=group, reason=np.full(n, "", dtype=object), weight=None,
                    event=None, patient=np.arange(n), row=np.arange(n), shared={})
    return replace(sample, units=units, used=np.ones(n, dtype=bool), all_values=values, pairs=pairs, completions=(),
                   all_covariates=pd.DataFrame(index=range(n)) if covariates is None else covariates)
