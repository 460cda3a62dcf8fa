"""Where did they go. Source: metric definitions, section 5."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.metrics.registry import TOLERANCE, Values, exclude, metric
from therapyeval.period import Period

GOALS_MET_PCT = 80


@metric(label="Discharge rate", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="dated")
def discharge_rate(facts: Facts, spans: list[Period]) -> Values:
    """Episodes that ended in the period divided by those open at its start or opened in it.

    Source: metric definitions, section 5.
    """
    start, end = (facts.episodes[name].to_numpy() for name in ("start_date", "end_date"))
    first = np.array([span.start for span in spans], dtype="datetime64[D]")
    last = np.array([span.end for span in spans], dtype="datetime64[D]")
    open_in = (start[:, None] <= last) & (np.isnat(end)[:, None] | (end[:, None] >= first))
    unit, span = np.nonzero(open_in)
    closed = (end[unit] <= last[span]).astype(float)
    return Values(pd.Series(closed), unit=unit, span=span)


@metric(label="Goals met at discharge", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def goals_met_rate(facts: Facts) -> Values:
    """Share of discharged episodes that ended with goals met: that reason, or at least 80% of goals.
    Deceased, transferred and evaluation-only are left out; administrative closures count as not met.

    Source: metric definitions, section 5.
    """
    episodes = facts.episodes
    reason, share = episodes["reason"], episodes["goals_met_pct"].astype(float)
    met = ((reason == "goals_met") | (share >= GOALS_MET_PCT - TOLERANCE * GOALS_MET_PCT)).astype(float)
    ended = episodes["end_date"].notna() if facts.has_calendar else reason.notna()
    excluded = exclude(episodes.index, {name: reason == name for name in
                                        ("deceased", "transferred", "evaluation_only")})
    return Values(met.where(ended), excluded=excluded)
