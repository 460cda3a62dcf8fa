"""The back pain trial under cms_11: 10, 5 and the missing 6, 7, 3 are not shown and do not follow.

Final scores are whole numbers (0-10), so a mean gives its number of patients away: 52/44 = 13/11.
"""

from itertools import product
from math import isclose

import pandas as pd
import pytest

from therapyeval.disclosure import MIN_SPREAD, release
from therapyeval.result import AMOUNTS, COLUMNS, COMPLETE_CASE, COUNTS, MISSING_NOT_ACHIEVED, Result, Source, make_frame

ALLOCATED = {"PRT": 50, "placebo": 51, "usual": 50}
ANALYSED = {"PRT": 44, "placebo": 44, "usual": 47}
RESPONDED = {"PRT": 33, "placebo": 10, "usual": 5}
SCORE_SUM = {"PRT": 52, "placebo": 125, "usual": 147}
PAIRS = [("PRT", "placebo"), ("PRT", "usual"), ("placebo", "usual")]
SCORE, RATE = "final_score:pain_avg", "target_score_rate:pain_avg,cut=1"


def result(rows, title, by=("arm",), population="episodes", **more):
    return Result(make_frame(rows, list(by)), title, Source("trial", population, **more))


def counts(n, eligible):
    return {"n": n, "n_missing": eligible - n, "n_excluded": 0, "n_people": n}


def scores():
    rows = [{"arm": arm, "metric": SCORE, "statistic": statistic, "estimand": COMPLETE_CASE, "estimate": value,
             **counts(ANALYSED[arm], ALLOCATED[arm])}
            for arm in ALLOCATED for statistic, value in (("mean", SCORE_SUM[arm] / ANALYSED[arm]), ("sd", 1.5),
                                                          ("median", 1.0))]
    return result(rows + contrasts(SCORE, "difference", ANALYSED, COMPLETE_CASE, "Welch t"), "Final pain")


def contrasts(metric, statistic, n, estimand, method):
    return [{"contrast": f"{a} - {b}", "metric": metric, "statistic": statistic, "estimand": estimand,
             "estimate": -1.25, "conf_low": -1.75, "conf_high": -0.75, "p_value": 0.0004, "method": method,
             **counts(n[a] + n[b], ALLOCATED[a] + ALLOCATED[b])} for a, b in PAIRS]


def adjusted():
    ancova = contrasts(SCORE, "difference", ANALYSED, COMPLETE_CASE, "ANCOVA on baseline; HC3")
    arms = scores().frame.query("contrast == '' and statistic == 'mean'").to_dict("records")
    return result(arms + ancova, "Final pain, adjusted")


def responders(arms=tuple(ALLOCATED)):
    rows = []
    for arm in arms:
        for estimand, n in ((COMPLETE_CASE, ANALYSED[arm]), (MISSING_NOT_ACHIEVED, ALLOCATED[arm])):
            rows.append({"arm": arm, "metric": RATE, "statistic": "proportion", "estimand": estimand,
                         "estimate": RESPONDED[arm] / n, "numerator": RESPONDED[arm], "denominator": n,
                         **counts(n, ALLOCATED[arm])})
    for estimand, n in ((COMPLETE_CASE, ANALYSED), (MISSING_NOT_ACHIEVED, ALLOCATED)):
        rows += [{**row, "estimate": RESPONDED[a] / n[a] - RESPONDED[b] / n[b]} for row, (a, b) in zip(
            contrasts(RATE, "risk_difference", n, estimand, "Newcombe"), PAIRS, strict=True)]
    return result(rows, "Responders")


def baseline():
    rows = [{"arm": arm, "metric": "age", "statistic": "mean", "estimand": COMPLETE_CASE, "estimate": 41.5,
             **counts(n, n)} for arm, n in ALLOCATED.items()]
    return result(rows + contrasts("age", "smd", ALLOCATED, COMPLETE_CASE, "standardised difference"), "Who they were")


def flow():
    return result([{"arm": arm, "metric": "flow", "level": step, "statistic": "count", "estimate": n[arm],
                    "numerator": n[arm], "n": n[arm], "n_people": n[arm]}
                   for arm in ALLOCATED for step, n in (("allocated", ALLOCATED), ("with outcome", ANALYSED))],
                  "Flow", population="enrolled")


