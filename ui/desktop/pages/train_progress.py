"""The running training: phases, live curves, how far, how fast, how long, Stop, and what waits behind it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QStackedWidget, QVBoxLayout, QWidget

from core.commands import Phase, Progress, Train, Trained, Tune
from core.display import LineChart
from crosslens.models import FitProgress, Task
from crosslens.runs import RunRecord

from ..charts import PictureView
from ..fonts import SPACE, tabular
from ..palette import colours
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card, EmptyState
from ..widgets.labels import Badge, Muted, Title
from ..wording import duration, phase_words, whole
from ..worker_client import Failure, Request, RequestState
from .results_runs import result_words
from .train_log import ORDER, Track, TrainingLog, loss_chart, metric_chart, seconds_left

REDRAW_MILLISECONDS = 150


class PhaseSteps(QWidget):
    """The phases of a job in a row: done, at work, still to come."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._phases = (Phase.READING, Phase.ENCODING, Phase.TRAINING, Phase.EVALUATING, Phase.EXPLAINING)
        self._done, self._active = 0, -1
        self.setAccessibleName(self.tr("Phases of the training"))

    def show_phase(self, phase: Phase | None, *, finished: bool = False) -> None:
        """Show how far the job is."""
        place = ORDER.index(phase) if phase in ORDER else 0
        at = max(place - 1, 0)
        self._done, self._active = (len(self._phases), -1) if finished else (at, -1 if phase is None else at)
        self.setAccessibleDescription(self.tr("finished") if finished else phase_words(phase) if phase else "")
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for a dot and a line of text below it."""
        metrics = self.fontMetrics()
        widest = max(metrics.horizontalAdvance(phase_words(phase)) for phase in self._phases)
        return QSize(len(self._phases) * (widest + SPACE), metrics.height() + 3 * SPACE)

    def minimumSizeHint(self) -> QSize:
        """Return a small width: words that have no room are left out, the one at work last."""
        return QSize(len(self._phases) * 4 * SPACE, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint dots, the line between them, and the words."""
        tones, part = colours(self.palette()), self.width() / len(self._phases)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for number, phase in enumerate(self._phases):
                middle = (number + 0.5) * part
                done, active = number < self._done, number == self._active
                if number:
                    painter.setPen(QPen(tones.accent if done or active else tones.line, 2))
                    painter.drawLine(round(middle - part + 8), SPACE, round(middle - 8), SPACE)
                painter.setPen(QPen(tones.accent if done or active else tones.line, 2))
                painter.setBrush(tones.accent if done else tones.base)
                painter.drawEllipse(QRectF(middle - 5, SPACE - 5, 10, 10))
                painter.setPen(tones.text if active else tones.muted)
                if self._has_room(part) or active:
                    area = QRectF(middle - 2 * part, 2 * SPACE, 4 * part, self.fontMetrics().height() + 4)
                    painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), phase_words(phase))

    def _has_room(self, part: float) -> bool:
        return all(self.fontMetrics().horizontalAdvance(phase_words(phase)) + SPACE <= part for phase in self._phases)


