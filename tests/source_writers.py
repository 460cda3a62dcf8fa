"""One small data set, and how each kind of source holds it. Used by the tests of the sources."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

# Sorted by key, so that a position in a database is a row of a file. `-` stands for an empty cell.
EPISODES = [
    ["episode_id", "patient_id", "discipline", "site_id", "start_date", "discharge_date", "status", "program", "group",
     "planned_visits"],
    ["e01", "007", "PT", "Vitória", "2026-01-05", "2026-02-16", "finished", 'knee, "fast track"', "1", "12"],
    ["e02", "07", "OT", "north, east", "2026-01-12", None, "active", None, None, None],
    ["e03", "7", "SLP", "O'Brien", "2026-01-13", "2026-02-20", "discharged", "naïve", "2", "8"],  # unknown status
    ["e04", "8", "SLP", "O'Brien", "2026-01-14", "2026-02-20", "finished", "two\nlines", "2", "8"],
]
VISITS = [
    ["visit_id", "patient_id", "episode_id", "scheduled_start", "status", "minutes", "visit_type"],
    ["0001", "007", "e01", "2026-01-05T09:30:00", "attended", "42.5", "evaluation"],
    ["0002", "007", "e01", "2026-01-12T09:30:00", "no_show", None, None],
    ["0003", "007", "e01", "2026-02-16T10:00:00", "attended", "30", None],
    ["0004", "07", "e02", "2026-01-12T23:59:30", "attended", "0.75", "evaluation"],
    ["0005", "7", None, "2026-01-14T08:00:00", "vanished", None, None],  # unknown status
    ["0006", "8", "e04", "2026-01-14T08:00:00", "attended", "25", "evaluation"],
]
ASSESSMENTS = [
    ["assessment_id", "patient_id", "episode_id", "measure_code", "score", "date", "timepoint"],
    ["01", "007", "e01", "tug", "20.25", "2026-01-05", "initial"],
    ["02", "007", "e01", "tug", "14.5", "2026-02-16", "discharge"],
    ["03", "8", "e04", "tug", "1e1", "2026-01-14", "initial"],
]
TABLES = {"episodes": EPISODES, "visits": VISITS, "assessments": ASSESSMENTS}
NUMBERS = ("group", "planned_visits", "minutes", "score")
DAYS, MOMENTS = ("start_date", "discharge_date", "date"), ("scheduled_start",)
SQL_TYPES = (dict.fromkeys(NUMBERS, "double precision") | dict.fromkeys(DAYS, "date")
             | dict.fromkeys(MOMENTS, "timestamp"))


def typed(name: str, cell: str | None) -> object:
    """A cell as a program with types would hold it."""
    if cell is None:
        return None
    if name in NUMBERS:
        return float(cell)
    if name in DAYS:
        return datetime.date.fromisoformat(cell)
    return datetime.datetime.fromisoformat(cell) if name in MOMENTS else cell


def typed_rows(table: list[list]) -> list[list]:
    return [[typed(name, cell) for name, cell in zip(table[0], row, strict=True)] for row in table[1:]]


def csv_text(table: list[list], delimiter: str = ",", line_end: str = "\n") -> str:
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, lineterminator=line_end).writerows(table)
    return sink.getvalue()


def write_csv(folder: Path) -> Path:
    for name, table in TABLES.items():
        (folder / f"{name}.csv").write_text(csv_text(table), encoding="utf-8")
    return folder


def write_german_csv(folder: Path) -> Path:
    for name, table in TABLES.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(csv_text(table, ";", "\r\n").encode("cp1252")))
    return folder


def write_tsv_with_mark(folder: Path) -> Path:
    for name, table in TABLES.items():
        (folder / f"{name}.tsv").write_text("\ufeff" + csv_text(table, "\t"), encoding="utf-8")
    return folder


def arrow(table: list[list], *, with_types: bool) -> pa.Table:
    rows = typed_rows(table) if with_types else table[1:]
    return pa.table(dict(zip(table[0], map(pa.array, zip(*rows, strict=True)), strict=True)))


def write_parquet(folder: Path, *, with_types: bool = False) -> Path:
    for name, table in TABLES.items():
        pyarrow.parquet.write_table(arrow(table, with_types=with_types), folder / f"{name}.parquet")
    return folder


def write_typed_parquet(folder: Path) -> Path:
    return write_parquet(folder, with_types=True)


def write_workbook(folder: Path, *, with_types: bool = False) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in TABLES.items():
        sheet = book.create_sheet(name)
        for row in [table[0], *(typed_rows(table) if with_types else table[1:])]:
            sheet.append(row)
    book.save(folder / "clinic.xlsx")
    return folder / "clinic.xlsx"


def write_typed_workbook(folder: Path) -> Path:
    return write_workbook(folder, with_types=True)


def create_table(name: str, table: list[list]) -> str:
    columns = ", ".join(f'"{column}" {SQL_TYPES.get(column, "text")}' for column in table[0])
    return f"CREATE TABLE {name} ({columns})"


def write_duckdb(folder: Path) -> Path:
    with duckdb.connect(str(folder / "clinic.duckdb")) as connection:
        for name, table in TABLES.items():
            connection.execute(create_table(name, table))
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table[0]))})", typed_rows(table))
    return folder / "clinic.duckdb"


def write_sqlite(folder: Path) -> Path:
    with sqlite3.connect(folder / "clinic.db") as connection:
        for name, table in TABLES.items():
            connection.execute(create_table(name, table).replace("timestamp", "text").replace("date,", "text,"))
            rows = [[float(cell) if cell and column in NUMBERS else cell
                     for column, cell in zip(table[0], row, strict=True)] for row in reversed(table[1:])]
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table[0]))})", rows)
    connection.close()
    return folder / "clinic.db"


class PostgresServer:
    """A server of its own in a temporary folder; runs as `postgres` where the tests run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.password = folder, "s3cret/word"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def run(self, *command: str) -> None:
        binary = shutil.which(command[0]) or str(postgres_folder() / command[0])
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, binary, *command[1:]], check=True, cwd=self.folder, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            for item in (self.folder, secret):
                shutil.chown(item, "postgres")
        self.run("initdb", "-D", "data", "-U", "analyst", "--pwfile=password", "--auth=scram-sha-256", "-E", "UTF8",
                 "--locale=C.UTF-8")
        self.run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o",
                 f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def url(self, *, with_password: bool = True, database: str = "postgres") -> str:
        secret = f":{self.password.replace('/', '%2F')}" if with_password else ""
        return f"postgresql://analyst{secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, *commands: str, database: str = "postgres", rows: tuple[str, list[list]] | None = None) -> None:
        import psycopg

        with psycopg.connect(host="127.0.0.1", port=self.port, user="analyst", password=self.password,
                             dbname=database, autocommit=True) as connection:
            for command in commands:
                connection.execute(command)
            if rows:
                connection.cursor().executemany(*rows)

    def fill(self, database: str = "clinic") -> str:
        self.execute(f"CREATE DATABASE {database}")
        for name, table in TABLES.items():
            values = ", ".join(["%s"] * len(table[0]))
            self.execute(create_table(name, table), database=database,
                         rows=(f"INSERT INTO {name} VALUES ({values})", list(reversed(typed_rows(table)))))
        return self.url(database=database)


