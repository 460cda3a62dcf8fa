"""The table of the study of coverage: an estimator, where it is used, and a maker of data with a known truth."""

import numpy as np
import pandas as pd
import simulated_clusters as clusters
import simulated_data as data
import simulated_tables as tables
from simulated_coverage import FEW, RARE, Scenario

from therapyeval import stats

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


def pre_trend(*arguments):
    return stats.event_study(*arguments).pre_trend


def interaction(*arguments):
    return stats.subgroup_effects(*arguments).interaction


def together(function):
    """All pairs of groups as one answer, whose limits hold 0 where all intervals hold their differences."""
    def call(values, group, truths):
        found = getattr(stats, function)(values, group, tables.EVERY_PAIR)
        low, high = np.max(found.low - truths), np.min(found.high - truths)
        return stats.Contrast(0.0, low, high, np.min(found.p_value), np.nan, "", max(found.note))
    return call


def dunn(values, group, truths):
    """The first pair alone: its p-value is not adjusted for the others."""
    found = stats.dunn(values, group, tables.EVERY_PAIR[:1])
    return stats.JointTest(0.0, 1.0, np.nan, float(found.p_value[0]), "", str(found.note[0]))


def equivalent_means(values, group, pairs, margin):
    """The test alone: its limits are of another level."""
    found = stats.equivalent_means(values, group, pairs, margin)
    return stats.Contrast(found.estimate, np.nan, np.nan, found.p_value, np.nan, "", found.note)


def bootstrap_of_means(values, group, cluster, n_groups):
    def mean(rows, codes, n):
        return np.bincount(codes, values[rows], n) / np.bincount(codes, minlength=n)
    return stats.bootstrap_interval(mean, group, cluster, n_groups)


def posterior_mean(*arguments):
    return stats.posterior_mean(*arguments, prior_mean=0, prior_sd=PRIOR_SD)


def mixed(slope):
    """A random intercept by site; with `slope` sites may differ in how well the program works."""
    def call(outcome, arm, pairs, covariates, site):
        varying = arm.astype(float) if slope else None
        return stats.mixed_difference(outcome, arm, pairs, covariates, cluster=site, slope=varying)
    return call


def by_site(function, **options):
    def call(outcome, arm, pairs, covariates, site, **more):
        return getattr(stats, function)(outcome, arm, pairs, covariates, cluster=site, **options, **more)
    return call


def slopes(outcome, arm, pairs, covariates, patient, visit):
    return stats.mixed_lines(outcome, arm, pairs, covariates, cluster=patient, time=visit.astype(float)).difference


def repeated_difference(outcome, arm, pairs, covariates, patient, visit):
    return stats.repeated_difference(outcome, arm, pairs, covariates, subject=patient, visit=visit, at=visit.max())


# the table --------------------------------------------------------------------------------------------------------

