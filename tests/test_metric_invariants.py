"""What must hold for every registered metric, whatever the data."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from therapyeval import measures, metrics
from therapyeval.analysis import summarize
from therapyeval.cohort import NARROWED, Cohort, Facts
from therapyeval.data import engine
from therapyeval.data.appointments import make_appointments
from therapyeval.data.schema import EVENTS, REASONS
from therapyeval.result import AMOUNTS, Source

CUT = pd.Timestamp("2026-09-30")
SITES = ("east", "north", "south")
STATUSES = ("attended", "attended", "attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "booked",
            "rescheduled")
COUNTS = ["n", "n_missing", "n_excluded"]
ADDED = [*COUNTS, "numerator", "denominator"]
NUMBERS = ["estimate", "conf_low", "conf_high"]
KEYS = ["metric", "level", "statistic", "estimand"]
RANGES = {"lefs": (0, 80), "odi": (0, 100)}
OF_STAYS = {**RANGES, "gg_dcfs": (10, 60)}
MODEL = Path(tempfile.mkdtemp()) / "model.csv"     # predictions for every unit that is made up here
MODEL.write_text("episode,stay,predicted\n" + "".join(f"{i},{i},{0.1 + 0.008 * i:.3f}\n" for i in range(100)))


def without_folder(text: str) -> str:
    """The name of a test: the same in every process, wherever its predictions lie."""
    return text.replace(str(MODEL.parent), "")


# Metrics that need more than their name, or are worth asking in more than one way; {} is a measure.
ASKED = {
    "target_score_rate": ["target_score_rate:{},cut=30"], "pct_improved_rate": ["pct_improved_rate:odi"],
    "mcid_or_30pct": ["mcid_or_30pct:odi"], "jt_class": ["jt_class:{}", "jt_class:{},cut=40"],
    "mcid_rate": ["mcid_rate", "mcid_rate:{}"], "mcid_worse": ["mcid_worse", "mcid_worse:{},threshold=4"],
    "cannot_respond_share": ["cannot_respond_share", "cannot_respond_share:{}"],
    "floor_share": ["floor_share:{}", "floor_share:{},timepoint=final"],
    "paired_completion": ["paired_completion", "paired_completion:{}"],
    "cost_per_episode": ["cost_per_episode,cost_per_visit=90"],
    "cost_per_responder": ["cost_per_responder,cost_per_visit=90", "cost_per_responder:{},cost_per_visit=90"],
    "dropout_by_visit": ["dropout_by_visit", "dropout_by_visit,k=6"],
    "residual": [f"residual:{{}},model={MODEL}"], "dcfs": [f"dcfs,model={MODEL}"],
    "oe_ratio": [f"oe_ratio,outcome=goals_met_rate,model={MODEL}"],
    "productivity": ["productivity", "productivity,min_hours=10"],
    "self_discharge_rate": ["self_discharge_rate", "self_discharge_rate,closed_admin=left_out"],
}
CALLS = [text.format(code) for name in metrics.names()
         for text in ASKED.get(name, [f"{name}:{{}}" if "measure" in metrics.get(name).required else name])
         for code in (RANGES if "{}" in text else ("",))]
OF_APPOINTMENTS = [text for text in CALLS if metrics.parse(text).metric.population == "appointments"]
WITH_APPOINTMENTS = ("active_census", "caseload_per_fte")
OTHERS = [text for text in CALLS if text not in OF_APPOINTMENTS]
OF_MEASURES = [text for text in OTHERS if "measure" in metrics.parse(text).arguments
               and not metrics.parse(text).metric.by_level]
FEW = settings(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
SOME = settings(FEW, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([0, 1, 2, 5, 12, 40, 90])


def cohort(seed, n, text=""):
    """A cohort of n episodes, referrals, stays and so on, and appointments where the metric needs them, all made up."""
    appointments = text in OF_APPOINTMENTS or text.startswith(WITH_APPOINTMENTS)
    random = np.random.default_rng(seed)
    episodes = made_up_episodes(random, n)
    facts = Facts(episodes=episodes, scores=made_up_scores(random, episodes),
                  referrals=made_up_referrals(random, n), measures=measures.read(), data_cut=CUT,
                  appointments=made_up_appointments(random, episodes) if appointments else None,
                  **made_up_stays(random, n), **made_up_records(random, episodes), **made_up_staff(random, n))
    return Cohort(facts, Source("test"))


def some(random, values, share):
    """Values, of which a share is missing."""
    return np.where(random.random(len(values)) < share, np.nan, values)


def made_up_episodes(random, n):
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 1000, n), unit="D")
    days = random.integers(0, 140, n)
    end = pd.Series(start + pd.to_timedelta(days, unit="D"))
    closed = (end <= CUT) & (random.random(n) < 0.85)
    silent = closed & (random.random(n) < 0.1)
    last = pd.Series(start + pd.to_timedelta((days * random.choice([0.3, 0.9, 1], n)).astype(int), unit="D"))
    reason = pd.Series(random.choice([*REASONS, *["goals_met"] * 15, *["plateau"] * 8], n), dtype=object)
    return pd.DataFrame({
        "episode": np.arange(n), "patient": random.integers(0, max(1, 3 * n // 4), n),
        "site_id": random.choice(SITES, n), "discipline": random.choice(["PT", "OT"], n),
        "body_region": random.choice(["knee", "hip"], n), "start_date": start,
        "end_date": end.where(closed).mask(silent, last), "last_visit_date": last.where(last <= CUT, CUT),
        "days": pd.Series(days, dtype=float).where(closed), "closed_admin": silent.to_numpy(),
        "reason": reason.where(closed & ~silent & (random.random(n) < 0.95)),
        "goals_met_pct": some(random, random.integers(0, 101, n), 0.5),
        "payer_class": random.choice(["medicare_ffs", "commercial"], n),
        "cert_end": (start + pd.to_timedelta(random.integers(20, 200, n), unit="D")).where(random.random(n) < 0.8),
        "cert_signed_date": (start + pd.Timedelta(days=9)).where(random.random(n) < 0.8),
        "planned_visits": some(random, random.integers(0, 14, n), 0.2),
        "n_attended": random.integers(0, 13, n).astype(float),
        "minutes": some(random, random.integers(0, 500, n), 0.2)})


def made_up_scores(random, episodes):
    found = []
    for code, (low, high) in RANGES.items():
        measured = episodes.loc[random.random(len(episodes)) < 0.8, ["episode", "patient"]]
        baseline, final = (some(random, random.integers(low, high + 1, len(measured)), 0.2) for _ in range(2))
        found.append(measured.assign(measure=code, baseline=baseline, final=final))
    missing = [{"episode": -1, "patient": -1, "measure": code, "baseline": np.nan, "final": np.nan} for code in RANGES]
    scores = pd.concat([*found, pd.DataFrame(missing)], ignore_index=True)     # every measure is known
    unpaired = np.where(scores["baseline"].isna(), "no_baseline", np.where(scores["final"].isna(), "no_final", ""))
    reason = random.choice(["", "", "", "", "", "unable", "refused"], len(scores))
    return scores.assign(why_unpaired=unpaired, missing_reason=reason, is_primary=~scores.duplicated("episode"),
                         has_score=scores["baseline"].notna() | scores["final"].notna())


def made_up_referrals(random, n):
    received = pd.Series(pd.Timestamp("2025-06-01") + pd.to_timedelta(random.integers(0, 480, n), unit="D"))
    received = received.where(received <= CUT, CUT)
    status = random.choice(["converted", "open", "declined", "expired"], n)
    followed = (CUT - received).dt.days.to_numpy(float)
    days = np.where(status == "open", followed, np.minimum(random.integers(0, 70, n), followed))
    days = np.where((status == "declined") & (random.random(n) < 0.3), np.nan, days)
    return pd.DataFrame({"referral": np.arange(n), "patient": random.integers(0, max(1, n), n),
                         "site_id": random.choice(SITES, n), "received_date": received, "status": status,
                         "days": days, "evaluated": status == "converted"})


def some_days(random, n, first="2025-09-01", days=390):
    return pd.Series(pd.Timestamp(first) + pd.to_timedelta(random.integers(0, days, n), unit="D"))


def made_up_stays(random, n):
    start, days = some_days(random, n), random.integers(0, 40, n)
    end = (start + pd.to_timedelta(days, unit="D")).where(lambda day: day <= CUT)
    stays = pd.DataFrame({
        "stay": np.arange(n), "patient": random.integers(0, max(1, n), n), "site_id": random.choice(SITES, n),
        "start_date": start, "discharge_date": end, "days": pd.Series(days, dtype=float).where(end.notna()),
        "interruption_days": some(random, random.integers(0, 3, n), 0.3), "age": random.integers(10, 90, n),
        "readmit_days": some(random, random.integers(1, 120, n), 0.6),
        "discharge_status": pd.Series(random.choice(["01", "06", "03", "02", "20", "07", "50", None], n),
                                      dtype=object).where(end.notna())})
    found = [pd.DataFrame({"stay": np.arange(n), "measure": code, **{
        name: some(random, random.integers(low, high + 1, n), 0.2) for name in ("baseline", "final")}})
        for code, (low, high) in OF_STAYS.items()]
    none = [{"stay": -1, "measure": code, "baseline": np.nan, "final": np.nan} for code in OF_STAYS]
    scores = pd.concat([*found, pd.DataFrame(none)], ignore_index=True)
    both = scores[["baseline", "final"]].notna().all(axis=1)
    return {"stays": stays, "stay_scores": scores.assign(why_unpaired=np.where(both, "", "no_final"),
                                                         missing_reason="", has_score=both)}


def made_up_records(random, episodes):
    n = len(episodes)
    who = episodes.iloc[random.integers(0, max(1, n), 2 * n)].reset_index(drop=True)[["patient", "episode", "site_id"]]
    answered = random.random(2 * n) < 0.6
    invited = some_days(random, 2 * n)
    responses = who.assign(
        invited_date=invited.mask(random.random(2 * n) < 0.1), date=invited.where(answered), answered=answered,
        score=pd.Series(some(random, random.integers(1, 6, 2 * n), 0.1)).where(answered), score_min=1.0, score_max=5.0,
        nps=pd.Series(some(random, random.integers(0, 11, 2 * n), 0.1)).where(answered))
    start = some_days(random, 2 * n)
    authorizations = who.assign(
        authorization=np.arange(2 * n), start_date=start, visits_authorized=random.integers(0, 15, 2 * n).astype(float),
        end_date=start + pd.to_timedelta(random.integers(0, 300, 2 * n), unit="D"))
    used = pd.DataFrame({"authorization": random.integers(0, max(1, 2 * n), 6 * n), "date": some_days(random, 6 * n)})
    goals = pd.DataFrame({
        "goal": np.arange(2 * n), "episode": who["episode"], "weight": random.choice([1.0, 2.0], 2 * n),
        **{f"{name}_level": some(random, random.integers(-2, 3, 2 * n), 0.2) for name in ("baseline", "attained")}})
    events = who.assign(date=some_days(random, 2 * n), type=random.choice(EVENTS, 2 * n))
    return {"responses": responses, "authorizations": authorizations, "authorization_visits": used, "goals": goals,
            "events": events}


def made_up_staff(random, n):
    staff = pd.DataFrame({
        "staff": np.arange(n), "site_id": random.choice(SITES, n),
        "fte": some(random, random.choice([0.5, 1.0], n), 0.1),
        "license_type": random.choice(["PT", "PTA", "OT", "SLP", "aide"], n),
        "hire_date": some_days(random, n, "2020-01-01", 2300),
        "end_date": pd.Series(pd.NaT, index=range(n), dtype="M8[s]")})
    rows = staff.iloc[random.integers(0, max(1, n), 5 * n)].reset_index(drop=True)[["staff", "site_id"]]
    week = pd.Series(pd.Timestamp("2026-03-02") + pd.to_timedelta(7 * random.integers(0, 20, 5 * n), unit="D"))
    weeks = rows.assign(week=week, worked_hours=some(random, random.integers(0, 45, 5 * n), 0.1),
                        billable_minutes=some(random, random.integers(0, 2400, 5 * n), 0.1))
    days = rows.assign(date=some_days(random, 5 * n, "2026-04-01", 200),
                       available_minutes=some(random, random.integers(0, 500, 5 * n), 0.1),
                       open_eval_slots=some(random, random.integers(0, 3, 5 * n), 0.1),
                       booked_minutes=some(random, random.integers(0, 500, 5 * n), 0.1))
    return {"staff": staff, "staff_weeks": weeks.drop_duplicates(["staff", "week"], ignore_index=True),
            "availability": days.drop_duplicates(["staff", "date"], ignore_index=True)}


def made_up_appointments(random, episodes):
    n = 4 * len(episodes)
    rows = episodes.iloc[random.integers(0, max(1, len(episodes)), n)] if n else episodes
    status = random.choice(STATUSES, n)
    mode = pd.Series(random.choice(["in_person", "telehealth", "phone", ""], n), dtype="str")
    date = pd.Timestamp("2026-04-01") + pd.to_timedelta(random.integers(0, 200, n), unit="D")
    frame = pd.DataFrame({
        "patient": rows["patient"].to_numpy("int32"), "episode": rows["episode"].to_numpy("int32"),
        "date": date.astype("datetime64[s]"), "status": status, "is_visit": status == "attended",
        "is_evaluation": False, "minutes": 45.0, "site_id": rows["site_id"].to_numpy(),
        "mode": mode.where(mode != ""), "payer_class": random.choice(["medicaid", "commercial", "unknown"], n),
        "units": some(random, random.integers(0, 5, n), 0.2),
        "note_on_time": some(random, random.integers(0, 2, n), 0.2),
        "by_assistant": some(random, random.integers(0, 2, n), 0.2)})
    kind = pd.Series(random.choice(["PT", "PTA", "aide"], n), dtype="str")
    frame["license_type"] = kind.where(frame["by_assistant"].notna() | (kind == "aide"))
    connection, links = engine.connect(), episodes[["episode"]].astype("int32")
    links["merged"] = links["episode"]
    return make_appointments(connection, engine.load(connection, "visits", frame.astype({"site_id": "str"})),
                             engine.load(connection, "links", links), [], CUT)


def asked(found, text, **options):
    """The frame of one answer, by site or not, in the period that most metrics need."""
    return summarize(found, text, period="2026Q2", **options).frame


def same(one, other):
    """A column of amounts is Int64 where all of its rows are whole, so one site's may be of another type than all."""
    amounts = dict.fromkeys(AMOUNTS, "Float64")
    pd.testing.assert_frame_equal(one.astype(amounts), other.astype(amounts), rtol=1e-9, atol=1e-9)


