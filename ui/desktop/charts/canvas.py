"""The ground all painted pictures stand on: items one can point at, by mouse or by keyboard."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QBrush,
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ..fonts import tabular
from ..palette import Colours, colours, mix

GAP = 8.0


class Canvas(QWidget):
    """Paints one picture made of items (cells, bars, steps, edges).

    Pointing at an item, by mouse or arrow keys, emits `pointed` with its sentence ("" when nothing is pointed at);
    a click, Return or Space emits `activated` with the item's number. Subclasses paint and answer where items are.
    """

    pointed = Signal(str)
    activated = Signal(int)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._item: int | None = None
        self._widths: dict[tuple[str, ...], float] = {}
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFont(tabular(self.font()))
        self.setAccessibleName(name or self.tr("Picture"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def paint(self, painter: QPainter, ink: Colours) -> None:
        """Paint the picture into the widget's rectangle."""
        raise NotImplementedError

    def item_count(self) -> int:
        """Return how many items there are to point at."""
        raise NotImplementedError

    def item_at(self, position: QPointF) -> int | None:
        """Return the item under the mouse."""
        raise NotImplementedError

    def item_area(self, item: int) -> QRectF:
        """Return where the frame around an item goes."""
        raise NotImplementedError

    def describe(self, item: int) -> str:
        """Return the sentence about an item."""
        raise NotImplementedError

    def neighbour(self, item: int, key: int) -> int:
        """Return the item an arrow key leads to; items stand in one row unless a subclass knows better."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1}
        ends = {Qt.Key.Key_Home: -item, Qt.Key.Key_End: self.item_count() - 1 - item}
        moved = item + {**step, **ends}.get(Qt.Key(key), 0)
        return min(max(moved, 0), self.item_count() - 1)

    def paint_pointer(self, painter: QPainter, ink: Colours, item: int) -> None:
        """Show which item is pointed at: a frame, unless a subclass knows better."""
        frame(painter, self.item_area(item), ink.text)

    @property
    def item(self) -> int | None:
        """Return the item pointed at."""
        return self._item

    def point_at(self, item: int | None) -> None:
        """Point at an item, and say so."""
        if item == self._item:
            return
        self._item = item
        text = "" if item is None else self.describe(item)
        self.setAccessibleDescription(text)
        if item is not None and self.hasFocus():
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
        self.pointed.emit(text)
        self.update()

    def ink(self) -> Colours:
        """Return the colours of the current theme."""
        return colours(self.palette())

    def metrics(self) -> QFontMetricsF:
        """Return the metrics of the widget's font."""
        return QFontMetricsF(self.font(), self)

    def widest(self, texts: Sequence[str]) -> float:
        """Return the width of the widest text in the widget's font; measured once."""
        key = tuple(texts)
        if key not in self._widths:
            self._widths[key] = widest(self.metrics(), key)
        return self._widths[key]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the picture, and a frame around the item pointed at."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(self.font())
            self.paint(painter, self.ink())
            if self._item is not None and self._item < self.item_count():
                self.paint_pointer(painter, self.ink(), self._item)
            if self.hasFocus() and self._item is None:
                frame(painter, QRectF(self.rect()).adjusted(1, 1, -1, -1), self.ink().accent)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at what is under the mouse."""
        self.point_at(self.item_at(event.position()))
        clickable = self._item is not None and self.has_listener()
        self.setCursor(Qt.CursorShape.PointingHandCursor if clickable else Qt.CursorShape.ArrowCursor)
        self._show_tip(event.globalPosition().toPoint())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Activate what is under the mouse."""
        item = self.item_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and item is not None:
            self.point_at(item)
            self.activated.emit(item)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move by arrow keys, activate by Return or Space."""
        if self.item_count() and event.key() in _MOVES:
            self.point_at(0 if self._item is None else self.neighbour(self._item, event.key()))
        elif self._item is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.activated.emit(self._item)
        else:
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Stop pointing when the mouse leaves, unless the keyboard is at work here."""
        if not self.hasFocus():
            self.point_at(None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keyboard is."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Stop pointing."""
        super().focusOutEvent(event)
        self.point_at(None)

    def changeEvent(self, event: QEvent) -> None:
        """Paint again in other colours or with another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._widths.clear()
            self.updateGeometry()
            self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for another height where it depends on the width."""
        super().resizeEvent(event)
        self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        """Return the size below which text would be cut."""
        return self.sizeHint()

    def has_listener(self) -> bool:
        """Whether anybody listens to `activated`."""
        return self.receivers("2activated(int)") > 0

    def _show_tip(self, position: QPoint) -> None:
        if self._item is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(position, self.describe(self._item), self)


_MOVES = (
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
)


def frame(painter: QPainter, area: QRectF, colour: QColor) -> None:
    """Paint a frame around an item."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 1.5))
    painter.drawRoundedRect(area, 3, 3)


def hatch(ink: Colours) -> QBrush:
    """Return the pattern that says "the evidence does not support this"."""
    return QBrush(mix(ink.faint, ink.base, 0.45), Qt.BrushStyle.BDiagPattern)


def widest(metrics: QFontMetricsF, texts: Sequence[str]) -> float:
    """Return the width of the widest text."""
    return max((metrics.horizontalAdvance(text) for text in texts), default=0.0)


def text_in(painter: QPainter, area: QRectF, text: str, side: Qt.AlignmentFlag) -> None:
    """Paint one line of text, shortened where the area is too narrow."""
    shown = QFontMetricsF(painter.font()).elidedText(text, Qt.TextElideMode.ElideRight, area.width() + 0.5)
    painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), shown)
