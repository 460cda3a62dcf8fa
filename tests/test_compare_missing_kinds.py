"""missing= of compare beyond means: classes, ratios, covariates of times, clusters; against R mice and by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx
from reference_values import agree, committed, reader, table

import therapyeval as te
from therapyeval.errors import ParameterError

IN_R = reader("comparing")
NUMBERS = ["estimate", "conf_low", "conf_high", "p_value"]


def numbers(result, **wanted):
    return row(result, **wanted)[NUMBERS].astype(float).tolist()


def close_to_many(found, case, place=0):
    """Both sides are random: within four (limits six) Monte-Carlo errors, on the scale on which they are pooled."""
    rows, between, m = IN_R(case)[place], np.atleast_1d(IN_R(case, "between"))[place], float(IN_R(case, "m"))
    log = found["statistic"].endswith("ratio")
    error = np.sqrt(between / 50 + between / m)
    mine, wanted = found[NUMBERS[:3]].to_numpy(dtype=float), rows[:3]
    if log:
        mine, wanted = np.log(mine), np.log(wanted)
    agree(mine[0], wanted[0], 0, 4 * error)
    agree(mine[1:], wanted[1:], 0, 6 * error)


REASONS = {"grade 0": "goals_met", "grade 1": "plateau", "grade 2": "insurance"}


def lung_reasons(cohort_from):
    """How lung's patients are able (ecog) as reasons for the end; some are unknown, by row number."""
    rows = committed("lung").query("ecog != 'grade 3'").reset_index(drop=True)
    place = rows.index + 1
    gone = (place % 4 == 0) | ((rows["sex"] == 2) & (place % 3 == 0))
    reason = np.where(gone | rows["ecog"].isna(), "-", rows["ecog"].map(REASONS))
    cohort = cohort_from(has_calendar=True, episodes="episode arm age end_date reason\n" + "\n".join(
        f"e{i} {'new' if one.sex == 2 else 'old'} {one.age} 2026-03-01 {reason[i]}"
        for i, one in enumerate(rows.itertuples())))
    cohort.facts.episodes["closed_admin"] = False
    return cohort


def test_imputed_classes_without_order_agree_with_mice(cohort_from):
    result = te.compare(lung_reasons(cohort_from), "disposition_mix", groups="arm", reference="old", missing="impute")
    for place, level in enumerate(REASONS.values()):
        found = row(result, statistic="risk_difference", level=level)
        close_to_many(found, "impute.classes", place)
        assert found["estimand"] == "imputed" and "50 imputations" in found["method"] and found["n_missing"] > 0
    shares = result.frame.query("statistic == 'risk_difference'")["estimate"]
    assert shares.sum() == approx(0, abs=1e-9)           # the same imputations for all classes
    assert not (result.frame["statistic"] == "chi_square").any()


FINAL_OF = {40: "95", 65: "80", 100: "10"}          # worse, unchanged and better by far, from 80


def veteran_grades(cohort_from, gaps=True):
    """Veteran's Karnofsky scores in three classes; some are unknown, by row number."""
    rows = committed("veteran")
    place = rows.index + 1
    gone = (place % 4 == 0) | ((rows["trt"] == 2) & (rows["age"] < 60) & (place % 2 == 0))
    final = ["-" if out and gaps else next(score for top, score in FINAL_OF.items() if karno <= top)
             for out, karno in zip(gone, rows["karno"], strict=True)]
    episodes = "episode arm age\n" + "\n".join(
        f"e{i} {'new' if one.trt == 2 else 'old'} {one.age}" for i, one in enumerate(rows.itertuples()))
    return cohort_from(episodes=episodes, scores="episode measure baseline final\n" + "\n".join(
        f"e{i} odi 80 {one}" for i, one in enumerate(final)))


def test_imputed_classes_with_an_order_agree_with_mice(cohort_from):
    result = te.compare(veteran_grades(cohort_from), "jt_class:odi", groups="arm", reference="old", adjust=["age"],
                        missing="impute")
    found = row(result, statistic="odds_ratio")
    close_to_many(found, "impute.grades")
    assert found["estimand"] == "imputed" and found["level"] == "" and "proportional odds" in found["method"]


