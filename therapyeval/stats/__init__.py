"""Numbers in, estimates out. This layer knows nothing of therapy.

It is the only home of scipy.stats and statsmodels. Estimators take a group code per row and return one
number per group, for all groups at once. Names load on first use, so that importing the package is cheap.
"""

from importlib import import_module

_HOMES = {
    "Interval": "intervals",
    "PairSums": "intervals",
    "mean": "intervals",
    "proportion": "intervals",
    "ratio": "intervals",
    "pair_sums": "intervals",
    "event_rate": "intervals",
    "median": "intervals",
    "sd": "summaries",
    "quantile": "summaries",
    "extremes": "summaries",
    "counts": "summaries",
    "n_distinct": "summaries",
    "time_quantile": "survival",
    "cumulative_incidence": "competing_risks",
    "growth": "exact",
    "standardized_mean": "bootstrap",
    "Contrast": "contrasts",
    "welch": "contrasts",
    "risk_difference": "contrasts",
    "adjusted_difference": "contrasts",
    "smd_numeric": "balance",
    "smd_categorical": "balance",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
