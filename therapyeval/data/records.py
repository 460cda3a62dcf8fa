"""Smaller facts that are rows of their own: events, answers of patients, goals. Each may be tied to an episode.

Source: data model, sections 1 and 3; metric definitions, sections 1 (goals) and 7.1.
"""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import describing, looked_up, with_absent
from therapyeval.data.quality import LEFT_OUT, Ledger

GOAL_LEVELS = (-2, 2)  # goal attainment scaling
NPS_RANGE = (0, 10)


def event_facts(rows, episodes: pd.DataFrame, merged: pd.Series, cut: pd.Timestamp, declared: list[str],
                ledger: Ledger) -> pd.DataFrame | None:
    """One row per event up to the data cut: event, patient, episode, date, type, description; None without a table.

    Parameters
    ----------
    rows : Ibis table: checked and numbered, or None
    merged : episode of the facts, by source episode
    declared : attributes that the mapping declares for this table
    """
    if rows is None:
        return None
    frame = _linked(rows, episodes, merged)
    frame = _until(frame, "date", cut, "events", ledger)
    ledger.use("events", frame)
    names = ["event", "patient", "episode", "date", *describing(frame.columns, schema.DESCRIBE_EVENT, declared)]
    frame = _with_people(frame.assign(event=range(len(frame))))
    return by_episode(frame.astype({"event": "int32", "date": "datetime64[s]"})[names], episodes)


def response_facts(rows, episodes: pd.DataFrame, merged: pd.Series, cut: pd.Timestamp, declared: list[str],
                   ledger: Ledger) -> pd.DataFrame | None:
    """One row per invitation up to the data cut; None without a table.

    response, patient (an anonymous answer is a person of its own), episode, invited_date, date (of the answer),
    answered (by the data cut), score, score_min, score_max, nps, description. Answers without a date are taken as
    given on the day of the invitation; a recommendation that is no whole number from 0 to 10 is missing.
    """
    if rows is None:
        return None
    frame = with_absent(_linked(rows, episodes, merged), invited_date="datetime64[s]", date="datetime64[s]",
                        score="float64", score_min="float64", score_max="float64", nps="float64")
    frame = _until(frame, "invited_date", cut, "satisfaction", ledger)
    odd = frame["nps"].notna() & ~(frame["nps"].between(*NPS_RANGE) & (frame["nps"] % 1 == 0))
    ledger.problem("warning", "satisfaction", frame[odd], "nps is not a whole number from 0 to 10; taken as missing")
    beyond = (frame["score"] < frame["score_min"]) | (frame["score"] > frame["score_max"])
    ledger.problem("warning", "satisfaction", frame[beyond],
                   "score is not between score_min and score_max; taken as missing, the row stays",
                   "Correct the values.")
    ledger.use("satisfaction", frame)
    frame["score"] = frame["score"].mask(beyond)
    frame["nps"] = frame["nps"].mask(odd)
    date = frame["date"].fillna(frame["invited_date"])
    answered = frame[["score", "nps"]].notna().any(axis=1) & ~(date > cut)
    frame = _with_people(frame.assign(response=range(len(frame)), answered=answered, date=date.where(answered)))
    frame[["score", "nps"]] = frame[["score", "nps"]].where(answered, axis=0)
    names = ["response", "patient", "episode", "invited_date", "date", "answered", "score", "score_min", "score_max",
             "nps", *describing(frame.columns, schema.DESCRIBE_RESPONSE, declared)]
    types = {"response": "int32", "invited_date": "datetime64[s]", "date": "datetime64[s]"}
    return by_episode(frame.astype(types)[names], episodes)


def goal_facts(rows, episodes: pd.DataFrame, merged: pd.Series, cut: pd.Timestamp,
               ledger: Ledger) -> pd.DataFrame | None:
    """One row per goal of an episode in the facts: episode, baseline_level, attained_level, weight (1 where nobody
    says), horizon, status; None without a table. A level outside -2 to +2 is missing."""
    if rows is None:
        return None
    frame = _linked(rows, episodes, merged)
    loose = frame["episode"].isna()
    ledger.set_aside(LEFT_OUT, "goals", frame[loose], "its episode is not in the facts")
    frame = with_absent(frame[~loose], baseline_level="float64", attained_level="float64", weight="float64",
                        horizon="str", status="str", set_date="datetime64[s]")
    frame = _until(frame, "set_date", cut, "goals", ledger)
    ledger.use("goals", frame)
    for name in ("baseline_level", "attained_level"):
        odd = frame[name].notna() & ~frame[name].between(*GOAL_LEVELS)
        ledger.problem("warning", "goals", frame[odd], f"{name} is not between -2 and 2; taken as missing")
        frame[name] = frame[name].mask(odd)
    odd = frame["weight"].notna() & ~(frame["weight"] > 0)
    ledger.problem("warning", "goals", frame[odd], "weight is not above 0; the levels are taken as missing")
    frame[["baseline_level", "attained_level"]] = frame[["baseline_level", "attained_level"]].mask(odd, axis=0)
    frame = frame.assign(goal=range(len(frame)), weight=frame["weight"].mask(odd).fillna(1.0))
    names = ["goal", "episode", "baseline_level", "attained_level", "weight", "horizon", "status"]
    return frame[names].astype({"goal": "int32", "episode": "int32"}).reset_index(drop=True)


def by_episode(facts: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    """Facts with the attributes of their episode; where both have one, the row's own value counts."""
    linked = episodes.set_index("episode")
    found = {name: looked_up(facts["episode"], linked[name]) for name in episode_attributes(episodes)}
    return facts.assign(**{name: facts[name].fillna(values) if name in facts else values
                           for name, values in found.items()}).reset_index(drop=True)


def episode_attributes(episodes: pd.DataFrame) -> list[str]:
    """Columns of the episodes that describe the patient or the episode."""
    return [name for name in episodes if name == "arm" or name not in schema.FACT_NAMES]


def _linked(rows, episodes: pd.DataFrame, merged: pd.Series) -> pd.DataFrame:
    """The rows, with the episode of the facts that each names (missing where it names none, or one of another patient),
    and its patient."""
    frame = with_absent(engine.fetch(rows.order_by("_at")), episode="Int32", patient="Int32")
    episode = looked_up(frame["episode"], merged).astype("Int32")
    patient = looked_up(episode, episodes.set_index("episode")["patient"])
    is_other = (patient.astype("Int32") != frame["patient"].astype("Int32")).fillna(False).astype(bool)
    episode, patient = episode.mask(is_other), patient.mask(is_other)
    return frame.assign(episode=episode, patient=frame["patient"].astype("Int32").fillna(patient.astype("Int32")))


def _until(frame: pd.DataFrame, column: str, cut: pd.Timestamp, table: str, ledger: Ledger) -> pd.DataFrame:
    later = frame[column] > cut
    ledger.set_aside(LEFT_OUT, table, frame[later], "after the data cut")
    return frame[~later].reset_index(drop=True)


def _with_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Without a patient, a row counts as a person of its own (numbered below 0)."""
    own = pd.Series(-1 - frame.index, index=frame.index, dtype="Int32")
    return frame.assign(patient=frame["patient"].fillna(own).astype("int32"))
