"""The quality report for people: its sections, the heat map, the page, and the command that writes it."""

from __future__ import annotations

import re
import shutil
from html import unescape

import pytest
from test_cli import STROKE, complains
from test_reports_browser import BROWSERS_OWN, CHROMIUM, browse, requests  # noqa: F401

from therapyeval.data.definitions import Change, Changes
from therapyeval.display.heat_map import MOST_COLUMNS, Grid, grid_figure, grid_table
from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.reports.publish import check_page
from therapyeval.reports.quality_page import write_quality
from therapyeval.result import Bundle, NamedResult, Result, Source, make_frame
from therapyeval.review.data_quality import DataQuality
from therapyeval.review.quality_sections import NAMES

POLICY = {"name": "cms_11", "threshold": 11, "banner": "", "reason": "small counts are withheld"}
RECORD = {
    "verdict": "usable with warnings", "by": "site_id", "stale_days": 60,
    "reasons": [{"severity": "warning", "table": "visits", "rule": "no visit_id", "count": "1 to 10"}],
    "tables": [{"table": "visits", "file": "visits.csv", "rows_in": "94 to 103", "in_facts": "93",
                "quarantined": "1 to 10", "merged": "0", "left_out": "0"}],
    "set_aside": [{"table": "visits", "fate": "quarantined", "rule": "no visit_id", "count": "1 to 10"}],
    "duplicates": [{"table": "visits", "kind": "exact: the same row twice", "count": "12", "outcome": "counted once"}],
    "problems": [{"severity": "warning", "table": "visits", "rule": "no visit_id", "count": "1 to 10"}],
    "measures": {"lefs": {"name": "Lower Extremity Functional Scale", "unit": "points"}}, "definitions": None,
    "dataset": {"name": "clinic <b>", "data_cut": "2026-05-01", "note": "", "fingerprint": "9f2c" * 16},
    "policy": POLICY}


def counted(metric, level, k, n, note="", **group):
    """A row of a share; withheld where k is None."""
    share = None if k is None else k / n
    return {**group, "metric": metric, "level": level, "statistic": "proportion", "estimate": share, "numerator": k,
            "denominator": n if k is not None else None, "n": n if k is not None else None, "n_people": n, "note": note}


def result(*rows, by=()):
    return Result(make_frame(rows, by), "t", Source("f", population="episodes"), policy="cms_11")


def quality(**changes):
    """A small quality report: one field with gaps at two sites, one measure, stale episodes."""
    reason = [counted("reason_filled", "reason", k, n, site_id=site) for site, k, n in
              (("east", 27, 60), ("north", 57, 60))]
    pairs = [counted("paired_completion:lefs", "both scores", 20, 40, site_id="east"),
             counted("paired_completion:lefs", "both scores", None, 40, "withheld", site_id="north")]
    tables = [("completeness", "fields", result(counted("site_id_filled", "site_id", 120, 120),
                                                counted("reason_filled", "reason", 84, 120),
                                                counted("language_filled", "language", 0, 120))),
              ("completeness", "fields by site_id", result(*reason, by=["site_id"])),
              ("pairing", "measures", result(counted("paired_completion:lefs", "both scores", 60, 80))),
              ("pairing", "why not", result(counted("paired_completion:lefs", "no_final", 15, 80),
                                            counted("paired_completion:lefs", "conflict", None, 80, "withheld"))),
              ("pairing", "measures by site_id", result(*pairs, by=["site_id"])),
              ("stale", "episodes", result(counted("closed_admin", "", 12, 120),
                                           counted("open_without_visit", "", 0, 120)))]
    return DataQuality(Bundle("Quality of the data clinic <b>", tuple(NamedResult(*item) for item in tables),
                              {**RECORD, **changes}))


def said(name, **changes):
    """A section as one line of text."""
    return " ".join(quality(**changes).to_text(name).split())


def test_the_verdict_comes_first_with_its_reasons_and_what_is_withheld():
    text = said("verdict")
    assert "[Amber] The data, up to 2026-05-01, are usable with warnings." in text
    assert "Appointments: appointment number: empty, so the row is not used (1 to 10 rows)" in text
    assert "2 of 12 numbers are withheld under the privacy policy cms_11: 2 in pairing." in text
    assert "[Red] The data, up to 2026-05-01, are not usable." in said("verdict", verdict="not usable")
    many = said("verdict", reasons=RECORD["reasons"] * 9)
    assert "3 more reasons, at the end of this report" in many


