"""What those without a score could change: one number under every rule for the missing, and who they are.

Source: metric definitions, sections 6 (completers against the others) and 9 (missing discharge scores, worst case).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.describe import describe
from therapyeval.analysis.estimate import Part, estimate, exclusions, to_rows
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import Units, select_units
from therapyeval.cohort import Cohort, Facts
from therapyeval.errors import ParameterError
from therapyeval.metrics.eligible import best_score, scores_of, worst_score
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, parse_period
from therapyeval.result import (
    BEST_CASE,
    COMPLETE_CASE,
    MISSING_NOT_ACHIEVED,
    WEIGHTED,
    WORST_CASE,
    Result,
    check_names,
    make_frame,
)

LAST_INTERIM = "last_interim"
RULES = (COMPLETE_CASE, MISSING_NOT_ACHIEVED, LAST_INTERIM, WEIGHTED, WORST_CASE, BEST_CASE)
HOW = {MISSING_NOT_ACHIEVED: "missing counted as not achieved", LAST_INTERIM: "last interim score where there is one",
       WORST_CASE: "missing counted as the worst score", BEST_CASE: "missing counted as the best score"}
METRICS = ("score_change", "final_score", "mcid_rate", "mcid_worse", "mcid_or_30pct", "pct_improved_rate",
           "target_score_rate", "rci", "reliable_improvement_rate", "reliable_deterioration_rate")
NO_CHANGE, ONE_MCID, TARGET = "no change", "one MCID", "the target"
ABOVE, BELOW, UNCLEAR = "above {}", "below {}", "not clear against {}"
COMPLETION, WITH, WITHOUT = "completion", "with a score", "without a score"
TOLD = ("age", "payer_class", "n_attended", "reason")   # of completers and the others, where the data have it


def missing_panel(cohort: Cohort, metric: str, *, by: str | Sequence[str] | None = None,
                  period: str | Period | None = None, target: float | None = None,
                  conf_level: float = 0.95) -> Result:
    """An effectiveness metric under every rule for missing scores, side by side.

    Parameters
    ----------
    metric : one of METRICS, such as "mcid_rate:lefs"
    by : attributes to group by
    period : applied by the metric's own cohort rule
    target : what the number is held against, in its unit (proportions 0-1); always also against no change and, for
        a change in score, against one MCID

    Returns
    -------
    Result
        `estimand` is the rule: complete_case; missing_not_achieved (a change of 0, the baseline score, not achieved;
        of what should be low, achieved); last_interim (the last score at least 7 days after the baseline; those
        without one stay missing); weighted (each complete case by 1 / its probability of being one, given baseline,
        age and visits); worst_case and best_case (the ends of the scale; NaN on a scale without an end). The note has
        the verdict of the row's own interval; where it differs between rules, the missing decide.

    Raises
    ------
    ParameterError
        For metrics that are not about scores of episodes.
    """
    by = [by] if isinstance(by, str) else list(by or ())
    check_names(by)
    call, period = parse(metric), parse_period(period)
    if call.metric.name not in METRICS:
        raise ParameterError(f"{call.text} has no panel of missing scores. Use one of {', '.join(METRICS)}.")
    units = select_units(call, cohort, by, period, None)
    against = _references(call, cohort.facts, target)
    found = [_rows(rule, call, cohort.facts, units, against, conf_level) for rule in RULES]
    joined = pd.concat([rows.assign(_group=np.arange(len(rows))) for rows, _ in found], ignore_index=True)
    place = joined.sort_values("_group", kind="stable").index
    rows = joined.loc[place].drop(columns="_group").assign(metric=call.text, unit=call.unit(cohort.facts))
    behind = pd.concat([people for _, people in found], ignore_index=True).loc[place].reset_index(drop=True)
    return Result(make_frame(rows, by), f"{call.metric.label}: what the missing could change",
                  answered(cohort, call, period), conf_level, exclusions(units, call.text), behind)


def completers(cohort: Cohort, metric: str, *, period: str | Period | None = None) -> Result:
    """Those eligible with a value of the metric beside those without: age, payer, visits, reason and baseline score,
    with standardized differences. As `describe`."""
    call, period = parse(metric), parse_period(period)
    units = select_units(call, cohort, [], period, None)
    if call.population != "episodes":
        raise ParameterError(f"{call.text} is about {call.population}; completers are episodes with a score.")
    episodes = cohort.facts.episodes.iloc[units.row[units.eligible]]
    episodes = episodes.assign(**{COMPLETION: np.where(units.used[units.eligible], WITH, WITHOUT)})
    variables = [name for name in TOLD if name in episodes and episodes[name].notna().any()]
    if call.measure and cohort.facts.measure(call.measure).paired:
        variables.append(f"baseline_score:{call.measure}")
    facts = replace(cohort.facts, episodes=episodes)
    result = describe(replace(cohort, facts=facts), by=COMPLETION, variables=variables, reference=None)
    return replace(result, title="Who has a score and who has none", source=replace(
        result.source, period=period.label if period else None))


def verdict(low: float, high: float, against: Mapping[str, float]) -> str:
    """Where an interval lies, for every value it is held against; "" where there is no interval.

    >>> verdict(1.0, 4.0, {"no change": 0.0, "one MCID": 9.0})
    'above no change, below one MCID'
    """
    if np.isnan(low) or np.isnan(high):
        return ""
    return ", ".join((ABOVE if low > value else BELOW if high < value else UNCLEAR).format(name)
                     for name, value in against.items())


def _references(call: Call, facts: Facts, target: float | None) -> dict[str, float]:
    found = {NO_CHANGE: 0.0} if call.metric.name in ("score_change", "rci") else {}
    if call.metric.name == "score_change" and facts.measure(call.measure).mcid is not None:
        found[ONE_MCID] = facts.measure(call.measure).mcid
    return found if target is None else {**found, TARGET: float(target)}


def _rows(rule: str, call: Call, facts: Facts, units: Units, against: Mapping[str, float],
          conf_level: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of one rule, one per group, and the people behind them."""
    filled = units if rule in (COMPLETE_CASE, WEIGHTED) else _filled(rule, call, facts, units)
    part = estimate(call.metric.kind, filled, conf_level=conf_level)[0]
    if rule == WEIGHTED:
        part = _weighted(call, facts, units, part, conf_level)
    if rule in HOW:
        part = replace(part, method=f"{part.method}; {HOW[rule]}")
    own = rule in (COMPLETE_CASE, MISSING_NOT_ACHIEVED) and part.successes is not None
    rows, people = to_rows([replace(part, estimand=rule, amounts=part.amounts if own else {})], filled)
    told = [verdict(low, high, against) for low, high in zip(part.low, part.high, strict=True)]
    rows["note"] = ["; ".join(filter(None, pair)) for pair in zip(told, rows["note"], strict=True)]
    return rows, people if own or rule == COMPLETE_CASE else _protected(people, part, units, filled)