def postgres_folder() -> Path:
    """Where Debian keeps the programs of the server; skips with a reason where there are none."""
    if shutil.which("initdb"):
        return Path(shutil.which("initdb")).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server on this machine (apt package postgresql)")
    return found[-1].parent


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A running server, stopped at the end."""
    pytest.importorskip("psycopg", reason="the driver is not installed (therapyeval[postgres])")
    postgres_folder()
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # pytest's own folder is closed to other users
        server = PostgresServer(Path(folder))
        server.start()
        yield server
        server.stop()


# The same care in the standard models, which have fewer columns: no row with an unknown status, no free columns.
CARE = {"e01": ("007", "PT", "2026-01-05", "2026-02-16"), "e02": ("07", "OT", "2026-01-12", None),
        "e04": ("8", "SLP", "2026-01-14", "2026-02-20")}
KNOWN_VISITS = [dict(zip(VISITS[0], row, strict=True)) for row in VISITS[1:] if row[4] != "vanished"]
SCORES = [dict(zip(ASSESSMENTS[0], row, strict=True)) for row in ASSESSMENTS[1:]]
STANDARD_CODES = "codes: {PT: PT, OT: OT, SLP: SLP, '72100-1': tug, missed: no_show}"


def write_fhir(folder: Path) -> Path:
    def ref(kind: str, number: str) -> dict:
        return {"reference": f"{kind}/{number}"}

    episodes = [{"resourceType": "EpisodeOfCare", "id": key, "patient": ref("Patient", patient),
                 "status": "finished" if end else "active", "type": [{"coding": [{"code": discipline}]}],
                 "period": {"start": start} | ({"end": end} if end else {})}
                for key, (patient, discipline, start, end) in CARE.items()]
    visits = [{"resourceType": "Appointment", "id": row["visit_id"], "start": row["scheduled_start"],
               "status": "noshow" if row["status"] == "no_show" else "booked",
               "participant": [{"actor": ref("Patient", row["patient_id"])}]} for row in KNOWN_VISITS]
    met = [{"resourceType": "Encounter", "id": f"met-{row['visit_id']}", "status": "finished", "class": {"code": "AMB"},
            "subject": ref("Patient", row["patient_id"]), "period": {"start": row["scheduled_start"]},
            "appointment": [ref("Appointment", row["visit_id"])]}
           for row in KNOWN_VISITS if row["status"] == "attended"]
    scores = [{"resourceType": "Observation", "id": row["assessment_id"], "status": "final",
               "code": {"coding": [{"code": "72100-1"}]}, "subject": ref("Patient", row["patient_id"]),
               "effectiveDateTime": row["date"], "valueQuantity": {"value": float(row["score"])}} for row in SCORES]
    for name, resources in {"EpisodeOfCare": episodes, "Appointment": visits, "Encounter": met,
                            "Observation": scores}.items():
        (folder / f"{name}.ndjson").write_text("\n".join(map(json.dumps, resources)) + "\n", encoding="utf-8")
    (folder / "mapping.yml").write_text(f"version: 1\n{STANDARD_CODES}\n")
    return folder


def write_omop(folder: Path) -> Path:
    model = {
        "person": [["person_id", "gender_concept_id", "year_of_birth"],
                   *([care[0], "0", "1960"] for care in CARE.values())],
        "episode": [["episode_id", "person_id", "episode_start_date", "episode_end_date", "episode_source_value"],
                    *([key, care[0], care[2], care[3], care[1]] for key, care in CARE.items())],
        "visit_occurrence": [["visit_occurrence_id", "person_id", "visit_concept_id", "visit_start_datetime"],
                             *([row["visit_id"], row["patient_id"], "9202", row["scheduled_start"]]
                               for row in KNOWN_VISITS if row["status"] == "attended")],
        "observation": [["observation_id", "person_id", "observation_datetime", "observation_source_value"],
                        *([row["visit_id"], row["patient_id"], row["scheduled_start"], "missed"]
                          for row in KNOWN_VISITS if row["status"] == "no_show")],
        "measurement": [["measurement_id", "person_id", "measurement_date", "value_as_number",
                         "measurement_source_value"],
                        *([row["assessment_id"], row["patient_id"], row["date"], row["score"], "72100-1"]
                          for row in SCORES)]}
    for name, table in model.items():
        (folder / f"{name}.csv").write_text(csv_text(table), encoding="utf-8")
    (folder / "mapping.yml").write_text(f"version: 1\n{STANDARD_CODES}\n")
    return folder


def write_redcap(folder: Path) -> Path:
    header = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", "patient", "discipline", "start",
              "end", "seen", "status", "day", "tug"]
    rows = [[key, None, None, *care, None, None, None, None] for key, care in CARE.items()]
    rows += [[row["episode_id"], "visit", number, None, None, None, None, row["scheduled_start"],
              row["status"], None, None] for number, row in enumerate(KNOWN_VISITS, start=1)]
    rows += [[row["episode_id"], "tug", number, None, None, None, None, None, None, row["date"], row["score"]]
             for number, row in enumerate(SCORES, start=1)]
    (folder / "export.csv").write_text(csv_text([header, *rows]), encoding="utf-8")
    patients = ", ".join(f"{key}: '{care[0]}'" for key, care in CARE.items())
    patient = f"{{column: record_id, values: {{{patients}}}}}"
    (folder / "mapping.yml").write_text(f"""version: 1
tables:
  - read: export.csv
    layout: redcap
    episode: {{id: record_id, patient_id: patient, discipline: discipline, start_date: start, discharge_date: end}}
  - read: export.csv
    layout: redcap
    instrument: visit
    visit: {{patient_id: {patient}, episode_id: record_id, scheduled_start: seen, status: status}}
  - read: export.csv
    layout: redcap
    instrument: tug
    assessment: {{patient_id: {patient}, episode_id: record_id, date: day, score: tug,
                 measure_code: redcap_repeat_instrument}}
""")
    return folder
