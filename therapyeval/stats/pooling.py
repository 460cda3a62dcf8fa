"""One answer from several imputations: Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import Contrast
from therapyeval.stats.critical_values import normal_quantile, t_p_value, t_quantile
from therapyeval.stats.few import warned
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


def pool(contrasts: Sequence[Contrast], *, conf_level: float = 0.95) -> Pooled:
    """Rubin's rules: one contrast from the same contrast of each imputation, with Barnard and Rubin's df.

    Estimates are pooled on the ``scale`` of the contrasts: ratios as logarithms, and taken back at the end. Standard
    errors are taken from the limits, so that any estimator will do whose limits are made of one. The df of the
    complete data are those of the contrasts or, where their limits have z, ``df_residual`` (n - p; events - p for
    hazards); where that is not known either, infinite. Each is the mean over the imputations.

    Parameters
    ----------
    contrasts : list of Contrast, one per imputation (two or more), with the same pairs in the same order
    conf_level : float, between 0 and 1: that with which the contrasts were made, and of the result

    Returns
    -------
    Pooled
        NaN where an imputation has no estimate or no limits; the note is that of the first such imputation. Where
        the imputations do not differ at all the interval is that of the complete data, with their df.

    Raises
    ------
    ValueError
        Where there are fewer than two contrasts, they differ in their pairs or scale, their limits are not made of a
        standard error (ranks, exact, Newcombe's, profile likelihood), or conf_level lies outside (0, 1).

    Source: Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.1; Barnard and Rubin (1999),
    Biometrika 86:948-955; van Buuren (2018), Flexible Imputation of Missing Data, section 5.2 (ratios on the log
    scale); as R ``mice::pool``, which has a floor of 0.0001 for the share of variance between imputations.

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
    scale = _scale(contrasts)
    estimate, error, df = _errors(contrasts, scale, level)
    left = np.array([[one.df_residual] for one in contrasts])
    complete = np.where(np.isnan(df), left, df).mean(axis=0)
    within, between, total, pooled_df = _rubin(estimate, error**2, complete, df.mean(axis=0))
    note = _first_note(contrasts, np.isnan(total))
    with np.errstate(invalid="ignore", divide="ignore"):
        growth = (1 + 1 / m) * between / within
        lost = np.where(np.isinf(pooled_df) | np.isnan(pooled_df), growth, growth + 2 / (pooled_df + 3)) / (1 + growth)
    effect = _interval(estimate.mean(axis=0), np.sqrt(total), pooled_df, level, scale,
                       f"{contrasts[0].method}; {m} imputations, Rubin's rules", note)
    effect = warned(effect, _warning(contrasts))
    return Pooled(effect, np.where(between > 0, lost, 0 * total), np.sqrt(between / m) + 0 * total)


def _scale(contrasts: Sequence[Contrast]) -> str:
    """The scale of all contrasts that have a number; ValueError where one has none, or they differ."""
    found = {one.scale for one in contrasts if not np.isnan(one.estimate).all()} or {"identity"}
    if len(found) > 1 or found == {""}:
        raise ValueError("pool() needs limits made of a standard error, on one scale: not ranks, exact or other limits")
    return found.pop()


def _errors(contrasts: Sequence[Contrast], scale: str, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates and standard errors on the scale, and df, each (imputations, pairs)."""
    estimate, low, high, df = (np.array([getattr(one, name) for one in contrasts], dtype=float)
                               for name in ("estimate", "low", "high", "df"))
    with np.errstate(invalid="ignore", divide="ignore"):
        if scale == "log":
            estimate, low, high = np.log(estimate), np.log(low), np.log(high)
        if (np.abs(high + low - 2 * estimate) > _SKEWED * (high - low)).any():
            raise ValueError("pool() needs limits that are symmetric around the estimate, or around its logarithm")
        error = (high - low) / 2 / np.where(np.isnan(df), normal_quantile(level), t_quantile(df, level))
    return estimate, np.where(np.isfinite(error), error, np.nan), df


def _rubin(estimate: np.ndarray, square: np.ndarray, complete: np.ndarray, own: np.ndarray):
    """Variance within, between and in all, and the df.

    ``complete`` has the df of the complete data, NaN for infinite; ``own`` those of its limits, NaN for z: they stay
    where nothing differs between the imputations.
    """
    m = len(estimate)
    within, between = square.mean(axis=0), estimate.var(axis=0, ddof=1)
    between = np.where(between > 1e-28 * estimate.mean(axis=0) ** 2, between, 0 * between)      # rounding is no spread
    total = within + (1 + 1 / m) * between
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (1 + 1 / m) * between / total
        old = (m - 1) / share**2
        seen = (complete + 1) / (complete + 3) * complete * (1 - share)
        joint = np.where(np.isnan(complete), old, old * seen / (old + seen))
    return within, between, total, np.where(np.isinf(old), np.where(np.isnan(own), np.inf, own), joint)


def _interval(estimate, error, df, level, scale, method, note) -> Contrast:
    """t limits; normal ones where df is infinite. NaN in every entry that has a note."""
    error = np.where(note == "", error, np.nan)
    estimate = np.where(note == "", estimate, np.nan)
    normal = np.isinf(df)
    half = np.where(normal, normal_quantile(level), t_quantile(df, level)) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = t_p_value(estimate / error, np.where(normal, 1e300, df))
    df = np.where(normal | (note != ""), np.nan, df)
    found = Contrast(estimate, estimate - half, estimate + half, p_value, df, method, note, scale)
    return found.as_ratios() if scale == "log" else found


def _warning(contrasts: Sequence[Contrast]) -> np.ndarray:
    """What at least half of the imputations warn of, for each entry."""
    notes = np.array([one.note for one in contrasts], dtype=object)
    often = 2 * (notes != "").sum(axis=0) >= len(notes)
    return np.where(often, _first_note(contrasts, often), "").astype(object)


def _first_note(contrasts: Sequence[Contrast], missing: np.ndarray) -> np.ndarray:
    note = make_notes(len(missing), (missing, NO_SPREAD))
    for one in reversed(contrasts):
        note = np.where(missing & (one.note != ""), one.note, note)
    return note
