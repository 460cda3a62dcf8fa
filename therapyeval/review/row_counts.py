"""Rows that were read, as a report may say them: exact under a policy that hides nothing, else small counts as ranges.

Rows are no people, so release does not know them. A total that would give a small count away is a range too: it says
no more than its parts do.
"""

from __future__ import annotations

import re

from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, QualityReport
from therapyeval.disclosure import Policy
from therapyeval.formatting import count
from therapyeval.review.problems import without_values

FATES = (QUARANTINED, MERGED, LEFT_OUT)
NOT_PEOPLE = frozenset(("sites", "staff", "staff_hours", "availability", "targets"))  # tables without patients
KEEP = "keep: "  # how the rule of a mapping's own choice begins; what it names may be a code
# What a rule says of rows that are there twice, from the surest to the least sure, and what becomes of them.
DUPLICATES = (
    (r"the same row twice", "exact: the same row twice", "counted once"),
    (r"the same (\w+) with different contents", "one {} with different contents", "all in quarantine"),
    (r"the same episode again in one arm", "the same episode again in one arm", "counted once"),
    (r"entered again on the same day.*", "near: one measure entered again on the same day", "the last one counts"),
    (r"two scores on one day.*", "near: two scores of one measure on one day", "neither is used"),
    (r"order lines of one referral", "near: order lines of one referral", "counted as one"),
    (r"the same birth date, sex and everything else.*", "possible: patients who look the same", "nobody is merged"),
    (r"two arms for one episode", "two arms for one episode", "all in quarantine"),
    (r"several rows for one clinician and (\w+)", "several rows for one clinician and {}", "all in quarantine"))


def said(low: int, high: int | None = None) -> str:
    """A count, or the range that it lies in.

    >>> said(1234), said(91, 100)
    ('1,234', '91 to 100')
    """
    return count(low) if high is None or high == low else f"{count(low)} to {count(high)}"


def tables(report: QualityReport, policy: Policy) -> list[dict[str, str]]:
    """What became of the rows of every table: table, file, rows_in, in_facts and the three fates as text."""
    found = []
    for row in report.tables.to_dict("records"):
        spans = {"in_facts": _bounds(int(row["in_facts"]), row["table"], policy),
                 **{fate: _span(report, row, fate, policy) for fate in FATES}}
        whole = tuple(sum(span[end] for span in spans.values()) for end in (0, 1))
        found.append({"table": row["table"], "file": row["file"], "rows_in": said(*whole),
                      **{name: said(*span) for name, span in spans.items()}})
    return found


def set_aside(report: QualityReport, policy: Policy) -> list[dict[str, str]]:
    """Why rows are not in the facts on their own: table, fate, rule and count as text, without codes."""
    told = report.problems[report.problems["fate"] != ""]
    return [{"table": item.table, "fate": item.fate, "rule": "left out by the mapping (keep)" if item.rule.startswith(
        KEEP) else without_values(item.rule), "count": said(*_bounds(int(item.count), item.table, policy))}
            for item in told.sort_values("table", kind="stable").itertuples(index=False, name="Problem")]


def _span(report: QualityReport, row: dict, fate: str, policy: Policy) -> tuple[int, int]:
    """Least and greatest number of rows with this fate, as far as the counts of its reasons tell."""
    told = report.problems
    told = told[(told["table"] == row["table"]) & (told["file"] == row["file"]) & (told["fate"] == fate)]
    n = int(row[fate])
    parts = [_bounds(part, row["table"], policy) for part in (told["count"] if told["count"].sum() == n else [n])]
    return sum(low for low, _ in parts), sum(high for _, high in parts)


def duplicates(report: QualityReport, policy: Policy) -> list[dict[str, str]]:
    """Rows that are there twice, by table: kind, count and what becomes of them."""
    found = []
    for place, (pattern, kind, outcome) in enumerate(DUPLICATES):
        for problem in report.problems.itertuples(index=False, name="Problem"):
            match = re.fullmatch(pattern, without_values(problem.rule))
            if match:
                found.append((problem.table, place, {"table": problem.table, "kind": kind.format(*match.groups()),
                                                     "count": said(*_bounds(int(problem.count), problem.table, policy)),
                                                     "outcome": outcome}))
    return [told for *_, told in sorted(found, key=lambda item: item[:2])]


def _bounds(n: int, table: str, policy: Policy) -> tuple[int, int]:
    """A count as a reader may know it: itself, or from 1 to just below the threshold."""
    hides = policy.suppresses and table not in NOT_PEOPLE and 0 < n < policy.threshold
    return (1, policy.threshold - 1) if hides else (n, n)
