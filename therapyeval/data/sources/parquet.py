"""Parquet files: the engine scans them with their own types, or they are read as text where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def read(path: Path) -> Raw:
    """The file for the engine; its text where columns are of a kind that only Arrow writes as it is meant."""
    schema = _opened(path).schema_arrow
    text.checked_names(schema.names, path.name)
    if all(_is_plain(kind) for kind in schema.types) and all(schema.names):  # the engine knows no empty name
        return Raw(path.name, None, parquet=path)
    return loaded(path)


def loaded(path: Path) -> Raw:
    """All rows of a file as text."""
    return text.numbered(_as_text(path), path.name)


def columns(path: Path) -> list[tuple[str, str, bool]]:
    """Of each column of a file: what it is called there, its name without surrounding spaces, whether it holds text."""
    schema = _opened(path).schema_arrow
    names = text.checked_names(schema.names, path.name)
    return [(column.name, name, _is_text(column.type)) for column, name in zip(schema, names, strict=True)]


def n_rows(path: Path) -> int:
    """How many rows the file says that it holds."""
    return _opened(path).metadata.num_rows


def _as_text(path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        table = _opened(path).read()
    except (pa.ArrowException, OSError, ValueError):
        raise damaged(path.name) from None
    return text.as_text(table.rename_columns(text.checked_names(table.column_names, path.name)), path.name)


def _opened(path: Path):
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError):  # a name of a column that is no text is a ValueError
        raise damaged(path.name) from None


def damaged(file: str) -> DataError:
    return DataError(f"{file} is not a Parquet file, or a damaged one. Copy or export it again.")


def _is_plain(kind: pa.DataType) -> bool:
    """Text, numbers, yes/no, dates, and times without a zone or in universal time."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return kind.tz in (None, "UTC")
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer,
             pa.types.is_floating, pa.types.is_decimal, pa.types.is_date32)
    return any(is_kind(kind) for is_kind in known)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
