"""Every estimator on degenerate data: numbers, NaN with a reason, or an error that names the problem; nothing else.

200 cases here, 5,000 in `make study-degenerate`.
"""

from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest
from degenerate import CALLS, HELPERS, Data, problem
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from therapyeval import stats

SUITE, STUDY = (-(-cases // len(CALLS)) for cases in (200, 5000))
NUMBERS = {
    "constant": lambda random, n: np.full(n, 3.0),
    "ties": lambda random, n: random.integers(0, 3, n).astype(float),
    "whole": lambda random, n: random.integers(-20, 101, n).astype(float),
    "fine": lambda random, n: random.normal(50, 12, n),
    "wide": lambda random, n: random.choice([-1e9, -1.5, 0.0, 1e-9, 2.25, 1e9], n),
    "outlier": lambda random, n: np.where(np.arange(n) == 1, 1e6, random.normal(size=n)),
    "missing": lambda random, n: np.full(n, np.nan),
    "infinite": lambda random, n: random.choice([1.0, 4.0, np.inf, -np.inf], n),
}
USUAL = [kind for kind in NUMBERS if kind not in ("missing", "infinite")]
GROUPS = {"one": [0], "two": [0, 1], "three": [0, 1, 2], "empty arm": [0, 2]}
FLAGS = {"none": lambda random, group: group < 0, "all": lambda random, group: group >= 0,
         "separated": lambda random, group: group == 0, "mixed": lambda random, group: random.random(len(group)) < 0.4}
COUNTS = {"none": [0], "causes": [0, 1, 2], "many": list(range(40))}
DAYS = {"equal": [4.0], "with none": [0.0, 1.0, 5.0], "many": [0.5, 2.0, 7.0, 11.5, 30.0, 90.0]}
CLUSTERS = {"one": lambda n: np.full(n, 7), "few": lambda n: np.arange(n) % 4, "own": np.arange,
            "six": lambda n: np.arange(n) % 6, "panel": lambda n: np.arange(n) // 3}
COVARIATES = {
    "none": lambda random, group: {},
    "number": lambda random, group: {"age": random.integers(20, 90, len(group)) * 1.0},
    "constant": lambda random, group: {"age": np.ones(len(group))},
    "text": lambda random, group: {"payer": random.choice(np.array(["a", "b"], dtype=object), len(group))},
    "equal": lambda random, group: {"age": np.arange(len(group)) * 1.0, "years": np.arange(len(group)) * 1.0},
    "unique": lambda random, group: {"name": np.arange(len(group)).astype(str)},
    "group": lambda random, group: {"arm": group * 2.0},
    "infinite": lambda random, group: {"age": np.full(len(group), np.inf)},
}


def one_of(choices, weights=()):
    return st.sampled_from([*choices, *weights])


@st.composite
def degenerate(draw):
    """Rows of which any column may be constant, tied, missing, infinite, separated or empty; from none to 40."""
    n = draw(st.sampled_from([0, 1, 2, 3, 6, 12, 24, 40, 40]))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    group = random.choice(GROUPS[draw(one_of(GROUPS, ["two", "three"]))], n)
    cluster = draw(one_of(CLUSTERS))
    return Data(
        value=NUMBERS[draw(one_of(NUMBERS, USUAL * 3))](random, n),
        other=NUMBERS[draw(one_of(NUMBERS, USUAL * 3))](random, n),
        flag=FLAGS[draw(one_of(FLAGS, ["mixed"] * 2))](random, group).astype(float),
        count=random.choice(COUNTS[draw(one_of(COUNTS))], n), days=random.choice(DAYS[draw(one_of(DAYS))], n),
        group=group, cluster=CLUSTERS[cluster](n),
        visit=np.arange(n) % 3 if cluster == "panel" else random.integers(0, 3, n),
        covariates=pd.DataFrame(COVARIATES[draw(one_of(COVARIATES, ["number", "text", "none"]))](random, group),
                                range(n)))


def judge(name, data):
    """Runs one estimator; a ValueError has to say something, any other exception or warning fails the test."""
    try:
        answer = CALLS[name](data)
    except ValueError as error:
        assert len(str(error)) > 15 and type(error) is ValueError, repr(error)
        assert error.__traceback__ is not None and raised_here(error), repr(error)
        return
    assert problem(name, answer) == ""


def raised_here(error):
    """Whether our own check raised it, not numpy or scipy."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    return "therapyeval" in last.tb_frame.f_code.co_filename


def options(n_cases):
    return settings(max_examples=n_cases, derandomize=n_cases == SUITE, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", CALLS)
def test_degenerate_data_give_numbers_or_a_reason(name):
    options(SUITE)(given(degenerate())(lambda data: judge(name, data)))()


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_reach_the_estimators(name):
    """On plain data every call gives a number: else the tests above would see refusals only."""
    random, n = np.random.default_rng(3), 60
    group = np.repeat([0, 1, 2], n // 3)
    data = Data(value=random.normal(50, 12, n), other=random.normal(52, 12, n), flag=(random.random(n) < 0.4) * 1.0,
                count=random.integers(0, 3, n), days=random.choice(DAYS["many"], n), group=group,
                cluster=np.arange(n) // 3, visit=np.arange(n) % 3,
                covariates=pd.DataFrame({"age": random.integers(20, 90, n) * 1.0}))
    assert has_number(CALLS[name](data))


def has_number(answer):
    """Whether there is a finite number in any estimate, statistic or other floats of an answer."""
    if is_dataclass(answer):
        return any(has_number(getattr(answer, field.name)) for field in fields(answer))
    if isinstance(answer, tuple | list | dict):
        return any(map(has_number, answer.values() if isinstance(answer, dict) else answer))
    if isinstance(answer, pd.DataFrame):
        return has_number(answer.select_dtypes("number").to_numpy(dtype=float))
    answer = np.asarray(answer)
    return answer.dtype.kind == "f" and np.isfinite(answer).any()


@pytest.mark.study
@pytest.mark.parametrize("name", CALLS)
def test_thousands_of_degenerate_data_give_numbers_or_a_reason(name):
    seed(20261122)(options(STUDY)(given(degenerate())(lambda data: judge(name, data))))()


def test_every_public_name_is_called_or_estimates_nothing():
    assert set(stats.__all__) == set(CALLS) | HELPERS and not set(CALLS) & HELPERS


@pytest.mark.parametrize(("estimate", "error"), [(-np.inf, 3.0), (3.0, np.inf)])
def test_the_posterior_of_an_infinite_estimate_or_error_is_refused(estimate, error):      # found by the study
    with pytest.raises(ValueError, match="estimate or error is infinite"):
        stats.posterior_mean(np.array([estimate]), np.array([error]), np.array([4.0]), prior_mean=0, prior_sd=5)
