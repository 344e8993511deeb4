"""Named bars with intervals as whiskers."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from core.display import BarList

from ..palette import Colours, mix
from . import numbers
from .canvas import GAP, Canvas, hatch, text_in

_LONGEST_LABEL = 30.0
_SHORTEST_BAR = 160.0


class BarListCanvas(Canvas):
    """Paints a `BarList`; item i is bar i. Bars start at zero; negative values run to the left."""

    def __init__(self, picture: BarList, parent: QWidget | None = None) -> None:
        super().__init__(picture.title, parent)
        self._picture = picture
        decimals = numbers.decimals_for(picture.values)
        self._texts = [numbers.with_unit(value, picture.unit, decimals) for value in picture.values]

    @property
    def picture(self) -> BarList:
        """Return the bars shown."""
        return self._picture

    def item_count(self) -> int:
        """Return the number of bars."""
        return len(self._picture.labels)

    def item_at(self, position: QPointF) -> int | None:
        """Return the bar of the line under the mouse."""
        item = int(position.y() // self._line())
        return item if 0 <= item < self.item_count() else None

    def item_area(self, item: int) -> QRectF:
        """Return the line of a bar."""
        return QRectF(1, item * self._line() + 1, self.width() - 2, self._line() - 2)

    def describe(self, item: int) -> str:
        """Return name, value, interval and whether the evidence supports it."""
        picture = self._picture
        text = f"{picture.labels[item]}: {numbers.with_unit(picture.values[item], picture.unit)}"
        if picture.low:
            text += " " + numbers.interval(picture.low[item], picture.high[item])
        return text + (", " + self.tr("not supported by the evidence") if self._is_grey(item) else "")

    def sizeHint(self) -> QSize:
        """Return one line per bar."""
        width = self._label_width() + _SHORTEST_BAR + self._value_width() + 2 * GAP
        return QSize(math.ceil(width), math.ceil(self._line() * max(self.item_count(), 1)))

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint the zero line, then bar by bar."""
        zero = self._x(0.0)
        painter.setPen(QPen(ink.line, 1))
        painter.drawLine(QPointF(zero, 0), QPointF(zero, self._line() * self.item_count()))
        for item in range(self.item_count()):
            self._paint_bar(painter, ink, item)
            self._paint_whisker(painter, ink, item)

    def _line(self) -> float:
        return 1.75 * self.metrics().height()

    def _is_grey(self, item: int) -> bool:
        return bool(self._picture.greyed) and self._picture.greyed[item]

    def _label_width(self) -> float:
        longest = _LONGEST_LABEL * self.metrics().averageCharWidth()
        return min(self.widest(self._picture.labels), longest) + GAP

    def _value_width(self) -> float:
        return self.widest(self._texts) + GAP

    def _span(self) -> tuple[float, float]:
        ends = [0.0, *self._picture.values, *self._picture.low, *self._picture.high]
        finite = [end for end in ends if math.isfinite(end)]
        low, high = min(finite), max(finite)
        return (low, high) if high > low else (low, low + 1.0)

    def _x(self, value: float) -> float:
        low, high = self._span()
        left, right = self._label_width(), self.width() - self._value_width() - GAP
        return left + (value - low) / (high - low) * max(right - left, 1.0)

    def _paint_bar(self, painter: QPainter, ink: Colours, item: int) -> None:
        value, line = self._picture.values[item], self._line()
        top = item * line
        painter.setPen(ink.muted if self._is_grey(item) else ink.text)
        names = QRectF(0, top, self._label_width() - GAP, line)
        text_in(painter, names, self._picture.labels[item], Qt.AlignmentFlag.AlignRight)
        figures = QRectF(self.width() - self._value_width(), top, self._value_width(), line)
        text_in(painter, figures, self._texts[item], Qt.AlignmentFlag.AlignRight)
        if not math.isfinite(value):
            return
        area = QRectF(QPointF(self._x(0.0), top + line * 0.22), QPointF(self._x(value), top + line * 0.78)).normalized()
        if self._is_grey(item):
            painter.fillRect(area, ink.raised)
            painter.fillRect(area, hatch(ink))
        else:
            painter.fillRect(area, ink.series[0] if value >= 0 else ink.series[1])

    def _paint_whisker(self, painter: QPainter, ink: Colours, item: int) -> None:
        picture = self._picture
        if not picture.low or not (math.isfinite(picture.low[item]) and math.isfinite(picture.high[item])):
            return
        middle = (item + 0.5) * self._line()
        left, right, end = self._x(picture.low[item]), self._x(picture.high[item]), self._line() * 0.13
        painter.setPen(QPen(mix(ink.text, ink.base, 0.15), 1.5))
        painter.drawLine(QPointF(left, middle), QPointF(right, middle))
        for x in (left, right):
            painter.drawLine(QPointF(x, middle - end), QPointF(x, middle + end))
