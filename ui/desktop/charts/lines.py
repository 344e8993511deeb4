"""Lines over a common axis, by pyqtgraph; import this module only when the first line is drawn."""

from __future__ import annotations

import html
from bisect import bisect_left

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.display import LineChart, Series

from ..fonts import tabular
from ..palette import Colours, colours
from . import numbers

_BAND_OPACITY = 50
_MANY_LINES = 12


class LineCanvas(QWidget):
    """Draws a `LineChart`; arrow keys or the mouse walk along the points, and `pointed` says what is there."""

    pointed = Signal(str)

    def __init__(self, picture: LineChart, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = picture
        self._plot = _Plot(self)
        self._legend = QLabel(self)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._plot, 1)
        layout.addWidget(self._legend)
        self.setFocusProxy(self._plot)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self._plot.xPointed.connect(self._point)
        self._plot.stepped.connect(self._step)
        self._at: int | None = None
        self.set_picture(picture)

    @property
    def picture(self) -> LineChart:
        """Return the lines shown."""
        return self._picture

    def set_picture(self, picture: LineChart) -> None:
        """Show other lines; while a model trains this is called several times a second."""
        self._picture = picture
        self._plot.setAccessibleName(picture.title or self.tr("Line chart"))
        self._draw()

    def sizeHint(self) -> QSize:
        """Return a size with room for axes and lines."""
        line = self.fontMetrics().height()
        return QSize(24 * line, 15 * line)

    def minimumSizeHint(self) -> QSize:
        """Return the size below which the axes cover the lines."""
        line = self.fontMetrics().height()
        axis = self.fontMetrics().horizontalAdvance(self._picture.y_label) + 5 * line
        return QSize(14 * line, max(11 * line, axis))

    def changeEvent(self, event: QEvent) -> None:
        """Draw again in other colours or with another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._draw()

    def describe(self, at: int) -> str:
        """Return what every line says near point `at` of the longest line."""
        x = self._longest().x[at]
        parts = [
            f"{series.name} {numbers.number(_nearest(series, x), 4)}"
            for series in self._picture.series
            if series.x and not series.reference
        ]
        return f"{self._picture.x_label} {numbers.number(x, 3)}: " + ", ".join(parts)

    def _longest(self) -> Series:
        drawn = [series for series in self._picture.series if not series.reference]
        return max(drawn or self._picture.series, key=lambda series: len(series.x))

    def _draw(self) -> None:
        ink = colours(self.palette())
        self._plot.dress(self._picture, ink)
        self._plot.clear_lines()
        for number, series in enumerate(self._picture.series):
            self._plot.add(series, _colour(self._picture, number, ink))
        self._legend.setText(_legend(self._picture, ink))
        self._legend.setVisible(len(self._picture.series) > 1)

    def _point(self, x: float) -> None:
        if self._picture.series and (points := self._longest().x):
            after = min(bisect_left(points, x), len(points) - 1)
            before = max(after - 1, 0)
            self._show(before if abs(points[before] - x) < abs(points[after] - x) else after)

    def _step(self, change: int) -> None:
        if self._picture.series and (count := len(self._longest().x)):
            self._show(0 if self._at is None else min(max(self._at + change, 0), count - 1))

    def _show(self, at: int) -> None:
        self._at = at
        text = self.describe(at)
        self._plot.mark(self._longest().x[at])
        self._plot.setAccessibleDescription(text)
        self.pointed.emit(text)


class _Plot(pg.PlotWidget):  # type: ignore[misc]
    """A plot that does not zoom by accident: the wheel scrolls the page, arrow keys walk along the points."""

    xPointed = Signal(float)
    stepped = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(self.Shape.NoFrame)
        self.viewport().setAutoFillBackground(False)
        self.setCacheMode(self.CacheModeFlag.CacheNone)  # a cached background would not be transparent
        self.plotItem.setMenuEnabled(False)
        self.plotItem.hideButtons()
        self.plotItem.setMouseEnabled(x=False, y=False)
        self.setAntialiasing(True)
        self._lines: list[pg.GraphicsObject] = []
        self._mark = pg.InfiniteLine(angle=90, movable=False)
        self._mark.hide()
        self.plotItem.addItem(self._mark, ignoreBounds=True)
        self.scene().sigMouseMoved.connect(self._moved)

    def dress(self, picture: LineChart, ink: Colours) -> None:
        """Set colours, axis names and fonts."""
        self.setBackground(None)
        self.plotItem.showGrid(x=True, y=True, alpha=0.12)
        for side, label in (("bottom", picture.x_label), ("left", picture.y_label)):
            axis = self.plotItem.getAxis(side)
            axis.setPen(ink.line)
            axis.setTextPen(ink.muted)
            axis.setTickFont(tabular(self.font()))
            axis.label.setFont(self.font())
            axis.setLabel(html.escape(label), color=ink.muted.name())
            axis.setSIPrefixEnableRanges(())  # or 0.3 would read as 300, its "milli" left out
            axis.enableAutoSIPrefix(False)
        self._mark.setPen(QPen(ink.faint, 0, Qt.PenStyle.DashLine))

    def clear_lines(self) -> None:
        """Take every line away."""
        for line in self._lines:
            self.plotItem.removeItem(line)
        self._lines.clear()

    def add(self, series: Series, colour: QColor) -> None:
        """Draw a line, its band and its points."""
        if series.low:
            self._add_band(series, colour)
        pen = QPen(colour, 1.2 if series.reference else 2.0)
        pen.setCosmetic(True)
        pen.setStyle(Qt.PenStyle.DashLine if series.reference else Qt.PenStyle.SolidLine)
        symbol = {"symbol": "o", "symbolSize": 6, "symbolBrush": colour, "symbolPen": None}
        dotted = series.points or len(series.x) == 1
        self._add(pg.PlotDataItem(list(series.x), list(series.y), pen=pen, **(symbol if dotted else {})))

    def mark(self, x: float) -> None:
        """Show the thin line at `x`."""
        self._mark.setPos(x)
        self._mark.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walk along the points."""
        ends = {Qt.Key.Key_Home: -_FAR, Qt.Key.Key_End: _FAR, Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if (step := ends.get(Qt.Key(event.key()))) is not None:
            self.stepped.emit(step)
        else:
            event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the page."""
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        """Take the thin line away."""
        super().leaveEvent(event)
        self._mark.hide()

    def _add(self, item: pg.GraphicsObject) -> None:
        self._lines.append(item)
        self.plotItem.addItem(item)

    def _add_band(self, series: Series, colour: QColor) -> None:
        edges = [pg.PlotCurveItem(list(series.x), list(edge), pen=None) for edge in (series.low, series.high)]
        fill = QColor(colour)
        fill.setAlpha(_BAND_OPACITY)
        for edge in edges:
            self._add(edge)
        self._add(pg.FillBetweenItem(*edges, brush=fill))

    def _moved(self, position: QPointF) -> None:
        if self.plotItem.vb.sceneBoundingRect().contains(position):
            self.xPointed.emit(self.plotItem.vb.mapSceneToView(position).x())


_FAR = 1_000_000


def _nearest(series: Series, x: float) -> float:
    return series.y[min(range(len(series.x)), key=lambda number: abs(series.x[number] - x))]


def _colour(picture: LineChart, number: int, ink: Colours) -> QColor:
    if picture.series[number].reference:
        return ink.faint
    drawn = [place for place, series in enumerate(picture.series) if not series.reference]
    return ink.series[drawn.index(number) % len(ink.series)]


def _legend(picture: LineChart, ink: Colours) -> str:
    entries = []
    for number, series in enumerate(picture.series[:_MANY_LINES]):
        dash = "╌╌" if series.reference else "━━"
        colour = _colour(picture, number, ink).name()
        name = html.escape(series.name).replace(" ", "&nbsp;")
        entries.append(f'<span style="color:{colour}">{dash}</span>&nbsp;{name}')
    return " &nbsp; ".join(entries)
