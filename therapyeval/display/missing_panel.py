"""A released panel of missing scores as a table, a figure and a sentence: where the missing decide is marked."""

from __future__ import annotations

from therapyeval.display import cells, figures
from therapyeval.display.blocks import Figure
from therapyeval.display.cells import Record, first, records, remark, text_of
from therapyeval.display.figures import Mark, Panel
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import is_missing, listed
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Result

LABELS = {COMPLETE_CASE: "Only those with both scores", MISSING_NOT_ACHIEVED: "Missing counted as not achieved",
          "last_interim": "Last interim score carried forward", "weighted": "Weighted for having a score",
          "worst_case": "Missing at the least favorable score", "best_case": "Missing at the most favorable score"}
DIFFERS = "reads differently from those with both scores"


def panel_table(result: Result, labels: Labels, whom: str) -> Table:
    """One row per rule, group by group; the verdict of each, marked where it differs from that of complete cases."""
    rows = [_row(row, result, labels) for row in records(result)]
    level = f"{100 * result.conf_level:g}"
    notes = ("Least and most favorable are bounds: the truth lies between them whatever became of the missing. The "
             "other rules each suppose something that the data cannot show.", *_weights(result))
    return Table("missing-panel", f"{_what(result, labels)} under every rule for missing scores.", whom,
                 (f"Estimate ({level}% CI)", "n", "Missing", "Verdict"), tuple(rows), "Rule", notes, words=(3,))


def panel_figure(result: Result, labels: Labels, about: str = "") -> Figure | None:
    """The same numbers as marks, one line per rule; `about` says of whom."""
    is_share = _is_share(result)
    digits = cells.score_digits(records(result))
    marks = []
    for row in records(result):
        text = _estimate(row, digits)
        known = not is_missing(row["estimate"])
        limits = (row["estimate"], row["conf_low"], row["conf_high"]) if known else ()
        marks.append(Mark(LABELS[row["estimand"]], text, *limits, heading=_group(row, result)))
    if not any(mark.points for mark in marks):
        return None
    axis = "share of episodes" if is_share else f"{labels.unit(parts(_metric(result))[1])}, positive is better"
    panel = Panel(axis, tuple(marks), limits=(0, 1), percent=True) if is_share else Panel(axis, tuple(marks))
    words = " ".join(f"{', '.join(filter(None, [mark.heading, mark.label]))}: {mark.text}." for mark in marks)
    both = cells.count(first(result, estimand=COMPLETE_CASE))
    caption = (f"{_what(result, labels)} under every rule for missing scores, {100 * result.conf_level:g}% intervals; "
               f"n {both} with both scores. {about}").rstrip()
    return Figure(figures.interval_plot([panel]), f"{caption} {words}", caption)


def panel_sentence(result: Result) -> str:
    """Whether the reading depends on the missing; of every group for itself."""
    said = []
    for group in dict.fromkeys(_group(row, result) for row in records(result)):
        rows = [row for row in records(result) if _group(row, result) == group]
        own = next(row for row in rows if row["estimand"] == COMPLETE_CASE)
        head = f"{group}: " if group else ""
        if not _verdict(own):
            continue
        apart = [LABELS[row["estimand"]].lower() for row in rows if _differs(row, own)]
        said.append(f"{head}the reading ({_verdict(own)}) changes under: {listed(apart)}." if apart else
                    f"{head}the reading ({_verdict(own)}) is the same under every rule that is shown.")
    return " ".join(text[:1].upper() + text[1:] for text in said)


def _row(row: Record, result: Result, labels: Labels) -> Row:
    own = first(result, **{name: row[name] for name in result.by}, estimand=COMPLETE_CASE)
    digits = cells.score_digits(records(result))
    note = "" if not is_missing(row["estimate"]) else remark(row)
    changed = DIFFERS if _differs(row, own) else ""
    return Row(LABELS[row["estimand"]], (
        Cell(_estimate(row, digits), cells.of(row), note), Cell(cells.count(row)), Cell(cells.count(row, "n_missing")),
        Cell(_verdict(row), changed)), _group(row, result))


def _estimate(row: Record, digits: int) -> str:
    return cells.share(row, cells.percent_digits(row["n"])) if row["statistic"] == "proportion" else cells.estimate(
        row, digits)


def _verdict(row: Record | None) -> str:
    """The verdict at the head of the note; "" where the row is withheld or has no interval."""
    if row is None or is_missing(row["conf_low"]) or is_missing(row["conf_high"]):
        return ""
    head = str(row["note"]).partition(";")[0]
    return head if head.startswith(("above ", "below ", "not clear against ")) else ""


def _differs(row: Record, own: Record | None) -> bool:
    """Only where both verdicts are shown."""
    return bool(_verdict(row)) and bool(_verdict(own)) and _verdict(row) != _verdict(own)


def _group(row: Record, result: Result) -> str:
    return ", ".join(text_of(row[name]) for name in result.by)


def _metric(result: Result) -> str:
    return str(result.frame["metric"].iloc[0])


def _what(result: Result, labels: Labels) -> str:
    return labels.metric(_metric(result))


def _is_share(result: Result) -> bool:
    return bool((result.frame["statistic"] == "proportion").all())


def _weights(result: Result) -> tuple[str, ...]:
    row = first(result, estimand="weighted")
    return (f"Weights: {row['method']}.",) if row and row["method"] else ()
