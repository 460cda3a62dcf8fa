"""`map_form`: a draft mapping as a form. A drop-down for each column and each code; what is chosen becomes mapping.yml.

Codes that nobody knows are sent to the screen as messages, which no notebook saves; the form itself holds only names of
columns, our own words, and words of the vocabulary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

import ipywidgets
import pandas as pd

from therapyeval.data import Dataset, profile, read_dataset, schema
from therapyeval.data.coverage import check_coverage
from therapyeval.data.draft import BESIDE, SCORE, Draft, FileDraft, Use, file_draft, use_of
from therapyeval.data.mapping_text import mapping_text, n_checks, write_mapping
from therapyeval.errors import DataError, TherapyevalError
from therapyeval.explorer.panels import CSS
from therapyeval.explorer.views import Answers
from therapyeval.measures import names as measure_names

NOT_USED = "not used"
AS_WRITTEN = "as it is"
CHOOSE = "choose one"
FORMATS = {"2026-12-31": "", "12/31/2026": "%m/%d/%Y", "31/12/2026": "%d/%m/%Y", "31.12.2026": "%d.%m.%Y",
           "12/31/26": "%m/%d/%y", "31-Dec-2026": "%d-%b-%Y", "20261231": "%Y%m%d"}
WIDE = {"description_width": "14rem"}


def map_form(path: str | Path) -> MappingForm:
    """A form for the mapping of a folder with raw files, or of one file.

    Raises
    ------
    DataError
        Where there is nothing to read, or a file is no table.
    """
    return MappingForm(path)


class MappingForm(ipywidgets.VBox):
    """One box for each file; below, what the mapping makes of the data, and the button that writes it."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._files = [FileForm(place, part, self._on_change) for place in profile.places(path)
                       for part in profile.parts(place)]
        self.report = Answers()
        self._checks = ipywidgets.HTML()
        self._name = ipywidgets.Text("mapping.yml", description="Write to", style=WIDE)
        self._overwrite = ipywidgets.Checkbox(False, description="overwrite", indent=False)
        buttons = [_button("Check the result", self._on_check), _button("Write the mapping", self._on_write)]
        foot = [self._checks, ipywidgets.HBox([self._name, self._overwrite]), ipywidgets.HBox(buttons), self.report]
        super().__init__([ipywidgets.HTML(f"<style>{CSS}</style>"), *self._files, *foot])
        self._on_change()

    @property
    def text(self) -> str:
        """The mapping as it would be written."""
        return mapping_text(Draft(tuple(form.draft for form in self._files)))

    def dataset(self) -> Dataset:
        """The data, read with the mapping as it stands.

        Raises
        ------
        DataError
            Where the mapping does not fit yet.
        """
        with tempfile.TemporaryDirectory() as folder:
            mapping = write_mapping(self.text, Path(folder) / "mapping.yml")
            if lacking := check_coverage(self._path, mapping).lacking:
                raise DataError(lacking)
            return read_dataset(self._path, mapping=mapping)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the mapping; a file that is there stays, unless `overwrite` says otherwise."""
        return write_mapping(self.text, path, overwrite=overwrite)

    def _on_change(self) -> None:
        n = n_checks(self.text)
        self._checks.value = _sentence(f"{n} lines still say CHECK." if n else "Nothing is left to check.")

    def _on_check(self, _button: object) -> None:
        self._tell(lambda: f"<pre>{escape(self.dataset().quality.to_text())}</pre>")

    def _on_write(self, _button: object) -> None:
        folder = self._path if self._path.is_dir() else self._path.parent
        self._tell(lambda: _sentence(
            f"Written: {self.save(folder / self._name.value, overwrite=self._overwrite.value).name}, beside the data."))

    def _tell(self, say: Callable[[], str]) -> None:
        """Show what happened, or the sentence that says why it did not."""
        try:
            self.report.show(say())
        except TherapyevalError as error:
            self.report.show(_sentence(str(error)))

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        """The form; for what cannot show it, what it is."""
        bundle = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self), "text/html": _sentence("Run the cell again to see the form.")}

    def __repr__(self) -> str:
        return f"MappingForm({len(self._files)} files)"


class FileForm(ipywidgets.VBox):
    """One file: what a row of it is, and a row of drop-downs for each column. `draft` is what is chosen now."""

    def __init__(self, place: str | Path, part: str | None, changed: Callable[[], None]) -> None:
        self._place, self._part, self._changed = place, part, changed
        self._frame, self._layout = profile.arranged(place, part)
        self.draft = file_draft(place, self._frame, self._layout, part)
        kinds = [("nothing that is read", ""), *((kind, kind) for kind in schema.KINDS)]
        self.kind = ipywidgets.Dropdown(options=kinds, value=self.draft.kind, description="A row is one", style=WIDE)
        self.kind.observe(self._on_kind, names="value")
        self._rows = ipywidgets.VBox()
        title = " ".join(filter(None, (self.draft.read, part)))
        super().__init__([ipywidgets.HTML(f'<div class="te-x"><h3>{escape(title)}</h3></div>'), self.kind, self._rows])
        self._show()

    def _on_kind(self, change: dict) -> None:
        if change["new"]:
            self.draft = file_draft(self._place, self._frame, self._layout, self._part, change["new"])
        else:
            self.draft = FileDraft(self.draft.read, self.draft.columns, part=self._part, layout=self._layout)
        self._show()
        self._changed()

    def _show(self) -> None:
        names = self.draft.columns if self.draft.kind else ()
        self.columns = {name: ColumnForm(self._frame, name, self.draft, self._on_column) for name in names}
        self._rows.children = list(self.columns.values())

    def _on_column(self, column: str, use: Use | None) -> None:
        asks = tuple(ask for ask in self.draft.asks if use is None or ask[:2] != (use.kind, use.name))
        self.draft = replace(self.draft.with_use(column, use), asks=asks)
        self._changed()


class ColumnForm(ipywidgets.VBox):
    """One raw column: what it is; how its dates are written; what its codes mean."""

    def __init__(self, frame: pd.DataFrame, column: str, draft: FileDraft,
                 changed: Callable[[str, Use | None], None]) -> None:
        self._frame, self._column, self._changed = frame, column, changed
        self.use = draft.uses.get(column)
        self.choice = ipywidgets.Dropdown(options=_roles(frame, column, draft), value=_role(self.use),
                                          description=column, style=WIDE, layout={"width": "32rem"})
        self.choice.observe(self._on_choice, names="value")
        self.doubt = ipywidgets.HTML()
        self.details = ipywidgets.VBox()
        self.codes: list[ipywidgets.Dropdown] = []
        super().__init__([ipywidgets.HBox([self.choice, self.doubt]), self.details])
        self._show()

    def _on_choice(self, change: dict) -> None:
        self.use = _use(self._frame, self._column, change["new"])
        self._show()
        self._changed(self._column, self.use)

    def _set(self, use: Use) -> None:
        """Somebody has decided: the doubt is gone."""
        self.use = replace(use, doubt="", is_open=False)
        self.doubt.value = ""
        self._changed(self._column, self.use)

    def _show(self) -> None:
        use = self.use
        self.doubt.value = _sentence(use.doubt) if use and use.doubt else ""
        self.codes, rows = [], []
        for code, word, n in _codes(use) if use else ():
            known = ipywidgets.Dropdown(options=_words(use), value=word, style=WIDE,
                                        description="" if n else code, layout={"margin": "0 0 0 4rem"})
            known.observe(lambda change, code=code: self._on_code(code, change["new"]), names="value")
            self.codes.append(known)
            rows.append(ipywidgets.HBox([known, _unsaved(f"{code} ({n} rows)")]) if n else known)
        if use and _is_date(use):
            rows.append(self._dates(use))
        self.details.children = rows

    def _dates(self, use: Use) -> ipywidgets.Dropdown:
        """How the dates are written; an open question starts without an answer."""
        options = {**({CHOOSE: CHOOSE} if use.is_open else {}), **FORMATS}
        options |= {} if use.format in options.values() else {use.format: use.format}
        self.format = ipywidgets.Dropdown(options=options, value=CHOOSE if use.is_open else use.format,
                                          description="written like", style=WIDE, layout={"margin": "0 0 0 4rem"})
        self.format.observe(self._on_format, names="value")
        return self.format

    def _on_format(self, change: dict) -> None:
        if change["new"] != CHOOSE:
            self._set(replace(self.use, format=change["new"]))

    def _on_code(self, code: str, word: str) -> None:
        values = {known: other for known, other in self.use.values.items() if known != code}
        unknown = tuple(pair for pair in self.use.unknown if pair[0] != code)
        self._set(replace(self.use, values={**values, code: word} if word else values, unknown=unknown))


def _roles(frame: pd.DataFrame, column: str, draft: FileDraft) -> list[tuple[str, str]]:
    """What a column may be: canonical columns of the file's kinds; of numbers, scores too."""
    tables = [schema.KINDS[draft.kind], *BESIDE.get(schema.KINDS[draft.kind], ())]
    kinds = [kind for kind, table in schema.KINDS.items() if table in tables]
    found = [(f"{kind}: {name}", f"{kind}.{name}") for kind in sorted(kinds, key=lambda kind: kind != draft.kind)
             for name in schema.TABLES[schema.KINDS[kind]].columns]
    if draft.kind == "episode" and profile.share_of_numbers(frame[column]) > 0:
        found += [(f"score: {code}, {point}", f"{SCORE}.{code}.{point}") for code in measure_names()
                  for point in (schema.INITIAL, schema.DISCHARGE)]
    own = _role(draft.uses.get(column))
    found += [(own, own)] if own and own not in [value for _, value in found] else []
    return [(NOT_USED, ""), *found]


