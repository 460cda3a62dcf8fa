"""Do they come: shares of appointment statuses, counted by the engine. Source: metric definitions, section 3."""

from __future__ import annotations

from therapyeval.metrics.registry import Metric, add

ATTENDED, NO_SHOW = "attended", "no_show"
LATE_CANCEL, EARLY_CANCEL, CLINIC_CANCEL = "late_cancel", "early_cancel", "clinic_cancel"
ALL = frozenset((ATTENDED, NO_SHOW, LATE_CANCEL, EARLY_CANCEL, CLINIC_CANCEL))


def status_ratio(name: str, *, label: str, better: str, numerator: set[str], denominator: frozenset[str] | set[str],
                 definition: str) -> Metric:
    """Register the share of appointments with some statuses among those with others."""
    entry = Metric(name, label, "ratio", "proportion", better, "appointments", "dated",
                   f"{definition}\n\nSource: metric definitions, section 3.",
                   statuses=(frozenset(numerator), frozenset(denominator)))
    add(entry)
    return entry


no_show_rate = status_ratio(
    "no_show_rate", label="No-show rate of slots due", better="lower",
    numerator={NO_SHOW}, denominator={ATTENDED, NO_SHOW, LATE_CANCEL},
    definition="No-shows divided by the slots that were due: attended, no-show, cancelled less than 24 hours before.")

no_show_share = status_ratio(
    "no_show_share", label="No-show share of all appointments", better="lower",
    numerator={NO_SHOW}, denominator=ALL,
    definition="No-shows divided by all appointments: attended, no-show, cancelled by patient or clinic.")

arrival_rate = status_ratio(
    "arrival_rate", label="Arrival rate", better="higher",
    numerator={ATTENDED}, denominator=ALL,
    definition="Attended appointments divided by all: attended, no-show, cancelled by patient or clinic.")
