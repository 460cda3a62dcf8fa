"""Released Results of a comparison of groups as tables: flow, baseline, scores, effects, responders."""

from __future__ import annotations

from collections.abc import Sequence

from therapyeval.display import cells
from therapyeval.display.cells import Record, first, is_withheld, number, percent_digits, records, remark, text_of
from therapyeval.display.labels import NOT_VERIFIED, Labels, method_words, parts, plain
from therapyeval.display.tables import Cell, Row, Table, drop_empty_columns
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, p_value
from therapyeval.result import CHECK_WORDS, COMPLETE_CASE, MISSING_NOT_ACHIEVED, Result

IMBALANCED = 0.1
FLAG = f"standardized difference beyond {IMBALANCED}: the groups differed before treatment"
UNADJUSTED = "Differences of responders are not adjusted for anything."
MCID_UNIT = "MCID"
STEPS = {"screened": "Screened", "not_eligible": "Not eligible", "declined": "Declined", "allocated": "Allocated",
         "with_baseline": "With baseline score", "with_outcome": "With final score"}


def arm_codes(result: Result, labels: Labels) -> list[str]:
    """Arms in the protocol's order, then those that only the Result names."""
    found = [text_of(row[result.by[0]]) for row in records(result)] if result.by else []
    return list(dict.fromkeys([*labels.arms, *filter(None, found)]))


def in_arm(result: Result, arm: str, **wanted: object) -> Record | None:
    """The row of one arm ("" for all arms together, no contrast)."""
    by = {result.by[0]: arm} if result.by else {}
    return first(result, **by, contrast="", **wanted)


def names_of(result: Result, column: str, **wanted: object) -> list[str]:
    """Distinct texts of a column, in order."""
    return list(dict.fromkeys(text_of(row[column]) for row in records(result, **wanted) if text_of(row[column])))


def flow_table(result: Result, labels: Labels, whom: str) -> Table:
    """Who was screened, allocated and scored."""
    arms = arm_codes(result, labels)
    rows = []
    for metric in names_of(result, "metric"):
        step, _, code = metric.partition(":")
        label = STEPS.get(step, labels.metric(metric)) + (f": {labels.short(code)}" if code else "")
        total = in_arm(result, "", metric=metric) if result.by else None
        found = [total, *(in_arm(result, arm, metric=metric) for arm in arms)]
        rows.append(Row(label, tuple(Cell("" if row is None else cells.count(row), note=_reason(row))
                                     for row in found)))
    columns, rows = drop_empty_columns(["All", *map(labels.arm, arms)], rows)
    return Table("flow", "Flow of participants: number of people at each step.", whom, columns, rows, "Step")


def baseline_table(result: Result, labels: Labels, whom: str, *, flag: bool, key: str = "baseline",
                   caption: str = "People before treatment.") -> Table:
    """Table 1: groups before treatment, with standardized differences; those beyond 0.1 are flagged on request."""
    arms = [*arm_codes(result, labels), *([""] if in_arm(result, "") else [])]
    contrasts = names_of(result, "contrast")
    rows = [row for name in names_of(result, "metric") for row in
            _variable_rows(result, labels, name, arms, contrasts, flag)]
    heads = [labels.arm(arm) if arm else "All" for arm in arms]
    columns, rows = drop_empty_columns([*heads, *_smd_heads(labels, contrasts)], rows)
    notes = ["Numbers: mean (SD), below it median [quartiles]. Categories: number of people (share of those known).",
             "SMD: standardized mean difference, in SDs." if contrasts else ""]
    return Table(key, caption, whom, columns, tuple(rows), "Characteristic", tuple(filter(None, notes)))


def _smd_heads(labels: Labels, contrasts: Sequence[str]) -> list[str]:
    """Heads of the columns of differences; short where one arm is compared with all others."""
    pairs = [labels.pair(text) for text in contrasts]
    if len({first for first, _ in pairs}) == 1:
        return [f"SMD against {labels.arm(second)}" for _, second in pairs]
    return [f"SMD: {labels.contrast(text)}" for text in contrasts]


def _variable_rows(result: Result, labels: Labels, name: str, arms: Sequence[str], contrasts: Sequence[str],
                   flag: bool) -> list[Row]:
    differences = tuple(_smd_cell(first(result, metric=name, contrast=text, statistic="smd"), flag)
                        for text in contrasts)
    empty = tuple(Cell("") for _ in contrasts)
    levels = names_of(result, "level", metric=name)
    code = parts(name)[1] if ":" in name else ""
    below = labels.scale(code) if code else ""
    if levels:
        rows = [Row(labels.variable(name), (*(Cell("") for _ in arms), *differences))]
        rows += [Row(level.replace("_", " "), (*(_level_cell(result, arm, name, level) for arm in arms), *empty),
                     step=True) for level in levels]
    else:
        digits = cells.score_digits(records(result, metric=name, contrast=""))
        rows = [Row(labels.variable(name), (*(_spread_cell(result, arm, name, digits) for arm in arms), *differences),
                    below=below)]
    missing = [_any_row(result, arm, name) for arm in arms]
    if any(row is not None and (is_withheld(row) or not is_missing(row["n_missing"]) and row["n_missing"] > 0)
           for row in missing):
        rows.append(Row("missing", (*(Cell(cells.count(row, "n_missing")) for row in missing), *empty), step=True,
                        quiet=True))
    return rows


