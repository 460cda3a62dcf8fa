"""The wheel works alone: installed somewhere, run from an empty folder, with nothing of the checkout at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bundle.make import build_wheel, unpack_samples
from bundle.wheels import pip

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_TABLES = {"data_samples/stroke_recovery/stroke.wide.csv", "data_samples/kutner_rehab/RehabilitationTherapy.csv"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Runs Python in an empty folder with the installed package; returns what it prints."""
    empty = tmp_path / "empty"
    empty.mkdir()

    def python(*words: object) -> str:
        env = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run([sys.executable, *map(str, words)], cwd=empty, env=env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    return python


def test_the_wheel_carries_templates_measures_page_and_samples_and_no_raw_data(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name.removeprefix("therapyeval/") for name in file.namelist()}
    listed = subprocess.run(["git", "ls-files", "templates", "data_samples", "therapyeval"], capture_output=True,
                            text=True, cwd=ROOT, check=True).stdout.split()
    wanted = {name.removeprefix("therapyeval/") for name in listed if (ROOT / name).is_file()}
    assert wanted <= names
    samples = {name for name in names if name.startswith("data_samples/")}
    assert {name for name in samples if name.endswith((".csv", ".gz", ".xlsx"))} == SHIPPED_TABLES
    assert not [name for name in names if name.startswith(("tests/", "docs/", "bundle/", "benchmarks/"))]
    assert wheel.stat().st_size < 8_000_000


def test_what_ships_is_found_inside_the_package(run, installed):
    found = run("-c", "import therapyeval as te; from therapyeval.parameters import shipped_folder as at, templates\n"
                      "print(at('templates')); print(at('data_samples') / 'stroke_recovery'); print(*templates())\n"
                      "print(len(te.measures.names()) > 40)").splitlines()
    assert Path(found[0]) == installed / "therapyeval" / "templates"
    assert (Path(found[1]) / "pilot.yml").is_file()
    assert "pilot_study" in found[2].split() and found[3] == "True"


def test_a_report_from_an_empty_folder(run, installed, tmp_path):
    sample = installed / "therapyeval" / "data_samples" / "stroke_recovery"
    shown = run("-m", "therapyeval", "report", "pilot_study", "--data", sample,
                "-p", f"protocol={sample / 'pilot.yml'}", "--out", "out")
    page = tmp_path / "empty" / "out" / "pilot_study-stroke_recovery-pilot" / "report.html"
    assert shown == f"Report: {page.relative_to(tmp_path / 'empty')}"
    assert "<h1" in page.read_text("utf-8") and page.stat().st_size > 50_000


def test_the_samples_can_be_taken_out_of_the_wheel(wheel, tmp_path):
    unpack_samples(wheel, tmp_path / "samples")
    plan = tmp_path / "samples" / "stroke_recovery" / "pilot.yml"
    assert plan.read_bytes() == (ROOT / "data_samples" / "stroke_recovery" / "pilot.yml").read_bytes()
    assert (tmp_path / "samples" / "LICENSES.md").is_file()
