"""Comparisons of groups whose rows come in clusters (sites, therapists, patients): linear mixed models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes, no_contrast, t_contrast
from therapyeval.stats.few import CLUSTERS, too_few, warned
from therapyeval.stats.inputs import check_cluster, check_codes, check_level, check_values, make_notes
from therapyeval.stats.linear_model import Design, least_squares, make_design, why_not_estimable
from therapyeval.stats.maximum_likelihood import NO_CONVERGENCE
from therapyeval.stats.restricted_likelihood import Model, Point, Sums, satterthwaite, search

if TYPE_CHECKING:
    import pandas as pd

LIKELIHOODS = ("REML", "ML")
_SINGULAR, _NOTHING = 1e-8, 1e-10
_FLAT = {1: "; the variance between clusters is estimated as 0",
         2: "; singular fit: the clusters do not show both intercepts and slopes that vary on their own"}


@dataclass(frozen=True)
class MixedFit:
    """A fitted model: ``between`` (q, q) is the covariance of the random effects, ``within`` the residual variance.

    The slope variable counts in standard deviations from its mean. ``problem`` is "" or says why there is no fit; the
    other parts are then None or NaN. ``singular`` holds where a combination of random effects is estimated not to
    vary.
    """

    model: Model | None
    point: Point | None
    between: np.ndarray
    within: float
    singular: bool
    problem: str


def mixed_difference(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    cluster: np.ndarray,
    slope: np.ndarray | None = None,
    likelihood: str = "REML",
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of adjusted means, a - b, from a linear mixed model with a random intercept per cluster.

    Clusters may lie within groups (a site delivers one program) or hold several groups. With ``slope`` the effect
    of that variable differs by cluster too, correlated with the intercept: with 1 for rows of the program and 0
    for others, sites may differ in how well the program works. ``slope`` adds no fixed effect: that is the
    group's, or a covariate's. Covariates enter as in `adjusted_difference`. With 4 sites of 20 patients, each with one
    program, simulated 95% limits hold 93 to 94% and the test rejects 7%; with 6 sites and more 95%. The note warns of
    fewer than six clusters.

    Parameters
    ----------
    outcome : array of float, without NaN
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    cluster : array, one code per row
    slope : array of float, one per row, or None
    likelihood : "REML", or "ML", whose variances are too small where coefficients are many for the clusters
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the outcome; t with Satterthwaite's df. ``method`` says where the variance between clusters
        is estimated as 0: the interval is then that of independent rows, too narrow with few clusters, and CR2 of
        `adjusted_difference` is safer. NaN in all pairs, with a note, where the model is not determined (as in
        `adjusted_difference`; one row per cluster; groups and covariates that leave nothing between clusters;
        no spread within clusters) or the search does not settle.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a covariate is a date, a pair compares a group with itself, the
        likelihood is unknown or conf_level lies outside (0, 1).

    Complexity: n * p^2 once, and clusters * p^2 for each of some ten Newton steps.

    Source: Laird and Ware (1982), Biometrics 38:963-974; Bates, Maechler, Bolker and Walker (2015), J Stat Softw
    67(1) (``lme4``); df by Kuznetsova, Brockhoff and Christensen (2017), J Stat Softw 82(13) (``lmerTest``).

    >>> import pandas as pd
    >>> score = np.array([20.0, 25, 27, 22, 31, 33, 18, 21, 17, 24, 26, 20])
    >>> site, program = np.repeat(np.arange(6), 2), np.repeat([1, 0], 6)
    >>> found = mixed_difference(score, program, [(1, 0)], pd.DataFrame(index=range(12)), cluster=site)
    >>> found.estimate.round(3), found.low.round(3), found.high.round(3), found.df.round(2)
    (array([5.333]), array([-3.199]), array([13.866]), array([4.]))
    """
    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    design = make_design(group, covariates)
    varying = np.ones((len(outcome), 1))
    if slope is not None:
        varying = np.column_stack([varying, check_rows(slope, "slope", len(outcome))])
    there = np.isin(a, design.groups) & np.isin(b, design.groups)
    weights = np.zeros((design.columns.shape[1], len(a)))
    for code, sign in ((a, 1), (b, -1)):
        weights[np.searchsorted(design.groups, code[there]), np.flatnonzero(there)] = sign
    note = make_notes(len(a), (~there, NO_GROUP))
    return mixed_contrast(design, outcome, cluster, varying, weights, note, likelihood, level)


def mixed_contrast(
    design: Design,
    outcome: np.ndarray,
    cluster: np.ndarray,
    varying: np.ndarray,
    weights: np.ndarray,
    note: np.ndarray,
    likelihood: str,
    level: float,
) -> Contrast:
    """Linear functions ``weights`` (columns, k) of the fixed effects; those with a note are not determined."""
    cluster, n_clusters = check_cluster(cluster, len(outcome))
    fit = fit_mixed(design, outcome, cluster, varying, likelihood)
    random = "intercept" if varying.shape[1] == 1 else "intercept and slope"
    method = f"linear mixed model, random {random} by cluster, {likelihood}, Satterthwaite df, t"
    if fit.problem:
        return no_contrast(len(note), method, fit.problem)
    base = least_squares(design, outcome)
    direction = np.linalg.solve(base.r.T, weights)
    change, error, df = satterthwaite(fit.model, fit.point, direction)
    level_share = weights[: len(design.groups)].sum(axis=0)      # least squares takes out the level of the outcome
    estimate = np.where(note == "", direction.T @ base.effects + change + outcome.mean() * level_share, np.nan)
    note = np.where((note == "") & ~(df > 0), NO_CONVERGENCE, note)
    singular = _FLAT[varying.shape[1]] if fit.singular else ""
    found = t_contrast(estimate, error, df, level, method + singular, note)
    return warned(found, too_few("clusters", CLUSTERS), n_clusters < CLUSTERS)


