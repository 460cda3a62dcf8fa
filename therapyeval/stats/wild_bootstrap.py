"""Comparisons of groups with few clusters: the wild cluster bootstrap, which turns whole clusters' residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs, lonely, n_codes, no_contrast
from therapyeval.stats.inputs import check_cluster, check_codes, check_level, check_values, make_notes
from therapyeval.stats.linear_model import differences, least_squares, make_design, why_not_estimable

if TYPE_CHECKING:
    import pandas as pd

WEIGHTS = {"rademacher": np.array([-1.0, 1.0]), "webb": np.sqrt([1.5, 1.0, 0.5, 0.5, 1.0, 1.5]) * np.repeat([-1, 1], 3)}
_TIE = 1 - 1e-9
_DOUBLINGS, _HALVINGS = 20, 60      # 2^20 errors away is beyond all reason, and rounding starts to show


def wild_cluster_difference(
    outcome: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    covariates: pd.DataFrame,
    *,
    cluster: np.ndarray,
    weights: str = "rademacher",
    n_resamples: int = 9_999,
    seed: int = 0,
    conf_level: float = 0.95,
) -> Contrast:
    """Differences of adjusted means, a - b, by least squares, tested by the wild cluster bootstrap.

    The difference asked about is imposed, each cluster's residuals are turned by one random weight, and the t
    statistic with CR1 errors is compared to those of all such outcomes. Where 2^clusters is at most n_resamples + 1,
    every pattern of signs is used in place of random ones (rademacher): the result is then exact and needs no seed.
    Limits are the differences that the test at 1 - conf_level just does not reject. Unreliable where only one or
    two clusters are in one of the groups. Covariates enter as in `adjusted_difference`.

    Parameters
    ----------
    outcome : array of float, without NaN
    group : array of int, one code from 0 per row
    pairs : list of (code_a, code_b)
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns
    cluster : array, one code per row
    weights : "rademacher" (-1 and 1), or "webb" (six values), for fewer than some ten clusters
    n_resamples : int, 1 or more
    seed : int, of the random weights
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        In the unit of the outcome; df is NaN. p counts resamples that are as far out as the data, ties and the data
        themselves included, so it is never 0. Where it cannot come below 1 - conf_level (five or fewer clusters at
        0.95 with rademacher) there are no limits, and the note says so; other notes as in `adjusted_difference`.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a covariate is a date, a pair compares a group with itself, the
        weights are unknown, n_resamples is below 1 or conf_level lies outside (0, 1).

    Complexity: n * p^2 for the fit; n_resamples * clusters for each of some hundred trials of a limit.

    Source: Cameron, Gelbach and Miller (2008), Rev Econ Stat 90:414-427 (null imposed); Webb (2023), Can J Econ
    56:839-858; Roodman, MacKinnon, Nielsen and Webb (2019), Stata J 19:4-60.

    >>> import pandas as pd
    >>> score = np.array([20.0, 25, 27, 22, 31, 33, 18, 21, 17, 24, 26, 20])
    >>> site, program = np.repeat(np.arange(6), 2), np.repeat([1, 0], 6)
    >>> found = wild_cluster_difference(score, program, [(1, 0)], pd.DataFrame(index=range(12)), cluster=site)
    >>> found.estimate.round(3), found.p_value.round(5)
    (array([5.333]), array([0.125]))
    """
    outcome, level = check_values(outcome, "outcome"), check_level(conf_level)
    a, b = check_pairs(pairs)
    group = check_codes(group, len(outcome), n_groups=n_codes(group, a, b))
    cluster, n_clusters = check_cluster(cluster, len(outcome))
    design = make_design(group, covariates)
    turns, how = cluster_turns(weights, n_clusters, n_resamples, seed)
    method = f"least squares, wild cluster bootstrap, {how}"
    problem = why_not_estimable(design, "classical")
    if problem:
        return no_contrast(len(a), method, problem)
    fit = least_squares(design, outcome)
    estimate, error, _ = differences(fit, design, a, b, "CR1", cluster)
    note = make_notes(len(a), (np.isnan(estimate), NO_GROUP),
                      (lonely(group, cluster, a, b), "needs two clusters in each group for an interval"),
                      (error <= fit.noise, "the model fits without error: no interval"))
    wanted = np.zeros((fit.q.shape[1], len(a)))
    for code, sign in ((a, 1), (b, -1)):
        there = np.flatnonzero(np.isin(code, design.groups))
        wanted[np.searchsorted(design.groups, code[there]), there] = sign
    direction = np.linalg.solve(fit.r.T, wanted)
    return turned_contrast(fit.q, estimate, fit.residual, direction, cluster, turns, level, method, note)


def cluster_turns(weights: str, n_clusters: int, n_resamples: int, seed: int) -> tuple[np.ndarray, str]:
    """Weights (resamples, clusters), the first of them 1 throughout: the data themselves; and how they were made."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}, but must be one of {', '.join(WEIGHTS)}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}, but must be 1 or more")
    if weights == "rademacher" and 2.0**n_clusters <= n_resamples + 1:
        bits = np.arange(2**n_clusters)[:, None] >> np.arange(n_clusters) & 1
        return 1.0 - 2 * bits, f"all {2**n_clusters} patterns of signs"
    drawn = np.random.default_rng(seed).choice(WEIGHTS[weights], size=(n_resamples, n_clusters))
    return np.vstack([np.ones(n_clusters), drawn]), f"{weights} weights, {n_resamples} resamples, seed {seed}"


