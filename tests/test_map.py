"""Drafts and coverage: what is recognised, what is left open, and that no rare value is ever told."""

from __future__ import annotations

import string
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from therapyeval import measures, yaml_lines
from therapyeval.data import profile, read_dataset, vocabulary
from therapyeval.data.coverage import check_coverage
from therapyeval.data.draft import draft_mapping
from therapyeval.data.mapping import read_mapping
from therapyeval.data.mapping_text import mapping_text, quoted
from therapyeval.errors import DataError

ROOT = Path(__file__).resolve().parent.parent
NAME = "Quimby Zebediah"  # stands for what must not be told


@pytest.fixture
def draft(tmp_path):
    """Writes files and gives the lines of their draft; the draft is always a valid mapping."""
    def make(**files: str) -> list[str]:
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        text = mapping_text(draft_mapping(tmp_path))
        (tmp_path / "mapping.yml").write_text(text, encoding="utf-8")
        read_mapping(tmp_path / "mapping.yml", measures.read())
        return [line.strip() for line in text.splitlines()]
    return make


def test_a_txt_export_is_drafted_as_a_table_and_a_note_is_not(draft, tmp_path):
    (tmp_path / "Appointments.TXT").write_text("Appt ID\tMRN\tAppt Date\tAppt Status\n1\t7\t2026-01-13\tSeen\n")
    (tmp_path / "readme.txt").write_text("Exported in May, by the clinic.\nNothing else is known.\n")
    (tmp_path / "one_line.txt").write_text("a,b\n")
    lines = draft(patients="MRN,DOB\n7,1960-01-31\n")
    read = [line for line in lines if line.startswith("- read:")]
    assert read == ['- read: "patients.csv"', '- read: "Appointments.TXT"']
    assert read_dataset(tmp_path).quality.tables["table"].tolist() == ["patients", "visits"]


def appointments(status, rows=1, date="2026-01-13"):
    return "Appt ID,MRN,Appt Date,Appt Status\n" + "".join(f"{n},{n},{date},{status}\n" for n in range(rows))


def test_a_spreadsheet_with_scores_before_and_after_becomes_episodes_with_scores(draft, tmp_path):
    header = "MRN,Patient Name,Eval Date,DC Date,LEFS pre,LEFS post,NPRS 0,NPRS 6,NPRS 12,Age,Region,Reason,Payer"
    lines = draft(march=f"""{header}
7,Quimby Zebediah,01/13/2026,03/01/2026,20,40,8,6,3,44,Knee,Goals Met,Medicare
8,Quimby Zebediah,01/14/2026,03/20/2026,30,35,7,,5,51,Low Back,Plateau,Work Comp
""")
    for wanted in ("timepoint_rule: declared  # CHECK: scores in columns have no dates", "patient_id: MRN",
                   'start_date: {column: Eval Date, format: "%m/%d/%Y"}', "initial: LEFS pre", "discharge: LEFS post",
                   "t6: NPRS 6", "initial: NPRS 0  # CHECK: 0 taken as the first occasion",
                   "discharge: NPRS 12  # CHECK: 12 taken as the last occasion",
                   "age: {column: Age, type: number}", "Work Comp: workers_comp", "Low Back: lumbar_pelvis",
                   "# names and free text stay out: Patient Name",
                   "id: [MRN, Eval Date]  # CHECK: no episode id: patient and start tell episodes apart"):
        assert wanted in lines
    dataset = read_dataset(tmp_path)
    assert dataset.facts.scores.set_index(["measure", "baseline"])["final"].to_dict() == {
        ("lefs", 20): 40, ("lefs", 30): 35, ("nprs", 8): 3, ("nprs", 7): 5}
    assert NAME not in "\n".join(lines)


