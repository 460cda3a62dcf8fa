"""The canonical tables: columns, types, controlled lists. Source: data model, sections 1, 3 and 4.

A column's type says how its text is read (see `convert`):
id, text (as written), number, date, datetime, yes_no ("yes"/"no"), or a controlled list (a tuple of codes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

DISCIPLINES = ("PT", "OT", "SLP", "other")
EPISODE_STATUSES = ("planned", "waitlist", "active", "onhold", "finished", "cancelled", "entered_in_error")
NEVER_COUNTED = ("planned", "waitlist", "cancelled", "entered_in_error")
VISIT_STATUSES = ("attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "rescheduled", "booked",
                  "deleted", "entered_in_error")
# `cancelled` is taken in as well and becomes late, early or clinic cancel (see `visits.late_rule`).
VISIT_STATUSES_IN = (*VISIT_STATUSES, "cancelled")
REFERRAL_STATUSES = ("open", "scheduled", "converted", "declined", "cancelled", "expired")
CLOSED_REFERRALS = ("declined", "cancelled", "expired")
REASONS = ("goals_met", "plateau", "self_discharge", "lost_contact", "noncompliant", "medical_change", "hospitalized",
           "surgery", "payer_ended", "authorization_exhausted", "moved", "transferred", "evaluation_only", "deceased",
           "administrative", "other", "unknown")
PAYERS = ("medicare_ffs", "medicare_advantage", "medicaid", "commercial", "workers_comp", "auto", "tricare_va",
          "self_pay", "school_idea", "other", "unknown")
REGIONS = ("cervical", "thoracic", "lumbar_pelvis", "shoulder", "elbow_wrist_hand", "hip", "knee", "ankle_foot",
           "neuro", "vestibular_balance", "cardiopulmonary", "lymphedema_onc", "pelvic_health", "pediatric_dev",
           "swallowing", "voice", "language_cognition", "speech_fluency", "general")
EVALUATING, ASSISTANTS = ("PT", "OT", "SLP", "CFY"), ("PTA", "OTA")  # license types; the others have no license
# discharge status of UB-04, field 17: all codes in use, also those that the metrics treat alike
DISCHARGE_STATUS = tuple(f"{code:02}" for code in (*range(1, 8), 9, 20, 21, 30, *range(40, 44), 50, 51,
                                                  *range(61, 67), 69, 70, *range(81, 96)))
EVENTS = ("fall", "pain_flare", "other_harm", "unplanned_transfer", "complaint", "compliment")
MISSING_REASONS = ("unable", "language", "refused", "not_done", "not_due")  # those that exclude come first
INITIAL, DISCHARGE = "initial", "discharge"
TIMEPOINTS = (INITIAL, "interim", DISCHARGE)
OLDEST, NEWEST = "1900-01-01", "2099-12-31"  # days outside are placeholders, not dates
MAX_AGE = 120  # years; metric definitions, section 9
MAX_DAYS = 730  # longest plausible episode, stay or wait; metric definitions, section 9


@dataclass(frozen=True)
class Table:
    """A canonical table: its key, the columns that a row cannot do without, and every column's type."""

    key: str | None
    needed: tuple[str, ...] = ()
    columns: dict[str, object] = field(default_factory=dict)


def _columns(**groups: str) -> dict[str, object]:
    """Types by column from `type="names…"`."""
    return {name: kind for kind, names in groups.items() for name in names.split()}


