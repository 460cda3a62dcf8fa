"""What do people say of the care, and who came to harm. Source: metric definitions, section 7.1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.metrics.registry import TOLERANCE, Metric, Values, add, metric

PROMOTER, PASSIVE = 9, 7  # least whole numbers of a recommendation from 0 to 10
VISITS = "visits"
NO_SCALE = "the best and worst score of the item are not known: give score_min and score_max"
HARMS = frozenset(("fall", "pain_flare", "other_harm", "unplanned_transfer"))


@metric(label="Answered the survey", kind="proportion", unit="proportion", better="higher",
        population="invitations", cohort_rule="dated")
def survey_response_rate(facts: Facts) -> Values:
    """Share of those invited to a survey who answered by the data cut.

    Source: metric definitions, section 7.1.
    """
    invited = facts.responses[facts.responses["invited_date"].notna()]
    return Values(invited["answered"].astype(float), frame=invited)


@metric(label="Best answer to the overall question", kind="proportion", unit="proportion", better="higher",
        population="responses", cohort_rule="dated")
def satisfaction_top_box(facts: Facts) -> Values:
    """Share of answers in the best category of the overall question. Answers without a score, or on a scale whose
    ends nobody gives, are missing.

    Source: metric definitions, section 7.1.
    """
    answers, low, high = _answers(facts)
    top = (answers["score"] >= high - TOLERANCE * high.abs()).astype(float)
    return Values(top.where(answers["score"].notna() & high.notna()), frame=answers, lacking=NO_SCALE)


@metric(label="Satisfaction, percent of the best", kind="mean", unit="percent", better="higher",
        population="responses", cohort_rule="dated")
def satisfaction_pct(facts: Facts) -> Values:
    """Mean of the answers to the overall question, 0 for the worst possible and 100 for the best. Answers without a
    score, or on a scale whose ends nobody gives, are missing.

    Source: metric definitions, section 7.1.
    """
    answers, low, high = _answers(facts)
    return Values(100 * (answers["score"] - low) / (high - low).where(high > low), frame=answers, lacking=NO_SCALE)


@metric(label="Net promoter score", kind="mean", unit="points", better="higher",
        population="responses", cohort_rule="dated")
def nps(facts: Facts) -> Values:
    """Mean over answers of +100 for a recommendation of 9 or 10, 0 for 7 or 8, and -100 for 0 to 6 of 10.

    Source: metric definitions, section 7.1.
    """
    answers = _answers(facts)[0]
    given = answers["nps"].astype(float)
    points = np.select([given >= PROMOTER, given >= PASSIVE], [100.0, 0.0], -100.0)
    return Values(pd.Series(points, index=answers.index).where(given.notna()), frame=answers)


def event_rate(name: str, *, label: str, types: frozenset[str], definition: str,
               arguments: Mapping[str, object] | None = None) -> Metric:
    """Register a rate of events of some types per 1 000 attended visits."""
    visits = frozenset(("attended",))
    entry = Metric(name, label, "ratio", "per 1 000 visits", "lower", "appointments", "dated",
                   f"{definition}\n\nSource: metric definitions, section 7.1.", statuses=(visits, visits),
                   variant="exact Poisson", events=types, arguments=arguments or {})
    add(entry)
    return entry


complaint_rate = event_rate(
    "complaint_rate", label="Complaints", types=frozenset(("complaint",)),
    definition="Complaints per 1 000 attended visits. More complaints can mean that it is easier to complain.")

fall_rate = event_rate(
    "fall_rate", label="Falls in care", types=frozenset(("fall",)),
    arguments={"per": VISITS},
    definition="Falls in care per 1 000 attended visits, each dated by when it happened. Inpatient with "
               "`per=patient_days`: falls during a stay per 1 000 patient-days, those from admission to discharge.")

adverse_event_rate = event_rate(
    "adverse_event_rate", label="Adverse events", types=HARMS,
    definition="Falls, flares of pain, unplanned transfers and other harm per 1 000 attended visits, each dated by "
               "when it happened.")


def _answers(facts: Facts) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """The answers, and the worst and best score on the scale of each: as given, else of the registered measure."""
    answers = facts.responses[facts.responses["answered"].astype(bool)]
    known = answers["instrument"] if "instrument" in answers else pd.Series(None, index=answers.index, dtype="str")
    ends = [answers[name].astype(float).fillna(known.map(
        {code: getattr(facts.measures[code], end) for code in known.dropna().unique() if code in facts.measures})
        .astype(float)) for name, end in (("score_min", "minimum"), ("score_max", "maximum"))]
    return answers, *ends