@pytest.mark.parametrize(("name", "measure", "occasion"), [
    ("LEFS pre", "lefs", "initial"), ("Intake FS", "foto_fs_lumbar", "initial"), ("odi_0", "odi", "0"),
    ("odi12", "odi", "12"), ("Post-treatment ODI", "odi", "discharge"), ("LEFSPre", "lefs", "initial"),
    ("phq9_0", "phq9", "0"), ("week 6 ODI", "odi", "6"), ("TUG (sec) pre", "tug", "initial"),
    ("QuickDASH initial score", "quickdash", "initial"), ("Berg Balance DC", "berg", "discharge"),
    ("NDI % pre", "ndi_pct", "initial"), ("Pre 6MWT", "six_mwt", "initial"),
])
def test_a_column_name_tells_measure_and_occasion(name, measure, occasion):
    match, point = vocabulary.measure_and_occasion(name)
    assert (match.name, point) == (measure, occasion)


@pytest.mark.parametrize("name", ["PHQ9", "eat10", "Visit 2 date", "last visit", "promis10_gph", "DC Date"])
def test_a_name_with_a_number_is_no_occasion(name):
    assert vocabulary.measure_and_occasion(name) is None


@pytest.mark.parametrize(("values", "wanted"), [
    (["01/13/2026", "02/01/2026"], "%m/%d/%Y"), (["13/02/2026", "01/02/2026"], "%d/%m/%Y"),
    (["13.2.2026"], "%d.%m.%Y"), (["13/02/2026 10:30 AM"], "%d/%m/%Y %I:%M %p"), (["2026-01-01T10:00:00Z"], ""),
    (["05JAN2026"], "%d%b%Y"), (["20260105"], "%Y%m%d"), (["01/13/2026 14:05:09"], "%m/%d/%Y %H:%M:%S"),
])
def test_a_date_format_is_told_by_the_values(values, wanted):
    found = profile.date_format(pd.Series(values))
    assert (found.format, found.is_open) == (wanted, False)
    if wanted:
        assert pd.to_datetime(pd.Series(values), format=wanted, errors="coerce").notna().all()


@pytest.mark.parametrize("values", [["01/02/2026", "02/01/2026"], ["1-2-26"], ["46000", "46001"]])
def test_dates_that_can_be_read_in_two_ways_are_an_open_question(values):
    assert profile.date_format(pd.Series(values)).is_open


def test_an_ambiguous_date_is_commented_out_and_told(draft):
    lines = draft(visits=appointments("Arrived", date="01/02/2026"))
    line, = [line for line in lines if "scheduled_start" in line]
    assert line.startswith("# scheduled_start:") and "CHECK: %m/%d/%Y or %d/%m/%Y?" in line


def test_two_digit_years_are_doubted_and_a_birth_date_with_them_is_left_open(draft):
    lines = draft(patients="MRN,DOB,Gender\n7,01/31/45,F\n")
    assert [line for line in lines if line.startswith("# birth_date:") and "years have two digits" in line]


def test_known_codes_are_translated_frequent_unknown_ones_asked_and_rare_ones_only_counted(draft):
    lines = draft(visits=appointments("Checked Out", 3) + appointments("Zonked", 11).split("\n", 1)[1]
                  + appointments(NAME, 10).split("\n", 1)[1])
    assert "Checked Out: attended" in lines
    assert [line for line in lines if line.startswith("# Zonked: …  # CHECK: not known, 11 rows")]
    assert "# CHECK: rarer codes that are not known (file rows 16, 17, 18, 19, 20 and 5 more)" in lines
    assert NAME not in "\n".join(lines)


def test_a_long_code_is_never_named_however_frequent(draft, tmp_path, run):
    long = "called by " + NAME  # 25 characters
    assert len(long) == 25
    lines = draft(visits=appointments(long, 40))
    assert NAME not in "\n".join(lines)
    code, shown, _ = run("map", tmp_path, "--check")
    assert code == 0 and NAME not in shown and "rarer unknown codes: 40 rows" in shown


@pytest.mark.parametrize(("word", "code"), [
    ("Cancelled < 24 hrs", "late_cancel"), ("Cancelled > 24 hrs", "early_cancel"), ("NO-SHOW", "no_show"),
    ("Canceled", "cancelled"), ("Bumped", "clinic_cancel"),
])
def test_a_status_is_known_by_the_words_of_vendors(word, code):
    assert vocabulary.code_of("visits.status", word).name == code


def test_yes_in_a_column_called_no_show_is_a_no_show(draft):
    lines = draft(visits="Appt ID,MRN,Appt Date,No-show\n1,1,2026-01-02,Yes\n2,2,2026-01-03,No\n")
    assert "Yes: no_show" in lines and not [line for line in lines if line.startswith("No:")]


