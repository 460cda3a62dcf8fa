"""`import`: raw data to a folder of canonical tables, with what was set aside beside them.

The folder is built under another name, read back, and put in its place only where its facts are those of the raw
data. It holds codes in place of source ids; the crosswalk, the list of rows set aside and what was read of each file
lie in `quarantine`, for the owner only. Deleting `quarantine` is safe: the next import reads everything again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from therapyeval import __version__
from therapyeval import measures as registry
from therapyeval.cohort import Facts
from therapyeval.data import cache, canonical, definitions, engine, sources
from therapyeval.data.dataset import (
    MAPPING_NAME,
    checked_tables,
    connection_for,
    day_of,
    definitions_of,
    facts_of,
    located,
    read_dataset,
    read_spec,
    state_of,
)
from therapyeval.data.fingerprint import facts_fingerprint
from therapyeval.data.given import MEASURES_NAME, files_of, name_of, read_canonical, read_mapped
from therapyeval.data.mapping import Mapping
from therapyeval.data.quality import NOT_USABLE, Ledger, QualityReport
from therapyeval.data.staging import Staging
from therapyeval.errors import DataError, UsageError
from therapyeval.formatting import count, listed

RECORD, QUARANTINE, STAGED = "import.json", "quarantine", "read"
ROWS, CROSSWALK = "rows.csv", "crosswalk_{}.parquet".format
OWNER_ONLY = 0o700


@dataclass(frozen=True)
class Import:
    """What an import did.

    Attributes
    ----------
    folder : where the canonical tables lie
    tables : of each table and file, rows_in and what became of them, as in `QualityReport.tables`
    verdict : of the quality report
    fingerprint : of the facts (`facts_fingerprint`)
    read, unchanged : names of the files read, and of those taken as the import before had read them
    is_written : False where nothing had changed, so that the folder stayed as it was
    """

    folder: Path
    tables: list[dict]
    verdict: str
    fingerprint: str
    read: tuple[str, ...]
    unchanged: tuple[str, ...]
    is_written: bool = True

    def to_text(self) -> str:
        """A line for each table, then which files were read."""
        done = "Imported to" if self.is_written else "Nothing changed since the last import of"
        lines = [f"{done} {self.folder.name}: data are {self.verdict}.", "", *map(_line, self.tables), ""]
        lines += [f"Read: {listed(self.read)}."] if self.read else []
        lines += [f"Unchanged, not read again: {listed(self.unchanged)}."] if self.unchanged else []
        if any(row["quarantined"] for row in self.tables):
            lines += [f"Rows set aside are listed in {self.folder.name}/{QUARANTINE}/{ROWS} (for you only)."]
        return "\n".join([*lines, f"Next: therapyeval check {self.folder}"])


def import_dataset(path_or_url: str | Path, out: str | Path, mapping: str | Path | None = None) -> Import:
    """Write raw data as a folder of canonical Parquet tables that gives the same facts.

    Parameters
    ----------
    path_or_url, mapping : as `read_dataset` takes them
    out : a new or empty folder, or one that an import wrote: it is replaced when the new one is complete, and files
        whose content is what it was are not read again

    Raises
    ------
    UsageError
        Where `out` holds anything that no import wrote, or that was changed since, or holds the raw data.
    DataError
        As `read_dataset`; and where the data are not usable, or a canonical table would lack what it needs.
    """
    folder, place = located(path_or_url)
    out = Path(out).resolve()
    before = _record(out, place)
    local = folder / MEASURES_NAME
    measures = registry.read(local if local.is_file() else None)
    spec = read_spec(folder, mapping, measures)
    files = [*files_of(folder, place, spec), *([local] if local.is_file() else [])]
    made_from = state_of(files, (spec.text, sources.name(place)))
    told = {"files": {name: digest for name, (_, _, digest) in made_from.files.items()}, "version": __version__,
            "settings": made_from.settings}
    if before and files and {key: before[key] for key in told} == told:
        return Import(out, before["tables"], before["verdict"], before["facts"], (), tuple(told["files"]), False)
    with _replacing(out) as new:
        staging = Staging(spec, _owners(new / QUARANTINE) / STAGED, out / QUARANTINE / STAGED if before else None,
                          {path: told["files"][path.name] for path in files})
        with engine.reading(files):
            quality, made = _write(connection_for(folder, files), folder, place, spec, measures, staging, new)
            facts = facts_fingerprint(made)
        if not cache.is_current(made_from, files):
            raise DataError(f"files of {name_of(place)} were changed while they were read. Import them again.")
        if local.is_file():
            shutil.copyfile(local, new / MEASURES_NAME)
        _check(new, facts)
        definitions.remember(new, definitions_of(spec, made), day_of(made.data_cut), carried_from=out)
        tables = quality.tables.to_dict("records")
        written = {path.name: cache.digest(path) for path in sorted(new.iterdir()) if path.is_file()}
        record = {**told, "facts": facts, "verdict": quality.verdict, "tables": tables, "written": written}
        (new / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return Import(out, tables, quality.verdict, facts, tuple(staging.read), tuple(staging.unchanged))


def _write(connection, folder: Path, place: Path | str, spec: Mapping, measures, staging: Staging,
           new: Path) -> tuple[QualityReport, Facts]:
    """Tables, mapping and quarantine; gives the quality report and the facts of the raw data."""
    ledger = Ledger()
    given = (read_mapped(connection, folder, place, spec, ledger, staging) if spec.tables
             else read_canonical(connection, place, spec, ledger, staging))
    tables = checked_tables(connection, given, measures, spec, ledger)
    crosswalk = canonical.write_tables(connection, tables, given, ledger, new)
    text = canonical.folder_mapping(spec, given, tables, measures)
    (new / MAPPING_NAME).write_text(text, encoding="utf-8", newline="\n")
    facts = facts_of(connection, tables, given, measures, spec, None, ledger)
    quality = ledger.report()
    if quality.verdict == NOT_USABLE:
        errors = quality.problems[quality.problems["severity"] == "error"]
        why = "; ".join(f"{row.file}: {row.rule}" for row in errors.itertuples())
        raise DataError(f"not imported, because data are not usable ({why}). `therapyeval check` shows the rows.")
    aside = new / QUARANTINE
    quality.quarantine.to_csv(aside / ROWS, index=False, lineterminator="\n")
    for kind, table in crosswalk.items():
        engine.write(table.order_by("code"), aside / CROSSWALK(kind))
    for path in aside.iterdir():
        if path.is_file():
            cache.sealed(path)
    return quality, facts


def _check(new: Path, expected: str) -> None:
    """The folder must give the facts of the raw data."""
    if facts_fingerprint(read_dataset(new).facts) != expected:
        raise DataError("not imported: the canonical tables would give other facts than the raw data. Does an "
                        "attribute have the name of a column of another table? Otherwise this is a fault of "
                        "therapyeval.")


def _record(out: Path, place: Path | str) -> dict | None:
    """What the import before says of the folder; None where there was none."""
    if isinstance(place, Path) and (out == place.resolve() or out in place.resolve().parents):
        raise UsageError(f"{out.name} holds the raw data. Choose another folder for the import.")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        written = record["written"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{out.name} is there already, and no import wrote it. Choose another folder.") from None
    ours = {*written, RECORD, QUARANTINE}
    others = [path.name for path in sorted(out.iterdir())
              if path.name not in ours and not path.name.lower().startswith(sources.NOT_DATA)]
    if others:
        raise UsageError(f"{out.name} holds {listed(others[:5])}, which no import wrote. Move it, or choose another "
                         "folder.")
    changed = [name for name, digest in written.items()
               if (out / name).is_file() and cache.digest(out / name) != digest]
    if changed:
        raise UsageError(f"{listed(changed[:5])} in {out.name} was changed by somebody since the import. Keep a copy "
                         "elsewhere and delete it there, or choose another folder.")
    return record if all((out / name).is_file() for name in written) else {**record, "files": None}


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when all went well; otherwise nothing is left of it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".unfinished", dir=out.parent))
    except OSError as error:
        raise UsageError(f"cannot write beside {out.name}: {error.strerror or type(error).__name__}.") from None
    try:
        new = aside / out.name  # the name that facts cached in it were made under
        new.mkdir()
        yield new
        _swap(new, out, aside / "before")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _swap(new: Path, out: Path, before: Path) -> None:
    try:
        if out.exists():
            out.rename(before)
        new.rename(out)
    except OSError:
        if before.exists() and not out.exists():
            before.rename(out)
        raise UsageError(f"{out.name} could not be replaced: is a file of it open in another program? Close it and "
                         "import again.") from None


def _owners(folder: Path) -> Path:
    """A folder for its owner only, with the one for what was read."""
    folder.mkdir(mode=OWNER_ONLY)
    (folder / STAGED).mkdir(mode=OWNER_ONLY)
    return folder


def _line(row: dict) -> str:
    fates = {"in the facts": row["in_facts"], "in quarantine": row["quarantined"], "merged": row["merged"],
             "left out": row["left_out"]}
    told = ", ".join(f"{count(n)} {fate}" for fate, n in fates.items() if n or fate == "in the facts")
    return f"{row['table']} ({row['file']}): {count(row['rows_in'])} rows, {told}"
