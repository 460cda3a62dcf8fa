"""Rows of files as they were last read, so that an import after a fix reads only what changed.

They hold patient rows and lie in the quarantine folder. Only columns that the mapping uses keep their words: names
and free text become numbers that say no more than which rows have the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path

from therapyeval.data import cache, schema, sources
from therapyeval.data.mapping import Mapping
from therapyeval.data.sources.raw import Raw

_ASIDE, _FILE = b"therapyeval_aside", b"therapyeval_file"
FORM = 1  # of what is stored; another one is read anew


class Staging:
    """Reads files as `sources.read` does, and keeps what it read in a folder.

    Attributes
    ----------
    read, unchanged : names of the files that were read, and of those taken from the import before
    """

    def __init__(self, spec: Mapping, new: Path, old: Path | None, digests: dict[Path, str]) -> None:
        """`new` and `old` are the folders of this import and of the one before; `digests` are of the files."""
        self._used, self._new, self._old, self._digests = used_columns(spec), new, old, digests
        self.read: dict[str, None] = {}
        self.unchanged: dict[str, None] = {}

    def __call__(self, place: str | Path, **reading: object) -> Raw:
        place = sources.located(place)
        name = sources.name(place)
        if place not in self._digests:  # on a server: nothing tells whether it changed
            self.read[name] = None
            return sources.read(place, **reading)
        told = json.dumps([FORM, self._digests[place], name, sorted(reading.items()), sorted(self._used)], default=list)
        file = f"{hashlib.sha256(told.encode()).hexdigest()}.parquet"
        if self._old is not None and (self._old / file).is_file():
            raw = _loaded(self._old / file)
            if raw is not None:
                shutil.copyfile(self._old / file, self._new / file)
                self.unchanged[name] = None
                return raw
        self.read[name] = None
        raw = sources.read(place, **reading)
        if raw.table is not None:  # a Parquet file is asked where it lies
            _store(raw, self._used, self._new / file)
        return raw


def used_columns(spec: Mapping) -> frozenset[str]:
    """The columns of files whose words the mapping uses."""
    fields = [*spec.attributes.values()]
    names = {name for table in schema.TABLES.values() for name in table.columns} if not spec.tables else set()
    for entry in spec.tables:
        fields += [field for kind in entry.kinds.values() for field in kind.values()]
        fields += [*entry.attributes.values(), *(field for field in (entry.occasion, entry.occasion_date) if field)]
        fields += [field for points in entry.scores.values() for field in points.values()]
        names.update(entry.keep, entry.missing_where, entry.missing_where.values())
    return frozenset(filter(None, names.union(*(field.columns for field in fields))))


def _store(raw: Raw, used: Collection[str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    table = raw.table
    for position, column in enumerate(table.column_names):
        if column not in used and column != "_row":
            codes = table.column(column).combine_chunks().dictionary_encode().indices
            table = table.set_column(position, column, codes.cast(pa.string()))
    table = table.replace_schema_metadata({_FILE: raw.file.encode(), _ASIDE: json.dumps(raw.aside).encode()})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    cache.sealed(path)


def _loaded(path: Path) -> Raw | None:
    """The rows of a file as they were stored; None where they are damaged."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
        told = table.schema.metadata
        aside = tuple((row, reason) for row, reason in json.loads(told[_ASIDE]))
        return Raw(told[_FILE].decode(), table.replace_schema_metadata(None), aside=aside)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
