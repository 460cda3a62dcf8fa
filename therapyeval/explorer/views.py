"""`explore`: the filters and the answers as widgets. Live numbers go to the screen and are never kept.

Answers travel as messages, which no notebook saves; the only text that the widgets hold is the released view.
"""

from __future__ import annotations

from dataclasses import asdict
from html import escape

import anywidget
import ipywidgets
import traitlets

from therapyeval.data import Dataset
from therapyeval.errors import TherapyevalError
from therapyeval.explorer.crossfilter import Choices, Crossfilter, Selection, sentence
from therapyeval.explorer.panels import CSS, labels_of, panel, plain_panel

NAMES = {"discipline": "Discipline", "site_id": "Site", "period": "Quarter of discharge", "measure": "Measure"}
SCRIPT = """
function render({ model, el }) {
  const show = (html) => { clearTimeout(later); el.innerHTML = html; };
  const later = setTimeout(() => show(model.get("saved")), 1500);  // nobody answers: what was saved
  const hear = (message) => { if (message.kind === "live") show(message.html); };
  el.setAttribute("aria-live", "polite");
  model.on("msg:custom", hear);
  model.send({ kind: "ready" });
  return () => { clearTimeout(later); model.off("msg:custom", hear); };
}
export default { render };
"""


def explore(dataset: Dataset, policy: str | None = None) -> Explorer:
    """Filters over a data set, with change, responders, visits and discharges that follow them.

    Parameters
    ----------
    dataset : what `read_dataset` gave
    policy : privacy policy of the view that is saved; default: what the data declare, else cms_11

    Raises
    ------
    ParameterError
        For anything but a Dataset, and for a policy that does not hold for it.
    """
    return Explorer(Crossfilter(dataset, policy))


class Answers(anywidget.AnyWidget):
    """Shows HTML that it is sent; what it holds, and a notebook saves, is `saved`."""

    _esm = SCRIPT
    _css = CSS
    saved = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: object) -> None:
        super().__init__(**traits)
        self._live = ""
        self.on_msg(self._on_message)

    def show(self, live: str) -> None:
        """Put this on every screen that shows the widget."""
        self._live = live
        self.send({"kind": "live", "html": live})

    def _on_message(self, _widget: object, message: dict, _buffers: object) -> None:
        if message.get("kind") == "ready" and self._live:
            self.send({"kind": "live", "html": self._live})


class Explorer(ipywidgets.VBox):
    """Filters above, answers below. `selection` is what is chosen now."""

    def __init__(self, crossfilter: Crossfilter) -> None:
        self._crossfilter = crossfilter
        self._labels = labels_of(crossfilter.dataset.facts.measures)
        self.selection = crossfilter.start()
        self.filters = {name: _dropdown(label, crossfilter.choices(name, self.selection),
                                        getattr(self.selection, name)) for name, label in NAMES.items()
                        if crossfilter.choices(name, self.selection)}
        self.answers = Answers()
        self._is_adjusting = False
        for dropdown in self.filters.values():
            dropdown.observe(self._on_change, names="value")
        row = ipywidgets.Box(list(self.filters.values()), layout={"display": "grid", "overflow": "visible"})
        row.add_class("te-x-filters")
        head = ipywidgets.HTML(_headline(crossfilter.dataset))
        super().__init__([head, row, self.answers], layout={"overflow": "visible", "padding": "0 4px 0 0"})
        self._update()

    def _on_change(self, _change: object) -> None:
        if self._is_adjusting:
            return
        chosen = Selection(**{name: dropdown.value or None for name, dropdown in self.filters.items()})
        self.selection = self._crossfilter.fitted(chosen) if chosen.measure else chosen
        self._is_adjusting = True
        try:
            _offer(self.filters.get("measure"), self._crossfilter.choices("measure", self.selection),
                   self.selection.measure)
        finally:
            self._is_adjusting = False
        self._update()

    def _update(self) -> None:
        """The live answer to the screen, then the released one into what is saved."""
        policy = self._crossfilter.policy
        try:
            self.answers.show(panel(self._crossfilter.answer(self.selection), self._labels, policy.name))
            self.answers.saved = panel(self._crossfilter.released(self.selection), self._labels, policy.name,
                                       policy.banner or policy.reason)
        except TherapyevalError as error:
            text = plain_panel(sentence(error))
            self.answers.show(text)
            self.answers.saved = text

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        """The widget, and for what cannot show it the released view."""
        bundle = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self), "text/html": f"<style>{CSS}</style>{self.answers.saved}"}

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in asdict(self.selection).items() if value is not None)
        return f"Explorer({chosen})"


def _dropdown(label: str, choices: Choices, value: str | None) -> ipywidgets.Dropdown:
    dropdown = ipywidgets.Dropdown(options=_options(choices), value=value or "", description=label,
                                   layout={"width": "auto", "height": "auto", "margin": "0"})
    dropdown.add_class("te-x-filter")
    return dropdown


def _offer(dropdown: ipywidgets.Dropdown | None, choices: Choices, value: str | None) -> None:
    if dropdown is not None:
        if list(dropdown.options) != _options(choices):
            dropdown.options = _options(choices)
        dropdown.value = value or ""


def _options(choices: Choices) -> list[tuple[str, str]]:
    """A dropdown takes None for "nothing chosen", so all is the empty text."""
    return [(label, value or "") for label, value in choices]


def _headline(dataset: Dataset) -> str:
    cut = "" if dataset.data_cut is None else f"Data until {dataset.data_cut.date()}."
    said = " ".join(filter(None, [cut, dataset.note]))
    return f'<div class="te-x"><h2>{escape(dataset.name)}</h2><p class="te-x-quiet">{escape(said)}</p></div>'
