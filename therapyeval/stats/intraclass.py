"""How much more alike two units of one cluster are than two of different clusters: intraclass correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.inputs import (
    NO_VALUE,
    NO_VARIATION,
    check_cluster,
    check_codes,
    check_level,
    check_values,
    make_notes,
)
from therapyeval.stats.intervals import Interval
from therapyeval.stats.summaries import index_pairs, means, sd

if TYPE_CHECKING:
    import pandas as pd

    from therapyeval.stats.mixed_models import MixedFit

TWO_CLUSTERS, ONE_EACH = "needs two clusters", "needs a cluster with two values"
NONE_WITHIN = "no variation within clusters: no interval"
_NOTHING, _TOP = 1e-12, 1 - 1e-9


def icc(
    values: np.ndarray, group: np.ndarray, cluster: np.ndarray, n_groups: int, *, conf_level: float = 0.95
) -> Interval:
    """Intraclass correlations in many groups at once, from the one-way analysis of variance.

    With mean squares B between and W within clusters the estimate is (B - W) / (B + (m - 1) W), m the mean size of
    the clusters less what their inequality costs. It can be negative: clusters that are more alike than chance
    would make them. The interval is Searle's exact one where all clusters have the same size; else that of Thomas
    and Hultquist, from the unweighted means of the clusters, a good approximation unless many clusters have one
    or two units and the correlation is small.

    Parameters
    ----------
    values : array of float, without NaN
    group : array of int, one code 0..n_groups-1 per value
    cluster : array, one code per value
    n_groups : int
    conf_level : float, between 0 and 1

    Returns
    -------
    Interval
        Without unit, up to 1. A group needs two clusters, one of them with two values, and some spread: else NaN,
        and the note says so. Values that are the same throughout each cluster give 1, without limits.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code lies outside 0..n_groups-1 or conf_level outside (0, 1).

    Source: Searle (1971), Linear Models, section 9.8; Thomas and Hultquist (1978), Ann Stat 6:582-587; Donner (1986),
    Int Stat Rev 54:67-82.

    >>> found = icc(np.array([1.0, 2, 3, 5, 9, 7]), np.zeros(6, dtype=int), np.array([0, 0, 1, 1, 2, 2]), 1)
    >>> found.estimate.round(3), found.low.round(3), found.high.round(3)
    (array([0.87]), array([-0.056]), array([0.996]))
    """
    from scipy.special import fdtri

    values, alpha = check_values(values), 1 - check_level(conf_level)
    group = check_codes(group, len(values), n_groups=n_groups)
    pair, owner = index_pairs(group, cluster, n_groups)
    n, k, m = np.bincount(group, minlength=n_groups), np.bincount(owner, minlength=n_groups), np.bincount(pair)
    center = means(values, pair, len(owner))
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = (values - center[pair]) ** 2
        within = np.bincount(group, rest, n_groups) / (n - k)
        apart = (center - means(values, group, n_groups)[owner]) ** 2
        between = np.bincount(owner, m * apart, n_groups) / (k - 1)
        size = (n - np.bincount(owner, m**2, n_groups) / n) / (k - 1)
        estimate = (between - within) / (between + (size - 1) * within)
        harmonic = k / np.bincount(owner, 1 / m, n_groups)
        ratio = harmonic * sd(center, owner, n_groups) ** 2 / within
        usable = (k > 1) & (n > k)
        df = np.where(usable, k - 1, 1), np.where(usable, n - k, 1)
        beyond = (ratio / fdtri(*df, share) - 1 for share in (1 - alpha / 2, alpha / 2))
        low, high = (excess / (excess + harmonic) for excess in beyond)
        still = within <= (_NOTHING * means(np.abs(values), group, n_groups)) ** 2
    note = make_notes(n_groups, (n == 0, NO_VALUE), (k == 1, TWO_CLUSTERS), (n == k, ONE_EACH),
                      (still & (between <= 1e3 * within), NO_VARIATION), (still, NONE_WITHIN))
    estimate = np.where(np.isin(note, ("", NONE_WITHIN)), estimate, np.nan)
    low, high = (np.where(note == "", end, np.nan) for end in (low, high))
    return Interval(estimate, low, high, "one-way analysis of variance, F (Searle; Thomas-Hultquist)", note)


def adjusted_icc(
    outcome: np.ndarray, group: np.ndarray, covariates: pd.DataFrame, cluster: np.ndarray, *, conf_level: float = 0.95
) -> Interval:
    """The intraclass correlation that is left after group and covariates, from a mixed model (REML).

    This is the correlation that a comparison of groups pays for (`design_effect`): differences between clusters
    that group and covariates explain do not count. The interval holds the values whose restricted likelihood is
    close to the best; with fewer than some ten clusters it tends to be too narrow.

    Parameters
    ----------
    outcome : array of float, without NaN
    group : array of int, one code from 0 per row; all 0 for a single group
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    cluster : array, one code per row
    conf_level : float, between 0 and 1

    Returns
    -------
    Interval
        One entry, from 0 to 1. NaN, with a note, where `mixed_difference` is.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a covariate is a date or conf_level lies outside (0, 1).

    Source: as `mixed_difference`; profile likelihood intervals by Pawitan (2001), In All Likelihood, chapter 3.

    >>> import pandas as pd
    >>> score, site = np.array([1.0, 2, 3, 5, 9, 7]), np.array([0, 0, 1, 1, 2, 2])
    >>> found = adjusted_icc(score, np.zeros(6, dtype=int), pd.DataFrame(index=range(6)), site)
    >>> found.estimate.round(3), found.low.round(3), found.high.round(3)
    (array([0.87]), array([0.012]), array([0.994]))
    """
    from therapyeval.stats.linear_model import make_design
    from therapyeval.stats.mixed_models import fit_mixed

    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    group = check_codes(group, len(outcome), n_groups=int(np.max(np.asarray(group), initial=0)) + 1)
    design, (cluster, _) = make_design(group, covariates), check_cluster(cluster, len(outcome))
    fit = fit_mixed(design, outcome, cluster, np.ones((len(outcome), 1)), "REML")
    method = "linear mixed model, random intercept by cluster, REML, profile likelihood"
    ends = np.full(3, np.nan) if fit.problem else _profile(fit, level)
    return Interval(ends[:1], ends[1:2], ends[2:], method, np.array([fit.problem], dtype=object))


def _profile(fit: MixedFit, level: float) -> np.ndarray:
    """Estimate and limits of between / (between + within)."""
    from scipy.optimize import brentq
    from scipy.special import chdtri

    from therapyeval.stats.restricted_likelihood import evaluate

    best = float(fit.between[0, 0] / (fit.between[0, 0] + fit.within))
    allowed = fit.point.value + float(chdtri(1, 1 - level))

    def beyond(correlation: float) -> float:
        point = evaluate(fit.model, np.array([[np.sqrt(correlation / (1 - correlation))]]))
        return np.inf if point is None else point.value - allowed

    low = 0.0 if beyond(0.0) <= 0 else brentq(beyond, 0.0, best, xtol=1e-14, rtol=1e-12)
    high = 1.0 if beyond(_TOP) <= 0 else brentq(beyond, best, _TOP, xtol=1e-14, rtol=1e-12)
    return np.array([best, low, high])
