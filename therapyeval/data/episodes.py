"""Episodes of care: effective end, merging of re-opened ones, and one row of facts for each.

Source: metric definitions, section 0; data model, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger

NO_START, LATER = "no start_date", "starts after the data cut"
REOPENED = "re-opened: merged into the episode before"
TRANSFERRED = "transferred to another site: merged into the episode that it goes on, at the site where that began"
BACKWARD, LONG = "ends before it starts", f"longer than {schema.MAX_DAYS} days"
COUNTED = ("attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "rescheduled", "booked")
COUNTS = tuple(f"n_{status}" for status in COUNTED)
SAME = ["patient", "discipline", "body_region"]  # what makes two episodes one line of care
LAST = ("end_date", "closed_admin", "discharge_date", "reason", "disposition", "goals_met_pct")
DATES = ("start_date", "end_date", "discharge_date", "first_visit_date", "last_visit_date")


@dataclass(frozen=True)
class Rules:
    """What the roll-up needs to know beside the rows. Days, inclusive; `cut` is the last day used."""

    cut: pd.Timestamp
    has_calendar: bool
    reopen_gap_days: int = 30
    stale_days: int = 60


def source_episodes(connection, episodes, visits, rules: Rules):
    """Every counted source episode with its visits and effective end, stored as `source_episodes`.

    Parameters
    ----------
    episodes : Ibis table: episode, patient, discipline, body_region, start_date, discharge_date, ...
    visits : Ibis table of visits: episode, date, status, is_visit, is_evaluation

    Effective end: the discharge; else the last attended visit where that is `stale_days` before the data cut and
    nothing is booked after it (`closed_admin`); else none.
    """
    import ibis

    cut, table = rules.cut.date(), episodes
    seen = _of_visits(visits, rules)
    table = engine.looked_up(table, seen, "episode", **{name: name for name in seen.columns if name != "episode"})
    stale = (table.discharge_date.isnull() & (table.n_future.fill_null(0) == 0)
             & (ibis.literal(cut).delta(table.last_visit_date, unit="day") >= rules.stale_days)).fill_null(False)
    start = ibis.coalesce(table.start_date, table.first_eval, table.first_visit_date)
    table = engine.with_absent(table, is_derived="boolean")
    table = table.mutate(start_date=start, closed_admin=stale, first_eval=ibis.coalesce(table.first_eval, start),
                         is_derived=table.is_derived.fill_null(False),
                         end_date=ibis.ifelse(stale, table.last_visit_date, table.discharge_date),
                         _derived=table.start_date.isnull())
    days = table.days.fill_null(table.end_date.delta(table.start_date, unit="day"))
    state = ibis.cases((table.start_date.isnull() & rules.has_calendar, NO_START), (table.start_date > cut, LATER),
                       (days < 0, BACKWARD), (days > schema.MAX_DAYS, LONG), else_=None)
    return engine.keep(connection, "source_episodes", table.mutate(_state=state))


def _of_visits(visits, rules: Rules):
    """First and last dates, visits by status and minutes of each source episode; only bookings count after the cut."""
    cut = rules.cut.date()
    seen = visits.filter(visits.episode.notnull())
    past = seen.date <= cut
    is_visit = seen.is_visit & past
    counts = {f"n_{status}": seen.count(where=(seen.status == status) & ((status == "booked") | past))
              for status in COUNTED if status != "attended"}
    return seen.group_by("episode").aggregate(
        first_visit_date=seen.date.min(where=is_visit), last_visit_date=seen.date.max(where=is_visit),
        first_eval=seen.date.min(where=is_visit & seen.is_evaluation),
        n_future=seen.count(where=(seen.status == "booked") & ~past), n_attended=seen.count(where=is_visit), **counts,
        minutes=seen.minutes.sum(where=is_visit), n_unknown=seen.count(where=is_visit & seen.minutes.isnull()))


def set_aside_episodes(table, rules: Rules, ledger: Ledger):
    """Episodes without a start, or of impossible length, go to quarantine; those after the data cut are left out."""
    derived = table["_derived"] & rules.has_calendar
    flags = table.filter(table["_state"].notnull() | derived | table["_later"] | table["closed_admin"])
    flags = engine.fetch(flags.select("_at", "_file", "_row", "_state", "_derived", "_later", "closed_admin")
                         .order_by("_at"))
    ledger.problem("note", "episodes", flags[flags["_later"]], "discharged after the data cut; open")
    ledger.problem("note", "episodes", flags[flags["closed_admin"] & flags["_state"].isna()],
                   "no discharge, and the last visit is long ago; closed at that visit (closed_admin)",
                   "Enter the discharge.")
    for fate, reason in ((QUARANTINED, NO_START), (LEFT_OUT, LATER), (QUARANTINED, BACKWARD), (QUARANTINED, LONG)):
        ledger.set_aside(fate, "episodes", flags[flags["_state"] == reason], reason)
    if rules.has_calendar:
        ledger.problem("note", "episodes", flags[flags["_derived"] & flags["_state"].isna()],
                       "no start_date; the first attended evaluation or visit is taken")
    return table.filter(table["_state"].isnull()) if flags["_state"].notna().any() else table


def merged_episodes(connection, table, rules: Rules):
    """The table with `merged`, the first episode of the chain that each belongs to, and `n_chain`, its length.

    A chain is a run of episodes of one patient x discipline x region in which each starts at most
    `reopen_gap_days` after the latest end before it; an open episode has no end, so what starts in it joins it.
    Its first episode is one of the source, where it has one, before any that was derived from visits.
    """
    import ibis

    table = table.mutate(until=table.end_date.fill_null(ibis.date(schema.NEWEST)))
    if not rules.has_calendar:
        return engine.view(connection, "chains", table.mutate(merged=table.episode, n_chain=1))
    same = [name for name in (*SAME, "section") if name in table.columns]
    ordered = {"group_by": same, "order_by": ["start_date", "episode"]}
    before = table.until.max().over(ibis.window(**ordered, preceding=(None, 1), following=None))
    is_new = before.isnull() | (table.start_date.delta(before, unit="day") > rules.reopen_gap_days)
    table = engine.keep(connection, "ordered_episodes", table.mutate(is_new=is_new.cast("int32")))
    again = table.filter(table.is_new == 0).select("patient").distinct()  # few patients: only they need numbering
    rows = table.semi_join(again, "patient").select("episode", *same, "start_date", "is_new", "is_derived")
    rows = rows.mutate(chain=rows.is_new.sum().over(ibis.cumulative_window(**ordered)))
    chain = {"group_by": [*same, "chain"]}
    rows = engine.keep(connection, "reopened_episodes", rows.mutate(
        first=rows.episode.first().over(ibis.window(**chain, order_by=["is_derived", "start_date", "episode"])),
        n=rows.count().over(ibis.window(**chain))).filter(ibis._.n > 1).select("episode", "first", "n"))
    table = engine.looked_up(table.drop("is_new"), rows, "episode", merged="first", n_chain="n")
    return engine.view(connection, "chains", table.mutate(merged=table.merged.fill_null(table.episode),
                                                          n_chain=table.n_chain.fill_null(1)))


def episode_facts(connection, chains, describe: list[str], *, has_visits: bool) -> pd.DataFrame:
    """One row per merged episode: description of the first source, end and reason of the last, all visits.

    Planned visits are added up, missing where one source does not say; a source that is open is the last.
    """
    import ibis

    minutes = (chains.n_unknown.fill_null(0) == 0).ifelse(chains.minutes, None)
    alone = chains.mutate(n_merged=ibis.literal(0, "int64"), minutes=minutes).filter(chains.n_chain == 1)
    columns = ("episode", "patient", *describe, "start_date", "days", *LAST, "first_visit_date", "last_visit_date",
               "n_merged", "planned_visits", *COUNTS, "minutes")
    types = alone.select(*columns).schema()
    reopened = _reopened(chains.filter(chains.n_chain > 1), describe).select(*columns).cast(dict(types))
    facts = alone.select(*columns).union(reopened)
    days = ibis.coalesce(facts.days, facts.end_date.delta(facts.start_date, unit="day").cast("float64"))
    rows = engine.fetch_by_column(connection, facts.mutate(days=days).order_by("episode"))
    return _typed(rows, has_visits=has_visits)


def _reopened(chains, describe: list[str]):
    """One row for each chain of several episodes."""
    import ibis

    last = ibis.window(group_by="merged", order_by=[ibis.desc("until"), ibis.desc("start_date"), ibis.desc("episode")])
    ends = chains.mutate(position=ibis.row_number().over(last)).filter(ibis._.position == 0).select("merged", *LAST)
    sums = chains.group_by("merged").aggregate(
        first_visit_date=chains.first_visit_date.min(), last_visit_date=chains.last_visit_date.max(),
        n_merged=chains.count() - 1, **{name: chains[name].sum() for name in COUNTS},
        planned_visits=(chains.planned_visits.count() == (~chains.is_derived).sum()).ifelse(
            chains.planned_visits.sum(), None), start_date=chains.start_date.min(),
        minutes=(chains.n_unknown.sum().fill_null(0) == 0).ifelse(chains.minutes.sum(), None))
    first = chains.filter(chains.episode == chains.merged).select("episode", "patient", *describe, "days")
    facts = first.join(ends, first.episode == ends.merged).drop("merged")
    return facts.join(sums, facts.episode == sums.merged).drop("merged")


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


def count_merged(chains, ledger: Ledger) -> None:
    """Count the source episodes in the facts, and those merged into another."""
    import ibis

    moved = ibis.literal(False)
    again = engine.with_absent(chains.filter(chains.episode != chains.merged), site_id="string")
    if "site_id" in chains.columns:
        again = engine.looked_up(again, chains.select(merged="episode", begun="site_id"), "merged", begun="begun")
        moved = (again.begun != again.site_id).fill_null(False)
    again = engine.fetch(again.select("_at", "_file", "_row", moved=moved).order_by(["_file", "_at"]))
    ledger.set_aside(MERGED, "episodes", again[again["moved"]], TRANSFERRED)
    ledger.set_aside(MERGED, "episodes", again[~again["moved"]], REOPENED)
    ledger.use_counts("episodes", engine.by_file(chains.filter(chains.episode == chains.merged)))
