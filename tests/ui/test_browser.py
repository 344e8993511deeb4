"""Big tables: pages in both directions, jumps, counts, and a view that does not move under the reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import shiboken6
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QAbstractItemModelTester

from core.commands import CountRows, PageRead, ReadPage, RowsCounted
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, TableInfo, TableRef
from ui.desktop.models import rows as rows_module
from ui.desktop.models.rows import RowsModel
from ui.desktop.pages.data_browser import Browsed, RowsBrowser, browsed_select
from ui.desktop.session import Notice
from ui.desktop.worker_client import Failure, Request, RequestState

from .pages_helpers import RecordingSession, finish

COLUMNS = (ColumnInfo("id", ColumnType.INTEGER, "INTEGER"), ColumnInfo("name", ColumnType.TEXT, "TEXT"))
EVENTS = TableInfo(TableRef("events"), COLUMNS, ("id",), rows=100_000, rows_are_estimated=True)
PAGE = 200


def page_at(first: int, length: int, *, rows: int = PAGE) -> PageRead:
    """Return the rows from `first` on of a table of `length` rows, as a source would."""
    first = max(0, min(first, length))
    last = min(first + rows, length)
    cells = tuple((number, f"row {number}") for number in range(first, last))
    return PageRead(COLUMNS, cells, (last,) if last < length else None, (first,) if first else None)


def answer(command: ReadPage, length: int) -> PageRead:
    """Return the page a source with `length` rows would send."""
    if command.near is not None:
        return page_at(min(int(command.near * length), length - PAGE), length)
    if command.before is not None:
        end = int(command.before[0])
        return page_at(end - PAGE, length, rows=min(PAGE, end))
    return page_at(0 if command.after is None else int(command.after[0]), length)


class TableSession(RecordingSession):
    """A session on one long table: pages come in the next turn of the event loop."""

    length = 100_000
    counts = True

    def request(self, command: Any, *args: Any, **options: Any) -> Request:
        request = super().request(command, *args, **options)
        if isinstance(command, ReadPage):
            QTimer.singleShot(0, request, lambda: self._answer(request, answer(command, self.length)))
        elif isinstance(command, CountRows) and self.counts:
            QTimer.singleShot(0, request, lambda: self._answer(request, RowsCounted(self.length)))
        return request

    def _answer(self, request: Request, value: Any) -> None:
        if not request.state.is_final:
            finish(request, value)

    @property
    def reads(self) -> list[ReadPage]:
        return [request.command for request in self.asked if isinstance(request.command, ReadPage)]


@pytest.fixture
def table(qapp: Any, tmp_path: Path) -> Iterator[TableSession]:
    session = TableSession(tmp_path)
    session.connection = ConnectionSpec("sqlite", "events.db")
    yield session
    session.close()
    shiboken6.delete(session)


@pytest.fixture
def browser(table: TableSession, qtbot: Any) -> RowsBrowser:
    browser = RowsBrowser(table)
    qtbot.addWidget(browser)
    browser.resize(700, 500)
    browser.show()
    browser.show_rows(Browsed(EVENTS))
    qtbot.waitUntil(lambda: browser.rows.rowCount() >= PAGE and not browser.reading)
    return browser


def top(browser: RowsBrowser) -> str:
    """Return the text of the first cell in view."""
    return str(browser.rows.index(browser.view.rowAt(0), 0).data())


def scroll(browser: RowsBrowser, rows: int, qtbot: Any) -> None:
    bar = browser.view.verticalScrollBar()
    bar.setValue(bar.value() + rows)
    qtbot.waitUntil(lambda: not browser.reading)


def test_the_first_page_is_read_without_a_count(browser: RowsBrowser, table: TableSession) -> None:
    first = table.reads[0]
    assert (first.after, first.before, first.near) == (None, None, None)
    assert not any(isinstance(request.command, CountRows) for request in table.asked)
    assert browser.position.startswith("rows 1 – ")
    assert browser.position.endswith("of about 100,000 rows")


def test_scrolling_far_holds_a_few_thousand_rows_and_numbers_them_from_the_start(
    browser: RowsBrowser, qtbot: Any
) -> None:
    for _ in range(60):
        scroll(browser, 190, qtbot)
    assert browser.rows.rowCount() <= rows_module.MOST_PAGES * PAGE
    assert browser.rows.first > 0
    shown = browser.view.rowAt(0)
    head = browser.rows.headerData(shown, Qt.Orientation.Vertical)
    assert head.replace(",", "") == str(int(top(browser)) + 1)


def test_scrolling_back_reads_the_rows_in_front_again_down_to_the_first(browser: RowsBrowser, qtbot: Any) -> None:
    for _ in range(40):
        scroll(browser, 190, qtbot)
    for _ in range(60):
        scroll(browser, -190, qtbot)
    assert browser.rows.first == 0
    assert top(browser) == "0"
    assert browser.rows.rowCount() <= rows_module.MOST_PAGES * PAGE


def test_rows_that_come_or_go_above_leave_the_view_where_it_is(
    browser: RowsBrowser, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "MOST_PAGES", 3)
    browser.go_to(0.5)
    qtbot.waitUntil(lambda: not browser.reading and browser.rows.rowCount() >= 2 * PAGE)
    assert top(browser) == "50000"
    bar = browser.view.verticalScrollBar()
    for step in (150, 150, 60, 100, -250, -170, -100):
        before = int(top(browser))
        bar.setValue(bar.value() + step)
        at_once = int(top(browser))
        assert at_once == before + step
        qtbot.waitUntil(lambda: not browser.reading)
        assert int(top(browser)) == at_once


@pytest.mark.parametrize(("share", "row"), [(0.0, "0"), (0.5, "50000"), (0.25, "25000")])
def test_a_jump_shows_the_rows_of_that_place(browser: RowsBrowser, share: float, row: str, qtbot: Any) -> None:
    browser.go_to(share)
    qtbot.waitUntil(lambda: not browser.reading and browser.rows.rowCount() > 0)
    assert top(browser) == row


def test_after_a_jump_row_numbers_are_left_out_and_the_place_is_about(browser: RowsBrowser, qtbot: Any) -> None:
    browser.go_to(0.5)
    qtbot.waitUntil(lambda: not browser.reading and browser.rows.rowCount() > 0)
    assert browser.rows.headerData(0, Qt.Orientation.Vertical) == ""
    assert browser.position == "near row 50,000 of about 100,000 rows"


def test_the_end_shows_the_last_row_and_one_can_scroll_up_from_there(browser: RowsBrowser, qtbot: Any) -> None:
    browser.go_to(1.0)
    qtbot.waitUntil(lambda: not browser.reading and browser.rows.rowCount() >= 2 * PAGE)
    assert browser.rows.index(browser.rows.rowCount() - 1, 0).data() == "99999"
    assert browser.view.in_view[1] == browser.rows.rowCount() - 1
    assert browser.position == "the last rows of about 100,000 rows"


def test_the_ends_of_the_table_are_a_key_away(browser: RowsBrowser, table: TableSession, qtbot: Any) -> None:
    browser.view.setFocus()
    with qtbot.waitExposed(browser.window()):
        browser.window().activateWindow()
    qtbot.keyClick(browser.view, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    assert table.reads[-1].near == 1.0
    qtbot.keyClick(browser.view, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert (table.reads[-1].near, table.reads[-1].after) == (None, None)


def test_the_percentage_box_jumps_and_follows_jumps(browser: RowsBrowser, table: TableSession) -> None:
    browser._percent.setValue(75)
    assert table.reads[-1].near == 0.75
    browser.go_to(0.5)
    assert browser._percent.value() == 50


def test_rows_are_counted_exactly_on_request_beside_the_reading(
    browser: RowsBrowser, table: TableSession, qtbot: Any
) -> None:
    browser._count.click()
    assert table.asked[-1].lane == "aside"
    qtbot.waitUntil(lambda: browser.position.endswith("of 100,000 rows"))
    assert "about" not in browser.position
    assert not browser._count.isVisible()


def test_a_count_that_takes_long_can_be_stopped(browser: RowsBrowser, table: TableSession) -> None:
    table.counts = False
    browser._count.click()
    assert browser._count.text() == "Counting… Stop"
    browser._count.click()
    assert table.asked[-1].state is RequestState.STOPPED
    assert browser._count.text() == "Count exactly"


def test_a_short_table_is_known_without_counting(browser: RowsBrowser, table: TableSession, qtbot: Any) -> None:
    table.length = 7
    browser.show_rows(Browsed(EVENTS))
    qtbot.waitUntil(lambda: browser.rows.rowCount() == 7)
    assert browser.position == "rows 1 – 7 of 7 rows"
    assert not browser._count.isVisible()


def test_a_select_is_read_by_its_text(browser: RowsBrowser, table: TableSession, qtbot: Any) -> None:
    browser.show_rows(browsed_select("query", "SELECT 1"))
    assert table.reads[-1].select == "SELECT 1"
    qtbot.waitUntil(lambda: browser.rows.columnCount() == 2)
    browser._count.click()
    assert table.asked[-1].command.query.select == "SELECT 1"


def test_a_table_that_cannot_be_read_says_so_in_its_place_and_is_tried_again(
    browser: RowsBrowser, table: TableSession, qtbot: Any
) -> None:
    browser.show_rows(Browsed(EVENTS))
    finish(table.last, Failure("No right to read it.", "Denied.", "Ask."), RequestState.FAILED)
    assert browser.problem.isVisible()
    assert browser.problem.text() == "No right to read it.\nDenied. Ask."
    assert not table.seen
    browser.problem.button.click()
    qtbot.waitUntil(lambda: browser.rows.rowCount() >= PAGE)
    assert browser.view.isVisible()


def test_a_page_that_fails_while_scrolling_leaves_the_rows_that_are_there(
    browser: RowsBrowser, table: TableSession
) -> None:
    held = browser.rows.rowCount()
    browser.view.scrollToBottom()
    finish(table.last, Failure("Gone."), RequestState.FAILED)
    assert browser.rows.rowCount() == held
    assert [notice.what for notice in table.seen if isinstance(notice, Notice)] == ["Gone."]


def test_first_rows_that_take_long_can_be_stopped_and_tried_again(
    browser: RowsBrowser, table: TableSession, qtbot: Any
) -> None:
    browser.show_rows(Browsed(EVENTS))
    assert browser._count.text() == "Stop"
    browser._count.click()
    assert table.last.state is RequestState.STOPPED
    assert browser.problem.text() == "Reading was stopped."
    browser.problem.button.click()
    qtbot.waitUntil(lambda: browser.rows.rowCount() >= PAGE)


def test_a_table_of_very_many_columns_does_not_hold_the_window_up(
    browser: RowsBrowser, table: TableSession, qtbot: Any
) -> None:
    columns = tuple(ColumnInfo(f"column {number}", ColumnType.TEXT) for number in range(1500))
    wide = TableInfo(TableRef("wide"), columns)
    browser.show_rows(Browsed(wide))
    start = monotonic()
    finish(table.last, PageRead(columns, tuple(("x" * 30,) * 1500 for _ in range(PAGE)), None))
    assert monotonic() - start < 1.0
    assert browser.rows.columnCount() == 1500


def test_what_was_being_read_is_stopped_when_something_else_is_shown(browser: RowsBrowser, table: TableSession) -> None:
    browser.show_rows(Browsed(EVENTS))
    former = table.last
    browser.show_rows(browsed_select("query", "SELECT 2"))
    assert former.state is RequestState.STOPPED


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 9), st.integers(1, 4))
def test_what_is_held_is_always_one_stretch_of_the_table(later: list[bool], start: int, most: int) -> None:
    model = RowsModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    former, rows_module.MOST_PAGES = rows_module.MOST_PAGES, most
    try:
        model.start(EVENTS, first=0 if start == 0 else None)
        model.show_page(page_at(start * 30, 300, rows=30))
        for down in later:
            follow(model, down)
            numbers = [int(model.index(row, 0).data()) for row in range(model.rowCount())]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert len(numbers) <= most * 30
            assert model.first in (None, numbers[0])
            assert model.travelled == numbers[0] - start * 30
    finally:
        rows_module.MOST_PAGES = former
    assert tester.model() is model


def follow(model: RowsModel, down: bool) -> None:
    """Scroll on by a page and answer what is asked."""
    if down and model.canFetchMore(model.index(-1, -1)):
        model.fetchMore(model.index(-1, -1))
        model.show_page(page_at(int(model.anchor[0]), 300, rows=30))
    elif not down and model.can_fetch_earlier():
        model.fetch_earlier()
        model.show_page(page_at(int(model.start_anchor[0]) - 30, 300, rows=30))


def test_an_anchor_that_leads_nowhere_ends_the_table(qapp: Any) -> None:
    model = RowsModel()
    model.start(EVENTS)
    model.show_page(PageRead(COLUMNS, ((1, "a"),), (1,)))
    model.fetchMore(model.index(-1, -1))
    model.show_page(PageRead(COLUMNS, (), None))
    assert not model.canFetchMore(model.index(-1, -1))
    assert model.rowCount() == 1
