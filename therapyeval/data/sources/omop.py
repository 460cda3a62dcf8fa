"""An OMOP common data model 5.4 (a folder of CSV or Parquet files, or a database) to canonical tables.

VISIT_OCCURRENCE holds attended visits only; missed ones are OBSERVATIONs, told apart by the mapping's `codes`. Source:
OHDSI CommonDataModel 5.4, table and field level; data model, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from therapyeval.data import schema, sources
from therapyeval.data.sources.linking import SCORE_DAYS, VISIT_DAYS, Spans
from therapyeval.data.sources.raw import Raw

SEX = {"8507": "male", "8532": "female"}
RACE = {"8515": "Asian", "8516": "Black", "8527": "White", "8557": "Pacific Islander", "8657": "American Indian"}
MODE = {"9202": "in_person", "581476": "home", "722455": "telehealth", "5083": "telehealth"}
STAYS = ("9201", "9203", "262", "32037", "42898160")  # inpatient, emergency, both, intensive care, long-term care
LINKS = {"visit_occurrence": "1147070", "measurement": "1147138", "observation": "1147165"}  # concepts of key fields
MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?$"  # a day without a known time

CPT = r"(?:\d{5}|[A-Z]\d{4}|\d{4}[TF])$"  # also HCPCS level II, such as G0283

STAY = "a hospital stay or emergency, no visit"
OTHER_CARE = "an episode of something else: its codes are not in `codes:`"
NOT_DECLARED = "its code is not among the measures in `codes:`"
NO_CPT = "procedure_source_value is no CPT code"
SCORED = {"measurement": ("measurement_concept_id", "measurement_source_value", "measurement_source_concept_id"),
          "observation": ("observation_concept_id", "observation_source_value", "observation_source_concept_id")}


@dataclass
class _Model:
    """The tables of the data base, as far as they are there; columns in small letters, missing ones added empty."""

    place: str | Path
    codes: Mapping[str, str]
    raws: dict[str, Raw] = field(default_factory=dict)
    where: dict[str, tuple] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.where = {name: (item, part) for name, item, part in sources.tables(self.place, ())}

    def __contains__(self, name: str) -> bool:
        return name in self.where

    def raw(self, name: str) -> Raw:
        if name not in self.raws:
            item, part = self.where[name]
            self.raws[name] = sources.read(item, part=part)
        return self.raws[name]

    def frame(self, name: str, *columns: str) -> pd.DataFrame:
        """These columns and `_row`; no rows where the table is not there."""
        if name not in self:
            return pd.DataFrame(columns=[*columns, "_row"], dtype="str").astype({"_row": "int64"})
        frame = self.raw(name).to_pandas().rename(columns=str.lower)
        return frame.reindex(columns=[*columns, "_row"]).astype(dict.fromkeys(columns, "str"))

    def lines(self, name: str) -> int:
        """How many rows a table has, with its header: where the numbers of a table after it begin."""
        raw = self.raw(name)
        return max([0, *(row for row, _ in raw.aside), *raw.to_arrow()["_row"].to_pylist()[-1:]])

    def meaning(self, frame: pd.DataFrame, columns: Sequence[str], among: Sequence[str]) -> pd.Series:
        """What the first code of a row stands for that stands for one of these words."""
        table = {code: word for code, word in self.codes.items() if word in among}
        found = pd.Series(None, index=frame.index, dtype="str")
        for column in columns:
            found = found.fillna(frame[column].map(table).astype("str"))
        return found

    @property
    def measures(self) -> tuple[str, ...]:
        others = (*schema.DISCIPLINES, *schema.VISIT_STATUSES_IN, *schema.PAYERS)
        return tuple(word for word in self.codes.values() if word not in others)


def canonical(place: str | Path, codes: Mapping[str, str] | None = None) -> dict[str, Raw]:
    """Canonical tables of an OMOP database.

    Parameters
    ----------
    place : folder, database file or address
    codes : what concept ids and source values stand for: a measure, a discipline, the status of a missed visit, a payer
    """
    model = _Model(place, codes or {})
    events = _events(model)
    care = _episodes(model)
    spans = Spans(care[["patient_id", "episode_id", "start_date", "end_date"]].astype("object")
                  .where(lambda cells: cells.notna(), None).itertuples(index=False, name=None))
    seen = _visits(model, events, spans)
    care = _placed(model, care, seen)
    tables = {"patients": _patients(model), "visits": _with_missed(model, seen, spans),
              "assessments": _assessments(model, events, seen, spans), "charges": _charges(model),
              "staff": _staff(model), "sites": _sites(model)}
    if "episode" in model:
        tables["episodes"] = _raw(model, ("episode",), care, care.attrs["aside"])
    return {name: raw for name, raw in tables.items() if raw is not None}


def _raw(model: _Model, names: Sequence[str], frame: pd.DataFrame, aside: Sequence[tuple[int, str]] = ()) -> Raw:
    import pyarrow as pa

    columns = {name: pa.array(frame[name].astype("object").where(frame[name].notna(), None), pa.string())
               for name in frame if name != "_row"}
    label = ", ".join(model.raw(name).file for name in names)
    table = pa.table(columns | {"_row": pa.array(frame["_row"], pa.int64())})
    return Raw(label, table, aside=tuple(sorted([*model.raw(names[0]).aside, *aside])))


def _events(model: _Model) -> dict[str, pd.Series]:
    """The episode of each visit, measurement and observation that EPISODE_EVENT names."""
    links = model.frame("episode_event", "episode_id", "event_id", "episode_event_field_concept_id")
    kinds = {name: links[links["episode_event_field_concept_id"] == concept] for name, concept in LINKS.items()}
    return {name: rows.drop_duplicates("event_id").set_index("event_id")["episode_id"] for name, rows in kinds.items()}


def _patients(model: _Model) -> Raw:
    person = model.frame("person", "person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth",
                         "birth_datetime", "race_concept_id", "location_id")
    day = (person["year_of_birth"] + "-" + person["month_of_birth"].str.zfill(2) + "-"
           + person["day_of_birth"].str.zfill(2))
    places = model.frame("location", "location_id", "zip").drop_duplicates("location_id").set_index("location_id")
    died = model.frame("death", "person_id", "death_date").drop_duplicates("person_id").set_index("person_id")
    frame = pd.DataFrame({
        "patient_id": person["person_id"], "birth_date": day.fillna(person["birth_datetime"].str[:10]),
        "birth_year": person["year_of_birth"], "sex": person["gender_concept_id"].map(SEX),
        "race_ethnicity": person["race_concept_id"].map(RACE),
        "zip3": person["location_id"].map(places["zip"]).astype("str").str[:3],
        "death_date": person["person_id"].map(died["death_date"]).astype("str").str[:10], "_row": person["_row"]})
    return _raw(model, ("person",), frame)


def _episodes(model: _Model) -> pd.DataFrame:
    """EPISODE; where `codes` names disciplines, episodes of something else are set aside (in `attrs`)."""
    source = model.frame("episode", "episode_id", "person_id", "episode_start_date", "episode_end_date",
                         "episode_parent_id", "episode_concept_id", "episode_object_concept_id", "episode_source_value",
                         "episode_source_concept_id")
    discipline = model.meaning(source, ["episode_source_value", "episode_source_concept_id",
                                        "episode_object_concept_id", "episode_concept_id"], schema.DISCIPLINES)
    end = source["episode_end_date"].str[:10]
    frame = pd.DataFrame({
        "episode_id": source["episode_id"], "patient_id": source["person_id"], "discipline": discipline,
        "start_date": source["episode_start_date"].str[:10], "end_date": end, "discharge_date": end,
        "status": pd.Series("active", index=source.index, dtype="str").mask(end.notna(), "finished"),
        "previous_episode_id": source["episode_parent_id"], "_row": source["_row"]})
    named = any(word in schema.DISCIPLINES for word in model.codes.values())
    other = discipline.isna() & named
    kept = frame[~other].reset_index(drop=True)
    kept.attrs["aside"] = [(int(row), OTHER_CARE) for row in frame.loc[other, "_row"]]
    return kept


def _placed(model: _Model, care: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Episodes with the site of their first visit, the disposition of their last, and the payer at the start."""
    by_time = seen.dropna(subset=["episode_id"]).sort_values("scheduled_start", kind="stable").groupby("episode_id")
    payers = model.frame("payer_plan_period", "person_id", "payer_plan_period_start_date", "payer_plan_period_end_date",
                         "payer_concept_id", "payer_source_value", "plan_source_value")
    payers["payer_class"] = model.meaning(payers, ["payer_source_value", "payer_concept_id", "plan_source_value"],
                                          schema.PAYERS)
    both = care[["episode_id", "patient_id", "start_date"]].merge(payers, left_on="patient_id", right_on="person_id")
    covers = ((both["payer_plan_period_start_date"].str[:10] <= both["start_date"])
              & ~(both["payer_plan_period_end_date"].str[:10] < both["start_date"])).fillna(False).astype(bool)
    covered = both[covers].dropna(subset=["payer_class"]).drop_duplicates("episode_id").set_index("episode_id")
    added = {"site_id": by_time["site_id"].first(), "disposition": by_time["disposition"].last(),
             "payer_class": covered["payer_class"]}
    attrs = care.attrs
    care = care.assign(**{name: care["episode_id"].map(values).astype("str") for name, values in added.items()})
    care.attrs.update(attrs)
    return care


