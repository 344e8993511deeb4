"""The user's own SELECT: an editor, a preview of its rows, and what is wrong with it beside it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QSplitter, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..preparing import SELECT_NAME
from ..session import Session
from ..widgets.buttons import Button
from ..widgets.labels import Muted
from .data_browser import RowsBrowser, browsed_select


class SelectPanel(QWidget):
    """Write, run, look. `changed` tells that other rows (or none) could be used."""

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.editor = QPlainTextEdit()
        self.editor.setAccessibleName(self.tr("Your own SELECT"))
        self.editor.setPlaceholderText("SELECT … FROM …")
        self.editor.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.editor.setTabChangesFocus(True)
        self.editor.setMinimumHeight(5 * self.editor.fontMetrics().lineSpacing())
        self.run_button = Button(self.tr("Run"), icon_name="play")
        self.run_button.setToolTip(self.tr("Run (Ctrl+R)"))
        self.run_button.clicked.connect(lambda: self.run())
        self.browser = RowsBrowser(session)
        self.browser.view.setAccessibleName(self.tr("Rows of the SELECT"))
        self.browser.problem.button.hide()
        self._ran = ""
        self._lay_out()
        shortcut = QShortcut(QKeySequence("Ctrl+R"), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.run)
        self.editor.textChanged.connect(self._edited)
        self.browser.read.connect(self.changed)
        self._edited()

    @property
    def select(self) -> str:
        """Return the SELECT whose rows are shown; empty while there is none, or the text is another by now."""
        shown = self.browser.rows.rowCount() > 0 and self._ran == self._text()
        return self._ran if shown else ""

    def show_select(self, select: str) -> None:
        """Put a SELECT into the editor; it is not run."""
        if select != self._text():
            self.editor.setPlainText(select)

    def clear(self) -> None:
        """Forget the SELECT: another source is open."""
        self._ran = ""
        self.browser.show_rows(None)
        self.editor.clear()

    def run(self) -> None:
        """Show the first rows of what is written."""
        text = self._text()
        if text:
            self._ran = text
            self.browser.show_rows(browsed_select(SELECT_NAME, text))
            self.changed.emit()

    def _text(self) -> str:
        return self.editor.toPlainText().strip()

    def _edited(self) -> None:
        self.run_button.setEnabled(bool(self._text()))
        self.changed.emit()

    def _lay_out(self) -> None:
        hint = Muted(
            self.tr(
                "One SELECT that only reads. The preview takes 200 rows at a time and gives up when the database needs "
                "too long; nothing is changed."
            )
        )
        tools = QHBoxLayout()
        tools.setSpacing(2 * SPACE)
        tools.addWidget(self.run_button, 0, Qt.AlignmentFlag.AlignTop)
        tools.addWidget(hint, 1)
        top = QWidget()
        upper = QVBoxLayout(top)
        upper.setContentsMargins(0, 0, 0, 0)
        upper.setSpacing(SPACE)
        upper.addWidget(self.editor, 1)
        upper.addLayout(tools)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(top)
        splitter.addWidget(self.browser)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([190, 500])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(splitter)
