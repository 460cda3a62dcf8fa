"""Released Results as tables, figures and sentences; formats, never computes. Heavy libraries load on use."""

from therapyeval.display.blocks import Bullets, Facts, Figure, Heading, Light, Paragraph, Section, Warnings
from therapyeval.display.tables import Cell, Row, Table

__all__ = ["Bullets", "Cell", "Facts", "Figure", "Heading", "Light", "Paragraph", "Row", "Section", "Table", "Warnings"]
