"""Saved connections as a table: what they are called, what they lead to, when they were used last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QDateTime,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from core.connections import connection_kind, connection_place
from crosslens.runs import StoredConnection

from ..icons import icon
from ..palette import colours
from ..sources import is_file, is_guarded

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class Column(IntEnum):
    """What is said of a connection."""

    NAME = 0
    KIND = 1
    PLACE = 2
    USED = 3
    ACCESS = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A line: a connection of this project, or (`project`, a folder) the one another project was opened with."""

    saved: StoredConnection
    project: str = ""


class ConnectionsModel(QAbstractTableModel):
    """One row per connection. `renamed` tells that somebody typed another name (entry, name)."""

    renamed = Signal(object, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[Entry, ...] = ()
        self._editable = True

    def show_entries(self, entries: tuple[Entry, ...], *, editable: bool) -> None:
        """Show other connections; `editable`: names may be changed."""
        self.beginResetModel()
        self._entries, self._editable = entries, editable
        self.endResetModel()

    def entry(self, row: int) -> Entry | None:
        """Return the connection of a row, None if there is no such row."""
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return how many connections there are."""
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Return how much is said of each."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the head of a column."""
        if orientation is Qt.Orientation.Vertical or role != Qt.ItemDataRole.DisplayRole:
            return None
        heads = (self.tr("Name"), self.tr("Kind"), self.tr("Where"), self.tr("Last used"), self.tr("Read-only"))
        return heads[section]

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return that names of this project's connections can be edited."""
        base = super().flags(index)
        own = index.isValid() and not self._entries[index.row()].project
        editable = own and self._editable and index.column() == Column.NAME
        return base | Qt.ItemFlag.ItemIsEditable if editable else base

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a role asks about a connection."""
        if not index.isValid():
            return None
        entry, column = self._entries[index.row()], index.column()
        if role == Qt.ItemDataRole.EditRole and column == Column.NAME:
            return entry.saved.name
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._text(entry, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(entry) if column == Column.NAME else self._text(entry, column)
        if role == Qt.ItemDataRole.DecorationRole:
            return _mark(entry, column)
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tell that another name was typed; whether it is taken shows in the rows that follow."""
        if not index.isValid() or role != Qt.ItemDataRole.EditRole or index.column() != Column.NAME:
            return False
        self.renamed.emit(self._entries[index.row()], str(value))
        return True

    def _text(self, entry: Entry, column: int) -> str:
        saved = entry.saved
        if column == Column.NAME:
            return saved.name
        if column == Column.KIND:
            return connection_kind(saved.spec)
        if column == Column.PLACE:
            return connection_place(saved.spec)
        if column == Column.USED:
            return self.tr("in another project") if entry.project else _moment(saved)
        return self.tr("enforced") if is_guarded(saved.spec) else self.tr("not enforced")

    def _sentence(self, entry: Entry) -> str:
        parts = [self._text(entry, column) for column in Column]
        parts[Column.ACCESS] = f"{self.tr('Read-only')} {parts[Column.ACCESS]}"
        return ", ".join(part for part in parts if part)


def _mark(entry: Entry, column: int) -> Any:
    spec, tones = entry.saved.spec, colours()
    if column == Column.NAME:
        return icon("data" if is_file(spec) else "server", tones.muted)
    if column == Column.ACCESS:
        return icon("lock", tones.good) if is_guarded(spec) else icon("warn", tones.warn)
    return None


def _moment(saved: StoredConnection) -> str:
    if saved.last_used is None:
        return ""
    moment = QDateTime.fromMSecsSinceEpoch(round(saved.last_used.timestamp() * 1000))
    return QLocale().toString(moment, QLocale.FormatType.ShortFormat)
