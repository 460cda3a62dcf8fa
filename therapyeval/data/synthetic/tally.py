"""Counts of one block of the sample, and their sum: what the truth file is written from.

Nothing but counts is kept of a block, besides its pairs of scores (16 bytes each) and the pilot's log. So the
truth of a network of any size needs no more memory than its blocks.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.care import REMINDER_FROM
from therapyeval.data.synthetic.network import CASES, MEASURES
from therapyeval.data.synthetic.pairs import choose_pairs, merge_episodes
from therapyeval.data.synthetic.plan import Plan

MCID = {"odi": 10, "lefs": 9, "ndi": 7.5, "quickdash": 15.91, "berg": 7, "copm_perf": 2, "barthel_100": 9.25,
        "asha_noms_fcm": 1, "wab_aq": 5.03, "vhi10": 4, "nprs": 2}      # as in measures.csv; eat10 has none
NOT_ELIGIBLE = ["deceased", "hospitalized", "transferred", "evaluation_only"]


@dataclass
class Tally:
    """Counts by name, each a Series over its categories; and rows that must be kept as they are."""

    counts: dict[str, pd.Series] = field(default_factory=dict)
    rows: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        for name, counts in other.counts.items():
            both = [self.counts[name], counts] if name in self.counts else [counts]
            joined = pd.concat(both)
            self.counts[name] = joined.groupby(level=list(range(joined.index.nlevels)), sort=False).sum()
        for name, rows in other.rows.items():
            self.rows.setdefault(name, []).extend(rows)

    def n(self, name: str) -> int:
        """One of the plain numbers."""
        return int(self.counts["n"].get(name, 0))

    def all_rows(self, name: str) -> pd.DataFrame:
        return pd.concat(self.rows[name], ignore_index=True)


def tally_block(plan: Plan, clean: dict, tables: dict, planted: dict, log: pd.DataFrame,
                slots: pd.DataFrame) -> Tally:
    """Everything that the truth file needs to know of a block."""
    cut = pd.Timestamp(plan.cut)
    merged, root = merge_episodes(clean, cut)
    pairs = choose_pairs(clean["assessments"], merged, root)
    has_odi = pairs.loc[(pairs["measure_code"] == "odi") & pairs["is_pair"], "root"]
    log = log.assign(has_pair=log["episode_id"].isin(has_odi)).drop(columns=["patient", "episode", "episode_id"])
    tally = Tally(rows={"log": [log]}, counts={
        "rows": pd.Series({name: len(table) for name, table in tables.items()}),
        "planted": pd.Series({name: fault["count"] for name, fault in planted.items()})})
    scored = clean["assessments"]["assessment_id"].str[-1].str.isdigit() & clean["assessments"]["score"].notna()
    tally.add(Tally({"n": pd.Series({"scored": (scored & ~clean["assessments"].duplicated()).sum()})}))
    parts = [count_appointments(clean["visits"], cut), count_reminders(plan, slots),
             count_episodes(clean, merged, cut), count_access(clean, cut), count_scores(pairs, merged)]
    for part in parts:
        tally.add(part)
    return tally


def count_appointments(visits: pd.DataFrame, cut: pd.Timestamp) -> Tally:
    """Appointments by status and more, up to the cut, those without episode, after it, or exactly on the limit."""
    day = visits["scheduled_start"].dt.normalize()
    past = visits[day <= cut].assign(day=day)
    past["weekday"] = past["day"].dt.day_name()
    past["when"] = np.where(past["day"] >= pd.Timestamp(REMINDER_FROM), "after", "before")
    past["quarter"] = quarter(past["day"])
    exactly = past["scheduled_start"] - past["status_dt"] == pd.Timedelta(hours=24)
    canceled = past["status"].isin(["late_cancel", "early_cancel"])
    return Tally({
        "slots": past.groupby(["site_id", "weekday", "when", "status"]).size(),
        "slots_by_quarter": past.groupby(["quarter", "status"]).size(),
        "slots_by_mode": past.groupby(["mode", "status"]).size(),
        "n": pd.Series({
            "future": (day > cut).sum(), "without_episode": past["episode_id"].isna().sum(),
            "exactly_24_hours": (exactly & (past["status"] == "early_cancel")).sum(),
            "without_time": (canceled & past["status_dt"].isna()).sum()})})


def count_reminders(plan: Plan, slots: pd.DataFrame) -> Tally:
    """Appointments with reminders, by what they became and what they would have become without."""
    reminded = slots[plan.sends_reminders[slots["site"]] & (slots["date"] >= REMINDER_FROM)
                     & (slots["date"] <= plan.cut)]
    return Tally({"reminded": reminded.groupby("status").size(),
                  "reminded_without": reminded.groupby("without_reminders").size()})


def count_episodes(clean: dict, merged: pd.DataFrame, cut: pd.Timestamp) -> Tally:
    """Ends by quarter and reason, closures, re-openings, census, visits and goals."""
    ended = merged[merged["end"].notna()]
    reason = ended["reason"].where(~ended["closed_admin"], "closed_admin")
    is_open = (merged["start_date"] <= cut) & (merged["end"].isna() | (merged["end"] > cut))
    judged = ended[~ended["reason"].isin(["deceased", "transferred", "evaluation_only"])]
    met = ((judged["reason"] == "goals_met") | (judged["goals_met_pct"] >= 80)) & ~judged["closed_admin"]
    planned = ended[ended["planned_visits"].notna()]
    return Tally({
        "discharges": quarter(clean["discharges"]["discharge_date"]).value_counts(),
        "ends": quarter(ended["end"]).value_counts(), "reasons": reason.value_counts(),
        "starts_by_site": merged["site_id"].value_counts(),
        "days": (ended["end"] - ended["start_date"]).dt.days.value_counts(),
        "n": pd.Series({
            "merged": len(merged), "reopened": clean["episodes"]["previous_episode_id"].notna().sum(),
            "closed_admin": ended["closed_admin"].sum(), "census": is_open.sum(), "ended": len(ended),
            "judged": len(judged), "goals_met": met.sum(), "visits_ended": ended["n_attended"].sum(),
            "visits_planned": planned["planned_visits"].sum(), "visits_of_planned": planned["n_attended"].sum()})})


def count_access(clean: dict, cut: pd.Timestamp) -> Tally:
    """Referrals by status and days to evaluation, with the closed and the waiting as censored."""
    started = clean["episodes"][clean["episodes"]["status"].isin(["active", "finished"])]
    referrals = clean["referrals"]
    evaluated = referrals["referral_id"].map(started.groupby("referral_id")["start_date"].min())
    days = (evaluated - referrals["received_date"]).dt.days
    mature = (cut - referrals["received_date"]).dt.days >= 30
    until = evaluated.fillna(referrals["closed_date"]).fillna(cut)
    time = (until - referrals["received_date"]).dt.days.rename("time")
    return Tally({
        "referrals": referrals["status"].value_counts(),
        "waits": time.groupby([time, evaluated.notna().rename("event")]).size(),
        "n": pd.Series({"mature": mature.sum(), "converted": ((days <= 30) & mature).sum(),
                        "waiting": (evaluated.isna() & referrals["closed_date"].isna()).sum()})})


def count_scores(pairs: pd.DataFrame, merged: pd.DataFrame) -> Tally:
    """Eligible episodes, pairs and responders of each measure; the pairs themselves."""
    ended = merged[merged["end"].notna() & (merged["n_attended"] >= 3) & ~merged["reason"].isin(NOT_ELIGIBLE)]
    case = ended["discipline"] + " " + ended["body_region"]
    assigned = CASES.assign(case=CASES["discipline"] + " " + CASES["body_region"]).explode("measures")
    eligible_n, kept, any_pair = {}, [], np.zeros(len(ended), dtype=bool)
    for code, cases in assigned.groupby("measures")["case"]:
        mine = pairs[pairs["measure_code"] == code].set_index("root")
        eligible = ended.loc[case.isin(cases), []].join(mine, how="left")
        eligible = eligible[eligible["n_barred"].isna()]
        paired = eligible[eligible["is_pair"].eq(True)]
        any_pair |= ended.index.isin(paired.index)
        change = MEASURES.loc[code, "sign"] * (paired["score_last"] - paired["score_first"])
        eligible_n[code] = len(eligible)
        kept.append(pd.DataFrame({"measure": pd.Categorical.from_codes(
            np.full(len(paired), MEASURES.index.get_loc(code)), MEASURES.index),
            "first": paired["score_first"].to_numpy(float), "change": change.to_numpy(float)}))
    return Tally({"eligible": pd.Series(eligible_n),
                  "n": pd.Series({"eligible": len(ended), "with_pair": any_pair.sum()})},
                 {"pairs": [pd.concat(kept, ignore_index=True)]})


def quarter(dates: pd.Series) -> pd.Series:
    return dates.dt.to_period("Q").astype(str)
