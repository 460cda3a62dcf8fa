"""YAML as it is written: every scalar is text (`NO` and `007` stay as they are), every key knows its line."""

from __future__ import annotations

import math
import re
from itertools import chain

import yaml

from therapyeval.errors import DataError, did_you_mean

MOST = 1_000_000  # values that a file may stand for: a few lines of aliases can fill a memory
_TAB = re.compile(r"^ *\t", re.MULTILINE)


class Block(dict):
    """A YAML mapping; `fail` makes an error that says where."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str, int] = {}

    def fail(self, key: str | None, message: str) -> DataError:
        """A DataError that begins with the file and the line of `key` (None: of the block)."""
        return DataError(f"{self.file}, line {self.lines.get(key, self.line)}: {message}")

    def only(self, known: tuple[str, ...], what: str) -> None:
        """Refuse keys that are not known.

        Raises
        ------
        DataError
            With the line and the closest known key.
        """
        for key in self:
            if key not in known:
                raise self.fail(key, f"{what} cannot have `{key[:40]}`.{did_you_mean(key, known)}")

    def text(self, key: str, default: str | None = None) -> str | None:
        """The value of a key that must be one word or sentence."""
        value = self.get(key, default)
        if value is not None and not isinstance(value, str):
            raise self.fail(key, f"`{key}` must be one value, not a list or a block.")
        return value or default

    def block(self, key: str) -> Block:
        """The value of a key that must be a block of `name: value` lines (absent: an empty one)."""
        value = self.get(key)
        if value is None:
            return Block(self.file, self.line)
        if not isinstance(value, Block):
            raise self.fail(key, f"`{key}` must be a block of `name: value` lines.")
        return value

    def words(self, key: str) -> list[str]:
        """The value of a key that may be one word or a list of words (absent: an empty list)."""
        value = self.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"`{key}` must be a word or a list of words.")
        return value


def read(text: str, file: str) -> Block:
    """The top block of a YAML text.

    Raises
    ------
    DataError
        Where it has tabs, is not YAML, repeats a key or itself without end, or is not a block of `name: value` lines.
    """
    tab = _TAB.search(text)
    if tab:
        raise DataError(f"{file}, line {text.count(chr(10), 0, tab.start()) + 1}: indented with a tab. "
                        "YAML allows only spaces; replace the tab by spaces.")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        n_values = 0 if node is None else _weight(node, {})
    except RecursionError:
        raise DataError(f"{file}: not valid YAML (too many brackets or indents inside one another).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or "cannot be read")
        raise DataError(f"{file}{where}: not valid YAML ({problem}).") from None
    if n_values > MOST:
        raise DataError(f"{file}: its words that begin with * repeat other places of the file too often, or the place "
                        "that they stand in. Write out what they stand for.")
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{file} is {'empty' if node is None else 'not a mapping'}: it needs `name: value` lines, "
                        "first of all `version: 1`.")
    return _value(node, file)


def _weight(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for, aliases (`*name`) written out; infinite where one holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        inner = chain.from_iterable(inner) if isinstance(node, yaml.MappingNode) else inner
        known[id(node)] = 1 + sum(_weight(part, known) for part in inner)
    return known[id(node)]


def _value(node: yaml.Node, file: str) -> Block | list | str:
    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag == "tag:yaml.org,2002:null" and node.value == "~" else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, file) for item in node.value]
    block = Block(file, node.start_mark.line + 1)
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise DataError(f"{file}, line {line}: a key must be one word.")
        if key_node.value in block:
            raise DataError(f"{file}, line {line}: `{key_node.value[:40]}` is there twice in one block. Keep one.")
        block[key_node.value] = _value(value_node, file)
        block.lines[key_node.value] = line
    return block
