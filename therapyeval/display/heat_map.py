"""Shares in a grid, such as fields by site: a heat map with its words, and the same numbers as a table.

Five shades from complete (light) to incomplete (dark), told apart in print; the number stands in the cell where there
is room. What is withheld is hatched, what nobody was asked is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from therapyeval.display.blocks import Figure
from therapyeval.display.cells import Record, is_withheld, percent, records
from therapyeval.display.charts import month_words
from therapyeval.display.figures import EDGE, WIDTH, to_svg, wrapped
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.display.theme import INK, PAPER, QUIET, RULE, SHADES, figure_style
from therapyeval.formatting import NOTHING, WITHHELD, is_missing
from therapyeval.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FROM = (1.0, 0.95, 0.75, 0.6)  # least share of each shade but the last
CLASSES = ("all", "95% or more", "75 to 95%", "60 to 75%", "below 60%")
LEFT, ROW, LABEL, KEY = 1.5, 0.27, 22, 0.5
MOST_NUMBERED, MOST_COLUMNS, LOWEST = 10, 26, 3
TENTH = 0.1  # inches that a letter of a column's head needs at most


@dataclass(frozen=True)
class Grid:
    """Rows and columns by their labels; a pair that is absent was not asked."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Record]

    @property
    def turned(self) -> Grid:
        """Columns as rows."""
        return Grid(self.columns, self.rows, {(column, row): cell for (row, column), cell in self.cells.items()})

    def text(self, row: str, column: str) -> str:
        """The share of a cell as a reader meets it."""
        return share_text(self.cells.get((row, column)))


def grid_of(result: Result, key: str, label: Callable[[str], str]) -> Grid:
    """A Result with one grouping column: a row for each value of `key` (metric or level), a column for each group."""
    by, cells = result.by[0], {}
    for row in records(result):
        cells[label(str(row[key])), month_words(str(row[by]), short=True)] = row
    rows, columns = (tuple(dict.fromkeys(place[side] for place in cells)) for side in (0, 1))
    return Grid(rows, columns, cells)


def share_text(row: Record | None) -> str:
    """A share without decimals that never rounds a gap away, nor over the edge of its shade.

    >>> [share_text({"estimate": share, "note": ""}) for share in (1.0, 0.997, 0.746, 0.5996, 0.004)]
    ['100%', '>99%', '74.6%', '59.96%', '<1%']
    """
    if row is None or is_missing(row["estimate"]):
        return WITHHELD if is_withheld(row) else NOTHING
    share = float(row["estimate"])
    if 0.99 < share < 1 or 0 < share < 0.01:
        return ">99%" if share > 0.5 else "<1%"
    digits = next((n for n in range(4) if shade_of(round(share, n + 2)) == shade_of(share)), 4)
    return percent(share, digits)


def grid_table(grid: Grid, key: str, caption: str, whom: str, stub: str) -> Table:
    """All shares, in narrow columns."""
    rows = tuple(Row(row, tuple(Cell(grid.text(row, column)) for column in grid.columns)) for row in grid.rows)
    return Table(f"grid-{key}", caption, whom, grid.columns, rows, stub)


def grid_figure(grid: Grid, what: str, about: str) -> Figure | None:
    """The heat map; None where no share is shown, or there are too many columns to tell them apart."""
    known = [(float(cell["estimate"]), place) for place, cell in grid.cells.items() if not is_missing(cell["estimate"])]
    if not known or len(grid.columns) > MOST_COLUMNS:
        return None
    lowest = [f"{row}, {column}: {grid.text(row, column)}" for _, (row, column) in sorted(known)[:LOWEST]]
    hidden = sum(grid.text(*place) == WITHHELD for place in grid.cells)
    gaps = f" Hatched: {hidden} withheld." if hidden else ""
    return Figure(_drawn(grid), f"{what}. Lowest: {'; '.join(lowest)}. All shares are in the table below.",
                  f"{about}{gaps}")


def shade_of(share: float) -> int:
    """The place of a share's shade; a gap is never drawn as complete.

    >>> shade_of(1.0), shade_of(0.9999), shade_of(0.95), shade_of(0.75), shade_of(0.6), shade_of(0.0)
    (0, 1, 1, 2, 3, 4)
    """
    return next((place for place, least in enumerate(FROM) if share >= least), len(FROM))


def _drawn(grid: Grid) -> bytes:
    from matplotlib.figure import Figure as Drawing

    lines = [wrapped(row, LABEL, 2) for row in grid.rows]
    heights = [ROW + 0.14 * (len(words) - 1) for words in lines]
    head = 0.12 + TENTH * max(min(len(column), LABEL) for column in grid.columns)
    total = head + sum(heights) + KEY
    with figure_style():
        figure = Drawing(figsize=(WIDTH, total))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(total, 0)
        axes.axis("off")
        width = (WIDTH - LEFT - EDGE) / len(grid.columns)
        for place, column in enumerate(grid.columns):
            axes.text(LEFT + width * (place + 0.5), head - 0.06, wrapped(column, LABEL, 1)[0], rotation=90,
                      fontsize=8.5, ha="center", va="bottom", color=INK)
        y = head
        for row, words, height in zip(grid.rows, lines, heights, strict=True):
            _row(axes, grid, row, words, (y, height, width))
            y += height
        _key(axes, y + 0.16)
        return to_svg(figure)


def _row(axes: Axes, grid: Grid, row: str, words: Sequence[str], sizes: tuple[float, float, float]) -> None:
    y, height, width = sizes
    for place, line in enumerate(words):
        at = y + height / 2 + 0.14 * (place - (len(words) - 1) / 2)
        axes.text(EDGE, at, line, va="center", fontsize=9, color=INK)
    for place, column in enumerate(grid.columns):
        cell, x = grid.cells.get((row, column)), LEFT + width * place
        _box(axes, cell, (x, y, width, height))
        if cell is not None and not is_missing(cell["estimate"]) and len(grid.columns) <= MOST_NUMBERED:
            dark = shade_of(float(cell["estimate"])) > 2
            axes.text(x + width / 2, y + height / 2, share_text(cell), ha="center", va="center_baseline", fontsize=7.5,
                      color=PAPER if dark else INK)


def _box(axes: Axes, cell: Record | None, place: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = place
    known = cell is not None and not is_missing(cell["estimate"])
    fill = SHADES[shade_of(float(cell["estimate"]))] if known else PAPER
    hatch = "////" if not known and is_withheld(cell) else None
    axes.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor=QUIET if hatch else PAPER, hatch=hatch,
                             linewidth=0.0 if hatch else 1.0))
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=RULE, linewidth=0.5))


def _key(axes: Axes, y: float) -> None:
    """What the shades mean, in one line."""
    from matplotlib.patches import Rectangle

    step = (WIDTH - 2 * EDGE) / len(CLASSES)
    for place, (word, shade) in enumerate(zip(CLASSES, SHADES, strict=True)):
        x = EDGE + step * place
        axes.add_patch(Rectangle((x, y), 0.16, 0.16, facecolor=shade, edgecolor=RULE, linewidth=0.5))
        axes.text(x + 0.22, y + 0.08, word, va="center", fontsize=8.5, color=INK)
