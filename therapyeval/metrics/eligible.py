"""Which episodes an outcome is asked of, and their scores. Source: metric definitions, section 6."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.registry import exclude

NOT_ELIGIBLE = ("deceased", "hospitalized", "transferred", "evaluation_only")
CANNOT_ANSWER = ("unable", "language")


_SHARED: ContextVar[dict | None] = ContextVar("shared_scores", default=None)


@contextmanager
def shared_scores() -> Iterator[None]:
    """Inside, metrics of the same facts and measure look their scores up once; nothing is kept afterwards."""
    token = _SHARED.set({})
    try:
        yield
    finally:
        _SHARED.reset(token)


def _looked_up_once(ask: Callable) -> Callable:
    """Keeps the answer for the same facts and measure, where `shared_scores` holds."""
    @wraps(ask)
    def asked(facts: Facts, measure: str | None) -> pd.DataFrame:
        known = _SHARED.get()
        if known is None:
            return ask(facts, measure)
        key = ask.__name__, id(facts), measure
        if key not in known:
            known[key] = facts, ask(facts, measure)       # the facts are kept, so that no others can have their id
        return known[key][1]
    return asked


@_looked_up_once
def scores_of(facts: Facts, measure: str | None) -> pd.DataFrame:
    """Scores of one measure (None: the primary measure) in the order of the episodes; absent rows are empty."""
    if measure is None:
        rows = facts.scores[facts.scores["is_primary"]]
    else:
        facts.measure(measure)
        rows = facts.scores[facts.scores["measure"] == measure]
        if rows.empty:
            used = sorted(facts.scores["measure"].unique())
            raise NotEvaluableError(f"no episode in this cohort has a score of {measure}."
                                    + (f" Measured here: {', '.join(used)}." if used else ""))
    wanted = rows.set_index("episode").reindex(facts.episodes["episode"])
    return wanted.set_axis(facts.episodes.index)


@_looked_up_once
def paired_scores(facts: Facts, measure: str | None) -> pd.DataFrame:
    """`scores_of` with the oriented `change` of valid pairs."""
    if measure and not facts.measure(measure).paired:
        raise ParameterError(f"{measure} is a single rating without a baseline, so it has no change. "
                             f"Use target_score_rate:{measure},cut=….")
    scores = scores_of(facts, measure)
    change = (scores["final"] - scores["baseline"]) * of_measure(facts, scores, "sign")
    return scores.assign(change=change.where(scores["why_unpaired"] == ""))


def of_measure(facts: Facts, scores: pd.DataFrame, name: str) -> pd.Series:
    """A property of each episode's measure, as a number; NaN where it has none."""
    places, used = pd.factorize(scores["measure"])
    found = [getattr(facts.measure(code), name) for code in used]
    return pd.Series(np.array([*found, None], dtype=float)[places], index=scores.index)   # place -1 is the None


def best_score(facts: Facts, scores: pd.DataFrame) -> pd.Series:
    """The best possible score on each episode's measure; NaN where the scale has no end there."""
    return of_measure(facts, scores, "maximum").where(of_measure(facts, scores, "sign") > 0,
                                                      of_measure(facts, scores, "minimum"))


def worst_score(facts: Facts, scores: pd.DataFrame) -> pd.Series:
    """The worst possible score on each episode's measure; NaN where the scale has no end there."""
    return of_measure(facts, scores, "minimum").where(of_measure(facts, scores, "sign") > 0,
                                                      of_measure(facts, scores, "maximum"))


def care_reasons(facts: Facts) -> dict[str, pd.Series]:
    """Why an episode is not eligible whatever is measured; nobody allocated to an arm is left out."""
    if facts.allocated:
        return {}
    episodes = facts.episodes
    reasons = {reason: episodes["reason"] == reason for reason in NOT_ELIGIBLE}
    return {**reasons, f"fewer than {facts.min_visits} visits": episodes["n_attended"] < facts.min_visits}


def not_eligible(facts: Facts, scores: pd.DataFrame, measure: str | None) -> pd.Series:
    """Why each episode is not eligible for a measure, whose scores these are; "" where it is.

    Without a measure all that are eligible for any count, whatever they were measured with.
    """
    if facts.allocated or measure is None:
        return exclude(scores.index, care_reasons(facts))
    return _not_eligible_for(facts, measure)


@_looked_up_once
def _not_eligible_for(facts: Facts, measure: str) -> pd.Series:
    scores, reasons = scores_of(facts, measure), care_reasons(facts)
    reasons |= {f"missing: {reason}": (scores["missing_reason"] == reason) for reason in CANNOT_ANSWER}
    assigned = scores.get("is_assigned", pd.Series(False, index=scores.index)).fillna(False).astype(bool)
    measured = scores["has_score"].fillna(False).astype(bool)
    return exclude(scores.index, {**reasons, "not measured with this instrument": ~(measured | assigned)})


def oriented_baseline(facts: Facts, measure: str) -> pd.Series:
    """Baseline scores in the order of the episodes, as a covariate."""
    return scores_of(facts, measure)["baseline"].astype(np.float64)


def has_ended(facts: Facts) -> pd.Series:
    """Which episodes have ended; without a calendar all have."""
    if not facts.has_calendar:
        return pd.Series(True, index=facts.episodes.index)
    return facts.episodes["end_date"].notna()


def has_reason(facts: Facts) -> pd.Series:
    """Which ended episodes say how: by a reason, or by having been closed for lack of visits."""
    episodes = facts.episodes
    return has_ended(facts) & (episodes["reason"].notna() | episodes["closed_admin"].astype(bool))
