"""How many are in care. Source: metric definitions, section 2."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import NotEvaluableError
from therapyeval.metrics.registry import Values, metric
from therapyeval.period import Period


@metric(label="Census", kind="ratio", variant="count", unit="episodes", better="neither",
        population="episodes", cohort_rule="point_in_time")
def census(facts: Facts, spans: list[Period], t: date | None = None) -> Values:
    """Episodes that are open at the end of day t (the last of the period by default): started by then, and not
    ended by then.

    Source: metric definitions, section 2.
    """
    start, end = (facts.episodes[name].to_numpy("datetime64[s]")[:, None] for name in ("start_date", "end_date"))
    at = np.array([span.end for span in spans], dtype="datetime64[s]")
    unit, span = np.nonzero((start <= at) & (np.isnat(end) | (end > at)))
    return Values(pd.Series(np.ones(len(unit))), unit=unit, span=span)


@metric(label="Active census", kind="ratio", variant="count", unit="episodes", better="neither",
        population="episodes", cohort_rule="point_in_time")
def active_census(facts: Facts, spans: list[Period], t: date | None = None, window: float = 28) -> Values:
    """Episodes that are open at the end of day t and in use: a visit attended in the 28 days up to t (`window`), or
    any appointment in the 28 days after it.

    Source: metric definitions, section 2.
    """
    if facts.appointments is None:
        raise NotEvaluableError("active_census needs appointments, and these data have no visits table.")
    there = census(facts, spans)
    in_use = facts.appointments.in_use([span.end for span in spans], int(window))
    keys = pd.MultiIndex.from_arrays([facts.episodes["episode"].to_numpy()[there.unit], there.span])
    keep = keys.isin(pd.MultiIndex.from_frame(in_use[["episode", "span"]]))
    return Values(pd.Series(np.ones(keep.sum())), unit=there.unit[keep], span=there.span[keep])
