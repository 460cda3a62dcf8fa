"""The quality report as one file: a page that asks nothing of a network and runs no script."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import therapyeval
from therapyeval.data.quality import NOT_USABLE
from therapyeval.errors import ParameterError
from therapyeval.reports.export import placed
from therapyeval.reports.gates import Gate
from therapyeval.reports.publish import Page, to_html
from therapyeval.review.data_quality import DataQuality

ENDINGS = (".html", ".htm")
KIND = "Data quality"


def check_ending(path: Path) -> None:
    """Refuse a file that would not open as a page.

    Raises
    ------
    ParameterError
        For another ending than .html.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ParameterError(f"{path.name[:60]}: the ending must be .html.")


def write_quality(quality: DataQuality, path: str | Path) -> Path:
    """Write a quality report, as it was released; the path, whose name says INTERNAL where it must.

    Raises
    ------
    ParameterError
        For another ending than .html, and a place that cannot be written.
    """
    import nbformat

    path = Path(path)
    check_ending(path)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output(
        "display_data", {"text/html": section.to_html()})]) for section in quality.sections()])
    html = to_html(notebook, _around(quality))
    return placed(path, str(quality.bundle.record["policy"]["name"]),
                  lambda part: part.write_text(html, encoding="utf-8", newline="\n"))


def _around(quality: DataQuality) -> Page:
    record = quality.bundle.record
    dataset, policy, made = record["dataset"], record["policy"], datetime.now(UTC)
    why = policy["banner"] or policy["reason"]
    facts = [("Data", dataset["name"]), ("Data up to", dataset["data_cut"]),
             ("Privacy policy", f"{policy['name']}: {why}"), ("Made", f"{made:%Y-%m-%d}")]
    failed = (Gate("data are usable", True, False, NOT_USABLE),) if record["verdict"] == NOT_USABLE else ()
    provenance = (("Data fingerprint", f"{dataset['fingerprint'][:16]} (start of the SHA-256 of what was read)"),
                  ("Software", f"therapyeval {therapyeval.__version__}"), ("Made", f"{made:%Y-%m-%d, %H:%M} UTC"))
    return Page(title=quality.bundle.title, kind=KIND, version=therapyeval.__version__,
                facts=tuple((term, str(text)) for term, text in facts if text), provenance=provenance,
                banner=str(policy["banner"]), failed=failed, stands_alone=True)
