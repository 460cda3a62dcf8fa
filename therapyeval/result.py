"""The one shape that every number has: a tidy row with all that is needed to read, release or reuse it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from html import escape

import pandas as pd

from therapyeval import formatting
from therapyeval.errors import ParameterError

COUNTS = ("n", "n_missing", "n_excluded", "n_people")
AMOUNTS = ("numerator", "denominator")
NUMBERS = ("estimate", "conf_low", "conf_high", "p_value")
COLUMNS = ("metric", "level", "contrast", "statistic", "estimand", *NUMBERS, *AMOUNTS, *COUNTS,
           "unit", "method", "note")
TEXTS = tuple(name for name in COLUMNS if name not in (*COUNTS, *AMOUNTS, *NUMBERS))
EXCLUSIONS = ["metric", "reason", "n", "n_people"]
PEOPLE = ("numerator", "complement", "n_missing", "n_excluded")
RESERVED = frozenset((*COLUMNS, "section", "table", "period"))
STATISTICS = ("mean", "sd", "median", "q1", "q3", "p90", "min", "max", "count", "proportion", "ratio",
              "difference", "risk_difference", "risk_ratio", "odds_ratio", "rate_ratio", "number_needed", "hedges_g",
              "superiority", "shift", "rank_difference", "smd", "icc", "f_ratio", "chi_square", "interaction",
              "equivalence", "non_inferiority", "mean_moving_range", "lower_limit", "upper_limit", "tipping_point",
              "design_effect", "n_per_group", "clusters_per_group", "pilot_n_per_group", "power",
              "detectable_difference",
              "hazard_ratio", "e_value", "check_hazards", "check_positivity", "check_effective_size", "check_balance",
              "check_icc",
              "check_skewness", "check_normality", "check_spread", "check_influence", "check_expected",
              "check_dispersion", "check_overlap", "check_clusters", "check_convergence")
CHECK = "check_"                  # rows that say whether the model of a comparison may be trusted
ALL_GROUPS = "all groups"         # the contrast of rows about all groups of a comparison at once
CHECKS_TITLE = "Checks of the model"
CHECK_WORDS = {"check_skewness": "skewness of the residuals", "check_normality": "normal residuals (Shapiro-Wilk W)",
               "check_spread": "equal spread (Breusch-Pagan)", "check_expected": "smallest expected count",
               "check_influence": "largest influence of one unit (Cook's distance)",
               "check_overlap": "largest difference of a covariate between groups (SDs)",
               "check_positivity": "share of propensity scores beyond 0.05 and 0.95",
               "check_effective_size": "effective size of the smallest group after weighting or matching",
               "check_balance": "largest difference of a covariate after weighting or matching (SDs)",
               "check_icc": "intraclass correlation",
               "check_hazards": "proportional hazards (score test)",
               "check_clusters": "number of clusters", "check_dispersion": "spread of counts (1 is Poisson)",
               "check_convergence": "estimate found (1 yes, 0 no)"}
MIME_TYPE = "application/vnd.therapyeval.results+json"
COMPLETE_CASE = "complete_case"
MISSING_NOT_ACHIEVED = "missing_not_achieved"
IMPUTED, WEIGHTED, WORST_CASE, BEST_CASE = "imputed", "weighted", "worst_case", "best_case"
NOT_SAVED = ("Not released: its numbers are not saved with the notebook. Run the cell again to see them; te.release "
             "gives tables that may be saved and shared.")
_ON_SCREEN_ONLY: ContextVar[bool] = ContextVar("on_screen_only", default=False)


@dataclass(frozen=True)
class Source:
    """Where a Result comes from: the address that ties its cells to other tables.

    `filters` are the cohort's filters as data, `population` the units counted, `period` a label or None.
    """

    fingerprint: str
    population: str = ""
    filters: Mapping[str, object] = field(default_factory=dict)
    period: str | None = None
    data_cut: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict:
        return {**asdict(self), "filters": dict(self.filters), "versions": dict(self.versions)}


@dataclass(frozen=True)
class Result:
    """One row per number: `by` columns first, then always COLUMNS, in that order.

    Attributes
    ----------
    frame : DataFrame
        Nothing is rounded; proportions are 0-1; counts are nullable integers. `estimate` may be NaN, and
        then `note` says why. Empty text is "" and an empty `by` cell means all groups.
    exclusions : DataFrame
        `by` columns, metric, reason, n, n_people: what a metric's rule left out, by reason.
    people : DataFrame or None
        PEOPLE, aligned with `frame`: distinct patients behind the numerator, its complement, the missing
        and the excluded. For release only; a released Result has none.
    policy : name of the privacy policy it was released under, None until then.
    """

    frame: pd.DataFrame
    title: str
    source: Source
    conf_level: float = 0.95
    exclusions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EXCLUSIONS))
    people: pd.DataFrame | None = None
    policy: str | None = None

    @property
    def by(self) -> list[str]:
        """Names of the grouping columns."""
        return list(self.frame.columns[: len(self.frame.columns) - len(COLUMNS)])

    def to_frame(self) -> pd.DataFrame:
        return self.frame.copy()

    def where(self, mask: pd.Series, title: str | None = None) -> Result:
        """Only the rows where mask is true, with the people behind them."""
        people = None if self.people is None else self.people[mask.to_numpy()].reset_index(drop=True)
        return replace(self, frame=self.frame[mask].reset_index(drop=True), title=title or self.title, people=people)

    def to_dict(self) -> dict:
        """JSON-ready: missing numbers are None, dates ISO text."""
        return {"title": self.title, "conf_level": self.conf_level, "policy": self.policy,
                "source": self.source.to_dict(), "columns": list(self.frame.columns),
                "rows": [[_plain(value) for value in row] for row in self.frame.itertuples(index=False)],
                "exclusions": {"columns": list(self.exclusions.columns),
                               "rows": [[_plain(value) for value in row]
                                        for row in self.exclusions.itertuples(index=False)]}}

    @classmethod
    def from_dict(cls, data: Mapping) -> Result:
        """The inverse of `to_dict` (grouping columns come back as text and numbers)."""
        frame = pd.DataFrame(data["rows"], columns=data["columns"])
        exclusions = pd.DataFrame(data["exclusions"]["rows"], columns=data["exclusions"]["columns"])
        return cls(typed(frame), data["title"], Source(**data["source"]), data["conf_level"], exclusions,
                   policy=data["policy"])

    def concat(self, *others: Result, title: str | None = None) -> Result:
        """This Result's rows and those of others below; their levels and policies must agree."""
        parts = (self, *others)
        for name in ("conf_level", "policy"):
            if len({getattr(part, name) for part in parts}) > 1:
                raise ParameterError(f"Results with different {name} cannot be put into one table.")
        by = list(dict.fromkeys(column for part in parts for column in part.by))
        frame = pd.concat([part.frame for part in parts], ignore_index=True)[[*by, *COLUMNS]]
        people = None
        if all(part.people is not None for part in parts):
            people = pd.concat([part.people for part in parts], ignore_index=True)
        populations = dict.fromkeys(part.source.population for part in parts)
        return Result(typed(frame), title or self.title, replace(self.source, population=", ".join(populations)),
                      self.conf_level, pd.concat([part.exclusions for part in parts], ignore_index=True),
                      people, self.policy)

    def to_text(self) -> str:
        """Title and rows as aligned text, columns without content left out."""
        estimates, checks = self._parts()
        lines = [self.title, *_text_table(_readable(estimates, self.by))]
        lines += [CHECKS_TITLE, *_text_table(checks)] if len(checks) else []
        return "\n".join([*lines, *self._footer()])

    def _parts(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The estimates, and apart from them the checks of the model in words."""
        is_check = self.frame["statistic"].str.startswith(CHECK)
        return self.frame[~is_check], _checks(self.frame[is_check])

    @property
    def unsaid(self) -> str:
        """What a notebook saves in place of the numbers of a Result that was not released."""
        return f"{self.title}. {NOT_SAVED}"

    def __repr__(self) -> str:
        return self.to_text() if self._may_show() else self.unsaid

    def _may_show(self) -> bool:
        """Released, or shown where nobody saves it: a notebook file keeps whatever its cells show."""
        return self.policy is not None or _ON_SCREEN_ONLY.get() or not _is_notebook()

    def _repr_html_(self) -> str:
        if not self._may_show():
            return f"<p>{escape(self.unsaid)}</p>"
        footer = "".join(f"<p>{escape(line)}</p>" for line in self._footer())
        estimates, checks = self._parts()
        table = _readable(estimates, self.by).to_html(index=False, border=0, escape=True)
        if len(checks):
            table += f"<p>{CHECKS_TITLE}</p>{checks.to_html(index=False, border=0, escape=True)}"
        return f"<div><strong>{escape(self.title)}</strong>{table}{footer}</div>"

    def _footer(self) -> list[str]:
        interval = f"{100 * self.conf_level:g}% intervals"
        period = f", {self.source.period}" if self.source.period else ""
        state = f"released under {self.policy}" if self.policy else "not released: do not share"
        return [f"{interval}; {self.source.population or 'units'}{period}; {state}."]


@dataclass(frozen=True)
class NamedResult:
    """A Result with its place in a bundle: the section it belongs to and the table's name there."""

    section: str
    table: str
    result: Result


@dataclass(frozen=True)
class Bundle:
    """Named Results that were made, and are released, as one set; what a report shows and nothing else.

    `record` is plain data for `run.json`: counts, gates, notes; never patient values.
    """

    title: str
    tables: tuple[NamedResult, ...]
    record: Mapping[str, object] = field(default_factory=dict)

    def get(self, section: str, table: str) -> Result:
        """The Result of that section and table (KeyError where there is none)."""
        for named in self.tables:
            if (named.section, named.table) == (section, table):
                return named.result
        raise KeyError(f"{section}/{table}")

    def section(self, name: str) -> dict[str, Result]:
        """Table name -> Result of one section, in order."""
        return {named.table: named.result for named in self.tables if named.section == name}

    def to_frame(self) -> pd.DataFrame:
        """All rows: section, table, the union of `by` columns in order of first use, then COLUMNS."""
        by = list(dict.fromkeys(column for named in self.tables for column in named.result.by))
        parts = [named.result.frame.assign(section=named.section, table=named.table) for named in self.tables]
        frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["section", "table", *COLUMNS])
        return typed(frame[["section", "table", *by, *COLUMNS]])

    def to_dict(self) -> dict:
        return {"title": self.title, "record": dict(self.record),
                "tables": [{"section": named.section, "table": named.table, "result": named.result.to_dict()}
                           for named in self.tables]}

    @classmethod
    def from_dict(cls, data: Mapping) -> Bundle:
        tables = tuple(NamedResult(item["section"], item["table"], Result.from_dict(item["result"]))
                       for item in data["tables"])
        return cls(data["title"], tables, data["record"])


