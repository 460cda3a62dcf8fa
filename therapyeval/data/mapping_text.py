"""A draft mapping as the text of `mapping.yml`: doubts as comments, open lines commented out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from therapyeval.data import schema, vocabulary
from therapyeval.data.draft import ATTRIBUTE, OCCASION, SCORE, Draft, FileDraft, Use, rare_rows
from therapyeval.data.sources import excel
from therapyeval.errors import UsageError

HEAD = """# Draft made by `therapyeval map`. Look at every line that says CHECK; a line that begins with # is not used.
# Then: therapyeval map FOLDER --check, and therapyeval check FOLDER. Grammar: docs/mapping.md."""
LAYOUTS = {"redcap": "for a repeating instrument add a table with `instrument:`"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
MOST_CODES = 8  # a list of codes up to this long is printed beside an unknown code


def mapping_text(draft: Draft) -> str:
    """YAML that `read_mapping` takes; a line with a doubt ends with `# CHECK: why`."""
    lines = [line for file in draft.files for line in _file_lines(file)]
    has_entries = any(line.startswith("  - ") for line in lines)
    rule = _rule(draft)
    return "\n".join([HEAD, "version: 1", *rule, "tables:" if has_entries else "tables: []", *lines, ""])


def n_checks(text: str) -> int:
    """How many lines somebody has to look at."""
    return text.count("# CHECK: ")


def write_mapping(text: str, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a mapping; a file that is there stays as it is, unless `overwrite` says otherwise.

    Raises
    ------
    UsageError
        Where the file is there, is not called .yml or .yaml, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".yml", ".yaml"):
        raise UsageError(f"{path.name}: a mapping is a .yml file.")
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path.name} is there already. Choose another name, or say --overwrite.") from None
    except OSError:
        raise UsageError(f"{path.name} cannot be written. Does its folder exist, and may you write there?") from None
    return path


def quoted(word: str) -> str:
    """A word as YAML reads it back: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(word):
        return word
    text = json.dumps(word, ensure_ascii=False)
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _rule(draft: Draft) -> list[str]:
    """Scores in columns have no dates of their own, so that their labels pair them."""
    uses = [use for file in draft.files for use in file.uses.values()]
    has_days = any((use.kind, use.name) == (OCCASION, "date") and not use.is_open for use in uses)
    undated = any(use.kind == SCORE for use in uses) and not has_days
    dated = any((use.kind, use.name) == ("assessment", "date") for use in uses)
    if not undated:
        return []
    doubt = "this also pairs the dated scores by their label" if dated else "scores in columns have no dates"
    return [_line("timepoint_rule: declared", doubt)]


def _line(text: str, doubt: str = "", is_open: bool = False) -> str:
    """One line; its doubt as a comment, and out of use where it is open."""
    indent = len(text) - len(text.lstrip())
    text = f"{text[:indent]}# {text[indent:]}" if is_open else text
    return f"{text}  # CHECK: {doubt}" if doubt else text


def _file_lines(file: FileDraft) -> list[str]:
    blocks = [*_kind_blocks(file), *_attribute_block(file)]
    is_live = any(re.match(r" {4}\w+:", line) and line.split(":")[0].strip() in schema.KINDS for line in blocks)
    scores = [*_occasion_block(file), *_score_block(file)]
    blocks += scores if "    episode:" in blocks else [f"    # {line.strip()}" for line in scores]
    head = [*([f"    read: {quoted(file.read)}"] if file.read else []),
            *([f"    {_part_key(file)}: {quoted(file.part)}"] if file.part else []),
            *([_line(f"    layout: {file.layout}", LAYOUTS[file.layout])] if file.layout else []),
            *([f"    missing: [\"\", {', '.join(map(quoted, file.missing))}]"] if file.missing else [])]
    head[0] = f"  - {head[0].strip()}"
    lines = [*head, *blocks] if is_live else [f"  # {line.strip()}" for line in (*head, *blocks)]
    return [*lines, *_remarks(file, is_live)]


def _part_key(file: FileDraft) -> str:
    """A workbook has sheets, a database tables."""
    return "sheet" if file.read.lower().endswith(excel.ENDINGS) else "table"


def _remarks(file: FileDraft, is_live: bool) -> list[str]:
    """What is not read, and that people's names stay out."""
    unused = [column for column in file.columns if column not in file.uses]
    people = [column for column in unused if vocabulary.is_about_a_person(column)]
    others = [quoted(column) for column in unused if column not in people]
    why = file.note or "no line above can be used yet"
    return [*([] if is_live else [f"    # CHECK: {quoted(file.part or file.read)} is not read: {why}"]),
            *([f"    # not used: {', '.join(others)}"] if others else []),
            *([f"    # names and free text stay out: {', '.join(map(quoted, people))}"] if people else [])]


