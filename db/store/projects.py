"""Opens and makes project folders."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine, event

from . import problems, schema
from .lock import ProjectLock
from .schema import State
from .store import PROJECT_FILE, SqlProjectStore


def open_project(folder: Path, *, create: bool = False, lock: bool = False) -> SqlProjectStore:
    """Open the project in `folder`; see `SqlProjects.open`."""
    folder = folder.absolute()
    with problems.explained(folder):
        _check_folder(folder, create=create)
        engine = schema.connect(folder / PROJECT_FILE)
        try:
            return _open(folder, engine, create=create, lock=lock)
        except BaseException:
            engine.dispose()
            raise


def _check_folder(folder: Path, *, create: bool) -> None:
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    elif not (folder / PROJECT_FILE).is_file():
        raise problems.not_a_project(folder)
    paths = (folder, folder / PROJECT_FILE)
    if not all(os.access(path, os.W_OK) for path in paths if path.exists()):
        raise problems.not_writable(folder)


def _open(folder: Path, engine: Engine, *, create: bool, lock: bool) -> SqlProjectStore:
    with engine.begin() as connection:
        state = schema.state_of(connection)
    if state is State.FOREIGN or (state is State.EMPTY and not create):
        raise problems.not_a_project(folder)
    if state is State.NEWER:
        return _open_newer(folder, engine)
    held = _lock(folder, engine) if lock else None
    try:
        if state is State.OLDER:
            schema.back_up(engine)
        if state is not State.CURRENT:
            schema.bring_up_to_date(engine)
        return SqlProjectStore(folder, engine, lock=held)
    except BaseException:
        if held is not None:
            held.release()
        raise


def _lock(folder: Path, engine: Engine) -> ProjectLock:
    with schema.writing(engine):
        return ProjectLock.acquire(folder)


def _open_newer(folder: Path, engine: Engine) -> SqlProjectStore:
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    return SqlProjectStore(folder, engine, read_only=True)