@contextmanager
def on_screen_only() -> Iterator[None]:
    """Inside, Results show their numbers even if they were not released; what they give must not be saved."""
    token = _ON_SCREEN_ONLY.set(True)
    try:
        yield
    finally:
        _ON_SCREEN_ONLY.reset(token)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the fixed columns' types: counts Int64, numbers float, texts without missing values."""
    frame = frame.copy()
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name]).astype("float64")
    for name in COUNTS:
        frame[name] = pd.to_numeric(frame[name]).astype("Int64")
    for name in AMOUNTS:
        amounts = pd.to_numeric(frame[name]).astype("Float64")
        whole = bool((amounts.dropna() % 1 == 0).all())
        frame[name] = amounts.astype("Int64") if whole else amounts
    for name in TEXTS:
        frame[name] = frame[name].astype("str").where(frame[name].notna(), "")
    return frame


def make_frame(rows: pd.DataFrame | Iterable[Mapping], by: Iterable[str] = ()) -> pd.DataFrame:
    """A Result's frame from rows that name only the columns they fill.

    Raises
    ------
    ParameterError
        Where a `by` column has a reserved name (`period` is ours: `every` makes it).
    """
    by = list(by)
    check_names(name for name in by if name != "period")
    frame = pd.DataFrame(rows) if not isinstance(rows, pd.DataFrame) else rows
    missing = {name: None for name in COLUMNS if name not in frame}
    return typed(frame.assign(**missing)[[*by, *COLUMNS]].reset_index(drop=True))


