"""The repository as a newcomer meets it: layers, dependencies in step, nothing of one machine in it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "therapyeval"

LAYERS = [
    {"errors"},
    {"formatting", "period", "yaml_lines", "measures"},
    {"result", "stats"},
    {"cohort"},
    {"data"},
    {"metrics"},
    {"analysis"},
    {"benchmark"},
    {"disclosure"},
    {"display"},
    {"review", "pilot", "parameters"},
    {"explorer", "reports"},
    {"cli", "__init__"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ONLY_HOME = {
    "scipy.stats": {"stats"}, "statsmodels": {"stats"}, "matplotlib": {"display"}, "seaborn": {"display"},
    "great_tables": {"display"}, "ipywidgets": {"explorer"},
    "anywidget": {"explorer"}, "voila": {"explorer"}, "papermill": {"reports"}, "nbconvert": {"reports"},
    "ibis": {"data"}, "duckdb": {"data"},
}
CONDA_NAMES = {"duckdb": "python-duckdb", "ibis-framework": "ibis-framework-core", "matplotlib": "matplotlib-base",
               "seaborn": "seaborn-base", "nbconvert": "nbconvert-core"}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def unit(path):
    """The layer unit of a file: its top module or package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, anywhere in it, as a dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_layers(path):
    own = unit(path)
    assert own in LEVEL, f"{own} has no layer"
    for name in imports(path):
        if not name.startswith("therapyeval.") or own == "__init__":
            continue
        other = name.split(".")[1]
        if other in LEVEL and other != own:
            assert LEVEL[other] < LEVEL[own], f"{path.name} ({own}) imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_heavy_library_has_one_home(path):
    for name in imports(path):
        for library, homes in ONLY_HOME.items():
            if name == library or name.startswith(f"{library}."):
                assert unit(path) in homes, f"{path.name} imports {library}"


def test_importing_the_package_and_the_command_loads_no_heavy_library():
    heavy = "pandas numpy scipy statsmodels duckdb ibis matplotlib seaborn great_tables papermill nbconvert openpyxl"
    code = f"import sys, therapyeval, therapyeval.cli; print([x for x in '{heavy}'.split() if x in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.strip() == "[]"


def requirement(text):
    return re.match(r"([A-Za-z0-9_.-]+)(\[[^\]]*\])?(.*)", text.replace(" ", "")).group(1, 3)


def test_environment_yml_names_what_pyproject_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    wanted = {CONDA_NAMES.get(name, name): bound for name, bound in map(requirement, project["dependencies"])}
    found = dict(map(requirement, environment["dependencies"]))
    assert found.pop("python") == project["requires-python"]
    found.pop("pip")
    assert found == wanted
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_constraints_pin_every_dependency_exactly_and_hold_no_address():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+!]*", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    every = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    assert {requirement(text)[0].lower() for text in every} <= pinned


def tracked():
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return [ROOT / name for name in listed.split("\n") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_machine_or_a_package_registry():
    words = [("/wo" + "rk/"), ("/ro" + "ot/"), ("/tm" + "p/bash"), ("py" + "pi.org"), ("python" + "hosted"),
             ("deb.deb" + "ian"), ("registry.np" + "mjs")]
    for path in tracked():
        if path.suffix in {".parquet", ".png", ".gz"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [word for word in words if word in text], path.name


def test_modules_and_functions_stay_readable():
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 450, f"{path.name} has outgrown one idea"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                assert length <= 40, f"{path.name}: {node.name} has {length} lines"


def test_the_package_has_no_utils():
    assert not [path for path in PACKAGE.rglob("*") if "util" in path.name or "helper" in path.name]


def test_ruff_finds_nothing():
    shown = subprocess.run([sys.executable, "-m", "ruff", "check", "."], capture_output=True, text=True, cwd=ROOT)
    assert shown.returncode == 0, shown.stdout
