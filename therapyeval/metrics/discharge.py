"""Where did they go. Source: metric definitions, section 5."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data.schema import REASONS
from therapyeval.errors import NotEvaluableError
from therapyeval.metrics.eligible import has_ended, has_reason
from therapyeval.metrics.registry import TOLERANCE, Values, exclude, metric
from therapyeval.period import Period

GOALS_MET_PCT = 80
CLOSED_ADMIN = "closed_admin"
MERGED_DAYS, RETURN_DAYS = 30, 90  # a later start is one episode up to the first, and a return up to the second
SAME_CARE = ("patient", "discipline", "body_region")


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


@metric(label="How episodes ended", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="discharged", by_level=True)
def disposition_mix(facts: Facts) -> Values:
    """Share of each reason among discharged episodes; those closed for lack of visits are a reason of their own.
    Episodes that ended without a reason are missing.

    Source: metric definitions, section 5.
    """
    reason = facts.episodes["reason"].astype(object).mask(facts.episodes["closed_admin"].astype(bool), CLOSED_ADMIN)
    reason = reason.where(has_reason(facts))
    present = set(reason.dropna())
    levels = tuple(name for name in (*REASONS, CLOSED_ADMIN, *sorted(present - {*REASONS, CLOSED_ADMIN}))
                   if name in present)
    return Values(reason.map({name: place for place, name in enumerate(levels)}).astype(float), levels=levels)


@metric(label="Back within 90 days", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="discharged")
def re_referral_90(facts: Facts) -> Values:
    """Share of discharged episodes followed by a new one of the same patient, discipline and region that starts 31 to
    90 days after the end, among those that ended at least 90 days before the data cut; the others are immature.
    A return to a place outside the cohort is not seen.

    Source: metric definitions, section 5.
    """
    if not facts.has_calendar:
        raise NotEvaluableError("re_referral_90: these data have occasions but no dates, so nobody can be seen to "
                                "come back.")
    episodes = facts.episodes
    back = _starts_within(episodes, MERGED_DAYS + 1, RETURN_DAYS)
    followed = (facts.data_cut - episodes["end_date"]).dt.days
    return Values(back.astype(float).where(has_ended(facts)),
                  excluded=exclude(episodes.index, {"immature": followed < RETURN_DAYS}))


def _starts_within(episodes: pd.DataFrame, first: int, last: int) -> pd.Series:
    """Whether the same care starts again so many days after the end of each episode."""
    names = [name for name in SAME_CARE if name in episodes]
    care = episodes.groupby(names, dropna=False, sort=False).ngroup()
    after, start = ((episodes[name] + pd.Timedelta(days=days)).astype("datetime64[s]")
                    for name, days in (("end_date", first), ("start_date", 0)))
    ends = pd.DataFrame({"care": care, "day": after}).dropna()
    starts = pd.DataFrame({"care": care, "day": start, "next": start}).dropna()
    found = pd.merge_asof(ends.sort_values("day").reset_index(names="row"), starts.sort_values("day"), on="day",
                          by="care", direction="forward", tolerance=pd.Timedelta(days=last - first))
    return found.set_index("row")["next"].notna().reindex(episodes.index, fill_value=False)
