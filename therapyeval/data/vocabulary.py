"""What a word of an export stands for: a canonical column, a code, a measure, an occasion (see `words`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from therapyeval import measures
from therapyeval.data import schema, words

_ARM = re.compile(r"_arm_\d+$")  # REDCap's events: baseline_arm_1
_NAMED = re.compile(r"[ _](c_name|disp|display|desc)$", re.IGNORECASE)  # the words of a code, beside the code itself
_NUMBERED = re.compile(r"(?:t|time|week|wk|w|month|mo|m|visit|day|d)?(\d{1,3})(?:wks?|weeks?|w|mo|m|months?)?")


@dataclass(frozen=True)
class Match:
    """A recognised word: what it stands for, whether that is sure, and how good a word it is (0 is best)."""

    name: str
    is_sure: bool = True
    rank: int = 0
    is_own: bool = False


def plain(word: str) -> str:
    """Small letters and digits only; signs that mean something count as words."""
    for sign, name in (("%", "percent"), ("<", "less than"), (">", "more than")):
        word = word.replace(sign, name)
    return re.sub(r"[^a-z0-9]", "", word.casefold())


def columns_of(name: str) -> dict[str, Match]:
    """The canonical column that a column name stands for, in every table where it stands for one."""
    return _columns().get(plain(name)) or _columns().get(plain(_NAMED.sub("", name)), {})


def code_of(where: str, word: str) -> Match | None:
    """The code of a list (a canonical column, with its table where lists differ) that a word stands for.

    >>> code_of("visits.status", "No-Show").name
    'no_show'
    """
    return _codes(where).get(plain(_ARM.sub("", word)))


def measure_of(word: str) -> Match | None:
    """The measure that a word stands for: its code, its name, or a word in use.

    >>> measure_of("Berg Balance Scale").name
    'berg'
    """
    return _measures().get(plain(word)) or _measures().get("".join(_words(word, drop=words.FILLERS)))


def measure_and_occasion(name: str) -> tuple[Match, str] | None:
    """A measure and an occasion in one column name: a timepoint, or a number such as `6` of "ODI week 6".

    >>> match, point = measure_and_occasion("LEFS pre"); match.name, point
    ('lefs', 'initial')
    >>> match, point = measure_and_occasion("odi_12"); match.name, point
    ('odi', '12')
    """
    parts = _words(name)
    for length in range(len(parts) - 1, 0, -1):  # "post treatment" before "post"
        for begin in range(len(parts) - length + 1):
            rest = parts[:begin] + parts[begin + length:]
            match = measure_of(" ".join(rest))
            point = _occasion(" ".join(parts[begin:begin + length]))
            if match and point:
                return match, point
    return None


def is_about_a_person(name: str) -> bool:
    """Whether a column holds a name, an address or free text, which no fact may hold."""
    return plain(name) in {plain(word) for word in words.NAMES_OF_PEOPLE.split(",")}


def _occasion(phrase: str) -> str | None:
    found = code_of("timepoint", phrase)
    if found:
        return found.name
    number = _NUMBERED.fullmatch(plain(phrase))
    return number.group(1).lstrip("0") or "0" if number else None


def _words(name: str, drop: tuple[str, ...] = ()) -> list[str]:
    """The words of a name: "LEFSPre_total" is lefs, pre, total; a last number stands alone."""
    spaced = re.sub(r"([a-z])([A-Z])|([A-Z])([A-Z][a-z]{2,})", r"\1\3 \2\4", name.replace("%", " percent "))
    found = re.findall(r"[a-z0-9]+", spaced.casefold())
    tail = re.fullmatch(r"([a-z]{2,})(\d{1,3})", found[-1]) if found else None
    if tail and found[-1] not in _measures() and tail.group(1) in _measures():
        found[-1:] = tail.groups()
    return [word for word in found if word not in drop]


def _lists(text: str) -> dict[str, list[str]]:
    """`key: word, word` lines; an indented line goes on."""
    lines = re.sub(r"\n\s+", " ", text.strip()).splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key.strip(): [word.strip() for word in rest.split(",") if word.strip()] for key, rest in pairs}


def _match(name: str, listed: list[str], is_own: bool = False) -> dict[str, Match]:
    return {plain(word): Match(name, not word.startswith("?"), rank, is_own)
            for rank, word in reversed(list(enumerate([name, *listed])))}


@cache
def _columns() -> dict[str, dict[str, Match]]:
    found: dict[str, dict[str, Match]] = {}
    lists = _lists(words.COLUMNS)
    tables = {name: schema.TABLES[name] for name in schema.DRAFTED}
    for table, declared in tables.items():
        for column in declared.columns:
            own, shared = lists.get(f"{table}.{column}"), lists.get(column, [])
            holders = sum(column in other.columns for other in tables.values())
            is_own = own is not None or holders == 1
            for word, match in _match(column, shared if own is None else own, is_own).items():
                best = found.setdefault(word, {}).get(table)
                if best is None or (match.is_sure, -match.rank) > (best.is_sure, -best.rank):
                    found[word][table] = match
    return found


@cache
def _codes(where: str) -> dict[str, Match]:
    text = words.CODES.get(where) or words.CODES.get(where.rpartition(".")[2], "")
    found: dict[str, Match] = {}
    for code, listed in _lists(text).items():
        for word, match in _match(code, listed).items():
            found.setdefault(word, match)
    return found


@cache
def _measures() -> dict[str, Match]:
    found: dict[str, Match] = {}
    for code, listed in _lists(words.MEASURES).items():
        found.update(_match(code, listed))
    for code in measures.names():
        for word in (code, measures.get(code).name.split("(")[0]):
            found.setdefault(plain(word), Match(code))
    return found
