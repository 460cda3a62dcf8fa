"""What a template may be given: a typed contract in TOML, checked the same way wherever values come from.

Values are literals only (text, numbers, yes/no, dates, lists of text). Text is one line of at most
MAX_TEXT characters without control characters, so no value can carry code, markup tricks or a second line.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from keyword import iskeyword
from pathlib import Path

from therapyeval.errors import DataError, ParameterError, UnknownNameError, did_you_mean
from therapyeval.formatting import listed
from therapyeval.period import parse_period

MAX_TEXT = 1_000
MAX_LIST = 1_000
PAPERMILL_HINT = " papermill turns `-p` values into numbers and True/False: use `-r {name} VALUE`."
# Characters that reverse or hide what a reader sees (Unicode bidirectional controls).
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LITERALS = (str, int, float, bool, list, tuple, set, dict, bytes, date, datetime, type(None))
_IPYTHON = re.compile(r"In|Out|exit|quit|open|get_ipython|_+|_i+|_i?\d+|_[dio]h|__\w+__|.*VSCODE.*")


@dataclass(frozen=True)
class Parameter:
    """One value that a template takes; `type` is a key of TYPES."""

    name: str
    type: str
    help: str = ""
    required: bool = False
    default: object = None
    choices: tuple = ()


@dataclass(frozen=True)
class Template:
    """A notebook with its contract: the inputs that every template takes, then its own parameters."""

    name: str
    title: str
    summary: str
    notebook: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


class Values(Mapping):
    """Checked values of one template, read as attributes; what was not given is None or the default."""

    __slots__ = ("_template", "_values")

    def __init__(self, template: Template, values: Mapping[str, object]) -> None:
        object.__setattr__(self, "_template", template)
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"{name!r} is not a parameter of this template.")
        return self._values[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("checked values cannot be changed")

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.public().items())
        return f"Values({shown})"

    def literals(self) -> dict[str, object]:
        """What is put into the parameters cell: text, numbers, True/False and lists of text."""
        return {name: value.isoformat() if isinstance(value, date) else value
                for name, value in self._values.items() if value is not None}

    def public(self) -> dict[str, object]:
        """The literals with base names in place of paths and addresses: safe to write into a report."""
        paths = {name for name, parameter in self._template.parameters.items() if parameter.type in ("file", "data")}
        return {name: base_name(value) if name in paths else value for name, value in self.literals().items()}


COMMON = (
    Parameter("data", "data", "The data: a file, or a folder of tables", required=True),
    Parameter("mapping", "file", "How raw columns and codes become ours (mapping.yml)"),
    Parameter("policy", "policy", "The privacy policy that results are released under"),
    Parameter("data_cut", "date", "The last day the data cover, as 2026-09-30"),
)


def parameters(template: str | Path, namespace: Mapping[str, object]) -> Values:
    """The checked values of a template's notebook, from its globals: `p = te.parameters("name", globals())`.

    Every literal that is set before this call counts as a parameter, so one that papermill added without
    knowing it is refused here. Names of IPython, modules, functions and results are not literals.

    Raises
    ------
    UnknownNameError, ParameterError, DataError
        As `check` does.
    """
    contract = read_template(template)
    given = {name: value for name, value in namespace.items()
             if name in contract.parameters or (type(value) in _LITERALS and not _IPYTHON.fullmatch(name))}
    return check(contract, given, hint=PAPERMILL_HINT)


def check(template: Template, given: Mapping[str, object], *, hint: str = "") -> Values:
    """The values with their types, defaults filled in; None means not given.

    Raises
    ------
    UnknownNameError
        A name the template does not have.
    ParameterError
        A required value that is missing, or a value of the wrong type or not among the choices.
    DataError
        A file or folder that does not exist.
    """
    for name in given:
        if name not in template.parameters:
            raise UnknownNameError(f"parameter of {template.name}", str(name)[:60], template.parameters)
    values = {}
    for name, parameter in template.parameters.items():
        value = parameter.default if given.get(name) is None else given[name]
        values[name] = None if value is None else _typed(parameter, value, hint)
    missing = [p for name, p in template.parameters.items() if p.required and values[name] is None]
    if missing:
        needs = "; ".join(f"{p.name} ({p.help})" if p.help else p.name for p in missing)
        raise ParameterError(f"the template {template.name} also needs {needs}.")
    return Values(template, values)


def parse_text(template: Template, given: Mapping[str, str | list[str]]) -> dict[str, object]:
    """Values as people type them (`-p name=value`, a YAML file), read as the template declares them.

    Numbers become numbers only where the template wants one, so `site_id=007` stays "007".
    """
    values: dict[str, object] = {}
    for name, text in given.items():
        if name not in template.parameters:
            raise UnknownNameError(f"parameter of {template.name}", str(name)[:60], template.parameters)
        values[name] = _parsed(template.parameters[name], text)
    return values


def read_params_file(template: Template, path: str | Path) -> dict[str, object]:
    """Parameters from a YAML file of `name: value` lines; an empty value means not given.

    Raises
    ------
    ParameterError
        Where it is not such a file, or names a parameter twice.
    """
    from therapyeval.yaml_lines import read

    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {_shown(str(path))}.")
    try:
        text = path.read_text("utf-8-sig")
        given = read(text, path.name) if re.sub(r"(?m)^\s*#.*", "", text).strip() else {}
    except UnicodeDecodeError:
        raise ParameterError(f"{path.name} is not UTF-8 text.") from None
    except DataError as error:
        raise ParameterError(str(error)) from None
    return parse_text(template, {name: value for name, value in given.items() if value != ""})


def templates() -> list[str]:
    """Names of the installed templates."""
    return sorted(path.stem for path in template_folder().glob("*.toml") if path.with_suffix(".ipynb").is_file())


def template_folder() -> Path:
    """Where the templates lie."""
    return shipped_folder("templates")


def shipped_folder(name: str) -> Path:
    """A folder that ships with the code (templates, data_samples): inside an installed package, or at the top of a
    checkout."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def read_template(name: str | Path) -> Template:
    """A template by name, or by the path of its .toml or .ipynb file.

    Raises
    ------
    UnknownNameError
        Where there is none.
    ParameterError
        Where its TOML does not follow the contract.
    """
    text = str(name)
    is_path = isinstance(name, Path) or text.endswith((".toml", ".ipynb"))
    if not is_path and text not in templates():
        raise UnknownNameError("template", text[:60], templates())
    path = Path(text).with_suffix(".toml") if is_path else template_folder() / f"{text}.toml"
    for needed in (path, path.with_suffix(".ipynb")):
        if not needed.is_file():
            raise UnknownNameError("template", text[-60:], templates(), hint=f"({needed.name} is missing.)")
    return _contract(path)


