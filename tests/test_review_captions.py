"""What stands beside a review's tables and figures tells what is there: marks, units, withheld numbers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from test_review_sections import EXAMPLE, MONTHS, headline, reading, result

from therapyeval.display import bundles, change_tables, chart_figures
from therapyeval.display.labels import Labels
from therapyeval.result import Bundle, NamedResult


def test_a_caption_tells_only_what_is_drawn():
    steady = chart_figures.run_figure(reading(EXAMPLE, n=50), MONTHS, "Appointments.").caption
    assert steady == ("Appointments. Solid: mean. Dashed: process limits (XmR, mean ± 2.66 mean moving ranges). "
                      "Shaded: the period under review. n below each month.")
    # mean 97.6, mean moving range 2.82: the upper limit of 105.1% lies beyond what a share can be
    high = reading((97, 99, 96, 100, 95, 99, 97, 100, 96, 98, 95, 99), n=50, target=0.9)
    figure = chart_figures.run_figure(high, ("2025-01",), "Appointments.")
    assert figure.caption == ("Appointments. Solid: mean. Dashed: lower process limit (XmR, mean ± 2.66 mean moving "
                              "ranges). Dotted: target. n below each month.")


def test_hollow_marks_are_explained_only_where_one_is_drawn():
    row, none = headline(), headline(estimate=None, note="withheld")
    rules = ("of everybody", "only those with both scores")
    captions = [chart_figures.shares_figure({"By site": items}, "share", "Rates.", what="Rates", rules=rules).caption
                for items in ([("a", row, row)], [("a", row, none)], [("a", row, None)], [("a", none, row)])]
    assert captions == ["Rates. Filled: of everybody. Hollow: only those with both scores.",
                        "Rates. Dots: of everybody.", "Rates. Dots: of everybody.",
                        "Rates. Hollow: only those with both scores."]


def test_withheld_numbers_are_counted_apart_from_shown_ones_that_lack_a_count_beside_them():
    rows = [headline(), headline(estimate=None, note="withheld"), headline(note="withheld", n_missing=None),
            headline(note="withheld")]
    found = result(rows)
    found.frame["n_people"] = pd.array([None] * 4, dtype="Int64")          # not shown in the report, so not counted
    line = bundles.withheld_line(Bundle("x", (NamedResult("summary", "headlines now", found),), {}))
    assert line.startswith("1 of 4 numbers (rows of results.csv) is withheld") and "By section: 1 in summary." in line
    assert line.endswith("Beside 1 shown number the count of those left out or without a value is withheld.")


def test_left_out_units_are_named_for_what_they_are():
    left_out = pd.DataFrame({"metric": ["goals_met_rate", "no_show_rate"], "reason": ["evaluation_only", "rescheduled"],
                             "n": [12, None], "n_people": [11, None]})
    found = replace(result([headline()]), exclusions=left_out)
    text = change_tables.exclusion_table(found, ["goals_met_rate", "no_show_rate"], Labels(), "2026Q2.").to_text()
    assert "Goals met at discharge: episodes" in text and "No-show rate of slots due: appointments" in text
    assert "Counts withheld here are of too few patients" in text
