"""The mapping file: raw files become canonical tables, and every error says where."""

from __future__ import annotations

import gzip
import subprocess
import sys
import textwrap

import pandas as pd
import pytest
from ibis.backends.duckdb import Backend
from ibis.expr.operations import Relation

from therapyeval.data import read_dataset, schema
from therapyeval.errors import DataError

TRIAL = """
id,time,group,is_patient,age,gender,pain,odi
007,1,1,1,30,1,6,40
007,2,1,1,99,2,1,10
008,1,2,1,41,2,5,NaN
009,1,NaN,1,50,1,5,20
010,1,NaN,0,51,2,0,0
"""
TRIAL_MAPPING = """
version: 1
policy: {name: public, reason: "CC0, released with the trial"}
timepoint_rule: declared
tables:
  - read: trial.csv
    missing: ["", "NaN"]
    keep: {is_patient: [1], group: present}
    episode: {id: id, discipline: PT, site_id: somewhere}
    occasion: {column: time, values: {1: initial, 2: discharge}}
    enrollment: {arm: {column: group, values: {1: PRT, 2: placebo}}}
    attributes: {age: number, gender: {1: male, 2: female}}
    scores: {pain_avg: pain, odi: odi}
"""


@pytest.fixture
def read(tmp_path):
    """Reads files given as text, with a mapping given as text."""
    def build(mapping: str, **files: str | bytes):
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.strip().encode()
            (tmp_path / name.replace("_csv", ".csv").replace("_gz", ".gz")).write_bytes(content)
        (tmp_path / "mapping.yml").write_text(mapping.strip() + "\n", encoding="utf-8")
        return read_dataset(tmp_path)
    return build


def entry(lines: str) -> str:
    """A mapping with one table."""
    return "version: 1\ntimepoint_rule: declared\ntables:\n  - read: d.csv\n" + "\n".join(
        f"    {line}" for line in textwrap.dedent(lines).strip().splitlines())


def test_the_example_of_the_style_guide_gives_episodes_arms_attributes_and_pairs(read):
    dataset = read(TRIAL_MAPPING, trial_csv=TRIAL)
    episodes, scores = dataset.facts.episodes, dataset.facts.scores.set_index(["episode", "measure"])
    assert episodes[["discipline", "site_id", "arm", "age", "gender"]].to_numpy().tolist() == [
        ["PT", "somewhere", "PRT", 30.0, "male"], ["PT", "somewhere", "placebo", 41.0, "female"]]
    assert scores.loc[(0, "pain_avg"), ["baseline", "final", "why_unpaired"]].tolist() == [6.0, 1.0, ""]
    assert scores.loc[(1, "pain_avg"), ["baseline", "why_unpaired"]].tolist() == [5.0, "no_final"]
    assert (1, "odi") not in scores.index  # NaN is declared as missing: no row at all
    assert dataset.policy == ("public", "CC0, released with the trial")
    assert not dataset.facts.has_calendar and dataset.data_cut is None


def test_rows_that_keep_rules_leave_out_are_counted_with_the_rule_as_reason(read):
    quality = read(TRIAL_MAPPING, trial_csv=TRIAL).quality
    row = quality.tables.set_index("table").loc["episodes"]
    assert row[["rows_in", "in_facts", "quarantined", "merged", "left_out"]].tolist() == [5, 2, 0, 1, 2]
    rules = quality.problems.set_index("rule")
    assert rules.loc["keep: is_patient one of 1", ["count", "rows"]].tolist() == [1, "6"]
    assert rules.loc["keep: group present", ["count", "rows"]].tolist() == [1, "5"]
    assert quality.verdict == "usable"


def test_strings_stay_strings_and_yaml_words_are_no_truth_values(read):
    dataset = read(entry("""
        visit:
          id: v
          patient_id: p
          scheduled_start: day
          status: {column: missed, values: {Yes: no_show, No: attended}}
        attributes: {country: text, flag: {on: 'off', NO: Norway}}"""), d_csv="""
        v,p,day,missed,country,flag
        1,007,2026-01-06,No,NO,NO
        2,7,2026-01-05,Yes,on,on""".replace("        ", ""))
    counts, _ = dataset.facts.appointments.counts((), numerator={"no_show"}, denominator={"attended", "no_show"})
    assert counts.loc[0, ["a", "b", "n_people"]].tolist() == [1, 2, 2]  # 007 and 7 are two people
    assert dataset.facts.appointments.values("country").tolist() == ["NO", "on"]
    assert dataset.facts.appointments.values("flag").tolist() == ["Norway", "off"]


