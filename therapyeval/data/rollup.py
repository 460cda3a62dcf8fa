"""Checked tables to facts. Whatever does not reach the facts is set aside with its reason, and counted."""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import pandas as pd

from therapyeval.cohort import Facts
from therapyeval.data import engine, schema
from therapyeval.data.appointments import Appointments, make_appointments
from therapyeval.data.authorizations import authorization_facts
from therapyeval.data.derived import TOLD, has_free, with_derived
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
from therapyeval.data.links import describing, empty_frame
from therapyeval.data.mapping import Mapping
from therapyeval.data.patients import with_patients
from therapyeval.data.plans import CERTIFIED, with_planned_visits, with_plans
from therapyeval.data.quality import LEFT_OUT, Ledger
from therapyeval.data.records import by_episode, episode_attributes, event_facts, goal_facts, response_facts
from therapyeval.data.referrals import no_referrals, numbered_referrals, referral_facts
from therapyeval.data.scores import no_scores, score_facts
from therapyeval.data.staffing import TIMES, availability_facts, staff_facts, week_facts, with_license
from therapyeval.data.stays import stay_facts, with_stay_scores
from therapyeval.data.visits import DIAGNOSIS, visit_facts, with_units

FURTHER = frozenset(("events", "satisfaction", "goals", "authorizations", "staff", "staff_hours",
                     "availability"))
NO_EPISODES = {"episode_id": "str", "patient_id": "str", "status": "str", "_at": "int64", "_file": "int16",
               "_row": "int64", "episode": "Int32", "patient": "Int32"}
NO_VISITS = {"patient": "int32", "episode": "int32", "date": "datetime64[s]", "status": "str", "is_visit": "bool",
             "is_evaluation": "bool", "minutes": "float64"}


def roll_up(connection, tables: MappingType[str, object], mapping: Mapping, cut: pd.Timestamp | None,
            attributes: MappingType[str, list[str]], measures: MappingType[str, object], ledger: Ledger) -> Facts:
    """Facts of checked tables.

    Parameters
    ----------
    tables : Ibis tables as `check_table` gives them, numbered; visits as `used_visits` gives them
    cut : nothing after this day is used; None without any date
    attributes : declared columns by table
    ledger : counts what is used and what is set aside
    """
    for name in ("patients", "sites", "staff"):
        if name in tables:
            ledger.use_counts(name, engine.by_file(tables[name]))
    visits = (visit_facts(tables["visits"], tables.get("charges"), cut, ledger) if "visits" in tables
              else engine.load(connection, "visits", empty_frame(**NO_VISITS)))
    source = tables["episodes"] if "episodes" in tables else engine.load(
        connection, "episodes_none", empty_frame(**NO_EPISODES))
    has_visits = "visits" in tables
    has_calendar = has_visits or ("start_date" in source.columns and _any(source.start_date.notnull()))
    rules = Rules(pd.Timestamp(schema.NEWEST) if cut is None else cut, has_calendar, mapping.reopen_gap_days,
                  mapping.stale_days)
    episodes, chains = _episodes(connection, tables, source, visits, rules, attributes, ledger)
    episodes = with_patients(episodes, tables.get("patients"), attributes.get("patients", []), rules.cut, ledger)
    enrollment = enrollment_facts(tables.get("enrollment"), episodes, chains, rules.cut, ledger)
    episodes = with_arm(episodes, enrollment)
    stays = stay_facts(tables.get("admissions"), rules.cut, attributes.get("admissions", []), ledger)
    tables, stay_scores = with_stay_scores(connection, tables, stays, rules.cut, measures, ledger)
    scores = (score_facts(connection, tables["assessments"], episodes, chains, rules.cut, mapping, measures, ledger)
              if "assessments" in tables else no_scores())
    referrals = _referrals(connection, tables.get("referrals"), episodes, chains, rules, attributes, ledger)
    appointments = (_appointments(connection, visits, tables.get("staff"), episodes, chains, rules)
                    if has_visits else None)
    further = _further(connection, tables, episodes, chains, visits, rules, attributes, ledger)
    if stays is not None:
        stays = with_patients(stays.drop(columns="stay_id"), tables.get("patients"), attributes.get("patients", []),
                              rules.cut, None)
    return Facts(episodes=episodes, scores=scores, referrals=referrals, measures=measures, enrollment=enrollment,
                 appointments=appointments, stays=stays, stay_scores=stay_scores, **further,
                 timepoint_rule=mapping.timepoint_rule, has_calendar=has_calendar, data_cut=cut,
                 min_visits=mapping.min_visits)


