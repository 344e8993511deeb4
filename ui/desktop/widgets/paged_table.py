"""A table view whose rows come and go at both ends while what is looked at stays where it is."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHeaderView, QWidget

from ..fonts import SPACE
from ..models.rows import RowsModel
from ..palette import colours
from .views import DataTable

NEAR_THE_EDGE = 60
"""How many rows from an end of what is held the rows beyond are asked for."""


class RowNumbers(QHeaderView):
    """Numbers in front of rows, without relief; a narrow strip where nobody knows them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)

    def sectionSizeFromContents(self, section: int) -> QSize:
        """Return room for the number."""
        word = str(self.model().headerData(section, Qt.Orientation.Vertical) or "")
        return QSize(self.fontMetrics().horizontalAdvance(word) + 2 * SPACE, self.defaultSectionSize())

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        """Paint one number."""
        tones = colours(self.palette())
        painter.fillRect(rect, tones.base)
        painter.setPen(tones.faint)
        word = str(self.model().headerData(section, Qt.Orientation.Vertical) or "")
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(rect.adjusted(0, 0, -SPACE, 0), int(flags), word)


class PagedTable(DataTable):
    """Shows a RowsModel; `moved` tells that other rows are in view."""

    moved = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: RowsModel | None = None
        self.setVerticalScrollMode(DataTable.ScrollMode.ScrollPerItem)
        self.setVerticalHeader(RowNumbers(self))
        self._corner = self.findChild(QAbstractButton)
        self._corner.installEventFilter(self)
        heads = self.verticalHeader()
        heads.setSectionsClickable(False)
        heads.setHighlightSections(False)
        heads.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        heads.setDefaultSectionSize(self.fontMetrics().height() + SPACE + 2)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)

    def show_rows(self, rows: RowsModel) -> None:
        """Follow a model."""
        self._rows = rows
        self.setModel(rows)
        rows.rowsInserted.connect(self._stay_after_insert)
        rows.rowsRemoved.connect(self._stay_after_removal)
        rows.modelReset.connect(self.moved)

    @property
    def in_view(self) -> tuple[int, int]:
        """Return the first and the last row in view, as the model numbers them; (-1, -1) without rows."""
        top = self.rowAt(0)
        if top < 0:
            return -1, -1
        bottom = self.rowAt(self.viewport().height() - 1)
        return top, bottom if bottom >= 0 else self.model().rowCount() - 1

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Paint the corner flat, as the heads are."""
        if event.type() is not QEvent.Type.Paint or watched is not self._corner:
            return super().eventFilter(watched, event)
        tones, area = colours(self.palette()), self._corner.rect()
        painter = QPainter(self._corner)
        painter.fillRect(area, tones.base)
        painter.setPen(tones.line)
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.end()
        return True

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tell that more or fewer rows are in view."""
        super().resizeEvent(event)
        self.moved.emit()

    def _stay_after_insert(self, _: QModelIndex, first: int, last: int) -> None:
        rows = self.model().rowCount()
        came_first = first == 0 and rows > last - first + 1
        self._shift(last - first + 1 if came_first else 0)

    def _stay_after_removal(self, _: QModelIndex, first: int, last: int) -> None:
        self._shift(first - last - 1 if first == 0 else 0)

    def _shift(self, rows: int) -> None:
        """Keep the same rows in view after `rows` came (or went, if negative) above them."""
        bar = self.verticalScrollBar()
        place = bar.value() + rows
        if rows:
            # The bar learns of the new length only now; until then it would cut the place off.
            self.updateGeometries()
            bar.setValue(place)
        self.moved.emit()

    def _scrolled(self, _: int) -> None:
        self.moved.emit()
        if self._rows is None:
            return
        top, bottom = self.in_view
        if self._rows.rowCount() - 1 - bottom < NEAR_THE_EDGE:
            self._rows.fetchMore(QModelIndex())
        if 0 <= top < NEAR_THE_EDGE:
            self._rows.fetch_earlier()
