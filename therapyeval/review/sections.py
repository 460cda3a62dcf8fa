"""What each section of a quarterly review says: released Results into tables, figures and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.benchmark.control_chart import ControlChart
from therapyeval.display import cells, chart_figures, dropout, measure_tables, result_tables
from therapyeval.display.blocks import Block, Bullets, Heading, Paragraph, Section, Warnings
from therapyeval.display.cells import Record, records
from therapyeval.display.change_tables import (
    Lookup,
    change_table,
    exclusion_table,
    group_codes,
    headline,
    shared_digits,
    value_cell,
)
from therapyeval.display.definitions import definition_blocks
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.display.variation import chart_sentence
from therapyeval.errors import UnknownNameError
from therapyeval.formatting import is_missing, listed
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Bundle
from therapyeval.review.groups import no_shows_by_group
from therapyeval.review.material import FILTER_WORDS, Material
from therapyeval.review.missing import what_the_missing_could_change
from therapyeval.review.parts import levels, provisional, rates, run, section
from therapyeval.review.problems import problem_table
from therapyeval.review.quarterly import NOW
from therapyeval.review.summary import (
    AMBER_FROM,
    GREEN_FROM,
    UNCONTROLLED,
    below_of,
    light_of,
    summary,
    target_text,
)

NAMES = ("summary", "cover", "quality", "served", "attendance", "effectiveness", "efficiency", "discharge",
         "definitions")
POOLED = "each episode's primary measure"
RULES = ("of all eligible episodes, missing counted as not achieved", "only those with both scores")
COUNTED = {"evaluations": "episodes of care begun", "discharges": "episodes of care ended, also by rule after silence",
           "attended visits": "appointments"}
BY_MEASURE = "Both scores, by measure"
WORDS = ("Special-cause variation", "Process limits (XmR)", "Interval", "Slots due", "Paired, both scores", "Censored",
         "Widened", "Final, provisional")
BARS = ((AMBER_FROM, "60%"), (GREEN_FROM, "75%"))


def render_section(bundle: Bundle, charts: Mapping[str, ControlChart], name: str) -> Section:
    """One section of a quarterly review, ready for a notebook, a page or plain text.

    Raises
    ------
    UnknownNameError
        Where there is no such section.
    """
    if name not in NAMES:
        raise UnknownNameError("section", name, NAMES)
    return _RENDERERS[name](Material(bundle, charts))


def _cover(material: Material) -> Section:
    """Parameters and provenance: can this be reproduced?"""
    about, dataset, policy = material.about, material.part("dataset"), material.part("policy")
    if not about:
        return section("cover", "What this review covers", [], "its parameters")
    spans = dict(about.get("spans") or {})
    versions = material.bundle.tables[0].result.source.versions if material.bundle.tables else {}
    targets = [f"{material.labels.metric(metric)}: {target_text(float(item['value']), metric, material.labels)} "
               f"({item['origin']})" for metric, item in material.part("targets").items()]
    facts = [("Period", f"{about.get('period')} ({about.get('start')} to {about.get('end')})"),
             ("Compared with", listed([str(spans[when]) for when in ("before", "year_ago") if when in spans])),
             ("Monthly charts", material.history),
             ("Monthly charts of ended episodes", material.of_ended if material.start_up else ""),
             ("Measures one by one", material.rolling),
             *_asked(material), ("Targets", "; ".join(targets) or "none given"),
             ("Data", dataset.get("name")), ("Data cut", dataset.get("data_cut")),
             ("State", material.state_words),
             ("Fingerprint of the data", dataset.get("fingerprint") and
              f"{str(dataset['fingerprint'])[:16]} (start of the SHA-256 of what was read; all of it is in run.json)"),
             ("Checks", "; ".join(f"{gate.get('name')}: {gate.get('note') or gate.get('passed')}"
                                  for gate in material.record.get("gates") or ())),
             ("Privacy policy", ": ".join(str(policy[key]) for key in ("name", "reason") if policy.get(key))),
             ("Software", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    rows = tuple(Row(term, (Cell(str(text)),)) for term, text in facts if text)
    table = Table("parameters", "Parameters, data and policy of this review.", "", ("Value",), rows, "What", words=(0,))
    notes = [Paragraph(str(text), "note") for text in material.record.get("notes") or () if text]
    return section("cover", "What this review covers", [*provisional(material), table, *notes], "its parameters")


def _asked(material: Material) -> list[tuple[str, str]]:
    """Filters in the parameters' order; what was not given is all."""
    given = dict(material.about.get("filters") or {})
    found = [(word.capitalize(), _joined(given.pop(name, "all"))) for name, word in FILTER_WORDS.items()]
    return found + [(name.replace("_", " ").capitalize(), _joined(value)) for name, value in given.items()]


