"""Observed against predicted. The predictions are a saved file: no model is fitted here.

Source: metric definitions, section 7. The file is a CSV with the columns `episode` (or `stay`), the number of the
facts, and `predicted`: a change in score, a probability from 0 to 1, or an expected score. Whoever makes it sees to it
that nobody predicts himself (cross-fitting).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.effectiveness import score_change
from therapyeval.metrics.registry import Values, metric, parse, reaches
from therapyeval.metrics.stays import not_complete, stay_scores

DISCHARGE_FUNCTION = "gg_dcfs"
UNIT = {"episodes": "episode", "stays": "stay"}     # population -> the column that numbers its units


@metric(label="Change above what was predicted", kind="mean", unit="scale points", better="higher",
        population="episodes", cohort_rule="discharged")
def residual(facts: Facts, measure: str, model: str) -> Values:
    """Mean of the change in score less the change predicted by a saved model, of eligible paired episodes. Episodes
    without a prediction are missing.

    Source: metric definitions, section 7.
    """
    change = score_change(facts, measure)
    return Values(change.value - _predicted(model, "episode", facts.episodes["episode"]), excluded=change.excluded)


@metric(label="Observed to expected", kind="ratio", variant="exact Poisson", unit="ratio", better="outcome",
        population="episodes", cohort_rule="discharged")
def oe_ratio(facts: Facts, outcome: str, model: str) -> Values:
    """Episodes (or stays) with an outcome (a metric that is a share of them) divided by the sum of their probabilities
    by a saved model. Two such ratios are not to be compared with each other. Those without a prediction are missing.

    Source: metric definitions, section 7.
    """
    call = parse(outcome)
    entry = call.metric
    if (entry.kind, entry.cohort_rule) != ("proportion", "discharged") or entry.by_level or (
            entry.population not in UNIT):
        raise ParameterError(f"oe_ratio: {outcome[:40]!r} is not a share of discharged episodes or stays. Use one such "
                             "as mcid_rate:lefs, goals_met_rate or discharge_to_community.")
    key = UNIT[entry.population]
    found = call.values(facts)
    chance = _predicted(model, key, getattr(facts, entry.population)[key])
    if not chance.dropna().between(0, 1).all():
        raise ParameterError(f"oe_ratio: {Path(model).name} holds predictions that are no probabilities from 0 to 1.")
    return Values(found.value.where(chance.notna()), weight=chance, excluded=found.excluded, note=found.note)


@metric(label="Discharge function as expected", kind="proportion", unit="proportion", better="higher",
        population="stays", cohort_rule="discharged")
def dcfs(facts: Facts, model: str) -> Values:
    """Share of stays with a discharge function score (10 items of section GG, 10 to 60) at least as high as a saved
    model expects. Incomplete stays and people younger than 18 are left out; stays without a score or an expectation
    are missing.

    Source: metric definitions, section 7; CMS Discharge Function Score.
    """
    scores = stay_scores(facts, DISCHARGE_FUNCTION)
    above = scores["final"] - _predicted(model, "stay", facts.stays["stay"])
    excluded = not_complete(facts, scores)
    if "age" in facts.stays:
        excluded = excluded.mask((excluded == "") & (facts.stays["age"] < 18), "younger than 18")
    return Values(reaches(above, 0.0), excluded=excluded)


def _predicted(model: str, key: str, wanted: pd.Series) -> pd.Series:
    """The prediction for each unit, in their order; missing where the file has none."""
    path = Path(model)
    if not path.is_file():
        raise ParameterError(f"there is no file of predictions {path.name[:60]!r}. Give its path as model=….")
    try:
        rows = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError):
        raise ParameterError(f"{path.name} is not a CSV file of predictions.") from None
    if not {key, "predicted"} <= set(rows):
        raise ParameterError(f"{path.name} needs the columns {key} and predicted.")
    numbers = rows[[key, "predicted"]].apply(pd.to_numeric, errors="coerce")
    if numbers[key].duplicated().any() or numbers[key].isna().any():
        raise ParameterError(f"{path.name}: every row needs its own {key}.")
    if not numbers[key].isin(wanted).any() and len(wanted):
        raise NotEvaluableError(f"{path.name} predicts nothing for this cohort: was it made from other data?")
    return numbers.set_index(key)["predicted"].reindex(wanted).set_axis(wanted.index).astype(float)
