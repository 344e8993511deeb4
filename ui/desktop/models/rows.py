"""Rows of a table for the preview: pages arrive as they are scrolled to."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QLocale, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from core.commands import PageRead
from crosslens.relational import ColumnInfo, TableInfo

from ..palette import colours

Index = QModelIndex | QPersistentModelIndex
NULL = "NULL"
IS_NULL = Qt.ItemDataRole.UserRole
"""Role that answers whether a cell is NULL."""


class RowsModel(QAbstractTableModel):
    """Cells as read. `moreWanted` asks for the rows after the last ones; `show_page` answers it."""

    moreWanted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table: TableInfo | None = None
        self._columns: tuple[ColumnInfo, ...] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._anchor: tuple[Any, ...] | None = None
        self._waiting = False

    @property
    def anchor(self) -> tuple[Any, ...] | None:
        """Return where the next page starts; None at the end of the table."""
        return self._anchor

    def start(self, table: TableInfo | None) -> None:
        """Empty the model for the rows of another table."""
        self.beginResetModel()
        self._table = table
        self._columns = () if table is None else table.columns
        self._rows, self._anchor, self._waiting = [], None, table is not None
        self.endResetModel()

    def show_page(self, page: PageRead) -> None:
        """Add the rows that came."""
        if page.columns != self._columns:
            self.beginResetModel()
            self._columns = page.columns
            self.endResetModel()
        if page.rows:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(page.rows) - 1)
            self._rows.extend(page.rows)
            self.endInsertRows()
        self._anchor, self._waiting = page.anchor, False

    def give_up(self) -> None:
        """Take note that the page asked for will not come; scrolling asks again."""
        self._waiting = False

    def canFetchMore(self, parent: Index) -> bool:
        """Whether the table goes on and nothing is on its way."""
        return not parent.isValid() and self._anchor is not None and not self._waiting

    def fetchMore(self, parent: Index) -> None:
        """Ask for the next page."""
        if self.canFetchMore(parent):
            self._waiting = True
            self.moreWanted.emit()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many rows have come."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many columns the table has."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell; NULL is a grey word, numbers stand on the right."""
        if not index.isValid():
            return None
        value = self._rows[index.row()][index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell_text(value)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if _is_number(value) else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole and value is None:
            return colours().faint
        if role == Qt.ItemDataRole.ToolTipRole and isinstance(value, str) and len(value) > 40:
            return value
        return value is None if role == IS_NULL else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return column names with types and keys as tool tips, and row numbers."""
        if orientation is Qt.Orientation.Vertical:
            return QLocale().toString(section + 1) if role == Qt.ItemDataRole.DisplayRole else None
        if section >= len(self._columns):
            return None
        column = self._columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._about(column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            number = column.type.value in ("integer", "float", "decimal")
            side = Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def _about(self, column: ColumnInfo) -> str:
        parts = [column.database_type or column.type.value]
        if self._table is not None:
            if column.name in self._table.primary_key:
                parts.append(self.tr("primary key"))
            keys = (key for key in self._table.foreign_keys if column.name in key.columns)
            parts.extend(self.tr("refers to {table}").format(table=key.target.name) for key in keys)
        if not column.nullable:
            parts.append(self.tr("never NULL"))
        return "  ·  ".join(parts)


def cell_text(value: Any) -> str:
    """Return a database value as text; numbers by the locale, without separators that would disguise ids."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        locale = QLocale()
        locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
        return locale.toString(value, "g", 12)
    return str(value).replace("\n", " ⏎ ")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
