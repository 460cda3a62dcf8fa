"""How large a comparison of two groups must be: power, detectable difference and sample size."""

from __future__ import annotations

from math import ceil

import numpy as np

from therapyeval.stats.chi_quadrature import noncentral_t_cdf


def design_effect(cluster_size: float, icc: float, *, cv: float = 0.0) -> float:
    """How many times more units a comparison needs when whole clusters share a group.

    Parameters
    ----------
    cluster_size : float, 1 or more: mean units per cluster
    icc : float from 0 to 1: the correlation of two units of one cluster
    cv : float, 0 or more: SD of the cluster sizes over their mean

    Raises
    ------
    ValueError
        Where an argument is out of range.

    Source: Donner and Klar (2000); unequal clusters by Eldridge, Ashby and Kerry (2006), Int J Epidemiol
    35:1292-1300: 1 + ((1 + cv^2) m - 1) icc.

    >>> round(design_effect(20, 0.05), 6), round(design_effect(20, 0.05, cv=0.5), 6)
    (1.95, 2.2)
    """
    if cluster_size < 1 or not 0 <= icc <= 1 or cv < 0:
        raise ValueError("design_effect() needs a cluster size of 1 or more, an icc from 0 to 1 and cv of 0 or more")
    return 1 + ((1 + cv**2) * cluster_size - 1) * icc


def upper_sd(sd: float, n: int, *, level: float = 0.8) -> float:
    """The one-sided upper limit of the SD of n normal values: what to plan with, where the SD comes from few people.

    Parameters
    ----------
    sd : float, 0 or more
    n : int, 2 or more
    level : float, between 0 and 1

    Raises
    ------
    ValueError
        Where an argument is out of range.

    Source: Browne (1995), Stat Med 14:1933-1940.

    >>> round(upper_sd(10.0, 24), 3)
    11.568
    """
    from scipy.special import chdtri

    if not sd >= 0 or n < 2 or not 0 < level < 1:
        raise ValueError("upper_sd() needs an sd of 0 or more, an n of 2 or more and a level between 0 and 1")
    return float(sd * np.sqrt((n - 1) / chdtri(n - 1, level)))


def power_means(
    n_a: float, n_b: float, difference: float, sd: float, *, alpha: float = 0.05, design_effect: float = 1.0
) -> float:
    """The chance that a two-sided t test finds a difference of two means, from the noncentral t.

    Both directions count as found (R ``power.t.test(strict = TRUE)``, ``pwr.t2n.test``).

    Parameters
    ----------
    n_a, n_b : units per group; they need not be whole
    difference, sd : in the unit of the values; sd is that within a group, the same in both
    alpha : float, between 0 and 1
    design_effect : float, 1 or more; n / design_effect independent units stand behind n. It takes no account of
        the fewer degrees of freedom of few clusters: with fewer than some 20 the power is lower.

    Returns
    -------
    float from 0 to 1; NaN where less than one degree of freedom is left

    Raises
    ------
    ValueError
        Where a size, sd or design effect is not above 0 or alpha lies outside (0, 1).

    Source: Cohen (1988), chapter 2.

    >>> round(power_means(64, 64, 5, 10), 4)
    0.8015
    """
    from scipy.special import stdtrit

    _check(n_a, n_b, sd, alpha, design_effect)
    a, b = n_a / design_effect, n_b / design_effect
    df = a + b - 2
    if df < 1:
        return float("nan")
    critical, shift = -stdtrit(df, alpha / 2), abs(difference) / sd / np.sqrt(1 / a + 1 / b)
    return noncentral_t_cdf(-critical, df, -shift) + noncentral_t_cdf(-critical, df, shift)


