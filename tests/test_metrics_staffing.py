"""Staff, calendars, charges and notes: metric definitions, sections 2, 2.1 and 4."""

import pandas as pd
import pytest
from conftest import row

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError


def visit(number, staff="s1", start="2026-08-03T09:00:00", end="2026-08-03T10:00:00", **more):
    return {"visit_id": f"v{number}", "patient_id": f"p{number}", "scheduled_start": start, "scheduled_end": end,
            "status": "attended", "staff_id": staff, "visit_type": "treatment", **more}


def staff(name, license_type="PT", fte=1.0, **more):
    return {"staff_id": name, "license_type": license_type, "fte": fte, "site_id": "north", "hire_date": "2020-01-01",
            "end_date": "", **more}


def hours(name, week, worked, minutes=""):
    return {"staff_id": name, "week": week, "worked_hours": worked, "patient_minutes": minutes}


def test_units_per_visit_net_of_reversals_without_g_and_l_codes_and_free_charges(read_tables):
    visits = [visit(i) for i in range(6)]
    visits[5]["billable"] = "no"
    charge = ["v0,97110,3,90", "v0,97110,-1,-30", "v1,97161,1,90", "v2,G0283,1,20", "v3,97110,2,0", "v4,97530,4,80",
              "v4,L1234,9,80", "v5,97110,7,80"]
    charges = [dict(zip(("visit_id", "cpt", "units", "amount"), line.split(","), strict=True), charge_id=f"c{i}")
               for i, line in enumerate(charge)]
    result = summarize(read_tables(visits=visits, charges=charges).cohort(), "units_per_visit")
    found = row(result)
    assert (found["numerator"], found["denominator"], found["n_excluded"]) == (2 + 1 + 4, 3, 3)
    assert result.exclusions["reason"].tolist() == ["no counted charge"]


def test_units_per_visit_of_the_definitions_and_cost_per_unit(read_tables):
    visits = [{**visit(i), "episode_id": "e1", "patient_id": "p"} for i in range(24)]
    charges = [{"charge_id": f"c{i}", "visit_id": f"v{i}", "cpt": "97110", "units": 3 + i % 2} for i in range(24)]
    dataset = read_tables(visits=visits, charges=charges, episodes="episode_id patient_id discipline site_id "
                          "start_date status discharge_date\ne1 p PT north 2026-08-03 finished 2026-09-01")
    found = row(summarize(dataset.cohort(), "units_per_visit"))
    assert (found["numerator"], found["denominator"], found["estimate"]) == (84, 24, 3.5)
    assert row(summarize(dataset.cohort(), "cost_per_episode,cost_per_unit=30"))["estimate"] == 84 * 30


def test_assistants_of_the_definitions(read_tables):
    who = ["pta"] * 30 + ["pt"] * 90 + ["aide"] * 7 + ["nobody"] * 4 + [""] * 3
    dataset = read_tables(visits=[visit(i, name) for i, name in enumerate(who)],
                          staff=[staff("pt"), staff("pta", "pta"), staff("aide", "aide")])
    found = row(summarize(dataset.cohort(), "staff_mix_assistant"))
    assert (found["numerator"], found["denominator"], found["estimate"]) == (30, 120, 0.25)
    assert (found["n_missing"], found["n_excluded"]) == (7, 7)


def test_notes_of_the_definitions(read_tables):
    """48 hours after the scheduled end is in time, a second more is not; a day without a time says nothing."""
    finals = ["2026-08-05T10:00:00"] * 95 + ["2026-08-05T10:00:01"] * 5 + ["2026-08-04"] * 2 + [""] * 3
    dataset = read_tables(visits=[visit(i, note_finalized=final) for i, final in enumerate(finals)])
    result = summarize(dataset.cohort(), "note_within_48h")
    assert row(result)[["numerator", "denominator", "n_excluded"]].tolist() == [95, 100, 5]
    assert result.exclusions["reason"].tolist() == ["no time of the note"]


@pytest.mark.parametrize(("metric", "words"), [
    ("units_per_visit", "no billed units"), ("note_within_48h", "no times of notes"),
    ("staff_mix_assistant", "no license types"), ("slot_utilization", "no table availability"),
    ("productivity", "no table staff_hours"), ("caseload_per_fte", "no table staff")])
def test_what_the_data_do_not_say_is_refused(read_tables, metric, words):
    with pytest.raises(NotEvaluableError, match=words):
        summarize(read_tables(visits=[visit(1)]).cohort(), metric, period="2026Q3")


def test_productivity_of_the_definitions(read_tables):
    """The share of the definitions, 75%: 1 800 billable minutes in 40 worked hours; shown in hours."""
    weeks = [hours("s1", "2026-08-03", 20, 900), hours("s1", "2026-08-10", 20, 900), hours("s2", "2026-08-03", 39, 60),
             hours("s3", "2026-08-03", 40, ""), hours("s1", "2026-11-02", 20, 900)]
    dataset = read_tables(staff_hours=weeks, staff=[staff("s1"), staff("s2"), staff("s3")],
                          visits=[{**visit(1), "staff_id": ""}])
    result = summarize(dataset.cohort(), "productivity", period="2026Q3")
    found = row(result)
    assert (found["estimate"], found["numerator"], found["denominator"]) == (0.75, 30, 40)
    assert (found["n"], found["n_missing"], found["n_excluded"]) == (1, 1, 1)
    assert result.exclusions["reason"].tolist() == ["fewer than 40 worked hours"]
    more = row(summarize(dataset.cohort(), "productivity,min_hours=39", period="2026Q3"))
    assert (more["numerator"], more["denominator"], more["n"]) == (31, 79, 2)


