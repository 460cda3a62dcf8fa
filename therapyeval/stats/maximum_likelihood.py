"""Logistic, Poisson and negative-binomial regression by Newton's method, and why a fit does not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SEPARATED = "groups or covariates separate the outcomes: no finite estimate"
NO_CONVERGENCE = "the model does not converge: no estimate"
NO_OVERDISPERSION = "counts vary no more than Poisson: the negative binomial does not converge"
_STEPS, _CLOSE = 60, 1e-9


@dataclass(frozen=True)
class ModelFit:
    """Coefficients and their covariance; ``problem`` is "" or says why both are NaN."""

    beta: np.ndarray
    covariance: np.ndarray
    problem: str


@dataclass(frozen=True)
class _Family:
    """Log likelihood of a linear predictor; and its weights in the information and in the score."""

    log_likelihood: Callable
    moments: Callable


def fit_logistic(x: np.ndarray, y: np.ndarray) -> ModelFit:
    """Coefficients of log odds; x (n, p) of full rank, y of 0 and 1."""
    from scipy.special import expit

    def moments(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above, below = expit(eta), expit(-eta)
        return above * below, y * below - (1 - y) * above        # y - mean, exact for a mean near 1 too

    family = _Family(lambda eta: (y * eta - np.logaddexp(0, eta)).sum(), moments)
    fit = _newton(x, np.zeros(len(y)), np.zeros(x.shape[1]), family)
    return _explain(fit, (2 * y - 1)[:, None] * x)


def fit_poisson(x: np.ndarray, y: np.ndarray, offset: np.ndarray) -> ModelFit:
    """Coefficients of log rates; y counts, offset the logarithm of exposure."""
    fit = _newton(x, offset, _start(x, y, offset), _counts(y, 0.0))
    return _explain(fit, np.vstack([x[y > 0], -x]))


def fit_negative_binomial(x: np.ndarray, y: np.ndarray, offset: np.ndarray) -> ModelFit:
    """As `fit_poisson`, with variance mean + mean^2 / shape; the shape is found by maximum likelihood, and the
    covariance takes it as known (it is orthogonal to the coefficients), as R ``MASS::glm.nb``."""
    fit = fit_poisson(x, y, offset)
    shape = np.nan
    for _ in range(200):
        if fit.problem:
            return fit
        mean = np.exp(x @ fit.beta + offset)
        before, shape = shape, _shape(y, mean)
        if not np.isfinite(shape):
            return _failed(x, NO_OVERDISPERSION)
        if abs(np.log(shape / before)) < 1e-10:
            return fit
        fit = _newton(x, offset, fit.beta, _counts(y, 1 / shape))
    return _failed(x, NO_CONVERGENCE)


def _counts(y: np.ndarray, spread: float) -> _Family:
    """Log link; spread = 1 / shape, 0 for Poisson."""

    def log_likelihood(eta: np.ndarray) -> float:
        if not spread:
            return (y * eta - np.exp(eta)).sum()
        return (y * eta - (y + 1 / spread) * np.log1p(spread * np.exp(eta))).sum()

    def moments(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.exp(eta)
        factor = 1 / (1 + spread * mean)
        return mean * factor, (y - mean) * factor

    return _Family(log_likelihood, moments)


def _start(x: np.ndarray, y: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Least squares on the log scale."""
    return np.linalg.lstsq(x, np.log(y + 0.5) - offset, rcond=None)[0]


def _shape(y: np.ndarray, mean: np.ndarray) -> float:
    """The most likely shape for given means; infinite where counts vary no more than Poisson."""
    from scipy.optimize import brentq
    from scipy.special import digamma

    if ((y - mean) ** 2 - y).sum() <= 0:
        return np.inf

    def slope(log_shape: float) -> float:
        shape = np.exp(log_shape)
        return (digamma(y + shape) - digamma(shape) - np.log1p(mean / shape) + (mean - y) / (shape + mean)).sum()

    if slope(11.0) >= 0 or slope(-12.0) <= 0:
        return np.inf
    return float(np.exp(brentq(slope, -12.0, 11.0, xtol=1e-13)))


def _newton(x: np.ndarray, offset: np.ndarray, beta: np.ndarray, family: _Family) -> ModelFit:
    """Newton's steps, halved while the likelihood falls; settled once no prediction moves any more.

    Where the outcomes are separated each step moves some prediction by about 1, so this never settles.
    """
    scale = column_scale(x)
    x, beta = x / scale, beta * scale
    value = family.log_likelihood(x @ beta + offset)
    for _ in range(_STEPS):
        weight, residual = family.moments(x @ beta + offset)
        information = (x * weight[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ residual)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all():
            break
        moves = np.abs(x @ step).max()
        if moves < _CLOSE:
            return ModelFit((beta + step) / scale, np.linalg.inv(information) / np.outer(scale, scale), "")
        beta, value = _halved(family, x, offset, beta, shorten(step, moves), value)
    return _failed(x, NO_CONVERGENCE)


def _halved(family, x, offset, beta, step, value) -> tuple[np.ndarray, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(30):
            after = family.log_likelihood(x @ (beta + step) + offset)
            if after >= value - 1e-10 * abs(value):
                break
            step = step / 2
    return beta + step, after


def _failed(x: np.ndarray, problem: str) -> ModelFit:
    p = x.shape[1]
    return ModelFit(np.full(p, np.nan), np.full((p, p), np.nan), problem)


def _explain(fit: ModelFit, directions: np.ndarray) -> ModelFit:
    """The same fit, or none where the outcomes are separated: where it failed, or is suspiciously uncertain."""
    doubtful = fit.problem or barely_informed(fit.covariance)
    if doubtful and separates(directions):
        return _failed(directions, SEPARATED)
    return fit if (np.diag(fit.covariance) > 0).all() else _failed(directions, NO_CONVERGENCE)


def barely_informed(covariance: np.ndarray) -> bool:
    """Whether the covariance is so large or ill-conditioned that separated outcomes may have passed for settled."""
    size = np.diag(covariance)
    return not (size > 0).all() or size.max() > 100 or size.max() > 1e12 * size.min()


def shorten(step: np.ndarray, moves: float) -> np.ndarray:
    """The step, cut down where it moves a prediction by more than 5: Newton's may leap where all is flat."""
    return step * min(1.0, 5.0 / moves)


def column_scale(x: np.ndarray) -> np.ndarray:
    """The largest size in each column, to divide by: covariates of any unit are solved for equally well."""
    return np.maximum(np.abs(x).max(axis=0), 1e-300)


def separates(directions: np.ndarray) -> bool:
    """Whether some b has directions @ b >= 0 everywhere and > 0 somewhere: the likelihood then has no maximum.

    Parameters
    ----------
    directions : array (rows, p): moving b along a row's direction never lowers that row's likelihood

    Source: Konis (2007), Linear Programming Algorithms for Detecting Separated Data, DPhil thesis, Oxford.

    >>> separates(np.array([[-1.0, 0], [1, 1], [1, 2]])), separates(np.array([[-1.0, 0], [1, 1], [-1, -2]]))
    (True, False)
    """
    from scipy.optimize import linprog

    rows = np.unique(directions / column_scale(directions), axis=0)
    found = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
    return found.status == 0 and -found.fun > 1e-7
