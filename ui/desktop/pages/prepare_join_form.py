"""A join made by hand: which table, along which columns, and what becomes of several partners."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.commands import JoinsMeasured, MeasureJoins
from crosslens.relational import ColumnRef, JoinKind, JoinSpec, TableInfo

from ..draft import free_name
from ..fonts import SPACE
from ..join_choices import left_columns, times
from ..preparing import take_new_join
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted
from ..widgets.views import roomy
from ..wording import join_facts_words, join_kind_help, join_kind_words, table_name
from ..worker_client import Failure

MOST_PAIRS = 4
"""Columns of a compound key."""
WAIT_MILLISECONDS = 400


class JoinForm(QWidget):
    """Choose, see what the join would do, add it. `left` tells that the form is done with."""

    left = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.table, self.kind = _box(self.tr("Table to join")), _box(self.tr("What becomes of its rows"))
        for kind in JoinKind:
            self.kind.addItem(join_kind_words(kind), kind)
            self.kind.setItemData(self.kind.count() - 1, join_kind_help(kind), Qt.ItemDataRole.ToolTipRole)
        self.pairs: list[tuple[QComboBox, QComboBox]] = []
        self._pairs = QVBoxLayout()
        self._pairs.setSpacing(4)
        self.facts = Muted()
        self.more = Button(self.tr("+ column"), weight=Weight.QUIET)
        self.add = Button(self.tr("Add"))
        self.cancel = Button(self.tr("Cancel"), weight=Weight.QUIET)
        self._wait = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._wait.timeout.connect(self._measure)
        self._lay_out()
        self.table.currentIndexChanged.connect(lambda _: self._show_table())
        self.kind.currentIndexChanged.connect(lambda _: self._changed())
        self.more.clicked.connect(lambda: self.add_pair())
        self.add.clicked.connect(self._add)
        self.cancel.clicked.connect(lambda: self.left.emit())

    def begin(self) -> None:
        """Start with the first table and one pair of columns."""
        overview = self._session.overview
        self.table.blockSignals(True)
        self.table.clear()
        for table in () if overview is None else overview.tables:
            self.table.addItem(table_name(table.ref), table)
        self.table.blockSignals(False)
        while self.pairs:
            self._drop_pair()
        self.add_pair()
        self._show_table()
        self.table.setFocus()

    @property
    def join(self) -> JoinSpec | None:
        """Return the join as chosen, or None while something is missing."""
        draft, table = self._session.draft, self.table.currentData()
        if draft is None or not isinstance(table, TableInfo):
            return None
        on = tuple((left.currentData(), str(right.currentText())) for left, right in self.pairs)
        if not on or any(not isinstance(left, ColumnRef) or not right for left, right in on):
            return None
        kind = JoinKind(self.kind.currentData())
        join = JoinSpec(free_name(draft, table.ref.name), table.ref, on, kind)
        known = times(self._session.overview, join)
        if kind is not JoinKind.LATEST:
            return join
        return JoinSpec(join.name, join.table, on, kind, known[0]) if known else None

    def add_pair(self) -> None:
        """Add two columns that must be alike."""
        left, right = _box(self.tr("Column before the join")), _box(self.tr("Column of the table"))
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        for widget, stretch in ((left, 1), (QLabel("="), 0), (right, 1)):
            layout.addWidget(widget, stretch)
        draft = self._session.draft
        for column in () if draft is None else left_columns(draft, self._session.overview):
            left.addItem(str(column), column)
        self._fill_right(right)
        self.pairs.append((left, right))
        self._pairs.addWidget(line)
        self.more.setEnabled(len(self.pairs) < MOST_PAIRS)
        for box in (left, right):
            box.currentIndexChanged.connect(lambda _: self._changed())
        self._changed()

    def _drop_pair(self) -> None:
        left, _ = self.pairs.pop()
        line = left.parentWidget()
        line.setParent(None)
        line.deleteLater()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(SPACE)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Join"), self.table)
        form.addRow(self.tr("Where"), self._pairs)
        form.addRow(self.tr("Take"), self.kind)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        buttons.addWidget(self.add)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.more)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(form)
        layout.addWidget(self.facts)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def _show_table(self) -> None:
        for _, right in self.pairs:
            self._fill_right(right)
        if self.pairs:
            self._match(*self.pairs[0])
        self._changed()

    def _fill_right(self, box: QComboBox) -> None:
        table = self.table.currentData()
        box.blockSignals(True)
        box.clear()
        if isinstance(table, TableInfo):
            box.addItems([column.name for column in table.columns])
        box.blockSignals(False)

    def _match(self, left: QComboBox, right: QComboBox) -> None:
        """Choose columns of one name, or the table's key, so that often nothing is left to choose."""
        table = self.table.currentData()
        if not isinstance(table, TableInfo) or not table.columns:
            return
        pairs = [(place, _partner(left.itemData(place), table)) for place in range(left.count())]
        place, name = next(((place, name) for place, name in pairs if name), (0, table.columns[0].name))
        left.setCurrentIndex(place)
        right.setCurrentText(name)

    def _changed(self) -> None:
        self.add.setEnabled(self.join is not None)
        without_time = self.join is None and self.kind.currentData() == JoinKind.LATEST
        self.facts.setText(self.tr("No column of this table says when a row was known.") if without_time else "")
        self._wait.start()

    def _measure(self) -> None:
        draft, connection, join = self._session.draft, self._session.connection, self.join
        if draft is None or connection is None or join is None or not self.isVisible():
            return
        self.facts.setText(self.tr("Measuring…"))
        query = replace(draft.query, columns=(), joins=(*draft.query.joins, join), time=None, sample=None)
        self._session.inquire("new-join", MeasureJoins(connection, query), self._show_facts, self._show_failure)

    def _show_facts(self, answer: JoinsMeasured) -> None:
        fact = next((fact for fact in answer.facts if self.join is not None and fact.name == self.join.name), None)
        self.facts.setText(fact.problem if fact is not None and fact.problem else join_facts_words(fact))

    def _show_failure(self, failure: Failure) -> None:
        self.facts.setText(" ".join(part for part in (failure.what, failure.why) if part))

    def _add(self) -> None:
        if self.join is not None:
            take_new_join(self._session, self.join)
            self.left.emit()


def _partner(column: ColumnRef, table: TableInfo) -> str:
    """Return the column of `table` whose name says that it belongs to `column`, or an empty string."""
    names = {each.name.lower(): each.name for each in table.columns}
    key = table.primary_key[0] if table.primary_key else ""
    name, source = column.column.lower(), _stem(column.source)
    if key and name in (f"{_stem(table.ref.name)}_id", f"{_stem(table.ref.name)}id"):
        return key
    for referring in (f"{source}_{name}", f"{source}{name}"):
        if referring in names:
            return names[referring]
    return names[name] if name in names and name != key.lower() else ""


def _stem(name: str) -> str:
    return name.lower().removesuffix("s")


def _box(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    roomy(box)
    return box
