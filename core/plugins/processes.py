"""A process for one plugin: how it is started, how long it may take, and how its end is told."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from crosslens.errors import PluginError

from .state import DATA_VARIABLE

LOAD_SECONDS = 10.0
"""How long the import of a plugin may take."""
LOG_LINES = 60
"""How much of what a process printed is kept for its plugin's author."""
TURN = 0.1
"""Seconds after which whoever waits looks whether to go on waiting."""


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


def ended(code: int) -> str:
    """Return in words how a process ended by itself."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"crashed ({name})."
    return f"ended its own process (exit code {code})."
