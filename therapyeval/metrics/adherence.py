"""Do they complete what was planned, and who stops early. Source: metric definitions, section 3."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError
from therapyeval.metrics.eligible import NOT_ELIGIBLE, has_ended, has_reason
from therapyeval.metrics.registry import Values, exclude, metric, reaches

BY_THE_PATIENT = ("self_discharge", "lost_contact", "noncompliant")
SILENT_DAYS = 30  # an administrative discharge so long after the last visit was the patient's silence
COMPLETED = 0.80
GOALS_MET, OTHER_END = "goals met", "another end"      # how care ends that the patient does not stop
LEFT_OUT, COUNTED = "left_out", "counted"


@metric(label="Visits attended of those planned", kind="ratio", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def visit_adherence(facts: Facts) -> Values:
    """Sum of attended visits divided by the sum of planned visits over discharged episodes, not capped at 100%.
    Planned as the plan says, else its frequency times its weeks, else as authorized; episodes without any of these
    are missing.

    Source: metric definitions, section 3.
    """
    planned = _planned(facts)
    attended = facts.episodes["n_attended"].where(has_ended(facts) & planned.notna())
    return Values(attended, weight=planned, note=_where_planned(facts))


@metric(label="Plan of care completed", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def poc_completion(facts: Facts) -> Values:
    """Share of discharged episodes that ended with goals met, or with at least 80% of planned visits attended.
    Deceased, hospitalized, transferred and evaluation-only are left out.

    Source: metric definitions, section 3.
    """
    reason = facts.episodes["reason"]
    done = reaches(facts.episodes["n_attended"] / _planned(facts), COMPLETED)
    done = done.mask((reason == "goals_met").fillna(False).astype(bool), 1.0)
    return Values(done.where(has_ended(facts)), excluded=exclude(reason.index, {name: reason == name
                                                                                for name in NOT_ELIGIBLE}))


@metric(label="Stopped by the patient by a visit", kind="time", variant="competing", unit="proportion", better="lower",
        population="episodes", cohort_rule="dated")
def dropout_by_visit(facts: Facts, k: float = 3) -> Values:
    """Share of the episodes started that the patient stopped by visit k (3 by default), by Aalen-Johansen: other
    ends compete, open episodes are censored. Stopped as in the self-discharge rate.

    Source: metric definitions, section 3.
    """
    if k < 1 or k % 1:
        raise ParameterError(f"dropout_by_visit: k={k:g} is not a number of visits. Use a whole number from 1.")
    ended, stopped = has_reason(facts), _stopped(facts)
    cause = stopped.astype(float).where(stopped, 2.0).where(ended, 0.0)
    visits = facts.episodes["n_attended"]
    known = ended | ~_closed(facts)
    return Values(visits.where(known), event=cause, horizon=k, note=f"by visit {k:g}",
                  excluded=exclude(visits.index, {"no visit": visits == 0}))


def other_ends(facts: Facts) -> pd.Series:
    """How an episode ends, where the patient does not stop it: GOALS_MET or OTHER_END."""
    met = (facts.episodes["reason"] == "goals_met").fillna(False).astype(bool)
    return met.map({True: GOALS_MET, False: OTHER_END})


@metric(label="Stopped by the patient", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="discharged")
def self_discharge_rate(facts: Facts, closed_admin: str = COUNTED) -> Values:
    """Share of discharged episodes that the patient stopped: self-discharge, lost contact or noncompliant; closed
    for lack of visits; or an administrative discharge at least 30 days after the last visit. Deceased are left out.
    With `closed_admin=left_out`, so are those closed for lack of visits: show both.

    Source: metric definitions, section 3.
    """
    if closed_admin not in (COUNTED, LEFT_OUT):
        raise ParameterError(f"closed_admin={closed_admin[:40]!r} is not known. Use {COUNTED} or {LEFT_OUT}.")
    episodes, silent = facts.episodes, facts.episodes["closed_admin"].astype(bool)
    reasons = {"deceased": episodes["reason"] == "deceased", "closed_admin": silent & (closed_admin == LEFT_OUT)}
    return Values(_stopped(facts).astype(float).where(has_reason(facts)), excluded=exclude(episodes.index, reasons))


@metric(label="Closed for lack of visits", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="discharged")
def closed_admin_share(facts: Facts) -> Values:
    """Share of discharged episodes without a discharge that were closed at their last visit, because no visit
    followed for 60 days (`stale_days` of the mapping) and none was booked.

    Source: metric definitions, sections 0 and 3.
    """
    return Values(facts.episodes["closed_admin"].astype(float).where(_closed(facts)))


def _planned(facts: Facts) -> pd.Series:
    planned = facts.episodes["planned_visits"].astype(float)
    return planned.where(planned > 0)


def _where_planned(facts: Facts) -> str:
    """What stands for the plan where it gives no number of visits."""
    if "planned_source" not in facts.episodes:
        return ""
    found = sorted(facts.episodes["planned_source"].dropna().unique())
    return f"where no number of visits was planned: {', '.join(found)}" if found else ""


def _closed(facts: Facts) -> pd.Series:
    """Which episodes have ended; without a calendar those with a reason."""
    return has_ended(facts) if facts.has_calendar else has_reason(facts)


def _stopped(facts: Facts) -> pd.Series:
    """Which episodes the patient stopped."""
    episodes = facts.episodes
    silence = (episodes["end_date"] - episodes["last_visit_date"]).dt.days >= SILENT_DAYS
    return (episodes["reason"].isin(BY_THE_PATIENT) | episodes["closed_admin"].astype(bool)
            | ((episodes["reason"] == "administrative").fillna(False).astype(bool) & silence))
