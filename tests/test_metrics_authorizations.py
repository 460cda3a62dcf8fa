"""Authorization, certification and planned visits: metric definitions, sections 3 and 4.1."""

import pandas as pd
import pytest
from conftest import row
from test_metrics import printed

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError, UnknownNameError


def episode(number, **more):
    return {"episode_id": f"e{number}", "patient_id": f"p{number}", "discipline": "PT", "site_id": "north",
            "start_date": "2026-08-01", "status": "active", "discharge_date": "", **more}


def visits(**counts):
    return [{"visit_id": f"{name}-{i}", "patient_id": "p" + name[1:], "episode_id": name, "status": "attended",
             "scheduled_start": str(pd.Timestamp("2026-08-01") + pd.Timedelta(days=i))[:10]}
            for name, n in counts.items() for i in range(n)]


def authorization(name, episode, n, start="2026-08-01", end="2026-12-31", **more):
    return {"authorization_id": name, "episode_id": episode, "visits_authorized": n, "start_date": start,
            "end_date": end, "status": "approved", **more}


@pytest.fixture
def used(read_tables):
    """The worked example: 10 of 12, 5 of 8 and 9 of 10 used; the second ends in 14 days."""
    return read_tables(
        episodes=[episode(1), episode(2), episode(3), episode(4, discharge_date="2026-09-15")],
        visits=visits(e1=10, e2=5, e3=9, e4=3),
        authorizations=[authorization("a", "e1", 12), authorization("b", "e2", 8, end="2026-10-14"),
                        authorization("c", "e3", 10), authorization("d", "e4", 20),
                        authorization("e", "e1", 30, status="denied"),
                        authorization("f", "e2", 30, start="2026-11-01")])


def test_authorized_visits_of_the_definitions(used):
    cohort = used.cohort()
    share = row(summarize(cohort, "auth_used_share,t=2026-09-30"))
    assert (share["numerator"], share["denominator"], share["estimate"], share["n"]) == (24, 30, 0.8, 3)
    assert row(summarize(cohort, "auth_visits_remaining,t=2026-09-30"))["estimate"] == 2.0
    assert printed(summarize(cohort, "auth_expiring_14,t=2026-09-30")) == (33.3, 6.1, 79.2)
    assert row(summarize(cohort, "auth_expiring_14,t=2026-09-29"))["numerator"] == 0
    assert row(summarize(cohort, "auth_used_share,t=2026-08-05"))["numerator"] == 5 + 5 + 5 + 3
    assert used.quality.tables.set_index("table").loc["authorizations", ["in_facts", "left_out"]].tolist() == [4, 2]


def test_a_visit_counts_to_the_authorization_that_ends_first_and_has_visits_left(read_tables):
    dataset = read_tables(episodes=[episode(1)], visits=visits(e1=7), authorizations=[
        authorization("late", "e1", 2, end="2026-12-31"), authorization("soon", "e1", 3, end="2026-10-31")])
    counted = dataset.facts.authorization_visits["authorization"].tolist()
    assert counted == [1, 1, 1, 0, 0]      # numbered in the order of the file; two visits have none left
    assert "beyond what was authorized" in dataset.quality.problems["rule"].str.cat()
    assert row(summarize(dataset.cohort(), "auth_used_share,t=2026-09-30"))["estimate"] == 1.0


def test_certification_overdue_of_the_definitions(read_tables):
    good = {"payer_class": "medicare_ffs", "cert_end": "2026-10-31", "cert_signed_date": "2026-08-10"}
    rows = [episode(i, **good) for i in range(18)]
    rows += [episode(18, **{**good, "cert_end": "2026-09-29"}), episode(19, **{**good, "cert_signed_date": ""}),
             episode(20, **{**good, "payer_class": "commercial", "cert_end": ""}),
             episode(21, **{**good, "cert_end": "", "discharge_date": "2026-09-01"})]
    cohort = read_tables(episodes=rows, visits=visits(**{f"e{i}": 2 for i in range(22)})).cohort()
    assert printed(summarize(cohort, "poc_cert_overdue,t=2026-09-30")) == (10.0, 2.8, 30.1)
    commercial = summarize(cohort, "poc_cert_overdue,t=2026-09-30,cert_payers=commercial")
    assert row(commercial)[["numerator", "denominator"]].tolist() == [1, 1]
    assert row(summarize(cohort, "poc_cert_overdue,t=2026-08-31"))["numerator"] == 1      # 30 days without a signature
    with pytest.raises(UnknownNameError):
        summarize(cohort, "poc_cert_overdue,t=2026-09-30,cert_payers=medicare")


def test_certification_needs_its_columns(read_tables):
    with pytest.raises(NotEvaluableError, match="no payer_class and no cert_end"):
        summarize(read_tables(episodes=[episode(1)], visits=visits(e1=1)).cohort(), "poc_cert_overdue,t=2026-09-30")


def test_visits_are_planned_else_follow_from_the_frequency_else_from_the_authorization(read_tables):
    plan = {"planned_visits": "", "planned_frequency": "", "planned_weeks": "", "discharge_date": "2026-09-15"}
    dataset = read_tables(
        episodes=[episode(1, **{**plan, "planned_visits": 10, "planned_frequency": "3", "planned_weeks": 9}),
                  episode(2, **{**plan, "planned_frequency": "2x/week", "planned_weeks": 6}),
                  episode(3, **{**plan, "planned_frequency": "2-3", "planned_weeks": 6}),
                  episode(4, **{**plan, "planned_frequency": "1 per week", "planned_weeks": ""})],
        visits=visits(e1=4, e2=4, e3=4, e4=4),
        authorizations=[authorization("a", "e1", 99), authorization("b", "e3", 5), authorization("c", "e3", 3)])
    planned = dataset.facts.episodes["planned_visits"]
    assert planned.tolist()[:3] == [10, 12, 8] and pd.isna(planned[3])
    found = row(summarize(dataset.cohort(), "visit_adherence"))
    assert (found["numerator"], found["denominator"], found["n_missing"]) == (12, 30, 1)
    assert found["note"] == "where no number of visits was planned: authorized visits, frequency x weeks"
