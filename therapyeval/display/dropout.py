"""A released drop-out curve as a figure, a table and a sentence."""

from __future__ import annotations

from therapyeval.display import cells, charts
from therapyeval.display.blocks import Figure
from therapyeval.display.cells import Record, is_withheld, records, text_of
from therapyeval.display.charts import Curve
from therapyeval.display.labels import parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import WITHHELD, is_missing, listed
from therapyeval.result import Result

STOPPED = "stopped by the patient"
HOW = ("Aalen-Johansen: an episode that ended in one way can no longer end in another; open episodes count until their "
       "last visit so far. Stopped by the patient: self-discharge, lost contact, noncompliant, closed for lack of "
       "visits, or an administrative discharge at least 30 days after the last visit.")


def dropout_table(result: Result, whom: str) -> Table:
    """One row per visit, a column for each way to end, group by group."""
    ends, rows = _ends(result), []
    for group in _groups(result):
        found = {(end, visit_of(row)): row for end in ends for row in _of(result, group, end)}
        for visit in sorted({visit for _, visit in found}):
            own = [found.get((end, visit)) for end in ends]
            rows.append(Row(f"By visit {visit}", (*(Cell(cells.share(row), cells.of(row)) for row in own),
                                                  Cell(_n(own))), group))
    level = f"{100 * result.conf_level:g}"
    heads = tuple(f"{end[:1].upper()}{end[1:]} ({level}% CI)" for end in ends)
    return Table("drop-out", "How care ended, by visit.", whom, (*heads, "n"), tuple(rows), "Attended visits",
                 (HOW, "Counts are episodes seen to have ended so by then; with open episodes the share is higher."))


def dropout_figure(result: Result, about: str) -> Figure | None:
    """The same shares as curves, one panel for each group; None where fewer than two visits can be shown."""
    panels = [(group, [_curve(result, group, end) for end in _ends(result)]) for group in _groups(result)]
    panels = [(group, curves) for group, curves in panels if any(curve.n_shown > 1 for curve in curves)]
    if not panels:
        return None
    hidden = sum(is_withheld(row) and is_missing(row["estimate"]) for row in records(result))
    counted = listed([" ".join(filter(None, [group, f"n {_n(_of(result, group, STOPPED))}"])) for group, _ in panels])
    gaps = f" Gaps: {hidden} withheld shares." if hidden else ""
    caption = (f"{about} Share of the episodes started that ended in each way by each attended visit; band: "
               f"{100 * result.conf_level:g}% interval of those stopped by the patient. Episodes: {counted}.{gaps}")
    return Figure(charts.curves_plot(panels), f"How care ended, by visit. {dropout_sentence(result)}", caption)


def dropout_sentence(result: Result) -> str:
    """The last share that is shown of each way to end; of every group for itself."""
    said = []
    for group in _groups(result):
        words = [_last_words(end, [row for row in _of(result, group, end) if not is_missing(row["estimate"])])
                 for end in _ends(result)]
        head = f"{group}: " if group else ""
        said.append(f"{head}{listed([text for text in words if text])}." if any(words) else f"{head}{WITHHELD}.")
    return " ".join(text[:1].upper() + text[1:] for text in said)


def visit_of(row: Record) -> int:
    """The visit that a share is about."""
    return int(parts(row["metric"])[2]["k"])


def _last_words(end: str, shown: list[Record]) -> str:
    return f"{end} by visit {visit_of(shown[-1])} {cells.share(shown[-1])}" if shown else ""


def _n(rows: list[Record | None]) -> str:
    """The episodes behind a line of the table: of whichever end shows them."""
    shown = [row for row in rows if row is not None and not is_missing(row["n"])]
    return cells.count(shown[0] if shown else rows[0])


def _curve(result: Result, group: str, end: str) -> Curve:
    rows = _of(result, group, end)
    return Curve(end, tuple(map(visit_of, rows)), *(tuple(None if is_missing(row[name]) else float(row[name])
                                                          for row in rows)
                                                    for name in ("estimate", "conf_low", "conf_high")))


def _ends(result: Result) -> list[str]:
    return [text_of(level) or STOPPED for level in dict.fromkeys(result.frame["level"])]


def _groups(result: Result) -> list[str]:
    return list(dict.fromkeys(_group(row, result) for row in records(result)))


def _of(result: Result, group: str, end: str) -> list[Record]:
    """The rows of one group and end, by visit."""
    found = [row for row in records(result, level="" if end == STOPPED else end) if _group(row, result) == group]
    return sorted(found, key=visit_of)


def _group(row: Record, result: Result) -> str:
    return ", ".join(text_of(row[name]) for name in result.by)
