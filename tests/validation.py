"""docs/validation.md: every reference value and printed number beside ours. `make validation` writes it.

The tests of `stats` call `reference_values.agree`, which keeps what it compared; this plugin runs them and writes
the page. Other parts of the page (coverage) are kept as they stand between their own marks.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import published_values
import pytest
import reference_values

PAGE = Path(__file__).parent.parent / "docs" / "validation.md"
START, END = "<!-- reference values: start -->", "<!-- reference values: end -->"
PUBLISHED = "<!-- published: start -->", "<!-- published: end -->"
SHOWN, ROUNDING = 4, 1e-9
COLUMNS = ("Case", "Estimator", "Data", "Call", "Reference", "therapyeval", "Numbers compared", "Largest difference",
           "Allowed")


def topics():
    """Topic -> its committed cases, of every topic that has cases."""
    found = {path.parent.name: json.loads(path.read_text()) for path in reference_values.FOLDER.glob("*/expected.json")}
    return {name: found[name] for name in sorted(found) if found[name].get("cases")}


def render(compared):
    """The reference part of the page, from what the tests compared."""
    parts, known = [], reference_values.cases()
    for topic, content in topics().items():
        rows = [_row(case, known.get((topic, case), ([], [])), entry["call"], compared[topic, case])
                for case, entry in content["cases"].items() if (topic, case) in compared]
        head = [f"### {topic}", "", f"Made with {_versions(content['versions'])}.", ""]
        parts.append("\n".join([*head, _line(COLUMNS), "|---" * len(COLUMNS) + "|", *rows, ""]))
    return "\n".join(parts)


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _versions(found):
    return ", ".join(found if isinstance(found, list) else (f"{name} {version}" for name, version in found.items()))


def _row(case, known, call, compared):
    found, wanted, *_ = compared[0]
    n = sum(int(np.isfinite(np.broadcast_to(w, np.shape(f))).sum()) for f, w, *_ in compared)
    worst = max(_difference(f, w) for f, w, *_ in compared)
    call = " ".join(str(call).split()).replace("|", "\\|")
    estimators, data = (", ".join(names) for names in known)
    data = data.replace("made_up_", "made up: ").replace("_", " ")
    about = f"`{case}`", estimators or "a part", data or "an example", call
    return _line([*about, _few(wanted), _few(found), str(n), f"{worst:.0e}", _allowed(compared)])


def _difference(found, wanted):
    """The largest relative difference; absolute where the reference is 0."""
    known = np.isfinite(wanted)
    scale = np.where(np.abs(wanted[known]) < ROUNDING, 1, np.abs(wanted[known]))
    return float(np.max(np.abs(found[known] - wanted[known]) / scale, initial=0))


def _allowed(compared):
    relative, absolute = (max(np.max(c[place]) for c in compared) for place in (2, 3))
    return f"{relative:g}" if absolute <= ROUNDING else f"{absolute:g} absolute"


def _few(values):
    flat = np.ravel(values)
    return ", ".join("none" if np.isnan(value) else f"{value:.7g}" for value in flat[:SHOWN]) + (
        ", …" if len(flat) > SHOWN else "")


def replace(page, text, start=START, end=END):
    """The page with another text between its marks."""
    return re.sub(f"{re.escape(start)}.*{re.escape(end)}", lambda _: f"{start}\n{text}\n{end}", page, flags=re.DOTALL)


class Writer:
    def pytest_sessionfinish(self, exitstatus):
        if exitstatus == 0:
            text = replace(PAGE.read_text(encoding="utf-8"), render(reference_values.COMPARED))
            PAGE.write_text(replace(text, published_values.render(), *PUBLISHED), encoding="utf-8")


if __name__ == "__main__":
    folder = Path(__file__).parent
    tests = sorted(str(path) for pattern in ("test_stats_*.py", "test_compare_missing*.py", "test_published_numbers.py")
                   for path in folder.glob(pattern))
    sys.exit(pytest.main(["-q", "--durations=0", "--deselect", "therapyeval", *tests], plugins=[Writer()]))
