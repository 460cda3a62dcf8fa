"""Released Results of a comparison of groups as figures, each with its finding in words."""

from __future__ import annotations

from therapyeval.display import cells, figures
from therapyeval.display.blocks import Figure
from therapyeval.display.cells import Record, first, records
from therapyeval.display.figures import FlowColumn, Mark, Panel
from therapyeval.display.labels import Labels, parts
from therapyeval.display.result_tables import (
    MCID_UNIT,
    STEPS,
    arm_codes,
    contrast_rows,
    in_arm,
    main_rows,
    names_of,
    relative_row,
)
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, listed
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Result

MOST_ARMS = 4
ENDS = ("← worse", "better →")


def effects_figure(result: Result, labels: Labels) -> Figure | None:
    """Differences with intervals: in MCIDs where one is registered, else in points, against 0 and one MCID."""
    relative, absolute, words = [], [], []
    for metric in names_of(result, "metric"):
        code = parts(metric)[1]
        in_mcids = bool(records(result, metric=metric, unit=MCID_UNIT))
        marks = [_effect_mark(result, labels, row, in_mcids) for row in main_rows(result, metric)]
        unit = "MCIDs" if in_mcids else labels.unit(code)
        words += [f"{mark.heading}, {mark.label}: {_said(mark.text, unit)}{_also(mark)}." for mark in marks]
        if in_mcids:
            relative += marks
        else:
            absolute.append(Panel(f"difference in {unit}", tuple(marks), ((0, "no difference"),), ENDS))
    panels = [Panel("difference in MCIDs", tuple(relative), ((0, "no difference"), (1, "1 MCID")), ENDS)]
    panels = [panel for panel in [*panels, *absolute] if panel.marks]
    if not any(mark.points for panel in panels for mark in panel.marks):
        return None
    others = any(mark.others for panel in panels for mark in panel.marks)
    caption = (f"Differences in improvement with {100 * result.conf_level:g}% intervals; better and worse are "
               f"those of the group named first. {_people(result)}"
               + (" Filled: the protocol's analysis. Hollow: the other analyses, in the order of the table."
                  if others else ""))
    return Figure(figures.interval_plot(panels), "Differences in improvement. " + " ".join(words), caption.strip())


def _effect_mark(result: Result, labels: Labels, row: Record, in_mcids: bool) -> Mark:
    metric, code = row["metric"], parts(row["metric"])[1]
    others = [other for other in contrast_rows(result, metric) if other["contrast"] == row["contrast"]][1:]
    points = [relative_row(result, other) if in_mcids else other for other in (row, *others)]
    digits = 2 if in_mcids else cells.score_digits(contrast_rows(result, metric))
    heading = labels.short(code)
    if in_mcids and not labels.is_verified(code):
        heading += " (threshold not verified)"
    own, *rest = points
    return _mark(labels.contrast(row["contrast"]), own, cells.estimate(own, digits), heading, _limits(*rest))


def _limits(*rows: Record | None) -> tuple[tuple[float, float, float], ...]:
    """Estimate and limits of the rows that show one: only these are drawn as hollow marks."""
    return tuple((row["estimate"], row["conf_low"], row["conf_high"]) for row in rows
                 if row is not None and not is_missing(row["estimate"]))


def _also(mark: Mark, factor: float = 1, digits: int = 2, unit: str = "") -> str:
    """The hollow marks in words."""
    said = [f"{cells.number(factor * value, digits)}{unit} ({cells.span(factor * low, factor * high, digits)})"
            for value, low, high in mark.others]
    return f"; hollow: {listed(said)}" if said else ""


def _mark(label: str, row: Record | None, text: str, heading: str, others: tuple = ()) -> Mark:
    if row is None or is_missing(row["estimate"]):
        return Mark(label, text, heading=heading, others=others)
    return Mark(label, text, row["estimate"], row["conf_low"], row["conf_high"], heading, others)


