"""How an episode ended: from the discharges table, else from the episode's own columns.

Source: metric definitions, section 0 (a discharge after the data cut is open).
"""

from __future__ import annotations

import pandas as pd

from therapyeval.data.links import looked_up, with_absent
from therapyeval.data.quality import LEFT_OUT, Ledger

END = {"discharge_date": "datetime64[s]", "reason": "str", "disposition": "str", "goals_met_pct": "float64"}


def discharged(episodes: pd.DataFrame, discharges: pd.DataFrame | None, cut: pd.Timestamp, *, has_calendar: bool,
               ledger: Ledger) -> pd.DataFrame:
    """Episodes with discharge_date, reason, disposition and goals_met_pct; missing for those open at the data cut.

    `episodes.end_date` counts as the discharge where nothing else says when.
    """
    frame = with_absent(episodes, **END)
    if "end_date" in frame:
        frame["discharge_date"] = frame["discharge_date"].fillna(frame["end_date"])
    if discharges is not None:
        table = discharges.set_index("episode_id")
        for name in (name for name in END if name in table):
            frame[name] = looked_up(frame["episode_id"], table[name]).fillna(frame[name])
    later = frame["discharge_date"] > cut
    ledger.problem("note", "episodes", frame[later], "discharged after the data cut; open")
    still_open = later | (frame["discharge_date"].isna() & has_calendar)
    return frame.assign(**{name: frame[name].mask(still_open) for name in END})


def use_discharges(discharges: pd.DataFrame | None, known: pd.Index, cut: pd.Timestamp, ledger: Ledger) -> None:
    """Count the discharges of episodes in the facts; set the others aside."""
    if discharges is None:
        return
    later = discharges["discharge_date"] > cut
    unknown = ~discharges["episode"].isin(known) & ~later
    ledger.set_aside(LEFT_OUT, "discharges", discharges[later], "after the data cut")
    ledger.set_aside(LEFT_OUT, "discharges", discharges[unknown], "its episode is not in the facts")
    ledger.use("discharges", discharges[~later & ~unknown])
