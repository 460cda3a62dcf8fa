"""Rule 4, last step: what was hidden only to protect another count, but follows from what is shown, is shown.

It tells the reader of the attack nothing new: where a count is the same in every possible table, the possible
tables are the same with it and without it. So no protected count loses a possible value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from therapyeval.disclosure.attack import NEIGHBORS, TOLERANCE, peel
from therapyeval.disclosure.cells import REASON, Cells
from therapyeval.disclosure.equations import Equations
from therapyeval.disclosure.small import COLUMNS, Hidden, is_count, is_share, spread

COUNT_COLUMNS = tuple(name for name in COLUMNS if name != "row")


def show_followers(cells: Cells, equations: Equations, own: Hidden, hidden: Hidden) -> Hidden:
    """Show again what rule 4 hid, where the sums give it exactly; never what rules 1 to 3 hid (`own`).

    A row comes back only where all that it shows follows: counts and shares, not means, whose n may follow but not
    they. Rows of the same numbers come back together; a count beside a row comes back by itself.
    """
    follows = determined(equations, equations.known(hidden)) & ~equations.protect
    told = _told(cells, equations, follows)
    is_reason = (cells.rows["kind"] == REASON).to_numpy()
    returns = hidden.row & ~own.row & told["row"] & (told["n"] | is_reason) & _is_plain(cells)
    returns &= ~spread(hidden.row & ~returns, cells.rows["block"])
    masks = {}
    for name in COUNT_COLUMNS:
        kept = getattr(hidden, name) & (getattr(own, name) | ~told[name])
        masks[name] = spread(np.where(returns, getattr(own, name) | ~told[name], kept), cells.rows["block"])
    return replace(hidden, row=hidden.row & ~returns, **masks)


def determined(equations: Equations, known: np.ndarray) -> np.ndarray:
    """Variables that are known or have one value in all tables that fulfil the sums (bounds are not used).

    Sums that hang together with more than NEIGHBORS unknowns are only peeled.
    """
    while True:
        known = peel(equations, known).known
        solved = equations.with_twins(known | _solved(equations, known))
        if (solved == known).all():
            return known
        known = solved


def _solved(equations: Equations, known: np.ndarray) -> np.ndarray:
    """Unknowns whose value follows from several sums at once: those that no solution of the sums moves."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    solved = np.zeros(len(known), dtype=bool)
    terms = equations.terms[~known[equations.terms["variable"].to_numpy()]]
    if terms.empty:
        return solved
    variables, column = np.unique(terms["variable"].to_numpy(), return_inverse=True)
    sums, row = np.unique(terms["equation"].to_numpy(), return_inverse=True)
    matrix = csr_array((terms["sign"].to_numpy(float), (row, column)), shape=(len(sums), len(variables)))
    part = connected_components(abs(matrix).T @ abs(matrix), directed=False)[1]
    of_sum = np.full(len(sums), 0)
    of_sum[row] = part[column]
    columns, rows = np.argsort(part, kind="stable"), np.argsort(of_sum, kind="stable")
    sizes, heights = np.bincount(part), np.bincount(of_sum, minlength=part.max() + 1)
    starts, tops = np.cumsum(sizes) - sizes, np.cumsum(heights) - heights
    for number in np.flatnonzero((sizes > 1) & (sizes <= NEIGHBORS) & (heights > 1)):
        these = columns[starts[number]:starts[number] + sizes[number]]
        block = matrix[rows[tops[number]:tops[number] + heights[number]]][:, these].toarray()
        solved[variables[these]] = _fixed(block)
    return solved


def _fixed(matrix: np.ndarray) -> np.ndarray:
    """Columns that are 0 in every solution of matrix @ x = 0.

    >>> _fixed(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]))
    array([False, False,  True])
    """
    _, sizes, directions = np.linalg.svd(matrix)
    free = directions[int((sizes > TOLERANCE).sum()):]
    return (np.abs(free) < TOLERANCE).all(axis=0)


def _told(cells: Cells, equations: Equations, follows: np.ndarray) -> dict[str, np.ndarray]:
    """Per column, the cells of which every count in that column follows (a reason's people are in no sum: never)."""
    every, told = np.arange(len(cells.rows)), {}
    for name in COLUMNS:
        found = equations.shown_by[equations.shown_by["column"] == name]
        lacking = found.loc[~follows[found["variable"].to_numpy()], "cell"]
        told[name] = np.isin(every, found["cell"]) & ~np.isin(every, lacking)
    return told


def _is_plain(cells: Cells) -> np.ndarray:
    """Rows that say nothing but counts and what is worked out from them: reasons, counts, and shares of units."""
    rows = cells.rows
    share = is_share(rows) & (rows["statistic"] == "proportion")
    return (((rows["kind"] == REASON) | is_count(rows) | share) & (rows["contrast"] == "")).to_numpy(bool)
