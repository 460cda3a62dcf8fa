"""Inpatient stays: length, where to, whether the patient was back in acute care, and scores at both ends.

Source: data model, sections 1, 4 (UB-04) and 5; metric definitions, sections 2, 5 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import describing, with_absent
from therapyeval.data.quality import LEFT_OUT, QUARANTINED, Ledger
from therapyeval.data.scores import count_repeats, score_pairs, with_unpaired

ACUTE = "acute"  # the word of `setting`
RULE = "window"


def stay_facts(rows, cut: pd.Timestamp, declared: list[str], ledger: Ledger) -> pd.DataFrame | None:
    """One row per stay that began by the data cut; None without a table.

    stay, stay_id (for the linking of scores; dropped afterwards), patient, start_date (admission), discharge_date and
    discharge_status (two digits; missing while the stay is open and where there is no such code), days,
    interruption_days, description.
    `readmit_days`, only where the data say which admissions were acute: days from discharge to the first unplanned
    acute admission of the patient from the next day on. Where there are other stays, acute ones are seen as
    readmissions only.
    """
    if rows is None:
        return None
    frame = with_absent(engine.fetch(rows.order_by("_at")), discharge_date="datetime64[s]", discharge_status="str",
                        interruption_days="float64", setting="str", planned="str")
    later, backward = frame["admit_date"] > cut, frame["discharge_date"] < frame["admit_date"]
    ledger.set_aside(LEFT_OUT, "admissions", frame[later], "admitted after the data cut")
    ledger.set_aside(QUARANTINED, "admissions", frame[backward & ~later], "discharged before admission")
    long = (frame["discharge_date"] - frame["admit_date"]).dt.days > schema.MAX_DAYS
    ledger.set_aside(QUARANTINED, "admissions", frame[long & ~later], f"longer than {schema.MAX_DAYS} days")
    frame = frame[~later & ~backward & ~long]
    acute = frame["setting"].str.strip().str.lower().eq(ACUTE).fillna(False).astype(bool)
    still = frame["discharge_date"].isna() | (frame["discharge_date"] > cut)
    frame = frame.assign(discharge_date=frame["discharge_date"].mask(still),
                         discharge_status=_known_status(frame, ledger).mask(still))
    extra = {"readmit_days": _days_until(frame, frame[acute & (frame["planned"] != "yes")])} if acute.any() else {}
    frame = frame.assign(**extra)
    if not acute.all():
        ledger.set_aside(LEFT_OUT, "admissions", frame[acute], "acute admission: only seen as a readmission")
        frame = frame[~acute]
    ledger.use("admissions", frame)
    days = (frame["discharge_date"] - frame["admit_date"]).dt.days.astype("float64")
    frame = frame.assign(stay=range(len(frame)), start_date=frame["admit_date"], days=days)
    names = ["stay", "stay_id", "patient", "start_date", "discharge_date", "discharge_status", "days",
             "interruption_days", *extra, *describing(frame.columns, schema.DESCRIBE_STAY, declared)]
    types = {"stay": "int32", "patient": "int32", "start_date": "datetime64[s]", "discharge_date": "datetime64[s]"}
    return frame[names].astype(types).reset_index(drop=True)


def with_stay_scores(connection, tables: MappingType[str, object], stays: pd.DataFrame | None, cut: pd.Timestamp,
                     measures: MappingType[str, object],
                     ledger: Ledger) -> tuple[MappingType[str, object], pd.DataFrame | None]:
    """Pairs of scores of stays (stay, measure, baseline, final, why_unpaired, ...), and the tables without the
    assessments that belong to a stay only.

    An assessment belongs to the stay that it names by `stay_id`, else to the only stay of the patient that was going
    on that day. One that names an episode counts there as well. The windows are those of section 6, around admission
    and discharge.
    """
    if stays is None or "assessments" not in tables or stays.empty:
        return tables, None
    ends = stays["discharge_date"]
    spans = engine.load(connection, "stay_spans", stays[["stay", "stay_id", "patient", "start_date"]].assign(
        last=ends, ended=ends.notna()))
    rows = engine.keep(connection, "assessments_stays", _with_stay(tables["assessments"], spans, cut))
    alone = rows.stay.notnull() & rows.episode_id.isnull()
    spans = spans.select("patient", "start_date", "last", "ended", episode="stay")
    mine = rows.filter(rows.stay.notnull())
    prepared, pairs, keys, reasons = score_pairs(connection, mine.mutate(episode=mine.stay), spans, measures, RULE)
    places = rows.filter(alone).select("_at")
    count_repeats(prepared.semi_join(places, "_at"), RULE, ledger)
    scores = with_unpaired(keys, pairs, reasons).rename(columns={"episode": "stay"})
    scores = scores.sort_values(["stay", "measure"], ignore_index=True).astype({"stay": "int32"})
    return {**tables, "assessments": rows.filter(~alone).drop("stay")}, scores


def _with_stay(rows, spans, cut: pd.Timestamp):
    import ibis

    rows = engine.with_absent(rows, stay_id="string", episode_id="string", episode="int32")
    rows = engine.looked_up(rows, spans, "stay_id", _named="stay", _patient="patient")
    going_on = ((rows.patient == spans.patient) & (rows.date >= spans.start_date)
                & (rows.date <= spans["last"].fill_null(ibis.date(schema.NEWEST))))
    seen = rows.join(spans, going_on, rname="{name}_there")
    only = seen.group_by("_at").having(seen.count() == 1).aggregate(_only=seen.stay.min())
    rows = engine.looked_up(rows, only, "_at", _only="_only")
    named = (rows["_patient"] == rows.patient).ifelse(rows["_named"], None)
    stay = ibis.coalesce(named, rows.stay_id.isnull().ifelse(rows["_only"], None))
    return rows.mutate(stay=(rows.date <= cut.date()).ifelse(stay, None)).drop("_named", "_patient", "_only")


def _known_status(frame: pd.DataFrame, ledger: Ledger) -> pd.Series:
    """UB-04 codes as text of two digits (a spreadsheet loses the zero in front); missing where none is such."""
    status = frame["discharge_status"].str.strip().str.removesuffix(".0").str.zfill(2)
    unknown = status.notna() & ~status.isin(schema.DISCHARGE_STATUS)
    ledger.problem("warning", "admissions", frame[unknown], "discharge_status is no code of UB-04, field 17",
                   "Where the patient went is missing there. Correct the code, or map it in mapping.yml.")
    return status.mask(unknown)


def _days_until(stays: pd.DataFrame, acute: pd.DataFrame) -> pd.Series:
    """Days from each discharge to the next acute admission of the patient, from the day after on."""
    ends = pd.DataFrame({"patient": stays["patient"], "day": stays["discharge_date"] + pd.Timedelta(days=1),
                         "row": stays.index}).dropna(subset=["patient", "day"])
    starts = pd.DataFrame({"patient": acute["patient"], "day": acute["admit_date"], "back": acute["admit_date"]})
    one = "datetime64[s]"
    found = pd.merge_asof(ends.astype({"day": one}).sort_values("day"),
                          starts.astype({"day": one}).sort_values("day"), on="day", by="patient", direction="forward")
    back = found.set_index("row")["back"].reindex(stays.index)
    return (back - stays["discharge_date"]).dt.days.astype("float64")
