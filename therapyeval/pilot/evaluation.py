"""`evaluate_pilot`: everything a pilot report shows, computed and released as one set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from therapyeval import disclosure
from therapyeval.analysis import compare, describe, summarize
from therapyeval.analysis.contrast_rows import contrast_name
from therapyeval.analysis.effects import MCID
from therapyeval.cohort import Cohort
from therapyeval.disclosure import Policy
from therapyeval.errors import NotEvaluableError
from therapyeval.formatting import listed
from therapyeval.metrics import parse
from therapyeval.pilot import limits
from therapyeval.pilot.progression import progression
from therapyeval.pilot.protocol import Protocol
from therapyeval.pilot.sensitivity import tipping_points
from therapyeval.result import CHECK, MIME_TYPE, PEOPLE, Bundle, NamedResult, Result, make_frame

ARM = "arm"


@dataclass(frozen=True)
class PilotEvaluation:
    """A pilot's released Results; `section(name)` shows one part of them."""

    protocol: Protocol
    bundle: Bundle

    def section(self, name: str):
        """One part: summary, design, flow, baseline, outcomes, responders, verdict, limits or definitions."""
        from therapyeval.pilot.sections import render_section
        return render_section(self.bundle, name)

    def to_frame(self) -> pd.DataFrame:
        return self.bundle.to_frame()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        summary = self.section("summary")
        return {"text/plain": summary.to_text(), "text/html": summary._repr_html_(), MIME_TYPE: self.bundle.to_dict()}


def evaluate_pilot(protocol: Protocol, dataset, policy: str | Policy | None = None) -> PilotEvaluation:
    """Evaluate a pilot as its protocol says: everybody allocated, in the arm they were allocated to.

    Parameters
    ----------
    protocol : from `read_protocol`
    dataset : from `read_dataset`, with an arm for every patient of the pilot
    policy : name of a privacy policy; None takes the one that the data's mapping declares, else cms_11

    Raises
    ------
    NotEvaluableError
        Where an arm has no patients or nobody has the outcome; ParameterError for unknown attributes.
    """
    chosen = disclosure.choose_policy(policy, dataset.policy)
    cohort = _allocated(protocol, dataset)
    named = [*_flow(protocol, cohort), *_baseline(protocol, cohort), *_outcomes(protocol, cohort),
             *_responders(protocol, cohort)]
    released = disclosure.release([item.result for item in named], chosen)
    tables = tuple(replace(item, result=result) for item, result in zip(named, released, strict=True))
    tables += tuple(_verdict(protocol, cohort, Bundle(protocol.title, tables)))
    return PilotEvaluation(protocol, Bundle(protocol.title, tables, _record(protocol, dataset, cohort, chosen, tables)))


def _allocated(protocol: Protocol, dataset) -> Cohort:
    cohort = dataset.cohort(**protocol.cohort).as_allocated()
    found = set(cohort.facts.episodes[ARM].unique())
    empty = [arm for arm in protocol.arms if arm not in found]
    if empty:
        raise NotEvaluableError(f"{protocol.name}: nobody is allocated to {listed(empty, 'or')} in these data. "
                                f"Arms there: {listed(sorted(found)) or 'none'}.")
    return cohort.where(arm=list(protocol.arms))


def _flow(protocol: Protocol, cohort: Cohort) -> list[NamedResult]:
    """People at each step: screened to allocated from the enrollment list, then those with each score."""
    facts = cohort.facts
    steps = list(_enrollment_steps(facts.enrollment))
    arm, patient = facts.episodes[ARM].to_numpy(), facts.episodes["patient"].to_numpy()
    by_step = {"allocated": np.ones(len(arm), dtype=bool)}
    for code in protocol.measures:
        for when, name in (("baseline", "baseline_score"), ("outcome", "final_score")):
            by_step[f"with_{when}:{code}"] = parse(f"{name}:{code}").values(facts).value.notna().to_numpy()
    for step, mask in by_step.items():
        groups = [(name, arm == name) for name in protocol.arms] + [(None, np.ones(len(arm), dtype=bool))]
        steps += [_step(step, name, mask & here, here, patient) for name, here in groups]
    frame = make_frame([row for row, _ in steps], [ARM])
    people = pd.DataFrame([behind for _, behind in steps]).reindex(columns=list(PEOPLE))
    source = replace(cohort.source, population="episodes")
    return [NamedResult("flow", "flow", Result(frame, "Flow of patients", source, people=people))]


def _step(step: str, arm: str | None, kept: np.ndarray, of: np.ndarray, patient: np.ndarray) -> tuple[dict, dict]:
    n, lost = int(kept.sum()), int((of & ~kept).sum())
    people = {name: len(np.unique(patient[mask])) for name, mask in (("n", kept), ("lost", of & ~kept))}
    row = {ARM: arm, "metric": step, "statistic": "count", "estimate": n, "numerator": n, "n": n, "n_missing": lost,
           "n_excluded": 0, "n_people": people["n"], "unit": "episodes", "method": "count"}
    return row, {"numerator": people["n"], "n_missing": people["lost"], "n_excluded": 0}


def _enrollment_steps(enrollment: pd.DataFrame | None) -> Iterable[tuple[dict, dict]]:
    """Screened, not eligible and declined, from the enrollment list where there is one."""
    if enrollment is None or "eligible" not in enrollment or enrollment["eligible"].isna().all():
        return
    everybody, patient = np.ones(len(enrollment), dtype=bool), enrollment["patient"].to_numpy()
    eligible = enrollment["eligible"].eq(True).to_numpy(dtype=bool, na_value=False)
    allocated = enrollment[ARM].notna().to_numpy()
    steps = {"screened": everybody, "not_eligible": ~eligible & ~allocated, "declined": eligible & ~allocated}
    for step, mask in steps.items():
        row, people = _step(step, None, mask, mask, patient)
        yield {**row, "unit": "people"}, people


