"""Figures over time and of shares: a monthly line with limits, volumes by month, bars of categories, curves by visit.

Shape and word carry the meaning, color only repeats it: circle, diamond (concern), square (improvement), triangle.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from therapyeval.display.cells import number
from therapyeval.display.figures import EDGE, WIDTH, to_svg, wrapped
from therapyeval.display.theme import ACCENT, ALERT_RULE, INK, NEUTRAL, PAPER, QUIET, TINT, figure_style
from therapyeval.formatting import NOTHING, is_missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {"": ("o", QUIET, 4.2), "concern": ("D", ALERT_RULE, 6.5), "improvement": ("s", ACCENT, 6.5),
         "neutral": ("^", NEUTRAL, 7.5)}
LEVELS = {"upper limit": ((0, (4, 2.5)), QUIET), "mean": ("solid", INK), "lower limit": ((0, (4, 2.5)), QUIET),
          "target": ((0, (1, 1.5)), ALERT_RULE)}
LEFT, RIGHT, PLOT, ABOVE, BELOW = 0.62, 0.98, 1.95, 0.3, 0.98
SMALL, BAR = 0.98, 0.3
CURVE, ENDS_AT = 1.55, 1.75      # height of a panel of curves, and the room for their names
CURVES = (("o", ALERT_RULE), ("s", ACCENT), ("^", QUIET))


@dataclass(frozen=True)
class Point:
    """One month: its label such as 2026-04, its value, n as text, and what its flag means ("" for none)."""

    month: str
    value: float | None
    n: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Line:
    """Months in order; `mean`, `low` and `high` are missing without limits, `floor` and `ceiling` bound the drawing."""

    points: tuple[Point, ...]
    title: str = ""
    percent: bool = False
    digits: int = 1
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    floor: float | None = None
    ceiling: float | None = None

    @property
    def levels(self) -> dict[str, float]:
        """Name -> height of the levels that are drawn: limits and target within the axis, and the mean."""
        bottom, top = _range(self)
        found = {"upper limit": self.high, "mean": self.mean, "lower limit": self.low, "target": self.target}
        return {name: value for name, value in found.items() if not is_missing(value) and bottom <= value <= top}

    def text(self, value: object) -> str:
        """A value in the line's unit."""
        if is_missing(value):
            return NOTHING
        return number(100 * float(value), self.digits) + "%" if self.percent else number(value, self.digits)


@dataclass(frozen=True)
class Curve:
    """Shares by whole steps such as visits; None where one is not shown. The first curve of a panel has its band."""

    label: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    @property
    def n_shown(self) -> int:
        return sum(not is_missing(value) for value in self.values)


def run_plot(line: Line, shaded: Sequence[str] = ()) -> bytes:
    """A line by month with mean and limits where there are any, n below each month, and flagged points marked."""
    from matplotlib.figure import Figure

    with figure_style():
        height = ABOVE + PLOT + BELOW
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((LEFT / WIDTH, BELOW / height, (WIDTH - LEFT - RIGHT) / WIDTH, PLOT / height))
        low, high = _range(line)
        _frame(axes, line, (low, high))
        _shade(axes, line.points, shaded)
        _levels(axes, line)
        _months(axes, line.points, named=True)
        _points(axes, line)
        _counts(axes, line.points)
        axes.text(0, 1.06, line.title, transform=axes.transAxes, fontsize=10, weight="bold", color=INK)
        return to_svg(figure)


def volume_plot(lines: Sequence[Line], shaded: Sequence[str] = ()) -> bytes:
    """Counts by month, one small panel each, all from 0; the last value is printed beside its point."""
    from matplotlib.figure import Figure

    with figure_style():
        step = SMALL + 0.34
        total = step * len(lines) + 0.42
        figure = Figure(figsize=(WIDTH, total))
        for position, line in enumerate(lines):
            bottom = total - step * (position + 1)
            axes = figure.add_axes((LEFT / WIDTH, bottom / total, (WIDTH - LEFT - RIGHT) / WIDTH, SMALL / total))
            known = [point.value for point in line.points if not is_missing(point.value)]
            _frame(axes, line, (0, 1.12 * max([1.0, *known])))
            _shade(axes, line.points, shaded)
            _months(axes, line.points, named=position == len(lines) - 1)
            _points(axes, line)
            axes.text(0, 1.06, line.title, transform=axes.transAxes, fontsize=10, weight="bold", color=INK)
            _last(axes, line)
        return to_svg(figure)


