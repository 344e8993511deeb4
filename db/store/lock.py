"""One window per project: a lock file that names host and process.

A lock left by a process of this host that is gone is taken over; one from another host can only be judged by a person.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from crosslens._processes import is_alive, is_this_host, start_of, this_host
from crosslens.errors import ProjectError

LOCK_NAME = "project.lock"

_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the project open. `start` names the start of the process, see `crosslens._processes.start_of`."""

    host: str
    pid: int
    start: str = ""

    @classmethod
    def me(cls) -> Holder:
        """Return this process."""
        return cls(host=this_host(), pid=os.getpid(), start=start_of(os.getpid()))

    @property
    def is_gone(self) -> bool:
        """Whether this is surely a process of this host that has ended."""
        return is_this_host(self.host) and not is_alive(self.pid, self.start)


@dataclass(frozen=True, slots=True)
class ProjectLock:
    """A lock this process holds."""

    path: Path
    holder: Holder

    @classmethod
    def acquire(cls, folder: Path) -> ProjectLock:
        """Take the lock of `folder`; ProjectError names who has it. Call it under the write lock of project.db.

        That lock keeps two processes of one host from taking over the same stale file.
        """
        path, me = folder / LOCK_NAME, Holder.me()
        if path.exists():
            _refuse_unless_stale(path, folder)
            path.unlink(missing_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(asdict(me), file)
        except FileExistsError as error:  # another host, whose write lock ours knows nothing of, was faster
            raise _taken(_read(path), path, folder) from error
        return cls(path, me)

    def release(self) -> None:
        """Remove the file, unless it is no longer ours."""
        if _read(self.path) == self.holder:
            self.path.unlink(missing_ok=True)


def _refuse_unless_stale(path: Path, folder: Path) -> None:
    holder = _read(path)
    stale = holder.is_gone if holder is not None else _age(path) > _GRACE_SECONDS
    if not stale:
        raise _taken(holder, path, folder)


def _read(path: Path) -> Holder | None:
    """Return the holder, or None if the file is gone or half written."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _taken(holder: Holder | None, path: Path, folder: Path) -> ProjectError:
    if holder is None:
        who, do = "Another window is opening it at this moment.", "Try again in a few seconds."
    elif is_this_host(holder.host):
        who, do = f"Process {holder.pid} on this computer has it open.", "Switch to that window, or close it first."
    else:
        who = f"Process {holder.pid} on the computer {holder.host} has it open."
        do = f"Close it there. If it is certainly closed, delete the file {path} and try again."
    return ProjectError(f"The project {folder} is open in another window.", why=who, do=do, lock=path)
