"""What each section of a pilot report says: released Results and the study's record into tables, figures and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.display import bundles, cells, result_figures, result_tables, sentences, verdict_tables
from therapyeval.display.blocks import Block, Bullets, Facts, Paragraph, Section, Warnings
from therapyeval.display.cells import text_of
from therapyeval.display.definitions import definition_blocks
from therapyeval.display.labels import NOT_VERIFIED, Labels, method_words, parts, plain
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.errors import UnknownNameError
from therapyeval.formatting import WITHHELD, is_missing, listed
from therapyeval.pilot.limits import RED_BELOW, imbalance
from therapyeval.pilot.progression import INDICATORS, decision
from therapyeval.result import MISSING_NOT_ACHIEVED, Bundle, Result

NAMES = ("summary", "design", "flow", "baseline", "outcomes", "responders", "verdict", "limits", "definitions")
MOST_EFFECTS = 2
WHY_WITHHELD = ("Where the numbers of people allocated, with a first score, with a final score and with both differ by "
                "only a few, subtracting them would tell how many lack a score: then only the largest of them is "
                "shown, and the means of the others go too. An adjusted difference does not tell how many stand behind "
                "it, so it may be shown where the plain means are not.")
WORDS = ("ANCOVA", "HC3", "SMD", "Interval")


def render_section(bundle: Bundle, name: str) -> Section:
    """One section of a pilot evaluation, ready for a notebook, a page or plain text.

    Raises
    ------
    UnknownNameError
        Where there is no such section.
    """
    if name not in NAMES:
        raise UnknownNameError("section", name, NAMES)
    return _RENDERERS[name](Study(bundle))


class Study:
    """A bundle with its record's parts at hand, each empty where the record does not have it."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.record = bundle.record
        self.protocol = self.part("protocol")
        self.design = self.protocol.get("design") or {}
        self.randomized = bool(self.design.get("randomized"))
        arms = {text_of(code): str(label) for code, label in (self.protocol.get("arms") or {}).items()}
        self.labels = Labels(arms, self.part("measures"))

    def part(self, name: str) -> Mapping[str, object]:
        return self.record.get(name) or {}

    def result(self, section: str, table: str) -> Result | None:
        """A table with rows, or None."""
        return bundles.find(self.bundle, section, table)

    @property
    def allocated(self) -> dict[str, str]:
        """People allocated, as text: "" for all, then by arm."""
        flow = self.result("flow", "flow")
        if flow is None:
            return {}
        arms = result_tables.arm_codes(flow, self.labels)
        rows = {arm: result_tables.in_arm(flow, arm, metric="allocated") for arm in ("", *arms)}
        return {arm: cells.count(row) for arm, row in rows.items() if row is not None}

    @property
    def whom(self) -> str:
        """Whom a table is about: how many people, which data."""
        total, name = self.allocated.get("", ""), str(self.part("dataset").get("name") or "")
        people = f"{total} people" if total and total != WITHHELD else "number of people withheld" if total else ""
        return f"{', '.join(filter(None, [people, name]))}." if people or name else ""

    def has_responders(self, code: str) -> bool:
        """True where the protocol asks for responders on that measure."""
        return code in {parts(str(metric))[1] for metric in self.protocol.get("responders") or ()}

    def main_outcome(self) -> str:
        """The metric of the first outcome."""
        outcomes = self.protocol.get("outcomes") or ()
        return str(outcomes[0]) if outcomes else ""