def _visits(model: _Model, events: Mapping[str, pd.Series], spans: Spans) -> pd.DataFrame:
    """Attended visits; stays are set aside (in `attrs`)."""
    source = model.frame("visit_occurrence", "visit_occurrence_id", "person_id", "visit_concept_id", "visit_start_date",
                         "visit_start_datetime", "visit_end_datetime", "provider_id", "care_site_id",
                         "discharged_to_source_value")
    start = source["visit_start_datetime"].fillna(source["visit_start_date"])
    frame = pd.DataFrame({
        "visit_id": source["visit_occurrence_id"], "patient_id": source["person_id"],
        "episode_id": source["visit_occurrence_id"].map(events["visit_occurrence"]).astype("str"),
        "scheduled_start": start.str.replace(MIDNIGHT, "", regex=True),
        "ended_dt": source["visit_end_datetime"].mask(source["visit_end_datetime"].str.contains(MIDNIGHT, na=False)),
        "status": pd.Series("attended", index=source.index, dtype="str"), "mode": source["visit_concept_id"].map(MODE),
        "staff_id": source["provider_id"], "site_id": source["care_site_id"],
        "disposition": source["discharged_to_source_value"], "_row": source["_row"]})
    frame["started_dt"] = frame["scheduled_start"].where(frame["ended_dt"].notna())
    stay = source["visit_concept_id"].isin(STAYS)
    kept = _with_episode(frame[~stay].reset_index(drop=True), "scheduled_start", spans, VISIT_DAYS)
    kept.attrs["aside"] = [(int(row), STAY) for row in frame.loc[stay, "_row"]]
    return kept


