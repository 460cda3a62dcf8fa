"""Units of scores: how they are written, and exact factors between those of one kind.

Source of the factors: international yard and pound (1959): 1 ft = 0.3048 m, 1 lb = 0.45359237 kg, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

# kind -> unit -> (its size in the first unit of the kind, how else it is written)
UNITS: Mapping[str, Mapping[str, tuple[float, str]]] = {
    "length": {"m": (1.0, "meter meters metre metres"), "cm": (0.01, "centimeters centimetres"),
               "mm": (0.001, "millimeters millimetres"), "ft": (0.3048, "foot feet"),
               "in": (0.0254, "inch inches"), "yd": (0.9144, "yard yards yds")},
    "mass": {"kg": (1.0, "kgs kgf kilogram kilograms"), "lb": (0.45359237, "lbs lbf pound pounds")},
    "time": {"s": (1.0, "sec secs second seconds"), "min": (60.0, "mins minute minutes")},
    "speed": {"m/s": (1.0, "mps m/sec"), "cm/s": (0.01, "cm/sec"), "ft/s": (0.3048, "fps ft/sec"),
              "mph": (0.44704, ""), "km/h": (1 / 3.6, "kmh kph")},
    "percent": {"%": (1.0, "percent pct")},
    "count": {"repetitions": (1.0, "reps rep repetition"), "points": (1.0, "pts point pt")},
}
_KIND = {unit: kind for kind, units in UNITS.items() for unit in units}
_NAME = {word: unit for units in UNITS.values() for unit, (_, others) in units.items()
         for word in (unit, *others.split())}


def unit_named(text: str) -> str | None:
    """The unit that a word stands for (capitals and a final dot do not matter), or None.

    >>> unit_named("Feet"), unit_named("sec."), unit_named("parsec")
    ('ft', 's', None)
    """
    return _NAME.get(text.strip().casefold().removesuffix("."))


def factor(unit: str, wanted: str) -> float | None:
    """What a value in `unit` is multiplied by to be in `wanted`; None for units of different kinds.

    >>> factor("ft", "m"), factor("ft", "kg")
    (0.3048, None)
    """
    if unit == wanted:
        return 1.0
    kind = _KIND.get(unit)
    if kind is None or kind == "count" or kind != _KIND.get(wanted):
        return None
    return UNITS[kind][unit][0] / UNITS[kind][wanted][0]


def units_like(unit: str) -> tuple[str, ...]:
    """All units of the kind of this one."""
    kind = _KIND.get(unit)
    return tuple(UNITS[kind]) if kind not in (None, "count") else (unit,)
