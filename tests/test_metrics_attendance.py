"""Appointments, adherence and those who stop: metric definitions, sections 2.1, 3 and 5."""

import numpy as np
import pytest
from conftest import row
from pytest import approx
from test_metrics import TOY_EPISODES, TOY_SCORES, printed

from therapyeval.analysis import summarize
from therapyeval.data.dataset import read_dataset
from therapyeval.errors import NotEvaluableError, ParameterError

MIX = {"attended": 80, "no_show": 6, "late_cancel": 4, "early_cancel": 7, "clinic_cancel": 3, "rescheduled": 5}


@pytest.fixture
def toy(cohort_from):
    return cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)


@pytest.fixture
def dataset(tmp_path):
    """Visits and episodes written as CSV; the data cut is 2026-09-30."""
    def build(visits: list[dict], episodes: list[dict] = ()):
        (tmp_path / "mapping.yml").write_text("version: 1\ndata_cut: 2026-09-30\n", encoding="utf-8")
        for name, rows in (("visits", visits), ("episodes", episodes)):
            if rows:
                lines = [",".join(rows[0]), *(",".join(map(str, item.values())) for item in rows)]
                (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
        return read_dataset(tmp_path).cohort()
    return build


def visit(number, patient, status="attended", **more):
    return {"visit_id": number, "patient_id": patient, "scheduled_start": "2026-08-03", "status": status, **more}


@pytest.mark.parametrize(("metric", "numerator", "denominator", "percent"), [
    ("no_show_rate", 6, 90, 6.7), ("no_show_share", 6, 100, 6.0), ("late_cancel_share", 4, 11, 36.4),
    ("patient_cancel_rate", 11, 100, 11.0), ("clinic_cancel_rate", 3, 100, 3.0), ("cancel_noshow_rate", 20, 100, 20.0),
    ("arrival_rate", 80, 100, 80.0), ("arrival_rate_patient", 80, 97, 82.5)])
def test_shares_of_appointments_of_the_definitions(dataset, metric, numerator, denominator, percent):
    statuses = [status for status, n in MIX.items() for _ in range(n)]
    found = row(summarize(dataset([visit(i, f"p{i}", status) for i, status in enumerate(statuses)]), metric))
    assert (found["numerator"], found["denominator"]) == (numerator, denominator)
    assert round(100 * found["estimate"], 1) == percent


def by_hand(top, bottom):
    """Delta interval by patient, from the formula in the definitions; t(0.975, 3) = 3.182446."""
    top, bottom = np.array(top, float), np.array(bottom, float)
    share = top.sum() / bottom.sum()
    n = len(top)
    half = 3.182446 * np.sqrt(n / (n - 1) * ((top - share * bottom) ** 2).sum()) / bottom.sum()
    return share, share - half, share + half


def test_share_of_telehealth_with_its_interval_by_patient_and_the_unknown_as_missing(dataset):
    modes = {"a": ["telehealth"] * 3 + ["in_person"], "b": ["in_person"] * 5 + ["telehealth"], "c": ["in_person"] * 3,
             "d": ["phone", "telehealth"], "e": ["", ""]}
    visits = [visit(f"{patient}{i}", patient, mode=mode, site_id="north" if patient in "ab" else "south")
              for patient, found in modes.items() for i, mode in enumerate(found)]
    visits.append(visit("x", "b", status="no_show", mode="telehealth", site_id="north"))
    cohort = dataset(visits)
    found = row(summarize(cohort, "telehealth_share"))
    assert (found["numerator"], found["denominator"], found["n_missing"], found["n_excluded"]) == (5, 15, 2, 1)
    assert tuple(found[["estimate", "conf_low", "conf_high"]]) == approx(by_hand([3, 1, 0, 1], [4, 6, 3, 2]), rel=1e-6)
    assert found["n_people"] == 4
    sites = summarize(cohort, "telehealth_share", by="site_id")
    assert sites.frame[["site_id", "numerator", "denominator", "n_missing"]].to_numpy().tolist() == [
        ["north", 4, 10, 0], ["south", 1, 5, 2]]
    assert sites.people[["numerator", "complement", "n_missing"]].to_numpy().tolist() == [[2, 2, 0], [1, 2, 1]]


def test_telehealth_of_the_definitions(dataset):
    cohort = dataset([visit(i, f"p{i}", mode="telehealth" if i < 12 else "in_person") for i in range(120)])
    assert row(summarize(cohort, "telehealth_share"))["estimate"] == 0.1


def test_payer_mix_has_a_row_per_payer_that_add_up_to_one(dataset):
    payers = {"a": "medicaid", "b": "commercial", "c": "commercial", "d": "self_pay"}
    n_visits = {"a": 2, "b": 5, "c": 1, "d": 4}
    episodes = [{"episode_id": e, "patient_id": e, "discipline": "PT", "site_id": "s", "start_date": "2026-08-03",
                 "status": "active", "payer_class": payer} for e, payer in payers.items()]
    visits = [visit(f"{e}{i}", e, episode_id=e) for e, n in n_visits.items() for i in range(n)]
    visits.append(visit("z", "z", episode_id=""))
    frame = summarize(dataset(visits, episodes), "payer_mix").frame
    assert frame[["level", "numerator", "denominator", "n_missing"]].to_numpy().tolist() == [
        ["commercial", 6, 12, 1], ["medicaid", 2, 12, 1], ["self_pay", 4, 12, 1]]
    assert frame["estimate"].sum() == 1
    commercial = tuple(frame.loc[0, ["estimate", "conf_low", "conf_high"]])
    assert commercial == approx(by_hand([0, 5, 1, 0], [2, 5, 1, 4]), rel=1e-6)


def test_appointments_without_the_attribute_say_so(dataset):
    with pytest.raises(NotEvaluableError, match="have no payer_class"):
        summarize(dataset([visit(1, "a")]), "payer_mix")


def test_adherence_completion_and_stopping_of_the_toy_cohort(toy):
    adherence = row(summarize(toy, "visit_adherence"))
    assert (adherence["numerator"], adherence["denominator"], adherence["estimate"]) == (39, 60, 0.65)
    assert printed(summarize(toy, "poc_completion")) == (50.0, 18.8, 81.2)
    assert printed(summarize(toy, "self_discharge_rate")) == (16.7, 3.0, 56.4)
    assert row(summarize(toy, "closed_admin_share"))[["numerator", "denominator"]].tolist() == [0, 6]


def test_planned_visits_that_are_missing_or_zero_are_missing(cohort_from):
    cohort = cohort_from(episodes="""
        episode  n_attended  planned_visits  reason
        e1       12          10              plateau
        e2       5           -               plateau
        e3       5           0               plateau
        e4       5           -               goals_met
        e5       8           10              plateau
        e6       8           10              hospitalized""")
    adherence = row(summarize(cohort, "visit_adherence"))
    assert (adherence["numerator"], adherence["denominator"], adherence["n_missing"]) == (28, 30, 3)
    completion = row(summarize(cohort, "poc_completion"))
    assert completion[["numerator", "denominator", "n_missing", "n_excluded"]].tolist() == [3, 3, 2, 1]


ENDINGS = """
    episode  n_attended  start_date  last_visit_date  end_date    reason          closed_admin
    e1       3           2026-05-01  2026-05-20       2026-05-20  -               True
    e2       4           2026-05-01  2026-05-20       2026-06-19  administrative  False
    e3       4           2026-05-01  2026-05-20       2026-06-18  administrative  False
    e4       5           2026-05-01  2026-06-10       2026-06-12  lost_contact    False
    e5       5           2026-05-01  2026-06-10       2026-06-12  deceased        False
    e6       2           2026-05-01  2026-05-08       -           -               False
    e7       6           2026-05-01  2026-06-10       2026-06-12  -               False"""


def test_who_stopped_with_and_without_those_closed_for_lack_of_visits(cohort_from):
    cohort = cohort_from(episodes=ENDINGS, has_calendar=True)
    result = row(summarize(cohort, "self_discharge_rate", period="2026Q2"))
    assert result[["numerator", "denominator", "n_missing", "n_excluded"]].tolist() == [3, 4, 1, 1]
    without = summarize(cohort, "self_discharge_rate,closed_admin=left_out", period="2026Q2")
    assert row(without)[["numerator", "denominator", "n_excluded"]].tolist() == [2, 3, 2]
    assert sorted(without.exclusions["reason"]) == ["closed_admin", "deceased"]
    closed = row(summarize(cohort, "closed_admin_share", period="2026Q2"))
    assert closed[["numerator", "denominator"]].tolist() == [1, 6]
    with pytest.raises(ParameterError, match="counted or left_out"):
        summarize(cohort, "self_discharge_rate,closed_admin=maybe")


def test_dropout_by_a_visit_of_the_toy_cohort(toy):
    assert round(100 * row(summarize(toy, "dropout_by_visit"))["estimate"], 1) == 16.7
    at_two = row(summarize(toy, "dropout_by_visit,k=2"))
    assert at_two["estimate"] == 0 and at_two["note"] == "no event by then: no interval; by visit 2"
    with pytest.raises(ParameterError, match="whole number"):
        summarize(toy, "dropout_by_visit,k=2.5")


def test_dropout_censors_open_episodes_and_counts_those_started_in_the_period(cohort_from):
    cohort = cohort_from(episodes=ENDINGS, has_calendar=True)
    found = row(summarize(cohort, "dropout_by_visit,k=4", period="2026Q2"))
    # visits 2 (open), 3 stop, 4 stop, 4 other, 5 stop, 5 other; e7 ended without a reason:  1/5 + 4/5 * 1/4
    assert found["estimate"] == approx(0.2 + 0.8 * 0.25)
    assert found[["numerator", "denominator", "n_missing"]].tolist() == [2, 6, 1]
    assert summarize(cohort, "dropout_by_visit", period="2026Q3").frame["n"].tolist() == [0]


def test_how_episodes_ended_has_a_row_per_reason(toy, cohort_from):
    frame = summarize(toy, "disposition_mix").frame
    assert dict(zip(frame["level"], (100 * frame["estimate"]).round(1), strict=True)) == {
        "goals_met": 50, "plateau": 16.7, "self_discharge": 16.7, "medical_change": 16.7}
    other = summarize(cohort_from(episodes=ENDINGS, has_calendar=True), "disposition_mix", period="2026Q2").frame
    assert dict(zip(other["level"], other["numerator"], strict=True)) == {
        "lost_contact": 1, "deceased": 1, "administrative": 2, "closed_admin": 1}
    assert set(other["n_missing"]) == {1} and other["estimate"].sum() == approx(1)