def totals():
    everybody = [sum(of.values()) for of in (ALLOCATED, ANALYSED, RESPONDED)]
    allocated, analysed, responded = everybody
    return result([
        {"metric": SCORE, "statistic": "mean", "estimand": COMPLETE_CASE,
         "estimate": sum(SCORE_SUM.values()) / analysed, **counts(analysed, allocated)},
        {"metric": RATE, "statistic": "proportion", "estimand": MISSING_NOT_ACHIEVED,
         "estimate": responded / allocated, "numerator": responded, "denominator": allocated,
         **counts(allocated, allocated)}], "All arms", by=())


def report():
    return [scores(), adjusted(), responders(), baseline(), flow()]


def possible(released):
    """Brute force: all (analysed, responded) of every arm that agree with every shown number."""
    rows = pd.concat([table.frame for table in released]).reset_index(drop=True).reindex(columns=["arm", *COLUMNS])
    rows = [row for row in rows.to_dict("records") if row["metric"] != "age"
            and any(pd.notna(row[name]) for name in ("estimate", *COUNTS, *AMOUNTS))]
    left = {arm: {(n, k) for n, k in product(range(eligible + 1), repeat=2) if k <= n
                  and all(agrees(row, {arm: (n, k)}) for row in rows if row["arm"] == arm)}
            for arm, eligible in ALLOCATED.items()}
    for row in rows:
        arms = row["contrast"].split(" - ")
        if row["statistic"] == "risk_difference" or (len(arms) == 2 and pd.notna([row["n"], row["n_missing"]]).any()):
            both = [pair for pair in product(*(left[arm] for arm in arms))
                    if agrees(row, dict(zip(arms, pair, strict=True)))]
            left |= {arm: {pair[position] for pair in both} for position, arm in enumerate(arms)}
    for row in rows:
        if not row["contrast"] and pd.isna(row["arm"]):
            left = agree_in_total(row, left)
    return left


def agrees(row, arms):
    """Whether a shown row can come from these (analysed, responded)."""
    eligible, analysed = sum(ALLOCATED[arm] for arm in arms), sum(n for n, _ in arms.values())
    base = eligible if row["metric"] == "age" or row["level"] == "allocated" or (
        row["estimand"] == MISSING_NOT_ACHIEVED) else analysed
    responded = sum(k for _, k in arms.values())
    shown = {"n": base, "n_people": base, "n_missing": eligible - base, "denominator": base,
             "numerator": base if row["metric"] == "flow" else responded}
    if any(pd.notna(row[name]) and row[name] != value for name, value in shown.items()):
        return False
    if pd.isna(row["estimate"]) or row["metric"] == "age":
        return True
    if row["statistic"] == "mean":
        return isclose(row["estimate"] * analysed, round(row["estimate"] * analysed), abs_tol=1e-9)
    if row["statistic"] == "proportion":
        return base > 0 and isclose(row["estimate"], responded / base, abs_tol=1e-12)
    if row["statistic"] == "risk_difference":
        bases = [ALLOCATED[arm] if row["estimand"] == MISSING_NOT_ACHIEVED else n for arm, (n, _) in arms.items()]
        shares = [k / n if n else 0 for (_, k), n in zip(arms.values(), bases, strict=True)]
        return isclose(row["estimate"], shares[0] - shares[1], abs_tol=1e-12)
    return True


def agree_in_total(row, left):
    """Arms that some choice of the others completes to the shown total of analysed, missing and responded."""
    position, total = (1, row["numerator"]) if row["metric"] == RATE else (0, row["n"])
    if pd.isna(total) and position == 0 and pd.notna(row["n_missing"]):
        total = sum(ALLOCATED.values()) - row["n_missing"]
    if pd.isna(total):
        return left
    values = {arm: {pair[position] for pair in pairs} for arm, pairs in left.items()}
    kept = {}
    for arm, pairs in left.items():
        others = {sum(choice) for choice in product(*(values[other] for other in values if other != arm))}
        kept[arm] = {pair for pair in pairs if total - pair[position] in others}
    return kept


def small_values(left):
    """For every small count of the trial, how many values it can still take."""
    found = {}
    for arm, pairs in left.items():
        true = {"missing": ALLOCATED[arm] - ANALYSED[arm], "responded": RESPONDED[arm]}
        open_to = {"missing": {ALLOCATED[arm] - n for n, _ in pairs}, "responded": {k for _, k in pairs}}
        assert all(true[name] in open_to[name] for name in true)
        found |= {(arm, name): len([value for value in open_to[name] if 1 <= value <= 10])
                  for name in true if 1 <= true[name] <= 10}
    return found


