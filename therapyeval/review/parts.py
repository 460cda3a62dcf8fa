"""What several sections of a review have: a table of rates, a monthly chart with its words, a table of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from therapyeval.display import bundles, chart_figures, result_tables
from therapyeval.display.blocks import Block, Heading, Paragraph, Section, Warnings
from therapyeval.display.cells import records
from therapyeval.display.change_tables import change_table, headline, shown_spans, side_by_side
from therapyeval.display.tables import Table
from therapyeval.display.variation import chart_sentence, without_limits
from therapyeval.result import Result
from therapyeval.review.material import Material
from therapyeval.review.summary import below_of, charted_here, provisional_words


def levels(material: Material, section: str, table: str, caption: str, units: str, what: str,
            note: str = "") -> list[Block]:
    """Categories of episodes with their shares, spans beside each other; a span without any number is a sentence."""
    spans, left_out = shown_spans(material.spans(section, table))
    both = side_by_side(spans, caption)
    apart = [Paragraph(f"Not in the table of {what} – {left_out}", "note")] if left_out else []
    if both is None:
        return apart
    found = result_tables.baseline_table(both, material.labels, f"{units}; {material.where}.", flag=False, key=table,
                                         caption=caption)
    notes = ("Numbers of episodes, each with its share of the episodes in which it is known.", note)
    return [replace(found, notes=tuple(filter(None, notes))), *apart]


def rates(material: Material, key: str, caption: str, spans: Mapping[str, Result | None],
           denominators: Mapping[str, str]) -> Table:
    found = list(dict.fromkeys(row["metric"] for result in spans.values() for row in records(result)))
    lines = [headline(metric, material.labels, denominators.get(metric, below_of(metric))) for metric in found]
    return change_table(key, caption, material.everywhere, spans, lines,
                        notes=("95% interval and n below each number.",))


def run(material: Material, metric: str, about: str) -> list[Block]:
    """A monthly chart with what it says; a sentence where there is nothing to draw or it stands on the first page."""
    reading = material.reading(metric)
    if reading is None:
        return []
    figure = chart_figures.run_figure(reading, material.months, f"{about} {reading.span}, {material.where}.")
    title = Heading(f"Month by month: {reading.label[:1].lower()}{reading.label[1:]}")
    if figure is None:
        why = without_limits(reading)
        return [title, Paragraph(f"{why}. No chart is drawn.")]
    said = chart_sentence(reading, material.months)
    if metric == charted_here(material):
        return [title, Paragraph(f"{said} The chart is on the first page.")]
    return [title, Paragraph(said), figure]


def provisional(material: Material, early: bool = False) -> Sequence[Block]:
    """The warning of a provisional review; `early` asks for it only before outcomes may lead."""
    words = provisional_words(material)
    return [Warnings((words,))] if words and (material.outcomes_are_early or not early) else []


def section(name: str, title: str, blocks: Sequence[Block], what: str) -> Section:
    return bundles.section(name, title, blocks, f"This review has no data on {what}.")
