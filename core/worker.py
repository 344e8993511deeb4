"""The worker: a headless process that answers `core.commands` as lines of JSON.

Commands come on stdin and are answered one after the other; a thread keeps reading, so that Stop arrives while a
command runs. When stdin closes the process ends at once: files are replaced whole, so an abandoned training can be
resumed from its checkpoint. Whatever libraries print on stdout goes to the log on stderr.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from crosslens.errors import Stopped, UserError
from crosslens.plain import from_plain, to_plain

from .answers import result_lines
from .commands import REQUESTS, Phase, Progress
from .services import JobControl

Handler = Callable[[Any, JobControl], Any]

_SECONDS_BETWEEN_PROGRESS = 0.1
_ABANDONED = 4


class Worker:
    """Answers requests from `requests` with events on `events`; `handle` does the work."""

    def __init__(self, handle: Handler, requests: IO[str], events: IO[str]) -> None:
        self._handle = handle
        self._requests = requests
        self._events = events
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stops: dict[int, threading.Event] = {}
        self._writing = threading.Lock()
        self._busy = False

    def run(self) -> int:
        """Serve until stdin closes; return the exit code."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (line := self._waiting.get()) is not None:
            self._busy = True
            event = self._answer(line)
            self._busy = False
            self._send_answer(int(line["id"]), event)
        return 0

    def _read(self) -> None:
        for text in self._requests:
            line = self._parse(text)
            if line is None:
                continue
            if line.get("command") == "stop":
                self._stop_event(line["id"]).set()
            else:
                self._waiting.put(line)
        self._waiting.put(None)
        if self._busy:
            # Nobody is left to read the answer; leaving is safe because every file is replaced whole.
            logging.getLogger("crosslens.worker").warning("stdin closed during a job; leaving it")
            os._exit(_ABANDONED)

    def _parse(self, text: str) -> dict[str, Any] | None:
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and isinstance(line.get("id"), int):
            return line
        if text.strip():
            self._send({"id": None, "event": "error", "error": _problem("internal", f"not a request: {text[:200]!r}")})
        return None

    def _stop_event(self, request_id: int) -> threading.Event:
        return self._stops.setdefault(request_id, threading.Event())

    def _answer(self, line: Mapping[str, Any]) -> dict[str, Any]:
        request_id = int(line["id"])
        secret = line.get("secret")
        control = JobControl(self._progress_of(request_id), self._stop_event(request_id), secret=secret)
        try:
            return {"event": "result", "result": to_plain(self._handle(_request(line), control))}
        except Stopped as stopped:
            return {"event": "stopped", "message": str(stopped)}
        except UserError as error:
            return {"event": "error", "error": user_problem(error)}
        except Exception as error:  # noqa: BLE001  a stranger's model or our own fault: one job lost, not the worker
            message, details = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
            return {"event": "error", "error": _problem("internal", message, details)}
        finally:
            self._stops.pop(request_id, None)

    def _progress_of(self, request_id: int) -> Callable[[Progress], None]:
        last: tuple[float, Phase | None] = (0.0, None)

        def report(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            ends_epoch = progress.fit is not None and bool(progress.fit.metrics)
            if progress.phase == last[1] and not ends_epoch and now - last[0] < _SECONDS_BETWEEN_PROGRESS:
                return
            last = (now, progress.phase)
            self._send({"id": request_id, "event": "progress", "progress": to_plain(progress)})

        return report

    def _send_answer(self, request_id: int, event: Mapping[str, Any]) -> None:
        if event["event"] != "result":
            self._send({"id": request_id, **event})
            return
        for text in result_lines(request_id, event["result"]):
            self._write(text)

    def _send(self, event: Mapping[str, Any]) -> None:
        self._write(json.dumps(event, ensure_ascii=False))

    def _write(self, text: str) -> None:
        with self._writing:
            self._events.write(text + "\n")
            self._events.flush()


@dataclass(frozen=True, slots=True)
class Streams:
    """The lines of requests and the lines of events."""

    requests: IO[str]
    events: IO[str]


def take_streams() -> Streams:
    """Take stdin and stdout for the protocol; whatever else this process prints goes to the log on stderr.

    To be called before any stranger's code runs, which may print what it likes and finds nothing to read.
    """
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8", errors="replace")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Streams(requests, events)


def serve(handle: Handler, streams: Streams | None = None) -> int:
    """Run a worker on this process's stdin and stdout, or on `streams` taken before."""
    streams = streams or take_streams()
    try:
        return Worker(handle, streams.requests, streams.events).run()
    except BrokenPipeError:
        return _ABANDONED


def user_problem(error: UserError) -> dict[str, str]:
    """Return an error of the world as the protocol carries it."""
    return {"kind": "user", "what": error.what, "why": error.why, "do": error.do, "details": ""}


def _problem(kind: str, what: str, details: str = "") -> dict[str, str]:
    return {
        "kind": kind,
        "what": what,
        "why": "This is a fault in Crosslens or in a plugin.",
        "do": "Please report it with the details.",
        "details": details,
    }


def _request(line: Mapping[str, Any]) -> Any:
    kind = REQUESTS.get(str(line.get("command")))
    if kind is None:
        raise ValueError(f"unknown command {line.get('command')!r}")
    request: Any = from_plain(kind, line.get("arguments", {}))
    secret = line.get("secret")
    if secret is not None and hasattr(request, "connection"):
        request = replace(request, connection=replace(request.connection, secret=secret))
    target, for_target = getattr(request, "into", None), line.get("into_secret")
    if target is not None and for_target is not None:  # what is written to may want another password
        request = replace(request, into=replace(target, secret=for_target))
    return request
