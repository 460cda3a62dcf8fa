"""What Windows and locked-down machines ask for, as far as another system can show it: docs/windows.md tells the rest.

Names that NTFS takes, output in the console's code page, files that another program has open, no fork, and wheels.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import therapyeval.result as r
from bundle.make import RECORD, TEXTS, write_texts
from bundle.wheels import EXTRAS, OLDEST, closure, markers, project_requirements, read_pins
from therapyeval.cli import main
from therapyeval.errors import ReportError
from therapyeval.formatting import safe_name
from therapyeval.reports.folder import REASON, RunFolder, run_name
from therapyeval.reports.run import FILES, run_report
from therapyeval.reports.spreadsheet import LONGEST_TEXT, write_csv, write_xlsx

ROOT = Path(__file__).resolve().parent.parent
STROKE = ROOT / "data_samples" / "stroke_recovery"
DEEPEST = 120  # characters below OUT, so that OUT itself may have 139 of the 259 that Windows takes
DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
           *(port + digit for port in ("COM", "LPT") for digit in "123456789¹²³")}
HOSTILE = ["../../x", "..", ".", "", " ", "C:\\x", "a:b", "x.", "x ", "NUL", "nul.txt", "Com1.tar.gz", "COM¹", "lpt³.x",
           "AUX .txt", "=1+1", "<script>", "'; import os", "a\x00b", "\x1b[31m", "a\nb", "\u202egnp.exe", "a" * 100_000,
           "." * 100_000, "Север", "Югра", "日本", "日本語", "🙂", "naïve", "Łódź", "\ud800", "North", "north", "NORTH",
           "a-b", "a_b", "a b", "x" * 61, "x" * 62, "-x", "~$x", "%TEMP%", "$(x)", "CONIN$"]


def is_taken_by_ntfs(name: str) -> bool:
    """As Windows documents it: no special character, no space or dot at the end, no device before the first dot."""
    return (re.fullmatch(r'[^<>:"/\\|?*\x00-\x1f]{1,255}', name) is not None and name[-1] not in " ."
            and name.split(".")[0].strip().upper() not in DEVICES)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_a_safe_name_is_one_that_windows_takes(text):
    for name in (safe_name(text), safe_name(text, 20), safe_name(text, hashed=True),
                 run_name([text, text], internal=True)):
        assert is_taken_by_ntfs(name) and re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name, re.ASCII) and len(name) <= 69, name


@given(st.text(max_size=80), st.integers(20, 80))
def test_any_text_makes_a_safe_name_of_limited_length(text, limit):
    name = safe_name(text, limit)
    assert is_taken_by_ntfs(name) and len(name) <= limit and name.isascii()
    assert safe_name(name, limit) == name


def test_texts_that_lose_letters_or_are_cut_keep_different_names():
    different = ["Север", "Югра", "日本", "日本語", "🙂", "🙃", "Север 1", "Югра 1", "x" * 61, "x" * 62, "x" * 100_000]
    assert len({safe_name(text) for text in different}) == len(different)
    assert safe_name("Clínica São José") == "Clinica-Sao-Jose"


def test_two_questions_have_two_folders_even_where_capitals_do_not_count():
    parts = [["review", text] for text in HOSTILE] + [["review", "a", "b-c"], ["review", "a-b", "c"]]
    names = [run_name(words, internal=False).lower() for words in parts]
    assert len(set(names)) == len(names)
    assert run_name(["review", "harbor", "FY2026Q1", "2026-07"], internal=False) == "review-harbor-FY2026Q1-2026-07"


def test_nothing_that_a_run_makes_is_deeper_than_120_characters_below_out(tmp_path, monkeypatch):
    made, rename = [], RunFolder._rename

    def watched(source: Path, target: Path) -> None:
        made.extend(str((folder / file).relative_to(tmp_path))
                    for folder in (source, target) for file in (*FILES, REASON))
        rename(source, target)
    monkeypatch.setattr(RunFolder, "_rename", staticmethod(watched))
    name = run_name(["t" * 100_000], internal=True)
    for finish in (RunFolder.finish, RunFolder.finish, RunFolder.fail):
        finish(RunFolder(tmp_path, name), name)
    assert any(".replaced" in path for path in made) and any(path.endswith(f".failed/{REASON}") for path in made)
    assert 80 < max(map(len, made)) <= DEEPEST


DATA = """
    id,site,odi1,odi2
    1,Север,40,20
    2,Север → ≥,30,10
    3,Łódź,50,45
