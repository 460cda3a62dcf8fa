"""Questions to a cohort: `summarize`, `compare`, `describe`. Each gives a Result."""

from therapyeval.analysis.compare import compare
from therapyeval.analysis.describe import describe
from therapyeval.analysis.summarize import summarize

__all__ = ["compare", "describe", "summarize"]
