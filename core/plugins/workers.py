"""A worker of one plugin, asked from another process: the same program and protocol, progress and Stop passed on.

A plugin that crashes, hangs or prints rubbish costs its own process, and whoever asked gets a sentence naming it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import IO, Any, cast

from crosslens.errors import DataError, PluginError, Stopped, UserError
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ConnectionSpec

from ..answers import Gathered
from ..commands import RESULTS, Progress
from ..services import JobControl
from .loading import loading_for
from .state import DATA_VARIABLE

LOAD_SECONDS = 10.0
"""How long the import of a plugin may take."""
_POLITE_SECONDS = 4.0  # less than the window waits for the process that asks
_LOG_LINES = 60
_TURN = 0.1


class PluginCrashed(PluginError):
    """The process of a plugin ended without an answer, or had to be ended."""


@dataclass(frozen=True, slots=True)
class WorkerOf:
    """A plugin by key and name, and how to start a worker of it."""

    key: str
    name: str
    program: tuple[str, ...]
    folder: Path
    threads: int = 1
    device: str = "cpu"
    version: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """Return program and arguments."""
        lent = ("--threads", str(self.threads), "--device", self.device)
        return (*self.program, "worker", "--plugins", self.key, *lent)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of the process: this one's, with UTF-8 and the same data folder."""
        return {**os.environ, "PYTHONUTF8": "1", DATA_VARIABLE: str(self.folder.parent)}


def ask(
    worker: WorkerOf,
    request: Any,
    control: JobControl,
    *,
    secret: str | None = None,
    kept: KeptWorkers | None = None,
) -> Any:
    """Put one request to a worker, a fresh one or one that was `kept`, and wait for the answer.

    Raises Stopped, the UserError the worker answered with, or a PluginError that names the plugin.
    """
    conversation = (kept.take(worker) if kept else None) or _Conversation(worker)
    may_stay = False
    try:
        answer = conversation.ask(request, control, secret)
        may_stay = True
        return answer
    except PluginCrashed:
        raise
    except UserError:
        may_stay = True
        raise
    finally:
        if kept is not None and may_stay:
            kept.give(worker, conversation)
        else:
            conversation.close()


class KeptWorkers:
    """Keeps the worker of the last question for the next one, for a while: starting one takes a second or two."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._idle: tuple[WorkerOf, _Conversation] | None = None
        self._timer: threading.Timer | None = None

    def take(self, worker: WorkerOf) -> _Conversation | None:
        """Return the kept worker if it is this one and still there; any other is ended."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None and idle[0] == worker and idle[1].is_alive:
            return idle[1]
        if idle is not None:
            idle[1].close()
        return None

    def give(self, worker: WorkerOf, conversation: _Conversation) -> None:
        """Keep a worker that has answered."""
        with self._lock:
            former, self._idle = self._idle, (worker, conversation)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._seconds, self.close)
            self._timer.daemon = True
            self._timer.start()
        if former is not None:
            former[1].close()

    def close(self) -> None:
        """End what is kept."""
        with self._lock:
            idle, self._idle = self._idle, None
            if self._timer is not None:
                self._timer.cancel()
        if idle is not None:
            idle[1].close()


def _line(request: Any, secret: str | None) -> dict[str, Any]:
    connections = [getattr(request, field.name) for field in fields(request)] if is_dataclass(request) else []
    own = [each.secret for each in connections if isinstance(each, ConnectionSpec) and each.secret]
    line = {"command": request.command, "arguments": to_plain(request)}
    found = secret or next(iter(own), None)
    return line | {"secret": found} if found else line