def _with_episode(frame: pd.DataFrame, day: str, spans: Spans, margin: int) -> pd.DataFrame:
    """Rows that nothing links to an episode belong to the patient's only one that holds their day."""
    alone = frame["episode_id"].isna()
    found = [spans.episode(patient, when, margin) for patient, when in
             frame.loc[alone, ["patient_id", day]].astype("object").where(lambda cells: cells.notna(), None)
             .itertuples(index=False, name=None)]
    frame.loc[alone, "episode_id"] = pd.Series(found, index=frame.index[alone], dtype="str")
    return frame


def _with_missed(model: _Model, seen: pd.DataFrame, spans: Spans) -> Raw | None:
    """Attended visits, and the missed ones that OBSERVATION holds."""
    aside = seen.attrs["aside"]
    source = model.frame("observation", "observation_id", "person_id", "observation_date", "observation_datetime",
                         "provider_id", *SCORED["observation"])
    status = model.meaning(source, SCORED["observation"], schema.VISIT_STATUSES_IN)
    source = source[status.notna()].reset_index(drop=True)
    if source.empty:
        return _raw(model, ("visit_occurrence",), seen.drop(columns="disposition"), aside)
    start = source["observation_datetime"].fillna(source["observation_date"])
    missed = pd.DataFrame({
        "visit_id": "observation/" + source["observation_id"], "patient_id": source["person_id"], "episode_id": None,
        "scheduled_start": start.str.replace(MIDNIGHT, "", regex=True), "status": status.dropna().to_numpy(),
        "staff_id": source["provider_id"], "_row": source["_row"] + model.lines("visit_occurrence")})
    missed = _with_episode(missed.astype({"episode_id": "str"}), "scheduled_start", spans, VISIT_DAYS)
    rows = pd.concat([seen.drop(columns="disposition"), missed], ignore_index=True)
    return _raw(model, ("visit_occurrence", "observation"), rows, aside)