def detectable_difference(
    n_a: float, n_b: float, sd: float, *, power: float = 0.8, alpha: float = 0.05, design_effect: float = 1.0
) -> float:
    """The smallest difference of two means that a two-sided t test finds with this power.

    Parameters
    ----------
    n_a, n_b, sd, alpha, design_effect : as in `power_means`
    power : float, above alpha and below 1

    Returns
    -------
    float, above 0, in the unit of sd; NaN where less than one degree of freedom is left

    Raises
    ------
    ValueError
        As `power_means`, and where power is out of range.

    Source: Cohen (1988), chapter 2; as R ``power.t.test``.

    >>> round(detectable_difference(64, 64, 10), 3)
    4.991
    """
    from scipy.optimize import brentq

    _check(n_a, n_b, sd, alpha, design_effect, power)

    def lacking(difference: float) -> float:
        return power_means(n_a, n_b, difference, sd, alpha=alpha, design_effect=design_effect) - power

    if np.isnan(lacking(sd)):
        return float("nan")
    high = sd
    while lacking(high) < 0:
        high *= 2
    return float(brentq(lacking, 0.0, high, xtol=1e-12 * sd, rtol=1e-12))


def n_for_means(
    difference: float,
    sd: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ratio: float = 1.0,
    design_effect: float = 1.0,
) -> tuple[int, int]:
    """The smallest groups in which a two-sided t test finds a difference of means with this power.

    Parameters
    ----------
    difference, sd : in the same unit, difference not 0
    power : float, above alpha and below 1
    alpha : float, between 0 and 1
    ratio : float, above 0: units of b per unit of a
    design_effect : float, 1 or more

    Returns
    -------
    (n_a, n_b) : whole numbers; n_b is ratio * n_a, rounded up

    Raises
    ------
    ValueError
        Where an argument is out of range.

    Source: Cohen (1988), chapter 2; as R ``power.t.test``, rounded up.

    >>> n_for_means(5, 10), n_for_means(5, 10, design_effect=1.95)
    ((64, 64), (125, 125))
    """
    _check(1, ratio, sd, alpha, design_effect, power)
    if difference == 0:
        raise ValueError("difference is 0: no sample size finds it")
    options = {"alpha": alpha, "design_effect": design_effect}
    return _smallest(lambda a, b: power_means(a, b, difference, sd, **options), power, ratio)


def power_proportions(
    n_a: float, n_b: float, share_a: float, share_b: float, *, alpha: float = 0.05, design_effect: float = 1.0
) -> float:
    """The chance that a two-sided test of two proportions (Pearson, no correction) finds their difference.

    A normal approximation, a little optimistic where an expected count is below five. Both directions count as
    found (R ``power.prop.test(strict = TRUE)``).

    Parameters
    ----------
    n_a, n_b : units per group; they need not be whole
    share_a, share_b : expected proportions, between 0 and 1
    alpha : float, between 0 and 1
    design_effect : float, 1 or more

    Returns
    -------
    float from 0 to 1

    Raises
    ------
    ValueError
        Where a size or design effect is not above 0, or a share or alpha lies outside (0, 1).

    Source: Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, chapter 4.

    >>> round(power_proportions(100, 100, 0.5, 0.7), 4)
    0.8281
    """
    from scipy.special import ndtr

    _check(n_a, n_b, 1.0, alpha, design_effect)
    if not 0 < share_a < 1 or not 0 < share_b < 1:
        raise ValueError("shares must lie between 0 and 1")
    a, b = n_a / design_effect, n_b / design_effect
    pooled = (a * share_a + b * share_b) / (a + b)
    critical = _z(alpha) * np.sqrt(pooled * (1 - pooled) * (1 / a + 1 / b))
    error = np.sqrt(share_a * (1 - share_a) / a + share_b * (1 - share_b) / b)
    gap = abs(share_a - share_b)
    return float(ndtr((gap - critical) / error) + ndtr((-gap - critical) / error))


