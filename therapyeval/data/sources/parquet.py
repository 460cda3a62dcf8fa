"""Parquet files; their types are dropped, so that the same checks run on every kind of file."""

from __future__ import annotations

from therapyeval.data.sources import text
from therapyeval.errors import DataError


def read(content: bytes, name: str):
    """See `sources.read`."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{name} is not a Parquet file, or a damaged one. Copy or export it again.") from None
    names = text.checked_names(table.column_names, name)
    try:
        columns = [column.cast(pa.string()) for column in table.columns]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(f"{name} has columns that are no plain values (lists, structures). Export it flat.") from None
    return text.frame(pa.table(columns, names=names))
