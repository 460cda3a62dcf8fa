"""Rule 4: hide more until nothing hidden can be worked out."""

from __future__ import annotations

import numpy as np

from therapyeval.disclosure.attack import NONE, Attack, Peeled, peel
from therapyeval.disclosure.cells import Cells
from therapyeval.disclosure.equations import PART, TOTAL, WITHIN, Equations, write_equations
from therapyeval.disclosure.followers import show_followers
from therapyeval.disclosure.policy import Policy
from therapyeval.disclosure.small import Hidden


def hide_until_safe(cells: Cells, hidden: Hidden, policy: Policy) -> Hidden:
    """Rule 4: attack what is shown; where a protected count follows, hide one more cell; until none follows.

    A count that follows from a sum as its only unknown costs the smallest shown part of that sum, or its total
    where no part is left. A count that keeps fewer than `min_spread` values costs the total first. A count that
    one table hides and another shows is hidden in both. In the end, what was hidden only for the sake of others and
    follows all the same is shown again.
    """
    own, equations = hidden, write_equations(cells, policy)
    sums, attack = _Sums(equations), Attack(equations, policy.min_spread)
    while True:
        known = equations.known(hidden)
        readable = equations.with_twins(equations.readable(hidden))
        peeled = peel(equations, known)
        if (equations.protect & readable).any():
            chosen = set(np.flatnonzero(equations.protect & readable))
        elif (equations.protect & peeled.known).any():
            exposed = np.flatnonzero(equations.protect & peeled.known)
            chosen = {sums.mate(variable, known, peeled, readable) for variable in exposed}
        else:
            held = attack.narrowed(peeled.known)
            chosen = {sums.total_first(variable, by, known, readable) for variable, by in held.items()}
        chosen.discard(NONE)
        if not chosen:
            return show_followers(cells, equations, own, hidden)
        hidden = _hide(equations, hidden, cells, chosen)


def _hide(equations: Equations, hidden: Hidden, cells: Cells, chosen: set[int]) -> Hidden:
    """Hide all cells that show the chosen variables or twins: the row, or only a count beside it."""
    both = np.flatnonzero(np.isin(equations.twin, equations.twin[list(chosen)]))
    shown_by = equations.shown_by[equations.shown_by["variable"].isin(both)]
    more = {}
    for column in ("row", "n_missing", "n_excluded", "n_people"):
        mask = np.zeros(len(cells.rows), dtype=bool)
        columns = ("row", "n") if column == "row" else (column,)
        mask[shown_by.loc[shown_by["column"].isin(columns), "cell"].to_numpy()] = True
        more[column] = mask
    return hidden.also(cells.rows["block"], **more)


class _Sums:
    """The equations, ready to be walked from variable to equation and back."""

    def __init__(self, equations: Equations) -> None:
        terms = equations.terms
        self.equations = equations
        self.variable, self.role = terms["variable"].to_numpy(), terms["role"].to_numpy()
        self.equation = terms["equation"].to_numpy()
        self.start = np.searchsorted(self.equation, np.arange(self.equation.max(initial=-1) + 2))
        self.by_variable = np.argsort(self.variable, kind="stable")
        self.start_of = np.searchsorted(self.variable[self.by_variable], np.arange(len(equations.value) + 1))

    def mate(self, variable: int, known: np.ndarray, peeled: Peeled, readable: np.ndarray) -> int:
        """The shown count to hide along with one that follows: the smallest part, else the total."""
        candidates, steps, seen = [], [variable], {variable}
        while steps:
            step = steps.pop()
            if peeled.same_as[step] != NONE:
                seen.add(peeled.same_as[step])
                steps.append(peeled.same_as[step])
                continue
            for other, role in self._terms(peeled.follows_from[step]):
                if known[other]:
                    candidates.append(((PART, TOTAL, WITHIN).index(role), other))
                elif other not in seen:
                    seen.add(other)
                    steps.append(other)
        return self._best(candidates, readable)

    def total_first(self, variable: int, held_by: np.ndarray, known: np.ndarray, readable: np.ndarray) -> int:
        """The shown count to hide where one is too narrow: in the sums that hold it a total, else the smallest part.

        Where these show nothing, in the sums around it, and then further away.
        """
        seen, ring, sums = {variable}, [variable], set(held_by)
        while ring:
            found = [(role, other) for equation in sums for other, role in self._terms(equation)]
            best = self._best([((TOTAL, PART, WITHIN).index(role), other) for role, other in found if known[other]],
                              readable)
            if best != NONE:
                return best
            sums = {equation for inner in ring for equation in self._equations(inner)}
            ring = list({other for equation in sums for other, _ in self._terms(equation)
                         if not known[other]} - seen)
            seen.update(ring)
        return NONE

    def _best(self, candidates: list[tuple[int, int]], readable: np.ndarray) -> int:
        """Of the counts that some cell shows: by role, then the smallest."""
        value = self.equations.value
        ranked = sorted((rank, value[other], other) for rank, other in candidates if readable[other] and value[other])
        return int(ranked[0][2]) if ranked else NONE

    def _terms(self, equation: int) -> list[tuple[int, int]]:
        these = slice(self.start[equation], self.start[equation + 1])
        return list(zip(self.variable[these], self.role[these], strict=True))

    def _equations(self, variable: int) -> np.ndarray:
        return self.equation[self.by_variable[self.start_of[variable]:self.start_of[variable + 1]]]
