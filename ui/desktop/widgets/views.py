"""Tables and search boxes as this window draws them: flat heads, padded cells, rows of one height."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHeaderView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from ..fonts import SPACE, scaled, tabular
from ..icons import icon
from ..palette import colours

Index = QModelIndex | QPersistentModelIndex
ARROW = 16


class FlatHeader(QHeaderView):
    """Column heads without relief: a word, a line below, an arrow where the table is sorted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setHighlightSections(False)
        self.setSectionsClickable(True)

    def sizeHint(self) -> QSize:
        """Return room for one line."""
        return QSize(super().sizeHint().width(), self.fontMetrics().height() + 2 * SPACE - 2)

    def sectionSizeFromContents(self, section: int) -> QSize:
        """Return room for the word, the padding and the arrow."""
        word = str(self.model().headerData(section, Qt.Orientation.Horizontal) or "")
        arrow = ARROW if self.isSortIndicatorShown() else 0
        return QSize(self.fontMetrics().horizontalAdvance(word) + 2 * SPACE + arrow + 4, self.sizeHint().height())

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        """Paint one head."""
        tones = colours(self.palette())
        model = self.model()
        painter.save()
        painter.fillRect(rect, tones.base)
        painter.setPen(tones.line)
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        side = model.headerData(section, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole)
        area = rect.adjusted(SPACE, 0, -SPACE, -1)
        if self.isSortIndicatorShown() and self.sortIndicatorSection() == section:
            area = self._paint_arrow(painter, area)
        word = str(model.headerData(section, Qt.Orientation.Horizontal) or "")
        painter.setPen(tones.muted)
        painter.setFont(scaled(self.font(), 1.0, bold=True))
        word = painter.fontMetrics().elidedText(word, Qt.TextElideMode.ElideRight, area.width())
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, int(side if side is not None else left), word)
        painter.restore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the heads, and the same surface where there are none."""
        super().paintEvent(event)
        rest = self.viewport().rect().adjusted(self.length() - self.offset(), 0, 0, 0)
        if rest.width() > 0:
            painter = QPainter(self.viewport())
            painter.fillRect(rest, colours(self.palette()).base)
            painter.setPen(colours(self.palette()).line)
            painter.drawLine(rest.bottomLeft(), rest.bottomRight())

    def _paint_arrow(self, painter: QPainter, area: QRect) -> QRect:
        rising = self.sortIndicatorOrder() is Qt.SortOrder.AscendingOrder
        painter.setPen(colours(self.palette()).accent)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area.adjusted(0, 0, SPACE - 2, 0), int(flags), "↑" if rising else "↓")
        return area.adjusted(0, 0, -SPACE, 0)


class PaddedDelegate(QStyledItemDelegate):
    """Cells with the padding of the heads; selected ones on a soft background that leaves text its colour.

    `reserve` is room at the right that text leaves free.
    """

    reserve = 0

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Soften the colours of the selection."""
        super().initStyleOption(option, index)
        tones = colours(option.palette)
        ink = option.palette.color(QPalette.ColorRole.Text)
        option.palette.setColor(QPalette.ColorRole.Highlight, tones.accent_soft)
        option.palette.setColor(QPalette.ColorRole.HighlightedText, ink)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint the background over the whole cell, the content with a distance from its sides."""
        whole = QStyleOptionViewItem(option)
        self.initStyleOption(whole, index)
        style = option.widget.style() if option.widget is not None else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, whole, painter, option.widget)
        inner = QStyleOptionViewItem(option)
        inner.rect = option.rect.adjusted(SPACE - 3, 0, 3 - SPACE - self.reserve, 0)
        inner.state &= ~QStyle.StateFlag.State_HasFocus
        super().paint(painter, inner, index)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return the content's size and the padding."""
        return super().sizeHint(option, index) + QSize(2 * SPACE - 6, 0)


class DataTable(QTableView):
    """A table view with flat heads, padded cells, rows of one height and figures of equal width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHorizontalHeader(FlatHeader(self))
        self.setItemDelegate(PaddedDelegate(self))
        self.setFont(tabular(self.font()))
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setAlternatingRowColors(True)
        self.setHorizontalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.setCornerButtonEnabled(False)
        self.setTabKeyNavigation(False)
        rows = self.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + SPACE + 2)
        rows.hide()


class SearchBox(QLineEdit):
    """A line to type what is looked for."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(words)
        self.setAccessibleName(words)
        self.setClearButtonEnabled(True)
        self.setMinimumHeight(self.fontMetrics().height() + 2 * SPACE - 2)
        self._glass = self.addAction(icon("search", colours().muted), QLineEdit.ActionPosition.LeadingPosition)
        self._glass.setEnabled(False)


def roomy(*widgets: QWidget) -> None:
    """Give boxes to choose or type in the height of a button's text with air around it."""
    for widget in widgets:
        widget.setMinimumHeight(widget.fontMetrics().height() + SPACE + 4)