TABLES: dict[str, Table] = {
    "patients": Table("patient_id", ("patient_id",), _columns(
        id="patient_id", date="birth_date death_date", number="birth_year", yes_no="interpreter",
        text="sex gender_identity race_ethnicity language zip3 deprivation primary_payer")),
    "referrals": Table("referral_id", ("referral_id", "patient_id", "received_date"), {
        **_columns(id="referral_id patient_id referring_id", date="received_date written_date closed_date auth_expiry",
                   text="site_id source_type diagnosis_code priority closed_reason", number="authorized_visits"),
        "discipline": DISCIPLINES, "body_region": REGIONS, "status": REFERRAL_STATUSES}),
    "episodes": Table("episode_id", ("episode_id", "patient_id", "discipline", "site_id", "start_date", "status"), {
        **_columns(
            id="episode_id patient_id referral_id previous_episode_id lead_staff_id",
            text="site_id program side primary_dx acuity setting case_type disposition planned_frequency",
            date="start_date end_date last_visit_date onset_date surgery_date cert_start cert_end cert_signed_date "
                 "discharge_date",
            yes_no="surgery_flag", number="planned_visits planned_weeks goals_met_pct days"),
        "discipline": DISCIPLINES, "body_region": REGIONS, "payer_class": PAYERS, "status": EPISODE_STATUSES,
        "reason": REASONS}),
    "visits": Table("visit_id", ("visit_id", "patient_id", "scheduled_start", "status"), {
        **_columns(id="visit_id patient_id episode_id rescheduled_to staff_id",
                   datetime="scheduled_start scheduled_end status_dt arrived_dt started_dt ended_dt note_finalized",
                   date="booked_date", yes_no="billable", number="minutes",
                   text="site_id cancel_reason cancelled_by visit_type mode primary_dx"),
        # what episodes are derived from, where the source has none
        "discipline": DISCIPLINES, "body_region": REGIONS, "status": VISIT_STATUSES_IN}),
    "assessments": Table("assessment_id", ("patient_id", "measure_code", "score", "date", "timepoint"), {
        **_columns(id="assessment_id patient_id episode_id stay_id rater_id", datetime="finalized_dt", date="date",
                   text="measure_code measure_version score_scale timepoint respondent mode",
                   number="score items_answered items_total se"),
        "missing_reason": MISSING_REASONS}),
    "discharges": Table("episode_id", ("episode_id", "discharge_date"), {
        **_columns(id="episode_id", date="discharge_date", number="goals_met_pct",
                   text="disposition final_status follow_up_plan ended_by"), "reason": REASONS}),
    "enrollment": Table(None, ("patient_id", "arm"), _columns(
        id="patient_id episode_id", text="protocol arm cluster_id sequence ineligible_reason withdrawn_reason",
        yes_no="eligible", date="screened_date approached_date consent_date allocated_date withdrawn_date")),
    "charges": Table("charge_id", ("charge_id", "visit_id"), _columns(
        id="charge_id visit_id", text="cpt modifiers payer_class", number="units minutes amount", yes_no="timed_flag",
        date="billed_date")),
    "sites": Table("site_id", ("site_id",), _columns(
        id="site_id", text="name region type time_zone holidays", date="open_date close_date")),
    "staff": Table("staff_id", ("staff_id",), _columns(
        id="staff_id", text="discipline license_type site_id", number="fte", date="hire_date end_date")),
    "staff_hours": Table(None, ("staff_id", "week"), _columns(
        id="staff_id", date="week", number="paid_hours worked_hours patient_minutes")),
    "availability": Table(None, ("staff_id", "date"), _columns(
        id="staff_id", date="date", text="site_id", number="available_minutes open_eval_slots")),
    "goals": Table("goal_id", ("goal_id", "episode_id"), _columns(
        id="goal_id episode_id", text="horizon status", date="set_date target_date met_date",
        number="baseline_level expected_level attained_level weight")),
    "satisfaction": Table("response_id", ("response_id",), _columns(
        id="response_id patient_id episode_id", text="site_id instrument channel", date="invited_date date",
        number="score score_min score_max nps")),
    "admissions": Table("stay_id", ("stay_id", "patient_id", "admit_date"), _columns(
        id="stay_id patient_id", text="site_id setting impairment_group etiology transfer_from discharge_status payer",
        date="admit_date discharge_date onset_date", number="interruption_days", yes_no="short_stay planned")),
    "events": Table("event_id", ("event_id", "date", "type"), {
        **_columns(id="event_id patient_id episode_id visit_id", text="site_id severity related", date="date"),
        "type": EVENTS}),
    "authorizations": Table("authorization_id", ("authorization_id", "episode_id", "visits_authorized", "start_date",
                                                 "end_date"), {
        **_columns(id="authorization_id episode_id", date="start_date end_date", number="visits_authorized",
                   text="status"), "payer_class": PAYERS}),
}

# Tables of the data model that no fact is made from yet: their rows are counted as left out.
LATER = ("fidelity", "targets", "actions", "series")
# Tables that a drafted mapping may propose.
DRAFTED = ("patients", "referrals", "episodes", "visits", "assessments", "discharges", "enrollment", "charges", "sites",
           "staff")

