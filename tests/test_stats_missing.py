"""Weights for having a value, against R's glm and sandwich."""

import numpy as np
import pandas as pd
import pytest
from reference_values import FOLDER, agree, reader, table

from therapyeval import stats
from therapyeval.stats.critical_values import t_quantile
from therapyeval.stats.missing import FEW

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


def difference(rows, values, covariates, arm, pairs, **options):
    return stats.completion_weighted_difference(values, covariates, arm, rows["patient"].to_numpy(), pairs, **options)


def test_weighted_differences_as_in_r(dropout):
    arm, foretells = dropout["arm"].to_numpy(), dropout[["baseline", "visits"]]
    mean = difference(dropout, dropout["change"].to_numpy(), foretells.to_numpy(), arm, [(1, 0), (0, 1)])
    agree(table(mean)[0], expected("difference.mean"))
    agree([-mean.estimate[1], -mean.high[1]], [mean.estimate[0], mean.low[0]])
    share = difference(dropout, dropout["good"].to_numpy(), foretells.assign(arm=arm).to_numpy(), arm, [(1, 0)],
                       conf_level=0.90)
    agree(table(share)[0], expected("difference.share"))


def test_with_nobody_missing_the_weighted_difference_is_the_plain_one(dropout):
    full = dropout.dropna()
    full = full.drop_duplicates("patient")
    arm = full["arm"].to_numpy()
    found = difference(full, full["change"].to_numpy(), full[["visits"]].to_numpy(), arm, [(1, 0)])
    plain = full.groupby("arm")["change"].agg(["mean", lambda y: y.var(ddof=0) / len(y)]).to_numpy()
    agree(found.estimate, [plain[1, 0] - plain[0, 0]])
    errors = (found.high - found.low) / 2 / t_quantile(found.df, 0.95)
    agree(errors, [np.sqrt(plain[:, 1].sum() * len(full) / (len(full) - 1))])


def test_weighted_differences_of_thin_data_say_why():
    values, arm = np.array([1.0, 2, np.nan, 4, np.nan, 6]), np.array([0, 0, 0, 1, 1, 1])
    rows = pd.DataFrame({"patient": range(6)})
    found = difference(rows, values, np.array([[3.0], [1], [2], [1], [3], [2]]), arm, [(1, 0), (2, 0)])
    assert found.note.tolist() == [FEW, "a group has no value"] and np.isnan(found.estimate[1])
    apart = difference(rows, values, np.isnan(values)[:, None] * 1.0, arm, [(1, 0)])
    assert np.isnan(apart.estimate[0]) and "with certainty" in apart.note[0]
    lone = difference(rows, np.array([1.0, 2, 3, np.nan, np.nan, 6]), np.zeros((6, 0)), arm, [(1, 0)])
    assert np.isfinite(lone.estimate[0]) and np.isnan(lone.low[0]) and "two values" in lone.note[0]
    with pytest.raises(ValueError):
        difference(rows, np.r_[values[:5], np.inf], np.zeros((6, 1)), arm, [(1, 0)])


def test_a_weighted_mean_that_rests_on_few_people_says_so():
    """Equal weights (a covariate that tells nothing): 29 people with a value are few, 31 are not, nor 10 of 10."""
    for n_known, said in ((29, FEW), (31, "")):
        values = np.where(np.arange(40) < n_known, np.arange(40.0), np.nan)
        found = stats.completion_weighted(values, np.zeros((40, 0)), np.zeros(40, dtype=int), np.arange(40), 1)
        assert found.note.tolist() == [said] and np.isfinite(found.low).all()
    everybody = stats.completion_weighted(np.arange(10.0), np.zeros((10, 0)), np.zeros(10, dtype=int), np.arange(10), 1)
    assert everybody.note.tolist() == [""]
