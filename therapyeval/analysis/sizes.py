"""How large a study must be, planned with what the program's own data show: spread or share, and clustering."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from therapyeval import stats
from therapyeval.analysis.effects import Scale, make_scale
from therapyeval.analysis.estimate import Part, exclusions, to_rows
from therapyeval.analysis.margins import read_margin
from therapyeval.analysis.sample import find_clusters
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import Units, select_units
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, parse_period
from therapyeval.result import COMPLETE_CASE, Result, make_frame

ONE_MCID = "1 MCID"
CAUTIOUS = "SD at its upper 80% limit"
FEW_CLUSTERS = 20
STABLE_SD, STABLE_SHARE, HALF_WIDTH = 35, 60, 0.10      # units per group: Teare 2014; half width of a share
STEPS = ((0.1, 75), (0.3, 25), (0.7, 15), (np.inf, 10))  # effect in SDs below which -> units per group: Whitehead 2016
OF_THE_MAIN_STUDY = 0.09                                # Cocks and Torgerson 2013


@dataclass(frozen=True)
class _Plan:
    """What is planned: the difference to find (in units of the metric), units per group that can be had, power and
    alpha, and how many times more units clustering costs; `per_cluster` is None without clusters."""

    difference: float | None
    per_group: int | None
    power: float
    alpha: float
    effect: float = 1.0
    per_cluster: float | None = None

    @property
    def options(self) -> dict[str, float]:
        return {"alpha": self.alpha, "design_effect": self.effect}

    def words(self, test: str) -> str:
        return self.clustered(f"{test}, alpha {self.alpha:.3g}")

    def clustered(self, text: str) -> str:
        return text if self.per_cluster is None else f"{text}; design effect {self.effect:.3g}"


@dataclass(frozen=True)
class _Row:
    """A number of the plan, with the method in words."""

    statistic: str
    estimate: float
    method: str
    level: str = ""
    unit: str = ""
    note: str = ""
    low: float = np.nan
    high: float = np.nan


def sample_size(cohort: Cohort, metric: str, *, difference: float | str | None = None, per_group: int | None = None,
                cluster: str | None = None, per_cluster: float | None = None, power: float = 0.8,
                period: str | Period | None = None, conf_level: float = 0.95) -> Result:
    """How many units a comparison of two equal groups needs, or what a group of a given size can find.

    The spread of a mean and the share of a proportion are those of the cohort; so is the correlation within clusters.

    Parameters
    ----------
    metric : a mean or a proportion, such as "score_change:lefs"
    difference : the difference to find, in units of the metric or as "0.5 MCID"; by default one MCID where the measure
        has one. Of a proportion it is a difference of shares, in the better direction, from that of the cohort
    per_group : units per group that can be had: adds the power and the smallest difference that is found with `power`
    cluster : attribute whose values are the clusters that would be in one group as a whole, such as "site_id"
    per_cluster : units of each cluster in the study (default: the mean in the cohort, and their spread)
    power, conf_level : between 0 and 1; tests are two-sided at 1 - conf_level

    Returns
    -------
    Result
        Rows by `statistic`: `sd` or `proportion` of the cohort; with clusters `icc`, `design_effect` (limits from those
        of the ICC) and `clusters_per_group`; `n_per_group`; with `per_group` also `power` and `detectable_difference`;
        and `pilot_n_per_group` by rules of thumb, which `level` names. The level "SD at its upper 80% limit" is the
        size to plan with where the SD comes from few people. Sizes are units with a value: add those that will be lost.
        Units without a value are counted in `n_missing`. Thin data give NaN and a note.

    Raises
    ------
    ParameterError, UnknownNameError, NotEvaluableError
        For other kinds of metrics, a difference or a size out of range or not given, and unknown attributes.

    Source: pilot study requirements (sample size for pilots); Donner and Klar (2000) for clusters.
    """
    call, period = parse(metric), parse_period(period)
    if call.metric.kind not in ("mean", "proportion") or call.metric.variant or call.metric.statuses or (
            call.metric.by_level):
        raise ParameterError(f"{call.text}: a sample size is planned for a mean or a proportion of episodes or stays.")
    units, scale = select_units(call, cohort, [], period, None), make_scale(call, cohort.facts)
    plan = _read_plan(call, scale, difference, per_group, power, 1 - conf_level)
    rows = []
    if cluster is not None:
        code, _ = find_clusters(call, cohort, units, units.used, cluster)
        plan, rows = _clustered(plan, code, units, cluster, per_cluster, conf_level)
    elif per_cluster is not None:
        raise ParameterError("per_cluster is given without cluster: name the attribute whose values are the clusters.")
    rows = (_of_shares if call.metric.kind == "proportion" else _of_means)(plan, units, scale, rows)
    frame, people = to_rows([_part(row, units) for row in rows], units, metric=call.text, unit=scale.unit)
    return Result(make_frame(frame), f"Size of a study of: {call.metric.label}", answered(cohort, call, period),
                  conf_level, exclusions(units, call.text), people)


def _read_plan(call: Call, scale: Scale, difference: float | str | None, per_group: int | None, power: float,
               alpha: float) -> _Plan:
    if difference is None and scale.mcid:
        difference = ONE_MCID
    if difference is None and per_group is None:
        raise ParameterError(f"{call.text} has no MCID of its own: give difference= in {scale.unit}, or per_group= "
                             "for what a group of that size can find.")
    if per_group is not None and (per_group < 2 or per_group % 1):
        raise ParameterError(f"per_group={per_group:g} is no size of a group. Use a whole number from 2.")
    if not 0 < alpha < 1 or not alpha < power < 1:
        raise ParameterError(f"power={power:g} must lie between {alpha:g} (1 - conf_level) and 1.")
    size = None if difference is None else read_margin(call.text, difference, scale, named="difference",
                                                       is_share=call.metric.kind == "proportion")
    return _Plan(size, per_group, power, alpha)


def _clustered(plan: _Plan, code: np.ndarray, units: Units, cluster: str, per_cluster: float | None,
               conf_level: float) -> tuple[_Plan, list[_Row]]:
    """The plan with its design effect, and the rows about it."""
    found = stats.icc(units.value[units.used], np.zeros(len(code), dtype=np.int64), code, 1, conf_level=conf_level)
    sizes = np.bincount(code) if len(code) else np.ones(1)
    if per_cluster is not None and not per_cluster >= 1:
        raise ParameterError(f"per_cluster={per_cluster:g} is no number of units. Use 1 or more.")
    size, spread = (sizes.mean(), sizes.std() / sizes.mean()) if per_cluster is None else (float(per_cluster), 0.0)

    def effect(icc: float) -> float:        # clusters that are less alike than chance cost nothing
        return np.nan if np.isnan(icc) else stats.design_effect(size, min(max(icc, 0.0), 1.0), cv=spread)

    estimate, low, high = (float(numbers[0]) for numbers in (found.estimate, found.low, found.high))
    sized = f"{size:.3g} units per {cluster}" + (f", SD of their number {spread:.2g} times that" if spread else "")
    note = str(found.note[0])
    rows = [_Row("icc", estimate, f"{found.method}, by {cluster}", "", "correlation", note, low, high),
            _Row("design_effect", effect(estimate), sized, "", "times", note, effect(low), effect(high))]
    return replace(plan, effect=effect(estimate), per_cluster=size), rows


def _of_means(plan: _Plan, units: Units, scale: Scale, rows: list[_Row]) -> list[_Row]:
    value = units.value[units.used]
    sd = float(stats.sd(value, np.zeros(len(value), dtype=np.int64), 1)[0])
    if not sd > 0 or np.isnan(plan.effect):
        note = "needs two values that differ" if not sd > 0 else "no design effect can be estimated"
        return [_Row("sd", sd, "SD of the cohort", note=note if not sd > 0 else ""), *rows,
                _Row("n_per_group", np.nan, "two-sided t test", unit="units", note=note)]
    cautious = stats.upper_sd(sd, len(value))
    found = [_Row("sd", sd, "SD of the cohort"), _Row("sd", cautious, "chi-square limit of the SD", CAUTIOUS), *rows,
             *_for_spread(plan, sd, ""), *_for_spread(plan, cautious, CAUTIOUS)]
    found.append(_pilot(plan, "for a stable SD", STABLE_SD, "Teare and others 2014"))
    if plan.difference is not None:
        stepped = next(n for below, n in STEPS if plan.difference / sd < below)
        found += [_pilot(plan, "by the size of the effect", stepped, "Whitehead and others 2016, power 0.9"),
                  _of_main_study(found)]
    return found


def _for_spread(plan: _Plan, sd: float, level: str) -> list[_Row]:
    """Size, power and smallest difference of a t test, as far as the plan asks for them."""
    test, rows = f"two-sided t test, power {plan.power:.3g}", []
    if plan.difference is not None:
        n = stats.n_for_means(plan.difference, sd, power=plan.power, **plan.options)[0]
        rows += _sizes(plan, n, f"{test}, difference {plan.difference:.4g}", level)
    if plan.per_group is None:
        return rows
    two = (plan.per_group, plan.per_group)
    if plan.difference is not None:
        planned = f"two-sided t test, {plan.per_group} per group, difference {plan.difference:.4g}"
        rows.append(_Row("power", stats.power_means(*two, plan.difference, sd, **plan.options), plan.words(planned),
                         level, "proportion"))
    smallest = stats.detectable_difference(*two, sd, power=plan.power, **plan.options)
    return [*rows, _Row("detectable_difference", smallest, plan.words(f"{test}, {plan.per_group} per group"), level)]


def _of_shares(plan: _Plan, units: Units, scale: Scale, rows: list[_Row]) -> list[_Row]:
    value = units.value[units.used]
    share = float(value.mean()) if len(value) else np.nan
    found = [_Row("proportion", share, "share of the cohort", note="" if len(value) else "no unit has a value"), *rows]
    if not 0 < share < 1 or np.isnan(plan.effect):
        note = "needs units with and without it" if not 0 < share < 1 else "no design effect can be estimated"
        return [*found, _Row("n_per_group", np.nan, "two-sided test of two shares", unit="units", note=note)]
    sign, test = -1 if scale.better == "lower" else 1, f"two-sided test of two shares, power {plan.power:.3g}"
    other = np.nan if plan.difference is None else share + sign * plan.difference
    reached = 0 < other < 1
    if plan.difference is not None:
        n = stats.n_for_proportions(share, other, power=plan.power, **plan.options)[0] if reached else np.nan
        found += _sizes(plan, n, f"{test}, difference {plan.difference:.4g}", "",
                        "" if reached else "a share from 0 to 1 cannot change by that much")
    if plan.per_group is not None:
        two = (plan.per_group, plan.per_group)
        found += [] if not reached else [_Row("power", stats.power_proportions(*two, share, other, **plan.options),
                                              plan.words(f"two-sided test of two shares, {plan.per_group} per group, "
                                                         f"difference {plan.difference:.4g}"), unit="proportion")]
        ends = stats.detectable_proportions(*two, share, power=plan.power, **plan.options)
        smallest = abs(ends[sign > 0] - share)
        found.append(_Row("detectable_difference", smallest, plan.words(f"{test}, {plan.per_group} per group"),
                          note="no difference is found with this power" if np.isnan(smallest) else ""))
    precise = stats.n_for_share(share, HALF_WIDTH, conf_level=1 - plan.alpha)
    return [*found, _pilot(plan, "for a stable share", STABLE_SHARE, "Teare and others 2014"),
            _pilot(plan, f"for a share within {HALF_WIDTH:.2f}", precise, "normal interval of a share"),
            *([_of_main_study(found)] if reached else [])]


def _sizes(plan: _Plan, n: float, test: str, level: str, note: str = "") -> list[_Row]:
    """Units per group, and clusters per group where there are clusters."""
    rows = [_Row("n_per_group", float(n), plan.words(test), level, "units", note)]
    if plan.per_cluster is not None:
        k = np.nan if np.isnan(n) else float(ceil(n / plan.per_cluster - 1e-9))
        few = f"fewer than {FEW_CLUSTERS} clusters in all: the power is lower than planned"
        rows.append(_Row("clusters_per_group", k, plan.words(test), level, "clusters",
                         note or (few if 2 * k < FEW_CLUSTERS else "")))
    return rows


def _pilot(plan: _Plan, rule: str, n: int, source: str) -> _Row:
    return _Row("pilot_n_per_group", float(ceil(n * plan.effect - 1e-9)), plan.clustered(source), rule, "units")


def _of_main_study(found: list[_Row]) -> _Row:
    """A pilot as a share of the main study, whose size holds its design effect already."""
    n = next(row.estimate for row in found if row.statistic == "n_per_group")
    return _Row("pilot_n_per_group", float(ceil(OF_THE_MAIN_STUDY * n - 1e-9)), "Cocks and Torgerson 2013",
                "9% of the main study", "units")


def _part(row: _Row, units: Units) -> Part:
    estimate, low, high = (np.array([number]) for number in (row.estimate, row.low, row.high))
    return Part(row.statistic, COMPLETE_CASE, estimate, low, high, row.method, np.array([row.note], dtype=object),
                units.used, level=row.level, unit=row.unit)
