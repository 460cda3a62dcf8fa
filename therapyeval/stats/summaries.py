"""Descriptive numbers per group, for all groups at once: counts, standard deviations, quantiles, extremes."""

import numpy as np

from therapyeval.stats.inputs import check_cluster, check_codes, check_values


def counts(group: np.ndarray, n_groups: int) -> np.ndarray:
    """Rows in each group.

    Parameters
    ----------
    group : array of int, one code 0..n_groups-1 per row
    n_groups : int

    Returns
    -------
    array of int, one per group; 0 where a group has no row

    Raises
    ------
    ValueError
        Where a code lies outside 0..n_groups-1.

    Source: a count.

    >>> counts(np.array([0, 2, 2]), 3).tolist()
    [1, 0, 2]
    """
    codes = check_codes(group, len(group), n_groups=n_groups)
    return np.bincount(codes, minlength=n_groups)


def n_distinct(cluster: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Distinct clusters (patients) in each group: what the privacy threshold counts.

    Parameters
    ----------
    cluster : array, one patient code per row; any integers
    group : array of int, one code 0..n_groups-1 per row
    n_groups : int

    Returns
    -------
    array of int, one per group; 0 where a group has no row

    Raises
    ------
    ValueError
        Where lengths differ, a cluster is missing or a code lies outside 0..n_groups-1.

    Source: a count.

    >>> n_distinct(np.array([7, 7, 9, 7]), np.array([0, 0, 0, 1]), 3).tolist()
    [2, 1, 0]
    """
    _, pair_group = index_pairs(group, cluster, n_groups)
    return np.bincount(pair_group, minlength=n_groups)


def index_pairs(group: np.ndarray, cluster: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the pairs (group, cluster) that occur: the pair of each row, and the group of each pair.

    >>> index_pairs(np.array([0, 1, 0]), np.array([5, 5, 5]), 2)
    (array([0, 1, 0]), array([0, 1]))
    """
    import pandas as pd

    group = check_codes(group, len(group), n_groups=n_groups)
    nested = _nested(group, cluster)
    if nested is not None:
        return nested
    cluster, n_clusters = check_cluster(cluster, len(group))
    pair, keys = pd.factorize(group * max(n_clusters, 1) + cluster)
    return pair, keys // max(n_clusters, 1)


def _nested(group: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """`index_pairs` without hashing, where clusters are small integers that lie in one group each; else None."""
    cluster = np.asarray(cluster)
    if cluster.shape != group.shape or cluster.dtype.kind not in "iu" or not len(cluster):
        return None
    size = int(cluster.max()) + 1
    if cluster.min() < 0 or size > 16 * len(cluster) + 1024:
        return None
    own = np.full(size, -1, dtype=np.int64)
    own[cluster] = group
    if (own[cluster] != group).any():
        return None
    present = own >= 0
    return (np.cumsum(present) - 1)[cluster], own[present]


def means(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean of each group (NaN where empty), with a second pass that removes the rounding of the first.

    >>> means(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 2]), 3)
    array([1.5, nan, 5. ])
    """
    n = np.bincount(group, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.bincount(group, values, n_groups) / n
        return first + np.bincount(group, values - first[group], n_groups) / n


def sd(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Standard deviation of each group, with n - 1.

    Parameters
    ----------
    values : array of float, without NaN, in any unit
    group : array of int, one code 0..n_groups-1 per value
    n_groups : int

    Returns
    -------
    array of float, one per group, in the unit of the values; NaN where a group has fewer than two values

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing or a code lies outside 0..n_groups-1.

    Source: the definition, as R ``sd``.

    >>> sd(np.array([24.0, 5.0, -8.0, 1.0]), np.array([0, 0, 0, 1]), 2).round(1)
    array([16.1,  nan])
    """
    values = check_values(values)
    group = check_codes(group, len(values), n_groups=n_groups)
    n = np.bincount(group, minlength=n_groups)
    squares = np.bincount(group, (values - means(values, group, n_groups)[group]) ** 2, n_groups)
    return np.sqrt(np.divide(squares, n - 1, out=np.full(n_groups, np.nan), where=n > 1))


def sort_within(
    values: np.ndarray, group: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values sorted by group and size, the position at which each group starts, and the group sizes."""
    values = check_values(values)
    group = check_codes(group, len(values), n_groups=n_groups)
    n = np.bincount(group, minlength=n_groups)
    return values[_order(values, group, n_groups)], np.cumsum(n) - n, n


def _order(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Positions by group, then value; short codes are sorted by numpy in linear time."""
    if n_groups > np.iinfo(np.uint16).max:
        return np.lexsort((values, group))
    by_value = np.argsort(values)
    return by_value[np.argsort(group[by_value].astype(np.uint16), kind="stable")]


def quantile(values: np.ndarray, group: np.ndarray, n_groups: int, p: float) -> np.ndarray:
    """The p-quantile of each group, interpolated linearly (R type 7).

    Parameters
    ----------
    values : array of float, without NaN, in any unit
    group : array of int, one code 0..n_groups-1 per value
    n_groups : int
    p : float from 0 to 1

    Returns
    -------
    array of float, one per group, in the unit of the values; NaN where a group is empty

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code lies outside 0..n_groups-1 or p outside 0..1.

    Source: Hyndman and Fan (1996), Am Stat 50:361-365, definition 7.

    >>> quantile(np.array([8.0, 6, 5, 3, 10, 7]), np.zeros(6, dtype=int), 1, 0.9)
    array([9.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}, but must lie between 0 and 1")
    return quantile_of_sorted(*sort_within(values, group, n_groups), p)


def quantile_of_sorted(ordered: np.ndarray, start: np.ndarray, n: np.ndarray, p: float) -> np.ndarray:
    """`quantile` of values that `sort_within` sorted, so that several quantiles share one sort."""
    result = np.full(len(n), np.nan)
    filled = n > 0
    place = (n[filled] - 1) * p
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, n[filled] - 1)
    low, high = ordered[start[filled] + below], ordered[start[filled] + above]
    result[filled] = low + (place - below) * (high - low)
    return result


def extremes(values: np.ndarray, group: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each group.

    Parameters
    ----------
    values : array of float, without NaN, in any unit
    group : array of int, one code 0..n_groups-1 per value
    n_groups : int

    Returns
    -------
    (smallest, largest) : arrays of float, one per group; NaN where a group is empty

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing or a code lies outside 0..n_groups-1.

    Source: the definition.

    >>> extremes(np.array([3.0, 1.0, 2.0]), np.array([0, 0, 2]), 3)
    (array([ 1., nan,  2.]), array([ 3., nan,  2.]))
    """
    values = check_values(values)
    group = check_codes(group, len(values), n_groups=n_groups)
    smallest, largest = np.full(n_groups, np.nan), np.full(n_groups, np.nan)
    np.fmin.at(smallest, group, values)
    np.fmax.at(largest, group, values)
    return smallest, largest
