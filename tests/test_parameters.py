"""What a template may be given, and what is refused before anything runs."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from datetime import date
from pathlib import Path

import pytest

from therapyeval.errors import DataError, ParameterError, UnknownNameError

parameters = sys.modules["therapyeval.parameters"]      # `therapyeval.parameters` itself is the function
ROOT = Path(__file__).resolve().parent.parent
CONTRACT = """
title = "Trial"
summary = "What it shows."
[parameters.plan]
type = "file"
help = "The plan"
[parameters.site_id]
type = "text"
[parameters.arm]
type = "text"
choices = ["usual", "pilot"]
[parameters.sites]
type = "list"
[parameters.target]
type = "number"
default = 0.5
[parameters.weeks]
type = "integer"
[parameters.adjusted]
type = "yes_no"
[parameters.period]
type = "period"
[parameters.since]
type = "date"
"""


@pytest.fixture
def template(tmp_path, monkeypatch):
    """A template with a parameter of every type, and data beside it."""
    monkeypatch.chdir(tmp_path)
    Path("trial.toml").write_text(CONTRACT)
    Path("trial.ipynb").write_text("{}")
    Path("visits.csv").write_text("a\n1\n")
    return parameters.read_template("trial.toml")


def check(template, **given):
    return parameters.check(template, {"data": "visits.csv", **given})


def test_values_come_out_typed_with_defaults_and_cannot_be_changed(template):
    values = check(template, site_id="007", weeks=8, since="2026-07-01", sites="north, east")
    assert (values.site_id, values.weeks, values.since) == ("007", 8, date(2026, 7, 1))
    assert (values.sites, values.target, values.mapping) == (["north", "east"], 0.5, None)
    with pytest.raises(AttributeError):
        values.weeks = 9
    with pytest.raises(AttributeError, match="not a parameter"):
        _ = values.week


def test_an_unknown_name_is_refused_with_the_closest_one(template):
    with pytest.raises(UnknownNameError, match="no parameter of trial is called 'wekks'. Did you mean weeks?"):
        check(template, wekks=8)


def test_everything_that_is_missing_is_named_with_its_help(template):
    with pytest.raises(ParameterError, match=r"also needs data \(The data: a file, or a folder of tables\)"):
        parameters.check(template, {"weeks": 8})


@pytest.mark.parametrize("name, value, message", [
    ("site_id", 7, "site_id must be text, not 7"),
    ("site_id", True, "must be text"),
    ("site_id", ["a"], "must be text"),
    ("site_id", "  ", "is empty"),
    ("site_id", "a\nb", "control character"),
    ("site_id", "a\x00b", "control character"),
    ("site_id", "a\u202eb", "control character"),
    ("site_id", "a\ud800b", "control character"),
    ("site_id", "a\x85b", "control character"),
    ("site_id", "a" * 1001, "1,001 characters; at most 1,000"),
    ("arm", "pilt", "cannot be 'pilt'. Did you mean pilot"),
    ("sites", [1], "must be a list of texts"),
    ("sites", [], "1 to 1,000 values"),
    ("sites", ["a"] * 1001, "1 to 1,000 values"),
    ("target", "0.5", "must be a number"),
    ("target", math.nan, "must be a number"),
    ("target", True, "must be a number"),
    ("weeks", 8.5, "must be a whole number"),
    ("weeks", 10**15, "must be a whole number"),
    ("adjusted", 1, "must be yes or no"),
    ("period", "2026Q5", "period: '2026Q5' is not a period"),
    ("since", "01.07.2026", "must be a day as 2026-09-30"),
    ("since", "2026-02-30", "must be a day as 2026-09-30"),
    ("since", 20260701, "must be a day"),
    ("policy", "cms11", "no policy is called 'cms11'. Did you mean cms_11"),
])
def test_a_wrong_value_is_refused(template, name, value, message):
    with pytest.raises(ParameterError, match=re.escape(message).replace("\\ ", " ")):
        check(template, **{name: value})


@pytest.mark.parametrize("name", ["data", "mapping", "plan"])
@pytest.mark.parametrize("value", ["absent.csv", "x" * 900])
def test_a_missing_file_is_an_error_of_the_data(template, name, value):
    with pytest.raises(DataError, match=f"{name}: there is no file"):
        check(template, **{name: value})


def test_a_message_never_echoes_a_long_value(template):
    with pytest.raises(ParameterError) as caught:
        check(template, site_id="x" * 100_000)
    assert len(str(caught.value)) < 200
    with pytest.raises(ParameterError) as caught:
        check(template, **{"y" * 100_000: 1})
    assert len(str(caught.value)) < 400


def test_typed_text_becomes_a_number_only_where_one_is_wanted(template):
    given = parameters.parse_text(template, {"site_id": "007", "weeks": "8", "target": "1e-2", "adjusted": "no"})
    assert given == {"site_id": "007", "weeks": 8, "target": 0.01, "adjusted": False}
    for name, text in (("weeks", "1_000"), ("weeks", "8.0"), ("target", "nan"), ("adjusted", "1")):
        with pytest.raises(ParameterError, match=f"{name} must be"):
            parameters.parse_text(template, {name: text})
    with pytest.raises(UnknownNameError):
        parameters.parse_text(template, {"week": "8"})


def test_a_parameter_file_keeps_text_as_it_is_written(template):
    Path("p.yml").write_text("site_id: NO\nsites: [007, no]\nweeks: 8\nsince: 2026-07-01\nmapping:\n", encoding="utf-8")
    given = parameters.read_params_file(template, "p.yml")
    assert given == {"site_id": "NO", "sites": ["007", "no"], "weeks": 8, "since": "2026-07-01"}
    values = check(template, **given)
    assert (values.site_id, values.since) == ("NO", date(2026, 7, 1))


@pytest.mark.parametrize("text, message", [
    ("weeks: 8\nweeks: 9\n", "line 2"), ("weeks:\n\t- 8\n", "tab"), ("weeks: [8\n", "YAML"), ("- a\n", "p.yml"),
    ("wekks: 8\n", "Did you mean weeks"), ("weeks: {a: 1}\n", "weeks must be"),
])
def test_a_broken_parameter_file_says_where(template, text, message):
    Path("p.yml").write_text(text)
    with pytest.raises(ParameterError, match=message):
        check(template, **parameters.read_params_file(template, "p.yml"))


def test_an_empty_parameter_file_gives_nothing(template):
    Path("p.yml").write_text("# nothing\n")
    assert parameters.read_params_file(template, "p.yml") == {}
    with pytest.raises(DataError):
        parameters.read_params_file(template, "absent.yml")


@pytest.mark.parametrize("value, shown", [
    ("/home/ann/north/visits.csv", "visits.csv"), (r"C:\data\visits.csv", "visits.csv"), ("data/", "data"),
    ("postgresql://ann:secret@db.example/rehab?x=1", "rehab"), ("postgresql://ann:secret@db.example", "database"),
    ("s3://bucket/in/visits.parquet", "visits.parquet"),
])
def test_what_a_report_keeps_of_a_path_is_its_base_name(value, shown):
    assert parameters.base_name(value) == shown


def test_public_values_and_the_printed_form_hold_no_folders(template, tmp_path):
    values = check(template, data=str(tmp_path / "visits.csv"), plan=str(tmp_path / "trial.toml"), site_id="a/b")
    assert values.public() == {"data": "visits.csv", "plan": "trial.toml", "site_id": "a/b", "target": 0.5}
    assert str(tmp_path) not in repr(values)
    assert values.literals()["data"] == str(tmp_path / "visits.csv")


def test_a_notebook_gives_what_was_set_before_the_call(template):
    namespace = {"In": ["x"], "Out": {}, "_": 1, "__name__": "__main__", "_i3": "x", "_dh": [], "exit": object(),
                 "te": parameters, "earlier": template, "data": "visits.csv", "weeks": 8, "site_id": None}
    assert parameters.parameters("trial.toml", namespace).weeks == 8


@pytest.mark.parametrize("name, value", [("wekks", 8), ("_weeks", 8), ("wekks", None), ("wekks", [8])])
def test_a_notebook_refuses_what_papermill_only_warns_of(template, name, value):
    with pytest.raises(UnknownNameError, match=f"'{name}'"):
        parameters.parameters("trial.toml", {"data": "visits.csv", name: value})


def test_a_number_in_place_of_text_says_how_to_call_papermill(template):
    with pytest.raises(ParameterError, match="use `-r site_id VALUE`"):
        parameters.parameters("trial.toml", {"data": "visits.csv", "site_id": 7})


@pytest.mark.parametrize("contract, message", [
    ("title = ", "not TOML"), ("summary = 'x'", "`title`"), ("title = 'x'\nother = 1", "not other"),
    ("title = 'x'\n[parameters.a]\ntype = 'txt'", "Did you mean text"),
    ("title = 'x'\n[parameters.a]\ntype = 'text'\nhlp = 'x'", "takes type, help"),
    ("title = 'x'\n[parameters.data]\ntype = 'text'", "reserved"),
    ("title = 'x'\n[parameters.class]\ntype = 'text'", "reserved"),
    ("title = 'x'\n[parameters.items]\ntype = 'text'", "reserved"),
    ("title = 'x'\n[parameters.a]\ntype = 'integer'\ndefault = 'x'", "whole number"),
])
def test_a_contract_that_is_wrong_is_refused(tmp_path, contract, message):
    (tmp_path / "t.toml").write_text(contract)
    (tmp_path / "t.ipynb").write_text("{}")
    with pytest.raises(ParameterError, match=message):
        parameters.read_template(tmp_path / "t.toml")


@pytest.mark.parametrize("name", ["pilot_studdy", "../../x", "x" * 100_000, "absent.toml", "'; import os"])
def test_an_unknown_template_is_one_short_line(name):
    with pytest.raises(UnknownNameError) as caught:
        parameters.read_template(name)
    assert len(str(caught.value)) < 300


def test_help_says_what_a_template_takes(template):
    text = parameters.describe(template)
    assert "plan         The plan (file)" in text
    assert "one of usual, pilot" in text and "default 0.5" in text and "yes/no" in text


NOTEBOOKS = sorted([*ROOT.glob("templates/*.ipynb"), *ROOT.glob("notebooks/*.ipynb")])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_thin(path):
    banned = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.comprehension,
              ast.Try, ast.With, ast.If)
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        assert not [node for node in ast.walk(tree) if isinstance(node, banned)]
        imported = {name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                    for name in node.names}
        assert imported <= {"therapyeval"}
        assert len(tree.body) <= 6 or "parameters" in cell["metadata"].get("tags", ())


@pytest.mark.parametrize("name", parameters.templates())
def test_a_template_is_stored_empty_and_its_cells_are_of_the_four_kinds(name):
    template = parameters.read_template(name)
    cells = json.loads(template.notebook.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    start, declared, checked, compute, *shown = ["".join(cell["source"]) for cell in code]
    assert start == "import therapyeval as te"
    assert code[1]["metadata"]["tags"] == ["parameters"]
    names = [node.targets[0].id for node in ast.parse(declared).body]
    assert sorted(names) == sorted(template.parameters)
    assert checked == f'p = te.parameters("{name}", globals())'
    result = compute.splitlines()[-1]
    assert all(re.fullmatch(rf'(# .*\n)?{result}\.section\("\w+"\)', text) for text in shown)
