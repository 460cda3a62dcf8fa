"""Whether weights or matches made groups resemble each other, and whether they overlapped at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.balance import smd_numeric
from therapyeval.stats.contrasts import check_pairs, n_codes
from therapyeval.stats.few import effective_size
from therapyeval.stats.inputs import check_codes, check_values
from therapyeval.stats.propensity import Propensity, propensity_weights

if TYPE_CHECKING:
    import pandas as pd

LOW, HIGH = 0.05, 0.95
HEAVY = 10.0            # times the mean weight of the group


@dataclass(frozen=True)
class Balance:
    """One entry per numeric covariate and per level of every other; the data of a table or love plot.

    Attributes
    ----------
    variable : array of str
    level : array of str, "" for a numeric covariate
    smd_before, smd_after : standardized mean differences a - b; both over the spread before weighting, so that only
        the means move
    ratio_before, ratio_after : variance of a / variance of b; NaN for covariates with two values
    """

    variable: np.ndarray
    level: np.ndarray
    smd_before: np.ndarray
    smd_after: np.ndarray
    ratio_before: np.ndarray
    ratio_after: np.ndarray


@dataclass(frozen=True)
class Overlap:
    """How far two groups could have been exchanged; arrays hold one entry for a, one for b.

    Attributes
    ----------
    n : rows
    n_effective : rows that, weighted equally, would tell as much: (sum of weights)^2 / sum of squared weights
    lowest, highest : of the propensity scores
    share_outside : of the scores below 0.05 or above 0.95
    share_heavy : of rows that weigh more than ten times the mean of their group
    largest_share : of the group's weight, on the row with the largest
    note : "" or why the numbers are NaN
    """

    n: np.ndarray
    n_effective: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    share_outside: np.ndarray
    share_heavy: np.ndarray
    largest_share: np.ndarray
    note: str


def covariate_balance(
    group: np.ndarray, pair: tuple[int, int], covariates: pd.DataFrame, weights: np.ndarray
) -> Balance:
    """Standardized differences and variance ratios of covariates between groups a and b, before and after weights.

    A common reading: a standardized difference beyond -0.1 or 0.1 is worth a look, as is a variance ratio
    outside 0.5 to 2.

    Parameters
    ----------
    group : array of int, one code from 0 per row
    pair : (code_a, code_b); other rows are left out
    covariates : DataFrame with one complete row per unit; may hold more than the score was made of
    weights : array of float, 0 or more, one per row: from `propensity_weights` or ``Matches``

    Returns
    -------
    Balance
        NaN where a group has no row (or fewer than two for a spread); smd_after NaN where a group has no weight.

    Raises
    ------
    ValueError
        Where lengths differ, a covariate is missing or a date, or a weight is missing or negative.

    Source: Austin and Stuart (2015), Stat Med 34:3661-3679; weighted variances as R ``cov.wt``.
    """
    a, b = check_pairs([pair])
    group = check_codes(group, len(covariates), n_groups=n_codes(group, a, b))
    weights = check_values(weights, "weights")
    if len(weights) != len(group) or (weights < 0).any():
        raise ValueError("covariate_balance() needs one weight of 0 or more per row")
    one, two = group == a[0], group == b[0]
    variable, level, columns = _columns(covariates[one | two])
    weight = weights[one | two]
    inside, flat = one[one | two], [len(np.unique(column)) < 3 for column in columns.T]
    even = np.ones(len(weight))
    (mean_a, sd_a), (mean_b, sd_b) = (_moments(columns[own], even[own]) for own in (inside, ~inside))
    (after_a, spread_a), (after_b, spread_b) = (_moments(columns[own], weight[own]) for own in (inside, ~inside))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.where(flat, np.nan, (top / bottom) ** 2) for top, bottom in ((sd_a, sd_b), (spread_a, spread_b))]
    return Balance(variable, level, smd_numeric(mean_a, sd_a, mean_b, sd_b), smd_numeric(after_a, sd_a, after_b, sd_b),
                   *ratios)


def overlap_check(propensity: Propensity, estimand: str = "ATE") -> Overlap:
    """How the scores of two groups overlap, and how unevenly the weights of an estimand fall.

    Parameters
    ----------
    propensity : from `propensity_score`
    estimand : "ATE", "ATT" or "overlap", as in `propensity_weights`

    Returns
    -------
    Overlap
        NaN where there are no scores; the note says so.

    Raises
    ------
    ValueError
        Where the estimand is unknown.

    Source: Kish (1965), Survey Sampling, 8.2 (effective size); Cole and Hernán (2008), Am J Epidemiol
    168:656-664 (weights far above their mean). 0.05 and 0.95 are a working rule, milder than the 0.1 and 0.9 of
    Crump et al. (2009), Biometrika 96:187-199.
    """
    weight = propensity_weights(propensity, estimand)[propensity.rows]
    n = np.array([propensity.first.sum(), (~propensity.first).sum()])
    if propensity.note:
        return Overlap(n, *(np.full(2, np.nan) for _ in range(6)), propensity.note)
    rows = []
    for own in (propensity.first, ~propensity.first):
        e, w = propensity.score[own], weight[own]
        rows.append([effective_size(w), e.min(), e.max(), ((e < LOW) | (e > HIGH)).mean(),
                     (w > HEAVY * w.mean()).mean(), w.max() / w.sum()])
    return Overlap(n, *np.array(rows).T, "")


def _columns(covariates: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, levels and numbers: numeric covariates as they are, others as one column of 0 and 1 per level."""
    import pandas as pd

    names, levels, columns = [], [], []
    for place, name in enumerate(covariates.columns):
        column = covariates.iloc[:, place]
        if column.isna().any():
            raise ValueError(f"covariate {name!r} has missing values: pass complete rows, and count the others")
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
            raise ValueError(f"covariate {name!r} holds dates or times: turn them into a number of days first")
        if pd.api.types.is_numeric_dtype(column):
            found = [("", check_values(column.to_numpy(dtype=float), f"covariate {name!r}"))]
        else:
            codes, values = pd.factorize(column, sort=True)
            found = [(str(value), (codes == i).astype(float)) for i, value in enumerate(values)]
        names += [str(name)] * len(found)
        levels += [one[0] for one in found]
        columns += [one[1] for one in found]
    blank = np.empty((len(covariates), 0))
    return np.array(names, dtype=object), np.array(levels, dtype=object), np.column_stack(columns) if columns else blank


def _moments(columns: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and SDs; with equal weights the variance has n - 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = weight / weight.sum()
        mean = share @ columns
        square = (share @ (columns - mean) ** 2) / (1 - (share**2).sum())
    return mean, np.sqrt(square)
