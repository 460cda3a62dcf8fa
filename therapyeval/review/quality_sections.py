"""What each section of a quality report says: released Results and the record into tables, figures and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from therapyeval.display import bundles, cells
from therapyeval.display.blocks import Block, Bullets, Light, Paragraph, Section, Warnings
from therapyeval.display.cells import Record, records
from therapyeval.display.change_tables import exclusion_table
from therapyeval.display.heat_map import Grid, grid_figure, grid_of, grid_table, share_text
from therapyeval.display.labels import Labels, parts
from therapyeval.display.tables import Cell, Row, Table
from therapyeval.errors import UnknownNameError
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, listed, plural
from therapyeval.result import Bundle, Result
from therapyeval.review.completeness import EPISODES, MONTHS, VISITS
from therapyeval.review.data_quality import SILENT, STALE
from therapyeval.review.problems import TABLES, problem_table, words
from therapyeval.review.summary import light_of

NAMES = ("verdict", "records", "definitions", "completeness", "pairing", "exclusions", "duplicates", "stale",
         "problems")
COLORS = {"usable": "green", "usable with warnings": "amber", "not usable": "red"}
FATES = {"quarantined": "In quarantine", "merged": "Merged", "left_out": "Left out"}
ROWS_NOT_PEOPLE = "Rows of the files are counted, not patients; small counts are ranges where the policy asks for it."
MOST_REASONS, MOST_CHANGES, WIDE = 6, 20, 9
WHY = {"no_baseline": "no first score", "baseline_window": "first score too early or too late", "no_final":
       "no final score", "final_window": "final score too early or too late", "too_close": "less than 7 days apart",
       "version": "two versions of the measure", "scale": "two scales", "respondent": "two kinds of respondent",
       "out_of_range": "a score outside the range", "conflict": "two scores on one day"}

FIELDS = {"goals_met_pct": "Goals met (%)", "primary_dx": "Main diagnosis", "start_date": "Start of care",
          "minutes": "Minutes of visits"}


class Material:
    """A quality bundle with its record's parts at hand."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.record = bundle, bundle.record
        self.labels = Labels({}, self.record.get("measures") or {})
        self.by = str(self.record.get("by") or "")
        self.group = self.labels.variable(self.by).lower() if self.by else ""

    def result(self, section: str, table: str) -> Result | None:
        """A table with rows, or None."""
        return bundles.find(self.bundle, section, table)

    def rows(self, name: str) -> list[Mapping[str, str]]:
        """A list of the record."""
        return list(self.record.get(name) or [])


def render_section(bundle: Bundle, name: str, *, figures: bool = True) -> Section:
    """One section of a quality report; `figures` False leaves the drawings out, whose numbers stand in tables.

    Raises
    ------
    UnknownNameError
        Where there is no such section.
    """
    if name not in NAMES:
        raise UnknownNameError("section", name, NAMES)
    title, make = _SECTIONS[name]
    blocks = make(Material(bundle), figures)
    return Section(name, bundle.title if name == "verdict" else title, tuple(blocks), top=name == "verdict")


def _verdict(material: Material, figures: bool) -> list[Block]:
    """Usable or not, and why."""
    record = material.record
    verdict, reasons = str(record.get("verdict") or ""), material.rows("reasons")
    advice = {"usable": "Nothing worse than notes was found.",
              "usable with warnings": "Look at the warnings before numbers are acted on:",
              "not usable": "Do not report from them before the errors are repaired:"}.get(verdict, "")
    said = [f"{_table(item)}: {words(str(item['rule']))} ({_rows(item['count'])})" for item in reasons[:MOST_REASONS]]
    said += [f"{plural(len(reasons) - MOST_REASONS, 'more reason')}, at the end of this report"] \
        if len(reasons) > MOST_REASONS else []
    dataset = record.get("dataset") or {}
    until = f", up to {dataset['data_cut']}," if dataset.get("data_cut") else ""
    blocks: list[Block] = [Light(COLORS.get(verdict, ""), f"The data{until} are {verdict}. {advice}")]
    blocks += [Bullets(tuple(said))] if said else []
    blocks += [Paragraph(f"About the data: {dataset['note']}")] if dataset.get("note") else []
    return [*blocks, *_withheld(material)]


