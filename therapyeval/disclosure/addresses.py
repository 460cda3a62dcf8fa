"""Addresses: whom a row is about. Two rows of any table with one address are about the same people.

An address is (fingerprint, limits, period): limits are the cohort's filters with the row's own groups put
over them, each attribute with its allowed values; a period is (first day, last day), or None for all time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import product

import pandas as pd

from therapyeval.errors import ParameterError
from therapyeval.formatting import is_missing
from therapyeval.period import parse_period

Span = tuple[date, date] | str | None
Limits = tuple[tuple[str, tuple[str, ...]], ...]
Address = tuple[str, Limits, Span]


def make_address(fingerprint: str, filters: Mapping[str, object], period: str | None,
                 groups: Mapping[str, object]) -> Address:
    """The address of a row; an empty group value means all groups.

    >>> make_address("f", {"arm": ["PRT", "usual"]}, None, {"arm": "PRT", "site_id": ""})
    ('f', (('arm', ('PRT',)),), None)
    """
    limits = {column: _values(value) for column, value in filters.items()}
    for column, value in groups.items():
        if is_missing(value) or value == "":
            continue
        if column == "period":
            period = str(value)
        else:
            limits[column] = _values(value)
    return fingerprint, tuple(sorted(limits.items())), read_span(period)


def read_span(label: str | None) -> Span:
    """First and last day of a period's label; a label that is no period stays as it is."""
    if label is None or label == "":
        return None
    year, week, rest = label.partition("-W")
    try:
        if week:
            first = date.fromisocalendar(int(year), int(rest), 1)
            return first, first + timedelta(days=6)
        period = parse_period(label)
    except (ParameterError, ValueError):
        return label
    return period.start, period.end


def find_families(addresses: Sequence[Address]) -> pd.DataFrame:
    """Which addresses are parts of which: parent, split (which partition of the parent) and child.

    A child has the parent's limits, narrowed in one or more attributes or in the period. Children that are
    one value each of the same attributes form one split; any other child is a split of its own.
    """
    ids = {address: number for number, address in enumerate(addresses)}
    wider_values = _wider_values(addresses)
    wider_spans, length = _wider_spans({span for _, _, span in addresses})
    rows = []
    for address, child in ids.items():
        fingerprint, limits, span = address
        choices = [_choices(column, values, wider_values) for column, values in limits]
        for chosen in product(*choices):
            kept = tuple(sorted((column, values) for (column, _), values in zip(limits, chosen, strict=True) if values))
            changed = [(column, values, own) for (column, own), values in zip(limits, chosen, strict=True)
                       if values != own]
            single = all(len(own) == 1 for _, _, own in changed)
            for wide in wider_spans[span]:
                parent = ids.get((fingerprint, kept, wide))
                if parent is None or parent == child:
                    continue
                split = (tuple((column, values) for column, values, _ in changed),
                         length[span] if wide != span else "", "" if single else child)
                rows.append((parent, repr(split), child))
    return pd.DataFrame(rows, columns=["parent", "split", "child"])


def _values(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(sorted({_text(item) for item in value}))
    return (_text(value),)


def _text(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _wider_values(addresses: Iterable[Address]) -> dict[str, set[tuple[str, ...]]]:
    """Per attribute, the sets of several values that appear in any address."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for _, limits, _ in addresses:
        for column, values in limits:
            if len(values) > 1:
                found.setdefault(column, set()).add(values)
    return found


def _choices(column: str, values: tuple[str, ...],
             wider_values: Mapping[str, set[tuple[str, ...]]]) -> list[tuple[str, ...] | None]:
    """The limit itself, no limit, and every known wider one."""
    wider = [wide for wide in sorted(wider_values.get(column, ())) if set(wide) > set(values)]
    return [values, None, *wider]


def _wider_spans(spans: set[Span]) -> tuple[dict[Span, list[Span]], dict[Span, str]]:
    """For every period, itself and those that contain it; and the partition it belongs to (by its length)."""
    wider = {span: [span, *(other for other in spans if _contains(other, span))] for span in spans}
    by_length: dict[str, list[Span]] = {}
    for span in spans:
        by_length.setdefault(_length(span), []).append(span)
    length = {}
    for name, members in by_length.items():
        apart = _disjoint(members)
        length |= {span: name if apart else f"{name} {span}" for span in members}
    return wider, length


def _contains(wide: Span, narrow: Span) -> bool:
    if wide == narrow or narrow is None:
        return False
    if wide is None:
        return True
    if isinstance(wide, str) or isinstance(narrow, str):
        return False
    return wide[0] <= narrow[0] and narrow[1] <= wide[1]


def _length(span: Span) -> str:
    if span is None or isinstance(span, str):
        return "label"
    days = (span[1] - span[0]).days + 1
    return next((name for name, longest in (("week", 7), ("month", 31), ("quarter", 92), ("year", 366))
                 if days <= longest), "longer")


def _disjoint(spans: list[Span]) -> bool:
    dated = sorted(span for span in spans if isinstance(span, tuple))
    return all(before[1] < after[0] for before, after in zip(dated, dated[1:], strict=False))
