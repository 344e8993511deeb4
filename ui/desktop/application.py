"""Starts the window: application, theme, session, pages."""

from __future__ import annotations

import logging
import sys
from functools import cache

import shiboken6
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from .icons import app_icon
from .language import install_language
from .opening import open_project
from .pages import page_entries
from .palette import apply_theme
from .services import DesktopServices
from .session import Session
from .window import MainWindow

LOG = logging.getLogger("crosslens.desktop")


@cache
def make_application() -> QApplication:
    """Return the one QApplication of this process, in Fusion style; it lives as long as the process."""
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setStyle("Fusion")
    application.setApplicationName("Crosslens")
    application.setDesktopFileName("crosslens")
    application.setWindowIcon(app_icon())
    install_language(application)
    return application


def make_window(services: DesktopServices) -> MainWindow:
    """Return the window on a fresh session, not shown yet."""
    session = Session(services)
    apply_theme(session.preferences.theme)
    window = MainWindow(session, page_entries(session))
    session.setParent(window)
    application = QApplication.instance()
    if isinstance(application, QApplication):
        application.styleHints().colorSchemeChanged.connect(lambda _: _follow_system(session))
    return window


def run(services: DesktopServices) -> int:
    """Show the window (on `services.project` if there is one) and return the exit code when it is closed."""
    application = make_application()
    window = make_window(services)
    window.show()
    QTimer.singleShot(0, window.session.warm)
    QTimer.singleShot(0, window.make_pages)
    if services.project is not None:
        folder = services.project
        QTimer.singleShot(0, lambda: open_project(window.session, folder))
    try:
        return application.exec()
    finally:
        destroy(window)


def destroy(window: MainWindow) -> None:
    """End the workers and take the window apart now: left to the interpreter's exit, Qt would find half of it gone."""
    window.session.close()
    shiboken6.delete(window)


def _follow_system(session: Session) -> None:
    apply_theme(session.preferences.theme)


__all__ = ["DesktopServices", "destroy", "make_application", "make_window", "run"]
