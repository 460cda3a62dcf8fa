"""Every metric by name. Adding one is writing one decorated function in the module of its family."""

from therapyeval.metrics import access, attendance, discharge, effectiveness, efficiency  # noqa: F401 - they register
from therapyeval.metrics.registry import Call, Metric, Values, get, names, parse

__all__ = ["Call", "Metric", "Values", "get", "names", "parse"]
