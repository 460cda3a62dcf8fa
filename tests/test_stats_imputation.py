"""Multiple imputation, Rubin's rules, tipping points, worst and best case; against R mice."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import FOLDER, SEARCHED, agree, committed, reader, table

from therapyeval import stats
from therapyeval.stats import imputation, imputation_models
from therapyeval.stats.contrasts import Contrast
from therapyeval.stats.multinomial import fit_multinomial
from therapyeval.stats.ordinal import fit_thresholds

expected = reader("imputation")


def lung():
    return pd.read_csv(FOLDER / "imputation" / "lung_holes.csv")


def stroke():
    rows = pd.read_csv(FOLDER / "imputation" / "stroke_holes.csv")
    return rows.assign(arm=pd.factorize(rows["Group"], sort=True)[0])


def filled_by_mice(rows, case):
    """The complete frames of R: values imputed for each incomplete column, in order."""
    text = json.loads((FOLDER / "imputation" / "expected.json").read_text())["cases"][case]["values"]["imputed"]
    incomplete = [name for name in rows.columns if rows[name].isna().any()]
    frames = []
    for i in range(len(text[0])):
        frame = rows.copy()
        for name, values in zip(incomplete, text, strict=True):
            numeric = pd.api.types.is_numeric_dtype(frame[name])
            new = values[i] if numeric else [f"grade {value}" for value in values[i]]
            frame.loc[frame[name].isna(), name] = new
        frames.append(frame)
    return frames


def row(pooled):
    return np.r_[table(pooled.effect)[0], pooled.missing_information, pooled.monte_carlo_error]


# ---- Rubin's rules

def women_against_men(frame):
    return stats.adjusted_difference(frame["time"], frame["sex"].to_numpy(dtype=int), [(2, 1)], frame[["age"]],
                                     variance="classical")


def odds_of_women(frame):
    return stats.adjusted_risk(frame["seen"], frame["sex"].to_numpy(dtype=int), [(2, 1)], frame[["age"]],
                               effect="odds_ratio", conf_level=0.9)


def test_pooled_contrasts_agree_with_mice():
    frames = filled_by_mice(lung(), "pool.lung")
    agree(row(stats.pool([women_against_men(frame) for frame in frames])), expected("pool.lung")[0])
    endless = [replace(odds_of_women(frame), df_residual=np.nan) for frame in frames]       # dfcom = Inf in R
    agree(row(stats.pool(endless, conf_level=0.9)), expected("pool.lung")[1])


def programs(frame, pair=(0, 2), variance="HC3"):
    return stats.adjusted_difference(frame["week8"], frame["arm"].to_numpy(), [pair], frame[["week1"]],
                                     variance=variance)


def test_pooled_contrasts_with_robust_errors_agree_with_mice():
    frames = filled_by_mice(stroke(), "pool.stroke")
    agree(row(stats.pool([programs(frame, (2, 0), "classical") for frame in frames])), expected("pool.stroke")[0])
    agree(row(stats.pool([programs(frame) for frame in frames])), expected("pool.stroke")[1])


def ratios_of_women(frame):
    """Odds, Firth, proportional odds, Poisson, negative binomial, hazards: sex 2 against 1."""
    sex, pairs, age, time = frame["sex"].to_numpy(dtype=int), [(2, 1)], frame[["age"]], frame["time"]
    rate = (time // 50, frame["age"], sex, pairs, frame[["ecog"]])
    return [odds_of_women(frame), stats.firth_odds_ratio(frame["seen"], sex, pairs, age, limits="wald"),
            stats.proportional_odds(np.digitize(time, [150, 300], right=True), sex, pairs, age),
            stats.adjusted_rate_ratio(*rate, family="poisson"), stats.adjusted_rate_ratio(*rate),
            stats.hazard_ratio(time, frame["seen"], sex, pairs, age)]


def ratios_of_programs(frame):
    """The same kinds of ratios: C against A."""
    arm, pairs, week1, none = frame["arm"].to_numpy(), [(2, 0)], frame[["week1"]], frame[[]]
    week8, exposure = frame["week8"], 10 + frame["week4"].clip(lower=0)
    good = (week8 >= 80).astype(int)
    return [stats.adjusted_risk(good, arm, pairs, none, effect="odds_ratio"),
            stats.firth_odds_ratio(good, arm, pairs, week1, limits="wald"),
            stats.proportional_odds(np.digitize(week8, [40, 70], right=True), arm, pairs, week1),
            stats.adjusted_rate_ratio(week8.clip(lower=0) // 10, exposure, arm, pairs, week1, family="poisson"),
            stats.adjusted_rate_ratio(week8.clip(lower=0) // 1, exposure, arm, pairs, week1),
            stats.hazard_ratio(week8.clip(lower=1), np.ones(len(arm)), arm, pairs, none)]


@pytest.mark.parametrize(("make", "rows", "case"), [(ratios_of_women, lung, "lung"),
                                                    (ratios_of_programs, stroke, "stroke")])
def test_pooled_ratios_agree_with_mice(make, rows, case):
    made = zip(*(make(frame) for frame in filled_by_mice(rows(), f"pool.{case}")), strict=True)
    levels = [0.9 if case == "lung" and not place else 0.95 for place in range(6)]
    found = [row(stats.pool(each, conf_level=level)) for each, level in zip(made, levels, strict=True)]
    agree(found, expected(f"ratios.{case}"), SEARCHED)
    closed = [0, 3, 5]                                           # polr, glm.nb and brglm2 stop their search early
    agree(np.array(found)[closed], expected(f"ratios.{case}")[closed])


def at_sites(rows, case):
    """Made-up sites with made-up shifts, as in the reference script."""
    place = np.arange(len(rows))
    if case == "lung":
        return rows.assign(site=place // 19, time=rows["time"] + 40 * (place // 19 % 5))
    return rows.assign(site=place % 6, week8=rows["week8"] + 10 * (place % 6 % 3))


def clustered(frame, case):
    """GEE of a share, GEE of a mean, mixed model."""
    plain, frame = frame, at_sites(frame, case)
    if case == "lung":
        group, pairs, of_share, outcome = frame["sex"].to_numpy(dtype=int), [(2, 1)], ["age"], frame["time"]
        good, of_mean = frame["seen"], ["age"]
    else:
        group, pairs, of_share, outcome = frame["arm"].to_numpy(), [(2, 0)], [], frame["week8"]
        good, of_mean = (plain["week8"] >= 80).astype(int), ["week1"]
    options = {"cluster": frame["site"], "error": "robust"}
    return [stats.gee_contrast(good, group, pairs, frame[of_share], family="binomial", **options),
            stats.gee_contrast(outcome, group, pairs, frame[of_mean], **options),
            stats.mixed_difference(outcome, group, pairs, frame[of_mean], cluster=frame["site"])]


@pytest.mark.parametrize(("rows", "case"), [(lung, "lung"), (stroke, "stroke")])
def test_pooled_effects_of_clusters_agree_with_mice(rows, case):
    made = zip(*(clustered(frame, case) for frame in filled_by_mice(rows(), f"pool.{case}")), strict=True)
    agree([row(stats.pool(each)) for each in made], expected(f"clusters.{case}"), SEARCHED)


def test_with_nothing_missing_the_pooled_contrast_is_that_of_the_data():
    rows = committed("lung").assign(group=lambda d: d["sex"] - 1)
    one = stats.welch(rows["time"], rows["group"].to_numpy(), [(1, 0)])
    pooled = stats.pool([one] * 5)
    agree([pooled.effect.estimate, pooled.effect.low, pooled.effect.high, pooled.effect.p_value],
          [one.estimate, one.low, one.high, one.p_value])
    assert pooled.missing_information[0] == pooled.monte_carlo_error[0] == 0
    ratio = stats.adjusted_risk(rows["seen"], rows["group"].to_numpy(), [(1, 0)], rows[["age"]], effect="risk_ratio")
    again = stats.pool([ratio] * 3).effect
    agree([again.estimate, again.low, again.high, again.p_value],
          [ratio.estimate, ratio.low, ratio.high, ratio.p_value])
    assert np.isnan(again.df[0])


def test_any_estimator_with_symmetric_limits_can_be_pooled():
    rows = committed("veteran").assign(group=lambda d: d["trt"] - 1, long=lambda d: (d["time"] > 100) * 1)
    arm, pairs, age = rows["group"].to_numpy(), [(1, 0)], rows[["age"]]
    plain = [estimate(rows["time"], arm, pairs) for estimate in (stats.welch, stats.student)]
    plain += [estimate(rows["time"], arm, pairs, age) for estimate in (
        stats.adjusted_difference, stats.weighted_difference, stats.doubly_robust_difference,
        stats.matched_difference)]
    ratios = [stats.adjusted_risk(rows["long"], arm, pairs, age, effect=effect)
              for effect in ("risk_ratio", "odds_ratio")]
    ratios += [stats.proportional_odds(np.digitize(rows["time"], [50, 150]), arm, pairs, age),
               stats.adjusted_rate_ratio(rows["karno"], rows["time"], arm, pairs, age)]
    for found in plain + ratios:
        agree(table(stats.pool([found] * 3).effect), table(found))


def contrast(estimate, error, df=np.nan):
    """A normal 95% contrast, written down."""
    half = 1.959963984540054 * np.asarray(error, dtype=float)
    estimate = np.asarray(estimate, dtype=float)
    blank = np.full(len(estimate), "", dtype=object)
    return Contrast(estimate, estimate - half, estimate + half, estimate, np.full(len(estimate), df), "made up", blank,
                    "identity")


def test_rubins_rules_by_hand():
    # Two imputations, 1 and 3, each with variance 1: within 1, between 2, total 1 + 1.5 * 2 = 4, df = 1 / (3 / 4)^2.
    pooled = stats.pool([contrast([1.0], [1.0]), contrast([3.0], [1.0])])
    agree([pooled.effect.estimate[0], pooled.effect.df[0]], [2.0, 16 / 9])
    agree((pooled.effect.high - pooled.effect.low)[0] / 2, 2 * 4.86147260923)       # R: qt(0.975, 16 / 9)
    agree(pooled.monte_carlo_error, [1.0])


def test_an_imputation_without_a_number_gives_none():
    whole, broken = contrast([1.0, 2.0], [1.0, 1.0]), contrast([1.0, np.nan], [1.0, 1.0])
    broken.note[1] = "a group has no value"
    found = stats.pool([whole, broken, whole]).effect
    assert np.isfinite(found.low).tolist() == [True, False]
    assert found.note.tolist() == ["", "a group has no value"]
    silent = stats.pool([contrast([1.0], [np.nan]), contrast([1.0], [1.0])]).effect
    assert silent.note.tolist() == ["an imputation has no interval"] and np.isnan(silent.estimate[0])


def test_contrasts_that_cannot_be_pooled_are_refused():
    one, two = contrast([1.0], [1.0]), contrast([1.0, 2.0], [1.0, 1.0])
    ratio = replace(one, scale="log")
    for wrong, options in (([one], {}), ([one, two], {}), ([one, ratio], {}), ([one, one], {"conf_level": 1.5})):
        with pytest.raises(ValueError):
            stats.pool(wrong, **options)
    with pytest.raises(ValueError, match="symmetric"):
        stats.pool([replace(one, high=one.high + 1)] * 2)


def test_ranks_exact_and_joint_limits_cannot_be_pooled():
    rows = committed("veteran")
    arm, pairs, none = rows["trt"].to_numpy() - 1, [(1, 0)], rows[[]]
    k, n = np.array([56, 48]), np.array([70, 80])
    flag = (rows["time"] > 100).to_numpy(dtype=int)
    for found in (stats.risk_difference(k, n, pairs), stats.score_risk_difference(k, n, pairs),
                  stats.fisher(k, n, pairs), stats.rate_ratio(k, n, pairs), stats.tukey(rows["time"], arm, pairs),
                  stats.games_howell(rows["time"], arm, pairs), stats.mann_whitney(rows["time"], arm, pairs),
                  stats.permutation(rows["time"], arm, pairs, draws=200),
                  stats.firth_odds_ratio(flag, arm, pairs, none)):
        with pytest.raises(ValueError, match="made of a standard error"):
            stats.pool([found, found])


def test_wald_limits_of_firth_are_finite_under_separation_and_other_limits_are_refused():
    flag, arm, none = np.repeat([0, 1], 6), np.repeat([0, 1], 6), pd.DataFrame(index=range(12))
    wald, profile = (stats.firth_odds_ratio(flag, arm, [(1, 0), (2, 0)], none, limits=name)
                     for name in ("wald", "profile"))
    agree(wald.estimate, profile.estimate)                       # 13 x 13: half a case in each cell
    agree(wald.estimate[0], 13.0**2)
    assert 0 < wald.low[0] < wald.estimate[0] < wald.high[0] and wald.note.tolist() == ["", "a group has no value"]
    assert wald.df_residual == 10 and profile.scale == ""
    with pytest.raises(ValueError, match="limits is 'score'"):
        stats.firth_odds_ratio(flag, arm, [(1, 0)], none, limits="score")


def test_an_imputation_whose_model_fails_leaves_no_ratio():
    flag, arm, none = np.array([0, 0, 1, 0, 1, 1]), np.repeat([0, 1], 3), pd.DataFrame(index=range(6))
    ratio = [stats.adjusted_risk(each, arm, [(1, 0)], none, effect="odds_ratio") for each in (flag, 1 * (arm == 1))]
    found = stats.pool(ratio).effect
    assert np.isnan([found.estimate, found.low, found.p_value]).all() and "separate" in found.note[0]
    assert "separate" in stats.pool(ratio[1:] * 2).effect.note[0]


# ---- tipping point, worst and best case

def as_imputations(rows, case):
    frames = filled_by_mice(rows, case)
    blank = np.empty((0, 0, 0))
    return stats.Imputations(tuple(frames), rows.isna(), {}, blank, blank, "")


def test_the_tipping_point_agrees_with_r():
    rows = stroke()
    found = stats.tipping_point(as_imputations(rows, "pool.stroke"), (rows["Group"] == "A").to_numpy(), "week8",
                                programs, [-20, 20, 40, 60])
    agree(table(found.effects), expected("tipping.stroke"))
    agree(found.tipping, expected("tipping.stroke", "tipping"), SEARCHED)
    assert found.delta.tolist() == [-20, 0, 20, 40, 60] and found.note == ""


def test_the_tipping_point_of_an_effect_agrees_with_r():
    rows = lung()

    def seen_against_unseen(frame):
        return stats.adjusted_difference(frame["time"], frame["seen"].to_numpy(), [(1, 0)], frame[["age"]],
                                         variance="classical")
    found = stats.tipping_point(as_imputations(rows, "pool.lung"), (rows["seen"] == 0).to_numpy(), "time",
                                seen_against_unseen, [-400, -200])
    agree(table(found.effects), expected("tipping.lung"))
    agree(found.tipping, expected("tipping.lung", "tipping"), SEARCHED)


def test_a_shift_moves_a_plain_difference_by_the_share_imputed():
    rows = stroke()
    arm = (rows["Group"] == "A").to_numpy()

    def plain(frame):
        return stats.student(frame["week8"], frame["arm"].to_numpy(), [(0, 2)])
    found = stats.tipping_point(as_imputations(rows, "pool.stroke"), arm, "week8", plain, [-8, 8])
    share = rows.loc[arm, "week8"].isna().mean()
    agree(found.effects.estimate - found.effects.estimate[1], np.array([-8, 0, 8]) * share)
    assert np.isnan(found.tipping) and found.note == "no shift tried changes the verdict"


def test_the_tipping_point_says_why_there_is_none():
    rows = stroke()
    made = as_imputations(rows, "pool.stroke")
    complete = (rows["Group"] == "A").to_numpy() & rows["week8"].notna().to_numpy()
    found = stats.tipping_point(made, complete, "week8", programs, [5.0])
    assert np.isnan(found.tipping) and found.note == "no outcome of the arm was missing"
    arm = (rows["Group"] == "A").to_numpy()
    none = stats.impute(pd.DataFrame({"x": [np.nan, np.nan]}), m=2, iterations=1, seed=1)
    assert "no value" in stats.tipping_point(none, np.ones(2, dtype=bool), "x", programs, [1]).note
    for wrong in ((arm[1:], "week8", [1]), (arm, "no column", [1]), (arm, "week8", [np.nan]), (arm * 1, "week8", [1])):
        with pytest.raises(ValueError):
            stats.tipping_point(made, wrong[0], wrong[1], programs, wrong[2])
    with pytest.raises(ValueError, match="one pair"):
        stats.tipping_point(made, arm, "week8", lambda f: stats.welch(f["week8"], f["arm"].to_numpy(), [(0, 1)] * 2),
                            [1])


def test_worst_and_best_case_by_hand():
    # a: 6, 8 and one missing; b: 3, 5 and one missing; the scale runs from 0 to 10.
    score, arm = np.array([6.0, 8, np.nan, 3, 5, np.nan, np.nan]), np.array([1, 1, 1, 0, 0, 0, 2])
    least, largest = stats.extreme_cases(score, arm, [(1, 0), (0, 1)], stats.welch, lowest=0, highest=10)
    agree(least.estimate, [14 / 3 - 18 / 3, 8 / 3 - 24 / 3])
    agree(largest.estimate, -least.estimate[::-1])
    with pytest.raises(ValueError, match="between"):
        stats.extreme_cases(score, arm, [(1, 0)], stats.welch, lowest=4, highest=10)
    with pytest.raises(ValueError, match="below"):
        stats.extreme_cases(score, arm, [(1, 0)], stats.welch, lowest=10, highest=10)
    with pytest.raises(ValueError, match="shape"):
        stats.extreme_cases(score, arm[1:], [(1, 0)], stats.welch, lowest=0, highest=10)


@settings(max_examples=50)
@given(st.data())
def test_every_way_to_fill_the_missing_lies_between_worst_and_best(data):
    score = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=8, max_size=8)))
    arm = np.repeat([0, 1], 4)
    filled = np.where(np.isnan(score), data.draw(st.lists(st.integers(0, 1), min_size=8, max_size=8)), score)
    least, largest = stats.extreme_cases(score, arm, [(1, 0)], stats.welch, lowest=0, highest=1)
    own = filled[4:].mean() - filled[:4].mean()
    assert least.estimate[0] - 1e-12 <= own <= largest.estimate[0] + 1e-12


# ---- the deterministic parts of an imputation

def veteran():
    rows = committed("veteran")
    rows = rows.assign(k=rows["karno"] / 10, a=rows["age"] / 10, one=1.0)
    return rows, 1.0 + (np.arange(len(rows)) + 1) % 3


def check_posterior(x, y, case):
    fit = imputation_models.regress(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    agree(fit.beta, expected(case, "beta"))
    agree([fit.squares, fit.df], expected(case, "rest"))
    inverse = np.linalg.inv(fit.r)
    covariance = inverse @ inverse.T * fit.squares / fit.df
    agree(covariance, expected(case, "covariance"))
    rng, n = np.random.default_rng(1), 20_000
    drawn = np.array([fit.draw(rng)[0] for _ in range(n)])
    wanted = covariance * fit.df / (fit.df - 2)                 # of the t posterior
    sd = np.sqrt(np.diag(wanted))
    assert (np.abs(drawn.mean(axis=0) - fit.beta) < 4.5 * sd / np.sqrt(n)).all()
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(sd, sd), wanted / np.outer(sd, sd), atol=0.08)


def test_the_posterior_of_a_regression_is_that_of_lm():
    rows, _ = veteran()
    check_posterior(rows[["one", "k", "a"]], rows["time"], "posterior.veteran")
    strokes = committed("stroke")
    check_posterior(strokes[["week1"]].assign(one=1.0)[["one", "week1"]], strokes["week8"], "posterior.stroke")


def test_the_cumulative_hazard_is_that_of_survfit():
    for rows, event, case in ((committed("lung").dropna(subset=["time", "seen"]), "seen", "hazard.226"),
                              (committed("veteran"), "status", "hazard.137")):
        agree(stats.cumulative_hazard(rows["time"], rows[event]), expected(case))
    with pytest.raises(ValueError, match="negative"):
        stats.cumulative_hazard([1.0, -1], [1, 0])


def test_donors_are_the_nearest_as_found_by_trying_all():
    rng = np.random.default_rng(3)
    for n_known, n_donors in ((40, 5), (4, 5), (1, 3)):
        known, wanted = rng.normal(size=n_known), np.r_[rng.normal(size=30), -9, 9]
        found = imputation_models.donors(known, wanted, n_donors)
        every = np.abs(wanted[:, None] - known)
        assert found.shape == (32, min(n_donors, n_known))
        agree(np.take_along_axis(every, found, axis=1), np.sort(every, axis=1)[:, :n_donors])
    assert imputation_models.donors(np.array([2.0, 1, 1, 3]), np.array([1.0]), 3).tolist() == [[1, 2, 0]]


def test_rows_added_against_separation_are_those_of_mice():
    rows, _ = veteran()
    x = rows[["one", "k", "a", "trt"]].to_numpy()
    code = pd.factorize(rows["celltype"], sort=True)[0]
    more, levels, weight = imputation_models.augment(x, code, 4)
    added, level = more[len(rows):, 1:], levels[len(rows):] + 1
    agree([added.sum(axis=0), (added**2).sum(axis=0), level @ added], expected("augment.veteran"))
    agree([len(added), weight[-1]], expected("augment.veteran", "weight"))
    assert (more[:, 0] == 1).all()


def test_weighted_multinomial_regression_agrees_with_r():
    rows, weight = veteran()
    x = rows[["one", "k", "a"]].to_numpy()
    beta, covariance = fit_multinomial(x, pd.factorize(rows["celltype"], sort=True)[0], 4, weight)
    agree(beta.T, expected("nominal.veteran", "beta"), SEARCHED)
    agree(np.diag(covariance), expected("nominal.veteran", "covariance"), SEARCHED)
    beta, covariance = fit_multinomial(x, (rows["trt"] - 1).to_numpy(), 2, weight)
    agree(beta[:, 0], expected("nominal.two", "beta"))
    agree(covariance, expected("nominal.two", "covariance"))


def test_weighted_proportional_odds_agree_with_r():
    rows, weight = veteran()
    grade = np.digitize(rows["karno"], [40.5, 65.5])
    theta, covariance = fit_thresholds(rows[["a", "trt"]].to_numpy(dtype=float), grade, 3, weight)
    agree(theta, expected("ordered.veteran", "theta"), SEARCHED)
    agree(np.diag(covariance), expected("ordered.veteran", "covariance"), SEARCHED)


def test_columns_that_others_determine_are_found():
    x = np.column_stack([np.ones(6), np.arange(6), np.arange(6) * 2 + 1, np.arange(6) ** 2, np.full(6, 3.0)])
    assert imputation_models.independent(x).tolist() == [True, True, False, True, False]


# ---- the imputation itself

ERRORS = 4.5        # Monte-Carlo errors of both sides together that means and log variances may differ by


def within_monte_carlo(frames, quantities, case):
    """Means and variances between imputations, ours and those of mice."""
    found = np.array([quantities(frame) for frame in frames])
    mean, variance, m = (expected(case, name) for name in ("mean", "variance", "m"))
    spread = found.var(axis=0, ddof=1)
    agree(found.mean(axis=0), mean, rtol=0, atol=ERRORS * np.sqrt(spread / len(frames) + variance / m))
    z = np.log(spread / variance) / np.sqrt(2 / (len(frames) - 1) + 2 / (m - 1))
    assert (np.abs(z) < ERRORS).all(), z


@pytest.fixture
def categories_as_in_mice(monkeypatch):
    """mice holds coefficients for three levels and more at their estimates; ours are drawn, which spreads shares."""
    def held(draw):
        def wrapped(x, y, wanted, n_levels, rng):
            with monkeypatch.context() as patch:
                if n_levels > 2:
                    patch.setattr(imputation_models, "_draw_around", lambda theta, covariance, rng: theta)
                return draw(x, y, wanted, n_levels, rng)
        return wrapped
    for name in ("nominal", "ordered"):
        monkeypatch.setitem(imputation._DRAWS, name, held(imputation._DRAWS[name]))


def slopes(y, *x):
    design = np.column_stack([np.ones(len(y)), *x])
    return np.linalg.lstsq(design, np.asarray(y, dtype=float), rcond=None)[0][1:]


def lung_quantities(frame):
    woman = (frame["sex"] == 2).to_numpy(dtype=float)
    return np.r_[frame["time"].mean(), frame["age"].mean(), frame["age"].std(), woman.mean(),
                 (frame["ecog"] == "grade 0").mean(), (frame["ecog"] == "grade 1").mean(),
                 slopes(frame["time"], frame["age"], woman), np.corrcoef(frame["age"], frame["time"])[0, 1]]


def test_imputations_of_all_kinds_of_columns_agree_with_mice(categories_as_in_mice):
    rows = lung()
    made = stats.impute(rows, m=60, iterations=5, seed=11, methods={"sex": "logistic"})
    assert made.methods == {"time": "pmm", "age": "pmm", "sex": "logistic", "ecog": "nominal"}
    within_monte_carlo(made.frames, lung_quantities, "many.lung_pmm")
    ordered = rows.assign(ecog=pd.Categorical(rows["ecog"], ordered=True))
    made = stats.impute(ordered, m=60, iterations=5, seed=12,
                        methods={"sex": "logistic", "time": "normal", "age": "normal"})
    assert made.methods["ecog"] == "ordered"
    within_monte_carlo(made.frames, lung_quantities, "many.lung_norm")


@pytest.mark.parametrize("method", ["pmm", "normal"])
def test_imputations_of_the_headache_trial_agree_with_mice(real_data, method):
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    rows = rows[["age", "sex", "migraine", "chronicity", "group", "pk1", "pk2", "pk5"]]
    made = stats.impute(rows, m=100, iterations=5, seed=5, methods={"pk2": method, "pk5": method})

    def quantities(frame):
        return np.r_[frame["pk5"].mean(), frame["pk5"].std(), frame["pk2"].mean(),
                     slopes(frame["pk5"], frame["group"], frame["pk1"])]
    case = "many.headache_pmm" if method == "pmm" else "many.headache_norm"
    within_monte_carlo(made.frames, quantities, case)


def test_drawn_coefficients_spread_as_their_covariance():
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    rng = np.random.default_rng(1)
    drawn = np.array([imputation_models._draw_around(np.array([1.0, -1]), covariance, rng) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -1], atol=0.045)         # 4.5 Monte-Carlo errors
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.1)


def test_what_is_known_stays_as_it_is_and_nothing_is_left_missing():
    rows = lung().assign(flag=lambda d: (d["time"] > 300).astype(object).where(d["time"].notna(), None))
    rows.index = rows.index + 7
    before = rows.copy()
    made = stats.impute(rows, m=3, iterations=2, seed=1)
    pd.testing.assert_frame_equal(rows, before)
    for frame in made.frames:
        assert not frame.isna().any().any() and list(frame.columns) == list(rows.columns)
        pd.testing.assert_index_equal(frame.index, rows.index)
        known = rows.notna()
        assert (frame.where(known) == rows.where(known))[known].where(known, True).all().all()
        assert set(frame["age"]) <= set(rows["age"].dropna())         # predictive mean matching
        assert set(frame["ecog"]) <= set(rows["ecog"].dropna()) and set(frame["flag"]) <= {True, False}
    assert made.means.shape == made.sds.shape == (3, 2, 5)
    pd.testing.assert_frame_equal(made.missing, rows.isna())


def test_the_same_seed_gives_the_same_imputations_and_more_of_them_keep_the_first():
    rows = lung()
    one, two = (stats.impute(rows, m=m, iterations=2, seed=4).frames for m in (2, 4))
    for first, second in zip(one, two, strict=False):
        pd.testing.assert_frame_equal(first, second)
    assert not two[0].equals(two[1]) and not one[0].equals(stats.impute(rows, m=2, iterations=2, seed=5).frames[0])


def test_a_complete_frame_comes_back_as_it_is():
    rows = committed("stroke")
    made = stats.impute(rows, m=2, iterations=1, seed=1)
    pd.testing.assert_frame_equal(made.frames[1], rows)
    assert made.methods == {} and made.note == ""


def test_default_methods_follow_the_kind_of_column():
    rows = pd.DataFrame({"yes": [0, 1, np.nan] * 6, "score": [1.5, 2, np.nan, 4, 5, 3] * 3,
                         "grade": pd.Categorical([*"abcabc"] * 3, ordered=True).set_categories([*"abcd"]),
                         "sex": ["f", None, "m"] * 6, "place": ["x", "y", "z", None, "x", "z"] * 3})
    rows.loc[4, "grade"] = None
    made = stats.impute(rows, m=2, iterations=2, seed=1)
    assert made.methods == {"yes": "logistic", "score": "pmm", "grade": "ordered", "sex": "logistic",
                            "place": "nominal"}
    assert made.note == "" and made.frames[0]["grade"].dtype == rows["grade"].dtype


# ---- degenerate input

def test_a_column_that_cannot_be_imputed_is_named():
    wave = np.sin(np.arange(20.0))
    rows = pd.DataFrame({"x": wave, "y": np.nan})
    for frame, words in ((rows, "column 'y' has no value"),
                         (rows.assign(y=[1.0, 2, *[np.nan] * 18], z=wave**2), "no more values than its model"),
                         (rows.assign(y=pd.Series([None] * 20, dtype=object)), "column 'y' has no value")):
        made = stats.impute(frame, m=2, iterations=1, seed=1)
        assert made.frames == () and words in made.note


def test_perfect_prediction_duplicates_and_constants_do_no_harm():
    x = np.arange(30.0)
    rows = pd.DataFrame({"x": x, "twice": 2 * x, "same": 5.0, "good": np.where(x < 15, "no", "yes")}).astype(object)
    rows.loc[[3, 20], "good"] = None
    rows.loc[[7], "same"] = None
    rows = rows.astype({"x": float, "twice": float, "same": float})
    rows.loc[9, "twice"] = np.nan
    made = stats.impute(rows, m=5, iterations=3, seed=2)
    assert made.note == ""
    for frame in made.frames:
        assert frame["same"].eq(5).all() and set(frame["good"]) == {"no", "yes"}
    only = rows.assign(good=["no"] * 29 + [None])
    assert (stats.impute(only, m=2, iterations=1, seed=1).frames[0]["good"] == "no").all()


def test_impossible_input_is_refused():
    rows = pd.DataFrame({"x": [1.0, np.nan, 3, 4, 5, 6], "full": range(6), "word": ["a", "b", "c", None, "a", "b"]})
    date = rows.assign(x=pd.to_datetime(["2026-01-01", None] * 3))
    for frame, options in ((rows, {"m": 0}), (rows, {"iterations": 0}), (rows, {"seed": -1}),
                           (rows.assign(full=[np.inf, *range(5)]), {}), (date, {}),
                           (pd.concat([rows, rows[["x"]]], axis=1), {}), (rows, {"methods": {"x": "magic"}}),
                           (rows, {"methods": {"full": "pmm"}}), (rows, {"methods": {"none": "pmm"}}),
                           (rows, {"methods": {"word": "pmm"}}), (rows, {"methods": {"word": "ordered"}}),
                           (rows, {"methods": {"word": "logistic"}})):
        with pytest.raises(ValueError):
            stats.impute(frame, **({"m": 2, "iterations": 1, "seed": 1} | options))


@settings(max_examples=40)
@given(st.data())
def test_any_frame_is_filled_or_says_why(data):
    n = data.draw(st.integers(1, 14))
    kinds = (st.sampled_from([0.0, 1.0, 2.0, 1e6, np.nan]), st.sampled_from(["a", "b", "c", None]),
             st.sampled_from([0.0, 1.0, np.nan]))
    rows = pd.DataFrame({f"c{i}": data.draw(st.lists(kind, min_size=n, max_size=n)) for i, kind in enumerate(kinds)})
    made = stats.impute(rows, m=2, iterations=2, seed=1)
    assert bool(made.note) == (made.frames == ())
    for frame in made.frames:
        assert not frame.isna().any().any()
        for name in rows:
            assert set(frame[name]) <= set(rows[name].dropna())