def _withheld(material: Material) -> list[Block]:
    """How many numbers the policy hid, and where; nothing where it hides none."""
    hidden, policy = bundles.count_withheld(material.bundle), material.record.get("policy") or {}
    if not hidden:
        return []
    of = sum(len(named.result.frame) for named in material.bundle.tables)
    return [Paragraph(f"{hidden.total()} of {plural(of, 'number')} are withheld under the privacy policy "
                      f"{policy.get('name')}: {listed([f'{n} in {name}' for name, n in hidden.items()])}. A withheld "
                      "number is not zero; too few people stand behind it or behind what it leaves over, or a withheld "
                      "number could be worked out from it.", "note")]


def _records(material: Material, figures: bool) -> list[Block]:
    """Rows in and out, and why rows are not in the facts on their own."""
    columns = {"rows_in": "Read", "in_facts": "In the facts", **FATES}
    rows = tuple(Row(_table(item), tuple(Cell(str(item[name])) for name in columns), below=str(item["file"]))
                 for item in material.rows("tables"))
    found: list[Block] = [Table("records", "What became of every row that was read.", "", tuple(columns.values()), rows,
                                "Table", (f"Read is the sum of the others. {ROWS_NOT_PEOPLE}",))] if rows else []
    why = tuple(Row(_table(item), (Cell(words(str(item["rule"]))), Cell(FATES[item["fate"]]),
                                   Cell(str(item["count"])))) for item in material.rows("set_aside"))
    return [*found, Table("set-aside", "Why rows are not in the facts on their own.", "", ("Reason", "Then", "Rows"),
                          why, "Table", words=(0, 1))] if why else found


def _definitions(material: Material, figures: bool) -> list[Block]:
    """Which definition changed, from what to what."""
    told = material.record.get("definitions")
    if told is None:
        return [Paragraph("Nothing was stored to compare with, so this report cannot say whether definitions changed. "
                          "The commands therapyeval check and therapyeval import store them beside the data.")]
    since = f"up to {told['since']} " if told["since"] else ""
    said = [str(text) for text in told["changes"]]
    if not said:
        return [Paragraph(f"No definition (rule, threshold, mapping) has changed since the data {since}were first "
                          "read.")]
    more = [f"{len(said) - MOST_CHANGES} more"] if len(said) > MOST_CHANGES else []
    return [Warnings((f"{plural(len(said), 'definition')} changed since the data {since}were read. Numbers of before "
                      "and after are not alike: compute the earlier ones again.",)),
            Bullets((*said[:MOST_CHANGES], *more))]


def _completeness(material: Material, figures: bool) -> list[Block]:
    """How many fields have a value: what is complete in a sentence, the others as grid and table."""
    blocks: list[Block] = []
    for table, unit in (("fields", EPISODES), ("visit fields", VISITS)):
        whole = material.result("completeness", table)
        if whole is None:
            continue
        blocks += _complete_words(whole, unit, material.labels)
        gaps = [row for row in records(whole) if is_missing(row["estimate"]) or 0 < row["estimate"] < 1]
        rows = tuple(Row(_field(str(row["level"]), material.labels), (
            Cell(share_text(row)), Cell(cells.of(row) or NOTHING))) for row in gaps)
        if rows:
            whom = "Fields about the end of care: of discharged episodes." if unit == EPISODES else ""
            blocks.append(Table(_id(table), f"Fields of {unit} with gaps, or withheld.", whom,
                                ("With a value", unit.capitalize()), rows, "Field"))
        for split, word in ((material.by, material.group), ("month", "month in which care began")):
            found = material.result("completeness", f"{table} by {split}") if split else None
            if found is not None:
                grid = grid_of(found, "level", lambda name: _field(name, material.labels))
                blocks += _grid(grid, f"{_id(table)}-{split}", f"Fields of {unit} with a value, by {word}", figures)
    return blocks


def _field(name: str, labels: Labels) -> str:
    return FIELDS.get(name) or labels.variable(name)


def _id(name: str) -> str:
    """A table's name as an id."""
    return name.replace(" ", "-")


