"""Labels: muted text, titles, badges, and text that is shortened instead of clipped."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from ..fonts import SPACE, enlarge
from ..icons import pixmap
from ..palette import Colours, colours

TITLE_FACTORS = {1: 1.6, 2: 1.2, 3: 1.0}


class Muted(QLabel):
    """Secondary text; wraps."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, wrap: bool = True) -> None:
        super().__init__(text, parent)
        self.setWordWrap(wrap)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)


class Title(QLabel):
    """A heading; `level` 1 is the page's, 2 a card's, 3 a group's."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, level: int = 2) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        enlarge(self, TITLE_FACTORS[level], bold=True)


class Elided(QLabel):
    """One line that is shortened in the middle when there is no room; the tool tip holds all of it."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show another text."""
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        """Return no width: any room will do."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint as much of the text as there is room for."""
        painter = QPainter(self)
        painter.setPen(colours(self.palette()).muted)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)


class Badge(QLabel):
    """A short word on a soft background, with an icon. tone: "good", "note", "warn" or "bad"."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, tone: str = "note", icon_name: str = ""):
        super().__init__(text, parent)
        self._tone, self._icon_name = tone, icon_name
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_as(self, text: str, *, tone: str, icon_name: str = "", tip: str = "") -> None:
        """Change what it says."""
        self._tone, self._icon_name = tone, icon_name
        self.setText(text)
        self.setToolTip(tip)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for icon and word."""
        metrics = self.fontMetrics()
        icon = 14 + 4 if self._icon_name else 0
        return QSize(metrics.horizontalAdvance(self.text()) + icon + 2 * SPACE, metrics.height() + 6)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the pill, the icon and the word."""
        tones = colours(self.palette())
        soft, ink = tone_colours(tones, self._tone)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(soft)
        painter.drawRoundedRect(QRectF(self.rect()), self.height() / 2, self.height() / 2)
        left = SPACE
        if self._icon_name:
            image = pixmap(self._icon_name, 14, self.devicePixelRatioF(), ink)
            painter.drawPixmap(left, (self.height() - 14) // 2, image)
            left += 18
        painter.setPen(ink)
        painter.drawText(self.rect().adjusted(left, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), self.text())


def tone_colours(tones: Colours, tone: str) -> tuple[QColor, QColor]:
    """Return the soft background and the ink of a tone."""
    return {
        "good": (tones.good_soft, tones.good),
        "warn": (tones.warn_soft, tones.warn),
        "bad": (tones.bad_soft, tones.bad),
        "stop": (tones.bad_soft, tones.bad),
        "note": (tones.accent_soft, tones.accent),
    }[tone]
