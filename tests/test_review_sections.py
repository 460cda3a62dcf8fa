"""Sections of a quarterly review: the wording rules on charts in sight, and every section of the real harbor review."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import escape as html_escape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import therapyeval as te
from therapyeval.benchmark.control_chart import chart_points
from therapyeval.display import change_tables, chart_figures, variation
from therapyeval.display.labels import Labels
from therapyeval.errors import UnknownNameError
from therapyeval.result import Bundle, NamedResult, Result, Source, make_frame
from therapyeval.review import groups
from therapyeval.review.material import Material
from therapyeval.review.sections import NAMES, render_section

ROOT = Path(__file__).resolve().parent.parent
HARBOR = ROOT / "data_samples" / "harbor_rehab"
EXAMPLE = (82, 80, 85, 79, 83, 81, 84, 80, 78, 82, 81, 83)       # quarterly review requirements, section 5
REVIEW = {"period": "2026Q2", "start": "2026-04-01", "end": "2026-06-30", "state": "final", "filters": {},
          "spans": {"now": "2026Q2", "before": "2026Q1", "year_ago": "2025Q2"},
          "rolling": "2025-07-01..2026-06-30", "history": "2025-07-01..2026-06-30"}
MONTHS = ("2026-04", "2026-05", "2026-06")
TARGETS = 'version: 1\ntargets:\n  - {metric: mcid_rate, value: 0.5, origin: "site plan"}\n'
EMPTY = Bundle("Nothing yet", (), {})
FIGURE = re.compile(r'<img alt="([^"]*)".*?<figcaption>(.*?)</figcaption>', re.S)
FORBIDDEN = re.compile(r"\bcaus(ed|es|ing)\b|led to|thanks to|significan|\bprove[ds]?\b|deteriorat|\brank|league|"
                       r"best site|worst|(rose|fell|dropped|increased|decreased|improved|up|down) by \d", re.I)


def result(rows: list[dict], by: tuple[str, ...] = ()) -> Result:
    defaults = {"n_missing": 0, "n_excluded": 0, "note": "", "unit": "proportion", "estimand": "complete_case"}
    return Result(make_frame([{**defaults, **row} for row in rows], by), "made by hand", Source("f" * 64),
                  policy="cms_11")


def chart(values, metric="arrival_rate", better="higher", target=None, n=200, unit="proportion"):
    """A chart of twelve months (or fewer) up to June 2026; None is a withheld month."""
    labels = [str(month) for month in pd.period_range(end="2026-06", periods=len(values), freq="M")]
    rows = [{"period": label, "metric": metric, "statistic": "ratio", "unit": unit,
             "estimate": value if value is None else value / (100 if unit == "proportion" else 1),
             "n": None if value is None else n, "note": "withheld" if value is None else ""}
            for label, value in zip(labels, values, strict=True)]
    return chart_points(result(rows, ("period",)), better=better, target=target)


def reading(values, label="Arrival rate", **about):
    return variation.read_chart(chart(values, **about), label)


def headline(metric="paired_completion", share=0.65, n=120, estimand="complete_case", **more) -> dict:
    return {"metric": metric, "statistic": "proportion", "estimand": estimand, "unit": "proportion", "note": "",
            "estimate": share, "conf_low": share - .08, "conf_high": share + .08, "numerator": round(share * n),
            "denominator": n, "n": n, **more}


def small(rows=None, charts=None, **record) -> str:
    """The summary of a review made of a few rows, as text."""
    rows = [headline(), headline("mcid_rate", 0.4, estimand="missing_not_achieved"),
            headline("mcid_rate", 0.61, 78)] if rows is None else rows
    dataset = {"name": "clinic", "data_cut": "2026-09-30", "fingerprint": "f" * 64, "note": ""}
    facts = {"review": REVIEW, "dataset": dataset, **record}
    bundle = Bundle("Quarterly review 2026Q2", (NamedResult("summary", "headlines now", result(rows)),), facts)
    return render_section(bundle, charts or {}, "summary").to_text()


def test_common_cause_is_said_with_its_band_and_nothing_else():
    text = variation.chart_sentence(reading(EXAMPLE, n=50), MONTHS)
    assert text == ("Arrival rate: no special-cause variation; performance expected between 73 and 90% unless the "
                    "process changes.")


def test_a_signal_is_named_with_its_month_direction_and_rule():
    found = reading((*EXAMPLE, 60), n=50)
    assert variation.chart_words(found, MONTHS)[0] == "Special-cause variation: concern in Jun 2026"
    special, rest = variation.findings({"arrival_rate": found}, MONTHS)
    assert special[0].startswith("Arrival rate: special-cause variation in June 2026 (concern: below the lower limit).")
    assert rest == []


def test_a_signal_before_the_period_is_no_finding_of_the_period():
    found = reading((*EXAMPLE[:6], 60, *EXAMPLE[6:]), n=50)
    special, rest = variation.findings({"arrival_rate": found}, MONTHS)
    assert special == []
    assert rest[0].startswith("Arrival rate: no special-cause variation")
    assert "Signals in earlier months: arrival rate in December 2025 (concern: below the lower limit)" in rest[1]
    assert "no special-cause variation in the months under review; earlier in December 2025" in \
        variation.chart_sentence(found, MONTHS)


@pytest.mark.parametrize(("target", "words"), [
    (0.70, "every month is expected to meet the target"),
    (0.95, "no month is expected to meet the target unless the process changes"),
    (0.80, "months may or may not meet the target")])
def test_assurance_is_said_in_words(target, words):
    found = reading(EXAMPLE, target=target, n=50)
    assert words in variation.chart_words(found, MONTHS)[1]
    assert words in variation.chart_sentence(found, MONTHS)
    assert (words in " ".join(variation.findings({"x": found}, MONTHS)[0])) == (target == 0.95)


def test_fewer_than_twelve_points_are_a_run_without_limits():
    found = reading((*EXAMPLE[:8], None, None))
    assert variation.chart_words(found, MONTHS)[0] == \
        "Insufficient for limits: 8 of 10 months have a value, 12 are needed; 2 are withheld"
    figure = chart_figures.run_figure(found, MONTHS, "Appointments.")
    assert "Run chart: no limits" in figure.caption
    assert "Withheld and not drawn: May 2026 and Jun 2026." in figure.caption
    assert "insufficient for limits" in figure.alt and "upper limit" not in figure.alt


def test_a_chart_of_withheld_months_is_a_sentence():
    found = reading((None,) * 12)
    assert variation.chart_words(found, MONTHS) == ("Withheld in every month", "")
    assert chart_figures.run_figure(found, MONTHS, "Appointments.") is None
    assert chart_figures.run_figure(reading((None, 80, None)), MONTHS, "Appointments.") is None


def test_months_under_review_that_are_withheld_are_not_judged():
    found = reading((*EXAMPLE, None, None, None), n=50)
    assert variation.chart_words(found, MONTHS)[0] == "Not judged: these months are withheld"
    assert "Not judged by month" in variation.findings({"x": found}, MONTHS)[1][0]


def test_the_expected_band_ends_where_the_unit_ends():
    assert reading((97, 99, 96, 100, 95, 99, 97, 100, 96, 98, 95, 99), n=50).expected.endswith("and 100%")


def test_decimals_of_a_chart_follow_its_smallest_month():
    assert reading(EXAMPLE, n=50).expected == "between 73 and 90%"
    assert reading(EXAMPLE, n=500).expected == "between 73.0 and 90.0%"


@pytest.mark.parametrize(("share", "word"), [(0.80, "Green"), (0.65, "Amber"), (0.41, "Red")])
def test_the_light_stands_before_any_outcome(share, word):
    text = small([headline(share=share), headline("mcid_rate", 0.4, estimand="missing_not_achieved")])
    assert f"[{word}] Of 120 eligible episodes, {round(120 * share)}" in text
    assert text.index(f"[{word}]") < text.index("MCID")
    assert ("biased towards those who came back" in text) == (word == "Red")


def test_responders_lead_with_everybody_eligible_and_name_measure_and_rule():
    text = small()
    assert ("Responders: 48 of 120 eligible episodes, 40.0% (32.0 to 48.0), improved by at least one MCID of each "
            "episode's primary measure, missing scores counted as not achieved. Of the 78 with both scores of that "
            "measure: 61% (53 to 69).") in text
    assert "Completion counts both scores of any measure. Responders are judged on the primary measure only" in text
    assert "Uncontrolled" in text or "uncontrolled before-after changes" in text


def test_a_withheld_light_and_responder_are_words():
    hidden = {"estimate": None, "conf_low": None, "conf_high": None, "numerator": None, "denominator": None, "n": None,
              "note": "withheld"}
    text = small([{**headline(), **hidden}, {**headline("mcid_rate", estimand="missing_not_achieved"), **hidden}])
    assert "both scores is withheld: do not read outcomes without it" in text
    assert "primary measure is withheld." in text


def test_special_causes_come_first_and_a_concern_without_action_asks_for_a_decision():
    charts = {"no_show_rate": chart((*EXAMPLE, 99), "no_show_rate", "lower", n=50)}
    text = small(charts=charts)
    assert text.index("special-cause variation in June 2026") < text.index("Responders: 48 of 120")
    assert "special cause for concern and no open action names it" in text
    named = [{"action_id": "A1", "text": "Text reminders", "status": "open", "indicator": "no_show_rate",
              "due": "2026-12-01"}]
    assert "no open action names it" not in small(charts=charts, actions=named)


def test_overdue_actions_are_decisions_and_at_most_three_are_asked_for():
    log = [{"action_id": f"A{i}", "text": "Call back", "status": "open", "due": "2026-05-01"} for i in range(5)]
    text = small(actions=log)
    assert "Action A0 (Call back) was due on 2026-05-01 and is not closed." in text
    assert text.count("is not closed") == 3
    assert "is not closed" not in small(actions=[{**log[0], "status": "done"}])


def attendance(sites: dict, overall: float, table: str = "no-shows by site_id") -> Material:
    """A review of no-show rates: site -> (rate, low, high, n), None where withheld."""
    hidden = ("estimate", "conf_low", "conf_high", "n", "numerator", "denominator")
    rows = [headline("no_show_rate", rate, n, statistic="ratio", site_id=name, conf_low=low, conf_high=high)
            if rate is not None else {**headline("no_show_rate", statistic="ratio", site_id=name, note="withheld"),
                                      **dict.fromkeys(hidden)} for name, (rate, low, high, n) in sites.items()]
    tables = (NamedResult("attendance", table, result(rows, ("site_id",))),
              NamedResult("attendance", "rates now", result([headline("no_show_rate", overall, statistic="ratio")])))
    return Material(Bundle("Quarterly review 2026Q2", tables, {"review": REVIEW}), {})


def test_sites_lie_apart_where_their_interval_does_not_hold_the_rate_of_all():
    material = attendance({"cove": (0.099, 0.075, 0.124, 968), "east": (0.081, 0.069, 0.092, 2418),
                           "harbor": (0.132, 0.118, 0.146, 3002), "tiny": (0.4, 0.2, 0.6, 10),
                           "shut": (None, None, None, None)}, 0.099)
    text = groups.against_all(material, "site_id")
    assert text.startswith("No-show rate by site, against 9.9% of all: harbor 13.2% (11.8 to 14.6) lies above; "
                           "east 8.1% (6.9 to 9.2) lies below; 1 other does not lie apart.")
    assert "tiny" not in text and "shut" not in text and not FORBIDDEN.search(text)
    assert groups.apart(material, "site_id") and text in " ".join(
        block.to_text() for block in groups.no_shows_by_group(material))
    table = groups.no_shows_by_group(material)[-1].to_text()
    assert re.search(r"tiny +40% .* not judged", table) and re.search(r"harbor +13.2% .* above", table)
    assert list(dict.fromkeys(re.findall(r"cove|east|harbor|tiny|shut", table))) == \
        ["cove", "east", "harbor", "tiny", "shut"], "in the order given, never by rate"


def test_no_site_is_judged_where_some_slots_belong_to_none():
    material = attendance({"east": (0.081, 0.069, 0.092, 2418), "harbor": (0.132, 0.118, 0.146, 3002),
                           "not recorded": (0.3, 0.2, 0.4, 100)}, 0.099)
    assert groups.against_all(material, "site_id") == "" and not groups.apart(material, "site_id")


def test_flagged_volumes_are_findings_of_the_first_page(pages):
    text = pages["all"]["summary"].to_text()
    flagged = re.findall(r"- (\w[\w ]*): special-cause variation in", pages["all"]["served"].to_text())
    assert flagged, "harbor has flagged volumes in this quarter"
    line = next(line for line in text.splitlines() if line.startswith("- Volumes:"))
    assert all(kind.lower() in line for kind in flagged)


def test_every_charted_indicator_has_its_chart_once(pages, reviews):
    html = "".join(section.to_html() for section in pages["all"].values())
    labels = [Labels({}, reviews["all"].bundle.record["measures"]).metric(name) for name in reviews["all"].charts]
    for label in labels:
        assert len(re.findall(rf'alt="{re.escape(html_escape(label))} by month', html)) == 1, label


def test_notes_stand_once(pages):
    text = "\n".join(section.to_text() for section in pages["all"].values())
    assert text.count("Widened before anything is withheld") == text.count("The data begin in") == 1


def test_at_most_five_findings():
    charts = {f"m{i}": chart((*EXAMPLE, 60), f"m{i}", n=50) for i in range(7)}
    text = small(charts=charts)
    findings = text.split("Findings\n--------\n\n")[1].split("\n\n")[0].splitlines()
    assert len(findings) == 5 and findings[-1].endswith("more findings are in the table and the sections below.")


def test_a_target_is_shown_with_its_origin_and_only_where_one_was_given():
    targets = {"mcid_rate": {"value": 0.5, "origin": "site plan 2026"}}
    text = small(targets=targets)
    assert re.search(r"at least 50% \[[a-z]\]", text) and "Target: site plan 2026." in text
    assert "Target" not in small()


def test_a_provisional_review_says_why_and_hides_outcomes_before_thirty_days():
    early = {"review": {**REVIEW, "state": "provisional"}, "dataset": {"data_cut": "2026-07-10", "note": ""}}
    text = small(**early)
    assert "Provisional: the data end on 2026-07-10, 10 days after the end of the period." in text
    assert "48 of 120" not in text and "outcomes do not lead a headline before 30 days" in text
    later = {**early, "dataset": {"data_cut": "2026-08-10", "note": ""}}
    assert "Provisional" in small(**later) and "48 of 120" in small(**later)
    assert "Provisional" not in small()


def test_a_change_table_prints_interval_and_n_and_never_a_difference():
    spans = {"Now": result([headline(share=0.7, n=150)]), "Before": result([headline(share=0.5, n=90)]), "Ago": None}
    line = change_tables.headline("paired_completion", Labels())
    text = change_tables.change_table("x", "Completion.", "All.", spans, [line]).to_text()
    assert "70% / 62 to 78; n 150" in text and "50% / 42 to 58; n 90" in text and "–" in text
    assert not re.search(r"20|[↑↓▲▼]", text)


def test_an_empty_span_takes_no_decimals_away():
    rows = [headline(share=0.7, n=1500), headline(n=0, estimate=None, note="no unit has a value")]
    assert change_tables.shared_digits(rows) == 1


def test_a_span_without_any_number_is_a_sentence_not_a_column():
    spans = {"Now": result([headline()]), "Ago": result([headline(estimate=None, note="withheld")])}
    kept, words = change_tables.shown_spans(spans)
    assert list(kept) == ["Now"] and words == "Ago: every number is withheld."


def test_the_numbers_of_a_caption_are_a_range():
    rows = [headline(n=100), headline(n=1050), headline(denominator=None, note="withheld")]
    assert chart_figures.n_range(rows) == "n 100 to 1,050 in a group, withheld in 1 group"


def test_an_unknown_section_is_refused_and_an_empty_one_is_a_sentence():
    with pytest.raises(UnknownNameError, match="Did you mean attendance"):
        render_section(EMPTY, {}, "attendence")
    for name in NAMES:
        text = render_section(EMPTY, {}, name).to_text()
        assert "has no data on" in text or name == "definitions"


# The real review --------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reviews():
    """The newest final quarter of all sites, the same of one site, and the first quarter of the data."""
    dataset = te.read_dataset(HARBOR)
    asked = {"all": ("2026Q2", None), "east": ("2026Q2", "east"), "first": ("2024Q3", None)}
    return {name: te.quarterly_review(dataset, period, site_id=site) for name, (period, site) in asked.items()}


@pytest.fixture(scope="module")
def pages(reviews):
    return {name: {section: review.section(section) for section in NAMES} for name, review in reviews.items()}


def test_every_section_has_a_table_and_the_numbered_ones_a_figure(pages):
    for name, sections in pages.items():
        for section, found in sections.items():
            html = found.to_html()
            assert "<table" in html, (name, section)
            if section not in ("cover", "definitions", "summary"):
                assert "<figure" in html or "No figure" in html or "No chart" in html, (name, section)
    assert pages["all"]["summary"].top and pages["all"]["summary"].kind == "final; all sites, disciplines and programs"


def test_pages_hold_no_script_and_no_address_and_balanced_sections(pages):
    for sections in pages.values():
        page = "".join(found.to_html() for found in sections.values())
        assert not re.search(r"<script|https?://|javascript:|@import|url\(| on\w+=", page)
        assert page.count("<section") == page.count("</section>") == len(NAMES)
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids))


def test_the_same_review_gives_the_same_bytes(reviews, pages):
    for section in ("summary", "served", "attendance", "discharge"):
        assert reviews["all"].section(section).to_html() == pages["all"][section].to_html()


def test_every_figure_has_alt_text_with_numbers_and_a_caption_with_n_period_and_cohort(pages):
    for sections in pages.values():
        for found in sections.values():
            for alt, caption in FIGURE.findall(found.to_html()):
                assert len(alt) > 80 and re.search(r"\d|withheld", alt)
                assert re.search(r"\bn\b|Every panel begins at 0", caption), caption
                assert re.search(r"20\d\d|span", caption), caption
                assert re.search(r"episodes|appointments|referrals", caption, re.I), caption
                assert re.search(r"all sites|site east", caption), caption


def test_responder_figures_name_measure_threshold_and_where_its_source_is(pages):
    html = pages["all"]["summary"].to_html() + pages["all"]["effectiveness"].to_html()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html, re.S)
    assert len(captions) == 4      # by month, by site, by measure, and what the missing could change
    for caption in captions:
        assert "MCID" in caption and "under Definitions" in caption
    text = pages["all"]["effectiveness"].to_text()
    assert "MCID 10 points" in text and "below the measurement error" in text and "uncontrolled" in text


def test_no_forbidden_sentence_is_written(pages):
    for sections in pages.values():
        for name in set(NAMES) - {"definitions"}:
            text = sections[name].to_text().replace("special-cause", "").replace("improved by at least", "")
            assert not FORBIDDEN.search(text), (name, FORBIDDEN.search(text))


def test_groups_stand_in_the_order_of_their_names_never_of_their_values(pages):
    for name in ("quality", "attendance", "effectiveness"):
        alt = next(text for text in re.findall(r'alt="([^"]*)"', pages["all"][name].to_html()) if "cove:" in text)
        sites = re.findall(r"\b(cove|east|harbor|lakeside|mill|north|summit|westfield):", alt)
        assert sites == sorted(sites) and len(sites) == 8


def hide(review_bundle: Bundle) -> Bundle:
    """The bundle with every number withheld."""
    def hidden(found: Result) -> Result:
        frame = found.frame.copy()
        for name in ("estimate", "conf_low", "conf_high", "p_value"):
            frame[name] = np.nan
        for name in ("numerator", "denominator", "n", "n_missing", "n_excluded", "n_people"):
            frame[name] = pd.array([pd.NA] * len(frame), dtype="Int64")
        exclusions = found.exclusions.assign(n=None, n_people=None)
        return replace(found, frame=frame.assign(note="withheld"), exclusions=exclusions)
    return replace(review_bundle, tables=tuple(replace(item, result=hidden(item.result))
                                               for item in review_bundle.tables))


def test_withheld_numbers_are_a_word_and_appear_nowhere(reviews):
    bundle = hide(reviews["all"].bundle)
    charts = {metric: reviews["all"].charts[metric].with_points(bundle.get("charts", metric))
              for metric in reviews["all"].charts}
    for name in NAMES:
        html = render_section(bundle, charts, name).to_html()
        assert "<img" not in html
        text = re.sub(r"<[^>]*>", " ", html)
        if name not in ("cover", "definitions"):
            assert "withheld" in text
            assert not re.search(r"\b\d+\.\d%|\b(1,773|1,204|765|2,163|17,232)\b", text), name
    assert "every number is withheld" in render_section(bundle, charts, "served").to_text()


def test_partly_withheld_rows_say_so(reviews, pages):
    points = reviews["east"].charts["goals_met_rate"].points.frame
    assert points["estimate"].isna().any()
    text = pages["east"]["discharge"].to_text()
    assert "withheld" in text
    for row in reviews["east"].bundle.get("discharge", "rates now").frame.to_dict("records"):
        if pd.isna(row["estimate"]):
            assert "withheld" in text


def test_hostile_site_names_are_escaped_everywhere(reviews):
    evil = '<script>alert("x")</script>--><img src=x onerror=alert(1)>$\\frac{1}$'
    bundle, charts = reviews["all"].bundle, reviews["all"].charts
    tables = []
    for item in bundle.tables:
        frame, left_out = item.result.frame, item.result.exclusions
        if "site_id" in frame:
            frame = frame.assign(site_id=frame["site_id"].replace({"cove": evil}))
        tables.append(replace(item, result=replace(item.result, frame=frame, exclusions=left_out)))
    facts = {**bundle.record, "review": {**bundle.record["review"], "filters": {"site_id": [evil, "east"]}},
             "targets": {"no_show_rate": {"value": 0.08, "origin": evil}},
             "actions": [{"action_id": evil, "text": evil, "status": "open", "indicator": evil, "due": evil}]}
    hostile = Bundle(f"Quarterly review {evil}", tuple(tables), facts)
    for name in NAMES:
        html = render_section(hostile, charts, name).to_html()
        assert "<script" not in html and "<img src=x" not in html and 'alert("x")' not in html
        for image in re.findall(r"base64,([^\"]+)", html):
            svg = ElementTree.fromstring(base64.b64decode(image))
            assert not [item for item in svg.iter() if item.tag.endswith("script")]
    assert "&lt;script&gt;" in render_section(hostile, charts, "summary").to_html()


def test_the_first_quarter_says_that_it_has_no_history(pages):
    text = pages["first"]["summary"].to_text()
    assert "Insufficient for limits: 3 of 3 months have a value, 12 are needed" in text
    assert "Not judged by month, because too few months can be shown" in text
    assert "special-cause variation in" not in text


def test_the_cover_prints_parameters_spans_data_and_policy(pages):
    text = pages["east"]["cover"].to_text()
    for words in ("2026Q2 (2026-04-01 to 2026-06-30)", "2026Q1 and 2025Q2", "2024-07 to 2026-06", "east",
                  "2024-10 to 2026-06", "harbor_rehab", "2026-09-30", "final", "SHA-256", "cms_11",
                  "Widened before anything is withheld"):
        assert words in text


def test_the_discharge_chart_stands_before_the_reasons_and_has_a_title(pages):
    text = pages["all"]["discharge"].to_text()
    assert text.index("Month by month: goals met at discharge") < text.index("Reasons for the end of care")


def test_volumes_have_a_verdict_that_does_not_judge_the_first_months_of_the_data(pages, reviews):
    text = pages["all"]["served"].to_text()
    for kind in ("Referrals received", "Evaluations", "Discharges", "Attended visits"):
        assert re.search(rf"- {kind}: (no )?special-cause variation", text), kind
    assert "July 2024 (" not in text and "The data begin in July 2024." in text
    points = reviews["all"].charts["visits_per_episode"].points.frame["period"]
    assert points.iloc[0] == "2024-10" and reviews["all"].charts["no_show_rate"].points.frame["period"][0] == "2024-07"


def test_appointments_without_a_discipline_are_told_before_the_figure(pages):
    text = pages["all"]["attendance"].to_text()
    assert text.index("Appointments without a discipline") < text.index("[Figure: No-show rate of slots due. cove")


def test_ages_are_shown_in_bands_and_the_case_mix_counts_episodes(pages, reviews):
    text = pages["all"]["served"].to_text()
    assert "Age band" in text and "85+ or not known" in text and "number of people" not in text
    mix = reviews["all"].bundle.get("served", "mix now").frame
    ages = mix[mix["metric"] == "age_band"]
    assert ages["estimate"].notna().all() and ages["numerator"].sum() == ages["n"].iloc[0]
    assert "age" not in set(mix["metric"])


def test_definitions_hold_every_metric_and_measure_that_is_shown(reviews, pages):
    text = pages["all"]["definitions"].to_text()
    for item in reviews["all"].bundle.record["definitions"]:
        assert item["definition"].split(".")[0].replace("\n", " ")[:40] in text
    for facts in reviews["all"].bundle.record["measures"].values():
        assert facts["name"] in text


def recalled(review, codes=None):
    """The same review, had nobody seen the MCIDs of these measures (all, where none are named) in their source."""
    record = review.bundle.record
    measures = {code: {**facts, "confidence": "recalled"} if codes is None or code in codes else facts
                for code, facts in record["measures"].items()}
    return replace(review, bundle=replace(review.bundle, record={**record, "measures": measures}))


def test_responders_on_recalled_thresholds_never_lead(reviews):
    text = recalled(reviews["all"]).section("summary").to_text()
    assert "Responders: " not in text and "one MCID" not in text
    assert "no threshold behind it is verified, so it does not lead" in text
    assert "[Figure: No-show rate of slots due by month" in text
    assert "Improved by at least one MCID" in recalled(reviews["all"]).section("effectiveness").to_text()


def test_a_pooled_headline_names_the_thresholds_that_are_not_verified(reviews):
    one = recalled(reviews["all"], ["lefs"]).section("summary").to_text()
    sentence = next(line for line in one.splitlines() if line.startswith("- Responders: "))
    assert "Threshold not verified for" in sentence and "Lower Extremity Functional Scale" in sentence


def test_the_instruments_stand_beside_the_pooled_rate(pages):
    text = pages["all"]["effectiveness"].to_text()
    table = text[text.index("Instruments behind the pooled responders"):]
    assert re.search(r"QuickDASH \(11 items\) +\d+ \(\d+\.\d%\) +\d+ \(\d+\.\d%\)", table)


def test_what_the_missing_could_change_is_in_the_review(pages, tmp_path):
    text = pages["all"]["effectiveness"].to_text()
    assert "What the missing scores could change" in text and "No target was given for the responders" in text
    rules = ("Only those with both scores", "Missing counted as not achieved", "Last interim score carried forward",
             "Weighted for having a score", "Missing at the least favorable score",
             "Missing at the most favorable score")
    assert all(f"\n{rule}" in text for rule in rules)
    assert re.search(r"Weighted for having a score +\d", text)
    assert "Episodes with both scores of their primary measure beside those without." in text
    targets = tmp_path / "targets.yml"
    targets.write_text(TARGETS, encoding="utf-8")
    aimed = te.quarterly_review(te.read_dataset(HARBOR), "2026Q2", targets=str(targets)).section("effectiveness")
    assert "The reading (above the target) changes under: missing counted as not achieved" in aimed.to_text()
    assert "reads differently from those with both scores" in aimed.to_text()
