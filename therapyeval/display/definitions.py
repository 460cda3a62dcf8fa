"""The words a report ends with: what its metrics and thresholds are, how numbers are rounded, what is not shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from therapyeval.display.blocks import Block, Facts, Paragraph, Warnings
from therapyeval.display.labels import Labels, plain
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import NOTHING, is_missing

READING = (
    ("withheld", "The privacy policy hides this number: too few people stand behind it or behind what is left of the "
                 "group, or a hidden number could be worked out from it. A hidden number is not zero."),
    ("not reached", "The time at which this would happen lies beyond what was observed."),
    (NOTHING, "No value; a lettered note says why where there is a reason."),
    ("Decimals", "Percentages of fewer than 100 people have none, others one. Scores keep two digits of half the width "
                 "of their interval. Nothing is rounded before it is printed."),
    ("MCID", "Minimal clinically important difference: the smallest change of one person that patients notice. A mean "
             "difference between groups is shown beside it, which is not the same as how many people improved by it."),
)


GLOSSARY = {
    "ANCOVA": "Analysis of covariance: the difference in improvement between groups, as if they had been alike in the "
              "characteristics that are named (adjusted).",
    "HC3": "A way of working out intervals that allows the groups to vary by different amounts.",
    "SMD": "Standardized mean difference: the difference between two groups divided by how much single people vary "
           "(the standard deviation, SD). Beyond 0.1 the groups are called different.",
    "Interval": "The range in which the true value can be expected: 95 of 100 such ranges hold it. A wide one says "
                "that the number is not sure.",
    "Special-cause variation": "A month, or a run of months, that stands out from the variation that is always there: "
                               "something may have changed. Four rules look for it.",
    "Process limits (XmR)": "The band in which months are expected as long as nothing changes: the mean of the months, "
                            "plus and minus 2.66 times the mean step from one month to the next (its moving range).",
    "Slots due": "Appointments that were kept, missed, or cancelled less than 24 hours before.",
    "Paired, both scores": "A first and a final score of the same measure in one episode of care.",
    "Censored": "Still waiting when the data end: counted up to that day.",
    "Widened": "Joined with others, or taken over more months, so that enough people stand behind a number and it can "
               "be shown.",
    "Final, provisional": "Final: the data end at least 60 days after the end of the period, so that late scores and "
                          "episodes that were silently abandoned are known. Provisional: earlier.",
}


def definition_blocks(metrics: Iterable[Mapping[str, object]], labels: Labels, words: Iterable[str]) -> list[Block]:
    """Metrics, measures with their thresholds and warnings, how to read the tables, and these words of GLOSSARY."""
    facts = tuple(_definition(item, labels) for item in metrics)
    blocks: list[Block] = [Facts(facts)] if facts else []
    if labels.measures:
        blocks.append(measures_table(labels))
        said = tuple(f"{labels.short(code)}: {text}." for code in labels.measures
                     for text in labels.warnings(code))
        blocks += [Warnings(said)] if said else []
    return [*blocks, Paragraph("How to read the tables:"), Facts(READING), Paragraph("Technical words:"),
            Facts(tuple((word, GLOSSARY[word]) for word in words))]


def _definition(item: Mapping[str, object], labels: Labels) -> tuple[str, str, str]:
    """Term, text and source of one metric; a source at the end of the text is set apart."""
    metric, label = str(item.get("metric") or ""), str(item.get("label") or "")
    text, _, source = " ".join(str(item.get("definition") or NOTHING).split()).partition(" Source: ")
    source = str(item.get("source") or source)
    return labels.metric(metric) if metric else label, text, f"Source: {source.rstrip('.')}." if source else ""


def measures_table(labels: Labels) -> Table:
    """Each measure with its scale, MCID, where that comes from, and measurement error."""
    rows = tuple(
        Row(labels.measure(code), (_mcid(labels, code, facts), Cell(_source(facts)), _error(labels, code, facts)),
            below=labels.scale(code)) for code, facts in labels.measures.items())
    return Table("measures", "Measures and the thresholds used.", "MDC95: smallest change beyond measurement error.",
                 ("MCID", "Source of the MCID", "MDC95"), rows, "Measure", words=(1,))


def _mcid(labels: Labels, code: str, facts: Mapping[str, object]) -> Cell:
    size = labels.mcid(code)
    if size is None:
        return Cell("none registered")
    basis = str(facts.get("mcid_basis") or "")
    return Cell(f"{plain(size)} {labels.unit(code)}", f"basis: {basis}" if basis else "",
                "" if labels.is_verified(code) else "threshold not verified: recalled, not seen in its source")


def _source(facts: Mapping[str, object]) -> str:
    said = [str(facts.get(name) or "") for name in ("mcid_source", "mcid_population")]
    if is_missing(facts.get("mcid")):
        return NOTHING
    return "; ".join(filter(None, said)) or NOTHING


def _error(labels: Labels, code: str, facts: Mapping[str, object]) -> Cell:
    value = facts.get("mdc95")
    return Cell(NOTHING if is_missing(value) else f"{value:.3g} {labels.unit(code)}")
