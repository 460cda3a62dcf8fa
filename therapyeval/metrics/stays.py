"""Inpatient stays: gain, where to, and who was back in acute care. Source: metric definitions, sections 2, 5, 6."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.eligible import CANNOT_ANSWER
from therapyeval.metrics.registry import Values, exclude, metric

COMMUNITY = ("01", "06", "81", "86")  # UB-04 FL17; data model, section 4
ACUTE_CARE, AGAINST_ADVICE, HOSPICE, DIED = ("02", "05"), ("07",), ("50", "51"), ("20", "40", "41", "42")
STILL_THERE = ("30",)
SHORT_DAYS = 3  # a shorter stay is incomplete
COUNTED, LEFT_OUT = "counted", "left_out"


@metric(label="Gain per day of stay", kind="mean", unit="points per day", better="higher",
        population="stays", cohort_rule="discharged")
def los_efficiency(facts: Facts, measure: str, interruptions: str = COUNTED) -> Values:
    """Mean over stays of the change in score divided by the days from admission to discharge (at least 1). With
    `interruptions=left_out` the days of interruption are taken off. Incomplete stays are left out: death, acute
    transfer, against advice, shorter than 3 days.

    Source: metric definitions, sections 2 and 6.
    """
    if interruptions not in (COUNTED, LEFT_OUT):
        raise ParameterError(f"interruptions={interruptions[:40]!r} is not known. Use {COUNTED} or {LEFT_OUT}.")
    change, days = inpatient_change(facts, measure), facts.stays["days"]
    if interruptions == LEFT_OUT:
        days = days - facts.stays["interruption_days"].fillna(0)
    return Values(change.value / days.clip(lower=1), excluded=change.excluded)


@metric(label="Change in score during the stay", kind="mean", unit="scale points", better="higher",
        population="stays", cohort_rule="discharged", beside=("sd", "median", "q1", "q3"))
def inpatient_change(facts: Facts, measure: str) -> Values:
    """Score at discharge minus score at admission, signed so that positive is better. Incomplete stays are left out:
    death, acute transfer, against advice, shorter than 3 days.

    Source: metric definitions, sections 5 and 6.
    """
    scores = stay_scores(facts, measure)
    change = (scores["final"] - scores["baseline"]) * facts.measure(measure).sign
    return Values(change.where(scores["why_unpaired"] == ""), excluded=not_complete(facts, scores))


@metric(label="Discharged to the community", kind="proportion", unit="proportion", better="higher",
        population="stays", cohort_rule="discharged")
def discharge_to_community(facts: Facts) -> Values:
    """Share of stays that ended at home, with or without home health care. Those who died, left against advice, went
    to hospice or are still there are left out; transfers to acute care count as not at home.

    Source: metric definitions, section 5; codes of UB-04, field 17.
    """
    status = facts.stays["discharge_status"]
    return Values(status.isin(COMMUNITY).astype(float).where(status.notna()),
                  excluded=exclude(status.index, {**_gone(facts), "against advice": status.isin(AGAINST_ADVICE)}))


@metric(label="Back in acute care within 30 days", kind="proportion", unit="proportion", better="lower",
        population="stays", cohort_rule="discharged")
def readmit_30(facts: Facts) -> Values:
    """Share of stays followed by an unplanned acute admission 1 to 30 days after discharge. Those who died, went to
    acute care or hospice or left against advice are left out, and those discharged less than 30 days before the data
    cut are immature. Admissions that these data do not hold are not seen.

    Source: metric definitions, section 5.
    """
    return _back_within(facts, "readmit_30", 30)


@metric(label="Back in acute care within 90 days", kind="proportion", unit="proportion", better="lower",
        population="stays", cohort_rule="discharged")
def readmit_90(facts: Facts) -> Values:
    """Share of stays followed by an unplanned acute admission 1 to 90 days after discharge. Those who died, went to
    acute care or hospice or left against advice are left out, and those discharged less than 90 days before the data
    cut are immature. Admissions that these data do not hold are not seen.

    Source: metric definitions, section 5.
    """
    return _back_within(facts, "readmit_90", 90)


def stay_scores(facts: Facts, measure: str) -> pd.DataFrame:
    """Scores of one measure in the order of the stays; absent rows are empty."""
    if not facts.measure(measure).paired:
        raise ParameterError(f"{measure} is a single rating without a baseline, so it has no change.")
    known = facts.stay_scores
    rows = None if known is None else known[known["measure"] == measure]
    if rows is None or rows.empty:
        raise NotEvaluableError(f"no stay in these data has a score of {measure}.")
    return rows.set_index("stay").reindex(facts.stays["stay"]).set_axis(facts.stays.index)


def not_complete(facts: Facts, scores: pd.DataFrame) -> pd.Series:
    """Why each stay does not count for a score at its end; "" where it does."""
    status, days = facts.stays["discharge_status"], facts.stays["days"]
    reasons = {**_gone(facts), "acute transfer": status.isin(ACUTE_CARE),
               "against advice": status.isin(AGAINST_ADVICE), f"shorter than {SHORT_DAYS} days": days < SHORT_DAYS}
    reasons |= {f"missing: {reason}": scores["missing_reason"] == reason for reason in CANNOT_ANSWER}
    return exclude(scores.index, {**reasons, "not measured with this instrument": scores["measure"].isna()})


def _gone(facts: Facts) -> dict[str, pd.Series]:
    status = facts.stays["discharge_status"]
    return {"died": status.isin(DIED), "hospice": status.isin(HOSPICE),
            "still a patient": status.isin(STILL_THERE) | facts.stays["discharge_date"].isna()}


def _back_within(facts: Facts, name: str, last: int) -> Values:
    if "readmit_days" not in facts.stays:
        raise NotEvaluableError(f"{name}: these data do not say which admissions were to acute care (setting = acute), "
                                "so nobody can be seen to come back.")
    stays = facts.stays
    status, followed = stays["discharge_status"], (facts.data_cut - stays["discharge_date"]).dt.days
    reasons = {**_gone(facts), "acute transfer": status.isin(ACUTE_CARE),
               "against advice": status.isin(AGAINST_ADVICE), "immature": followed < last}
    return Values((stays["readmit_days"] <= last).astype(float).where(status.notna()),
                  excluded=exclude(stays.index, reasons))