PRIOR_SD = 10.0


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
    for n, shape in _scores(("normal", (10, 20, 50)), ("skewed", (20, 50, 100))):
        yield Scenario("standardized_mean", f"{n} patients, {SHAPES[shape]}", data.standardized_gain(n, shape),
                       replicates=FEW)
    for n, shape in _scores(("normal", (8,)), ("skewed", (8, 20)), ("ceiling", (8, 50)), ("full", (8, 20, 50))):
        for function in ("paired", "signed_rank") if shape in ("normal", "skewed") else ("paired",):
            yield Scenario(function, f"{n} people twice, {SHAPES[shape]}", data.before_after(n, shape))
    for n in (12, 20, 60):
        yield Scenario("bootstrap_interval", f"mean of {n} people, normal scores", data.one_mean(n, "normal"),
                       replicates=FEW, call=bootstrap_of_means)
    for n, fixed in ((8, None), (8, 5.0), (50, 5.0)):
        truth = "true means as the prior has them" if fixed is None else "a true mean half a prior SD from its middle"
        yield Scenario("posterior_mean", f"{n} people, {truth}", tables.mean_with_prior(n, PRIOR_SD, fixed),
                       replicates=FEW, call=posterior_mean)


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
    for sizes, shape in ((12, 12), "normal"), ((50, 50), "normal"), ((20, 20), "skewed"):
        for interval in ("percentile", "BCa"):
            yield Scenario("bootstrap_difference", _arms(sizes, shape), data.two_means(sizes, shape), FEW,
                           (("interval", interval),))
    for sizes, margin in ((20, 20), 8.0), ((100, 100), 3.5):
        where = f"{sizes[0]} and {sizes[1]} people, true difference at the margin"
        yield Scenario("equivalent_means", where, tables.at_the_margin(sizes, margin), call=equivalent_means)
    for function in ("tukey", "games_howell"):
        for sizes, spread, said in (((8, 8, 8), (1, 1, 1), ""), ((10, 20, 40), (2, 1, 0.5), ", SD 2 : 1 : 0.5")):
            where = f"all pairs together: {', '.join(map(str, sizes))} people, normal scores{said}"
            yield _one_by_one(function, where, tables.family(sizes, spread=spread), call=together(function),
                              replicates=RARE)
    for shape in ("normal", "skewed"):
        yield _one_by_one("dunn", f"one pair of 10, 20, 40 people, {SHAPES[shape]}", tables.family((10, 20, 40), shape),
                          call=dunn)
    for n in (60, 200):
        yield _one_by_one("subgroup_effects", f"the interaction, {n} people in two subgroups", tables.subgroups(n),
                          call=interaction)
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
    for sizes, share in ((20, 20, 20), 0.5), ((40, 60, 80), 0.15), ((200, 200, 200), 0.3):
        where = f"{', '.join(map(str, sizes))} people, share {share}"
        yield _one_by_one("chi_square", where, tables.table(sizes, share))
        yield _one_by_one("trend", where, tables.doses(sizes, share))
    for n, shares in ((40, (0.25, 0.15)), (200, (0.2, 0.12))):
        for exact in (True, False):
            where = f"{n} people asked twice, {'exact' if exact else 'chi-square'}"
            yield Scenario("mcnemar", where, tables.changes(n, shares), options=(("exact", exact),))
    for k, per_arm in ((4, 20), (10, 8), (5, 100)):
        yield _one_by_one("mantel_haenszel", f"{k} strata with {per_arm} people in each arm", tables.strata(k, per_arm))
    for n, fixed in ((10, None), (10, (0.8, 0.4)), (30, (0.7, 0.5))):
        truth = "true shares as the prior has them" if fixed is None else f"shares {fixed[0]} and {fixed[1]}"
        yield Scenario("posterior_risk_difference", f"{n} and {n} people, {truth}", tables.shares_with_prior(n, fixed),
                       replicates=RARE)


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
    yield _one_by_one("adjusted_risk", "100 people, rare outcome", data.yes_no(100, "risk_difference", -2.2),
                      effect="risk_difference")
    for n, level, said in (20, -0.2, ""), (50, -2.2, ", rare outcome"), (100, -0.2, ""):
        make = data.yes_no(n, "odds_ratio", level)
        yield _one_by_one("firth_odds_ratio", f"{n} people{said}", make, replicates=RARE)
    for n in (40, 200):
        yield _one_by_one("proportional_odds", f"{n} people, four grades", data.grades(n))
    for family, n, shape, said in (("negative_binomial", 40, 1.5, "rates that differ"),
                                   ("negative_binomial", 100, 1.5, "rates that differ"),
                                   ("negative_binomial", 200, 1.5, "rates that differ"),
                                   ("poisson", 40, np.inf, "rates alike"), ("poisson", 200, 1.5, "rates that differ")):
        yield _one_by_one("adjusted_rate_ratio", f"{n} people, {said}", data.counts(n, shape), family=family)


