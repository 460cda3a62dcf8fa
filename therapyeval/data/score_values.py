"""The texts of one column of scores as numbers, as the column is declared; what is undecided is asked, never guessed.

A unit, a scale and the good end hold for a whole column, so this works on the distinct texts of a column and gives
one row for each: the caller joins them back. Source: data model, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from therapyeval.data import schema
from therapyeval.data.score_units import factor, unit_named
from therapyeval.formatting import listed
from therapyeval.measures import Measure

SEPARATOR = "\x1f"  # between the cells that make one score: three trials, distance and time, value and unit
SINGLE, WITH_UNIT, MEAN, SUM, SPEED = "single", "with_unit", "mean", "sum", "speed"

# Scales that are both in use under one name, and the exact factor to the scale of the measure. NDI: 50 points = 100%.
SCALES = {"ndi": {"points": 1.0, "percent": 0.5}, "ndi_pct": {"percent": 1.0, "points": 2.0}}
SCALE_TOPS = {"points": 50.0, "percent": 100.0}
SCALE_BY_CODE = {"ndi_pct": "percent"}  # a code that says its scale
INTERVAL = ("koos_jr", "hoos_jr")  # Rasch interval score, 0-100
T_PREFIXES = ("promis", "ampac_6c")
SAME_SCALE = {"raw": "points", "interval": "scaled", "t": "T", "t-score": "T", "t_score": "T"}
# Measures seen in both directions: the range of the reversed scoring (None: the reversed one is another measure).
# Oxford scores: 12 (best) to 60 became 0 to 48 (best), new = 60 - old. Murray 2007, J Bone Joint Surg Br 89:1010.
TWO_WAYS: dict[str, tuple[float, float] | None] = {"pgic": (1, 7), "oss": (12, 60), "psfs": None}
ASKED_UNITS = {"m": ("metres or feet", "`unit: m` or `unit: ft`"), "kg": ("kilograms or pounds", "`unit: kg` or "
                                                                          "`unit: lb`")}
TOO_HIGH = {"six_mwt": (800.0, "probably feet"), "gait_speed": (5.0, "probably seconds or cm/s")}  # in m and in m/s
NOT_TIMES = (0.0, 999.0, 9999.0)  # placeholders where a time or a speed belongs
GG_REASONS = {"07": ("refused", "refused"), "09": ("not applicable", "not_due"),
              "10": ("environmental limitation", "not_done"), "88": ("medical or safety reason", "unable"),
              "-": ("not assessed", "not_done"), "^": ("skipped as the form says", "not_due")}

RANGE = "a range such as 4-6 in place of a score; its mean is used"
OUT_OF = "written as n of the highest score, such as 5/10; n is used"
OTHER_TOP = "n of another highest score than that of the measure; not read"
FEWER = "some trials are not there; the mean of the others is used"
INCOMPLETE = "not all items are there; no score"
NO_TIME = "0 or 999 where a time or a speed belongs; taken as missing"

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_FORM = re.compile(rf"(?P<low>[+-]?{_NUMBER}(?:e[+-]?\d+)?)(?:\s*(?:[-–]|to)\s*(?P<high>{_NUMBER}))?"
                   rf"(?:\s*(?:/|out of|of)\s*(?P<top>{_NUMBER}))?\s*(?P<unit>%|[a-z][a-z/]*\.?)?", re.IGNORECASE)
_PLAIN = re.compile(rf"[+-]?{_NUMBER}")
_NOTHING = (np.nan, None, np.nan, None, None)
_HEADERS = {"percent": re.compile(r"%|pct|percent|0\s*-\s*100", re.IGNORECASE),
            "points": re.compile(r"points|pts|(?:^|[^a-z])raw(?:$|[^a-z])|/\s*50|0\s*-\s*50", re.IGNORECASE)}


@dataclass(frozen=True)
class Declared:
    """What a column of scores holds, as the mapping says; None where it says nothing.

    `form` says which cells make a score; `distance` is a fixed one (m, or in `unit`), with only times in the cells.
    """

    unit: str | None = None
    scale: str | None = None
    better: str | None = None
    codes: str | None = None
    unable: tuple[str, ...] = ()
    form: str = SINGLE
    distance: float | None = None


@dataclass(frozen=True)
class Question:
    """Why a column cannot be read: `what` asks, `todo` shows the answers; `rows` are the texts (positions) that ask."""

    what: str
    todo: str
    rows: np.ndarray


@dataclass(frozen=True)
class Values:
    """One row for each text: number (float, NaN for none), reason and flag (text or None), unread (not understood).

    `scale` is what to note as `score_scale` (None: nothing); `done` says what was done to the whole column.
    """

    frame: pd.DataFrame
    question: Question | None = None
    scale: str | None = None
    done: str = ""


def read_values(texts: Sequence[str], measure: Measure, declared: Declared, headers: Sequence[str] = ()) -> Values:
    """Numbers in the unit, scale and direction of the measure, or a question.

    Parameters
    ----------
    texts : distinct texts of one column; the cells of one score joined by SEPARATOR
    headers : names of the columns, which may say points or percent
    """
    cells = _cells(texts, measure, declared)
    scale, doubt = _scale(cells, measure, declared, headers)
    unit, unit_doubt = _unit(cells, measure, declared)
    question = doubt or _which_end(cells, measure, declared) or unit_doubt
    if question:  # without a number there is nothing to decide
        return Values(_combined(cells, len(texts), declared), question if len(question.rows) else None)
    _check_tops(cells, measure, scale)
    done = _to_registered(cells, measure, declared, scale, unit)
    frame = _combined(cells, len(texts), declared)
    if unit_named(measure.unit) in ("s", "m/s"):
        frame = _without(frame, frame["number"].isin(NOT_TIMES), NO_TIME)
    return Values(frame, scale=_stored(measure) if scale else None, done=done)


def _cells(texts: Sequence[str], measure: Measure, declared: Declared) -> pd.DataFrame:
    """Every cell: owner (position of its text), place in it, and what is written there."""
    split = [str(text).split(SEPARATOR) for text in texts]
    if declared.form == WITH_UNIT:
        split = [[f"{parts[0]} {parts[1]}"] if len(parts) > 1 and parts[0].strip() else [parts[0]] for parts in split]
    read = _read_gg if declared.codes == "gg" else _Reader(declared.unable)
    rows = [(owner, place, *read(text.strip().casefold()))
            for owner, parts in enumerate(split) for place, text in enumerate(parts)]
    return pd.DataFrame(rows, columns=["owner", "place", "number", "unit", "top", "reason", "flag", "unread"]).astype(
        {"owner": "int64", "place": "int64", "number": "float64", "unit": "object", "top": "float64",
         "reason": "object", "flag": "object", "unread": "bool"})


class _Reader:
    """number, unit, top, reason, flag, unread of one cell; words and numbers that stand for no score are known."""

    def __init__(self, unable: Sequence[str]) -> None:
        self.words = {word.replace("_", " "): word for word in schema.MISSING_REASONS}
        self.words |= {" ".join(word.casefold().split()): "unable" for word in unable}
        self.numbers = {float(word) for word in unable if _PLAIN.fullmatch(word.strip())}

    def __call__(self, text: str) -> tuple:
        word = " ".join(text.replace("_", " ").split())
        if word in self.words:
            return np.nan, None, np.nan, self.words[word], None, False
        found = _FORM.fullmatch(text)
        if not found:
            return *_NOTHING, bool(text)
        low, top = float(found["low"]), float(found["top"]) if found["top"] else np.nan
        if low in self.numbers and not found["high"]:
            return np.nan, None, np.nan, "unable", None, False
        high = float(found["high"]) if found["high"] else low
        if high < low or high > top or not np.isfinite(low):
            return *_NOTHING, True
        unit = found["unit"] and (unit_named(found["unit"]) or found["unit"])
        return (low + high) / 2, unit, top, None, RANGE if found["high"] else OUT_OF if found["top"] else None, False


def _read_gg(text: str) -> tuple:
    """Only 1 to 6 are scores of a GG item."""
    code = text.removesuffix(".0").zfill(2) if text.removesuffix(".0").isdigit() else text
    if code in GG_REASONS:
        what, reason = GG_REASONS[code]
        return np.nan, None, np.nan, reason, f"GG code {code} ({what}); no score", False
    is_score = code in ("01", "02", "03", "04", "05", "06")
    return float(code) if is_score else np.nan, None, np.nan, None, None, bool(text) and not is_score


def known_scales(measure: Measure) -> Mapping[str, float]:
    """The scales that a measure may be declared in, with their factors to its own."""
    if measure.code in SCALES:
        return SCALES[measure.code]
    if measure.code in INTERVAL:
        return {"scaled": 1.0}
    if measure.unit == "T-score":
        return {"T": 1.0}
    if unit_named(measure.unit) == "%":
        return {"percent": 1.0}
    is_hundred = (measure.minimum, measure.maximum) == (0, 100)
    return {"points": 1.0, "percent": 1.0} if is_hundred else {"points": 1.0}


def _stored(measure: Measure) -> str:
    """What `score_scale` calls the scale that a measure is kept in."""
    name = next(name for name, size in known_scales(measure).items() if size == 1)
    return "raw" if name == "points" else name


def must_name_scale(measure: Measure) -> bool:
    """Whether the scale of this measure has to be said: raw sums and converted scores look alike."""
    return measure.code in INTERVAL or (measure.unit == "T-score" and measure.code.startswith(T_PREFIXES))


def _scale(cells: pd.DataFrame, measure: Measure, declared: Declared,
           headers: Sequence[str]) -> tuple[str | None, Question | None]:
    """The scale of the whole column (None where a measure has only one), or what to ask."""
    said = SAME_SCALE.get((declared.scale or "").casefold(), declared.scale)
    percent = (cells["unit"] == "%").to_numpy()
    known = known_scales(measure)
    if must_name_scale(measure):
        name = next(iter(known))
        return (said, None) if said == name else (None, Question(
            f"is this the {name} score of the published table, or a raw sum? They look alike",
            f"Write `scale: {name}` for this column if it is. A raw sum has a code of its own (…_raw) or must be "
            "converted first.", _given(cells)))
    if measure.code in SCALES:
        return _points_or_percent(cells, said or SCALE_BY_CODE.get(measure.code), percent,
                                  () if said else headers)
    if percent.any() and "percent" not in known:
        return None, Question(f"values have a % sign, but the measure is in {measure.unit}",
                              "Map the column to a measure in percent, or correct the export.", _owners(cells, percent))
    return None, None


def _points_or_percent(cells: pd.DataFrame, said: str | None, percent: np.ndarray,
                       headers: Sequence[str]) -> tuple[str | None, Question | None]:
    """Declared, or from header and signs in the values, which must agree. The size of a value never decides."""
    signs = {"percent": percent | (cells["top"] == SCALE_TOPS["percent"]).to_numpy(),
             "points": (cells["top"] == SCALE_TOPS["points"]).to_numpy()}
    claims = {name for name, mask in signs.items() if mask.any()} | ({said} - {None})
    claims |= {name for name, form in _HEADERS.items() if any(form.search(header) for header in headers)}
    if len(claims) == 1 and claims <= set(SCALE_TOPS):
        return claims.pop(), None
    high = (cells["number"] > SCALE_TOPS["points"]).to_numpy()
    signed = signs["percent"] | signs["points"]
    if claims:
        why, rows = "Declaration, header and values (% signs, /50, /100) do not agree", signed
    elif high.any():
        why, rows = "Some values are above 50, which points cannot be", high
    else:
        why, rows = "All values are at most 50, which fits both", high
    return None, Question(f"is this points (0-50) or percent (0-100)? {why}",
                          "Write `scale: points` or `scale: percent` for this column.",
                          _owners(cells, rows) if rows.any() else _given(cells))


def _unit(cells: pd.DataFrame, measure: Measure, declared: Declared) -> tuple[str | None, Question | None]:
    """The unit that the column is in, or what to ask. A unit that nobody knows makes its value unread."""
    own = unit_named(measure.unit) or measure.unit.casefold()
    written = cells["unit"].where(cells["unit"] != "%")
    names = [unit for unit in written.dropna().unique() if unit == own or unit_named(unit)]
    strange = written.notna() & ~written.isin(names)
    cells["number"], cells["unread"] = cells["number"].mask(strange), cells["unread"] | strange
    if declared.form == SPEED:
        return _speed_units(cells, declared)
    if declared.form == WITH_UNIT and len(names) == 1 and factor(names[0], own):
        return names[0], None
    unit = declared.unit or own
    others = [name for name in names if name != unit]
    if others:
        fits = [name for name in others if factor(name, own)]
        todo = f"Write `unit: {fits[0]}` if the whole column is in it. " if fits and len(names) == 1 else ""
        return None, Question(f"values are written with the unit {listed(others)}, but the column is taken to be in "
                              f"{unit}", f"{todo}One column has one unit: otherwise correct the export.",
                              _owners(cells, written.isin(others).to_numpy()))
    return unit, None if declared.unit or names else _ask_unit(cells, measure, own)


def _ask_unit(cells: pd.DataFrame, measure: Measure, own: str) -> Question | None:
    """Nothing says the unit: ask where two are in use, and where the values cannot be in that of the measure."""
    limit, probably = TOO_HIGH.get(measure.code, (np.inf, ""))
    high = (cells["number"] > limit).to_numpy()
    hint = f"Values above {limit:g} {measure.unit} are {probably}" if high.any() else ""
    rows = _owners(cells, high) if high.any() else _given(cells)
    if own in ASKED_UNITS:
        either, todo = ASKED_UNITS[own]
        return Question(f"is this in {either}? {hint or 'Nothing says so'}", f"Write {todo} for this column.", rows)
    if high.any():
        return Question(f"is this in {measure.unit}? {hint}", f"Write the unit, such as `unit: cm/s` or `unit: {own}`, "
                        "or give `{distance: …, time: …}`.", rows)
    return None


def _speed_units(cells: pd.DataFrame, declared: Declared) -> tuple[str | None, Question | None]:
    """Of a distance and a time: every written unit must be that of its column."""
    unit = declared.unit or "m"
    is_time = cells["place"] == (0 if declared.distance is not None else 1)
    differ = cells["unit"].notna() & (cells["unit"] != np.where(is_time, "s", unit))
    if differ.any():
        return None, Question(f"a distance that is not in {unit}, or a time that is not in seconds",
                              "`unit:` names the unit of the distance; give the time in seconds.",
                              _owners(cells, differ.to_numpy()))
    return unit, None


def _which_end(cells: pd.DataFrame, measure: Measure, declared: Declared) -> Question | None:
    """Measures in use in both directions: the mapping says which end is good."""
    if measure.code not in TWO_WAYS:
        return None
    if declared.better is None:
        return Question("which end is good? Both directions are in use",
                        "Write `better: high` or `better: low` for this column.", _given(cells))
    old = TWO_WAYS[measure.code]
    if declared.better == "low" and old:
        outside = ((cells["number"] < old[0]) | (cells["number"] > old[1])).to_numpy()
        if outside.any():
            return Question(f"where low is good, scores go from {old[0]:g} to {old[1]:g}, and some do not",
                            "Find out how the column was scored.", _owners(cells, outside))
    return None


def _check_tops(cells: pd.DataFrame, measure: Measure, scale: str | None) -> None:
    """`n/m` is read only where m is the highest score."""
    highest = SCALE_TOPS[scale] if measure.code in SCALES else measure.maximum
    other = cells["top"].notna() & (cells["top"] != (np.inf if highest is None else highest))
    cells.loc[other, ["number", "flag"]] = [np.nan, OTHER_TOP]


def _to_registered(cells: pd.DataFrame, measure: Measure, declared: Declared, scale: str | None,
                   unit: str | None) -> str:
    """Change the numbers to the scale, direction and unit of the measure; says what was done."""
    if measure.code in SCALES:
        size = SCALES[measure.code][scale]
        cells["number"] *= size
        return "" if size == 1 else f"{scale} converted to {measure.unit} (multiplied by {size:g})"
    if declared.better == "low" and TWO_WAYS.get(measure.code):
        best = TWO_WAYS[measure.code][0] + (measure.maximum or 0)  # the lowest old score becomes the highest new one
        cells["number"] = best - cells["number"]
        return f"low was declared as good; turned round ({best:g} - score)"
    if declared.form == SPEED:
        cells.loc[cells["place"] == 0, "number"] *= factor(unit, "m") if declared.distance is None else 1
        return "speed = distance / time"
    size = factor(unit, unit_named(measure.unit) or measure.unit.casefold())
    cells["number"] *= size
    return "" if size == 1 else f"{unit} converted to {measure.unit} (multiplied by {size:.6g})"


def _combined(cells: pd.DataFrame, n: int, declared: Declared) -> pd.DataFrame:
    """One row for each text: one cell, the mean of the trials, the sum of all items, or distance over time."""
    by_owner = cells.groupby("owner")
    frame = by_owner.agg(number=("number", "mean"), reason=("reason", "first"), flag=("flag", "first"),
                         unread=("unread", "any"), given=("number", "count"), places=("place", "size"))
    frame = frame.reindex(range(n))
    if declared.form == MEAN:
        fewer = (frame["given"] > 0) & (frame["given"] < frame["places"])
        frame["flag"] = frame["flag"].mask(fewer & frame["flag"].isna(), FEWER)
        frame["reason"] = frame["reason"].mask(frame["given"] > 0)
    if declared.form == SUM:
        incomplete = (frame["given"] > 0) & (frame["given"] < frame["places"])
        frame["number"] = (frame["number"] * frame["given"]).mask(incomplete)
        frame["flag"] = frame["flag"].mask(incomplete, INCOMPLETE)
    if declared.form == SPEED:
        wide = cells.pivot(index="owner", columns="place", values="number").reindex(range(n))
        metres = declared.distance * factor(declared.unit or "m", "m") if declared.distance is not None else wide[0]
        seconds = wide[wide.columns[-1]]  # the only column where the distance is fixed
        frame["number"] = metres / seconds.where(~seconds.isin(NOT_TIMES))
        frame["flag"] = frame["flag"].mask(seconds.isin(NOT_TIMES), NO_TIME)
    lost = frame["number"].isna() & frame["reason"].isna() & frame["flag"].isna()
    frame["unread"] = (frame["unread"].eq(True) | lost) & frame["number"].isna()
    return frame[["number", "reason", "flag", "unread"]]


def _without(frame: pd.DataFrame, mask: pd.Series, flag: str) -> pd.DataFrame:
    return frame.assign(number=frame["number"].mask(mask), flag=frame["flag"].mask(mask, flag))


def _owners(cells: pd.DataFrame, mask: np.ndarray) -> np.ndarray:
    return cells.loc[mask, "owner"].unique()


def _given(cells: pd.DataFrame) -> np.ndarray:
    return cells.loc[cells["number"].notna(), "owner"].unique()
