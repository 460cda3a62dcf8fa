"""What the explorer shows for a choice of filters, without widgets: which choices there are, and the answers.

Each breakdown leaves out its own filter, so that a chosen site is seen beside the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from therapyeval.analysis import summarize
from therapyeval.cohort import Cohort
from therapyeval.data import Dataset
from therapyeval.disclosure import choose_policy, release
from therapyeval.errors import ParameterError, TherapyevalError
from therapyeval.period import label_dates, parse_period
from therapyeval.result import Bundle, NamedResult, Result

EVERYTHING = "everything"
COMPARED = "compared"
FILTERS = ("discipline", "site_id")
POOLED = "Every episode's primary measure (responders only)"
NOT_POOLED = "Scores of different measures cannot be averaged. Choose one measure to see the change."
KEPT = 64  # answers held in memory; one is a few kilobytes

Choices = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Selection:
    """A choice of filters; None selects all. `measure` None pools every episode's primary measure."""

    discipline: str | None = None
    site_id: str | None = None
    period: str | None = None
    measure: str | None = None


class Crossfilter:
    """Answers to selections of one data set; asked again, an answer is not computed again.

    Raises
    ------
    ParameterError
        For anything but a Dataset, and for a policy that does not hold for it.
    """

    def __init__(self, dataset: Dataset, policy: str | None = None) -> None:
        if not isinstance(dataset, Dataset):
            raise ParameterError('explore needs a data set: te.explore(te.read_dataset("folder with the data")).')
        self.dataset = dataset
        self.policy = choose_policy(policy, dataset.policy)
        self.quarters = quarters(dataset)
        self.answer: Callable[[Selection], Bundle] = lru_cache(KEPT)(self._answer)
        self.released: Callable[[Selection], Bundle] = lru_cache(KEPT)(self._released)

    def choices(self, name: str, selection: Selection) -> Choices:
        """(label, value) of one filter, all first; none where the data do not have it."""
        if name == "measure":
            return self._measures(selection)
        if name == "period":
            return self._periods()
        if name not in self.dataset.facts.episodes:
            return []
        values = sorted(self.dataset.facts.episodes[name].dropna().astype(str).unique())
        every = {"discipline": "All disciplines", "site_id": "All sites"}[name]
        return [(every, None), *((value, value) for value in values)]

    def start(self) -> Selection:
        """Everybody, with the measure that is the primary one of most episodes."""
        return self.fitted(Selection())

    def fitted(self, selection: Selection) -> Selection:
        """The selection with a measure that it has scores of."""
        known = [value for _, value in self._measures(selection)]
        if selection.measure in known and selection.measure is not None:
            return selection
        return replace(selection, measure=known[0] if known else None)

    def title(self, selection: Selection) -> str:
        """The selection in words, the measure left out: "PT, all sites, 2026Q2"."""
        words = [value or choices[0][0] for name, value in asdict(selection).items()
                 if name != "measure" and (choices := self.choices(name, selection))]
        return ", ".join([words[0], *(word if word in asdict(selection).values() else word[:1].lower() + word[1:]
                                      for word in words[1:])])

    def _measures(self, selection: Selection) -> Choices:
        """Measures with a baseline, those that are primary for most episodes of the selection first."""
        scores = self._cohort(selection, FILTERS).facts.scores
        known = self.dataset.facts.measures
        paired = scores[[known[code].paired for code in scores["measure"]]]
        primary = paired.loc[paired["is_primary"].astype(bool), "measure"].value_counts()
        codes = sorted(paired["measure"].unique(), key=lambda code: (-primary.get(code, 0), code))
        return [(known[code].name, code) for code in codes] + ([(POOLED, None)] if codes else [])

    def _periods(self) -> Choices:
        if not self.quarters:
            return []
        cut = self.dataset.data_cut.date()
        shown = [(f"{label} (until {cut.day} {cut:%b})" if parse_period(label).end > cut else label, label)
                 for label in reversed(self.quarters)]
        return [(f"All quarters, {self.quarters[0]} to {self.quarters[-1]}", None), *shown]

    def _cohort(self, selection: Selection, names: tuple[str, ...]) -> Cohort:
        chosen = {name: getattr(selection, name) for name in names if getattr(selection, name) is not None}
        return self.dataset.cohort(**chosen)

    def _span(self, selection: Selection) -> str | None:
        """The period asked about; all quarters run to the data cut, so that open episodes stay out."""
        if selection.period or not self.quarters:
            return selection.period
        return f"{parse_period(self.quarters[0]).start}..{self.dataset.data_cut.date()}"

    def _answer(self, selection: Selection) -> Bundle:
        """All Results of a selection; what could not be answered is a sentence in `record["problems"]`."""
        tables: list[NamedResult] = []
        problems: dict[str, str] = {}
        for section, name, ask in self._questions(selection):
            try:
                tables.append(NamedResult(section, name, ask()))
            except TherapyevalError as error:
                problems[name] = sentence(error)
        return Bundle(self.title(selection), tuple(tables), {"selection": asdict(selection), "problems": problems})

    def _questions(self, selection: Selection) -> list[tuple[str, str, Callable[[], Result]]]:
        """Section, name and how to ask, for each table."""
        code = f":{selection.measure}" if selection.measure else ""
        cohort, period = self._cohort(selection, FILTERS), self._span(selection)
        metrics = {"change": f"score_change{code}", "responders": f"mcid_rate{code}",
                   "completion": f"paired_completion{code}", "visits": "visits_per_episode", "days": "episode_days",
                   "goals": "goals_met_rate"}
        found = [(EVERYTHING, name, _ask(cohort, metric, period=period)) for name, metric in metrics.items()]
        if not code:
            found[0] = (EVERYTHING, "change", _not_pooled)
        if len(self.choices("site_id", selection)) > 2:
            without_site = self._cohort(selection, ("discipline",))
            found.append((COMPARED, "site_id", _ask(without_site, metrics["responders"], by="site_id",
                                                    period=period)))
        if len(self.quarters) > 1:
            whole = self._span(replace(selection, period=None))
            found.append((COMPARED, "period", _ask(cohort, metrics["responders"], every="quarter", period=whole)))
        return found

    def _released(self, selection: Selection) -> Bundle:
        """The answer as it may be saved: its tables released as one set under the policy."""
        answer = self.answer(selection)
        results = release([table.result for table in answer.tables], self.policy)
        tables = tuple(replace(table, result=result) for table, result in zip(answer.tables, results, strict=True))
        return replace(answer, tables=tables)


def quarters(dataset: Dataset) -> list[str]:
    """Labels of the quarters in which episodes ended, in order; none without a calendar."""
    facts = dataset.facts
    if not facts.has_calendar or dataset.data_cut is None:
        return []
    ends = facts.episodes["end_date"].dropna()
    return sorted(label_dates(ends[ends <= dataset.data_cut], "quarter").unique()) if len(ends) else []


def sentence(error: TherapyevalError) -> str:
    """An error as one sentence that starts with a capital.

    >>> sentence(ParameterError("no MCID is registered for lefs."))
    'No MCID is registered for lefs.'
    """
    text = " ".join([str(error), *getattr(error, "__notes__", ())]).strip()
    return text[:1].upper() + text[1:]




def _ask(cohort: Cohort, metric: str, **question: object) -> Callable[[], Result]:
    return lambda: summarize(cohort, metric, **question)


def _not_pooled() -> Result:
    raise ParameterError(NOT_POOLED)