def _joined(value: object) -> str:
    return listed([str(item) for item in value]) if isinstance(value, (list, tuple)) else str(value)


def _quality(material: Material) -> Section:
    """Paired completion by measure, site and discipline; what was left out: may I trust it?"""
    groups, blocks = _completion_groups(material), []
    if groups:
        red = [f"{label}, {cells.share(row)}" for rows in groups.values() for label, row in rows
               if not is_missing(row["estimate"]) and light_of(row["estimate"]) == "red"]
        if red:
            blocks.append(Warnings((f"Red, fewer than 60% with both scores: {'; '.join(red)}. Their change statistics "
                                    "are biased towards those who came back and are not to be acted on.",)))
        blocks += _completion_figures(material, groups)
        blocks.append(_completion_table(material, groups))
    blocks += run(material, "paired_completion", "Episodes by the month in which they ended.")
    now = material.result("summary", f"headlines {NOW}")
    metrics = list(dict.fromkeys(now.exclusions["metric"])) if now is not None else []
    table = exclusion_table(now, metrics, material.labels, f"{material.period}; {material.where}.")
    found = problem_table(material.record.get("problems") or ())
    return section("quality", "Data quality", [*blocks, *filter(None, [table, found])], "scores or exclusions")


def _completion_groups(material: Material) -> dict[str, list[tuple[str, Record]]]:
    """Heading -> (label, row) of paired completion."""
    found: dict[str, list[tuple[str, Record]]] = {}
    for by, word in FILTER_WORDS.items():
        result = material.result("quality", f"completion by {by}")
        if result is not None:
            found[f"Both scores, by {word}, {material.period}"] = [
                (group, chart_figures.first_row(result, group, statistic="proportion"))
                for group in group_codes(result)]
    result = material.result("quality", "completion by measure")
    if result is not None:
        found[f"{BY_MEASURE}, {material.rolling}"] = [
            (material.labels.short(parts(row["metric"])[1]), row) for row in records(result, statistic="proportion")]
    return found


def _completion_figures(material: Material, groups: Mapping[str, list[tuple[str, Record]]]) -> list[Block]:
    """One figure of the period's groups, one of the measures, whose twelve months are another stretch of time."""
    about = "Share of eligible episodes with both scores and 95% intervals; dashed: 60 and 75%. Episodes discharged in"
    figures = []
    for is_measure in (False, True):
        chosen = {heading: rows for heading, rows in groups.items() if heading.startswith(BY_MEASURE) == is_measure}
        when = material.rolling if is_measure else material.period
        counted = chart_figures.n_range([row for rows in chosen.values() for _, row in rows])
        figures.append(chart_figures.shares_figure(
            {heading: [(label, row, None) for label, row in rows] for heading, rows in chosen.items()},
            "episodes with both scores", f"{about} {when}, {material.where}; {counted}.", lines=BARS, limits=None,
            what=f"Paired outcome completion, {when}"))
    return [figure for figure in figures if figure]


def _completion_table(material: Material, groups: Mapping[str, list[tuple[str, Record]]]) -> Table:
    rows = tuple(Row(label, (Cell(cells.share(row)), Cell(cells.of(row) or cells.count(row)), Cell(
        "–" if is_missing(row["estimate"]) else light_of(row["estimate"]))), heading)
        for heading, items in groups.items() for label, row in items)
    notes = ("Green: at least 75%. Amber: 60 to 75%. Red: below 60%, change statistics are biased.",)
    return Table("completion", "Eligible episodes with both scores.",
                 f"Episodes that ended in the months named above each group; {material.where}.",
                 ("Completion (95% CI)", "Episodes", "Light"), rows, "Group", notes, words=(2,))


def _served(material: Material) -> Section:
    """Volumes, case mix and access: did the mix change?"""
    spans = material.spans("served", "volumes")
    kinds = list(dict.fromkeys(row["metric"] for result in spans.values() for row in records(result)))
    blocks: list[Block] = []
    monthly = material.result("served", "volumes monthly")
    figure = monthly and chart_figures.volumes_figure(
        monthly, material.months, f"Referrals, evaluations, discharges and attended visits by month, "
                                  f"{material.history}; {material.where}.")
    if kinds:
        lines = [Lookup(kind, kind[:1].upper() + kind[1:], COUNTED.get(kind, ""), "count") for kind in kinds]
        notes = ("Referrals by the day received, evaluations by the start of care, discharges by its end, visits by "
                 "their day. A patient with two episodes counts twice.",)
        blocks = [change_table("volumes", "How many.", material.everywhere, spans, lines, notes=notes, stub="Count"),
                  figure or Paragraph("No figure: every month is withheld."), *_volume_words(material, kinds)]
    blocks += levels(material, "served", "mix", "Case mix, now and in the same period a year ago.",
                      "Episodes that ended", "case mix",
                      "Ages are those at the start of care; an age band of fewer people than the privacy policy allows "
                      "is joined with the next one.")
    blocks += run(material, "days_to_eval", "Referrals by the month received; those still waiting are censored.")
    return section("served", "Who was served", blocks, "volumes or case mix")


