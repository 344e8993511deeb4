"""From a dropped database to an exported report in the real window, with real workers, by clicks and keys."""

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
from core.commands import SampleMade
from core.plugin_host import load_plugins
from crosslens.runs import RunStatus
from db.store import SqlProjects
from plugins import builtin_plugins
from ui.desktop.application import destroy, make_application, make_window
from ui.desktop.services import DesktopServices
from ui.desktop.window import MainWindow

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)


@pytest.fixture(scope="session")
def qapp() -> Any:
    return make_application()


@pytest.fixture
def window(qapp: Any, qtbot: Any, tmp_path: Path) -> Iterator[MainWindow]:
    services = DesktopServices(
        projects=SqlProjects(),
        host=load_plugins(builtin_plugins(), entry_points=False),
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
    assert [box.text() for box in window.page.findChildren(QCheckBox) if box.isChecked()] == [title]


def test_a_dropped_database_becomes_an_exported_report(
    window: MainWindow, qtbot: Any, sample: SampleMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.session
    drop(window, sample.database)
    qtbot.waitUntil(lambda: session.overview is not None, timeout=60_000)
    assert "read-only" in session.overview.read_only.lower()

    click_primary(window, qtbot)  # use this table: the window proposes the one with the most keys
    on_page(window, qtbot, "prepare")
    qtbot.waitUntil(lambda: session.draft is not None and not session.busy, timeout=60_000)
    assert session.draft.query.base.name == "impressions"

    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    choose_only(window, qtbot, "Logistic regression")
    click_primary(window, qtbot)
    qtbot.waitUntil(lambda: any(run.status is RunStatus.FINISHED for run in session.runs()), timeout=90_000)
    assert [run.model for run in session.runs()] == ["logistic"]

    qtbot.waitUntil(lambda: not session.jobs, timeout=30_000)
    qtbot.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    on_page(window, qtbot, "results")
    tabs = next(tabs for tabs in window.page.findChildren(QTabWidget) if tabs.isVisible())
    for number in range(tabs.count()):
        qtbot.mouseClick(tabs.tabBar(), Qt.MouseButton.LeftButton, pos=tabs.tabBar().tabRect(number).center())
        assert tabs.currentIndex() == number
        qtbot.waitUntil(lambda: not session.busy, timeout=60_000)

    click_primary(window, qtbot)  # make a report
    on_page(window, qtbot, "report")
    target = tmp_path / "bericht.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(target), ""))
    click_primary(window, qtbot)
    qtbot.waitUntil(target.exists, timeout=60_000)
    html = target.read_text(encoding="utf-8")
    assert "Logistic regression" in html
    assert "impressions" in html
