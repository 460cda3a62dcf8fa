"""Rules about rows that stay: order of dates, ranges, links between tables, days outside an episode.

One pass over each table finds the rows of all its rules. Nothing is corrected here but what cannot be: a number that
is impossible becomes missing. Rules that set rows aside are where the rows are used; docs/quality.md lists all.
Source: data model, sections 1, 3 and 5; metric definitions, section 9.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass

from therapyeval.data import engine
from therapyeval.data.quality import Ledger

EITHER_SIDE = {"visits": 1, "assessments": 7}  # days before the start and after the end of the episode
DAY_MINUTES = 24 * 60
DATED = {"visits": "attended", "assessments": "dated"}  # what does not follow a death

# Of each table, what may not come after what.
ORDER = {
    "patients": (("birth_date", "death_date"),),
    "referrals": (("written_date", "received_date"), ("received_date", "closed_date"),
                  ("received_date", "auth_expiry")),
    "episodes": (("onset_date", "start_date"), ("cert_start", "cert_end")),
    "visits": (("scheduled_start", "scheduled_end"), ("started_dt", "ended_dt"), ("arrived_dt", "ended_dt")),
    "assessments": (("items_answered", "items_total"),),
    "enrollment": (("screened_date", "consent_date"), ("consent_date", "withdrawn_date"),
                   ("allocated_date", "withdrawn_date")),
    "goals": (("set_date", "target_date"), ("set_date", "met_date")),
    "satisfaction": (("invited_date", "date"),),
    "authorizations": (("start_date", "end_date"),), "admissions": (("onset_date", "admit_date"),),
    "staff": (("hire_date", "end_date"),), "sites": (("open_date", "close_date"),)}

# Least and greatest possible value; None is open.
RANGES = {
    "episodes": {"planned_visits": (0, None), "planned_weeks": (0, None), "goals_met_pct": (0, 100)},
    "assessments": {"se": (0, None), "items_answered": (0, None), "items_total": (1, None)},
    "visits": {"minutes": (0, DAY_MINUTES)}, "staff": {"fte": (0, None)}, "discharges": {"goals_met_pct": (0, 100)},
    "referrals": {"authorized_visits": (0, None)}, "authorizations": {"visits_authorized": (0, None)},
    "goals": {"baseline_level": (-2, 2), "expected_level": (-2, 2), "attained_level": (-2, 2)},
    "satisfaction": {"nps": (0, 10)}, "admissions": {"interruption_days": (0, None)},
    "staff_hours": {"paid_hours": (0, 168), "worked_hours": (0, 168), "patient_minutes": (0, 7 * DAY_MINUTES)},
    "availability": {"available_minutes": (0, DAY_MINUTES), "open_eval_slots": (0, None)}}

# A column that names a row of another table, and what follows where there is none. Links to episodes are looked at
# where rows are tied to them.
LINKS = {"patient_id": ("patients", "the row counts, without attributes of the patient"),
         "referral_id": ("referrals", "the episode counts as one without a referral"),
         "site_id": ("sites", "the row counts, with the time zone of the mapping"),
         "staff_id": ("staff", "the row counts, without what the staff table says"),
         "previous_episode_id": ("episodes", "re-opened episodes are found by their dates"),
         "rescheduled_to": ("visits", "the row counts as rescheduled"),
         "lead_staff_id": ("staff", "the episode counts all the same"),
         "rater_id": ("staff", "the score counts all the same")}
LINKS_OF = {**dict.fromkeys(("events", "satisfaction", "enrollment"), {
    "episode_id": ("episodes", "the row counts without an episode")})}
LINKS_OF["events"] = LINKS_OF["events"] | {"visit_id": ("visits", "the event counts all the same")}
# Where two rows must be of one patient: the column that ties them, the table of the other row, and what follows.
ONE_PATIENT = {
    "episodes": (("referral_id", "referrals", "its referral", "the episode counts as one without a referral"),
                 ("previous_episode_id", "episodes", "the episode before",
                  "re-opened episodes are found by their dates")),
    "events": (("episode_id", "episodes", "its episode", "the row counts without an episode"),),
    "satisfaction": (("episode_id", "episodes", "its episode", "the row counts without an episode"),)}
# What should be the same in all scores of one measure in one episode.
ONE_KIND = {"measure_version": ("warning", "versions", "scores of different versions are never paired"),
            "score_scale": ("warning", "scales", "scores of different scales are never paired"),
            "respondent": ("note", "respondents", "their scores are never paired with each other"),
            "mode": ("note", "modes", "they are paired all the same")}
ONCE = ("initial", "discharge")  # labels that one measure has once in an episode
KEYS = {"patients": "patient_id", "referrals": "referral_id", "sites": "site_id", "staff": "staff_id",
        "episodes": "episode_id", "visits": "visit_id"}


@dataclass(frozen=True)
class Finding:
    """A rule, and the expression that is true where a row breaks it."""

    severity: str
    rule: str
    is_broken: object
    todo: str = ""


def without_impossible(tables: MappingType[str, object], ledger: Ledger) -> dict[str, object]:
    """The tables with impossible numbers made missing, each counted; the rows stay."""
    tables = dict(tables)
    for name, ranges in RANGES.items():
        found = {}
        for column, limits in ranges.items():
            if name in tables and column in tables[name].columns and tables[name][column].type().is_numeric():
                found[column] = _range(tables[name], column, *limits)
        broken = _point_out(name, tables[name], list(found.values()), ledger) if found else set()
        if broken:
            rows = tables[name]
            tables[name] = rows.mutate(**{column: finding.is_broken.fill_null(False).ifelse(None, rows[column])
                                          for column, finding in found.items() if finding.rule in broken})
    return tables


def check_rules(tables: MappingType[str, object], ledger: Ledger) -> None:
    """Point out the rows that break a rule and stay as they are.

    Parameters
    ----------
    tables : checked Ibis tables by name, with `_file` and `_row`
    """
    care = _care(tables)
    for name, rows in tables.items():
        rows = _prepared(name, rows, tables, care)
        findings = [*_ordered(name, rows), *_linked(name, rows, tables), *_inside(name, rows), *_of_table(name, rows),
                    *_of_one_patient(name, rows), *_of_one_kind(rows)]
        _point_out(name, rows, findings, ledger)


def _prepared(name: str, rows, tables: MappingType[str, object], care):
    """The rows with what other rows say that the rules compare them with, in columns of `_` names."""
    if name == "patients":
        return _with_same(rows)
    if name == "assessments":
        rows = _with_kinds(rows)
    return _with_other_patient(name, _with_death(name, _with_care(name, rows, care), tables), tables)


def _point_out(name: str, rows, findings: list[Finding], ledger: Ledger) -> set[str]:
    """Count the rows of every finding in one pass; the rules that some row breaks."""
    import ibis

    if not findings:
        return set()
    flags = {f"_rule_{place}": finding.is_broken.fill_null(False) for place, finding in enumerate(findings)}
    rows = rows.select("_file", "_row", **flags)
    found = engine.fetch(rows.filter(ibis.or_(*(rows[flag] for flag in flags))).order_by("_file", "_row"))
    broken = set()
    for flag, finding in zip(flags, findings, strict=True):
        if found[flag].any():
            ledger.problem(finding.severity, name, found[found[flag]], finding.rule, finding.todo)
            broken.add(finding.rule)
    return broken


def _range(rows, column: str, low: float, high: float | None) -> Finding:
    value = rows[column]
    is_broken, words = value < low, f"below {low}"
    if high is not None:
        is_broken, words = is_broken | (value > high), f"not between {low} and {high}"
    return Finding("warning", f"{column} {words}; taken as missing, the row stays", is_broken, "Correct the values.")


def _ordered(name: str, rows) -> list[Finding]:
    found = []
    for first, second in ORDER.get(name, ()):
        if {first, second} <= set(rows.columns) and not rows[first].type().is_string():
            is_number = rows[first].type().is_numeric()
            rule = f"{first} is more than {second}" if is_number else f"{second} before {first}"
            found.append(Finding("warning", rule, _later(rows, first, second),
                                 "Find out which one is right and correct the export."))
    return found


def _later(rows, first: str, second: str):
    """Of two moments of which only one has a time of day or a known zone, the days are compared."""
    later = rows[first] > rows[second]
    timed = [f"{column}_has_time" for column in (first, second)]
    if not set(timed) <= set(rows.columns):
        return later
    moments = [rows[column] - rows[f"{column}_offset"].fill_null(0).as_interval("m") for column in (first, second)]
    comparable = rows[f"{first}_offset"].isnull() == rows[f"{second}_offset"].isnull()
    comparable &= rows[timed[0]] & rows[timed[1]]
    return comparable.ifelse(moments[0] > moments[1], rows[first].cast("date") > rows[second].cast("date"))


def _linked(name: str, rows, tables: MappingType[str, object]) -> list[Finding]:
    found = []
    for column, (other, follows) in {**LINKS, **LINKS_OF.get(name, {})}.items():
        key = KEYS[other]
        is_own_key = name == other and column == key
        if column in rows.columns and other in tables and key in tables[other].columns and not is_own_key:
            known = rows[column].isin(tables[other].filter(tables[other][key].notnull())[key])
            found.append(Finding("note", f"{column} is not in the table {other}; {follows}",
                                 rows[column].notnull() & ~known))
    return found


def _care(tables: MappingType[str, object]):
    """Start and end of each source episode; None where there are no dates of episodes."""
    import ibis

    episodes = tables.get("episodes")
    if episodes is None or "start_date" not in episodes.columns:
        return None
    episodes = engine.with_absent(episodes, discharge_date="date", end_date="date")
    ends = [episodes["discharge_date"], episodes["end_date"]]
    if "discharges" in tables:
        episodes = engine.looked_up(episodes, tables["discharges"], "episode_id", _ended="discharge_date")
        ends = [episodes["_ended"], episodes["discharge_date"], episodes["end_date"]]
    given = ["_ended"] if "discharges" in tables else []
    return episodes.select("episode_id", *given, _start=episodes["start_date"], _end=ibis.coalesce(*ends))


def _with_death(name: str, rows, tables: MappingType[str, object]):
    """With the day of death of the patient."""
    patients = tables.get("patients")
    if name not in DATED or patients is None or "death_date" not in patients.columns:
        return rows
    return engine.looked_up(rows, patients.filter(patients.death_date.notnull()), "patient_id", _death="death_date")


def _with_other_patient(name: str, rows, tables: MappingType[str, object]):
    """With the patient of each row that another row is tied to, as `_of_<column>`."""
    for column, other, *_ in ONE_PATIENT.get(name, ()):
        if {column, "patient_id"} <= set(rows.columns) and other in tables:
            key = tables[other].select(**{column: KEYS[other], "_of": "patient_id"})
            rows = engine.looked_up(rows, key, column, **{f"_of_{column}": "_of"})
    return rows


def _with_kinds(scores):
    """With the least and greatest version, scale … and day of a label among the scores of an episode and measure."""
    import ibis

    kinds = [name for name in ONE_KIND if name in scores.columns]
    labels = ONCE if "timepoint" in scores.columns else ()
    if "episode_id" not in scores.columns or not (kinds or labels):
        return scores
    given = scores.filter(scores.episode_id.notnull() & scores.score.notnull())
    ends = {f"_{end}_{name}": getattr(given[name], end)() for name in kinds for end in ("min", "max")}
    for label in labels:
        is_it = given.timepoint.lower() == label
        ends |= {f"_{end}_{label}": getattr(given.date, end)(where=is_it) for end in ("min", "max")}
    found = given.group_by(["episode_id", "measure_code"]).aggregate(**ends)
    several = {f"_several_{name}": (found[f"_min_{name}"] != found[f"_max_{name}"]).fill_null(False)
               for name in (*kinds, *labels)}
    found = found.select(_episode="episode_id", _measure="measure_code", **several)
    found = found.filter(ibis.or_(*(found[name] for name in several)))
    same = (scores.episode_id == found["_episode"]) & (scores.measure_code == found["_measure"])
    return scores.left_join(found, same).select(scores, *several)


def _with_care(name: str, rows, care):
    if care is None or "episode_id" not in rows.columns:
        return rows
    if name == "episodes" and {"discharge_date", "_ended"} <= {*rows.columns, *care.columns}:
        return engine.looked_up(rows, care, "episode_id", _ended="_ended")
    return engine.looked_up(rows, care, "episode_id", _start="_start", _end="_end") if name in EITHER_SIDE else rows


def _inside(name: str, rows) -> list[Finding]:
    """Days outside the episode: attended visits, and scores that no follow-up label explains."""
    import ibis

    if "_start" not in rows.columns:
        return []
    margin = EITHER_SIDE[name]
    day = rows["scheduled_start"].cast("date") if name == "visits" else rows["date"]
    before, after = rows["_start"].delta(day, unit="day"), day.delta(rows["_end"], unit="day")
    outside = (before > margin).fill_null(False) | (after > margin).fill_null(False)
    if name == "visits":
        return [Finding("warning", f"attended more than {margin} day before the start or after the end of its episode; "
                                   "the visit counts", outside & (rows["status"] == "attended"),
                        "Is it another episode's visit, or is a date of the episode wrong?")]
    is_labelled = "timepoint" in rows.columns
    follow_up = rows["timepoint"].lower().startswith("follow").fill_null(False) if is_labelled else ibis.literal(False)
    return [Finding("note", f"dated more than {margin} days before the start or after the end of its episode; it can "
                            "be no baseline or final score", outside & ~follow_up)]


def _of_one_patient(name: str, rows) -> list[Finding]:
    return [Finding("warning", f"patient_id is not that of {what}; {follows}",
                    rows[f"_of_{column}"].notnull() & (rows[f"_of_{column}"] != rows["patient_id"]),
                    "Find out which one is right and correct the export.")
            for column, _, what, follows in ONE_PATIENT.get(name, ()) if f"_of_{column}" in rows.columns]


def _of_one_kind(rows) -> list[Finding]:
    """Scores of one measure in an episode that are of several kinds, or have the label of one more than once."""
    found = []
    for name, (severity, what, follows) in ONE_KIND.items():
        if f"_several_{name}" in rows.columns:
            found.append(Finding(severity, f"several {what} of one measure in one episode; {follows}",
                                 rows[f"_several_{name}"] & rows["score"].notnull(),
                                 "Is the column mapped rightly? If so, nothing is to be done."))
    for label in ONCE:
        if f"_several_{label}" in rows.columns:
            found.append(Finding("note", f"labelled {label} on several days for one measure in one episode; the dates "
                                         "decide which one counts", rows[f"_several_{label}"]
                                 & rows["score"].notnull() & (rows["timepoint"].lower() == label)))
    return found


def _with_same(patients):
    """With `_same`: how many patients are described by the same words and dates."""
    import ibis

    described = [column for column in patients.columns if column not in ("_at", "_file", "_row", "patient_id")]
    if not {"birth_date", "sex"} <= set(described):
        return patients
    return patients.mutate(_same=patients.count().over(ibis.window(group_by=described)))


def _of_table(name: str, rows) -> list[Finding]:
    if "_death" in rows.columns:
        is_visit = name == "visits"
        after = (rows["scheduled_start"].cast("date") if is_visit else rows["date"]) > rows["_death"]
        return [Finding("warning", f"{DATED[name]} after the death of the patient; the row counts",
                        after & (rows["status"] == "attended") if is_visit else after,
                        "Find out which date is right and correct the export.")]
    if name == "episodes" and "_ended" in rows.columns:
        return [Finding("warning", "discharge_date is not that of the table discharges, which counts",
                        rows["_ended"] != rows["discharge_date"], "Find out which one is right.")]
    if name == "admissions" and {"interruption_days", "discharge_date"} <= set(rows.columns):
        stay = rows["discharge_date"].delta(rows["admit_date"], unit="day")
        return [Finding("warning", "interruption_days is more than the days of the stay; both stay",
                        rows["interruption_days"] > stay, "Correct the values.")]
    if name == "charges" and "units" in rows.columns:
        return [Finding("note", "negative units: a reversal, which is netted against the charge", rows["units"] < 0)]
    if "_same" in rows.columns:
        return [Finding("note", "the same birth date, sex and everything else as another patient_id; nobody is merged",
                        rows["birth_date"].notnull() & rows["sex"].notnull() & (rows["_same"] > 1),
                        "If they are one person, merge them in the source.")]
    return []
