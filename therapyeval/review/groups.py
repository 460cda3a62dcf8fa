"""No-shows by site and discipline: each group's rate, and which of them lie apart from the rate of all.

A group lies apart where its interval does not hold the rate of all. Groups are never ranked. Not judged: a group with
too few slots or a hidden rate, and all groups where some slots belong to none, because the rate of all then is not
theirs. Source: quarterly review requirements, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping

from therapyeval.display import cells, chart_figures
from therapyeval.display.blocks import Block, Paragraph
from therapyeval.display.cells import Record
from therapyeval.display.change_tables import group_codes
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import NOTHING, is_missing, listed, plural
from therapyeval.review.material import FILTER_WORDS, Material
from therapyeval.review.quarterly import NOW

MIN_RANK_N = 11                       # quarterly review requirements, section 2
NOT_RECORDED = "not recorded"
ABOVE, BELOW, WITHIN, NOT_JUDGED = "above", "below", "not apart", "not judged"


def no_shows_by_group(material: Material) -> list[Block]:
    """Slots without a site or discipline as a sentence (they would stretch the scale), then a figure, which groups lie
    apart, and a table."""
    groups = {by: rates for by in FILTER_WORDS if (rates := _rates(material, by))}
    apart = [Paragraph(_loose_words(loose, word)) for by, word in FILTER_WORDS.items()
             if (loose := _by_group(material, by).get(NOT_RECORDED)) is not None]
    if not groups:
        return []
    counted = chart_figures.n_range([row for rows in groups.values() for row in rows.values()])
    about = (f"No-shows of slots due with 95% intervals; appointments in {material.period}, {material.where}; "
             f"{counted}. Not adjusted for different patients.")
    items = {f"No-shows by {FILTER_WORDS[by]}": [(group, row, None) for group, row in rows.items()]
             for by, rows in groups.items()}
    figure = chart_figures.shares_figure(items, "no-shows of slots due", about, limits=None,
                                         what="No-show rate of slots due")
    said = [Paragraph(text) for by in FILTER_WORDS if (text := against_all(material, by))]
    return [*apart, figure or Paragraph("No figure by group: every rate is withheld."), *said, _table(material, groups)]


def against_all(material: Material, by: str) -> str:
    """Which groups' no-show rates lie apart from that of all; empty where none can be judged."""
    overall, word, rates = _overall(material, by), FILTER_WORDS[by], _rates(material, by)
    judged = {group: verdict for group, row in rates.items() if (verdict := place(row, overall)) != NOT_JUDGED}
    if len(judged) < 2:
        return ""
    told = []
    for side in (ABOVE, BELOW):
        found = [f"{group} {cells.share(rates[group])}" for group, verdict in judged.items() if verdict == side]
        told += [f"{listed(found)} {'lies' if len(found) == 1 else 'lie'} {side}"] if found else []
    others = sum(verdict == WITHIN for verdict in judged.values())
    told += [f"{plural(others, 'other')} {'does' if others == 1 else 'do'} not lie apart"] if others and told else []
    said = "; ".join(told) or f"no {word} lies apart"
    return (f"No-show rate by {word}, against {cells.percent(overall['estimate'], 1)} of all: {said}. Apart means that "
            f"the interval does not hold the rate of all. Not adjusted for different patients, and of "
            f"{plural(len(judged), 'interval')} one may lie apart by chance.")


def apart(material: Material, by: str) -> bool:
    """True where at least one group lies apart from all."""
    overall = _overall(material, by)
    return any(place(row, overall) in (ABOVE, BELOW) for row in _rates(material, by).values())


def place(row: Record | None, overall: Record | None) -> str:
    """Where a group's interval lies against the rate of all.

    >>> rate = {"estimate": 0.13, "conf_low": 0.11, "conf_high": 0.15, "n": 400}
    >>> place(rate, {"estimate": 0.10}), place(rate, {"estimate": 0.12}), place({**rate, "n": 10}, {"estimate": 0.1})
    ('above', 'not apart', 'not judged')
    """
    if row is None or overall is None or is_missing(overall["estimate"]) or is_missing(row["n"]) \
            or row["n"] < MIN_RANK_N or not cells.has_interval(row):
        return NOT_JUDGED
    if row["conf_low"] > overall["estimate"]:
        return ABOVE
    return BELOW if row["conf_high"] < overall["estimate"] else WITHIN


def _overall(material: Material, by: str) -> Record | None:
    """The rate of all, where every slot belongs to a group."""
    return None if NOT_RECORDED in _by_group(material, by) else _rate_of_all(material)


def _rate_of_all(material: Material) -> Record | None:
    return cells.first(material.result("attendance", f"rates {NOW}"), metric="no_show_rate", statistic="ratio")


def _by_group(material: Material, by: str) -> dict[str, Record | None]:
    result = material.result("attendance", f"no-shows by {by}")
    return {group: chart_figures.first_row(result, group, statistic="ratio") for group in group_codes(result)}


def _rates(material: Material, by: str) -> dict[str, Record | None]:
    """Group -> its rate, in the order of the names."""
    return {group: row for group, row in _by_group(material, by).items() if group != NOT_RECORDED}


def _table(material: Material, groups: Mapping[str, Mapping[str, Record | None]]) -> Table:
    rows = [_row("All", _rate_of_all(material), "All appointments", NOTHING)]
    rows += [_row(group, row, f"By {FILTER_WORDS[by]}", place(row, _overall(material, by)))
             for by, found in groups.items() for group, row in found.items()]
    notes = ("Above, below: the 95% interval does not hold the rate of all. In the order of the names, not of "
             "the rates.",
             f"Not judged: fewer than {MIN_RANK_N} slots, a withheld rate, or a grouping in which some appointments "
             "belong to no group." if any(row.cells[-1].text == NOT_JUDGED for row in rows) else "")
    return Table("no-shows", "No-shows of slots due, by site and discipline.",
                 f"Appointments in {material.period}; {material.where}.",
                 ("No-show rate (95% CI)", "No-shows of slots due", "Against all"), tuple(rows), "Group",
                 tuple(filter(None, notes)), words=(2,))


def _row(label: str, row: Record | None, group: str, verdict: str) -> Row:
    return Row(label, (Cell(cells.share(row)), Cell(cells.of(row) or cells.count(row)), Cell(verdict)), group)


def _loose_words(row: Record, word: str) -> str:
    """What slots that belong to no site or discipline do to the rates of those that have one."""
    known = not is_missing(row["estimate"]) and not is_missing(row["n"])
    share = f"{cells.count(row)} slots due, {cells.share(row)} of them no-shows" if known else \
        "their number and rate are withheld" if cells.is_withheld(row) else "their number is not available"
    return (f"Appointments without a {word}, such as missed first evaluations that belong to no episode yet: {share}. "
            f"They count in the rate of all, but in no {word} below, so the rate of all need not lie between those of "
            f"the {word}s.")
