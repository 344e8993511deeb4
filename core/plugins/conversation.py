"""A worker of one plugin, and one question to it after the other: lines of JSON, progress and Stop passed on.

A plugin that crashes, hangs or prints rubbish costs its own process, and whoever asked gets a sentence naming it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import IO, Any, cast

from crosslens.errors import DataError, PluginError, Stopped, UserError
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ConnectionSpec

from ..answers import Gathered
from ..commands import RESULTS, Progress
from ..services import JobControl
from .loading import forget_loading, loading_for
from .processes import LOAD_SECONDS, LOG_LINES, TURN, PluginCrashed, WorkerOf, ended

_POLITE_SECONDS = 4.0  # less than the window waits for the process that asks


class Conversation:
    """A worker and one question after the other; `close` leaves no process behind."""

    def __init__(self, worker: WorkerOf) -> None:
        self._worker = worker
        self._control = JobControl()
        self._gathered: Gathered[Any] | None = None
        self._events: queue.Queue[bytes | None] = queue.Queue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
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
        forget_loading(self._worker.folder, self._worker.key, process.pid)  # how it ended has been said

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
                line = self._events.get(timeout=TURN)
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


def _line(request: Any, secret: str | None) -> dict[str, Any]:
    connections = [getattr(request, field.name) for field in fields(request)] if is_dataclass(request) else []
    own = [each.secret for each in connections if isinstance(each, ConnectionSpec) and each.secret]
    line = {"command": request.command, "arguments": to_plain(request)}
    found = secret or next(iter(own), None)
    return line | {"secret": found} if found else line