class _Conversation:
    """A worker and one question after the other; `close` leaves no process behind."""

    def __init__(self, worker: WorkerOf) -> None:
        self._worker = worker
        self._control = JobControl()
        self._gathered: Gathered[Any] | None = None
        self._events: queue.Queue[bytes | None] = queue.Queue()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._number = 0
        self._asked_to_stop = 0.0
        self._reason = ""
        self._process = subprocess.Popen(
            worker.command,
            env=worker.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._threads = (
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether there is a process to ask."""
        return self._process.poll() is None

    def ask(self, request: Any, control: JobControl, secret: str | None) -> Any:
        """Put a question and wait for its answer; see the function `ask`."""
        self._number += 1
        self._control, self._asked_to_stop = control, 0.0
        self._gathered = Gathered(RESULTS[type(request)])
        self.say({"id": self._number, **_line(request, secret)})
        return self.answer()

    def close(self) -> None:
        """End the process."""
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # ends a worker that still listens
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join(1.0)

    def say(self, line: Mapping[str, Any]) -> None:
        """Write a line; a worker that is gone is noticed by `answer`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self) -> Any:
        """Pass progress on until the answer comes."""
        heard = time.monotonic()
        while True:
            self._pass_stop_on()
            try:
                line = self._events.get(timeout=_TURN)
            except queue.Empty:
                self._watch(heard)
                continue
            if line is None:
                raise self._end()
            heard = time.monotonic()
            event = self._event(line)
            if event is not None and event["event"] in ("result", "error", "stopped"):
                return self._conclude(event)

    def _pass_stop_on(self) -> None:
        if self._control.stop.is_set():
            # Cleared, so that a second Stop (while what was kept is measured) is heard as well.
            self._control.stop.clear()
            self._asked_to_stop = self._asked_to_stop or time.monotonic()
            self.say({"id": self._number, "command": "stop"})

    def _watch(self, heard: float) -> None:
        """End a worker that neither stops nor gets through with importing its plugin."""
        if self._process.poll() is not None and time.monotonic() - heard > 1.0:
            self._events.put(None)  # a process the plugin started keeps the pipe open
        elif self._asked_to_stop and time.monotonic() - max(self._asked_to_stop, heard) > _POLITE_SECONDS:
            self._reason = "stopped"
            self._process.kill()
        elif loading_for(self._worker.folder, self._worker.key, self._process.pid) > LOAD_SECONDS:
            self._reason = f"its import took more than {LOAD_SECONDS:g} seconds."
            self._process.kill()

    def _event(self, line: bytes) -> dict[str, Any] | None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or event.get("id") != self._number or "event" not in event:
            self._control.log.warning("%s printed something that is no event: %r", self._worker.name, line[:200])
            return None
        if event["event"] == "progress":
            with contextlib.suppress(DataError):  # a moment that cannot be read is no reason to lose the job
                self._control.progress(from_plain(Progress, event.get("progress")))
        elif event["event"] == "part" and self._gathered is not None:
            self._gathered.add(event)
        return cast("dict[str, Any]", event)

    def _conclude(self, event: Mapping[str, Any]) -> Any:
        if event["event"] == "stopped":
            raise Stopped(str(event.get("message") or ""))
        if event["event"] == "result" and self._gathered is not None:
            return self._gathered.whole(event.get("result"))
        error = event.get("error") or {}
        if error.get("kind") == "user":
            raise UserError(str(error.get("what")), why=str(error.get("why", "")), do=str(error.get("do", "")))
        self._control.log.error("%s", error.get("details"))
        raise PluginError(
            f"The plugin {self._worker.name} failed: {error.get('what')}",
            do="Report it to the plugin's author, with the log.",
            details=str(error.get("details", "")),
        )

    def _end(self) -> Exception:
        """Return what to raise when the worker went without an answer."""
        code = self._process.wait()
        self._threads[1].join(1.0)
        if self._reason == "stopped":
            return Stopped("Stopped before there was anything to keep.")
        details = "\n".join(self._log)
        self._control.log.error("the worker of %s ended (%s):\n%s", self._worker.name, code, details)
        return PluginCrashed(
            f"The plugin {self._worker.name} {'was ended: ' + self._reason if self._reason else ended(code)}",
            do="Nothing else was lost. Report it to the plugin's author.",
            details=details,
            loading=bool(loading_for(self._worker.folder, self._worker.key, self._process.pid)),
        )

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                if line.strip():
                    self._events.put(line)
        self._events.put(None)

    def _read_log(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self._log.append(text)
                self._control.log.info("%s: %s", self._worker.name, text)


def ended(code: int) -> str:
    """Return in words how a process ended by itself."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"crashed ({name})."
    return f"ended its own process (exit code {code})."


def describe_in_a_process(worker: WorkerOf, output: Path, *, seconds: float = LOAD_SECONDS) -> None:
    """Let a process of its own import a plugin and write its description (or what is wrong) to `output`.

    PluginError says how the process ended if it wrote nothing.
    """
    command: Sequence[str] = (*worker.program, "describe-plugin", worker.key, str(output))
    process = subprocess.Popen(
        command, env=worker.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed: deque[bytes] = deque(maxlen=_LOG_LINES)
    reading = threading.Thread(target=_keep_last, args=(process.stdout, printed), daemon=True)
    reading.start()
    _end_late(process, worker, seconds)
    code = process.wait()
    reading.join(1.0)  # a process the plugin started may keep the pipe open; it is not waited for
    if output.exists():
        return
    hangs = loading_for(worker.folder, worker.key, process.pid) > seconds
    words = f"its import took more than {seconds:g} seconds." if hangs else f"it {ended(code)}"
    raise PluginCrashed(
        f"The plugin {worker.name} could not be loaded: {words}", details=b"".join(printed).decode(errors="replace")
    )


def _keep_last(stream: IO[bytes], lines: deque[bytes]) -> None:
    with stream:
        while chunk := stream.readline(4096):  # a plugin may print without end and without an end of line
            lines.append(chunk)


def _end_late(process: subprocess.Popen[bytes], worker: WorkerOf, seconds: float) -> None:
    """Kill a process whose import takes too long, or which does not even come that far."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TURN)
            return
        importing = loading_for(worker.folder, worker.key, process.pid)
        if importing > seconds or time.monotonic() - started > 6 * seconds:
            process.kill()
            return
