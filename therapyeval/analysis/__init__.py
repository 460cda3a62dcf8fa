"""Questions to a cohort: `summarize`, `compare`, `describe`, `missing_panel`, `completers`,
`mcid_band`. Each gives a Result."""

from therapyeval.analysis.compare import compare
from therapyeval.analysis.describe import describe
from therapyeval.analysis.missing import completers, missing_panel
from therapyeval.analysis.summarize import summarize
from therapyeval.analysis.thresholds import mcid_band

__all__ = ["compare", "completers", "describe", "mcid_band", "missing_panel", "summarize"]
