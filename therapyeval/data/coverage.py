"""What a mapping makes of raw files: columns that are filled, columns that are not used, codes that nobody knows.

Codes are for the screen only: seen in at least 11 rows and at most 24 characters long; others by their file rows.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from therapyeval import measures as registry
from therapyeval.data import profile, schema, sources
from therapyeval.data.draft import is_shown
from therapyeval.data.mapping import Entry, Field, Mapping, read_mapping
from therapyeval.data.score_fields import ScoreField
from therapyeval.errors import DataError, did_you_mean
from therapyeval.formatting import count, first_few, plural

MAPPING_NAME, MEASURES_NAME = "mapping.yml", "measures.csv"


@dataclass(frozen=True)
class Filled:
    """One canonical column: where it comes from and in how many rows it has a value."""

    name: str
    source: str
    n_given: int
    unknown: tuple[tuple[str, int], ...] = ()
    rare: tuple[int, ...] = ()


@dataclass(frozen=True)
class FileCoverage:
    """One file: by kind the columns that are filled, what rows need and do not get, raw columns that are not used."""

    file: str
    n_rows: int
    kinds: MappingType[str, tuple[Filled, ...]]
    lacking: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """What a mapping makes of all files; `is_usable` is False where a table lacks a column that every row needs."""

    mapping: str
    files: tuple[FileCoverage, ...]
    not_read: tuple[str, ...]

    @property
    def is_usable(self) -> bool:
        """Whether every table has the columns that its rows need."""
        return not self.lacking

    @property
    def lacking(self) -> str:
        """A sentence about the columns that rows need and no line gives; empty where there is none."""
        names = [f"{file.file}: {name}" for file in self.files for name in file.lacking]
        return f"Missing, and every row needs it: {', '.join(names)}." if names else ""

    def to_text(self) -> str:
        """For the screen: it may name codes."""
        lines = [line for file in self.files for line in _file_text(file)]
        if self.not_read:
            lines += ["", f"Files that {self.mapping} does not read: {', '.join(self.not_read)}"]
        n_unknown = sum(bool(column.unknown or column.rare) for file in self.files
                        for columns in file.kinds.values() for column in columns)
        codes = f"{plural(n_unknown, 'column')} with unknown codes." if n_unknown else "Every code is known."
        return "\n".join([*lines, "", self.lacking or codes]).lstrip("\n")


def check_coverage(path: str | Path, mapping: str | Path | None = None) -> Coverage:
    """Compare a mapping with the files that it reads; the values are not checked (`read_dataset` does that).

    Parameters
    ----------
    path : folder with the data, or the one file that the mapping reads
    mapping : mapping file; default `mapping.yml` beside the data

    Raises
    ------
    DataError
        Where there is no mapping, or it names a file or a column that is not there; with its line.
    """
    places = profile.places(path)
    place = sources.located(path)
    alone = isinstance(place, str) or place.is_file()
    folder = Path() if isinstance(place, str) else place.parent if alone else place
    local = folder / MEASURES_NAME
    measures = registry.read(local if local.is_file() else None)
    spec = _spec(folder, mapping, measures)
    read = {entry.read for entry in spec.tables}
    if alone and len(read) > 1:
        raise DataError(f"{spec.file} reads {len(read)} files: give their folder, not {sources.name(place)} alone.")
    used = _used(spec)
    found = tuple(_file_coverage(entry, place if alone else _file_of(entry, folder), measures, spec.timepoint_rule,
                                 used[entry.read, entry.part]) for entry in spec.tables)
    not_read = () if alone else tuple(item.name for item in places if item.name not in read)
    return Coverage(spec.file, found, not_read)


def _spec(folder: Path, mapping: str | Path | None, measures: MappingType[str, object]) -> Mapping:
    file = Path(mapping) if mapping else folder / MAPPING_NAME
    if not file.is_file():
        raise DataError(f"there is no mapping {file.name}. `therapyeval map FOLDER -o {MAPPING_NAME}` drafts one.")
    spec = read_mapping(file, measures)
    if not spec.tables:
        raise DataError(f"{spec.file} has no `tables:`, so there are no raw columns to compare it with.")
    return spec


def _file_of(entry: Entry, folder: Path) -> Path:
    path = folder / entry.read
    if not path.is_file():
        names = [item.name for item in folder.iterdir() if item.is_file()]
        raise entry.where.fail("read", f"there is no file {entry.read} in the folder {folder.resolve().name}."
                                       f"{did_you_mean(entry.read, names)}")
    return path


def _file_coverage(entry: Entry, place: str | Path, measures: MappingType[str, object], rule: str,
                   used: set[str]) -> FileCoverage:
    frame = profile.read_raw(place, **entry.reading)
    names = profile.columns(frame)
    raw = _kept(entry, frame.mask(frame.isin(entry.missing - {""})) if entry.missing - {""} else frame)
    kinds = {kind: tuple(_filled(name, field, raw, _codes(kind, name, measures)) for name, field in fields.items())
             for kind, fields in entry.kinds.items()}
    if entry.occasion:
        kinds["occasion"] = (_filled("timepoint", entry.occasion, raw, None),)
        if entry.occasion_date:
            kinds["occasion"] += (_filled("date", entry.occasion_date, raw, None),)
    scores = tuple(_filled_score(f"{code} {point or ''}".strip(), field, raw)
                   for code, points in entry.scores.items() for point, field in points.items())
    attributes = tuple(_filled(name, field, raw, _attribute_codes(field)) for name, field in entry.attributes.items())
    kinds |= {name: columns for name, columns in (("scores", scores), ("attributes", attributes)) if columns}
    unused = tuple(name for name in names if name not in used)
    file = " ".join(filter(None, (sources.name(place), entry.part)))
    return FileCoverage(file, len(raw), kinds, _lacking(entry, rule), unused)


def _kept(entry: Entry, raw: pd.DataFrame) -> pd.DataFrame:
    """Without the rows that `keep:` leaves out."""
    for column, values in entry.keep.items():
        if column not in raw:
            hint = did_you_mean(column, profile.columns(raw))
            raise entry.where.block("keep").fail(column, f"there is no column {column[:40]!r}.{hint}")
        raw = raw[raw[column].notna() if values is None else raw[column].isin(values)]
    return raw


def _fields(entry: Entry) -> list[Field | ScoreField]:
    found = [field for fields in entry.kinds.values() for field in fields.values()]
    found += [field for points in entry.scores.values() for field in points.values()]
    return [*found, *entry.attributes.values(), *filter(None, (entry.occasion, entry.occasion_date))]


def _used(spec: Mapping) -> MappingType[tuple[str, str | None], set[str]]:
    """Raw columns that some line names, by file and part."""
    used: dict[tuple[str, str | None], set[str]] = {}
    for entry in spec.tables:
        named = {column for field in _fields(entry) for column in field.columns}
        named |= set(entry.keep) | set(entry.missing_where) | set(entry.missing_where.values())
        used.setdefault((entry.read, entry.part), set()).update(named)
    return used


def _codes(kind: str, name: str, measures: MappingType[str, object]) -> tuple[str, ...] | None:
    if name == "measure_code":
        return tuple(measures)
    kind_of_column = schema.TABLES[schema.KINDS[kind]].columns[name]
    return kind_of_column if isinstance(kind_of_column, tuple) else None


def _attribute_codes(field: Field) -> tuple[str, ...] | None:
    return None if field.values is None else tuple(field.values.values())


def _filled(name: str, field: Field, raw: pd.DataFrame, codes: tuple[str, ...] | None) -> Filled:
    """How a canonical column is filled; codes that are neither translated nor on the list are unknown."""
    constant = field.constant
    if constant is None and len(field.columns) == 1 and field.columns[0] not in raw:
        known = profile.columns(raw)
        hint = did_you_mean(field.columns[0], known)
        if not field.may_be_constant or field.values is not None or field.format or "Did you mean" in hint:
            raise field.fail(f"there is no column {field.columns[0][:40]!r}.{hint}")
        constant = field.columns[0]
    if constant is not None:
        is_known = codes is None or constant.casefold() in {code.casefold() for code in codes}
        return Filled(name, f"{constant!r} in every row", len(raw), () if is_known else ((constant, len(raw)),))
    _refuse_absent(field, raw)
    given = raw[list(field.columns)].notna().all(axis=1)
    source = " and ".join(repr(column) for column in field.columns)
    if codes is None or len(field.columns) > 1:
        return Filled(name, source, int(given.sum()))
    return Filled(name, source, int(given.sum()), *_unknown(field, raw, codes))


def _filled_score(name: str, field: ScoreField, raw: pd.DataFrame) -> Filled:
    _refuse_absent(field, raw)
    given = raw[list(field.columns)].notna().any(axis=1)
    return Filled(name, " and ".join(repr(column) for column in field.columns), int(given.sum()))


def _refuse_absent(field: Field | ScoreField, raw: pd.DataFrame) -> None:
    for column in field.columns:
        if column not in raw:
            raise field.fail(f"there is no column {column[:40]!r}.{did_you_mean(column, profile.columns(raw))}")


def _unknown(field: Field, raw: pd.DataFrame, codes: tuple[str, ...]) -> tuple[tuple, tuple]:
    """Frequent unknown codes with their rows, and the file rows of the others."""
    known = {code.casefold() for code in codes} | {""}
    text = raw[field.columns[0]]
    words = {code: (field.values or {}).get(code, code) for code in text.dropna().unique()}
    counts = text[text.isin([code for code, word in words.items() if word.casefold() not in known])].value_counts()
    shown = tuple((code, int(rows)) for code, rows in counts.items() if is_shown(code, rows))
    rare = raw.loc[text.isin(set(counts.index) - {code for code, _ in shown}), "_row"]
    return shown, tuple(sorted(int(row) for row in rare))


def _lacking(entry: Entry, rule: str) -> tuple[str, ...]:
    """Canonical columns that rows need and that no line gives; patient and episode follow the leading kind."""
    follows = _given(entry, entry.leading) & {"patient_id", "episode_id"}
    found = []
    for kind in entry.kinds:
        table = schema.KINDS[kind]
        needs = [name for name in schema.ROW_NEEDS[table] if (name, rule) != ("date", "declared")]
        found += [f"{kind}.{'id' if name == schema.TABLES[table].key else name}" for name in needs
                  if name not in _given(entry, kind) | follows]
    return tuple(found)


def _given(entry: Entry, kind: str) -> set[str]:
    """Canonical columns that a kind has, with those that reading makes."""
    key = schema.TABLES[schema.KINDS[kind]].key
    made = {"episode": {"patient_id", "status"}, "visit": {key}, "referral": {key}, "charge": {key}}.get(kind, set())
    return made | {key if name == "id" else name for name in entry.kinds[kind]}


def _file_text(file: FileCoverage) -> list[str]:
    lines = ["", f"{file.file}: {plural(file.n_rows, 'row')} kept"]
    width = max((len(column.name) for columns in file.kinds.values() for column in columns), default=0)
    for kind, columns in file.kinds.items():
        lines.append(f"  {kind}")
        for column in columns:
            share = f"{count(column.n_given)} of {count(file.n_rows)} rows"
            lines.append(f"    {column.name.ljust(width)}  <- {column.source}, {share}")
            lines += [f"      unknown code {code!r}: {plural(rows, 'row')}" for code, rows in column.unknown]
            lines += [f"      rarer unknown codes: {plural(len(column.rare), 'row')} (file rows "
                      f"{first_few(list(column.rare))})"] if column.rare else []
    lines += [f"  missing: {', '.join(file.lacking)}"] if file.lacking else []
    return lines + ([f"  not used: {', '.join(file.unused)}"] if file.unused else [])