def test_a_group_session_counts_once_for_the_therapist(read_tables):
    group = [visit(i, visit_type="group") for i in range(4)]                       # 60 minutes together
    single = [visit(9, start="2026-08-09T12:00:00", end="2026-08-09T12:45:00"),
              visit(10, start="2026-08-10T12:00:00", end="2026-08-10T12:30:00")]   # a week later
    dataset = read_tables(visits=group + single, staff=[staff("s1")],
                          staff_hours=[hours("s1", "2026-08-03", 40, 999), hours("s1", "2026-08-10", 40, 999),
                                       hours("s1", "2026-08-17", 40, 333)])
    assert dataset.facts.staff_weeks["billable_minutes"].tolist() == [105, 30, 333]


def test_slots_of_the_definitions(read_tables):
    """1 920 attended + 150 no-show + 90 late of 2 400 minutes; what is held twice, or cancelled early, is not."""
    day = pd.Timestamp("2026-08-03T06:00")
    lengths = {"attended": [60] * 32, "no_show": [50] * 3, "late_cancel": [45] * 2, "early_cancel": [60] * 4}
    visits, start = [], day
    for status, minutes in lengths.items():
        for length in minutes:
            who, begin = f"s{len(visits) % 5}", day + (start - day) % pd.Timedelta(hours=17)
            visits.append(visit(len(visits), who, begin.isoformat(), (begin + pd.Timedelta(minutes=length)).isoformat(),
                                status=status))
            start += pd.Timedelta(minutes=60)
    visits.append(visit(99, visits[0]["staff_id"], visits[0]["scheduled_start"], visits[0]["scheduled_end"]))
    days = [{"staff_id": f"s{i}", "date": "2026-08-03", "site_id": "north", "available_minutes": 480} for i in range(5)]
    days.append({"staff_id": "s1", "date": "2026-11-03", "site_id": "north", "available_minutes": 480})
    found = row(summarize(read_tables(visits=visits, availability=days).cohort(), "slot_utilization", period="2026Q3"))
    assert (found["numerator"], found["denominator"], found["estimate"]) == (2160, 2400, 0.9)
    assert (found["n"], found["n_people"]) == (5, 5)


def test_days_to_the_third_open_slot(read_tables):
    """From Monday 7 September slots on 8 (1), 10 (1) and 13 (2): six days; from the 14th on 20: six; then no third."""
    slots = {"2026-09-07": 0, "2026-09-08": 1, "2026-09-10": 1, "2026-09-13": 2, "2026-09-16": 2, "2026-09-20": 1,
             "2026-09-21": 2}
    days = [{"staff_id": "s1", "date": day, "site_id": "north", "open_eval_slots": n} for day, n in slots.items()]
    result = summarize(read_tables(visits=[visit(1)], availability=days).cohort(), "third_next_available")
    found = row(result, statistic="median")
    assert (found["estimate"], found["n"], found["n_missing"]) == (6, 2, 1)


CARE = """
    episode_id  patient_id  discipline  site_id  start_date  status    discharge_date
    seen        a           PT          north    2026-07-01  active    -
    early       b           PT          north    2026-07-01  active    -
    ahead       c           PT          south    2026-07-01  active    -
    silent      d           PT          south    2026-07-01  active    -
    closed      e           PT          south    2026-07-01  finished  2026-08-30"""


def care(data_cut="2026-09-30"):
    days = {"seen": ("2026-08-03", "attended"), "early": ("2026-08-02", "attended"), "ahead": ("2026-09-28", "booked"),
            "silent": ("2026-08-20", "no_show"), "closed": ("2026-08-29", "attended")}
    return [{"visit_id": name, "patient_id": "abcde"[i], "episode_id": name, "scheduled_start": day, "status": status}
            for i, (name, (day, status)) in enumerate(days.items())]


def test_active_census_and_caseload(read_tables):
    """On 31 August: seen 28 days before (29 is too early), booked 28 days ahead; a no-show before is no use."""
    people = [staff("s1", fte=0.5), staff("s2", "SLP", 0.5, site_id="south"), staff("s3", "PTA"),
              staff("s4", end_date="2026-08-30"), staff("s5", hire_date="2026-09-01")]
    dataset = read_tables(episodes=CARE, visits=care(), staff=people, mapping="stale_days: 500\n")
    cohort = dataset.cohort()
    assert row(summarize(cohort, "census,t=2026-08-31"))["estimate"] == 4
    assert row(summarize(cohort, "active_census,t=2026-08-31"))["estimate"] == 2
    assert row(summarize(cohort, "active_census,t=2026-08-31,window=29"))["estimate"] == 3
    found = row(summarize(cohort, "caseload_per_fte,t=2026-08-31"))
    assert (found["estimate"], found["numerator"], found["denominator"]) == (2, 2, 1)
    assert (found["n"], found["n_people"], found["n_missing"]) == (2, 2, 0)
    sites = summarize(cohort, "caseload_per_fte,t=2026-08-31", by="site_id").frame
    assert sites[["site_id", "numerator", "denominator"]].to_numpy().tolist() == [["north", 1, 0.5], ["south", 1, 0.5]]
