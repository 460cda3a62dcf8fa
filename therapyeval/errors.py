"""What can go wrong, as users see it: one message, one exit code, no traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 80  # signs of a name that are shown
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # all controls but the end of a line


class TherapyevalError(Exception):
    """Base of all errors that are told to users; `exit_code` is what the command returns.

    Words of a file that a message quotes cannot upset a screen: what steers one is shown as U+FFFD.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(_UNSEEN.sub("\ufffd", message))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: one line, no stack and no paths."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(TherapyevalError):
    """A command line that cannot be understood."""

    exit_code = 2


class DataError(TherapyevalError):
    """Data or a mapping that are missing, empty, not a dataset or unusable."""

    exit_code = 3


class ParameterError(TherapyevalError):
    """A parameter or argument with a wrong name, type or value."""

    exit_code = 4


class UnknownNameError(ParameterError):
    """A name that is not registered; says which names come closest."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(f"no {kind} is called {name!r}.{did_you_mean(name, known)}{hint and ' ' + hint}")


class ReportError(TherapyevalError):
    """A report that failed while it ran; its `.failed` folder keeps the notebook and the reason."""

    exit_code = 5


class NotEvaluableError(TherapyevalError):
    """A question that these data cannot answer (for example an arm without patients)."""

    exit_code = 8


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the closest known names, or all of them where they are few; long ones by their beginning.

    >>> did_you_mean("mcid_rat", ["mcid_rate", "score_change"])
    ' Did you mean mcid_rate?'
    """
    names = sorted({text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in map(str, known)})
    close = get_close_matches(str(name)[:LONGEST], names, n=3, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    if 0 < len(names) <= 12:
        return f" Known: {', '.join(names)}."
    return ""
