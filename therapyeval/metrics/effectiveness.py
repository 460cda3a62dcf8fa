"""Did patients get better: scores, change and responders. Source: metric definitions, sections 1 and 6."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.registry import Values, exclude, metric, reaches, threshold_note

NOT_ELIGIBLE = ("deceased", "hospitalized", "transferred", "evaluation_only")
CANNOT_ANSWER = ("unable", "language")
SPREAD = ("sd", "median", "q1", "q3")


@metric(label="Baseline score", kind="mean", unit="scale points", better="measure",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def baseline_score(facts: Facts, measure: str) -> Values:
    """Score nearest to the start of care (7 days before to 7 after), of each eligible episode.

    Source: metric definitions, sections 1 and 6.
    """
    scores = _scores_of(facts, measure)
    return Values(scores["baseline"], excluded=_not_eligible(facts, scores))


@metric(label="Final score", kind="mean", unit="scale points", better="measure",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def final_score(facts: Facts, measure: str) -> Values:
    """Last score around discharge (14 days before the last visit to 7 after), of each eligible episode.

    Source: metric definitions, sections 1 and 6.
    """
    scores = _scores_of(facts, measure)
    return Values(scores["final"], excluded=_not_eligible(facts, scores))


@metric(label="Change in score", kind="mean", unit="scale points", better="higher",
        population="episodes", cohort_rule="discharged", beside=SPREAD)
def score_change(facts: Facts, measure: str) -> Values:
    """Final minus baseline score, signed so that positive is better, of each eligible episode with both
    scores of the same version, scale and respondent.

    Source: metric definitions, sections 1 and 6.
    """
    scores = _paired_scores(facts, measure)
    return Values(scores["change"], excluded=_not_eligible(facts, scores))


@metric(label="Responders (change of at least one MCID)", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged", two_rules=True)
def mcid_rate(facts: Facts, measure: str | None = None, threshold: float | None = None) -> Values:
    """Share of eligible episodes whose change is at least the measure's MCID. Without a measure, each
    episode is judged on its primary measure, and all that are eligible count, whatever they were measured with.

    Source: metric definitions, section 1; the MCID and its source are those of the measure.
    """
    scores = _paired_scores(facts, measure)
    if threshold is None:
        limits = scores["measure"].map({code: facts.measure(code).mcid for code in _used(scores)}).astype(float)
        if measure and facts.measure(measure).mcid is None:
            raise ParameterError(f"no MCID is registered for {measure}. Give one: mcid_rate:{measure},threshold=…, "
                                 "or use target_score_rate or pct_improved_rate.")
    else:
        limits = pd.Series(float(threshold), index=scores.index)
    note = threshold_note(facts.measure(measure), threshold) if measure else "MCID of each episode's primary measure"
    without = exclude(scores.index, {"no MCID registered for its measure": scores["measure"].notna() & limits.isna()})
    excluded = _not_eligible(facts, scores) if measure else exclude(scores.index, _care_reasons(facts))
    return Values(reaches(scores["change"], limits), excluded=excluded.where(excluded != "", without), note=note)


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
    scores = _paired_scores(facts, measure)
    share = scores["change"] / scores["baseline"].where(scores["baseline"] > 0)
    excluded = _not_eligible(facts, scores)
    zero = exclude(scores.index, {"baseline score is 0": scores["baseline"] == 0})
    return Values(reaches(share, float(p)), excluded=excluded.where(excluded != "", zero),
                  note=f"improved by at least {100 * float(p):g}% of baseline")


@metric(label="Reached a target score", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged", two_rules=True)
def target_score_rate(facts: Facts, measure: str, cut: float) -> Values:
    """Share of eligible episodes whose final score is at least as good as the cut.

    Source: metric definitions, section 1.
    """
    scores, sign = _scores_of(facts, measure), facts.measure(measure).sign
    comparison = "at least" if sign > 0 else "at most"
    return Values(reaches(sign * scores["final"], sign * float(cut)), excluded=_not_eligible(facts, scores),
                  note=f"final score {comparison} {float(cut):g}")


@metric(label="Paired outcome completion", kind="proportion", unit="proportion", better="higher",
        population="episodes", cohort_rule="discharged")
def paired_completion(facts: Facts, measure: str | None = None) -> Values:
    """Share of eligible episodes with a valid pair of scores; without a measure, a pair on any.

    Source: metric definitions, section 6.
    """
    if measure:
        scores = _scores_of(facts, measure)
        paired = (scores["why_unpaired"] == "").astype(float)
        return Values(paired, excluded=_not_eligible(facts, scores))
    episodes = facts.episodes
    valid = (facts.scores["why_unpaired"] == "") & ~facts.scores["missing_reason"].isin(CANNOT_ANSWER)
    paired = episodes["episode"].isin(facts.scores.loc[valid, "episode"]).astype(float)
    return Values(paired, excluded=exclude(episodes.index, _care_reasons(facts)))


def _scores_of(facts: Facts, measure: str | None) -> pd.DataFrame:
    """Scores of one measure (None: the primary measure) in the order of the episodes; absent rows are empty."""
    if measure is None:
        rows = facts.scores[facts.scores["is_primary"]]
    else:
        facts.measure(measure)
        rows = facts.scores[facts.scores["measure"] == measure]
        if rows.empty:
            used = sorted(facts.scores["measure"].unique())
            raise NotEvaluableError(f"no episode in this cohort has a score of {measure}."
                                    + (f" Measured here: {', '.join(used)}." if used else ""))
    wanted = rows.set_index("episode").reindex(facts.episodes["episode"])
    return wanted.set_axis(facts.episodes.index)


def _paired_scores(facts: Facts, measure: str | None) -> pd.DataFrame:
    """`_scores_of` with the oriented `change` of valid pairs."""
    if measure and not facts.measure(measure).paired:
        raise ParameterError(f"{measure} is a single rating without a baseline, so it has no change. "
                             f"Use target_score_rate:{measure},cut=….")
    scores = _scores_of(facts, measure)
    sign = scores["measure"].map({code: facts.measure(code).sign for code in _used(scores)}).astype(float)
    change = (scores["final"] - scores["baseline"]) * sign
    return scores.assign(change=change.where(scores["why_unpaired"] == ""))


def _used(scores: pd.DataFrame) -> list[str]:
    return list(scores["measure"].dropna().unique())


def _care_reasons(facts: Facts) -> dict[str, pd.Series]:
    """Why an episode is not eligible whatever is measured; nobody allocated to an arm is left out."""
    if facts.allocated:
        return {}
    episodes = facts.episodes
    reasons = {reason: episodes["reason"] == reason for reason in NOT_ELIGIBLE}
    return {**reasons, f"fewer than {facts.min_visits} visits": episodes["n_attended"] < facts.min_visits}


def _not_eligible(facts: Facts, scores: pd.DataFrame) -> pd.Series:
    """Why each episode is not eligible for the measure whose scores these are; "" where it is."""
    if facts.allocated:
        return exclude(scores.index, {})
    reasons = _care_reasons(facts)
    reasons |= {f"missing: {reason}": (scores["missing_reason"] == reason) for reason in CANNOT_ANSWER}
    assigned = scores.get("is_assigned", pd.Series(False, index=scores.index)).fillna(False).astype(bool)
    measured = scores["has_score"].fillna(False).astype(bool)
    return exclude(scores.index, {**reasons, "not measured with this instrument": ~(measured | assigned)})


def oriented_baseline(facts: Facts, measure: str) -> pd.Series:
    """Baseline scores in the order of the episodes, as a covariate."""
    return _scores_of(facts, measure)["baseline"].astype(np.float64)
