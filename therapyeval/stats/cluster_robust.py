"""Variances that hold when rows of one cluster depend on each other: CR1, and CR2 for few clusters."""

from collections.abc import Iterator

import numpy as np

_SINGULAR = 1e-12  # as R clubSandwich: directions that a cluster determines alone add nothing
_BLOCK = 2048


def cr1(
    q: np.ndarray, residual: np.ndarray, direction: np.ndarray, cluster: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clustered variance (CR1) of linear functions of least squares, and its degrees of freedom, clusters - 1.

    The factor for few clusters is G/(G-1) * (n-1)/(n-p), as in Stata; both it and the degrees of freedom are too
    kind where clusters are few or unequal: `cr2` is not.

    Parameters
    ----------
    q, residual, direction, cluster : as in `cr2`

    Returns
    -------
    (variance, df) : arrays of length k; NaN with a single cluster

    Source: Liang and Zeger (1986), Biometrika 73:13-22; Cameron and Miller (2015), J Hum Resour 50:317-372,
    section II; as R ``sandwich::vcovCL(type = "HC1")`` and ``clubSandwich`` CR1S.

    >>> cr1(np.ones((3, 1)) / np.sqrt(3), np.array([1.0, 0, -1]), np.array([[1 / np.sqrt(3)]]), np.arange(3))
    (array([0.33333333]), array([2.]))
    """
    (n, p), n_clusters = q.shape, int(cluster.max()) + 1
    score = np.zeros((n_clusters, direction.shape[1]))
    np.add.at(score, cluster, (q @ direction) * residual[:, None])
    factor = n_clusters / (n_clusters - 1) * (n - 1) / (n - p) if n_clusters > 1 else np.nan
    return factor * (score**2).sum(axis=0), np.full(direction.shape[1], n_clusters - 1.0)


def cr2(
    q: np.ndarray, residual: np.ndarray, direction: np.ndarray, cluster: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bias-reduced clustered variance (CR2) of linear functions of least squares, and its degrees of freedom.

    With Q an orthonormal basis of the design, cluster g has the adjustment A_g = (I - Q_g Q_g')^(-1/2). The
    singular value decomposition of Q_g gives all that is needed in p dimensions, so no matrix has rows for
    both sides: time n p^2 (and 2048 p per cluster), memory n p. A cluster of one row needs no decomposition
    (its variance is HC2's). The degrees of freedom are 2 E^2 / V, with E and V the mean and variance of the
    variance estimate if errors were independent with equal spread.

    Parameters
    ----------
    q : array (n, p) with orthonormal columns that span the design
    residual : array (n), of least squares
    direction : array (p, k): the function j of the coefficients has the weights ``q @ direction[:, j]`` on
        the rows
    cluster : array (n) of int codes from 0

    Returns
    -------
    (variance, df) : arrays of length k; df is NaN where the variance is 0

    Source: Bell and McCaffrey (2002), Survey Methodology 28:169-181; Pustejovsky and Tipton (2018), J Bus
    Econ Stat 36:672-683, with the generalized inverse.

    >>> q = np.ones((3, 1)) / np.sqrt(3)  # three single rows: s^2 / n with 2 df
    >>> cr2(q, np.array([1.0, 0, -1]), np.array([[1 / np.sqrt(3)]]), np.arange(3))
    (array([0.33333333]), array([2.]))
    """
    square, own, shared = 0.0, [], []
    for q_block, residual_block in _same_size_blocks(q, residual, cluster):
        axes, share = _axes(q_block)
        left = 1 - share
        usable = left > _SINGULAR
        shrink = np.where(usable, 1 / np.sqrt(np.where(usable, left, 1)), 0)[..., None]
        on_axes = axes @ direction
        score = np.einsum("mrp,mip,mi->mr", axes, q_block, residual_block, optimize=True)[..., None]
        square += ((on_axes * shrink * score).sum(axis=1) ** 2).sum(axis=0)
        own.append((on_axes**2 * (usable * share)[..., None]).sum(axis=1))
        shared.append(np.swapaxes(axes, 1, 2) @ (share[..., None] * shrink * on_axes))
    own, shared = np.concatenate(own), np.concatenate(shared)
    spread = (own**2).sum(axis=0) + [_cross_squares(shared[:, :, j]) for j in range(direction.shape[1])]
    return square, np.divide(own.sum(axis=0) ** 2, spread, out=np.full(len(spread), np.nan), where=spread > 0)


def _cross_squares(vectors: np.ndarray) -> float:
    """Sum of (v_g . v_h)^2 over all g != h; not as a difference, since one v may dwarf the others."""
    total, seen = 0.0, np.zeros((vectors.shape[1], vectors.shape[1]))
    for first in range(0, len(vectors), _BLOCK):
        block = vectors[first : first + _BLOCK]
        products = block @ block.T
        np.fill_diagonal(products, 0)
        total += (products**2).sum() + 2 * ((block @ seen) * block).sum()
        seen += block.T @ block
    return total


def _same_size_blocks(
    q: np.ndarray, residual: np.ndarray, cluster: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Clusters of equal size stacked, at most _BLOCK at a time: (clusters, rows, p) and (clusters, rows)."""
    size = np.bincount(cluster)
    order = np.lexsort((cluster, size[cluster]))
    sizes, n_clusters = np.unique(size[size > 0], return_counts=True)
    start = 0
    for rows, found in zip(sizes, n_clusters, strict=True):
        for first in range(0, found, _BLOCK):
            m = min(_BLOCK, found - first)
            chosen = order[start : start + m * rows]
            start += m * rows
            yield q[chosen].reshape(m, rows, -1), residual[chosen].reshape(m, rows)


def _axes(q_block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes (clusters, axes, p) of each cluster's rows of Q, and their squared lengths."""
    if q_block.shape[1] == 1:
        length = np.linalg.norm(q_block, axis=2)
        safe = np.where(length > 0, length, 1.0)
        return q_block / safe[..., None], length**2
    _, length, axes = np.linalg.svd(q_block, full_matrices=False)
    return axes, length**2
