"""Every kind of source gives the same tables, row numbers and problems for the same small data set."""

from __future__ import annotations

import pandas as pd
import pytest
import source_writers as writers
from source_writers import postgres  # noqa: F401 (a fixture)

from therapyeval.data import read_dataset, sources

FILES = {"csv": writers.write_csv, "csv, semicolons, cp1252, gzip": writers.write_german_csv,
         "tsv with byte-order mark": writers.write_tsv_with_mark, "workbook of text": writers.write_workbook,
         "workbook with types": writers.write_typed_workbook, "parquet of text": writers.write_parquet,
         "parquet with types": writers.write_typed_parquet, "duckdb file": writers.write_duckdb,
         "sqlite file": writers.write_sqlite}
DATABASES = ("duckdb file", "sqlite file", "duckdb address", "sqlite address", "postgresql")
FORMATS = (*FILES, "duckdb address", "sqlite address", "postgresql")


@pytest.fixture(params=FORMATS)
def place(request, tmp_path):
    """The data set in one format: (where, number of the first row)."""
    name = request.param
    if name == "postgresql":
        return request.getfixturevalue("filled"), 1
    if name.endswith("address"):
        kind = name.split()[0]
        return f"{kind}:///{FILES[f'{kind} file'](tmp_path)}", 1
    return FILES[name](tmp_path), 1 if name in DATABASES else 2


@pytest.fixture(scope="session")
def filled(postgres):  # noqa: F811
    return postgres.fill()


def expected(table: str, first: int) -> pd.DataFrame:
    header, *rows = writers.TABLES[table]
    frame = pd.DataFrame(rows, columns=header, dtype="str").replace("\n", " ", regex=True)    # one line per cell
    return frame.assign(_row=range(first, first + len(frame)))


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers and moments as values: 42.5 and 42.50, a T or a space before the time say the same."""
    frame = frame.copy()
    for name in frame.columns.intersection(writers.NUMBERS):
        frame[name] = pd.to_numeric(frame[name])
    for name in frame.columns.intersection(writers.MOMENTS):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601").astype("datetime64[s]")
    return frame


@pytest.mark.parametrize("table", writers.TABLES)
def test_every_source_gives_the_same_text_and_rows(place, table):
    where, first = place
    found = {name: (item, part) for name, item, part in sources.tables(where, writers.TABLES)}
    assert set(found) == set(writers.TABLES)
    item, part = found[table]
    raw = sources.read(item, part=part)
    assert raw.aside == ()
    assert (raw.table is None) != (raw.parquet is None)
    frame = raw.to_pandas()
    pd.testing.assert_frame_equal(comparable(frame), comparable(expected(table, first)), check_dtype=False)
    whole = frame.columns.intersection(["group", "planned_visits"])
    assert not frame[whole].apply(lambda column: column.str.endswith(".0").fillna(False)).any(axis=None)  # codes


def test_every_source_gives_the_same_facts_and_problems(place, tmp_path):
    where, first = place
    reference = tmp_path / "reference"
    reference.mkdir()
    found, wanted = read_dataset(where), read_dataset(writers.write_csv(reference))
    pd.testing.assert_frame_equal(found.facts.episodes, wanted.facts.episodes)
    pd.testing.assert_frame_equal(found.facts.scores, wanted.facts.scores)
    pd.testing.assert_frame_equal(found.quality.tables.drop(columns="file"), wanted.quality.tables.drop(columns="file"))
    same = ["severity", "table", "rule", "count", "todo"]
    pd.testing.assert_frame_equal(found.quality.problems[same], wanted.quality.problems[same])
    quarantine = wanted.quality.quarantine.assign(row=wanted.quality.quarantine["row"] - 2 + first)
    pd.testing.assert_frame_equal(found.quality.quarantine.drop(columns="file"), quarantine.drop(columns="file"))
    assert quarantine[["table", "row"]].to_numpy().tolist() == [["episodes", first + 2], ["visits", first + 4]]
    assert found.data_cut == pd.Timestamp("2026-02-20")  # the last discharge


def test_reading_twice_gives_one_fingerprint_and_other_data_another(place, tmp_path):
    where, _ = place
    assert read_dataset(where).fingerprint == read_dataset(where).fingerprint
    assert read_dataset(where).fingerprint != read_dataset(where, data_cut="2026-01-31").fingerprint


@pytest.mark.parametrize("write", [writers.write_fhir, writers.write_omop, writers.write_redcap])
def test_standard_models_and_redcap_give_the_same_facts_of_the_same_care(write, tmp_path):
    (tmp_path / "standard").mkdir()
    (tmp_path / "canonical").mkdir()
    found = read_dataset(write(tmp_path / "standard"))
    wanted = read_dataset(writers.write_csv(tmp_path / "canonical"))
    columns = ["patient", "discipline", "start_date", "discharge_date", "end_date", "n_attended", "n_no_show"]
    same_patients = {"patient": "category"}  # numbers follow the ids, of which the canonical files have one more
    left, right = (facts.episodes[columns].astype(same_patients) for facts in (found.facts, wanted.facts))
    left["patient"], right["patient"] = left["patient"].cat.codes, right["patient"].cat.codes
    pd.testing.assert_frame_equal(left, right)
    scores = ["episode", "measure", "baseline", "final", "baseline_date", "final_date", "why_unpaired"]
    pd.testing.assert_frame_equal(found.facts.scores[scores], wanted.facts.scores[scores])
    assert found.quality.verdict == "usable" and found.data_cut == wanted.data_cut
    tables = found.quality.tables
    assert (tables["rows_in"] == tables[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)).all()
