"""`compare`: groups of a cohort against a reference. Choose a model, fit it, give rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.balance_rows import balance_lines
from therapyeval.analysis.contrast_rows import check_line, effect_lines, joint_line, to_frames
from therapyeval.analysis.effects import Effect, Scale, beside, make_scale
from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.filling import Filled, fill, tipping_lines
from therapyeval.analysis.incomplete import RULES, apply_rule
from therapyeval.analysis.margins import check_margin, margin_lines, read_margin
from therapyeval.analysis.model_checks import run_checks
from therapyeval.analysis.models import SCORES, SHARES, choose
from therapyeval.analysis.sample import COMPLETE, NOMINAL, WEIGHT, Asked, Sample, kind_of, make_samples, reference_pairs
from therapyeval.analysis.subgroups import check_subgroups, subgroup_lines
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import Units, select_units
from therapyeval.cohort import Cohort
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, parse_period
from therapyeval.result import ALL_GROUPS, CHECK, Result, check_names, make_frame
from therapyeval.stats.variances import VARIANCES

P_ADJUSTMENTS = ("holm", "hochberg", "benjamini_hochberg")
OTHER_TESTS = ("interaction", "equivalence", "non_inferiority")


@dataclass(frozen=True)
class _Question:
    """What is asked of every metric."""

    groups: str
    reference: str | Sequence[str] | None
    asked: Asked
    model: str | None
    subgroups: tuple[str, ...]
    margin: float | str | None
    period: Period | None

    @property
    def by(self) -> list[str]:
        return [self.groups, *self.subgroups]


def compare(cohort: Cohort, metric: str | Sequence[str], *, groups: str, reference: str | Sequence[str] | None = None,
            adjust: str | Sequence[str] = (), period: str | Period | None = None, cluster: str | None = None,
            variance: str = "HC3", missing: str = "complete", model: str | None = None,
            subgroups: str | Sequence[str] = (), margin: float | str | None = None, p_adjust: str | None = None,
            conf_level: float = 0.95) -> Result:
    """Compare a metric, or several, between the groups of an attribute.

    Parameters
    ----------
    groups : attribute that names the groups
    reference : group, or groups, that every other group is compared with (default: the first in order)
    adjust : covariates: attributes, and "baseline" for the measure's own baseline score
    cluster : attribute whose values are clusters. None means by patient as soon as any patient has two units
    variance : HC3, HC2 or classical, of an adjusted difference of independent units; where units belong together it is
        CR2, or CR1 where that is asked for (too small below some 40 clusters)
    missing : what is done about units without a value or a covariate; they are counted in `n_missing`, never in `n`.
        "complete": left out. "impute": filled 50 times from groups, covariates, clusters named and what foretells a
        value (baseline, age, visits), pooled by Rubin's rules; for means with the tipping point. "weight": the others
        weighted for having a value. "worst", "best": at the end of the scale that is worst, or best, for the first
        group named, and the other way round in the second; of a class without order outside it, or in it
    model : name of one in `analysis.models.MODELS` (student, mann_whitney, logistic, mixed, iptw, cox ...). None takes
        the default for the kind of metric, the covariates and the clusters; `method` says which and why
    subgroups : attributes whose values are subgroups stated beforehand (HC3 or logistic), with the interaction test
    margin : of equivalence and non-inferiority, in units of the metric or as "0.5 MCID"
    p_adjust : "holm", "hochberg" or "benjamini_hochberg", over all contrasts and metrics of the call
    conf_level : float, between 0 and 1; intervals are never adjusted, unless the model says so (tukey, games_howell)

    Returns
    -------
    Result
        One row per group, then for each contrast ("PRT - usual", its group column empty) the effect with interval and
        P, and the same effect in MCIDs, SDs (Hedges g), as probability of superiority, ratio or number needed to treat.
        With more than two groups a test of all ("all groups"). Last the checks of the model: a number in `estimate`,
        its meaning in `note`. Positive differences favor the first group named only where the metric's better
        direction is higher; numbers needed to treat are positive for benefit, and where their interval goes through
        infinity `conf_low` is the number to benefit and `conf_high`, negative, that to harm.

    Raises
    ------
    ParameterError, UnknownNameError, NotEvaluableError
        For unknown groups, covariates or models, a model or a rule for the missing that does not fit, infinite values,
        a metric that cannot be compared yet, or fewer than two groups. Thin data give NaN and a note instead.
    """
    adjust, subgroups, metrics = _names(adjust), _names(subgroups), _names(metric)
    check_names([groups, *subgroups])
    _check(variance, missing, p_adjust)
    if groups in subgroups:
        raise ParameterError(f"{groups} names the groups already: it cannot name subgroups as well.")
    asked = Asked(adjust, cluster, variance, conf_level, missing)
    question = _Question(groups, reference, asked, model, subgroups, margin, parse_period(period))
    results = [_compare(parse(text), cohort, question) for text in metrics]
    title = f"{'; '.join(dict.fromkeys(result.title for result in results))} by {groups}"
    return _adjust_p(results[0].concat(*results[1:], title=title), p_adjust)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check(variance: str, missing: str, p_adjust: str | None) -> None:
    if variance not in VARIANCES:
        raise ParameterError(f"variance={variance!r} is not known. Use one of {', '.join(VARIANCES)}.")
    if missing not in RULES:
        raise ParameterError(f"missing={missing!r} is not known. Use one of {', '.join(RULES)}.")
    if p_adjust is not None and p_adjust not in P_ADJUSTMENTS:
        raise ParameterError(f"p_adjust={p_adjust!r} is not known. Use one of {', '.join(P_ADJUSTMENTS)}.")


def _check_metric(call: Call) -> None:
    metric = call.metric
    counted = ("episodes", "referrals") if metric.kind == "time" else ("episodes",)
    if metric.variant or call.population not in counted or metric.statuses:
        raise ParameterError(f"{call.text} cannot be compared yet: compare takes means, proportions, medians, ratios "
                             "and classes of episodes, and times to an event. Use summarize with by= for its values "
                             "and intervals.")


def _compare(call: Call, cohort: Cohort, question: _Question) -> Result:
    _check_metric(call)
    units = select_units(call, cohort, [question.groups], question.period, None)
    levels = units.keys[question.groups]
    if len(levels) < 2:
        raise NotEvaluableError(f"comparing needs at least two groups; {question.groups} has {len(levels)} in this "
                                "cohort.")
    pairs = reference_pairs(list(levels), question.groups, question.reference)
    by_subgroup = {name: select_units(call, cohort, [question.groups, name], question.period, None)
                   for name in question.subgroups}
    found = [_group_rows(call, each, question) for each in (units, *by_subgroup.values())]
    values = {name: each.keys[name].to_numpy()[each.group] for name, each in by_subgroup.items()}
    samples = make_samples(call, cohort, units, pairs, question.asked)
    scale = make_scale(call, cohort.facts)
    filling = cache(lambda: fill(call, cohort, samples[0]))              # once, for all classes
    try:
        found += _all_classes(call, units, question) + [_answer(call, cohort, sample, scale, values, question, filling)
                                                        for sample in samples]
    except ValueError as problem:
        raise ParameterError(f"{call.text}: {problem}. Correct the arguments, or name another model.") from None
    rows, people = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    order = rows["statistic"].str.startswith(CHECK).sort_values(kind="stable").index
    rows, people = rows.loc[order], people.loc[order].reset_index(drop=True)
    rows = rows.assign(metric=call.text, unit=rows["unit"].fillna(scale.unit), **dict.fromkeys(
        name for name in question.by if name not in rows))
    return Result(make_frame(rows, question.by), call.metric.label, answered(cohort, call, question.period),
                  question.asked.conf_level, exclusions(units, call.text), people)


def _group_rows(call: Call, units: Units, question: _Question) -> tuple[pd.DataFrame, pd.DataFrame]:
    parts = estimate(call.metric.kind, units, beside=call.metric.beside, two_rules=call.metric.two_rules,
                     conf_level=question.asked.conf_level)
    rows, people = to_rows(parts, units)
    return rows.assign(unit=None), people


def _answer(call: Call, cohort: Cohort, sample: Sample, scale: Scale, values: dict[str, np.ndarray],
            question: _Question, filling: Callable[[], Filled]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows about several groups under one rule for the missing: effects, tests, subgroups, margins, checks."""
    kind = NOMINAL if sample.level else kind_of(call)
    if values and question.asked.missing != COMPLETE:
        raise ParameterError(f"{call.text}: subgroups come with missing='complete' only. Leave one of the two out.")
    if sample.rule == WEIGHT and question.model:
        raise ParameterError(f"{call.text}: missing='weight' has a model of its own, a weighted difference. Leave "
                             "model out.")
    named, why = choose(call.text, kind, sample, question.model)
    answer = apply_rule(call, cohort, named, sample, scale, filling)
    model, sample = answer.model, answer.sample
    contrast = model.fit(sample)
    statistic = model.effect_of(sample)
    unit = _UNITS.get(statistic, scale.unit)
    method = model.method(sample, contrast.method, "" if sample.rule == WEIGHT else why)
    main = Effect(statistic, contrast, unit, (sample.units.note,) * len(sample.pairs), method)
    lines = effect_lines([main, *beside(model.beside, sample, main, scale)], sample)
    if answer.filled and kind in SCORES:
        lines += tipping_lines(answer.filled, answer.single, sample, main, scale)
    if model.joint and sample.units.n_groups > 2:
        lines.append(joint_line(model.joint(sample), sample.units))
    if values:
        check_subgroups(call.text, kind, sample, values)
    for name, value in values.items():
        lines += subgroup_lines(kind, sample, name, value, scale.unit)
    if question.margin is not None:
        check_margin(call.text, model)
        size = read_margin(call.text, question.margin, scale, is_share=kind in SHARES)
        lines += margin_lines(model, main, sample, size, scale)
    lines += balance_lines(model, sample)
    lines += [check_line(check, sample.units) for check in run_checks(model, sample, contrast)]
    return to_frames(lines, sample)


