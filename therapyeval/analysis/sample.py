"""What a model of a comparison sees: values, groups, covariates and clusters of the units used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.units import Units, population_frame
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.metrics.eligible import oriented_baseline
from therapyeval.metrics.registry import Call
from therapyeval.result import BEST_CASE, COMPLETE_CASE, IMPUTED, MISSING_NOT_ACHIEVED, WEIGHTED, WORST_CASE

BASELINE = "baseline"
NOMINAL, ORDERED = "nominal", "ordered"
COMPLETE, IMPUTE, WEIGHT, WORST, BEST = "complete", "impute", "weight", "worst", "best"     # of missing=
ESTIMANDS = {COMPLETE: COMPLETE_CASE, IMPUTE: IMPUTED, WEIGHT: WEIGHTED, WORST: WORST_CASE, BEST: BEST_CASE}


@dataclass(frozen=True)
class Asked:
    """The arguments of `compare` that a model needs to know."""

    adjust: tuple[str, ...]
    cluster: str | None
    variance: str
    conf_level: float
    missing: str = COMPLETE


@dataclass(frozen=True)
class Sample:
    """The units of one question under one rule for the missing; arrays of the units used unless named otherwise.

    `all_values`, `all_covariates` and `used` have an entry per unit of `units`. `cluster` is None where every unit
    stands alone; `clustered` says by what they are not. `rule` says what is done about the missing, and
    `completions` are the complete samples of multiple imputation, empty where nothing is imputed.
    """

    units: Units
    used: np.ndarray
    all_values: np.ndarray
    all_covariates: pd.DataFrame
    pairs: list[tuple[int, int]]
    asked: Asked
    cluster: np.ndarray | None = None
    clustered: str = ""
    estimand: str = COMPLETE_CASE
    level: str = ""
    is_share: bool = False
    rule: str = COMPLETE
    completions: tuple[Sample, ...] = ()

    @cached_property
    def value(self) -> np.ndarray:
        return self.all_values[self.used]

    @cached_property
    def group(self) -> np.ndarray:
        return self.units.group[self.used]

    @cached_property
    def covariates(self) -> pd.DataFrame:
        return self.all_covariates[self.used].reset_index(drop=True)

    @property
    def event(self) -> np.ndarray:
        return self.units.event[self.used]

    @property
    def exposure(self) -> np.ndarray:
        return self.units.weight[self.used]

    @cached_property
    def n(self) -> np.ndarray:
        """Units of each group."""
        return np.bincount(self.group, minlength=self.units.n_groups)

    @cached_property
    def successes(self) -> np.ndarray:
        return self.sums(self.value)

    @cached_property
    def residuals(self) -> stats.ResidualChecks:
        """What least squares on groups and covariates leaves over."""
        return stats.residual_checks(self.value, self.group, self.covariates)

    @property
    def conf_level(self) -> float:
        return self.asked.conf_level

    def sums(self, of: np.ndarray) -> np.ndarray:
        """The sum in each group; whole numbers stay whole."""
        found = np.bincount(self.group, weights=of, minlength=self.units.n_groups)
        return found.astype(np.int64) if (found == np.floor(found)).all() else found


def kind_of(call: Call) -> str:
    """The kind of a metric; classes are ordered where they have a direction, else nominal."""
    if call.metric.by_level:
        return ORDERED if call.metric.better_level else NOMINAL
    return call.metric.kind


def reference_pairs(levels: Sequence[object], groups: str,
                    reference: str | Sequence[str] | None) -> list[tuple[int, int]]:
    """(group, reference) positions: every group that is not a reference, with each reference."""
    names = [str(level) for level in levels]
    references = [names[0]] if reference is None else [reference] if isinstance(reference, str) else list(reference)
    for name in references:
        if name not in names:
            raise UnknownNameError(f"value of {groups}", name, names)
    return [(names.index(name), names.index(against)) for against in references
            for name in names if name not in references]


def make_samples(call: Call, cohort: Cohort, units: Units, pairs: list[tuple[int, int]], asked: Asked) -> list[Sample]:
    """One sample per rule for the missing and, where classes have no order or are weighted, per class.

    Raises
    ------
    UnknownNameError, ParameterError
        For unknown covariates or clusters, units without a cluster, and infinite values.
    """
    covariates = _covariates(call, cohort, units, asked.adjust)
    known = covariates.notna().all(axis=1).to_numpy()
    complete = units.used & known
    if units.weight is not None:
        complete &= np.nan_to_num(units.weight) > 0
    _refuse_infinite(call.text, units.value[complete], covariates[complete])
    kind = kind_of(call)
    values = -units.value if kind == ORDERED else units.value        # classes are listed from the best down

    def sample(used: np.ndarray, value: np.ndarray, **rule: str) -> Sample:
        cluster, clustered = find_clusters(call, cohort, units, used, asked.cluster)
        is_share = bool(rule.get("level")) or kind == "proportion"
        return Sample(units, used, value, covariates, pairs, asked, cluster, clustered, is_share=is_share, **rule)

    rule = {"estimand": ESTIMANDS[asked.missing], "rule": asked.missing}
    if kind == NOMINAL or (kind == ORDERED and asked.missing == WEIGHT):       # there is no weighted odds model
        return [sample(complete, (units.value == place).astype(float), level=name, **rule)
                for place, name in enumerate(units.levels)]
    found = [sample(complete, values, **rule)]
    if call.metric.two_rules:
        achieved = np.where(units.used, np.nan_to_num(units.value), 0)
        found.append(sample(units.eligible & known, achieved, estimand=MISSING_NOT_ACHIEVED))
    return found


def _refuse_infinite(text: str, value: np.ndarray, covariates: pd.DataFrame) -> None:
    numbers = covariates.select_dtypes("number").to_numpy(dtype=float)
    n = int((np.isinf(value) | np.isinf(numbers).any(axis=1)).sum())
    if n:
        raise ParameterError(f"{text}: {n} units have an infinite value or covariate. Correct them in the data, or "
                             "leave them out with a filter of the cohort.")


def _covariates(call: Call, cohort: Cohort, units: Units, adjust: tuple[str, ...]) -> pd.DataFrame:
    frame = population_frame(cohort.facts, call.population)
    found = pd.DataFrame(index=range(len(units.row)))
    for name in adjust:
        if name == BASELINE and call.measure:
            column = oriented_baseline(cohort.facts, call.measure)
        elif name in frame:
            column = frame[name]
        else:
            raise UnknownNameError("covariate", name, [*cohort.facts.attributes, BASELINE])
        found[name] = column.iloc[units.row].to_numpy()
    return found


def complete_sample(sample: Sample, values: np.ndarray, group: np.ndarray, pairs: list[tuple[int, int]],
                    covariates: pd.DataFrame | None = None, *, exposure: np.ndarray | None = None,
                    event: np.ndarray | None = None, cluster: np.ndarray | None = None) -> Sample:
    """A sample of one unit per patient that all have a value; what is not given it does not have."""
    n = len(values)
    units = replace(sample.units, value=values, group=group, reason=np.full(n, "", dtype=object), weight=exposure,
                    event=event, patient=np.arange(n), row=np.arange(n), shared={})
    return replace(sample, units=units, used=np.ones(n, dtype=bool), all_values=values, pairs=pairs, completions=(),
                   all_covariates=pd.DataFrame(index=range(n)) if covariates is None else covariates, cluster=cluster)


def find_clusters(call: Call, cohort: Cohort, units: Units, used: np.ndarray,
                  cluster: str | None) -> tuple[np.ndarray | None, str]:
    """Cluster codes of the units used, and by what; None where every unit stands alone."""
    if cluster is not None:
        frame = population_frame(cohort.facts, call.population)
        if cluster not in frame:
            raise UnknownNameError("attribute", cluster, cohort.facts.attributes)
        named = frame[cluster].iloc[units.row].astype(object)[used]
        if named.isna().any():
            raise ParameterError(f"{int(named.isna().sum())} units have no {cluster}, so they cannot be clustered by "
                                 "it. Leave them out with a filter of the cohort.")
        return pd.factorize(named)[0], cluster
    patient = units.patient[used]
    return (patient, "patient") if len(np.unique(patient)) < len(patient) else (None, "")
