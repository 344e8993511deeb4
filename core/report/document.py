"""A report as blocks, without any markup: HTML and PDF are drawn from the same value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crosslens.plain import tag_union

from ..display import BarList, HeatMap, InteractionGraph, LineChart, Table, Waterfall


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 starts a section."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Callout:
    """A sentence that must not be missed. tone: "good", "warn" or "note"."""

    text: str
    tone: str = "note"


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted text: SQL or the recipe."""

    text: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class PictureBlock:
    """A picture or a table as display data; exactly one of the fields is set."""

    heat_map: HeatMap | None = None
    bars: BarList | None = None
    lines: LineChart | None = None
    waterfall: Waterfall | None = None
    graph: InteractionGraph | None = None
    table: Table | None = None


Block: TypeAlias = Heading | Paragraph | Callout | Code | PictureBlock
tag_union(Block)


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """Title, subtitle (date, source), and the blocks in order."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
