"""Which instruments stand behind a rate that is pooled over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.analysis.estimate import estimate, exclusions, to_rows
from therapyeval.analysis.summarize import answered
from therapyeval.analysis.units import select_units
from therapyeval.cohort import Cohort
from therapyeval.metrics.eligible import scores_of
from therapyeval.metrics.registry import parse
from therapyeval.period import Period, parse_period
from therapyeval.result import Result, check_names, make_frame

PRIMARY = "primary_measure"
NONE = "none"


def instrument_mix(cohort: Cohort, *, by: str | Sequence[str] | None = None, period: str | Period | None = None,
                   conf_level: float = 0.95) -> Result:
    """Shares of the instruments on which pooled responders (`mcid_rate` without a measure) are judged.

    Two pooled rates can be compared only where these shares are alike: an MCID is easier to reach on some instruments
    than on others.

    Returns
    -------
    Result
        A row per group and instrument: its share of the episodes eligible for `mcid_rate`, with the name of each
        episode's primary measure as `level` ("none" where it has none).

    Source: metric definitions, sections 0 (different scales) and 1 (primary measure).
    """
    by = [by] if isinstance(by, str) else list(by or ())
    check_names(by)
    call, period = parse("mcid_rate"), parse_period(period)
    units = select_units(call, cohort, by, period, None)
    measure = scores_of(cohort.facts, None)["measure"].iloc[units.row]
    names = measure.map({code: cohort.facts.measure(code).name for code in measure.dropna().unique()})
    place, levels = pd.factorize(names.astype(object).where(measure.notna(), NONE), sort=True)
    here = np.isin(np.arange(len(levels)), place[units.eligible])        # those of episodes left out are not listed
    renumbered = (np.cumsum(here) - 1)[place].astype(float)
    units = replace(units, value=np.where(units.eligible, renumbered, np.nan), levels=tuple(levels[here]), note="")
    frame, people = to_rows(estimate("proportion", units, conf_level=conf_level), units, metric=PRIMARY,
                            unit="proportion") if here.any() else (pd.DataFrame(columns=by), None)
    return Result(make_frame(frame, by), "Instruments behind the pooled responders", answered(cohort, call, period),
                  conf_level, exclusions(units, call.text), people)
