"""The Train page: what can be trained, how it is asked for, and what is seen while it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from core.commands import Phase, Progress, Train, Trained
from core.recipe_toml import recipe_from_toml
from crosslens import FieldRole, FitProgress
from crosslens.runs import Metric, RunStatus
from ui.desktop.draft import set_role
from ui.desktop.pages.train import TrainPage
from ui.desktop.pages.train_log import (
    MOST_POINTS,
    Track,
    TrainingLog,
    epochs_done,
    loss_chart,
    metric_chart,
    seconds_left,
)
from ui.desktop.pages.train_models import default_choice
from ui.desktop.worker_client import Failure, Request, RequestState

from .pages_helpers import LINE, NET, TREES, Project, RecordingSession, add_run, draft, finish

WORDS = ("Epochs", "Loss", "training", "validation")


@pytest.fixture
def session(qapp: Any, tmp_path: Path) -> Any:
    session = RecordingSession(tmp_path)
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


def fit(epoch: int, step: int = 10, **more: Any) -> FitProgress:
    return FitProgress(epoch, 20, step, 10, 50_000.0, **more)


def said(phase: Phase = Phase.TRAINING, run: str = "run-1", **more: Any) -> Progress:
    return Progress(phase, 0.5, run=run, model="Net", **more)


def started(page: TrainPage, session: RecordingSession) -> Request:
    page.primary.trigger()
    return session.last


def test_without_a_preparation_the_page_leads_to_the_data(session: RecordingSession, qtbot: Any) -> None:
    page = TrainPage(session)
    qtbot.addWidget(page)
    page.shown()
    assert page.primary.text() == ""
    assert not page.primary.isEnabled()


def test_two_models_that_show_interactions_are_chosen_at_first(page: TrainPage) -> None:
    assert default_choice([LINE, NET, replace(NET, id="net-plus"), TREES]) == ("net", "trees")
    assert default_choice([LINE]) == ("line",)
    assert page.chooser is not None
    assert page.chooser.chosen() == ("net", "trees")
    assert page.primary.text() == "Train 2 models"


def test_train_sends_a_recipe_with_the_changed_parameters(page: TrainPage, session: RecordingSession) -> None:
    assert page.chooser is not None
    page.chooser.forms["net"].line("width").editor.setValue(32)
    command = started(page, session).command
    assert isinstance(command, Train)
    models = recipe_from_toml(command.recipe).models
    assert [(model.id, dict(model.parameters)) for model in models] == [("net", {"width": 32}), ("trees", {})]


def test_a_wrong_parameter_keeps_the_training_from_starting(page: TrainPage, session: RecordingSession) -> None:
    assert page.chooser is not None
    page.chooser.forms["net"].line("layers").editor.setText("many")
    assert not page.primary.isEnabled()
    assert "Layers cannot be" in page.primary.toolTip()
    page.train()
    assert session.asked == []


def test_a_preparation_without_label_says_what_is_missing(page: TrainPage, session: RecordingSession) -> None:
    label = draft().label
    assert label is not None
    session.set_draft(set_role(draft(), [label.column], FieldRole.IGNORE))
    assert not page.primary.isEnabled()
    assert "label" in page.primary.toolTip()


def test_a_project_to_look_at_only_is_not_trained_in(page: TrainPage, session: RecordingSession) -> None:
    session.project.read_only = True
    page.refresh()
    assert not page.primary.isEnabled()


def test_choice_and_parameters_are_remembered_by_the_project(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    assert page.chooser is not None
    page.chooser.choose(["line"])
    page.chooser.forms["line"].set_values({"rate": 0.5})
    again = TrainPage(session)
    qtbot.addWidget(again)
    again.shown()
    assert again.chooser is not None
    assert again.chooser.chosen() == ("line",)
    assert again.chooser.forms["line"].values() == {"rate": 0.5}


@pytest.mark.parametrize("kept", ["{", "[]", json.dumps({"parameters": {"net": {"gone": 1, "rate": 99.0}}})])
def test_what_another_version_remembered_does_no_harm(session: RecordingSession, qtbot: Any, kept: str) -> None:
    session.project.settings["train-page"] = kept
    page = TrainPage(session)
    qtbot.addWidget(page)
    page.shown()
    assert page.chooser is not None
    assert page.chooser.forms["net"].values() == {}


def test_looking_at_a_card_unfolds_its_parameters_only(page: TrainPage, qtbot: Any) -> None:
    assert page.chooser is not None
    cards = page.chooser.cards
    qtbot.mouseClick(cards["line"], Qt.MouseButton.LeftButton, pos=cards["line"].rect().bottomRight() / 2)
    assert [name for name, card in cards.items() if card.form.isVisible()] == ["line"]


def test_a_card_says_how_long_the_last_training_took(page: TrainPage, session: RecordingSession) -> None:
    add_run(session.project, "r1", NET)
    session.runsChanged.emit()
    assert page.chooser is not None
    assert page.chooser.cards["net"]._facts.text() == "Last time: 0:13 for 4,000 rows; about 2:05 for 40,000"


def test_curves_follow_the_reports(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    request = started(page, session)
    for epoch in (1, 2):
        request.progressed.emit(said(fit=fit(epoch, 5, loss=0.5)))
        request.progressed.emit(said(fit=fit(epoch, loss=0.4, metrics={"loss": 0.45, "auc": 0.7}, best_epoch=epoch)))
    qtbot.waitUntil(lambda: page.panel._charts is not None)
    loss, metric = page.panel._charts
    assert loss.picture.series[0].x == (0.5, 1.0, 1.5, 2.0)
    assert loss.picture.series[1].y == (0.45, 0.45)
    assert metric.picture.series[0].y == (0.7, 0.7)
    assert "epoch 2 of at most 20" in page.panel._facts.text()
    assert "50,000 rows/s" in page.panel._facts.text()


def test_a_flood_of_reports_is_drawn_a_few_times(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    request = started(page, session)
    draws: list[int] = []
    page.panel._redraw.timeout.connect(lambda: draws.append(1))
    for step in range(3000):
        request.progressed.emit(said(fit=fit(1, step % 10, loss=0.5)))
    qtbot.waitUntil(lambda: bool(draws))
    assert len(draws) <= 3


def test_stop_asks_the_worker_and_keeps_the_best(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    request = started(page, session)
    request.progressed.emit(said(fit=fit(1, loss=0.4, metrics={"loss": 0.4})))
    qtbot.waitUntil(lambda: page.panel._stop.text() == "Stop and keep best")
    add_run(session.project, "run-1", NET, status=RunStatus.STOPPED)
    qtbot.mouseClick(page.panel._stop, Qt.MouseButton.LeftButton)
    assert request.state is RequestState.STOPPED
    assert page.panel._outcome.text() == "Stopped, best state kept"
    assert not page.panel._stop.isVisible()


def test_a_finished_training_shows_its_figures_and_leads_to_the_results(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    request = started(page, session)
    request.progressed.emit(said())
    add_run(session.project, "run-1", NET, auc=0.731)
    finish(request, Trained(("run-1",)))
    assert page.panel._outcome.text() == "Finished"
    assert page.panel._facts.text() == "Net: AUC 0.731 [0.721, 0.741]"
    qtbot.mouseClick(page.panel._results, Qt.MouseButton.LeftButton)
    assert session.pages == ["results"]


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        (
            {"auc": 0.8, "conversion.auc": 0.7},
            "Net: pCTR AUC 0.800 [0.790, 0.810]  ·  pCVR AUC 0.700 [0.690, 0.710]",
        ),
        ({"hr@10": 0.4, "ndcg@10": 0.2}, "Net: NDCG@10 0.200 [0.190, 0.210]"),
    ],
)
def test_a_finished_funnel_or_ranking_shows_its_own_figures(
    page: TrainPage, session: RecordingSession, areas: dict[str, float], words: str
) -> None:
    request = started(page, session)
    request.progressed.emit(said())
    record = add_run(session.project, "run-1", NET)
    metrics = {name: Metric(name, value, value - 0.01, value + 0.01, 800, 80) for name, value in areas.items()}
    session.project.save_run(replace(record, metrics=metrics))
    finish(request, Trained(("run-1",)))
    assert page.panel._facts.text() == words


def test_a_training_that_ended_is_not_drawn_as_one_at_work(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    request = started(page, session)
    request.progressed.emit(said(Phase.EXPLAINING))
    finish(request, Trained(("run-1",)))
    qtbot.wait(200)
    page.panel._which.activated.emit(0)
    assert page.panel._steps.accessibleDescription() == "finished"
    assert not page.panel._bar.isVisible()


def test_before_the_first_report_the_panel_names_no_model_and_keeps_its_lines_together(
    page: TrainPage, session: RecordingSession, qtbot: Any
) -> None:
    started(page, session)
    qtbot.wait(50)
    assert not page.panel._which.isVisible()
    assert page.panel._facts.y() < page.panel.height() / 3


def test_metrics_of_a_funnel_say_of_which_output_they_are() -> None:
    track = Track("r", "Net")
    metrics = {"loss": 0.4, "auc": 0.8, "auc_conversion": 0.7, "auc_click_and_conversion": 0.75, "loss_conversion": 0.5}
    track.hear(said(fit=fit(1, metrics=metrics)))
    names = [line.name for line in metric_chart(track, "t", "Epochs").series]
    assert names == ["pCTR AUC", "pCTCVR AUC", "pCVR AUC"]
    track.epochs.clear()
    track.hear(said(fit=fit(1, metrics={"loss": 4.0, "ndcg@10": 0.1})))
    assert metric_chart(track, "t", "Epochs").y_label == "NDCG@10"


def test_the_summary_says_that_conversions_can_be_predicted_too(page: TrainPage, session: RecordingSession) -> None:
    assert "conversions" not in page._summary.text()
    session.set_draft(set_role(draft(), [draft().fields.features[0].column], FieldRole.CONVERSION))
    assert "Models of clicks and conversions predict segment too." in page._summary.text()


def test_a_model_without_a_loss_shows_no_empty_chart(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    started(page, session).progressed.emit(said(fit=fit(1, metrics={"ndcg@10": 0.05})))
    qtbot.waitUntil(lambda: page.panel._charts is not None)
    loss, metric = page.panel._charts
    assert (loss.isVisible(), metric.isVisible()) == (False, True)


def test_a_failure_is_shown_on_the_panel_and_in_the_message_bar(page: TrainPage, session: RecordingSession) -> None:
    finish(started(page, session), Failure("The label has one class.", do="Choose another."), RequestState.FAILED)
    assert page.panel._outcome.text() == "The label has one class."
    assert session.seen[-1].what == "The label has one class."


def test_a_second_training_waits_and_can_be_removed(page: TrainPage, session: RecordingSession, qtbot: Any) -> None:
    started(page, session)
    second = started(page, session)
    second.state = RequestState.QUEUED
    page.panel.refresh()
    waiting = page.panel._queue.itemAt(0).widget()
    button = next(child for child in waiting.children() if hasattr(child, "click"))
    button.click()
    assert second.state is RequestState.STOPPED
    assert page.panel._queue.count() == 0


def test_another_project_begins_with_an_empty_panel(page: TrainPage, session: RecordingSession) -> None:
    started(page, session).progressed.emit(said())
    session.projectChanged.emit()
    assert page.panel._stack.currentIndex() == 0


def test_a_long_training_keeps_its_curve_short_and_its_end() -> None:
    track = Track("r", "Net")
    for step in range(5000):
        track.hear(said(fit=FitProgress(step // 10 + 1, 500, step % 10, 10, loss=float(step))))
    assert len(track.loss) <= MOST_POINTS
    assert track.loss[-1][1] == 4999.0
    assert loss_chart(track, "t", WORDS).series[0].x == tuple(sorted(loss_chart(track, "t", WORDS).series[0].x))


def test_each_model_of_a_job_has_its_own_track() -> None:
    log = TrainingLog()
    assert log.hear(Progress(Phase.READING, 0.1)) is None
    for run in ("a", "b"):
        log.hear(said(run=run, fit=fit(1, loss=0.5)))
    assert list(log.tracks) == ["a", "b"]


@pytest.mark.parametrize(
    ("progress", "elapsed", "left"),
    [(fit(5), 10.0, 30.0), (fit(1, 5), 2.0, 78.0), (fit(1, 0), 5.0, None), (fit(1), 0.2, None), (fit(20), 9.0, 0.0)],
)
def test_time_left_is_a_guess_only_when_it_rests_on_something(
    progress: FitProgress, elapsed: float, left: float | None
) -> None:
    assert seconds_left(progress, elapsed) == (left if left is None else pytest.approx(left))


def test_a_model_without_steps_counts_whole_epochs() -> None:
    assert epochs_done(replace(fit(3), step=0, steps=0)) == 3.0
