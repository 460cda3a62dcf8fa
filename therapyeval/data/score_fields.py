"""Where scores come from and what their columns hold: `scores:` of a table, and `measure_units:` of a mapping.

```yaml
scores:
  odi: odi_total                                                    # a column, in the unit and scale of the measure
  six_mwt: {column: walk, unit: ft}                                 # converted to the unit of the measure
  ndi: {column: NDI, scale: percent}
  grip_strength: {columns: [t1, t2, t3], combine: mean, unit: lb}
  fss_pediatric: {columns: [a, b, c, d, e, f], combine: sum}        # no score where an item is missing
  gait_speed: {distance: "10", time: seconds_10m}                   # a number of metres, or a column
  tug: {initial: tug_0, discharge: tug_12, unable: ["0", "999"]}    # one column per occasion
measure_units: {six_mwt: {unit: ft}}                                # for tables with a column of measure codes
```
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import TYPE_CHECKING

from therapyeval.data.score_units import factor, unit_named, units_like
from therapyeval.data.score_values import (
    MEAN,
    SAME_SCALE,
    SEPARATOR,
    SINGLE,
    SPEED,
    SUM,
    TWO_WAYS,
    WITH_UNIT,
    Declared,
    known_scales,
)
from therapyeval.errors import DataError, did_you_mean
from therapyeval.formatting import listed
from therapyeval.yaml_lines import Block

if TYPE_CHECKING:
    import pandas as pd

    from therapyeval.measures import Measure

SOURCES = ("column", "columns", "combine", "distance", "time")
HOLDS = ("unit", "scale", "better", "codes", "unable")
SAYS = (*HOLDS, "version", "respondent")


@dataclass(frozen=True)
class ScoreField:
    """The source of the scores of one measure: its columns, what they hold, and what every score of it is.

    `columns` are the cells that make a score, in their order; None is the fixed distance of a timed walk.
    """

    where: Block
    key: str
    code: str
    columns: tuple[str, ...] = ()
    declared: Declared = Declared()
    version: str | None = None
    respondent: str | None = None

    @property
    def label(self) -> str:
        """Tells the fields of a mapping apart."""
        return f"{self.where.file}:{self.where.lines.get(self.key, self.where.line)}:{self.code}:{self.key}"

    def fail(self, message: str) -> DataError:
        return self.where.fail(self.key, message)

    def rows(self, first: pd.DataFrame, raw: pd.DataFrame, file: str) -> pd.DataFrame:
        """`first` (patient, episode, file row) with code and text of each score; rows without a score stay out.

        Raises
        ------
        DataError
            Where the file does not have a column; with the line of the mapping.
        """
        text = self._texts(raw, file)
        part = first.assign(measure_code=self.code, score=text, _field=self.label)
        extra = {"measure_version": self.version, "respondent": self.respondent}
        return part.assign(**{name: word for name, word in extra.items() if word})[text.notna()]

    def _texts(self, raw: pd.DataFrame, file: str) -> pd.Series:
        """The cells of each score, joined; missing where there is none (no time, no trial, no value)."""
        known = [name for name in raw.columns if name not in ("_file", "_row")]
        for column in self.columns:
            if column not in known:
                raise self.fail(f"{file} has no column {column[:40]!r}.{did_you_mean(column, known)}")
        cells = [raw[column] for column in self.columns]
        if len(cells) == 1:
            return cells[0]
        present = {MEAN: cells, SUM: cells, SPEED: cells[-1:], WITH_UNIT: cells[:1]}[self.declared.form]
        there = present[0].notna()
        for cell in present[1:]:
            there |= cell.notna()
        text = cells[0].fillna("")
        for cell in cells[1:]:
            text = text + SEPARATOR + cell.fillna("")
        return text.where(there)


def read_score_fields(entry: Block, measures: MappingType[str, Measure], *,
                      is_long: bool) -> dict[str, dict[str | None, ScoreField]]:
    """Score fields by measure and timepoint; the timepoint is None where `occasion` tells it.

    Raises
    ------
    DataError
        For an unknown measure or option, and for a unit, scale or direction that the measure cannot have.
    """
    block, found = entry.block("scores"), {}
    for code in block:
        measure = known_measure(block, code, code, measures)
        value = block[code]
        points = [key for key in value if key not in (*SOURCES, *SAYS)] if isinstance(value, Block) else []
        if is_long and isinstance(value, str) and value:
            found[code] = {None: ScoreField(block, code, code, (value,))}
        elif is_long and isinstance(value, Block) and (not points or set(value) & set(SOURCES)):
            value.only((*SOURCES, *SAYS), f"`{code}`")
            found[code] = {None: _field(value, block, code, measure, value)}
        elif not is_long and points:
            value.only((*points, *SAYS), f"`{code}`")
            found[code] = {point: _field(value, value, point, measure, _point(value, point)) for point in points}
        else:
            raise block.fail(code, "with `occasion`, write `measure: column` or `measure: {column: …, unit: …}`; "
                                   "without, `measure: {initial: column, discharge: column}`.")
    return found


def read_measure_units(top: Block, measures: MappingType[str, Measure]) -> dict[str, ScoreField]:
    """What `measure_units:` declares, by measure, for tables with a column of measure codes."""
    block = top.block("measure_units")
    found = {}
    for code in block:
        measure = known_measure(block, code, code, measures)
        line = block.block(code)
        line.only(HOLDS, f"`{code}` in `measure_units`")
        if isinstance(line.get("unit"), Block):
            raise line.fail("unit", "`unit` must be one word here: the table has one unit for each measure.")
        declared = _declared(line, measure)
        _check_unit(line, measure, declared)
        found[code] = ScoreField(block, code, code, declared=declared)
    return found


def declarations(scores: Iterable[MappingType[str, MappingType[str | None, ScoreField]]],
                 measure_units: MappingType[str, ScoreField]) -> dict[str, ScoreField]:
    """Score fields by the label that their rows carry, and those of `measure_units` by measure."""
    return {**measure_units, **{field.label: field for by_code in scores for by_point in by_code.values()
                                for field in by_point.values()}}


def known_measure(block: Block, key: str, code: str, measures: MappingType[str, Measure]) -> Measure:
    """The measure of that code, or an error with the line and the closest codes."""
    if code not in measures:
        raise block.fail(key, f"no measure is called {code[:40]!r}.{did_you_mean(code, measures)} "
                              "`therapyeval measures` lists all; a measures.csv beside the data adds your own.")
    return measures[code]


def _point(value: Block, point: str) -> Block | str | None:
    """The source at one timepoint: a column, or a block of columns."""
    source = value[point]
    if isinstance(source, Block):
        source.only(SOURCES, f"`{point}`")
        return source
    return value.text(point)


def _field(says: Block, where: Block, key: str, measure: Measure, source: Block | str | None) -> ScoreField:
    """`says` holds unit, scale, …; `source` the columns: often the same block."""
    declared = _declared(says, measure)
    if isinstance(source, Block):
        form, columns, distance = _source(source, measure)
    else:
        form, columns, distance = SINGLE, (source or "",), None
    unit = says.get("unit")
    if isinstance(unit, Block):
        unit.only(("column",), "`unit`")
        if form != SINGLE or not unit.text("column"):
            raise says.fail("unit", "write it as {column: …}, beside one `column:` with the scores.")
        form, columns = WITH_UNIT, (*columns, unit.text("column"))
    declared = Declared(declared.unit, declared.scale, declared.better, declared.codes, declared.unable, form, distance)
    _check_unit(says, measure, declared)
    return ScoreField(where, key, measure.code, columns, declared, says.text("version"), says.text("respondent"))


def _source(block: Block, measure: Measure) -> tuple[str, tuple[str, ...], float | None]:
    """Form, columns and fixed distance of one of: `column`; `columns` with `combine`; `distance` with `time`."""
    ways = [key for key in ("column", "columns", "time") if block.get(key)]
    if len(ways) != 1 or ("time" in block) != ("distance" in block) or ("columns" in block) != ("combine" in block):
        raise block.fail(None, "write one of `column: …`; `columns: [a, b, c], combine: mean`; "
                               "`distance: …, time: …`.")
    if "column" in block:
        return SINGLE, (block.text("column"),), None
    if "columns" in block:
        if block.text("combine") not in (MEAN, SUM):
            raise block.fail("combine", "`combine` can be mean (of the trials) or sum (of all items).")
        return block.text("combine"), tuple(block.words("columns")), None
    if unit_named(measure.unit) != "m/s":
        raise block.fail("distance", f"`distance` and `time` give a speed, and {measure.code} is in {measure.unit}.")
    distance = block.text("distance") or ""
    if distance.replace(".", "", 1).isdigit() and float(distance):
        return SPEED, (block.text("time"),), float(distance)
    return SPEED, (distance, block.text("time")), None


def _declared(block: Block, measure: Measure) -> Declared:
    unit = None if isinstance(block.get("unit"), Block) else block.text("unit")
    if unit is not None and unit_named(unit) is None and unit != measure.unit:
        raise block.fail("unit", f"no unit is called {unit[:40]!r}. {measure.code} is kept in {measure.unit}.")
    codes = block.text("codes")
    if codes is not None and codes != "gg":
        raise block.fail("codes", f"`codes` can only be gg (Section GG items), not {codes[:40]!r}.")
    if codes and measure.maximum not in (None, 6.0):
        raise block.fail("codes", f"`codes: gg` is for one item, scored 1 to 6; {measure.code} goes to "
                                  f"{measure.maximum:g}.")
    return Declared((unit_named(unit) or unit) if unit else None, _scale(block, measure), _better(block, measure),
                    codes, tuple(block.words("unable")))


def _check_unit(block: Block, measure: Measure, declared: Declared) -> None:
    """The declared unit can be converted to that of the measure (of a speed by distance and time: it is a length)."""
    own = "m" if declared.form == SPEED else unit_named(measure.unit) or measure.unit
    if declared.unit and factor(declared.unit, own) is None:
        raise block.fail("unit", f"{declared.unit} cannot be converted to {own} ({measure.code}). "
                                 f"Use {listed(units_like(own), 'or')}.")


def _scale(block: Block, measure: Measure) -> str | None:
    scale = block.text("scale")
    if scale is None:
        return None
    known = known_scales(measure)
    name = SAME_SCALE.get(scale.casefold(), scale)
    if name not in known:
        raw = " A raw sum has a code of its own (…_raw) or must be converted by the published table first." \
            if name == "points" and "points" not in known else ""
        raise block.fail("scale", f"`scale` of {measure.code} cannot be {scale[:40]!r}; it can be "
                                  f"{listed(list(known), 'or')}.{raw}")
    return name


def _better(block: Block, measure: Measure) -> str | None:
    better = block.text("better")
    if better is None:
        return None
    if better not in ("high", "low"):
        raise block.fail("better", f"`better` must be high or low, not {better[:40]!r}.")
    registered = "high" if measure.sign > 0 else "low"
    if better != registered and TWO_WAYS.get(measure.code) is None:
        raise block.fail("better", f"in {measure.code}, {registered} scores are good. A version that runs the "
                                   "other way is another measure: add it in a measures.csv beside the data"
                                   + (" (PSFS 2.0 is never paired with PSFS)." if measure.code == "psfs" else "."))
    return better