def _weighted(call: Call, facts: Facts, units: Units, part: Part, conf_level: float) -> Part:
    """Complete cases weighted for being complete."""
    covariates = foretelling(call, facts).iloc[units.row[units.eligible]]
    interval = stats.completion_weighted(
        np.where(units.used, units.value, np.nan)[units.eligible],
        without_gaps(covariates, units.used[units.eligible]), units.group[units.eligible],
        units.patient[units.eligible], units.n_groups, is_share=call.metric.kind == "proportion", conf_level=conf_level)
    on = f" on {', '.join(covariates)}" if len(covariates.columns) else ", no covariate is known"
    return replace(part, estimate=interval.estimate, low=interval.low, high=interval.high, note=interval.note,
                   method=interval.method + on)


def foretelling(call: Call, facts: Facts) -> pd.DataFrame:
    """What may tell who has a score; raw baselines only where all are on one scale."""
    episodes = facts.episodes
    found = {"baseline": scores_of(facts, call.measure)["baseline"] if call.measure else None,
             "age": episodes.get("age"), "visits": episodes["n_attended"]}
    numbers = {name: pd.to_numeric(column, errors="coerce").astype(float) for name, column in found.items()
               if column is not None}
    return pd.DataFrame({name: column for name, column in numbers.items() if column.notna().any()},
                        index=episodes.index)


