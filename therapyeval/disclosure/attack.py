"""The attack: what can be worked out from the shown counts, by adding and subtracting.

First by hand (`peel`): a sum with one unknown gives it. Then by linear programming (`Attack.narrowed`): between
which bounds can a hidden count lie, given all sums at once? Both work on distances from the truth, so the truth
is always 0 and every sum is 0. Possible tables that were found stay possible when more is hidden, so they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from therapyeval.disclosure.equations import Equations

GUESSES = 6        # programs with random weights, which show most counts to be safe all at once
MANY = 50          # counts in doubt that are worth a guess; fewer are looked at one by one
REACH = 60.0       # how far from the truth a program looks; only a little more than a threshold is needed
NEIGHBORS = 400    # unknowns around one count that may move when it is looked at alone; the others stand still
NONE = -1
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Peeled:
    """What follows from what is known.

    Attributes
    ----------
    known : the variables known in the end
    follows_from : per variable, the equation that gave it, or NONE
    same_as : per variable, the twin that gave it, or NONE
    """

    known: np.ndarray
    follows_from: np.ndarray
    same_as: np.ndarray


def peel(equations: Equations, known: np.ndarray) -> Peeled:
    """Counts that follow one after the other, from sums with a single unknown and from twins."""
    terms, known = equations.terms, known.copy()
    equation, variable = (terms[name].to_numpy() for name in ("equation", "variable"))
    follows_from, same_as = np.full(len(known), NONE), np.full(len(known), NONE)
    while True:
        open_terms = ~known[variable]
        unknowns = np.bincount(equation[open_terms], minlength=equation.max(initial=-1) + 1)
        single = open_terms & (unknowns[equation] == 1)
        if not single.any():
            return Peeled(known, follows_from, same_as)
        found = variable[single]
        follows_from[found] = equation[single]
        known[found] = True
        source = np.full(equations.twin.max() + 1, NONE)
        source[equations.twin[found]] = found
        twins = equations.with_twins(known) & ~known
        same_as[twins] = source[equations.twin[twins]]
        known |= twins


class Attack:
    """The bounds between which hidden counts are known to be able to move."""

    def __init__(self, equations: Equations, min_spread: int) -> None:
        self.equations, self.min_spread = equations, min_spread
        self.least = np.maximum(equations.low - equations.value, -REACH)
        self.most = np.minimum(equations.high - equations.value, REACH)
        self.low, self.high = np.zeros(len(self.least)), np.zeros(len(self.most))

    def narrowed(self, known: np.ndarray) -> dict[int, np.ndarray]:
        """Protected unknown counts for which fewer than `min_spread` values were found to be possible.

        With each, the equations that hold it (those with a shadow price in the linear program).
        """
        program = _Program.of_unknowns(self, known)
        doubtful = self._doubtful(known, program)
        generator = np.random.default_rng(20260701)
        for guess in range(GUESSES):
            if doubtful.sum() <= MANY:
                break
            program = program.parts_with(doubtful)
            weights = generator.uniform(-1, 1, len(known)) if guess > 1 else np.full(len(known), (-1.0) ** guess)
            self._move(program, weights * doubtful)
            doubtful &= ~self._wide()
        return {int(variable): held for variable in np.flatnonzero(doubtful)
                if (held := self._held(variable, program.around(variable))) is not None}

    def _held(self, variable: int, program: _Program) -> np.ndarray | None:
        """The equations that hold one count between too narrow bounds; None where its bounds are wide."""
        held = []
        for sign in (1.0, -1.0):
            if not self._wide()[variable]:
                prices = self._move(program, sign * (np.arange(len(self.low)) == variable))
                held.append(program.equations[np.abs(prices) > TOLERANCE])
        return None if self._wide()[variable] else np.unique(np.concatenate(held))

    def _doubtful(self, known: np.ndarray, program: _Program) -> np.ndarray:
        """Counts to look at: unknown ones in no sum can take any value."""
        alone = ~known
        alone[program.variables] = False
        self.low[alone], self.high[alone] = self.least[alone], self.most[alone]
        return self.equations.protect & ~known & ~self._wide()

    def _wide(self) -> np.ndarray:
        return np.floor(self.high + TOLERANCE) - np.ceil(self.low - TOLERANCE) >= self.min_spread - 1

    def _move(self, program: _Program, weights: np.ndarray) -> np.ndarray:
        """Remember the possible table in which the weighted sum is smallest; gives the price of every equation."""
        these = program.variables
        distance, prices = program.solve(weights[these])
        self.low[these] = np.minimum(self.low[these], distance)
        self.high[these] = np.maximum(self.high[these], distance)
        return prices


@dataclass(frozen=True)
class _Program:
    """The equations with unknowns in them, as a linear program; `part`: unknowns tied to each other."""

    matrix: object
    equations: np.ndarray
    variables: np.ndarray
    low: np.ndarray
    high: np.ndarray
    part: np.ndarray

    @classmethod
    def of_unknowns(cls, attack: Attack, known: np.ndarray) -> _Program:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        terms = attack.equations.terms[~known[attack.equations.terms["variable"].to_numpy()]]
        variables, column = np.unique(terms["variable"].to_numpy(), return_inverse=True)
        equations, row = np.unique(terms["equation"].to_numpy(), return_inverse=True)
        matrix = csr_array((terms["sign"].to_numpy(float), (row, column)), shape=(len(equations), len(variables)))
        part = connected_components(abs(matrix).T @ abs(matrix), directed=False)[1] if len(variables) else variables
        return cls(matrix, equations, variables, attack.least[variables], attack.most[variables], part)

    def parts_with(self, wanted: np.ndarray) -> _Program:
        """Only the parts in which some variable is wanted."""
        return self._only(np.isin(self.part, self.part[wanted[self.variables]]))

    def around(self, variable: int) -> _Program:
        """Only that variable and its nearest neighbors; the others keep their true value."""
        near, pattern = self.variables == variable, abs(self.matrix)
        while True:
            nearer = near
            near = (pattern.T @ (pattern @ near.astype(float))) > 0
            if near.sum() > NEIGHBORS or near.sum() == nearer.sum():
                return self._only(near if near.sum() <= NEIGHBORS or nearer.sum() == 1 else nearer)

    def _only(self, keep: np.ndarray) -> _Program:
        if keep.all():
            return self
        rows = np.flatnonzero(abs(self.matrix) @ keep.astype(float))
        return _Program(self.matrix[rows][:, np.flatnonzero(keep)], self.equations[rows], self.variables[keep],
                        self.low[keep], self.high[keep], self.part[keep])

    def solve(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The possible distances that make the weighted sum smallest, and the price of every equation."""
        from scipy.optimize import linprog

        found = linprog(weights, A_eq=self.matrix, b_eq=np.zeros(self.matrix.shape[0]),
                        bounds=np.column_stack([self.low, self.high]), method="highs-ds")
        if found.x is None:   # no answer: nothing is shown to be possible, and every equation is suspect
            return np.zeros(len(weights)), np.ones(len(self.equations))
        return found.x, found.eqlin.marginals
