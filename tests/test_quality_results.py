"""How complete the data are, as released Results."""

from __future__ import annotations

import pytest
from conftest import row

import therapyeval as te
from therapyeval.errors import UnknownNameError

N = 30


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """30 patients, 20 at north; every third without a region, 24 discharged (12 with a reason), 15 with a pair."""
    folder = tmp_path_factory.mktemp("quality")
    episodes = ["episode_id,patient_id,discipline,site_id,start_date,discharge_date,status,body_region,reason"]
    scores = ["patient_id,episode_id,measure_code,score,date,timepoint"]
    visits = ["visit_id,patient_id,episode_id,scheduled_start,status"]
    for i in range(N):
        end = "2026-02-16" if i < 24 else ""
        episodes.append(f"e{i:02},p{i:02},PT,{'north' if i < 20 else 'east'},2026-01-05,{end},finished,"
                        f"{'' if i % 3 == 0 else 'knee'},{'goals_met' if i < 12 else ''}")
        visits += [f"v{i:02}{day},p{i:02},e{i:02},{day},attended" for day in ("2026-01-05", "2026-01-20", "2026-02-16")]
        scores.append(f"p{i:02},e{i:02},lefs,40,2026-01-05,initial")
        scores += [f"p{i:02},e{i:02},lefs,50,2026-02-16,discharge"] if i < 15 else []
    visits.append("v,p00,e00,2026-01-06,vanished")
    for name, lines in (("episodes", episodes), ("visits", visits), ("assessments", scores)):
        (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    return te.read_dataset(folder)


def test_completeness_counts_fields_and_pairs(dataset):
    bundle = te.quality(dataset, policy="internal")
    fields = bundle.get("completeness", "fields")
    assert row(fields, level="body_region")[["numerator", "n", "estimate"]].tolist() == [20, 30, 20 / 30]
    assert row(fields, level="reason")[["numerator", "n"]].tolist() == [12, 24]         # of the discharged
    assert row(fields, level="site_id")["estimate"] == 1
    pairs = row(bundle.get("pairing", "measures"), metric="paired_completion:lefs")
    assert pairs[["numerator", "n"]].tolist() == [15, 24]           # an open episode has no final score to come
    assert bundle.record["verdict"] == dataset.quality.verdict == "usable with warnings"


def test_what_is_given_was_released_and_small_counts_are_ranges(dataset):
    bundle = te.quality(dataset, by="site_id")
    assert {named.result.policy for named in bundle.tables} == {"cms_11"}
    east = row(bundle.get("completeness", "fields"), level="body_region", site_id="east")
    assert east["note"] and east["estimate"] != east["estimate"]      # 10 people: withheld
    visits = next(item for item in bundle.record["tables"] if item["table"] == "visits")
    shown = [visits[name] for name in ("rows_in", "in_facts", "quarantined", "merged")]
    assert shown == ["91", "90", "1 to 10", "0"]
    assert bundle.record["problems"] == [{"severity": "warning", "table": "visits", "rule": "unknown status",
                                          "count": "1 to 10"}]


def test_an_unknown_attribute_is_refused(dataset):
    with pytest.raises(UnknownNameError, match="site_id"):
        te.quality(dataset, by="site")
