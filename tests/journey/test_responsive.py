"""The window never stalls over 100 ms: while many tables open, a long one is scrolled, and a training reports."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt, QTimer

from core.commands import SampleMade
from crosslens.relational import TableRef
from crosslens.runs import RunStatus
from ui.desktop.window import MainWindow

from .clicks import choose_only, click_primary, drop, on_page, prepare, qapp, window
from .heartbeat import Heartbeat

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)
MOST_WORK, MOST_SLEEP = 0.1, 0.2
"""Seconds. On a busy machine the system may wake a thread late, which looks like sleeping."""
TABLES, COLUMNS, ROWS = 2_000, 20, 1_000_000


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of 2,000 tables, one of which has a million rows."""
    path = tmp_path_factory.mktemp("wide") / "wide.db"
    columns = ", ".join(f"column_{number} TEXT" for number in range(1, COLUMNS))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE visits (id INTEGER PRIMARY KEY, page INTEGER, seconds REAL)")
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO visits SELECT i, i % 97, i / 7.0 FROM n",
            (ROWS,),
        )
        for number in range(1, TABLES):
            connection.execute(f"CREATE TABLE table_{number} (id INTEGER PRIMARY KEY, {columns})")
        connection.commit()
    return path


@pytest.fixture
def ready(window: MainWindow, qtbot: Any) -> MainWindow:
    """The window some moments after its start, when nobody can have pressed anything yet."""
    window.session.warm()
    qtbot.waitUntil(lambda: not window.pages.make_one())
    qtbot.waitUntil(
        lambda: not any(thread.name.startswith("warm-") for thread in threading.enumerate()), timeout=30_000
    )
    return window


def is_smooth(heart: Heartbeat) -> bool:
    return heart.ran < MOST_WORK and heart.slept < MOST_SLEEP


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("block", [time.sleep, work])
def test_a_block_of_300_ms_would_be_noticed(qapp: Any, qtbot: Any, block: Callable[[float], None]) -> None:
    with Heartbeat() as heart:
        QTimer.singleShot(20, lambda: block(0.3))
        qtbot.wait(500)
    assert not is_smooth(heart)


def test_a_window_that_rests_has_no_gap(qapp: Any, qtbot: Any) -> None:
    with Heartbeat() as heart:
        qtbot.wait(300)
    assert is_smooth(heart)
    assert heart.beats > 5


def test_the_window_never_stalls_while_2000_tables_open_and_a_million_rows_are_scrolled(
    wide: Path, ready: MainWindow, qtbot: Any
) -> None:
    page, session = ready.page, ready.session
    with Heartbeat() as opening:
        drop(ready, wide)
        qtbot.waitUntil(lambda: session.overview is not None, timeout=60_000)
        qtbot.waitUntil(lambda: page.rows.rowCount() > 0 and not session.busy, timeout=60_000)
    assert len(session.overview.tables) == TABLES
    page.choose(TableRef("visits"))
    qtbot.waitUntil(lambda: page.rows.rowCount() > 0 and not session.busy, timeout=60_000)
    with Heartbeat() as scrolling:
        for _ in range(40):
            qtbot.keyClick(page.view, Qt.Key.Key_PageDown)
            qtbot.wait(10)
        page.browser.go_to(0.5)
        qtbot.waitUntil(lambda: page.rows.rowCount() > 0 and not page.browser.reading, timeout=60_000)
        for _ in range(20):
            qtbot.keyClick(page.view, Qt.Key.Key_PageUp)
            qtbot.wait(10)
    assert is_smooth(opening), opening
    assert is_smooth(scrolling), scrolling


def test_the_window_never_stalls_while_a_training_reports(ready: MainWindow, sample: SampleMade, qtbot: Any) -> None:
    drop(ready, sample.database)
    prepare(ready, qtbot, "impressions")
    click_primary(ready, qtbot)
    on_page(ready, qtbot, "train")
    choose_only(ready, qtbot, "Logistic regression")
    with Heartbeat() as training:
        click_primary(ready, qtbot)
        qtbot.waitUntil(lambda: bool(ready.session.jobs), timeout=60_000)
        qtbot.waitUntil(lambda: not ready.session.jobs, timeout=90_000)
    assert [run.status for run in ready.session.runs()] == [RunStatus.FINISHED]
    assert is_smooth(training), training
