"""What leaves the workbench, and what does not. Names load on first use, so that importing is cheap."""

from importlib import import_module

_HOMES = {
    "THRESHOLD": "policy",
    "MIN_SPREAD": "policy",
    "PRESETS": "policy",
    "Policy": "policy",
    "choose_policy": "policy",
    "release": "suppression",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
