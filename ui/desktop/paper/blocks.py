"""Every block of a report as pieces on paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtSvg import QSvgRenderer

from core.display import Picture, Table
from core.report.document import Block, Callout, Code, Heading, Paragraph, PictureBlock

from ..palette import LIGHT, mix
from ..widgets.labels import tone_colours
from .flow import Piece
from .tables import table_pieces
from .type import BODY, CAPTION, CODE, HEADINGS, POINT, SMALL, Style, TextLines

_PIXEL = 0.75 * POINT
_TALLEST_SHARE = 0.8


def block_pieces(block: Block, width: float, height: float, svg: Callable[[Picture], str]) -> list[Piece]:
    """Return the pieces of a block for a page of the given width and height, in units."""
    if isinstance(block, Heading):
        return _heading(block, width)
    if isinstance(block, Paragraph):
        return text_pieces(block.text, BODY, width, space=5 * POINT)
    if isinstance(block, Callout):
        return _callout(block, width)
    if isinstance(block, Code):
        return _code(block, width)
    return _picture(block, width, height, svg)


def text_pieces(
    text: str, style: Style, width: float, *, space: float, colour: QColor = LIGHT.text, keep: bool = False
) -> list[Piece]:
    """Return one piece a line; neither the first nor the last line of several stands alone. `keep` ties the last."""
    lines = TextLines(text, style, width)
    last = len(lines.lines) - 1

    def line_piece(number: int) -> Piece:
        def draw(painter: QPainter, x: float, y: float) -> None:
            lines.draw_line(number, painter, x, y, colour)

        tied = keep if number == last else number == 0 or number == last - 1
        return Piece(lines.leading, draw, space=space if number == 0 else 0.0, keep=tied)

    return [line_piece(number) for number in range(last + 1)]


def _heading(block: Heading, width: float) -> list[Piece]:
    level = min(max(block.level, 1), 3)
    pieces = text_pieces(block.text, HEADINGS[level], width, space=(26, 16, 12)[level - 1] * POINT, keep=True)
    return [replace(piece, keep=True) for piece in pieces]


def _callout(block: Callout, width: float) -> list[Piece]:
    soft, ink = tone_colours(LIGHT, block.tone)
    margin = 8 * POINT
    lines = TextLines(block.text, BODY, width - 2 * margin - 3 * POINT)
    height = lines.height + 2 * margin * 0.75

    def draw(painter: QPainter, x: float, y: float) -> None:
        painter.fillRect(QRectF(x, y, width, height), soft)
        painter.fillRect(QRectF(x, y, 3 * POINT, height), ink)
        lines.draw(painter, x + margin + 3 * POINT, y + margin * 0.75, LIGHT.text)

    return [Piece(height, draw, space=8 * POINT)]


def _code(block: Code, width: float) -> list[Piece]:
    caption = text_pieces(block.caption, CAPTION, width, space=8 * POINT, keep=True) if block.caption else []
    margin = 6 * POINT
    lines = TextLines(block.text.rstrip("\n"), CODE, width - 2 * margin)
    ground = mix(LIGHT.base, LIGHT.raised, 0.6)

    def line_piece(number: int) -> Piece:
        def draw(painter: QPainter, x: float, y: float) -> None:
            # a hair of overlap, or viewers show a seam between the lines
            painter.fillRect(QRectF(x, y, width, lines.leading + 2), ground)
            lines.draw_line(number, painter, x + margin, y, LIGHT.text)

        return Piece(lines.leading, draw, space=4 * POINT if number == 0 else 0.0, keep=number == 0)

    pieces = [line_piece(number) for number in range(len(lines.lines))]
    return [*caption, *pieces[:-1], replace(pieces[-1], keep=False)] if pieces else caption


def picture_of(block: PictureBlock) -> Picture:
    """Return the one picture of a block."""
    pictures = (block.heat_map, block.bars, block.lines, block.waterfall, block.graph, block.table)
    return next(picture for picture in pictures if picture is not None)


def _picture(block: PictureBlock, width: float, height: float, svg: Callable[[Picture], str]) -> list[Piece]:
    picture = picture_of(block)
    if isinstance(picture, Table):
        return _table(picture, width)
    return [_figure(svg(picture), width, height)]


def _table(table: Table, width: float) -> list[Piece]:
    title = text_pieces(table.title, CAPTION, width, space=12 * POINT, keep=True) if table.title else []
    rows = table_pieces(table, width)
    if not table.note:
        return [*title, *rows]
    note = text_pieces(table.note, SMALL, width, space=4 * POINT, colour=LIGHT.muted)
    return [*title, *rows[:-1], replace(rows[-1], keep=True), *note]


def _figure(source: str, width: float, height: float) -> Piece:
    renderer = QSvgRenderer(QByteArray(source.encode()))
    renderer.setAspectRatioMode(Qt.AspectRatioMode.KeepAspectRatio)
    size = renderer.defaultSize()
    if not renderer.isValid() or size.isEmpty():
        raise ValueError("the picture is not an SVG image")
    scale = min(_PIXEL, width / size.width(), _TALLEST_SHARE * height / size.height())
    drawn = (size.width() * scale, size.height() * scale)

    def draw(painter: QPainter, x: float, y: float) -> None:
        renderer.render(painter, QRectF(x, y, *drawn))

    return Piece(drawn[1], draw, space=10 * POINT)
