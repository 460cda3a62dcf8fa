"""The one table of models for a comparison, and which of them answers when none is named.

A further model is one entry of MODELS (and of DEFAULTS where it is to be chosen unasked).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from therapyeval import stats
from therapyeval.analysis.sample import IMPUTE, NOMINAL, ORDERED, Sample
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.formatting import listed
from therapyeval.stats.variances import CLUSTERED

DRAWS = 20_000                       # random exchanges where there are too many to try all
EXACT_EXCHANGES = 200_000
SCORES, SHARES = ("mean", "median"), ("proportion", NOMINAL)
HORIZONS = (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825)     # days; round, so that none is one patient's time
NOT_RANDOMIZED = ("positivity", "effective_size", "overlap", "balance")
RESIDUALS = ("skewness", "normality", "spread", "influence")
Fit = Callable[[Sample], stats.Contrast]


@dataclass(frozen=True)
class Model:
    """How a comparison is estimated.

    Attributes
    ----------
    kinds : the kinds of metric it fits
    statistic : what its estimates are, of result.STATISTICS
    fit : Sample -> Contrast, one entry per pair of groups
    title : what goes before the estimator's own words in `method`, where there are covariates and where not
    joint : Sample -> one test of all groups, where there are more than two
    beside : further effects, names of effects.EFFECTS
    checks : names of model_checks.CHECKS
    adjusts, clusters : whether it takes covariates, and units that belong together
    equal_spread : whether it assumes that
    margin : "limits" or "score": how a margin is tested; "" where it cannot be
    p_adjusted : whether its P values are adjusted for several contrasts already
    unpooled : why Rubin's rules cannot pool its intervals over imputations; "" where they can, the limits being made
        of a standard error
    each : what is fitted to each imputation, where that is not `fit`
    weights : whom its propensity weights speak of ("ATE", "ATT", "overlap"), or "matched"; "" for other models
    needs_covariates, needs_clusters : whether it is nothing without them
    """

    name: str
    kinds: tuple[str, ...]
    statistic: str
    fit: Fit
    title: tuple[str, str] = ("adjusted for {}", "")
    joint: Callable[[Sample], stats.JointTest] | None = None
    beside: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    adjusts: bool = False
    clusters: bool = False
    equal_spread: bool = False
    margin: str = ""
    p_adjusted: bool = False
    unpooled: str = ""
    each: Fit | None = None
    weights: str = ""
    needs_covariates: bool = False
    needs_clusters: bool = False

    def effect_of(self, sample: Sample) -> str:
        """What the estimates are called."""
        return "risk_difference" if sample.is_share and self.statistic == "difference" else self.statistic

    def method(self, sample: Sample, fitted: str, why: str) -> str:
        """The model in words: covariates, estimator, clusters, and why it was chosen."""
        names = ", ".join(sample.asked.adjust)
        clustered = f", clustered by {sample.clustered}" if sample.cluster is not None else ""
        told = self.title[0].format(names) if names else self.title[1]
        return "; ".join(filter(None, [told, fitted + clustered, why]))


def values_only(name: str, **fixed: object) -> Fit:
    """An estimator of values and groups."""
    return lambda sample: getattr(stats, name)(sample.value, sample.group, sample.pairs,
                                               conf_level=sample.conf_level, **fixed)


def counts_only(name: str, **fixed: object) -> Fit:
    """An estimator of successes out of n."""
    return lambda sample: getattr(stats, name)(sample.successes, sample.n, sample.pairs,
                                               conf_level=sample.conf_level, **fixed)


def with_covariates(name: str, **fixed: object) -> Fit:
    """An estimator of an outcome on groups and covariates."""
    return lambda sample: getattr(stats, name)(sample.value, sample.group, sample.pairs, sample.covariates,
                                               conf_level=sample.conf_level, **fixed)


def least_squares(sample: Sample) -> stats.Contrast:
    """Adjusted difference with the variance asked for; CR2 (or CR1, if asked for) where units belong together."""
    asked = sample.asked.variance
    variance = asked if sample.cluster is None or asked in CLUSTERED else "CR2"
    return with_covariates("adjusted_difference", variance=variance, cluster=sample.cluster)(sample)


def permutation(sample: Sample) -> stats.Contrast:
    """Every exchange where they are few, else random ones; its method says which."""
    most = max((comb(int(sample.n[a] + sample.n[b]), int(sample.n[a])) for a, b in sample.pairs), default=0)
    return values_only("permutation", draws=None if most <= EXACT_EXCHANGES else DRAWS)(sample)


def totals_ratio(sample: Sample) -> stats.Contrast:
    return stats.rate_ratio(sample.successes, sample.sums(sample.exposure), sample.pairs, conf_level=sample.conf_level)


def count_model(family: str) -> Fit:
    return lambda sample: stats.adjusted_rate_ratio(sample.value, sample.exposure, sample.group, sample.pairs,
                                                    sample.covariates, family=family, conf_level=sample.conf_level)


def of_time(sample: Sample) -> stats.Contrast:
    """Difference of restricted means up to the longest usual horizon that all groups are followed to."""
    longest = np.zeros(sample.units.n_groups)
    np.maximum.at(longest, sample.group, sample.value)
    there = longest[np.unique(sample.pairs)]
    horizon = max((days for days in HORIZONS if days <= there.min()), default=HORIZONS[0])
    return stats.restricted_mean_contrast(sample.value, sample.event, sample.group, sample.pairs, horizon=horizon,
                                          conf_level=sample.conf_level)


def hazards(sample: Sample) -> stats.Contrast:
    return stats.hazard_ratio(sample.value, sample.event, sample.group, sample.pairs, sample.covariates,
                              cluster=sample.cluster, conf_level=sample.conf_level)


def doubly_robust(sample: Sample) -> stats.Contrast:
    return with_covariates("doubly_robust_difference", is_share=sample.is_share)(sample)


def of_values(name: str) -> Callable[[Sample], stats.JointTest]:
    return lambda sample: getattr(stats, name)(sample.value, sample.group)


def of_table(sample: Sample) -> stats.JointTest:
    return stats.chi_square(np.column_stack([sample.successes, sample.n - sample.successes]))


def mixed(sample: Sample) -> stats.Contrast:
    return with_covariates("mixed_difference", cluster=sample.cluster)(sample)


def gee(sample: Sample) -> stats.Contrast:
    kind = {"family": "binomial", "effect": "risk_difference"} if sample.is_share else {}
    return with_covariates("gee_contrast", cluster=sample.cluster, **kind)(sample)


def log_rank(sample: Sample) -> stats.JointTest:
    return stats.log_rank(sample.value, sample.event, sample.group, sample.units.n_groups)


BESIDE_SCORES = ("mcid", "hedges_g", "number_needed", "e_value")
RANKS, EXACT_LIMITS, SCORE_LIMITS = "it works on ranks", "its limits are exact", "its limits are score limits"
TOGETHER = "its limits hold for all pairs together"

MODELS: dict[str, Model] = {model.name: model for model in (
    Model("welch", SCORES, "difference", values_only("welch"), joint=of_values("welch_anova"),
          beside=("mcid", "hedges_g", "superiority"), checks=RESIDUALS, margin="limits"),
    Model("student", SCORES, "difference", values_only("student"), joint=of_values("anova"),
          beside=("mcid", "hedges_g", "superiority"), checks=RESIDUALS, margin="limits", equal_spread=True),
    Model("ancova", SCORES, "difference", least_squares, title=("ANCOVA on {}", "difference of means"),
          beside=("mcid", "hedges_g"), checks=(*RESIDUALS, "overlap", "clusters"), adjusts=True,
          clusters=True, margin="limits"),
    Model("tukey", SCORES, "difference", values_only("tukey"), unpooled=TOGETHER, joint=of_values("anova"),
          beside=("mcid", "hedges_g", "superiority"), checks=RESIDUALS, equal_spread=True, p_adjusted=True),
    Model("games_howell", SCORES, "difference", values_only("games_howell"), joint=of_values("welch_anova"),
          unpooled=TOGETHER, beside=("mcid", "hedges_g", "superiority"), checks=RESIDUALS, p_adjusted=True),
    Model("permutation", SCORES, "difference", permutation, beside=("mcid", "hedges_g", "superiority"),
          checks=("spread", "influence"), unpooled="its limits come from exchanges"),
    Model("mann_whitney", SCORES, "shift", values_only("mann_whitney"), joint=of_values("kruskal_wallis"),
          beside=("mcid", "superiority"), unpooled=RANKS),
    Model("dunn", SCORES, "rank_difference", values_only("dunn"), joint=of_values("kruskal_wallis"),
          beside=("superiority",), unpooled=RANKS),
    Model("newcombe", SHARES, "risk_difference", counts_only("risk_difference"), joint=of_table,
          beside=("risk_ratio", "odds_ratio", "number_needed"), checks=("expected",), margin="score",
          unpooled=SCORE_LIMITS),
    Model("miettinen_nurminen", SHARES, "risk_difference", counts_only("score_risk_difference"), joint=of_table,
          beside=("risk_ratio", "odds_ratio", "number_needed"), checks=("expected",), margin="score",
          unpooled=SCORE_LIMITS),
    Model("logistic", SHARES, "risk_difference", with_covariates("adjusted_risk"),
          beside=("risk_ratio", "odds_ratio", "number_needed"), checks=("expected", "overlap", "convergence"),
          adjusts=True, margin="limits"),
    Model("linear", SHARES, "risk_difference", least_squares,
          title=("linear model of the shares on {}", "difference of proportions"),
          beside=("risk_ratio", "odds_ratio", "number_needed"), checks=("expected", "overlap", "clusters"),
          adjusts=True, clusters=True, margin="limits"),
    Model("fisher", SHARES, "odds_ratio", counts_only("fisher"), checks=("expected",), unpooled=EXACT_LIMITS),
    Model("mid_p", SHARES, "odds_ratio", counts_only("fisher", mid_p=True), checks=("expected",),
          unpooled=EXACT_LIMITS),
    Model("firth", SHARES, "odds_ratio", with_covariates("firth_odds_ratio"),
          each=with_covariates("firth_odds_ratio", limits="wald"),
          checks=("expected", "overlap", "convergence"), adjusts=True),
    Model("rate_ratio", ("ratio",), "rate_ratio", totals_ratio, checks=("dispersion",),
          unpooled=EXACT_LIMITS),
    Model("poisson", ("ratio",), "rate_ratio", count_model("poisson"), checks=("dispersion", "overlap", "convergence"),
          adjusts=True),
    Model("negative_binomial", ("ratio",), "rate_ratio", count_model("negative_binomial"),
          checks=("dispersion", "overlap", "convergence"), adjusts=True),
    Model("proportional_odds", (ORDERED,), "odds_ratio", with_covariates("proportional_odds"),
          checks=("overlap", "convergence"), adjusts=True),
    *(Model(name, (*SCORES, *SHARES), "difference", fit, title=(title, ""), beside=BESIDE_SCORES, weights=weights,
            checks=NOT_RANDOMIZED, adjusts=True, needs_covariates=True, margin="limits")
      for name, weights, title, fit in (
          ("iptw", "ATE", "weighted on {}", with_covariates("weighted_difference", estimand="ATE")),
          ("iptw_att", "ATT", "weighted on {}", with_covariates("weighted_difference", estimand="ATT")),
          ("overlap", "overlap", "weighted on {}", with_covariates("weighted_difference", estimand="overlap")),
          ("matched", "matched", "matched on {}", with_covariates("matched_difference")),
          ("aipw", "ATE", "doubly robust on {}", doubly_robust))),
    Model("mixed", SCORES, "difference", mixed, beside=("mcid", "hedges_g"),
          checks=(*RESIDUALS, "overlap", "icc", "clusters", "convergence"), adjusts=True, clusters=True,
          needs_clusters=True, margin="limits"),
    Model("gee", (*SCORES, *SHARES), "difference", gee,
          beside=("mcid", "hedges_g", "gee_odds_ratio", "number_needed"), margin="limits",
          checks=("overlap", "icc", "clusters", "convergence"), adjusts=True, clusters=True, needs_clusters=True),
    Model("rmst", ("time",), "difference", of_time, joint=log_rank),
    Model("cox", ("time",), "hazard_ratio", hazards, checks=("hazards", "overlap", "clusters", "convergence"),
          adjusts=True, clusters=True),
)}

# (kind, covariates, units that belong together) -> model
DEFAULTS: dict[tuple[str, bool, bool], str] = {
    ("mean", False, False): "welch", ("mean", True, False): "ancova",
    ("mean", False, True): "ancova", ("mean", True, True): "ancova",
    ("median", False, False): "mann_whitney",
    ("proportion", False, False): "newcombe", ("proportion", True, False): "logistic",
    ("proportion", False, True): "linear", ("proportion", True, True): "linear",
    (NOMINAL, False, False): "newcombe", (NOMINAL, True, False): "logistic",
    (NOMINAL, False, True): "linear", (NOMINAL, True, True): "linear",
    ("ratio", False, False): "negative_binomial", ("ratio", True, False): "negative_binomial",
    (ORDERED, False, False): "proportional_odds", (ORDERED, True, False): "proportional_odds",
    ("time", False, False): "rmst", ("time", True, False): "cox",
    ("time", False, True): "cox", ("time", True, True): "cox",
}


def choose(text: str, kind: str, sample: Sample, named: str | None) -> tuple[Model, str]:
    """The model for a metric, and why it was chosen ("" where it was named).

    Raises
    ------
    UnknownNameError, ParameterError
        For a model that does not exist or does not fit the metric, its covariates or its clusters.
    NotEvaluableError
        Where no model fits and none was named.
    """
    adjusted, clustered = bool(sample.asked.adjust), sample.cluster is not None
    if named is None:
        name = DEFAULTS.get((kind, adjusted, clustered))
        if sample.rule == IMPUTE and name and MODELS[name].unpooled:
            name = "logistic" if kind in SHARES else name
        if name is None:
            raise NotEvaluableError(f"{text}: no model for {_words(kind, adjusted, sample)} yet. {_fitting(kind)}")
        return MODELS[name], f"default for {_words(kind, adjusted, sample)}"
    if named not in MODELS:
        raise UnknownNameError("model", named, MODELS)
    model = MODELS[named]
    problem = (f"does not fit a {kind}" if kind not in model.kinds else
               "takes no covariates; leave adjust out" if adjusted and not model.adjusts else
               "needs covariates: name in adjust what was known before treatment"
               if model.needs_covariates and not adjusted else
               "needs units that belong together: name by what in cluster"
               if model.needs_clusters and not clustered else
               f"takes units as independent, but several belong to one {sample.clustered}"
               if clustered and not model.clusters else "")
    if problem:
        raise ParameterError(f"{text}: the model {named} {problem}. {_fitting(kind)}")
    return model, ""


def pooling_models(kind: str) -> list[str]:
    """Names of the models that can be pooled over imputations."""
    return [model.name for model in MODELS.values() if kind in model.kinds and not model.unpooled]


def _words(kind: str, adjusted: bool, sample: Sample) -> str:
    units = f"several units per {sample.clustered}" if sample.cluster is not None else "one unit per patient"
    return f"a {kind}{' with covariates' if adjusted else ''}, {units}"


def _fitting(kind: str) -> str:
    names = [model.name for model in MODELS.values() if kind in model.kinds]
    return f"Models for a {kind}: {listed(names)}." if names else (
        "Use summarize with by= for its values and intervals.")
