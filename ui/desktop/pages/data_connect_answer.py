"""What is said about a connection beside its form: a badge, a sentence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from crosslens.errors import UserError

from ..fonts import SPACE
from ..widgets.labels import Badge, Muted
from ..worker_client import Failure

ICONS = {"good": "lock", "warn": "warn", "bad": "bad"}


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence and more; nothing to say when `what` is empty. tone: "good", "warn" or "bad"."""

    what: str = ""
    more: str = ""
    tone: str = "warn"
    badge: str = ""

    @classmethod
    def of(cls, failure: Failure | UserError) -> Said:
        """Return what a failure says."""
        return cls(failure.what, " ".join(part for part in (failure.why, failure.do) if part), "bad")


class AnswerLines(QWidget):
    """Shows what was said last."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.badge, self._what, self._more = Badge(), QLabel(), Muted()
        self._what.setWordWrap(True)
        self._what.setTextFormat(Qt.TextFormat.PlainText)
        for label in (self._what, self._more):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        first = QHBoxLayout()
        first.setSpacing(SPACE)
        first.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._what, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(first)
        layout.addWidget(self._more)
        self.say(Said())

    @property
    def text(self) -> str:
        """Return all sentences."""
        return "\n".join(label.text() for label in (self._what, self._more) if label.text())

    def say(self, said: Said) -> None:
        """Show something else, or nothing."""
        self._what.setText(said.what)
        self._more.setText(said.more)
        words = said.badge or {"bad": self.tr("failed"), "warn": self.tr("not yet")}.get(said.tone, "")
        self.badge.show_as(words, tone=said.tone, icon_name=ICONS[said.tone])
        self._what.setAccessibleName(f"{words}: {said.what}" if said.what else "")
        self._more.setVisible(bool(said.more))
        self.setVisible(bool(said.what))
