"""What every report says about its own bundle: where a table is, what failed, what is withheld."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from therapyeval.display import sentences
from therapyeval.display.blocks import Block, Paragraph, Section
from therapyeval.display.cells import is_withheld, records
from therapyeval.formatting import is_missing, listed, plural
from therapyeval.result import Bundle, Result

BESIDE = ("n_missing", "n_excluded")


def find(bundle: Bundle, section: str, table: str) -> Result | None:
    """A table with rows, or None."""
    try:
        found = bundle.get(section, table)
    except KeyError:
        return None
    return found if len(found.frame) else None


def failed_gates(record: Mapping[str, object]) -> list[str]:
    """Checks that this report did not pass, in words."""
    return [f"Not passed: {', '.join(str(gate[key]) for key in ('name', 'note') if gate.get(key))}."
            for gate in record.get("gates") or () if not gate.get("passed", True)]


def count_withheld(bundle: Bundle) -> Counter[str]:
    """Numbers that release hid, by section: rows of results without their number. Everybody who counts, counts this."""
    return Counter(named.section for named in bundle.tables for row in records(named.result)
                   if is_withheld(row) and is_missing(row["estimate"]))


def withheld_line(bundle: Bundle) -> str:
    """How many numbers the privacy policy hid, where, and why; then how many shown ones lack a count beside them."""
    policy = bundle.record.get("policy") or {}
    rows = [row for named in bundle.tables for row in records(named.result) if is_withheld(row)]
    hidden, of = count_withheld(bundle), sum(len(named.result.frame) for named in bundle.tables)
    beside = sum(not is_missing(row["estimate"]) and any(is_missing(row[name]) for name in BESIDE) for row in rows)
    said = [sentences.withheld(sum(hidden.values()), of, str(policy.get("name") or "of this report"),
                               policy.get("threshold"))]
    said += [f"By section: {listed([f'{n} in {name}' for name, n in hidden.items()])}."] if hidden else []
    said += [f"Beside {plural(beside, 'shown number')} the count of those left out or without a value is withheld."] \
        if beside else []
    return " ".join(said)


def section(name: str, title: str, blocks: Sequence[Block], nothing: str) -> Section:
    """A section; where it has nothing to show it says so in a sentence."""
    return Section(name, title, tuple(blocks) or (Paragraph(nothing),))
