"""Weights for having a value, against R's glm and sandwich."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, agree, reader

from therapyeval import stats

expected = reader("missing")


@pytest.fixture
def dropout():
    return pd.read_csv(FOLDER / "missing" / "dropout.csv")


def weighted(rows, column, group, n_groups, **options):
    found = stats.completion_weighted(rows[column].to_numpy(), rows[["baseline", "visits"]].to_numpy(), group,
                                      rows["patient"].to_numpy(), n_groups, **options)
    return np.column_stack([found.estimate, found.low, found.high])


def test_weighted_means_and_shares_as_in_r(dropout):
    everybody, arm = np.zeros(len(dropout), dtype=int), dropout["arm"].to_numpy()
    agree(weighted(dropout, "change", everybody, 1)[0], expected("mean.all"))
    agree(weighted(dropout, "change", arm, 2)[0], expected("mean.arm0"))
    agree(weighted(dropout, "change", arm, 2, conf_level=0.90)[1], expected("mean.arm1"))
    agree(weighted(dropout, "good", everybody, 1, is_share=True)[0], expected("share.all"))


def test_with_nobody_missing_it_is_the_clustered_mean(dropout):
    full = dropout.dropna()
    arm = full["arm"].to_numpy()
    plain = stats.mean(full["change"].to_numpy(), arm, full["patient"].to_numpy(), 2)
    agree(weighted(full, "change", arm, 2), np.column_stack([plain.estimate, plain.low, plain.high]))


def test_columns_that_others_determine_change_nothing(dropout):
    arm = dropout["arm"].to_numpy()
    doubled = dropout.assign(baseline=dropout["baseline"] * 1000)
    agree(weighted(doubled, "change", arm, 2), weighted(dropout, "change", arm, 2))
    covariates = dropout[["baseline", "visits"]].assign(both=dropout["baseline"] + dropout["visits"], one=1.0)
    found = stats.completion_weighted(dropout["change"].to_numpy(), covariates.to_numpy(), arm,
                                      dropout["patient"].to_numpy(), 2)
    agree(found.low, weighted(dropout, "change", arm, 2)[:, 1])


def test_thin_data_say_why_there_is_no_number():
    values, covariate = np.array([1.0, 2.0, np.nan, np.nan]), np.array([[1.0], [2.0], [3.0], [4.0]])
    found = stats.completion_weighted(values, covariate, np.zeros(4, dtype=int), np.arange(4), 2)
    assert np.isnan(found.estimate).all()
    assert found.note.tolist() == ["the covariates tell with certainty who has a value: no weights",
                                   "no unit has a value"]
    with pytest.raises(ValueError, match="one row per value"):
        stats.completion_weighted(values, covariate[:2], np.zeros(4, dtype=int), np.arange(4), 1)
