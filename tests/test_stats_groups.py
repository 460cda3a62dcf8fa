"""Two and more groups: t, ranks, analysis of variance, pairs behind it and effect sizes, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import agree, committed, joint, kutner, reader, stroke, table

from therapyeval import stats
from therapyeval.stats.studentized_range import range_p_value, range_quantile

expected = reader("groups")
ALL_PAIRS = [(0, 1), (0, 2), (1, 2)]


def lung(by):
    rows = committed("lung")
    return rows["age"].to_numpy(dtype=float), pd.factorize(rows[by], sort=True)[0]


# ---- t tests

def test_student_agrees_with_r(headache):
    agree(table(stats.student(*kutner(), [(0, 1), (0, 2)])), expected("student.kutner"))
    agree(table(stats.student(*stroke(), [(0, 1), (0, 2)], conf_level=0.9)), expected("student.stroke_90"))
    found = stats.student(headache["pk5"], headache["group"].to_numpy(), [(0, 1)])
    agree(table(found), expected("student.acupuncture"))


def test_student_needs_three_values_and_says_so():
    values = np.array([1.0, 4, 6, 3, 3, 3])
    found = stats.student(values, np.array([0, 1, 2, 2, 4, 4]), [(0, 1), (0, 2), (3, 1), (4, 0)])
    assert found.note.tolist() == ["needs three values in the two groups for an interval", "",
                                   "a group has no value", "no variation within the groups: no interval"]
    np.testing.assert_array_equal(found.estimate, [-3, -3.5, np.nan, 2])
    assert np.isnan(found.low[[0, 2, 3]]).all() and np.isfinite(found.low[1])


def test_paired_t_agrees_with_r(headache):
    rows = committed("stroke")
    group = pd.factorize(rows["Group"], sort=True)[0]
    agree(table(stats.paired(rows["week8"], rows["week1"], group, 3)), expected("paired.stroke"))
    found = stats.paired(headache["pk5"], headache["pk1"], headache["group"].to_numpy(), 2)
    agree(table(found), expected("paired.acupuncture"))


def test_paired_t_of_thin_groups_names_the_reason():
    first, second = np.array([5.0, 6, 7, 0.3]), np.array([4.0, 5, 6, 0.1])
    found = stats.paired(first, second, np.array([0, 0, 0, 1]), 3)
    assert found.note.tolist() == ["every unit has the same difference: no interval",
                                   "needs two units for an interval", "no unit has a value"]
    np.testing.assert_allclose(found.estimate, [1, 0.2, np.nan])
    assert np.isnan(found.p_value).all()


# ---- ranks

def test_exact_mann_whitney_agrees_with_r():
    first, second = expected("mw.exact", "first"), expected("mw.exact", "second")
    group = np.repeat([0, 1], [len(first), len(second)])
    found = stats.mann_whitney(np.r_[first, second], group, [(0, 1)], exact=True)
    agree(table(found)[:, :4], expected("mw.exact")[:1])
    days, group = kutner()
    place = pd.Series(days).groupby(group).cumcount().to_numpy() + 1
    untied = days + place / 97 + days**2 / 1000
    found = stats.mann_whitney(untied, group, ALL_PAIRS, exact=True)
    agree(table(found)[:, :4], expected("mw.exact")[1:])
    assert found.method == "Mann-Whitney, Hodges-Lehmann, exact"


def test_mann_whitney_by_the_normal_approximation_agrees_with_r(headache):
    agree(table(stats.mann_whitney(*kutner(), [(0, 1), (0, 2)]))[:, :4], expected("mw.kutner"))
    found = stats.mann_whitney(*stroke(), [(0, 1), (0, 2)], conf_level=0.9)
    agree(table(found)[:, :4], expected("mw.stroke_90"))
    agree(table(stats.mann_whitney(*lung("sex"), [(0, 1)]))[:, :4], expected("mw.lung_age"))
    found = stats.mann_whitney(headache["pk5"], headache["group"].to_numpy(), [(0, 1)])
    agree(table(found)[:, :4], expected("mw.acupuncture"))


def test_signed_rank_agrees_with_r(headache):
    gains, alone = expected("sr.exact", "gains"), np.zeros(9, dtype=int)
    for row, level in enumerate((0.95, 0.9)):
        found = stats.signed_rank(gains, np.zeros(9), alone, 1, exact=True, conf_level=level)
        agree(table(found)[0, :4], expected("sr.exact")[row])
    change, group = stroke()
    agree(table(stats.signed_rank(change, np.zeros(24), group, 3))[:, :4], expected("sr.stroke"))
    found = stats.signed_rank(headache["pk5"], headache["pk1"], headache["group"].to_numpy(), 2)
    agree(table(found)[:, :4], expected("sr.acupuncture"))


def test_exact_ranks_of_three_against_three_by_counting():
    found = stats.mann_whitney(np.array([1.0, 2, 3, 7, 8, 9]), np.repeat([0, 1], 3), [(1, 0), (0, 1)], exact=True)
    np.testing.assert_allclose(found.p_value, 2 / 20)                              # 2 of 20 arrangements
    assert found.note.tolist() == ["too few values for an interval at this level"] * 2
    assert found.estimate.tolist() == [6, -6] and np.isnan(found.low).all()


def test_ties_have_no_exact_rank_test():
    found = stats.mann_whitney(*kutner(), [(0, 1)], exact=True)
    assert found.note[0].startswith("tied values") and np.isfinite(found.estimate[0]) and np.isnan(found.p_value[0])
    found = stats.signed_rank(np.array([1.0, -1, 2]), np.zeros(3), np.zeros(3, dtype=int), 2, exact=True)
    assert found.note[0].startswith("tied or zero") and found.note[1] == "no unit has a difference other than zero"


def test_equal_values_give_no_rank_test():
    found = stats.mann_whitney(np.full(6, 2.0), np.repeat([0, 1], 3), [(0, 1)])
    assert found.note.tolist() == ["every value is the same: no test"] and found.estimate[0] == 0


# ---- several groups

def test_tests_of_all_groups_agree_with_r():
    for name, test in (("anova", stats.anova), ("welch", stats.welch_anova), ("kruskal", stats.kruskal_wallis)):
        found = [joint(test(*rows)) for rows in (kutner(), stroke(), lung("ecog"))]
        agree(found, expected("omnibus", name))


def test_the_textbook_prints_this_analysis_of_variance():
    found = stats.anova(*kutner())
    assert (round(found.statistic, 2), found.df, found.df_error) == (16.96, 2, 21)        # Kutner et al., 16.9


@pytest.mark.parametrize("test", [stats.anova, stats.welch_anova, stats.kruskal_wallis])
def test_a_test_of_all_groups_says_what_it_lacks(test):
    alone = test(np.array([1.0, 2, 3]), np.zeros(3, dtype=int))
    assert alone.note == "needs two groups with values" and np.isnan(alone.p_value)
    flat = test(np.array([0.1, 0.1, 0.1, 0.1]), np.array([0, 0, 1, 1]))
    assert flat.note and np.isnan(flat.statistic)
    assert test(np.array([]), np.array([], dtype=int)).note == "needs two groups with values"


@pytest.mark.parametrize(("name", "pairs_of"), [("tukey", stats.tukey), ("games_howell", stats.games_howell)])
def test_simultaneous_pairs_agree_with_r(name, pairs_of):
    agree(table(pairs_of(*kutner(), ALL_PAIRS)), expected(name, "kutner"))
    agree(table(pairs_of(*stroke(), ALL_PAIRS, conf_level=0.9)), expected(name, "stroke90"))
    agree(table(pairs_of(*lung("ecog"), ALL_PAIRS)), expected(name, "lung"))


@pytest.mark.parametrize("pairs_of", [stats.tukey, stats.games_howell])
def test_the_family_is_all_groups_whichever_pairs_are_asked(pairs_of):
    agree(table(pairs_of(*kutner(), [(0, 2)])), table(pairs_of(*kutner(), ALL_PAIRS))[[1]], rtol=1e-12)
    absent = pairs_of(*kutner(), [(0, 9), (0, 1)])
    assert absent.note.tolist() == ["a group has no value", ""] and np.isnan(absent.estimate[0])


def test_dunn_agrees_with_r():
    for name, rows in (("kutner", kutner()), ("stroke", stroke()), ("lung", lung("ecog"))):
        agree(table(stats.dunn(*rows, ALL_PAIRS))[:, :4], expected("dunn", name)[:, :4])


def test_studentized_range_agrees_with_r():
    q, k, df = (expected("range_p", name) for name in ("q", "k", "df"))
    found = [range_p_value(*row) for row in zip(q, k.astype(int), df, strict=True)]
    agree(found, expected("range_p", "p"))
    for wanted, groups, freedom in zip(q, k.astype(int), df, strict=True):
        agree(range_quantile(range_p_value(wanted, groups, freedom), groups, freedom), wanted)


def test_the_studentized_range_of_two_groups_is_the_t_distribution():
    from therapyeval.stats.critical_values import t_p_value

    for q, df in ((0.5, 1.3), (0.5, 2.2), (4.0, 2.2), (3.0, 7.7), (5.0, 100.0)):
        agree(range_p_value(q, 2, df), t_p_value(np.array(q / np.sqrt(2)), df), rtol=1e-8)


# ---- effect sizes

KINDS = ("cohen_d", "hedges_g", "glass_delta")


def test_standardized_differences_agree_with_r(headache):
    acupuncture = headache["pk5"].to_numpy(), headache["group"].to_numpy()
    for row, kind in enumerate(KINDS):
        found = stats.standardized_difference(*kutner(), [(0, 2)], kind=kind)
        agree(table(found)[0], expected("standardized", "kutner13")[row])
        found = stats.standardized_difference(*stroke(), [(0, 1)], kind=kind, conf_level=0.9)
        agree(table(found)[0], expected("standardized", "stroke90")[row])
        found = stats.standardized_difference(*acupuncture, [(0, 1)], kind=kind)
        agree(table(found)[0], expected("standardized", "acupuncture")[row])


def test_standardized_differences_without_spread_or_values_say_so():
    values, group = np.array([1.0, 1, 2, 2, 5, 6, 7]), np.array([0, 0, 1, 1, 2, 3, 3])
    found = stats.standardized_difference(values, group, [(0, 1), (2, 3), (4, 0), (3, 2)], kind="glass_delta")
    assert found.note.tolist() == ["no variation within the groups: no standardized difference",
                                   "needs two values for a standard deviation", "a group has no value",
                                   "needs two values for a standard deviation"]
    assert np.isnan(table(found)).all()


def test_hedges_factor_needs_four_values_and_a_huge_difference_keeps_its_limits():
    found = stats.standardized_difference(np.array([1.0, 2, 4]), np.array([0, 0, 1]), [(0, 1)])
    assert found.note.tolist() == ["needs four values in the two groups for Hedges' factor"]
    assert np.isnan(table(found)).all()
    values = np.array([0.0, 1, 2, 1000, 1001, 1002])
    found = stats.standardized_difference(values, np.repeat([0, 1], 3), [(1, 0)], kind="cohen_d")
    assert found.estimate[0] == 1000 and 0 < found.low[0] < 1000 < found.high[0] < 2000
    from therapyeval.stats.chi_quadrature import noncentral_t_cdf

    t = 1000 / np.sqrt(2 / 3)
    tails = [noncentral_t_cdf(t, 4, limit / np.sqrt(2 / 3)) for limit in (found.low[0], found.high[0])]
    agree(tails, [0.975, 0.025])
    from scipy.special import gammainc

    agree(tails[0], 1 - gammainc(2, 2 * (found.low[0] / 1000) ** 2), rtol=1e-3)        # the mean is all but known


def test_superiority_agrees_with_r_and_rank_biserial_is_twice_it_minus_one(headache):
    wanted = expected("superiority")
    acupuncture = headache["pk5"].to_numpy(), headache["group"].to_numpy()
    cases = [(*kutner(), [(0, 1), (1, 2)]), (*stroke(), [(0, 1)]), (*acupuncture, [(0, 1)]), (*lung("sex"), [(0, 1)])]
    agree(np.vstack([table(stats.superiority(*case))[:, :4] for case in cases]), wanted)
    biserial = np.vstack([table(stats.rank_biserial(*case))[:, :4] for case in cases])
    agree(biserial, np.column_stack([2 * wanted[:, :3] - 1, wanted[:, 3]]))


def test_groups_that_do_not_overlap_have_no_interval():
    found = stats.superiority(np.array([1.0, 2, 3, 4, 2]), np.array([0, 0, 1, 1, 2]), [(0, 1), (1, 0), (2, 0), (9, 0)])
    assert found.estimate[:3].tolist() == [0, 1, 0.75]
    assert found.note.tolist() == ["the groups do not overlap: no interval"] * 2 + [
        "needs two values in each group for an interval", "a group has no value"]
    assert np.isnan(found.low).all() and np.isnan(found.p_value).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.student(np.array([1.0, np.nan]), np.array([0, 1]), [(0, 1)]), "missing or infinite"),
        (lambda: stats.paired(np.ones(2), np.ones(3), np.zeros(2, dtype=int), 1), "first has 2 values"),
        (lambda: stats.mann_whitney(np.ones(3), np.array([0, 1]), [(0, 1)]), "group has shape"),
        (lambda: stats.tukey(np.ones(2), np.array([0, 1]), [(1, 1)]), "two different codes"),
        (lambda: stats.standardized_difference(np.ones(2), np.array([0, 1]), [(0, 1)], kind="g"), "kind is 'g'"),
        (lambda: stats.superiority(np.ones(2), np.array([0, 1]), [(0, 1)], conf_level=95), "conf_level"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
