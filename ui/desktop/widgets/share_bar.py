"""How rows are parted, as one bar of three colours with words below."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.recipe import SplitSpec

from ..palette import colours, mix
from ..wording import percent, whole


class ShareBar(QWidget):
    """Training, validation and test shares."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._split, self._rows = SplitSpec(), 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_split(self, split: SplitSpec, rows: int) -> None:
        """Show other shares; `rows` 0 leaves the counts out."""
        self._split, self._rows = split, rows
        self.setAccessibleName("; ".join(self._words()))
        self.setToolTip("\n".join(self._words()))
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the bar and one line of words."""
        return QSize(240, 12 + 4 + self.fontMetrics().height())

    def changeEvent(self, event: QEvent) -> None:
        """Paint again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bar, and below it what the parts are."""
        tones = colours(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(0, 0, self.width(), 12), 4, 4)
        painter.setClipPath(outline)
        painter.setPen(Qt.PenStyle.NoPen)
        left = 0.0
        fills = (tones.accent, mix(tones.accent, tones.base, 0.45), mix(tones.accent, tones.base, 0.75))
        for share, fill in zip(self._shares(), fills, strict=True):
            painter.setBrush(fill)
            painter.drawRect(QRectF(left, 0, self.width() * share, 12))
            left += self.width() * share
        painter.setClipping(False)
        painter.setPen(tones.muted)
        area = self.rect().adjusted(0, 16, 0, 0)
        train, check, test = self._words(short=True)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignLeft), train)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignHCenter), check)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignRight), test)

    def _shares(self) -> tuple[float, float, float]:
        split = self._split
        return 1.0 - split.validation - split.test, split.validation, split.test

    def _words(self, *, short: bool = False) -> list[str]:
        names = (self.tr("train {share}"), self.tr("check {share}"), self.tr("test {share}"))
        shares = self._shares()
        words = [name.format(share=percent(share)) for name, share in zip(names, shares, strict=True)]
        if short or not self._rows:
            return words
        counts = (whole(self._rows * share) for share in shares)
        return [
            self.tr("{part}: about {count} rows").format(part=w, count=c) for w, c in zip(words, counts, strict=True)
        ]
