"""The Result and the Bundle: one shape, nothing lost on the way to JSON and back."""

import dataclasses

import pandas as pd
import pytest

from therapyeval.errors import ParameterError
from therapyeval.result import COLUMNS, Bundle, NamedResult, Result, Source, make_frame


def result(**cells):
    rows = [{"site_id": "north", "metric": "m", "statistic": "mean", "estimate": 1.5, "n": 3, **cells},
            {"site_id": "<b>=1+1", "metric": "m", "statistic": "mean", "note": "no unit has a value", "n": 0}]
    return Result(make_frame(rows, ["site_id"]), "Title", Source("abc", "episodes", {"arm": ["x"]}))


def test_a_result_survives_json_unchanged():
    one = result(numerator=2, denominator=3)
    again = Result.from_dict(one.to_dict())
    pd.testing.assert_frame_equal(again.frame, one.frame)
    assert again.source == one.source and again.by == ["site_id"]


def test_a_result_cannot_be_changed_from_outside():
    one = result()
    frame = one.to_frame()
    frame.loc[0, "estimate"] = 99
    assert one.frame["estimate"].iloc[0] == 1.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.title = "other"


def test_html_escapes_what_data_may_hold():
    html = result()._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;" in html


def test_text_says_what_it_is_and_that_it_was_not_released():
    text = result().to_text()
    assert text.startswith("Title\nsite_id")
    assert text.endswith("95% intervals; episodes; not released: do not share.")


def test_concat_refuses_to_mix_policies_and_confidence_levels():
    one = result()
    with pytest.raises(ParameterError, match="different policy"):
        one.concat(dataclasses.replace(one, policy="cms_11"))
    with pytest.raises(ParameterError, match="different conf_level"):
        one.concat(dataclasses.replace(one, conf_level=0.9))
    assert len(one.concat(one).frame) == 4


def test_a_bundle_lists_section_and_table_first_then_every_by_column():
    other = Result(make_frame([{"arm": "x", "metric": "k", "statistic": "count", "n": 1}], ["arm"]), "T", Source("abc"))
    bundle = Bundle("B", (NamedResult("one", "a", result()), NamedResult("two", "b", other)), {"k": 1})
    assert tuple(bundle.to_frame().columns) == ("section", "table", "site_id", "arm", *COLUMNS)
    assert Bundle.from_dict(bundle.to_dict()).to_dict() == bundle.to_dict()
    with pytest.raises(KeyError):
        bundle.get("one", "b")
