"""One answer from several imputations: Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import Contrast
from therapyeval.stats.critical_values import normal_quantile, t_p_value, t_quantile
from therapyeval.stats.inputs import check_level, make_notes

NO_SPREAD = "an imputation has no interval"
_SKEWED = 1e-6          # of the width: more is not a symmetric interval


@dataclass(frozen=True)
class Pooled:
    """Pooled contrasts, one entry per pair.

    Attributes
    ----------
    effect : Contrast
    missing_information : share of the information that is lost to missing values, from 0 to 1
    monte_carlo_error : how far the estimate would vary with other seeds (SD; of its logarithm, for ratios); more
        imputations make it smaller
    """

    effect: Contrast
    missing_information: np.ndarray
    monte_carlo_error: np.ndarray


def pool(contrasts: Sequence[Contrast], *, log: bool = False, conf_level: float = 0.95) -> Pooled:
    """Rubin's rules: one contrast from the same contrast of each imputation, with Barnard and Rubin's df.

    Standard errors are taken from the limits, so that any estimator with symmetric t or normal limits will do.
    Where the contrasts have df, their mean over the imputations counts as that of the complete data.

    Parameters
    ----------
    contrasts : list of Contrast, one per imputation (two or more), with the same pairs in the same order
    log : the contrasts are ratios: their logarithms are pooled
    conf_level : float, between 0 and 1: that with which the contrasts were made, and of the result

    Returns
    -------
    Pooled
        NaN where an imputation has no estimate or no limits; the note is that of the first such imputation. Where
        the imputations do not differ at all the interval is that of the complete data, with their df.

    Raises
    ------
    ValueError
        Where there are fewer than two contrasts, they differ in their pairs, ratios are not above 0, limits are not
        symmetric (such as Newcombe's), or conf_level lies outside (0, 1).

    Source: Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.1; Barnard and Rubin (1999),
    Biometrika 86:948-955; as R ``mice::pool``, which has a floor of 0.0001 for the share of variance between
    imputations.

    >>> import numpy as np
    >>> from therapyeval.stats import welch
    >>> group, pairs = np.repeat([1, 0], 4), [(1, 0)]
    >>> made = [welch(np.array([5.0, 7, 8, last, 3, 4, 6, 5]), group, pairs) for last in (6.0, 9, 7)]
    >>> pool(made).effect.estimate.round(4)
    array([2.3333])
    """
    level, m = check_level(conf_level), len(contrasts)
    if m < 2 or len({len(one.estimate) for one in contrasts}) != 1:
        raise ValueError("pool() needs the same contrasts from two imputations or more")
    estimate, low, high, df = (np.array([getattr(one, name) for one in contrasts], dtype=float)
                               for name in ("estimate", "low", "high", "df"))
    if log:
        if (estimate <= 0).any() or (low < 0).any():
            raise ValueError("pool(log=True) needs ratios above 0, with limits of 0 or more")
        with np.errstate(divide="ignore"):
            estimate, low, high = np.log(estimate), np.log(low), np.log(high)
    with np.errstate(invalid="ignore"):
        if (np.abs(high + low - 2 * estimate) > _SKEWED * (high - low)).any():
            raise ValueError("pool() needs intervals that are symmetric around the estimate (log=True for ratios)")
        error = (high - low) / 2 / np.where(np.isnan(df), normal_quantile(level), t_quantile(df, level))
    complete = df.mean(axis=0)                                   # NaN for normal limits
    within, between, total, pooled_df = _rubin(estimate, error**2, complete)
    note = _first_note(contrasts, np.isnan(total))
    with np.errstate(invalid="ignore", divide="ignore"):
        growth = (1 + 1 / m) * between / within
        lost = np.where(np.isinf(pooled_df) | np.isnan(pooled_df), growth, growth + 2 / (pooled_df + 3)) / (1 + growth)
    effect = _interval(estimate.mean(axis=0), np.sqrt(total), pooled_df, level, log,
                       f"{contrasts[0].method}; {m} imputations, Rubin's rules", note)
    return Pooled(effect, np.where(between > 0, lost, 0 * total), np.sqrt(between / m) + 0 * total)


def _rubin(estimate: np.ndarray, square: np.ndarray, complete: np.ndarray):
    """Variance within, between and in all, and the df; complete has the df of the complete data, NaN for none."""
    m = len(estimate)
    within, between = square.mean(axis=0), estimate.var(axis=0, ddof=1)
    between = np.where(between > 1e-28 * estimate.mean(axis=0) ** 2, between, 0 * between)      # rounding is no spread
    total = within + (1 + 1 / m) * between
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (1 + 1 / m) * between / total
        old = (m - 1) / share**2
        seen = (complete + 1) / (complete + 3) * complete * (1 - share)
        joint = np.where(np.isinf(old), complete, old * seen / (old + seen))
    return within, between, total, np.where(np.isnan(complete), old, joint)


def _interval(estimate, error, df, level, log, method, note) -> Contrast:
    """t limits; normal ones where df is infinite. NaN in every entry that has a note."""
    error = np.where(note == "", error, np.nan)
    estimate = np.where(note == "", estimate, np.nan)
    normal = np.isinf(df)
    half = np.where(normal, normal_quantile(level), t_quantile(df, level)) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = t_p_value(estimate / error, np.where(normal, 1e300, df))
    numbers = (estimate, estimate - half, estimate + half)
    if log:
        numbers = tuple(np.exp(part) for part in numbers)
    return Contrast(*numbers, p_value, np.where(normal | (note != ""), np.nan, df), method, note)


def _first_note(contrasts: Sequence[Contrast], missing: np.ndarray) -> np.ndarray:
    note = make_notes(len(missing), (missing, NO_SPREAD))
    for one in reversed(contrasts):
        note = np.where(missing & (one.note != ""), one.note, note)
    return note
