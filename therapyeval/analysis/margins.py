"""Equivalence and non-inferiority: does the whole interval of a difference lie within a margin stated beforehand?"""

from __future__ import annotations

import numpy as np

from therapyeval import stats
from therapyeval.analysis.contrast_rows import Line, contrast_name, effect_row
from therapyeval.analysis.effects import Effect, Scale
from therapyeval.analysis.models import MODELS, Model
from therapyeval.analysis.sample import Sample
from therapyeval.errors import ParameterError
from therapyeval.formatting import listed

IN_MCIDS = "mcid"


def read_margin(text: str, margin: float | str, scale: Scale, is_share: bool, named: str = "margin") -> float:
    """A margin, or another size of an effect, in units of the metric, from a number or from "0.5 MCID".

    >>> read_margin("score_change:odi", "0.5 MCID", Scale("points", 10.0, "higher"), is_share=False)
    5.0

    Raises
    ------
    ParameterError
        Where it is no number above 0, a share is not below 1, or no MCID is registered.
    """
    amount, _, unit = str(margin).strip().partition(" ")
    try:
        size = float(amount)
    except ValueError:
        size = np.nan
    if not 0 < size < np.inf or unit.strip().lower() not in ("", IN_MCIDS):
        raise ParameterError(f"{named}={str(margin)[:40]!r}: write a number above 0 in units of the metric, or "
                             "\"0.5 MCID\".")
    if unit and not scale.mcid:
        raise ParameterError(f"{text} has no registered MCID: give the {named} as a number of {scale.unit}.")
    if is_share and (unit or size >= 1):
        raise ParameterError(f"{text} is a proportion: the {named} is a difference of shares between 0 and 1, such as "
                             "0.1.")
    return size * scale.mcid if unit else size


def margin_lines(model: Model, main: Effect, sample: Sample, margin: float, scale: Scale) -> list[Line]:
    """Equivalence and, where a direction is better, non-inferiority of each pair.

    Each side is tested at half of 1 - conf_level, so that it is shown exactly where the main row's kind of interval
    lies within the margin. Who shows equivalence shows non-inferiority, so the two need no correction for each other.
    """
    sides = {"equivalence": (-margin, margin), **(
        {"non_inferiority": (-margin, np.inf)} if scale.better == "higher" else
        {"non_inferiority": (-np.inf, margin)} if scale.better == "lower" else {})}
    names = sample.units.keys.iloc[:, 0].tolist()
    lines = []
    for statistic, bounds in sides.items():
        found = _tested(model, main, sample, bounds)
        for place, (first, second) in enumerate(sample.pairs):
            told = "" if np.isnan(found.p_value[place]) else _verdict(statistic, found.shown[place], margin, scale)
            row = effect_row(found, place, told)
            method = f"{main.method}; two one-sided tests" if model.margin == "limits" else found.method
            lines.append(Line({**row, "contrast": contrast_name(names[first], names[second]), "unit": main.unit,
                               "statistic": statistic, "method": method}, np.isin(sample.units.group, (first, second))))
    return lines


def check_margin(text: str, model: Model) -> None:
    """Refuse a margin where the model's effect is no difference with limits around it."""
    if not model.margin:
        names = [other.name for other in MODELS.values() if other.margin and set(other.kinds) & set(model.kinds)]
        ways = f" Models with a margin: {listed(names)}." if names else ""
        raise ParameterError(f"{text}: the model {model.name} has no difference that a margin could be held "
                             f"against.{ways}")


def _tested(model: Model, main: Effect, sample: Sample, bounds: tuple[float, float]) -> stats.Equivalence:
    alpha = (1 - sample.conf_level) / 2
    if model.margin == "score":
        return stats.equivalent_risks(sample.successes, sample.n, sample.pairs, bounds, alpha=alpha)
    return stats.equivalent(main.contrast, bounds, alpha=alpha)


def _verdict(statistic: str, shown: bool, margin: float, scale: Scale) -> str:
    size = f"{margin:.4g} {'' if scale.unit == 'proportion' else scale.unit}".strip()
    what = f"alike within {size}" if statistic == "equivalence" else f"no worse by more than {size}"
    return f"shown to be {what}" if shown else f"not shown to be {what}, which does not prove the contrary"
