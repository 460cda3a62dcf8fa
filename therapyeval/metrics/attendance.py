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


def visit_share(name: str, *, label: str, attribute: str, value: str = "", definition: str) -> Metric:
    """Register the share of attended visits with one value of an attribute, or of each value in a row of its own."""
    visits = frozenset((ATTENDED,))
    entry = Metric(name, label, "ratio", "proportion", "neither", "appointments", "dated",
                   f"{definition}\n\nSource: metric definitions, section 2.1.", statuses=(visits, visits),
                   attribute=attribute, value=value, by_level=not value)
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

arrival_rate_patient = status_ratio(
    "arrival_rate_patient", label="Arrival rate, clinic cancellations left out", better="higher",
    numerator={ATTENDED}, denominator=ALL - {CLINIC_CANCEL},
    definition="Attended appointments divided by those that were attended, missed or cancelled by the patient.")

late_cancel_share = status_ratio(
    "late_cancel_share", label="Late share of patients' cancellations", better="lower",
    numerator={LATE_CANCEL}, denominator={LATE_CANCEL, EARLY_CANCEL},
    definition="Cancellations by patients less than 24 hours before, divided by all cancellations by patients.")

patient_cancel_rate = status_ratio(
    "patient_cancel_rate", label="Cancelled by the patient", better="lower",
    numerator={LATE_CANCEL, EARLY_CANCEL}, denominator=ALL,
    definition="Appointments cancelled by the patient, late or early, divided by all: attended, no-show, cancelled "
               "by patient or clinic.")

clinic_cancel_rate = status_ratio(
    "clinic_cancel_rate", label="Cancelled by the clinic", better="lower",
    numerator={CLINIC_CANCEL}, denominator=ALL,
    definition="Appointments cancelled by clinic, provider or weather, divided by all: attended, no-show, cancelled "
               "by patient or clinic.")

cancel_noshow_rate = status_ratio(
    "cancel_noshow_rate", label="Cancelled or missed", better="lower",
    numerator=ALL - {ATTENDED}, denominator=ALL,
    definition="Appointments missed, or cancelled by patient or clinic, divided by all: attended, no-show, cancelled.")

telehealth_share = visit_share(
    "telehealth_share", label="Visits by telehealth", attribute="mode", value="telehealth",
    definition="Attended visits by telehealth divided by all attended visits with a known mode. Calls by phone are "
               "not telehealth.")

payer_mix = visit_share(
    "payer_mix", label="Visits by payer", attribute="payer_class",
    definition="Share of each class of payer, as it was at the start of the episode, among all attended visits with "
               "a known payer. Many visits without one make the shares doubtful: see the missing.")
