"""What the explorer computes and says, without a browser."""

from __future__ import annotations

import ast
import html
import re
import sys
import urllib.error
import urllib.request

import pytest
from test_explorer_saved import write_planted

import therapyeval as te
from therapyeval.data import read_dataset
from therapyeval.errors import DataError, ParameterError, UsageError
from therapyeval.explorer import app
from therapyeval.explorer.crossfilter import COMPARED, EVERYTHING, NOT_POOLED, Crossfilter, Selection
from therapyeval.explorer.panels import is_released, labels_of, panel
from therapyeval.explorer.views import explore

WHOLE = "2024-07-01..2026-09-30"


@pytest.fixture(scope="module")
def harbor(request):
    return read_dataset(request.config.rootpath / "data_samples" / "harbor_rehab")


@pytest.fixture(scope="module")
def crossfilter(harbor):
    return Crossfilter(harbor)


@pytest.fixture
def clinic(tmp_path):
    write_planted(tmp_path / "clinic")
    return tmp_path / "clinic"


def text_of(answer, crossfilter) -> str:
    shown = panel(answer, labels_of(crossfilter.dataset.facts.measures), crossfilter.policy.name)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def test_every_number_is_the_one_that_summarize_gives(harbor, crossfilter):
    answer = crossfilter.answer(Selection("PT", "north", "2026Q2", "odi"))
    cohort = harbor.cohort(discipline="PT", site_id="north")
    metrics = {"change": "score_change:odi", "responders": "mcid_rate:odi", "completion": "paired_completion:odi",
               "visits": "visits_per_episode", "days": "episode_days", "goals": "goals_met_rate"}
    for name, metric in metrics.items():
        assert answer.get(EVERYTHING, name).frame.equals(te.summarize(cohort, metric, period="2026Q2").frame), name


def test_all_quarters_leave_open_episodes_out(harbor, crossfilter):
    answer = crossfilter.answer(crossfilter.start())
    wanted = te.summarize(harbor.cohort(), "visits_per_episode", period=WHOLE)
    assert answer.get(EVERYTHING, "visits").frame.equals(wanted.frame)


def test_a_comparison_leaves_out_its_own_filter(harbor, crossfilter):
    answer = crossfilter.answer(Selection("PT", "north", "2026Q2", "odi"))
    by_site = te.summarize(harbor.cohort(discipline="PT"), "mcid_rate:odi", by="site_id", period="2026Q2")
    by_quarter = te.summarize(harbor.cohort(discipline="PT", site_id="north"), "mcid_rate:odi", every="quarter",
                              period=WHOLE)
    assert answer.get(COMPARED, "site_id").frame.equals(by_site.frame)
    assert answer.get(COMPARED, "period").frame.equals(by_quarter.frame)


def test_what_is_asked_again_is_not_computed_again(crossfilter):
    selection = Selection("OT", None, None, "copm_perf")
    assert crossfilter.answer(selection) is crossfilter.answer(selection)


def test_choices_are_those_that_the_data_have(crossfilter):
    assert [value for _, value in crossfilter.choices("discipline", Selection())] == [None, "OT", "PT", "SLP"]
    quarters = [value for _, value in crossfilter.choices("period", Selection())]
    assert quarters[:2] == [None, "2026Q3"] and quarters[-1] == "2024Q3"
    speech = [value for _, value in crossfilter.choices("measure", Selection("SLP"))]
    assert set(speech) == {"asha_noms_fcm", "wab_aq", "vhi10", "eat10", None}


def test_a_measure_that_the_selection_does_not_use_is_replaced(crossfilter):
    assert crossfilter.fitted(Selection("SLP", measure="odi")).measure in {"asha_noms_fcm", "wab_aq"}
    assert crossfilter.fitted(Selection("PT", measure="odi")).measure == "odi"


def test_scores_of_different_measures_are_not_averaged(crossfilter):
    answer = crossfilter.answer(Selection("PT"))
    assert answer.record["problems"] == {"change": NOT_POOLED}
    assert NOT_POOLED in text_of(answer, crossfilter)
    assert answer.get(EVERYTHING, "responders").frame["n"].sum() > 0


def test_a_question_that_the_library_refuses_becomes_a_sentence(crossfilter):
    answer = crossfilter.answer(Selection("SLP", measure="odi"))
    said = answer.record["problems"]["change"]
    assert said.startswith("No episode in this cohort has a score of odi.")
    assert said in text_of(answer, crossfilter) and "Traceback" not in text_of(answer, crossfilter)


