"""What a report may say: every sentence by itself, and words that never occur."""

from __future__ import annotations

import itertools
import re

import pytest

from therapyeval.display import sentences

FORBIDDEN = re.compile(r"caus(ed|es)|led to|significan|\bprove[ds]?|statistically|not important|effective", re.I)


@pytest.mark.parametrize(("low", "high", "word"), [
    (1.2, 2.0, "superiority"), (0.2, 1.4, "superiority"), (0.1, 0.8, "superiority"),
    (-0.2, 1.1, "inconclusive"), (-1.4, 0.2, "inconclusive"), (-2.0, 2.0, "inconclusive"),
    (-0.4, 0.5, "unlikely to matter"), (0.0, 0.5, "unlikely to matter"),
    (-1.5, -0.2, "inferiority"), (-3.0, -1.1, "inferiority")])
def test_verdict_comes_from_the_interval_against_zero_and_one_mcid(low, high, word):
    assert sentences.verdict(low, high, True) == word
    assert sentences.verdict(low, high, False) == "importance cannot be judged"


@pytest.mark.parametrize(("low", "high", "reading"), [
    (1.2, 2.0, "superiority of at least one MCID, because the whole interval lies beyond it"),
    (0.11, 1.33, "superiority of uncertain importance, because the interval excludes 0 but includes one MCID"),
    (-0.2, 1.1, "inconclusive, because the interval includes 0 and one MCID"),
    (-1.2, 1.1, "inconclusive, because the interval includes 0, one MCID and one MCID in the other direction"),
    (-1.5, -0.2, "inferiority of uncertain importance, because the interval excludes 0 but includes one MCID")])
def test_reading_of_an_interval_against_the_mcid(low, high, reading):
    text = sentences.against_mcid(((low + high) / 2, low, high), "10 points", randomized=True, has_responders=True)
    assert text.endswith(reading)


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.8), (-0.4, 0.5), (-0.8, -0.1)])
def test_a_small_mean_difference_points_at_responders_where_the_report_has_them(low, high):
    with_rates, without = (sentences.against_mcid((0.4, low, high), "10 points", randomized=True, has_responders=found)
                           for found in (True, False))
    assert with_rates == f"{without}; the responder rates say how many people improved by that much"
    assert "not important" not in with_rates and "average" in without


def test_a_negative_difference_is_less_improvement_with_turned_limits():
    text = sentences.effect("ODI", ("A", "B"), (-3.0, -5.5, -0.5), "points", digits=1, conf_level=0.9, randomized=True,
                            reading="r")
    assert text == "ODI improved by 3.0 points less with A than with B (90% interval 0.5 to 5.5): r."


def every_sentence(randomized: bool) -> list[str]:
    ends = (-2.0, -0.5, 0.3, 0.9, 1.5, 3.0)
    found = [sentences.against_mcid(((a + b) / 2, a, b), "10 points", randomized=randomized, has_responders=True)
             for a, b in itertools.combinations(ends, 2)]
    found += [sentences.effect("ODI", ("A", "B"), (v, v - 1, v + 1), "points", digits=1, conf_level=0.95,
                               randomized=randomized, reading="r") for v in (-2, 0, 2)]
    found += [sentences.who(total, {"A": "12", "B": "withheld"}, randomized, sites) for total in ("30", "withheld")
              for sites in (None, 1, 6)]
    found += [sentences.few_compared(141, 245, "57.6%"),
              sentences.responder_difference(("A", "B"), "13.0 (0.5 to 24.9)", 0.95)]
    found += [sentences.next_step(word, {"consent": "green", "retention": band}) for word, band in (
        ("go", "green"), ("amend", "amber"), ("stop or redesign", "red"), ("cannot be told", ""))]
    found += [sentences.design_line(kind, randomized, "Title") for kind in ("parallel", "cluster", "pre_post", "other")]
    return found


def test_no_sentence_claims_a_cause_or_significance():
    for text in every_sentence(True) + every_sentence(False):
        assert not FORBIDDEN.search(text), text


def test_words_of_a_trial_are_kept_for_trials():
    for text in every_sentence(False):
        assert not re.search(r"superior|inferior|allocated at random|(?<!non-)randomized", text), text


def test_a_recalled_threshold_is_said_beside_the_number():
    assert sentences.without_mcid(-0.2, 1.2, recalled=True) == (
        "the interval includes 0; threshold not verified for the MCID of this measure, so its importance cannot be "
        "judged")


@pytest.mark.parametrize(("randomized", "title", "line"), [
    (True, "Trial of A", "randomized trial"), (False, "A", "non-randomized comparison, pilot"),
    (False, "Pilot of A", "non-randomized comparison")])
def test_the_title_carries_the_design(randomized, title, line):
    assert sentences.design_line("parallel", randomized, title) == line


def test_counts_of_people_in_sentences():
    assert sentences.withheld(0, 9, "public") == "Nothing is withheld under the privacy policy public."
    assert sentences.withheld(1, 9, "cms_11", 11).startswith(
        "1 of 9 numbers (rows of results.csv) is withheld under the privacy policy cms_11")
    assert sentences.missing_scores("Pain", {"A": "0", "B": "0"}) == "Pain has a final score for everybody."
    assert sentences.missing_scores("Pain", {"A": "1", "B": "withheld"}) == \
        "Pain has no final score for 1 person in A and withheld in B."
    assert sentences.missing_scores("Pain", {"A": "withheld"}).endswith("is withheld.")
    assert sentences.responders("Pain", {"A": "withheld", "B": "withheld"}) == \
        "Pain: how many people reached this is withheld."


def test_a_difference_that_is_not_shown_says_why():
    assert sentences.effect_withheld("Pain", ("A", "B"), "no unit has a value") == \
        "Pain: the difference between A and B cannot be given (no unit has a value)."


def test_uncontrolled_change_is_called_that():
    assert "natural recovery" in sentences.not_randomized("pre_post")
    assert "no cause is claimed" in sentences.not_randomized("parallel")
