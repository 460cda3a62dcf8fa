"""`read_dataset`: files and a mapping to validated facts, a quality report and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import pandas as pd

from therapyeval import measures as registry
from therapyeval.cohort import Cohort, Facts, read_filters
from therapyeval.data import schema, sources
from therapyeval.data.check import check_table
from therapyeval.data.links import Crosswalk
from therapyeval.data.mapping import Field, Mapping, read_mapping
from therapyeval.data.quality import LEFT_OUT, Ledger, QualityReport
from therapyeval.data.reshape import attributes_by_table, reshape, set_aside, translated
from therapyeval.data.rollup import roll_up
from therapyeval.data.visits import described_visits
from therapyeval.errors import DataError, ParameterError, did_you_mean
from therapyeval.result import Source

MAPPING_NAME, MEASURES_NAME = "mapping.yml", "measures.csv"
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
    quality: QualityReport = field(repr=False)
    fingerprint: str
    data_cut: pd.Timestamp | None
    policy: tuple[str, str] | None
    name: str
    note: str = ""
    _crosswalk: Crosswalk | None = field(default=None, repr=False)

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
    """Read canonical tables, a FHIR export, an OMOP database, or raw files as a mapping says.

    Parameters
    ----------
    path_or_url : folder with the data, one file, or the address of a database (postgresql://user@host/name). Without
        a mapping that lists tables, files, sheets of a workbook or tables of a database are named for canonical tables.
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
    folder, place = _located(path_or_url)
    local = folder / MEASURES_NAME
    measures = registry.read(local if local.is_file() else None)
    spec = _read_spec(folder, mapping, measures)
    ledger, files = Ledger(), {}
    if spec.tables:
        raw, attributes = _read_mapped(folder, place, spec, files, ledger)
    else:
        raw, attributes = _read_canonical(place, spec, files, ledger)
    tables = _checked(raw, attributes, measures, spec, ledger)
    cut = _data_cut(data_cut, spec, tables)
    names = {table: list(fields) for table, fields in attributes.items()}
    facts, crosswalk = roll_up(tables, spec, cut, names, measures, ledger)
    if local.is_file():
        files[MEASURES_NAME] = local.read_bytes()
    return Dataset(facts, ledger.report(), _fingerprint(files, spec, data_cut), cut, spec.policy,
                   _name(place), spec.note, crosswalk)


def _checked(raw: MappingType[str, pd.DataFrame], attributes: MappingType[str, MappingType[str, Field]],
             measures: MappingType[str, object], spec: Mapping, ledger: Ledger) -> dict[str, pd.DataFrame]:
    """All tables with types, without rows that nothing can use; visits with their day and final status."""
    declared = spec.timepoint_rule == "declared"
    if "assessments" in raw and not declared and len(raw["assessments"]) and raw["assessments"]["date"].isna().all():
        raise DataError("the scores have no dates, so baseline and final score cannot be found by date. "
                        f"Write `timepoint_rule: declared` in {spec.file}.")
    tables = {name: check_table(name, frame, attributes.get(name, {}), measures, ledger, declared_timepoints=declared,
                                scores=spec.score_fields) for name, frame in raw.items()}
    if "visits" in tables:
        tables["visits"] = described_visits(tables["visits"], tables.get("sites"), tables.get("charges"),
                                            spec.time_zone, ledger)
    return tables


def _located(path_or_url: str | Path) -> tuple[Path, Path | str]:
    """The folder that mapping and measures may lie in, and what is read: folder, file or address of a database."""
    if str(path_or_url).startswith(("http://", "https://")):
        raise DataError("web addresses are not read yet: download the file and give its path.")
    place = sources.located(path_or_url)
    if isinstance(place, str):
        return Path(), place
    if place.is_dir():
        return place, place
    if place.is_file():
        return place.parent, place
    raise DataError(f"there is no file or folder {place.name}. Is the path right?")


def _name(place: Path | str) -> str:
    """The base name of the data folder, or the name of a database on a server."""
    if isinstance(place, str):
        return sources.name(place)
    return (place if place.is_dir() else place.parent).resolve().name


def _read_spec(folder: Path, mapping: str | Path | None, measures: MappingType[str, object]) -> Mapping:
    if mapping is not None:
        if not Path(mapping).is_file():
            raise DataError(f"there is no mapping file {Path(mapping).name}. Is the path right?")
        return read_mapping(Path(mapping), measures)
    beside = folder / MAPPING_NAME
    return read_mapping(beside, measures) if beside.is_file() else Mapping()


def _read_mapped(folder: Path, place: Path | str, spec: Mapping, files: dict[str, bytes],
                 ledger: Ledger) -> tuple[dict[str, pd.DataFrame], MappingType[str, MappingType[str, Field]]]:
    found: dict[str, list[pd.DataFrame]] = {}
    alone = isinstance(place, Path) and place.is_file()
    if alone and len({entry.read for entry in spec.tables}) > 1:
        raise DataError(f"{spec.file} reads {len(spec.tables)} files: give their folder, not the file {place.name}.")
    for entry in spec.tables:
        path = place if alone or isinstance(place, str) else folder / entry.read
        if isinstance(path, Path) and not path.is_file():
            raise entry.where.fail("read", f"there is no file {entry.read} in the folder {folder.resolve().name}."
                                           f"{did_you_mean(entry.read, _names(folder))}")
        raw = sources.read(path, **entry.reading)
        frame = _bridge(raw, path, files)
        if frame.empty:
            raise DataError(f"{raw.file} has a header but no rows.")
        for name, part in reshape(replace(entry, read=raw.file), frame, list(raw.aside), ledger).items():
            found.setdefault(name, []).append(part)
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in found.items()}
    return tables, attributes_by_table(spec.tables)


