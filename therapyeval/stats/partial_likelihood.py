"""Cox's partial likelihood, Efron's ties, strata: risk sets, Newton's steps, residuals, why a fit does not exist."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from therapyeval.stats.maximum_likelihood import barely_informed, column_scale, separates, shorten

NO_EVENT = "no unit had the event"
SEPARATED = "groups or covariates determine who has the event first: no finite estimate"
NOT_DETERMINED = "the units at risk when events happen do not determine the model: no estimate"
_STEPS, _CLOSE = 60, 1e-9
_SINGULAR = 1e-12         # variance of x in the risk sets, of at most 1 per event, that is only rounding


@dataclass(frozen=True)
class RiskSets:
    """Rows of a stratum in order of time, events before censored ones; ``order`` leads from all given rows to them.

    One entry per event: its time, the first row at risk (all later ones are too), the first event at the same
    time, and the share of the tied events' risk that Efron takes out: 0, 1/d ... (d-1)/d. ``until`` counts, for
    each row, the events up to its own time.
    """

    order: np.ndarray
    x: np.ndarray
    event: np.ndarray
    event_time: np.ndarray
    first: np.ndarray
    tie: np.ndarray
    share: np.ndarray
    until: np.ndarray


@dataclass(frozen=True)
class CoxFit:
    """Log hazard ratios and their covariance; ``problem`` is "" or says why both are NaN."""

    beta: np.ndarray
    covariance: np.ndarray
    strata: list[RiskSets]
    problem: str


@dataclass(frozen=True)
class _State:
    """At one beta: the risk of each row (relative to the largest), and of each event's risk set the sum and mean x."""

    value: float
    risk: np.ndarray
    total: np.ndarray
    mean: np.ndarray


def fit_cox(duration: np.ndarray, event: np.ndarray, x: np.ndarray, stratum: np.ndarray | None = None) -> CoxFit:
    """Newton's steps from 0, halved while the likelihood falls; settled once no prediction moves any more.

    Units are at risk together within a stratum only (codes from 0; None for a single one).
    """
    stratum = np.zeros(len(duration), dtype=np.int64) if stratum is None else stratum
    places = np.split(np.argsort(stratum, kind="stable"), np.cumsum(np.bincount(stratum))[:-1])
    strata = [_risk_sets(duration, event, x, rows) for rows in places if event[rows].any()]
    if not strata:
        return _failed(x, NO_EVENT)
    if not x.shape[1]:
        return CoxFit(np.zeros(0), np.zeros((0, 0)), strata, "")
    scale = column_scale(x)
    scaled = [replace(sets, x=sets.x / scale) for sets in strata]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        beta, information = _newton(scaled)
    directions = np.vstack([_order_of_events(sets) for sets in scaled])
    if beta is None:
        return _failed(x, SEPARATED if separates(directions) else NOT_DETERMINED)
    covariance = np.linalg.inv(information) / np.outer(scale, scale)
    if barely_informed(covariance) and separates(directions):
        return _failed(x, SEPARATED)
    return CoxFit(beta / scale, covariance, strata, "")


def score_residuals(fit: CoxFit, n_rows: int) -> np.ndarray:
    """What each given row adds to the score, (n, p); the sum over the rows of a stratum is 0."""
    given = np.zeros((n_rows, len(fit.beta)))
    for sets in fit.strata:
        state = _state(sets, fit.beta)
        n_ties = np.bincount(sets.tie, minlength=len(sets.tie))[sets.tie]
        hazard, drift = _while_at_risk(sets, 1 / state.total), _while_at_risk(sets, state.mean / state.total[:, None])
        residual = state.risk[:, None] * (drift - sets.x * hazard[:, None])
        residual[sets.event] += sets.x[sets.event] - _tied(sets, state.mean) / n_ties[:, None]
        given[sets.order] = residual
    return given


