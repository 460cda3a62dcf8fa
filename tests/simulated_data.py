"""Made-up data with a known truth, for the study of coverage: each maker gives (truth, arguments of an estimator).

A maker takes a generator, how many replicates to draw and whether there is an effect. Estimators that take many groups
at once get all replicates as groups of one call; makers for the others ignore the number and draw one.

Scores: "normal" (mean 50, SD 10); "skewed" (exponential, such as days waited, mean 20); "heavy" (lognormal, skewness
6); "ceiling" and "full": a 0-80 scale with a third, or three quarters, of the people at its top.
"""

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

TOP, LATENT = 80, {"ceiling": 74.0, "full": 88.0}
LATENT_SD = 12.0
SHIFT = {"normal": 5.0, "skewed": 8.0, "heavy": 8.0, "ceiling": -6.0, "full": -6.0}


# scores ----------------------------------------------------------------------------------------------------------

def scores(rng, size, shape, shift=0.0, spread=1.0):
    if shape == "normal":
        return rng.normal(50 + shift, 10 * spread, size)
    if shape == "skewed":
        return shift + spread * rng.exponential(20, size)
    if shape == "heavy":
        return shift + spread * 10 * rng.lognormal(0, 1, size)
    return np.clip(np.round(rng.normal(LATENT[shape] + shift, LATENT_SD, size)), 0, TOP)


@cache
def score_shares(shape, shift=0.0):
    """The chance of each score 0..80 of a bounded shape."""
    edges = np.r_[-np.inf, np.arange(TOP) + 0.5, np.inf]
    return np.diff(ndtr((edges - LATENT[shape] - shift) / LATENT_SD))


def score_mean(shape, shift=0.0, spread=1.0):
    if shape in LATENT:
        return float(score_shares(shape, shift) @ np.arange(TOP + 1))
    return shift + {"normal": 50.0, "skewed": 20 * spread, "heavy": 10 * spread * np.exp(0.5)}[shape]


def score_sd(shape):
    return {"normal": 10.0, "skewed": 20.0}[shape]


def replicate_codes(replicates, *sizes):
    """Group codes of `replicates` samples of groups of these sizes, laid out replicate by replicate; and the pairs."""
    codes = np.repeat(np.arange(replicates * len(sizes)), np.tile(sizes, replicates))
    first = np.arange(replicates) * len(sizes)
    return codes, np.column_stack([first, first + 1])


# one group -------------------------------------------------------------------------------------------------------

def one_mean(n, shape):
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        return score_mean(shape), (scores(rng, len(group), shape), group, np.arange(len(group)), replicates)
    return make


