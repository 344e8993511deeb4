"""What is shown in place of something that could not be had: what, why, what to do, and another try."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..icons import pixmap
from ..palette import colours
from ..worker_client import Failure
from .buttons import Button
from .labels import Muted, Title


class ProblemPanel(QWidget):
    """A failure in sentences. `again` is emitted by the button."""

    again = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark = QLabel()
        self._what, self._more = Title(level=3), Muted()
        self._what.setWordWrap(True)
        for label in (self._what, self._more):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = Button(self.tr("Try again"))
        self.button.clicked.connect(lambda: self.again.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 3 * SPACE)
        layout.setSpacing(SPACE)
        layout.addWidget(self._mark)
        layout.addWidget(self._what)
        layout.addWidget(self._more)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(1)

    def show_failure(self, failure: Failure, *, tone: str = "bad") -> None:
        """Say what went wrong; with the tone "note", what is so without anything being wrong."""
        tones = colours(self.palette())
        ink = tones.bad if tone == "bad" else tones.muted
        self._mark.setPixmap(pixmap(tone, 24, self.devicePixelRatioF(), ink))
        self._what.setText(failure.what)
        self._more.setText(" ".join(part for part in (failure.why, failure.do) if part))
        self.setAccessibleName(self.text())

    def text(self) -> str:
        """Return all sentences."""
        return "\n".join(part for part in (self._what.text(), self._more.text()) if part)
