"""Normal models whose clusters have a covariance to be found: likelihood, search and Satterthwaite's df.

The covariance of a cluster's rows is scale * H, and H depends on one small matrix ``factor @ factor.T``: of the
random effects, or of the visits. A model gives the sums over clusters that H leads to (`Sums`); all the rest,
derivatives included, is the same for every such model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_STEPS, _HALVINGS, _CLOSE = 200, 40, 1e-9
_FLAT, _RUNAWAY, _ENOUGH = 1e-8, 1e8, 1e-4


@dataclass(frozen=True)
class Sums:
    """What H leads to. With X the fixed effects, r the outcome and Z the rows' share in the small matrix:

    ``log_det`` = log|H|, ``xx`` = X'H^-1 X, ``xr`` = X'H^-1 r, ``rr`` = r'H^-1 r; per cluster ``zx`` = Z'H^-1 X
    (clusters, q, p) and ``zr`` = Z'H^-1 r (clusters, q); ``zz`` = Z'H^-1 Z for each distinct kind of cluster
    (kinds, q, q), and ``kind`` says which kind each cluster is.
    """

    log_det: float
    xx: np.ndarray
    xr: np.ndarray
    rr: float
    zz: np.ndarray
    zx: np.ndarray
    zr: np.ndarray
    kind: np.ndarray


@dataclass(frozen=True)
class Model:
    """``sums`` takes the small matrix (q, q) and returns `Sums`, or None where H is not positive definite.

    ``df`` is n - p under REML and n under ML; ``free_scale`` says whether a scale is estimated beside the matrix.
    """

    sums: Callable[[np.ndarray], Sums | None]
    q: int
    df: int
    reml: bool
    free_scale: bool


@dataclass(frozen=True)
class Point:
    """Deviance (up to a constant), its slope and bend by the factor's elements; fixed effects at that covariance.

    The bend is taken at the best scale. ``moves`` (k, p, p) and ``pull`` (k) are what Satterthwaite's df need:
    the derivatives of X'H^-1 X (negative) by each element, and the mixed derivatives by element and log scale.
    """

    factor: np.ndarray
    value: float
    slope: np.ndarray
    bend: np.ndarray
    beta: np.ndarray
    covariance: np.ndarray
    scale: float
    moves: np.ndarray
    pull: np.ndarray


def search(model: Model, factor: np.ndarray) -> Point | None:
    """The factor with the least deviance, by Newton's method; None where the search does not settle.

    Directions in which the deviance bends down are followed downhill, so saddles are left. A factor may shrink
    to a lower rank (a variance of 0): nothing is special there, as the deviance depends on its square only.
    """
    with np.errstate(all="ignore"):
        point = evaluate(model, factor)
        for _ in range(_STEPS):
            if point is None or np.abs(point.factor).max() > _RUNAWAY:
                return None
            bend, axes = np.linalg.eigh(point.bend)
            size = np.maximum(np.abs(bend), 1e-10 * np.abs(bend).max() + 1e-30)
            step = -axes @ (axes.T @ point.slope / size)
            settled = -step @ point.slope < _CLOSE
            if settled and bend[0] < -1e-6 * bend[-1]:
                step, settled = 0.1 * axes[:, 0], False
            step *= min(1.0, max(1.0, np.abs(point.factor).max()) / max(np.abs(step).max(), 1e-30))
            after = evaluate(model, point.factor + _matrix(step, model.q))
            if settled:
                return after
            point = _halved(model, point, step, after)
    return None


def _halved(model: Model, point: Point, step: np.ndarray, after: Point | None) -> Point | None:
    """The point after a step, halved while the deviance falls by less than a ten thousandth of what its slope promises
    (Armijo): a step across 0 to the same factor with the other sign would be taken back and forth for ever."""
    for _ in range(_HALVINGS):
        promised = min(step @ point.slope, 0.0)
        if after is not None and after.value <= point.value + _ENOUGH * promised + 1e-11 * abs(point.value):
            return after
        step = step / 2
        after = evaluate(model, point.factor + _matrix(step, model.q))
    return None


def satterthwaite(model: Model, point: Point, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, standard error and df of linear functions ``direction`` (p, k) of the fixed effects.

    The df are 2 v^2 / var(v), v the squared standard error, by the delta method with the observed information of
    the covariance's elements; directions in which the deviance is flat count as known, as in R lmerTest.

    Source: Satterthwaite (1946), Biometrics Bull 2:110-114; Kuznetsova, Brockhoff and Christensen (2017), J Stat
    Softw 82(13); Giesbrecht and Burns (1985), Biometrics 41:477-486.
    """
    along = point.covariance @ direction
    square = point.scale * (direction * along).sum(axis=0)
    gradient = point.scale * np.einsum("pj,apq,qj->aj", along, point.moves, along)
    bend = point.bend
    if model.free_scale:
        gradient = np.vstack([gradient, square])
        pull = point.pull[:, None]
        bend = np.block([[bend + pull @ pull.T / model.df, pull], [pull.T, np.array([[float(model.df)]])]])
    size, values, axes = _bends(bend)
    known = values <= _FLAT * values.max()
    on_axes = axes.T @ (gradient / size[:, None])
    spread = 2 * (np.where(known, 0, 1 / np.where(known, 1, values))[:, None] * on_axes**2).sum(axis=0)
    df = np.divide(2 * square**2, spread, out=np.full(len(square), np.nan), where=spread > 0)
    return direction.T @ point.beta, np.sqrt(square), df


