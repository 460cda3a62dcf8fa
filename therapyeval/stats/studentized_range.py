"""The studentized range: the largest of k standardized means minus the smallest."""

import numpy as np

from therapyeval.stats.chi_quadrature import gauss_panels, sd_ratio_panels

_WIDE = 8.5  # the normal density beyond is below 1e-16


def range_p_value(q: float, k: int, df: float) -> float:
    """P(studentized range of k groups > q), by Gauss-Legendre quadrature; absolute error below 1e-10.

    With s the ratio of estimated to true SD it is the mean over s of P(range of k normals > q s), which is
    integrated over the largest of the k.

    Source: Lund and Lund (1983), Appl Stat 32:204-210 (the integrals).

    >>> round(range_p_value(3.5649, 3, 21), 6)
    0.04998
    """
    s, weight = sd_ratio_panels(df)
    return float(min(1.0, weight @ _normal_range_tail(q * s, k)))


def range_quantile(p: float, k: int, df: float) -> float:
    """The q that the studentized range exceeds with probability p.

    >>> round(range_quantile(0.05, 3, 21), 4)
    3.5646
    """
    from scipy.optimize import brentq

    high = 4.0
    while range_p_value(high, k, df) > p:
        high *= 2
    return float(brentq(lambda q: range_p_value(q, k, df) - p, 0.0, high, xtol=1e-11, rtol=1e-12))


def _normal_range_tail(width: np.ndarray, k: int) -> np.ndarray:
    """P(range of k standard normals > width), for each width."""
    from scipy.special import ndtr

    z, weight = gauss_panels(np.linspace(-_WIDE, _WIDE, 11))
    largest = ndtr(z)
    share_below = ndtr(z - width[:, None]) / largest        # of the others, too small to stay within the width
    tail = -np.expm1((k - 1) * np.log1p(-np.minimum(share_below, 1 - 1e-16)))
    return tail @ (weight * k * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * largest ** (k - 1))
