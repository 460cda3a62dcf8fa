"""Stepped wedge: sites start a program one after the other, in an order drawn by lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import Contrast
from therapyeval.stats.panels import check_panel

if TYPE_CHECKING:
    import pandas as pd


def stepped_wedge(
    outcome: np.ndarray,
    site: np.ndarray,
    period: np.ndarray,
    start: np.ndarray,
    *,
    covariates: pd.DataFrame | None = None,
    conf_level: float = 0.95,
) -> Contrast:
    """Mean outcome with the program less that without, by a mixed model of sites that start one after the other.

    Fixed effects of the periods (what changes everywhere) and of the program, a random intercept of the site
    (Hussey and Hughes). It takes the effect as the same from the start on and in all sites, and rows of a site as
    equally alike in all periods: where neighboring periods are more alike, the limits are too narrow.

    Parameters
    ----------
    outcome : array of float, without NaN; rows may be patients or the means of a site in a period
    site : array, one label per row
    period : array of float, such as the number of the quarter; each has its own effect
    start : array of float, per row: the first period in which its site has the program, NaN for never
    covariates : DataFrame with one complete row per outcome; None for none
    conf_level : float, between 0 and 1

    Returns
    -------
    Contrast
        One entry, in the unit of the outcome, by REML with t limits of Satterthwaite's degrees of freedom. NaN with
        a note where periods and program cannot be told apart (all sites start together), or as in
        `mixed_difference`.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a site has several starts, a covariate does not fit or is a date,
        or conf_level lies outside (0, 1).

    Source: Hussey and Hughes (2007), Contemp Clin Trials 28:182-191; as R ``lmerTest::lmer``.

    >>> site, period = np.repeat([1, 2, 3], 4), np.tile([1, 2, 3, 4], 3)
    >>> arrived = np.array([78.0, 84, 86, 85, 80, 79, 86, 88, 75, 77, 77, 84])         # percent, in three clinics
    >>> points = stepped_wedge(arrived, site, period, np.repeat([2, 3, 4], 4))
    >>> points.estimate.round(2), points.low.round(2), points.high.round(2)
    (array([6.17]), array([3.59]), array([8.76]))
    """
    import pandas as pd

    from therapyeval.stats.mixed_models import mixed_difference

    panel = check_panel(outcome, site, period, start)
    program = (panel.periods[panel.place] >= panel.start).astype(np.int64)
    effects = pd.DataFrame({"period": [f"period {place}" for place in panel.place]})
    if covariates is not None:
        effects = pd.concat([effects, covariates.reset_index(drop=True)], axis=1)
    return mixed_difference(panel.outcome, program, [(1, 0)], effects, cluster=panel.site, conf_level=conf_level)