def test_weighted_classes_are_weighted_shares(cohort_from):
    cohort = lung_reasons(cohort_from)
    result = te.compare(cohort, "disposition_mix", groups="arm", reference="old", missing="weight")
    episodes = cohort.facts.episodes
    arm = (episodes["arm"] == "new").to_numpy(dtype=int)
    design = np.column_stack([arm, episodes["age"].astype(float)])
    for level in REASONS.values():
        share = np.where(episodes["reason"].isna(), np.nan, episodes["reason"] == level)
        wanted = te.stats.completion_weighted_difference(share, design, arm, np.arange(len(arm)), [(1, 0)])
        found = numbers(result, statistic="risk_difference", level=level)
        agree(found, [wanted.estimate[0], wanted.low[0], wanted.high[0], wanted.p_value[0]])
    ordered = te.compare(veteran_grades(cohort_from), "jt_class:odi", groups="arm", reference="old", missing="weight")
    shares = ordered.frame.query("statistic == 'risk_difference'")
    assert len(shares) == 3 and (shares["estimand"] == "weighted").all()
    assert shares["estimate"].sum() == approx(0, abs=1e-9)


def test_worst_and_best_case_of_classes_by_hand(cohort_from):
    worst, best = (te.compare(lung_reasons(cohort_from), "disposition_mix", groups="arm", reference="old", missing=rule)
                   for rule in ("worst", "best"))
    rows = committed("lung").query("ecog != 'grade 3'").reset_index(drop=True)
    place = rows.index + 1
    gone = (place % 4 == 0) | ((rows["sex"] == 2) & (place % 3 == 0)) | rows["ecog"].isna()
    new, hit = rows["sex"] == 2, (rows["ecog"] == "grade 1") & ~gone
    least = hit[new].mean() - (hit | gone)[~new].mean()
    most = (hit | gone)[new].mean() - hit[~new].mean()
    assert row(worst, statistic="risk_difference", level="plateau")["estimate"] == approx(least)
    found = row(best, statistic="risk_difference", level="plateau")
    assert found["estimate"] == approx(most) and "first group in the class, of the second outside it" in found["method"]


def test_worst_and_best_case_of_ordered_classes_hold_every_filling_between_them(cohort_from):
    start = [95, 80, 10, 10, 80, 95, 95, 10]
    known = "\n".join(f"e{i} odi 80 {final}" for i, final in enumerate(start))
    episodes = "episode arm\n" + "\n".join(f"e{i} {'ab'[i % 2]}" for i in range(11))

    def of(last, rule="complete"):
        cohort = cohort_from(episodes=episodes, scores=f"episode measure baseline final\n{known}\n" + "\n".join(
            f"e{8 + i} odi 80 {one}" for i, one in enumerate(last)))
        return row(te.compare(cohort, "jt_class:odi", groups="arm", reference="b", missing=rule),
                   statistic="odds_ratio")["estimate"]
    worst, best = of("---", "worst"), of("---", "best")
    fillings = [of((a, b, c)) for a in FINAL_OF.values() for b in FINAL_OF.values() for c in FINAL_OF.values()]
    assert (worst, best) == approx((min(fillings), max(fillings)))


def veteran_times(cohort_from):
    """Veteran's times; some ages are unknown, more so of those who died early."""
    rows = committed("veteran")
    place = rows.index + 1
    gone = ((rows["time"] < 100) & (place % 3 == 0)) | (place % 7 == 0)
    return cohort_from(referrals="referral received_date days evaluated arm age karno\n" + "\n".join(
        f"r{i} 2020-01-01 {one.time}.0 {one.status} {'new' if one.trt == 2 else 'old'} {'-' if gone[i] else one.age} "
        f"{one.karno}" for i, one in enumerate(rows.itertuples())))


