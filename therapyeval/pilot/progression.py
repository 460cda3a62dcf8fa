"""Progression criteria: what the protocol wanted to see before a definitive study, and what was seen.

Everything is worked out from the released flow, so nothing hidden there can come back here.
Source: pilot study requirements, section 4 (indicators, bands, decision rule on the point estimates).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.display.cells import first
from therapyeval.formatting import WITHHELD, is_missing
from therapyeval.result import Result, make_frame

GREEN, AMBER, RED = "green", "amber", "red"
GO, AMEND, STOP, OPEN = "go", "amend", "stop or redesign", "cannot be told"
INDICATORS = {"eligibility": "eligible of those screened", "consent": "allocated of those eligible",
              "retention": "with a final score of the main outcome, of those allocated"}


@dataclass(frozen=True)
class Criterion:
    """Thresholds of one indicator, proportions 0-1: green from `green` up, red below `red`, amber between."""

    indicator: str
    green: float
    red: float

    def band(self, estimate: float) -> str:
        """The band of an unrounded value; empty where there is none.

        >>> rule = Criterion("retention", green=0.80, red=0.65)
        >>> rule.band(0.80), rule.band(0.795), rule.band(0.65), rule.band(0.6499), rule.band(float("nan"))
        ('green', 'amber', 'amber', 'red', '')
        """
        if is_missing(estimate):
            return ""
        return GREEN if estimate >= self.green else RED if estimate < self.red else AMBER

    def confirmed(self, band: str, low: float, high: float) -> str:
        """What the whole interval says beyond its middle."""
        if is_missing(low) or not band:
            return ""
        if low >= self.green:
            return "the whole interval is green"
        if high < self.red:
            return "the whole interval is red"
        said = (["no part of the interval is red"] if low >= self.red else []) + (
            ["no part of the interval is green"] if high < self.green else [])
        return "; ".join(said) or "the interval reaches from red to green"


def progression(criteria: tuple[Criterion, ...], flow: Result, main_measure: str) -> Result | None:
    """Each indicator with its Wilson interval; `level` is its band, `note` what the interval confirms.

    Parameters
    ----------
    flow : released; a count that it withholds leaves the indicator withheld
    main_measure : code of the first outcome's measure
    """
    rows = [_row(rule, *_counts(rule.indicator, flow, main_measure)) for rule in criteria]
    if not rows:
        return None
    return replace(flow, frame=make_frame(rows, flow.by), title="Progression criteria", people=None)


def decision(bands: list[str]) -> str:
    """Go if all are green; stop or redesign if any is red; amend if any is amber. Guidance, not automatic.

    >>> decision(["green", "green"]), decision(["green", "amber"]), decision(["amber", "red"]), decision(["green", ""])
    ('go', 'amend', 'stop or redesign', 'cannot be told')
    """
    if RED in bands:
        return STOP
    if not bands or "" in bands:
        return OPEN
    return AMEND if AMBER in bands else GO


def _counts(indicator: str, flow: Result, main_measure: str) -> tuple[float, float]:
    """Numerator and denominator, NaN where the flow does not have or not show them."""
    def people(step: str, column: str = "n") -> float:
        row = first(flow, metric=step, arm="")
        return np.nan if row is None or is_missing(row[column]) else float(row[column])

    if indicator == "eligibility":
        return people("screened") - people("not_eligible"), people("screened")
    if indicator == "consent":
        return people("allocated"), people("allocated") + people("declined")
    return people(f"with_outcome:{main_measure}"), people("allocated")


def _row(rule: Criterion, numerator: float, denominator: float) -> Mapping[str, object]:
    shared = {"arm": None, "metric": rule.indicator, "statistic": "proportion", "unit": "proportion"}
    if np.isnan(numerator + denominator) or denominator == 0:
        return {**shared, "estimate": np.nan, "n": pd.NA, "note": WITHHELD, "method": "Wilson"}
    k, n = int(numerator), int(denominator)
    found = stats.proportion(np.array([k]), np.array([n]))
    value, low, high = (float(part[0]) for part in (found.estimate, found.low, found.high))
    band = rule.band(value)
    return {**shared, "level": band, "estimate": value, "conf_low": low, "conf_high": high, "numerator": k,
            "denominator": n, "n": n, "n_missing": 0, "n_excluded": 0, "n_people": n, "method": found.method,
            "note": rule.confirmed(band, low, high)}