def test_wide_scores_and_a_zero_beside_a_missing_companion(read):
    dataset = read(entry("""
        missing_where: {f5: {empty: pk5}}
        episode: {id: id, discipline: PT}
        scores: {headache_days: {initial: f1, discharge: f5}, headache_score: {initial: pk1, discharge: pk5}}"""),
        d_csv="id,f1,f5,pk1,pk5\na,20,0,30,\nb,12,0,25,0\n")
    scores = dataset.facts.scores.set_index(["episode", "measure"])
    assert scores.loc[(0, "headache_days"), "why_unpaired"] == "no_final"  # 0 days, but there is no diary
    assert scores.loc[(1, "headache_days"), "final"] == 0.0  # a diary without headache
    problem = dataset.quality.problems.iloc[0]
    assert (problem["severity"], problem["count"], problem["rows"]) == ("note", 1, "2")


def test_days_given_as_a_number_and_a_key_of_two_columns(read):
    episodes = read(entry("""
        episode: {id: [group, num], discipline: PT, days: y}
        attributes: {fitness: {column: group, values: {1: below average, 2: average}}}"""),
        d_csv="y,group,num\n29,1,1\n30,2,1\n").facts.episodes
    assert episodes["days"].tolist() == [29.0, 30.0]
    assert episodes["fitness"].tolist() == ["below average", "average"]
    assert episodes["end_date"].isna().all()


def test_a_declared_date_format_is_used_and_impossible_days_are_rejected(read):
    dataset = read(entry("""
        visit: {id: v, patient_id: p, scheduled_start: {column: d, format: "%m/%d/%Y"}, status: s}"""),
        d_csv="v,p,d,s\n1,a,01/02/2026,attended\n2,a,02/30/2026,attended\n3,b,03/01/2026,no_show\n")
    frame, _ = dataset.facts.appointments.counts((), numerator={"no_show"}, denominator={"attended", "no_show"},
                                                 every="month")
    assert frame["period"].tolist() == ["2026-01"]  # the no-show of 1 March is after the data cut
    assert dataset.data_cut == pd.Timestamp("2026-01-02")
    assert dataset.quality.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [3, "scheduled_start is not an ISO date or time from 1900 to 2099"]]


def test_dates_without_a_declared_format_are_never_guessed(read):
    with pytest.raises(DataError, match=r"3 of 3 values of scheduled_start .*file rows 2, 3, 4.*Declare how"):
        read(entry("visit: {id: v, patient_id: p, scheduled_start: d, status: s}"),
             d_csv="v,p,d,s\n1,a,01/02/2026,attended\n2,a,13/02/2026,attended\n3,b,03/01/2026,no_show\n")


def test_gzip_byte_order_mark_semicolons_and_cp1252_are_found_out(read):
    text = "\ufeffid;place\n1;Vitória\n"
    mapping = entry("episode: {id: id, discipline: PT, site_id: place}").replace("d.csv", "d.csv.gz")
    assert read(mapping, d_csv_gz=gzip.compress(text.encode("utf-8"))).facts.episodes["site_id"].tolist() == ["Vitória"]
    assert read(mapping, d_csv_gz=text[1:].encode("cp1252")).facts.episodes["site_id"].tolist() == ["Vitória"]


def test_codes_that_are_not_listed_are_missing_and_counted_those_for_nothing_only_missing(read):
    dataset = read(entry("""
        episode: {id: id, discipline: PT}
        attributes: {gender: {1: male, 2: female, 9: ''}}"""), d_csv="id,gender\ra,1\rb,2\rc,9\rd,7\re,\r")
    assert dataset.facts.episodes["gender"].fillna("-").tolist() == ["male", "female", "-", "-", "-"]
    problem = dataset.quality.problems.iloc[0]
    assert (problem["rule"], problem["rows"]) == ("unknown gender; taken as missing, the row stays", "5")


