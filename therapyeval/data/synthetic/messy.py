"""The same data as three vendors would export them, with the mapping of each kept aside for tests."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from therapyeval.data.synthetic.files import MINUTE_COLUMNS
from therapyeval.data.synthetic.shapes import KINDS, SHAPES, Shape

REDCAP_COLUMNS = {"record_id": "record_id", "instrument": "redcap_repeat_instrument",
                  "instance": "redcap_repeat_instance"}


class MessyFiles:
    """A folder with the export of each vendor: `scheduler`, `warehouse` and `redcap`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: dict[Path, list[str]] = {}
        for name in SHAPES:
            (folder / name).mkdir(exist_ok=True)

    def write(self, tables: dict[str, pd.DataFrame]) -> None:
        """Add a block to every export."""
        of_patient = tables["episodes"].drop_duplicates("episode_id").set_index("episode_id")["patient_id"]
        ends = tables["discharges"]
        ends = ends.assign(patient_id=ends["episode_id"].map(of_patient))
        for name, shape in SHAPES.items():
            kept = tables | {"discharges": ends} if shape.instruments else tables
            exported = {table: vendor_table(shape, table, frame) for table, frame in kept.items()}
            if shape.instruments:
                exported = one_project(shape, exported)
            for table, frame in exported.items():
                self.append(self.folder / name / shape.files[table], shape, frame)

    def append(self, path: Path, shape: Shape, frame: pd.DataFrame) -> None:
        is_new = path not in self.begun
        columns = self.begun.setdefault(path, list(frame.columns))
        frame[columns].to_csv(
            path, mode="w" if is_new else "a", header=is_new, index=False, sep=shape.delimiter,
            encoding=shape.encoding, na_rep=shape.missing, lineterminator="\r\n")


def write_mappings(folder: Path, columns: dict[str, list[str]], rules: str) -> None:
    """The mapping that reads each export right: `rules`, the lines for all of them, and the vendor's tables.

    `columns`: the canonical columns of each table.
    """
    for name, shape in SHAPES.items():
        units = f"measure_units: {json.dumps(shape.units)}\n"
        text = rules + units + mapping_of(shape, columns)
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")


def vendor_table(shape: Shape, table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A canonical table as text with the vendor's columns, words, dates and scores."""
    result = {}
    for name, column in frame.items():
        if name in MINUTE_COLUMNS or is_day(name):
            text = pd.to_datetime(column).dt.strftime(shape.time if name in MINUTE_COLUMNS else shape.day)
        elif name == "score":
            text = score_text(shape, column, frame["measure_code"])
        elif pd.api.types.is_bool_dtype(column):
            text = column.map({True: "1", False: "0"})
        elif pd.api.types.is_numeric_dtype(column):
            text = plain(column)
        else:
            text = in_words(column, shape.words.get(f"{table}.{name}", {}))
        result[shape.column(table, name)] = text
    return pd.DataFrame(result)


def is_day(name: str) -> bool:
    return name == "date" or name.endswith("_date")


def plain(numbers: pd.Series) -> pd.Series:
    """12.0 as 12, 12.5 as 12.5, missing as missing."""
    return numbers.map(lambda number: f"{number:g}", na_action="ignore").astype(object)


def score_text(shape: Shape, score: pd.Series, measure: pd.Series) -> pd.Series:
    """Scores as the vendor writes them: some as percent, some as 5/10."""
    text = plain(score)
    for code, (factor, after) in shape.scores.items():
        mine = (measure == code) & score.notna()
        text[mine] = plain(score[mine] * factor) + after
    return text


def in_words(codes: pd.Series, words: dict[str, list[str]]) -> pd.Series:
    """The vendor's words for codes, in turn where there are several; codes without a word stay."""
    text = codes.astype(object).to_numpy(copy=True)
    for code, choices in words.items():
        rows = np.flatnonzero(codes == code)
        text[rows] = np.resize(np.array(choices, dtype=object), len(rows))
    return pd.Series(text, index=codes.index, dtype=object)


def one_project(shape: Shape, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """A REDCap export: all instruments in one file, a row each; other tables stay beside it."""
    rows = []
    for table, instrument in shape.instruments.items():
        frame = tables[table]
        instance = (frame.groupby("record_id", dropna=False).cumcount() + 1).astype(str)
        repeat = {REDCAP_COLUMNS["instrument"]: instrument, REDCAP_COLUMNS["instance"]: instance}
        rows.append(frame.assign(**repeat if instrument else dict.fromkeys(repeat, None)))
    project = pd.concat(rows, ignore_index=True)
    first = list(REDCAP_COLUMNS.values())
    project = project[[*first, *(name for name in project if name not in first)]]
    others = {table: frame for table, frame in tables.items() if table not in shape.instruments}
    return {"visits": project, **others}


def mapping_of(shape: Shape, tables: dict[str, list[str]]) -> str:
    """The `tables:` part of a mapping file, for tables with these canonical columns."""
    lines = ["tables:"]
    for table, columns in tables.items():
        lines += [f"  - read: {json.dumps(shape.files[table])}"]
        if shape.delimiter != ",":
            lines += [f"    delimiter: {json.dumps(shape.delimiter)}"]
        if shape.missing:
            lines += [f"    missing: [{json.dumps(shape.missing)}]"]
        if table in shape.instruments:
            lines += ["    layout: redcap"]
        if shape.instruments.get(table):
            lines += [f"    instrument: {shape.instruments[table]}"]
        lines += [f"    {KINDS[table]}:"]
        lines += [f"      {name}: {json.dumps(source(shape, table, name))}" for name in columns]
    return "\n".join(lines) + "\n"


def source(shape: Shape, table: str, name: str) -> str | dict:
    """Where a canonical column comes from, as a mapping says it."""
    column = shape.column(table, name)
    words = shape.words.get(f"{table}.{name}")
    if words:
        return {"column": column, "values": {word: code for code, choices in words.items() for word in choices}}
    form = shape.time if name in MINUTE_COLUMNS else shape.day if is_day(name) else None
    return {"column": column, "format": form} if form and not form.startswith("%Y-%m-%d") else column
