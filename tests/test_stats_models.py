"""Adjusted risks, rates, ordered outcomes, subgroups and Firth's regression, against R."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, SEARCHED, agree, committed, joint, reader, table

from therapyeval import stats
from therapyeval.stats.adjusted_models import RARE
from therapyeval.stats.maximum_likelihood import separates

expected = reader("models")
EFFECTS = ("risk_difference", "risk_ratio", "odds_ratio")
ANCOVA = ["pk1", "age", "sex", "migraine", "chronicity"]


@pytest.fixture
def headache(headache):
    return headache.assign(good=(headache["pk5"] <= 0.65 * headache["pk1"]).astype(int),
                           band=np.digitize(headache["age"], [40.5, 52.5]))


@pytest.fixture
def back_pain(back_pain_visits):
    before, after = (back_pain_visits[back_pain_visits["time"] == time] for time in (1, 2))
    return before.merge(after[["id", "pgic"]], on="id", suffixes=("1", "2")).dropna(subset="pgic2")


def stroke():
    rows = committed("stroke")
    return rows.assign(good=(rows["week8"] >= 60).astype(int), arm=pd.factorize(rows["Group"], sort=True)[0],
                       grade=np.digitize(rows["week8"], [40.5, 75.5]))


def frame(rows, *names):
    return rows[list(names)]


# ---- standardized risks

def check_risks(case, outcome, group, pair, covariates, **options):
    found = [stats.adjusted_risk(outcome, group, [pair], covariates, effect=effect, **options) for effect in EFFECTS]
    agree(np.vstack([table(one)[:, :4] for one in found]), expected(case))
    assert all(one.note[0] in ("", RARE) for one in found)


def test_standardized_risks_agree_with_r(headache):
    arm = headache["group"].to_numpy()
    check_risks("risk.acupuncture", headache["good"], arm, (1, 0), frame(headache, *ANCOVA))
    check_risks("risk.plain", headache["good"], arm, (1, 0), frame(headache))
    lung, rows = committed("lung"), stroke()
    check_risks("risk.lung", lung["seen"], lung["sex"].to_numpy(), (2, 1), frame(lung, "age", "ecog"), conf_level=0.9)
    check_risks("risk.stroke", rows["good"], rows["arm"].to_numpy(), (0, 2), frame(rows, "week1"))


def test_without_covariates_the_standardized_risk_is_the_plain_one(headache):
    found = stats.adjusted_risk(headache["good"], headache["group"].to_numpy(), [(1, 0)], frame(headache))
    shares = headache.groupby("group")["good"].mean()
    assert found.estimate[0] == pytest.approx(shares[1] - shares[0])


# ---- counts

FAMILIES = ("poisson", "negative_binomial")


def test_days_in_hospital_by_cause_of_the_injury_agree_with_r(real_data):
    rows = pd.read_csv(real_data("pedalfast_tbi") / "pedalfast.csv", low_memory=False)
    cause, causes = pd.factorize(rows["injurymech"], sort=True)
    fall, abuse, traffic = (list(causes).index(name) for name in ("Fall", "Known or suspected abuse", "Traffic"))
    covariates = rows[["female"]].assign(years=rows["age"] / 365.25)
    for family in FAMILIES:
        found = stats.adjusted_rate_ratio(rows["hosplos"], np.ones(len(rows)), cause, [(fall, abuse), (traffic, abuse),
                                          (traffic, fall)], covariates, family=family, conf_level=0.9)
        agree(table(found)[:, :4], expected("count.pedalfast", family))


def test_falls_over_unequal_times_agree_with_r():
    rows = pd.read_csv(FOLDER / "models" / "falls.csv")
    covariates = rows[["age", "ward"]].assign(before=np.log(1 + rows["before"]))
    for family in FAMILIES:
        found = stats.adjusted_rate_ratio(rows["falls"], rows["days"], rows["program"].to_numpy(), [(1, 0)], covariates,
                                          family=family)
        agree(table(found)[:, :4], expected("count.falls", family))


def test_poisson_rate_ratios_without_covariates_agree_with_r():
    rows = committed("kutner")
    found = stats.adjusted_rate_ratio(rows["y"], np.ones(24), rows["group"].to_numpy(), [(1, 2), (1, 3)],
                                      frame(rows), family="poisson")
    agree(table(found)[:, :4], expected("count.kutner"))
    agree(found.estimate, [38 / 32, 38 / 24])                                       # the textbook's means


# ---- ordered outcomes

def test_proportional_odds_agree_with_r(back_pain):
    rows, lung = stroke(), committed("lung")
    pairs = [(1, 0), (2, 0), (2, 1)]
    found = stats.proportional_odds(rows["grade"], rows["arm"].to_numpy(), pairs, frame(rows, "week1"))
    agree(table(found)[:, :4], expected("ordinal.stroke"))
    grade = pd.factorize(lung["ecog"], sort=True)[0]
    found = stats.proportional_odds(grade, lung["sex"].to_numpy(), [(2, 1)], frame(lung, "age"), conf_level=0.9)
    agree(table(found)[:, :4], expected("ordinal.lung"))
    arm = back_pain["group"].to_numpy().astype(int)
    found = stats.proportional_odds(back_pain["pgic2"], arm, [(1, 3), (2, 3)], frame(back_pain, "pain_avg"))
    agree(table(found)[:, :4], expected("ordinal.back_pain"))


def test_only_the_order_of_an_outcome_counts_and_two_levels_are_logistic():
    rows = stroke()
    arm, week1 = rows["arm"].to_numpy(), frame(rows, "week1")
    plain = stats.proportional_odds(rows["grade"], arm, [(1, 0)], week1)
    agree(table(stats.proportional_odds(10.0 ** rows["grade"], arm, [(1, 0)], week1)), table(plain), rtol=1e-12)
    two = stats.proportional_odds(rows["good"], arm, [(0, 2)], week1)
    agree(table(two)[0, :4], expected("risk.stroke")[2])


# ---- subgroups

def check_subgroups(case, found):
    agree(table(found.effects)[:, : expected(case, "effects").shape[1]], expected(case, "effects"))
    agree(joint(found.interaction), expected(case, "interaction"))


def test_subgroup_effects_agree_with_r(headache):
    arm, lung = headache["group"].to_numpy(), committed("lung")
    found = stats.subgroup_effects(headache["pk5"], arm, (1, 0), headache["migraine"].to_numpy(), 2,
                                   frame(headache, "pk1", "age"))
    check_subgroups("subgroup.acupuncture", found)
    found = stats.subgroup_effects(headache["good"], arm, (1, 0), headache["band"].to_numpy(), 3,
                                   frame(headache, "pk1"), effect="odds_ratio")
    check_subgroups("subgroup.logistic_acupuncture", found)
    grade, sex = pd.factorize(lung["ecog"], sort=True)[0], lung["sex"].to_numpy()
    found = stats.subgroup_effects(lung["time"], sex, (2, 1), grade, 3, frame(lung, "age"), conf_level=0.9)
    check_subgroups("subgroup.lung", found)
    found = stats.subgroup_effects(lung["seen"], sex, (2, 1), grade, 3, frame(lung, "age"), effect="odds_ratio")
    check_subgroups("subgroup.logistic_lung", found)


def test_a_subgroup_without_one_of_the_groups_is_left_out_of_the_interaction():
    outcome = np.array([3.0, 5, 4, 8, 9, 7, 6, 5, 2, 4, 3, 3, 8, 9])
    arm, place = np.r_[np.tile([0, 0, 1], 4), 1, 1], np.r_[np.repeat([0, 1], 6), 2, 2]
    found = stats.subgroup_effects(outcome, arm, (1, 0), place, 4, pd.DataFrame(index=range(14)))
    assert found.effects.note.tolist() == ["", "", "a group has no value", "a group has no value"]
    assert found.interaction.df == 1 and np.isnan(found.effects.estimate[2:]).all()
    alone = stats.subgroup_effects(outcome[:6], arm[:6], (1, 0), place[:6], 1, pd.DataFrame(index=range(6)))
    assert alone.interaction.note == "needs two subgroups with both groups and some variation"
    assert np.isfinite(alone.effects.low[0]) and np.isnan(alone.interaction.p_value)


# ---- Firth

def test_firth_agrees_with_r():
    kutner, rows, lung = committed("kutner"), stroke(), committed("lung")
    found = stats.firth_odds_ratio(kutner["y"] > 32, kutner["group"].to_numpy(), [(1, 3), (2, 3)], frame(kutner))
    agree(table(found)[:, :4], expected("firth.kutner"), SEARCHED)
    agree(found.estimate, [6.5 / 2.5 * 6.5 / 0.5, 4.5 / 6.5 * 6.5 / 0.5])      # saturated: half added to each cell
    arm = rows["arm"].to_numpy()
    found = stats.firth_odds_ratio(rows["good"], arm, [(0, 2), (1, 2)], frame(rows, "week1"))
    agree(table(found)[:, :4], expected("firth.stroke")[:2], SEARCHED)
    found = stats.firth_odds_ratio(rows["good"], arm, [(0, 2)], frame(rows, "week1"), conf_level=0.9)
    agree(table(found)[:, :4], expected("firth.stroke")[2:], SEARCHED)
    found = stats.firth_odds_ratio(lung["seen"], lung["sex"].to_numpy(), [(2, 1)], frame(lung, "age"))
    agree(table(found)[:, :4], expected("firth.lung"), SEARCHED)


# ---- no number where the model has none

SEPARATED = "groups or covariates separate the outcomes: no finite estimate"
ARM, AGE = np.repeat([0, 1], 6), [50, 61, 58, 70, 66, 49, 73, 80, 52, 69, 64, 75]
YES = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0])


def blank(found, note):
    assert all(note in text for text in found.note) and np.isnan(table(found)).all()


@pytest.mark.parametrize("effect", EFFECTS)
def test_separated_outcomes_give_no_number(effect):
    perfect = pd.DataFrame({"age": np.where(YES == 1, 70, 50) + np.arange(12)})
    blank(stats.adjusted_risk(YES, ARM, [(1, 0)], perfect, effect=effect), SEPARATED)
    nobody = np.where(ARM == 1, 0, YES)
    blank(stats.adjusted_risk(nobody, ARM, [(1, 0)], pd.DataFrame({"age": AGE}), effect=effect), SEPARATED)
    blank(stats.adjusted_risk(np.ones(12), ARM, [(1, 0)], pd.DataFrame({"age": AGE}), effect=effect), SEPARATED)
    subgroups = stats.subgroup_effects(nobody, ARM, (1, 0), np.tile([0, 1], 6), 2, pd.DataFrame(index=range(12)),
                                       effect="odds_ratio")
    blank(subgroups.effects, SEPARATED)
    assert subgroups.interaction.note == SEPARATED and np.isnan(subgroups.interaction.p_value)


def test_firth_has_an_answer_under_separation_but_not_without_any_information():
    nobody, age = np.where(ARM == 1, 0, YES), pd.DataFrame({"age": AGE})
    found = stats.firth_odds_ratio(nobody, ARM, [(1, 0), (0, 7)], age)
    assert 0 < found.low[0] < found.estimate[0] < found.high[0] < 20
    assert found.note.tolist() == ["", "a group has no value"]
    blank(stats.firth_odds_ratio(np.ones(12), ARM, [(1, 0)], age), "every unit has the same outcome")
    blank(stats.firth_odds_ratio(YES, ARM, [(1, 0)], pd.DataFrame({"one": [1] * 12})), "'one' is constant")


def test_counts_without_events_or_overdispersion_give_no_number():
    none, weeks = pd.DataFrame(index=range(12)), np.ones(12)
    for family in ("poisson", "negative_binomial"):
        found = stats.adjusted_rate_ratio(np.where(ARM == 1, 0, 3 * YES), weeks, ARM, [(1, 0)], none, family=family)
        blank(found, SEPARATED)
    found = stats.adjusted_rate_ratio(4 + YES, weeks, ARM, [(1, 0)], none)
    blank(found, "counts vary no more than Poisson")


def test_ordered_outcomes_that_are_separated_or_alike_give_no_number():
    none = pd.DataFrame(index=range(12))
    grade = np.r_[0, 0, 1, 1, 0, 1, 2, 2, 3, 3, 2, 3]
    blank(stats.proportional_odds(grade, ARM, [(1, 0)], none), SEPARATED)
    blank(stats.proportional_odds(np.ones(12), ARM, [(1, 0)], none), "every unit has the same outcome")
    grade, arm = np.array([0, 2, 2, 3, 2, 3, 0]), np.array([0, 2, 1, 2, 2, 2, 0])
    age = pd.DataFrame({"age": [0, 2, 1, 1, 0, 1, 0]})        # once settled at an infinite ratio, where all is flat
    blank(stats.proportional_odds(grade, arm, [(0, 1)], age), SEPARATED)


@pytest.mark.parametrize("compare", [stats.adjusted_risk, stats.proportional_odds, stats.firth_odds_ratio])
def test_a_model_that_is_not_determined_gives_no_number(compare):
    months = pd.DataFrame({"age": AGE, "months": 12 * np.array(AGE)})
    blank(compare(YES, ARM, [(1, 0)], months), "'months' is collinear")
    blank(compare(YES, ARM, [(1, 0)], pd.DataFrame({"a": list("abcdefghijkl")})), "needs more rows than coefficients")
    empty = np.array([], dtype=int)
    blank(compare(empty, empty, [(1, 0)], pd.DataFrame(index=empty)), "no unit has a value")


def test_an_absent_group_gives_no_ratio_but_leaves_the_others():
    age = pd.DataFrame({"age": AGE})
    pairs, weeks = [(1, 0), (5, 0)], np.ones(12)
    for found in (stats.adjusted_risk(YES, ARM, pairs, age), stats.proportional_odds(YES, ARM, pairs, age),
                  stats.adjusted_rate_ratio(YES, weeks, ARM, pairs, age, family="poisson")):
        assert found.note[0] in ("", RARE) and found.note[1] == "a group has no value"
        assert np.isfinite(table(found)[0, :4]).all() and np.isnan(table(found)[1]).all()


def test_a_numeric_covariate_may_be_shifted_and_scaled():
    weeks, plain = np.arange(1.0, 13), pd.DataFrame({"age": AGE})
    born = pd.DataFrame({"born": 1e9 - np.array(AGE) * 1e5})
    calls = [(stats.adjusted_risk, (YES,)), (stats.proportional_odds, (YES + np.arange(12) % 2,)),
             (stats.firth_odds_ratio, (YES,)), (stats.adjusted_rate_ratio, (np.arange(12) % 5 * YES, weeks))]
    for compare, outcome in calls:
        there, back = (table(compare(*outcome, ARM, [(1, 0)], covariates)) for covariates in (plain, born))
        agree(there, back)
        assert np.isfinite(there[:, :4]).all()


def test_a_fit_is_refused_exactly_where_linear_programming_finds_separation():
    from therapyeval.stats.linear_model import make_design, why_not_estimable
    from therapyeval.stats.maximum_likelihood import fit_logistic, fit_poisson

    generator, found = np.random.default_rng(5), []
    for _ in range(150):
        n = generator.integers(6, 25)
        covariates = pd.DataFrame({"a": generator.choice([0.0, 1, 2], n), "b": generator.normal(size=n)})
        design = make_design(generator.integers(0, 3, n), covariates)
        if why_not_estimable(design, "classical"):
            continue
        x, yes = design.columns, generator.integers(0, 2, n).astype(float)
        counts = generator.poisson(2, n) * yes
        found.append((bool(fit_logistic(x, yes).problem), separates((2 * yes - 1)[:, None] * x)))
        found.append((bool(fit_poisson(x, counts, np.zeros(n)).problem), separates(np.vstack([x[counts > 0], -x]))))
    refused, separated = np.array(found).T
    np.testing.assert_array_equal(refused, separated)
    assert 50 < separated.sum() < len(found) - 50


def test_separation_is_found_whatever_the_scale_and_only_where_it_is():
    x, generator = np.column_stack([np.ones(40), np.arange(40) * 1e6]), np.random.default_rng(1)
    up = np.where(np.arange(40) > 19, 1, -1)
    assert separates(up[:, None] * x) and separates(np.where(np.arange(40) > 18, 1, -1)[:, None] * x)
    up[[3, 33]] *= -1
    assert not separates(up[:, None] * x)
    assert not separates(generator.normal(size=(400, 5)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: stats.adjusted_risk(YES + 1, ARM, [(1, 0)], x), "0 and 1 only"),
        (lambda x: stats.adjusted_risk(YES, ARM, [(1, 0)], x, effect="rd"), "effect is 'rd'"),
        (lambda x: stats.adjusted_risk(YES, ARM, [(1, 0)], x[:3]), "covariates has 3 rows"),
        (lambda x: stats.firth_odds_ratio(YES, ARM[:2], [(1, 0)], x), "group has shape"),
        (lambda x: stats.adjusted_rate_ratio(YES, 0 * YES, ARM, [(1, 0)], x), "exposure above 0"),
        (lambda x: stats.adjusted_rate_ratio(YES, YES + 1, ARM, [(1, 0)], x, family="nb"), "family is 'nb'"),
        (lambda x: stats.proportional_odds(YES * np.nan, ARM, [(1, 0)], x), "missing or infinite"),
        (lambda x: stats.subgroup_effects(YES, ARM, (1, 1), ARM, 2, x), "two different codes"),
        (lambda x: stats.subgroup_effects(YES, ARM, (1, 0), ARM, 1, x), "group codes must run"),
        (lambda x: stats.subgroup_effects(YES, ARM, (1, 0), ARM, 2, x, effect="or"), "effect is 'or'"),
    ],
)
def test_senseless_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(pd.DataFrame({"age": AGE}))
