"""REDCap exports: rows of one instrument, boxes joined, raw and label exports alike."""

from __future__ import annotations

import pytest

from therapyeval.data import read_dataset, sources
from therapyeval.errors import DataError

# ruff: noqa: E501 (an export is as wide as it is)
RAW = """record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,intake_date,age,side___1,side___2,side____99,intake_complete,lefs_total,lefs_complete,visit_date,visit_status,visit_complete
007,baseline_arm_1,,,2026-01-05,41,1,0,0,2,40,2,,,
007,baseline_arm_1,visit,1,,,,,,,,,2026-01-05,2,2
007,baseline_arm_1,visit,2,,,,,,,,,2026-01-12,1,2
007,discharge_arm_1,,,,,,,,,55,2,,,
08,baseline_arm_1,,,2026-01-04,52,1,1,0,2,33,2,,,
08,discharge_arm_1,,,,,,,,,,0,,,
09,baseline_arm_1,,,2026-01-03,60,0,0,1,2,,,,,
"""
LABELS = """Record ID,Event Name,Repeat Instrument,Repeat Instance,Age,Side (choice=Left),Side (choice=Right),Complete?,LEFS total,Complete?
007,Baseline,,,41,Checked,Unchecked,Complete,40,Complete
007,Baseline,Visit,1,,,,,,
08,Baseline,,,52,Checked,Checked,Complete,33,Incomplete
"""


@pytest.fixture
def export(tmp_path):
    def build(text: str):
        (tmp_path / "export.csv").write_text(text)
        return tmp_path / "export.csv"
    return build


def rows(raw: sources.Raw, *columns: str) -> list[list]:
    return [[row[name] for name in columns] for row in raw.table.to_pylist()]


def test_without_an_instrument_the_rows_of_no_repeating_one_and_boxes_joined(export):
    raw = sources.read(export(RAW), layout="redcap")
    assert rows(raw, "record_id", "redcap_event_name", "side", "_row") == [
        ["007", "baseline_arm_1", "1", 2], ["007", "discharge_arm_1", None, 5], ["08", "baseline_arm_1", "1;2", 6],
        ["08", "discharge_arm_1", None, 7], ["09", "baseline_arm_1", "-99", 8]]
    assert raw.aside == ((3, "a row of a repeating instrument"), (4, "a row of a repeating instrument"))
    assert raw.table["side___1"].to_pylist() == ["1", None, "1", None, "0"]  # single boxes stay


def test_an_instrument_chooses_its_repeats_or_the_rows_where_it_was_filled(export):
    assert rows(sources.read(export(RAW), layout="redcap", instrument="visit"), "visit_date", "_row") == [
        ["2026-01-05", 3], ["2026-01-12", 4]]
    lefs = sources.read(export(RAW), layout="redcap", instrument="lefs")
    assert rows(lefs, "record_id", "lefs_total") == [["007", "40"], ["007", "55"], ["08", "33"], ["08", None]]
    assert {why for _, why in lefs.aside} == {"a row without the instrument lefs"}


def test_label_exports_give_the_same_with_labels(export):
    raw = sources.read(export(LABELS), layout="redcap")
    assert rows(raw, "Record ID", "redcap_event_name", "Side", "Complete? (2)") == [
        ["007", "Baseline", "Left", "Complete"], ["08", "Baseline", "Left;Right", "Incomplete"]]
    assert rows(sources.read(export(LABELS), layout="redcap", instrument="Visit"), "_row") == [[3]]


def test_boxes_exported_as_their_labels_keep_them(export):
    raw = sources.read(export("id,side___1,side___2\na,Left,\nb,Left,Right\nc,,\n"), layout="redcap")
    assert rows(raw, "side") == [["Left"], ["Left;Right"], [None]]


@pytest.mark.parametrize(("text", "options", "message"), [
    (RAW, {"instrument": "visits"}, "export.csv has no instrument 'visits'. Did you mean visit?"),
    ("id,side,side___1\na,1,1\n", {}, "export.csv has a column 'side' beside the boxes side___"),
])
def test_an_unknown_instrument_or_a_clash_is_refused(export, text, options, message):
    with pytest.raises(DataError) as error:
        sources.read(export(text), layout="redcap", **options)
    assert message in str(error.value)


def test_one_export_gives_episodes_scores_by_event_and_visits(export, tmp_path):
    path = export(RAW)
    (tmp_path / "mapping.yml").write_text("""version: 1
timepoint_rule: declared
tables:
  - read: export.csv
    layout: redcap
    episode: {id: record_id, discipline: PT, start_date: intake_date}
    occasion: {column: redcap_event_name, values: {baseline_arm_1: initial, discharge_arm_1: discharge}}
    attributes: {age: number, both_sides: {column: side, type: text}}
    scores: {lefs: lefs_total}
  - read: export.csv
    layout: redcap
    instrument: visit
    visit:
      patient_id: record_id
      episode_id: record_id
      scheduled_start: visit_date
      status: {column: visit_status, values: {1: attended, 2: no_show}}
""")
    facts = read_dataset(path).facts
    assert facts.episodes["age"].tolist() == [41, 52, 60]
    assert facts.episodes["both_sides"].tolist() == ["1", "1;2", "-99"]
    assert facts.episodes[["n_attended", "n_no_show"]].to_numpy().tolist() == [[1, 1], [0, 0], [0, 0]]
    assert facts.scores[["baseline", "final"]].fillna(-1).to_numpy().tolist() == [[40, 55], [33, -1]]