def _role(use: Use | None) -> str:
    return "" if use is None else ".".join(filter(None, (use.kind, use.name, use.point)))


def _use(frame: pd.DataFrame, column: str, role: str) -> Use | None:
    """The use that was chosen, with what its values say; the choice itself needs no doubt."""
    if not role:
        return None
    kind, name, *point = role.split(".")
    return use_of(frame, column, kind, name) if kind in schema.KINDS else Use(kind, name, *point)


def _codes(use: Use) -> list[tuple[str, str, int]]:
    """Code, our word, and the rows of codes that are not known (0 of those that are)."""
    return [*((code, word, 0) for code, word in use.values.items()), *((code, "", n) for code, n in use.unknown)]


def _words(use: Use) -> list[tuple[str, str]]:
    kind_of_column = schema.TABLES[schema.KINDS[use.kind]].columns.get(use.name) if use.kind in schema.KINDS else None
    codes = kind_of_column if isinstance(kind_of_column, tuple) else \
        tuple(measure_names()) if use.name == "measure_code" else schema.TIMEPOINTS
    return [(AS_WRITTEN, ""), *((code, code) for code in dict.fromkeys((*codes, *use.values.values())))]


def _is_date(use: Use) -> bool:
    return use.kind in schema.KINDS and \
        schema.TABLES[schema.KINDS[use.kind]].columns.get(use.name) in ("date", "datetime")


def _unsaved(words: str) -> Answers:
    """Words for the screen, which are never saved with a notebook."""
    shown = Answers()
    shown.show(f'<span class="te-x-quiet">{escape(words)}</span>')
    return shown


def _button(label: str, run: Callable[[object], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=label, layout={"width": "auto"})
    button.on_click(run)
    return button


def _sentence(words: str) -> str:
    return f'<div class="te-x"><p class="te-x-quiet">{escape(words)}</p></div>'
