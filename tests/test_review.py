"""The quarterly review: its numbers are those of summarize and of a hand-written SQL query over the raw tables."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from pytest import approx

import therapyeval as te
from therapyeval.errors import DataError, NotEvaluableError, ParameterError, UnknownNameError

ROOT = Path(__file__).resolve().parent.parent
HARBOR = ROOT / "data_samples" / "harbor_rehab"
SQL = ROOT / "tests" / "reference" / "harbor" / "review.sql"
# column of the SQL query: where the review shows it (section, table, metric, statistic, column)
SHOWN = {
    "no_shows": ("attendance", "rates now", "no_show_rate", "ratio", "numerator"),
    "due": ("attendance", "rates now", "no_show_rate", "ratio", "denominator"),
    "attended": ("attendance", "rates now", "arrival_rate", "ratio", "numerator"),
    "every_one": ("attendance", "rates now", "arrival_rate", "ratio", "denominator"),
    "referrals": ("served", "volumes now", "referrals received", "count", "numerator"),
    "discharges": ("served", "volumes now", "discharges", "count", "numerator"),
    "mean_visits": ("efficiency", "effort now", "visits_per_episode", "mean", "estimate"),
    "median_days": ("efficiency", "effort now", "episode_days", "median", "estimate"),
    "goals_met": ("discharge", "rates now", "goals_met_rate", "proportion", "numerator"),
    "may_meet_goals": ("discharge", "rates now", "goals_met_rate", "proportion", "denominator"),
}
CASES = [("east", "2025Q2"), ("north", "2026Q2"), ("cove", "2024Q4")]


@pytest.fixture(scope="module")
def dataset():
    return te.read_dataset(HARBOR)


@pytest.fixture(scope="module")
def raw():
    """The SQL query's answer, by site and quarter."""
    connection = duckdb.connect()
    for path in HARBOR.glob("*.parquet"):
        connection.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path.as_posix()}')")
    rows = connection.sql(SQL.read_text(encoding="utf-8")).df()
    connection.close()
    return rows.set_index(["site_id", "period"])


def shown(review, where):
    section, table, metric, statistic, column = where
    frame = review.bundle.get(section, table).frame
    found = frame[(frame["metric"] == metric) & (frame["statistic"] == statistic)]
    assert len(found) == 1
    return found.iloc[0][column]


NOT_OF_SUMMARIZE = ("completers", "instruments", "missing scores")     # these answer other questions


def check_against_sql(review, row):
    """How many cells were compared; withheld ones have no number to compare."""
    compared = 0
    for column, where in SHOWN.items():
        value = shown(review, where)
        if not pd.isna(value):
            assert float(value) == approx(float(row[column]), rel=1e-9), (column, value, row[column])
            compared += 1
    return compared


def check_against_summarize(review, dataset, rng, n):
    """A random sample of shown cells, asked again one by one."""
    frame = pd.concat([item.result.frame.assign(period_asked=item.result.source.period) for item in review.bundle.tables
                       if item.section in ("summary", "attendance", "effectiveness", "efficiency")
                       and not item.table.startswith(NOT_OF_SUMMARIZE)], ignore_index=True)
    frame = frame[frame["estimate"].notna() & (frame["statistic"] != "count") & (frame["level"] == "")]
    cohort = dataset.cohort(**review.bundle.record["review"]["filters"])
    for position in rng.choice(len(frame), size=n, replace=False):
        cell = frame.iloc[position]
        by = [name for name in ("site_id", "discipline") if name in frame and isinstance(cell[name], str)]
        asked = te.summarize(cohort, cell["metric"], by=by, period=cell["period_asked"]).frame
        same = asked[(asked["statistic"] == cell["statistic"]) & (asked["estimand"] == cell["estimand"])]
        for name in by:
            same = same[same[name] == cell[name]]
        assert same["estimate"].tolist() == [cell["estimate"]]


@pytest.mark.parametrize(("site", "quarter"), CASES)
def test_numbers_equal_the_sql_over_the_raw_tables_and_summarize(dataset, raw, site, quarter):
    review = te.quarterly_review(dataset, quarter, site_id=site)
    assert check_against_sql(review, raw.loc[(site, quarter)]) >= 6
    check_against_summarize(review, dataset, np.random.default_rng(7), 8)