def _assessments(model: _Model, events: Mapping[str, pd.Series], seen: pd.DataFrame, spans: Spans) -> Raw | None:
    """Scores of MEASUREMENT and OBSERVATION whose code stands for a measure."""
    names = [name for name in SCORED if name in model]
    if not names:
        return None
    parts, aside, offset = [], [], 0
    of_visit = _episode_of_visit(seen)
    for name in names:
        source = model.frame(name, f"{name}_id", "person_id", f"{name}_date", "value_as_number", "provider_id",
                             "visit_occurrence_id", *SCORED[name])
        code = model.meaning(source, SCORED[name], model.measures)
        missed = model.meaning(source, SCORED[name], schema.VISIT_STATUSES_IN).notna()  # counted among the visits
        episode = source[f"{name}_id"].map(events[name]).astype("str").fillna(
            source["visit_occurrence_id"].map(of_visit).astype("str"))
        rows = pd.DataFrame({
            "assessment_id": f"{name}/" + source[f"{name}_id"], "patient_id": source["person_id"],
            "episode_id": episode, "measure_code": code, "score": source["value_as_number"],
            "date": source[f"{name}_date"].str[:10],
            "timepoint": pd.Series(None, index=source.index, dtype="str"), "rater_id": source["provider_id"],
            "_row": source["_row"] + offset})
        parts.append(_with_episode(rows[code.notna()].reset_index(drop=True), "date", spans, SCORE_DAYS))
        aside += [(int(row), NOT_DECLARED) for row in rows.loc[code.isna() & ~missed, "_row"]]
        offset += model.lines(name)
    return _raw(model, names, pd.concat(parts, ignore_index=True), aside)


def _episode_of_visit(seen: pd.DataFrame) -> pd.Series:
    """The episode of each visit; none where rows of one visit_id say different ones."""
    rows = seen[["visit_id", "episode_id"]].dropna(subset="visit_id").drop_duplicates()
    return rows.drop_duplicates("visit_id", keep=False).set_index("visit_id")["episode_id"]


def _charges(model: _Model) -> Raw | None:
    """Procedures with a CPT code; a quantity that is not given stands for one."""
    if "procedure_occurrence" not in model:
        return None
    source = model.frame("procedure_occurrence", "procedure_occurrence_id", "visit_occurrence_id", "procedure_date",
                         "quantity", "procedure_source_value", "modifier_source_value")
    code = source["procedure_source_value"].str.strip().str.upper()
    frame = pd.DataFrame({
        "charge_id": source["procedure_occurrence_id"], "visit_id": source["visit_occurrence_id"], "cpt": code,
        "modifiers": source["modifier_source_value"], "units": source["quantity"].fillna("1"),
        "billed_date": source["procedure_date"].str[:10], "_row": source["_row"]})
    is_cpt = code.str.match(CPT).fillna(False).astype(bool)
    return _raw(model, ("procedure_occurrence",), frame[is_cpt],
                [(int(row), NO_CPT) for row in frame.loc[~is_cpt, "_row"]])


def _staff(model: _Model) -> Raw | None:
    if "provider" not in model:
        return None
    source = model.frame("provider", "provider_id", "care_site_id", "specialty_concept_id", "specialty_source_value")
    discipline = model.meaning(source, ["specialty_source_value", "specialty_concept_id"], schema.DISCIPLINES)
    return _raw(model, ("provider",), pd.DataFrame({"staff_id": source["provider_id"], "discipline": discipline,
                                                    "site_id": source["care_site_id"], "_row": source["_row"]}))


def _sites(model: _Model) -> Raw | None:
    if "care_site" not in model:
        return None
    source = model.frame("care_site", "care_site_id", "care_site_name", "place_of_service_source_value")
    return _raw(model, ("care_site",), pd.DataFrame({
        "site_id": source["care_site_id"], "name": source["care_site_name"],
        "type": source["place_of_service_source_value"], "_row": source["_row"]}))
