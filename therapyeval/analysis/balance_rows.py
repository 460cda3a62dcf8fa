"""The balance table of a weighted or matched comparison: each covariate before and after, as a love plot shows them."""

from __future__ import annotations

import numpy as np

from therapyeval import stats
from therapyeval.analysis.contrast_rows import Line, contrast_name
from therapyeval.analysis.model_checks import all_weights
from therapyeval.analysis.models import Model
from therapyeval.analysis.sample import Sample

BEFORE, AFTER = "before weighting or matching", "after weighting or matching"


def balance_lines(model: Model, sample: Sample) -> list[Line]:
    """Standardized differences of every covariate (`level`) in each pair; nothing for models without weights.

    Source: Austin and Stuart (2015), Stat Med 34:3661-3679.
    """
    if not model.weights or sample.level not in ("", *sample.units.levels[:1]):     # alike for all classes
        return []
    names, lines = sample.units.keys.iloc[:, 0].tolist(), []
    for (first, second), weights in all_weights(model, sample):
        found = stats.covariate_balance(sample.group, (first, second), sample.covariates, weights)
        told = {"contrast": contrast_name(names[first], names[second]), "statistic": "smd", "unit": "SD units"}
        for name, level, *sizes in zip(found.variable, found.level, found.smd_before, found.smd_after, strict=True):
            of = told | {"level": f"{name}: {level}" if level else str(name)}
            lines += [Line(of | {"estimate": size, "method": when, "note": "does not vary" if np.isnan(size) else ""},
                           np.isin(sample.units.group, (first, second)))
                      for when, size in zip((BEFORE, AFTER), sizes, strict=True)]
    return lines
