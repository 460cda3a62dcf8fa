"""No row is lost: small messy tables, made by hypothesis, are always accounted for row by row."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from therapyeval.data import read_dataset

PATIENTS, EPISODES = ["p1", "p2", ""], ["e1", "e2", "e3", "e9", ""]


def rows(**columns: list[str]) -> st.SearchStrategy:
    """Tables of up to 12 rows whose cells come from short lists, so that keys and days often meet."""
    return st.lists(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in columns.items()}),
                    min_size=1, max_size=12)


TABLES = st.fixed_dictionaries({
    "patients": rows(patient_id=PATIENTS, birth_date=["1850-01-01", "1960-02-29", "x", ""], sex=["f", ""]),
    "episodes": rows(episode_id=EPISODES, patient_id=PATIENTS, discipline=["PT", "xx", ""], site_id=["s", ""],
                     start_date=["2026-01-05", "2026-02-01", "2026-05-01", "2027-03-01", ""],
                     status=["active", "finished", "planned", "?"], discharge_date=["2026-01-31", "2025-12-31", ""]),
    "visits": rows(visit_id=["v1", "v2", "v3", "v4", ""], patient_id=PATIENTS, episode_id=EPISODES,
                   scheduled_start=["2026-01-05", "2026-02-01T09:00", "2026-03-01", "2027-01-01", ""],
                   status=["attended", "no_show", "cancelled", "booked", "deleted", "?", ""],
                   discipline=["PT", ""]),
    "assessments": rows(assessment_id=["a1", "a2", "a3", ""], patient_id=PATIENTS, episode_id=EPISODES,
                        measure_code=["lefs", "odi", "xyz", ""], score=["30", "31", "999", "unable", "x", ""],
                        date=["2026-01-05", "2026-01-31", "2026-02-01", "2027-01-01", ""],
                        timepoint=["initial", "discharge", ""]),
    "discharges": rows(episode_id=EPISODES, discharge_date=["2026-02-10", "2026-08-01", ""], reason=["plateau", "?"]),
    "referrals": rows(referral_id=["r1", "r2", "r3", ""], patient_id=PATIENTS,
                      received_date=["2025-12-20", "2026-01-10", "2027-01-01", ""], status=["open", "declined", "?"]),
    "enrollment": rows(patient_id=PATIENTS, episode_id=EPISODES, arm=["new", "usual", ""]),
})


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow],
          phases=[Phase.explicit, Phase.generate])  # a table is small enough to read without shrinking
@given(tables=TABLES, rule=st.sampled_from(["window", "declared"]))
def test_rows_in_are_in_the_facts_or_set_aside_with_a_reason(tables, rule):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = {"start_date": "2026-01-05", "scheduled_start": "2026-01-05", "date": "2026-01-05",
                "discharge_date": "2026-02-10", "received_date": "2026-01-01", "birth_date": "1960-01-01"}
        for table, lines in tables.items():
            frame = pd.DataFrame(lines)  # enough readable dates that the columns are not refused as a whole
            extra = dict.fromkeys(frame, "") | {key: day for key, day in good.items() if key in frame}
            pd.concat([frame, pd.DataFrame([extra] * 13)]).to_csv(folder / f"{table}.csv", index=False)
        spec = f"version: 1\ndata_cut: 2026-06-30\ntimepoint_rule: {rule}\n"
        (folder / "mapping.yml").write_text(spec, encoding="utf-8")
        dataset = read_dataset(folder)
    counted = dataset.quality.tables.groupby("table").sum(numeric_only=True)  # derived episodes are a file of theirs
    assert (counted["rows_in"] == counted[["in_facts", "quarantined", "merged", "left_out"]].sum(axis=1)).all()
    facts = dataset.facts
    assert counted.loc["episodes", "in_facts"] == len(facts.episodes)
    assert counted.loc["referrals", "in_facts"] == len(facts.referrals)
    assert counted.loc["enrollment", "in_facts"] == len(facts.enrollment)
    known = {"attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "rescheduled"}
    everything, exclusions = facts.appointments.counts((), numerator=set(), denominator=known)
    in_engine = everything.loc[0, ["n", "n_missing"]].sum() + exclusions["n"].sum()
    assert counted.loc["visits", "in_facts"] == in_engine
    quarantined = dataset.quality.quarantine.groupby("table").size()
    assert quarantined.reindex(counted.index).fillna(0).astype(int).to_dict() == counted["quarantined"].to_dict()
    assert not facts.scores.duplicated(["episode", "measure"]).any()
    paired = facts.scores["why_unpaired"] == ""
    assert facts.scores.loc[paired, ["baseline", "final"]].notna().all().all()
    assert set(facts.scores["episode"]) <= set(facts.episodes["episode"])
