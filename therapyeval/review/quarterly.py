"""`quarterly_review`: everything a review shows, computed and released as one set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from therapyeval import disclosure
from therapyeval.analysis import completers, describe, dropout_curve, instrument_mix, missing_panel, summarize
from therapyeval.benchmark.control_chart import ControlChart, control_chart
from therapyeval.cohort import Cohort
from therapyeval.disclosure import Policy
from therapyeval.errors import NotEvaluableError, ParameterError
from therapyeval.formatting import listed
from therapyeval.metrics import get
from therapyeval.period import Period, earlier, months_up_to, n_months, parse_period
from therapyeval.result import MIME_TYPE, Bundle, NamedResult, Result
from therapyeval.review import mix, plans, problems, volumes

HEADLINES = ("paired_completion", "mcid_rate", "goals_met_rate", "visits_per_episode", "no_show_rate",
             "arrival_rate", "days_to_eval")
CHARTED = HEADLINES
ATTENDANCE = ("no_show_rate", "no_show_share", "arrival_rate")
EFFORT = ("visits_per_episode", "episode_days", "visits_per_week")
DISCHARGE = ("discharge_rate", "goals_met_rate")
MIX = ("age_band", "sex", "payer_class", "body_region", "acuity", "language")
HISTORY_MONTHS, ROLLING_MONTHS, YEAR = 24, 12, 12
# Months after the data begin in which only short episodes can have ended: charts of ended episodes leave them out.
START_UP_MONTHS = 3
FINAL_AFTER_DAYS = 60      # metric definitions, section 0: administrative closures cannot be known earlier
NOW, BEFORE, YEAR_AGO = "now", "before", "year_ago"


@dataclass(frozen=True)
class Review:
    """A review's released Results; `section(name)` shows one part of them."""

    bundle: Bundle
    charts: Mapping[str, ControlChart]

    def section(self, name: str):
        """One part: cover, summary, quality, served, attendance, effectiveness, efficiency, discharge, definitions."""
        from therapyeval.review.sections import render_section
        return render_section(self.bundle, self.charts, name)

    def to_frame(self) -> pd.DataFrame:
        return self.bundle.to_frame()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        summary = self.section("summary")
        return {"text/plain": summary.to_text(), "text/html": summary._repr_html_(), MIME_TYPE: self.bundle.to_dict()}


@dataclass(frozen=True)
class _Ask:
    """The review's question: the cohort, and the stretches of time it is asked about."""

    cohort: Cohort
    spans: Mapping[str, Period]
    rolling: Period
    history: Period
    of_ended: Period

    def charted(self, metric: str) -> Period:
        """The months of a metric's chart."""
        return self.of_ended if get(metric).cohort_rule == "discharged" else self.history

    def summarize(self, metrics: Sequence[str], when: str, by: str | None = None) -> Result:
        return summarize(self.cohort, list(metrics), by=by, period=self.spans[when])


def quarterly_review(dataset, period: str | Period, *, site_id: str | Sequence[str] | None = None,
                     discipline: str | Sequence[str] | None = None, program: str | Sequence[str] | None = None,
                     policy: str | Policy | None = None, targets: str | None = None,
                     actions: str | None = None) -> Review:
    """Review a quarter (or any period): who was served, did they get better, at what effort, what to do next.

    Parameters
    ----------
    dataset : from `read_dataset`
    period : 2026Q3, 2026-07, FY2026Q1 or 2026-07-01..2026-09-30
    site_id, discipline, program : one value, several, or all
    policy : name of a privacy policy; None takes what the data's mapping declares, else cms_11
    targets, actions : YAML files of the site's own (see `review.plans`)

    Raises
    ------
    ParameterError, UnknownNameError
        For a period that does not exist or lies after the data cut, and for unknown sites.
    NotEvaluableError
        Where the data have no calendar.
    """
    span = _check_period(parse_period(period), dataset)
    chosen = disclosure.choose_policy(policy, dataset.policy)
    given = {"site_id": site_id, "discipline": discipline, "program": program}
    cohort = dataset.cohort(**{name: value for name, value in given.items() if value})
    ask = _Ask(cohort, {NOW: span, BEFORE: earlier(span, n_months(span)), YEAR_AGO: earlier(span, YEAR)},
               months_up_to(span, ROLLING_MONTHS), _history(cohort, span), _history(cohort, span, START_UP_MONTHS))
    goals = plans.read_targets(targets, span) if targets else {}
    charts = {metric: control_chart(cohort, metric, period=ask.charted(metric),
                                    target=goals.get(metric, {}).get("value")) for metric in CHARTED}
    named = [*_summary(ask), *_quality(ask), *_served(ask, chosen), *_attendance(ask),
             *_effectiveness(ask, goals.get("mcid_rate", {}).get("value")),
             *_efficiency(ask), *_discharge(ask),
             *(NamedResult("charts", metric, chart.points) for metric, chart in charts.items())]
    released = disclosure.release([item.result for item in named], chosen)
    tables = _joined(named, released)
    shown = {item.table: charts[item.table].with_points(item.result) for item in tables if item.section == "charts"}
    limits = [NamedResult("charts", f"{metric} {name}", getattr(chart, name))
              for metric, chart in shown.items() for name in ("limits", "signals")]
    record = _record(dataset, ask, chosen, goals, plans.read_actions(actions) if actions else [])
    title = f"Quarterly review {span.label}" + "".join(f", {value}" for value in _named(given))
    return Review(Bundle(title, (*tables, *limits), record), shown)


