"""The memory of a project: `project.db` (SQLite through SQLAlchemy, migrated by Alembic) and the folders beside it."""

from crosslens.runs import new_run_id

from .projects import SqlProjects
from .store import SqlProjectStore

__all__ = ["SqlProjectStore", "SqlProjects", "new_run_id"]
