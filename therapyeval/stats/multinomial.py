"""Multinomial logistic regression with weights by Newton's method; with two levels it is logistic regression."""

from __future__ import annotations

import numpy as np

from therapyeval.stats.maximum_likelihood import shorten

_STEPS, _CLOSE = 60, 1e-9


def fit_multinomial(
    x: np.ndarray, code: np.ndarray, n_levels: int, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients (p, n_levels - 1) of the log odds of each level against the first, and their covariance.

    Parameters
    ----------
    x : array (n, p) of full rank, columns of similar size
    code : array (n) of int, 0..n_levels-1
    weight : array (n) of float, above 0

    Returns
    -------
    None where Newton's method does not settle, as where levels are separated. The covariance is that of
    the coefficients level by level: ``beta.T.ravel()``.
    """
    p = x.shape[1]
    beta, target = np.zeros((p, n_levels - 1)), np.eye(n_levels)[code][:, 1:]
    value = _log_likelihood(x @ beta, code, weight)
    for _ in range(_STEPS):
        share = shares(x @ beta)[:, 1:]
        gradient = x.T @ (weight[:, None] * (target - share))
        information = _information(x, share, weight)
        try:
            step = np.linalg.solve(information, gradient.T.ravel()).reshape(n_levels - 1, p).T
        except np.linalg.LinAlgError:
            return None
        moves = np.abs(x @ step).max()
        if not np.isfinite(moves):
            return None
        if moves < _CLOSE:
            return beta + step, np.linalg.inv(information)
        step = shorten(step, moves)
        for _ in range(30):
            after = _log_likelihood(x @ (beta + step), code, weight)
            if after >= value - 1e-10 * abs(value):
                break
            step = step / 2
        beta, value = beta + step, after
    return None


def shares(eta: np.ndarray) -> np.ndarray:
    """Probabilities of all levels, from the log odds of each against the first."""
    eta = np.hstack([np.zeros((len(eta), 1)), eta])
    size = np.exp(eta - eta.max(axis=1, keepdims=True))
    return size / size.sum(axis=1, keepdims=True)


def _log_likelihood(eta: np.ndarray, code: np.ndarray, weight: np.ndarray) -> float:
    eta = np.hstack([np.zeros((len(eta), 1)), eta])
    top = eta.max(axis=1)
    own = np.take_along_axis(eta, code[:, None], axis=1)[:, 0]
    return float(weight @ (own - top - np.log(np.exp(eta - top[:, None]).sum(axis=1))))


def _information(x: np.ndarray, share: np.ndarray, weight: np.ndarray) -> np.ndarray:
    p, k = x.shape[1], share.shape[1]
    blocks = np.empty((k, p, k, p))
    for one in range(k):
        for two in range(one + 1):
            bend = weight * share[:, one] * ((one == two) - share[:, two])
            blocks[one, :, two] = blocks[two, :, one] = (x * bend[:, None]).T @ x
    return blocks.reshape(k * p, k * p)
