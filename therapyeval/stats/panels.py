"""Panels: sites seen in several periods, some of which start a program; the rows, checked and arranged."""

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.inputs import check_cluster, check_values

NO_PROGRAM_SITE = "no site starts the program after its first period"
NO_CONTROL_SITE = "no site without the program"
TWO_SITES = "needs two sites in each group for an interval"


@dataclass(frozen=True)
class Panel:
    """Rows with the site's code, the place of the period in ``periods``, and the site's start.

    A site that never starts, or not by the last period, has the start inf.
    """

    outcome: np.ndarray
    site: np.ndarray
    n_sites: int
    place: np.ndarray
    periods: np.ndarray
    start: np.ndarray

    @property
    def site_start(self) -> np.ndarray:
        """The start of each site, by code."""
        first = np.full(self.n_sites, np.inf)
        first[self.site] = self.start
        return first


def check_panel(outcome: np.ndarray, site: np.ndarray, period: np.ndarray, start: np.ndarray) -> Panel:
    """The panel; ValueError where lengths differ, a value is missing or a site has two starts."""
    outcome, period = check_values(outcome, "outcome"), check_values(period, "period")
    site, n_sites = check_cluster(site, len(outcome))
    start = np.asarray(start, dtype=float)
    if len(period) != len(outcome) or start.shape != outcome.shape:
        raise ValueError(f"period and start need one entry for each of the {len(outcome)} outcomes")
    start = np.where(np.isnan(start), np.inf, start)
    if (start == -np.inf).any():
        raise ValueError("start holds minus infinity: give the first period with the program, NaN for never")
    low, high = np.full(n_sites, np.inf), np.full(n_sites, -np.inf)
    np.minimum.at(low, site, start)
    np.maximum.at(high, site, start)
    if (low != high).any():
        raise ValueError(f"{int((low != high).sum())} sites have more than one start: give one per site, on every row")
    periods, place = np.unique(period, return_inverse=True)
    start = np.where(start > periods.max(initial=-np.inf), np.inf, start)
    return Panel(outcome, site, n_sites, place, periods, start)


def only_start(panel: Panel) -> float:
    """The start of all sites with the program, NaN where there is none; ValueError where they differ."""
    starts = np.unique(panel.start[np.isfinite(panel.start)])
    if len(starts) > 1:
        raise ValueError(f"sites start in {len(starts)} different periods: two-way fixed effects would compare them "
                         "with sites that have already started; use group_time_effects()")
    return float(starts[0]) if len(starts) else np.nan


def within_sites(columns: np.ndarray, site: np.ndarray, n_sites: int) -> np.ndarray:
    """Columns (n, p) less their mean in each site: least squares then holds the effects of all sites."""
    sums = np.zeros((n_sites, columns.shape[1]))
    np.add.at(sums, site, columns)
    return columns - (sums / np.bincount(site, minlength=n_sites)[:, None])[site]
