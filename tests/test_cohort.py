"""Cohorts: what a filter keeps, what it counts, and how it is written down."""

import pytest

from therapyeval.cohort import read_filters
from therapyeval.errors import ParameterError, UnknownNameError

EPISODES = """
    episode  discipline  site_id  age
    e1       PT          north    40
    e2       PT          east     70
    e3       OT          north    -
    e4       -           north    55"""


def test_a_filter_keeps_the_count_at_every_step(cohort_from):
    cohort = cohort_from(episodes=EPISODES).where(discipline="PT", site_id=["north", "east"])
    steps = cohort.flow.query("population == 'episodes'")
    assert steps[["n_before", "n_kept", "n_other", "n_not_linked"]].to_numpy().tolist() == [[4, 2, 1, 1], [2, 2, 0, 0]]
    assert cohort.facts.episodes["episode"].tolist() == [0, 1]
    assert cohort.source.filters == {"discipline": ["PT"], "site_id": ["north", "east"]}


def test_a_number_is_filtered_by_value_list_or_range(cohort_from):
    cohort = cohort_from(episodes=EPISODES)
    assert [len(cohort.where(age=value).facts.episodes) for value in ("40..55", "55..", [40, 70], "70")] == [2, 2, 2, 1]


def test_a_referral_that_cannot_be_tied_to_the_attribute_is_counted_as_not_linked(cohort_from):
    cohort = cohort_from(episodes=EPISODES, referrals="""
        referral  received_date  days  evaluated  discipline
        r1        2026-07-01     2     yes        PT
        r2        2026-07-01     9     no         -""", discipline="PT")
    step = cohort.flow.query("population == 'referrals'").iloc[0]
    assert (step["n_kept"], step["n_not_linked"]) == (1, 1)


def test_a_misspelt_attribute_or_value_names_the_closest(cohort_from):
    cohort = cohort_from(episodes=EPISODES)
    with pytest.raises(UnknownNameError, match="Did you mean site_id"):
        cohort.where(site="north")
    with pytest.raises(UnknownNameError, match="Did you mean north"):
        cohort.where(site_id="nort")
    with pytest.raises(ParameterError, match="Write a number"):
        cohort.where(age="old")
    with pytest.raises(ParameterError, match="selects nothing"):
        cohort.where(site_id=[])


def test_filters_come_back_from_their_file(cohort_from, tmp_path):
    cohort = cohort_from(episodes=EPISODES)
    narrowed = cohort.where(site_id="north", age="40..60")
    narrowed.save(tmp_path / "cohort.yml")
    again = cohort.where(**read_filters(tmp_path / "cohort.yml"))
    assert again.filters == narrowed.filters == {"site_id": ["north"], "age": "40..60"}
    (tmp_path / "bad.yml").write_text("- a list", encoding="utf-8")
    with pytest.raises(ParameterError, match="not a cohort file"):
        read_filters(tmp_path / "bad.yml")
