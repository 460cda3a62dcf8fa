"""One released Result as a file (CSV, workbook, JSON or Parquet), and how any file is put in its place."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from therapyeval.disclosure.policy import INTERNAL
from therapyeval.errors import ParameterError, did_you_mean
from therapyeval.reports.spreadsheet import write_csv, write_xlsx
from therapyeval.result import Result


def write(result: Result, path: str | Path) -> Path:
    """Write a released Result; the ending says how. Returns the path, whose name says INTERNAL where it must.

    Raises
    ------
    ParameterError
        For another ending, a Result that was not released, or a place that cannot be written.
    """
    path = Path(path)
    if result.policy is None:
        raise ParameterError("results are written only after release: give them to te.release first.")
    if path.suffix.lower() not in _WRITERS:
        raise ParameterError(f"{path.name[:60]}: the ending must be {', '.join(_WRITERS)}."
                             f"{did_you_mean(path.suffix, _WRITERS) if path.suffix else ''}")
    return placed(path, result.policy, lambda part: _WRITERS[path.suffix.lower()](result, part))


def placed(path: Path, policy: str, write_to: Callable[[Path], object]) -> Path:
    """Put what `write_to` writes in its place when it is complete; the path, whose name says INTERNAL where it must.

    Raises
    ------
    ParameterError
        For a place that cannot be written.
    """
    if policy == INTERNAL and INTERNAL.upper() not in path.stem:
        path = path.with_stem(f"{path.stem}-{INTERNAL.upper()}")
    part = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        write_to(part)
        part.replace(path)
    except PermissionError:
        part.unlink(missing_ok=True)
        raise ParameterError(f"cannot write {path}: it is open in another program, or may not be written. "
                             "Close it there and try again.") from None
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ParameterError(f"cannot write {path}: {error.strerror or type(error).__name__}.") from None
    return path


def _xlsx(result: Result, path: Path) -> None:
    source = result.source
    about = [("Table", result.title), ("Privacy policy", str(result.policy)),
             ("Intervals", f"{100 * result.conf_level:g}%"), ("Counts", source.population),
             ("Period", source.period or "all"), ("Data up to", source.data_cut or ""),
             ("Data fingerprint", source.fingerprint)]
    write_xlsx(result.to_frame(), path, about=about, internal=result.policy == INTERNAL)


def _json(result: Result, path: Path) -> None:
    path.write_text(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


_WRITERS: Mapping[str, Callable[[Result, Path], object]] = {
    ".csv": lambda result, path: write_csv(result.to_frame(), path),
    ".xlsx": _xlsx,
    ".json": _json,
    ".parquet": lambda result, path: result.to_frame().to_parquet(path, index=False),
}
