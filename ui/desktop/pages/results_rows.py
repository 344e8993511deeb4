"""The test rows of a run as a table: filtered and sorted by Arrow, read cell by cell, however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from core.outputs import CLICK, CONVERSION, OUTPUTS, label_column, output_title, probability_column

from ..charts import numbers
from ..palette import colours

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_FIRST = ("probability", "label")
_HIDDEN = ("row",)
_CHANCE = probability_column("")
_LABELS = (label_column(CLICK), label_column(CONVERSION))


class RowsModel(QAbstractTableModel):
    """Probability and label first, then the fields as read. `at(row)` is the number of the test row behind a line."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows = pa.table({})
        self._columns: dict[str, pa.Array] = {}
        self._names: tuple[str, ...] = ()
        self._order = np.zeros(0, np.int64)
        self._text = ""
        self._sort: tuple[str, bool] = ("", False)

    @property
    def rows(self) -> pa.Table:
        """Return all rows."""
        return self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns in the order shown."""
        return self._names

    def set_rows(self, rows: pa.Table) -> None:
        """Show other rows, highest probability first, keeping the filter."""
        self.beginResetModel()
        self._rows = rows
        self._columns = {name: pa.concat_arrays(rows[name].chunks) for name in rows.column_names if rows.num_rows}
        first = [name for name in _FIRST if name in rows.column_names]
        self._names = tuple(first + [name for name in rows.column_names if name not in (*first, *_HIDDEN)])
        self._sort = ("probability", True) if "probability" in self._names else ("", False)
        self._arrange()
        self.endResetModel()

    def search(self, text: str) -> None:
        """Show rows in which some value contains the text, whatever its case."""
        self.beginResetModel()
        self._text = text.strip()
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; missing values come last."""
        self.beginResetModel()
        name = self._names[column] if 0 <= column < len(self._names) else ""
        self._sort = (name, order is Qt.SortOrder.DescendingOrder)
        self._arrange()
        self.endResetModel()

    def at(self, row: int) -> int:
        """Return the number of the test row shown on a line."""
        return int(self._order[row])

    def line_of(self, row: int) -> int:
        """Return the line that shows a test row, or -1."""
        found = np.flatnonzero(self._order == row)
        return int(found[0]) if len(found) else -1

    def shown(self) -> pa.Table:
        """Return the rows that pass the filter, in the order shown."""
        return self._rows.take(pa.array(self._order))

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of lines."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._names)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a role asks about a cell."""
        if not index.isValid():
            return None
        name = self._names[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(self._side(name) | Qt.AlignmentFlag.AlignVCenter)
        if role not in (
            Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ForegroundRole,
        ):  # fmt: skip
            return None
        value = self._columns[name][self.at(index.row())].as_py()
        if role == Qt.ItemDataRole.ForegroundRole:
            return colours().faint if value is None else None
        return _text_of(name, value)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a column's name and side."""
        if orientation is Qt.Orientation.Vertical or not 0 <= section < len(self._names):
            return None
        name = self._names[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._head(name)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(self._side(name) | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _head(self, name: str) -> str:
        output = name.removeprefix(_CHANCE)
        if output in OUTPUTS and output != name:
            return output_title(output)
        heads = {
            "probability": self.tr("Predicted"),
            "label": self.tr("Observed"),
            label_column(CLICK): self.tr("Clicked"),
            label_column(CONVERSION): self.tr("Converted"),
        }
        return heads.get(name, name)

    def _side(self, name: str) -> Qt.AlignmentFlag:
        numeric = pa.types.is_integer(kind := self._rows.schema.field(name).type) or pa.types.is_floating(kind)
        return Qt.AlignmentFlag.AlignRight if numeric else Qt.AlignmentFlag.AlignLeft

    def _arrange(self) -> None:
        kept = self._matching()
        name, descending = self._sort
        if name and len(kept):
            column = self._rows[name].take(pa.array(kept))
            order = "descending" if descending else "ascending"
            places = pc.sort_indices(column, sort_keys=[("", order)])
            kept = kept[places.to_numpy()]
        self._order = kept

    def _matching(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        if not self._text or not self._rows.num_rows:
            return np.arange(self._rows.num_rows)
        found = np.zeros(self._rows.num_rows, bool)
        for name in self._names:
            if name not in _FIRST:
                found |= _contains(self._rows[name], self._text)
        return np.flatnonzero(found)


def _contains(column: pa.ChunkedArray, text: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    hits = pc.match_substring(_as_text(column), text, ignore_case=True)
    return np.asarray(pc.fill_null(hits, False).to_numpy(zero_copy_only=False), dtype=bool)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    plain = column.cast(kind) if pa.types.is_dictionary(column.type) else column
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.chunked_array([[None if value is None else str(value) for value in plain.to_pylist()]], pa.string())
    return plain.cast(pa.string())


def _text_of(name: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if name == "probability" or name.removeprefix(_CHANCE) in OUTPUTS:
        return numbers.percent(value, 2)
    if name in ("label", *_LABELS):
        return "1" if value else "0"
    if name == "rank" and float(value).is_integer():  # ties may share a place between two
        return numbers.whole(round(value))
    if isinstance(value, float):
        return numbers.number(value)
    return str(value)