def bar_plot(bars: Sequence[tuple[str, float | None, str]], axis: str) -> bytes:
    """Horizontal bars of shares from 0, each (label, share, text beside it)."""
    from matplotlib.figure import Figure

    with figure_style():
        left, right, below = 1.75, 1.2, 0.5
        heights = [BAR + 0.18 * (len(wrapped(label, 26)) - 1) for label, _, _ in bars]
        total = sum(heights) + below + 0.06
        figure = Figure(figsize=(WIDTH, total))
        axes = figure.add_axes((left / WIDTH, below / total, (WIDTH - left - right) / WIDTH, 1 - below / total))
        axes.set_ylim(sum(heights) + 0.06, 0)
        axes.set_xlim(0, _round_up(max([value for _, value, _ in bars if not is_missing(value)], default=1.0)))
        axes.set_yticks([])
        for side in ("right", "top"):
            axes.spines[side].set_visible(False)
        _percent_axis(axes.xaxis)
        axes.set_xlabel(axis, fontsize=9.5, labelpad=3)
        y = 0.06
        for (label, value, text), height in zip(bars, heights, strict=True):
            _bar(axes, label, value, text, y + height / 2, (left, WIDTH - left - right))
            y += height
        return to_svg(figure)


def curves_plot(panels: Sequence[tuple[str, Sequence[Curve]]]) -> bytes:
    """Cumulative shares by visit, one panel for each (title, curves); all panels have the same axes."""
    from matplotlib.figure import Figure

    with figure_style():
        step, below = CURVE + 0.42, 0.42
        total = step * len(panels) + below
        figure = Figure(figsize=(WIDTH, total))
        drawn = [value for _, curves in panels for values in (curves[0].high, *(curve.values for curve in curves))
                 for value in values if not is_missing(value)]
        top, last = _round_up(max(drawn)), max(curve.steps[-1] for _, curves in panels for curve in curves)
        for position, (title, curves) in enumerate(panels):
            bottom = total - step * (position + 1)
            axes = figure.add_axes((LEFT / WIDTH, bottom / total, (WIDTH - LEFT - ENDS_AT) / WIDTH, CURVE / total))
            axes.set_xlim(0.7, last + 0.3)
            axes.set_ylim(0, top)
            _curves(axes, curves)
            axes.text(0, 1.05, title, transform=axes.transAxes, fontsize=10, weight="bold", color=INK)
        axes.set_xlabel("attended visits", fontsize=9.5, labelpad=3)
        return to_svg(figure)


def stretches(labels: Sequence[str], *, short: bool = False) -> list[str]:
    """Months as words, three or more in a row as one stretch.

    >>> stretches(["2025-11", "2025-12", "2026-01", "2026-03"])
    ['November 2025 to January 2026', 'March 2026']
    """
    rows: list[list[str]] = []
    for label in labels:
        if rows and label == _next_month(rows[-1][-1]):
            rows[-1].append(label)
        else:
            rows.append([label])
    found = []
    for row in rows:
        words = [month_words(label, short=short) for label in row]
        found += [f"{words[0]} to {words[-1]}"] if len(words) > 2 else words
    return found


def _curves(axes: Axes, curves: Sequence[Curve]) -> None:
    """Lines, broken where a step is not shown, with their names at the right end and the band of the first."""
    from matplotlib.ticker import MaxNLocator

    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(color=QUIET, length=3, pad=2, labelsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    _percent_axis(axes.yaxis)
    first, ends = curves[0], []
    axes.fill_between(first.steps, _gaps(first.low), _gaps(first.high), color=CURVES[0][1], alpha=0.15, linewidth=0)
    for curve, (shape, color) in zip(curves, CURVES, strict=False):
        values = _gaps(curve.values)
        axes.plot(curve.steps, values, color=color, marker=shape, markersize=4.5, linewidth=1.2)
        known = [value for value in values if not math.isnan(value)]
        ends += [(known[-1], curve.label, color)] if known else []
    ends.sort(key=lambda end: -end[0])
    heights = _apart([value / axes.get_ylim()[1] for value, _, _ in ends], 0.11)
    for (value, label, color), height in zip(ends, heights, strict=True):
        axes.text(1.015, height, f"{label} {number(100 * value, 0)}%", transform=axes.transAxes, fontsize=8.5,
                  va="center", color=color)


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [math.nan if is_missing(value) else float(value) for value in values]


def _next_month(label: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}", label):
        return ""
    year, month = int(label[:4]), int(label[5:])
    return f"{year + month // 12}-{month % 12 + 1:02d}"


def month_words(label: str, *, short: bool = False) -> str:
    """A month as words; anything else stays as it is.

    >>> month_words("2026-04"), month_words("2026-04", short=True), month_words("2026-W07")
    ('April 2026', 'Apr 2026', '2026-W07')
    """
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", label):
        return label
    names = calendar.month_abbr if short else calendar.month_name
    return f"{names[int(label[5:])]} {label[:4]}"


def _bar(axes: Axes, label: str, value: float | None, text: str, y: float, sizes: tuple[float, float]) -> None:
    left, width = sizes
    lines = wrapped(label, 26)
    for position, line in enumerate(lines):
        axes.text((-left + EDGE) / width, y + 0.18 * (position - (len(lines) - 1) / 2), line, va="center", fontsize=10,
                  transform=axes.get_yaxis_transform())
    known = not is_missing(value)
    if known:
        axes.barh(y, value, height=0.17, color=ACCENT)
    end = value if known else 0
    axes.annotate(text, (end, y), (5, 0), textcoords="offset points", va="center", fontsize=9.5, annotation_clip=False,
                  color=INK if known else QUIET, style="normal" if known else "italic")


def _range(line: Line) -> tuple[float, float]:
    """What the vertical axis shows: points, limits and target with some room, within the bounds of the unit."""
    values = [point.value for point in line.points] + [line.mean, line.low, line.high, line.target]
    known = [float(value) for value in values if not is_missing(value)] or [0.0, 1.0]
    room = 0.09 * (max(known) - min(known)) or 0.1 * abs(known[0]) or 0.5
    low, high = min(known) - room, max(known) + room
    low = low if is_missing(line.floor) else max(low, line.floor)
    return low, high if is_missing(line.ceiling) else min(high, line.ceiling)


def _frame(axes: Axes, line: Line, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(-0.6, len(line.points) - 0.4)
    axes.set_ylim(*limits)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK, color=QUIET, length=3, pad=2, labelsize=9.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4 if limits[0] else 2, steps=[1, 2, 2.5, 5, 10]))
    if line.percent:
        _percent_axis(axes.yaxis)
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y, 0 if y == int(y) else 1)))


