"""What is known after the data, from what was stated before: posteriors of a mean and of a risk difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import check_pairs
from therapyeval.stats.inputs import check_level, make_notes
from therapyeval.stats.intervals import check_shares

_WIDE = 12.0  # standard deviations on either side
_NODES = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Posterior:
    """Posterior mean, SD and equal-tailed credible limits, one entry per parameter.

    ``p_above`` is the probability that the parameter exceeds the threshold asked for. ``method`` states the
    prior. ``note`` is "" or says why the numbers are NaN.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_above: np.ndarray
    method: str
    note: np.ndarray


def posterior_mean(
    estimate: np.ndarray,
    error: np.ndarray,
    df: np.ndarray,
    *,
    prior_mean: float,
    prior_sd: float,
    threshold: float = 0.0,
    conf_level: float = 0.95,
) -> Posterior:
    """Posteriors of means, or differences of means, under a normal prior.

    The data enter as a t distribution around the estimate: for one mean with df = n - 1 this is exact for
    normal values with Jeffreys' prior on the logarithm of their SD. With df infinite (a known standard error)
    prior and posterior are both normal. Nothing is drawn at random: the integrals are computed.

    Parameters
    ----------
    estimate, error, df : arrays of float: estimates, standard errors above 0 and degrees of freedom above 0
        (may be infinite)
    prior_mean, prior_sd : of the normal prior, in the unit of the estimate; prior_sd above 0
    threshold : float, for ``p_above``
    conf_level : float, between 0 and 1: probability within the limits

    Returns
    -------
    Posterior
        NaN and a note where an estimate, error or df is NaN.

    Raises
    ------
    ValueError
        Where lengths differ, an estimate or error is infinite, an error, df or prior_sd is not above 0 or conf_level
        lies outside (0, 1).

    Source: Gelman et al. (2013), Bayesian Data Analysis, sections 2.5 and 3.2; Spiegelhalter, Abrams and Myles
    (2004), Bayesian Approaches to Clinical Trials and Health-Care Evaluation.

    >>> sceptic = posterior_mean(np.array([6.0]), np.array([2.0]), np.array([np.inf]), prior_mean=0, prior_sd=4)
    >>> sceptic.mean, sceptic.sd.round(3), sceptic.low.round(3), sceptic.p_above.round(4)
    (array([4.8]), array([1.789]), array([1.294]), array([0.9964]))
    """
    estimate, error, df = (np.asarray(part, dtype=float) for part in (estimate, error, df))
    level, method = check_level(conf_level), f"normal prior, mean {prior_mean:g}, SD {prior_sd:g}"
    if not (estimate.shape == error.shape == df.shape) or estimate.ndim != 1:
        raise ValueError("estimate, error and df must have one dimension and the same length")
    if (error <= 0).any() or (df <= 0).any() or not prior_sd > 0:
        raise ValueError("error, df and prior_sd must be above 0")
    if np.isinf(estimate).any() or np.isinf(error).any():
        raise ValueError("estimate or error is infinite: pass NaN for an estimate that the data do not determine")
    rows = []
    for one in zip(estimate, error, df, strict=True):
        if np.isnan(one).any():
            rows.append((np.nan,) * 5)
            continue
        curve = _Curve(*_t_times_normal(*one, prior_mean, prior_sd))
        rows.append(curve.row(threshold, level))
    numbers = np.array(rows, dtype=float).reshape(-1, 5).T
    return Posterior(*numbers, method, make_notes(len(rows), (np.isnan(numbers[0]), "no estimate or standard error")))


def posterior_risk_difference(
    successes: np.ndarray,
    n: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    threshold: float = 0.0,
    conf_level: float = 0.95,
) -> Posterior:
    """Posteriors of differences of two proportions, a - b, under independent beta priors.

    (1, 1) takes every share as equally likely beforehand, (0.5, 0.5) is Jeffreys' prior; (4, 6) is worth ten
    units of which four were successes. Nothing is drawn at random: the integrals are computed.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group code from 0; units independent
    pairs : list of (code_a, code_b)
    prior : (alpha, beta) of both groups, each 0.5 or more
    threshold : float, for ``p_above``
    conf_level : float, between 0 and 1: probability within the limits

    Returns
    -------
    Posterior
        Differences of shares, from -1 to 1. A group with n = 0 has its prior; a code beyond the arrays gives NaN
        and a note.

    Raises
    ------
    ValueError
        Where lengths differ, not 0 <= successes <= n, a pair compares a group with itself, a prior number is
        below 0.5 or conf_level lies outside (0, 1).

    Source: Gelman et al. (2013), Bayesian Data Analysis, section 2.4.

    >>> found = posterior_risk_difference(np.array([15, 9]), np.array([20, 20]), [(0, 1)])
    >>> found.mean.round(4), found.low.round(4), found.high.round(4), found.p_above.round(4)
    (array([0.2727]), array([-0.0093]), array([0.5343]), array([0.9711]))
    """
    successes, n = check_shares(successes, n)
    a, b = check_pairs(pairs)
    level, (alpha, beta) = check_level(conf_level), prior
    if not min(alpha, beta) >= 0.5:
        raise ValueError(f"prior is {prior}, but both numbers must be 0.5 or more")
    rows = []
    for one, two in zip(a, b, strict=True):
        if max(one, two) >= len(n):
            rows.append((np.nan,) * 5)
            continue
        shapes = [(successes[i] + alpha, n[i] - successes[i] + beta) for i in (one, two)]
        rows.append(_beta_difference(*shapes, threshold, level))
    numbers = np.array(rows, dtype=float).reshape(-1, 5).T
    note = make_notes(len(rows), (np.isnan(numbers[0]), "a group has no value"))
    return Posterior(*numbers, f"beta prior ({alpha:g}, {beta:g}) in each group", note)


