"""Damaged files and incomplete mappings, one by one: what the user is told. Found by `make study-fuzz`."""

from __future__ import annotations

import random
import shutil
from csv import field_size_limit
from functools import partial

import pytest
import source_writers

from therapyeval import yaml_lines
from therapyeval.data import read_dataset
from therapyeval.data.sources import csv
from therapyeval.errors import DataError

VISITS = "tables:\n  - read: visits.csv\n    visit: {id: visit_id, patient_id: patient_id"


def mapped(folder, tables, head=""):
    source_writers.write_csv(folder)
    (folder / "mapping.yml").write_text(f"version: 1\n{head}{tables}")
    return folder


def test_a_parquet_file_damaged_in_the_middle_is_named(tmp_path, sample):
    shutil.copytree(sample("harbor_rehab"), tmp_path / "data")
    path = tmp_path / "data" / "visits.parquet"
    content = bytearray(path.read_bytes())
    for place in random.Random(3).sample(range(len(content) // 4, len(content) // 2), 2000):
        content[place] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^visits.parquet is not a Parquet file, or a damaged one"):
        read_dataset(tmp_path / "data")


@pytest.mark.parametrize("content", [b"SQLite format 3\x00" + bytes(200), b"\x00" * 5000, b"DUCK" * 100])
def test_a_damaged_database_is_named(tmp_path, content):
    (tmp_path / "clinic.db").write_bytes(content)
    with pytest.raises(DataError, match="^clinic.db cannot be read as a (SQLite|DuckDB) database"):
        read_dataset(tmp_path / "clinic.db")


def test_a_mapped_table_without_a_column_that_it_needs_is_refused_with_its_line(tmp_path):
    folder = mapped(tmp_path, f"{VISITS}, status: status}}\n")
    with pytest.raises(DataError, match=r"mapping.yml, line 4: `visit` needs `scheduled_start:`"):
        read_dataset(folder)


def test_scores_paired_by_their_labels_need_no_date_and_no_id(tmp_path):
    folder = mapped(tmp_path, f"{VISITS}, scheduled_start: scheduled_start, status: status}}\n"
                              "  - read: episodes.csv\n    episode: {id: episode_id, patient_id: patient_id, "
                              "start_date: start_date}\n"
                              "  - read: assessments.csv\n    assessment: {patient_id: patient_id, "
                              "episode_id: episode_id, measure_code: measure_code, score: score, "
                              "timepoint: timepoint}\n", "timepoint_rule: declared\n")
    scores = read_dataset(folder).facts.scores.set_index("why_unpaired")
    assert scores.loc["", ["baseline", "final"]].tolist() == [20.25, 14.5]
    assert scores.loc["no_final", "baseline"] == 10


def test_assessments_without_a_column_of_ids_are_read(tmp_path):
    source_writers.write_csv(tmp_path)
    path = tmp_path / "assessments.csv"
    path.write_text("\n".join(line.split(",", 1)[1] for line in path.read_text().splitlines()) + "\n")
    assert read_dataset(tmp_path).quality.tables.set_index("table").loc["assessments", "in_facts"] == 3


def test_a_measure_that_nobody_has_leaves_the_rows_of_the_others_alone(tmp_path):
    (tmp_path / "trial.csv").write_text("id,time,odi,tug\na,1,,20\na,2,,14\n")
    (tmp_path / "mapping.yml").write_text(
        "version: 1\ntimepoint_rule: declared\ntables:\n  - read: trial.csv\n    episode: {id: id, discipline: PT}\n"
        "    occasion: {column: time, values: {1: initial, 2: discharge}}\n    scores: {odi: odi, tug: tug}\n")
    dataset = read_dataset(tmp_path)
    assert dataset.facts.scores[["measure", "baseline", "final"]].to_numpy().tolist() == [["tug", 20, 14]]
    assert dataset.quality.tables.set_index("table").loc["assessments", ["rows_in", "in_facts"]].tolist() == [2, 2]


@pytest.mark.parametrize("limit", [131_072, 10**9])       # of the process: some library lifts it
def test_a_header_with_an_open_quotation_mark_or_a_line_break_is_refused(limit, request):
    request.addfinalizer(partial(field_size_limit, field_size_limit(limit)))
    for header in (b'"' + b"x" * 200_000, b"a\rb,c"):
        with pytest.raises(DataError, match="its first line cannot be read as column names"):
            csv.read(header + b"\n1,2\n", "x.csv")


def test_control_characters_in_column_names_are_never_shown():
    assert csv.read("a\x1b[31m,\u202eb, c\td\n1,2,3\n".encode(), "x.csv").table.column_names[:3] == [
        "a\ufffd[31m", "\ufffdb", "c d"]


def test_a_column_name_of_any_length_is_told_by_its_beginning(tmp_path):
    folder = mapped(tmp_path, VISITS + ", status: status}\n")
    (folder / "visits.csv").write_text(f"visit_id,{'=' * 100_000}\nv1,x\n")
    with pytest.raises(DataError, match=r"has no column 'patient_id'.* Known: =+…, visit_id\.$") as told:
        read_dataset(folder)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("delimiter", [";;", "'\"'", "é"])
def test_a_delimiter_is_one_sign(tmp_path, delimiter):
    folder = mapped(tmp_path, f"{VISITS}}}\n    delimiter: {delimiter}\n")
    with pytest.raises(DataError, match="line 5: `delimiter` must be one sign"):
        read_dataset(folder)


def test_a_mapping_that_repeats_itself_without_end_is_refused():
    lines = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 12)]
    for text in ("\n".join(["k0: &k0 x", *lines]), "a: &a [*a]"):
        with pytest.raises(DataError, match=r"words that begin with \*"):
            yaml_lines.read(text, "mapping.yml")
    for text in ("[" * 3000, "a: " + "{b: " * 2000):
        with pytest.raises(DataError, match="too many brackets"):
            yaml_lines.read(text, "mapping.yml")
    assert yaml_lines.read("a: &a x\nb: *a", "mapping.yml")["b"] == "x"