@pytest.mark.study
def test_all_sites_and_quarters(dataset, raw):
    """The full size of the test above: 8 sites by 9 quarters, every SQL cell, 72 cells asked again."""
    compared, rng = 0, np.random.default_rng(11)
    for site, quarter in raw.index[raw["discharges"].notna()]:
        review = te.quarterly_review(dataset, quarter, site_id=site)
        compared += check_against_sql(review, raw.loc[(site, quarter)])
        check_against_summarize(review, dataset, rng, 1)
    print(f"{compared} cells equal the SQL query")
    assert compared >= 50


def test_nothing_is_withheld_under_internal_and_the_numbers_are_all_those_of_sql(dataset, raw):
    review = te.quarterly_review(dataset, "2026Q1", site_id="mill", policy="internal")
    assert not review.to_frame()["note"].str.contains("withheld").any()
    assert check_against_sql(review, raw.loc[("mill", "2026Q1")]) == len(SHOWN)


def test_the_review_compares_with_the_quarter_before_and_a_year_ago_and_says_its_state(dataset):
    record = te.quarterly_review(dataset, "2026Q2", site_id="east").bundle.record
    assert record["review"]["spans"] == {"now": "2026Q2", "before": "2026Q1", "year_ago": "2025Q2"}
    assert record["review"]["state"] == "final"
    assert "Widened before anything is withheld" in record["notes"][0]
    assert te.quarterly_review(dataset, "2026Q3", site_id="east").bundle.record["review"]["state"] == "provisional"


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"period": "2026Q5"}, ParameterError, "is not a period"),
    ({"period": "2027Q1"}, ParameterError, "begins after the data cut"),
    ({"period": None}, ParameterError, "needs a period"),
    ({"period": "2026Q2", "site_id": "eas"}, UnknownNameError, "Did you mean east"),
    ({"period": "2026Q2", "policy": "cms11"}, UnknownNameError, "Did you mean cms_11"),
    ({"period": "2026Q2", "targets": "nowhere.yml"}, DataError, "nowhere.yml cannot be read"),
])
def test_a_review_that_cannot_be_made_says_why(dataset, arguments, error, words):
    with pytest.raises(error, match=words):
        te.quarterly_review(dataset, **arguments)


def test_data_without_dates_have_no_quarters():
    with pytest.raises(NotEvaluableError, match="no dates"):
        te.quarterly_review(te.read_dataset(ROOT / "data_samples" / "stroke_recovery"), "2026Q2")


def test_targets_and_actions_are_the_sites_own_files(dataset, tmp_path):
    targets, actions = tmp_path / "targets.yml", tmp_path / "actions.yml"
    targets.write_text('version: 1\ntargets:\n  - {metric: no_show_rate, value: 0.08, origin: "site plan", '
                       'from_date: 2026-01-01}\n  - {metric: no_show_rate, value: 0.05, origin: "next", '
                       'from_date: 2027-01-01}\n', encoding="utf-8")
    actions.write_text("version: 1\nactions:\n  - {action_id: A1, text: Text reminders, status: open}\n",
                       encoding="utf-8")
    review = te.quarterly_review(dataset, "2026Q2", site_id="east", targets=targets, actions=actions)
    assert review.bundle.record["targets"] == {"no_show_rate": {"value": 0.08, "origin": "site plan"}}
    assert review.charts["no_show_rate"].assurance == "inconsistent"
    assert review.bundle.record["actions"][0]["action_id"] == "A1"
    targets.write_text("version: 1\ntargets:\n  - {metric: no_show_rate, value: 0.08}\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3: an entry of targets needs `origin`"):
        te.quarterly_review(dataset, "2026Q2", targets=targets)


def test_volumes_before_the_data_begin_are_missing_not_zero(dataset):
    review = te.quarterly_review(dataset, "2024Q3", site_id="east")
    rows = review.bundle.get("served", "volumes year_ago").frame.set_index("metric")
    assert rows.loc["discharges", "note"] == "before the data begin" and pd.isna(rows.loc["discharges", "estimate"])
