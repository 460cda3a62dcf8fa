"""Files of a site's own: targets with their origin, and the improvement log.

```yaml
# targets.yml
version: 1
targets:
  - {metric: no_show_rate, value: 0.08, origin: "site plan 2026, agreed in January"}
```
```yaml
# actions.yml
version: 1
actions:
  - {action_id: A1, opened: 2026-02-02, indicator: no_show_rate, owner_role: front desk lead, due: 2026-06-30,
     status: done, done_date: 2026-05-20, text: Text reminders two days ahead}
```
A proportion is 0-1. A target without an origin is refused: nobody should be judged by a number from nowhere.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from therapyeval import yaml_lines
from therapyeval.errors import DataError
from therapyeval.metrics import parse
from therapyeval.period import Period
from therapyeval.yaml_lines import Block

TARGET = ("metric", "value", "origin", "from_date")
ACTION = ("action_id", "opened", "owner_role", "indicator", "due", "status", "done_date", "text", "follows")


def read_targets(path: str | Path, period: Period) -> dict[str, dict]:
    """Metric -> value and origin of the targets in force by the end of the period (the latest `from_date` wins).

    Raises
    ------
    DataError
        With the line, where an entry lacks metric, value or origin, or a value is no number.
    """
    found: dict[str, dict] = {}
    for entry in sorted(_entries(path, "targets", TARGET, ("metric", "value", "origin")), key=_from_date):
        if _from_date(entry) > period.end:
            continue
        try:
            value = float(entry.text("value"))
        except ValueError:
            raise entry.fail("value", "`value` must be a number; a proportion is 0-1.") from None
        found[parse(entry.text("metric")).text] = {"value": value, "origin": entry.text("origin")}
    return found


def read_actions(path: str | Path) -> list[dict[str, str]]:
    """The improvement log, as it is written."""
    return [{key: str(value) for key, value in entry.items()}
            for entry in _entries(path, "actions", ACTION, ("action_id", "text", "status"))]


def _entries(path: str | Path, key: str, known: tuple[str, ...], required: tuple[str, ...]) -> list[Block]:
    path = Path(path)
    try:
        top = yaml_lines.read(path.read_text(encoding="utf-8-sig"), path.name)
    except (OSError, UnicodeDecodeError):
        raise DataError(f"the file {path.name} cannot be read. Is the path right, and is it UTF-8 text?") from None
    top.only(("version", key), f"a {key} file")
    entries = top.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, Block) for entry in entries):
        raise top.fail(key, f"`{key}` must be a list: each entry begins with `- `.")
    for entry in entries:
        entry.only(known, f"an entry of {key}")
        for name in required:
            if not entry.get(name):
                raise entry.fail(None, f"an entry of {key} needs `{name}`.")
    return entries


def _from_date(entry: Block) -> date:
    text = entry.text("from_date")
    if not text:
        return date.min
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise entry.fail("from_date", "`from_date` must be a date such as 2026-01-01.") from None
