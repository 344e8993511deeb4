"""The Prepare page: joins, the meaning of columns, label and split, and what to look out for."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QMenu,
    QPlainTextEdit,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.recipe import Repair
from crosslens.relational import ColumnRef
from crosslens.schema import FieldKind, FieldRole, TimePart

from ..checking import Checks
from ..draft import apply_repair, can_train, findings, take_back
from ..fonts import SPACE
from ..models.columns import KINDS, Column, ColumnsFilter, ColumnsModel
from ..session import Session
from ..widgets.busy_line import BusyLine
from ..widgets.buttons import Button, Weight
from ..widgets.cards import EmptyState
from ..widgets.column_delegates import ChoiceDelegate, DistributionDelegate
from ..widgets.findings_list import FindingsList
from ..widgets.labels import Muted
from ..widgets.views import DataTable, SearchBox
from ..wording import kind_words, part_words, repair_words, repaired_words, role_help, role_words
from .page import Page
from .prepare_goal import GoalCard
from .prepare_joins import JoinsCard
from .prepare_rows import RowsLine

BINS = (0, 5, 10, 20, 50)
"""Numbers of quantile bins to choose from; 0 leaves numbers as they are."""
LEAST_ROWS = 7
"""How many lines of the columns' table a small window keeps."""
WIDTHS = {
    Column.NAME: 190, Column.ROLE: 124, Column.KIND: 130, Column.MISSING: 76, Column.DISTINCT: 80,
    Column.VALUES: 120, Column.EXAMPLES: 190,
}  # fmt: skip


