"""The real window with real workers, and the steps of a journey by clicks and keys, for journeys to put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QCheckBox, QFileDialog, QTabWidget

import main
from core.plugin_host import load_plugins
from crosslens.runs import RunStatus
from db.store import SqlProjects
from plugins import builtin_plugins
from ui.desktop.application import destroy, make_application, make_window
from ui.desktop.services import DesktopServices
from ui.desktop.window import MainWindow


@pytest.fixture(scope="session")
def qapp() -> Any:
    return make_application()


@pytest.fixture
def window(qapp: Any, qtbot: Any, tmp_path: Path) -> Iterator[MainWindow]:
    services = DesktopServices(
        projects=SqlProjects(),
        host=load_plugins(builtin_plugins()),
        worker_command=(sys.executable, str(main.ENTRY), "worker", "--threads", "1"),
        projects_folder=tmp_path / "projects",
        settings_file=tmp_path / "settings.ini",
    )
    window = make_window(services)
    window.resize(1320, 860)
    window.show()
    yield window
    window.hide()
    destroy(window)


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(200, 200), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.page.dropEvent(event)


def click_primary(window: MainWindow, qtbot: Any) -> None:
    button = window.header.primary
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=60_000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def on_page(window: MainWindow, qtbot: Any, page_id: str) -> None:
    qtbot.waitUntil(lambda: window.page.page_id == page_id, timeout=60_000)


def choose_only(window: MainWindow, qtbot: Any, title: str) -> None:
    qtbot.waitUntil(lambda: any(box.text() == title for box in window.page.findChildren(QCheckBox)), timeout=60_000)
    titles = {model.title for model in window.session.models}
    for box in window.page.findChildren(QCheckBox):
        if box.text() in titles and box.isChecked() != (box.text() == title):
            qtbot.keyClick(box, Qt.Key.Key_Space)
    boxes = [box for box in window.page.findChildren(QCheckBox) if box.text() in titles]
    assert [box.text() for box in boxes if box.isChecked()] == [title]


def prepare(window: MainWindow, qtbot: Any, base: str) -> None:
    """Use the proposed table (the one with the most keys), and wait for what its columns mean."""
    session = window.session
    qtbot.waitUntil(lambda: session.overview is not None, timeout=60_000)
    click_primary(window, qtbot)
    on_page(window, qtbot, "prepare")
    qtbot.waitUntil(lambda: session.draft is not None and not session.busy, timeout=60_000)
    assert session.draft.query.base.name == base


def take_joins(window: MainWindow, qtbot: Any, *names: str) -> None:
    """Tick joins that are only guesses, one after the other, and wait for what their columns mean."""
    session = window.session
    for name in names:
        box = next(box for box in window.page.findChildren(QCheckBox) if box.objectName() == name)
        assert not box.isChecked()
        qtbot.keyClick(box, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda name=name: session.draft.has_join(name) and not session.busy, timeout=60_000)


def train_logistic(window: MainWindow, qtbot: Any) -> None:
    """Go on to the Train page, choose one quick model, and wait for its run."""
    session = window.session
    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    choose_only(window, qtbot, "Logistic regression")
    click_primary(window, qtbot)
    qtbot.waitUntil(lambda: any(run.status is RunStatus.FINISHED for run in session.runs()), timeout=90_000)
    assert [run.model for run in session.runs()] == ["logistic"]
    qtbot.waitUntil(lambda: not session.jobs, timeout=30_000)


def look_at_every_tab(window: MainWindow, qtbot: Any) -> tuple[str, ...]:
    """Click on one tab of the Results page after the other, wait for what it asks, and return their names."""
    qtbot.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    on_page(window, qtbot, "results")
    tabs = next(tabs for tabs in window.page.findChildren(QTabWidget) if tabs.isVisible())
    page = window.page
    qtbot.waitUntil(lambda: tabs.isEnabled() and not window.session.busy, timeout=60_000)
    qtbot.waitUntil(lambda: not page._reading.isVisible(), timeout=60_000)
    shown = [number for number in range(tabs.count()) if tabs.isTabVisible(number)]
    for number in shown:
        qtbot.mouseClick(tabs.tabBar(), Qt.MouseButton.LeftButton, pos=tabs.tabBar().tabRect(number).center())
        assert tabs.currentIndex() == number
        qtbot.waitUntil(lambda: not window.session.busy, timeout=60_000)
    return tuple(tabs.tabText(number) for number in shown)


def export_report(window: MainWindow, qtbot: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a report of the run, save it, and return its HTML."""
    qtbot.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    on_page(window, qtbot, "results")
    click_primary(window, qtbot)
    on_page(window, qtbot, "report")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(target), ""))
    click_primary(window, qtbot)
    qtbot.waitUntil(target.exists, timeout=60_000)
    return target.read_text(encoding="utf-8")
