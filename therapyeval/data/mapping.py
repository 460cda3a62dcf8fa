"""The mapping file: how raw files become canonical tables. Read once, checked, every error with its line.

```yaml
version: 1
policy: {name: public, reason: "CC0, released with the trial"}   # public needs a reason
note: "one sentence that reports print"
data_cut: 2026-09-30                 # nothing later is used
timepoint_rule: declared             # or window (default): see metric definitions, section 6
reopen_gap_days: 30                  # also stale_days: 60, min_visits: 3, time_zone: America/New_York
measure_set:                         # primary measure first
  - {discipline: PT, region: knee, measures: [lefs, nprs]}
attributes: {chronic: yes_no}        # only for a folder of canonical tables, which has no `tables:`
tables:
  - read: trial.csv                  # in the data folder; also sheet or table, decimal, layout, ... (docs/mapping.md)
    missing: ["", "NaN"]             # codes for "no value", in every column
    missing_where: {f2: {empty: pk2}}   # f2 is missing where pk2 is empty
    keep: {is_patient: [1], group: present}   # other rows are left out and counted
    episode: {id: id, discipline: PT}         # kinds: episode, visit, enrollment, patient, referral, discharge, ...
    enrollment: {arm: {column: group, values: {1: PRT, 2: placebo}}}
    attributes: {age: number, gender: {1: male, 2: female}, years: {column: len, type: number}}
    occasion: {column: time, values: {1: initial, 2: discharge}}   # several rows per episode
    scores: {odi: odi}                                             # measure: column
    scores: {odi: {initial: odi_0, discharge: odi_12}}             # or one column per occasion; see score_fields
```

In a kind, each line is `canonical column: source`. `id` stands for the key of the table. A source is the name of a
column; a list of columns, joined by `-`; `{column: c, values: {code: word}}`; `{column: c, format: "%m/%d/%Y"}`; or,
for columns of words, a word that is no column of the file: every row then has it (`{constant: word}` says so openly).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from therapyeval import yaml_lines
from therapyeval.data import schema
from therapyeval.data.score_fields import (
    ScoreField,
    declarations,
    known_measure,
    read_measure_units,
    read_score_fields,
)
from therapyeval.errors import DataError, did_you_mean
from therapyeval.yaml_lines import Block

TOP = ("version", "policy", "note", "data_cut", "timepoint_rule", "measure_set", "attributes", "reopen_gap_days",
       "stale_days", "min_visits", "time_zone", "measure_units", "codes", "tables")
ENTRY = ("read", "sheet", "table", "delimiter", "encoding", "decimal", "thousands", "layout", "instrument", "missing",
         "missing_where", "keep", "occasion", "scores", "attributes", *schema.KINDS)
TYPES = ("number", "text", "yes_no", "date")
RULES = ("window", "declared")
DECIMALS, THOUSANDS, LAYOUTS = (".", ","), (".", ",", " ", "'"), ("redcap",)
SERIAL = "excel"  # the format of dates that are numbers of days in a workbook
POLICIES = ("public", "cms_11")
NUMBERS = {"reopen_gap_days": 30, "stale_days": 60, "min_visits": 3}  # metric definitions, sections 0 and 6


@dataclass(frozen=True)
class Field:
    """Where one canonical column or attribute comes from."""

    where: Block
    key: str
    columns: tuple[str, ...] = ()
    constant: str | None = None
    values: MappingType[str, str] | None = None
    format: str | None = None
    type: str | None = None
    may_be_constant: bool = False
    serial: bool = False

    def fail(self, message: str) -> DataError:
        return self.where.fail(self.key, message)


@dataclass(frozen=True)
class Entry:
    """One file, sheet or database table of `tables:`; `part` is the sheet or table."""

    read: str
    where: Block
    delimiter: str | None
    encoding: str | None
    missing: frozenset[str]
    missing_where: MappingType[str, str]
    keep: MappingType[str, tuple[str, ...] | None]
    kinds: MappingType[str, MappingType[str, Field]]
    occasion: Field | None
    occasion_date: Field | None
    scores: MappingType[str, MappingType[str | None, ScoreField]]
    attributes: MappingType[str, Field]
    part: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    layout: str | None = None
    instrument: str | None = None

    @property
    def reading(self) -> dict[str, object]:
        """What `sources.read` is told."""
        fields = [(schema.TABLES[schema.KINDS[kind]].columns.get(name), item)
                  for kind, named in self.kinds.items() for name, item in named.items()]
        fields += [(item.type, item) for item in self.attributes.values()]
        fields += [("date", item) for item in (self.occasion_date,) if item]
        numbers = {name for kind, item in fields if kind == "number" for name in item.columns}
        numbers |= {name for points in self.scores.values() for item in points.values() for name in item.columns}
        serial = {name for _, item in fields if item.serial for name in item.columns}
        return {"part": self.part, "delimiter": self.delimiter, "encoding": self.encoding, "decimal": self.decimal,
                "thousands": self.thousands, "number_columns": tuple(sorted(numbers)),
                "serial_dates": tuple(sorted(serial)), "layout": self.layout, "instrument": self.instrument}

    @property
    def leading(self) -> str:
        """The kind that the rows of the file stand for."""
        return next(kind for kind in schema.LEADING if kind in self.kinds)


@dataclass(frozen=True)
class Mapping:
    """A checked mapping; `text` is what was read, for the fingerprint."""

    file: str = "mapping.yml"
    text: str = ""
    policy: tuple[str, str] | None = None
    note: str = ""
    data_cut: str | None = None
    timepoint_rule: str = "window"
    time_zone: str | None = None
    reopen_gap_days: int = 30
    stale_days: int = 60
    min_visits: int = 3
    measure_set: tuple[tuple[str, str | None, tuple[str, ...]], ...] = ()
    attributes: MappingType[str, Field] = field(default_factory=dict)
    codes: MappingType[str, str] = field(default_factory=dict)
    tables: tuple[Entry, ...] = ()
    measure_units: MappingType[str, ScoreField] = field(default_factory=dict)

    @property
    def score_fields(self) -> dict[str, ScoreField]:
        """What is declared of scores: by the label that rows of `scores:` carry, and by measure."""
        return declarations((entry.scores for entry in self.tables), self.measure_units)


def read_mapping(path: Path, measures: MappingType[str, object]) -> Mapping:
    """Read and check a mapping file.

    Parameters
    ----------
    path : of the YAML file
    measures : code -> Measure; scores may only name these

    Raises
    ------
    DataError
        Where the file is missing, has a tab, an unknown key, measure, type or rule; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise DataError(f"the mapping {path.name} cannot be read. Is the path right?") from None
    except UnicodeDecodeError:
        raise DataError(f"the mapping {path.name} is not UTF-8 text. Save it again as UTF-8.") from None
    top = yaml_lines.read(text, path.name)
    top.only(TOP, "a mapping")
    if top.text("version") != "1":
        raise top.fail("version", "a mapping needs `version: 1`.")
    entries = top.get("tables", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Block) for entry in entries):
        raise top.fail("tables", "`tables` must be a list: each file begins with `- read: NAME`.")
    if entries and "attributes" in top:
        raise top.fail("attributes", "with `tables`, declare attributes inside the table that has their columns.")
    tables = tuple(_entry(entry, measures) for entry in entries)
    attributes = _attributes(top)
    _refuse_alike([attributes, *(entry.attributes for entry in tables)])
    return Mapping(
        file=path.name, text=text, policy=_policy(top), note=top.text("note") or "", data_cut=_data_cut(top),
        timepoint_rule=_one_of(top, "timepoint_rule", RULES, "window"), time_zone=_time_zone(top),
        **{name: _whole_number(top, name, default) for name, default in NUMBERS.items()},
        measure_set=_measure_set(top, measures), attributes=attributes, codes=_codes(top, measures),
        tables=tables, measure_units=read_measure_units(top, measures))


