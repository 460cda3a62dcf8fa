"""Declarations of score columns in a mapping: what they do to the facts, what is refused, how open ones are asked."""

from __future__ import annotations

import pytest

from therapyeval.data import read_dataset
from therapyeval.errors import DataError

LONG = """version: 1
timepoint_rule: declared
tables:
  - read: d.csv
    episode: {{id: id, discipline: PT}}
    occasion: {{column: time, values: {{1: initial, 2: discharge}}}}
    scores: {scores}
"""
WIDE = """version: 1
timepoint_rule: declared
tables:
  - read: d.csv
    episode: {{id: id, discipline: PT}}
    scores: {scores}
"""
CANONICAL = "version: 1\ntimepoint_rule: declared\n{units}"
EPISODES = "episode_id,patient_id,discipline,site_id,start_date,status\ne,p,PT,s,2026-01-05,finished\n"
ASSESSMENTS = "assessment_id,patient_id,episode_id,measure_code,score,score_scale,date,timepoint\n"


@pytest.fixture
def read(tmp_path):
    """Reads files given as text with a mapping given as text."""
    def build(mapping, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        (tmp_path / "mapping.yml").write_text(mapping, encoding="utf-8")
        return read_dataset(tmp_path)
    return build


def pair(dataset, code):
    found = dataset.facts.scores.set_index("measure").loc[[code]].iloc[0]  # of the first episode
    assert found["why_unpaired"] == "", found["why_unpaired"]
    return found[["baseline", "final"]].tolist()


def canonical(read, *rows, units=""):
    lines = "".join(f"{number},p,e,{row}\n" for number, row in enumerate(rows))
    return read(CANONICAL.format(units=units), episodes=EPISODES, assessments=ASSESSMENTS + lines)


def rules(dataset):
    return {problem.rule: (problem.severity, problem.count, problem.rows)
            for problem in dataset.quality.problems.itertuples()}


# What declarations do
def test_a_column_in_feet_is_stored_in_metres_and_told(read):
    dataset = read(LONG.format(scores="{six_mwt: {column: walk, unit: ft}}"), d="id,time,walk\n1,1,1000\n1,2,1200\n")
    assert pair(dataset, "six_mwt") == pytest.approx([304.8, 365.76])
    assert rules(dataset)["six_mwt: ft converted to metres (multiplied by 0.3048)"] == ("note", 2, "2, 3")


def test_percent_in_a_header_is_points_for_the_measure(read):
    dataset = read(LONG.format(scores="{ndi: ndi_pct}"), d="id,time,ndi_pct\n1,1,44\n1,2,20\n")
    assert pair(dataset, "ndi") == [22, 10]


def test_options_beside_occasions_hold_for_all_of_them(read):
    dataset = read(WIDE.format(scores="{tug: {initial: a, discharge: b, unit: min, unable: [0]}}"),
                   d="id,a,b\n1,0.5,0.2\n2,0,0.3\n")
    scores = dataset.facts.scores
    assert scores[["baseline", "final"]].to_numpy()[0].tolist() == [30, 12]
    assert scores["missing_reason"].tolist() == ["", "unable"]


def test_each_column_is_decided_on_its_own(read):
    with pytest.raises(DataError, match=r"ndi \(column b\): is this points .* file rows 2\)"):
        read(WIDE.format(scores="{ndi: {initial: a, discharge: b}}"), d="id,a,b\n1,44%,20\n")


def test_speed_from_columns_and_from_a_fixed_distance(read):
    dataset = read(WIDE.format(scores="{gait_speed: {initial: {distance: '10', time: s0}, "
                                      "discharge: {distance: m1, time: s1}}}"), d="id,s0,m1,s1\n1,12.5,4,4\n2,,4,5\n")
    scores = dataset.facts.scores
    assert scores[["baseline", "final"]].to_numpy()[0].tolist() == [0.8, 1]
    assert scores["why_unpaired"].tolist() == ["", "no_baseline"]  # no time, no score


def test_grip_is_the_mean_of_three_trials_in_pounds(read):
    dataset = read(LONG.format(scores="{grip_strength: {columns: [a, b, c], combine: mean, unit: lb}}"),
                   d="id,time,a,b,c\n1,1,50,60,70\n1,2,70,,80\n2,1,,,\n")
    assert pair(dataset, "grip_strength") == pytest.approx([60 * 0.45359237, 75 * 0.45359237])
    assert len(dataset.facts.scores) == 1
    assert rules(dataset)["grip_strength: some trials are not there; the mean of the others is used"][1:] == (1, "3")


def test_the_unit_may_be_in_a_column_of_its_own(read):
    text = "id,time,walk,u\n1,1,1000,ft\n1,2,1200,ft\n"
    mapping = LONG.format(scores="{six_mwt: {column: walk, unit: {column: u}}}")
    assert pair(read(mapping, d=text), "six_mwt") == pytest.approx([304.8, 365.76])
    with pytest.raises(DataError, match="One column has one unit"):
        read(mapping, d=text.replace("1200,ft", "400,m"))


def test_version_and_respondent_are_kept_so_that_others_are_never_paired(read):
    mapping = WIDE.format(scores="{pgic: {discharge: p, better: low, respondent: proxy, version: 'A'}}")
    assert read(mapping, d="id,p\n1,2\n").facts.scores["final"].tolist() == [6]
    both = """version: 1
timepoint_rule: declared
tables:
  - {read: d.csv, episode: {id: id, discipline: PT}, scores: {lefs: {initial: a, version: 1}}}
  - {read: f.csv, episode: {id: id, discipline: PT}, scores: {lefs: {discharge: b, version: 2}}}
"""
    dataset = read(both.replace("f.csv, episode: {id: id", "f.csv, episode: {id: other"), d="id,a\n1,40\n",
                   f="other,b\n1,50\n")
    assert len(dataset.facts.scores) <= 1 and not (dataset.facts.scores["why_unpaired"] == "").any()


def test_gg_codes_are_reasons_and_counted(read, tmp_path):
    (tmp_path / "measures.csv").write_text("code,name,unit,min,max,direction\n"
                                           "gg0130a,Eating,points,1,6,higher_better\n", encoding="utf-8")
    dataset = read(LONG.format(scores="{gg0130a: {column: GG0130A, codes: gg}}"),
                   d="id,time,GG0130A\n1,1,03\n1,2,06\n2,1,88\n2,2,^\n3,1,07\n")
    scores = dataset.facts.scores
    assert scores[["baseline", "final"]].to_numpy()[0].tolist() == [3, 6]
    assert scores["missing_reason"].tolist() == ["", "unable", "refused"]
    assert rules(dataset)["gg0130a: GG code 88 (medical or safety reason); no score"] == ("note", 1, "4")


def test_a_zero_beside_a_missing_companion_is_missing_before_scores_are_read(read):
    mapping = WIDE.format(scores="{headache_days: {initial: f1, discharge: f2}}").replace(
        "    scores", "    missing_where: {f2: {empty: diary}}\n    scores")
    assert read(mapping, d="id,f1,f2,diary\n1,10,0,\n").facts.scores["why_unpaired"].tolist() == ["no_final"]


def test_text_forms_are_read_and_counted_and_the_rest_is_reported(read):
    dataset = read(LONG.format(scores="{nprs: pain, tug: tug}"),
                   d="id,time,pain,tug\n1,1,4-6,12.4 sec\n1,2,2/10,unable\n2,1,< 5,999\n")
    assert pair(dataset, "nprs") == [5, 2]
    found = rules(dataset)
    assert found["nprs: a range such as 4-6 in place of a score; its mean is used"] == ("note", 1, "2")
    assert found["nprs: written as n of the highest score, such as 5/10; n is used"] == ("note", 1, "3")
    assert found["tug: 0 or 999 where a time or a speed belongs; taken as missing"] == ("warning", 1, "4")
    assert found["score is not a number; taken as missing, the row stays"] == ("warning", 1, "4")


# How open columns are asked
def test_a_question_names_line_file_column_rows_and_answers_but_no_value(read):
    with pytest.raises(DataError) as caught:
        read(LONG.format(scores="{six_mwt: walk}"), d="id,time,walk\n1,1,350\n1,2,1234\n")
    assert str(caught.value) == (
        "mapping.yml, line 7: d.csv, six_mwt (column walk): is this in metres or feet? Values above 800 metres are "
        "probably feet (1 value; file rows 3). Write `unit: m` or `unit: ft` for this column.")


def test_all_open_columns_are_asked_at_once(read):
    with pytest.raises(DataError) as caught:
        read(LONG.format(scores="{ndi: n, pgic: p, promis_pf: t, odi: o}"), d="id,time,n,p,t,o\n1,1,14,2,45,30\n")
    lines = str(caught.value).splitlines()
    assert [line.split(",")[2].split()[0] for line in lines] == ["ndi", "pgic", "promis_pf"]
    assert not any(value in line for line in lines for value in ("14", "45", " 2 "))


# Canonical tables
def test_canonical_tables_ask_too_and_are_answered_by_measure_units(read):
    rows = ("ndi,14,,,initial", "ndi,8,,,discharge")
    with pytest.raises(DataError) as caught:
        canonical(read, *rows)
    assert str(caught.value) == (
        "assessments.csv, ndi: is this points (0-50) or percent (0-100)? All values are at most 50, which fits both "
        "(2 values; file rows 2, 3). Write `scale: points` or `scale: percent` for this column. In the mapping: "
        "`measure_units: {ndi: {…}}`, or in the column score_scale.")
    assert pair(canonical(read, *rows, units="measure_units: {ndi: {scale: percent}}"), "ndi") == [7, 4]


def test_the_column_score_scale_answers_row_by_row_and_converted_scores_pair(read):
    dataset = canonical(read, "ndi,28,percent,,initial", "ndi,8,raw,,discharge", "promis_pf,40,T,,initial",
                        "promis_pf,45,T,,discharge")
    assert pair(dataset, "ndi") == [14, 8] and pair(dataset, "promis_pf") == [40, 45]
    with pytest.raises(DataError, match="raw sum"):
        canonical(read, "promis_pf,20,raw,,initial")


def test_units_of_a_canonical_table_are_declared_by_measure(read):
    rows = ("six_mwt,1000,,,initial", "six_mwt,1200,,,discharge", "lefs,40,,,initial", "lefs,50,,,discharge")
    with pytest.raises(DataError, match="probably feet"):
        canonical(read, *rows)
    dataset = canonical(read, *rows, units="measure_units: {six_mwt: {unit: ft}}")
    assert pair(dataset, "six_mwt") == pytest.approx([304.8, 365.76]) and pair(dataset, "lefs") == [40, 50]


def test_an_unknown_measure_is_quarantined_not_asked(read):
    dataset = canonical(read, "xyz,14,,,initial", "lefs,40,,,initial")
    assert dataset.quality.quarantine["reason"].tolist() == ["unknown measure_code"]


# What is refused, with its line
@pytest.mark.parametrize(("scores", "message"), [
    ("{six_mwt: {column: a, unit: kg}}", "line 7: kg cannot be converted to m (six_mwt). Use m, cm, mm, ft, in or yd."),
    ("{six_mwt: {column: a, unit: cubits}}", "no unit is called 'cubits'. six_mwt is kept in metres."),
    ("{six_mwt: {column: a, units: ft}}", "Did you mean"),
    ("{odi: {column: a, scale: points}}", "`scale` of odi cannot be 'points'; it can be percent."),
    ("{promis_pf: {column: a, scale: raw}}", "it can be T. A raw sum has a code of its own"),
    ("{lefs: {column: a, better: low}}", "in lefs, high scores are good."),
    ("{psfs: {column: a, better: low}}", "PSFS 2.0 is never paired with PSFS"),
    ("{pgic: {column: a, better: up}}", "`better` must be high or low"),
    ("{lefs: {column: a, codes: gg}}", "`codes: gg` is for one item, scored 1 to 6; lefs goes to 80."),
    ("{lefs: {column: a, codes: fim}}", "`codes` can only be gg"),
    ("{grip_strength: {columns: [a, b], combine: max}}", "`combine` can be mean (of the trials) or sum"),
    ("{grip_strength: {columns: [a, b]}}", "write one of `column: …`"),
    ("{gait_speed: {time: a}}", "write one of `column: …`"),
    ("{tug: {distance: '3', time: a}}", "`distance` and `time` give a speed, and tug is in seconds."),
    ("{six_mwt: {column: a, unit: {colum: u}}}", "Did you mean column?"),
    ("{six_mwt: {columns: [a, b], combine: mean, unit: {column: u}}}", "beside one `column:` with the scores"),
    ("{lefs: {initial: a}}", "with `occasion`, write"),
    ("{lefs: {column: nowhere}}", "line 7: d.csv has no column 'nowhere'."),
])
def test_wrong_declarations_are_refused(read, scores, message):
    with pytest.raises(DataError) as caught:
        read(LONG.format(scores=scores), d="id,time,a,b,u\n1,1,1,2,ft\n")
    assert message in str(caught.value)


@pytest.mark.parametrize(("units", "message"), [
    ("measure_units: {walk_6m: {unit: ft}}", "line 3: no measure is called 'walk_6m'."),
    ("measure_units: {six_mwt: {column: walk}}", "`six_mwt` in `measure_units` cannot have `column`."),
    ("measure_units: {six_mwt: ft}", "`six_mwt` must be a block"),
    ("measure_units: {six_mwt: {unit: lb}}", "lb cannot be converted to m"),
    ("measure_units: {six_mwt: {unit: {column: u}}}", "`unit` must be one word here"),
])
def test_wrong_measure_units_are_refused(read, units, message):
    with pytest.raises(DataError) as caught:
        canonical(read, "lefs,40,,,initial", units=units)
    assert message in str(caught.value)
