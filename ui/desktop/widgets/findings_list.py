"""What the user should know before training, one line each."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from core.commands import Finding

from ..fonts import SPACE
from ..icons import pixmap
from ..palette import colours
from .labels import tone_colours

ICONS = {"stop": "bad", "warn": "warn", "note": "note"}


class FindingsList(QScrollArea):
    """Shows findings; hidden when there are none. Never takes more than a few lines of height."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("What to look out for"))
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner = QWidget()
        self._lines = QVBoxLayout(self._inner)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(4)
        self.setWidget(self._inner)
        self._shown: tuple[Finding, ...] = ()
        self.hide()

    def show_findings(self, findings: tuple[Finding, ...]) -> None:
        """Show other findings."""
        self.setVisible(bool(findings))
        if findings == self._shown:
            return
        self._shown = findings
        while (item := self._lines.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        for finding in findings:
            self._lines.addWidget(_Line(finding))
        self._lines.addStretch(1)
        lines = min(len(findings), 3)
        self.setFixedHeight(lines * (max(self.fontMetrics().height(), 16) + 6) + 4)


class _Line(QWidget):
    def __init__(self, finding: Finding) -> None:
        super().__init__()
        _, ink = tone_colours(colours(), finding.severity)
        mark, words = QLabel(), QLabel(finding.message)
        mark.setPixmap(pixmap(ICONS[finding.severity], 16, self.devicePixelRatioF(), ink))
        mark.setAccessibleName(finding.severity)
        words.setTextFormat(Qt.TextFormat.PlainText)
        words.setWordWrap(True)
        words.setToolTip("\n".join(finding.columns))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(words, 1)
