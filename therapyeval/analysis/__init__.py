"""Questions to a cohort: `summarize`, `compare`, `describe`, `dropout_curve`, `missing_panel`,
`completers`, `mcid_band`, `instrument_mix`, `sample_size`. Each gives a Result."""

from therapyeval.analysis.compare import compare
from therapyeval.analysis.describe import describe
from therapyeval.analysis.dropout import dropout_curve
from therapyeval.analysis.instruments import instrument_mix
from therapyeval.analysis.missing import completers, missing_panel
from therapyeval.analysis.sizes import sample_size
from therapyeval.analysis.summarize import summarize
from therapyeval.analysis.thresholds import mcid_band

__all__ = ["compare", "completers", "describe", "dropout_curve", "instrument_mix", "mcid_band",
           "missing_panel", "sample_size", "summarize"]
