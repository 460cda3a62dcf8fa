"""Parquet files; their types are dropped, so that the same checks run on every kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def read(path: Path) -> Raw:
    """A file that every engine writes as the same text, and that has no blank row, is left where it is."""
    import pyarrow as pa

    name = path.name
    with _opened(path, name) as file:
        schema = file.schema_arrow
        text.checked_names(schema.names, name)
        if any(pa.types.is_nested(kind) for kind in schema.types):
            raise DataError(f"{name} has columns that are no plain values (lists, structures). Export it flat.")
        plain = all(column == column.strip() and column for column in schema.names)
        if plain and all(_same_text(kind) for kind in schema.types) and not _may_have_blank_rows(file, name):
            return Raw(name, None, parquet=path)
        return _numbered(file, name)


def loaded(path: Path, name: str) -> pa.Table:
    """All rows of a file as text with `_row`."""
    with _opened(path, name) as file:
        return _numbered(file, name).table


def _opened(path: Path, name: str):
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{name} is not a Parquet file, or a damaged one. Copy or export it again.") from None


def _numbered(file, name: str) -> Raw:
    import pyarrow as pa

    try:
        table = file.read()
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{name} is a damaged Parquet file. Copy or export it again.") from None
    table = table.rename_columns(text.checked_names(table.column_names, name))
    return text.numbered(text.as_text(table, name), name)


def _same_text(kind) -> bool:
    """Whether DuckDB and Arrow write values of this type alike (or differ only in the ".0" of whole floats)."""
    import pyarrow as pa

    types = pa.types
    return (types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind) or types.is_boolean(kind)
            or types.is_floating(kind) or types.is_date32(kind) or (types.is_timestamp(kind) and kind.tz is None))


def _may_have_blank_rows(file, name: str) -> bool:
    """Whether some row has no value: columns are read only until one is full."""
    import pyarrow as pa

    blank = None
    for column in file.schema_arrow.names:
        empty = text.as_text(pa.table([file.read([column])[column]], names=[column]), name)[column].is_null()
        blank = empty.to_numpy() if blank is None else blank & empty.to_numpy()
        if not blank.any():
            return False
    return True
