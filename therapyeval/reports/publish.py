"""report.html: one file that asks nothing of a network and runs no script; code hidden, results shown."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from string import Template as Text
from typing import TYPE_CHECKING

from therapyeval.display import theme
from therapyeval.errors import ReportError
from therapyeval.reports.gates import Gate

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent / "page"
_HEADING = re.compile(r'<section class="te-section" id="([\w.-]+)"><h2>(.*?)(?:<span class="te-kind">.*?)?</h2>', re.S)
_TAG = re.compile(r"<[^>]*>")
_REFUSED_TAGS = {"script", "iframe", "frame", "object", "embed", "applet", "portal", "form", "base", "audio", "video",
                 "source", "track"}
_ADDRESSES = {"src", "href", "xlink:href", "poster", "data", "background", "srcset", "action", "formaction", "ping",
              "manifest", "cite"}
_LOADS = re.compile(r"@import|url\(\s*[\"']?(?!data:|#)|expression\(", re.I)


@dataclass(frozen=True)
class Page:
    """What stands around the notebook's outputs. `facts` and `provenance` are (term, text) pairs; a page that stands
    alone has no files of results beside it."""

    title: str
    kind: str
    version: str
    facts: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    banner: str = ""
    failed: tuple[Gate, ...] = ()
    stands_alone: bool = False


def to_html(notebook: NotebookNode, page: Page) -> str:
    """The notebook's text and outputs as one page.

    Raises
    ------
    ReportError
        Where an output holds a script, loads something, or links out of the page.
    """
    from nbconvert.exporters import TemplateExporter
    from traitlets.config import Config

    body = "".join(html for cell in notebook.cells for html in shown(cell))
    contents = [(key, unescape(_TAG.sub("", title)).strip()) for key, title in _HEADING.findall(body)]
    heading = "<h1" in body or any(cell.cell_type == "markdown" and cell.source.startswith("# ")
                                   for cell in notebook.cells)
    exporter = TemplateExporter(config=Config(), template_file=str(FOLDER / "index.html.j2"), filters={"shown": shown},
                                extra_template_basedirs=[str(FOLDER.parent)], template_name=FOLDER.name)
    about = {**vars(page), "css": css(), "contents": contents, "has_heading": heading}
    html, _ = exporter.from_notebook_node(notebook, resources={"page": about})
    check_page(html)
    return html


def shown(cell: Mapping) -> list[str]:
    """The HTML of a code cell's outputs; what has none (streams, plain text, the results themselves) is not shown."""
    parts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "text/html" in data:
            html = _joined(data["text/html"]).replace(theme.STYLE, "")
            parts.append(html if "te-section" in html else f'<div class="output">{html}</div>')
        elif "image/svg+xml" in data:
            parts.append(_image("svg+xml", b64encode(_joined(data["image/svg+xml"]).encode()).decode()))
        elif "image/png" in data:
            parts.append(_image("png", _joined(data["image/png"]).strip()))
    return parts


def css() -> str:
    """Style of the page, then of what display makes."""
    colors = {name.lower(): value for name, value in vars(theme).items() if name.isupper() and isinstance(value, str)}
    return Text((FOLDER / "page.css").read_text("utf-8")).substitute(colors) + theme.CSS


def check_page(html: str) -> None:
    """Refuse a page that would run a script, load anything or lead elsewhere.

    Raises
    ------
    ReportError
        With the kind of thing found, not its content.
    """
    watch = _Watch()
    watch.feed(html)
    watch.close()
    if watch.found:
        raise ReportError(f"the page would not be self-contained: it holds {watch.found[0]}. Nothing was published.")


class _Watch(HTMLParser):
    """Collects what a page must not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        given = {name: (value or "").strip() for name, value in attrs}
        if tag in _REFUSED_TAGS or (tag == "link" and given.get("href") != "data:,"):
            self.found.append(f"<{tag}>")
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.found.append("a redirect")
        for name, value in given.items():
            if name.startswith("on"):
                self.found.append(f"an event handler on <{tag}>")
            if name in _ADDRESSES and not value.lower().startswith(("#", "data:image/", "data:,")):
                self.found.append(f"an address in <{tag}>")
            if name == "style" and _LOADS.search(value):
                self.found.append(f"a style that loads a file in <{tag}>")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style and _LOADS.search(data):
            self.found.append("a style that loads a file")


def _image(kind: str, data: str) -> str:
    source = f"data:image/{kind};base64,{data}"
    return f'<figure class="output"><img alt="Figure without a description" src="{source}"></figure>'


def _joined(text: str | list[str]) -> str:
    return "".join(text)
