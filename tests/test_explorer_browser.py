"""The explorer in a real browser with the network cut: in JupyterLab and as an app. Skips where Chromium is absent."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from test_explorer_saved import EXPLORE, PLANTED, STATE, write_planted

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "01_explore_cohorts.ipynb"
SAMPLE = ROOT / "data_samples" / "harbor_rehab"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--hide-scrollbars", "--disable-default-apps", "--disable-extensions",
         "--no-pings", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--proxy-server=direct://"]
SHOWN = "document.querySelector('.te-x-state') && document.querySelector('.te-x[role=region]').innerText"
PANEL = "[...window.jupyterapp.shell.widgets('main')].find(item => item.context)"
RUN = f"""(() => {{ const panel = window.jupyterapp && {PANEL};
  if (!panel || panel.context.sessionContext.session?.kernel?.status !== 'idle') return false;
  window.jupyterapp.commands.execute('notebook:run-all-cells'); return true; }})()"""
SAVE = f"{PANEL}.context.save().then(() => true)"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; .ci/run installs it")


class Tab:
    """One page of Chromium, driven through its debugging port; keeps every request and console error."""

    def __init__(self, folder: Path) -> None:
        websocket = pytest.importorskip("websocket", reason="websocket-client comes with jupyter-server")
        self.process = subprocess.Popen([CHROMIUM, *QUIET, f"--user-data-dir={folder}", "--remote-debugging-port=0",
                                         "--remote-allow-origins=*", "about:blank"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready = folder / "DevToolsActivePort"
        wait(lambda: ready.is_file() and len(ready.read_text().split()) == 2)
        port = ready.read_text().split()[0]
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = websocket.create_connection(address, timeout=60)
        self.number, self.requests, self.errors = 0, [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command and return its answer; events on the way are kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            message = json.loads(self.socket.recv())
            self._keep(message)
            if message.get("id") == self.number:
                return message.get("result", {})
        raise AssertionError(f"no answer to {method}: {parameters}")

    def _keep(self, message: dict) -> None:
        kind, body = message.get("method"), message.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(body["request"]["url"])
        elif kind == "Network.webSocketCreated":
            self.requests.append(body["url"])
        elif kind == "Runtime.consoleAPICalled" and body["type"] == "error":
            self.errors.append(" ".join(str(item.get("value", item.get("description"))) for item in body["args"]))
        elif kind == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(body["exceptionDetails"])[:500])
        elif kind == "Log.entryAdded" and body["entry"]["level"] == "error":
            self.errors.append(f"{body['entry']['text']} {body['entry'].get('url', '')}")

    def ask(self, script: str) -> object:
        return self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                         returnByValue=True)["result"].get("value")

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        self.resize(width, height)
        self.call("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of the dropdown with this label, as a person does."""
        assert self.ask(f"""(() => {{
            const box = [...document.querySelectorAll('.widget-dropdown')].find(
              item => item.querySelector('label').innerText === {json.dumps(label)});
            const list = box.querySelector('select');
            list.value = [...list.options].find(item => item.text === {json.dumps(option)}).value;
            list.dispatchEvent(new Event('change', {{bubbles: true}}));
            return true; }})()""")

    def picture(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def outside(self) -> list[str]:
        """Requests that did not go to this computer."""
        return [url for url in self.requests if urlsplit(url).scheme not in ("data", "blob", "about")
                and urlsplit(url).hostname != "127.0.0.1"]

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture
def tab(tmp_path):
    opened = Tab(tmp_path / "profile")
    yield opened
    opened.close()


def wait(test, seconds: float = 180):
    """What `test` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := test():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


@contextmanager
def server(command: list[str], folder: Path, pattern: str):
    """A server started by a command, until it has printed its address; then (address, process)."""
    log = folder / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, *command], stdout=sink, stderr=subprocess.STDOUT, cwd=folder,
                                   env=dict(os.environ, PYTHONPATH=str(ROOT), JUPYTER_CONFIG_DIR=str(folder / "config"),
                                            JUPYTER_RUNTIME_DIR=str(folder / "runtime"), PYTHONUNBUFFERED="1"),
                                   # a shell lets what it runs in the background ignore Ctrl+C, and so would this server
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        yield wait(lambda: re.search(pattern, log.read_text())).group(0), process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve_app(data: Path, folder: Path):
    """The app over these data, without a browser."""
    code = f"from therapyeval.explorer.app import open_app; open_app({str(data)!r}, browser=False)"
    return server(["-c", code], folder, r"http://127\.0\.0\.1:\d+/\?token=\S+")


def test_the_app_follows_its_filters_and_asks_nobody(tab, tmp_path):
    pytest.importorskip("voila", reason="the extra `app` is not installed")
    with serve_app(SAMPLE, tmp_path) as (address, process):
        tab.open(address, height=1000)
        first = shown(tab, "All disciplines, all sites")
        assert "Not released: do not share" in first
        tab.choose("Discipline", "PT")
        tab.choose("Site", "north")
        tab.choose("Quarter of discharge", "2026Q2")
        text = shown(tab, "PT, north, 2026Q2.")
        assert "248 episodes of care ended" in text
        keep(tab, "explore-app-1280.png")
        tab.resize(390, 1400)
        assert tab.ask("document.documentElement.scrollWidth") <= 390
        keep(tab, "explore-app-390.png")
        assert tab.errors == [] and tab.outside() == []
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
    assert "Traceback" not in (tmp_path / "server.log").read_text()


TOKEN = "only-for-this-test"
LAB = ["-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}",
       "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly", "--ServerApp.allow_root=True",
       "--ServerApp.root_dir=."]
SETTINGS = {"@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
            "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab that saves the state of widgets, over a planted clinic and the first notebook: (address, folder)."""
    folder = tmp_path_factory.mktemp("lab")
    for name, values in SETTINGS.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    write_planted(folder / "clinic")
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(EXPLORE)],
                                            metadata={"kernelspec": kernel}), folder / "explore.ipynb")
    (folder / "data_samples").symlink_to(SAMPLE.parent)
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder / "notebooks")
    os.environ["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    with server(LAB, folder, r"http://127\.0\.0\.1:\d+/lab") as (address, _):
        yield address, folder
    os.environ.pop("JUPYTERLAB_SETTINGS_DIR")


def run_in(tab: Tab, address: str, notebook: str) -> None:
    """Open a notebook in JupyterLab and run all of its cells."""
    tab.open(f"{address}/workspaces/{Path(notebook).stem}/tree/{notebook}?token={TOKEN}")
    wait(lambda: tab.ask(RUN))


def test_jupyterlab_saves_only_the_released_view(tab, lab):
    address, folder = lab
    run_in(tab, address, "explore.ipynb")
    assert "47 episodes of care ended" in shown(tab, "All disciplines, all sites.")
    tab.choose("Site", "tiny")
    assert PLANTED in shown(tab, "tiny.")
    notebook = folder / "explore.ipynb"
    wait(lambda: tab.ask(SAVE) and "tiny." in notebook.read_text())
    saved = notebook.read_text()
    assert STATE in saved and "te-x-withheld" in saved and PLANTED not in saved
    assert tab.errors == [] and tab.outside() == []


def test_the_notebook_follows_its_filters_in_jupyterlab(tab, lab):
    run_in(tab, lab[0], f"notebooks/{NOTEBOOK}")
    assert "16,581 episodes of care ended" in shown(tab, "All disciplines, all sites")
    tab.choose("Discipline", "SLP")
    tab.choose("Site", "harbor")
    assert "16,581" not in shown(tab, "SLP, harbor")
    tab.ask("document.querySelector('.te-x-filters').scrollIntoView()")
    keep(tab, "explore-jupyterlab-1280.png")
    assert tab.errors == [] and tab.outside() == []


RESULTS = """import therapyeval as te
cohort = te.read_dataset("clinic").cohort()
change = te.summarize(cohort, "score_change:odi", by="site_id")
display(change)
te.describe(cohort)"""


def test_jupyterlab_shows_the_numbers_of_a_result_and_saves_none_of_them(tab, lab):
    address, folder = lab
    notebook = folder / "results.ipynb"
    kernel = nbformat.read(folder / "explore.ipynb", 4).metadata
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(RESULTS)], metadata=kernel), notebook)
    run_in(tab, address, "results.ipynb")
    live = "[...document.querySelectorAll('.te-x-wide')].map(item => item.innerText).join(' ')"
    text = wait(lambda: (now := tab.ask(live)) and PLANTED in now and "Who the patients were" in now and now)
    assert "not released: do not share" in text and "Run the cell again" not in text
    wait(lambda: tab.ask(SAVE) and STATE in notebook.read_text())
    saved = notebook.read_text()
    assert saved.count("Not released: its numbers are not saved") >= 4 and PLANTED not in saved
    assert tab.errors == [] and tab.outside() == []
    tab.ask(f"{PANEL}.context.sessionContext.shutdown().then(() => true)")
    tab.open(f"{address}/workspaces/again/tree/results.ipynb?token={TOKEN}")
    assert PLANTED not in wait(lambda: (now := tab.ask("document.body.innerText")) and "Not released" in now and now)


def shown(tab: Tab, words: str) -> str:
    """The answers as text, once these words stand in them."""
    return wait(lambda: (now := tab.ask(SHOWN)) and words in now and now)


def keep(tab: Tab, name: str) -> None:
    """Write the picture beside the documentation where that is asked for."""
    picture = tab.picture()
    assert len(picture) < 300_000, name
    if os.environ.get("KEEP_SCREENSHOTS"):
        (ROOT / "docs" / "screenshots" / name).write_bytes(picture)
