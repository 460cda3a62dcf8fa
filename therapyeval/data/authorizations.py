"""Authorizations, and the visits that each paid for. Source: data model, section 1; metric definitions, section 4.1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.data import engine
from therapyeval.data.links import describing, looked_up, with_absent
from therapyeval.data.quality import LEFT_OUT, QUARANTINED, Ledger
from therapyeval.data.records import by_episode

NOT_GIVEN = ("denied", "cancelled", "canceled", "pending", "entered_in_error")
BEYOND = "attended visits beyond what was authorized; they count to no authorization"


def authorization_facts(rows, visits, episodes: pd.DataFrame, merged: pd.Series, cut: pd.Timestamp,
                        declared: list[str], ledger: Ledger) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """One row per authorization of an episode in the facts, and the days of the visits it paid for; None without any.

    First: authorization, patient, episode, visits_authorized, start_date, end_date, payer_class, description.
    Second: authorization, date. A visit counts to the authorization in force that ends first and has visits left.
    Denied, cancelled and pending ones are left out.

    Parameters
    ----------
    rows, visits : Ibis tables: checked and numbered, the visits as they are stored; rows may be None
    merged : episode of the facts, by source episode
    """
    if rows is None:
        return None, None
    frame = with_absent(engine.fetch(rows.order_by("_at")), episode="Int32", status="str")
    frame["episode"] = looked_up(frame["episode"], merged).astype("Int32")
    later, loose = frame["start_date"] > cut, frame["episode"].isna()
    refused = frame["status"].str.strip().str.lower().isin(NOT_GIVEN)
    wrong = (frame["end_date"] < frame["start_date"]) | ~(frame["visits_authorized"] >= 0)
    state = np.select([loose, refused, later, wrong], ["loose", "refused", "later", "wrong"], "")
    for fate, which, reason in ((LEFT_OUT, "loose", "its episode is not in the facts"),
                                (LEFT_OUT, "refused", "not given: denied, cancelled or pending"),
                                (LEFT_OUT, "later", "starts after the data cut"),
                                (QUARANTINED, "wrong", "ends before it starts, or visits below 0")):
        ledger.set_aside(fate, "authorizations", frame[state == which], reason)
    frame = frame[state == ""].reset_index(drop=True)
    ledger.use("authorizations", frame)
    frame = frame.assign(authorization=range(len(frame)), patient=looked_up(
        frame["episode"], episodes.set_index("episode")["patient"]))
    used, beyond = _used(frame, _days_of_visits(visits, merged, frame["episode"], cut))
    ledger.problem("note", "authorizations", frame[frame["authorization"].isin(beyond)], BEYOND)
    names = ["authorization", "patient", "episode", "visits_authorized", "start_date", "end_date",
             *describing(frame.columns, ("payer_class",), declared)]
    types = dict.fromkeys(("authorization", "patient", "episode"), "int32")
    types |= dict.fromkeys(("start_date", "end_date"), "datetime64[s]") | {"visits_authorized": "float64"}
    return by_episode(frame[names].astype(types), episodes), used


def _days_of_visits(visits, merged: pd.Series, episodes: pd.Series, cut: pd.Timestamp) -> pd.DataFrame:
    """Episode of the facts and day of each visit, in order, of episodes with an authorization."""
    seen = visits.filter(visits.is_visit & visits.episode.notnull() & (visits.date <= cut.date()))
    days = engine.fetch(seen.select("episode", "date"))
    days["episode"] = looked_up(days["episode"], merged).astype("Int32")
    return days[days["episode"].isin(episodes)].sort_values(["episode", "date"], ignore_index=True)


def _used(authorizations: pd.DataFrame, days: pd.DataFrame) -> tuple[pd.DataFrame, set[int]]:
    """The authorization and day of each visit that one had left for, and those in force when none had."""
    ordered = authorizations.sort_values(["episode", "end_date", "authorization"])
    by_care = {episode: list(zip(part["authorization"], part["start_date"], part["end_date"],
                                 part["visits_authorized"], strict=True))
               for episode, part in ordered.groupby("episode")}
    left = dict(zip(ordered["authorization"], ordered["visits_authorized"], strict=True))
    found, beyond = [], set()
    for episode, day in zip(days["episode"], days["date"], strict=True):
        in_force = [number for number, start, end, _ in by_care[episode] if start <= day <= end]
        number = next((number for number in in_force if left[number] >= 1), None)
        if number is None:
            beyond.update(in_force[:1])
        else:
            left[number] -= 1
            found.append((number, day))
    used = pd.DataFrame(found, columns=["authorization", "date"])
    return used.astype({"authorization": "int32", "date": "datetime64[s]"}), beyond