def _joined(named: Sequence[NamedResult], released: Sequence[Result]) -> tuple[NamedResult, ...]:
    """The released Results under their names, those of one name as one table."""
    found: dict[tuple[str, str], list[Result]] = {}
    for item, result in zip(named, released, strict=True):
        found.setdefault((item.section, item.table), []).append(result)
    return tuple(NamedResult(*name, parts[0].concat(*parts[1:]) if len(parts) > 1 else parts[0])
                 for name, parts in found.items())


def _check_period(span: Period | None, dataset) -> Period:
    if span is None:
        raise ParameterError("a review needs a period, such as 2026Q3.")
    if dataset.data_cut is None or not dataset.facts.has_calendar:
        raise NotEvaluableError("these data have occasions but no dates, so there is no period to review.")
    if span.start > dataset.data_cut.date():
        raise ParameterError(f"the period {span.label} begins after the data cut ({dataset.data_cut.date()}): "
                             "there is nothing to review yet.")
    return span


def _history(cohort: Cohort, span: Period, later: int = 0) -> Period:
    """Up to two years of months, from so many months after the first one with an evaluation; never less than span."""
    history = months_up_to(span, HISTORY_MONTHS)
    first = cohort.facts.episodes["start_date"].min()
    if pd.isna(first):
        return history
    begin = (first.to_period("M") + later).start_time.date()
    if begin <= history.start:
        return history
    start = min(begin, span.start)
    return Period(start, span.end, f"{start}..{span.end}")


def _named(given: Mapping[str, object]) -> list[str]:
    return [value if isinstance(value, str) else listed(list(value)) for value in given.values() if value]


def _each_span(section: str, table: str, ask: _Ask, metrics: Sequence[str]) -> Iterator[NamedResult]:
    for when in ask.spans:
        yield NamedResult(section, f"{table} {when}", ask.summarize(metrics, when))


def _summary(ask: _Ask) -> Iterator[NamedResult]:
    yield from _each_span("summary", "headlines", ask, HEADLINES)


def _quality(ask: _Ask) -> Iterator[NamedResult]:
    """Paired completion: by measure over twelve months, by site and discipline in the period."""
    yield from _by_measure("quality", "completion by measure", ask, ["paired_completion"])
    for by in _splits(ask.cohort):
        yield NamedResult("quality", f"completion by {by}", ask.summarize(["paired_completion"], NOW, by))


def _served(ask: _Ask, policy: Policy) -> Iterator[NamedResult]:
    for when, span in ask.spans.items():
        yield from (NamedResult("served", f"volumes {when}", part) for part in volumes.count(ask.cohort, span))
    monthly = volumes.count(ask.cohort, ask.history, every="month")
    yield from (NamedResult("served", "volumes monthly", part) for part in monthly)
    cohort = mix.with_wide_ages(ask.cohort, [ask.spans[when] for when in (NOW, YEAR_AGO)], policy)
    variables = [name for name in MIX if name in cohort.facts.episodes]
    for when in (NOW, YEAR_AGO):
        yield NamedResult("served", f"mix {when}", describe(cohort, variables=variables, period=ask.spans[when]))


def _attendance(ask: _Ask) -> Iterator[NamedResult]:
    yield from _each_span("attendance", "rates", ask, ATTENDANCE)
    for by in _splits(ask.cohort):
        yield NamedResult("attendance", f"no-shows by {by}", ask.summarize(["no_show_rate"], NOW, by))
    yield NamedResult("attendance", "how care ended", dropout_curve(ask.cohort, period=ask.rolling))


