"""`quality`: may these data be trusted? Everything a quality report shows, computed and released as one set.

What became of every row that was read is in the record, not in Results: rows are no people, so the small counts are
said as ranges (`row_counts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from therapyeval import disclosure
from therapyeval.analysis import summarize
from therapyeval.disclosure.policy import INTERNAL
from therapyeval.errors import UnknownNameError
from therapyeval.metrics.eligible import has_ended, not_eligible, scores_of
from therapyeval.result import COMPLETE_CASE, EXCLUSIONS, MIME_TYPE, PEOPLE, Bundle, NamedResult, Result, make_frame
from therapyeval.review import completeness, problems, row_counts

if TYPE_CHECKING:
    from therapyeval.cohort import Cohort
    from therapyeval.data import Dataset

SITE = "site_id"
MOST_GROUPS = 40  # of a default breakdown: more are asked for by name
PAIRED = "both scores"
STALE, SILENT = "closed_admin", "open_without_visit"


@dataclass(frozen=True)
class DataQuality:
    """A quality report's released Results; `section(name)` shows one part of them."""

    bundle: Bundle

    def section(self, name: str):
        """One part: verdict, records, definitions, completeness, pairing, exclusions, duplicates, stale, problems."""
        from therapyeval.review.quality_sections import render_section
        return render_section(self.bundle, name)

    def sections(self) -> list:
        """All parts, in that order."""
        from therapyeval.review.quality_sections import NAMES
        return [self.section(name) for name in NAMES]

    def to_text(self, *names: str) -> str:
        """These parts (none: all) as plain text, without figures."""
        from therapyeval.review.quality_sections import NAMES, render_section
        return "\n\n".join(render_section(self.bundle, name, figures=False).to_text() for name in names or NAMES)

    def to_frame(self) -> pd.DataFrame:
        return self.bundle.to_frame()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        from therapyeval.display.theme import STYLE
        html = STYLE + "".join(section.to_html() for section in self.sections())
        return {"text/plain": self.to_text(), "text/html": html, MIME_TYPE: self.bundle.to_dict()}


def quality(dataset: Dataset, by: str | None = None, policy: str | None = None) -> DataQuality:
    """The quality of a dataset: what was read, how complete it is, what is left out, and whether it is usable.

    Sections and tables of the bundle: `completeness` (fields of episodes and of attended visits with a value, in all,
    by group and by the month in which care began; fields about the end of care: of discharged episodes), `pairing`
    (paired completion of each measure, in all and by group, and why the others have no pair), `exclusions` (what makes
    an episode not eligible), `stale` (episodes nobody discharged).
    The record holds the verdict with its reasons, what became of the rows of every table, duplicates, the errors and
    warnings, and which definitions changed.

    Parameters
    ----------
    by : attribute of episodes; None for site_id where there are 2 to 40 sites
    policy : privacy policy; None for that of the data, else cms_11

    Raises
    ------
    UnknownNameError
        Where the data have no such attribute.

    Source: metric definitions, sections 0, 6 and 9; quarterly review, section 3.
    """
    cohort = dataset.cohort()
    if by is not None and by not in dataset.facts.attributes:
        raise UnknownNameError("attribute", by, dataset.facts.attributes)
    by = by or _sites(cohort)
    chosen = disclosure.choose_policy(policy, dataset.policy)
    stale_days = int(dataset.definitions.get("rules", {}).get("stale_days", 60))
    named = [*(("completeness", *found) for found in completeness.tables(cohort, by)), *_pairing(cohort, by),
             *_exclusions(cohort), *_stale(cohort, by, stale_days)]
    released = disclosure.release([result for *_, result in named], chosen)
    return DataQuality(Bundle(f"Quality of the data {dataset.name}", tuple(
        NamedResult(section, table, result) for (section, table, _), result in zip(named, released, strict=True)),
        _record(dataset, by, stale_days, chosen)))


def _record(dataset: Dataset, by: str | None, stale_days: int, policy: disclosure.Policy) -> dict:
    report, changes = dataset.quality, dataset.changes
    cut = None if dataset.data_cut is None else dataset.data_cut.date().isoformat()
    codes = sorted(dataset.facts.scores["measure"].unique())
    return {
        "verdict": report.verdict, "reasons": problems.listed(report.reasons, policy),
        "tables": row_counts.tables(report, policy), "duplicates": row_counts.duplicates(report, policy),
        "set_aside": row_counts.set_aside(report, policy),
        "problems": problems.listed(report.problems, policy), "by": by, "stale_days": stale_days,
        "measures": {code: dataset.facts.measure(code).to_record() for code in codes},
        "definitions": None if changes is None else {
            "since": changes.since, "changes": [item.to_text() for item in changes.items]
            if policy.name == INTERNAL else changes.without_codes()},
        "dataset": {"name": dataset.name, "data_cut": cut, "note": dataset.note, "fingerprint": dataset.fingerprint},
        "policy": policy.to_record()}


def _sites(cohort: Cohort) -> str | None:
    episodes = cohort.facts.episodes
    return SITE if SITE in episodes and 2 <= episodes[SITE].nunique() <= MOST_GROUPS else None


