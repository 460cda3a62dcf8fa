"""Facts kept on disk, so that a second read of unchanged large data takes a second.

They hold patient rows. They lie in `.therapyeval` beside the data (in the user's cache folder where that cannot be
written), for the owner only; deleting the folder is always safe. A set of facts is a folder that is written under
another name and renamed when complete: a reader finds all of it or nothing, whoever else writes or is stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from therapyeval import __version__
from therapyeval.cohort import FURTHER, Facts
from therapyeval.data import engine, schema
from therapyeval.data.appointments import Appointments
from therapyeval.data.quality import QualityReport
from therapyeval.errors import DataError

NAME, MANIFEST, APPOINTMENTS = ".therapyeval", "manifest.json", "appointments.parquet"
NEW = ".new-"  # how the name of a folder begins that is being written or cleared away, or that somebody works in
FROM_BYTES = 50_000_000  # smaller data are read anew as fast
KEPT = 3  # sets of facts that stay; older ones are deleted
FORMAT = 1  # of what is stored: raise it with every change to it, so that what was stored before is read anew
FRAMES = ("episodes", "scores", "referrals", "enrollment", *FURTHER)
QUALITY = ("tables", "problems", "quarantine")
DAMAGED = "the stored facts were damaged and were made again from the data"


@dataclass(frozen=True)
class State:
    """What facts are made from: `files` gives size, time of change (ns) and SHA-256 by name.

    `settings` is a digest of what else decides about them: mapping, data cut, the files given, this package, FORMAT.
    """

    files: Mapping[str, tuple[int, int, str]]
    settings: str

    @property
    def content(self) -> tuple:
        return self.settings, sorted((name, size, digest) for name, (size, _, digest) in self.files.items())


@dataclass(frozen=True)
class Stored:
    """What a Dataset is made from."""

    facts: Facts
    quality: QualityReport
    fingerprint: str


def state(paths: Iterable[Path], settings: Iterable[str]) -> State:
    """The state of these files; a file is hashed again only where its size or time of change is new."""
    paths = sorted(paths)
    known = {}
    for folder in places(paths[0].parent):
        for manifest in _manifests(folder).values():
            known.update({(name, size, time): digest for name, (size, time, digest) in manifest.files.items()})
    files = {}
    for path in paths:
        found = path.stat()
        key = path.name, found.st_size, found.st_mtime_ns
        files[path.name] = (*key[1:], known.get(key) or digest(path))
    text = "\0".join((str(FORMAT), __version__, pd.__version__, *settings, *files))
    return State(files, hashlib.sha256(text.encode()).hexdigest())


def is_current(made_from: State, paths: Iterable[Path]) -> bool:
    """Whether the files have the size and time of change that they had."""
    now = {path.name: path.stat() for path in paths if path.is_file()}
    return {name: (found.st_size, found.st_mtime_ns) for name, found in now.items()} == {
        name: (size, time) for name, (size, time, _) in made_from.files.items()}


def digest(path: Path) -> str:
    """SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(data: Path, wanted: State, measures: Mapping[str, object]) -> tuple[Stored | None, bool]:
    """The facts of a state, and whether they were there but damaged."""
    damaged = False
    for folder in places(data):
        for entry, manifest in _manifests(folder).items():
            if manifest.content == wanted.content:
                try:
                    return _read(entry, measures), False
                except (OSError, ValueError, KeyError):
                    damaged = True
                    _clear(entry)
    return None, damaged


def store(data: Path, made_from: State, stored: Stored) -> Stored:
    """Write facts where they can be written; the same facts, with the appointments that were written."""
    for folder in places(data):
        try:
            new = _new(folder)
        except OSError:
            continue
        try:
            _write(new, made_from, stored)
            name = hashlib.sha256(repr(made_from.content).encode()).hexdigest()[:16]
            _flushed(new)  # or a loss of power could leave the new name with files that are not there
            entry = new.rename(folder / f"{name}-{new.name.removeprefix(NEW)}")
            _flushed(folder)
            _tidy(folder)
            return _from_disk(stored, entry)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
    return stored


def workspace(data: Path) -> Path:
    """A new folder for rows that do not fit into memory, for the owner only, beside the facts where possible."""
    return _workspace(places(data))


def _workspace(places: Iterable[Path]) -> Path:
    for folder in places:
        with suppress(OSError):
            return _new(folder)
    return Path(tempfile.mkdtemp())


def _new(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=NEW, dir=folder))  # for the owner only