def repeated_patients(n, icc=0.5):
    """Patients with one to five values each, more alike within a patient."""
    def make(rng, replicates, effect):
        times = rng.integers(1, 6, n * replicates)
        patient = np.repeat(np.arange(n * replicates), times)
        level = rng.normal(0, np.sqrt(icc), n * replicates)[patient]
        values = 50 + 10 * (level + rng.normal(0, np.sqrt(1 - icc), len(patient)))
        return 50.0, (values, patient // n, patient, replicates)
    return make


def one_share(n, p):
    def make(rng, replicates, effect):
        return p, (rng.binomial(n, p, replicates), np.full(replicates, n))
    return make


def gains_per_visit(n):
    """Patients with 2 or more visits and a skewed gain per visit: the parts of a ratio."""
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        visits = 2.0 + rng.poisson(6, len(group))
        gain = visits * rng.exponential(1.5, len(group)) + rng.normal(0, 3, len(group))
        return 1.5, (gain, visits, group, np.arange(len(group)), replicates)
    return make


def one_rate(expected):
    def make(rng, replicates, effect):
        return 1000 * expected / 4000, (rng.poisson(expected, replicates), np.full(replicates, 4000.0))
    return make


def one_median(n, shape):
    middle = {"skewed": 20 * np.log(2)}.get(shape)
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        truth = float(np.searchsorted(np.cumsum(score_shares(shape)), 0.5)) if middle is None else middle
        return truth, (scores(rng, len(group), shape), group, replicates)
    return make


def standardized_gain(n, shape):
    """Change and baseline of the same people; the mean change in SDs of the baseline."""
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        before = scores(rng, len(group), shape)
        change = 0.6 * score_sd(shape) - 0.4 * (before - score_mean(shape)) + rng.normal(0, 8, len(group))
        return 0.6, (change, before, group, np.arange(len(group)), replicates)
    return make


def before_after(n, shape):
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        shift = SHIFT[shape] * effect
        if shape in LATENT:                        # the same latent ability, cut at the top both times
            ability = LATENT[shape] + rng.normal(0, 0.8 * LATENT_SD, (len(group)))
            first, second = (np.clip(np.round(ability + up + rng.normal(0, 0.6 * LATENT_SD, len(group))), 0, TOP)
                             for up in (shift, 0.0))
            truth = score_mean(shape, shift) - score_mean(shape)
        else:
            second = scores(rng, len(group), shape)
            first, truth = second + scores(rng, len(group), shape) - score_mean(shape) + shift, shift
        return truth, (first, second, group, replicates)
    return make


# two groups ------------------------------------------------------------------------------------------------------

def two_means(sizes, shape, spread=(1.0, 1.0)):
    def make(rng, replicates, effect):
        shift = SHIFT[shape] * effect
        parts = [scores(rng, (replicates, sizes[0]), shape, shift, spread[0]),
                 scores(rng, (replicates, sizes[1]), shape, 0.0, spread[1])]
        if shape in ("skewed", "heavy"):           # equal means also where spreads differ
            parts = [part - score_mean(shape, 0.0, by) for part, by in zip(parts, spread, strict=True)]
            truth = shift
        else:
            truth = score_mean(shape, shift) - score_mean(shape)
        return truth, (np.hstack(parts).ravel(), *replicate_codes(replicates, *sizes))
    return make


def standardized(sizes, shape):
    """As two_means; the truth in SDs within the groups."""
    def make(rng, replicates, effect):
        truth, arguments = two_means(sizes, shape)(rng, replicates, effect)
        return truth / score_sd(shape), arguments
    return make


def wins(sizes, shape):
    """As two_means; the truth is the chance that a unit of a has more, ties one half."""
    def make(rng, replicates, effect):
        shift = SHIFT[shape] * effect
        _, arguments = two_means(sizes, shape)(rng, replicates, effect)
        if shape in LATENT:
            a, b = score_shares(shape, shift), score_shares(shape)
            truth = float(a @ (np.cumsum(b) - b / 2))
        else:
            truth = {"normal": ndtr(shift / 10 / np.sqrt(2)), "skewed": 1 - np.exp(-shift / 20) / 2}[shape]
        return truth, arguments
    return make


def several_means(sizes, shape, spread):
    """Groups with equal means, for tests of all groups."""
    def make(rng, replicates, effect):
        parts = [scores(rng, n, shape, 0.0, by) - score_mean(shape, 0.0, by)
                 for n, by in zip(sizes, spread, strict=True)]
        return np.nan, (np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes))
    return make


def two_shares(sizes, shares, truth):
    """Counts of two groups; `truth` turns the two shares into what is estimated."""
    def make(rng, replicates, effect):
        p = shares if effect else (shares[1], shares[1])
        successes = np.column_stack([rng.binomial(n, one, replicates) for n, one in zip(sizes, p, strict=True)])
        pairs = replicate_codes(replicates, *sizes)[1]
        return truth(*p), (successes.ravel(), np.tile(sizes, replicates), pairs)
    return make


def difference(p, q):
    return p - q


def ratio_of(p, q):
    return p / q


def odds(p, q):
    return p / (1 - p) / (q / (1 - q))


def two_rates(expected):
    def make(rng, replicates, effect):
        means = expected if effect else (expected[1], expected[1])
        events = np.column_stack([rng.poisson(one, replicates) for one in means]).ravel()
        return means[0] / means[1], (events, np.full(len(events), 100.0), replicate_codes(replicates, 1, 1)[1])
    return make


# regression, one replicate at a time -----------------------------------------------------------------------------

