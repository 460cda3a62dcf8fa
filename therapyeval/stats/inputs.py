"""Checks shared by all estimators: bad input raises ValueError, thin data never does."""

import numpy as np

_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}

NO_VALUE = "no unit has a value"
NO_VARIATION = "no variation between patients: no interval"
TWO_PATIENTS = "needs two patients for an interval"


def check_level(conf_level: float) -> float:
    """Return the confidence level; ValueError unless it lies strictly between 0 and 1."""
    if not 0 < conf_level < 1:
        raise ValueError(f"conf_level is {conf_level}, but must lie between 0 and 1, such as 0.95")
    return float(conf_level)


def check_values(values: np.ndarray, name: str = "values") -> np.ndarray:
    """Return a one-dimensional float array; ValueError where a value is missing or infinite."""
    checked = np.asarray(values, dtype=float)
    if checked.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not {checked.ndim}")
    if not np.isfinite(checked).all():
        bad = int((~np.isfinite(checked)).sum())
        raise ValueError(f"{name} holds {bad} missing or infinite values: drop (and count) them first")
    return checked


def check_counts(values: np.ndarray, name: str) -> np.ndarray:
    """Return counts as float; ValueError where one is missing, negative or not whole."""
    checked = check_values(values, name)
    if (checked < 0).any() or (checked != np.floor(checked)).any():
        raise ValueError(f"{name} must hold whole numbers that are not negative")
    return checked


def check_codes(codes: np.ndarray, length: int, *, n_groups: int) -> np.ndarray:
    """Return integer codes, one per row; ValueError where they do not fit the rows or the groups."""
    checked = np.asarray(codes)
    if checked.size == 0:
        checked = checked.astype(np.int64)
    if checked.shape != (length,):
        raise ValueError(f"group has shape {checked.shape}, but there are {length} rows")
    if checked.dtype.kind not in "iu":
        raise ValueError(f"group must hold integer codes, not {checked.dtype}")
    if length and (checked.min() < 0 or checked.max() >= n_groups):
        found = f"from {checked.min()} to {checked.max()}"
        raise ValueError(f"group codes must run from 0 to {n_groups - 1}, but run {found}")
    return checked.astype(np.int64, copy=False)


def check_cluster(cluster: np.ndarray, length: int) -> tuple[np.ndarray, int]:
    """Return clusters renumbered 0, 1, ... in order of appearance, and how many there are."""
    import pandas as pd

    labels = np.asarray(cluster)
    if labels.shape != (length,):
        raise ValueError(f"cluster has shape {labels.shape}, but there are {length} rows")
    codes, found = pd.factorize(labels)
    if (codes < 0).any():
        raise ValueError("cluster holds missing values: every row needs to belong to somebody")
    return codes, len(found)


def number_word(number: int) -> str:
    """Small numbers as words, for notes: 6 -> "six", 15 -> "15"."""
    return _WORDS.get(number, str(number))


def make_notes(length: int, *rules: tuple[np.ndarray, str]) -> np.ndarray:
    """One note per group: that of the first rule whose mask holds, else "".

    >>> empty, thin = np.array([True, False, False]), np.array([True, True, False])
    >>> make_notes(3, (empty, "empty"), (thin, "thin")).tolist()
    ['empty', 'thin', '']
    """
    notes = np.full(length, "", dtype=object)
    for mask, text in reversed(rules):
        notes[mask] = text
    return notes
