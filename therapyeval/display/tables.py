"""Tables for reports: rows of text laid out by great_tables, with words for hidden cells and lettered notes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from therapyeval.formatting import NOTHING, WITHHELD, safe_name


@dataclass(frozen=True)
class Cell:
    """What one cell says: a first line, smaller lines below, and a note that becomes a lettered footnote."""

    text: str
    below: str = ""
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table. `group` heads the rows that follow each other with the same one.

    `step` indents a row below another one; `quiet` sets a row back, as for a sensitivity analysis.
    """

    label: str
    cells: tuple[Cell, ...]
    group: str = ""
    below: str = ""
    step: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people: `caption` says what, `whom` of whom and how many; columns hold text ready to print.

    `words` names the columns that hold prose (set to the left, and they may wrap).
    """

    id: str
    caption: str
    whom: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    stub: str = ""
    notes: tuple[str, ...] = ()
    words: tuple[int, ...] = ()

    def _repr_html_(self) -> str:
        letters = self._letters()
        notes = [f"<p><sup>{letter}</sup> {escape(_sentence(note))}</p>" for note, letter in letters.items()]
        notes += [f"<p>{escape(note)}</p>" for note in self.notes]
        foot = f'<div class="te-notes">{"".join(notes)}</div>' if notes else ""
        whom = f" <span>{escape(self.whom)}</span>" if self.whom else ""
        key = f"te-{safe_name(self.id)}"
        return (f'<div class="te-table"><p class="te-caption" id="{key}-caption">{escape(self.caption)}{whom}</p>'
                f'<div class="te-scroll" role="region" tabindex="0" aria-labelledby="{key}-caption">'
                f"{_laid_out(self, key, letters)}</div>{foot}</div>")

    def to_text(self) -> str:
        """Caption, aligned columns and notes."""
        letters = self._letters()
        lines = [[self.stub, *self.columns]]
        group = ""
        for row in self.rows:
            if row.group and row.group != group:
                lines.append([row.group])
            group = row.group
            label = ("  " if row.group or row.step else "") + row.label + (f" ({row.below})" if row.below else "")
            lines.append([label, *(_plain_cell(cell, letters) for cell in row.cells)])
        widths = [max(len(line[i]) for line in lines if len(line) > 1) for i in range(len(self.columns) + 1)]
        body = ["  ".join(text.ljust(widths[i]) if len(line) > 1 else text for i, text in enumerate(line)).rstrip()
                for line in lines]
        notes = [f"[{letter}] {_sentence(note)}" for note, letter in letters.items()]
        return "\n".join([f"{self.caption} {self.whom}".strip(), *body, *notes, *self.notes])

    def _letters(self) -> dict[str, str]:
        """Notes of cells in reading order, each with its letter (aa, ab … after z)."""
        notes = dict.fromkeys(cell.note for row in self.rows for cell in row.cells if cell.note)
        return {note: _letter(position) for position, note in enumerate(notes)}


def _letter(position: int) -> str:
    over, letter = divmod(position, 26)
    return (string.ascii_lowercase[over - 1] if over else "") + string.ascii_lowercase[letter]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text[:1].upper()}{text[1:]}."


def _plain_cell(cell: Cell, letters: dict[str, str]) -> str:
    mark = f" [{letters[cell.note]}]" if cell.note else ""
    return " ".join(cell.text.split()) + (f" / {'; '.join(cell.below.splitlines())}" if cell.below else "") + mark


def _laid_out(table: Table, key: str, letters: dict[str, str]) -> str:
    """The table element by great_tables, without its style block: theme.CSS is ours, and the block leaks."""
    import pandas as pd
    from great_tables import GT

    names = [f"column{i}" for i in range(len(table.columns))]
    grouped = any(row.group for row in table.rows)
    frame = pd.DataFrame([[_label_html(row), *(_cell_html(cell, letters, row.quiet) for cell in row.cells)]
                          for row in table.rows], columns=["row", *names], dtype=object)
    if grouped:
        frame["group"] = [row.group for row in table.rows]
    layout = (GT(frame, rowname_col="row", groupname_col="group" if grouped else None).with_id(key)
              .tab_stubhead(label=table.stub or " ").cols_label(dict(zip(names, table.columns, strict=True)))
              .cols_align("right", columns=names).fmt(_trusted, columns=["row", *names]))
    if table.words:
        layout = layout.cols_align("left", columns=[names[i] for i in table.words])
    html = layout.as_raw_html()
    start, end = html.index("<style>"), html.index("</style>") + len("</style>")
    return html[:start] + html[end:]


def _trusted(value: object) -> str:
    """Cells are escaped where they are made; great_tables takes what a formatter returns as it is."""
    return str(value)


def _label_html(row: Row) -> str:
    below = f'<span class="te-below">{escape(row.below)}</span>' if row.below else ""
    text = escape(row.label) + below
    if row.quiet:
        text = f'<span class="te-quiet">{text}</span>'
    return f'<span class="te-step">{text}</span>' if row.step else text


def _cell_html(cell: Cell, letters: dict[str, str], quiet: bool) -> str:
    mark = f"<sup>{letters[cell.note]}</sup>" if cell.note else ""
    below = "".join(f'<span class="te-below">{escape(line)}</span>' for line in cell.below.split("\n") if line)
    kind = "te-withheld" if cell.text == WITHHELD else "te-quiet" if quiet or cell.text == NOTHING else ""
    text = f'<span class="{kind}">{escape(cell.text)}</span>' if kind else escape(cell.text)
    return text + mark + below


def drop_empty_columns(columns: Sequence[str], rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Columns and rows without the columns in which no cell says anything."""
    keep = [i for i in range(len(columns)) if any(row.cells[i].text not in ("", NOTHING) for row in rows)]
    thinner = [Row(row.label, tuple(row.cells[i] for i in keep), row.group, row.below, row.step, row.quiet)
               for row in rows]
    return tuple(columns[i] for i in keep), tuple(thinner)
