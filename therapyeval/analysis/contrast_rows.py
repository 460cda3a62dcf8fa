"""Rows of a Result that are about several groups at once: contrasts, tests of all groups, checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.effects import Effect
from therapyeval.analysis.model_checks import Check
from therapyeval.analysis.sample import Sample
from therapyeval.analysis.units import Units
from therapyeval.result import ALL_GROUPS, PEOPLE


@dataclass(frozen=True)
class Line:
    """One row: what it says, and the units (a mask) that it is about."""

    said: dict[str, object]
    about: np.ndarray


def contrast_name(first: object, second: object) -> str:
    return f"{first} - {second}"


def effect_lines(effects: list[Effect], sample: Sample) -> list[Line]:
    """The effects of each pair of groups, pair by pair."""
    names = sample.units.keys.iloc[:, 0].tolist()
    lines = []
    for place, (first, second) in enumerate(sample.pairs):
        about = np.isin(sample.units.group, (first, second))
        for effect in effects:
            said = effect_row(effect.contrast, place, effect.told[place])
            lines.append(Line({**said, "contrast": contrast_name(names[first], names[second]), "unit": effect.unit,
                               "statistic": effect.statistic, "method": effect.method}, about))
    return lines


def effect_row(contrast: stats.Contrast | stats.Equivalence, place: int, told: str) -> dict[str, object]:
    """The numbers of one pair, and in its note why one is missing, and what is told of those that are not."""
    value = contrast.estimate[place]
    notes = [contrast.note[place], told if not np.isnan(value) else ""]
    return {"estimate": value, "conf_low": contrast.low[place], "conf_high": contrast.high[place],
            "p_value": contrast.p_value[place], "note": "; ".join(filter(None, notes))}


def joint_line(test: stats.JointTest, units: Units, **said: object) -> Line:
    """A test of all groups; its degrees of freedom are in the note."""
    is_f = not np.isnan(test.df_error)
    degrees = f"{test.df:g} and {test.df_error:.4g}" if is_f else f"{test.df:g}"
    told = [] if np.isnan(test.statistic) else [f"{degrees} degrees of freedom; tests whether all are alike"]
    note = "; ".join(filter(None, [*told, test.note]))
    row = {"contrast": ALL_GROUPS, "statistic": "f_ratio" if is_f else "chi_square", "estimate": test.statistic,
           "p_value": test.p_value, "method": test.method, "note": note, "unit": ""}
    return Line(row | said, np.ones(len(units.group), dtype=bool))


def check_line(check: Check, units: Units) -> Line:
    return Line({"contrast": ALL_GROUPS, "statistic": check.statistic, "estimate": check.found, "unit": "",
                 "p_value": check.p_value, "method": check.method, "note": check.said},
                np.ones(len(units.group), dtype=bool))


def to_frames(lines: list[Line], sample: Sample) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with their counts, and the people behind them."""
    units, used, rows, people = sample.units, sample.used, [], []
    for line in lines:
        sets = {"n": line.about & used, "n_missing": line.about & units.eligible & ~used,
                "n_excluded": line.about & ~units.eligible}
        rows.append({"estimand": sample.estimand, "level": sample.level, **line.said,
                     "n_people": _n_people(units, sets["n"]), **{name: int(mask.sum()) for name, mask in sets.items()}})
        people.append({name: _n_people(units, sets[name]) for name in ("n_missing", "n_excluded")})
    return pd.DataFrame(rows), pd.DataFrame(people).reindex(columns=list(PEOPLE))


def _n_people(units: Units, mask: np.ndarray) -> int:
    return len(np.unique(units.patient[mask]))