def test_imputed_covariates_of_times_agree_with_mice(cohort_from):
    result = te.compare(veteran_times(cohort_from), "days_to_eval", groups="arm", reference="old",
                        adjust=["age", "karno"], missing="impute")
    found = row(result, statistic="hazard_ratio")
    close_to_many(found, "impute.times")
    assert "imputed from group, event, cumulative hazard, age and karno" in found["method"]
    plain = te.compare(veteran_times(cohort_from), "days_to_eval", groups="arm", reference="old", missing="impute")
    assert "nothing is missing that is filled" in row(plain, statistic="difference")["method"]


def sites(cohort_from, **changes):
    """Lung's times as scores, with made-up sites; some are unknown, by row number."""
    rows = committed("lung").query("ecog != 'grade 3'").reset_index(drop=True)
    place, site = rows.index + 1, rows.index // 19
    gone = (place % 5 == 0) | ((rows["sex"] == 2) & (place % 4 == 0)) | (site == changes.get("empty"))
    episodes = "episode arm age site_id\n" + "\n".join(
        f"e{i} {'new' if one.sex == 2 else 'old'} {one.age} s{site[i]}" for i, one in enumerate(rows.itertuples()))
    return cohort_from(episodes=episodes, scores="episode measure baseline final\n" + "\n".join(
        f"e{i} odi 80 {'-' if gone[i] else one + 40 * (site[i] % 5)}" for i, one in enumerate(rows["time"])))


def test_imputed_values_within_sites_agree_with_mice(cohort_from):
    result = te.compare(sites(cohort_from), "final_score:odi", groups="arm", reference="old",
                        cluster="site_id", missing="impute")
    found = row(result, statistic="difference", unit="percent")
    close_to_many(found, "impute.sites")
    assert "imputed from group, site_id, baseline and age" in found["method"]
    assert "clustered by site_id" in found["method"]


def test_imputed_shares_within_sites_are_pooled_as_by_hand(cohort_from):
    cohort = sites(cohort_from)
    result = te.compare(cohort, "target_score_rate:odi,cut=300", groups="arm", reference="old", model="gee",
                        cluster="site_id", missing="impute")
    episodes, final = cohort.facts.episodes, cohort.facts.scores["final"]
    group = (episodes["arm"] == "old").to_numpy(dtype=int)
    site = pd.factorize(episodes["site_id"])[0]
    frame = pd.DataFrame({"outcome": (final <= 300).where(final.notna()).astype(float),
                          "group": pd.Categorical(group.astype(str)), "site": pd.Categorical(site.astype(str)),
                          "baseline": 80.0, "age": episodes["age"].astype(float)})
    frames = te.stats.impute(frame, m=50, iterations=1, seed=1).frames
    for effect in ("risk_difference", "odds_ratio"):
        wanted = te.stats.pool([te.stats.gee_contrast(one["outcome"], group, [(0, 1)], one[[]], cluster=site,
                                                      family="binomial", effect=effect) for one in frames]).effect
        found = numbers(result, statistic=effect, estimand="imputed")
        agree(found[:3], table(wanted)[0, :3])


def test_a_site_without_any_value_is_not_imputed(cohort_from):
    result = te.compare(sites(cohort_from, empty=3), "final_score:odi", groups="arm", reference="old",
                        cluster="site_id", missing="impute")
    found = row(result, statistic="difference", unit="percent")
    assert np.isnan(found["estimate"]) and found["note"] == "a cluster has no value to impute from"


def adherence(cohort_from):
    """Visits attended of those planned; how many were planned is unknown of every fourth."""
    rng = np.random.default_rng(5)
    planned = rng.integers(6, 20, 80)
    attended = rng.binomial(planned, np.where(np.arange(80) % 2, 0.8, 0.6))
    return cohort_from(has_calendar=True, episodes="episode arm n_attended planned_visits end_date\n" + "\n".join(
        f"e{i} {'ab'[i % 2]} {attended[i]} {'-' if i % 4 == 0 else planned[i]} 2026-03-01" for i in range(80)))