def check_names(names: Iterable[str]) -> None:
    """Refuse grouping columns that would collide with the fixed ones."""
    taken = sorted(set(names) & RESERVED)
    if taken:
        raise ParameterError(f"cannot group by {', '.join(taken)}: these names are columns of every Result. "
                             "Rename the attribute in mapping.yml.")


def _is_notebook() -> bool:
    """Whether this is a Jupyter kernel; a terminal keeps nothing of what it shows."""
    find_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return find_shell is not None and hasattr(find_shell(), "kernel")


def _plain(value: object) -> object:
    if formatting.is_missing(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return value.item() if hasattr(value, "item") else value


def _readable(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """For people: numbers to four significant digits, empty columns dropped."""
    shown = pd.DataFrame(index=frame.index)
    for name in frame:
        text = frame[name].map(_short if name in (*NUMBERS, *AMOUNTS) else _word)
        if name in (*by, "metric", "statistic", "estimate") or (text != "").any():
            shown[name] = text
    return shown


def _checks(frame: pd.DataFrame) -> pd.DataFrame:
    """Check rows for people: what was checked, the number, and what it means."""
    columns = {"metric": frame["metric"], "rule": frame["estimand"], "level": frame["level"],
               "check": frame["statistic"].map(CHECK_WORDS).fillna(frame["statistic"]),
               "found": frame["estimate"].map(_short), "p_value": frame["p_value"].map(_short),
               "meaning": frame["note"]}
    shown = pd.DataFrame(columns)
    return shown[[name for name in shown if name not in ("metric", "rule", "level") or shown[name].nunique() > 1]]


def _short(value: object) -> str:
    if formatting.is_missing(value):
        return ""
    text = f"{float(value):.4g}"
    return formatting.number(value, 0) if "e+" in text else text


def _word(value: object) -> str:
    return "" if formatting.is_missing(value) else str(value)


def _text_table(frame: pd.DataFrame) -> list[str]:
    widths = {name: max([len(name), *(len(text) for text in frame[name])]) for name in frame}
    rows = [dict.fromkeys(frame), *frame.to_dict("records")]
    rows[0] = {name: name for name in frame}
    return ["  ".join(str(row[name]).ljust(widths[name]) for name in frame).rstrip() for row in rows]
