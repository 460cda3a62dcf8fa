"""Sites that start a program at different times: each start group against sites that have not started."""

from dataclasses import dataclass

import numpy as np

from therapyeval.stats.contrasts import Contrast, normal_contrast
from therapyeval.stats.few import SITES, too_few, warned
from therapyeval.stats.inputs import check_level
from therapyeval.stats.panels import TWO_SITES, Panel, check_panel

CONTROLS = ("never", "not_yet")
NO_CONTROL = "no site left that has not started"
NO_CELL = "no start group has a site to be compared with"
ALIKE = "no variation between sites: no interval"
_ROUNDING = 1e-13


@dataclass(frozen=True)
class GroupTimeEffects:
    """Effects of each start group in each period, and their averages.

    ``effect`` has one entry per ``start`` group and ``period`` but the last period before its start, the reference;
    before the start it shows differences in trend, not effects. ``by_since`` averages the groups at the same time
    ``since`` their start, ``overall`` (one entry) all groups and periods from the start on, weighted by sites.
    Averages leave out what has no control; ``n_without_control`` counts these entries of ``effect``, and
    ``n_without_before`` the sites that start in the first period, which tell nothing.
    """

    start: np.ndarray
    period: np.ndarray
    effect: Contrast
    since: np.ndarray
    by_since: Contrast
    overall: Contrast
    n_without_control: int
    n_without_before: int


def group_time_effects(
    outcome: np.ndarray,
    site: np.ndarray,
    period: np.ndarray,
    start: np.ndarray,
    *,
    control: str = "never",
    conf_level: float = 0.95,
) -> GroupTimeEffects:
    """Effects of a program that sites start at different times, without comparing to sites that have started.

    Each group of sites with the same start is compared, period by period, with control sites: its change since the
    last period before its start, less theirs (parallel trends within each such pair). Standard errors come from
    the influence of each site (sites independent, periods of a site not) with normal limits. With fewer than 30
    sites they are too narrow (simulated 95% limits hold 88% with 10 sites, 89% with 12, 94% with 30); the note says so.

    Parameters
    ----------
    outcome : array of float, without NaN: one mean per site and period
    site : array, one label per row; every site has a row in every period
    period : array of float, such as the number of the quarter
    start : array of float, per row: the first period in which its site has the program, NaN for never
    control : "never" (sites that never start) or "not_yet" (those too that start later than the period)
    conf_level : float, between 0 and 1

    Returns
    -------
    GroupTimeEffects
        In the unit of the outcome. An entry without control sites is NaN; one with a single site in its start group
        or among its controls has no limits, nor has an average that holds it. The note says so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing, a site has several starts, no row or two rows in a period, the
        control is unknown or conf_level lies outside (0, 1).

    Source: Callaway and Sant'Anna (2021), J Econometrics 225:200-230, without covariates, the base period universal.

    >>> site, period = np.repeat(np.arange(6), 4), np.tile([1.0, 2, 3, 4], 6)
    >>> start = np.repeat([2, 2, 4, 4, np.nan, np.nan], 4)
    >>> outcome = 10.0 * site + period**2 + 3 * (period >= start) + np.tile([0, 0, 1, 0], 6) * (site % 2)
    >>> found = group_time_effects(outcome, site, period, start)
    >>> found.start[:3], found.period[:3], found.effect.estimate.round(2)[:3], found.overall.estimate.round(2)
    (array([2., 2., 2.]), array([2., 3., 4.]), array([3., 3., 3.]), array([3.]))
    """
    if control not in CONTROLS:
        raise ValueError(f"control is {control!r}, but must be one of {', '.join(CONTROLS)}")
    panel, level = check_panel(outcome, site, period, start), check_level(conf_level)
    table, starts = _square(panel), panel.site_start
    cells = _cells(panel, table, starts, control)
    method = f"group-time effects, controls {control.replace('_', ' ')} treated, influence by site"
    effect = _contrast(cells.estimate, cells.influence, cells.note, level, method)
    elapsed = cells.period - cells.start
    since = np.unique(elapsed)
    averages = [_average(cells, starts, elapsed == value) for value in since]
    overall = [_average(cells, starts, elapsed >= 0)]
    by_since, overall = (_contrast(*_stacked(part, len(table)), level, method) for part in (averages, overall))
    without = int((starts <= panel.periods.min(initial=np.inf)).sum()) if len(table) else 0
    left_out = int((cells.note == NO_CONTROL).sum())
    return GroupTimeEffects(cells.start, cells.period, effect, since, by_since, overall, left_out, without)


