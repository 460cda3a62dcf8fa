"""What is true of the sample, worked out with plain pandas and not through the rest of therapyeval.

Figures are those a correct reader finds after setting the planted faults aside (see `synthetic_flaws`).
Pairs follow `domain/metrics.md` sections 0 and 6, written a second time here on purpose, as an outside value.
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.care import (
    NO_SHOW_BASE,
    REMINDER_FACTOR,
    REMINDER_FROM,
    REMINDER_SITE,
    WEEKDAY_NO_SHOW,
)
from therapyeval.data.synthetic.network import CASES, MEASURES, SITES, WAIT_MEDIAN, WAIT_SIGMA, Plan
from therapyeval.data.synthetic.pilot import pilot_truth
from therapyeval.data.synthetic.scores import (
    IMMORTAL_LOG_ODDS,
    PILOT_LOG_ODDS,
    RESPONSE_LOG_ODDS,
    UNFINISHED_LOG_ODDS,
)

MCID = {"odi": 10, "lefs": 9, "ndi": 7.5, "quickdash": 15.91, "berg": 7, "copm_perf": 2, "barthel_100": 9.25,
        "asha_noms_fcm": 1, "wab_aq": 5.03, "vhi10": 4, "nprs": 2}      # as in measures.csv; eat10 has none
NEVER_COUNTED = ["planned", "waitlist", "cancelled", "entered_in_error"]
NOT_ELIGIBLE = ["deceased", "hospitalized", "transferred", "evaluation_only"]
STALE_DAYS = 60


def describe_truth(plan: Plan, clean: dict, tables: dict, planted: dict, log: pd.DataFrame) -> dict:
    """Everything for truth.json: counts, faults, what was put in, and what it came to."""
    cut = pd.Timestamp(plan.cut)
    merged = merge_episodes(clean, cut)
    pairs = choose_pairs(clean["assessments"], merged)
    has_odi = pairs.loc[(pairs["measure_code"] == "odi") & pairs["is_pair"], "episode_id"]
    return {
        "note": "SYNTHETIC data: no real person, clinic or result. Made by therapyeval.data.synthetic.",
        "seed": plan.seed, "n_sites": plan.n_sites, "n_episodes": plan.n_episodes,
        "first_day": str(plan.first), "data_cut": str(plan.cut),
        "rows": {name: len(table) for name, table in tables.items()},
        "planted": planted,
        "put_in": generating_parameters(plan),
        "realized": {**attendance_truth(clean["visits"], cut), **episode_truth(clean, merged, cut),
                     **access_truth(clean, cut), "scores": score_truth(pairs, merged)},
        "pilot": pilot_truth(log, log["episode_id"].isin(has_odi).to_numpy()),
    }


def figure(value: object, definition: str) -> dict:
    return {"value": value, "definition": definition}


def generating_parameters(plan: Plan) -> dict:
    """What was put in, so that a test can ask whether it comes out."""
    sites = plan.sites.set_index("site_id")
    reminder = SITES["site_id"].iloc[REMINDER_SITE]
    return {
        "no_show_base": NO_SHOW_BASE, "no_show_by_weekday": dict(zip(
            ["Mon", "Tue", "Wed", "Thu", "Fri"], WEEKDAY_NO_SHOW.tolist(), strict=True)),
        "no_show_by_site": sites["no_show"].to_dict(),
        "no_show_change": {"site_id": reminder, "from": str(REMINDER_FROM), "factor": REMINDER_FACTOR,
                           "why": "text reminders begin: the only change over time put into attendance"},
        "wait": {"kind": "log-normal", "median_days": WAIT_MEDIAN, "sigma": WAIT_SIGMA,
                 "by_site": sites["wait"].to_dict()},
        "response_by_site": {"in": "standard deviations of the change", **sites["response"].to_dict()},
        "missing_discharge_score": {
            "by_site": sites["unscored"].to_dict(),
            "log_odds": {"per_sd_of_response": RESPONSE_LOG_ODDS, "course_not_finished": UNFINISHED_LOG_ODDS,
                         "no_discharge_entered": IMMORTAL_LOG_ODDS, "in_pilot": PILOT_LOG_ODDS},
            "why": "not at random: those who do worse, or drop out, have no score more often"},
        "measures": MEASURES[["gain", "slope", "noise"]].to_dict("index"),
        "measure_set": CASES[["discipline", "body_region", "measures"]].to_dict("records")}


def attendance_truth(visits: pd.DataFrame, cut: pd.Timestamp) -> dict:
    """Appointments by status up to the cut, those without episode, after it, or exactly on the limit."""
    day = visits["scheduled_start"].dt.normalize()
    past = visits[day <= cut].assign(day=day)
    count = past["status"].value_counts()
    every = count[["attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel"]].sum()
    exactly = past["scheduled_start"] - past["status_dt"] == pd.Timedelta(hours=24)
    return {
        "appointments_by_status": figure(
            counts(past["status"]), "rows of visits dated up to the data cut; planted faults set aside"),
        "future_bookings": figure(int((day > cut).sum()), "rows of visits dated after the data cut"),
        "appointments_without_episode": figure(
            int(past["episode_id"].isna().sum()), "dated up to the data cut"),
        "early_cancels_at_exactly_24_hours": figure(
            int((exactly & (past["status"] == "early_cancel")).sum()),
            "scheduled_start - status_dt = 24 h: early"),
        "cancels_without_time": figure(
            int((past["status"].isin(["late_cancel", "early_cancel"]) & past["status_dt"].isna()).sum()),
            "late_cancel or early_cancel with empty status_dt: the label decides"),
        **no_show_truth(past),
        "late_cancel_share": figure(
            float(count["late_cancel"] / count[["late_cancel", "early_cancel"]].sum()),
            "late_cancel / (late_cancel + early_cancel)"),
        "arrival_rate": figure(float(count["attended"] / every),
                               "attended / (attended + no_show + late, early and clinic cancels)"),
        "telehealth_share": figure(
            float((past.loc[past["status"] == "attended", "mode"] == "telehealth").mean()),
            "mode telehealth / attended")}


def no_show_truth(past: pd.DataFrame) -> dict:
    """No-show rates: all, last quarter, by site and weekday, and around the one change put in."""
    rate = "no_show / (attended + no_show + late_cancel), dated up to the data cut, with or without episode"
    due = past[past["status"].isin(["attended", "no_show", "late_cancel"])]
    missed = due["status"] == "no_show"
    changed_at = SITES["site_id"].iloc[REMINDER_SITE]
    when = pd.Series(np.where(due["day"] >= pd.Timestamp(REMINDER_FROM), "after", "before"), index=due.index)
    there = due["site_id"] == changed_at
    last = due["day"].dt.to_period("Q").astype(str) == "2026Q3"
    return {
        "no_show_rate": figure(float(missed.mean()), rate),
        "no_show_rate_2026Q3": figure(float(missed[last].mean()), rate + ", in 2026Q3"),
        "no_show_rate_by_site": figure(missed.groupby(due["site_id"]).mean().to_dict(), rate),
        "no_show_rate_by_weekday": figure(
            missed.groupby(due["scheduled_start"].dt.day_name()).mean().to_dict(), rate),
        "no_show_rate_around_change": figure(
            {"site_id": changed_at, **missed[there].groupby(when[there]).mean().to_dict()},
            rate + "; before and from the day of the change")}


def merge_episodes(clean: dict, cut: pd.Timestamp) -> pd.DataFrame:
    """One row per merged episode: first start, last visit, effective end, closed_admin, reason."""
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
    merged["parts"] = episodes.groupby("root")["episode_id"].agg(list)
    return merged


def choose_pairs(assessments: pd.DataFrame, merged: pd.DataFrame) -> pd.DataFrame:
    """First and last valid score of each merged episode and measure by the window rule; do they pair?"""
    root = merged["parts"].explode().rename("episode_id").reset_index().set_index("episode_id")["root"]
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
    pairs["episode_id"] = pairs["root"]
    return pairs


def score_truth(pairs: pd.DataFrame, merged: pd.DataFrame) -> dict:
    """Change and responders of each measure in eligible episodes with a pair; paired completion."""
    ended = merged[merged["end"].notna() & (merged["n_attended"] >= 3) & ~merged["reason"].isin(NOT_ELIGIBLE)]
    assigned = CASES.explode("measures").groupby("measures")[["discipline", "body_region"]].agg(list)
    result, any_pair = {}, set()
    for code, where in assigned.iterrows():
        wanted = set(zip(where["discipline"], where["body_region"], strict=True))
        belongs = [pair in wanted for pair in zip(ended["discipline"], ended["body_region"], strict=True)]
        mine = pairs[pairs["measure_code"] == code].set_index("root")
        eligible = ended[belongs].join(mine, how="left")
        eligible = eligible[eligible["n_barred"].isna()]
        paired = eligible[eligible["is_pair"].eq(True)]
        any_pair |= set(paired.index)
        change = MEASURES.loc[code, "sign"] * (paired["score_last"] - paired["score_first"])
        responders = int((change >= MCID[code] - 1e-9 * MCID[code]).sum()) if code in MCID else None
        result[code] = {
            "eligible": len(eligible), "pairs": len(paired),
            "mean_baseline": float(paired["score_first"].mean()),
            "mean_change": float(change.mean()), "sd_change": float(change.std()), "responders": responders}
    return {"definition": "discharged (all periods, closures included), >= 3 visits, reason not "
                          f"{', '.join(NOT_ELIGIBLE)}; no row of the measure with missing_reason unable or "
                          "language; pairs by metrics.md section 6; change oriented; responders: change >= "
                          "MCID of measures.csv",
            "by_measure": result, "eligible_any_measure": len(ended), "pairs_any_measure": len(any_pair),
            "paired_completion": len(any_pair) / len(ended)}


def counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().sort_index().items()}


def by_quarter(dates: pd.Series) -> dict[str, int]:
    return counts(dates.dt.to_period("Q"))


def episode_truth(clean: dict, merged: pd.DataFrame, cut: pd.Timestamp) -> dict:
    """Ends by quarter and reason, closures, re-openings, census."""
    ended = merged[merged["end"].notna()]
    reason = ended["reason"].where(~ended["closed_admin"], "closed_admin")
    is_open = (merged["start_date"] <= cut) & (merged["end"].isna() | (merged["end"] > cut))
    reopened = clean["episodes"]["previous_episode_id"].notna()
    return {
        "merged_episodes": figure(len(merged), "counted episodes, those re-opened within 30 days merged"),
        "reopened": figure(int(reopened.sum()), "episodes with previous_episode_id"),
        "discharge_rows_by_quarter": figure(
            by_quarter(clean["discharges"]["discharge_date"]), "rows of discharges"),
        "ends_by_quarter": figure(
            by_quarter(ended["end"]), "effective end, merged; closures at the last visit"),
        "closed_admin": figure(
            int(ended["closed_admin"].sum()),
            "no discharge, last attended visit >= 60 days before the cut, nothing booked after it"),
        "ends_by_reason": figure(counts(reason), "merged episodes with an effective end"),
        "census_at_cut": figure(int(is_open.sum()), "start <= cut, no end or end > cut, merged"),
        "starts_by_site": figure(counts(merged["site_id"]), "merged episodes"), **effort_truth(ended)}


def effort_truth(ended: pd.DataFrame) -> dict:
    """Goals met, visits and days of ended episodes."""
    judged = ended[~ended["reason"].isin(["deceased", "transferred", "evaluation_only"])]
    met = ((judged["reason"] == "goals_met") | (judged["goals_met_pct"] >= 80)) & ~judged["closed_admin"]
    planned = ended[ended["planned_visits"].notna()]
    return {
        "goals_met_rate": figure(
            float(met.mean()), "reason goals_met or goals_met_pct >= 80, not closed_admin / ended without "
            "deceased, transferred, evaluation_only"),
        "visits_per_episode": figure(
            float(ended["n_attended"].mean()), "attended visits, ended merged episodes"),
        "visit_adherence": figure(
            float(planned["n_attended"].sum() / planned["planned_visits"].sum()),
            "sum attended / sum planned, ended with known plan; of merged ones, the first one's plan"),
        "median_episode_days": figure(
            float((ended["end"] - ended["start_date"]).dt.days.median()), "end - start")}


def access_truth(clean: dict, cut: pd.Timestamp) -> dict:
    """Referral conversion, time to evaluation and waiting at the cut."""
    started = clean["episodes"][clean["episodes"]["status"].isin(["active", "finished"])]
    referrals = clean["referrals"]
    evaluated = referrals["referral_id"].map(started.groupby("referral_id")["start_date"].min())
    days = (evaluated - referrals["received_date"]).dt.days
    mature = (cut - referrals["received_date"]).dt.days >= 30
    waiting = evaluated.isna() & referrals["closed_date"].isna()
    until = evaluated.fillna(referrals["closed_date"]).fillna(cut)
    time = (until - referrals["received_date"]).dt.days
    return {
        "referrals_by_status": figure(counts(referrals["status"]), "rows"),
        "referral_conversion": figure(float((days <= 30)[mature].mean()),
                                      "evaluated within 30 days / received at least 30 days before the cut"),
        "days_to_eval_median": figure(kaplan_meier_median(time, evaluated.notna()),
                                      "Kaplan-Meier; censored at closed_date or the data cut; all referrals"),
        "days_to_eval_median_of_evaluated": figure(float(days.median()), "plain median: flatters"),
        "wait_list": figure(int(waiting.sum()), "received, not evaluated and not closed by the cut")}


def kaplan_meier_median(time: pd.Series, event: pd.Series) -> float:
    """Smallest time with survival below one half."""
    at = pd.DataFrame({"time": time, "event": event, "all": 1}).groupby("time")[["event", "all"]].sum()
    at_risk = at["all"][::-1].cumsum()[::-1]
    survival = (1 - at["event"] / at_risk).cumprod()
    return float(survival.index[survival < 0.5][0])
