"""The bar for messages: what happened, why, what to do; details on request. Never modal."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..icons import pixmap
from ..palette import colours
from ..session import Notice
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Title, tone_colours


class MessageBar(QWidget):
    """Shows one notice at a time; hidden when there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notice = Notice("")
        self.setAccessibleName(self.tr("Message"))
        self._what, self._more = Title(level=3), QLabel()
        for label in (self._what, self._more):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details = QPlainTextEdit(readOnly=True)
        self._details.setAccessibleName(self.tr("Details"))
        self._details.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._details.setMaximumHeight(180)
        self._show_details = Button(self.tr("Details"), weight=Weight.QUIET)
        self._show_details.setCheckable(True)
        self._show_details.toggled.connect(self._details.setVisible)
        self._copy = Button(self.tr("Copy"), weight=Weight.QUIET, icon_name="copy")
        self._copy.clicked.connect(self._copy_all)
        self._close = Button(weight=Weight.QUIET, icon_name="close")
        self._close.setAccessibleName(self.tr("Close message"))
        self._close.setToolTip(self.tr("Close message"))
        self._close.clicked.connect(self.hide)
        self._lay_out()
        self.hide()

    def show_notice(self, notice: Notice | None) -> None:
        """Show a notice, or nothing."""
        self.setVisible(notice is not None)
        if notice is None:
            return
        self._notice = notice
        self._what.setText(notice.what)
        more = " ".join(part for part in (notice.why, notice.do) if part)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self._details.setPlainText(notice.details)
        self._show_details.setChecked(False)
        self._details.hide()
        self._show_details.setVisible(bool(notice.details))
        self._copy.setVisible(notice.tone == "bad")
        self.update()

    def clear_good_news(self) -> None:
        """Hide what asks for nothing; warnings and errors stay until they are closed."""
        if self._notice.tone in ("good", "note"):
            self.hide()

    def text(self) -> str:
        """Return all of the notice as text, as Copy puts it on the clipboard."""
        notice = self._notice
        return "\n".join(part for part in (notice.what, notice.why, notice.do, "", notice.details) if part)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the soft background and the icon of the notice's tone."""
        soft, ink = tone_colours(colours(self.palette()), self._notice.tone)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(soft)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(3 * SPACE, 0, -3 * SPACE, -SPACE), 8, 8)
        painter.drawPixmap(5 * SPACE, SPACE + 4, pixmap(self._notice.tone, 20, self.devicePixelRatioF(), ink))

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._what)
        words.addWidget(self._more)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addLayout(words, 1)
        for button in (self._show_details, self._copy, self._close):
            top.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * SPACE + 20 + SPACE, 4, 3 * SPACE + 4, SPACE + 4)
        layout.addLayout(top)
        layout.addWidget(self._details)

    def _copy_all(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
