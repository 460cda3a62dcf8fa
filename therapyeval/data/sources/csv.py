"""Delimited text: encoding (UTF-8, then cp1252), byte-order mark, gzip and delimiter are found out."""

from __future__ import annotations

import csv
import gzip
import io
import zlib

from therapyeval.data.sources import text
from therapyeval.data.sources.raw import BLANK, CELLS, Raw
from therapyeval.errors import DataError

LONGEST_NAME = 131_072  # more is an open quotation mark; the csv module stops there too, unless its limit was lifted
DELIMITERS = (",", ";", "\t", "|")
GZIP = b"\x1f\x8b"


def read(content: bytes, name: str, *, delimiter: str | None = None, encoding: str | None = None,
         number_repeats: bool = False) -> Raw:
    """The rows of delimited text.

    Parameters
    ----------
    delimiter, encoding : found out where not given
    number_repeats : see `text.checked_names`
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    body = decode(unpacked(content, name), name, encoding)
    body = body if "\n" in body else body.replace("\r", "\n")  # lines of an old Macintosh
    header = body.split("\n", 1)[0]
    delimiter = delimiter or max(DELIMITERS, key=header.count)
    names = text.checked_names(_header(header, delimiter, name), name, number_repeats=number_repeats)
    strange: list[tuple[int, str]] = []

    def set_aside(row) -> str:
        strange.append((row.number, CELLS if row.text.strip() else BLANK))
        return "skip"

    try:
        table = arrow_csv.read_csv(
            io.BytesIO(body.encode("utf-8")),
            read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False,
                                                 invalid_row_handler=set_aside),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()),
                                                     strings_can_be_null=False))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            table = pa.table({column: pa.array([], pa.string()) for column in names})
        else:
            raise DataError(f"{name} cannot be read as a table with delimiter {delimiter!r}. "
                            "Give `delimiter:` in the mapping, or save it again as CSV.") from None
    return text.numbered(text.as_text(table, name), name, strange)


def _header(line: str, delimiter: str, name: str) -> list[str]:
    try:
        names = next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])
        is_sound = all(len(column) <= LONGEST_NAME for column in names)
    except csv.Error:  # a line break in a name, a delimiter of several characters
        is_sound = False
    if not is_sound:
        raise DataError(f"{name}: its first line cannot be read as column names. Is a quotation mark left open? "
                        "Save it again as CSV.")
    return names


def unpacked(content: bytes, name: str) -> bytes:
    """The content without gzip."""
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{name} is a damaged gzip file. Copy or export it again.") from None


def decode(content: bytes, name: str, encoding: str | None) -> str:
    """Text of the declared encoding, else UTF-16 with its mark, else UTF-8, else cp1252; without the mark."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = encoding or "utf-16"
    if encoding is None and b"\x00" in content[:4096]:
        raise DataError(f"{name} is not a text file. docs/sources.md lists the kinds of files that can be read.")
    for candidate in [encoding] if encoding else ["utf-8-sig", "cp1252"]:
        try:
            return content.decode(candidate)
        except UnicodeDecodeError:
            continue
        except LookupError:
            raise DataError(f"{name}: the encoding {candidate[:40]!r} is not known. Use utf-8 or cp1252.") from None
    raise DataError(f"{name} is not text in {encoding or 'UTF-8 or cp1252'}. Give `encoding:` in the mapping.")
