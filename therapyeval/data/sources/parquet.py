"""Parquet files: the engine scans them with their own types, or they are read as text where it cannot."""

from __future__ import annotations

from pathlib import Path

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError


def read(path: Path) -> Raw:
    """The file for the engine; its text where columns are of a kind that only Arrow writes as it is meant."""
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
    except (pyarrow.ArrowInvalid, OSError):
        raise damaged(path.name) from None
    text.checked_names(schema.names, path.name)
    plain = all(_is_plain(column.type) for column in schema)
    return Raw(path.name, parquet=path) if plain else text.raw(as_text(path), path.name)


def columns(path: Path) -> list[tuple[str, str, bool]]:
    """Of each column of a file: what it is called there, its name without surrounding spaces, whether it holds text."""
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(path)
    names = text.checked_names(schema.names, path.name)
    return [(column.name, name, _is_text(column.type)) for column, name in zip(schema, names, strict=True)]


def as_text(path: Path):
    """All columns as text, in a pyarrow Table.

    Raises
    ------
    DataError
        Where the file is damaged or has columns that are no plain values.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError):
        raise damaged(path.name) from None
    try:
        columns = [column.cast(pa.string()) for column in table.columns]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(f"{path.name} has columns that are no plain values (lists, structures). Export it flat."
                        ) from None
    return pa.table(columns, names=text.checked_names(table.column_names, path.name))


def damaged(file: str) -> DataError:
    return DataError(f"{file} is not a Parquet file, or a damaged one. Copy or export it again.")


def _is_plain(kind) -> bool:
    """Text, numbers, yes/no, dates, and times without a zone or in universal time."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return kind.tz in (None, "UTC")
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer,
             pa.types.is_floating, pa.types.is_decimal, pa.types.is_date32)
    return any(is_kind(kind) for is_kind in known)


def _is_text(kind) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