def _bridge(raw: sources.Raw, path: Path | str, files: dict[str, bytes]) -> pd.DataFrame:
    """What the pandas code below takes; and what the fingerprint is made of."""
    files[raw.file] = sources.content(path) if isinstance(path, Path) else raw.digest().encode()
    return raw.to_pandas()


def _canonical_raws(place: Path | str, spec: Mapping, files: dict[str, bytes],
                    ledger: Ledger) -> dict[str, pd.DataFrame]:
    """Every table named as in the data model, or made of a FHIR export or an OMOP database."""
    tables: dict[str, pd.DataFrame] = {}
    shape = sources.shape(place)
    if shape:
        made = sources.standard(shape)(place, spec.codes)
        found = [(name, raw.file, raw) for name, raw in made.items()]
        files |= {path.name: sources.content(path) for path in sources.files(place)}
    else:
        found = [(name, item, part) for name, item, part in sources.tables(place, (*schema.TABLES, *schema.LATER))
                 if isinstance(item, str) or item.name != MEASURES_NAME]
    for name, item, part in found:
        if name not in schema.TABLES and name not in schema.LATER:
            ledger.remark("warning", name, sources.name(item), f"not a table of the data model, not read."
                                                              f"{did_you_mean(name, (*schema.TABLES, *schema.LATER))}")
            continue
        if name in tables:
            raise DataError(f"{_name(place)} holds the table {name} twice (as CSV and as Parquet?). Keep one file.")
        raw = part if shape else sources.read(item, part=part)
        frame = _bridge(raw, item if not shape and isinstance(item, Path) else "", files)
        ledger.read(name, raw.file, len(frame) + len(raw.aside))
        set_aside(name, raw.file, list(raw.aside), ledger)
        tables[name] = frame.assign(_file=raw.file)
    return tables


def _read_canonical(place: Path | str, spec: Mapping, files: dict[str, bytes],
                    ledger: Ledger) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Field]]]:
    tables = _canonical_raws(place, spec, files, ledger)
    if not {"episodes", "visits"} & set(tables):
        raise DataError(f"{_name(place)} is not a dataset: it holds no episodes or visits table "
                        "(episodes.csv, visits.parquet, …). Give a mapping to read files of other names.")
    for name in [name for name in tables if name in schema.LATER]:
        ledger.set_aside(LEFT_OUT, name, tables.pop(name), "no fact is made from this table yet")
    return _with_needed(tables, spec, ledger), _declared(tables, spec)


def _with_needed(tables: dict[str, pd.DataFrame], spec: Mapping, ledger: Ledger) -> dict[str, pd.DataFrame]:
    """Refuse tables without a needed column; point out columns that nobody declared."""
    for name, frame in tables.items():
        known = schema.TABLES[name].columns
        given = [column for column in frame if column not in ("_file", "_row")]
        for column in schema.TABLES[name].needed:
            if column not in given:
                hint = did_you_mean(column, [item for item in given if item not in known])
                file = frame["_file"].iloc[0] if len(frame) else name
                raise DataError(f"{file} has no column {column}, which the table {name} needs.{hint}")
        extra = [column for column in given if column not in known and column not in spec.attributes
                 and column not in ("source_system", "source_row", "loaded_at")]
        if extra and len(frame):
            ledger.remark("note", name, frame["_file"].iloc[0], f"columns not read: {', '.join(sorted(extra)[:10])}",
                          "Declare them under `attributes:` in mapping.yml to filter and group by them.")
    return tables


def _declared(tables: dict[str, pd.DataFrame], spec: Mapping) -> dict[str, dict[str, Field]]:
    """The mapping's attributes, by the tables that have their columns."""
    found: dict[str, dict[str, Field]] = {}
    for name, attribute in spec.attributes.items():
        column = attribute.columns[0]
        holders = [table for table, frame in tables.items() if column in frame]
        if not holders:
            every = {item for frame in tables.values() for item in frame if item not in ("_file", "_row")}
            raise attribute.fail(f"no table has a column {column[:40]!r}.{did_you_mean(column, every)}")
        for table in holders:
            if name != column or attribute.values is not None:
                text = tables[table][column]
                mapped = text if attribute.values is None else translated(text, attribute.values)
                tables[table] = tables[table].assign(**{name: mapped})
            found.setdefault(table, {})[name] = attribute
    return found


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


def _latest(tables: MappingType[str, pd.DataFrame], where: tuple[tuple[str, str], ...]) -> list[pd.Timestamp]:
    """The latest day of each of these columns; of visits, those attended."""
    frames = [(tables[table], column) for table, column in where if table in tables and column in tables[table]]
    days = [(frame[column][frame["status"] == "attended"] if "visit_id" in frame else frame[column]).max()
            for frame, column in frames]
    return [day for day in days if pd.notna(day)]


def _fingerprint(files: dict[str, bytes], spec: Mapping, data_cut: object) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\0".encode())
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
