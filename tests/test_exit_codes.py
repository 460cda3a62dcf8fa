"""A period or a site that is not there: exit code 4 and one clear line, whichever way it was asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from test_cli import complains
from test_reports import ROOT, names

HARBOR = ROOT / "data_samples" / "harbor_rehab"
NO_PERIOD = "'2026Q5' is not a period. Write one as 2026Q3, 2026-07, 2026, FY2026Q1 or"
NO_SITE = "no value of site_id is called 'nort'. Did you mean north?"
TOO_LATE = "the period 2027Q1 begins after the data cut (2026-09-30): there is nothing to review yet."


@pytest.mark.parametrize(("words", "complaint"), [
    (["-p", "period=2026Q5"], NO_PERIOD),
    (["-p", "period=2026Q2", "-p", "site_id=nort"], NO_SITE),
    (["-p", "period=2027Q1"], TOO_LATE),
])
def test_a_review_of_what_is_not_there(run, tmp_path, words, complaint):
    complains(run("report", "quarterly_review", "--data", HARBOR, "--out", tmp_path / "out", *words), 4, complaint)
    left = names(tmp_path / "out")
    assert all(name.endswith(".failed") for name in left)


@pytest.mark.parametrize(("words", "complaint"), [
    (["--period", "2026Q5"], NO_PERIOD),
    (["--where", "site_id=nort"], NO_SITE),
    (["--period", "2027Q1"], TOO_LATE.replace("to review", "to count")),
])
@pytest.mark.parametrize("metric", ["mcid_rate", "no_show_rate"])
def test_a_question_about_what_is_not_there(run, metric, words, complaint):
    complains(run("summarize", HARBOR, metric, *words), 4, complaint)


@pytest.mark.parametrize(("words", "complaint"), [
    (["-r", "period", "2026Q5"], f"ParameterError: period: {NO_PERIOD}"),
    (["-r", "period", "2026Q2", "-r", "site_id", "nort"], f"UnknownNameError: {NO_SITE}"),
    (["-r", "period", "2027Q1"], f"ParameterError: {TOO_LATE}"),
])
def test_plain_papermill_says_the_same(tmp_path, words, complaint):
    template = ROOT / "templates" / "quarterly_review.ipynb"
    done = subprocess.run([sys.executable, "-m", "papermill", str(template), "ran.ipynb", "--no-progress-bar",
                           "-p", "data", str(HARBOR), *words], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=180, check=False)
    assert done.returncode == 1 and done.stderr.rstrip().splitlines()[-1].startswith(complaint), done.stderr[-400:]
    assert "vnd.therapyeval" not in (tmp_path / "ran.ipynb").read_text("utf-8")
