"""Did patients get better: scores and their change. Source: metric definitions, sections 1 and 6."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError
from therapyeval.metrics.eligible import (
    CANNOT_ANSWER,
    best_score,
    care_reasons,
    not_eligible,
    paired_scores,
    scores_of,
    worst_score,
)
from therapyeval.metrics.registry import TOLERANCE, Values, and_exclude, exclude, metric

SPREAD = ("sd", "median", "q1", "q3")
TIMEPOINTS = ("baseline", "final")
END_SHARE = 15  # percent of scores at one end of a scale; metric definitions, section 1


@metric(label="Baseline score", kind="mean", unit="scale points", better="measure",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def baseline_score(facts: Facts, measure: str) -> Values:
    """Score nearest to the start of care (7 days before to 7 after), of each eligible episode.

    Source: metric definitions, sections 1 and 6.
    """
    scores = scores_of(facts, measure)
    return Values(scores["baseline"], excluded=not_eligible(facts, scores, measure))


@metric(label="Final score", kind="mean", unit="scale points", better="measure",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def final_score(facts: Facts, measure: str) -> Values:
    """Last score around discharge (14 days before the last visit to 7 after), of each eligible episode.

    Source: metric definitions, sections 1 and 6.
    """
    scores = scores_of(facts, measure)
    return Values(scores["final"], excluded=not_eligible(facts, scores, measure))


@metric(label="Change in score", kind="mean", unit="scale points", better="higher",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def score_change(facts: Facts, measure: str) -> Values:
    """Final minus baseline score, signed so that positive is better, of each eligible episode with both
    scores of the same version, scale and respondent.

    Source: metric definitions, sections 1 and 6.
    """
    scores = paired_scores(facts, measure)
    return Values(scores["change"], excluded=not_eligible(facts, scores, measure))


@metric(label="Effect size (change in SDs of baseline)", kind="mean", variant="bootstrap", unit="SD units",
        better="higher", population="episodes", cohort_rule="discharged")
def effect_size(facts: Facts, measure: str) -> Values:
    """Mean change divided by the standard deviation of the baseline scores of the same eligible paired episodes.

    Source: metric definitions, section 1.
    """
    scores = paired_scores(facts, measure)
    return Values(scores["change"], excluded=not_eligible(facts, scores, measure), weight=scores["baseline"])


@metric(label="Standardized response mean", kind="mean", variant="bootstrap", unit="SD units", better="higher",
        population="episodes", cohort_rule="discharged")
def srm(facts: Facts, measure: str) -> Values:
    """Mean change divided by the standard deviation of the changes, of eligible paired episodes.

    Source: metric definitions, section 1.
    """
    scores = paired_scores(facts, measure)
    return Values(scores["change"], excluded=not_eligible(facts, scores, measure), weight=scores["change"])


@metric(label="Share of the possible gain", kind="median", unit="percent", better="higher",
        population="episodes", cohort_rule="discharged", beside=("p90",))
def pct_possible(facts: Facts, measure: str) -> Values:
    """Median of the change as a percentage of what was left to the best score at baseline, of each eligible
    paired episode. Losses count as negative; a baseline at the best score is left out.

    Source: metric definitions, section 1.
    """
    _check_end(facts, measure, "best")
    scores = paired_scores(facts, measure)
    room = (best_score(facts, scores) - scores["baseline"]) * facts.measure(measure).sign
    at_best = room.abs() <= TOLERANCE
    excluded = and_exclude(not_eligible(facts, scores, measure), {"baseline at the best score": at_best})
    return Values(100 * scores["change"] / room.mask(at_best), excluded=excluded)


@metric(label="At the worst score", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="discharged")
def floor_share(facts: Facts, measure: str, timepoint: str = "baseline") -> Values:
    """Share of the valid scores of eligible episodes, at baseline or at the end, that are the worst possible.

    Source: metric definitions, section 1.
    """
    _check_end(facts, measure, "worst")
    return _at_end(facts, measure, timepoint, worst_score)


@metric(label="At the best score", kind="proportion", unit="proportion", better="neither",
        population="episodes", cohort_rule="discharged")
def ceiling_share(facts: Facts, measure: str, timepoint: str = "baseline") -> Values:
    """Share of the valid scores of eligible episodes, at baseline or at the end, that are the best possible.

    Source: metric definitions, section 1.
    """
    _check_end(facts, measure, "best")
    return _at_end(facts, measure, timepoint, best_score)


@metric(label="Paired outcome completion", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def paired_completion(facts: Facts, measure: str | None = None) -> Values:
    """Share of eligible episodes with a valid pair of scores; without a measure, a pair on any.

    Source: metric definitions, section 6.
    """
    if measure:
        scores = scores_of(facts, measure)
        paired = (scores["why_unpaired"] == "").astype(float)
        return Values(paired, excluded=not_eligible(facts, scores, measure))
    episodes = facts.episodes
    valid = (facts.scores["why_unpaired"] == "") & ~facts.scores["missing_reason"].isin(CANNOT_ANSWER)
    paired = episodes["episode"].isin(facts.scores.loc[valid, "episode"]).astype(float)
    return Values(paired, excluded=exclude(episodes.index, care_reasons(facts)))


def _check_end(facts: Facts, measure: str, end: str) -> None:
    instrument = facts.measure(measure)
    bound = instrument.maximum if (instrument.sign > 0) == (end == "best") else instrument.minimum
    if bound is None:
        raise ParameterError(f"{measure} has no {end} possible score: its scale has no end there. "
                             f"Use score_change:{measure}.")


def _at_end(facts: Facts, measure: str, timepoint: str, end) -> Values:
    if timepoint not in TIMEPOINTS:
        raise ParameterError(f"timepoint={timepoint[:40]!r} is not known. Use one of {', '.join(TIMEPOINTS)}.")
    scores = scores_of(facts, measure)
    score: pd.Series = scores[timepoint]
    there = ((score - end(facts, scores)).abs() <= TOLERANCE).astype(float)
    return Values(there.where(score.notna()), excluded=not_eligible(facts, scores, measure),
                  note=f"{timepoint} scores; above {END_SHARE}% the scale is too short at that end")
