"""Every block of a report as pieces on paper."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtSvg import QSvgRenderer

from core.display import LineChart, Picture, Table
from core.report.document import Block, Callout, Code, Heading, Paragraph, PictureBlock

from ..palette import LIGHT, mix
from ..widgets.labels import tone_colours
from .flow import Piece
from .tables import table_pieces
from .type import BODY, CAPTION, CODE, HEADINGS, POINT, SMALL, Style, TextLines

_PIXEL = 0.75 * POINT
_TALLEST_SHARE = 0.8
_BETWEEN = 16 * POINT
_LONE_SHARE = 0.7


class Svg(Protocol):
    """Draws a picture as SVG of a given width in pixels."""

    def __call__(self, picture: Picture, width: float) -> str:
        """Return the SVG document."""


def document_pieces(blocks: Sequence[Block], width: float, height: float, svg: Svg) -> list[Piece]:
    """Return the pieces of all blocks for a page of the given width and height, in units.

    Line charts that follow each other stand side by side, two in a row.
    """
    pieces: list[Piece] = []
    for is_chart, group in itertools.groupby(blocks, _is_line_chart):
        members = list(group)
        if is_chart:
            pictures = [picture_of(block) for block in members if isinstance(block, PictureBlock)]
            pieces += [_figures(pair, width, height, svg) for pair in batched(pictures, 2)]
        else:
            pieces += [piece for block in members for piece in block_pieces(block, width, height, svg)]
    return pieces


def block_pieces(block: Block, width: float, height: float, svg: Svg) -> list[Piece]:
    """Return the pieces of one block."""
    if isinstance(block, Heading):
        return _heading(block, width)
    if isinstance(block, Paragraph):
        return text_pieces(block.text, BODY, width, space=5 * POINT)
    if isinstance(block, Callout):
        return _callout(block, width)
    if isinstance(block, Code):
        return _code(block, width)
    picture = picture_of(block)
    return _table(picture, width) if isinstance(picture, Table) else [_figures((picture,), width, height, svg)]


def _is_line_chart(block: Block) -> bool:
    return isinstance(block, PictureBlock) and block.lines is not None


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


def _table(table: Table, width: float) -> list[Piece]:
    title = text_pieces(table.title, CAPTION, width, space=12 * POINT, keep=True) if table.title else []
    rows = table_pieces(table, width)
    if not table.note:
        return [*title, *rows]
    note = text_pieces(table.note, SMALL, width, space=4 * POINT, colour=LIGHT.muted)
    return [*title, *rows[:-1], replace(rows[-1], keep=True), *note]


def _figures(pictures: Sequence[Picture], width: float, height: float, svg: Svg) -> Piece:
    """Return pictures side by side as one piece, each in its share of the width; a lone line chart needs not all."""
    share = (width - (len(pictures) - 1) * _BETWEEN) / len(pictures)
    if len(pictures) == 1 and isinstance(pictures[0], LineChart):
        share = _LONE_SHARE * width
    figures = [_Figure(svg(picture, width=share / _PIXEL), share, height) for picture in pictures]

    def draw(painter: QPainter, x: float, y: float) -> None:
        for number, figure in enumerate(figures):
            figure.draw(painter, x + number * (share + _BETWEEN), y)

    return Piece(max(figure.height for figure in figures), draw, space=12 * POINT)


class _Figure:
    """A picture at its size on paper. The renderer is made when it is painted: pages may be set on another thread."""

    def __init__(self, source: str, width: float, height: float) -> None:
        self._source = QByteArray(source.encode())
        renderer = QSvgRenderer(self._source)
        size = renderer.defaultSize()
        if not renderer.isValid() or size.isEmpty():
            raise ValueError("the picture is not an SVG image")
        scale = min(_PIXEL, width / size.width(), _TALLEST_SHARE * height / size.height())
        self._width, self.height = size.width() * scale, size.height() * scale

    def draw(self, painter: QPainter, x: float, y: float) -> None:
        renderer = QSvgRenderer(self._source)
        renderer.setAspectRatioMode(Qt.AspectRatioMode.KeepAspectRatio)
        renderer.render(painter, QRectF(x, y, self._width, self.height))


def batched(items: Sequence[Picture], size: int) -> Iterator[Sequence[Picture]]:
    """Return the items in groups of `size`, the last one possibly smaller."""
    return (items[start : start + size] for start in range(0, len(items), size))