def test_a_misspelt_column_is_no_constant(read):
    with pytest.raises(DataError, match=r"mapping.yml, line 5: d.csv has no column 'discip'. Did you mean discipl\?"):
        read(entry("episode: {id: id, discipline: discip}"), d_csv="id,discipl\n1,PT\n")
    written_openly = read(entry("episode: {id: id, site_id: {constant: discip}}"), d_csv="id,discipl\n1,PT\n")
    assert written_openly.facts.episodes["site_id"].tolist() == ["discip"]


def test_an_id_or_a_date_must_come_from_a_column(read):
    with pytest.raises(DataError, match=r"line 5: d.csv has no column 'zzz'. Known: day, id."):
        read(entry("episode: {id: id, start_date: zzz}"), d_csv="id,day\n1,2026-01-01\n")


@pytest.mark.parametrize(("mapping", "message"), [
    ("version: 1\ntables:\n\t- read: d.csv", "mapping.yml, line 3: indented with a tab"),
    ("version: 1\npolcy: {name: public}", "mapping.yml, line 2: a mapping cannot have `polcy`. Did you mean policy?"),
    ("version: 1\npolicy: {name: public}", "mapping.yml, line 2: `policy: public` needs a `reason:`"),
    ("version: 2", "mapping.yml, line 1: a mapping needs `version: 1`"),
    ("version: 1\nversion: 1", "mapping.yml, line 2: `version` is there twice"),
    ("version: [1", "mapping.yml, line 2: not valid YAML"),
    ("", "mapping.yml is empty"),
    ("version: 1\ntimepoint_rule: widow", "line 2: `timepoint_rule` cannot be 'widow'. Did you mean window?"),
    ("version: 1\ndata_cut: 30.9.2026", "line 2: `data_cut` '30.9.2026' is not a date"),
    ("version: 1\nstale_days: many", "line 2: `stale_days` must be a whole number"),
    (entry("episode: {id: id}\nscores: {oddi: {initial: x}}"), "line 6: no measure is called 'oddi'. Did you mean odi"),
    (entry("episode: {id: id}\nattributes: {age: nmber}"),
     "line 6: `age` cannot be of type 'nmber'. Did you mean number?"),
    (entry("episode: {id: id}\nattributes: {arm: text}"), "line 6: an attribute cannot be called `arm`"),
    (entry("episode: {id: id}\nattributes: {Arm: text}"), "line 6: an attribute cannot be called `Arm`"),
    (entry("episode: {id: id}\nattributes: {Sex: text}"), "Write `sex: {column: Sex, type: …}`"),
    (entry("episode: {id: id}\nattributes: {_row: text}"), "line 6: '_row' cannot be the name of an attribute"),
    (entry("episode: {id: id}\nattributes: {x: text, X: {column: x}}"), "`x` and `X` differ by capitals only"),
    (entry("episode: {id: id, startdate: x}"), "line 5: `episode` cannot have `startdate`. Did you mean start_date"),
    (entry("keep: {idd: present}\nepisode: {id: id}"), "line 5: d.csv has no column 'idd'. Did you mean id?"),
    (entry("missing: [x]"), "line 4: a table needs at least one of episode, visit"),
    (entry("episode: {id: id}").replace("d.csv", "e.csv"), "line 4: there is no file e.csv in the folder"),
    (entry("episode: {id: id}\nscores: {odi: {initial: x}}").replace("declared", "window"), "the scores have no dates"),
])
def test_a_wrong_mapping_says_in_one_line_what_and_where(read, mapping, message):
    with pytest.raises(DataError) as error:
        read(mapping, d_csv="id,x\n1,2\n")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert error.value.exit_code == 3


