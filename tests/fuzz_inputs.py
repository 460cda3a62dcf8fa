"""What the fuzz study damages: small folders of every kind of source, each with the mapping that reads it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pandas as pd
import source_writers
from conftest import ROOT, SHARED

from therapyeval.data import ready

HARBOR, REAL = ROOT / "data_samples" / "harbor_rehab", SHARED / "real_data"
ROWS = 40  # of a long real file


class AbsentError(Exception):
    """A real data set that is not on this machine."""


def _export(name: str) -> Callable[[Path], None]:
    """A made-up export in the shape of a vendor, with its ready mapping."""
    def write(folder: Path) -> None:
        for path in (ROOT / "tests" / "exports" / name).iterdir():
            shutil.copyfile(path, folder / path.name)
        (folder / "mapping.yml").write_bytes(ready.path_of(name).read_bytes())
    return write


def _sample(name: str) -> Callable[[Path], None]:
    """A sample with its data."""
    def write(folder: Path) -> None:
        for path in (ROOT / "data_samples" / name).glob("*.[cy][sm][vl]"):
            shutil.copyfile(path, folder / path.name)
    return write


def _real(name: str, rows: int = ROWS) -> Callable[[Path], None]:
    """The first rows of the files of a real data set, with the mapping of the sample where there is one."""
    def write(folder: Path) -> None:
        if not (REAL / name).is_dir():
            raise AbsentError(name)
        for path in sorted((REAL / name).glob("*.csv*")):
            unpack = gzip.open if path.suffix == ".gz" else open
            with unpack(path, "rb") as file:
                content = b"".join(islice(file, rows + 1))
            (folder / path.name).write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        mapping = ROOT / "data_samples" / name / "mapping.yml"
        if mapping.is_file():
            shutil.copyfile(mapping, folder / "mapping.yml")
    return write


def _harbor(ending: str) -> Callable[[Path], None]:
    """Every two hundredth patient of harbor_rehab, as Parquet or as text."""
    def write(folder: Path) -> None:
        tables = {path.stem: pd.read_parquet(path) for path in sorted(HARBOR.glob("*.parquet"))}
        patients = tables["patients"]["patient_id"][::200]
        episodes = tables["episodes"].loc[tables["episodes"]["patient_id"].isin(patients), "episode_id"]
        for name, table in tables.items():
            if "patient_id" in table:
                table = table[table["patient_id"].isin(patients)]
            elif "episode_id" in table:
                table = table[table["episode_id"].isin(episodes)]
            path = folder / f"{name}{ending}"
            _ = table.to_parquet(path) if ending == ".parquet" else table.to_csv(path, index=False)
        shutil.copyfile(HARBOR / "mapping.yml", folder / "mapping.yml")
    return write


INPUTS: dict[str, Callable[[Path], object]] = {
    **{name: _export(name) for name in ("billing", "cerner", "epic", "foto", "raintree", "redcap", "spreadsheet",
                                        "webpt")},
    "stroke": _sample("stroke_recovery"), "kutner": _sample("kutner_rehab"),
    **{name: _real(name) for name in ("acupuncture_headache", "appointments_noshow", "back_pain_prt", "sicily_its",
                                      "pedalfast_tbi", "nhs_talking_therapies")},
    "harbor parquet": _harbor(".parquet"), "harbor gz": _harbor(".csv.gz"),
    **{f"small {name}": getattr(source_writers, f"write_{name}") for name in (
        "csv", "german_csv", "tsv_with_mark", "parquet", "typed_parquet", "workbook", "typed_workbook", "duckdb",
        "sqlite", "fhir", "omop", "redcap")}}
