"""A report run: what it leaves, how it fails, and what it never leaves behind."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import openpyxl
import pytest

from therapyeval.errors import DataError, NotEvaluableError, ParameterError, ReportError, UnknownNameError
from therapyeval.reports import fork_server, run, spreadsheet
from therapyeval.reports.folder import RunFolder, run_name
from therapyeval.reports.run import FILES, run_report

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = """
title = "Trial"
[parameters.plan]
type = "file"
[parameters.site_id]
type = "text"
"""
START = """
from therapyeval.errors import DataError, NotEvaluableError, ParameterError, UnknownNameError
from therapyeval.parameters import parameters
import therapyeval.result as r
from IPython.display import HTML
from html import escape
import os, sys, time, warnings
def shown(rows, record=None, policy="cms_11"):
    source = r.Source("9f2c4a", "episodes", data_cut="2026-09-30")
    result = r.Result(r.make_frame(rows, ["site_id"]), "Gain", source, policy=policy)
    bundle = r.Bundle("Pilot of telerehabilitation", (r.NamedResult("outcomes", "gain", result),), record or {})
    class Bundled:
        def _repr_mimebundle_(self, include=None, exclude=None):
            cells = "".join(f"<td>{escape(str(row['site_id']))}</td>" for row in rows)
            html = f"<table><tr>{cells}</tr></table>"
            return {r.MIME_TYPE: bundle.to_dict(), "text/plain": "results", "text/html": html}
    return Bundled()
def gain(site_id, **more):
    return {"site_id": site_id, "metric": "score_change:lefs", "statistic": "mean", "estimate": 12.345, "n": 40,
            "n_people": 40, "unit": "points", **more}
