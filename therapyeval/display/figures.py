"""Figures as SVG: intervals with direct labels, and the flow of participants. Filled and hollow marks, no color code.

A figure is 5 inches wide, so that its text is still read on a telephone. The same input gives the same bytes.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from therapyeval.display.cells import has_interval
from therapyeval.display.theme import ACCENT, INK, PAPER, QUIET, RULE, figure_style
from therapyeval.formatting import is_missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, LEFT, RIGHT, EDGE = 5.0, 1.65, 1.42, 0.03
LINE, HEAD, LABEL, HEADING = 0.2, 0.36, 22, 58


@dataclass(frozen=True)
class Mark:
    """One estimate with its interval; `text` is printed beside it. `others` are drawn hollow below it."""

    label: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    heading: str = ""
    others: tuple[tuple[float, float, float], ...] = ()

    @property
    def points(self) -> list[tuple[float, float, float]]:
        """Estimates that can be drawn, this one first."""
        return [*_drawable(self.value, self.low, self.high), *self.other_points]

    @property
    def other_points(self) -> list[tuple[float, float, float]]:
        return [point for other in self.others for point in _drawable(*other)]


@dataclass(frozen=True)
class Panel:
    """Marks on one scale. `lines` are vertical lines with a word; `ends` say what left and right mean."""

    axis: str
    marks: tuple[Mark, ...]
    lines: tuple[tuple[float, str], ...] = ()
    ends: tuple[str, str] = ("", "")
    limits: tuple[float, float] | None = None
    percent: bool = False


def interval_plot(panels: Sequence[Panel]) -> bytes:
    """Dots with intervals in one or more panels, labels to the left and numbers to the right of them."""
    from matplotlib.figure import Figure

    panels = [panel for panel in panels if panel.marks]
    with figure_style():
        heights = [_height(panel) for panel in panels]
        total = sum(heights)
        figure = Figure(figsize=(WIDTH, total))
        top = total
        for panel, height in zip(panels, heights, strict=True):
            below = _below(panel)
            axes = figure.add_axes((LEFT / WIDTH, (top - height + below) / total, (WIDTH - LEFT - RIGHT) / WIDTH,
                                    (height - below) / total))
            _draw_panel(axes, panel, height - below)
            top -= height
        return to_svg(figure)


def _height(panel: Panel) -> float:
    return sum(height for _, height in _lines(panel)) + _above(panel) + _below(panel)


def _above(panel: Panel) -> float:
    return 0.26 if panel.lines else 0.06


def _below(panel: Panel) -> float:
    return 0.78 if any(panel.ends) else 0.52


def _lines(panel: Panel) -> list[tuple[Mark | list[str], float]]:
    """What stands below each other in a panel, with its height: headings (as lines of text) and marks."""
    found, heading = [], ""
    for mark in panel.marks:
        if mark.heading != heading:
            heading = mark.heading
            lines = wrapped(heading, HEADING)
            found.append((lines, HEAD + LINE * (len(lines) - 1)))
        rows = max(LINE * len(wrapped(mark.label, LABEL)), 0.26 + 0.13 * len(mark.others))
        found.append((mark, rows + 0.12))
    return found


def _draw_panel(axes: Axes, panel: Panel, height: float) -> None:
    """One unit of the vertical axis is one inch, counted from the top."""
    axes.set_ylim(height, 0)
    axes.set_xlim(*(panel.limits or _limits(panel)))
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    _draw_scale(axes, panel)
    y = _above(panel)
    for item, step in _lines(panel):
        if isinstance(item, Mark):
            _draw_mark(axes, item, y, step)
        else:
            for position, line in enumerate(item):
                _text(axes, -LEFT + EDGE, y + 0.22 + LINE * position, line, weight="bold",
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5})
        y += step


def _draw_scale(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="x", length=3, pad=3)
    if panel.percent:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.3g}%"))
    axes.set_xlabel(panel.axis, fontsize=9.5, labelpad=3)
    for (position, word), side in zip(panel.lines, ("right", "left"), strict=False):
        style = "solid" if position == 0 else (0, (4, 2.5))
        axes.axvline(position, color=INK if position == 0 else QUIET, linewidth=0.9, linestyle=style, zorder=1,
                     ymax=1 - 0.02 / axes.get_ylim()[0])
        axes.annotate(word, (position, 0.1), (-4 if side == "right" else 4, 0), textcoords="offset points", ha=side,
                      va="center", fontsize=9, color=QUIET)
    for word, shift, side in zip(panel.ends, (-6, 6), ("right", "left"), strict=True):
        if word:
            axes.annotate(word, (0, 0), (shift, -42), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                          ha=side, fontsize=9.5, color=INK)


def _draw_mark(axes: Axes, mark: Mark, y: float, step: float) -> None:
    lines = wrapped(mark.label, LABEL)
    first = y + 0.06 + LINE / 2
    for position, line in enumerate(lines):
        _text(axes, -LEFT + EDGE + (0.1 if mark.heading else 0), first + LINE * position, line, va="center")
    width = WIDTH - LEFT - RIGHT
    _text(axes, width + RIGHT - EDGE, first, mark.text, va="center", ha="right",
          color=INK if mark.points else QUIET, style="normal" if mark.points else "italic")
    axes.plot((-LEFT / width, 1 + RIGHT / width), (y + step, y + step), color=RULE, linewidth=0.5, zorder=0,
              clip_on=False, transform=axes.get_yaxis_transform())
    own = len(mark.points) - len(mark.other_points)
    for position, (value, low, high) in enumerate(mark.points):
        filled = position < own
        height = first + 0.13 * (position + 1 - own)
        axes.plot((low, high), (height, height), color=ACCENT if filled else QUIET, linewidth=2 if filled else 1,
                  solid_capstyle="butt", zorder=2)
        axes.plot(value, height, marker="o", markersize=7 if filled else 4.6, color=ACCENT if filled else QUIET,
                  markerfacecolor=ACCENT if filled else PAPER, markeredgewidth=1.1, zorder=3)


def _text(axes: Axes, inches: float, y: float, text: str, **style: object) -> None:
    """Text at a distance in inches from the left end of the axes."""
    axes.text(inches / (WIDTH - LEFT - RIGHT), y, text, transform=axes.get_yaxis_transform(), fontsize=10,
              **{"va": "center", "color": INK, **style})


def _limits(panel: Panel) -> tuple[float, float]:
    ends = [x for mark in panel.marks for point in mark.points for x in point] + [x for x, _ in panel.lines]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.06 * (high - low or 1)
    return low - room, high + room


def _drawable(value: float | None, low: float | None, high: float | None) -> list[tuple[float, float, float]]:
    """The estimate with its interval; alone where it has none, nothing where it is missing."""
    if is_missing(value):
        return []
    limits = {"conf_low": low, "conf_high": high}
    return [(value, low, high) if has_interval(limits) else (value, value, value)]


def wrapped(text: str, width: int, most: int = 3) -> list[str]:
    lines = textwrap.wrap(re.sub(r"[^\S\xa0]+", " ", str(text)).strip(), width) or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][: width - 1]}…"]


@dataclass(frozen=True)
class FlowColumn:
    """One arm of a flow figure: its label and its boxes, each (word, count as text)."""

    label: str
    boxes: tuple[tuple[str, str], ...]


def flow_plot(top: Sequence[tuple[str, str]], aside: Sequence[tuple[str, str]], columns: Sequence[FlowColumn]) -> bytes:
    """Boxes from screening down to the outcome; `aside` leaves the stream after the first box of `top`."""
    from matplotlib.figure import Figure

    with figure_style():
        depth = max(len(column.boxes) for column in columns)
        heads = [wrapped(column.label, int(44 / len(columns))) for column in columns]
        head = 0.14 + 0.19 * max(map(len, heads))
        level = 0.82
        height = level * (len(top) + depth) + head + 0.1
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        axes.axis("off")
        y = _draw_top(axes, top, aside, level)
        middles = [WIDTH * (i + 0.5) / len(columns) for i in range(len(columns))]
        if top:
            axes.plot((middles[0], middles[-1]), (y, y), color=QUIET, linewidth=1)
        for middle, column, lines in zip(middles, columns, heads, strict=True):
            _draw_column(axes, middle, y, column, lines, head, level, WIDTH / len(columns) - 0.16, bool(top))
        return to_svg(figure)


def _draw_top(axes: Axes, top: Sequence[tuple[str, str]], aside: Sequence[tuple[str, str]], level: float) -> float:
    y = 0.06
    for position, (word, count) in enumerate(top):
        middle = WIDTH / 2
        _box(axes, middle, y, 1.5, word, count)
        axes.plot((middle, middle), (y + 0.56, y + level), color=QUIET, linewidth=1)
        if position == 0 and aside:
            text = "\n".join(f"{count}  {word}" for word, count in aside)
            axes.plot((middle, middle + 0.9), (y + 0.69, y + 0.69), color=QUIET, linewidth=1)
            axes.text(middle + 0.96, y + 0.69, text, fontsize=9.5, va="center", color=INK, linespacing=1.35)
        y += level
    return y


def _draw_column(axes: Axes, middle: float, y: float, column: FlowColumn, lines: Sequence[str], head: float,
                 level: float, width: float, joined: bool) -> None:
    if joined:
        axes.plot((middle, middle), (y, y + 0.08), color=QUIET, linewidth=1)
    for position, line in enumerate(lines):
        axes.text(middle, y + 0.2 + 0.19 * position, line, ha="center", va="center", weight="bold", fontsize=10)
    y += head
    for position, (word, count) in enumerate(column.boxes):
        _box(axes, middle, y, width, word, count)
        if position + 1 < len(column.boxes):
            axes.annotate("", (middle, y + level), (middle, y + 0.57),
                          arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1, "shrinkA": 0, "shrinkB": 0})
        y += level


def _box(axes: Axes, middle: float, y: float, width: float, word: str, count: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((middle - width / 2, y), width, 0.56, facecolor=PAPER, edgecolor=INK, linewidth=0.9))
    is_word = not count[:1].isdigit()
    axes.text(middle, y + 0.19, count, ha="center", va="center", fontsize=10.5 if is_word else 12,
              weight="normal" if is_word else "bold", style="italic" if is_word else "normal",
              color=QUIET if is_word else INK)
    axes.text(middle, y + 0.40, word, ha="center", va="center", fontsize=9)


def to_svg(figure: Figure) -> bytes:
    """The figure as bytes that depend on nothing but its content; a letter without glyph prints as a box."""
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return sink.getvalue()
