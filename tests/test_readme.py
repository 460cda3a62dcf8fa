"""The README's commands do what it says: each one is run, in a copy of the folders they name."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands():
    """Every command line of the README's shell and Windows blocks that runs our Python or papermill."""
    for language, block in re.findall(r"```(sh|bat)\n(.*?)```", README, re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line.split("#")[0].replace("\\", "/"))
            if words and words[0] in (".venv/bin/python", ".venv/Scripts/python", ".venv/bin/papermill"):
                yield language, words


RUNNABLE = [(language, words) for language, words in commands()
            if "pip" not in words and "pytest" not in words and "explore" not in words]


@pytest.mark.parametrize(("language", "words"), RUNNABLE, ids=[" ".join(words[1:5]) for _, words in RUNNABLE])
def test_a_command_of_the_readme_runs(language, words, tmp_path):
    for folder in ("data_samples", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    program = ["-m", "papermill"] if words[0].endswith("papermill") else []
    done = subprocess.run([sys.executable, *program, *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_python_of_the_readme_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})


def test_every_file_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
