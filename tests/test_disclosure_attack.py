"""Attack by an independent reader: integer programs over the shown cells and all margins.

The reader knows the policy and which hidden cells are small. Whatever release hides for its own sake (1 to 10
people) must keep at least MIN_SPREAD values.
"""

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from therapyeval.disclosure import MIN_SPREAD, THRESHOLD, release, repair
from therapyeval.disclosure.addresses import find_families, make_address, read_span
from therapyeval.result import Result, Source, make_frame

SETTINGS = settings(max_examples=25, suppress_health_check=list(HealthCheck))
FEW = settings(SETTINGS, max_examples=8)
ALL = None
COUNT = st.one_of(st.integers(0, 12), st.integers(0, 60))


class Reader:
    """Integer variables with what is known of each, and sums that hold."""

    def __init__(self):
        self.index, self.true, self.low, self.high, self.sums = {}, [], [], [], []

    def add(self, name, true, shown, zero_is_hidden=False):
        """A count: known where shown (and where 0, which is shown as a rule), else small or not."""
        known = shown or true == 0
        small = true < THRESHOLD
        self.index[name] = len(self.true)
        self.true.append(true)
        self.low.append(true if known else (0 if zero_is_hidden else 1) if small else THRESHOLD)
        self.high.append(true if known else THRESHOLD - 1 if small else np.inf)

    def add_sum(self, total, parts):
        """Parts that add up to a total."""
        assert self.true[self.index[total]] == sum(self.true[self.index[part]] for part in parts)
        self.sums.append((self.index[total], [self.index[part] for part in parts]))

    def spread(self, name, enough=MIN_SPREAD):
        """How many values a count can take (up to `enough`)."""
        matrix = np.zeros((len(self.sums), len(self.true)))
        for row, (total, parts) in enumerate(self.sums):
            matrix[row, total] -= 1
            np.add.at(matrix[row], parts, 1)
        position, found = self.index[name], 0
        for value in sorted(range(THRESHOLD), key=lambda value: abs(value - self.true[position])):
            low, high = np.array(self.low, float), np.array(self.high, float)
            if not low[position] <= value <= high[position]:
                continue
            low[position] = high[position] = value
            found += milp(np.zeros(len(low)), constraints=LinearConstraint(matrix, 0, 0), bounds=Bounds(low, high),
                          integrality=np.ones(len(low))).status == 0
            if found == enough:
                break
        return found


def is_small(count):
    return 1 <= count < THRESHOLD


def result(rows, by, title="T", **source):
    return Result(make_frame(rows, by), title, Source("f", "episodes", **source))


def counted(k, n, **more):
    return {"metric": "m", "statistic": "proportion", "estimand": "complete_case", "estimate": k / n if n else None,
            "numerator": k, "denominator": n, "n": n, "n_missing": 0, "n_excluded": 0, "n_people": n, **more}


def levels_by_group(cells):
    """One row per group and level, and for all groups together."""
    rows = [counted(k, sum(levels), site_id=f"s{g}", level=f"v{i}")
            for g, levels in enumerate(cells) for i, k in enumerate(levels)]
    totals = [sum(column) for column in zip(*cells, strict=True)]
    return rows + [counted(k, sum(totals), site_id=ALL, level=f"v{i}") for i, k in enumerate(totals)]


@SETTINGS
@given(st.integers(2, 3).flatmap(lambda n: st.lists(st.lists(COUNT, min_size=n, max_size=n), min_size=2, max_size=4)))
def test_levels_by_group_with_totals(cells):
    reader, small = reader_of_levels(cells)
    assert all(reader.spread(name) >= MIN_SPREAD for name in small)


@FEW
@given(st.lists(st.lists(COUNT, min_size=3, max_size=3), min_size=3, max_size=4))
def test_what_follows_and_is_shown_again_leaves_every_small_count_all_its_values(cells):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repair, "show_followers", lambda cells, equations, own, hidden: hidden)
        before, small = reader_of_levels(cells)
    after, _ = reader_of_levels(cells)
    assert all(after.spread(name, THRESHOLD) == before.spread(name, THRESHOLD) for name in small)


