"""What happens in care: referrals, courses of appointments and how they end.

Indices, not identifiers: `patient`, `episode`, `site`, `staff` are row numbers until the tables are written.
"""

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.network import (
    CASES,
    NEVER_ATTENDED_PER_REFERRED,
    REFERRED,
    WAIT_MEDIAN,
    WAIT_SIGMA,
    draw_cases,
    draw_days,
    draw_patients,
    working_day,
)
from therapyeval.data.synthetic.pilot import logistic
from therapyeval.data.synthetic.plan import Plan

HORIZON_DAYS = 28                                   # how far ahead appointments are booked
WEEKDAY_NO_SHOW = np.array([1.20, 0.95, 0.90, 0.95, 1.15])
NO_SHOW_BASE, REMINDER_FACTOR = 0.093, 0.6
REMINDER_FROM = np.datetime64("2026-02-02")         # text reminders start at some sites: a chart should see it
OTHER_STATUSES = {"late_cancel": 0.042, "early_cancel": 0.058, "clinic_cancel": 0.030, "rescheduled": 0.036,
                  "deleted": 0.003, "entered_in_error": 0.002, "booked": 0.011}
IMMORTAL_SHARE = 0.03
FINISHED_REASONS = {"plateau": 0.42, "medical_change": 0.14, "payer_ended": 0.13,
                    "authorization_exhausted": 0.11, "surgery": 0.05, "moved": 0.04, "other": 0.06,
                    "unknown": 0.05}
DROPOUT_REASONS = {"self_discharge": 0.48, "lost_contact": 0.30, "noncompliant": 0.12, "administrative": 0.10}
INTERRUPTED_REASONS = {"hospitalized": 0.38, "transferred": 0.26, "deceased": 0.12, "moved": 0.24}
NOTHING = np.datetime64("NaT")


def draw_from(rng: np.random.Generator, shares: dict[str, float], n: int) -> np.ndarray:
    """Names drawn with their shares."""
    return rng.choice(list(shares), n, p=list(shares.values()))


def draw_course_ends(rng: np.random.Generator, episodes: pd.DataFrame, may_die: np.ndarray) -> pd.DataFrame:
    """How each course goes (finished, dropout, interrupted, evaluation only), why, and how many appointments.

    Those who respond poorly drop out more often: scores go missing, but not at random.
    """
    n, planned = len(episodes), episodes["planned"].to_numpy()
    drop = logistic(-1.30 - 0.55 * episodes["response"] + 0.35 * (episodes["payer_class"] == "medicaid"))
    u = rng.random(n)
    course = np.select([u < 0.045, u < 0.08, u < 0.08 + 0.92 * drop],
                       ["evaluation", "interrupted", "dropout"], "finished")
    met = rng.random(n) < logistic(0.95 + 0.75 * episodes["response"])
    finished = np.where(met, "goals_met", draw_from(rng, FINISHED_REASONS, n))
    interrupted = draw_from(rng, INTERRUPTED_REASONS, n)
    interrupted = np.where((interrupted == "deceased") & ~may_die, "hospitalized", interrupted)
    reason = np.select([course == "finished", course == "interrupted", course == "evaluation"],
                       [finished, interrupted, "evaluation_only"], draw_from(rng, DROPOUT_REASONS, n))
    full = np.maximum(3, np.round(planned * rng.uniform(0.90, 1.40, n)))
    partly = 2 + np.floor(rng.random(n) ** 1.4 * planned * 0.8)
    slots = np.select([course == "finished", course == "evaluation"], [full, 1], partly).astype(int)
    return episodes.assign(course=course, reason=reason, n_slots=slots)


