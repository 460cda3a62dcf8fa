"""Numbers that somebody else printed, reproduced through the whole path: raw file, mapping, facts, metric, Result."""

import json
from pathlib import Path

import pytest
from conftest import row

import therapyeval as te

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
TRIALS = {"back_pain_prt": ("PRT", "placebo", "usual"), "acupuncture_headache": ("acupuncture", "usual")}


def published(folder):
    """id -> the number as it was printed."""
    checks = json.loads((folder / "published.json").read_text(encoding="utf-8"))["checks"]
    return {item["id"]: item["published"] for item in checks}


def prints_as(value, text):
    """Whether a number, rounded to the printed digits, is what was printed."""
    digits = len(text.partition(".")[2])
    return abs(float(value) - float(text)) <= 0.5 * 10 ** -digits + 1e-9


@pytest.fixture
def trial(real_data):
    """A trial's evaluation and its published numbers."""
    def evaluate(name, policy=None):
        folder = real_data(name)
        dataset = te.read_dataset(folder, mapping=SAMPLES / name / "mapping.yml")
        protocol = te.read_protocol(SAMPLES / name / "pilot.yml")
        return te.evaluate_pilot(protocol, dataset, policy=policy), published(folder)
    return evaluate


def test_back_pain_means_and_spread_after_treatment(trial):
    evaluation, printed = trial("back_pain_prt")
    scores = evaluation.bundle.get("outcomes", "scores")
    for measure, column in (("pain_avg", "pain_avg"), ("odi", "odi")):
        for arm in TRIALS["back_pain_prt"]:
            for statistic in ("mean", "sd"):
                found = row(scores, metric=f"final_score:{measure}", arm=arm, statistic=statistic)
                assert prints_as(found["estimate"], printed[f"{column}.{arm}.post.{statistic}"])
                assert found["n"] == int(printed[f"n.post.{arm}"])


def test_back_pain_responders_count_the_missing_as_not_achieved(trial):
    evaluation, printed = trial("back_pain_prt")
    rates = evaluation.bundle.get("responders", "rates")
    for arm in TRIALS["back_pain_prt"]:
        found = row(rates, metric="target_score_rate:pain_avg,cut=1", arm=arm, estimand="missing_not_achieved")
        assert found["numerator"] == int(printed[f"responders.{arm}"])
        assert found["denominator"] == int(printed[f"n.{arm}"])
        assert prints_as(100 * found["estimate"], printed[f"responders.{arm}.pct"])


def test_back_pain_all_post_treatment_measures(real_data):
    folder = real_data("back_pain_prt")
    printed = published(folder)
    cohort = te.read_dataset(folder, mapping=SAMPLES / "back_pain_prt" / "mapping.yml").cohort()
    columns = {"promis_dep": "promis_dep_8a_raw", "promis_anger": "promis_anger_5a_raw",
               "promis_anxiety": "promis_anx_8a_raw", "promis_sleep": "promis_sleep_8a_raw"}
    for column, measure in columns.items():
        result = te.summarize(cohort, f"final_score:{measure}", by="arm")
        for arm in TRIALS["back_pain_prt"]:
            for statistic in ("mean", "sd"):
                assert prints_as(row(result, arm=arm, statistic=statistic)["estimate"],
                                 printed[f"{column}.{arm}.post.{statistic}"])


def test_back_pain_table_one(real_data):
    folder = real_data("back_pain_prt")
    printed = published(folder)
    cohort = te.read_dataset(folder, mapping=SAMPLES / "back_pain_prt" / "mapping.yml").cohort()
    result = te.describe(cohort, variables=["age", "backpain_length"])
    assert row(result, metric="age", statistic="mean")["n"] == int(printed["n.randomised"])
    for name, variable in (("age", "age"), ("duration", "backpain_length")):
        for statistic in ("mean", "sd"):
            found = row(result, metric=variable, statistic=statistic)["estimate"]
            assert prints_as(found, printed[f"{name}.{statistic}"])


def test_headache_ancova_as_published_with_the_robust_row_beside_it(trial):
    evaluation, printed = trial("acupuncture_headache")
    effects = evaluation.bundle.get("outcomes", "effects").frame
    rows = effects.query("metric == 'score_change:headache_score' and unit == 'points' "
                         "and contrast == 'acupuncture - usual' and method.str.startswith('ANCOVA')")
    classical = rows[rows["method"].str.contains("classical")].iloc[0]
    robust = rows[rows["method"].str.contains("HC3")].iloc[0]
    assert prints_as(classical["estimate"], printed["ancova.diff"])
    assert prints_as(classical["conf_low"], printed["ancova.ci.lower"])
    assert prints_as(classical["p_value"], printed["ancova.p"])
    assert [round(classical[name], 2) for name in ("estimate", "conf_low", "conf_high")] == [4.64, 2.20, 7.08]
    assert [round(robust[name], 2) for name in ("estimate", "conf_low", "conf_high")] == [4.64, 2.16, 7.12]
    assert (round(classical["p_value"], 4), round(robust["p_value"], 4)) == (0.0002, 0.0003)


def test_headache_responders_and_scores(trial):
    evaluation, printed = trial("acupuncture_headache")
    rates = evaluation.bundle.get("responders", "rates")
    for arm, name in (("acupuncture", "acup"), ("usual", "control")):
        found = row(rates, metric="pct_improved_rate:headache_score,p=0.35", arm=arm, estimand="complete_case")
        assert (found["numerator"], found["denominator"]) == (int(printed[f"responders.{name}"]),
                                                              int(printed[f"n.{name}.completers"]))
        days = row(rates, metric="pct_improved_rate:headache_days,p=0.5", arm=arm, estimand="complete_case")
        assert days["numerator"] == int(printed[f"freq_responders.{name}"])
        for measure, column in (("headache_score", "pk5"), ("headache_days", "f5")):
            for statistic in ("mean", "sd"):
                score = row(evaluation.bundle.get("outcomes", "scores"), metric=f"final_score:{measure}", arm=arm,
                            statistic=statistic)
                assert prints_as(score["estimate"], printed[f"{column}.{name}.{statistic}"])


