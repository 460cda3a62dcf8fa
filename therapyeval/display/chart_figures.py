"""Released Results over time and by group as figures, each with its finding in words and a caption with n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.display import cells, charts, figures
from therapyeval.display.blocks import Figure
from therapyeval.display.cells import Record, first, is_withheld, number, records
from therapyeval.display.change_tables import Lookup, Spans, shared_digits, value_cell
from therapyeval.display.charts import month_words, stretches
from therapyeval.display.figures import Mark, Panel
from therapyeval.display.variation import Reading, chart_sentence
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, listed
from therapyeval.result import Result

SHAPES = {"concern": "diamond: concern", "improvement": "square: improvement",
          "neutral": "triangle: change without a better direction"}


def run_figure(reading: Reading, months: Sequence[str], about: str) -> Figure | None:
    """A monthly line with limits; None where fewer than two months can be shown. `about` says which units, when."""
    if reading.n_shown < 2:
        return None
    line = reading.line
    first_month, last_month = month_words(line.points[0].month), month_words(line.points[-1].month)
    level = f" Mean {line.text(line.mean)}." if reading.has_limits else ""
    last = [point for point in line.points if not is_missing(point.value)][-1]
    alt = (f"{reading.label} by month, {first_month} to {last_month}.{level} {chart_sentence(reading, months)} "
           f"Last month shown, {month_words(last.month)}: {line.text(last.value)}.")
    return Figure(charts.run_plot(line, months), alt, _run_caption(reading, months, about))


def _run_caption(reading: Reading, months: Sequence[str], about: str) -> str:
    """Only what is drawn."""
    levels = reading.line.levels
    limits = [name for name in ("upper limit", "lower limit") if name in levels]
    drawn = ["Solid: mean." if "mean" in levels else "Run chart: no limits, because too few months have a value."]
    if limits:
        named = "process limits" if len(limits) == 2 else f"{limits[0].split()[0]} process limit"
        drawn.append(f"Dashed: {named} (XmR, mean ± 2.66 mean moving ranges).")
    drawn += ["Dotted: target."] if "target" in levels else []
    shapes = [SHAPES[meaning] for meaning in dict.fromkeys(signal.meaning for signal in reading.signals)]
    drawn += [f"Flagged months: {', '.join(shapes)}."] if shapes else []
    hidden = reading.withheld_months
    drawn += [f"Withheld and not drawn: {listed(stretches(hidden, short=True))}."] if hidden else []
    drawn += _shaded(reading.line, months)
    return " ".join([about, *drawn, "n below each month."])


def _shaded(line: charts.Line, months: Sequence[str]) -> list[str]:
    return ["Shaded: the period under review."] if any(point.month in months for point in line.points) else []


def volumes_figure(result: Result, months: Sequence[str], about: str) -> Figure | None:
    """Counts by month, one panel for each kind."""
    kinds = list(dict.fromkeys(str(row["metric"]) for row in records(result)))
    lines = [_count_line(result, kind) for kind in kinds]
    if not any(not is_missing(point.value) for line in lines for point in line.points):
        return None
    words = [_count_words(line, months) for line in lines]
    hidden = sum(point.n == WITHHELD for line in lines for point in line.points)
    gaps = f" Gaps: {hidden} withheld month{'' if hidden == 1 else 's'}." if hidden else ""
    shaded = " ".join(_shaded(lines[0], months))
    caption = f"{about} Every panel begins at 0; the count of the last month is printed. {shaded}{gaps}".rstrip()
    return Figure(charts.volume_plot(lines, months), "Volumes by month. " + " ".join(words), caption)


def _count_line(result: Result, kind: str) -> charts.Line:
    points = [charts.Point(str(row["period"]), None if is_missing(row["estimate"]) else float(row["estimate"]),
                           WITHHELD if is_withheld(row) and is_missing(row["estimate"]) else "")
              for row in records(result, metric=kind)]
    return charts.Line(tuple(sorted(points, key=lambda point: point.month)), kind[:1].upper() + kind[1:], digits=0)


def _count_words(line: charts.Line, months: Sequence[str]) -> str:
    inside = [f"{WITHHELD if is_missing(p.value) else line.text(p.value)} in {month_words(p.month)}"
              for p in line.points if p.month in months]
    return f"{line.title}: {listed(inside) if inside else 'none in the period under review'}."


def shares_figure(groups: Mapping[str, Sequence[tuple[str, Record | None, Record | None]]], axis: str, about: str, *,
                  lines: tuple[tuple[float, str], ...] = (), limits: tuple[float, float] | None = (0, 1),
                  what: str, rules: tuple[str, str] = ("", "")) -> Figure | None:
    """Shares with intervals under headings: each (label, row, row drawn hollow or None); never sorted by value.

    `rules` says what filled and hollow marks are; the caption tells it of the marks that are drawn.
    """
    marks, words = [], []
    for heading, items in groups.items():
        for label, row, other in items:
            text = cells.share(row)
            hollow = () if other is None else ((other["estimate"], other["conf_low"], other["conf_high"]),)
            known = row is not None and not is_missing(row["estimate"])
            marks.append(Mark(label, text, *((row["estimate"], row["conf_low"], row["conf_high"]) if known else ()),
                              heading=heading, others=hollow))
            beside = f"; {rules[1]} {cells.share(other)}" if other is not None else ""
            words.append(f"{label}: {text}{f', {cells.of(row)}' if row and cells.of(row) else ''}{beside}.")
    if not any(mark.points for mark in marks):
        return None
    panel = Panel(axis, tuple(marks), lines, limits=limits, percent=True)
    return Figure(figures.interval_plot([panel]), f"{what}. " + " ".join(words), f"{about}{_kinds(marks, rules)}")


def _kinds(marks: Sequence[Mark], rules: tuple[str, str]) -> str:
    """What filled and hollow marks are, of those that are drawn."""
    filled, hollow = rules
    if not any(mark.other_points for mark in marks):
        return f" Dots: {filled}." if filled else ""
    is_filled = any(len(mark.points) > len(mark.other_points) for mark in marks)
    return (f" Filled: {filled}." if is_filled else "") + f" Hollow: {hollow}."


def n_range(rows: Sequence[Record | None], name: str = "denominator", what: str = "group") -> str:
    """n of several groups as a range, for a caption: "n 59 to 311, withheld in 2 groups"."""
    known = [row[name] for row in rows if row is not None and not is_missing(row[name])]
    hidden = sum(row is not None and is_missing(row[name]) and is_withheld(row) for row in rows)
    ends = list(dict.fromkeys(number(value, 0) for value in (min(known), max(known)))) if known else []
    words = [f"n {' to '.join(ends)} in a {what}"] if ends else ["n"] if hidden else []
    return ", ".join([*words, *([f"withheld in {hidden} {what}{'' if hidden == 1 else 's'}"] if hidden else [])])


def spans_figure(spans: Spans, lines: Sequence[Lookup], about: str, what: str) -> Figure | None:
    """The same numbers at several times, one panel for each line, each on its own scale."""
    panels, words = [], []
    for line in lines:
        found = {label: line.row(result) for label, result in spans.items()}
        digits = shared_digits([row for row in found.values() if row is not None])
        marks = [_span_mark(label, row, digits, line.label) for label, row in found.items()]
        words += [f"{line.label}, {mark.label}: {mark.text}." for mark in marks]
        if any(mark.points for mark in marks):
            unit = next((str(row["unit"]) for row in found.values() if row is not None), "")
            panels.append(Panel("" if unit == "proportion" else unit, tuple(marks), percent=unit == "proportion"))
    if not panels:
        return None
    return Figure(figures.interval_plot(panels), f"{what}. " + " ".join(words), about)


def _span_mark(label: str, row: Record | None, digits: int, heading: str) -> Mark:
    if row is None or is_missing(row["estimate"]):
        return Mark(label, value_cell(row, digits).text, heading=heading)
    text = cells.share(row, digits) if row["unit"] == "proportion" else cells.estimate(row, digits)
    return Mark(label, text, row["estimate"], row["conf_low"], row["conf_high"], heading)


def levels_figure(result: Result, metric: str, about: str, what: str) -> Figure | None:
    """Shares of categories as bars, the largest first; withheld ones last and without a bar."""
    rows = records(result, metric=metric, statistic="proportion")
    known = sorted((row for row in rows if not is_missing(row["estimate"])), key=lambda row: -row["estimate"])
    hidden = [row for row in rows if is_missing(row["estimate"])]
    if not known:
        return None
    bars = [(str(row["level"]).replace("_", " "), row["estimate"], _level_text(row)) for row in known]
    bars += [(str(row["level"]).replace("_", " "), None, WITHHELD if is_withheld(row) else NOTHING) for row in hidden]
    words = [f"{label}: {text}." for label, _, text in bars]
    return Figure(charts.bar_plot(bars, "share of those with a known reason"), f"{what}. " + " ".join(words), about)


def _level_text(row: Record) -> str:
    share = cells.percent(row["estimate"], cells.percent_digits(row["denominator"]))
    return f"{number(row['numerator'], 0)} ({share})"


def first_row(result: Result | None, group: str, **wanted: object) -> Record | None:
    """The row of one group of a Result."""
    return first(result, **{result.by[0]: group}, **wanted) if result is not None and result.by else None
