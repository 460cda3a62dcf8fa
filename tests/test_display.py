"""Cells, tables, figures and colors: what is printed for a number, and that nothing leaks or moves."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from therapyeval.display import Bullets, Cell, Facts, Figure, Paragraph, Row, Section, Table, Warnings, cells, theme
from therapyeval.display.figures import FlowColumn, Mark, Panel, flow_plot, interval_plot
from therapyeval.display.labels import Labels
from therapyeval.result import Result, Source, make_frame

NAN = float("nan")


def line(**values: object) -> dict:
    return {"estimate": NAN, "conf_low": NAN, "conf_high": NAN, "numerator": None, "denominator": None, "n": None,
            "note": "", "statistic": "mean", **values}


@pytest.mark.parametrize(("row", "text"), [
    (line(estimate=1.79, conf_low=1.24, conf_high=2.34), "1.8 (1.2 to 2.3)"),
    (line(estimate=-7.2, conf_low=-13.3, conf_high=-1.1), "−7.2 (−13.3 to −1.1)"),
    (line(estimate=1234.5), "1,234.5"), (line(estimate=40.0, conf_low=20.0), "40.0 (20.0 to –)"),
    (line(estimate=40.0, conf_low=20.0, conf_high=float("inf")), "40.0 (20.0 to not reached)"),
    (line(note="withheld"), "withheld"), (line(note="no unit has a value"), "–"), (None, "–")])
def test_an_estimate_prints_with_its_interval_or_a_word(row, text):
    assert cells.estimate(row, 1) == text


@pytest.mark.parametrize(("k", "n", "text"), [(1, 9, "11%"), (33, 50, "66%"), (87, 161, "54.0%")])
def test_percentages_have_a_decimal_only_from_a_hundred_people_on(k, n, text):
    assert cells.share(line(statistic="proportion", estimate=k / n, numerator=k, denominator=n)) == text


def test_a_risk_difference_is_in_points_with_the_decimals_of_its_arms():
    row = line(statistic="risk_difference", estimate=0.46392, conf_low=0.278, conf_high=0.61, n=101)
    assert cells.share(row) == "46 (28 to 61)"


def test_scores_of_one_outcome_share_the_decimals_of_their_median_interval():
    rows = [line(estimate=1.18, conf_low=low, conf_high=high) for low, high in ((0.8, 1.56), (0.5, 1.9), (-40, 60))]
    assert cells.score_digits(rows) == 2
    assert cells.score_digits([line(statistic="sd", estimate=16.2, n=50)]) == 1
    assert cells.score_digits([]) == 1


def test_a_column_of_numbered_groups_is_read_by_its_codes():
    frame = make_frame([{"arm": 1, "metric": "m", "n": 3}, {"arm": None, "metric": "m", "n": 5}], ["arm"])
    result = Result(frame, "t", Source("f"))
    assert cells.first(result, arm="1")["n"] == 3
    assert cells.first(result, arm="")["n"] == 5


EVIL = """<script>alert('"x"')</script>"""


def small_table(**changes: object) -> Table:
    rows = (Row(EVIL, (Cell("withheld"), Cell("–", note="no value")), group=EVIL, below=EVIL),
            Row("b", (Cell(EVIL, below=EVIL, note=EVIL), Cell("–", note="no value")), group=EVIL, step=True))
    return Table(**{"id": "x y", "caption": "What?", "whom": EVIL, "columns": (EVIL, "n"), "rows": rows,
                    "stub": EVIL, "notes": (EVIL,), **changes})


def test_a_table_escapes_every_text():
    html = small_table()._repr_html_()
    assert "<script" not in html and html.count("&lt;script&gt;") >= 8


def test_a_table_has_fixed_ids_no_style_and_the_same_bytes_twice():
    html = small_table()._repr_html_()
    assert html == small_table()._repr_html_()
    assert "<style" not in html and 'id="te-x-y"' in html
    assert all(name.startswith("te-x-y") for name in re.findall(r' id="([^"]*)"', html))
    ElementTree.fromstring(html.replace("&nbsp;", " "))


def test_equal_notes_share_a_letter_in_reading_order():
    text = small_table().to_text()
    assert text.count("[a] No value.") == 1 and text.count("– [a]") == 2 and "[b]" in text


def test_a_column_head_goes_with_its_cells_for_screen_readers():
    html = small_table(columns=("one", "two"))._repr_html_()
    assert re.search(r'<th[^>]*scope="row"', html) and re.search(r'<th[^>]*scope="col"[^>]*>one<', html)


def test_blocks_escape_and_print():
    blocks = (Paragraph(EVIL, "lead"), Bullets((EVIL,)), Warnings((EVIL, EVIL)), Facts(((EVIL, EVIL, EVIL),)),
              Figure(b"<svg/>", EVIL, EVIL))
    section = Section("x", EVIL, blocks, EVIL)
    assert "<script" not in section.to_html() and EVIL in section.to_text()
    assert section._repr_html_().startswith("<style>") and "<style" not in section.to_html()
    ElementTree.fromstring(section.to_html())


def luminance(color: str) -> float:
    parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("ink", "paper"), theme.TEXT_ON)
def test_text_has_the_contrast_of_wcag_aa(ink, paper):
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_style_stays_inside_sections_and_asks_nothing_of_the_network():
    assert not re.search(r"url\(|@import|https?:|expression", theme.CSS)
    plain = re.sub(r"@media[^{]*\{|^\}", "", theme.CSS, flags=re.MULTILINE)
    for rule in re.findall(r"([^{}]+)\{[^{}]*\}", plain):
        assert all(selector.strip().startswith(".te-section") for selector in rule.split(","))


def panel(**changes: object) -> Panel:
    marks = (Mark("A − B", "0.9 (0.6 to 1.2)", 0.9, 0.6, 1.2, "Pain", ((0.8, 0.4, 1.3),)),
             Mark("a label that is much longer than the room beside the axis, by far", "withheld", heading="Pain"),
             Mark("no interval", "0.4", 0.4, NAN, NAN, "$x_1$ & <b> 針"))
    return Panel(**{"axis": "difference in MCIDs", "marks": marks, "lines": ((0, "no difference"), (1, "1 MCID")),
                    "ends": ("← worse", "better →"), **changes})


def test_figures_are_svg_with_the_same_bytes_twice_and_no_figure_is_left_open():
    import matplotlib.pyplot as plt

    first = interval_plot([panel(), panel(limits=(0, 1), percent=True, lines=(), ends=("", ""))])
    assert first == interval_plot([panel(), panel(limits=(0, 1), percent=True, lines=(), ends=("", ""))])
    ElementTree.fromstring(first)
    flow = flow_plot([("screened", "90")], [("declined", "withheld")], [FlowColumn("A", (("allocated", "40"),))] * 2)
    ElementTree.fromstring(flow)
    assert b"<dc:date>" not in first and b"<script" not in first and b"<image" not in first
    assert plt.get_fignums() == []


def test_a_figure_holds_only_marks_that_are_shown():
    assert [len(mark.points) for mark in panel().marks] == [2, 0, 1]


def test_labels_speak_as_people_do():
    labels = Labels({"1": "Video", "a - b": "Odd", "2": "Clinic"},
                    {"odi": {"name": "Oswestry Disability Index (v2.x)", "unit": "percent", "minimum": 0.0,
                             "maximum": 100.0, "direction": "lower_better", "mcid": 10.0}})
    assert labels.contrast("1 - 2") == "Video − Clinic"
    assert labels.contrast("a - b - 2") == "Odd − Clinic"
    assert labels.scale("odi") == "points, 0 to 100, lower is better"
    assert labels.metric("mcid_rate:odi") == "Oswestry Disability Index: improved by at least one MCID (10 points)"
    assert labels.metric("mcid_rate:odi,threshold=6").endswith("at least 6 points, a threshold given by the user")
    assert labels.metric("pct_improved_rate:odi,p=0.5") == \
        "Oswestry Disability Index: improved by at least 50% of baseline"
    assert labels.metric("something_new:odi") == "Oswestry Disability Index: Something new"


def test_display_loads_no_heavy_library_until_it_draws():
    code = ("import sys, therapyeval.display, therapyeval.pilot.sections;"
            "print([m for m in ('matplotlib', 'seaborn', 'great_tables') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