def _volume_words(material: Material, kinds: Sequence[str]) -> list[Block]:
    """What each monthly count says: variation as it always was, or a change."""
    readings = [material.volume_reading(kind) for kind in kinds]
    said = tuple(chart_sentence(reading, material.months) for reading in readings if reading is not None)
    return [Bullets(said), *([Paragraph(material.start_up, "note")] if material.start_up else [])] if said else []


def _attendance(material: Material) -> Section:
    """Rates with stated denominators, their months, and the sites: do they stay?"""
    spans, blocks = material.spans("attendance", "rates"), []
    if spans:
        blocks.append(rates(material, "attendance-rates", "Attendance.", spans, {
            "no_show_rate": "no-shows of attended, no-show and late-cancelled slots",
            "no_show_share": "no-shows of all appointments but rescheduled ones",
            "arrival_rate": "attended of all appointments but rescheduled ones"}))
    for metric in ("no_show_rate", "arrival_rate"):
        blocks += run(material, metric, "Appointments by the month they were due.")
    blocks += no_shows_by_group(material) + _how_care_ended(material)
    return section("attendance", "Attendance", blocks, "attendance")


def _how_care_ended(material: Material) -> list[Block]:
    """When patients stop, and how else care ends: twelve months, because few stop at any one visit."""
    curve = material.result("attendance", "how care ended")
    if curve is None:
        return []
    whom = f"Episodes that started in {material.rolling}; {material.where}."
    figure = dropout.dropout_figure(curve, whom)
    return [Heading("When and how care ended"), *([figure] if figure else []), dropout.dropout_table(curve, whom)]


def _effectiveness(material: Material) -> Section:
    """Responders under both missing rules, by site, and each measure: did they get better?"""
    spans, blocks = material.spans("effectiveness", "responders"), [*provisional(material, early=True)]
    if not spans and material.result("effectiveness", "scores by measure") is None:
        return section("effectiveness", "Effectiveness", [], "outcomes")
    blocks.append(Paragraph(UNCONTROLLED))
    if spans:
        what = f"Improved by at least one MCID of {POOLED}"
        lines = [Lookup("mcid_rate", what, RULES[0], "proportion", MISSING_NOT_ACHIEVED),
                 Lookup("mcid_rate", what, "of episodes with both scores of that measure", "proportion", COMPLETE_CASE),
                 Lookup("paired_completion", material.labels.metric("paired_completion"), below_of("paired_completion"),
                      "proportion")]
        blocks.append(change_table("pooled", "Responders, pooled over instruments.",
                                   material.whom("Discharged episodes", "each span"), spans, lines,
                                   notes=(material.primary_rule, material.labels.thresholds())))
    blocks += run(material, "mcid_rate", f"Episodes by the month in which they ended. {material.thresholds}")
    blocks += levels(material, "effectiveness", "instruments",
                     "Instruments behind the pooled responders, now and in the same period a year ago.",
                     "Eligible episodes that ended", "instruments",
                     "An MCID is easier to reach on some instruments than on others: pooled rates compare only where "
                     "these shares are alike.")
    blocks += what_the_missing_could_change(material)
    blocks += _responders_by_group(material) + _measures(material)
    return section("effectiveness", "Effectiveness", blocks, "outcomes")


def _responders_by_group(material: Material) -> list[Block]:
    groups = {}
    for by, word in FILTER_WORDS.items():
        result = material.result("effectiveness", f"responders by {by}")
        if result is not None:
            groups[f"Responders by {word}"] = [(group, *(chart_figures.first_row(
                result, group, metric="mcid_rate", statistic="proportion", estimand=rule)
                for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE))) for group in group_codes(result)]
    if not groups:
        return []
    counted = chart_figures.n_range([row for rows in groups.values() for _, row, _ in rows])
    about = (f"Improved by at least one MCID of {POOLED}, with 95% intervals; discharged episodes, {material.period}, "
             f"{material.where}. {material.thresholds} Sites treat different patients; the rates are not adjusted. "
             f"Eligible: {counted}.")
    figure = chart_figures.shares_figure(groups, "responders", about, what=f"Responders, MCID of {POOLED}", rules=RULES)
    return [figure or Paragraph("No figure by site or discipline: every share is withheld.")]


