"""Odds ratios of two proportions from the exact conditional distribution: Fisher, mid-P."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from therapyeval.stats.contrasts import NO_GROUP, Contrast, check_pairs
from therapyeval.stats.inputs import check_level
from therapyeval.stats.intervals import check_shares

SAME = "every unit has the same outcome: no odds ratio"
_REACH = 60.0
_FUZZ = 1 + 1e-7  # as R: probabilities that differ only by rounding count as equal


def fisher(
    successes: np.ndarray,
    n: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    mid_p: bool = False,
    conf_level: float = 0.95,
) -> Contrast:
    """Odds ratios, a / b, given both margins: Fisher's exact test, or its less cautious mid-P version.

    The estimate is the conditional maximum likelihood one, a little nearer 1 than the ratio of the observed
    odds. Fisher's p sums all tables at most as likely as the observed one, while its interval (Cornfield)
    leaves equal tails, so the two can disagree in close calls. With ``mid_p`` the observed table counts half,
    and p is twice the smaller tail, which agrees with the interval.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    mid_p : False for Fisher's test, True for mid-P
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios of odds; df is NaN. An empty cell gives 0 with lower limit 0, or infinity with upper limit
        infinity. An empty group, a code beyond the arrays, or the same outcome for every unit give NaN and a
        note.

    Raises
    ------
    ValueError
        Where lengths differ, not 0 <= successes <= n, a code is negative, a pair compares a group with itself
        or conf_level lies outside (0, 1).

    Complexity: the smaller margin, times some fifty steps of a root search, for each pair.

    Source: Fisher (1935), J R Stat Soc 98:39-82; Lancaster (1961), J Am Stat Assoc 56:223-234 (mid-P); as R
    ``fisher.test`` and ``epitools::oddsratio.midp``.

    >>> tea = fisher(np.array([3, 1]), np.array([4, 4]), [(0, 1)])
    >>> tea.estimate.round(3), tea.low.round(4), tea.high.round(2), tea.p_value.round(4)
    (array([6.408]), array([0.2117]), array([626.24]), array([0.4857]))
    """
    successes, n = check_shares(successes, n)
    tail = (1 - check_level(conf_level)) / 2
    rows = []
    for a, b in zip(*check_pairs(pairs), strict=True):
        empty = max(a, b) >= len(n) or n[a] == 0 or n[b] == 0
        total = 0 if empty else successes[a] + successes[b]
        if empty or total in (0, n[a] + n[b]):
            rows.append((np.nan,) * 4 + (NO_GROUP if empty else SAME,))
        else:
            rows.append((*_Table(successes[a], n[a], n[b], total).solve(mid_p, tail), ""))
    numbers = np.array([row[:4] for row in rows], dtype=float).reshape(-1, 4).T
    note = np.array([row[4] for row in rows] + [None], dtype=object)[:-1]
    method = "conditional odds ratio, " + ("mid-P" if mid_p else "Fisher exact")
    return Contrast(*numbers, np.full(len(rows), np.nan), method, note)


class _Table:
    """A two-by-two table with fixed margins: the noncentral hypergeometric distribution of its first cell."""

    def __init__(self, x: float, n1: float, n2: float, total: float) -> None:
        from scipy.special import gammaln

        self.x = x
        self.cells = np.arange(max(0, total - n2), min(n1, total) + 1)
        rest = total - self.cells
        self.log_ways = -sum(gammaln(part + 1) for part in (self.cells, n1 - self.cells, rest, n2 - rest))

    def shares(self, log_odds: float) -> np.ndarray:
        weight = self.log_ways + self.cells * log_odds
        share = np.exp(weight - weight.max())
        return share / share.sum()

    def lower(self, log_odds: float, own: float) -> float:
        """P(cell < x) + own * P(cell = x)."""
        share = self.shares(log_odds)
        return float(share[self.cells < self.x].sum() + own * share[self.cells == self.x][0])

    def upper(self, log_odds: float, own: float) -> float:
        share = self.shares(log_odds)
        return float(share[self.cells > self.x].sum() + own * share[self.cells == self.x][0])

    def solve(self, mid_p: bool, tail: float) -> tuple[float, float, float, float]:
        """Estimate, limits and p-value."""
        own = 0.5 if mid_p else 1.0
        at_low, at_high = self.x == self.cells[0], self.x == self.cells[-1]
        estimate = 0.0 if at_low else np.inf
        if not at_low and not at_high:
            estimate = self._search(lambda t: self.shares(t) @ self.cells - self.x)
        low = 0.0 if at_low else self._search(lambda t: self.upper(t, own) - tail)
        high = np.inf if at_high else self._search(lambda t: tail - self.lower(t, own))
        if mid_p:
            p_value = 2 * min(self.lower(0, own), self.upper(0, own))
        else:
            share = self.shares(0)
            p_value = share[share <= share[self.cells == self.x][0] * _FUZZ].sum()
        return estimate, low, high, min(float(p_value), 1.0)

    def _search(self, rising) -> float:
        from scipy.optimize import brentq

        return float(np.exp(brentq(rising, -_REACH, _REACH, xtol=1e-12, rtol=1e-12)))
