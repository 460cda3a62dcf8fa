"""How far two groups differ before treatment, in units of their spread: standardized mean differences."""

import numpy as np


def smd_numeric(mean_a: np.ndarray, sd_a: np.ndarray, mean_b: np.ndarray, sd_b: np.ndarray) -> np.ndarray:
    """Standardized mean differences (a - b) / sqrt((sd_a^2 + sd_b^2) / 2) of numeric variables.

    Parameters
    ----------
    mean_a, sd_a, mean_b, sd_b : arrays of float that broadcast, or numbers; SDs with n - 1

    Returns
    -------
    array of float, positive where a is higher
        NaN where a mean or SD is missing. Where neither group varies: 0 for equal means, else infinite with
        the sign of the difference (no overlap at all), as in R tableone.

    Raises
    ------
    ValueError
        Where an SD is negative.

    Source: Austin (2009), Stat Med 28:3083-3107.

    >>> float(smd_numeric(16.25, 13.72, 22.34, 17.01).round(3))
    -0.394
    """
    mean_a, sd_a, mean_b, sd_b = (np.asarray(part, dtype=float) for part in (mean_a, sd_a, mean_b, sd_b))
    with np.errstate(invalid="ignore", divide="ignore"):
        if (sd_a < 0).any() or (sd_b < 0).any():
            raise ValueError("smd_numeric() needs standard deviations that are not negative")
        difference, spread = mean_a - mean_b, np.sqrt((sd_a**2 + sd_b**2) / 2)
        return np.where((difference == 0) & (spread == 0), 0.0, difference / spread)


def smd_categorical(shares_a: np.ndarray, shares_b: np.ndarray) -> float:
    """Standardized difference of a categorical variable between two groups, over all its levels at once.

    The Mahalanobis distance of the two vectors of shares, with the mean of their multinomial covariances; one
    level is left out, and which one does not matter. With two levels it is the SMD of a yes/no variable.

    Parameters
    ----------
    shares_a, shares_b : arrays of float, one share per level, the same levels in the same order, each
        summing to 1

    Returns
    -------
    float, 0 or more (it has no sign)
        NaN where a share is missing. Infinite where the groups share no part of some contrast between levels,
        such as all women against all men. R tableone uses a generalized inverse there, and its answer (NaN,
        or a small number) depends on the level left out.

    Raises
    ------
    ValueError
        Where lengths differ, a share lies outside 0..1 or the shares of a group do not sum to 1.

    Source: Yang and Dalton (2012), SAS Global Forum, paper 335-2012.

    >>> round(smd_categorical(np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])), 4)
    0.2514
    """
    shares_a, shares_b = np.asarray(shares_a, dtype=float), np.asarray(shares_b, dtype=float)
    if shares_a.shape != shares_b.shape or shares_a.ndim != 1 or not shares_a.size:
        raise ValueError("smd_categorical() needs one share per level, for the same levels in both groups")
    if np.isnan(shares_a).any() or np.isnan(shares_b).any():
        return float("nan")
    for shares in (shares_a, shares_b):
        if (shares < 0).any() or abs(shares.sum() - 1) > 1e-8:
            raise ValueError("the shares of a group must lie between 0 and 1 and sum to 1")
    difference = (shares_a - shares_b)[1:]
    covariance = (_multinomial(shares_a[1:]) + _multinomial(shares_b[1:])) / 2
    solution = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ difference
    if not np.allclose(covariance @ solution, difference, rtol=0, atol=1e-8):
        return float("inf")
    return float(np.sqrt(max(difference @ solution, 0.0)))


def _multinomial(shares: np.ndarray) -> np.ndarray:
    """Covariance of one multinomial draw: p(1-p) on the diagonal, -pq elsewhere."""
    return np.diag(shares) - np.outer(shares, shares)
