"""Drawing what is missing in one column from what is known in the others: one function per kind of column.

Each draws the coefficients of its model first, so that imputations differ by what the data do not determine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.multinomial import fit_multinomial, shares
from therapyeval.stats.ordinal import fit_thresholds
from therapyeval.stats.survival import check_events, survival_steps

N_DONORS = 5
NO_CONVERGENCE = "its model does not converge"
TOO_FEW = "it has no more values than its model has coefficients"
_DETERMINED = 1e-9          # of its squared length


class CannotImpute(Exception):
    """Why a column has no model."""


@dataclass(frozen=True)
class Regression:
    """Least squares: coefficients, R with (R'R)^-1 their covariance over sigma^2, and what sigma^2 comes from."""

    beta: np.ndarray
    r: np.ndarray
    squares: float
    df: int

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Coefficients and residual SD from their posterior, under the usual flat prior."""
        sigma = np.sqrt(self.squares / rng.chisquare(self.df))
        return self.beta + sigma * np.linalg.solve(self.r, rng.standard_normal(len(self.beta))), sigma


def regress(x: np.ndarray, y: np.ndarray) -> Regression:
    """Least squares of y on x (n, p), whose columns are independent; CannotImpute unless n > p.

    Through cross-products: a few times faster than through the rows, and columns that nearly depend on each other are
    left out before.
    """
    n, p = x.shape
    if n <= p:
        raise CannotImpute(TOO_FEW)
    cross = x.T @ x
    beta = np.linalg.solve(cross, x.T @ y)
    residual = y - x @ beta
    beta = beta + np.linalg.solve(cross, x.T @ residual)
    return Regression(beta, np.linalg.cholesky(cross).T, float(((y - x @ beta) ** 2).sum()), n - p)


def independent(x: np.ndarray) -> np.ndarray:
    """Which columns have a part of their length outside the columns before them (elimination of cross-products)."""
    cross = x.T @ x
    length, keep = cross.diagonal().copy(), np.zeros(x.shape[1], dtype=bool)
    for place in range(x.shape[1]):
        left = cross[place, place]
        keep[place] = left > _DETERMINED * length[place]
        if keep[place]:
            cross = cross - np.outer(cross[:, place], cross[place] / left)
    return keep


def cumulative_hazard(duration: np.ndarray, event: np.ndarray) -> np.ndarray:
    """The Nelson-Aalen cumulative hazard at each unit's own time.

    Missing covariates of a Cox model are imputed from it and from the event, not from the time itself.

    Parameters
    ----------
    duration : array of float, 0 or more, without NaN
    event : array of bool (or 0/1): True where the event was seen at `duration`

    Raises
    ------
    ValueError
        Where lengths differ, a duration is missing or negative, or an event is not 0/1.

    Source: White and Royston (2009), Stat Med 28:1982-1998; as ``cumhaz`` of R ``survfit`` (``mice::nelsonaalen`` takes
    tied events one after the other).

    >>> cumulative_hazard(np.array([2.0, 5, 5, 9]), np.array([1, 1, 0, 1])).round(4)
    array([0.25  , 0.5833, 0.5833, 1.5833])
    """
    duration, event, group = check_events(duration, event, np.zeros(len(duration), dtype=np.int64), 1)
    steps = survival_steps(duration, event, group, 1)
    return np.cumsum(steps.events / steps.at_risk)[np.searchsorted(steps.time, duration)]


def draw_normal(
    x: np.ndarray, y: np.ndarray, wanted: np.ndarray, n_levels: int, rng: np.random.Generator
) -> np.ndarray:
    """Values on the regression line drawn, and a normal residual.

    Source: Rubin (1987), Multiple Imputation for Nonresponse in Surveys, example 5.1; as R ``mice.impute.norm``.
    """
    beta, sigma = regress(x, y).draw(rng)
    return wanted @ beta + sigma * rng.standard_normal(len(wanted))


def draw_pmm(
    x: np.ndarray, y: np.ndarray, wanted: np.ndarray, n_levels: int, rng: np.random.Generator
) -> np.ndarray:
    """Predictive mean matching: the value of one of the five known rows whose prediction is nearest.

    Known rows are predicted by the estimate, missing ones by coefficients drawn (type 1).

    Source: Little (1988), J Bus Econ Stat 6:287-296; as R ``mice.impute.pmm``.
    """
    fit = regress(x, y)
    near = donors(x @ fit.beta, wanted @ fit.draw(rng)[0], N_DONORS)
    return y[near[np.arange(len(near)), rng.integers(near.shape[1], size=len(near))]]


def donors(known: np.ndarray, wanted: np.ndarray, n_donors: int) -> np.ndarray:
    """Places (wanted, n_donors) of the known predictions nearest to each wanted one; fewer where fewer are known.

    Of equally near ones the lower prediction comes first, of equal ones the one that comes first in the data.

    >>> donors(np.array([1.0, 5.0, 2.0, 9.0]), np.array([1.6, 8.0]), 2).tolist()
    [[2, 0], [3, 1]]
    """
    n_donors = min(n_donors, len(known))
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    start = np.searchsorted(ordered, wanted)
    window = start[:, None] + np.arange(-n_donors, n_donors)
    inside = (window >= 0) & (window < len(known))
    window = np.clip(window, 0, len(known) - 1)
    distance = np.where(inside, np.abs(ordered[window] - wanted[:, None]), np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :n_donors]
    return order[np.take_along_axis(window, nearest, axis=1)]


def draw_nominal(
    x: np.ndarray, y: np.ndarray, wanted: np.ndarray, n_levels: int, rng: np.random.Generator
) -> np.ndarray:
    """Levels from a multinomial logistic regression (logistic, for two levels) whose coefficients are drawn.

    Source: Rubin (1987), section 5.5; van Buuren (2018), Flexible Imputation of Missing Data, section 3.6.
    """
    x, code, weight = augment(x, y.astype(np.int64), n_levels)
    fit = fit_multinomial(x, code, n_levels, weight)
    if fit is None:
        raise CannotImpute(NO_CONVERGENCE)
    beta = _draw_around(fit[0].T.ravel(), fit[1], rng).reshape(n_levels - 1, -1).T
    return _draw_levels(shares(wanted @ beta), rng)


def draw_ordered(
    x: np.ndarray, y: np.ndarray, wanted: np.ndarray, n_levels: int, rng: np.random.Generator
) -> np.ndarray:
    """Levels from a proportional odds model whose coefficients are drawn; thresholds drawn out of order are sorted.

    Source: van Buuren (2018), Flexible Imputation of Missing Data, section 3.6.
    """
    from scipy.special import expit

    x, code, weight = augment(x, y.astype(np.int64), n_levels)
    fit = fit_thresholds(x[:, 1:], code, n_levels, weight)              # thresholds take the intercept's place
    if fit is None:
        raise CannotImpute(NO_CONVERGENCE)
    theta = _draw_around(*fit, rng)
    threshold, beta = np.sort(theta[: n_levels - 1]), theta[n_levels - 1 :]
    below = expit(threshold - (wanted[:, 1:] @ beta)[:, None])
    return _draw_levels(np.diff(below, axis=1, prepend=0.0, append=1.0), rng)


def augment(x: np.ndarray, code: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, levels and weights with a few light rows added, so that no covariate separates the levels.

    Half an SD to both sides of the mean of each covariate lies one row per level; together they weigh as much as
    one row per coefficient. The first column of x is the intercept.

    Source: White, Daniel and Royston (2010), Comput Stat Data Anal 54:2267-2275; as R ``mice``.
    """
    p = x.shape[1] - 1
    if p == 0:
        return x, code, np.ones(len(x))
    mean, spread = x.mean(axis=0), x.std(axis=0, ddof=1)
    offset = np.concatenate([side * np.eye(p + 1)[1:] for side in (0.5, -0.5)]) * spread
    rows = np.clip(mean + offset, x.min(axis=0), x.max(axis=0))
    n_added = 2 * p * n_levels
    weight = np.r_[np.ones(len(x)), np.full(n_added, (p + 1) / n_added)]
    return np.vstack([x, np.tile(rows, (n_levels, 1))]), np.r_[code, np.repeat(np.arange(n_levels), 2 * p)], weight


def _draw_around(theta: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The large-sample posterior: normal around the estimate."""
    return theta + np.linalg.cholesky(covariance) @ rng.standard_normal(len(theta))


def _draw_levels(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One level per row, with the row's probabilities."""
    above = rng.random(len(share))[:, None] > np.cumsum(share, axis=1)[:, :-1]
    return above.sum(axis=1).astype(float)