def _summary(study: Study) -> Section:
    title = str(study.protocol.get("title") or study.bundle.title)
    kind = sentences.design_line(str(study.design.get("kind") or ""), study.randomized, title)
    note = str(study.part("dataset").get("note") or "")
    is_invented = "synthetic" in note.lower()
    above = (study.part("policy").get("banner"), note if is_invented else "", *bundles.failed_gates(study.record))
    alarms = [str(text) for text in above if text]
    lead = [_who(study), *_effects(study, study.main_outcome()), _responders(study)]
    others = [text for metric in (study.protocol.get("outcomes") or ())[1:] for text in _effects(study, str(metric))]
    rest = [*others, _decision(study), _missing(study), bundles.withheld_line(study.bundle)] if any(lead) else []
    if not study.randomized and study.design:
        rest.append(" ".join(filter(None, [sentences.not_randomized(str(study.design.get("kind") or "")),
                                           imbalance(study.result("baseline", "baseline"), study.labels)])))
    blocks: list[Block] = [Warnings(tuple(alarms))] if alarms else []
    question = str(study.protocol.get("question") or "")
    blocks += [Paragraph(question)] if question else []
    blocks += [Paragraph(text, "lead") for text in filter(None, lead)] or [
        Paragraph(sentences.no_data("people of the study"), "lead")]
    blocks += [Paragraph(text) for text in filter(None, rest)]
    notes = [str(text) for text in ("" if is_invented else note, *(study.record.get("notes") or ())) if text]
    blocks += [Paragraph(text, "note") for text in notes]
    return Section("summary", title, tuple(blocks), kind, top=True)


def _who(study: Study) -> str:
    counts = study.allocated
    arms = {study.labels.arm(arm): n for arm, n in counts.items() if arm}
    if not arms:
        return ""
    sites = study.design.get("sites")
    return sentences.who(counts.get("", WITHHELD), arms, study.randomized, None if is_missing(sites) else int(sites))


def _decision(study: Study) -> str:
    """What the progression criteria say; empty where the protocol has none."""
    found = study.result("verdict", "progression")
    return "" if found is None else _next_step(found)


def _next_step(progression: Result) -> str:
    bands = {str(row["metric"]): str(row["level"]) for row in cells.records(progression)}
    return sentences.next_step(decision(list(bands.values())), bands)


def _effects(study: Study, metric: str) -> list[str]:
    """One sentence for each main difference of an outcome, in points and against its MCID."""
    result = study.result("outcomes", "effects")
    rows = result_tables.main_rows(result, metric)
    said = [_effect(study, result, row) for row in rows[:MOST_EFFECTS]]
    if len(rows) > MOST_EFFECTS:
        said.append(f"{len(rows) - MOST_EFFECTS} more comparisons of groups are in the table of outcomes.")
    return said


def _effect(study: Study, result: Result, row: cells.Record) -> str:
    code, labels = parts(row["metric"])[1], study.labels
    first, second = (labels.arm(arm) for arm in labels.pair(row["contrast"]))
    if is_missing(row["estimate"]) or not cells.has_interval(row):
        reason = WITHHELD if cells.is_withheld(row) else cells.remark(row)
        return sentences.effect_withheld(labels.short(code), (first, second), reason)
    relative, size = result_tables.relative_row(result, row), labels.mcid(code)
    if size and labels.is_verified(code) and relative is not None and cells.has_interval(relative):
        reading = sentences.against_mcid(_triple(relative), f"{plain(size)} {labels.unit(code)}",
                                         randomized=study.randomized, has_responders=study.has_responders(code))
    else:
        reading = sentences.without_mcid(row["conf_low"], row["conf_high"], recalled=bool(size))
    digits = cells.score_digits(result_tables.contrast_rows(result, row["metric"]))
    said = sentences.effect(labels.short(code), (first, second), _triple(row), labels.unit(code), digits=digits,
                            conf_level=result.conf_level, randomized=study.randomized, reading=reading)
    return " ".join(filter(None, [said, _caution(study, row)]))


def _caution(study: Study, row: cells.Record) -> str:
    """Said where fewer than the red line of those allocated to both groups are compared, as far as it may be told."""
    flow = study.result("flow", "flow")
    arms = [cells.first(flow, arm=arm, metric="allocated") for arm in study.labels.pair(row["contrast"])]
    if is_missing(row["n"]) or any(arm is None or is_missing(arm["n"]) for arm in arms):
        return ""
    n, allocated = int(row["n"]), sum(int(arm["n"]) for arm in arms)
    share = cells.percent(n / allocated, cells.percent_digits(allocated))
    return sentences.few_compared(n, allocated, share) if n < RED_BELOW * allocated else ""


