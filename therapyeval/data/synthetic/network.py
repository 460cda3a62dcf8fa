"""The invented network "Harbor Rehab": its staff and measures, and who is referred and starts care.

Every number here is made up, except that rates are set near the published ones in `domain/metrics.md`.
Names of sites, measures and codes are those of the data model, sections 1 and 4.
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.plan import STAFFED_FOR, Plan

PILOT_FIRST, PILOT_LAST = np.datetime64("2026-01-05"), np.datetime64("2026-07-31")
DISCIPLINES = ["PT", "OT", "SLP"]
HOLIDAYS = np.array(
    ["2024-07-04", "2024-09-02", "2024-11-28", "2024-12-25", "2025-01-01", "2025-05-26", "2025-07-04",
     "2025-09-01", "2025-11-27", "2025-12-25", "2026-01-01", "2026-05-25", "2026-07-03", "2026-09-07",
     "2026-11-26", "2026-12-25"],
    dtype="M8[D]")
MONTH_WEIGHT = np.array([1.06, 1.02, 1.06, 1.04, 1.02, 0.99, 0.92, 0.95, 1.02, 1.07, 0.97, 0.84])
GROWTH_PER_DAY = 0.00012

# `share` is within the discipline; the primary measure comes first.
CASES = pd.DataFrame(
    [("PT", "lumbar_pelvis", 0.30, ["odi", "nprs"], "spine", "M54.50", 0.45),
     ("PT", "knee", 0.17, ["lefs", "nprs"], "orthopedic", "M17.11", 0.35),
     ("PT", "shoulder", 0.13, ["quickdash", "nprs"], "orthopedic", "M75.101", 0.40),
     ("PT", "cervical", 0.12, ["ndi", "nprs"], "spine", "M54.2", 0.40),
     ("PT", "hip", 0.08, ["lefs", "nprs"], "orthopedic", "M16.11", 0.40),
     ("PT", "ankle_foot", 0.07, ["lefs", "nprs"], "orthopedic", "S93.401D", 0.20),
     ("PT", "vestibular_balance", 0.08, ["berg"], "balance", "R26.81", 0.50),
     ("PT", "neuro", 0.05, ["berg"], "neuro", "I69.351", 0.55),
     ("OT", "elbow_wrist_hand", 0.48, ["quickdash"], "hand", "S52.501D", 0.20),
     ("OT", "general", 0.22, ["copm_perf"], "daily_living", "M06.9", 0.60),
     ("OT", "neuro", 0.30, ["barthel_100"], "neuro", "I69.354", 0.45),
     ("SLP", "swallowing", 0.38, ["asha_noms_fcm", "eat10"], "swallowing", "R13.12", 0.30),
     ("SLP", "language_cognition", 0.37, ["wab_aq"], "communication", "I69.320", 0.50),
     ("SLP", "voice", 0.25, ["vhi10"], "voice", "R49.0", 0.55)],
    columns=["discipline", "body_region", "share", "measures", "program", "primary_dx", "chronic"])

# Range and direction as in measures.csv; mean and spread at the start; `gain` is the mean oriented change of
# a typical patient, `slope` its rise per point of worse start, `noise` its spread; scores lie on `step`.
MEASURES = pd.DataFrame(
    [("odi", -1, 0, 100, 2, 42, 13, 13.0, 0.35, 10.0, "self"),
     ("lefs", 1, 0, 80, 1, 38, 14, 13.0, 0.30, 11.0, "self"),
     ("ndi", -1, 0, 50, 1, 20, 7, 8.5, 0.35, 6.0, "self"),
     ("quickdash", -1, 0, 100, 25 / 11, 46, 17, 20.0, 0.35, 14.0, "self"),
     ("berg", 1, 0, 56, 1, 37, 8, 7.0, 0.25, 4.5, "clinician"),
     ("copm_perf", 1, 1, 10, 0.2, 3.8, 1.3, 2.4, 0.30, 1.6, "self"),
     ("barthel_100", 1, 0, 100, 5, 62, 17, 13.0, 0.30, 11.0, "clinician"),
     ("asha_noms_fcm", 1, 1, 7, 1, 4.0, 1.1, 1.1, 0.20, 0.9, "clinician"),
     ("wab_aq", 1, 0, 100, 0.1, 58, 17, 6.0, 0.05, 5.0, "clinician"),
     ("vhi10", -1, 0, 40, 1, 20, 7, 6.0, 0.30, 5.5, "self"),
     ("nprs", -1, 0, 10, 1, 5.6, 1.8, 2.3, 0.40, 1.8, "self"),
     ("eat10", -1, 0, 40, 1, 17, 8, 6.0, 0.30, 6.0, "self")],
    columns=["code", "sign", "low", "high", "step", "mean", "spread", "gain", "slope", "noise",
             "respondent"]).set_index("code")
AGE_SLOPE = -0.008          # response, in standard deviations, per year above 55

SHARES = {"second_discipline": 0.05, "other_region": 0.08, "return_later": 0.03, "reopened": 0.02,
          "never_counted": 0.006}
REFERRED, NEVER_ATTENDED_PER_REFERRED, WAIT_MEDIAN, WAIT_SIGMA = 0.86, 0.25, 8.0, 0.75


def working_day(days: np.ndarray, later: np.ndarray | int = 0) -> np.ndarray:
    """The day itself or the next on which clinics are open, then `later` open days on."""
    return np.busday_offset(days.astype("M8[D]"), later, roll="forward", holidays=HOLIDAYS)


def draw_days(rng: np.random.Generator, plan: Plan, n: int) -> np.ndarray:
    """Open days between first day and data cut, with the seasons, a Monday peak and slow growth."""
    days = np.arange(plan.first, plan.cut + 1)
    days = days[np.is_busday(days, holidays=HOLIDAYS)]
    weight = MONTH_WEIGHT[days.astype("M8[M]").astype(int) % 12] * (1 + GROWTH_PER_DAY * np.arange(len(days)))
    weight = weight * np.where(days.astype(int) % 7 == 4, 1.15, 1.0)      # 1970-01-05, day 4, was a Monday
    return np.sort(rng.choice(days, n, p=weight / weight.sum()))


def completed_years(birth: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Age in completed years."""
    birth, day = pd.DatetimeIndex(birth), pd.DatetimeIndex(day)
    before = (day.month < birth.month) | ((day.month == birth.month) & (day.day < birth.day))
    return np.asarray(day.year - birth.year - before)


