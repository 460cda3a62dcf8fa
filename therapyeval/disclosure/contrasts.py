"""Rule 5: rows that compare two groups show no more than the rows of the groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.disclosure.cells import ROW, Cells
from therapyeval.disclosure.policy import Policy
from therapyeval.disclosure.small import COLUMNS, Hidden, is_small
from therapyeval.result import (
    ALL_GROUPS,
    BEST_CASE,
    COMPLETE_CASE,
    COUNTS,
    IMPUTED,
    WEIGHTED,
    WORST_CASE,
    Result,
)

ADJUSTED = "ANCOVA"
# The largest distance follows from one patient's score, as min and max do; so does a score beyond 0.05 or 0.95, and the
# effective size of a matched group tells how few found no partner.
ONE_PERSON = ("check_influence", "check_positivity", "check_effective_size")
FILLED = (IMPUTED, WEIGHTED, WORST_CASE, BEST_CASE)       # beside complete cases they tell of those missing
INTERACTION = "interaction"
EMPTY = ("", "nan", "None", "<NA>")


@dataclass(frozen=True)
class Arms:
    """What stands behind one contrast."""

    withheld: bool
    enough_people: bool
    hidden: frozenset[str]
    n: float


def hide_contrasts(results: list[Result], cells: Cells, hidden: Hidden, policy: Policy) -> tuple[Hidden, np.ndarray]:
    """Rule 5, and which contrasts keep their estimate and interval but lose every count and the P value.

    An unadjusted contrast gives one group's number from the other's: it is withheld with either. An adjusted
    one (ANCOVA) does not: it keeps estimate and interval where both groups have at least `threshold` people,
    and loses its counts and P value (with an interval P gives the degrees of freedom) with either. A count
    that either group hides is hidden in the contrast, and so is everything where the groups cannot be found. A
    row about all groups (a joint test, a check of the model) is withheld with any of them, or with any of its
    counts; an interaction with any subgroup of its two groups; checks that rest on one person always. A row that
    fills in or weighs for the missing (imputed, weighted, worst and best case) is held against the complete cases of
    its groups, and withheld where the number missing in either is hidden.
    """
    rows = cells.rows
    masks = {name: getattr(hidden, name).copy() for name in COLUMNS}
    bare = np.zeros(len(rows), dtype=bool)
    labels, sources = [_labels(result) for result in results], [_source(result) for result in results]
    groups = _group_rows(labels, sources, cells, hidden)
    for row in rows[rows["contrast"] != ""].itertuples():
        arms = _find_arms(groups.get(row.metric), row, labels[row.result][row.place], sources[row.result],
                          results[row.result].by, policy)
        small_counts = any(is_small(pd.Series([getattr(row, name)]), policy)[0] for name in COUNTS)
        near = 1 <= abs(row.n - arms.n) < policy.threshold
        counts_tell = arms.withheld or small_counts or near
        adjusted = row.method.startswith(ADJUSTED)
        of_all = row.contrast == ALL_GROUPS and (counts_tell or bool(arms.hidden))
        few_missing = row.estimand in FILLED and (counts_tell or "n_missing" in arms.hidden
                                                  or masks["n_missing"][row.Index])
        if (not arms.enough_people or (arms.withheld and not adjusted) or of_all or few_missing
                or row.statistic in ONE_PERSON):
            masks["row"][row.Index] = True
        elif counts_tell and adjusted:
            bare[row.Index] = True
        for name in COUNTS:
            masks[name][row.Index] |= counts_tell or name in arms.hidden
    return Hidden(**masks), bare


def _group_rows(labels: list[list[frozenset]], sources: list[str], cells: Cells,
                hidden: Hidden) -> dict[str, pd.DataFrame]:
    """By metric, all rows about one group each, in whichever table: its labels, its source and what is hidden."""
    rows = cells.rows
    compared = set(rows.loc[rows["contrast"] != "", "metric"])
    plain = rows.index[(rows["contrast"] == "") & (rows["kind"] == ROW) & rows["metric"].isin(compared)]
    found = rows.loc[plain].assign(**{f"hides_{name}": getattr(hidden, name)[plain] for name in COLUMNS})
    found["labels"] = [labels[number][place] for number, place in zip(found["result"], found["place"], strict=True)]
    found["source"] = [sources[number] for number in found["result"]]
    return dict(list(found.groupby("metric")))


def _labels(result: Result) -> list[frozenset]:
    """The group of every row: its columns and values, empty ones left out."""
    return [frozenset((name, str(value)) for name, value in zip(result.by, row, strict=True) if str(value) not in EMPTY)
            for row in result.frame[result.by].itertuples(index=False)]


def _source(result: Result) -> str:
    source = result.source
    return repr((source.fingerprint, sorted(source.filters.items()), source.period))


def _find_arms(candidates: pd.DataFrame | None, row: tuple, fixed: frozenset, source: str, by: list[str],
               policy: Policy) -> Arms:
    """The rows of both groups of a contrast: same source, metric, estimand and level (all levels where it has none)."""
    lost = Arms(withheld=True, enough_people=False, hidden=frozenset(COUNTS), n=np.nan)
    if candidates is None:
        return lost
    rules = (row.estimand, COMPLETE_CASE) if row.estimand in FILLED else (row.estimand,)
    same = candidates[candidates["estimand"].isin(rules) & (candidates["source"] == source)
                      & ((candidates["level"] == row.level) | (row.level == ""))]
    for column in by:
        of_all = row.contrast == ALL_GROUPS
        for names in [_names(same["labels"], fixed, column)] if of_all else _splits(row.contrast):
            arms = [same[_of_arm(same["labels"], fixed | {(column, name)}, row.statistic)] for name in names]
            if len(arms) > 1 and all(len(arm) for arm in arms):
                return _arms(arms, policy)
    return lost


def _of_arm(labels: pd.Series, wanted: frozenset, statistic: str) -> list[bool]:
    """Rows of one group; of an interaction also those of its subgroups."""
    return [wanted <= found if statistic == INTERACTION else wanted == found for found in labels]


def _names(labels: pd.Series, fixed: frozenset, column: str) -> list[str]:
    """The groups by one column, where nothing but what is fixed is asked of them."""
    rest = {found - fixed for found in labels if fixed <= found}
    return sorted(name for one in rest if len(one) == 1 for key, name in one if key == column)


def _splits(contrast: str) -> list[tuple[str, str]]:
    """All readings of "PRT - placebo" (a group's name may hold the separator itself)."""
    words = contrast.split(" - ")
    return [(" - ".join(words[:cut]), " - ".join(words[cut:])) for cut in range(1, len(words))]


def _arms(arms: list[pd.DataFrame], policy: Policy) -> Arms:
    both = pd.concat(arms)
    people = [arm["n_people"].fillna(arm["n"]).min() for arm in arms]
    hidden = frozenset(name for name in COUNTS if both[f"hides_{name}"].any())
    ignored = both["statistic"].isin(["min", "max"])
    return Arms(bool(both.loc[~ignored, "hides_row"].any()), min(people) >= policy.threshold, hidden,
                sum(arm["n"].max() for arm in arms))