def places(data: Path) -> list[Path]:
    """Where facts may lie: beside the data, else in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache")
    own = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]
    return [data / NAME, home / "therapyeval" / own]


def _manifests(folder: Path) -> dict[Path, State]:
    """The complete sets of facts in a folder, newest first."""
    found = {}
    for path in sorted(folder.glob(f"[!.]*/{MANIFEST}"), key=_changed, reverse=True):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            found[path.parent] = State({name: tuple(file) for name, file in told["files"].items()}, told["settings"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _from_disk(stored: Stored, entry: Path) -> Stored:
    made = stored.facts.appointments
    if made is None:
        return stored
    appointments = _appointments(entry, made.attributes, made.data_cut)
    return replace(stored, facts=replace(stored.facts, appointments=appointments))


def _appointments(folder: Path, attributes: tuple[str, ...], data_cut: pd.Timestamp) -> Appointments:
    """The appointments that were written; a question that does not fit into memory is answered beside them."""
    def rows():
        own, path = _workspace([folder.parent]), folder / APPOINTMENTS
        with suppress(OSError):  # a second name, so that the rows stay when another process clears the set away
            os.link(path, own / APPOINTMENTS)
            path = own / APPOINTMENTS
        if not path.is_file():
            raise DataError(f"the stored facts in {NAME} were cleared away by another run. Read the data again.")
        return engine.parquet_table(engine.connect(own), "appointments", path)

    return Appointments(attributes, data_cut, rows)


def _tidy(folder: Path) -> None:
    """Delete all but the newest sets of facts, and what a stopped run left behind a day ago."""
    for entry in list(_manifests(folder))[KEPT:]:
        _clear(entry)
    now = max((_changed(path) for path in folder.iterdir()), default=0)
    for path in folder.glob(f"{NEW}*"):
        if now - _changed(path) > 86_400 * 10**9:
            shutil.rmtree(path, ignore_errors=True)


def _clear(entry: Path) -> None:
    """Delete a set, under another name first: a run that is stopped meanwhile leaves no part of a set."""
    with suppress(OSError):  # another process was first, or holds one of its files: then it stays whole
        shutil.rmtree(entry.rename(entry.with_name(f"{NEW}{entry.name}")), ignore_errors=True)


def _write(folder: Path, made_from: State, stored: Stored) -> None:
    facts, types = stored.facts, {}
    frames = {name: getattr(facts, name) for name in FRAMES if getattr(facts, name) is not None}
    frames |= {name: getattr(stored.quality, name) for name in QUALITY}
    for name, frame in frames.items():
        types[name] = {column: str(kind) for column, kind in frame.dtypes.items()}
        engine.write_frame(frame, folder / f"{name}.parquet")
    appointments = None
    if facts.appointments is not None:
        facts.appointments.write(folder / APPOINTMENTS)
        appointments = list(facts.appointments.attributes)
    written = {path.name: digest(sealed(path)) for path in sorted(folder.iterdir())}
    told = asdict(made_from) | {
        "types": types, "appointments": appointments, "written": written, "fingerprint": stored.fingerprint,
        "verdict": stored.quality.verdict, "timepoint_rule": facts.timepoint_rule, "min_visits": facts.min_visits,
        "has_calendar": facts.has_calendar, "data_cut": facts.data_cut and facts.data_cut.date().isoformat()}
    (folder / MANIFEST).write_text(json.dumps(told), encoding="utf-8")
    sealed(folder / MANIFEST)


def sealed(path: Path) -> Path:
    """The file for its owner only, and on the disk."""
    path.chmod(0o600)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return path


def _flushed(folder: Path) -> None:
    """The names in a folder on the disk, where the system can do that (Windows does it by itself)."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _read(folder: Path, measures: Mapping[str, object]) -> Stored:
    """Facts as they were written.

    Raises
    ------
    OSError, ValueError, KeyError
        Where anything of them is missing or not as it was written.
    """
    told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name, expected in told["written"].items():
        if digest(folder / name) != expected:
            raise ValueError(name)
    frames = {name: engine.read_frame(folder / f"{name}.parquet", types) for name, types in told["types"].items()}
    cut = pd.Timestamp(told["data_cut"]).as_unit("s") if told["data_cut"] else None
    appointments = None
    if told["appointments"] is not None:
        appointments = _appointments(folder, tuple(told["appointments"]), cut or pd.Timestamp(schema.NEWEST))
    facts = Facts(**{name: frames.get(name) for name in FRAMES}, measures=measures, appointments=appointments,
                  timepoint_rule=told["timepoint_rule"], has_calendar=told["has_calendar"], data_cut=cut,
                  min_visits=told["min_visits"])
    quality = QualityReport(**{name: frames[name] for name in QUALITY}, verdict=told["verdict"])
    return Stored(facts, quality, told["fingerprint"])
