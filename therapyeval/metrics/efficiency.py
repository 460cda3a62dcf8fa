"""At what effort: visits, days, and gain for the effort. Source: metric definitions, section 2."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.metrics.effectiveness import score_change
from therapyeval.metrics.eligible import has_ended
from therapyeval.metrics.registry import Values, and_exclude, exclude, metric


@metric(label="Visits per episode", kind="mean", unit="visits", better="neither",
        population="episodes", cohort_rule="discharged", beside=("median", "p90"))
def visits_per_episode(facts: Facts) -> Values:
    """Attended visits in each discharged episode; episodes without any visit are left out.

    Source: metric definitions, section 2.
    """
    visits = facts.episodes["n_attended"]
    return Values(visits.where(has_ended(facts)), excluded=exclude(visits.index, {"no visit": visits == 0}))


@metric(label="Days from start to end of care", kind="median", unit="days", better="neither",
        population="episodes", cohort_rule="discharged", beside=("p90",))
def episode_days(facts: Facts) -> Values:
    """Days from the first attended evaluation to the effective end of each discharged episode.

    Source: metric definitions, section 2.
    """
    return Values(facts.episodes["days"])


@metric(label="Visits per week", kind="mean", unit="visits per week", better="neither",
        population="episodes", cohort_rule="discharged")
def visits_per_week(facts: Facts) -> Values:
    """Attended visits per week of each discharged episode with at least two visits; an episode shorter
    than a week counts as a week.

    Source: metric definitions, section 2.
    """
    visits = facts.episodes["n_attended"]
    weeks = facts.episodes["days"].clip(lower=7) / 7
    return Values((visits / weeks).where(has_ended(facts)),
                  excluded=exclude(visits.index, {"fewer than 2 visits": visits < 2}))


@metric(label="Gain per visit", kind="ratio", unit="points per visit", better="higher",
        population="episodes", cohort_rule="discharged")
def gain_per_visit(facts: Facts, measure: str) -> Values:
    """Sum of changes in score divided by the sum of attended visits, over eligible paired episodes with at
    least two visits.

    Source: metric definitions, section 2.
    """
    visits = facts.episodes["n_attended"]
    return _gain(facts, measure, visits, "fewer than 2 visits", least=2)


@metric(label="Gain per visit, mean of episodes", kind="mean", unit="points per visit", better="higher",
        population="episodes", cohort_rule="discharged")
def gain_per_visit_mean(facts: Facts, measure: str) -> Values:
    """Mean of each episode's change in score divided by its attended visits, over eligible paired episodes with at
    least two visits. Differs from the ratio of sums.

    Source: metric definitions, section 2.
    """
    gain = gain_per_visit(facts, measure)
    return Values(gain.value / gain.weight, excluded=gain.excluded)


@metric(label="Gain per week", kind="ratio", unit="points per week", better="higher",
        population="episodes", cohort_rule="discharged")
def gain_per_week(facts: Facts, measure: str) -> Values:
    """Seven times the sum of changes in score divided by the sum of days from start to end, over eligible paired
    episodes of at least 7 days.

    Source: metric definitions, section 2.
    """
    gain = _gain(facts, measure, facts.episodes["days"], "shorter than 7 days", least=7)
    return Values(7 * gain.value, excluded=gain.excluded, weight=gain.weight)


@metric(label="Days from start to the last visit", kind="median", unit="days", better="neither",
        population="episodes", cohort_rule="discharged", beside=("p90",))
def treatment_days(facts: Facts) -> Values:
    """Days from the first attended evaluation to the last attended visit of each discharged episode; 0 with one
    visit only.

    Source: metric definitions, section 2.
    """
    episodes = facts.episodes
    days = (episodes["last_visit_date"] - episodes["start_date"]).dt.days.astype(float)
    return Values(days.where(has_ended(facts)))


@metric(label="Treatment minutes per week", kind="mean", unit="minutes per week", better="neither",
        population="episodes", cohort_rule="discharged")
def dose_minutes_per_week(facts: Facts) -> Values:
    """Minutes of treatment per week of each discharged episode with at least two visits; an episode shorter than
    a week counts as a week. Missing where the minutes of a visit are not known: charged, else from start to end of
    the visit, else as scheduled. Group minutes count in full for each patient.

    Source: metric definitions, section 2.
    """
    episodes = facts.episodes
    minutes = episodes["minutes"] if "minutes" in episodes else pd.Series(float("nan"), index=episodes.index)
    weeks = episodes["days"].clip(lower=7) / 7
    return Values((minutes / weeks).where(has_ended(facts)),
                  excluded=exclude(episodes.index, {"fewer than 2 visits": episodes["n_attended"] < 2}))


@metric(label="Evaluation only", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="discharged")
def eval_only_share(facts: Facts) -> Values:
    """Share of discharged episodes with exactly one visit among those with at least one.

    Source: metric definitions, section 2.
    """
    visits = facts.episodes["n_attended"]
    return Values((visits == 1).astype(float).where(visits.notna() & has_ended(facts)),
                  excluded=exclude(visits.index, {"no visit": visits == 0}))


def _gain(facts: Facts, measure: str, effort: pd.Series, reason: str, *, least: float) -> Values:
    """Changes of eligible paired episodes, and the effort behind them, where that is known and not too little."""
    change = score_change(facts, measure)
    return Values(change.value.where(effort.notna()), weight=effort,
                  excluded=and_exclude(change.excluded, {reason: effort < least}))
