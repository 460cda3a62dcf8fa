"""The invented telerehabilitation pilot: who is screened, who chooses what, and the true effect.

The effect on the oriented ODI change is EFFECT points for everybody; the choice of arm is not random, so that
the raw difference is wrong by a known mechanism and the difference adjusted for baseline and age is right.
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.network import (
    CASES,
    MEASURES,
    PILOT_FIRST,
    PILOT_LAST,
    on_scale,
    working_day,
)
from therapyeval.data.synthetic.plan import Plan

PROTOCOL = "telerehab_lbp"
EFFECT = 3.0
GENERATED_AS = (
    "last score = first score - (13 + 0.35 * (first - 42) + 10 * response) - 3.0 if telerehab, then moved to "
    "the nearest even number in 0..100; response = site - 0.008 * (age - 55) - 0.25 if chronic - 0.3 if "
    "workers_comp + N(0, 1)")
LEAST_PER_ARM = 4           # fewer tell nothing: the difference is then null in the truth file
CHOICE = {"intercept": -0.1, "per_year_above_50": -0.03, "per_odi_point_above_42": -0.05}


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def run_pilot(plan: Plan, episodes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Episodes with `arm`, `in_pilot` and their last scores on the scale; and the enrollment log.

    The log also keeps both potential last scores (`score_usual`, `score_telerehab`), for the truth file only.
    """
    rng = plan.generator("pilot")
    log = screen(rng, plan.n_pilot_sites, episodes)
    log = consent(rng, log)
    last = episodes["last_score"].to_numpy(copy=True)
    usual = last[log["episode"]]
    odi = np.full(len(log), "odi")
    better = usual + MEASURES.loc["odi", "sign"] * EFFECT
    log = log.assign(score_usual=on_scale(odi, usual), score_telerehab=on_scale(odi, better))
    treated = (log["arm"] == "telerehab").to_numpy()
    last[log["episode"].to_numpy()[treated]] = better[treated]
    arm = np.full(len(episodes), "", dtype=object)
    allocated = (log["arm"] != "").to_numpy()
    arm[log["episode"].to_numpy()[allocated]] = log["arm"][allocated]
    episodes = episodes.assign(arm=arm, in_pilot=arm != "",
                               last_score=on_scale(episodes["measure"].to_numpy(), last))
    return episodes, log


def screen(rng: np.random.Generator, n_sites: int, episodes: pd.DataFrame) -> pd.DataFrame:
    """New low-back episodes at the pilot sites in the pilot's months, with the verdict."""
    is_back = (CASES["body_region"] == "lumbar_pelvis").to_numpy()[episodes["case"]]
    is_target = (
        is_back & (episodes["kind"] == "first") & (episodes["site"] < n_sites)
        & episodes["start_date"].between(pd.Timestamp(PILOT_FIRST), pd.Timestamp(PILOT_LAST)))
    target = np.flatnonzero(is_target & (rng.random(len(episodes)) < 0.96))
    chosen = episodes.iloc[target]
    n = len(target)
    chance = rng.random(n)
    reason = np.select(
        [chosen["age"] > 80, chosen["first_score"] < 20, chance < 0.04, chance < 0.07, chance < 0.09],
        ["age over 80", "ODI under 20", "no device or connection", "red flag", "language not supported"], "")
    start = chosen["start_date"].to_numpy().astype("M8[D]")
    return pd.DataFrame({
        "patient": chosen["patient"].to_numpy(), "episode": target, "site": chosen["site"].to_numpy(),
        "age": chosen["age"].to_numpy(), "first_score": chosen["first_score"].to_numpy(), "start_date": start,
        "screened_date": start, "eligible": reason == "", "ineligible_reason": reason})


