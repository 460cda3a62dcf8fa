"""Episodes for attended visits that name none: found in the visits of each line of care, by the gap between them.

A line of care is patient x discipline x body region. What is told of a derived episode is told of its first visit:
it counts as a row of `FILE`, with the row number of that visit.
Source: data model, section 5 (gap rule) and section 4 (groups of diagnoses); metric definitions, section 9.
"""

from __future__ import annotations

from therapyeval.data import engine, schema
from therapyeval.data.quality import Ledger

FILE = "derived from visits"
LINE = ["patient", "discipline", "body_region"]
TOLD = ("site_id", "discipline", "body_region", "primary_dx")  # by its first visit
NAMES_NONE = 4 + 8  # bits of `_odd`: these visits name an episode that is not theirs
AROUND = 1  # days before the start and after the end of an episode that still hold a visit
HELD = "attended and names no episode; it belongs to the patient's only episode that holds its day"
OPEN = "attended and names no episode, and it is not known to which line of care it belongs; it counts without one"
DERIVED = "visits that name no episode: an episode is derived from them; this is the row of its first visit"
NO_EVALUATION = "derived, and no evaluation was recorded: starts at the first attended visit"
# Beginnings of ICD-10-CM codes, the longest first; other codes are grouped by their letter.
GROUPS = (("G80", "pediatric"), ("Z47", "aftercare"), ("R13", "dysphagia"), ("F80", "speech"), ("R47", "speech"),
          ("I6", "neuro"), ("G", "neuro"), ("Q", "pediatric"), ("S", "injury"), ("T", "injury"))


def has_free(connection, cut) -> bool:
    """Whether some visit attended by the data cut names no episode (of the stored visits)."""
    asked = f"SELECT count(*) FROM visits WHERE is_visit AND date <= ? AND {_free()}"
    return connection.con.execute(asked, [cut.date()]).fetchone()[0] > 0


def with_derived(connection, episodes, staff, cut, reopen_gap_days: int, ledger: Ledger):
    """The source episodes with those derived from visits that name none; the stored visits get their episode.

    A visit without a discipline or region takes that of its clinician, else the only one of the patient. A visit on a
    day that only one episode of the patient holds (of no other discipline or region) belongs to it. The others make
    episodes: a new one begins with a gap above `reopen_gap_days` between attended visits of one line, or with an
    evaluation for another group of diagnoses (`section` counts these). Appointments that were not attended belong to
    the derived episode that they follow by no more than that gap. Where the discipline stays open, or one of several
    regions, the visit counts without an episode.

    Parameters
    ----------
    episodes : Ibis table of counted source episodes: episode, patient, discipline, body_region, site_id,
        start_date, discharge_date, ...
    staff : Ibis table, numbered, or None
    """
    engine.keep_rows(connection, "free_visits", f"SELECT rowid AS _at, * FROM visits WHERE {_free()}")
    rows = _described(connection.table("free_visits"), staff, cut)
    rows = engine.keep(connection, "free_lines", _with_lines(rows, episodes))
    held = engine.keep(connection, "held_visits", _held(rows, episodes))
    rest = rows.anti_join(held, "_at")
    placed = _placed(connection, rest, episodes, reopen_gap_days)
    _tie(connection, held)
    _tie(connection, placed.filter(placed.episode.notnull()))
    loose = rest.filter(rest.seen & rest.is_open)
    for rule, found, todo in ((HELD, rows.semi_join(held, "_at"), "Give its episode_id."),
                              (OPEN, loose, "Give its episode_id, or its discipline and body_region.")):
        ledger.problem("note", "visits", engine.fetch(found.select("_file", "_row").order_by("_file", "_row")), rule,
                       todo)
    derived = _episodes(placed)
    _tell(derived, ledger)
    return _joined(connection, episodes, derived, ledger.file_number(FILE))


def _free() -> str:
    return f"episode IS NULL AND _odd & {NAMES_NONE} = 0 AND status NOT IN ('deleted', 'entered_in_error')"


def _described(rows, staff, cut):
    """With the discipline (else that of the clinician), region, site and group of diagnoses that each row tells."""
    rows = engine.with_absent(rows, discipline="string", body_region="string", site_id="string", primary_dx="string")
    if staff is not None and "staff" in rows.columns and "discipline" in staff.columns:
        rows = engine.looked_up(rows, staff, "staff", _its="discipline")
        told = rows["_its"].strip().cases(*((name, name) for name in schema.DISCIPLINES), else_=None)
        rows = rows.mutate(discipline=rows.discipline.fill_null(told))
    seen = rows.is_visit & (rows.date <= cut.date())
    return rows.select("_at", "_file", "_row", *LINE, "site_id", "primary_dx", "date", "is_evaluation", seen=seen,
                       group=seen.ifelse(_group(rows.primary_dx), None))


def _group(code):
    """The group of diagnoses of a code."""
    import ibis

    code = code.strip().upper()
    return ibis.cases(*((code.startswith(begins), group) for begins, group in GROUPS), else_=code.substr(0, 1))


