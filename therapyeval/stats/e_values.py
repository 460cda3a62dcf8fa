"""How strong an unmeasured confounder would have to be to explain a difference away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.inputs import make_notes

_LOG_RATIO_PER_SD = 0.91


@dataclass(frozen=True)
class EValue:
    """E-values of estimates, and of the limit nearer to no effect; 1 means that no confounding is needed.

    ``note`` is "" or says why a number is NaN.
    """

    point: np.ndarray
    limit: np.ndarray
    note: np.ndarray


def e_value(ratio: np.ndarray, low: np.ndarray, high: np.ndarray) -> EValue:
    """E-values of risk ratios: the risk ratio that an unmeasured confounder needs with both group and outcome.

    A confounder weaker than that, in one of the two, cannot move the ratio (or its limit) to 1. Whether so strong a
    confounder is plausible is for the reader to judge: there is no threshold.

    Parameters
    ----------
    ratio, low, high : arrays of float above 0 with low <= ratio <= high, such as of `risk_ratio`; NaN is passed on

    Returns
    -------
    EValue
        The limit is 1 where the interval holds 1, NaN where there is none. The note says why a number is NaN.

    Raises
    ------
    ValueError
        Where lengths differ, a number is negative or 0, or the estimate lies outside its interval.

    Source: VanderWeele and Ding (2017), Ann Intern Med 167:268-274.

    >>> smoking = e_value(np.array([3.9]), np.array([1.8]), np.array([8.7]))
    >>> smoking.point.round(1), smoking.limit.round(1)
    (array([7.3]), array([3.]))
    """
    ratio, low, high = (np.atleast_1d(np.asarray(part, dtype=float)) for part in (ratio, low, high))
    if len({part.shape for part in (ratio, low, high)}) != 1:
        raise ValueError("e_value() needs as many limits as ratios")
    if (ratio <= 0).any() or (low < 0).any() or (low > ratio).any() or (high < ratio).any():
        raise ValueError("e_value() needs ratios above 0, each within its limits")
    nearer = np.where(ratio >= 1, np.maximum(low, 1), np.minimum(high, 1))
    note = make_notes(len(ratio), (np.isnan(ratio), "no estimate"), (np.isnan(nearer), "no interval"))
    return EValue(_e_value(ratio), _e_value(nearer), note)


def e_value_difference(difference: np.ndarray, low: np.ndarray, high: np.ndarray, sd: float) -> EValue:
    """E-values of differences of means, through the approximate risk ratio exp(0.91 d) with d = difference / SD.

    The limits are taken through the same approximation. Rough: it takes the outcome as normal, cut in two near its
    median.

    Parameters
    ----------
    difference, low, high : arrays of float with low <= difference <= high, in the unit of the outcome; NaN is passed on
    sd : float above 0: standard deviation of the outcome within groups

    Returns
    -------
    EValue
        As `e_value`.

    Raises
    ------
    ValueError
        As `e_value`, and where sd is not above 0.

    Source: VanderWeele and Ding (2017), Ann Intern Med 167:268-274, table 2.

    >>> one = np.array([1.0])
    >>> e_value_difference(one * 0.5, one * 0.1, one * 0.9, 1.0).point.round(3)
    array([2.529])
    """
    if not (sd > 0 and np.isfinite(sd)):
        raise ValueError(f"sd is {sd}, but must be above 0")
    with np.errstate(over="ignore"):
        return e_value(*(np.exp(_LOG_RATIO_PER_SD * np.asarray(part, dtype=float) / sd)
                         for part in (difference, low, high)))


def _e_value(ratio: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(ratio < 1, 1 / ratio, ratio)
        return away + np.sqrt(away) * np.sqrt(away - 1)
