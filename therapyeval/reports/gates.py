"""Checks that a report states about itself; one that is required and fails makes the run end with exit code 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from therapyeval.errors import ReportError

EXIT_CODE = 7


@dataclass(frozen=True)
class Gate:
    """One check: what it is called, whether the report stands or falls with it, how it went and why."""

    name: str
    required: bool
    passed: bool
    note: str = ""

    def to_dict(self) -> dict:
        return asdict(self)


def read_gates(record: Mapping[str, object]) -> tuple[Gate, ...]:
    """The gates of a bundle's record.

    Raises
    ------
    ReportError
        Where an entry is not {"name", "required", "passed", "note"}: a check nobody can read is no check.
    """
    gates = []
    for entry in record.get("gates", ()):
        try:
            gate = Gate(**entry)
        except TypeError:
            raise ReportError("a gate of this report is not {name, required, passed, note}.") from None
        if not (isinstance(gate.required, bool) and isinstance(gate.passed, bool)):
            raise ReportError(f"the gate {gate.name} does not say yes or no.")
        gates.append(gate)
    return tuple(gates)


def failed(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The required gates that did not pass."""
    return tuple(gate for gate in gates if gate.required and not gate.passed)


def exit_code(gates: Sequence[Gate]) -> int:
    """0, or EXIT_CODE where a required gate failed."""
    return EXIT_CODE if failed(gates) else 0
