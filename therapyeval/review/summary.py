"""The one-page summary of a review: what must I know, may I trust it, what is to be decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from therapyeval.display import bundles, cells
from therapyeval.display.blocks import Block, Bullets, Heading, Light, Paragraph, Section, Warnings
from therapyeval.display.change_tables import Lookup, change_table, headline
from therapyeval.display.chart_figures import run_figure
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.display.variation import chart_words, findings, flagged_months
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, listed, plural
from therapyeval.metrics import get, names
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED
from therapyeval.review.groups import against_all, apart
from therapyeval.review.material import OUTCOMES_AFTER_DAYS, RESPONDERS, Material
from therapyeval.review.quarterly import BEFORE, FINAL_AFTER_DAYS, NOW

GREEN_FROM, AMBER_FROM = 0.75, 0.60       # metric definitions, section 6
MOST_FINDINGS, MOST_DECISIONS = 5, 3
WHOM = {"paired_completion": "of eligible episodes; both scores of any measure", "mcid_rate": "of eligible episodes"}
CLOSED = ("done", "closed", "cancelled", "completed")
RECALLED = "no threshold behind it is verified, so it does not lead; it is under Effectiveness"
EARLY = f"outcomes do not lead a headline before {OUTCOMES_AFTER_DAYS} days after the end of the period"
UNCONTROLLED = ("These are uncontrolled before-after changes of those who came: natural recovery and selection cannot "
                "be separated from them.")


def summary(material: Material) -> Section:
    """One page that can be understood without the rest."""
    alarms = above(material)
    blocks: list[Block] = [Warnings(tuple(alarms))] if alarms else []
    table = headline_table(material)
    if table is None:
        nothing = Paragraph("This review has no data on its headline indicators.", "lead")
        return Section("summary", material.bundle.title, (*blocks, nothing), _state(material), top=True)
    blocks += [Paragraph(text, "lead") for text in [_served(material)] if text]
    blocks += [completion_light(material)]
    found = _findings(material)
    blocks += [Heading("Findings"), Bullets(tuple(found))] if found else []
    decisions = _decisions(material)
    blocks += [Heading("Decisions requested"), Bullets(tuple(decisions)) if decisions else Paragraph(
        "None follow: no indicator has a special cause for concern in these months" + (
            ", and no action of the improvement log is overdue." if material.record.get("actions") else
            ". No improvement log was given, so what was done since the last review is not known here (the report "
            "command takes one as -p actions=FILE)."))]
    blocks.append(table)
    blocks += _chart(material)
    blocks += [log_table(material)] if material.record.get("actions") else []
    notes = [UNCONTROLLED, _sentence(material.state_words), bundles.withheld_line(material.bundle)]
    blocks += [Paragraph(text, "note") for text in notes if text]
    return Section("summary", material.bundle.title, tuple(blocks), _state(material), top=True)


def _chart(material: Material) -> list[Block]:
    """The month-by-month line of the first headline that may lead."""
    metric = charted_here(material)
    units = f"Episodes by the month in which they ended. {material.thresholds}" if metric == "mcid_rate" else \
        "Appointments by the month they were due."
    reading = material.reading(metric)
    figure = reading and run_figure(reading, material.months, f"{units} {reading.span}, {material.where}.")
    return [figure] if figure else []


def charted_here(material: Material) -> str:
    """The metric whose chart stands on the first page and nowhere else: responders, else no-shows."""
    return "no_show_rate" if RESPONDERS in material.held_back else RESPONDERS


def above(material: Material) -> list[str]:
    """What must be read before any number."""
    note = str(material.part("dataset").get("note") or "")
    found = (material.part("policy").get("banner"), note, *bundles.failed_gates(material.record),
             provisional_words(material))
    return [str(text) for text in found if text]


def provisional_words(material: Material) -> str:
    """Why a review is not final yet; empty where it is."""
    days = material.days_after
    if material.is_final or days is None:
        return ""
    cut = material.part("dataset").get("data_cut")
    since = (f"{days} day{'' if days == 1 else 's'} after the end of the period" if days >= 0 else
             f"{-days} day{'' if days == -1 else 's'} before the period ends")
    early = f" Before {OUTCOMES_AFTER_DAYS} days no outcome leads a headline." if material.outcomes_are_early else ""
    return (f"Provisional: the data end on {cut}, {since}. Late scores and episodes that were silently abandoned are "
            f"only known after {FINAL_AFTER_DAYS} days, so these numbers will change.{early}")


def completion_light(material: Material) -> Light:
    """The traffic light that stands before any outcome."""
    row = headline("paired_completion", material.labels).row(material.result("summary", f"headlines {NOW}"))
    if row is None or is_missing(row["estimate"]):
        why = WITHHELD if cells.is_withheld(row) else "not available"
        return Light("", f"The share of eligible episodes with both scores is {why}: do not read outcomes without it.")
    color = light_of(row["estimate"])
    advice = {"green": "Outcomes rest on most of them.",
              "amber": "Read outcomes with care: those without both scores may have done worse or better.",
              "red": "Change statistics are biased towards those who came back: do not act on them."}[color]
    share = cells.percent(row["estimate"], cells.percent_digits(row["denominator"]))
    return Light(color, f"Of {cells.count(row, 'denominator')} eligible episodes, {cells.count(row, 'numerator')} "
                        f"({share}) had both scores of at least one measure. {advice} (Green from 75%, amber from "
                        "60%.)")


def light_of(share: float) -> str:
    """The light of a share of paired scores.

    >>> light_of(0.75), light_of(0.6), light_of(0.5999)
    ('green', 'amber', 'red')
    """
    return "green" if share >= GREEN_FROM else "amber" if share >= AMBER_FROM else "red"


def headline_table(material: Material) -> Table | None:
    """Every headline now, before and a year ago, its target where one was given, and what its chart says."""
    spans = material.spans("summary", "headlines")
    first_of = next((result for result in spans.values() if result is not None), None)
    if first_of is None:
        return None
    metrics = list(dict.fromkeys(first_of.frame["metric"]))
    lines = [headline(metric, material.labels, below_of(metric)) for metric in metrics]
    readings, targets = material.readings(), material.part("targets")

    def chart(line: Lookup) -> Cell:
        if line.metric not in readings:
            return Cell(NOTHING, note="not charted by month in this review")
        return Cell(*chart_words(readings[line.metric], material.months))

    extra = {"Target": lambda line: _target(targets.get(line.metric), line.metric)} if targets else {}
    lines = [line for line in lines if line.metric not in material.held_back]
    notes = [f"{100 * first_of.conf_level:g}% interval and n below each number. A change between two columns is no "
             "finding by itself: the monthly chart says whether the process changed."]
    if readings:
        notes.append(f"{plural(len(readings), 'monthly chart')}, on this page and in the sections below, with four "
                     "rules each: an occasional signal is expected by chance.")
    if material.held_back:
        hidden = listed([material.labels.metric(metric) for metric in metrics if metric in material.held_back])
        notes.append(f"Not shown: {hidden}; {EARLY if material.outcomes_are_early else RECALLED}.")
    if RESPONDERS in metrics and RESPONDERS not in material.held_back:
        notes += [material.thresholds, material.primary_rule]
    return change_table("headlines", "Headline indicators.", material.everywhere, spans, lines, notes=notes,
                        extra={**extra, "What the months say": chart})


def below_of(metric: str) -> str:
    """The units of a metric, its missing rule and which direction is better."""
    name = parts(metric)[0]
    if name not in names():
        return ""
    entry = get(name)
    is_median = entry.kind in ("median", "time")
    rule = "missing counted as not achieved" if entry.two_rules else "median" if is_median else ""
    better = {"higher": "higher is better", "lower": "lower is better"}.get(entry.better, "")
    whom = WHOM.get(name) or f"of {'discharged ' if entry.cohort_rule == 'discharged' else ''}{entry.population}"
    return ", ".join(filter(None, [whom, rule, better]))


def target_text(value: float, metric: str, labels: Labels) -> str:
    """A target in the metric's own unit, with the side that meets it."""
    entry = get(parts(metric)[0])
    side = {"higher": "at least ", "lower": "at most "}.get(entry.better, "")
    digits = 0 if float(100 * value).is_integer() else 1
    return side + (cells.percent(value, digits) if entry.unit == "proportion" else f"{value:g} {entry.unit}")