# A row without one of these goes to quarantine; every other bad value costs only itself.
ROW_NEEDS = {
    "patients": ("patient_id",), "referrals": ("referral_id", "patient_id", "received_date"),
    "episodes": ("episode_id", "patient_id", "status"),  # a missing start_date is sought among the visits
    "visits": ("visit_id", "patient_id", "scheduled_start", "status"),
    "assessments": ("patient_id", "measure_code", "date"), "discharges": ("episode_id", "discharge_date"),
    "enrollment": ("patient_id",), "charges": ("visit_id",), "sites": ("site_id",), "staff": ("staff_id",),
    "staff_hours": ("staff_id", "week"), "availability": ("staff_id", "date"), "goals": ("goal_id", "episode_id"),
    "satisfaction": ("response_id",), "admissions": ("stay_id", "patient_id", "admit_date"),
    "events": ("event_id", "date", "type"),
    "authorizations": ("authorization_id", "episode_id", "visits_authorized", "start_date", "end_date"),
}

# Columns that describe an episode, its patient or a referral: filters, groups and covariates in the facts.
DESCRIBE_EPISODE = ("site_id", "discipline", "program", "body_region", "side", "primary_dx", "acuity", "payer_class",
                    "setting", "case_type", "surgery_flag", "planned_weeks", "planned_frequency")
DESCRIBE_PATIENT = ("sex", "gender_identity", "race_ethnicity", "language", "interpreter", "zip3", "deprivation")
DESCRIBE_REFERRAL = ("site_id", "discipline", "body_region", "source_type", "priority")
DESCRIBE_VISIT = ("site_id", "discipline", "body_region", "mode", "visit_type")
DESCRIBE_STAY = ("site_id", "setting", "impairment_group", "etiology", "transfer_from", "payer")
DESCRIBE_EVENT = ("site_id", "type", "severity", "related")
DESCRIBE_RESPONSE = ("site_id", "instrument", "channel")
DESCRIBE_STAFF = ("site_id", "discipline", "license_type")

# Kinds that a mapping may fill, by the table that each makes.
KINDS = {"episode": "episodes", "visit": "visits", "enrollment": "enrollment", "patient": "patients",
         "referral": "referrals", "discharge": "discharges", "assessment": "assessments", "charge": "charges",
         "site": "sites", "staff": "staff", "staff_week": "staff_hours", "availability": "availability",
         "goal": "goals", "response": "satisfaction", "stay": "admissions", "event": "events",
         "authorization": "authorizations"}
LEADING = ("episode", "visit", "referral", "discharge", "assessment", "patient", "enrollment", "charge", "goal",
           "response", "stay", "event", "authorization", "staff_week", "availability", "site", "staff")
COLUMN_NAMES = frozenset(name for table in TABLES.values() for name in table.columns) | {"age", "age_band"}
# What an attribute may not be called in a mapping: facts have columns of these names …
FACT_NAMES = frozenset((
    "episode", "patient", "referral", "measure", "staff", "arm", "date", "status", "start_date", "end_date",
    "discharge_date", "first_visit_date", "last_visit_date", "days", "closed_admin", "reason", "disposition",
    "goals_met_pct", "planned_visits", "n_attended", "n_no_show", "n_late_cancel", "n_early_cancel",
    "n_clinic_cancel", "n_rescheduled", "n_booked", "minutes", "units", "n_merged", "weekday", "lead_days",
    "lead_band", "received_date", "eval_date", "closed_date", "evaluated", "cert_end", "cert_signed_date",
    "planned_source", "admit_date", "discharge_status",
    "readmit_days", "authorization", "stay", "response", "event", "goal", "week"))
# … or what facts are made of; `self` and `key` are arguments of Ibis
USED_NAMES = FACT_NAMES | {
    "begun", "by_assistant", "finalized_dt_has_time", "finalized_dt_offset", "first_eval", "is_derived",
    "is_evaluation", "is_new", "is_visit", "key", "merged", "n_chain", "n_future", "n_unknown", "note_on_time",
    "planned_weeks", "scheduled_end_has_time", "scheduled_end_offset", "scheduled_start_has_time",
    "scheduled_start_offset", "self", "status_dt_has_time", "status_dt_offset", "unread", "until"}
