"""From row numbers to the canonical tables of the data model, section 1."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.network import CASES
from therapyeval.data.synthetic.pilot import PROTOCOL
from therapyeval.data.synthetic.plan import Plan

EPISODE_COLUMNS = [
    "episode_id", "patient_id", "referral_id", "discipline", "site_id", "program", "start_date", "status",
    "body_region", "primary_dx", "surgery_flag", "acuity", "planned_visits", "payer_class",
    "previous_episode_id", "lead_staff_id", "setting", "case_type"]
ENROLLMENT_COLUMNS = [
    "patient_id", "protocol", "episode_id", "screened_date", "eligible", "ineligible_reason",
    "approached_date", "consent_date", "allocated_date", "arm", "withdrawn_date", "withdrawn_reason"]
LEFS_CHANGE = pd.Timestamp("2025-07-01")


@dataclass(frozen=True)
class Labels:
    """Identifier of each row number."""

    patient: np.ndarray
    episode: np.ndarray
    staff: np.ndarray
    site: np.ndarray


def make_labels(plan: Plan, n_patients: int, episodes: pd.DataFrame, n_staff: int) -> Labels:
    """Patients of a block in random order, so that an id says nothing; episodes in the order of their start."""
    order = episodes["start_date"].argsort(kind="stable").to_numpy()
    return Labels(
        patient=plan.identifiers("SYN-", plan.generator("labels").permutation(n_patients)),
        episode=plan.identifiers("E", np.argsort(order)),
        staff=np.array([f"T{i + 1:0{max(3, len(str(n_staff)))}d}" for i in range(n_staff)], dtype=object),
        site=plan.sites["site_id"].to_numpy())


def patient_table(patients: pd.DataFrame, episodes: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    died = episodes[(episodes["reason"] == "deceased") & episodes["discharge_date"].notna()]
    death = pd.Series(died["discharge_date"].to_numpy(), index=died["patient"]).reindex(range(len(patients)))
    table = patients.assign(patient_id=labels.patient, death_date=death.to_numpy())
    columns = ["patient_id", "birth_date", "sex", "language", "deprivation", "death_date"]
    return table[columns].sort_values("patient_id", ignore_index=True)


def referral_table(plan: Plan, referrals: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Referrals in the order received; `referral_id` must then be given to the episodes in the same order."""
    case = CASES.iloc[referrals["case"]].reset_index(drop=True)
    return pd.DataFrame({
        "referral_id": plan.identifiers("R", np.arange(len(referrals))),
        "patient_id": labels.patient[referrals["patient"]], "site_id": labels.site[referrals["site"]],
        "received_date": referrals["received_date"], "discipline": case["discipline"],
        "body_region": case["body_region"], "source_type": referrals["source_type"],
        "priority": referrals["priority"], "status": referrals["status"],
        "closed_date": referrals["closed_date"],
        "closed_reason": referrals["closed_reason"].replace("", None)})


def episode_table(plan: Plan, episodes: pd.DataFrame, referral_id: np.ndarray,
                  labels: Labels) -> pd.DataFrame:
    """Episodes in the order of their start; one in fourteen has no planned number of visits."""
    rng = plan.generator("episode details")
    case = CASES.iloc[episodes["case"]].reset_index(drop=True)
    status = np.where(episodes["discharge_date"].notna(), "finished", "active")
    is_reopened = (episodes["kind"] == "reopened").to_numpy()
    table = episodes.assign(
        episode_id=labels.episode, patient_id=labels.patient[episodes["patient"]], referral_id=referral_id,
        site_id=labels.site[episodes["site"]], lead_staff_id=labels.staff[episodes["lead"]],
        program=case["program"], body_region=case["body_region"], primary_dx=case["primary_dx"],
        status=np.where(episodes["kind"] == "never_counted", episodes["status"], status),
        planned_visits=episodes["planned"].where(rng.random(len(episodes)) > 0.07),
        case_type=np.where(is_reopened, "re-opened", "new"),
        previous_episode_id=np.where(is_reopened, labels.episode[episodes["parent"]], None))
    return table[EPISODE_COLUMNS].sort_values("episode_id", ignore_index=True)


