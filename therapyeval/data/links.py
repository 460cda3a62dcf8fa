"""Small integers in place of source ids, and which episode a row belongs to. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.data.quality import Ledger


@dataclass(frozen=True)
class Crosswalk:
    """Source ids by the small integers of the facts; kept in memory, read by no report."""

    patients: pd.Index
    episodes: pd.Index
    staff: pd.Index


def make_crosswalk(tables: Mapping[str, pd.DataFrame]) -> Crosswalk:
    """Every id that the tables name, sorted, so that the same data give the same numbers."""
    def distinct(*where: tuple[str, str]) -> pd.Index:
        found = [tables[table][column] for table, column in where if table in tables and column in tables[table]]
        ids = pd.concat(found).dropna().unique() if found else []
        return pd.Index(ids, dtype="str").sort_values()

    return Crosswalk(distinct(*((table, "patient_id") for table in tables)), distinct(("episodes", "episode_id")),
                     distinct(("staff", "staff_id"), ("visits", "staff_id")))


def numbered(frame: pd.DataFrame, crosswalk: Crosswalk) -> pd.DataFrame:
    """With `patient`, `episode` and `staff` beside the source ids; missing where the id is not known."""
    wanted = {"patient": ("patient_id", crosswalk.patients), "episode": ("episode_id", crosswalk.episodes),
              "staff": ("staff_id", crosswalk.staff)}
    return frame.assign(**{name: positions(index, frame[column]) for name, (column, index) in wanted.items()
                           if column in frame})


def positions(index: pd.Index, ids: pd.Series) -> pd.arrays.IntegerArray:
    """Where each id stands in an index; missing where it does not."""
    place = index.get_indexer(ids)
    return pd.arrays.IntegerArray(place.astype("int32"), place < 0)


def link_visits(visits: pd.DataFrame, episodes: pd.DataFrame, ledger: Ledger) -> pd.DataFrame:
    """Visits keep an episode only where it is known and of the same patient; without one they still count."""
    if "episode_id" not in visits:
        return visits.assign(episode=pd.array([pd.NA] * len(visits), dtype="Int32"))
    lost = visits["episode_id"].notna() & visits["episode"].isna()
    ledger.problem("warning", "visits", visits[lost], "unknown episode_id; the visit counts without an episode")
    other = differs(looked_up(visits["episode"], episodes.set_index("episode")["patient"]), visits["patient"])
    ledger.problem("warning", "visits", visits[other],
                   "patient_id is not that of its episode; the visit counts without an episode")
    return visits.assign(episode=visits["episode"].mask(other))


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


def differs(one: pd.Series, other: pd.Series) -> pd.Series:
    """Where both are known and not the same."""
    return (one.notna() & other.notna() & (one != other)).fillna(False).astype(bool)


def describing(frame: pd.DataFrame, names: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Those of the descriptive columns, then of the declared attributes, that a table has."""
    return list(dict.fromkeys(name for name in (*names, *declared) if name in frame))


def with_absent(frame: pd.DataFrame, **types: str) -> pd.DataFrame:
    """The frame with columns of these types, all missing, for those it lacks."""
    return frame.assign(**{name: pd.Series(pd.NA if kind[0].isupper() else None, index=frame.index, dtype=kind)
                           for name, kind in types.items() if name not in frame})


def empty_frame(**types: str) -> pd.DataFrame:
    """No rows, with columns of these types."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