def test_every_registered_metric_is_asked():
    assert {metrics.parse(text).metric.name for text in CALLS} == set(metrics.names())


def check_rows(frame):
    """Counts, bounds and notes of any answer."""
    share = frame["statistic"] == "proportion"
    bounded = frame["method"].str.startswith(("Wilson", "Aalen"))      # limits of ratios of sums are not
    for rows, columns in ((share, ["estimate"]), (bounded, NUMBERS)):
        numbers = frame.loc[rows, columns].to_numpy()
        assert ((numbers >= 0) & (numbers <= 1) | np.isnan(numbers)).all()
    staffed = frame["metric"].str.startswith("caseload_per_fte")      # n counts clinicians there, not people in care
    assert (frame["n_people"] <= frame["n"])[~staffed].all()
    assert (frame.loc[share, "numerator"] <= frame.loc[share, "denominator"]).all()
    inside = frame.dropna(subset=NUMBERS)
    slack = 1e-9 * (1 + inside[NUMBERS].abs().max(axis=1))
    assert (inside["conf_low"] - slack <= inside["estimate"]).all()
    assert (inside["estimate"] <= inside["conf_high"] + slack).all()
    with_interval = frame[frame["method"] != ""]
    bare = with_interval[with_interval[NUMBERS].isna().any(axis=1)]
    assert (bare["note"] != "").all()
    assert (frame.loc[frame["estimate"].isna(), "note"] != "").all()
    assert (frame.loc[frame["n"] == 0, "statistic"].eq("count") | frame.loc[frame["n"] == 0, "estimate"].isna()).all()
    groups = [name for name in frame.columns[: list(frame.columns).index("metric")]] + ["metric"]
    eligible = (frame["n"] + frame["n_missing"]).astype(int)
    assert (eligible.groupby([frame[name] for name in groups]).nunique() == 1).all()


