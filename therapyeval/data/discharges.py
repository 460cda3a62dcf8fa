"""How an episode ended: from the discharges table, else from the episode's own columns.

Source: metric definitions, section 0 (a discharge after the data cut is open).
"""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine
from therapyeval.data.quality import LEFT_OUT, Ledger

END = {"discharge_date": "date", "reason": "string", "disposition": "string", "goals_met_pct": "float64"}


def discharged(episodes, discharges, cut: pd.Timestamp, *, has_calendar: bool):
    """Episodes with discharge_date, reason, disposition and goals_met_pct; missing for those open at the data cut.

    `episodes.end_date` counts as the discharge where nothing else says when. `_later` marks discharges after the cut.
    """
    import ibis

    table = engine.with_absent(episodes, **END)
    if "end_date" in table.columns:
        table = table.mutate(discharge_date=ibis.coalesce(table["discharge_date"], table["end_date"]))
    if discharges is not None:
        names = [name for name in END if name in discharges.columns]
        table = engine.looked_up(table, discharges, "episode_id", **{f"_{name}": name for name in names})
        table = table.mutate(**{name: ibis.coalesce(table[f"_{name}"], table[name]) for name in names})
        table = table.drop(*(f"_{name}" for name in names))
    later = (table["discharge_date"] > cut.date()).fill_null(False)
    still_open = later | (table["discharge_date"].isnull() & has_calendar)
    return table.mutate(_later=later, **{name: still_open.ifelse(None, table[name]) for name in END})


def use_discharges(discharges, chains, cut: pd.Timestamp, ledger: Ledger) -> None:
    """Count the discharges of episodes in the facts; set the others aside."""
    if discharges is None:
        return
    rows = engine.looked_up(discharges, chains, "episode", _merged="merged")
    later, known = rows["discharge_date"] > cut.date(), rows["_merged"].notnull()
    rows = rows.mutate(_later=later, _known=known)
    aside = engine.fetch(rows.filter(later | ~known).select("_at", "_file", "_row", "_later").order_by("_at"))
    ledger.set_aside(LEFT_OUT, "discharges", aside[aside["_later"]], "after the data cut")
    ledger.set_aside(LEFT_OUT, "discharges", aside[~aside["_later"]], "its episode is not in the facts")
    ledger.use_counts("discharges", engine.by_file(rows.filter(~later & known)))
