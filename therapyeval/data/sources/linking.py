"""Which episode a row without a link belongs to: the patient's only one that holds its day. Never a guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

VISIT_DAYS, SCORE_DAYS = 1, 7  # days outside an episode; data model, sections 1 and 5


class Spans:
    """The episodes of each patient with their first and last day (ISO text; no last day: still open)."""

    def __init__(self, episodes: Iterable[tuple[str | None, str, str | None, str | None]]) -> None:
        self._of: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for patient, episode, start, end in episodes:
            first, last = _ordinal(start), _ordinal(end)
            if patient and first is not None:
                self._of[patient].append((episode, first, last or date.max.toordinal()))

    def episode(self, patient: str | None, day: str | None, margin: int) -> str | None:
        """The only episode of a patient that a day falls into, `margin` days outside included; else None.

        >>> Spans([("p", "e1", "2026-01-05", "2026-02-01"), ("p", "e2", "2026-02-02", None)]).episode(
        ...     "p", "2026-01-04T10:00:00Z", 1)
        'e1'
        """
        number = _ordinal(day)
        found = [episode for episode, first, last in self._of.get(patient or "", ())
                 if number is not None and first - margin <= number <= last + margin]
        return found[0] if len(found) == 1 else None


def _ordinal(day: str | None) -> int | None:
    try:
        return date.fromisoformat((day or "")[:10]).toordinal()
    except ValueError:
        return None
