"""The text files beside the synthetic tables: mapping, pilot protocol, README."""

import json
from pathlib import Path

from therapyeval.data.synthetic.messy import write_mappings
from therapyeval.data.synthetic.network import CASES

PILOT = """\
# SYNTHETIC: a pilot that never took place. The true effect is in truth.json.
version: 1
title: Telerehabilitation for low back pain
design: {kind: parallel, randomized: false, allocation: "therapist's choice", sites: %d, period: 2026-01-05..2026-07-31}
arms: {telerehab: "Telerehabilitation", usual: "Usual care in the clinic"}     # value of `arm` -> label
reference: usual
cohort: {}                       # extra filters
outcomes: [score_change:odi, score_change:nprs]        # metric strings
responders: [mcid_rate:odi]
covariates: [baseline, age, site_id]
variance: HC3
p_values: false
baseline: [age, sex, payer_class, acuity]      # rows of the baseline table besides baseline scores
progression:                     # what a definitive study needs to see before it starts
  eligibility: {green: 0.30, red: 0.15}
  consent: {green: 0.70, red: 0.40}
  retention: {green: 0.80, red: 0.65}
"""

README = """\
# Harbor Rehab: synthetic data

**Everything here is invented.** No real patient, clinic, therapist or result; patient ids begin with `SYN-`.
Made by `therapyeval sample DIR` (`therapyeval.data.synthetic.write_sample`, seed {seed}); the same seed gives
the same bytes with the same versions of numpy, pandas and pyarrow.

A network of {n_sites} outpatient sites with physical, occupational and speech therapy, from {first_day} to
the data cut on {data_cut}. The record system went live on the first day, so the first two months are a
start-up: few episodes are under way and few end.

| Table | Rows |
|---|---|
{rows}

- Dates are calendar dates. Times (`scheduled_start`, `scheduled_end`, `status_dt`, `finalized_dt`) have no
  zone: local time of the site, America/New_York.
- `visits` holds appointments of every status, also those booked after the data cut and missed first
  evaluations, which have no episode.
- `referrals.site_id` is the site that the referral was sent to.
- `mapping.yml` names the measures of each discipline and body region; `pilot.yml` is the protocol of a
  telerehabilitation pilot, with its patients in `enrollment.{ending}`.
- `truth.json` says what was put in, which faults were planted and how many, and what the right figures are,
  each with its definition. Reports do not read it.

Faults are planted on purpose: rows without keys, unknown codes, repeated rows, impossible birth dates,
discharges before the start, duplicate and impossible scores, episodes never closed, past appointments still
`booked`.
"""


MESSY_README = """\
# Synthetic exports of three vendors

**Everything here is invented.** The same data three times, as three systems would export them: `scheduler` (US dates,
cp1252, several words for one status), `warehouse` (delimiter |, codes, NULL, percent) and `redcap` (one wide file with
repeating instruments). `truth` holds what is true of them (`truth.json`) and the mapping that reads each one:
try your own first.

    therapyeval check scheduler --mapping truth/scheduler.yml
"""


def write_messy_texts(folder: Path, truth: dict, *, n_pilot_sites: int, columns: dict[str, list[str]]) -> None:
    """README.md; and in `truth`, kept aside from the data, truth.json, pilot.yml and the three mappings."""
    (folder / "README.md").write_text(MESSY_README, encoding="utf-8")
    (folder / "truth").mkdir(exist_ok=True)
    (folder / "truth" / "pilot.yml").write_text(PILOT % n_pilot_sites, encoding="utf-8")
    write_truth(folder / "truth", truth)
    write_mappings(folder / "truth", columns, rules_text(truth["data_cut"]))


def write_truth(folder: Path, truth: dict) -> None:
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def write_texts(folder: Path, truth: dict, *, n_pilot_sites: int, ending: str) -> None:
    """truth.json, mapping.yml, pilot.yml and README.md."""
    write_truth(folder, truth)
    (folder / "mapping.yml").write_text(
        rules_text(truth["data_cut"]) + "measure_units: {ndi: {scale: points}}\n", encoding="utf-8")
    (folder / "pilot.yml").write_text(PILOT % n_pilot_sites, encoding="utf-8")
    rows = "\n".join(f"| `{name}` | {count:,} |" for name, count in truth["rows"].items())
    (folder / "README.md").write_text(README.format(**(truth | {"rows": rows, "ending": ending})), encoding="utf-8")


def rules_text(data_cut: str) -> str:
    """The rules and measures that a mapping says; where columns have their canonical names, it says no more."""
    line = "  - {{discipline: {}, region: {}, measures: [{}]}}"
    lines = [line.format(case.discipline, case.body_region, ", ".join(case.measures))
             for case in CASES.itertuples()]
    return (f"version: 1\ndata_cut: {data_cut}\n"
            'note: "SYNTHETIC data: invented patients, clinics and results."\n'
            "timepoint_rule: window\n"
            "measure_set:                   # primary measure first\n" + "\n".join(lines) + "\n")
