"""Tables of one number at several times: now, the period before, the same period a year ago; and beside a chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from therapyeval.benchmark.control_chart import HEADLINE
from therapyeval.display import cells
from therapyeval.display.cells import Record, first, is_withheld, number, records, remark
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import NOTHING, WITHHELD, is_missing
from therapyeval.metrics import get, names
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Result

Spans = Mapping[str, Result | None]


@dataclass(frozen=True)
class Lookup:
    """A number to look up in every span: metric, statistic and rule, with the words for its row."""

    metric: str
    label: str
    below: str = ""
    statistic: str = ""
    estimand: str = COMPLETE_CASE
    group: str = ""

    def row(self, result: Result | None) -> Record | None:
        return first(result, metric=self.metric, statistic=self.statistic, estimand=self.estimand) \
            if self.statistic != "count" else first(result, metric=self.metric, statistic="count")


def headline(metric: str, labels: Labels, below: str = "", label: str = "") -> Lookup:
    """The number that leads for a metric: the statistic of its kind, missing counted as not achieved."""
    name = parts(metric)[0]
    entry = get(name) if name in names() else None
    statistic = HEADLINE[entry.kind] if entry else "count"
    rule = MISSING_NOT_ACHIEVED if entry and entry.two_rules else COMPLETE_CASE
    return Lookup(metric, label or labels.metric(metric), below, statistic, rule)


def change_table(key: str, caption: str, whom: str, spans: Spans, lines: Sequence[Lookup], *,
                 extra: Mapping[str, Callable[[Lookup], Cell]] | None = None, notes: Sequence[str] = (),
                 stub: str = "Indicator") -> Table:
    """One row for each line, one column for each span, then extra columns, of which the last holds prose."""
    extra = extra or {}
    rows = []
    for line in lines:
        found = [line.row(result) for result in spans.values()]
        digits = shared_digits([row for row in found if row is not None])
        cells_of_row = [value_cell(row, digits) for row in found]
        rows.append(Row(line.label, (*cells_of_row, *(make(line) for make in extra.values())), line.group, line.below))
    words = (len(spans) + len(extra) - 1,) if extra else ()
    return Table(key, caption, whom, (*spans, *extra), tuple(rows), stub, tuple(filter(None, notes)), words)


def shared_digits(rows: Sequence[Record]) -> int:
    """Decimals that all rows of one line share; counts and days have none."""
    rows = [row for row in rows if not is_missing(row["estimate"])]
    if not rows or rows[0]["statistic"] == "count":
        return 0
    if rows[0]["unit"] == "proportion":
        return min(cells.percent_digits(_base(row)) for row in rows)
    return 0 if rows[0]["unit"] == "days" else cells.score_digits(rows)


def value_cell(row: Record | None, digits: int) -> Cell:
    """The number, and below it its interval and n; withheld or a dash with the reason where there is none."""
    if row is None:
        return Cell(NOTHING)
    if is_missing(row["estimate"]):
        return Cell(WITHHELD) if is_withheld(row) else Cell(NOTHING, note=remark(row))
    if row["statistic"] == "count":
        return Cell(number(row["estimate"], 0))
    scale = 100 if row["unit"] == "proportion" else 1
    limits = cells.span(scale * row["conf_low"], scale * row["conf_high"], digits) if cells.has_interval(row) else ""
    text = number(scale * row["estimate"], digits) + {"proportion": "%", "days": " days"}.get(row["unit"], "")
    return Cell(text, "\n".join([*filter(None, [limits]), f"n {cells.count(row)}"]))


def side_by_side(spans: Spans, title: str) -> Result | None:
    """Results without groups as one, grouped by span: for tables that set columns beside each other."""
    parts_of = [replace(result, frame=result.frame.assign(span=label)[["span", *result.frame.columns]])
                for label, result in spans.items() if result is not None and not result.by]
    return parts_of[0].concat(*parts_of[1:], title=title) if parts_of else None


def shown_spans(spans: Spans) -> tuple[Spans, str]:
    """Spans with a number to show, and a sentence about those without: a column of "withheld" says no more."""
    kept = {label: result for label, result in spans.items()
            if result is not None and result.frame["estimate"].notna().any()}
    words = [f"{label}: {'every number is withheld' if any(map(is_withheld, records(result))) else 'no data'}."
             for label, result in spans.items() if label not in kept]
    return kept, " ".join(words)


def exclusion_table(result: Result | None, metrics: Sequence[str], labels: Labels, whom: str) -> Table | None:
    """What each metric's rule left out, by reason."""
    if result is None or result.exclusions.empty:
        return None
    rows = [Row(_reason(item["reason"]), (_counted(item["n"]), _counted(item["n_people"])),
                f"{labels.metric(metric)}: {_units(metric)}")
            for metric in metrics for item in result.exclusions.to_dict("records") if item["metric"] == metric]
    hidden = any(cell.text == WITHHELD for row in rows for cell in row.cells)
    notes = ("Each is left out for the first rule that applies to it, and is then in no number of that indicator.",
             "Counts withheld here are of too few patients, or would give such a count away. They stand beside the "
             "numbers of the report; the first page counts withheld numbers only." if hidden else "")
    return Table("exclusions", "Left out by the rule of each indicator.", whom, ("How many", "Different patients"),
                 tuple(rows), "Reason", tuple(filter(None, notes))) if rows else None


def group_codes(result: Result | None) -> list[str]:
    """The groups of a Result, in its order."""
    return list(dict.fromkeys(cells.text_of(row[result.by[0]]) for row in records(result))) if result and result.by \
        else []


def _base(row: Record) -> object:
    return row["n"] if is_missing(row["denominator"]) else row["denominator"]


def _counted(value: object) -> Cell:
    return Cell(WITHHELD if is_missing(value) else number(value, 0))


def _units(metric: str) -> str:
    """What a metric counts: "episodes", "appointments"."""
    name = parts(metric)[0]
    return get(name).population if name in names() else "units"


def _reason(text: object) -> str:
    """A reason as words: "evaluation_only" becomes "evaluation only"."""
    return str(text).replace("_", " ")