def clustered_and_repeated():
    for k, icc in ((4, 0.1), (6, 0.2), (10, 0.1), (20, 0.05), (20, 0.2)):
        where = f"program by site, {k} sites of 20, ICC {icc}"
        yield _one_by_one("mixed_difference", where, data.sites(k, 20, icc), call=mixed(slope=False))
    for k, icc in ((4, 0.1), (10, 0.2), (20, 0.1)):
        where = f"program within {k} sites of 20, ICC {icc}, effects that differ by site"
        yield _one_by_one("mixed_difference", where, data.sites(k, 20, icc, by_site=False), call=mixed(slope=True),
                          replicates=RARE)
    for k in (10, 20, 40):
        where = f"program by site, {k} sites of 20"
        yield _one_by_one("gee_contrast", f"{where}, ICC 0.1", data.sites(k, 20, 0.1), call=by_site("gee_contrast"),
                          family="gaussian")
        yield _one_by_one("gee_contrast", f"{where}, log odds with SD 0.5", clusters.yes_no_sites(k, 20),
                          call=by_site("gee_contrast"), family="binomial")
    for k in (6, 10, 20):
        yield _one_by_one("wild_cluster_difference", f"program by site, {k} sites of 20, ICC 0.1",
                          data.sites(k, 20, 0.1), call=by_site("wild_cluster_difference", n_resamples=999),
                          replicates=RARE)
    for n in (24, 60):
        yield _one_by_one("mixed_lines", f"{n} people at 4 visits, own slopes",
                          clusters.repeated_visits(n, slopes=1.5), call=slopes, replicates=RARE)
        yield _one_by_one("repeated_difference", f"{n} people at 4 visits, 20% of the later ones missing at random",
                          clusters.repeated_visits(n, lost=0.2), call=repeated_difference, replicates=RARE)
    for k in (4, 8, 20):
        yield _one_by_one("stepped_wedge", f"{k} sites of 10 people in each of 5 periods, ICC 0.1", clusters.wedge(k),
                          replicates=RARE)
    for k, icc in ((6, 0.1), (10, 0.05), (20, 0.2)):
        yield Scenario("icc", f"{k} clusters of about 20, ICC {icc}", clusters.alike(k, 20, icc))


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
    for k in (6, 10, 20):
        where = f"trends before the start of {k} sites, errors that carry over"
        yield _one_by_one("event_study", where, data.panel(k), call=pre_trend)
    for n in (20, 50):
        yield _one_by_one("gray_test", f"{n} and {n} people, two competing ends", tables.two_ends(n))
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
         "Adjusted and clustered": adjusted,
         "Clustered and repeated": clustered_and_repeated,
         "Missing outcomes, groups not randomized": missing_and_not_randomized, "Over time": over_time}
SCENARIOS = {part: list(make()) for part, make in PARTS.items()}

FEW_SHOW_LITTLE = "eight values seldom show how skewed they are"
NOT_TOLD = "nobody told it of those missing; use `completion_weighted` or `impute`"
UNSEEN = {       # rows too narrow that the function cannot see from what it is given, and why
    ("`mean`", "8 people, skewed scores"): FEW_SHOW_LITTLE,
    ("`ratio`", "8 patients, skewed gain per visit"): FEW_SHOW_LITTLE,
    ("`paired`", "8 people twice, skewed scores"): FEW_SHOW_LITTLE,
    ("`signed_rank`", "8 people twice, skewed scores"): FEW_SHOW_LITTLE,
    ("`paired`", "50 people twice, three quarters at the ceiling"): "the few large differences may not be among the 50",
    ("`welch`", "8 and 30 people, normal scores, SD twice as large in the first"):
        "the degrees of freedom are approximate, and off by less than a percentage point",
    ("`proportion`", "8 people, share 0.5"): "coverage of counts goes up and down with the share, which is not known",
    ("`risk_difference`", "250 and 250 people, shares 0.6 and 0.5"):
        "the level of counts goes up and down around 5% with the share, which is not known",
    **{("`mean`", f"{n} people, 30% missing at random by a baseline"): NOT_TOLD for n in (25, 50, 200)},
}