def draw_patients(rng: np.random.Generator, reference_day: np.ndarray) -> pd.DataFrame:
    """People, with their birth date such that they are adults on the day given."""
    n = len(reference_day)
    age = np.clip(rng.normal(55, 17, n).round(), 18, 95).astype(int)
    month = reference_day.astype("M8[M]")
    day_of_month = np.minimum((reference_day - month.astype("M8[D]")).astype(int), 27)
    birth = (month - 12 * age).astype("M8[D]") + day_of_month - rng.integers(0, 363, n)
    return pd.DataFrame({
        "birth_date": birth,
        "sex": rng.choice(["female", "male", "unknown"], n, p=[0.57, 0.42, 0.01]),
        "language": rng.choice(["en", "es", "other"], n, p=[0.88, 0.09, 0.03]),
        "deprivation": rng.choice(np.arange(1, 6), n, p=[0.16, 0.2, 0.22, 0.22, 0.2]),
        "unreliable": np.exp(rng.normal(-0.125, 0.5, n))})


def draw_cases(rng: np.random.Generator, discipline: np.ndarray) -> np.ndarray:
    """Row of CASES for each episode, given its discipline."""
    case = np.empty(len(discipline), dtype=int)
    for name, group in CASES.groupby("discipline"):
        mask = discipline == name
        case[mask] = rng.choice(group.index, mask.sum(), p=group["share"])
    return case


def draw_payer(rng: np.random.Generator, age: np.ndarray) -> np.ndarray:
    young = rng.choice(["commercial", "medicaid", "workers_comp", "auto", "tricare_va", "self_pay", "other",
                        "unknown"], len(age), p=[0.58, 0.16, 0.08, 0.03, 0.04, 0.07, 0.02, 0.02])
    old = rng.choice(["medicare_ffs", "medicare_advantage", "commercial", "medicaid", "unknown"],
                     len(age), p=[0.47, 0.37, 0.09, 0.05, 0.02])
    return np.where(age >= 65, old, young)


