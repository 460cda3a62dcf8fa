"""Ratios of event rates of groups with different exposure."""

from collections.abc import Sequence

import numpy as np

from therapyeval.stats.contrasts import Contrast, check_pairs
from therapyeval.stats.inputs import check_counts, check_level, check_values, make_notes


def rate_ratio(
    events: np.ndarray, exposure: np.ndarray, pairs: Sequence[tuple[int, int]], *, conf_level: float = 0.95
) -> Contrast:
    """Ratios of two Poisson rates, a / b, exact given the total number of events.

    Events are taken as independent: where some units have many events, use `adjusted_rate_ratio` with
    family="negative_binomial". The interval leaves equal tails (Clopper-Pearson); p sums all outcomes at most
    as likely as the observed one, so the two can disagree in close calls.

    Parameters
    ----------
    events : array of int, one entry per group code from 0
    exposure : array of float, one entry per group code, such as patient-days
    pairs : list of (code_a, code_b)
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        Ratios, 0 or more; df is NaN. No event in a gives 0 with lower limit 0, none in b infinity with upper
        limit infinity. No exposure, a code beyond the arrays, or no event in both give NaN and a note.

    Raises
    ------
    ValueError
        Where lengths differ, a count or exposure is missing or negative, a code is negative, a pair compares a
        group with itself or conf_level lies outside (0, 1).

    Source: Przyborowski and Wilenski (1940), Biometrika 31:313-323; as R ``poisson.test``.

    >>> falls = rate_ratio(np.array([11, 23]), np.array([800.0, 1083]), [(0, 1)])
    >>> falls.estimate.round(4), falls.low.round(4), falls.high.round(4), falls.p_value.round(4)
    (array([0.6474]), array([0.2849]), array([1.3826]), array([0.2981]))
    """
    from scipy.special import betaincinv

    events, exposure = check_counts(events, "events"), check_values(exposure, "exposure")
    tail = (1 - check_level(conf_level)) / 2
    if len(events) != len(exposure) or (exposure < 0).any():
        raise ValueError("rate_ratio() needs an exposure of 0 or more for each count")
    a, b = check_pairs(pairs)
    beyond = np.zeros(max(int(max(a.max(initial=-1), b.max(initial=-1))) + 1 - len(events), 0))
    events, exposure = np.r_[events, beyond], np.r_[exposure, beyond]
    x, y, e, f = events[a], events[b], exposure[a], exposure[b]
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(x == 0, 0.0, betaincinv(np.maximum(x, 1), y + 1, tail))
        high = np.where(y == 0, 1.0, betaincinv(x + 1, np.maximum(y, 1), 1 - tail))
        per = f / e
        numbers = x / y * per, low / (1 - low) * per, high / (1 - high) * per
    note = make_notes(len(a), ((e == 0) | (f == 0), "a group has no exposure"), (x + y == 0, "no event in both groups"))
    clear = note == ""
    p_value = np.array([_p_value(*row) if row[-1] else np.nan for row in zip(x, y, e, f, clear, strict=True)])
    numbers = (np.where(clear, part, np.nan) for part in (*numbers, p_value.reshape(-1)))
    return Contrast(*numbers, np.full(len(a), np.nan), "exact Poisson, given the total", note)


def _p_value(x: float, y: float, e: float, f: float, _: bool) -> float:
    from scipy.stats import binomtest

    return float(binomtest(int(x), int(x + y), e / (e + f)).pvalue)
