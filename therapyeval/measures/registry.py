"""Measures as data: one row of measures.csv each; a dataset may bring rows of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from therapyeval.errors import DataError, UnknownNameError

FOLDER = Path(__file__).parent
DIRECTIONS = {"higher_better": 1, "lower_better": -1}
NOT_ANCHORED = ("distribution", "convention", "benchmark")
RECORD = ("name", "unit", "direction", "minimum", "maximum", "mcid", "mcid_source", "mcid_population", "mcid_basis",
          "confidence", "confidence_of", "mdc95")
Z_BY_LEVEL = {90: 1.645, 95: 1.96}


@dataclass(frozen=True)
class Alternative:
    """Another published threshold for a measure: `low`-`high` in `unit` (a share of baseline if `relative`)."""

    kind: str
    low: float | None
    high: float | None
    relative: bool
    baseline_min: float | None
    baseline_max: float | None
    in_band: bool
    unit: str
    population: str
    source: str
    confidence: str
    note: str


@dataclass(frozen=True)
class Measure:
    """An instrument: what its scores can be, which direction is better, and which change matters.

    `mcid` and `mdc` are positive magnitudes in `unit`; None where nothing is registered. `confidence`
    grades the figure named in `confidence_of`: verified (figure seen in the source) or recalled.
    """

    code: str
    name: str
    discipline: str
    domain: str
    unit: str
    minimum: float | None
    maximum: float | None
    direction: str
    scale_kind: str
    paired: bool
    mcid: float | None
    mcid_basis: str
    mcid_population: str
    mcid_method: str
    mcid_source: str
    mdc: float | None
    mdc_level: int | None
    mdc_population: str
    mdc_source: str
    sem: float | None
    icc: float | None
    scale_source: str
    license_note: str
    confidence: str
    confidence_of: str
    mdc_confidence: str
    notes: str
    alternatives: tuple[Alternative, ...] = ()

    @property
    def sign(self) -> int:
        """+1 where higher scores are better, -1 where lower are."""
        return DIRECTIONS[self.direction]

    @property
    def mcid_is_verified(self) -> bool:
        """False where the MCID is recalled: it must then be given by the user or be marked as not verified."""
        return self.mcid is not None and self.confidence_of == "mcid" and self.confidence == "verified"

    @property
    def mdc95(self) -> float | None:
        """The MDC at the 95% level, whatever level was published."""
        if self.mdc is None:
            return None
        return self.mdc * Z_BY_LEVEL[95] / Z_BY_LEVEL[self.mdc_level or 95]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of a responder rate on this measure has to be told."""
        found = []
        if self.mcid is not None and self.mdc95 is not None and self.mcid < self.mdc95 - 1e-9:
            found.append(f"the MCID {self.mcid:g} is below the measurement error (MDC95 {self.mdc95:.3g}): "
                         "one patient's change of that size may be noise")
        if self.mcid is not None and not self.mcid_is_verified:
            found.append("threshold not verified: the MCID is recalled, not seen in its source")
        if self.mcid_basis in NOT_ANCHORED:
            found.append(f"not anchor-based ({self.mcid_basis})")
        return tuple(found)

    def to_record(self) -> dict[str, object]:
        """What a report has to say about the measure, as plain data."""
        return {**{name: getattr(self, name) for name in RECORD}, "warnings": list(self.warnings)}

    def to_text(self) -> str:
        """What a clinician needs to know before using the measure, with the papers behind it."""
        best = "higher is better" if self.sign > 0 else "lower is better"
        lines = [f"{self.code}: {self.name}", f"  for        {self.discipline}, {self.domain}",
                 f"  range      {_bound(self.minimum)} to {_bound(self.maximum)} {self.unit}, {best}",
                 "  MCID       " + _threshold(self.mcid, self.unit, self.mcid_population, self.mcid_source,
                                              self.mcid_basis and f"basis: {self.mcid_basis}"),
                 "  MDC        " + _threshold(self.mdc, self.unit, self.mdc_population, self.mdc_source,
                                              self.mdc_level and f"{self.mdc_level}% level")]
        if self.confidence_of == "mcid" and self.confidence:
            lines.append(f"  confidence {self.confidence}")
        if not self.paired:
            lines.append("  single     one rating without baseline: no change score, use target_score_rate")
        lines.append(f"  license    {self.license_note}")
        lines += [f"  note       {self.notes}"] if self.notes else []
        lines += [f"  also       {_alternative(item)}" for item in self.alternatives]
        return "\n".join(lines + [f"  warning    {text}" for text in self.warnings])


