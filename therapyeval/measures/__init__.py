"""The registry of measures (instruments): range, direction, MCID and MDC with their sources."""

from therapyeval.measures.registry import Alternative, Measure, get, names, read

__all__ = ["Alternative", "Measure", "get", "names", "read"]
