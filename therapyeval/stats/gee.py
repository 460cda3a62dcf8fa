"""Comparisons of groups whose rows come in clusters, averaged over them: generalized estimating equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.adjusted_models import standardized_risks
from therapyeval.stats.contrasts import (
    NO_GROUP,
    Contrast,
    check_pairs,
    lonely,
    n_codes,
    no_contrast,
    normal_contrast,
    t_contrast,
)
from therapyeval.stats.inputs import check_cluster, check_codes, check_counts, check_level, check_values, make_notes
from therapyeval.stats.linear_model import Design, least_squares, make_design, why_not_estimable
from therapyeval.stats.maximum_likelihood import NO_CONVERGENCE, fit_logistic, fit_poisson

if TYPE_CHECKING:
    import pandas as pd

FAMILIES = ("gaussian", "binomial", "poisson")
EFFECTS = {"gaussian": ("difference",), "binomial": ("odds_ratio", "risk_difference"), "poisson": ("rate_ratio",)}
CORRELATIONS = ("independence", "exchangeable", "ar1")
ERRORS = {"robust": "sandwich errors, z", "scaled": "sandwich errors times sqrt(G/(G-1)), z",
          "mancl_derouen": "Mancl-DeRouen errors, t with clusters - coefficients df"}
_STEPS, _CLOSE, _ALONE, _NOTHING = 300, 1e-11, 1e-8, 1e-9
EXACT = "the model fits without error: no interval"


def gee_contrast(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    cluster: np.ndarray,
    family: str = "gaussian",
    effect: str | None = None,
    correlation: str = "exchangeable",
    order: np.ndarray | None = None,
    exposure: np.ndarray | None = None,
    error: str = "mancl_derouen",
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of means or risks, odds ratios or rate ratios of groups a and b over all clusters (GEE).

    ``gaussian`` gives differences a - b, ``binomial`` (logit link) odds ratios or risk differences, ``poisson`` (log
    link) ratios of rates. Risk differences are marginal, as in `adjusted_risk`: every row is predicted as a member of a
    and of b, and the mean risks are compared; their error is the delta method's, with the covariates as given.

    The correlation within clusters is a working one: the errors hold where it is wrong too, given enough clusters.
    Plain sandwich errors are too small with fewer than some 40; ``mancl_derouen`` frees the residuals from the pull of
    their own cluster. Covariates enter as in `adjusted_difference`.

    Parameters
    ----------
    outcome : array of float (gaussian), of 0 and 1 (binomial) or of counts (poisson), without missing values
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    cluster : array, one code per row
    family : "gaussian", "binomial" or "poisson"
    effect : "odds_ratio" (by default) or "risk_difference", for "binomial"; others have one effect
    correlation : "independence", "exchangeable" (any two rows alike) or "ar1" (alpha ^ distance in ``order``)
    order : array of int, such as the visit's number, one per row, no two alike in a cluster; for "ar1" only
    exposure : array of float above 0, one per row; for "poisson" only
    error : "robust", "scaled" (robust times G/(G-1), as Stata; G clusters) or "mancl_derouen"
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        df is NaN but with "mancl_derouen", whose t has G - p degrees of freedom. A group in a single cluster has no
        interval. NaN in all pairs, with a note, where the model is not determined (as in `adjusted_difference`),
        outcomes are separated, the search does not settle, the correlation found is impossible, or a cluster
        alone determines a coefficient (mancl_derouen).

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing or does not suit the family, a covariate is a date, a pair
        compares a group with itself, an option is unknown, ``order`` or ``exposure`` is missing where it is needed
        or given where it is not, or conf_level lies outside (0, 1).

    Complexity: n * p^2 for each of some ten steps; "ar1" adds n times the size of the largest cluster.

    Source: Liang and Zeger (1986), Biometrika 73:13-22; the correlation's moments as R ``geepack`` (all pairs,
    divided by their number); Mancl and DeRouen (2001), Biometrics 57:126-134; df by Li and Redden (2015), Stat
    Med 34:281-296; risk differences by Localio, Margolis and Berlin (2007), J Clin Epidemiol 60:874-882.

    >>> import pandas as pd
    >>> score = np.array([20.0, 25, 27, 22, 31, 33, 18, 21, 17, 24, 26, 20])
    >>> site, program = np.repeat(np.arange(6), 2), np.repeat([1, 0], 6)
    >>> found = gee_contrast(score, program, [(1, 0)], pd.DataFrame(index=range(12)), cluster=site)
    >>> found.estimate.round(3), found.low.round(3), found.high.round(3), found.df
    (array([5.333]), array([-5.117]), array([15.783]), array([4.]))
    """
    effect = _check_options(family, effect, correlation, error, order, exposure)
    outcome, offset = _check_outcome(outcome, family, exposure)
    level, (a, b) = check_level(conf_level), check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    cluster, n_clusters = check_cluster(cluster, len(outcome))
    design = make_design(group, covariates)
    standardized = "risks standardized, " if effect == "risk_difference" else ""
    method = f"GEE, {family}, {correlation} correlation, {standardized}{ERRORS[error]}"
    problem = why_not_estimable(design, "classical")
    if not problem:
        layout = _Layout.of(cluster, n_clusters, order)
        beta, covariance, naive, problem = _fit(design, outcome, offset, layout, family, correlation, error)
    if problem:
        return no_contrast(len(a), method, problem)
    there = np.isin(a, design.groups) & np.isin(b, design.groups)
    first, second = (np.searchsorted(design.groups, np.where(there, code, design.groups[0])) for code in (a, b))
    marginal, k = effect == "risk_difference", len(design.groups)
    value, slope = standardized_risks(design, beta) if marginal else (beta[:k], np.eye(k, len(beta)))
    estimate = np.where(there, value[first] - value[second], np.nan)
    return limited(estimate, slope[first] - slope[second], covariance, naive, lonely(group, cluster, a, b),
                   n_clusters, error, level, method, log=effect.endswith("ratio"))


