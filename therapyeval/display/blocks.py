"""What a section is made of: paragraphs, lists, warnings, tables and figures, each as HTML and as plain text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Protocol

from therapyeval.display.theme import STYLE


class Block(Protocol):
    """Anything that can stand in a section."""

    def _repr_html_(self) -> str: ...

    def to_text(self) -> str: ...


@dataclass(frozen=True)
class Paragraph:
    """Sentences; `kind` is "", "lead" or "note"."""

    text: str
    kind: str = ""

    def _repr_html_(self) -> str:
        kind = f' class="te-{self.kind}"' if self.kind else ""
        return f"<p{kind}>{escape(self.text)}</p>"

    def to_text(self) -> str:
        return self.text


@dataclass(frozen=True)
class Heading:
    """A title inside a section."""

    text: str

    def _repr_html_(self) -> str:
        return f"<h3>{escape(self.text)}</h3>"

    def to_text(self) -> str:
        return f"{self.text}\n{'-' * len(self.text)}"


@dataclass(frozen=True)
class Bullets:
    """Sentences that stand beside each other."""

    items: tuple[str, ...]

    def _repr_html_(self) -> str:
        return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in self.items)}</ul>"

    def to_text(self) -> str:
        return "\n".join(f"- {item}" for item in self.items)


@dataclass(frozen=True)
class Warnings:
    """What must not be overlooked."""

    items: tuple[str, ...]

    def _repr_html_(self) -> str:
        inside = Bullets(self.items)._repr_html_() if len(self.items) > 1 else Paragraph(self.items[0])._repr_html_()
        return f'<div class="te-warning">{inside}</div>'

    def to_text(self) -> str:
        return "\n".join(f"! {item}" for item in self.items)


@dataclass(frozen=True)
class Light:
    """A traffic light as a word with its sentence: "green", "amber", "red", or "" where it cannot be lit."""

    color: str
    text: str

    def _repr_html_(self) -> str:
        kind = self.color if self.color in ("green", "amber", "red") else "none"
        return f'<p class="te-light te-{kind}"><strong>{escape(self.word)}</strong> {escape(self.text)}</p>'

    def to_text(self) -> str:
        return f"[{self.word}] {self.text}"

    @property
    def word(self) -> str:
        return self.color.capitalize() or "Not lit"


@dataclass(frozen=True)
class Facts:
    """Terms with what is to be said about them: (term, text) or (term, text, remark)."""

    items: tuple[tuple[str, ...], ...]

    def _repr_html_(self) -> str:
        rows = (f"<dt>{escape(term)}</dt><dd>{escape(text)}{_remark(rest)}</dd>" for term, text, *rest in self.items)
        return f"<dl>{''.join(rows)}</dl>"

    def to_text(self) -> str:
        return "\n".join(f"{term}: {' '.join(filter(None, texts))}" for term, *texts in self.items)


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG bytes, with its finding in words for those who do not see it."""

    image: bytes
    alt: str
    caption: str

    def _repr_html_(self) -> str:
        from base64 import b64encode

        source = f"data:image/svg+xml;base64,{b64encode(self.image).decode()}"
        return (f'<figure class="te-figure"><img alt="{escape(self.alt)}" src="{source}"/>'
                f"<figcaption>{escape(self.caption)}</figcaption></figure>")

    def to_text(self) -> str:
        return f"[Figure: {self.alt}]\n{self.caption}"


@dataclass(frozen=True)
class Section:
    """A named part of a report. `kind` is the small line under the title; `top` makes the title the page's own."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    kind: str = ""
    top: bool = False

    def to_html(self) -> str:
        """The section without style: a page brings theme.CSS once."""
        level = "h1" if self.top else "h2"
        kind = f' <span class="te-kind">{escape(self.kind)}</span>' if self.kind else ""
        inside = "".join(block._repr_html_() for block in self.blocks)
        return (f'<section class="te-section" id="te-{escape(self.name)}"><{level}>{escape(self.title)}{kind}</{level}>'
                f"{inside}</section>")

    def _repr_html_(self) -> str:
        """For notebooks, where no page brings the style: theme.STYLE, then the section."""
        return STYLE + self.to_html()

    def to_text(self) -> str:
        title = self.title + (f" ({self.kind})" if self.kind else "")
        return "\n\n".join([f"{title}\n{'=' * len(title)}", *(block.to_text() for block in self.blocks)])


def _remark(rest: list[str]) -> str:
    return f'<span class="te-note">{escape(rest[0])}</span>' if rest and rest[0] else ""
