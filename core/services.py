"""What a job is given: the world behind protocols, and the line to whoever asked."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from crosslens.errors import Stopped

from .commands import Phase, Progress
from .ports import PluginHost, Projects, Sources


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms a job needs, plugged in by the composition root."""

    sources: Sources
    projects: Projects
    host: PluginHost
    threads: int = 1


def _silent(_: Progress) -> None:
    return None


@dataclass(frozen=True, slots=True)
class JobControl:
    """The line between a job and whoever started it: progress one way, Stop the other."""

    progress: Callable[[Progress], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("crosslens.job"))

    def should_stop(self) -> bool:
        """Whether Stop was pressed."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raise Stopped if Stop was pressed."""
        if self.stop.is_set():
            raise Stopped("Stopped before there was anything to keep.")

    def say(self, phase: Phase, message: str = "", fraction: float | None = None) -> None:
        """Report a moment of the job."""
        self.progress(Progress(phase=phase, fraction=fraction, message=message))


THREADS_VARIABLE = "CROSSLENS_THREADS"
"""Environment variable that limits the processor threads of a job."""


def usable_threads() -> int:
    """Return how many processor threads a job may use: what the variable says, else what the process may run on."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)
