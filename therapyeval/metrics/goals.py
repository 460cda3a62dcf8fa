"""Goal attainment scaling. Source: metric definitions, section 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.eligible import has_ended
from therapyeval.metrics.registry import Values, exclude, metric

NO_GOAL = "no goal with both levels"


def gas_t(level: pd.Series, weight: pd.Series, episode: pd.Series, p: float = 0.3) -> pd.Series:
    """T-score of goal attainment by episode: 50 + 10 sum(w x) / sqrt((1 - p) sum(w^2) + p (sum w)^2).

    Parameters
    ----------
    level : -2 to +2 by goal; weight : above 0; p : expected correlation between goals, 0 to 1

    Source: Kiresuk and Sherman 1968, as in Turner-Stokes 2009, Clin Rehabil 23:362, with its erratum.

    >>> goals = pd.Series([1, 0, -1]), pd.Series([2, 1, 1]), pd.Series([7, 7, 7])
    >>> gas_t(*goals).round(1).tolist()
    [53.3]
    """
    sums = pd.DataFrame({"wx": weight * level, "ww": weight**2, "w": weight}).groupby(episode.to_numpy()).sum()
    return 50 + 10 * sums["wx"] / np.sqrt((1 - p) * sums["ww"] + p * sums["w"] ** 2)


@metric(label="Goal attainment", kind="mean", unit="T-score", better="higher",
        population="episodes", cohort_rule="discharged")
def gas_score(facts: Facts, p: float = 0.3) -> Values:
    """T-score of goal attainment at discharge: 50 where goals were attained as expected. Over goals with a level at
    baseline and one attained; other goals do not count, and episodes without any such goal are left out.

    Source: metric definitions, section 1; Turner-Stokes 2009 with its erratum.
    """
    return _values(facts, p, "gas_score", lambda goals: goals["attained_level"])


@metric(label="Gain in goal attainment", kind="mean", unit="T-score", better="higher",
        population="episodes", cohort_rule="discharged")
def gas_change(facts: Facts, p: float = 0.3) -> Values:
    """T-score of goal attainment at discharge less that at baseline. Over goals with both levels; other goals do not
    count, and episodes without any such goal are left out.

    Source: metric definitions, section 1; Turner-Stokes 2009 with its erratum.
    """
    return _values(facts, p, "gas_change", lambda goals: goals["attained_level"] - goals["baseline_level"])


def _values(facts: Facts, p: float, name: str, level) -> Values:
    if facts.goals is None:
        raise NotEvaluableError(f"{name} needs goals, and these data have no goals table.")
    if not 0 <= p <= 1:
        raise ParameterError(f"{name}: p={p:g} is not a correlation from 0 to 1.")
    goals = facts.goals.dropna(subset=["baseline_level", "attained_level"])
    score = gas_t(level(goals), goals["weight"], goals["episode"], p) - (50 if name == "gas_change" else 0)
    found = score.reindex(facts.episodes["episode"]).set_axis(facts.episodes.index)
    return Values(found.where(has_ended(facts)), excluded=exclude(found.index, {NO_GOAL: found.isna()}))
