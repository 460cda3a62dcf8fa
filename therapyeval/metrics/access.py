"""Can people get in. Source: metric definitions, section 4."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data.schema import CLOSED_REFERRALS
from therapyeval.metrics.registry import Values, exclude, metric
from therapyeval.period import Period, earlier

LONG_WAIT = 30  # days


@metric(label="Days from referral to evaluation", kind="time", unit="days", better="lower",
        population="referrals", cohort_rule="received", beside=("p90",))
def days_to_eval(facts: Facts) -> Values:
    """Median days from receipt of a referral to the first attended evaluation, by Kaplan-Meier: those still
    waiting are censored at the data cut, those declined, cancelled or expired at their closing date.

    Source: metric definitions, section 4.
    """
    return Values(facts.referrals["days"].astype(float), event=facts.referrals["evaluated"].astype(bool))


@metric(label="Evaluated within 7 days", kind="proportion", unit="proportion", better="higher",
        population="referrals", cohort_rule="received")
def eval_within_7(facts: Facts) -> Values:
    """Share of referrals evaluated within 7 days of receipt, among those received at least 7 days before the data
    cut; the others are immature.

    Source: metric definitions, section 4.
    """
    return _evaluated_within(facts, 7)


@metric(label="Evaluated within 14 days", kind="proportion", unit="proportion", better="higher",
        population="referrals", cohort_rule="received")
def eval_within_14(facts: Facts) -> Values:
    """Share of referrals evaluated within 14 days of receipt, among those received at least 14 days before the data
    cut; the others are immature.

    Source: metric definitions, section 4.
    """
    return _evaluated_within(facts, 14)


@metric(label="Referrals that came to an evaluation", kind="proportion", unit="proportion", better="higher",
        population="referrals", cohort_rule="received")
def referral_conversion(facts: Facts, conversion_days: float = 30) -> Values:
    """Share of referrals evaluated within 30 days of receipt (`conversion_days`), among those received at least so
    long before the data cut; the others are immature.

    Source: metric definitions, section 4.
    """
    return _evaluated_within(facts, conversion_days)


@metric(label="Waiting list", kind="ratio", variant="count", unit="referrals", better="lower",
        population="referrals", cohort_rule="point_in_time")
def wait_list(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Referrals received by the end of day t (the last of the period by default), not evaluated and not closed by
    then. A referral closed on an unknown day is missing.

    Source: metric definitions, section 4.
    """
    unit, span, waiting, _ = _waiting(facts, spans)
    return Values(pd.Series(waiting), unit=unit, span=span)


@metric(label="Waiting more than 30 days", kind="proportion", unit="proportion", better="lower",
        population="referrals", cohort_rule="point_in_time")
def wait_over_30_share(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Share of the referrals on the waiting list at the end of day t that were received more than 30 days before.

    Source: metric definitions, section 4.
    """
    unit, span, waiting, days = _waiting(facts, spans)
    return Values(pd.Series(np.where(np.isnan(waiting), np.nan, days > LONG_WAIT)), unit=unit, span=span)


@metric(label="Growth in new patients", kind="ratio", variant="exact binomial", unit="proportion change",
        better="higher", population="episodes", cohort_rule="dated")
def new_patient_growth(facts: Facts, spans: list[Period], gap_days: float = 365) -> Values:
    """Patients with a first attended evaluation in the period and none in the 365 days before (`gap_days`), divided
    by those of the same dates one year before, less 1. The table counts the later ones as numerator and both as
    denominator. The data must reach back that far. New within the cohort: a filter on a site makes them new there.

    Source: metric definitions, section 4.
    """
    starts = facts.episodes[["patient", "start_date"]].assign(unit=np.arange(len(facts.episodes))).dropna()
    starts = starts.sort_values(["start_date", "unit"]).drop_duplicates(["patient", "start_date"])
    gap = starts["start_date"] - starts.groupby("patient")["start_date"].shift()
    new = starts[~(gap.dt.days <= gap_days)]
    first = new["start_date"].min().to_period("M").start_time if len(new) else pd.NaT
    found = [pd.DataFrame({"patient": [], "unit": [], "span": [], "later": []})]
    for number, span in enumerate(spans):
        before = earlier(span, 12)
        known = pd.Timestamp(before.start) - pd.Timedelta(days=gap_days) >= first and _is_over(facts, span)
        for later, (start, end) in enumerate(((before.start, before.end), (span.start, span.end))):
            inside = new[new["start_date"].between(pd.Timestamp(start), pd.Timestamp(end))]
            found.append(inside.drop_duplicates("patient").assign(span=number, later=later if known else np.nan))
    units = pd.concat(found[1:] or found, ignore_index=True)
    return Values(units["later"].astype(float), unit=units["unit"].to_numpy(np.int64),
                  span=units["span"].to_numpy(np.int64),
                  lacking="the data do not reach back two years, or the period is not over")


def _is_over(facts: Facts, span: Period) -> bool:
    return facts.data_cut is None or pd.Timestamp(span.end) <= facts.data_cut


def _evaluated_within(facts: Facts, days: float) -> Values:
    referrals = facts.referrals
    seen = referrals["evaluated"].astype(bool) & (referrals["days"] <= days)
    followed = (facts.data_cut - referrals["received_date"]).dt.days
    return Values(seen.astype(float), excluded=exclude(referrals.index, {"immature": followed < days}))


def _waiting(facts: Facts, spans: list[Period]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Who waits at the end of each span: row of the referral, span, 1 (NaN where unknown), days since receipt."""
    referrals = facts.referrals
    received, days = referrals["received_date"], referrals["days"].astype(float)
    evaluated = referrals["evaluated"].astype(bool)
    closed = referrals["status"].isin(CLOSED_REFERRALS) & ~evaluated if "status" in referrals else evaluated & False
    until = (received + pd.to_timedelta(days, unit="D")).where(evaluated | closed)
    unknown = (closed & days.isna()).to_numpy()
    at = np.array([min(pd.Timestamp(span.end), facts.data_cut) for span in spans], dtype="datetime64[s]")
    received, until = (column.to_numpy("datetime64[s]")[:, None] for column in (received, until))
    there = (received <= at) & (np.isnat(until) | (until > at))
    unit, span = np.nonzero(there)
    waited = (at[span] - received[unit, 0]) / np.timedelta64(1, "D")
    return unit, span, np.where(unknown[unit], np.nan, 1.0), waited