def responders_figure(result: Result, labels: Labels) -> Figure | None:
    """Shares of responders by group, missing counted as not achieved; hollow: only people with a score."""
    marks, words = [], []
    for metric in names_of(result, "metric"):
        heading = labels.metric(metric)
        for arm in arm_codes(result, labels):
            rules = [in_arm(result, arm, metric=metric, statistic="proportion", estimand=rule)
                     for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE)]
            own, complete = rules
            counted = f", {cells.of(own)}" if cells.of(own) else ""
            marks.append(_mark(labels.arm(arm), own, cells.share(own), heading, _limits(complete)))
            also = _also(marks[-1], 100, cells.percent_digits(complete["denominator"]) if complete else 0, "%")
            words.append(f"{heading}, {labels.arm(arm)}: {cells.share(own)}{counted}{also}.")
    if not any(mark.points for mark in marks):
        return None
    panel = Panel("share of people", tuple(marks), limits=(0, 1), percent=True)
    hollow = " Hollow: only people with a score." if any(mark.others for mark in marks) else ""
    caption = (f"Responders with {100 * result.conf_level:g}% intervals. Filled: of everybody eligible, missing scores "
               f"counted as not achieved.{hollow} {_eligible(result, labels)}")
    return Figure(figures.interval_plot([panel]), "Responders, missing scores counted as not achieved. "
                  + " ".join(words), caption.strip())


def flow_figure(result: Result, labels: Labels) -> Figure | None:
    """Screening, allocation and scores of the first outcome; None with more arms than fit."""
    arms = arm_codes(result, labels)
    steps = names_of(result, "metric")
    if not 0 < len(arms) <= MOST_ARMS or not steps:
        return None
    total = {step: cells.count(in_arm(result, "", metric=step)) for step in steps if in_arm(result, "", metric=step)}
    top = [(STEPS[step].lower(), total[step]) for step in ("screened", "allocated") if step in total]
    aside = [(STEPS[step].lower(), total[step]) for step in ("not_eligible", "declined") if step in total]
    outcome = next((parts(step)[1] for step in steps if step.startswith("with_outcome")), "")
    own = [step for step in steps if step in ("allocated", f"with_baseline:{outcome}", f"with_outcome:{outcome}")]
    if not own:
        return None
    words = {"allocated": "allocated", "with_baseline": "with baseline", "with_outcome": "with final score"}
    columns = [FlowColumn(labels.arm(arm), tuple((words[step.partition(":")[0]],
                                                  cells.count(in_arm(result, arm, metric=step))) for step in own))
               for arm in arms]
    said = [f"{labels.arm(arm)}: {listed([f'{n} {word}' for word, n in column.boxes])}."
            for arm, column in zip(arms, columns, strict=True)]
    start = [f"{listed([f'{n} {word}' for word, n in [*top[:1], *aside, *top[1:]]])}."] if top else []
    n = f" of {total['allocated']} people allocated" if total.get("allocated", WITHHELD) != WITHHELD else ""
    caption = f"Flow{n}" + (f"; scores are those of {labels.short(outcome)}." if outcome else ".")
    return Figure(figures.flow_plot(top, aside if top else [], columns), "Flow of participants. "
                  + " ".join([*start, *said]), caption)


def _said(text: str, unit: str) -> str:
    """A value with its unit, in a sentence; words such as "withheld" stay as they are."""
    if text in (WITHHELD, NOTHING):
        return "withheld" if text == WITHHELD else "not available"
    value, gap, rest = text.partition(" (")
    return f"{value} {unit}{gap}{rest}"


def _people(result: Result) -> str:
    """n of the main analyses; one that is withheld is said to be, so that no other number is taken for it."""
    found = [cells.count(row) for metric in names_of(result, "metric") for row in main_rows(result, metric)]
    shown = list(dict.fromkeys(found))
    if len(shown) == 1:
        return f"n {shown[0]} in each comparison."
    return f"n of the comparisons, in their order: {', '.join(found)}." if found else ""


def _eligible(result: Result, labels: Labels) -> str:
    metric = names_of(result, "metric")[0]
    rows = {arm: first(result, **({result.by[0]: arm} if result.by else {}), metric=metric, statistic="proportion",
                       estimand=MISSING_NOT_ACHIEVED) for arm in arm_codes(result, labels)}
    shown = [f"{labels.arm(arm)} {cells.count(row, 'denominator')}" for arm, row in rows.items() if row]
    return f"n: {', '.join(shown)}." if shown else ""
