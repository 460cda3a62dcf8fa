"""Names that people read: arms, contrasts, measures and metrics from their codes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from therapyeval.display.cells import number, text_of
from therapyeval.errors import ParameterError
from therapyeval.formatting import is_missing
from therapyeval.metrics import get, names, parse
from therapyeval.metrics.registry import BANDS

POINTS = ("percent", "point", "points", "score", "")
NOT_VERIFIED = "threshold not verified"
WORDS = {"site_id": "site", "n_attended": "attended visits"}     # columns whose name is not the word for what they hold


@dataclass(frozen=True)
class Labels:
    """Labels of arms by code, and facts of measures by code (name, unit, minimum, maximum, direction, mcid …)."""

    arms: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def arm(self, code: object) -> str:
        """The label of an arm; its code where it has none."""
        code = text_of(code)
        return str(self.arms.get(code) or code)

    def pair(self, contrast: str) -> tuple[str, str]:
        """The two codes of "PRT - usual"; a contrast of unknown arms is split where it can be."""
        for first in self.arms:
            for second in self.arms:
                if contrast == f"{first} - {second}":
                    return first, second
        first, _, second = contrast.partition(" - ")
        return first, second

    def contrast(self, contrast: str) -> str:
        """A contrast with the arms' labels and a typographic minus."""
        return " − ".join(self.arm(code) for code in self.pair(contrast) if code)

    def measure(self, code: object) -> str:
        """A measure's full name."""
        return str(self._of(code).get("name") or code)

    def short(self, code: object) -> str:
        """A measure's name without what is in brackets at its end, for running text.

        >>> Labels(measures={"odi": {"name": "Oswestry Disability Index (v2.x)"}}).short("odi")
        'Oswestry Disability Index'
        """
        return re.sub(r"\s*\([^()]*\)$", "", self.measure(code)) or self.measure(code)

    def unit(self, code: object) -> str:
        """The unit of a score; "percent" of a 0-100 scale is called points, so that nobody reads a share."""
        unit = str(self._of(code).get("unit") or "")
        return "points" if unit in POINTS else unit

    def scale(self, code: object) -> str:
        """Unit, range and better direction: "points, 0 to 10, lower is better"."""
        facts = self._of(code)
        bounds = [facts.get("minimum"), facts.get("maximum")]
        limits = "" if any(is_missing(x) for x in bounds) else " to ".join(plain(x) for x in bounds)
        better = {"lower_better": "lower is better", "higher_better": "higher is better"}
        return ", ".join(filter(None, [self.unit(code), limits, better.get(str(facts.get("direction")), "")]))

    def width(self, code: object) -> float:
        """Largest change that the scale allows; infinite where its range is not registered."""
        low, high = self._of(code).get("minimum"), self._of(code).get("maximum")
        return math.inf if is_missing(low) or is_missing(high) else float(high) - float(low)

    def mcid(self, code: object) -> float | None:
        """The measure's MCID, None where none is registered."""
        value = self._of(code).get("mcid")
        return None if is_missing(value) else float(value)

    def is_verified(self, code: object) -> bool:
        """False where the MCID is recalled: then it must not lead a headline."""
        recalled = any(NOT_VERIFIED in text for text in self.warnings(code))
        return not recalled and str(self._of(code).get("confidence") or "verified") == "verified"

    def warnings(self, code: object) -> tuple[str, ...]:
        """What a reader of a responder rate on the measure has to be told."""
        return tuple(str(text) for text in self._of(code).get("warnings") or ())

    def metric(self, text: str) -> str:
        """What a metric says, in words.

        >>> Labels().metric("target_score_rate:pain_avg,cut=1")
        'pain_avg: final score 1 or better'
        """
        name, code, arguments = parts(text)
        short = self.short(code) if code else ""
        if name == "mcid_rate":
            return f"{short}: improved by at least {self._threshold(code, arguments)}" if code else \
                "Responders (MCID of each episode's primary measure)"
        words = {"target_score_rate": f"{short}: final score {plain(arguments.get('cut'))} or better",
                 "pct_improved_rate": f"{short}: improved by at least {_percent(arguments.get('p'))} of baseline",
                 "baseline_score": f"{short}, baseline", "final_score": f"{short}, final",
                 "score_change": f"{short}, change"}
        title = get(name).label if name in names() else _spoken(name)
        return (words.get(name) or f"{short}: {_spoken(name)}") if code else title

    def variable(self, name: str) -> str:
        """A row of the baseline table: an attribute, or a baseline score."""
        return self.metric(name) if ":" in name else _spoken(name)

    def with_threshold(self, code: object) -> str:
        """A measure with its MCID, whose number and unit stay on one line: "Oswestry Disability Index, 10 points"."""
        size, unsure = self.mcid(code), "" if self.is_verified(code) else " (not verified)"
        return self.short(code) + (f", {plain(size)}\xa0{self.unit(code)}{unsure}" if size is not None else "")

    def thresholds(self) -> str:
        """The MCID of every measure that has one, and which of them are not verified."""
        known = [code for code in self.measures if self.mcid(code) is not None]
        listed = "; ".join(f"{self.short(code)} {plain(self.mcid(code))} {self.unit(code)}" for code in known)
        return f"MCIDs: {listed}; their sources are under Definitions.{self.unverified()}" if known else ""

    def unverified(self) -> str:
        """A sentence with the measures whose MCID nobody has seen in its source; empty where there are none."""
        recalled = [self.short(code) for code in self.measures
                    if self.mcid(code) is not None and not self.is_verified(code)]
        return f" {NOT_VERIFIED.capitalize()} for {', '.join(recalled)}." if recalled else ""

    def _threshold(self, code: str, arguments: Mapping[str, object]) -> str:
        given = arguments.get("threshold")
        if isinstance(given, str):
            return "the MCID of its band of baseline" if given == BANDS else f"{given} of baseline"
        if not is_missing(given):
            return f"{plain(given)} {self.unit(code)}, a threshold given by the user"
        size = self.mcid(code)
        recalled = "" if self.is_verified(code) else f", {NOT_VERIFIED}"
        return "one MCID" + (f" ({plain(size)} {self.unit(code)}{recalled})" if size else recalled)

    def _of(self, code: object) -> Mapping[str, object]:
        return self.measures.get(str(code)) or {}


def parts(text: str) -> tuple[str, str, Mapping[str, object]]:
    """Name, measure and arguments of a metric; an unknown one is taken apart as far as it goes."""
    try:
        call = parse(text)
        return call.metric.name, str(call.measure or ""), call.arguments
    except ParameterError:
        name, _, rest = str(text).partition(":")
        return name, rest.partition(",")[0], {}


def method_words(text: str) -> str:
    """A method with the names of its covariates as words.

    >>> method_words("ANCOVA on baseline, age, site_id; HC3 standard errors")
    'ANCOVA on baseline, age, site; HC3 standard errors'
    """
    return re.sub(r"\w*_\w+", lambda found: _spoken(found[0]).lower(), text)


def plain(value: object) -> str:
    """A threshold or bound without needless zeros.

    >>> plain(10.0), plain(9.25), plain(None)
    ('10', '9.25', '–')
    """
    text = number(value, 2)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(value: object) -> str:
    return "a share" if is_missing(value) else f"{plain(100 * float(value))}%"


def _spoken(name: str) -> str:
    """A column's name as words.

    >>> _spoken("backpain_length")
    'Backpain length'
    """
    words = WORDS.get(str(name)) or str(name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]
