"""Results that were not released, in a notebook: their numbers go to the screen and are never kept.

No released view is kept in their place: tables that are released one by one can be subtracted from each other.
"""

from __future__ import annotations

from html import escape

from therapyeval.explorer.views import Answers
from therapyeval.result import Result, on_screen_only


def live(shown: object) -> tuple[dict[str, object], dict[str, object]] | None:
    """What a notebook is given to show; None, which leaves it to the object itself, where all was released.

    Parameters
    ----------
    shown : a Result, or a bundle that has Results as attributes

    Returns
    -------
    (dict, dict) or None
        MIME type -> content, and its metadata: a widget that gets the numbers as a message, and as HTML and text,
        which are saved, a sentence.
    """
    results = [shown] if isinstance(shown, Result) else [part for part in vars(shown).values()
                                                         if isinstance(part, Result)]
    unreleased = [result for result in results if result.policy is None]
    if not unreleased:
        return None
    sentence = unreleased[0].unsaid
    saved = f"<p>{escape(sentence)}</p>"
    answers = Answers(saved=_wrapped(saved))
    with on_screen_only():
        answers.show(_wrapped(shown._repr_html_()))
    data, metadata = answers._repr_mimebundle_()
    return {**data, "text/plain": sentence, "text/html": saved}, metadata


def _wrapped(html: str) -> str:
    return f'<div class="te-x te-x-wide">{html}</div>'
