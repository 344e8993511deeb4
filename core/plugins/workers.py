"""Questions to workers of plugins: a fresh one for each, or the one that was kept since the last."""

from __future__ import annotations

import threading
from typing import Any

from crosslens.errors import UserError

from ..services import JobControl
from .conversation import Conversation
from .processes import PluginCrashed, WorkerOf


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
    conversation = (kept.take(worker) if kept else None) or Conversation(worker)
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
        self._idle: tuple[WorkerOf, Conversation] | None = None
        self._timer: threading.Timer | None = None

    def take(self, worker: WorkerOf) -> Conversation | None:
        """Return the kept worker if it is this one and still there; any other is ended."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None and idle[0] == worker and idle[1].is_alive:
            return idle[1]
        if idle is not None:
            idle[1].close()
        return None

    def give(self, worker: WorkerOf, conversation: Conversation) -> None:
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
