"""Which privacy policy holds, and who may ask for it."""

import pytest

from therapyeval.disclosure import MIN_SPREAD, PRESETS, THRESHOLD, choose_policy
from therapyeval.errors import ParameterError, UnknownNameError

PUBLIC = ("public", "CC0, released with the trial")


def test_constants_are_those_of_the_cms_cell_size_policy():
    assert (THRESHOLD, MIN_SPREAD) == (11, 4)
    assert {policy.threshold for policy in PRESETS.values()} == {11}


def test_without_a_name_the_declared_policy_holds_else_cms_11():
    assert choose_policy(None, None) == PRESETS["cms_11"]
    assert choose_policy(None, PUBLIC).name == "public"
    assert choose_policy(None, PUBLIC).reason == "CC0, released with the trial"
    assert choose_policy(None, ("cms_11", "")) == PRESETS["cms_11"]


def test_cms_11_may_be_asked_for_even_where_data_are_public():
    assert choose_policy("cms_11", PUBLIC).suppresses


def test_public_needs_a_declaration_with_a_reason():
    assert choose_policy("public", PUBLIC).reason == PUBLIC[1]
    for declared in (None, ("cms_11", "")):
        with pytest.raises(ParameterError, match=r"policy: \{name: public, reason"):
            choose_policy("public", declared)
    with pytest.raises(ParameterError, match="needs a reason"):
        choose_policy(None, ("public", "  "))


def test_internal_only_by_name_and_it_says_so():
    policy = choose_policy("internal", None)
    assert not policy.suppresses and policy.banner.startswith("INTERNAL")
    with pytest.raises(ParameterError, match="ask for it by name"):
        choose_policy(None, ("internal", "we are inside"))


def test_an_unknown_policy_is_named_with_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean cms_11"):
        choose_policy("cms11", None)
    with pytest.raises(UnknownNameError):
        choose_policy(None, ("secret", "x"))