def fit_mixed(
    design: Design, outcome: np.ndarray, cluster: np.ndarray, varying: np.ndarray, likelihood: str
) -> MixedFit:
    """Fit random effects of the columns of ``varying`` (n, q); clusters as codes from 0, all of which occur.

    The fixed effects of ``point`` are those left to explain after least squares, on its orthonormal columns.
    """
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood is {likelihood!r}, but must be one of {', '.join(LIKELIHOODS)}")
    problem = why_not_estimable(design, "classical") or _why_no_clusters(outcome, cluster, varying)
    if problem:
        return _no_fit(problem)
    base, reml = least_squares(design, outcome), likelihood == "REML"
    (n, p), q = base.q.shape, varying.shape[1]
    if np.sqrt(np.mean(base.residual**2)) <= base.noise:
        return _no_fit("the model fits without error: no interval")
    products = _Products.of(base.q, base.residual, _standardized(varying), cluster)
    if products.left_over() < _NOTHING:
        return _no_fit("groups and covariates leave nothing that varies between clusters")
    model = Model(products.sums, q, n - p if reml else n, reml, free_scale=True)
    point = search(model, np.eye(q))
    if point is None or point.scale < _NOTHING * np.mean(base.residual**2):
        return _no_fit(NO_CONVERGENCE)
    between = point.factor @ point.factor.T
    singular = np.linalg.eigvalsh(between)[0] < _SINGULAR
    return MixedFit(model, point, point.scale * between, point.scale, bool(singular), "")


@dataclass(frozen=True)
class _Products:
    """Cross products, per cluster where they hold Z = ``varying``; X has orthonormal columns."""

    zz: np.ndarray
    zx: np.ndarray
    zr: np.ndarray
    rr: float

    @classmethod
    def of(cls, x: np.ndarray, r: np.ndarray, varying: np.ndarray, cluster: np.ndarray) -> _Products:
        order = np.argsort(cluster, kind="stable")
        starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
        z = varying[order]

        def per_cluster(other: np.ndarray) -> np.ndarray:
            return np.stack([np.add.reduceat(other[order] * z[:, [j]], starts) for j in range(z.shape[1])], axis=1)
        return cls(per_cluster(varying), per_cluster(x), per_cluster(r[:, None])[:, :, 0], float(r @ r))

    def left_over(self) -> float:
        """The smallest share of Z that the fixed effects do not determine."""
        whole = self.zz.sum(axis=0)
        left = whole - np.einsum("cip,cjp->ij", self.zx, self.zx)
        size = np.sqrt(np.diag(whole))
        return float((np.diag(left) / size**2).min())

    def sums(self, matrix: np.ndarray) -> Sums:
        """With H = I + Z matrix Z', per cluster: Z'H^-1 = (I + Z'Z matrix)^-1 Z' (Woodbury)."""
        inflate = np.eye(len(matrix)) + self.zz @ matrix
        shrunk_x, shrunk_r = np.linalg.solve(inflate, self.zx), np.linalg.solve(inflate, self.zr[:, :, None])[:, :, 0]
        weighted = np.einsum("cip,ij->cjp", self.zx, matrix)
        return Sums(
            log_det=float(np.linalg.slogdet(inflate)[1].sum()),
            xx=np.eye(self.zx.shape[2]) - np.einsum("cip,ciq->pq", weighted, shrunk_x, optimize=True),
            xr=-np.einsum("cip,ci->p", weighted, shrunk_r),
            rr=self.rr - float(np.einsum("ci,ij,cj->", self.zr, matrix, shrunk_r)),
            zz=np.linalg.solve(inflate, self.zz),
            zx=shrunk_x,
            zr=shrunk_r,
            kind=np.arange(len(self.zz)),
        )


def _standardized(varying: np.ndarray) -> np.ndarray:
    """The same random effects counted from the middle of the slope variable, in units of its spread."""
    if varying.shape[1] == 1:
        return varying
    slope = varying[:, 1]
    return np.column_stack([varying[:, 0], (slope - slope.mean()) / slope.std()])


def _why_no_clusters(outcome: np.ndarray, cluster: np.ndarray, varying: np.ndarray) -> str:
    """Why random effects cannot be told from residuals; "" where they can."""
    size = np.bincount(cluster)
    if len(size) < 2:
        return "needs two clusters"
    if len(size) * varying.shape[1] >= len(outcome):
        return "too few rows per cluster: random effects cannot be told from residuals"
    if varying.shape[1] == 2 and np.ptp(varying[:, 1]) <= _NOTHING * np.abs(varying[:, 1]).max():
        return "the slope variable does not vary"
    within = outcome - (np.bincount(cluster, weights=outcome) / size)[cluster]
    if np.abs(within).max() <= 1e-12 * np.abs(outcome).max():
        return "no variation within clusters"
    return ""


def _no_fit(problem: str) -> MixedFit:
    return MixedFit(None, None, np.full((1, 1), np.nan), np.nan, False, problem)


def check_rows(values: np.ndarray, name: str, length: int) -> np.ndarray:
    """One finite number per row."""
    checked = check_values(values, name)
    if len(checked) != length:
        raise ValueError(f"{name} has {len(checked)} rows, but there are {length} outcomes")
    return checked