def describe(template: Template) -> str:
    """The template's help: what it reports and what it takes."""
    lines = [f"{template.name}: {template.title}", template.summary, "", "Inputs of every template:"]
    lines += [_help_line(parameter) for parameter in COMMON]
    lines += ["", "Parameters (-p name=value):"]
    common = {parameter.name for parameter in COMMON}
    lines += [_help_line(parameter) for name, parameter in template.parameters.items() if name not in common]
    return "\n".join(lines)


def base_name(value: object) -> str:
    """The last part of a path or address, without folders, user, password or query.

    >>> base_name("postgresql://ann:secret@db.example/rehab?sslmode=off"), base_name(r"C:\\data\\visits.csv")
    ('rehab', 'visits.csv')
    """
    text = re.split(r"[?#]", str(value))[0] if "://" in str(value) else str(value)
    parts = [part for part in re.split(r"[\\/]+", text.split("://")[-1]) if part]
    if "://" in text and len(parts) < 2:
        return "database"
    if not parts or parts[-1] in (".", ".."):
        return Path(text).resolve().name or "data"
    return parts[-1]


def _contract(path: Path) -> Template:
    import tomllib

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path.name} is not TOML: {error}.") from None
    unknown = set(table) - {"title", "summary", "parameters"}
    if unknown or not isinstance(table.get("title"), str) or not isinstance(table.get("parameters", {}), dict):
        raise ParameterError(f"{path.name}: a template has `title`, `summary` and tables [parameters.NAME]"
                             f"{f', not {listed(sorted(unknown))}' if unknown else ''}.")
    own = [_declared(path.name, name, entry) for name, entry in table.get("parameters", {}).items()]
    everything = {parameter.name: parameter for parameter in (*COMMON, *own)}
    return Template(path.stem, table["title"], table.get("summary", ""), path.with_suffix(".ipynb"), everything)


def _declared(file: str, name: str, entry: object) -> Parameter:
    where = f"{file}: [parameters.{name}]"
    if not isinstance(entry, dict) or set(entry) - {"type", "help", "required", "default", "choices"}:
        raise ParameterError(f"{where} takes type, help, required, default and choices only.")
    if entry.get("type") not in TYPES:
        raise ParameterError(f"{where} has no known type.{did_you_mean(entry.get('type'), TYPES)}")
    taken = {parameter.name for parameter in COMMON} | set(dir(Values)) | {"pm"}
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or iskeyword(name) or name in taken:
        raise ParameterError(f"{where}: this name is reserved, or not lower-case letters, digits and `_`.")
    parameter = Parameter(name, **{**entry, "choices": tuple(entry.get("choices", ()))})
    if parameter.default is not None and parameter.type not in ("file", "data"):
        _typed(parameter, parameter.default, "")
    return parameter


