"""Damage that keeps the format: Parquet, workbooks, FHIR, databases and mappings that are odd, not broken."""

from __future__ import annotations

import io
import json
import random
import re
import sqlite3
import zipfile
import zlib
from datetime import date, timedelta
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fuzz_mutations import BYTES, DATES, JUNK, cells_of

TYPES = (pa.int8(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.large_string(),
         pa.string_view(), pa.binary(), pa.binary(4), pa.date32(), pa.date64(), pa.time64("us"), pa.timestamp("ns"),
         pa.timestamp("s"), pa.timestamp("us", "UTC"), pa.timestamp("us", "America/New_York"), pa.duration("s"),
         pa.decimal128(20, 4), pa.null(), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.string()),
         pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.int64()))


def parquet_table(rng: random.Random, content: bytes) -> bytes:
    """Columns of other types and names, other rows, other ways of writing."""
    table = pq.read_table(io.BytesIO(content))
    at, change = rng.randrange(table.num_columns), rng.randrange(8)
    name = table.column_names[at]
    if change == 0:
        table = table.drop_columns([name]) if table.num_columns > 1 else table
    elif change == 1:
        table = table.append_column(rng.choice([name, name.upper(), "_row", "_at", "", " x "]), table.column(at))
    elif change == 2:
        table = table.rename_columns([rng.choice(JUNK) if place == at else old
                                      for place, old in enumerate(table.column_names)])
    elif change == 3:
        table = table.take(rng.choices(range(table.num_rows), k=rng.choice([0, 1, table.num_rows, 100])))
    elif change == 4:
        grid = [table.column_names, *([str(value) if value is not None else None for value in row.values()]
                                      for row in table.to_pylist())]
        grid = cells_of(rng, grid)
        table = pa.table([pa.array(column, pa.string()) for column in zip(*grid[1:], strict=True)],
                         names=table.column_names)
    else:
        table = table.set_column(at, name, _as_type(table.column(at), rng.choice(TYPES), rng))
    sink = io.BytesIO()
    pq.write_table(table, sink, version=rng.choice(["1.0", "2.6"]), compression=rng.choice(["none", "snappy", "zstd"]),
                   use_dictionary=rng.random() < 0.5, row_group_size=rng.choice([3, 10_000]))
    return sink.getvalue()


