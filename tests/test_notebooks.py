"""Notebooks stay thin, run from top to bottom, and keep one output: a released table that nbval compares."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KEPT = "nbval-check-output"
TOO_MUCH = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.ListComp,
            ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Try)
MODULES = {"therapyeval"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> nbformat.NotebookNode:
    found = nbformat.read(request.param, as_version=4)
    nbformat.validate(found)
    return found


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_kept(cell: nbformat.NotebookNode) -> bool:
    return KEPT in cell.metadata.get("tags", [])


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_exactly_one_cell_keeps_its_output_and_it_is_released(notebook):
    kept, = filter(is_kept, code(notebook))
    assert kept.source.splitlines()[-1].endswith(".to_text())")
    output, = kept.outputs
    assert kept.execution_count and output.output_type == "stream" and "released under" in output.text
    for cell in code(notebook):
        assert is_kept(cell) or (not cell.outputs and cell.execution_count is None), cell.id


def test_nothing_of_the_person_who_ran_it_is_kept(notebook):
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)


def test_a_cell_asks_one_question_and_does_no_work_of_its_own(notebook):
    for cell in code(notebook):
        assert cell.source.startswith("# ") and "?" in cell.source.splitlines()[0], cell.id
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, TOO_MUCH), f"{cell.id}: {type(node).__name__}"
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert set(names) <= MODULES, cell.id


def test_notebooks_give_what_they_show_and_a_wrong_number_is_seen(tmp_path):
    wrong = nbformat.read(NOTEBOOKS[0], as_version=4)
    kept = next(filter(is_kept, code(wrong)))
    kept.outputs[0].text = kept.outputs[0].text.replace("released under", "0.5 released under")
    (tmp_path / "data_samples").symlink_to(ROOT / "data_samples")
    (tmp_path / "wrong").mkdir()
    nbformat.write(wrong, tmp_path / "wrong" / "wrong.ipynb")
    done = nbval(tmp_path, ROOT / "notebooks", tmp_path / "wrong")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1 and "wrong.ipynb" in failed[0], done.stdout[-3000:]


def nbval(workdir: Path, *folders: Path) -> subprocess.CompletedProcess:
    empty = workdir / "empty.ini"
    empty.write_text("[pytest]\n")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run([sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "-c", str(empty),
                           *map(str, folders)], capture_output=True, text=True, timeout=600, cwd=workdir,
                          env=dict(os.environ, PYTHONPATH=path))


def renew(path: Path) -> None:
    """Run a notebook; keep the output that nbval compares, empty the rest, and nothing else (`make notebooks`)."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, store_widget_state=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code" and not is_kept(cell):
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for found in NOTEBOOKS:
        renew(found)
