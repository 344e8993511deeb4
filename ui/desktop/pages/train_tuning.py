"""Searching a model's parameters: a budget, the trials as they come, what mattered, and values taken over."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.commands import Progress, Tune, Tuned
from core.present_tuning import parameter_text
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml
from core.tuning import FILE, Trial, TrialState, Tuning, load_tuning, tuning_folder, tunings
from crosslens.errors import ParameterError, UserError
from crosslens.models import ModelSpec
from crosslens.parameters import describe_parameters

from ..fonts import SPACE
from ..forms import ParameterForm
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted
from ..widgets.views import roomy
from ..worker_client import Failure, Request, RequestState
from .train_trials import TrialsView, can_be_taken

_TRIALS, _MINUTES = 20, 10
_STEPS = 1000
_SIZE = (980, 760)


def can_be_searched(spec: ModelSpec) -> bool:
    """Whether a model declares what a search over its parameters may try."""
    return any(info.search for info in describe_parameters(spec.parameters))


class TuningDialog(QDialog):
    """Searches the parameters of one model; what is taken over goes into the model's form. Not modal.

    A search goes on when the dialog is closed, and is found again when it is opened. `took` comes with the values.
    """

    took = Signal()

    def __init__(self, session: Session, spec: ModelSpec, form: ParameterForm, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Search parameters of {model}").format(model=spec.title))
        self.setModal(False)
        self.resize(*_SIZE)
        self._session, self._spec, self._form = session, spec, form
        self._labels = {info.name: info.label for info in describe_parameters(spec.parameters)}
        self._request: Request | None = None
        self._tuning: Tuning | None = None
        self._seen: tuple[Path, int] | None = None
        self._build()
        self._list_earlier()
        self._find_running()
        self._show_state()

    @property
    def tuning(self) -> Tuning | None:
        """Return the search shown."""
        return self._tuning

    # -- asking -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a search, or go on with the chosen one."""
        try:
            own = self._form.values()
        except ParameterError as error:
            self._say_failure(Failure(error.what, error.why, error.do))
            return
        request = self._session.tune(
            ModelChoice(self._spec.id, own),
            trials=self.trials.value(),
            minutes=float(self.minutes.value()),
            resume=self.earlier.currentData() or "",
        )
        if request is not None:
            self._follow(request)

    def stop(self) -> None:
        """Stop after what is done: every finished trial is kept."""
        if self._request is not None:
            self._request.stop()
            self._show_state()

    def take(self) -> None:
        """Take the values of the trial shown below over into the form, with all others it was trained with."""
        trial = self.trials_view.chosen_trial()
        if self._tuning is None or trial is None:
            return
        try:
            own = recipe_from_toml(self._tuning.recipe).models[0].parameters
            self._form.set_values({**own, **trial.parameters})
        except (UserError, KeyError) as error:  # a parameter that the model had in another version
            self._say_failure(Failure(self.tr("These values do not fit the model any more."), str(error)))
            return
        self.took.emit()
        self.accept()

    # -- hearing ------------------------------------------------------------------------------------------------------

    def _find_running(self) -> None:
        """Follow a search of this model that is in the queue already."""
        jobs = (
            job for job in self._session.jobs if isinstance(job.command, Tune) and job.command.model == self._spec.id
        )
        if (job := next(jobs, None)) is not None:
            self._follow(job)
            if job.progress is not None:
                self._hear(job.progress)

    def _follow(self, request: Request) -> None:
        self._request = request
        self._message.setText(self.tr("Waiting for its turn…"))
        self.bar.setRange(0, 0)
        request.progressed.connect(self._hear)
        request.finished.connect(self._done)
        request.failed.connect(self._failed)
        request.stopped.connect(self._stopped)
        self._show_state()

    def _hear(self, progress: Progress) -> None:
        if self._request is None:
            return
        known = progress.fraction is not None
        self.bar.setRange(0, _STEPS if known else 0)
        if progress.fraction is not None:
            self.bar.setValue(round(_STEPS * min(max(progress.fraction, 0.0), 1.0)))
        stopping = self._request.state is RequestState.STOPPING
        self._message.setText(self.tr("Stopping…") if stopping else progress.message)
        if progress.run:
            self._read(progress.run)

    def _done(self, answer: Tuned) -> None:
        self._read(answer.tuning)
        count = len(self._tuning.trials) if self._tuning is not None else 0
        self._end(self.tr("Finished: %n trial(s).", "", count))
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self._message.text()))

    def _stopped(self) -> None:
        kept = self._tuning is not None and bool(self._tuning.trials)
        self._end(
            self.tr("Stopped; the finished trials are kept.") if kept else self.tr("Stopped before a trial ended.")
        )

    def _failed(self, failure: Failure) -> None:
        self._end("")
        self._say_failure(failure)

    def _end(self, words: str) -> None:
        self._request = None
        self._list_earlier(self._tuning.id if self._tuning else "")
        self._message.setText(" ".join(filter(None, (words, self._tuning.note if self._tuning else ""))))
        self._show_state()

    def _say_failure(self, failure: Failure) -> None:
        self._message.setText(" ".join(filter(None, (failure.what, failure.why, failure.do))))

    def _read(self, name: str) -> None:
        """Show a search as it stands on disk; the file is replaced whole after every trial."""
        if self._session.project is None:
            return
        folder = tuning_folder(self._session.project.folder, name)
        try:
            changed = (folder, (folder / FILE).stat().st_mtime_ns)
        except OSError:  # before the first trial is done
            return
        if changed == self._seen:
            return
        self._seen = changed
        try:
            self._tuning = load_tuning(folder)
        except UserError as error:
            self._session.fail(error)
            return
        self.trials_view.show_tuning(self._tuning)
        self._show_state()

    # -- showing ------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        intro = Muted(
            self.tr(
                "Trains the model again and again with other values. Only the validation rows choose; the test rows "
                "stay unseen. The first trial has the values of the form."
            )
        )
        self.trials_view = TrialsView(self._labels, self)
        self.trials_view.chosen.connect(self._show_state)
        self.trials_view.failed.connect(self._session.fail)
        top = QHBoxLayout()
        top.setSpacing(4 * SPACE)
        top.addLayout(self._build_budget())
        top.addLayout(self._build_progress(), 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(intro)
        layout.addLayout(top)
        layout.addWidget(self.trials_view, 1)
        layout.addLayout(self._build_foot())

    def _build_budget(self) -> QFormLayout:
        self.trials = QSpinBox(minimum=1, maximum=1000, value=_TRIALS)
        self.trials.setToolTip(self.tr("Of a search that goes on: so many more."))
        self.minutes = QSpinBox(minimum=0, maximum=10_000, value=_MINUTES)
        self.minutes.setSpecialValueText(self.tr("no limit"))
        self.minutes.setSuffix(self.tr(" min"))
        self.earlier = QComboBox()
        self.earlier.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.earlier.setMinimumContentsLength(34)
        self.earlier.currentIndexChanged.connect(self._choose_earlier)
        roomy(self.trials, self.minutes, self.earlier)
        form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, editor in (
            (self.tr("Trials at most"), self.trials),
            (self.tr("Begin no trial after"), self.minutes),
            (self.tr("Search"), self.earlier),
        ):
            editor.setAccessibleName(label)
            form.addRow(label, editor)
        return form

    def _build_progress(self) -> QVBoxLayout:
        self.go = Button(self.tr("Search"), weight=Weight.PRIMARY)
        self.go.setDefault(True)
        self.go.clicked.connect(self.start)
        self.halt = Button(self.tr("Stop"), icon_name="stop")
        self.halt.setToolTip(self.tr("The finished trials are kept."))
        self.halt.clicked.connect(self.stop)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setFixedHeight(6)
        self.bar.setAccessibleName(self.tr("Progress of the search"))
        self._message = Muted()
        buttons = QHBoxLayout()
        buttons.addWidget(self.go)
        buttons.addWidget(self.halt)
        buttons.addStretch()
        side = QVBoxLayout()
        side.setSpacing(SPACE)
        side.addLayout(buttons)
        side.addWidget(self.bar)
        side.addWidget(self._message)
        side.addStretch()
        return side

    def _build_foot(self) -> QHBoxLayout:
        self._trial_words = Muted()
        self.use = Button()
        self.use.setAutoDefault(False)
        self.use.clicked.connect(self.take)
        close = Button(self.tr("Close"), weight=Weight.QUIET)
        close.setAutoDefault(False)
        close.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setSpacing(2 * SPACE)
        foot.addWidget(self._trial_words, 1)
        foot.addWidget(self.use)
        foot.addWidget(close)
        return foot

    def _list_earlier(self, chosen: str = "") -> None:
        """Offer the project's searches of this model, newest first, behind a new one."""
        self.earlier.blockSignals(True)
        self.earlier.clear()
        self.earlier.addItem(self.tr("a new one"), "")
        for tuning in self._earlier():
            when = tuning.started.astimezone().strftime("%Y-%m-%d %H:%M")
            words = self.tr("go on: {when}, {trials}").format(
                when=when, trials=self.tr("%n trial(s)", "", len(tuning.trials))
            )
            self.earlier.addItem(words, tuning.id)
        self.earlier.setCurrentIndex(max(self.earlier.findData(chosen), 0))
        self.earlier.blockSignals(False)

    def _earlier(self) -> tuple[Tuning, ...]:
        if self._session.project is None:
            return ()
        try:
            return tuple(each for each in tunings(self._session.project.folder) if each.model == self._spec.id)
        except UserError as error:
            self._session.fail(error)
            return ()

    def _choose_earlier(self) -> None:
        self._seen, self._tuning = None, None
        self._message.setText("")
        self.trials_view.show_tuning(None)
        if name := self.earlier.currentData():
            self._read(name)
        self._show_state()

    def _show_state(self) -> None:
        running = self._request is not None
        self.go.setVisible(not running)
        self.halt.setVisible(running)
        self.halt.setEnabled(self._request is not None and self._request.state is not RequestState.STOPPING)
        self.bar.setVisible(running)
        for widget in (self.trials, self.minutes, self.earlier):
            widget.setEnabled(not running)
        trial = self.trials_view.chosen_trial()
        is_best = self._tuning is None or trial is None or trial == self._tuning.best
        number = 0 if trial is None else trial.number + 1
        self.use.setText(
            self.tr("Use the best values") if is_best else self.tr("Use the values of trial {n}").format(n=number)
        )
        self.use.setEnabled(can_be_taken(trial))
        self._trial_words.setText("" if trial is None else self._words_of(trial, is_best=is_best))

    def _words_of(self, trial: Trial, *, is_best: bool) -> str:
        if trial.state is TrialState.FAILED or self._tuning is None:
            return self.tr("Trial {number} failed: {error}").format(number=trial.number + 1, error=trial.error)
        values = ", ".join(
            f"{self._labels.get(name, name)} {parameter_text(value)}" for name, value in trial.parameters.items()
        )
        words = self.tr("Best: trial {number}") if is_best else self.tr("Trial {number}")
        value = "–" if trial.value is None else f"{trial.value:.5f}"
        return f"{words.format(number=trial.number + 1)}, {self._tuning.metric} {value}. {values}"
