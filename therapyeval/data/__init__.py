"""Data in: files and a mapping become checked facts. `read_dataset` loads the engine only when it reads."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    if name in {"Dataset", "read_dataset"}:
        from therapyeval.data import dataset

        return getattr(dataset, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
