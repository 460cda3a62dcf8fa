"""The explorer as an app in the browser, through Voila: this computer only, and nobody without the token."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import sys
import sysconfig
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path

from therapyeval.errors import TherapyevalError, UsageError

LOOPBACK = "127.0.0.1"
HOW_TO_INSTALL = 'the app needs Voila, which is not installed: python -m pip install "therapyeval[app]"'
TOKEN_BYTES = 24
TITLE = "Explore"
LOOK = KERNEL = "therapyeval"
LONGEST_FOLDER = 40  # a socket's path has at most 107 characters; Jupyter adds 63
# A kernel that says nothing on the terminal: what is wrong with the data was told before it started
START = ("import os; null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2); "
         "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()")
# Voila's own page asks a CDN for icons and diagrams: those two blocks are left out
PAGE = """{%- extends 'voila/templates/lab/index.html.j2' -%}
{% import "spinner.macro.html.j2" as spinner %}
{%- block notebook_css -%}
{{ resources.include_js("static/voila-style.js") }}
{{ spinner.css() }}
<style>
  .jp-mod-noOutputs.jp-mod-noInput, .jp-OutputPrompt, .jp-OutputArea-promptOverlay { display: none; }
  body.jp-Notebook { padding: 12px 16px; background: #ffffff; }
</style>
{{ super.super() }}
{%- endblock notebook_css -%}
{%- block html_head_js_mermaidjs -%}{%- endblock html_head_js_mermaidjs -%}
"""
SECURITY = ("default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' ws://{host}; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'")


def open_app(data: str | Path, *, mapping: str | Path | None = None, policy: str | None = None,
             data_cut: str | None = None, port: int = 0, browser: bool = True,
             tell: Callable[[str], None] = print) -> None:
    """Serve the explorer over a data set until Ctrl-C.

    Parameters
    ----------
    data, mapping, data_cut : as `read_dataset` takes them
    policy : privacy policy of what could be saved; default: what the data declare, else cms_11
    port : 0 takes any free one
    browser : whether to open a page in the default browser
    tell : gets the address, token included, once

    Raises
    ------
    UsageError
        Where Voila is not installed, or the port is taken.
    DataError, ParameterError
        Where the data cannot be read, or the policy does not hold: before anything is served.
    """
    try:
        from voila.app import Voila
    except ImportError:
        raise UsageError(HOW_TO_INSTALL) from None
    given = {"data": _absolute(data), "mapping": mapping and _absolute(mapping), "policy": policy,
             "data_cut": data_cut}
    given = {name: value for name, value in given.items() if value}
    _checked(given)
    token, port = secrets.token_urlsafe(TOKEN_BYTES), _free_port(port)
    address = f"http://{LOOPBACK}:{port}/?token={token}"
    with tempfile.TemporaryDirectory(prefix="therapyeval-") as folder, _environment(folder):
        path = Path(folder) / f"{TITLE.lower()}.ipynb"
        path.write_text(json.dumps(notebook(given)), encoding="utf-8")
        _write_look(Path(folder))
        logging.getLogger("tornado.general").setLevel(logging.ERROR)  # it warns about Jupyter's own settings
        app = Voila(**_settings(token, port, folder))
        app.initialize([str(path)])
        _when_served(lambda: _announce(address, folder, browser, tell))
        app.start()


def notebook(given: Mapping[str, str]) -> dict:
    """The notebook that is served: one call, with what was given as literals."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    cell = {"cell_type": "code", "id": "explore", "metadata": {}, "execution_count": None, "outputs": [],
            "source": f"from therapyeval.explorer.app import view\nview({arguments})"}
    kernel = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
    return {"cells": [cell], "metadata": {"title": TITLE, "kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def view(data: str, *, mapping: str | None = None, policy: str | None = None, data_cut: str | None = None) -> object:
    """The explorer over a data set, or the sentence that says why there is none."""
    from therapyeval.data import read_dataset
    from therapyeval.display import Paragraph
    from therapyeval.explorer.crossfilter import sentence
    from therapyeval.explorer.views import explore

    try:
        return explore(read_dataset(data, mapping=mapping, data_cut=data_cut), policy)
    except TherapyevalError as error:
        return Paragraph(sentence(error))


def _checked(given: Mapping[str, str]) -> None:
    """Read the data once here, so that what is wrong with them is told where the command was given."""
    from therapyeval.data import read_dataset
    from therapyeval.disclosure import choose_policy

    dataset = read_dataset(given["data"], mapping=given.get("mapping"), data_cut=given.get("data_cut"))
    choose_policy(given.get("policy"), dataset.policy)


def _absolute(path: str | Path) -> str:
    return str(path) if "://" in str(path) else str(Path(path).resolve())


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise UsageError(f"port {port} is taken. Leave the port out, or choose another.") from None
        return probe.getsockname()[1]


def _settings(token: str, port: int, folder: str) -> dict[str, object]:
    """Voila as we run it: no configuration of others, no other folder, no word about what failed inside."""
    from traitlets.config import Config

    # Sockets in our own folder, where the system has them: TCP could be listened to by others on this computer
    transport = "ipc" if os.name == "posix" and len(folder) <= LONGEST_FOLDER else "tcp"
    return {"ip": LOOPBACK, "port": port, "port_retries": 0, "token": token, "open_browser": False,
            "config_file_paths": [], "connection_dir_root": folder,
            "tornado_settings": {"headers": {"Content-Security-Policy": SECURITY.format(host=f"{LOOPBACK}:{port}")}},
            "config": Config({"Voila": {"log_level": "ERROR"}, "KernelManager": {"transport": transport},
                              "VoilaConfiguration": {
                "template": LOOK, "theme": "light", "strip_sources": True, "show_tracebacks": False,
                "file_allowlist": [], "allow_template_override": "NO", "allow_theme_override": "NO"}})}


def _write_look(folder: Path) -> None:
    """Voila's page without anything from elsewhere, and a kernel of this Python, where Jupyter looks for them."""
    kernel = folder / "kernels" / KERNEL
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({
        "argv": [sys.executable, "-P", "-c", START, "-f", "{connection_file}", "--HistoryManager.enabled=False"],
        "display_name": KERNEL, "language": "python"}), encoding="utf-8")
    look = folder / "voila" / "templates" / LOOK
    look.mkdir(parents=True)
    (look / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    (look / "index.html.j2").write_text(PAGE, encoding="utf-8")


@contextmanager
def _environment(folder: str) -> Iterator[None]:
    """Kernels import this package from where it was imported here, and Voila finds our page; undone afterwards."""
    root = str(Path(__file__).resolve().parents[2])
    first = {"PYTHONPATH": "" if root == sysconfig.get_path("purelib") else root, "JUPYTER_PATH": folder}
    before = dict(os.environ)
    os.environ.update({name: os.pathsep.join(filter(None, [added, before.get(name)])) for name, added in first.items()
                       if added})
    os.environ["JUPYTER_RUNTIME_DIR"] = folder
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _when_served(call: Callable[[], None]) -> None:
    """Run as soon as the server's loop does; by then it listens."""
    from tornado.ioloop import IOLoop

    IOLoop.current().add_callback(call)


def _announce(address: str, folder: str, browser: bool, tell: Callable[[str], None]) -> None:
    """Say the address; open it from a private file, so that no list of processes shows the token."""
    tell(f"Explorer: {address}\nOnly this computer can open it, and only with this address. Ctrl-C ends it.")
    if browser:
        page = Path(folder) / "open.html"
        page.write_text(f'<meta http-equiv="refresh" content="0; url={escape(address)}">', encoding="utf-8")
        webbrowser.open(page.as_uri())
