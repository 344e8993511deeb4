"""Asking ten times a second whether to go on, for drivers that cannot ask by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from crosslens.errors import CrosslensError, QueryError, Stopped

SECONDS_PER_CHECK = 0.1


class Watch:
    """Asks `should_stop` and looks at the clock in a thread of its own; calls `cancel` until what runs has ended."""

    def __init__(
        self, cancel: Callable[[], None], *, should_stop: Callable[[], bool], seconds: float | None = None
    ) -> None:
        self._cancel = cancel
        self._should_stop = should_stop
        self._seconds = seconds
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.reason: BaseException | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise why to end, if there is a reason."""
        if self.reason is not None:
            raise self.reason

    def _run(self) -> None:
        while not self._ended.wait(SECONDS_PER_CHECK):
            if self.reason is None:
                self.reason = self._verdict()
            if self.reason is not None:
                self._cancel()

    def _verdict(self) -> BaseException | None:
        try:
            if self._should_stop():
                return Stopped("Stopped while reading the database.")
        except BaseException as error:  # noqa: BLE001  the caller's own function failed; it is raised where it belongs
            return error
        if self._seconds is not None and time.monotonic() - self._started > self._seconds:
            return too_slow(self._seconds)
        return None


def too_slow(seconds: float) -> CrosslensError:
    """Return the error for a statement that took longer than it may."""
    return QueryError(
        f"The database did not answer within {seconds:g} seconds.",
        why="The table or view is too slow to look at.",
        do="Choose fewer joins or a smaller table, or add an index to the database.",
        seconds=seconds,
    )
