"""When does care end, and how: the share of episodes that ended in each way by each visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import Units, select_units
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.metrics.adherence import GOALS_MET, OTHER_END, other_ends
from therapyeval.metrics.registry import parse
from therapyeval.period import Period, parse_period
from therapyeval.result import Result, check_names, make_frame

LAST = 12
ENDS = ("", GOALS_MET, OTHER_END)     # "" is what the metric itself counts: stopped by the patient
STOPPED, ENDED = 1, 2                 # as in Values.event


def dropout_curve(cohort: Cohort, *, by: str | Sequence[str] | None = None, period: str | Period | None = None,
                  last: int = LAST, conf_level: float = 0.95) -> Result:
    """Cumulative shares of the episodes started that ended by visit 1, 2, … `last`, for each way to end.

    Parameters
    ----------
    by : attributes to group by
    period : episodes that started in it
    last : the last visit of the curve, a whole number from 1

    Returns
    -------
    Result
        A row per group, end and visit. `metric` is `dropout_by_visit` with its visit as k; `level` is "" for episodes
        that the patient stopped (as `summarize` gives them), else "goals met" or "another end". Each is an
        Aalen-Johansen share: the other ends compete, open episodes are censored, so the three and those still in
        care add up to 1. Ended episodes without a reason are counted in `n_missing`.

    Raises
    ------
    ParameterError, NotEvaluableError
        Where `last` is not a whole number from 1; for periods of data without dates.

    Source: metric definitions, section 3 (`dropout_by_visit`); Aalen and Johansen (1978), Scand J Stat 5:141-150.
    """
    by = [by] if isinstance(by, str) else list(by or ())
    check_names(by)
    if last < 1 or last % 1:
        raise ParameterError(f"last={last:g} is not a number of visits. Use a whole number from 1.")
    calls, period = [parse(f"dropout_by_visit,k={k}") for k in range(1, int(last) + 1)], parse_period(period)
    units = select_units(calls[0], cohort, by, period, None)
    ends = other_ends(cohort.facts).to_numpy()[units.row]
    found = []
    for end in ENDS:
        competing = _ended_as(end, ends, units)
        for call in calls:
            asked = replace(competing, horizon=call.by_when, note=f"by visit {call.by_when:g}")
            found.append(to_rows(estimate("time", asked, variant="competing", conf_level=conf_level), asked,
                                 metric=call.text, level=end, unit=call.metric.unit))
    rows = pd.concat([part.assign(_group=np.arange(len(part))) for part, _ in found], ignore_index=True)
    place = rows.sort_values("_group", kind="stable").index
    people = pd.concat([behind for _, behind in found], ignore_index=True).loc[place].reset_index(drop=True)
    return Result(make_frame(rows.loc[place], by), "How care ended, by visit", answered(cohort, calls[0], period),
                  conf_level, exclusions(units, calls[0].text), people)


def _ended_as(end: str, ends: np.ndarray, units: Units) -> Units:
    """The units with this end as the event and all others in competition with it."""
    this = units.event == STOPPED if end == "" else (units.event == ENDED) & (ends == end)
    return replace(units, event=np.where(this, STOPPED, np.where(units.event > 0, ENDED, 0.0)))
