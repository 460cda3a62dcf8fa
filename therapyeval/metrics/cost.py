"""At what price. Source: metric definitions, section 2.1."""

from __future__ import annotations

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.eligible import has_ended
from therapyeval.metrics.registry import Values, metric, number_text
from therapyeval.metrics.responders import mcid_rate


@metric(label="Cost per episode", kind="mean", unit="currency", better="lower",
        population="episodes", cohort_rule="discharged")
def cost_per_episode(facts: Facts, cost_per_visit: float | None = None, cost_per_unit: float | None = None) -> Values:
    """A given price per visit times the attended visits, or per unit times the billed units, of each discharged
    episode. A price, not what care costs the clinic.

    Source: metric definitions, section 2.1.
    """
    cost, note = _cost(facts, "cost_per_episode", cost_per_visit, cost_per_unit)
    return Values(cost.where(has_ended(facts)), note=note)


@metric(label="Cost per responder", kind="ratio", variant="per responder", unit="currency", better="lower",
        population="episodes", cohort_rule="discharged")
def cost_per_responder(facts: Facts, measure: str | None = None, cost_per_visit: float | None = None,
                       cost_per_unit: float | None = None) -> Values:
    """Cost of all eligible episodes divided by the number of responders (change of at least one MCID; missing counts
    as not achieved), with the share of responders beside it. Episodes too short to be eligible cost too, and are
    not in it.

    Source: metric definitions, section 2.1.
    """
    cost, note = _cost(facts, "cost_per_responder", cost_per_visit, cost_per_unit)
    responders = mcid_rate(facts, measure)
    return Values(cost, excluded=responders.excluded, weight=responders.value.fillna(0.0),
                  note=f"{note}; episodes that are too short are not in it; {responders.note}")


def _cost(facts: Facts, name: str, per_visit: float | None, per_unit: float | None) -> tuple[pd.Series, str]:
    if (per_visit is None) == (per_unit is None):
        raise ParameterError(f"{name} needs one price: {name},cost_per_visit=… or {name},cost_per_unit=…")
    price, column, what = (per_visit, "n_attended", "visit") if per_unit is None else (per_unit, "units", "unit")
    if column not in facts.episodes:
        raise NotEvaluableError(f"{name}: these data have no billed units. Use cost_per_visit.")
    return price * facts.episodes[column].astype(float), f"{number_text(price)} per {what}, given by the user"
