"""The registered metrics and measures as pages of the documentation: `make pages` writes them."""

from __future__ import annotations

from therapyeval import measures, metrics
from therapyeval.display.labels import plain
from therapyeval.formatting import NOTHING
from therapyeval.measures import Measure
from therapyeval.metrics import Metric

HEAD = "<!-- Generated from the registry: edit the {what}, then run `make pages`. -->"


def metrics_page() -> str:
    """Every metric with its definition, kind, population and arguments, by name."""
    lines = ["# Metrics", "", HEAD.format(what="docstrings in therapyeval/metrics"), "",
             "Write one as `name[:measure][,argument=value]…`, the same in Python, the command and a protocol; "
             "`therapyeval metrics NAME` prints it.", "",
             "| name | what | kind | unit | better | counts | cohort rule |", "|---|---|---|---|---|---|---|"]
    entries = [metrics.get(name) for name in metrics.names()]
    lines += [_line(f"[{item.name}](#{item.name})", item.label, item.kind + (f", {item.variant}" * bool(item.variant)),
                    item.unit, item.better, item.population, item.cohort_rule) for item in entries]
    for item in entries:
        lines += ["", *_metric(item)]
    return "\n".join(lines) + "\n"


def measures_page() -> str:
    """Every measure with its range, direction and thresholds, then the sources and warnings, by code."""
    registered = [measures.get(code) for code in measures.names()]
    lines = ["# Measures", "", HEAD.format(what="rows of therapyeval/measures/measures.csv"), "",
             "A dataset may bring rows of its own in a `measures.csv` beside its data. *Recalled* thresholds were not "
             "seen in their source: give `threshold=` instead, or the number says \"threshold not verified\" and leads "
             "no headline. `therapyeval measures CODE` prints all that is known, with other published thresholds.", "",
             "| code | name | range | better | MCID | basis | confidence | MDC95 |",
             "|---|---|---|---|---|---|---|---|"]
    lines += [_measure(item) for item in registered]
    lines += ["", "## Where the MCIDs come from", "", "| code | population | source | be careful |",
              "|---|---|---|---|"]
    lines += [_line(item.code, item.mcid_population, item.mcid_source, "; ".join(item.warnings))
              for item in registered if item.mcid is not None]
    return "\n".join(lines) + "\n"


def _metric(item: Metric) -> list[str]:
    definition, source = item.said
    return [f"## {item.name}", f"**{item.label}.** {definition}", "",
            f"{source} Arguments: {', '.join(item.spelled_arguments) or 'none'}."]


def _measure(item: Measure) -> str:
    low, high = (NOTHING if bound is None else plain(bound) for bound in (item.minimum, item.maximum))
    return _line(item.code, item.name, f"{low} to {high} {item.unit}",
                 "higher" if item.sign > 0 else "lower", "" if item.mcid is None else plain(item.mcid), item.mcid_basis,
                 f"{item.confidence} ({item.confidence_of})", "" if item.mdc95 is None else plain(item.mdc95))


def _line(*cells: str) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
