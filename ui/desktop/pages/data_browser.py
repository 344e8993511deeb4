"""Rows of a table, a view or a SELECT: the first page at once, then wherever one scrolls or jumps to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from core.commands import CountRows, PageRead, ReadPage, RowsCounted
from crosslens.relational import QuerySpec, TableInfo, TableRef

from ..fonts import SPACE, scaled
from ..models.rows import RowsModel
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted
from ..widgets.paged_table import PagedTable
from ..widgets.problem import ProblemPanel
from ..widgets.views import roomy
from ..wording import about, percent, table_name, whole
from ..worker_client import Failure, Request

WIDEST = 320
MOST_FITTED, ROWS_FITTED, MOST_LETTERS = 60, 40, 60
"""How many columns are fitted, to how many rows and letters; a table of 1,500 columns must not hold the window up."""


@dataclass(frozen=True, slots=True)
class Browsed:
    """What is looked at: a table or view, or a SELECT under a name of its own."""

    table: TableInfo
    select: str = ""


class RowsBrowser(QWidget):
    """Reads pages as they are scrolled to; counts on request; jumps. `read` tells that the first page has come."""

    read = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.rows = RowsModel(self)
        self.view = PagedTable()
        self.view.setAccessibleName(self.tr("Rows of the table"))
        self.view.show_rows(self.rows)
        self.problem = ProblemPanel()
        self.problem.again.connect(lambda: self.show_rows(self._browsed))
        self._browsed: Browsed | None = None
        self._reading: Request | None = None
        self._counting: Request | None = None
        self._share = 0.0
        self._total: int | None = None
        self._total_is_exact = False
        self._is_empty = False
        self._stack = QStackedWidget()
        self._stack.addWidget(self.view)
        self._stack.addWidget(self.problem)
        self._foot = self._make_foot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._foot)
        self.rows.moreWanted.connect(self._read_later)
        self.rows.earlierWanted.connect(self._read_earlier)
        self.view.moved.connect(self._tell)
        for keys, share in (("Ctrl+Home", 0.0), ("Ctrl+End", 1.0)):
            shortcut = QShortcut(QKeySequence(keys), self.view)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(partial(self.go_to, share))

    @property
    def reading(self) -> bool:
        """Whether rows are on their way."""
        return self._reading is not None

    @property
    def is_empty(self) -> bool:
        """Whether what is looked at has no rows at all."""
        return self._is_empty

    @property
    def position(self) -> str:
        """Return the sentence about where one is."""
        return self._position.text()

    def show_rows(self, browsed: Browsed | None) -> None:
        """Show the first rows of something else, or nothing."""
        self.stop()
        self._browsed = browsed
        self._total = None if browsed is None or browsed.select else browsed.table.rows
        self._total_is_exact = browsed is not None and not browsed.table.rows_are_estimated
        self._jump(None)

    def go_to(self, share: float) -> None:
        """Jump to a place of the table, 0..1; 0 is the start."""
        if self._browsed is not None:
            self._jump(share or None)

    def stop(self) -> None:
        """Stop what is being read or counted."""
        for request in (self._reading, self._counting):
            if request is not None:
                request.stop()
        self._reading = self._counting = None

    def count(self) -> None:
        """Count all rows exactly, or stop doing so; while the first rows are on their way, stop those."""
        connection, browsed = self._session.connection, self._browsed
        if self._reading_first:
            self._stop_first()
            return
        if self._counting is not None:
            self._counting.stop()
            return
        if connection is None or browsed is None:
            return
        query = QuerySpec(browsed.table.ref, (), select=browsed.select)
        request = self._session.request(CountRows(connection, query), None, self._session.fail, lane="aside")
        request.finished.connect(lambda answer: self._take_count(request, answer))
        for signal in (request.failed, request.stopped):
            signal.connect(lambda *_: self._end_count(request))
        self._counting = request
        self._tell()

    def _make_foot(self) -> QWidget:
        self._position = Muted(wrap=False)
        self._count = Button(self.tr("Count exactly"), weight=Weight.QUIET)
        self._count.clicked.connect(lambda: self.count())
        foot = QWidget()
        line = QHBoxLayout(foot)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(SPACE // 2)
        line.addWidget(self._position)
        line.addWidget(self._count)
        line.addStretch(1)
        line.addWidget(Muted(self.tr("Go to"), wrap=False))
        for words, share in ((self.tr("Start"), 0.0), (self.tr("Middle"), 0.5), (self.tr("End"), 1.0)):
            button = Button(words, weight=Weight.QUIET)
            button.setAccessibleName(self.tr("Go to: {place}").format(place=words))
            button.clicked.connect(lambda *_, share=share: self.go_to(share))
            line.addWidget(button)
        self._percent = QSpinBox(minimum=0, maximum=100, suffix=" %")
        self._percent.setAccessibleName(self.tr("Go to a share of the table, per cent"))
        self._percent.setToolTip(self._percent.accessibleName())
        self._percent.setKeyboardTracking(False)
        self._percent.valueChanged.connect(lambda value: self.go_to(value / 100))
        roomy(self._percent)
        line.addWidget(self._percent)
        return foot

    def _jump(self, near: float | None) -> None:
        self._stop_reading()
        table = None if self._browsed is None else self._browsed.table
        self._share = near or 0.0
        self._is_empty = False
        self._percent.blockSignals(True)
        self._percent.setValue(round(100 * self._share))
        self._percent.blockSignals(False)
        self._stack.setCurrentIndex(0)
        self._foot.setVisible(table is not None)
        self.rows.start(table, first=0 if near is None else None)
        if table is not None:
            self._read(near=near)
        self._tell()

    def _read_later(self) -> None:
        self._read(after=self.rows.anchor)

    def _read_earlier(self) -> None:
        self._read(before=self.rows.start_anchor)

    def _read(
        self,
        *,
        after: tuple[str | int | float | bool | None, ...] | None = None,
        before: tuple[str | int | float | bool | None, ...] | None = None,
        near: float | None = None,
    ) -> None:
        connection, browsed = self._session.connection, self._browsed
        if connection is None or browsed is None:
            return
        command = ReadPage(connection, browsed.table.ref, after, select=browsed.select, before=before, near=near)
        request = self._session.request(command, None, lambda failure: self._give_up(request, failure))
        request.finished.connect(lambda page: self._take(request, page))
        request.stopped.connect(lambda: self._forget(request))
        self._reading = request

    def _take(self, request: Request, page: PageRead) -> None:
        if request is not self._reading:
            return
        self._reading = None
        first = self.rows.rowCount() == 0
        self.rows.show_page(page)
        if first:
            self._show_first()
        self._tell()

    def _show_first(self) -> None:
        self._fit_columns()
        if not self.rows.rowCount() and not self._share:
            self._show_empty()
        if self._share == 1.0:
            self.view.scrollToBottom()
        # A view at its upper end cannot be scrolled further up: the rows in front are fetched beforehand.
        self.rows.fetch_earlier()
        self.read.emit()

    def _show_empty(self) -> None:
        self._is_empty = True
        self.problem.show_failure(self._nothing(), tone="note")
        self._stack.setCurrentIndex(1)
        self._foot.hide()

    def _nothing(self) -> Failure:
        """Return what to say of something without rows."""
        browsed = self._browsed
        if browsed is None or browsed.select:
            return Failure(
                self.tr("The SELECT gives no rows."), do=self.tr("Change what it asks for, and run it again.")
            )
        count, name = len(browsed.table.columns), table_name(browsed.table.ref)
        return Failure(
            self.tr("“{name}” has no rows.").format(name=name),
            self.tr("It has %n column(s), and nothing in them to learn from.", "", count)
            if count
            else self.tr("There is not even a column in it."),
            self.tr("Choose another table, or fill this one and try again."),
        )

    def _give_up(self, request: Request, failure: Failure) -> None:
        if request is not self._reading:
            return
        self._forget(request)
        if self.rows.rowCount():
            self._session.fail(failure)
        else:
            self.problem.show_failure(failure)
            self._stack.setCurrentIndex(1)
            self._foot.hide()

    def _forget(self, request: Request) -> None:
        if request is self._reading:
            self._reading = None
            self.rows.give_up()
            self._tell()

    @property
    def _reading_first(self) -> bool:
        return self.reading and not self.rows.rowCount()

    def _stop_first(self) -> None:
        self._stop_reading()
        self.rows.give_up()
        self.problem.show_failure(Failure(self.tr("Reading was stopped.")))
        self._stack.setCurrentIndex(1)
        self._foot.hide()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            former, self._reading = self._reading, None
            former.stop()

    def _take_count(self, request: Request, answer: RowsCounted) -> None:
        if request is self._counting:
            self._total, self._total_is_exact = answer.rows, True
            self._end_count(request)

    def _end_count(self, request: Request) -> None:
        if request is self._counting:
            self._counting = None
            self._tell()

    def _tell(self) -> None:
        self._position.setText(self._words())
        counting = self._counting is not None
        known = self._total_is_exact and self._total is not None
        whole_table = self.rows.first == 0 and self.rows.anchor is None and self.rows.rowCount() > 0
        words = self.tr("Counting… Stop") if counting else self.tr("Count exactly")
        self._count.setText(self.tr("Stop") if self._reading_first else words)
        self._count.setVisible(counting or self._reading_first or not (known or whole_table))
        self._count.updateGeometry()

    def _words(self) -> str:
        top, bottom = self.view.in_view
        first, held = self.rows.first, self.rows.rowCount()
        if self._browsed is None:
            return ""
        if top < 0 or not held:
            return self.tr("Reading…") if self.reading else self.tr("No rows")
        if first == 0 and self.rows.anchor is None:
            return self._range(top, bottom, self.tr("{count} rows").format(count=whole(held)))
        total = self._total_words()
        if first is not None:
            return self._range(first + top, first + bottom, total)
        if self._share == 1.0 and self.rows.anchor is None:
            return self.tr("the last rows of {total}").format(total=total) if total else self.tr("the last rows")
        place = "" if self._total is None else self._place(top)
        share = percent(self._share)
        near = self.tr("near row {place}").format(place=place) if place else self.tr("near {share}").format(share=share)
        return self.tr("{near} of {total}").format(near=near, total=total) if total else near

    def _place(self, top: int) -> str:
        """Return about which row is on top after a jump: from where it led, and how far one scrolled since."""
        landed = round(self._share * (self._total or 0)) + self.rows.travelled + top
        return about(min(max(landed, 1), self._total or 1))

    def _range(self, first: int, last: int, total: str) -> str:
        words = self.tr("rows {first} – {last}").format(first=whole(first + 1), last=whole(last + 1))
        return self.tr("{range} of {total}").format(range=words, total=total) if total else words

    def _total_words(self) -> str:
        if self._total is None:
            return ""
        if self._total_is_exact:
            return self.tr("{count} rows").format(count=whole(self._total))
        return self.tr("about {count} rows").format(count=about(self._total))

    def _fit_columns(self) -> None:
        """Give columns the width of their heads and first values; asking every cell's delegate would take seconds."""
        heads = QFontMetrics(scaled(self.view.horizontalHeader().font(), 1.0, bold=True))
        cells, model = self.view.fontMetrics(), self.rows
        for column in range(min(model.columnCount(), MOST_FITTED)):
            words = [str(model.index(row, column).data()) for row in range(min(model.rowCount(), ROWS_FITTED))]
            head = heads.horizontalAdvance(str(model.headerData(column, Qt.Orientation.Horizontal)))
            widest = max([head, *(cells.horizontalAdvance(word[:MOST_LETTERS]) for word in words)])
            self.view.setColumnWidth(column, min(widest + 3 * SPACE, WIDEST))


def browsed_select(name: str, select: str) -> Browsed:
    """Return the user's own SELECT as something to browse; its columns come with its rows."""
    return Browsed(TableInfo(TableRef(name), (), rows_are_estimated=True), select)
