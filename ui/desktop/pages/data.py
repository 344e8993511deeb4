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
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from crosslens.relational import ConnectionSpec, TableInfo, TableRef

from ..fonts import SPACE
from ..models.rows import RowsModel
from ..models.tables import TABLE, TablesFilter, TablesModel
from ..opening import open_paths, open_saved, try_sample
from ..preparing import use_select, use_table
from ..session import Session
from ..sources import source_name, source_place
from ..widgets.busy_line import BusyLine
from ..widgets.buttons import Button
from ..widgets.labels import Badge, Elided, Muted, Title
from ..widgets.paged_table import PagedTable
from ..widgets.table_list import TableDelegate
from ..widgets.views import SearchBox
from ..wording import keys_of, row_count, table_name
from .data_browser import Browsed, RowsBrowser
from .data_connect import ConnectPanel
from .data_sql import SelectPanel
from .data_start import StartPanel, choose_database, choose_files, choose_folder, choose_project
from .page import Page

START, BROWSE, CONNECT = range(3)
"""What the page shows."""


class DataPage(Page):
    """Tables on the left, the rows of the chosen one, or of the user's own SELECT, on the right."""

    page_id = "data"
    icon_name = "data"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._shown: ConnectionSpec | None = None
        self.setAcceptDrops(True)
        self.start = StartPanel(session)
        self.connecting = ConnectPanel(session)
        self.tables = TablesModel(self)
        self._stack = QStackedWidget()
        for panel in (self.start, self._make_browser(), self.connecting):
            self._stack.addWidget(panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(BusyLine(session))
        layout.addWidget(self._stack, 1)
        self.primary.triggered.connect(self._use)
        self.start.connectWanted.connect(lambda: self.connect_to_server())
        self.connecting.left.connect(self._show_source)
        session.passwordWanted.connect(self.connect_to_server)
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

    @property
    def rows(self) -> RowsModel:
        """Return the rows of the chosen table that have been read."""
        return self.browser.rows

    @property
    def view(self) -> PagedTable:
        """Return the view of the chosen table's rows."""
        return self.browser.view

    def choose(self, ref: TableRef) -> None:
        """Choose a table of the list."""
        row = self.tables.row_of(ref)
        index = self._filter.mapFromSource(self.tables.index(row, 0))
        if index.isValid():
            self.list.setCurrentIndex(index)

    def connect_to_server(self, connection: ConnectionSpec | None = None) -> None:
        """Show the panel that connects: empty, or for a connection whose password is missing."""
        self.connecting.begin(connection)
        self._stack.setCurrentIndex(CONNECT)
        self._show_primary()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept local files and folders."""
        urls = event.mimeData().urls()
        if urls and all(url.isLocalFile() for url in urls):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        event.acceptProposedAction()
        open_paths(self.session, [Path(url.toLocalFile()) for url in event.mimeData().urls()])

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
        self._menu = QMenu(other)
        self._menu.aboutToShow.connect(self._fill_menu)
        other.setMenu(self._menu)
        line = QHBoxLayout()
        line.addWidget(self._name, 1)
        line.addWidget(other)
        return line

    def _fill_menu(self) -> None:
        """Offer the connections of the project, and the ways to open something else."""
        menu, session = self._menu, self.session
        menu.clear()
        saved = session.connections.saved()
        for connection in saved if len(saved) > 1 else ():
            action = menu.addAction(connection.name, lambda *_, chosen=connection: open_saved(session, chosen.spec))
            action.setToolTip(source_place(connection.spec))
        if saved:
            menu.addAction(self.tr("Saved connections…"), lambda: self.connect_to_server())
            menu.addSeparator()
        menu.addAction(self.tr("A database file…"), lambda: choose_database(session, self))
        menu.addAction(self.tr("A server…"), lambda: self.connect_to_server())
        menu.addAction(self.tr("A file of rows…"), lambda: choose_files(session, self))
        menu.addAction(self.tr("A folder of files…"), lambda: choose_folder(session, self))
        menu.addAction(self.tr("Another project…"), lambda: choose_project(session, self))
        menu.addAction(self.tr("The sample shop"), lambda: try_sample(session))

    def _make_preview(self) -> QWidget:
        self._table_name, self._table_facts = Title(level=2), Muted(wrap=False)
        self._table_name.setMinimumHeight(self._open.sizeHint().height())
        self.browser = RowsBrowser(self.session)
        self.browser.read.connect(self._show_primary)
        self.select = SelectPanel(self.session)
        self.select.changed.connect(self._show_primary)
        table = QWidget()
        head = QHBoxLayout()
        head.setSpacing(2 * SPACE)
        head.addWidget(self._table_name)
        head.addWidget(self._table_facts, 1)
        inner = QVBoxLayout(table)
        inner.setContentsMargins(0, SPACE, 0, 0)
        inner.setSpacing(SPACE)
        inner.addLayout(head)
        inner.addWidget(self.browser, 1)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(self.tr("Where the rows come from"))
        self.tabs.addTab(table, self.tr("Table"))
        self.tabs.addTab(self.select, self.tr("SQL"))
        self.tabs.currentChanged.connect(lambda _: self._show_primary())
        panel = QWidget()
        layout = QVBoxLayout(panel)
        layout.setContentsMargins(SPACE, 0, 3 * SPACE, 2 * SPACE)
        layout.addWidget(self.tabs)
        return panel

    def _show_source(self) -> None:
        connection, overview = self.session.connection, self.session.overview
        self._stack.setCurrentIndex(START if connection is None else BROWSE)
        self.tables.show_tables(() if overview is None else overview.tables)
        self._show_primary()
        if connection is None:
            return
        if connection != self._shown:
            self._shown = connection
            self.select.clear()
        self._name.setText(source_name(connection))
        self._place.setText(source_place(connection))
        self._show_badge("" if overview is None else overview.read_only)
        if overview is not None and overview.tables:
            self._show_draft(overview.tables)
        else:
            self._show_table(QModelIndex())

    def _show_draft(self, tables: tuple[TableInfo, ...]) -> None:
        """Go on with the table, or the SELECT, of the preparation."""
        query = None if self.session.draft is None else self.session.draft.query
        if query is not None and query.select:
            self.select.show_select(query.select)
        chosen = query is not None and not query.select
        self.choose(query.base if query is not None and chosen else _likely_base(tables))

    def _show_badge(self, read_only: str) -> None:
        if read_only:
            self._badge.show_as(self.tr("read-only"), tone="good", icon_name="lock", tip=read_only)
        else:
            self._badge.show_as(self.tr("read-only not enforced"), tone="warn", icon_name="warn")
        self._badge.setVisible(self.session.overview is not None)

    def _show_table(self, index: QModelIndex) -> None:
        table: TableInfo | None = index.data(TABLE) if index.isValid() else None
        self._table_name.setText("" if table is None else table_name(table.ref))
        self._table_facts.setText("" if table is None else self._facts(table))
        self.browser.show_rows(None if table is None else Browsed(table))
        self._show_primary()

    def _facts(self, table: TableInfo) -> str:
        rows = row_count(table)
        columns = self.tr("%n column(s)", "", len(table.columns))
        parts = [self.tr("{count} rows").format(count=rows), columns] if rows else [columns]
        return "  ·  ".join([*parts, keys_of(table)])

    def _show_primary(self) -> None:
        browsing = self._stack.currentIndex() == BROWSE
        own = self.tabs.currentWidget() is self.select
        words = self.tr("Use these rows →") if own else self.tr("Use this table →")
        self.primary.setText(words if browsing and self.session.connection is not None else "")
        self.primary.setEnabled(bool(self.select.select) if own else self._has_rows())
        self.primary.setToolTip(
            self.tr("It has no rows to learn from")
            if self.browser.is_empty and not own
            else self.tr("Follow its keys and suggest what its columns mean")
        )

    def _has_rows(self) -> bool:
        return self.table is not None and not self.browser.is_empty

    def _use(self) -> None:
        if self.tabs.currentWidget() is self.select:
            if self.select.select:
                use_select(self.session, self.select.select)
        elif self.table is not None and self._has_rows():
            use_table(self.session, self.table.ref)


def _likely_base(tables: tuple[TableInfo, ...]) -> TableRef:
    """Return the table that most looks like impressions: others refer to it, and it refers to many."""
    targets = {key.target for table in tables for key in table.foreign_keys if key.target != table.ref}

    def weight(table: TableInfo) -> tuple[bool, int, int]:
        referred = table.ref in targets
        return referred and bool(table.foreign_keys), len(table.foreign_keys), table.rows or 0

    return max(tables, key=weight).ref
