"""Canonical tables as they were read to checked tables: types, quarantine, rows entered twice.

The engine looks at every value; only row numbers and counts of what is wrong come out. A bad value costs the value;
only a row without a usable key, date or status goes to quarantine.
Source: metric definitions, section 9; data model, sections 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from therapyeval.data import convert, engine, schema
from therapyeval.data.mapping import Field, is_time_zone
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger
from therapyeval.data.score_fields import ScoreField
from therapyeval.data.score_table import UNREAD, read_scores
from therapyeval.data.sources.raw import BLANK, LINE_ENDS, MARK, UNSEEN
from therapyeval.errors import DataError, did_you_mean
from therapyeval.formatting import first_few

SHOWN_FROM, SHOWN_LENGTH = 11, 24  # an unknown code is named when so many rows have it and it is no longer
WHAT = {"number": "a number", "date": "an ISO date (YYYY-MM-DD) from 1900 to 2099", "yes_no": "yes or no",
        "datetime": "an ISO date or time from 1900 to 2099"}
OURS = ["_at", "_file", "_row"]
BAD = "_bad_{}".format
READ = "{}_read".format  # what a table is called in the engine once it has types


@dataclass(frozen=True)
class Reading:
    """One table while it is checked.

    Attributes
    ----------
    source : the rows as they were read, with `_at`, `_file` and `_row`
    rows : with types; `_lacks` says what keeps a row from being used (see `needs`), `_bad_*` which values cannot be
    types : of the columns that are read
    needs : columns without which a row cannot be used; `_lacks` is twice the place here (a bad value), or one more
        (no value)
    """

    name: str
    connection: object
    source: object
    rows: object
    types: dict[str, object]
    needs: list[str]


def check_table(connection, name: str, source, attributes: MappingType[str, Field], measures: MappingType[str, object],
                ledger: Ledger, *, declared_timepoints: bool = False, is_text: bool = False,
                scores: MappingType[str, ScoreField] = MappingProxyType({})):
    """One table with typed columns, without the rows that nothing can use.

    Parameters
    ----------
    source : Ibis table of the rows as they were read, with `_at`, `_file`, `_row`
    attributes : declared further columns of this table
    declared_timepoints : whether scores are paired by their labels, so that they need no date
    is_text : text is converted once and stored; a Parquet file is scanned again by whoever asks
    scores : what the mapping declares of units and scales (`Mapping.score_fields`)

    Returns
    -------
    Ibis table
        A datetime column `x` gives `x` (as written), `x_has_time` and `x_offset` (minutes).

    Raises
    ------
    DataError
        Where most dates of a column are not ISO dates, so that their format has to be declared; where the unit,
        scale or good end of a column of scores is open.
    """
    if name == "assessments" and "score" in source.columns:
        source = read_scores(connection, source, scores, measures, ledger)
    types = {column: schema.TABLES[name].columns[column] for column in source.columns
             if column in schema.TABLES[name].columns}
    if name == "assessments":
        types["measure_code"] = tuple(measures)
    types.update({column: _attribute_type(field) for column, field in attributes.items()})
    if not is_text:
        source = _in_one_line(connection, source, [column for column, kind in types.items() if kind == "text"])
    needs = [column for column in schema.ROW_NEEDS[name]
             if column in types and not (declared_timepoints and column == "date")]
    make = engine.keep if is_text else engine.view
    rows = make(connection, READ(name), _typed(name, source, types, needs))
    reading = Reading(name, connection, source, rows, types, needs)
    flags = _flagged(reading)
    _refuse_undeclared_dates(reading, flags, ledger)
    lost = _quarantine(reading, flags, ledger)
    for column in (column for column in types if BAD(column) in flags):
        _report_bad(reading, column, flags[flags[BAD(column)] & flags["_lacks"].isna()], ledger)
    lost += _entered_twice(reading, ledger)
    return _without(reading, lost)


def _in_one_line(connection, source, columns: list[str]):
    """Words of a Parquet file that a reader will see, without control characters (other sources have none)."""
    odd = engine.matching(connection, source, [name for name in columns if source[name].type().is_string()], UNSEEN)
    return source.mutate(**{column: source[column].re_replace(LINE_ENDS, " ").re_replace(UNSEEN, MARK)
                            for column in odd}) if odd else source


def _attribute_type(field: Field) -> object:
    return field.type if field.values is None else tuple(word for word in dict.fromkeys(field.values.values()) if word)


def _typed(name: str, source, types: MappingType[str, object], needs: list[str]):
    """The columns with types, which values are bad, and what each row lacks."""
    import ibis

    columns, bad = {}, {}
    for column, kind in types.items():
        values, wrong = _converted(column, source[column], kind)
        columns.update({f"{column}{end}": value for end, value in values.items()})
        if wrong is not None:
            bad[column] = wrong
    if UNREAD in source.columns:
        bad["score"] = source[UNREAD]
    rows = source.select(*OURS, **columns, **{BAD(column): wrong for column, wrong in bad.items()})
    lacks = []
    for place, column in enumerate(needs):
        lacks += [(rows[BAD(column)], 2 * place)] if column in bad else []
        lacks += [(rows[column].isnull(), 2 * place + 1)]
    return rows.mutate(_lacks=ibis.cases(*lacks, else_=None).cast("int8"))


def _converted(column: str, given, kind: object):
    """Values (by the ending of their name) of a column, and which are bad (None: none can be)."""
    if isinstance(kind, tuple):
        value, bad = convert.to_code(given, kind)
    elif column == "time_zone":
        value = convert.to_text(given)
        known = [zone for zone in engine.fetch(value.name("zone").as_table().distinct())["zone"].dropna()
                 if is_time_zone(zone)]
        value, bad = convert.to_code(given, known)
    elif kind in ("id", "text"):
        value, bad = convert.to_text(given), None
    elif kind == "datetime":
        return convert.to_datetime(given)
    else:
        value, bad = {"number": convert.to_number, "date": convert.to_date, "yes_no": convert.to_yes_no}[kind](given)
    if column == "age" and kind == "number":
        bad |= (value.notnull() & ~value.between(0, schema.MAX_AGE)).fill_null(False)
        value = bad.ifelse(None, value)
    return {"": value}, bad


def _flagged(reading: Reading) -> pd.DataFrame:
    """The rows with something wrong: row number, what they lack, and which values are bad."""
    flags = [engine.quoted(name) for name in reading.rows.columns if name.startswith(BAD(""))]
    return engine.ask(reading.connection, f"SELECT {', '.join([*OURS, '_lacks', *flags])} FROM {READ(reading.name)} "
                                          f"WHERE {' OR '.join(['_lacks IS NOT NULL', *flags])} ORDER BY _at")


def _refuse_undeclared_dates(reading: Reading, flags: pd.DataFrame, ledger: Ledger) -> None:
    """Most texts of a column are no ISO dates: a format is missing, and is not guessed."""
    for column, kind in reading.types.items():
        if kind not in ("date", "datetime") or not flags[BAD(column)].any():
            continue
        bad, given = flags[flags[BAD(column)]], convert.to_text(reading.source[column])
        n_given = int(given.count().to_pyarrow().as_py())
        if len(bad) * 2 > n_given:
            raise DataError(
                f"{ledger.file_name(bad['_file'].iloc[0])}: {len(bad)} of {n_given} values of {column} "
                f"({reading.name}) are not dates such as 2026-07-31 (file rows {first_few(bad['_row'].tolist())}). "
                f'Declare how they are written in a mapping: `{{column: {column}, format: "%m/%d/%Y"}}`.')


def _quarantine(reading: Reading, flags: pd.DataFrame, ledger: Ledger) -> list[int]:
    """Count the rows that lack something under the first thing they lack; their places."""
    lacking = flags[flags["_lacks"].notna()]
    blank = _blank(reading) if len(lacking) else set()
    is_blank = lacking["_at"].isin(blank)
    ledger.set_aside(LEFT_OUT, reading.name, lacking[is_blank], BLANK)
    for place, column in enumerate(reading.needs):
        bad, none = (lacking[~is_blank & (lacking["_lacks"] == number)] for number in (2 * place, 2 * place + 1))
        for rows, told in ((bad, _wrong), (none, _nothing)):
            if len(rows):
                reason, rule, todo = told(reading, column)
                ledger.set_aside(QUARANTINED, reading.name, rows, reason, rule=rule, todo=todo)
    return lacking["_at"].tolist()


def _blank(reading: Reading) -> set[int]:
    """Places of rows without any content (a source of text has set them aside already)."""
    import ibis

    given = [name for name in reading.source.columns if name not in OURS]
    nothing = ibis.and_(*(convert.to_text(reading.source[name]).isnull() for name in given))
    return set(engine.fetch(reading.source.filter(nothing).select("_at"))["_at"])


def _nothing(reading: Reading, column: str) -> tuple[str, str, str]:
    return f"no {column}", f"no {column}", _todo(reading, column, {})


def _wrong(reading: Reading, column: str) -> tuple[str, str, str]:
    """Why rows with a bad value cannot be used: a reason without values, a rule that names frequent codes, a hint."""
    kind = reading.types[column]
    if not isinstance(kind, tuple):
        reason = f"{column} is not {WHAT.get(kind, 'known')}"
        return reason, reason, _todo(reading, column, {})
    codes = _frequent(reading, column)
    shown = [f"{code!r} ({n} rows)" for code, n in codes.items()]
    reason = f"unknown {column}"
    return reason, f"{reason}: {', '.join(shown)}" if shown else reason, _todo(reading, column, codes)


def _frequent(reading: Reading, column: str) -> dict[str, int]:
    """Unknown codes that may be named: short, and in many rows that lack nothing before it."""
    rows, place = reading.rows, reading.needs.index(column) if column in reading.needs else None
    counted = rows["_lacks"].isnull() if place is None else rows["_lacks"] == 2 * place
    places = rows.filter(rows[BAD(column)] & counted).select("_at")
    text = reading.source.semi_join(places, "_at").select(code=convert.to_text(reading.source[column]))
    codes = text.group_by("code").aggregate(n=text.count())
    codes = codes.filter((codes.n >= SHOWN_FROM) & (codes.code.length() <= SHOWN_LENGTH))
    found = engine.fetch(codes.order_by([codes.n.desc(), codes.code]))
    return dict(zip(found["code"], found["n"], strict=True))


def _todo(reading: Reading, column: str, codes: MappingType[str, int]) -> str:
    kind = reading.types[column]
    if column == "measure_code":
        hint = did_you_mean(next(iter(codes)), kind) if codes else ""
        return f"Use a code that `therapyeval measures` lists, or add a measures.csv beside the data.{hint}"
    if isinstance(kind, tuple):
        return f"Use one of {', '.join(kind)}, or map the code under `values:` in mapping.yml."
    if kind in ("date", "datetime"):
        return "Write dates as YYYY-MM-DD, or declare their format in mapping.yml."
    return f"Every row of {reading.name} needs {column}."


def _report_bad(reading: Reading, column: str, rows: pd.DataFrame, ledger: Ledger) -> None:
    if rows.empty:
        return
    kind = reading.types[column]
    what = f"age not between 0 and {schema.MAX_AGE}" if column == "age" else _wrong(reading, column)[1]
    ledger.problem("warning", reading.name, rows, f"{what}; taken as missing, the row stays",
                   f"Correct the values, or map the codes under `values:`. Known: {', '.join(kind)}."
                   if isinstance(kind, tuple) and len(kind) <= 20 else "")


def _entered_twice(reading: Reading, ledger: Ledger) -> list[int]:
    """The same row twice counts once; one key with different contents cannot be used.

    Assessments with one id and different contents are left to the same-day rule.
    """
    key = schema.TABLES[reading.name].key
    rows = _repeated(reading, key if key in reading.rows.columns else None)
    same = rows["_place"] > 0
    ledger.set_aside(MERGED, reading.name, rows[same], "the same row twice")
    lost = pd.Series(False, index=rows.index)
    if key in reading.rows.columns and key != "assessment_id":
        rest = rows.loc[~same, "_key"]
        lost.loc[rest.index] = rest.groupby(rest).transform("size") > 1
        ledger.set_aside(QUARANTINED, reading.name, rows[lost], f"the same {key} with different contents",
                         todo="Export the table again with one row per key.")
    return rows.loc[same | lost, "_at"].tolist()


def _repeated(reading: Reading, key: str | None) -> pd.DataFrame:
    """Rows that share their key (without one: any rows): `_place` among rows of the same content, number of the key."""
    import ibis

    usable = reading.rows.filter(reading.rows["_lacks"].isnull())
    none = pd.DataFrame({"_at": [], "_file": [], "_row": [], "_place": [], "_key": []}, dtype="int64")
    if key is None:
        places = usable.select("_at", _key=ibis.literal(0))
    else:
        n = engine.keep_rows(reading.connection, "repeated", (
            f"SELECT {key}, row_number() OVER () AS _key FROM {READ(reading.name)} "
            f"WHERE _lacks IS NULL AND {key} IS NOT NULL GROUP BY {key} HAVING count(*) > 1"))
        if not n:
            return none
        places = usable.join(reading.connection.table("repeated"), key).select("_at", "_key")
    source = reading.source.join(places, "_at")
    content = [name for name in reading.source.columns if name not in OURS]
    place = ibis.row_number().over(ibis.window(group_by=content, order_by="_at"))
    return engine.fetch(source.mutate(_place=place).select(*OURS, "_place", "_key").order_by("_at"))


def _without(reading: Reading, lost: list[int]):
    """The typed rows but for those at these places."""
    import pyarrow as pa

    rows = reading.rows
    if lost:
        places = pa.table({"_at": pa.array(lost, pa.int64())})
        places = engine.from_arrow(reading.connection, f"{reading.name}_lost", places)
        rows = rows.anti_join(places, "_at")
    names = [name for name in rows.columns if name != "_lacks" and not name.startswith(BAD(""))]
    return rows.select(*names)
