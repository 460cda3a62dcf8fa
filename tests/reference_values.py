"""Reading committed reference values, comparing to them as closely as they deserve, keeping what was compared."""

import csv
import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / "reference"
EXACT, CLOSED_FORM, SEARCHED = 1e-8, 1e-6, 1e-4    # relative; the last where R itself stops an optimizer or root early
COMPARED = {}      # (topic, case) -> list of (found, wanted, rtol, atol): docs/validation.md is made of it


class Reference(np.ndarray):
    """An array that knows its case, also after slicing."""

    def __array_finalize__(self, parent):
        self.address = getattr(parent, "address", None)


def reader(topic):
    """A function (case, name="rows") -> array of one topic's expected.json."""
    cases = json.loads((FOLDER / topic / "expected.json").read_text())["cases"]

    def expected(case, name="rows"):
        found = np.array(_numbers(cases[case]["values"][name]), dtype=float).view(Reference)
        found.address = (topic, case)
        return found
    return expected


def cases():
    """(topic, case) -> the estimators it holds and the data sets it comes from, of reference/cases.csv."""
    with (FOLDER / "cases.csv").open(encoding="utf-8", newline="") as lines:
        return {(row["topic"], row["case"]): (row["estimator"].split(), row["data"].split())
                for row in csv.DictReader(lines)}


def _numbers(value):
    """R's NA as NaN, in lists of any depth."""
    return [_numbers(part) for part in value] if isinstance(value, list) else "nan" if value == "NA" else value


def committed(name):
    return pd.read_csv(FOLDER / "stats" / f"{name}.csv")


def kutner():
    """Days in therapy, and group from 0."""
    rows = committed("kutner")
    return rows["y"].to_numpy(dtype=float), rows["group"].to_numpy() - 1


def stroke():
    """Gain in eight weeks, and group from 0."""
    rows = committed("stroke")
    return (rows["week8"] - rows["week1"]).to_numpy(dtype=float), pd.factorize(rows["Group"], sort=True)[0]


def codes(column):
    """Groups from 0, in the order of their names."""
    return pd.factorize(column, sort=True)[0]


def stroke_with_dropout():
    """The weeks of the stroke patients, with the same made-up dropout as in the reference script."""
    rows = committed("stroke_long")
    gone = rows["Subject"].isin([3, 8, 14, 20]) & (rows["week"] > 5)
    return rows[~gone & ~((rows["Subject"] == 11) & (rows["week"] == 4))]


def limits(interval):
    """Estimate, low and high as columns."""
    return np.column_stack([interval.estimate, interval.low, interval.high])


def table(contrast):
    """Estimate, low, high, p and df as columns."""
    return np.column_stack([limits(contrast), contrast.p_value, contrast.df])


def joint(test):
    """Statistic, df, (df_error), p of a JointTest, as R prints them."""
    return [number for number in astuple(test)[:4] if not np.isnan(number)]


def agree(found, wanted, rtol=CLOSED_FORM, atol=1e-12):
    wanted = np.asanyarray(wanted)
    COMPARED.setdefault(getattr(wanted, "address", None), []).append(
        (np.asarray(found, float), np.asarray(wanted, float), rtol, np.asarray(atol, float)))
    found, wanted = np.asarray(found, float), np.asarray(wanted)
    if np.ndim(atol):       # one per number: in units of what is allowed
        found, wanted, rtol, atol = found / atol, np.asarray(wanted / atol, float), 0, 1
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
