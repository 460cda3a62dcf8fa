"""Simulated coverage of 95% intervals and type I error of the main estimators, as `docs/validation.md` prints them.

SCENARIOS is the table: an estimator, where it is used and a maker of data with a known truth (`simulated_data.py`).
`make study-coverage` runs them all and writes the page; where intervals are too narrow beyond chance, the docstring of
the estimator has to say so.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import simulated_data as data

from therapyeval import stats

SEED, LEVEL, ALPHA = 20260601, 0.95, 0.05
MANY, FEW, RARE = 10_000, 1_000, 300       # replicates of what takes microseconds, milliseconds, tens of them
CHANCE = 3                                 # Monte-Carlo errors within which a share counts as nominal
START, END = "<!-- coverage: start -->", "<!-- coverage: end -->"
COLUMNS = ("Estimator", "Used on", "Coverage", "Type I error", "Monte-Carlo error", "Replicates", "No interval",
           "Reading")
SAID = {-1: "too narrow", 0: "", 1: "wider than 95%"}


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
    """Shares over the replicates with an interval (or a p-value); NaN where the estimator has none at all."""

    coverage: float
    type_1: float
    replicates: int
    without: float

    @property
    def error(self):
        return float(np.sqrt(LEVEL * ALPHA / self.replicates))

    @property
    def side(self):
        """-1 where the intervals miss more often than they may, 1 where less often, 0 for nominal within chance."""
        gaps = [gap for gap in (self.coverage - LEVEL, ALPHA - self.type_1) if not np.isnan(gap)]
        worst = min(gaps) if min(gaps) < -CHANCE * self.error else max(gaps)
        return int(np.sign(worst)) if abs(worst) > CHANCE * self.error else 0


def run(scenario, replicates=None):
    """The outcome of a scenario; the same numbers in whatever order scenarios run."""
    replicates = replicates or scenario.replicates
    with_effect, without_effect = (_simulate(scenario, replicates, effect) for effect in (True, False))
    inside, wrong = _inside(*with_effect[:3]), np.where(np.isnan(without_effect[3]), np.nan, without_effect[3] < ALPHA)
    known = wrong if np.isnan(inside).all() else inside
    return Outcome(_share(inside), _share(wrong), replicates, float(np.isnan(known).mean()))


def _simulate(scenario, replicates, effect):
    """Truth, limits and p-value of each replicate; NaN for what the estimator does not give."""
    rng = np.random.default_rng([SEED, zlib.crc32(f"{scenario.name} {scenario.where}".encode()), effect])
    call = scenario.call or scenario.function
    rows, (calls, size) = [], (1, replicates) if scenario.together else (replicates, 1)
    for _ in range(calls):
        truth, arguments = scenario.make(rng, size, effect)
        found = call(*arguments, **dict(scenario.options))
        numbers = (np.ravel(getattr(found, name, np.nan)) for name in ("low", "high", "p_value"))
        rows.append(np.broadcast_arrays(truth, *numbers))
    return np.concatenate(rows, axis=1)


def _inside(truth, low, high):
    """1 where the interval holds the truth; a limit that was not reached leaves its side open, NaN without either."""
    return np.where(np.isnan(low) & np.isnan(high), np.nan, ~((low > truth) | (high < truth)))


def _share(found):
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else np.nan


# estimators whose arguments or answers need more than a call ------------------------------------------------------

def ratio(gain, visits, group, patient, n_groups):
    return stats.ratio(stats.pair_sums(gain, visits, group, patient, n_groups))


def number_needed(successes, n, pairs):
    """The interval of the difference that the numbers needed come from: it holds the truth when they do."""
    difference = stats.score_risk_difference(successes, n, pairs)
    found = stats.number_needed(difference)
    low, high = (np.where(found.through_infinity, part, 1 / limit) for part, limit in
                 ((difference.low, found.high), (difference.high, found.low)))
    return stats.Contrast(1 / found.estimate, low, high, difference.p_value, difference.df, "", difference.note)


def cumulative_incidence(*arguments):
    return stats.cumulative_incidence(*arguments, horizon=30)


def restricted_mean_contrast(*arguments):
    return stats.restricted_mean_contrast(*arguments, horizon=30)


def clustered(outcome, arm, pairs, covariates, site):
    return stats.adjusted_difference(outcome, arm, pairs, covariates, variance="CR2", cluster=site)


def by_time(function):
    """Estimators of times with covariates, or of groups without pairs."""
    def call(time, seen, group, pairs):
        if function == "log_rank":
            return stats.log_rank(time, seen, group, 2)
        return stats.hazard_ratio(time, seen, group, pairs, pd.DataFrame(index=range(len(time))))
    return call


def weighted_for_dropout(outcome, arm, before):
    covariates = np.column_stack([before, arm])
    return stats.completion_weighted_difference(outcome, covariates, arm, np.arange(len(arm)), [(1, 0)])


def imputed(outcome, arm, before):
    """Five imputations and an adjusted model on each, pooled."""
    rows = pd.DataFrame({"outcome": outcome, "arm": arm.astype(float), "before": before})
    frames = stats.impute(rows, m=5, iterations=2, seed=1, methods={"outcome": "normal"}).frames
    return stats.pool([stats.adjusted_difference(one["outcome"], arm, [(1, 0)], one[["before"]], variance="classical")
                       for one in frames]).effect


def level_change(function):
    def call(*arguments, **options):
        return getattr(stats, function)(*arguments, at=[arguments[-1]], impact="level", **options).level
    return call


def overall_effect(*arguments):
    return stats.group_time_effects(*arguments).overall


# the table --------------------------------------------------------------------------------------------------------

def _scores(*shapes_and_sizes):
    return [(n, shape) for shape, sizes in shapes_and_sizes for n in sizes]


SHAPES = {"normal": "normal scores", "skewed": "skewed scores", "heavy": "very skewed scores",
          "ceiling": "a third at the ceiling", "full": "three quarters at the ceiling"}


def one_group():
    for n, shape in _scores(("normal", (8, 50)), ("skewed", (8, 20, 50, 200, 500)), ("ceiling", (8, 20, 50)),
                            ("full", (8, 20, 50, 200))):
        yield Scenario("mean", f"{n} people, {SHAPES[shape]}", data.one_mean(n, shape))
    for n in (8, 20, 100):
        yield Scenario("mean", f"{n} patients with 1 to 5 values each", data.repeated_patients(n))
    for n, p in ((8, 0.5), (8, 0.1), (20, 0.3), (50, 0.05), (500, 0.9)):
        yield Scenario("proportion", f"{n} people, share {p}", data.one_share(n, p))
    for n in (8, 20, 50, 200):
        yield Scenario("ratio", f"{n} patients, skewed gain per visit", data.gains_per_visit(n), call=ratio)
    for expected in (2, 10, 50):
        yield Scenario("event_rate", f"{expected} events expected", data.one_rate(expected))
    for n, shape in _scores(("skewed", (8, 20, 200)), ("ceiling", (20, 200))):
        yield Scenario("median", f"{n} people, {SHAPES[shape]}", data.one_median(n, shape))
    for n, shape in _scores(("normal", (10, 20, 50)), ("skewed", (20, 50))):
        yield Scenario("standardized_mean", f"{n} patients, {SHAPES[shape]}", data.standardized_gain(n, shape),
                       replicates=FEW)
    for n, shape in _scores(("normal", (8,)), ("skewed", (8, 20)), ("ceiling", (8, 50)), ("full", (8, 20, 50))):
        for function in ("paired", "signed_rank") if shape in ("normal", "skewed") else ("paired",):
            yield Scenario(function, f"{n} people twice, {SHAPES[shape]}", data.before_after(n, shape))


def two_groups():
    for sizes, shape in ((8, 8), "normal"), ((8, 8), "skewed"), ((8, 8), "ceiling"), ((8, 8), "full"), \
            ((20, 20), "full"), ((10, 40), "skewed"), ((50, 50), "skewed"), ((250, 250), "heavy"):
        yield Scenario("welch", _arms(sizes, shape), data.two_means(sizes, shape))
    for sizes, spread, shape in ((8, 30), (2, 1), "normal"), ((30, 8), (2, 1), "normal"), ((10, 40), (2, 1), "skewed"):
        where = f"{_arms(sizes, shape)}, SD twice as large in the first"
        yield Scenario("welch", where, data.two_means(sizes, shape, spread))
        if shape == "normal":
            yield Scenario("student", where, data.two_means(sizes, shape, spread))
    for sizes, shape in ((8, 8), "normal"), ((20, 20), "skewed"), ((20, 20), "ceiling"):
        yield Scenario("student", _arms(sizes, shape), data.two_means(sizes, shape))
    for sizes, shape in ((8, 8), "normal"), ((10, 40), "skewed"), ((50, 50), "skewed"):
        yield Scenario("mann_whitney", _arms(sizes, shape), data.two_means(sizes, shape))
    for sizes, shape in ((8, 8), "normal"), ((20, 20), "skewed"), ((20, 20), "ceiling"), ((100, 100), "full"):
        yield Scenario("superiority", _arms(sizes, shape), data.wins(sizes, shape))
    for sizes, shape in ((8, 8), "normal"), ((30, 30), "normal"), ((30, 30), "skewed"):
        yield Scenario("standardized_difference", _arms(sizes, shape), data.standardized(sizes, shape), replicates=FEW)
    for sizes, shape in ((6, 6), "normal"), ((7, 7), "skewed"):
        yield Scenario("permutation", _arms(sizes, shape), data.two_means(sizes, shape), replicates=FEW)
    for function in ("anova", "welch_anova", "kruskal_wallis"):
        for sizes, shape, spread, said in (
                ((8, 8, 8), "normal", (1, 1, 1), ""), ((20, 20, 20), "skewed", (1, 1, 1), ""),
                ((10, 20, 40), "normal", (2, 1, 0.5), ", SD 2 : 1 : 0.5")):
            where = f"{', '.join(map(str, sizes))} people, {SHAPES[shape]}{said}"
            yield _one_by_one(function, where, data.several_means(sizes, shape, spread))


def _arms(sizes, shape):
    return f"{sizes[0]} and {sizes[1]} people, {SHAPES[shape]}"


def shares_and_rates():
    truths = {"risk_difference": data.difference, "score_risk_difference": data.difference,
              "number_needed": data.difference, "risk_ratio": data.ratio_of, "odds_ratio": data.odds,
              "fisher": data.odds}
    for function, truth in truths.items():
        call = number_needed if function == "number_needed" else None
        for sizes, shares in ((10, 10), (0.8, 0.4)), ((30, 30), (0.7, 0.5)), ((100, 50), (0.05, 0.15)), \
                ((250, 250), (0.6, 0.5)):
            where = f"{sizes[0]} and {sizes[1]} people, shares {shares[0]} and {shares[1]}"
            make = data.two_shares(sizes, shares, truth)
            yield Scenario(function, where, make, call=call)
    for expected in (3, 6), (20, 30), (100, 120):
        where = f"{expected[0]} and {expected[1]} events expected"
        yield Scenario("rate_ratio", where, data.two_rates(expected))


def adjusted():
    for variance, n, shape, spread, said in (
            ("classical", 16, "normal", (1, 1), ""), ("classical", 40, "skewed", (1, 1), ""),
            ("HC2", 16, "normal", (1, 1), ""), ("HC3", 16, "normal", (1, 1), ""), ("HC3", 16, "skewed", (1, 1), ""),
            ("HC2", 50, "skewed", (2, 1), ", SD 2 : 1"), ("HC3", 50, "skewed", (2, 1), ", SD 2 : 1"),
            ("HC3", 500, "skewed", (2, 1), ", SD 2 : 1")):
        make = data.ancova(n, shape, spread)
        yield _one_by_one("adjusted_difference", f"{n} people, {SHAPES[shape]}{said}", make, variance=variance)
    for n in (50, 200):
        yield _one_by_one("adjusted_difference", f"{n} people, 30% missing at random by the baseline in the model",
                          data.ancova(n, missing=0.3), variance="HC3")
    for k, icc in ((4, 0.1), (6, 0.2), (10, 0.1), (20, 0.05), (20, 0.2)):
        make = data.sites(k, 20, icc)
        where = f"CR2: program by site, {k} sites of 20, ICC {icc}"
        yield _one_by_one("adjusted_difference", where, make, call=clustered)
    for k, icc in ((4, 0.1), (10, 0.2)):
        make = data.sites(k, 20, icc, by_site=False)
        where = f"CR2: program within {k} sites of 20, ICC {icc}"
        yield _one_by_one("adjusted_difference", where, make, call=clustered)
    yield _one_by_one("adjusted_difference", "CR2: program by site, 10 sites of 20, ICC 0.1, skewed scores",
                      data.sites(10, 20, 0.1, shape="skewed"), call=clustered)
    for effect in ("risk_difference", "risk_ratio", "odds_ratio"):
        for n in (40, 100, 500):
            yield _one_by_one("adjusted_risk", f"{n} people", data.yes_no(n, effect), effect=effect)
    for n, level, said in (20, -0.2, ""), (50, -2.2, ", rare outcome"), (100, -0.2, ""):
        make = data.yes_no(n, "odds_ratio", level)
        yield _one_by_one("firth_odds_ratio", f"{n} people{said}", make, replicates=RARE)
    for n in (40, 200):
        yield _one_by_one("proportional_odds", f"{n} people, four grades", data.grades(n))
    for family, n, shape, said in (("negative_binomial", 40, 1.5, "rates that differ"),
                                   ("negative_binomial", 200, 1.5, "rates that differ"),
                                   ("poisson", 40, np.inf, "rates alike"), ("poisson", 200, 1.5, "rates that differ")):
        yield _one_by_one("adjusted_rate_ratio", f"{n} people, {said}", data.counts(n, shape), family=family)


def _one_by_one(function, where, make, call=None, replicates=FEW, **options):
    return Scenario(function, where, make, replicates, tuple(options.items()), call, together=False)


def missing_and_not_randomized():
    for n in (25, 50, 200):
        where = f"{n} people, 30% missing at random by a baseline"
        yield _one_by_one("mean", where, data.dropout(n, mask=False))
        yield _one_by_one("completion_weighted", where, data.dropout(n))
        yield _one_by_one("completion_weighted_difference", f"{where} and the arm", data.dropout_arms(n),
                          call=weighted_for_dropout)
        yield _one_by_one("impute", f"{where} and the arm; five imputations, pooled", data.dropout_arms(n),
                          call=imputed, replicates=RARE)
    for n in (60, 500):
        where = f"{n} people, groups that differ by two covariates"
        for estimand in ("ATE", "ATT", "overlap"):
            yield _one_by_one("weighted_difference", where, data.confounded(n), estimand=estimand)
        yield _one_by_one("doubly_robust_difference", where, data.confounded(n))
    yield _one_by_one("matched_difference", "300 people, groups that differ by two covariates", data.confounded(300))


def over_time():
    for n in (20, 50, 200):
        yield Scenario("time_quantile", f"{n} people, some followed for less", data.times(n))
        yield Scenario("cumulative_incidence", f"{n} people, two competing ends", data.ends(n),
                       call=cumulative_incidence)
    for n in (20, 50, 200):
        yield Scenario("restricted_mean_contrast", f"{n} and {n} people, some followed for less",
                       data.two_times((n, n), 30), call=restricted_mean_contrast)
        for function in ("hazard_ratio", "log_rank"):
            yield _one_by_one(function, f"{n} and {n} people, some followed for less", data.two_times((n, n)),
                            call=by_time(function))
    for k in (4, 6, 10, 20):
        where = f"{k} sites, 8 periods whose errors carry over"
        yield _one_by_one("difference_in_differences", where, data.panel(k))
    for k in (10, 40):
        where = f"{k} sites, 8 periods whose errors carry over"
        yield _one_by_one("group_time_effects", where, data.panel(k), call=overall_effect)
    for n, carried in ((24, 0.3), (60, 0.3), (120, 0.3)):
        where = f"{n} months, autocorrelation {carried}"
        for errors in ("ar1", "newey_west"):
            yield _one_by_one("interrupted_mean", where, data.series(n, carried), call=level_change("interrupted_mean"),
                            errors=errors)
    for n in (24, 60):
        yield _one_by_one("interrupted_rate", f"{n} months of about 100 visits", data.counted_series(n),
                        call=level_change("interrupted_rate"))


PARTS = {"One group": one_group, "Two and more groups": two_groups, "Shares and rates": shares_and_rates,
         "Adjusted and clustered": adjusted, "Missing outcomes, groups not randomized": missing_and_not_randomized,
         "Over time": over_time}
SCENARIOS = {part: list(make()) for part, make in PARTS.items()}


# the page ---------------------------------------------------------------------------------------------------------

def render(outcomes):
    """The part of the page: `outcomes` has an entry for every scenario of the table, in its order."""
    found, parts = iter(outcomes), []
    for part, scenarios in SCENARIOS.items():
        rows = [_line(_cells(scenario, next(found))) for scenario in scenarios]
        parts.append("\n".join([f"### {part}", "", _line(COLUMNS), "|---" * len(COLUMNS) + "|", *rows, ""]))
    return "\n".join(parts)


def read(page):
    """(estimator, used on) -> coverage, type I error and replicates, as the page prints them."""
    rows = [line.strip("| \n").split(" | ") for line in page.split(START)[1].split(END)[0].splitlines()
            if line.startswith("| `")]
    return {tuple(row[:2]): (_number(row[2]), _number(row[3]), int(row[5].replace(",", ""))) for row in rows}


def _cells(scenario, outcome):
    return (scenario.name, scenario.where, _percent(outcome.coverage), _percent(outcome.type_1),
            _percent(outcome.error, 2), f"{outcome.replicates:,}", _percent(outcome.without), SAID[outcome.side])


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _percent(share, digits=1):
    return "–" if np.isnan(share) else f"{100 * share:.{digits}f}%"


def _number(cell):
    return np.nan if cell == "–" else float(cell.strip("%")) / 100
