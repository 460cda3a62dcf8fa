"""The mapping as a form: what is chosen becomes the mapping, and no value of a patient is saved with a notebook."""

from __future__ import annotations

import json

import ipywidgets
import pytest

import therapyeval as te
from therapyeval import measures
from therapyeval.data.mapping import read_mapping
from therapyeval.errors import DataError, UsageError

SECRET = "Quimby Z"


@pytest.fixture
def clinic(tmp_path):
    rows = [f"{n},{n},{'Arrived' if n < 20 else SECRET},01/02/2026,{n}\n" for n in range(40)]
    (tmp_path / "appts.csv").write_text("Appt ID,MRN,Appt Status,Appt Date,Walk\n" + "".join(rows), encoding="utf-8")
    return tmp_path


def columns(form):
    return form._files[0].columns


def test_the_form_starts_with_the_draft_and_every_column_has_a_drop_down(clinic):
    form = te.map_form(clinic)
    assert {name: column.choice.value for name, column in columns(form).items()} == {
        "Appt ID": "visit.visit_id", "MRN": "visit.patient_id", "Appt Status": "visit.status",
        "Appt Date": "visit.scheduled_start", "Walk": ""}
    assert "# scheduled_start:" in form.text and "Arrived: attended" in form.text


def test_what_is_chosen_becomes_the_mapping_and_the_doubt_goes(clinic, tmp_path):
    form = te.map_form(clinic)
    with pytest.raises(DataError):
        form.dataset()  # nobody has said yet how the dates are written
    columns(form)["Appt Date"].format.value = "%d/%m/%Y"
    known, unknown = columns(form)["Appt Status"].codes
    assert (known.description, known.value, unknown.value) == ("Arrived", "attended", "")
    unknown.value = "no_show"
    columns(form)["Walk"].choice.value = "visit.minutes"
    assert "CHECK" not in form.text.split("version: 1")[1]
    dataset = form.dataset()
    assert dataset.quality.tables[["rows_in", "in_facts"]].to_numpy().tolist() == [[40, 40]]
    assert dataset.data_cut.date().isoformat() == "2026-02-01"
    missed = te.summarize(dataset.cohort(), "no_show_rate").frame.iloc[0]
    assert (missed["numerator"], missed["denominator"]) == (20, 40)
    written = form.save(tmp_path / "mapping.yml")
    assert read_mapping(written, measures.read()).tables[0].kinds["visit"]["minutes"].columns == ("Walk",)
    with pytest.raises(UsageError, match="is there already"):
        form.save(tmp_path / "mapping.yml")


def test_another_kind_of_row_offers_other_columns(clinic):
    form = te.map_form(clinic)
    form._files[0].kind.value = "episode"
    roles = [value for _, value in columns(form)["Walk"].choice.options]
    assert "episode.start_date" in roles and "score.six_mwt.initial" in roles and "visit.status" not in roles
    columns(form)["Walk"].choice.value = "score.six_mwt.initial"
    assert "initial: Walk" in form.text
    form._files[0].kind.value = ""
    assert "tables: []" in form.text


def test_buttons_say_what_happened(clinic):
    form = te.map_form(clinic)
    check, write = [button for box in form.children if isinstance(box, ipywidgets.HBox) for button in box.children
                    if isinstance(button, ipywidgets.Button)]
    check.click()
    assert "every row needs it: appts.csv: visit.scheduled_start" in form.report._live
    columns(form)["Appt Date"].format.value = "%m/%d/%Y"
    check.click()
    assert "appts.csv" in form.report._live
    write.click()
    assert (clinic / "mapping.yml").is_file() and "Written" in form.report._live
    write.click()
    assert "is there already" in form.report._live


def test_nothing_that_is_saved_holds_an_unknown_code(clinic):
    form = te.map_form(clinic)
    columns(form)["Appt Date"].format.value = "%m/%d/%Y"
    form._on_check(None)
    assert SECRET in form.report._live  # frequent and short: for the screen
    saved = json.dumps([ipywidgets.Widget.get_manager_state(drop_defaults=False),
                        {name: text for name, text in form._repr_mimebundle_().items() if name.startswith("text/")}],
                       default=str)
    assert SECRET not in saved and "Appt Status" in saved
