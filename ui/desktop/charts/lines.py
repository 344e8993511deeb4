"""Lines over a common axis.

Painted here rather than by a plotting library: a few hundred points need no scene, and a chart that is there in a few
milliseconds leaves the window free while a model trains.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.display import LineChart, Series

from ..palette import Colours, mix
from . import numbers
from .axis import Axis, axis_of
from .canvas import GAP, Canvas, text_in

_BAND_OPACITY = 50
_DOT = 3.0
_SWATCH = 18.0


@dataclass(frozen=True, slots=True)
class _Entry:
    """A name in the legend, and where it stands."""

    number: int
    area: QRectF


class LineCanvas(Canvas):
    """Paints a `LineChart`; item i is point i of the longest line."""

    def __init__(self, picture: LineChart, parent: QWidget | None = None) -> None:
        super().__init__(picture.title, parent)
        self._picture = picture
        self._x_axis, self._y_axis = _axes(picture)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)

    @property
    def picture(self) -> LineChart:
        """Return the lines shown."""
        return self._picture

    def set_picture(self, picture: LineChart) -> None:
        """Show other lines; while a model trains this is called several times a second."""
        self._picture = picture
        self._x_axis, self._y_axis = _axes(picture)
        self._widths.clear()
        self.setAccessibleName(picture.title or self.tr("Line chart"))
        self.point_at(None)
        self.update()

    def item_count(self) -> int:
        """Return the number of points of the longest line."""
        return len(self._longest().x)

    def item_at(self, position: QPointF) -> int | None:
        """Return the point nearest to the mouse along the x axis."""
        area, points = self._area(), self._longest().x
        if not points or not area.adjusted(-4, -4, 4, 4).contains(position):
            return None
        x = self._x_axis.low + (position.x() - area.left()) / area.width() * self._x_axis.span
        return _nearest_place(points, x)

    def item_area(self, item: int) -> QRectF:
        """Return the narrow strip around a point."""
        x = self._at(self._longest().x[item], 0.0).x()
        return QRectF(x - 1, self._area().top(), 2, self._area().height())

    def describe(self, item: int) -> str:
        """Return what every line says near a point."""
        x = self._longest().x[item]
        drawn = [series for series in self._picture.series if series.x and not series.reference]
        parts = [f"{series.name} {numbers.number(series.y[_nearest(series, x)], 4)}" for series in drawn]
        return f"{self._picture.x_label} {numbers.number(x)}: " + ", ".join(parts)

    def sizeHint(self) -> QSize:
        """Return a size with room for axes and lines."""
        line = self.metrics().height()
        return QSize(math.ceil(22 * line), math.ceil(15 * line + self._legend_height()))

    def minimumSizeHint(self) -> QSize:
        """Return the size below which the axes cover the lines."""
        line = self.metrics().height()
        label = self.metrics().horizontalAdvance(self._picture.y_label) + 4 * line
        return QSize(math.ceil(14 * line), math.ceil(max(9 * line, label) + self._legend_height()))

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint grid, bands, lines, axes and legend."""
        self._paint_grid(painter, ink)
        painter.save()
        painter.setClipRect(self._area().adjusted(-_DOT - 1, -_DOT - 1, _DOT + 1, _DOT + 1))
        for number, series in enumerate(self._picture.series):
            self._paint_series(painter, series, self._colour(number, ink))
        painter.restore()
        self._paint_names(painter, ink)
        self._paint_legend(painter, ink)

    def paint_pointer(self, painter: QPainter, ink: Colours, item: int) -> None:
        """Show a thin line at the point, and a dot on every line."""
        x, area = self._longest().x[item], self._area()
        place = self._at(x, 0.0).x()
        painter.setPen(QPen(ink.faint, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(place, area.top()), QPointF(place, area.bottom()))
        for number, series in enumerate(self._picture.series):
            if series.x and not series.reference:
                near = _nearest(series, x)
                self._paint_dot(painter, QPointF(self._at(series.x[near], series.y[near])), self._colour(number, ink))

    def _longest(self) -> Series:
        drawn = [series for series in self._picture.series if not series.reference]
        return max(drawn or self._picture.series or (_NOTHING,), key=lambda series: len(series.x))

    def _area(self) -> QRectF:
        line = self.metrics().height()
        left = (line + 4 if self._picture.y_label else 0) + self.widest(self._y_axis.texts) + GAP
        bottom = line * (2.2 if self._picture.x_label else 1.2) + self._legend_height()
        top = line / 2
        width = self.width() - left - self.metrics().horizontalAdvance("00")
        return QRectF(left, top, max(width, 10.0), max(self.height() - top - bottom, 10.0))

    def _at(self, x: float, y: float) -> QPointF:
        area = self._area()
        across, up = self._x_axis.share(x), self._y_axis.share(y)
        return QPointF(area.left() + across * area.width(), area.bottom() - up * area.height())

    def _polygon(self, x: Sequence[float], y: Sequence[float]) -> list[QPointF]:
        area, x_axis, y_axis = self._area(), self._x_axis, self._y_axis
        left, bottom, width, height = area.left(), area.bottom(), area.width(), area.height()
        return [
            QPointF(left + x_axis.share(a) * width, bottom - y_axis.share(b) * height)
            for a, b in zip(x, y, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ]

    def _colour(self, number: int, ink: Colours) -> QColor:
        if self._picture.series[number].reference:
            return ink.faint
        before = sum(not series.reference for series in self._picture.series[:number])
        return ink.series[before % len(ink.series)]

    def _paint_grid(self, painter: QPainter, ink: Colours) -> None:
        area, line = self._area(), self.metrics().height()
        for value, text in zip(self._y_axis.ticks, self._y_axis.texts, strict=True):
            y = self._at(0.0, value).y()
            painter.setPen(QPen(mix(ink.line, ink.base, 0.35), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(ink.muted)
            label = QRectF(0, y - line / 2, area.left() - GAP / 2, line)
            text_in(painter, label, text, Qt.AlignmentFlag.AlignRight)
        painter.setPen(QPen(ink.line, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        room = area.width() / max(len(self._x_axis.ticks), 1)
        for value, text in zip(self._x_axis.ticks, self._x_axis.texts, strict=True):
            x = self._at(value, 0.0).x()
            painter.setPen(QPen(ink.line, 1))
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 3))
            painter.setPen(ink.muted)
            label = QRectF(x - room / 2, area.bottom() + 3, room, line)
            text_in(painter, label, text, Qt.AlignmentFlag.AlignHCenter)

    def _paint_names(self, painter: QPainter, ink: Colours) -> None:
        area, line = self._area(), self.metrics().height()
        painter.setPen(ink.muted)
        below = QRectF(area.left(), area.bottom() + 1.15 * line, area.width(), line)
        text_in(painter, below, self._picture.x_label, Qt.AlignmentFlag.AlignHCenter)
        painter.save()
        painter.translate(0, area.bottom())
        painter.rotate(-90)
        beside = QRectF(0, 0, area.height(), line)
        text_in(painter, beside, self._picture.y_label, Qt.AlignmentFlag.AlignHCenter)
        painter.restore()

    def _paint_series(self, painter: QPainter, series: Series, colour: QColor) -> None:
        if series.low:
            fill = QColor(colour)
            fill.setAlpha(_BAND_OPACITY)
            edge = self._polygon(series.x, series.low) + self._polygon(series.x, series.high)[::-1]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
            painter.drawPolygon(QPolygonF(edge))
        points = self._polygon(series.x, series.y)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(_pen(colour, series.reference))
        painter.drawPolyline(QPolygonF(points))
        if series.points or len(points) == 1:
            for point in points:
                self._paint_dot(painter, point, colour)

    def _paint_dot(self, painter: QPainter, point: QPointF, colour: QColor) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(point, _DOT, _DOT)

    def _entries(self) -> list[_Entry]:
        """Return the legend's names from left to right, in as many lines as they need; none for a single line."""
        if len(self._picture.series) < 2:
            return []
        line, x, y = self.metrics().height(), 0.0, 0.0
        entries = []
        for number, series in enumerate(self._picture.series):
            width = min(_SWATCH + GAP / 2 + self.metrics().horizontalAdvance(series.name) + 1, float(self.width()))
            if x and x + width > self.width():
                x, y = 0.0, y + 1.2 * line
            entries.append(_Entry(number, QRectF(x, y, width, line)))
            x += width + 2 * GAP
        return entries

    def _legend_height(self) -> float:
        entries = self._entries()
        return entries[-1].area.bottom() + GAP if entries else 0.0

    def _paint_legend(self, painter: QPainter, ink: Colours) -> None:
        top = self.height() - self._legend_height() + GAP / 2
        for entry in self._entries():
            series, area = self._picture.series[entry.number], entry.area.translated(0, top)
            painter.setPen(_pen(self._colour(entry.number, ink), series.reference))
            middle = area.center().y()
            painter.drawLine(QPointF(area.left(), middle), QPointF(area.left() + _SWATCH, middle))
            painter.setPen(ink.text)
            text_in(painter, area.adjusted(_SWATCH + GAP / 2, 0, 0, 0), series.name, Qt.AlignmentFlag.AlignLeft)


_NOTHING = Series("", (), ())


def _axes(picture: LineChart) -> tuple[Axis, Axis]:
    x = [value for series in picture.series for value in series.x]
    y = [value for series in picture.series for part in (series.y, series.low, series.high) for value in part]
    counted = all(value == round(value) for value in x if math.isfinite(value)) and max(x, default=0.0) > 1
    return axis_of(x, whole=counted), axis_of(y, margin=0.04)


def _pen(colour: QColor, reference: bool) -> QPen:
    pen = QPen(colour, 1.2 if reference else 2.0)
    pen.setStyle(Qt.PenStyle.DashLine if reference else Qt.PenStyle.SolidLine)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return pen


def _nearest(series: Series, x: float) -> int:
    return min(range(len(series.x)), key=lambda place: abs(series.x[place] - x))


def _nearest_place(points: Sequence[float], x: float) -> int:
    after = min(bisect_left(points, x), len(points) - 1)
    before = max(after - 1, 0)
    return before if abs(points[before] - x) <= abs(points[after] - x) else after
