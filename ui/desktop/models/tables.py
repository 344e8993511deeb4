"""Tables of a source as a list."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from crosslens.relational import TableInfo

from ..wording import keys_of, row_count, table_name

Index = QModelIndex | QPersistentModelIndex
TABLE = Qt.ItemDataRole.UserRole
"""Role that answers with the TableInfo itself."""


class TablesModel(QAbstractListModel):
    """One row per table or view."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tables: tuple[TableInfo, ...] = ()

    def show_tables(self, tables: tuple[TableInfo, ...]) -> None:
        """Show other tables."""
        self.beginResetModel()
        self._tables = tables
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many tables there are."""
        return 0 if parent.isValid() else len(self._tables)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the name, the table itself, or the sentence a screen reader says."""
        if not index.isValid():
            return None
        table = self._tables[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return table_name(table.ref)
        if role == Qt.ItemDataRole.ToolTipRole:
            return keys_of(table)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            rows = row_count(table)
            words = self.tr("{name}, {rows} rows, {keys}") if rows else self.tr("{name}, {keys}")
            return words.format(name=table_name(table.ref), rows=rows, keys=keys_of(table))
        return table if role == TABLE else None


class TablesFilter(QSortFilterProxyModel):
    """Keeps tables whose name, or one of whose columns, contains the words typed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words = ""

    def search(self, words: str) -> None:
        """Filter by these words."""
        self.beginFilterChange()
        self._words = words.strip().casefold()
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        """Whether the table matches."""
        table = self.sourceModel().index(row, 0, parent).data(TABLE)
        names = (table_name(table.ref), *(column.name for column in table.columns))
        return any(self._words in name.casefold() for name in names)
