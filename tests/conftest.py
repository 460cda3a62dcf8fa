"""Fixtures that every test may use: real data in place, and facts written as tables in sight."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from therapyeval import measures
from therapyeval.cli import main
from therapyeval.cohort import Cohort, Facts
from therapyeval.result import Source

# The first example pays for imports, and speed is `make bench`. The suite draws the same examples every time;
# `make study-examples` draws fresh ones
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.register_profile("fresh", settings.get_profile("project"), derandomize=False)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of one real data set, read in place; skips with a reason where it is absent."""
    def folder(name: str) -> Path:
        path = SHARED / "real_data" / name
        if not path.is_dir():
            pytest.skip(f"real data set {name} is not on this machine (its terms forbid shipping it)")
        return path
    return folder


@pytest.fixture
def headache(real_data) -> pd.DataFrame:
    """The acupuncture trial: everybody with a score after twelve months."""
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    return rows.dropna(subset="pk5")


@pytest.fixture
def back_pain_visits(real_data) -> pd.DataFrame:
    """The back pain trial: both visits of everybody randomized."""
    path = real_data("back_pain_prt") / "Ashar2022_outcomes_demographics.csv"
    rows = pd.read_csv(path, na_values=["<undefined>"])
    return rows[(rows["is_patient"] == 1) & rows["group"].notna()]


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """A folder of data_samples."""
    return lambda name: ROOT / "data_samples" / name


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit code, what it printed and what it complained about."""
    def command(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err
    return command


def text_table(text: str) -> pd.DataFrame:
    """A table written with aligned columns; `-` is missing."""
    return pd.read_csv(io.StringIO(text.strip()), sep=r"\s+", na_values=["-"], keep_default_na=False)


@pytest.fixture
def cohort_from() -> Callable[..., Cohort]:
    """A cohort from facts in sight: `episodes=` and `scores=` tables, dates as ISO text.

    `scores` needs episode, measure, baseline and final; a missing one means unpaired. Episodes that are
    only named in `scores` are added. Every episode is its own patient unless `patient` says otherwise.
    """
    def build(episodes: str = "", scores: str = "", referrals: str = "", appointments: object = None,
              data_cut: str = "2026-09-30", has_calendar: bool = False, **cohort_filters: object) -> Cohort:
        score_rows = text_table(scores) if scores else pd.DataFrame(columns=["episode", "measure", "baseline", "final"])
        episode_rows = text_table(episodes) if episodes else pd.DataFrame({"episode": score_rows["episode"].unique()})
        facts = Facts(episodes=_episodes(episode_rows), scores=_scores(score_rows, episode_rows),
                      referrals=_referrals(referrals), measures=measures.read(), appointments=appointments,
                      timepoint_rule="window" if has_calendar else "declared", has_calendar=has_calendar,
                      data_cut=pd.Timestamp(data_cut))
        return Cohort(facts, Source("test")).where(**cohort_filters)
    return build


def _numbered(names: pd.Series) -> dict[str, int]:
    return {name: position for position, name in enumerate(dict.fromkeys(names))}


def _episodes(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    rows["patient"] = rows["patient"].map(_numbered(rows["patient"])) if "patient" in rows else range(len(rows))
    rows["episode"] = rows["episode"].map(_numbered(rows["episode"]))
    for name in ("start_date", "end_date", "first_visit_date", "last_visit_date", "discharge_date"):
        rows[name] = pd.to_datetime(rows[name]) if name in rows else pd.Series(pd.NaT, index=rows.index, dtype="M8[s]")
    defaults = {"closed_admin": False, "reason": None, "goals_met_pct": float("nan"), "n_attended": float("nan"),
                "planned_visits": float("nan")}
    for name, value in defaults.items():
        if name not in rows:
            rows[name] = value
    if "days" not in rows:
        rows["days"] = (rows["end_date"] - rows["start_date"]).dt.days.astype(float)
    return rows


def _scores(rows: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    rows["episode"] = rows["episode"].map(_numbered(episodes["episode"]))
    rows["baseline"], rows["final"] = rows["baseline"].astype(float), rows["final"].astype(float)
    if "why_unpaired" not in rows:
        rows["why_unpaired"] = ""
        rows.loc[rows["final"].isna(), "why_unpaired"] = "no_final"
        rows.loc[rows["baseline"].isna(), "why_unpaired"] = "no_baseline"
    rows["why_unpaired"] = rows["why_unpaired"].fillna("")
    rows["has_score"] = rows["baseline"].notna() | rows["final"].notna()
    if "missing_reason" not in rows:
        rows["missing_reason"] = ""
    rows["missing_reason"] = rows["missing_reason"].fillna("")
    if "is_primary" not in rows:
        rows["is_primary"] = ~rows.duplicated("episode")
    return rows


def _referrals(text: str) -> pd.DataFrame:
    if not text:
        return pd.DataFrame({"referral": [], "patient": [], "received_date": pd.to_datetime([]), "days": [],
                             "evaluated": []})
    rows = text_table(text)
    rows["patient"] = rows["patient"].map(_numbered(rows["patient"])) if "patient" in rows else range(len(rows))
    rows["received_date"] = pd.to_datetime(rows["received_date"])
    rows["evaluated"] = rows["evaluated"].astype(str).str.lower().isin({"yes", "true", "1"})
    return rows


@pytest.fixture
def read_tables(tmp_path) -> Callable[..., object]:
    """A dataset read from canonical tables: each a list of dicts, or text with aligned columns and `-` for missing."""
    from therapyeval.data import read_dataset

    def build(data_cut: str = "2026-09-30", mapping: str = "", **tables):
        for name, rows in tables.items():
            frame = text_table(rows) if isinstance(rows, str) else pd.DataFrame(rows)
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "mapping.yml").write_text("version: 1\n" + mapping, encoding="utf-8")
        return read_dataset(tmp_path, data_cut=data_cut)
    return build


def row(result, **wanted: object) -> pd.Series:
    """The one row of a Result with these column values."""
    frame = result.frame
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, f"{len(frame)} rows match {wanted}"
    return frame.iloc[0]
