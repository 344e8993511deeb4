"""Questions to worker processes: `python main.py worker` behind QProcess, spoken to in lines of JSON.

Request      one question, watched through signals; `stop()` asks politely, then terminates, then kills
Lane         a queue of requests in front of one worker at a time; a lane for jobs takes a fresh worker for each
WorkerProcess  the process itself: lines in, events out, the tail of its log kept for the error report
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from time import monotonic
from typing import Any, cast

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Qt, QTimer, Signal

from core import commands
from core.answers import Gathered
from crosslens.errors import DataError
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ConnectionSpec

LOG = logging.getLogger("crosslens.desktop.worker")

POLITE_SECONDS = 5.0
"""How long a worker may take to stop by itself."""
TURN_SECONDS = 0.015
"""For how long answers are read before the window gets its turn again."""
TERMINATE_SECONDS = 2.0
"""How long it may take to end after being told to terminate."""
LOG_LINES = 60


class RequestState(StrEnum):
    """Where a request stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come."""
        return self in (RequestState.FINISHED, RequestState.FAILED, RequestState.STOPPED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed, in sentences; `internal` failures are ours, `details` are for a report."""

    what: str
    why: str = ""
    do: str = ""
    details: str = ""
    internal: bool = False


class Request(QObject):
    """One question to a worker. Exactly one of `finished`, `failed`, `stopped` is emitted, once."""

    progressed = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    stopped = Signal()
    stateChanged = Signal()

    _numbers = itertools.count(1)

    def __init__(self, command: Any, *, title: str = "", secret: str | None = None, parent: QObject | None = None):
        super().__init__(parent)
        self.id = next(self._numbers)
        self.command = command
        self.title = title
        self.secret = secret
        self.state = RequestState.QUEUED
        self.progress: commands.Progress | None = None
        self.started: float | None = None
        self._lane: Lane | None = None

    @property
    def seconds(self) -> float:
        """Return for how long it has been running."""
        return 0.0 if self.started is None else monotonic() - self.started

    def stop(self) -> None:
        """Ask for an end: a queued request leaves the queue, a running one is stopped within seconds."""
        if self._lane is not None and not self.state.is_final:
            self._lane.stop(self)

    def enter(self, lane: Lane) -> None:
        """Belong to a lane from now on; called by the lane."""
        self._lane = lane

    def move_to(self, state: RequestState) -> None:
        """Change the state; called by the lane."""
        if state is RequestState.RUNNING:
            self.started = monotonic()
        self.state = state
        self.stateChanged.emit()

    def message(self) -> dict[str, Any]:
        """Return the line for the worker; secrets stand beside the arguments and nowhere else."""
        line = {
            "id": self.id,
            "command": self.command.command,
            "arguments": to_plain(without_secrets(self.command)),
        }
        secret = self.secret or _secret_of(self.command)
        target = getattr(self.command, _TARGET, None)
        line |= {"secret": secret} if secret else {}
        return line | {"into_secret": target.secret} if target is not None and target.secret else line


_TARGET = "into"
"""The field of a command that holds a connection to write to."""


def without_secrets(command: Any) -> Any:
    """Return `command` with the secrets of its connections taken out."""
    changes = {name: replace(value, secret=None) for name, value in _connections(command) if value.secret}
    return replace(command, **changes) if changes else command


def _connections(command: Any) -> list[tuple[str, ConnectionSpec]]:
    if not is_dataclass(command):
        return []
    pairs = [(field.name, getattr(command, field.name)) for field in fields(command)]
    return [(name, value) for name, value in pairs if isinstance(value, ConnectionSpec)]


def _secret_of(command: Any) -> str | None:
    """Return the password to read with; that of the connection to write to is for nothing else."""
    return next((value.secret for name, value in _connections(command) if value.secret and name != _TARGET), None)


