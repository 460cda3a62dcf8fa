"""Which change is enough: registered, published for others, shares and bands of baseline, given by the user."""

import pytest
from conftest import row
from pytest import approx

import therapyeval as te
from therapyeval.errors import ParameterError
from therapyeval.metrics.thresholds import band_of


@pytest.fixture
def pain(cohort_from):
    """Changes of 1 from 3, 2 from 4, 1 from 6, 2 from 6, 3 from 9, 4 from 9, and 1 from 0.5 (in no band)."""
    return cohort_from(scores="""
        episode  measure  baseline  final
        e1       nprs     3         2
        e2       nprs     4         2
        e3       nprs     6         5
        e4       nprs     6         4
        e5       nprs     9         6
        e6       nprs     9         5
        e7       nprs     0.5       0""", episodes="episode n_attended\n" + "\n".join(f"e{i} 5" for i in range(1, 8)))


def rate(cohort, metric):
    return row(te.summarize(cohort, metric), estimand="complete_case")


def test_the_threshold_of_a_band_of_baseline(pain):
    """1 below 5, 2 from 5 to 7, 4 (the stricter end of 3 to 4) from 8: e1, e2, e4 and e6 reach theirs."""
    found = rate(pain, "mcid_rate:nprs,threshold=bands")
    assert (found["numerator"], found["denominator"], found["n_excluded"]) == (4, 6, 1)
    assert found["note"].startswith("MCID by baseline (1 at 1 to 4, 2 at 5 to 7, 4 at 8 to 10): specific back pain")
    assert "Thieme" in found["note"] and "verified" in found["note"]


def test_a_share_of_baseline_is_a_threshold(pain):
    """30%: 1 of 3, 2 of 4, 2 of 6, 3 of 9, 4 of 9 and 0.5 of 0.5 reach it, 1 of 6 does not."""
    found = rate(pain, "mcid_rate:nprs,threshold=30%")
    assert (found["numerator"], found["denominator"]) == (6, 7)
    assert found["note"] == "threshold 30% of baseline: low back pain (Ostelo 2008; verified)"
    assert rate(pain, "mcid_rate:nprs,threshold=25%")["note"] == "threshold 25% of baseline, given by the user"


def test_a_published_number_is_printed_with_population_and_source(cohort_from):
    cohort = cohort_from(scores="episode measure baseline final\ne1 dash 40 34", episodes="episode n_attended\ne1 5")
    found = rate(cohort, "mcid_rate:dash,threshold=4.4")
    assert found["numerator"] == 1
    assert found["note"] == "threshold 4.4 points: subacromial pain in PT (n=50) (Rysstad 2017; verified)"
    assert rate(cohort, "mcid_rate:dash,threshold=5")["note"] == "threshold 5 points, given by the user"


def test_a_recalled_threshold_of_another_population_says_so(cohort_from):
    code, value = next((code, item.low) for code in te.measures.names() for item in te.measures.get(code).alternatives
                       if item.kind == "mcid" and item.confidence == "recalled" and item.low and not item.relative
                       and te.measures.get(code).paired and item.baseline_min is None
                       and sum(item.low in (also.low, also.high) for also in te.measures.get(code).alternatives) == 1)
    cohort = cohort_from(scores=f"episode measure baseline final\ne1 {code} 4 3",
                         episodes="episode n_attended\ne1 5")
    assert "threshold not verified" in rate(cohort, f"mcid_rate:{code},threshold={value}")["note"]


def test_the_band_holds_only_what_is_marked_for_it(cohort_from):
    dash = te.measures.get("dash")
    rows = [item for item in dash.alternatives if item.kind == "mcid" and item.in_band]
    marked = {end for item in rows for end in (item.low, item.high)}
    assert [float(text) for text in band_of(dash)] == sorted(marked - {dash.mcid})
    cohort = cohort_from(scores="episode measure baseline final\ne1 dash 40 34", episodes="episode n_attended\ne1 5")
    result = te.mcid_band(cohort, "dash")
    assert result.frame["metric"].iloc[0] == "mcid_rate:dash"
    own = result.frame[result.frame["estimand"] == "complete_case"].set_index("metric")["estimate"]
    assert own["mcid_rate:dash"] == 0 and own["mcid_rate:dash,threshold=4.4"] == approx(1)


@pytest.mark.parametrize(("metric", "words"), [
    ("mcid_rate:lefs,threshold=bands", "no MCID by bands"), ("mcid_rate,threshold=30%", "needs a measure"),
    ("mcid_rate:lefs,threshold=a%", "number")])
def test_what_cannot_be_a_threshold_is_refused(cohort_from, metric, words):
    cohort = cohort_from(scores="episode measure baseline final\ne1 lefs 40 34", episodes="episode n_attended\ne1 5")
    with pytest.raises(ParameterError, match=words):
        te.summarize(cohort, metric)
