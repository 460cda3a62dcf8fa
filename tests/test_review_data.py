"""What a review says of its data: warnings in words, ages in bands that can be shown, months without anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import therapyeval as te
from therapyeval.cohort import Cohort, Facts
from therapyeval.disclosure.policy import PRESETS, named_policy
from therapyeval.period import parse_period
from therapyeval.result import Source
from therapyeval.review import problems, volumes
from therapyeval.review.mix import with_wide_ages

HARBOR = Path(__file__).resolve().parent.parent / "data_samples" / "harbor_rehab"


@pytest.mark.parametrize(("rule", "words"), [
    ("no visit_id", "appointment number: empty, so the row is not used"),
    ("unknown status: 'arrvd?' (15 rows), 'x, y' (1,204 rows)", "status: a code that is not known, so the row is not"),
    ("unknown payer_class: 'gold' (12 rows); taken as missing, the row stays", "payer class: a code that is not known, "
                                                                             "taken as missing; the row is used"),
    ("a rule of tomorrow", "a rule of tomorrow")])
def test_warnings_of_the_data_are_listed_in_words_without_values_or_small_counts(rule, words):
    found = pd.DataFrame({"severity": ["warning", "warning", "note"], "table": "visits", "file": "v.csv",
                          "rule": [rule, rule, "no note"], "count": [10, 11, 99], "rows": "2, 3", "todo": ""})
    listed = problems.listed(found, named_policy("cms_11"))
    assert [item["count"] for item in listed] == ["1 to 10", "11"]
    assert [item["count"] for item in problems.listed(found, named_policy("internal"))] == ["10", "11"]
    text = problems.problem_table(listed).to_text()
    assert words in text and "Appointments" in text
    assert not re.search("arrvd|gold|'|v.csv|2, 3|no note", text)
    assert problems.problem_table([]) is None


def test_a_small_age_band_joins_the_next_older_one_and_the_oldest_the_one_before():
    # ended in the quarter: 3 children, 20 of 18-44, 30 of 45-64, 12 of 65-74, 10 of 75-84, 2 of 85+, 1 of no known age
    ages = ["0-17"] * 3 + ["18-44"] * 20 + ["45-64"] * 30 + ["65-74"] * 12 + ["75-84"] * 10 + ["85+"] * 2 + [None]
    episodes = pd.DataFrame({"episode": range(len(ages)), "patient": range(len(ages)), "age_band": ages,
                             "end_date": pd.Timestamp("2026-05-01")})
    facts = Facts(episodes, pd.DataFrame(), pd.DataFrame(), {})
    quarter = parse_period("2026Q2")
    wide = with_wide_ages(Cohort(facts, Source("f")), [quarter], PRESETS["cms_11"]).facts.episodes["age_band"]
    assert wide.value_counts().to_dict() == {"0-44": 23, "45-64": 30, "65-74": 12, "75+ or not known": 13}
    for policy, span in ((PRESETS["internal"], quarter), (PRESETS["cms_11"], parse_period("2026Q1"))):
        same = with_wide_ages(Cohort(facts, Source("f")), [span], policy).facts.episodes["age_band"]
        assert same.dropna().tolist() == ages[:-1]


def test_months_in_which_nothing_happened_count_zero():
    cohort = te.read_dataset(HARBOR).cohort(site_id="cove")
    quiet = cohort.facts.episodes["start_date"].dt.strftime("%Y-%m") != "2026-02"
    facts = replace(cohort.facts, episodes=cohort.facts.episodes[quiet])
    found = volumes.count(replace(cohort, facts=facts), parse_period("2026-01-01..2026-03-31"), every="month")[1].frame
    assert found["period"].tolist() == ["2026-01", "2026-02", "2026-03"] and found["numerator"][1] == 0
    assert found["numerator"][0] > 0 and found["n_people"][1] == 0
