"""`release`: a linked set of Results, without what its policy hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.disclosure.cells import REASON, ROW, Cells, collect
from therapyeval.disclosure.contrasts import hide_contrasts
from therapyeval.disclosure.policy import Policy, named_policy
from therapyeval.disclosure.repair import hide_until_safe
from therapyeval.disclosure.small import Hidden, hide_near_counts, hide_near_visits, hide_small
from therapyeval.errors import ParameterError
from therapyeval.formatting import WITHHELD
from therapyeval.result import AMOUNTS, COUNTS, NUMBERS, Result

STAFF = "staff"             # the column that names a clinician
OF_PERIODS = "periods"      # the population of a chart's limits and signals


def release(results: Sequence[Result], policy: Policy | str, ledger: object = None) -> list[Result]:
    """Release Results that will be seen together, as one linked set: what one hides, no other gives away.

    Parameters
    ----------
    results : all tables of a report or an answer; never one by one
    policy : "cms_11", "internal" or "public", or a Policy from `choose_policy`
    ledger : comes with a later version

    Returns
    -------
    list of Result
        In the same order, with the same rows and columns. Hidden cells are missing and their row's note says
        "withheld"; `policy` is set; the people behind the rows are gone.

    Raises
    ------
    ParameterError
        For Results that were released before, for a ledger, and for tables by clinician.

    Source: CMS cell size suppression policy (threshold 11); rules 1 to 5 in docs/privacy.md.
    """
    results = list(results)
    policy = named_policy(policy) if isinstance(policy, str) else policy
    _check(results, policy, ledger)
    if not policy.suppresses:
        return [replace(result, people=None, policy=policy.name) for result in results]
    cells = collect(results)
    if not len(cells.rows):
        return [replace(result, people=None, policy=policy.name) for result in results]
    hidden = hide_small(cells, policy)
    hidden = hide_near_visits(cells, hide_near_counts(cells, hidden, policy), policy)
    hidden = hide_until_safe(cells, hidden, policy)
    hidden, bare = hide_contrasts(results, cells, hidden, policy)
    return [_without(result, _of(number, ROW, cells, hidden, bare), _of(number, REASON, cells, hidden, bare), policy)
            for number, result in enumerate(results)]


def _check(results: Sequence[Result], policy: Policy, ledger: object) -> None:
    if ledger is not None:
        raise ParameterError("release(ledger=...) comes with a later version. Leave ledger out.")
    for result in results:
        if result.source.population == OF_PERIODS:
            raise ParameterError(f"{result.title!r} is made from the points of a chart, and would give a withheld "
                                 "point away. Release chart.points and call chart.with_points(released).")
        if policy.suppresses and STAFF in {*result.by, *result.source.filters}:
            raise ParameterError(f"{result.title!r} is about single clinicians: tables by {STAFF} are off by default. "
                                 "Group by site_id or discipline instead, or ask for the policy internal by name.")
        if result.policy is not None:
            raise ParameterError(f"{result.title!r} was released under {result.policy} before. Release the Results "
                                 "that were computed, all at once.")


def _of(number: int, kind: str, cells: Cells, hidden: Hidden, bare: np.ndarray) -> pd.DataFrame:
    """What is hidden in one table: a True or False per row and group of columns, in the table's own order."""
    mine = np.flatnonzero((cells.rows["result"] == number) & (cells.rows["kind"] == kind))
    masks = {"row": hidden.row, "bare": bare, "staff": cells.rows["staff"].to_numpy(),
             **{name: getattr(hidden, name) for name in COUNTS}}
    found = pd.DataFrame({name: mask[mine] for name, mask in masks.items()})
    return found.set_axis(cells.rows["place"].to_numpy()[mine]).sort_index()


def _without(result: Result, in_rows: pd.DataFrame, in_reasons: pd.DataFrame, policy: Policy) -> Result:
    """The Result with hidden cells missing."""
    frame, exclusions = result.frame.copy(), result.exclusions
    anything = np.zeros(len(frame), dtype=bool)
    for name in (*NUMBERS, *AMOUNTS, *COUNTS) if in_rows.to_numpy(bool).any() else ():
        mask = in_rows["row"].to_numpy(bool)
        if name in AMOUNTS or name in COUNTS or name == "p_value":
            mask = mask | in_rows["bare"].to_numpy(bool)
        if name in AMOUNTS:
            mask = mask | in_rows["staff"].to_numpy(bool)       # sums of minutes would give a withheld row away
        if name in COUNTS:
            mask = mask | in_rows[name].to_numpy(bool)
        if mask.any():
            frame[name] = frame[name].mask(mask, np.nan if name in NUMBERS else pd.NA)
            anything |= mask
    frame["note"] = [_noted(note, partly=not whole) if some else note for note, whole, some
                     in zip(frame["note"], in_rows["row"], anything, strict=True)]
    frame["note"] = frame["note"].astype("str")
    if len(exclusions):
        counts = {name: pd.to_numeric(exclusions[name]).astype("Int64") for name in ("n", "n_people")}
        few, people = (in_reasons[name].to_numpy(bool) for name in ("row", "n_people"))
        exclusions = exclusions.assign(n=counts["n"].mask(few, pd.NA),
                                       n_people=counts["n_people"].mask(few | people, pd.NA))
    return replace(result, frame=frame, exclusions=exclusions, people=None, policy=policy.name)


def _noted(note: str, *, partly: bool) -> str:
    """The note of a row with something hidden; an older note stays only where it can tell no number."""
    keeps = partly and note and not any(character.isdigit() for character in note)
    return f"{note}; {WITHHELD}" if keeps else WITHHELD
