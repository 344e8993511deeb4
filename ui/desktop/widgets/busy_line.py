"""A thin line of text that says what is being waited for, with Stop."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from ..fonts import SPACE
from ..session import Session
from .buttons import Button, Weight
from .labels import Muted


class BusyLine(QWidget):
    """Listens to what the session is waiting for; hidden while there is nothing."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._words = Muted(wrap=False)
        bar = QProgressBar(textVisible=False)
        bar.setRange(0, 0)
        bar.setFixedSize(120, 6)
        bar.setAccessibleName(self.tr("Working"))
        stop = Button(self.tr("Stop"), weight=Weight.QUIET, icon_name="stop")
        stop.clicked.connect(session.stop_asking)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 0)
        layout.setSpacing(SPACE)
        for widget in (bar, self._words, stop):
            layout.addWidget(widget)
        layout.addStretch(1)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(False)
        self.setSizePolicy(policy)
        session.busyChanged.connect(self._tell)
        self._tell()

    def _tell(self) -> None:
        self._words.setText(self._session.busy)
        self.setAccessibleName(self._session.busy)
        self.setVisible(bool(self._session.busy))