def _as_type(column: pa.ChunkedArray, kind: pa.DataType, rng: random.Random) -> pa.Array:
    try:
        return column.cast(kind, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        words = [None if rng.random() < 0.2 else word for word in pc.cast(column, pa.string()).to_pylist()]
        made = {pa.types.is_list: lambda word: [word], pa.types.is_struct: lambda word: {"a": word},
                pa.types.is_map: lambda word: [(word, 1)], pa.types.is_binary: str.encode,
                pa.types.is_fixed_size_binary: lambda word: b"abcd", pa.types.is_string_view: str}
        for is_kind, make in made.items():
            if is_kind(kind):
                return pa.array([None if word is None else make(word) for word in words], kind)
        number = pa.array([None if word is None else zlib.crc32(word.encode()) % 100 for word in words], pa.int64())
        try:
            return number.cast(kind, safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return pa.nulls(len(words), kind)


def workbook(rng: random.Random, content: bytes) -> bytes:
    """One part inside the archive damaged, or cells of a sheet changed."""
    if rng.random() < 0.5:
        return _archive(rng, content)
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = rng.choice(book.worksheets)
    for _ in range(rng.choice([1, 3, 10])):
        cell = sheet.cell(rng.randrange(1, sheet.max_row + 2), rng.randrange(1, sheet.max_column + 2))
        value = rng.choice([*JUNK, *DATES, 1e300, -1, 60, 2958466, True, "=1/0", "#REF!", date(1900, 3, 1), None,
                            timedelta(days=9)])
        try:
            cell.value = value
            cell.number_format = rng.choice(["General", "0000", "0%", "yyyy-mm-dd", "[h]:mm", "@", "#,##0.00"])
        except (ValueError, AttributeError):
            continue  # openpyxl does not write control characters, nor into merged cells
    change = rng.randrange(5)
    if change == 0:
        sheet.delete_rows(rng.randrange(1, sheet.max_row + 1), rng.choice([1, 3]))
    elif change == 1:
        sheet.insert_cols(rng.randrange(1, sheet.max_column + 1))
    elif change == 2:
        sheet.merge_cells(start_row=1, end_row=rng.choice([1, 2, 5]), start_column=1, end_column=rng.choice([1, 3, 30]))
    elif change == 3:
        sheet.title = rng.choice(["Sheet 9", "x" * 31, "é"])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _archive(rng: random.Random, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(sink, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            body = old.read(name)
            if name != chosen:
                new.writestr(name, body)
            elif rng.random() < 0.9:
                body = rng.choice([_tokens(body, rng), rng.choice(BYTES)(rng, body)])
                new.writestr(name, body)
    return sink.getvalue()


def _tokens(body: bytes, rng: random.Random) -> bytes:
    """Numbers, names or attributes of XML exchanged."""
    parts = re.split(rb'([<>"= ]+)', body)
    at = rng.randrange(0, len(parts), 2)
    parts[at] = rng.choice([b"", b"-1", b"99999999999", b"A0", b"ZZZZ1", b"x", b"1e999", b"&#0;", b"&lol;",
                            rng.choice(parts[::2])])
    return b"".join(parts)


def ndjson(rng: random.Random, content: bytes) -> bytes:
    """Values of resources replaced by others and by other kinds."""
    lines = content.decode("utf-8", "replace").splitlines()
    for _ in range(rng.choice([1, 1, 3])):
        at = rng.randrange(len(lines)) if lines else 0
        try:
            body = json.loads(lines[at])
        except (ValueError, IndexError):
            return content
        _spoil(rng, body)
        lines[at] = json.dumps(body)
    return "\n".join(lines).encode()


def _spoil(rng: random.Random, body: object) -> None:
    """One value somewhere inside."""
    inner = list(body) if isinstance(body, dict) else list(range(len(body))) if isinstance(body, list) else []
    if not inner:
        return
    key = rng.choice(inner)
    if isinstance(body[key], dict | list) and rng.random() < 0.7:
        return _spoil(rng, body[key])
    if isinstance(body, dict) and rng.random() < 0.2:
        del body[key]
        return None
    deep: list = []
    for _ in range(500):
        deep = [deep]
    body[key] = rng.choice([None, [], {}, [None], [[]], [{}], {"a": 1}, "", "x", 0, -1, 1.5, 10**30, float("nan"), True,
                            deep, rng.choice(JUNK).replace("\x00", ""), rng.choice(DATES), "Patient/", "Patient/../1"])
    return None


def database(rng: random.Random, path: Path) -> None:
    """Tables with columns gone, renamed, of other kinds, with other values."""
    is_duckdb = path.suffix == ".duckdb"
    connection = duckdb.connect(str(path)) if is_duckdb else sqlite3.connect(path)
    table = rng.choice(["episodes", "visits", "assessments"])
    columns = [found[1] for found in connection.execute(f"PRAGMA table_info('{table}')").fetchall()]
    one, other = rng.choice(columns), rng.choice(columns)
    kind = rng.choice(["BLOB", "INTEGER[]", "HUGEINT", "UUID", "INTERVAL", "TIME", "TIMESTAMPTZ", "BIT", "JSON",
                       "STRUCT(a INT)", "ENUM('a')", "DECIMAL(38,10)", "BOOLEAN", "TIMESTAMP_NS"])
    changes = [f'ALTER TABLE {table} DROP COLUMN "{one}"', f'ALTER TABLE {table} RENAME COLUMN "{one}" TO "Ä b"',
               f"DELETE FROM {table}", f"DROP TABLE {table}", f'UPDATE {table} SET "{one}" = NULL',
               f'UPDATE {table} SET "{one}" = "{other}"', f"INSERT INTO {table} SELECT * FROM {table}",
               f"UPDATE {table} SET \"{one}\" = x'00ff'" if not is_duckdb else
               f'ALTER TABLE {table} ADD COLUMN odd {kind}',
               f'CREATE VIEW broken AS SELECT "{one}" FROM {table}; ALTER TABLE {table} RENAME TO gone'
               if is_duckdb else f'ALTER TABLE {table} RENAME TO "it\'s ""odd"""',
               f"UPDATE {table} SET \"{one}\" = '{rng.choice(DATES)}'"]
    try:
        connection.execute(rng.choice(changes))
        connection.commit()
    except (duckdb.Error, sqlite3.Error):
        pass
    connection.close()


WORDS = ["", "~", "null", "[]", "{}", "[a, b]", "{a: b}", "&a [*a, *a]", "*a", "!!python/object:os.system x", "|", ">-",
         "-1", "1e9", "99999999999999999999", "2026-13-45", '"\\x00"', "'", "%d", "%Q", "excel", "no", "episode",
         "visit", "constant", "number", "date", "yes_no", "text", "../x", "/etc", "[" * 3000, "{a: " * 2000, "é",
         "\u202e", "\t",
         "x" * 3000, "utf-16", "latin-1", ";", ",,", "window", "declared", "public", "cms_11", "Mars/Olympus", "UTC"]


def mapping(rng: random.Random, content: bytes) -> bytes:
    """Words of a mapping replaced, lines gone, doubled or moved, other indents."""
    text = content.decode("utf-8", "replace")
    for _ in range(rng.choice([1, 1, 2, 4])):
        if rng.random() < 0.6:
            parts = re.split(r"([:,\[\]{}\n ]+)", text)
            at = rng.randrange(0, len(parts), 2)
            parts[at] = rng.choice([rng.choice(WORDS), rng.choice(parts[::2])])
            text = "".join(parts)
        else:
            lines = text.split("\n")
            at, change = rng.randrange(len(lines)), rng.randrange(5)
            moved = lines.pop(at)
            if change == 1:
                lines.insert(rng.randrange(len(lines) + 1), moved)
            elif change in (2, 3):
                lines.insert(at, "  " + moved if change == 2 else moved.strip())
            elif change == 4:
                lines[at:at] = [moved, moved]
            text = "\n".join(lines)
    return text.encode("utf-8", "replace")