def _data_cut(top: Block) -> str | None:
    text = top.text("data_cut")
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise top.fail("data_cut", f"`data_cut` {text[:40]!r} is not a date. Write it as 2026-09-30.") from None


def _policy(top: Block) -> tuple[str, str] | None:
    if "policy" not in top:
        return None
    block = top.block("policy")
    block.only(("name", "reason"), "`policy`")
    name, reason = _one_of(block, "name", POLICIES, None), block.text("reason") or ""
    if not name:
        raise top.fail("policy", f"`policy` needs a name: {', '.join(POLICIES)}.")
    if name == "public" and not reason.strip():
        raise top.fail("policy", "`policy: public` needs a `reason:` (why anybody may see these data).")
    return name, reason


def _one_of(block: Block, key: str, known: tuple[str, ...], default: str | None) -> str | None:
    value = block.text(key, default)
    if value is not None and value not in known:
        raise block.fail(key, f"`{key}` cannot be {value[:40]!r}.{did_you_mean(value, known)}")
    return value


def _whole_number(top: Block, key: str, default: int) -> int:
    value = top.text(key, str(default))
    if not value.isdigit():
        raise top.fail(key, f"`{key}` must be a whole number, not {value[:40]!r}.")
    return int(value)


def _time_zone(top: Block) -> str | None:
    name = top.text("time_zone")
    if name is not None and not is_time_zone(name):
        raise top.fail("time_zone", f"{name[:40]!r} is not a time zone. Write one such as America/New_York.")
    return name


