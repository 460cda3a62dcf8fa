"""Rules 1 to 3: what is hidden for its own sake, before anything else is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval.disclosure.cells import REASON, Cells
from therapyeval.disclosure.policy import Policy

COLUMNS = ("row", "n", "n_missing", "n_excluded", "n_people")


@dataclass(frozen=True)
class Hidden:
    """What is hidden so far, one entry per cell: `row` (everything in it), or single counts of it."""

    row: np.ndarray
    n: np.ndarray
    n_missing: np.ndarray
    n_excluded: np.ndarray
    n_people: np.ndarray

    def shows(self, column: str) -> np.ndarray:
        """Cells that still show that column."""
        return ~self.row & ~getattr(self, column)

    def also(self, blocks: pd.Series, **more: np.ndarray) -> Hidden:
        """This and more; rows of the same numbers stand or fall together (rule 2)."""
        return replace(self, **{name: getattr(self, name) | spread(mask, blocks) for name, mask in more.items()})


def spread(mask: np.ndarray, blocks: pd.Series) -> np.ndarray:
    """True in all rows of a block as soon as it is true in one."""
    code = blocks.to_numpy()
    return (np.bincount(code, weights=mask, minlength=code.max(initial=-1) + 1) > 0)[code]


def is_small(counts: pd.Series, policy: Policy) -> np.ndarray:
    """Counts of 1 to threshold - 1; 0 and unknown are not small."""
    return counts.between(1, policy.threshold - 1).to_numpy()


def is_share(rows: pd.DataFrame) -> pd.Series:
    """Rows whose numerator counts units out of the denominator, so that there is a complement."""
    k, n = rows["numerator"], rows["denominator"]
    counted = (k >= 0) & (k <= n) & (k % 1 == 0) & (n % 1 == 0)
    return counted & rows["statistic"].isin(["proportion", "ratio"])


def is_count(rows: pd.DataFrame) -> pd.Series:
    """Rows that are a count: flow steps, volumes."""
    return (rows["statistic"] == "count") & rows["numerator"].notna()


def hide_small(cells: Cells, policy: Policy) -> Hidden:
    """Rules 1 and 2: small counts of people, and all rows of the numbers that rest on them.

    Rule 1. A row is withheld when 1 to 10 people stand behind it, its numerator or its complement (counts
    of units where people are not known). The smallest and the largest value belong to one person each:
    always withheld. Rule 2. Small `n_missing` and `n_excluded` are hidden where they stand.
    """
    rows = cells.rows
    nobody = np.zeros(len(rows), dtype=bool)
    complement = rows["denominator"] - rows["numerator"]
    counted = is_share(rows) | is_count(rows) | (rows["kind"] == REASON)
    few = (is_small(rows["n"], policy) | is_small(rows["n_people"], policy)
           | is_small(rows["people_numerator"], policy) | is_small(rows["people_complement"], policy)
           | (is_small(rows["numerator"], policy) & counted)
           | (is_small(rows["denominator"], policy) & is_share(rows))
           | (is_small(complement, policy) & is_share(rows))
           | rows["statistic"].isin(["min", "max"]) | rows["few_staff"])
    missing, excluded = (is_small(rows[name], policy) | is_small(rows[f"people_{name}"], policy)
                         for name in ("n_missing", "n_excluded"))
    return Hidden(nobody, nobody, nobody, nobody, nobody).also(
        rows["block"], row=few & (rows["contrast"] == "").to_numpy(), n_missing=missing, n_excluded=excluded)


def hide_near_counts(cells: Cells, hidden: Hidden, policy: Policy) -> Hidden:
    """Rule 3: of two counts at one address that differ by 1 to 10, only the larger is shown.

    The difference would be the count of those without a value, left out or lost between two steps. Counts are
    taken from the largest down (so rows about all eligible stay and rows about those with a value go). A row
    whose own count is too near is withheld; one whose eligible or total only is too near loses `n_missing` or
    `n_excluded`; one whose people are too near to other people, or to its own units, loses `n_people`.
    """
    sizes = _sizes(cells.rows)
    near = {name: np.zeros(len(cells.rows), dtype=bool) for name in COLUMNS}
    kept: dict[tuple, list[_Kept]] = {}
    for row in sizes[hidden.shows("row")[sizes["cell"]]].itertuples(index=False):
        here = kept.setdefault((row.address, row.population), [])
        others = [other for other in here if other.is_comparable(row)]
        if _is_near(row.size, {size for other in others for size in other.sizes}, policy):
            near["row"][row.cell] = True
            continue
        shown = _Kept(row.measure, row.eligible, {row.size}, {row.n_people})
        if row.n != row.size and _is_near(row.n, {row.size}, policy):
            near["n"][row.cell] = near["n_people"][row.cell] = True
        for name, size in (("n_missing", row.eligible), ("n_excluded", row.total)):
            if near["n_missing"][row.cell] or not hidden.shows(name)[row.cell] or np.isnan(size):
                break
            if _is_near(size, {size for other in others for size in other.sizes}, policy):
                near[name][row.cell] = True
            else:
                shown.sizes.add(size)
        if _is_near(row.n_people, {people for other in others for people in other.people} | {row.n}, policy):
            near["n_people"][row.cell] = True
            shown.people.clear()
        if shown not in here:
            here.append(shown)
    return hidden.also(cells.rows["block"], **near)


def hide_near_visits(cells: Cells, hidden: Hidden, policy: Policy) -> Hidden:
    """Rule 3 for shares by several visits: those counted by an earlier one are among those of a later one.

    Of two numerators that differ by 1 to 10, only the larger is shown: the difference is the count of those between.
    """
    rows, near = cells.rows, np.zeros(len(cells.rows), dtype=bool)
    shown = rows[rows["by_when"].notna() & is_share(rows) & hidden.shows("row")].sort_values(
        "numerator", ascending=False, kind="stable")
    kept: dict[tuple, set[float]] = {}
    for row in shown.itertuples():
        here = kept.setdefault((row.address, row.population, row.metric.partition(",")[0], row.level, row.estimand),
                               set())
        if _is_near(row.numerator, here, policy):
            near[row.Index] = True
        else:
            here.add(row.numerator)
    return hidden.also(rows["block"], row=near)


@dataclass
class _Kept:
    """The counts that a row shows, and whom they are about."""

    measure: str
    eligible: float
    sizes: set[float]
    people: set[float]

    def is_comparable(self, row: tuple) -> bool:
        """Only rows of two instruments with different numbers eligible are about different people."""
        return (not self.measure or not row.measure or self.measure == row.measure
                or self.eligible == row.eligible or np.isnan(self.eligible) or np.isnan(row.eligible))


def _sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """How many units each row is about, largest first."""
    size = rows["n"].mask(is_share(rows) & (rows["statistic"] == "proportion"), rows["denominator"])
    size = size.mask(is_count(rows), rows["numerator"])
    eligible = rows["n"] + rows["n_missing"]
    found = rows[["address", "population", "measure", "n", "n_people"]].assign(
        cell=np.arange(len(rows)), size=size, eligible=eligible, total=eligible + rows["n_excluded"])
    plain = (rows["kind"] != REASON) & (rows["contrast"] == "") & (size > 0)
    counted = ["size", "eligible", "total", "n", "n_people"]
    once = ~found.assign(block=rows["block"]).duplicated(["block", *counted])
    return found[plain & once].sort_values("size", ascending=False, kind="stable")


def _is_near(size: float, others: set[float], policy: Policy) -> bool:
    return any(1 <= abs(size - other) < policy.threshold for other in others)
