"""A small picture of the joined tables: the base at the left, what hangs on it to the right."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from crosslens.relational import JoinKind

from ..draft import Draft
from ..fonts import SPACE
from ..palette import colours

MARKS: dict[JoinKind | None, str] = {
    JoinKind.EXISTS: "{name}?",
    JoinKind.COUNT: "# {name}",
    JoinKind.LATEST: "{name} ↓",
    JoinKind.VALUES: "{name} […]",
}
"""How the picture writes tables whose rows are asked for, counted, sorted or gathered."""


@dataclass(frozen=True, slots=True)
class Node:
    """A table of the picture: column and row of the grid, its parent, and how it is joined."""

    name: str
    depth: int
    row: float
    parent: str = ""
    kind: JoinKind | None = None
    taken: bool = True


def place(draft: Draft) -> tuple[Node, ...]:
    """Return the tables as a tree from left to right; a parent stands beside the middle of its children."""
    joins = {proposal.join.name: proposal.join for proposal in draft.joins}
    base = draft.query.base.name
    parents = {name: join.on[0][0].source if join.on else base for name, join in joins.items()}
    children: dict[str, list[str]] = {}
    for name, parent in parents.items():
        children.setdefault(parent, []).append(name)
    nodes: dict[str, Node] = {}
    rows = iter(range(1000))

    def visit(name: str, depth: int) -> float:
        below = [visit(child, depth + 1) for child in children.get(name, ()) if child not in nodes]
        row = sum(below) / len(below) if below else float(next(rows))
        join = joins.get(name)
        kind = None if join is None else join.kind
        taken = join is None or draft.has_join(name)
        nodes[name] = Node(name, depth, row, parents.get(name, ""), kind, taken)
        return row

    visit(base, 0)
    return tuple(sorted(nodes.values(), key=lambda node: (node.depth, node.row)))


class JoinPicture(QWidget):
    """Paints the tree; joins that are not taken are faint, those of several rows dashed and marked by their kind."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: tuple[Node, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_draft(self, draft: Draft | None) -> None:
        """Show the tables of a draft."""
        self._nodes = () if draft is None else place(draft)
        taken = [node.name for node in self._nodes if node.taken]
        self.setAccessibleName(self.tr("Joined tables: {names}").format(names=", ".join(taken)))
        self.updateGeometry()
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Return room for every table at the size of its name."""
        rows = 1 + max((node.row for node in self._nodes), default=0)
        depth = 1 + max((node.depth for node in self._nodes), default=0)
        return QSize(round(depth * 76), round(rows * (self.fontMetrics().height() + 10)))

    def sizeHint(self) -> QSize:
        """Return a comfortable size."""
        return self.minimumSizeHint() + QSize(40, 0)

    def changeEvent(self, event: QEvent) -> None:
        """Paint again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint lines first, then tables."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        boxes = self._boxes()
        for node in self._nodes:
            if node.parent in boxes and node.name != node.parent:
                self._paint_line(painter, boxes[node.parent], boxes[node.name], node)
        for node in self._nodes:
            self._paint_box(painter, boxes[node.name], node)

    def _boxes(self) -> dict[str, QRectF]:
        if not self._nodes:
            return {}
        depth = 1 + max(node.depth for node in self._nodes)
        rows = 1 + max(node.row for node in self._nodes)
        gap = 2 * SPACE
        width = min((self.width() - 2 - gap * (depth - 1)) / depth, 150.0)
        height = float(self.fontMetrics().height() + 6)
        step = min(self.height() / rows, height + 12)
        top = (self.height() - step * rows) / 2
        return {
            node.name: QRectF(
                1 + node.depth * (width + gap), top + node.row * step + (step - height) / 2, width, height
            )
            for node in self._nodes
        }

    def _paint_line(self, painter: QPainter, start: QRectF, end: QRectF, node: Node) -> None:
        first = QPointF(start.right(), start.center().y())
        last = QPointF(end.left(), end.center().y())
        middle = (first.x() + last.x()) / 2
        path = QPainterPath(first)
        path.cubicTo(QPointF(middle, first.y()), QPointF(middle, last.y()), last)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(self._pen(node))
        painter.drawPath(path)

    def _paint_box(self, painter: QPainter, box: QRectF, node: Node) -> None:
        tones = colours(self.palette())
        painter.setPen(self._pen(node))
        painter.setBrush(tones.accent_soft if node.depth == 0 else tones.raised if node.taken else tones.base)
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(tones.text if node.taken else tones.faint)
        words = MARKS.get(node.kind, "{name}").format(name=node.name)
        words = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideMiddle, round(box.width()) - 8)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), words)

    def _pen(self, node: Node) -> QPen:
        tones = colours(self.palette())
        pen = QPen(tones.accent if node.taken else tones.line, 1.25)
        pen.setStyle(Qt.PenStyle.DashLine if node.kind is not None and node.kind.is_to_many else Qt.PenStyle.SolidLine)
        return pen
