"""What the numbers of a data set are defined by, kept so that a later reading can say what changed.

Rules, thresholds of the measures that the data have, and every line of the mapping. `check` and `import` store them in
`.therapyeval` beside the data (in the user's cache folder where that cannot be written), for the owner only; deleting
the file is always safe. The definitions in use stay beside those before them, each with the data cut it was last read
with, so that asking again gives the same answer.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from therapyeval import __version__, yaml_lines
from therapyeval.data import cache, schema
from therapyeval.data.mapping import Mapping as Spec
from therapyeval.formatting import number, plural

FILE = "definitions.json"
RULES, THRESHOLDS, MAPPING = "rules", "thresholds", "mapping"
NAMED = ("timepoint_rule", "reopen_gap_days", "stale_days", "min_visits", "time_zone")
MEASURED = ("minimum", "maximum", "direction", "mcid", "mcid_basis", "mdc95")
NOT_DEFINING = ("version", "policy", "note", "data_cut", *NAMED)  # lines of a mapping; the rules are told with defaults
NOT_SET = "not set"
NEXT = "\x1f"  # between the words of a name, which are blocks in each other
Definitions = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Change:
    """One definition: its kind (rules, thresholds, mapping), its name word by word, what it was and what it is."""

    kind: str
    name: tuple[str, ...]
    before: str
    now: str

    @property
    def is_plain(self) -> bool:
        """Whether it can hold no code of the data: a rule, a threshold, or from where a canonical column is read."""
        return self.kind != MAPPING or len(self.name) == 3 and self.name[1] in schema.KINDS

    def to_text(self) -> str:
        """Name, from what, to what."""
        return f"{', '.join(self.name)}: from {self.before} to {self.now}"


@dataclass(frozen=True)
class Changes:
    """What changed since the data were last read with other definitions.

    Attributes
    ----------
    since : data cut of that reading, ISO; where nothing ever changed, of the first one; "" where it had none
    items : none where nothing changed
    """

    since: str
    items: tuple[Change, ...] = ()

    def without_codes(self) -> list[str]:
        """Every change in words, without what may be a code or value of the data: such lines are counted by column."""
        said = [item.to_text() for item in self.items if item.is_plain]
        counted: dict[str, int] = {}
        for item in self.items:
            if not item.is_plain:
                key = ", ".join(item.name[:3] if item.name[1:2] and item.name[1] in schema.KINDS else item.name[:2])
                counted[key] = counted.get(key, 0) + 1
        return said + [f"{name}: {plural(n, 'line')} of the mapping changed" for name, n in counted.items()]


def definitions_of(spec: Spec, measures: Mapping[str, object], used: Iterable[str]) -> Definitions:
    """Kind -> name -> value, all text.

    Parameters
    ----------
    used : codes of the measures that the data have
    """
    rules = {name: _text(getattr(spec, name)) for name in NAMED} | {"therapyeval": __version__}
    thresholds = {NEXT.join((code, name)): _text(getattr(measures[code], name))
                  for code in sorted(used) if code in measures for name in MEASURED}
    top = yaml_lines.read(spec.text, spec.file) if spec.text else {}
    lines = {NEXT.join(path): value for path, value in _lines({
        name: value for name, value in top.items() if name not in NOT_DEFINING})}
    return {RULES: rules, THRESHOLDS: thresholds, MAPPING: lines}


def known(path: Path, definitions: Definitions) -> Definitions:
    """The definitions of data; where an import wrote them, with the mapping of the raw data in place of its own."""
    stored = _stored(path)
    if stored and stored.get("imported"):
        return {**definitions, MAPPING: stored["now"]["definitions"][MAPPING]}
    return definitions


def changes(path: Path, definitions: Definitions) -> Changes | None:
    """What changed since these data were last read with other definitions; None where nothing was stored.

    Parameters
    ----------
    path : folder or file that is read
    """
    stored = _stored(path)
    if not stored:
        return None
    now, before = stored["now"], stored["before"]
    found = _difference(now["definitions"], definitions)
    if found:
        return Changes(now["last"], tuple(found))
    if before:
        return Changes(before["last"], tuple(_difference(before["definitions"], definitions)))
    return Changes(now["first"])


def remember(path: Path, definitions: Definitions, data_cut: str, *, carried_from: Path | None = None) -> None:
    """Store the definitions that data were read with; nothing happens where neither place can be written.

    Parameters
    ----------
    path : folder or file that is read
    data_cut : ISO; "" where the data have none
    carried_from : the folder that an import replaces, whose definitions are those before
    """
    stored = _stored(carried_from or path) or {}
    now, before = stored.get("now"), stored.get("before")
    first = data_cut
    if now and _difference(now["definitions"], definitions):
        before = now
    elif now:
        first = now["first"]
    told = {"now": {"definitions": definitions, "first": first, "last": data_cut}, "before": before,
            "imported": carried_from is not None or bool(stored.get("imported"))}
    folder, name = _home(path)
    for place in cache.places(folder):
        with suppress(OSError):
            _write(place, name, told)
            return


def _difference(before: Definitions, now: Definitions) -> list[Change]:
    """Definitions that are not what they were; of measures, those that the data had both times."""
    found = []
    for kind in (RULES, THRESHOLDS, MAPPING):
        old, new = before[kind], now[kind]
        names = [name for name in new if name in old] if kind == THRESHOLDS else dict.fromkeys([*old, *new])
        found += [Change(kind, tuple(name.split(NEXT)), old.get(name, NOT_SET), new.get(name, NOT_SET))
                  for name in names if old.get(name) != new.get(name)]
    return found


def _lines(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every single value under a block with its path; files of `tables` go by their names."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _lines(inner, path if name == "column" and len(value) == 1 else (*path, str(name)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        named: dict[str, int] = {}
        for item in value:
            name = " ".join(str(item[key]) for key in ("read", "sheet", "table") if key in item) or "row"
            named[name] = named.get(name, 0) + 1
            again = f" ({named[name]})" if named[name] > 1 else ""
            yield from _lines(item, (*(path if path != ("tables",) else ()), f"{name}{again}"))
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else _text(value)


def _text(value: object) -> str:
    if value is None or value == "":
        return NOT_SET
    return re.sub(r"\.?0+$", "", number(value, 6)) if isinstance(value, float) else str(value)


def _home(path: Path) -> tuple[Path, str]:
    """The folder whose cache it is, and the name of the data there: `.` for the folder itself."""
    return (path, ".") if not path.is_file() else (path.parent, path.name)


def _stored(path: Path) -> dict | None:
    """What was stored of these data; None where there is nothing, or nothing that can be read."""
    folder, name = _home(path)
    for place in cache.places(folder):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            told = json.loads((place / FILE).read_text(encoding="utf-8"))[name]
            for part in filter(None, (told["now"], told["before"])):
                _difference(part["definitions"], part["definitions"])
                str(part["first"] + part["last"])
            return told
    return None


def _write(place: Path, name: str, told: dict) -> None:
    """Put one entry into the file of a place: for the owner only, the old file or the new one, never half."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = {}
    with suppress(OSError, ValueError):
        others = json.loads((place / FILE).read_text(encoding="utf-8"))
    handle, new = tempfile.mkstemp(prefix=cache.NEW, dir=place)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**(others if isinstance(others, dict) else {}), name: told}, file, indent=1)
        cache.sealed(Path(new))
        os.replace(new, place / FILE)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise
