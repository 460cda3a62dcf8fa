"""Databases: read only, named without their address, and every way in which one cannot be read."""

from __future__ import annotations

import hashlib
import sqlite3

import duckdb
import pytest
import source_writers as writers
from source_writers import postgres  # noqa: F401 (a fixture)

from therapyeval.data import read_dataset, sources
from therapyeval.errors import DataError

MAPPING = """version: 1
tables:
  - table: episodes
    episode: {id: episode_id, patient_id: patient_id, discipline: discipline, start_date: start_date, status: status}
  - table: visits
    visit: {id: visit_id, patient_id: patient_id, episode_id: episode_id, scheduled_start: scheduled_start,
            status: status}
"""


@pytest.fixture(scope="session")
def clinic(postgres):  # noqa: F811
    """A filled server and the address of its database."""
    return postgres, postgres.fill("north_clinic")


def test_a_mapping_reads_tables_of_a_server(clinic, tmp_path):
    (tmp_path / "m.yml").write_text(MAPPING)
    dataset = read_dataset(clinic[1], mapping=tmp_path / "m.yml")
    assert len(dataset.facts.episodes) == 3 and dataset.name == "north_clinic"
    assert dataset.quality.tables["file"].tolist() == ["north_clinic, table episodes", "north_clinic, table visits"]


def test_the_password_may_come_from_the_environment(clinic, monkeypatch):
    server, _ = clinic
    monkeypatch.setenv("PGPASSWORD", server.password)
    assert "episodes" in sources.parts(server.url(with_password=False, database="north_clinic"))


def test_neither_address_nor_password_gets_into_a_record_a_fingerprint_or_a_message(clinic, monkeypatch):
    server, url = clinic
    dataset = read_dataset(url)
    shown = repr(dataset) + dataset.quality.to_text() + str(dataset.cohort().source)
    for secret in (server.password, "s3cret", str(server.port), "analyst", "127.0.0.1"):
        assert secret not in shown
    monkeypatch.setenv("PGPASSWORD", server.password)
    assert read_dataset(server.url(with_password=False, database="north_clinic")).fingerprint == dataset.fingerprint
    for address in (url.replace("s3cret", "wrong"), url.replace(str(server.port), "1"), url.replace("north_", "no_")):
        with pytest.raises(DataError, match=r"the database \w+ cannot be reached") as error:
            read_dataset(address)
        for secret in ("s3cret", "wrong", str(server.port), "analyst", "127.0.0.1"):
            assert secret not in str(error.value)
        assert error.value.__suppress_context__


def test_the_fingerprint_follows_the_rows(clinic, postgres):  # noqa: F811
    url = postgres.fill("changing")
    before = read_dataset(url).fingerprint
    postgres.execute("UPDATE visits SET minutes = 43 WHERE visit_id = '0001'", database="changing")
    assert read_dataset(url).fingerprint != before