@lru_cache(maxsize=1)
def _registered() -> dict[str, Measure]:
    alternatives: dict[str, list[Alternative]] = {}
    for row in _rows(FOLDER / "measures_alternatives.csv"):
        alternatives.setdefault(row.pop("code"), []).append(_alternative_from(row))
    return {row["code"]: _measure_from(row, tuple(alternatives.get(row["code"], ())))
            for row in _rows(FOLDER / "measures.csv")}


def read(local: str | Path | None = None) -> dict[str, Measure]:
    """All measures by code, with those of a dataset's own `measures.csv` added (a known code is overridden).

    Raises
    ------
    DataError
        Where the local file lacks `code`, `name` or `direction`, or a number is not one.
    """
    found = dict(_registered())
    if local is not None:
        found.update((row["code"], _checked(row, Path(local), line)) for line, row in
                     enumerate(_rows(Path(local)), start=2))
    return found


def get(code: str) -> Measure:
    """One registered measure, or an error with the closest codes."""
    if code not in _registered():
        raise UnknownNameError("measure", code, _registered(), "`therapyeval measures` lists all.")
    return _registered()[code]


def names() -> list[str]:
    """Codes of all registered measures."""
    return list(_registered())


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _checked(row: dict[str, str], path: Path, line: int) -> Measure:
    try:
        if not row["code"] or row["direction"] not in DIRECTIONS:
            raise ValueError("direction")
        return _measure_from(row, ())
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path.name}: line {line} is not a measure ({error}). It needs code, name, direction "
                        f"({' or '.join(DIRECTIONS)}) and numbers in min, max, mcid, mdc.") from None


def _measure_from(row: dict[str, str], alternatives: tuple[Alternative, ...]) -> Measure:
    numbers = {name: _number(row.get(name)) for name in ("mcid", "mdc", "sem", "icc")}
    level = _number(row.get("mdc_level"))
    texts = {item.name: row.get(item.name) or "" for item in fields(Measure) if item.type == "str"}
    return Measure(**texts, **numbers, minimum=_number(row.get("min")), maximum=_number(row.get("max")),
                   paired=row.get("paired") != "no", mdc_level=None if level is None else int(level),
                   alternatives=alternatives)


def _alternative_from(row: dict[str, str]) -> Alternative:
    return Alternative(row["kind"], _number(row["low"]), _number(row["high"]), row["relative"] == "yes",
                       _number(row["baseline_min"]), _number(row["baseline_max"]), row["in_band"] == "yes",
                       row["unit"], row["population"], row["source"], row["confidence"], row["note"])


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _bound(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:g}"


def _threshold(value: float | None, unit: str, population: str, source: str, remark: object) -> str:
    if value is None:
        return "none registered"
    return f"{value:g} {unit}; " + "; ".join(str(text) for text in (population, source, remark) if text)


def _alternative(item: Alternative) -> str:
    if item.low is None or item.high is None:
        size = "varies"
    else:
        size = f"{item.low:g}" if item.low == item.high else f"{item.low:g} to {item.high:g}"
    unit = "of baseline" if item.relative else item.unit
    return f"{item.kind} {size} {unit}: {item.population} ({item.source}; {item.confidence})"
