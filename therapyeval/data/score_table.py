"""The scores of an assessments table: each column is read as it is declared; all open questions are asked at once."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import replace

import numpy as np
import pandas as pd

from therapyeval.data.convert import to_code, to_number
from therapyeval.data.links import with_absent
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
from therapyeval.errors import DataError
from therapyeval.formatting import first_few, listed, plural
from therapyeval.measures import Measure
from therapyeval.yaml_lines import Block

TABLE = "assessments"
COLUMN = ["_file", "_field", "measure_code", "score_scale"]  # rows that agree in these are one column of scores
TODO = {NO_TIME: 'If it stands for "unable", write `unable: ["0", "999"]` for this measure.',
        OTHER_TOP: "Check which measure or version the column holds."}


def read_scores(raw: pd.DataFrame, declared: MappingType[str, ScoreField], measures: MappingType[str, object],
                ledger: Ledger) -> tuple[pd.DataFrame, pd.Series]:
    """The table with `score` as a number, `missing_reason` and `score_scale` filled, and which scores are unread.

    Rows of an unknown measure are left as they are, and so unread unless they are plain numbers.

    Parameters
    ----------
    raw : text columns with measure_code and score; `_field` names the declaration of a row, else its measure does
    declared : as `score_fields.declarations` gives them

    Raises
    ------
    DataError
        Where the unit, scale or good end of a column is open: with every such column, its rows and what to write.
    """
    raw = with_absent(raw, _field="str", score_scale="str", missing_reason="str")
    number, unread = to_number(raw["score"])
    raw = raw.assign(score=number, _text=raw["score"])
    questions = []
    for key, rows in _columns(raw, measures):
        field = declared.get(key[1], declared.get(key[2], ScoreField(Block("", 0), "", key[2])))
        values, which = _read_column(raw.loc[rows, "_text"], measures[key[2]], field, key[3])
        if values.question:
            questions.append(_asked(values.question, raw.loc[rows], which, field))
            continue
        found = values.frame.iloc[which].set_axis(rows)
        raw.loc[rows, "score"], unread[rows] = found["number"], found["unread"]
        raw.loc[rows, "missing_reason"] = raw.loc[rows, "missing_reason"].fillna(found["reason"].astype("str"))
        if values.scale:
            raw.loc[rows, "score_scale"] = values.scale
        _count(raw.loc[rows], found["flag"], values.done, key[2], ledger)
    if questions:
        raise DataError("\n".join(questions))
    return raw.drop(columns=["_field", "_text"]), unread


def _columns(raw: pd.DataFrame, measures: MappingType[str, object]) -> Iterable[tuple[tuple, pd.Index]]:
    """Key and rows of every column of scores; rows with a scale of their own are one for each scale."""
    code, _ = to_code(raw["measure_code"], tuple(measures))
    scaled = [name for name in code.dropna().unique() if name in SCALES or must_name_scale(measures[name])]
    keys = raw[COLUMN].assign(measure_code=code, score_scale=raw["score_scale"].where(code.isin(scaled))).fillna("")
    return keys[raw["_text"].notna() & code.notna()].groupby(COLUMN, sort=False).groups.items()


def _read_column(text: pd.Series, measure: Measure, field: ScoreField, scale: str) -> tuple[Values, np.ndarray]:
    """What the distinct texts say, and which of them each row has. The mapping comes before the table's own scale."""
    which, texts = pd.factorize(text)
    declared = replace(field.declared, scale=field.declared.scale or scale or None)
    return read_values(texts.tolist(), measure, declared, field.columns), which


def _asked(question: Question, rows: pd.DataFrame, which: np.ndarray, field: ScoreField) -> str:
    """The question with its place: line of the mapping (else file), measure, columns, rows, and what to write."""
    asking = rows.loc[np.isin(which, question.rows), "_row"].tolist()
    file = rows["_file"].iloc[0]
    of = f" (column {listed(field.columns)[:60]})" if field.columns else ""
    text = (f"{file}, {field.code}{of}: {question.what} ({plural(len(asking), 'value')}; file rows "
            f"{first_few(asking)}). ")
    if field.columns:
        return str(field.fail(text + question.todo))
    return text + question.todo + (f" In the mapping: `measure_units: {{{field.code}: {{…}}}}`"
                                   f"{', or in the column score_scale' if '`scale' in question.todo else ''}.")


def _count(rows: pd.DataFrame, flag: pd.Series, done: str, code: str, ledger: Ledger) -> None:
    """Point out every form that was not a plain number, and what was done to the whole column."""
    for rule in flag.dropna().unique():
        severity = "warning" if rule in TODO else "note"
        ledger.problem(severity, TABLE, rows[(flag == rule).to_numpy()], f"{code}: {rule}", TODO.get(rule, ""))
    if done:
        ledger.problem("note", TABLE, rows, f"{code}: {done}")