def _target(target: Mapping | None, metric: str) -> Cell:
    if not target:
        return Cell(NOTHING)
    return Cell(target_text(float(target["value"]), metric, Labels()), note=f"target: {target['origin']}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _state(material: Material) -> str:
    state = "final" if material.is_final else "provisional"
    return f"{state}; {material.where}" if material.about else ""


def _served(material: Material) -> str:
    """How many there were, and how many in the period before."""
    kinds = ("evaluations", "discharges", "attended visits")
    counts = {kind: material.volume(kind) for kind in kinds}
    if not any(text[:1].isdigit() for text in counts.values()):
        return ""
    said = listed([f"{'number withheld of' if text == WITHHELD else text} {kind}" for kind, text in counts.items()])
    before = [material.volume(kind, BEFORE) for kind in kinds]
    beside = "" if NOTHING in before else f" {material.labels_of_spans[BEFORE]}: {listed(before)}."
    return f"{material.period}: {said}.{beside}"


def _findings(material: Material) -> list[str]:
    readings = {metric: reading for metric, reading in material.readings().items()
                if metric not in material.held_back}
    special, rest = findings(readings, material.months)
    sites = against_all(material, "site_id") if apart(material, "site_id") else ""
    ordered = [*special, *filter(None, [_volumes(material), _responders(material), sites]), *rest]
    if len(ordered) > MOST_FINDINGS:
        left = len(ordered) - MOST_FINDINGS + 1
        ordered = [*ordered[:MOST_FINDINGS - 1], f"{left} more findings are in the table and the sections below."]
    return ordered


def _volumes(material: Material) -> str:
    """Which volumes stand out in the months under review; empty where none does."""
    readings = [material.volume_reading(kind) for kind in ("referrals received", "evaluations", "discharges",
                                                           "attended visits")]
    flagged = [flagged_months(reading, material.months) for reading in readings
               if reading is not None and reading.within(material.months)]
    return f"Volumes: special-cause variation of {'; '.join(flagged)}. Neither more nor fewer is better by itself; " \
           "the charts are under Who was served." if flagged else ""


def _responders(material: Material) -> str:
    """Responders of everybody eligible, then of those with both scores."""
    result = material.result("summary", f"headlines {NOW}")
    main, complete = (Lookup("mcid_rate", "", "", "proportion", rule).row(result)
                      for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE))
    if main is None or RESPONDERS in material.held_back:
        return ""
    what = "improved by at least one MCID of each episode's primary measure"
    if is_missing(main["estimate"]):
        return f"How many eligible episodes {what} is {WITHHELD if cells.is_withheld(main) else 'not available'}."
    beside = f" Of the {cells.count(complete)} with both scores of that measure: {cells.share(complete)}." \
        if complete is not None and not is_missing(complete["estimate"]) else ""
    return (f"Responders: {cells.of(main)} eligible episodes, {cells.share(main)}, {what}, missing scores counted as "
            f"not achieved.{beside}{material.labels.unverified()}")