def _episodes(connection, tables: MappingType[str, object], source, visits, rules: Rules,
              attributes: MappingType[str, list[str]], ledger: Ledger):
    """Facts about episodes, and the source episodes in the engine, each with the episode that it is `merged` into."""
    never = source.status.isin(schema.NEVER_COUNTED)
    ledger.set_aside(LEFT_OUT, "episodes", engine.fetch(source.filter(never).select("_at", "_file", "_row")),
                     f"status {', '.join(schema.NEVER_COUNTED)}")
    source = discharged(source.filter(~never), tables.get("discharges"), rules.cut, has_calendar=rules.has_calendar)
    source = _with_referral(source, tables.get("referrals"))
    is_free = "visits" in tables and has_free(connection, rules.cut)
    added = [name for name in TOLD if is_free and name not in source.columns]
    if is_free:  # what a derived episode is described by
        source = engine.with_absent(source, **dict.fromkeys(TOLD, "string"))
    describe = describing(source.columns, schema.DESCRIBE_EPISODE, attributes.get("episodes", ()))
    source = engine.with_absent(source, start_date="date", discipline="string", body_region="string",
                                planned_visits="float64", days="float64")
    source = with_planned_visits(source, tables.get("authorizations"))
    certified = [name for name in CERTIFIED if name in source.columns]
    names = ("_at", "_file", "_row", "_later", "episode", "patient", "referral", "discipline", "body_region",
             "start_date", *END, "planned_visits", "planned_source", "days", *certified, *describe)
    source = engine.view(connection, "described_episodes", source.select(*dict.fromkeys(names)))
    if is_free:
        source = with_derived(connection, source, tables.get("staff"), rules.cut, rules.reopen_gap_days, ledger)
    table = source_episodes(connection, source, visits, rules)
    table = set_aside_episodes(table, rules, ledger)
    chains = merged_episodes(connection, table, rules)
    count_merged(chains, ledger)
    use_discharges(tables.get("discharges"), chains, rules.cut, ledger)
    facts = with_plans(episode_facts(connection, chains, describe, has_visits="visits" in tables), chains)
    facts = facts.drop(columns=[name for name in added if facts[name].isna().all()])  # nobody said it
    return with_units(facts, visits, chains, rules.cut), chains


def _with_referral(source, referrals):
    """Episodes with the number of their referral, where it is one of the same patient."""
    import ibis

    if referrals is None or "referral_id" not in source.columns:
        return source.mutate(referral=ibis.null("int32"))
    source = engine.looked_up(source, numbered_referrals(referrals), "referral_id", referral="referral", _of="patient")
    return source.mutate(referral=(source["_of"] == source.patient).ifelse(source.referral, None)).drop("_of")


def _referrals(connection, rows, episodes: pd.DataFrame, chains, rules: Rules,
               attributes: MappingType[str, list[str]], ledger: Ledger) -> pd.DataFrame:
    """Facts about referrals, described by their own columns, else by those of the linked episode."""
    if rows is None:
        return no_referrals()
    rows = engine.with_absent(numbered_referrals(rows), discipline="string", status="string", closed_date="date")
    describe = describing(rows.columns, schema.DESCRIBE_REFERRAL, attributes.get("referrals", ()))
    facts = referral_facts(rows, chains, rules.cut, describe, ledger)
    return by_episode(facts, episodes)


def _appointments(connection, visits, staff, episodes: pd.DataFrame, chains, rules: Rules) -> Appointments:
    """Appointments with the attributes of their episodes, in the engine."""
    names = episode_attributes(episodes)
    described = engine.load(connection, "episode_attributes", episodes[["episode", *names]])
    links = chains.select("episode", "merged").join(described.rename(merged="episode"), "merged")
    drop = [name for name in ("_file", "_row", "_odd", "visit_id", DIAGNOSIS, *TIMES) if name in visits.columns]
    visits = with_license(visits.drop(*drop), staff)
    return make_appointments(connection, visits, engine.keep(connection, "episode_links", links), names, rules.cut)


def _further(connection, tables: MappingType[str, object], episodes: pd.DataFrame, chains, visits, rules: Rules,
             attributes: MappingType[str, list[str]], ledger: Ledger) -> dict[str, pd.DataFrame | None]:
    """Facts that few data have, by name; None where there is no table."""
    if not FURTHER & set(tables):
        return {}
    merged = engine.fetch(chains.select("episode", "merged")).set_index("episode")["merged"]
    declared = {name: attributes.get(name, []) for name in FURTHER}
    authorizations, used = authorization_facts(tables.get("authorizations"), visits, episodes, merged, rules.cut,
                                               declared["authorizations"], ledger)
    staff = staff_facts(tables.get("staff"), declared["staff"])
    return {
        "staff": staff, "staff_weeks": week_facts(tables.get("staff_hours"), visits, staff, rules.cut, ledger),
        "availability": availability_facts(tables.get("availability"), visits, staff, rules.cut, ledger),
        "authorizations": authorizations, "authorization_visits": used,
        "events": event_facts(tables.get("events"), episodes, merged, rules.cut, declared["events"], ledger),
        "responses": response_facts(tables.get("satisfaction"), episodes, merged, rules.cut, declared["satisfaction"],
                                    ledger),
        "goals": goal_facts(tables.get("goals"), episodes, merged, rules.cut, ledger),
    }


def _any(condition) -> bool:
    return bool(condition.any().to_pyarrow().as_py())
