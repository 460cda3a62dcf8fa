"""Numbers in, estimates out. This layer knows nothing of therapy.

It is the only home of scipy.stats and statsmodels. Estimators take a group code per row and return one
number per group, for all groups at once. Names load on first use, so that importing the package is cheap.
"""

from importlib import import_module

_HOMES = {
    "Interval": "intervals",
    "PairSums": "intervals",
    "mean": "intervals",
    "proportion": "intervals",
    "ratio": "intervals",
    "pair_sums": "intervals",
    "event_rate": "intervals",
    "median": "intervals",
    "sd": "summaries",
    "quantile": "summaries",
    "extremes": "summaries",
    "counts": "summaries",
    "n_distinct": "summaries",
    "index_pairs": "summaries",
    "sort_within": "summaries",
    "quantile_of_sorted": "summaries",
    "time_quantile": "survival",
    "cumulative_incidence": "competing_risks",
    "growth": "exact",
    "bootstrap_interval": "bootstrap",
    "standardized_mean": "bootstrap",
    "completion_weighted": "missing",
    "Contrast": "contrasts",
    "welch": "contrasts",
    "risk_difference": "contrasts",
    "adjusted_difference": "contrasts",
    "JointTest": "joint_test",
    "student": "two_groups",
    "paired": "two_groups",
    "mann_whitney": "ranks",
    "signed_rank": "ranks",
    "anova": "many_groups",
    "welch_anova": "many_groups",
    "kruskal_wallis": "many_groups",
    "tukey": "many_groups",
    "games_howell": "many_groups",
    "dunn": "many_groups",
    "standardized_difference": "effect_sizes",
    "superiority": "effect_sizes",
    "rank_biserial": "effect_sizes",
    "NumberNeeded": "score_risks",
    "score_risk_difference": "score_risks",
    "risk_ratio": "score_risks",
    "odds_ratio": "score_risks",
    "number_needed": "score_risks",
    "fisher": "exact_odds",
    "chi_square": "count_tables",
    "trend": "count_tables",
    "mcnemar": "count_tables",
    "mantel_haenszel": "count_tables",
    "rate_ratio": "rates",
    "adjusted_risk": "adjusted_models",
    "adjusted_rate_ratio": "adjusted_models",
    "proportional_odds": "ordinal",
    "Subgroups": "subgroups",
    "subgroup_effects": "subgroups",
    "firth_odds_ratio": "firth",
    "permutation": "permutations",
    "adjust_p": "multiplicity",
    "Equivalence": "equivalence",
    "equivalent_means": "equivalence",
    "equivalent_risks": "equivalence",
    "design_effect": "power",
    "power_means": "power",
    "detectable_difference": "power",
    "n_for_means": "power",
    "power_proportions": "power",
    "detectable_proportions": "power",
    "n_for_proportions": "power",
    "Posterior": "bayes",
    "posterior_mean": "bayes",
    "posterior_risk_difference": "bayes",
    "smd_numeric": "balance",
    "smd_categorical": "balance",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
