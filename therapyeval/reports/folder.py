"""A run's folder: built under a hidden name that ends in `.failed`, and renamed only when it is complete.

Whatever happens, a process that ends leaves a finished run, a `.failed` folder with its reason, or nothing.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from pathlib import Path

from therapyeval.errors import ReportError
from therapyeval.formatting import listed, safe_name

REASON = "reason.txt"
INTERRUPTED = "The run was interrupted before it was complete.\n"
LONGEST_NAME = 60
_PLAIN = re.compile(r"[a-z0-9_.]+|(FY)?\d{4}(Q[1-4]|-\d\d)?")  # a word in small letters, or a period
_STALE_SECONDS = 24 * 3600
_ATTEMPTS = 5


def run_name(parts: list[str], *, internal: bool) -> str:
    """The name of a run: its parts joined. A hash tells apart what is not plain: capitals, which Windows takes for
    small letters, a `-` inside a part, what a file name cannot hold, and what is too long.

    >>> run_name(["quarterly_review", "harbor_rehab", "2026Q3", "north"], internal=False)
    'quarterly_review-harbor_rehab-2026Q3-north'
    >>> run_name(["quarterly_review", "harbor_rehab", "2026Q3", "North"], internal=False)
    'quarterly_review-harbor_rehab-2026Q3-North-69aed11b'
    """
    wanted = "-".join(parts)
    is_plain = all(_PLAIN.fullmatch(part) for part in parts) and safe_name(wanted, LONGEST_NAME) == wanted
    name = wanted if is_plain else safe_name("\0".join(parts), LONGEST_NAME, hashed=True)
    return f"{name}-INTERNAL" if internal else name


class RunFolder:
    """The folder of one run in OUT while it is built: `path`, then `finish` or `fail`."""

    def __init__(self, out: str | Path, name: str) -> None:
        self.out, self.name = Path(out), name
        token = secrets.token_hex(4)
        self.path = self.out / f".{name}-{token}.failed"
        self._aside = self.out / f".{name}-{token}.replaced"
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._tidy()
            self.path.mkdir()
            self.write(REASON, INTERRUPTED)
        except OSError as error:
            shutil.rmtree(self.path, ignore_errors=True)
            raise ReportError(f"cannot write into {self.out}: {error.strerror or type(error).__name__}.") from None

    def write(self, name: str, text: str) -> None:
        """One text file, UTF-8, the same bytes on every system."""
        (self.path / name).write_text(text, encoding="utf-8", newline="\n")

    def finish(self, name: str) -> Path:
        """Put the complete run in its place; one of the same name is replaced at this moment and not before."""
        target = self.out / name
        if target.exists():
            self._rename(target, self._aside)
        try:
            (self.path / REASON).unlink()
            self._rename(self.path, target)
        except BaseException:
            if self._aside.exists() and not target.exists():
                self._rename(self._aside, target)
            raise
        shutil.rmtree(self._aside, ignore_errors=True)
        shutil.rmtree(self.out / f"{name}.failed", ignore_errors=True)
        return target

    def fail(self, reason: str) -> Path | None:
        """Leave `<run>.failed` with the reason and what there is so far; None where not even that can be written."""
        target = self.out / f"{self.name}.failed"
        try:
            self.write(REASON, f"{reason}\n")
            shutil.rmtree(target, ignore_errors=True)
            self._rename(self.path, target)
        except (OSError, ReportError):
            shutil.rmtree(self.path, ignore_errors=True)
            return None
        return target

    def _tidy(self) -> None:
        """Bring back a run that was set aside by a process that was killed, and drop what is long dead."""
        for aside in self.out.glob(f".{self.name}-????????.replaced"):
            if not (self.out / self.name).exists():
                self._rename(aside, self.out / self.name)
        for old in [*self.out.glob(f".{self.name}-????????.failed"), *self.out.glob(f".{self.name}-????????.replaced")]:
            if time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)

    @staticmethod
    def _rename(source: Path, target: Path) -> None:
        """Rename; on Windows a file that somebody has open makes it wait, then say so."""
        for attempt in range(_ATTEMPTS):
            try:
                source.rename(target)
                return
            except PermissionError:
                if attempt == _ATTEMPTS - 1:
                    raise ReportError(_busy(source if source.exists() else target)) from None
                time.sleep(0.2 * (attempt + 1))


def _busy(folder: Path) -> str:
    """Which files keep a folder from being renamed: a program that has one open forbids writing to it."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            path.open("r+b").close()
        except PermissionError:
            found.append(path.name)
        except OSError:  # gone meanwhile, or a folder
            continue
    which = f"{listed(found)} in {folder.name}" if found else f"a file in {folder.name}, or the folder itself,"
    return (f"the report could not be put in its place: {which} {'are' if len(found) > 1 else 'is'} open in another "
            "program. Close it there and run the report again.")