def consent(rng: np.random.Generator, log: pd.DataFrame) -> pd.DataFrame:
    """Approach, consent, allocation (the therapist's choice) and withdrawal of those eligible."""
    n, nothing = len(log), np.datetime64("NaT")
    approached = log["eligible"].to_numpy() & (rng.random(n) < 0.95)
    consented = approached & (rng.random(n) < 0.80)
    screened = log["screened_date"].to_numpy().astype("M8[D]")
    consent_date = working_day(screened, rng.integers(0, 2, n))
    allocated_date = working_day(consent_date, rng.integers(0, 2, n))
    likes = logistic(CHOICE["intercept"] + CHOICE["per_year_above_50"] * (log["age"] - 50)
                     + CHOICE["per_odi_point_above_42"] * (log["first_score"] - 42))
    arm = np.where(consented, np.where(rng.random(n) < likes, "telerehab", "usual"), "")
    withdrawn = consented & (rng.random(n) < 0.05)
    why = np.where(arm == "telerehab", rng.choice(["technical problems", "prefers the clinic"], n),
                   rng.choice(["moved away", "no reason given"], n))
    return log.assign(
        approached_date=np.where(approached, screened, nothing),
        consent_date=np.where(consented, consent_date, nothing),
        allocated_date=np.where(consented, allocated_date, nothing), arm=arm,
        withdrawn_date=np.where(withdrawn, working_day(allocated_date + rng.integers(7, 35, n)), nothing),
        withdrawn_reason=np.where(withdrawn, why, ""))


def least_squares(columns: list[np.ndarray], outcome: np.ndarray) -> tuple[float, float]:
    """Coefficient of the first column in a linear model with intercept, and its HC3 standard error."""
    design = np.column_stack([*columns, np.ones(len(outcome))]).astype(float)
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ outcome
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    scaled = design * ((outcome - design @ coefficients) / (1 - leverage))[:, None]
    return float(coefficients[0]), float(np.sqrt((inverse @ scaled.T @ scaled @ inverse)[0, 0]))


def pilot_truth(log: pd.DataFrame) -> dict:
    """The effect built in, and what it comes to in those allocated, before and after scores went missing.

    `log` with `has_pair`: is there a valid pair of recorded scores?
    """
    allocated = log[log["arm"] != ""]
    treated = (allocated["arm"] == "telerehab").to_numpy()
    first = allocated["first_score"].to_numpy()
    change = first - np.where(treated, allocated["score_telerehab"], allocated["score_usual"])
    age, seen = allocated["age"].to_numpy(), allocated["has_pair"].to_numpy()

    def adjusted(rows: np.ndarray) -> tuple[float | None, float | None]:
        if min(treated[rows].sum(), (~treated[rows]).sum()) < LEAST_PER_ARM:
            return None, None
        return least_squares([treated[rows], first[rows], age[rows]], change[rows])

    everybody = np.ones(len(allocated), dtype=bool)
    complete, observed = adjusted(everybody), adjusted(seen)
    raw = float(change[treated].mean() - change[~treated].mean()) if complete[0] is not None else None
    return {
        "protocol": PROTOCOL, "outcome": "score_change:odi, oriented (positive = better), points",
        "effect": EFFECT,
        "generated_as": GENERATED_AS,
        "choice_of_arm": {"log_odds_of_telerehab": CHOICE,
                          "why": "therapists offer telerehab more often to the younger and less disabled"},
        "effect_on_nprs": 0.0,
        "mean_individual_effect": {
            "value": float((log["score_usual"] - log["score_telerehab"]).mean()) if len(log) else None,
            "definition": "mean over all screened of the difference between the two potential scores"},
        "raw_difference_complete": {
            "value": raw,
            "definition": "telerehab minus usual, mean change of all allocated before scores went missing"},
        "adjusted_complete": {
            "value": complete[0], "standard_error": complete[1],
            "definition": "least squares: change on arm, first score, age; all allocated, none missing; HC3"},
        "adjusted_observed": {
            "value": observed[0], "standard_error": observed[1],
            "definition": "the same among those with a valid pair of recorded scores (window rule)"},
        **pilot_flow(log, allocated),
    }


def pilot_flow(log: pd.DataFrame, allocated: pd.DataFrame) -> dict:
    """How many were screened, eligible, approached, consented, allocated, withdrew, and have a pair."""

    def by_arm(flag: pd.Series) -> dict[str, int]:
        return {arm: int(flag[allocated["arm"] == arm].sum()) for arm in ("telerehab", "usual")}

    return {
        "screened": len(log), "eligible": int(log["eligible"].sum()),
        "ineligible": log.loc[~log["eligible"], "ineligible_reason"].value_counts().sort_index().to_dict(),
        "approached": int(log["approached_date"].notna().sum()),
        "consented": int(log["consent_date"].notna().sum()),
        "allocated": by_arm(allocated["arm"] != ""), "withdrawn": by_arm(allocated["withdrawn_reason"] != ""),
        "with_pair": by_arm(allocated["has_pair"])}