def test_rows_and_duplicates_are_told_with_what_became_of_them():
    assert "Appointments (visits.csv) 94 to 103 93 1 to 10 0 0" in said("records")
    assert "Appointments appointment number: empty, so the row is not used In quarantine 1 to 10" in said("records")
    assert "Appointments Exact: the same row twice 12 counted once" in said("duplicates")
    assert "Nothing was found twice." in said("duplicates", duplicates=[])


def test_fields_are_complete_never_filled_or_shown_with_their_gaps():
    text = said("completeness")
    assert "Complete in all episodes: Site. Never filled: Language." in text
    assert "Reason 70% 84 of 120" in text and "Reason east 45% north 95%" in text


def test_pairs_say_how_many_of_whom_and_why_not():
    text = said("pairing")
    assert "Lower Extremity Functional Scale 75% 60 of 80 green" in text
    assert "Lower Extremity Functional Scale east 50% north withheld" in text
    assert "no final score 15 (19%); withheld: two scores on one day" in text


def test_stale_episodes_are_told_with_the_rule():
    assert "All 12 / 10% 0 / 0%" in said("stale") and "no visit for 60 days or more" in said("stale")


@pytest.mark.parametrize(("told", "words"), [
    (None, "Nothing was stored to compare with"),
    ({"since": "2026-03-31", "changes": []}, "No definition (rule, threshold, mapping) has changed since the data up "
                                             "to 2026-03-31 were first read."),
    ({"since": "2026-03-31", "changes": ["stale_days: from 60 to 90"]},
     "1 definition changed since the data up to 2026-03-31 were read."),
    ({"since": "", "changes": ["stale_days: from 60 to 90"]}, "- stale_days: from 60 to 90"),
    ({"since": "", "changes": [f"x{i}: from 1 to 2" for i in range(25)]}, "- x19: from 1 to 2 - 5 more")])
def test_changes_of_definitions_are_told_from_what_to_what(told, words):
    assert words in said("definitions", definitions=told)


def test_codes_of_a_mapping_are_not_among_the_words_that_leave():
    path = ("visits.csv", "visit", "status", "values", "pt died 3/4")
    changes = Changes("", (Change("mapping", path, "not set", "no_show"),
                           Change("mapping", ("visits.csv", "keep", "ward"), "3", "4"),
                           Change("thresholds", ("lefs", "mcid"), "9", "10")))
    assert changes.without_codes() == ["lefs, mcid: from 9 to 10",
                                       "visits.csv, visit, status: 1 line of the mapping changed",
                                       "visits.csv, keep: 1 line of the mapping changed"]


def test_every_section_says_something_where_there_is_nothing():
    empty = DataQuality(Bundle("Quality of nothing", (), {"verdict": "usable", "policy": POLICY, "definitions": None}))
    for section in empty.sections():
        assert section.blocks and section.blocks[0].to_text()
    with pytest.raises(UnknownNameError, match="stale"):
        empty.section("stail")


def test_a_notebook_shows_the_released_report_with_its_style_once():
    shown = quality()._repr_mimebundle_()
    assert shown["text/html"].count("<style>") == 1 and all(f'id="te-{name}"' in shown["text/html"] for name in NAMES)
    assert "usable with warnings" in shown["text/plain"] and "<svg" not in shown["text/plain"]


def grid(n_columns=2):
    columns = tuple(f"site {i}" for i in range(n_columns))
    found = {("Reason", column): {"estimate": 0.5, "note": ""} for column in columns}
    return Grid(("Reason", "Sex"), columns, {**found, ("Sex", "site 0"): {"estimate": None, "note": "withheld"}})


def test_a_heat_map_says_its_lowest_shares_and_has_its_numbers_in_a_table():
    figure = grid_figure(grid(), "Fields by site", "All of them.")
    assert "Lowest: Reason, site 0: 50%; Reason, site 1: 50%." in figure.alt and "table below" in figure.alt
    assert figure.caption.endswith("Hatched: 1 withheld.")
    assert figure.image == grid_figure(grid(), "Fields by site", "All of them.").image
    lines = grid_table(grid(), "k", "Fields.", "", "").to_text().splitlines()
    assert [line.split() for line in lines[2:]] == [["Reason", "50%", "50%"], ["Sex", "withheld", "–"]]


