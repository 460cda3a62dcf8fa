"""The quality report as Results: completeness, pairs, exclusions, duplicates, stale episodes; verdict and reasons."""

from __future__ import annotations

import pytest
from conftest import row

import therapyeval as te
from therapyeval.data.quality import QualityReport
from therapyeval.disclosure.policy import PRESETS
from therapyeval.errors import UnknownNameError
from therapyeval.review import row_counts

N = 30
TOLD = ["numerator", "n", "estimate"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """30 patients, 20 at north; every third without a region, 24 discharged (12 with a reason), 15 with a pair.

    Care begins in January for the first 18 and in February for the others. The six without a discharge were seen last
    on March 2; the data end on May 1, 60 days later. Visits of e00 to e09 have no type.
    """
    folder = tmp_path_factory.mktemp("quality")
    episodes = ["episode_id,patient_id,discipline,site_id,start_date,discharge_date,status,body_region,reason"]
    scores = ["patient_id,episode_id,measure_code,score,date,timepoint"]
    visits = ["visit_id,patient_id,episode_id,scheduled_start,status,visit_type"]
    for i in range(N):
        start, end = "2026-01-05" if i < 18 else "2026-02-05", "2026-03-02"
        episodes.append(f"e{i:02},p{i:02},PT,{'north' if i < 20 else 'east'},{start},{end if i < 24 else ''},finished,"
                        f"{'' if i % 3 == 0 else 'knee'},{'goals_met' if i < 12 else ''}")
        visits += [f"v{i:02}{day},p{i:02},e{i:02},{day},attended,{'' if i < 10 else 'treatment'}"
                   for day in (start, "2026-02-20", end)]
        scores.append(f"p{i:02},e{i:02},lefs,40,{start},initial")
        scores += [f"p{i:02},e{i:02},lefs,50,{end},discharge"] if i < 15 else []
    visits += ["x,p00,e00,2026-01-06,vanished,", "y,p00,e00,2026-05-01,no_show,", "y,p00,e00,2026-05-01,no_show,",
               "z,p29,e29,2026-06-01,booked,"]
    for name, lines in (("episodes", episodes), ("visits", visits), ("assessments", scores)):
        (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    return te.read_dataset(folder, data_cut="2026-05-01")


@pytest.fixture(scope="module")
def whole(dataset):
    """Everything, nothing hidden."""
    return te.quality(dataset, policy="internal").bundle


def test_fields_of_episodes_are_counted_in_all_by_site_and_by_month(whole):
    fields = whole.get("completeness", "fields")
    assert row(fields, level="body_region")[TOLD].tolist() == [20, 30, 20 / 30]
    assert row(fields, level="reason")[["numerator", "n"]].tolist() == [12, 24]         # of the discharged
    assert row(fields, level="site_id")["estimate"] == 1
    by_site = whole.get("completeness", "fields by site_id")
    assert row(by_site, level="body_region", site_id="north")[["numerator", "n"]].tolist() == [13, 20]
    assert row(by_site, level="body_region", site_id="east")[["numerator", "n"]].tolist() == [7, 10]
    assert row(by_site, level="reason", site_id="east")[["numerator", "n"]].tolist() == [0, 4]
    by_month = whole.get("completeness", "fields by month")
    assert row(by_month, level="body_region", period="2026-01")[["numerator", "n"]].tolist() == [12, 18]
    assert row(by_month, level="reason", period="2026-02")[["numerator", "n"]].tolist() == [0, 6]
    assert set(by_site.frame["level"]) == set(by_month.frame["level"]) == {"body_region", "reason"}  # the gaps only


def test_fields_of_attended_visits_are_counted_with_the_people_behind(whole, dataset):
    types = row(whole.get("completeness", "visit fields"), level="visit_type")
    assert types[["numerator", "n", "n_people"]].tolist() == [60, 90, 30]       # missed and booked ones are no visits
    by_site = whole.get("completeness", "visit fields by site_id")
    assert row(by_site, level="visit_type", site_id="north")[["numerator", "n", "n_people"]].tolist() == [30, 60, 20]
    filled = dataset.facts.appointments.filled(["visit_type"])
    assert filled.iloc[0][["n", "k", "n_people", "with", "without"]].tolist() == [90, 60, 30, 20, 10]
    with pytest.raises(UnknownNameError, match="visit_type"):
        dataset.facts.appointments.filled(["visit_typ"])


def test_pairs_are_counted_by_measure_and_site_with_the_reasons_of_the_others(whole):
    pairs = row(whole.get("pairing", "measures"), metric="paired_completion:lefs")
    # 24 discharged and 5 of the other 6 closed by rule; e29 is open: it has no final score to come yet
    assert pairs[["numerator", "n"]].tolist() == [15, 29]
    by_site = whole.get("pairing", "measures by site_id")
    assert row(by_site, site_id="north")[["numerator", "n"]].tolist() == [15, 20]
    assert row(by_site, site_id="east")[["numerator", "n"]].tolist() == [0, 9]
    why = row(whole.get("pairing", "why not"), metric="paired_completion:lefs")
    assert why[["level", "numerator", "n"]].tolist() == ["no_final", 14, 29]


def test_who_is_not_asked_for_scores_is_counted_by_reason(tmp_path):
    lines = ["episode_id,patient_id,discipline,site_id,start_date,discharge_date,status,reason"]
    reasons = ["deceased", "goals_met", "goals_met", "hospitalized", "plateau"]
    lines += [f"e{i},p{i},PT,north,2026-01-05,2026-02-16,finished,{reason}" for i, reason in enumerate(reasons)]
    visits = ["visit_id,patient_id,episode_id,scheduled_start,status"]
    visits += [f"v{i}{day},p{i},e{i},{day},attended" for i in range(5)
               for day in ("2026-01-05", "2026-01-20", "2026-02-16")[:2 if i == 4 else 3]]
    scores = "patient_id,episode_id,measure_code,score,date,timepoint\np1,e1,lefs,40,2026-01-05,initial\n"
    for name, text in (("episodes", "\n".join(lines)), ("visits", "\n".join(visits)), ("assessments", scores)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    found = te.quality(te.read_dataset(tmp_path), policy="internal").bundle.get("exclusions", "eligible episodes")
    assert dict(zip(found.exclusions["reason"], found.exclusions["n"], strict=True)) == {
        "deceased": 1, "hospitalized": 1, "fewer than 3 visits": 1}
    assert found.frame[["numerator", "n", "n_excluded"]].iloc[0].tolist() == [0, 2, 3]


def test_stale_episodes_are_closed_by_rule_from_60_days_on_or_open_because_somebody_booked_ahead(whole):
    every = whole.get("stale", "episodes")
    assert row(every, metric="closed_admin")[["numerator", "n"]].tolist() == [5, 30]        # e24 to e28
    assert row(every, metric="open_without_visit")[["numerator", "n"]].tolist() == [1, 30]  # e29, booked for June
    by_site = whole.get("stale", "episodes by site_id")
    assert row(by_site, site_id="east", metric="closed_admin")[["numerator", "n"]].tolist() == [5, 10]
    assert row(by_site, site_id="north", metric="closed_admin")[["numerator", "n"]].tolist() == [0, 20]


def test_rows_duplicates_and_reasons_are_exact_where_nothing_is_hidden(whole, dataset):
    visits = next(item for item in whole.record["tables"] if item["table"] == "visits")
    assert [visits[name] for name in ("rows_in", "in_facts", "quarantined", "merged", "left_out")] == [
        "94", "92", "1", "1", "0"]
    assert whole.record["duplicates"] == [{"table": "visits", "kind": "exact: the same row twice", "count": "1",
                                           "outcome": "counted once"}]
    assert {(item["table"], item["fate"], item["rule"], item["count"]) for item in whole.record["set_aside"]} == {
        ("visits", "quarantined", "unknown status", "1"), ("visits", "merged", "the same row twice", "1")}
    assert whole.record["verdict"] == dataset.quality.verdict == "usable with warnings"
    assert [item["rule"] for item in whole.record["reasons"]] == dataset.quality.reasons["rule"].tolist()
    assert dataset.quality.to_text().startswith("Data are usable with warnings, because of: visits, unknown status")


def test_what_is_given_was_released_and_small_counts_are_ranges_that_no_sum_gives_away(dataset):
    bundle = te.quality(dataset).bundle
    assert {named.result.policy for named in bundle.tables} == {"cms_11"}
    east = row(bundle.get("completeness", "fields by site_id"), level="body_region", site_id="east")
    assert east["note"] and east["estimate"] != east["estimate"]      # 10 people: withheld
    closed = row(bundle.get("stale", "episodes"), metric="closed_admin")
    assert closed["note"] and closed["estimate"] != closed["estimate"]
    visits = next(item for item in bundle.record["tables"] if item["table"] == "visits")
    shown = [visits[name] for name in ("rows_in", "in_facts", "quarantined", "merged", "left_out")]
    assert shown == ["94 to 112", "92", "1 to 10", "1 to 10", "0"]      # 94 less 92 would be the hidden 2
    assert bundle.record["problems"] == [{"severity": "warning", "table": "visits", "rule": "unknown status",
                                          "count": "1 to 10"}]
    assert bundle.record["duplicates"][0]["count"] == "1 to 10"


def report(*parts, in_facts=100):
    """A quality report of one table; each part is (rule, count, fate)."""
    import pandas as pd

    problems = pd.DataFrame([{"severity": "note", "table": "visits", "file": "v.csv", "rule": rule, "count": n,
                              "rows": "", "todo": "", "fate": fate} for rule, n, fate in parts])
    fates = {fate: sum(n for _, n, other in parts if other == fate) for fate in row_counts.FATES}
    tables = pd.DataFrame([{"table": "visits", "file": "v.csv", "rows_in": in_facts + sum(fates.values()),
                            "in_facts": in_facts, **fates}])
    return QualityReport(tables, problems, pd.DataFrame(), "usable")


@pytest.mark.parametrize(("parts", "wanted"), [
    ((("no visit_id", 19, "quarantined"), ("unknown status", 1, "quarantined")), ["120 to 129", "100", "20 to 29"]),
    ((("no visit_id", 11, "quarantined"), ("unknown status", 12, "quarantined")), ["123", "100", "23"]),
    ((("no visit_id", 2, "quarantined"), ("unknown status", 9, "quarantined")), ["102 to 120", "100", "2 to 20"])])
def test_a_total_says_no_more_than_the_counts_that_it_is_the_sum_of(parts, wanted):
    # 19 shown beside a shown total of 20 would tell the other one; two hidden ones are 1 to 10 each
    told, = row_counts.tables(report(*parts), PRESETS["cms_11"])
    assert [told[name] for name in ("rows_in", "in_facts", "quarantined")] == wanted
    exact, = row_counts.tables(report(*parts), PRESETS["internal"])
    assert exact["rows_in"] == str(100 + sum(n for _, n, _ in parts))


@pytest.mark.parametrize(("rule", "kind"), [
    ("the same row twice", "exact: the same row twice"),
    ("the same visit_id with different contents", "one visit_id with different contents"),
    ("entered again on the same day: the entry finalised last counts",
     "near: one measure entered again on the same day"),
    ("two scores on one day, finalised at the same time; neither is used (conflict)",
     "near: two scores of one measure on one day"),
    ("the same birth date, sex and everything else as another patient_id; nobody is merged",
     "possible: patients who look the same"),
    ("order lines of one referral", "near: order lines of one referral")])
def test_every_kind_of_duplicate_is_told_with_what_became_of_it(rule, kind):
    told = row_counts.duplicates(report(("no visit_id", 3, "quarantined"), (rule, 12, "")), PRESETS["cms_11"])
    assert [(item["kind"], item["count"]) for item in told] == [(kind, "12")]


def test_an_unknown_attribute_is_refused(dataset):
    with pytest.raises(UnknownNameError, match="site_id"):
        te.quality(dataset, by="site")
