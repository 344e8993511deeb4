"""How long the event loop was kept from its turn: a timer that beats, and the longest gaps between two beats.

On a busy machine the length of a gap says little: other processes may have had the processors. So a gap is measured in
the processor time this thread used in it, and in the time it slept: blocked by something, or woken late by the system.
The time in which it was ready to run and waited for a processor is left out where the system tells it (Linux).
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import Qt, QTimer

MILLISECONDS = 5
_STATISTICS = Path("/proc/thread-self/schedstat")


def _waited() -> float:
    """Return for how many seconds this thread was ready to run and had no processor."""
    try:
        _, waited, _ = _STATISTICS.read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return int(waited) / 1e9


class Heartbeat:
    """Beats while its block runs. `ran`, `slept`: the longest time, in seconds, a gap between beats had of each."""

    def __init__(self) -> None:
        self.ran = self.slept = 0.0
        self.beats = 0
        self._last = (0.0, 0.0, 0.0)
        self._timer = QTimer(interval=MILLISECONDS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last = (time.monotonic(), time.thread_time(), _waited())
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.stop()
        self._beat()

    def _beat(self) -> None:
        now = (time.monotonic(), time.thread_time(), _waited())
        passed, ran, waited = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        self.ran = max(self.ran, ran)
        self.slept = max(self.slept, passed - ran - waited)
        self.beats += 1

    def __repr__(self) -> str:
        return f"{self.beats} beats; at most {1000 * self.ran:.0f} ms of work and {1000 * self.slept:.0f} ms of sleep"