def _complete_words(whole: Result, unit: str, labels: Labels) -> list[Block]:
    full = [_field(str(row["level"]), labels) for row in records(whole) if row["estimate"] == 1]
    none = [_field(str(row["level"]), labels) for row in records(whole) if row["estimate"] == 0]
    said = [f"Complete in all {unit}: {listed(full)}."] if full else []
    said += [f"Never filled: {listed(none)}."] if none else []
    return [Paragraph(" ".join(said))] if said else []


def _grid(grid: Grid, key: str, what: str, figures: bool) -> list[Block]:
    """Figure and table of a grid; of one too wide for a table the lowest and the highest share of each row."""
    grid, left_out = _readable(grid, what)
    if not grid.rows:
        return left_out
    about = f"{what}. The darker, the less complete." + (f" Up to {MONTHS} months." if "month" in what else "")
    figure = grid_figure(grid, what, about) if figures else None
    shown = grid.turned if len(grid.columns) > len(grid.rows) else grid
    table = grid_table(shown, key, f"{what}.", "", "")
    if len(shown.columns) > WIDE:
        rows = tuple(Row(row, _ends(grid, row)) for row in grid.rows)
        table = Table(key, f"{what}: the lowest and the highest share.", "", ("Lowest", "Highest"), rows, "")
    return [*([figure] if figure else []), table, *left_out]


def _readable(grid: Grid, what: str) -> tuple[Grid, list[Block]]:
    """The rows of which at least half the shares are shown, and a sentence about the others."""
    hidden = [row for row in grid.rows
              if 2 * sum(grid.text(row, column) == WITHHELD for column in grid.columns) > len(grid.columns)]
    kept = Grid(tuple(row for row in grid.rows if row not in hidden), grid.columns,
                {place: cell for place, cell in grid.cells.items() if place[0] not in hidden})
    return kept, [Paragraph(f"{what}: most numbers are withheld of {listed(hidden)}, not shown.", "note")] \
        if hidden else []


def _ends(grid: Grid, row: str) -> tuple[Cell, Cell]:
    known = sorted((float(cell["estimate"]), column) for column in grid.columns
                   if (cell := grid.cells.get((row, column))) is not None and not is_missing(cell["estimate"]))
    return tuple(Cell(grid.text(row, known[end][1]), known[end][1]) if known else Cell(NOTHING) for end in (0, -1))


def _pairing(material: Material, figures: bool) -> list[Block]:
    """Both scores of each measure, in all and by group, and why the others have no pair."""
    whole = material.result("pairing", "measures")
    if whole is None:
        return []
    rows = tuple(Row(_measure(row, material.labels), (Cell(cells.share(row)), Cell(cells.of(row) or NOTHING), Cell(
        NOTHING if is_missing(row["estimate"]) else light_of(row["estimate"])))) for row in records(whole))
    notes = ("Of eligible episodes that ended. Green: at least 75%. Amber: 60 to 75%. Red: below 60%, changes of "
             "scores are biased towards those who came back.",)
    blocks: list[Block] = [Table("pairing", "Episodes with a first and a final score.", "", (
        "Both scores (95% CI)", "Of eligible", "Light"), rows, "Measure", notes, words=(2,))]
    by_group = material.result("pairing", f"measures by {material.by}")
    if by_group is not None:
        blocks += _grid(grid_of(by_group, "metric", lambda text: material.labels.short(parts(text)[1])), "pairing-by",
                        f"Episodes with both scores, by measure and {material.group}", figures)
    return [*blocks, *_why_not(material)]


def _measure(row: Record, labels: Labels) -> str:
    return labels.short(parts(str(row["metric"]))[1])


def _why_not(material: Material) -> list[Block]:
    result = material.result("pairing", "why not")
    told: dict[str, list[Record]] = {}
    for row in records(result):
        told.setdefault(_measure(row, material.labels), []).append(row)
    rows = tuple(Row(measure, (Cell(_reasons(found)),)) for measure, found in told.items())
    notes = ("Episodes, and their share of those eligible. Of each the first reason that applies.",)
    return [Table("why-not", "Why eligible episodes have no pair of scores.", "", ("Reasons, the most frequent first",),
                  rows, "Measure", notes, words=(0,))] if rows else []


