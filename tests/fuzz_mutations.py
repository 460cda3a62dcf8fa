"""Damage to bytes, text and tables: each mutator takes a random generator and gives new content."""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable
from datetime import date, timedelta

Bytes = Callable[[random.Random, bytes], bytes]
JUNK = ["", " ", "NULL", "NaN", "nan", "inf", "-inf", "1e308", "1e309", "-0", "+5", "0x1F", "1_000", "1,5", "1.234,5",
        "12%", "007", "7.0", "9" * 40, "true", "No", "?", "=1+1", "@x", "'", '"', "\\", "\t", "a\nb", "\r", "\x00",
        "\x1b[31m", "\u202eabc", "\ufeff", "\u200b", "\u00a0", "\u3000x\u3000", "٣٤", "𝟛", "½", "Å", "A\u030a", "ﬁ",
        "😀", "\U000e0041", "ß", "İ", "_row", "_at", "patient_id", "episode_id", "None", "[1]", "{}", "-", "x" * 5000]
DATES = ["2026-02-30", "0000-00-00", "0001-01-01", "1899-12-31", "1900-01-01", "2099-12-31", "9999-12-31",
         "10000-01-01", "2026-1-5", "01/02/2026", "31/12/2026", "12/31/26", "02.03.04", "20260105", "46027", "1.5",
         "2026-01-05T25:61:00", "2026-01-05T24:00:00", "2026-01-05T09:30:00Z", "2026-01-05 09:30:00.123456789+14:00",
         "2026-01-05T09:30:00+99:99", "2026-03-08T02:30:00", "1900-01-01T00:00:00+14:00", "2099-12-31T23:59:59-12:00",
         "5 Jan 2026", "Jan 5, 2026 9:30 AM", "２０２６-01-05", "2026-01-05\u200f", "-2026-01-05"]
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252", "latin-1", "cp437", "shift-jis",
             "utf-7", "cp037"]


# Bytes of any file

def _place(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + int(2 ** rng.uniform(0, 10)))


def flip(rng: random.Random, content: bytes) -> bytes:
    body = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        if body:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def scramble(rng: random.Random, content: bytes) -> bytes:
    start, end = _place(rng, content)
    return content[:start] + rng.randbytes(end - start) + content[end:]


def truncate(rng: random.Random, content: bytes) -> bytes:
    return content[:rng.randrange(len(content) + 1)] if rng.random() < 0.8 else content[-rng.randrange(1, 64):]


def cut_out(rng: random.Random, content: bytes) -> bytes:
    start, end = _place(rng, content)
    return content[:start] + content[end:]


def repeat(rng: random.Random, content: bytes) -> bytes:
    start, end = _place(rng, content)
    return content[:end] + content[start:end] * rng.choice([1, 1, 3, 50]) + content[end:]


def nulls(rng: random.Random, content: bytes) -> bytes:
    start, end = _place(rng, content)
    return content[:start] + b"\x00" * (end - start) + (content[end:] if rng.random() < 0.5 else content[start:])


def insert(rng: random.Random, content: bytes) -> bytes:
    start, _ = _place(rng, content)
    return content[:start] + rng.choice([b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xc3", b'"', b"\r", b"\n\n\n",
                                         b"\x1a", rng.randbytes(16), rng.choice(JUNK).encode()]) + content[start:]


def empty(rng: random.Random, content: bytes) -> bytes:
    return rng.choice([b"", b"\n", b" ", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"PAR1", b"PAR1PAR1",
                       b"PK\x05\x06" + b"\x00" * 18, b"SQLite format 3\x00", b"{}", b"<html></html>"])


def double(rng: random.Random, content: bytes) -> bytes:
    return content + content


BYTES: tuple[Bytes, ...] = (flip, flip, scramble, truncate, cut_out, repeat, nulls, insert, empty, double)


# Text files

