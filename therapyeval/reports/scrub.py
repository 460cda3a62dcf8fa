"""What a notebook may carry away: no paths of this machine, no environment, no messages, no tracebacks."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from therapyeval.errors import TherapyevalError
from therapyeval.parameters import base_name
from therapyeval.reports.execute import INJECTED, inject

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from therapyeval.parameters import Values

_KEPT_METADATA = ("kernelspec", "language_info")
_KEPT_OUTPUTS = ("display_data", "execute_result", "error")
_SHORTEST = 4  # a folder as short as "/" or "C:\" says nothing, and would be found everywhere


def scrubbed(notebook: NotebookNode, values: Values, error: TherapyevalError | None = None) -> NotebookNode:
    """A copy fit to be kept: parameters with base names, results as shown, one line for the error."""
    from copy import deepcopy

    notebook = deepcopy(notebook)
    if any(INJECTED in cell.metadata.get("tags", []) for cell in notebook.cells):
        notebook = inject(notebook, values.public())
    notebook.metadata = type(notebook.metadata)(
        {name: notebook.metadata[name] for name in _KEPT_METADATA if name in notebook.metadata})
    paths = machine_paths(values)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = type(cell.metadata)({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [_output(output, paths, error) for output in cell.outputs
                            if output.output_type in _KEPT_OUTPUTS]
    return notebook


def machine_paths(values: Values) -> list[str]:
    """Folders of this machine, and the inputs as they were typed, that a message could hold; longest first."""
    inputs = [text for name, text in values.literals().items() if text != values.public()[name]]
    folders = [os.getcwd(), str(Path.home()), sys.prefix, sys.base_prefix, tempfile.gettempdir(),
               str(Path(__file__).resolve().parents[2]), *(os.path.dirname(os.path.abspath(name)) for name in inputs)]
    folders += [os.path.realpath(folder) for folder in folders]
    folders += [text for text in inputs if re.search(r"[\\/]", text)]
    folders += [folder.replace("\\", "/") for folder in folders]
    return sorted({folder.rstrip("/\\") for folder in folders if len(folder) >= _SHORTEST}, key=len, reverse=True)


def without_paths(text: str, paths: Iterable[str]) -> str:
    """The text with these folders taken out.

    >>> without_paths("/home/ann/data/visits.csv: 3 rows; see /home/ann.", ["/home/ann/data", "/home/ann"])
    'visits.csv: 3 rows; see ann.'
    """
    for path in paths:
        if path in text:
            name = base_name(path)
            pattern = rf"(?:file://|(?<![\w+/])){re.escape(path)}(?:[\\/]+(?=[\w.])|(?![\w+]))"
            text = re.sub(pattern, lambda found, name=name: "" if found[0][-1] in "\\/" else name, text)
    return text


def _output(output: NotebookNode, paths: list[str], error: TherapyevalError | None) -> NotebookNode:
    if output.output_type == "error":
        message = without_paths(str(error), paths)
        output.ename, output.evalue, output.traceback = type(error).__name__, message, [message]
        return output
    output.metadata = type(output.metadata)()
    output.data = type(output.data)({kind: data if kind.startswith("image/") else _clean(data, paths)
                                     for kind, data in output.data.items()})
    return output


def _clean(data: object, paths: list[str]) -> object:
    if isinstance(data, str):
        return without_paths(data, paths)
    if isinstance(data, list):
        return [_clean(item, paths) for item in data]
    if isinstance(data, dict):
        return type(data)({name: _clean(item, paths) for name, item in data.items()})
    return data