def _triple(row: cells.Record) -> tuple[float, float, float]:
    return row["estimate"], row["conf_low"], row["conf_high"]


def _responders(study: Study) -> str:
    result = study.result("responders", "rates")
    metrics = result_tables.names_of(result, "metric") if result else []
    if not metrics:
        return ""
    sure = [metric for metric in metrics if NOT_VERIFIED not in study.labels.metric(metric)]
    if not sure:
        return sentences.responders_elsewhere(study.labels.metric(metrics[0]))
    rows = {arm: result_tables.in_arm(result, arm, metric=sure[0], estimand=MISSING_NOT_ACHIEVED)
            for arm in result_tables.arm_codes(result, study.labels)}
    texts = {study.labels.arm(arm): _k_of_n(row) for arm, row in rows.items() if row is not None}
    said = [sentences.responders(study.labels.metric(sure[0]), texts)] if texts else []
    return " ".join(said + _responder_differences(study, sure[0]))


def _responder_differences(study: Study, metric: str) -> list[str]:
    """The differences between these shares, where they are shown; of no more groups than the main outcome's."""
    result = study.result("responders", "differences")
    rows = [row for row in cells.records(result, metric=metric, estimand=MISSING_NOT_ACHIEVED)
            if row["contrast"] and cells.has_interval(row)]
    pairs = [tuple(study.labels.arm(arm) for arm in study.labels.pair(row["contrast"])) for row in rows]
    return [sentences.responder_difference(pair, cells.share(row), result.conf_level)
            for pair, row in zip(pairs[:MOST_EFFECTS], rows, strict=False)]


def _k_of_n(row: cells.Record) -> str:
    if is_missing(row["estimate"]) or not cells.of(row):
        return WITHHELD if cells.is_withheld(row) else "not available"
    return f"{cells.of(row)} ({cells.percent(row['estimate'], cells.percent_digits(row['denominator']))})"


def _missing(study: Study) -> str:
    result = study.result("outcomes", "scores")
    code = parts(study.main_outcome())[1]
    if result is None or not code:
        return ""
    rows = {arm: result_tables.in_arm(result, arm, metric=f"final_score:{code}", statistic="mean")
            for arm in result_tables.arm_codes(result, study.labels)}
    texts = {study.labels.arm(arm): cells.count(row, "n_missing") for arm, row in rows.items() if row is not None}
    return sentences.missing_scores(study.labels.short(code), texts) if texts else ""


def _design(study: Study) -> Section:
    protocol, design, dataset, policy = study.protocol, study.design, study.part("dataset"), study.part("policy")
    if not study.labels.arms:
        return Section("design", "Design", (Paragraph(sentences.no_data("design")),))
    counts, reference = study.allocated, {text_of(code) for code in protocol.get("reference") or ()}
    rows = tuple(Row(label, (Cell("reference" if code in reference else "studied"), Cell(counts.get(code, "–"))))
                 for code, label in study.labels.arms.items())
    table = Table("arms", "Groups that are compared.", study.whom, ("Role", "People"), rows, "Group", words=(0,))
    facts = [("Design", sentences.design_word(str(design.get("kind") or ""), study.randomized)),
             ("Allocation", design.get("allocation")),
             ("Sites", _sites(design.get("sites"), study.record.get("sites") or ())),
             ("Patients came in", str(design.get("period") or "").replace("..", " to ")),
             ("Blinding", design.get("blinding")), ("Remark", design.get("note")),
             ("Outcomes", "; ".join(study.labels.metric(str(text)) for text in protocol.get("outcomes") or ())),
             ("Responders", "; ".join(study.labels.metric(str(text)) for text in protocol.get("responders") or ())),
             ("Analysis", _analysis(protocol)),
             ("Protocol locked", protocol.get("locked")),
             ("Data", ", ".join(str(text) for text in (dataset.get("name"), dataset.get("data_cut") and
                                                       f"data cut {dataset['data_cut']}") if text)),
             ("Fingerprint of the data", str(dataset.get("fingerprint") or "")[:12]),
             ("Privacy policy", ": ".join(str(policy[key]) for key in ("name", "reason") if policy.get(key)))]
    shown = tuple((term, _yes_no(text)) for term, text in facts if not is_missing(text) and text != "")
    return Section("design", "Design", (table, Facts(shown)))


