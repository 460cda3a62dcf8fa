"""Each measure's scores before and after, its change and its responders in one line."""

from __future__ import annotations

from therapyeval.display import cells
from therapyeval.display.cells import Record, first, number, records
from therapyeval.display.labels import NOT_VERIFIED, Labels, parts, plain
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import NOTHING, WITHHELD, is_missing
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Result

BIASED = "fewer than {:.0%} have both scores: the change is biased towards those who came back"


def measure_table(scores: Result, rates: Result | None, completion: Result | None, labels: Labels, whom: str,
                  enough: float) -> Table:
    """Measures in the order of the Result; `enough` is the share of pairs below which a change is set back."""
    codes = list(dict.fromkeys(parts(row["metric"])[1] for row in records(scores)))
    rows = tuple(_row(code, scores, rates, completion, labels, enough) for code in codes)
    warnings = [f"{labels.short(code)}: {text}." for code in codes for text in labels.warnings(code)]
    notes = (f"Baseline and final: mean (SD). Improvement: mean of those with both scores; positive is better on every "
             f"scale. Responders: improved by at least the MCID; first of everybody eligible with missing counted as "
             f"not achieved, below it only those with both scores. {100 * scores.conf_level:g}% intervals below the "
             "number or in brackets.",
             *warnings)
    return Table("by-measure", "Scores and responders, by measure.", whom, (
        "Both scores, of eligible", "Baseline", "Final", "Improvement", "Responders"),
        rows, "Measure and MCID", notes)


def _row(code: str, scores: Result, rates: Result | None, completion: Result | None, labels: Labels,
         enough: float) -> Row:
    found = {name: first(scores, metric=f"{name}:{code}", statistic="mean")
             for name in ("baseline_score", "final_score", "score_change")}
    digits = cells.score_digits([row for row in found.values() if row])
    paired = first(completion, metric=f"paired_completion:{code}")
    is_red = paired is not None and not is_missing(paired["estimate"]) and paired["estimate"] < enough
    both = Cell((cells.of(paired) or cells.count(paired)), cells.percent(paired["estimate"]) if paired else "")
    change = _change(found["score_change"], digits, BIASED.format(enough) if is_red else "")
    size, basis = labels.mcid(code), "" if labels.is_verified(code) else f", {NOT_VERIFIED}"
    mcid = f"MCID {plain(size)} {labels.unit(code)}{basis}" if size is not None else "no MCID registered"
    spread = [_spread(scores, f"{name}:{code}", row, digits) for name, row in list(found.items())[:2]]
    return Row(labels.short(code), (both, *spread, change, _responders(rates, code)), below=mcid, quiet=is_red)


def _spread(scores: Result, metric: str, mean: Record | None, digits: int) -> Cell:
    if mean is None or is_missing(mean["estimate"]):
        return Cell(WITHHELD if cells.is_withheld(mean) else NOTHING)
    sd = first(scores, metric=metric, statistic="sd")
    within = f" ({number(sd['estimate'], digits)})" if sd is not None and not is_missing(sd["estimate"]) else ""
    return Cell(number(mean["estimate"], digits) + within, f"n {cells.count(mean)}")


def _change(row: Record | None, digits: int, note: str) -> Cell:
    """The mean, and below it its interval."""
    if row is None or is_missing(row["estimate"]) or not cells.has_interval(row):
        return Cell(cells.estimate(row, digits), note=note)
    return Cell(number(row["estimate"], digits), cells.span(row["conf_low"], row["conf_high"], digits), note)


def _responders(rates: Result | None, code: str) -> Cell:
    """Both missing rules; nothing where the measure has no MCID."""
    main, complete = (first(rates, metric=f"mcid_rate:{code}", estimand=rule)
                      for rule in (MISSING_NOT_ACHIEVED, COMPLETE_CASE))
    if main is None:
        return Cell(NOTHING)
    return Cell(cells.share(main), cells.share(complete) if complete is not None else "")
