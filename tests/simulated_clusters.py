"""Made-up data whose rows come in clusters (sites, patients seen several times), with a known truth.

Makers as in `simulated_data.py`: each gives (truth, arguments of an estimator), one replicate at a time where the
estimator takes one.
"""

import numpy as np
import pandas as pd
from scipy.special import expit


def repeated_visits(n, n_visits=4, lost=0.0, slopes=0.0):
    """Patients in two arms, at some visits; an effect at the last (or of each visit, where patients have own slopes).

    `lost`: the share of later visits missing at random, more often where the one before was low. Arguments: outcome,
    arm, pairs, no covariates, patient, visit.
    """
    def make(rng, _, effect):
        arm = np.arange(n) % 2
        level, slope = rng.normal(0, 7, n), rng.normal(0, slopes, n)
        outcome = np.empty((n, n_visits))
        for visit in range(n_visits):
            gain = (2.0 * visit if slopes else 5.0 * (visit == n_visits - 1)) * effect * arm
            outcome[:, visit] = 50 + level + slope * visit + gain + rng.normal(0, 6, n)
        seen = np.ones((n, n_visits), dtype=bool)
        for visit in range(1, n_visits):
            before = np.where(seen[:, visit - 1], outcome[:, visit - 1], 50)      # what was not seen tells nothing
            seen[:, visit] = rng.random(n) >= lost * np.where(before < 50, 1.6, 0.4)
        patient, visit = np.nonzero(seen)
        truth = (2.0 if slopes else 5.0) * effect
        return truth, (outcome[seen], arm[patient], [(1, 0)], pd.DataFrame(index=range(len(patient))), patient, visit)
    return make


def yes_no_sites(k, per_site, spread=0.5, by_site=True):
    """A yes/no outcome of patients in k sites whose log odds differ (SD `spread`); the truth is the marginal ratio."""
    from numpy.polynomial.hermite_e import hermegauss

    places, weight = hermegauss(40)

    def marginal(level):
        return float(expit(level + spread * places) @ weight / weight.sum())

    def make(rng, _, effect):
        size = np.maximum(rng.poisson(per_site, k), 2)
        site = np.repeat(np.arange(k), size)
        arm = site % 2 if by_site else np.arange(len(site)) % 2
        own = rng.normal(0, spread, k)[site]
        outcome = (rng.random(len(site)) < expit(-0.3 + 0.8 * effect * arm + own)).astype(int)
        odds = [share / (1 - share) for share in (marginal(-0.3 + 0.8 * effect), marginal(-0.3))]
        return odds[0] / odds[1], (outcome, arm, [(1, 0)], pd.DataFrame(index=range(len(site))), site)
    return make


def wedge(k, periods=5, per_cell=10, icc=0.1):
    """Patients of k sites, of which some start a program in each period but the first."""
    def make(rng, _, effect):
        step = 1 + np.arange(k) % (periods - 1)
        site, period = (part.ravel() for part in np.indices((k, periods)).repeat(per_cell, axis=2))
        start = step[site].astype(float)
        outcome = (50 + period + rng.normal(0, 10 * np.sqrt(icc), k)[site] + 5 * effect * (period >= start)
                   + rng.normal(0, 10 * np.sqrt(1 - icc), len(site)))
        return 5.0 * effect, (outcome, site, period.astype(float), start)
    return make


def alike(k, per_cluster, icc):
    """Values of k clusters of unlike size, replicates as groups; the truth is how alike they are."""
    def make(rng, replicates, effect):
        size = np.maximum(rng.poisson(per_cluster, k * replicates), 2)
        cluster = np.repeat(np.arange(k * replicates), size)
        level = rng.normal(0, np.sqrt(icc), k * replicates)[cluster]
        return icc, (level + rng.normal(0, np.sqrt(1 - icc), len(cluster)), cluster // k, cluster, replicates)
    return make