def _any_row(result: Result, arm: str, name: str) -> Record | None:
    return in_arm(result, arm, metric=name, statistic="mean") or in_arm(result, arm, metric=name)


def _level_cell(result: Result, arm: str, name: str, level: str) -> Cell:
    row = (in_arm(result, arm, metric=name, level=level, statistic="proportion")
           or in_arm(result, arm, metric=name, level=level))
    if row is None or is_missing(row["numerator"]):
        return _empty(row)
    digits = percent_digits(row["denominator"] if not is_missing(row["denominator"]) else row["n"])
    share = f" ({cells.percent(row['estimate'], digits)})" if row["statistic"] == "proportion" else ""
    return Cell(number(row["numerator"], 0) + share)


def _spread_cell(result: Result, arm: str, name: str, digits: int, n: bool = False) -> Cell:
    """Mean (SD), and below it median [quartiles] and, on request, n."""
    row = {key: in_arm(result, arm, metric=name, statistic=key) for key in ("mean", "sd", "median", "q1", "q3")}
    mean = row["mean"]
    if mean is None or is_missing(mean["estimate"]):
        return _empty(mean)
    spread = "" if not _known(row["sd"]) else f" ({number(row['sd']['estimate'], digits)})"
    middle = _median(row, digits)
    count = f"n {cells.count(mean)}" if n else ""
    return Cell(number(mean["estimate"], digits) + spread, "; ".join(filter(None, [middle, count])))


def _median(row: dict[str, Record | None], digits: int) -> str:
    if not _known(row["median"]):
        return ""
    text = number(row["median"]["estimate"], min(digits, 1))
    if _known(row["q1"]) and _known(row["q3"]):
        limits = cells.span(row["q1"]["estimate"], row["q3"]["estimate"], min(digits, 1))
        text += f" [{limits}]"
    return text


def _smd_cell(row: Record | None, flag: bool) -> Cell:
    if row is None or is_missing(row["estimate"]):
        return _empty(row)
    return Cell(number(row["estimate"], 2), note=FLAG if flag and abs(row["estimate"]) > IMBALANCED else "")


def _known(row: Record | None) -> bool:
    return row is not None and not is_missing(row["estimate"])


def _reason(row: Record | None) -> str:
    return "" if row is None or not is_missing(row["n"]) else remark(row)


def _empty(row: Record | None) -> Cell:
    """Withheld, or a dash with the reason as its note; nothing where there is no row."""
    if row is None:
        return Cell(NOTHING)
    return Cell(WITHHELD) if is_withheld(row) else Cell(NOTHING, note=remark(row))


def scores_table(result: Result, labels: Labels, whom: str) -> Table:
    """Baseline, final score and change of each outcome, by group."""
    arms = arm_codes(result, labels)
    codes = list(dict.fromkeys(parts(name)[1] for name in names_of(result, "metric")))
    rows = [row for code in codes for row in _outcome_rows(result, labels, code, arms)]
    columns, rows = drop_empty_columns(("Baseline", "Final", "Improvement (95% CI)".replace("95", _level(result)),
                                        "Final score missing"), rows)
    notes = ("Baseline and final: mean (SD), below it median [quartiles] and number of people.",
             "Improvement: mean of those with both scores; positive is better on every scale.")
    return Table("scores", "Scores before and after, by group.", whom, columns, rows, "Group", notes)


def _outcome_rows(result: Result, labels: Labels, code: str, arms: Sequence[str]) -> list[Row]:
    scale = labels.scale(code)
    group = labels.measure(code) + (f" – {scale}" if scale else "")
    scores = [row for name in ("baseline_score", "final_score", "score_change")
              for row in records(result, metric=f"{name}:{code}")]
    digits = cells.score_digits(scores)
    rows = []
    for arm in arms:
        change = in_arm(result, arm, metric=f"score_change:{code}", statistic="mean")
        final = in_arm(result, arm, metric=f"final_score:{code}", statistic="mean")
        shown = (Cell(cells.estimate(change, digits), f"n {cells.count(change)}") if _known(change)
                 else _empty(change))
        rows.append(Row(labels.arm(arm), (
            _spread_cell(result, arm, f"baseline_score:{code}", digits, n=True),
            _spread_cell(result, arm, f"final_score:{code}", digits, n=True), shown,
            Cell(cells.count(final, "n_missing"))), group=group))
    return rows


