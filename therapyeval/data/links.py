"""Small integers in place of source ids, and which episode a row belongs to. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from therapyeval.data import engine

# The integer, the id that it stands for, and the tables that may name one (patients: every table may).
NUMBERS = {"patient": ("patient_id", None), "episode": ("episode_id", ("episodes",)),
           "staff": ("staff_id", ("staff", "visits", "staff_hours", "availability"))}


def make_numbers(connection, tables: Mapping[str, object]) -> dict[str, object]:
    """For patients, episodes and staff, a table of every id that the tables name, with its integer.

    Ids are sorted, so that the same data give the same numbers. This crosswalk stays in the engine.
    """
    numbers = {}
    for number, (key, holders) in NUMBERS.items():
        ids = [table.select(key).distinct() for name, table in tables.items()
               if key in table.columns and (holders is None or name in holders)]
        if ids:
            numbers[number] = engine.keep(connection, f"{number}_numbers", _sorted(ids, key, number))
    return numbers


def _sorted(ids: list, key: str, number: str):
    import ibis

    every = ibis.union(*ids, distinct=True) if len(ids) > 1 else ids[0]
    every = every.filter(every[key].notnull())
    return every.mutate(**{number: ibis.row_number().over(ibis.window(order_by=key)).cast("int32")})


def numbered(table, numbers: Mapping[str, object], wanted: Iterable[str] = tuple(NUMBERS)):
    """The table with `patient`, `episode` and `staff` beside the source ids; missing where the id is not known."""
    for number in wanted:
        key = NUMBERS[number][0]
        if number in numbers and key in table.columns:
            table = engine.looked_up(table, numbers[number], key, **{number: number})
    return table


def linked(visits, episodes):
    """Visits keep an `episode` only where it is known and of the same patient; without one they still count.

    `_unknown` and `_other` say why one was lost.

    Parameters
    ----------
    visits : with the number of the patient; episodes : numbered, or None
    """
    import ibis

    if "episode_id" not in visits.columns or episodes is None:
        has_id = visits["episode_id"].notnull() if "episode_id" in visits.columns else ibis.literal(False)
        return visits.mutate(episode=ibis.null("int32"), _unknown=has_id, _other=ibis.literal(False))
    visits = engine.looked_up(visits, episodes, "episode_id", episode="episode", _patient="patient")
    other = (visits["_patient"] != visits["patient"]).fill_null(False)
    return visits.mutate(_unknown=visits["episode_id"].notnull() & visits["episode"].isnull(), _other=other,
                         episode=other.ifelse(None, visits["episode"])).drop("_patient")


def merged_episode(rows: pd.DataFrame, facts: pd.DataFrame, merged: pd.Series) -> pd.Series:
    """The episode of the facts that each row belongs to: by `episode_id`, else the patient's only one.

    Parameters
    ----------
    rows : `patient`, and `episode_id` with `episode` where the table has them
    merged : episode of the facts, by source episode
    """
    episodes = facts.groupby("patient")["episode"].agg(["first", "size"])
    only = looked_up(rows["patient"], episodes.loc[episodes["size"] == 1, "first"])
    if "episode_id" not in rows:
        return only
    return looked_up(rows["episode"], merged).fillna(only.where(rows["episode_id"].isna()))


def looked_up(keys: pd.Series, table: pd.Series) -> pd.Series:
    """The value of `table` for each key, missing for keys that it does not have; whole numbers become nullable."""
    if pd.api.types.is_integer_dtype(table.dtype):
        table = table.astype("Int32")
    sought = keys.to_numpy("float64", na_value=np.nan) if pd.api.types.is_integer_dtype(keys.dtype) else keys
    place = table.index.get_indexer(sought)
    return pd.Series(table.array.take(place, allow_fill=True), index=keys.index)


def describing(columns: Iterable[str], names: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Those of the descriptive columns, then of the declared attributes, that a table has."""
    columns = set(columns)
    return list(dict.fromkeys(name for name in (*names, *declared) if name in columns))


def with_absent(frame: pd.DataFrame, **types: str) -> pd.DataFrame:
    """The frame with columns of these types, all missing, for those it lacks."""
    return frame.assign(**{name: pd.Series(pd.NA if kind[0].isupper() else None, index=frame.index, dtype=kind)
                           for name, kind in types.items() if name not in frame})


def empty_frame(**types: str) -> pd.DataFrame:
    """No rows, with columns of these types."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
