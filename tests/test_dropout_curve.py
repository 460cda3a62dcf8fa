"""When and how care ends, by visit: worked by hand, and the same numbers as the metric gives."""

import pandas as pd
import pytest
from conftest import row
from pytest import approx

import therapyeval as te
from therapyeval.disclosure import release
from therapyeval.display.dropout import dropout_figure, dropout_sentence, dropout_table
from therapyeval.errors import ParameterError

EPISODES = """
    episode  n_attended  reason           arm
    e1       1           self_discharge   a
    e2       3           self_discharge   a
    e3       3           goals_met        a
    e4       5           moved            a
    e5       2           lost_contact     b
    e6       8           goals_met        b
    e7       4           -                b"""


def test_every_end_by_hand(cohort_from):
    """Arm a, nobody censored: of 4, one stops at visit 1 and one at 3; one meets goals at 3; one ends at 5."""
    curve = te.dropout_curve(cohort_from(episodes=EPISODES), by="arm", last=5)
    by_hand = {"": [0.25, 0.25, 0.5, 0.5, 0.5], "goals met": [0, 0, 0.25, 0.25, 0.25],
               "another end": [0, 0, 0, 0, 0.25]}
    for level, shares in by_hand.items():
        found = curve.frame[(curve.frame["arm"] == "a") & (curve.frame["level"] == level)]
        assert found["estimate"].tolist() == approx(shares)
        assert found["metric"].tolist() == [f"dropout_by_visit,k={k}" for k in range(1, 6)]


def test_an_end_without_a_reason_is_missing(cohort_from):
    cohort = cohort_from(has_calendar=True, episodes="""
        episode  n_attended  reason          start_date  end_date
        e1       1           self_discharge  2026-01-05  2026-01-05
        e2       4           -               2026-01-05  2026-03-05""")
    curve = te.dropout_curve(cohort, last=3).frame
    assert (curve["n"] == 1).all() and (curve["n_missing"] == 1).all()


def test_the_curve_goes_through_what_the_metric_gives(cohort_from):
    cohort = cohort_from(episodes=EPISODES)
    curve = te.dropout_curve(cohort, last=4).frame
    plain = te.summarize(cohort, [f"dropout_by_visit,k={k}" for k in range(1, 5)]).frame
    pd.testing.assert_frame_equal(curve[curve["level"] == ""].reset_index(drop=True), plain)


def test_open_episodes_are_censored_and_the_ends_add_up(cohort_from):
    """At visit 1 one of 4 stops (1/4); one open at 1 leaves; at visit 2 one of 2 meets goals: 3/4 x 1/2."""
    cohort = cohort_from(has_calendar=True, episodes="""
        episode  n_attended  reason          start_date  end_date
        e1       1           self_discharge  2026-01-05  2026-01-05
        e2       1           -               2026-01-05  -
        e3       2           goals_met       2026-01-05  2026-02-05
        e4       4           plateau         2026-01-05  2026-03-05""")
    curve = te.dropout_curve(cohort, period="2026Q1", last=4)
    shares = {level: row(curve, metric="dropout_by_visit,k=4", level=level)["estimate"]
              for level in ("", "goals met", "another end")}
    assert shares == {"": approx(1 / 4), "goals met": approx(3 / 8), "another end": approx(3 / 8)}


@pytest.mark.parametrize("last", [0, 2.5, -1])
def test_a_curve_needs_whole_visits(cohort_from, last):
    with pytest.raises(ParameterError, match="number of visits"):
        te.dropout_curve(cohort_from(episodes=EPISODES), last=last)


def test_nobody_gives_no_share_and_says_why(cohort_from):
    curve = te.dropout_curve(cohort_from(episodes="episode n_attended reason\ne1 0 moved"), last=2)
    assert curve.frame["estimate"].isna().all() and (curve.frame["note"].str.contains("no unit has a value")).all()


def many(*parts):
    """Episodes by (how many, last visit, reason)."""
    return "episode n_attended reason\n" + "\n".join(
        f"e{number}-{i} {visit} {reason}" for number, (n, visit, reason) in enumerate(parts) for i in range(n))


def test_table_figure_and_sentence_of_a_released_curve(cohort_from):
    """20 of 100 stop by visit 2, 4 more at visit 3 (hidden with what tells them), 60 meet their goals at visit 4."""
    cohort = cohort_from(episodes=many((20, 2, "self_discharge"), (4, 3, "self_discharge"), (60, 4, "goals_met"),
                                       (16, 4, "moved")))
    (found,) = release([te.dropout_curve(cohort, last=4)], "cms_11")
    table = dropout_table(found, "100 episodes.")
    assert [line.label for line in table.rows] == [f"By visit {k}" for k in range(1, 5)]
    assert table.rows[1].cells[0].text == "withheld" and table.rows[2].cells[0].below == "24 of 100"
    assert table.rows[3].cells[1].below == "60 of 100" and table.rows[1].cells[3].text == "100"
    figure = dropout_figure(found, "All.")
    for words in ("Gaps: 1 withheld", "Episodes: n 100.", "95% interval"):
        assert words in figure.caption
    assert dropout_sentence(found).startswith("Stopped by the patient by visit 4 24.0% (")


def test_a_withheld_curve_draws_nothing_and_says_so(cohort_from):
    cohort = cohort_from(episodes=many((5, 2, "self_discharge"), (3, 3, "goals_met")))
    (found,) = release([te.dropout_curve(cohort, last=3)], "cms_11")
    assert dropout_figure(found, "") is None and dropout_sentence(found) == "Withheld."
    assert "withheld" in dropout_table(found, "").to_text()
