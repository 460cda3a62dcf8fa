"""Risks, odds, tables and rates against R, printed tables and cases worked out by hand."""

import numpy as np
import pytest
from reference_values import agree, joint, reader, table

from therapyeval import stats

expected = reader("proportions")


def pairwise(counts):
    """Successes and sizes of pairs (x1, n1, x2, n2), laid out as groups 0, 1, 2, ..., and the pairs."""
    counts = counts.astype(int)
    pairs = [(2 * i, 2 * i + 1) for i in range(len(counts))]
    return counts[:, [0, 2]].ravel(), counts[:, [1, 3]].ravel(), pairs


# ---- score intervals

@pytest.mark.parametrize(
    ("case", "compare"),
    [("rd", stats.score_risk_difference), ("rr", stats.risk_ratio), ("or", stats.odds_ratio)],
)
def test_score_intervals_agree_with_the_formula_in_r(case, compare):
    found = compare(*pairwise(expected(case, "counts")))
    agree(table(found)[:, :4], expected(case))


def test_score_differences_are_those_newcombe_printed():
    found = stats.score_risk_difference(*pairwise(expected("rd", "counts")[:4]))
    printed = [[0.0528, 0.3382], [0.1700, 0.8406], [0.0342, 0.8534], [-0.0326, 0.1933]]        # table II, method 6
    np.testing.assert_allclose(np.column_stack([found.low, found.high]).round(4), printed)


@pytest.mark.parametrize("compare", [stats.score_risk_difference, stats.risk_ratio, stats.odds_ratio])
def test_p_value_and_score_interval_agree_about_no_difference(compare):
    rows = np.array([[x, 12, y, 9] for x in range(13) for y in range(10)])
    found = compare(*pairwise(rows))
    none = 0.0 if compare is stats.score_risk_difference else 1.0
    decided = ~np.isnan(found.p_value)
    holds = (found.low <= none) & (none <= found.high)
    np.testing.assert_array_equal(holds[decided], found.p_value[decided] >= 0.05)
    assert decided.sum() == 128


def test_swapping_the_groups_turns_the_interval_round():
    rows = expected("rd", "counts").astype(int)
    there, back = (table(stats.score_risk_difference(*pairwise(part))) for part in (rows, rows[:, [2, 3, 0, 1]]))
    np.testing.assert_allclose(back[:, :3], -there[:, [0, 2, 1]], atol=1e-12)
    rows = expected("or", "counts").astype(int)
    with np.errstate(divide="ignore"):
        for ratio in (stats.odds_ratio, stats.risk_ratio):
            there, back = (table(ratio(*pairwise(part))) for part in (rows, rows[:, [2, 3, 0, 1]]))
            np.testing.assert_allclose(back[:, :3], 1 / there[:, [0, 2, 1]], rtol=1e-9)


def test_undefined_ratios_say_so():
    successes, n = np.array([0, 0, 0, 5, 5]), np.array([9, 8, 0, 5, 5])
    pairs = [(0, 1), (0, 2), (3, 4), (0, 9), (3, 0), (0, 3)]
    same, empty = "every unit has the same outcome", "a group has no value"
    odds, risk = stats.odds_ratio(successes, n, pairs), stats.risk_ratio(successes, n, pairs)
    assert odds.note.tolist() == [f"{same}: no ratio", empty, f"{same}: no ratio", empty, "", ""]
    assert risk.note.tolist() == [f"{same}: no ratio", empty, f"no p-value: {same}", empty, "", ""]
    np.testing.assert_array_equal(odds.estimate, [np.nan] * 4 + [np.inf, 0])
    np.testing.assert_array_equal(risk.estimate, [np.nan, np.nan, 1, np.nan, np.inf, 0])
    assert np.isnan(table(risk)[[0, 1, 3]]).all() and risk.low[5] == 0 and risk.high[4] == np.inf


def test_number_needed_goes_through_infinity_as_altman_has_it():
    blank, note = np.full(4, np.nan), np.full(4, "", dtype=object)
    difference = stats.Contrast(np.array([0.10, 0.10, -0.2, 0.0]), np.array([0.05, -0.05, -0.4, -0.1]),
                                np.array([0.15, 0.25, -0.1, 0.0]), blank, blank, "", note)
    needed = stats.number_needed(difference)
    agree(needed.estimate, [10, 10, -5, np.inf])
    agree(needed.low, [1 / 0.15, 4, -10, np.inf])
    agree(needed.high, [20, -20, -2.5, -10])                       # Altman (1998): NNTH 20 to infinity to NNTB 4
    assert needed.through_infinity.tolist() == [False, True, False, True]


# ---- exact

@pytest.mark.parametrize(("name", "mid_p"), [("exact", False), ("mid", True)])
def test_conditional_odds_ratios_agree_with_r(name, mid_p):
    found = stats.fisher(*pairwise(expected("fisher", "counts")), mid_p=mid_p)
    agree(table(found)[:, :4], expected("fisher", name))


def test_the_lady_tasting_tea():
    found = stats.fisher(np.array([4, 0]), np.array([4, 4]), [(0, 1), (1, 0), (0, 5)])
    np.testing.assert_allclose(found.p_value, [2 / 70, 2 / 70, np.nan])
    np.testing.assert_array_equal(found.estimate, [np.inf, 0, np.nan])
    assert found.high[0] == np.inf and found.low[1] == 0 and found.note[2] == "a group has no value"
    same = stats.fisher(np.array([4, 4]), np.array([4, 4]), [(0, 1)])
    assert same.note[0].startswith("every unit has the same outcome") and np.isnan(same.p_value[0])


