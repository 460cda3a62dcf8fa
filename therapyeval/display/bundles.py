"""What every report says about its own bundle: where a table is, what failed, what is withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.display import sentences
from therapyeval.display.blocks import Block, Paragraph, Section
from therapyeval.display.cells import is_withheld, records
from therapyeval.result import Bundle, Result


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


def withheld_line(bundle: Bundle) -> str:
    """How much the privacy policy hid, and why."""
    policy = bundle.record.get("policy") or {}
    n = sum(is_withheld(row) for named in bundle.tables for row in records(named.result))
    return sentences.withheld(n, str(policy.get("name") or "of this report"), policy.get("threshold"))


def section(name: str, title: str, blocks: Sequence[Block], nothing: str) -> Section:
    """A section; where it has nothing to show it says so in a sentence."""
    return Section(name, title, tuple(blocks) or (Paragraph(nothing),))
