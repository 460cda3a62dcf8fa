"""A template with its parameters, run by papermill in a report kernel; errors come out as ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from therapyeval.errors import ReportError, TherapyevalError
from therapyeval.parameters import Values, read_template
from therapyeval.result import MIME_TYPE, Bundle

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from therapyeval.parameters import Template

INJECTED = "injected-parameters"
START_TIMEOUT = 120
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"therapyeval[\\/]([\w\\/]+\.py):(\d+)")


def prepare(template: Template | str, values: Values) -> NotebookNode:
    """The template's notebook with a cell of parameters, as papermill writes it, not run yet."""
    from papermill.iorw import load_notebook_node

    if isinstance(template, str):
        template = read_template(template)
    notebook = load_notebook_node(str(template.notebook))
    if not any("parameters" in cell.metadata.tags for cell in notebook.cells):
        raise ReportError(f"{template.notebook.name} has no cell with the tag `parameters`.")
    return inject(notebook, values.literals())


def inject(notebook: NotebookNode, literals: dict[str, object]) -> NotebookNode:
    """The notebook with its injected cell made, or made anew, from these literals."""
    from papermill.parameterize import parameterize_notebook

    return parameterize_notebook(notebook, literals, kernel_name="python3", language="python")


def run_cells(notebook: NotebookNode, *, timeout: float, progress: Callable[[str], None]) -> None:
    """Run the notebook in place, up to the first error.

    `timeout` is the longest that one cell may take, in seconds.

    Raises
    ------
    TherapyevalError
        The error that a cell raised, as its own class with its own message; a ReportError for any other
        error, without its message, which may hold values of patients.
    """
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    from therapyeval.reports.kernels import ReportKernelManager

    def tell(cell: NotebookNode, cell_index: int, **_: object) -> None:
        progress(f"cell {cell_index + 1} of {len(notebook.cells)}")

    try:
        papermill_engines.execute_notebook_with_engine(
            None, notebook, kernel_name="python3", progress_bar=False, start_timeout=START_TIMEOUT,
            execution_timeout=timeout, kernel_manager_class=ReportKernelManager, on_cell_start=tell)
    except CellTimeoutError:
        raise ReportError(f"{_last_cell(notebook)} took longer than {timeout:g} seconds and was stopped.") from None
    except DeadKernelError:
        raise ReportError(f"the kernel died in {_last_cell(notebook)}: it was killed, or memory ran out.") from None
    except (RuntimeError, OSError) as error:
        raise ReportError(f"no kernel could be started ({type(error).__name__}).") from error
    error = first_error(notebook)
    if error:
        raise error


def first_error(notebook: NotebookNode) -> TherapyevalError | None:
    """The first error among the outputs, as the class it had in the kernel."""
    known = {kind.__name__: kind for kind in _kinds(TherapyevalError)}
    for number, cell in enumerate(_code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type != "error":
                continue
            if output.ename in known:
                kind = known[output.ename]
                error = kind.__new__(kind)
                error.args = (output.evalue,)
                return error
            place = _PLACE.findall(_COLORS.sub("", "\n".join(output.traceback)))
            where = f"therapyeval/{place[-1][0]}, line {place[-1][1]}" if place else f"cell {number}"
            return ReportError(f"an unexpected {output.ename} in {where} stopped the report. Its message is not kept, "
                               "because it may hold values of patients; run the template in Jupyter to see it.")
    return None


def find_bundle(notebook: NotebookNode) -> Bundle:
    """The one bundle of released Results among the outputs.

    Raises
    ------
    ReportError
        Where there is none or more than one, or where it holds no Result or one that was not released.
    """
    found = [output.data[MIME_TYPE] for cell in _code_cells(notebook) for output in cell.outputs
             if MIME_TYPE in output.get("data", {})]
    if len(found) != 1:
        raise ReportError(f"a report shows exactly one set of results; this template showed {len(found)}.")
    try:
        bundle = Bundle.from_dict(found[0])
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"the set of results cannot be read ({type(error).__name__}).") from None
    policies = {named.result.policy for named in bundle.tables}
    if not policies or None in policies:
        raise ReportError("the template shows results that were not released under a privacy policy, or none at all.")
    if len(policies) > 1:
        raise ReportError(f"the results were released under different policies: {', '.join(sorted(policies))}.")
    return bundle


def _kinds(base: type) -> list[type]:
    return [base, *(kind for child in base.__subclasses__() for kind in _kinds(child))]


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _last_cell(notebook: NotebookNode) -> str:
    """The cell that was running: papermill marks cells as it goes."""
    cells = _code_cells(notebook)
    started = [i for i, cell in enumerate(cells, start=1) if cell.metadata.get("papermill", {}).get("start_time")]
    return f"cell {started[-1] if started else 1} of {len(cells)}"
