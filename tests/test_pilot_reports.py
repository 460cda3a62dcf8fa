"""The pilot report end to end, by the command: published numbers in results.csv, and nothing small under cms_11."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from therapyeval.cli import main

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
ARMS = {"PRT": 50, "placebo": 51, "usual": 50}


@pytest.fixture
def report(real_data, tmp_path, capsys):
    """Runs the pilot report of a data set; returns its folder and results.csv."""
    def run(name, *words, data=None):
        folder = data or real_data(name)
        code = main(["report", "pilot_study", "--data", str(folder), "--out", str(tmp_path),
                     "--mapping", str(SAMPLES / name / "mapping.yml"),
                     "-p", f"protocol={SAMPLES / name / 'pilot.yml'}", *words])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        run_folder = Path(shown.out.strip().removeprefix("Report: ")).parent
        return run_folder, pd.read_csv(run_folder / "results.csv", na_values=["<NA>"], keep_default_na=True)
    return run


def test_back_pain_report_holds_the_published_numbers(report, real_data):
    folder, results = report("back_pain_prt")
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.html", "report.ipynb", "results.csv", "results.xlsx", "run.json"]
    printed = {item["id"]: item["published"] for item in
               json.loads((real_data("back_pain_prt") / "published.json").read_text())["checks"]}
    scores = results[results["table"] == "scores"].set_index(["metric", "arm", "statistic"])["estimate"]
    for arm in ARMS:
        for measure in ("pain_avg", "odi"):
            for statistic in ("mean", "sd"):
                text = printed[f"{measure}.{arm}.post.{statistic}"]
                assert f"{scores[f'final_score:{measure}', arm, statistic]:.2f}" == text
    rates = results[(results["table"] == "rates") & (results["estimand"] == "missing_not_achieved")].set_index("arm")
    assert {arm: (rates.loc[arm, "numerator"], rates.loc[arm, "denominator"]) for arm in ARMS} == {
        "PRT": (33, 50), "placebo": (10, 51), "usual": (5, 50)}
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "Pain reprocessing therapy" in html and "Nothing is withheld" in html
    assert "Largest influence of one unit" in html and "no single unit weighs heavily" in html


def test_headache_report_holds_both_variances(report):
    _, results = report("acupuncture_headache")
    effects = results[(results["table"] == "effects") & (results["metric"] == "score_change:headache_score")
                      & (results["unit"] == "points") & results["method"].str.startswith("ANCOVA")]
    digits = {"estimate": 2, "conf_low": 2, "conf_high": 2, "p_value": 4}
    assert list(effects[list(digits)].round(digits).itertuples(index=False, name=None)) == [
        (4.64, 2.20, 7.08, 0.0002), (4.64, 2.16, 7.12, 0.0003)]
    rates = results[(results["table"] == "rates") & (results["estimand"] == "complete_case")
                    & results["metric"].str.startswith("pct_improved_rate:headache_score")].set_index("arm")
    assert {arm: (rates.loc[arm, "numerator"], rates.loc[arm, "denominator"]) for arm in ("acupuncture", "usual")} == {
        "acupuncture": (87, 161), "usual": (45, 140)}


def small_cells(results):
    """Shown counts from 1 to 10."""
    counts = results[["numerator", "n", "n_missing", "n_excluded", "n_people"]]
    complement = results["denominator"] - results["numerator"]
    both = pd.concat([counts, complement.rename("complement")], axis=1)
    return both[(both > 0) & (both < 11)].dropna(how="all")


@pytest.mark.parametrize("name", ["back_pain_prt", "acupuncture_headache"])
def test_under_cms_11_no_count_from_1_to_10_is_shown(report, name):
    folder, results = report(name, "--policy", "cms_11")
    proportions = results[results["statistic"].isin(["proportion", "count"])]
    assert small_cells(proportions).empty
    assert small_cells(results.assign(numerator=float("nan"), denominator=float("nan"))).empty
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["policy"] == "cms_11"


def test_back_pain_under_cms_11_hides_the_small_responder_and_missing_counts_and_what_gives_them(report):
    folder, results = report("back_pain_prt", "--policy", "cms_11")
    rates = results[results["table"] == "rates"].set_index(["arm", "estimand"])
    for arm in ("placebo", "usual"):
        for estimand in ("complete_case", "missing_not_achieved"):
            assert rates.loc[(arm, estimand), ["estimate", "conf_low", "numerator"]].isna().all()
    for arm, allocated in ARMS.items():
        here = results[(results["arm"] == arm) & results["n"].notna()]
        assert set(here["n"]) <= {allocated}, "a second n of this arm would give the missing by subtraction"
    differences = results[results["table"] == "differences"]
    assert differences["estimate"].isna().all()
    for file in ("report.html", "report.ipynb", "results.csv"):
        text = (folder / file).read_text(encoding="utf-8")
        assert not re.search(r"\b(10 of 51|5 of 50|10/51|5/50|44 of 50|44 of 51|47 of 50)\b", text), file


def test_small_groups_under_cms_11_still_make_a_report(report):
    folder, results = report("stroke_recovery", "--policy", "cms_11", data=SAMPLES / "stroke_recovery")
    grouped = results[results["arm"].notna()]
    assert grouped["estimate"].isna().all()
    assert "withheld" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_harbor_pilot_is_told_under_cms_11_with_its_main_effect(report):
    folder, results = report("harbor_rehab", data=SAMPLES / "harbor_rehab")
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "n of the comparisons, in their order: withheld, 141." in html
    effects = results[(results["table"] == "effects") & (results["metric"] == "score_change:odi")
                      & (results["unit"] != "MCID")]
    adjusted = effects[effects["method"].str.startswith("ANCOVA")].iloc[0]
    assert adjusted["conf_low"] < 3.0 < adjusted["conf_high"]      # the effect that was built into the data
    rates = results[(results["table"] == "rates") & (results["estimand"] == "missing_not_achieved")]
    assert rates["estimate"].notna().all()
