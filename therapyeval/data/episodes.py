"""Episodes of care: effective end, merging of re-opened ones, and one row of facts for each.

Source: metric definitions, section 0; data model, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger

COUNTED = ("attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "rescheduled", "booked")
LAST = ("end_date", "closed_admin", "discharge_date", "reason", "disposition", "goals_met_pct")
DATES = ("start_date", "end_date", "discharge_date", "first_visit_date", "last_visit_date")


@dataclass(frozen=True)
class Rules:
    """What the roll-up needs to know beside the rows. Days, inclusive; `cut` is the last day used."""

    cut: pd.Timestamp
    has_calendar: bool
    reopen_gap_days: int = 30
    stale_days: int = 60


def source_episodes(connection, episodes: pd.DataFrame, visits, rules: Rules):
    """Every counted source episode with its visits and effective end, stored as `source_episodes`.

    Parameters
    ----------
    episodes : episode, patient, discipline, body_region, start_date, discharge_date, ...
    visits : Ibis table of visits: episode, date, status, is_visit, is_evaluation

    Effective end: the discharge; else the last attended visit where that is `stale_days` before the data cut and
    nothing is booked after it (`closed_admin`); else none.
    """
    import ibis

    cut, table = rules.cut.date(), engine.load(connection, "episodes_in", episodes)
    seen = visits.filter(visits.episode.notnull())
    is_visit = seen.is_visit & (seen.date <= cut)
    dates = seen.group_by("episode").aggregate(
        first_visit_date=seen.date.min(where=is_visit), last_visit_date=seen.date.max(where=is_visit),
        first_eval=seen.date.min(where=is_visit & seen.is_evaluation),
        n_future=((seen.status == "booked") & (seen.date > cut)).sum())
    table = table.left_join(dates, "episode").drop("episode_right")
    stale = (table.discharge_date.isnull() & (table.n_future.fill_null(0) == 0)
             & (ibis.literal(cut).delta(table.last_visit_date, unit="day") >= rules.stale_days)).fill_null(False)
    start = ibis.coalesce(table.start_date, table.first_eval, table.first_visit_date)
    table = table.mutate(start_date=start, closed_admin=stale, first_eval=ibis.coalesce(table.first_eval, start),
                         end_date=ibis.ifelse(stale, table.last_visit_date, table.discharge_date))
    return engine.keep(connection, "source_episodes", table)


def set_aside_episodes(connection, table, frame: pd.DataFrame, rules: Rules, ledger: Ledger):
    """Episodes without a start, or of impossible length, go to quarantine; those after the data cut are left out."""
    days = table.days.fill_null(table.end_date.delta(table.start_date, unit="day"))
    no_start = table.start_date.isnull() & rules.has_calendar
    state = engine.fetch(table.select("row", no_start=no_start, derived=table.start_derived & rules.has_calendar,
                                      later=(table.start_date > rules.cut.date()).fill_null(False),
                                      backward=(days < 0).fill_null(False),
                                      long=(days > schema.MAX_DAYS).fill_null(False))).set_index("row")
    later = state["later"] & ~state["no_start"]
    keep = ~(state["no_start"] | later | state["backward"] | state["long"])
    for fate, mask, reason in (
            (QUARANTINED, state["no_start"], "no start_date"),
            (LEFT_OUT, later, "starts after the data cut"),
            (QUARANTINED, state["backward"] & ~later, "ends before it starts"),
            (QUARANTINED, state["long"] & ~later, f"longer than {schema.MAX_DAYS} days")):
        ledger.set_aside(fate, "episodes", frame.loc[state.index[mask]], reason)
    ledger.problem("note", "episodes", frame.loc[state.index[state["derived"] & keep]],
                   "no start_date; the first attended evaluation or visit is taken")
    lost = state.index[~keep].tolist()
    return engine.keep(connection, "source_episodes_used", table.filter(table.row.notin(lost))) if lost else table


def merged_episodes(connection, table, rules: Rules):
    """The table with `merged`: the first episode of the chain that each belongs to.

    A chain is a run of episodes of one patient x discipline x region in which each starts at most
    `reopen_gap_days` after the latest end before it; an open episode has no end, so what starts in it joins it.
    """
    import ibis

    table = table.mutate(until=table.end_date.fill_null(ibis.date(schema.NEWEST)))
    if not rules.has_calendar:
        return engine.keep(connection, "chains", table.mutate(merged=table.episode))
    same = ["patient", "discipline", "body_region"]
    ordered = {"group_by": same, "order_by": ["start_date", "episode"]}
    table = table.mutate(so_far=table.until.max().over(ibis.cumulative_window(**ordered)))
    table = table.mutate(before=table.so_far.lag().over(ibis.window(**ordered)))
    is_new = table.before.isnull() | (table.start_date.delta(table.before, unit="day") > rules.reopen_gap_days)
    table = table.mutate(is_new=is_new.cast("int32"))
    table = table.mutate(chain=table.is_new.sum().over(ibis.cumulative_window(**ordered)))
    first = ibis.window(group_by=[*same, "chain"], order_by=["start_date", "episode"])
    return engine.keep(connection, "chains", table.mutate(merged=table.episode.first().over(first)))


def episode_facts(chains, visits, describe: list[str], rules: Rules) -> pd.DataFrame:
    """One row per merged episode: description of the first source, end and reason of the last, all visits.

    Planned visits are added up, missing where one source does not say; a source that is open is the last.
    """
    import ibis

    last = ibis.window(group_by="merged", order_by=[ibis.desc("until"), ibis.desc("start_date"), ibis.desc("episode")])
    ends = chains.mutate(position=ibis.row_number().over(last)).filter(ibis._.position == 0).select("merged", *LAST)
    sums = chains.group_by("merged").aggregate(
        first_visit_date=chains.first_visit_date.min(), last_visit_date=chains.last_visit_date.max(),
        n_merged=chains.count() - 1,
        planned_visits=ibis.ifelse(chains.planned_visits.count() == chains.count(), chains.planned_visits.sum(), None))
    first = chains.filter(chains.episode == chains.merged).select("episode", "patient", *describe, "start_date", "days")
    facts = first.join(ends, first.episode == ends.merged).drop("merged")
    facts = facts.join(sums, facts.episode == sums.merged).drop("merged")
    if visits is not None:
        facts = facts.left_join(_visit_counts(chains, visits, rules), "episode").drop("episode_right")
    days = ibis.coalesce(facts.days, facts.end_date.delta(facts.start_date, unit="day").cast("float64"))
    return _typed(engine.fetch(facts.mutate(days=days).order_by("episode")), has_visits=visits is not None)


def _visit_counts(chains, visits, rules: Rules):
    """Visits by status; only bookings count after the data cut."""
    cut = rules.cut.date()
    mine = visits.join(chains.select("episode", "merged"), "episode")
    mine = mine.filter((mine.date <= cut) | (mine.status == "booked"))
    counts = {f"n_{status}": (mine.status == status).sum() for status in COUNTED if status != "attended"}
    minutes = mine.minutes.sum(where=mine.is_visit)
    n_without = (mine.is_visit & mine.minutes.isnull()).sum()
    return mine.group_by("merged").aggregate(n_attended=mine.is_visit.sum(), **counts,
                                             minutes=(n_without == 0).ifelse(minutes, None)).rename(episode="merged")


def _typed(facts: pd.DataFrame, *, has_visits: bool) -> pd.DataFrame:
    for status in COUNTED:
        name = f"n_{status}"
        facts[name] = facts[name].fillna(0).astype("float64") if has_visits else float("nan")
    if not has_visits:
        facts["minutes"] = float("nan")
    for name in ("days", "goals_met_pct", "planned_visits", "minutes"):
        facts[name] = facts[name].astype("float64")
    for name in DATES:
        facts[name] = facts[name].astype("datetime64[s]")
    for name in ("episode", "patient", "n_merged"):
        facts[name] = facts[name].astype("int32")
    return facts.assign(closed_admin=facts["closed_admin"].astype(bool))


def count_merged(chains, frame: pd.DataFrame, ledger: Ledger) -> pd.Series:
    """Count the merged source episodes; the merged episode of every source episode in the facts."""
    links = engine.fetch(chains.select("row", "episode", "merged")).astype({"episode": "int32", "merged": "int32"})
    again = links.loc[links["episode"] != links["merged"], "row"]
    ledger.set_aside(MERGED, "episodes", frame.loc[again], "re-opened: merged into the episode before")
    return links.set_index("episode")["merged"]
