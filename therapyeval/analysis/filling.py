"""Multiple imputation in a comparison: what is filled from what, the complete samples, and the tipping point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.contrast_rows import Line, contrast_name
from therapyeval.analysis.effects import Effect, Scale
from therapyeval.analysis.missing import foretelling
from therapyeval.analysis.models import Fit
from therapyeval.analysis.sample import NOMINAL, ORDERED, Sample, complete_sample, find_clusters, kind_of
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.formatting import listed
from therapyeval.metrics.registry import Call

M, ITERATIONS, SEED = 50, 10, 1      # so many for any share of missing: a number made from the share would tell it
SHIFTS = np.arange(-3.0, 4.0)     # of the imputed values, in SDs of the outcome
LABEL = "compared: "                 # keeps these apart from covariates of the same name
OUTCOME, EXPOSURE, GROUP, CLUSTER, EVENT, HAZARD = (
    LABEL + name for name in ("outcome", "exposure", "group", "cluster", "event", "cumulative hazard"))
EMPTY_CLUSTER = "a cluster has no value to impute from"


@dataclass(frozen=True)
class Filled:
    """The imputations of one metric: `rows` are the units that were filled (a mask), `told` says from what.

    `imputations` is None where nothing had to be filled.
    """

    rows: np.ndarray
    told: str
    imputations: stats.Imputations | None

    def completions(self, sample: Sample) -> tuple[Sample, ...]:
        return tuple(_completion(sample, self.rows, frame) for frame in self.imputations.frames)


def fill(call: Call, cohort: Cohort, sample: Sample) -> Filled:
    """Impute what a sample lacks: values, exposures and covariates; of times the covariates only, given event and
    cumulative hazard. Named clusters enter as fixed effects.

    Raises
    ------
    ParameterError
        Where several units belong to one patient.

    Source: White and Royston (2009), Stat Med 28:1982-1998 (times); Andridge (2011), Biom J 53:57-74, and Drechsler
    (2015), J Educ Behav Stat 40:69-95 (clusters: with fixed effects intervals are rather too wide than too narrow).
    """
    rows = _rows(call, sample)
    patient = sample.units.patient[rows]
    if len(np.unique(patient)) < len(patient):
        raise ParameterError(f"{call.text}: imputation takes patients as independent, but several units belong to one "
                             "patient. Use missing='weight', or missing='complete'.")
    frame = _frame(call, cohort, sample, rows)
    names = [sample.asked.cluster if name == CLUSTER else name.removeprefix(LABEL) for name in frame if name != OUTCOME]
    told = f"imputed from {listed(names)}"
    if not frame.isna().any(axis=None):
        return Filled(rows, "nothing is missing that is filled", None)
    rounds = ITERATIONS if frame.isna().any().sum() > 1 else 1      # one column alone needs no rounds
    if CLUSTER in frame and _has_empty_cluster(frame):
        none = np.empty((0, rounds, 0))
        return Filled(rows, told, stats.Imputations((), frame.isna(), {}, none, none, EMPTY_CLUSTER))
    return Filled(rows, f"{told}, seed {SEED}", stats.impute(frame, m=M, iterations=rounds, seed=SEED))


def covariates_of(call: Call, cohort: Cohort, sample: Sample, rows: np.ndarray) -> pd.DataFrame:
    """Covariates, and what foretells who has a value (as `missing_panel`), of the units of a mask."""
    own = sample.all_covariates[rows].reset_index(drop=True)
    if call.population != "episodes":
        return own
    more = foretelling(call, cohort.facts).iloc[sample.units.row[rows]].reset_index(drop=True)
    return pd.concat([own, more[[name for name in more if name not in own and more[name].notna().any()]]], axis=1)


def tipping_lines(filled: Filled, single: Fit, sample: Sample, main: Effect, scale: Scale) -> list[Line]:
    """How far the imputed values of each first group must move before the verdict changes; one row per pair."""
    names, lines = sample.units.keys.iloc[:, 0].tolist(), []
    group, spread = sample.units.group[filled.rows], float(np.std(sample.value)) if len(sample.value) else 0.0
    for first, second in sample.pairs:
        of_pair = replace(sample, pairs=[(first, second)], completions=())
        found = stats.tipping_point(filled.imputations, group == first, OUTCOME,
                                    _estimator(single, of_pair, filled.rows), SHIFTS * spread,
                                    conf_level=sample.conf_level)
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


def _rows(call: Call, sample: Sample) -> np.ndarray:
    """The eligible units, without those that have no exposure (0), or no time."""
    units, kind = sample.units, kind_of(call)
    if kind == "ratio":
        return units.eligible & ~(units.weight <= 0)
    return units.used if kind == "time" else units.eligible


def _frame(call: Call, cohort: Cohort, sample: Sample, rows: np.ndarray) -> pd.DataFrame:
    """A row per unit: outcome, group, covariates, and what foretells who has a value."""
    units, kind = sample.units, kind_of(call)
    found = {GROUP: pd.Categorical(units.group[rows].astype(str))}
    if kind == "time":
        found[EVENT] = units.event[rows].astype(float)
        found[HAZARD] = stats.cumulative_hazard(units.value[rows], units.event[rows])
    else:
        value = np.where(units.used, units.value if kind == NOMINAL else sample.all_values, np.nan)[rows]
        classes = kind in (NOMINAL, ORDERED)
        found = {OUTCOME: pd.Categorical(value, ordered=kind == ORDERED) if classes else value, **found}
    if kind == "ratio":
        found[EXPOSURE] = units.weight[rows]
    if sample.asked.cluster is not None:
        codes = find_clusters(call, cohort, units, rows, sample.asked.cluster)[0]
        found[CLUSTER] = pd.Categorical(codes.astype(str))
    return pd.concat([pd.DataFrame(found), covariates_of(call, cohort, sample, rows)], axis=1)


def _has_empty_cluster(frame: pd.DataFrame) -> bool:
    """Whether all values of an incomplete column are missing in some cluster."""
    gaps = frame.loc[:, frame.isna().any()]
    return bool(gaps.notna().groupby(frame[CLUSTER], observed=True).sum().eq(0).any(axis=None))


def _completion(sample: Sample, rows: np.ndarray, frame: pd.DataFrame) -> Sample:
    """The sample with one complete frame for its rows."""
    units = sample.units
    value = frame[OUTCOME].to_numpy(dtype=float) if OUTCOME in frame else sample.all_values[rows]
    if sample.level:
        value = (value == units.levels.index(sample.level)).astype(float)
    return complete_sample(
        sample, value, units.group[rows], sample.pairs, frame[list(sample.all_covariates)],
        exposure=frame[EXPOSURE].to_numpy(dtype=float) if EXPOSURE in frame else None,
        event=None if units.event is None else units.event[rows],
        cluster=frame[CLUSTER].cat.codes.to_numpy() if CLUSTER in frame else None)


def _estimator(fit: Fit, sample: Sample, rows: np.ndarray) -> Callable[[pd.DataFrame], stats.Contrast]:
    """An estimator of one complete frame."""
    return lambda frame: fit(_completion(sample, rows, frame))