def _pairing(cohort: Cohort, by: str | None) -> Iterator[tuple[str, str, Result]]:
    """Paired completion of every measure that pairs are made of. Open episodes are not due yet."""
    facts = cohort.facts
    codes = [code for code in sorted(facts.scores["measure"].unique()) if facts.measure(code).paired]
    if not codes:
        return
    span, metrics = _span(cohort), [f"paired_completion:{code}" for code in codes]
    yield "pairing", "measures", _plain(summarize(cohort, metrics, period=span))
    yield "pairing", "why not", _why_unpaired(cohort, codes, span)
    if by:
        yield "pairing", f"measures by {by}", _plain(summarize(cohort, metrics, by=by, period=span))


def _plain(result: Result) -> Result:
    """The shares under one level, so that release adds them up with the reasons; who is not eligible is told once."""
    return replace(result, frame=result.frame.assign(level=PAIRED), exclusions=pd.DataFrame(columns=EXCLUSIONS))


def _why_unpaired(cohort: Cohort, codes: list[str], span: str | None) -> Result:
    """For each measure the eligible episodes without a pair, by the first reason that applies (section 6)."""
    facts, rows, people = cohort.facts, [], []
    patient, ended = facts.episodes["patient"], has_ended(facts)
    for code in codes:
        scores = scores_of(facts, code)
        eligible = ended & (not_eligible(facts, scores, code) == "")
        why, of = scores.loc[eligible, "why_unpaired"], patient[eligible]
        for reason in sorted(set(why.dropna()) - {""}):
            here, k = why == reason, int((why == reason).sum())
            rows.append({"metric": f"paired_completion:{code}", "level": reason, "statistic": "proportion",
                         "estimand": COMPLETE_CASE, "estimate": k / len(why), "numerator": k,
                         "denominator": len(why), "n": len(why), "n_missing": 0, "n_excluded": 0,
                         "n_people": of.nunique(), "unit": "proportion", "method": "share of eligible episodes"})
            people.append({"numerator": of[here].nunique(), "complement": of[~here].nunique(), "n_missing": 0,
                           "n_excluded": 0})
    return Result(make_frame(rows), "Why eligible episodes have no pair of scores",
                  replace(cohort.source, population="episodes", period=span),
                  people=pd.DataFrame(people, columns=list(PEOPLE)))


def _exclusions(cohort: Cohort) -> Iterator[tuple[str, str, Result]]:
    """Episodes with a pair on any measure; the Result's exclusions are the reasons why others are not eligible."""
    if len(cohort.facts.scores):
        yield "exclusions", "eligible episodes", summarize(cohort, "paired_completion", period=_span(cohort))


def _span(cohort: Cohort) -> str | None:
    """From the first episode to the data cut, so that only those that ended are asked; None without a calendar."""
    facts = cohort.facts
    first = facts.episodes["start_date"].min() if facts.has_calendar else pd.NaT
    return None if pd.isna(first) else f"{first.date()}..{facts.data_cut.date()}"


def _stale(cohort: Cohort, by: str | None, stale_days: int) -> Iterator[tuple[str, str, Result]]:
    """Episodes without a discharge and without a visit for `stale_days`: closed by rule, or open because somebody
    booked ahead or no visit was ever recorded. Shares of all episodes. Source: metric definitions, section 0."""
    facts = cohort.facts
    if not facts.has_calendar or facts.episodes["n_attended"].isna().all():
        return
    episodes = facts.episodes
    last = episodes["last_visit_date"].fillna(episodes["start_date"])
    silent = episodes["end_date"].isna() & ((facts.data_cut - last).dt.days >= stale_days)
    flags = {STALE: episodes["closed_admin"].astype(bool), SILENT: silent}
    yield "stale", "episodes", _flagged(cohort, flags, None)
    if by:
        yield "stale", f"episodes by {by}", _flagged(cohort, flags, by)


def _flagged(cohort: Cohort, flags: dict[str, pd.Series], by: str | None) -> Result:
    episodes, rows, people = cohort.facts.episodes, [], []
    groups = pd.Series("", index=episodes.index) if by is None else \
        episodes[by].astype("str").where(episodes[by].notna(), completeness.NOT_RECORDED)
    for group, index in episodes.groupby(groups.to_numpy()).groups.items():
        patient = episodes.loc[index, "patient"]
        for name, flag in flags.items():
            here = flag[index].to_numpy(bool)
            k, n = int(np.count_nonzero(here)), len(index)
            rows.append({**({by: group} if by else {}), "metric": name, "statistic": "proportion", "estimate": k / n,
                         "numerator": k, "denominator": n, "n": n, "n_missing": 0, "n_excluded": 0,
                         "n_people": patient.nunique(), "unit": "proportion", "method": "share of episodes"})
            people.append({"numerator": patient[here].nunique(), "complement": patient[~here].nunique(),
                           "n_missing": 0, "n_excluded": 0})
    return Result(make_frame(rows, [by] if by else []), "Episodes that nobody discharged",
                  replace(cohort.source, population="episodes"), people=pd.DataFrame(people, columns=list(PEOPLE)))
