"""What became of every row that was read: in the facts, in quarantine, merged, or left out by a rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from therapyeval.formatting import count, first_few, plural

QUARANTINED, MERGED, LEFT_OUT = "quarantined", "merged", "left_out"
SEVERITIES = ("error", "warning", "note")
USABLE, WITH_WARNINGS, NOT_USABLE = "usable", "usable with warnings", "not usable"
TABLES = ["table", "file", "rows_in", "in_facts", QUARANTINED, MERGED, LEFT_OUT]
PROBLEMS = ["severity", "table", "file", "rule", "count", "rows", "todo", "fate"]
QUARANTINE = ["table", "file", "row", "reason"]
TOO_MANY = 0.5  # share of a table in quarantine from which it is not usable; a convention of this project
DEFAULT_SEVERITY = {QUARANTINED: "warning", MERGED: "note", LEFT_OUT: "note"}


@dataclass(frozen=True)
class QualityReport:
    """Counts and file row numbers; never a value of a patient.

    Attributes
    ----------
    tables : table, file, rows_in, in_facts, quarantined, merged, left_out; rows_in is the sum of the others
    problems : severity (error, warning, note), table, file, rule, count, rows (the first row numbers), todo, fate
        (quarantined, merged, left_out; "" where the rows stay)
    quarantine : table, file, row (as a spreadsheet counts, the header is row 1), reason
    verdict : "usable", "usable with warnings" or "not usable"
    """

    tables: pd.DataFrame
    problems: pd.DataFrame
    quarantine: pd.DataFrame
    verdict: str

    @property
    def reasons(self) -> pd.DataFrame:
        """The problems that the verdict rests on: errors where the data are not usable, else warnings."""
        return self.problems[self.problems["severity"] == ("error" if self.verdict == NOT_USABLE else "warning")]

    def to_text(self) -> str:
        """The verdict with its reasons, the counts of every table, and the problems, worst first."""
        lines = [self._verdict_line(), "", *_aligned(self.tables)]
        for problem in self.problems.itertuples():
            rows = f" (file rows {problem.rows})" if problem.rows else ""
            lines += ["", f"{problem.severity}: {problem.file}, {problem.table}: {problem.rule}, "
                          f"{plural(problem.count, 'row')}{rows}"]
            lines += [f"  {problem.todo}"] if problem.todo else []
        return "\n".join(lines)

    def _verdict_line(self) -> str:
        if not len(self.reasons):
            return f"Data are {self.verdict}."
        said = [f"{row.table}, {row.rule}" for row in self.reasons.head(3).itertuples()]
        more = [f"{len(self.reasons) - 3} more"] if len(self.reasons) > 3 else []
        return f"Data are {self.verdict}, because of: {'; '.join([*said, *more])}."

    def with_note(self, rule: str, file: str) -> QualityReport:
        """The report with one more note, about a file that is none of the data."""
        note = dict(zip(PROBLEMS, ("note", "", file, rule, 0, "", "", ""), strict=True))
        return replace(self, problems=pd.concat([self.problems, pd.DataFrame([note])], ignore_index=True))

    def to_dict(self) -> dict:
        """JSON-ready."""
        frames = {"tables": self.tables, "problems": self.problems, "quarantine": self.quarantine}
        return {"verdict": self.verdict, **{name: frame.to_dict("records") for name, frame in frames.items()}}


class Ledger:
    """Keeps count while a dataset is read; `report` closes it.

    Rows are given as frames with `_file`, the number of the file (`file_number`), and `_row`, the row in it.
    """

    def __init__(self) -> None:
        self._files: list[str] = []
        self._rows_in: dict[tuple[str, str], int] = defaultdict(int)
        self._aside: list[tuple[str, str, pd.DataFrame, str]] = []
        self._used: dict[tuple[str, str], int] = defaultdict(int)
        self._problems: list[dict] = []

    def file_number(self, file: str) -> int:
        """The number that stands for a file in the column `_file`."""
        if file not in self._files:
            self._files.append(file)
        return self._files.index(file)

    def file_name(self, number: int) -> str:
        """The file of a number."""
        return self._files[number]

    def read(self, table: str, file: str, n_rows: int) -> None:
        """Note that a file held so many rows of a table."""
        self._rows_in[table, file] += n_rows

    def use(self, table: str, rows: pd.DataFrame) -> None:
        """Note the rows of a table that the facts were made from."""
        self.use_counts(table, rows.groupby("_file").size())

    def use_counts(self, table: str, counts: pd.Series) -> None:
        """Note how many rows of each file (by its number) the facts were made from."""
        for file, n in counts.items():
            self._used[table, self._files[int(file)]] += int(n)

    def set_aside(self, fate: str, table: str, rows: pd.DataFrame, reason: str, *, rule: str = "", severity: str = "",
                  todo: str = "") -> None:
        """Note rows that do not reach the facts on their own, and why (`rule` says it longer in the problems)."""
        if len(rows):
            self._aside.append((fate, table, rows[["_file", "_row"]], reason))
            self.problem(severity or DEFAULT_SEVERITY[fate], table, rows, rule or reason, todo, fate)

    def problem(self, severity: str, table: str, rows: pd.DataFrame, rule: str, todo: str = "",
                fate: str = "") -> None:
        """Note something that a reader should know about rows (no fate: they stay where they are)."""
        for file, part in rows.groupby("_file", sort=False):
            self._problems.append({"severity": severity, "table": table, "file": self._files[file], "rule": rule,
                                   "count": len(part), "rows": first_few(sorted(part["_row"].tolist())), "todo": todo,
                                   "fate": fate})

    def remark(self, severity: str, table: str, file: str, rule: str, todo: str = "") -> None:
        """Note something about a file as a whole."""
        self._problems.append({"severity": severity, "table": table, "file": file, "rule": rule, "count": 0,
                               "rows": "", "todo": todo, "fate": ""})

    def report(self) -> QualityReport:
        """The report. Rows in the facts are those noted by `use`, not the rest of a subtraction."""
        tables = pd.DataFrame([{"table": table, "file": file, "rows_in": n}
                               for (table, file), n in self._rows_in.items()], columns=TABLES[:3])
        tables["in_facts"] = [self._used.get((row.table, row.file), 0) for row in tables.itertuples()]
        for fate in (QUARANTINED, MERGED, LEFT_OUT):
            tables[fate] = [sum(int((rows["_file"] == self.file_number(row.file)).sum())
                                for kind, table, rows, _ in self._aside if kind == fate and table == row.table)
                            for row in tables.itertuples()]
        for row in tables.itertuples():
            if row.quarantined > TOO_MANY * row.rows_in:
                self.remark("error", row.table, row.file,
                            f"{count(row.quarantined)} of {count(row.rows_in)} rows are in quarantine",
                            "The table is not usable: see the reasons, correct the mapping or the export.")
        problems = pd.DataFrame(self._problems, columns=PROBLEMS)
        problems = problems.sort_values("severity", key=lambda names: names.map(SEVERITIES.index), kind="stable")
        quarantine = [pd.DataFrame({"table": table, "file": [self._files[file] for file in rows["_file"]],
                                    "row": rows["_row"].to_numpy(), "reason": reason})
                      for fate, table, rows, reason in self._aside if fate == QUARANTINED]
        quarantine = pd.concat(quarantine) if quarantine else pd.DataFrame(columns=QUARANTINE)
        return QualityReport(tables.astype(dict.fromkeys(TABLES[2:], "int64")), problems.reset_index(drop=True),
                             quarantine[QUARANTINE].sort_values(["table", "file", "row"]).reset_index(drop=True),
                             _verdict(problems["severity"]))


def rows(file: int, numbers: Iterable[int]) -> pd.DataFrame:
    """Row numbers of a file as the ledger takes them."""
    return pd.DataFrame({"_row": list(numbers)}, dtype="int64").assign(_file=file)


def _verdict(severities: pd.Series) -> str:
    if (severities == "error").any():
        return NOT_USABLE
    return WITH_WARNINGS if (severities == "warning").any() else USABLE


def _aligned(frame: pd.DataFrame) -> list[str]:
    cells = [list(frame.columns), *[[count(value) if isinstance(value, int) else str(value) for value in row]
                                    for row in frame.itertuples(index=False)]]
    widths = [max(len(row[position]) for row in cells) for position in range(len(frame.columns))]
    return ["  ".join(row[position].ljust(width) if position < 2 else row[position].rjust(width)
                      for position, width in enumerate(widths)).rstrip() for row in cells]
