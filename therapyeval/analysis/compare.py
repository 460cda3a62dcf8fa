"""`compare`: groups of a cohort against a reference, unadjusted or adjusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import Units, population_frame, select_units
from therapyeval.cohort import Cohort
from therapyeval.errors import NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.metrics.eligible import oriented_baseline
from therapyeval.metrics.registry import Call, parse
from therapyeval.period import Period, parse_period
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, PEOPLE, Result, check_names, make_frame

VARIANCES = ("HC3", "HC2", "classical", "CR2")
BASELINE = "baseline"


def compare(cohort: Cohort, metric: str, *, groups: str, reference: str | Sequence[str] | None = None,
            adjust: Sequence[str] = (), period: str | Period | None = None, cluster: str | None = None,
            variance: str = "HC3", missing: str = "complete", conf_level: float = 0.95) -> Result:
    """Compare a metric between the groups of an attribute.

    Parameters
    ----------
    groups : attribute that names the groups
    reference : group, or groups, that every other group is compared with (default: the first in order)
    adjust : covariates of an ANCOVA: attributes, and "baseline" for the measure's own baseline score
    cluster : attribute whose values are clusters (CR2). None means by patient as soon as any patient has
        two units; with one unit each it is Welch, Newcombe or the `variance` asked for
    variance : HC3, HC2, classical or CR2, of an adjusted difference
    missing : "complete": units without a value or a covariate are left out and counted in `n_missing`

    Returns
    -------
    Result
        One row per group, then one per contrast ("PRT - usual") whose group column is empty. Positive
        differences favor the first group named only where the metric's better direction is higher.

    Raises
    ------
    ParameterError, UnknownNameError, NotEvaluableError
        For unknown groups or covariates, a metric that cannot be compared yet, or fewer than two groups.
    """
    check_names([groups])
    call, period = parse(metric), parse_period(period)
    _check(call, adjust, variance, missing)
    units = select_units(call, cohort, [groups], period, None)
    pairs = _pairs(units.keys[groups], groups, reference)
    frame, people = to_rows(
        estimate(call.metric.kind, units, beside=call.metric.beside, two_rules=call.metric.two_rules,
                 conf_level=conf_level), units)
    compared = [_proportions, _means][call.metric.kind == "mean"](
        call, cohort, units, pairs, list(adjust), cluster, variance, conf_level)
    rows = pd.concat([frame, *(part for part, _ in compared)], ignore_index=True)
    rows = rows.assign(metric=call.text, unit=call.unit(cohort.facts))
    behind = pd.concat([people, *(part for _, part in compared)], ignore_index=True)
    title = f"{call.metric.label} by {groups}"
    return Result(make_frame(rows, [groups]), title, answered(cohort, call, period), conf_level,
                  exclusions(units, call.text), behind)


def contrast_name(first: object, second: object) -> str:
    return f"{first} - {second}"


def reference_pairs(levels: Sequence[object], groups: str,
                    reference: str | Sequence[str] | None) -> list[tuple[int, int]]:
    """(group, reference) positions: every group that is not a reference, with each reference."""
    names = [str(level) for level in levels]
    references = [names[0]] if reference is None else [reference] if isinstance(reference, str) else list(reference)
    for name in references:
        if name not in names:
            raise UnknownNameError(f"value of {groups}", name, names)
    return [(names.index(name), names.index(against)) for against in references
            for name in names if name not in references]


def _pairs(levels: pd.Series, groups: str, reference: str | Sequence[str] | None) -> list[tuple[int, int]]:
    if len(levels) < 2:
        raise NotEvaluableError(f"comparing needs at least two groups; {groups} has {len(levels)} in this cohort.")
    return reference_pairs(list(levels), groups, reference)


def _check(call: Call, adjust: Sequence[str], variance: str, missing: str) -> None:
    plain = call.metric.kind in ("mean", "proportion") and not call.metric.variant and not call.metric.by_level
    if not plain or call.population != "episodes":
        raise ParameterError(f"{call.text} cannot be compared yet: compare takes means and proportions of episodes. "
                             "Use summarize with by= for its values and intervals.")
    if adjust and call.metric.kind == "proportion":
        raise ParameterError(f"{call.text} is a proportion: adjusted risk differences are not available yet. "
                             "Leave adjust out.")
    if variance not in VARIANCES:
        raise ParameterError(f"variance={variance!r} is not known. Use one of {', '.join(VARIANCES)}.")
    if missing != "complete":
        raise ParameterError(f"missing={missing!r} is not available yet. Use missing='complete'.")


def _means(call: Call, cohort: Cohort, units: Units, pairs: list, adjust: list[str], cluster: str | None,
           variance: str, conf_level: float) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    covariates = _covariates(call, cohort, units, adjust)
    used = units.used & covariates.notna().all(axis=1).to_numpy()
    clusters, why = _clusters(call, cohort, units, used, cluster)
    value, group = units.value[used], units.group[used]
    if clusters is None and not adjust:
        contrast = stats.welch(value, group, pairs, conf_level=conf_level)
        method = contrast.method
    else:
        contrast = stats.adjusted_difference(
            value, group, pairs, covariates[used], cluster=clusters, conf_level=conf_level,
            variance="CR2" if clusters is not None else variance)
        on = f" on {', '.join(adjust)}" if adjust else ""
        method = ("ANCOVA" if adjust else "difference of means") + on + f"; {contrast.method}" + why
    return [_contrast_rows("difference", COMPLETE_CASE, contrast, method, units, used, pairs)]


def _proportions(call: Call, cohort: Cohort, units: Units, pairs: list, adjust: list[str], cluster: str | None,
                 variance: str, conf_level: float) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    repeated = _has_repeats(units.patient[units.used])
    found = []
    for rule in (COMPLETE_CASE, MISSING_NOT_ACHIEVED)[: 1 + call.metric.two_rules]:
        used = units.used if rule == COMPLETE_CASE else units.eligible
        value = np.where(used, np.nan_to_num(units.value), 0)
        if repeated or cluster:
            clusters, why = _clusters(call, cohort, units, used, cluster)
            contrast = stats.adjusted_difference(
                value[used], units.group[used], pairs, pd.DataFrame(index=range(used.sum())),
                variance="CR2", cluster=clusters, conf_level=conf_level)
            method = f"difference of proportions; {contrast.method}{why}"
        else:
            n = np.bincount(units.group[used], minlength=units.n_groups)
            successes = np.bincount(units.group, weights=value, minlength=units.n_groups).astype(np.int64)
            contrast = stats.risk_difference(successes, n, pairs, conf_level=conf_level)
            method = contrast.method
        found.append(_contrast_rows("risk_difference", rule, contrast, method, units, used, pairs))
    return found


def _clusters(call: Call, cohort: Cohort, units: Units, used: np.ndarray,
              cluster: str | None) -> tuple[np.ndarray | None, str]:
    """Cluster codes of the units used, and how the method says it; None where every unit stands alone."""
    if cluster is not None:
        frame = population_frame(cohort.facts, call.population)
        if cluster not in frame:
            raise UnknownNameError("attribute", cluster, cohort.facts.attributes)
        named = frame[cluster].iloc[units.row].astype(object)
        if named[used].isna().any():
            raise ParameterError(f"{int(named[used].isna().sum())} units have no {cluster}, so they cannot be "
                                 "clustered by it.")
        return pd.factorize(named[used])[0], f", clustered by {cluster}"
    if _has_repeats(units.patient[used]):
        return units.patient[used], ", clustered by patient"
    return None, ""


def _has_repeats(patient: np.ndarray) -> bool:
    return len(np.unique(patient)) < len(patient)


def _covariates(call: Call, cohort: Cohort, units: Units, adjust: list[str]) -> pd.DataFrame:
    frame = population_frame(cohort.facts, call.population)
    found = pd.DataFrame(index=range(len(units.row)))
    for name in adjust:
        if name == BASELINE and call.measure:
            column = oriented_baseline(cohort.facts, call.measure)
        elif name in frame:
            column = frame[name]
        else:
            raise UnknownNameError("covariate", name, [*cohort.facts.attributes, BASELINE])
        found[name] = column.iloc[units.row].to_numpy()
    return found


def _contrast_rows(statistic: str, estimand: str, contrast: stats.Contrast, method: str, units: Units,
                   used: np.ndarray, pairs: list) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the contrasts; their counts are those of both groups together."""
    names = units.keys.iloc[:, 0].tolist()
    notes = ["; ".join(filter(None, [note, units.note if not np.isnan(value) else ""]))
             for note, value in zip(contrast.note, contrast.estimate, strict=True)]
    rows, people = [], []
    for position, (first, second) in enumerate(pairs):
        both = np.isin(units.group, (first, second))
        sets = {"n": both & used, "n_missing": both & units.eligible & ~used, "n_excluded": both & ~units.eligible}
        rows.append({"contrast": contrast_name(names[first], names[second]), "statistic": statistic,
                     "estimand": estimand, "estimate": contrast.estimate[position],
                     "conf_low": contrast.low[position], "conf_high": contrast.high[position],
                     "p_value": contrast.p_value[position], "method": method, "note": notes[position],
                     "n_people": _n_people(units, sets["n"]), **{name: int(mask.sum()) for name, mask in sets.items()}})
        people.append({name: _n_people(units, sets[name]) for name in ("n_missing", "n_excluded")})
    return pd.DataFrame(rows), pd.DataFrame(people).reindex(columns=list(PEOPLE))


def _n_people(units: Units, mask: np.ndarray) -> int:
    return len(np.unique(units.patient[mask]))


