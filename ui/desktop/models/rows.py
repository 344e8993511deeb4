"""Rows of a table or a SELECT for the browser: pages arrive where it is scrolled to, and leave at the far end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QLocale, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from core.commands import PageRead
from crosslens.relational import ColumnInfo, TableInfo

from ..palette import colours

Index = QModelIndex | QPersistentModelIndex
Anchor = tuple[str | int | float | bool | None, ...]
NULL = "NULL"
IS_NULL = Qt.ItemDataRole.UserRole
"""Role that answers whether a cell is NULL."""
MOST_PAGES = 25
"""How many pages are held at a time: at 200 rows each, 5,000 rows whatever the size of the table."""


class Way(Enum):
    """Where the page that is on its way belongs."""

    LATER = auto()
    EARLIER = auto()


@dataclass(frozen=True, slots=True)
class _Held:
    """A page in the model: how many rows, and the anchors to its neighbours."""

    rows: int
    start: Anchor | None
    anchor: Anchor | None


class RowsModel(QAbstractTableModel):
    """Cells as read, of at most MOST_PAGES pages in a row.

    `moreWanted` asks for the rows behind the last ones (after `anchor`), `earlierWanted` for those in front of the
    first ones (before `start_anchor`); `show_page` answers either.
    """

    moreWanted = Signal()
    earlierWanted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table: TableInfo | None = None
        self._columns: tuple[ColumnInfo, ...] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._pages: deque[_Held] = deque()
        self._first: int | None = 0
        self._travelled = 0
        self._waiting: Way | None = None

    @property
    def anchor(self) -> Anchor | None:
        """Return where the next page starts; None at the end of the table."""
        return self._pages[-1].anchor if self._pages else None

    @property
    def start_anchor(self) -> Anchor | None:
        """Return where the page in front of the first row ends; None at the start of the table."""
        return self._pages[0].start if self._pages else None

    @property
    def first(self) -> int | None:
        """Return the number of the first row that is held, from 0; None where nobody counted up to it."""
        return self._first

    @property
    def travelled(self) -> int:
        """Return how many rows the first one that is held lies behind (or, negative, before) where reading began."""
        return self._travelled

    def start(self, table: TableInfo | None, *, first: int | None = 0) -> None:
        """Empty the model for other rows; `first` is the number of the row they begin with, None if not known."""
        self.beginResetModel()
        self._table = table
        self._columns = () if table is None else table.columns
        self._rows, self._first, self._travelled = [], first, 0
        self._pages.clear()
        self._waiting = None if table is None else Way.LATER
        self.endResetModel()

    def show_page(self, page: PageRead) -> None:
        """Add the rows that came where they were asked for; at the other end pages leave if there are too many."""
        way, self._waiting = self._waiting or Way.LATER, None
        if page.columns != self._columns:
            self.beginResetModel()
            self._columns = page.columns
            self.endResetModel()
        held = _Held(len(page.rows), page.start, page.anchor)
        if not page.rows:
            self._end(way)
        elif way is Way.LATER:
            self._append(held, page.rows)
        else:
            self._prepend(held, page.rows)

    def wait_for(self, way: Way) -> None:
        """Take note that a page was asked for; nothing else is until it comes."""
        self._waiting = way

    def give_up(self) -> None:
        """Take note that the page asked for will not come; scrolling asks again."""
        self._waiting = None

    def canFetchMore(self, parent: Index) -> bool:
        """Whether the table goes on and nothing is on its way."""
        return not parent.isValid() and self.anchor is not None and self._waiting is None

    def fetchMore(self, parent: Index) -> None:
        """Ask for the next page."""
        if self.canFetchMore(parent):
            self._waiting = Way.LATER
            self.moreWanted.emit()

    def can_fetch_earlier(self) -> bool:
        """Whether there are rows in front of the first ones and nothing is on its way."""
        return self.start_anchor is not None and self._waiting is None

    def fetch_earlier(self) -> None:
        """Ask for the page in front of the first row."""
        if self.can_fetch_earlier():
            self._waiting = Way.EARLIER
            self.earlierWanted.emit()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many rows are held."""
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
        """Return column names with types and keys as tool tips, and row numbers where they are known."""
        if orientation is Qt.Orientation.Vertical:
            return self._row_head(section, role)
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

    def _row_head(self, section: int, role: int) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole:
            return colours().faint
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return "" if self._first is None else QLocale().toString(self._first + section + 1)

    def _append(self, held: _Held, rows: tuple[tuple[Any, ...], ...]) -> None:
        self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(rows) - 1)
        self._rows.extend(rows)
        self._pages.append(held)
        self.endInsertRows()
        while len(self._pages) > MOST_PAGES:
            gone = self._pages[0].rows
            self.beginRemoveRows(QModelIndex(), 0, gone - 1)
            self._pages.popleft()
            del self._rows[:gone]
            self._first = None if self._first is None else self._first + gone
            self._travelled += gone
            self.endRemoveRows()

    def _prepend(self, held: _Held, rows: tuple[tuple[Any, ...], ...]) -> None:
        self.beginInsertRows(QModelIndex(), 0, len(rows) - 1)
        self._rows[:0] = rows
        self._pages.appendleft(held)
        self._first = self._number_before(len(rows), held)
        self._travelled -= len(rows)
        self.endInsertRows()
        while len(self._pages) > MOST_PAGES:
            gone = self._pages[-1].rows
            self.beginRemoveRows(QModelIndex(), len(self._rows) - gone, len(self._rows) - 1)
            self._pages.pop()
            del self._rows[-gone:]
            self.endRemoveRows()

    def _number_before(self, rows: int, held: _Held) -> int | None:
        """Return the number of the first row after `rows` came in front; at the start of the table it is known."""
        if held.start is None:
            return 0
        return None if self._first is None else max(self._first - rows, 0)

    def _end(self, way: Way) -> None:
        """Take note that nothing was left on that side, although the anchor promised it."""
        if not self._pages:
            return
        if way is Way.LATER:
            last = self._pages.pop()
            self._pages.append(_Held(last.rows, last.start, None))
        else:
            first = self._pages.popleft()
            self._pages.appendleft(_Held(first.rows, None, first.anchor))
            self._first = 0
            self.headerDataChanged.emit(Qt.Orientation.Vertical, 0, len(self._rows) - 1)

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
