"""Checks of the model behind a comparison: each a number and a sentence that says what it means.

Thresholds: Cook and Weisberg (1982) for influence (1, and 0.5 for a second look); Cochran (1954) for expected counts
(5); Bulmer (1979) for skewness (0.5 and 1); Imbens and Wooldridge (2009), J Econ Lit 47:5-86, for overlap (0.25);
Cameron and Miller (2015), J Hum Resour 50:317-372, for clusters (40); the 5% level elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.models import Model
from therapyeval.analysis.sample import Sample

ALPHA, SPARSE, FEW, VERY_FEW, FAR_APART = 0.05, 5, 40, 10, 0.25


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


def _dispersion(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    size = stats.dispersion(sample.value, sample.exposure, sample.group, sample.covariates)
    wide = ("counts vary more than Poisson, and this model's interval is too narrow: use negative_binomial"
            if model.name != "negative_binomial" else "counts vary more than Poisson; this model allows for it")
    tight = ": use model poisson where this one gives no estimate" if model.name == "negative_binomial" else ""
    said = ("the Poisson model gives no estimate" if np.isnan(size) else
            f"counts vary about as Poisson{tight}" if size < 1.5 else wide)
    return Check("check_dispersion", size, said, "Pearson chi-square by degrees of freedom")


def _convergence(model: Model, sample: Sample, contrast: stats.Contrast) -> Check:
    problems = sorted({str(note) for note in contrast.note} - {""})
    return Check("check_convergence", float(not problems), "; ".join(problems) or "the model has one clear estimate",
                 "convergence and separation")


CHECKS: dict[str, Callable[[Model, Sample, stats.Contrast], Check | None]] = {
    "skewness": _skewness, "normality": _normality, "spread": _spread, "influence": _influence,
    "expected": _expected, "overlap": _overlap, "clusters": _clusters, "dispersion": _dispersion,
    "convergence": _convergence}
