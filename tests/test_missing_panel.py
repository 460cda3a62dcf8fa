"""What missing scores could change: every rule worked out by hand, released without telling small numbers."""

import numpy as np
import pandas as pd
import pytest
from conftest import row
from pytest import approx

import therapyeval as te
from therapyeval.analysis.missing import RULES, verdict
from therapyeval.disclosure import release
from therapyeval.display.labels import Labels
from therapyeval.display.missing_panel import DIFFERS, panel_figure, panel_sentence, panel_table
from therapyeval.errors import ParameterError

SCORES = """
    episode  measure  baseline  final  interim
    e1       lefs     30        54     -
    e2       lefs     45        50     -
    e3       lefs     60        52     -
    e4       lefs     20        -      28
    e5       lefs     -         40     -"""
EPISODES = """
    episode  n_attended  age  reason
    e1       8           40   goals_met
    e2       6           50   plateau
    e3       5           60   plateau
    e4       3           45   self_discharge
    e5       4           55   goals_met"""


@pytest.fixture
def toy(cohort_from):
    return cohort_from(episodes=EPISODES, scores=SCORES)


def test_a_change_under_every_rule(toy):
    result = te.missing_panel(toy, "score_change:lefs")
    by_hand = {"complete_case": (7.0, 3), "missing_not_achieved": (4.2, 5), "last_interim": (7.25, 4),
               "worst_case": (-7.8, 5), "best_case": (24.2, 5)}
    for rule, (estimate, n) in by_hand.items():
        found = row(result, estimand=rule)
        assert (found["estimate"], found["n"], found["n_missing"]) == (approx(estimate), n, 5 - n)
    assert result.frame["estimand"].tolist() == list(RULES)


def test_a_share_under_every_rule(toy):
    result = te.missing_panel(toy, "mcid_rate:lefs")
    by_hand = {"complete_case": 1 / 3, "missing_not_achieved": 1 / 5, "last_interim": 1 / 4, "worst_case": 1 / 5,
               "best_case": 3 / 5}
    for rule, estimate in by_hand.items():
        assert row(result, estimand=rule)["estimate"] == approx(estimate)


def test_the_first_two_rules_are_those_of_summarize(toy):
    panel = te.missing_panel(toy, "mcid_rate:lefs").frame
    plain = te.summarize(toy, "mcid_rate:lefs").frame
    columns = ["estimand", "estimate", "conf_low", "conf_high", "numerator", "denominator", "n", "n_missing"]
    pd.testing.assert_frame_equal(panel[columns].head(2), plain[columns])


def test_getting_worse_is_what_the_missing_are_feared_to_have_done(toy):
    result = te.missing_panel(toy, "mcid_worse:lefs")
    assert row(result, estimand="complete_case")["estimate"] == 0
    assert row(result, estimand="worst_case")["estimate"] == approx(2 / 5)
    assert row(result, estimand="best_case")["estimate"] == 0
    assert row(result, estimand="missing_not_achieved")["estimate"] == approx(2 / 5)


def test_nobody_near_the_best_score_can_gain_an_mcid_even_at_best(cohort_from):
    cohort = cohort_from(scores="""
        episode  measure  baseline  final
        e1       lefs     30        54
        e2       lefs     75        -""", episodes="episode n_attended\ne1 5\ne2 5")
    assert row(te.missing_panel(cohort, "mcid_rate:lefs"), estimand="best_case")["estimate"] == approx(1 / 2)


def test_weights_rebuild_a_stratum_of_which_half_was_lost(cohort_from):
    """Of 20 with 4 visits half came back with a change of 2, of 20 with 8 visits all with 10: their mean is 6."""
    lines = [f"e{i} lefs 30 {'-' if i < 10 else 32}" for i in range(20)]
    lines += [f"e{i} lefs 30 {'-' if i == 20 else 40}" for i in range(20, 41)]
    visits = "\n".join(f"e{i} {4 if i < 20 else 8}" for i in range(41))
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended\n" + visits)
    found = row(te.missing_panel(cohort, "score_change:lefs"), estimand="weighted")
    assert found["estimate"] == approx((20 * 2 + 21 * 10) / 41)
    assert found["method"].endswith("on baseline, visits") and found["n"] == 30


def test_an_unknown_age_of_some_without_a_score_does_not_undo_the_weights(cohort_from):
    """Nobody with a score is of unknown age: "age is missing" would tell with certainty who has none."""
    lines = [f"e{i} lefs 30 {'-' if i % 3 == 0 else 32 + i % 7}" for i in range(60)]
    visits = "\n".join(f"e{i} {4 + i % 5} {'-' if i in (0, 3) else 40 + i}" for i in range(60))
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended age\n" + visits)
    found = row(te.missing_panel(cohort, "score_change:lefs"), estimand="weighted")
    assert np.isfinite(found["estimate"]) and found["method"].endswith("on baseline, age, visits")


