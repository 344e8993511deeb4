"""One prediction, step by step: from the baseline over each field's share to the total."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QWidget

from core.display import Waterfall

from ..palette import Colours
from . import numbers
from .canvas import GAP, Canvas, text_in, widest

_LONGEST_LABEL = 34.0
_SHORTEST = 200.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the picture: a step from `start` to `end`, or a level where both are equal."""

    label: str
    start: float
    end: float
    is_level: bool = False

    @property
    def change(self) -> float:
        """Return the signed length of the step."""
        return self.end - self.start


def lines_of(picture: Waterfall, baseline: str, total: str) -> tuple[Line, ...]:
    """Return the baseline, the steps one after the other, and the total."""
    lines, level = [Line(baseline, picture.baseline, picture.baseline, is_level=True)], picture.baseline
    for label, change in picture.steps:
        lines.append(Line(label, level, level + change))
        level += change
    return (*lines, Line(total, picture.total, picture.total, is_level=True))


class WaterfallCanvas(Canvas):
    """Paints a `Waterfall`; item 0 is the baseline, the last item the total."""

    def __init__(self, picture: Waterfall, parent: QWidget | None = None) -> None:
        super().__init__(picture.title, parent)
        self._picture = picture
        self._lines = lines_of(picture, self.tr("Average prediction"), self.tr("This prediction"))

    @property
    def picture(self) -> Waterfall:
        """Return the steps shown."""
        return self._picture

    def item_count(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def item_at(self, position: QPointF) -> int | None:
        """Return the line under the mouse."""
        item = int(position.y() // self._height())
        return item if 0 <= item < len(self._lines) else None

    def item_area(self, item: int) -> QRectF:
        """Return the area of a line."""
        return QRectF(1, item * self._height() + 1, self.width() - 2, self._height() - 2)

    def describe(self, item: int) -> str:
        """Return what a step changes and where it leads."""
        line = self._lines[item]
        if line.is_level:
            return f"{line.label}: {numbers.with_unit(line.end, self._picture.unit, 2)}"
        change = f"{numbers.signed(line.change, 2)} {self._picture.unit}"
        after = numbers.number(line.end, 2)
        return self.tr("{field}: {change}, then {after}").format(field=line.label, change=change, after=after)

    def sizeHint(self) -> QSize:
        """Return one line per step."""
        width = self._label_width() + _SHORTEST + self._value_width() + 2 * GAP
        return QSize(math.ceil(width), math.ceil(self._height() * len(self._lines)))

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint line by line, with thin connections between the levels."""
        for item, line in enumerate(self._lines):
            self._paint_texts(painter, ink, item, line)
            self._paint_bar(painter, ink, item, line)
            if item + 1 < len(self._lines):
                self._paint_connection(painter, ink, item, line)

    def _height(self) -> float:
        return 1.75 * self.metrics().height()

    def _bold(self) -> QFontMetricsF:
        font = QFont(self.font())
        font.setBold(True)
        return QFontMetricsF(font, self)

    def _label_width(self) -> float:
        longest = _LONGEST_LABEL * self.metrics().averageCharWidth()
        return min(widest(self._bold(), [line.label for line in self._lines]), longest) + GAP

    def _text(self, line: Line) -> str:
        if line.is_level:
            return numbers.number(line.end, 2)
        return numbers.signed(line.change, 2)

    def _value_width(self) -> float:
        return widest(self._bold(), [self._text(line) for line in self._lines]) + GAP

    def _x(self, value: float) -> float:
        levels = [line.end for line in self._lines]
        low, high = min(levels), max(levels)
        spread = (high - low) or 1.0
        left, right = self._label_width() + GAP, self.width() - self._value_width() - GAP
        return left + (value - low) / spread * max(right - left, 1.0)

    def _paint_texts(self, painter: QPainter, ink: Colours, item: int, line: Line) -> None:
        top, height = item * self._height(), self._height()
        font = painter.font()
        font.setBold(line.is_level)
        painter.setFont(font)
        painter.setPen(ink.text)
        text_in(painter, QRectF(0, top, self._label_width() - GAP, height), line.label, Qt.AlignmentFlag.AlignRight)
        figures = QRectF(self.width() - self._value_width() - 2, top, self._value_width() + 2, height)
        text_in(painter, figures, self._text(line), Qt.AlignmentFlag.AlignRight)

    def _paint_bar(self, painter: QPainter, ink: Colours, item: int, line: Line) -> None:
        top, height = item * self._height(), self._height()
        if line.is_level:
            centre = QPointF(self._x(line.end), top + height / 2)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink.text)
            painter.drawEllipse(centre, height * 0.2, height * 0.2)
            return
        left, right = sorted((self._x(line.start), self._x(line.end)))
        area = QRectF(left, top + height * 0.2, max(right - left, 1.5), height * 0.6)
        painter.fillRect(area, ink.positive if line.change >= 0 else ink.negative)

    def _paint_connection(self, painter: QPainter, ink: Colours, item: int, line: Line) -> None:
        x, height = self._x(line.end), self._height()
        painter.setPen(QPen(ink.faint, 1))
        painter.drawLine(QPointF(x, (item + 0.8) * height), QPointF(x, (item + 1.2) * height))