def without_gaps(covariates: pd.DataFrame, is_complete: np.ndarray) -> np.ndarray:
    """Without gaps: a missing covariate gets the mean, and a column says that it was missing, unless all of those are
    complete, or none is: such a column would tell with certainty."""
    gaps = covariates.isna()
    gaps = gaps.loc[:, gaps[is_complete].any() & gaps[~is_complete].any()]
    return np.column_stack([covariates.fillna(covariates.mean()).fillna(0.0), gaps.astype(float)])


def _filled(rule: str, call: Call, facts: Facts, units: Units) -> Units:
    """The units with the values that the rule gives to those eligible without one."""
    if units.lacking and not units.used.any():
        return units
    values = FILLERS[rule](call, facts)[units.row]
    return replace(units, value=np.where(units.used, units.value, values), note="")


def _not_achieved(call: Call, facts: Facts) -> np.ndarray:
    if call.metric.name == "final_score":
        return scores_of(facts, call.measure)["baseline"].to_numpy(float)
    adverse = call.metric.kind == "proportion" and call.metric.better == "lower"
    return np.full(len(facts.episodes), float(adverse))


def _asked_of(change: Callable[[Facts, pd.DataFrame], pd.DataFrame], call: Call, facts: Facts) -> np.ndarray:
    """The metric's values if scores that are no pair were as `change` makes them."""
    scores = facts.scores
    return call.values(replace(facts, scores=change(facts, scores))).value.to_numpy(float)


def _with_interim(facts: Facts, scores: pd.DataFrame) -> pd.DataFrame:
    if "interim" not in scores:
        return scores
    open_pair = (scores["why_unpaired"] != "") & scores["interim"].notna() & scores["baseline"].notna()
    return scores.assign(final=scores["final"].mask(open_pair, scores["interim"]),
                         why_unpaired=scores["why_unpaired"].mask(open_pair, ""))


def _interim(call: Call, facts: Facts) -> np.ndarray:
    return _asked_of(_with_interim, call, facts)


def _ends(final: Callable, baseline: Callable, facts: Facts, scores: pd.DataFrame) -> pd.DataFrame:
    """Pairs that are none get the other end of the scale as baseline where there is none, and the end as final score
    unless only the baseline lacks."""
    known = scores["final"].notna() & ((scores["why_unpaired"] == "") | scores["baseline"].isna())
    return scores.assign(baseline=scores["baseline"].fillna(baseline(facts, scores)),
                         final=scores["final"].where(known, final(facts, scores)), why_unpaired="")


@dataclass(frozen=True)
class _Bound:
    """Missing scores at one end of the scale; a share that still has no value is at its own end."""

    final: Callable
    baseline: Callable
    is_good: bool

    def __call__(self, call: Call, facts: Facts) -> np.ndarray:
        values = _asked_of(lambda facts, scores: _ends(self.final, self.baseline, facts, scores), call, facts)
        if call.metric.kind != "proportion":
            return values
        return np.where(np.isnan(values), float(self.is_good == (call.metric.better == "higher")), values)


FILLERS: dict[str, Callable[[Call, Facts], np.ndarray]] = {
    MISSING_NOT_ACHIEVED: _not_achieved, LAST_INTERIM: _interim, WORST_CASE: _Bound(worst_score, best_score, False),
    BEST_CASE: _Bound(best_score, worst_score, True)}


def _protected(people: pd.DataFrame, part: Part, units: Units, filled: Units) -> pd.DataFrame:
    """The fewest people that a reader could get by taking one row from another: release withholds rows about few.

    Beside a complete-case row, a row in which others got a value tells how those others did.
    """
    added = filled.used & ~units.used
    achieved = part.successes if part.successes is not None else filled.used
    found = people.copy()
    for name, mask in (("numerator", achieved), ("complement", filled.used & ~achieved)):
        both = [stats.n_distinct(units.patient[these], units.group[these], units.n_groups)
                for these in (mask, mask & added)]
        found[name] = np.where(both[1] > 0, np.minimum(*both), both[0])
    return found
