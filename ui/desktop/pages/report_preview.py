"""The report as it will be printed, page below page."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..palette import LIGHT, colours
from ..paper import PaperPages

_WIDEST = 820
_NARROWEST = 320


class PageView(QWidget):
    """One page, painted once for each size and kept as a picture."""

    def __init__(self, pages: PaperPages, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages, self._number = pages, number
        self._picture: QPixmap | None = None
        words = self.tr("Page {number} of {count}").format(number=number + 1, count=len(pages))
        self.setAccessibleName(words)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMaximumWidth(_WIDEST)
        self.setMinimumWidth(_NARROWEST)

    def hasHeightForWidth(self) -> bool:
        """Return that a page keeps its shape."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of a page of that width."""
        size = self._pages.size()
        return round(width * size.height() / size.width())

    def sizeHint(self) -> QSize:
        """Return the size at which text is read easily."""
        return QSize(_WIDEST, self.heightForWidth(_WIDEST))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Paint anew at another size."""
        super().resizeEvent(event)
        self._picture = None

    def changeEvent(self, event: QEvent) -> None:
        """Paint anew on a screen of another sharpness."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._picture = None

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the page and its edge; paper stays white in the dark."""
        if self._picture is None:
            self._picture = self._draw()
        with QPainter(self) as painter:
            painter.drawPixmap(0, 0, self._picture)
            painter.setPen(colours(self.palette()).line)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _draw(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(LIGHT.base)
        with QPainter(picture) as painter:
            painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
            scale = self.width() / self._pages.size().width()
            painter.scale(scale, scale)
            painter.setClipRect(QRectF(0, 0, self._pages.size().width(), self._pages.size().height()))
            self._pages.paint(painter, self._number)
        return picture


class PageStrip(QScrollArea):
    """All pages below each other; keeps its place when the report changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Preview of the report"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(_NARROWEST + 4 * SPACE)
        self._pages: PaperPages | None = None

    @property
    def pages(self) -> PaperPages | None:
        """Return the pages shown."""
        return self._pages

    def show_pages(self, pages: PaperPages) -> None:
        """Show other pages."""
        self._pages = pages
        place = self.verticalScrollBar().value()
        strip = QWidget()
        column = QVBoxLayout(strip)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        column.setSpacing(2 * SPACE)
        for number in range(len(pages)):
            column.addWidget(PageView(pages, number), 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        self.setWidget(strip)
        strip.adjustSize()
        self.verticalScrollBar().setValue(place)
