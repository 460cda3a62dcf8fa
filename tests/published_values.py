"""Printed numbers beside ours: what the tests compare is kept; `make validation` writes it into docs/validation.md."""

import json

COMPARED = {}      # (data set, id) -> (what, printed, ours or None, note)


def checks(folder):
    """id -> the entry of a data set's published.json."""
    found = json.loads((folder / "published.json").read_text(encoding="utf-8"))["checks"]
    return {entry["id"]: entry for entry in found}


def prints_as(value, text):
    """Whether a number, rounded to the printed digits, is what was printed."""
    digits = len(text.partition(".")[2])
    return abs(float(value) - float(text)) <= 0.5 * 10 ** -digits + 1e-9


def compare(name, entry, value):
    """Keep one comparison; fails where ours is not what was printed and nobody has said why."""
    note = "" if entry["match"] else entry["note"]
    COMPARED[name, entry["id"]] = entry["what"], entry["published"], float(value), note
    same = prints_as(value, entry["published"])
    assert same or note, f"{name} {entry['id']}: printed {entry['published']}, ours {value:.8g}"
    assert same == entry["match"], f"{name} {entry['id']}: {'now the same' if same else 'differs'}"


def leave_out(name, entry, reason):
    """Keep a printed number that no estimator of ours answers."""
    COMPARED[name, entry["id"]] = entry["what"], entry["published"], None, reason


def render():
    """The part of docs/validation.md: one table per data set."""
    parts = []
    for name in dict.fromkeys(name for name, _ in COMPARED):
        rows = [f"| `{key}` | {what} | {printed} | {'–' if ours is None else f'{ours:.7g}'} | {_verdict(ours, note)} |"
                for (folder, key), (what, printed, ours, note) in COMPARED.items() if folder == name]
        head = ["| Number | What | Printed | therapyeval | Same at the printed digits |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {name}", "", *head, *rows, ""]))
    return "\n".join(parts)


def _verdict(ours, note):
    return "yes" if not note else f"not ours: {note}" if ours is None else f"no: {note}"