def check_partition(frame):
    """Classes add up to all."""
    groups = list(frame.columns[: list(frame.columns).index("metric")]) + ["metric"]
    for _, rows in frame[(frame["level"] != "") & (frame["statistic"] == "proportion")].groupby(groups):
        assert rows["numerator"].sum() == rows["denominator"].iloc[0] and rows["denominator"].nunique() == 1


def check_sums(frame, whole):
    """Sites add up to everybody."""
    added = frame.groupby(KEYS)[ADDED].sum(min_count=1).astype("Float64")
    total = whole.set_index(KEYS)[ADDED].astype("Float64")
    if len(frame):
        pd.testing.assert_frame_equal(added.loc[total.index], total, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("text", OTHERS, ids=without_folder)
@FEW
@given(seeds, sizes)
def test_counts_bounds_and_notes_hold_and_sites_add_up(text, seed, n):
    found = cohort(seed, n, text)
    whole, sites = asked(found, text), asked(found, text, by="site_id")
    for frame in (whole, sites):
        check_rows(frame)
        check_partition(frame)
    check_sums(sites, whole)


@pytest.mark.parametrize("text", OTHERS, ids=without_folder)
@FEW
@given(seeds, sizes)
def test_one_site_is_the_same_alone_or_beside_others(text, seed, n):
    found = cohort(seed, n, text)
    sites = asked(found, text, by="site_id")
    code = metrics.parse(text)
    if code.metric.by_level or code.metric.name == "new_patient_growth":
        return      # classes shown, and who is new, are those of the whole cohort
    for site in sites["site_id"].unique():
        facts = found.facts
        frames = {name: getattr(facts, name) for name in ("episodes", "referrals", *NARROWED)}
        mine = replace(facts, **{name: frame[frame["site_id"] == site] for name, frame in frames.items()})
        alone = asked(replace(found, facts=mine), text)
        same(alone, sites[sites["site_id"] == site].drop(columns="site_id").reset_index(drop=True))


@pytest.mark.parametrize("text", OTHERS, ids=without_folder)
@FEW
@given(seeds, sizes)
def test_names_of_groups_and_the_order_of_rows_change_nothing(text, seed, n):
    found = cohort(seed, n, text)
    other = {"east": "z", "north": "a", "south": "m"}
    facts, shuffled = found.facts, {}
    for name in ("episodes", "referrals", "scores", "stay_scores", "goals", *NARROWED):
        frame = getattr(facts, name).sample(frac=1, random_state=seed % 1000)
        shuffled[name] = frame.assign(site_id=frame["site_id"].map(other)) if "site_id" in frame else frame
    before = asked(found, text, by="site_id")
    after = asked(replace(found, facts=replace(facts, **shuffled)), text, by="site_id")
    before["site_id"] = before["site_id"].map(other)
    order = ["site_id", *KEYS]
    same(before.sort_values(order, ignore_index=True), after.sort_values(order, ignore_index=True))


@pytest.mark.parametrize("text", OF_MEASURES, ids=without_folder)
@FEW
@given(seeds, st.sampled_from([5, 40, 90]))
def test_improving_everybody_never_makes_a_metric_worse(text, seed, n):
    found, call = cohort(seed, n, text), metrics.parse(text)
    signs = found.facts.scores["measure"].map({code: measures.get(code).sign for code in RANGES})
    better = found.facts.scores.assign(final=found.facts.scores["final"] + 5 * signs)
    before, after = (asked(item, text) for item in (found, replace(found, facts=replace(found.facts, scores=better))))
    sign = {"higher": 1, "lower": -1, "neither": 0}[call.better(found.facts)]
    leads = ~before["statistic"].isin(["sd", "median", "q1", "q3", "p90"]) | (call.metric.kind == "median")
    if call.metric.variant == "per responder":
        leads &= before["statistic"] == "ratio"
    gain = (sign * (after["estimate"] - before["estimate"]))[leads].dropna()
    assert (gain >= -1e-9).all()


@pytest.mark.parametrize("text", OF_APPOINTMENTS, ids=without_folder)
@FEW
@given(seeds, st.sampled_from([0, 1, 12, 60]))
def test_appointments_hold_the_same(text, seed, n):
    found = cohort(seed, n, text)
    whole, sites = asked(found, text), asked(found, text, by="site_id")
    for frame in (whole, sites):
        check_rows(frame[frame["n"] > 0])
        check_partition(frame)
    check_sums(sites, whole)


@pytest.mark.parametrize("seed", range(6))
def test_share_of_visits_equals_the_delta_method_from_rows(seed):
    from therapyeval import stats

    found = cohort(seed, 40, "telehealth_share")
    table = engine.fetch(found.facts.appointments._table)
    rows = table[(table["status"] == "attended") & table["mode"].notna() & table["date"].between(
        pd.Timestamp("2026-04-01"), pd.Timestamp("2026-06-30"))]
    inside, zeros = (rows["mode"] == "telehealth").to_numpy(float), np.zeros(len(rows), int)
    wanted = stats.ratio(stats.pair_sums(inside, np.ones(len(rows)), zeros, rows["patient"].to_numpy(), 1))
    frame = asked(found, "telehealth_share")
    assert frame.loc[0, NUMBERS].tolist() == pytest.approx([wanted.estimate[0], wanted.low[0], wanted.high[0]])


@SOME
@given(seeds, sizes)
def test_the_census_balances(seed, n):
    found = cohort(seed, n)
    starts, ends = found.facts.episodes["start_date"], found.facts.episodes["end_date"]
    opened, closed = (int(dates.between("2026-04-01", "2026-06-30").sum()) for dates in (starts, ends))
    before, after = (int(summarize(found, f"census,t={day}").frame["estimate"].iloc[0])
                     for day in ("2026-03-31", "2026-06-30"))
    assert after == before + opened - closed
    rate = asked(found, "discharge_rate")
    assert (rate["numerator"].iloc[0], rate["denominator"].iloc[0]) == (closed, before + opened)
