"""Who is in a pilot: the list of the screened, and the arm of each enrolled episode."""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine
from therapyeval.data.links import describing, looked_up, merged_episode, with_absent
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger

KEPT = ("arm", "cluster_id", "sequence")  # what rides along on the episodes
TEXTS = ("arm", "eligible", "ineligible_reason", "withdrawn_reason")
DATES = ("screened_date", "consent_date", "allocated_date", "withdrawn_date")
COLUMNS = ("patient", "episode", "arm", "eligible", "ineligible_reason", "consented", "allocated", "withdrawn",
           "withdrawn_reason")


def enrollment_facts(rows, episodes: pd.DataFrame, chains, cut: pd.Timestamp, ledger: Ledger) -> pd.DataFrame | None:
    """One row per person of the list, also those never allocated; None without a list.

    Columns as COLUMNS, then `cluster_id` and `sequence` where the data have them: `eligible`, `consented`,
    `allocated`, `withdrawn` are True, False or missing (nobody recorded it); `episode` is missing where no episode
    can be tied to the row. What is dated after the data cut has not happened yet.
    """
    if rows is None:
        return None
    rows = engine.fetch(rows.order_by("_at"))
    merged = engine.fetch(chains.select("episode", "merged")).set_index("episode")["merged"]
    rows = with_absent(rows, **dict.fromkeys(TEXTS, "str"), **dict.fromkeys(DATES, "datetime64[s]"))
    later = rows["screened_date"] > cut
    ledger.set_aside(LEFT_OUT, "enrollment", rows[later], "screened after the data cut")
    rows = rows[~later]
    rows = rows.assign(episode=merged_episode(rows, episodes, merged),
                       arm=rows["arm"].mask(rows["allocated_date"] > cut))
    patient = looked_up(rows["episode"], episodes.set_index("episode")["patient"]).astype("Int32")
    is_other = (patient != rows["patient"].astype("Int32")).fillna(False).astype(bool)
    ledger.set_aside(QUARANTINED, "enrollment", rows[is_other], "patient_id is not that of its episode")
    rows = rows[~is_other]
    rows = _one_arm_each(rows, ledger)
    loose = rows["arm"].notna() & rows["episode"].isna()
    ledger.problem("warning", "enrollment", rows[loose], "allocated to an arm, but no episode can be tied to the row",
                   "Give episode_id: a patient with several episodes cannot be told apart.")
    ledger.use("enrollment", rows)
    allocated = rows["arm"].notna()
    flags = {"eligible": (rows["eligible"] == "yes").astype("boolean").mask(rows["eligible"].isna()),
             "consented": _happened(rows["consent_date"], cut), "allocated": allocated.astype("boolean"),
             "withdrawn": _happened(rows["withdrawn_date"], cut)}
    facts = rows.assign(**flags).astype({"patient": "int32", "episode": "Int32"})
    return facts[[*COLUMNS, *(name for name in KEPT[1:] if name in facts)]].reset_index(drop=True)


def _happened(date: pd.Series, cut: pd.Timestamp) -> pd.Series:
    """Whether a step was taken by the data cut; missing in all rows where nobody has a date."""
    taken = (date <= cut).astype("boolean")
    return taken if date.notna().any() else taken.mask(taken.notna())


def _one_arm_each(rows: pd.DataFrame, ledger: Ledger) -> pd.DataFrame:
    """An episode with two arms is in none; one entered twice counts once."""
    allocated = rows[rows["arm"].notna() & rows["episode"].notna()]
    clash = allocated[allocated.groupby("episode")["arm"].transform("nunique") > 1]
    ledger.set_aside(QUARANTINED, "enrollment", clash, "two arms for one episode",
                     todo="Find out which arm is right and correct the export.")
    allocated = allocated.drop(clash.index)
    again = allocated[allocated.duplicated("episode")]
    ledger.set_aside(MERGED, "enrollment", again, "the same episode again in one arm")
    return rows.drop([*clash.index, *again.index])


def with_arm(episodes: pd.DataFrame, enrollment: pd.DataFrame | None) -> pd.DataFrame:
    """Facts about episodes with the arm (cluster, sequence) of the enrolled."""
    if enrollment is None:
        return episodes
    mine = enrollment[enrollment["arm"].notna() & enrollment["episode"].notna()].set_index("episode")
    return episodes.assign(**{name: looked_up(episodes["episode"], mine[name])
                              for name in describing(mine, KEPT, ())})
