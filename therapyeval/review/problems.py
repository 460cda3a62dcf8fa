"""Warnings about the data in words for those who run a clinic: which table, what is wrong, how many rows; no values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from therapyeval.disclosure import Policy
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.formatting import count

TABLES = {"assessments": "Scores", "visits": "Appointments", "episodes": "Episodes of care"}
COLUMNS = {"patient_id": "patient number", "visit_id": "appointment number", "episode_id": "episode number",
           "measure_code": "measure", "start_date": "start of care", "birth_date": "birth date"}
STAYS = "; taken as missing, the row stays"
WORDS = (
    (r"no (\w+)", "{}: empty, so the row is not used"),
    (rf"unknown (\w+){STAYS}", "{}: a code that is not known, taken as missing; the row is used"),
    (r"unknown episode_id; the visit counts without an episode", "episode number: not known; the appointment counts, "
                                                                 "but in no episode"),
    (r"unknown (\w+)", "{}: a code that is not known, so the row is not used"),
    (rf"(\w+) is not .*{STAYS}", "{}: cannot be read, taken as missing; the row is used"),
    (r"(\w+) is not .*", "{}: cannot be read, so the row is not used"),
    (r"born after the data cut .*", "birth date: in the future or too long ago, so the age is taken as missing; the "
                                    "row is used"),
    (r"ends before it starts", "end of care: before its start, so the episode is not used"),
    (r"two scores on one day.*", "two different scores of one measure on one day, and nothing says which is right: "
                                 "neither is used"),
    (r"score outside the range.*", "a score that the measure cannot have: not used"),
)


def listed(problems: pd.DataFrame, policy: Policy) -> list[dict[str, str]]:
    """Errors and warnings of a quality report as a record may hold them: counts below the policy's threshold, codes
    and row numbers left out."""
    kept = problems[problems["severity"].isin(["error", "warning"])]
    return [{"severity": item.severity, "table": item.table, "rule": without_values(item.rule),
             "count": _count(int(item.count), policy)}
            for item in kept.itertuples(index=False, name="Problem")]


def problem_table(problems: Sequence[Mapping[str, str]]) -> Table | None:
    """The listed problems by table; None where there are none."""
    order = dict.fromkeys(str(item["table"]) for item in problems)
    rows = tuple(Row(TABLES.get(table, table.replace("_", " ").capitalize()),
                     (Cell(words(str(item["rule"]))), Cell(str(item["count"]))), below=str(item["severity"]))
                 for table in order for item in problems if item["table"] == table)
    notes = ("Rows of the files are counted, not patients. The command therapyeval check says which rows they are "
             "and what to do.",)
    return Table("problems", "Errors and warnings of the data.", "Everything that was read, whatever its site or date.",
                 ("What was found", "Rows"), rows, "Table", notes, words=(0,)) if rows else None


def _count(n: int, policy: Policy) -> str:
    if n == 0:
        return "whole file"
    return f"1 to {policy.threshold - 1}" if policy.suppresses and n < policy.threshold else count(n)


def without_values(rule: str) -> str:
    """A rule without the codes that it quotes.

    >>> without_values("unknown status: 'arrvd?' (15 rows)")
    'unknown status'
    """
    return re.sub(r""":\s*(?:['"].*?['"] \([\d,]+ rows\)(?:, )?)+""", "", rule)


def words(rule: str) -> str:
    """A rule in plain words; one that is not listed in WORDS stays as it is.

    >>> words("no patient_id"), words("birth_date is not an ISO date; taken as missing, the row stays")
    ('patient number: empty, so the row is not used', 'birth date: cannot be read, taken as missing; the row is used')
    """
    for pattern, words in WORDS:
        match = re.fullmatch(pattern, rule)
        if match:
            names = [COLUMNS.get(name, name.replace("_", " ")) for name in match.groups()]
            return words.format(*names)
    return rule