def test_several_rows_of_an_episode_are_told_apart_by_their_occasion(draft):
    lines = draft(trial="record_id,timepoint,odi,test date\n1,Baseline,40,2026-01-01\n1,Final,20,2026-03-01\n")
    for wanted in ("column: timepoint", "Baseline: initial", "Final: discharge", 'date: test date'):
        assert wanted in lines
    assert [line for line in lines if line.startswith("odi: odi")] and "timepoint_rule: declared" not in "".join(lines)


def test_scores_without_an_occasion_are_told_and_not_read(draft):
    lines = draft(odd="id,odi\n1,40\n")
    assert "tables: []" in lines and [line for line in lines if "scores (odi) without anything" in line]


def test_one_file_may_give_visits_patients_and_charges(draft):
    lines = draft(day="Appt ID,MRN,DOB,Appt Date,Appt Status,CPT Code,Units\n"
                      "1,7,1950-01-31,2026-01-02,Arrived,97110,2\n")
    assert [line for line in lines if line in ("visit:", "patient:", "charge:")] == ["visit:", "patient:", "charge:"]
    assert "birth_date: DOB" in lines and "cpt: CPT Code" in lines


def test_words_for_nothing_become_missing(draft):
    assert 'missing: ["", "N/A"]' in draft(visits=appointments("N/A") + "9,9,2026-01-02,Arrived\n")


def test_the_draft_of_a_canonical_folder_gives_the_rows_that_reading_it_gives(tmp_path):
    folder = ROOT / "data_samples" / "harbor_rehab"
    own = (folder / "mapping.yml").read_text(encoding="utf-8").replace("version: 1\n", "")  # settings, no tables
    (tmp_path / "mapping.yml").write_text(mapping_text(draft_mapping(folder)) + own, encoding="utf-8")
    drafted, direct = read_dataset(folder, mapping=tmp_path / "mapping.yml"), read_dataset(folder)
    pd.testing.assert_frame_equal(drafted.quality.tables, direct.quality.tables)
    pd.testing.assert_frame_equal(drafted.facts.episodes, direct.facts.episodes)


COLUMNS = ["MRN", "Status", "Appt Date", "DOB", "LEFS pre", "LEFS", "odi_0", "odi_12", "timepoint", "Case ID", "CPT",
           "Score", "Measure", "DC Date", "Discharge", "sex", "Group", "Referral Date", "Clinic", "Name", "FS", "fte"]
CELLS = st.one_of(st.sampled_from(["", "1", "0", "12.5", "01/02/2026", "2026-01-31", "13/02/26", "Arrived", "NULL",
                                   "pre", "yes", "Goals Met", "~", "- a", "{b: c}", "#", "é", "46000"]),
                  st.text(string.printable.replace("\n", "").replace("\r", ""), max_size=8))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.one_of(st.sampled_from(COLUMNS), st.text("abc :#{}[]'\"%-é\t", min_size=1, max_size=6)),
                      min_size=1, max_size=7, unique_by=str.strip), data=st.data())
def test_any_table_gives_a_valid_mapping(tmp_path, names, data):
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(names)), min_size=1, max_size=4))
    file = tmp_path / "raw.csv"
    pd.DataFrame(rows, columns=names, dtype="str").to_csv(file, index=False)
    try:
        text = mapping_text(draft_mapping(file))
    except DataError:  # no table: no name in the header, or a row of another length
        return
    (tmp_path / "mapping.yml").write_text(text, encoding="utf-8")
    read_mapping(tmp_path / "mapping.yml", measures.read())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_word_is_read_back_as_it_was(word):
    assert yaml_lines.read(f"a: {quoted(word)}\n{quoted(word)}: b" if word != "a" else "a: a", "f")["a"] == word


def test_coverage_tells_what_is_filled_unused_and_unknown(draft, tmp_path):
    draft(visits=appointments("Zonked", 11), other="a,b\n1,2\n")
    coverage = check_coverage(tmp_path)
    file, = coverage.files
    assert [column.name for column in file.kinds["visit"]] == ["visit_id", "patient_id", "scheduled_start", "status"]
    assert file.kinds["visit"][3].unknown == (("Zonked", 11),) and file.unused == ()
    assert coverage.not_read == ("other.csv",) and coverage.is_usable


