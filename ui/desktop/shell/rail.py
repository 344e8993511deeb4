"""The navigation rail: the five pages of the work, and below them Plugins and Settings."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QLabel, QVBoxLayout, QWidget

from ..fonts import SPACE, scaled
from ..icons import app_icon, pixmap
from ..pages import PageEntry
from ..palette import colours, mix

ICON = 20


class RailButton(QAbstractButton):
    """One page: icon and title."""

    def __init__(self, title: str, icon_name: str, shortcut: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(title)
        self.setAccessibleName(title)
        self.setToolTip(f"{title} ({shortcut})")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._icon_name = icon_name
        self._by_keyboard = False

    def sizeHint(self) -> QSize:
        """Return room for icon and title in the heavier weight of the chosen page."""
        metrics = self.fontMetrics()
        wide = round(metrics.horizontalAdvance(self.text()) * 1.12)
        return QSize(wide + ICON + 5 * SPACE, max(ICON, metrics.height()) + 2 * SPACE)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus ring only to those who move by keyboard."""
        self._by_keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Paint again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the chosen page on a soft background."""
        tones = colours(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ringed = self.hasFocus() and self._by_keyboard
        if self.isChecked() or self.underMouse() or ringed:
            fill = tones.accent_soft if self.isChecked() else mix(tones.window, tones.text, 0.06)
            painter.setBrush(fill)
            painter.setPen(QPen(tones.accent, 1.5) if ringed else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        ink = tones.accent if self.isChecked() else tones.muted
        image = pixmap(self._icon_name, ICON, self.devicePixelRatioF(), ink)
        painter.drawPixmap(round(1.5 * SPACE), (self.height() - ICON) // 2, image)
        painter.setPen(tones.text)
        painter.setFont(scaled(self.font(), 1.0, bold=self.isChecked()))
        area = self.rect().adjusted(round(1.5 * SPACE) + ICON + SPACE + 2, 0, 0, 0)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter), self.text())


class Rail(QWidget):
    """All pages; `chosen` carries the id of the one that was clicked."""

    chosen = Signal(str)

    def __init__(self, pages: Sequence[PageEntry], *, lower: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: dict[str, RailButton] = {}
        group = QButtonGroup(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        layout.setSpacing(4)
        layout.addWidget(_Brand(self))
        layout.addSpacing(SPACE)
        for number, page in enumerate(pages):
            if number == len(pages) - lower:
                layout.addStretch(1)
            button = RailButton(page.title, page.icon_name, f"Ctrl+{number + 1}", self)
            button.clicked.connect(lambda _, page_id=page.page_id: self.chosen.emit(page_id))
            group.addButton(button)
            layout.addWidget(button)
            self._buttons[page.page_id] = button

    def show_chosen(self, page_id: str) -> None:
        """Mark the page that is in front."""
        self._buttons[page_id].setChecked(True)

    def button(self, page_id: str) -> RailButton:
        """Return the button of a page."""
        return self._buttons[page_id]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line between rail and page."""
        painter = QPainter(self)
        painter.setPen(colours(self.palette()).line)
        painter.drawLine(self.width() - 1, 0, self.width() - 1, self.height())


class _Brand(QLabel):
    """The name of the application beside its icon."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Crosslens", parent)
        self.setFont(scaled(self.font(), 1.15, bold=True))

    def sizeHint(self) -> QSize:
        """Return room for icon and name."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 24 + 4 * SPACE, max(28, metrics.height()) + 2 * SPACE)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw icon and name."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        ratio = self.devicePixelRatioF()
        image = app_icon().pixmap(QSize(24, 24), ratio)
        painter.drawPixmap(SPACE + 2, (self.height() - 24) // 2, image)
        painter.setPen(colours(self.palette()).text)
        area = self.rect().adjusted(SPACE + 24 + SPACE + 4, 0, 0, 0)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter), self.text())
