"""Printed numbers beside ours: what the tests compare is kept; `make validation` writes it into docs/validation.md."""

import json

COMPARED = {}      # (data set, id) -> (what, printed, ours, whether they are the same, remark)

def checks(folder):
    """id -> the entry of a data set's published.json."""
    found = json.loads((folder / "published.json").read_text(encoding="utf-8"))["checks"]
    return {entry["id"]: entry for entry in found}


def prints_as(value, text):
    """Whether a number, rounded to the printed digits, is what was printed."""
    digits = len(text.partition(".")[2])
    return abs(float(value) - float(text)) <= 0.5 * 10 ** -digits + 1e-9


def compare(name, entry, value, remark=""):
    """Keep one comparison; fails where ours is not what was printed and nothing says why the paper's differs."""
    same = prints_as(value, entry["published"])
    COMPARED[name, entry["id"]] = entry["what"], entry["published"], float(value), same, remark
    assert same or remark, f"{name} {entry['id']}: printed {entry['published']}, ours {value:.8g}"
    assert same or not entry["match"], f"{name} {entry['id']}: R has the printed number, ours is {value:.8g}"


def render():
    """The part of docs/validation.md: one table per data set."""
    parts = []
    for name in dict.fromkeys(name for name, _ in COMPARED):
        rows = [f"| `{key}` | {what} | {printed} | {ours:.7g} | {'yes' if same else 'no'}{remark and ': ' + remark} |"
                for (folder, key), (what, printed, ours, same, remark) in COMPARED.items() if folder == name]
        head = ["| Number | What | Printed | therapyeval | Same at the printed digits |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {name}", "", *head, *rows, ""]))
    return "\n".join(parts)
