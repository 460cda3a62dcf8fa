"""A synthetic rehab network, "Harbor Rehab", with a pilot study inside it and the truth beside it.

Nothing in it comes from real people. The same seed gives the same bytes (with the same versions of numpy,
pandas and pyarrow). What is true of the data is in `truth.json`, so that every metric can be checked.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.care import (
    choose_staff,
    draw_care,
    draw_referrals,
    missed_evaluations,
)
from therapyeval.data.synthetic.files import OPEN, TableFiles
from therapyeval.data.synthetic.flaws import plant_faults, spoil_scores
from therapyeval.data.synthetic.messy import MessyFiles
from therapyeval.data.synthetic.network import (
    CASES,
    SHARES,
    build_staff,
    draw_episodes,
    first_episodes,
    later_episodes,
    parallel_episodes,
)
from therapyeval.data.synthetic.pilot import run_pilot
from therapyeval.data.synthetic.plan import CUT, SITES, Plan
from therapyeval.data.synthetic.scores import draw_assessments
from therapyeval.data.synthetic.tables import (
    assessment_table,
    discharge_table,
    enrollment_table,
    episode_table,
    make_labels,
    patient_table,
    referral_table,
    site_table,
    staff_table,
    visit_table,
)
from therapyeval.data.synthetic.tally import Tally, tally_block
from therapyeval.data.synthetic.text import write_messy_texts, write_texts
from therapyeval.data.synthetic.truth import describe_truth
from therapyeval.errors import ParameterError, did_you_mean

FORMATS = (*OPEN, "messy")
PER_SITE = 100          # episodes at least, where there are more sites than the known ones


def write_sample(path: str | Path, *, seed: int = 20260930, n_sites: int = 8, n_episodes: int = 18_000,
                 months: int = 27, file_format: str = "parquet") -> dict:
    """Write the sample (tables, mapping.yml, pilot.yml, truth.json, README.md) and return the truth.

    Memory stays below 1 GB whatever the size: people are drawn and written in blocks of 20,000 episodes.

    Parameters
    ----------
    path : folder, made where it does not exist; files of the same names are replaced
    n_sites : at least 4; the pilot runs at the first four, or at a quarter of them. With more than eight, text
        reminders begin at every eighth, and `truth["reminders"]` says what they truly did
    n_episodes : rows of the episodes table before faults are planted: at least 500, and 100 for each site where
        there are more than eight
    months : length of the data, which always end on 2026-09-30; at least 9, so that the pilot lies inside
    file_format : parquet, csv, or messy: exports of three vendors (`scheduler`, `warehouse`, `redcap`) with the
        same data in each, and their mappings and truth.json aside in the folder `truth`

    Raises
    ------
    ParameterError
        Where a size is outside these limits, the seed is negative, or the format is another.
    """
    if file_format not in FORMATS:
        raise ParameterError(f"a sample cannot be written as {file_format[:40]!r}.{did_you_mean(file_format, FORMATS)}")
    plan = make_plan(seed, n_sites, n_episodes, months)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    staff, total, columns = build_staff(plan), Tally(), {}
    with open_files(folder, file_format) as files:
        for block in plan.blocks():
            tables, planted, tally = build_block(block, staff)
            files.write(tables)
            total.add(tally)
            columns = columns or {name: list(table) for name, table in tables.items()}
    truth = describe_truth(plan, total, planted)
    if file_format == "messy":
        write_messy_texts(folder, truth, n_pilot_sites=plan.n_pilot_sites, columns=columns)
    else:
        write_texts(folder, truth, n_pilot_sites=plan.n_pilot_sites, ending=file_format)
    return truth


def open_files(folder: Path, file_format: str) -> AbstractContextManager:
    """What takes the tables block by block."""
    return nullcontext(MessyFiles(folder)) if file_format == "messy" else TableFiles(folder, file_format)


def make_plan(seed: int, n_sites: int, n_episodes: int, months: int) -> Plan:
    """The plan, if the sizes are possible."""
    least = 500 if n_sites <= len(SITES) else PER_SITE * n_sites
    for name, value, limit in (("sites", n_sites, 4), ("episodes", n_episodes, least), ("months", months, 9),
                               ("seed", seed, 0)):
        if value < limit:
            raise ParameterError(f"a sample with {n_sites} sites needs {name} of at least {limit:,}, not {value:,}.")
    first = (np.datetime64(CUT, "M") + 1 - months).astype("M8[D]")
    return Plan(seed=seed, n_sites=n_sites, n_episodes=n_episodes, first=first)


def build_block(plan: Plan, staff: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict, Tally]:
    """The tables of a block (the first also has sites and staff), the faults planted, and all counts."""
    episodes, patients, slots, log = build_care(plan)
    referrals, people = draw_referrals(plan, episodes, len(patients))
    referrals = referrals.sort_values("received_date", kind="stable", ignore_index=True)
    patients = pd.concat([patients, people], ignore_index=True)
    assessments = draw_assessments(plan, episodes)
    uncounted = uncounted_episodes(plan, episodes, referrals, patients)
    episodes = pd.concat([episodes, uncounted], ignore_index=True)
    visits = pd.concat([slots, missed_evaluations(plan, referrals)], ignore_index=True)
    lead, clinician = choose_staff(plan, staff, episodes, visits)
    episodes, visits = episodes.assign(lead=lead), visits.assign(staff=clinician)

    labels = make_labels(plan, len(patients), episodes, len(staff))
    referred = referral_table(plan, referrals, labels)
    received, referral_id = referral_of_episode(referrals, referred, len(episodes))
    log = log.assign(episode_id=labels.episode[log["episode"]])
    scores, spoiled = spoil_scores(
        plan, assessment_table(plan, assessments, episodes, labels), log["episode_id"])
    whole = {"staff": staff_table(staff, labels), "sites": site_table(plan)} if plan.block == 0 else {}
    clean = {
        "patients": patient_table(patients, episodes, labels), "referrals": referred,
        "episodes": episode_table(plan, episodes, referral_id, labels),
        "visits": visit_table(plan, visits, received, labels), "assessments": scores,
        "discharges": discharge_table(plan, episodes, labels), **whole,
        "enrollment": enrollment_table(log, labels)}
    tables, faults = plant_faults(plan, clean)
    planted = spoiled | faults
    return tables, planted, tally_block(plan, clean, tables, planted, log, slots)


def referral_of_episode(referrals: pd.DataFrame, table: pd.DataFrame,
                        n: int) -> tuple[np.ndarray, np.ndarray]:
    """Day received and id of each episode's referral; both missing where there is none."""
    linked = (referrals["episode"] >= 0).to_numpy()
    rows = table[linked].set_index(referrals["episode"][linked]).reindex(range(n))
    return rows["received_date"].to_numpy().astype("M8[D]"), rows["referral_id"].to_numpy()


