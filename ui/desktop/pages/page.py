"""The base of every page: a title, an icon, one primary action, and a hook for being shown."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from ..session import Session


class Page(QWidget):
    """One page of the window.

    Subclasses set `page_id` (for `Session.navigate`) and `icon_name` (a file in ui/desktop/icons), give `title` and
    `purpose`, and use `primary`: its text, tool tip and enabled state appear in the header; an empty text hides it.
    """

    page_id: ClassVar[str]
    icon_name: ClassVar[str]

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.primary = QAction(self)
        self.setObjectName(f"{self.page_id}-page")
        self.setAccessibleName(self.title)

    @property
    def title(self) -> str:
        """Return the translated title, as in the navigation rail."""
        raise NotImplementedError

    @property
    def purpose(self) -> str:
        """Return one translated sentence under the title: what this page is for."""
        return ""

    def shown(self) -> None:
        """Bring the page up to date; called each time it comes to the front."""