def _reasons(rows: Sequence[Record]) -> str:
    """Reasons with their counts in one line, the most frequent first; those whose count is withheld at its end."""
    known = sorted((row for row in rows if not is_missing(row["estimate"])), key=lambda row: -row["estimate"])
    said = [f"{_why(row)} {cells.count(row, 'numerator')} ({share_text(row)})" for row in known]
    hidden = [_why(row) for row in rows if is_missing(row["estimate"])]
    return "; ".join([*said, *([f"{WITHHELD}: {listed(hidden)}"] if hidden else [])])


def _why(row: Record) -> str:
    return WHY.get(str(row["level"]), str(row["level"]).replace("_", " "))


def _exclusions(material: Material, figures: bool) -> list[Block]:
    """Who is not asked for scores, by reason."""
    result = material.result("exclusions", "eligible episodes")
    table = exclusion_table(result, ["paired_completion"], material.labels, "Episodes that ended, up to the data cut.")
    return [table] if table else []


def _duplicates(material: Material, figures: bool) -> list[Block]:
    """What was found twice, and what became of it."""
    rows = tuple(Row(_table(item), (Cell(f"{item['kind'][:1].upper()}{item['kind'][1:]}"), Cell(str(item["count"])),
                                    Cell(str(item["outcome"])))) for item in material.rows("duplicates"))
    return [Table("duplicates", "Rows that are there twice, or seem to be.", "", ("What was found", "Rows", "Then"),
                  rows, "Table", (ROWS_NOT_PEOPLE,), words=(0, 2))] if rows else []


def _stale(material: Material, figures: bool) -> list[Block]:
    """Episodes that nobody discharged, in all and by group."""
    days = material.record.get("stale_days")
    rows = []
    for table in ("episodes", f"episodes by {material.by}"):
        result = material.result("stale", table)
        groups = list(dict.fromkeys("" if not result.by else str(row[result.by[0]]) for row in records(result))) \
            if result else []
        for group in groups:
            wanted = {result.by[0]: group} if result.by else {}
            found = [cells.first(result, **wanted, metric=metric) for metric in (STALE, SILENT)]
            rows.append(Row(group or "All", tuple(map(_counted, found))))
    notes = (f"Closed by rule: no discharge, no visit for {days} days or more before the data end, nothing booked: "
             "they end at their last visit. Open: as long without a visit, but something is booked, or no visit was "
             "ever recorded. Shares are of all episodes. Enter the discharges.",)
    return [Table("stale", "Episodes that nobody discharged.", "", ("Closed by rule", "Open without a visit"),
                  tuple(rows), material.group.capitalize() or "Episodes", notes)] if rows else []


def _counted(row: Record | None) -> Cell:
    """A count with its share below it."""
    return Cell(cells.count(row, "numerator"), "" if row is None or is_missing(row["estimate"]) else share_text(row))


def _problems(material: Material, figures: bool) -> list[Block]:
    table = problem_table(material.rows("problems"))
    return [table] if table else []


def _table(item: Mapping[str, str]) -> str:
    name = str(item["table"])
    return TABLES.get(name, name.replace("_", " ").capitalize())


def _rows(text: str) -> str:
    return text if text == "whole file" else f"{text} {'row' if text == '1' else 'rows'}"


def _or_nothing(make, nothing: str):
    """A renderer that says in a sentence that there is nothing."""
    return lambda material, figures: make(material, figures) or [Paragraph(nothing)]


_SECTIONS = {
    "verdict": ("Verdict", _verdict),
    "records": ("Records in and out", _or_nothing(_records, "No table was read.")),
    "definitions": ("Changes of definitions", _definitions),
    "completeness": ("Completeness of fields", _or_nothing(_completeness, "There are no episodes.")),
    "pairing": ("Both scores of each measure", _or_nothing(_pairing, "There are no scores that pairs are made of.")),
    "exclusions": ("Episodes that are not asked for scores", _or_nothing(_exclusions, "None is left out.")),
    "duplicates": ("Duplicates", _or_nothing(_duplicates, "Nothing was found twice.")),
    "stale": ("Stale episodes", _or_nothing(_stale, "The data have no calendar or no visits to tell by.")),
    "problems": ("Errors and warnings", _or_nothing(_problems, "No error and no warning."))}
