"""Straight lines over time of groups, by mixed models and by GEE, against R lmerTest and geepack."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_values import agree, codes, committed, reader, stroke_with_dropout, table

from therapyeval import stats
from therapyeval.stats.few import warns

expected = reader("lines")
ERRORS = ["robust", "scaled", "mancl_derouen"]
PAIRS = [(1, 0), (2, 0)]


def parts(lines):
    """Starts, slopes and differences, one below the other, as R's rows."""
    return np.vstack([table(part) for part in (lines.start, lines.slope, lines.difference)])


def of_stroke(rows, lines, **options):
    return lines(rows["ability"], codes(rows["Group"]), PAIRS, rows[[]], cluster=rows["Subject"], time=rows["week"],
                 **options)


@pytest.fixture
def diaries(real_data):
    """The headache trial: one row per patient and month with a score."""
    rows = pd.read_csv(real_data("acupuncture_headache") / "acupuncture.csv", encoding="utf-8-sig")
    long = rows.melt(["id", "group", "age", "migraine"], ["pk1", "pk2", "pk5"], "visit", "pk").dropna(subset="pk")
    return long.assign(month=long["visit"].map({"pk1": 0, "pk2": 3, "pk5": 12}))


def of_headache(rows, lines, **options):
    return lines(rows["pk"], rows["group"].to_numpy(), [(1, 0)], rows[["age", "migraine"]], cluster=rows["id"],
                 time=rows["month"], conf_level=0.9, **options)


def test_lines_of_mixed_models_agree_with_r(diaries):
    found = of_stroke(committed("stroke_long"), stats.mixed_lines, random_slope=False, likelihood="ML")
    agree(parts(found), expected("mixed.stroke_ml"))
    agree(parts(of_headache(diaries, stats.mixed_lines)), expected("mixed.headache"))


@pytest.mark.parametrize("error", ERRORS)
def test_lines_by_gee_agree_with_geepack(diaries, error):
    rows = stroke_with_dropout()
    found = of_stroke(committed("stroke_long"), stats.gee_lines, correlation="independence", error=error)
    agree(parts(found), expected("gee.stroke", error))
    found = of_stroke(rows, stats.gee_lines, correlation="ar1", order=rows["week"], error=error)
    agree(parts(found), expected("gee.stroke_dropout", error))
    agree(parts(of_headache(diaries, stats.gee_lines, error=error)), expected("gee.headache", error))


@pytest.mark.parametrize("lines", [stats.mixed_lines, stats.gee_lines])
def test_lines_do_not_depend_on_where_time_and_outcome_begin(lines):
    rows = committed("stroke_long")
    plain = parts(of_stroke(rows, lines))
    later = parts(of_stroke(rows.assign(week=rows["week"] - 3), lines))
    agree(later[:3, 0], plain[:3, 0] + 3 * plain[3:6, 0], 1e-8)
    agree(later[3:], plain[3:], 1e-5)
    higher = parts(of_stroke(rows.assign(ability=rows["ability"] + 1000), lines))
    agree(higher[:3, :3], plain[:3, :3] + 1000, 1e-8)
    agree(higher[3:], plain[3:], 1e-5)


@pytest.mark.parametrize("lines", [stats.mixed_lines, stats.gee_lines])
def test_lines_that_are_not_determined_say_so(lines):
    rows = committed("stroke_long")
    arm, none, who = codes(rows["Group"]), rows[[]], rows["Subject"].to_numpy()
    found = lines(rows["ability"], arm, [(1, 0), (5, 0)], none, cluster=who, time=rows["week"])
    empty = "a group has no value"
    assert found.difference.note.tolist() == ["", empty] and found.slope.note.tolist() == [""] * 3 + [empty] * 3
    assert np.isnan(table(found.start)[3:]).all() and np.isfinite(found.start.low[:3]).all()
    still = lines(rows["ability"], arm, PAIRS, none, cluster=who, time=np.ones(len(rows)))
    assert set(still.start.note) == {"covariate 'time' is constant"} and np.isnan(parts(still)).all()
    once = lines(rows["ability"], arm, PAIRS, none, cluster=who, time=np.where(arm == 1, 1, rows["week"]))
    assert once.slope.note[0] == "covariate 'time' is collinear with the groups or the covariates before it"
    nobody = np.array([], dtype=int)
    gone = lines(nobody.astype(float), nobody, [(0, 1)], pd.DataFrame(index=nobody), cluster=nobody, time=nobody)
    assert set(gone.start.note) == {"no unit has a value"}
    exact = lines(rows["week"] * (1.0 + arm), arm, PAIRS, none, cluster=who, time=rows["week"])
    assert np.isnan(parts(exact)[:, 1:]).all() and exact.difference.note[0]


def test_a_line_of_a_single_cluster_has_no_interval_by_gee():
    rows = committed("stroke_long")
    cluster = np.where(rows["Group"] == "B", 0, rows["Subject"])
    found = of_stroke(rows.assign(Subject=cluster), stats.gee_lines, error="robust")
    needs = "needs two clusters in each group for an interval"
    assert found.slope.note.tolist() == ["", needs, ""] and found.difference.note.tolist() == [needs, ""]
    assert np.isnan(found.start.low[1]) and np.isfinite(found.start.estimate).all()


@pytest.mark.parametrize(("lines", "options", "message"), [
    (stats.gee_lines, {"correlation": "free"}, "correlation is"), (stats.gee_lines, {"error": "CR2"}, "error is"),
    (stats.gee_lines, {"correlation": "ar1"}, "order goes with"), (stats.gee_lines, {"time": [1.0]}, "time has 1 rows"),
    (stats.mixed_lines, {"likelihood": "reml"}, "likelihood is"), (stats.mixed_lines, {"time": [1.0]}, "time has 1"),
    (stats.mixed_lines, {"conf_level": 1.0}, "conf_level")])
def test_senseless_lines_are_refused(lines, options, message):
    rows = committed("stroke_long")
    options = {"cluster": rows["Subject"], "time": rows["week"], **options}
    with pytest.raises(ValueError, match=message):
        lines(rows["ability"], codes(rows["Group"]), PAIRS, rows[[]], **options)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 30), n_groups=st.integers(1, 3), n_clusters=st.integers(1, 8),
       values=st.sampled_from([1, 2, 3, 100]), lines=st.sampled_from([stats.mixed_lines, stats.gee_lines]))
def test_any_small_sample_gives_lines_or_a_reason(seed, n, n_groups, n_clusters, values, lines):
    rng = np.random.default_rng(seed)
    group, cluster = rng.integers(0, n_groups, n), rng.integers(0, n_clusters, n)
    outcome, time = rng.integers(0, values, n) / 10, rng.integers(0, 4, n)
    covariates = pd.DataFrame({"other": rng.integers(0, values, n)})[["other"] * int(rng.integers(0, 2))]
    found = lines(outcome, group, [(0, 1), (1, 2)], covariates, cluster=cluster, time=time)
    for part in (found.start, found.slope, found.difference):
        clear = (part.note == "") | warns(part.note)
        assert np.isfinite(table(part)[clear]).all() and (part.low[clear] <= part.high[clear]).all()
        assert np.isnan(part.low[~clear]).all() and np.isnan(part.p_value[~clear]).all()
