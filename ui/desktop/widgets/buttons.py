"""Buttons of several weights: the one primary action, ordinary ones, quiet ones for tools, words in a line, chips."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QPushButton, QStyle, QStyleOptionButton, QWidget

from ..fonts import SPACE
from ..icons import pixmap
from ..palette import Colours, colours, mix

ICON = 18


class Weight(Enum):
    """How loud a button is."""

    PRIMARY = auto()
    PLAIN = auto()
    QUIET = auto()
    LINK = auto()
    CHIP = auto()


class Button(QPushButton):
    """A flat button; `icon_name` draws one of our icons in the colour of its text."""

    def __init__(
        self, text: str = "", parent: QWidget | None = None, *, weight: Weight = Weight.PLAIN, icon_name: str = ""
    ) -> None:
        super().__init__(text, parent)
        self._weight = weight
        self._icon_name = icon_name
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        if not text:
            self.setAccessibleName(icon_name)

    def sizeHint(self) -> QSize:
        """Return room for icon, text and menu arrow."""
        wide, high = self.fontMetrics().horizontalAdvance(self.text()), self.fontMetrics().height()
        icon = ICON + (SPACE if self.text() else 0) if self._icon_name else 0
        menu = SPACE + 8 if self.menu() is not None else 0
        if self._weight in (Weight.LINK, Weight.CHIP):
            return QSize(wide + icon + menu + SPACE + (SPACE if self._weight is Weight.CHIP else 0), high + 4)
        sides = SPACE * (4 if self.text() and self._weight is Weight.PRIMARY else 3 if self.text() else 1) + 2
        return QSize(wide + icon + menu + sides, max(high, ICON) + (2 * SPACE if self.text() else SPACE + 2))

    def minimumSizeHint(self) -> QSize:
        """Return the same: the text of a button is never clipped."""
        return self.sizeHint()

    def changeEvent(self, event: QEvent) -> None:
        """Paint again when enabled, disabled or in other colours."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.EnabledChange, QEvent.Type.PaletteChange):
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint surface, focus ring and content."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        fill, ink, line = self._colours(colours(self.palette()), option.state)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(line, 1))
        painter.setBrush(fill)
        painter.drawRoundedRect(box, 6, 6)
        if option.state & QStyle.StateFlag.State_HasFocus and option.state & QStyle.StateFlag.State_KeyboardFocusChange:
            self._paint_focus(painter, box)
        self._paint_content(painter, ink)

    def _paint_focus(self, painter: QPainter, box: QRectF) -> None:
        accent = colours(self.palette()).accent
        ring = colours(self.palette()).accent_text if self._weight is Weight.PRIMARY else accent
        painter.setPen(QPen(ring, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box.adjusted(2, 2, -2, -2), 4, 4)

    def _paint_content(self, painter: QPainter, ink: QColor) -> None:
        wide = self.fontMetrics().horizontalAdvance(self.text())
        icon = ICON + (SPACE if self.text() else 0) if self._icon_name else 0
        menu = SPACE + 8 if self.menu() is not None else 0
        left = (self.width() - wide - icon - menu) / 2
        if self._icon_name:
            image = pixmap(self._icon_name, ICON, self.devicePixelRatioF(), ink)
            painter.drawPixmap(round(left), round((self.height() - ICON) / 2), image)
        painter.setPen(ink)
        area = QRectF(left + icon, 0, wide + 1, self.height())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextShowMnemonic
        painter.drawText(area, int(flags), self.text())
        if menu:
            image = pixmap("down", 14, self.devicePixelRatioF(), ink)
            painter.drawPixmap(round(left + icon + wide + 4), round((self.height() - 14) / 2), image)

    def _colours(self, tones: Colours, state: QStyle.StateFlag) -> tuple[QColor, QColor, QColor]:
        """Return fill, ink and line for the state the button is in."""
        none = QColor(Qt.GlobalColor.transparent)
        if not state & QStyle.StateFlag.State_Enabled:
            quiet = self._weight in (Weight.QUIET, Weight.LINK)
            fill = none if quiet else mix(tones.window, tones.raised, 0.6)
            return fill, mix(tones.faint, tones.window, 0.25), fill
        pressed = state & (QStyle.StateFlag.State_Sunken | QStyle.StateFlag.State_On)
        hover = state & QStyle.StateFlag.State_MouseOver
        depth = 0.16 if pressed else 0.08 if hover else 0.0
        if self._weight is Weight.PRIMARY:
            fill = mix(tones.accent, tones.text, depth)
            return fill, tones.accent_text, fill
        if self._weight is Weight.CHIP:
            fill = mix(tones.good_soft, tones.good, depth)
            return fill, tones.good, fill
        if self._weight in (Weight.QUIET, Weight.LINK):
            fill = mix(tones.window, tones.text, depth) if depth else none
            return fill, tones.text if self._weight is Weight.QUIET else tones.accent, fill
        return mix(tones.base, tones.text, depth), tones.text, mix(tones.line, tones.text, 0.12)


class ActionButton(Button):
    """A button that mirrors an action: text, tool tip, enabled; hidden while the action has no text."""

    def __init__(self, parent: QWidget | None = None, *, weight: Weight = Weight.PRIMARY) -> None:
        super().__init__("", parent, weight=weight)
        self._action: QAction | None = None
        self.clicked.connect(self._trigger)

    def follow(self, action: QAction) -> None:
        """Mirror `action` from now on."""
        if self._action is not None:
            self._action.changed.disconnect(self._mirror)
        self._action = action
        action.changed.connect(self._mirror)
        self._mirror()

    def _mirror(self) -> None:
        if self._action is not None:
            self.setText(self._action.text())
            self.setAccessibleName(self._action.text() or self.tr("No main action"))
            self.setToolTip("" if self._action.toolTip() == self._action.text() else self._action.toolTip())
            self.setEnabled(self._action.isEnabled())
            self.setVisible(bool(self._action.text()))
            self.updateGeometry()

    def _trigger(self) -> None:
        if self._action is not None:
            self._action.trigger()
