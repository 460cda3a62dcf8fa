"""A draft mapping: what each raw column seems to be, which of its codes are known, and what a person has to look at.

Nothing is guessed: a line that is not sure carries its doubt, and a line that needs an answer is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from therapyeval.data import convert, profile, schema, vocabulary, words
from therapyeval.data.vocabulary import Match
from therapyeval.formatting import first_few

SCORE, ATTRIBUTE, OCCASION = "score", "attribute", "occasion"  # what a column may be besides a canonical column
SHOWN_FROM, SHOWN_LENGTH = 11, 24  # an unknown code is named when so many rows have it and it is no longer
MOST_OCCASIONS = 12  # a column with more distinct values does not tell occasions apart
NUMERIC = 0.8  # share of values that have to be numbers in a column of scores
AGES = ("age", "patientage", "ageatstart", "ageatintake", "ageatevaluation", "ageyears")
WHAT_SPEAKS = {"episodes": {"start_date", "discharge_date", "end_date"}, "visits": {"scheduled_start"},
               "assessments": {"score"}, "referrals": {"received_date"}, "charges": {"cpt"},
               "discharges": {"discharge_date"}, "patients": {"birth_date", "birth_year", "sex", "race_ethnicity"},
               "sites": {"name", "time_zone", "type"}, "staff": {"fte", "license_type", "hire_date"},
               "enrollment": {"arm"}}
CANNOT_DO_WITHOUT = {"assessments": {"measure_code", "score"}, "discharges": {"episode_id"}, "charges": {"cpt"},
                     "patients": {"patient_id"}, "sites": {"site_id"}, "staff": {"staff_id"},
                     "enrollment": {"patient_id"}}
FILE_WORDS = {"visits": ("visit", "appointment", "appt", "schedule", "pat_enc", "encounter"),
              "episodes": ("episode", "case", "outcome"), "referrals": ("referral",), "charges": ("charge", "billing"),
              "assessments": ("assessment", "flowsheet", "survey", "prom", "clinical_event"),
              "discharges": ("discharge",), "patients": ("patient", "demographic"), "sites": ("site", "clinics"),
              "staff": ("staff", "therapists", "provider"), "enrollment": ("enrol", "arms")}
SHARED = ("patient_id", "episode_id", "site_id")  # of several tables in one file, the leading one has them
BESIDE = {"episodes": ("patients", "enrollment"), "visits": ("episodes", "patients", "charges"),
              "referrals": ("patients",),
          "patients": ("enrollment",)}


@dataclass(frozen=True)
class Use:
    """What a raw column is taken for.

    Attributes
    ----------
    kind, name : a kind of the mapping and its canonical column; or "score" and a measure; "attribute" and its name
    point : of a score: initial, discharge or another occasion
    values : known codes in our words; `unknown` are frequent codes with their rows, `rare` the file rows of others
    format : of dates; "" for ISO
    doubt : why a person has to look; `is_open` where the line cannot be used before
    """

    kind: str
    name: str
    point: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[tuple[str, int], ...] = ()
    rare: tuple[int, ...] = ()
    format: str = ""
    doubt: str = ""
    is_open: bool = False


@dataclass(frozen=True)
class FileDraft:
    """One file, sheet or table (`part`).

    Attributes
    ----------
    read : name of the file; empty for the address of a database
    layout : "redcap", or empty
    columns, uses : raw columns, and what they are taken for
    keys : by kind and line, keys made of several columns
    asks : (kind, canonical column, why) of what no raw column gives
    missing : words for "no value"; note: why nothing was recognised
    """

    read: str
    columns: tuple[str, ...]
    kind: str = ""
    part: str | None = None
    layout: str = ""
    uses: Mapping[str, Use] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    asks: tuple[tuple[str, str, str], ...] = ()
    missing: tuple[str, ...] = ()
    note: str = ""

    def with_use(self, column: str, use: Use | None) -> FileDraft:
        """The draft with another use of a raw column; None leaves it out."""
        uses = {name: known for name, known in self.uses.items() if name != column}
        return replace(self, uses=uses if use is None else {**uses, column: use})


@dataclass(frozen=True)
class Draft:
    """All files of a folder."""

    files: tuple[FileDraft, ...]


def draft_mapping(path: str | Path) -> Draft:
    """What the files of a folder, or one file, seem to hold.

    Raises
    ------
    DataError
        Where there is nothing to read, or a file is no table.
    """
    return Draft(tuple(file_draft(place, *profile.arranged(place, part), part)
                       for place in profile.places(path) for part in profile.parts(place)))


def use_of(frame: pd.DataFrame, column: str, kind: str, name: str, doubt: str = "") -> Use:
    """The use of a raw column as a canonical column, with its codes or the format of its dates."""
    table = schema.KINDS[kind]
    kind_of_column = schema.TABLES[table].columns[name]
    use = Use(kind, name, doubt=doubt)
    if isinstance(kind_of_column, tuple) or name in ("measure_code", "timepoint"):
        return _coded(frame, column, use, f"{table}.{name}")
    if kind_of_column in ("date", "datetime"):
        return _dated(frame, column, use)
    if kind_of_column == "number" and frame[column].notna().any() and profile.share_of_numbers(frame[column]) < NUMERIC:
        return replace(use, doubt=_joined(doubt, "many values are not numbers"))
    if kind_of_column == "yes_no":
        known = frame[column].dropna().str.lower().isin(convert.YES_NO)
        return replace(use, doubt=_joined(doubt, "" if known.all() else "values other than yes and no"))
    return use


def file_draft(place: str | Path, frame: pd.DataFrame, layout: str = "", part: str | None = None,
               kind: str = "") -> FileDraft:
    """What one file, sheet or table seems to hold.

    Parameters
    ----------
    frame, layout : its rows and their arrangement, as `profile.arranged` gives them
    kind : what a row stands for, where somebody knows it
    """
    names = profile.columns(frame)
    file = place.name if isinstance(place, Path) else ""
    plain = FileDraft(file, tuple(names), part=part, layout=layout, missing=_missing_words(frame, names))
    frame = frame.mask(frame.isin(plain.missing)) if plain.missing else frame
    scores, single = _score_columns(frame, names)
    matches = _matches([name for name in names if name not in scores and name not in single])
    occasion = _occasion_column(frame, matches, single)
    table = schema.KINDS.get(kind) or _table_of(f"{file} {part or ''}", matches, bool(scores or occasion))
    table = "visits" if table == "charges" and _is_billing(matches) else table
    if not table:
        return replace(plain, note=_why_nothing(single))
    draft = replace(plain, kind=_kind_of(table))
    tables = ("charges", "visits") if table == "visits" and _is_billing(matches) else (table, *_beside(table, matches))
    for other in tables:
        for name, (column, match) in matches[other].items():
            if column not in draft.uses and (other == table or name not in SHARED):
                draft = draft.with_use(column, use_of(frame, column, _kind_of(other), name, _word_doubt(match)))
    if table == "episodes":
        draft = _with_columns(draft, scores, single) if scores or not occasion else \
            _with_occasions(draft, frame, occasion, single, matches)
    return _with_keys(_with_hints(_with_age(draft, frame)), frame, matches)


def _kind_of(table: str) -> str:
    return next(kind for kind, name in schema.KINDS.items() if name == table)


def _word_doubt(match: Match) -> str:
    return "" if match.is_sure else "recognized by a word that may mean something else"


def _joined(*doubts: str) -> str:
    return "; ".join(filter(None, doubts))


def _missing_words(frame: pd.DataFrame, names: list[str]) -> tuple[str, ...]:
    found = {word for name in names for word in words.MISSING_WORDS if (frame[name] == word).any()}
    return tuple(word for word in words.MISSING_WORDS if word in found)


def _score_columns(frame: pd.DataFrame, names: list[str]) -> tuple[dict[str, tuple[Match, str]], dict[str, Match]]:
    """Columns of scores: those whose name tells the occasion, and those of a measure alone."""
    numeric = [name for name in names if profile.share_of_numbers(frame[name]) >= NUMERIC]
    found = {name: vocabulary.measure_and_occasion(name) for name in numeric}
    wide = {name: match for name, match in found.items() if match}
    single = {name: match for name in numeric if name not in wide and (match := vocabulary.measure_of(name))}
    return wide, single


def _matches(names: list[str]) -> dict[str, dict[str, tuple[str, Match]]]:
    """By table and canonical column: the raw column that fits best, and how it was recognised."""
    found: dict[str, dict[str, tuple[str, Match]]] = {table: {} for table in schema.DRAFTED}
    for column in names:
        for table, match in vocabulary.columns_of(column).items():
            best = found[table].get(match.name)
            if best is None or (match.is_sure, -match.rank) > (best[1].is_sure, -best[1].rank):
                found[table][match.name] = (column, match)
    return found


def _occasion_column(frame: pd.DataFrame, matches: Mapping, single: Mapping) -> str | None:
    """The column that tells the occasions apart, where measures are columns."""
    column = matches["assessments"].get("timepoint", ("", None))[0]
    return column if single and column and frame[column].nunique() <= MOST_OCCASIONS else None


def _is_billing(matches: Mapping) -> bool:
    """Lines of charges without a visit, which patient and day can stand for."""
    return "cpt" in matches["charges"] and not {"visit_id"} & (set(matches["charges"]) | set(matches["visits"])) \
        and {"patient_id", "scheduled_start"} <= set(matches["visits"])


def _why_nothing(single: Mapping[str, Match]) -> str:
    if single:
        measures = ", ".join(dict.fromkeys(match.name for match in single.values()))
        return f"scores ({measures}) without anything that tells their occasion; see docs/mapping.md, scores"
    return "nothing here looks like visits, episodes, scores or another table"


def _table_of(file: str, matches: Mapping, has_score_columns: bool) -> str:
    """The table that the rows of a file stand for; "" where none fits."""
    if has_score_columns:
        return "episodes"
    points = {}
    for table, found in matches.items():
        named = any(word in file.casefold() for word in FILE_WORDS[table])
        speaks = WHAT_SPEAKS[table] & set(found)
        if CANNOT_DO_WITHOUT.get(table, set()) <= set(found) and (speaks or named and len(found) > 2):
            points[table] = 4 * named + sum(
                (3 if match.is_own else 1) / (1 if match.is_sure else 3) for _, match in found.values())
    return max(points, key=points.get) if points else ""


def _beside(table: str, matches: Mapping) -> list[str]:
    """Other tables that the file gives besides: they have a column that speaks for them and is not used yet."""
    used = {column for column, _ in matches[table].values()}
    return [other for other in BESIDE.get(table, ()) if (other != "episodes" or "episode_id" in matches[table])
            and any(matches[other][name][0] not in used for name in WHAT_SPEAKS[other] & set(matches[other]))]


def _coded(frame: pd.DataFrame, column: str, use: Use, where: str) -> Use:
    """Codes that are known in our words; others are named when frequent, else told by their rows."""
    counts = frame[column].value_counts()
    is_measure = where == "assessments.measure_code"
    found = {code: vocabulary.measure_of(code) if is_measure else vocabulary.code_of(where, code)
             for code in counts.index}
    itself = vocabulary.code_of(where, column)  # "No-show: Yes"
    if itself:
        found |= {code: itself for code in counts.index if convert.YES_NO.get(code.casefold()) == "yes"}
    unknown = [code for code, match in found.items() if match is None]
    shown = tuple((code, int(counts[code])) for code in unknown if is_shown(code, counts[code]))
    rare = frame.loc[frame[column].isin(set(unknown) - {code for code, _ in shown}), "_row"]
    values = {code: match.name for code, match in found.items() if match and match.name.casefold() != code.casefold()}
    unsure = [match.name for match in found.values() if match and not match.is_sure]
    questions = words.OPEN_QUESTIONS if is_measure else {}
    doubts = [f"{', '.join(sorted(set(unsure)))} by an unsure word" if unsure else "",
              *(f"{name}: {questions[name]}" for name in sorted({match.name for match in found.values() if match})
                if name in questions)]
    none_known = len(counts) > 0 and len(unknown) == len(counts)
    return replace(use, values=values, unknown=shown, rare=tuple(int(row) for row in rare),
                   doubt=_joined(use.doubt, *doubts, "none of its codes is known" if none_known else ""))


def is_shown(code: str, rows: int) -> bool:
    """Whether an unknown code may be named: short, and seen in many rows."""
    return rows >= SHOWN_FROM and len(code) <= SHOWN_LENGTH


def _dated(frame: pd.DataFrame, column: str, use: Use) -> Use:
    found = profile.date_format(frame[column])
    if found is None:
        empty = frame[column].isna().all()
        return replace(use, doubt="no value in the whole column" if empty else
                       "these are not dates that can be read; write {column: …, format: …}", is_open=not empty)
    is_birth = use.name == "birth_date" and found.format.endswith("%y")
    return replace(use, format=found.format, doubt=_joined(use.doubt, found.doubt), is_open=found.is_open or is_birth)


def _with_occasions(draft: FileDraft, frame: pd.DataFrame, occasion: str, single: Mapping[str, Match],
                    matches: Mapping) -> FileDraft:
    """Several rows of an episode, one for each occasion, with a column for each measure."""
    word = _word_doubt(matches["assessments"]["timepoint"][1])
    draft = draft.with_use(occasion, _coded(frame, occasion, Use(OCCASION, "timepoint", doubt=word),
                                            "assessments.timepoint"))
    column = matches["assessments"].get("date", ("", None))[0]
    if column and column not in draft.uses:
        draft = draft.with_use(column, _dated(frame, column, Use(OCCASION, "date")))
    for column, match in reversed(single.items()):  # of two columns for one measure the first counts
        draft = draft.with_use(column, Use(SCORE, match.name, doubt=_score_doubt(match)))
    return draft


def _with_columns(draft: FileDraft, scores: Mapping[str, tuple[Match, str]], single: Mapping[str, Match]) -> FileDraft:
    """One row of an episode, with a column for each measure and occasion."""
    points = _points(scores)
    taken = set()
    for column, (match, _) in scores.items():
        point, doubt = points[column]
        if (match.name, point) not in taken:
            taken.add((match.name, point))
            doubt = _joined(_score_doubt(match), doubt)
            draft = draft.with_use(column, Use(SCORE, match.name, point, doubt=doubt))
    for column, match in single.items():
        others = {point for measure, point in taken if measure == match.name}
        if others and schema.INITIAL not in others:
            doubt = _joined(_score_doubt(match), "taken as the first score, because another column has the last")
            draft = draft.with_use(column, Use(SCORE, match.name, schema.INITIAL, doubt=doubt))
    return draft


def _score_doubt(match: Match) -> str:
    return _joined(_word_doubt(match), words.OPEN_QUESTIONS.get(match.name, ""))


def _points(scores: Mapping[str, tuple[Match, str]]) -> dict[str, tuple[str, str]]:
    """The occasion of each column and a doubt: of numbered ones the lowest is the first, the highest the last."""
    found = {}
    for column, (match, point) in scores.items():
        numbers = sorted({int(other) for known, other in scores.values() if known.name == match.name
                          and other.isdigit()})
        named = any(known.name == match.name and not other.isdigit() for known, other in scores.values())
        if not point.isdigit():
            found[column] = (point, "")
        elif named or len(numbers) < 2 or int(point) not in (numbers[0], numbers[-1]):
            found[column] = (f"t{point}", "" if len(numbers) > 1 else "which occasion is this?")
        else:
            end = schema.INITIAL if int(point) == numbers[0] else schema.DISCHARGE
            found[column] = (end, f"{point} taken as the {'first' if end == schema.INITIAL else 'last'} occasion")
    return found


def _with_age(draft: FileDraft, frame: pd.DataFrame) -> FileDraft:
    for column in draft.columns if draft.kind in ("episode", "visit", "patient") else ():
        is_age = vocabulary.plain(column) in AGES and column not in draft.uses
        if is_age and profile.share_of_numbers(frame[column]) > 0:
            return draft.with_use(column, Use(ATTRIBUTE, "age"))
    return draft


def _with_hints(draft: FileDraft) -> FileDraft:
    """Beside an open question about dates, how the other dates of the file are written."""
    others = {use.format for use in draft.uses.values() if use.format and not use.is_open}
    for column, use in draft.uses.items():
        if use.is_open and use.format and others:
            hint = f"other dates of this file are {' and '.join(sorted(others))}"
            draft = draft.with_use(column, replace(use, doubt=_joined(use.doubt, hint)))
    return draft


def _with_keys(draft: FileDraft, frame: pd.DataFrame, matches: Mapping) -> FileDraft:
    """Keys made of other columns where the file has none, and a question for each column that is needed."""
    table = schema.KINDS[draft.kind]
    given = {use.name: column for column, use in draft.uses.items() if use.kind == draft.kind}
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    asks: list[tuple[str, str, str]] = []
    if draft.kind == "episode" and "episode_id" not in given:
        parts = [given[name] for name in ("patient_id", "start_date") if name in given]
        if len(parts) > 1 and frame[parts[1]].isna().any():  # a key has to be there in every row
            parts = parts[:1]
        if parts:
            keys["episode", "id"] = tuple(parts)
        apart = {0: "no column tells episodes apart", 1: "no episode id: one episode for each patient"}
        asks.append(("episode", "id", apart.get(len(parts), "no episode id: patient and start tell episodes apart")))
    if draft.kind == "visit" and any(use.kind == "episode" for use in draft.uses.values()):
        keys |= {("episode", "id" if name == "episode_id" else name): (given[name],)
                 for name in SHARED if name in given}
    if draft.kind == "visit" and _is_billing(matches):
        why = "no visit id: all lines of one patient and day are one visit"
        for key in (("visit", "id"), ("charge", "visit_id")):
            keys[key] = (given["patient_id"], given["scheduled_start"])
            asks.append((*key, why))
    needed = [*schema.TABLES[table].needed, *schema.ROW_NEEDS[table]]
    for name in dict.fromkeys(needed):
        if name == "timepoint" and "date" in given:  # dates tell the occasions
            continue
        is_made = name == schema.TABLES[table].key or (draft.kind, name) == ("episode", "status")
        if name not in given and not is_made and not (name == "patient_id" and draft.kind == "episode"):
            asks.append((draft.kind, name, "no column for it was recognized"))
    return replace(draft, keys=keys, asks=tuple(asks))


def rare_rows(use: Use) -> str:
    """Where codes stand that are too rare to be named."""
    return first_few(sorted(use.rare))
