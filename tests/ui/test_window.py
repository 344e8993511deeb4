"""The window around the pages: navigation, keys, messages, jobs, looks."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QGuiApplication, QImage, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QComboBox, QLineEdit, QMessageBox, QWidget

import ui.desktop
from core.commands import OpenSource, Phase, Progress
from crosslens.errors import SourceError
from crosslens.models import DEVICES, FitProgress
from ui.desktop import screenshots
from ui.desktop.icons import icon
from ui.desktop.palette import DARK, LIGHT, Colours, Theme, along, apply_theme, colours, contrast, mix
from ui.desktop.services import DesktopServices
from ui.desktop.session import Notice
from ui.desktop.window import MainWindow
from ui.desktop.wording import duration, progress_words
from ui.desktop.worker_client import Request

from .shop import CONNECTION
from .test_draft import shop

SOURCES = Path(ui.desktop.__file__).parent
PAGES = ["data", "prepare", "train", "results", "report", "plugins", "settings"]


def job(window: MainWindow, how: str) -> Request:
    return window.session.request(OpenSource(replace(CONNECTION, database=how)), lane="job", title=f"Job {how}")


def test_the_rail_leads_to_seven_pages(window: MainWindow) -> None:
    assert list(window.pages) == PAGES
    for page_id in PAGES:
        window.rail.button(page_id).click()
        assert window.page.page_id == page_id
        assert window.rail.button(page_id).isChecked()


@pytest.mark.parametrize("number", range(1, 8))
def test_a_page_is_a_key_away(window: MainWindow, qtbot: Any, number: int) -> None:
    qtbot.keyClick(window, getattr(Qt.Key, f"Key_{number}"), Qt.KeyboardModifier.ControlModifier)
    assert window.page.page_id == PAGES[number - 1]


def test_the_header_shows_the_page_and_its_one_action(window: MainWindow) -> None:
    window.show_page("prepare")
    page = window.page
    assert window.header.primary.isHidden()
    page.primary.setText("Go on")
    page.primary.setEnabled(False)
    assert not window.header.primary.isHidden()
    assert not window.header.primary.isEnabled()


def test_pages_are_made_when_they_are_wanted_and_bear_the_title_of_the_rail(window: MainWindow, qtbot: Any) -> None:
    assert window._stack.count() == 1
    window.make_pages()
    qtbot.waitUntil(lambda: window._stack.count() == len(PAGES))
    assert [page.title for page in window.pages.values()] == [window.rail.button(name).text() for name in PAGES]


def test_an_error_says_what_why_and_what_to_do(window: MainWindow) -> None:
    window.session.notify(SourceError("It is locked.", why="Another program writes.", do="Close it."))
    bar = window.message_bar
    assert bar.isVisible()
    assert bar.text() == "It is locked.\nAnother program writes.\nClose it."
    window.rail.button("plugins").click()
    assert bar.isVisible()


def test_good_news_is_gone_on_the_next_page(window: MainWindow) -> None:
    window.session.notify(Notice("Done.", tone="good"))
    assert window.message_bar.isVisible()
    window.rail.button("plugins").click()
    assert not window.message_bar.isVisible()


def test_details_are_shown_on_request_and_copied_with_the_message(window: MainWindow) -> None:
    window.session.notify(Notice("It broke.", details="line 1", tone="bad"))
    bar = window.message_bar
    assert not bar._details.isVisible()
    bar._show_details.click()
    assert bar._details.isVisible()
    bar._copy.click()
    assert QGuiApplication.clipboard().text() == "It broke.\nline 1"


@pytest.mark.parametrize("redo", [QKeySequence("Ctrl+Y"), QKeySequence("Ctrl+Shift+Z")], ids=["y", "shift-z"])
def test_an_edit_is_undone_and_redone_by_keys(window: MainWindow, redo: QKeySequence, qtbot: Any) -> None:
    window.session.start_draft(shop())
    window.session.edit("seed", replace(shop(), seed=5))
    qtbot.keySequence(window, QKeySequence("Ctrl+Z"))
    assert window.session.draft.seed == 0
    qtbot.keySequence(window, redo)
    assert window.session.draft.seed == 5


def test_the_tray_shows_the_running_job_and_the_queue_behind_it(window: MainWindow) -> None:
    job(window, "slow")
    second = job(window, "shop.db")
    assert window.tray._title.text() == "Job slow"
    assert window.tray._queue.text() == "1 job waiting"
    job(window, "shop.db")
    assert window.tray._queue.text() == "2 jobs waiting"
    window.tray._queue.menu().actions()[0].trigger()
    assert second not in window.session.jobs


def test_escape_stops_the_running_job(window: MainWindow, qtbot: Any) -> None:
    running = job(window, "slow")
    with qtbot.waitSignal(running.stopped, timeout=10_000):
        qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.session.jobs == ()
    assert window.tray._title.text() == "No job running"


def test_progress_says_what_and_how_far(window: MainWindow, qtbot: Any) -> None:
    running = job(window, "halfway")
    with qtbot.waitSignal(running.progressed, timeout=10_000):
        pass
    assert window.tray._bar.value() == 500
    assert window.tray._words.text().startswith("half")


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(Phase.READING, rows=1200, rows_per_second=5e4, seconds_left=8.2),
         "Reading rows  ·  1,200 rows  ·  50,000 rows/s  ·  0:09 left"),
        (Progress(Phase.TRAINING, model="ARM-Net", fit=FitProgress(2, 30, 1, 9, rows_per_second=15_000)),
         "ARM-Net  ·  Training  ·  round 2 of 30  ·  15,000 rows/s"),
        (Progress(Phase.TRAINING, message="ARM-Net: epoch 2", model="ARM-Net", fit=FitProgress(2, 30, 1, 9)),
         "ARM-Net: epoch 2"),
    ],
)  # fmt: skip
def test_progress_reads_what_how_far_how_fast_how_long(progress: Progress, words: str, qapp: Any) -> None:
    assert progress_words(progress) == words


def test_closing_while_a_job_runs_asks_once(window: MainWindow, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> None:
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: asked.append(box.text()))
    job(window, "slow")
    window.close()
    assert asked == ["“Job slow” is still running."]
    assert window.isVisible()
    window.session.jobs[0].stop()
    qtbot.waitUntil(lambda: not window.session.jobs)


def test_closing_leaves_no_worker_behind(window: MainWindow, qtbot: Any) -> None:
    window.session.warm()
    worker = window.session._browse._worker
    qtbot.waitUntil(lambda: worker.running)
    window.close()
    assert not worker.running


def test_the_window_remembers_its_size(window: MainWindow) -> None:
    window.resize(1111, 777)
    window.close()
    assert not window.session.preferences.geometry.isEmpty()


def test_every_widget_that_takes_the_focus_has_a_name(window: MainWindow) -> None:
    kinds = (QAbstractButton, QAbstractItemView, QComboBox, QLineEdit)
    assert all(page.accessibleName() for page in window.pages.values())
    nameless = [
        _path(widget) for widget in window.findChildren(QWidget) if isinstance(widget, kinds) and _silent(widget)
    ]
    assert "\n".join(nameless) == ""


def _silent(widget: QWidget) -> bool:
    """Whether a widget takes the focus and has nothing to say; the inner parts of Qt's own widgets do not count."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    popup = isinstance(widget.window().parent(), QComboBox)
    inner = widget.objectName().startswith("qt_") or isinstance(widget.parent(), QComboBox | QAbstractItemView) or popup
    takes_focus = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
    return takes_focus and not inner and not (widget.accessibleName() or text)


