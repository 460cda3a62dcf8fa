"""Appointments: late or early, time zones, and counts asked of the engine. Worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from therapyeval.cohort import Condition
from therapyeval.data import read_dataset
from therapyeval.errors import UnknownNameError
from therapyeval.period import parse_period

DUE = {"attended", "no_show", "late_cancel"}


@pytest.fixture
def read(tmp_path):
    """Reads CSV tables in sight; the data cut is 2026-06-30."""
    def build(mapping: str = "", **tables: str):
        for name, text in tables.items():
            lines = [",".join(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines()]
            (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
        (tmp_path / "mapping.yml").write_text("version: 1\ndata_cut: 2026-06-30\n" + mapping, encoding="utf-8")
        return read_dataset(tmp_path)
    return build


def statuses(dataset, **where) -> dict[str, int]:
    """Appointments by status."""
    names = ("attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel")
    counted = {name: dataset.facts.appointments.counts((), numerator={name}, denominator={name}, **where)[0]["b"].sum()
               for name in names}
    return {name: int(n) for name, n in counted.items() if n}


def cancelled(read, start: str, told: str, label: str = "cancelled", by: str = "", zone: str = "") -> str:
    sites = {"sites": f"site_id | time_zone \n s | {zone}"} if zone else {}
    dataset = read(visits="visit_id | patient_id | site_id | scheduled_start | status | status_dt | cancelled_by\n"
                          f"1 | p | s | {start} | {label} | {told} | {by}", **sites)
    return next(iter(statuses(dataset)))


@pytest.mark.parametrize(("start", "told", "expected"), [
    ("2026-03-10T09:00", "2026-03-09T09:00", "early_cancel"),          # exactly 24 hours is early
    ("2026-03-10T09:00", "2026-03-09T09:01", "late_cancel"),
    ("2026-03-10T09:00", "2026-03-10T11:00", "late_cancel"),           # after the start
    ("2026-03-10T09:00", "2026-03-09", "early_cancel"),                # no time of day: by date
    ("2026-03-10", "2026-03-10", "late_cancel"),
    ("2026-03-10T09:00", "2026-03-10", "late_cancel"),
    ("2026-03-10T09:00", "", "early_cancel"),                          # nobody knows when
    ("2026-03-10T09:00+00:00", "2026-03-09T04:30-05:00", "late_cancel"),   # 23.5 hours, by instants
    ("2026-03-10T09:00+00:00", "2026-03-09T04:00-05:00", "early_cancel"),
])
def test_a_cancellation_is_late_when_recorded_less_than_24_hours_before_the_start(read, start, told, expected):
    assert cancelled(read, start, told) == expected


def test_hours_are_instants_on_the_night_when_clocks_change(read):
    # clocks in New York go forward on 8 March 2026: 09:30 on the 7th to 09:30 on the 8th are 23 hours
    assert cancelled(read, "2026-03-08T09:30", "2026-03-07T09:30", zone="America/New_York") == "late_cancel"
    assert cancelled(read, "2026-03-08T09:30", "2026-03-07T08:30", zone="America/New_York") == "early_cancel"


def test_the_recorded_time_decides_over_the_label_and_the_label_where_there_is_no_time(read):
    assert cancelled(read, "2026-03-10T09:00", "2026-03-01T09:00", label="late_cancel") == "early_cancel"
    assert cancelled(read, "2026-03-10T09:00", "", label="late_cancel") == "late_cancel"


@pytest.mark.parametrize("by", ["clinic", "weather", "Weather"])
def test_what_the_clinic_or_the_weather_cancelled_is_no_cancellation_of_the_patient(read, by):
    assert cancelled(read, "2026-03-10T09:00", "2026-03-10T08:00", by=by) == "clinic_cancel"


def test_unknown_times_of_cancellation_are_counted(read):
    dataset = read(visits="""visit_id | patient_id | scheduled_start | status
                             1        | p          | 2026-03-10      | cancelled
                             2        | p          | 2026-03-11      | attended""")
    assert dataset.quality.problems.loc[0, ["rule", "count"]].tolist() == [
        "cancelled at an unknown time; taken as early", 1]


def test_the_day_of_an_appointment_is_that_of_its_site(read):
    dataset = read(sites="site_id | time_zone \n ny | America/New_York \n nowhere | Mars/Olympus",
                   visits="""visit_id | patient_id | site_id | scheduled_start | status
                             1 | p | ny | 2026-03-01T02:00Z | attended
                             2 | p | ny | 2026-03-01T02:00 | attended
                             3 | p | nowhere | 2026-03-01T02:00Z | attended""")
    frame, _ = dataset.facts.appointments.counts((), numerator=DUE, denominator=DUE, by=["site_id"], every="month")
    assert frame[["site_id", "period", "b"]].to_numpy().tolist() == [
        ["nowhere", "2026-03", 1], ["ny", "2026-02", 1], ["ny", "2026-03", 1]]
    assert "time_zone is not known; taken as missing, the row stays" in set(dataset.quality.problems["rule"])


def test_the_time_zone_of_the_mapping_counts_where_the_site_has_none(read):
    dataset = read(mapping="time_zone: America/New_York\n",
                   visits="visit_id | patient_id | scheduled_start | status\n1 | p | 2026-03-01T02:00Z | attended")
    assert statuses(dataset, every="month") == {"attended": 1}
    frame, _ = dataset.facts.appointments.counts((), numerator=DUE, denominator=DUE, every="month")
    assert frame["period"].tolist() == ["2026-02"]


# --- counts of the engine -----------------------------------------------------------------------------------------

TABLES = {
    "episodes": """episode_id | patient_id | discipline | site_id | start_date | status | body_region
                   a | p1 | PT | north | 2026-04-01 | active | knee
                   b | p2 | OT | south | 2026-04-01 | active | knee""",
    "visits": """visit_id | patient_id | episode_id | site_id | scheduled_start | status | booked_date | mode | staff_id
                 1  | p1 | a |       | 2026-04-01 | attended     | 2026-04-01 | in_person  | t1
                 2  | p1 | a |       | 2026-04-08 | no_show      | 2026-04-01 | in_person  | t1
                 3  | p1 | a |       | 2026-05-06 | attended     | 2026-04-05 | telehealth | t1
                 4  | p2 | b |       | 2026-04-02 | attended     | 2026-04-03 | in_person  | t2
                 5  | p2 | b |       | 2026-04-09 | late_cancel  | 2026-04-08 | in_person  | t2
                 6  | p2 | b |       | 2026-04-10 | early_cancel | 2026-03-01 | in_person  | t2
                 7  | p2 | b |       | 2026-04-16 | booked       | 2026-04-02 | in_person  | t2
                 8  | p2 | b |       | 2026-07-01 | booked       | 2026-04-02 | in_person  | t2
                 9  | p3 |   | north | 2026-04-20 | no_show      | 2026-04-19 | in_person  |
                 10 | p3 |   | north | 2026-04-21 | rescheduled  | 2026-04-19 | in_person  |
                 11 | p3 |   | north | 2026-04-22 | deleted      | 2026-04-19 | in_person  | """}


def asked(dataset, conditions=(), **where):
    """No-shows of the slots due, groups with at least one."""
    frame, exclusions = dataset.facts.appointments.counts(conditions, numerator={"no_show"}, denominator=DUE, **where)
    return frame[frame["n"] > 0] if where.get("by") or where.get("every") else frame, exclusions


def test_counts_of_everything_with_sums_over_patients(read):
    frame, exclusions = asked(read(**TABLES))
    # p1: 1 of 3; p2: 0 of 2; p3: 1 of 1
    assert frame.iloc[0].to_dict() == {
        "a": 2, "b": 6, "aa": 2.0, "ab": 1 * 3 + 1 * 1, "bb": 9 + 4 + 1, "n_clusters": 3, "n": 6, "n_missing": 1,
        "n_excluded": 3, "n_people": 3, "people_numerator": 2, "people_complement": 2, "people_missing": 1,
        "people_excluded": 2}
    assert exclusions.to_numpy().tolist() == [
        ["after the data cut", 1, 1], ["early_cancel", 1, 1], ["rescheduled", 1, 1]]


def test_groups_by_the_appointments_own_attributes_and_by_those_of_its_episode(read):
    dataset = read(**TABLES)
    by_site = asked(dataset, by=["site_id"])[0].set_index("site_id")["b"].to_dict()
    assert by_site == {"north": 4, "south": 2}  # the episode's site where the appointment names none
    by_discipline = asked(dataset, by="discipline")[0]
    assert by_discipline["discipline"].fillna("no episode").tolist() == ["OT", "PT", "no episode"]
    assert by_discipline["b"].tolist() == [2, 3, 1]
    by_day = asked(dataset, by=["weekday"])[0].set_index("weekday")["b"].to_dict()
    assert by_day == {"Wednesday": 3, "Thursday": 2, "Monday": 1}


def test_lead_times_have_bands_and_negative_ones_are_missing(read):
    dataset = read(**TABLES)
    bands = asked(dataset, by=["lead_band"])[0]
    assert dict(zip(bands["lead_band"].fillna("missing"), bands["b"], strict=True)) == {
        "0 days": 1, "1-7 days": 3, "over 30 days": 1, "missing": 1}
    assert dataset.quality.problems.set_index("rule").loc[
        "booked after its own day; lead time taken as missing", "rows"] == "5"


@pytest.mark.parametrize(("every", "labels", "counts"), [
    ("week", ["2026-W14", "2026-W15", "2026-W17", "2026-W19"], [2, 2, 1, 1]),
    ("month", ["2026-04", "2026-05"], [5, 1]), ("quarter", ["2026Q2"], [6]), ("year", ["2026"], [6])])
def test_every_period_has_its_row_and_none_lies_after_the_data_cut(read, every, labels, counts):
    frame, exclusions = asked(read(**TABLES), every=every)
    assert frame["period"].tolist() == labels and frame["b"].tolist() == counts
    assert exclusions["reason"].tolist() == ["after the data cut", "early_cancel", "rescheduled"]


def test_iso_weeks_belong_to_the_year_of_their_thursday(read):
    dataset = read(visits="visit_id | patient_id | scheduled_start | status\n1 | p | 2026-01-01 | attended\n"
                          "2 | p | 2025-12-29 | attended\n3 | p | 2025-12-28 | attended")
    assert asked(dataset, every="week")[0]["period"].tolist() == ["2025-W52", "2026-W01"]


def test_a_period_takes_only_its_days(read):
    frame, exclusions = asked(read(**TABLES), period=parse_period("2026-05"))
    assert frame.loc[0, ["a", "b", "n_missing", "n_excluded"]].tolist() == [0, 1, 0, 0] and exclusions.empty
    later, _ = asked(read(**TABLES), period=parse_period("2026Q3"))
    assert later.loc[0, ["b", "n_excluded"]].tolist() == [0, 1]


def test_filters_apply_and_their_flow_says_what_could_not_be_linked(read):
    appointments = read(**TABLES).facts.appointments
    pt = Condition("discipline", ("PT",))
    assert appointments.flow((), pt) == {"n_before": 10, "n_kept": 3, "n_other": 5, "n_not_linked": 2}
    short = Condition("lead_days", low=1, high=7)
    assert appointments.flow((pt,), short) == {"n_before": 3, "n_kept": 1, "n_other": 2, "n_not_linked": 0}
    assert appointments.flow((), Condition("arm", ("new",)))["n_not_linked"] == 10  # nobody is enrolled
    frame, _ = appointments.counts((pt, short), numerator={"no_show"}, denominator=DUE)
    assert frame.loc[0, ["a", "b"]].tolist() == [1, 1]
    nothing, exclusions = appointments.counts((Condition("arm", ("new",)),), numerator={"no_show"}, denominator=DUE)
    assert nothing.loc[0, ["a", "b", "n_people"]].tolist() == [0, 0, 0] and exclusions.empty


def test_values_are_listed_and_unknown_names_refused(read):
    appointments = read(**TABLES).facts.appointments
    assert appointments.values("mode").tolist() == ["in_person", "telehealth"]
    assert sorted(appointments.values("staff")) == [0, 1]  # small numbers, never the source's ids
    with pytest.raises(UnknownNameError, match="Did you mean site_id"):
        asked(read(**TABLES), by=["site"])
    with pytest.raises(UnknownNameError):
        appointments.values("status_dt")


def test_visits_of_an_unknown_episode_or_of_another_patient_count_without_one(read):
    dataset = read(episodes=TABLES["episodes"], visits="""
        visit_id | patient_id | episode_id | scheduled_start | status
        1 | p1 | a     | 2026-04-01 | attended
        2 | p1 | other | 2026-04-02 | attended
        3 | p2 | a     | 2026-04-03 | attended""")
    assert dataset.facts.episodes["n_attended"].tolist() == [1.0, 0.0]
    assert statuses(dataset) == {"attended": 3}
    assert set(dataset.quality.problems["rule"]) == {
        "unknown episode_id; the visit counts without an episode",
        "patient_id is not that of its episode; the visit counts without an episode",
        "no discharge, and the last visit is long ago; closed at that visit (closed_admin)"}


def test_visit_counts_and_minutes_of_an_episode(read):
    charges = "charge_id | visit_id | minutes\nc1 | 1 | 30\nc2 | 1 | 15\nc3 | 99 | 15"
    dataset = read(episodes=TABLES["episodes"], charges=charges, visits="""
        visit_id | patient_id | episode_id | scheduled_start | scheduled_end | status | billable
        1 | p1 | a | 2026-04-01T09:00 | 2026-04-01T10:00 | attended | yes
        2 | p1 | a | 2026-04-02T09:00 | 2026-04-02T09:40 | attended |
        3 | p1 | a | 2026-04-03T09:00 | 2026-04-03T10:00 | attended | no
        4 | p1 | a | 2026-04-04T09:00 | 2026-04-04T10:00 | no_show  |
        5 | p2 | b | 2026-04-04T09:00 | 2026-04-04T10:00 | attended |
        6 | p2 | b | 2026-04-05T09:00 |                  | attended | """)
    episodes = dataset.facts.episodes
    assert episodes["n_attended"].tolist() == [2.0, 2.0]  # a visit that is not billable is none
    assert episodes["n_no_show"].tolist() == [1.0, 0.0]
    assert episodes.loc[0, "minutes"] == 45 + 40 and np.isnan(episodes.loc[1, "minutes"])  # one visit: nobody knows
    assert dataset.quality.tables.set_index("table").loc["charges", "left_out"] == 1


def test_past_bookings_are_missing_and_warned_of_above_5_percent(read):
    def severity(n_attended):
        rows = [f"a{n} | p | 2026-04-01 | attended" for n in range(n_attended)] + ["b | p | 2026-04-01 | booked"]
        dataset = read(visits="\n".join(["visit_id | patient_id | scheduled_start | status", *rows]))
        return dataset.quality.problems.loc[0, "severity"]
    assert (severity(19), severity(18)) == ("note", "warning")  # 1 of 20 is 5%, 1 of 19 is more


def test_visits_alone_whose_discipline_nobody_knows_have_no_episodes(read):
    facts = read(visits="visit_id | patient_id | scheduled_start | status\n1 | p | 2026-04-01 | attended").facts
    assert len(facts.episodes) == 0 and len(facts.scores) == 0 and facts.has_calendar
    assert pd.api.types.is_datetime64_dtype(facts.episodes["end_date"])
    assert "visit_type" not in facts.appointments.attributes