def _effectiveness(ask: _Ask, target: float | None) -> Iterator[NamedResult]:
    """Responders pooled over instruments in the period, with the instruments behind them and what the missing could
    change; each instrument over twelve months (widened)."""
    yield from _each_span("effectiveness", "responders", ask, ["mcid_rate", "paired_completion"])
    for when in (NOW, YEAR_AGO):
        yield NamedResult("effectiveness", f"instruments {when}", instrument_mix(ask.cohort, period=ask.spans[when]))
    yield NamedResult("effectiveness", "missing scores",
                      missing_panel(ask.cohort, "mcid_rate", period=ask.spans[NOW], target=target))
    yield NamedResult("effectiveness", "completers", completers(ask.cohort, "mcid_rate", period=ask.spans[NOW]))
    for by in _splits(ask.cohort):
        yield NamedResult("effectiveness", f"responders by {by}", ask.summarize(["mcid_rate"], NOW, by))
    yield from _by_measure("effectiveness", "scores by measure", ask, ["baseline_score", "final_score", "score_change"])
    yield from _by_measure("effectiveness", "responders by measure", ask, ["mcid_rate"], needs_mcid=True)


def _efficiency(ask: _Ask) -> Iterator[NamedResult]:
    yield from _each_span("efficiency", "effort", ask, EFFORT)
    yield from _by_measure("efficiency", "gain per visit by measure", ask, ["gain_per_visit"])


def _discharge(ask: _Ask) -> Iterator[NamedResult]:
    yield from _each_span("discharge", "rates", ask, DISCHARGE)
    for when in (NOW, YEAR_AGO):
        yield NamedResult("discharge", f"reasons {when}",
                          describe(ask.cohort, variables=["reason"], period=ask.spans[when]))


def _by_measure(section: str, table: str, ask: _Ask, names: Sequence[str],
                needs_mcid: bool = False) -> Iterator[NamedResult]:
    """One table of all measures that pairs are made of, over the last twelve months."""
    facts = ask.cohort.facts
    codes = [code for code in sorted(facts.scores["measure"].unique()) if facts.measure(code).paired
             and (not needs_mcid or facts.measure(code).mcid is not None)]
    if codes:
        metrics = [f"{name}:{code}" for code in codes for name in names]
        yield NamedResult(section, table, summarize(ask.cohort, metrics, period=ask.rolling))


def _splits(cohort: Cohort) -> list[str]:
    return [by for by in ("site_id", "discipline") if by in cohort.facts.episodes
            and cohort.facts.episodes[by].nunique() > 1]


def _record(dataset, ask: _Ask, policy: Policy, targets: Mapping, actions: Sequence[Mapping]) -> dict:
    """What the review says besides numbers; nothing in it counts patients."""
    span, facts = ask.spans[NOW], ask.cohort.facts
    codes = sorted(facts.scores["measure"].unique())
    cut = dataset.data_cut.date()
    names = dict.fromkeys([*HEADLINES, *ATTENDANCE, *EFFORT, *DISCHARGE, "dropout_by_visit", "score_change",
                           "gain_per_visit"])
    return {
        "review": {"period": span.label, "start": span.start.isoformat(), "end": span.end.isoformat(),
                   "spans": {when: other.label for when, other in ask.spans.items()},
                   "rolling": ask.rolling.label, "history": ask.history.label,
                   "of_ended": ask.of_ended.label, "primary": _primary_measures(facts),
                   "state": "final" if cut >= span.end + timedelta(days=FINAL_AFTER_DAYS) else "provisional",
                   "filters": ask.cohort.filters},
        "dataset": {"name": dataset.name, "data_cut": cut.isoformat(), "note": dataset.note,
                    "fingerprint": dataset.fingerprint, "policy_reason": policy.reason},
        "policy": policy.to_record(),
        "measures": {code: facts.measure(code).to_record() for code in codes},
        "definitions": [_definition(name) for name in names],
        "targets": dict(targets), "actions": list(actions),
        "problems": problems.listed(dataset.quality.problems, policy),
        "notes": [f"Widened before anything is withheld: responders of {span.label} are pooled over instruments, and "
                  f"each instrument is shown over the twelve months {ask.rolling.start:%Y-%m} to "
                  f"{ask.rolling.end:%Y-%m}; small age bands are joined with the next one."],
        "gates": [{"name": "data are usable", "required": True, "passed": dataset.quality.verdict != "not usable",
                   "note": dataset.quality.verdict}],
    }


def _primary_measures(facts) -> list[str]:
    """The instruments that pooled responders are judged on."""
    return sorted(facts.scores.loc[facts.scores["is_primary"].astype(bool), "measure"].unique())


def _definition(name: str) -> dict[str, str]:
    entry = get(name)
    return {"metric": name, "label": entry.label, "definition": entry.definition}
