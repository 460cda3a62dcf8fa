"""Standardized differences, against R tableone and cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from reference_values import EXACT, agree, committed, reader

from therapyeval import stats

read = reader("stats")


def expected(case: str) -> np.ndarray:
    return read(case, "smd")


def numeric(rows: pd.DataFrame, columns: list[str], by: str) -> np.ndarray:
    one, two = (part[columns] for _, part in rows.groupby(by))
    return np.abs(stats.smd_numeric(one.mean(), one.std(), two.mean(), two.std()))


def categorical(rows: pd.DataFrame, column: str, by: str) -> float:
    shares = pd.crosstab(rows[by], rows[column], normalize="index").to_numpy()
    return stats.smd_categorical(*shares)


@pytest.mark.parametrize(
    ("case", "file", "columns", "by"),
    [("smd.numeric_veteran", "veteran", ["karno", "age", "time"], "trt"),
     ("smd.numeric_lung", "lung", ["age", "time"], "sex")],
)
def test_numeric_differences_agree_with_tableone(case, file, columns, by):
    rows = committed(file)
    agree(numeric(rows, columns, by), expected(case), rtol=EXACT)


def test_categorical_differences_agree_with_tableone():
    variables = [("veteran", "celltype", "trt"), ("lung", "ecog", "sex"), ("kidney", "disease", "sex"),
                 ("kidney", "status", "sex")]
    found = [categorical(committed(file), column, by) for file, column, by in variables]
    agree(found, expected("smd.categorical"), rtol=EXACT)


def test_differences_in_the_headache_trial_agree_with_tableone(real_data):
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    rows = rows.dropna(subset="pk5")
    found = [*numeric(rows, ["age", "pk1", "chronicity"], "group"), categorical(rows, "sex", "group")]
    agree(found, expected("smd.acupuncture"), rtol=EXACT)


def test_the_docstring_example_agrees_with_tableone():
    found = stats.smd_categorical(np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4]))
    agree([found], expected("smd.docstring"), rtol=EXACT)


def test_numeric_difference_has_the_sign_of_a_minus_b():
    assert stats.smd_numeric(10.0, 2.0, 12.0, 2.0) == -1.0


def test_constant_variables_are_balanced_or_without_any_overlap():
    found = stats.smd_numeric(np.array([1.0, 2, 1]), np.zeros(3), np.array([1.0, 1, 2]), np.zeros(3))
    assert found.tolist() == [0.0, np.inf, -np.inf]
    assert stats.smd_categorical(np.array([1.0, 0]), np.array([1.0, 0])) == 0
    assert stats.smd_categorical(np.array([1.0, 0]), np.array([0, 1.0])) == np.inf


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
def test_groups_without_overlap_are_infinitely_far_apart_in_any_order_of_levels(order):
    one, two = np.array([0.5, 0.5, 0.0])[order], np.array([0.0, 0.0, 1.0])[order]
    assert stats.smd_categorical(one, two) == np.inf


def test_a_level_that_nobody_has_changes_nothing():
    without = stats.smd_categorical(np.array([0.4, 0.6]), np.array([0.7, 0.3]))
    assert stats.smd_categorical(np.array([0.4, 0, 0.6]), np.array([0.7, 0, 0.3])) == pytest.approx(without)
    assert without == pytest.approx(0.3 / np.sqrt((0.24 + 0.21) / 2))


def test_missing_numbers_stay_missing():
    assert np.isnan(stats.smd_numeric(np.nan, 1.0, 2.0, 1.0))
    assert np.isnan(stats.smd_numeric(1.0, np.nan, 2.0, 1.0))
    assert np.isnan(stats.smd_categorical(np.array([np.nan, np.nan]), np.array([0.5, 0.5])))


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.smd_numeric(1, -1, 2, 1),
        lambda: stats.smd_categorical(np.array([0.5, 0.5]), np.array([1.0])),
        lambda: stats.smd_categorical(np.array([0.5, 0.4]), np.array([0.5, 0.5])),
        lambda: stats.smd_categorical(np.array([1.5, -0.5]), np.array([0.5, 0.5])),
        lambda: stats.smd_categorical(np.array([]), np.array([])),
    ],
)
def test_senseless_input_is_refused(call):
    with pytest.raises(ValueError):  # noqa: PT011
        call()
