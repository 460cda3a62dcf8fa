"""Checks of the model behind a comparison: each a number and a sentence that says what it means.

Thresholds: Cook and Weisberg (1982) for influence (1, and 0.5 for a second look); Cochran (1954) for expected counts
(5); Bulmer (1979) for skewness (0.5 and 1); Imbens and Wooldridge (2009), J Econ Lit 47:5-86, for overlap (0.25);
Austin and Stuart (2015), Stat Med 34:3661-3679, for balance (0.1); Cameron and Miller (2015), J Hum Resour
50:317-372, for clusters (40); the 5% level elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.models import Model
from therapyeval.analysis.sample import Sample
from therapyeval.stats.adjusted_models import OVERDISPERSED

ALPHA, SPARSE, FEW, VERY_FEW, FAR_APART, BALANCED = 0.05, 5, 40, 10, 0.25, 0.1
MATCHED, NO_SCORES = "matched", "no propensity scores or no matches"


@dataclass(frozen=True)
class Check:
    """One check: `found` and, where there is a test, its P value; `said` in words, or why there is no number."""

    statistic: str
    found: float
    said: str
    method: str
    p_value: float = np.nan


def run_checks(model: Model, sample: Sample, contrast: stats.Contrast) -> list[Check]:
    """The checks that the model asks for."""
    return [check for name in model.checks if (check := CHECKS[name](model, sample, contrast)) is not None]


def _skewness(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    residuals = sample.residuals
    size = abs(residuals.skewness)
    said = (residuals.spread.note or residuals.note if np.isnan(size) else
            "about symmetric" if size <= 0.5 else "somewhat skewed" if size <= 1 else
            "strongly skewed: in small groups set a model of ranks (mann_whitney) or permutation beside it")
    return Check("check_skewness", residuals.skewness, said, "third moment of the residuals")


def _normality(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    test = sample.residuals.normality
    said = test.note or ("no sign against normal residuals" if test.p_value >= ALPHA else
                         "not normal: matters with fewer than about 30 units in a group, hardly with more")
    return Check("check_normality", test.statistic, said, test.method, test.p_value)


def _spread(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    test = sample.residuals.spread
    assumed = model.equal_spread or (model.name == "ancova" and sample.asked.variance == "classical"
                                     and sample.cluster is None)
    wide = ("the spread is not equal, and this model assumes that it is: use welch, games_howell or variance HC3"
            if assumed else "the spread is not equal; this model does not need that")
    said = test.note or ("no sign of unequal spread" if test.p_value >= ALPHA else wide)
    return Check("check_spread", test.statistic, said, test.method, test.p_value)


def _influence(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    residuals = sample.residuals
    size = residuals.influence
    said = residuals.note or ("no single unit weighs heavily" if size <= 0.5 else
                              "one unit weighs heavily: look at it" if size <= 1 else
                              "one unit decides much of the result: show the result without it, too")
    return Check("check_influence", size, said, "largest Cook's distance")


def _expected(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    smallest = stats.smallest_expected(sample.successes, sample.n)
    said = ("no unit has a value" if np.isnan(smallest) else "no sparse cell" if smallest >= SPARSE else
            "sparse cells: set an exact model (fisher, mid_p) or firth beside it")
    return Check("check_expected", smallest, said, "smallest expected count of group by outcome")


def _overlap(model: Model, sample: Sample, contrast: stats.Contrast) -> Check | None:
    """The covariate in which two compared groups differ most, in SDs and without sign; NaN where it is infinite."""
    if not sample.asked.adjust:
        return None
    apart = [(_distance(sample.covariates[name], sample.group == a, sample.group == b), name)
             for name in sample.covariates for a, b in sample.pairs]
    size, name = max((found for found in apart if not np.isnan(found[0])), default=(np.nan, ""))
    said = ("a group has too few values" if not name else
            f"the groups overlap in all covariates, least in {name}" if size <= FAR_APART else
            f"the groups lie apart in {name}: the adjustment rests on the model, not on like patients")
    return Check("check_overlap", size if np.isfinite(size) else np.nan, said,
                 "largest standardized difference of a covariate")


def _distance(column: pd.Series, first: np.ndarray, second: np.ndarray) -> float:
    if min(first.sum(), second.sum()) < 2:
        return np.nan
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        one, two = (column[mask].astype(float) for mask in (first, second))
        return abs(float(stats.smd_numeric(one.mean(), one.std(), two.mean(), two.std())))
    codes, levels = pd.factorize(column)
    shares = [np.bincount(codes[mask], minlength=len(levels)) / mask.sum() for mask in (first, second)]
    return stats.smd_categorical(*shares)


def _clusters(model: Model, sample: Sample, contrast: stats.Contrast) -> Check | None:
    if sample.cluster is None:
        return None
    n = len(np.unique(sample.cluster))
    said = ("enough clusters" if n >= FEW else
            "few clusters: the degrees of freedom allow for it" if n >= VERY_FEW else
            "very few clusters: the interval rests on few independent units, take it with care")
    return Check("check_clusters", float(n), said, f"clusters by {sample.clustered}")


def _positivity(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    """The largest share, in either group of any pair, of propensity scores beyond 0.05 and 0.95."""
    found = [stats.overlap_check(score, _estimand(model)) for score in _scores(sample)]
    size = _worst([one.share_outside.max() for one in found], max)
    said = (_why_none(found) if np.isnan(size) else "everybody might have been in either group" if size == 0 else
            "a few could hardly have been in the other group" if size <= ALPHA else
            "many could hardly have been in the other group: the estimate speaks of few like patients; look at model "
            "overlap")
    return Check("check_positivity", size, said, "propensity scores below 0.05 or above 0.95")


def _effective_size(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    sizes = [stats.effective_size(weights[sample.group == code]) / sample.n[code] if sample.n[code] else np.nan
             for pair, weights in all_weights(model, sample) for code in pair]
    counts = [stats.effective_size(weights[sample.group == code]) for pair, weights in all_weights(model, sample)
              for code in pair]
    size, share = _worst(counts, min), _worst(sizes, min)
    said = (NO_SCORES if np.isnan(size) else "few units carry the weight: take the interval with care"
            if share < 0.5 or size < FEW else "the weight is spread over many units")
    return Check("check_effective_size", size, said, "(sum of weights)^2 / sum of squared weights (Kish)")


def _balance(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    """The largest standardized difference that is left of a covariate."""
    left = []
    for pair, weights in all_weights(model, sample):
        found = stats.covariate_balance(sample.group, pair, sample.covariates, weights)
        left += [(abs(smd), name) for smd, name in zip(found.smd_after, found.variable, strict=True)]
    size, name = max((one for one in left if np.isfinite(one[0])), default=(np.nan, ""))
    said = (NO_SCORES if np.isnan(size) else f"the groups resemble each other, least in {name}" if size <= BALANCED else
            f"the groups still differ in {name}: the score needs squares or products of covariates, or another model")
    return Check("check_balance", size, said, "largest standardized difference after weighting or matching")


def _icc(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    found = stats.adjusted_icc(sample.value, sample.group, sample.covariates, sample.cluster)
    size = float(found.estimate[0])
    said = (str(found.note[0]) if np.isnan(size) else
            f"units of one {sample.clustered} are no more alike than others" if size == 0 else
            f"share of the spread, beyond groups and covariates, that lies between clusters by {sample.clustered}")
    return Check("check_icc", size, said, found.method)


def _hazards(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    test = stats.proportional_hazards(sample.value, sample.event, sample.group, sample.covariates).group
    said = test.note or ("no sign that the ratio changes over time" if test.p_value >= ALPHA else
                         "the ratio changes over time, so that one number does not describe it: use model rmst")
    return Check("check_hazards", test.statistic, said, test.method, test.p_value)


def _estimand(model: Model) -> str:
    return "ATE" if model.weights == MATCHED else model.weights


def _scores(sample: Sample) -> list[stats.Propensity]:
    return [stats.propensity_score(sample.group, pair, sample.covariates) for pair in sample.pairs]


def all_weights(model: Model, sample: Sample) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Each pair with its weights, those without scores left out."""
    if model.weights == MATCHED:
        found = [(pair, stats.match_nearest(sample.group, pair, sample.covariates).weights) for pair in sample.pairs]
    else:
        found = [(pair, stats.propensity_weights(score, model.weights)) for pair, score in
                 zip(sample.pairs, _scores(sample), strict=True)]
    return [(pair, weights) for pair, weights in found if not np.isnan(weights).any() and weights.any()]


