"""Faults planted on purpose, each counted, so that quality checks can be tested against a known number.

Two groups. `spoil_scores` changes the assessments as busy clinics do (entered twice, typing errors): the
right handling is a rule of the metric definitions. `plant_faults` adds rows that no metric may use: every
figure of the truth file is what remains when they are set aside.
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.network import MEASURES, on_scale
from therapyeval.data.synthetic.plan import Plan

DUPLICATE_SHARE = 0.05
OUT_OF_RANGE, UNKNOWN_MEASURE, NO_ASSESSMENT_KEY = 25, 10, 6
NO_VISIT_KEY, UNKNOWN_STATUS, DUPLICATE_VISIT = 8, 15, 12
NO_START, ENDS_BEFORE_START, DUPLICATE_EPISODE, BORN_1850, BORN_AFTER = 8, 9, 6, 4, 3


def lonely_initial(assessments: pd.DataFrame) -> np.ndarray:
    """Rows of first scores with no other of the measure within 30 days: spoiling one leaves no baseline.

    So it does not matter to the truth whether a reader then looks for the next candidate or gives up.
    """
    same = assessments.groupby(["episode_id", "measure_code"])["date"]
    spread = same.transform("max") - same.transform("min")
    alone = (spread >= pd.Timedelta(days=30)) & (same.transform("size") == 2)
    return np.flatnonzero(alone & (assessments["timepoint"] == "initial") & assessments["score"].notna())


def spoil_scores(plan: Plan, assessments: pd.DataFrame, spared: pd.Series) -> tuple[pd.DataFrame, dict]:
    """Duplicates, conflicts and impossible scores; those of the episodes `spared` (the pilot's) stay.

    A corrected entry keeps the true value in the row finalized last.
    """
    rng = plan.generator("spoiled scores")
    table = assessments.copy()
    spare = table["episode_id"].isin(spared).to_numpy()
    usable = np.flatnonzero(table["score"].notna() & ~spare)
    lonely = rng.permutation(np.setdiff1d(lonely_initial(table), np.flatnonzero(spare)))
    wild, clash = lonely[:OUT_OF_RANGE], lonely[OUT_OF_RANGE:]
    n = round(DUPLICATE_SHARE * len(usable))
    clash = clash[:round(0.1 * n)]
    others = rng.permutation(np.setdiff1d(usable, lonely))
    exact, corrected = others[:n // 2], others[n // 2:n - len(clash)]
    high = MEASURES.loc[table["measure_code"].iloc[wild], "high"].to_numpy()
    table.loc[wild, "score"] = high + rng.integers(5, 40, len(wild))
    copies = [table.iloc[exact], shifted(rng, table.iloc[corrected], earlier=True),
              shifted(rng, table.iloc[clash], earlier=False)]
    copies[1]["assessment_id"] += "A"
    copies[2]["assessment_id"] += "B"
    table = pd.concat([table, *copies]).sort_index(kind="stable").reset_index(drop=True)
    return table, {
        "duplicate_exact": planted("assessments", len(exact), "whole row twice, same assessment_id"),
        "duplicate_corrected": planted(
            "assessments", len(corrected),
            "same day, other id (ends in A) and a wrong score, finalized earlier: the other row is right"),
        "duplicate_conflict": planted(
            "assessments", len(clash),
            "same day and finalized at the same minute with another score, id ends in B: no right value"),
        "out_of_range": planted("assessments", len(wild), "score above the top of its scale")}


def shifted(rng: np.random.Generator, rows: pd.DataFrame, *, earlier: bool) -> pd.DataFrame:
    """Copies with a score some steps away but inside the range, finalized earlier or at the same time."""
    facts = MEASURES.loc[rows["measure_code"]]
    low, high, step = (facts[name].to_numpy() for name in ("low", "high", "step"))
    move = step * rng.integers(1, 4, len(rows))
    score = rows["score"].to_numpy()
    score = np.where(score + move <= high, score + move, np.maximum(score - move, low))
    back = np.timedelta64(20, "m") if earlier else np.timedelta64(0, "m")
    score = on_scale(rows["measure_code"].to_numpy(), score)
    return rows.assign(score=score, finalized_dt=rows["finalized_dt"] - back)


def planted(table: str, count: int, what: str) -> dict:
    return {"table": table, "count": int(count), "definition": what}


def plant_faults(plan: Plan, tables: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], dict]:
    """Rows without key, with unknown codes, repeated, or impossible; appended at the end of their tables."""
    rng = plan.generator("faults")
    visits, visit_faults = fault_visits(rng, tables["visits"])
    patients = tables["patients"]
    strangers = patients.loc[~patients["patient_id"].isin(tables["episodes"]["patient_id"]), "patient_id"]
    episodes, discharges, episode_faults = fault_episodes(
        rng, strangers.to_numpy(), tables["episodes"], tables["discharges"])
    assessments, assessment_faults = fault_assessments(rng, tables["assessments"])
    is_enrolled = patients["patient_id"].isin(tables["enrollment"]["patient_id"])
    may_change = ~is_enrolled & patients["death_date"].isna()
    patients, patient_faults = fault_patients(rng, plan, patients, np.flatnonzero(may_change))
    tables = tables | {"visits": visits, "episodes": episodes, "discharges": discharges, "patients": patients,
                       "assessments": assessments}
    return tables, visit_faults | episode_faults | assessment_faults | patient_faults


def fault_assessments(rng: np.random.Generator, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    keyless = rows.iloc[rng.permutation(len(rows))[:NO_ASSESSMENT_KEY]].assign(
        assessment_id=None, patient_id=None, episode_id=None)
    strange = rows.iloc[rng.permutation(len(rows))[:UNKNOWN_MEASURE]].assign(measure_code="knee_score")
    strange["assessment_id"] += "X"
    return pd.concat([rows, keyless, strange], ignore_index=True), {
        "assessment_without_key": planted(
            "assessments", NO_ASSESSMENT_KEY, "no assessment_id, patient_id or episode_id; extra rows"),
        "unknown_measure": planted(
            "assessments", UNKNOWN_MEASURE,
            "measure_code knee_score, not registered; extra rows, id ends in X")}


def fault_patients(rng: np.random.Generator, plan: Plan, patients: pd.DataFrame,
                   may_change: np.ndarray) -> tuple[pd.DataFrame, dict]:
    """Impossible birth dates in rows that are otherwise good: the attribute is lost, the person is not."""
    table = patients.copy()
    chosen = rng.permutation(may_change)[:BORN_1850 + BORN_AFTER]
    birth = table.columns.get_loc("birth_date")
    table.iloc[chosen[:BORN_1850], birth] = pd.Timestamp("1850-01-01")
    table.iloc[chosen[BORN_1850:], birth] = pd.Timestamp(plan.cut) + pd.Timedelta(days=365)
    return table, {
        "born_1850": planted("patients", BORN_1850, "birth_date 1850-01-01: age above 120"),
        "born_after_cut": planted("patients", BORN_AFTER, "birth_date after the data cut: negative age")}


def fault_visits(rng: np.random.Generator, visits: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    is_plain = (visits["status"] == "attended") & visits["episode_id"].notna()
    chosen = rng.permutation(np.flatnonzero(is_plain))[:NO_VISIT_KEY + UNKNOWN_STATUS + DUPLICATE_VISIT]
    keyless, strange, twice = np.split(chosen, [NO_VISIT_KEY, NO_VISIT_KEY + UNKNOWN_STATUS])
    unknown = visits.iloc[strange].assign(status="arrvd?")
    unknown["visit_id"] += "X"
    nameless = visits.iloc[keyless].assign(visit_id=None, patient_id=None, episode_id=None)
    table = pd.concat([visits, nameless, unknown, visits.iloc[twice]], ignore_index=True)
    return table, {
        "visit_without_key": planted(
            "visits", NO_VISIT_KEY, "no visit_id, patient_id or episode_id; extra rows"),
        "unknown_status": planted("visits", UNKNOWN_STATUS, "status arrvd?, not on the list; extra rows"),
        "duplicate_visit": planted("visits", DUPLICATE_VISIT, "whole row twice, same visit_id")}


def fault_episodes(rng: np.random.Generator, strangers: np.ndarray, episodes: pd.DataFrame,
                   discharges: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """Extra episodes without visits: no start date, or a discharge before the start; and whole rows twice.

    The extra ones belong to people without any other episode, so that they merge with nothing.
    """
    real = rng.permutation(np.flatnonzero(episodes["status"] == "finished"))
    no_start, backward, twice = np.split(real[:NO_START + ENDS_BEFORE_START + DUPLICATE_EPISODE],
                                         [NO_START, NO_START + ENDS_BEFORE_START])
    loose = {"referral_id": None, "previous_episode_id": None, "case_type": "new"}
    chosen = rng.permutation(strangers)
    startless = episodes.iloc[no_start].assign(
        **loose, patient_id=chosen[:NO_START], start_date=pd.NaT, status="active")
    startless["episode_id"] += "N"
    wrong = episodes.iloc[backward].assign(**loose, patient_id=chosen[NO_START:NO_START + ENDS_BEFORE_START])
    wrong["episode_id"] += "D"
    ends = pd.DataFrame({
        "episode_id": wrong["episode_id"], "reason": "other", "disposition": "home", "ended_by": "therapist",
        "discharge_date": wrong["start_date"] - pd.to_timedelta(rng.integers(3, 60, len(wrong)), "D")})
    table = pd.concat([episodes, startless, wrong, episodes.iloc[twice]], ignore_index=True)
    return table, pd.concat([discharges, ends], ignore_index=True), {
        "episode_without_start": planted("episodes", NO_START, "start_date empty, no visits; id ends in N"),
        "discharge_before_start": planted(
            "discharges", ENDS_BEFORE_START,
            "discharge_date before start_date of an extra episode without visits; id ends in D"),
        "duplicate_episode": planted("episodes", DUPLICATE_EPISODE, "whole row twice, same episode_id")}
