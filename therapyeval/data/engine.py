"""The engine: DuckDB, asked through Ibis. Rows go in as files or Arrow tables and come out as Arrow tables."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from therapyeval.data.sources import parquet
from therapyeval.data.sources.raw import Raw
from therapyeval.data.sources.text import OURS, quoted
from therapyeval.errors import DataError

LIMIT = "1536MiB"  # of the engine, below the 4 GiB of a read; joining 100 million visits needs more than 1 GiB
ROOM = "1280MiB"  # of the engine once Python holds facts about episodes: some 0.2 GB for each million
PIECE = 1_000_000  # rows of a frame that are in memory a second time while it is handed over
SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def connect(folder: Path | None = None, *, is_huge: bool = False):
    """An empty in-memory database.

    Parameters
    ----------
    folder : an empty folder for the owner only, where rows go that do not fit into memory; it is removed with the
        connection, at the latest when the program ends. Without one nothing is written anywhere.
    is_huge : work within LIMIT
    """
    import ibis

    connection = ibis.duckdb.connect()
    connection.con.execute(f"SET TimeZone = 'UTC'; SET temp_directory = {_literal('' if folder is None else folder)}")
    if is_huge:
        connection.con.execute(f"SET memory_limit = '{LIMIT}'; SET preserve_insertion_order = false; "
                               "SET VARIABLE is_huge = true")
    if folder is not None:
        weakref.finalize(connection, _closed, connection.con, folder)
    return connection


def _is_huge(connection) -> bool:
    return bool(connection.con.execute("SELECT getvariable('is_huge')").fetchall()[0][0])


@contextmanager
def reading(files: Iterable[Path]):
    """While these files are scanned: damage inside a Parquet file shows as an error of the engine, whoever asks.

    Raises
    ------
    DataError
        In place of the engine's error, where a Parquet file cannot be scanned to its end.
    """
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError):
        for path in files:
            if path.name.lower().endswith(".parquet") and not _is_readable(path):
                raise parquet.damaged(path.name) from None
        raise


def _is_readable(path: Path) -> bool:
    """Whether every value of a Parquet file can be read, and there are as many rows as it says."""
    import duckdb

    try:
        asked = f"SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM read_parquet({_literal(path)})"
        found = duckdb.connect().execute(asked).fetchall()[0][0]
        return found == parquet.n_rows(path)
    except (duckdb.Error, DataError):
        return False


def _closed(database, folder: Path) -> None:
    database.close()
    shutil.rmtree(folder, ignore_errors=True)


def scan(connection, name: str, raw: Raw, file: int):
    """The rows of a file as a table: its columns, `_at` (place), `_file` (number of the file) and `_row`.

    A Parquet file is read where it lies, each time that somebody asks.
    """
    if raw.table is None:
        _view(connection, name, _parquet(connection, raw.parquet, file))
        return connection.table(name)
    import pyarrow as pa

    files = pa.repeat(pa.scalar(file, pa.int16()), raw.n_rows)
    return from_arrow(connection, name, with_place(raw.table.append_column("_file", files)))


def _parquet(connection, path: Path, file: int) -> str:
    """What to ask of a Parquet file; its text is trimmed where a column begins or ends unusually in some row."""
    named = {quoted(column): (name, is_text) for column, name, is_text in parquet.columns(path) if name not in OURS}
    texts = [column for column, (_, is_text) in named.items() if is_text]
    place = _literal(path)
    odd = [" OR ".join(f"{end} < '!' OR {end} > '~'" for end in (column, f"{column}[-1]")) for column in texts]
    untidy = set()
    if texts:
        asked = ", ".join(f"bool_or({test})" for test in odd)
        found = connection.con.execute(f"SELECT {asked} FROM {place}").fetchall()[0]
        untidy = {column for column, is_odd in zip(texts, found, strict=True) if is_odd}
    columns = ", ".join(f"{_trimmed(column) if column in untidy else column} AS {quoted(name)}"
                        for column, (name, _) in named.items())
    return (f"SELECT {columns}, file_row_number AS _at, {file}::SMALLINT AS _file, file_row_number + 2 AS _row "
            f"FROM read_parquet({place}, file_row_number = true)")


def _trimmed(column: str) -> str:
    return f"nullif(trim({column}, '{SPACES}'), '')"


def with_place(table):
    """An Arrow table with `_at`, its order."""
    import pyarrow as pa

    return table.append_column("_at", pa.array(range(table.num_rows), pa.int64()))


def from_arrow(connection, name: str, table):
    """An Arrow table as it lies in memory, without a copy."""
    connection.con.register(name, table)
    return connection.table(name)


def load(connection, name: str, frame: pd.DataFrame):
    """Put a frame into the engine and return its Ibis table; datetime columns become calendar dates."""
    import pyarrow as pa

    for number, table in enumerate(_pieces(frame)):
        for position, column in enumerate(table.schema):
            if pa.types.is_timestamp(column.type):
                table = table.set_column(position, column.name, table.column(position).cast(pa.date32(), safe=False))
        if number:
            connection.insert(name, table)
        else:
            connection.create_table(name, table, overwrite=True)
    return connection.table(name)


def as_arrow(frame: pd.DataFrame):
    """A frame as an Arrow table; text as plain strings."""
    import pyarrow as pa

    return pa.concat_tables(_pieces(frame))


def _pieces(frame: pd.DataFrame):
    """A frame as Arrow tables of PIECE rows and the same types; at least one."""
    import pyarrow as pa

    schema = _plain_schema(frame)
    for start in range(0, max(len(frame), 1), PIECE):
        table = pa.Table.from_pandas(frame.iloc[start:start + PIECE], schema=schema, preserve_index=False)
        yield table.replace_schema_metadata(None)


def _plain_schema(frame: pd.DataFrame):
    """The Arrow types of a frame; text, and columns without any value, as plain strings."""
    import pyarrow as pa

    return pa.schema([(column.name, pa.string() if pa.types.is_null(column.type) or
                       pa.types.is_large_string(column.type) else column.type)
                      for column in pa.Schema.from_pandas(frame, preserve_index=False)])


def view(connection, name: str, expression):
    """Name an expression, so that it is written once; it is computed whenever somebody asks."""
    import ibis.expr.operations as ops

    _view(connection, name, connection.compile(expression))
    return ops.DatabaseTable(name, expression.schema(), connection, ops.Namespace()).to_expr()


def _view(connection, name: str, sql: str) -> None:
    connection.con.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {sql}")


def _literal(path: Path | str) -> str:
    """A path in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def matching(connection, table, columns: list[str], pattern: str) -> list[str]:
    """The columns of text in which some value matches a regular expression; each distinct value is looked at once."""
    if not columns:
        return []
    asked = ", ".join(f"(SELECT count(*) > 0 FROM (SELECT DISTINCT {quoted(name)} AS word FROM given) "
                      "WHERE regexp_matches(word, $pattern))" for name in columns)
    sql = f"WITH given AS ({connection.compile(table.select(*columns))}) SELECT {asked}"
    found = connection.con.execute(sql, {"pattern": pattern}).fetchall()[0]
    return [name for name, matches in zip(columns, found, strict=True) if matches]


