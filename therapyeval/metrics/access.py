"""Can people get in. Source: metric definitions, section 4."""

from __future__ import annotations

from therapyeval.cohort import Facts
from therapyeval.metrics.registry import Values, metric


@metric(label="Days from referral to evaluation", kind="time", unit="days", better="lower",
        population="referrals", cohort_rule="received", beside=("p90",))
def days_to_eval(facts: Facts) -> Values:
    """Median days from receipt of a referral to the first attended evaluation, by Kaplan-Meier: those still
    waiting are censored at the data cut, those declined, cancelled or expired at their closing date.

    Source: metric definitions, section 4.
    """
    return Values(facts.referrals["days"].astype(float), event=facts.referrals["evaluated"].astype(bool))
