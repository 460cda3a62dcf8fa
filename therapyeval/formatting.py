"""Numbers to text and safe file names; the only place where anything is rounded."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import sha256

WITHHELD = "withheld"
NOTHING = "–"


def is_missing(value: object) -> bool:
    """True for None, NaN, NaT and pandas' NA."""
    return value is None or str(value) in {"nan", "NaT", "<NA>"}


def number(value: object, digits: int = 1) -> str:
    """A number with fixed decimals, thousands separated; minus zero becomes zero; missing is a dash.

    >>> number(-0.04), number(12345.678, 2), number(None)
    ('0.0', '12,345.68', '–')
    """
    if is_missing(value):
        return NOTHING
    value = float(value)
    if math.isinf(value):
        return "not reached"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def count(value: object) -> str:
    """A whole number with thousands separated."""
    return number(value, 0)


def percent(value: object, digits: int = 1) -> str:
    """A proportion 0-1 as a percentage.

    >>> percent(0.4), percent(1 / 3, 0)
    ('40.0%', '33%')
    """
    return NOTHING if is_missing(value) else f"{number(100 * float(value), digits)}%"


def estimate(value: object, low: object, high: object, *, unit: str = "", digits: int = 1) -> str:
    """An estimate with its interval; proportions as percentages.

    >>> estimate(0.4, 0.118, 0.769, unit="proportion")
    '40.0% (11.8 to 76.9)'
    """
    if is_missing(value):
        return NOTHING
    if unit == "proportion":
        bounds = [number(100 * float(x), digits) if not is_missing(x) else NOTHING for x in (low, high)]
        text = percent(value, digits)
    else:
        bounds = [number(x, digits) for x in (low, high)]
        text = number(value, digits)
    return text if bounds == [NOTHING, NOTHING] else f"{text} ({bounds[0]} to {bounds[1]})"


def p_value(value: object) -> str:
    """A P value: four decimals below 0.001 to 0.0001, else two or three; never 0 and never stars.

    >>> p_value(0.00022), p_value(0.034), p_value(0.4), p_value(1e-9)
    ('0.0002', '0.034', '0.40', '<0.0001')
    """
    if is_missing(value):
        return NOTHING
    value = float(value)
    if value < 0.0001:
        return "<0.0001"
    return f"{value:.{4 if value < 0.001 else 3 if value < 0.1 else 2}f}"


def first_few(rows: Iterable[object], limit: int = 5) -> str:
    """The first row numbers of a list, and how many more there are.

    >>> first_few([2, 3, 9], limit=2)
    '2, 3 and 1 more'
    """
    rows = list(rows)
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return ", ".join(str(row) for row in rows[:limit]) + more


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["PRT", "placebo", "usual"])
    'PRT, placebo and usual'
    """
    words = [str(word) for word in words]
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def plural(n: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "row"), plural(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


_RESERVED_ON_WINDOWS = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}
_HASH_LENGTH = 8  # 400 names have the same one with a chance of 1 in 50,000
_MARKS = re.compile("[MPZ].|Cc|Cf")  # accents, punctuation, spaces, controls: what may go without being told apart


def safe_name(text: str, limit: int = 60, *, hashed: bool = False) -> str:
    """A file name that every file system takes: letters, digits, `.`, `_` and `-`, at most `limit` long.

    Text that is cut or loses letters (Cyrillic, say) ends in a short hash of the whole, so that two such texts
    have two names. Texts that differ in punctuation only share a name; `hashed` tells those apart too.

    >>> safe_name("target_score_rate:pain_avg,cut=1"), safe_name("../../x"), safe_name("NUL.txt")
    ('target_score_rate-pain_avg-cut-1', 'x', 'NUL_.txt')
    >>> safe_name("Север"), safe_name("Юг 2")
    ('unnamed-2fff7aa2', '2-86b286b2')
    """
    text = str(text)
    letters = unicodedata.normalize("NFKD", text[:4 * limit])  # no need to take 100,000 characters apart
    lost = any(not letter.isascii() and not _MARKS.fullmatch(unicodedata.category(letter)) for letter in letters)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", letters.encode("ascii", "ignore").decode())
    name = _not_reserved(plain.strip("-. ")) or "unnamed"
    if hashed or lost or len(name) > limit or len(text) > 4 * limit:
        ending = f"-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:_HASH_LENGTH]}"
        name = (name[:limit - len(ending)].rstrip("-. ") or "unnamed") + ending
    return name


def _not_reserved(name: str) -> str:
    """Windows keeps some names for devices, whatever stands behind their first dot."""
    first, dot, rest = name.partition(".")
    return f"{first}_{dot}{rest}" if first.lower() in _RESERVED_ON_WINDOWS else name
