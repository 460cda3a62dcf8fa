"""Mappings that come with therapyeval, one for each export shape; written from public descriptions of the systems."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """What may be given as `--mapping`."""
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def path_of(name: str) -> Path:
    """The file of a ready mapping."""
    return FOLDER / f"{name}.yml"


def found(text: str) -> str:
    """The path of a ready mapping where `text` names one and no file of that name is there; else the text."""
    return str(path_of(text)) if text in names() and not Path(text).exists() else text


def listing() -> str:
    """Name and first line of each."""
    firsts = {name: path_of(name).read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ") for name in names()}
    width = max(map(len, firsts), default=0)
    return "\n".join(f"{name.ljust(width)}  {first}" for name, first in firsts.items())