def draw_slots(rng: np.random.Generator, plan: Plan, episodes: pd.DataFrame,
               patients: pd.DataFrame) -> pd.DataFrame:
    """Appointments of every course with their status; after the data cut, `booked` ones of four weeks."""
    n_slots = episodes["n_slots"].to_numpy()
    episode = np.repeat(np.arange(len(episodes)), n_slots)
    begins = np.cumsum(n_slots) - n_slots
    number = np.arange(len(episode)) - begins[episode]
    gap = np.where(number == 0, 0, rng.choice([2, 3, 5], len(episode), p=[0.45, 0.3, 0.25]))
    passed = np.cumsum(gap)
    passed = passed - passed[begins][episode]
    start = episodes["start_date"].to_numpy().astype("M8[D]")
    slots = pd.DataFrame({
        "patient": episodes["patient"].to_numpy()[episode], "episode": episode, "number": number,
        "site": episodes["site"].to_numpy()[episode],
        "discipline": episodes["discipline"].to_numpy()[episode],
        "date": working_day(start[episode], passed), "is_last": number == n_slots[episode] - 1})
    slots["mode"] = draw_modes(rng, episodes, slots)
    slots["status"], slots["without_reminders"] = draw_statuses(rng, plan, episodes, patients, slots)
    slots = add_times(rng, plan, slots, start[episode])
    last_planned = slots["date"].to_numpy()[begins + n_slots - 1]
    slots["planned_end"] = last_planned[episode]
    return slots[slots["date"] <= plan.cut + HORIZON_DAYS].reset_index(drop=True)


def draw_modes(rng: np.random.Generator, episodes: pd.DataFrame, slots: pd.DataFrame) -> np.ndarray:
    """In person or at a distance: the pilot's arm decides in it, elsewhere few are at a distance."""
    arm = episodes["arm"].to_numpy()[slots["episode"]]
    setting = episodes["setting"].to_numpy()[slots["episode"]]
    first = (slots["number"] == 0).to_numpy()
    share = np.select([arm == "telerehab", arm == "usual", setting == "telehealth"],
                      [np.where(first, 0.35, 0.85), np.where(first, 0.0, 0.02), 0.85], 0.03)
    u = rng.random(len(slots))
    return np.where(u < share, np.where(u < 0.06 * share, "phone", "telehealth"), "in_person")


