"""A Parquet file with its own types gives what the same rows give as text."""

from __future__ import annotations

import pandas as pd
import pytest

from therapyeval.data import read_dataset

VISITS = pd.DataFrame({
    "visit_id": [1.0, 2.0, 3.0, 4.0],  # whole numbers that a gap made decimal
    "patient_id": [" p1", "p1\u00a0", "p2", ""],
    "site_id": ["ny", "ny", "ny", "ny"],
    "scheduled_start": pd.to_datetime(["2026-03-01 02:00", "2026-03-08 09:30", "2026-03-09 10:00", "2026-03-10 10:00"]),
    "status": ["attended", "Cancelled", "attended", "attended"],
    "status_dt": pd.to_datetime([None, "2026-03-07 09:30", None, None]),
    "billable": [True, None, True, True], "booked_date": pd.to_datetime(["2026-02-01", None, "1850-01-01", None]).date})
SITES = pd.DataFrame({"site_id": ["ny"], "time_zone": ["America/New_York"]})


@pytest.fixture
def read(tmp_path):
    def build(visits: pd.DataFrame, ending: str):
        folder = tmp_path / ending
        folder.mkdir()
        (folder / "mapping.yml").write_text("version: 1\ndata_cut: 2026-06-30\n", encoding="utf-8")
        SITES.to_csv(folder / "sites.csv", index=False)
        visits.to_parquet(folder / "visits.parquet") if ending == "parquet" else visits.to_csv(
            folder / "visits.csv", index=False)
        return read_dataset(folder)
    return build


def counted(data, **where):
    known = {"attended", "late_cancel", "early_cancel"}
    return data.facts.appointments.counts((), numerator={"late_cancel"}, denominator=known, **where)[0]


def test_types_of_a_parquet_file_mean_what_the_same_text_means(read):
    text, typed = read(VISITS, "csv"), read(VISITS, "parquet")
    for data, file in ((text, "visits.csv"), (typed, "visits.parquet")):
        assert data.quality.quarantine.to_numpy().tolist() == [["visits", file, 5, "no patient_id"]]
        assert "booked_date is not an ISO date (YYYY-MM-DD) from 1900 to 2099; taken as missing, the row stays" in set(
            data.quality.problems["rule"])
        # 09:30 to 09:30 on the night when clocks go forward are 23 hours; p1 with and without a blank is one person
        assert counted(data).loc[0, ["a", "b", "n_people"]].tolist() == [1, 3, 2]
    pd.testing.assert_frame_equal(counted(text, every="month"), counted(typed, every="month"))


@pytest.mark.parametrize(("zone", "month"), [("UTC", "2026-02"), ("America/New_York", "2026-03")])
def test_a_moment_with_a_zone_falls_on_the_day_of_its_site(read, zone, month):
    moment = pd.to_datetime(["2026-03-01 02:00"]).tz_localize(zone)
    visits = VISITS.iloc[:1].assign(scheduled_start=moment)
    assert counted(read(visits, "parquet"), every="month")["period"].tolist() == [month]
