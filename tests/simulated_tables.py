"""Made-up families of comparisons, tables of counts, and parameters drawn from a prior, each with a known truth.

Makers as in `simulated_data.py`.
"""

import numpy as np
import pandas as pd
from scipy.special import expit
from simulated_data import replicate_codes, score_mean, scores

EVERY_PAIR = [(0, 1), (0, 2), (1, 2)]


def family(sizes, shape="normal", spread=(1.0, 1.0, 1.0)):
    """Three groups, of which the first has an effect; with the true differences of every pair."""
    def make(rng, _, effect):
        gains = np.array([5.0 * effect, 0, 0])
        parts = [scores(rng, n, shape, 0.0, by) - score_mean(shape, 0.0, by) + gain
                 for n, by, gain in zip(sizes, spread, gains, strict=True)]
        truths = np.array([gains[a] - gains[b] for a, b in EVERY_PAIR])
        return 0.0, (np.concatenate(parts), np.repeat(np.arange(3), sizes), truths)
    return make


def table(sizes, shares):
    """Yes and no in several groups with one share: (groups, 2)."""
    def make(rng, _, effect):
        yes = rng.binomial(sizes, shares)
        return np.nan, (np.column_stack([yes, np.array(sizes) - yes]),)
    return make


def doses(sizes, share):
    def make(rng, _, effect):
        return np.nan, (rng.binomial(sizes, share), np.array(sizes), np.arange(len(sizes)))
    return make


def changes(n, shares):
    """People asked twice: how many say yes only the first, or only the second time; the truth is the odds of these."""
    def make(rng, replicates, effect):
        first, second = shares if effect else (shares[1], shares[1])
        counts = rng.multinomial(n, [first, second, 1 - first - second], size=replicates)
        return first / second, (counts[:, 0], counts[:, 1])
    return make


def strata(k, per_arm, beta=0.8):
    """Two arms in k strata with unlike levels and one odds ratio."""
    def make(rng, _, effect):
        level = np.linspace(-1.5, 0.5, k)[:, None]
        share = expit(level + beta * effect * np.array([1, 0]))
        n = np.full((k, 2), per_arm)
        return np.exp(beta * effect), (rng.binomial(n, share), n, [(0, 1)])
    return make


def subgroups(n):
    """Two arms and two subgroups of unlike size in which the effect is the same."""
    def make(rng, _, effect):
        arm, part = np.arange(n) % 2, (rng.random(n) < 0.35).astype(int)
        before = rng.normal(0, 1, n)
        outcome = 50 + 6 * before + 3 * part + 5 * arm + rng.normal(0, 8, n)
        return np.nan, (outcome, arm, (1, 0), part, 2, pd.DataFrame({"before": before}))
    return make


def at_the_margin(sizes, margin):
    """Two groups whose means differ by just the margin, where equivalence is not true."""
    def make(rng, replicates, effect):
        parts = [scores(rng, (replicates, n), "normal", shift) for n, shift in zip(sizes, (margin, 0.0), strict=True)]
        return np.nan, (np.hstack(parts).ravel(), *replicate_codes(replicates, *sizes), (-margin, margin))
    return make


def two_ends(n):
    """Two groups with the same hazards of the event and of another end."""
    def make(rng, _, effect):
        time, end = rng.exponential(20, 2 * n), rng.exponential(80, 2 * n)
        cause = np.where(time > end, 0, np.where(rng.random(2 * n) < 0.4, 1, 2))
        return np.nan, (np.minimum(time, end), cause, np.repeat([0, 1], n), 2)
    return make


def mean_with_prior(n, prior_sd, fixed=None):
    """Estimate, error and df of a mean; the true mean is drawn from the prior around 0 (or fixed)."""
    def make(rng, replicates, effect):
        truth = rng.normal(0, prior_sd, replicates) if fixed is None else np.full(replicates, fixed)
        values = truth[:, None] + rng.normal(0, 10, (replicates, n))
        return truth, (values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n), np.full(replicates, n - 1.0))
    return make


def shares_with_prior(n, fixed=None):
    """Counts of two groups; true shares are drawn evenly from 0 to 1 (or fixed)."""
    def make(rng, replicates, effect):
        share = rng.random((replicates, 2)) if fixed is None else np.tile(fixed, (replicates, 1))
        pairs = replicate_codes(replicates, 1, 1)[1]
        counts = rng.binomial(n, share).ravel()
        return share[:, 0] - share[:, 1], (counts, np.full(2 * replicates, n), pairs)
    return make