def draw_statuses(rng: np.random.Generator, plan: Plan, episodes: pd.DataFrame, patients: pd.DataFrame,
                  slots: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Attended or not: by site, weekday, winter, mode, person, and reminders at some sites.

    The second array is what the status would be without reminders: the same draws, so the effect is known.
    """
    date, site = slots["date"].to_numpy().astype("M8[D]"), slots["site"].to_numpy()
    winter, weekday = np.isin(date.astype("M8[M]").astype(int) % 12, [0, 1]), (date.astype(int) + 3) % 7
    no_show = (NO_SHOW_BASE * plan.sites["no_show"].to_numpy()[site] * WEEKDAY_NO_SHOW[weekday]
               * patients["unreliable"].to_numpy()[slots["patient"]] * np.where(winter, 1.12, 1.0)
               * np.where(slots["mode"] == "in_person", 1.0, 0.7))
    is_reminded = plan.sends_reminders[site] & (date >= REMINDER_FROM)
    limits = np.cumsum([0.0, *OTHER_STATUSES.values()])
    u, last_u = rng.random(len(slots)), rng.random(len(slots))
    course = episodes["course"].to_numpy()[slots["episode"]]
    misses = slots["is_last"] & (course == "dropout") & (last_u < 0.7)
    missed = np.select([last_u < 0.33, last_u < 0.45], ["no_show", "late_cancel"], "early_cancel")
    must = (slots["number"] == 0) | (slots["is_last"] & (course == "finished"))

    def status(no_show: np.ndarray) -> np.ndarray:
        drawn = np.select([u < no_show, *(u < no_show + limit for limit in limits[1:])],
                          ["no_show", *OTHER_STATUSES], "attended")
        drawn = np.where(must, "attended", np.where(misses, missed, drawn))
        return np.where(date > plan.cut, "booked", drawn)

    return status(no_show * np.where(is_reminded, REMINDER_FACTOR, 1.0)), status(no_show)


def add_times(rng: np.random.Generator, plan: Plan, visits: pd.DataFrame,
              earliest: np.ndarray) -> pd.DataFrame:
    """Clock times, booking dates, when a status changed, and the kind of visit.

    A late cancel is recorded less than 24 hours before the start (or just after it), an early one at least 24
    hours before; one in a hundred early ones exactly 24. A few have no time: the label then decides.
    """
    n, date = len(visits), visits["date"].to_numpy().astype("M8[D]")
    shift = visits["discipline"].map({"PT": 0, "OT": 4, "SLP": 8}).to_numpy()  # not two at one time
    usual = (rng.integers(0, 19, 4000)[visits["patient"].to_numpy() % 4000] + shift) % 19
    slot = np.where(rng.random(n) < 0.6, usual, rng.integers(0, 19, n))
    start = date.astype("M8[m]") + 8 * 60 + 30 * slot
    first = (visits["number"] == 0).to_numpy()
    minutes = np.where(first, 60, rng.choice([30, 45, 60], n, p=[0.25, 0.65, 0.1]))
    booked = np.minimum(np.maximum(date - rng.integers(3, 26, n), earliest), np.minimum(date - 1, plan.cut))
    booked = np.where(first, np.minimum(earliest + 1, np.minimum(date - 1, plan.cut)), booked)
    ahead = (start - booked.astype("M8[m]")).astype(int)
    status = visits["status"].to_numpy()
    u = rng.random(n)
    early = np.where(rng.random(n) < 0.01, 1440, 1440 + (u * np.maximum(ahead - 1440, 0)).astype(int))
    late = np.where(rng.random(n) < 0.03, -(u * 90).astype(int), 15 + (u * 1410).astype(int))
    any_time = np.where(rng.random(n) < 0.4, late, early)
    before = np.select([status == "late_cancel", status == "early_cancel"], [late, early], any_time)
    changed = np.isin(status, ["late_cancel", "early_cancel", "clinic_cancel", "rescheduled"])
    has_time = changed & (rng.random(n) > 0.03)
    kind = np.select([first, visits["is_last"], visits["number"] % 10 == 9, rng.random(n) < 0.02],
                     ["evaluation", "discharge", "re-evaluation", "group"], "treatment")
    kind = np.where((kind == "discharge") & (status != "attended"), "treatment", kind)
    return visits.assign(
        start=start, end=start + minutes, booked_date=booked.astype("M8[D]"), visit_type=kind,
        status_dt=np.where(has_time, start - before, np.datetime64("NaT", "m")))


def close_courses(rng: np.random.Generator, plan: Plan, episodes: pd.DataFrame,
                  slots: pd.DataFrame) -> pd.DataFrame:
    """Last attended visit, discharge date (missing where open or never entered) and the discharge details."""
    n = len(episodes)
    attended = slots[slots["status"] == "attended"].groupby("episode")["date"].agg(["max", "size"])
    last = attended["max"].reindex(range(n)).to_numpy().astype("M8[D]")
    planned_end = slots.groupby("episode")["planned_end"].max().to_numpy().astype("M8[D]")
    course = episodes["course"].to_numpy()
    lag = np.where(rng.random(n) < 0.75, 0, rng.integers(1, 20, n))
    lag = np.where(course == "dropout", rng.integers(10, 33, n), lag)
    lag = np.where(episodes["reason"] == "administrative", rng.integers(30, 46, n), lag)
    end = np.maximum(last, planned_end) + lag
    ended = planned_end <= plan.cut
    could = np.flatnonzero(ended & (planned_end < plan.cut - 75) & (episodes["reason"] != "deceased"))
    is_immortal = np.zeros(n, dtype=bool)
    is_immortal[rng.permutation(could)[:round(IMMORTAL_SHARE * n)]] = True
    is_closed = ended & (end <= plan.cut) & ~is_immortal
    met = (episodes["reason"] == "goals_met").to_numpy()
    goals = np.where(met, rng.choice([75, 80, 90, 100], n, p=[0.05, 0.2, 0.25, 0.5]),
                     rng.choice([0, 20, 40, 50, 60, 75, 80], n, p=[0.12, 0.16, 0.2, 0.22, 0.18, 0.09, 0.03]))
    return episodes.assign(
        last_attended=last, n_attended=attended["size"].reindex(range(n)).to_numpy(), ended=ended,
        is_immortal=is_immortal, discharge_date=np.where(is_closed, end, NOTHING),
        goals_met_pct=np.where(rng.random(n) < 0.08, np.nan, goals))


def draw_care(plan: Plan, part: str, episodes: pd.DataFrame, patients: pd.DataFrame,
              may_die: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Courses, appointments and ends of the episodes given."""
    rng = plan.generator(part)
    episodes = draw_course_ends(rng, episodes, may_die)
    slots = draw_slots(rng, plan, episodes, patients)
    return close_courses(rng, plan, episodes, slots), slots


def draw_wait(rng: np.random.Generator, plan: Plan, site: np.ndarray) -> np.ndarray:
    """Days from referral to evaluation: log-normal, longer at some sites."""
    median = WAIT_MEDIAN * plan.sites["wait"].to_numpy()[site]
    return np.round(median * np.exp(rng.normal(0, WAIT_SIGMA, len(site)))).astype(int)


def draw_referrals(plan: Plan, episodes: pd.DataFrame, n_patients: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Referrals behind episodes, never attended and still waiting; and the people of the last two."""
    rng = plan.generator("referrals")
    source = np.flatnonzero((episodes["kind"] != "reopened") & (rng.random(len(episodes)) < REFERRED))
    seen = episodes.iloc[source]
    start = seen["start_date"].to_numpy().astype("M8[D]")
    received = start - draw_wait(rng, plan, seen["site"].to_numpy())
    converted = pd.DataFrame({
        "patient": seen["patient"].to_numpy(), "episode": source, "case": seen["case"].to_numpy(),
        "site": seen["site"].to_numpy(),
        "received_date": np.busday_offset(received, 0, roll="backward"),
        "start_date": start, "status": "converted"})
    n_never = round(NEVER_ATTENDED_PER_REFERRED * len(source))
    recent = np.flatnonzero(start > plan.cut - 150)                    # the same stream, shifted past the cut
    wait = draw_wait(rng, plan, converted["site"].to_numpy()[recent])
    shifted = start[recent] + wait
    waits = shifted > plan.cut
    waiting = converted.iloc[recent[waits]].assign(received_date=start[recent][waits], status="scheduled",
                                                   start_date=working_day(shifted[waits]))
    discipline = rng.choice(["PT", "OT", "SLP"], n_never, p=[0.64, 0.21, 0.15])
    never = pd.DataFrame({
        "case": draw_cases(rng, discipline), "site": rng.choice(plan.n_sites, n_never, p=plan.sites["share"]),
        "received_date": draw_days(rng, plan, n_never), "start_date": NOTHING,
        "status": rng.choice(["expired", "cancelled", "declined"], n_never, p=[0.4, 0.3, 0.3])})
    others = pd.concat([never, waiting], ignore_index=True).assign(episode=-1)
    people = draw_patients(rng, others["received_date"].to_numpy().astype("M8[D]"))
    others["patient"] = n_patients + np.arange(len(others))
    referrals = pd.concat([converted, others], ignore_index=True)
    return close_referrals(rng, plan, referrals), people


def close_referrals(rng: np.random.Generator, plan: Plan, referrals: pd.DataFrame) -> pd.DataFrame:
    """Closing dates of those never attended; where that lies after the cut, the referral is still open."""
    n, status = len(referrals), referrals["status"].to_numpy()
    received = referrals["received_date"].to_numpy().astype("M8[D]")
    lag = np.select([status == "expired", status == "cancelled", status == "declined"],
                    [rng.integers(60, 91, n), rng.integers(3, 30, n), rng.integers(1, 21, n)], -1)
    closed = np.where(lag >= 0, received + np.maximum(lag, 0), NOTHING)
    too_late = closed > plan.cut
    waits_unbooked = (status == "scheduled") & (rng.random(n) < 0.35)
    why = np.select([status == "expired", status == "cancelled"],
                    [rng.choice(["no response", "could not reach"], n),
                     rng.choice(["went elsewhere", "better"], n)],
                    rng.choice(["declined therapy", "cost"], n))
    kept = (lag >= 0) & ~too_late
    return referrals.assign(
        status=np.where(too_late | waits_unbooked, "open", status),
        closed_date=np.where(kept, closed, NOTHING),
        closed_reason=np.where(kept, why, ""),
        source_type=rng.choice(["physician", "hospital", "employer", "self"], n, p=[0.78, 0.14, 0.04, 0.04]),
        priority=rng.choice(["routine", "soon", "urgent"], n, p=[0.75, 0.2, 0.05]))


def missed_evaluations(plan: Plan, referrals: pd.DataFrame) -> pd.DataFrame:
    """First evaluations that were missed, and those still to come: appointments without an episode."""
    rng = plan.generator("missed evaluations")
    received = referrals["received_date"].to_numpy().astype("M8[D]")
    start, closed = (referrals[name].to_numpy().astype("M8[D]") for name in ("start_date", "closed_date"))
    future = (referrals["status"] == "scheduled").to_numpy()
    never = ((referrals["episode"] < 0) & ~future).to_numpy()
    until = np.where(never, np.minimum(np.where(np.isnat(closed), plan.cut, closed), plan.cut), start)
    room = (until - received).astype(int) - 3
    missed = (room > 2) & (rng.random(len(referrals)) < np.where(never, 0.40, 0.06)) & ~future
    somewhen = (rng.random(len(referrals)) * np.maximum(room, 1)).astype(int)
    day = working_day(np.where(future, start, received + 2 + somewhen))
    keep = (missed & (day < until) & (day <= plan.cut)) | (future & (day > plan.cut) & (day <= plan.cut + 60))
    chosen = np.flatnonzero(keep)
    case = referrals["case"].to_numpy()[chosen]
    status = rng.choice(["no_show", "late_cancel", "early_cancel", "clinic_cancel"], len(chosen),
                        p=[0.48, 0.16, 0.26, 0.1])
    visits = pd.DataFrame({
        "patient": referrals["patient"].to_numpy()[chosen], "episode": -1, "number": 0,
        "site": referrals["site"].to_numpy()[chosen], "discipline": CASES["discipline"].to_numpy()[case],
        "date": day[chosen], "is_last": False, "mode": "in_person",
        "status": np.where(future[chosen], "booked", status)})
    return add_times(rng, plan, visits, received[chosen])


def choose_staff(plan: Plan, staff: pd.DataFrame, episodes: pd.DataFrame,
                 visits: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Lead clinician of each episode and clinician of each visit, both of the site and discipline."""
    rng = plan.generator("who treats")
    key = staff["site"].astype(str) + staff["discipline"]
    evaluates = staff["license_type"].isin(["PT", "OT", "SLP"])
    group = pd.DataFrame({"first": staff.index, "evaluates": evaluates, "all": 1}).groupby(key).agg(
        {"first": "min", "evaluates": "sum", "all": "sum"})
    facts = group.loc[episodes["site"].astype(str) + episodes["discipline"]]
    lead = (facts["first"] + np.floor(rng.random(len(episodes)) * facts["evaluates"])).to_numpy().astype(int)
    facts = group.loc[visits["site"].astype(str) + visits["discipline"]]
    n, number = len(visits), visits["number"].to_numpy()
    choice = np.where(number == 0, facts["evaluates"], facts["all"])
    anyone = facts["first"].to_numpy() + np.floor(rng.random(n) * choice)
    own = (visits["episode"].to_numpy() >= 0) & ((number == 0) | (rng.random(n) < 0.7))
    return lead, np.where(own, lead[np.maximum(visits["episode"].to_numpy(), 0)], anyone).astype(int)