_UNITS = {"hazard_ratio": "ratio", "odds_ratio": "ratio", "rate_ratio": "ratio", "rank_difference": "ranks"}


def _all_classes(call: Call, units: Units, question: _Question) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Of classes without order: are the shares of all of them the same in all groups? Of complete cases only."""
    if kind_of(call) != NOMINAL or question.asked.missing != COMPLETE:
        return []
    sample = Sample(units, units.used, units.value, pd.DataFrame(index=range(len(units.row))), [],
                    Asked((), None, "HC3", 0.95))
    table = np.zeros((units.n_groups, len(units.levels)), dtype=np.int64)
    np.add.at(table, (sample.group, sample.value.astype(int)), 1)
    patient = units.patient[units.used]
    alone = len(np.unique(patient)) == len(patient)
    return [to_frames([joint_line(stats.chi_square(table), units)], sample)] if alone else []


def _adjust_p(result: Result, method: str | None) -> Result:
    """P values of the main contrasts adjusted as one family for each rule for the missing; said in `method`."""
    if method is None:
        return result
    frame = result.to_frame()
    main = (frame["contrast"] != "") & (frame["contrast"] != ALL_GROUPS) & frame["p_value"].notna()
    main &= ~frame["statistic"].isin(OTHER_TESTS)
    if frame.loc[main, "method"].str.contains("Tukey|Games-Howell").any():
        raise ParameterError("this model's P values are adjusted for several contrasts already: leave p_adjust out.")
    for rule in frame.loc[main, "estimand"].unique():
        family = main & (frame["estimand"] == rule)
        frame.loc[family, "p_value"] = stats.adjust_p(frame.loc[family, "p_value"].to_numpy(), method)
        frame.loc[family, "method"] += f"; P adjusted for {family.sum()} tests ({method.replace('_', ' ')})"
    return replace(result, frame=frame)