class TrainingPanel(QWidget):
    """Watches the session's training jobs; `resultsWanted` carries the runs to show."""

    resultsWanted = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Request | None = None
        self._log = TrainingLog()
        self._finished: tuple[str, ...] = ()
        self._training_began: dict[str, float] = {}
        self._build()
        self._redraw = QTimer(self, singleShot=True, interval=REDRAW_MILLISECONDS)
        self._redraw.timeout.connect(self._draw)
        session.jobsChanged.connect(self.refresh)
        session.projectChanged.connect(self.forget)
        self.refresh()

    def refresh(self) -> None:
        """Follow the training at the head of the queue, and list those behind it."""
        trainings = [job for job in self._session.jobs if isinstance(job.command, Train)]
        if trainings and trainings[0] is not self._job and trainings[0].state is not RequestState.QUEUED:
            self._follow(trainings[0])
        running = self._job is not None
        self._stop.setVisible(running)
        self._stop.setEnabled(self._job is not None and self._job.state is RequestState.RUNNING)
        self._stop.setText(self._stop_text())
        learning = (job for job in self._session.jobs if isinstance(job.command, Train | Tune))
        self._show_queue([job for job in learning if job is not self._job])

    def forget(self) -> None:
        """Show nothing: another project was opened."""
        self._job, self._log, self._finished = None, TrainingLog(), ()
        self._stack.setCurrentIndex(0)

    def hear(self, progress: Progress) -> None:
        """Take in a report of the running job; drawing waits a moment, however fast reports come."""
        known = progress.run in self._log.tracks
        track = self._log.hear(progress)
        if track is not None and not known:
            self._training_began[track.run] = self._job.seconds if self._job is not None else 0.0
            self._add_track(track)
        if not self._redraw.isActive():
            self._redraw.start()

    def _build(self) -> None:
        self._stack = QStackedWidget(self)
        self._stack.addWidget(
            EmptyState(
                "train",
                self.tr("Nothing is training"),
                self.tr("Choose models on the left and press Train. Curves, speed and time left appear here."),
            )
        )
        self._steps = PhaseSteps()
        self._which = QComboBox()
        self._which.setAccessibleName(self.tr("Model whose curves are shown"))
        self._which.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._which.activated.connect(lambda _: self._draw())
        self._facts = Muted()
        self._facts.setFont(tabular(self._facts.font()))
        self._bar = QProgressBar(textVisible=False)
        self._bar.setFixedHeight(6)
        self._bar.setAccessibleName(self.tr("Progress of the training"))
        self._stop = Button(self.tr("Stop and keep best"), icon_name="stop")
        self._stop.clicked.connect(self._stop_job)
        self._outcome = Badge()
        self._results = Button(self.tr("See results →"))
        self._results.clicked.connect(lambda: self.resultsWanted.emit(self._finished))
        self._which.hide()
        self._charts: tuple[PictureView, PictureView] | None = None
        self._queue = QVBoxLayout()
        self._stack.addWidget(self._lay_out_panel())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    def _lay_out_panel(self) -> QWidget:
        card = Card()
        head = QHBoxLayout()
        head.addWidget(Title(self.tr("Training"), level=2))
        head.addWidget(self._outcome)
        head.addStretch(1)
        head.addWidget(self._which)
        head.addWidget(self._results)
        head.addWidget(self._stop)
        area = QWidget()  # takes the room below while there are no charts yet, so that the lines above stay together
        self._chart_area = QVBoxLayout(area)
        self._chart_area.setContentsMargins(0, 0, 0, 0)
        self._chart_area.setSpacing(2 * SPACE)
        card.body.addLayout(head)
        card.body.addWidget(self._steps)
        card.body.addWidget(self._bar)
        card.body.addWidget(self._facts)
        card.body.addWidget(area, 1)
        card.body.addLayout(self._queue)
        return card

    def _follow(self, job: Request) -> None:
        self._job, self._log, self._finished = job, TrainingLog(), ()
        self._training_began.clear()
        self._which.clear()
        self._which.hide()
        self._stack.setCurrentIndex(1)
        self._outcome.hide()
        self._results.hide()
        for view in self._charts or ():
            view.hide()
        job.progressed.connect(self.hear)
        job.finished.connect(lambda answer: self._conclude(answer))
        job.failed.connect(lambda failure: self._end(_failed_words(failure), tone="bad"))
        job.stopped.connect(self._stopped)
        self._draw()

    def _conclude(self, answer: Trained) -> None:
        self._finished = answer.runs
        self._end(self.tr("Finished"), tone="good")
        self._announce()

    def _stopped(self) -> None:
        self._finished = tuple(self._log.tracks)
        kept = [run for run in self._runs() if run.metrics]
        words = self.tr("Stopped, best state kept") if kept else self.tr("Stopped before there was anything to keep")
        self._end(words, tone="warn")

    def _end(self, words: str, *, tone: str) -> None:
        self._job = None
        self._redraw.stop()
        self._outcome.show_as(words, tone=tone)
        self._outcome.show()
        self._results.setVisible(bool(self._finished))
        self._draw()
        self._steps.show_phase(self._log.phase, finished=tone == "good")
        self._facts.setText(self._result_words())
        self._bar.hide()
        self.refresh()

    def _announce(self) -> None:
        words = self.tr("Training finished. {results}").format(results=self._facts.text())
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def _stop_job(self) -> None:
        if self._job is not None:
            self._job.stop()

    def _stop_text(self) -> str:
        if self._job is not None and self._job.state is RequestState.STOPPING:
            return self.tr("Stopping…")
        trained = any(track.epochs for track in self._log.tracks.values())
        return self.tr("Stop and keep best") if trained else self.tr("Stop")

    def _runs(self) -> list[RunRecord]:
        return [run for run in self._session.runs() if run.id in self._log.tracks]

    def _result_words(self) -> str:
        return "\n".join(f"{run.title}: {result_words(run) or run.error}" for run in reversed(self._runs()))

    def _add_track(self, track: Track) -> None:
        self._which.addItem(track.model or track.run, track.run)
        self._which.setCurrentIndex(self._which.count() - 1)
        self._which.setVisible(self._which.count() > 1)

    def _track(self) -> Track | None:
        return self._log.tracks.get(self._which.currentData() or "")

    def _draw(self) -> None:
        track = self._track()
        if self._job is not None:
            self._steps.show_phase(self._log.phase)
            self._show_bar(self._log.progress)
            self._stop.setText(self._stop_text())
            self._facts.setText(self._progress_words(track))
        if track is not None and (track.loss or track.epochs):
            self._draw_curves(track)

    def _show_bar(self, progress: Progress | None) -> None:
        self._bar.show()
        known = progress is not None and progress.fraction is not None
        self._bar.setRange(0, 1000 if known else 0)
        if progress is not None and progress.fraction is not None:
            self._bar.setValue(round(1000 * min(max(progress.fraction, 0.0), 1.0)))

    def _draw_curves(self, track: Track) -> None:
        words = (self.tr("Epochs"), self._loss_words(track), self.tr("training"), self.tr("validation"))
        loss = loss_chart(track, self.tr("Loss of {model}").format(model=track.model), words)
        metric = metric_chart(track, self.tr("On the validation rows"), self.tr("Epochs"))
        if self._charts is None:
            self._charts = (self._add_chart(loss), self._add_chart(metric))
        for view, picture in zip(self._charts, (loss, metric), strict=True):
            view.setVisible(any(line.x for line in picture.series))
            view.set_picture(picture)

    def _loss_words(self, track: Track) -> str:
        """Return what the loss of a model is called: the log loss of one label, or the sum that others minimise."""
        task = next((spec.task for spec in self._session.models if spec.title == track.model), None)
        return self.tr("Log loss") if task is Task.CTR else self.tr("Loss")

    def _add_chart(self, picture: LineChart) -> PictureView:
        view = PictureView(picture)
        view.failed.connect(self._session.fail)
        self._chart_area.addWidget(view, 1)
        return view

    def _progress_words(self, track: Track | None) -> str:
        progress = self._log.progress
        if progress is None:
            return self.tr("Starting…")
        if progress.phase is not Phase.TRAINING or track is None or track.latest is None:
            return progress.message or phase_words(progress.phase)
        return "  ·  ".join(self._fit_words(track, track.latest))

    def _fit_words(self, track: Track, fit: FitProgress) -> list[str]:
        elapsed = (self._job.seconds if self._job is not None else 0.0) - self._training_began.get(track.run, 0.0)
        parts = [self.tr("epoch {done} of at most {all}").format(done=whole(fit.epoch), all=whole(fit.epochs))]
        if fit.rows_per_second:
            parts.append(self.tr("{count} rows/s").format(count=whole(fit.rows_per_second)))
        if (left := seconds_left(fit, elapsed)) is not None:
            parts.append(self.tr("at most {time} left").format(time=duration(left)))
        if fit.best_epoch is not None:
            parts.append(self.tr("best so far: epoch {epoch}").format(epoch=whole(fit.best_epoch)))
        return parts

    def _show_queue(self, waiting: list[Request]) -> None:
        while (item := self._queue.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        for job in waiting:
            self._queue.addWidget(_Waiting(job))


class _Waiting(QWidget):
    """A training or a search that waits for its turn."""

    def __init__(self, job: Request) -> None:
        super().__init__()
        remove = Button(self.tr("Remove"), weight=Weight.QUIET, icon_name="close")
        remove.setAccessibleName(self.tr("Remove “{title}” from the queue").format(title=job.title))
        remove.clicked.connect(job.stop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Muted(self.tr("Next: {title}").format(title=job.title)), 1)
        layout.addWidget(remove)


def _failed_words(failure: Failure) -> str:
    return failure.what
