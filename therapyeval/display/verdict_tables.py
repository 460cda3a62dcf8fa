"""What would change a reading: tipping points and progression criteria as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.display import cells
from therapyeval.display.cells import Record, number, records
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import NOTHING, WITHHELD, is_missing
from therapyeval.result import Result

PEOPLE = "people"
WOULD = {"interval reaches 0": "reach 0", "interval excludes 0": "exclude 0",
         "interval reaches one MCID": "reach one MCID"}
NOTES = ("Points: how much more (or, with a minus, less) people without a final score would have to have improved than "
         "those observed in their group; the other group's missing are taken to be like those observed, and the "
         "interval keeps its width.",
         "People: how many who are counted as not having achieved the outcome would have to have achieved it.")


def tipping_table(result: Result, labels: Labels, whom: str) -> Table:
    """Every tipping point, by outcome and contrast."""
    rows = []
    for row in records(result):
        unit, digits = _unit(row, labels)
        known = not is_missing(row["estimate"])
        needed = f"{number(row['estimate'], digits)} {unit}" if known else \
            WITHHELD if cells.is_withheld(row) else NOTHING
        note = "" if known else cells.remark(row)
        rows.append(Row(labels.contrast(row["contrast"]), (
            Cell(str(row["level"])), Cell(needed, _of_whom(row, labels), note)), labels.metric(row["metric"])))
    return Table("tipping_points", "How far missing people would have to differ to change the reading.", whom,
                 ("Reading changes when the", "Needed"), tuple(rows), "Contrast", NOTES, words=(0,))


def tipping_sentences(result: Result, labels: Labels, metrics: Sequence[str]) -> list[str]:
    """The tipping points of some outcomes, in words."""
    return [_sentence(row, labels) for row in records(result)
            if row["metric"] in metrics and not is_missing(row["estimate"])]


def _sentence(row: Record, labels: Labels) -> str:
    arm, outcome, would = labels.arm(row["arm"]), labels.metric(row["metric"]), WOULD[row["level"]]
    value, (unit, digits) = row["estimate"], _unit(row, labels)
    if row["unit"] == PEOPLE:
        return (f"{outcome}: if {number(value, 0)} more {unit} in {arm} had achieved it than are counted, the interval "
                f"of the difference would {would}.")
    missing = f"the {cells.count(row, 'n_missing')} people in {arm} without a final score"
    if labels.width(parts(row["metric"])[1]) < abs(value):
        return f"{outcome}: no scores of {missing} that the scale allows would make the interval {would}."
    return (f"{outcome}: if {missing} had improved by {number(abs(value), digits)} {unit} "
            f"{'more' if value > 0 else 'less'} than those observed there, the interval would {would}.")


def _unit(row: Record, labels: Labels) -> tuple[str, int]:
    if row["unit"] == PEOPLE:
        return ("person" if row["estimate"] == 1 else PEOPLE), 0
    return labels.unit(parts(row["metric"])[1]), 1


def _of_whom(row: Record, labels: Labels) -> str:
    arm = labels.arm(row["arm"])
    if is_missing(row["estimate"]):
        return ""
    if row["unit"] == PEOPLE:
        return f"of {cells.count(row)} in {arm}"
    return f"{cells.count(row, 'n_missing')} missing of {cells.count(row)} in {arm}"


def progression_table(result: Result, criteria: Mapping[str, Mapping[str, float]], names: Mapping[str, str],
                      whom: str) -> Table:
    """Progression criteria: what was seen, with its interval, against green and red.

    Parameters
    ----------
    criteria : indicator -> green, red (proportions 0-1)
    names : indicator -> what is counted of what
    """
    rows = []
    for row in records(result):
        rule = criteria.get(row["metric"]) or {}
        seen = Cell(cells.share(row), cells.of(row))
        verdict = Cell(str(row["level"]) or WITHHELD, cells.remark(row))
        rows.append(Row(str(row["metric"]).capitalize(), (
            seen, Cell(f"{cells.percent(rule.get('green'))} or more"), Cell(f"below {cells.percent(rule.get('red'))}"),
            verdict), below=names.get(row["metric"], "")))
    return Table("progression", "Progression criteria of the protocol.", whom,
                 (f"Seen ({100 * result.conf_level:g}% CI)", "Green", "Red", "Verdict"), tuple(rows), "Indicator",
                 ("Amber is everything between green and red. Unrounded values decide; the interval says how sure the "
                  "verdict is.",), words=(3,))
