"""How to call every estimator of `stats` on any small data, and what its answer may look like.

`CALLS` maps each public estimator to a function of one `Data`; `HELPERS` are the public names that estimate
nothing. `problem` says what is wrong with an answer, "" when nothing is.
"""

import inspect
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pandas as pd

from therapyeval import stats

PAIRS = [(0, 1), (1, 0), (0, 2)]


@dataclass(frozen=True)
class Data:
    """Columns of equal length: an outcome and a second one, yes or no, counts, days, arm, cluster, visit, others."""

    value: np.ndarray
    other: np.ndarray
    flag: np.ndarray
    count: np.ndarray
    days: np.ndarray
    group: np.ndarray
    cluster: np.ndarray
    visit: np.ndarray
    covariates: pd.DataFrame


def shares(data):
    """Successes and n of each group."""
    flag = np.nan_to_num(np.asarray(data.flag, dtype=float))
    return np.bincount(data.group, flag, minlength=3), np.bincount(data.group, minlength=3)


def three(numbers):
    """The first three entries, padded with the last; an empty array as it is."""
    return np.resize(numbers, 3) if len(numbers) else np.asarray(numbers, dtype=float)


def start(data, steps):
    """When each site began: never in the sites of group 0; else in visit 1, or with two steps in 1 or 2 by site."""
    first = pd.Series(data.group).groupby(data.cluster).transform("first").to_numpy(dtype=int)
    return np.where(first == 0, np.nan, 1.0 + np.asarray(data.cluster) % steps)


def imputed(data):
    frame = pd.DataFrame({"value": data.value, "other": data.other, "group": data.group.astype(str)})
    frame.loc[frame.index % 3 == 1, "other"] = np.nan
    return stats.impute(frame, m=2, iterations=1, seed=1)


def tipped(data):
    imputations = imputed(data)
    return stats.tipping_point(imputations, data.group == 1, "other", lambda frame: stats.welch(
        frame["other"].to_numpy(), data.group, [(0, 1)]), [0.0, 1.0])


def matched(data):
    return stats.match_nearest(data.group, (0, 1), data.covariates)


def balanced(data):
    score = stats.propensity_score(data.group, (0, 1), data.covariates)
    return stats.covariate_balance(data.group, (0, 1), data.covariates, stats.propensity_weights(score))


def _plain(name, **options):
    """Estimators of (values, group, pairs)."""
    return lambda data: getattr(stats, name)(data.value, data.group, PAIRS, **options)


def _adjusted(name, outcome="value", **options):
    """Estimators of (outcome, group, pairs, covariates)."""
    return lambda data: getattr(stats, name)(
        getattr(data, outcome), data.group, PAIRS, data.covariates,
        **{key: getattr(data, part[1:]) if isinstance(part, str) and part[0] == "." else part
           for key, part in options.items()})


def _shares(name, **options):
    """Estimators of (successes, n, pairs)."""
    return lambda data: getattr(stats, name)(*shares(data), PAIRS, **options)


def _panel(name, steps, **options):
    """Estimators of (outcome, site, period, start)."""
    return lambda data: getattr(stats, name)(data.value, data.cluster, data.visit, start(data, steps), **options)


