"""Multiple imputation by chained equations: complete copies of a frame, from which estimates are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.imputation_models import (
    CannotImpute,
    draw_nominal,
    draw_normal,
    draw_ordered,
    draw_pmm,
    independent,
)

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = {"normal": draw_normal, "pmm": draw_pmm, "logistic": draw_nominal, "ordered": draw_ordered,
          "nominal": draw_nominal}
METHODS = tuple(_DRAWS)


@dataclass(frozen=True)
class Imputations:
    """Complete copies of one frame.

    Attributes
    ----------
    frames : tuple of DataFrame, empty where ``note`` is not ""
    missing : DataFrame of bool: what was missing
    methods : column -> method, for each column that had missing values
    means, sds : arrays (m, iterations, columns of ``methods``): of the imputed values (of the level's number, for
        categories) after each round; chains that still drift need more iterations
    note : "" or why there are no imputations
    """

    frames: tuple[pd.DataFrame, ...]
    missing: pd.DataFrame
    methods: dict[str, str]
    means: np.ndarray
    sds: np.ndarray
    note: str


@dataclass
class _Column:
    """A column as numbers (categories as places in ``levels``), and the places it takes in the design."""

    name: str
    known: np.ndarray
    missing: np.ndarray
    levels: object
    method: str
    center: float
    scale: float
    places: slice

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Columns of the design: numbers standardized, categories as dummies."""
        if self.levels is None:
            return ((values - self.center) / self.scale)[:, None]
        return np.eye(len(self.levels))[values.astype(np.int64)][:, 1:]

    @property
    def width(self) -> int:
        return 1 if self.levels is None else max(len(self.levels) - 1, 0)


def impute(
    frame: pd.DataFrame, *, m: int, iterations: int, seed: int, methods: Mapping[str, str] | None = None
) -> Imputations:
    """Fill missing values m times, each column in turn from all others, round after round (chained equations).

    Put everything into the frame that the later analysis uses (outcome, group, covariates), and what foretells
    the outcome or its absence. Values are taken as missing at random given the other columns: `tipping_point`
    tells how much the reading hangs on that. Rows are taken as independent. Interactions that the analysis looks
    at need columns of their own, or an imputation within each group.

    Parameters
    ----------
    frame : DataFrame (n, columns): numbers, booleans, text or categories; missing are NaN, None or NA
    m : number of imputations, 1 or more: at least the percentage of incomplete rows (White et al.), 20 or more
    iterations : rounds of each chain, 1 or more: 10 is a common choice
    seed : whole number, 0 or more; the same seed gives the same imputations, and the first stay so when m grows
    methods : column -> "normal" (regression with a normal residual), "pmm" (predictive mean matching, five
        donors), "logistic" (two values), "ordered" (proportional odds; numbers or ordered categories) or
        "nominal" (multinomial). By default pmm for numbers, ordered for ordered categories, logistic for two values
        (0 and 1 too), nominal for others.

    Returns
    -------
    Imputations
        Numeric columns come back as float. None where a column has no value, no more values than its model has
        coefficients, or a model that does not converge; the note names it. Perfect prediction is kept off by a
        few light rows, as in R mice. Columns that others determine are left out of a model.

    Raises
    ------
    ValueError
        Where a number is infinite, a column is a date, a name occurs twice, a method is unknown, does not fit its
        column or names a complete one, or m, iterations or the seed are impossible.

    Complexity: m * iterations * incomplete columns regressions of n * p^2; m = 20 of 1,000 rows by 8 columns with 10
    iterations take a few seconds.

    Source: van Buuren and Groothuis-Oudshoorn (2011), J Stat Softw 45(3); White, Royston and Wood (2011), Stat Med
    30:377-399.

    >>> import pandas as pd
    >>> scores = pd.DataFrame({"before": [1.0, 2, 3, 4, 5, 6, 7], "after": [2.0, 4, 6, 8, 10, np.nan, 14]})
    >>> found = impute(scores, m=2, iterations=1, seed=1, methods={"after": "normal"})
    >>> [round(one["after"][5], 6) for one in found.frames]         # without residual there is nothing to draw
    [np.float64(12.0), np.float64(12.0)]
    """
    if m < 1 or iterations < 1 or seed < 0:
        raise ValueError("impute() needs m and iterations of 1 or more, and a seed of 0 or more")
    if frame.columns.has_duplicates:
        raise ValueError("impute() needs each column name once")
    columns = _columns(frame, dict(methods or {}))
    missing, chosen = frame.isna(), [column for column in columns if column.missing.any()]
    names = {column.name: column.method for column in chosen}
    empty = next((column.name for column in chosen if column.missing.all()), None)
    none = np.empty((0, iterations, len(chosen)))
    if empty is not None:
        return Imputations((), missing, names, none, none, f"column {empty!r} has no value to impute from")
    frames, traces = [], []
    for sequence in np.random.SeedSequence(seed).spawn(m):
        try:
            values, trace = _chain(columns, chosen, iterations, np.random.default_rng(sequence))
        except CannotImpute as problem:
            return Imputations((), missing, names, none, none, str(problem))
        frames.append(_filled(frame, chosen, values))
        traces.append(trace)
    means, sds = np.array(traces).reshape(m, iterations, len(chosen), 2).transpose(3, 0, 1, 2)
    return Imputations(tuple(frames), missing, names, means, sds, "")


