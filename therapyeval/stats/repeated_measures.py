"""Comparisons of groups whose patients are seen at the same few visits: a free covariance between the visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import Contrast, check_pairs, n_codes, no_contrast, t_contrast
from therapyeval.stats.inputs import check_cluster, check_codes, check_level, check_values, make_notes
from therapyeval.stats.linear_model import Design, Fit, least_squares, make_design, why_not_estimable
from therapyeval.stats.maximum_likelihood import NO_CONVERGENCE
from therapyeval.stats.mixed_models import mixed_contrast
from therapyeval.stats.restricted_likelihood import Model, Sums, determined, satterthwaite, search

if TYPE_CHECKING:
    import pandas as pd

COVARIANCES = ("unstructured", "intercept")
NO_VISIT = "a group has no value at a visit"
TOO_FEW = "too few patients with several visits to say how the visits vary together"
_FLAT = 1e-7


def repeated_difference(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    subject: np.ndarray,
    visit: np.ndarray,
    at: int,
    since: int | None = None,
    covariance: str = "unstructured",
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of adjusted means at one visit, a - b, from all visits together; or of changes since another visit.

    Each group has an own mean at each visit. Patients may miss visits: those seen count with what they have, and
    the result holds where missing depends on what was seen (missing at random). ``unstructured`` lets every visit
    have its own spread and every two visits their own correlation (the "MMRM" of trials); ``intercept`` gives all
    the same (a random intercept per patient). REML. To adjust for baseline, make it a covariate and leave
    its visit out; to compare changes, keep it as a visit and say ``since``.

    Parameters
    ----------
    outcome : array of float, without NaN: one row per visit that took place
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    subject : array, one code per row
    visit : array of int, one code from 0 per row; at most one row per subject and visit under ``unstructured``
    at, since : visit codes; ``since`` None compares the visit ``at`` itself
    covariance : "unstructured" or "intercept"
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the outcome; t with Satterthwaite's df. A pair with a group that has no row at a visit asked
        for is NaN. All are NaN, with a note, where the model is not determined (as in `adjusted_difference`; two
        visits that no subject has both; too few subjects for the visits) or the search does not settle.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a subject has two rows at a visit, a covariate is a date, a pair
        compares a group with itself, ``at`` equals ``since``, the covariance is unknown or conf_level lies
        outside (0, 1).

    Complexity: with T visits, subjects * (T p)^2 for each of some ten Newton steps.

    Source: Jennrich and Schluchter (1986), Biometrics 42:805-820; Mallinckrodt et al. (2008), Drug Inf J
    42:303-319; as R ``nlme::gls(corSymm, varIdent)``; df as in `mixed_difference`.

    >>> import pandas as pd
    >>> score = np.array([10.0, 15, 12, 19, 9, 17, 11, 12, 8, 12, 13, 16])
    >>> who, visit = np.repeat(np.arange(6), 2), np.tile([0, 1], 6)
    >>> options = {"subject": who, "visit": visit, "at": 1, "since": 0}
    >>> change = repeated_difference(score, who // 3, [(0, 1)], pd.DataFrame(index=range(12)), **options)
    >>> change.estimate.round(3), change.low.round(3), change.high.round(3), change.df.round(2)
    (array([4.]), array([0.537]), array([7.463]), array([4.]))
    """
    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    if covariance not in COVARIANCES:
        raise ValueError(f"covariance is {covariance!r}, but must be one of {', '.join(COVARIANCES)}")
    if at == since:
        raise ValueError("at and since are the same visit")
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    visit, n_visits = _check_visits(visit, len(outcome), at, since)
    subject, _ = check_cluster(subject, len(outcome))
    design = make_design(group * n_visits + visit, covariates)
    weights, note = _visit_weights(design, a * n_visits, b * n_visits, at, since)
    if covariance == "intercept":
        return mixed_contrast(design, outcome, subject, np.ones((len(outcome), 1)), weights, note, "REML", level)
    return _unstructured(design, outcome, subject, visit, weights, note, level)


def _check_visits(visit: np.ndarray, length: int, at: int, since: int | None) -> tuple[np.ndarray, int]:
    asked = [at] if since is None else [at, since]
    if min(asked) < 0:
        raise ValueError("at and since must be visit codes from 0")
    visit = np.asarray(visit)
    if visit.shape != (length,) or (length and (visit.dtype.kind not in "iu" or visit.min() < 0)):
        raise ValueError("visit must hold one integer code from 0 per row")
    n_visits = int(max(visit.max(initial=-1), *asked, 0)) + 1
    return visit.astype(np.int64), n_visits