def build_care(plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Episodes with their courses, the patients, the appointments and the pilot's log."""
    extra = sum(plan.count(share) for share in SHARES.values())
    episodes, patients = first_episodes(plan, plan.n_episodes - extra)
    episodes = pd.concat([episodes, parallel_episodes(plan, episodes, patients)], ignore_index=True)
    episodes, log = run_pilot(plan, episodes)
    alone = ~episodes["patient"].duplicated(keep=False).to_numpy()
    episodes, slots = draw_care(plan, "first care", episodes, patients, alone)
    later = later_episodes(plan, episodes, patients).assign(arm="", in_pilot=False)
    later, later_slots = draw_care(plan, "later care", later, patients, np.zeros(len(later), dtype=bool))
    later_slots["episode"] += len(episodes)
    return (pd.concat([episodes, later], ignore_index=True), patients,
            pd.concat([slots, later_slots], ignore_index=True), log)


def uncounted_episodes(plan: Plan, episodes: pd.DataFrame, referrals: pd.DataFrame,
                       patients: pd.DataFrame) -> pd.DataFrame:
    """Episodes that no metric counts: planned and waiting ones, cancelled ones, and some entered in error."""
    rng = plan.generator("never counted")
    n = plan.count(SHARES["never_counted"])
    waits = np.flatnonzero((referrals["status"] == "scheduled") & (referrals["episode"] < 0))[:n // 3]
    refused = np.flatnonzero(referrals["status"] == "declined")[:n // 3]
    wrong = rng.permutation(len(episodes))[:n - len(waits) - len(refused)]
    people = pd.concat([referrals.iloc[waits], referrals.iloc[refused]], ignore_index=True)
    start = people["start_date"].fillna(people["received_date"] + pd.Timedelta(days=7))
    drawn = pd.concat([people.assign(start_date=start)[["patient", "case", "site", "start_date"]],
                       episodes.iloc[wrong][["patient", "case", "site", "start_date"]]], ignore_index=True)
    status = ["planned", "waitlist"] * len(waits)
    drawn["status"] = status[:len(waits)] + ["cancelled"] * len(refused) + ["entered_in_error"] * len(wrong)
    drawn["discipline"] = CASES["discipline"].to_numpy()[drawn["case"]]
    return draw_episodes(rng, plan, drawn.assign(kind="never_counted", parent=-1), patients)