def _columns(frame: pd.DataFrame, methods: dict[str, str]) -> list[_Column]:
    """All columns as numbers; ValueError where a method does not fit."""
    columns, place = [], 1
    for name in frame.columns:
        column = _column(frame[name], methods.pop(name, None))
        column.places = slice(place, place + column.width)
        place += column.width
        columns.append(column)
    if methods:
        raise ValueError(f"methods names {', '.join(map(repr, methods))}, which the frame does not have")
    return columns


def _column(series: pd.Series, method: str | None) -> _Column:
    import pandas as pd

    name, missing = series.name, series.isna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(series) or pd.api.types.is_timedelta64_dtype(series):
        raise ValueError(f"column {name!r} holds dates or times: turn them into a number of days first")
    numeric = pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)
    if numeric:
        values = series.to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(values).any():
            raise ValueError(f"column {name!r} has infinite values")
    method = _method(series, numeric, missing, method)
    if numeric and method in ("normal", "pmm", ""):
        known = values[~missing]
        center = float(known.mean()) if len(known) else 0.0
        spread = float(known.std()) if len(known) else 0.0
        return _Column(name, np.where(missing, center, values), missing, None, method, center, spread or 1.0, slice(0))
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.cat.remove_unused_categories()
        codes, levels = series.cat.codes.to_numpy(), series.cat.categories
    else:
        codes, levels = pd.factorize(series, sort=True)
    if method == "logistic" and len(levels) > 2:
        raise ValueError(f"column {name!r} has {len(levels)} values, but method 'logistic' is for two")
    return _Column(name, np.maximum(codes, 0).astype(float), missing, levels, method, 0.0, 1.0, slice(0))


def _method(series: pd.Series, numeric: bool, missing: np.ndarray, method: str | None) -> str:
    """The method of a column, "" where it is complete; ValueError where it does not fit."""
    import pandas as pd

    ordered = isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered
    if not missing.any():
        if method is not None:
            raise ValueError(f"methods names {series.name!r}, which has no missing value")
        return "" if numeric else "nominal"
    if method is None:
        two = series.nunique() == 2 and (not numeric or set(series.dropna()) == {0, 1})
        return "logistic" if two else "pmm" if numeric else "ordered" if ordered else "nominal"
    if method not in _DRAWS:
        raise ValueError(f"the method of {series.name!r} is {method!r}, but must be one of {', '.join(METHODS)}")
    if (method in ("normal", "pmm") and not numeric) or (method == "ordered" and not (numeric or ordered)):
        raise ValueError(f"column {series.name!r} holds no numbers or order: method {method!r} does not fit")
    return method


def _chain(columns: list[_Column], chosen: list[_Column], iterations: int, rng: np.random.Generator):
    """Imputed values of each chosen column at the end of one chain, and the means and SDs on the way."""
    n = len(columns[0].known) if columns else 0
    design = np.hstack([np.ones((n, 1)), *(column.encode(column.known) for column in columns)])
    values = {}
    for column in chosen:
        values[column.name] = rng.choice(column.known[~column.missing], size=int(column.missing.sum()))
        design[column.missing, column.places] = column.encode(values[column.name])
    trace = []
    for _ in range(iterations):
        for column in chosen:
            values[column.name] = _draw(column, design, rng)
            design[column.missing, column.places] = column.encode(values[column.name])
            trace.append((values[column.name].mean(), values[column.name].std()))
    return values, trace


def _draw(column: _Column, design: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """New values for the missing of one column, given the present state of all others."""
    if column.levels is not None and len(column.levels) == 1:
        return np.zeros(int(column.missing.sum()))
    others = np.delete(design, column.places, axis=1)
    x, y = others[~column.missing], column.known[~column.missing]
    keep = independent(x)
    n_levels = 0 if column.levels is None else len(column.levels)
    try:
        return _DRAWS[column.method](x[:, keep], y, others[column.missing][:, keep], n_levels, rng)
    except CannotImpute as problem:
        raise CannotImpute(f"column {column.name!r} cannot be imputed: {problem}") from None


def _filled(frame: pd.DataFrame, chosen: list[_Column], values: dict[str, np.ndarray]) -> pd.DataFrame:
    """A copy of the frame with the values in their places."""
    import pandas as pd

    filled = frame.copy()
    for column in chosen:
        if column.levels is None:
            full = column.known.copy()
            full[column.missing] = values[column.name]
            filled[column.name] = full
            continue
        code = column.known.astype(np.int64)
        code[column.missing] = values[column.name].astype(np.int64)
        full = pd.Series(column.levels.take(code), index=frame.index)
        kind = frame[column.name].dtype
        filled[column.name] = full.astype(kind) if isinstance(kind, pd.CategoricalDtype) else full
    return filled
