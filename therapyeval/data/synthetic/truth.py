"""What is true of the sample: the text of truth.json, from the counts of its blocks.

Figures are those a correct reader finds after setting the planted faults aside (see `flaws`).
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.care import (
    NO_SHOW_BASE,
    REMINDER_FACTOR,
    REMINDER_FROM,
    WEEKDAY_NO_SHOW,
)
from therapyeval.data.synthetic.network import CASES, MEASURES, WAIT_MEDIAN, WAIT_SIGMA
from therapyeval.data.synthetic.pilot import pilot_truth
from therapyeval.data.synthetic.plan import SITES, Plan
from therapyeval.data.synthetic.scores import (
    IMMORTAL_LOG_ODDS,
    PILOT_LOG_ODDS,
    RESPONSE_LOG_ODDS,
    UNFINISHED_LOG_ODDS,
)
from therapyeval.data.synthetic.tally import MCID, NOT_ELIGIBLE, Tally

DUE = ["attended", "no_show", "late_cancel"]
TARGETS = {"no_show_rate": 0.10, "arrival_rate": 0.79, "referral_conversion": 0.77, "goals_met_rate": 0.51,
           "visit_adherence": 0.70}
NO_SHOW = "no_show / (attended + no_show + late_cancel), dated up to the data cut, with or without episode"


def describe_truth(plan: Plan, total: Tally, planted: dict) -> dict:
    """Everything for truth.json: counts, faults, what was put in, and what it came to."""
    truth = {
        "note": "SYNTHETIC data: no real person, clinic or result. Made by therapyeval.data.synthetic.",
        "seed": plan.seed, "n_sites": plan.n_sites, "n_episodes": plan.n_episodes,
        "first_day": str(plan.first), "data_cut": str(plan.cut),
        "rows": {name: int(n) for name, n in total.counts["rows"].items()},
        "planted": {name: fault | {"count": int(total.counts["planted"][name])}
                    for name, fault in planted.items()},
        "put_in": generating_parameters(plan),
        "realized": {**attendance_truth(plan, total), **episode_truth(total), **access_truth(total),
                     "scores": score_truth(total)},
        "pilot": pilot_truth(total.all_rows("log")),
    }
    if plan.n_sites > len(SITES):
        truth["reminders"] = reminder_truth(plan, total)
        truth["calibration"] = calibration(truth["realized"], total)
    return truth


def figure(value: object, definition: str) -> dict:
    return {"value": value, "definition": definition}


def changed_sites(plan: Plan) -> str | list[str]:
    """The site that starts with reminders, or a list of them."""
    sites = plan.sites.loc[plan.sends_reminders, "site_id"].tolist()
    return sites if len(sites) > 1 else sites[0]


def generating_parameters(plan: Plan) -> dict:
    """What was put in, so that a test can ask whether it comes out."""
    sites = plan.sites.set_index("site_id")
    return {
        "no_show_base": NO_SHOW_BASE, "no_show_by_weekday": dict(zip(
            ["Mon", "Tue", "Wed", "Thu", "Fri"], WEEKDAY_NO_SHOW.tolist(), strict=True)),
        "no_show_by_site": sites["no_show"].to_dict(),
        "no_show_change": {"site_id": changed_sites(plan), "from": str(REMINDER_FROM), "factor": REMINDER_FACTOR,
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


def attendance_truth(plan: Plan, total: Tally) -> dict:
    """Appointments by status up to the cut, those without episode, after it, or exactly on the limit."""
    count = total.counts["slots"].groupby("status").sum()
    modes = total.counts["slots_by_mode"].unstack("status", fill_value=0)["attended"]
    every = count[["attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel"]].sum()
    return {
        "appointments_by_status": figure(
            counts(count), "rows of visits dated up to the data cut; planted faults set aside"),
        "future_bookings": figure(total.n("future"), "rows of visits dated after the data cut"),
        "appointments_without_episode": figure(total.n("without_episode"), "dated up to the data cut"),
        "early_cancels_at_exactly_24_hours": figure(
            total.n("exactly_24_hours"), "scheduled_start - status_dt = 24 h: early"),
        "cancels_without_time": figure(
            total.n("without_time"),
            "late_cancel or early_cancel with empty status_dt: the label decides"),
        **no_show_truth(plan, total),
        "late_cancel_share": figure(
            float(count["late_cancel"] / count[["late_cancel", "early_cancel"]].sum()),
            "late_cancel / (late_cancel + early_cancel)"),
        "arrival_rate": figure(float(count["attended"] / every),
                               "attended / (attended + no_show + late, early and clinic cancels)"),
        "telehealth_share": figure(float(modes["telehealth"] / modes.sum()), "mode telehealth / attended")}


def no_show_rate(slots: pd.Series, by: str) -> dict:
    """Rate for each value of one level of the counts."""
    table = slots.groupby([by, "status"]).sum().unstack("status", fill_value=0)
    return (table["no_show"] / table[DUE].sum(axis=1)).to_dict()


def no_show_truth(plan: Plan, total: Tally) -> dict:
    """No-show rates: all, last quarter, by site and weekday, and around the one change put in."""
    slots = total.counts["slots"]
    count = slots.groupby("status").sum()
    changed = np.atleast_1d(changed_sites(plan))
    there = slots[slots.index.isin(changed, level="site_id")]
    return {
        "no_show_rate": figure(float(count["no_show"] / count[DUE].sum()), NO_SHOW),
        "no_show_rate_2026Q3": figure(
            no_show_rate(total.counts["slots_by_quarter"], "quarter")["2026Q3"], NO_SHOW + ", in 2026Q3"),
        "no_show_rate_by_site": figure(no_show_rate(slots, "site_id"), NO_SHOW),
        "no_show_rate_by_weekday": figure(no_show_rate(slots, "weekday"), NO_SHOW),
        "no_show_rate_around_change": figure(
            {"site_id": changed_sites(plan), **no_show_rate(there, "when")},
            NO_SHOW + "; before and from the day of the change")}


def reminder_truth(plan: Plan, total: Tally) -> dict:
    """Text reminders begin at some sites on one day: the true effect, and the difference in differences."""
    slots = total.counts["slots"]
    is_there = slots.index.isin(np.atleast_1d(changed_sites(plan)), level="site_id")
    there, elsewhere = (no_show_rate(slots[rows], "when") for rows in (is_there, ~is_there))
    seen = slots[is_there].groupby(["when", "status"]).sum()["after"]
    without = seen.sub(total.counts["reminded"], fill_value=0).add(
        total.counts["reminded_without"], fill_value=0)
    rate_without = float(without["no_show"] / without[DUE].sum())
    return {
        "sites": len(np.atleast_1d(changed_sites(plan))), "from": str(REMINDER_FROM), "factor": REMINDER_FACTOR,
        "rate_with": figure(there["after"], NO_SHOW + "; sites with reminders, from that day"),
        "rate_without": figure(rate_without, "the same appointments, had there been no reminders"),
        "effect": figure(there["after"] - rate_without, "rate with minus rate without: the true effect"),
        "difference_in_differences": figure(
            (there["after"] - there["before"]) - (elsewhere["after"] - elsewhere["before"]),
            "change at the sites with reminders minus change at the others: an estimate of the effect")}


def calibration(realized: dict, total: Tally) -> dict:
    """What the rates were set to, and what they came to."""
    planted, reasons = total.counts["planted"], realized["ends_by_reason"]["value"]
    twice = sum(int(planted[f"duplicate_{kind}"]) for kind in ("exact", "corrected", "conflict"))
    reached = {
        "duplicate_scores": (0.05, twice / total.n("scored")),
        "never_discharged": (0.03, realized["closed_admin"]["value"] / realized["merged_episodes"]["value"]),
        **{name: (TARGETS[name], realized[name]["value"]) for name in TARGETS},
        "paired_completion": (0.65, realized["scores"]["paired_completion"])}
    return {name: {"target": target, "reached": value} for name, (target, value) in reached.items()} | {
        "deaths": reasons.get("deceased", 0), "transfers": reasons.get("transferred", 0),
        "source": "targets: data model section 9, metric definitions"}


def score_truth(total: Tally) -> dict:
    """Change and responders of each measure in eligible episodes with a pair; paired completion."""
    pairs, result = total.all_rows("pairs"), {}
    for code, eligible in total.counts["eligible"].items():
        mine = pairs[pairs["measure"] == code]
        change = mine["change"]
        responders = int((change >= MCID[code] - 1e-9 * MCID[code]).sum()) if code in MCID else None
        result[code] = {
            "eligible": int(eligible), "pairs": len(mine),
            "mean_baseline": float(mine["first"].mean()),
            "mean_change": float(change.mean()), "sd_change": float(change.std()), "responders": responders}
    return {"definition": "discharged (all periods, closures included), >= 3 visits, reason not "
                          f"{', '.join(NOT_ELIGIBLE)}; no row of the measure with missing_reason unable or "
                          "language; pairs by metrics.md section 6; change oriented; responders: change >= "
                          "MCID of measures.csv",
            "by_measure": result, "eligible_any_measure": total.n("eligible"),
            "pairs_any_measure": total.n("with_pair"),
            "paired_completion": total.n("with_pair") / total.n("eligible")}


def counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.sort_index().items()}


def median(values: pd.Series) -> float:
    """Median of values given with how often each occurs."""
    return float(np.median(np.repeat(values.index.to_numpy(), values.to_numpy())))


def episode_truth(total: Tally) -> dict:
    """Ends by quarter and reason, closures, re-openings, census."""
    return {
        "merged_episodes": figure(total.n("merged"), "counted episodes, those re-opened within 30 days merged"),
        "reopened": figure(total.n("reopened"), "episodes with previous_episode_id"),
        "discharge_rows_by_quarter": figure(counts(total.counts["discharges"]), "rows of discharges"),
        "ends_by_quarter": figure(
            counts(total.counts["ends"]), "effective end, merged; closures at the last visit"),
        "closed_admin": figure(
            total.n("closed_admin"),
            "no discharge, last attended visit >= 60 days before the cut, nothing booked after it"),
        "ends_by_reason": figure(counts(total.counts["reasons"]), "merged episodes with an effective end"),
        "census_at_cut": figure(total.n("census"), "start <= cut, no end or end > cut, merged"),
        "starts_by_site": figure(counts(total.counts["starts_by_site"]), "merged episodes"),
        "goals_met_rate": figure(
            total.n("goals_met") / total.n("judged"), "reason goals_met or goals_met_pct >= 80, not "
            "closed_admin / ended without deceased, transferred, evaluation_only"),
        "visits_per_episode": figure(
            total.n("visits_ended") / total.n("ended"), "attended visits, ended merged episodes"),
        "visit_adherence": figure(
            total.n("visits_of_planned") / total.n("visits_planned"),
            "sum attended / sum planned, ended with known plan; of merged ones, the first one's plan"),
        "median_episode_days": figure(median(total.counts["days"]), "end - start")}


def access_truth(total: Tally) -> dict:
    """Referral conversion, time to evaluation and waiting at the cut."""
    waits = total.counts["waits"].unstack("event", fill_value=0)
    return {
        "referrals_by_status": figure(counts(total.counts["referrals"]), "rows"),
        "referral_conversion": figure(total.n("converted") / total.n("mature"),
                                      "evaluated within 30 days / received at least 30 days before the cut"),
        "days_to_eval_median": figure(kaplan_meier_median(waits),
                                      "Kaplan-Meier; censored at closed_date or the data cut; all referrals"),
        "days_to_eval_median_of_evaluated": figure(median(waits[True]), "plain median: flatters"),
        "wait_list": figure(total.n("waiting"), "received, not evaluated and not closed by the cut")}


def kaplan_meier_median(waits: pd.DataFrame) -> float:
    """Smallest time with survival below one half, of evaluated (True) and censored (False) at each time."""
    at_risk = waits.sum(axis=1)[::-1].cumsum()[::-1]
    survival = (1 - waits[True] / at_risk).cumprod()
    return float(survival.index[survival < 0.5][0])
