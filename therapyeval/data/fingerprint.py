"""One number for a set of facts: equal facts give equal fingerprints, whatever files and order they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data import engine
from therapyeval.data.appointments import Appointments

_NEXT = "\x1f"  # the end of a value


def facts_fingerprint(facts: Facts) -> str:
    """SHA-256 of facts: their tables as sets of rows, the rows of appointments, the measures and the settings.

    Neither the order of rows nor that of columns counts; how often a row is there does. A missing value is told from
    an empty text; numbers are taken with every digit.
    """
    connection, digest = engine.connect(), hashlib.sha256()
    for item in sorted(fields(facts), key=lambda item: item.name):
        digest.update(f"{item.name}{_NEXT}{_told(connection, getattr(facts, item.name))}{_NEXT}".encode())
    return digest.hexdigest()


def _told(connection, value: object) -> str:
    if isinstance(value, pd.DataFrame):
        return _of_rows(engine.load(connection, "fingerprinted", value)) if len(value.columns) else ""
    if isinstance(value, Appointments):
        return value.rows_told(_of_rows)
    if isinstance(value, Mapping):
        return _NEXT.join(f"{key}={value[key]!r}" for key in sorted(value))
    return repr(value)


def _of_rows(table) -> str:
    """Names of the columns, number of rows, and the sum of a hash (MD5) over the rows: the order does not count.

    In what is hashed of a row, chr(0) stands for a missing value and chr(31) ends each value.
    """
    names = sorted(table.columns)
    values = ", ".join(f"coalesce({engine.quoted(name)}::VARCHAR, chr(0)), chr(31)" for name in names)
    connection = table.get_backend()
    n, low, high = connection.con.execute(
        f"SELECT count(*), sum(md5_number_lower(told)), sum(md5_number_upper(told)) FROM "
        f"(SELECT concat({values}) AS told FROM ({connection.compile(table)}))").fetchone()
    return _NEXT.join([*names, str(n), str(low), str(high)])