def reader_of_levels(cells):
    """What a reader of the released table knows, and the counts that are small."""
    frame = release([result(levels_by_group(cells), ["site_id"])], "cms_11")[0].frame
    reader, small = Reader(), []
    shown = {(row.site_id if isinstance(row.site_id, str) else ALL, row.level): row for row in frame.itertuples()}
    groups = {f"s{g}": levels for g, levels in enumerate(cells)}
    groups[ALL] = [sum(column) for column in zip(*cells, strict=True)]
    for group, levels in groups.items():
        n = sum(levels)
        n_shown = any(pd.notna(shown[group, f"v{i}"].n) for i in range(len(levels)))
        reader.add(("n", group), n, n_shown)
        small += [("n", group)] * is_small(n)
        for i, k in enumerate(levels):
            known = pd.notna(shown[group, f"v{i}"].numerator)
            for name, count in (("k", k), ("rest", n - k)):
                assert not (known and is_small(count))
                reader.add((name, group, i), count, known, zero_is_hidden=is_small(n))
                small += [(name, group, i)] * is_small(count)
            reader.add_sum(("n", group), [("k", group, i), ("rest", group, i)])
        reader.add_sum(("n", group), [("k", group, i) for i in range(len(levels))])
    for i in range(len(cells[0])):
        reader.add_sum(("k", ALL, i), [("k", group, i) for group in groups if group is not ALL])
    reader.add_sum(("n", ALL), [("n", group) for group in groups if group is not ALL])
    return reader, small


def sites_by_quarter(cells):
    """Shares with missing values: site by quarter, both margins and the total, in one Result each."""
    sums = {}
    for (site, quarter), counts in cells.items():
        for key in ((site, quarter), (site, ALL), (ALL, quarter), (ALL, ALL)):
            sums[key] = tuple(a + b for a, b in zip(sums.get(key, (0, 0, 0)), counts, strict=True))
    parts = {}
    for (site, quarter), (yes, no, missing) in sums.items():
        n = yes + no
        row = counted(yes, n, n_missing=missing, site_id=site, period=quarter)
        both = counted(yes, n + missing, site_id=site, period=quarter, estimand="missing_not_achieved")
        parts.setdefault((site is ALL, quarter is ALL), []).extend([row, both])
    results = []
    for (all_sites, all_quarters), rows in parts.items():
        by = [name for name, everything in (("site_id", all_sites), ("period", all_quarters)) if not everything]
        without = {"site_id", "period"} - set(by)
        rows = [{name: value for name, value in row.items() if name not in without} for row in rows]
        results.append(result(rows, by, f"by {by}"))
    return results, sums


QUARTERS = ("2026Q1", "2026Q2", "2026Q3")
CELLS = st.integers(2, 3).flatmap(lambda n: st.fixed_dictionaries(
    {(f"s{i}", quarter): st.tuples(COUNT, COUNT, st.one_of(st.just(0), st.integers(0, 25)))
     for i in range(n) for quarter in QUARTERS[:n]}))


@SETTINGS
@given(CELLS)
def test_sites_by_quarter_with_both_margins_and_missing_values(cells):
    results, sums = sites_by_quarter(cells)
    reader, small = Reader(), []
    shown = {}
    for part in release(results, "cms_11"):
        for row in part.frame.to_dict("records"):
            shown[row.get("site_id", ALL), row.get("period", ALL), row["estimand"]] = row
    for key, (yes, no, missing) in sums.items():
        cc, mna = (shown[(*key, estimand)] for estimand in ("complete_case", "missing_not_achieved"))
        counts = {"yes": (yes, pd.notna(cc["numerator"]) or pd.notna(mna["numerator"])),
                  "no": (no, pd.notna(cc["numerator"])), "missing": (missing, pd.notna(cc["n_missing"])),
                  "not achieved": (no + missing, pd.notna(mna["numerator"])),
                  "n": (yes + no, pd.notna(cc["n"])), "eligible": (yes + no + missing, pd.notna(mna["n"]))}
        for name, (count, known) in counts.items():
            assert not (known and is_small(count))
            few = is_small(yes + no) or is_small(yes + no + missing)
            reader.add((name, *key), count, known, zero_is_hidden=few)
            small += [(name, *key)] * is_small(count)
        reader.add_sum(("n", *key), [("yes", *key), ("no", *key)])
        reader.add_sum(("eligible", *key), [("n", *key), ("missing", *key)])
        reader.add_sum(("not achieved", *key), [("no", *key), ("missing", *key)])
    sites, quarters = ({key[i] for key in cells} for i in (0, 1))
    for name in ("yes", "no", "missing"):
        for site in (*sites, ALL):
            reader.add_sum((name, site, ALL), [(name, site, quarter) for quarter in quarters])
        for quarter in (*quarters, ALL):
            reader.add_sum((name, ALL, quarter), [(name, site, quarter) for site in sites])
    assert all(reader.spread(name) >= MIN_SPREAD for name in small)