def _decisions(material: Material) -> list[str]:
    """Overdue actions, concerns that no open action names, and too few scores; at most three."""
    actions = [dict(action) for action in material.record.get("actions") or ()]
    still = [action for action in actions if str(action.get("status") or "").lower() not in CLOSED]
    cut = str(material.part("dataset").get("data_cut") or "")
    asked = [_overdue(action) for action in still if action.get("due") and _is_before(str(action["due"]), cut)]
    named = {str(action.get("indicator") or "") for action in still}
    for metric, reading in material.readings().items():
        signals = [signal for signal in reading.within(material.months) if signal.meaning == "concern"]
        if signals and metric not in named:
            asked.append(f"{reading.label}: the months show a special cause for concern and no open action names it. "
                         "Who looks for the reason, and by when?")
    if completion_light(material).color == "red":
        asked.append("Fewer than 60% of eligible episodes have both scores. Who collects final scores, and by when?")
    return asked[:MOST_DECISIONS]


def _overdue(action: Mapping) -> str:
    owner = f", owner: {action['owner_role']}" if action.get("owner_role") else ""
    return (f"Action {action['action_id']} ({action['text']}{owner}) was due on {action['due']} and is not closed. "
            "New date, new owner, or stop?")


def _is_before(day: str, cut: str) -> bool:
    try:
        return date.fromisoformat(day) < date.fromisoformat(cut)
    except ValueError:
        return False


def log_table(material: Material) -> Table:
    """The improvement log as it was written."""
    rows = tuple(Row(str(action.get("text") or NOTHING), (
        Cell(_indicator(action, material.labels)), Cell(str(action.get("owner_role") or NOTHING)),
        Cell(str(action.get("due") or NOTHING)), Cell(str(action.get("status") or NOTHING))),
        below=str(action.get("action_id") or "")) for action in material.record.get("actions") or ())
    return Table("actions", "Improvement log.", "As written by those who keep it.",
                 ("Indicator", "Owner", "Due", "Status"), rows, "Action", words=(0, 1))


def _indicator(action: Mapping, labels: Labels) -> str:
    name = str(action.get("indicator") or "")
    return labels.metric(name) if name else NOTHING
