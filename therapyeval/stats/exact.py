"""Exact binomial intervals for the ratio of two counts, in many groups at once."""

import numpy as np

from therapyeval.stats.inputs import NO_VALUE, check_counts, check_level, make_notes
from therapyeval.stats.intervals import Interval


def growth(later: np.ndarray, earlier: np.ndarray, *, conf_level: float = 0.95) -> Interval:
    """Relative change of a count, later / earlier - 1, in many groups at once, with exact intervals.

    Given their sum, the later count is binomial: its Clopper-Pearson limits p become p / (1 - p) - 1.

    Parameters
    ----------
    later, earlier : array of int, one per group. An earlier count of 0 gives NaN and a note.
    conf_level : float, between 0 and 1

    Returns
    -------
    Interval
        0.2 is 20% more. The lower limit is exactly -1 where there is none later. Counts are taken as Poisson.

    Raises
    ------
    ValueError
        Where lengths differ, a count is missing, negative or not whole, or conf_level outside (0, 1).

    Source: Clopper and Pearson (1934), Biometrika 26:404-413, on later / (later + earlier), as R ``binom.test``.

    >>> more = growth(np.array([90]), np.array([75]))
    >>> more.estimate.round(3), more.low.round(3), more.high.round(3)
    (array([0.2]), array([-0.127]), array([0.653]))
    """
    from scipy.special import betaincinv

    later, earlier = check_counts(later, "later"), check_counts(earlier, "earlier")
    alpha = 1 - check_level(conf_level)
    if len(later) != len(earlier):
        raise ValueError(f"later has {len(later)} groups and earlier has {len(earlier)}")
    usable = earlier > 0
    before = np.where(usable, earlier, 1.0)
    low = np.where(later == 0, 0.0, betaincinv(np.maximum(later, 1), before + 1, alpha / 2))
    high = betaincinv(later + 1, before, 1 - alpha / 2)
    estimate, low, high = (np.where(usable, odds - 1, np.nan)
                           for odds in (later / before, low / (1 - low), high / (1 - high)))
    note = make_notes(len(later), (later + earlier == 0, NO_VALUE), (~usable, "none in the earlier period"))
    return Interval(estimate, low, high, "exact binomial", note)