def test_a_heat_map_that_cannot_be_read_is_not_drawn():
    assert grid_figure(grid(MOST_COLUMNS), "w", "a") is not None
    assert grid_figure(grid(MOST_COLUMNS + 1), "w", "a") is None
    assert grid_figure(Grid(("Sex",), ("a",), {("Sex", "a"): {"estimate": None, "note": "withheld"}}), "w", "a") is None


def test_the_page_stands_alone_and_holds_every_section(tmp_path):
    path = write_quality(quality(), tmp_path / "quality.html")
    html = path.read_text(encoding="utf-8")
    check_page(html)
    assert all(f'id="te-{name}"' in html for name in NAMES) and "results.csv" not in html
    assert "clinic &lt;b&gt;" in html and "clinic <b>" not in html and html.count('<img alt="') == 2
    assert "The darker, the less complete" in unescape(html) and "A required check failed" not in html
    failed = write_quality(quality(verdict="not usable"), tmp_path / "failed.html").read_text(encoding="utf-8")
    assert "A required check failed" in failed
    internal = {"policy": {**POLICY, "name": "internal", "banner": "INTERNAL: do not send."}}
    path = write_quality(quality(**internal), tmp_path / "q.html")
    assert path.name == "q-INTERNAL.html" and "INTERNAL: do not send." in path.read_text(encoding="utf-8")
    with pytest.raises(ParameterError, match=r"the ending must be \.html"):
        write_quality(quality(), tmp_path / "quality.pdf")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["failed.html", "q-INTERNAL.html", "quality.html"]


@pytest.fixture
def stroke(tmp_path):
    """A copy of the stroke trial: the command stores definitions beside the data."""
    return shutil.copytree(STROKE, tmp_path / "stroke", ignore=shutil.ignore_patterns(".*"))


def test_the_command_writes_what_is_released_and_remembers_the_definitions(run, stroke, tmp_path):
    target = tmp_path / "quality.html"
    code, text, _ = run("check", stroke, "--html", target, "--policy", "cms_11")
    assert code == 0 and text.startswith("Data are usable") and f"Written to {target} under the policy cms_11." in text
    assert "Nothing was stored to compare with" in target.read_text(encoding="utf-8")
    mapping = stroke / "mapping.yml"
    mapping.write_text(mapping.read_text(encoding="utf-8") + "\nmin_visits: 2\n", encoding="utf-8")
    code, text, _ = run("check", stroke)
    assert code == 0 and "- min_visits: from 3 to 2" in text and "Not released: do not share." in text
    assert run("check", stroke, "--html", target)[0] == 0       # a file that is there is replaced, as with -o
    assert "min_visits: from 3 to 2" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "code", "complaint"), [
    (["--html", "quality.pdf"], 4, "the ending must be .html"),
    (["--html", "nowhere/quality.html"], 4, "cannot write"),
    (["--html", "quality.html", "--policy", "cms11"], 4, "Did you mean cms_11"),
    (["--html", "folder.html"], 4, "cannot write")])
def test_a_slip_with_the_file_costs_one_line_and_leaves_nothing(run, stroke, tmp_path, monkeypatch, words, code,
                                                                complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    complains(run("check", stroke, *words), code, complaint)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["folder.html", "stroke"]


def test_a_page_and_json_at_once_is_a_usage_error(run, stroke):
    assert run("check", stroke, "--json", "--html", "q.html")[0] == 2


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; .ci/run installs it")
def test_the_page_asks_for_nothing_and_fits_the_window(tmp_path, requests):  # noqa: F811
    port, asked = requests
    page = write_quality(quality(), tmp_path / "quality.html")
    _, console = browse(tmp_path, page.as_uri(), f"--screenshot={tmp_path / 'shot.png'}", proxy=port)
    assert console == [] and [line for line in asked if not any(host in line for host in BROWSERS_OWN)] == []
    for width in (1280, 390):
        frame = tmp_path / f"frame-{width}.html"
        frame.write_text(f"""<iframe src="quality.html" style="width:{width}px;height:900px;border:0"></iframe><p></p>
            <script>onload = () => {{ const page = document.querySelector('iframe').contentDocument
              document.querySelector('p').textContent = 'width ' + page.documentElement.scrollWidth }}</script>""")
        printed, _ = browse(tmp_path, frame.as_uri(), "--dump-dom", "--window-size=1400,1000",
                            "--virtual-time-budget=3000")
        assert int(re.search(r"width (\d+)", printed)[1]) <= width
