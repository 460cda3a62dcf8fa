"""Critical values and p-values of the normal and t distributions."""

import numpy as np


def normal_quantile(level: float) -> float:
    """The z of a two-sided interval: 1.959964 for 0.95."""
    from scipy.special import ndtri

    return float(-ndtri((1 - level) / 2))


def t_quantile(df: np.ndarray, level: float) -> np.ndarray:
    """The t of a two-sided interval, for each number of degrees of freedom; NaN where df is not above 0."""
    from scipy.special import stdtrit

    df = np.asarray(df, dtype=float)
    with np.errstate(invalid="ignore"):
        usable = df > 0
    return np.where(usable, -stdtrit(np.where(usable, df, 1.0), (1 - level) / 2), np.nan)


def t_p_value(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided p-value of a t statistic; NaN where t is NaN or df is not above 0."""
    from scipy.special import stdtr

    df = np.asarray(df, dtype=float)
    with np.errstate(invalid="ignore"):
        usable = (df > 0) & ~np.isnan(t)
    return np.where(usable, 2 * stdtr(np.where(usable, df, 1.0), -np.abs(np.where(usable, t, 0.0))), np.nan)
