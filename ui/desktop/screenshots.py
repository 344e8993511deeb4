"""Pictures of every page: light, dark, and at twice the size, for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QTabWidget, QWidget

from core.tuning import tunings

from .application import destroy, make_application, make_window
from .opening import open_project
from .pages.data import DataPage
from .pages.train import TrainPage
from .palette import Theme, apply_theme
from .services import DesktopServices
from .window import MainWindow

SIZE = (1320, 860)
RATIOS = {Theme.LIGHT: (1, 2), Theme.DARK: (1,)}
WAIT_SECONDS = 30.0
SETTLE_SECONDS = 0.6


def render_pages(folder: Path, services: DesktopServices) -> tuple[Path, ...]:
    """Render every page with the project of `services` (the welcome without one) as PNG files; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    make_application()
    window = make_window(services)
    window.resize(*SIZE)
    window.show()
    try:
        if services.project is not None:
            open_project(window.session, services.project)
            _wait(lambda: window.session.overview is not None and not window.session.busy)
        return tuple(_render(window, folder))
    finally:
        window.hide()
        destroy(window)


def _render(window: MainWindow, folder: Path) -> list[Path]:
    files = []
    for theme in (Theme.LIGHT, Theme.DARK):
        apply_theme(theme)
        for number, page_id in enumerate(window.pages, start=1):
            window.show_page(page_id)
            for view in _views(window):
                _settle(window)
                files += _save(window, folder, f"{number}-{page_id}{view}-{theme.value}", RATIOS[theme])
            if (dialog := _search(window)) is not None:
                _settle(window)
                files += _save(dialog, folder, f"{number}-{page_id}-search-{theme.value}", RATIOS[theme])
                dialog.close()
    return files


def _search(window: MainWindow) -> QWidget | None:
    """Open the newest search over parameters that the project has, while the Train page is in front."""
    page, project = window.page, window.session.project
    if not isinstance(page, TrainPage) or project is None:
        return None
    newest = next(iter(tunings(project.folder)), None)
    dialog = None if newest is None else page.search(newest.model)
    if dialog is not None and newest is not None:
        dialog.earlier.setCurrentIndex(dialog.earlier.findData(newest.id))
    return dialog


def _views(window: MainWindow) -> Iterator[str]:
    """Bring one tab or panel of the page after the other to the front; yield its name for the file."""
    tabs = next((tabs for tabs in window.findChildren(QTabWidget) if tabs.isVisible()), None)
    if tabs is None:
        yield ""
    else:
        for number in range(tabs.count()):
            if not tabs.isTabVisible(number):
                continue
            tabs.setCurrentIndex(number)
            yield "-" + tabs.tabText(number).replace("&", "").lower().replace(" ", "-")
        tabs.setCurrentIndex(0)
    if isinstance(window.page, DataPage):
        window.page.connect_to_server()
        yield "-connect"
        window.page.connecting.left.emit()


def _save(window: QWidget, folder: Path, name: str, ratios: Sequence[int]) -> list[Path]:
    files = [folder / (f"{name}.png" if ratio == 1 else f"{name}-{100 * ratio}.png") for ratio in ratios]
    for file, ratio in zip(files, ratios, strict=True):
        _grab(window, ratio).save(str(file))
    return files


def _grab(window: QWidget, ratio: int) -> QPixmap:
    """Return the window with `ratio` pixels for each logical one."""
    picture = QPixmap(window.size() * ratio)
    picture.setDevicePixelRatio(ratio)
    window.render(picture)
    return picture


def _settle(window: MainWindow) -> None:
    """Let the page fetch and paint what it shows."""
    start = monotonic()
    _wait(lambda: monotonic() - start > SETTLE_SECONDS and not window.session.busy)


def _wait(done: Callable[[], bool]) -> None:
    loop, end = QEventLoop(), monotonic() + WAIT_SECONDS
    timer = QTimer(interval=20)
    timer.timeout.connect(lambda: loop.quit() if done() or monotonic() > end else None)
    timer.start()
    loop.exec()
    QApplication.processEvents()
