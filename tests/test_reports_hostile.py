"""Values that try to run, to leave the folder or to become live; through our runner and through plain papermill."""

from __future__ import annotations

import ast
import csv
import html
import logging
import os
import subprocess
import sys

import nbformat
import openpyxl
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError
from test_reports import GOOD, ROOT, names, texts, write_template

from therapyeval.errors import ParameterError, ReportError
from therapyeval.reports.execute import find_bundle
from therapyeval.reports.gates import Gate
from therapyeval.reports.publish import Page, check_page, to_html
from therapyeval.reports.run import run_report
from therapyeval.reports.scrub import without_paths

LIVE = "'; import os; os.system('touch RAN') #"
TAKEN = ["<script>alert(1)</script>", "=1+1", "=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(1)", "../../x", "..",
         "/etc/passwd", LIVE, 'a"; __import__("os").system("touch RAN") #', "\\", "\\'", '\\"', "{data}", "%(x)s",
         "{{ 7919*7907 }}",
         "$(touch RAN)", "`touch RAN`", "naïve 日本 🙂", "NUL", "C:\\x", "&amp;<b>", "]]>", "a" * 1000,
         "' onload='alert(1)", "None", "007"]
NAMES = ["../../x", "..", "/etc/passwd", "NUL", "C:\\x", "a" * 1000, "<script>", "naïve 日本 🙂"]
REFUSED = ["a\nb", "a\x00b", "\x1b[31mred", "a\rb", "\u202egnp.exe", "\u2028", "a" * 100_000, ""]


@pytest.mark.parametrize("value", TAKEN, ids=lambda value: ascii(value[:25]))
def test_a_hostile_value_reaches_the_notebook_as_text_and_nothing_else(tmp_path, value):
    toml = write_template(tmp_path, GOOD)
    notebook = papermill.execute_notebook(nbformat.read(toml.with_suffix(".ipynb"), 4), None,
                                          {"site_id": value, "data": [value]}, prepare_only=True)
    cell = next(cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    assigned = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert assigned == {"site_id": value, "data": [value]}


def test_hostile_values_are_shown_as_they_are_and_neither_run_nor_leave(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "[" + ", ".join(f"gain({value!r})" for value in TAKEN) + "]"
    toml = write_template(tmp_path, f"shown({rows})")
    done = run_report(toml, {"data": "visits", "site_id": LIVE}, "out")
    page = done.report.read_text("utf-8")
    assert all(html.escape(value) in page for value in TAKEN) and "<script" not in page and "62615533" not in page
    sheet = openpyxl.load_workbook(done.folder / "results.xlsx")["Results"]
    cells = {cell.value: cell for row in sheet.iter_rows() for cell in row}
    assert all(cells[value].data_type == "s" for value in TAKEN)
    assert all(cells[value].quotePrefix for value in ("=1+1", "@SUM(1)", "-2+3"))
    assert not any(cell.data_type == "f" for cell in cells.values())
    with open(done.folder / "results.csv", newline="", encoding="utf-8") as file:
        sites = [row["site_id"] for row in csv.DictReader(file)]
    assert [site.removeprefix("'") for site in sites] == [value.removeprefix("'") for value in TAKEN]
    assert not any(site.startswith(("=", "+", "-", "@", "\t")) for site in sites)
    assert names(tmp_path) == ["out", "plan.yml", "trial.ipynb", "trial.toml", "visits"]
    assert len(names(tmp_path / "out")) == 1


@pytest.mark.parametrize("value", NAMES, ids=lambda value: ascii(value[:12]))
def test_no_value_names_a_folder_outside(tmp_path, monkeypatch, value):
    from therapyeval.reports import run

    def no_kernel(*_: object, **__: object) -> None:
        raise ReportError("stopped here")
    monkeypatch.setattr(run.execute, "run_cells", no_kernel)
    toml = write_template(tmp_path, GOOD)
    with pytest.raises(ReportError, match="stopped here"):
        run_report(toml, {"data": str(tmp_path / "visits"), "site_id": value}, tmp_path / "out")
    assert names(tmp_path) == ["out", "plan.yml", "trial.ipynb", "trial.toml", "visits"]
    folder, = names(tmp_path / "out")
    assert folder.startswith("trial-visits") and folder.endswith(".failed") and len(folder) < 80


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: ascii(value[:12]))
def test_control_characters_and_endless_text_are_refused_before_anything_runs(tmp_path, value):
    toml = write_template(tmp_path, GOOD)
    with pytest.raises(ParameterError) as caught:
        run_report(toml, {"data": str(tmp_path / "visits"), "site_id": value}, tmp_path / "out")
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["site id", "x; import os", "a\nb", "__import__('os')", "p" * 100_000, "site_id=1 #"],
                         ids=lambda name: ascii(name[:12]))