def test_types_of_a_server_become_iso_text(postgres):  # noqa: F811
    postgres.execute("CREATE DATABASE types")
    postgres.execute("SET timezone = 'America/New_York'", "CREATE TYPE mood AS ENUM ('good')",
                     "CREATE TABLE t (id bigint, n numeric(10, 2), at timestamptz, wall timestamp, day date, "
                     "ok boolean, m mood, key uuid)",
                     "INSERT INTO t VALUES (9007199254740993, 12.50, '2026-07-05 09:30:00', '2026-07-05 09:30:00', "
                     "'2026-07-05', true, 'good', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), "
                     "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12')",
                     "CREATE VIEW v AS SELECT id FROM t", database="types")
    url = postgres.url(database="types")
    assert sources.parts(url) == ("t", "v")
    empty, full = sources.read(url, part="t").table.to_pylist()
    assert full == {"id": "9007199254740993", "n": "12.50", "at": "2026-07-05 13:30:00+00:00",
                    "wall": "2026-07-05 09:30:00", "day": "2026-07-05", "ok": "true", "m": "good",
                    "key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "_row": 2}
    assert [name for name, value in empty.items() if value is not None] == ["key", "_row"]


def test_a_server_is_only_ever_read(postgres):  # noqa: F811
    import psycopg

    from therapyeval.data.sources import sql

    with pytest.raises(DataError), sql._server(postgres.url()) as connection:
        connection.raw_sql("CREATE TABLE forbidden (a int)")
    with psycopg.connect(postgres.url()) as connection:
        assert not connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'forbidden'").fetchall()


def test_a_table_of_another_schema_is_reached_by_the_address(postgres):  # noqa: F811
    postgres.execute("CREATE SCHEMA therapy", "CREATE TABLE therapy.visits (id text)", "INSERT INTO therapy.visits "
                     "VALUES ('007')")
    assert sources.parts(postgres.url() + "/therapy") == ("visits",)
    assert sources.read(postgres.url() + "/therapy").table.to_pylist() == [{"id": "007", "_row": 1}]


@pytest.mark.parametrize("write", [writers.write_duckdb, writers.write_sqlite])
def test_a_database_file_is_read_without_being_touched(tmp_path, write):
    path = write(tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    path.chmod(0o400)
    assert len(read_dataset(path).facts.episodes) == 3
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_mapping_beside_a_database_file_reads_its_tables(tmp_path):
    path = writers.write_sqlite(tmp_path)
    (tmp_path / "mapping.yml").write_text(MAPPING.replace("- table", "- read: clinic.db\n    table"))
    assert read_dataset(tmp_path).quality.tables["file"].tolist() == read_dataset(path).quality.tables["file"].tolist()


@pytest.mark.parametrize(("part", "message"), [
    ("visitss", "clinic.db has no table 'visitss'. Did you mean visits?"),
    (None, "clinic.db holds 3 tables: assessments, episodes, visits. Say which one with `table:` in the mapping"),
    ('visits"; DROP TABLE visits; --', "clinic.db has no table"),
])
def test_a_table_must_be_one_of_the_database(tmp_path, part, message):
    with pytest.raises(DataError) as error:
        sources.read(writers.write_sqlite(tmp_path), part=part)
    assert message in str(error.value)


def test_sqlite_keeps_leading_zeros_odd_names_and_mixed_types(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute('CREATE TABLE "my ""visits""" (" id " text, n, note)')
        connection.executemany('INSERT INTO "my ""visits""" VALUES (?, ?, ?)', [("7", 1, None), ("007", 2.5, "x"),
                                                                                 ("07", "two", " "), (None, None, "")])
    connection.close()
    raw = sources.read(tmp_path / "a.db")
    assert raw.file == 'a.db, table my "visits"'
    assert raw.table.to_pylist() == [{"id": "007", "n": "2.5", "note": "x", "_row": 2},
                                     {"id": "07", "n": "two", "note": None, "_row": 3},
                                     {"id": "7", "n": "1", "note": None, "_row": 4}]
    assert raw.aside == ((1, "blank row"),)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.duckdb", b"nonsense" * 100, "a.duckdb cannot be read as a DuckDB database"),
    ("a.sqlite", b"SQLite format 3\x00" + b"\xff" * 500, "a.sqlite cannot be read as a SQLite database"),
])
def test_a_file_that_is_no_database_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_dataset(tmp_path / name)
    assert str(tmp_path) not in str(error.value)


def test_a_duckdb_file_that_another_connection_writes_to_says_so(tmp_path):
    path = writers.write_duckdb(tmp_path)
    with duckdb.connect(str(path)), pytest.raises(DataError, match="clinic.duckdb cannot be read .*another program"):
        sources.parts(path)


def test_without_the_driver_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(DataError, match=r"PostgreSQL needs its driver: .* install 'therapyeval\[postgres\]'"):
        sources.parts("postgresql://someone:secret@localhost/clinic")
