"""Two groups compared by exchanging their units: no assumption but that the groups could have been exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, n_codes
from therapyeval.stats.inputs import check_codes, check_level, check_values

EXACT_LIMIT = 5_000_000  # arrangements
_BLOCK = 4_000_000  # numbers in memory at a time
_FUZZ = 1e-10


def permutation(
    values: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    draws: int | None = None,
    seed: int = 0,
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of two means, a - b, by Fisher's and Pitman's permutation test.

    p is the share of arrangements of the units into groups of these sizes whose difference is at least as far
    from 0; the observed one counts. Limits are the shifts that the one-sided tests do not refuse. With ranks
    as values it is the exact rank sum test under ties.

    Parameters
    ----------
    values : array of float, without NaN; one per unit, units independent
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    draws : None for every arrangement (5 million at most), else how many to draw at random
    seed : int, of the random draws
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the values; df is NaN. A group without values gives NaN. Too many arrangements, or too
        few for limits at this level, leave those numbers NaN. The note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a code is negative, a pair compares a group with itself,
        draws is below 1 or conf_level lies outside (0, 1).

    Complexity: the number of arrangements, or draws * (n_a + n_b), for each pair.

    Source: Pitman (1937), Suppl J R Stat Soc 4:119-130; limits as in Garthwaite (1996), Biometrics 52:1387-1393;
    p of random draws as in Phipson and Smyth (2010), Stat Appl Genet Mol Biol 9:39.

    >>> days = np.array([29.0, 42, 38, 40, 26, 32, 21, 20, 23, 22])
    >>> shift = permutation(days, np.repeat([0, 1], [4, 6]), [(0, 1)])
    >>> shift.estimate, shift.low.round(3), shift.high.round(3), shift.p_value.round(4)
    (array([13.25]), array([6.]), array([20.]), array([0.0095]))
    """
    values, level = check_values(values), check_level(conf_level)
    if draws is not None and draws < 1:
        raise ValueError(f"draws is {draws}, but must be at least 1, or None for every arrangement")
    a, b = check_pairs(pairs)
    group = check_codes(group, len(values), n_groups=n_codes(group, a, b))
    generator = np.random.default_rng(seed)
    rows = [
        _one_pair(values[group == one], values[group == two], draws, generator, level)
        for one, two in zip(a, b, strict=True)
    ]
    numbers = np.array([row[:4] for row in rows], dtype=float).reshape(-1, 4).T
    note = np.array([row[4] for row in rows] + [None], dtype=object)[:-1]
    how = "exact" if draws is None else f"{draws} random draws, seed {seed}"
    return Contrast(*numbers, np.full(len(rows), np.nan), f"permutation of means, {how}", note)


def _one_pair(x: np.ndarray, y: np.ndarray, draws: int | None, generator: np.random.Generator, level: float) -> tuple:
    if not len(x) or not len(y):
        return (np.nan,) * 4 + (NO_GROUP,)
    center = np.r_[x, y].mean()
    x, y = x - center, y - center
    observed, per = x.mean() - y.mean(), 1 / len(x) + 1 / len(y)
    if draws is None and comb(len(x) + len(y), len(x)) > EXACT_LIMIT:
        return observed, np.nan, np.nan, np.nan, f"more than {EXACT_LIMIT:,} arrangements: use draws"
    out, moved = _all_exchanges(x, y) if draws is None else _random_exchanges(x, y, draws, generator)
    # out: sum that leaves a less the sum that enters; moved: how many units leave
    fuzz = _FUZZ * np.abs(np.r_[x, y]).sum() * per
    extreme = (np.abs(observed - out * per) >= abs(observed) - fuzz).sum()
    n, stay = len(out) + 1, (moved == 0).sum()
    rank = int(np.floor((1 - level) / 2 * n * (1 + 1e-12))) - stay
    p_value = (extreme + 1) / n
    if rank < 1:
        return observed, np.nan, np.nan, p_value, "too few arrangements for an interval at this level"
    shifts = out[moved > 0] / moved[moved > 0]
    ends = np.partition(shifts, [rank - 1, len(shifts) - rank])
    return observed, ends[rank - 1], ends[len(shifts) - rank], p_value, ""


def _all_exchanges(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every arrangement but the observed one: r units of x change places with r of y."""
    of_x, of_y = _subset_sums(x), _subset_sums(y)
    out, moved = [], []
    for r in range(1, min(len(x), len(y)) + 1):
        gap = np.subtract.outer(of_x[r], of_y[r]).ravel()
        out.append(gap)
        moved.append(np.full(len(gap), r, dtype=np.int16))
    return np.concatenate(out), np.concatenate(moved)


def _subset_sums(values: np.ndarray) -> list[np.ndarray]:
    """The sums of all subsets, by size of the subset."""
    sums = [np.zeros(1)] + [np.zeros(0)] * len(values)
    for value in values:
        sums[1:] = [np.r_[own, smaller + value] for own, smaller in zip(sums[1:], sums[:-1], strict=True)]
    return sums


def _random_exchanges(
    x: np.ndarray, y: np.ndarray, draws: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    pool, m = np.r_[x, y], len(x)
    block = max(_BLOCK // len(pool), 1)
    out, moved = [], []
    for first in range(0, draws, block):
        size = min(block, draws - first)
        chosen = np.argpartition(generator.random((size, len(pool))), m - 1, axis=1)[:, :m]
        out.append(x.sum() - pool[chosen].sum(axis=1))
        moved.append((chosen >= m).sum(axis=1))
    return np.concatenate(out), np.concatenate(moved)
