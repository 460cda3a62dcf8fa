"""Ages of the case mix in bands wide enough to be shown: small bands join the next one before anything is withheld."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from therapyeval.cohort import Cohort
from therapyeval.data.patients import AGE_BANDS
from therapyeval.disclosure import Policy
from therapyeval.period import Period

UNKNOWN = "not known"


def with_wide_ages(cohort: Cohort, periods: Iterable[Period], policy: Policy) -> Cohort:
    """The cohort with `age_band` joined so that no band of the episodes that ended in these periods is small.

    A band of 1 to threshold - 1 people in any of the periods joins the next older one, the oldest the one before it;
    so few people of unknown age join the oldest. Where the policy hides nothing, or without `age_band`, as it was.
    """
    episodes = cohort.facts.episodes
    if "age_band" not in episodes or not policy.suppresses:
        return cohort
    bands = episodes["age_band"].fillna(UNKNOWN)
    inside = [episodes["end_date"].between(pd.Timestamp(span.start), pd.Timestamp(span.end)) for span in periods]

    def is_small(names: list[str]) -> bool:
        people = [episodes.loc[rows & bands.isin(names), "patient"].nunique() for rows in inside]
        return any(0 < n < policy.threshold for n in people)

    groups = [[name] for name in AGE_BANDS]
    groups[-1] += [UNKNOWN] if is_small([UNKNOWN]) else []
    while len(groups) > 1 and any(map(is_small, groups)):
        place = min(next(i for i, names in enumerate(groups) if is_small(names)), len(groups) - 2)
        groups[place:place + 2] = [groups[place] + groups[place + 1]]
    labels = {name: _label(names) for names in groups for name in names}
    wide = bands.map(labels).where(bands.isin(list(labels)))
    return replace(cohort, facts=replace(cohort.facts, episodes=episodes.assign(age_band=wide)))


def _label(names: list[str]) -> str:
    """One label for bands that stand beside each other.

    >>> _label(["0-17", "18-44"]), _label(["75-84", "85+"]), _label(["85+", "not known"])
    ('0-44', '75+', '85+ or not known')
    """
    known = [name for name in names if name != UNKNOWN]
    low, high = known[0], known[-1]
    label = low if low == high else f"{low.split('-')[0]}{'+' if high.endswith('+') else '-' + high.split('-')[1]}"
    return f"{label} or {UNKNOWN}" if UNKNOWN in names else label
