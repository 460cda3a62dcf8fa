"""What must hold for any data: groups do not influence each other, and the order of rows does not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from therapyeval import stats
from therapyeval.stats.cluster_robust import cr2
from therapyeval.stats.few import warns

N_GROUPS = 4
row = st.tuples(  # group, patient, value, exposure or time, event
    st.integers(0, N_GROUPS - 1), st.integers(-3, 6), st.integers(-50, 50), st.integers(0, 9), st.booleans()
)
rows = st.lists(row, max_size=60)


def arrays(found: list[tuple]) -> tuple[np.ndarray, ...]:
    group, cluster, value, other, flag = np.array(found, dtype=float).reshape(-1, 5).T
    return group.astype(int), cluster.astype(int), value / 4, other, flag.astype(bool)


def estimators(group, cluster, value, other, flag, n_groups) -> dict[str, stats.Interval]:
    return {
        "mean": stats.mean(value, group, cluster, n_groups),
        "median": stats.median(value, group, n_groups),
        "ratio": stats.ratio(stats.pair_sums(value, other, group, cluster, n_groups)),
        "time": stats.time_quantile(other, flag, group, n_groups),
    }


def same(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@given(rows)
def test_all_groups_at_once_equal_one_group_at_a_time(found):
    parts = arrays(found)
    together = estimators(*parts, N_GROUPS)
    for code in range(N_GROUPS):
        mine = parts[0] == code
        alone = estimators(np.zeros(mine.sum(), dtype=int), *(part[mine] for part in parts[1:]), 1)
        for name, interval in together.items():
            assert interval.note[code] == alone[name].note[0]
            for field in ("estimate", "low", "high"):
                same(getattr(interval, field)[code], getattr(alone[name], field)[0])


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    one, two = estimators(*arrays(found), N_GROUPS), estimators(*arrays(shuffled), N_GROUPS)
    for name in one:
        assert one[name].note.tolist() == two[name].note.tolist()
        for field in ("estimate", "low", "high"):
            same(getattr(one[name], field), getattr(two[name], field))


@given(rows)
def test_intervals_hold_their_estimate_and_a_note_goes_with_every_missing_number(found):
    for interval in estimators(*arrays(found), N_GROUPS).values():
        numbers = np.array([interval.low, interval.estimate, interval.high])
        complete = np.isfinite(numbers).all(axis=0)
        assert (interval.low[complete] <= interval.estimate[complete]).all()
        assert (interval.estimate[complete] <= interval.high[complete]).all()
        assert (complete == ((interval.note == "") | warns(interval.note))).all() and not np.isinf(numbers).any()


@given(rows)
def test_summaries_equal_numpy_one_group_at_a_time(found):
    group, cluster, value, _, _ = arrays(found)
    low, high = stats.extremes(value, group, N_GROUPS)
    deviation, people = stats.sd(value, group, N_GROUPS), stats.n_distinct(cluster, group, N_GROUPS)
    for code in range(N_GROUPS):
        mine = value[group == code]
        assert people[code] == len(set(cluster[group == code]))
        if len(mine):
            assert (low[code], high[code]) == (mine.min(), mine.max())
            for p in (0, 0.1, 0.5, 0.9, 1):
                same(stats.quantile(value, group, N_GROUPS, p)[code], np.quantile(mine, p))
        if len(mine) > 1:
            same(deviation[code], mine.std(ddof=1))


@given(rows)
def test_mean_and_ratio_equal_their_written_formulas(found):
    group, cluster, value, other, _ = arrays(found)
    mean = stats.mean(value, group, cluster, N_GROUPS)
    ratio = stats.ratio(stats.pair_sums(value, other, group, cluster, N_GROUPS))
    from scipy.stats import t

    for code in range(N_GROUPS):
        mine = group == code
        patients = set(cluster[mine])
        if mean.note[code] == "":
            residual = value[mine] - value[mine].mean()
            squares = sum(residual[cluster[mine] == patient].sum() ** 2 for patient in patients)
            g = len(patients)
            half = t.ppf(0.975, g - 1) * np.sqrt(g / (g - 1) * squares) / mine.sum()
            same([mean.estimate[code], mean.high[code]], [value[mine].mean(), value[mine].mean() + half])
        if ratio.note[code] == "":
            r = value[mine].sum() / other[mine].sum()
            gap = [(value - r * other)[mine & (cluster == patient)].sum() ** 2 for patient in patients]
            g = len(patients)
            half = t.ppf(0.975, g - 1) * np.sqrt(g / (g - 1) * sum(gap)) / other[mine].sum()
            same([ratio.estimate[code], ratio.low[code]], [r, r - half])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=20))
def test_wilson_and_garwood_limits_hold_their_estimate(pairs):
    small, extra = np.array(pairs).T
    share = stats.proportion(small, small + extra)
    some = share.note == ""
    assert (share.low[some] <= share.estimate[some]).all()
    assert (share.estimate[some] <= share.high[some]).all()
    assert (share.low[some] >= 0).all() and (share.high[some] <= 1).all()
    mirrored = stats.proportion(extra, small + extra)
    same(1 - mirrored.high, share.low)
    rate = stats.event_rate(small, extra + 1.0)
    assert (rate.low <= rate.estimate).all() and (rate.estimate < rate.high).all()


@given(st.integers(0, 100_000), st.integers(2, 12), st.integers(1, 3))
def test_cr2_equals_the_formula_with_full_matrices(seed, n_clusters, n_columns):
    generator = np.random.default_rng(seed)
    cluster = np.r_[np.arange(n_clusters), generator.integers(0, n_clusters, 2 * n_clusters + 4)]
    columns = generator.normal(size=(len(cluster), n_columns))
    q = np.linalg.qr(np.column_stack([np.ones(len(cluster)), columns]))[0]
    residual = generator.normal(size=len(cluster))
    residual -= q @ (q.T @ residual)
    direction = generator.normal(size=(q.shape[1], 2))
    annihilator = np.eye(len(cluster)) - q @ q.T
    for j in range(2):
        weights, square, parts = q @ direction[:, j], 0.0, []
        for code in range(n_clusters):
            mine = cluster == code
            values, vectors = np.linalg.eigh(annihilator[np.ix_(mine, mine)])
            assume(not ((values > 1e-12) & (values < 1e-6)).any())     # else too few digits for both formulas
            root = np.where(values > 1e-12, 1 / np.sqrt(np.where(values > 1e-12, values, 1)), 0)
            adjusted = vectors @ np.diag(root) @ vectors.T @ weights[mine]
            square += (adjusted @ residual[mine]) ** 2
            parts.append(annihilator[:, mine] @ adjusted)
        products = np.array(parts) @ np.array(parts).T
        found, df = cr2(q, residual, direction, cluster)
        same([found[j], df[j]], [square, np.trace(products) ** 2 / (products**2).sum()])


def test_cr2_keeps_its_digits_where_a_cluster_determines_almost_all_of_a_coefficient():
    # One eigenvalue of I - H_gg is 1.3e-6. Expected: the full matrices in 60 digits with mpmath 1.4.1.
    generator = np.random.default_rng(68)
    cluster = np.r_[np.arange(2), generator.integers(0, 2, 8)]
    q, r = np.linalg.qr(np.column_stack([np.ones(10), generator.normal(size=(10, 3))]))
    outcome = generator.normal(size=10)
    direction = np.linalg.solve(r.T, generator.normal(size=(4, 2)))
    variance, df = cr2(q, outcome - q @ (q.T @ outcome), direction, cluster)
    np.testing.assert_allclose(variance, [0.862361662415813, 0.225857444404626], rtol=1e-8)
    np.testing.assert_allclose(df, [1.18154591150877, 1.48090846297729], rtol=1e-8)


@given(rows)
def test_contrasts_turn_around_with_their_pair(found):
    group, _, value, other, _ = arrays(found)
    covariates = pd.DataFrame({"other": other})
    for contrast in (stats.welch(value, group, [(0, 1), (1, 0)]),
                     stats.adjusted_difference(value, group, [(0, 1), (1, 0)], covariates)):
        same(contrast.estimate[0], -contrast.estimate[1])
        same(contrast.low[0], -contrast.high[1])
        same(contrast.p_value[0], contrast.p_value[1])
        assert contrast.note[0] == contrast.note[1]


def test_the_clustered_mean_has_its_nominal_coverage():
    generator = np.random.default_rng(11)
    n_groups, n_patients = 4000, 12
    patient = np.tile(np.repeat(np.arange(n_patients), 3), n_groups)
    group = np.repeat(np.arange(n_groups), 3 * n_patients)
    effect = generator.normal(size=n_groups * n_patients)
    values = np.repeat(effect, 3) + generator.normal(size=len(group))
    found = stats.mean(values, group, patient, n_groups)
    covered = np.mean((found.low < 0) & (found.high > 0))
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n_groups))