def _visit_weights(design: Design, a: np.ndarray, b: np.ndarray, at: int, since: int | None) -> tuple:
    """Weights (columns, pairs) of the cells that make each difference, and notes where a cell is empty."""
    weights, empty = np.zeros((design.columns.shape[1], len(a))), np.zeros(len(a), dtype=bool)
    for code, sign in ((a, 1), (b, -1)):
        for when, side in ((at, sign), (since, -sign)):
            if when is None:
                continue
            there = np.isin(code + when, design.groups)
            empty |= ~there
            weights[np.searchsorted(design.groups, (code + when)[there]), np.flatnonzero(there)] += side
    return weights, make_notes(len(a), (empty, NO_VISIT))


def _unstructured(design, outcome, subject, visit, weights, note, level) -> Contrast:
    method = "repeated measures, unstructured covariance, REML, Satterthwaite df, t"
    seen, visit = np.unique(visit, return_inverse=True)
    cell = subject * max(len(seen), 1) + visit
    if len(np.unique(cell)) < len(cell):
        raise ValueError(f"{len(cell) - len(np.unique(cell))} rows repeat a subject's visit: keep one row for each")
    problem = why_not_estimable(design, "classical")
    if problem:
        return no_contrast(len(note), method, problem)
    base = least_squares(design, outcome)
    scale = float(np.sqrt(np.mean(base.residual**2)))
    if scale <= base.noise:
        return no_contrast(len(note), method, "the model fits without error: no interval")
    layout = _Layout.of(base, base.residual / scale, subject, visit, len(seen))
    together = layout.present.T.astype(float) @ layout.present
    if (together == 0).any():
        return no_contrast(len(note), method, "no patient has values at both of two visits")
    model = Model(layout.sums, len(seen), len(outcome) - base.q.shape[1], reml=True, free_scale=False)
    point = search(model, layout.start())
    if point is None or _dependent(point.factor) or not determined(point):
        return no_contrast(len(note), method, TOO_FEW if layout.thin(base.q.shape[1]) else NO_CONVERGENCE)
    direction = np.linalg.solve(base.r.T, weights)
    change, error, df = satterthwaite(model, point, direction)
    estimate = np.where(note == "", direction.T @ base.effects + scale * change, np.nan)
    return t_contrast(estimate, scale * error, df, level, method, note)


def _dependent(factor: np.ndarray) -> bool:
    """Whether a visit is a combination of those before it."""
    return bool((np.abs(np.diag(factor)) < _FLAT * np.linalg.norm(factor, axis=1)).any())


@dataclass(frozen=True)
class _Layout:
    """Rows laid out as subjects x visits, 0 where a visit is missing; ``pattern`` of visits seen, per subject."""

    x: np.ndarray
    r: np.ndarray
    present: np.ndarray
    kind: np.ndarray
    pattern: np.ndarray

    @classmethod
    def of(cls, base: Fit, residual: np.ndarray, subject: np.ndarray, visit: np.ndarray, n_visits: int) -> _Layout:
        n_subjects, p = int(subject.max()) + 1, base.q.shape[1]
        x, r = np.zeros((n_subjects, n_visits, p)), np.zeros((n_subjects, n_visits))
        present = np.zeros((n_subjects, n_visits), dtype=bool)
        x[subject, visit], r[subject, visit], present[subject, visit] = base.q, residual, True
        pattern, kind = np.unique(present, axis=0, return_inverse=True)
        return cls(x, r, present, kind.reshape(-1), pattern)

    def start(self) -> np.ndarray:
        """A factor of the residuals' covariance, pair of visits by pair; correlations shrink until it has one."""
        together = self.present.T.astype(float) @ self.present
        covariance = self.r.T @ self.r / together
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-4))
        correlation = covariance / np.outer(spread, spread)
        np.fill_diagonal(correlation, 1.0)
        while np.linalg.eigvalsh(correlation)[0] < 1e-3:
            correlation = 0.9 * correlation + 0.1 * np.eye(len(spread))
        return spread[:, None] * np.linalg.cholesky(correlation)

    def thin(self, p: int) -> bool:
        """Whether fewer subjects are left, after the means of each visit, than there are visits."""
        n_visits = self.present.shape[1]
        return self.present.sum(axis=0).min() - np.ceil(p / n_visits) < n_visits

    def sums(self, matrix: np.ndarray) -> Sums | None:
        """The inverse of each pattern's part of the matrix, 0 for visits not seen."""
        both = self.pattern[:, :, None] & self.pattern[:, None, :]
        part = np.where(both, matrix, np.eye(len(matrix)))
        sign, log_det = np.linalg.slogdet(part)
        if (sign <= 0).any():
            return None
        inverse = np.where(both, np.linalg.inv(part), 0.0)
        zx = inverse[self.kind] @ self.x
        zr = (inverse[self.kind] @ self.r[:, :, None])[:, :, 0]
        flat, p = self.x.reshape(-1, self.x.shape[2]), self.x.shape[2]
        return Sums(float(log_det[self.kind].sum()), flat.T @ zx.reshape(-1, p), flat.T @ zr.reshape(-1),
                    float((self.r * zr).sum()), inverse, zx, zr, self.kind)
