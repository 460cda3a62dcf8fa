"""What a reader can add up: every count as a variable, every sum that ties them as an equation.

E1 numerator + complement = denominator      E4 levels of a variable add up to its denominator
E2 n + n_missing = eligible                  E5 reasons add up to n_excluded
E3 eligible + n_excluded = total             E6 groups, and periods inside a longer one, add up to the whole
E7 seen by an earlier visit + seen after it and by a later one = seen by the later one

A count is one variable per metric, whichever table, estimand or column shows it. Equal numbers of units at one
address are twins: once one is known, so are the others (all metrics have the same patients to start from). What is
missing in a sum (a group that is not listed) is a variable too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.disclosure.cells import REASON, Cells
from therapyeval.disclosure.policy import Policy
from therapyeval.disclosure.small import Hidden, is_count, is_share, is_small

SIZE = "size"
PART, TOTAL, WITHIN = 0, 1, 2   # role of a variable: one of the parts of a sum, the total of groups, anything else
PARTS_OF_N = ("numerator", "complement")
IDENTITY = ["population", "address", "scope", "value"]


@dataclass(frozen=True)
class Equations:
    """Homogeneous in the distance from the truth: for every equation, the signed sum is 0.

    Attributes
    ----------
    value, low, high : per variable, the true count and what a reader who knows the policy takes for possible
    protect : variables that the policy hides for their own sake (1 to 10 people)
    twin : per variable, a number that twins share
    shown_by : DataFrame (cell, column, variable): where a variable can be read
    terms : DataFrame (equation, variable, sign, role), sorted by equation
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    protect: np.ndarray
    twin: np.ndarray
    shown_by: pd.DataFrame
    terms: pd.DataFrame

    def known(self, hidden: Hidden) -> np.ndarray:
        """Variables that some cell shows, for themselves or a twin; and zeros, which a reader guesses."""
        return self.with_twins(self.readable(hidden) | (self.value == 0))

    def with_twins(self, mask: np.ndarray) -> np.ndarray:
        """True for all twins as soon as it is true for one."""
        return (np.bincount(self.twin, weights=mask) > 0)[self.twin]

    def readable(self, hidden: Hidden) -> np.ndarray:
        """Variables that some cell shows for themselves."""
        column, cell = self.shown_by["column"].to_numpy(), self.shown_by["cell"].to_numpy()
        shown = np.zeros(len(cell), dtype=bool)
        for name in ("row", "n", "n_missing", "n_excluded", "n_people"):
            here = column == name
            shown[here] = hidden.shows(name)[cell[here]]
        readable = np.zeros(len(self.value), dtype=bool)
        readable[self.shown_by["variable"].to_numpy()[shown]] = True
        return readable


def write_equations(cells: Cells, policy: Policy) -> Equations:
    """All variables and equations of a linked set."""
    entries = _entries(cells.rows[cells.rows["contrast"] == ""], policy)
    entries["variable"] = entries.groupby(IDENTITY, sort=True).ngroup()
    entries["twin"] = entries["variable"].where(~entries["scope"].str.startswith(SIZE), -1 - entries.groupby(
        ["population", "address", "value"], sort=True).ngroup())
    variables = entries.groupby("variable").agg(value=("value", "first"), protect=("protect", "any"),
                                                in_few=("in_few", "any"), twin=("twin", "first"))
    sums = _number([*_within_rows(cells.rows, entries), _levels(cells.rows, entries), _reasons(cells.rows, entries),
                    _groups(cells, entries), _nested(cells.rows, entries)])
    terms, remainders = _with_remainders(sums, variables["value"].to_numpy())
    rest = remainders.to_numpy()
    value = np.concatenate([variables["value"], rest])
    protect = np.concatenate([variables["protect"], is_small(remainders, policy)])
    low, high = _bounds(value, protect, policy)
    low[: len(variables)][variables["in_few"]] = 0
    low[len(variables):], high[len(variables):] = 0, np.inf
    twin = pd.factorize(np.concatenate([variables["twin"], -1.0 - len(entries) - np.arange(len(rest))]))[0]
    shown_by = entries.loc[entries["column"] != "", ["cell", "column", "variable"]]
    return Equations(value, low, high, protect, twin, shown_by, terms)


