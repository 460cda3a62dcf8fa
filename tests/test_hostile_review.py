"""Hostile names inside the data, through a whole quarterly review: by our command and by plain papermill."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import openpyxl
import pandas as pd
import pytest
from test_reports import ROOT, names, texts
from test_reports_browser import BROWSERS_OWN, CHROMIUM, browse, requests  # noqa: F401  (a fixture)

from therapyeval.cli import main

HARBOR = ROOT / "data_samples" / "harbor_rehab"
CODE = "'; import os; os.system('touch RAN') #"
SCRIPT = "<script>document.title='RAN'</script>"
SITES = {"north": SCRIPT, "harbor": "=1+1", "east": "../../x", "lakeside": CODE, "westfield": "a\x00b\x1b[31m\u202e",
         "summit": "\"><img src=//ran.example/x onerror=\"document.title='RAN'\">", "mill": "@SUM(1)|'x'!A0",
         "cove": "L" * 100_000}
CODES = {("patients", "language", "es"): "{{ 7*7 }}<b onclick=alert(1)>",
         ("patients", "sex", "female"): "=cmd|' /C'!A0",
         ("episodes", "acuity", "chronic"): "<svg/onload=\"document.title='RAN'\">",
         ("episodes", "payer_class", "commercial"): "-2+3\t=1\x1b]0;x\x07"}
MADE = {"script", "iframe", "frame", "object", "embed", "form", "input", "button", "base", "audio", "video", "b", "svg"}


def write_hostile(folder: Path) -> Path:
    """Every fifth patient of harbor_rehab; sites and codes have hostile names."""
    folder.mkdir(parents=True)
    tables = {path.stem: pd.read_parquet(path) for path in sorted(HARBOR.glob("*.parquet"))}
    patients = tables["patients"]["patient_id"][::5]
    episodes = tables["episodes"].loc[tables["episodes"]["patient_id"].isin(patients), "episode_id"]
    for name, table in tables.items():
        if "patient_id" in table:
            table = table[table["patient_id"].isin(patients)].copy()
        elif "episode_id" in table:
            table = table[table["episode_id"].isin(episodes)].copy()
        if "site_id" in table:
            table["site_id"] = table["site_id"].map(SITES)
        for (of, column, code), hostile in CODES.items():
            if of == name:
                table[column] = table[column].replace(code, hostile)
        table.to_parquet(folder / f"{name}.parquet")
    (folder / "mapping.yml").write_bytes((HARBOR / "mapping.yml").read_bytes())
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with hostile data, from which everything is started; nothing but `out` may appear in it."""
    folder = tmp_path_factory.mktemp("hostile")
    write_hostile(folder / "data")
    return folder


@pytest.fixture(scope="module")
def review(home) -> Path:
    """The run of our command over all sites."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(["report", "quarterly_review", "--data", "data", "-p", "period=2026Q2", "--out", "out"]) == 0
    folder, = (home / "out").iterdir()
    return folder


class Live(HTMLParser):
    """Elements and attributes of a page that our own markup never has, and the words that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found, self.words = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found += [tag] if tag in MADE else []
        self.found += [name for name, _ in attrs if name.startswith("on")]
        self.found += [value[:40] for name, value in attrs if name in ("src", "href", "action", "srcset", "data")
                       and not value.startswith(("data:image/", "#", "data:,"))]

    def handle_data(self, data):
        self.words.append(data)


def check_html(html: str, shown: list[str]) -> None:
    page = Live(html)
    assert page.found == []
    words = "".join(page.words)
    assert not [text[:30] for text in shown if text not in words]


def test_the_page_shows_the_names_as_text(review):
    html = (review / "report.html").read_text("utf-8")
    plain = [name for name in SITES.values() if name.isprintable()]
    assert len(plain) == 7
    check_html(html, [*plain, "{{ 7*7 }}<b onclick=alert(1)>", "=cmd|' /C'!A0"])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; .ci/run installs it")
def test_a_browser_runs_nothing_of_it_and_asks_nobody(review, tmp_path, requests):  # noqa: F811
    port, asked = requests
    dom, console = browse(tmp_path, (review / "report.html").as_uri(), "--dump-dom", proxy=port)
    assert console == [] and [line for line in asked if not any(host in line for host in BROWSERS_OWN)] == []
    assert "<title>Quarterly review 2026Q2" in dom and "<title>RAN" not in dom and "<script" not in dom
    assert "&lt;script&gt;document.title" in dom


def test_control_characters_and_direction_marks_are_seen_as_a_mark(review):
    """A drawing with a NUL in it is no drawing; a right-to-left mark turns the rest of a line around."""
    html = (review / "report.html").read_text("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", html + (review / "results.csv").read_text("utf-8"))
    assert "a\ufffdb\ufffd[31m\ufffd" in html
    drawings = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert len(drawings) > 5 and all(ElementTree.fromstring(b64decode(drawing)) is not None for drawing in drawings)


