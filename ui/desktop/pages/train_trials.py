"""The trials of a search: how the best value came about, what mattered, and all of them to choose from."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from core.display import Picture
from core.present_tuning import importance_bars, ordered_trials, progress_chart, trials_table
from core.tuning import Trial, TrialState, Tuning

from ..charts import PictureView
from ..fonts import SPACE
from ..widgets.labels import Muted


class TrialsView(QStackedWidget):
    """Shows a search as it grows; `chosen` comes when the user points at a trial or at none."""

    chosen = Signal()
    failed = Signal(object)

    def __init__(self, labels: dict[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labels = labels
        self._tuning: Tuning | None = None
        self._number: int | None = None
        empty = Muted(self.tr("Trials appear here as they are done."))
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.addWidget(empty)
        self._shown = QWidget()
        self._pictures = QHBoxLayout()
        self._pictures.setSpacing(3 * SPACE)
        self._layout = QVBoxLayout(self._shown)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 * SPACE)
        self._layout.addLayout(self._pictures, 3)
        self.addWidget(self._shown)
        self._views: tuple[PictureView, ...] = ()

    @property
    def views(self) -> tuple[PictureView, ...]:
        """Return the pictures shown: trials in order, what mattered, the table."""
        return self._views

    def show_tuning(self, tuning: Tuning | None) -> None:
        """Show a search as it stands; another one, or none, forgets which trial was chosen."""
        if tuning is None or self._tuning is None or tuning.id != self._tuning.id:
            self._number = None
        self._tuning = tuning
        if tuning is None:
            self.setCurrentIndex(0)
            return
        number = self._number
        self._draw(tuning)
        self._number = number
        self._point_again()
        self.setCurrentIndex(1)

    def chosen_trial(self) -> Trial | None:
        """Return the trial the user points at, or else the best one; None while there is none."""
        if self._tuning is None:
            return None
        pointed = next((trial for trial in self._tuning.trials if trial.number == self._number), None)
        return pointed or self._tuning.best

    def _draw(self, tuning: Tuning) -> None:
        table = trials_table(tuning, self._labels)
        pictures: tuple[Picture, ...] = (progress_chart(tuning), importance_bars(tuning, self._labels), table)
        if not self._views:
            self._views = tuple(PictureView(picture, self) for picture in pictures)
            for view in self._views[:2]:
                self._pictures.addWidget(view, 1)
            self._layout.addWidget(self._views[2], 4)
            self._views[2].itemChosen.connect(self._choose)
            for view in self._views:
                view.failed.connect(self.failed)
        for view, picture in zip(self._views, pictures, strict=True):
            view.set_picture(picture)

    def _choose(self, row: int) -> None:
        if self._tuning is not None:
            self._number = ordered_trials(self._tuning)[row].number
            self.chosen.emit()

    def _point_again(self) -> None:
        """Keep pointing at the same trial: another one may have changed the order of rows."""
        if self._tuning is None or self._number is None:
            return
        numbers = [trial.number for trial in ordered_trials(self._tuning)]
        place = numbers.index(self._number)
        self._views[2].canvas.choose_row(place)  # type: ignore[attr-defined]


def can_be_taken(trial: Trial | None) -> bool:
    """Whether the values of a trial are fit for training: it came to an end, or was left on its way."""
    return trial is not None and trial.state is not TrialState.FAILED and trial.value is not None
