"""What a monthly chart says, in words: variation and assurance, never a difference between two points.

Source: quarterly review requirements, sections 5 and 6 (NHS Making Data Count).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from therapyeval.benchmark.control_chart import MIN_POINTS, ControlChart
from therapyeval.display.cells import Record, is_withheld, percent_digits, records
from therapyeval.display.charts import Line, Point, stretches
from therapyeval.formatting import WITHHELD, is_missing, listed

RULE_WORDS = {     # of a month above the mean, and of one below
    "outside_limit": ("above the upper limit", "below the lower limit"),
    "shift": ("part of 7 or more months above the mean", "part of 7 or more months below the mean"),
    "trend": ("part of 7 months that each rose or each fell",) * 2,
    "two_of_three": ("two of three months close to the upper limit", "two of three months close to the lower limit")}
ASSURANCE = {"pass": "every month is expected to meet the target",
             "fail": "no month is expected to meet the target unless the process changes",
             "inconsistent": "months may or may not meet the target"}


@dataclass(frozen=True)
class Signal:
    """A flagged month: what it means (concern, improvement, neutral) and by which rules, in words."""

    month: str
    meaning: str
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A chart as its reader needs it: the line, its signals, and how many months could be used."""

    label: str
    line: Line
    signals: tuple[Signal, ...]
    assurance: str
    n_months: int
    n_withheld: int
    unit: str = ""

    @property
    def n_shown(self) -> int:
        return sum(not is_missing(point.value) for point in self.line.points)

    @property
    def span(self) -> str:
        """First and last month: "2024-10 to 2026-06"."""
        ends = [self.line.points[place].month for place in (0, -1)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"

    @property
    def withheld_months(self) -> list[str]:
        return [point.month for point in self.line.points if is_missing(point.value) and point.n == WITHHELD]

    @property
    def has_limits(self) -> bool:
        return not is_missing(self.line.low)

    @property
    def expected(self) -> str:
        """The band as words, cut where the unit ends: "between 73 and 90%"."""
        low = max(self.line.low, self.line.floor) if self.line.floor is not None else self.line.low
        high = min(self.line.high, self.line.ceiling) if self.line.ceiling is not None else self.line.high
        return f"between {self.line.text(low).removesuffix('%')} and {self.line.text(high)} {self.unit}".rstrip()

    def within(self, months: Sequence[str]) -> tuple[Signal, ...]:
        return tuple(signal for signal in self.signals if signal.month in months)

    def outside(self, months: Sequence[str]) -> tuple[Signal, ...]:
        """Signals before the months under review."""
        return tuple(signal for signal in self.signals if signal.month not in months)

    def is_judged(self, months: Sequence[str]) -> bool:
        """True where there are limits and a value in one of these months."""
        return self.has_limits and any(not is_missing(p.value) for p in self.line.points if p.month in months)


def read_chart(chart: ControlChart, label: str) -> Reading:
    """The line of a chart with the flag of each month."""
    points, limits = records(chart.points), {row["statistic"]: row["estimate"] for row in records(chart.limits)}
    signals = _signals(chart)
    flags = {signal.month: signal.meaning for signal in signals}
    percent = bool(points) and points[0]["unit"] == "proportion"
    mean = None if is_missing(limits.get("lower_limit")) else limits["mean"]     # a run is drawn without levels
    line = Line(tuple(_point(row, flags) for row in points), label, percent, _digits(points, percent),
                mean, limits.get("lower_limit"), limits.get("upper_limit"), chart.target,
                floor=0.0, ceiling=1.0 if percent else None)
    hidden = sum(is_missing(row["estimate"]) and is_withheld(row) for row in points)
    unit = "" if percent or not points else str(points[0]["unit"])
    return Reading(label, line, signals, chart.assurance, len(points), hidden, unit)


def chart_words(reading: Reading, months: Sequence[str]) -> tuple[str, str]:
    """Two short lines for a table: what these months say, and what to expect; with the target's where there is one.

    >>> line = Line((Point("2026-04", 0.8),), "Arrival rate", True, 0, 0.815, 0.730, 0.900)
    >>> chart_words(Reading("Arrival rate", line, (), "none", 1, 0), ["2026-04"])
    ('No special-cause variation', 'expected between 73 and 90%')
    """
    if not reading.has_limits:
        return without_limits(reading), ""
    inside, before = reading.within(months), reading.outside(months)
    text = "No special-cause variation"
    if inside:
        text = f"Special-cause variation: {_briefly(inside)}"
    elif not reading.is_judged(months):
        text = "Not judged: these months are withheld" if reading.n_withheld else "Not judged: no value in these months"
    below = [f"expected {reading.expected}", ASSURANCE.get(reading.assurance, ""),
             f"earlier: {_briefly(before)}" if before else ""]
    return text, "; ".join(filter(None, below))


def without_limits(reading: Reading) -> str:
    """Why a chart has no limits.

    >>> without_limits(Reading("x", Line((Point("2026-04", 0.8), Point("2026-05", None))), (), "none", 2, 1))
    'Insufficient for limits: 1 of 2 months has a value, 12 are needed; 1 is withheld'
    """
    if reading.n_months and reading.n_withheld == reading.n_months:
        return "Withheld in every month"
    if reading.n_shown >= MIN_POINTS:
        return "No limits: the months do not vary, or none follow each other"
    has = "has" if reading.n_shown == 1 else "have"
    verb = "is" if reading.n_withheld == 1 else "are"
    hidden = f"; {reading.n_withheld} {verb} withheld" if reading.n_withheld else ""
    return (f"Insufficient for limits: {reading.n_shown} of {reading.n_months} months {has} a value, "
            f"{MIN_POINTS} are needed{hidden}")


def chart_sentence(reading: Reading, months: Sequence[str]) -> str:
    """What the whole chart says, for the text beside it.

    >>> line = Line((Point("2026-04", 0.8),), "Arrival rate", True, 0, 0.815, 0.730, 0.900)
    >>> chart_sentence(Reading("Arrival rate", line, (), "none", 1, 0), ["2026-04"])
    'Arrival rate: no special-cause variation; performance expected between 73 and 90% unless the process changes.'
    """
    if not reading.has_limits:
        words = without_limits(reading)
        return f"{reading.label}: {words[:1].lower()}{words[1:]}. The months are drawn without limits and not judged."
    target = f" Against the target of {reading.line.text(reading.line.target)}, {ASSURANCE[reading.assurance]}." \
        if reading.assurance in ASSURANCE else ""
    expected = f"performance expected {reading.expected} unless the process changes"
    if not reading.signals:
        return f"{reading.label}: no special-cause variation; {expected}.{target}"
    inside, before = reading.within(months), reading.outside(months)
    said = [f"special-cause variation in {_all(inside)}" if inside else
            "no special-cause variation in the months under review",
            f"earlier in {_all(before)}" if before else ""]
    return f"{reading.label}: {'; '.join(filter(None, said))}. Otherwise {expected}.{target}"


def findings(readings: Mapping[str, Reading], months: Sequence[str]) -> tuple[list[str], list[str]]:
    """Special causes of the months under review, one sentence each, and what else the charts say, in one each."""
    special = [f"{reading.label}: special-cause variation in {_all(reading.within(months))}. Months are otherwise "
               f"expected {reading.expected}." for reading in readings.values() if reading.within(months)]
    special += [f"{reading.label}: {ASSURANCE['fail']} ({reading.line.text(reading.line.target)})."
                for reading in readings.values() if reading.assurance == "fail"]
    steady = [reading for reading in readings.values() if reading.is_judged(months) and not reading.within(months)]
    rest = [usual(steady)] if steady else []
    earlier = [f"{_lower(reading.label)} in {_all(reading.outside(months))}" for reading in readings.values()
               if reading.outside(months)]
    rest += [f"Signals in earlier months: {'; '.join(earlier)}."] if earlier else []
    without = [_lower(reading.label) for reading in readings.values() if not reading.is_judged(months)]
    rest += [f"Not judged by month, because too few months can be shown: {listed(without)}."] if without else []
    return special, rest


def flagged_months(reading: Reading, months: Sequence[str]) -> str:
    """What stands out in the months under review, with the band that was expected."""
    return f"{_lower(reading.label)} in {_all(reading.within(months))}, expected {reading.expected}"


def usual(readings: Sequence[Reading]) -> str:
    """The sentence of common-cause variation.

    >>> line = Line((Point("2026-04", 0.8),), "Arrival rate", True, 0, 0.815, 0.730, 0.900)
    >>> usual([Reading("Arrival rate", line, (), "none", 1, 0)])
    'Arrival rate: no special-cause variation; performance expected between 73 and 90% unless the process changes.'
    """
    if len(readings) == 1:
        only = readings[0]
        return (f"{only.label}: no special-cause variation; performance expected {only.expected} unless the process "
                "changes.")
    bands = listed([f"{_lower(reading.label)} {reading.expected}" for reading in readings])
    return ("No special-cause variation of these indicators; performance expected by month, unless the process "
            f"changes: {bands}.")


def _briefly(signals: Sequence[Signal]) -> str:
    """Flagged months by what they mean: "concern in Jan 2025 and Jan 2026"."""
    meanings = dict.fromkeys(signal.meaning for signal in signals)
    months = {meaning: [signal.month for signal in signals if signal.meaning == meaning] for meaning in meanings}
    return "; ".join(f"{meaning} in {listed(stretches(found, short=True))}" for meaning, found in months.items())


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


def _all(signals: Sequence[Signal]) -> str:
    """Flagged months, those with the same meaning and rules together."""
    groups: dict[tuple, list[str]] = {}
    for signal in signals:
        groups.setdefault((signal.meaning, signal.rules), []).append(signal.month)
    return listed([f"{listed(stretches(months))} ({meaning}: {listed(rules)})"
                   for (meaning, rules), months in groups.items()])


def _signals(chart: ControlChart) -> tuple[Signal, ...]:
    """A flagged month with limits is never on the mean but in a trend, whose words are the same on both sides."""
    mean = next((row["estimate"] for row in records(chart.limits) if row["statistic"] == "mean"), None)
    found: dict[str, list[Record]] = {}
    for row in records(chart.signals):
        found.setdefault(str(row["period"]), []).append(row)
    return tuple(Signal(month, str(rows[0]["note"]), tuple(
        RULE_WORDS[row["level"]][int(row["estimate"] < mean)] for row in rows)) for month, rows in found.items())


def _point(row: Record, flags: Mapping[str, str]) -> Point:
    month = str(row["period"])
    if is_missing(row["estimate"]):
        return Point(month, None, WITHHELD if is_withheld(row) else "")
    return Point(month, float(row["estimate"]), "" if is_missing(row["n"]) else str(int(row["n"])),
                 flags.get(month, ""))


def _digits(points: Sequence[Record], percent: bool) -> int:
    """Decimals by the smallest month: the one that a single person moves most; counts have none."""
    if points and points[0]["statistic"] == "count":
        return 0
    known = [row["n"] for row in points if not is_missing(row["n"])]
    return percent_digits(min(known, default=None)) if percent else 1