def ancova(n, shape="normal", spread=(1.0, 1.0), missing=0.0):
    """Two arms, a baseline that foretells the outcome, and outcomes missing more often where the baseline is low."""
    def make(rng, _, effect):
        arm = np.arange(n) % 2
        before = rng.normal(0, 1, n)
        by = np.where(arm == 1, *spread[::-1])
        outcome = 6 * before + 5 * effect * arm + by * (scores(rng, n, shape) - score_mean(shape))
        seen = rng.random(n) >= 2 * missing * expit(-1.5 * before)
        return 5.0 * effect, (outcome[seen], arm[seen], [(1, 0)], pd.DataFrame({"before": before[seen]}))
    return make


def sites(k, per_site, icc, by_site=True, shape="normal"):
    """Patients of k sites; the program by site, or by patient within sites with an effect that differs by site."""
    def make(rng, _, effect):
        size = np.maximum(rng.poisson(per_site, k), 2)
        site = np.repeat(np.arange(k), size)
        arm = site % 2 if by_site else np.arange(len(site)) % 2
        level, slope = rng.normal(0, 10 * np.sqrt(icc), (2, k))
        before = rng.normal(0, 1, len(site))
        noise = np.sqrt(1 - icc) * (scores(rng, len(site), shape) - score_mean(shape))
        outcome = level[site] + (0 if by_site else 0.5 * slope[site] * arm) + 6 * before + noise + 5 * effect * arm
        return 5.0 * effect, (outcome, arm, [(1, 0)], pd.DataFrame({"before": before}), site)
    return make


def yes_no(n, measure, level=-0.2, confounded=False):
    """A yes/no outcome and a covariate; the truth of risks is that of the people at hand."""
    def make(rng, _, effect):
        x = rng.normal(0, 1, n)
        arm = (rng.random(n) < expit(x)).astype(int) if confounded else np.arange(n) % 2
        beta = 0.8 * effect
        outcome = rng.random(n) < expit(level + beta * arm + 0.7 * x)
        with_it, without = expit(level + beta + 0.7 * x).mean(), expit(level + 0.7 * x).mean()
        truth = {"risk_difference": with_it - without, "risk_ratio": with_it / without, "odds_ratio": np.exp(beta)}
        return truth[measure], (outcome.astype(int), arm, [(1, 0)], pd.DataFrame({"x": x}))
    return make


def counts(n, shape):
    """Counts over unlike exposures; gamma-distributed rates of this shape (infinite: Poisson)."""
    def make(rng, _, effect):
        arm, exposure = np.arange(n) % 2, rng.uniform(0.5, 2, n)
        x, beta = rng.normal(0, 1, n), 0.5 * effect
        mean = 2 * exposure * np.exp(beta * arm + 0.3 * x)
        frailty = 1.0 if np.isinf(shape) else rng.gamma(shape, 1 / shape, n)
        return np.exp(beta), (rng.poisson(mean * frailty), exposure, arm, [(1, 0)], pd.DataFrame({"x": x}))
    return make


def grades(n):
    def make(rng, _, effect):
        arm, x, beta = np.arange(n) % 2, rng.normal(0, 1, n), 0.8 * effect
        latent = beta * arm + 0.7 * x + rng.logistic(0, 1, n)
        grade = np.searchsorted([-1.5, 0.0, 1.5], latent)
        return np.exp(beta), (grade, arm, [(1, 0)], pd.DataFrame({"x": x}))
    return make


# missing outcomes and groups not randomized ----------------------------------------------------------------------

def dropout(n, mask=True):
    """One group, a third of the outcomes missing at random: more often where the baseline is low."""
    def make(rng, _, effect):
        before = rng.normal(0, 1, n)
        values = 50 + 8 * before + rng.normal(0, 6, n)
        seen = rng.random(n) >= 0.6 * expit(-1.5 * before)
        if not mask:
            return 50.0, (values[seen], np.zeros(seen.sum(), dtype=int), np.flatnonzero(seen), 1)
        return 50.0, (np.where(seen, values, np.nan), before[:, None], np.zeros(n, dtype=int), np.arange(n), 1)
    return make


