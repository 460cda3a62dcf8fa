"""The page in a real browser without a network: no request, no console message, nothing cut off."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import nbformat
import pytest
from test_reports import ROOT

from therapyeval.cli import main
from therapyeval.display import Cell, Paragraph, Row, Section, Table, Warnings
from therapyeval.reports.gates import Gate
from therapyeval.reports.publish import Page, to_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--hide-scrollbars", "--allow-file-access-from-files",
         "--disable-default-apps", "--disable-extensions", "--no-pings", "--enable-logging=stderr",
         "--disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,Translate"]
BROWSERS_OWN = ("clients2.google.com", "accounts.google.com", "update.googleapis.com", "android.clients.google.com",
                "optimizationguide-pa.googleapis.com", "redirector.gvt1.com")  # what Chromium itself may still ask
SCROLLED = {f"te-{name}-caption" for name in ("headlines", "completion", "by-measure", "measures", "scores",
                                              "no-shows")}      # too wide for a telephone: they scroll by themselves
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; .ci/run installs it")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """A page with everything on it: sections, a wide table, a failed gate, the internal banner, hostile text."""
    cells = tuple(Cell("12.3 (9.1 to 15.2)", note="Five have no final score.") for _ in range(9))
    table = Table("gain", "Table 1. Gain", "everybody allocated", tuple(f"Arm {i}" for i in range(9)),
                  tuple(Row(f"Outcome {i} <script>alert(1)</script>", cells) for i in range(12)), "Outcome")
    blocks = (Paragraph("A sentence. " * 20, "lead"), Warnings(("Not randomized.",)), table)
    sections = [Section(name, name.title(), blocks, top=name == "summary")
                for name in ("summary", "flow", "outcomes", "limits")]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell("x", outputs=[
        nbformat.v4.new_output("execute_result", {"text/html": section._repr_html_()}, execution_count=1)])
        for section in sections]
    path = tmp_path_factory.mktemp("page") / "report.html"
    around = Page("Pilot of telerehabilitation", "Pilot study", "0.1.0", (("Data", "x" * 200), ("Made", "today")),
                  (("Data fingerprint", "9f2c" * 16),), "INTERNAL: small counts are shown; do not send.",
                  (Gate("follow-up", True, False, "61% have a final score"),))
    path.write_text(to_html(notebook, around), encoding="utf-8")
    return path


@pytest.fixture
def requests():
    """A proxy that answers nothing and keeps the first line of every request that the browser makes."""
    lines: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                lines.append(connection.recv(4096).split(b"\r\n")[0].decode("latin-1"))
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield server.getsockname()[1], lines
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(timeout=5)


def browse(tmp_path: Path, url: str, *options: str, proxy: int = 9) -> tuple[str, list[str]]:
    """Open a page, all requests going to this port; what the browser prints, and what its console says."""
    done = subprocess.run([CHROMIUM, *QUIET, f"--proxy-server=127.0.0.1:{proxy}", "--proxy-bypass-list=<-loopback>",
                           f"--user-data-dir={tmp_path / 'profile'}", *options, url],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout, re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr)


def test_the_page_asks_for_nothing_and_the_console_stays_empty(page, tmp_path, requests):
    port, asked = requests
    picture, paper = tmp_path / "page.png", tmp_path / "page.pdf"
    _, console = browse(tmp_path, page.as_uri(), f"--screenshot={picture}", "--window-size=1280,1600", proxy=port)
    assert console == []
    assert [line for line in asked if not any(host in line for host in BROWSERS_OWN)] == []
    assert picture.stat().st_size > 30_000
    browse(tmp_path, page.as_uri(), f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> list[Path]:
    """The quarterly review and the pilot report of harbor_rehab."""
    out, harbor = tmp_path_factory.mktemp("reports"), ROOT / "data_samples" / "harbor_rehab"
    plan = f"protocol={harbor / 'pilot.yml'}"
    for words in (["quarterly_review", "-p", "period=2026Q2"], ["pilot_study", "-p", plan]):
        assert main(["report", *words, "--data", str(harbor), "--out", str(out)]) == 0
    return sorted(out.glob("*/report.html"))


def test_both_reports_ask_for_nothing_fit_the_window_and_print(reports, tmp_path, requests):
    port, asked = requests
    assert len(reports) == 2
    for report in reports:
        _, console = browse(tmp_path, report.as_uri(), f"--screenshot={tmp_path / 'shot.png'}", proxy=port)
        assert console == []
        for width in (1280, 1200, 390):
            frame = report.parent / f"frame-{width}.html"
            frame.write_text(f"""<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe>
                <p></p>
                <script>onload = () => {{ const page = document.querySelector('iframe').contentDocument
                  const cut = [...page.querySelectorAll('.te-scroll')].filter(it => it.scrollWidth > it.clientWidth)
                  document.querySelector('p').textContent = 'width ' + page.documentElement.scrollWidth + ' cut ' +
                    cut.map(it => it.getAttribute('aria-labelledby')).join(' ') }}</script>""")
            printed, _ = browse(tmp_path, frame.as_uri(), "--dump-dom", "--window-size=1400,1000",
                                "--virtual-time-budget=3000")
            wide, cut = re.search(r"width (\d+) cut ([^<]*)", printed).groups()
            assert int(wide) <= width
            assert set(cut.split()) <= (SCROLLED if width == 390 else set())
        browse(tmp_path, report.as_uri(), f"--print-to-pdf={tmp_path / 'paper.pdf'}")
        assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert [line for line in asked if not any(host in line for host in BROWSERS_OWN)] == []


def test_this_check_would_see_a_request_and_a_message(tmp_path, requests):
    port, asked = requests
    control = tmp_path / "control.html"
    control.write_text("<img src='http://x.example/a.png'><script>console.error('hello')</script>")
    _, console = browse(tmp_path, control.as_uri(), f"--screenshot={tmp_path / 'control.png'}", proxy=port)
    assert any("hello" in line for line in console)
    assert "GET http://x.example/a.png HTTP/1.1" in asked


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    frame = page.parent / f"frame-{width}.html"
    frame.write_text(f"""<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe><p></p>
        <script>
        onload = () => {{ const page = document.querySelector('iframe').contentDocument.documentElement;
          const box = page.querySelector('.te-scroll');
          document.querySelector('p').textContent = ['widths', page.scrollWidth, box.clientWidth < box.scrollWidth,
            page.querySelectorAll('h1').length, page.querySelectorAll('script').length].join(' ') }}</script>""")
    printed, _ = browse(tmp_path, frame.as_uri(), "--dump-dom", "--window-size=1400,1000", "--virtual-time-budget=3000")
    found = re.search(r"widths (\d+) (\w+) (\d+) (\d+)", printed)
    assert found and int(found[1]) <= width and found.groups()[1:] == ("true", "1", "0"), printed[-300:]


def test_the_stylesheet_has_no_leftover_placeholders():
    css = (ROOT / "therapyeval" / "reports" / "page" / "page.css").read_text()
    from therapyeval.reports.publish import css as filled
    assert "$" in css and "$" not in filled() and "http" not in filled()