def test_headache_risk_difference(trial):
    evaluation, printed = trial("acupuncture_headache")
    found = row(evaluation.bundle.get("responders", "differences"), estimand="complete_case",
                metric="pct_improved_rate:headache_score,p=0.35")
    assert prints_as(100 * found["estimate"], printed["responders.diff"])


def test_missed_appointments_by_text_message_and_lead_time(real_data):
    folder = real_data("appointments_noshow")
    printed = published(folder)
    cohort = te.read_dataset(folder, mapping=SAMPLES / "appointments_noshow" / "mapping.yml").cohort()
    everybody = row(te.summarize(cohort, "no_show_share"))
    assert (everybody["n"], everybody["n_missing"], everybody["n_excluded"]) == (int(printed["n"]), 0, 0)
    assert (everybody["numerator"], everybody["n_people"]) == (int(printed["missed"]), int(printed["patients"]))
    assert prints_as(100 * everybody["estimate"], printed["missed.pct"])
    by_text = te.summarize(cohort, "no_show_share", by="sms_received")
    for value, name in (("yes", "missed.sms.pct"), ("no", "missed.nosms.pct")):
        assert prints_as(100 * row(by_text, sms_received=value)["estimate"], printed[name])
    lead = te.summarize(cohort, "no_show_share", by=["lead_band", "sms_received"]).frame
    texted = lead.query("sms_received == 'yes'").set_index("lead_band")["estimate"]
    not_texted = lead.query("sms_received == 'no'").set_index("lead_band")["estimate"]
    assert "0 days" not in texted.index                    # texts went only to bookings made ahead
    assert texted["8-30 days"] < not_texted["8-30 days"]   # and there they help: the bare comparison is confounded


def test_appointments_of_all_neighbourhoods(real_data):
    folder = real_data("appointments_noshow")
    cohort = te.read_dataset(folder, mapping=SAMPLES / "appointments_noshow" / "mapping.yml").cohort()
    assert len(te.summarize(cohort, "no_show_share", by="site_id").frame) == int(published(folder)["neighbourhoods"])


@pytest.fixture
def brain_injury(real_data):
    folder = real_data("pedalfast_tbi")
    dataset = te.read_dataset(folder, mapping=SAMPLES / "pedalfast_tbi" / "mapping.yml")
    return dataset.cohort(), published(folder)


def n_severe(cohort):
    """Children with a coma score of 8 or less: of the emergency department, else of intensive care."""
    first = te.describe(cohort.where(gcs_ed="..8"), variables=["gcs_ed"]).frame["n"].iloc[0]
    return first + te.describe(cohort.where(gcs_icu="..8"), variables=["gcs_ed"]).frame["n_missing"].iloc[0]


def test_brain_injury_counts_and_deaths(brain_injury):
    cohort, printed = brain_injury
    died = row(te.describe(cohort, variables=["destination"]), level="Mortality")
    assert (died["denominator"], died["numerator"]) == (int(printed["n"]), int(printed["died.n"]))
    assert prints_as(100 * died["estimate"], printed["died.pct"])
    severe, died_severe = n_severe(cohort), n_severe(cohort.where(destination="Mortality"))
    assert (severe, died_severe) == (int(printed["severe.n"]), int(printed["died.severe.n"]))
    assert prints_as(100 * severe / died["denominator"], printed["severe.pct"])
    assert prints_as(100 * died_severe / severe, printed["died.severe.pct"])


def test_brain_injury_function_at_discharge_by_mechanism(brain_injury):
    cohort, printed = brain_injury
    result = te.summarize(cohort, "final_score:fss_pediatric", by="mechanism")
    for mechanism in ("Fall", "Traffic", "Known or suspected abuse", "Other"):
        for statistic in ("mean", "sd"):
            found = row(result, mechanism=mechanism, statistic=statistic)["estimate"]
            assert prints_as(found, printed[f"fss.{statistic}.{mechanism}"])


def test_back_pain_numbers_randomised_and_seen_again(real_data):
    folder = real_data("back_pain_prt")
    printed = published(folder)
    cohort = te.read_dataset(folder, mapping=SAMPLES / "back_pain_prt" / "mapping.yml").cohort()
    result = te.summarize(cohort, "final_score:pain_avg", by="arm")
    for arm in TRIALS["back_pain_prt"]:
        found = row(result, arm=arm, statistic="mean")
        assert found["n"] + found["n_missing"] == int(printed[f"n.{arm}"])
        assert found["n"] == int(printed[f"n.post.{arm}"])


def test_kutner_days_of_therapy_by_fitness():
    folder = SAMPLES / "kutner_rehab"
    cohort = te.read_dataset(folder).cohort()
    result = te.describe(cohort, by="fitness", variables=["days"])
    means = result.frame.query("statistic == 'mean'").set_index("fitness")["estimate"].to_dict()
    assert means == pytest.approx({"below average": 38, "average": 32, "above average": 24})


def test_stroke_change_from_week_1_to_week_8():
    cohort = te.read_dataset(SAMPLES / "stroke_recovery").cohort()
    result = te.summarize(cohort, "score_change:barthel_100", by="arm")
    means = result.frame.query("statistic == 'mean'")["estimate"].tolist()
    assert sorted(means) == [26.875, 27.5, 42.5]
