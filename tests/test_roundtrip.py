"""Canonical tables in every format that is written, and back: the same facts, with one fingerprint."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import fields, replace

import duckdb
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from therapyeval.data import read_dataset, schema
from therapyeval.data.fingerprint import facts_fingerprint
from therapyeval.data.importing import import_dataset
from therapyeval.data.synthetic import write_sample

SPEED = 10 / 7.3  # a number that needs all 17 digits
RAW = {  # every canonical table
    "episodes.csv": "episode_id,patient_id,discipline,site_id,start_date,discharge_date,status,referral_id,years\n"
                    "E-2,MRN-9,PT,east,2026-01-05,2026-02-16,finished,R7,0.1\n"
                    "E-1,MRN-10,OT,\"north, old\",2026-01-12,,active,,\n",
    "visits.csv": "visit_id,patient_id,episode_id,scheduled_start,status,status_dt,visit_type,staff_id\n"
                  "v1,MRN-9,E-2,2026-01-05T23:30:00Z,attended,,evaluation,S7\n"
                  "v2,MRN-9,E-2,2026-01-12T09:30:00-05:00,cancelled,2026-01-11,,S7\n"
                  "v3,MRN-9,E-2,2026-02-16,attended,,,S8\n"
                  "v4,MRN-10,E-1,2026-01-12T00:15:00+05:30,attended,,evaluation,S8\n",
    "assessments.csv": "assessment_id,patient_id,episode_id,measure_code,score,date,timepoint\n"
                       f"a1,MRN-9,E-2,gait_speed,{SPEED!r},2026-01-05,initial\n"
                       "a2,MRN-9,E-2,gait_speed,1.5,2026-02-16,discharge\n"
                       "a3,MRN-9,E-2,six_mwt,1000,2026-01-05,initial\n"
                       "a4,MRN-9,E-2,six_mwt,1200,2026-02-16,discharge\n"
                       "a5,MRN-9,E-2,ndi,40,2026-01-05,initial\n"
                       "a6,MRN-9,E-2,pgic,2,2026-02-16,discharge\n",
    "referrals.csv": "referral_id,patient_id,received_date,discipline\n"
                     "R7,MRN-9,2025-12-20,PT\nR8,MRN-10,2026-01-02,OT\n",
    "discharges.csv": "episode_id,discharge_date,reason,goals_met_pct\nE-2,2026-02-16,goals_met,66.6\n",
    "enrollment.csv": "patient_id,arm,eligible,consent_date,withdrawn_date\n"
                      "MRN-9,pilot,yes,2026-01-04,\nMRN-10,usual,yes,2026-01-10,2026-02-01\n",
    "charges.csv": "charge_id,visit_id,cpt,units,minutes,amount\nc1,v1,97110,2,30.5,80\nc2,v1,97110,-1,-15,-40\n"
                   "c3,v4,G0283,1,15,9.99\n",
    "staff.csv": "staff_id,license_type,site_id,fte\nS7,PT,east,0.8\nS8,OTA,\"north, old\",1\n",
    "staff_hours.csv": "staff_id,week,paid_hours,worked_hours,patient_minutes\nS7,2026-01-05,32,30.1,1500\n",
    "availability.csv": "staff_id,date,site_id,available_minutes,open_eval_slots\nS7,2026-01-05,east,480,2\n",
    "goals.csv": "goal_id,episode_id,baseline_level,attained_level,weight,horizon\n"
                 "g1,E-2,-1,1,0.3,long\ng2,E-1,-2,,,short\n",
    "satisfaction.csv": "response_id,patient_id,episode_id,invited_date,date,score,score_min,score_max,nps\n"
                        "r1,MRN-9,E-2,2026-02-10,2026-02-12,4.5,1,5,9\nr2,,,2026-02-11,,,1,5,\n",
    "admissions.csv": "stay_id,patient_id,site_id,admit_date,discharge_date,discharge_status,interruption_days\n"
                      "K1,MRN-9,east,2026-01-20,2026-01-29,home,1\nK2,MRN-9,east,2026-02-10,,,\n",
    "events.csv": "event_id,patient_id,episode_id,date,type,severity\nx1,MRN-9,E-2,2026-01-14,fall,minor\n"
                  "x2,,,2026-01-15,complaint,\n",
    "authorizations.csv": "authorization_id,episode_id,visits_authorized,start_date,end_date,status\n"
                          "Z1,E-2,12,2026-01-05,2026-03-31,approved\n",
    "sites.csv": "site_id,time_zone\neast,America/New_York\n\"north, old\",Asia/Kolkata\n",
    "patients.csv": "patient_id,birth_date,sex\nMRN-9,1960-05-05,female\nMRN-10,1950-01-31,male\n",
    "mapping.yml": "version: 1\nnote: 'yes: \"no\", 007'\ntime_zone: Europe/Berlin\nreopen_gap_days: 20\n"
                   "attributes: {years: number}\nmeasure_set: [{discipline: PT, measures: [six_mwt]}]\n"
                   "measure_units: {six_mwt: {unit: ft}, ndi: {scale: percent}, pgic: {better: high}}\n",
}


@pytest.fixture(params=["mixed", "harbor_rehab"], scope="module")
def imported(request, tmp_path_factory):
    """Folder that import made, and facts of the raw data: one by hand with every trap, one synthetic of some size."""
    place = tmp_path_factory.mktemp("roundtrip")
    raw = place / "raw"
    if request.param == "mixed":
        raw.mkdir()
        for name, text in RAW.items():
            (raw / name).write_text(text, encoding="utf-8")
    else:
        write_sample(raw, n_sites=4, n_episodes=500)
    return import_dataset(raw, place / "canonical").folder, read_dataset(raw).facts


def words(column: pa.ChunkedArray) -> list[str | None]:
    """Cells as text: ISO dates, every digit of a number."""
    return [None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
            for value in column.to_pylist()]


def to_csv(tables, folder):
    for name, table in tables.items():
        frame = pd.DataFrame({column: words(table[column]) for column in table.column_names})
        frame.to_csv(folder / f"{name}.csv", index=False)


def to_parquet(tables, folder):
    for name, table in tables.items():
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")


def to_workbook(tables, folder):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in tables.items():
        sheet = book.create_sheet(name)
        for row in [table.column_names, *zip(*(words(column) for column in table.columns), strict=True)]:
            sheet.append(list(row))
    book.save(folder / "clinic.xlsx")


def to_sqlite(tables, folder):
    with sqlite3.connect(folder / "clinic.db") as connection:
        for name, table in tables.items():
            numbers = [pa.types.is_floating(column.type) for column in table.columns]
            types = ", ".join(f'"{column}" {"REAL" if is_number else "TEXT"}'
                              for column, is_number in zip(table.column_names, numbers, strict=True))
            connection.execute(f"CREATE TABLE {name} ({types})")
            cells = [column.to_pylist() if is_number else words(column)
                     for column, is_number in zip(table.columns, numbers, strict=True)]
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(cells))})",
                                   zip(*cells, strict=True))
    connection.close()


def to_duckdb(tables, folder):
    with duckdb.connect(str(folder / "clinic.duckdb")) as connection:
        for name, table in tables.items():
            connection.register("given", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
            connection.unregister("given")


WRITERS = {"csv": to_csv, "parquet": to_parquet, "workbook": to_workbook, "sqlite": to_sqlite, "duckdb": to_duckdb}


@pytest.mark.parametrize("form", WRITERS)
def test_every_written_format_gives_the_facts_of_the_raw_data(imported, tmp_path, form):
    canonical, wanted = imported
    tables = {path.stem: pyarrow.parquet.ParquetFile(path).read() for path in canonical.glob("*.parquet")}
    WRITERS[form](tables, tmp_path)
    shutil.copyfile(canonical / "mapping.yml", tmp_path / "mapping.yml")
    found = read_dataset(tmp_path).facts
    for name in ("episodes", "scores", "referrals"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(wanted, name), check_like=True)
    assert facts_fingerprint(found) == facts_fingerprint(wanted)


def test_the_data_set_written_by_hand_has_every_table():
    assert {name.removesuffix(".csv") for name in RAW} - {"mapping.yml"} == set(schema.TABLES)


def test_what_the_raw_mapping_declares_is_done_once(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, text in RAW.items():
        (raw / name).write_text(text, encoding="utf-8")
    data = read_dataset(import_dataset(raw, tmp_path / "canonical").folder)
    assert not [item.name for item in fields(data.facts) if getattr(data.facts, item.name) is None]  # all kinds
    scores = data.facts.scores.set_index("measure")
    assert scores.loc["gait_speed", "baseline"] == SPEED
    assert scores.loc["six_mwt", "final"] == pytest.approx(1200 * 0.3048, abs=1e-12)     # feet to metres, once
    assert scores.loc["ndi", "baseline"] == 20 and scores.loc["pgic", "final"] == 2
    assert scores.index[scores["is_primary"]].tolist() == ["six_mwt"]
    assert data.facts.episodes.sort_values("site_id")["first_visit_date"].astype("str").tolist() == [
        "2026-01-05", "2026-01-12"]      # 23:30 UTC is 18:30 in New York; India's clock is its own
    assert data.note == 'yes: "no", 007' and data.facts.episodes["n_early_cancel"].sum() == 1   # the day before


def test_a_fingerprint_of_facts_is_that_of_a_set_of_rows(imported):
    facts = imported[1]
    turned = replace(facts, episodes=facts.episodes.iloc[::-1, ::-1], scores=facts.scores.iloc[::-1])
    assert facts_fingerprint(turned) == facts_fingerprint(facts)


@pytest.mark.parametrize("change", [
    lambda facts: {"episodes": facts.episodes.iloc[1:]},
    lambda facts: {"episodes": pd.concat([facts.episodes, facts.episodes.iloc[:1]])},
    lambda facts: {"scores": facts.scores.assign(baseline=facts.scores["baseline"] + 1e-13)},
    lambda facts: {"episodes": facts.episodes.rename(columns={"site_id": "site"})},
    lambda facts: {"min_visits": 4}, lambda facts: {"appointments": None}, lambda facts: {"measures": {}},
], ids=["a row less", "a row twice", "the last digit", "a name", "a setting", "no appointments", "other measures"])
def test_other_facts_have_another_fingerprint(imported, change):
    facts = imported[1]
    assert facts_fingerprint(replace(facts, **change(facts))) != facts_fingerprint(facts)
