"""Searching parameters by clicks: how it is asked for, what is seen while it goes on, and what is taken over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from core.commands import Phase, Progress, Tune, Tuned
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.tuning import Trial, TrialState, Tuning, save_tuning, tuning_folder
from crosslens import FieldRole, ModelSpec, parameter
from ui.desktop.draft import set_role
from ui.desktop.pages.train import TrainPage
from ui.desktop.pages.train_tuning import TuningDialog, can_be_searched
from ui.desktop.worker_client import Failure, RequestState

from .pages_helpers import LINE, NET, TREES, Project, RecordingSession, draft, finish


@dataclass(frozen=True, slots=True)
class SearchedParameters:
    """Two that are searched, and two that are not."""

    width: int = parameter(10, label="Width", minimum=1, maximum=256, search=(4, 64))
    rate: float = parameter(0.003, label="Rate", minimum=1e-6, maximum=1.0, logarithmic=True, search=(0.001, 0.1))
    patience: int = parameter(2, label="Patience", minimum=1, maximum=100)
    layers: tuple[int, ...] = parameter((64,), label="Layers", minimum=1)


SEARCHED = replace(NET, parameters=SearchedParameters)
STARTED = datetime(2026, 7, 29, 9, 30, tzinfo=UTC)


class Host:
    """A model that can be searched, and two that cannot."""

    def models(self) -> tuple[ModelSpec, ...]:
        return SEARCHED, TREES, LINE

    def text_encoders(self) -> tuple[()]:
        return ()

    def worker_of(self, model_id: str) -> str:
        return ""


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
    session.services = replace(session.services, host=Host())
    session.project = Project(tmp_path)
    yield session
    session.close()


@pytest.fixture
def page(session: RecordingSession, qtbot: Any) -> TrainPage:
    page = TrainPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    session.set_draft(draft())
    page.shown()
    return page


def button(page: TrainPage, model: str = "net") -> QPushButton:
    assert page.chooser is not None
    return page.chooser.cards[model].search


def opened(page: TrainPage, qtbot: Any) -> TuningDialog:
    qtbot.mouseClick(button(page), Qt.MouseButton.LeftButton)
    (dialog,) = [each for each in page.findChildren(TuningDialog) if each.isVisible()]
    return dialog


def kept(session: RecordingSession, *trials: Trial, name: str = "tune-1", **more: Any) -> Tuning:
    own = ModelChoice("net", {"patience": 7})
    tuning = Tuning(
        name, "net", "Net", recipe_to_toml(draft().recipe([own])), "log loss", False, STARTED, trials, **more
    )  # fmt: skip
    save_tuning(tuning_folder(session.project.folder, name), tuning)
    return tuning


def trial(number: int, value: float | None, state: TrialState = TrialState.FINISHED, error: str = "") -> Trial:
    return Trial(number, {"width": 20 + number, "rate": 0.01}, state, value, 1.5, 3, error=error)


def said(message: str = "trial 1 of 20", fraction: float | None = 0.05) -> Progress:
    return Progress(Phase.TRAINING, fraction, message, run="tune-1")


def test_only_a_model_that_declares_ranges_can_be_searched(page: TrainPage) -> None:
    assert can_be_searched(SEARCHED)
    assert not can_be_searched(TREES)
    assert page.chooser is not None
    page.chooser.look_at("trees")
    assert not button(page, "trees").isVisible()
    page.chooser.look_at("net")
    assert button(page).isVisible()
    assert button(page).isEnabled()


def _unlabelled(session: RecordingSession) -> None:
    label = draft().label
    assert label is not None
    session.set_draft(set_role(draft(), [label.column], FieldRole.IGNORE))


def _to_look_at_only(session: RecordingSession) -> None:
    session.project.read_only = True
    session.runsChanged.emit()


@pytest.mark.parametrize(
    ("change", "reason"), [(_unlabelled, "label"), (_to_look_at_only, "only be looked at")], ids=["label", "read-only"]
)
def test_where_nothing_can_be_trained_the_button_says_why(
    change: Any, reason: str, page: TrainPage, session: RecordingSession
) -> None:
    change(session)
    assert not button(page).isEnabled()
    assert reason in button(page).toolTip()
    assert reason in button(page).accessibleDescription()
    assert page.search("net") is None


def test_a_wrong_entry_in_the_form_keeps_the_search_from_starting(page: TrainPage, qtbot: Any) -> None:
    assert page.chooser is not None
    dialog = opened(page, qtbot)
    page.chooser.forms["net"].line("layers").editor.setText("many")
    assert not button(page).isEnabled()
    assert "Layers cannot be" in button(page).toolTip()
    dialog.start()
    assert "Layers cannot be" in dialog._message.text()
    assert dialog.go.isVisible()


def test_a_search_carries_the_form_and_the_budget(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    assert page.chooser is not None
    page.chooser.forms["net"].line("width").editor.setValue(32)
    dialog = opened(page, qtbot)
    dialog.trials.setValue(7)
    dialog.minutes.setValue(0)
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    command = session.last.command
    assert isinstance(command, Tune)
    assert (command.model, command.trials, command.minutes, command.resume) == ("net", 7, 0.0, "")
    assert recipe_from_toml(command.recipe).models == (ModelChoice("net", {"width": 32}),)
    assert session.last.lane == "job"
    assert session.last.title == "Search parameters of Net"


def test_trials_are_shown_as_they_come(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    session.last.progressed.emit(said())
    assert dialog.trials_view.views == ()
    for count in (1, 2):
        kept(session, *(trial(number, 0.5 - number / 10) for number in range(count)))
        session.last.progressed.emit(said(f"trial {count} of 20 done"))
    chart, bars, table = (view.picture for view in dialog.trials_view.views)
    assert chart.series[0].y == (0.5, 0.4)
    assert bars.labels == ()
    assert [row[0] for row in table.rows] == [2, 1]
    assert dialog._message.text() == "trial 2 of 20 done"
    assert "Best: trial 2, log loss 0.40000. Width 21, Rate 0.01" in dialog._trial_words.text()


def test_the_best_values_fill_the_form_with_all_they_were_trained_with(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    kept(session, trial(0, 0.5), trial(1, 0.4), trial(2, 0.6))
    dialog = opened(page, qtbot)
    dialog.start()
    finish(session.last, Tuned("tune-1"))
    assert dialog._message.text() == "Finished: 3 trials."
    qtbot.mouseClick(dialog.use, Qt.MouseButton.LeftButton)
    assert page.chooser is not None
    assert page.chooser.forms["net"].values() == {"width": 21, "rate": 0.01, "patience": 7}
    assert not dialog.isVisible()


def test_the_values_of_any_trial_can_be_taken_by_its_row(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    kept(session, trial(0, 0.5), trial(1, 0.4))
    dialog = opened(page, qtbot)
    dialog.earlier.setCurrentIndex(1)
    table = dialog.trials_view.views[2].canvas
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.model().index(1, 0)).center()
    )
    assert dialog.use.text() == "Use the values of trial 1"
    qtbot.mouseClick(dialog.use, Qt.MouseButton.LeftButton)
    assert page.chooser is not None
    assert page.chooser.forms["net"].values()["width"] == 20


def test_a_chosen_trial_stays_chosen_when_a_better_one_comes(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    kept(session, trial(0, 0.5), trial(1, 0.4))
    session.last.progressed.emit(said())
    dialog.trials_view.views[2].canvas.choose_row(1)
    assert "trial 1" in dialog.use.text()
    kept(session, trial(0, 0.5), trial(1, 0.4), trial(2, 0.3))
    session.last.progressed.emit(said())
    assert "trial 1" in dialog.use.text()
    assert dialog.trials_view.views[2].canvas.chosen_row() == 2


def test_a_failed_trial_says_why_and_cannot_be_taken(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    kept(session, trial(0, 0.5), trial(1, None, TrialState.FAILED, "The loss was lost."))
    dialog = opened(page, qtbot)
    dialog.earlier.setCurrentIndex(1)
    dialog.trials_view.views[2].canvas.choose_row(1)
    assert dialog._trial_words.text() == "Trial 2 failed: The loss was lost."
    assert not dialog.use.isEnabled()


def test_stop_keeps_the_finished_trials(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    kept(session, trial(0, 0.5))
    session.last.progressed.emit(said())
    qtbot.mouseClick(dialog.halt, Qt.MouseButton.LeftButton)
    assert session.last.state is RequestState.STOPPED
    assert dialog._message.text() == "Stopped; the finished trials are kept."
    assert dialog.go.isVisible()
    assert dialog.earlier.currentData() == "tune-1"
    assert dialog.use.isEnabled()


def test_an_earlier_search_can_be_looked_at_and_gone_on_with(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    kept(session, trial(0, 0.5))
    dialog = opened(page, qtbot)
    assert ", 1 trial" in dialog.earlier.itemText(1)
    dialog.earlier.setCurrentIndex(1)
    assert len(dialog.trials_view.views[2].picture.rows) == 1
    dialog.start()
    assert session.last.command.resume == "tune-1"
    dialog.stop()
    dialog.earlier.setCurrentIndex(0)
    assert dialog.trials_view.currentIndex() == 0
    assert not dialog.use.isEnabled()


def test_a_search_begun_anew_says_why(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    kept(session, trial(0, 0.5), name="tune-2", note="Begun anew: the rows have changed.")
    finish(session.last, Tuned("tune-2"))
    assert dialog._message.text() == "Finished: 1 trial. Begun anew: the rows have changed."


def test_a_failure_is_said_in_the_dialog(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    failure = Failure("No trial came to an end.", "No memory.", "Allow more.")
    finish(session.last, failure, RequestState.FAILED)
    assert dialog._message.text() == "No trial came to an end. No memory. Allow more."
    assert dialog.go.isVisible()


def test_a_search_goes_on_when_its_dialog_is_closed_and_is_found_again(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    dialog = opened(page, qtbot)
    dialog.start()
    dialog.reject()
    assert session.last.state is RequestState.RUNNING
    kept(session, trial(0, 0.5))
    session.last.progress = said("trial 1 of 20 done")
    again = opened(page, qtbot)
    assert again is not dialog
    assert again.halt.isVisible()
    assert again._message.text() == "trial 1 of 20 done"
    assert len(again.trials_view.views[2].picture.rows) == 1


def test_a_waiting_search_stands_in_the_queue_of_the_page(page: TrainPage, session: RecordingSession) -> None:
    page.primary.trigger()
    waiting = session.tune(ModelChoice("net", {}), trials=3)
    assert waiting is not None
    waiting.state = RequestState.QUEUED
    page.panel.refresh()
    words = page.panel._queue.itemAt(0).widget().findChildren(QPushButton)[0].accessibleName()
    assert "Search parameters of Net" in words


def test_another_project_closes_the_searches_of_the_former_one(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    dialog = opened(page, qtbot)
    session.projectChanged.emit()
    assert not dialog.isVisible()


def test_values_of_another_version_of_the_model_are_not_taken(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    strange = Trial(0, {"width": 4000}, TrialState.FINISHED, 0.4)
    kept(session, strange)
    dialog = opened(page, qtbot)
    dialog.earlier.setCurrentIndex(1)
    dialog.take()
    assert "do not fit the model" in dialog._message.text()
    assert page.chooser is not None
    assert page.chooser.forms["net"].values() == {}
