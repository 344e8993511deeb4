"""Parts of a FitContext for tests: checkpoints in a folder, a Stop that comes after some answers, and a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


class Crash(Exception):
    """Stands for a process that dies."""


class FolderCheckpoints:
    """Keeps the last complete checkpoint in a folder, replaced in one step as the app does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, write: Callable[[Path], None]) -> None:
        """Let `write` fill a new folder, then put it in the place of the last one."""
        written, kept = self.folder / "written", self.folder / "kept"
        written.mkdir()
        write(written)
        shutil.rmtree(kept, ignore_errors=True)
        written.rename(kept)

    def latest(self) -> Path | None:
        """Return the folder of the last complete checkpoint, or None."""
        kept = self.folder / "kept"
        return kept if kept.is_dir() else None


class StopAfter:
    """Says stop from answer number `number` on; `more` counts how often it was asked again after that."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers = 0

    @property
    def more(self) -> int:
        """Return how often it was asked after it had said stop."""
        return max(0, self.answers - self.number - 1)

    def __call__(self) -> bool:
        """Return whether to stop."""
        self.answers += 1
        return self.answers > self.number
