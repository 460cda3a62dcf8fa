"""Results in a notebook: the screen shows their numbers, the file keeps only what was released."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import nbformat
import pytest
from test_explorer_saved import PLANTED, ROOT, STATE, executed, write_planted
from test_reports import GOOD, texts, write_template

from therapyeval import result
from therapyeval.explorer.outputs import live
from therapyeval.reports.run import run_report
from therapyeval.result import Result, Source, make_frame, on_screen_only

WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = """import therapyeval as te
cohort = te.read_dataset("clinic").cohort()
change = te.summarize(cohort, "score_change:odi", by="site_id")
small = te.read_dataset("harbor_rehab").cohort(site_id="mill", discipline="OT")
chart = te.control_chart(small, "mcid_rate")"""
SHOWN = ["change", "te.summarize(cohort, 'score_change:odi')", "te.describe(cohort)", "chart",
         "te.compare(cohort, 'score_change:odi', groups='site_id', reference='large')", "display(change)"]
NESTED = ["[change, {'a': change}]", "[chart.limits]", "print(change)", "print(f'{change} {[change]}')"]
OBJECTS = ["cohort", "cohort.where(site_id='tiny').facts", "te.read_dataset('clinic')"]
FOUND = "print(change.to_text())"
RELEASED = "released, = te.release([change], 'cms_11'); released"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> nbformat.NotebookNode:
    """Everything shown in one notebook, run without a browser, its widget state stored."""
    folder = tmp_path_factory.mktemp("outputs")
    write_planted(folder / "clinic")
    (folder / "harbor_rehab").symlink_to(ROOT / "data_samples" / "harbor_rehab")
    return executed(folder, SETUP, *SHOWN, *NESTED, *OBJECTS, FOUND, RELEASED)


@pytest.fixture
def in_notebook(monkeypatch):
    monkeypatch.setattr(result, "_is_notebook", lambda: True)


def told(notebook: nbformat.NotebookNode, source: str) -> dict[str, str]:
    """What is saved below a cell, by kind."""
    output, = next(cell for cell in notebook.cells if cell.source == source).outputs
    return dict(output.get("data") or {"text/plain": output.text})


def one(policy: str | None = None) -> Result:
    return Result(make_frame([{"metric": "m", "statistic": "mean", "estimate": 37.41, "n": 7}]), "Gain <b>",
                  Source("abc"), policy=policy)


def test_the_search_would_find_the_number(notebook):
    assert PLANTED in told(notebook, FOUND)["text/plain"]


@pytest.mark.parametrize("source", SHOWN)
def test_a_result_is_a_widget_and_what_is_saved_of_it_is_a_sentence_without_a_number(notebook, source):
    data = told(notebook, source)
    widget = data.pop(WIDGET)
    state = notebook.metadata.widgets[STATE]["state"][widget["model_id"]]["state"]
    assert set(data) == {"text/plain", "text/html"}
    assert {name for name in state if not name.startswith("_")} == {"layout", "saved", "tabbable", "tooltip"}
    for text in (*data.values(), state["saved"]):
        assert "Not released: its numbers are not saved" in text and not re.search(r"\d", text)


@pytest.mark.parametrize("source", NESTED)
def test_inside_a_list_or_printed_it_is_the_same_sentence(notebook, source):
    text = told(notebook, source)["text/plain"]
    assert "Not released" in text and not re.search(r"\d", text)


def test_data_sets_and_cohorts_show_no_rows(notebook):
    for source in OBJECTS:
        text = told(notebook, source)["text/plain"]
        assert "large" not in text and "n_before" not in text and len(text) < 600, text


def test_what_was_released_is_saved_as_it_is(notebook):
    data = told(notebook, RELEASED)
    assert "released under cms_11" in data["text/html"] and "released under cms_11" in data["text/plain"]
    assert "15.88" in data["text/html"] and PLANTED not in str(data) and WIDGET not in data


def test_two_answers_in_one_notebook_cannot_be_subtracted(notebook):
    """47 patients in all, 40 of them at `large`: released one by one, the two tables would give the 7 away."""
    kept = [told(notebook, source) for source in SHOWN[:2]]
    assert not any(re.search(r"\b(47|40)\b", text) for data in kept for kind, text in data.items() if kind != WIDGET)


def test_in_a_terminal_everything_is_shown(tmp_path):
    write_planted(tmp_path / "clinic")
    code = SETUP.split("\nsmall")[0] + "\nchange"
    done = subprocess.run([sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", code], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, PYTHONPATH=str(ROOT), IPYTHONDIR=str(tmp_path / "ipython")))
    assert PLANTED in done.stdout, done.stderr
    assert PLANTED in repr(one()) and PLANTED in one()._repr_html_()


def test_what_goes_to_the_screen_only_shows_everything_and_nothing_else_does(in_notebook):
    found = one()
    assert "37" not in repr(found) + found._repr_html_() and "<b>" not in found._repr_html_()
    with pytest.raises(ZeroDivisionError), on_screen_only():
        assert PLANTED in repr(found) and PLANTED in found._repr_html_()
        raise ZeroDivisionError
    assert "37" not in repr(found) + found._repr_html_()
    assert PLANTED in repr(one("cms_11"))


def test_only_what_was_not_released_needs_a_widget(in_notebook):
    assert live(one("cms_11")) is None
    data, _ = live(one())
    assert WIDGET in data and PLANTED not in str(data)


def test_a_template_that_shows_an_unreleased_result_publishes_no_number_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loose = "r.Result(r.make_frame([gain('west', estimate=77.125)], ['site_id']), 'Gain', r.Source('x'))"
    done = run_report(write_template(tmp_path, GOOD, loose), {"data": "visits"}, "out")
    kept = texts(done.folder)
    assert not [name for name, text in kept.items() if "77.12" in text.replace("estimate=77.125", "")]
    assert "Not released" in kept["report.html"]