@FEW
@given(CELLS, st.randoms())
def test_release_does_not_depend_on_the_order_of_the_tables(cells, chance: random.Random):
    results, _ = sites_by_quarter(cells)
    order = list(range(len(results)))
    chance.shuffle(order)
    straight, shuffled = release(results, "cms_11"), release([results[i] for i in order], "cms_11")
    for position, i in enumerate(order):
        pd.testing.assert_frame_equal(straight[i].frame, shuffled[position].frame)


@FEW
@given(CELLS)
def test_release_leaves_its_input_alone_and_does_the_same_again(cells):
    results, _ = sites_by_quarter(cells)
    before = [part.frame.copy() for part in results]
    once, twice = release(results, "cms_11"), release(results, "cms_11")
    for copy, part, one, two in zip(before, results, once, twice, strict=True):
        pd.testing.assert_frame_equal(copy, part.frame)
        pd.testing.assert_frame_equal(one.frame, two.frame)
        assert list(one.frame.columns) == list(copy.columns) and len(one.frame) == len(copy)
    for copy, part in zip(before, release(results, "public"), strict=True):
        pd.testing.assert_frame_equal(copy, part.frame)


def test_the_reader_finds_what_a_total_gives_away():
    reader = Reader()
    for name, count, shown in (("a", 4, False), ("b", 30, True), ("all", 34, True)):
        reader.add(name, count, shown)
    reader.add_sum("all", ["a", "b"])
    assert reader.spread("a") == 1


# Addresses

def test_a_filter_and_a_group_of_one_value_are_one_address():
    assert make_address("f", {"arm": ["A"]}, None, {}) == make_address("f", {}, None, {"arm": "A"})
    assert make_address("f", {}, "2026Q3", {}) == make_address("f", {}, None, {"period": "2026-07-01..2026-09-30"})
    assert make_address("f", {"program": [2.0]}, None, {"arm": float("nan")}) == make_address(
        "f", {"program": 2}, None, {"arm": ""})


def test_weeks_have_days_and_other_labels_stay():
    assert [str(day) for day in read_span("2026-W01")] == ["2025-12-29", "2026-01-04"]
    assert read_span("baseline") == "baseline" and read_span(None) is None


@pytest.mark.parametrize(("whole", "part", "is_family"), [
    ({}, {"site_id": "north"}, True),
    ({"arm": ["A", "B"]}, {"arm": "A"}, True),
    ({"arm": ["A", "B"]}, {"arm": "A", "site_id": "north"}, True),
    ({"arm": "A"}, {"arm": "B"}, False),
    ({"site_id": "north"}, {"arm": "A"}, False)])
def test_families(whole, part, is_family):
    addresses = [make_address("f", whole, None, {}), make_address("f", part, None, {})]
    families = find_families(addresses)
    assert families[["parent", "child"]].values.tolist() == [[0, 1]] * is_family


def test_overlapping_periods_are_no_partition():
    spans = ["2026-01-01..2026-12-31", "2025-10-01..2026-09-30", "2025-01-01..2026-12-31"]
    families = find_families([make_address("f", {}, span, {}) for span in spans])
    assert families["split"].nunique() == len(families) == 2
