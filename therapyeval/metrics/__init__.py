"""Every metric by name. Adding one is writing one decorated function in the module of its family."""

from therapyeval.metrics import (  # noqa: F401 - they register
    access,
    adherence,
    attendance,
    authorizations,
    caseload,
    cost,
    discharge,
    effectiveness,
    efficiency,
    experience,
    goals,
    predicted,
    reliable,
    responders,
    staffing,
    stays,
)
from therapyeval.metrics.registry import Call, Metric, Values, get, names, parse

__all__ = ["Call", "Metric", "Values", "get", "names", "parse"]
