"""Goals, and observed against predicted: metric definitions, sections 1 and 7."""

import pandas as pd
import pytest
from conftest import row
from test_metrics import TOY_EPISODES, TOY_SCORES, printed
from test_metrics_stays import NO_VISITS, score, stay

from therapyeval import metrics
from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.metrics.goals import gas_t

EPISODES = """
    episode_id  patient_id  discipline  site_id  start_date  status    discharge_date
    e1          p1          PT          north    2026-07-01  finished  2026-08-01
    e2          p2          PT          north    2026-07-01  finished  2026-08-01
    e3          p3          PT          north    2026-07-01  active    -"""


def test_goal_attainment_of_the_definitions(read_tables):
    goals = """
        goal_id  episode_id  baseline_level  attained_level  weight
        g1       e1          -1              1               2
        g2       e1          -1              0               1
        g3       e1          -1              -1              -
        g4       e1          -               2               5
        g5       e2          -1              -               1
        g6       e2          -1              3               1
        g7       e3          -1              0               1
        g8       none        -1              0               1"""
    dataset = read_tables(episodes=EPISODES, goals=goals, visits=NO_VISITS)
    score = row(summarize(dataset.cohort(), "gas_score"))
    assert score["estimate"] == pytest.approx(50 + 10 / 3)
    assert (score["n"], score["n_missing"], score["n_excluded"]) == (1, 1, 1)
    assert row(summarize(dataset.cohort(), "gas_change"))["estimate"] == pytest.approx(50 / 3)
    assert row(summarize(dataset.cohort(), "gas_score,p=0"))["estimate"] == pytest.approx(50 + 10 / 6**0.5)
    assert dataset.quality.tables.set_index("table").loc["goals", ["in_facts", "left_out"]].tolist() == [7, 1]


def test_change_of_goals_is_the_difference_of_two_scores():
    goals = pd.DataFrame({"x0": [-1, -2, -1], "x1": [2, 0, 1], "w": [1.0, 3.0, 2.0], "e": [4, 4, 9]})
    before, after = (gas_t(goals[name], goals["w"], goals["e"]) for name in ("x0", "x1"))
    both = gas_t(goals["x1"] - goals["x0"], goals["w"], goals["e"]) - 50
    pd.testing.assert_series_equal(after - before, both)
    assert gas_t(pd.Series([-1, -1, -1]), pd.Series([2, 1, 1]), pd.Series([1, 1, 1])).round(1).tolist() == [36.7]


@pytest.fixture
def model(tmp_path):
    def write(key, numbers, name="model.csv"):
        rows = "\n".join(f"{place},{value}" for place, value in numbers.items())
        (tmp_path / name).write_text(f"{key},predicted\n{rows}\n", encoding="utf-8")
        return tmp_path / name
    return write


def test_residual_of_the_definitions(cohort_from, model):
    cohort = cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)
    path = model("episode", {0: 18, 1: 10, 2: 6, 5: 3})
    found = row(summarize(cohort, f"residual:lefs,model={path}"))
    assert found["estimate"] == pytest.approx((6 - 5 - 14) / 3) and (found["n"], found["n_missing"]) == (3, 1)


def test_observed_to_expected_of_the_definitions(cohort_from, model):
    """The five paired episodes of the toy cohort; two of them are responders."""
    cohort = cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)
    path = model("episode", {0: 0.7, 1: 0.4, 2: 0.2, 4: 0.6, 5: 0.3})
    result = summarize(cohort, f"oe_ratio,outcome=mcid_rate,model={path}")
    assert printed(result, digits=2) == (0.91, 0.11, 3.28)
    assert row(result)[["numerator", "n", "n_missing"]].tolist() == [2, 5, 1]
    assert row(result)["denominator"] == pytest.approx(2.2)
    call = metrics.parse(f"oe_ratio,outcome=mcid_worse,model={path}")
    assert call.better(cohort.facts) == "lower"


def test_discharge_function_of_the_definitions(read_tables, model):
    finals = {0: 40, 1: 41, 2: 50, 3: 30, 4: 20, 5: 60}
    dataset = read_tables(
        visits=NO_VISITS, admissions=[stay(i, status="02" if i == 5 else "01") for i in finals],
        assessments=[score(i, "2026-07-13", value, measure_code="gg_dcfs") for i, value in finals.items()])
    path = model("stay", {0: 40, 1: 40.5, 2: 49.9, 3: 30.1, 4: 33, 5: 10})
    assert printed(summarize(dataset.cohort(), f"dcfs,model={path}")) == (60.0, 23.1, 88.2)


@pytest.mark.parametrize(("numbers", "outcome", "error", "words"), [
    ({0: 1.5}, "mcid_rate", ParameterError, "no probabilities"), ({99: 0.5}, "mcid_rate", NotEvaluableError, "other"),
    ({0: 0.5}, "score_change:lefs", ParameterError, "not a share"), ({"x": 1}, "mcid_rate", ParameterError, "own")])
def test_predictions_that_do_not_fit_are_refused(cohort_from, model, numbers, outcome, error, words):
    cohort = cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)
    with pytest.raises(error, match=words):
        summarize(cohort, f"oe_ratio,outcome={outcome},model={model('episode', numbers)}")


def test_a_file_that_is_not_there_or_has_other_columns_is_refused(cohort_from, model):
    cohort = cohort_from(episodes=TOY_EPISODES, scores=TOY_SCORES)
    with pytest.raises(ParameterError, match="no file of predictions"):
        summarize(cohort, "residual:lefs,model=none.csv")
    with pytest.raises(ParameterError, match="needs the columns episode and predicted"):
        summarize(cohort, f"residual:lefs,model={model('stay', {0: 1})}")


def test_observed_to_expected_of_stays(read_tables, model):
    """Of five stays, discharged home: 1, 1, 0 (nursing home), 1, 0; expected 0.8 + 0.5 + 0.6 + 0.9 + 0.2 = 3."""
    dataset = read_tables(visits=NO_VISITS, admissions=[
        stay(i, status=code) for i, code in enumerate(["01", "06", "03", "01", "03"])])
    path = model("stay", {0: 0.8, 1: 0.5, 2: 0.6, 3: 0.9, 4: 0.2})
    result = summarize(dataset.cohort(), f"oe_ratio,outcome=discharge_to_community,model={path}")
    found = row(result)
    assert found["estimate"] == pytest.approx(1.0) and found[["numerator", "n"]].tolist() == [3, 5]
    assert result.source.population == "stays"
    both = summarize(dataset.cohort(), [f"oe_ratio,outcome=discharge_to_community,model={path}",
                                        "discharge_to_community"], period="2026Q3")
    assert both.frame["n"].tolist() == [5, 5]
