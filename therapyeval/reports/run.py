"""One report: parameters checked, the template run, its released results published as one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from therapyeval.disclosure.policy import INTERNAL
from therapyeval.errors import ReportError, TherapyevalError
from therapyeval.parameters import COMMON, Template, Values, base_name, check, read_template
from therapyeval.reports import execute, gates
from therapyeval.reports.folder import RunFolder, run_name
from therapyeval.reports.gates import Gate
from therapyeval.reports.record import about_lines, around, describe_run
from therapyeval.result import Bundle

if TYPE_CHECKING:
    from nbformat import NotebookNode

CELL_TIMEOUT = 1_800
FILES = ("report.html", "report.ipynb", "results.csv", "results.xlsx", "run.json")


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, how it ended, and the results it shows.

    `status` is "complete" (exit code 0) or "gate failed" (exit code 7: the report exists and says so).
    """

    folder: Path
    status: str
    exit_code: int
    bundle: Bundle
    gates: tuple[Gate, ...] = ()
    seconds: float = 0.0

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"


def run_report(template: str | Path | Template, parameters: Mapping[str, object], out: str | Path, *,
               progress: Callable[[str], None] | None = None, timeout: float = CELL_TIMEOUT) -> Run:
    """Run a template over data and publish it as `OUT/<run>/`.

    Parameters
    ----------
    parameters : name -> value, checked before anything starts; None means not given
    progress : called with one short line at each step
    timeout : longest time for one cell, in seconds

    Raises
    ------
    ParameterError, UnknownNameError, DataError
        For a wrong parameter, before anything is written; also where a cell raised it.
    ReportError
        Where the report fails. `<run>.failed` then holds the notebook as far as it got, and the reason.
    """
    tell = progress or (lambda line: None)
    template = template if isinstance(template, Template) else read_template(template)
    values = check(template, parameters)
    started, clock = datetime.now(UTC), time.monotonic()
    build = RunFolder(out, _name(template, values, internal=values.policy == INTERNAL))
    notebook = None
    try:
        tell("starting a kernel")
        notebook = _prepared(template, values)
        execute.run_cells(notebook, timeout=timeout, progress=tell)
        bundle = execute.find_bundle(notebook)
        tell("writing the report")
        record = describe_run(template, values, bundle, started)
        _publish(build, notebook, values, bundle, record)
        record["duration_seconds"] = round(time.monotonic() - clock, 1)
        build.write("run.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        folder = build.finish(_name(template, values, internal=record["policy"] == INTERNAL))
    except BaseException as error:
        told = _told(error)
        _give_up(build, notebook, values, told)
        raise told from (None if told is error else error)
    return Run(folder, record["status"], record["exit_code"], bundle, gates.read_gates(bundle.record),
               record["duration_seconds"])


def _prepared(template: Template, values: Values) -> NotebookNode:
    """The notebook to run; the kernels' process loads its libraries while this one loads papermill."""
    from therapyeval.reports.kernels import warm_up

    warm_up()
    return execute.prepare(template, values)


def _publish(build: RunFolder, notebook: NotebookNode, values: Values, bundle: Bundle, record: dict) -> None:
    """Write everything but run.json into the folder that is being built."""
    import nbformat

    from therapyeval.reports.publish import to_html
    from therapyeval.reports.scrub import scrubbed
    from therapyeval.reports.spreadsheet import write_csv, write_xlsx

    clean = scrubbed(notebook, values)
    build.write("report.ipynb", nbformat.writes(clean) + "\n")
    build.write("report.html", to_html(clean, around(bundle, record)))
    write_csv(bundle.to_frame(), build.path / "results.csv")
    write_xlsx(bundle.to_frame(), build.path / "results.xlsx", about=about_lines(bundle, record),
               internal=record["policy"] == INTERNAL)


def _give_up(build: RunFolder, notebook: NotebookNode | None, values: Values, error: BaseException) -> None:
    """Leave `<run>.failed` with the notebook and the reason, and nothing that looks like a report."""
    from therapyeval.reports.scrub import machine_paths, scrubbed, without_paths

    for name in FILES:
        (build.path / name).unlink(missing_ok=True)
    if notebook is not None:
        import nbformat

        with suppress(Exception):  # the reason matters more than the notebook
            build.write("report.ipynb", nbformat.writes(scrubbed(notebook, values, error)) + "\n")
    reason = str(error) or f"The run was interrupted ({type(error).__name__})."
    folder = build.fail(without_paths(reason, machine_paths(values)))
    if folder:
        error.add_note(f"The notebook as far as it got is in {folder}.")


def _told(error: BaseException) -> BaseException:
    """The error as users hear of it; the message of an unexpected one may hold values, so only its kind is told."""
    if isinstance(error, TherapyevalError) or not isinstance(error, Exception):
        return error
    if isinstance(error, OSError):
        return ReportError(f"the report could not be written: {error.strerror or type(error).__name__}.")
    return ReportError(f"an unexpected {type(error).__name__} stopped the report.")


def _name(template: Template, values: Values, *, internal: bool) -> str:
    """Template, data and the template's own parameters: two different questions have two folders."""
    common = {parameter.name for parameter in COMMON}
    parts = [template.name, _word(template, "data", values.data)]
    for name, value in values.items():
        if name not in common and value is not None:
            word = _word(template, name, value)
            parts.append(word if template.parameters[name].required else f"{name}_{word}")
    return run_name(parts, internal=internal)


def _word(template: Template, name: str, value: object) -> str:
    if template.parameters[name].type in ("file", "data"):
        return Path(base_name(value)).stem
    return "-".join(value) if isinstance(value, list) else str(value)