def limited(estimate, gap, covariance, naive, alone, n_clusters, error, level, method, *, log=False) -> Contrast:
    """Differences with the weights ``gap`` (k, coefficients), or their exponentials, with z or t.

    A missing estimate is that of an absent group; those ``alone``, and those that fit without error, have no limits.
    """
    spread, usual = (np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gap, square, gap), 0))
                     for square in (covariance, naive))
    note = make_notes(len(estimate), (np.isnan(estimate), NO_GROUP),
                      (alone, "needs two clusters in each group for an interval"),
                      (spread <= _NOTHING * usual, "the model fits every cluster without error: no interval"))
    if error != "mancl_derouen":
        return normal_contrast(estimate, spread, level, method, note, log=log)
    df = np.full(len(note), float(n_clusters - gap.shape[1]))
    return t_contrast(estimate, spread, df, level, method, note, log=log)


def _check_options(family, effect, correlation, error, order, exposure) -> str:
    """The effect; ValueError where an option is unknown, missing or does not fit."""
    for name, given, known in (("family", family, FAMILIES), ("correlation", correlation, CORRELATIONS),
                               ("error", error, ERRORS)):
        if given not in known:
            raise ValueError(f"{name} is {given!r}, but must be one of {', '.join(known)}")
    if (correlation == "ar1") != (order is not None):
        raise ValueError('order goes with correlation="ar1", and only with it')
    if exposure is not None and family != "poisson":
        raise ValueError('exposure goes with family="poisson" only')
    if effect is not None and effect not in EFFECTS[family]:
        raise ValueError(f"effect is {effect!r}, but {family} has {' or '.join(EFFECTS[family])}")
    return effect or EFFECTS[family][0]


