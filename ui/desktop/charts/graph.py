"""Fields on a circle, interactions as chords; thickness says how strong, dashes say not supported."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPainterPathStroker, QPen
from PySide6.QtWidgets import QWidget

from core.display import InteractionGraph

from ..palette import Colours, mix
from .canvas import GAP, Canvas, text_in

_LONGEST_LABEL = 22.0
_REACH = 9.0


class GraphCanvas(Canvas):
    """Paints an `InteractionGraph`; item i is edge i."""

    pairChosen = Signal(str, str)

    def __init__(self, picture: InteractionGraph, parent: QWidget | None = None) -> None:
        super().__init__(picture.title, parent)
        self._picture = picture
        self._place = {name: number for number, (name, _) in enumerate(picture.nodes)}
        self.activated.connect(self._choose)

    @property
    def picture(self) -> InteractionGraph:
        """Return the graph shown."""
        return self._picture

    def item_count(self) -> int:
        """Return the number of edges."""
        return len(self._picture.edges)

    def item_at(self, position: QPointF) -> int | None:
        """Return the strongest edge near the mouse."""
        near = [item for item in range(self.item_count()) if self._reach(item).contains(position)]
        return max(near, key=lambda item: self._picture.edges[item].strength, default=None)

    def item_area(self, item: int) -> QRectF:
        """Return a small frame around the middle of an edge."""
        middle = self._chord(item).pointAtPercent(0.5)
        return QRectF(middle.x() - 6, middle.y() - 6, 12, 12)

    def describe(self, item: int) -> str:
        """Return both fields and what the edge says."""
        edge = self._picture.edges[item]
        parts = [f"{edge.first} × {edge.second}" + (f": {edge.label}" if edge.label else "")]
        parts += [self.tr("not supported by the evidence")] if edge.greyed else []
        return ", ".join(parts)

    def sizeHint(self) -> QSize:
        """Return a size at which names do not touch."""
        side = max(240.0, len(self._picture.nodes) * 1.3 * self.metrics().height() / math.pi * 2)
        return QSize(math.ceil(side + 2 * self._label_width()), math.ceil(side + 4 * self.metrics().height()))

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint weak edges first, then strong ones, then the nodes."""
        for item in sorted(range(self.item_count()), key=lambda item: self._picture.edges[item].strength):
            self._paint_edge(painter, ink, item)
        for name, size in self._picture.nodes:
            self._paint_node(painter, ink, name, size)

    def _choose(self, item: int) -> None:
        edge = self._picture.edges[item]
        self.pairChosen.emit(edge.first, edge.second)

    def _label_width(self) -> float:
        names = [name for name, _ in self._picture.nodes]
        return min(self.widest(names), _LONGEST_LABEL * self.metrics().averageCharWidth()) + 2 * GAP

    def _radius(self) -> float:
        across = self.width() / 2 - self._label_width() - GAP
        down = self.height() / 2 - 1.6 * self.metrics().height()
        return max(min(across, down), 40.0)

    def _angle(self, name: str) -> float:
        return 2 * math.pi * self._place[name] / len(self._place) - math.pi / 2

    def _point(self, name: str) -> QPointF:
        angle, radius = self._angle(name), self._radius()
        return QPointF(self.width() / 2 + radius * math.cos(angle), self.height() / 2 + radius * math.sin(angle))

    def _chord(self, item: int) -> QPainterPath:
        edge = self._picture.edges[item]
        start, end = self._point(edge.first), self._point(edge.second)
        centre = QPointF(self.width() / 2, self.height() / 2)
        path = QPainterPath(start)
        path.quadTo((start + end) * 0.25 + centre * 0.5, end)
        return path

    def _reach(self, item: int) -> QPainterPath:
        stroker = QPainterPathStroker()
        stroker.setWidth(_REACH)
        return stroker.createStroke(self._chord(item))

    def _paint_edge(self, painter: QPainter, ink: Colours, item: int) -> None:
        edge = self._picture.edges[item]
        colour = (
            mix(ink.line, ink.faint, 0.4) if edge.greyed else mix(ink.line, ink.accent, 0.35 + 0.65 * edge.strength)
        )
        if item == self.item:
            colour = ink.text
        pen = QPen(colour, 1.0 if edge.greyed else 1.2 + 5 * edge.strength)
        pen.setStyle(Qt.PenStyle.DashLine if edge.greyed else Qt.PenStyle.SolidLine)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen)
        painter.drawPath(self._chord(item))

    def _paint_node(self, painter: QPainter, ink: Colours, name: str, size: float) -> None:
        point, line = self._point(name), self.metrics().height()
        dot = 4 + 6 * size
        painter.setPen(QPen(ink.base, 1.5))
        painter.setBrush(ink.accent)
        painter.drawEllipse(point, dot, dot)
        painter.setPen(ink.text)
        area, side = self._label_area(name, point, dot, line)
        text_in(painter, area, name, side)

    def _label_area(self, name: str, point: QPointF, dot: float, line: float) -> tuple[QRectF, Qt.AlignmentFlag]:
        width, cosine = self._label_width() - GAP, math.cos(self._angle(name))
        if abs(cosine) < 0.1:
            above = math.sin(self._angle(name)) < 0
            top = point.y() - dot - line - 2 if above else point.y() + dot + 2
            return QRectF(point.x() - width / 2, top, width, line), Qt.AlignmentFlag.AlignHCenter
        if cosine > 0:
            return QRectF(point.x() + dot + 4, point.y() - line / 2, width, line), Qt.AlignmentFlag.AlignLeft
        left = point.x() - dot - 4 - width
        return QRectF(left, point.y() - line / 2, width, line), Qt.AlignmentFlag.AlignRight