def test_n_interval_completion_and_both_missing_rules_are_on_the_screen(crossfilter):
    text = text_of(crossfilter.answer(Selection("PT", "north", "2026Q2", "odi")), crossfilter)
    for words in ("PT, north, 2026Q2. 248 episodes of care ended.", "Not released: do not share.",
                  "83% of eligible episodes have a first and a final score", "49 of 59 eligible episodes; 10 lack a",
                  "13.8 points better on average 95% interval 9.9 to 17.6 n 49 with both scores",
                  "58% if a missing score counts as not improved 95% interval 45 to 69% 34 of 59",
                  "69% (55 to 80) of those with both scores 34 of 49", "7.3 visits on average 95% interval 6.8 to 7.8",
                  "118 of 232 discharges", "MCID: 10 points, Ostelo 2008"):
        assert words in text, words


def test_the_released_view_withholds_and_says_its_policy(clinic):
    crossfilter = Crossfilter(read_dataset(clinic))
    answer = crossfilter.released(Selection(site_id="tiny", measure="odi"))
    assert is_released(answer) and crossfilter.policy.name == "cms_11"
    text = text_of(answer, crossfilter)
    assert "withheld" in text and "Released under the policy cms_11" in text and "37.4" not in text
    assert not is_released(crossfilter.answer(Selection(site_id="tiny", measure="odi")))


def test_the_policy_that_the_data_declare_holds(sample):
    assert Crossfilter(read_dataset(sample("stroke_recovery"))).policy.name == "public"
    with pytest.raises(ParameterError, match="public"):
        Crossfilter(read_dataset(sample("harbor_rehab")), "public")


def test_data_without_dates_have_no_choice_of_quarters(sample):
    view = explore(read_dataset(sample("stroke_recovery")))
    assert set(view.filters) == {"discipline", "site_id", "measure"}


def test_names_in_the_data_are_text_never_markup(clinic):
    scores = (clinic / "scores.csv").read_text().replace(",tiny,", ",<img src=x onerror=alert(1)>,")
    (clinic / "scores.csv").write_text(scores)
    view = explore(read_dataset(clinic))
    view.filters["site_id"].value = "<img src=x onerror=alert(1)>"
    assert "<img" not in view.answers.saved and "<img" not in view.answers._live and "&lt;img" in view.answers._live


def test_filters_update_together_and_measures_follow_the_discipline(harbor):
    view = explore(harbor)
    assert repr(view) == "Explorer(measure='quickdash')"
    view.filters["discipline"].value = "SLP"
    assert view.selection.discipline == "SLP" and view.selection.measure == "asha_noms_fcm"
    assert view.filters["measure"].value == "asha_noms_fcm"
    assert "SLP, all sites" in view.answers._live and "SLP, all sites" in view.answers.saved


def test_anything_but_a_data_set_is_refused_with_the_way_to_get_one():
    with pytest.raises(ParameterError, match="te.explore\\(te.read_dataset"):
        explore("data_samples/harbor_rehab")


@pytest.mark.parametrize("name", ["it's", 'a "b"', "back\\slash", "'); import os; ('", "new\nline", "{x}"])
def test_the_path_reaches_the_notebook_as_a_literal(name):
    source = app.notebook({"data": name})["cells"][0]["source"]
    _, call = ast.parse(source).body
    assert [(item.arg, ast.literal_eval(item.value)) for item in call.value.keywords] == [("data", name)]


def test_the_app_says_what_is_wrong_before_it_serves(tmp_path, monkeypatch, sample):
    with pytest.raises(DataError, match="no file or folder nowhere"):
        app.open_app(tmp_path / "nowhere", browser=False)
    with pytest.raises(ParameterError, match="public"):
        app.open_app(sample("harbor_rehab"), policy="public", browser=False)
    monkeypatch.setitem(sys.modules, "voila.app", None)
    with pytest.raises(UsageError, match=r'pip install "therapyeval\[app\]"'):
        app.open_app(sample("harbor_rehab"), browser=False)


def test_the_view_of_the_app_shows_an_error_as_a_sentence(tmp_path):
    shown = app.view(str(tmp_path / "nowhere"))
    assert shown.to_text() == "There is no file or folder nowhere. Is the path right?"


def test_the_app_refuses_whoever_has_no_token(tmp_path):
    pytest.importorskip("voila", reason="the extra `app` is not installed")
    from test_explorer_browser import serve_app
    folder = tmp_path / "it's a \"clinic\"\\"
    write_planted(folder)
    with serve_app(folder, tmp_path) as (address, _):
        bare = address.split("?")[0]
        for wrong in (bare, f"{bare}?token=", f"{bare}?token=x"):
            page = urllib.request.urlopen(wrong, timeout=30)
            assert "/login" in page.url and b"voila_process" not in page.read(), wrong
        for inside in ("api/kernels/00000000-0000-0000-0000-000000000000/channels", "voila/files/explore.ipynb"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(bare + inside, timeout=30)
        page = urllib.request.urlopen(address, timeout=60).read().decode()
        assert "widget-view+json" in page and "37.4" not in page and "jsdelivr" not in page
