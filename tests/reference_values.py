"""Reading committed reference values, and comparing to them at the tolerance they deserve."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / "reference"
CLOSED_FORM, SEARCHED = 1e-6, 1e-4      # relative; the second where R itself stops an optimizer or a root early


def reader(topic):
    """A function (case, name="rows") -> array of one topic's expected.json."""
    cases = json.loads((FOLDER / topic / "expected.json").read_text())["cases"]

    def expected(case, name="rows"):
        return np.array(_numbers(cases[case]["values"][name]), dtype=float)
    return expected


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


def table(contrast):
    """Estimate, low, high, p and df as columns."""
    return np.column_stack([contrast.estimate, contrast.low, contrast.high, contrast.p_value, contrast.df])


def joint(test):
    """Statistic, df, (df_error), p of a JointTest, as R prints them."""
    return [number for number in astuple(test)[:4] if not np.isnan(number)]


def agree(found, wanted, rtol=CLOSED_FORM):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12)