class PreparePage(Page):
    """Shows and edits the session's draft."""

    page_id = "prepare"
    icon_name = "prepare"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.checks = Checks(session, self)
        self.columns = ColumnsModel(session, self)
        self.filtered = ColumnsFilter(self.columns, self)
        self._stack = QStackedWidget()
        empty = EmptyState(
            "prepare",
            self.tr("Nothing to prepare yet"),
            self.tr("Open a database and choose the table whose rows are to be learned from."),
            self.tr("Go to Data"),
        )
        empty.button.clicked.connect(lambda: session.navigate("data"))
        self._stack.addWidget(empty)
        self._stack.addWidget(self._in_scroll_area(self._make_workbench()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(BusyLine(session))
        layout.addWidget(self._stack, 1)
        self.primary.triggered.connect(lambda: session.navigate("train"))
        session.preparationChanged.connect(self._refresh)
        self._refresh()

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Prepare")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Say what the columns mean: what to predict, what to learn from, what to leave out.")

    def selected(self) -> list[ColumnRef]:
        """Return the selected columns, in the order of the table."""
        rows = {self.filtered.mapToSource(index).row() for index in self.view.selectionModel().selectedIndexes()}
        return [self.columns.column(row) for row in sorted(rows)]

    def _in_scroll_area(self, bench: QWidget) -> QScrollArea:
        """Let a small window scroll instead of pressing everything together."""
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(bench)
        return area

    def _make_workbench(self) -> QWidget:
        self.joins, self.goal = JoinsCard(self.session), GoalCard(self.session)
        cards = QHBoxLayout()
        cards.setSpacing(2 * SPACE)
        cards.addWidget(self.joins, 3)
        cards.addWidget(self.goal, 2)
        self.rows = RowsLine(self.session, self.checks)
        self.findings = FindingsList()
        self.findings.repairWanted.connect(self._repair)
        self.findings.takenBack.connect(self._take_back)
        self.checks.changed.connect(self._show_counts)
        self.sql = QPlainTextEdit(readOnly=True)
        self.sql.setAccessibleName(self.tr("SQL of the query"))
        self.sql.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.sql.setMaximumHeight(200)
        self.sql.hide()
        bench = QWidget()
        layout = QVBoxLayout(bench)
        layout.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(SPACE + 4)
        layout.addLayout(cards)
        layout.addWidget(self.rows)
        layout.addWidget(self.findings)
        layout.addLayout(self._make_tools())
        layout.addWidget(self._make_view(), 1)
        layout.addWidget(self.sql)
        return bench

    def _make_tools(self) -> QHBoxLayout:
        self._search = SearchBox(self.tr("Find a column"))
        self._search.setFixedWidth(240)
        self._search.textChanged.connect(self.filtered.search)
        self._counts = Muted(wrap=False)
        self._bulk = Button(self.tr("Change selected"))
        self._bulk.setMenu(self._make_menu(self._bulk))
        self._undo, self._redo = self._make_undo("undo"), self._make_undo("redo")
        self._show_sql = Button(self.tr("Show SQL"), weight=Weight.QUIET, icon_name="code")
        self._show_sql.setCheckable(True)
        self._show_sql.toggled.connect(self.sql.setVisible)
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        for widget in (self._search, self._bulk, self._undo, self._redo):
            line.addWidget(widget)
        self._name_undo()
        line.addStretch(1)
        line.addWidget(self._counts)
        line.addWidget(self._show_sql)
        return line

    def _make_undo(self, icon_name: str) -> Button:
        stack = self.session.undo_stack
        button = Button(weight=Weight.QUIET, icon_name=icon_name)
        undo = icon_name == "undo"
        button.setEnabled(stack.canUndo() if undo else stack.canRedo())
        button.clicked.connect(stack.undo if undo else stack.redo)
        (stack.canUndoChanged if undo else stack.canRedoChanged).connect(button.setEnabled)
        stack.indexChanged.connect(self._name_undo)
        return button

    def _name_undo(self) -> None:
        stack = self.session.undo_stack
        for button, words, step, keys in (
            (self._undo, self.tr("Undo"), stack.undoText(), "Ctrl+Z"),
            (self._redo, self.tr("Redo"), stack.redoText(), "Ctrl+Y"),
        ):
            name = f"{words} “{step}”" if step else words
            button.setAccessibleName(name)
            button.setToolTip(f"{name} ({keys})")

    def _make_menu(self, parent: QWidget) -> QMenu:
        menu = QMenu(parent)
        menu.addAction(self.tr("Use"), lambda: self.columns.use(self.selected(), True))
        menu.addAction(self.tr("Ignore"), lambda: self.columns.use(self.selected(), False))
        roles, kinds = menu.addMenu(self.tr("Role")), menu.addMenu(self.tr("Read as"))
        for role in FieldRole:
            roles.addAction(role_words(role), lambda *_, role=role: self.columns.give_role(self.selected(), role))
        for kind in KINDS:
            kinds.addAction(kind_words(kind), lambda *_, kind=kind: self.columns.read_as(self.selected(), kind))
        self._add_details(menu)
        return menu

    def _add_details(self, menu: QMenu) -> None:
        """Add what the kinds leave to choose; `_show_details` enables what the selected columns can use."""
        menu.addSeparator()
        bins = menu.addMenu(self.tr("Numbers in bins"))
        for count in BINS:
            words = self.tr("{count} bins").format(count=count) if count else self.tr("As they are")
            bins.addAction(words, lambda *_, count=count: self.columns.bin(self.selected(), count))
        parts = menu.addMenu(self.tr("Several values, parted at"))
        for delimiter, words in self._delimiters():
            parts.addAction(words, lambda *_, mark=delimiter: self.columns.part_at(self.selected(), mark))
        times = menu.addMenu(self.tr("Of a time, take"))
        for part in TimePart:
            action = times.addAction(part_words(part))
            action.setCheckable(True)
            action.triggered.connect(lambda on, part=part: self.columns.take_part(self.selected(), part, on))
        self._details = {FieldKind.NUMERICAL: bins, FieldKind.MULTI_VALUED: parts, FieldKind.TIMESTAMP: times}
        menu.aboutToShow.connect(self._show_details)

    def _delimiters(self) -> tuple[tuple[str, str], ...]:
        return (
            (",", self.tr("comma  ,")),
            (";", self.tr("semicolon  ;")),
            ("|", self.tr("bar  |")),
            (" ", self.tr("space")),
            ("/", self.tr("slash  /")),
        )

    def _show_details(self) -> None:
        draft = self.session.draft
        chosen = set(self.selected())
        fields = [] if draft is None else [field for field in draft.fields if field.column in chosen]
        for kind, menu in self._details.items():
            menu.menuAction().setEnabled(any(field.kind is kind for field in fields))
        times = [field for field in fields if field.kind is FieldKind.TIMESTAMP]
        for action, part in zip(self._details[FieldKind.TIMESTAMP].actions(), TimePart, strict=True):
            action.setChecked(bool(times) and all(part in field.parts for field in times))

    def _make_view(self) -> DataTable:
        self.view = view = DataTable()
        view.setAccessibleName(self.tr("Columns"))
        view.setModel(self.filtered)
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + SPACE + 6)
        view.horizontalHeader().setStretchLastSection(True)
        view.setMinimumHeight(LEAST_ROWS * view.verticalHeader().defaultSectionSize())
        for column, width in WIDTHS.items():
            view.setColumnWidth(column, width)
        roles = [(role.value, role_words(role), role_help(role)) for role in FieldRole]
        view.setItemDelegateForColumn(Column.ROLE, ChoiceDelegate(roles, view))
        kinds = [(kind.value, kind_words(kind), "") for kind in KINDS]
        view.setItemDelegateForColumn(Column.KIND, ChoiceDelegate(kinds, view))
        view.setItemDelegateForColumn(Column.VALUES, DistributionDelegate(view))
        view.clicked.connect(self._open_choice)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._open_menu)
        view.selectionModel().selectionChanged.connect(lambda *_: self._show_selection())
        return view

    def _open_choice(self, index: QModelIndex) -> None:
        if index.column() in (Column.ROLE, Column.KIND) and len(self.selected()) == 1:
            self.view.edit(index)

    def _open_menu(self, place: QPoint) -> None:
        if self.selected():
            self._bulk.menu().exec(self.view.viewport().mapToGlobal(place))

    def _refresh(self) -> None:
        draft = self.session.draft
        self._stack.setCurrentIndex(0 if draft is None else 1)
        self.primary.setText("" if draft is None else self.tr("Continue to Train →"))
        self.primary.setEnabled(can_train(draft))
        if draft is None:
            return
        found = findings(draft)
        stops = [finding.message for finding in found if finding.severity == "stop"]
        self.primary.setToolTip("\n".join(stops))
        self.findings.show_findings(found, draft.repairs)
        if self.sql.toPlainText() != draft.sql:
            self.sql.setPlainText(draft.sql)
        self._show_counts()
        self._show_selection()

    def _show_counts(self) -> None:
        draft = self.session.draft
        if draft is None:
            return
        used = self.tr("{used} of {all} columns are features")
        words = used.format(used=len(draft.fields.features), all=len(draft.fields))
        self._counts.setText(self.tr("checking…  ·  {words}").format(words=words) if self.checks.checking else words)

    def _repair(self, repair: Repair) -> None:
        if self.session.draft is not None:
            self.session.edit(repair_words(repair), apply_repair(self.session.draft, repair))

    def _take_back(self, repair: Repair) -> None:
        if self.session.draft is not None:
            text = self.tr("Take back: {repair}").format(repair=repaired_words(repair))
            self.session.edit(text, take_back(self.session.draft, repair))

    def _show_selection(self) -> None:
        count = len(self.selected())
        self._bulk.setEnabled(count > 0)
        self._bulk.setText(self.tr("Change %n selected", "", count) if count else self.tr("Change selected"))
        self._bulk.updateGeometry()
