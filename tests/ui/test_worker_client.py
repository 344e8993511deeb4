"""The way to the workers, against a worker that misbehaves on request."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from core.commands import OpenSource, Phase, SourceOverview
from crosslens.relational import ConnectionSpec
from ui.desktop import worker_client
from ui.desktop.services import DesktopServices
from ui.desktop.worker_client import Failure, Lane, Request, RequestState


def ask(how: str, secret: str | None = None) -> Request:
    return Request(OpenSource(ConnectionSpec("sqlite", how, secret=secret)), title=how)


@pytest.fixture
def lane(services: DesktopServices, qapp: Any) -> Any:
    lane = Lane(services.worker_command, keep_worker=True)
    yield lane
    lane.shut_down()


@pytest.fixture
def jobs(services: DesktopServices, qapp: Any) -> Any:
    lane = Lane(services.worker_command, keep_worker=False)
    yield lane
    lane.shut_down()


def answer(lane: Lane, qtbot: Any, how: str) -> Any:
    request = ask(how)
    with qtbot.waitSignal(request.finished, timeout=10_000) as heard:
        lane.submit(request)
    return heard.args[0]


def failure(lane: Lane, qtbot: Any, how: str) -> Failure:
    request = ask(how)
    with qtbot.waitSignal(request.failed, timeout=10_000) as heard:
        lane.submit(request)
    return heard.args[0]


def test_an_answer_comes_as_the_result_class_of_its_question(lane: Lane, qtbot: Any) -> None:
    overview = answer(lane, qtbot, "shop.db")
    assert isinstance(overview, SourceOverview)
    assert [table.ref.name for table in overview.tables] == ["brands", "clicks", "impressions", "items"]


def test_the_users_problem_keeps_its_three_sentences(lane: Lane, qtbot: Any) -> None:
    assert failure(lane, qtbot, "fails") == Failure("No.", "Because.", "Yes.", "", internal=False)


def test_a_worker_that_dies_leaves_the_tail_of_its_log(lane: Lane, qtbot: Any) -> None:
    lost = failure(lane, qtbot, "dies")
    assert lost.internal
    assert lost.details.splitlines() == ["first line", "last words", "Exit code 7."]


def test_after_a_death_the_next_question_finds_a_new_worker(lane: Lane, qtbot: Any) -> None:
    failure(lane, qtbot, "dies")
    assert answer(lane, qtbot, "shop.db").read_only == "Opened read-only."


def test_rubbish_and_strange_events_are_logged_and_harmless(lane: Lane, qtbot: Any, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, "crosslens.desktop.worker"):
        answer(lane, qtbot, "rubbish")
    assert len(caplog.records) == 3


def test_a_line_that_comes_in_pieces_is_put_together(lane: Lane, qtbot: Any) -> None:
    assert len(answer(lane, qtbot, "partial").tables) == 4


def test_an_answer_of_another_shape_is_a_failure_of_ours(lane: Lane, qtbot: Any) -> None:
    lost = failure(lane, qtbot, "unreadable")
    assert lost.internal
    assert "nonsense" in lost.details


def test_progress_comes_as_a_value(lane: Lane, qtbot: Any) -> None:
    request = ask("progress")
    with qtbot.waitSignals([request.progressed, request.finished], timeout=10_000):
        lane.submit(request)
    assert (request.progress.phase, request.progress.fraction) == (Phase.READING, 0.5)


def test_stop_is_answered_politely(lane: Lane, qtbot: Any) -> None:
    request = ask("slow")
    lane.submit(request)
    with qtbot.waitSignal(request.stopped, timeout=10_000):
        request.stop()
        assert request.state is RequestState.STOPPING
    assert request.state is RequestState.STOPPED


def test_a_deaf_worker_is_terminated_and_then_killed(lane: Lane, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_client, "POLITE_SECONDS", 0.1)
    monkeypatch.setattr(worker_client, "TERMINATE_SECONDS", 0.1)
    request = ask("deaf")
    with qtbot.waitSignal(request.progressed, timeout=10_000):
        lane.submit(request)
    with qtbot.waitSignal(request.stopped, timeout=10_000):
        request.stop()
    assert answer(lane, qtbot, "shop.db")


def test_a_stopping_worker_that_still_reports_is_left_to_finish(
    lane: Lane, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_client, "POLITE_SECONDS", 0.5)
    request = ask("lingering")
    with qtbot.waitSignal(request.progressed, timeout=10_000):
        lane.submit(request)
    with qtbot.waitSignal(request.finished, timeout=10_000):
        request.stop()
    assert request.state is RequestState.FINISHED


def test_a_question_is_never_put_to_a_worker_that_was_told_to_terminate(
    lane: Lane, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_client, "POLITE_SECONDS", 0.1)
    late = ask("tardy")
    with qtbot.waitSignal(late.progressed):
        lane.submit(late)
    late.stop()
    assert answer(lane, qtbot, "shop.db")


def test_a_queued_request_leaves_the_queue_when_stopped(lane: Lane, qtbot: Any) -> None:
    first, second = ask("slow"), ask("shop.db")
    lane.submit(first)
    lane.submit(second)
    with qtbot.waitSignal(second.stopped):
        second.stop()
    assert lane.requests == (first,)


def test_browsing_keeps_its_worker_and_each_job_gets_a_fresh_one(lane: Lane, jobs: Lane, qtbot: Any) -> None:
    assert answer(lane, qtbot, "pid").read_only == answer(lane, qtbot, "pid").read_only
    assert answer(jobs, qtbot, "pid").read_only != answer(jobs, qtbot, "pid").read_only


def test_a_secret_travels_beside_the_arguments_only(lane: Lane, qtbot: Any, tmp_path: Path) -> None:
    request = ask("shop.db", secret="s3cret")
    with qtbot.waitSignal(request.finished, timeout=10_000):
        lane.submit(request)
    line = json.loads((tmp_path / "record.txt").read_text())
    assert line["secret"] == "s3cret"
    assert "s3cret" not in json.dumps(line["arguments"])


def test_a_program_that_is_not_there_is_a_failure_in_words(qapp: Any, qtbot: Any, tmp_path: Path) -> None:
    lane = Lane((str(tmp_path / "nowhere"),), keep_worker=True)
    lost = failure(lane, qtbot, "shop.db")
    assert lost.what == "The worker process ended before it was done."
    assert lost.details
