"""Least squares with group dummies and covariates: the design, its faults, the fit and its variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.cluster_robust import cr1, cr2

if TYPE_CHECKING:
    import pandas as pd

_COLLINEAR = 1e-7  # as R lm: a column with less than this share of its length outside the others adds nothing
_LEVERAGE = 1e-10


@dataclass(frozen=True)
class Design:
    """One dummy per group that occurs (there is no intercept), then the covariates' columns, centered.

    ``owner`` names the covariate of each column ("" for groups); ``constant`` lists covariates without
    variation, ``rare`` those of which some value occurs in one row only, so that this row has leverage 1.
    """

    groups: np.ndarray
    columns: np.ndarray
    owner: list[str]
    constant: list[str]
    rare: list[str]


@dataclass(frozen=True)
class Fit:
    """Least squares through a QR decomposition: fitted values are ``q @ effects``."""

    q: np.ndarray
    r: np.ndarray
    effects: np.ndarray
    residual: np.ndarray
    noise: float


def make_design(group: np.ndarray, covariates: pd.DataFrame) -> Design:
    """Build the design; ValueError where covariates do not fit the rows, are dates or have missing values."""
    if len(covariates) != len(group):
        raise ValueError(f"covariates has {len(covariates)} rows, but there are {len(group)} outcomes")
    groups, code = np.unique(group, return_inverse=True)
    blocks, owner = [np.eye(len(groups))[code]], [""] * len(groups)
    constant, rare = [], [""] if (np.bincount(code) == 1).any() else []
    for place, name in enumerate(covariates.columns):
        block, levels_once, n_levels = _covariate_columns(covariates.iloc[:, place], name)
        if n_levels == 1:
            constant.append(str(name))
        if levels_once and (n_levels == 2 or block.shape[1] > 1):
            rare.append(str(name))
        blocks.append(block)
        owner += [str(name)] * block.shape[1]
    return Design(groups, np.hstack(blocks), owner, constant, rare)


def _covariate_columns(column: pd.Series, name: object) -> tuple[np.ndarray, bool, int]:
    """A covariate's centered columns, whether some value occurs only once, and how many values it has."""
    import pandas as pd

    if column.isna().any():
        raise ValueError(f"covariate {name!r} has missing values: pass complete rows, and count the others")
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise ValueError(f"covariate {name!r} holds dates or times: turn them into a number of days first")
    codes, levels = pd.factorize(column, sort=True)
    once = bool((np.bincount(codes) == 1).any())
    if pd.api.types.is_numeric_dtype(column):
        block = column.to_numpy(dtype=float).reshape(-1, 1)
        if not np.isfinite(block).all():
            raise ValueError(f"covariate {name!r} has infinite values")
    else:
        block = np.eye(len(levels))[codes][:, 1:]
    return block - block.sum(axis=0) / max(len(block), 1), once, len(levels)


def why_not_estimable(design: Design, variance: str) -> str:
    """The reason why differences (or their variance) are not determined; "" where they are."""
    n, p = design.columns.shape
    if n == 0:
        return "no unit has a value"
    if design.constant:
        return f"covariate {design.constant[0]!r} is constant"
    if n <= p:
        return "needs more rows than coefficients"
    q, r = np.linalg.qr(design.columns)
    length = np.linalg.norm(design.columns, axis=0)
    outside = np.divide(np.abs(np.diag(r)), length, out=np.zeros(p), where=length > 0)
    if (outside < _COLLINEAR).any():
        name = design.owner[int(np.argmax(outside < _COLLINEAR))]
        return f"covariate {name!r} is collinear with the groups or the covariates before it"
    if variance in ("HC2", "HC3") and ((q**2).sum(axis=1) > 1 - _LEVERAGE).any():
        who = "a row is alone in determining a coefficient"
        if design.rare:
            name = design.rare[-1]
            who = f"a value of {name!r} occurs only once" if name else "a group has one row"
        return f"{variance} needs leverage below 1: {who}"
    return ""


def least_squares(design: Design, outcome: np.ndarray) -> Fit:
    """Fit the centered outcome (which leaves differences as they are)."""
    center = outcome.mean()
    outcome = outcome - center
    q, r = np.linalg.qr(design.columns)
    effects = q.T @ outcome
    residual = outcome - q @ effects
    correction = q.T @ residual
    residual = residual - q @ correction
    noise = 1e-13 * max(float(np.sqrt(np.mean(outcome**2))), 1e-15 * abs(center))
    return Fit(q, r, effects + correction, residual, noise)


def differences(
    fit: Fit, design: Design, a: np.ndarray, b: np.ndarray, variance: str, cluster: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, standard error and df of each difference a - b; NaN where a group is absent."""
    n, p = fit.q.shape
    present = np.isin(a, design.groups) & np.isin(b, design.groups)
    contrast = np.zeros((p, len(a)))
    where = np.flatnonzero(present)
    contrast[np.searchsorted(design.groups, a[present]), where] = 1
    contrast[np.searchsorted(design.groups, b[present]), where] = -1
    direction = np.linalg.solve(fit.r.T, contrast)
    if cluster is not None:
        square, df = (cr1 if variance == "CR1" else cr2)(fit.q, fit.residual, direction, cluster)
    else:
        square, df = _heteroscedastic(fit, direction, variance), np.full(len(a), float(n - p))
    estimate = direction.T @ fit.effects
    return tuple(np.where(present, part, np.nan) for part in (estimate, np.sqrt(square), df))


def _heteroscedastic(fit: Fit, direction: np.ndarray, variance: str) -> np.ndarray:
    """Variance of each difference: equal spread, or White's with (1 - leverage) to the power 1 or 2."""
    n, p = fit.q.shape
    if variance == "classical":
        return (direction**2).sum(axis=0) * (fit.residual**2).sum() / (n - p)
    leverage = (fit.q**2).sum(axis=1)
    square = fit.residual**2 / (1 - leverage) ** (1 if variance == "HC2" else 2)
    return square @ (fit.q @ direction) ** 2
