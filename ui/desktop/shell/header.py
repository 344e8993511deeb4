"""The head of the page: title, what the page is for, and its one primary action."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..pages.page import Page
from ..widgets.buttons import ActionButton
from ..widgets.labels import Muted, Title


class Header(QWidget):
    """Shows the page that is in front."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = Title(level=1)
        self._purpose = Muted()
        self.primary = ActionButton()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._purpose)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(2 * SPACE)
        layout.addLayout(words, 1)
        layout.addWidget(self.primary)

    def show_page(self, page: Page) -> None:
        """Show title, purpose and primary action of a page."""
        self._title.setText(page.title)
        self._purpose.setText(page.purpose)
        self._purpose.setVisible(bool(page.purpose))
        self.primary.follow(page.primary)