def trend_score(fit: CoxFit, clock: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Score of coefficients that change in proportion to the clock, at no change, and the information of all 2p.

    clock : times of events -> the clock's numbers
    """
    score, information = 0.0, 0.0
    for sets in fit.strata:
        state, shown = _state(sets, fit.beta), clock(sets.event_time)
        score = score + shown @ (sets.x[sets.event] - state.mean)
        plain, once, twice = (_information(sets, state, shown**power) for power in (0, 1, 2))
        information = information + np.block([[plain, once], [once, twice]])
    return score, information


def _risk_sets(duration: np.ndarray, event: np.ndarray, x: np.ndarray, rows: np.ndarray) -> RiskSets:
    order = rows[np.lexsort((~event[rows], duration[rows]))]
    time, happened = duration[order], event[order]
    event_time = time[happened]
    tie = np.searchsorted(event_time, event_time)
    share = (np.arange(len(tie)) - tie) / (np.searchsorted(event_time, event_time, side="right") - tie)
    until = np.searchsorted(event_time, time, side="right")
    return RiskSets(order, x[order], happened, event_time, np.searchsorted(time, event_time), tie, share, until)


def _newton(strata: list[RiskSets]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The maximum and the information there; None where the steps do not settle."""
    beta, n_events = np.zeros(strata[0].x.shape[1]), sum(len(sets.event_time) for sets in strata)
    states = [_state(sets, beta) for sets in strata]
    for _ in range(_STEPS):
        both = list(zip(strata, states, strict=True))
        information = sum(_information(sets, state, np.ones(len(sets.event_time))) for sets, state in both)
        score = sum((sets.x[sets.event] - state.mean).sum(axis=0) for sets, state in both)
        if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] < _SINGULAR * n_events:
            return None, None
        step = np.linalg.solve(information, score)
        moves = max(np.abs(sets.x @ step).max() for sets in strata)
        if moves < _CLOSE:
            return beta + step, information
        beta, states = _halved(strata, beta, shorten(step, moves), states)
    return None, None


def _halved(
    strata: list[RiskSets], beta: np.ndarray, step: np.ndarray, states: list[_State]
) -> tuple[np.ndarray, list[_State]]:
    value = sum(state.value for state in states)
    for _ in range(30):
        after = [_state(sets, beta + step) for sets in strata]
        if sum(state.value for state in after) >= value - 1e-10 * abs(value):
            break
        step = step / 2
    return beta + step, after


def _state(sets: RiskSets, beta: np.ndarray) -> _State:
    predictor = sets.x @ beta
    predictor = predictor - predictor.max(initial=-np.inf)
    risk = np.exp(predictor)
    weighted = risk[:, None] * np.hstack([np.ones((len(risk), 1)), sets.x])
    sums = weighted[::-1].cumsum(axis=0)[::-1][sets.first]
    sums = sums - sets.share[:, None] * _tied(sets, weighted[sets.event])
    value = predictor[sets.event].sum() - np.log(sums[:, 0]).sum()
    return _State(value, risk, sums[:, 0], sums[:, 1:] / sums[:, :1])


def _information(sets: RiskSets, state: _State, weight: np.ndarray) -> np.ndarray:
    """Sum over events of weight times the variance of x in the risk set."""
    at_risk = state.risk * _while_at_risk(sets, weight / state.total)
    return (sets.x * at_risk[:, None]).T @ sets.x - (state.mean * weight[:, None]).T @ state.mean


def _tied(sets: RiskSets, values: np.ndarray) -> np.ndarray:
    """For each event, the sum of the values of all events at its time."""
    starts, back = np.unique(sets.tie, return_inverse=True)
    return np.add.reduceat(values, starts)[back]


def _while_at_risk(sets: RiskSets, values: np.ndarray) -> np.ndarray:
    """For each row, the sum of the events' values while it was at risk, less Efron's share at its own event."""
    running = np.concatenate([np.zeros((1, *values.shape[1:])), values.cumsum(axis=0)])[sets.until]
    share = sets.share.reshape(-1, *[1] * (values.ndim - 1))
    running[sets.event] -= _tied(sets, share * values)
    return running


def _order_of_events(sets: RiskSets) -> np.ndarray:
    """Directions that never lower the likelihood: each event before all that are at risk with it.

    It is enough to compare each row with one event of the latest event time at which it is still at risk (for an
    event: the one before its own), and tied events with each other both ways.
    """
    events = sets.x[sets.event]
    latest = sets.until.copy()
    latest[sets.event] = sets.tie
    chained = latest > 0
    rows = [events[latest[chained] - 1] - sets.x[chained]]
    tied = events - events[sets.tie]
    return np.vstack([*rows, tied, -tied])


def _failed(x: np.ndarray, problem: str) -> CoxFit:
    p = x.shape[1]
    return CoxFit(np.full(p, np.nan), np.full((p, p), np.nan), [], problem)
