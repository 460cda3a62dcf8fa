"""How many are in care. Source: metric definitions, section 2."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
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