class _Curve:
    """A density known up to a factor, integrated piece by piece between edges."""

    def __init__(self, log_density: Callable, edges: np.ndarray) -> None:
        self.edges = edges
        top = log_density((edges[1:] + edges[:-1]) / 2).max()
        self.density = lambda x: np.exp(log_density(x) - top)
        self.total = self.integral(edges, lambda x: 1.0)

    def integral(self, edges: np.ndarray, weight: Callable) -> float:
        half = np.diff(edges)[:, None] / 2
        x = edges[:-1, None] + half * (1 + _NODES[0])
        return float((half * _NODES[1] * self.density(x) * weight(x)).sum())

    def below(self, value: float) -> float:
        return self.integral(np.minimum(self.edges, value), lambda x: 1.0) / self.total

    def above(self, value: float) -> float:
        return self.integral(np.maximum(self.edges, value), lambda x: 1.0) / self.total

    def row(self, threshold: float, level: float) -> tuple:
        """Mean, SD, limits and probability above the threshold."""
        mean = self.integral(self.edges, lambda x: x) / self.total
        sd = np.sqrt(self.integral(self.edges, lambda x: (x - mean) ** 2) / self.total)
        limits = _limits(self.below, self.above, self.edges[0], self.edges[-1], level)
        return mean, sd, *limits, self.above(threshold)


def _limits(below: Callable, above: Callable, low: float, high: float, level: float) -> tuple[float, float]:
    from scipy.optimize import brentq

    tail, close = (1 - level) / 2, 1e-12 * max(abs(low), abs(high))
    return (
        brentq(lambda value: below(value) - tail, low, high, xtol=close, rtol=1e-12),
        brentq(lambda value: tail - above(value), low, high, xtol=close, rtol=1e-12),
    )


def _t_times_normal(
    estimate: float, error: float, df: float, prior_mean: float, prior_sd: float
) -> tuple[Callable, np.ndarray]:
    """Log density, and edges that are close together wherever the likelihood or the prior bends."""

    def log_density(x: np.ndarray) -> np.ndarray:
        square = ((x - estimate) / error) ** 2
        data = -square / 2 if np.isinf(df) else -(df + 1) / 2 * np.log1p(square / df)
        return data - ((x - prior_mean) / prior_sd) ** 2 / 2

    low = min(prior_mean - _WIDE * prior_sd, estimate - _WIDE * error)
    high = max(prior_mean + _WIDE * prior_sd, estimate + _WIDE * error)
    around = error * np.sinh(np.linspace(-20, 20, 161))
    edges = np.r_[prior_mean + prior_sd * np.linspace(-_WIDE, _WIDE, 49), estimate + around, low, high]
    return log_density, np.unique(np.clip(edges, low, high))


def _beta_difference(first: tuple, second: tuple, threshold: float, level: float) -> tuple:
    """Mean, SD, limits and probability above the threshold of a difference of two beta variables.

    P(difference > d) is the mean over the second share q of P(first > q + d). q = sin(angle)^2, on which the
    density is smooth for shapes of one half or more.
    """
    from scipy.special import betainc, betaincc, betaincinv, betaln

    (a, b), (c, d) = first, second
    quantiles = betaincinv(c, d, np.r_[1e-15, 1e-9, 1e-6, np.linspace(0.001, 0.999, 25), 1 - 1e-6, 1 - 1e-9, 1 - 1e-15])
    own = betaincinv(a, b, np.r_[1e-9, 1e-4, np.linspace(0.02, 0.98, 25), 1 - 1e-4, 1 - 1e-9])

    def tail(value: float, upper: bool) -> float:
        edges = np.r_[0.0, 1.0, quantiles, np.clip(np.r_[own, 0.0, 1.0] - value, 0, 1)]
        angle = np.unique(np.arcsin(np.sqrt(edges)))
        half = np.diff(angle)[:, None] / 2
        x = angle[:-1, None] + half * (1 + _NODES[0])
        density = 2 * np.exp((2 * c - 1) * np.log(np.sin(x)) + (2 * d - 1) * np.log(np.cos(x)) - betaln(c, d))
        share = np.clip(np.sin(x) ** 2 + value, 0, 1)
        chance = betaincc(a, b, share) if upper else betainc(a, b, share)
        return float((half * _NODES[1] * density * chance).sum())

    variance = a * b / ((a + b) ** 2 * (a + b + 1)) + c * d / ((c + d) ** 2 * (c + d + 1))
    limits = _limits(lambda value: tail(value, False), lambda value: tail(value, True), -1.0, 1.0, level)
    return a / (a + b) - c / (c + d), np.sqrt(variance), *limits, tail(threshold, True)
