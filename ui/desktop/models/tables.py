"""Tables of a source as a list."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from crosslens.relational import TableInfo, TableRef

from ..wording import keys_of, row_count, table_name

Index = QModelIndex | QPersistentModelIndex
TABLE = Qt.ItemDataRole.UserRole
"""Role that answers with the TableInfo itself."""


class TablesModel(QAbstractListModel):
    """One row per table or view."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tables: tuple[TableInfo, ...] = ()
        self._words: list[str | None] = []

    def row_of(self, ref: TableRef) -> int:
        """Return the row of a table, -1 if it is not there."""
        return next((row for row, table in enumerate(self._tables) if table.ref == ref), -1)

    def words(self, row: int) -> str:
        """Return what a table is found by: its name and those of its columns, in small letters."""
        words = self._words[row]
        if words is None:
            words = self._words[row] = "\n".join(_names(self._tables[row])).casefold()
        return words

    def show_tables(self, tables: tuple[TableInfo, ...]) -> None:
        """Show other tables."""
        self.beginResetModel()
        self._tables = tables
        self._words = [None] * len(tables)  # made when somebody searches: 2,000 tables have 40,000 columns
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
        model = self.sourceModel()
        return not isinstance(model, TablesModel) or self._words in model.words(row)


def _names(table: TableInfo) -> tuple[str, ...]:
    return table_name(table.ref), *(column.name for column in table.columns)