def _kind_blocks(file: FileDraft) -> Iterator[str]:
    """One block for each kind; commented out where none of its lines can be used."""
    kinds = [kind for kind in schema.KINDS if any(use.kind == kind for use in file.uses.values())
             or any(ask[0] == kind for ask in file.asks)]
    for kind in sorted(kinds, key=schema.LEADING.index):
        lines = [_line(f"      {key}: {_source(parts)}", _ask(file, kind, key))
                 for (owner, key), parts in file.keys.items() if owner == kind]
        for column, use in sorted(file.uses.items(), key=lambda pair: _order(kind, pair[1])):
            if use.kind == kind:
                lines += _use_lines(kind, column, use)
        lines += [_line(f"      {_key(kind, name)}: …", _advice(kind, name, why), is_open=True)
                  for asked, name, why in file.asks if asked == kind and (asked, name) not in file.keys]
        is_live = any(not line.strip().startswith("#") for line in lines)
        yield _line(f"    {kind}:", is_open=not is_live)
        yield from lines


def _source(columns: tuple[str, ...]) -> str:
    return quoted(columns[0]) if len(columns) == 1 else f"[{', '.join(map(quoted, columns))}]"


def _ask(file: FileDraft, kind: str, key: str) -> str:
    return next((why for asked, name, why in file.asks if (asked, name) == (kind, key)), "")


def _advice(kind: str, name: str, why: str) -> str:
    codes = schema.TABLES[schema.KINDS[kind]].columns.get(name)
    may_be_constant = isinstance(codes, tuple) or name == "site_id"
    return why + ("; if all rows are alike, write {constant: …}" if may_be_constant else "")


def _order(kind: str, use: Use) -> tuple[bool, int]:
    """The key first, then as the data model lists the columns."""
    columns = list(schema.TABLES[schema.KINDS[kind]].columns)
    return _key(kind, use.name) != "id", columns.index(use.name) if use.name in columns else 0


def _key(kind: str, name: str) -> str:
    return "id" if name == schema.TABLES[schema.KINDS[kind]].key else name


def _use_lines(kind: str, column: str, use: Use) -> list[str]:
    key = f"      {_key(kind, use.name)}"
    if use.values or use.unknown or use.rare:
        return _coded_lines(f"{key}:", column, use)
    if use.format:
        source = f"{{column: {quoted(column)}, format: {json.dumps(use.format)}}}"
        return [_line(f"{key}: {source}", use.doubt, use.is_open)]
    return [_line(f"{key}: {quoted(column)}", use.doubt, use.is_open)]


def _coded_lines(head: str, column: str, use: Use) -> list[str]:
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    codes = _codes_of(use)
    which = f"; one of {', '.join(codes)}" if 0 < len(codes) <= MOST_CODES else ""
    lines = [_line(head, use.doubt), f"{indent}column: {quoted(column)}"]
    lines += [_line(f"{indent}values:", is_open=not use.values)]
    lines += [f"{indent}  {quoted(code)}: {quoted(word)}" for code, word in use.values.items()]
    lines += [_line(f"{indent}  {quoted(code)}: …", f"not known, {rows} rows{which}", is_open=True)
              for code, rows in use.unknown]
    if use.rare:
        lines += [f"{indent}  # CHECK: rarer codes that are not known (file rows {rare_rows(use)})"]
    return lines


def _codes_of(use: Use) -> tuple[str, ...]:
    if use.kind == OCCASION or use.name == "timepoint":
        return schema.TIMEPOINTS
    kind_of_column = schema.TABLES[schema.KINDS[use.kind]].columns[use.name]
    return kind_of_column if isinstance(kind_of_column, tuple) else ()


def _occasion_block(file: FileDraft) -> list[str]:
    found = {use.name: (column, use) for column, use in file.uses.items() if use.kind == OCCASION}
    if "timepoint" not in found:
        return []
    column, use = found["timepoint"]
    lines = _coded_lines("    occasion:", column, use)
    if "date" in found:
        day, when = found["date"]
        lines += [_line(f"      date: {quoted(day)}", when.doubt, when.is_open)]
        lines += [_line(f"      format: {json.dumps(when.format)}", "", when.is_open)] if when.format else []
    return lines


def _score_block(file: FileDraft) -> list[str]:
    scores: dict[str, list[tuple[str, Use]]] = {}
    for column, use in file.uses.items():
        if use.kind == SCORE:
            scores.setdefault(use.name, []).append((column, use))
    lines = []
    for measure, columns in scores.items():
        if not columns[0][1].point:
            lines.append(_line(f"      {measure}: {quoted(columns[0][0])}", columns[0][1].doubt))
            continue
        lines.append(f"      {measure}:")
        lines += [_line(f"        {use.point}: {quoted(column)}", use.doubt) for column, use in columns]
    return ["    scores:", *lines] if lines else []


def _attribute_block(file: FileDraft) -> list[str]:
    lines = [_line(f"      {use.name}: {{column: {quoted(column)}, type: number}}", use.doubt)
             for column, use in file.uses.items() if use.kind == ATTRIBUTE]
    return ["    attributes:", *lines] if lines else []
