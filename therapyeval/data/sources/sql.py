"""Tables of a database: a DuckDB or SQLite file, or an address of PostgreSQL. Only ever read.

A database is called by its name. Neither its address, nor a user, nor a password gets into a message, a
fingerprint or a record. Rows have no order in a database: they are ordered by their columns from left to right,
as text.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

FILE_ENDINGS = (".duckdb", ".ddb", ".sqlite", ".sqlite3", ".db")
SERVERS = ("postgresql", "postgres")
FILES = ("duckdb", "sqlite")
SQLITE = b"SQLite format 3\x00"
READ_ONLY = "-c default_transaction_read_only=on -c datestyle=ISO -c timezone=UTC"


def is_url(place: str | Path) -> bool:
    """Whether a place is an address of a database."""
    return isinstance(place, str) and urlsplit(place).scheme in (*SERVERS, *FILES)


def path_of(url: str) -> Path | None:
    """The file of duckdb:///PATH or sqlite:///PATH (four slashes for a path from the root); None for a server."""
    address = urlsplit(url)
    return None if address.scheme in SERVERS else Path(unquote(address.netloc + address.path.removeprefix("/")))


def name(place: str | Path) -> str:
    """What messages call a database: the name of its file or, on a server, its own."""
    if isinstance(place, Path):
        return place.name
    return unquote(urlsplit(place).path.strip("/").split("/")[0]) or "the default database"


def parts(place: str | Path) -> tuple[str, ...]:
    """The names of the tables and views."""
    if _is_sqlite(place):
        with _sqlite(place) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                                       "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'").fetchall()
        return tuple(sorted(row[0] for row in found))
    if isinstance(place, Path):
        with _duckdb(place) as connection:
            return tuple(sorted(row[0] for row in connection.execute("SHOW TABLES").fetchall()))
    with _server(place) as connection:
        return tuple(sorted(connection.list_tables()))


def read(place: str | Path, table: str | None = None) -> Raw:
    """The rows of one table.

    Parameters
    ----------
    place : path of a DuckDB or SQLite file, or address of a server
    table : its name; may be left out where there is only one

    Raises
    ------
    DataError
        Where the database cannot be opened or reached, or has no such table.
    """
    table = _chosen(place, table)
    label = f"{name(place)}, table {table}"
    if isinstance(place, str):
        rows = _from_server(place, table)
    else:
        rows = _from_sqlite(place, table) if _is_sqlite(place) else _from_duckdb(place, table)
    rows = rows.rename_columns(text.checked_names(rows.column_names, label))
    rows = text.as_text(rows, label)
    keys = [(column, "ascending", "at_start") for column in rows.column_names]
    return text.numbered(rows.sort_by(keys) if rows.num_rows else rows, label, first=1)


def _chosen(place: str | Path, table: str | None) -> str:
    known = parts(place)
    if table in known:
        return table
    if table is not None:
        raise DataError(f"{name(place)} has no table {table[:60]!r}.{did_you_mean(table, known)}")
    if len(known) != 1:
        raise DataError(f"{name(place)} holds {len(known)} tables: {', '.join(known[:12])}. "
                        "Say which one with `table:` in the mapping.")
    return known[0]


def _is_sqlite(place: str | Path) -> bool:
    if not isinstance(place, Path):
        return False
    try:
        with place.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        raise DataError(f"{place.name} cannot be read. Is it open elsewhere, or without reading rights?") from None


@contextmanager
def _sqlite(path: Path):
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error:
        raise DataError(f"{path.name} cannot be read as a SQLite database. Is another program writing to it, or is "
                        "it damaged?") from None


def _from_sqlite(path: Path, table: str) -> pa.Table:
    """SQLite keeps a type with each value, not with the column: each value is written on its own."""
    import pyarrow as pa

    with _sqlite(path) as connection:
        cursor = connection.execute(f"SELECT * FROM {text.quoted(table)}")
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    if any(isinstance(value, bytes) for row in rows for value in row):
        raise DataError(f"{path.name}, table {table} has columns that are no plain values (binary). Export it flat.")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.Table.from_arrays([pa.array([_word(value) for value in column], pa.string()) for column in columns],
                                names=names)


def _word(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else text.plain_number(value)


@contextmanager
def _duckdb(path: Path):
    """Asked without Ibis, whose version 12 cannot list the tables of DuckDB 2."""
    import duckdb

    try:
        with duckdb.connect(path, read_only=True) as connection:
            yield connection
    except duckdb.Error:
        raise DataError(f"{path.name} cannot be read as a DuckDB database. Is another program using it, or is it "
                        "of another version or damaged?") from None


def _from_duckdb(path: Path, table: str) -> pa.Table:
    with _duckdb(path) as connection:
        return connection.sql(f"SELECT * FROM {text.quoted(table)}").to_arrow_table()


@contextmanager
def _server(url: str):
    """A connection to a server; what it needs and the address does not say comes from the PG… variables."""
    import ibis
    import ibis.common.exceptions

    try:
        import psycopg
    except ImportError:
        raise DataError("PostgreSQL needs its driver: python -m pip install 'therapyeval[postgres]'.") from None
    try:
        connection = ibis.connect(url.replace("postgresql://", "postgres://", 1), options=READ_ONLY)
        try:
            yield connection
        finally:
            connection.disconnect()
    except psycopg.OperationalError:
        raise DataError(f"the database {name(url)} cannot be reached. Check the address, the user and the password "
                        "(it may be given in the environment variable PGPASSWORD), and that the server runs.") from None
    except (psycopg.Error, ibis.common.exceptions.IbisError):
        raise DataError(f"a table of the database {name(url)} cannot be read. May this user read it, and are all its "
                        "columns plain values?") from None
    except ValueError:
        raise DataError(f"the address of the database {name(url)} cannot be understood. "
                        "Write postgresql://user@host:5432/database.") from None


def _from_server(url: str, table: str) -> pa.Table:
    """The server writes its values as text, so that no number passes through a type that is too small."""
    import pyarrow.compute as pc

    with _server(url) as connection:
        found = connection.table(table)
        rows = found.select(**{column: found[column].cast("string") for column in found.columns}).to_pyarrow()
        moments = [column for column, kind in found.schema().items() if kind.is_timestamp() and kind.timezone]
    for column in moments:  # 2026-01-05 09:30:00+00: ISO wants the minutes of the zone
        words = pc.replace_substring_regex(rows[column], r"([+-]\d\d)$", r"\1:00")
        rows = rows.set_column(rows.column_names.index(column), column, words)
    return rows