@dataclass(frozen=True)
class _Cells:
    """One entry per start group and period; ``influence`` has one row per entry and one column per site."""

    start: np.ndarray
    period: np.ndarray
    share: np.ndarray
    estimate: np.ndarray
    influence: np.ndarray
    note: np.ndarray


def _square(panel: Panel) -> np.ndarray:
    """The outcome by site and period; ValueError where a cell has no row or two."""
    n_rows = np.zeros((panel.n_sites, len(panel.periods)), dtype=int)
    np.add.at(n_rows, (panel.site, panel.place), 1)
    uneven = int((n_rows != 1).any(axis=1).sum())
    if uneven:
        raise ValueError(f"{uneven} sites lack a period or have two rows in one: give one mean per site and period, "
                         "and drop (and count) sites that lack one")
    table = np.empty(n_rows.shape)
    table[panel.site, panel.place] = panel.outcome
    return table


def _cells(panel: Panel, table: np.ndarray, starts: np.ndarray, control: str) -> _Cells:
    found, n, noise = [], len(table), _ROUNDING * np.abs(table).max(initial=0.0)
    for start in np.unique(starts[np.isfinite(starts)]):
        before = panel.periods[panel.periods < start]
        if not len(before):
            continue
        mine = starts == start
        for place in np.flatnonzero(panel.periods != before[-1]):
            last = max(panel.periods[place], before[-1])
            others = np.isinf(starts) if control == "never" else (starts > last) & ~mine
            change = table[:, place] - table[:, len(before) - 1]
            found.append((start, panel.periods[place], mine.mean(), *_compare(change, mine, others, noise)))
    parts = list(zip(*found, strict=True)) if found else [[]] * 6
    influence = np.array(parts[4], dtype=float).reshape(len(found), n)
    start, period, share, estimate = (np.array(part, dtype=float) for part in parts[:4])
    return _Cells(start, period, share, estimate, influence, np.array(parts[5], dtype=object))


def _compare(change: np.ndarray, mine: np.ndarray, others: np.ndarray, noise: float) -> tuple[float, np.ndarray, str]:
    """Mean change of some sites less that of others, each site's influence on it, and a note."""
    n = len(change)
    if not others.any():
        return np.nan, np.full(n, np.nan), NO_CONTROL
    means, parts = [], []
    for which in (mine, others):
        means.append(change[which].mean())
        gap = which * (change - means[-1])
        parts.append(np.where(np.abs(gap) > noise, gap, 0) * n / which.sum())      # rounding is no variation
    note = TWO_SITES if min(mine.sum(), others.sum()) < 2 else ""
    return means[0] - means[1], parts[0] - parts[1], note


def _average(cells: _Cells, starts: np.ndarray, use: np.ndarray) -> tuple[float, np.ndarray, str]:
    """Average of the entries in use that have a control, weighted by sites; the weights are estimates too."""
    use = use & (cells.note != NO_CONTROL)
    if not use.any():
        return np.nan, np.full(len(starts), np.nan), NO_CELL
    estimate, share = cells.estimate[use], cells.share[use]
    weight = share / share.sum()
    drift = (starts == cells.start[use][:, None]) - share[:, None]
    of_weight = drift / share.sum() - drift.sum(axis=0) * weight[:, None] / share.sum()
    note = TWO_SITES if (cells.note[use] == TWO_SITES).any() else ""
    return weight @ estimate, weight @ cells.influence[use] + estimate @ of_weight, note


def _stacked(parts: list[tuple[float, np.ndarray, str]], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    estimate, influence, note = zip(*parts, strict=True) if parts else ([], [], [])
    return np.array(estimate, dtype=float), np.array(influence).reshape(len(parts), n), np.array(note, dtype=object)


def _contrast(estimate, influence, note, level: float, method: str) -> Contrast:
    error = np.sqrt((influence**2).sum(axis=1)) / max(influence.shape[1], 1)
    alike = np.array([not text for text in note], dtype=bool) & (error == 0)
    found = normal_contrast(estimate, error, level, method, np.where(alike, ALIKE, note).astype(object))
    return warned(found, too_few("sites", SITES), influence.shape[1] < SITES)