"""
GOOD = "shown([gain(p.site_id or 'north'), gain('west', estimate=None, n=None, n_people=None, note='withheld')])"


def write_template(folder: Path, *cells: str, name: str = "trial") -> Path:
    """A template of cells after the usual three, with data and a plan beside it; returns its TOML."""
    declared = nbformat.v4.new_code_cell("data = None\nmapping = None\npolicy = None\ndata_cut = None\nplan = None\n"
                                         "site_id = None")
    declared.metadata.tags = ["parameters"]
    toml = folder / f"{name}.toml"
    sources = [f"p = parameters({str(toml)!r}, globals())", *cells]
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "language": "python",
                                                                 "display_name": "Python 3 (ipykernel)"}})
    notebook.cells = [nbformat.v4.new_code_cell(START), declared, *map(nbformat.v4.new_code_cell, sources)]
    toml.write_text(CONTRACT)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "visits").mkdir(exist_ok=True)
    (folder / "plan.yml").write_text("version: 1\n")
    return toml


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Runs a template of these cells; `out` is `tmp_path/out`."""
    monkeypatch.chdir(tmp_path)

    def build(*cells: str, timeout: float = 60, **given: object):
        toml = write_template(tmp_path, *cells)
        return run_report(toml, {"data": str(tmp_path / "visits"), **given}, tmp_path / "out", timeout=timeout)
    return build


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def texts(folder: Path) -> dict[str, str]:
    """Everything readable in a folder, the parts of the workbook too."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as book:
                found |= {f"{path.name}/{part}": book.read(part).decode("utf-8") for part in book.namelist()}
        elif path.is_file():
            found[path.name] = path.read_text("utf-8")
    return found


def test_a_run_leaves_a_page_a_notebook_results_and_its_record(make, tmp_path):
    steps = []
    write_template(tmp_path, GOOD)
    done = run_report(tmp_path / "trial.toml", {"data": "visits", "plan": "plan.yml"}, "out", progress=steps.append)
    assert names(tmp_path / "out") == ["trial-visits-plan_plan"]
    assert names(done.folder) == sorted(FILES)
    assert (done.status, done.exit_code, done.report.name) == ("complete", 0, "report.html")
    assert steps[0] == "starting a kernel" and steps[-1] == "writing the report"
    record = json.loads((done.folder / "run.json").read_text())
    assert record["parameters"] == {"data": "visits", "plan": "plan.yml"}
    assert (record["fingerprint"], record["data_cut"], record["policy"]) == ("9f2c4a", "2026-09-30", "cms_11")
    assert record["counts"] == {"tables": 1, "rows": 2, "rows_withheld": 1, "numbers_withheld": 1}
    assert record["versions"]["pandas"] and record["duration_seconds"] > 0


def test_the_table_of_results_says_withheld_apart_from_empty(make):
    with open(make(GOOD).folder / "results.csv", newline="", encoding="utf-8") as file:
        shown, hidden = csv.DictReader(file)
    assert (shown["section"], shown["site_id"], shown["estimate"], shown["n"]) == ("outcomes", "north", "12.345", "40")
    assert (shown["conf_low"], shown["p_value"], shown["n_missing"]) == ("", "", "")
    assert (hidden["estimate"], hidden["n"], hidden["n_people"], hidden["p_value"]) == ("<NA>", "<NA>", "<NA>", "")


def test_the_workbook_holds_numbers_and_says_what_they_are(make):
    book = openpyxl.load_workbook(make(GOOD).folder / "results.xlsx")
    assert book.sheetnames == ["Results", "About"]
    header, first, second = book["Results"].iter_rows(values_only=True)
    assert dict(zip(header, first, strict=True))["estimate"] == 12.345
    assert dict(zip(header, second, strict=True))["n"] == "<NA>"
    about = dict(row[:2] for row in book["About"].iter_rows(values_only=True))
    assert about["Report"] == "Pilot of telerehabilitation" and about["Privacy policy"].startswith("cms_11")


def test_no_code_and_no_plain_text_is_on_the_page(make):
    html = make(GOOD, "print('a message')", "'a value'").report.read_text("utf-8")
    assert "<td>north</td>" in html and "Pilot of telerehabilitation" in html
    assert "shown(" not in html and "a message" not in html and "a value" not in html and "results</pre>" not in html
    assert '<html lang="en">' in html and 'name="viewport"' in html and "@media print" in html
    assert all(mark in html for mark in ("<header", "<main", "<footer", 'class="skip"'))


def test_nothing_of_this_machine_is_in_a_run(make, tmp_path):
    noise = "warnings.warn('see /opt'); print(os.getcwd(), __import__('pandas').__file__)"
    paths = "HTML(f'<p>{escape(os.getcwd())}/visits/a.csv and {sys.prefix}</p>')"
    done = make(GOOD, noise, paths, plan=str(tmp_path / "plan.yml"))
    for name, text in texts(done.folder).items():
        for path in (str(tmp_path), str(ROOT), sys.prefix, str(Path.home() / "x")[:-1], "te-kernel-"):
            if not (name.endswith(".ipynb") and path == str(tmp_path)):
                assert path not in text, f"{path} in {name}"
        assert not re.search(r'File "?/', text), name
    notebook = nbformat.read(done.folder / "report.ipynb", 4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    injected = next(cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    assert injected.source.splitlines() == ["# Parameters", 'data = "visits"', 'plan = "plan.yml"']
    assert {output.output_type for cell in notebook.cells for output in cell.outputs} <= {"execute_result"}
    assert "a.csv" in done.report.read_text("utf-8")


@pytest.mark.parametrize("cells, kind, message", [
    (["1"], ReportError, "exactly one set of results; this template showed 0"),
    ([GOOD, GOOD], ReportError, "this template showed 2"),
    ([GOOD.replace("')])", "')], policy=None)")], ReportError, "not released"),
    (["HTML('<table>')"], ReportError, "showed 0"),
    ([GOOD, "HTML('<script>alert(1)</script>')"], ReportError, "holds <script>"),
    ([GOOD, "HTML('<img src=http://x.example/a.png>')"], ReportError, "an address in <img>"),
    (["shown([gain('north')], {'gates': [{'name': 'x'}]})"], ReportError, "a gate of this report"),
    (["raise DataError('visits.csv: 3 rows have an unknown status.')"], DataError, "^visits.csv: 3 rows"),
    (["raise NotEvaluableError('the arm pilot has no patients.')"], NotEvaluableError, "^the arm pilot"),
    (["raise UnknownNameError('site', 'nrth', ['north'])"], UnknownNameError, "Did you mean north"),
    (["int('Ann Smith, 1950')"], ReportError, "unexpected ValueError in cell 5"),
    (["import therapyeval.formatting as f; f.count('Ann Smith')"], ReportError, "in therapyeval/formatting.py, line"),
    (["sys.exit(0)"], ReportError, "unexpected SystemExit"),
    (["1 +"], ReportError, "unexpected SyntaxError"),
    (["os.kill(os.getpid(), 9)"], ReportError, "the kernel died in cell 5 of 5"),
    (["time.sleep(60)"], ReportError, "cell 5 of 5 took longer than 3 seconds"),
    (["input('name')"], ReportError, "unexpected StdinNotImplementedError"),
])
def test_a_run_that_fails_says_why_and_never_looks_finished(make, tmp_path, cells, kind, message):
    with pytest.raises(kind, match=message) as caught:
        make(*cells, timeout=3)
    assert type(caught.value) is kind
    assert names(tmp_path / "out") == ["trial-visits.failed"]
    failed = tmp_path / "out" / "trial-visits.failed"
    assert names(failed) == ["reason.txt", "report.ipynb"]
    assert (failed / "reason.txt").read_text("utf-8").strip() == str(caught.value)
    everything = "".join(texts(failed).values())
    assert "Traceback" not in everything and str(ROOT) not in everything
    assert "Ann" not in (failed / "reason.txt").read_text("utf-8") and "Ann Smith" not in _outputs(failed)


def _outputs(folder: Path) -> str:
    cells = nbformat.read(folder / "report.ipynb", 4).cells
    return json.dumps([cell.outputs for cell in cells if cell.cell_type == "code"])


def test_a_wrong_parameter_is_told_before_anything_is_written(make, tmp_path, monkeypatch):
    monkeypatch.setattr(run.execute, "run_cells", lambda *_, **__: pytest.fail("a kernel was started"))
    for given, kind in (({"sit_id": "a"}, UnknownNameError), ({"site_id": 7}, ParameterError),
                        ({"plan": "absent.yml"}, DataError), ({"policy": "cms"}, UnknownNameError)):
        with pytest.raises(kind):
            make(GOOD, **given)
    assert not (tmp_path / "out").exists()


def test_a_newer_run_replaces_an_older_one_and_a_failed_one_does_not(make, tmp_path):
    make(GOOD, site_id="a")
    with pytest.raises(ReportError):
        make("1", site_id="a")
    out = tmp_path / "out"
    assert names(out) == ["trial-visits-site_id_a", "trial-visits-site_id_a.failed"]
    assert names(out / "trial-visits-site_id_a") == sorted(FILES)
    (out / "trial-visits-site_id_a" / "stray.txt").write_text("old")
    make(GOOD, site_id="a")
    assert names(out) == ["trial-visits-site_id_a"] and names(out / "trial-visits-site_id_a") == sorted(FILES)


@pytest.mark.parametrize("error, kind, message", [
    (OSError(errno.ENOSPC, "No space left on device"), ReportError, "could not be written: No space left"),
    (ZeroDivisionError("Ann Smith"), ReportError, "^an unexpected ZeroDivisionError stopped the report."),
    (KeyboardInterrupt(), KeyboardInterrupt, "^"),
])
@pytest.mark.parametrize("step", ["write_xlsx", "write_csv"])
def test_an_error_while_writing_leaves_no_half_report(make, tmp_path, monkeypatch, error, kind, message, step):
    def broken(*_: object, **__: object) -> None:
        raise error
    monkeypatch.setattr(run.execute, "run_cells", _stand_in(tmp_path, make))
    monkeypatch.setattr(spreadsheet, step, broken)
    with pytest.raises(kind, match=message):
        make(GOOD)
    assert names(tmp_path / "out") == ["trial-visits.failed"]
    assert names(tmp_path / "out" / "trial-visits.failed") == ["reason.txt", "report.ipynb"]


def _stand_in(tmp_path, make):
    """Cells that were run once before, so that a test of what follows needs no kernel."""
    cells = nbformat.read(make(GOOD, site_id="first").folder / "report.ipynb", 4).cells
    (tmp_path / "out" / "trial-visits-site_id_first").rename(tmp_path / "first")

    def fill(notebook, **_: object) -> None:
        for cell, done in zip(notebook.cells, cells, strict=True):
            cell.outputs = done.get("outputs", [])
    return fill


def test_an_output_folder_that_cannot_be_written_is_one_clear_line(make, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ReportError, match="cannot write into .*out: "):
        make(GOOD)
    assert (tmp_path / "out").read_text() == "a file"


def test_a_failed_required_check_is_exit_code_7_and_stands_on_the_page(make):
    gate = "{'name': 'follow-up', 'required': True, 'passed': False, 'note': '61% have a final score'}"
    done = make(f"shown([gain('north')], {{'gates': [{gate}]}})")
    assert (done.status, done.exit_code) == ("gate failed", 7)
    html = done.report.read_text("utf-8")
    assert "A required check failed" in html and "follow-up: 61% have a final score" in html
    assert json.loads((done.folder / "run.json").read_text())["exit_code"] == 7


def test_internal_reports_say_so_everywhere(make):
    done = make("shown([gain('north')], policy='internal')", policy="internal")
    assert done.folder.name == "trial-visits-INTERNAL"
    assert openpyxl.load_workbook(done.folder / "results.xlsx").sheetnames == ["Results INTERNAL", "About INTERNAL"]
    assert "<title>INTERNAL: " in done.report.read_text("utf-8")
    assert 'role="note">INTERNAL: small counts are shown' in done.report.read_text("utf-8")


def test_runs_are_named_for_what_they_ask():
    assert run_name(["pilot_study", "prt", "pilot"], internal=False) == "pilot_study-prt-pilot"
    first, second = (run_name(["review", "x", site], internal=True) for site in ("a/b", "a:b"))
    assert first != second and first.startswith("review-x-a-b-") and first.endswith("-INTERNAL")
    assert all(len(run_name(["t", "x" * size], internal=False)) <= 60 for size in (57, 58, 59, 100, 1000))


def test_a_killed_process_leaves_no_report_and_no_kernel(tmp_path):
    write_template(tmp_path, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)", GOOD)
    (tmp_path / "tmp").mkdir()
    script = ("from therapyeval.reports.run import run_report\n"
              "run_report('trial.toml', {'data': 'visits'}, 'out')")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")})
    try:
        pid = int(_wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    finally:
        process.kill()
        process.wait()
    assert _wait_for(lambda: not _is_running(pid))
    assert _wait_for(lambda: names(tmp_path / "tmp") == [])
    left, = (tmp_path / "out").iterdir()
    assert left.name.startswith(".trial-visits-") and left.name.endswith(".failed")
    assert names(left) == ["reason.txt"] and "interrupted" in (left / "reason.txt").read_text()


def _wait_for(condition, seconds: float = 20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and state.read_text().rsplit(")")[-1].split()[0] == "Z")
    except ProcessLookupError:
        return False


def test_a_run_set_aside_by_a_killed_process_comes_back(tmp_path):
    aside = tmp_path / ".trial-a-01234567.replaced"
    aside.mkdir()
    (aside / "report.html").write_text("good")
    RunFolder(tmp_path, "trial-a").fail("no")
    assert (tmp_path / "trial-a" / "report.html").read_text() == "good" and not aside.exists()


def test_what_a_killed_process_left_goes_after_a_day(tmp_path):
    for name, age in ((".trial-a-01234567.failed", 25 * 3600), (".trial-a-89abcdef.failed", 3600)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, times=(time.time() - age,) * 2)
    RunFolder(tmp_path, "trial-a").fail("no")
    assert names(tmp_path) == [".trial-a-89abcdef.failed", "trial-a.failed"]


def test_a_rename_that_fails_brings_the_old_run_back(tmp_path, monkeypatch):
    (tmp_path / "trial-a").mkdir()
    build = RunFolder(tmp_path, "trial-a")
    rename = RunFolder._rename

    def broken(source: Path, target: Path) -> None:
        if source == build.path:
            raise OSError(errno.EIO, "broken")
        rename(source, target)
    monkeypatch.setattr(RunFolder, "_rename", staticmethod(broken))
    with pytest.raises(OSError, match="broken"):
        build.finish("trial-a")
    assert (tmp_path / "trial-a").is_dir() and not list(tmp_path.glob("*.replaced"))


def test_a_report_runs_inside_a_running_event_loop_as_in_jupyter(make):
    async def cell() -> int:
        return make(GOOD).exit_code
    assert asyncio.run(cell()) == 0


def test_without_fork_a_kernel_is_an_ordinary_process_on_loopback(make, monkeypatch):
    from therapyeval.reports.kernels import ReportKernelManager
    monkeypatch.setattr(ReportKernelManager, "uses_fork", False)
    where = "HTML(f'<p>{os.getppid()} {__import__(\"ipykernel\").get_connection_info(unpack=True)[\"transport\"]}</p>')"
    assert f"<p>{os.getpid()} tcp</p>" in make(GOOD, where).report.read_text("utf-8")


@pytest.mark.skipif(not fork_server.is_available(), reason="kernels are forked on Linux only")
def test_a_fork_server_that_is_gone_makes_a_report_slower_but_not_impossible(make, monkeypatch):
    def gone(*_: object) -> None:
        raise OSError("the fork server has ended")
    monkeypatch.setattr(fork_server.ForkServer, "fork", gone)
    assert make(GOOD).exit_code == 0


def test_kernels_are_this_python_in_this_folder_with_nothing_of_the_user(make, tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("raise RuntimeError('not the real one')")
    facts = (f"[sys.prefix == {sys.prefix!r}, os.getcwd() == {str(tmp_path)!r}, os.read(0, 1) == b'', "
             "'te-kernel' in __import__('tempfile').mkdtemp(), get_ipython().history_manager.enabled]")
    html = make(GOOD, f"import pandas; facts = {facts}; HTML(f'<p>{{facts}}</p>')").report.read_text("utf-8")
    assert "<p>[True, True, True, True, False]</p>" in html


@pytest.mark.skipif(not fork_server.is_available(), reason="kernels are forked on Linux only")
def test_the_process_that_forks_kernels_has_no_thread_of_its_own_and_ends_its_kernels():
    from therapyeval.reports.kernels import kernel_environment
    server = fork_server.ForkServer(kernel_environment() | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    try:
        server.ask({"poll": 0})
        threads = Path(f"/proc/{server._process.pid}/task").iterdir()
        assert {(thread / "comm").read_text().strip() for thread in threads} - {"jemalloc_bg_thd"} == {"python"}
        kernel = server.fork(["-f", os.devnull], "/", os.environ)
        assert kernel.poll() is None or kernel.returncode == 0
    finally:
        server.close()
    assert _wait_for(lambda: not _is_running(kernel.pid))
    assert kernel.poll() in (0, -signal.SIGKILL)


def test_everything_imports_lightly_and_without_fork(tmp_path):
    script = ("import os, sys\n"
              "for name in ('fork', 'killpg', 'setsid'): delattr(os, name)\n"
              "sys.modules['fcntl'] = sys.modules['resource'] = None\n"
              "import therapyeval.reports.run, therapyeval.reports.publish, therapyeval.reports.fork_server\n"
              "heavy = {'papermill', 'nbconvert', 'openpyxl', 'nbclient', 'jupyter_client', 'matplotlib', 'duckdb'}\n"
              "print(sorted(heavy & set(sys.modules)), therapyeval.reports.fork_server.is_available())\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False", done.stderr