class WorkerProcess(QObject):
    """A running worker. `answered` carries each event; `ended` comes once, with the tail of the worker's log."""

    answered = Signal(object)
    ended = Signal(str)

    def __init__(self, command: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._out, self._err = bytearray(), b""
        self._lines: deque[bytes] = deque()
        self._reason: str | None = None
        self._again = QTimer(self, singleShot=True, interval=0)
        self._again.timeout.connect(self._work_off)
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._over = False
        self._process = QProcess(self)
        self._process.setProcessEnvironment(_environment())
        self._process.setProgram(command[0])
        self._process.setArguments(list(command[1:]))
        self._process.readyReadStandardOutput.connect(self._read_answers)
        self._process.readyReadStandardError.connect(self._read_log)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)

    def start(self) -> None:
        """Start the process; whoever wants to hear of it is connected by now."""
        self._process.start()

    @property
    def running(self) -> bool:
        """Whether there is a process to speak to."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one line; it waits in Qt's buffer until the worker is up."""
        if self.running:
            self._process.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")

    def end(self) -> None:
        """Close the worker's stdin, which ends it; what it still says is not listened to."""
        self._over = True
        self._process.closeWriteChannel()
        self._process.finished.connect(self.deleteLater)
        QTimer.singleShot(int(1000 * POLITE_SECONDS), self._process, self._process.kill)
        if self._process.state() is QProcess.ProcessState.NotRunning:
            self.deleteLater()

    def terminate(self) -> None:
        """Tell the process to end now, and kill it if it does not."""
        self._process.terminate()
        QTimer.singleShot(int(1000 * TERMINATE_SECONDS), self._process, self._process.kill)

    def kill(self) -> None:
        """End the process and wait until it is gone: for the very last moment of the application."""
        self._over = True
        self._process.closeWriteChannel()
        if not self._process.waitForFinished(500):
            self._process.kill()
            self._process.waitForFinished(2000)

    def _read_answers(self) -> None:
        self._out += self._process.readAllStandardOutput().data()
        end = self._out.rfind(b"\n") + 1
        if end:
            self._lines.extend(bytes(self._out[:end]).splitlines())
            del self._out[:end]
        self._work_off()

    def _work_off(self) -> None:
        """Answer waiting lines for a moment; the rest follows when the window has had its turn."""
        until = monotonic() + TURN_SECONDS
        while self._lines and not self._over and monotonic() < until:
            if line := self._lines.popleft().strip():
                self._answer(line)
        if self._lines and not self._over:
            self._again.start()
        elif self._reason is not None:
            self._end(self._reason)

    def _answer(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:  # covers bytes that are not UTF-8 as well
            event = None
        if isinstance(event, dict) and "event" in event:
            self.answered.emit(event)
        else:
            LOG.warning("the worker printed something that is not an event: %r", line[:500])

    def _read_log(self) -> None:
        self._err += self._process.readAllStandardError().data()
        *lines, self._err = self._err.split(b"\n")
        self._log.extend(line.decode(errors="replace").rstrip() for line in lines)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read_log()
        crashed = status is QProcess.ExitStatus.CrashExit
        self._reason = f"The process was ended by signal or crash ({code})." if crashed else f"Exit code {code}."
        self._read_answers()

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._end(self._process.errorString())

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            rest = self._err.decode(errors="replace")
            self.ended.emit("\n".join(line for line in (*self._log, rest, reason) if line))


def _environment() -> QProcessEnvironment:
    environment = QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONUTF8", "1")
    return environment


class Lane(QObject):
    """Requests in order, one at a time. `keep_worker` reuses one worker; otherwise each request gets a fresh one."""

    changed = Signal()

    def __init__(self, command: Sequence[str], *, keep_worker: bool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.arguments: tuple[str, ...] = ()
        self._command = tuple(command)
        self._keep_worker = keep_worker
        self._queue: deque[Request] = deque()
        self._current: Request | None = None
        self._worker: WorkerProcess | None = None
        self._gathered: Gathered[Any] | None = None
        self._shut = False

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return the running request and those behind it."""
        return (() if self._current is None else (self._current,)) + tuple(self._queue)

    def submit(self, request: Request) -> None:
        """Put a request at the end of the queue."""
        request.enter(self)
        if self._shut:
            self._close(request, RequestState.STOPPED)
            return
        self._queue.append(request)
        self._advance()

    def warm(self) -> None:
        """Start the worker before the first question, so that the answer comes sooner."""
        if self._keep_worker and self._worker is None:
            self._worker = self._start()

    def stop(self, request: Request) -> None:
        """End a request; see `Request.stop`."""
        if request in self._queue:
            self._queue.remove(request)
            self._close(request, RequestState.STOPPED)
        elif request is self._current and request.state is RequestState.RUNNING and self._worker is not None:
            request.move_to(RequestState.STOPPING)
            self._worker.send({"id": request.id, "command": "stop"})
            self._heard = monotonic()
            self._wait_politely(request, POLITE_SECONDS)
            self.changed.emit()
        elif request is self._current and request.state is RequestState.STOPPING and self._worker is not None:
            self._worker.send({"id": request.id, "command": "stop"})

    def shut_down(self) -> None:
        """Drop everything and leave no process behind; what is asked from now on is stopped at once."""
        self._shut = True
        self._queue.clear()
        self._current = None
        self._worker = None
        for worker in self.findChildren(WorkerProcess):  # those that are just ending as well
            worker.kill()

    def _wait_politely(self, request: Request, seconds: float) -> None:
        QTimer.singleShot(int(1000 * seconds), request, lambda: self._insist(request))

    def _insist(self, request: Request) -> None:
        if request is not self._current or self._worker is None:
            return
        # A stopped training still measures what it keeps; as long as the worker says how far it is, it is not stuck.
        left = self._heard + POLITE_SECONDS - monotonic()
        if left > 0:
            self._wait_politely(request, max(left, 0.05))
        else:
            self._condemned = True
            self._worker.terminate()

    def _advance(self) -> None:
        if self._current is None and self._queue:
            self._current = self._queue.popleft()
            self._worker = self._worker or self._start()
            self._worker.send(self._current.message())
            self._current.move_to(RequestState.RUNNING)
        self.changed.emit()

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess((*self._command, *self.arguments), self)
        worker.answered.connect(self._hear)
        worker.ended.connect(self._lose, Qt.ConnectionType.QueuedConnection)
        worker.start()
        self._condemned = False
        return worker

    def _hear(self, event: Mapping[str, Any]) -> None:
        request = self._current
        if request is None or event.get("id") != request.id:
            LOG.warning("an event that answers no question: %r", event)
            return
        self._heard = monotonic()
        if event["event"] == "progress":
            self._progress(request, event)
        elif event["event"] == "part":
            self._gather(request, event)
        elif event["event"] in ("result", "error", "stopped"):
            gathered, self._gathered = self._gathered or Gathered(commands.RESULTS[type(request.command)]), None
            self._leave()
            _conclude(request, event, gathered, self._close)
            self._advance()
        else:
            LOG.warning("an unknown event: %r", event)

    def _progress(self, request: Request, event: Mapping[str, Any]) -> None:
        try:
            request.progress = from_plain(commands.Progress, event.get("progress"))
        except DataError as error:
            LOG.warning("progress that cannot be read: %s", error)
            return
        request.progressed.emit(request.progress)

    def _gather(self, request: Request, event: Mapping[str, Any]) -> None:
        self._gathered = self._gathered or Gathered(commands.RESULTS[type(request.command)])
        self._gathered.add(event)
        gc.freeze()  # what has come stays; for the collector to look at all of it would hold the window up

    def _leave(self) -> None:
        self._current = None
        # A worker told to terminate may still answer; the next question must not be put to the dying.
        if self._worker is not None and (self._condemned or not self._keep_worker):
            self._worker.end()
            self._worker = None

    def _lose(self, log: str) -> None:
        request, self._current, self._gathered = self._current, None, None
        if self._worker is not None:
            self._worker.deleteLater()
            self._worker = None
        if request is not None and request.state is RequestState.STOPPING:
            self._close(request, RequestState.STOPPED)
        elif request is not None:
            self._close(request, RequestState.FAILED, _lost(log))
        self._advance()

    def _close(self, request: Request, state: RequestState, value: Any = None) -> None:
        request.move_to(state)
        if state is RequestState.FINISHED:
            request.finished.emit(value)
        elif state is RequestState.FAILED:
            request.failed.emit(value)
        else:
            request.stopped.emit()


def _conclude(request: Request, event: Mapping[str, Any], gathered: Gathered[Any], close: Any) -> None:
    """Close `request` with the final `event`; an answer that cannot be read is a failure of ours."""
    if event["event"] == "stopped":
        close(request, RequestState.STOPPED)
    elif event["event"] == "error":
        close(request, RequestState.FAILED, _failure(event.get("error")))
    else:
        try:
            answer = gathered.whole(event.get("result"))
        except DataError as error:
            close(request, RequestState.FAILED, _unreadable(error))
        else:
            close(request, RequestState.FINISHED, answer)


def _failure(error: Any) -> Failure:
    plain = cast("Mapping[str, Any]", error) if isinstance(error, dict) else {}
    return Failure(
        what=str(plain.get("what") or "The worker reported an error without a message."),
        why=str(plain.get("why") or ""),
        do=str(plain.get("do") or ""),
        details=str(plain.get("details") or ""),
        internal=plain.get("kind") != "user",
    )


def _unreadable(error: DataError) -> Failure:
    return Failure("The answer of the worker could not be read.", details=str(error), internal=True)


def _lost(log: str) -> Failure:
    return Failure(
        what="The worker process ended before it was done.",
        why="It may have run out of memory, been ended by the system, or crashed.",
        do="Start it again; an interrupted training can be resumed from its last checkpoint on the Results page.",
        details=log,
        internal=True,
    )