def _with_lines(rows, episodes):
    """Discipline and region that nobody told are the patient's only ones; `is_open`: they stay unknown."""
    for name, within in (("discipline", ["patient"]), ("body_region", ["patient", "discipline"])):
        lines = rows.filter(rows.seen).select(*LINE).union(episodes.select(*LINE))
        lines = lines.filter(lines[name].notnull())
        only = lines.group_by(within).aggregate(_least=lines[name].min(), _most=lines[name].max())
        rows = rows.left_join(only, within).drop(f"{key}_right" for key in within)
        is_one = rows["_least"] == rows["_most"]
        rows = rows.mutate(**{name: rows[name].fill_null(is_one.ifelse(rows["_least"], None)),
                              "is_open": rows.discipline.isnull() | (rows[name].isnull() & ~is_one.fill_null(True))})
        rows = rows.drop("_least", "_most")
    return rows


def _held(rows, episodes):
    """The attended visits of a day that one episode of the patient holds, with that episode."""
    import ibis

    spans = episodes.filter(episodes.start_date.notnull()).select(
        "episode", patient_of="patient", discipline_of="discipline", region_of="body_region",
        first=episodes.start_date, last=episodes.discharge_date.fill_null(ibis.date(schema.NEWEST)))
    rows = rows.filter(rows.seen)
    same = (rows.patient == spans.patient_of) & (rows.date.delta(spans.first, unit="day") >= -AROUND) & (
        rows.date.delta(spans["last"], unit="day") <= AROUND)
    for own, its in (("discipline", "discipline_of"), ("body_region", "region_of")):
        same &= (rows[own] == spans[its]) | rows[own].isnull() | spans[its].isnull()
    found = rows.join(spans, same).select("_at", "episode")
    return found.group_by("_at").having(found.count() == 1).aggregate(episode=found.episode.min())


def _placed(connection, rows, episodes, gap: int):
    """Rows of known lines with the number of their derived episode (missing: none); `is_new` where one begins."""
    import ibis

    rows = rows.filter(~rows.is_open)
    order = ["date", ~rows.seen, "_file", "_row"]
    before = ibis.window(group_by=LINE, order_by=order, preceding=(None, 1), following=None)
    since = rows.date.delta(rows.date.max(where=rows.seen).over(before), unit="day")
    known = rows.group.last().over(before)
    changed = (rows.seen & rows.is_evaluation & (rows.group != known)).fill_null(False)
    rows = rows.mutate(changed=changed.cast("int32"), near=(since <= gap).fill_null(False),
                       is_new=rows.seen & (since.isnull() | (since > gap) | changed))
    rows = engine.keep(connection, "free_gaps", rows)
    order = ["date", ~rows.seen, "_file", "_row"]
    line = ibis.cumulative_window(group_by=LINE, order_by=order)
    rows = rows.mutate(run=rows.is_new.cast("int32").sum().over(line), section=rows.changed.sum().over(line))
    first = episodes.episode.max().fill_null(-1) + 1
    place = ibis.dense_rank().over(ibis.window(order_by=[*LINE, "run"])) + first.as_scalar()
    rows = rows.filter((rows.run > 0) & (rows.seen | rows.near))
    return engine.keep(connection, "placed_visits", rows.mutate(episode=place.cast("int32")))


def _tie(connection, found) -> None:
    """Write the episode into the stored visits."""
    connection.con.execute(f"UPDATE visits SET episode = tied.episode FROM ({connection.compile(found)}) AS tied "
                           "WHERE visits.rowid = tied._at")


def _episodes(placed):
    """One row for each derived episode, described by its first attended visit."""
    seen = placed.filter(placed.seen)
    days = seen.group_by("episode").aggregate(first_day=seen.date.min(),
                                              eval_day=seen.date.min(where=seen.is_evaluation))
    rows = engine.looked_up(seen.filter(seen.is_new), days, "episode", first_day="first_day", eval_day="eval_day")
    return rows.mutate(start_date=rows.eval_day.fill_null(rows.first_day), unseen=rows.eval_day.isnull())


def _tell(derived, ledger: Ledger) -> None:
    rows = engine.fetch(derived.select("_row", "unseen").order_by("_row")).assign(_file=ledger.file_number(FILE))
    if len(rows):
        ledger.read("episodes", FILE, len(rows))
    ledger.problem("note", "episodes", rows, DERIVED)
    ledger.problem("note", "episodes", rows[rows["unseen"]], NO_EVALUATION)


def _joined(connection, episodes, derived, file: int):
    """The episodes of the source, then the derived ones."""
    import ibis

    own = {"_at": derived.episode, "_file": ibis.literal(file), "_later": ibis.literal(False)}
    types = episodes.schema()
    episodes = episodes.mutate(section=ibis.literal(0, "int32"), is_derived=ibis.literal(False))
    columns = {name: own.get(name, derived[name] if name in derived.columns else ibis.null(kind)).cast(kind)
               for name, kind in types.items()}
    derived = derived.select(**columns, section=derived.section.cast("int32"), is_derived=ibis.literal(True))
    return episodes.union(derived)