def test_a_mapping_without_what_every_row_needs_is_not_usable(draft, tmp_path, run):
    draft(visits=appointments("Arrived", date="01/02/2026"))
    code, shown, _ = run("map", tmp_path, "--check")
    assert code == 3 and "visits.csv: visit.scheduled_start" in shown and "not used: Appt Date" in shown


@pytest.mark.parametrize(("words", "code", "message"), [
    ([], 2, "say which folder or file"),
    (["nowhere"], 3, "there is no file or folder nowhere"),
    (["{raw}", "--mapping", "m.yml"], 2, "--mapping goes with --check"),
    (["{raw}", "--check"], 3, "there is no mapping mapping.yml"),
    (["{raw}", "--check", "-o", "x.yml"], 2, "--check prints to the screen only"),
    (["{raw}", "-o", "visits.csv", "--overwrite"], 2, "a mapping is a .yml file"),
    (["{raw}", "-o", "no/such/mapping.yml"], 2, "cannot be written"),
])
def test_a_slip_costs_one_line(run, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").write_text(appointments("Arrived"))
    got, shown, complaint = run("map", *[word.replace("{raw}", str(tmp_path)) for word in words])
    assert (got, shown) == (code, "") and message in complaint and complaint.count("\n") == 1


def test_a_file_is_never_overwritten_without_being_told(run, tmp_path):
    (tmp_path / "visits.csv").write_text(appointments("Arrived"))
    target = tmp_path / "mapping.yml"
    assert run("map", tmp_path, "-o", target)[0] == 0
    target.write_text("mine")
    code, _, complaint = run("map", tmp_path, "-o", target)
    assert code == 2 and "is there already" in complaint and target.read_text() == "mine"
    code, shown, _ = run("map", tmp_path, "-o", target, "--overwrite")
    assert code == 0 and "Next: therapyeval map" in shown and "version: 1" in target.read_text()


def test_without_a_target_the_draft_is_printed(run, tmp_path):
    (tmp_path / "visits.csv").write_text(appointments("Arrived"))
    code, shown, _ = run("map", tmp_path)
    assert code == 0 and "Arrived: attended" in shown and not (tmp_path / "mapping.yml").exists()


def test_a_redcap_export_is_recognised_with_its_events(draft):
    fields = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,outcome_date,lefs"
    lines = draft(trial=f"{fields}\n001,baseline_arm_1,,,2026-01-05,30\n001,discharge_arm_1,,,2026-03-02,52\n"
                        "001,baseline_arm_1,visit_log,1,,\n")
    for wanted in ("baseline_arm_1: initial", "discharge_arm_1: discharge", "date: outcome_date"):
        assert wanted in lines
    assert [line for line in lines if line.startswith("layout: redcap  # CHECK:")]


def test_charge_lines_without_a_visit_id_are_visits_of_one_patient_and_day(draft):
    lines = draft(lines="Line ID,Account,DOS,CPT Code,Units\n1,7,01/13/2026,97110,2\n2,7,01/13/2026,97140,1\n")
    why = "# CHECK: no visit id: all lines of one patient and day are one visit"
    assert f"id: [Account, DOS]  {why}" in lines and f"visit_id: [Account, DOS]  {why}" in lines


@pytest.mark.parametrize("folder", sorted(path for path in (ROOT / "tests" / "exports").iterdir() if path.is_dir()),
                         ids=lambda path: path.name)
def test_the_draft_of_every_export_is_valid_and_names_its_main_columns(folder, tmp_path):
    draft = draft_mapping(folder)
    (tmp_path / "mapping.yml").write_text(mapping_text(draft), encoding="utf-8")
    read_mapping(tmp_path / "mapping.yml", measures.read())
    assert all(file.kind for file in draft.files)
    flat = [file for file in draft.files if not file.layout]  # repeating instruments need a table of their own
    assert sum(len(file.uses) for file in flat) >= 0.7 * sum(len(file.columns) for file in flat)
