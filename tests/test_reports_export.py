"""One Result as a file: only released, complete or absent, and named for what it holds."""

from __future__ import annotations

import json

import openpyxl
import pandas as pd
import pytest

from therapyeval.errors import ParameterError
from therapyeval.reports.export import write
from therapyeval.result import Result, Source, make_frame


def result(policy: str | None = "cms_11") -> Result:
    rows = [{"site_id": "=1+1", "metric": "no_show_rate", "statistic": "proportion", "estimate": 0.25, "n": 40},
            {"site_id": "west", "metric": "no_show_rate", "statistic": "proportion", "note": "one clinic; withheld"}]
    return Result(make_frame(rows, ["site_id"]), "No-shows", Source("9f2c", "appointments"), policy=policy)


def test_each_ending_keeps_the_numbers_and_the_marks(tmp_path):
    table = pd.read_csv(write(result(), tmp_path / "r.csv"), dtype=str, keep_default_na=False)
    assert table["site_id"].tolist() == ["'=1+1", "west"] and table["estimate"].tolist() == ["0.25", "<NA>"]
    sheet = openpyxl.load_workbook(write(result(), tmp_path / "r.xlsx"))["Results"]
    assert [cell.value for cell in sheet["A"]] == ["site_id", "=1+1", "west"] and sheet["A2"].data_type == "s"
    again = Result.from_dict(json.loads(write(result(), tmp_path / "r.json").read_text("utf-8")))
    assert again.frame["n"].tolist() == [40, pd.NA]
    assert pd.read_parquet(write(result(), tmp_path / "r.parquet"))["estimate"].tolist()[0] == 0.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json", "r.parquet", "r.xlsx"]


def test_internal_results_say_so_in_the_name(tmp_path):
    assert write(result("internal"), tmp_path / "r.csv").name == "r-INTERNAL.csv"


@pytest.mark.parametrize("name, policy, message", [
    ("r.csv", None, "only after release"), ("r.xls", "cms_11", "Did you mean .xlsx"), ("r", "cms_11", "the ending"),
    ("absent/r.csv", "cms_11", "cannot write"), ("absent/r.xlsx", "cms_11", "cannot write")])
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, name, policy, message):
    with pytest.raises(ParameterError, match=message):
        write(result(policy), tmp_path / name)
    assert not list(tmp_path.iterdir())
