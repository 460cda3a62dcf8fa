"""Which wheels an installation needs on another system: the closure of its requirements, as pinned.

pip can ask for wheels of another platform, but it judges markers (`sys_platform == "win32"`) by the machine it
runs on, and so would leave out what only Windows needs. Here the markers are judged for the target.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("app",)  # pdf needs Pango from the system, slides nobody has asked for there
PLATFORMS = {
    "windows": ("win_amd64",),
    "linux": (*(f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17, 12, 5)), "manylinux2014_x86_64"),
}
OLDEST = {"3.11": "3.11.5", "3.12": "3.12.0", "3.13": "3.13.0"}  # a pinned package refuses Python 3.11.4
_MARKERS = {
    "windows": {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"},
    "linux": {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64"},
}
RequiresDist = Callable[[Collection[str]], Mapping[str, Iterable[str]]]


class BundleError(Exception):
    """What keeps a bundle from being made."""


def markers(system: str, python: str) -> dict[str, str]:
    """What environment markers see on a target: a key of PLATFORMS and a key of OLDEST."""
    return {**_MARKERS[system], "python_version": python, "python_full_version": OLDEST[python],
            "implementation_name": "cpython", "implementation_version": OLDEST[python],
            "platform_python_implementation": "CPython", "platform_release": "", "platform_version": ""}


def read_pins(text: str) -> dict[str, str]:
    """The lines of a constraints file: normal name -> version."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def project_requirements(extras: Iterable[str] = EXTRAS) -> list[str]:
    """What users of this project install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]


def closure(wanted: Iterable[str], target: Mapping[str, str], requires: RequiresDist) -> set[str]:
    """Normal names of everything that the requirements need on the target, themselves included.

    Parameters
    ----------
    target : what markers see there
    requires : names -> the requirement lines of each; asked once for each round of new names
    """
    known: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, frozenset]] = set()
    todo = {(canonicalize_name(item.name), frozenset(item.extras)) for item in map(Requirement, wanted)}
    while todo:
        seen |= todo
        new = {name for name, _ in todo} - known.keys()
        known |= {name: [Requirement(line) for line in lines] for name, lines in requires(sorted(new)).items()}
        todo = {(canonicalize_name(item.name), frozenset(item.extras))
                for name, extras in todo for item in known.get(name, ()) if _applies(item, extras, target)} - seen
    return {name for name, _ in seen}


def _applies(item: Requirement, extras: frozenset, target: Mapping[str, str]) -> bool:
    return item.marker is None or any(item.marker.evaluate({**target, "extra": extra}) for extra in {"", *extras})


def from_registry(system: str, python: str, pins: Mapping[str, str]) -> RequiresDist:
    """Requirement lines of the target's own wheels, read from their metadata without downloading them."""
    def requires(names: Collection[str]) -> dict[str, list[str]]:
        unpinned = [name for name in names if name not in pins]
        if unpinned:
            raise BundleError(f"constraints.txt has no line for {', '.join(unpinned)}, needed on {system} "
                              f"with Python {python}.")
        if not names:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.json")
            pip("install", "--dry-run", "--ignore-installed", "--target", folder, "--report", str(report),
                *for_target(system, python), *(f"{name}=={pins[name]}" for name in names))
            found = json.loads(report.read_text("utf-8"))["install"]
        return {canonicalize_name(item["metadata"]["name"]): item["metadata"].get("requires_dist", ())
                for item in found}
    return requires


def for_target(system: str, python: str) -> list[str]:
    """pip's options for wheels of another system; dependencies are ours to find."""
    platforms = [word for platform in PLATFORMS[system] for word in ("--platform", platform)]
    return ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", OLDEST[python],
            *platforms]


def pip(*arguments: str) -> None:
    """Run pip quietly; its first error is the message where it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BundleError(f"pip {arguments[0]} failed. {errors[-1] if errors else done.stderr[-500:]}")
