"""The tray at the foot of the window: the running job (what, how far, how fast, how long), Stop, and the queue."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QProgressBar, QWidget

from core.commands import Progress

from ..fonts import SPACE, tabular
from ..palette import colours
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Badge, Elided
from ..wording import duration, progress_words
from ..worker_client import Request, RequestState


class Tray(QWidget):
    """Listens to the session's jobs."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Request | None = None
        self._title, self._words = QLabel(), Elided()
        self._words.setFont(tabular(self._words.font()))
        self._bar = QProgressBar(textVisible=False)
        self._bar.setFixedSize(200, 6)
        self._bar.setAccessibleName(self.tr("Progress of the job"))
        self._queue = Button(weight=Weight.QUIET)
        self._queue.setMenu(QMenu(self._queue))
        self._stop = Button(self.tr("Stop"), icon_name="stop")
        self._stop.setToolTip(self.tr("Stop the running job (Esc). What has been learned so far is kept."))
        self._stop.clicked.connect(self.stop)
        self._read_only = Badge(self.tr("read-only project"), tone="warn", icon_name="lock")
        self._lay_out()
        self._clock = QTimer(self, interval=1000)
        self._clock.timeout.connect(self._tell)
        session.jobsChanged.connect(self.refresh)
        session.projectChanged.connect(self.refresh)
        self.refresh()

    def stop(self) -> None:
        """Stop the running job."""
        if self._job is not None:
            self._job.stop()

    def refresh(self) -> None:
        """Show the head of the queue."""
        jobs = self._session.jobs
        job = jobs[0] if jobs else None
        if job is not self._job:
            self._watch(job)
        for widget in (self._bar, self._stop):
            widget.setVisible(job is not None)
        self._stop.setEnabled(job is not None and job.state is RequestState.RUNNING)
        self._read_only.setVisible(self._session.project is not None and self._session.project.read_only)
        self._list_queue(jobs[1:])
        self._tell()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line above the tray."""
        painter = QPainter(self)
        painter.setPen(colours(self.palette()).line)
        painter.drawLine(0, 0, self.width(), 0)

    def _lay_out(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * SPACE, 4, 2 * SPACE, 4)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(self._title)
        layout.addWidget(self._bar)
        layout.addWidget(self._words, 1)
        layout.addWidget(self._read_only)
        layout.addWidget(self._queue)
        layout.addWidget(self._stop)
        self.setMinimumHeight(self.fontMetrics().height() + 3 * SPACE)

    def _watch(self, job: Request | None) -> None:
        self._job = job
        if job is None:
            self._clock.stop()
            return
        self._clock.start()
        self._bar.setRange(0, 0)
        job.progressed.connect(self._progress)
        job.stateChanged.connect(self.refresh)

    def _progress(self, progress: Progress) -> None:
        known = progress.fraction is not None
        self._bar.setRange(0, 1000 if known else 0)
        if progress.fraction is not None:
            self._bar.setValue(round(1000 * min(max(progress.fraction, 0.0), 1.0)))
        self._tell()

    def _tell(self) -> None:
        job = self._job
        if job is None:
            project = self._session.project
            self._title.setText(self.tr("No job running"))
            self._words.setText("" if project is None else str(project.folder))
            return
        self._title.setText(job.title)
        words = progress_words(job.progress) if job.progress is not None else self.tr("Starting…")
        if job.state is RequestState.STOPPING:
            words = self.tr("Stopping…")
        so_far = self.tr("{time} so far").format(time=duration(job.seconds))
        self._words.setText(f"{words}  ·  {so_far}")
        self.setAccessibleDescription(f"{job.title}: {words}")

    def _list_queue(self, waiting: tuple[Request, ...]) -> None:
        self._queue.setVisible(bool(waiting))
        self._queue.setText(self.tr("%n job(s) waiting", "", len(waiting)))
        self._queue.setAccessibleName(self._queue.text())
        menu = self._queue.menu()
        menu.clear()
        for job in waiting:
            menu.addAction(self.tr("Remove “{title}” from the queue").format(title=job.title), job.stop)
        self._queue.updateGeometry()