def test_a_hostile_name_of_a_parameter_is_unknown(tmp_path, name):
    toml = write_template(tmp_path, GOOD)
    with pytest.raises(ParameterError, match="no parameter of trial is called"):
        run_report(toml, {"data": str(tmp_path / "visits"), name: "x"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["{x}", "a b", "ö'\"$(x)"])
def test_folders_may_have_any_name(tmp_path, monkeypatch, folder):
    home = tmp_path / folder
    home.mkdir()
    monkeypatch.chdir(home)
    toml = write_template(home, GOOD)
    done = run_report(toml, {"data": "visits", "plan": str(home / "plan.yml")}, home / "out")
    notebook = texts(done.folder)["report.ipynb"]
    assert done.exit_code == 0 and 'plan = \\"plan.yml\\"' in notebook


def run_papermill(tmp_path, monkeypatch, **given: object):
    """Plain papermill on the template; the executed notebook."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    toml = write_template(tmp_path, GOOD)
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of unknown parameters: that is the point
    return papermill.execute_notebook(str(toml.with_suffix(".ipynb")), "ran.ipynb", given, progress_bar=False)


def test_plain_papermill_gives_the_same_results(tmp_path, monkeypatch):
    notebook = run_papermill(tmp_path, monkeypatch, data="visits", site_id=LIVE)
    assert find_bundle(notebook).to_frame()["site_id"].tolist() == [LIVE, "west"]
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("given, message", [
    ({"data": "visits", "sit_id": "a"}, "Did you mean site_id"),
    ({"data": "visits", "site_id": 7}, "use `-r site_id VALUE`"),
    ({"data": "visits", "site_id": "a\x1bb"}, "control character"),
])
def test_plain_papermill_is_as_strict(tmp_path, monkeypatch, given, message):
    with pytest.raises(PapermillExecutionError, match=message):
        run_papermill(tmp_path, monkeypatch, **given)
    assert "vnd.therapyeval" not in (tmp_path / "ran.ipynb").read_text("utf-8").replace("r.MIME_TYPE", "")


def test_the_papermill_command_is_as_strict(tmp_path):
    toml = write_template(tmp_path, GOOD)
    command = [sys.executable, "-m", "papermill", str(toml.with_suffix(".ipynb")), "ran.ipynb", "-p", "data", "visits",
               "-p", "site_id", "007"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, check=False)
    assert done.returncode and "site_id must be text, not 7. papermill turns" in done.stderr


@pytest.mark.parametrize("part", [
    "<script>x</script>", "<SCRIPT src=x>", "<img src='http://x/a.png'>", "<img src=//x/a.png>", "<img src=a.png>",
    "<a href='https://x'>", "<a href=javascript:alert(1)>", "<p onclick=x>", "<svg/onload=x>", "<iframe></iframe>",
    "<form></form>", "<style>@import 'x'</style>", "<style>p{background:url(http://x)}</style>",
    "<p style='background:url(x)'>", "<link rel=stylesheet href=x>", "<meta http-equiv=refresh content=0>",
    "<base href=x>", "<object data=x>", "<img srcset='x 1x'>", "<svg><image xlink:href='http://x'/></svg>",
])
def test_a_page_that_would_run_or_load_something_is_refused(part):
    with pytest.raises(ReportError, match="not be self-contained"):
        check_page(f"<main>{part}</main>")


@pytest.mark.parametrize("part", [
    "<p>see https://doi.org/10.1 and url(x), onload = 1, &lt;script&gt;</p>", "<a href='#te-flow'>", "<p>once = 1</p>",
    "<img alt='one = 1, data = x' src='data:image/png;base64,AA=='>", "<style>p{color:red}</style>"])
def test_words_that_only_look_dangerous_are_not(part):
    check_page(f"<main>{part}</main>")


def test_what_stands_around_the_results_is_escaped():
    hostile = '"><script>alert(1)</script>'
    page = Page(hostile, hostile, "0", ((hostile, hostile),), ((hostile, hostile),), hostile,
                (Gate(hostile, True, False, hostile),))
    page = to_html(nbformat.v4.new_notebook(), page)
    assert "<script" not in page and page.count(html.escape("<script>")) >= 10


@pytest.mark.parametrize("text, clean", [
    ("/srv/in/visits.csv: bad", "visits.csv: bad"), ("see /srv/in.", "see in."), ("file:///srv/in/x.csv", "x.csv"),
    ("/srv/into/x", "/srv/into/x"), ("a/srv/in/b", "a/srv/in/b"), ("'/srv/in/'", "'in/'"), (r"D:\in\x.csv", "x.csv")])
def test_paths_are_taken_out_of_text(text, clean):
    assert without_paths(text, ["/srv/in", r"D:\in"]) == clean