def dropout_arms(n):
    """Two arms, 30% missing at random by baseline and arm: rows with gaps."""
    def make(rng, _, effect):
        arm, before = np.arange(n) % 2, rng.normal(0, 1, n)
        values = 50 + 8 * before + 5 * effect * arm + rng.normal(0, 6, n)
        seen = rng.random(n) >= expit(-0.9 - 1.2 * before + 0.4 * arm)
        return 5.0 * effect, (np.where(seen, values, np.nan), arm, before)
    return make


def confounded(n):
    """Who gets the program depends on a covariate that also bears on the outcome; one effect for everybody."""
    def make(rng, _, effect):
        x = rng.normal(0, 1, (n, 2))
        group = (rng.random(n) < expit(0.6 * x[:, 0] - 0.4 * x[:, 1] - 0.3)).astype(int)
        outcome = 50 + 6 * x[:, 0] + 3 * x[:, 1] + 5 * effect * group + rng.normal(0, 8, n)
        return 5.0 * effect, (outcome, group, [(1, 0)], pd.DataFrame(x, columns=["age", "baseline"]))
    return make


# time ------------------------------------------------------------------------------------------------------------

def times(n):
    """Waiting times with a median of 20 days, followed for up to 60."""
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        time = np.ceil(rng.exponential(20 / np.log(2), len(group)) * 10) / 10
        end = rng.uniform(15, 60, len(group))
        return 20.0, (np.minimum(time, end), time <= end, group, replicates)
    return make


def ends(n):
    """Two competing ends with constant hazards 0.02 and 0.03 a day, and people lost to follow-up; horizon 30."""
    def make(rng, replicates, effect):
        group, _ = replicate_codes(replicates, n)
        time, end = rng.exponential(20, len(group)), rng.exponential(80, len(group))
        cause = np.where(time > end, 0, np.where(rng.random(len(group)) < 0.4, 1, 2))
        return 0.4 * (1 - np.exp(-1.5)), (np.minimum(time, end), cause, group, replicates)
    return make


def two_times(sizes, horizon=None):
    """Constant hazards with ratio 0.6, censored; the truth is that ratio, or the difference of areas to a horizon."""
    def make(rng, replicates, effect):
        hazard = np.tile(np.repeat([0.6 if effect else 1.0, 1.0], sizes), replicates) / 25
        time, end = rng.exponential(1 / hazard), rng.uniform(20, 80, len(hazard))
        group, pairs = replicate_codes(replicates, *sizes)
        truth = hazard[0] * 25
        if horizon is not None:
            first, second = ((1 - np.exp(-h * horizon)) / h for h in (hazard[0], hazard[-1]))
            truth = first - second
        return truth, (np.minimum(time, end), time <= end, group, pairs)
    return make


def panel(k, periods=8, icc=0.1, per_cell=20):
    """Means of k sites in several periods; half of them start a program in the middle. Errors carry over."""
    def make(rng, _, effect):
        site, period = np.repeat(np.arange(k), periods), np.tile(np.arange(periods), k)
        start = np.where(site % 2 == 0, periods // 2, np.nan)
        shock = rng.normal(0, 10 * np.sqrt(icc), (k, periods))
        for at in range(1, periods):
            shock[:, at] = 0.6 * shock[:, at - 1] + 0.8 * shock[:, at]
        noise = rng.normal(0, 10 * np.sqrt((1 - icc) / per_cell), (k, periods))
        treated = (site % 2 == 0) & (period >= periods // 2)
        outcome = 50 + period + (shock + noise).ravel() + 5 * effect * treated
        return 5.0 * effect, (outcome, site, period, start)
    return make


def series(n, carried):
    def make(rng, _, effect):
        noise = rng.normal(0, 1, n)
        noise[0] /= np.sqrt(1 - carried**2)
        for at in range(1, n):
            noise[at] += carried * noise[at - 1]
        time = np.arange(float(n))
        return 2.0 * effect, (20 + 0.1 * time + 2 * effect * (time >= n // 2) + noise, time, n // 2)
    return make


def counted_series(n):
    def make(rng, _, effect):
        time, ratio = np.arange(float(n)), np.exp(-0.3 * effect)
        booked = rng.integers(80, 121, n).astype(float)
        chance = 0.2 * np.where(time >= n // 2, ratio, 1.0)
        return ratio, (rng.binomial(booked.astype(int), chance), booked, time, n // 2)
    return make
