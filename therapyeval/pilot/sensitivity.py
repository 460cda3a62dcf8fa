"""How far the people without a score would have to differ for the reading of a pilot to change.

Worked out from released Results only, so nothing hidden can come back here.
Source: pilot study requirements, section 7 (delta-adjusted tipping point, worst-case responders).

The tipping point of a score shifts the missing of the group named first by delta against those observed in it: the
difference over everybody allocated is then `estimate + share missing * delta`, and the interval moves with it without
becoming wider. The tipping point of responders is a number of people: how many more, in the group that did worse, would
have to be responders after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval import stats
from therapyeval.display.cells import Record, first, has_interval, records
from therapyeval.formatting import WITHHELD, is_missing
from therapyeval.metrics import parse
from therapyeval.result import MISSING_NOT_ACHIEVED, Result, make_frame

REACHES_ZERO, LEAVES_ZERO, REACHES_MCID = "interval reaches 0", "interval excludes 0", "interval reaches one MCID"
DELTA, COUNT = "shift of the missing, interval of the same width", "responders counted anew, Newcombe hybrid score"


def tipping_points(effects: Result, flow: Result, rates: Result | None, pairs: Mapping[str, tuple[str, str]],
                   mcids: Mapping[str, float | None]) -> Result | None:
    """One row for each protocol analysis and limit: `estimate` is the tipping point, in points or in people.

    Parameters
    ----------
    effects, flow, rates : released; `rates` has the responders by arm
    pairs : contrast -> codes of the two arms
    mcids : measure -> MCID or None

    Returns
    -------
    Result
        `level` says what the interval would reach, `arm` whose missing are shifted or whose responders are counted
        anew; `n_missing` counts those missing. A positive shift means "better than those observed". NaN with a note
        where something it needs is withheld. No rows where nobody is missing and no group has more responders.
    """
    rows = [*_score_rows(effects, flow, pairs, mcids), *_responder_rows(rates, pairs)]
    if not rows:
        return None
    return replace(flow, frame=make_frame(rows, flow.by), title="What would change the reading", people=None)


def shift_needed(limit: float, target: float, share_missing: float) -> float:
    """Points by which the missing must differ from those observed, for a limit of the interval to come to `target`.

    >>> shift_needed(1.5, 0.0, 0.25), shift_needed(8.5, 10.0, 0.25)
    (-6.0, 6.0)
    """
    return (target - limit) / share_missing


def worse_of(k: tuple[int, int], n: tuple[int, int]) -> int:
    """Position of the group with the smaller share."""
    return 1 if k[0] / n[0] > k[1] / n[1] else 0


def more_responders(k: tuple[int, int], n: tuple[int, int]) -> int:
    """How many more responders in the worse of two groups bring 0 into the interval of the difference.

    >>> more_responders((68, 47), (128, 117)), more_responders((5, 5), (20, 20))
    (1, 0)
    """
    worse = worse_of(k, n)
    extra = np.arange(n[worse] - k[worse] + 1)
    tried = np.repeat([k], len(extra), axis=0)
    tried[:, worse] += extra
    codes = [(2 * i, 2 * i + 1) for i in range(len(extra))]
    found = stats.risk_difference(tried.ravel(), np.tile(n, len(extra)), codes)
    return int(np.argmax((found.low <= 0) & (found.high >= 0)))


def _score_rows(effects: Result, flow: Result, pairs: Mapping[str, tuple[str, str]],
                mcids: Mapping[str, float | None]) -> Iterable[dict]:
    seen = set()
    for row in records(effects):
        key = (row["metric"], row["contrast"])
        if key in seen or row["unit"] == "MCID" or row["contrast"] not in pairs:
            continue        # the protocol's own analysis comes first
        seen.add(key)
        code = parse(row["metric"]).measure
        arm = pairs[row["contrast"]][0]
        lost = first(flow, metric=f"with_outcome:{code}", arm=arm)
        yield from _shifts(row, arm, lost, mcids.get(code))


def _shifts(row: Record, arm: str, lost: Record | None, mcid: float | None) -> Iterable[dict]:
    """The limit nearer to 0 brought to 0 (from either side), and an interval without the MCID brought to the MCID."""
    shared = {"arm": arm, "metric": row["metric"], "contrast": row["contrast"], "statistic": "tipping_point",
              "unit": row["unit"], "method": DELTA}
    hidden = lost is None or is_missing(lost["n"]) or is_missing(lost["n_missing"])
    if hidden or not has_interval(row):
        yield {**shared, "estimate": np.nan, "note": WITHHELD if hidden else "no interval"}
        return
    n_missing, n = int(lost["n_missing"]), int(lost["n"]) + int(lost["n_missing"])
    if not n_missing:
        return
    shared |= {"n": n, "n_missing": n_missing}
    low, high, share = row["conf_low"], row["conf_high"], n_missing / n
    yield {**shared, "level": LEAVES_ZERO if low <= 0 <= high else REACHES_ZERO,
           "estimate": shift_needed(min(low, high, key=abs), 0.0, share)}
    side = -mcid if mcid and high < 0 else mcid
    if side and not low <= side <= high:
        yield {**shared, "level": REACHES_MCID, "estimate": shift_needed(low if low > side else high, side, share)}


def _responder_rows(rates: Result | None, pairs: Mapping[str, tuple[str, str]]) -> Iterable[dict]:
    for metric in dict.fromkeys(row["metric"] for row in records(rates)):
        for contrast, arms in pairs.items():
            found = [first(rates, metric=metric, arm=arm, estimand=MISSING_NOT_ACHIEVED, statistic="proportion")
                     for arm in arms]
            shared = {"arm": None, "metric": metric, "contrast": contrast, "statistic": "tipping_point",
                      "estimand": MISSING_NOT_ACHIEVED, "unit": "people", "method": COUNT, "level": REACHES_ZERO}
            if any(row is None or is_missing(row["numerator"]) for row in found):
                yield {**shared, "estimate": np.nan, "note": WITHHELD, "n": pd.NA}
                continue
            k, n = (tuple(int(row[name]) for row in found) for name in ("numerator", "denominator"))
            needed = more_responders(k, n)
            if needed:
                worse = worse_of(k, n)
                yield {**shared, "arm": arms[worse], "estimate": float(needed), "n": n[worse]}
