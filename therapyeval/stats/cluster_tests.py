"""Joint tests of several coefficients with few clusters, from the bias-reduced variance CR2."""

import numpy as np

from therapyeval.stats.joint_test import JointTest, f_test, no_test

TOO_FEW = "too few clusters for a joint test"
_SINGULAR = 1e-12


def cr2_joint(
    q: np.ndarray, effects: np.ndarray, residual: np.ndarray, direction: np.ndarray, cluster: np.ndarray
) -> JointTest:
    """Test that all of several linear functions of least squares are 0, with rows of a cluster depending on each other.

    Wald's statistic with the CR2 variance is referred to Hotelling's T-squared, whose degrees of freedom match the
    mean and the total variance of the variance estimate if errors were independent with equal spread. With one
    function this is the t test of `cr2`.

    Parameters
    ----------
    q : array (n, p) with orthonormal columns that span the design
    effects : array (p), q' outcome
    residual : array (n), of least squares
    direction : array (p, k): function j is ``direction[:, j] @ effects``
    cluster : array (n) of int codes from 0

    Source: Pustejovsky and Tipton (2018), J Bus Econ Stat 36:672-683 (AHT); as R ``clubSandwich::Wald_test("HTZ")``.

    >>> q, cluster = np.repeat(np.eye(2), 6, axis=0) / 6**0.5, np.arange(12) // 2     # two means of three clusters
    >>> y = np.array([5.0, 6, 3, 2, 6, 3, 6, 4, 0, 2, 5, 1])
    >>> test = cr2_joint(q, q.T @ y, y - q @ q.T @ y, np.eye(2), cluster)             # are both 0?
    >>> round(test.statistic, 4), test.df, round(test.df_error, 4)
    (9.6905, 2.0, 2.0)
    """
    method, k = "Wald F, CR2 by cluster, Hotelling df", direction.shape[1]
    scores, shared = [], []
    n_clusters = int(cluster.max()) + 1
    inner = np.zeros((n_clusters, k, k))
    for place in range(n_clusters):
        block = q[cluster == place]
        left, length, axes = np.linalg.svd(block, full_matrices=False)
        room = 1 - length**2
        usable = room > _SINGULAR
        grow = np.where(usable, length / np.sqrt(np.where(usable, room, 1)), 0)
        weights = (left * grow) @ (axes @ direction)
        scores.append(residual[cluster == place] @ weights)
        shared.append(block.T @ weights)
        inner[place] = weights.T @ weights
    scores, shared = np.array(scores), np.array(shared)
    covariance = scores.T @ scores
    own = (inner - np.einsum("gpk,gpl->gkl", shared, shared)).sum(axis=0)
    size, turn = np.linalg.eigh(own)
    if size[0] <= _SINGULAR * size[-1] or np.linalg.matrix_rank(covariance, hermitian=True) < k:
        return no_test(method, TOO_FEW)
    root = turn / np.sqrt(size) @ turn.T
    freedom = k * (k + 1) / _total_variance(inner, shared, root)
    if freedom <= k - 1:
        return no_test(method, TOO_FEW)
    estimate = direction.T @ effects
    statistic = estimate @ np.linalg.solve(covariance, estimate)
    return f_test((freedom - k + 1) / (freedom * k) * statistic, k, freedom - k + 1, method)


def _total_variance(inner: np.ndarray, shared: np.ndarray, root: np.ndarray) -> float:
    """Variance of all entries of the scaled variance estimate, were errors independent: of pairs of clusters."""
    shared = shared @ root
    flat = shared.transpose(0, 2, 1)
    total = 0.0
    for place, mine in enumerate(flat):
        pair = -np.einsum("kp,gpl->gkl", mine, shared)
        pair[place] += root @ inner[place] @ root
        total += (np.trace(pair, axis1=1, axis2=2) ** 2).sum() + np.einsum("gkl,glk->", pair, pair)
    return total
