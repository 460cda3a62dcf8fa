"""Whether small groups spread more than large ones: an error that pools the groups is then too small."""

import numpy as np

UNEVEN = "the smaller groups spread more: a pooled spread makes p too small and intervals too narrow; Welch does not"
UNEVEN_RANKS = "the smaller groups spread more: P may be small without a difference of location"
BIASED, BIASED_RANKS = 1.4, 1.25       # at 1.4 limits of two large groups hold 90% in place of 95%


def spread_bias(n: np.ndarray, variance: np.ndarray) -> float:
    """How much too small a pooled variance is for groups with equal means: 1 for equal sizes or equal spreads.

    The expected mean square between the groups, divided by that within them; for two groups the variance of the
    difference of their means, Welch's by Student's.

    Source: Box (1954), Ann Math Stat 25:290-302.

    >>> [float(spread_bias(np.array(n), np.array([4.0, 1])).round(3)) for n in ([8, 30], [9, 9])]
    [2.127, 1.0]
    """
    n, variance = np.asarray(n, dtype=float), np.nan_to_num(variance)
    total, k = n.sum(axis=0), len(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = ((1 - n / total) * variance).sum(axis=0) / (k - 1)
        return between / (((n - 1) * variance).sum(axis=0) / (total - k))