def _percent_axis(axis: object) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.3g}%"))


def _shade(axes: Axes, points: Sequence[Point], months: Sequence[str]) -> None:
    """A band behind the months under review."""
    inside = [position for position, point in enumerate(points) if point.month in set(months)]
    if inside:
        axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color=TINT, linewidth=0, zorder=0)


def _levels(axes: Axes, line: Line) -> None:
    """Mean, limits and target, each with its word at the right end; words keep their distance."""
    bottom, top = axes.get_ylim()
    shown = sorted(line.levels.items(), key=lambda item: -item[1])
    heights = _apart([(value - bottom) / (top - bottom) for _, value in shown], 0.135)
    for (word, value), height in zip(shown, heights, strict=True):
        style, color = LEVELS[word]
        axes.axhline(value, color=color, linewidth=1, linestyle=style, zorder=1)
        axes.text(1.015, height, f"{word} {line.text(value)}", transform=axes.transAxes, fontsize=8.5, va="center",
                  color=color)


def _apart(heights: list[float], gap: float) -> list[float]:
    """Heights in falling order, moved down where they would be nearer to each other than `gap`."""
    placed: list[float] = []
    for height in heights:
        placed.append(min(height, placed[-1] - gap) if placed else height)
    lift = max(0.0, -min(placed, default=0.0))
    return [height + lift for height in placed]


def _months(axes: Axes, points: Sequence[Point], *, named: bool) -> None:
    """A tick for each month; a word for every third one, with the year below the first and each January."""
    axes.set_xticks(range(len(points)))
    axes.tick_params(axis="x", length=2.5, labelbottom=False)
    if not named:
        return
    every = 1 if len(points) <= 8 else 3
    first = next((i for i, point in enumerate(points) if point.month.endswith(("-01", "-04", "-07", "-10"))), 0)
    for position in range(first % every, len(points), every):
        label = points[position].month
        word = calendar.month_abbr[int(label[5:7])] if re.fullmatch(r"\d{4}-\d\d", label) else label[-3:]
        axes.annotate(word, (position, 0), (0, -6), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                      ha="center", va="top", fontsize=9, color=INK)
        if position < every or label.endswith("-01"):
            axes.annotate(label[:4], (position, 0), (0, -18), xycoords=axes.get_xaxis_transform(),
                          textcoords="offset points", ha="center", va="top", fontsize=9, color=QUIET)


def _points(axes: Axes, line: Line) -> None:
    """The line, broken where a month has no value, with the shape of each flag."""
    values = _gaps([point.value for point in line.points])
    axes.plot(range(len(values)), values, color=QUIET, linewidth=1.1, zorder=2)
    for position, (point, value) in enumerate(zip(line.points, values, strict=True)):
        if not math.isnan(value):
            shape, color, size = MARKS.get(point.flag, MARKS["neutral"])
            axes.plot(position, value, marker=shape, color=color, markersize=size, markeredgecolor=PAPER,
                      markeredgewidth=0.6, linestyle="none", zorder=4 if point.flag else 3)


def _last(axes: Axes, line: Line) -> None:
    known = [(i, point.value) for i, point in enumerate(line.points) if not is_missing(point.value)]
    if known:
        position, value = known[-1]
        axes.annotate(line.text(value), (position, value), (7, 0), textcoords="offset points", va="center",
                      fontsize=9.5, annotation_clip=False)


def _counts(axes: Axes, points: Sequence[Point]) -> None:
    """n of each month, set upright so that two years of them fit."""
    for position, point in enumerate(points[:60]):
        axes.annotate(point.n, (position, 0), (0, -33), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", va="top", fontsize=8, color=QUIET,
                      rotation=90 if len(points) > 8 else 0)
    axes.annotate("n", (0, 0), (-26, -33), xycoords="axes fraction", textcoords="offset points", ha="left", va="top",
                  fontsize=9, color=QUIET)


def _round_up(share: float) -> float:
    return min(1.0, math.ceil(20 * share + 0.2) / 20)
