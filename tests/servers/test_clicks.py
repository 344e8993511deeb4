"""From the form that connects to a server to an exported report, in the real window, by clicks and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox

from tests.journey.clicks import export_report, prepare, qapp, train_logistic, window
from ui.desktop.pages.data_connect import ConnectPanel
from ui.desktop.window import MainWindow

from .conftest import Server
from .shop import write_shop
from .test_journey import refuse_password

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)


@pytest.fixture(scope="module")
def shop(server: Server) -> Server:
    write_shop(server, rows=3_000)
    return server


def fill(panel: ConnectPanel, qtbot: Any, server: Server, password: str) -> None:
    spec, form = server.reader, panel.form
    choose(form.kind, spec.dialect)
    form.port.setValue(spec.port)
    for box, text in ((form.host, spec.host), (form.database, spec.database), (form.username, spec.username)):
        box.clear()
        qtbot.keyClicks(box, text)
    form.password.clear()
    form.password.insert(password)  # QTest types nothing but ASCII


def choose(box: QComboBox, value: str) -> None:
    box.setCurrentIndex(box.findData(value))
    assert box.currentData() == value


def test_a_server_becomes_an_exported_report_and_the_password_is_nowhere(
    shop: Server, window: MainWindow, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qtbot.mouseClick(window.page.start.server, Qt.MouseButton.LeftButton)
    panel = window.page.findChild(ConnectPanel)
    qtbot.waitUntil(panel.isVisible)
    fill(panel, qtbot, shop, "wrong")
    qtbot.mouseClick(panel.test_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(panel.answer), timeout=60_000)
    assert "password" in panel.answer.lower()

    fill(panel, qtbot, shop, shop.reader.secret or "")
    qtbot.mouseClick(panel.connect_button, Qt.MouseButton.LeftButton)
    prepare(window, qtbot, "impressions")
    assert panel.form.password.text() == ""
    train_logistic(window, qtbot)
    html = export_report(window, qtbot, tmp_path / "report.html", monkeypatch)
    assert "impressions" in html
    window.session.preferences.sync()
    refuse_password(shop, tmp_path)
