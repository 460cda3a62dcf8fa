"""The scores of an assessments table: each column is read as it is declared; all open questions are asked at once.

Python sees each distinct text of a column once; the engine joins what it says back to the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.data import convert, engine
from therapyeval.data.quality import Ledger
from therapyeval.data.score_fields import ScoreField
from therapyeval.data.score_values import (
    NO_TIME,
    OTHER_TOP,
    SCALES,
    Question,
    Values,
    must_name_scale,
    read_values,
)
from therapyeval.data.sources.text import OURS
from therapyeval.errors import DataError
from therapyeval.formatting import first_few, listed, plural
from therapyeval.measures import Measure
from therapyeval.yaml_lines import Block

TABLE, UNREAD = "assessments", "_unread"
COLUMN = ["_file", "_field", "_code", "_scale"]  # rows that agree in these are one column of scores
TODO = {NO_TIME: 'If it stands for "unable", write `unable: ["0", "999"]` for this measure.',
        OTHER_TOP: "Check which measure or version the column holds."}
READ = {"number": "float64", "reason": "str", "scale": "str", "flag": "str", "done": "str", "code": "str"}


def read_scores(connection, source, declared: MappingType[str, ScoreField], measures: MappingType[str, object],
                ledger: Ledger):
    """The table with `score` as a number, `missing_reason` and `score_scale` filled, and UNREAD scores flagged.

    Rows of an unknown measure are left as they are, and so unread unless they are plain numbers.

    Parameters
    ----------
    source : Ibis table with measure_code and score; `_field` names the declaration of a row, else its measure does
    declared : as `score_fields.declarations` gives them

    Raises
    ------
    DataError
        Where the unit, scale or good end of a column is open: with every such column, its rows and what to write.
    """
    import ibis

    source = engine.with_absent(source, _field="string", score_scale="string", missing_reason="string")
    keys = {"_code": convert.to_text(source.measure_code).lower(), "_scale": convert.to_text(source.score_scale)}
    keyed = source.mutate(**{name: text.fill_null("") for name, text in keys.items()},
                          _field=source["_field"].fill_null(""), _given=source.score)
    texts = _distinct(keyed)
    questions = []
    for key, rows in _columns(texts, measures):
        field = declared.get(key[1], declared.get(key[2], ScoreField(Block("", 0), "", key[2])))
        values = _read_column(texts.loc[rows, "_text"], measures[key[2]], field, key[3])
        if values.question:
            asking = texts.loc[rows[values.question.rows]]
            questions.append(_asked(values.question, _rows_of(connection, keyed, asking), field, ledger))
            continue
        for name, found in (("number", "number"), ("reason", "reason"), ("flag", "flag"), (UNREAD, "unread")):
            texts.loc[rows, name] = values.frame[found].to_numpy()
        for name, word in (("scale", values.scale), ("done", values.done), ("code", key[2])):
            texts.loc[rows, name] = word or None
    if questions:
        raise DataError("\n".join(questions))
    _count(connection, keyed, texts, ledger)
    read = _loaded(connection, "scores_read", texts)
    joined = keyed.left_join(read, [*COLUMN, "_given"], rname="{name}_right")
    names = [name for name in source.columns if name not in ("score", "score_scale", "missing_reason", "_field")]
    return joined.select(
        *names, score=joined.number, score_scale=ibis.coalesce(joined.scale, joined.score_scale),
        missing_reason=ibis.coalesce(joined.missing_reason, joined.reason), **{UNREAD: joined.unread.fill_null(False)})


def _distinct(keyed) -> pd.DataFrame:
    """Every distinct text of every column of scores, as a plain number where it is one."""
    given = keyed.filter(keyed["_given"].notnull())
    texts = engine.fetch(given.select(*COLUMN, "_given").distinct().order_by([*COLUMN, "_given"]))
    if pd.api.types.is_numeric_dtype(texts["_given"].dtype):
        texts["_text"] = [repr(value) for value in texts["_given"].astype("float64").tolist()]  # every digit counts
    else:
        texts["_text"] = texts["_given"].astype("str")
    number = pd.to_numeric(texts["_text"], errors="coerce").astype("float64")
    number = number.where(np.isfinite(number))
    blank = {name: pd.Series(None, index=texts.index, dtype=object) for name in READ if name != "number"}
    return texts.assign(number=number, **{UNREAD: number.isna()}, **blank)


def _columns(texts: pd.DataFrame, measures: MappingType[str, object]) -> Iterable[tuple[tuple, pd.Index]]:
    """Key and distinct texts of every column of scores; rows with a scale of their own are one for each scale."""
    code = texts["_code"].map({code.lower(): code for code in measures})
    scaled = [name for name in code.dropna().unique() if name in SCALES or must_name_scale(measures[name])]
    keys = texts[COLUMN].assign(_code=code, _scale=texts["_scale"].where(code.isin(scaled), ""))
    return keys[code.notna()].groupby(COLUMN, sort=False).groups.items()


def _read_column(text: pd.Series, measure: Measure, field: ScoreField, scale: str) -> Values:
    """What the distinct texts say. The mapping comes before the table's own scale."""
    declared = replace(field.declared, scale=field.declared.scale or scale or None)
    return read_values(text.tolist(), measure, declared, field.columns)


def _rows_of(connection, keyed, texts: pd.DataFrame) -> pd.DataFrame:
    """File rows that hold one of these texts, with what was read of it."""
    read = _loaded(connection, "scores_asked", texts)
    joined = keyed.inner_join(read, [*COLUMN, "_given"])
    return engine.fetch(joined.select(*OURS, "flag", "done", "code").order_by("_at"))


def _loaded(connection, name: str, texts: pd.DataFrame):
    """Distinct texts and what was read of them, in the engine."""
    frame = texts.drop(columns="_text").astype(READ | {UNREAD: bool}).rename(columns={UNREAD: "unread"})
    return engine.load(connection, name, frame)


def _asked(question: Question, rows: pd.DataFrame, field: ScoreField, ledger: Ledger) -> str:
    """The question with its place: line of the mapping (else file), measure, columns, rows, and what to write."""
    file, asking = ledger.file_name(rows["_file"].iloc[0]), rows["_row"].tolist()
    of = f" (column {listed(field.columns)[:60]})" if field.columns else ""
    text = (f"{file}, {field.code}{of}: {question.what} ({plural(len(asking), 'value')}; file rows "
            f"{first_few(asking)}). ")
    if field.columns:
        return str(field.fail(text + question.todo))
    return text + question.todo + (f" In the mapping: `measure_units: {{{field.code}: {{…}}}}`"
                                   f"{', or in the column score_scale' if '`scale' in question.todo else ''}.")


def _count(connection, keyed, texts: pd.DataFrame, ledger: Ledger) -> None:
    """Point out every form that was not a plain number, and what was done to a whole column."""
    told = texts[texts["flag"].notna() | texts["done"].notna()]
    if told.empty:
        return
    rows = _rows_of(connection, keyed, told)
    for (code, rule), part in rows.groupby(["code", "flag"], sort=False):
        ledger.problem("warning" if rule in TODO else "note", TABLE, part, f"{code}: {rule}", TODO.get(rule, ""))
    for (code, done), part in rows.groupby(["code", "done"], sort=False):
        ledger.problem("note", TABLE, part, f"{code}: {done}")
