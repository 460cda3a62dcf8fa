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
from therapyeval.data import cache, engine, ready, sources
from therapyeval.data import definitions as defined
from therapyeval.data.check import check_table
from therapyeval.data.given import MEASURES_NAME, Given, files_of, name_of, read_canonical, read_mapped
from therapyeval.data.links import make_numbers, numbered
from therapyeval.data.mapping import Mapping, read_mapping
from therapyeval.data.quality import Ledger, QualityReport
from therapyeval.data.rollup import roll_up
from therapyeval.data.rules import check_rules, without_impossible
from therapyeval.data.staffing import TIMES
from therapyeval.data.visits import described_visits, used_visits
from therapyeval.errors import DataError, ParameterError, did_you_mean
from therapyeval.result import Source

MAPPING_NAME = "mapping.yml"
HUGE = 1_000_000_000  # bytes of files from which the engine works within a limit of memory
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
    definitions : rules, thresholds and lines of the mapping, by kind and name (`data.definitions`)
    changes : which of them changed since the data were last read with others; None where nothing was stored
    """

    facts: Facts
    quality: QualityReport = field(repr=False)
    fingerprint: str
    data_cut: pd.Timestamp | None
    policy: tuple[str, str] | None
    name: str
    note: str = ""
    definitions: defined.Definitions = field(default_factory=dict, repr=False)
    changes: defined.Changes | None = field(default=None, repr=False)

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
    folder, place = located(path_or_url)
    local = folder / MEASURES_NAME
    measures = registry.read(local if local.is_file() else None)
    spec = read_spec(folder, mapping, measures)
    files = [*files_of(folder, place, spec), *([local] if local.is_file() else [])]
    is_large = size_of(files) >= cache.FROM_BYTES
    cut_text = "" if data_cut is None else str(data_cut)
    made_from = state_of(files, (spec.file, spec.text, cut_text, sources.name(place)))
    stored, damaged = cache.load(folder, made_from, measures) if is_large else (None, False)
    if stored is None:
        with engine.reading(files):
            stored = _made(connection_for(folder, files), folder, place, spec, measures, data_cut, made_from)
        if not cache.is_current(made_from, files):
            raise DataError(f"files of {name_of(place)} were changed while they were read. Read them again.")
        stored = cache.store(folder, made_from, stored) if is_large else _kept(stored)
    quality = stored.quality.with_note(cache.DAMAGED, cache.NAME) if damaged else stored.quality
    told, changes = definitions_of(spec, stored.facts), None
    if isinstance(place, Path):
        told = defined.known(place, told)
        changes = defined.changes(place, told)
    return Dataset(stored.facts, quality, stored.fingerprint, stored.facts.data_cut, spec.policy, name_of(place),
                   spec.note, told, changes)


def remember_definitions(path_or_url: str | Path, dataset: Dataset) -> None:
    """Keep the definitions of a dataset beside its data, for the next reading to compare with (not of a database)."""
    _, place = located(path_or_url)
    if isinstance(place, Path):
        defined.remember(place, dataset.definitions, day_of(dataset.data_cut))


def day_of(moment: pd.Timestamp | None) -> str:
    """A day as ISO text; "" where there is none."""
    return "" if moment is None else moment.date().isoformat()


def definitions_of(spec: Mapping, facts: Facts) -> defined.Definitions:
    """The definitions behind facts; thresholds of the measures that have scores."""
    scores = [frame["measure"] for frame in (facts.scores, facts.stay_scores) if frame is not None]
    return defined.definitions_of(spec, facts.measures, {code for codes in scores for code in codes.unique()})


def size_of(files: list[Path]) -> int:
    """Bytes of all files together."""
    return sum(path.stat().st_size for path in files)


def connection_for(folder: Path, files: list[Path]):
    """An engine for data of this size: what is large may lay rows aside, what is huge works within a limit."""
    n_bytes = size_of(files)
    return engine.connect(cache.workspace(folder) if n_bytes >= cache.FROM_BYTES else None, is_huge=n_bytes >= HUGE)


def _kept(stored: cache.Stored) -> cache.Stored:
    """With appointments in memory: questions about them are many, and those of small data fit."""
    appointments = stored.facts.appointments and stored.facts.appointments.kept()
    return replace(stored, facts=replace(stored.facts, appointments=appointments))


def _made(connection, folder: Path, place: Path | str, spec: Mapping, measures: MappingType[str, object],
          data_cut: object, made_from: cache.State) -> cache.Stored:
    """Facts from the files or the database."""
    ledger = Ledger()
    given = (read_mapped(connection, folder, place, spec, ledger) if spec.tables
             else read_canonical(connection, place, spec, ledger))
    tables = checked_tables(connection, given, measures, spec, ledger)
    facts = facts_of(connection, tables, given, measures, spec, data_cut, ledger)
    digests = {name: digest for name, (_, _, digest) in made_from.files.items()} | given.digests
    return cache.Stored(facts, ledger.report(), _fingerprint(digests, spec, data_cut))


def state_of(paths: list[Path], settings: tuple[str, ...]) -> cache.State:
    """What is read: `cache.state`, also of no files at all (a database)."""
    try:
        return cache.state(paths, settings) if paths else cache.State({}, "")
    except OSError as error:
        raise sources.unreadable(Path(error.filename or "a file").name) from None


def checked_tables(connection, given: Given, measures: MappingType[str, object], spec: Mapping,
                   ledger: Ledger) -> dict[str, object]:
    """All tables with types, without rows that nothing can use."""
    declared = spec.timepoint_rule == "declared"
    if "assessments" in given.tables and not declared:
        rows = given.tables["assessments"]
        if rows.aggregate(none=(rows.count() > 0) & (rows.date.count() == 0)).to_pyarrow()["none"][0].as_py():
            raise DataError("the scores have no dates, so baseline and final score cannot be found by date. "
                            f"Write `timepoint_rule: declared` in {spec.file}.")
    tables = {name: check_table(connection, name, rows, given.attributes.get(name, {}), measures, ledger,
                                declared_timepoints=declared, is_text=name in given.text, scores=spec.score_fields)
              for name, rows in given.tables.items()}
    return without_impossible(tables, ledger)


def facts_of(connection, tables: MappingType[str, object], given: Given, measures: MappingType[str, object],
             spec: Mapping, data_cut: object, ledger: Ledger) -> Facts:
    """Facts of checked tables; `data_cut` is the one given by hand, or None."""
    check_rules(tables, ledger)
    tables = _numbered(connection, tables, given, spec)
    cut = _data_cut(data_cut, spec, tables)
    names = {table: list(fields) for table, fields in given.attributes.items()}
    return roll_up(connection, tables, spec, cut, names, measures, ledger)


def _numbered(connection, tables: MappingType[str, object], given: Given, spec: Mapping) -> dict[str, object]:
    """The tables with numbers beside the source ids; visits with their day and final status."""
    tables = dict(tables)
    numbers, visits = make_numbers(connection, tables), tables.pop("visits", None)
    found = {name: engine.view(connection, f"{name}_numbered", numbered(rows, numbers))
             for name, rows in tables.items()}
    if visits is not None:
        visits = described_visits(connection, visits, tables.get("episodes"), tables.get("sites"),
                                  tables.get("charges"), spec.time_zone)
        visits = numbered(visits, numbers, ("patient", "staff"))
        found["visits"] = used_visits(connection, visits, found.get("episodes"),
                                      list(given.attributes.get("visits", ())), has_charges="charges" in tables,
                                      times=TIMES if {"staff_hours", "availability"} & set(tables) else ())
    return found


def located(path_or_url: str | Path) -> tuple[Path, Path | str]:
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


def read_spec(folder: Path, mapping: str | Path | None, measures: MappingType[str, object]) -> Mapping:
    """The mapping that is given (a file or a ready one), else that beside the data, else none."""
    if mapping is not None:
        path = Path(ready.found(str(mapping)))
        if not path.is_file():
            raise DataError(f"there is no mapping file {path.name}. Is the path right?"
                            f"{did_you_mean(path.name, ready.names())}")
        return read_mapping(path, measures)
    beside = folder / MAPPING_NAME
    return read_mapping(beside, measures) if beside.is_file() else Mapping()


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


def _fingerprint(digests: MappingType[str, str], spec: Mapping, data_cut: object) -> str:
    digest = hashlib.sha256()
    for name in sorted(digests):
        digest.update(f"{name}\0{digests[name]}\0".encode())
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