@pytest.mark.parametrize(("content", "message"), [
    (b"", "d.csv is empty"), (b"id,x\n", "d.csv has a header but no rows"), (b"\n\n", "d.csv has no header row"),
    (b"id,id\n1,2\n", "d.csv has the column 'id' twice. Rename"),
    (b"id,x,ID\n1,2,3\n", "d.csv has the column 'ID' twice (capitals make no difference). Rename"),
    (b"PK\x03\x04\x00\x00", "d.csv is not a text file"),
    (b"\x1f\x8b\x08broken", "d.csv is a damaged gzip file"),
])
def test_a_file_that_is_no_table_is_refused_in_one_line(read, content, message):
    with pytest.raises(DataError) as error:
        read(entry("episode: {id: id}"), d_csv=content)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_rows_with_too_many_cells_and_blank_rows_keep_the_row_numbers_of_a_spreadsheet(read):
    dataset = read(entry("episode: {id: id, discipline: d}"), d_csv=b'id,d\n1,"PT"\n\n2,PT,extra\n3,"P\nT"\n4,PT\n')
    assert dataset.quality.quarantine[["row", "reason"]].to_numpy().tolist() == [
        [4, "a row with too many or too few cells"]]
    problems = dataset.quality.problems.set_index("rule")
    assert problems.loc["blank row", "rows"] == "3"
    assert problems.loc["unknown discipline; taken as missing, the row stays", "rows"] == "5"
    assert len(dataset.facts.episodes) == 3


@pytest.mark.parametrize(("make", "message"), [
    (lambda folder: folder / "nowhere", "there is no file or folder nowhere"),
    (lambda folder: folder, "is not a dataset: it holds no episodes or visits table"),
    (lambda folder: "https://example.org/data", "addresses are not read yet"),
])
def test_a_path_that_is_no_dataset_is_refused(tmp_path, make, message):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=message):
        read_dataset(make(tmp_path))


def test_one_file_may_be_given_in_place_of_its_folder(read, tmp_path):
    whole = read(TRIAL_MAPPING, trial_csv=TRIAL)
    (tmp_path / "trial.csv").rename(tmp_path / "renamed.csv")
    alone = read_dataset(tmp_path / "renamed.csv", mapping=tmp_path / "mapping.yml")
    pd.testing.assert_frame_equal(alone.facts.episodes, whole.facts.episodes)


def test_the_fingerprint_changes_with_data_mapping_and_data_cut_only(read, tmp_path):
    first = read(TRIAL_MAPPING, trial_csv=TRIAL).fingerprint
    assert read_dataset(tmp_path).fingerprint == first
    assert read_dataset(tmp_path, data_cut="2026-01-01").fingerprint != first
    assert read(TRIAL_MAPPING, trial_csv=TRIAL.replace("40", "41")).fingerprint != first
    assert read(TRIAL_MAPPING + "note: other", trial_csv=TRIAL).fingerprint != first


def test_importing_the_data_package_loads_no_engine():
    code = ("import sys, therapyeval.data\nassert 'pandas' not in sys.modules\n"
            "import therapyeval.data.dataset\nassert not {'ibis', 'duckdb', 'pyarrow.parquet'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_word_that_would_steer_a_screen_is_told_with_a_mark(tmp_path):                    # found by the fuzz study
    path = tmp_path / "mapping.yml"
    path.write_text('version: 1\n"\\e[2J\\0": 1\n')
    with pytest.raises(DataError, match="`\ufffd\\[2J\ufffd`"):
        read_dataset(tmp_path)


def test_no_name_that_the_engine_uses_breaks_an_attribute(sample, tmp_path, monkeypatch):
    """Attributes lie beside columns that the engine makes on its way: each of these names works, or is refused."""
    made, compiled = set(), Backend.compile

    def spy(self, expression, *arguments, **options):
        for relation in expression.op().find(Relation):
            made.update(relation.schema.names)
        return compiled(self, expression, *arguments, **options)

    monkeypatch.setattr(Backend, "compile", spy)
    tables = {name: pd.read_parquet(sample("harbor_rehab") / f"{name}.parquet").head(40)
              for name in ("patients", "episodes", "visits", "assessments", "referrals")}
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    read_dataset(tmp_path)
    allowed = sorted(name for name in made - schema.COLUMN_NAMES - schema.USED_NAMES
                     if name.isidentifier() and not name.startswith("_"))
    assert len(allowed) > 40
    for name in ("patients", "episodes", "visits"):
        tables[name].assign(**dict.fromkeys(allowed, "a")).to_csv(tmp_path / f"{name}.csv", index=False)
    declared = ", ".join(f"{name}: text" for name in allowed)
    (tmp_path / "mapping.yml").write_text(f"version: 1\nattributes: {{{declared}}}\n")
    assert set(allowed) <= set(read_dataset(tmp_path).facts.episodes)
