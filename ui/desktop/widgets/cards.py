"""Surfaces: a card with rounded corners, a choice that looks like one, and the empty state of a page."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QFrame, QSizePolicy, QVBoxLayout, QWidget

from ..fonts import SPACE, scaled
from ..icons import pixmap
from ..palette import colours, mix
from .buttons import Button, Weight
from .labels import Muted, Title


class Card(QFrame):
    """A surface that stands out from the page; `body` is its layout."""

    def __init__(self, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(2 * SPACE, 2 * SPACE - 4, 2 * SPACE, 2 * SPACE - 4)
        self.body.setSpacing(SPACE)
        if title:
            self.body.addWidget(Title(title, level=3))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the surface and what is on it."""
        tones = colours(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(tones.line, 1))
        painter.setBrush(tones.base)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)


class Choice(QAbstractButton):
    """A large button: an icon, a title and a sentence."""

    def __init__(self, title: str, sentence: str, icon_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(sentence)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self._sentence, self._icon_name = sentence, icon_name

    def sizeHint(self) -> QSize:
        """Return room for the whole sentence."""
        metrics = self.fontMetrics()
        bold = QFontMetrics(scaled(self.font(), 1.1, bold=True)).horizontalAdvance(self.text())
        width = max(30 * metrics.averageCharWidth(), bold)
        return QSize(width + 4 * SPACE, self._height(width))

    def minimumSizeHint(self) -> QSize:
        """Return the same: the sentence is never clipped."""
        return self.sizeHint()

    def changeEvent(self, event: QEvent) -> None:
        """Paint again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the surface and what is on it."""
        tones = colours(self.palette())
        active = self.isDown() or self.underMouse()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(tones.accent if active or self.hasFocus() else tones.line, 1.5 if self.hasFocus() else 1))
        painter.setBrush(mix(tones.base, tones.accent_soft, 0.6) if active else tones.base)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)
        painter.drawPixmap(2 * SPACE, 2 * SPACE, pixmap(self._icon_name, 28, self.devicePixelRatioF(), tones.accent))
        area = self.rect().adjusted(2 * SPACE, 3 * SPACE + 28, -2 * SPACE, -SPACE)
        painter.setPen(tones.text)
        painter.setFont(scaled(self.font(), 1.1, bold=True))
        painter.drawText(area, int(Qt.AlignmentFlag.AlignTop), self.text())
        painter.setPen(tones.muted)
        painter.setFont(self.font())
        flags = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        line = painter.fontMetrics().height() + SPACE
        painter.drawText(area.adjusted(0, line, 0, 0), int(flags), self._sentence)

    def _height(self, width: int) -> int:
        flags = int(Qt.TextFlag.TextWordWrap)
        text = self.fontMetrics().boundingRect(0, 0, width, 10_000, flags, self._sentence).height()
        return text + self.fontMetrics().height() + 28 + 6 * SPACE


class EmptyState(QWidget):
    """What a page shows when it has nothing yet: a sentence about what belongs here, and a button that gets there."""

    def __init__(self, icon_name: str, title: str, sentence: str, button: str = "", parent: QWidget | None = None):
        super().__init__(parent)
        self._icon_name = icon_name
        self.button = Button(button, self, weight=Weight.PLAIN)
        self.button.setVisible(bool(button))
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if button else Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4 * SPACE, 8 * SPACE + 48, 4 * SPACE, 4 * SPACE)
        layout.setSpacing(SPACE)
        layout.addStretch(2)
        heading, text = Title(title, level=2), Muted(sentence)
        for widget in (heading, text):
            widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(heading, 0, Qt.AlignmentFlag.AlignHCenter)
        # Without an alignment of its own in the layout: only then does a wrapping label get the height its width needs.
        layout.addWidget(text)
        layout.addSpacing(SPACE)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self._heading = heading

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the surface and what is on it."""
        painter = QPainter(self)
        image = pixmap(self._icon_name, 48, self.devicePixelRatioF(), colours(self.palette()).faint)
        painter.drawPixmap(round(self.width() / 2 - 24), self._heading.y() - 48 - 2 * SPACE, image)
