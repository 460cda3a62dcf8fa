"""Whether the assumptions of a comparison hold: residuals, influence, spread, sparse cells, overdispersion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from therapyeval.stats.inputs import check_codes, check_counts, check_values
from therapyeval.stats.intervals import check_shares
from therapyeval.stats.joint_test import NAN, JointTest, chi_square_test, no_test

if TYPE_CHECKING:
    import pandas as pd

    from therapyeval.stats.linear_model import Design

MOST_FOR_NORMALITY = 5000
EXACT = "the model fits without error: nothing to check"
LONELY = "a row is alone in determining a coefficient: its influence has no bound"


@dataclass(frozen=True)
class ResidualChecks:
    """What least squares leaves over.

    ``skewness`` is the third moment of the residuals in SDs, 0 for symmetric ones. ``normality`` is Shapiro and Wilk's
    W (df are NaN). ``spread`` is Breusch and Pagan's chi-square, studentized: does the residual spread depend on group
    or covariates? ``influence`` is the largest Cook's distance of a single row. Notes of the parts say why one is NaN;
    ``note`` says why influence is.
    """

    skewness: float
    normality: JointTest
    spread: JointTest
    influence: float
    note: str


def residual_checks(outcome: np.ndarray, group: np.ndarray, covariates: pd.DataFrame) -> ResidualChecks:
    """Checks of the model that `adjusted_difference` fits; without covariates that of a difference of means.

    Parameters
    ----------
    outcome : array of float, without NaN
    group : array of int, one code from 0 per row
    covariates : DataFrame with one complete row per outcome, in the same order; may have no columns

    Returns
    -------
    ResidualChecks
        All NaN where the model is not determined or fits without error. Normality needs 3 to 5000 rows; influence no
        row that is alone in determining a coefficient. Notes say so.

    Raises
    ------
    ValueError
        Where lengths differ, a value is missing or infinite, a code is negative, or a covariate is a date.

    Source: Cook (1977), Technometrics 19:15-18; Breusch and Pagan (1979) as studentized by Koenker (1981), J
    Econometrics 17:107-112 (R ``lmtest::bptest``); Shapiro and Wilk (1965), Biometrika 52:591-611.

    >>> import pandas as pd
    >>> days = np.array([29.0, 42, 38, 40, 43, 40, 30, 42, 26, 32, 21, 20, 23, 22])
    >>> found = residual_checks(days, np.repeat([0, 1], [8, 6]), pd.DataFrame(index=range(14)))
    >>> round(found.skewness, 3), round(found.influence, 3), round(found.spread.p_value, 3)
    (-0.382, 0.299, 0.481)
    """
    from therapyeval.stats import linear_model

    outcome = check_values(outcome, "outcome")
    group = check_codes(group, len(outcome), n_groups=int(np.max(group, initial=-1)) + 1)
    design = linear_model.make_design(group, covariates)
    problem = linear_model.why_not_estimable(design, "classical")
    fit = None if problem else linear_model.least_squares(design, outcome)
    size = np.nan if problem else float(np.sqrt(np.mean(fit.residual**2)))
    problem = problem or ("" if size > max(fit.noise, 1e-12 * np.abs(outcome).mean()) else EXACT)
    if problem:
        return ResidualChecks(NAN, no_test(_NORMAL, problem), no_test(_SPREAD, problem), NAN, problem)
    share = fit.residual / size
    leverage = (fit.q**2).sum(axis=1)
    n, p = fit.q.shape
    alone = bool((leverage > 1 - 1e-10).any())
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = share**2 * (n - p) / n * leverage / (p * (1 - leverage) ** 2)
    return ResidualChecks(float((share**3).mean()), _normality(share), _spread(share, fit.q),
                          NAN if alone else float(distance.max()), LONELY if alone else "")


def smallest_expected(successes: np.ndarray, n: np.ndarray) -> float:
    """The smallest count that a cell of groups by outcome would have if all groups were alike; NaN without units.

    Below 5, tests by chi-square and intervals that rest on it are rough. Groups with n = 0 are left out.

    Parameters
    ----------
    successes, n : arrays of int, one entry per group

    Raises
    ------
    ValueError
        Where not 0 <= successes <= n.

    Source: Cochran (1954), Biometrics 10:417-451; as R ``chisq.test(...)$expected``.

    >>> smallest_expected(np.array([3, 9]), np.array([20, 20]))
    6.0
    """
    successes, n = check_shares(successes, n)
    successes, n = successes[n > 0], n[n > 0]
    if not n.sum():
        return NAN
    share = successes.sum() / n.sum()
    return float(n.min() * min(share, 1 - share))


def dispersion(events: np.ndarray, exposure: np.ndarray, group: np.ndarray, covariates: pd.DataFrame) -> float:
    """How much more counts vary than Poisson: Pearson's chi-square of a Poisson model by its degrees of freedom.

    About 1 where Poisson holds; well above 1 its intervals are too narrow. NaN where the model is not determined, does
    not converge, or has no degrees of freedom.

    Parameters
    ----------
    events, exposure, group, covariates : as in `adjusted_rate_ratio`

    Raises
    ------
    ValueError
        As `adjusted_rate_ratio`.

    Source: McCullagh and Nelder (1989), section 6.2.3.

    >>> import pandas as pd
    >>> falls, days = np.array([0, 2, 1, 5, 0, 9, 1, 3]), np.array([30.0, 30, 28, 30, 21, 30, 30, 30])
    >>> round(dispersion(falls, days, np.repeat([0, 1], 4), pd.DataFrame(index=range(8))), 3)
    3.281
    """
    from therapyeval.stats import linear_model
    from therapyeval.stats.maximum_likelihood import fit_poisson

    events, exposure = check_counts(events, "events"), check_values(exposure, "exposure")
    if len(events) != len(exposure) or (exposure <= 0).any():
        raise ValueError("dispersion() needs an exposure above 0 for each count")
    group = check_codes(group, len(events), n_groups=int(np.max(group, initial=-1)) + 1)
    design = linear_model.make_design(group, covariates)
    if linear_model.why_not_estimable(design, "classical"):
        return NAN
    fit = fit_poisson(design.columns, events, np.log(exposure))
    if fit.problem:
        return NAN
    return pearson_dispersion(events, exposure, design, fit.beta)


def pearson_dispersion(events: np.ndarray, exposure: np.ndarray, design: Design, beta: np.ndarray) -> float:
    """Pearson's chi-square of a Poisson model by its degrees of freedom."""
    mean = exposure * np.exp(design.columns @ beta)
    return float(((events - mean) ** 2 / mean).sum() / (len(events) - len(beta)))


_NORMAL, _SPREAD = "Shapiro-Wilk", "Breusch-Pagan, studentized"


def _normality(share: np.ndarray) -> JointTest:
    from scipy.stats import shapiro

    if not 3 <= len(share) <= MOST_FOR_NORMALITY:
        return no_test(_NORMAL, f"needs 3 to {MOST_FOR_NORMALITY} rows")
    found = shapiro(share)
    return JointTest(float(found.statistic), NAN, NAN, float(found.pvalue), _NORMAL, "")


def _spread(share: np.ndarray, q: np.ndarray) -> JointTest:
    """n R^2 of the squared residuals on the same design, which holds the constant."""
    square = share**2 - 1
    total, df = (square**2).sum(), q.shape[1] - 1
    if df < 1 or total <= 1e-20 * len(share):
        return no_test(_SPREAD, "nothing that spread could depend on")
    return chi_square_test(len(share) * ((q.T @ square) ** 2).sum() / total, df, _SPREAD)
