"""Tables as data shown in a view: sortable, copied as text, numbers to the right in figures of equal width."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QWidget

from core.display import Align, Cell, Table

from ..fonts import SPACE
from ..palette import colours
from ..widgets.views import DataTable
from . import numbers

Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = Qt.ItemDataRole.UserRole
_ROOT = QModelIndex()
_WIDEST = 360
_MEASURED_ROWS = 100
_TALLEST, _LOWEST = 15, 4


class TableModel(QAbstractTableModel):
    """A `Table` for Qt: text, alignment, grey rows, and raw values for sorting."""

    def __init__(self, table: Table, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table

    @property
    def table(self) -> Table:
        """Return the table shown."""
        return self._table

    def set_table(self, table: Table) -> None:
        """Show another table."""
        self.beginResetModel()
        self._table = table
        self.endResetModel()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._table.rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._table.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a role asks about a cell."""
        if not index.isValid():
            return None
        value = self._table.rows[index.row()][index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return numbers.cell(value, self._table.columns[index.column()])
        if role == SORT_ROLE:
            return value
        return self._look(index, value, role)

    def _look(self, index: Index, value: Cell, role: int) -> Any:
        column = self._table.columns[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.align is Align.RIGHT else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ForegroundRole and (value is None or self._is_grey(index.row())):
            return colours().muted
        if role == Qt.ItemDataRole.ToolTipRole and isinstance(value, str) and len(value) > 40:
            return value
        return None

    def _is_grey(self, row: int) -> bool:
        return bool(self._table.greyed) and self._table.greyed[row]

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a column's name, its side, or the sentence behind it."""
        if orientation is Qt.Orientation.Vertical or not 0 <= section < len(self._table.columns):
            return None
        column = self._table.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.help or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.align is Align.RIGHT else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None


class SortedTable(QSortFilterProxyModel):
    """Sorts by the raw values; empty cells come last whichever way the column is sorted."""

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare two cells of one column."""
        first, second = left.data(SORT_ROLE), right.data(SORT_ROLE)
        ascending = self.sortOrder() is Qt.SortOrder.AscendingOrder
        if first is None or second is None:
            return (second is None and first is not None) if ascending else (first is None and second is not None)
        if isinstance(first, str) or isinstance(second, str):
            return str(first).casefold() < str(second).casefold()
        return bool(first < second)


class TableView(DataTable):
    """Shows a `Table`. `rowChosen` carries the row's number in the table, whatever the order on screen."""

    rowChosen = Signal(int)

    def __init__(self, table: Table, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = TableModel(table, self)
        self._sorted = SortedTable(self)
        self._sorted.setSourceModel(self._source)
        self._sorted.setDynamicSortFilter(True)
        self.setModel(self._sorted)
        self._set_up()
        self.setAccessibleName(table.title or self.tr("Table"))
        self._fit_columns()
        self.selectionModel().currentRowChanged.connect(self._announce_row)

    def _set_up(self) -> None:
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSortIndicatorClearable(True)
        copy = QAction(self.tr("Copy"), self)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self.copy)
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def sizeHint(self) -> QSize:
        """Return room for all rows, up to a limit; longer tables scroll."""
        return QSize(super().sizeHint().width(), self._height_of(_TALLEST))

    def minimumSizeHint(self) -> QSize:
        """Return room for a few rows."""
        return QSize(super().minimumSizeHint().width(), self._height_of(_LOWEST))

    @property
    def table(self) -> Table:
        """Return the table shown."""
        return self._source.table

    def set_table(self, table: Table) -> None:
        """Show another table; columns that are the same keep their widths, or grow to what now stands there."""
        same = table.columns == self.table.columns
        self._source.set_table(table)
        self.updateGeometry()
        self.setAccessibleName(table.title or self.tr("Table"))
        self._fit_columns(at_least_as_now=same)

    def choose_row(self, row: int) -> None:
        """Select the row with that number in the table and show it."""
        index = self._sorted.mapFromSource(self._source.index(row, 0))
        self.setCurrentIndex(index)
        self.scrollTo(index)

    def chosen_row(self) -> int | None:
        """Return the number in the table of the current row."""
        index = self._sorted.mapToSource(self.currentIndex())
        return index.row() if index.isValid() else None

    def copy(self) -> None:
        """Put the selected rows (all when none is selected), heads first, on the clipboard as tab-separated text."""
        rows = sorted({index.row() for index in self.selectedIndexes()}) or range(self._sorted.rowCount())
        columns = range(self._sorted.columnCount())
        lines = ["\t".join(column.name for column in self.table.columns)]
        lines += ["\t".join(str(self._sorted.index(row, column).data()) for column in columns) for row in rows]
        QGuiApplication.clipboard().setText("\n".join(lines))

    def _height_of(self, most: int) -> int:
        rows = max(min(len(self.table.rows), most), 1) * self.verticalHeader().defaultSectionSize()
        bar = self.horizontalScrollBar().sizeHint().height() if self._is_wide() else 0
        return self.horizontalHeader().sizeHint().height() + rows + bar + 2 * self.frameWidth()

    def _is_wide(self) -> bool:
        return sum(self.columnWidth(number) for number in range(len(self.table.columns))) > self.viewport().width()

    def _announce_row(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.rowChosen.emit(self._sorted.mapToSource(current).row())

    def _fit_columns(self, *, at_least_as_now: bool = False) -> None:
        metrics = self.fontMetrics()
        for number, column in enumerate(self.table.columns):
            cells = [numbers.cell(row[number], column) for row in self.table.rows[:_MEASURED_ROWS]]
            widest = max((metrics.horizontalAdvance(text) for text in cells), default=0)
            head = self.horizontalHeader().sectionSizeHint(number)
            wanted = min(max(widest + 2 * SPACE + 6, head), _WIDEST)
            self.setColumnWidth(number, max(wanted, self.columnWidth(number)) if at_least_as_now else wanted)
