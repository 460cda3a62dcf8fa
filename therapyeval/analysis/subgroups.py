"""Effects in subgroups that were stated beforehand, and the test whether they differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.analysis.contrast_rows import Line, contrast_name, effect_row
from therapyeval.analysis.sample import Sample
from therapyeval.analysis.units import NOT_RECORDED
from therapyeval.errors import ParameterError

MOST = 10
EFFECT_OF = {"mean": "difference", "proportion": "odds_ratio"}


def check_subgroups(text: str, kind: str, sample: Sample, values: dict[str, np.ndarray]) -> None:
    """Refuse subgroups of a metric or units that have no such model, and attributes with too many values."""
    if kind not in EFFECT_OF:
        raise ParameterError(f"{text} is a {kind}: subgroups come with means and proportions only.")
    if sample.cluster is not None:
        raise ParameterError(f"{text}: subgroups take units as independent, but several belong to one "
                             f"{sample.clustered}.")
    for name, value in values.items():
        if len(set(value)) > MOST:
            raise ParameterError(f"{name} has more than {MOST} values: name subgroups by an attribute with few, such "
                                 "as bands of it.")


def subgroup_lines(kind: str, sample: Sample, name: str, value: np.ndarray, unit: str) -> list[Line]:
    """The effect in each subgroup and the interaction test, pair by pair; `value` has the subgroup of every unit.

    Units whose subgroup is not recorded are left out of it.
    """
    codes, levels = pd.factorize(np.where(value == NOT_RECORDED, None, value), sort=True)
    here = sample.used & (codes >= 0)
    covariates = sample.all_covariates.drop(columns=name, errors="ignore")[here].reset_index(drop=True)
    groups, effect = sample.units.keys.iloc[:, 0].tolist(), EFFECT_OF[kind]
    lines = []
    for first, second in sample.pairs if len(levels) else ():
        found = stats.subgroup_effects(sample.all_values[here], sample.units.group[here], (first, second), codes[here],
                                       len(levels), covariates, effect=effect, conf_level=sample.conf_level)
        shared = {"contrast": contrast_name(groups[first], groups[second])}
        pair = np.isin(sample.units.group, (first, second))
        for place, level in enumerate(levels):
            row = effect_row(found.effects, place, "") | {"p_value": np.nan}
            lines.append(Line({**row, **shared, name: level, "statistic": effect, "method": found.effects.method,
                               "unit": unit if effect == "difference" else "ratio"}, pair & (codes == place)))
        lines.append(_interaction(found.interaction, name, shared, pair))
    return lines


def _interaction(test: stats.JointTest, name: str, shared: dict, about: np.ndarray) -> Line:
    degrees = f"{test.df:g}" if np.isnan(test.df_error) else f"{test.df:g} and {test.df_error:g}"
    told = (f"{degrees} degrees of freedom; tests whether the effect is the same in all subgroups; one with and one "
            "without a clear effect do not show that it differs")
    note = "; ".join(filter(None, ["" if np.isnan(test.statistic) else told, test.note]))
    return Line({**shared, "statistic": "interaction", "estimate": test.statistic, "p_value": test.p_value,
                 "method": f"interaction with {name}; {test.method}", "note": note, "unit": ""}, about)