def test_the_note_is_the_verdict_of_the_rows_own_interval(cohort_from):
    lines = [f"e{i} lefs 30 {45 + i % 5 if i < 40 else '-'}" for i in range(80)]
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended\n" + "\n".join(f"e{i} 5" for i in range(80)))
    result = te.missing_panel(cohort, "score_change:lefs")
    assert row(result, estimand="complete_case")["note"] == "above no change, above one MCID"
    assert row(result, estimand="missing_not_achieved")["note"] == "above no change, not clear against one MCID"
    assert row(result, estimand="worst_case")["note"] == "below no change, below one MCID"
    rate = te.missing_panel(cohort, "mcid_rate:lefs", target=0.6)
    notes = [row(rate, estimand=rule)["note"].partition(";")[0] for rule in ("complete_case", "missing_not_achieved")]
    assert notes == ["above the target", "not clear against the target"]
    assert verdict(np.nan, 1, {"the target": 0}) == ""


def test_completers_beside_the_others(toy):
    result = te.completers(toy, "mcid_rate:lefs")
    ages = {name: row(result, metric="age", statistic="mean", completion=name)["estimate"]
            for name in ("with a score", "without a score")}
    assert ages == {"with a score": approx(50), "without a score": approx(50)}
    assert row(result, metric="age", statistic="smd")["contrast"] == "without a score - with a score"
    assert row(result, metric="n_attended", statistic="mean", completion="with a score")["estimate"] == approx(19 / 3)
    assert row(result, metric="reason", level="self_discharge", completion="without a score")["numerator"] == 1


def test_what_has_no_panel_is_refused(toy):
    with pytest.raises(ParameterError, match="no panel of missing scores"):
        te.missing_panel(toy, "episode_days")


def test_the_table_marks_where_the_missing_decide(cohort_from):
    lines = [f"e{i} lefs 30 {'-' if i >= 40 else 32 if i % 3 == 0 else 50}" for i in range(80)]
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended\n" + "\n".join(f"e{i} {3 + i % 4}" for i in range(80)))
    (found,) = release([te.missing_panel(cohort, "mcid_rate:lefs", target=0.45)], "cms_11")
    labels = Labels(measures={"lefs": {"name": "LEFS", "unit": "points", "mcid": 9}})
    table = panel_table(found, labels, "80 episodes")
    marked = [row.label for row in table.rows if row.cells[3].below == DIFFERS]
    assert marked == ["Missing counted as not achieved", "Missing at the least favorable score"]
    assert table.rows[0].cells[0].text == "65% (50 to 78)" and table.rows[0].cells[0].below == "26 of 40"
    said = panel_sentence(found)
    assert "is the same" not in said and "missing at the least favorable score" in said
    figure = panel_figure(found, labels)
    assert "Missing at the most favorable score: 82%" in figure.to_text()
    assert "withheld" not in table.to_text()


def test_a_withheld_panel_says_so_and_marks_nothing(cohort_from):
    lines = [f"e{i} lefs 30 {'-' if i < 3 else 50}" for i in range(8)]
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended\n" + "\n".join(f"e{i} 5" for i in range(8)))
    (found,) = release([te.missing_panel(cohort, "score_change:lefs")], "cms_11")
    table = panel_table(found, Labels(), "")
    assert {row.cells[0].text for row in table.rows} == {"withheld"}
    assert panel_sentence(found) == "" and panel_figure(found, Labels()) is None


@pytest.mark.parametrize(("n_lost", "shown"), [(6, False), (25, True)])
def test_bounds_do_not_tell_how_few_were_lost(cohort_from, n_lost, shown):
    lines = [f"e{i} lefs 30 {'-' if i < n_lost else 50 if i % 2 else 32}" for i in range(100)]
    cohort = cohort_from(scores="episode measure baseline final\n" + "\n".join(lines),
                         episodes="episode n_attended\n" + "\n".join(f"e{i} {3 + i % 4}" for i in range(100)))
    for metric in ("mcid_rate:lefs", "score_change:lefs"):
        (found,) = release([te.missing_panel(cohort, metric)], "cms_11")
        bounds = found.frame[found.frame["estimand"].isin(["worst_case", "best_case"])]
        assert bounds["estimate"].notna().all() == shown
        assert bounds["estimate"].notna().any() == shown
