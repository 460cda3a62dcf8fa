"""Makes `dist/bundle-<version>/`: wheels, constraints, scripts, samples and a README, to be carried to a machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path

from bundle.wheels import (
    OLDEST,
    PLATFORMS,
    ROOT,
    closure,
    for_target,
    from_registry,
    markers,
    pip,
    project_requirements,
    read_pins,
)

HERE = Path(__file__).resolve().parent
RECORD = HERE / "wheels.txt"
TEXTS = ("install.cmd", "explore.cmd", "report.cmd", "README.txt")
SOURCES = ("therapyeval", "templates", "notebooks", "data_samples", "pyproject.toml", "setup.py", "README.md",
           "LICENSE")
LONGEST_ON_WINDOWS = 259
_HEADING = """\
# The pinned packages that the offline bundle needs, each with a wheel for these Pythons; `make bundle` writes it.
# name==version  system  Pythons
"""
Needed = dict[tuple[str, str], set[str]]  # (system, Python) -> normal names


def make(out: Path, systems: Collection[str], pythons: Collection[str]) -> Path:
    """Build the bundle; an older one of this version is replaced when the new one is complete.

    Raises
    ------
    BundleError
        Where a package is not pinned, or has no wheel for a target.
    """
    pins = _pins()
    needed = resolve(systems, pythons)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".bundle-") as building:
        wheel = build_wheel(Path(building))
        part = Path(building, f"bundle-{wheel.name.split('-')[1]}")
        (part / "wheels").mkdir(parents=True)
        for (system, python), names in needed.items():
            _say(f"wheels for {system}, Python {python}")
            pip("download", "--dest", str(part / "wheels"), *for_target(system, python),
                *(f"{name}=={pins[name]}" for name in sorted(names)))
        shutil.copy(wheel, part / "wheels")
        shutil.copy(ROOT / "constraints.txt", part)
        write_texts(part, pythons, longest_path(part / "wheels"))
        unpack_samples(wheel, part / "samples")
        target = out / part.name
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    if set(systems) == set(PLATFORMS) and set(pythons) == set(OLDEST):
        RECORD.write_text(as_text(needed, pins), encoding="utf-8", newline="\n")
    return target


def record() -> None:
    """Write wheels.txt anew from the registry's metadata."""
    RECORD.write_text(as_text(resolve(PLATFORMS, OLDEST), _pins()), encoding="utf-8", newline="\n")


def resolve(systems: Iterable[str], pythons: Collection[str]) -> Needed:
    """What each target needs, each with a wheel for it."""
    found: Needed = {}
    for system in systems:
        for python in pythons:
            _say(f"what {system} needs with Python {python}")
            requires = from_registry(system, python, _pins())
            found[system, python] = closure(project_requirements(), markers(system, python), requires)
    return found


def as_text(needed: Needed, pins: dict[str, str]) -> str:
    """The recorded list: one line for each package and system."""
    lines: dict[tuple[str, str], list[str]] = {}
    for (system, python), names in needed.items():
        for name in names:
            lines.setdefault((name, system), []).append(python)
    return _HEADING + "".join(f"{name}=={pins[name]} {system} {' '.join(sorted(pythons))}\n"
                              for (name, system), pythons in sorted(lines.items()))


def build_wheel(out: Path) -> Path:
    """This project's wheel, built from a copy of the sources, so that no stale `build/` gets into it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            source, copy = ROOT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
            elif source.is_file():
                shutil.copy(source, copy)
        pip("wheel", "--no-deps", *_own_setuptools(), "--wheel-dir", str(out), folder)
    return next(out.glob("therapyeval-*.whl"))


def _own_setuptools() -> list[str]:
    """The installed setuptools builds without asking a registry; an older one does not know our license line."""
    if find_spec("setuptools") is None:
        return []
    import setuptools

    return ["--no-build-isolation"] if int(setuptools.__version__.split(".")[0]) >= 77 else []


def write_texts(folder: Path, pythons: Collection[str], longest: int) -> None:
    """The scripts and the README, with line ends that cmd and Notepad take."""
    oldest = OLDEST[min(pythons, key=_version)]
    words = {"@OLDEST@": oldest, "@FIRST@": ", ".join(oldest.split(".")), "@PYTHONS@": ", ".join(pythons),
             "@SERIES@": ", ".join(str(_version(python)) for python in pythons),
             "@ROOM@": str(LONGEST_ON_WINDOWS - longest - 1)}
    for name in TEXTS:
        text = (HERE / name).read_text("ascii")
        for word, value in words.items():
            text = text.replace(word, value)
        (folder / name).write_text(text, encoding="ascii", newline="\r\n")


def longest_path(wheels: Path) -> int:
    """Characters of the longest path that an installation makes below the bundle's folder on Windows."""
    longest = 0
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as file:
            for name in file.namelist():
                below = name.partition(".data/data/")[2] or f"Lib/site-packages/{name}"
                longest = max(longest, len(f".venv/{below}"))
    return longest


def unpack_samples(wheel: Path, folder: Path) -> None:
    """The samples that the wheel carries, where people find them."""
    inside = "therapyeval/data_samples/"
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            if name.startswith(inside):
                target = folder / name.removeprefix(inside)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read(name))


def _version(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


def _pins() -> dict[str, str]:
    return read_pins((ROOT / "constraints.txt").read_text("utf-8"))


def _say(text: str) -> None:
    print(f"bundle: {text}", file=sys.stderr, flush=True)