def is_time_zone(name: str) -> bool:
    """Whether this machine knows a time zone of that name."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _measure_set(top: Block, measures: MappingType[str, object]) -> tuple:
    found = []
    lines = top.get("measure_set", [])
    for block in lines if isinstance(lines, list) else [lines]:
        if not isinstance(block, Block):
            raise top.fail("measure_set", "write each line of `measure_set` as "
                                          "{discipline: PT, region: knee, measures: [lefs]}.")
        block.only(("discipline", "region", "measures"), "`measure_set`")
        codes = block.words("measures")
        if not codes or not block.text("discipline"):
            raise block.fail(None, "a line of `measure_set` needs discipline and measures.")
        for code in codes:
            known_measure(block, "measures", code, measures)
        found.append((_one_of(block, "discipline", schema.DISCIPLINES, None),
                      _one_of(block, "region", schema.REGIONS, None), tuple(codes)))
    return tuple(found)


def _codes(top: Block, measures: MappingType[str, object]) -> dict[str, str]:
    """What the codes of a FHIR export or an OMOP database stand for."""
    block = top.block("codes")
    known = (*measures, *schema.DISCIPLINES, *schema.VISIT_STATUSES_IN, *schema.PAYERS)
    for code in block:
        if block[code] not in known:
            raise block.fail(code, f"a code must stand for a measure, a discipline, a visit status or a payer, not "
                                   f"{str(block[code])[:40]!r}.{did_you_mean(str(block[code]), known)}")
    return dict(block)


def _entry(block: Block, measures: MappingType[str, object]) -> Entry:
    block.only(ENTRY, "a table")
    read = block.text("read") or ("" if "table" in block else None)  # a table of the database that is given
    if read is None or "/" in read or "\\" in read:
        raise block.fail("read", "`read` must be the name of a file in the data folder (no path).")
    kinds = {kind: _kind(block, kind) for kind in schema.KINDS if kind in block}
    if not kinds:
        raise block.fail(None, f"a table needs at least one of {', '.join(schema.KINDS)}.")
    occasion = block.block("occasion")
    occasion.only(("column", "values", "date", "format"), "`occasion`")
    if occasion and not occasion.text("column"):
        raise occasion.fail(None, "`occasion` needs `column:`, the column that tells the occasions apart.")
    if (occasion or "scores" in block) and "episode" not in kinds:
        key = "scores" if "scores" in block else "occasion"
        raise block.fail(key, f"`{key}` needs `episode: {{id: …}}` in the same table.")
    return Entry(read, block, block.text("delimiter"), block.text("encoding"), frozenset(block.words("missing")),
                 _missing_where(block), _keep(block), kinds,
                 Field(occasion, "column", (occasion["column"],), values=_values(occasion)) if occasion else None,
                 _occasion_date(occasion), read_score_fields(block, measures, is_long=bool(occasion)),
                 _attributes(block), **_options(block))


def _options(block: Block) -> dict[str, str | None]:
    """How the rows of one entry are read."""
    if "sheet" in block and "table" in block:
        raise block.fail("table", "a workbook has a `sheet:`, a database a `table:`; leave out one of them.")
    layout = _one_of(block, "layout", LAYOUTS, None)
    if "instrument" in block and layout != "redcap":
        raise block.fail("instrument", "`instrument` needs `layout: redcap`.")
    delimiter = block.text("delimiter")
    if delimiter and (len(delimiter) > 1 or not delimiter.isascii() or delimiter in '"\r\n'):
        raise block.fail("delimiter", f"`delimiter` must be one sign such as , or ; and not {delimiter[:40]!r}.")
    decimal = _one_of(block, "decimal", DECIMALS, None)
    thousands = _one_of(block, "thousands", THOUSANDS, None)
    if thousands and thousands == (decimal or "."):
        raise block.fail("thousands", "`thousands` and `decimal` cannot be the same sign "
                                      "(without `decimal:`, it is the point).")
    return {"part": block.text("sheet") or block.text("table"), "decimal": decimal, "thousands": thousands,
            "layout": layout, "instrument": block.text("instrument")}


def _kind(entry: Block, kind: str) -> dict[str, Field]:
    block, table = entry.block(kind), schema.TABLES[schema.KINDS[kind]]
    block.only(("id", *table.columns) if table.key else tuple(table.columns), f"`{kind}`")
    found = {}
    for key in block:
        name = table.key if key == "id" else key
        kind_of_column = table.columns[name]
        found[name] = _field(block, key, may_be_constant=kind_of_column in ("text", "id") and name != table.key
                             and name not in schema.ROW_NEEDS[schema.KINDS[kind]] or isinstance(kind_of_column, tuple))
    return found


def _field(block: Block, key: str, *, may_be_constant: bool = False) -> Field:
    """A canonical column's source."""
    value = block[key]
    if isinstance(value, str) and value:
        return Field(block, key, (value,), may_be_constant=may_be_constant)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return Field(block, key, tuple(value))
    if not isinstance(value, Block) or not value:
        raise block.fail(key, f"`{key}` needs the name of a column.")
    value.only(("column", "values", "format", "constant"), f"`{key}`")
    if "constant" in value:
        if not may_be_constant:
            raise value.fail("constant", f"`{key}` must come from a column; it cannot be the same in every row.")
        return Field(block, key, constant=value.text("constant"))
    if not value.text("column"):
        raise block.fail(key, f"`{key}` needs `column:`.")
    return Field(block, key, (value.text("column"),), values=_values(value), **_format(value))


