"""Permutation, several p-values, equivalence, power and posteriors, against R and identities."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_values import agree, kutner, reader, stroke, table

import therapyeval.stats
from therapyeval import stats

expected = reader("small_samples")


# ---- permutation

def test_permutation_agrees_with_r():
    wanted = expected("permutation")
    agree(table(stats.permutation(*kutner(), [(0, 2)]))[0, :4], wanted[0])
    agree(table(stats.permutation(*stroke(), [(0, 1)]))[0, :4], wanted[1])
    agree(table(stats.permutation(*kutner(), [(0, 2)], conf_level=0.9))[0, :4], wanted[2])


def test_permutation_of_ranks_is_the_exact_rank_sum_test_under_ties():
    found = []
    for (values, group), pairs in ((kutner(), [(0, 1), (0, 2)]), (stroke(), [(0, 1), (0, 2)])):
        for a, b in pairs:
            used = np.isin(group, (a, b))
            ranks = pd.Series(values[used]).rank().to_numpy()
            found.append(stats.permutation(ranks, group[used], [(a, b)]).p_value[0])
    agree(found, expected("rank_sum_ties", "p"))


def test_permutation_of_seven_by_hand():
    values, group = np.array([3.0, 5, 6, 1, 2, 4, 2]), np.array([0, 0, 0, 1, 1, 1, 1])
    gaps = [values[list(one)].mean() - np.delete(values, one).mean() for one in combinations(range(7), 3)]
    found = stats.permutation(values, group, [(0, 1), (1, 0), (0, 3)])
    agree(found.p_value[:2], np.mean(np.abs(gaps) >= gaps[0] - 1e-9))
    assert found.note.tolist() == ["too few arrangements for an interval at this level"] * 2 + ["a group has no value"]
    agree(found.estimate[:2], [29 / 12, -29 / 12])


def test_random_draws_come_close_to_every_arrangement_and_are_repeatable():
    exact = table(stats.permutation(*stroke(), [(0, 1)]))[0, :4]
    drawn = stats.permutation(*stroke(), [(0, 1)], draws=50_000, seed=7)
    assert drawn.method == "permutation of means, 50000 random draws, seed 7"
    np.testing.assert_allclose(table(drawn)[0, :4], exact, atol=0.8)
    assert drawn.p_value[0] == pytest.approx(exact[3], abs=4 * np.sqrt(exact[3] / 50_000))
    again = stats.permutation(*stroke(), [(0, 1)], draws=50_000, seed=7)
    np.testing.assert_array_equal(table(again), table(drawn))


def test_many_units_need_draws():
    values, group = np.arange(60.0), np.repeat([0, 1], 30)
    found = stats.permutation(values, group, [(0, 1)])
    assert found.note.tolist() == ["more than 5,000,000 arrangements: use draws"] and found.estimate[0] == -30
    drawn = stats.permutation(values, group, [(0, 1)], draws=999)
    assert drawn.p_value[0] == 1 / 1000                                             # never zero


# ---- several p-values

def test_adjusted_p_values_agree_with_r():
    for given, wanted in (("p1", "a1"), ("p2", "a2")):
        p = expected("adjust", given)
        for row, method in enumerate(("holm", "hochberg", "benjamini_hochberg")):
            agree(stats.adjust_p(p, method), expected("adjust", wanted)[row], rtol=1e-12)
            shuffled = np.random.default_rng(2).permutation(len(p))
            agree(stats.adjust_p(p[shuffled], method), expected("adjust", wanted)[row][shuffled], rtol=1e-12)


def test_a_missing_p_value_is_no_member_of_the_family():
    found = stats.adjust_p(np.array([0.02, np.nan, 0.03]))
    np.testing.assert_allclose(found, [0.04, np.nan, 0.04])
    assert len(stats.adjust_p(np.array([]))) == 0


# ---- equivalence

def rows(found):
    return np.column_stack([found.estimate, found.low, found.high, found.p_value])


def test_equivalence_of_means_agrees_with_r(headache):
    wanted, arm = expected("tost"), headache["group"].to_numpy()
    agree(rows(stats.equivalent_means(*kutner(), [(0, 1)], (-12, 12)))[0], wanted[0])
    agree(rows(stats.equivalent_means(headache["pk5"], arm, [(1, 0)], (-10, 10)))[0], wanted[1])
    found = stats.equivalent_means(*stroke(), [(1, 2)], (-20, 20), alpha=0.025)
    agree(rows(found)[0], wanted[2])
    assert found.shown.tolist() == [False]
    agree(rows(stats.equivalent_means(*kutner(), [(0, 1)], (-2, np.inf)))[0], wanted[3])
    agree(rows(stats.equivalent_means(headache["pk5"], arm, [(1, 0)], (-np.inf, 3)))[0], wanted[4])


def test_equivalence_of_risks_agrees_with_r():
    wanted, inf = expected("tost_risk"), np.inf
    cases = [([83, 85], [100, 100], (-0.15, inf), 0.05), ([87, 45], [161, 140], (-0.3, 0.3), 0.05),
             ([5, 6], [8, 8], (-0.5, 0.5), 0.025)]
    for (successes, n, bounds, alpha), row in zip(cases, wanted, strict=True):
        found = stats.equivalent_risks(np.array(successes), np.array(n), [(0, 1)], bounds, alpha=alpha)
        agree(rows(found)[0], row)


def test_equivalence_is_shown_exactly_where_the_limits_lie_within_the_bounds():
    generator = np.random.default_rng(4)
    values, group = generator.normal(size=400), np.arange(400) // 10
    pairs = [(i, i + 1) for i in range(39)]
    found = stats.equivalent_means(values, group, pairs, (-1, 1.2))
    np.testing.assert_array_equal(found.shown, (found.low > -1) & (found.high < 1.2))
    assert 0 < found.shown.sum() < 39
    successes, n = generator.binomial(40, 0.6, 40), np.full(40, 40)
    found = stats.equivalent_risks(successes, n, pairs, (-0.2, 0.25))
    np.testing.assert_array_equal(found.shown, (found.low > -0.2) & (found.high < 0.25))
    assert 0 < found.shown.sum() < 39


def test_thin_groups_are_never_equivalent():
    found = stats.equivalent_means(np.array([1.0, 2, 3]), np.array([0, 0, 1]), [(0, 1), (0, 2)], (-9, 9))
    assert not found.shown.any() and np.isnan(found.p_value).all() and all(found.note)
    found = stats.equivalent_risks(np.array([3, 0]), np.array([4, 0]), [(0, 1)], (-0.9, 0.9))
    assert not found.shown.any() and found.note.tolist() == ["a group has no value"]
    alike = stats.equivalent_risks(np.array([50, 50]), np.array([50, 50]), [(0, 1)], (-0.2, 0.2))
    assert alike.shown.all() and alike.note.tolist() == [""]


# ---- power

def test_power_of_means_agrees_with_r():
    agree([stats.power_means(*row) for row in expected("power_means", "input")], expected("power_means", "power"))
    sizes = expected("power_means", "detect_n")
    agree([stats.detectable_difference(n, n, 10, power=0.9) for n in sizes], expected("power_means", "detect"))
    found = [stats.n_for_means(d, 1) for d in expected("power_means", "n_d")]
    assert found == [(n, n) for n in expected("power_means", "n").astype(int).tolist()]


def test_power_of_proportions_agrees_with_r():
    given = expected("power_proportions", "input")
    agree([stats.power_proportions(n, n, a, b) for n, a, b in given], expected("power_proportions", "power"))
    found = [stats.n_for_proportions(a, b)[0] for _, a, b in given]
    assert found == expected("power_proportions", "n").astype(int).tolist()
    above = [stats.detectable_proportions(n, n, share)[1] for n, share, _ in given]
    agree(above, expected("power_proportions", "above"))


def test_planning_with_an_upper_sd_and_the_precision_of_a_share_agrees_with_r():
    given = zip(expected("upper_sd", "sd"), expected("upper_sd", "n").astype(int), strict=True)
    agree([[stats.upper_sd(float(sd), int(n), level=level) for level in (0.8, 0.95)] for sd, n in given],
          expected("upper_sd", "limits"))
    agree([stats.n_for_share(*row) for row in expected("n_for_share", "input")], expected("n_for_share", "n"))
    for wrong in ({"sd": -1.0}, {"n": 1}, {"level": 1.0}):
        with pytest.raises(ValueError, match=r"upper_sd\(\) needs"):
            stats.upper_sd(**({"sd": 1.0, "n": 5} | wrong))
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.n_for_share(1.0, 0.1)


def test_the_sample_size_is_the_smallest_with_the_power():
    for ratio, effect in ((1, 1), (2, 1), (0.5, 1.7)):
        options = {"alpha": 0.01, "design_effect": effect}
        a, b = stats.n_for_means(4, 9, power=0.9, ratio=ratio, **options)
        assert stats.power_means(a, b, 4, 9, **options) >= 0.9
        assert stats.power_means(a - 1, np.ceil((a - 1) * ratio), 4, 9, **options) < 0.9
        a, b = stats.n_for_proportions(0.3, 0.45, power=0.9, ratio=ratio, **options)
        assert stats.power_proportions(a, b, 0.3, 0.45, **options) >= 0.9
        assert stats.power_proportions(a - 1, np.ceil((a - 1) * ratio), 0.3, 0.45, **options) < 0.9


def test_a_design_effect_takes_away_units():
    assert stats.design_effect(20, 0) == 1 and stats.design_effect(20, 1) == 20 and stats.design_effect(1, 0.3) == 1
    agree(stats.power_means(128, 128, 5, 10, design_effect=2), stats.power_means(64, 64, 5, 10), rtol=1e-12)
    agree(stats.power_means(10, 10, 0, 1), 0.05)                                    # no difference: alpha
    assert np.isnan(stats.power_means(1, 1, 5, 10)) and np.isnan(stats.detectable_difference(1, 1, 10))
    below, above = stats.detectable_proportions(20, 20, 0.05)
    assert np.isnan(below) and 0.05 < above < 1


# ---- posteriors

def posterior_rows(found):
    return np.column_stack([found.mean, found.sd, found.low, found.high, found.p_above])


def test_posterior_means_agree_with_r():
    found = []
    for estimate, error, df, mean, sd, threshold in expected("posterior_mean", "input"):
        one = stats.posterior_mean(np.array([estimate]), np.array([error]), np.array([df]), prior_mean=mean,
                                   prior_sd=sd, threshold=threshold)
        found.append(posterior_rows(one)[0])
    agree(found, expected("posterior_mean"))
    ninety = stats.posterior_mean(np.array([6.0]), np.array([2.0]), np.array([np.inf]), prior_mean=0, prior_sd=4,
                                  conf_level=0.9)
    agree(posterior_rows(ninety)[0], expected("posterior_mean", "ninety"))


def test_a_normal_prior_and_a_normal_estimate_give_the_known_normal_posterior():
    estimate, error = np.array([6.0, -40, 1e5]), np.array([2.0, 0.001, 3e4])
    found = stats.posterior_mean(estimate, error, np.full(3, np.inf), prior_mean=2, prior_sd=3)
    weight = 1 / 9 + 1 / error**2
    agree(found.mean, (2 / 9 + estimate / error**2) / weight)
    agree(found.sd, weight**-0.5)
    agree(found.high - found.low, 2 * 1.959963984540054 * weight**-0.5)


def test_a_flat_prior_gives_the_t_interval():
    from therapyeval.stats.critical_values import t_quantile

    df = np.array([3.0, 11, 200])
    found = stats.posterior_mean(np.full(3, 5.0), np.full(3, 2.0), df, prior_mean=0, prior_sd=1e6)
    agree(found.high, 5 + 2 * t_quantile(df, 0.95), rtol=1e-5)


def test_posterior_risk_differences_agree_with_r():
    found = []
    for x, n, y, m, alpha, beta, threshold in expected("posterior_risk", "input"):
        one = stats.posterior_risk_difference(np.array([x, y]), np.array([n, m]), [(0, 1)], prior=(alpha, beta),
                                              threshold=threshold)
        found.append(posterior_rows(one)[0])
    agree(found, expected("posterior_risk"))
    assert one.method == "beta prior (1, 1) in each group"


def test_equal_groups_have_even_posterior_chances():
    successes, n, pairs = np.array([3, 3, 9000]), np.array([10, 10, 20000]), [(0, 1), (1, 0), (2, 0), (0, 9)]
    even = stats.posterior_risk_difference(successes, n, pairs)
    agree(even.p_above[:2], 0.5)
    agree(even.low[:2], -even.high[:2])
    assert even.note.tolist() == ["", "", "", "a group has no value"] and even.p_above[2] > 0.8
    nothing = stats.posterior_mean(np.array([np.nan]), np.array([1.0]), np.array([9.0]), prior_mean=0, prior_sd=1)
    assert nothing.note.tolist() == ["no estimate or standard error"] and np.isnan(posterior_rows(nothing)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.permutation(np.ones(2), np.array([0, 1]), [(0, 1)], draws=0), "draws is 0"),
        (lambda: stats.adjust_p(np.array([1.2])), "between 0 and 1"),
        (lambda: stats.adjust_p(np.array([0.2]), "bonferroni"), "method is 'bonferroni'"),
        (lambda: stats.equivalent_means(np.ones(2), np.array([0, 1]), [(0, 1)], (3, -3)), "bounds are"),
        (lambda: stats.equivalent_means(np.ones(2), np.array([0, 1]), [(0, 1)], (-np.inf, np.inf)), "at most one"),
        (lambda: stats.equivalent_risks(np.ones(2), np.ones(2), [(0, 1)], (-10, 10)), "within -1 and 1"),
        (lambda: stats.equivalent_risks(np.ones(2), np.ones(2), [(0, 1)], (-0.1, 0.1), alpha=0.5), "alpha is 0.5"),
        (lambda: stats.design_effect(20, 5), "icc from 0 to 1"),
        (lambda: stats.power_means(0, 5, 1, 1), "above 0"),
        (lambda: stats.n_for_means(0, 1), "difference is 0"),
        (lambda: stats.n_for_means(1, 1, power=1), "power between"),
        (lambda: stats.n_for_proportions(0.2, 0.2), "equals share_b"),
        (lambda: stats.power_proportions(9, 9, 0, 0.2), "shares must lie"),
        (lambda: stats.posterior_mean(np.ones(1), np.zeros(1), np.ones(1), prior_mean=0, prior_sd=1), "above 0"),
        (lambda: stats.posterior_mean(np.ones(2), np.ones(1), np.ones(1), prior_mean=0, prior_sd=1), "same length"),
        (lambda: stats.posterior_risk_difference(np.ones(2), np.ones(2), [(0, 1)], prior=(0, 1)), "0.5 or more"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_public_name_is_hidden_by_a_module_of_the_same_name():
    modules = {path.stem for path in Path(therapyeval.stats.__file__).parent.glob("*.py")}
    assert not modules & set(stats.__all__)
    assert all(callable(getattr(stats, name)) for name in stats.__all__)
