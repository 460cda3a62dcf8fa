"""`read_dataset`: files and a mapping to validated facts, a quality report and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import pandas as pd

from therapyeval import measures as registry
from therapyeval.cohort import Cohort, Facts, read_filters
from therapyeval.data import cache, convert, engine, schema, sources
from therapyeval.data.check import check_table
from therapyeval.data.links import make_numbers, numbered
from therapyeval.data.mapping import Entry, Field, Mapping, read_mapping
from therapyeval.data.quality import LEFT_OUT, Ledger, QualityReport
from therapyeval.data.reshape import attributes_by_table, reshape, set_aside
from therapyeval.data.rollup import roll_up
from therapyeval.data.sources.raw import Raw
from therapyeval.data.sources.text import OURS
from therapyeval.data.visits import described_visits, used_visits
from therapyeval.errors import DataError, ParameterError, did_you_mean
from therapyeval.result import Source

MAPPING_NAME, MEASURES_NAME = "mapping.yml", "measures.csv"
TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
PACKAGES = ("therapyeval", "pandas", "duckdb", "ibis-framework", "pyarrow")
CUT_FROM = (("visits", "date"), ("discharges", "discharge_date"), ("episodes", "discharge_date"),
            ("assessments", "date"))
ELSE_CUT_FROM = (("episodes", "start_date"), ("referrals", "received_date"))


@dataclass(frozen=True)
class Dataset:
    """Validated facts of one data set.

    Attributes
    ----------
    facts : what metrics see; the rows of appointments stay in the engine that the Dataset owns
    quality : what became of every row that was read
    fingerprint : SHA-256 of the files, their names, the mapping and a data cut given by hand
    data_cut : nothing after this day is used; None where the data have no dates
    policy : (name, reason) of the privacy policy that the mapping declares, or None
    name, note : base name of the folder, and the mapping's note
    """

    facts: Facts
    quality: QualityReport
    fingerprint: str
    data_cut: pd.Timestamp | None
    policy: tuple[str, str] | None
    name: str
    note: str = ""

    def cohort(self, **filters: object) -> Cohort:
        """A selection by attributes: a value, a list of values, or a range such as "18..64"; none selects all.

        Raises
        ------
        UnknownNameError, ParameterError
            For an attribute or a value that the data do not have.
        """
        cut = None if self.data_cut is None else self.data_cut.date().isoformat()
        return Cohort(self.facts, Source(self.fingerprint, data_cut=cut, versions=_versions())).where(**filters)

    def read_cohort(self, path: str | Path) -> Cohort:
        """The cohort of a file that `Cohort.save` wrote."""
        return self.cohort(**read_filters(path))


def read_dataset(path_or_url: str | Path, mapping: str | Path | None = None,
                 data_cut: object = None) -> Dataset:
    """Read a folder of canonical tables, or raw files as a mapping says.

    Parameters
    ----------
    path_or_url : folder with the data, or the one file that the mapping reads. Addresses (http) are not read yet.
    mapping : mapping file; default `mapping.yml` beside the data. `measures.csv` beside the data adds measures.
    data_cut : last day used, ISO text or a date; default: the mapping's, else the latest attended visit, discharge
        or assessment

    Raises
    ------
    DataError
        Where the path is missing, empty or not a dataset, or the mapping does not fit; with file and line.
    ParameterError
        For a data cut that is not a date.
    """
    folder, only = _located(path_or_url)
    local = folder / MEASURES_NAME
    measures = registry.read(local if local.is_file() else None)
    spec = _read_spec(folder, mapping, measures)
    paths = [*_paths(folder, only, spec), *([local] if local.is_file() else [])]
    is_large = sum(path.stat().st_size for path in paths) >= cache.FROM_BYTES
    cut_text = "" if data_cut is None else str(data_cut)
    made_from = _state(paths, (spec.file, spec.text, cut_text, "" if only is None else only.name))
    stored, damaged = cache.load(folder, made_from, measures) if is_large else (None, False)
    if stored is None:
        stored = _made(folder, only, spec, measures, data_cut, made_from)
        if not cache.is_current(made_from, paths):
            raise DataError(f"files of {folder.resolve().name} were changed while they were read. Read them again.")
        if is_large and cache.store(folder, made_from, stored):
            stored = cache.load(folder, made_from, measures)[0] or stored
    quality = stored.quality.with_note(cache.DAMAGED, cache.NAME) if damaged else stored.quality
    return Dataset(stored.facts, quality, stored.fingerprint, stored.facts.data_cut, spec.policy,
                   folder.resolve().name, spec.note)


def _made(folder: Path, only: Path | None, spec: Mapping, measures: MappingType[str, object], data_cut: object,
          made_from: cache.State) -> cache.Stored:
    """Facts from the files."""
    ledger, connection = Ledger(), engine.connect()
    given = (_read_mapped if spec.tables else _read_canonical)(connection, folder, only, spec, ledger)
    tables = _checked(connection, given, measures, spec, ledger)
    cut = _data_cut(data_cut, spec, tables)
    names = {table: list(fields) for table, fields in given.attributes.items()}
    facts = roll_up(connection, tables, spec, cut, names, measures, ledger)
    return cache.Stored(facts, ledger.report(), _fingerprint(made_from, spec, data_cut))


def _paths(folder: Path, only: Path | None, spec: Mapping) -> list[Path]:
    """The files that are read; those that are missing are complained of when they are read."""
    if not spec.tables:
        return [] if only else [item for item in folder.iterdir() if _is_table(item)]
    return list(dict.fromkeys(path for path in (only or folder / entry.read for entry in spec.tables)
                              if path.is_file()))


def _state(paths: list[Path], settings: tuple[str, ...]) -> cache.State:
    try:
        return cache.state(paths, settings) if paths else cache.State({}, "")
    except OSError as error:
        raise sources.unreadable(Path(error.filename or "a file").name) from None


@dataclass(frozen=True)
class Given:
    """Canonical tables as they were read.

    Attributes
    ----------
    tables : Ibis tables by name, with `_at`, `_file` and `_row`
    attributes : declared further columns, by table
    text : names of the tables that hold text
    """

    tables: dict[str, object]
    attributes: MappingType[str, MappingType[str, Field]]
    text: frozenset[str]


def _checked(connection, given: Given, measures: MappingType[str, object], spec: Mapping,
             ledger: Ledger) -> dict[str, object]:
    """All tables with types, without rows that nothing can use, numbered; visits with their day and final status."""
    declared = spec.timepoint_rule == "declared"
    if "assessments" in given.tables and not declared:
        rows = given.tables["assessments"]
        if rows.aggregate(none=(rows.count() > 0) & (rows.date.count() == 0)).to_pyarrow()["none"][0].as_py():
            raise DataError("the scores have no dates, so baseline and final score cannot be found by date. "
                            f"Write `timepoint_rule: declared` in {spec.file}.")
    tables = {name: check_table(connection, name, rows, given.attributes.get(name, {}), measures, ledger,
                                declared_timepoints=declared, is_text=name in given.text)
              for name, rows in given.tables.items()}
    numbers, visits = make_numbers(connection, tables), tables.pop("visits", None)
    found = {name: engine.view(connection, f"{name}_numbered", numbered(rows, numbers))
             for name, rows in tables.items()}
    if visits is not None:
        visits = described_visits(connection, visits, tables.get("sites"), tables.get("charges"), spec.time_zone)
        visits = numbered(visits, numbers, ("patient", "staff"))
        found["visits"] = used_visits(connection, visits, found.get("episodes"),
                                      list(given.attributes.get("visits", ())), has_charges="charges" in tables)
    return found


def _located(path_or_url: str | Path) -> tuple[Path, Path | None]:
    """The data folder, and the one file where a file was given."""
    if str(path_or_url).startswith(("http://", "https://")):
        raise DataError("addresses are not read yet: download the file and give its path.")
    path = Path(path_or_url)
    if path.is_dir():
        return path, None
    if path.is_file():
        return path.parent, path
    raise DataError(f"there is no file or folder {path.name}. Is the path right?")


def _read_spec(folder: Path, mapping: str | Path | None, measures: MappingType[str, object]) -> Mapping:
    if mapping is not None:
        if not Path(mapping).is_file():
            raise DataError(f"there is no mapping file {Path(mapping).name}. Is the path right?")
        return read_mapping(Path(mapping), measures)
    beside = folder / MAPPING_NAME
    return read_mapping(beside, measures) if beside.is_file() else Mapping()


def _read_mapped(connection, folder: Path, only: Path | None, spec: Mapping,
                 ledger: Ledger) -> Given:
    parts: dict[str, list[pd.DataFrame]] = {}
    if only is not None and len(spec.tables) > 1:
        raise DataError(f"{spec.file} reads {len(spec.tables)} files: give their folder, not the file {only.name}.")
    for entry in spec.tables:
        path = only or folder / entry.read
        if not path.is_file():
            raise entry.where.fail("read", f"there is no file {entry.read} in the folder {folder.resolve().name}."
                                           f"{did_you_mean(entry.read, _names(folder))}")
        for name, frame in _read_entry(entry, path, ledger).items():
            parts.setdefault(name, []).append(frame)
    tables = {}
    for name, frames in parts.items():
        rows = engine.as_arrow(pd.concat(frames, ignore_index=True))
        tables[name] = engine.from_arrow(connection, f"{name}_given", engine.with_place(rows))
    return Given(tables, attributes_by_table(spec.tables), frozenset(tables))


def _read_entry(entry: Entry, path: Path, ledger: Ledger) -> dict[str, pd.DataFrame]:
    entry = replace(entry, read=path.name)
    raw = sources.as_text(sources.read(path, delimiter=entry.delimiter, encoding=entry.encoding))
    if not raw.n_rows:
        raise DataError(f"{path.name} has a header but no rows.")
    return reshape(entry, raw, ledger)


def _read_canonical(connection, folder: Path, only: Path | None, spec: Mapping,
                    ledger: Ledger) -> Given:
    """Every file named for a canonical table; other data files are pointed out."""
    if only is not None:
        raise DataError(f"{only.name} is one file: give the folder, or a mapping that reads it (`--mapping`).")
    found: dict[str, Raw] = {}
    for path in sorted(item for item in folder.iterdir() if _is_data(item)):
        name = sources.stem(path)
        if name not in schema.TABLES and name not in schema.LATER:
            ledger.remark("warning", name, path.name, f"not a table of the data model, not read."
                                                      f"{did_you_mean(name, (*schema.TABLES, *schema.LATER))}")
            continue
        if name in found:
            raise DataError(f"{folder.resolve().name} holds the table {name} twice (as CSV and as Parquet?). "
                            "Keep one file.")
        found[name] = sources.read(path)
        ledger.read(name, path.name, found[name].n_rows + len(found[name].aside))
        set_aside(name, found[name], ledger)
    if not {"episodes", "visits"} & set(found):
        raise DataError(f"{folder.resolve().name} is not a dataset: it holds no episodes or visits table "
                        "(episodes.csv, visits.parquet, …). Give a mapping to read files of other names.")
    tables = {name: engine.scan(connection, f"{name}_given", raw, ledger.file_number(raw.file))
              for name, raw in found.items()}
    for name in [name for name in tables if name in schema.LATER]:
        rows = engine.fetch(tables.pop(name).select("_file", "_row"))
        ledger.set_aside(LEFT_OUT, name, rows, "no fact is made from this table yet")
    _check_columns(tables, found, spec, ledger)
    tables, attributes = _declared(tables, spec)
    return Given(tables, attributes, frozenset(name for name in tables if found[name].table is not None))


def _check_columns(tables: MappingType[str, object], found: MappingType[str, Raw], spec: Mapping,
                   ledger: Ledger) -> None:
    """Refuse tables without a needed column; point out columns that nobody declared."""
    for name, rows in tables.items():
        known, file, given = schema.TABLES[name].columns, found[name].file, _columns(rows)
        for column in schema.TABLES[name].needed:
            if column not in given:
                hint = did_you_mean(column, [item for item in given if item not in known])
                raise DataError(f"{file} has no column {column}, which the table {name} needs.{hint}")
        extra = [column for column in given if column not in known and column not in spec.attributes
                 and column not in ("source_system", "source_row", "loaded_at")]
        if extra and found[name].n_rows:
            ledger.remark("note", name, file, f"columns not read: {', '.join(sorted(extra)[:10])}",
                          "Declare them under `attributes:` in mapping.yml to filter and group by them.")


def _declared(tables: MappingType[str, object], spec: Mapping) -> tuple[dict[str, object], dict[str, dict[str, Field]]]:
    """The tables with the mapping's attributes under their names, and the attributes by table."""
    tables, found = dict(tables), {}
    for name, attribute in spec.attributes.items():
        column = attribute.columns[0]
        holders = [table for table, rows in tables.items() if column in _columns(rows)]
        if not holders:
            every = {item for rows in tables.values() for item in _columns(rows)}
            raise attribute.fail(f"no table has a column {column[:40]!r}.{did_you_mean(column, every)}")
        for table in holders:
            given = tables[table][column]
            if attribute.values is not None:
                given = convert.translated(convert.to_text(given), attribute.values)
            tables[table] = tables[table].mutate(**{name: given})
            found.setdefault(table, {})[name] = attribute
    return tables, found