def _format(block: Block) -> dict[str, object]:
    """How dates are written; serial dates of a workbook become ISO text when it is read."""
    form = block.text("format")
    return {"format": None, "serial": True} if form == SERIAL else {"format": form}


def _values(block: Block) -> dict[str, str] | None:
    values = block.block("values")
    for code, word in values.items():
        if not isinstance(word, str):
            raise values.fail(code, f"the value of {code[:40]!r} must be one word.")
    return dict(values) if "values" in block else None


def _occasion_date(occasion: Block) -> Field | None:
    if "date" not in occasion:
        return None
    return Field(occasion, "date", (occasion.text("date"),), **_format(occasion))


def _keep(entry: Block) -> dict[str, tuple[str, ...] | None]:
    """Allowed values by column; None means any value, but not missing."""
    block = entry.block("keep")
    return {column: None if block[column] == "present" else tuple(block.words(column)) for column in block}


def _missing_where(entry: Block) -> dict[str, str]:
    block = entry.block("missing_where")
    found = {}
    for column in block:
        rule = block.block(column)
        rule.only(("empty",), f"`missing_where: {column[:40]}`")
        if not rule.text("empty"):
            raise block.fail(column, "write it as {empty: COLUMN}: missing where that other column is empty.")
        found[column] = rule.text("empty")
    return found


def _attributes(entry: Block) -> dict[str, Field]:
    block = entry.block("attributes")
    return {name: _attribute(block, name) for name in block}


def _refuse_alike(attributes: Iterable[MappingType[str, Field]]) -> None:
    """Attributes, of one table or several, whose names differ by capitals only, which the engine does not see."""
    seen: dict[str, str] = {}
    for name, item in (pair for fields in attributes for pair in fields.items()):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise item.fail(f"the attributes `{other}` and `{name}` differ by capitals only. Give both the same "
                            "name, or one of them another.")


def _attribute(block: Block, name: str) -> Field:
    if not name.isidentifier() or name.startswith("_"):
        raise block.fail(name, f"{name[:40]!r} cannot be the name of an attribute: use letters, digits and _, and "
                               "begin with a letter.")
    plain = name.casefold()
    is_used = plain in schema.USED_NAMES
    if is_used or plain != name and plain in schema.COLUMN_NAMES:  # capitals make no difference in the engine
        raise block.fail(name, f"an attribute cannot be called `{name}`: the facts have a column of that name. "
                               f"Write `{'my_' if is_used else ''}{plain}: {{column: {name}, type: …}}`.")
    value = block[name]
    if isinstance(value, str):
        if value not in TYPES:
            raise block.fail(name, f"`{name}` cannot be of type {value[:40]!r}.{did_you_mean(value, TYPES)}")
        return Field(block, name, (name,), type=value)
    if not isinstance(value, Block) or not value:
        raise block.fail(name, f"`{name}` needs a type ({', '.join(TYPES)}) or a block of codes.")
    if "column" not in value:  # {1: male, 2: female}
        codes = {code: value.text(code) or "" for code in value}
        return Field(block, name, (name,), values=codes, type="text")
    value.only(("column", "type", "values", "format"), f"`{name}`")
    return Field(block, name, (value.text("column") or "",), values=_values(value), **_format(value),
                 type=_one_of(value, "type", TYPES, "text"))