def test_exact_rate_ratios_agree_with_r():
    rates = expected("rate_ratio", "counts")
    pairs = [(2 * i, 2 * i + 1) for i in range(len(rates))]
    for name, level in (("level95", 0.95), ("level90", 0.9)):
        found = stats.rate_ratio(rates[:, [0, 2]].ravel(), rates[:, [1, 3]].ravel(), pairs, conf_level=level)
        agree(table(found)[:, :4], expected("rate_ratio", name))


def test_rate_ratios_without_events_or_exposure_say_so():
    found = stats.rate_ratio(np.array([0, 0, 3]), np.array([10.0, 5, 0]), [(0, 1), (0, 2), (2, 7)])
    assert found.note.tolist() == ["no event in both groups", "a group has no exposure", "a group has no exposure"]
    assert np.isnan(table(found)).all()


# ---- tables

def test_chi_square_agrees_with_r_and_leaves_out_empty_rows():
    tables = [expected("chi_square", name) for name in ("one", "two", "three")]
    agree([joint(stats.chi_square(counts)) for counts in tables], expected("chi_square"))
    padded = np.pad(tables[1], ((0, 1), (1, 0)))
    assert stats.chi_square(padded) == stats.chi_square(tables[1])
    assert stats.chi_square(np.array([[3, 4], [0, 0]])).note == "needs two rows and two columns with counts"


def test_trend_agrees_with_r():
    smokers, patients, long, n = (expected("trend", name) for name in ("smokers", "patients", "long", "n"))
    cases = [(smokers, patients, np.arange(4)), (smokers, patients, np.array([0, 0, 1, 2])),
             (long, n, np.array([1, 2, 4]))]
    agree([joint(stats.trend(*case)) for case in cases], expected("trend"))
    assert stats.trend(n, n, np.arange(3)).note == "every unit has the same outcome"
    assert stats.trend(long, n, np.ones(3)).note == "needs two groups with different scores"


def test_mcnemar_agrees_with_r():
    first, second = expected("mcnemar", "counts").T
    agree(table(stats.mcnemar(first, second))[:, :4], expected("mcnemar", "exact"))
    agree(table(stats.mcnemar(first, second, exact=False))[:, :4], expected("mcnemar", "asymptotic"))
    nobody = stats.mcnemar(np.array([0]), np.array([0]))
    assert nobody.note.tolist() == ["no unit changed"] and np.isnan(table(nobody)).all()


@pytest.mark.parametrize("case", ["berkeley", "age", "small"])
def test_mantel_haenszel_agrees_with_r(case):
    x1, n1, x2, n2 = expected(f"mh.{case}", "counts")
    successes, n = np.column_stack([x1, x2]), np.column_stack([n1, n2])
    effects = ("odds_ratio", "risk_ratio", "risk_difference")
    found = [stats.mantel_haenszel(successes, n, [(0, 1)], effect=effect) for effect in effects]
    agree(np.vstack([table(one)[:, :4] for one in found]), expected(f"mh.{case}"))


def test_mantel_haenszel_leaves_out_strata_with_one_group_and_says_when_none_is_left():
    successes, n = np.array([[8, 3], [20, 9]]), np.array([[20, 22], [30, 28]])
    more = np.vstack([successes, [4, 0]]), np.vstack([n, [9, 0]])
    agree(table(stats.mantel_haenszel(*more, [(0, 1)])), table(stats.mantel_haenszel(successes, n, [(0, 1)])))
    found = stats.mantel_haenszel(np.array([[0, 0], [4, 0]]), np.array([[5, 6], [4, 0]]), [(0, 1)])
    assert found.note.tolist() == ["no stratum has both groups and both outcomes"] and np.isnan(found.estimate[0])
    found = stats.mantel_haenszel(np.array([[0, 3]]), np.array([[5, 6]]), [(0, 1)])
    assert "no ratio" in found.note[0] and np.isnan(table(found)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.odds_ratio(np.array([3]), np.array([2]), [(0, 1)]), "0 <= successes <= n"),
        (lambda: stats.fisher(np.array([1, 1]), np.array([2, 2]), [(0, 0)]), "two different codes"),
        (lambda: stats.chi_square(np.arange(3)), "two dimensions"),
        (lambda: stats.trend(np.array([1]), np.array([2]), np.arange(2)), "scores has 2 entries"),
        (lambda: stats.mcnemar(np.array([1.5]), np.array([2])), "whole numbers"),
        (lambda: stats.mantel_haenszel(np.ones((2, 2)), np.ones((2, 3)), [(0, 1)]), "same two dimensions"),
        (lambda: stats.mantel_haenszel(np.ones((2, 2)), np.ones((2, 2)), [(0, 2)]), "beyond the 2 columns"),
        (lambda: stats.mantel_haenszel(np.ones((2, 2)), np.ones((2, 2)), [(0, 1)], effect="RR"), "effect is 'RR'"),
        (lambda: stats.rate_ratio(np.array([1, 2]), np.array([1.0, -2]), [(0, 1)]), "exposure of 0 or more"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