def _path(widget: QWidget) -> str:
    page = widget
    while page.parentWidget() is not None and not page.objectName().endswith("-page"):
        page = page.parentWidget()
    return f"{page.objectName()}: {type(widget).__name__} {widget.objectName()} in {type(widget.parent()).__name__}"


def test_the_theme_is_chosen_and_kept(window: MainWindow) -> None:
    settings = window.pages["settings"]
    settings.theme.setCurrentIndex(list(Theme).index(Theme.DARK))
    settings.theme.activated.emit(0)
    try:
        assert colours().dark
        assert window.session.preferences.theme is Theme.DARK
    finally:
        apply_theme(Theme.LIGHT)


def test_threads_reach_the_next_job(window: MainWindow) -> None:
    window.pages["settings"].threads.setValue(1)
    assert window.session._jobs.arguments == ("--threads", "1")
    window.pages["settings"].threads.setValue(0)
    assert window.session._jobs.arguments == ()


def test_the_device_reaches_the_next_job(window: MainWindow) -> None:
    device = window.pages["settings"].device
    assert device.currentData() == "auto"
    device.setCurrentIndex(DEVICES.index("cuda"))
    device.activated.emit(DEVICES.index("cuda"))
    assert window.session._jobs.arguments == ("--device", "cuda")
    device.setCurrentIndex(0)
    device.activated.emit(0)
    assert window.session._jobs.arguments == ()


