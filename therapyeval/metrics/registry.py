"""What a metric is, the register of all of them, and the one string that names a metric with its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.formatting import number

KINDS = ("mean", "proportion", "ratio", "median", "time")
COHORT_RULES = ("discharged", "received", "dated", "point_in_time")
# How a kind is estimated where it is not the plain way: metric definitions, section 11, column "kind".
VARIANTS = {"mean": ("", "bootstrap"), "proportion": ("",),
            "ratio": ("", "count", "exact binomial", "exact Poisson", "per responder", "per FTE"),
            "median": ("",), "time": ("", "competing")}
_NUMERIC = {"cut", "p", "k", "conversion_days", "gap_days", "cost_per_visit", "cost_per_unit", "min_hours",
            "window"}
_DATES = {"t"}
PATIENT_DAYS = "patient_days"  # what a rate of events is per, in place of visits
BANDS = "bands"  # in place of a threshold: that of the band of baseline
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Values:
    """What each unit of a metric's population gives, one entry per row of the population's frame (or of `frame`).

    Attributes
    ----------
    value : float; NaN where an eligible unit has no value. Proportions 0 or 1; times the days waited; with
        `levels` the position of the unit's class.
    excluded : text; why the metric's rule leaves the unit out, "" where it does not.
    weight : what divides: the denominator part of a ratio, the scores whose spread is the unit of a mean.
    event : for times, whether the event was seen (else censored); 2 where another end came first.
    unit, span : for metrics over open periods: row position of the unit and index of the span.
    frame : the units, where they are not the rows of the population's frame.
    levels : classes, each of which gets a row of its own.
    horizon : for times with competing ends, by when.
    note : what every reader of the number has to be told.
    counted : units to be counted in a row of their own beside the estimate, by name: 1 where a unit is one.
    lacking : why no unit has a value, where the metric knows.
    """

    value: pd.Series
    excluded: pd.Series | None = None
    weight: pd.Series | None = None
    event: pd.Series | None = None
    unit: np.ndarray | None = None
    span: np.ndarray | None = None
    frame: pd.DataFrame | None = None
    levels: tuple[str, ...] = ()
    horizon: float | None = None
    note: str = ""
    counted: Mapping[str, pd.Series] = field(default_factory=dict)
    lacking: str = ""


@dataclass(frozen=True)
class Metric:
    """A named number. `better` is higher, lower, neither, "measure" (the direction of its measure) or "outcome" (that
    of the metric it asks about).

    `variant` is how its kind is estimated (VARIANTS). `by_level` says that each class has a row of its own, and
    `better_level` which direction is better where classes differ. Metrics on appointments are counted by the
    engine: `statuses` is (numerator, denominator); with `attribute` the numerator has only the appointments with
    that `value` of it, or each value has a row (`by_level`). With `events` the numerator has events of these types,
    with `amount` it is the sum of that column over those that have it (the others are left out for the `reason`).
    Where the column `known` is empty they are missing.
    """

    name: str
    label: str
    kind: str
    unit: str
    better: str
    population: str
    cohort_rule: str
    definition: str
    function: Callable[..., Values] | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    two_rules: bool = False
    statuses: tuple[frozenset[str], frozenset[str]] | None = None
    variant: str = ""
    by_level: bool = False
    better_level: Mapping[str, str] = field(default_factory=dict)
    attribute: str = ""
    value: str = ""
    events: frozenset[str] = frozenset()
    amount: str = ""
    reason: str = ""
    known: str = ""

    @property
    def per_span(self) -> bool:
        """Whether its units are those open in a period, so that it cannot be asked without one."""
        return self.function is not None and "spans" in inspect.signature(self.function).parameters

    @property
    def said(self) -> tuple[str, str]:
        """Definition and source as sentences."""
        text, _, source = " ".join(self.definition.split()).partition(" Source: ")
        return text, f"Source: {source.rstrip('.')}." if source else ""

    @property
    def spelled_arguments(self) -> list[str]:
        """Names of the arguments: the required ones, then the others with what they are when not given."""
        return [*(f"{name} (required)" for name in self.required),
                *(f"{name} ({_default(name, value)})" for name, value in self.arguments.items())]

    def to_text(self) -> str:
        """The definition as the end of a report prints it, and how the metric is asked for."""
        definition, source = self.said
        how = f"{self.kind}, {self.variant}" if self.variant else self.kind
        return "\n".join([f"{self.name}: {self.label}", definition, source, "",
                          f"kind: {how}; unit: {self.unit}; better: {self.better}",
                          f"counts {self.population}, {self.cohort_rule}",
                          f"arguments: {', '.join(self.spelled_arguments) or 'none'}"])


@dataclass(frozen=True)
class Call:
    """A metric with its arguments filled in; `text` is its one spelling everywhere."""

    metric: Metric
    arguments: Mapping[str, object]
    text: str

    @property
    def measure(self) -> str | None:
        return self.arguments.get("measure")

    @property
    def population(self) -> str:
        """What its units are; those of the metric it asks about, where it asks about one."""
        if self.arguments.get("per") == PATIENT_DAYS:
            return "stays"
        outcome = self.arguments["outcome"] if self.metric.better == "outcome" else None
        return self.metric.population if outcome is None else parse(outcome).metric.population

    @property
    def by_when(self) -> float | None:
        """By which visit, of a share with competing ends: those seen by an earlier one are among those of a later."""
        return float(self.arguments["k"]) if self.metric.variant == "competing" else None

    def values(self, facts: Facts, **spans: object) -> Values:
        return self.metric.function(facts, **self.arguments, **spans)

    def unit(self, facts: Facts) -> str:
        """Unit of the number; scale points are named as the measure names them."""
        if self.arguments.get("per") == PATIENT_DAYS:
            return "per 1 000 patient-days"
        if self.measure and self.metric.unit == "scale points":
            return facts.measure(self.measure).unit
        return self.metric.unit

    def better(self, facts: Facts, level: str = "") -> str:
        if self.metric.better == "outcome":
            return parse(self.arguments["outcome"]).better(facts)
        if self.metric.better != "measure":
            return self.metric.better_level.get(level, self.metric.better)
        return "higher" if facts.measure(self.measure).sign > 0 else "lower"


_REGISTER: dict[str, Metric] = {}


def metric(*, label: str, kind: str, unit: str, better: str, population: str, cohort_rule: str,
           beside: tuple[str, ...] = (), two_rules: bool = False, variant: str = "", by_level: bool = False,
           better_level: Mapping[str, str] | None = None) -> Callable:
    """Register a function `(facts, **arguments) -> Values` as a metric under its own name.

    `beside` names statistics printed with the estimate; `two_rules` adds a second row in which eligible
    units without a value count as not achieved. A function that takes `spans` is asked about each of them; one
    with the argument `t` about their last day. The docstring's first paragraph is the definition.
    """
    def register(function: Callable[..., Values]) -> Callable[..., Values]:
        parameters = [item for item in inspect.signature(function).parameters.values()
                      if item.name not in ("facts", "spans")]
        required = tuple(item.name for item in parameters if item.default is inspect.Parameter.empty)
        defaults = {item.name: item.default for item in parameters if item.name not in required}
        add(Metric(function.__name__, label, kind, unit, better, population, cohort_rule,
                   inspect.getdoc(function), function, defaults, required, beside, two_rules, variant=variant,
                   by_level=by_level, better_level=better_level or {}))
        return function
    return register


def add(entry: Metric) -> None:
    """Put a metric into the register; its name, kind, variant and cohort rule must be good."""
    if (entry.name in _REGISTER or entry.kind not in KINDS or entry.variant not in VARIANTS[entry.kind]
            or entry.cohort_rule not in COHORT_RULES):
        raise ValueError(f"{entry.name}: registered twice, or kind, variant or cohort rule is not in the list")
    _REGISTER[entry.name] = entry


def get(name: str) -> Metric:
    """One registered metric, or an error with the closest names."""
    if name not in _REGISTER:
        raise UnknownNameError("metric", name, _REGISTER, "`therapyeval metrics` lists all.")
    return _REGISTER[name]


def names() -> list[str]:
    """Names of all registered metrics."""
    return sorted(_REGISTER)


def parse(text: str | Call) -> Call:
    """Read `name[:measure][,argument=value]…`.

    >>> parse("target_score_rate:pain_avg, cut=1").text
    'target_score_rate:pain_avg,cut=1'

    Raises
    ------
    UnknownNameError, ParameterError
        For an unknown metric or argument, a missing required one, or a number that is not one.
    """
    if isinstance(text, Call):
        return text
    head, *rest = (part.strip() for part in str(text).split(","))
    name, _, measure = (part.strip() for part in head.partition(":"))
    entry = get(name)
    given: dict[str, object] = {"measure": measure} if measure else {}
    for part in rest:
        key, found, value = (piece.strip() for piece in part.partition("="))
        if not found or not value:
            raise ParameterError(f"{str(text)[:80]!r}: write arguments as name=value, separated by commas.")
        given[key] = _argument(name, key, value)
    return _call(entry, given)


def _call(entry: Metric, given: dict[str, object]) -> Call:
    known = {**dict.fromkeys(entry.required), **entry.arguments}
    for key in given:
        if key not in known:
            raise UnknownNameError(f"argument of {entry.name}", key, known)
    missing = [key for key in entry.required if key not in given]
    if missing:
        example = f"{entry.name}:odi" if missing == ["measure"] else f"{entry.name}:odi,{missing[-1]}=…"
        raise ParameterError(f"{entry.name} needs {' and '.join(missing)}. Write it as {example}.")
    arguments = {key: given.get(key, default) for key, default in known.items()}
    head = entry.name + (f":{given['measure']}" if given.get("measure") else "")
    tail = [f",{key}={_spelled(given[key])}" for key in known if key != "measure" and key in given]
    return Call(entry, arguments, head + "".join(tail))


_DEFAULTS = {"measure": "the primary measure", "threshold": "the registered MCID", "t": "the end of the period"}


def _default(name: str, value: object) -> str:
    return _DEFAULTS.get(name, "not given") if value is None else _spelled(value)


def _spelled(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _threshold(value: str) -> float | str:
    """A number; a share of baseline such as "30%", kept as text; or BANDS."""
    if value == BANDS:
        return value
    return f"{float(value[:-1]):.12g}%" if value.endswith("%") else float(value)


def _argument(name: str, key: str, value: str) -> object:
    try:
        if key in _DATES:
            return date.fromisoformat(value)
        if key == "threshold":
            return _threshold(value)
        return float(value) if key in _NUMERIC else value
    except ValueError:
        wanted = "a date such as 2026-09-30" if key in _DATES else "a number"
        raise ParameterError(f"{name}: {key} must be {wanted}, not {value[:40]!r}.") from None


def exclude(index: pd.Index, reasons: Mapping[str, pd.Series]) -> pd.Series:
    """The first reason whose mask is true for each unit; "" where none is."""
    excluded = pd.Series("", index=index, dtype=object)
    for reason, mask in reversed(list(reasons.items())):
        excluded[mask.to_numpy(dtype=bool, na_value=False)] = reason
    return excluded


def and_exclude(excluded: pd.Series, reasons: Mapping[str, pd.Series]) -> pd.Series:
    """Further reasons for the units that no earlier reason leaves out."""
    return excluded.where(excluded != "", exclude(excluded.index, reasons))


def reaches(change: pd.Series, threshold: pd.Series | float) -> pd.Series:
    """1 where change >= threshold, 0 where not, NaN where there is no change; tolerant of binary arithmetic.

    Source: metric definitions, section 0 (a gait-speed change of exactly one MCID must count).
    """
    slack = TOLERANCE * np.maximum(1.0, np.abs(threshold))
    return (change >= threshold - slack).astype(float).where(change.notna())


def number_text(value: float) -> str:
    """A threshold as its source prints it, without trailing zeros."""
    return number(value, 3).rstrip("0").rstrip(".")