def _entries(rows: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """One row per cell and count in it: which variable it is (IDENTITY) and which column shows it."""
    share, reason, count = is_share(rows), rows["kind"] == REASON, is_count(rows)
    of_units = share & (rows["denominator"] == rows["n"])
    few = {name: is_small(rows[f"people_{name}"], policy) for name in ("numerator", "complement", "n_missing",
                                                                       "n_excluded")}
    few_people = is_small(rows["n_people"], policy)
    few_units = few_people | is_small(rows["n"], policy)
    eligible = rows["n"] + rows["n_missing"]
    none = np.zeros(len(rows), dtype=bool)
    metric = "|" + rows["metric"]
    units = SIZE + metric
    level = metric + "|" + rows["level"]
    parts = [
        ("numerator", "row", share, "numerator" + level, rows["numerator"], few["numerator"]),
        ("complement", "row", share, "complement" + level, rows["denominator"] - rows["numerator"], few["complement"]),
        ("denominator", "row", of_units, units, rows["denominator"], none),
        ("denominator", "row", share & ~of_units, "denominator" + level, rows["denominator"], none),
        ("count", "row", count, units, rows["numerator"], few["numerator"]),
        ("reason", "row", reason, "numerator|reason|" + rows["level"], rows["numerator"], few_people),
        ("n", "n", ~reason, units, rows["n"], few_people),
        ("n_missing", "n_missing", ~reason, "missing" + metric, rows["n_missing"], few["n_missing"]),
        ("n_excluded", "n_excluded", ~reason, "excluded" + metric, rows["n_excluded"], few["n_excluded"]),
        ("n_people", "n_people", ~reason, "people" + level + "|" + rows["estimand"], rows["n_people"], few_people),
        ("eligible", "", ~reason, units, eligible, None),
        ("total", "", ~reason, units, eligible + rows["n_excluded"], None),
    ]
    found = [pd.DataFrame({"cell": rows.index, "part": part, "column": column, "scope": scope, "value": value,
                           "protect": False if small is None else small | is_small(value, policy),
                           "in_few": few_units & (part in PARTS_OF_N), "population": rows["population"],
                           "address": rows["address"]})[where & value.notna()]
             for part, column, where, scope, value, small in parts]
    return pd.concat(found, ignore_index=True)


def _bounds(value: np.ndarray, protect: np.ndarray, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """The strongest reader: knows which hidden counts are small, and that the others are at least threshold.

    A hidden small count is not 0, because 0 is shown; only in a row about few people 0 is hidden too.
    """
    small = value < policy.threshold
    low = np.where(protect, 1, np.where(small, 0, policy.threshold)).astype(float)
    high = np.where(protect & small, policy.threshold - 1, np.inf)
    return np.minimum(low, value), high


def _within_rows(rows: pd.DataFrame, entries: pd.DataFrame) -> list[pd.DataFrame]:
    """E1 to E3, where they say something: with nobody missing, n and eligible are one variable."""
    wide = entries.pivot(index="cell", columns="part", values="variable").reindex(
        columns=["numerator", "complement", "denominator", "n", "n_missing", "eligible", "n_excluded", "total"])
    found = []
    for total, parts in (("denominator", ("numerator", "complement")), ("eligible", ("n", "n_missing")),
                         ("total", ("eligible", "n_excluded"))):
        these = wide[[total, *parts]].dropna().drop_duplicates().astype(np.int64)
        these = these[these[list(parts)].ne(these[total], axis=0).all(axis=1)]
        these.insert(0, "sum", range(len(these)))
        found.append(pd.concat([
            pd.DataFrame({"sum": these["sum"], "variable": these[name], "is_total": name == total, "role": WITHIN})
            for name in (total, *parts)]))
    return found


def _levels(rows: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """E4. Among ways to end, the metric's own has no level."""
    these = rows[((rows["level"] != "") | rows["by_when"].notna()) & (rows["statistic"] == "proportion")]
    return _sums(these, entries, ["population", "address", "metric", "estimand", "n"], "numerator", "denominator",
                 at_least=2)


def _reasons(rows: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """E5."""
    total = rows["n_excluded"].where(rows["kind"] != REASON)
    here = total.groupby([rows["population"], rows["address"], rows["metric"]])
    agreed = here.transform("nunique") == 1
    these = rows[agreed & ((rows["kind"] == REASON) | (rows["contrast"] == ""))]
    return _sums(these, entries, ["population", "address", "metric"], "reason", "n_excluded", at_least=1)


def _sums(rows: pd.DataFrame, entries: pd.DataFrame, by: list[str], part: str, total: str,
          at_least: int) -> pd.DataFrame:
    """Within each group of rows: all distinct `part` variables add up to the `total` variable."""
    code = rows.groupby(by, dropna=False).ngroup()
    taken = entries[entries["part"].isin([part, total]) & entries["cell"].isin(rows.index)]
    taken = taken.assign(sum=taken["cell"].map(code), is_total=taken["part"] == total)
    taken["role"] = np.where(taken["is_total"], WITHIN, PART)
    taken = taken.drop_duplicates(["sum", "variable", "is_total"])[["sum", "variable", "is_total", "role"]]
    n_parts = (~taken["is_total"]).groupby(taken["sum"]).transform("sum")
    n_totals = taken["is_total"].groupby(taken["sum"]).transform("sum")
    return taken[(n_parts >= at_least) & (n_totals == 1)]


def _groups(cells: Cells, entries: pd.DataFrame) -> pd.DataFrame:
    """E6: per metric, level, estimand and column, the children of an address add up to it."""
    rows = cells.rows
    summed = entries[~entries["part"].isin(["eligible", "total"])]
    keys = ["population", "part", "metric", "level", "estimand", "family"]
    told = summed.join(rows[["metric", "level", "estimand", "title"]], on="cell")
    several = told.groupby(keys[:-1] + ["address"])["variable"].transform("nunique") > 1
    doubtful = several.groupby([told[name] for name in keys[:-1]]).transform("any")
    told["family"] = told["title"].where(doubtful, "")
    told = told.drop_duplicates([*keys, "address", "variable"])[[*keys, "address", "variable"]]
    told["key"] = told.groupby(keys, sort=False).ngroup()
    told = told[["key", "address", "variable"]]
    children = cells.families.merge(told, left_on="child", right_on="address").drop(columns="address")
    found = children.merge(told, left_on=["key", "parent"], right_on=["key", "address"], suffixes=("", "_total"))
    found["sum"] = found.groupby(["key", "parent", "split", "variable_total"], sort=False).ngroup()
    found = _without_detours(found, cells.families)
    totals = found.drop_duplicates("sum")
    parts = pd.DataFrame({"sum": found["sum"], "variable": found["variable"], "is_total": False, "role": PART})
    return _distinct(pd.concat([parts, pd.DataFrame({"sum": totals["sum"], "variable": totals["variable_total"],
                                                     "is_total": True, "role": TOTAL})], ignore_index=True))


def _nested(rows: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """E7, for every two visits: what lies between is what is left of the sum (`_with_remainders`)."""
    keys = ["population", "address", "level", "estimand", "name"]
    told = entries[entries["part"] == "numerator"].join(rows[["level", "estimand", "by_when", "metric"]], on="cell")
    told = told[told["by_when"].notna()]
    told["name"] = told["metric"].str.extract(r"^([^,:]*)", expand=False)
    told = told.drop_duplicates([*keys, "variable"])[[*keys, "by_when", "variable"]]
    pairs = told.merge(told, on=keys, suffixes=("", "_later"))
    pairs = pairs[(pairs["variable"] != pairs["variable_later"]) & (pairs["by_when"] <= pairs["by_when_later"])]
    parts = pd.DataFrame({"sum": range(len(pairs)), "variable": pairs["variable"], "is_total": False, "role": PART})
    totals = parts.assign(variable=pairs["variable_later"], is_total=True, role=TOTAL)
    return pd.concat([parts, totals], ignore_index=True)


def _without_detours(found: pd.DataFrame, families: pd.DataFrame) -> pd.DataFrame:
    """Without the sums that follow from others: all parts belong to something between them and the whole."""
    between = families.merge(families, left_on="child", right_on="parent", suffixes=("", "_below"))
    between = between[["parent", "child", "child_below"]].set_axis(["parent", "between", "child"], axis=1)
    present = found[["key", "child"]].drop_duplicates().rename(columns={"child": "between"})
    told = between.drop_duplicates().merge(present)[["key", "parent", "child"]].drop_duplicates()
    detour = found[["key", "parent", "child"]].merge(told.assign(detour=True), how="left")["detour"].notna().to_numpy()
    return found[~pd.Series(detour, index=found.index).groupby(found["sum"]).transform("all")]


def _distinct(sums: pd.DataFrame) -> pd.DataFrame:
    """Each sum once: several metrics may say the same of the same numbers."""
    if sums.empty:
        return sums
    mark = np.random.default_rng(1).integers(1, 2**62, size=sums["variable"].max() + 1)
    weight = mark[sums["variable"]] * np.where(sums["is_total"], -3, 1)
    signature = pd.Series(weight, index=sums.index).groupby(sums["sum"]).sum()
    return sums[sums["sum"].isin(signature.index[~signature.duplicated()])]


def _number(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """All sums in one table, numbered through."""
    found = pd.concat([table.assign(table=number) for number, table in enumerate(tables)], ignore_index=True)
    return found.assign(equation=found.groupby(["table", "sum"]).ngroup())


def _with_remainders(sums: pd.DataFrame, value: np.ndarray) -> tuple[pd.DataFrame, pd.Series]:
    """Signed terms; where the parts fall short of the total, one more variable; where they exceed it, no equation."""
    variable = sums["variable"].to_numpy(np.int64)
    signed = np.where(sums["is_total"].to_numpy(bool), -1, 1)
    rest = -pd.Series(value[variable] * signed, index=sums.index).groupby(sums["equation"]).sum()
    terms = sums.assign(variable=variable, sign=signed)[["equation", "variable", "sign", "role"]]
    terms = terms[terms["equation"].map(rest) >= 0]
    short = rest[rest > 0]
    added = pd.DataFrame({"equation": short.index, "variable": len(value) + np.arange(len(short)), "sign": 1,
                          "role": WITHIN})
    terms = pd.concat([terms, added], ignore_index=True).sort_values("equation", kind="stable", ignore_index=True)
    return terms.assign(equation=pd.factorize(terms["equation"])[0]), short
