"""A report document as pages: laid out once, painted wherever they are wanted."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QPointF, QRectF, QSizeF
from PySide6.QtGui import QPageSize, QPainter, QPen

from core.report.document import ReportDocument

from ..palette import LIGHT
from .blocks import Svg, document_pieces, text_pieces
from .flow import Piece, Placed, paginate
from .type import POINT, RESOLUTION, SMALL, SUBTITLE, TITLE, Style, TextLines

MARGIN = 54 * POINT
"""Free on all sides, in units: 19 mm."""
_FOOTER = Style(SMALL.size, SMALL.leading)


class PaperPages:
    """The pages of a report on A4."""

    def __init__(self, title: str, pages: tuple[tuple[Placed, ...], ...]) -> None:
        self._title = title
        self._pages = pages

    def __len__(self) -> int:
        return len(self._pages)

    @staticmethod
    def size() -> QSizeF:
        """Return width and height of a page, in units of 1/1200 inch."""
        return QSizeF(QPageSize(QPageSize.PageSizeId.A4).sizePixels(RESOLUTION))

    def paint(self, painter: QPainter, number: int) -> None:
        """Paint page `number` (from 0); the painter's coordinates are units of 1/1200 inch."""
        for placed in self._pages[number]:
            placed.piece.draw(painter, MARGIN, MARGIN + placed.top)
        self._paint_footer(painter, number)

    def _paint_footer(self, painter: QPainter, number: int) -> None:
        width, bottom = content_width(), self.size().height() - MARGIN * 0.62
        painter.setPen(QPen(LIGHT.line, 0.5 * POINT))
        painter.drawLine(QPointF(MARGIN, bottom - 4 * POINT), QPointF(MARGIN + width, bottom - 4 * POINT))
        words = QCoreApplication.translate("paper", "Page {number} of {count}")
        right = TextLines(words.format(number=number + 1, count=len(self)), Style(8, 11, right=True), width * 0.3)
        right.draw(painter, MARGIN + width * 0.7, bottom, LIGHT.muted)
        TextLines(self._title, _FOOTER, width * 0.7).draw_line(0, painter, MARGIN, bottom, LIGHT.muted)


def content_width() -> float:
    """Return the width between the margins, in units."""
    return PaperPages.size().width() - 2 * MARGIN


def content_height() -> float:
    """Return the height between the margins, in units."""
    return PaperPages.size().height() - 2 * MARGIN - 6 * POINT


def typeset(document: ReportDocument, svg: Svg) -> PaperPages:
    """Lay a report out on A4; `svg` draws its figures."""
    width, height = content_width(), content_height()
    pieces = _title_pieces(document, width) + document_pieces(document.blocks, width, height, svg)
    return PaperPages(document.title or " ", paginate(pieces, height))


def _title_pieces(document: ReportDocument, width: float) -> list[Piece]:
    def rule(painter: QPainter, x: float, y: float) -> None:
        painter.fillRect(QRectF(x, y, 48 * POINT, 2.5 * POINT), LIGHT.accent)

    return [
        *text_pieces(document.title, TITLE, width, space=0, keep=True),
        *text_pieces(document.subtitle, SUBTITLE, width, space=3 * POINT, colour=LIGHT.muted, keep=True),
        Piece(2.5 * POINT, rule, space=8 * POINT, keep=True),
    ]
