"""A responder rate over the whole band of published thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from therapyeval.analysis.summarize import summarize
from therapyeval.cohort import Cohort
from therapyeval.errors import ParameterError
from therapyeval.metrics.thresholds import band_of
from therapyeval.period import Period
from therapyeval.result import Result


def mcid_band(cohort: Cohort, measure: str, *, by: str | Sequence[str] | None = None,
              period: str | Period | None = None, conf_level: float = 0.95) -> Result:
    """`mcid_rate` of a measure on its registered MCID and on every other of its default sensitivity band.

    The band holds thresholds published for the same version and conservative care (`in_band` in
    measures_alternatives.csv), as numbers, shares of baseline or by bands of baseline.

    Returns
    -------
    Result
        As `summarize`, one metric per threshold, the registered one first; each note names population, source and
        confidence. Only the first row can lead a headline, and only where its MCID is verified.

    Raises
    ------
    ParameterError
        Where no MCID is registered.

    Source: metric definitions, section 10.
    """
    instrument = cohort.facts.measure(measure)
    if instrument.mcid is None:
        raise ParameterError(f"no MCID is registered for {measure}, so there is no band. Give a threshold: "
                             f"mcid_rate:{measure},threshold=…")
    metrics = [f"mcid_rate:{measure}", *(f"mcid_rate:{measure},threshold={value}" for value in band_of(instrument))]
    result = summarize(cohort, metrics, by=by, period=period, conf_level=conf_level)
    return replace(result, title=f"Responders on every published threshold: {instrument.name}")
