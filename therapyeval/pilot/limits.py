"""What a pilot cannot show, in words. Source: pilot study requirements, sections 1, 7 and 9."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from therapyeval.display.cells import Record, first, number, records
from therapyeval.display.labels import Labels
from therapyeval.formatting import is_missing, listed, percent, plural
from therapyeval.pilot.protocol import Protocol
from therapyeval.result import Result

RED_BELOW = 0.60        # metric definitions, section 6: below it a comparison is biased towards those who came back
IMBALANCED, MOST_NAMED = 0.1, 3
STABLE_SD_PER_ARM = 35  # Teare 2014: at least 70 analysed in two arms for a stable standard deviation


def sentences(protocol: Protocol, flow: Result, baseline: Result, measures: Mapping[str, Mapping], *,
              one_site_per_arm: bool, n_sites: int) -> list[str]:
    """The limits that follow from the design and from the released flow and baseline table, most serious first.

    `measures` is code -> name and warnings of each measure used.
    """
    apart = "" if protocol.design.randomized else imbalance(baseline, Labels(protocol.arms, measures))
    found = [*_allocation(protocol), *filter(None, [apart]), *_sites(one_site_per_arm, n_sites),
             *_missing(protocol, flow),
             *_size(protocol, flow), *_many(protocol, Labels(measures=measures))]
    for measure in measures.values():
        found += [f"{measure['name']}: {warning}." for warning in measure["warnings"]]
    return found + ["Change within one arm mixes the program with natural recovery and regression to the mean; "
                    "only the difference between arms speaks about the program."]


def imbalance(baseline: Result | None, labels: Labels) -> str:
    """In what the groups differed most before treatment: at most three characteristics, the biggest first.

    From released standardized differences beyond 0.1 only; empty where there is none.
    """
    rows = [row for row in records(baseline, statistic="smd") if row["contrast"]]
    known = [row for row in rows if not is_missing(row["estimate"])]
    apart = sorted((row for row in known if abs(row["estimate"]) > IMBALANCED), key=lambda row: -abs(row["estimate"]))
    if not apart:
        return ""
    several = len({row["contrast"] for row in rows}) > 1
    named = [f"{_within_sentence(labels.variable(row['metric']))} ({_apart(baseline, row, labels, several)})"
             for row in apart]
    rest = f"; {len(named) - MOST_NAMED} more differ" if len(named) > MOST_NAMED else ""
    hidden = f" Of {plural(len(rows) - len(known), 'other comparison')} the difference is withheld or not known." \
        if len(known) < len(rows) else ""
    return f"Before treatment the groups differed in {listed(named[:MOST_NAMED])}{rest}.{hidden}"


def _apart(baseline: Result, row: Record, labels: Labels, several: bool) -> str:
    """Means of both groups where they are shown, and the standardized difference."""
    pair = labels.pair(row["contrast"])
    means = [first(baseline, **{baseline.by[0]: arm}, metric=row["metric"], statistic="mean", contrast="")
             for arm in pair]
    size = f"standardized difference {number(row['estimate'], 2)}"
    if any(mean is None or is_missing(mean["estimate"]) for mean in means):
        return f"{labels.contrast(row['contrast'])}: {size}" if several else size
    told = ", ".join(f"{number(mean['estimate'])} in {labels.arm(arm)}" for arm, mean in zip(pair, means, strict=True))
    return f"mean {told}; {size}"


def _within_sentence(label: str) -> str:
    """A column's name inside a sentence; the name of a measure keeps its capital."""
    return label if "," in label else label[:1].lower() + label[1:]


def is_nested(episodes: pd.DataFrame, arm: str, site: str) -> bool:
    """Whether some arm has its only site for itself, so that program and site cannot be told apart."""
    if site not in episodes or episodes[site].nunique() < 2:
        return False
    arms_per_site = episodes.groupby(site)[arm].nunique()
    sites_per_arm = episodes.groupby(arm)[site].agg(["nunique", "first"])
    return any(arms_per_site[row["first"]] == 1 for _, row in sites_per_arm[sites_per_arm["nunique"] == 1].iterrows())


def _allocation(protocol: Protocol) -> list[str]:
    if protocol.design.randomized:
        return []
    how = f" ({protocol.design.allocation})" if protocol.design.allocation else ""
    return [f"Patients were not randomized to the arms{how}: the arms may differ in ways that were not measured, and "
            "adjustment covers only what was. The differences describe, they do not show cause."]


def _sites(one_site_per_arm: bool, n_sites: int) -> list[str]:
    if one_site_per_arm:
        return ["At least one arm was treated at one site that treated no other arm: what the program does and what "
                "that site does cannot be told apart. There is one cluster there, however many patients."]
    if n_sites == 1:
        return ["All patients were treated at one site: results may not carry over to others."]
    if n_sites > 1:
        return ["Patients of one therapist or site are alike; the intervals do not widen for that."]
    return []


def _missing(protocol: Protocol, flow: Result) -> list[str]:
    """How many of those allocated lack the main outcome, as far as it may be told."""
    code = protocol.measures[0]
    rows = flow.frame[flow.frame["metric"] == f"with_outcome:{code}"].set_index("arm")
    shares = {}
    for arm in protocol.arms:
        n, lost = rows.loc[arm, "n"], rows.loc[arm, "n_missing"]
        if pd.isna(n) or pd.isna(lost):
            return ["Some patients have no final score; how many per arm is withheld. Comparisons of scores use those "
                    "who have one and assume that the others would have done alike."]
        shares[arm] = lost / (n + lost)
    if not any(shares.values()):
        return []
    told = listed([f"{percent(share, 0)} of those allocated to {protocol.arms[arm]}" for arm, share in shares.items()])
    return [f"The final score is missing for {told}. Comparisons of scores use those who have one and assume that "
            "the others would have done alike; responder rates with missing counted as not achieved do not."]


def _size(protocol: Protocol, flow: Result) -> list[str]:
    allocated = flow.frame[(flow.frame["metric"] == "allocated") & flow.frame["arm"].notna()]["n"]
    if allocated.notna().all() and (allocated >= STABLE_SD_PER_ARM).all():
        return []
    return [f"Small groups (fewer than {STABLE_SD_PER_ARM} in an arm): intervals are wide, and the spread itself is "
            "uncertain. A definitive study must not be sized on these differences."]


def _many(protocol: Protocol, labels: Labels) -> list[str]:
    n = len(protocol.outcomes) + len(protocol.responders)
    if n < 2:
        return []
    return [f"{n} outcomes are compared without correction for their number. The main one is the first "
            f"({labels.metric(protocol.outcomes[0])}); the others are exploratory."]
