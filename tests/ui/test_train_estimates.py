"""Time and memory on the cards of the Train page, before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.commands import EstimateTraining, ModelEstimate, TrainingEstimated
from core.recipe_toml import recipe_from_toml
from crosslens import ModelSpec
from ui.desktop.pages.train import TrainPage
from ui.desktop.pages.train_estimates import estimate_words
from ui.desktop.worker_client import Failure, Request, RequestState

from .pages_helpers import LINE, NET, TREES, Project, RecordingSession, add_run, draft, finish

ESTIMATE = ModelEstimate("net", 310_000_000, 1.3, 30)
TRIED = ModelEstimate("trees", 40_000_000, 0.1, 1000, tried=32_000)


class Host:
    """A model that says what its training takes, and two that have to be tried."""

    def models(self) -> tuple[ModelSpec, ...]:
        return replace(NET, estimates=True), TREES, LINE

    def text_encoders(self) -> tuple[()]:
        return ()

    def worker_of(self, model: str) -> str:
        return "a-plugin" if model == "line" else ""


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
    page.show()
    session.set_draft(draft())
    page.shown()
    return page


def said(page: TrainPage, model: str = "net") -> str:
    assert page.chooser is not None
    card = page.chooser.cards[model]
    return card._estimate.text() if card._estimate.isVisibleTo(card) else ""


def asked(page: TrainPage, session: RecordingSession) -> Request:
    """Let the time pass after which the page asks."""
    page.estimates._timer.timeout.emit()
    return session.last


def answer(request: Request, *estimates: ModelEstimate) -> None:
    """Answer what was asked with these estimates, and with none of the other models."""
    found = {each.model: each for each in estimates}
    choices = recipe_from_toml(request.command.recipe).models
    finish(request, TrainingEstimated(tuple(found.get(each.id, ModelEstimate(each.id)) for each in choices)))


def answer_all(page: TrainPage, session: RecordingSession, *estimates: ModelEstimate) -> None:
    """Answer one question after the other until none is left."""
    answer(asked(page, session), *estimates)
    while page.estimates._timer.isActive() and not asked(page, session).state.is_final:
        answer(session.last, *estimates)


def models_of(request: Request) -> list[str]:
    return [choice.id for choice in recipe_from_toml(request.command.recipe).models]


def test_chosen_models_are_asked_about_beside_the_queue(page: TrainPage, session: RecordingSession) -> None:
    assert page.estimates._timer.isActive()
    request = asked(page, session)
    assert isinstance(request.command, EstimateTraining)
    assert models_of(request) == ["net"]
    assert request.command.rows == 40_000
    assert request.lane == "aside"
    assert said(page) == "Looking at how long this would take…"
    answer(request, ESTIMATE)
    assert said(page) == "Estimate: about 0:39 if all 30 epochs are needed, 310 MB of memory."
    assert [said(page, name) for name in ("trees", "line")] == ["", ""]


def test_models_that_say_it_themselves_come_first_then_those_tried_then_each_plugins(
    page: TrainPage, session: RecordingSession
) -> None:
    assert page.chooser is not None
    page.chooser.cards["line"].check.setChecked(True)
    answer_all(page, session, ESTIMATE, TRIED)
    assert [models_of(request) for request in session.asked] == [["net"], ["trees"], ["line"]]
    assert said(page, "trees") == "Estimate from a short try: at most about 1:40. Memory: 40 MB for the rows alone."


def test_what_nothing_is_known_of_is_said_unless_the_last_run_tells(page: TrainPage, session: RecordingSession) -> None:
    answer_all(page, session, ESTIMATE)
    assert said(page, "trees") == "Time and memory are not known before the first run."
    add_run(session.project, "r1", TREES)
    session.runsChanged.emit()
    assert said(page, "trees") == ""


def test_what_is_known_is_not_asked_again_and_other_parameters_are(page: TrainPage, session: RecordingSession) -> None:
    answer_all(page, session, ESTIMATE)
    page.refresh()
    assert not page.estimates._timer.isActive() or asked(page, session) is session.asked[-1]
    assert len(session.asked) == 2
    assert page.chooser is not None
    page.chooser.forms["net"].line("width").editor.setValue(64)
    assert said(page) == ""
    second = asked(page, session)
    assert recipe_from_toml(second.command.recipe).models[0].parameters == {"width": 64}
    page.chooser.forms["net"].reset()
    assert said(page).startswith("Estimate")


def test_a_question_about_what_is_no_longer_looked_at_is_dropped(page: TrainPage, session: RecordingSession) -> None:
    first = asked(page, session)
    assert page.chooser is not None
    page.chooser.forms["net"].line("width").editor.setValue(64)
    second = asked(page, session)
    assert (first.state, second.state) == (RequestState.STOPPED, RequestState.RUNNING)
    answer(second, replace(ESTIMATE, memory=2_000_000_000))
    assert "2.0 GB" in said(page)


def test_nothing_is_asked_twice_while_the_answer_is_awaited(page: TrainPage, session: RecordingSession) -> None:
    first = asked(page, session)
    page.refresh()
    assert asked(page, session) is first
    assert len(session.asked) == 1


def test_nothing_is_estimated_while_a_training_runs(page: TrainPage, session: RecordingSession) -> None:
    page.primary.trigger()
    training = session.last
    assert asked(page, session) is training
    finish(training, Failure("No.", "", ""), RequestState.FAILED)
    assert page.estimates._timer.isActive()


def test_an_estimate_makes_way_for_a_training(page: TrainPage, session: RecordingSession) -> None:
    estimating = asked(page, session)
    page.primary.trigger()
    assert estimating.state is RequestState.STOPPED
    finish(session.last, Failure("No.", "", ""), RequestState.FAILED)
    assert models_of(asked(page, session)) == ["net"]


def test_nothing_is_estimated_for_a_page_nobody_looks_at(session: RecordingSession, qtbot: Any) -> None:
    page = TrainPage(session)
    qtbot.addWidget(page)
    session.set_draft(draft())
    page.shown()
    assert not page.estimates._timer.isActive()


def test_what_would_be_refused_is_said_before_the_start(page: TrainPage, session: RecordingSession) -> None:
    sentence = "Training needs about 12.0 GB of memory; 3.0 GB are free. Hash city."
    answer(asked(page, session), ModelEstimate("net", obstacle=sentence))
    assert said(page) == sentence


@pytest.mark.parametrize("internal", [True, False])
def test_a_failed_estimate_gives_no_figure_on_the_card_and_is_not_repeated(
    internal: bool, page: TrainPage, session: RecordingSession
) -> None:
    finish(asked(page, session), Failure("It broke.", internal=internal), RequestState.FAILED)
    assert said(page) == "Time and memory are not known before the first run."
    assert [notice.what for notice in session.seen if notice] == (["It broke."] if internal else [])
    page.refresh()
    assert models_of(asked(page, session)) == ["trees"]


def test_a_model_that_cannot_say_has_no_words() -> None:
    assert estimate_words(ModelEstimate("net")) == ""


def test_the_last_time_is_told_for_these_rows(page: TrainPage, session: RecordingSession) -> None:
    add_run(session.project, "r1", TREES)
    session.runsChanged.emit()
    assert page.chooser is not None
    assert page.chooser.cards["trees"]._facts.text() == "Last time: 0:13 for 4,000 rows; about 2:05 for 40,000"
    session.set_draft(replace(draft(), rows=4_100))
    assert page.chooser.cards["trees"]._facts.text() == "Last time: 0:13"


def test_another_project_forgets_the_estimates(page: TrainPage, session: RecordingSession) -> None:
    answer(asked(page, session), ESTIMATE)
    waiting = asked(page, session)
    session.projectChanged.emit()
    page.refresh()
    assert said(page) == ""
    assert waiting.state.is_final
