"""What drivers and the file system say, turned into sentences; the only place that knows their codes."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from crosslens._sizes import format_bytes
from crosslens.errors import QueryError, SourceError, StorageError, UserError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_SQLITE = (
    (
        "SQLITE_NOTADB",
        "{name} is not an SQLite database.",
        "Its first bytes are not those of an SQLite file; it may be another kind of file, or encrypted.",
        "Choose another file, or decrypt a copy of it first.",
    ),
    (
        "SQLITE_CORRUPT",
        "{name} is damaged.",
        "SQLite says: {message}.",
        "Restore it from a backup, or save what can be saved with the sqlite3 command “.recover”.",
    ),
    (
        "SQLITE_BUSY",
        "{name} is locked.",
        "Another program has been writing to it, and did not finish within the seconds we waited.",
        "Close that program or wait for it, then try again.",
    ),
    (
        "SQLITE_LOCKED",
        "{name} is locked.",
        "SQLite says: {message}.",
        "Close the program that writes to it or wait for it, then try again.",
    ),
    (
        "SQLITE_READONLY",
        "{name} was left open by a program that stopped in the middle of writing.",
        "SQLite would have to repair it before reading, and Crosslens never writes to a source.",
        "Open it once with the program that writes it, or read a copy.",
    ),
    (
        "SQLITE_IOERR",
        "{name} could not be read.",
        "The disk or the network did not deliver, or the file was cut short while we read it ({message}).",
        "Check that the disk is connected, then try again.",
    ),
    (
        "SQLITE_CANTOPEN",
        "{name} could not be opened.",
        "SQLite says: {message}.",
        "Check that the file is still there and that you may read it and its folder.",
    ),
    (
        "SQLITE_AUTH",
        "{name} is only ever read.",
        "The statement would have changed something, which Crosslens does not let through.",
        "Use a statement that only reads.",
    ),
)


def source_error(error: sqlite3.Error, path: Path) -> UserError:
    """Return what a driver's error about the database at `path` means, as sentences; raise it `from error`."""
    code = getattr(error, "sqlite_errorname", None) or ""
    if code.startswith("SQLITE_FULL"):
        return StorageError(
            "The disk for temporary files is full.",
            why="SQLite sorts large tables on disk, in the system's folder for temporary files.",
            do="Free some space there, or read fewer rows.",
            path=str(path),
        )
    for prefix, what, why, do in _SQLITE:
        if code.startswith(prefix):
            facts = {"name": path.name, "message": error}
            return SourceError(what.format(**facts), why=why.format(**facts), do=do.format(**facts), path=str(path))
    return QueryError(
        f"{path.name} refused the query.",
        why=f"SQLite says: {error}.",
        do="If the tables have changed since you opened the database, open it again.",
        path=str(path),
    )


def missing_source(path: Path) -> SourceError:
    """Return the error for a file that is not there (any more)."""
    return SourceError(
        f"There is no file {path}.",
        why="It has been moved, renamed or deleted, or its disk is not connected.",
        do="Choose the file again.",
        path=str(path),
    )


def replaced_source(path: Path) -> SourceError:
    """Return the error for a file that is no longer the one that was opened."""
    return SourceError(
        f"{path.name} has been replaced by another file.",
        why="A program wrote it anew after it was opened here.",
        do="Open it again.",
        path=str(path),
    )


def check_readable(path: Path) -> None:
    """Raise SourceError if this user may not read a file."""
    if not os.access(path, os.R_OK):
        raise SourceError(
            f"{path.name} may not be read.",
            why="Your user account has no permission to read this file.",
            do="Ask its owner for permission, or copy it to a place of your own.",
            path=str(path),
        )


def check_database_file(path: Path, *, kind: str, do: str) -> None:
    """Raise SourceError unless there is a file that may be read; for a folder `do` says where the `kind` may be."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder.", why=f"{kind} database is a single file.", do=do, path=str(path))
    if not path.exists():
        raise missing_source(path)
    check_readable(path)


def storage_error(error: OSError, path: Path, *, needed: int | None = None) -> StorageError:
    """Return what the file system says about writing `path`; `needed` bytes where they can be foretold."""
    folder = existing_folder(path)
    if error.errno in _NO_SPACE:
        free = shutil.disk_usage(folder).free
        need = f" About {format_bytes(needed)} are needed." if needed is not None else ""
        return StorageError(
            f"The disk is full: {path.name} could not be written.",
            why=f"{folder} has {format_bytes(free)} left.{need}",
            do="Free some space, choose a folder on another disk, or read fewer rows.",
            path=str(path),
            free=free,
            needed=needed,
        )
    return StorageError(
        f"{path} could not be written.",
        why=f"The system says: {error.strerror or error}.",
        do="Check that the folder exists and that you may write to it.",
        path=str(path),
    )


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str) -> QueryError:
    """Return the error for a name the source does not have, with the nearest names it does have."""
    near = tuple(difflib.get_close_matches(name, tuple(known), n=3, cutoff=0.6))
    return QueryError(
        f"There is no {kind} “{name}” in {where}.",
        why="It may have been renamed or dropped since.",
        do=f"Did you mean {' or '.join(f'“{match}”' for match in near)}?" if near else f"Choose another {kind}.",
        name=name,
        near=near,
    )


def existing_folder(path: Path) -> Path:
    """Return the nearest folder above `path` that exists."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
