"""How much change is enough: the registered MCID, that of another population, a share or a band of baseline.

Source: metric definitions, sections 1 and 10; every threshold and its paper are those of the measure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError
from therapyeval.measures import Alternative, Measure
from therapyeval.metrics.eligible import not_eligible, of_measure
from therapyeval.metrics.registry import BANDS, and_exclude, number_text

NOT_VERIFIED = "threshold not verified: recalled, not seen in its source"
CLOSE = 1e-9


@dataclass(frozen=True)
class Threshold:
    """The change that is enough, of each episode; who is left out; and what a reader must be told of it."""

    limit: pd.Series
    excluded: pd.Series
    note: str


def threshold_of(facts: Facts, scores: pd.DataFrame, measure: str | None, given: float | str | None,
                 asked: str) -> Threshold:
    """The threshold of each episode: the MCID of its measure, or what is given.

    `given` is a number in the unit of the measure, a share of the baseline ("30%"), or "bands": that of the band in
    which the baseline lies. Episodes without one (a baseline of 0, or in no band) are left out and counted.

    Raises
    ------
    ParameterError
        Where no MCID is registered, or no bands, and for a share or bands without a measure.
    """
    excluded = not_eligible(facts, scores, measure)
    if given is None:
        return _registered(facts, scores, measure, excluded, asked)
    if isinstance(given, str) and not measure:
        raise ParameterError(f"{asked},threshold={given} needs a measure: {asked}:odi,threshold={given}.")
    if given == BANDS:
        limit, note = _by_band(facts.measure(measure), scores["baseline"])
        why = "baseline score in no registered band"
    elif isinstance(given, str):
        share = float(given.removesuffix("%")) / 100
        limit = share * scores["baseline"].where(scores["baseline"] > 0)
        note = _said(facts.measure(measure), share, True)
        why = "baseline score is 0"
    else:
        note = (_said(facts.measure(measure), given, False) if measure
                else f"threshold {number_text(given)}, given by the user")
        return Threshold(pd.Series(float(given), index=scores.index), excluded, note)
    return Threshold(limit, and_exclude(excluded, {why: scores["baseline"].notna() & limit.isna()}), note)


def band_of(measure: Measure) -> list[str]:
    """The thresholds of the measure's default sensitivity band, as arguments: those published for the same version
    and conservative care, from the smallest to the largest number, then shares of baseline."""
    rows = [row for row in measure.alternatives if row.kind == "mcid" and row.in_band]
    numbers = {value for row in rows if not row.relative and row.baseline_min is None for value in _ends(row)}
    shares = {value for row in rows if row.relative for value in _ends(row)}
    banded = [BANDS] if any(row.baseline_min is not None for row in rows) else []
    return [*map(number_text, sorted(numbers - {measure.mcid})),
            *(f"{number_text(100 * value)}%" for value in sorted(shares)), *banded]


def threshold_note(measure: Measure) -> str:
    """What a responder rate on the registered MCID must say about it."""
    return "; ".join([f"MCID {number_text(measure.mcid)} {measure.unit}", *measure.warnings])


def _registered(facts: Facts, scores: pd.DataFrame, measure: str | None, excluded: pd.Series, asked: str) -> Threshold:
    limit = of_measure(facts, scores, "mcid")
    if measure and facts.measure(measure).mcid is None:
        raise ParameterError(f"no MCID is registered for {measure}. Give one: {asked}:{measure},threshold=…, "
                             "or use target_score_rate or pct_improved_rate.")
    note = (threshold_note(facts.measure(measure)) if measure
            else "MCID of each episode's primary measure")
    without = {"no MCID registered for its measure": scores["measure"].notna() & limit.isna()}
    return Threshold(limit, and_exclude(excluded, without), note)


def _by_band(measure: Measure, baseline: pd.Series) -> tuple[pd.Series, str]:
    rows = [row for row in measure.alternatives if row.kind == "mcid" and row.baseline_min is not None]
    if not rows:
        raise ParameterError(f"no MCID by bands of baseline is registered for {measure.code}. "
                             f"`therapyeval measures {measure.code}` prints what is.")
    limit = pd.Series(np.nan, index=baseline.index)
    for row in rows:
        limit = limit.mask(baseline.between(row.baseline_min - CLOSE, row.baseline_max + CLOSE), row.high)
    steps = [f"{number_text(row.high)} at {number_text(row.baseline_min)} to {number_text(row.baseline_max)}"
             for row in rows]
    return limit, f"MCID by baseline ({', '.join(steps)}): {_papers(rows)}"


def _said(measure: Measure, value: float, relative: bool) -> str:
    """Population, source and confidence where the number is a published one, else whose it is."""
    size = f"{number_text(100 * value)}% of baseline" if relative else f"{number_text(value)} {measure.unit}"
    rows = [row for row in measure.alternatives if row.kind == "mcid" and row.relative == relative
            and row.baseline_min is None and any(abs(value - end) < CLOSE for end in _ends(row))]
    return f"threshold {size}: {_papers(rows)}" if rows else f"threshold {size}, given by the user"


def _papers(rows: Iterable[Alternative]) -> str:
    said = dict.fromkeys(f"{row.population} ({row.source}; {row.confidence})" for row in rows)
    unsure = [NOT_VERIFIED] if all(row.confidence != "verified" for row in rows) else []
    return "; ".join([*said, *unsure])


def _ends(row: Alternative) -> tuple[float, ...]:
    return tuple(end for end in (row.low, row.high) if end is not None)
