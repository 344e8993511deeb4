"""The memory of a project: `project.db` (SQLite through SQLAlchemy, migrated by Alembic) and the folders beside it."""

from __future__ import annotations

import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from crosslens.runs import new_run_id

if TYPE_CHECKING:
    from .store import SqlProjectStore

__all__ = ["SqlProjects", "new_run_id"]


class SqlProjects:
    """Project folders on disk. Structurally a `core.ports.Projects`."""

    def warm(self) -> None:
        """Load what opening a project needs, beside whatever else goes on, so that the first one opens sooner."""
        threading.Thread(target=import_module, args=(".projects", __package__), name="warm-projects").start()

    def open(self, folder: Path, *, create: bool = False, lock: bool = False) -> SqlProjectStore:
        """Open the project in `folder`, or make it there with `create`; `lock` is for windows, workers share.

        ProjectError or StorageError says what is wrong: not a project, not writable, damaged, open in another window.
        A project of a newer version opens with `read_only`.
        """
        # SQLAlchemy takes a third of a second to import; a window is shown before it is needed.
        from .projects import open_project

        return open_project(folder, create=create, lock=lock)
