"""What a notebook saves of the explorer: nothing that was not released, whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
PLANTED = "37.4"  # mean change of the seven patients of the site `tiny`, as the screen shows it
EXPLORE = """import therapyeval as te
view = te.explore(te.read_dataset("clinic"))
view"""
STATE = "application/vnd.jupyter.widget-state+json"
MAPPING = """version: 1
timepoint_rule: declared
tables:
  - read: scores.csv
    episode: {id: id, discipline: PT, body_region: lumbar_pelvis, site_id: site}
    scores: {odi: {initial: first, discharge: last}}
"""


def write_planted(folder: Path) -> None:
    """A clinic with 40 patients at the site `large` and 7 at `tiny`, who improved by 37.41 on average."""
    folder.mkdir()
    rows = [f"p{i},large,{40 + i % 7},{25 + i % 5}" for i in range(40)]
    rows += [f"q{i},tiny,80,{80 - 34.41 - i}" for i in range(7)]
    (folder / "scores.csv").write_text("\n".join(["id,site,first,last", *rows]), encoding="utf-8")
    (folder / "mapping.yml").write_text(MAPPING, encoding="utf-8")


def executed(folder: Path, *cells: str) -> nbformat.NotebookNode:
    """A notebook run without a browser, its widget state stored."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        NotebookClient(notebook, timeout=60, store_widget_state=True,
                       resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    return notebook


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> nbformat.NotebookNode:
    """The explorer shown, filtered, shown again; and a plain widget with the number, to see the search work."""
    folder = tmp_path_factory.mktemp("saved")
    write_planted(folder / "clinic")
    return executed(folder, EXPLORE, "view.filters['site_id'].value = 'tiny'", "view", "import ipywidgets",
                    f"ipywidgets.HTML({PLANTED!r})")


def explorer_only(notebook: nbformat.NotebookNode) -> str:
    """Everything saved but the plain widget."""
    state = {key: value for key, value in notebook.metadata.widgets[STATE]["state"].items()
             if value["state"].get("value") != PLANTED}
    return nbformat.writes(nbformat.v4.new_notebook(cells=notebook.cells[:3])) + str(state)


def test_the_search_would_find_the_planted_number(notebook):
    assert PLANTED in str(notebook.metadata.widgets)


def test_no_output_and_no_state_holds_an_unreleased_number(notebook):
    saved = explorer_only(notebook)
    assert PLANTED not in saved and "7 of 7" not in saved
    assert "te-x-withheld" in saved


def test_a_reader_without_widgets_sees_the_released_view(notebook):
    shown, = notebook.cells[2].outputs
    assert "Released under the policy cms_11" in shown.data["text/html"]
    assert shown.data["text/plain"] == "Explorer(site_id='tiny', measure='odi')"
