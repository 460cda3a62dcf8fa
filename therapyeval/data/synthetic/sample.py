"""A synthetic rehab network, "Harbor Rehab", with a pilot study inside it and the truth beside it.

Nothing in it comes from real people. The same seed gives the same bytes (with the same versions of numpy,
pandas and pyarrow). What is true of the data is in `truth.json`, so that every metric can be checked.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from therapyeval.data.synthetic.care import (
    choose_staff,
    draw_care,
    draw_referrals,
    missed_evaluations,
)
from therapyeval.data.synthetic.flaws import plant_faults, spoil_scores
from therapyeval.data.synthetic.network import (
    CASES,
    CUT,
    SHARES,
    SITES,
    Plan,
    build_staff,
    draw_episodes,
    first_episodes,
    later_episodes,
    parallel_episodes,
)
from therapyeval.data.synthetic.pilot import run_pilot
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
from therapyeval.data.synthetic.text import write_texts
from therapyeval.data.synthetic.truth import describe_truth

ID_COLUMNS = {"patients": "patient_id", "referrals": "referral_id", "episodes": "episode_id",
              "visits": "visit_id", "assessments": "assessment_id"}
MINUTE_COLUMNS = {"scheduled_start", "scheduled_end", "status_dt", "finalized_dt"}


def write_sample(path: str | Path, *, seed: int = 20260930, n_sites: int = 8, n_episodes: int = 18_000,
                 months: int = 27) -> dict:
    """Write the sample (Parquet tables, mapping.yml, pilot.yml, truth.json, README.md) and return the truth.

    Parameters
    ----------
    path : folder, made where it does not exist; files of the same names are replaced
    n_sites : 4 to 8; the pilot runs at the first four
    n_episodes : rows of the episodes table before faults are planted, at least 500
    months : length of the data, which always end on 2026-09-30; at least 9, so that the pilot lies inside

    Raises
    ------
    ValueError
        Where a size is outside these limits.
    """
    if not 4 <= n_sites <= len(SITES):
        raise ValueError(f"write_sample() needs n_sites from 4 to {len(SITES)}, not {n_sites}")
    if n_episodes < 500 or months < 9:
        raise ValueError("write_sample() needs n_episodes >= 500 and months >= 9")
    first = (np.datetime64(CUT, "M") + 1 - months).astype("M8[D]")
    plan = Plan(seed=seed, n_sites=n_sites, n_episodes=n_episodes, first=first)
    tables, truth = build_sample(plan)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_table(table, folder / f"{name}.parquet", id_column=ID_COLUMNS.get(name))
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    write_texts(folder, truth)
    return truth


def build_sample(plan: Plan) -> tuple[dict[str, pd.DataFrame], dict]:
    """All tables and the truth about them."""
    episodes, patients, slots, log = build_care(plan)
    referrals, people = draw_referrals(plan, episodes, len(patients))
    referrals = referrals.sort_values("received_date", kind="stable", ignore_index=True)
    patients = pd.concat([patients, people], ignore_index=True)
    assessments = draw_assessments(plan, episodes)
    uncounted = uncounted_episodes(plan, episodes, referrals, patients)
    episodes = pd.concat([episodes, uncounted], ignore_index=True)
    visits = pd.concat([slots, missed_evaluations(plan, referrals)], ignore_index=True)
    staff = build_staff(plan)
    lead, clinician = choose_staff(plan, staff, episodes, visits)
    episodes, visits = episodes.assign(lead=lead), visits.assign(staff=clinician)

    labels = make_labels(plan, len(patients), episodes, len(staff))
    received, referral_id = referral_of_episode(referrals, referral_table(referrals, labels), len(episodes))
    log = log.assign(episode_id=labels.episode[log["episode"]])
    scores, spoiled = spoil_scores(plan, assessment_table(assessments, episodes, labels), log["episode_id"])
    clean = {
        "patients": patient_table(patients, episodes, labels), "referrals": referral_table(referrals, labels),
        "episodes": episode_table(plan, episodes, referral_id, labels),
        "visits": visit_table(plan, visits, received, labels), "assessments": scores,
        "discharges": discharge_table(plan, episodes, labels), "staff": staff_table(staff, labels),
        "sites": site_table(plan), "enrollment": enrollment_table(log, labels)}
    tables, faults = plant_faults(plan, clean)
    return tables, describe_truth(plan, clean, tables, spoiled | faults, log)


def referral_of_episode(referrals: pd.DataFrame, table: pd.DataFrame,
                        n: int) -> tuple[np.ndarray, np.ndarray]:
    """Day received and id of each episode's referral; both missing where there is none."""
    linked = (referrals["episode"] >= 0).to_numpy()
    rows = table[linked].set_index(referrals["episode"][linked]).reindex(range(n))
    return rows["received_date"].to_numpy().astype("M8[D]"), rows["referral_id"].to_numpy()


def build_care(plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Episodes with their courses, the patients, the appointments and the pilot's log."""
    extra = sum(plan.count(kind) for kind in SHARES)
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
    n = plan.count("never_counted")
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


def arrow_type(name: str, column: pd.Series) -> pa.DataType:
    """Small types: days as date32, times in milliseconds without zone, whole numbers as int16."""
    if name in MINUTE_COLUMNS:
        return pa.timestamp("ms")
    if name.endswith("_date") or name == "date":
        return pa.date32()
    if name in ("planned_visits", "goals_met_pct", "deprivation"):
        return pa.int16()
    if pd.api.types.is_bool_dtype(column):
        return pa.bool_()
    return pa.float64() if pd.api.types.is_numeric_dtype(column) else pa.string()


def write_table(table: pd.DataFrame, path: Path, id_column: str | None) -> None:
    """Write with every setting fixed, so that equal tables give equal bytes.

    Ascending ids are stored as differences, which makes them nearly free.
    """
    schema = pa.schema([(name, arrow_type(name, table[name])) for name in table])
    data = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(
        data, path, compression="zstd", compression_level=9, row_group_size=1_000_000, version="2.6",
        use_dictionary=[name for name in table if name != id_column],
        column_encoding={id_column: "DELTA_BYTE_ARRAY"} if id_column else None)
