"""Sections of a pilot report, from a bundle modelled on the back pain trial (published means, SDs and responders)."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from therapyeval import measures
from therapyeval.display.labels import Labels
from therapyeval.errors import UnknownNameError
from therapyeval.pilot.limits import imbalance
from therapyeval.pilot.sections import NAMES, Study, render_section
from therapyeval.result import Bundle, NamedResult, Result, Source, make_frame

ARMS = {"PRT": "Pain reprocessing therapy", "placebo": "Open-label placebo", "usual": "Usual care"}
SPREAD = """
    metric                     arm      n   lost  mean   sd     median q1    q3    low    high
    baseline_score:pain_avg    PRT      50  0     3.94   1.50   4.0    3.0   5.0   3.51   4.37
    baseline_score:pain_avg    placebo  51  0     3.80   1.58   4.0    3.0   5.0   3.36   4.25
    baseline_score:pain_avg    usual    50  0     3.60   1.44   3.5    3.0   4.0   3.19   4.01
    final_score:pain_avg       PRT      44  6     1.18   1.24   1.0    0.0   1.25  0.80   1.56
    final_score:pain_avg       placebo  44  7     2.84   1.64   3.0    2.0   4.0   2.34   3.34
    final_score:pain_avg       usual    47  3     3.13   1.45   3.0    2.0   4.0   2.70   3.55
    score_change:pain_avg      PRT      44  6     2.84   1.63   3.0    2.0   4.0   2.35   3.34
    score_change:pain_avg      placebo  44  7     1.05   1.46   1.0    0.0   2.0   0.60   1.49
    score_change:pain_avg      usual    47  3     0.38   1.07   0.0    0.0   1.0   0.07   0.70
    baseline_score:odi         PRT      50  0     23.24  10.99  20.0   16.0  26.0  20.12  26.36
    baseline_score:odi         placebo  51  0     21.29  10.54  18.0   15.0  26.0  18.33  24.26
    baseline_score:odi         usual    50  0     22.32  10.12  20.0   16.0  29.5  19.44  25.20
    final_score:odi            PRT      44  6     10.14  10.63  6.0    4.0   14.0  6.90   13.37
    final_score:odi            placebo  44  7     19.00  11.07  16.0   11.5  26.0  15.63  22.37
    final_score:odi            usual    47  3     20.68  10.68  20.0   14.0  26.0  17.54  23.82
    score_change:odi           PRT      44  6     14.09  8.60   14.0   10.0  16.5  11.47  16.71
    score_change:odi           placebo  44  7     2.91   6.83   2.0    -2.0  6.0   0.83   4.98
    score_change:odi           usual    47  3     1.23   5.10   0.0    -2.0  4.0   -0.26  2.73
    age                        PRT      50  0     42.58  16.18  41.5   27.25 57.75 -      -
    age                        placebo  51  0     39.37  14.91  36.0   27.5  48.0  -      -
    age                        usual    50  0     41.28  15.88  38.5   25.5  56.0  -      -"""
EFFECTS = """
    metric                 contrast       method     estimate low    high
    score_change:pain_avg  PRT_-_placebo  classical  1.7336   1.2096 2.2576
    score_change:pain_avg  PRT_-_usual    classical  2.2212   1.7035 2.7389
    score_change:pain_avg  PRT_-_placebo  HC3        1.7336   1.1777 2.2895
    score_change:pain_avg  PRT_-_usual    HC3        2.2212   1.7255 2.7169
    score_change:odi       PRT_-_placebo  classical  10.9829  8.1879 13.7778
    score_change:odi       PRT_-_usual    classical  12.5276  9.7913 15.2640
    score_change:odi       PRT_-_placebo  HC3        10.9829  7.8426 14.1232
    score_change:odi       PRT_-_usual    HC3        12.5276  9.7716 15.2836"""
RESPONDERS = """
    arm      k   n   scored  low    high   low_scored high_scored
    PRT      33  50  44      0.5215 0.7756 0.6062     0.8580
    placebo  10  51  44      0.1102 0.3249 0.1294     0.3675
    usual    5   50  47      0.0435 0.2136 0.0463     0.2258"""
SHARES = """
    metric  level   PRT placebo usual
    gender  female  29  25      27
    gender  male    21  26      23"""
METHODS = {"classical": "ANCOVA on baseline, age; classical standard errors",
           "HC3": "ANCOVA on baseline, age; HC3 standard errors"}


def table(text: str) -> pd.DataFrame:
    lines = [line.split() for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0]).replace("-", None).apply(_numeric)


def _numeric(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column.str.replace("_-_", " - ")


def named(section: str, name: str, rows: list[dict]) -> NamedResult:
    defaults = {"n_excluded": 0, "arm": None, "note": ""}
    frame = make_frame([{**defaults, **row} for row in rows], ["arm"])
    return NamedResult(section, name, Result(frame, f"{section} {name}", Source("f" * 64), policy="public"))


def spread_rows(wanted: str) -> list[dict]:
    rows = []
    for item in table(SPREAD).to_dict("records"):
        if not re.match(wanted, item["metric"]):
            continue
        row = {"metric": item["metric"], "arm": item["arm"], "n": item["n"], "n_missing": item["lost"],
               "unit": "points"}
        rows += [{**row, "statistic": name, "estimate": item[name]} for name in ("sd", "median", "q1", "q3")]
        rows.append({**row, "statistic": "mean", "estimate": item["mean"], "conf_low": item["low"],
                     "conf_high": item["high"]})
    return rows


def flow_rows() -> list[dict]:
    rows = []
    counts = {"screened": {None: 363}, "not_eligible": {None: 180}, "declined": {None: 32},
              "allocated": {"PRT": 50, "placebo": 51, "usual": 50, None: 151},
              "with_baseline:pain_avg": {"PRT": 50, "placebo": 51, "usual": 50, None: 151},
              "with_outcome:pain_avg": {"PRT": 44, "placebo": 44, "usual": 47, None: 135}}
    for metric, by_arm in counts.items():
        rows += [{"metric": metric, "arm": arm, "statistic": "count", "estimate": n, "numerator": n, "n": n}
                 for arm, n in by_arm.items()]
    return rows


def baseline_rows() -> list[dict]:
    rows = spread_rows("age")
    for item in table(SHARES).to_dict("records"):
        for arm, n in (("PRT", 50), ("placebo", 51), ("usual", 50)):
            rows.append({"metric": item["metric"], "level": item["level"], "arm": arm, "statistic": "proportion",
                         "estimate": item[arm] / n, "numerator": item[arm], "denominator": n, "n": n, "n_missing": 0})
    smds = {"age": (0.206, 0.081), "gender": (0.180, -0.080), "baseline_score:pain_avg": (0.088, 0.231),
            "baseline_score:odi": (0.181, 0.087)}
    rows += spread_rows("baseline_score")
    rows += [{"metric": name, "contrast": contrast, "statistic": "smd", "estimate": value, "n": 101, "n_missing": 0}
             for name, pair in smds.items()
             for contrast, value in zip(("PRT - placebo", "PRT - usual"), pair, strict=True)]
    return rows


def effect_rows(p_values: bool = False) -> list[dict]:
    rows = []
    for item in table(EFFECTS).to_dict("records"):
        size = {"score_change:pain_avg": 2, "score_change:odi": 10}[item["metric"]]
        row = {"metric": item["metric"], "contrast": item["contrast"], "statistic": "difference", "n": 88,
               "n_missing": 13, "method": METHODS[item["method"]]}
        limits = {"estimate": item["estimate"], "conf_low": item["low"], "conf_high": item["high"]}
        rows.append({**row, **limits, "unit": "points", "p_value": 0.00012 if p_values else None})
        rows.append({**row, **{name: value / size for name, value in limits.items()}, "unit": "MCID"})
    return rows


def responder_rows() -> list[dict]:
    rows = []
    for item in table(RESPONDERS).to_dict("records"):
        row = {"metric": "target_score_rate:pain_avg,cut=1", "arm": item["arm"], "statistic": "proportion",
               "numerator": item["k"], "unit": "proportion", "note": "final score at most 1"}
        rows.append({**row, "estimand": "complete_case", "estimate": item["k"] / item["scored"],
                     "conf_low": item["low_scored"], "conf_high": item["high_scored"], "denominator": item["scored"],
                     "n": item["scored"], "n_missing": item["n"] - item["scored"]})
        rows.append({**row, "estimand": "missing_not_achieved", "estimate": item["k"] / item["n"], "n": item["n"],
                     "conf_low": item["low"], "conf_high": item["high"], "denominator": item["n"], "n_missing": 0})
    return rows


def difference_rows() -> list[dict]:
    row = {"metric": "target_score_rate:pain_avg,cut=1", "statistic": "risk_difference", "unit": "proportion",
           "method": "Newcombe"}
    limits = {"PRT - placebo": (0.464, 0.278, 0.610), "PRT - usual": (0.560, 0.381, 0.690)}
    return [{**row, "contrast": contrast, "estimand": rule, "estimate": value, "conf_low": low, "conf_high": high,
             "n": 101, "n_missing": 0}
            for contrast, (value, low, high) in limits.items() for rule in ("complete_case", "missing_not_achieved")]


def record(randomized: bool = True) -> dict:
    names = ("name", "unit", "direction", "minimum", "maximum", "mcid", "mcid_source", "mcid_population", "mcid_basis",
             "confidence", "mdc95")
    chosen = {code: measures.get(code) for code in ("pain_avg", "odi")}
    return {
        "protocol": {"title": "Pain reprocessing therapy for chronic back pain",
                     "question": "Does pain reprocessing therapy lower pain more than placebo and usual care?",
                     "design": {"kind": "parallel", "randomized": randomized, "allocation": "1:1:1", "sites": 1,
                                "blinding": "none"},
                     "arms": ARMS, "reference": ["placebo", "usual"],
                     "outcomes": ["score_change:pain_avg", "score_change:odi"],
                     "responders": ["target_score_rate:pain_avg,cut=1"], "covariates": ["baseline", "age"],
                     "variance": "classical", "p_values": False},
        "dataset": {"name": "Back pain trial (Ashar 2022)", "data_cut": None, "fingerprint": "f" * 64, "note": "",
                    "policy_reason": "CC0, released with the trial"},
        "policy": {"name": "public", "threshold": 1, "banner": "", "reason": "CC0, released with the trial"},
        "measures": {code: {**{name: getattr(item, name) for name in names}, "warnings": list(item.warnings)}
                     for code, item in chosen.items()},
        "limits": ["All patients were treated at one site: results may not carry over to others.",
                   "The final score is missing for 12% of PRT, 14% of placebo and 6% of usual. Comparisons of scores "
                   "use those who have one and assume that the others would have done alike."],
        "definitions": [{"metric": "score_change:pain_avg", "label": "Change in score",
                         "definition": "Final minus baseline score, signed so that positive is better.",
                         "source": "metric definitions, section 1"}],
        "gates": [{"name": "data are usable", "required": True, "passed": True, "note": "usable"}],
    }


def trial(randomized: bool = True, p_values: bool = False, **changes: dict) -> Bundle:
    """The back pain trial, everything shown."""
    facts = record(randomized)
    facts["protocol"] = {**facts["protocol"], "p_values": p_values}
    for part, fields in changes.items():
        facts[part] = {**facts[part], **fields} if isinstance(fields, dict) else fields
    tables = (named("flow", "flow", flow_rows()), named("baseline", "baseline", baseline_rows()),
              named("outcomes", "scores", spread_rows("baseline_score|final_score|score_change")),
              named("outcomes", "effects", effect_rows(p_values)), named("responders", "rates", responder_rows()),
              named("responders", "differences", difference_rows()))
    return Bundle("Back pain trial", tables, facts)


def hide(bundle: Bundle, keep: str = "^$") -> Bundle:
    """The bundle with everything withheld but rows whose metric matches `keep`."""
    def hidden(result: Result) -> Result:
        frame = result.frame.copy()
        away = ~frame["metric"].str.match(keep)
        for name in ("estimate", "conf_low", "conf_high", "p_value"):
            frame.loc[away, name] = np.nan
        for name in ("numerator", "denominator", "n", "n_missing", "n_excluded", "n_people"):
            frame.loc[away, name] = pd.NA
        frame.loc[away, "note"] = "withheld"
        return replace(result, frame=frame, policy="cms_11")
    facts = {**bundle.record, "policy": {"name": "cms_11", "threshold": 11, "banner": "", "reason": ""}}
    return Bundle(bundle.title, tuple(replace(item, result=hidden(item.result)) for item in bundle.tables), facts)


EMPTY = Bundle("Nothing yet", (), {})


SHOWN = pytest.mark.parametrize("bundle", [trial(), trial(False, True), hide(trial()), EMPTY],
                                ids=["all", "p", "hidden", "empty"])
FORBIDDEN = re.compile(r"caus(ed|es)|led to|significan|\bprove[ds]?|statistically|not important|\bp ?[<=]", re.I)


@SHOWN
@pytest.mark.parametrize("name", NAMES)
def test_every_section_renders_the_same_bytes_twice_without_script_or_address(bundle, name):
    page = render_section(bundle, name)._repr_html_()
    assert page == render_section(bundle, name)._repr_html_()
    assert not re.search(r"<script|https?://|javascript:|@import|url\(| on\w+=", page)
    assert page.count("<section") == page.count("</section>") == 1
    assert render_section(bundle, name).to_text().strip()


@SHOWN
def test_every_image_has_a_text_that_states_numbers_or_that_they_are_withheld(bundle):
    for name in NAMES:
        for image in re.findall(r"<img[^>]*>", render_section(bundle, name).to_html()):
            text = re.search(r'alt="([^"]{60,})"', image)
            assert text and re.search(r"\d|withheld", text.group(1))
            assert 'src="data:image/svg+xml;base64,' in image


def test_an_unknown_section_is_refused_with_the_closest_name():
    with pytest.raises(UnknownNameError, match="Did you mean baseline"):
        render_section(trial(), "basline")


def test_a_section_without_data_says_so_in_a_sentence():
    for name in NAMES:
        text = render_section(EMPTY, name).to_text()
        assert "No data on the" in text or name == "definitions"


def test_summary_says_who_what_difference_which_responders_and_what_is_missing():
    section = render_section(trial(), "summary")
    text = section.to_text()
    assert section.top and section.kind == "randomized trial"
    assert "151 people at 1 site were allocated at random: 50 to Pain reprocessing therapy" in text
    assert ("improved by 1.73 points more with Pain reprocessing therapy than with Open-label placebo "
            "(95% interval 1.21 to 2.26): 0.87 of the MCID of 2 points (0.60 to 1.13), superiority of uncertain "
            "importance, because the interval excludes 0 but includes one MCID.") in text
    assert "33 of 50 (66%) in Pain reprocessing therapy, 10 of 51 (20%) in Open-label placebo and 5 of 50" in text
    assert "no final score for 6 people in Pain reprocessing therapy, 7 in Open-label placebo and 3 in" in text
    assert 2 <= section.to_html().count('class="te-lead"') <= 5


def test_the_difference_of_responders_stands_beside_their_shares():
    text = render_section(trial(), "summary").to_text()
    rows = [row for row in difference_rows() if row["estimand"] == "missing_not_achieved"]
    assert len(rows) == 2
    for row in rows:
        assert f"{100 * row['estimate']:.0f} ({100 * row['conf_low']:.0f} to {100 * row['conf_high']:.0f})" in text
    assert "percentage points with its 95% interval" in text and "not adjusted" in text
    assert "percentage points" not in render_section(hide(trial()), "summary").to_text()


def test_responders_are_pointed_at_only_where_the_protocol_has_them_on_that_measure():
    study = Study(trial())
    assert study.has_responders("pain_avg") and not study.has_responders("odi")


def test_a_comparison_of_fewer_than_60_percent_of_those_allocated_is_cautioned():
    def summary(n):
        frame = trial().get("outcomes", "effects").frame
        changed = frame.assign(n=n, contrast=frame["contrast"])
        bundle = trial()
        tables = tuple(replace(item, result=replace(item.result, frame=changed)) if item.table == "effects" else item
                       for item in bundle.tables)
        return render_section(replace(bundle, tables=tables), "summary").to_text()

    # 50 + 51 were allocated to the first pair: 60% of 101 is 60.6.
    assert "this compares only 60 of the 101 people allocated to these groups (59.4%)" in summary(60)
    assert "only 61 of the 101" not in summary(61)


def test_groups_that_differed_are_named_biggest_first_and_at_most_three():
    def smd(metric, value, **more):
        return {"metric": metric, "contrast": "A - B", "statistic": "smd", "estimate": value, **more}

    means = [{"metric": "age", "arm": arm, "statistic": "mean", "estimate": mean} for arm, mean in
             (("A", 46.5), ("B", 57.2))]
    rows = [smd("sex", 0.2), smd("age", -0.76), smd("acuity", 0.1), smd("payer_class", 0.3), smd("language", -0.15),
            smd("region", None, note="withheld"), *means]
    baseline = named("baseline", "baseline", rows).result
    assert imbalance(baseline, Labels({"A": "Video", "B": "Clinic"})) == (
        "Before treatment the groups differed in age (mean 46.5 in Video, 57.2 in Clinic; standardized difference "
        "−0.76), payer class (standardized difference 0.30) and sex (standardized difference 0.20); 1 more differ. "
        "Of 1 other comparison the difference is withheld or not known.")
    assert imbalance(named("baseline", "baseline", [smd("acuity", 0.1)]).result, Labels()) == ""


def test_no_cause_is_claimed_where_nobody_was_randomized():
    for name in ("summary", "outcomes", "responders", "design"):
        text = render_section(trial(False), name).to_text()
        assert not FORBIDDEN.search(text), FORBIDDEN.search(text)
        assert "superiority" not in text
    text = render_section(trial(False), "summary").to_text()
    assert "non-randomized comparison, pilot" in text and "no cause is claimed" in text
    assert "not formed at random" in render_section(trial(False), "limits").to_text()


def test_a_trial_never_speaks_of_significance_even_with_p_values():
    for name in ("summary", "outcomes", "responders"):
        assert not re.search(r"significan|\bproved|statistically", render_section(trial(True, True), name).to_text())
    assert not re.search(r"0\.0001", render_section(trial(True, True), "summary").to_text())


def test_p_values_are_printed_only_where_the_protocol_asks():
    assert "0.0001" in render_section(trial(p_values=True), "outcomes").to_text()
    assert not re.search(r"\bP\b", render_section(trial(), "outcomes").to_text())


def test_published_means_and_responders_stand_in_their_tables():
    outcomes, responders = (render_section(trial(), name).to_text() for name in ("outcomes", "responders"))
    for cell in ("1.18 (1.24)", "2.84 (1.64)", "3.13 (1.45)", "10.1 (10.6)", "19.0 (11.1)", "20.7 (10.7)"):
        assert cell in outcomes
    for cell in ("66% (52 to 78) / 33 of 50", "20% (11 to 32) / 10 of 51", "10% (4 to 21) / 5 of 50",
                 "75% (61 to 86) / 33 of 44", "46 (28 to 61)"):
        assert cell in responders


def test_the_protocols_own_analysis_comes_first_and_others_are_set_back():
    html = render_section(trial(), "outcomes").to_html()
    first, second = html.index("classical standard errors"), html.index("HC3 standard errors")
    assert first < second
    assert re.search(r'te-step"><span class="te-quiet">ANCOVA on baseline, age; HC3', html)


def test_withheld_cells_are_a_word_and_no_hidden_number_is_left_anywhere():
    bundle = hide(trial())
    pages = {name: render_section(bundle, name).to_html() for name in NAMES}
    assert "Flow of participants. withheld screened" in pages["flow"].replace("&#x27;", "'")
    for name in ("flow", "baseline", "outcomes", "responders"):
        assert ">withheld<" in pages[name]
        text = re.sub(r"<[^>]*>", " ", pages[name])
        assert not re.search(r"\b(44|47|363|33 of 50|1\.18|66%)", text)
    assert ("numbers (rows of results.csv) are withheld under the privacy policy cms_11: fewer than 11 people"
            in pages["summary"])
    assert "every share is withheld" in pages["responders"] and "every difference is withheld" in pages["outcomes"]


def test_a_partly_withheld_outcome_keeps_its_place_in_the_figure():
    html = render_section(hide(trial(), "score_change:odi"), "outcomes").to_html()
    alt = re.search(r'alt="([^"]*)"', html).group(1)
    assert "Average pain intensity 0-10, Pain reprocessing therapy − Open-label placebo: withheld." in alt
    assert ("Oswestry Disability Index, Pain reprocessing therapy − Usual care: 1.25 MCIDs (0.98 to 1.53); "
            "hollow: 1.25 (0.98 to 1.53).") in alt


def test_imbalance_is_flagged_only_where_arms_were_not_randomized():
    assert "beyond 0.1" not in render_section(trial(), "baseline").to_text()
    text = render_section(trial(False), "baseline").to_text()
    assert re.search(r"0\.21 \[a\].*0\.08$", text, re.MULTILINE)
    assert "[a] Standardized difference beyond 0.1: the groups differed before treatment." in text


def test_missing_baseline_values_get_a_row():
    rows = [{**row, "n_missing": 2} if row["metric"] == "age" and row.get("arm") == "PRT" else row
            for row in baseline_rows()]
    bundle = replace(trial(), tables=(named("baseline", "baseline", rows),))
    assert re.search(r"missing +2 +0 +0", render_section(bundle, "baseline").to_text())


def test_hostile_labels_are_escaped_everywhere():
    evil = '<script>alert("x")</script>$\\frac{1}$'
    bundle = trial(protocol={"title": evil, "arms": {**ARMS, "PRT": evil}}, dataset={"name": evil},
                   limits=[evil], definitions=[{"label": evil, "definition": evil}],
                   measures={**trial().record["measures"], "odi": {**trial().record["measures"]["odi"], "name": evil}})
    for name in NAMES:
        html = render_section(bundle, name).to_html()
        assert "<script" not in html and 'alert("x")' not in html
    assert "&lt;script&gt;" in render_section(bundle, "summary").to_html()


def test_a_recalled_threshold_is_marked_in_sentence_table_and_figure():
    warned = {**trial().record["measures"]["pain_avg"], "confidence": "recalled",
              "warnings": ["threshold not verified: the MCID is recalled, not seen in its source"]}
    bundle = trial(measures={**trial().record["measures"], "pain_avg": warned})
    for name in ("summary", "definitions"):
        assert "threshold not verified" in render_section(bundle, name).to_text()
    text = render_section(bundle, "outcomes").to_text()
    assert "Average pain intensity 0-10 (threshold not verified), Pain reprocessing therapy" in text
    assert "Average pain intensity 0-10 (past week) – points, MCID 2, threshold not verified" in text


def test_a_recalled_threshold_never_leads_the_headline():
    warned = {**trial().record["measures"]["pain_avg"], "confidence": "recalled"}
    bundle = trial(measures={**trial().record["measures"], "pain_avg": warned})
    rates = [{**row, "metric": "mcid_rate:pain_avg"} for row in responder_rows()]
    text = render_section(replace(bundle, tables=(*bundle.tables[:4], named("responders", "rates", rates))),
                          "summary").to_text()
    assert "33 of 50" not in text and "of the MCID of 2 points" not in text
    assert "the interval excludes 0; threshold not verified for the MCID of this measure" in text


def test_an_mcid_rate_says_where_its_threshold_is_within_measurement_error():
    rates = [{**row, "metric": "mcid_rate:odi"} for row in responder_rows()]
    text = render_section(replace(trial(), tables=(named("responders", "rates", rates),)), "responders").to_text()
    assert text.count("Oswestry Disability Index: the MCID 10 is below the measurement error (MDC95 12.5)") == 1


def test_definitions_are_named_by_metric_with_their_source_apart():
    bundle = trial(definitions=[{"metric": "score_change:odi", "label": "Change in score",
                                 "definition": "Signed so that\npositive is better.\n\nSource: metric definitions."}])
    html = render_section(bundle, "definitions").to_html()
    assert ("<dt>Oswestry Disability Index, change</dt><dd>Signed so that positive is better."
            '<span class="te-note">Source: metric definitions.</span></dd>') in html


def test_a_measure_without_mcid_is_drawn_in_points_and_not_judged():
    plain = {**trial().record["measures"]["pain_avg"], "mcid": None}
    rows = [row for row in effect_rows() if row["unit"] != "MCID" and row["metric"].endswith("pain_avg")]
    bundle = replace(trial(measures={"pain_avg": plain}), tables=(named("outcomes", "effects", rows),))
    html = render_section(bundle, "outcomes").to_html()
    assert "1.73 points (1.21 to 2.26)" in re.search(r'alt="([^"]*)"', html).group(1)
    assert "In MCIDs" not in html
    assert "no MCID is registered for this measure, so its importance cannot be judged" in \
        render_section(bundle, "summary").to_text()


def test_a_dash_has_its_reason_as_a_lettered_note():
    rows = [{**row, "estimate": None, "note": "no unit has a value"} if row["metric"] == "score_change:odi" else row
            for row in spread_rows("score_change")]
    bundle = replace(trial(), tables=(named("outcomes", "scores", rows),))
    html = render_section(bundle, "outcomes").to_html()
    assert '<span class="te-quiet">–</span><sup>a</sup>' in html
    assert "<p><sup>a</sup> No unit has a value.</p>" in html


def test_failed_gates_and_banners_stand_at_the_top():
    bundle = trial(policy={"banner": "INTERNAL: do not share"}, dataset={"note": "SYNTHETIC data"},
                   gates=[{"name": "data are usable", "required": True, "passed": False, "note": "half is unreadable"}])
    html = render_section(bundle, "summary").to_html()
    assert html.index("te-warning") < html.index("te-lead")
    assert "INTERNAL: do not share" in html and "SYNTHETIC data" in html
    assert "Not passed: data are usable, half is unreadable." in html


def test_arms_may_be_numbers():
    rows = [{"metric": "allocated", "arm": arm, "statistic": "count", "n": n}
            for arm, n in ((1, 30), (2, 28), (None, 58))]
    bundle = replace(trial(protocol={"arms": {"1": "Video", "2": "Clinic"}}), tables=(named("flow", "flow", rows),))
    assert "58 people at 1 site were allocated at random: 30 to Video and 28 to Clinic" in \
        render_section(bundle, "summary").to_text()
