"""Checked tables to facts. Whatever does not reach the facts is set aside with its reason, and counted."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import numpy as np
import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data import engine, schema
from therapyeval.data.appointments import Appointments, make_appointments
from therapyeval.data.discharges import END, discharged, use_discharges
from therapyeval.data.enrollment import enrollment_facts, with_arm
from therapyeval.data.episodes import (
    Rules,
    count_merged,
    episode_facts,
    merged_episodes,
    set_aside_episodes,
    source_episodes,
)
from therapyeval.data.links import (
    Crosswalk,
    describing,
    differs,
    empty_frame,
    link_visits,
    looked_up,
    make_crosswalk,
    merged_episode,
    numbered,
    positions,
    with_absent,
)
from therapyeval.data.mapping import Mapping
from therapyeval.data.patients import with_patients
from therapyeval.data.quality import LEFT_OUT, QUARANTINED, Ledger
from therapyeval.data.referrals import no_referrals, referral_facts
from therapyeval.data.scores import no_scores, score_facts

NO_EPISODES = dict.fromkeys(("episode_id", "patient_id", "status", "_file"), "str") | {
    "_row": "int64", "episode": "Int32", "patient": "Int32"}
NO_VISITS = {"patient": "int32", "episode": "int32", "date": "datetime64[s]", "status": "str", "is_visit": "bool",
             "is_evaluation": "bool", "minutes": "float64"}
STALE_BOOKINGS = 0.05  # metric definitions, section 3: warn above


def roll_up(tables: MappingType[str, pd.DataFrame], mapping: Mapping, cut: pd.Timestamp | None,
            attributes: MappingType[str, list[str]], measures: MappingType[str, object],
            ledger: Ledger) -> tuple[Facts, Crosswalk]:
    """Facts of checked tables.

    Parameters
    ----------
    tables : as `check_table` gives them; visits as `described_visits` does
    cut : nothing after this day is used; None without any date
    attributes : declared columns by table
    ledger : counts what is used and what is set aside
    """
    connection, crosswalk = engine.connect(), make_crosswalk(tables)
    tables = {name: numbered(frame, crosswalk) for name, frame in tables.items()}
    for name in ("patients", "sites", "staff"):
        if name in tables:
            ledger.use(name, tables[name])
    has_visits = "visits" in tables
    source = tables.get("episodes", empty_frame(**NO_EPISODES))
    visits = _visits(connection, tables, source, cut, attributes.get("visits", []), ledger)
    has_calendar = has_visits or ("start_date" in source and bool(source["start_date"].notna().any()))
    rules = Rules(pd.Timestamp(schema.NEWEST) if cut is None else cut, has_calendar, mapping.reopen_gap_days,
                  mapping.stale_days)
    episodes, chains, merged = _episodes(connection, tables, source, visits, rules, attributes, ledger)
    enrollment = enrollment_facts(tables.get("enrollment"), episodes, merged, rules.cut, ledger)
    episodes = with_arm(episodes, enrollment)
    scores = _scores(connection, tables.get("assessments"), episodes, merged, rules, mapping, measures, ledger)
    referrals = _referrals(connection, tables.get("referrals"), episodes, chains, rules, attributes, ledger)
    appointments = _appointments(connection, visits, episodes, merged, rules) if has_visits else None
    return Facts(episodes=episodes, scores=scores, referrals=referrals, measures=measures, enrollment=enrollment,
                 appointments=appointments, timepoint_rule=mapping.timepoint_rule, has_calendar=has_calendar,
                 data_cut=cut, min_visits=mapping.min_visits), crosswalk


def _visits(connection, tables: MappingType[str, pd.DataFrame], episodes: pd.DataFrame, cut: pd.Timestamp | None,
            declared: list[str], ledger: Ledger):
    """The visits in the engine: numbers, date, status, minutes, description."""
    if "visits" not in tables:
        return engine.load(connection, "visits", empty_frame(**NO_VISITS))
    visits = link_visits(tables["visits"], episodes, ledger)
    never = visits["status"].isin(("deleted", "entered_in_error"))
    ledger.set_aside(LEFT_OUT, "visits", visits[never], "status deleted or entered_in_error")
    visits = visits[~never]
    past = visits["date"] <= (visits["date"].max() if cut is None else cut)
    stale = visits[past & (visits["status"] == "booked")]
    ledger.problem("warning" if len(stale) > STALE_BOOKINGS * past.sum() else "note", "visits", stale,
                   "still booked although the day is past; counted as missing", "Enter what became of them.")
    ledger.use("visits", visits)
    if "charges" in tables:
        known = tables["charges"]["visit_id"].isin(visits["visit_id"])
        ledger.set_aside(LEFT_OUT, "charges", tables["charges"][~known], "its visit is not in the facts")
        ledger.use("charges", tables["charges"][known])
    own = describing(visits, (*schema.DESCRIBE_VISIT, "staff", "lead_days"), declared)
    given = with_absent(visits, billable="str", visit_type="str")
    is_visit = (given["status"] == "attended") & (given["billable"] != "no").fillna(True)
    frame = visits[["patient", "episode", "date", "status", "minutes", *own]].assign(
        is_visit=is_visit, is_evaluation=is_visit & (given["visit_type"].str.casefold() == "evaluation").fillna(False))
    return engine.load(connection, "visits", frame)


def _episodes(connection, tables: MappingType[str, pd.DataFrame], source: pd.DataFrame, visits, rules: Rules,
              attributes: MappingType[str, list[str]], ledger: Ledger):
    """Facts about episodes, the source episodes in the engine, and the merged episode of each source episode."""
    never = source["status"].isin(schema.NEVER_COUNTED)
    ledger.set_aside(LEFT_OUT, "episodes", source[never], f"status {', '.join(schema.NEVER_COUNTED)}")
    source = discharged(source[~never].reset_index(drop=True), tables.get("discharges"), rules.cut,
                        has_calendar=rules.has_calendar, ledger=ledger)
    describe = describing(source, schema.DESCRIBE_EPISODE, attributes.get("episodes", ()))
    table = source_episodes(connection, _for_engine(source, tables.get("referrals"), describe), visits, rules)
    table = set_aside_episodes(connection, table, source, rules, ledger)
    chains = merged_episodes(connection, table, rules)
    merged = count_merged(chains, source, ledger)
    facts = episode_facts(chains, visits if "visits" in tables else None, describe, rules)
    ledger.use("episodes", source.set_index("episode").loc[facts["episode"]])
    use_discharges(tables.get("discharges"), merged.index, rules.cut, ledger)
    facts = with_patients(facts, tables.get("patients"), attributes.get("patients", []), rules.cut, ledger)
    return facts, chains, merged


def _for_engine(source: pd.DataFrame, referrals: pd.DataFrame | None, describe: list[str]) -> pd.DataFrame:
    """The columns of source episodes that the engine needs; those that are absent as missing."""
    frame = with_absent(source, start_date="datetime64[s]", discipline="str", body_region="str", referral="Int32",
                        planned_visits="float64", days="float64")
    if referrals is not None and "referral_id" in frame:
        frame["referral"] = positions(pd.Index(referrals["referral_id"]), frame["referral_id"])
    names = ("episode", "patient", "referral", "discipline", "body_region", "start_date", *END, "planned_visits",
             "days")
    return frame[list(dict.fromkeys((*names, *describe)))].assign(row=np.arange(len(frame)),
                                                                  start_derived=frame["start_date"].isna())


def _scores(connection, rows: pd.DataFrame | None, episodes: pd.DataFrame, merged: pd.Series, rules: Rules,
            mapping: Mapping, measures: MappingType[str, object], ledger: Ledger) -> pd.DataFrame:
    """Facts about scores; assessments that no fact can use are set aside."""
    if rows is None:
        return no_scores()
    later = rows["date"] > rules.cut
    ledger.set_aside(LEFT_OUT, "assessments", rows[later], "after the data cut")
    rows = rows[~later]
    episode = merged_episode(rows, episodes, merged)
    other = differs(looked_up(episode, episodes.set_index("episode")["patient"]), rows["patient"])
    ledger.set_aside(QUARANTINED, "assessments", rows[other], "patient_id is not that of its episode")
    ledger.set_aside(LEFT_OUT, "assessments", rows[episode.isna()], "its episode is not in the facts")
    rows = rows.assign(episode=episode)[episode.notna() & ~other].reset_index(drop=True)
    return score_facts(connection, rows, episodes, mapping.timepoint_rule, measures, mapping.measure_set, ledger)


def _referrals(connection, rows: pd.DataFrame | None, episodes: pd.DataFrame, chains, rules: Rules,
               attributes: MappingType[str, list[str]], ledger: Ledger) -> pd.DataFrame:
    """Facts about referrals, described by their own columns, else by those of the linked episode."""
    if rows is None:
        return no_referrals()
    rows = with_absent(rows, discipline="str", status="str", closed_date="datetime64[s]").assign(
        referral=np.arange(len(rows), dtype="int32"))
    describe = describing(rows, schema.DESCRIBE_REFERRAL, attributes.get("referrals", ()))
    facts = referral_facts(connection, rows, chains, rules.cut, describe, ledger)
    by_episode = episodes.set_index("episode")
    linked = {name: looked_up(facts["episode"], by_episode[name]) for name in _attributes(episodes)}
    return facts.assign(**{name: facts[name].fillna(values) if name in facts else values
                           for name, values in linked.items()})


def _appointments(connection, visits, episodes: pd.DataFrame, merged: pd.Series, rules: Rules) -> Appointments:
    """Appointments with the attributes of their episodes, kept in the engine."""
    links = engine.load(connection, "links", merged.rename("merged").rename_axis("episode").reset_index())
    joined = visits.left_join(links, "episode")
    rows = joined.mutate(episode=joined.merged).drop("merged", "episode_right")
    return make_appointments(connection, rows, episodes, _attributes(episodes), rules.cut)


def _attributes(episodes: pd.DataFrame) -> list[str]:
    return [name for name in episodes if name == "arm" or name not in schema.FACT_NAMES]
