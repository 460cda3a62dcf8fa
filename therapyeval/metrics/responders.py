"""Who got better by enough: shares of episodes beyond a threshold. Source: metric definitions, section 1."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError
from therapyeval.metrics.eligible import best_score, not_eligible, of_measure, paired_scores, scores_of
from therapyeval.metrics.registry import Values, and_exclude, metric, reaches
from therapyeval.metrics.thresholds import threshold_of

PAIN = ("nprs", "pain_avg", "vas_pain", "odi", "rmdq", "qbpds")  # measures of Ostelo 2008 and their kin
THIRTY_PERCENT = 0.30


@metric(label="Responders (change of at least one MCID)", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged", two_rules=True)
def mcid_rate(facts: Facts, measure: str | None = None, threshold: float | str | None = None) -> Values:
    """Share of eligible episodes whose change is at least the measure's MCID. Without a measure, each
    episode is judged on its primary measure, and all that are eligible count, whatever they were measured with.
    `threshold` is a number, a share of baseline ("30%"), or "bands": that registered for the band of the baseline.

    Source: metric definitions, section 1; the MCID and its source are those of the measure.
    """
    scores = paired_scores(facts, measure)
    mcid = threshold_of(facts, scores, measure, threshold, "mcid_rate")
    return Values(reaches(scores["change"], mcid.limit), excluded=mcid.excluded, note=mcid.note)


@metric(label="Within one MCID of the best score at baseline", kind="proportion", unit="proportion",
        better="neither", population="episodes", cohort_rule="discharged")
def cannot_respond_share(facts: Facts, measure: str | None = None, threshold: float | str | None = None) -> Values:
    """Share of eligible episodes with a baseline score so near the best that a change of one MCID is not possible.
    Without a measure, each episode is judged on its primary measure. A scale without an end never stops anybody.

    Source: metric definitions, section 1; the MCID and its source are those of the measure.
    """
    scores = paired_scores(facts, measure)
    mcid = threshold_of(facts, scores, measure, threshold, "cannot_respond_share")
    room = (best_score(facts, scores) - scores["baseline"]) * of_measure(facts, scores, "sign")
    room = room.where(best_score(facts, scores).notna(), float("inf")).where(scores["baseline"].notna())
    return Values(1 - reaches(room, mcid.limit), excluded=mcid.excluded, note=mcid.note)


@metric(label="Got worse by at least one MCID", kind="proportion", unit="proportion", better="lower",
        population="episodes", cohort_rule="discharged")
def mcid_worse(facts: Facts, measure: str | None = None, threshold: float | str | None = None) -> Values:
    """Share of eligible paired episodes whose score got worse by at least the measure's MCID. Without a measure,
    each episode is judged on its primary measure. Patients without a final score may have got worse, too.

    Source: metric definitions, section 1; the MCID and its source are those of the measure.
    """
    scores = paired_scores(facts, measure)
    mcid = threshold_of(facts, scores, measure, threshold, "mcid_worse")
    return Values(reaches(-scores["change"], mcid.limit), excluded=mcid.excluded, note=mcid.note)


@metric(label="Responders (one MCID or 30%)", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def mcid_or_30pct(facts: Facts, measure: str, threshold: float | str | None = None) -> Values:
    """Share of eligible paired episodes that changed by at least the measure's MCID or by 30% of baseline. Only
    for scales of pain and back disability; a baseline of 0 is left out.

    Source: metric definitions, section 1; Ostelo 2008, Spine 33:90, offers the two rules as alternatives.
    """
    if measure not in PAIN:
        facts.measure(measure)
        raise ParameterError(f"mcid_or_30pct is not defined for {measure}: only for {', '.join(PAIN)}. Use mcid_rate.")
    scores = paired_scores(facts, measure)
    mcid = threshold_of(facts, scores, measure, threshold, "mcid_or_30pct")
    either = reaches(scores["change"], mcid.limit).where(
        reaches(scores["change"], mcid.limit) == 1, reaches(_share_of_baseline(scores), THIRTY_PERCENT))
    excluded = and_exclude(mcid.excluded, {"baseline score is 0": scores["baseline"] == 0})
    return Values(either.where(scores["change"].notna()), excluded=excluded,
                  note=f"{mcid.note}, or 30% of baseline: more lenient than either")


@metric(label="Improved by a share of baseline", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged", two_rules=True)
def pct_improved_rate(facts: Facts, measure: str, p: float = 0.30) -> Values:
    """Share of eligible episodes whose score fell by at least the share p of its baseline (30% by default).
    Only for measures on which lower is better and zero is the best; a baseline of 0 is left out.

    Source: metric definitions, section 1.
    """
    instrument = facts.measure(measure)
    if instrument.sign > 0 or instrument.minimum != 0:
        raise ParameterError(f"pct_improved_rate is not defined for {measure}: it needs a measure on which lower is "
                             "better and 0 is the best score. Use mcid_rate or target_score_rate.")
    scores = paired_scores(facts, measure)
    excluded = and_exclude(not_eligible(facts, scores, measure), {"baseline score is 0": scores["baseline"] == 0})
    return Values(reaches(_share_of_baseline(scores), float(p)), excluded=excluded,
                  note=f"improved by at least {100 * float(p):g}% of baseline")


@metric(label="Reached a target score", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged", two_rules=True)
def target_score_rate(facts: Facts, measure: str, cut: float) -> Values:
    """Share of eligible episodes whose final score is at least as good as the cut.

    Source: metric definitions, section 1.
    """
    scores, sign = scores_of(facts, measure), facts.measure(measure).sign
    comparison = "at least" if sign > 0 else "at most"
    return Values(reaches(sign * scores["final"], sign * float(cut)), excluded=not_eligible(facts, scores, measure),
                  note=f"final score {comparison} {float(cut):g}")


def _share_of_baseline(scores: pd.DataFrame) -> pd.Series:
    return scores["change"] / scores["baseline"].where(scores["baseline"] > 0)
