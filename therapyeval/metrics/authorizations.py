"""Is care paid for and certified. Source: metric definitions, section 4.1."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data.schema import PAYERS
from therapyeval.errors import NotEvaluableError, UnknownNameError
from therapyeval.metrics.registry import Values, metric
from therapyeval.period import Period

SOON_DAYS, FIRST_DAYS = 14, 30
CERT_PAYERS = "medicare_ffs/medicare_advantage"


@metric(label="Authorized visits used", kind="ratio", unit="proportion", better="neither",
        population="authorizations", cohort_rule="point_in_time")
def auth_used_share(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Visits used divided by visits authorized, over the authorizations in force at the end of day t (the last of the
    period by default) of episodes that are open then. A visit counts to the authorization in force that ends first
    and has visits left.

    Source: metric definitions, section 4.1.
    """
    unit, span, used, given = _in_force(facts, spans)
    return Values(pd.Series(used), weight=pd.Series(given), unit=unit, span=span)


@metric(label="Authorized visits left", kind="mean", unit="visits", better="neither",
        population="authorizations", cohort_rule="point_in_time")
def auth_visits_remaining(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Mean of visits authorized less visits used, over the authorizations in force at the end of day t of episodes
    that are open then. Visits beyond what was authorized count to none: the quality report names them.

    Source: metric definitions, section 4.1.
    """
    unit, span, used, given = _in_force(facts, spans)
    return Values(pd.Series(np.maximum(given - used, 0)), unit=unit, span=span)


@metric(label="Authorization ends within 14 days", kind="proportion", unit="proportion", better="lower",
        population="authorizations", cohort_rule="point_in_time")
def auth_expiring_14(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Share of the authorizations in force at the end of day t, of episodes that are open then, that end within 14
    days.

    Source: metric definitions, section 4.1.
    """
    unit, span, _, _ = _in_force(facts, spans)
    end = facts.authorizations["end_date"].to_numpy("datetime64[D]")[unit]
    days = (end - _days(facts, spans)[span]) / np.timedelta64(1, "D")
    return Values(pd.Series((days <= SOON_DAYS).astype(float)), unit=unit, span=span)


@metric(label="Certification overdue", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="point_in_time")
def poc_cert_overdue(facts: Facts, spans: list[Period], t: date | None = None,
                     cert_payers: str = CERT_PAYERS) -> Values:
    """Share of the episodes open at the end of day t that need certification (payer at the start one of
    `cert_payers`, written with / between them) whose latest certification has ended or has no end, or that began
    more than 30 days before without a signature. Only the latest certification is known, so a day long past may
    look better than it was.

    Source: metric definitions, section 4.1; Medicare Benefit Policy Manual, ch. 15, section 220.1.3.
    """
    episodes, payers = facts.episodes, cert_payers.split("/")
    for payer in payers:
        if payer not in PAYERS:
            raise UnknownNameError("payer", payer, PAYERS)
    missing = [name for name in ("payer_class", "cert_end", "cert_signed_date") if name not in episodes]
    if missing:
        raise NotEvaluableError(f"poc_cert_overdue: the episodes of these data have no {' and no '.join(missing)}.")
    at = _days(facts, spans)
    start, end, until, signed = (episodes[name].to_numpy("datetime64[D]")[:, None]
                                 for name in ("start_date", "end_date", "cert_end", "cert_signed_date"))
    needs = episodes["payer_class"].isin(payers).to_numpy()[:, None]
    unit, span = np.nonzero(needs & (start <= at) & (np.isnat(end) | (end > at)))
    late = np.isnat(until) | (at > until)
    late |= (np.isnat(signed) | (signed > at)) & (at - start > np.timedelta64(FIRST_DAYS, "D"))
    return Values(pd.Series(late[unit, span].astype(float)), unit=unit, span=span)


def _days(facts: Facts, spans: list[Period]) -> np.ndarray:
    """The day asked about in each span, not after the data cut."""
    return np.array([min(pd.Timestamp(span.end), facts.data_cut) for span in spans], dtype="datetime64[D]")


def _in_force(facts: Facts, spans: list[Period]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Authorizations in force of open episodes: row, span, visits used by then, visits authorized."""
    rows, at = facts.authorizations, _days(facts, spans)
    care = facts.episodes.set_index("episode")[["start_date", "end_date"]].reindex(rows["episode"])
    start, end, first, last = (column.to_numpy("datetime64[D]")[:, None] for column in (
        rows["start_date"], rows["end_date"], care["start_date"], care["end_date"]))
    unit, span = np.nonzero((start <= at) & (at <= end) & (first <= at) & (np.isnat(last) | (last > at)))
    place = pd.Index(rows["authorization"]).get_indexer(facts.authorization_visits["authorization"])
    day = facts.authorization_visits["date"].to_numpy("datetime64[D]")
    used = np.zeros((len(rows), len(at)))
    for number, when in enumerate(at):
        used[:, number] = np.bincount(place[(place >= 0) & (day <= when)], minlength=len(rows))
    return unit, span, used[unit, span], rows["visits_authorized"].to_numpy(float)[unit]
