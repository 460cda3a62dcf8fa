"""The synthetic sample: an invented rehab network with a pilot inside and the truth beside it."""

from importlib import import_module

__all__ = ["write_sample"]


def __getattr__(name: str) -> object:
    """Load `write_sample` when it is first asked for: it needs pandas."""
    if name != "write_sample":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.sample").write_sample
