"""What SQLite complains about, in sentences; the one place where its errors are translated."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from crosslens.errors import ProjectError, StorageError, UserError


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn errors of the database and the disk into ProjectError or StorageError; others pass."""
    try:
        yield
    except DBAPIError as error:
        told = _of_sqlite(error, folder)
        if told is None:
            raise
        raise told from error
    except OSError as error:
        raise of_disk(error, folder) from error


def of_disk(error: OSError, folder: Path) -> UserError:
    """Return what an error of the file system means for the project in `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return not_writable(folder)
    return ProjectError(
        f"The project folder {folder} cannot be used.",
        why=f"The system says: {error.strerror or error}.",
        do="Check that the disk is connected, or choose another folder.",
        folder=folder,
    )


def disk_full(folder: Path) -> StorageError:
    """Return the error for a disk without room."""
    return StorageError(
        f"The disk that holds {folder} is full.",
        why="The project could not be saved.",
        do="Free some space, then try again.",
        folder=folder,
    )


def not_writable(folder: Path) -> ProjectError:
    """Return the error for a folder that may not be written."""
    return ProjectError(
        f"The project folder {folder} cannot be written.",
        why="Crosslens keeps runs and settings there, and your account may not change it.",
        do="Ask for permission to write there, or choose another folder.",
        folder=folder,
    )


def vanished(folder: Path) -> StorageError:
    """Return the error for a project that went away while it was open."""
    return StorageError(
        f"The project folder {folder} is gone.",
        why="It was moved, deleted, or its disk was disconnected while it was open.",
        do="Bring it back, then open the project again.",
        folder=folder,
    )


def not_a_project(folder: Path) -> ProjectError:
    """Return the error for a folder without a project."""
    return ProjectError(
        f"{folder} is not a Crosslens project.",
        why="It holds no project.db written by Crosslens.",
        do="Choose a project folder, or make a new project there.",
        folder=folder,
    )


def no_connection(connection_id: str, folder: Path) -> ProjectError:
    """Return the error for a saved connection that is not there."""
    return ProjectError(
        f"The project {folder} has no such saved connection.",
        why="It was deleted, perhaps in another window.",
        do="List the saved connections of the project and choose one of them.",
        connection=connection_id,
    )


def nameless() -> ProjectError:
    """Return the error for a connection without a name."""
    return ProjectError(
        "A saved connection needs a name.",
        why="The new name has no letter in it.",
        do="Type a name such as “shop on the reporting server”.",
    )


def newer(folder: Path) -> ProjectError:
    """Return the error for writing to, or not understanding, a project of a newer version."""
    return ProjectError(
        f"The project {folder} was last saved by a newer version of Crosslens.",
        why="This version may look at it but not change it, so that nothing is lost.",
        do="Install the newer version, or make a new project.",
        folder=folder,
    )


def _damaged(folder: Path) -> ProjectError:
    return ProjectError(
        f"The project file {folder / 'project.db'} is damaged.",
        why="It is not a readable SQLite database.",
        do="Restore it from a backup, or rename it and make a new project there; reports in runs/ stay readable.",
        folder=folder,
    )


def _busy(folder: Path) -> ProjectError:
    return ProjectError(
        f"The project {folder} is busy.",
        why="Another process has been writing to project.db for too long.",
        do="Try again in a moment; if it lasts, close other programs that use the folder.",
        folder=folder,
    )


_BY_NAME = {
    "SQLITE_NOTADB": _damaged,
    "SQLITE_CORRUPT": _damaged,
    "SQLITE_BUSY": _busy,
    "SQLITE_LOCKED": _busy,
    "SQLITE_READONLY": not_writable,
    "SQLITE_CANTOPEN": not_writable,
    "SQLITE_PERM": not_writable,
    "SQLITE_FULL": disk_full,
    "SQLITE_IOERR": vanished,
}


def _of_sqlite(error: DBAPIError, folder: Path) -> UserError | None:
    if not isinstance(error.orig, sqlite3.Error):
        return None
    # Extended codes such as SQLITE_READONLY_DBMOVED say more than the sentence needs.
    name = "_".join(getattr(error.orig, "sqlite_errorname", "").split("_")[:2])
    make = _BY_NAME.get(name)
    return None if make is None else make(folder)