CALLS = {
    "mean": lambda d: stats.mean(d.value, d.group, d.cluster, 3),
    "proportion": lambda d: stats.proportion(*shares(d)),
    "ratio": lambda d: stats.ratio(stats.pair_sums(d.value, d.other, d.group, d.cluster, 3)),
    "event_rate": lambda d: stats.event_rate(d.count, d.days),
    "median": lambda d: stats.median(d.value, d.group, 3),
    "time_quantile": lambda d: stats.time_quantile(d.days, d.flag, d.group, 3),
    "survival_curve": lambda d: stats.survival_curve(d.days, d.flag, d.group, 3),
    "restricted_mean": lambda d: stats.restricted_mean(d.days, d.flag, d.group, 3, horizon=5.0),
    "restricted_mean_contrast": lambda d: stats.restricted_mean_contrast(d.days, d.flag, d.group, PAIRS, horizon=5.0),
    "hazard_ratio": lambda d: stats.hazard_ratio(d.days, d.flag, d.group, PAIRS, d.covariates),
    "proportional_hazards": lambda d: stats.proportional_hazards(d.days, d.flag, d.group, d.covariates),
    "log_rank": lambda d: stats.log_rank(d.days, d.flag, d.group, 3),
    "gray_test": lambda d: stats.gray_test(d.days, d.count, d.group, 3),
    "incidence_curve": lambda d: stats.incidence_curve(d.days, d.count, d.group, 3),
    "cumulative_incidence": lambda d: stats.cumulative_incidence(d.days, d.count, d.group, 3, horizon=5.0),
    "interrupted_mean": lambda d: stats.interrupted_mean(d.value, np.arange(len(d.value)), 3, at=[4]),
    "interrupted_rate": lambda d: stats.interrupted_rate(d.count, d.days, np.arange(len(d.value)), 3, at=[4]),
    "difference_in_differences": _panel("difference_in_differences", 1),
    "wild_difference_in_differences": _panel("wild_difference_in_differences", 1, n_resamples=99),
    "event_study": _panel("event_study", 1),
    "group_time_effects": _panel("group_time_effects", 2),
    "stepped_wedge": _panel("stepped_wedge", 2),
    "growth": lambda d: stats.growth(d.count, d.count[::-1]),
    "standardized_mean": lambda d: stats.standardized_mean(d.value, d.other, d.group, d.cluster, 3),
    "bootstrap_interval": lambda d: stats.bootstrap_interval(
        lambda rows, codes, n: stats.sd(np.asarray(d.value)[rows], codes, n), d.group, d.cluster, 3),
    "bootstrap_difference": _plain("bootstrap_difference", interval="BCa"),
    "completion_weighted": lambda d: stats.completion_weighted(
        np.where(d.visit == 2, np.nan, d.value), d.other[:, None], d.group, d.cluster, 3),
    "completion_weighted_difference": lambda d: stats.completion_weighted_difference(
        np.where(d.visit == 2, np.nan, d.value), d.other[:, None], d.group, d.cluster, PAIRS),
    "impute": imputed,
    "pool": lambda d: stats.pool([stats.welch(d.value, d.group, PAIRS), stats.welch(d.other, d.group, PAIRS)]),
    "tipping_point": tipped,
    "extreme_cases": lambda d: stats.extreme_cases(np.where(d.visit == 2, np.nan, d.value), d.group, PAIRS, stats.welch,
                                                   lowest=-100, highest=100),
    "mixed_difference": _adjusted("mixed_difference", cluster=".cluster"),
    "mixed_lines": _adjusted("mixed_lines", cluster=".cluster", time=".visit"),
    "gee_lines": _adjusted("gee_lines", cluster=".cluster", time=".visit"),
    "repeated_difference": _adjusted("repeated_difference", subject=".cluster", visit=".visit", at=1),
    "gee_contrast": _adjusted("gee_contrast", "flag", cluster=".cluster", family="binomial"),
    "wild_cluster_difference": _adjusted("wild_cluster_difference", cluster=".cluster", n_resamples=99),
    "icc": lambda d: stats.icc(d.value, d.group, d.cluster, 3),
    "adjusted_icc": lambda d: stats.adjusted_icc(d.value, d.group, d.covariates, d.cluster),
    "welch": _plain("welch"),
    "risk_difference": _shares("risk_difference"),
    "adjusted_difference": _adjusted("adjusted_difference", variance="CR2", cluster=".cluster"),
    "student": _plain("student"),
    "paired": lambda d: stats.paired(d.value, d.other, d.group, 3),
    "mann_whitney": _plain("mann_whitney"),
    "signed_rank": lambda d: stats.signed_rank(d.value, d.other, d.group, 3),
    "anova": lambda d: stats.anova(d.value, d.group),
    "welch_anova": lambda d: stats.welch_anova(d.value, d.group),
    "kruskal_wallis": lambda d: stats.kruskal_wallis(d.value, d.group),
    "tukey": _plain("tukey"),
    "games_howell": _plain("games_howell"),
    "dunn": _plain("dunn"),
    "standardized_difference": _plain("standardized_difference"),
    "superiority": _plain("superiority"),
    "rank_biserial": _plain("rank_biserial"),
    "standardize": lambda d: stats.standardize(stats.welch(d.value, d.group, PAIRS), d.value, d.group, PAIRS),
    "residual_checks": lambda d: stats.residual_checks(d.value, d.group, d.covariates),
    "score_risk_difference": _shares("score_risk_difference"),
    "risk_ratio": _shares("risk_ratio"),
    "odds_ratio": _shares("odds_ratio"),
    "number_needed": lambda d: stats.number_needed(stats.risk_difference(*shares(d), PAIRS)),
    "fisher": _shares("fisher"),
    "chi_square": lambda d: stats.chi_square(np.column_stack([shares(d)[0], shares(d)[1] - shares(d)[0]])),
    "trend": lambda d: stats.trend(*shares(d), three(d.other)),
    "mcnemar": lambda d: stats.mcnemar(d.count, d.count[::-1]),
    "mantel_haenszel": lambda d: stats.mantel_haenszel(
        np.vstack([shares(d)[0]] * 2), np.vstack([shares(d)[1]] * 2), PAIRS),
    "rate_ratio": lambda d: stats.rate_ratio(three(d.count), three(d.days), PAIRS),
    "adjusted_risk": _adjusted("adjusted_risk", "flag"),
    "adjusted_rate_ratio": lambda d: stats.adjusted_rate_ratio(d.count, d.days, d.group, PAIRS, d.covariates),
    "proportional_odds": _adjusted("proportional_odds", "count"),
    "subgroup_effects": lambda d: stats.subgroup_effects(d.value, d.group, (0, 1), d.visit, 3, d.covariates),
    "firth_odds_ratio": _adjusted("firth_odds_ratio", "flag"),
    "permutation": _plain("permutation", draws=99),
    "equivalent_means": lambda d: stats.equivalent_means(d.value, d.group, PAIRS, (-2, 2)),
    "equivalent_risks": lambda d: stats.equivalent_risks(*shares(d), PAIRS, (-0.1, 0.1)),
    "equivalent": lambda d: stats.equivalent(stats.welch(d.value, d.group, PAIRS), (-2, 2)),
    "posterior_mean": lambda d: stats.posterior_mean(d.value, np.abs(d.other), d.days, prior_mean=0, prior_sd=5),
    "posterior_risk_difference": lambda d: stats.posterior_risk_difference(*shares(d), PAIRS),
    "propensity_score": lambda d: stats.propensity_score(d.group, (0, 1), d.covariates),
    "weighted_difference": _adjusted("weighted_difference"),
    "doubly_robust_difference": _adjusted("doubly_robust_difference"),
    "match_nearest": matched,
    "matched_difference": _adjusted("matched_difference"),
    "covariate_balance": balanced,
    "overlap_check": lambda d: stats.overlap_check(stats.propensity_score(d.group, (0, 1), d.covariates)),
    "e_value": lambda d: stats.e_value(*(np.exp(np.clip(d.value / 50, -600, 600) + step) for step in (0, -1, 1))),
    "e_value_difference": lambda d: stats.e_value_difference(d.value, d.value - 1, d.value + 1, 2.0),
}
# Records, and plain summaries that have no interval and no note.
HELPERS = {name for name in stats.__all__ if inspect.isclass(getattr(stats, name))} | {
    "pair_sums", "sd", "quantile", "extremes", "counts", "n_distinct", "index_pairs", "sort_within",
    "quantile_of_sorted", "pooled_sd", "smallest_expected", "dispersion", "adjust_p", "design_effect", "upper_sd",
    "power_means", "detectable_difference", "n_for_means", "power_proportions", "detectable_proportions",
    "n_for_proportions", "n_for_share", "cumulative_hazard", "propensity_weights", "effective_size", "smd_numeric",
    "smd_categorical"}
