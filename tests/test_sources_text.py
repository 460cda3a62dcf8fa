"""Decimal commas and thousands separators, where declared; Parquet with blank rows and odd types."""

from __future__ import annotations

import datetime
import zoneinfo

import pyarrow as pa
import pyarrow.parquet
import pytest

from therapyeval.data import read_dataset, sources
from therapyeval.errors import DataError


@pytest.mark.parametrize(("cell", "decimal", "thousands", "wanted"), [
    ("12,5", ",", None, "12.5"), ("1.234,5", ",", ".", "1234.5"), ("1.234", ",", ".", "1234"),
    ("-0,75", ",", None, "-0.75"), (",5", ",", None, ".5"), ("1 234,5", ",", " ", "1234.5"),
    ("1\u202f234,5", ",", " ", "1234.5"),
    ("1'234.5", ".", "'", "1234.5"), ("1,234.5", ".", ",", "1234.5"), ("12,4 sec", ",", None, "12.4 sec"),
    ("4,5-6,5", ",", None, "4.5-6.5"), ("unable", ",", None, "unable"), ("28%", ",", ".", "28%"), ("7", ",", ".", "7"),
    # never guessed: a sign that is not declared, or in the wrong place
    ("1.5", ",", None, "(not a number)"), ("1.5", ",", ".", "(not a number)"), ("12.34,5", ",", ".", "(not a number)"),
    ("1,234,5", ",", ".", "(not a number)"), ("1,5", ".", ",", "(not a number)"),
    ("31.07.2026", ",", None, "(not a number)"),
])
def test_declared_signs_are_rewritten_and_undeclared_ones_never_guessed(tmp_path, cell, decimal, thousands, wanted):
    (tmp_path / "d.csv").write_text(f"id;score\n1,5;{cell}\n", encoding="utf-8")
    raw = sources.read(tmp_path / "d.csv", decimal=decimal, thousands=thousands, number_columns=["score"])
    assert raw.table.to_pylist() == [{"id": "1,5", "score": wanted, "_row": 2}]  # the id is no number


def test_a_mapping_declares_the_decimal_comma_for_all_its_numbers(tmp_path):
    (tmp_path / "d.csv").write_text("id;alter;plan;tug\na,1;41,5;1.200;12,25\nb;42.5;8;9\n")
    (tmp_path / "mapping.yml").write_text("""version: 1
timepoint_rule: declared
tables:
  - read: d.csv
    decimal: ","
    thousands: "."
    episode: {id: id, discipline: PT, planned_visits: plan}
    attributes: {age: {column: alter, type: number}}
    scores: {tug: {initial: tug}}
""")
    dataset = read_dataset(tmp_path)
    assert dataset.facts.episodes[["age", "planned_visits"]].fillna(-1).to_numpy().tolist() == [[41.5, 1200], [-1, 8]]
    assert dataset.facts.scores["baseline"].tolist() == [12.25, 9]
    assert dataset.quality.problems.query("rule.str.contains('age')")["rows"].tolist() == ["3"]


@pytest.mark.parametrize(("lines", "message"), [
    ('decimal: ";"', "line 4: `decimal` cannot be ';'"),
    ('decimal: ","\n    thousands: ","', "line 5: `thousands` and `decimal` cannot be the same sign"),
    ('thousands: "."', "line 4: `thousands` and `decimal` cannot be the same sign"),
    ("layout: recap", "line 4: `layout` cannot be 'recap'. Did you mean redcap?"),
    ("instrument: lefs", "line 4: `instrument` needs `layout: redcap`"),
    ("sheet: a\n    table: b", "line 5: a workbook has a `sheet:`, a database a `table:`"),
])
def test_options_that_do_not_fit_are_refused_with_their_line(tmp_path, lines, message):
    (tmp_path / "d.csv").write_text("id\na\n")
    (tmp_path / "mapping.yml").write_text(
        f"version: 1\ntables:\n  - read: d.csv\n    {lines}\n    episode: {{id: id}}\n")
    with pytest.raises(DataError) as error:
        read_dataset(tmp_path)
    assert message in str(error.value)


def test_a_plain_parquet_file_stays_where_it_is_and_is_loaded_as_text_without_blank_rows(tmp_path):
    path = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(pa.table({"id": ["a", None], "n": [1.0, 2.5]}), path)
    raw = sources.read(path)
    assert (raw.table, raw.parquet, raw.aside) == (None, path, ())
    assert raw.to_pandas().fillna("-").to_numpy().tolist() == [["a", "1", 2], ["-", "2.5", 3]]
    pyarrow.parquet.write_table(pa.table({"id": ["a", " ", "b"], "n": pa.array([1, None, 3])}), path)
    assert sources.read(path).parquet == path
    raw = sources.read(path).as_text()
    assert raw.parquet is None and raw.aside == ((3, "blank row"),)
    assert raw.table.to_pylist() == [{"id": "a", "n": "1", "_row": 2}, {"id": "b", "n": "3", "_row": 4}]


def test_parquet_types_that_engines_write_differently_are_loaded_as_text(tmp_path):
    moment = datetime.datetime(2026, 1, 5, 9, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))
    pyarrow.parquet.write_table(pa.table({" id ": ["a"], "at": pa.array([moment])}), tmp_path / "d.parquet")
    raw = sources.read(tmp_path / "d.parquet")
    assert raw.parquet is None and raw.table.column_names == ["id", "at", "_row"]
    assert raw.table["at"][0].as_py() == "2026-01-05 09:30:00.000000+0100"
    pyarrow.parquet.write_table(pa.table({"id": [["a"]]}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match="d.parquet has columns that are no plain values"):
        sources.read(tmp_path / "d.parquet")
    (tmp_path / "d.parquet").write_bytes(b"PAR1nonsense")
    with pytest.raises(DataError, match="d.parquet is not a Parquet file"):
        sources.read(tmp_path / "d.parquet")
