"""The one window: rail, header, message bar, the page in front, and the tray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from PySide6.QtCore import QSize, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QMessageBox, QStackedWidget, QVBoxLayout, QWidget

from core.commands import Train, Tune

from .icons import app_icon
from .pages import PageEntry
from .pages.page import Page
from .session import Session
from .shell.header import Header
from .shell.message_bar import MessageBar
from .shell.rail import Rail
from .shell.tray import Tray
from .worker_client import Request

LOWER_PAGES = 2
"""How many pages stand at the foot of the rail."""


class PageBook(Mapping[str, Page]):
    """Pages by id, made when they are first looked up."""

    def __init__(self, entries: Sequence[PageEntry], stack: QStackedWidget) -> None:
        self._entries = {entry.page_id: entry for entry in entries}
        self._stack = stack
        self._made: dict[str, Page] = {}

    def __getitem__(self, page_id: str) -> Page:
        if page_id not in self._made:
            self._made[page_id] = self._entries[page_id].make()
            self._stack.addWidget(self._made[page_id])
        return self._made[page_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def make_one(self) -> bool:
        """Make the next page that is not there yet; return whether there was one."""
        missing = next((page_id for page_id in self._entries if page_id not in self._made), None)
        return missing is not None and self[missing] is not None


class MainWindow(QMainWindow):
    """Shows the pages it is given; everything they know is in the session."""

    def __init__(self, session: Session, pages: Sequence[PageEntry]) -> None:
        super().__init__()
        self.session = session
        self._stack = QStackedWidget()
        self.pages = PageBook(pages, self._stack)
        self.rail = Rail(pages, lower=LOWER_PAGES)
        self.header = Header()
        self.message_bar = MessageBar()
        self.tray = Tray(session)
        self._lay_out()
        self._add_shortcuts(pages)
        self.rail.chosen.connect(self.go_to)
        self.header.primary.clicked.connect(self.message_bar.clear_good_news)
        session.navigated.connect(self.show_page)
        session.noticed.connect(self.message_bar.show_notice)
        session.projectChanged.connect(self._retitle)
        session.jobsChanged.connect(self._watch_jobs)
        self._watched: set[int] = set()
        self._retitle()
        self.setWindowIcon(app_icon())
        self.setMinimumSize(960, 600)
        self.resize(QSize(1320, 860))
        self.restoreGeometry(session.preferences.geometry)
        self.show_page(pages[0].page_id)

    @property
    def page(self) -> Page:
        """Return the page in front."""
        page = self._stack.currentWidget()
        assert isinstance(page, Page)
        return page

    def show_page(self, page_id: str) -> None:
        """Bring a page to the front."""
        page = self.pages[page_id]
        self._stack.setCurrentWidget(page)
        self.rail.show_chosen(page_id)
        self.header.show_page(page)
        page.shown()

    def make_pages(self) -> None:
        """Make the pages that are not there yet, one per turn of the event loop: for right after the first sight."""
        if self.pages.make_one():
            QTimer.singleShot(0, self, self.make_pages)

    def go_to(self, page_id: str) -> None:
        """Bring a page to the front because the user asked for it; good news has been read by then."""
        self.message_bar.clear_good_news()
        self.show_page(page_id)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask once while a job runs; then remember the window's place and end everything."""
        if self.session.jobs and not self._may_close():
            event.ignore()
            return
        self.session.preferences.geometry = self.saveGeometry()
        self.session.close()
        event.accept()

    def _may_close(self) -> bool:
        question = QMessageBox(self)
        question.setIcon(QMessageBox.Icon.Question)
        question.setWindowTitle(self.tr("A job is running"))
        question.setText(self.tr("“{job}” is still running.").format(job=self.session.jobs[0].title))
        question.setInformativeText(
            self.tr("If you close now, its run shows as interrupted and can be resumed from its last checkpoint.")
        )
        close = question.addButton(self.tr("Close and interrupt"), QMessageBox.ButtonRole.DestructiveRole)
        stay = question.addButton(self.tr("Keep working"), QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(stay)
        question.exec()
        return question.clickedButton() is close

    def _lay_out(self) -> None:
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        for widget in (self.header, self.message_bar):
            right.addWidget(widget)
        right.addWidget(self._stack, 1)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.setSpacing(0)
        top.addWidget(self.rail)
        top.addLayout(right, 1)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top, 1)
        layout.addWidget(self.tray)
        self.setCentralWidget(centre)

    def _add_shortcuts(self, pages: Sequence[PageEntry]) -> None:
        for number, page in enumerate(pages, start=1):
            self._shortcut(f"Ctrl+{number}", lambda *_, page_id=page.page_id: self.go_to(page_id))
        self._shortcut("F5", self._train)
        self._shortcut("Esc", self._stop)
        self._shortcut("F1", self._help)
        self._shortcut("Ctrl+Return", lambda: self.page.primary.trigger())
        self._shortcut(QKeySequence.StandardKey.Undo, self.session.undo_stack.undo)
        self._shortcut(QKeySequence.StandardKey.Redo, self.session.undo_stack.redo)

    def _shortcut(self, keys: str | QKeySequence.StandardKey, act: object) -> None:
        action = QAction(self)
        action.setShortcuts(
            QKeySequence.keyBindings(keys) if isinstance(keys, QKeySequence.StandardKey) else [QKeySequence(keys)]
        )
        action.triggered.connect(act)
        self.addAction(action)

    def _train(self) -> None:
        self.go_to("train")
        self.pages["train"].primary.trigger()

    def _stop(self) -> None:
        if self.session.busy:
            self.session.stop_asking()
        elif self.session.jobs:
            self.tray.stop()
        else:
            self.message_bar.hide()

    def _help(self) -> None:
        self.session.notify(
            self.tr(
                "Ctrl+1 … Ctrl+7 pages  ·  Ctrl+Enter the page’s main button  ·  F5 train  ·  Esc stop  ·  "
                "Ctrl+Z / Ctrl+Y undo and redo a change of the preparation"
            )
        )

    def _retitle(self) -> None:
        project = self.session.project
        self.setWindowTitle("Crosslens" if project is None else f"{project.folder.name} – Crosslens")

    def _watch_jobs(self) -> None:
        for job in self.session.jobs:
            if job.id not in self._watched:
                self._watched.add(job.id)
                job.finished.connect(lambda _, job=job: self._job_ended(job))
                job.failed.connect(lambda _, job=job: self._job_ended(job))

    def _job_ended(self, job: Request) -> None:
        """Ask for attention when a training or a search ends while the window is in the background."""
        if isinstance(job.command, Train | Tune) and not self.isActiveWindow():
            QApplication.alert(self)