def _measures(material: Material) -> list[Block]:
    """Each instrument over twelve months."""
    scores, shares = (material.result("effectiveness", f"{what} by measure") for what in ("scores", "responders"))
    if scores is None:
        return []
    completion = material.result("quality", "completion by measure")
    items = [] if shares is None else [
        (material.labels.with_threshold(parts(metric)[1]), *(cells.first(shares, metric=metric, estimand=rule)
         for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE)))
        for metric in result_tables.names_of(shares, "metric")]
    about = (f"Improved by at least the MCID named with the measure, with 95% intervals; discharged episodes, "
             f"{material.rolling}, {material.where}. Sources and confidence of the MCIDs are under Definitions. "
             f"Eligible: {chart_figures.n_range([row for _, row, _ in items])}.")
    figure = chart_figures.shares_figure({"Responders by measure, with its MCID": items}, "responders", about,
                                         what="Responders by measure", rules=RULES)
    table = measure_tables.measure_table(scores, shares, completion, material.labels,
                                         material.whom("Discharged episodes", material.rolling), AMBER_FROM)
    return [*([figure] if figure else []), table]


def _efficiency(material: Material) -> Section:
    """Visits, days and gain per visit: at what effort?"""
    spans, blocks = material.spans("efficiency", "effort"), []
    if spans:
        lines = [headline("visits_per_episode", material.labels, "of discharged episodes, mean"),
                 Lookup("visits_per_episode", material.labels.metric("visits_per_episode"), "median", "median"),
                 Lookup("visits_per_episode", material.labels.metric("visits_per_episode"), "90th percentile", "p90"),
                 headline("episode_days", material.labels, "of discharged episodes, median"),
                 Lookup("episode_days", material.labels.metric("episode_days"), "90th percentile", "p90"),
                 headline("visits_per_week", material.labels, "mean; episodes with two visits or more")]
        shown = [lines[0], lines[3], lines[5]]
        counted = chart_figures.n_range([lines[0].row(result) for result in spans.values()], "n", "span")
        about = (f"Means and medians with 95% intervals; discharged episodes, {material.where}. Three points are no "
                 f"trend. {counted}.")
        figure = chart_figures.spans_figure(spans, shown, about, "Effort of an episode")
        blocks = [change_table("effort", "Effort of an episode of care.", material.everywhere, spans, lines,
                               notes=("Neither more nor fewer visits are better by themselves.",)),
                  figure or Paragraph("No figure: every number is withheld.")]
    blocks += run(material, "visits_per_episode", "Episodes by the month in which they ended.")
    gains = material.result("efficiency", "gain per visit by measure")
    if gains is not None:
        rows = tuple(_gain_row(material.labels, row) for row in records(gains))
        blocks.append(Table("gain", "Gain per visit, by measure.", material.whom(
            "Discharged episodes with both scores", material.rolling), ("Points per visit",), rows, "Measure",
            ("Points of different measures cannot be compared with each other.", UNCONTROLLED)))
    return section("efficiency", "Efficiency", blocks, "effort")


def _gain_row(labels: Labels, row: Record) -> Row:
    code = parts(row["metric"])[1]
    return Row(labels.short(code), (value_cell(row, shared_digits([row])),), below=labels.scale(code))


def _discharge(material: Material) -> Section:
    """How care ended, month by month, and why."""
    spans, blocks = material.spans("discharge", "rates"), [*provisional(material, early=True)]
    if spans:
        blocks.append(rates(material, "discharge-rates", "Discharges.", spans, {
            "discharge_rate": "ended in the period, of episodes open in it",
            "goals_met_rate": "of discharged episodes, administrative closures counted as not met"}))
    blocks += run(material, "goals_met_rate", "Episodes by the month in which they ended.")
    reasons = material.result("discharge", f"reasons {NOW}")
    if reasons is not None:
        known = next(iter(records(reasons, metric="reason", statistic="proportion")), None)
        about = (f"Reasons for the end of care; episodes discharged in {material.period}, {material.where}. "
                 f"n {cells.count(known, 'denominator')} with a known reason. Administrative: closed by rule after "
                 "60 days of silence or as a clean-up, not by a clinician.")
        figure = chart_figures.levels_figure(reasons, "reason", about, "Reasons for the end of care")
        blocks.append(figure or Paragraph("No figure: every reason is withheld."))
        blocks += levels(material, "discharge", "reasons", "Reasons for the end of care, now and a year ago.",
                          "Discharged episodes", "reasons")
    return section("discharge", "Discharge", blocks if spans or reasons is not None else [], "discharges")


def _definitions(material: Material) -> Section:
    blocks = definition_blocks(material.record.get("definitions") or (), material.labels, WORDS)
    return section("definitions", "Definitions", blocks, "definitions")


_RENDERERS = {"summary": summary, "cover": _cover, "quality": _quality, "served": _served, "attendance": _attendance,
              "effectiveness": _effectiveness, "efficiency": _efficiency, "discharge": _discharge,
              "definitions": _definitions}