def keep(connection, name: str, expression):
    """Compute an Ibis expression once and return the stored table."""
    keep_rows(connection, name, connection.compile(expression))
    return connection.table(name)


def keep_rows(connection, name: str, sql: str) -> int:
    """Compute a query once and store its rows as a table; how many there are."""
    return connection.con.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}").fetchall()[0][0]


def fetch(expression) -> pd.DataFrame:
    """The rows of an Ibis expression; dates come as datetime64[s], whole numbers with gaps as Int64."""
    return _frame(expression.to_pyarrow())


def fetch_by_column(connection, expression) -> pd.DataFrame:
    """As `fetch`; out of a huge database by way of a file and one column after another, so that the rows are in
    memory once (what the engine hands over is set free only as a whole). It works within ROOM from there on."""
    if not _is_huge(connection):
        return fetch(expression)
    import pyarrow.parquet

    folder = connection.con.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    path = Path(folder) / "fetched.parquet"
    write(expression, path)
    connection.con.execute(f"SET memory_limit = '{ROOM}'")
    with pyarrow.parquet.ParquetFile(path) as file:
        columns = {name: _frame(file.read(columns=[name]))[name] for name in file.schema_arrow.names}
    path.unlink()
    return pd.DataFrame(columns, copy=False)


def ask(connection, sql: str) -> pd.DataFrame:
    """The rows of a query in SQL: for short questions, that Ibis would take longer to write than to answer."""
    return _frame(connection.con.sql(sql).to_arrow_table())


def _frame(table) -> pd.DataFrame:
    """An Arrow table as a frame; the table is used up, so that large ones are not in memory twice."""
    import pyarrow as pa

    for position, column in enumerate(table.schema):
        if pa.types.is_date(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.timestamp("s")))
    gaps = [name for name, column in zip(table.column_names, table.columns, strict=True)
            if pa.types.is_integer(column.type) and column.null_count]
    frame = table.to_pandas(integer_object_nulls=False, self_destruct=True)
    return frame.astype(dict.fromkeys(gaps, "Int64")) if gaps else frame


def with_absent(table, **types: str):
    """The table with columns of these Ibis types, all missing, for those it lacks."""
    import ibis

    absent = {name: ibis.null(kind) for name, kind in types.items() if name not in table.columns}
    return table.mutate(**absent) if absent else table


def looked_up(table, other, key: str, **columns: str):
    """The table with columns of another one, renamed (`new="old"`), by a key that is there once."""

    right = other.select(_key=other[key], **{new: other[old] for new, old in columns.items()})
    return table.left_join(right, table[key] == right["_key"]).select(table, *(right[name] for name in columns))


def by_file(table) -> pd.Series:
    """How many rows of a table come from each file, by its number."""
    return fetch(table.group_by("_file").aggregate(n=table.count())).set_index("_file")["n"]


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """A frame as a Parquet file."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, _plain_schema(frame), compression="zstd") as writer:
        for table in _pieces(frame):
            writer.write_table(table)


def read_frame(path: Path, types: dict[str, str]) -> pd.DataFrame:
    """The frame of a Parquet file, with these types by column."""
    import pyarrow.parquet

    frame = pyarrow.parquet.ParquetFile(path).read().to_pandas(integer_object_nulls=True, self_destruct=True)
    return frame.astype({name: kind for name, kind in types.items() if frame[name].dtype != kind})


def write(table, path: Path) -> None:
    """The rows of an Ibis table as a Parquet file, without a pass through Python."""
    connection = table.get_backend()
    connection.con.execute(
        f"COPY ({connection.compile(table)}) TO {_literal(path)} (FORMAT parquet, COMPRESSION zstd)")


def parquet_table(connection, name: str, path: Path):
    """A Parquet file as a table that stays on the disk."""
    _view(connection, name, f"SELECT * FROM read_parquet({_literal(path)})")
    return connection.table(name)