def turned_contrast(
    q: np.ndarray,
    estimate: np.ndarray,
    residual: np.ndarray,
    direction: np.ndarray,
    cluster: np.ndarray,
    turns: np.ndarray,
    level: float,
    method: str,
    note: np.ndarray,
) -> Contrast:
    """Limits and p of estimates that have the weights ``q @ direction[:, j]`` on the rows; none where there is a note.

    Fixed effects of the clusters may have been taken out of q and residual: turning a cluster turns them too.
    """
    low, high, p_value = np.full((3, len(estimate)), np.nan)
    for place in np.flatnonzero(note == ""):
        test = _Test.of(q, float(estimate[place]), residual, direction[:, place], cluster, turns)
        step = np.sqrt((test.own**2).sum())
        p_value[place] = test.p_value(0.0)
        low[place], high[place] = (test.limit(side * step, 1 - level) for side in (-1, 1))
    note = np.where((note == "") & (np.isnan(low) | np.isnan(high)), "too few clusters for limits", note)
    return Contrast(estimate, low, high, p_value, np.full(len(estimate), np.nan), method, note)


@dataclass(frozen=True)
class _Test:
    """The t statistics of all resamples, for any difference that is imposed; nothing has the length of the rows.

    With v the weights of the rows in the estimate, e the residuals and G clusters: ``own`` = v'e and ``length`` = v'v
    by cluster. A resample's residuals give ``left`` = v'e by cluster (resamples, G), and ``left_pull`` more for each
    unit by which the imposed difference pulls them.
    """

    estimate: float
    own: np.ndarray
    length: np.ndarray
    left: np.ndarray
    left_pull: np.ndarray
    turns: np.ndarray

    @classmethod
    def of(cls, q, estimate, residual, direction, cluster: np.ndarray, turns: np.ndarray) -> _Test:
        v, size = q @ direction, turns.shape[1]
        score, share = np.zeros((2, size, q.shape[1]))
        np.add.at(score, cluster, q * residual[:, None])
        np.add.at(share, cluster, q * v[:, None])
        own, length = np.bincount(cluster, v * residual, size), np.bincount(cluster, v**2, size)
        left, left_pull = (turns * one - (turns @ each) @ share.T for one, each in ((own, score), (length, share)))
        return cls(estimate, own, length, left, left_pull, turns)

    def p_value(self, difference: float) -> float:
        """Share of resamples whose t is as far from 0 as that of the data, where ``difference`` is the truth."""
        off = self.estimate - difference
        pull = off / self.length.sum()
        spread = np.sqrt(((self.left + pull * self.left_pull) ** 2).sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.abs(self.turns @ (self.own + pull * self.length)) / spread
        observed = abs(off) / np.sqrt((self.own**2).sum())
        return float((np.nan_to_num(found, nan=np.inf) >= _TIE * observed).mean())

    def limit(self, step: float, alpha: float) -> float:
        """The difference, in the direction of ``step``, where p falls to alpha or below; NaN where it never does."""
        inside, outside = 0.0, 2.0
        for _ in range(_DOUBLINGS):
            if self.p_value(self.estimate + outside * step) <= alpha:
                break
            inside, outside = outside, 2 * outside
        else:
            return np.nan
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            rejected = self.p_value(self.estimate + middle * step) <= alpha
            inside, outside = (inside, middle) if rejected else (middle, outside)
        return self.estimate + inside * step