def test_the_attacker_finds_everything_in_unreleased_tables():
    left = possible([scores(), responders(), baseline(), flow()])
    assert left == {arm: {(ANALYSED[arm], RESPONDED[arm])} for arm in ALLOCATED}


def test_the_attacker_reads_a_mean_of_whole_numbers():
    only_means = result(scores().frame.query("statistic == 'mean' and arm == 'PRT'").assign(
        n=pd.NA, n_missing=pd.NA, n_people=pd.NA).to_dict("records"), "means")
    assert {n for n, _ in possible([only_means])["PRT"]} == {0, 11, 22, 33, 44}


@pytest.mark.parametrize("with_totals", [False, True])
def test_no_small_count_is_shown_or_follows(with_totals):
    released = release(report() + ([totals()] if with_totals else []), "cms_11")
    numbers = pd.concat([table.frame for table in released])[["numerator", "denominator", "n", "n_missing", "n_people"]]
    assert not numbers.stack().between(1, 10).any()
    spreads = small_values(possible(released))
    assert len(spreads) == 5 and min(spreads.values()) >= MIN_SPREAD


@pytest.mark.parametrize("tables", [
    [scores, responders, baseline], [responders], [responders, totals], [scores, flow], [adjusted, baseline, totals],
    [scores, totals, baseline], [responders, flow, totals]])
def test_nothing_follows_from_any_choice_of_tables(tables):
    assert min(small_values(possible(release([table() for table in tables], "cms_11"))).values()) >= MIN_SPREAD


def test_an_n_is_shown_as_long_as_no_table_of_the_set_shows_the_eligible():
    frame = release([scores()], "cms_11")[0].frame.query("statistic == 'mean'")
    assert frame["n"].tolist() == [44, 44, 47] and frame["n_missing"].isna().all()
    frame = release([scores(), baseline()], "cms_11")[0].frame.query("statistic == 'mean'")
    assert frame[["estimate", "n"]].isna().all(axis=None)


def test_what_can_be_shown_is_shown():
    score, ancova, rate, who, steps = (table.frame for table in release(report(), "cms_11"))
    shown = rate[rate["numerator"].notna()]
    assert shown[["arm", "estimand", "numerator", "denominator"]].values.tolist() == [
        ["PRT", MISSING_NOT_ACHIEVED, 33, 50]]
    assert who["n"].tolist()[:3] == [50, 51, 50] and who["estimate"].notna().all()
    assert steps["numerator"].fillna(-1).tolist() == [50, -1, 51, -1, 50, -1]
    assert score["estimate"].isna().all() and (score["note"] == "withheld").all()


def test_adjusted_contrasts_keep_estimate_and_interval_without_counts_and_p_value():
    frame = release(report(), "cms_11")[1].frame.query("contrast != ''")
    assert frame[["estimate", "conf_low", "conf_high"]].notna().all(axis=None)
    assert frame[["p_value", "n", "n_missing", "n_excluded", "n_people"]].isna().all(axis=None)
    assert (frame["note"] == "withheld").all()


def test_unadjusted_contrasts_fall_with_either_arm():
    rate = release(report(), "cms_11")[2].frame.query("contrast != ''")
    assert rate["estimate"].isna().all() and rate["conf_low"].isna().all()


def test_tiny_arms_are_withheld_whole():
    rows = [{"arm": arm, "metric": "score_change:bi", "statistic": statistic, "estimand": COMPLETE_CASE,
             "estimate": 20.5, **counts(8, 8)} for arm in "ABC" for statistic in ("mean", "sd")]
    rows += [{"contrast": "B - A", "metric": "score_change:bi", "statistic": "difference", "estimand": COMPLETE_CASE,
              "estimate": 3.0, "conf_low": -9.0, "conf_high": 15.0, "p_value": 0.6, "method": "ANCOVA on baseline",
              **counts(16, 16)}]
    frame = release([result(rows, "Stroke")], "cms_11")[0].frame
    assert len(frame) == 7 and frame[["estimate", "conf_low", "n", "n_people", "p_value"]].isna().all(axis=None)
