"""The intervals hold the truth as often as docs/validation.md prints; `make study-coverage` prints it."""

import numpy as np
import pytest
import simulated_coverage
import validation
from simulated_coverage import END, SCENARIOS, START, Outcome, Scenario

ALL = [scenario for scenarios in SCENARIOS.values() for scenario in scenarios]
QUICK = [scenario for scenario in ALL if scenario.together and scenario.estimator not in
         ("standardized_mean", "standardized_difference", "permutation", "fisher", "signed_rank")]
SOME, ERRORS = 400, 4
PAGE = validation.PAGE.read_text(encoding="utf-8")
PRINTED = simulated_coverage.read(PAGE)


def name_of(scenario):
    return f"{scenario.name} {scenario.where}".replace("`", "")


def test_the_page_has_a_row_for_each_scenario_and_no_other():
    assert list(PRINTED) == [(scenario.name, scenario.where) for scenario in ALL], "run `make study-coverage`"


@pytest.mark.parametrize("scenario", QUICK, ids=name_of)
def test_a_few_replicates_agree_with_the_page(scenario):
    found, printed = simulated_coverage.run(scenario, SOME), PRINTED[scenario.name, scenario.where]
    *shares, replicates = printed
    for now, then in zip((found.coverage, found.type_1), shares, strict=True):
        assert np.isnan(now) == np.isnan(then)
        spread = np.sqrt(max(then * (1 - then), 0.01) * (1 / SOME + 1 / replicates))
        assert np.isnan(now) or abs(now - then) <= ERRORS * spread + 0.0005


@pytest.mark.parametrize("scenario", ALL, ids=name_of)
def test_an_estimator_says_where_its_intervals_are_too_narrow(scenario):
    coverage, type_1, replicates = PRINTED[scenario.name, scenario.where]
    if Outcome(coverage, type_1, replicates, 0).side < 0:
        assert "simulat" in scenario.function.__doc__.lower()


def test_a_limit_that_was_not_reached_leaves_its_side_open():
    truth, low, high = np.full(4, 5.0), np.array([1, 6, np.nan, np.nan]), np.array([np.nan, np.nan, 4, np.nan])
    assert simulated_coverage._inside(truth, low, high).tolist()[:3] == [1, 0, 0]
    assert np.isnan(simulated_coverage._inside(truth, low, high)[3])


def test_the_runner_finds_intervals_that_are_too_narrow_and_tests_that_reject_too_often():
    """Known shares: limits of mean -/+ 1 standard error of normal values hold 68.3% and reject 31.7%."""

    def means(rng, replicates, effect):
        return float(effect), (rng.normal(float(effect), 1, replicates),)

    def one_error(estimate):
        class Found:
            low, high, p_value = estimate - 1, estimate + 1, np.where(abs(estimate) > 1, 0.01, 0.5)
        return Found

    outcome = simulated_coverage.run(Scenario("mean", "made up", means, call=one_error))
    assert outcome.coverage == pytest.approx(0.6827, abs=0.02) and outcome.type_1 == pytest.approx(0.3173, abs=0.02)
    assert outcome.side == -1 and outcome.without == 0


def test_truths_of_scores_with_a_ceiling_are_those_of_many_draws():
    rng = np.random.default_rng(1)
    for shape, share in (("ceiling", 0.3), ("full", 0.75)):
        drawn = simulated_coverage.data.scores(rng, 400_000, shape)
        assert drawn.mean() == pytest.approx(simulated_coverage.data.score_mean(shape), abs=0.1)
        assert (drawn == 80).mean() == pytest.approx(share, abs=0.03)


@pytest.mark.study
def test_all_scenarios_and_write_the_page():
    outcomes = [simulated_coverage.run(scenario) for scenario in ALL]
    text = validation.replace(PAGE, simulated_coverage.render(outcomes), START, END)
    validation.PAGE.write_text(text, encoding="utf-8")