"""
MAPPING = """
    version: 1
    note: "от 2026 — ≥ 3 visits"
    timepoint_rule: declared
    tables:
      - read: d.csv
        episode: {id: id, discipline: PT, site_id: site}
        scores: {odi: {initial: odi1, discharge: odi2}}
"""


@pytest.fixture
def foreign(tmp_path) -> Path:
    """Data whose site names no Western code page has."""
    (tmp_path / "d.csv").write_text(textwrap.dedent(DATA).strip() + "\n", encoding="utf-8")
    (tmp_path / "mapping.yml").write_text(textwrap.dedent(MAPPING), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
@pytest.mark.parametrize("words, code", [
    (["--help"], 0), (["report", "--help"], 0), (["measures", "lefs"], 0), (["metrics", "mcid_rate"], 0),
    (["templates", "pilot_study"], 0), (["check", "DATA"], 0), (["check", "DATA", "--json"], 0),
    (["summarize", "DATA", "score_change:odi", "--by", "site_id"], 0), (["measures", "Север ≥"], 4),
    (["summarize", "DATA", "score_change:odi", "--where", "site_id=Юг→\udc80"], None), (["Север"], 2)])
def test_no_output_fails_where_the_console_lacks_a_letter(foreign, monkeypatch, encoding, words, code):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    try:
        got = main([str(foreign) if word == "DATA" else word for word in words])
    except SystemExit as stop:
        got = stop.code
    for stream in streams:
        stream.flush()
    printed, complaint = (stream.buffer.getvalue() for stream in streams)
    assert got == code or (code is None and got in (0, 3, 4)), complaint
    assert printed or complaint
    assert b"Traceback" not in complaint


@pytest.mark.parametrize("encoding", ["cp1252", "cp1252:strict"])
@pytest.mark.parametrize("words, code", [(["--help"], 0), (["measures", "lefs"], 0), (["measures", "Север"], 4),
                                         (["summarize", ".", "score_change:odi", "--by", "site_id"], 0)])
def test_the_command_itself_runs_under_cp1252(foreign, encoding, words, code):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-m", "therapyeval", *words], cwd=foreign, env=env, capture_output=True,
                          check=False)
    assert done.returncode == code and b"Traceback" not in done.stderr
    assert (done.stdout if code == 0 else done.stderr).decode("cp1252").strip()


def test_every_text_file_is_opened_with_its_encoding_named():
    shown = subprocess.run([sys.executable, "-m", "ruff", "check", "--preview", "--select", "PLW1514", "therapyeval",
                            "bundle"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout


@pytest.fixture
def held(tmp_path, monkeypatch):
    """An OUT with a finished run, and files of it that another program seems to have open, as Windows tells it."""
    (tmp_path / "trial-a").mkdir()
    for name in FILES:
        (tmp_path / "trial-a" / name).write_text("old", encoding="utf-8")
    monkeypatch.setattr("therapyeval.reports.folder.time.sleep", lambda seconds: None)
    rename, opened = Path.rename, Path.open

    def hold(*names: str, folder: str = "trial-a", times: int = 1_000) -> list[str]:
        refused: list[str] = []

        def busy_rename(path: Path, target: Path) -> Path:
            if path.name == folder and len(refused) < times:
                refused.append(path.name)
                raise PermissionError(13, "The process cannot access the file")
            return rename(path, target)

        def busy_open(path: Path, mode: str = "r", *more: object, **options: object):
            if path.name in names and "+" in mode:
                raise PermissionError(13, "The process cannot access the file")
            return opened(path, mode, *more, **options)
        monkeypatch.setattr(Path, "rename", busy_rename)
        monkeypatch.setattr(Path, "open", busy_open)
        return refused
    return hold


def finished(out: Path) -> RunFolder:
    """A new run that waits to be put in its place."""
    build = RunFolder(out, "trial-a")
    for name in FILES:
        build.write(name, "new")
    return build


def contents(folder: Path) -> set[str]:
    return {(folder / name).read_text("utf-8") for name in FILES}


def test_a_file_that_is_open_for_a_moment_only_makes_the_run_wait(held, tmp_path):
    refused = held("results.xlsx", times=3)
    finished(tmp_path).finish("trial-a")
    assert len(refused) == 3 and contents(tmp_path / "trial-a") == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["trial-a"]


@pytest.mark.parametrize("names, told", [
    (["results.xlsx"], "results.xlsx in trial-a is open in another program"),
    (["results.xlsx", "results.csv"], "results.csv and results.xlsx in trial-a are open in another program"),
    ([], "a file in trial-a, or the folder itself, is open in another program")])
def test_a_file_that_stays_open_is_named_and_the_old_run_stays(held, tmp_path, names, told):
    held(*names)
    build = finished(tmp_path)
    with pytest.raises(ReportError, match=told) as caught:
        build.finish("trial-a")
    build.fail(str(caught.value))
    assert contents(tmp_path / "trial-a") == {"old"}
    assert told in (tmp_path / "trial-a.failed" / REASON).read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trial-a", "trial-a.failed"]


def test_a_new_run_that_cannot_be_moved_brings_the_old_one_back(held, tmp_path):
    build = finished(tmp_path)
    held("report.html", folder=build.path.name)
    with pytest.raises(ReportError, match="report.html in .* is open in another program"):
        build.finish("trial-a")
    assert contents(tmp_path / "trial-a") == {"old"}


def test_an_old_run_that_cannot_even_be_brought_back_is_there_after_the_next_start(held, tmp_path, monkeypatch):
    build = finished(tmp_path)
    rename = Path.rename

    def only_aside(path: Path, target: Path) -> Path:
        if target.suffix != ".replaced":
            raise PermissionError(13, "The process cannot access the file")
        return rename(path, target)
    monkeypatch.setattr(Path, "rename", only_aside)
    with pytest.raises(ReportError, match="is open in another program"):
        build.finish("trial-a")
    monkeypatch.setattr(Path, "rename", rename)
    RunFolder(tmp_path, "trial-a").fail("no")
    assert contents(tmp_path / "trial-a") == {"old"}


def test_every_module_imports_without_what_only_posix_has():
    script = textwrap.dedent("""
        import importlib, os, pkgutil, signal, sys
        for name in ("fork", "forkpty", "killpg", "setsid", "register_at_fork"):
            delattr(os, name)
        del signal.SIGKILL
        for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "syslog"):
            sys.modules[name] = None
        import therapyeval
        for module in pkgutil.walk_packages(therapyeval.__path__, "therapyeval."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        from therapyeval.reports.fork_server import is_available
        print(sum(name.startswith("therapyeval.") for name in sys.modules), is_available())""")
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, forks = done.stdout.split()
    assert int(count) > 50 and forks == "False"


def test_a_report_runs_in_an_ordinary_process_over_tcp_loopback(tmp_path, monkeypatch):
    from therapyeval.reports import kernels

    started = []

    class Watched(kernels.ReportKernelManager):
        uses_fork = False

        async def _async_launch_kernel(self, cmd: list[str], **options: object) -> None:
            started.append((self.transport, self.ip, type(self.provisioner).__name__, cmd[1:4]))
            await super()._async_launch_kernel(cmd, **options)
    monkeypatch.setattr(kernels, "ReportKernelManager", Watched)
    monkeypatch.setattr(kernels.fork_server, "running", lambda env: pytest.fail("a fork server was started"))
    done = run_report("pilot_study", {"data": str(STROKE), "protocol": str(STROKE / "pilot.yml")}, tmp_path / "out")
    assert done.exit_code == 0 and sorted(path.name for path in done.folder.iterdir()) == sorted(FILES)
    assert started == [("tcp", "127.0.0.1", "LocalProvisioner", ["-P", "-m", "ipykernel_launcher"])]


CELLS = ["=1+1", "=cmd|' /C calc'!A0", "\x00=1+1", "\t=1+1", "\r=1", "\n=1", "  =1+1", "\x1b[31m", "@SUM(1)", "-2+3|x",
         "../../x", "<script>alert(1)</script>", "'; import os", "a\x00b", "a" * 100_000, "=" + "a" * 100_000, "%0A=1",
         "a\r=1+1,=2", "\ufffe=1", "a\uffff"]


def test_no_cell_is_live_holds_control_characters_or_is_too_long(tmp_path):
    rows = [{"site_id": text, "metric": text, "statistic": "mean", "estimate": 1.0, "n": 40, "note": text}
            for text in CELLS]
    frame = r.make_frame(rows, ["site_id"])
    write_csv(frame, tmp_path / "x.csv")
    write_xlsx(frame, tmp_path / "x.xlsx", about=[(text, text) for text in CELLS], internal=False)
    csv.field_size_limit(200_000)
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        cells = [row["site_id"] for row in csv.DictReader(file)]
    assert len(cells) == len(CELLS) and not [cell for cell in cells if re.match(r"[\s\x00-\x1f]*[=+@-]|[\t\r]", cell)]
    for sheet in openpyxl.load_workbook(tmp_path / "x.xlsx"):
        for cell in (cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)):
            assert cell.data_type == "s" and len(cell.value) <= LONGEST_TEXT
            assert not re.search(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]", cell.value)
            assert cell.quotePrefix or not re.match(r"\s*[=+@-]", cell.value)


def recorded() -> dict[tuple[str, str], tuple[str, list[str]]]:
    """bundle/wheels.txt: (name, system) -> version and Pythons."""
    lines = [line.split() for line in RECORD.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {(pin.split("==")[0], system): (pin.split("==")[1], pythons) for pin, system, *pythons in lines}


def installed_requirements(names) -> dict[str, list[str]]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # only other systems or Pythons need it
            found[name] = []
    return found


@pytest.mark.parametrize("python", OLDEST)
@pytest.mark.parametrize("system", ["windows", "linux"])
def test_every_pinned_dependency_has_a_wheel(system, python):
    pins, wheels = read_pins((ROOT / "constraints.txt").read_text("utf-8")), recorded()
    needed = closure(project_requirements(), markers(system, python), installed_requirements)
    assert len(needed) > 100 and ("pywinpty" in needed) == (system == "windows")
    assert not sorted(needed - pins.keys()), "not pinned: add them to constraints.txt"
    stale = [name for name in sorted(needed)
             if wheels.get((name, system), ("", []))[0] != pins[name] or python not in wheels[name, system][1]]
    assert not stale, "bundle/wheels.txt is not up to date: run `python -m bundle --list`"


def test_markers_are_judged_for_the_target_not_for_this_machine():
    lines = {"b": ["a[x]"], "a": ["b; sys_platform == 'win32'", "c; os_name == 'posix'", "d; python_version < '3.12'",
                                  "e; extra == 'x'"]}

    def requires(names):
        return {name: lines.get(name, []) for name in names}
    assert closure(["A"], markers("windows", "3.12"), requires) == {"a", "b", "e"}
    assert closure(["a"], markers("linux", "3.11"), requires) == {"a", "c", "d"}


def test_the_scripts_start_python_only_and_activate_nothing(tmp_path):
    write_texts(tmp_path, ["3.11", "3.12"], longest=180)
    texts = {name: (tmp_path / name).read_bytes().decode("ascii") for name in TEXTS}
    assert all(text.count("\n") == text.count("\r\n") and not re.search(r"@\w+@", text) for text in texts.values())
    assert not [name for name, text in texts.items() if re.search(r"https?:|activate\b|curl|powershell", text, re.I)]
    for name in ("install.cmd", "explore.cmd", "report.cmd"):
        started = re.findall(r"Scripts\\(\S+)", texts[name])
        assert started and {word.strip('"') for word in started} <= {"python", "python.exe"}, name
    assert "--no-index --find-links wheels -c constraints.txt" in texts["install.cmd"]
    assert "v[:2] in ((3, 11), (3, 12),) and v[:3] >= (3, 11, 5)" in texts["install.cmd"]
    assert "3.11, 3.12 (3.11.5 or newer)" in texts["README.txt"] and "at most 78 characters" in texts["README.txt"]
    assert EXTRAS == ("app",) and f"therapyeval[{EXTRAS[0]}]" in texts["install.cmd"]