def determined(point: Point) -> bool:
    """Whether the deviance bends up in every direction: nothing of the small matrix may move without a price."""
    _, values, _ = _bends(point.bend)
    return bool(values.min() > _FLAT * values.max())


def _bends(bend: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A size per element that makes the bends alike, and the bend's values and axes in these sizes."""
    diagonal = np.abs(np.diag(bend))
    size = np.sqrt(np.maximum(diagonal, max(_FLAT**2 * diagonal.max(), np.finfo(float).tiny)))
    return size, *np.linalg.eigh(bend / np.outer(size, size))


def evaluate(model: Model, factor: np.ndarray) -> Point | None:
    """The model at one factor; None where it has no likelihood there."""
    with np.errstate(all="ignore"):
        sums = model.sums(factor @ factor.T)
    if sums is None or not np.isfinite(sums.log_det) or not np.isfinite(sums.xx).all():
        return None
    sign, log_xx = np.linalg.slogdet(sums.xx)
    if sign <= 0:
        return None
    covariance = np.linalg.inv(sums.xx)
    beta = covariance @ sums.xr
    left = sums.rr - sums.xr @ beta
    if not left > 0:
        return None
    scale = left / model.df if model.free_scale else 1.0
    value = sums.log_det + model.reml * log_xx + (model.df * np.log(scale) if model.free_scale else left)
    slope, bend, moves, pull = _derivatives(model, factor, sums, beta, covariance, scale)
    if not (np.isfinite(value) and np.isfinite(slope).all() and np.isfinite(bend).all()):
        return None
    return Point(factor, value, slope, bend, beta, covariance, scale, moves, pull)


def _derivatives(model, factor, sums, beta, covariance, scale):
    """Slope, bend, moves and pull; see `Point`.

    By a change S of the small matrix: the deviance moves by <S, first>, with ``first`` the sum of ``zz``, less
    what estimating the fixed effects takes (REML) and what the residuals show.
    """
    residual = sums.zr - sums.zx @ beta
    n_kinds, q, p = len(sums.zz), model.q, len(beta)
    weight = np.bincount(sums.kind, minlength=n_kinds)[:, None, None]
    spent, shown = np.zeros((n_kinds, q, q)), np.zeros((n_kinds, q, q))
    if model.reml:
        np.add.at(spent, sums.kind, (sums.zx @ covariance) @ np.swapaxes(sums.zx, 1, 2))
    np.add.at(shown, sums.kind, residual[:, :, None] * residual[:, None, :])
    shown_all = shown.sum(axis=0) / scale
    first = (weight * sums.zz).sum(axis=0) - spent.sum(axis=0) - shown_all
    single, rise, double = _steps(factor)
    flat = sums.zx.reshape(len(sums.zx), q * p)
    pairs = (flat.T @ flat).reshape(q, p, q, p)
    moves = np.einsum("aij,ipjs->aps", rise, pairs, optimize=True)
    toward = np.einsum("aij,ijp->ap", rise, np.einsum("cip,cj->ijp", sums.zx, residual, optimize=True))
    second = -weight * sums.zz + 2 * spent + 2 / scale * shown
    both = np.einsum("mjk,mli->jkli", sums.zz, second, optimize=True)
    bend = np.einsum("aij,jkli,bkl->ab", rise, both, rise, optimize=True)
    bend -= 2 / scale * toward @ covariance @ toward.T
    if model.reml:
        turned = moves @ covariance
        bend -= np.einsum("aps,bsp->ab", turned, turned, optimize=True)
    bend += np.einsum("abij,ij->ab", double, first)
    pull = np.einsum("aij,ij->a", rise, shown_all)
    if model.free_scale:
        bend -= np.outer(pull, pull) / model.df
    return np.einsum("aij,ij->a", rise, first), (bend + bend.T) / 2, moves, pull


def _steps(factor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit changes of the factor's elements, and the first and second derivatives of factor @ factor.T by them."""
    q = len(factor)
    single = np.array([_matrix(unit, q) for unit in np.eye(q * (q + 1) // 2)])
    rise = single @ factor.T
    double = np.einsum("aij,bkj->abik", single, single)
    return single, rise + np.swapaxes(rise, 1, 2), double + np.swapaxes(double, 2, 3)


def _matrix(elements: np.ndarray, q: int) -> np.ndarray:
    """A lower triangular matrix from its elements."""
    matrix = np.zeros((q, q))
    matrix[np.tril_indices(q)] = elements
    return matrix