def _help_line(parameter: Parameter) -> str:
    facts = [parameter.type.replace("_", "/"), "required" if parameter.required else ""]
    facts += [f"one of {', '.join(map(str, parameter.choices))}" if parameter.choices else ""]
    facts += [f"default {parameter.default}" if parameter.default is not None else ""]
    return f"  {parameter.name:<12} {parameter.help} ({', '.join(filter(None, facts))})"


def _parsed(parameter: Parameter, text: object) -> object:
    if not isinstance(text, str) or parameter.type not in ("number", "integer", "yes_no"):
        return text
    plain = text.strip().lower()
    if parameter.type == "yes_no" and plain in _WORDS:
        return _WORDS[plain]
    if parameter.type == "integer" and re.fullmatch(r"[+-]?\d{1,15}", plain):
        return int(plain)
    if parameter.type == "number" and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", plain):
        return float(plain)
    raise ParameterError(f"{parameter.name} must be {TYPES[parameter.type][0]}, not {_shown(text)}.")


def _typed(parameter: Parameter, value: object, hint: str) -> object:
    wanted, read = TYPES[parameter.type]
    try:
        typed = read(parameter, value)
    except TypeError:
        more = hint.format(name=parameter.name) if isinstance(value, (int, float)) else ""
        raise ParameterError(f"{parameter.name} must be {wanted}, not {_shown(value)}.{more}") from None
    for item in typed if isinstance(typed, list) else [typed]:
        if parameter.choices and item not in parameter.choices:
            raise ParameterError(f"{parameter.name} cannot be {_shown(item)}.{did_you_mean(item, parameter.choices)}")
    return typed


def _text(parameter: Parameter, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.strip():
        raise ParameterError(f"{parameter.name} is empty; leave it out instead.")
    if len(value) > MAX_TEXT:
        raise ParameterError(f"{parameter.name} has {len(value):,} characters; at most {MAX_TEXT:,} are taken.")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _BIDI for letter in value):
        raise ParameterError(f"{parameter.name} holds a control character or a line break: {_shown(value)}.")
    return value


def _number(parameter: Parameter, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError
    return value


def _integer(parameter: Parameter, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**15:
        raise TypeError
    return value


def _yes_no(parameter: Parameter, value: object) -> bool:
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    if not isinstance(value, bool):
        raise TypeError
    return value


def _date(parameter: Parameter, value: object) -> date:
    if type(value) is date:
        return value
    text = _text(parameter, value)
    try:
        return date(*map(int, re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text).groups()))
    except (AttributeError, ValueError):
        raise ParameterError(f"{parameter.name} must be a day as 2026-09-30, not {_shown(value)}.") from None


def _period(parameter: Parameter, value: object) -> str:
    text = _text(parameter, value)
    try:
        parse_period(text)
    except ParameterError as error:
        raise ParameterError(f"{parameter.name}: {error}") from None
    return text


def _policy(parameter: Parameter, value: object) -> str:
    from therapyeval.disclosure.policy import named_policy

    return named_policy(_text(parameter, value)).name


def _file(parameter: Parameter, value: object) -> str:
    text = _text(parameter, str(value) if isinstance(value, Path) else value)
    if not _exists(text, Path.is_file):
        raise DataError(f"{parameter.name}: there is no file {_shown(text)}.")
    return text


def _data(parameter: Parameter, value: object) -> str:
    text = _text(parameter, str(value) if isinstance(value, Path) else value)
    if "://" not in text and not _exists(text, Path.exists):
        raise DataError(f"{parameter.name}: there is no file or folder {_shown(text)}.")
    return text


def _list(parameter: Parameter, value: object) -> list[str]:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise TypeError
    if not 0 < len(items) <= MAX_LIST:
        raise ParameterError(f"{parameter.name} takes 1 to {MAX_LIST:,} values, not {len(items):,}.")
    return [_text(parameter, item) for item in items]


TYPES: Mapping[str, tuple[str, Callable[[Parameter, object], object]]] = {
    "text": ("text", _text),
    "number": ("a number", _number),
    "integer": ("a whole number", _integer),
    "yes_no": ("yes or no", _yes_no),
    "date": ("a day as 2026-09-30", _date),
    "period": ("a period as 2026Q3", _period),
    "list": ("a list of texts, or texts separated by commas", _list),
    "file": ("the path of a file", _file),
    "data": ("a path or an address", _data),
    "policy": ("the name of a privacy policy", _policy),
}
_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def _exists(text: str, test: Callable[[Path], bool]) -> bool:
    try:
        return test(Path(text))
    except OSError:  # a name too long for the file system
        return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"
