"""A review's bundle with its record's parts at hand, each empty where the record does not have it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from therapyeval.benchmark.control_chart import ControlChart, chart_points
from therapyeval.display import bundles
from therapyeval.display.cells import count, first
from therapyeval.display.change_tables import Spans
from therapyeval.display.charts import month_words
from therapyeval.display.labels import Labels
from therapyeval.display.variation import Reading, read_chart
from therapyeval.formatting import listed, plural
from therapyeval.period import spans as spans_between
from therapyeval.result import Bundle, Result
from therapyeval.review.quarterly import BEFORE, FINAL_AFTER_DAYS, NOW, YEAR_AGO

NAMES_OF_SPANS = {NOW: "Now", BEFORE: "Before", YEAR_AGO: "Year ago"}
OUTCOMES_AFTER_DAYS = 30      # quarterly review requirements, section 7 (late data)
RESPONDERS = "mcid_rate"
OUTCOMES = (RESPONDERS, "goals_met_rate")
FOLLOW_EPISODES = ("discharges", "attended visits")      # few while the episodes of the data are young
NO_MCID = "no MCID registered"
FILTER_WORDS = {"site_id": "site", "discipline": "discipline", "program": "program"}


class Material:
    """What the sections of a review are made of."""

    def __init__(self, bundle: Bundle, charts: Mapping[str, ControlChart]) -> None:
        self.bundle, self.charts, self.record = bundle, charts, bundle.record
        self.labels = Labels({}, self.part("measures"))
        self.about = self.part("review")
        self.labels_of_spans = self.about.get("spans") or {}
        self.period = str(self.about.get("period") or "")
        self.rolling, self.history, self.of_ended = (
            _months_words(str(self.about.get(name) or "")) for name in ("rolling", "history", "of_ended"))

    def part(self, name: str) -> Mapping:
        return self.record.get(name) or {}

    def result(self, section: str, table: str) -> Result | None:
        """A table with rows, or None."""
        return bundles.find(self.bundle, section, table)

    def spans(self, section: str, table: str) -> Spans:
        """Head of a column -> the table of that span, for those that the review has."""
        heads = {when: f"{NAMES_OF_SPANS.get(when, when)}: {label}" for when, label in self.labels_of_spans.items()}
        found = {head: self.result(section, f"{table} {when}") for when, head in heads.items()
                 if f"{table} {when}" in self.bundle.section(section)}
        return {head: result for head, result in found.items()} if any(found.values()) else {}

    @property
    def days_after(self) -> int | None:
        """Days between the end of the period and the data cut."""
        end, cut = str(self.about.get("end") or ""), str(self.part("dataset").get("data_cut") or "")
        return (date.fromisoformat(cut) - date.fromisoformat(end)).days if end and cut else None

    @property
    def is_final(self) -> bool:
        return self.about.get("state") == "final"

    @property
    def state_words(self) -> str:
        """Final or provisional, and why."""
        days, state = self.days_after, "final" if self.is_final else "provisional"
        if days is None:
            return state
        since = f"{plural(days, 'day')} after" if days >= 0 else f"{plural(-days, 'day')} before"
        return (f"{state}: the data end {since} the end of the period; from {FINAL_AFTER_DAYS} days after it on a "
                "review is final, because late scores and abandoned episodes are known by then")

    @property
    def outcomes_are_early(self) -> bool:
        """True before the day from which outcomes may lead a headline."""
        return self.days_after is not None and self.days_after < OUTCOMES_AFTER_DAYS

    @property
    def held_back(self) -> tuple[str, ...]:
        """Metrics that may not lead: outcomes before their day, and responders whose every threshold is recalled."""
        if self.outcomes_are_early:
            return OUTCOMES
        return (RESPONDERS,) if self.thresholds_are_recalled else ()

    @property
    def thresholds_are_recalled(self) -> bool:
        """True where no primary measure has an MCID that was seen in its source."""
        known = [code for code in self.about.get("primary") or () if self.labels.mcid(code) is not None]
        return bool(known) and not any(map(self.labels.is_verified, known))

    @property
    def months(self) -> list[str]:
        """Labels of the months under review."""
        if not self.about.get("start"):
            return []
        start, end = (date.fromisoformat(str(self.about[name])) for name in ("start", "end"))
        return [span.label for span in spans_between(start, end, "month")]

    @property
    def where(self) -> str:
        """The sites, disciplines and programs that were asked for."""
        given = [f"{FILTER_WORDS.get(name, name.replace('_', ' '))} {_values(value)}"
                 for name, value in (self.about.get("filters") or {}).items()]
        return "; ".join(given) or "all sites, disciplines and programs"

    @property
    def everywhere(self) -> str:
        """`where` as a sentence of its own."""
        return f"{self.where[:1].upper()}{self.where[1:]}."

    def whom(self, units: str, period: str = "") -> str:
        """Whom a table is about: which units, when, where."""
        return f"{units} in {period or self.period}; {self.where}."

    @property
    def thresholds(self) -> str:
        """What the pooled responders were judged by."""
        return ("Threshold: the MCID of each episode's primary measure; values, sources and confidence are under "
                f"Definitions.{self.labels.unverified()}")

    @property
    def start_up(self) -> str:
        """Why charts of ended episodes begin later than others; empty where they do not."""
        if self.of_ended in ("", self.history):
            return ""
        return (f"The data begin in {month_words(self.history[:7])}. Only short episodes can have ended soon after, so "
                f"monthly charts of ended episodes, and the limits of discharges and visits, begin in "
                f"{month_words(self.of_ended[:7])}.")

    @property
    def primary_rule(self) -> str:
        """Why fewer episodes have both scores where responders are judged, and what becomes of the others."""
        left_out = self.result("summary", f"headlines {NOW}")
        reasons = left_out.exclusions["reason"].astype(str) if left_out is not None else []
        counted = "they are in the table of those left out" if any(NO_MCID in text for text in reasons) else \
            f"{self.period} has none"
        return ("Completion counts both scores of any measure. Responders are judged on the primary measure only, so "
                "fewer episodes have both scores there. An eligible episode without both scores of its primary measure "
                "counts as not achieved. One whose primary measure has no registered MCID would be left out of the "
                f"responders: {counted}.")

    def readings(self) -> dict[str, Reading]:
        """Metric -> its chart, in the order of the review."""
        return {metric: read_chart(chart, self.labels.metric(metric)) for metric, chart in self.charts.items()}

    def reading(self, metric: str) -> Reading | None:
        chart = self.charts.get(metric)
        return None if chart is None else read_chart(chart, self.labels.metric(metric))

    def volume_reading(self, kind: str) -> Reading | None:
        """The chart of a monthly count, from where its months can be compared."""
        result = self.result("served", "volumes monthly")
        if result is None:
            return None
        begin = self.of_ended[:7] if kind in FOLLOW_EPISODES else ""
        points = result.where((result.frame["metric"] == kind) & (result.frame["period"] >= begin))
        if points.frame.empty:
            return None
        return read_chart(chart_points(points, better="neither"), kind[:1].upper() + kind[1:])

    def volume(self, kind: str, when: str = NOW) -> str:
        """How many there were in the period, or in another span, as text."""
        row = first(self.result("served", f"volumes {when}"), metric=kind)
        return count(row, "numerator")


def _values(value: object) -> str:
    return listed([str(item) for item in value]) if isinstance(value, (list, tuple)) else str(value)


def _months_words(text: str) -> str:
    """2025-07-01..2026-06-30 as "2025-07 to 2026-06"."""
    start, dots, end = text.partition("..")
    return f"{start[:7]} to {end[:7]}" if dots else text
