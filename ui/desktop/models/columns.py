"""Columns of the preparation as a table: what each is used for, how it is read, and what its values look like."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from crosslens.relational import ColumnProfile, ColumnRef
from crosslens.schema import Field, FieldKind, FieldRole, TimePart

from ..draft import rename, set_bins, set_delimiter, set_kind, set_part, set_role, set_used
from ..palette import colours
from ..session import Session
from ..wording import field_words, kind_words, part_words, percent, role_help, role_words, whole

Index = QModelIndex | QPersistentModelIndex
FIELD = Qt.ItemDataRole.UserRole
PROFILE = Qt.ItemDataRole.UserRole + 1
SORT = Qt.ItemDataRole.UserRole + 2

KINDS = (
    FieldKind.CATEGORICAL,
    FieldKind.NUMERICAL,
    FieldKind.MULTI_VALUED,
    FieldKind.TIMESTAMP,
    FieldKind.TEXT,
)
"""Kinds to choose from, in the order of the list."""


class Column(IntEnum):
    """Columns of the view."""

    NAME = 0
    ROLE = 1
    KIND = 2
    MISSING = 3
    DISTINCT = 4
    VALUES = 5
    EXAMPLES = 6
    REASON = 7


class ColumnsModel(QAbstractTableModel):
    """Listens to the session's draft; editing a cell edits the draft, one step of undo each."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._fields: tuple[Field, ...] = ()
        self._profiles: dict[ColumnRef, ColumnProfile] = {}
        session.preparationChanged.connect(self._follow)
        self._follow()

    def column(self, row: int) -> ColumnRef:
        """Return which column of the query a row stands for."""
        return self._fields[row].column

    def give_role(self, columns: Collection[ColumnRef], role: FieldRole) -> None:
        """Give several columns a role."""
        if (draft := self._session.draft) is not None:
            text = self.tr("Role: {role}").format(role=role_words(role))
            self._session.edit(text, set_role(draft, columns, role))

    def read_as(self, columns: Collection[ColumnRef], kind: FieldKind) -> None:
        """Read several columns as another kind."""
        if (draft := self._session.draft) is not None:
            text = self.tr("Read as: {kind}").format(kind=kind_words(kind))
            self._session.edit(text, set_kind(draft, columns, kind))

    def bin(self, columns: Collection[ColumnRef], bins: int) -> None:
        """Part several numbers into bins; 0 leaves them as they are."""
        if (draft := self._session.draft) is not None:
            text = self.tr("{count} bins").format(count=bins) if bins else self.tr("No bins")
            self._session.edit(text, set_bins(draft, columns, bins))

    def part_at(self, columns: Collection[ColumnRef], delimiter: str) -> None:
        """Part the values of several columns at a delimiter."""
        if (draft := self._session.draft) is not None:
            text = self.tr("Part at “{delimiter}”").format(delimiter=delimiter)
            self._session.edit(text, set_delimiter(draft, columns, delimiter))

    def take_part(self, columns: Collection[ColumnRef], part: TimePart, taken: bool) -> None:
        """Give a part of several moments to the models, or keep it from them."""
        if (draft := self._session.draft) is not None:
            text = self.tr("Time: {part}").format(part=part_words(part))
            self._session.edit(text, set_part(draft, columns, part, taken))

    def use(self, columns: Collection[ColumnRef], used: bool) -> None:
        """Use several columns, or ignore them."""
        if (draft := self._session.draft) is not None:
            text = self.tr("Use columns") if used else self.tr("Ignore columns")
            self._session.edit(text, set_used(draft, columns, used))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many columns the query has."""
        return 0 if parent.isValid() else len(self._fields)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own default
        """Return how many columns the view has."""
        return 0 if parent.isValid() else len(Column)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        if index.column() == Column.NAME:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() in (Column.NAME, Column.ROLE, Column.KIND):
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, check mark, alignment, colour, or the field and its profile."""
        if not index.isValid():
            return None
        field, place = self._fields[index.row()], Column(index.column())
        profile = self._profiles.get(field.column)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(field, profile, place)
        if role == Qt.ItemDataRole.EditRole:
            return {Column.NAME: field.name, Column.ROLE: field.role.value, Column.KIND: field.kind.value}.get(place)
        if role == Qt.ItemDataRole.CheckStateRole and place is Column.NAME:
            return Qt.CheckState.Unchecked if field.role is FieldRole.IGNORE else Qt.CheckState.Checked
        if role == Qt.ItemDataRole.TextAlignmentRole and place in (Column.MISSING, Column.DISTINCT):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._ink(field, place)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(field, profile, place)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(field, profile, place)
        return {FIELD: field, PROFILE: profile, SORT: self._order(index.row(), field, profile, place)}.get(role)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Edit the draft."""
        draft = self._session.draft
        if not index.isValid() or draft is None:
            return False
        column, place = self.column(index.row()), Column(index.column())
        if role == Qt.ItemDataRole.CheckStateRole:
            self.use([column], Qt.CheckState(value) is Qt.CheckState.Checked)
        elif role == Qt.ItemDataRole.EditRole and place is Column.ROLE:
            self.give_role([column], FieldRole(value))
        elif role == Qt.ItemDataRole.EditRole and place is Column.KIND:
            self.read_as([column], FieldKind(value))
        elif role == Qt.ItemDataRole.EditRole and place is Column.NAME:
            self._session.edit(self.tr("Rename"), rename(draft, column, str(value)))
        else:
            return False
        return True

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the heads and what they mean."""
        if orientation is Qt.Orientation.Vertical or section >= len(Column):
            return None
        name, tip = self._heads()[Column(section)]
        if role == Qt.ItemDataRole.DisplayRole:
            return name
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right = section in (Column.MISSING, Column.DISTINCT)
            return (
                Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
            ) | Qt.AlignmentFlag.AlignVCenter
        return tip if role == Qt.ItemDataRole.ToolTipRole else None

    def _heads(self) -> dict[Column, tuple[str, str]]:
        return {
            Column.NAME: (self.tr("Column"), self.tr("Ticked columns are used. Double-click to rename.")),
            Column.ROLE: (self.tr("Role"), self.tr("What the column is for.")),
            Column.KIND: (self.tr("Read as"), self.tr("How its values are understood.")),
            Column.MISSING: (self.tr("Missing"), self.tr("Share of rows without a value.")),
            Column.DISTINCT: (self.tr("Distinct"), self.tr("How many different values were seen.")),
            Column.VALUES: (self.tr("Values"), self.tr("How often which values occur.")),
            Column.EXAMPLES: (self.tr("Examples"), self.tr("The most frequent values.")),
            Column.REASON: (self.tr("Why"), self.tr("Why role and kind were suggested; empty where you chose.")),
        }

    def _follow(self) -> None:
        draft = self._session.draft
        fields = () if draft is None else draft.fields.fields
        same = [field.column for field in fields] == [field.column for field in self._fields]
        if not same:
            self.beginResetModel()
        self._fields = fields
        self._profiles = {} if draft is None else {profile.column: profile for profile in draft.profiles}
        if not same:
            self.endResetModel()
        elif fields:
            self.dataChanged.emit(self.index(0, 0), self.index(len(fields) - 1, len(Column) - 1))

    def _text(self, field: Field, profile: ColumnProfile | None, place: Column) -> str:
        if place is Column.NAME:
            return field.name
        if place is Column.ROLE:
            return role_words(field.role)
        if place is Column.KIND:
            return field_words(field)
        if place is Column.REASON:
            return field.reason
        if profile is None:
            return ""
        if place is Column.MISSING:
            return percent(profile.nulls / profile.rows, 1) if profile.rows and profile.nulls else "–"
        if place is Column.DISTINCT:
            return whole(profile.distinct)
        return ", ".join(value for value, _ in profile.examples[:5]) if place is Column.EXAMPLES else ""

    def _ink(self, field: Field, place: Column) -> Any:
        tones = colours()
        if field.role is FieldRole.IGNORE:
            return tones.faint
        if place is Column.ROLE and field.role.is_label:
            return tones.accent
        return tones.muted if place in (Column.REASON, Column.EXAMPLES) else None

    def _tip(self, field: Field, profile: ColumnProfile | None, place: Column) -> str | None:
        if place is Column.NAME:
            return str(field.column)
        if place is Column.ROLE:
            return role_help(field.role)
        if place is Column.KIND:
            return field_words(field)
        if place is Column.REASON:
            return field.reason or self.tr("You chose this.")
        if profile is None:
            return None
        if place in (Column.EXAMPLES, Column.VALUES):
            lines = [f"{value}  ×  {whole(count)}" for value, count in profile.examples]
            return "\n".join([*self._range(profile), *lines])
        seen = self.tr("on a sample of {rows} rows") if profile.sampled else self.tr("on {rows} rows")
        return seen.format(rows=whole(profile.rows))

    def _range(self, profile: ColumnProfile) -> list[str]:
        if profile.minimum is None or profile.maximum is None:
            return []
        low, high = (f"{end:g}" if isinstance(end, float) else str(end) for end in (profile.minimum, profile.maximum))
        return [self.tr("from {low} to {high}").format(low=low, high=high)]

    def _spoken(self, field: Field, profile: ColumnProfile | None, place: Column) -> str:
        if place is Column.VALUES:
            return self._text(field, profile, Column.EXAMPLES)
        name = self._heads()[place][0]
        return f"{field.name}, {name}: {self._text(field, profile, place)}"

    def _order(self, row: int, field: Field, profile: ColumnProfile | None, place: Column) -> Any:
        if place is Column.MISSING and profile is not None and profile.rows:
            return profile.nulls / profile.rows
        if place is Column.DISTINCT and profile is not None:
            return profile.distinct
        return row if place is Column.VALUES else self._text(field, profile, place).casefold()


class ColumnsFilter(QSortFilterProxyModel):
    """Keeps columns whose name, role or examples contain the words typed; sorts numbers as numbers."""

    def __init__(self, model: ColumnsModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words = ""
        self.setSortRole(SORT)
        self.setSourceModel(model)

    def search(self, words: str) -> None:
        """Filter by these words."""
        self.beginFilterChange()
        self._words = words.strip().casefold()
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        """Whether the column matches."""
        model = self.sourceModel()
        places = (Column.NAME, Column.ROLE, Column.KIND, Column.EXAMPLES)
        return any(self._words in str(model.index(row, place, parent).data()).casefold() for place in places)