def _baseline(protocol: Protocol, cohort: Cohort) -> list[NamedResult]:
    variables = [*protocol.baseline, *(f"baseline_score:{code}" for code in protocol.measures)]
    table = describe(cohort, by=ARM, variables=variables, reference=protocol.reference)
    return [NamedResult("baseline", "baseline", table)]


def _outcomes(protocol: Protocol, cohort: Cohort) -> list[NamedResult]:
    metrics = [f"{name}:{code}" for code in protocol.measures
               for name in ("baseline_score", "final_score", "score_change")]
    scores = summarize(cohort, metrics, by=ARM)
    answers = [_analyses(protocol, cohort, text) for text in protocol.outcomes]
    effects = [part for found in answers for part in _effects(found)]
    checks = [found[0].where(found[0].frame["statistic"].str.startswith(CHECK)) for found in answers]
    return [NamedResult("outcomes", "scores", scores),
            NamedResult("outcomes", "effects", effects[0].concat(*effects[1:], title="Differences between arms")),
            NamedResult("outcomes", "checks", checks[0].concat(*checks[1:], title="Checks of the analysis"))]


def _analyses(protocol: Protocol, cohort: Cohort, metric: str) -> list[Result]:
    """The protocol's analysis first, then robust errors beside classical ones and the unadjusted difference."""
    analyses: list[dict] = [{"adjust": protocol.covariates, "variance": protocol.variance}]
    if protocol.covariates:
        analyses[0]["model"] = "ancova"
        analyses += [{**analyses[0], "variance": "HC3"}] * (protocol.variance == "classical")
        analyses += [{"adjust": ()}]
    found = [compare(cohort, metric, groups=ARM, reference=protocol.reference, **analysis) for analysis in analyses]
    return found if protocol.p_values else [_without_p(result) for result in found]


def _effects(found: list[Result]) -> list[Result]:
    """The differences of all analyses in the measure's points, then those in MCIDs where one is registered."""
    differences = [part.where(part.frame["statistic"] == "difference") for part in found]
    in_points = [part.where(part.frame["unit"] != MCID) for part in differences]
    return in_points + [part.where(part.frame["unit"] == MCID) for part in differences]


def _without_p(result: Result) -> Result:
    return replace(result, frame=result.frame.assign(p_value=np.nan))


def _responders(protocol: Protocol, cohort: Cohort) -> list[NamedResult]:
    if not protocol.responders:
        return []
    results = [compare(cohort, text, groups=ARM, reference=protocol.reference) for text in protocol.responders]
    results = [result if protocol.p_values else _without_p(result) for result in results]
    joined = results[0].concat(*results[1:])
    is_difference = joined.frame["statistic"] == "risk_difference"
    return [NamedResult("responders", "rates", joined.where(joined.frame["contrast"] == "", "Responders by arm")),
            NamedResult("responders", "differences", joined.where(is_difference, "Differences in responders"))]


def _verdict(protocol: Protocol, cohort: Cohort, released: Bundle) -> Iterable[NamedResult]:
    """What follows from the released tables: progression criteria, and what would change the reading."""
    flow, effects = released.get("flow", "flow"), released.get("outcomes", "effects")
    pairs = {contrast_name(arm, reference): (arm, reference) for reference in protocol.reference
             for arm in protocol.arms if arm not in protocol.reference}
    mcids = {code: cohort.facts.measure(code).mcid for code in protocol.measures}
    rates = released.get("responders", "rates") if protocol.responders else None
    found = {"progression": progression(protocol.progression, flow, protocol.measures[0]),
             "tipping_points": tipping_points(effects, flow, rates, pairs, mcids)}
    return [NamedResult("verdict", name, result) for name, result in found.items() if result is not None]


def _record(protocol: Protocol, dataset, cohort: Cohort, policy: Policy, tables: tuple[NamedResult, ...]) -> dict:
    """What the report says besides numbers. It is written from released Results, so it holds nothing hidden."""
    facts = cohort.facts
    calls = [parse(text) for text in dict.fromkeys((*protocol.outcomes, *protocol.responders))]
    codes = dict.fromkeys(call.measure for call in calls if call.measure)
    measures = {code: facts.measure(code).to_record() for code in codes}
    flow, baseline = (next(item.result for item in tables if item.table == name) for name in ("flow", "baseline"))
    sites = sorted(facts.episodes["site_id"].dropna().unique()) if "site_id" in facts.episodes else []
    return {
        "protocol": protocol.to_dict(),
        "dataset": {"name": dataset.name, "data_cut": cohort.source.data_cut, "note": dataset.note,
                    "fingerprint": dataset.fingerprint, "policy_reason": policy.reason},
        "sites": [str(name) for name in sites],
        "policy": policy.to_record(),
        "measures": measures,
        "definitions": [{"metric": call.text, "label": call.metric.label, "definition": call.metric.definition}
                        for call in calls],
        "limits": limits.sentences(protocol, flow, baseline, measures, n_sites=len(sites),
                                   one_site_per_arm=limits.is_nested(facts.episodes, ARM, "site_id")),
        "gates": [{"name": "data are usable", "required": True, "passed": dataset.quality.verdict != "not usable",
                   "note": dataset.quality.verdict}],
    }
