"""The Data page: open a source, look at its tables, choose the one whose rows are to be learned from."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListView,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.commands import ReadPage
from crosslens.relational import TableInfo, TableRef

from ..fonts import SPACE
from ..models.rows import RowsModel
from ..models.tables import TABLE, TablesFilter, TablesModel
from ..opening import open_path, try_sample
from ..preparing import use_table
from ..session import Session
from ..widgets.busy_line import BusyLine
from ..widgets.buttons import Button
from ..widgets.labels import Badge, Elided, Muted, Title
from ..widgets.table_list import TableDelegate
from ..widgets.views import DataTable, SearchBox
from ..wording import keys_of, row_count, table_name, whole
from ..worker_client import Failure, Request
from .data_start import StartPanel, choose_database, choose_project
from .page import Page

WIDEST = 320


class DataPage(Page):
    """Tables on the left, the rows of the chosen one on the right."""

    page_id = "data"
    icon_name = "data"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.setAcceptDrops(True)
        self.start = StartPanel(session)
        self.tables = TablesModel(self)
        self.rows = RowsModel(self)
        self._reading: Request | None = None
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start)
        self._stack.addWidget(self._make_browser())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(BusyLine(session))
        layout.addWidget(self._stack, 1)
        self.rows.moreWanted.connect(self._read)
        self.primary.triggered.connect(self._use)
        session.sourceChanged.connect(self._show_source)
        session.projectChanged.connect(self.start.refresh)
        self._show_source()

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Data")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Choose the table with one row per impression: every time something was shown.")

    @property
    def table(self) -> TableInfo | None:
        """Return the chosen table."""
        index = self.list.currentIndex()
        return index.data(TABLE) if index.isValid() else None

    def choose(self, ref: TableRef) -> None:
        """Choose a table of the list."""
        for row in range(self._filter.rowCount()):
            index = self._filter.index(row, 0)
            if index.data(TABLE).ref == ref:
                self.list.setCurrentIndex(index)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept one local file or folder."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        event.acceptProposedAction()
        open_path(self.session, Path(event.mimeData().urls()[0].toLocalFile()))

    def _make_browser(self) -> QWidget:
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self._make_list())
        splitter.addWidget(self._make_preview())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([310, 900])
        return splitter

    def _make_list(self) -> QWidget:
        self._name, self._place, self._badge = Title(level=2), Elided(), Badge()
        self._name.setWordWrap(False)
        self._search = SearchBox(self.tr("Find a table or column"))
        self._filter = TablesFilter(self)
        self._filter.setSourceModel(self.tables)
        self._search.textChanged.connect(self._filter.search)
        self.list = QListView()
        self.list.setAccessibleName(self.tr("Tables"))
        self.list.setModel(self._filter)
        self.list.setItemDelegate(TableDelegate(self.list))
        self.list.setMouseTracking(True)
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.selectionModel().currentChanged.connect(self._show_table)
        self.list.doubleClicked.connect(lambda _: self._use())
        panel = QWidget()
        layout = QVBoxLayout(panel)
        layout.setContentsMargins(3 * SPACE, 0, SPACE, 2 * SPACE)
        layout.setSpacing(SPACE)
        layout.addLayout(self._make_source_line())
        place = QHBoxLayout()
        place.setSpacing(SPACE)
        place.addWidget(self._place, 1)
        place.addWidget(self._badge)
        layout.addLayout(place)
        layout.addWidget(self._search)
        layout.addWidget(self.list, 1)
        return panel

    def _make_source_line(self) -> QHBoxLayout:
        self._open = other = Button(self.tr("Open"))
        menu = QMenu(other)
        menu.addAction(self.tr("Another database…"), lambda: choose_database(self.session, self))
        menu.addAction(self.tr("Another project…"), lambda: choose_project(self.session, self))
        menu.addAction(self.tr("The sample shop"), lambda: try_sample(self.session))
        other.setMenu(menu)
        line = QHBoxLayout()
        line.addWidget(self._name, 1)
        line.addWidget(other)
        return line

    def _make_preview(self) -> QWidget:
        self._table_name, self._table_facts = Title(level=2), Muted(wrap=False)
        self._table_name.setMinimumHeight(self._open.sizeHint().height())
        self._loaded = Muted(wrap=False)
        self.view = DataTable()
        self.view.setAccessibleName(self.tr("Rows of the table"))
        self.view.setModel(self.rows)
        panel = QWidget()
        head = QHBoxLayout()
        head.setSpacing(2 * SPACE)
        head.addWidget(self._table_name)
        head.addWidget(self._table_facts, 1)
        head.addWidget(self._loaded)
        layout = QVBoxLayout(panel)
        layout.setContentsMargins(SPACE, 0, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(SPACE)
        layout.addLayout(head)
        layout.addWidget(self.view, 1)
        return panel

    def _show_source(self) -> None:
        connection, overview = self.session.connection, self.session.overview
        self._stack.setCurrentIndex(0 if connection is None else 1)
        self.tables.show_tables(() if overview is None else overview.tables)
        self._show_primary()
        if connection is None:
            return
        self._name.setText(Path(connection.database).name)
        self._place.setText(str(Path(connection.database).parent))
        self._show_badge("" if overview is None else overview.read_only)
        if overview is not None and overview.tables:
            base = self.session.draft.query.base if self.session.draft is not None else _likely_base(overview.tables)
            self.choose(base)
        else:
            self._show_table(QModelIndex())

    def _show_badge(self, read_only: str) -> None:
        if read_only:
            self._badge.show_as(self.tr("read-only"), tone="good", icon_name="lock", tip=read_only)
        else:
            self._badge.show_as(self.tr("read-only not enforced"), tone="warn", icon_name="warn")
        self._badge.setVisible(self.session.overview is not None)

    def _show_table(self, index: QModelIndex) -> None:
        table: TableInfo | None = index.data(TABLE) if index.isValid() else None
        if self._reading is not None:
            self._reading.stop()
            self._reading = None
        self.rows.start(table)
        self._show_primary()
        self._table_name.setText("" if table is None else table_name(table.ref))
        self._table_facts.setText("" if table is None else self._facts(table))
        if table is not None:
            self._read()

    def _facts(self, table: TableInfo) -> str:
        rows = row_count(table)
        columns = self.tr("%n column(s)", "", len(table.columns))
        parts = [self.tr("{count} rows").format(count=rows), columns] if rows else [columns]
        return "  ·  ".join([*parts, keys_of(table)])

    def _show_primary(self) -> None:
        table = self.table
        self.primary.setText("" if self.session.connection is None else self.tr("Use this table →"))
        self.primary.setEnabled(table is not None)
        self.primary.setToolTip(self.tr("Follow its keys and suggest what its columns mean"))

    def _read(self) -> None:
        table, connection = self.table, self.session.connection
        if table is None or connection is None:
            return
        command = ReadPage(connection, table.ref, after=self.rows.anchor)
        request = self.session.request(command, None, lambda failure: self._give_up(request, failure))
        request.finished.connect(lambda page: self._take(request, page))
        request.stopped.connect(lambda: self._forget(request))
        self._reading = request

    def _take(self, request: Request, page: object) -> None:
        if request is not self._reading:
            return
        self._reading = None
        first = self.rows.rowCount() == 0
        self.rows.show_page(page)
        if first:
            self._fit_columns()
        count = whole(self.rows.rowCount())
        words = self.tr("first {count} rows") if self.rows.anchor is not None else self.tr("all {count} rows")
        self._loaded.setText(words.format(count=count))

    def _give_up(self, request: Request, failure: Failure) -> None:
        if request is self._reading:
            self._forget(request)
            self.session.fail(failure)

    def _forget(self, request: Request) -> None:
        if request is self._reading:
            self._reading = None
            self.rows.give_up()

    def _fit_columns(self) -> None:
        self.view.resizeColumnsToContents()
        for column in range(self.rows.columnCount()):
            self.view.setColumnWidth(column, min(self.view.columnWidth(column) + SPACE, WIDEST))

    def _use(self) -> None:
        if self.table is not None:
            use_table(self.session, self.table.ref)


def _likely_base(tables: tuple[TableInfo, ...]) -> TableRef:
    """Return the table that most looks like impressions: others refer to it, and it refers to many."""

    def weight(table: TableInfo) -> tuple[bool, int, int]:
        referred = any(key.target == table.ref for other in tables for key in other.foreign_keys if other != table)
        return referred and bool(table.foreign_keys), len(table.foreign_keys), table.rows or 0

    return max(tables, key=weight).ref
