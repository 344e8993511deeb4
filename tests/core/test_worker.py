"""The worker's protocol: one line a request, events back, Stop while a command runs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.commands import MakeSample, Phase, Progress, SampleMade, Train
from core.services import JobControl
from core.worker import Worker
from crosslens.errors import SourceError, Stopped


class Line:
    """A worker on pipes, spoken to as the window does."""

    def __init__(self, handle: Any) -> None:
        request_end, self._requests = os.pipe()
        self._events, event_end = os.pipe()
        self._write = os.fdopen(self._requests, "w", encoding="utf-8")
        self._read = os.fdopen(self._events, "r", encoding="utf-8")
        self._ends = (os.fdopen(request_end, encoding="utf-8"), os.fdopen(event_end, "w", encoding="utf-8"))
        self.thread = threading.Thread(target=Worker(handle, *self._ends).run, daemon=True)
        self.thread.start()

    def send(self, line: dict[str, Any] | str) -> None:
        self._write.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self._write.flush()

    def event(self) -> dict[str, Any]:
        return dict(json.loads(self._read.readline()))

    def close(self) -> None:
        self._write.close()
        self.thread.join(timeout=5)
        for end in (*self._ends, self._read):
            end.close()


@contextmanager
def worker(handle: Any) -> Iterator[Line]:
    line = Line(handle)
    try:
        yield line
    finally:
        line.close()


def sample(number: int, **arguments: Any) -> dict[str, Any]:
    return {"id": number, "command": "make-sample", "arguments": {"path": "/tmp/ö.db", **arguments}}


def made(request: MakeSample, _: JobControl) -> SampleMade:
    return SampleMade(request.path, request.path.with_suffix(".truth"), f"rows = {request.rows}")


def test_a_request_arrives_as_its_dataclass_and_the_result_goes_back_as_plain_data() -> None:
    with worker(made) as line:
        line.send(sample(7, rows=12))
        assert line.event() == {
            "id": 7,
            "event": "result",
            "result": {"database": "/tmp/ö.db", "truth": "/tmp/ö.truth", "recipe": "rows = 12"},
        }


def test_requests_are_answered_in_order() -> None:
    with worker(made) as line:
        for number in (1, 2, 3):
            line.send(sample(number))
        assert [line.event()["id"] for _ in range(3)] == [1, 2, 3]


def test_progress_comes_before_the_result() -> None:
    def handle(request: MakeSample, control: JobControl) -> SampleMade:
        control.progress(Progress(Phase.READING, 0.5, "half way"))
        return made(request, control)

    with worker(handle) as line:
        line.send(sample(1))
        first, second = line.event(), line.event()
    assert first == {
        "id": 1, "event": "progress", "progress": {"phase": "reading", "fraction": 0.5, "message": "half way"},
    }  # fmt: skip
    assert second["event"] == "result"


def test_a_flood_of_progress_is_thinned_but_a_new_phase_always_shows() -> None:
    def handle(request: MakeSample, control: JobControl) -> SampleMade:
        for step in range(1000):
            control.say(Phase.READING, fraction=step / 1000)
        control.say(Phase.WRITING)
        return made(request, control)

    with worker(handle) as line:
        line.send(sample(1))
        events = [line.event()]
        while events[-1]["event"] != "result":
            events.append(line.event())
    phases = [event["progress"]["phase"] for event in events if event["event"] == "progress"]
    assert phases[0] == "reading"
    assert phases[-1] == "writing"
    assert len(phases) < 20


def test_stop_reaches_a_command_that_is_running() -> None:
    def handle(_: MakeSample, control: JobControl) -> SampleMade:
        if not control.stop.wait(timeout=5):
            raise AssertionError("Stop never came")
        raise Stopped("nothing yet")

    with worker(handle) as line:
        line.send(sample(4))
        line.send({"id": 4, "command": "stop"})
        assert line.event() == {"id": 4, "event": "stopped", "message": "nothing yet"}


def test_stop_before_its_turn_is_remembered() -> None:
    def handle(request: MakeSample, control: JobControl) -> SampleMade:
        if request.rows == 1:
            time.sleep(0.2)
        control.check()
        return made(request, control)

    with worker(handle) as line:
        line.send(sample(1, rows=1))
        line.send(sample(2, rows=2))
        line.send({"id": 2, "command": "stop"})
        assert [line.event()["event"] for _ in range(2)] == ["result", "stopped"]


def test_a_failure_of_the_world_carries_its_sentences() -> None:
    def handle(_: MakeSample, __: JobControl) -> SampleMade:
        raise SourceError("It is gone.", why="Somebody moved it.", do="Look again.")

    with worker(handle) as line:
        line.send(sample(1))
        error = line.event()["error"]
    assert error == {
        "kind": "user", "what": "It is gone.", "why": "Somebody moved it.", "do": "Look again.", "details": "",
    }  # fmt: skip


def test_our_own_failure_carries_a_traceback_and_the_worker_lives_on() -> None:
    def handle(request: MakeSample, control: JobControl) -> SampleMade:
        if request.rows == 1:
            raise ZeroDivisionError("by us")
        return made(request, control)

    with worker(handle) as line:
        line.send(sample(1, rows=1))
        line.send(sample(2))
        error = line.event()["error"]
        assert error["kind"] == "internal"
        assert "ZeroDivisionError: by us" in error["what"]
        assert "Traceback" in error["details"]
        assert line.event()["event"] == "result"


@pytest.mark.parametrize("rubbish", ["not json", "[1, 2]", '{"command": "train"}', '{"id": "seven"}'])
def test_rubbish_is_answered_not_obeyed(rubbish: str) -> None:
    with worker(made) as line:
        line.send(rubbish)
        assert line.event()["error"]["kind"] == "internal"
        line.send(sample(1))
        assert line.event()["event"] == "result"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ({"id": 1, "command": "fly", "arguments": {}}, "fly"),
        ({"id": 1, "command": "make-sample", "arguments": {"path": "x", "colour": "red"}}, "colour"),
        ({"id": 1, "command": "make-sample", "arguments": {}}, "path"),
    ],
)
def test_a_request_that_is_not_understood_says_which_part(line: dict[str, Any], names: str) -> None:
    with worker(made) as pipe:
        pipe.send(line)
        assert names in pipe.event()["error"]["what"]


def test_the_worker_ends_when_its_input_closes() -> None:
    line = Line(made)
    line.close()
    assert not line.thread.is_alive()


def test_a_secret_travels_beside_the_arguments_only() -> None:
    seen = {}

    def handle(request: Any, control: JobControl) -> Any:
        seen["secret"] = request.connection.secret
        return made(MakeSample(Path("x")), control)

    with worker(handle) as line:
        connection = {"dialect": "postgresql", "database": "shop"}
        arguments = {"connection": connection}
        line.send({"id": 1, "command": "open-source", "arguments": arguments, "secret": "hush"})
        line.event()
    assert seen == {"secret": "hush"}
    assert "hush" not in repr(Train(Path("p"), "r"))