def _columns(rows) -> list[str]:
    return [name for name in rows.columns if name not in OURS]


def _is_data(path: Path) -> bool:
    return path.is_file() and path.name != MEASURES_NAME and path.name.lower().endswith(TABLE_ENDINGS)


def _is_table(path: Path) -> bool:
    return _is_data(path) and sources.stem(path) in (*schema.TABLES, *schema.LATER)


def _names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir() if item.is_file()]


def _data_cut(given: object, spec: Mapping, tables: MappingType[str, pd.DataFrame]) -> pd.Timestamp | None:
    """The data cut: given, declared, else the latest attended visit, discharge or assessment, else start of care."""
    if given is not None:
        try:
            return pd.Timestamp(given).normalize().as_unit("s")
        except (ValueError, TypeError):
            raise ParameterError(f"data_cut={str(given)[:40]!r} is not a date. Write it as 2026-09-30.") from None
    if spec.data_cut:
        return pd.Timestamp(spec.data_cut).as_unit("s")
    days = _latest(tables, CUT_FROM) or _latest(tables, ELSE_CUT_FROM)
    return max(days).as_unit("s") if days else None


def _latest(tables: MappingType[str, object], where: tuple[tuple[str, str], ...]) -> list[pd.Timestamp]:
    """The latest day of each of these columns; of visits, those attended."""
    found = [(tables[table], column) for table, column in where if table in tables and column in tables[table].columns]
    days = [rows[column].max(where=rows["status"] == "attended") if "is_visit" in rows.columns else rows[column].max()
            for rows, column in found]
    return [pd.Timestamp(day) for day in (day.to_pyarrow().as_py() for day in days) if day is not None]


def _fingerprint(made_from: cache.State, spec: Mapping, data_cut: object) -> str:
    digest = hashlib.sha256()
    for name in sorted(made_from.files):
        digest.update(f"{name}\0{made_from.files[name][2]}\0".encode())
    digest.update(hashlib.sha256(spec.text.encode()).digest())
    if data_cut is not None:
        digest.update(str(data_cut).encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
