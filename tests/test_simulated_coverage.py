"""The intervals hold the truth as often as docs/validation.md prints; `make study-coverage` prints it."""

import numpy as np
import pytest
import simulated_coverage
import simulated_data
import validation
from simulated_coverage import END, NARROW, START, WIDE, Outcome, Scenario
from simulated_scenarios import SCENARIOS, UNSEEN

ALL = [scenario for scenarios in SCENARIOS.values() for scenario in scenarios]
SLOW = {"standardized_mean", "standardized_difference", "permutation", "fisher", "signed_rank", "bootstrap_interval",
        "bootstrap_difference", "posterior_mean", "posterior_risk_difference"}
SWIFT = {"anova", "welch_anova", "dunn", "chi_square", "trend", "mantel_haenszel"}         # though one by one
QUICK = [scenario for scenario in ALL if scenario.estimator not in SLOW and
         (scenario.together or scenario.estimator in SWIFT)]
SOME, ERRORS = 400, 4
PAGE = validation.PAGE.read_text(encoding="utf-8")
PRINTED = simulated_coverage.read(PAGE)


def name_of(scenario):
    return f"{scenario.name} {scenario.where}".replace("`", "")


def test_the_page_has_a_row_for_each_scenario_and_no_other():
    assert list(PRINTED) == [(scenario.name, scenario.where) for scenario in ALL], "run `make study-coverage`"


@pytest.mark.parametrize("scenario", QUICK, ids=name_of)
def test_a_few_replicates_agree_with_the_page(scenario):
    found, (printed, _) = simulated_coverage.run(scenario, SOME), PRINTED[scenario.name, scenario.where]
    for share in ("coverage", "type_1", "without", "warned"):
        now, then = getattr(found, share), getattr(printed, share)
        assert np.isnan(now) == np.isnan(then)
        spread = np.sqrt(max(then * (1 - then), 0.01) * (1 / SOME + 1 / printed.replicates))
        assert np.isnan(now) or abs(now - then) <= ERRORS * spread + 0.0005


@pytest.mark.parametrize("scenario", ALL, ids=name_of)
def test_an_estimator_says_where_its_intervals_are_too_narrow(scenario):
    if PRINTED[scenario.name, scenario.where][0].side < 0:
        assert "simulat" in scenario.function.__doc__.lower()


@pytest.mark.parametrize("scenario", ALL, ids=name_of)
def test_an_estimator_warns_where_its_intervals_are_too_narrow_or_the_page_says_why_it_cannot(scenario):
    outcome, reading = PRINTED[scenario.name, scenario.where]
    unseen = UNSEEN.get((scenario.name, scenario.where), "")
    assert reading == simulated_coverage.reading(outcome, unseen)
    if outcome.side < 0:
        assert outcome.is_warned != bool(unseen), "warn, or say in UNSEEN why the function cannot; not both"


def test_what_cannot_be_seen_is_in_the_table_and_too_narrow():
    assert all(PRINTED[row][1] == f"{NARROW}; {why}" for row, why in UNSEEN.items())


def test_where_intervals_hold_warnings_are_rare():
    """Of the rows that are nominal. Limits by number (`few.py`) warn of all that is below them, also where a thousand
    draws do not show how much is missing to 95%."""
    by_number = "bootstrap", "mixed_difference", "stepped_wedge", "completion_weighted"
    held = [outcome.warned for (name, _), (outcome, reading) in PRINTED.items()
            if reading == "" and not name.strip("`").startswith(by_number)]
    assert np.mean(held) < 0.01 and max(held) < 0.15


@pytest.mark.parametrize(("outcome", "unseen", "reading"), [
    (Outcome(0.95, 0.05, 10_000), "", ""),
    (Outcome(0.97, 0.03, 10_000), "", WIDE),
    (Outcome(0.93, 0.05, 10_000), "", NARROW),
    (Outcome(0.93, 0.05, 10_000), "why", "too narrow; why"),
    (Outcome(0.93, 0.05, 10_000, warned=0.6, quiet_coverage=0.90, quiet_type_1=0.05), "", "too narrow; warned"),
    (Outcome(0.93, 0.05, 10_000, warned=0.4, quiet_coverage=0.90, quiet_type_1=0.05), "", NARROW),
    (Outcome(0.93, 0.05, 10_000, warned=0.4, quiet_coverage=0.95, quiet_type_1=0.05), "",
     "too narrow; nominal where it does not warn"),
    (Outcome(0.93, np.nan, 10_000, warned=1.0), "", "too narrow; warned"),
])
def test_the_last_column_says_what_the_shares_mean(outcome, unseen, reading):
    assert simulated_coverage.reading(outcome, unseen) == reading


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
            note = np.where(estimate < 0, "a warning", "")
        return Found

    outcome = simulated_coverage.run(Scenario("mean", "made up", means, call=one_error))
    assert outcome.coverage == pytest.approx(0.6827, abs=0.02) and outcome.type_1 == pytest.approx(0.3173, abs=0.02)
    assert outcome.side == -1 and outcome.without == 0
    # warned where the value is below 0: of a mean of 1 in 15.9%, and then it always misses
    assert outcome.warned == pytest.approx(0.1587, abs=0.02)
    assert outcome.quiet_coverage == pytest.approx(0.6827 / 0.8413, abs=0.02)
    assert outcome.quiet_type_1 == pytest.approx(0.3173, abs=0.02)


def test_truths_of_scores_with_a_ceiling_are_those_of_many_draws():
    rng = np.random.default_rng(1)
    for shape, share in (("ceiling", 0.3), ("full", 0.75)):
        drawn = simulated_data.scores(rng, 400_000, shape)
        assert drawn.mean() == pytest.approx(simulated_data.score_mean(shape), abs=0.1)
        assert (drawn == 80).mean() == pytest.approx(share, abs=0.03)


@pytest.mark.study
def test_all_scenarios_and_write_the_page():
    outcomes = [simulated_coverage.run(scenario) for scenario in ALL]
    text = validation.replace(PAGE, simulated_coverage.render(SCENARIOS, outcomes, UNSEEN), START, END)
    validation.PAGE.write_text(text, encoding="utf-8")
