"""Merged episodes and pairs of scores, worked out with plain pandas and not through the rest of therapyeval.

They follow `domain/metrics.md` sections 0 and 6, written a second time here on purpose, as an outside value.
"""

import pandas as pd

from therapyeval.data.synthetic.network import MEASURES

NEVER_COUNTED = ["planned", "waitlist", "cancelled", "entered_in_error"]
STALE_DAYS = 60


def merge_episodes(clean: dict, cut: pd.Timestamp) -> tuple[pd.DataFrame, pd.Series]:
    """One row per merged episode: first start, last visit, effective end, closed_admin, reason.

    And the merged episode (`root`) of each episode_id.
    """
    episodes = clean["episodes"]
    episodes = episodes[~episodes["status"].isin(NEVER_COUNTED)]
    episodes = episodes.merge(clean["discharges"], on="episode_id", how="left")
    visits = clean["visits"]
    day = visits["scheduled_start"].dt.normalize()
    seen = day[visits["status"] == "attended"].groupby(visits["episode_id"]).agg(["max", "size"])
    episodes["last_attended"] = episodes["episode_id"].map(seen["max"])
    episodes["n_attended"] = episodes["episode_id"].map(seen["size"]).fillna(0)
    is_booked = (day > cut) & (visits["status"] == "booked")
    episodes["is_booked"] = episodes["episode_id"].isin(visits.loc[is_booked, "episode_id"])
    stale = (cut - episodes["last_attended"]).dt.days >= STALE_DAYS
    episodes["closed_admin"] = episodes["discharge_date"].isna() & stale & ~episodes["is_booked"]
    episodes["end"] = episodes["discharge_date"].where(~episodes["closed_admin"], episodes["last_attended"])
    episodes["root"] = episodes["previous_episode_id"].fillna(episodes["episode_id"])
    grouped = episodes.sort_values(["root", "start_date"]).groupby("root", sort=True)
    last = grouped.tail(1).set_index("root")
    first = grouped.head(1).set_index("root")
    of_first = ["patient_id", "discipline", "body_region", "site_id", "start_date", "planned_visits"]
    merged = first[of_first].join(last[["end", "closed_admin", "reason", "goals_met_pct"]])
    merged["last_attended"] = grouped["last_attended"].max()
    merged["n_attended"] = grouped["n_attended"].sum()
    return merged, episodes.set_index("episode_id")["root"]


def choose_pairs(assessments: pd.DataFrame, merged: pd.DataFrame, root: pd.Series) -> pd.DataFrame:
    """First and last valid score of each merged episode and measure by the window rule; do they pair?"""
    rows = assessments.assign(root=assessments["episode_id"].map(root))
    key = ["root", "measure_code"]
    barred = rows[rows["missing_reason"].isin(["unable", "language"])].groupby(key).size().rename("n_barred")
    facts = MEASURES.loc[rows["measure_code"], ["low", "high"]].to_numpy()
    scored = rows[rows["score"].notna() & rows["score"].between(facts[:, 0], facts[:, 1])]
    latest = scored["finalized_dt"] == scored.groupby([*key, "date"])["finalized_dt"].transform("max")
    scored = scored[latest].drop_duplicates([*key, "date", "score"])
    scored = scored[~scored.duplicated([*key, "date"], keep=False)]
    scored = scored.join(merged[["start_date", "last_attended"]], on="root")
    gap = (scored["date"] - scored["start_date"]).dt.days
    base = scored[gap.abs() <= 7].assign(distance=gap.abs()).sort_values([*key, "distance", "date"])
    base = base.groupby(key)[["score", "date", "measure_version", "respondent"]].first()
    after = (scored["date"] - scored["last_attended"]).dt.days
    late = scored[after.between(-14, 7)].join(base.rename(columns=lambda name: f"first_{name}"), on=key)
    late = late[(late["date"] - late["first_date"]).dt.days >= 7]
    late = late.sort_values([*key, "date"]).groupby(key).tail(1)
    late = late.set_index(key)[["score", "date", "measure_version", "respondent"]]
    pairs = base.add_suffix("_first").join(late.add_suffix("_last"), how="outer")
    pairs = pairs.join(barred, how="outer").reset_index()
    same = (pairs["measure_version_first"].fillna("") == pairs["measure_version_last"].fillna("")) & (
        pairs["respondent_first"] == pairs["respondent_last"])
    pairs["is_pair"] = pairs["score_first"].notna() & pairs["score_last"].notna() & same
    return pairs
