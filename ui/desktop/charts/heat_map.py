"""A matrix of numbers as coloured cells: numbers on pointing, grey hatching where the evidence is missing."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter
from PySide6.QtWidgets import QWidget

from core.display import HeatMap

from ..palette import Colours, along, mix, readable_on
from . import numbers
from .canvas import GAP, Canvas, hatch, text_in

_LONGEST_LABEL = 22.0
_SMALLEST_CELL = 30.0
_LARGEST_CELL = 96.0
_LEGEND_WIDTH = 160.0


class HeatMapCanvas(Canvas):
    """Paints a `HeatMap`. Item `i * columns + j` is the cell of row i and column j."""

    pairChosen = Signal(str, str)

    def __init__(self, picture: HeatMap, parent: QWidget | None = None) -> None:
        super().__init__(picture.title, parent)
        self._picture = picture
        self.activated.connect(self._choose)

    @property
    def picture(self) -> HeatMap:
        """Return the matrix shown."""
        return self._picture

    def item_count(self) -> int:
        """Return the number of cells."""
        return len(self._picture.rows) * len(self._picture.columns)

    def item_at(self, position: QPointF) -> int | None:
        """Return the cell under the mouse."""
        area, (width, height) = self._matrix(), self._cell_size()
        if not self.item_count() or not area.contains(position):
            return None
        column = min(int((position.x() - area.left()) / width), len(self._picture.columns) - 1)
        row = min(int((position.y() - area.top()) / height), len(self._picture.rows) - 1)
        return row * len(self._picture.columns) + column

    def item_area(self, item: int) -> QRectF:
        """Return the rectangle of a cell."""
        row, column = divmod(item, len(self._picture.columns))
        area, (width, height) = self._matrix(), self._cell_size()
        return QRectF(area.left() + column * width, area.top() + row * height, width, height)

    def neighbour(self, item: int, key: int) -> int:
        """Return the cell above, below, left or right; Home and End lead along the row."""
        row, column = divmod(item, len(self._picture.columns))
        last_row, last_column = len(self._picture.rows) - 1, len(self._picture.columns) - 1
        row += {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(key), 0)
        column += {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(key), 0)
        column = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: last_column}.get(Qt.Key(key), column)
        return min(max(row, 0), last_row) * (last_column + 1) + min(max(column, 0), last_column)

    def describe(self, item: int) -> str:
        """Return names, value, and what the value rests on."""
        row, column = divmod(item, len(self._picture.columns))
        parts = [f"{self._picture.rows[row]} × {self._picture.columns[column]}: {self._value_text(row, column)}"]
        if self._picture.counts:
            parts.append(self.tr("{count} rows").format(count=numbers.whole(self._picture.counts[row][column])))
        if self._is_grey(row, column):
            parts.append(self._grey_words())
        return ", ".join(parts)

    def sizeHint(self) -> QSize:
        """Return the size at which every cell can be told apart."""
        line = self.metrics().height()
        width = self._label_width() + GAP + len(self._picture.columns) * max(_SMALLEST_CELL, 1.9 * line)
        height = self._head_height() + len(self._picture.rows) * 1.75 * line + 2 * GAP + 1.6 * line
        return QSize(math.ceil(max(width, _LEGEND_WIDTH + 200)), math.ceil(height))

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint heads, cells and legend."""
        for row in range(len(self._picture.rows)):
            for column in range(len(self._picture.columns)):
                self._paint_cell(painter, ink, row, column)
        self._paint_names(painter, ink)
        self._paint_legend(painter, ink)

    def _choose(self, item: int) -> None:
        row, column = divmod(item, len(self._picture.columns))
        first, second = self._picture.rows[row], self._picture.columns[column]
        if first != second and self._picture.values[row][column] is not None:
            self.pairChosen.emit(first, second)

    def _value_text(self, row: int, column: int) -> str:
        value = self._picture.values[row][column]
        return self.tr("empty") if value is None else numbers.with_unit(value, self._picture.unit)

    def _is_grey(self, row: int, column: int) -> bool:
        return bool(self._picture.greyed) and self._picture.greyed[row][column]

    def _grey_words(self) -> str:
        """Return what grey means: cells with counts are grey for want of rows, pairs for want of evidence."""
        return self.tr("too few rows") if self._picture.counts else self.tr("not supported by the evidence")

    def _label_width(self) -> float:
        longest = _LONGEST_LABEL * self.metrics().averageCharWidth()
        return min(self.widest(self._picture.rows), longest) + GAP

    def _heads_fit(self) -> bool:
        return self.widest(self._picture.columns) + 6 <= self._cell_size()[0]

    def _head_height(self) -> float:
        if self._heads_fit():
            return self.metrics().height() + GAP
        longest = _LONGEST_LABEL * self.metrics().averageCharWidth()
        return min(self.widest(self._picture.columns), longest) + GAP

    def _cell_size(self) -> tuple[float, float]:
        columns = max(len(self._picture.columns), 1)
        line = self.metrics().height()
        largest = max(_LARGEST_CELL, 5 * line)
        width = min((self.width() - self._label_width() - 2) / columns, largest)
        return max(width, 4.0), 1.75 * line

    def _matrix(self) -> QRectF:
        width, height = self._cell_size()
        size = (width * len(self._picture.columns), height * len(self._picture.rows))
        return QRectF(self._label_width(), self._head_height(), *size)

    def _numbers(self) -> list[float]:
        return [value for row in self._picture.values for value in row if value is not None and math.isfinite(value)]

    def _scale(self) -> tuple[float, float]:
        values = self._numbers() or [0.0]
        if self._picture.diverging:
            largest = max(abs(value) for value in values)
            return -largest, largest
        return min(0.0, *values), max(values)

    def _colour(self, ink: Colours, value: float) -> QColor:
        low, high = self._scale()
        share = (value - low) / (high - low) if high > low else 0.0
        return along(ink.diverging if self._picture.diverging else ink.sequential, share)

    def _paint_cell(self, painter: QPainter, ink: Colours, row: int, column: int) -> None:
        area = self.item_area(row * len(self._picture.columns) + column).adjusted(1, 1, -1, -1)
        value = self._picture.values[row][column]
        painter.setPen(Qt.PenStyle.NoPen)
        if value is None or not math.isfinite(value):
            painter.fillRect(area, mix(ink.base, ink.raised, 0.5))
            return
        grey = self._is_grey(row, column)
        fill = mix(ink.base, ink.raised, 0.7) if grey else self._colour(ink, value)
        painter.fillRect(area, fill)
        if grey:
            painter.fillRect(area, hatch(ink))
        text = numbers.percent(value, 0) if self._picture.unit == "%" else numbers.number(value, 2)
        if not grey and QFontMetricsF(painter.font()).horizontalAdvance(text) + 4 <= area.width():
            painter.setPen(readable_on(fill))
            text_in(painter, area, text, Qt.AlignmentFlag.AlignHCenter)

    def _paint_names(self, painter: QPainter, ink: Colours) -> None:
        area, (width, height) = self._matrix(), self._cell_size()
        painter.setPen(ink.text)
        for number, name in enumerate(self._picture.rows):
            line = QRectF(0, area.top() + number * height, area.left() - GAP, height)
            text_in(painter, line, name, Qt.AlignmentFlag.AlignRight)
        upright = self._heads_fit()
        for number, name in enumerate(self._picture.columns):
            left = area.left() + number * width
            if upright:
                head = QRectF(left, 0, width, area.top())
                text_in(painter, head, name, Qt.AlignmentFlag.AlignHCenter)
            else:
                _text_upwards(painter, QPointF(left + width / 2, area.top() - GAP / 2), name, area.top() - GAP / 2)

    def _paint_legend(self, painter: QPainter, ink: Colours) -> None:
        if not self._numbers():
            return
        area, line = self._matrix(), self.metrics().height()
        low, high = (numbers.with_unit(value, self._picture.unit) for value in self._scale())
        left, top = area.left() + self.metrics().horizontalAdvance(low) + GAP, area.bottom() + GAP
        bar = QRectF(left, top + line * 0.2, _LEGEND_WIDTH, line * 0.7)
        ramp = QLinearGradient(bar.topLeft(), bar.topRight())
        stops = ink.diverging if self._picture.diverging else ink.sequential
        for number, stop in enumerate(stops):
            ramp.setColorAt(number / (len(stops) - 1), stop)
        painter.fillRect(bar, ramp)
        painter.setPen(ink.muted)
        text_in(painter, QRectF(area.left(), top, left, line), low, Qt.AlignmentFlag.AlignLeft)
        end = bar.right() + GAP
        text_in(painter, QRectF(end, top, self.width() - end, line), high, Qt.AlignmentFlag.AlignLeft)
        if any(any(row) for row in self._picture.greyed):
            self._paint_grey_key(painter, ink, QPointF(end + self.metrics().horizontalAdvance(high) + 2 * GAP, top))

    def _paint_grey_key(self, painter: QPainter, ink: Colours, start: QPointF) -> None:
        line = self.metrics().height()
        swatch = QRectF(start.x(), start.y() + line * 0.2, line, line * 0.7)
        painter.fillRect(swatch, mix(ink.base, ink.raised, 0.7))
        painter.fillRect(swatch, hatch(ink))
        painter.setPen(ink.muted)
        rest = QRectF(swatch.right() + GAP, start.y(), self.width() - swatch.right() - GAP, line)
        text_in(painter, rest, self._grey_words(), Qt.AlignmentFlag.AlignLeft)


def _text_upwards(painter: QPainter, start: QPointF, text: str, length: float) -> None:
    painter.save()
    painter.translate(start)
    painter.rotate(-90)
    half = QFontMetricsF(painter.font()).height() / 2
    text_in(painter, QRectF(0, -half, length, 2 * half), text, Qt.AlignmentFlag.AlignLeft)
    painter.restore()
