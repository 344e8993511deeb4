"""A shop as values, a worker that answers with it, and a window on both."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import shiboken6

from core.commands import OpenSource, PrepareFields, ProposeQuery, ReadPage
from crosslens.plain import to_plain
from db.store import SqlProjects
from ui.desktop.application import destroy, make_application, make_window
from ui.desktop.services import DesktopServices
from ui.desktop.session import Session
from ui.desktop.window import MainWindow

from .shop import CONNECTION, OVERVIEW, PAGE, PREPARATION, PROPOSAL, Host

PATIENCE = 30_000
WORKER = Path(__file__).with_name("fake_worker.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the offscreen platform say what it cannot do; every other Qt warning fails the test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.qt_log_ignore("^This plugin does not support", extend=True))


@pytest.fixture(autouse=True)
def _no_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page ask for estimates only when a test says that the time has passed."""
    monkeypatch.setattr("ui.desktop.pages.train_estimates.WAIT_MILLISECONDS", 3_600_000)


@pytest.fixture(scope="session")
def qapp() -> Any:
    return make_application()


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """Wait longer than five seconds: on a busy machine a fake worker may take that long to start."""
    for wait in ("waitUntil", "waitSignal", "waitSignals"):
        setattr(qtbot, wait, partial(getattr(qtbot, wait), timeout=PATIENCE))
    return qtbot


@pytest.fixture
def answer_with(tmp_path: Path) -> Callable[[str, Any], None]:
    """Change what the fake worker answers to a command; to be called before the first question."""
    file = tmp_path / "answers.json"
    answers = {
        OpenSource.command: OVERVIEW,
        ReadPage.command: PAGE,
        ProposeQuery.command: PROPOSAL,
        PrepareFields.command: PREPARATION,
    }

    def change(command: str, answer: Any) -> None:
        answers[command] = answer
        plain = {name: to_plain(value) for name, value in answers.items()}
        file.write_text(json.dumps(plain), encoding="utf-8")

    change(ReadPage.command, PAGE)
    return change


@pytest.fixture
def services(tmp_path: Path, answer_with: Callable[[str, Any], None]) -> DesktopServices:
    file = tmp_path / "answers.json"
    return DesktopServices(
        projects=SqlProjects(),
        host=Host(),
        worker_command=(sys.executable, "-S", str(WORKER), str(file), str(tmp_path / "record.txt")),
        projects_folder=tmp_path / "projects",
        settings_file=tmp_path / "settings.ini",
    )


@pytest.fixture
def session(qapp: Any, services: DesktopServices) -> Iterator[Session]:
    session = Session(services)
    yield session
    session.close()
    shiboken6.delete(session)


@pytest.fixture
def open_shop(session: Session, tmp_path: Path, qtbot: Any) -> Callable[[], None]:
    """Open the shop in a project of its own."""

    def opened() -> None:
        session.set_project(session.services.projects.open(tmp_path / "projects" / "shop", create=True, lock=True))
        session.set_source(CONNECTION, OVERVIEW)

    return opened


@pytest.fixture
def window(qapp: Any, services: DesktopServices, qtbot: Any) -> Iterator[MainWindow]:
    window = make_window(services)
    window.show()
    yield window
    window.hide()
    destroy(window)
