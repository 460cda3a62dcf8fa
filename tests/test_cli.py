"""The command: each slip costs one clear line and its exit code, and nothing half-written."""

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STROKE = ROOT / "data_samples" / "stroke_recovery"


def complains(outcome, code, words):
    """One line, no traceback, the right code."""
    got, printed, complaint = outcome
    assert got == code, complaint
    assert words in complaint and "Traceback" not in complaint
    assert complaint.startswith("therapyeval: ") and complaint.count("\n") == 1
    assert printed == ""


def test_measures_and_metrics_are_listed_and_explained(run):
    assert "lefs" in run("measures")[1]
    assert "MCID" in run("measures", "lefs")[1] and "http" not in run("measures", "lefs")[1]
    assert "no_show_rate" in run("metrics")[1]
    assert "Source: metric definitions, section 1" in run("metrics", "mcid_rate")[1]
    assert "protocol" in run("templates", "pilot_study")[1]
    complains(run("measures", "lef"), 4, "Did you mean lefs?")


def test_check_prints_text_or_json(run, tmp_path):
    stroke = shutil.copytree(STROKE, tmp_path / "stroke", ignore=shutil.ignore_patterns(".*"))  # it stores definitions
    code, text, _ = run("check", stroke)
    assert code == 0 and "usable" in text
    code, text, _ = run("check", stroke, "--json")
    told = json.loads(text)
    assert code == 0 and told["verdict"].startswith("usable") and told["definitions"]["changes"] == []
    assert {"completeness", "pairing"} <= {item["section"] for item in told["results"]}


def test_summarize_shows_the_table_and_writes_only_what_is_released(run, tmp_path):
    code, text, _ = run("summarize", STROKE, "score_change:barthel_100", "--by", "arm")
    assert code == 0 and "42.5" in text and "not released" in text
    target = tmp_path / "change.csv"
    question = ["summarize", STROKE, "score_change:barthel_100", "--by", "arm", "-o", target]
    code, text, _ = run(*question, "--policy", "cms_11")
    assert code == 0 and "under the policy cms_11" in text
    assert "42.5" not in target.read_text(encoding="utf-8")
    code, text, _ = run(*question)
    assert code == 0 and "42.5" in target.read_text(encoding="utf-8")


def test_compare_prints_groups_and_contrasts(run):
    code, text, _ = run("compare", STROKE, "score_change:barthel_100", "--groups", "arm", "--reference", "usual",
                        "--adjust", "baseline")
    assert code == 0 and "ANCOVA on baseline" in text and "new OT - usual" in text


def test_compare_takes_a_model_a_margin_and_several_metrics(run):
    code, text, _ = run("compare", STROKE, "score_change:barthel_100", "final_score:barthel_100", "--groups", "arm",
                        "--reference", "usual", "--model", "student", "--margin", "1 MCID", "--p-adjust", "holm")
    assert code == 0 and "Student t, equal spread; P adjusted for 4 tests (holm)" in text and "equivalence" in text
    assert "Checks of the model" in text and "f_ratio" in text
    code, text, _ = run("compare", STROKE, "mcid_rate:barthel_100", "--groups", "arm", "--subgroup", "site_id")
    assert code == 0 and "interaction" in text
    code, text, _ = run("compare", STROKE, "mcid_rate:barthel_100", "--groups", "arm", "--missing", "impute")
    assert code == 0 and "imputed" in text and "nothing is missing" in text
    assert run("compare", STROKE, "mcid_rate:barthel_100", "--groups", "arm", "--missing", "guess")[0] == 2
    unknown = run("compare", STROKE, "score_change:barthel_100", "--groups", "arm", "--model", "anova")
    complains(unknown, 4, "no model is called")


def test_an_unknown_command_or_option_is_a_usage_error(run):
    assert run("summarise", STROKE)[0] == 2
    assert run("summarize")[0] == 2
    complains(run("summarize", STROKE, "mcid_rate", "--where", "arm"), 2, "write it as name=value")


@pytest.mark.parametrize(("metric", "words"), [
    ("mcid_rat", "Did you mean mcid_rate"),
    ("score_change:barthel", "Did you mean"),
    ("discharge_rate", "no dates"),
])
def test_a_metric_that_cannot_be_asked(run, metric, words):
    code, _, complaint = run("summarize", STROKE, metric)
    assert code in (4, 8) and words in complaint and complaint.count("\n") == 1


def test_data_that_are_not_there_or_are_not_data(run, tmp_path):
    complains(run("check", tmp_path / "nothing"), 3, "nothing")
    complains(run("check", tmp_path), 3, "not a dataset")
    (tmp_path / "episodes.csv").write_text("", encoding="utf-8")
    complains(run("check", tmp_path), 3, "episodes.csv")


@pytest.mark.parametrize(("change", "words"), [
    (("    episode:", "\tepisode:"), "tab"),
    (("id: Subject", "id: Subjct"), "Did you mean Subject"),
    (("barthel_100:", "barthel_10:"), "Did you mean barthel_100"),
    (("timepoint_rule", "timepoint_rul"), "Did you mean timepoint_rule"),
])
def test_a_mapping_with_a_slip_names_its_line(run, tmp_path, change, words):
    mapping = tmp_path / "mapping.yml"
    mapping.write_text((STROKE / "mapping.yml").read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    outcome = run("check", STROKE, "--mapping", mapping)
    complains(outcome, 3, words)
    assert "line" in outcome[2]


@pytest.mark.parametrize(("words", "code", "complaint"), [
    (["-p", "protocoll=pilot.yml"], 4, "Did you mean protocol"),
    ([], 4, "protocol"),
    (["-p", "protocol=nowhere.yml"], 3, "nowhere.yml"),
    (["-p", f"protocol={STROKE / 'pilot.yml'}", "--policy", "cms11"], 4, "Did you mean cms_11"),
])
def test_a_report_with_a_slip_leaves_nothing_that_looks_finished(run, tmp_path, words, code, complaint):
    out = tmp_path / "out"
    got, printed, told = run("report", "pilot_study", "--data", STROKE, "--out", out, *words)
    assert (got, printed) == (code, "") and complaint in told and told.count("\n") == 1
    assert not out.exists() or not [path for path in out.iterdir() if not path.name.endswith(".failed")]


def test_the_sample_is_written(run, tmp_path):
    code, text, _ = run("sample", tmp_path / "sample")
    assert code == 0 and (tmp_path / "sample" / "truth.json").is_file() and "therapyeval check" in text
