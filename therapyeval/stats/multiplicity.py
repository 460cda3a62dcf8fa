"""P-values of several questions asked at once."""

import numpy as np

METHODS = ("holm", "hochberg", "benjamini_hochberg")


def adjust_p(p_value: np.ndarray, method: str = "holm") -> np.ndarray:
    """Adjusted p-values of one family of tests.

    ``holm`` bounds the chance of any false finding, whatever the tests have to do with each other;
    ``hochberg`` does so for independent or positively related tests and is a little stronger;
    ``benjamini_hochberg`` bounds the expected share of false findings among all findings.

    Parameters
    ----------
    p_value : array of float from 0 to 1; NaN (no test) stays NaN and is not counted in the family
    method : "holm", "hochberg" or "benjamini_hochberg"

    Returns
    -------
    array of float, in the same order

    Raises
    ------
    ValueError
        Where the array has not one dimension, a p-value lies outside 0..1 or the method is unknown.

    Source: Holm (1979), Scand J Stat 6:65-70; Hochberg (1988), Biometrika 75:800-802; Benjamini and Hochberg
    (1995), J R Stat Soc B 57:289-300; as R ``p.adjust``.

    >>> adjust_p(np.array([0.01, 0.04, 0.03, np.nan])).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, but must be one of {', '.join(METHODS)}")
    given = np.asarray(p_value, dtype=float)
    if given.ndim != 1 or (given < 0).any() or (given > 1).any():
        raise ValueError("p_value must have one dimension and lie between 0 and 1")
    tested = ~np.isnan(given)
    p = given[tested]
    order, m = np.argsort(p, kind="stable"), len(p)
    step = np.arange(m)
    factor = m / (step + 1) if method == "benjamini_hochberg" else m - step
    scaled = p[order] * factor
    ordered = np.maximum.accumulate(scaled) if method == "holm" else np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted, back = np.full(len(given), np.nan), np.empty(m)
    back[order] = np.minimum(ordered, 1)
    adjusted[tested] = back
    return adjusted
