"""The pilot's plan: what it may say, and what a slip costs: one line that names the line."""

import pytest

from therapyeval.errors import DataError, ParameterError
from therapyeval.pilot.protocol import read_protocol

GOOD = """version: 1
title: A pilot
design: {kind: parallel, randomized: no, allocation: "by hospital", sites: 2}
arms: {NO: Nothing new, yes: The program}
reference: NO
outcomes: [score_change:odi]
responders: ["target_score_rate:odi,cut=20"]
covariates: [baseline, age]
"""


@pytest.fixture
def plan(tmp_path):
    def write(text):
        path = tmp_path / "pilot.yml"
        path.write_text(text, encoding="utf-8")
        return path
    return write


def test_a_plan_is_read_as_it_is_written(plan):
    protocol = read_protocol(plan(GOOD))
    assert dict(protocol.arms) == {"NO": "Nothing new", "yes": "The program"}
    assert protocol.reference == ("NO",) and protocol.measures == ["odi"]
    assert protocol.design.randomized is False and protocol.design.sites == 2
    assert protocol.variance == "HC3" and protocol.p_values is False


@pytest.mark.parametrize(("change", "error", "words"), [
    (("title: A pilot\n", ""), DataError, "needs `title`"),
    (("title:", "\ttitle:"), DataError, "line 2: indented with a tab"),
    (("covariates", "covariate"), DataError, "line 8: a protocol cannot have `covariate`. Did you mean covariates"),
    (("reference: NO", "reference: none"), DataError, "line 5: `none` is not an arm. Arms: NO and yes"),
    (("reference: NO", "reference: [NO, yes]"), DataError, "every arm is a reference"),
    (("kind: parallel", "kind: parallell"), DataError, "line 3: `kind` is one of"),
    (("randomized: no", "randomized: maybe"), DataError, "line 3: `randomized` is yes or no"),
    (("sites: 2", "sites: two"), DataError, "`sites` is the number"),
    (("score_change:odi", "score_chang:odi"), ParameterError, "line 6: no metric is called 'score_chang'"),
    (("[score_change:odi]", "[mcid_rate:odi]"), DataError, "line 6: `outcomes` takes metrics such as score_change:odi"),
    (("arms: {NO: Nothing new, yes: The program}", "arms: {NO: Nothing new}"), DataError, "at least two arms"),
])
def test_a_slip_is_told_with_its_line(plan, change, error, words):
    with pytest.raises(error) as caught:
        read_protocol(plan(GOOD.replace(*change)))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_plan_that_is_not_there_says_so(tmp_path):
    with pytest.raises(DataError, match="pilot.yml cannot be read"):
        read_protocol(tmp_path / "pilot.yml")
