"""Segmented regression of a series: the design, its fits, and variances for neighbors that resemble each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.inputs import check_values
from therapyeval.stats.maximum_likelihood import fit_poisson

IMPACTS = ("level and slope", "level")
SEASONALITIES = ("harmonics", "dummies")
EXACT = "the model fits without error: no interval"
NO_EVENT = "no event before or after the change: no finite ratio"
DRIFTING = "the errors drift without limit: no estimate"
_ROUNDING, _DRIFT, _EACH_SIDE = 1e-10, 0.999, 3


@dataclass(frozen=True)
class Model:
    """Columns of x: 1, t - T0, post, (t - T0) post where there is a change of slope, then seasons; rows by time.

    ``since`` holds the stated times less T0; ``problem`` is "" or says why x does not determine the model.
    """

    x: np.ndarray
    time: np.ndarray
    since: np.ndarray
    has_slope: bool
    problem: str

    def combinations(self) -> np.ndarray:
        """Weights of the coefficients for trend, change of level, change of slope and each stated effect."""
        wanted = np.zeros((3 + len(self.since), self.x.shape[1]))
        wanted[0, 1] = wanted[1, 2] = 1
        wanted[3:, 2] = 1
        if self.has_slope:
            wanted[2, 3], wanted[3:, 3] = 1, self.since
        return wanted

    def unchanged(self, beta: np.ndarray) -> np.ndarray:
        """The coefficients as if nothing had changed."""
        place = np.arange(len(beta))
        return np.where((place == 2) | ((place == 3) & self.has_slope), 0.0, beta)


@dataclass(frozen=True)
class Fit:
    """Coefficients and their covariance; df is NaN for normal limits. ``problem`` is "" or says what is NaN, why."""

    beta: np.ndarray
    covariance: np.ndarray
    df: float
    dispersion: float
    autocorrelation: float
    problem: str


def segmented_model(
    time: np.ndarray,
    change: float,
    at: Sequence[float],
    impact: str,
    season: float | None,
    harmonics: int,
    seasonality: str,
    *,
    length: int,
) -> tuple[Model, np.ndarray]:
    """The model, and the order of the rows by time; ValueError where the times or an option make no sense."""
    time = check_values(time, "time")
    if len(time) != length:
        raise ValueError(f"time has {len(time)} entries, but the series has {length}")
    if len(np.unique(time)) != len(time):
        raise ValueError("a time occurs twice: give one value per time")
    if impact not in IMPACTS:
        raise ValueError(f"impact is {impact!r}, but must be one of {', '.join(IMPACTS)}")
    if not ((time < change).any() and (time >= change).any()):
        raise ValueError(f"change is {change}, but must have times before it and from it on")
    stated = check_values(np.asarray(at, dtype=float).reshape(-1), "at")
    if ((stated < change) | (stated > time.max())).any():
        raise ValueError("the times in at must lie from the change to the last time of the series")
    order = np.argsort(time)
    since, has_slope = time[order] - change, impact == "level and slope"
    post = (since >= 0).astype(float)
    seasons = _season(since, season, harmonics, seasonality)
    x = np.column_stack([np.ones(length), since, post] + [since * post] * has_slope + seasons)
    return Model(x, time[order], stated - change, has_slope, _why_not(x, post, has_slope)), order


def check_lag(lag: int | None, n: int) -> int:
    """The lag of Newey-West, by their rule where none is given; ValueError where it is not from 0 to n - 1."""
    if lag is None:
        return int(4 * (n / 100) ** (2 / 9))
    if not 0 <= lag < n or int(lag) != lag:
        raise ValueError(f"lag is {lag}, but must be a whole number from 0 to {n - 1}")
    return int(lag)


def fit_means(model: Model, outcome: np.ndarray, lag: int) -> Fit:
    """Least squares with Newey-West covariance; outcome in the order of ``model.time``."""
    q, r = np.linalg.qr(model.x)
    beta = np.linalg.solve(r, q.T @ outcome)
    residual = outcome - model.x @ beta
    n, p = model.x.shape
    if np.abs(residual).max() <= _ROUNDING * max(np.abs(outcome).max(), 1e-300):
        return Fit(beta, np.full((p, p), np.nan), np.nan, 0.0, np.nan, EXACT)
    influence = np.linalg.solve(r, (q * residual[:, None]).T).T
    covariance = _newey_west(influence, lag) * n / (n - p)
    return Fit(beta, covariance, n - p, (residual**2).sum() / (n - p), _neighbors(residual), "")


def fit_means_ar1(model: Model, outcome: np.ndarray, lag: int) -> Fit:
    """As `fit_means`, with errors that each carry over a share of the one before, found by REML."""
    from scipy.optimize import minimize_scalar

    x, (n, p) = model.x, model.x.shape
    start = fit_means(model, outcome, lag)
    if start.problem:
        return start

    def deviance(share: float) -> float:
        q, r = np.linalg.qr(_carried_off(x, share))
        y = _carried_off(outcome, share)
        squares = ((y - q @ (q.T @ y)) ** 2).sum()
        return -np.log1p(-(share**2)) + 2 * np.log(np.abs(np.diag(r))).sum() + (n - p) * np.log(squares)

    grid = np.linspace(-0.975, 0.975, 40)
    best = grid[int(np.argmin([deviance(share) for share in grid]))]
    bounds = max(best - 0.05, -_DRIFT), min(best + 0.05, _DRIFT)
    share = float(minimize_scalar(deviance, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x)
    if abs(share) > _DRIFT - 1e-4:
        return no_fit(model, DRIFTING)
    q, r = np.linalg.qr(_carried_off(x, share))
    y = _carried_off(outcome, share)
    beta, dispersion = np.linalg.solve(r, q.T @ y), ((y - q @ (q.T @ y)) ** 2).sum() / (n - p)
    back = np.linalg.inv(r)
    return Fit(beta, dispersion * back @ back.T, n - p, dispersion / (1 - share**2), share, "")


def fit_rates(model: Model, both: list[tuple[np.ndarray, np.ndarray]], variance: str, lag: int) -> Fit:
    """Poisson regression of (events, exposure), less that of a control series where there is a second pair."""
    x, post = model.x, model.x[:, 2] == 1
    if not all(events[side].any() for events, _ in both for side in (post, ~post)):
        return no_fit(model, NO_EVENT)
    beta, plain, influence, squares, n, p = 0.0, 0.0, 0.0, 0.0, *x.shape
    residuals = []
    for sign, (events, exposure) in zip((1, -1), both, strict=False):
        fit = fit_poisson(x, events, np.log(exposure))
        if fit.problem:
            return no_fit(model, fit.problem)
        mean = exposure * np.exp(x @ fit.beta)
        residuals.append((events - mean) / np.sqrt(mean))
        beta, plain = beta + sign * fit.beta, plain + fit.covariance
        influence = influence + sign * (x * (events - mean)[:, None]) @ fit.covariance
        squares += (residuals[-1] ** 2).sum()
    dispersion, neighbors = squares / (len(both) * (n - p)), _neighbors(residuals[0])
    if variance == "poisson":
        return Fit(beta, plain, np.nan, dispersion, neighbors, "")
    if squares <= _ROUNDING * n:
        return Fit(beta, plain * np.nan, np.nan, 0.0, np.nan, EXACT)
    if variance == "quasi_poisson":
        return Fit(beta, plain * dispersion, len(both) * (n - p), dispersion, neighbors, "")
    return Fit(beta, _newey_west(influence, lag) * n / (n - p), n - p, dispersion, neighbors, "")


def no_fit(model: Model, problem: str) -> Fit:
    p = model.x.shape[1]
    return Fit(np.full(p, np.nan), np.full((p, p), np.nan), np.nan, np.nan, np.nan, problem)


def _season(since: np.ndarray, season: float | None, harmonics: int, seasonality: str) -> list[np.ndarray]:
    """Sines and cosines of a season, the longest first, or a dummy for each of its times but that of the first row;
    ValueError where the times cannot tell them apart."""
    if seasonality not in SEASONALITIES:
        raise ValueError(f"seasonality is {seasonality!r}, but must be one of {', '.join(SEASONALITIES)}")
    if season is None:
        if seasonality == "dummies":
            raise ValueError('seasonality="dummies" needs a season, such as 12')
        return []
    if seasonality == "dummies":
        place = (since - since[0]) % season
        if season < 2 or season != int(season) or (place != np.floor(place)).any():
            raise ValueError(f"dummies need times that are whole numbers apart and a whole season, not {season}")
        return [(place == each).astype(float) for each in np.unique(place)[1:]]
    if harmonics < 1 or int(harmonics) != harmonics or not 2 * harmonics < season:
        raise ValueError(f"harmonics is {harmonics}, but must be 1 or more, with 2 * harmonics below season ({season})")
    angles = [2 * np.pi * k * since / season for k in range(1, int(harmonics) + 1)]
    return [wave(angle) for angle in angles for wave in (np.sin, np.cos)]


def _why_not(x: np.ndarray, post: np.ndarray, has_slope: bool) -> str:
    """The reason why the times do not determine the model; "" where they do."""
    n, p = x.shape
    if min(post.sum(), n - post.sum()) < _EACH_SIDE:          # two times fit a line, without a trace of their spread
        return "needs three times before the change and three from it on"
    if n <= p:
        return f"needs more times than coefficients ({p})"
    lengths = np.abs(x).max(axis=0)
    in_time = np.isin(np.arange(p), [1, 3] if has_slope else [1])            # all others are 1 long, or only rounding
    if np.linalg.matrix_rank(x / np.where(in_time, lengths, 1.0)) < p:
        return "the times do not determine trend, change and season"
    return ""


def _carried_off(values: np.ndarray, share: float) -> np.ndarray:
    """Rows less the share of the row before, the first scaled to the same variance (Prais and Winsten)."""
    found = values - share * np.concatenate([np.zeros_like(values[:1]), values[:-1]])
    found[0] = values[0] * np.sqrt(1 - share**2)
    return found


def _newey_west(influence: np.ndarray, lag: int) -> np.ndarray:
    """Sum of autocovariances up to the lag, with Bartlett's weights; influence (n, p) in order of time."""
    total = influence.T @ influence
    for step in range(1, lag + 1):
        across = influence[step:].T @ influence[:-step]
        total += (1 - step / (lag + 1)) * (across + across.T)
    return total


def _neighbors(residual: np.ndarray) -> float:
    """Autocorrelation of residuals at lag 1; NaN where they are all alike."""
    centered = residual - residual.mean()
    square = (centered**2).sum()
    return float((centered[1:] * centered[:-1]).sum() / square) if square > 0 else np.nan