def encode(rng: random.Random, content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def mix_encodings(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at:] = [line.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace") for line in lines[at:]]
    return b"\n".join(lines)


def line_ends(rng: random.Random, content: bytes) -> bytes:
    ends = rng.choice([[b"\r"], [b"\r\n"], [b"\n", b"\r\n", b"\r"], [b"\n\n"], [b"\x0b", b"\n"], [b"\xc2\x85", b"\n"]])
    return b"".join(line + rng.choice(ends) for line in content.splitlines())


def quotes(rng: random.Random, content: bytes) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(content) + 1)
        content = content[:at] + rng.choice([b'"', b"'", b'""', b'\\"', b',"', b'"\n']) + content[at:]
    return content


def delimiters(rng: random.Random, content: bytes) -> bytes:
    other = rng.choice([b";", b"\t", b"|", b" ", b",,", b":"])
    lines = content.split(b"\n")
    chosen = range(len(lines)) if rng.random() < 0.4 else rng.sample(range(len(lines)), max(1, len(lines) // 3))
    for at in chosen:
        lines[at] = lines[at].replace(b",", other)
    return b"\n".join(lines)


def line_order(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    change = rng.randrange(5)
    if change == 0:
        del lines[at]
    elif change == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif change == 2:
        rng.shuffle(lines)
    elif change == 3:
        lines.insert(at, rng.choice([b"", b"Report of the clinic", b",,,,,", b"Total,,,5", b"# comment"]))
    else:
        lines = lines[:1]
    return b"\n".join(lines)


TEXT: tuple[Bytes, ...] = (encode, mix_encodings, line_ends, quotes, quotes, delimiters, line_order)


# Tables: header and rows

def columns_of(rng: random.Random, grid: list[list]) -> list[list]:
    """A column deleted, doubled, moved, renamed, emptied or exchanged with another."""
    header, width = grid[0], len(grid[0])
    at, other = rng.randrange(width), rng.randrange(width)
    change = rng.randrange(9)
    if change == 0:
        return [row[:at] + row[at + 1:] for row in grid]
    if change == 1:
        name = rng.choice([header[at], f"{header[at]}2", str(header[at]).upper(), f" {header[at]}"])
        return [[*row, name if number == 0 else row[at]] for number, row in enumerate(grid)]
    if change == 2:
        order = rng.sample(range(width), width)
        return [[row[place] for place in order if place < len(row)] for row in grid]
    if change == 3:
        name = rng.choice([*JUNK, f"{header[at]}\u200b", str(header[at]).upper(), header[other]])
        return [[*header[:at], name, *header[at + 1:]], *grid[1:]]
    if change in (4, 5):
        value = rng.choice(["", None, rng.choice(JUNK), rng.choice(DATES), grid[-1][at]])
        return [header, *([*row[:at], value, *row[at + 1:]] for row in grid[1:])]
    if change == 6:
        for row in grid[1:]:
            row[at], row[other] = row[other], row[at]
        return grid
    if change == 7:
        values = [row[at] for row in grid[1:]]
        rng.shuffle(values)
        return [header, *([*row[:at], value, *row[at + 1:]] for row, value in zip(grid[1:], values, strict=True))]
    return [[str(name).upper() if number == 0 else name for name in row] for number, row in enumerate(grid)]


def rows_of(rng: random.Random, grid: list[list]) -> list[list]:
    """Rows deleted, doubled, moved, emptied, cut short or too long."""
    rows, change = grid[1:], rng.randrange(7)
    if not rows:
        return grid
    at = rng.randrange(len(rows))
    if change == 0:
        rows = [row for row in rows if rng.random() < 0.5]
    elif change == 1:
        rows += [list(row) for row in rows if rng.random() < 0.5]
    elif change == 2:
        rng.shuffle(rows)
    elif change == 3:
        rows = []
    elif change == 4:
        rows[at] = rng.choice([[], [""] * len(rows[at]), rows[at][:1], [*rows[at], "more"], grid[0]])
    elif change == 5:
        rows = rows[at:at + 1] * rng.choice([1, 2, 30])
    else:
        rows = [[*row[:1], *grid[rng.randrange(1, len(grid))][1:]] for row in rows]  # ids exchanged
    return [grid[0], *rows]


def cells_of(rng: random.Random, grid: list[list]) -> list[list]:
    """Cells replaced by other words, dates, numbers of other columns; dates moved."""
    words = [*JUNK, *DATES, *(str(cell) for row in grid[1:4] for cell in row)]
    for _ in range(rng.choice([1, 3, 10, 60])):
        row = rng.choice(grid)
        if row:
            at = rng.randrange(len(row))
            row[at] = rng.choice([rng.choice(words), rng.choice(words), _moved(rng, row[at])])
    return grid


def one_column(rng: random.Random, grid: list[list]) -> list[list]:
    """All cells of one column junk, dates, or moved in time."""
    at, how = rng.randrange(len(grid[0])), rng.randrange(4)
    pool = rng.choice([JUNK, DATES])
    for row in grid[1:]:
        if at < len(row):
            row[at] = _moved(rng, row[at]) if how == 0 else rng.choice(pool) if how == 1 else \
                pool[0] if how == 2 else str(rng.randrange(-5, 100_000))
    return grid


def huge(rng: random.Random, grid: list[list]) -> list[list]:
    row = rng.choice(grid)
    if row:
        letter = rng.choice(["L", "9", "é", '"', "1 ", "=", "\n"])
        row[rng.randrange(len(row))] = letter * rng.choice([10**5, 2 * 10**6])
    return grid


def _moved(rng: random.Random, cell: object) -> object:
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)(.*)", str(cell), re.DOTALL)
    if not found:
        return str(cell)[::-1] if cell is not None else None
    try:
        day = date(*map(int, found.groups()[:3])) + timedelta(days=rng.choice([-40_000, -400, -1, 1, 35, 400, 26_000]))
    except (ValueError, OverflowError):
        return cell
    return f"{day.isoformat()}{found[4]}"


GRID = (columns_of, columns_of, rows_of, cells_of, cells_of, one_column, huge)


def text_table(rng: random.Random, content: bytes) -> bytes:
    """One of GRID on delimited text."""
    text = content.decode("utf-8-sig", "replace").replace("\x00", "")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    csv.field_size_limit(10**8)
    grid = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if not grid:
        return content
    width = len(grid[0])
    grid = rng.choice(GRID)(rng, [row + [""] * (width - len(row)) for row in grid])
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n"])).writerows(grid)
    return sink.getvalue().encode("utf-8", "replace")
