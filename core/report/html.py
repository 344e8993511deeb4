"""The report as one HTML file: styles and drawings inline, no script, nothing fetched; light, dark and paper."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from crosslens.errors import InternalError

from ..display import Align, Picture, Table
from ..formats import format_cell
from .canvas import NAMESPACE
from .document import Block, Code, Heading, PictureBlock, ReportDocument
from .drawing import svg
from .palette import CSS, DARK, LIGHT, css_variables

_WIDE = 640.0
_NARROW = 480.0


def render_html(document: ReportDocument) -> str:
    """Return the report as a complete HTML page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only when a report is written

    folder = files(__package__)
    environment = Environment(
        loader=FileSystemLoader(str(folder)), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    groups = tuple(_grouped(document.blocks))
    return environment.get_template("report.html.jinja").render(
        document=document,
        groups=groups,
        contents=[(_anchor(place), block.text) for place, block in _sections(document)],
        style=_style(),
        light=css_variables(LIGHT),
        dark=css_variables(DARK),
        picture_of=picture_of,
        drawn=_drawn,
        cell=format_cell,
        right=Align.RIGHT,
    )


@cache
def _style() -> str:
    return (files(__package__) / "report.css").read_text(encoding="utf-8")


def _sections(document: ReportDocument) -> Iterator[tuple[int, Heading]]:
    headings = (block for block in document.blocks if isinstance(block, Heading) and block.level == 1)
    return enumerate(headings, start=1)


def _anchor(place: int) -> str:
    return f"section-{place}"


def picture_of(block: PictureBlock) -> Picture:
    """Return the one picture of a block."""
    pictures = (block.heat_map, block.bars, block.lines, block.waterfall, block.graph, block.table)
    found = [picture for picture in pictures if picture is not None]
    if len(found) != 1:
        raise InternalError(f"a picture block holds {len(found)} pictures instead of one")
    return found[0]


def _drawn(picture: Picture, place: int, *, beside: bool) -> Any:
    """Return the drawing, safe to insert: every text in it was escaped when it was drawn."""
    from markupsafe import Markup

    drawing = svg(picture, CSS, width=_NARROW if beside else _WIDE, caption=False)
    return Markup(drawing.replace(f'<svg xmlns="{NAMESPACE}"', f'<svg id="figure-{place}"', 1))


def _grouped(blocks: tuple[Block, ...]) -> Iterator[tuple[str, list[Any]]]:
    """Yield (kind, blocks): drawings in a row stand side by side, sections get their anchors."""
    drawings: list[PictureBlock] = []
    section = 0
    for block in blocks:
        if isinstance(block, PictureBlock) and block.table is None:
            drawings.append(block)
            continue
        if drawings:
            yield "drawings", drawings
            drawings = []
        if isinstance(block, Heading) and block.level == 1:
            section += 1
            yield "section", [block, _anchor(section)]
        else:
            yield _kind(block), [block]
    if drawings:
        yield "drawings", drawings


def _kind(block: Block) -> str:
    if isinstance(block, PictureBlock):
        return "figures" if _is_key_figures(block.table) else "table"
    return "code" if isinstance(block, Code) else type(block).__name__.lower()


def _is_key_figures(table: Table | None) -> bool:
    """Whether a table is one untitled row: figures to be seen at a glance."""
    return table is not None and len(table.rows) == 1 and not table.title
