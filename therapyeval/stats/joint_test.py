"""One test of several things at once: all groups equal, no trend, no interaction."""

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True)
class JointTest:
    """A test without a single estimate. ``df_error`` is NaN for a chi-square test.

    ``note`` is "" or says why the numbers are NaN, or warns of numbers that stand.
    """

    statistic: float
    df: float
    df_error: float
    p_value: float
    method: str
    note: str


def f_test(statistic: float, df: float, df_error: float, method: str) -> JointTest:
    """The upper tail of F.

    >>> round(f_test(16.96, 2, 21, "").p_value, 6)
    4.1e-05
    """
    from scipy.special import fdtrc

    p_value = float(fdtrc(df, df_error, statistic))
    return JointTest(float(statistic), float(df), float(df_error), p_value, method, "")


def chi_square_test(statistic: float, df: float, method: str) -> JointTest:
    """The upper tail of chi-square.

    >>> round(chi_square_test(3.841459, 1, "").p_value, 6)
    0.05
    """
    from scipy.special import chdtrc

    return JointTest(float(statistic), float(df), NAN, float(chdtrc(df, statistic)), method, "")


def no_test(method: str, note: str) -> JointTest:
    """A test that the data do not determine."""
    return JointTest(NAN, NAN, NAN, NAN, method, note)