def _worst(found: list[float], which: Callable) -> float:
    return which((float(size) for size in found if not np.isnan(size)), default=np.nan)


def _why_none(found: list[stats.Overlap]) -> str:
    return next((one.note for one in found if one.note), NO_SCORES)


def _dispersion(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    size = stats.dispersion(sample.value, sample.exposure, sample.group, sample.covariates)
    wide = ("counts vary more than Poisson, and this model's interval is too narrow: use negative_binomial"
            if model.name != "negative_binomial" else "counts vary more than Poisson; this model allows for it")
    tight = ": use model poisson where this one gives no estimate" if model.name == "negative_binomial" else ""
    said = ("the Poisson model gives no estimate" if np.isnan(size) else
            f"counts vary about as Poisson{tight}" if size <= OVERDISPERSED else wide)
    return Check("check_dispersion", size, said, "Pearson chi-square by degrees of freedom")


def _convergence(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    problems = sorted({str(note) for note in contrast.note[np.isnan(contrast.estimate)]} - {""})
    return Check("check_convergence", float(not problems), "; ".join(problems) or "the model has one clear estimate",
                 "convergence and separation")


CHECKS: dict[str, Callable[[Model, Sample, stats.Contrast], Check | None]] = {
    "skewness": _skewness, "normality": _normality, "spread": _spread, "influence": _influence,
    "expected": _expected, "overlap": _overlap, "clusters": _clusters, "dispersion": _dispersion,
    "convergence": _convergence, "positivity": _positivity, "effective_size": _effective_size, "balance": _balance,
    "hazards": _hazards, "icc": _icc}
