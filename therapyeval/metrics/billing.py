"""Billing units from minutes of treatment. Source: metric definitions, section 2."""

from __future__ import annotations

from collections.abc import Mapping

from therapyeval.errors import ParameterError

RULES = ("medicare", "ama")
UNIT_MINUTES, LEAST_MINUTES = 15, 8


def timed_units(minutes: Mapping[str, int], rule: str = "medicare") -> dict[str, int]:
    """Units of each timed code, from the minutes of one patient, date and discipline.

    Parameters
    ----------
    minutes : whole minutes by code
    rule : "medicare" (8-minute rule on the total: full quarters of an hour first, then one unit each to the
        largest remainders, ties to more minutes, then to the lower code) or "ama" (8-minute midpoint per code)

    Raises
    ------
    ParameterError
        For an unknown rule, or minutes that are negative or not whole.

    Source: Medicare Claims Processing Manual, ch. 5, section 20.2 (8-22 minutes 1 unit, 23-37 2, 38-52 3); CPT
    midpoint rule; metric definitions, section 2.

    >>> timed_units({"97110": 33, "97140": 7}), timed_units({"97110": 33, "97140": 7}, "ama")
    ({'97110': 2, '97140': 1}, {'97110': 2, '97140': 0})
    """
    if rule not in RULES:
        raise ParameterError(f"rule={rule!r} is not known. Use one of {', '.join(RULES)}.")
    if any(spent < 0 or spent % 1 for spent in minutes.values()):
        raise ParameterError("timed_units takes whole minutes, 0 or more.")
    if rule == "ama":
        return {code: _rounded(spent) for code, spent in minutes.items()}
    total = _rounded(sum(minutes.values()))
    units = {code: int(spent // UNIT_MINUTES) for code, spent in minutes.items()}
    ranked = sorted(minutes, key=lambda code: (-(minutes[code] % UNIT_MINUTES), -minutes[code], code))
    more = ranked[:total - sum(units.values())]
    return {code: count + (code in more) for code, count in units.items()}


def _rounded(minutes: int) -> int:
    """Quarters of an hour, counting from 8 minutes."""
    return 0 if minutes < LEAST_MINUTES else int((minutes + UNIT_MINUTES - LEAST_MINUTES) // UNIT_MINUTES)
