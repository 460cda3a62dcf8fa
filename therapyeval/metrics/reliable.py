"""Is a change more than measurement error: the reliable change index. Source: metric definitions, section 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError
from therapyeval.measures import Measure
from therapyeval.metrics.eligible import not_eligible, paired_scores
from therapyeval.metrics.registry import Values, metric, number_text, reaches

RELIABLE = 1.96  # the published constant, not 1.959964
Z_BY_LEVEL = {90: 1.645, 95: 1.96}
RECOVERED, IMPROVED, UNCHANGED, DETERIORATED = "recovered", "improved", "unchanged", "deteriorated"
FUNCTIONAL = "functional_at_baseline"
NO_ERROR = "no measurement error is registered for this measure"


@metric(label="Reliable change index", kind="mean", unit="z", better="higher",
        population="episodes", cohort_rule="discharged")
def rci(facts: Facts, measure: str) -> Values:
    """Change divided by the standard error of a difference, of each eligible paired episode. The error is that of
    the two scores where both are known, else it follows from the measure's SEM, else from its MDC.

    Source: metric definitions, section 1; Jacobson and Truax 1991, J Consult Clin Psychol 59:12.
    """
    scores = paired_scores(facts, measure)
    error, source = _error_of_difference(facts.measure(measure), scores)
    return Values(scores["change"] / error, excluded=not_eligible(facts, scores, measure), note=source,
                  lacking="" if source else NO_ERROR)


@metric(label="Reliably improved", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def reliable_improvement_rate(facts: Facts, measure: str) -> Values:
    """Share of eligible paired episodes with a reliable change index of at least 1.96.

    Source: metric definitions, section 1.
    """
    return _beyond(rci(facts, measure), 1)


@metric(label="Reliably deteriorated", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="discharged")
def reliable_deterioration_rate(facts: Facts, measure: str) -> Values:
    """Share of eligible paired episodes with a reliable change index of -1.96 or less.

    Source: metric definitions, section 1.
    """
    return _beyond(rci(facts, measure), -1)


@metric(label="Recovered, improved, unchanged, deteriorated", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="discharged", by_level=True,
        better_level={RECOVERED: "higher", IMPROVED: "higher", DETERIORATED: "lower"})
def jt_class(facts: Facts, measure: str, norms: str | None = None, cut: float | None = None) -> Values:
    """Shares of four classes of eligible paired episodes: recovered (reliably improved, from the dysfunctional side
    of the cut-off to the cut-off or beyond), improved (the other reliably improved), unchanged, deteriorated. The
    cut-off is given (`cut`) or lies between the norms, written as mean/SD of the dysfunctional and mean/SD of the
    functional (`norms=40/14/72/8`). Without either, improved holds both. Those functional at baseline, who cannot
    recover, are counted beside the classes.

    Source: metric definitions, section 1; Jacobson and Truax 1991, J Consult Clin Psychol 59:12.
    """
    scores, index, sign = paired_scores(facts, measure), rci(facts, measure), facts.measure(measure).sign
    better, worse = reaches(index.value, RELIABLE) == 1, reaches(-index.value, RELIABLE) == 1
    cut = _cut_off(norms, cut)
    levels = (*(() if cut is None else (RECOVERED,)), IMPROVED, UNCHANGED, DETERIORATED)
    found = pd.Series(UNCHANGED, index=scores.index).mask(better, IMPROVED).mask(worse, DETERIORATED)
    note, counted = index.note, {}
    if cut is not None:
        there = [reaches(sign * scores[name], sign * cut) == 1 for name in ("baseline", "final")]
        found = found.mask(better & ~there[0] & there[1], RECOVERED)
        note, counted = f"cut-off {number_text(cut)}; {note}", {FUNCTIONAL: there[0]}
    place = found.map({level: number for number, level in enumerate(levels)}).astype(float)
    return Values(place.where(index.value.notna()), excluded=index.excluded, levels=levels, note=note,
                  counted=counted, lacking=index.lacking)


def _error_of_difference(measure: Measure, scores: pd.DataFrame) -> tuple[pd.Series, str]:
    """Standard error of the difference of each pair, and where it is from ("" where there is none)."""
    known = pd.Series(np.nan, index=scores.index)
    if {"baseline_se", "final_se"} <= set(scores):
        known = np.sqrt(scores["baseline_se"].astype(float) ** 2 + scores["final_se"].astype(float) ** 2)
    sem, source = measure.sem, "registered SEM"
    if sem is None and measure.mdc is not None:
        level = measure.mdc_level or 95
        sem, source = measure.mdc / (Z_BY_LEVEL[level] * np.sqrt(2)), f"SEM from the MDC{level}"
    told = [] if sem is None else [f"{source} {number_text(sem)} {measure.unit}"]
    if known.notna().any():
        told.insert(0, "standard errors of the two scores")
    error = known.where(known > 0, np.nan if sem is None else sem * np.sqrt(2))
    return error, ", else ".join(told)


def _beyond(index: Values, sign: int) -> Values:
    return Values(reaches(sign * index.value, RELIABLE), excluded=index.excluded, note=index.note,
                  lacking=index.lacking)


def _cut_off(norms: str | None, cut: float | None) -> float | None:
    """The cut-off given, or c = (s_f M_d + s_d M_f) / (s_f + s_d) of dysfunctional and functional norms."""
    if norms is None:
        return cut
    try:
        mean_d, sd_d, mean_f, sd_f = (float(part) for part in norms.split("/"))
    except ValueError:
        mean_d = sd_d = mean_f = sd_f = np.nan
    if cut is not None or not (sd_d > 0 and sd_f > 0 and np.isfinite(mean_d + mean_f)):
        raise ParameterError("jt_class takes cut=… or norms=mean/SD/mean/SD, first of the dysfunctional and then of "
                             "the functional, such as norms=40/14/72/8.")
    return (sd_f * mean_d + sd_d * mean_f) / (sd_f + sd_d)
