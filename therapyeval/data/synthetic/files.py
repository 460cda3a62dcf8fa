"""The tables on disk: Parquet or CSV, written block by block, with every setting fixed."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

ID_COLUMNS = {"patients": "patient_id", "referrals": "referral_id", "episodes": "episode_id",
              "visits": "visit_id", "assessments": "assessment_id"}
MINUTE_COLUMNS = {"scheduled_start", "scheduled_end", "status_dt", "finalized_dt"}


class TableFiles(ExitStack):
    """One file for each table, open while blocks are added. Equal tables give equal bytes."""

    def __init__(self, folder: Path, file_format: str) -> None:
        super().__init__()
        self.folder, self.open_file = folder, OPEN[file_format]
        self.writers: dict[str, pq.ParquetWriter | pyarrow.csv.CSVWriter] = {}

    def write(self, tables: dict[str, pd.DataFrame]) -> None:
        """Add a block: a row group of each table."""
        for name, table in tables.items():
            schema = pa.schema([(column, arrow_type(column, table[column])) for column in table])
            data = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
            if name not in self.writers:
                self.writers[name] = self.enter_context(self.open_file(self.folder / name, data.schema))
            self.writers[name].write_table(data)


def arrow_type(name: str, column: pd.Series) -> pa.DataType:
    """Small types: days as date32, times in milliseconds without zone, whole numbers as int16."""
    if name in MINUTE_COLUMNS:
        return pa.timestamp("ms")
    if name.endswith("_date") or name == "date":
        return pa.date32()
    if name in ("planned_visits", "goals_met_pct", "deprivation"):
        return pa.int16()
    if pd.api.types.is_bool_dtype(column):
        return pa.bool_()
    return pa.float64() if pd.api.types.is_numeric_dtype(column) else pa.string()


def open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Ascending ids are stored as differences, which makes them nearly free."""
    id_column = ID_COLUMNS.get(path.name)
    return pq.ParquetWriter(
        path.with_name(f"{path.name}.parquet"), schema, compression="zstd", compression_level=9, version="2.6",
        use_dictionary=[name for name in schema.names if name != id_column],
        column_encoding={id_column: "DELTA_BYTE_ARRAY"} if id_column else None)


def open_csv(path: Path, schema: pa.Schema) -> pyarrow.csv.CSVWriter:
    """Comma, UTF-8, header; ISO dates and times; empty where missing."""
    return pyarrow.csv.CSVWriter(path.with_name(f"{path.name}.csv"), schema)


OPEN: dict[str, Callable[[Path, pa.Schema], pq.ParquetWriter | pyarrow.csv.CSVWriter]] = {
    "parquet": open_parquet, "csv": open_csv}
