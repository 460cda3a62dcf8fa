"""Adjusted differences: least squares with classical, HC2, HC3 and CR2 variance, against R."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, committed, reader, table
from reference_values import agree as agree_at

from therapyeval import stats

expected, agree = reader("stats"), partial(agree_at, rtol=EXACT)
PLAIN = ("classical", "HC2", "HC3")
ANCOVA = ["pk1", "age", "sex", "migraine", "chronicity"]


def adjusted(rows: pd.DataFrame, outcome: str, group: str, pairs, covariates=(), **options) -> stats.Contrast:
    codes = pd.factorize(rows[group], sort=True)[0]
    return stats.adjusted_difference(rows[outcome], codes, pairs, rows[list(covariates)], **options)


@pytest.fixture
def back_pain(back_pain_visits) -> pd.DataFrame:
    before, after = (back_pain_visits[back_pain_visits["time"] == time] for time in (1, 2))
    return before.merge(after[["id", "odi"]], on="id", suffixes=("1", "2")).dropna(subset=["odi1", "odi2"])


# ---- independent rows

def test_headache_trial_agrees_with_r_under_three_variances(headache):
    for row, variance in enumerate(PLAIN):
        found = adjusted(headache, "pk5", "group", [(0, 1)], ANCOVA, variance=variance)
        agree(table(found)[0], expected("ols.acupuncture")[row])


def test_headache_trial_gives_the_published_difference(headache):
    classical = adjusted(headache, "pk5", "group", [(0, 1)], ANCOVA, variance="classical")
    assert table(classical)[0, :3].round(2).tolist() == [4.64, 2.20, 7.08]
    assert classical.p_value[0].round(5) == 0.00022
    robust = adjusted(headache, "pk5", "group", [(0, 1)], ANCOVA)
    assert table(robust)[0, 1:3].round(2).tolist() == [2.16, 7.12] and robust.p_value[0].round(4) == 0.0003
    assert robust.method == "least squares, HC3 standard errors, t"


def test_back_pain_trial_agrees_with_r_for_two_arms_under_three_variances(back_pain):
    for row, variance in enumerate(PLAIN):
        found = adjusted(back_pain, "odi2", "group", [(1, 0), (2, 0)], ["odi1"], variance=variance)
        agree(table(found), expected("ols.back_pain")[[row, row + 3]])
    agree(found.estimate, [10.6964489823, 12.3727122798])


def test_survival_times_of_lung_patients_agree_with_r_with_a_text_covariate():
    for row, variance in enumerate(PLAIN):
        found = adjusted(committed("lung"), "time", "sex", [(1, 0)], ["age", "ecog"], variance=variance)
        agree(table(found)[0], expected("ols.lung")[row])


def test_without_covariates_and_with_equal_spread_it_is_the_anova_contrast_of_r():
    for row, variance in enumerate(PLAIN):
        found = adjusted(committed("kutner"), "y", "group", [(1, 0)], variance=variance)
        agree(table(found)[0], expected("ols.kutner")[row])


# ---- clustered rows

@pytest.mark.parametrize(
    ("case", "file", "outcome", "group", "cluster", "pairs", "covariates"),
    [
        ("cr2.stroke_long", "stroke_long", "ability", "Group", "Subject", [(1, 0), (2, 0)], ["week"]),
        ("cr2.kidney", "kidney", "time", "sex", "id", [(1, 0)], ["age", "disease"]),
        ("cr2.lung", "lung", "time", "sex", "inst", [(1, 0)], ["age", "ecog"]),
        ("cr2.clustered", "clustered", "score", "arm", "patient", [(1, 0), (2, 0), (2, 1)], ["age", "payer"]),
        ("cr2.clustered_plain", "clustered", "score", "arm", "patient", [(1, 0)], []),
    ],
)
def test_cr2_agrees_with_r_clubsandwich(case, file, outcome, group, cluster, pairs, covariates):
    rows = committed(file)
    found = adjusted(rows, outcome, group, pairs, covariates, variance="CR2", cluster=rows[cluster])
    agree(table(found), expected(case))
    assert found.method == "least squares, CR2 standard errors by cluster, Satterthwaite df, t"


def test_cr2_agrees_with_r_where_clusters_determine_their_own_coefficients():
    rows = committed("lung").astype({"inst": str})
    found = adjusted(rows, "time", "sex", [(1, 0)], ["age", "inst"], variance="CR2", cluster=rows["inst"])
    agree(table(found), expected("cr2.lung_fixed_effects"))


def test_cr2_agrees_with_r_on_the_headache_trial_by_practice(headache):
    practice = headache["practice_id"]
    found = adjusted(headache, "pk5", "group", [(0, 1)], ANCOVA, variance="CR2", cluster=practice)
    agree(table(found), expected("cr2.acupuncture"))


def test_cr2_without_covariates_at_ninety_percent_agrees_with_r():
    rows = committed("stroke_long")
    patient = rows["Subject"]
    found = adjusted(rows, "ability", "Group", [(1, 0)], variance="CR2", cluster=patient, conf_level=0.90)
    agree(table(found), expected("cr2.stroke_plain_90"))


def test_cr2_of_single_rows_agrees_with_r_and_is_hc2_with_other_degrees_of_freedom():
    rows = committed("kutner")
    pairs = [(1, 0), (2, 0)]
    found = adjusted(rows, "y", "group", pairs, variance="CR2", cluster=np.arange(len(rows)))
    agree(table(found), expected("cr2.kutner_single"))
    assert (found.df < 21).all()
    welch = stats.welch(rows["y"], rows["group"].to_numpy() - 1, pairs)         # HC2 is Welch's variance
    width = (found.high - found.low) / (welch.high - welch.low)
    from therapyeval.stats.critical_values import t_quantile

    agree(width, t_quantile(found.df, 0.95) / t_quantile(welch.df, 0.95))


def test_cr2_of_thousands_of_clusters_needs_no_matrix_of_clusters_by_clusters():
    generator = np.random.default_rng(3)
    n_clusters = 20_000
    cluster = np.repeat(np.arange(n_clusters), generator.integers(1, 6, n_clusters))
    group = generator.integers(0, 3, len(cluster))
    covariates = pd.DataFrame({"age": generator.normal(60, 10, len(cluster))})
    outcome = group + generator.normal(size=n_clusters)[cluster] + generator.normal(size=len(cluster))
    pairs = [(1, 0), (2, 0)]
    found = stats.adjusted_difference(outcome, group, pairs, covariates, variance="CR2", cluster=cluster)
    assert (np.abs(found.estimate - [1, 2]) < 0.05).all() and (found.df > 5000).all()


# ---- what is not determined

def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


OUTCOME, ARM = np.array([3.0, 5, 4, 8, 9, 7, 6, 5]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
AGE = [50, 61, 58, 70, 66, 49, 73, 80]


@pytest.mark.parametrize(
    ("covariates", "note"),
    [
        (frame(age=AGE, site=["a"] * 8), "covariate 'site' is constant"),
        (frame(age=[60] * 8), "covariate 'age' is constant"),
        (frame(age=AGE, months=12.0 * np.array(AGE)), "covariate 'months' is collinear with the"),
        (frame(site=list("aaaabbbb")), "covariate 'site' is collinear with the groups"),
        (frame(a=list("abcdefgh")), "needs more rows than coefficients"),
        (frame(payer=list("xxxyyyxz")), "HC3 needs leverage below 1: a value of 'payer' occurs only once"),
        (frame(flag=[0, 0, 0, 0, 0, 1, 0, 0]), "leverage below 1: a value of 'flag' occurs only once"),
    ],
)
def test_a_model_that_determines_nothing_gives_no_number_and_names_the_covariate(covariates, note):
    found = stats.adjusted_difference(OUTCOME, ARM, [(1, 0), (0, 1)], covariates)
    assert np.isnan(table(found)).all()
    assert all(note in text for text in found.note)


def test_leverage_1_does_not_matter_under_classical_variance():
    payer = frame(payer=list("xxxyyyxz"))
    found = stats.adjusted_difference(OUTCOME, ARM, [(1, 0)], payer, variance="classical")
    assert np.isfinite(table(found)).all() and found.note.tolist() == [""]


def test_a_group_of_one_row_has_leverage_1():
    three_arms = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    found = stats.adjusted_difference(OUTCOME, three_arms, [(1, 0)], frame(age=AGE))
    assert np.isnan(table(found)).all()
    assert found.note.tolist() == ["HC3 needs leverage below 1: a group has one row"]


def test_an_absent_group_gives_no_difference_but_leaves_the_others():
    found = stats.adjusted_difference(OUTCOME, ARM, [(1, 0), (5, 0)], frame(age=AGE))
    assert found.note.tolist() == ["", "a group has no value"]
    assert np.isfinite(table(found)[0]).all() and np.isnan(table(found)[1]).all()


def test_a_group_within_one_cluster_has_no_clustered_interval():
    cluster = np.array([1, 1, 2, 2, 3, 3, 3, 3])
    found = stats.adjusted_difference(OUTCOME, ARM, [(1, 0)], frame(age=AGE), variance="CR2", cluster=cluster)
    assert found.note.tolist() == ["needs two clusters in each group for an interval"]
    assert np.isfinite(found.estimate[0]) and np.isnan(table(found)[0, 1:]).all()


@pytest.mark.parametrize("variance", PLAIN)
def test_a_model_without_error_gives_no_interval(variance):
    exact = 3 * ARM + 0.5 * np.array(AGE)
    found = stats.adjusted_difference(exact, ARM, [(1, 0)], frame(age=AGE), variance=variance)
    assert found.note.tolist() == ["the model fits without error: no interval"]
    assert found.estimate[0] == pytest.approx(3) and np.isnan(found.p_value[0])


def test_no_rows_give_no_difference():
    none = np.array([], dtype=int)
    for covariates in (pd.DataFrame(index=none), frame(age=none), frame(payer=none.astype(str))):
        found = stats.adjusted_difference(none.astype(float), none, [(0, 1)], covariates)
        assert found.note.tolist() == ["no unit has a value"]


# ---- how covariates enter

def test_kinds_of_covariates_that_mean_the_same_give_the_same():
    rows = committed("clustered")
    plain = adjusted(rows, "score", "arm", [(1, 0)], ["age", "payer"])
    for kind in ("category", "string", object):
        same = adjusted(rows.astype({"payer": kind}), "score", "arm", [(1, 0)], ["age", "payer"])
        agree(table(same), table(plain))
    nullable = adjusted(rows.astype({"age": "Int64"}), "score", "arm", [(1, 0)], ["payer", "age"])
    agree(table(nullable), table(plain))


def test_a_numeric_covariate_may_be_shifted_and_scaled():
    rows = committed("clustered")
    plain = adjusted(rows, "score", "arm", [(1, 0)], ["age"])
    rows["born"] = 1e6 - rows["age"] / 1e3
    agree(table(adjusted(rows, "score", "arm", [(1, 0)], ["born"])), table(plain))


def test_the_index_of_the_covariates_does_not_matter():
    shuffled = frame(age=AGE).set_axis([7, 6, 5, 4, 3, 2, 1, 0])
    agree(table(stats.adjusted_difference(OUTCOME, ARM, [(1, 0)], shuffled)),
          table(stats.adjusted_difference(OUTCOME, ARM, [(1, 0)], frame(age=AGE))))


@pytest.mark.parametrize(
    ("options", "covariates", "message"),
    [
        ({"variance": "HC1"}, frame(age=AGE), "must be one of"),
        ({"variance": "CR2"}, frame(age=AGE), "only with it"),
        ({"variance": "HC3", "cluster": ARM}, frame(age=AGE), "only with it"),
        ({"cluster": ARM}, frame(age=AGE), "only with it"),
        ({"variance": "CR2", "cluster": ARM[:3]}, frame(age=AGE), "cluster has shape"),
        ({}, frame(age=AGE[:-1] + [np.nan]), "'age' has missing values"),
        ({}, frame(age=AGE[:-1] + [np.inf]), "'age' has infinite values"),
        ({}, frame(payer=list("abababa") + [None]), "'payer' has missing values"),
        ({}, frame(start=pd.date_range("2026-01-01", periods=8)), "'start' holds dates"),
        ({}, frame(age=AGE[:5]), "covariates has 5 rows"),
        ({"conf_level": 0}, frame(age=AGE), "conf_level"),
    ],
)
def test_senseless_input_is_refused(options, covariates, message):
    with pytest.raises(ValueError, match=message):
        stats.adjusted_difference(OUTCOME, ARM, [(1, 0)], covariates, **options)