def detectable_proportions(
    n_a: float, n_b: float, share_b: float, *, power: float = 0.8, alpha: float = 0.05, design_effect: float = 1.0
) -> tuple[float, float]:
    """The nearest proportions of a, below and above that of b, that a two-sided test finds with this power.

    Parameters
    ----------
    n_a, n_b, share_b, alpha, design_effect : as in `power_proportions`
    power : float, above alpha and below 1

    Returns
    -------
    (below, above) : NaN where no proportion on that side is found with this power

    Raises
    ------
    ValueError
        As `power_proportions`, and where power is out of range.

    Source: Fleiss, Levin and Paik (2003), chapter 4.

    >>> tuple(round(share, 4) for share in detectable_proportions(100, 100, 0.5))
    (0.3068, 0.6932)
    """
    from scipy.optimize import brentq

    _check(n_a, n_b, 1.0, alpha, design_effect, power)
    options = {"alpha": alpha, "design_effect": design_effect}

    def lacking(share: float) -> float:
        return power_proportions(n_a, n_b, share, share_b, **options) - power

    ends = (1e-12, 1 - 1e-12)
    return tuple(brentq(lacking, end, share_b, xtol=1e-13) if lacking(end) > 0 else float("nan") for end in ends)


def n_for_proportions(
    share_a: float,
    share_b: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ratio: float = 1.0,
    design_effect: float = 1.0,
) -> tuple[int, int]:
    """The smallest groups in which a two-sided test of two proportions finds their difference with this power.

    Parameters
    ----------
    share_a, share_b : expected proportions, between 0 and 1, not equal
    power, alpha, ratio, design_effect : as in `n_for_means`

    Returns
    -------
    (n_a, n_b) : whole numbers; n_b is ratio * n_a, rounded up

    Raises
    ------
    ValueError
        Where an argument is out of range.

    Source: Fleiss, Levin and Paik (2003), chapter 4; as R ``power.prop.test``, rounded up.

    >>> n_for_proportions(0.5, 0.7), n_for_proportions(0.5, 0.7, design_effect=1.95)
    ((93, 93), (182, 182))
    """
    _check(1, ratio, 1.0, alpha, design_effect, power)
    if share_a == share_b:
        raise ValueError("share_a equals share_b: no sample size finds a difference")
    options = {"alpha": alpha, "design_effect": design_effect}
    return _smallest(lambda a, b: power_proportions(a, b, share_a, share_b, **options), power, ratio)


def n_for_share(share: float, half_width: float, *, conf_level: float = 0.95) -> int:
    """How many units give a normal interval of a share this half width.

    Parameters
    ----------
    share, half_width, conf_level : float, between 0 and 1

    Raises
    ------
    ValueError
        Where an argument is out of range.

    Source: Fleiss, Levin and Paik (2003), chapter 2: z^2 p (1 - p) / h^2, rounded up.

    >>> n_for_share(0.8, 0.10)
    62
    """
    if not (0 < share < 1 and 0 < half_width < 1 and 0 < conf_level < 1):
        raise ValueError("share, half_width and conf_level must lie between 0 and 1")
    return ceil(_z(1 - conf_level) ** 2 * share * (1 - share) / half_width**2 - 1e-9)


def _smallest(power_of, power: float, ratio: float) -> tuple[int, int]:
    """The smallest n_a that reaches the power, by doubling and halving."""
    low, high = 1, 2
    while not power_of(high, ceil(high * ratio - 1e-9)) >= power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        reached = power_of(middle, ceil(middle * ratio - 1e-9)) >= power
        low, high = (low, middle) if reached else (middle, high)
    return high, ceil(high * ratio - 1e-9)


def _z(alpha: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(alpha / 2))


def _check(n_a: float, n_b: float, sd: float, alpha: float, effect: float, power: float | None = None) -> None:
    if not (n_a > 0 and n_b > 0 and sd > 0 and effect >= 1):
        raise ValueError("sizes, ratio and sd must be above 0, and design_effect 1 or more")
    if not 0 < alpha < 1 or (power is not None and not alpha < power < 1):
        raise ValueError("alpha must lie between 0 and 1, and power between alpha and 1")
