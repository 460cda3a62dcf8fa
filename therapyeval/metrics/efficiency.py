"""At what effort: visits, days, and gain for the effort. Source: metric definitions, section 2."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.metrics.effectiveness import score_change
from therapyeval.metrics.registry import Values, exclude, metric


@metric(label="Visits per episode", kind="mean", unit="visits", better="neither",
        population="episodes", cohort_rule="discharged", beside=("median", "p90"))
def visits_per_episode(facts: Facts) -> Values:
    """Attended visits in each discharged episode; episodes without any visit are left out.

    Source: metric definitions, section 2.
    """
    visits = facts.episodes["n_attended"]
    return Values(visits.where(_closed(facts)), excluded=exclude(visits.index, {"no visit": visits == 0}))


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
    return Values((visits / weeks).where(_closed(facts)),
                  excluded=exclude(visits.index, {"fewer than 2 visits": visits < 2}))


@metric(label="Gain per visit", kind="ratio", unit="points per visit", better="higher",
        population="episodes", cohort_rule="discharged")
def gain_per_visit(facts: Facts, measure: str) -> Values:
    """Sum of changes in score divided by the sum of attended visits, over eligible paired episodes with at
    least two visits.

    Source: metric definitions, section 2.
    """
    change, visits = score_change(facts, measure), facts.episodes["n_attended"]
    few = exclude(visits.index, {"fewer than 2 visits": visits < 2})
    gain = change.value.where(visits.notna())
    return Values(gain, excluded=change.excluded.where(change.excluded != "", few), weight=visits)


def _closed(facts: Facts) -> pd.Series:
    """Which episodes have ended; without a calendar all have."""
    if not facts.has_calendar:
        return pd.Series(True, index=facts.episodes.index)
    return facts.episodes["end_date"].notna()
