"""A stranger's model comes in through the Plugins page of the real window, by clicks, with real processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QPushButton

import main
from core.commands import SampleMade
from crosslens.runs import RunStatus
from tests.zoo.wheels import make_plugin, plugin_id
from ui.desktop.application import destroy, make_window
from ui.desktop.pages.plugins import PluginsPage
from ui.desktop.pages.plugins_questions import ChangedQuestion, InstallQuestion
from ui.desktop.widgets.busy_line import BusyLine
from ui.desktop.window import MainWindow

from .clicks import click_primary, drop, prepare, qapp

__all__ = ["qapp"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)
PATIENCE = 60_000
KEY = plugin_id("plush")


@pytest.fixture
def window(qapp: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    monkeypatch.setenv("CROSSLENS_DATA", str(tmp_path / "data"))
    services = replace(
        main.desktop_services(None),
        projects_folder=tmp_path / "projects",
        settings_file=tmp_path / "settings.ini",
        worker_command=(sys.executable, str(main.ENTRY), "worker", "--threads", "1"),
    )
    window = make_window(services)
    window.resize(1320, 860)
    window.show()
    yield window
    window.hide()
    destroy(window)


def page_of(window: MainWindow) -> PluginsPage:
    window.show_page("plugins")
    assert isinstance(window.page, PluginsPage)
    return window.page


def press(page: PluginsPage, what: str) -> None:
    page.cards[KEY].findChild(QPushButton, what).click()


def standing(page: PluginsPage) -> str:
    return str(page.cards[KEY].row.standing) if KEY in page.cards else ""


def install(window: MainWindow, qtbot: Any, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> PluginsPage:
    """Install by three clicks: the button, the file, Install."""
    page = page_of(window)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(wheel), ""))
    click_primary(window, qtbot)
    qtbot.waitUntil(lambda: isinstance(page.question, InstallQuestion), timeout=PATIENCE)
    assert page.question.cancel.isDefault()
    assert page.question.focusWidget() is page.question.cancel
    page.question.install.click()
    return page


@pytest.mark.slow
def test_a_plugin_is_installed_used_changed_and_removed_without_a_restart(
    window: MainWindow, qtbot: Any, sample: SampleMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    window.show_page("train")
    assert "plush" not in window.page.chooser.cards
    started = time.monotonic()
    page = install(window, qtbot, make_plugin(tmp_path, "plush"), monkeypatch)
    qtbot.waitUntil(lambda: standing(page) == "enabled", timeout=PATIENCE)
    print(f"installed and enabled in {time.monotonic() - started:.1f} s")  # noqa: T201

    window.show_page("train")
    for name, card in window.page.chooser.cards.items():
        card.check.setChecked(name == "plush")
    click_primary(window, qtbot)
    session = window.session
    qtbot.waitUntil(
        lambda: [run.status for run in session.runs()] == [RunStatus.FINISHED] and not session.jobs, timeout=PATIENCE
    )
    assert session.runs()[0].model == "plush"
    assert not [name for name in sys.modules if name.startswith("plush")]

    page = page_of(window)
    press(page, "disable")
    qtbot.waitUntil(lambda: standing(page) == "disabled", timeout=PATIENCE)
    assert "plush" not in [model.id for model in session.models]
    press(page, "enable")
    qtbot.waitUntil(lambda: standing(page) == "enabled", timeout=PATIENCE)

    installed = tmp_path / "data" / "plugins" / KEY / "1.0" / "site" / "plush" / "model.py"
    installed.write_text(installed.read_text() + "# changed\n")
    session.refresh_plugins()
    assert standing(page) == "changed"
    press(page, "accept")
    qtbot.waitUntil(lambda: isinstance(page.question, ChangedQuestion), timeout=PATIENCE)
    page.question.use_button.click()
    qtbot.waitUntil(lambda: standing(page) == "enabled", timeout=PATIENCE)

    press(page, "remove")
    qtbot.waitUntil(lambda: KEY not in page.cards, timeout=PATIENCE)
    assert "plush" not in [model.id for model in session.models]


@pytest.mark.slow
def test_an_installation_is_stopped_and_nothing_of_it_stays(
    window: MainWindow, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    code = f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(60)\n"
    page = install(window, qtbot, make_plugin(tmp_path, "plush", code=code), monkeypatch)
    qtbot.waitUntil(mark.exists, timeout=PATIENCE)
    assert window.session.busy == "Installing plush"
    page.findChild(BusyLine).findChild(QPushButton).click()
    qtbot.waitUntil(lambda: not window.session.busy, timeout=PATIENCE)
    assert standing(page) == ""
    assert not (tmp_path / "data" / "plugins" / KEY).exists()
    install(window, qtbot, make_plugin(tmp_path, "plush"), monkeypatch)
    qtbot.waitUntil(lambda: standing(page) == "enabled", timeout=PATIENCE)


def test_cancel_installs_nothing(window: MainWindow, qtbot: Any, tmp_path: Path) -> None:
    page = page_of(window)
    drop(window, make_plugin(tmp_path, "plush"))
    qtbot.waitUntil(lambda: isinstance(page.question, InstallQuestion), timeout=PATIENCE)
    words = dict(page.question.facts())
    assert words["Author"] == "A. Author"
    assert len(words["SHA-256"]) == 65
    page.question.cancel.click()
    assert not (tmp_path / "data" / "plugins").exists()


def test_a_file_that_is_refused_is_said_in_the_message_bar(window: MainWindow, qtbot: Any, tmp_path: Path) -> None:
    said: list[Any] = []
    window.session.noticed.connect(said.append)
    page = page_of(window)
    page.look_at(make_plugin(tmp_path, "plush", requires=["numpy<2"]))
    qtbot.waitUntil(lambda: bool([each for each in said if each]), timeout=PATIENCE)
    assert "plush needs numpy<2, this app has " in next(each for each in said if each).what
    assert page.question is None