def _check_outcome(outcome: np.ndarray, family: str, exposure: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes that suit the family, and the offset (0 but for exposures)."""
    outcome = check_counts(outcome, "outcome") if family == "poisson" else check_values(outcome, "outcome")
    if family == "binomial" and not np.isin(outcome, (0, 1)).all():
        raise ValueError("outcome must hold 0 and 1 only")
    if exposure is None:
        return outcome, np.zeros(len(outcome))
    exposure = check_values(exposure, "exposure")
    if len(exposure) != len(outcome) or (exposure <= 0).any():
        raise ValueError("gee_contrast() needs an exposure above 0 for each count")
    return outcome, np.log(exposure)


@dataclass(frozen=True)
class _Layout:
    """Rows by cluster (and by ``order`` in it): ``rows`` sorts them, ``cluster`` and ``size`` are in that order.

    ``gap`` is the distance in ``order`` to the row before in the same cluster, 0 for a cluster's first row.
    """

    rows: np.ndarray
    cluster: np.ndarray
    size: np.ndarray
    order: np.ndarray | None
    gap: np.ndarray

    @classmethod
    def of(cls, cluster: np.ndarray, n_clusters: int, order: np.ndarray | None) -> _Layout:
        if order is not None:
            order = np.asarray(order)
            if order.shape != cluster.shape or order.dtype.kind not in "iu":
                raise ValueError("order must hold one whole number per row")
            order = order.astype(np.int64)
        rows = np.lexsort((np.zeros(len(cluster)) if order is None else order, cluster))
        cluster = cluster[rows]
        size = np.bincount(cluster, minlength=n_clusters)
        gap = np.zeros(len(rows), dtype=np.int64)
        if order is not None:
            order = order[rows]
            same = cluster[1:] == cluster[:-1]
            gap[1:] = np.where(same, np.diff(order), 0)
            if (gap[1:][same] == 0).any():
                raise ValueError("order must not repeat within a cluster")
        return cls(rows, cluster, size, order, gap)

    def sums(self, parts: np.ndarray) -> np.ndarray:
        """Sums over each cluster's rows."""
        return np.add.reduceat(parts, np.cumsum(self.size) - self.size)


def _fit(design: Design, outcome, offset, layout: _Layout, family: str, correlation: str, error: str) -> tuple:
    """Coefficients, their covariance, that of a true working correlation, and why there are none."""
    if family == "gaussian":
        outcome = outcome - outcome.mean()       # leaves differences as they are
    start, problem = _start(design, outcome, offset, family)
    if problem:
        return None, None, None, problem
    q, r = np.linalg.qr(design.columns)
    with np.errstate(all="ignore"):              # a search that runs away ends without numbers
        beta, rows, left, scale, problem = _search(
            q[layout.rows], outcome[layout.rows], offset[layout.rows], r @ start, layout, family, correlation)
    if problem:
        return None, None, None, problem
    covariance, problem = _covariance(rows, left, layout, error)
    if problem:
        return None, None, None, problem
    back, naive = np.linalg.inv(r), scale * np.linalg.inv(rows.T @ rows)
    return back @ beta, back @ covariance @ back.T, back @ naive @ back.T, ""


def _search(x, y, offset, beta, layout: _Layout, family: str, correlation: str) -> tuple:
    """Coefficients, rows and residuals divided by a root of their covariance, the scale, and why there are none."""
    alpha = 0.0
    for _ in range(_STEPS):
        mean, width = _moments(x @ beta + offset, family)
        residual = (y - mean) / width
        scale = np.mean(residual**2)
        if scale == 0:
            return None, None, None, None, EXACT
        before, alpha = alpha, _correlation(residual, scale, layout, correlation, alpha)
        whiten = _whitener(alpha, layout, correlation)
        if whiten is None:
            return None, None, None, None, "the correlation found within clusters is impossible: no estimate"
        rows, left = whiten(x * width[:, None]), whiten(residual[:, None])[:, 0]
        if not (np.isfinite(rows).all() and np.isfinite(left).all()):
            break
        step = np.linalg.lstsq(rows, left, rcond=None)[0]
        beta = beta + step
        if np.abs(x @ step).max() < _CLOSE * max(np.abs(x @ beta).max(), 1.0) and abs(alpha - before) < _CLOSE:
            return beta, rows, left, scale, ""
    return None, None, None, None, NO_CONVERGENCE


def _start(design: Design, outcome: np.ndarray, offset: np.ndarray, family: str) -> tuple[np.ndarray, str]:
    """The coefficients of independent rows."""
    if family == "gaussian":
        line = least_squares(design, outcome)
        exact = np.sqrt(np.mean(line.residual**2)) <= line.noise
        return np.linalg.solve(line.r, line.effects), EXACT if exact else ""
    logistic = family == "binomial"
    fit = fit_logistic(design.columns, outcome) if logistic else fit_poisson(design.columns, outcome, offset)
    return fit.beta, fit.problem


def _moments(eta: np.ndarray, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard deviation up to scale; links are canonical, so that the mean's slope is the variance."""
    from scipy.special import expit

    if family == "gaussian":
        return eta, np.ones(len(eta))
    if family == "poisson":
        mean = np.exp(eta)
        return mean, np.sqrt(mean)
    mean = expit(eta)
    return mean, np.sqrt(mean * expit(-eta))


def _correlation(residual: np.ndarray, scale: float, layout: _Layout, correlation: str, alpha: float) -> float:
    """The next value of the working correlation: a mean over all pairs, or (ar1) a Gauss-Newton step over them."""
    if correlation == "independence" or layout.size.max() < 2:
        return 0.0
    if correlation == "exchangeable":
        twice = (layout.sums(residual) ** 2 - layout.sums(residual**2)).sum() / scale
        return float(twice / (layout.size * (layout.size - 1.0)).sum())
    above = below = 0.0
    for ahead in range(1, int(layout.size.max())):
        same = layout.cluster[ahead:] == layout.cluster[:-ahead]
        product = (residual[ahead:] * residual[:-ahead])[same] / scale
        lag = (layout.order[ahead:] - layout.order[:-ahead])[same].astype(float)
        tilt = lag * np.power(alpha, lag - 1)
        above += (tilt * (product - np.power(alpha, lag))).sum()
        below += (tilt**2).sum()
    return alpha + float(above / below) if below > 0 else 0.0


def _whitener(alpha: float, layout: _Layout, correlation: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """Multiplies each cluster's rows by a root of the inverse correlation; None where that does not exist."""
    if correlation == "ar1":
        if abs(alpha) >= 1:
            return None
        near = np.where(layout.gap > 0, np.power(alpha, layout.gap.astype(float)), 0.0)[:, None]
        return lambda rows: (rows - near * np.roll(rows, 1, axis=0)) / np.sqrt(1 - near**2)
    size = layout.size[:, None]
    common = 1 + (size - 1) * alpha
    if alpha >= 1 or (common <= 0).any():
        return None

    def whiten(rows: np.ndarray) -> np.ndarray:
        center = layout.sums(rows) / size
        return (rows - center[layout.cluster]) / np.sqrt(1 - alpha) + (center / np.sqrt(common))[layout.cluster]
    return whiten


def _covariance(rows: np.ndarray, left: np.ndarray, layout: _Layout, error: str) -> tuple[np.ndarray | None, str]:
    """The sandwich, from whitened rows; Mancl and DeRouen's (I - H)^-1 goes through p x p matrices (Woodbury)."""
    bread, n_clusters = np.linalg.inv(rows.T @ rows), len(layout.size)
    score = layout.sums(rows * left[:, None])
    if error == "mancl_derouen":
        if n_clusters <= rows.shape[1]:
            return None, "needs more clusters than coefficients"
        starts = np.cumsum(layout.size)[:-1]
        own = np.stack([part.T @ part for part in np.split(rows, starts)])
        root = np.linalg.cholesky(bread)
        free = np.eye(len(bread)) - root.T @ own @ root
        if np.linalg.eigvalsh(free)[:, 0].min() < _ALONE:
            return None, "a cluster alone determines a coefficient: no Mancl-DeRouen errors"
        half = np.linalg.solve(free, (score @ root)[:, :, None])[:, :, 0]
        return root @ (half.T @ half) @ root.T, ""
    factor = n_clusters / (n_clusters - 1) if error == "scaled" and n_clusters > 1 else 1.0
    return factor * bread @ (score.T @ score) @ bread, ""


def fit_means(design: Design, outcome: np.ndarray, cluster, n_clusters: int, correlation: str, order, error: str):
    """Coefficients for the outcome less its mean, their covariance, that of a true working correlation, and why there
    are none; ValueError where an option is unknown. Clusters as codes from 0."""
    _check_options("gaussian", None, correlation, error, order, None)
    layout, problem = _Layout.of(cluster, n_clusters, order), why_not_estimable(design, "classical")
    if problem:
        return None, None, None, problem
    return _fit(design, outcome, np.zeros(len(outcome)), layout, "gaussian", correlation, error)