def test_a_plugin_that_could_not_be_loaded_says_why(window: MainWindow) -> None:
    window.show_page("plugins")
    texts = {
        label.text() for label in window.page.findChildren(QWidget) if hasattr(label, "text") and callable(label.text)
    }
    assert {"broken-model", "not loaded", "It raised an error while it was imported."} <= texts


@pytest.mark.parametrize("tones", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_every_surface(tones: Colours) -> None:
    for surface in (tones.window, tones.base, tones.raised, tones.accent_soft):
        assert contrast(tones.text, surface) >= 7
    for surface in (tones.window, tones.base):
        assert contrast(tones.muted, surface) >= 4.5
    for ink, soft in ((tones.good, tones.good_soft), (tones.warn, tones.warn_soft), (tones.bad, tones.bad_soft)):
        assert contrast(ink, soft) >= 4.5
    assert contrast(tones.accent_text, tones.accent) >= 4.5


def test_colours_between_stops_are_mixed() -> None:
    assert along(LIGHT.sequential, 0.0) == LIGHT.sequential[0].toRgb()
    assert along(LIGHT.sequential, 1.0).name() == LIGHT.sequential[-1].name()
    assert mix(LIGHT.base, LIGHT.base, 0.3).name() == LIGHT.base.name()


def test_colours_are_written_in_the_palette_only() -> None:
    literal = re.compile(r"#[0-9a-fA-F]{6}\b|QColor\(\s*[\d\"']|GlobalColor\.(?!transparent)")
    found = [
        path.name
        for path in SOURCES.rglob("*.py")
        if path.name != "palette.py" and literal.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_icon_of_the_sources_is_drawn(qapp: Any) -> None:
    names = {path.stem for path in (SOURCES / "icons").glob("*.svg")}
    used = set(re.findall(r'icon_name\s*=\s*"([a-z]+)"', "".join(p.read_text() for p in SOURCES.rglob("*.py"))))
    assert used - {""} <= names
    assert all(not icon(name).isNull() for name in names)


def test_every_counted_phrase_has_a_singular_and_a_plural(qapp: Any) -> None:
    counted = re.compile(r'tr\(\s*"([^"]*%n[^"]*)"')
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for phrase in counted.findall(text):
            contexts = re.findall(r"^class (\w+)", text, re.MULTILINE)
            read = {QCoreApplication.translate(context, phrase, None, 2) for context in contexts}
            assert read != {phrase.replace("%n", "2")} or "(s)" not in phrase, f"{path.name}: {phrase}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (9.2, "0:10"), (75, "1:15"), (3700, "1:01:40"), (-1, "0:00")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


PROBE = """
import sys, time
from pathlib import Path
from core.plugin_host import load_plugins
from db.store import SqlProjects
from plugins import builtin_plugins
from ui.desktop.application import DesktopServices, destroy, make_application, make_window
from ui.desktop.pages.page import Page
application = make_application()
folder = Path(sys.argv[1])
host = load_plugins(builtin_plugins())
window = make_window(DesktopServices(SqlProjects(), host, ("none",), None, folder, folder / "s.ini"))
window.show()
application.processEvents()
seconds = time.process_time()
window.make_pages()
while len(window.findChildren(Page)) < 7:
    application.processEvents()
print(sorted({"torch", "lightgbm", "sklearn", "pyqtgraph"} & set(sys.modules)), seconds)
destroy(window)
"""


def test_the_window_knows_no_learning_library_and_is_there_at_once(tmp_path: Path) -> None:
    seconds = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(tmp_path)],
            cwd=SOURCES.parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        modules, _, taken = done.stdout.rpartition(" ")
        assert modules == "[]"
        seconds.append(float(taken))
    assert min(seconds) < 2.0, "seconds of processor time: a machine may be busy with something else"


def test_screenshots_show_every_page_light_dark_and_at_twice_the_size(
    qapp: Any, services: DesktopServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshots, "SETTLE_SECONDS", 0.0)
    files = screenshots.render_pages(tmp_path / "pictures", services)
    assert len(files) == 3 * (len(PAGES) + 1)  # the Data page has a panel that connects to servers
    sizes = {file.name: QImage(str(file)).width() for file in files}
    assert sizes["1-data-light-200.png"] == 2 * sizes["1-data-light.png"] == 2 * sizes["7-settings-dark.png"]
