"""What the user should know before training: sentences with examples, repairs to choose, and those chosen."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QScrollArea, QVBoxLayout, QWidget

from core.commands import Finding
from core.recipe import Repair

from ..fonts import SPACE
from ..icons import pixmap
from ..palette import colours
from ..wording import repair_words, repaired_words
from .buttons import Button, Weight
from .labels import Muted, tone_colours

ICONS = {"stop": "bad", "warn": "warn", "note": "note"}
MOST_LINES = 4
"""How many findings are seen without scrolling."""


class FindingsList(QScrollArea):
    """Shows findings and chosen repairs; hidden when there are none.

    `repairWanted` and `takenBack` tell of a repair that was clicked.
    """

    repairWanted = Signal(object)
    takenBack = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("What to look out for"))
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner = QWidget()
        self._lines = QVBoxLayout(self._inner)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(2)
        self.setWidget(self._inner)
        self._shown: tuple[tuple[Finding, ...], tuple[Repair, ...]] = ((), ())
        self.hide()

    def show_findings(self, findings: tuple[Finding, ...], repairs: tuple[Repair, ...] = ()) -> None:
        """Show other findings, and the repairs that were chosen."""
        self.setVisible(bool(findings or repairs))
        if (findings, repairs) == self._shown:
            return
        self._shown = (findings, repairs)
        while (item := self._lines.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        if repairs:
            self._lines.addWidget(self._chips(repairs))
        for finding in findings:
            line = _Line(finding)
            line.repairWanted.connect(self.repairWanted)
            line.grown.connect(self._fit)
            self._lines.addWidget(line)
        self._lines.addStretch(1)
        for line in self._inner.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            line.show()  # what is not shown yet takes no room in the layout
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Draw the marks again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            shown, self._shown = self._shown, ((), ())
            self.show_findings(*shown)

    def _chips(self, repairs: tuple[Repair, ...]) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(Muted(self.tr("Repaired"), wrap=False))
        for repair in repairs:
            chip = Button(repaired_words(repair), weight=Weight.CHIP, icon_name="close")
            chip.setAccessibleName(self.tr("Take back: {repair}").format(repair=repaired_words(repair)))
            chip.setToolTip(chip.accessibleName())
            chip.clicked.connect(partial(self._take_back, repair))
            layout.addWidget(chip)
        layout.addStretch(1)
        return row

    def _take_back(self, repair: Repair, *_: object) -> None:
        self.takenBack.emit(repair)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Sentences take fewer lines where there is more room."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def _fit(self) -> None:
        """Take the height of the lines, up to a few of them."""
        line = max(self.fontMetrics().height(), 16) + 10
        wanted = self._lines.totalHeightForWidth(self.viewport().width())
        self.setFixedHeight(min(wanted, MOST_LINES * line) + 2)


class _Line(QWidget):
    """A finding: how grave, what, some examples, and what can be done about it."""

    repairWanted = Signal(object)
    grown = Signal()

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        _, ink = tone_colours(colours(), finding.severity)
        mark, words = QLabel(), QLabel(finding.message)
        mark.setPixmap(pixmap(ICONS[finding.severity], 16, self.devicePixelRatioF(), ink))
        mark.setAccessibleName(self._grave(finding.severity))
        words.setTextFormat(Qt.TextFormat.PlainText)
        words.setWordWrap(True)
        words.setToolTip("\n".join(finding.columns))
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(SPACE)
        head.addWidget(mark)
        head.addWidget(words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, SPACE, 0)
        column.setSpacing(0)
        column.addLayout(head)
        if finding.examples:
            head.addWidget(self._examples(finding, column))
        if finding.repairs:
            head.addWidget(self._repair(finding))

    def _grave(self, severity: str) -> str:
        return {"stop": self.tr("Must be mended"), "warn": self.tr("Warning")}.get(severity, self.tr("Note"))

    def _examples(self, finding: Finding, column: QVBoxLayout) -> Button:
        texts = Muted("\n".join(finding.examples))
        texts.setContentsMargins(16 + SPACE, 0, 0, SPACE // 2)
        texts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        texts.hide()
        column.addWidget(texts)
        button = Button(self.tr("Examples"), weight=Weight.LINK)
        button.setCheckable(True)
        button.setAccessibleName(self.tr("Examples: {finding}").format(finding=finding.message))
        button.toggled.connect(texts.setVisible)
        button.toggled.connect(lambda _: self.grown.emit())
        return button

    def _repair(self, finding: Finding) -> Button:
        first = finding.repairs[0]
        button = Button(repair_words(first), weight=Weight.LINK)
        button.setAccessibleName(self.tr("Repair: {repair}").format(repair=repair_words(first)))
        if len(finding.repairs) == 1:
            button.clicked.connect(lambda: self.repairWanted.emit(first))
            return button
        button.setText(self.tr("Repair"))
        menu = QMenu(button)
        for repair in finding.repairs:
            menu.addAction(repair_words(repair).replace("&", "&&"), partial(self.repairWanted.emit, repair))
        button.setMenu(menu)
        return button