RATIOS = {"hazard_ratio", "risk_ratio", "odds_ratio", "fisher", "mcnemar", "mantel_haenszel", "rate_ratio",
          "adjusted_rate_ratio", "proportional_odds", "firth_odds_ratio", "growth", "number_needed", "gee_contrast",
          "time_quantile", "ratio", "e_value", "e_value_difference", "interrupted_rate", "survival_curve"}


# Where clusters differ in size the limits (Thomas-Hultquist, from cluster means) and the estimate (from squares of all
# rows) weigh clusters differently, and in tiny data the estimate may lie beyond a limit.
APART = {"icc"}


def problem(name, answer):
    """What is wrong with an answer, or ""."""
    if is_dataclass(answer):
        parts = {field.name: getattr(answer, field.name) for field in fields(answer)}
        return _numbers(name, parts) or next(filter(None, (problem(name, part) for part in parts.values())), "")
    if isinstance(answer, tuple | list | dict):
        parts = answer.values() if isinstance(answer, dict) else answer
        return next(filter(None, (problem(name, part) for part in parts)), "")
    return ""


def _numbers(name, parts):
    """Of one record: no missing number without a note, limits in order and around the estimate, p from 0 to 1."""
    if "note" not in parts or not {"estimate", "statistic"} & set(parts):
        return ""
    note = np.atleast_1d(parts["note"])
    key = "estimate" if "estimate" in parts else "statistic"
    numbers = {field: np.atleast_1d(parts[field]).astype(float) for field in (key, "low", "high", "p_value")
               if field in parts}
    for field, found in numbers.items():
        if "time" not in parts and (np.isnan(found) & (note == "")).any():      # a curve has one note per group
            return f"{field} is NaN without a note"
        if np.isinf(found).any() and name not in RATIOS:
            return f"{field} is infinite"
    p_value = numbers.get("p_value", np.array([]))
    if ((p_value < 0) | (p_value > 1)).any():
        return "p_value outside 0 to 1"
    return _order(name, numbers) if "low" in numbers and "estimate" in numbers else ""


def _order(name, numbers):
    low, high = numbers["low"], numbers["high"]
    estimate = np.clip(numbers["estimate"], low, high) if name in APART else numbers["estimate"]
    slack = 1e-7 * np.nan_to_num(np.maximum(np.abs(low), np.abs(high)), posinf=0) + 1e-9
    wrong = (low > estimate + slack) | (estimate > high + slack) | (low > high + slack)
    return "limits out of order or not around the estimate" if wrong.any() else ""