def test_imputed_counts_and_exposures_are_pooled_as_by_hand(cohort_from):
    cohort = adherence(cohort_from)
    result = te.compare(cohort, "visit_adherence", groups="arm", reference="b", model="poisson", missing="impute")
    found = row(result, statistic="rate_ratio")
    episodes = cohort.facts.episodes
    frame = pd.DataFrame({
        "count": episodes["n_attended"].where(episodes["planned_visits"].notna()).astype(float),
        "group": pd.Categorical((episodes["arm"] == "b").astype(int).astype(str)),
        "exposure": episodes["planned_visits"].astype(float), "visits": episodes["n_attended"].astype(float)})
    frames = te.stats.impute(frame, m=50, iterations=10, seed=1).frames
    wanted = te.stats.pool([te.stats.adjusted_rate_ratio(
        one["count"], one["exposure"], one["group"].cat.codes.to_numpy(dtype=int), [(0, 1)], one[[]], family="poisson")
        for one in frames]).effect
    agree(found[NUMBERS].astype(float), table(wanted)[0, :4])
    assert found["estimand"] == "imputed" and found["n_missing"] == 20 and found["n"] == 60
    assert "imputed from group, exposure and visits" in found["method"]
    for rule, words in (("weight", "no weighted mean"), ("best", "sums have no ends")):
        with pytest.raises(ParameterError, match=words):
            te.compare(cohort, "visit_adherence", groups="arm", missing=rule)


def test_a_time_that_is_not_over_is_not_missing(cohort_from):
    with pytest.raises(ParameterError, match="censored, not missing. Use missing='impute'"):
        te.compare(veteran_times(cohort_from), "days_to_eval", groups="arm", missing="worst")


@pytest.mark.parametrize("rule", ["impute", "weight", "worst", "best"])
def test_classes_of_which_none_is_known_say_so(cohort_from, rule):
    scores = "\n".join(f"e{i} odi 80 -" for i in range(8))
    episodes = "episode arm reason end_date\n" + "\n".join(f"e{i} {'ab'[i % 2]} - 2026-03-01" for i in range(8))
    cohort = cohort_from(episodes=episodes, has_calendar=True, scores=f"episode measure baseline final\n{scores}")
    cohort.facts.episodes["closed_admin"] = False
    found = te.compare(cohort, "jt_class:odi", groups="arm", missing=rule).frame.query("contrast == 'b - a'")
    assert len(found) and (found["note"] != "").all() and found["conf_low"].isna().all()
    assert te.compare(cohort, "disposition_mix", groups="arm", missing=rule).frame["contrast"].eq("").all()


@pytest.mark.parametrize("rule", ["impute", "weight", "worst", "best"])
def test_with_nothing_missing_every_rule_gives_the_plain_class_shares(cohort_from, rule):
    reasons = ["goals_met"] * 6 + ["plateau"] * 2 + ["goals_met"] * 3 + ["plateau"] * 5
    cohort = cohort_from(has_calendar=True, episodes="episode arm reason end_date\n" + "\n".join(
        f"e{i} {'a' if i < 8 else 'b'} {reason} 2026-03-01" for i, reason in enumerate(reasons)))
    cohort.facts.episodes["closed_admin"] = False
    result = te.compare(cohort, "disposition_mix", groups="arm", reference="b", missing=rule)
    assert row(result, level="plateau", statistic="risk_difference")["estimate"] == approx(2 / 8 - 5 / 8)


def test_released_classes_fall_where_few_are_missing(cohort_from):
    def released(n_missing):
        reasons = ["-" if i % 60 < n_missing else ("plateau" if i % 3 else "goals_met") for i in range(120)]
        cohort = cohort_from(has_calendar=True, episodes="episode arm reason end_date\n" + "\n".join(
            f"e{i} {'a' if i < 60 else 'b'} {reason} 2026-03-01" for i, reason in enumerate(reasons)))
        cohort.facts.episodes["closed_admin"] = False
        result = te.compare(cohort, "disposition_mix", groups="arm", reference="b", missing="impute")
        return row(te.release([result], "cms_11")[0], level="plateau", statistic="risk_difference")
    assert np.isfinite(released(20)["estimate"])
    assert np.isnan(released(4)["estimate"]) and released(4)["note"] == "withheld"
