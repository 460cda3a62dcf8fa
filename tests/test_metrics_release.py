"""Every kind of metric can be released, and its counts are tied together."""

import numpy as np
import pandas as pd
import pytest
from conftest import row

from therapyeval.analysis import summarize
from therapyeval.disclosure import release


def hidden(result):
    return result.frame["note"].str.contains("withheld")


def episodes(*parts, columns="reason"):
    """A table of episodes: (how many, values of the columns)."""
    lines = [f"e{number}-{i} 6 {values}" for number, (n, values) in enumerate(parts) for i in range(n)]
    return f"episode n_attended {columns}\n" + "\n".join(lines)


def test_a_small_class_takes_another_with_it_because_all_add_up(cohort_from):
    cohort = cohort_from(episodes=episodes((40, "goals_met"), (30, "plateau"), (20, "moved"), (3, "surgery")))
    (found,) = release([summarize(cohort, "disposition_mix")], "cms_11")
    shown = found.frame.set_index("level")["numerator"]
    assert shown.isna().sum() >= 2 and pd.isna(shown["surgery"]) and shown["goals_met"] == 40


def test_a_small_class_of_one_group_does_not_follow_from_the_others(cohort_from):
    parts = [(40, "goals_met a"), (30, "plateau a"), (3, "moved a"), (40, "goals_met b"), (30, "plateau b"),
             (25, "moved b")]
    cohort = cohort_from(episodes=episodes(*parts, columns="reason site_id"))
    sites, whole = release([summarize(cohort, "disposition_mix", by="site_id"), summarize(cohort, "disposition_mix")],
                           "cms_11")
    moved = sites.frame[sites.frame["level"] == "moved"].set_index("site_id")["numerator"]
    assert pd.isna(moved["a"])
    assert pd.isna(moved["b"]) or pd.isna(row(whole, level="moved")["numerator"])


def test_a_census_of_few_is_withheld(cohort_from):
    rows = [f"e{i} {'a' if i < 4 else 'b'} 2026-08-01" for i in range(40)]
    cohort = cohort_from(episodes="episode site_id start_date\n" + "\n".join(rows), has_calendar=True)
    sites, whole = release([summarize(cohort, "census", period="2026Q3", by=by) for by in ("site_id", None)], "cms_11")
    numerator = sites.frame.set_index("site_id")["numerator"]
    assert pd.isna(numerator["a"]) and (pd.isna(numerator["b"]) or hidden(whole).all())


def test_cost_per_responder_stands_or_falls_with_the_number_of_responders(cohort_from):
    lines = [f"e{i} odi 60 {20 if i < 5 else 59}" for i in range(40)]
    cohort = cohort_from(episodes="episode n_attended\n" + "\n".join(f"e{i} 6" for i in range(40)),
                         scores="episode measure baseline final\n" + "\n".join(lines))
    (found,) = release([summarize(cohort, "cost_per_responder:odi,cost_per_visit=100")], "cms_11")
    assert found.frame[["estimate", "numerator", "denominator"]].isna().all(axis=None)


@pytest.mark.parametrize(("n_stop", "shown"), [(5, False), (15, True)])
def test_shares_with_competing_ends_count_the_people_seen_to_stop(cohort_from, n_stop, shown):
    lines = [f"e{i} {2 if i < n_stop else 6} {'self_discharge' if i < n_stop else 'goals_met'}" for i in range(60)]
    cohort = cohort_from(episodes="episode n_attended reason\n" + "\n".join(lines))
    (found,) = release([summarize(cohort, "dropout_by_visit")], "cms_11")
    assert found.frame["estimate"].notna().all() == shown


def test_growth_is_withheld_where_either_period_has_few(cohort_from):
    rows = [("x", "2024-01-05")] + [(f"a{i}", "2025-08-01") for i in range(6)] + [(f"b{i}", "2026-08-01")
                                                                                  for i in range(30)]
    table = "episode patient start_date\n" + "\n".join(f"e{i} {p} {day}" for i, (p, day) in enumerate(rows))
    result = summarize(cohort_from(episodes=table, has_calendar=True), "new_patient_growth", period="2026Q3")
    assert result.people[["numerator", "complement"]].to_numpy().tolist() == [[30, 6]]
    (found,) = release([result], "cms_11")
    assert hidden(found).all() and np.isnan(found.frame["estimate"]).all()
