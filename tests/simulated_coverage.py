"""Simulated coverage of 95% intervals and type I error: how a scenario is run, and what `docs/validation.md` prints.

The scenarios are in `simulated_scenarios.py`. Where intervals are too narrow beyond chance, the docstring of the
estimator says so and its answer carries a note that warns, or `UNSEEN` says why it cannot.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from therapyeval import stats

SEED, LEVEL, ALPHA = 20260601, 0.95, 0.05
MANY, FEW, RARE = 10_000, 1_000, 300       # replicates of what takes microseconds, milliseconds, tens of them
CHANCE = 3                                 # Monte-Carlo errors within which a share counts as nominal
OFTEN = 0.5                                # a warning given in this share of the replicates is one to rely on
START, END = "<!-- coverage: start -->", "<!-- coverage: end -->"
COLUMNS = ("Estimator", "Used on", "Coverage", "Type I error", "Monte-Carlo error", "Replicates", "No interval",
           "Warned", "Coverage, not warned", "Type I error, not warned", "Reading")
NARROW, WIDE, QUIET = "too narrow", "wider than 95%", "nominal where it does not warn"


@dataclass(frozen=True)
class Scenario:
    estimator: str
    where: str
    make: Callable
    replicates: int = MANY
    options: tuple = ()
    call: Callable | None = None          # where the arguments or the answer need more than a call
    together: bool = True                 # all replicates are groups of one call

    @property
    def function(self):
        return getattr(stats, self.estimator)

    @property
    def name(self):
        return f"`{self.estimator}`" + "".join(f", {value}" for _, value in self.options if isinstance(value, str))


@dataclass(frozen=True)
class Outcome:
    """Shares over the replicates with an interval (or a p-value); NaN where the estimator has none at all.

    ``warned`` is the share of these whose answer carries a note; the ``quiet`` shares are those of the others.
    """

    coverage: float
    type_1: float
    replicates: int
    without: float = 0.0
    warned: float = 0.0
    quiet_coverage: float = np.nan
    quiet_type_1: float = np.nan

    @property
    def error(self):
        return float(np.sqrt(LEVEL * ALPHA / self.replicates))

    @property
    def side(self):
        """-1 where the intervals miss more often than they may, 1 where less often, 0 for nominal within chance."""
        return _side(self.coverage, self.type_1, self.error)

    @property
    def is_quiet_nominal(self):
        """Whether the function warns, and the answers without a note miss no more often than they may."""
        n = round((1 - self.warned) * (1 - self.without) * self.replicates)
        return bool(self.warned and n and
                    _side(self.quiet_coverage, self.quiet_type_1, np.sqrt(LEVEL * ALPHA / n)) >= 0)

    @property
    def is_warned(self):
        return self.warned >= OFTEN or self.is_quiet_nominal


def _side(coverage, type_1, error):
    gaps = [gap for gap in (coverage - LEVEL, ALPHA - type_1) if not np.isnan(gap)]
    if not gaps:
        return 0
    worst = min(gaps) if min(gaps) < -CHANCE * error else max(gaps)
    return int(np.sign(worst)) if abs(worst) > CHANCE * error else 0


def run(scenario, replicates=None):
    """The outcome of a scenario; the same numbers in whatever order scenarios run."""
    replicates = replicates or scenario.replicates
    (*limits, _, told), (*_, p_value, told_none) = (_simulate(scenario, replicates, effect) for effect in (True, False))
    inside, wrong = _inside(*limits), np.where(np.isnan(p_value), np.nan, p_value < ALPHA)
    known, told_known = (wrong, told_none) if np.isnan(inside).all() else (inside, told)
    return Outcome(_share(inside), _share(wrong), replicates, float(np.isnan(known).mean()),
                   _share(np.where(np.isnan(known), np.nan, told_known)),
                   _share(inside[told == 0]), _share(wrong[told_none == 0]))


def _simulate(scenario, replicates, effect):
    """Truth, limits and p-value of each replicate, NaN for what the estimator does not give; and whether it warned."""
    rng = np.random.default_rng([SEED, zlib.crc32(f"{scenario.name} {scenario.where}".encode()), effect])
    call = scenario.call or scenario.function
    rows, (calls, size) = [], (1, replicates) if scenario.together else (replicates, 1)
    for _ in range(calls):
        truth, arguments = scenario.make(rng, size, effect)
        found = call(*arguments, **dict(scenario.options))
        numbers = (np.ravel(getattr(found, name, np.nan)) for name in ("low", "high", "p_value"))
        told = np.ravel(np.asarray(getattr(found, "note", ""), dtype=object) != "").astype(float)
        rows.append(np.broadcast_arrays(truth, *numbers, told))
    return np.concatenate(rows, axis=1)


def _inside(truth, low, high):
    """1 where the interval holds the truth; a limit that was not reached leaves its side open, NaN without either."""
    return np.where(np.isnan(low) & np.isnan(high), np.nan, ~((low > truth) | (high < truth)))


def _share(found):
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else np.nan


# the page ---------------------------------------------------------------------------------------------------------

def render(scenarios, outcomes, unseen):
    """The part of the page: `outcomes` has an entry for every scenario of the table, in its order."""
    found, parts = iter(outcomes), []
    for part, of_part in scenarios.items():
        rows = [_line(_cells(one, next(found), unseen.get((one.name, one.where), ""))) for one in of_part]
        parts.append("\n".join([f"### {part}", "", _line(COLUMNS), "|---" * len(COLUMNS) + "|", *rows, ""]))
    return "\n".join(parts)


def read(page):
    """(estimator, used on) -> Outcome and reading, as the page prints them."""
    rows = [[cell.strip() for cell in line.strip()[1:-1].split(" | ")]
            for line in page.split(START)[1].split(END)[0].splitlines() if line.startswith("| `")]
    return {tuple(row[:2]): (Outcome(_number(row[2]), _number(row[3]), int(row[5].replace(",", "")),
                                     *map(_number, row[6:10])), row[10]) for row in rows}


def reading(outcome, unseen):
    """What the last column says; a row too narrow without a warning has to have a reason why."""
    if outcome.side >= 0:
        return WIDE if outcome.side else ""
    told = QUIET if outcome.is_quiet_nominal else "warned" if outcome.is_warned else unseen
    return f"{NARROW}; {told}" if told else NARROW


def _cells(scenario, outcome, unseen):
    return (scenario.name, scenario.where, _percent(outcome.coverage), _percent(outcome.type_1),
            _percent(outcome.error, 2), f"{outcome.replicates:,}",
            *map(_percent, (outcome.without, outcome.warned, outcome.quiet_coverage, outcome.quiet_type_1)),
            reading(outcome, unseen))


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _percent(share, digits=1):
    return "–" if np.isnan(share) else f"{100 * share:.{digits}f}%"


def _number(cell):
    return np.nan if cell == "–" else float(cell.strip("%")) / 100