def visit_table(plan: Plan, visits: pd.DataFrame, received: np.ndarray, labels: Labels) -> pd.DataFrame:
    """Appointments in the order of patient and time; an evaluation is booked soon after its referral.

    `received`: the day of each episode's referral, missing where there is none.
    """
    rng = plan.generator("visit details")
    n, episode = len(visits), visits["episode"].to_numpy()
    date = visits["date"].to_numpy().astype("M8[D]")
    since = np.where(np.isnat(received[episode]), date - rng.integers(0, 8, n), received[episode])
    first = (episode >= 0) & (visits["number"] == 0).to_numpy()
    soon = np.minimum(since + rng.integers(0, 2, n), date)
    table = pd.DataFrame({
        "patient_id": labels.patient[visits["patient"]],
        "episode_id": np.where(episode >= 0, labels.episode[episode], None),
        "scheduled_start": visits["start"], "scheduled_end": visits["end"], "status": visits["status"],
        "status_dt": visits["status_dt"],
        "booked_date": np.where(first, soon, visits["booked_date"].to_numpy()),
        "visit_type": visits["visit_type"], "mode": visits["mode"], "staff_id": labels.staff[visits["staff"]],
        "site_id": labels.site[visits["site"]]})
    table = table.sort_values(["patient_id", "scheduled_start", "episode_id"], ignore_index=True)
    table.insert(0, "visit_id", plan.identifiers("V", np.arange(n), 6))
    return table


def assessment_table(plan: Plan, assessments: pd.DataFrame, episodes: pd.DataFrame,
                     labels: Labels) -> pd.DataFrame:
    """Scores in the order of episodes; the LEFS form changed on one day, so some pairs mix versions."""
    patient = episodes["patient"].to_numpy()[assessments["episode"]]
    rows = assessments.assign(
        episode_id=labels.episode[assessments["episode"]], patient_id=labels.patient[patient],
        measure_version=np.where(assessments["measure_code"] == "lefs",
                                 np.where(assessments["date"] < LEFS_CHANGE, "1", "2"), None),
        missing_reason=assessments["why"].replace("", None))
    rows = rows.sort_values("episode_id", kind="stable", ignore_index=True)
    rows["assessment_id"] = plan.identifiers("A", np.arange(len(rows)))
    return rows[["assessment_id", "patient_id", "episode_id", "measure_code", "measure_version", "score",
                 "date", "timepoint", "respondent", "finalized_dt", "missing_reason"]]


def discharge_table(plan: Plan, episodes: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    rng = plan.generator("discharge details")
    rows = np.flatnonzero(episodes["discharge_date"].notna())
    chosen = episodes.iloc[rows]
    reason = chosen["reason"].to_numpy()
    ended_by = np.select(
        [np.isin(reason, ["self_discharge", "lost_contact", "noncompliant", "moved"]),
         np.isin(reason, ["payer_ended", "authorization_exhausted"]), reason == "administrative"],
        ["patient", "payer", "administrative"], "therapist")
    disposition = np.select(
        [reason == "hospitalized", reason == "transferred", reason == "deceased"],
        ["hospital", "other provider", ""], rng.choice(["home", "home program", "referrer"], len(rows)))
    table = pd.DataFrame({
        "episode_id": labels.episode[rows], "discharge_date": chosen["discharge_date"].to_numpy(),
        "reason": reason, "disposition": np.where(disposition == "", None, disposition),
        "goals_met_pct": chosen["goals_met_pct"].to_numpy(), "ended_by": ended_by})
    return table.sort_values(["discharge_date", "episode_id"], ignore_index=True)


def staff_table(staff: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    table = staff.assign(staff_id=labels.staff, site_id=labels.site[staff["site"]])
    return table[["staff_id", "discipline", "license_type", "fte", "hire_date", "end_date", "site_id"]]


def site_table(plan: Plan) -> pd.DataFrame:
    return plan.sites[["site_id", "name", "region", "type"]].assign(
        time_zone="America/New_York", open_date=np.datetime64("2015-01-05"))


def enrollment_table(log: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    table = log.assign(patient_id=labels.patient[log["patient"]], protocol=PROTOCOL)
    text = ["ineligible_reason", "arm", "withdrawn_reason"]
    table[text] = table[text].astype(object).replace("", None)
    return table[ENROLLMENT_COLUMNS].sort_values(["screened_date", "patient_id"], ignore_index=True)
