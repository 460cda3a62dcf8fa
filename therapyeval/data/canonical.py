"""Checked tables as a folder of canonical Parquet tables, with codes in place of source ids.

A code stands at the same place in the order as its source id, so that facts made of the folder are the same.
Source: data model, sections 1 and 8 (source ids stay in a crosswalk kept elsewhere).
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from pathlib import Path

import yaml

from therapyeval.data import engine, schema
from therapyeval.data.given import Given
from therapyeval.data.mapping import NUMBERS, Mapping
from therapyeval.data.quality import Ledger
from therapyeval.data.score_units import unit_named
from therapyeval.data.score_values import ASKED_UNITS, TOO_HIGH, TWO_WAYS
from therapyeval.errors import DataError

# Columns that name a thing of another column's kind.
SAME_ID = {"previous_episode_id": "episode_id", "rescheduled_to": "visit_id", "lead_staff_id": "staff_id",
           "rater_id": "staff_id", "follows": "action_id"}
OPEN_ID = ("site_id",)  # the name of a site is no secret: reports print it
EMPTY = {"date": "date", "number": "float64"}  # types of a column that nobody filled; else text
MUST_SAY = ("discipline", "site_id")  # an empty column of these would be an attribute that nobody declared


def write_tables(connection, tables: MappingType[str, object], given: Given, ledger: Ledger,
                 folder: Path) -> dict[str, object]:
    """Write each checked table as `<table>.parquet` and return the crosswalk of each kind of id (Ibis tables).

    Columns: those of the data model, then the declared attributes, then `source_system` (file) and `source_row`.

    Raises
    ------
    DataError
        Where nothing says the discipline or site of episodes.
    """
    ids = {name: _id_columns(name, rows, given) for name, rows in tables.items()}
    crosswalk = _crosswalk(connection, tables, ids)
    for name, rows in tables.items():
        for column in ids[name]:
            codes = crosswalk[SAME_ID.get(column, column)].rename(**{column: "source_id"})
            rows = engine.looked_up(rows, codes, column, _code="code")
            rows = rows.mutate(**{column: rows["_code"]}).drop("_code")
        engine.write(_written(name, rows, given, ledger), folder / f"{name}.parquet")
    return crosswalk


def folder_mapping(spec: Mapping, given: Given, tables: MappingType[str, object],
                   measures: MappingType[str, object]) -> str:
    """The mapping file of the folder: settings of the raw one, attributes, and what the scores are in.

    Raises
    ------
    DataError
        Where two tables have an attribute of one name and different types.
    """
    told = {"version": "1"}
    if spec.policy:
        told["policy"] = dict(zip(("name", "reason"), spec.policy, strict=True))
    told |= {name: value for name in ("note", "data_cut", "time_zone") if (value := getattr(spec, name))}
    told |= {name: getattr(spec, name) for name in ("timepoint_rule", *NUMBERS)}
    if spec.measure_set:
        told["measure_set"] = [{"discipline": discipline, **({"region": region} if region else {}),
                                "measures": list(codes)} for discipline, region, codes in spec.measure_set]
    told |= {"attributes": _attributes(given)} if any(given.attributes.values()) else {}
    told |= {"measure_units": units} if (units := _measure_units(tables.get("assessments"), measures)) else {}
    head = "# Written by `therapyeval import`. The tables beside it are canonical; this says how they were read.\n"
    return head + yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def _id_columns(name: str, rows, given: Given) -> list[str]:
    declared, columns = given.attributes.get(name, {}), schema.TABLES[name].columns
    return [column for column in rows.columns
            if columns.get(column) == "id" and column not in (*OPEN_ID, *declared)]


def _crosswalk(connection, tables: MappingType[str, object], ids: MappingType[str, list[str]]) -> dict[str, object]:
    """For each kind of id, `source_id` and its `code`: first letter and number, in the order of the ids."""
    import ibis

    parts: dict[str, list] = {}
    for name, columns in ids.items():
        for column in columns:
            found = tables[name].select(source_id=column).distinct()
            parts.setdefault(SAME_ID.get(column, column), []).append(found)
    crosswalk = {}
    for kind, found in parts.items():
        every = ibis.union(*found, distinct=True) if len(found) > 1 else found[0]
        every = every.filter(every["source_id"].notnull())
        number = ibis.row_number().over(ibis.window(order_by="source_id")) + 1
        every = engine.keep(connection, f"{kind}_crosswalk", every.mutate(number=number))
        width = len(str(int(every.count().to_pyarrow().as_py())))
        crosswalk[kind] = every.select("source_id", code=kind[0] + every["number"].cast("string").lpad(width, "0"))
    return crosswalk


def _written(name: str, rows, given: Given, ledger: Ledger):
    """The columns of a table as the file holds them, in the order of the source."""
    import ibis

    columns, declared = schema.TABLES[name].columns, given.attributes.get(name, {})
    missing = [column for column in schema.TABLES[name].needed if column not in rows.columns]
    unsaid = [column for column in missing if column in MUST_SAY]
    if unsaid:
        raise DataError(f"nothing says the {' and the '.join(unsaid)} of {name}, which canonical tables need. Write "
                        f"`{unsaid[0]}:` under `episode:` in the mapping; one word holds for all rows.")
    rows = engine.with_absent(rows, **{column: EMPTY.get(columns[column], "string") for column in missing})
    moments = [column for column, kind in columns.items() if kind == "datetime" and column in rows.columns]
    rows = rows.mutate(**{column: _moment(rows, column) for column in moments if not _is_plain(rows, column)})
    files = [(number, ledger.file_name(number)) for number in engine.by_file(rows).index]
    names = dict.fromkeys([*(column for column in columns if column in rows.columns), *declared])
    system = rows["_file"].cases(*files, else_=None) if files else ibis.null("string")
    return rows.order_by("_at").select(*names, source_system=system, source_row=rows["_row"])


def _is_plain(rows, column: str) -> bool:
    """Whether every moment of a column has a time of day and none an offset, so that a timestamp says it all."""
    moments = rows.filter(rows[column].notnull())
    odd = ~moments[f"{column}_has_time"] | moments[f"{column}_offset"].notnull()
    return not moments.aggregate(odd=odd.any()).to_pyarrow()["odd"][0].as_py()


def _moment(rows, column: str):
    """ISO text of a moment, with time of day and offset where it has them."""
    import ibis

    wall, offset = rows[column], rows[f"{column}_offset"]
    size = offset.abs()
    clock = [(size // 60).cast("string").lpad(2, "0"), (size % 60).cast("string").lpad(2, "0")]
    zone = ibis.ifelse(offset < 0, "-", "+") + clock[0] + ":" + clock[1]
    time = ibis.ifelse(rows[f"{column}_has_time"], wall.strftime("T%H:%M:%S") + zone.fill_null(""), "")
    return wall.strftime("%Y-%m-%d") + time


def _attributes(given: Given) -> dict[str, str]:
    found: dict[str, str] = {}
    for table, fields in given.attributes.items():
        for name, field in fields.items():
            kind = "text" if field.values is not None else field.type
            if found.setdefault(name, kind) != kind:
                raise DataError(f"the attribute {name} of {table} is of type {kind}, and of another table "
                                f"{found[name]}. Give one of them another name in the mapping.")
    return found


def _measure_units(assessments, measures: MappingType[str, object]) -> dict[str, dict[str, str]]:
    """What a reader of the scores would otherwise ask: they are in the unit and direction of their measure."""
    if assessments is None or "measure_code" not in assessments.columns:
        return {}
    codes = assessments.select("measure_code").distinct().to_pyarrow()["measure_code"].to_pylist()
    told = {}
    for code in sorted(code for code in codes if code in measures):
        unit = unit_named(measures[code].unit)
        says = {"unit": unit} if unit in ASKED_UNITS or code in TOO_HIGH else {}
        says |= {"better": "high" if measures[code].sign > 0 else "low"} if code in TWO_WAYS else {}
        told |= {code: says} if says else {}
    return told
