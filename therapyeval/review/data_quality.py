"""How complete the data are, as one set of Results: fields of episodes, and pairs of scores by measure.

What became of every row that was read, and the verdict, are in the record: they count rows, not people, so the small
ones are said as a range.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from therapyeval import disclosure
from therapyeval.analysis import summarize
from therapyeval.errors import UnknownNameError
from therapyeval.formatting import count
from therapyeval.result import PEOPLE, Bundle, NamedResult, Result, make_frame
from therapyeval.review import problems

if TYPE_CHECKING:
    from therapyeval.cohort import Cohort
    from therapyeval.data import Dataset

# Made for every episode, so never empty by fault of the data.
MADE = frozenset(("episode", "patient", "closed_admin", "n_merged", "end_date", "days", "arm", "first_visit_date",
                  "last_visit_date", "discharge_date"))
ENDED = frozenset(("reason", "disposition", "goals_met_pct"))  # expected of discharged episodes only


def quality(dataset: Dataset, by: str | None = None, policy: str | None = None) -> Bundle:
    """Completeness of a dataset, released as one set.

    Sections and tables: `completeness/fields` has for each field of the episodes the share that is filled (fields
    about the end of care: of discharged episodes); `pairing/measures` the paired completion of each measure.
    The record holds the verdict, what became of the rows of every table, and the errors and warnings.

    Parameters
    ----------
    by : attribute of episodes, such as site_id; None for all together
    policy : privacy policy; None for that of the data, else cms_11

    Raises
    ------
    UnknownNameError
        Where the data have no such attribute.
    """
    cohort = dataset.cohort()
    if by is not None and by not in dataset.facts.attributes:
        raise UnknownNameError("attribute", by, dataset.facts.attributes)
    chosen = disclosure.choose_policy(policy, dataset.policy)
    named = [("completeness", "fields", _fields(cohort, by))]
    named += [("pairing", "measures", result) for result in _pairs(cohort, by)]
    released = disclosure.release([result for *_, result in named], chosen)
    report = dataset.quality
    rows = [{name: value if name in ("table", "file") else _n_rows(value, chosen) for name, value in row.items()}
            for row in report.tables.to_dict("records")]
    record = {"verdict": report.verdict, "tables": rows, "problems": problems.listed(report.problems, chosen),
              "policy": {"name": chosen.name, "threshold": chosen.threshold}}
    return Bundle(f"Quality of the data {dataset.name}", tuple(
        NamedResult(section, table, result) for (section, table, _), result in zip(named, released, strict=True)),
        record)


def _n_rows(n: int, policy: disclosure.Policy) -> str:
    return f"1 to {policy.threshold - 1}" if policy.suppresses and 0 < n < policy.threshold else count(n)


def _fields(cohort: Cohort, by: str | None) -> Result:
    """For each field of episodes, how many have a value."""
    episodes = cohort.facts.episodes
    ended = episodes["discharge_date"].notna()
    rows, people = [], []
    for name in [name for name in episodes if name not in MADE and not name.startswith("n_") and name != by]:
        of = episodes[ended] if name in ENDED else episodes
        for group, part in of.groupby(by, dropna=False) if by else [("", of)] if len(of) else []:
            given = part[name].notna() & (part[name].astype("str") != "")
            rows.append({**({by: group} if by else {}), **_row(name, part, given)})
            people.append({"numerator": part.loc[given, "patient"].nunique(),
                           "complement": part.loc[~given, "patient"].nunique(), "n_missing": 0, "n_excluded": 0})
    return Result(make_frame(rows, [by] if by else []), "Fields with a value",
                  replace(cohort.source, population="episodes"),
                  people=pd.DataFrame(people, columns=list(PEOPLE)))


def _row(name: str, part: pd.DataFrame, given: pd.Series) -> dict:
    n, k = len(part), int(given.sum())
    return {"metric": "field_filled", "level": name, "statistic": "proportion", "estimate": k / n, "numerator": k,
            "denominator": n, "n": n, "n_missing": 0, "n_excluded": 0, "n_people": part["patient"].nunique(),
            "unit": "proportion", "method": "share of episodes"}


def _pairs(cohort: Cohort, by: str | None) -> list[Result]:
    """Paired completion of every measure, in one table; none without scores. Open episodes are not due yet."""
    facts = cohort.facts
    measures = sorted(facts.scores["measure"].unique())
    if not measures:
        return []
    first = facts.episodes["start_date"].min()
    ended = f"{first.date()}..{facts.data_cut.date()}" if facts.has_calendar and first == first else None
    return [summarize(cohort, [f"paired_completion:{code}" for code in measures], by=by, period=ended)]