def effects_table(result: Result, labels: Labels, whom: str, *, p_values: bool) -> Table:
    """Differences in improvement between groups in points and in MCIDs; the protocol's analysis first."""
    rows = []
    for metric in names_of(result, "metric"):
        code = parts(metric)[1]
        unit, size = labels.unit(code), labels.mcid(code)
        recalled = "" if labels.is_verified(code) else f", {NOT_VERIFIED}"
        mcid = f"MCID {plain(size)}{recalled}" if size else "no MCID registered"
        group = f"{labels.measure(code)} – {unit}, {mcid}"
        points = contrast_rows(result, metric)
        digits, seen = cells.score_digits(points), set()
        for row in points:
            rows.append(_effect_row(result, labels, row, digits, group, row["contrast"] not in seen, p_values))
            seen.add(row["contrast"])
    columns, rows = drop_empty_columns((f"Difference ({_level(result)}% CI)", "In MCIDs", "P"), rows)
    notes = ("Positive: more improvement in the group named first. Under each contrast: the protocol's analysis first, "
             "then the same question asked in other ways.",)
    return Table("effects", "Differences in improvement between groups.", whom, columns, rows, "Contrast and method",
                 notes)


def _effect_row(result: Result, labels: Labels, row: Record, digits: int, group: str, is_main: bool,
                p_values: bool) -> Row:
    relative = relative_row(result, row)
    in_mcids = Cell(cells.estimate(relative, 2)) if _known(relative) else (
        _empty(relative) if relative else Cell(NOTHING))
    shown = Cell(cells.estimate(row, digits)) if _known(row) else _empty(row)
    people = f"n {cells.count(row)}" if _known(row) else ""
    chance = Cell(p_value(row["p_value"]) if p_values else "")
    method = method_words(str(row["method"]))
    if is_main:
        return Row(labels.contrast(row["contrast"]), (Cell(shown.text, people, shown.note), in_mcids, chance),
                   group, method)
    return Row(method or "other analysis", (shown, in_mcids, chance), group, step=True, quiet=True)


def contrast_rows(result: Result | None, metric: str) -> list[Record]:
    """Rows of differences in points, contrast by contrast, each contrast's main analysis first."""
    found = [row for row in records(result, metric=metric) if row["contrast"] and row["unit"] != MCID_UNIT]
    order = list(dict.fromkeys(row["contrast"] for row in found))
    return sorted(found, key=lambda row: order.index(row["contrast"]))


def main_rows(result: Result | None, metric: str) -> list[Record]:
    """The protocol's own analysis of each contrast, in points: the first row of each."""
    return list({row["contrast"]: row for row in reversed(contrast_rows(result, metric))}.values())[::-1]


def relative_row(result: Result | None, row: Record) -> Record | None:
    """The same difference in MCIDs; None where no MCID is registered."""
    return first(result, metric=row["metric"], contrast=row["contrast"], method=row["method"], unit=MCID_UNIT)


def checks_table(result: Result, labels: Labels, whom: str) -> Table:
    """What was checked of the protocol's analysis of each outcome, and what it means."""
    rows = []
    for row in records(result):
        found = Cell(number(row["estimate"], 2)) if _known(row) else _empty(row)
        chance = Cell("" if is_missing(row["p_value"]) else p_value(row["p_value"]))
        meaning = Cell("" if is_withheld(row) else str(row["note"]))
        label = CHECK_WORDS[row["statistic"]]
        rows.append(Row(label[:1].upper() + label[1:], (found, chance, meaning), labels.metric(row["metric"])))
    columns, rows = drop_empty_columns(("Found", "P", "What it means"), rows)
    return Table("checks", "Checks of the protocol's analysis.", whom, columns, rows, "Check",
                 words=(len(columns) - 1,) if columns[-1:] == ("What it means",) else ())


def responder_table(result: Result, differences: Result | None, labels: Labels, whom: str) -> Table:
    """Shares of responders under both missing rules, then the differences between groups."""
    rows, said = [], []
    for metric in names_of(result, "metric"):
        group = labels.metric(metric)
        for arm in arm_codes(result, labels):
            found = [in_arm(result, arm, metric=metric, statistic="proportion", estimand=rule)
                     for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE)]
            rows.append(Row(labels.arm(arm), tuple(_share_cell(row) for row in found), group))
        said += _cautions(labels, metric)
        for contrast in names_of(differences, "contrast", metric=metric) if differences else ():
            found = [first(differences, metric=metric, contrast=contrast, estimand=rule)
                     for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE)]
            rows.append(Row(labels.contrast(contrast), tuple(_share_cell(row) for row in found), group,
                            "percentage points"))
    said += [UNADJUSTED] if differences is not None else []
    columns = tuple(f"{rule} ({_level(result)}% CI)" for rule in
                    ("Missing counted as not achieved", "Only people with a score"))
    return Table("responders", "Responders by group, under both rules for missing scores.", whom, columns, tuple(rows),
                 "Group or contrast", tuple(dict.fromkeys(said)))


def _cautions(labels: Labels, metric: str) -> list[str]:
    """What is to be said beside a responder rate on the registered MCID."""
    name, code, arguments = parts(metric)
    if name != "mcid_rate" or not code or arguments.get("threshold") is not None:
        return []
    return [f"{labels.short(code)}: {text}." for text in labels.warnings(code)]


def _share_cell(row: Record | None) -> Cell:
    return Cell(cells.share(row), cells.of(row)) if _known(row) else _empty(row)


def _level(result: Result) -> str:
    return f"{100 * result.conf_level:g}"
