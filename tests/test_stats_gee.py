"""Generalized estimating equations, against R geepack; Mancl and DeRouen's errors by hand in R."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import agree, codes, committed, reader, stroke_with_dropout, table

from therapyeval import stats

expected = reader("clustered")
ERRORS = ["robust", "scaled", "mancl_derouen"]
BINARY = {"family": "binomial"}


def stroke(rows, outcome, pairs, covariates=("week",), **options):
    return stats.gee_contrast(outcome, codes(rows["Group"]), pairs, rows[list(covariates)], cluster=rows["Subject"],
                              **options)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("correlation", "level"), [("independence", 0.95), ("exchangeable", 0.90)])
def test_headache_trial_by_practice_agrees_with_geepack(headache, error, correlation, level):
    found = stats.gee_contrast(headache["pk5"], headache["group"].to_numpy(), [(0, 1)], headache[["pk1", "age"]],
                               cluster=headache["practice_id"], correlation=correlation, error=error, conf_level=level)
    agree(table(found), expected(f"gee.acupuncture_{correlation}", error))


@pytest.mark.parametrize("error", ERRORS)
def test_clusters_that_hold_several_groups_agree_with_geepack(error):
    rows = committed("clustered")
    found = stats.gee_contrast(rows["score"], rows["arm"].to_numpy(), [(1, 0), (2, 1)], rows[["age", "payer"]],
                               cluster=rows["patient"], error=error)
    agree(table(found), expected("gee.clustered", error))


@pytest.mark.parametrize("error", ERRORS)
def test_weeks_of_stroke_patients_agree_with_geepack(error):
    whole, rows = committed("stroke_long"), stroke_with_dropout()
    found = stroke(whole, whole["ability"], [(1, 0), (2, 0)], error=error)
    agree(table(found), expected("gee.stroke_exchangeable", error))
    found = stroke(rows, rows["ability"], [(1, 0), (2, 0)], correlation="ar1", order=rows["week"], error=error)
    agree(table(found), expected("gee.stroke_ar1", error))


@pytest.mark.parametrize("error", ERRORS)
def test_odds_ratios_agree_with_geepack(headache, error):
    rows = stroke_with_dropout()
    good = (rows["ability"] >= 60).astype(int)
    for correlation, order in (("exchangeable", {}), ("ar1", {"order": rows["week"]})):
        found = stroke(rows, good, [(0, 2), (1, 2)], correlation=correlation, error=error, **order, **BINARY)
        agree(table(found), expected(f"gee.stroke_binomial_{correlation}", error))
    better = headache["pk5"] <= 0.65 * headache["pk1"]
    found = stats.gee_contrast(better, headache["group"].to_numpy(), [(1, 0)], headache[["pk1", "age"]],
                               cluster=headache["practice_id"], error=error, **BINARY)
    agree(table(found), expected("gee.acupuncture_binomial", error))


@pytest.mark.parametrize("error", ERRORS)
def test_standardized_risk_differences_agree_with_geepack(headache, error):
    rows = stroke_with_dropout()
    good = (rows["ability"] >= 60).astype(int)
    for correlation, order in (("exchangeable", {}), ("ar1", {"order": rows["week"]})):
        found = stroke(rows, good, [(0, 2), (1, 2)], correlation=correlation, error=error, effect="risk_difference",
                       conf_level=0.9, **order, **BINARY)
        agree(table(found), expected(f"gee.stroke_risks_{correlation}", error))
    better = headache["pk5"] <= 0.65 * headache["pk1"]
    found = stats.gee_contrast(better, headache["group"].to_numpy(), [(1, 0)], headache[["pk1", "age"]],
                               cluster=headache["practice_id"], error=error, effect="risk_difference", **BINARY)
    agree(table(found), expected("gee.acupuncture_risks", error))


def test_without_covariates_the_risk_difference_is_that_of_the_shares_where_clusters_are_of_one_size():
    rows = committed("stroke_long")
    good = (rows["ability"] >= 60).astype(int)
    found = stroke(rows, good, [(1, 0), (2, 0)], covariates=(), effect="risk_difference", **BINARY)
    share = good.groupby(codes(rows["Group"])).mean()
    agree(found.estimate, [share[1] - share[0], share[2] - share[0]])


def test_an_effect_that_the_family_does_not_have_is_refused():
    rows = committed("stroke_long")
    with pytest.raises(ValueError, match="poisson has rate_ratio"):
        stroke(rows, rows["ability"], [(1, 0)], family="poisson", effect="risk_difference")
    with pytest.raises(ValueError, match="odds_ratio or risk_difference"):
        stroke(rows, (rows["ability"] >= 60).astype(int), [(1, 0)], effect="risk_ratio", **BINARY)


@pytest.mark.parametrize("error", ERRORS)
def test_rate_ratios_agree_with_geepack(error):
    kidney, rows = committed("kidney"), stroke_with_dropout()
    found = stats.gee_contrast(kidney["status"], kidney["sex"].to_numpy() - 1, [(1, 0)], kidney[["age"]],
                               cluster=kidney["id"], family="poisson", exposure=10 + kidney["time"] % 50, error=error)
    agree(table(found), expected("gee.kidney_poisson", error))
    found = stroke(rows, rows["ability"] // 10, [(0, 2), (1, 2)], correlation="ar1", order=rows["week"],
                   family="poisson", error=error)
    agree(table(found), expected("gee.stroke_poisson_ar1", error))


def test_stroke_patients_reproduce_the_standard_errors_of_the_book(real_data):
    checks = json.loads((real_data("stroke_recovery") / "published.json").read_text())["checks"]
    book, rows = {check["id"]: check["published"] for check in checks}, committed("stroke_long")
    lines = pd.DataFrame({"week": rows["week"], **{g: rows["week"] * (rows["Group"] == g) for g in "BC"}})
    found = stats.gee_contrast(rows["ability"], codes(rows["Group"]), [(1, 0), (2, 0)], lines,
                               cluster=rows["Subject"], correlation="independence", error="scaled")
    agree(table(found), expected("gee.stroke_at_0", "scaled"))
    errors = (found.high - found.low) / 2 / 1.959963984540054
    for row, name in enumerate(["GroupB", "GroupC"]):
        assert f"{found.estimate[row]:.3f}" == book[f"gee_independence_robust.{name}.est"]
        assert f"{errors[row]:.3f}" == book[f"gee_independence_robust.{name}.se"]


def test_single_rows_give_the_same_with_every_correlation():
    rows = committed("kutner")
    results = [table(stats.gee_contrast(rows["y"], rows["group"].to_numpy() - 1, [(0, 2)], rows[[]],
                                        cluster=np.arange(len(rows)), correlation=correlation, **order))
               for correlation, order in (("independence", {}), ("exchangeable", {}),
                                          ("ar1", {"order": np.zeros(len(rows), dtype=int)}))]
    for other in results[1:]:
        agree(other, results[0])


def test_a_distance_in_order_counts_not_the_number_of_the_row():
    rows = stroke_with_dropout().sample(frac=1, random_state=2)
    options = {"correlation": "ar1", "error": "robust"}
    shifted = stroke(rows, rows["ability"], [(1, 0)], order=rows["week"] - 40, **options)
    agree(table(shifted), table(stroke(rows, rows["ability"], [(1, 0)], order=rows["week"], **options)), 1e-9)


# ---- what determines nothing

ROWS = committed("stroke_long")
HIGH = (ROWS["ability"] > 50).to_numpy()
WHO = ROWS["Subject"].to_numpy()


@pytest.mark.parametrize(
    ("outcome", "options", "note"),
    [
        (codes(ROWS["Group"]) > 0, BINARY, "groups or covariates separate the outcomes: no finite estimate"),
        (np.ones(192), BINARY, "groups or covariates separate the outcomes: no finite estimate"),
        (np.ones(192), {}, "the model fits without error: no interval"),
        (HIGH, {"cluster": np.repeat([0, 1, 2], 64), "correlation": "independence", **BINARY},
         "needs more clusters than coefficients"),
        (HIGH, {"cluster": np.repeat(np.arange(6), [64, 16, 16, 32, 32, 32]), **BINARY},
         "a cluster alone determines a coefficient: no Mancl-DeRouen errors"),
    ],
)
def test_equations_that_are_not_determined_give_no_number(outcome, options, note):
    options = {"cluster": WHO, **options}
    found = stats.gee_contrast(outcome, codes(ROWS["Group"]), [(1, 0), (2, 0)], ROWS[["week"]], **options)
    assert np.isnan(table(found)).all() and set(found.note) == {note}


def test_an_absent_group_and_a_group_of_one_cluster_are_said():
    cluster = np.where(ROWS["Group"] == "A", 0, WHO)
    found = stats.gee_contrast(ROWS["ability"], codes(ROWS["Group"]), [(1, 0), (2, 1), (7, 1)], ROWS[[]],
                               cluster=cluster, error="robust")
    assert found.note.tolist() == ["needs two clusters in each group for an interval", "", "a group has no value"]
    assert np.isfinite(found.estimate[:2]).all() and np.isnan(found.low[[0, 2]]).all() and np.isfinite(found.low[1])


def test_no_rows_give_no_contrast():
    none = np.array([], dtype=int)
    found = stats.gee_contrast(none.astype(float), none, [(0, 1)], pd.DataFrame(index=none), cluster=none)
    assert found.note.tolist() == ["no unit has a value"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "gamma"}, "family is 'gamma'"),
        ({"correlation": "unstructured"}, "correlation is 'unstructured'"),
        ({"error": "CR2"}, "error is 'CR2'"),
        ({"correlation": "ar1"}, "order goes with"),
        ({"order": WHO}, "order goes with"),
        ({"correlation": "ar1", "order": WHO}, "must not repeat"),
        ({"correlation": "ar1", "order": WHO * 1.0}, "one whole number"),
        ({"family": "binomial"}, "0 and 1 only"),
        ({"exposure": WHO}, "exposure goes with"),
        ({"family": "poisson", "exposure": WHO * 0}, "exposure above 0"),
        ({"family": "poisson", "outcome": ROWS["ability"] - 30.0}, "not negative"),
        ({"cluster": WHO[:3]}, "cluster has shape"),
        ({"conf_level": 0.0}, "conf_level"),
    ],
)
def test_senseless_input_is_refused(options, message):
    options = {"cluster": WHO, "outcome": ROWS["ability"], **options}
    with pytest.raises(ValueError, match=message):
        stats.gee_contrast(group=codes(ROWS["Group"]), pairs=[(1, 0)], covariates=ROWS[[]], **options)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 30), n_groups=st.integers(1, 3), n_clusters=st.integers(1, 8),
       family=st.sampled_from(["gaussian", "binomial", "poisson"]), error=st.sampled_from(ERRORS),
       correlation=st.sampled_from(["independence", "exchangeable", "ar1"]))
def test_any_small_sample_gives_finite_numbers_or_a_reason(seed, n, n_groups, n_clusters, family, error, correlation):
    rng = np.random.default_rng(seed)
    group, cluster = rng.integers(0, n_groups, n), rng.integers(0, n_clusters, n)
    outcome = rng.integers(0, 2 if family == "binomial" else 1 + seed % 5, n)
    covariates = pd.DataFrame({"other": rng.integers(0, 9, n)})[["other"] * int(rng.integers(0, 2))]
    order = {"order": rng.permutation(n)} if correlation == "ar1" else {}
    found = stats.gee_contrast(outcome, group, [(0, 1), (1, 2)], covariates, cluster=cluster, family=family,
                               error=error, correlation=correlation, **order)
    clear = found.note == ""
    assert np.isfinite(table(found)[clear, :2]).all() and (found.high[clear] > found.estimate[clear]).all()
    assert np.isnan(found.low[~clear]).all() and np.isnan(found.p_value[~clear]).all()
