"""Every kind of metric can be released, and its counts are tied together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import row

import therapyeval as te
from therapyeval.analysis import summarize
from therapyeval.disclosure import release
from therapyeval.errors import ParameterError


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


def stops(*parts):
    """Episodes by (how many, visit at which they ended, reason, site)."""
    lines = [f"e{number}-{i} {visit} {reason} {site}" for number, (n, visit, reason, site) in enumerate(parts)
             for i in range(n)]
    return "episode n_attended reason site_id\n" + "\n".join(lines)


def test_shares_by_two_visits_do_not_tell_the_few_between(cohort_from):
    """20 stop by visit 2 and 3 more at visit 3: 20 and 23 together would say 3."""
    cohort = cohort_from(episodes=stops((20, 2, "self_discharge", "a"), (3, 3, "self_discharge", "a"),
                                        (60, 8, "goals_met", "a")))
    for metrics in (["dropout_by_visit,k=2", "dropout_by_visit"], ["dropout_by_visit,k=2", "dropout_by_visit,k=3"]):
        (found,) = release([summarize(cohort, metrics)], "cms_11")
        assert found.frame["numerator"].tolist() == [pd.NA, 23]
        assert np.isnan(found.frame["estimate"][0])
    far = summarize(cohort, ["dropout_by_visit,k=2", "dropout_by_visit,k=1"])
    assert release([far], "cms_11")[0].frame["numerator"].tolist() == [20, 0]


def test_the_few_between_two_visits_do_not_follow_from_the_sites(cohort_from):
    """Site a: 20, then 40; site b: 20, then 23. What b hides follows from the whole and a, so one more is hidden."""
    cohort = cohort_from(episodes=stops(
        (20, 2, "self_discharge", "a"), (20, 3, "self_discharge", "a"), (60, 8, "goals_met", "a"),
        (20, 2, "self_discharge", "b"), (3, 3, "self_discharge", "b"), (60, 8, "goals_met", "b")))
    metrics = ["dropout_by_visit,k=2", "dropout_by_visit,k=3"]
    sites, whole = release([summarize(cohort, metrics, by=by) for by in ("site_id", None)], "cms_11")
    known = {(row.site_id, row.metric[-1]): row.numerator for row in sites.frame.itertuples()}
    known |= {("", row.metric[-1]): row.numerator for row in whole.frame.itertuples()}
    at_2 = [known["a", "2"], known["b", "2"], known["", "2"]]
    at_3 = [known["a", "3"], known["b", "3"], known["", "3"]]
    assert sum(map(pd.isna, at_2)) != 1 and sum(map(pd.isna, at_3)) != 1      # a single gap follows from the others
    assert pd.isna(known["b", "2"]) or pd.isna(known["b", "3"])


def test_a_small_way_to_end_does_not_follow_from_the_others(cohort_from):
    """By visit 6 all 100 have ended: 40 stopped, 55 met their goals, and so 5 ended in another way."""
    cohort = cohort_from(episodes=stops((40, 2, "self_discharge", "a"), (55, 5, "goals_met", "a"),
                                        (5, 6, "moved", "a")))
    (found,) = release([te.dropout_curve(cohort, last=6)], "cms_11")
    last = found.frame[found.frame["metric"] == "dropout_by_visit,k=6"].set_index("level")["numerator"]
    assert pd.isna(last["another end"]) and last.isna().sum() >= 2


def test_no_two_visits_of_a_released_curve_are_near_each_other(cohort_from):
    random = np.random.default_rng(5)
    reasons = ["self_discharge", "goals_met", "moved"]
    parts = [(1, random.integers(1, 10), reasons[random.integers(3)], "abc"[random.integers(3)]) for _ in range(600)]
    cohort = cohort_from(episodes=stops(*parts))
    for found in release([te.dropout_curve(cohort, by=by) for by in (None, "site_id")], "cms_11"):
        for _, part in found.frame.groupby([*found.by, "level"]):
            steps = np.diff(np.sort(part["numerator"].dropna().to_numpy(float)))
            assert not ((steps > 0) & (steps < 11)).any()
        assert found.frame["estimate"].notna().sum() > 20


def productive(cohort_from, n_a, n_b):
    """Sites a and b with so many therapists, 40 hours each and 1 500 billed minutes."""
    rows = [(number, "a" if number < n_a else "b") for number in range(n_a + n_b)]
    weeks = pd.DataFrame({"staff": [number for number, _ in rows], "site_id": [site for _, site in rows],
                          "week": pd.Timestamp("2026-08-03"), "worked_hours": 40.0, "billable_minutes": 1500.0})
    cohort = cohort_from(episodes="episode start_date\ne1 2026-08-01", has_calendar=True)
    return replace(cohort, facts=replace(cohort.facts, staff_weeks=weeks))


def test_clinicians_are_not_counted_by_the_threshold_of_patients(cohort_from):
    cohort = productive(cohort_from, 6, 4)
    sites, whole = release([summarize(cohort, "productivity", by=by, period="2026Q3") for by in ("site_id", None)],
                           "cms_11")
    assert sites.frame["estimate"].tolist() == [0.625, 0.625] and whole.frame["estimate"].tolist() == [0.625]


def test_a_row_about_two_clinicians_is_withheld_and_does_not_follow_from_sums(cohort_from):
    cohort = productive(cohort_from, 6, 2)
    sites, whole = release([summarize(cohort, "productivity", by=by, period="2026Q3") for by in ("site_id", None)],
                           "cms_11")
    assert np.isnan(sites.frame["estimate"][1]) and sites.frame["estimate"][0] == 0.625
    for found in (sites, whole):
        assert found.frame[["numerator", "denominator"]].isna().all(axis=None)


def test_tables_by_clinician_are_off_by_default(cohort_from):
    rows = "\n".join(f"e{i} {i % 2}" for i in range(60))
    result = summarize(cohort_from(episodes=f"episode staff\n{rows}"), "closed_admin_share", by="staff")
    with pytest.raises(ParameterError, match="tables by staff are off by default"):
        release([result], "cms_11")
    assert release([result], "internal")[0].policy == "internal"