def draw_scores(rng: np.random.Generator, measure: np.ndarray, severity: np.ndarray,
                response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last scores: change = gain + slope * (points worse than mean) + noise * response.

    The first lies on the scale's steps; the change starts from it as rounded, so that a linear model with
    baseline and age is the true one. The last is still to be brought onto the scale (`on_scale`).
    """
    facts = MEASURES.loc[measure]
    sign, mean, spread, gain, slope, noise = (
        facts[name].to_numpy() for name in ("sign", "mean", "spread", "gain", "slope", "noise"))
    first = on_scale(measure, mean - sign * spread * severity)
    change = gain + slope * sign * (mean - first) + noise * response
    return first, first + sign * change


def on_scale(measure: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores moved to the nearest step of their scale and into its range, one decimal at most."""
    facts = MEASURES.loc[measure]
    low, high, step = (facts[name].to_numpy() for name in ("low", "high", "step"))
    return np.clip(low + np.round((score - low) / step) * step, low, high).round(1)


def draw_episodes(rng: np.random.Generator, plan: Plan, drawn: pd.DataFrame,
                  patients: pd.DataFrame) -> pd.DataFrame:
    """The rest of an episode, given patient, discipline, case, site and start date."""
    n, episodes = len(drawn), drawn.reset_index(drop=True)
    birth = patients["birth_date"].to_numpy()[episodes["patient"]]
    age = completed_years(birth, episodes["start_date"].to_numpy())
    case = CASES.iloc[episodes["case"]].reset_index(drop=True)
    chronic = rng.random(n) < case["chronic"]
    episodes["age"] = age
    episodes["payer_class"] = draw_payer(rng, age)
    episodes["acuity"] = np.where(chronic, "chronic", rng.choice(["acute", "subacute"], n, p=[0.45, 0.55]))
    episodes["surgery_flag"] = (rng.random(n) < 0.18) & (case["program"] != "balance").to_numpy()
    episodes["setting"] = rng.choice(["outpatient", "telehealth"], n, p=[0.98, 0.02])
    episodes["planned"] = rng.choice([6, 8, 10, 12, 16], n, p=[0.14, 0.27, 0.29, 0.22, 0.08])
    episodes["severity"] = rng.normal(0, 1, n)
    episodes["response"] = (
        plan.sites["response"].to_numpy()[episodes["site"]] + AGE_SLOPE * (age - 55) - 0.25 * chronic
        - 0.3 * (episodes["payer_class"] == "workers_comp") + rng.normal(0, 1, n))
    episodes["measure"] = case["measures"].str[0]
    episodes["first_score"], episodes["last_score"] = draw_scores(
        rng, episodes["measure"].to_numpy(), episodes["severity"].to_numpy(), episodes["response"].to_numpy())
    return episodes


def first_episodes(plan: Plan, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One episode for each of n people, and the people."""
    rng = plan.generator("first episodes")
    start = draw_days(rng, plan, n)
    patients = draw_patients(rng, start)
    discipline = rng.choice(DISCIPLINES, n, p=[0.62, 0.22, 0.16])
    drawn = pd.DataFrame({
        "patient": np.arange(n), "kind": "first", "discipline": discipline,
        "case": draw_cases(rng, discipline), "site": rng.choice(plan.n_sites, n, p=plan.sites["share"]),
        "start_date": start, "parent": -1})
    return draw_episodes(rng, plan, drawn, patients), patients


def parallel_episodes(plan: Plan, episodes: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """Second episodes of some people: another discipline at about the same time, or another body region."""
    rng = plan.generator("parallel episodes")
    n_other, n_region = (plan.count(SHARES[kind]) for kind in ("second_discipline", "other_region"))
    parent = rng.permutation(len(episodes))[:n_other + n_region]
    chosen = episodes.iloc[parent].reset_index(drop=True)
    is_other = np.arange(len(chosen)) < n_other
    discipline = chosen["discipline"].to_numpy()
    discipline = np.where(is_other, np.where(discipline == "PT", "OT", "PT"), discipline)
    case = draw_cases(rng, discipline)
    while (same := ~is_other & (case == chosen["case"])).any():
        case[same] = draw_cases(rng, discipline[same])
    near = chosen["start_date"].to_numpy().astype("M8[D]") + rng.integers(-10, 20, len(chosen))
    start = np.where(is_other, np.clip(near, plan.first, plan.cut - 3),
                     rng.permutation(draw_days(rng, plan, len(chosen))))
    drawn = pd.DataFrame({
        "patient": chosen["patient"], "kind": np.where(is_other, "second_discipline", "other_region"),
        "discipline": discipline, "case": case, "site": chosen["site"], "start_date": working_day(start),
        "parent": -1})
    return draw_episodes(rng, plan, drawn, patients)


def later_episodes(plan: Plan, episodes: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """Episodes after one of the same patient, discipline and region: re-opened within 30 days, or later.

    A re-opened one starts from where the first ended; one in six goes on at another site, as a transfer.
    """
    rng = plan.generator("later episodes")
    n_reopened, n_return = plan.count(SHARES["reopened"]), plan.count(SHARES["return_later"])
    end = episodes["discharge_date"].to_numpy().astype("M8[D]")
    usable = (end < plan.cut - 60) & ~episodes["in_pilot"] & (episodes["reason"] != "deceased")
    parent = rng.permutation(np.flatnonzero(usable))[:n_reopened + n_return]
    chosen = episodes.iloc[parent].reset_index(drop=True)
    n, is_reopened = len(parent), np.arange(len(parent)) < n_reopened
    gap = np.where(is_reopened, rng.integers(2, 25, n), rng.integers(31, 260, n))
    latest = (plan.cut - 7 - end[parent]).astype(int)                 # at least 54, so after every re-opening
    gap = np.where(gap > latest, 31 + gap % (latest - 31), gap)
    moves = is_reopened & (rng.random(n) < 1 / 6)
    site = np.where(moves, (chosen["site"] + 1) % plan.n_sites, chosen["site"])
    drawn = pd.DataFrame({
        "patient": chosen["patient"], "kind": np.where(is_reopened, "reopened", "return_later"),
        "discipline": chosen["discipline"], "case": chosen["case"], "site": site,
        "start_date": working_day(end[parent] + gap), "parent": parent})
    later = draw_episodes(rng, plan, drawn, patients)
    change = later["last_score"] - later["first_score"]
    measure = later["measure"].to_numpy()
    relapse = 0.4 * (chosen["first_score"] - chosen["last_score"]).to_numpy()
    first = on_scale(measure, np.where(is_reopened, chosen["last_score"] + relapse, later["first_score"]))
    return later.assign(first_score=first, last_score=first + change * np.where(is_reopened, 0.5, 1.0))


def build_staff(plan: Plan) -> pd.DataFrame:
    """Clinicians of each site and discipline of the whole network, those who evaluate first, then assistants."""
    size = plan.n_episodes / STAFFED_FOR
    rng = plan.generator("staff")
    rows = []
    for site, share in enumerate(plan.sites["share"]):
        for discipline, weight in zip(DISCIPLINES, (30, 12, 9), strict=True):
            n_evaluating = max(2, round(weight * share * size))
            assistant = {"PT": "PTA", "OT": "OTA", "SLP": "CFY"}[discipline]
            n_assistant = max(1, round(n_evaluating * 0.4)) if discipline != "SLP" else 0
            rows += [(site, discipline, discipline)] * n_evaluating
            rows += [(site, discipline, assistant)] * n_assistant
    staff = pd.DataFrame(rows, columns=["site", "discipline", "license_type"])
    n = len(staff)
    staff["fte"] = rng.choice([1.0, 0.8, 0.6, 0.5], n, p=[0.6, 0.2, 0.12, 0.08])
    staff["hire_date"] = plan.first - rng.integers(30, 4000, n)
    staff["end_date"] = np.full(n, np.datetime64("NaT"), dtype="M8[D]")
    return staff
