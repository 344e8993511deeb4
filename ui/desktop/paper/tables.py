"""Tables on paper: columns that share the width, rows that are never cut, heads repeated on every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QPainter, QPen

from core.display import Align, Table, TableColumn

from ..charts import numbers
from ..palette import LIGHT, mix
from .flow import Piece
from .type import CELL, CELL_RIGHT, HEAD, HEAD_RIGHT, POINT, Style, TextLines, longest_word, natural_width

_GUTTER = 10 * POINT
_PADDING = 3 * POINT
_MEASURED_ROWS = 200
_SHORT = 12


def table_pieces(table: Table, width: float) -> list[Piece]:
    """Return the heads and one piece a row; the heads stay with the first row and return on every page."""
    widths = column_widths(table, width)
    head = _row([column.name for column in table.columns], table.columns, widths, heading=True)
    rows = [
        _row([numbers.cell(value, column) for value, column in zip(row, table.columns, strict=True)], table.columns,
             widths, grey=bool(table.greyed) and table.greyed[number], head=head)
        for number, row in enumerate(table.rows)
    ]  # fmt: skip
    return [head, *(replace(row, keep=_stays(number, len(rows))) for number, row in enumerate(rows))]


def _stays(number: int, rows: int) -> bool:
    """Whether a row stays with the next one: short tables stay whole, long ones leave no row alone."""
    return number < rows - 1 and (rows <= _SHORT or number == 0 or number == rows - 2)


def column_widths(table: Table, width: float) -> list[float]:
    """Return the widths of the columns, gutters included; wide texts give way first, but never within a word."""
    texts = [_texts(table, number) for number in range(len(table.columns))]
    natural = [max(natural_width(text, HEAD) for text in column) + _GUTTER for column in texts]
    if sum(natural) <= width:
        return _stretch(natural, width)
    least = [_least(column, texts[number]) + _GUTTER for number, column in enumerate(table.columns)]
    if sum(least) >= width:
        return [each * width / sum(least) for each in least]
    return _share(natural, least, width)


def _least(column: TableColumn, texts: Sequence[str]) -> float:
    """Return the width below which words would be cut; figures with their intervals stay on one line."""
    if column.align is Align.RIGHT:
        return max(longest_word(texts[0], HEAD), *(natural_width(text, CELL) for text in texts[1:]), 0.0)
    return max(longest_word(text, HEAD) for text in texts)


def _share(natural: Sequence[float], least: Sequence[float], width: float) -> list[float]:
    """Let narrow columns have what they want; the wide ones share what is left."""
    widths = [0.0] * len(natural)
    left, needed = width, sum(least)
    by_want = sorted(range(len(natural)), key=lambda number: natural[number])
    for taken, number in enumerate(by_want):
        needed -= least[number]
        fair = max(left / (len(by_want) - taken), least[number])
        widths[number] = min(natural[number], fair, left - needed)
        left -= widths[number]
    return widths


def _stretch(natural: Sequence[float], width: float) -> list[float]:
    """Widen columns by at most a half: a small table does not sprawl over the page."""
    factor = min(width / sum(natural), 1.5)
    return [each * factor for each in natural]


def _texts(table: Table, number: int) -> list[str]:
    column = table.columns[number]
    return [column.name, *(numbers.cell(row[number], column) for row in table.rows[:_MEASURED_ROWS])]


def _style(column: TableColumn, heading: bool) -> Style:
    if column.align is Align.RIGHT:
        return HEAD_RIGHT if heading else CELL_RIGHT
    return HEAD if heading else CELL


def _row(
    texts: Sequence[str],
    columns: Sequence[TableColumn],
    widths: Sequence[float],
    *,
    heading: bool = False,
    grey: bool = False,
    head: Piece | None = None,
) -> Piece:
    cells = [
        TextLines(text, _style(column, heading), width - _GUTTER)
        for text, column, width in zip(texts, columns, widths, strict=True)
    ]
    height = max((cell.height for cell in cells), default=0.0) + 2 * _PADDING
    ink = LIGHT.muted if grey else LIGHT.text

    def draw(painter: QPainter, x: float, y: float) -> None:
        left = x
        for cell, width in zip(cells, widths, strict=True):
            cell.draw(painter, left + _GUTTER / 2, y + _PADDING, ink)
            left += width
        _rule(painter, x, left, y + height, heading)

    return Piece(height, draw, keep=heading, head=head, space=6 * POINT if heading else 0.0)


def _rule(painter: QPainter, left: float, right: float, y: float, strong: bool) -> None:
    colour: QColor = LIGHT.muted if strong else mix(LIGHT.line, LIGHT.base, 0.2)
    painter.setPen(QPen(colour, (0.8 if strong else 0.5) * POINT))
    painter.drawLine(QPointF(left, y), QPointF(right, y))
