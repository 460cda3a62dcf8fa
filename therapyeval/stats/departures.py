"""What if the missing differ from those like them: imputed values shifted, worst and best case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.contrasts import Contrast, check_pairs, no_contrast
from therapyeval.stats.imputation import Imputations
from therapyeval.stats.pooling import pool

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TippingPoint:
    """What becomes of a contrast as imputed values are shifted.

    Attributes
    ----------
    delta : array of float: the shifts, in the unit of the outcome
    effects : Contrast, one pooled entry per shift
    tipping : the smallest shift that changes the verdict; NaN where there is none
    note : "" or why tipping is NaN
    """

    delta: np.ndarray
    effects: Contrast
    tipping: float
    note: str


def tipping_point(
    imputations: Imputations,
    arm: np.ndarray,
    outcome: str,
    estimator: Callable[[pd.DataFrame], Contrast],
    deltas: Sequence[float],
    *,
    target: float | None = None,
    conf_level: float = 0.95,
) -> TippingPoint:
    """Shift the imputed outcomes of one arm by delta until the verdict changes (delta-adjusted sensitivity analysis).

    The verdict is whether the pooled interval lies above the target, below it, or holds it. Every shift is analyzed
    and pooled anew, so the interval widens as the shift makes the arm differ within itself. Between the two shifts
    where the verdict changes the tipping point is searched for to a millionth of their distance. Whether people without
    an outcome can have differed so much from similar people with one is for clinicians to judge.

    Parameters
    ----------
    imputations : from `impute`, two or more
    arm : array of bool, one per row: whose imputed outcomes are shifted
    outcome : name of a numeric column
    estimator : complete frame -> Contrast with one pair
    deltas : shifts to try, in the unit of the outcome; 0 is added. Scores may leave their range: choose shifts that do
        not take them far out of it
    target : no effect, or a margin; by default 0, for ratios 1
    conf_level : as in `pool`; the estimator has the same level

    Returns
    -------
    TippingPoint
        Shifts in rising order. Tipping is NaN where no outcome of the arm was missing, there are no imputations, no
        shift tried changes the verdict, or a pooled interval is missing; the note says so.

    Raises
    ------
    ValueError
        Where the arm does not fit the rows, the outcome is not a numeric column, a shift is missing or infinite, or the
        estimator gives more than one pair.

    Complexity: imputations times (shifts + about ten) calls of the estimator.

    Source: Cro et al. (2020), Stat Med 39:2815-2842; van Buuren (2018), Flexible Imputation of Missing
    Data, section 9.2.
    """
    deltas = np.unique(np.r_[np.asarray(deltas, dtype=float), 0.0])
    arm = np.asarray(arm)
    if not np.isfinite(deltas).all():
        raise ValueError("deltas must be numbers, neither missing nor infinite")
    if arm.dtype != bool or arm.shape != (len(imputations.missing),) or outcome not in imputations.missing:
        raise ValueError("tipping_point() needs a bool per row in arm, and the name of a column as outcome")
    rows = arm & imputations.missing[outcome].to_numpy()
    if imputations.note or not rows.any():
        note = imputations.note or "no outcome of the arm was missing"
        return TippingPoint(deltas, no_contrast(len(deltas), "", note), np.nan, note)

    def shifted(delta: float) -> Contrast:
        found = [estimator(_shift(frame, rows, outcome, delta)) for frame in imputations.frames]
        if len(found[0].estimate) != 1:
            raise ValueError("tipping_point() needs an estimator with one pair")
        return pool(found, conf_level=conf_level).effect

    effects = _joined([shifted(delta) for delta in deltas])
    target = float(effects.scale == "log") if target is None else target
    tipping, note = _search(deltas, effects, shifted, target)
    return TippingPoint(deltas, effects, tipping, note)


def extreme_cases(
    values: np.ndarray,
    group: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    estimator: Callable[..., Contrast],
    *,
    lowest: float | np.ndarray,
    highest: float | np.ndarray,
) -> tuple[Contrast, Contrast]:
    """The least and the largest difference a - b that any missing outcomes could make: worst and best case.

    For the least, everybody without an outcome has the lowest value in a and the highest in b; for the largest, the
    other way round. Between the two lies every complete-data estimate of a difference of plain means or shares.
    Rows of other groups without an outcome are left out.

    Parameters
    ----------
    values : array of float, NaN where missing
    group : array of int, one code from 0 per value
    pairs : list of (code_a, code_b)
    estimator : (values, group, pairs) -> Contrast, such as `welch`
    lowest, highest : the ends of the scale, or 0 and 1; or an array each, where the ends differ by row (of a change
        in score they depend on the baseline). NaN where the row has a value and the end does not matter

    Returns
    -------
    (least, largest) : Contrasts, as the estimator makes them, one entry per pair

    Raises
    ------
    ValueError
        Where lengths differ, a value is infinite or lies outside the ends, or lowest is not below highest.

    Source: Horowitz and Manski (2000), J Am Stat Assoc 95:77-84.

    >>> from therapyeval.stats import welch
    >>> score, arm = np.array([6.0, 8, np.nan, 3, 5, np.nan]), np.repeat([1, 0], 3)
    >>> least, largest = extreme_cases(score, arm, [(1, 0)], welch, lowest=0, highest=10)
    >>> least.estimate.round(3), largest.estimate.round(3)
    (array([-1.333]), array([5.333]))
    """
    values, group = np.asarray(values, dtype=float), np.asarray(group)
    check_pairs(pairs)
    if values.shape != group.shape or values.ndim != 1:
        raise ValueError(f"group has shape {group.shape}, but values has {values.shape}")
    if np.ndim(lowest) == np.ndim(highest) == 0 and not lowest < highest:
        raise ValueError("extreme_cases() needs lowest below highest")
    lowest, highest = (np.broadcast_to(np.asarray(end, dtype=float), values.shape) for end in (lowest, highest))
    gaps = np.isnan(values)
    if not np.isfinite([lowest[gaps], highest[gaps]]).all() or (lowest > highest).any() or np.isinf(values).any():
        raise ValueError("extreme_cases() needs finite values, and lowest below highest")
    if ((values < lowest) | (values > highest)).any():
        raise ValueError("extreme_cases() needs every value between lowest and highest")
    found = []
    for in_a, in_b in ((lowest, highest), (highest, lowest)):
        entries = []
        for a, b in pairs:
            filled = np.where(np.isnan(values) & (group == a), in_a, values)
            filled = np.where(np.isnan(filled) & (group == b), in_b, filled)
            use = ~np.isnan(filled)
            entries.append(estimator(filled[use], group[use], [(a, b)]))
        found.append(_joined(entries))
    return found[0], found[1]


def _shift(frame: pd.DataFrame, rows: np.ndarray, outcome: str, delta: float) -> pd.DataFrame:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(frame[outcome]):
        raise ValueError(f"outcome {outcome!r} is not a number: only numbers can be shifted")
    return frame.assign(**{outcome: frame[outcome].to_numpy(dtype=float) + delta * rows})


def _joined(entries: list[Contrast]) -> Contrast:
    """One contrast from several."""
    numbers = (np.concatenate([getattr(one, name) for one in entries])
               for name in ("estimate", "low", "high", "p_value", "df"))
    return Contrast(*numbers, entries[0].method, np.concatenate([one.note for one in entries]), entries[0].scale,
                    entries[0].df_residual)


def _verdict(effects: Contrast, target: float) -> np.ndarray:
    """1 above the target, -1 below it, 0 where the interval holds it."""
    return (effects.low > target).astype(int) - (effects.high < target)


def _search(deltas, effects, shifted, target: float) -> tuple[float, str]:
    """The smallest shift, to either side, at which the verdict of no shift is lost."""
    from scipy.optimize import brentq

    if np.isnan(effects.low).any():
        return np.nan, effects.note[np.isnan(effects.low)][0]
    verdict, origin = _verdict(effects, target), int(np.searchsorted(deltas, 0.0))
    found = []
    for side in (1, -1):
        place = origin
        while 0 <= place + side < len(deltas) and verdict[place + side] == verdict[origin]:
            place += side
        if not 0 <= place + side < len(deltas):
            continue
        now, then = verdict[origin], verdict[place + side]
        limit = "low" if now == 1 or then == 1 and now == 0 else "high"
        ends = deltas[place], deltas[place + side]
        found.append(brentq(lambda delta, limit=limit: getattr(shifted(delta), limit)[0] - target, *ends,
                            xtol=1e-6 * abs(ends[1] - ends[0])))
    if not found:
        return np.nan, "no shift tried changes the verdict"
    return float(min(found, key=abs)), ""
