"""The engine: DuckDB in memory, asked through Ibis. Rows go in and come out as Arrow tables."""

from __future__ import annotations

import pandas as pd


def connect():
    """An empty in-memory database."""
    import ibis

    return ibis.duckdb.connect()


def load(connection, name: str, frame: pd.DataFrame):
    """Put a frame into the engine and return its Ibis table; datetime columns become calendar dates."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.date32(), safe=False))
        elif pa.types.is_null(column.type) or pa.types.is_large_string(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.string()))
    return connection.create_table(name, table.replace_schema_metadata(None), overwrite=True)


def keep(connection, name: str, expression):
    """Compute an Ibis expression once and return the stored table."""
    return connection.create_table(name, expression, overwrite=True)


def fetch(expression) -> pd.DataFrame:
    """The rows of an Ibis expression; dates come as datetime64[s], whole numbers with gaps as Int64."""
    import pyarrow as pa

    table = expression.to_pyarrow()
    for position, column in enumerate(table.schema):
        if pa.types.is_date(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.timestamp("s")))
    frame = table.to_pandas(integer_object_nulls=False, types_mapper=None)
    for column in table.schema:
        if pa.types.is_integer(column.type) and table.column(column.name).null_count:
            frame[column.name] = frame[column.name].astype("Int64")
    return frame
