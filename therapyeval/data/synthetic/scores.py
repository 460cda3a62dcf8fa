"""Scores recorded at the start, between and at the end of care, and those that are missing."""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.network import CASES, MEASURES, draw_scores, on_scale
from therapyeval.data.synthetic.pilot import logistic
from therapyeval.data.synthetic.plan import Plan

RESPONSE_LOG_ODDS = -0.5      # of no score at the end: not at random, rarer where the patient does well
UNFINISHED_LOG_ODDS, IMMORTAL_LOG_ODDS, PILOT_LOG_ODDS = 2.3, 1.6, -1.2
FIRST_DAY = {0: 0.80, -3: 0.02, -1: 0.03, 1: 0.06, 3: 0.05, 6: 0.02, 11: 0.01, 16: 0.01}  # from the start
LAST_DAY = {0: 0.70, -2: 0.08, -6: 0.07, -10: 0.05, 1: 0.03, 3: 0.02, 6: 0.02, -21: 0.03}  # from the last
REASONS = {"": 0.60, "not_done": 0.25, "refused": 0.09, "unable": 0.04, "language": 0.02}
NO_FIRST_SCORE, INTERIM, SECOND_MEASURE, PROXY = 0.04, 0.60, 0.96, 0.015


def draw_assessments(plan: Plan, episodes: pd.DataFrame) -> pd.DataFrame:
    """Scores at the start, between and at the end, for each measure of the discipline and region."""
    rng = plan.generator("assessments")
    n, base = len(episodes), pd.DataFrame({"episode": np.arange(len(episodes))})
    start, last = (episodes[name].to_numpy().astype("M8[D]") for name in ("start_date", "last_attended"))
    days = (last - start).astype(int)
    first_day = start + rng.choice(list(FIRST_DAY), n, p=list(FIRST_DAY.values()))
    last_day = last + rng.choice(list(LAST_DAY), n, p=list(LAST_DAY.values()))
    between = start + (days * rng.uniform(0.35, 0.65, n)).astype(int)
    first_kept = rng.random(n) >= NO_FIRST_SCORE
    ended, n_attended = episodes["ended"].to_numpy(), episodes["n_attended"].to_numpy()
    another_day = (between > first_day) & (between != last_day)
    between_kept = (rng.random(n) < INTERIM) & (n_attended >= 5) & another_day
    far = (last_day - first_day).astype(int)
    last_kept = ended & (rng.random(n) > chance_unscored(plan, episodes)) & (
        (far >= 7) | ((far > 0) & (rng.random(n) < 0.3)))
    why = rng.choice(list(REASONS), (2, n), p=list(REASONS.values()))
    why = np.where(between_kept & np.isin(why, ["unable", "language"]), "not_done", why)    # able in between
    rows = pd.concat([
        base.assign(timepoint="initial", date=first_day, kept=first_kept, part=0.0,
                    why=np.where(first_kept, "", why[0])),
        base.assign(timepoint="interim", date=between, kept=between_kept, part=rng.uniform(0.4, 0.8, n),
                    why=""),
        base.assign(timepoint="discharge", date=last_day, kept=last_kept, part=1.0,
                    why=np.where(last_kept | ~ended | (days < 7), "", why[1]))], ignore_index=True)
    rows = rows[(rows["kept"] | (rows["why"] != "")) & (rows["date"] <= plan.cut)]
    rows = rows.sort_values(["episode", "date", "timepoint"], ignore_index=True)
    return add_scores(rng, plan, episodes, rows)


def chance_unscored(plan: Plan, episodes: pd.DataFrame) -> np.ndarray:
    """Chance that no score is taken at the end, by site, response and how the course ended."""
    share = plan.sites["unscored"].to_numpy()[episodes["site"]]
    return logistic(np.log(share / (1 - share)) + RESPONSE_LOG_ODDS * episodes["response"].to_numpy()
                    + UNFINISHED_LOG_ODDS * (episodes["course"] != "finished").to_numpy()
                    + IMMORTAL_LOG_ODDS * episodes["is_immortal"].to_numpy()
                    + PILOT_LOG_ODDS * episodes["in_pilot"].to_numpy())


def add_scores(rng: np.random.Generator, plan: Plan, episodes: pd.DataFrame,
               rows: pd.DataFrame) -> pd.DataFrame:
    """One row per measure: the primary one and, where the region has two, nearly always the second."""
    scores, second = both_measures(rng, episodes)
    also = rows[(second[rows["episode"]] != "") & (rng.random(len(rows)) < SECOND_MEASURE)]
    rows = pd.concat([rows.assign(which=0), also.assign(which=1)], ignore_index=True)
    n, which, episode = len(rows), rows["which"].to_numpy(), rows["episode"].to_numpy()
    measure = np.where(which == 0, episodes["measure"].to_numpy()[episode], second[episode])
    first, final = scores[which, 0, episode], scores[which, 1, episode]
    score = on_scale(measure, first + rows["part"].to_numpy() * (final - first))
    day = rows["date"].to_numpy().astype("M8[D]")
    done = np.minimum(day + np.where(rng.random(n) < 0.8, 0, rng.integers(1, 4, n)), plan.cut)
    respondent = MEASURES.loc[measure, "respondent"].to_numpy()
    proxy = (respondent == "self") & (rng.random(n) < PROXY)
    rows = rows.assign(measure_code=measure, score=np.where(rows["kept"], score, np.nan),
                       respondent=np.where(proxy, "proxy", respondent),
                       finalized_dt=done.astype("M8[m]") + 8 * 60 + rng.integers(0, 560, n))
    return rows.sort_values(["episode", "date", "timepoint", "which"], ignore_index=True)


def both_measures(rng: np.random.Generator, episodes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First and last scores of the primary and the second measure, and the second's code ("" where none).

    The second measure goes with the first (correlation 0.6) but knows nothing of the pilot's arm.
    """
    second = CASES["measures"].str[1].fillna("").to_numpy()[episodes["case"]]
    has_second = np.flatnonzero(second != "")
    severity, response = (0.6 * episodes[name].to_numpy() + 0.8 * rng.normal(0, 1, len(episodes))
                          for name in ("severity", "response"))
    scores = np.zeros((2, 2, len(episodes)))
    scores[0] = episodes[["first_score", "last_score"]].to_numpy().T
    scores[1][:, has_second] = draw_scores(
        rng, second[has_second], severity[has_second], response[has_second])
    return scores, second
