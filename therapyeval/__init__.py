"""therapyeval: a workbench for evaluating therapy programs. Public names load on first use.

>>> import therapyeval as te
>>> te.measures.get("lefs").mcid
9.0
"""

import sys
from importlib import import_module

from therapyeval.parameters import parameters

__version__ = "0.1.0"

_HOMES = {
    "read_dataset": "data.dataset",
    "summarize": "analysis",
    "compare": "analysis",
    "describe": "analysis",
    "dropout_curve": "analysis",
    "missing_panel": "analysis",
    "completers": "analysis",
    "mcid_band": "analysis",
    "instrument_mix": "analysis",
    "sample_size": "analysis",
    "release": "disclosure",
    "control_chart": "benchmark.control_chart",
    "quality": "review.data_quality",
    "quarterly_review": "review.quarterly",
    "read_protocol": "pilot.protocol",
    "evaluate_pilot": "pilot.evaluation",
    "run_report": "reports.run",
    "explore": "explorer.views",
    "map_form": "explorer.mapping_form",
}
_MODULES = ("measures", "metrics", "stats")
_SHOWN_LIVE = (("therapyeval.result", "Result"), ("therapyeval.benchmark.control_chart", "ControlChart"))

__all__ = ["parameters", *_HOMES, *_MODULES]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _show_live_in_notebooks() -> None:
    """In a Jupyter kernel, have unreleased numbers shown on the screen and not saved: `explorer.outputs`."""
    find_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = find_shell and find_shell()
    if hasattr(shell, "kernel"):
        for home, name in _SHOWN_LIVE:
            shell.display_formatter.mimebundle_formatter.for_type_by_name(home, name, _live)


def _live(shown: object) -> object:
    return import_module(f"{__name__}.explorer.outputs").live(shown)


_show_live_in_notebooks()
