"""`import` of every real data set that has patients: the canonical folder gives the counts of its published.json."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED

from therapyeval.data import read_dataset
from therapyeval.data.importing import import_dataset

WITHOUT_PATIENTS = {"nhs_talking_therapies", "sicily_its"}  # counts by year, and by month
SHORT = {"acupuncture": "acup", "usual": "control"}  # arms as the published checks name them


def back_pain(folder, facts):
    """`responders`: average pain of 0 or 1 after treatment."""
    found = {"n.randomised": len(facts.episodes)}
    for arm, rows in by_arm(facts, "pain_avg"):
        found |= {f"n.{arm}": len(rows), f"n.post.{arm}": rows["final"].count(),
                  f"responders.{arm}": (rows["final"] <= 1).sum()}
    return found


def headache(folder, facts):
    """`responders`: 35 percent less pain, or half as many days with headache."""
    found = {"n.randomised": len(facts.episodes)}
    for arm, rows in by_arm(facts, "headache_score"):
        rows = rows[rows["final"].notna()]
        found |= {f"n.{SHORT[arm]}.completers": len(rows), f"female.{SHORT[arm]}.n": (rows["sex"] == "female").sum(),
                  f"responders.{SHORT[arm]}": (rows["baseline"] - rows["final"] >= 0.35 * rows["baseline"]).sum()}
    for arm, rows in by_arm(facts, "headache_days"):
        found[f"freq_responders.{SHORT[arm]}"] = (rows["final"] <= rows["baseline"] / 2).sum()
    return found


def appointments(folder, facts):
    due = {"attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel"}
    counted, _ = facts.appointments.counts((), numerator={"no_show"}, denominator=due)
    return {"n": counted.loc[0, "b"], "missed": counted.loc[0, "a"], "patients": counted.loc[0, "n_people"],
            "neighbourhoods": len(facts.appointments.values("site_id"))}


def brain_injury(folder, facts):
    severe = facts.episodes["gcs_ed"].fillna(facts.episodes["gcs_icu"]) <= 8
    died = facts.episodes["destination"] == "Mortality"
    return {"n": len(facts.episodes), "severe.n": severe.sum(), "died.n": died.sum(),
            "died.severe.n": (severe & died).sum()}


def kutner(folder, facts):
    """Nobody published a count: the means, of 24 patients, are all that is printed of them."""
    means = facts.episodes.groupby("fitness")["days"].mean()
    return {f"mean.{name.split()[0]}": mean for name, mean in means.items()}


def stroke(folder, facts):
    """Straight lines through all weekly scores: what is printed of them."""
    rows = pd.read_parquet(folder / "assessments.parquet").merge(pd.read_parquet(folder / "enrollment.parquet"))
    week = rows["timepoint"].replace({"initial": "week1", "discharge": "week8"}).str.removeprefix("week").astype(int)
    lines = {arm: np.polyfit(week[part.index], part["score"], 1) for arm, part in rows.groupby("arm")}
    slope, start = lines["new OT"]
    found = {"pooled_interaction.(Intercept).est": start, "pooled_interaction.time.est": slope}
    for name, arm in (("GroupB", "existing"), ("GroupC", "usual")):
        found |= {f"pooled_interaction.{name}.est": lines[arm][1] - start,
                  f"pooled_interaction.{name}:time.est": lines[arm][0] - slope}
    return found


def by_arm(facts, measure):
    scores = facts.scores[facts.scores["measure"] == measure]
    return scores.merge(facts.episodes, on="episode").groupby("arm")


FOUND = {"back_pain_prt": back_pain, "acupuncture_headache": headache, "appointments_noshow": appointments,
         "pedalfast_tbi": brain_injury, "kutner_rehab": kutner, "stroke_recovery": stroke}


@pytest.mark.parametrize("name", FOUND)
def test_the_imported_folder_gives_the_published_counts(real_data, sample, tmp_path, name):
    imported = import_dataset(real_data(name), tmp_path / "out", sample(name) / "mapping.yml")
    checks = json.loads((real_data(name) / "published.json").read_text(encoding="utf-8"))["checks"]
    printed = {check["id"]: check["published"] for check in checks}
    found = FOUND[name](imported.folder, read_dataset(imported.folder).facts)
    assert {id: f"{value:.{len(printed[id].partition('.')[2])}f}" for id, value in found.items()} == {
        id: printed[id] for id in found}


def test_no_real_data_set_with_patients_is_left_out():
    if not (SHARED / "real_data").is_dir():
        pytest.skip("the real data sets are not on this machine")
    assert {path.name for path in (SHARED / "real_data").iterdir() if path.is_dir()} == {*FOUND, *WITHOUT_PATIENTS}
