"""REDCap exports (`layout: redcap`): one wide table, a row per record, event and repeat instance.

Raw and label exports are read. Ticked boxes `field___code` also become one column `field` with the codes that are
ticked, joined by ";". Source: REDCap data dictionary and export rules (data model, section 2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from therapyeval.data.sources.raw import Raw
from therapyeval.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

EVENT, INSTRUMENT, INSTANCE = "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"
LABELS = {"Event Name": EVENT, "Repeat Instrument": INSTRUMENT, "Repeat Instance": INSTANCE}
TICKED, NOT_TICKED = ("1", "Checked"), ("0", "Unchecked")
BOX = re.compile(r"(?P<field>.+?)___(?P<code>.+)|(?P<label>.+?) \(choice=(?P<choice>.+)\)", re.DOTALL)
OTHER_INSTRUMENT = "a row of a repeating instrument"
NOT_INSTRUMENT = "a row without the instrument {}"


def arranged(raw: Raw, instrument: str | None) -> Raw:
    """The rows of one instrument, with ticked boxes joined.

    Parameters
    ----------
    instrument : name (in a label export: label) of a repeating or other instrument: its rows are those of its
        repeat instances and those where its `_complete` is filled. None: the rows of no repeating instrument.

    Raises
    ------
    DataError
        Where the table is no REDCap export or has no such instrument.
    """
    table = raw.to_arrow()
    table = table.rename_columns([LABELS.get(name, name) for name in table.column_names])
    keep = _rows(table, raw.file, instrument)
    left_out = table["_row"].filter(_opposite(keep)).to_pylist()
    reason = OTHER_INSTRUMENT if instrument is None else NOT_INSTRUMENT.format(instrument)
    table = _with_ticked(table.filter(keep), raw.file)
    return replace(raw, table=table, parquet=None,
                   aside=tuple(sorted([*raw.aside, *((row, reason) for row in left_out)])))


def _rows(table: pa.Table, file: str, instrument: str | None):
    import pyarrow as pa
    import pyarrow.compute as pc

    repeating = table[INSTRUMENT] if INSTRUMENT in table.column_names else pa.nulls(table.num_rows, pa.string())
    if instrument is None:
        return pc.is_null(repeating)
    status = f"{instrument}_complete"
    known = {word for word in pc.unique(repeating).to_pylist() if word}
    known |= {name.removesuffix("_complete") for name in table.column_names if name.endswith("_complete")}
    if instrument not in known:
        raise DataError(f"{file} has no instrument {instrument[:40]!r}.{did_you_mean(instrument, known)} "
                        f"It must be a word of the column {INSTRUMENT}, or have a column {instrument[:40]}_complete.")
    keep = pc.fill_null(pc.equal(repeating, instrument), False)
    if status in table.column_names:
        keep = pc.or_(keep, pc.and_(pc.is_null(repeating), pc.is_valid(table[status])))
    return keep


def _opposite(keep):
    import pyarrow.compute as pc

    return pc.invert(keep)


def _with_ticked(table: pa.Table, file: str) -> pa.Table:
    """A column for each field of boxes; the single boxes stay."""
    import pyarrow as pa

    fields: dict[str, dict[str, str]] = {}
    for name in table.column_names:
        found = BOX.fullmatch(name)
        if found:
            code = found["code"] or found["choice"]
            code = f"-{code[1:]}" if found["code"] and code.startswith("_") else code  # field____99 is the code -99
            fields.setdefault(found["field"] or found["label"], {})[code] = name
    for field, boxes in fields.items():
        if field in table.column_names:
            raise DataError(f"{file} has a column {field[:40]!r} beside the boxes {field[:40]}___…. "
                            "Rename one of them.")
        table = table.append_column(field, pa.array(_joined(table, boxes), pa.string()))
    return table


def _joined(table: pa.Table, boxes: Mapping[str, str]) -> list[str | None]:
    columns = [table[name].to_pylist() for name in boxes.values()]
    rows = zip(*columns, strict=True) if table.num_rows else ()
    return [";".join(code if cell in TICKED else cell for code, cell in zip(boxes, row, strict=True)
                     if cell is not None and cell not in NOT_TICKED) or None for row in rows]