def _sites(planned: object, found: Sequence[str]) -> str:
    """How many sites, and their names where there are more than one."""
    n = text_of(planned) or (str(len(found)) if found else "")
    return f"{n}: {listed(found)}" if len(found) > 1 else n


def _yes_no(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _analysis(protocol: Mapping[str, object]) -> str:
    """How the differences are estimated, and what is printed."""
    covariates = [method_words(str(name)) for name in protocol.get("covariates") or ()]
    model = (f"ANCOVA of the improvement on {listed(covariates)}" if covariates
             else "Welch comparison of mean improvements")
    variance = f"; {protocol['variance']} standard errors" if covariates and protocol.get("variance") else ""
    chance = "P values are printed as the protocol asks" if protocol.get("p_values") else \
        "intervals, no P values, as the protocol asks"
    return f"{model}{variance}. Everybody is analyzed in the group of allocation; {chance}."


def _flow(study: Study) -> Section:
    result = study.result("flow", "flow")
    blocks: list[Block] = []
    if result is not None:
        figure = result_figures.flow_figure(result, study.labels)
        blocks = [*([figure] if figure else []), result_tables.flow_table(result, study.labels, study.whom)]
    left_out = [_said(item) for item in study.record.get("exclusions") or ()]
    if left_out:
        blocks += [Paragraph("Left out by a rule of the protocol or of a metric:"), Bullets(tuple(left_out))]
    return _section("flow", "Flow of participants", blocks, "flow of participants")


def _baseline(study: Study) -> Section:
    result = study.result("baseline", "baseline")
    blocks = [] if result is None else [
        result_tables.baseline_table(result, study.labels, study.whom, flag=not study.randomized)]
    return _section("baseline", "People before treatment", blocks, "people before treatment")


def _outcomes(study: Study) -> Section:
    scores, effects = study.result("outcomes", "scores"), study.result("outcomes", "effects")
    blocks: list[Block] = []
    if effects is not None:
        figure = result_figures.effects_figure(effects, study.labels)
        blocks.append(figure or Paragraph("No figure: every difference is withheld or could not be estimated."))
        blocks.append(result_tables.effects_table(effects, study.labels, study.whom,
                                                  p_values=bool(study.protocol.get("p_values"))))
    checks = study.result("outcomes", "checks")
    if checks is not None:
        blocks.append(result_tables.checks_table(checks, study.labels, study.whom))
    if scores is not None:
        blocks.append(result_tables.scores_table(scores, study.labels, study.whom))
        blocks += [Paragraph(WHY_WITHHELD, "note")] if any(map(cells.is_withheld, cells.records(scores))) else []
    return _section("outcomes", "Outcomes", blocks, "outcomes")


def _responder_section(study: Study) -> Section:
    rates, differences = study.result("responders", "rates"), study.result("responders", "differences")
    blocks: list[Block] = []
    if rates is not None:
        figure = result_figures.responders_figure(rates, study.labels)
        blocks = [figure or Paragraph("No figure: every share is withheld or could not be estimated."),
                  result_tables.responder_table(rates, differences, study.labels, study.whom)]
    return _section("responders", "Responders", blocks, "responders")


def _verdict(study: Study) -> Section:
    """The reading of the main outcome, and what would change it."""
    effects, tipping = study.result("outcomes", "effects"), study.result("verdict", "tipping_points")
    main = study.main_outcome()
    rows = [row for row in result_tables.main_rows(effects, main) if cells.has_interval(row)]
    said = [text for row in rows for text in _would_change(study, effects, row)]
    if tipping is not None:
        headline = (main, *(study.protocol.get("responders") or ())[:1])
        said = verdict_tables.tipping_sentences(tipping, study.labels, headline) + said
    blocks: list[Block] = [Paragraph(_now(study, effects, row), "lead") for row in rows]
    blocks += [Paragraph("This would change if:")] * bool(said) + [Bullets(tuple(said))] * bool(said)
    if tipping is not None:
        blocks.append(verdict_tables.tipping_table(tipping, study.labels, study.whom))
    return _section("verdict", "What would change the verdict", blocks + _progression(study), "verdict")


def _now(study: Study, effects: Result, row: cells.Record) -> str:
    code, relative = parts(row["metric"])[1], result_tables.relative_row(effects, row)
    judged = relative if relative is not None and study.labels.is_verified(code) else row
    first, second = (study.labels.arm(arm) for arm in study.labels.pair(row["contrast"]))
    return sentences.reading_now(study.labels.short(code), (first, second), judged["conf_low"], judged["conf_high"],
                                 judged is relative, study.randomized)


def _would_change(study: Study, effects: Result, row: cells.Record) -> list[str]:
    """Another MCID; without random allocation, a difference between the groups that nobody measured."""
    code = parts(row["metric"])[1]
    low, high, unit = row["conf_low"], row["conf_high"], study.labels.unit(code)
    digits = cells.score_digits(result_tables.contrast_rows(effects, row["metric"]))
    first, second = (study.labels.arm(arm) for arm in study.labels.pair(row["contrast"]))
    said = [sentences.mcid_at_limits(study.labels.short(code), (first, second), low, high, unit, digits)]
    if not study.randomized and not low <= 0 <= high:
        said.append(sentences.hidden_difference(min(low, high, key=abs), unit, digits))
    return said


def _progression(study: Study) -> list[Block]:
    criteria = {rule["indicator"]: rule for rule in study.protocol.get("progression") or ()}
    found = study.result("verdict", "progression")
    if found is None:
        return [Paragraph(sentences.NO_CRITERIA)] if study.protocol else []
    return [Paragraph(_next_step(found), "lead"),
            verdict_tables.progression_table(found, criteria, INDICATORS, study.whom)]


def _limits(study: Study) -> Section:
    said = [str(text) for text in study.record.get("limits") or ()]
    if study.design and not study.randomized and not any("random" in text.lower() for text in said):
        said.insert(0, sentences.not_randomized(str(study.design.get("kind") or "")))
    said += bundles.failed_gates(study.record)
    blocks: list[Block] = [Warnings(tuple(said))] if said else []
    return _section("limits", "Limits of this study", blocks, "limits of this study")


def _definitions(study: Study) -> Section:
    blocks = definition_blocks(study.record.get("definitions") or (), study.labels, WORDS)
    return _section("definitions", "Definitions", blocks, "definitions")


def _section(name: str, title: str, blocks: list[Block], what: str) -> Section:
    return bundles.section(name, title, blocks, sentences.no_data(what))


def _said(item: object) -> str:
    """A sentence from the record, or a small record of its own as words."""
    if not isinstance(item, Mapping):
        return str(item)
    return "; ".join(f"{str(key).replace('_', ' ')}: {_yes_no(value)}" for key, value in item.items()
                     if not is_missing(value) and value != "")


_RENDERERS = {"summary": _summary, "design": _design, "flow": _flow, "baseline": _baseline, "outcomes": _outcomes,
              "responders": _responder_section, "verdict": _verdict, "limits": _limits, "definitions": _definitions}
