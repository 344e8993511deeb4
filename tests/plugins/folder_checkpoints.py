"""Checkpoints in a folder, replaced atomically as the app does it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


class FolderCheckpoints:
    """Keeps the last complete checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, write: Callable[[Path], None]) -> None:
        written, kept = self.folder / "written", self.folder / "kept"
        written.mkdir()
        write(written)
        shutil.rmtree(kept, ignore_errors=True)
        written.rename(kept)

    def latest(self) -> Path | None:
        kept = self.folder / "kept"
        return kept if kept.is_dir() else None