def test_no_cell_of_the_tables_is_a_formula_a_link_or_a_control_character(review):
    csv.field_size_limit(200_000)
    with (review / "results.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.DictReader(file) for cell in (row["site_id"], row["level"])]
    assert {"'=1+1", "'@SUM(1)|'x'!A0", "L" * 100_000, "'=cmd|' /C'!A0", SCRIPT, "../../x", CODE} <= set(cells)
    assert not [cell[:20] for cell in cells if re.search(r"^\s*[=+@-]|[\x00-\x1f]", cell)]
    book = openpyxl.load_workbook(review / "results.xlsx")
    for cell in (cell for sheet in book for row in sheet.iter_rows() for cell in row):
        assert cell.data_type != "f" and cell.hyperlink is None
        assert not isinstance(cell.value, str) or cell.quotePrefix or not re.match(r"\s*[=+@-]", cell.value)
    assert any(str(cell.value).startswith("LLLL") for row in book.worksheets[0].iter_rows() for cell in row)


def test_the_record_is_plain_and_nothing_appears_beside_the_run(review, home):
    record = json.loads((review / "run.json").read_text("utf-8"))
    assert record["status"] == "complete" and "LLLL" not in str(record)
    assert review.name == "quarterly_review-data-2026Q2"
    assert names(review) == ["report.html", "report.ipynb", "results.csv", "results.xlsx", "run.json"]
    assert names(home) == ["data", "out"] and not list(home.parent.glob("x*")) and not list(home.rglob("RAN"))


def test_plain_papermill_gives_the_same_and_runs_nothing(home, review):
    """All sites, as in `review`: the same text in every output, and no live element in any."""
    done = papermill(home, "-p", "period", "2026Q2")
    try:
        assert done.returncode == 0, done.stderr[-500:]
        ran, ours = (nbformat.read(path, 4) for path in (home / "ran.ipynb", review / "report.ipynb"))
        shown = ["".join(output.data.get("text/html", "") for cell in book.cells for output in cell.get("outputs", [])
                         if "data" in output) for book in (ran, ours)]
        check_html(shown[0], [SCRIPT, "=1+1", CODE])
        assert len(shown[0]) == len(shown[1])
    finally:
        (home / "ran.ipynb").unlink()
    assert names(home) == ["data", "out"] and not list(home.rglob("RAN"))


def papermill(home: Path, *words: str) -> subprocess.CompletedProcess:
    template = ROOT / "templates" / "quarterly_review.ipynb"
    return subprocess.run([sys.executable, "-m", "papermill", str(template), "ran.ipynb", "--no-progress-bar",
                           "-p", "data", "data", *words], cwd=home, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=180)


@pytest.mark.parametrize("site", [SCRIPT, "../../x"])
def test_a_review_of_one_hostile_site_is_a_folder_with_a_safe_name(home, tmp_path, monkeypatch, site):
    monkeypatch.chdir(home)
    words = ["report", "quarterly_review", "--data", "data", "-p", "period=2026Q2", "-p", f"site_id={site}"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    folder, = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"[\w.-]{1,90}", folder.name) and names(tmp_path) == ["out"]
    check_html(texts(folder)["report.html"], [f"Quarterly review 2026Q2, {site}"])
    assert not list(home.rglob("RAN"))


@pytest.mark.parametrize(("words", "complaint"), [
    (["-p", f"site_id={'L' * 100_000}"], "site_id has 100,000 characters; at most 1,000 are taken."),
    (["-p", "site_id=a\x1b[31m"], "site_id holds a control character or a line break"),
    (["-p", f"{CODE}=x"], "no parameter of quarterly_review is called"),
    (["-p", "site_id; import os=x"], "no parameter of quarterly_review is called"),
    (["-p", f"{'p' * 100_000}=x"], "no parameter of quarterly_review is called"),
    (["-p", "__import__('os')=x"], "no parameter of quarterly_review is called"),
])
def test_the_command_refuses_hostile_values_and_names_of_parameters(run, tmp_path, words, complaint):
    code, printed, told = run("report", "quarterly_review", "--data", HARBOR, "--out", tmp_path / "out", *words)
    assert code == 4 and printed == "" and complaint in told and told.count("\n") == 1 and len(told) < 300
    assert told.rstrip("\n").isprintable() and names(tmp_path) == []


def test_a_word_that_is_no_parameter_is_a_usage_error(run, tmp_path):
    code, printed, told = run("report", "quarterly_review", "--data", HARBOR, "--out", tmp_path / "out", "-p", CODE)
    assert code == 2 and printed == "" and "write it as name=value" in told and names(tmp_path) == []
