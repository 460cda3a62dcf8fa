"""NDJSON: one resource per line, kept as the few values that are needed; names and texts are dropped at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from therapyeval.data import sources
from therapyeval.data.sources.csv import unpacked
from therapyeval.data.sources.raw import NOT_JSON
from therapyeval.errors import DataError

REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([^/|#]+)(?:/_history/[^/]+)?$")
ENTERED_IN_ERROR = "entered in error"
SEVERAL = ("codes", "derived_from", "values")


@dataclass
class Resources:
    """The resources of one type: the files they come from, flat rows with `_row`, lines set aside, lines in all."""

    file: str = ""
    rows: list[dict] = field(default_factory=list)
    aside: list[tuple[int, str]] = field(default_factory=list)
    lines: int = 0

    def after(self, offset: int) -> Resources:
        """The same with row numbers that begin after so many lines of another file."""
        return Resources(self.file, [row | {"_row": row["_row"] + offset} for row in self.rows],
                         [(row + offset, why) for row, why in self.aside], self.lines)


def read(place: Path, flatten: Mapping[str, Callable[[dict], dict]]) -> dict[str, Resources]:
    """The resources of each type in `flatten`, which says what is kept of one."""
    found = {kind: Resources() for kind in flatten}
    paths = [path for path in sources.files(place) if path.name.lower().endswith(sources.NDJSON)]
    for path in paths:
        parsed, bad, n_lines = _lines(path, flatten)
        kinds = list(parsed) or []
        for position, kind in enumerate(kinds):
            into = found[kind]
            into.rows += [row | {"_row": number + into.lines} for number, row in parsed[kind]]
            if position == 0:  # a line that cannot be read counts for the first type of its file
                into.aside += [(number + into.lines, NOT_JSON) for number in bad]
            into.lines += n_lines
            into.file = ", ".join(filter(None, (into.file, path.name)))
        if bad and not kinds:
            raise DataError(f"{path.name}: line {bad[0]} is not one JSON resource. Export it again as FHIR NDJSON.")
    if not any(item.file for item in found.values()):
        raise DataError(f"{place.name} holds none of the FHIR resources that are read: {', '.join(flatten)}.")
    return found


def _lines(path: Path, flatten: Mapping[str, Callable[[dict], dict]]) -> tuple[dict, list[int], int]:
    """Flat rows with their line by type, lines that are no resource, and the number of lines."""
    parsed: dict[str, list[tuple[int, dict]]] = {}
    bad, number = [], 0
    for number, line in enumerate(unpacked(sources.content(path), path.name).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
            kind = body["resourceType"]
            if kind in flatten:
                parsed.setdefault(kind, []).append((number, _flat(flatten[kind](body))))
        except (ValueError, TypeError, KeyError, AttributeError):
            bad.append(number)
    return parsed, bad, number


def _flat(row: dict) -> dict:
    """The row, where every value is a text or nothing, those of SEVERAL several of them: what FHIR says, too.

    Raises
    ------
    TypeError
        Where a number, a list or an object stands in place of a text.
    """
    texts = [text for name, value in row.items() for text in (value if name in SEVERAL else (value,))]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("no text where FHIR has one")
    return row


def reference(value: Mapping | None) -> tuple[str | None, str | None]:
    """Type and id that a reference names: Patient/1, an address that ends so, or urn:uuid:…."""
    text = (value or {}).get("reference") or ""
    found = REFERENCE.search(text)
    if found:
        return found[1], found[2]
    return (value or {}).get("type"), text.removeprefix("urn:uuid:").removeprefix("urn:oid:") or None


def id_of(value: Mapping | None) -> str | None:
    """The id that a reference names."""
    return reference(value)[1]


def first(values: Sequence | None):
    """The first of a list, or nothing."""
    return values[0] if values else None


def codes_of(*concepts: Mapping | None) -> list[str]:
    """Every code of these CodeableConcepts."""
    codings = [coding for concept in concepts for coding in (concept or {}).get("coding") or ()]
    return [coding["code"] for coding in codings if "code" in coding]


def word(codes: Sequence[str], table: Mapping[str, str], among: Sequence[str] | Mapping) -> str | None:
    """What the first of these codes stands for that stands for one of the words."""
    return next((table[code] for code in codes if table.get(code) in among), None)
